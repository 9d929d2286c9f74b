"""The calls that must succeed with any other component broken, and the moment in which they must."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from backstop.deployment.devnet_trader_signatures import get_trader_account
from backstop.deployment.role_accounts import get_account
from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from backstop.model.bounds import MAX_RESERVATION
from backstop.model.roles import STAGE
from backstop.proof.faults.breakable_components import Component
from backstop.proof.faults.component_failure_scenario import ADAPTED, ADAPTER, FaultScenario, list_reporters
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
    build_order_fill_action,
    list_settlement_calls,
)
from backstop.system import Action

OF_CYCLES = ("PerpetualTrading",)
"""Parts that only the margin market has."""
_SALES = 8
"""Sales after which nothing is left under an auction's cap that is worth one."""
STEP = 3_600
"""Seconds until the feed may step again."""
SAME, SPLIT, AT_MOST = "same", "split", "at most"
"""The criteria of a call: the same effect as with nothing broken; the stages' order; no higher payout."""


class CallStep(NamedTuple):
    """Transaction after a waiting time; if `needed` is false, it may fail.

    If `first` names a view, its result at that time is the first argument.
    """

    action: Action
    needed: bool = True
    wait: int = 0
    first: str = ""


@dataclass(frozen=True)
class LivenessCall:
    """Call that must work at a moment of the scenario: its steps and the components that it needs.

    With `parts`, only these components are broken for this call.
    """

    name: str
    moment: str
    steps: Callable[[FaultScenario, Component | None], list[CallStep]]
    without: tuple[str, ...] = ()
    judged: str = SAME
    loss: int = XAU  # of a split: the type whose loss is covered
    parts: tuple[str, ...] = ()

    def is_affected(self, component: Component) -> bool:
        """Return whether the table has this call for this broken component."""
        return component.name in self.parts if self.parts else component.name not in OF_CYCLES


def _make_single_step_builder(
    call: str, *args: object, by: str
) -> Callable[[FaultScenario, Component | None], list[CallStep]]:
    """Return a function that builds the one step of this call."""
    return lambda it, broken: [CallStep(it.build_action(call, *args, by=by))]


def _list_vault_liveness_calls(symbol: str, collateral_type: int) -> list[LivenessCall]:
    """Return the calls of vault owners, liquidators and buyers that must work for a type."""
    draw, repay = "VaultEngine.deposit_and_draw", "VaultEngine.repay_and_withdraw"
    feed = f"feed of {symbol}"
    return [
        LivenessCall(
            f"repay {symbol}",
            STORM,
            _make_single_step_builder(
                repay, collateral_type, "careful", MAX_UINT256, 0, "careful", by="maker"
            ),
        ),
        LivenessCall(
            f"top up {symbol}",
            STORM,
            _make_single_step_builder(draw, collateral_type, "careful", WAD, 0, "careful", by="careful"),
            (symbol,),
        ),
        LivenessCall(
            f"withdraw {symbol}",
            STORM,
            _make_single_step_builder(
                repay, collateral_type, "debtless", 0, WAD // 10, "debtless", by="debtless"
            ),
            (symbol,),
        ),
        LivenessCall(
            f"liquidate {symbol}",
            STORM,
            _make_single_step_builder(
                "LiquidationEngine.liquidate", collateral_type, "unsafe", "liquidator", by="liquidator"
            ),
            ("PriceFeed", feed),
        ),
        LivenessCall(
            f"take {symbol}", STORM, _make_auction_take_step_builder(collateral_type), (symbol, feed)
        ),
    ]


def _list_fee_fix_and_repayment_steps(
    scenario: FaultScenario, broken_component: Component | None
) -> list[CallStep]:
    """Return steps in which the admin makes a type's fee static, and a vault is repaid."""
    repay = WETH, "careful", MAX_UINT256, 0, "careful"
    return [
        CallStep(scenario.build_action("VaultEngine.set_fee_dynamic", WETH, False, by="admin")),
        CallStep(scenario.build_action("VaultEngine.repay_and_withdraw", *repay, by="maker")),
    ]


