"""Euler Vault Kit: a discount that grows with the distance from health; the liquidator takes the debt over.

Source: github.com/euler-xyz/euler-vault-kit, src/EVault/modules/Liquidation.sol with
shared/LiquidityUtils.sol and shared/BorrowUtils.sol, commit 5b98b42 (with ethereum-vault-connector 34bb788),
BUSL-1.1. The rules are written here anew. Debt is exact, with 31 bits below one unit; the oracle's value of
an amount is amount * price // 1e18; discount and LTVs are in basis points.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, WAD, div_up
from backstop.studies.peer_liquidations.vector_case import (
    FLAG,
    INTEGER,
    PeerRefusalError,
    check_field_forms,
    get_listed_item,
)

DEBT_UNIT = 2**31
LEAST_SOCIALISED_VALUE = 10**6

LIQUIDATE_FORM = {
    "owed": INTEGER,
    "liquidator_owed": INTEGER,
    "total_owed": INTEGER,
    "cash": INTEGER,
    "debt_price": INTEGER,
    "max_discount": INTEGER,
    "socialise": FLAG,
    "seize": INTEGER,
    "collaterals": [{"balance": INTEGER, "price": INTEGER, "ltv": INTEGER}],
    "desired": INTEGER,
    "least": INTEGER,
}


def liquidate_euler_position(case: Mapping[str, Any]) -> dict[str, Any]:
    """Compute Euler's `liquidate`, and return its amounts and the state after it, or the error.

    `case` has the fields of LIQUIDATE_FORM. `desired` is the debt to take over; 2**256 - 1 means as much as
    possible. Nothing moves if the position is healthy. All quotients are rounded down: against the liquidator
    for collateral, for him for debt. If no collateral is left, lenders lose the remaining debt at once. This
    requires a debt value of at least 1e6 before, and a vault that socialises losses.
    """
    check_field_forms(case, LIQUIDATE_FORM, "euler")
    get_listed_item(case["collaterals"], case["seize"], "euler, field 'seize'")
    debt = div_up(case["owed"], DEBT_UNIT)
    debt_value = debt * case["debt_price"] // WAD
    try:
        repaid, seized = _limit_to_desired(case, *_compute_most_repaid(case, debt, debt_value))
        return {"status": "ok", "out": _settle_liquidation(case, debt, debt_value, repaid, seized)}
    except PeerRefusalError as refusal:
        return {"status": refusal.reason}


def _compute_most_repaid(case: Mapping[str, Any], debt: int, debt_value: int) -> tuple[int, int]:
    """Return the most debt that may be taken over [units], and its collateral [shares].

    Both are 0 if the position is healthy. Adjusted collateral equal to the debt is not healthy. Collateral
    without a value is free.
    """
    adjusted = sum(_get_value(each) * each["ltv"] // BASIS_POINTS for each in case["collaterals"])
    if debt_value == 0 or adjusted > debt_value:
        return 0, 0
    asset = case["collaterals"][case["seize"]]
    worth = _get_value(asset)
    if worth == 0:
        return 0, asset["balance"]
    price = max(adjusted * WAD // debt_value, WAD - WAD * case["max_discount"] // BASIS_POINTS)
    repaid_value = debt_value
    if price == 0:  # a discount of 100%, which vaults refuse
        raise PeerRefusalError("panic")
    seized_value = repaid_value * WAD // price
    if worth < seized_value:
        repaid_value, seized_value = worth * price // WAD, worth
    return repaid_value * debt // debt_value, seized_value * asset["balance"] // worth


def _limit_to_desired(case: Mapping[str, Any], repaid: int, seized: int) -> tuple[int, int]:
    """Return debt and collateral for the liquidator's desired amount, pro rata and rounded down.

    Raises PeerRefusalError if more is desired than can be repaid, or if less than `least` is seized.
    """
    desired = case["desired"]
    if desired != MAX_UINT256:
        if desired > repaid:
            raise PeerRefusalError("E_ExcessiveRepayAmount")
        if repaid > 0:
            repaid, seized = desired, desired * seized // repaid
    if seized < case["least"]:
        raise PeerRefusalError("E_MinYield")
    return repaid, seized


def _settle_liquidation(
    case: Mapping[str, Any], debt: int, debt_value: int, repaid: int, seized: int
) -> dict[str, Any]:
    owed, liquidator_owed, total_owed = case["owed"], case["liquidator_owed"], case["total_owed"]
    balances = [each["balance"] for each in case["collaterals"]]
    balances[case["seize"]] -= seized
    if repaid:
        moved = repaid * DEBT_UNIT
        if abs(moved - owed) < DEBT_UNIT:  # dust below one unit goes along
            moved = owed
        owed -= moved
        liquidator_owed += moved
    is_lost = debt > repaid and debt_value >= LEAST_SOCIALISED_VALUE and case["socialise"]
    if is_lost and not any(balances):
        rest = div_up(owed, DEBT_UNIT) - (debt - repaid)
        if rest < 0:  # the last part of a unit has gone along as dust, and would be taken from lenders again
            raise PeerRefusalError("E_RepayTooMuch")
        total_owed = max(total_owed - owed, 0) + rest * DEBT_UNIT
        owed = rest * DEBT_UNIT
    return {
        "repay": repaid,
        "yield": seized,
        "owed": owed,
        "liquidator_owed": liquidator_owed,
        "total_owed": total_owed,
        "balances": balances,
        "total_assets": case["cash"] + div_up(total_owed, DEBT_UNIT),
    }


def _get_value(collateral: Mapping[str, Any]) -> int:
    """Return the oracle's value of the whole collateral balance, rounded down."""
    return int(collateral["balance"] * collateral["price"] // WAD)
