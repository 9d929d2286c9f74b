"""Aave v4: sales up to a target health at a bonus that grows as health falls; rests of dust are taken whole.

Source: github.com/aave/aave-v4, src/spoke/libraries/LiquidationLogic.sol and
src/hub/libraries/SharesMath.sol, package 0.5.11, as main of 3 June 2026 (1e8de86); measured on the fork
github.com/alerodriargui/aave-v4, commit 5f0e7cb, which adds one view; LicenseRef-BUSL. The rules are written
here anew. Prices have 8 decimals, a value is amount * price * 10**(18 - decimals), debts are drawn shares *
index + premium [ray of units], health and targets are in wad, factors, bonus and fee in basis points.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backstop.model.arithmetic import BASIS_POINTS, RAY, WAD, div_up
from backstop.studies.peer_liquidations.vector_case import (
    FLAG,
    INTEGER,
    TEXT,
    PeerRefusalError,
    VectorCaseError,
    check_field_forms,
)

VIRTUAL_SHARES = VIRTUAL_ASSETS = 10**6
LEAST_REST_VALUE = 1000 * 10**26

AMOUNTS_FORM = {
    name: INTEGER
    for name in (
        *("shares", "col_dec", "col_price", "drawn", "premium_ray", "index", "debt_value_ray", "debt_dec"),
        *("debt_price", "cover", "cf", "hf_max", "factor", "max_bonus", "target", "hf", "fee", "A", "S"),
    )
}

WHOLE_FORM = {"in": AMOUNTS_FORM, "collaterals": INTEGER, "borrows": INTEGER, "receive_shares": FLAG}


@dataclass(frozen=True)
class _Terms:
    """Collateral, debt and units of a case, with the liquidation bonus of this sale [bps]."""

    case: Mapping[str, Any]
    bonus: int

    @property
    def collateral_unit(self) -> int:
        return int(10 ** self.case["col_dec"])

    @property
    def debt_unit(self) -> int:
        return int(10 ** self.case["debt_dec"])

    def convert_to_shares(self, assets: int) -> int:
        """Return the hub's shares for an amount of collateral assets, rounded down."""
        return int(assets * (self.case["S"] + VIRTUAL_SHARES) // (self.case["A"] + VIRTUAL_ASSETS))

    def floor_assets(self, shares: int) -> int:
        """Return the assets of these shares, rounded down."""
        return int(shares * (self.case["A"] + VIRTUAL_ASSETS) // (self.case["S"] + VIRTUAL_SHARES))

    def ceil_assets(self, shares: int) -> int:
        """Return the assets of these shares, rounded up."""
        return div_up(shares * (self.case["A"] + VIRTUAL_ASSETS), self.case["S"] + VIRTUAL_SHARES)

    def compute_seized_shares(self, drawn: int, premium: int) -> int:
        """Return the collateral shares that a liquidator gets for a repaid debt.

        The debt is drawn shares and premium [ray of units]. Assets and shares are rounded down, against the
        liquidator.
        """
        debt = drawn * self.case["index"] + premium
        numerator = debt * self.case["debt_price"] * self.collateral_unit * self.bonus
        return self.convert_to_shares(
            numerator // (self.debt_unit * self.case["col_price"] * BASIS_POINTS * RAY)
        )

    def is_debt_dust(self, drawn: int, premium: int) -> bool:
        """Return whether the debt left after this repayment is worth less than 1,000.

        False if no drawn shares are left.
        """
        if drawn >= self.case["drawn"]:
            return False
        rest = (self.case["drawn"] - drawn) * self.case["index"] + self.case["premium_ray"] - premium
        value = rest * self.case["debt_price"] * WAD
        return bool(value < LEAST_REST_VALUE * RAY * self.debt_unit)

    def is_collateral_dust(self, shares: int) -> bool:
        """Return whether the collateral left after a sale of these shares is worth less than 1,000.

        Its assets are rounded down. False if no shares are left.
        """
        if shares >= self.case["shares"]:
            return False
        rest = self.floor_assets(self.case["shares"] - shares)
        return bool(rest * self.case["col_price"] * WAD < LEAST_REST_VALUE * self.collateral_unit)


def compute_liquidation_bonus(case: Mapping[str, Any]) -> dict[str, int]:
    """Return `out`: the worth of collateral per repaid debt [bps], where 10,000 is no bonus.

    `in` is (health of the largest bonus, factor, health, largest bonus). At the first health and below, the
    bonus is the largest one. From there to a health of 1 it falls linearly to `factor` times the largest
    bonus. It is rounded down to whole basis points, at the lower end and on the line.
    """
    check_field_forms(case, {"in": (INTEGER,) * 4}, "aave_v4_bonus")
    return {"out": _compute_bonus(*case["in"])}


def _compute_bonus(full_bonus_health: int, factor: int, health: int, most: int) -> int:
    if health <= full_bonus_health:
        return most
    lowest = BASIS_POINTS + (most - BASIS_POINTS) * factor // BASIS_POINTS
    return lowest + (most - lowest) * (WAD - health) // (WAD - full_bonus_health)


def compute_debt_to_target(case: Mapping[str, Any]) -> dict[str, int]:
    """Return `out`: the debt to repay so that the account reaches the target health, rounded up.

    The unit is ray of units. `in` is (value of all debt [ray], unit, price, collateral factor, bonus, health,
    target). The target is above bonus * collateral factor, as the settings ensure.
    """
    check_field_forms(case, {"in": (INTEGER,) * 7}, "aave_v4_to_target")
    return {"out": _compute_debt_to_target(*case["in"])}


def _compute_debt_to_target(
    debt_value: int, unit: int, price: int, collateral_factor: int, bonus: int, health: int, target: int
) -> int:
    gained = target - bonus * collateral_factor * 10**10
    return div_up(debt_value * unit * (target - health), gained * price * WAD)


def evaluate_deficit(case: Mapping[str, Any]) -> dict[str, int]:
    """Return `out`: 1 if a liquidation leaves a deficit, else 0.

    `in` is (collateral reserve emptied, debt reserve emptied, collaterals before, borrows before). There is a
    deficit if the last collateral is gone, and debt is left in this reserve or another.
    """
    check_field_forms(case, {"in": (INTEGER,) * 4}, "aave_v4_deficit")
    return {"out": int(_has_deficit(*case["in"]))}


def _has_deficit(is_collateral_emptied: bool, is_debt_emptied: bool, collaterals: int, borrows: int) -> bool:
    return bool(is_collateral_emptied and collaterals <= 1 and (not is_debt_emptied or borrows > 1))


def compute_liquidation_amounts(case: Mapping[str, Any]) -> dict[str, Any]:
    """Return `out`: collateral shares, repaid debt and payment of a liquidation, or the error.

    Premium is repaid before drawn shares. A debt that would remain with a worth below 1,000 is repaid too.
    Such collateral is sold too, unless the debt is repaid in full. The liquidator's `cover` must pay for it.
    Debt is rounded up, collateral down. The fee is a part of the bonus, rounded up.
    """
    check_field_forms(case, {"in": AMOUNTS_FORM}, "aave_v4_amounts")
    try:
        return {"out": _compute_amounts(case["in"])}
    except PeerRefusalError as refusal:
        return {"out": {"revert": refusal.reason}}


def _compute_amounts(case: Mapping[str, Any]) -> dict[str, int]:
    bonus = _compute_bonus(case["hf_max"], case["factor"], case["hf"], case["max_bonus"])
    terms = _Terms(case, bonus)
    drawn, premium = _choose_debt(terms)
    shares = terms.compute_seized_shares(drawn, premium)
    supplied = case["shares"]
    if shares > supplied or (terms.is_collateral_dust(shares) and drawn < case["drawn"]):
        shares, drawn, premium = _sell_all_collateral(terms)
    paid = div_up(drawn * case["index"], RAY) + div_up(premium, RAY)
    if case["cover"] < paid:
        raise PeerRefusalError("MustNotLeaveDust")
    fee = div_up(shares * case["fee"] * (bonus - BASIS_POINTS), bonus * BASIS_POINTS)
    return {
        "col_shares": shares,
        "liquidator_shares": shares - fee,
        "fee_shares": fee,
        "drawn_shares": drawn,
        "premium_ray": premium,
        "paid": paid,
    }


def _choose_debt(terms: _Terms) -> tuple[int, int]:
    """Return the drawn shares and the premium [ray] to repay.

    The account reaches its target health, as far as `cover` pays. All debt is repaid if dust would remain.
    """
    case, index = terms.case, terms.case["index"]
    goal = _compute_debt_to_target(
        case["debt_value_ray"],
        terms.debt_unit,
        case["debt_price"],
        case["cf"],
        terms.bonus,
        case["hf"],
        case["target"],
    )
    drawn = 0
    premium = min(div_up(goal, RAY) * RAY, case["premium_ray"])
    if case["cover"] < div_up(premium, RAY):
        premium = case["cover"] * RAY
    if premium == case["premium_ray"] and premium < goal:
        covered = (case["cover"] - div_up(premium, RAY)) * RAY // index
        drawn = min(div_up(goal - premium, index), covered, case["drawn"])
    if terms.is_debt_dust(drawn, premium):
        return case["drawn"], case["premium_ray"]
    return drawn, premium


def _sell_all_collateral(terms: _Terms) -> tuple[int, int, int]:
    """Return all collateral shares, and the drawn shares and premium [ray] that pay for them.

    The debt is rounded up. Without a bonus, rounding may ask for more than is drawn. Then all debt is repaid,
    and less is sold.
    """
    case, supplied = terms.case, terms.case["shares"]
    worth = terms.ceil_assets(supplied) * case["col_price"] * terms.debt_unit
    debt = div_up(worth * BASIS_POINTS * RAY, case["debt_price"] * terms.collateral_unit * terms.bonus)
    if debt <= case["premium_ray"]:
        return supplied, 0, min(div_up(debt, RAY) * RAY, case["premium_ray"])
    drawn, premium = div_up(debt - case["premium_ray"], case["index"]), case["premium_ray"]
    if drawn > case["drawn"]:
        drawn = case["drawn"]
        return min(terms.compute_seized_shares(drawn, premium), supplied), drawn, premium
    return supplied, drawn, premium


def liquidate_aave_v4_position(case: Mapping[str, Any]) -> dict[str, Any]:
    """Compute Aave v4's whole `liquidationCall`: amounts, reported deficit and health after it.

    An error is returned in the order of the contract's checks. `deficit_ray` is the remaining debt [ray of
    units], 0 without a deficit. It is left out if other debts are reported too, as a case only counts them.
    `hf_after` is the account's health [wad], rounded down, and None without a debt. It is left out with
    several collaterals, as a case lacks their amounts.
    """
    check_field_forms(case, WHOLE_FORM, "aave_v4_whole")
    before = case["in"]
    try:
        _check_liquidatable(before)
        out = _compute_amounts(before)
        _check_amounts(case, out)
    except PeerRefusalError as refusal:
        return {"out": {"revert": refusal.reason}}
    is_emptied = out["col_shares"] == before["shares"]
    is_repaid = out["drawn_shares"] == before["drawn"]
    in_deficit = _has_deficit(is_emptied, is_repaid, case["collaterals"], case["borrows"])
    repaid = out["drawn_shares"] * before["index"] + out["premium_ray"]
    rest = before["drawn"] * before["index"] + before["premium_ray"] - repaid
    result: dict[str, Any] = {"out": out, "in_deficit": in_deficit}
    if case["borrows"] == 1 or not in_deficit:
        result["deficit_ray"] = rest if in_deficit else 0
    if case["collaterals"] == 1:
        value = before["debt_value_ray"] - repaid * before["debt_price"] * WAD // 10 ** before["debt_dec"]
        has_debt = not in_deficit and value > 0
        result["hf_after"] = _compute_final_health(case, out, value) if has_debt else None
    return result


def _compute_final_health(case: Mapping[str, Any], out: Mapping[str, int], debt_value: int) -> int:
    """Return the health after a liquidation of an account with one collateral [wad], rounded down.

    `debt_value` is in ray. Assets that leave the hub take shares with them, rounded up. Shares that are
    transferred stay in the hub.
    """
    before = case["in"]
    assets, shares = before["A"] + VIRTUAL_ASSETS, before["S"] + VIRTUAL_SHARES
    if not case["receive_shares"]:
        removed = out["liquidator_shares"] * assets // shares
        assets, shares = assets - removed, shares - div_up(removed * shares, assets)
    rest = (before["shares"] - out["col_shares"]) * assets // shares
    value = rest * before["col_price"] * WAD // 10 ** before["col_dec"]
    return int(value * before["cf"] * 10**14 * RAY // debt_value)


def select_whole_outcome(case: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a recorded case that `liquidate_aave_v4_position` computes.

    The case has deficits by asset, as texts. The result has their sum, if it is of one debt.
    """
    outcome = {field: case[field] for field in ("out", "in_deficit") if field in case}
    if "deficit_ray" in case and (case["borrows"] == 1 or not case.get("in_deficit")):
        check_field_forms(case["deficit_ray"], [TEXT], "aave_v4_whole, field 'deficit_ray'")
        if not all(amount.isdecimal() for amount in case["deficit_ray"]):
            raise VectorCaseError(
                f"aave_v4_whole, field 'deficit_ray' is {case['deficit_ray']}: give integers"
            )
        outcome["deficit_ray"] = sum(int(amount) for amount in case["deficit_ray"])
    if "hf_after" in case and case["collaterals"] == 1:
        outcome["hf_after"] = case["hf_after"]
    return outcome


def _check_liquidatable(case: Mapping[str, Any]) -> None:
    """Raise PeerRefusalError if `liquidationCall` would revert before it computes amounts.

    The checks have the contract's order.
    """
    if case["cover"] == 0:
        raise PeerRefusalError("InvalidDebtToCover")
    if case["shares"] == 0:
        raise PeerRefusalError("ReserveNotSupplied")
    if case["drawn"] == 0:
        raise PeerRefusalError("ReserveNotBorrowed")
    if case["hf"] >= WAD:
        raise PeerRefusalError("HealthFactorNotBelowThreshold")
    if case["cf"] == 0:
        raise PeerRefusalError("ReserveNotEnabledAsCollateral")


def _check_amounts(case: Mapping[str, Any], out: Mapping[str, int]) -> None:
    """Raise PeerRefusalError if the hub would send no asset for shares, or take no debt back."""
    before, shares = case["in"], out["liquidator_shares"]
    assets = shares * (before["A"] + VIRTUAL_ASSETS) // (before["S"] + VIRTUAL_SHARES)
    if shares > 0 and assets == 0 and not case["receive_shares"]:
        raise PeerRefusalError("InvalidAmount")
    if out["drawn_shares"] == 0 and out["premium_ray"] == 0:
        raise PeerRefusalError("InvalidAmount")
