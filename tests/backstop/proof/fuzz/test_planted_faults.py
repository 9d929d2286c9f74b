"""Planted faults: reported where their two predicates hold, drawn from pairs that are rare but possible."""

from __future__ import annotations

from collections import Counter

import pytest

from backstop.errors import BackstopError
from backstop.hosts.host_registry import open_host
from backstop.proof.fuzz.campaign_counts import CampaignCounts, CountedCall
from backstop.proof.fuzz.fuzz_run import FuzzRun, derive_run_seed
from backstop.proof.fuzz.planted_fault_draw_from_coverage import draw_faults
from backstop.proof.fuzz.planted_faults import (
    WRITES,
    FaultTrial,
    PlantedFault,
    read_faults_yaml,
    result_lines,
    write_faults_yaml,
)
from backstop.proof.fuzz.run_predicate_observer import list_state_predicate_names
from backstop.proof.fuzz.state_coverage import StateCoverage
from tests.support.checkout_paths import ROOT

COMMITTED = ROOT / "tests" / "backstop" / "proof" / "fuzz" / "planted_faults.yaml"
PRICE, DEBT = "PriceFeed prices.current is set", "Ledger ledger.debts.normalized_debt is set"
NEVER = "the most batches are open"


def fault(name, predicates, method="deposit_and_draw", write=WRITES[0]):
    return PlantedFault(name, predicates, "VaultEngine", method, write)


def test_a_fault_is_reported_where_both_predicates_hold():
    faults = [
        *(fault(f"both-{i}", (PRICE, DEBT), write=write) for i, write in enumerate(WRITES)),
        fault("one", (PRICE, NEVER)),
        fault("never-succeeds", (PRICE, DEBT), method="no_such_function"),
    ]
    with open_host("revm") as host:
        machine = FuzzRun(host, derive_run_seed(3, 0), traces=None)
        machine.trial = FaultTrial(faults, machine.both, machine.start_state_observer())
        played = [each.action.method for each in machine.play_random_steps(600)]
        before = machine.both.snapshot()
        machine.both.compare_state()  # nothing was changed
        assert machine.both.snapshot() == before
    reported = machine.trial.reported
    assert reported.keys() == {f"both-{i}" for i in range(len(WRITES))}
    assert all(played[step - 1] == "deposit_and_draw" for step in reported.values())
    lines = list(result_lines(faults, reported))
    assert lines[-1] == f"planted faults reported: {len(WRITES)} of {len(faults)}"
    assert lines[-2].endswith("not reported")


def test_a_draw_has_rare_pairs_and_functions_that_read_them(tmp_path):
    names = list_state_predicate_names()
    debt, price = names.index(DEBT), names.index(PRICE)
    one, other = StateCoverage({debt: 1 << debt | 1 << price}), StateCoverage({debt: 1 << debt})
    tally = CampaignCounts(
        Counter(
            {
                CountedCall("m", "VaultEngine", "deposit_and_draw", None): 9,
                CountedCall("m", "Pool", "deposit", None): 9,
            }
        )
    )
    drawn = draw_faults((one, other), tally, 4, 1)
    assert drawn == draw_faults((one, other), tally, 4, 1)
    (found,) = drawn
    assert set(found.predicates) == {DEBT, PRICE}
    assert (found.contract, found.method) == ("VaultEngine", "deposit_and_draw")
    assert draw_faults((one, one), tally, 4, 1) == []
    write_faults_yaml(drawn, {"seed": 4}, tmp_path / "faults.yaml")
    assert read_faults_yaml(tmp_path / "faults.yaml") == drawn


def test_what_is_no_list_of_faults_is_one_line(tmp_path):
    (tmp_path / "a.yaml").write_text("schema_version: 1\nfaults: [{name: a}]\n")
    with pytest.raises(BackstopError, match="no list of planted faults"):
        read_faults_yaml(tmp_path / "a.yaml")
    with pytest.raises(BackstopError, match="unknown predicate 'gone'; draw it anew"):
        fault("a", (PRICE, "gone")).find_state_predicate_index_pair()


def test_the_committed_faults_can_be_put_to_a_campaign():
    faults = read_faults_yaml(COMMITTED)
    assert len(faults) == 20
    assert all(len(set(each.find_state_predicate_index_pair())) == 2 for each in faults)
