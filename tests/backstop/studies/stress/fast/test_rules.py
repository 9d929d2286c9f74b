"""The compiled rules are those of the model: the same prices, takes and plans, but for rounding."""

from __future__ import annotations

from contextlib import suppress
from random import Random
from typing import cast

import numpy as np
import pytest

from backstop.contract_base import RevertError, World
from backstop.keepers.auction_purchases import find_best_take
from backstop.keepers.keeper_view import KeeperView
from backstop.keepers.view_records import Auction, ConstantProductPool
from backstop.model import dutch_auction
from backstop.model.arithmetic import RAY, WAD
from backstop.model.price_feed import PriceFeed
from backstop.studies.stress.fast import auction_kernel, kernel, liquidations, loss_kernel, pricing
from backstop.studies.stress.fast.kernel_tables import (
    AUCTION,
    EVENT,
    GROUP,
    KEEPER,
    REDISTRIBUTION,
    REPORT,
    SETTING,
    STAGE,
    SYSTEM,
    TERMS,
    TYPE,
    VAULT,
    WISH,
)
from backstop.studies.stress.fast.liquidations import _pop_largest_debt_vault, _push_vault_by_debt

CLOSE = 1e-9


def terms_of(random: Random) -> tuple[dutch_auction.Terms, np.ndarray]:
    """Terms of an auction, for both."""
    terms = dutch_auction.Terms(
        curve=random.randrange(3),
        period=random.choice((90, 6_000)),
        cut=RAY * random.choice((99, 98)) // 100,
        tail=random.randrange(600, 9_000),
        cusp=random.randrange(1_000, 9_000),
        buf=random.randrange(10_000, 14_000),
        penalty=11_300,
        minimum=random.randrange(1_000, 20_000),
        tip=100,
        chip=10,
        decimals=18,
    )
    table = np.zeros(1, dtype=TERMS)
    for name in ("curve", "period", "tail", "minimum"):
        table[name] = getattr(terms, name)
    table["cut"], table["cusp"], table["buf"] = terms.cut / RAY, terms.cusp / 10_000, terms.buf / 10_000
    table["fee"] = 0.003
    return terms, table


def test_prices_fall_alike() -> None:
    random = Random(1)
    for _ in range(300):
        terms, table = terms_of(random)
        top, elapsed = random.randrange(RAY, 5_000 * RAY), random.randrange(0, 10_000)
        price, due = terms.price(top, elapsed)
        fast = pricing.auction_price(table[0], top / RAY, float(elapsed))
        assert fast == pytest.approx(price / RAY, rel=CLOSE, abs=1e-20)
        assert pricing.needs_reset(table[0], top / RAY, fast, float(elapsed)) == due


def auction_of(random: Random, terms: dutch_auction.Terms) -> tuple[Auction, np.ndarray]:
    lot, top = random.randrange(WAD, 500 * WAD), random.randrange(100 * RAY, 4_000 * RAY)
    target = lot * top // RAY * random.randrange(50, 110) // 100
    price = top * random.randrange(40, 100) // 100
    table = np.zeros(1, dtype=AUCTION)
    table["lot"], table["target"] = lot / WAD, target / WAD
    table["top"], table["price"] = top / RAY, price / RAY
    return Auction(1, 0, lot, target, top, 0, price, False, target * RAY, 0, 0), table


def test_takes_buy_alike() -> None:
    random, taken = Random(2), 0
    for _ in range(2_000):
        terms, table = terms_of(random)
        auction, fast = auction_of(random, terms)
        amount = random.randrange(1, 2 * auction.lot)
        try:
            fill = dutch_auction.compute_take_fill(
                terms, auction.lot, auction.target, auction.top, auction.price, amount, auction.price
            )
        except RevertError:
            fill = dutch_auction.Fill(0, 0, auction.target)
        bought, paid, rest = pricing.compute_fill(table[0], fast[0], fast[0]["price"], amount / WAD)
        assert bought == pytest.approx(fill.collateral / WAD, rel=CLOSE)
        assert paid == pytest.approx(fill.paid / WAD, rel=CLOSE)
        assert rest == pytest.approx(fill.rest / WAD, rel=CLOSE, abs=1e-6)
        taken += bought > 0
    assert 500 < taken < 2_000


class Known:
    """A view that knows the terms."""

    def __init__(self, terms: dutch_auction.Terms) -> None:
        self.terms = terms

    def get_terms_at_start(self, auction: Auction) -> dutch_auction.Terms:
        return self.terms


