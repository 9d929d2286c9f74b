"""Keepers where positions are closed against debtors' lots: they rank, prove, execute, or share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backstop.deployment.devnet_trader_signatures import get_trader_account
from backstop.keepers.adl_keeper import find_submitted_batches_of_ranking
from backstop.keepers.call_costs import get_job_gas
from backstop.keepers.keeper_role_register import KeeperMemory
from backstop.keepers.margin_keepers import split_accounts
from backstop.model.bounds import MIN_RANKED
from backstop.model.price_path import SHORT
from backstop.model.ranked_deleveraging import RankedDeleveraging
from tests.support.margin_scenario import ETH, MARGIN, MarginScenario, list_intent_methods

SHORTS = ("first", "second", "third")
MANY = tuple(f"short_{number}" for number in range(30))


def fallen(policy: str, shorts: tuple[str, ...] = SHORTS) -> MarginScenario:
    """A long of 900 lots has failed against shorts; its loss is booked, its cycle is pending."""
    world = MarginScenario(policy=policy)
    lots = 900 // len(shorts)
    world.deposit_margin("long", 500)
    for number, name in enumerate(shorts):
        world.deposit_margin(name, lots * 5 // 3 + 200 * number)
        world.trade_at_mark("long", name, lots)
    world.set_reported_price(120)
    crank = world.build_keeper("margin_crank")
    world.run_keepers_until_idle(crank)
    world.pass_time(MARGIN.window)
    world.run_keepers_until_idle(crank)
    return world


@pytest.fixture
def ranked() -> Iterator[MarginScenario]:
    found = fallen("ranked")
    yield found
    found.close()


@pytest.fixture
def crowd() -> Iterator[MarginScenario]:
    """So many have gained that a ranking of them may come in two calls."""
    found = fallen("ranked", MANY)
    yield found
    found.close()


@pytest.fixture
def shared() -> Iterator[MarginScenario]:
    found = fallen("shared")
    yield found
    found.close()


def sizes(world: MarginScenario, shorts: tuple[str, ...] = SHORTS) -> list[int]:
    return [world.cycle_view.get_position(get_trader_account(name), ETH).size for name in shorts]


def test_one_call_ranks_and_one_closes(ranked: MarginScenario) -> None:
    assert sizes(ranked) == [-300] * 3
    called = ranked.run_keepers_until_idle(ranked.build_keeper("deleverager"))
    assert list_intent_methods(called) == ["submit", "execute"]
    assert sizes(ranked) == [0, 0, 0]
    # A third of the bond is for the proof and the execution.
    assert (
        ranked.read_equity("long") == 0
        and ranked.cycle_view.get_lifetime_net_deposits(called[0].action.sender) > 0
    )


def proven(world: MarginScenario) -> None:
    """Prove a ranking with one keeper, in calls of the smallest size, and execute nothing."""
    one = world.build_keeper("deleverager", name="one", call_gas=get_job_gas("cycles: submit, each account"))
    for intent in list(one.decide_calls(world.view, world.memory, 0)):
        if intent.action.method == "submit":
            assert world.run.apply(intent.action).ok
    closer = world.run.session.model.world.contracts["PerpetualCloser"]
    assert isinstance(closer, RankedDeleveraging) and closer.cases[ETH, SHORT].prover == one.address
    assert closer.cases[ETH, SHORT].batches == 2


def test_a_ranking_comes_in_calls_that_fit_but_of_many(crowd: MarginScenario) -> None:
    each = get_job_gas("cycles: submit, each account")
    small = crowd.build_keeper("deleverager", call_gas=each)
    called = crowd.run_keepers_until_idle(small)
    assert list_intent_methods(called) == ["submit"] * 2 + ["execute"] * 2
    assert [len(call.action.args[2]) for call in called] == [MIN_RANKED, 6] * 2
    assert sizes(crowd, MANY) == [0] * 30


def test_anybody_executes_what_another_has_proven(crowd: MarginScenario) -> None:
    """An executor finds the calls of a ranking by their digests, and gets half of the bonds' payment."""
    proven(crowd)
    another = crowd.build_keeper("deleverager", name="another")
    called = crowd.run_keepers_until_idle(another)
    assert list_intent_methods(called) == ["execute"] * 2 and sizes(crowd, MANY) == [0] * 30
    assert crowd.cycle_view.get_lifetime_net_deposits(another.address) > 0


