"""Indexes that are carried from action to action agree with a full scan."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstop.keepers.auction_purchases import (
    can_be_profitable,
    compute_discount_key,
    find_best_take,
    iter_cheapest_auctions,
    list_candidate_auctions_by_age,
)
from backstop.keepers.keeper_group_settings import GasPolicy, KeeperGroup
from backstop.keepers.keeper_role_register import UNLIMITED, Keeper
from backstop.keepers.keeper_view import KeeperView
from backstop.keepers.ongoing_table_records import OngoingTableRecords
from backstop.keepers.open_auctions import AuctionBatch, OpenAuctionIndex, OpenLot
from backstop.keepers.table_indexes import TableIndexes
from backstop.keepers.vault_flag_index import VaultFlagIndex
from backstop.keepers.vault_risk_index import VaultRiskIndex
from backstop.keepers.view_records import Auction, PricedBatch
from backstop.model.arithmetic import BASIS_POINTS, RAD, RAY, WAD
from backstop.model.collateral_auction import AuctionStart, Lot, Owner, compute_lot_principal_left
from backstop.model.interfaces import Vault
from tests.support.keeper_scenario import iter_simulation_after_each_block

LONGER = pytest.mark.deep(brief="tests/backstop/keepers/test_indexes.py::test_auctions_are_carried_by_price")

OWNERS = [f"0x{i:040x}" for i in range(40)]


def random_vault(dice: Random) -> Vault:
    debt = dice.choice((0, dice.randrange(1, 100), dice.randrange(1, 10**24)))
    return Vault(dice.choice((0, dice.randrange(1, 100), dice.randrange(1, 10**24))), debt)


@pytest.mark.parametrize("seed", range(30))
def test_vaults_beyond_a_line_are_carried(seed) -> None:
    """Lines move a little, a lot and back, with vaults right on them; the first query may come late."""
    dice = Random(seed)
    table = {(0, owner): random_vault(dice) for owner in OWNERS if dice.random() < 0.7}
    index = VaultRiskIndex(table)
    collateral, debt = 100, 50
    for step in range(120):
        for key in [(0, dice.choice(OWNERS)) for _ in range(dice.randrange(3))]:
            table[key] = random_vault(dice)
            index.handle_written_record(key)
        kind = dice.randrange(4)
        if kind == 0:
            collateral, debt = dice.randrange(1, 10**27), dice.randrange(1, 10**27)
        elif kind == 1:
            on_it = dice.choice([vault for vault in table.values() if vault.normalized_debt])
            collateral, debt = on_it.normalized_debt, max(1, on_it.locked_collateral)
        elif kind == 2:
            debt += debt // 10**6
        purpose = dice.choice(("early", "late") if step > 40 else ("early",))
        found = index.list_vaults_below_ratio(0, purpose, collateral, debt)
        wanted = {
            owner: vault
            for (_, owner), vault in table.items()
            if vault.normalized_debt * debt > vault.locked_collateral * collateral
        }
        assert len(found) == len(wanted)
        assert found.normalized_debt == sum(vault.normalized_debt for vault in wanted.values())
        assert found.locked == sum(vault.locked_collateral for vault in wanted.values())
        if dice.random() < 0.7:
            sizes = sorted((-vault.normalized_debt, owner) for owner, vault in wanted.items())
            assert found.list_vaults_by_falling_debt() == sizes
            for share in range(3):
                assert found.list_vaults_by_falling_debt(3, share) == [
                    each for each in sizes if int(each[1], 16) % 3 == share
                ]


@pytest.mark.parametrize("seed", range(30))
def test_flags_that_are_wrong_are_carried(seed) -> None:
    """Vaults, flags and the line change in any order; some flags were set before the first query."""
    dice = Random(seed)
    table = {(0, owner): random_vault(dice) for owner in OWNERS}
    flagged: dict[tuple[int, str], int] = {}
    vaults = VaultRiskIndex(table)
    flags = VaultFlagIndex(flagged, lambda: vaults)
    collateral, debt, seen = 100, 50, [0, 0]
    for step in range(120):
        for key in [(0, dice.choice(OWNERS)) for _ in range(dice.randrange(4))]:
            if dice.random() < 0.4:
                table[key] = random_vault(dice)
                vaults.handle_written_record(key)
            else:
                flagged[key] = dice.choice((0, 1, table[key].normalized_debt))
                flags.handle_written_record(key)
        if dice.random() < 0.3:
            collateral, debt = dice.randrange(1, 10**27), dice.randrange(1, 10**27)
        if step < 10:
            continue
        found = flags.find_wrong_flags(0, collateral, debt)
        due = {
            owner: vault.normalized_debt
            * (vault.normalized_debt * debt > vault.locked_collateral * collateral)
            for (_, owner), vault in table.items()
        }
        wrong = {owner: art for owner, art in due.items() if art != flagged.get((0, owner), 0)}
        assert found.list_vaults_by_falling_debt() == sorted(
            (-art, owner) for owner, art in wrong.items() if art
        )
        assert found.flagged == {owner for owner in wrong if flagged.get((0, owner))}
        seen[0] += len(found.list_vaults_by_falling_debt())
        seen[1] += len(found.flagged)
    assert all(seen)


@pytest.mark.parametrize("seed", range(10))
def test_called_vaults_are_carried(seed) -> None:
    dice = Random(seed)
    table: dict[tuple[int, str], Vault] = {}
    index = VaultRiskIndex(table)
    for _ in range(100):
        key = 0, dice.choice(OWNERS)
        table[key] = random_vault(dice)._replace(called_at=dice.choice((0, 5)))
        index.handle_written_record(key)
        wanted = [owner for (_, owner), vault in table.items() if vault.called_at and vault.normalized_debt]
        assert index.list_vaults_ever_called(0) == wanted


@pytest.mark.parametrize("seed", range(10))
def test_records_that_stand_are_carried_in_the_order_of_the_table(seed) -> None:
    dice = Random(seed)
    table = {i: dice.randrange(3) for i in range(5)}
    standing = OngoingTableRecords(table, bool)
    for _ in range(100):
        key = dice.randrange(30)
        table[key] = dice.randrange(3)
        standing.handle_written_record(key)
        assert list(standing.iter_records()) == [(key, value) for key, value in table.items() if value]


lots = st.builds(
    Lot, st.integers(0, 3), st.integers(0, 3), st.integers(1, 3), st.integers(0, 1), st.integers(0, 1)
)
tops = st.builds(AuctionStart, st.integers(1, 2), st.integers(0, 2), st.integers(0, 2))
written = st.lists(st.tuples(st.integers(1, 12), st.one_of(st.just(Lot()), lots), tops), max_size=6)


def price_of(each: OpenLot | AuctionBatch) -> tuple[int, ...]:
    """Return the fields from which the price of an auction follows, besides the time."""
    return each.collateral_type, each.top, each.started_at, each.version


@given(written, st.lists(st.tuples(written, st.booleans()), max_size=12))
def test_auctions_are_carried_by_price(first, rounds) -> None:
    """Started, bought from, reset, ended, and started under an older id; asked after any number of writes."""
    tables: dict[str, dict] = {"lots": {}, "tops": {}, "owners": {}}
    index = None
    for writes, asked in [(first, True), *rounds]:
        for id, lot, top in writes:
            tables["lots"][id], tables["tops"][id] = lot, top if lot.target else AuctionStart()
            tables["owners"][id] = Owner()
            if index is not None:
                index.handle_written_record(id)
        index = index or OpenAuctionIndex(tables)
        if not asked:
            continue
        wanted = {}
        for id, (left, target, started_at, c, version) in sorted(tables["lots"].items()):
            if target:
                top = tables["tops"][id]
                principal = compute_lot_principal_left(tables["lots"][id], top)
                wanted[id] = OpenLot(id, c, left, target, top.top, started_at, principal, 0, version)
        assert list(index.get_open_lots().items()) == list(wanted.items())
        assert index.list_empty_lots() == [each for each in wanted.values() if each.lot == 0]
        by_price: dict[tuple, list[OpenLot]] = {}
        for each in wanted.values():
            if each.lot:
                by_price.setdefault(price_of(each), []).append(each)
        found = {price_of(each): each for each in index.get_batches()}
        assert {key: each.lots for key, each in found.items()} == by_price
        for key, batch in found.items():
            assert batch.largest_lot_and_largest_target == (
                max(one.lot for one in by_price[key]),
                max(one.target for one in by_price[key]),
            )


@pytest.mark.deep(brief="tests/backstop/keepers/test_indexes.py::test_auctions_are_carried_by_price")
@pytest.mark.parametrize(
    "name", ["tests/data/runs/small.yaml", pytest.param("tests/data/guards/guarded.yaml", marks=LONGER)]
)
def test_a_run_sees_what_a_first_look_would_see(name) -> None:
    """In every block, with auctions, flags, calls and workouts: carried indexes against fresh ones."""
    seen = dict.fromkeys(("auctions", "unsafe", "flags", "workouts", "calls", "wrong"), 0)
    for run in iter_simulation_after_each_block(name):
        carried = run.build_keeper_view()
        run._indexes, kept = TableIndexes(run._state), run._indexes
        anew = run.build_keeper_view()
        run._indexes = kept
        assert carried.auctions == anew.auctions
        assert carried.count_open_auctions() == anew.count_open_auctions()
        assert carried.get_flagged_debt_by_vault() == anew.get_flagged_debt_by_vault()
        assert carried.workouts == anew.workouts
        for c, price in enumerate(carried.outside.prices):
            unsafe = carried.list_unsafe_vaults(c)
            assert unsafe == anew.list_unsafe_vaults(c)
            assert carried.count_unsafe_vaults(c) == len(unsafe)
            assert carried.has_unsafe_vault(c) == bool(unsafe)
            middle = unsafe[len(unsafe) // 2].debt if unsafe else 0
            for i in range(3):
                mine = [each for each in unsafe if int(each.owner, 16) % 3 == i and each.debt < middle]
                assert (
                    list(carried.iter_unsafe_vaults(c, can_fit_debt=middle.__gt__, keeper_share=(3, i)))
                    == mine
                )
            for look in (
                "list_margin_calls",
                "list_callable_vaults",
                "list_vaults_spared_by_halt",
                "list_restructurable_vaults",
                "get_locked_collateral",
            ):
                assert getattr(carried, look)(c) == getattr(anew, look)(c), look
            vaults = anew.list_vaults_with_debt(c)
            assert carried.sum_vault_shortfalls_at_price(c, price) == sum(
                max(0, vault.debt - vault.locked * price) for vault in vaults
            )
            lowest = carried.get_lower_auction_or_next(c)
            found = {vault.owner for vault in carried.iter_unsafe_vaults(c, price=lowest)}
            expected = {vault.owner for vault in vaults if anew.is_vault_unsafe(c, vault, lowest)}
            assert found == (expected if lowest else set())
            wrong = [
                each for each in carried.iter_wrong_flags(c, lambda debt: debt >= RAD) if each[1] != each[2]
            ]
            assert wrong == (list(wrong_at_a_look(anew, c, lowest)) if lowest else [])
            seen["wrong"] += len(wrong)
            seen["unsafe"] += len(unsafe)
            seen["calls"] += len(carried.list_margin_calls(c))
        seen["auctions"] += len(carried.auctions)
        seen["flags"] += len(carried.get_flagged_debt_by_vault())
        seen["workouts"] += len(carried.workouts)
    assert seen["auctions"] and seen["unsafe"] and seen["flags"] and seen["wrong"]
    if "guard" in name:
        assert seen["calls"]


def wrong_at_a_look(view: KeeperView, c: int, price: int) -> Iterator[tuple[str, int, int]]:
    """The flags that are wrong: of unsafe vaults, the largest first but for small ones, then of others."""
    flags = {owner: flag for (of, owner), flag in view.get_flagged_debt_by_vault().items() if of == c}
    flagged = [each for each in view.list_owner_vaults(c, flags) if view.is_vault_unsafe(c, each, price)]
    unsafe = {
        each.owner: each.normalized_debt
        for each in view.iter_unsafe_vaults(c, lambda debt: debt >= RAD, price)
    }
    due = unsafe | {each.owner: each.normalized_debt for each in flagged}
    for owner in dict.fromkeys([*due, *flags]):
        if flags.get(owner, 0) != due.get(owner, 0):
            yield owner, flags.get(owner, 0), due.get(owner, 0)


def test_what_stands_is_not_looked_at_again(monkeypatch) -> None:
    """In a crash: flags that are right are left alone, and two prices in turn do not pass the same vaults."""
    passed, right, crossed = [0], 0, 0
    whole = VaultRiskIndex._iter_vaults_in_risk_range

    def counted(self: VaultRiskIndex, *line: Any) -> Iterator[tuple[str, Vault]]:
        for each in whole(self, *line):
            passed[0] += 1
            yield each

    monkeypatch.setattr(VaultRiskIndex, "_iter_vaults_in_risk_range", counted)
    for run in iter_simulation_after_each_block("tests/data/runs/small.yaml"):
        view = run.build_keeper_view()
        for c in range(len(view.symbols)):
            price = view.get_liquidation_price(c)
            right += sum(
                flag == view.get_vault(*key).normalized_debt
                for key, flag in view.get_flagged_debt_by_vault().items()
            )
            assert all(old != new for _, old, new in view.iter_wrong_flags(c, lambda debt: True))
            first = [list(view.iter_unsafe_vaults(c, price=at)) for at in (price, price * 9 // 10)]
            crossed += first[0] != first[1]
            passed[0] = 0
            assert [list(view.iter_unsafe_vaults(c, price=at)) for at in (price, price * 9 // 10)] == first
            assert passed[0] == 0
    assert right and crossed


def test_debts_that_do_not_fit_are_passed_at_once() -> None:
    """Hundreds of vaults are too large for the room that is left: a few looks find the first that is not."""
    run = next(iter_simulation_after_each_block("black-thursday"))
    view, tried = run.build_keeper_view(), list[int]()
    unsafe = list(view.iter_unsafe_vaults(0, price=1))
    largest = unsafe[-5].debt

    def fits(debt: int) -> bool:
        tried.append(debt)
        return debt <= largest

    assert list(view.iter_unsafe_vaults(0, price=1, can_fit_debt=fits)) == unsafe[-5:]
    assert len(unsafe) > 100
    assert len(tried) <= len(unsafe).bit_length() + 10


def test_a_take_is_tried_wherever_it_may_pay() -> None:
    """An untried take would not have brought enough: of any lot, at any price, with any budget."""
    dice, skipped, paying = Random(1), 0, 0
    for run in iter_simulation_after_each_block("tests/data/runs/small.yaml"):
        view = run.build_keeper_view()
        for auction in view.takeable:
            pool = view.find_constant_product_pool(auction.collateral_type)
            assert pool is not None
            worth = auction.price * dice.randrange(90, 130) // 100
            budget = dice.choice((0, dice.randrange(10_000) * WAD, 1 << 255))
            for most, value in (
                (worth, lambda amount, worth=worth: amount * worth // RAY),
                (pool.price + 1, pool.compute_proceeds),
            ):
                amount = dice.randrange(1, auction.lot + 1)
                plan = find_best_take(view, auction, amount, budget, value)
                profit = 0 if plan is None else plan.profit
                paying += profit > 0
                assert profit <= 0 or can_be_profitable(auction, most, budget, profit)
                skipped += not can_be_profitable(auction, most, budget, max(1, profit + 1))
    assert skipped and paying


def test_buyers_look_at_whatever_may_pay_in_their_order() -> None:
    """A batch is passed over only where every auction of it would be, and nothing changes its place."""
    dice, seen = Random(1), 0
    for run in iter_simulation_after_each_block("tests/data/runs/small.yaml"):
        view = run.build_keeper_view()
        assert [each.id for each in view.iter_auctions_to_reset(view.types)] == [
            each.id for each in view.auctions if each.needs_reset and each.lot
        ]
        for state in run.keepers:
            me = state.keeper
            if me.group.role not in ("bidder", "flash_taker"):
                continue
            market = {
                c: price * dice.randrange(80, 120) // 100 for c, price in enumerate(view.outside.prices)
            }
            budget, least = (
                dice.choice((0, dice.randrange(10_000) * WAD, UNLIMITED)),
                dice.randrange(500) * WAD,
            )
            takeable = [
                each
                for each in view.takeable
                if each.price * BASIS_POINTS <= market[each.collateral_type] * me.group.takes_at
            ]
            wanted = [
                each
                for each in takeable
                if can_be_profitable(each, market[each.collateral_type], budget, least)
            ]
            assert list_candidate_auctions_by_age(me, view, market, budget, least) == wanted
            wanted = [
                each
                for each in takeable
                if can_be_profitable(each, market[each.collateral_type] + 1, UNLIMITED, least)
            ]
            found = list(iter_cheapest_auctions(me, view, "flash", market, least))
            assert found == sorted(wanted, key=lambda each: compute_discount_key(view, each))
            seen += len(found)
    assert seen


for_sale = st.lists(
    st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(0, 1), st.integers(1, 2), st.integers(1, 3)),
    max_size=8,
)


@given(for_sale, st.lists(st.integers(0, 3), min_size=2, max_size=2), st.integers(0, 3), st.integers(0, 3))
def test_equal_prices_are_bought_from_the_oldest_auction_on(auctions, prices, budget, least) -> None:
    """Batches of one price, of one type or of two, with auctions that began in turns."""
    batches: dict[tuple[int, int], AuctionBatch] = {}
    asked: dict[tuple[int, int], int] = {}
    every = []
    for id, (lot, target, c, price, since) in enumerate(auctions):
        stored = OpenLot(id, c, lot * RAY, target, 1, since, 0, 0, 0)
        batches.setdefault((c, since), AuctionBatch(c, 1, since, 0)).add_or_replace_lot(stored)
        price = asked.setdefault((c, since), price)
        every.append(Auction(id, c, lot * RAY, target, 1, since, price, False, 0, 0, 0))
    priced = [PricedBatch(batch, asked[key], False) for key, batch in batches.items()]
    outside = SimpleNamespace(prices=prices)
    view = cast(KeeperView, SimpleNamespace(purchasable_auction_batches=priced, outside=outside))
    me = Keeper("buyer", "0x1", KeeperGroup("buyer", "flash_taker", 1, GasPolicy()), 0)
    market = dict(enumerate(prices))
    cheap = [each for each in every if each.price <= market[each.collateral_type]]
    wanted = [each for each in cheap if can_be_profitable(each, market[each.collateral_type], budget, least)]
    assert list_candidate_auctions_by_age(me, view, market, budget, least) == wanted
    wanted = [
        each for each in cheap if can_be_profitable(each, market[each.collateral_type] + 1, UNLIMITED, least)
    ]
    wanted.sort(key=lambda each: compute_discount_key(view, each))
    assert list(iter_cheapest_auctions(me, view, "flash", market, least)) == wanted