def _make_auction_take_step_builder(
    collateral_type: int,
) -> Callable[[FaultScenario, Component | None], list[CallStep]]:
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


def _list_small_cover_steps(scenario: FaultScenario, broken_component: Component | None) -> list[CallStep]:
    """Return steps that cover a loss, and buy staked equity if the cover starts its sale."""
    return [
        CallStep(scenario.build_action("LossWaterfall.cover", WBTC, by="coverer")),
        _build_equity_purchase_step(scenario, "StakeAuction", WBTC),
    ]


def _build_equity_purchase_step(scenario: FaultScenario, auction: str, collateral_type: int) -> CallStep:
    """Return an optional step that buys all equity of a running auction."""
    take = scenario.build_action(
        f"{auction}.take", collateral_type, MAX_UINT256, MAX_UINT256, "bidder", b"", by="bidder"
    )
    return CallStep(take, False)


def _list_large_loss_cover_steps(
    scenario: FaultScenario, broken_component: Component | None
) -> list[CallStep]:
    """Return steps that cover a loss and buy all auctioned equity in turns until all stages have paid."""
    cover = CallStep(scenario.build_action("LossWaterfall.cover", XAU, by="coverer"))
    steps = [cover]
    # What is sold above the floor leaves a little more to sell, under the same cap.
    for auction in ("StakeAuction", "MintAuction"):
        steps += [_build_equity_purchase_step(scenario, auction, XAU), cover] * _SALES
    return steps


def _make_pool_exit_step_builder(pool: str) -> Callable[[FaultScenario, Component | None], list[CallStep]]:
    def steps(it: FaultScenario, broken: Component | None) -> list[CallStep]:
        """Return steps that settle the pool's due batch and claim its payment."""
        settle = CallStep(it.build_action(f"{pool}.settle", by="crank"))
        claim = it.build_action(f"{pool}.redeem", 0, get_account("saver"), get_account("saver"), by="saver")
        return [settle, CallStep(claim, first="maxRedeem")]

    return steps


def _list_stake_exit_steps(scenario: FaultScenario, broken_component: Component | None) -> list[CallStep]:
    """Return steps that cover losses, sell staked equity, and then leave the pool of staked equity.

    Stakes are paid only while no loss is known.
    """
    cover = CallStep(scenario.build_action("LossWaterfall.cover", WBTC, by="coverer"), False)
    sales = [cover, _build_equity_purchase_step(scenario, "StakeAuction", WBTC)] * _SALES
    return [*sales, cover, *_make_pool_exit_step_builder("StakedEquity")(scenario, broken_component)]


def _list_auction_end_or_release_steps(
    scenario: FaultScenario, equity_auction: str, collateral_type: int, wait: int = 0
) -> list[CallStep]:
    """Return optional steps that end an equity auction, or release its stage's reservation otherwise."""
    k = scenario.stages.index(equity_auction)
    return [
        CallStep(scenario.build_action(f"{equity_auction}.end", collateral_type, by="settler"), False, wait),
        CallStep(
            scenario.build_action("LossWaterfall.force_release", collateral_type, k, by="settler"), False
        ),
    ]


def _list_settlement_steps(scenario: FaultScenario, broken_component: Component | None) -> list[CallStep]:
    steps = []
    for each in list_settlement_calls(scenario):
        action = each[0]
        ends = action.method == "end"
        # The end of an auction of equity may fail, as long as settlement goes on without.
        steps += (
            _list_auction_end_or_release_steps(scenario, action.contract, action.args[0])
            if ends
            else [CallStep(*each)]
        )
    return steps


def _list_cover_steps_after_sale(
    scenario: FaultScenario, broken_component: Component | None
) -> list[CallStep]:
    """Return steps that end the sale of staked equity at its time limit and let later stages cover."""
    cover = CallStep(scenario.build_action("LossWaterfall.cover", XAU, by="coverer"))
    ends = _list_auction_end_or_release_steps(scenario, "StakeAuction", XAU, MAX_RESERVATION + 1)
    return [*ends, cover, *[_build_equity_purchase_step(scenario, "MintAuction", XAU), cover] * _SALES]


