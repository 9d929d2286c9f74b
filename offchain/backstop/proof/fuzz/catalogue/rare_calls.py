"""Calls that chance alone seldom makes possible: each move arranges first what a call needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAD, RAY, WAD, div_up
from backstop.model.equity_auction import EquityAuction
from backstop.model.interfaces import CAUTION
from backstop.model.member_pool import MemberPool
from backstop.model.recovery_claims import RecoveryClaims
from backstop.model.roles import STAGE
from backstop.model.state import ZERO_ADDRESS
from backstop.model.surplus_auction import SurplusAuction
from backstop.model.treasury import Treasury
from backstop.proof.fuzz.catalogue.claims import convert_claims
from backstop.proof.fuzz.catalogue.equity import sell_surplus
from backstop.proof.fuzz.catalogue.prices import settle_price
from backstop.proof.fuzz.catalogue.savings import _settle_and_claim, _until
from backstop.proof.fuzz.catalogue.workouts import (
    foreclose_a_workout,
    pay_a_workout,
    top_up_a_workout,
)
from backstop.proof.fuzz.moves import move
from backstop.proof.fuzz.scene import Scene, Wait
from backstop.system import Action

_ENGINE, _WATERFALL = "VaultEngine", "LossWaterfall"
_MARKET = bounds.EQUITY_MARKET


@move(weight=1.6)
def begin_a_workout(s: Scene) -> Iterator[Action | Wait]:
    """Offer workouts, open a vault at its ratio, have it called and enter; then pay, top up or fail."""
    if s.workouts is None or s.policy is None or s.settling:
        return
    c, owner = s.type(), s.somebody()
    terms, price = s.terms(c), s.feed.prices[c].current
    floor = max(terms.debt_floor, 1) * WAD
    if not 0 < price < bounds.MAX_PRICE // 4 or s.vault(c, owner).normalized_debt:
        return
    # Just over the liquidation ratio a call needs a ratio that is higher.
    liquidation, initial = terms.liquidation_ratio, max(terms.initial_ratio, terms.liquidation_ratio + 500)
    if initial > bounds.MAX_RATIO:
        return
    discount = min(s.some((0, 500, 2_000)), BASIS_POINTS - BASIS_POINTS * BASIS_POINTS // initial)
    offer = discount, BASIS_POINTS, s.some((0, 200)), s.some((2, 4)), s.some((3_600, 86_400)), 0, 10**8
    for contract, call, args in (
        (_ENGINE, "set_ratios", (c, liquidation, initial)),
        (_ENGINE, "set_auction_limit", (c, bounds.MAX_DEBT_CEILING)),
        (_ENGINE, "set_global_auction_limit", (bounds.MAX_GLOBAL_DEBT_CEILING,)),
        ("RiskPolicy", "set_call_terms", (c, initial, s.some((60, 3_600)), 86_400)),
        ("RiskPolicy", "set_flow_limit", (c, 0, 86_400)),
        ("Workouts", "set_terms", (c, *offer)),
    ):
        yield s.call(contract, call, *args, by=s.admin)
    yield from settle_price(s, c, price)
    if s.policy.mode(""):
        return  # new risk may need more now
    debt = floor * s.some((1, 2, 5))
    worth = div_up(debt * RAY * (initial + 50) + s.policy.add_on("", c, 2 * debt * RAY), BASIS_POINTS)
    unit = int(terms.unit)
    deposit = div_up(div_up(worth, price), unit) * unit + s.vault(c, owner).locked_collateral % unit
    yield s.call(_ENGINE, "deposit_and_draw", c, owner, deposit, debt, owner, by=owner)
    vault = s.vault(c, owner)
    if not vault.normalized_debt:
        return
    need = s.debt(c, owner) * initial + s.policy.add_on("", c, s.debt(c, owner))
    called_at = need * 999 // (1_000 * vault.locked_collateral * BASIS_POINTS)
    if not 0 < called_at <= bounds.MAX_PRICE:
        return
    yield from settle_price(s, c, called_at)
    yield s.call("LiquidationEngine", "call", c, owner, by=s.somebody())
    yield s.call("CircuitBreaker", "raise_to", CAUTION, by=s.guardian)
    yield s.call("Workouts", "enter", c, owner, s.some((1, offer[3])), by=owner)
    yield from s.some((pay_a_workout, pay_a_workout, top_up_a_workout, foreclose_a_workout))(s)
    for id in s.open_workouts():
        yield s.call("Workouts", "flag", id, by=s.somebody())


@move(weight=0.7)
def flag_a_missed_payment(s: Scene) -> Iterator[Action | Wait]:
    """Flag a workout a second before its instalment is due, at that second, and after it."""
    found = s.open_workouts()
    if s.workouts is None or not found:
        return
    id = s.some(found)
    due = s.workouts.schedules[id].due(s.workouts.balances[id].met)
    yield from _until(s, due + 1)
    yield s.call("Workouts", "flag", id, by=s.somebody())
    if s.chance(0.5):
        yield from pay_a_workout(s)
        yield s.call("Workouts", "flag", id, by=s.somebody())


def _clear_losses(s: Scene) -> Iterator[Action | Wait]:
    """End auctions of equity that are over, and have all deficits covered."""
    for name in s.equity_auctions:
        auction = cast(EquityAuction, s.world.contracts[name])
        for c in [c for c, sale in auction.sales.items() if sale.target]:
            yield from _until(s, auction.sales[c].started_at + auction.duration + 1)
            yield s.call(name, "end", c, by=s.somebody())
    for c in s.deficits():
        yield s.call(_WATERFALL, "cover", c, by=s.somebody())


def _look_again(s: Scene) -> Iterator[Action | Wait]:
    """Call `flag` again for each flagged vault, at a fresh price."""
    flags = s.liquidations.vault_flags
    for c, owner in [key for key, flag in flags.items() if flag and key[0] < min(s.listed, 4)]:
        if not s.fresh(c) and s.published(c):
            yield from settle_price(s, c, s.published(c))
        yield s.call("LiquidationEngine", "flag", c, owner, by=s.somebody())


def _is_calm(s: Scene) -> bool:
    """Return whether no loss is known and none is in doubt."""
    return s.waterfall.books[()].open == 0 and s.waterfall.doubt_total("") == 0


@move(weight=1.2)
def leave_staked_equity(s: Scene) -> Iterator[Action | Wait]:
    """Stake equity and leave again: request, cut, settle and claim, where no loss is known."""
    if "StakedEquity" not in s.pools or s.settling:
        return
    pool = cast(MemberPool, s.world.contracts["StakedEquity"])
    who = max(s.people, key=lambda each: s.held("Equity", each))
    yield s.call("StakedEquity", "deposit", s.near(s.held("Equity", who) // 10), who, by=who)
    if s.chance(0.3):
        yield s.call("StakedEquity", "add_income", s.part(max(s.held("Equity", who) // 100, 1)), by=who)
    if not pool.cooldown:
        return
    for leaver in s.people:
        if pool.held(leaver) and s.chance(0.6):
            yield s.call(
                "StakedEquity", "requestRedeem", s.near(pool.held(leaver)), leaver, leaver, by=leaver
            )
    yield from _until(s, pool.cut_from())
    yield s.call("StakedEquity", "cut", by=s.somebody())
    yield from _clear_losses(s)
    yield from _look_again(s)
    waits = pool.unsettled_batches()
    if not _is_calm(s) and s.chance(0.8):
        return
    if waits:
        yield from _until(s, pool.matures_at(waits.start))
    yield from _settle_and_claim(s, "StakedEquity")
    yield from _settle_and_claim(s, "StakedEquity")


@move(weight=1)
def sell_given_surplus(s: Scene) -> Iterator[Action | Wait]:
    """Fund the reserve above its target, call `distribute`, and buy the surplus lot at a fresh price."""
    if not s.has_equity or s.settling:
        return
    yield from _clear_losses(s)
    yield from _look_again(s)
    if not _is_calm(s) and s.chance(0.9):
        return
    surplus = cast(SurplusAuction, s.world.contracts["SurplusAuction"])
    treasury = cast(Treasury, s.world.contracts["Treasury"])
    giver, lot = s.richest(), surplus.whole_lot * WAD
    yield s.call("Treasury", "set_target", s.some((0, 0, 1)), by=s.admin)
    if treasury.for_sale("") < lot:
        given = min(2 * lot, s.held("Stablecoin", giver))
        yield s.call(_ENGINE, "grant_role", STAGE, giver, by=s.admin)
        yield s.call(_ENGINE, "give_to_reserve", given, by=giver)
        yield s.call(_ENGINE, "revoke_role", STAGE, giver, by=s.admin)
        yield s.call("Treasury", "set_shares", tuple(0 for _ in treasury.pool_addresses), by=s.admin)
        yield from _until(s, s.feed.falls[()].look_until)
        yield s.call("Treasury", "distribute", by=s.somebody())
    if s.feed.prices[_MARKET].current:
        yield from settle_price(s, _MARKET, s.feed.prices[_MARKET].current)
    yield from sell_surplus(s)


@move(weight=1)
def convert_for_a_price(s: Scene) -> Iterator[Action | Wait]:
    """Convert claims with a mint cap that suffices and a fresh price of equity."""
    if not s.has_equity:
        return
    series = [cast(RecoveryClaims, s.world.contracts[name]) for name in s.claims]
    if not any(each.set_price and each.series[()].outstanding for each in series):
        return
    yield s.call("Equity", "set_mint_cap", bounds.MAX_MINT_CAP, by=s.admin)
    if s.feed.prices[_MARKET].current:
        yield from settle_price(s, _MARKET, s.feed.prices[_MARKET].current)
    for each in series:
        if each.set_price and each.series[()].outstanding:
            pool = s.world.at(each.pool_address).label
            for who in s.people:
                yield s.call(pool, "collect_claims", who, by=s.somebody())
    yield from convert_claims(s)


@move(weight=1.2)
def make_a_loss_good(s: Scene) -> Iterator[Action | Wait]:
    """Make a stage fail so that later stages pay, cover all losses, and call `make_good` for the stage."""
    waterfall = s.waterfall
    pools = {s.world.contracts[name].address for name in s.savers}
    found = [k for k in waterfall.stage_ids("") if waterfall.stages[k].stage in pools]
    open = s.deficits()
    if not found or s.settling:
        return
    if open and s.chance(0.8):
        # The pool behind pays, if it has anything.
        last, who = s.world.at(waterfall.stages[found[-1]].stage), s.richest()
        if len(found) > 1 and s.chance(0.7):
            yield s.call(last.label, "deposit", s.near(s.held("Stablecoin", who) // 2), who, by=who)
        stage = waterfall.stages[found[0]].stage
        yield s.call(_ENGINE, "revoke_role", STAGE, stage, by=s.admin)
        for c in open:
            yield s.call(_WATERFALL, "cover", c, by=s.somebody())
        yield s.call(_ENGINE, "grant_role", STAGE, stage, by=s.admin)
    owed = [key for key, amount in waterfall.missing.items() if amount]
    if not owed:
        return
    yield from _clear_losses(s)
    if waterfall.books[()].open and s.chance(0.9):
        return
    for k, c in owed:
        yield s.call(_ENGINE, "grant_role", STAGE, waterfall.stages[k].stage, by=s.admin)
        yield s.call(_WATERFALL, "make_good", c, k, by=s.somebody())


@move(weight=0.8)
def sell_left_collateral(s: Scene) -> Iterator[Action | Wait]:
    """Sell the salvage of a type at a price that counts, and take some of it."""
    found = [c for c in range(min(s.listed, 4)) if s.engine.salvage[c]]
    if not found or s.settling:
        return
    c = s.some(found)
    if s.published(c):
        yield from settle_price(s, c, s.published(c))
    yield s.call("CollateralAuction", "sell_salvage", c, by=s.somebody())
    id, taker = int(s.auction.ids[()]), s.richest()
    lot = s.auction.lots[id]
    if lot.started_at and s.chance(0.7):
        yield Wait(s.some((0, 30, 600)))
        amount = s.some((MAX_UINT256, s.near(lot.lot)))
        yield s.call("CollateralAuction", "take", id, amount, MAX_UINT256, taker, b"", by=taker)


@move(weight=0.8)
def liquidate_within_a_limit(s: Scene) -> Iterator[Action | Wait]:
    """Leave room for a part of an unsafe vault: just its floor, twice that, a wei more or less."""
    c = s.type()
    found = s.unsafe(c)
    if not found or s.settling:
        return
    owner = s.some(found)
    floor, debt = s.terms(c).debt_floor, s.debt(c, owner) // RAD
    taken = int(s.engine.auctions[c].in_auction) // RAD
    room = s.some((floor, floor + 1, 2 * floor + 1, max(debt - floor, 0), debt, debt + 1, debt // 2))
    yield s.call(_ENGINE, "set_auction_limit", c, min(taken + room, bounds.MAX_DEBT_CEILING), by=s.admin)
    if not s.fresh(c):
        yield from settle_price(s, c, s.feed.prices[c].current)
    yield s.call("LiquidationEngine", "liquidate", c, owner, s.somebody(), by=s.somebody())
    limit = s.some((10**7, bounds.MAX_DEBT_CEILING))
    yield s.call(_ENGINE, "set_auction_limit", c, limit, by=s.admin)


@move(weight=2.5)
def call_out_of_turn(s: Scene) -> Iterator[Action | Wait]:
    """Call what is mostly refused now: before its time, after it, twice, or where there is nothing to do."""
    c, who, amount = s.type(), s.somebody(), s.some((1, WAD, 10**6 * WAD))
    calls: list[tuple[str, str, tuple[object, ...]]] = [
        ("Settlement", "note", ()),
        ("Settlement", "cover_last", (c,)),
        ("Settlement", "fix", ()),
        ("Settlement", "fix_price", (c,)),
        ("Settlement", "skim", (c, who)),
        ("Settlement", "redeem", (1,)),
        ("Settlement", "cash", (c, 1)),
        ("CollateralAuction", "sell_salvage", (c,)),
        ("CollateralAuction", "unwind", (s.auction_id(),)),
        ("CollateralAuction", "close", (s.auction_id(),)),
        ("CollateralAuction", "reset", (s.auction_id(), who)),
        ("LiquidationEngine", "liquidate", (c, s.some(s.people), who)),
        ("LossWaterfall", "cover", (c,)),
        ("LossWaterfall", "force_release", (c, s.random.randrange(4))),
        ("VaultEngine", "repay_and_withdraw", (c, who, 0, s.terms(c).unit, who)),
        ("VaultEngine", "deposit_and_draw", (c, who, 0, amount, who)),
    ]
    pool = s.some(s.pools)
    calls += [
        (pool, "settle", ()),
        (pool, "cut", ()),
        (pool, "redeem", (amount, who, who)),
        (pool, "withdraw", (amount, who, who)),
        (pool, "transferFrom", (s.somebody(), who, amount)),
        (pool, "deposit", (amount, s.some((ZERO_ADDRESS, s.world.contracts[pool].address, who)))),
    ]
    if s.settling:
        calls += [("Settlement", "begin", ()), ("Settlement", "fix", ())]
    if s.workouts is not None:
        id = s.workout_id() or int(s.auction.ids[()])
        calls += [
            ("Workouts", "enter", (c, who, 1)),
            ("Workouts", "unwind", (id,)),
            ("Workouts", "foreclose", (id, who)),
            ("Workouts", "flag", (id,)),
            ("Workouts", "top_up", (id, s.terms(c).unit)),
        ]
    if s.policy is not None:
        calls += [("LiquidationEngine", "call", (c, who))]
    if s.has_equity:
        calls += [
            ("SurplusAuction", "start", ()),
            ("SurplusAuction", "take", (s.some((0, amount)), s.some((0, MAX_UINT256)), who, b"")),
            ("Treasury", "distribute", ()),
        ]
    for domain in s.domains:
        calls += [(domain, "redeem", (1,)), (domain, "recover", (1,)), (domain, "realise_loss", ())]
    contract, method, args = s.some(calls)
    yield s.call(contract, method, *args, by=who)
