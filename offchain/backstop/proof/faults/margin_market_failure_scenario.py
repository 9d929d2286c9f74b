"""A margin market in which parts are broken: its scene, and the calls that must go on.

One account owes and holds lots, one owes and has none left, and its loss is not booked; others hold, or idle.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from backstop.deployment.devnet_trader_signatures import get_trader_account, sign_order
from backstop.deployment.example_parameters import build_margin_parameters
from backstop.hosts.artifacts import Artifacts
from backstop.hosts.host_interface import CHAIN_ID
from backstop.hosts.revm import RevmHost
from backstop.model.arithmetic import MAX_UINT256, WAD
from backstop.model.bounds import MIN_NOTICE
from backstop.model.margin_orders import Order
from backstop.proof.faults.breakable_components import Component
from backstop.proof.faults.component_failure_scenario import FaultScenario
from backstop.proof.faults.core_scenario import WETH, build_core_scenario_parameters, prepare_feeds_and_vaults
from backstop.proof.faults.liveness_calls import CallStep, LivenessCall
from backstop.proof.lockstep import deploy_lockstep
from backstop.system import Action

PENDING, ENDING, ENDED = "pending", "ending", "ended"
"""The moments: a loss is pending, and its window is over in half an hour; a market that is delisted has its
final price; it has ended."""

OWES, GONE, HOLDS, SHORT, IDLE = "owes", "gone", "holds", "short", "idle"
_MARKET = "PerpetualMarket"
_FEEDS = "PriceFeed", "MarginPolicy", "feed of WETH"
_CONCERNED = (*_FEEDS, "a reporter", "a liar", "RiskPolicy", "CircuitBreaker", "MarginFund", "Perpetuals")
PARTS_OF_CYCLES = (*_CONCERNED, "PerpetualTrading")
"""The parts that the margin market has to do with."""


def iter_margin_scenario_moments(artifacts: Artifacts | None = None) -> Iterator[tuple[str, FaultScenario]]:
    """Play the margin market scenario on model and chain; yield name and scenario of each moment.

    The moments are a pending loss, a delisted market with its final price, and an ended market.
    """
    found = replace(build_core_scenario_parameters(), margin=build_margin_parameters(1_000, 500, 0).margin)
    it = FaultScenario(deploy_lockstep(RevmHost(), found, artifacts=artifacts, check_every=0, traces=None))
    prepare_feeds_and_vaults(it)
    it.run_call_or_raise("Stablecoin.transfer", "rich", 300_000 * WAD, by="maker")
    it.approve_given_contracts_without_limit("rich", _MARKET)
    for name, amount in ((OWES, 3_000), (GONE, 2_500), (HOLDS, 50_000), (SHORT, 50_000), (IDLE, 20_000)):
        it.run_call_or_raise(f"{_MARKET}.deposit", get_trader_account(name), amount * WAD, by="rich")
    it.run_call_or_raise(f"{_MARKET}.accrue", WETH, by="marker")
    for name, lots in ((OWES, 1_000), (GONE, 800), (HOLDS, 100)):
        it.run_action_or_raise(_build_fill_action(it, name, lots))
    it.post_prices(WETH=1_600)
    it.run_call_or_raise(f"{_MARKET}.accrue", WETH, by="marker")
    it.run_call_or_raise(f"{_MARKET}.seize_insolvent", get_trader_account(GONE), by="finder")
    it.run_call_or_raise(f"{_MARKET}.advance_cycle", by="roller")
    yield PENDING, it
    it.run_call_or_raise("MarginPolicy.delist", WETH, it.both.timestamp + MIN_NOTICE, by="admin")
    it.advance_time(MIN_NOTICE)
    # An hour a step, three of them each.
    for _ in range(3):
        it.post_prices(WETH=1_600)
    yield ENDING, it
    it.run_call_or_raise(f"{_MARKET}.end_market", WETH, by="finder")
    yield ENDED, it


def _build_fill_action(scenario: FaultScenario, trader_name: str, lots: int) -> Action:
    """Return an action that fills two signed orders at the mark: the trader buys `lots` from `short`.

    With negative `lots` the trader sells and only reduces its position.
    """
    price, orders = scenario.read_view(f"{_MARKET}.mark_of", WETH), list[object]()
    for who, size in ((trader_name, lots), (SHORT, -lots)):
        order = Order(get_trader_account(who), WETH, size, price, MAX_UINT256, scenario.both.steps, lots < 0)
        orders += order, sign_order(who, order, CHAIN_ID, scenario.get_address("MarginOrders"))
    return scenario.build_action("MarginOrders.fill", *orders, abs(lots), by="matcher")


def _list_margin_deposit_steps(scenario: FaultScenario, broken_component: Component | None) -> list[CallStep]:
    return [
        CallStep(
            scenario.build_action(f"{_MARKET}.deposit", get_trader_account(OWES), 1_000 * WAD, by="rich")
        )
    ]


def _list_withdrawal_steps(scenario: FaultScenario, broken_component: Component | None) -> list[CallStep]:
    who = get_trader_account(IDLE)
    return [CallStep(scenario.build_action(f"{_MARKET}.withdraw", 20_000 * WAD, who, by=who))]


def _list_loss_booking_steps(scenario: FaultScenario, broken_component: Component | None) -> list[CallStep]:
    return [
        CallStep(scenario.build_action(f"{_MARKET}.seize_insolvent", get_trader_account(GONE), by="finder"))
    ]


def _list_seizure_steps(scenario: FaultScenario, broken_component: Component | None) -> list[CallStep]:
    return [
        CallStep(scenario.build_action(f"{_MARKET}.seize_insolvent", get_trader_account(OWES), by="finder"))
    ]


def _list_cycle_roll_steps(scenario: FaultScenario, broken_component: Component | None) -> list[CallStep]:
    window = scenario.read_view(f"{_MARKET}.WINDOW")
    return [CallStep(scenario.build_action(f"{_MARKET}.advance_cycle", by="roller"), wait=4 * window)] * 2


def _list_loss_and_roll_steps(scenario: FaultScenario, broken_component: Component | None) -> list[CallStep]:
    return [
        *_list_loss_booking_steps(scenario, broken_component),
        *_list_cycle_roll_steps(scenario, broken_component),
    ]


def _list_position_reduction_steps(
    scenario: FaultScenario, broken_component: Component | None
) -> list[CallStep]:
    return [CallStep(_build_fill_action(scenario, HOLDS, -100))]


def _list_market_end_steps(scenario: FaultScenario, broken_component: Component | None) -> list[CallStep]:
    return [CallStep(scenario.build_action(f"{_MARKET}.end_market", WETH, by="finder"))]


def _list_account_exit_steps(scenario: FaultScenario, broken_component: Component | None) -> list[CallStep]:
    who = get_trader_account(HOLDS)
    calls = ("update_account", (who,), "finder"), ("withdraw", (1_000 * WAD, who), who)
    return [
        CallStep(scenario.build_action(f"{_MARKET}.{method}", *args, by=by)) for method, args, by in calls
    ]


CALLS_OF_CYCLES = (
    LivenessCall("deposit by cycle", PENDING, _list_margin_deposit_steps, parts=PARTS_OF_CYCLES),
    LivenessCall("withdraw by cycle", PENDING, _list_withdrawal_steps, parts=PARTS_OF_CYCLES),
    LivenessCall("book by cycle", PENDING, _list_loss_booking_steps, parts=PARTS_OF_CYCLES),
    LivenessCall("seize by cycle", PENDING, _list_seizure_steps, without=_FEEDS, parts=PARTS_OF_CYCLES),
    LivenessCall("roll by cycle", PENDING, _list_cycle_roll_steps, parts=PARTS_OF_CYCLES),
    LivenessCall("roll with losses by cycle", PENDING, _list_loss_and_roll_steps, parts=PARTS_OF_CYCLES),
    LivenessCall(
        "reduce by cycle",
        PENDING,
        _list_position_reduction_steps,
        without=("PerpetualTrading",),
        parts=PARTS_OF_CYCLES,
    ),
    LivenessCall(
        "end by cycle",
        ENDING,
        _list_market_end_steps,
        without=("PriceFeed", "MarginPolicy"),
        parts=PARTS_OF_CYCLES,
    ),
    LivenessCall("close by cycle", ENDED, _list_account_exit_steps, parts=PARTS_OF_CYCLES),
)
"""Calls that work while a loss is pending and a market ends, as the table has them."""
