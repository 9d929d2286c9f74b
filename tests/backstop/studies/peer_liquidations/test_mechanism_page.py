"""The pages of mechanisms and of their agreement have the covered cases and the gas of the code."""

import json
import re

from tests.support.checkout_paths import ROOT
from tests.support.peer_cases import AT_A_THRESHOLD, COVERED
from tests.support.peer_vectors import load_group
from tests.support.scripted_pool import ALL_SEQUENCES

PAGE = (ROOT / "docs" / "reference" / "liquidation-mechanisms.md").read_text(encoding="utf-8")
PEERS = (ROOT / "docs" / "explanation" / "peer-agreement.md").read_text(encoding="utf-8")
NAMES = {"morpho_liquidate": "Morpho Blue", "aave": "Aave v3.7", "aave_v4_whole": "Aave v4", "euler": "Euler"}


def test_the_table_has_the_covered_cases():
    for group, name in NAMES.items():
        row = re.search(rf"^\| {name} \| (\d+) of (\d+) \| (\d+) \| (\S+) \| (\S+) \|", PEERS, re.MULTILINE)
        assert row, name
        covered, whole, agree, refuse, threshold = (int(each) if each != "-" else 0 for each in row.groups())
        assert (covered, whole) == (COVERED[group], len(load_group(group)))
        assert (threshold, agree + refuse + threshold) == (AT_A_THRESHOLD.get(group, 0), covered)


def test_the_gas_is_that_of_the_snapshot():
    rows = json.loads((ROOT / "offchain/backstop/keepers/gas-snapshot.json").read_text())["rows"]
    told = {f"{rows[name]:,}" for name in rows if name.startswith("discount: ")}
    assert len(told) == 4 and all(each in PAGE for each in told)


def test_the_pool_has_the_sequences_and_refusals_of_the_test():
    calls, found = ALL_SEQUENCES.calls, ALL_SEQUENCES
    assert (
        f"| {found.sequences} sequences, {found.operations:,} operations, of which {calls.total():,} reach "
        f"the pool: {calls['open']:,} incomes, {calls['provide']} deposits, {calls['withdraw']} withdrawals, "
        f"{calls['liquidate']} liquidations |"
    ) in PEERS
    for who, counts in (("both", found.both_refuse), ("v2 alone", found.peer_refuses)):
        assert f"| {who} | {counts.total()} |" in PEERS
    assert found.ours_refuses.total() == found.operations_left == 0 and "| ours alone | none |" in PEERS
    played = sum(len(each["ops"]) for each in load_group("liquity2"))
    assert played == found.operations + found.operations_left
    assert (
        f"| {found.sequences} sequences, {played:,} operations; {len(load_group('liquity2_urgent'))} "
        in PEERS
    )