def _list_settlement_steps_after_cover(
    scenario: FaultScenario, broken_component: Component | None
) -> list[CallStep]:
    """Return steps of a settlement that starts during or after an equity auction."""
    covers = [
        CallStep(scenario.build_action("LossWaterfall.cover", c, by="coverer"), False) for c in (WBTC, XAU)
    ]
    auctions = "StakeAuction", "MintAuction"
    ends = [
        step
        for c in (WBTC, XAU)
        for auction in auctions
        for step in _list_auction_end_or_release_steps(scenario, auction, c)
    ]
    begin, *others = _list_settlement_steps(scenario, broken_component)
    return [*covers, begin, *ends, *others]


def _make_settlement_cash_step_lister(
    collateral_type: int,
) -> Callable[[FaultScenario, Component | None], list[CallStep]]:
    def steps(it: FaultScenario, broken: Component | None) -> list[CallStep]:
        redeem = it.build_action("Settlement.redeem", 10_000 * WAD, by="rich")
        return [
            CallStep(redeem),
            CallStep(it.build_action("Settlement.cash", collateral_type, 10_000 * WAD, by="rich")),
        ]

    return steps


def _list_position_close_steps(scenario: FaultScenario, broken_component: Component | None) -> list[CallStep]:
    return [CallStep(build_order_fill_action(scenario, -100))]


def _make_close_withdraw_step_builder(
    trader_name: str, amount: int
) -> Callable[[FaultScenario, Component | None], list[CallStep]]:
    def steps(it: FaultScenario, broken: Component | None) -> list[CallStep]:
        out = it.build_action(
            "PerpetualMarket.withdraw",
            amount,
            get_trader_account(trader_name),
            by=get_trader_account(trader_name),
        )
        return [CallStep(build_order_fill_action(it, -100)), CallStep(out)]

    return steps


def _list_margin_withdrawal_steps(
    scenario: FaultScenario, broken_component: Component | None
) -> list[CallStep]:
    who = get_trader_account(IDLE)
    return [CallStep(scenario.build_action("PerpetualMarket.withdraw", 10_000 * WAD, who, by=who))]


def _build_report_steps_function(symbol: str) -> Callable[[FaultScenario, Component | None], list[CallStep]]:
    """Return a function that lists the reports of a type's intact reporters and the feed update."""

    def steps(it: FaultScenario, broken: Component | None) -> list[CallStep]:
        said = list_price_report_steps(it, broken, symbol)
        return [said[0]._replace(wait=STEP), *said[1:]]

    return steps


def list_price_report_steps(
    scenario: FaultScenario, broken_component: Component | None, *symbols: str
) -> list[CallStep]:
    """Return reports of these prices by all intact reporters, each market followed by a feed update.

    Without symbols, all markets are reported.
    """
    found = []
    for symbol in symbols or scenario.prices:
        price = scenario.prices[symbol]
        market = scenario.markets[symbol]
        silent = broken_component is not None and (
            not broken_component.markets or symbol in broken_component.markets
        )
        for reporter in list_reporters(symbol):
            if broken_component is None or not (silent and reporter in broken_component.reporters):
                said = int(price * RAY)
                report = scenario.build_action(
                    "PriceFeed.report_range", market, said, said, said, 0, by=reporter
                )
                found.append(CallStep(report))
        if symbol == ADAPTED and not (
            silent and broken_component is not None and ADAPTER in broken_component.reporters
        ):
            found.append(CallStep(scenario.build_action(f"{ADAPTER}.push", by="poker"), False))
        found.append(CallStep(scenario.build_action("PriceFeed.poke", market, by="poker")))
    return found


