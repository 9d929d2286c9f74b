"""Aave v3.7: half of a debt or all of it at a constant bonus, no debt left without collateral.

Source: github.com/aave-dao/aave-v3-origin, src/contracts/protocol/libraries/logic/LiquidationLogic.sol with
GenericLogic, ValidationLogic and the tokens, commit fd1fbd9 of June 2026 (docs/3.7, after tag v3.6.0),
BUSL-1.1. The rules are written here anew. Amounts are in smallest units of the tokens, scaled amounts times
an index [ray] are amounts, the base currency has 8 decimals, health is in wad, thresholds, bonus and fee are
in basis points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAY, WAD, div_up
from backstop.studies.peer_liquidations.vector_case import (
    FLAG,
    INTEGER,
    PeerRefusalError,
    check_field_forms,
    get_listed_item,
)

WHOLE_CLOSE_HEALTH = 95 * 10**16
LARGE_POSITION = 2000 * 10**8
LEAST_REST = 1000 * 10**8

RESERVE_FORM = {
    "decimals": INTEGER,
    "price": INTEGER,
    "threshold": INTEGER,
    "bonus": INTEGER,
    "fee": INTEGER,
    "supply_index": INTEGER,
    "debt_index": INTEGER,
    "scaled_supply": INTEGER,
    "scaled_debt": INTEGER,
    "collateral": FLAG,
    "borrowing": FLAG,
    "deficit": INTEGER,
}
LIQUIDATE_FORM = {
    "seize": INTEGER,
    "repay": INTEGER,
    "cover": INTEGER,
    "as_token": FLAG,
    "reserves": [RESERVE_FORM],
}
DEFICIT_FORM = {
    "deficit": INTEGER,
    "scaled": INTEGER,
    "index": INTEGER,
    "amount": INTEGER,
    "owes": FLAG,
}
STATE_FIELDS = ("scaled_supply", "scaled_debt", "collateral", "borrowing", "deficit")


def liquidate_aave_v3_position(case: Mapping[str, Any]) -> dict[str, Any]:
    """Compute Aave v3's `liquidationCall`, and return its amounts and the account's state after it.

    `case` has the fields of LIQUIDATE_FORM. The result has `account` (collateral, debt and health before) and
    `status`, which is "ok" or the contract's error. If "ok", it has `out` (amounts) and `reserves_after`.

    Collateral is rounded down and debt up, in units and in the base currency. If this collateral and this
    debt are both worth 2,000 or more and health is above 0.95, at most half of the account's debt is repaid.
    Otherwise all debt of this reserve may be. The fee is a part of the bonus, rounded up, and the liquidator
    keeps the rest. If both collateral and debt remain, each must be worth 1,000 or more. If the seized
    collateral is all that the account has, its debts are burned, and the unpaid part becomes a deficit of its
    reserve.
    """
    check_field_forms(case, LIQUIDATE_FORM, "aave")
    for name in ("seize", "repay"):
        get_listed_item(case["reserves"], case[name], f"aave, field {name!r}")
    account = compute_account(case["reserves"])
    try:
        result = _liquidate_account(case, *account)
    except PeerRefusalError as refusal:
        result = {"status": refusal.reason}
    return {"account": list(account), **result}


def compute_account(reserves: Sequence[Mapping[str, Any]]) -> tuple[int, int, int]:
    """Return an account's collateral and debt [base currency] and its health [wad].

    Health is the collateral at its thresholds over the debt, rounded half up, then down to the unit. Without
    debt it is the largest uint256.
    """
    collateral = weighted = debt = 0
    for reserve in reserves:
        if reserve["collateral"]:
            value = _floor_base_value(_get_supply(reserve), reserve)
            collateral += value
            weighted += value * reserve["threshold"]
        if reserve["borrowing"]:
            debt += _ceil_base_value(_get_debt(reserve), reserve)
    if debt == 0:
        return collateral, 0, MAX_UINT256
    return collateral, debt, (weighted * WAD + debt // 2) // debt // BASIS_POINTS


def _liquidate_account(
    case: Mapping[str, Any], all_collateral: int, all_debt: int, health: int
) -> dict[str, Any]:
    asset, owed = case["reserves"][case["seize"]], case["reserves"][case["repay"]]
    if health >= WAD:
        raise PeerRefusalError("HealthFactorNotBelowThreshold")
    if not asset["collateral"]:
        raise PeerRefusalError("CollateralCannotBeLiquidated")
    debt = _get_debt(owed)
    if debt == 0:
        raise PeerRefusalError("SpecifiedCurrencyNotBorrowedByUser")
    repaid = min(case["cover"], _compute_most_repaid(asset, owed, all_debt, health))
    repaid, seized, fee = _compute_seizure(asset, owed, repaid)
    _check_rest(asset, owed, debt - repaid, _get_supply(asset) - seized - fee)

    index, balance = asset["supply_index"], asset["scaled_supply"]
    used = min(div_up(seized * RAY, index) + div_up(fee * RAY, index), balance)
    is_emptied = _floor_base_value(used * index // RAY, asset) == all_collateral
    after = [{field: reserve[field] for field in STATE_FIELDS} for reserve in case["reserves"]]
    burned = (debt if is_emptied else repaid) * RAY // owed["debt_index"]
    if burned == 0 or (seized == 0 and not case["as_token"]):
        raise PeerRefusalError("InvalidBurnAmount")
    owed_after = after[case["repay"]]
    owed_after["scaled_debt"] = owed["scaled_debt"] - burned
    owed_after["borrowing"] = owed_after["scaled_debt"] > 0
    if is_emptied:
        owed_after["deficit"] += debt - repaid
        for number, (reserve, state) in enumerate(zip(case["reserves"], after, strict=True)):
            if reserve["borrowing"] and number != case["repay"]:
                state["deficit"] += _get_debt(reserve)
                state["scaled_debt"], state["borrowing"] = 0, False
    taken = min(div_up(seized * RAY, index), balance)
    fee_taken = min(div_up(fee * RAY, index), balance - taken)
    asset_after = after[case["seize"]]
    asset_after["scaled_supply"] = balance - taken - fee_taken
    if used == balance or is_emptied:
        asset_after["collateral"] = False
    out = {"repaid": repaid, "seized": seized, "fee_scaled": fee_taken, "taken_scaled": taken}
    return {"status": "ok", "out": out, "reserves_after": after}


def _compute_most_repaid(
    asset: Mapping[str, Any], owed: Mapping[str, Any], all_debt: int, health: int
) -> int:
    """Return the largest debt that a liquidation may repay [units].

    That is the reserve's debt, or half of the account's debt, rounded down.
    """
    debt = _get_debt(owed)
    value = _ceil_base_value(debt, owed)
    collateral = _floor_base_value(_get_supply(asset), asset)
    if min(collateral, value) >= LARGE_POSITION and health > WHOLE_CLOSE_HEALTH:
        half = (all_debt * 5000 + BASIS_POINTS // 2) // BASIS_POINTS
        if value > half:
            return int(half * 10 ** owed["decimals"] // owed["price"])
    return debt


def _compute_seizure(asset: Mapping[str, Any], owed: Mapping[str, Any], repaid: int) -> tuple[int, int, int]:
    """Return (repaid debt, collateral for the liquidator, fee in collateral) [units].

    Collateral is rounded down. If there is too little, all of it is seized, and its price is rounded up.
    """
    bonus, balance = asset["bonus"], _get_supply(asset)
    asset_unit, owed_unit = 10 ** asset["decimals"], 10 ** owed["decimals"]
    base = owed["price"] * repaid * asset_unit // (asset["price"] * owed_unit)
    seized = base * bonus // BASIS_POINTS
    if seized > balance:
        seized = balance
        worth = asset["price"] * seized * owed_unit // (owed["price"] * asset_unit)
        repaid = div_up(worth * BASIS_POINTS, bonus)
    fee = div_up((seized - seized * BASIS_POINTS // bonus) * asset["fee"], BASIS_POINTS)
    return repaid, seized - fee, fee


def _check_rest(asset: Mapping[str, Any], owed: Mapping[str, Any], debt: int, collateral: int) -> None:
    """Raise PeerRefusalError if debt and collateral remain and either is worth less than 1,000.

    The worth of debt is rounded up, that of collateral down.
    """
    value = min(_ceil_base_value(debt, owed), _floor_base_value(collateral, asset))
    if debt > 0 and collateral > 0 and value < LEAST_REST:
        raise PeerRefusalError("MustNotLeaveDust")


def eliminate_aave_v3_deficit(case: Mapping[str, Any]) -> dict[str, Any]:
    """Compute Aave v3's `eliminateReserveDeficit`: the covered amount and the state after it.

    `case` has the fields of DEFICIT_FORM. The result's `status` is "ok" or the contract's error. At most the
    deficit is covered. The payer's supply is burned, rounded up, and the underlying tokens stay with lenders.
    A payer with a debt is refused.
    """
    check_field_forms(case, DEFICIT_FORM, "aave_deficit")
    if case["amount"] == 0:
        return {"status": "InvalidAmount"}
    if case["deficit"] == 0:
        return {"status": "ReserveNotInDeficit"}
    if case["owes"]:
        return {"status": "UserCannotHaveDebt"}
    covered = min(case["amount"], case["deficit"])
    burned = div_up(covered * RAY, case["index"])
    if burned > case["scaled"]:
        return {"status": "NotEnoughAvailableUserBalance"}
    return {
        "status": "ok",
        "covered": covered,
        "deficit_after": case["deficit"] - covered,
        "scaled_after": case["scaled"] - burned,
    }


def _get_supply(reserve: Mapping[str, Any]) -> int:
    """Return the supplied amount of a reserve [units], rounded down."""
    return int(reserve["scaled_supply"] * reserve["supply_index"] // RAY)


def _get_debt(reserve: Mapping[str, Any]) -> int:
    """Return the owed amount of a reserve [units], rounded up."""
    return div_up(reserve["scaled_debt"] * reserve["debt_index"], RAY)


def _floor_base_value(amount: int, reserve: Mapping[str, Any]) -> int:
    return int(amount * reserve["price"] // 10 ** reserve["decimals"])


def _ceil_base_value(amount: int, reserve: Mapping[str, Any]) -> int:
    return div_up(amount * reserve["price"], 10 ** reserve["decimals"])
