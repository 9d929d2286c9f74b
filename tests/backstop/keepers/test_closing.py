"""What keepers do where positions are closed against lots of debtors: they rank, prove, execute, or share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backstop.deployment.signing import trader
from backstop.keepers.closing import submitted
from backstop.keepers.costs import measured
from backstop.keepers.cycles import batches
from backstop.model.perpetual_ranking import PerpetualRanking
from backstop.model.price_path import SHORT
from tests.support.margin_world import ETH, Cycles, methods

SHORTS = ("first", "second", "third")


def fallen(policy: str) -> Cycles:
    """A long of 900 lots has failed against three shorts; its loss is booked, its cycle is pending."""
    world = Cycles(policy=policy)
    for name, coins in (("long", 500), ("first", 500), ("second", 700), ("third", 900)):
        world.deposit(name, coins)
    for name in SHORTS:
        world.trade("long", name, 300)
    world.see(120)
    crank = world.keeper("margin_crank")
    world.work(crank)
    world.wait(1_800)
    world.work(crank)
    return world


@pytest.fixture
def ranked() -> Iterator[Cycles]:
    found = fallen("ranked")
    yield found
    found.close()


@pytest.fixture
def shared() -> Iterator[Cycles]:
    found = fallen("shared")
    yield found
    found.close()


def sizes(world: Cycles) -> list[int]:
    return [world.cycles.position(trader(name), ETH).size for name in SHORTS]


def test_one_call_ranks_and_one_closes(ranked: Cycles) -> None:
    assert sizes(ranked) == [-300] * 3
    called = ranked.work(ranked.keeper("deleverager"))
    assert methods(called) == ["submit", "execute"]
    assert sizes(ranked) == [0, 0, 0]
    # A third of the bond is the prover's.
    assert ranked.equity("long") == 0 and ranked.cycles.paid_in(called[0].action.sender) > 0


def test_a_ranking_comes_in_calls_that_fit(ranked: Cycles) -> None:
    each = measured("cycles: submit, each account")
    small = ranked.keeper("deleverager", call_gas=each)
    called = ranked.work(small)
    assert methods(called) == ["submit"] * 3 + ["execute"] * 3
    assert all(len(call.action.args[2]) == 1 for call in called)
    assert sizes(ranked) == [0, 0, 0]


def test_anybody_executes_what_another_has_proven(ranked: Cycles) -> None:
    """The calls of a ranking are found again by their digests."""
    one = ranked.keeper("deleverager", name="one", call_gas=2 * measured("cycles: submit, each account"))
    for intent in list(one.decide(ranked.view, ranked.memory, 0)):
        if intent.action.method == "submit":
            assert ranked.run.apply(intent.action).ok
    closer = ranked.run.session.model.world.contracts["PerpetualCloser"]
    assert isinstance(closer, PerpetualRanking) and closer.cases[ETH, SHORT].prover == one.address
    called = ranked.work(ranked.keeper("deleverager", name="another"))
    assert set(methods(called)) == {"execute"} and sizes(ranked) == [0, 0, 0]


def test_one_goes_on_with_its_own(ranked: Cycles) -> None:
    keeper = ranked.keeper("deleverager", call_gas=measured("cycles: submit, each account"))
    first = next(iter(keeper.decide(ranked.view, ranked.memory, 0)))
    assert first.action.method == "submit" and ranked.run.apply(first.action).ok
    called = ranked.work(keeper)
    assert methods(called) == ["submit"] * 2 + ["execute"] * 3


def test_shares_are_closed_at_once(shared: Cycles) -> None:
    called = shared.work(shared.keeper("deleverager"))
    assert methods(called) == ["share"] and sizes(shared) == [0, 0, 0]


def test_nothing_is_wanted_where_nothing_is_nobodys_or_nobody_gained(ranked: Cycles) -> None:
    keeper = ranked.keeper("deleverager")
    ranked.work(keeper)
    assert list(keeper.decide(ranked.view, ranked.memory, 0)) == []
    plain = Cycles()
    assert list(plain.keeper("deleverager").decide(plain.view, plain.memory, 0)) == []
    plain.close()


def test_a_ranking_that_is_not_the_submitted_one_is_not_found(ranked: Cycles) -> None:
    keeper = ranked.keeper("deleverager")
    for intent in list(keeper.decide(ranked.view, ranked.memory, 0)):
        if intent.action.method == "submit":
            assert ranked.run.apply(intent.action).ok
    closer = ranked.run.session.model.world.contracts["PerpetualCloser"]
    assert isinstance(closer, PerpetualRanking)
    assert submitted(closer, ETH, SHORT, keeper.address, [trader("long")]) == []


def test_calls_have_at_most_so_many_accounts() -> None:
    accounts = [f"0x{i:040x}" for i in range(300)]
    assert [len(each) for each in batches(accounts, 1_000)] == [128, 128, 44]
    assert [len(each) for each in batches(accounts[:5], 0)] == [1] * 5


def test_calls_have_at_most_so_much_weight() -> None:
    """Whoever has more than a call may is alone in one."""
    weights = {"a": 1, "b": 2, "c": 3, "d": 9, "e": 4, "f": 1, "g": 1}
    found = batches(weights, 5, weights.__getitem__)
    assert found == [("a", "b"), ("c",), ("d",), ("e", "f"), ("g",)]
    assert batches([], 5) == []
