"""What keepers do where positions are closed against lots of debtors: they rank, prove, execute, or share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backstop.deployment.signing import trader
from backstop.keepers.closing import submitted
from backstop.keepers.costs import measured
from backstop.keepers.cycles import batches
from backstop.keepers.keeper import Memory
from backstop.model.bounds import MIN_RANKED
from backstop.model.perpetual_ranking import PerpetualRanking
from backstop.model.price_path import SHORT
from tests.support.margin_world import ETH, MARGIN, Cycles, methods

SHORTS = ("first", "second", "third")
MANY = tuple(f"short_{number}" for number in range(30))


def fallen(policy: str, shorts: tuple[str, ...] = SHORTS) -> Cycles:
    """A long of 900 lots has failed against shorts; its loss is booked, its cycle is pending."""
    world = Cycles(policy=policy)
    lots = 900 // len(shorts)
    world.deposit("long", 500)
    for number, name in enumerate(shorts):
        world.deposit(name, lots * 5 // 3 + 200 * number)
        world.trade("long", name, lots)
    world.see(120)
    crank = world.keeper("margin_crank")
    world.work(crank)
    world.wait(MARGIN.window)
    world.work(crank)
    return world


@pytest.fixture
def ranked() -> Iterator[Cycles]:
    found = fallen("ranked")
    yield found
    found.close()


@pytest.fixture
def crowd() -> Iterator[Cycles]:
    """So many have gained that a ranking of them may come in two calls."""
    found = fallen("ranked", MANY)
    yield found
    found.close()


@pytest.fixture
def shared() -> Iterator[Cycles]:
    found = fallen("shared")
    yield found
    found.close()


def sizes(world: Cycles, shorts: tuple[str, ...] = SHORTS) -> list[int]:
    return [world.cycles.position(trader(name), ETH).size for name in shorts]


def test_one_call_ranks_and_one_closes(ranked: Cycles) -> None:
    assert sizes(ranked) == [-300] * 3
    called = ranked.work(ranked.keeper("deleverager"))
    assert methods(called) == ["submit", "execute"]
    assert sizes(ranked) == [0, 0, 0]
    # A third of the bond is for the proof and the execution.
    assert ranked.equity("long") == 0 and ranked.cycles.paid_in(called[0].action.sender) > 0


def proven(world: Cycles) -> None:
    """Have one keeper prove a ranking in calls as small as may be, and execute nothing."""
    one = world.keeper("deleverager", name="one", call_gas=measured("cycles: submit, each account"))
    for intent in list(one.decide(world.view, world.memory, 0)):
        if intent.action.method == "submit":
            assert world.run.apply(intent.action).ok
    closer = world.run.session.model.world.contracts["PerpetualCloser"]
    assert isinstance(closer, PerpetualRanking) and closer.cases[ETH, SHORT].prover == one.address
    assert closer.cases[ETH, SHORT].batches == 2


def test_a_ranking_comes_in_calls_that_fit_but_of_many(crowd: Cycles) -> None:
    each = measured("cycles: submit, each account")
    small = crowd.keeper("deleverager", call_gas=each)
    called = crowd.work(small)
    assert methods(called) == ["submit"] * 2 + ["execute"] * 2
    assert [len(call.action.args[2]) for call in called] == [MIN_RANKED, 6] * 2
    assert sizes(crowd, MANY) == [0] * 30


def test_anybody_executes_what_another_has_proven(crowd: Cycles) -> None:
    """The calls of a ranking are found again by their digests; for half of what bonds pay."""
    proven(crowd)
    another = crowd.keeper("deleverager", name="another")
    called = crowd.work(another)
    assert methods(called) == ["execute"] * 2 and sizes(crowd, MANY) == [0] * 30
    assert crowd.cycles.paid_in(another.address) > 0


def test_what_was_proven_is_executed_in_the_next_window(crowd: Cycles) -> None:
    """By whoever saw it: in the next window nobody has gained, and nobody submits."""
    proven(crowd)
    another = crowd.keeper("deleverager", name="another")
    # It sees what is proven, and is not mined.
    assert list(another.decide(crowd.view, crowd.memory, 0))
    crank = crowd.keeper("margin_crank")
    crowd.wait(MARGIN.window)
    crowd.work(crank)
    # Who was not there has not seen it.
    assert list(crowd.keeper("deleverager").decide(crowd.view, Memory(), 0)) == []
    called = list(another.decide(crowd.view, crowd.memory, 0))
    assert all(crowd.run.apply(intent.action).ok for intent in called)
    assert methods(called) == ["execute"] * 2 and sizes(crowd, MANY) == [0] * 30


def test_what_was_proven_before_the_last_window_is_left_alone(crowd: Cycles) -> None:
    proven(crowd)
    another, crank = crowd.keeper("deleverager", name="another"), crowd.keeper("margin_crank")
    assert list(another.decide(crowd.view, crowd.memory, 0))
    for _ in range(2):
        crowd.wait(MARGIN.window)
        crowd.work(crank)
    assert list(another.decide(crowd.view, crowd.memory, 0)) == [] and sizes(crowd, MANY) == [-30] * 30


def test_one_goes_on_with_its_own(crowd: Cycles) -> None:
    keeper = crowd.keeper("deleverager", call_gas=measured("cycles: submit, each account"))
    first = next(iter(keeper.decide(crowd.view, crowd.memory, 0)))
    assert first.action.method == "submit" and crowd.run.apply(first.action).ok
    called = crowd.work(keeper)
    assert methods(called) == ["submit"] + ["execute"] * 2


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
    assert submitted(closer, ETH, SHORT, [trader("long")]) == []


def test_calls_have_at_most_so_many_accounts() -> None:
    accounts = [f"0x{i:040x}" for i in range(300)]
    assert [len(each) for each in batches(accounts, 1_000)] == [128, 128, 44]
    assert [len(each) for each in batches(accounts[:5], 0)] == [1] * 5
    assert [len(each) for each in batches(accounts[:5], 0, least=2)] == [2, 2, 1]
    assert [len(each) for each in batches(accounts, 1_000, least=100)] == [128, 128, 44]


def test_calls_have_at_most_so_much_weight() -> None:
    """Whoever has more than a call may is alone in one."""
    weights = {"a": 1, "b": 2, "c": 3, "d": 9, "e": 4, "f": 1, "g": 1}
    found = batches(weights, 5, weights.__getitem__)
    assert found == [("a", "b"), ("c",), ("d",), ("e", "f"), ("g",)]
    assert batches([], 5) == []
