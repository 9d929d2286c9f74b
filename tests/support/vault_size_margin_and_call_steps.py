"""A vault's requirement under a risk policy, worked out apart from the model, and steps to reach it."""

from __future__ import annotations

from fractions import Fraction

from backstop.model.arithmetic import RAD, RAY, WAD
from backstop.proof.local_protocol import LocalProtocol
from tests.support.auction_steps import WETH

NONE = ((0, 0), (0, 0))
INITIAL, CALL, LIQUIDATION = 15_000, 14_800, 14_500
"""Ratios of WETH in `guarded`, basis points; calls have to be switched on."""
HOUR, DAY, YEAR = 3_600, 86_400, 365 * 86_400
GRACE, VALID = 6 * HOUR, 2 * DAY
"""Of the calls that `allow_calls` switches on."""


def compute_size_margin(brackets: tuple[tuple[int, int], ...], debt: int) -> int:
    """A(debt), basis points x rad: area under the steps."""
    total = 0
    for above, rate in brackets:
        if debt > above * RAD:
            total += (debt - above * RAD) * rate
    return total


def compute_collateral(required: int, price: int = 2_000 * RAY) -> int:
    """The least wad of collateral that is worth so many basis points x rad."""
    return -(-required // (price * 10_000))


def compute_ray_per_second(yearly_basis_points: Fraction | int) -> int:
    """Basis points a year as ray a second, rounded up."""
    exact = Fraction(yearly_basis_points) * RAY / (10_000 * YEAR)
    return -(-exact.numerator // exact.denominator)


def draw_debt(
    protocol: LocalProtocol, who: str, amount: int, deposit: int = 0, collateral_type: int = WETH
) -> None:
    """Lock collateral that is there already, and draw, both wad."""
    protocol.do("VaultEngine.deposit_and_draw", collateral_type, who, deposit, amount, who, sender=who)


def repay_debt(
    protocol: LocalProtocol, who: str, amount: int, withdraw: int = 0, collateral_type: int = WETH
) -> None:
    """Repay and take collateral out, both wad."""
    protocol.do("VaultEngine.repay_and_withdraw", collateral_type, who, amount, withdraw, who, sender=who)


def set_mode_as_circuit_breaker(protocol: LocalProtocol, mode: int) -> None:
    """Set the mode as a circuit breaker would: `guarded` has none, and the zero address may call instead."""
    check, protocol.lockstep.step_check = protocol.lockstep.step_check, None
    protocol.do("RiskPolicy.set_mode", mode, sender=protocol.read("RiskPolicy.CIRCUIT_BREAKER"))
    protocol.lockstep.step_check = check


def allow_calls(protocol: LocalProtocol, ratio: int = CALL, grace: int = GRACE, valid: int = VALID) -> None:
    """Vaults of WETH may be called."""
    protocol.do("RiskPolicy.set_call_terms", WETH, ratio, grace, valid, sender="admin")


def open_vault_below_call_ratio(
    protocol: LocalProtocol, who: str = "borrower", debt: int = 10_000 * WAD
) -> None:
    """A vault at exactly the initial ratio; then a price at which it is just under the call ratio."""
    collateral = compute_collateral(debt * RAY * INITIAL)
    protocol.borrow(who, "WETH", collateral, debt)
    protocol.post_price("WETH", call_price(collateral, debt))


def call_price(collateral: int, debt: int) -> int:
    """The highest price, ray, at which a vault is under the call ratio."""
    return -(-debt * RAY * CALL // (collateral * 10_000)) - 1


def margin_call_ether_vault_as_stranger(protocol: LocalProtocol, vault_owner: str = "borrower") -> None:
    """Call a vault of WETH, as any account may."""
    protocol.do("LiquidationEngine.call", WETH, vault_owner, sender="stranger")


def read_call_time(protocol: LocalProtocol, who: str = "borrower") -> int:
    """When a vault of WETH was called; 0 is not."""
    return int(protocol.read("VaultEngine.vault", WETH, who).called_at)
