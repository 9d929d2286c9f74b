"""The deleveraging queue before a roll: the order in which the contracts close accounts after it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from backstop.deployment.devnet_trader_signatures import sign_order
from backstop.errors import BackstopError
from backstop.keepers.deleveraging_queue import QueueEntry, SideQueue, build_deleveraging_queues
from backstop.model.account_owner import derive_account
from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from backstop.model.margin_orders import Order
from backstop.model.price_path import LONG, SHORT
from backstop.proof.local_protocol import LocalProtocol
from backstop.system import Action
from tests.support.market_delisting import announce_delisting
from tests.support.perpetual_test_market import (
    BTC,
    CLOSER,
    ETH,
    FUND,
    HOUSE,
    Perpetuals,
    deploy_perpetuals,
    deploy_perpetuals_on_model,
)

SHORTS = {
    # Deposits in stablecoins and lots, of which the accounts gain the same amount each.
    "small": (1_500, 100),
    "thin": (300, 50),
    "large": (20_000, 300),
    "twin": (5_000, 100),
    "other_twin": (5_000, 100),
    "closer": (5_000, 100),
}


def isolated(market: Perpetuals) -> str:
    """Return the account 1 of an owner."""
    return derive_account(market.get_contract_or_account_address("isolated"), 1)


def sell_isolated(market: Perpetuals, lots: int) -> None:
    """Sell lots of ETH from the owner's account 1 to `deep`, at the mark."""
    market.do(f"{HOUSE}.deposit", isolated(market), 800 * WAD, sender="rich")
    args: list[Any] = []
    for name, owner, size in (
        ("deep", market.get_contract_or_account_address("deep"), lots),
        ("isolated", isolated(market), -lots),
    ):
        order = Order(owner, ETH, size, market.price(ETH), MAX_UINT256, 999)
        args += [
            order,
            sign_order(
                name, order, market.world.chain_id, market.get_contract_or_account_address("MarginOrders")
            ),
        ]
    market.do("MarginOrders.fill", *args, lots, sender="matcher")


@pytest.fixture
def market(new_protocol: Callable[..., LocalProtocol]) -> Perpetuals:
    """Shorts gain 5 a lot and give 1 back; `weak`, long of 350 lots, owes. Two opened late and only lost."""
    made = deploy_perpetuals(new_protocol, third_bond=WAD, policy="ranked")
    for name, coins in (("weak", 1_000), ("deep", 100_000), ("late", 5_000), ("no_lots", 5_000)):
        made.deposit(name, coins * WAD)
    for name, (coins, lots) in SHORTS.items():
        made.deposit(name, coins * WAD)
        made.trade("weak" if name in ("large", "thin") else "deep", name, lots)
    sell_isolated(made, 50)
    made.mark(ETH, 15 * WAD)
    made.trade("deep", "late", 70)
    made.trade("closer", "deep", 100)
    made.mark(ETH, 16 * WAD)
    return made


def queue(market: Perpetuals, side: int = SHORT, m: int = ETH, **more: bool) -> SideQueue:
    """Return the queue of a side of a market."""
    (found,) = [
        each
        for each in build_deleveraging_queues(market.model, **more)
        if (each.market, each.side) == (m, side)
    ]
    return found


def ranked(found: SideQueue) -> list[str]:
    """Return the owners with a place, in its order."""
    return [each.owner for each in found.places if each.place]


def place(found: SideQueue, owner: str) -> QueueEntry:
    (one,) = [each for each in found.places if each.owner == owner]
    return one


def closed(market: Perpetuals, side: int, m: int = ETH) -> list[tuple[str, int]]:
    """Have the contracts rank and close; return which accounts lost how many lots, in the order of events."""
    ranking = market.list_ranking(side, m)
    market.submit(side, ranking, market=m)
    outcome = market.system.apply(
        Action(CLOSER, "execute", (m, side, ranking), market.get_contract_or_account_address("keeper"))
    )
    assert outcome.ok, outcome.reason
    return [(log.values[0], abs(log.values[2])) for log in outcome.logs if log.event == "Deleveraged"]


def expected(found: SideQueue, lots: int) -> list[tuple[str, int]]:
    """Return which accounts a queue says are closed against so many lots."""
    wanted = []
    for each in found.places:
        part = min(each.lots, lots) if each.place else 0
        lots -= part
        wanted += [(each.owner, part)] if part else []
    return wanted


