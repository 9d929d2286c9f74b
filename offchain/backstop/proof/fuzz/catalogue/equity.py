"""Equity: sold for losses, bought with surplus; the treasury."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from backstop.model import bounds
from backstop.model.arithmetic import MAX_UINT256, RAD, RAY, WAD
from backstop.model.constant_product_market import ConstantProductMarket
from backstop.model.equity_auction import EquityAuction
from backstop.model.recovery_claims import RecoveryClaims
from backstop.model.surplus_auction import SurplusAuction
from backstop.model.treasury import Treasury
from backstop.proof.fuzz.catalogue.prices import settle_price
from backstop.proof.fuzz.moves import move
from backstop.proof.fuzz.opening import EQUITY_MARKET
from backstop.proof.fuzz.scene import Scene, Wait
from backstop.system import Action

MARKET = bounds.EQUITY_MARKET


def _price(auction: EquityAuction, c: int, now: int) -> int:
    sale = auction.sales[c]
    return int(sale.price(min(now - sale.started_at, auction.duration), auction.duration))


@move(weight=1.2)
def cover_with_equity(s: Scene) -> Iterator[Action | Wait]:
    """Cover a loss where equity bears a part of it."""
    found = s.deficits()
    if not s.equity_auctions or not found:
        return
    if s.chance(0.5) and "StakedEquity" in s.pools:
        who = s.some(s.people)
        held = s.held("Equity", who)
        if held:
            yield s.call("StakedEquity", "deposit", s.near(held // 2), who, by=who)
    yield s.call("LossWaterfall", "cover", s.some(found), by=s.somebody())
    if s.chance(0.5):
        yield from take_equity(s)


@move(weight=2.5)
def take_equity(s: Scene) -> Iterator[Action | Wait]:
    """Buy equity, after some time: all, a part, exactly what is owed, too much to leave a rest."""
    running = s.equity_sales()
    if not running:
        if s.equity_auctions and s.chance(0.03):
            name, who = s.some(s.equity_auctions), s.somebody()
            yield s.call(name, "take", s.type(), WAD, MAX_UINT256, who, b"", by=who)
        return
    auction, c = s.some(running)
    if s.now > auction.sales[c].started_at + auction.duration and s.chance(0.8):
        yield s.call(auction.label, "end", c, by=s.somebody())
        return
    yield Wait(s.some((0, 0, 30, auction.duration // 2)))
    sale = auction.sales[c]
    price = max(_price(auction, c, s.now), 1)
    taker = s.richest() if s.chance(0.9) else s.somebody()
    to_target = sale.target * RAY // price
    sizes = (
        MAX_UINT256,
        s.near(sale.lot),
        s.near(to_target),
        s.near(to_target - WAD),
        s.part(max(sale.lot, 1)),
    )
    amount = s.some(sizes)
    if s.chance(0.85):
        amount = min(amount, s.held("Stablecoin", taker) * RAY // price)
    limit = max(price - 1, 0) if s.chance(0.05) else s.some((MAX_UINT256, price))
    receiver = s.some((taker, taker, s.somebody()))
    yield s.call(auction.label, "take", c, amount, limit, receiver, b"", by=taker)


@move(weight=1)
def flash_take_equity(s: Scene) -> Iterator[Action | Wait]:
    """Pay for a take by selling the equity, or the stablecoin, in its own callback."""
    if not s.has_equity:
        return
    market = cast(ConstantProductMarket, s.world.contracts[EQUITY_MARKET])
    by = s.deployment.get_account("taker") if s.chance(0.95) else s.somebody()
    running = s.equity_sales()
    if running:
        auction, c = s.some(running)
        price = max(_price(auction, c, s.now), 1)
        if s.chance(0.7):
            yield from _fund_the_market(s)
        most = min(auction.sales[c].lot, market.stable[()] * RAY // price - market.collateral[()])
        amount = max(most, 0) // 2 if s.chance(0.8) else s.near(auction.sales[c].lot)
        yield s.call(
            "EquityTaker", "take_and_sell", auction.address, c, amount, MAX_UINT256, market.address, by=by
        )
        return
    surplus = cast(SurplusAuction, s.world.contracts["SurplusAuction"])
    lot = surplus.lot[()]
    if lot.lot and s.now <= lot.started_at + surplus.duration:
        if s.chance(0.7):
            yield from _fund_the_market(s)
        amount = s.near(lot.lot)
        args = (
            surplus.address,
            amount,
            MAX_UINT256,
            market.address,
            max(min(amount, lot.lot) * 99 // 100, 1),
        )
        yield s.call("EquityTaker", "take_and_buy", *args, by=by)


@move(weight=0.4)
def provide_equity(s: Scene) -> Iterator[Action | Wait]:
    """Quote the feed's price for equity, as the market maker."""
    if s.has_equity:
        yield from _fund_the_market(s)


