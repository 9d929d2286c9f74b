"""Settlement: announced and taken back at any time, begun only late in a run, which it ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256
from backstop.proof.fuzz.catalogue.prices import post_price
from backstop.proof.fuzz.moves import move
from backstop.proof.fuzz.scene import Scene, Wait
from backstop.system import Action


@move(weight=1)
def sell_salvage(s: Scene) -> Iterator[Action | Wait]:
    """Sell what closed auctions left over, for the type's buffer."""
    found = [c for c in range(s.listed) if s.engine.salvage[c]]
    if found or s.chance(0.1):
        yield s.call(
            "CollateralAuction", "sell_salvage", s.some(found) if found else s.type(), by=s.somebody()
        )


@move(weight=0.5)
def threaten_settlement(s: Scene) -> Iterator[Action | Wait]:
    """Announce settlement and retract it, note old losses, or begin too early."""
    kind = s.random.randrange(4)
    if kind == 0 and not s.settling:
        by = s.admin if s.chance(0.8) else s.somebody()
        yield s.call("Settlement", "announce", by=by)
        yield s.call("Settlement", "retract", by=s.admin)
    elif kind == 1:
        yield s.call("Settlement", "note", by=s.somebody())
    elif kind == 2:
        if not s.settlement.progress[()].above_since and not s.settlement.progress[()].announced_for:
            yield s.call("Settlement", "begin", by=s.somebody())
    else:
        contract, method, args = s.some(
            (
                ("Settlement", "fix_price", (s.type(),)),
                ("Settlement", "skim", (s.type(), s.somebody())),
                ("Settlement", "cover_last", (s.type(),)),
                ("Settlement", "fix", ()),
                ("Settlement", "redeem", (1,)),
                ("Settlement", "cash", (s.type(), 1)),
                ("CollateralAuction", "unwind", (s.auction_id(),)),
                *((("Workouts", "unwind", (s.workout_id() or 0,)),) if s.workouts else ()),
            )
        )
        yield s.call(contract, method, *args, by=s.somebody())


@move(weight=3)
def begin_settlement(s: Scene) -> Iterator[Action | Wait]:
    """Begin settlement: announced for long enough, or with losses uncovered for long enough."""
    if s.settling or not s.late or s.chance(0.2):
        return
    if s.deficits() and s.chance(0.5):
        for _ in range(s.settlement.epochs + 1):
            yield s.call("Settlement", "note", by=s.somebody())
            yield Wait(s.waterfall.epoch_length)
    else:
        yield s.call("Settlement", "announce", by=s.admin)
        yield Wait(s.settlement.delay - s.some((0, 0, 0, 1)))
    yield s.call("Settlement", "begin", by=s.somebody())


@move(weight=6)
def make_final_prices(s: Scene) -> Iterator[Action | Wait]:
    """Let the feed go on, or be silent, halted and resumed, while final prices are made of it."""
    feed, configs = s.feed, s.feed.configs
    waiting = [c for c in range(s.listed) if configs[c].closing or configs[c].planned]
    if not s.settling and s.now < min((feed.plans[c] for c in waiting), default=0) and s.chance(0.7):
        return
    if not waiting:
        return
    for c in waiting:
        if s.chance(0.8):
            yield from post_price(
                s, c, (s.published(c) or 1) * s.random.randint(9_000, 11_000) // BASIS_POINTS
            )
        if s.chance(0.1):
            yield s.call("PriceFeed", "set_halted", c, s.chance(0.5), by=s.admin)
        if s.chance(0.1):
            yield s.call("Settlement", "fix_price", c, by=s.somebody())
    yield Wait(s.some((600, 3_600, 7_200, bounds.FINAL_WINDOW, bounds.MAX_FINAL_HALT, bounds.FINAL_DEADLINE)))


@move(weight=10)
def wind_up(s: Scene) -> Iterator[Action | Wait]:
    """Do the next things in settlement, in whatever order."""
    if not s.settling:
        return
    calls = list(_due(s))
    s.random.shuffle(calls)
    for contract, method, *args in calls[:12]:
        yield s.call(contract, method, *args, by=s.somebody())
    if s.settlement.progress[()].fixed_at == 0 and (not calls or s.chance(0.1)):
        yield s.call("Settlement", "fix", by=s.somebody())


def _due(s: Scene) -> Iterator[tuple[Any, ...]]:
    for id, lot in s.auction.lots.items():
        if lot.target:
            yield "CollateralAuction", "unwind", id
    for id in s.open_workouts():
        yield "Workouts", "unwind", id
    for auction, c in s.equity_sales():
        yield auction.label, "end", c
    for c in range(s.engine.type_count[()]):
        if not s.settlement.final_prices[c].is_final and (s.feed.final_price("", c)[0] or s.chance(0.1)):
            yield "Settlement", "fix_price", c
        if s.engine.deficit[c] and s.chance(0.2):
            yield "LossWaterfall", "cover", c
        if s.engine.deficit[c] and (s.engine.deficit[c] != s.settlement.left[c] or s.chance(0.1)):
            yield "Settlement", "cover_last", c
    for (c, owner), vault in s.engine.vaults.items():
        if vault.normalized_debt and s.settlement.final_prices[c].is_final:
            yield "Settlement", "skim", c, owner


@move(weight=5)
def redeem_for_collateral(s: Scene) -> Iterator[Action | Wait]:
    """Give up stablecoin and cash it, in parts, whoever comes."""
    if not s.settlement.progress[()].fixed_at:
        return
    who = s.some((s.richest(), s.somebody()))
    held = s.held("Stablecoin", who)
    if held:
        yield s.call("Settlement", "redeem", s.near(held), by=who)
    bag = int(s.settlement.bags[who])
    for c in range(min(s.listed, 4)):
        rest = bag - int(s.settlement.cashed[c, who])
        if rest and s.chance(0.7):
            yield s.call("Settlement", "cash", c, s.near(rest), by=who)
    if s.chance(0.1):
        yield s.call("Settlement", "cash", s.type(), MAX_UINT256, by=who)
