"""Liquidations of other systems as sales at a fixed discount: a peer's case in our mechanism's terms.

A vault has one collateral and one debt, of which a unit counts as one. Four kinds of cases are not covered:
several collaterals or debts; settings without a field in the mechanism; refusals by the peer before it checks
amounts; and requests for more than there is. Amounts are in the peer's smallest units; a unit of debt is so
many wei that the price is a whole number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backstop.contract_base import RevertError
from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAD, RAY, WAD, div_up
from backstop.model.fixed_discount import MAX_AMOUNT, Terms, compute_threshold, quote_position
from backstop.model.interfaces import Position, Sale
from backstop.studies.peer_liquidations import aave_v3, aave_v4, euler_vault_kit, morpho_blue

_WHOLE = BASIS_POINTS * BASIS_POINTS
_LEAST_SOCIALISED = 10**6
"""Units of debt, under which Euler books no loss."""
BASE_UNIT = 10**10
"""Wei of the smallest unit in which Aave v3 values debts and collateral."""


class NotCoveredError(Exception):
    """Error for a case that a fixed-discount sale of Backstop cannot represent.

    Its text says why.
    """


@dataclass(frozen=True)
class SaleCase:
    """Liquidation of another system, expressed as a fixed-discount sale of Backstop.

    `expected` is the other system's result; None if it refuses the liquidation.
    """

    terms: Terms
    position: Position
    max_collateral: int
    max_repay: int
    debt_unit: int  # wei that stand for one smallest unit of the peer's debt token
    tolerance: int  # wei by which the peer rounds at most, besides a unit of each token
    expected: PeerSale | None

    @property
    def is_under_bonus(self) -> bool:
        """True if the vault is worth no more than debt and bonus, so that Backstop sells it whole."""
        return quote_position(self.terms, self.position).is_under_bonus


@dataclass(frozen=True)
class PeerSale:
    """Amounts moved by another system's liquidation [smallest units]."""

    repaid: int
    seized: int  # with the fee
    fee: int
    lost: int  # of the debt, booked in the same call


def convert_sale(case: SaleCase, sale: Sale) -> PeerSale:
    """Return a sale of Backstop in the units of the other system.

    The payment is rounded up, the loss down.
    """
    position, unit = case.position, case.debt_unit
    principal = sale.normalized_debt * position.accumulated_rate
    lost = max(0, principal - sale.paid * RAY)
    return PeerSale(
        div_up(sale.paid, unit),
        sale.collateral // position.unit,
        sale.fee // position.unit,
        lost // (unit * RAY),
    )


def _build_position(
    collateral: int, debt: int, price: int, threshold: int, floor: int, collateral_unit: int, debt_unit: int
) -> Position:
    """Return a vault with these amounts in units.

    `threshold` is in basis points, `floor` in stablecoins. Raises NotCoveredError if no liquidation ratio has
    this threshold, or if amounts exceed the contract's limits.
    """
    ratio = _WHOLE // threshold
    if compute_threshold(ratio) != threshold:
        raise NotCoveredError("no liquidation ratio in basis points has this threshold")
    if max(debt * debt_unit * RAY, collateral * collateral_unit * price) >= MAX_AMOUNT:
        raise NotCoveredError("beyond the contract's amounts")
    return Position(
        collateral * collateral_unit, debt * debt_unit, RAY, ratio, floor * RAD, collateral_unit, price
    )