def _fund_the_market(s: Scene) -> Iterator[Action | Wait]:
    maker, giver = s.deployment.get_account("market_maker"), s.richest()
    price = s.price(MARKET)
    stable = s.part(max(s.held("Stablecoin", giver) // 2, 1))
    if price == 0 or stable == 0:
        return
    yield s.call("Stablecoin", "transfer", maker, stable, by=giver)
    stable = s.held("Stablecoin", maker)
    equity = min(stable * RAY // price, s.held("Equity", maker))
    yield s.call(EQUITY_MARKET, "set_liquidity", equity, stable, by=maker)


@move(weight=1)
def end_equity_auction(s: Scene) -> Iterator[Action | Wait]:
    """Give up what is not sold at the deadline; at times before."""
    running = s.equity_sales()
    if not running and not (s.equity_auctions and s.chance(0.03)):
        return
    if not running:
        yield s.call(s.some(s.equity_auctions), "end", s.type(), by=s.somebody())
        return
    auction, c = s.some(running)
    due = auction.sales[c].started_at + auction.duration + 1
    if s.chance(0.5):
        yield Wait(max(0, due - s.now - s.some((0, 0, 0, 1))))
    elif s.now < due and s.chance(0.9):
        return
    yield s.call(auction.label, "end", c, by=s.somebody())


@move(weight=1.5)
def distribute(s: Scene) -> Iterator[Action | Wait]:
    """Have the treasury spend what the reserve has."""
    if not s.has_equity or (s.waterfall.pending_total("") and s.chance(0.8)):
        return
    yield s.call("Treasury", "distribute", by=s.somebody())


@move(weight=1.5)
def repay_claims_from_fees(s: Scene) -> Iterator[Action | Wait]:
    """Repay claims from fees while the target of the reserve is above it, or just under it."""
    series = [cast(RecoveryClaims, s.world.contracts[name]).series[()] for name in s.claims]
    if not s.has_equity or not any(each.outstanding for each in series):
        return
    for c in s.deficits():
        yield s.call("LossWaterfall", "cover", c, by=s.somebody())
    if s.deficits():
        return
    for c in range(s.listed):
        yield s.call("VaultEngine", "accrue", c, by=s.somebody())
    whole = int(s.engine.system[()].reserve) // RAD
    if s.chance(0.6):
        target = min(s.some((0, whole // 2, whole, whole + 1)), bounds.MAX_GLOBAL_DEBT_CEILING)
        yield s.call("Treasury", "set_target", target, by=s.admin)
    yield s.call("Treasury", "distribute", by=s.somebody())


@move(weight=1.5)
def sell_surplus(s: Scene) -> Iterator[Action | Wait]:
    """Put surplus up for sale, and have somebody buy it for equity."""
    if not s.has_equity:
        return
    treasury = cast(Treasury, s.world.contracts["Treasury"])
    surplus = cast(SurplusAuction, s.world.contracts["SurplusAuction"])
    lot = surplus.lot[()]
    if lot.lot == 0 or s.now > lot.started_at + surplus.duration:
        if treasury.for_sale("") < surplus.whole_lot * WAD and s.chance(0.9):
            return
        if not s.fresh(MARKET) and s.chance(0.9):
            yield from settle_price(s, MARKET, s.feed.prices[MARKET].current)
        yield s.call("SurplusAuction", "start", by=s.somebody())
    elif s.chance(0.05):
        yield s.call("SurplusAuction", "start", by=s.somebody())
    yield Wait(s.some((0, 0, 30, surplus.duration // 2)))
    lot = surplus.lot[()]
    if lot.lot == 0 and s.chance(0.9):
        return
    elapsed = min(s.now - lot.started_at, surplus.duration)
    price = surplus.prices[()].at(elapsed, surplus.duration)
    taker = max(s.people, key=lambda who: s.held("Equity", who)) if s.chance(0.9) else s.somebody()
    limit = s.some((MAX_UINT256, MAX_UINT256, price, max(price - 1, 0)))
    receiver = s.some((taker, taker, s.somebody()))
    amount = s.some((MAX_UINT256, s.near(lot.lot), s.part(max(lot.lot, 1))))
    yield s.call("SurplusAuction", "take", amount, limit, receiver, b"", by=taker)


@move(weight=0.6)
def set_treasury(s: Scene) -> Iterator[Action | Wait]:
    """Set the reserve's target, pools' shares of income, what insures perpetuals, the cap of new equity."""
    if not s.has_equity:
        return
    by = s.admin if s.chance(0.93) else s.somebody()
    kind = s.random.randrange(4)
    if kind == 0:
        target = s.some((0, 0, 1, 1_000, bounds.MAX_GLOBAL_DEBT_CEILING, bounds.MAX_GLOBAL_DEBT_CEILING + 1))
        yield s.call("Treasury", "set_target", target, by=by)
    elif kind == 1:
        shares = [s.some((0, 500, 2_500, 3_333)) for _ in s.savers]
        if s.chance(0.1):
            shares[0] = s.some((10_001, MAX_UINT256))
        if s.chance(0.1):
            shares.append(0)
        yield s.call("Treasury", "set_shares", tuple(shares), by=by)
    elif kind == 2:
        share, most = s.some((0, 500, 10_000, 10_001)), bounds.MAX_GLOBAL_DEBT_CEILING
        yield s.call("Treasury", "set_insuring", share, s.some((0, 1_000, most, most + 1)), by=by)
    else:
        cap = s.some((0, 1_000, 10**5, bounds.MAX_MINT_CAP, bounds.MAX_MINT_CAP + 1))
        yield s.call("Equity", "set_mint_cap", cap, by=by)


@move(weight=0.4)
def burn_equity(s: Scene) -> Iterator[Action | Wait]:
    """Destroy equity, one's own or another's on an allowance."""
    if s.has_equity:
        who, owner = s.somebody(), s.somebody()
        yield s.call(
            "Equity", "burn", s.some((who, owner)), s.part(max(s.held("Equity", owner) // 100, 1)), by=who
        )
