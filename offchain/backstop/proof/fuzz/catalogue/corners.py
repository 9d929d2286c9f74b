"""Rare states on purpose: chance alone would take weeks to reach them."""

from __future__ import annotations

from collections.abc import Iterator

from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAY
from backstop.model.vault_engine import MAX_LOCKED
from backstop.proof.fuzz.catalogue.prices import settle_price
from backstop.proof.fuzz.moves import move
from backstop.proof.fuzz.scene import Scene, Wait
from backstop.system import Action


@move(weight=0.025)
def overfill_a_vault(s: Scene) -> Iterator[Action | Wait]:
    """Fill a vault to the brim three times, indebted and liquidated; then all lots come back to it."""
    c, owner = s.type(), s.somebody()
    terms, price = s.terms(c), RAY // 10**8
    yield s.call(s.symbol(c), "mint", owner, 3 * MAX_LOCKED // terms.unit, by=owner)
    for _ in range(3):
        yield from settle_price(s, c, price)
        deposit = max(0, MAX_LOCKED - s.vault(c, owner).locked_collateral)
        debt = MAX_LOCKED * price // RAY * BASIS_POINTS // (terms.initial_ratio + 1_000)
        yield s.call("VaultEngine", "deposit_and_draw", c, owner, deposit, debt, owner, by=owner)
        price //= 2
        yield from settle_price(s, c, price)
        yield s.call("LiquidationEngine", "liquidate", c, owner, owner, by=owner)
    last = int(s.auction.ids[()])
    yield from settle_price(s, c, RAY // 10**5)
    for id in range(max(last - 2, 1), last + 1):
        yield Wait(s.auction.terms[c].tail + s.auction.block_time + 1 if id <= last - 2 else 0)
        yield from settle_price(s, c, RAY // 10**5)
        yield s.call("CollateralAuction", "reset", id, owner, by=owner)
        taker = s.richest()
        yield s.call("CollateralAuction", "take", id, MAX_UINT256, MAX_UINT256, taker, b"", by=taker)


@move(weight=0.05)
def come_back_after_years(s: Scene) -> Iterator[Action | Wait]:
    """Leave a type alone for longer than one accrual charges, and draw the moment it has a price again."""
    c, owner = s.type(), s.somebody()
    if s.published(c) == 0 or s.drawable(c, owner) <= 0:
        return
    yield Wait(s.some((366, 800)) * 86_400)
    yield from settle_price(s, c, 2 * s.published(c))
    most = min(s.drawable(c, owner), s.under_ceiling(c))
    yield s.call("VaultEngine", "deposit_and_draw", c, owner, 0, s.near(most), owner, by=owner)
