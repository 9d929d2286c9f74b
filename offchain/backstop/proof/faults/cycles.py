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
from backstop.proof.faults.calls import Call, Step
from backstop.proof.faults.parts import Part
from backstop.proof.faults.play import Play
from backstop.proof.faults.scene import WETH, open_feeds, parameters
from backstop.proof.lockstep import lockstep
from backstop.system import Action

PENDING, ENDING, ENDED = "pending", "ending", "ended"
"""The moments: a loss is pending, and its window is over in half an hour; a market that is delisted has its
final price; it has ended."""

OWES, GONE, HOLDS, SHORT, IDLE = "owes", "gone", "holds", "short", "idle"
_MARKET = "PerpetualMarket"
_FEEDS = "PriceFeed", "MarginPolicy", "feed of WETH"
_CONCERNED = (*_FEEDS, "a reporter", "a liar", "RiskPolicy", "CircuitBreaker", "MarginFund", "Perpetuals")
PARTS_OF_CYCLES = (*_CONCERNED, "PerpetualDesk")
"""The parts that the margin market has to do with."""


def play_cycles(artifacts: Artifacts | None = None) -> Iterator[tuple[str, Play]]:
    """Play the scene on the model and on revm up to its moment."""
    found = replace(parameters(), margin=build_margin_parameters(1_000, 500, 0).margin)
    it = Play(lockstep(RevmHost(), found, artifacts=artifacts, check_every=0, traces=None))
    open_feeds(it)
    it.do("Stablecoin.transfer", "rich", 300_000 * WAD, by="maker")
    it.allow("rich", _MARKET)
    for name, amount in ((OWES, 3_000), (GONE, 2_500), (HOLDS, 50_000), (SHORT, 50_000), (IDLE, 20_000)):
        it.do(f"{_MARKET}.deposit", get_trader_account(name), amount * WAD, by="rich")
    it.do(f"{_MARKET}.accrue", WETH, by="marker")
    for name, lots in ((OWES, 1_000), (GONE, 800), (HOLDS, 100)):
        it.run(_fill(it, name, lots))
    it.post(WETH=1_600)
    it.do(f"{_MARKET}.accrue", WETH, by="marker")
    it.do(f"{_MARKET}.meet", get_trader_account(GONE), by="finder")
    it.do(f"{_MARKET}.roll", by="roller")
    yield PENDING, it
    it.do("MarginPolicy.delist", WETH, it.both.timestamp + MIN_NOTICE, by="admin")
    it.wait(MIN_NOTICE)
    # An hour a step, three of them each.
    for _ in range(3):
        it.post(WETH=1_600)
    yield ENDING, it
    it.do(f"{_MARKET}.end_market", WETH, by="finder")
    yield ENDED, it


def _fill(it: Play, name: str, lots: int) -> Action:
    """Return the match of two signed orders at the mark: somebody buys lots of `short`, or sells them."""
    price, orders = it.read(f"{_MARKET}.mark_of", WETH), list[object]()
    for who, size in ((name, lots), (SHORT, -lots)):
        order = Order(get_trader_account(who), WETH, size, price, MAX_UINT256, it.both.steps, lots < 0)
        orders += order, sign_order(who, order, CHAIN_ID, it.at("MarginOrders"))
    return it.action("MarginOrders.fill", *orders, abs(lots), by="matcher")


def _deposit(it: Play, broken: Part | None) -> list[Step]:
    return [Step(it.action(f"{_MARKET}.deposit", get_trader_account(OWES), 1_000 * WAD, by="rich"))]


def _withdraw(it: Play, broken: Part | None) -> list[Step]:
    who = get_trader_account(IDLE)
    return [Step(it.action(f"{_MARKET}.withdraw", 20_000 * WAD, who, by=who))]


def _book(it: Play, broken: Part | None) -> list[Step]:
    return [Step(it.action(f"{_MARKET}.meet", get_trader_account(GONE), by="finder"))]


def _seize(it: Play, broken: Part | None) -> list[Step]:
    return [Step(it.action(f"{_MARKET}.meet", get_trader_account(OWES), by="finder"))]


def _roll(it: Play, broken: Part | None) -> list[Step]:
    window = it.read(f"{_MARKET}.WINDOW")
    return [Step(it.action(f"{_MARKET}.roll", by="roller"), wait=4 * window)] * 2


def _roll_with_losses(it: Play, broken: Part | None) -> list[Step]:
    return [*_book(it, broken), *_roll(it, broken)]


def _reduce(it: Play, broken: Part | None) -> list[Step]:
    return [Step(_fill(it, HOLDS, -100))]


def _end(it: Play, broken: Part | None) -> list[Step]:
    return [Step(it.action(f"{_MARKET}.end_market", WETH, by="finder"))]


def _close(it: Play, broken: Part | None) -> list[Step]:
    who = get_trader_account(HOLDS)
    calls = ("wake", (who,), "finder"), ("withdraw", (1_000 * WAD, who), who)
    return [Step(it.action(f"{_MARKET}.{method}", *args, by=by)) for method, args, by in calls]


CALLS_OF_CYCLES = (
    Call("deposit by cycle", PENDING, _deposit, parts=PARTS_OF_CYCLES),
    Call("withdraw by cycle", PENDING, _withdraw, parts=PARTS_OF_CYCLES),
    Call("book by cycle", PENDING, _book, parts=PARTS_OF_CYCLES),
    Call("seize by cycle", PENDING, _seize, without=_FEEDS, parts=PARTS_OF_CYCLES),
    Call("roll by cycle", PENDING, _roll, parts=PARTS_OF_CYCLES),
    Call("roll with losses by cycle", PENDING, _roll_with_losses, parts=PARTS_OF_CYCLES),
    Call("reduce by cycle", PENDING, _reduce, without=("PerpetualDesk",), parts=PARTS_OF_CYCLES),
    Call("end by cycle", ENDING, _end, without=("PriceFeed", "MarginPolicy"), parts=PARTS_OF_CYCLES),
    Call("close by cycle", ENDED, _close, parts=PARTS_OF_CYCLES),
)
"""What goes on while a loss is pending and a market ends, as the table has it."""
