"""Liquidators and takers, with money of their own or a flash take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from backstop.model.collateral_auction import principal_left
from backstop.model.constant_product_market import ConstantProductMarket
from backstop.proof.fuzz.catalogue.prices import settle_price
from backstop.proof.fuzz.moves import move
from backstop.proof.fuzz.scene import Scene, Wait
from backstop.system import Action


@move(weight=5)
def liquidate(s: Scene) -> Iterator[Action | Wait]:
    """Liquidate an unsafe vault; now and then a safe one."""
    c = s.type()
    found = s.unsafe(c)
    if not found and s.chance(0.95):
        return
    if not s.fresh(c) and s.chance(0.9):
        yield from settle_price(s, c, s.feed.prices[c].current)
    if not s.room(c) and s.chance(0.8):
        return
    owner = s.some(found) if found and s.chance(0.95) else s.somebody()
    yield s.call("LiquidationEngine", "liquidate", c, owner, s.somebody(), by=s.somebody())


@move(weight=1.5)
def liquidate_all(s: Scene) -> Iterator[Action | Wait]:
    """Liquidate all unsafe vaults, one after the other."""
    c = s.type()
    if not s.fresh(c):
        return
    for owner in s.unsafe(c):
        if not s.room(c):
            return
        yield s.call("LiquidationEngine", "liquidate", c, owner, s.somebody(), by=s.somebody())


def _due(s: Scene, id: int) -> tuple[int, bool]:
    lot = s.auction.lots[id]
    top = s.auction.tops[id].top
    return s.auction.terms[lot.collateral_type].price(top, s.clock - lot.started_at)


def _sizes(s: Scene, id: int, price: int) -> int:
    """Return all, a part, what pays the target or leaves the smallest rest, a unit off any of them."""
    lot, terms = s.auction.lots[id], s.auction.terms[s.auction.lots[id].collateral_type]
    to_target = lot.target * RAY // max(price, 1)
    to_rest = max(lot.target - terms.minimum * WAD, 0) * RAY // max(price, 1)
    return s.some((MAX_UINT256, s.near(lot.lot), s.near(to_target), s.near(to_rest), s.part(lot.lot)))


@move(weight=8)
def take(s: Scene) -> Iterator[Action | Wait]:
    """Buy from an auction, after some time, whatever amount."""
    id = s.auction_id()
    lot = s.auction.lots[id]
    if lot.started_at == 0 and s.chance(0.8):
        return
    yield Wait(s.some((0, 0, 0, 30, 300, 1_800)))
    price, due = _due(s, id) if lot.started_at else (0, False)
    if due and s.chance(0.95):
        if lot.lot == 0 or lot.collateral_type >= s.listed:
            return
        if not s.fresh(lot.collateral_type):
            yield from settle_price(s, lot.collateral_type, s.feed.prices[lot.collateral_type].current)
        yield s.call("CollateralAuction", "reset", id, s.somebody(), by=s.somebody())
        price, _ = _due(s, id)
    taker = s.richest() if s.chance(0.9) else s.somebody()
    amount = _sizes(s, id, price)
    if s.chance(0.9):  # not more than one can pay
        amount = min(amount, s.stablecoin.balances[taker] * RAY // max(price, 1))
    limit = max(price - 1, 0) if s.chance(0.04) else s.some((MAX_UINT256, MAX_UINT256, price))
    receiver = s.some((taker, taker, s.somebody()))
    yield s.call("CollateralAuction", "take", id, amount, limit, receiver, b"", by=taker)


@move(weight=1.5)
def take_in_parts(s: Scene) -> Iterator[Action | Wait]:
    """Make several small purchases at one instant, and a last one."""
    id = s.auction_id()
    if s.auction.lots[id].started_at == 0 or _due(s, id)[1]:
        return
    taker = s.richest()
    for share in (7, 5, 3, 1):
        lot = s.auction.lots[id]
        if lot.started_at == 0:
            return
        yield s.call("CollateralAuction", "take", id, lot.lot // share, MAX_UINT256, taker, b"", by=taker)


@move(weight=3)
def reset(s: Scene) -> Iterator[Action | Wait]:
    """Restart a price: when it is due, rarely before."""
    due = [id for id in s.open_auctions() if _due(s, id)[1] and s.auction.lots[id].lot]
    if not due and s.chance(0.97):
        return
    id = s.some(due) if due else s.auction_id()
    if due and not s.fresh(s.auction.lots[id].collateral_type) and s.chance(0.8):
        return
    yield s.call("CollateralAuction", "reset", id, s.somebody(), by=s.somebody())


def _hopeless(s: Scene, id: int) -> bool:
    lot = s.auction.lots[id]
    terms = s.auction.terms[lot.collateral_type]
    if lot.lot == 0:
        return True
    price = s.feed.prices[lot.collateral_type].current
    late = s.clock > lot.started_at + terms.tail
    return bool(late and terms.is_worthless(lot.lot, price))


@move(weight=1.8)
def close(s: Scene) -> Iterator[Action | Wait]:
    """Give up an auction that can repay no more; rarely one that can."""
    ids = s.open_auctions()
    lost = [id for id in ids if _hopeless(s, id)]
    if not lost and s.chance(0.97):
        return
    yield s.call("CollateralAuction", "close", s.some(lost) if lost else s.auction_id(), by=s.somebody())


@move(weight=0.6)
def close_at_a_glitch(s: Scene) -> Iterator[Action | Wait]:
    """Make a lot look worthless by one wrong print, for a moment."""
    ids = [id for id in s.open_auctions() if s.auction.lots[id].lot]
    if not ids:
        return
    id = s.some(ids)
    lot = s.auction.lots[id]
    c, price = lot.collateral_type, s.feed.prices[lot.collateral_type].current
    if price <= 1 or c >= s.listed:
        return
    yield Wait(max(0, lot.started_at + s.auction.terms[c].tail + s.auction.block_time + 1 - s.clock))
    yield from settle_price(s, c, price)
    yield from settle_price(s, c, 1)
    yield s.call("CollateralAuction", "close", id, by=s.somebody())
    yield from settle_price(s, c, price)


@move(weight=4)
def sell_out(s: Scene) -> Iterator[Action | Wait]:
    """Take a whole lot for less than the target, so that it ends empty; reset and close it."""
    for id in s.open_auctions():
        lot, (price, due) = s.auction.lots[id], _due(s, id)
        taker = s.richest()
        if due or lot.lot == 0 or lot.lot * price >= lot.target * RAY:
            continue
        if s.stablecoin.balances[taker] * RAY < lot.lot * price:
            continue
        yield s.call("CollateralAuction", "take", id, MAX_UINT256, MAX_UINT256, taker, b"", by=taker)
        if s.chance(0.3):
            yield s.call("CollateralAuction", "reset", id, taker, by=taker)
        if s.chance(0.5):
            yield s.call("CollateralAuction", "close", id, by=taker)
        return


@move(weight=2)
def leave_the_penalty(s: Scene) -> Iterator[Action | Wait]:
    """Buy just what repays the principal: the rest of the auction cannot be closed."""
    for id in s.open_auctions():
        lot, (price, due) = s.auction.lots[id], _due(s, id)
        principal = principal_left(lot, s.auction.tops[id])
        taker = s.richest()
        if due or price == 0 or s.stablecoin.balances[taker] * RAY < principal:
            continue
        amount = principal // price + s.some((0, 1)) * s.terms(lot.collateral_type).unit
        yield s.call("CollateralAuction", "take", id, amount, MAX_UINT256, taker, b"", by=taker)
        if s.chance(0.3):
            yield Wait(s.auction.terms[lot.collateral_type].tail + s.auction.block_time + 1)
            yield s.call("CollateralAuction", "close", id, by=taker)
        return


@move(weight=8)
def flash_take(s: Scene) -> Iterator[Action | Wait]:
    """Pay for a take by selling the collateral in its own callback, where the market pays enough."""
    id = s.auction_id()
    lot = s.auction.lots[id]
    c = lot.collateral_type
    price, due = _due(s, id) if lot.started_at else (0, True)
    if due or price == 0:
        return
    name = f"Market.{s.symbol(c)}"
    market = cast(ConstantProductMarket, s.world.contracts[name])
    # The amount that the market can take before it pays less than the auction asks.
    most = min(lot.lot, lot.target * RAY // price, market.stable[()] * RAY // price - market.collateral[()])
    if most <= 0 and s.chance(0.9):
        return
    amount = max(most, 0) // s.some((2, 3)) if s.chance(0.8) else s.near(lot.lot)
    args = (id, amount, MAX_UINT256, market.address, s.some((0, 0, 1, lot.target)))
    yield s.call("FlashTaker", "take_and_sell", *args, by=s.deployment.get_account("taker"))


@move(weight=1.1)
def misuse_the_taker(s: Scene) -> Iterator[Action | Wait]:
    """Call the taker back in somebody else's take, and without an auction."""
    taker = s.world.contracts["FlashTaker"].address
    who = s.richest()
    if s.chance(0.5):
        ids = [id for id in s.open_auctions() if not _due(s, id)[1]]
        if ids:
            args = (s.some(ids), MAX_UINT256, MAX_UINT256, taker, b"\x01")
            yield Action("CollateralAuction", "take", args, who)
    else:
        yield s.call("FlashTaker", "on_auction_take", who, 1, WAD, WAD, b"\x01", by=who)