def test_the_order_before_the_roll_is_that_in_which_contracts_close_after_it(market: Perpetuals) -> None:
    before = queue(market)
    market.seize_insolvent("weak")
    seized = queue(market)
    assert seized.unassigned == 350 and before.unassigned == 0
    assert [each[:4] for each in seized.places] == [each[:4] for each in before.places]
    market.advance_cycle()
    market.seize_insolvent("weak")
    market.report_current_prices_again()
    assert queue(market, uses_pending_cycle=True).places == seized.places
    # `closer` gained as well and ranks, but has no lots that could be closed.
    order = market.list_ranking(SHORT)
    assert market.get_contract_or_account_address(
        "closer"
    ) in order and market.get_contract_or_account_address("closer") not in ranked(before)
    assert [owner for owner in order if owner != market.get_contract_or_account_address("closer")] == ranked(
        before
    )
    did = closed(market, SHORT)
    assert did == expected(before, 350) and len(did) > 3
    # The last of them is closed in part.
    assert sum(lots for _, lots in did) == 350 and did[-1][1] < place(before, did[-1][0]).lots


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_a_crowd_at_random_is_that_after_the_roll(
    new_protocol: Callable[..., LocalProtocol], seed: int
) -> None:
    """Accounts in two markets, some of which slept for a cycle, turned round, closed, or paid in."""
    draw, made = random.Random(seed), deploy_perpetuals(new_protocol, third_bond=WAD, policy="ranked")
    names = [f"trader_{i}" for i in range(12)]
    for name in names:
        made.deposit(name, draw.randrange(500, 8_000) * WAD)
    marks = {m: made.price(m) for m in (ETH, BTC)}
    for turn in range(6):
        for _ in range(12):
            maker, taker = draw.sample(names, 2)
            made.trades(maker, taker, draw.randrange(1, 40), draw.choice((ETH, BTC)))
        made.deposit(draw.choice(names), draw.randrange(1, 500) * WAD)
        for m in marks:
            marks[m] += marks[m] * draw.randrange(-9, 10) // 100
            made.mark(m, marks[m])
        made.seize_repeatedly_and_count_rounds()
        if turn in (1, 3):
            made.advance_cycle()
    before = build_deleveraging_queues(made.model)
    made.advance_cycle()
    made.wake_all()
    for found in before:
        ranking = made.list_ranking(found.side, found.market)
        held = {each.owner for each in found.places}
        assert ranked(found) == [owner for owner in ranking if owner in held]
        for each in found.places:
            gains = made.do(f"{HOUSE}.gains_of", each.owner, found.market, sender="keeper")
            assert (each.gain, each.worth) == (gains[1 + found.side], gains.worth)
    assert sum(each.place > 0 for found in before for each in found.places) > 8


def test_scores_are_gains_over_what_accounts_are_worth(market: Perpetuals) -> None:
    found = queue(market)
    twins = sorted(
        (
            market.get_contract_or_account_address("twin"),
            market.get_contract_or_account_address("other_twin"),
        ),
        key=lambda each: -int(each, 16),
    )
    leading = [
        market.get_contract_or_account_address("thin"),
        market.get_contract_or_account_address("small"),
        isolated(market),
    ]
    assert ranked(found) == [*leading, *twins, market.get_contract_or_account_address("large")]
    assert [each.place for each in found.places] == [1, 2, 3, 4, 5, 6, 0]
    first, small = found.places[0], place(found, market.get_contract_or_account_address("small"))
    # 50 lots gained 5 each and lost 1; a bond of three thirds is out of the account.
    assert (first.gain, first.worth) == (250 * WAD, (300 - 3 + 200) * WAD)
    assert first.score == 250 * 10**9 // 497 and small.score == 500 * 10**9 // (1_500 - 3 + 400)


def test_equal_scores_go_by_address_the_higher_first(market: Perpetuals) -> None:
    found = queue(market)
    one, other = (
        place(found, market.get_contract_or_account_address("twin")),
        place(found, market.get_contract_or_account_address("other_twin")),
    )
    assert one.score == other.score and (one.place < other.place) == (
        int(one.owner, 16) > int(other.owner, 16)
    )


def test_accounts_without_a_gain_come_last_and_without_a_place(market: Perpetuals) -> None:
    late = queue(market).places[-1]
    assert late.owner == market.get_contract_or_account_address("late") and late.lots == 70
    assert (late.place, late.gain, late.score, late.light) == (0, 0, 0, 0)
    assert late.lots_before == queue(market).lots - 70
    assert market.get_contract_or_account_address("no_lots") not in [
        each.owner for each in queue(market).places
    ]


def test_lights_are_fifths_of_the_lots_that_come_before(market: Perpetuals) -> None:
    """Each has the light of its first lot: of `large` that is the 401st of 770, though it has 300."""
    found = queue(market)
    assert found.lots == 770 == sum(each.lots for each in found.places)
    assert [each.lots_before for each in found.places] == [0, 50, 150, 200, 300, 400, 700]
    assert [each.light for each in found.places] == [5, 5, 5, 4, 4, 3, 0]


