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
from backstop.proof.faults.components import Component
from backstop.proof.faults.core_scenario import (
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
    fill_orders,
    list_settlement_calls,
)
from backstop.proof.faults.fault_scenario import ADAPTED, ADAPTER, FaultScenario, list_reporters
from backstop.system import Action

OF_CYCLES = ("PerpetualTrading",)
"""Parts that only the margin market has."""
_SALES = 8
"""Sales after which nothing is left under an auction's cap that is worth one."""
STEP = 3_600
"""Seconds until the feed may step again."""
SAME, SPLIT, AT_MOST = "same", "split", "at most"
"""What a call is judged by: it does what it does when nothing is broken; the stages pay in their order;
nobody who leaves gets more."""


class CallStep(NamedTuple):
    """One transaction, after so many seconds; one that need not succeed may fail.

    Where a view is named, it tells the caller's first argument when the time has come.
    """

    action: Action
    needed: bool = True
    wait: int = 0
    first: str = ""


@dataclass(frozen=True)
class LivenessCall:
    """What somebody must be able to do at a moment: its steps, and the parts it cannot do without.

    With `parts`, only those are broken: the others have nothing to do with it.
    """

    name: str
    moment: str
    steps: Callable[[FaultScenario, Component | None], list[CallStep]]
    without: tuple[str, ...] = ()
    judged: str = SAME
    loss: int = XAU  # of a split: the type whose loss is covered
    parts: tuple[str, ...] = ()

    def is_affected(self, part: Component) -> bool:
        """Return whether a part has anything to do with it."""
        return part.name in self.parts if self.parts else part.name not in OF_CYCLES


def _make_single_call(
    call: str, *args: object, by: str
) -> Callable[[FaultScenario, Component | None], list[CallStep]]:
    """Return the steps of one transaction."""
    return lambda it, broken: [CallStep(it.build_action(call, *args, by=by))]


