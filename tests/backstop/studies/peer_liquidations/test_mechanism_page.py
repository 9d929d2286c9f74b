"""The page of liquidation mechanisms prints what it shows, and has the covered cases and gas of the code."""

import json
import re

from tests.support.checkout_paths import ROOT
from tests.support.peer_cases import AT_A_THRESHOLD, COVERED
from tests.support.peer_vectors import load_group

PAGE = (ROOT / "docs" / "know" / "liquidation-mechanisms.md").read_text(encoding="utf-8")
NAMES = {"morpho_liquidate": "Morpho Blue", "aave": "Aave v3.7", "aave_v4_whole": "Aave v4", "euler": "Euler"}


def test_the_example_prints_what_the_page_shows(capsys):
    found = re.search(r"```python\n(.+?)```\n\n```text\n(.+?)```", PAGE, re.DOTALL)
    assert found
    exec(found[1], {})
    assert capsys.readouterr().out == found[2]


def test_the_table_has_the_covered_cases():
    for group, name in NAMES.items():
        row = re.search(rf"^\| {name} \| (\d+) of (\d+) \| (\d+) \| (\S+) \| (\S+) \|", PAGE, re.MULTILINE)
        assert row, name
        covered, whole, agree, refuse, threshold = (int(each) if each != "-" else 0 for each in row.groups())
        assert (covered, whole) == (COVERED[group], len(load_group(group)))
        assert (threshold, agree + refuse + threshold) == (AT_A_THRESHOLD.get(group, 0), covered)


def test_the_gas_is_that_of_the_snapshot():
    rows = json.loads((ROOT / "offchain/backstop/keepers/gas-snapshot.json").read_text())["rows"]
    told = {f"{rows[name]:,}" for name in rows if name.startswith("discount: ")}
    assert len(told) == 4 and all(each in PAGE for each in told)
