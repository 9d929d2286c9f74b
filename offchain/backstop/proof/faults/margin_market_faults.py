"""A margin market in which parts are broken: its scene, and the calls that must go on.

One account owes and holds lots, one owes and has none left, and its loss is not booked; others hold, or idle.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from backstop.deployment.devnet_signing import get_trader_account, sign_order
from backstop.deployment.example_parameters import build_margin_parameters
from backstop.hosts.artifacts import Artifacts
from backstop.hosts.host_interface import CHAIN_ID
from backstop.hosts.revm import RevmHost
from backstop.model.arithmetic import MAX_UINT256, WAD
from backstop.model.bounds import MIN_NOTICE
from backstop.model.margin_orders import Order
from backstop.proof.faults.components import Component
from backstop.proof.faults.core_scenario import WETH, build_parameters, open_feeds
from backstop.proof.faults.fault_scenario import FaultScenario
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


def play_margin_scenario(artifacts: Artifacts | None = None) -> Iterator[tuple[str, FaultScenario]]:
    """Play the scene on the model and on revm up to its moment."""
    found = replace(build_parameters(), margin=build_margin_parameters(1_000, 500, 0).margin)
    it = FaultScenario(deploy_lockstep(RevmHost(), found, artifacts=artifacts, check_every=0, traces=None))
    open_feeds(it)
    it.run_call("Stablecoin.transfer", "rich", 300_000 * WAD, by="maker")
    it.approve_contracts("rich", _MARKET)
    for name, amount in ((OWES, 3_000), (GONE, 2_500), (HOLDS, 50_000), (SHORT, 50_000), (IDLE, 20_000)):
        it.run_call(f"{_MARKET}.deposit", get_trader_account(name), amount * WAD, by="rich")
    it.run_call(f"{_MARKET}.accrue", WETH, by="marker")
    for name, lots in ((OWES, 1_000), (GONE, 800), (HOLDS, 100)):
        it.run_action(_fill_orders(it, name, lots))
    it.post_prices(WETH=1_600)
    it.run_call(f"{_MARKET}.accrue", WETH, by="marker")
    it.run_call(f"{_MARKET}.seize_insolvent", get_trader_account(GONE), by="finder")
    it.run_call(f"{_MARKET}.advance_cycle", by="roller")
    yield PENDING, it
    it.run_call("MarginPolicy.delist", WETH, it.both.timestamp + MIN_NOTICE, by="admin")
    it.advance_time(MIN_NOTICE)
    # An hour a step, three of them each.
    for _ in range(3):
        it.post_prices(WETH=1_600)
    yield ENDING, it
    it.run_call(f"{_MARKET}.end_market", WETH, by="finder")
    yield ENDED, it


def _fill_orders(it: FaultScenario, name: str, lots: int) -> Action:
    """Return the match of two signed orders at the mark: somebody buys lots of `short`, or sells them."""
    price, orders = it.read_view(f"{_MARKET}.mark_of", WETH), list[object]()
    for who, size in ((name, lots), (SHORT, -lots)):
        order = Order(get_trader_account(who), WETH, size, price, MAX_UINT256, it.both.steps, lots < 0)
        orders += order, sign_order(who, order, CHAIN_ID, it.get_address("MarginOrders"))
    return it.build_action("MarginOrders.fill", *orders, abs(lots), by="matcher")


def _deposit_margin(it: FaultScenario, broken: Component | None) -> list[CallStep]:
    return [CallStep(it.build_action(f"{_MARKET}.deposit", get_trader_account(OWES), 1_000 * WAD, by="rich"))]


def _withdraw_margin(it: FaultScenario, broken: Component | None) -> list[CallStep]:
    who = get_trader_account(IDLE)
    return [CallStep(it.build_action(f"{_MARKET}.withdraw", 20_000 * WAD, who, by=who))]


def _book_loss(it: FaultScenario, broken: Component | None) -> list[CallStep]:
    return [CallStep(it.build_action(f"{_MARKET}.seize_insolvent", get_trader_account(GONE), by="finder"))]


def _seize_account(it: FaultScenario, broken: Component | None) -> list[CallStep]:
    return [CallStep(it.build_action(f"{_MARKET}.seize_insolvent", get_trader_account(OWES), by="finder"))]


def _roll_cycle(it: FaultScenario, broken: Component | None) -> list[CallStep]:
    window = it.read_view(f"{_MARKET}.WINDOW")
    return [CallStep(it.build_action(f"{_MARKET}.advance_cycle", by="roller"), wait=4 * window)] * 2


def _roll_with_losses(it: FaultScenario, broken: Component | None) -> list[CallStep]:
    return [*_book_loss(it, broken), *_roll_cycle(it, broken)]


def _reduce_position(it: FaultScenario, broken: Component | None) -> list[CallStep]:
    return [CallStep(_fill_orders(it, HOLDS, -100))]


def _end_market(it: FaultScenario, broken: Component | None) -> list[CallStep]:
    return [CallStep(it.build_action(f"{_MARKET}.end_market", WETH, by="finder"))]


def _close_account(it: FaultScenario, broken: Component | None) -> list[CallStep]:
    who = get_trader_account(HOLDS)
    calls = ("update_account", (who,), "finder"), ("withdraw", (1_000 * WAD, who), who)
    return [CallStep(it.build_action(f"{_MARKET}.{method}", *args, by=by)) for method, args, by in calls]


CALLS_OF_CYCLES = (
    LivenessCall("deposit by cycle", PENDING, _deposit_margin, parts=PARTS_OF_CYCLES),
    LivenessCall("withdraw by cycle", PENDING, _withdraw_margin, parts=PARTS_OF_CYCLES),
    LivenessCall("book by cycle", PENDING, _book_loss, parts=PARTS_OF_CYCLES),
    LivenessCall("seize by cycle", PENDING, _seize_account, without=_FEEDS, parts=PARTS_OF_CYCLES),
    LivenessCall("roll by cycle", PENDING, _roll_cycle, parts=PARTS_OF_CYCLES),
    LivenessCall("roll with losses by cycle", PENDING, _roll_with_losses, parts=PARTS_OF_CYCLES),
    LivenessCall(
        "reduce by cycle", PENDING, _reduce_position, without=("PerpetualTrading",), parts=PARTS_OF_CYCLES
    ),
    LivenessCall(
        "end by cycle", ENDING, _end_market, without=("PriceFeed", "MarginPolicy"), parts=PARTS_OF_CYCLES
    ),
    LivenessCall("close by cycle", ENDED, _close_account, parts=PARTS_OF_CYCLES),
)
"""What goes on while a loss is pending and a market ends, as the table has it."""