def _list_vault_calls(symbol: str, collateral_type: int) -> list[LivenessCall]:
    """Return what owners of vaults and liquidators of a type must be able to do."""
    draw, repay = "VaultEngine.deposit_and_draw", "VaultEngine.repay_and_withdraw"
    feed = f"feed of {symbol}"
    return [
        LivenessCall(
            f"repay {symbol}",
            STORM,
            _make_single_call(repay, collateral_type, "careful", MAX_UINT256, 0, "careful", by="maker"),
        ),
        LivenessCall(
            f"top up {symbol}",
            STORM,
            _make_single_call(draw, collateral_type, "careful", WAD, 0, "careful", by="careful"),
            (symbol,),
        ),
        LivenessCall(
            f"withdraw {symbol}",
            STORM,
            _make_single_call(repay, collateral_type, "debtless", 0, WAD // 10, "debtless", by="debtless"),
            (symbol,),
        ),
        LivenessCall(
            f"liquidate {symbol}",
            STORM,
            _make_single_call(
                "LiquidationEngine.liquidate", collateral_type, "unsafe", "liquidator", by="liquidator"
            ),
            ("PriceFeed", feed),
        ),
        LivenessCall(f"take {symbol}", STORM, _take_auction(collateral_type), (symbol, feed)),
    ]


def _repay_after_repair(it: FaultScenario, broken: Component | None) -> list[CallStep]:
    """Have the admin fix a type's fee; then repay."""
    repay = WETH, "careful", MAX_UINT256, 0, "careful"
    return [
        CallStep(it.build_action("VaultEngine.set_fee_dynamic", WETH, False, by="admin")),
        CallStep(it.build_action("VaultEngine.repay_and_withdraw", *repay, by="maker")),
    ]


def _take_auction(collateral_type: int) -> Callable[[FaultScenario, Component | None], list[CallStep]]:
    def steps(it: FaultScenario, broken: Component | None) -> list[CallStep]:
        lots = it.both.model.get_live_tables()["CollateralAuction"]["lots"]
        auction_id = next(
            auction_id
            for auction_id, lot in lots.items()
            if lot.target and lot.collateral_type == collateral_type
        )
        # After a long silence it has to be reset first.
        reset = it.build_action("CollateralAuction.reset", auction_id, "crank", by="crank")
        take = auction_id, WAD // 100, MAX_UINT256, "bidder", b""
        return [
            CallStep(reset, False),
            CallStep(it.build_action("CollateralAuction.take", *take, by="bidder")),
        ]

    return steps


def _cover_small(it: FaultScenario, broken: Component | None) -> list[CallStep]:
    """Cover; if that begins to sell staked equity, buy it."""
    return [
        CallStep(it.build_action("LossWaterfall.cover", WBTC, by="coverer")),
        _buy_equity(it, "StakeAuction", WBTC),
    ]


def _buy_equity(it: FaultScenario, auction: str, collateral_type: int) -> CallStep:
    """Buy all that an auction of equity sells, if it runs."""
    take = it.build_action(
        f"{auction}.take", collateral_type, MAX_UINT256, MAX_UINT256, "bidder", b"", by="bidder"
    )
    return CallStep(take, False)


def _cover_large(it: FaultScenario, broken: Component | None) -> list[CallStep]:
    """Cover; whenever an auction of equity has begun, buy all of it, and cover again, until all have paid."""
    cover = CallStep(it.build_action("LossWaterfall.cover", XAU, by="coverer"))
    steps = [cover]
    # What is sold above the floor leaves a little more to sell, under the same cap.
    for auction in ("StakeAuction", "MintAuction"):
        steps += [_buy_equity(it, auction, XAU), cover] * _SALES
    return steps


def _leave_pool(pool: str) -> Callable[[FaultScenario, Component | None], list[CallStep]]:
    def steps(it: FaultScenario, broken: Component | None) -> list[CallStep]:
        """Have the batch paid that waits for it, and claim."""
        settle = CallStep(it.build_action(f"{pool}.settle", by="crank"))
        claim = it.build_action(f"{pool}.redeem", 0, get_account("saver"), get_account("saver"), by="saver")
        return [settle, CallStep(claim, first="maxRedeem")]

    return steps


def _leave_stake(it: FaultScenario, broken: Component | None) -> list[CallStep]:
    """Have what stages owe covered first, and bought: a stake is paid only while no loss is known."""
    cover = CallStep(it.build_action("LossWaterfall.cover", WBTC, by="coverer"), False)
    sales = [cover, _buy_equity(it, "StakeAuction", WBTC)] * _SALES
    return [*sales, cover, *_leave_pool("StakedEquity")(it, broken)]


def _release_reservation(
    it: FaultScenario, auction: str, collateral_type: int, wait: int = 0
) -> list[CallStep]:
    """End an auction of equity; if it cannot be ended, have the waterfall release what it has reserved."""
    k = it.stages.index(auction)
    return [
        CallStep(it.build_action(f"{auction}.end", collateral_type, by="settler"), False, wait),
        CallStep(it.build_action("LossWaterfall.force_release", collateral_type, k, by="settler"), False),
    ]


def _settle_protocol(it: FaultScenario, broken: Component | None) -> list[CallStep]:
    steps = []
    for each in list_settlement_calls(it):
        action = each[0]
        ends = action.method == "end"
        # The end of an auction of equity may fail, as long as settlement goes on without.
        steps += _release_reservation(it, action.contract, action.args[0]) if ends else [CallStep(*each)]
    return steps


def _cover_after_sale(it: FaultScenario, broken: Component | None) -> list[CallStep]:
    """End the auction of staked equity once no reservation may last longer; have later stages cover."""
    cover = CallStep(it.build_action("LossWaterfall.cover", XAU, by="coverer"))
    ends = _release_reservation(it, "StakeAuction", XAU, MAX_RESERVATION + 1)
    return [*ends, cover, *[_buy_equity(it, "MintAuction", XAU), cover] * _SALES]


def _settle_after_cover(it: FaultScenario, broken: Component | None) -> list[CallStep]:
    """Settle while an auction of equity runs, or what a broken stage has left of one."""
    covers = [CallStep(it.build_action("LossWaterfall.cover", c, by="coverer"), False) for c in (WBTC, XAU)]
    auctions = "StakeAuction", "MintAuction"
    ends = [
        step for c in (WBTC, XAU) for auction in auctions for step in _release_reservation(it, auction, c)
    ]
    begin, *others = _settle_protocol(it, broken)
    return [*covers, begin, *ends, *others]


def _cash_collateral(collateral_type: int) -> Callable[[FaultScenario, Component | None], list[CallStep]]:
    def steps(it: FaultScenario, broken: Component | None) -> list[CallStep]:
        redeem = it.build_action("Settlement.redeem", 10_000 * WAD, by="rich")
        return [
            CallStep(redeem),
            CallStep(it.build_action("Settlement.cash", collateral_type, 10_000 * WAD, by="rich")),
        ]

    return steps


def _close_position(it: FaultScenario, broken: Component | None) -> list[CallStep]:
    return [CallStep(fill_orders(it, -100))]


def _close_and_withdraw(
    name: str, amount: int
) -> Callable[[FaultScenario, Component | None], list[CallStep]]:
    def steps(it: FaultScenario, broken: Component | None) -> list[CallStep]:
        out = it.build_action(
            "PerpetualMarket.withdraw", amount, get_trader_account(name), by=get_trader_account(name)
        )
        return [CallStep(fill_orders(it, -100)), CallStep(out)]

    return steps


def _withdraw_margin(it: FaultScenario, broken: Component | None) -> list[CallStep]:
    who = get_trader_account(IDLE)
    return [CallStep(it.build_action("PerpetualMarket.withdraw", 10_000 * WAD, who, by=who))]


def _deliver_reports(symbol: str) -> Callable[[FaultScenario, Component | None], list[CallStep]]:
    """Have a type's healthy reporters say the price, and the feed take a step."""

    def steps(it: FaultScenario, broken: Component | None) -> list[CallStep]:
        said = list_reports(it, broken, symbol)
        return [said[0]._replace(wait=STEP), *said[1:]]

    return steps


def list_reports(it: FaultScenario, broken: Component | None, *symbols: str) -> list[CallStep]:
    """Return the reports of these prices or of all, by whoever is not broken, and the steps of the feed."""
    found = []
    for symbol in symbols or it.prices:
        price = it.prices[symbol]
        market = it.markets[symbol]
        silent = broken is not None and (not broken.markets or symbol in broken.markets)
        for reporter in list_reporters(symbol):
            if broken is None or not (silent and reporter in broken.reporters):
                said = int(price * RAY)
                report = it.build_action("PriceFeed.report_range", market, said, said, said, 0, by=reporter)
                found.append(CallStep(report))
        if symbol == ADAPTED and not (silent and broken is not None and ADAPTER in broken.reporters):
            found.append(CallStep(it.build_action(f"{ADAPTER}.push", by="poker"), False))
        found.append(CallStep(it.build_action("PriceFeed.poke", market, by="poker")))
    return found


def _repair_parameters(it: FaultScenario, broken: Component | None) -> list[CallStep]:
    """Do what the admin can: roles, caps, limits and fees."""
    terms = [it.read_view("LossWaterfall.stage_terms", k) for k in it.read_view("LossWaterfall.stage_ids")]
    calls = [
        it.build_action("VaultEngine.grant_role", STAGE, "guardian", by="admin"),
        it.build_action("VaultEngine.revoke_role", STAGE, "guardian", by="admin"),
        it.build_action("LossWaterfall.propose_stages", terms, by="admin"),
    ]
    for c in (WETH, WBTC, XAU):
        calls += [
            it.build_action("VaultEngine.set_debt_ceiling", c, 0, by="admin"),
            it.build_action("VaultEngine.set_auction_limit", c, 1_000_000, by="admin"),
            it.build_action("VaultEngine.set_fee_dynamic", c, False, by="admin"),
            it.build_action("VaultEngine.set_stability_fee", c, 0, by="admin"),
        ]
    return [CallStep(action) for action in calls]


def _repair_feed(it: FaultScenario, broken: Component | None) -> list[CallStep]:
    """Stop a type's prices, and give each type other reporters."""
    reporters = tuple(get_account(f"reporter_{i + 1}") for i in range(4))
    steps = [CallStep(it.build_action("PriceFeed.set_halted", WETH, True, by="admin"))]
    for c in (WETH, WBTC, XAU):
        feed = it.parameters.collateral_types[c].feed
        times = feed.step, feed.max_age, feed.stale_after, feed.window
        steps.append(CallStep(it.build_action("PriceFeed.set_market", c, reporters, 3, *times, by="admin")))
    return steps


CALLS_OF_THE_CORE = (
    *_list_vault_calls("WETH", WETH),
    *_list_vault_calls("WBTC", WBTC),
    LivenessCall("repay after repair", STORM, _repay_after_repair),
    LivenessCall("cover a small loss", LOSS, _cover_small, judged=SPLIT, loss=WBTC),
    LivenessCall("cover a large loss", STORM, _cover_large, judged=SPLIT),
    LivenessCall("cover after a sale", SALE, _cover_after_sale, judged=SPLIT),
    *(LivenessCall(f"leave {pool}", LOSS, _leave_pool(pool), (pool,), AT_MOST) for pool in POOLS),
    LivenessCall("leave StakedEquity", LOSS, _leave_stake, ("StakedEquity", "Equity"), AT_MOST),
    LivenessCall(
        "redeem claims",
        STORM,
        _make_single_call("Junior.Claims.collect", "saver", 0, by="saver"),
        ("Junior.Claims",),
    ),
    LivenessCall("close a position", STORM, _close_position),
    LivenessCall("close and withdraw", STORM, _close_and_withdraw(TRADERS[0], MARGIN // 2)),
    LivenessCall("close and take out", STORM, _close_and_withdraw(TRADERS[1], MARGIN * 9 // 10)),
    LivenessCall("withdraw margin", STORM, _withdraw_margin),
    *(
        LivenessCall(f"deliver {symbol}", STORM, _deliver_reports(symbol), ("PriceFeed", f"feed of {symbol}"))
        for symbol in ("WETH", "WBTC", "XAU")
    ),
    LivenessCall("repair", STORM, _repair_parameters),
    LivenessCall("repair the feed", STORM, _repair_feed, ("PriceFeed",)),
    LivenessCall("settle", STORM, _settle_protocol, judged=SPLIT),
    LivenessCall("settle after a cover", STORM, _settle_after_cover, judged=SPLIT),
    LivenessCall("settle during a sale", SALE, _settle_protocol, judged=SPLIT),
    *(
        LivenessCall(f"cash {symbol}", CLOSED, _cash_collateral(c), (symbol,))
        for c, symbol in enumerate(("WETH", "WBTC", "XAU"))
    ),
)
"""What works beside a margin market, as the table has it."""
