"""A guarded protocol, and the conditions that its guards see in the tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.parameter_dataclasses import (
    AutoCeilingParameters,
    BreakerParameters,
    GuardsParameters,
    Parameters,
    WorkoutParameters,
)
from backstop.model.arithmetic import WAD
from backstop.proof.local_protocol import LocalProtocol

NORMAL, CAUTION, EMERGENCY = range(3)
LOSSES, FALL, SILENCE, AUCTIONS = range(1, 5)
ALL_TYPES = 2**256 - 1
HOUR = 3_600

CEILING = AutoCeilingParameters(gap=100_000, max_line=300_000, ttl=8 * HOUR)
BREAKER = BreakerParameters(
    losses=(5_000, 20_000),
    fall=(1_000, 2_500),
    silence=(HOUR, 4 * HOUR),
    auctions=(5_000, 10_000),
    calm_period=2 * HOUR,
)


def with_guards(
    ceilings: tuple[AutoCeilingParameters, ...] = (),
    breaker: BreakerParameters | None = None,
    workouts: tuple[WorkoutParameters, ...] = (),
) -> Parameters:
    """The standard deployment with these guards."""
    return replace(build_standard_parameters(), guards=GuardsParameters(ceilings, breaker, workouts))


def deploy_with_prices(new_protocol: Callable[..., LocalProtocol], parameters: Parameters) -> LocalProtocol:
    """A protocol with the usual prices."""
    return new_protocol(parameters, prices=True)


def set_triggers(protocol: LocalProtocol, **thresholds: tuple[int, int]) -> None:
    """These thresholds; all other triggers off."""
    values = [thresholds.get(name, (0, 0)) for name in ("losses", "fall", "silence", "auctions")]
    protocol.do("CircuitBreaker.set_triggers", *values, sender="admin")


def escalate_mode(protocol: LocalProtocol, trigger: int, collateral_type: int = 0) -> int:
    """Raise the mode as a stranger; return the new mode, which the policy knows too."""
    protocol.do("CircuitBreaker.raise_mode", trigger, collateral_type, sender="stranger")
    return read_mode(protocol)


def lower_breaker_mode_and_read_it(protocol: LocalProtocol) -> int:
    """Lower the mode as a stranger; return the new mode."""
    protocol.do("CircuitBreaker.lower_mode", sender="stranger")
    return read_mode(protocol)


def read_mode(protocol: LocalProtocol) -> int:
    """The breaker's mode, which is the policy's."""
    found = int(protocol.read("CircuitBreaker.mode"))
    assert protocol.read("RiskPolicy.mode") == found
    return found


def open_secured_vault(
    protocol: LocalProtocol, symbol: str = "WETH", amount: int = 12_000 * WAD, who: str = "borrower"
) -> None:
    """A vault with thrice the collateral of its debt."""
    price = protocol.get_or_renew_risk_price(symbol)
    protocol.borrow(who, symbol, 3 * amount * 10**27 // price, amount)