def build_morpho_case(case: Mapping[str, Any]) -> SaleCase:
    """Return a case of the vectors `morpho_liquidate` as a sale of Backstop.

    A unit of the loan token is 10**9 wei, so that prices are whole. A liquidation by shares repays their
    worth, rounded down. Raises NotCoveredError for a case that a sale cannot represent.
    """
    result = morpho_blue.liquidate_morpho_position(case)
    if result["status"] != "ok":
        raise NotCoveredError(result["status"])
    if result["seized"] == 0:
        raise NotCoveredError("a payment for no collateral, which ours refuses")
    lltv, (_, _, assets, shares) = case["lltv"], case["totals"]
    if lltv % 10**14 or case["price"] == 0:
        raise NotCoveredError("an lltv that is not a whole basis point, or no price")
    worth = assets + morpho_blue.VIRTUAL_ASSETS, shares + morpho_blue.VIRTUAL_SHARES
    debt = div_up(case["borrow_shares"] * worth[0], worth[1])
    unit = 10**9
    position = _build_position(case["collateral"], debt, case["price"], lltv // 10**14, 0, 1, unit)
    max_repay = MAX_UINT256 if case["seized_in"] else case["shares_in"] * worth[0] // worth[1] * unit
    lost = assets - result["repaid"] - result["totals_after"][2] if not result["collateral_after"] else 0
    expected = PeerSale(result["repaid"], result["seized"], 0, max(lost, 0))
    terms = Terms(max_bonus=1_500, cursor=3_000, close_factor=BASIS_POINTS)
    # Shares are rounded up, and then their assets.
    return SaleCase(terms, position, case["seized_in"] or MAX_UINT256, max_repay, unit, 2 * unit, expected)


def build_euler_case(case: Mapping[str, Any]) -> SaleCase:
    """Return a case of the vectors `euler` as a sale of Backstop.

    It must have one collateral and a debt with a price of one. Raises NotCoveredError for other cases.
    """
    result = euler_vault_kit.liquidate_euler_position(case)
    if len(case["collaterals"]) != 1 or case["debt_price"] != WAD:
        raise NotCoveredError("several collaterals, or a debt whose price is not one")
    if result["status"] != "ok":
        raise NotCoveredError(result["status"])
    if not result["out"]["repay"]:
        raise NotCoveredError("a healthy account, or collateral that is worth nothing")
    (asset,) = case["collaterals"]
    debt = div_up(case["owed"], 2**31)
    if case["max_discount"] > bounds.MAX_LIQUIDATION_BONUS:
        raise NotCoveredError("a discount beyond the mechanism's bound")
    is_emptied = result["out"]["yield"] == asset["balance"]
    if is_emptied and (not case["socialise"] or debt < _LEAST_SOCIALISED):
        raise NotCoveredError("a loss that Euler does not book")
    position = _build_position(asset["balance"], debt, asset["price"] * 10**9, asset["ltv"], 0, 1, 1)
    out = result["out"]
    lost = debt - out["repay"] - div_up(out["owed"], 2**31)
    terms = Terms(max_discount=case["max_discount"], close_factor=BASIS_POINTS)
    expected = PeerSale(out["repay"], out["yield"], 0, max(lost, 0))
    return SaleCase(terms, position, MAX_UINT256, case["desired"], 1, 2, expected)


def build_aave_v3_case(case: Mapping[str, Any]) -> SaleCase:
    """Return a case of the vectors `aave` as a sale of Backstop.

    It must have one collateral, and one debt with a price of one. Raises NotCoveredError for other cases.
    """
    reserves = case["reserves"]
    used = [each for each in reserves if each["collateral"] and each["scaled_supply"]]
    owed = [each for each in reserves if each["borrowing"]]
    asset, debt_reserve = reserves[case["seize"]], reserves[case["repay"]]
    if used != [asset] or owed != [debt_reserve] or debt_reserve["price"] != 10**8:
        raise NotCoveredError("several collaterals or debts, or a debt whose price is not one")
    result = aave_v3.liquidate_aave_v3_position(case)
    if result["status"] not in ("ok", "MustNotLeaveDust"):
        raise NotCoveredError(result["status"])
    supply = asset["scaled_supply"] * asset["supply_index"] // RAY
    debt = div_up(debt_reserve["scaled_debt"] * debt_reserve["debt_index"], RAY)
    units = 10 ** (18 - asset["decimals"]), 10 ** (18 - debt_reserve["decimals"])
    base = max(BASE_UNIT // units[1], 1)
    cover = case["cover"] * units[1] if case["cover"] < debt else MAX_UINT256
    debt = div_up(debt, base) * base
    position = _build_position(supply, debt, asset["price"] * 10**19, asset["threshold"], 1_000, *units)
    bonus = asset["bonus"] - BASIS_POINTS
    terms = Terms(
        base_bonus=bonus,
        max_bonus=bonus,
        close_factor=5_000,
        whole_close_health=9_500,
        small_position=2_000,
        fee=asset["fee"],
    )
    expected = None
    if result["status"] == "ok":
        out, after = result["out"], result["reserves_after"]
        fee = out["fee_scaled"] * asset["supply_index"] // RAY
        lost = after[case["repay"]]["deficit"] - debt_reserve["deficit"]
        expected = PeerSale(out["repaid"], out["seized"] + fee, fee, lost)
    tolerance = 2 * max(units[1], BASE_UNIT)
    return SaleCase(terms, position, MAX_UINT256, cover, units[1], tolerance, expected)


def build_aave_v4_case(case: Mapping[str, Any]) -> SaleCase:
    """Return a case of the vectors `aave_v4_whole` as a sale of Backstop.

    It must have one collateral, and one debt with a price of one. Raises NotCoveredError for other cases.
    Amounts are assets, not the hub's shares. A premium is part of the debt.
    """
    if case["collaterals"] != 1 or case["borrows"] != 1 or case["in"]["debt_price"] != 10**8:
        raise NotCoveredError("several collaterals or debts, or a debt whose price is not one")
    result, before = aave_v4.liquidate_aave_v4_position(case), case["in"]
    if "revert" in result["out"] and result["out"]["revert"] != "MustNotLeaveDust":
        raise NotCoveredError(result["out"]["revert"])
    scale = before["A"] + aave_v4.VIRTUAL_ASSETS, before["S"] + aave_v4.VIRTUAL_SHARES
    supply = before["shares"] * scale[0] // scale[1]
    debt = div_up(before["drawn"] * before["index"] + before["premium_ray"], RAY)
    units = 10 ** (18 - before["col_dec"]), 10 ** (18 - before["debt_dec"])
    position = _build_position(supply, debt, before["col_price"] * 10**19, before["cf"], 1_000, *units)
    if not before["premium_ray"]:
        # To the ray, as health is computed.
        position = position._replace(
            normalized_debt=before["drawn"] * units[1], accumulated_rate=before["index"]
        )
    lowest = (before["max_bonus"] - BASIS_POINTS) * before["factor"] // BASIS_POINTS
    if before["hf_max"] % 10**14 or before["target"] % 10**14 or before["target"] <= WAD:
        raise NotCoveredError("a health that is not a whole basis point, or a target of one")
    terms = Terms(
        base_bonus=lowest,
        max_bonus=before["max_bonus"] - BASIS_POINTS,
        full_bonus_health=before["hf_max"] // 10**14,
        target_health=before["target"] // 10**14,
        fee=before["fee"],
    )
    expected = None
    if "revert" not in result["out"]:
        out = result["out"]
        seized, fee = (out[name] * scale[0] // scale[1] for name in ("col_shares", "fee_shares"))
        lost = result["deficit_ray"] // RAY
        expected = PeerSale(out["paid"], seized, fee, lost)
    unit = units[1]
    return SaleCase(terms, position, MAX_UINT256, before["cover"] * unit, unit, 2 * unit, expected)


def list_differences(case: SaleCase, sale: Sale) -> list[str]:
    """Return a text for each field in which a sale differs from the expected one beyond rounding.

    Debt may differ by the case's tolerance and the worth of two units of collateral. Collateral may differ by
    two units and the collateral that the tolerance buys.
    """
    assert case.expected is not None
    position, found = case.position, convert_sale(case, sale)
    unit_price = div_up(position.price * position.unit, RAY)
    debt_slack = div_up(case.tolerance + 2 * unit_price, case.debt_unit)
    collateral_slack = 2 + 2 * (case.tolerance * RAY // (position.price * position.unit) + 1)
    slacks = {"repaid": debt_slack, "seized": collateral_slack, "fee": collateral_slack, "lost": debt_slack}
    texts = []
    for name, slack in slacks.items():
        ours, theirs = getattr(found, name), getattr(case.expected, name)
        if abs(ours - theirs) > slack:
            texts.append(f"{name}: {ours}, the peer's {theirs}")
    return texts


CASE_BUILDERS = {
    "morpho_liquidate": build_morpho_case,
    "euler": build_euler_case,
    "aave": build_aave_v3_case,
    "aave_v4_whole": build_aave_v4_case,
}
"""How a case of a group of vectors is seen by the mechanism."""


def plan_or_none(plan: Any, case: SaleCase) -> Sale | None:
    """Return the sale that a plan function makes of a case; None if it reverts or sells nothing."""
    try:
        sale: Sale = plan(case.terms, case.position, case.max_collateral, case.max_repay)
    except RevertError:
        return None
    return sale if sale.collateral > sale.fee and sale.normalized_debt else None
