"""How vaults come into workouts in the tests: 10 WETH, 12,000 of debt, called at 1,750 in caution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backstop.deployment.parameter_dataclasses import WorkoutParameters
from backstop.model.arithmetic import RAY, WAD
from backstop.model.workouts import Workout
from backstop.proof.local_protocol import LocalProtocol
from tests.support.auction_steps import WETH
from tests.support.guard_steps import BREAKER, CAUTION, deploy_with_prices, read_mode, with_guards
from tests.support.vault_size_margin_and_call_steps import allow_calls, margin_call_ether_vault_as_stranger

DAY = 86_400
TERMS = WorkoutParameters(
    discount=2_000, ratio=11_500, premium=200, instalments=8, interval=DAY, period=30 * DAY, cap=100_000
)
LOT, DEBT = 10 * WAD, 12_000 * WAD
OWED = DEBT * 102 // 100
"""With the premium."""
CALLED, FORECLOSED = 1_750, 1_380
"""Dollars at which the vault is called but not unsafe, and under which its lot is under the own ratio."""


def deploy_with_workouts(
    new_protocol: Callable[..., LocalProtocol], terms: WorkoutParameters = TERMS
) -> LocalProtocol:
    """Workouts of WETH, which has no fee, so that every amount can be told to the wei; calls are allowed."""
    made = deploy_with_prices(new_protocol, with_guards(breaker=BREAKER, workouts=(terms,)))
    made.do("VaultEngine.set_stability_fee", WETH, 0, sender="admin")
    allow_calls(made)
    return made


def open_called_vault_in_caution(protocol: LocalProtocol, who: str = "borrower", price: int = CALLED) -> None:
    """A vault is opened, the price falls, it is called, and the guardian sees reason for caution."""
    if protocol.get_or_renew_risk_price("WETH") != 2_000 * RAY:
        protocol.post_price("WETH", 2_000 * RAY)
    protocol.borrow(who, "WETH", LOT, DEBT)
    protocol.post_price("WETH", price * RAY)
    margin_call_ether_vault_as_stranger(protocol, who)
    raise_mode_to_caution(protocol)


def raise_mode_to_caution(protocol: LocalProtocol) -> None:
    """The guardian raises the mode, unless it is up already."""
    if read_mode(protocol) < CAUTION:
        protocol.do("CircuitBreaker.force_mode", CAUTION, sender="guardian")


def enter_workout(protocol: LocalProtocol, who: str = "borrower", instalments: int = 4) -> int:
    """The owner enters a workout; its id."""
    return int(protocol.do("Workouts.enter", WETH, who, instalments, sender=who))


def start_workout(protocol: LocalProtocol, who: str = "borrower", instalments: int = 4) -> int:
    """A vault in distress enters a workout; its id."""
    open_called_vault_in_caution(protocol, who)
    return enter_workout(protocol, who, instalments)


def pay_workout(protocol: LocalProtocol, workout_id: int, amount: int, who: str = "borrower") -> int:
    """Pay from an account [wad]; return the burned amount."""
    return int(protocol.do("Workouts.pay", workout_id, amount, sender=who))


def give_borrowed_stablecoin(protocol: LocalProtocol, receiver: str, amount: int) -> None:
    """Give stablecoin borrowed on a well-secured vault of gold."""
    debt = max(amount, 2_000 * WAD)
    protocol.borrow("market_maker", "XAU", 10 * debt * RAY // protocol.get_or_renew_risk_price("XAU"), debt)
    protocol.do("Stablecoin.transfer", receiver, amount, sender="market_maker")


def foreclose_workout(protocol: LocalProtocol, workout_id: int) -> None:
    """A liquidator forecloses."""
    protocol.do("Workouts.foreclose", workout_id, "liquidator", sender="liquidator")


def read_workout(protocol: LocalProtocol, workout_id: int) -> Workout:
    """All about an open workout."""
    return Workout(*protocol.read("Workouts.workout_of", workout_id))


def read_vault(protocol: LocalProtocol, who: str = "borrower") -> Any:
    """A vault of WETH."""
    return protocol.read("VaultEngine.vault", WETH, who)


def read_weth_principal_in_auction(protocol: LocalProtocol) -> int:
    """Principal of WETH that the ledger counts as under auction, rad."""
    return int(protocol.read("VaultEngine.in_auction_of", WETH))
