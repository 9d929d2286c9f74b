"""How vaults come into workouts in the tests: 10 WETH, 12,000 of debt, called at 1,750 in caution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backstop.deployment.parameters import WorkoutParameters
from backstop.model.arithmetic import RAY, WAD
from backstop.model.workouts import Workout
from tests.support.auctions import WETH
from tests.support.guards import BREAKER, CAUTION, mode, opened, with_guards
from tests.support.policy import allow_calls, call
from tests.support.protocol import Protocol

DAY = 86_400
TERMS = WorkoutParameters(
    discount=2_000, ratio=11_500, premium=200, instalments=8, interval=DAY, period=30 * DAY, cap=100_000
)
LOT, DEBT = 10 * WAD, 12_000 * WAD
OWED = DEBT * 102 // 100
"""With the premium."""
CALLED, FORECLOSED = 1_750, 1_380
"""Dollars at which the vault is called but not unsafe, and under which its lot is under the own ratio."""


def opened_with_workouts(new_protocol: Callable[..., Protocol], terms: WorkoutParameters = TERMS) -> Protocol:
    """Workouts of WETH, which has no fee, so that every amount can be told to the wei; calls are allowed."""
    made = opened(new_protocol, with_guards(breaker=BREAKER, workouts=(terms,)))
    made.do("VaultEngine.set_stability_fee", WETH, 0, sender="admin")
    allow_calls(made)
    return made


def distress(protocol: Protocol, who: str = "borrower", price: int = CALLED) -> None:
    """A vault is opened, the price falls, it is called, and the guardian sees reason for caution."""
    if protocol.price("WETH") != 2_000 * RAY:
        protocol.post_price("WETH", 2_000 * RAY)
    protocol.borrow(who, "WETH", LOT, DEBT)
    protocol.post_price("WETH", price * RAY)
    call(protocol, who)
    be_cautious(protocol)


def be_cautious(protocol: Protocol) -> None:
    """The guardian raises the mode, unless it is up already."""
    if mode(protocol) < CAUTION:
        protocol.do("CircuitBreaker.raise_to", CAUTION, sender="guardian")


def enter(protocol: Protocol, who: str = "borrower", instalments: int = 4) -> int:
    """The owner enters a workout; its id."""
    return int(protocol.do("Workouts.enter", WETH, who, instalments, sender=who))


def begin(protocol: Protocol, who: str = "borrower", instalments: int = 4) -> int:
    """A vault in distress enters a workout; its id."""
    distress(protocol, who)
    return enter(protocol, who, instalments)


def pay(protocol: Protocol, id: int, amount: int, who: str = "borrower") -> int:
    """Somebody pays, wad; what was burned."""
    return int(protocol.do("Workouts.pay", id, amount, sender=who))


def give(protocol: Protocol, who: str, amount: int) -> None:
    """Stablecoin of somebody whose vault of gold is well secured."""
    debt = max(amount, 2_000 * WAD)
    protocol.borrow("market_maker", "XAU", 10 * debt * RAY // protocol.price("XAU"), debt)
    protocol.do("Stablecoin.transfer", who, amount, sender="market_maker")


def foreclose(protocol: Protocol, id: int) -> None:
    """A liquidator forecloses."""
    protocol.do("Workouts.foreclose", id, "liquidator", sender="liquidator")


def workout(protocol: Protocol, id: int) -> Workout:
    """All about an open workout."""
    return Workout(*protocol.read("Workouts.workout_of", id))


def vault(protocol: Protocol, who: str = "borrower") -> Any:
    """A vault of WETH."""
    return protocol.read("VaultEngine.vault", WETH, who)


def in_auction(protocol: Protocol) -> int:
    """Principal of WETH that the ledger counts as under auction, rad."""
    return int(protocol.read("VaultEngine.in_auction_of", WETH))