def _list_parameter_repair_steps(
    scenario: FaultScenario, broken_component: Component | None
) -> list[CallStep]:
    """Return steps of the admin that change roles, caps, limits and fees."""
    terms = [
        scenario.read_view("LossWaterfall.stage_terms", k)
        for k in scenario.read_view("LossWaterfall.stage_ids")
    ]
    calls = [
        scenario.build_action("VaultEngine.grant_role", STAGE, "guardian", by="admin"),
        scenario.build_action("VaultEngine.revoke_role", STAGE, "guardian", by="admin"),
        scenario.build_action("LossWaterfall.propose_stages", terms, by="admin"),
    ]
    for c in (WETH, WBTC, XAU):
        calls += [
            scenario.build_action("VaultEngine.set_debt_ceiling", c, 0, by="admin"),
            scenario.build_action("VaultEngine.set_auction_limit", c, 1_000_000, by="admin"),
            scenario.build_action("VaultEngine.set_fee_dynamic", c, False, by="admin"),
            scenario.build_action("VaultEngine.set_stability_fee", c, 0, by="admin"),
        ]
    return [CallStep(action) for action in calls]


def _list_feed_repair_steps(scenario: FaultScenario, broken_component: Component | None) -> list[CallStep]:
    """Return steps of the admin that halt a market and replace each type's reporters."""
    reporters = tuple(get_account(f"reporter_{i + 1}") for i in range(4))
    steps = [CallStep(scenario.build_action("PriceFeed.set_halted", WETH, True, by="admin"))]
    for c in (WETH, WBTC, XAU):
        feed = scenario.parameters.collateral_types[c].feed
        times = feed.step, feed.max_age, feed.stale_after, feed.window
        steps.append(
            CallStep(scenario.build_action("PriceFeed.set_market", c, reporters, 3, *times, by="admin"))
        )
    return steps


CALLS_OF_THE_CORE = (
    *_list_vault_liveness_calls("WETH", WETH),
    *_list_vault_liveness_calls("WBTC", WBTC),
    LivenessCall("repay after repair", STORM, _list_fee_fix_and_repayment_steps),
    LivenessCall("cover a small loss", LOSS, _list_small_cover_steps, judged=SPLIT, loss=WBTC),
    LivenessCall("cover a large loss", STORM, _list_large_loss_cover_steps, judged=SPLIT),
    LivenessCall("cover after a sale", SALE, _list_cover_steps_after_sale, judged=SPLIT),
    *(
        LivenessCall(f"leave {pool}", LOSS, _make_pool_exit_step_builder(pool), (pool,), AT_MOST)
        for pool in POOLS
    ),
    LivenessCall("leave StakedEquity", LOSS, _list_stake_exit_steps, ("StakedEquity", "Equity"), AT_MOST),
    LivenessCall(
        "redeem claims",
        STORM,
        _make_single_step_builder("Junior.Claims.collect", "saver", 0, by="saver"),
        ("Junior.Claims",),
    ),
    LivenessCall("close a position", STORM, _list_position_close_steps),
    LivenessCall("close and withdraw", STORM, _make_close_withdraw_step_builder(TRADERS[0], MARGIN // 2)),
    LivenessCall(
        "close and take out", STORM, _make_close_withdraw_step_builder(TRADERS[1], MARGIN * 9 // 10)
    ),
    LivenessCall("withdraw margin", STORM, _list_margin_withdrawal_steps),
    *(
        LivenessCall(
            f"deliver {symbol}",
            STORM,
            _build_report_steps_function(symbol),
            ("PriceFeed", f"feed of {symbol}"),
        )
        for symbol in ("WETH", "WBTC", "XAU")
    ),
    LivenessCall("repair", STORM, _list_parameter_repair_steps),
    LivenessCall("repair the feed", STORM, _list_feed_repair_steps, ("PriceFeed",)),
    LivenessCall("settle", STORM, _list_settlement_steps, judged=SPLIT),
    LivenessCall("settle after a cover", STORM, _list_settlement_steps_after_cover, judged=SPLIT),
    LivenessCall("settle during a sale", SALE, _list_settlement_steps, judged=SPLIT),
    *(
        LivenessCall(f"cash {symbol}", CLOSED, _make_settlement_cash_step_lister(c), (symbol,))
        for c, symbol in enumerate(("WETH", "WBTC", "XAU"))
    ),
)
"""Calls that work beside a margin market, as the table has them."""