def test_a_light_goes_out_at_each_fifth() -> None:
    """Ten lots of one account each: two accounts with each number of lights."""
    made = deploy_perpetuals_on_model(deleveraging_policy="ranked")
    made.report_current_prices_again()
    made.deposit("long", 10_000 * WAD)
    for i in range(10):
        made.deposit(f"short_{i}", (100 + i) * WAD)
        made.trade("long", f"short_{i}", 1)
    made.mark(ETH, 19 * WAD)
    assert [each.light for each in queue(made).places] == [5, 5, 4, 4, 3, 3, 2, 2, 1, 1]
    assert ranked(queue(made)) == [made.get_contract_or_account_address(f"short_{i}") for i in range(10)]


def test_each_side_has_its_own_queue(market: Perpetuals) -> None:
    """Longs gained 1 a lot as the price came back from 15 to 16; one account holds 570 of these lots."""
    found = queue(market, LONG)
    assert ranked(found)[0] == market.get_contract_or_account_address("weak")  # which owes
    assert place(found, market.get_contract_or_account_address("weak")).worth < 0
    deep = place(found, market.get_contract_or_account_address("deep"))
    assert (deep.place, deep.lots, deep.gain) == (2, 420, 420 * WAD)
    empty = queue(market, LONG, BTC)
    assert (empty.lots, empty.places) == (0, ())


def test_nothing_of_it_stays(market: Perpetuals) -> None:
    state, at = market.model.snapshot(), market.world.timestamp
    journal = len(market.world.journal)
    for pending in (False, True):
        build_deleveraging_queues(market.model, uses_pending_cycle=pending)
    assert market.model.snapshot() == state
    assert (market.world.timestamp, len(market.world.journal), market.world.logs) == (at, journal, [])


def test_insurance_that_pays_at_the_roll_counts(market: Perpetuals) -> None:
    """Haircuts of the pending cycle lower the worth of accounts, less by the part that insurance pays."""
    market.do(f"{FUND}.insure", 100 * WAD, sender="rich")
    market.seize_insolvent("weak")
    market.advance_cycle()
    market.seize_insolvent("weak")
    assert sum(market.market.losses[ETH, market.market.clocks[()].cycle - 1]) > 100 * WAD
    market.mark(ETH, 14 * WAD)
    before = queue(market)
    market.advance_cycle()
    market.wake_all()
    owners = [each.owner for each in before.places]
    gains = [market.do(f"{HOUSE}.gains_of", owner, ETH, sender="keeper") for owner in owners]
    assert [(each.gain, each.worth) for each in before.places] == [(each.short, each.worth) for each in gains]
    assert list(market.list_ranking(SHORT)) == ranked(before)


def test_a_silent_market_counts_at_its_last_mark(market: Perpetuals) -> None:
    for name, lots in (("small", 3), ("twin", 20)):
        market.trade("deep", name, lots, market=BTC)
    market.mark(BTC, 50 * WAD)
    market.advance_clock(61)
    market.mark(ETH, 16 * WAD)
    silent, live = queue(market, SHORT, BTC), queue(market)
    assert (silent.has_price, silent.mark, live.has_price) == (False, 50 * WAD, True)
    assert ranked(silent) == [
        market.get_contract_or_account_address("twin"),
        market.get_contract_or_account_address("small"),
    ]
    market.advance_cycle()
    assert list(market.list_ranking(SHORT, BTC)) == ranked(silent)


def test_reports_that_no_call_has_marked_yet_count(market: Perpetuals) -> None:
    """`late` sold at 15 and gains as the price falls to 14, which reporters have said and no market knows."""
    market.report(ETH, 1_400 * RAY)
    assert market.price(ETH) == 16 * WAD
    found = queue(market)
    assert (
        found.mark == 14 * WAD
        and place(found, market.get_contract_or_account_address("late")).gain == 2 * 70 * WAD
    )


def test_a_market_that_has_ended_has_no_queue() -> None:
    made = deploy_perpetuals_on_model(deleveraging_policy="ranked")
    made.report_current_prices_again()
    for name in ("long", "short"):
        made.deposit(name, 1_000 * WAD)
    made.trade("long", "short", 10)
    at = announce_delisting(made)
    made.advance_clock(at - made.world.timestamp)
    for _ in range(7):
        made.advance_clock(3_600)
        for feed in (ETH, BTC):
            made.report(feed, 2_000 * RAY)
            made.apply_call_and_report_success("PriceFeed.poke", feed, sender="keeper")
    made.do(f"{HOUSE}.end_market", ETH, sender="keeper")
    assert {each.market for each in build_deleveraging_queues(made.model)} == {BTC}


def test_a_cycle_that_cannot_end_is_one_line() -> None:
    """Here the market holds less than the fees that a roll hands over."""
    made = deploy_perpetuals_on_model(deleveraging_policy="ranked")
    made.report_current_prices_again()
    made.market.fee_table[()] = made.market.holdings[()] = 1
    state = made.model.snapshot()
    with pytest.raises(BackstopError, match=r"^the open cycle cannot end: erc20: "):
        build_deleveraging_queues(made.model)
    assert made.model.snapshot() == state
