"""The calls that must succeed whatever else is broken, and the moment in which they must."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from backstop.deployment.devnet_signing import get_trader_account
from backstop.deployment.role_accounts import get_account
from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from backstop.model.bounds import MAX_RESERVATION
from backstop.model.roles import STAGE
from backstop.proof.faults.parts import Part
from backstop.proof.faults.play import ADAPTED, ADAPTER, Play, reporters_of
from backstop.proof.faults.scene import (
    CLOSED,
    IDLE,
    LOSS,
    MARGIN,
    POOLS,
    SALE,
    STORM,
    TRADERS,
    WBTC,
    WETH,
    XAU,
    fill,
    settlement,
)
from backstop.system import Action

OF_CYCLES = ("PerpetualDesk",)
"""Parts that only the margin market has."""
_SALES = 8
"""Sales after which nothing is left under an auction's cap that is worth one."""
STEP = 3_600
"""Seconds until the feed may step again."""
SAME, SPLIT, AT_MOST = "same", "split", "at most"
"""What a call is judged by: it does what it does when nothing is broken; the stages pay in their order;
nobody who leaves gets more."""


class Step(NamedTuple):
    """One transaction, after so many seconds; one that need not succeed may fail.

    Where a view is named, it tells the caller's first argument when the time has come.
    """

    action: Action
    needed: bool = True
    wait: int = 0
    first: str = ""


@dataclass(frozen=True)
class Call:
    """What somebody must be able to do at a moment: its steps, and the parts it cannot do without.

    With `parts`, only those are broken: the others have nothing to do with it.
    """

    name: str
    moment: str
    steps: Callable[[Play, Part | None], list[Step]]
    without: tuple[str, ...] = ()
    judged: str = SAME
    loss: int = XAU  # of a split: the type whose loss is covered
    parts: tuple[str, ...] = ()

    def concerns(self, part: Part) -> bool:
        """Return whether a part has anything to do with it."""
        return part.name in self.parts if self.parts else part.name not in OF_CYCLES


def _one(call: str, *args: object, by: str) -> Callable[[Play, Part | None], list[Step]]:
    """Return the steps of one transaction."""
    return lambda it, broken: [Step(it.action(call, *args, by=by))]