def test_what_was_proven_is_executed_in_the_next_window(crowd: MarginScenario) -> None:
    """Any keeper that saw the proof executes it in the next window: no gains are there to submit."""
    proven(crowd)
    another = crowd.build_keeper("deleverager", name="another")
    # It sees what is proven, and is not mined.
    assert list(another.decide_calls(crowd.view, crowd.memory, 0))
    crank = crowd.build_keeper("margin_crank")
    crowd.pass_time(MARGIN.window)
    crowd.run_keepers_until_idle(crank)
    # Who was not there has not seen it.
    assert list(crowd.build_keeper("deleverager").decide_calls(crowd.view, KeeperMemory(), 0)) == []
    called = list(another.decide_calls(crowd.view, crowd.memory, 0))
    assert all(crowd.run.apply(intent.action).ok for intent in called)
    assert list_intent_methods(called) == ["execute"] * 2 and sizes(crowd, MANY) == [0] * 30


def test_what_was_proven_before_the_last_window_is_left_alone(crowd: MarginScenario) -> None:
    proven(crowd)
    another, crank = crowd.build_keeper("deleverager", name="another"), crowd.build_keeper("margin_crank")
    assert list(another.decide_calls(crowd.view, crowd.memory, 0))
    for _ in range(2):
        crowd.pass_time(MARGIN.window)
        crowd.run_keepers_until_idle(crank)
    assert list(another.decide_calls(crowd.view, crowd.memory, 0)) == [] and sizes(crowd, MANY) == [-30] * 30


def test_one_goes_on_with_its_own(crowd: MarginScenario) -> None:
    keeper = crowd.build_keeper("deleverager", call_gas=get_job_gas("cycles: submit, each account"))
    first = next(iter(keeper.decide_calls(crowd.view, crowd.memory, 0)))
    assert first.action.method == "submit" and crowd.run.apply(first.action).ok
    called = crowd.run_keepers_until_idle(keeper)
    assert list_intent_methods(called) == ["submit"] + ["execute"] * 2


def test_shares_are_closed_at_once(shared: MarginScenario) -> None:
    called = shared.run_keepers_until_idle(shared.build_keeper("deleverager"))
    assert list_intent_methods(called) == ["share"] and sizes(shared) == [0, 0, 0]


def test_nothing_is_wanted_where_nothing_is_nobodys_or_nobody_gained(ranked: MarginScenario) -> None:
    keeper = ranked.build_keeper("deleverager")
    ranked.run_keepers_until_idle(keeper)
    assert list(keeper.decide_calls(ranked.view, ranked.memory, 0)) == []
    plain = MarginScenario()
    assert list(plain.build_keeper("deleverager").decide_calls(plain.view, plain.memory, 0)) == []
    plain.close()


def test_a_ranking_that_is_not_the_submitted_one_is_not_found(ranked: MarginScenario) -> None:
    keeper = ranked.build_keeper("deleverager")
    for intent in list(keeper.decide_calls(ranked.view, ranked.memory, 0)):
        if intent.action.method == "submit":
            assert ranked.run.apply(intent.action).ok
    closer = ranked.run.session.model.world.contracts["PerpetualCloser"]
    assert isinstance(closer, RankedDeleveraging)
    assert find_submitted_batches_of_ranking(closer, ETH, SHORT, [get_trader_account("long")]) == []


def test_calls_have_at_most_so_many_accounts() -> None:
    accounts = [f"0x{i:040x}" for i in range(300)]
    assert [len(each) for each in split_accounts(accounts, 1_000)] == [128, 128, 44]
    assert [len(each) for each in split_accounts(accounts[:5], 0)] == [1] * 5
    assert [len(each) for each in split_accounts(accounts[:5], 0, least=2)] == [2, 2, 1]
    assert [len(each) for each in split_accounts(accounts, 1_000, least=100)] == [128, 128, 44]


def test_calls_have_at_most_so_much_weight() -> None:
    """An account above the weight limit of a call is alone in its call."""
    weights = {"a": 1, "b": 2, "c": 3, "d": 9, "e": 4, "f": 1, "g": 1}
    found = split_accounts(weights, 5, weights.__getitem__)
    assert found == [("a", "b"), ("c",), ("d",), ("e", "f"), ("g",)]
    assert split_accounts([], 5) == []