def test_takers_plan_alike() -> None:
    random, planned = Random(3), 0
    for _ in range(1_000):
        terms, table = terms_of(random)
        auction, fast = auction_of(random, terms)
        stable = random.randrange(10**4, 10**7) * WAD
        spot = auction.price * random.randrange(90, 140) // 100
        # Every third market does not hold all of its reserve.
        virtual = stable * random.randrange(100) // 100 if random.randrange(3) == 0 else 0
        pool = ConstantProductPool("", "", stable * RAY // spot, stable, 30, 1, virtual)
        amount = pool.compute_best_amount(auction.price)
        plan = find_best_take(
            cast(KeeperView, Known(terms)), auction, amount, 1 << 255, pool.compute_proceeds
        )
        coins, money, missing = pool.collateral / WAD, pool.stable / WAD, virtual / WAD
        wanted = pricing.best_amount(coins, money, missing, 0.003, auction.price / RAY)
        assert wanted == pytest.approx(amount / WAD, rel=CLOSE, abs=1e-9)
        profit, asked, _, paid = auction_kernel._plan_take(
            table[0], fast[0], wanted, auction_kernel.ENDLESS, 0.0, coins, money, missing
        )
        if plan is None:
            assert asked == 0
            continue
        planned += 1
        assert profit == pytest.approx(plan.profit / WAD, rel=1e-6, abs=1e-3)
        assert asked == pytest.approx(plan.max_amount / WAD, rel=1e-6)
        assert paid == pytest.approx(plan.fill.paid / WAD, rel=1e-6)
    assert planned > 500


ADMIN = "0x" + "22" * 20
REPORTERS = tuple(f"0x{i:040x}" for i in range(1, 4))


def test_the_feed_steps_alike() -> None:
    random = Random(4)
    for _ in range(20):
        world = World(1_700_000_000, 31_337)
        feed = PriceFeed(world, "PriceFeed", "0x" + "11" * 20, ADMIN)
        step, stale, window = random.randrange(60, 3_600), random.randrange(3_600, 9_000), 7_200
        quorum = 3
        feed.set_market(ADMIN, 0, REPORTERS, quorum, step, 3_000, stale, window)
        table, kinds, reports = np.zeros(1, dtype=TERMS), np.zeros(1, dtype=TYPE), np.zeros(3, dtype=REPORT)
        table["quorum"] = quorum
        table["step"], table["max_age"], table["stale_after"], table["window"] = step, 3_000, stale, window
        for _ in range(2):
            world.timestamp += 50_000
            for reporter in REPORTERS:
                feed.report(reporter, 0, 200 * RAY)
            feed.poke(REPORTERS[0], 0)
        opened = world.timestamp
        pricing.initialise_feed_state(kinds[0], table[0], reports, 200.0, -50_000.0, 0.0)
        for _ in range(60):
            world.timestamp += random.randrange(1, 4_000)
            now = float(world.timestamp - opened)
            for r in range(3):
                if random.randrange(3):
                    price = random.randrange(50, 300)
                    feed.report(REPORTERS[r], 0, price * RAY)
                    reports[r]["price"], reports[r]["at"] = price, now
            with suppress(RevertError):
                feed.poke(REPORTERS[0], 0)
            pricing.poke_feed(kinds[0], table[0], reports, now)
            world.timestamp += 17
            now += 17
            assert pricing.get_fresh_price_or_zero(kinds[0], now) == feed.current_price("", 0) / RAY
            weighted = pricing.compute_time_weighted_price(kinds[0], now)
            assert weighted == pytest.approx(feed.time_weighted("", 0) / RAY, rel=CLOSE)


def one(dtype, **fields) -> np.ndarray:
    table = np.zeros(1, dtype=dtype)
    for name, value in fields.items():
        table[name] = value
    return table


@pytest.mark.parametrize(("debt", "room", "taken"), [(100, 95, 100), (100, 60, 60), (100, 8, 0), (9, 4, 9)])
def test_a_part_leaves_a_debt_of_the_floor_and_is_one(debt, room, taken) -> None:
    terms = one(TERMS, ratio=1.5, floor=10, limit=room, penalty=0.13, buf=1.2, chip=0.001, last=1)
    setting, system, kind = one(SETTING, limit=1e9), one(SYSTEM, reserve=1e9), one(TYPE, rate=1, art=debt)
    vault = one(VAULT, debt=debt, locked=50, trigger=1.5 * debt / 50)
    sale = one(AUCTION)
    args = terms[0], setting[0], kind[0], system[0], vault[0], sale, 0, 0
    assert liquidations.liquidate_vault(*args, 1.4 * debt / 50, 60.0)
    assert system[0]["liquidated"] == taken
    assert kind[0]["in_auction"] == taken
    assert vault[0]["debt"] == debt - taken
    assert vault[0]["locked"] == pytest.approx(50 * (1 - taken / debt))
    assert sale[0]["target"] == pytest.approx(taken * 1.13)


def test_a_safe_vault_stays() -> None:
    terms = one(TERMS, ratio=1.5, limit=1e9)
    vault = one(VAULT, debt=100, locked=50, trigger=3)
    system = one(SYSTEM)
    for price in (3.0, 0.0):  # at the line, and without a price
        parts = terms[0], one(SETTING, limit=1e9)[0], one(TYPE, rate=1)[0], system[0], vault[0]
        assert liquidations.liquidate_vault(*parts, one(AUCTION), 0, 0, price, 0.0)
    assert system[0]["liquidations"] == 0


def test_what_is_left_of_a_lot_goes_back_to_the_vault() -> None:
    terms, system = one(TERMS, ratio=1.5), one(SYSTEM, in_auction=100, supply=500)
    kind = one(TYPE, rate=1, lots=50, in_auction=100)
    vault = one(VAULT, debt=40, locked=20, trigger=3)
    sale = one(AUCTION, lot=50, target=113, penalty=13)
    auction_kernel.book_take(terms[0], kind[0], system[0], sale[0], vault[0], 30.0, 60.0)
    assert (kind[0]["in_auction"], kind[0]["buffer"], kind[0]["lots"]) == (40, 0, 20)
    auction_kernel.book_take(terms[0], kind[0], system[0], sale[0], vault[0], 12.0, 53.0)
    assert (kind[0]["in_auction"], kind[0]["buffer"], kind[0]["lots"]) == (0, 13, 0)
    assert system[0]["supply"] == 500 - 113
    assert (vault[0]["locked"], vault[0]["trigger"]) == (28, pytest.approx(60 / 28))


def test_the_heap_gives_the_largest_debt_first() -> None:
    vaults = np.zeros(200, dtype=VAULT)
    vaults["debt"] = np.random.default_rng(5).random(200)
    heap = np.zeros(200, dtype=np.int64)
    for v in range(200):
        _push_vault_by_debt(vaults, heap, v, v)
    popped = []
    for left in range(200, 0, -1):
        popped.append(_pop_largest_debt_vault(vaults, heap, left))
        vaults[popped[-1]]["debt"] = 0  # what is sold leaves the others in order
        if left % 3 == 0:
            vaults[heap[left // 2]]["debt"] = 0
    assert sorted(popped) == list(range(200))
    assert (np.diff(vaults["weight"][popped]) <= 0).all()


def test_what_redistribution_adds_counts_in_its_epoch_and_the_next() -> None:
    terms, setting = one(TERMS, redistribution=0.1), one(SETTING, epoch=100)
    kind, stages, events = one(TYPE, art=1_000, rate=1, deficit=1_000, epoch=-1), one(STAGE), one(EVENT)
    stages["kind"], stages["cap"], stages["share"] = REDISTRIBUTION, np.inf, 1
    paid = []
    for now in (10.0, 90.0, 110.0, 210.0, 350.0):
        before = float(kind[0]["deficit"])
        loss_kernel.turn_epoch(setting[0], kind[0], stages, events, now)
        loss_kernel.pay_deficit_from_stages(terms[0], kind[0], one(SYSTEM)[0], stages, events, now)
        paid.append(before - float(kind[0]["deficit"]))
    assert paid == pytest.approx([100, 0, 0, 110, 0])


def find_unsafe(
    vaults: np.ndarray, found: int, *, are_vaults_unordered: bool = False, **state: float
) -> list[int]:
    """Return the vaults that are found at a price of 1, in order, by an engine that begins."""
    heap, places = np.zeros(len(vaults), dtype=np.int64), np.zeros(found, dtype=np.int64)
    terms, setting = one(TERMS, limit=state.pop("limit", 1e9), last=len(vaults)), one(SETTING, limit=1e9)
    args = terms[0], setting[0], one(TYPE, rate=1, **state)[0], one(SYSTEM)[0], vaults, heap, heap.copy(), 1.0
    return places[: liquidations.find_unsafe_vaults(*args, places, are_vaults_unordered)].tolist()


def test_equal_debts_are_liquidated_by_the_address_of_their_owners() -> None:
    vaults = np.zeros(60, dtype=VAULT)
    random = Random(3)
    vaults["debt"] = [random.randrange(1, 6) for _ in range(60)]
    vaults["rank"] = random.sample(range(60), 60)
    vaults["trigger"] = vaults["opening_trigger"] = np.linspace(2, 0.5, 60)
    unsafe = [v for v in range(60) if vaults["trigger"][v] > 1]
    ordered = sorted(unsafe, key=lambda v: (-vaults["debt"][v], vaults["rank"][v]))
    assert 30 < len(ordered) < 60
    assert find_unsafe(vaults.copy(), 60) == ordered
    assert find_unsafe(vaults.copy(), 7) == ordered[:7]


def test_a_vault_whose_owner_drew_more_is_found_among_safe_ones() -> None:
    vaults = np.zeros(3, dtype=VAULT)
    vaults["debt"], vaults["rank"] = (90, 80, 70), (0, 1, 2)
    vaults["opening_trigger"], vaults["trigger"] = (0.9, 0.8, 0.7), (0.9, 0.5, 1.1)
    assert find_unsafe(vaults.copy(), 3) == []
    assert find_unsafe(vaults, 3, are_vaults_unordered=True) == [2]


def test_no_vault_is_looked_for_while_no_more_may_go_under_auction() -> None:
    vaults = np.zeros(3, dtype=VAULT)
    vaults["debt"], vaults["trigger"], vaults["opening_trigger"], vaults["rank"] = 100, 2, 2, (0, 1, 2)
    assert find_unsafe(vaults, 3, limit=50, in_auction=50) == []
    assert not vaults["state"].any()
    assert find_unsafe(vaults, 3, limit=51, in_auction=50) == [0, 1, 2]


def test_a_vault_of_which_a_part_was_sold_moves_down() -> None:
    """By its debt now, as in the keepers' view, not by its debt when it became unsafe."""
    vaults = np.zeros(3, dtype=VAULT)
    vaults["debt"], vaults["rank"] = (90, 80, 70), (0, 1, 2)
    vaults["trigger"] = vaults["opening_trigger"] = 2
    heap, places = np.zeros(3, dtype=np.int64), np.zeros(3, dtype=np.int64)
    terms, kind = one(TERMS, limit=1e9, last=3), one(TYPE, rate=1)
    args = (
        terms[0],
        one(SETTING, limit=1e9)[0],
        kind[0],
        one(SYSTEM)[0],
        vaults,
        heap,
        heap.copy(),
        1.0,
        places,
        False,
    )
    assert liquidations.find_unsafe_vaults(*args) == 3 and places.tolist() == [0, 1, 2]
    vaults[0]["debt"] = 75
    assert liquidations.find_unsafe_vaults(*args) == 3 and places.tolist() == [1, 0, 2]


def test_a_vault_that_got_a_lot_back_is_found_at_a_lower_price() -> None:
    """It is safe at first, and the scan has passed it; its first trigger says nothing any more."""
    vaults = one(VAULT, debt=90, locked=60, trigger=2, opening_trigger=2)
    heap, places = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
    terms, kind = one(TERMS, limit=1e9, ratio=1.5, last=1), one(TYPE, rate=1, lots=90)
    state = terms[0], one(SETTING, limit=1e9)[0], kind[0], one(SYSTEM)[0]
    found = []
    for price in (1.8, 1.8, 1.2, 0.8):
        found.append(liquidations.find_unsafe_vaults(*state, vaults, heap, heap.copy(), price, places, False))
        if len(found) == 1:
            liquidations.return_lot(terms[0], kind[0], vaults[0], 90.0)
    assert found == [1, 0, 0, 1]


def test_auctions_side_by_side_have_each_its_own_price() -> None:
    """Of any type, curve and age: values that neighbours share are worked out once."""
    random = Random(8)
    tables = [terms_of(random)[1] for _ in range(6)]
    for curve, table in enumerate(tables):
        table["curve"] = curve % 3
    terms, system = np.concatenate(tables), one(SYSTEM, auctions=200)
    auctions = np.zeros(200, dtype=AUCTION)
    for auction in auctions:
        auction["type"], auction["since"] = random.randrange(6), 90 * random.randrange(2)
        auction["top"] = random.randrange(1, 5_000)
    auction_kernel.update_prices(terms, system[0], auctions, 360.0)
    for auction in auctions:
        here, elapsed = terms[auction["type"]], 360.0 - auction["since"]
        assert auction["price"] == pricing.auction_price(here, auction["top"], elapsed)
        assert auction["due"] == pricing.needs_reset(here, auction["top"], auction["price"], elapsed)
    assert len(set(auctions["price"])) > 150


def test_the_cheapest_auctions_come_first() -> None:
    random = Random(4)
    keys = np.array([float(random.randrange(20)) for _ in range(101)])
    places = np.array(random.sample(range(101), 101))
    expected = sorted(zip(keys.tolist(), places.tolist(), strict=True))
    for root in reversed(range(50)):
        auction_kernel.sink_heap_entry(keys, places, 101, root)
    found = []
    for left in reversed(range(101)):
        found.append((float(keys[0]), int(places[0])))
        keys[0], places[0] = keys[left], places[left]
        auction_kernel.sink_heap_entry(keys, places, left, 0)
    assert found == expected


def test_bidders_without_enough_money_plan_nothing_that_a_plan_would_give_them() -> None:
    """An auction left out before planning has no take with the least profit; all others are planned."""
    random, wished, left_out = Random(6), 0, 0
    for _ in range(200):
        _, terms = terms_of(random)
        auctions = np.zeros(12, dtype=AUCTION)
        for at, auction in enumerate(auctions):
            auction["id"], auction["lot"], auction["top"] = at, random.randrange(1, 50), 1_300
            auction["price"], auction["target"] = random.randrange(900, 1_010), random.randrange(10**4, 10**5)
        group, keepers = one(GROUP, number=2, most=20, takes_at=1.1, profit=40), np.zeros(2, dtype=KEEPER)
        money = [random.randrange(1, 3_000), random.randrange(1, 100_000)]
        keepers["budget"] = money
        wishes, expected = np.zeros((2, 20), dtype=WISH), list[tuple[int, int, float]]()
        for at, auction in enumerate(auctions):
            i = at % 2
            args = min(auction["lot"], money[i] / auction["price"]), float(money[i]), 1_000.0, 0.0, 0.0, 0.0
            profit, asked, _, paid = auction_kernel._plan_take(terms[0], auction, *args)
            if asked and profit >= 40 + 3:
                money[i] -= paid
                expected.append((i, at, asked))
        system, prices = one(SYSTEM, auctions=12), np.array([1_000.0])
        auction_kernel.add_bidder_take_wishes(
            terms, group[0], 3.0, prices, system[0], auctions, keepers, wishes, wishes.copy(), 1, np.zeros(2)
        )
        made = [
            (i, int(wish["what"]), float(wish["amount"]))
            for i in range(2)
            for wish in wishes[i, : keepers[i]["wishes"]]
        ]
        assert made == sorted(expected)
        wished, left_out = wished + len(made), left_out + 12 - len(made)
    assert wished > 300 and left_out > 300


@pytest.mark.parametrize(
    ("thins", "depth", "expected"),
    [(1, 500.0, 500.0), (1, 994.0, 1_000.0), (1, 992.0, 992.0), (1, 1_500.0, 1_500.0), (0, 500.0, 1_000.0)],
)
def test_a_market_that_thins_out_is_refilled_without_a_gap(thins, depth, expected) -> None:
    """Where it is off its depth by more than its tolerance of 0.75%; the surplus goes to the maker."""
    terms, kind, system = (np.zeros(1, dtype=each) for each in (TERMS, TYPE, SYSTEM))
    terms["every"] = terms["recovery"] = 300
    terms["tolerance"], terms["thins"], system["maker"] = 0.0075, thins, 10_000.0
    for time, deep in ((0, 1_000.0), (300, depth)):
        kernel._narrow_gap_to_outside_price(terms[0], kind[0], system[0], 50.0, deep, 1.0, time)
    assert (kind["money"], kind["coins"] * 50, kind["virtual"]) == (expected, expected, 0)
    assert system["maker"] == 10_000 - expected