def _vaults(symbol: str, c: int) -> list[Call]:
    """Return what owners of vaults and liquidators of a type must be able to do."""
    draw, repay = "VaultEngine.deposit_and_draw", "VaultEngine.repay_and_withdraw"
    feed = f"feed of {symbol}"
    return [
        Call(f"repay {symbol}", STORM, _one(repay, c, "careful", MAX_UINT256, 0, "careful", by="maker")),
        Call(f"top up {symbol}", STORM, _one(draw, c, "careful", WAD, 0, "careful", by="careful"), (symbol,)),
        Call(
            f"withdraw {symbol}",
            STORM,
            _one(repay, c, "debtless", 0, WAD // 10, "debtless", by="debtless"),
            (symbol,),
        ),
        Call(
            f"liquidate {symbol}",
            STORM,
            _one("LiquidationEngine.liquidate", c, "unsafe", "liquidator", by="liquidator"),
            ("PriceFeed", feed),
        ),
        Call(f"take {symbol}", STORM, _take(c), (symbol, feed)),
    ]


def _repay_after_repair(it: Play, broken: Part | None) -> list[Step]:
    """Have the admin fix a type's fee; then repay."""
    repay = WETH, "careful", MAX_UINT256, 0, "careful"
    return [
        Step(it.action("VaultEngine.set_fee_dynamic", WETH, False, by="admin")),
        Step(it.action("VaultEngine.repay_and_withdraw", *repay, by="maker")),
    ]


def _take(c: int) -> Callable[[Play, Part | None], list[Step]]:
    def steps(it: Play, broken: Part | None) -> list[Step]:
        lots = it.both.model.get_live_tables()["CollateralAuction"]["lots"]
        id = next(id for id, lot in lots.items() if lot.target and lot.collateral_type == c)
        # After a long silence it has to be reset first.
        reset = it.action("CollateralAuction.reset", id, "crank", by="crank")
        take = id, WAD // 100, MAX_UINT256, "bidder", b""
        return [Step(reset, False), Step(it.action("CollateralAuction.take", *take, by="bidder"))]

    return steps


def _cover_small(it: Play, broken: Part | None) -> list[Step]:
    """Cover; if that begins to sell staked equity, buy it."""
    return [Step(it.action("LossWaterfall.cover", WBTC, by="coverer")), _buy(it, "StakeAuction", WBTC)]


def _buy(it: Play, auction: str, c: int) -> Step:
    """Buy all that an auction of equity sells, if it runs."""
    take = it.action(f"{auction}.take", c, MAX_UINT256, MAX_UINT256, "bidder", b"", by="bidder")
    return Step(take, False)


def _cover_all(it: Play, broken: Part | None) -> list[Step]:
    """Cover; whenever an auction of equity has begun, buy all of it, and cover again, until all have paid."""
    cover = Step(it.action("LossWaterfall.cover", XAU, by="coverer"))
    steps = [cover]
    # What is sold above the floor leaves a little more to sell, under the same cap.
    for auction in ("StakeAuction", "MintAuction"):
        steps += [_buy(it, auction, XAU), cover] * _SALES
    return steps


def _leave(pool: str) -> Callable[[Play, Part | None], list[Step]]:
    def steps(it: Play, broken: Part | None) -> list[Step]:
        """Have the batch paid that waits for it, and claim."""
        settle = Step(it.action(f"{pool}.settle", by="crank"))
        claim = it.action(f"{pool}.redeem", 0, get_account("saver"), get_account("saver"), by="saver")
        return [settle, Step(claim, first="maxRedeem")]

    return steps


def _leave_stake(it: Play, broken: Part | None) -> list[Step]:
    """Have what stages owe covered first, and bought: a stake is paid only while no loss is known."""
    cover = Step(it.action("LossWaterfall.cover", WBTC, by="coverer"), False)
    sales = [cover, _buy(it, "StakeAuction", WBTC)] * _SALES
    return [*sales, cover, *_leave("StakedEquity")(it, broken)]


def _free(it: Play, auction: str, c: int, wait: int = 0) -> list[Step]:
    """End an auction of equity; if it cannot be ended, have the waterfall release what it has reserved."""
    k = it.stages.index(auction)
    return [
        Step(it.action(f"{auction}.end", c, by="settler"), False, wait),
        Step(it.action("LossWaterfall.force_release", c, k, by="settler"), False),
    ]


def _settle(it: Play, broken: Part | None) -> list[Step]:
    steps = []
    for each in settlement(it):
        action = each[0]
        ends = action.method == "end"
        # The end of an auction of equity may fail, as long as settlement goes on without.
        steps += _free(it, action.contract, action.args[0]) if ends else [Step(*each)]
    return steps


def _cover_after_sale(it: Play, broken: Part | None) -> list[Step]:
    """End the auction of staked equity once no reservation may last longer; have later stages cover."""
    cover = Step(it.action("LossWaterfall.cover", XAU, by="coverer"))
    ends = _free(it, "StakeAuction", XAU, MAX_RESERVATION + 1)
    return [*ends, cover, *[_buy(it, "MintAuction", XAU), cover] * _SALES]


def _settle_after_cover(it: Play, broken: Part | None) -> list[Step]:
    """Settle while an auction of equity runs, or what a broken stage has left of one."""
    covers = [Step(it.action("LossWaterfall.cover", c, by="coverer"), False) for c in (WBTC, XAU)]
    auctions = "StakeAuction", "MintAuction"
    ends = [step for c in (WBTC, XAU) for auction in auctions for step in _free(it, auction, c)]
    begin, *others = _settle(it, broken)
    return [*covers, begin, *ends, *others]


def _cash(c: int) -> Callable[[Play, Part | None], list[Step]]:
    def steps(it: Play, broken: Part | None) -> list[Step]:
        redeem = it.action("Settlement.redeem", 10_000 * WAD, by="rich")
        return [Step(redeem), Step(it.action("Settlement.cash", c, 10_000 * WAD, by="rich"))]

    return steps


def _close(it: Play, broken: Part | None) -> list[Step]:
    return [Step(fill(it, -100))]


def _close_and_leave(name: str, amount: int) -> Callable[[Play, Part | None], list[Step]]:
    def steps(it: Play, broken: Part | None) -> list[Step]:
        out = it.action(
            "PerpetualMarket.withdraw", amount, get_trader_account(name), by=get_trader_account(name)
        )
        return [Step(fill(it, -100)), Step(out)]

    return steps


def _withdraw_margin(it: Play, broken: Part | None) -> list[Step]:
    who = get_trader_account(IDLE)
    return [Step(it.action("PerpetualMarket.withdraw", 10_000 * WAD, who, by=who))]


def _deliver(symbol: str) -> Callable[[Play, Part | None], list[Step]]:
    """Have a type's healthy reporters say the price, and the feed take a step."""

    def steps(it: Play, broken: Part | None) -> list[Step]:
        said = deliveries(it, broken, symbol)
        return [said[0]._replace(wait=STEP), *said[1:]]

    return steps


def deliveries(it: Play, broken: Part | None, *symbols: str) -> list[Step]:
    """Return the reports of these prices or of all, by whoever is not broken, and the steps of the feed."""
    found = []
    for symbol in symbols or it.prices:
        price = it.prices[symbol]
        market = it.markets[symbol]
        silent = broken is not None and (not broken.markets or symbol in broken.markets)
        for reporter in reporters_of(symbol):
            if broken is None or not (silent and reporter in broken.reporters):
                said = int(price * RAY)
                report = it.action("PriceFeed.report_range", market, said, said, said, 0, by=reporter)
                found.append(Step(report))
        if symbol == ADAPTED and not (silent and broken is not None and ADAPTER in broken.reporters):
            found.append(Step(it.action(f"{ADAPTER}.push", by="poker"), False))
        found.append(Step(it.action("PriceFeed.poke", market, by="poker")))
    return found


def _repair(it: Play, broken: Part | None) -> list[Step]:
    """Do what the admin can: roles, caps, limits and fees."""
    terms = [it.read("LossWaterfall.stage_terms", k) for k in it.read("LossWaterfall.stage_ids")]
    calls = [
        it.action("VaultEngine.grant_role", STAGE, "guardian", by="admin"),
        it.action("VaultEngine.revoke_role", STAGE, "guardian", by="admin"),
        it.action("LossWaterfall.propose_stages", terms, by="admin"),
    ]
    for c in (WETH, WBTC, XAU):
        calls += [
            it.action("VaultEngine.set_debt_ceiling", c, 0, by="admin"),
            it.action("VaultEngine.set_auction_limit", c, 1_000_000, by="admin"),
            it.action("VaultEngine.set_fee_dynamic", c, False, by="admin"),
            it.action("VaultEngine.set_stability_fee", c, 0, by="admin"),
        ]
    return [Step(action) for action in calls]


def _repair_feed(it: Play, broken: Part | None) -> list[Step]:
    """Stop a type's prices, and give each type other reporters."""
    reporters = tuple(get_account(f"reporter_{i + 1}") for i in range(4))
    steps = [Step(it.action("PriceFeed.set_halted", WETH, True, by="admin"))]
    for c in (WETH, WBTC, XAU):
        feed = it.parameters.collateral_types[c].feed
        times = feed.step, feed.max_age, feed.stale_after, feed.window
        steps.append(Step(it.action("PriceFeed.set_market", c, reporters, 3, *times, by="admin")))
    return steps


CALLS_OF_THE_CORE = (
    *_vaults("WETH", WETH),
    *_vaults("WBTC", WBTC),
    Call("repay after repair", STORM, _repay_after_repair),
    Call("cover a small loss", LOSS, _cover_small, judged=SPLIT, loss=WBTC),
    Call("cover a large loss", STORM, _cover_all, judged=SPLIT),
    Call("cover after a sale", SALE, _cover_after_sale, judged=SPLIT),
    *(Call(f"leave {pool}", LOSS, _leave(pool), (pool,), AT_MOST) for pool in POOLS),
    Call("leave StakedEquity", LOSS, _leave_stake, ("StakedEquity", "Equity"), AT_MOST),
    Call("redeem claims", STORM, _one("Junior.Claims.collect", "saver", 0, by="saver"), ("Junior.Claims",)),
    Call("close a position", STORM, _close),
    Call("close and withdraw", STORM, _close_and_leave(TRADERS[0], MARGIN // 2)),
    Call("close and take out", STORM, _close_and_leave(TRADERS[1], MARGIN * 9 // 10)),
    Call("withdraw margin", STORM, _withdraw_margin),
    *(
        Call(f"deliver {symbol}", STORM, _deliver(symbol), ("PriceFeed", f"feed of {symbol}"))
        for symbol in ("WETH", "WBTC", "XAU")
    ),
    Call("repair", STORM, _repair),
    Call("repair the feed", STORM, _repair_feed, ("PriceFeed",)),
    Call("settle", STORM, _settle, judged=SPLIT),
    Call("settle after a cover", STORM, _settle_after_cover, judged=SPLIT),
    Call("settle during a sale", SALE, _settle, judged=SPLIT),
    *(
        Call(f"cash {symbol}", CLOSED, _cash(c), (symbol,))
        for c, symbol in enumerate(("WETH", "WBTC", "XAU"))
    ),
)
"""What works beside a margin market, as the table has it."""
