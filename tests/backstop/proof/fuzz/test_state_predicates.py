"""Predicates of the state: found in the model's code, followed slot by slot, counted in pairs."""

from __future__ import annotations

import ast
from collections import Counter

import pytest

from backstop.hosts.host_registry import open_host
from backstop.model import exit_batches
from backstop.proof.fuzz.fuzz_run import FuzzRun, derive_run_seed
from backstop.proof.fuzz.named_state_predicates import ENTRIES
from backstop.proof.fuzz.run_predicate_observer import (
    NAMED,
    StateObserver,
    list_places,
    list_state_predicate_names,
)
from backstop.proof.fuzz.state_coverage import StateCoverage
from backstop.proof.fuzz.state_predicates import (
    _find_attributes_by_local_name,
    _iter_attribute_constant_comparisons,
    _iter_tests,
    _list_read_attribute_names,
    derive_model_state_predicates,
    iter_model_storage_tables,
)

FUNCTION = """
def leave(self, sender, id):
    queue = self.line[()]
    first, size = queue.unsettled, queue.collecting
    require(size - first < MOST_RUNS, "exits: too many")
    if self.operators[sender] and not self.batches[id].since:
        return self.assets.booked
    return max(self.ignored.value, 1)
"""


def test_what_a_decision_reads_is_found_through_local_names():
    function = ast.parse(FUNCTION).body[0]
    aliases = _find_attributes_by_local_name(function)
    read = set().union(*(_list_read_attribute_names(test, aliases) for test in _iter_tests(function)))
    assert {"unsettled", "collecting", "operators", "since"} <= read
    assert not read & {"booked", "ignored", "value"}
    compared = Counter(
        pair
        for test in _iter_tests(function)
        for pair in _iter_attribute_constant_comparisons(test, aliases, exit_batches)
    )
    assert set(compared) >= {("collecting", exit_batches.MOST_RUNS), ("unsettled", exit_batches.MOST_RUNS)}


def test_each_predicate_is_a_question_about_a_table_that_there_is():
    tables = {(each.contract, each.path): each.default for each in iter_model_storage_tables()}
    predicates = (*ENTRIES, *derive_model_state_predicates())
    for each in predicates:
        assert eval(each.text, {"v": tables[each.contract, each.path]}) in (True, False), each
    names = list_state_predicate_names()
    assert len(names) == len(set(names)) > 600
    for expected in (
        "PriceFeed configs.halted is set",
        "RedeemQueue line.batches.units is zero",
        "Workouts balances.left is zero",
        "Ledger ledger.deficit is set",
        "Administered roles.admin is set",
        f"Governed terms.collateral_types is at {2**8 - 32}",
    ):
        assert expected in names, expected
    assert "ERC20 erc20.nonces is set" not in names, "no decision reads how many permits there were"


class Remembering(StateObserver):
    """An observer that records the predicates that held at each look."""

    seen: list[int] | None = None

    def update_predicates(self, move: str) -> None:
        super().update_predicates(move)
        if self.seen is not None:
            self.seen.append(self.held)


@pytest.mark.deep(cases=1)
@pytest.mark.parametrize("index", range(4))
def test_what_is_followed_is_what_holds(index):
    """Followed slot by slot, the predicates equal those of the full state, and so do their pairs."""
    with open_host("revm") as host:
        machine = FuzzRun(host, derive_run_seed(31, index), check_every=0, traces=None)
        observer = Remembering(machine.scene)
        seen: list[int] = []
        observer.seen, machine.observer = seen, observer
        for number, _ in enumerate(machine.play_random_steps(600)):
            if number % 100 == 99:
                observer.update_predicates("")
                assert observer.held == StateObserver(machine.scene).held
    coverage = StateCoverage.from_run(observer)
    together = coverage.build_joint_bits_by_predicate()
    for held in seen:
        for place in list_places(held):
            assert together[place] & held == held
    assert coverage.count_pairs() > 10_000 and coverage.watched.total() > 20
    for place in list_places(seen[-1])[::20]:
        assert any(held >> place & 1 for held in seen)


def test_coverages_add_up_in_any_order_and_go_through_a_file():
    first = StateCoverage({1: 0b111, 2: 0b100}, Counter([1, 2]), Counter(["draw"]), {"draw": Counter([1])})
    second = StateCoverage(
        {0: 0b1001, 3: 0b1000}, Counter([0, 3]), Counter(["draw"]), {}, {"draw": Counter([2])}
    )
    sums = []
    for order in ((first, second), (second, first)):
        whole = StateCoverage()
        for each in order:
            whole.add_coverage(StateCoverage.from_json(each.to_json()))
        sums.append(whole)
    assert sums[0] == sums[1]
    assert sums[0].build_joint_bits_by_predicate() == {0: 0b1011, 1: 0b111, 2: 0b110, 3: 0b1001}
    assert sums[0].count_pairs() == 3
    assert (0, 1) not in sums[0].iter_missing_named_pairs() and (1, 3) in sums[0].iter_missing_named_pairs()
    text = "\n".join(sums[0].format_lines())
    assert f"of {len(list_state_predicate_names())} predicates held, 3 pairs together" in text
    assert f"{NAMED[4]}: never" in text and f"{NAMED[1]}: not together with {NAMED[3]}" in text
