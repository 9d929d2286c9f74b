"""Morpho Blue: liquidations at a constant discount, bad debt booked once no collateral is left.

Source: github.com/morpho-org/morpho-blue, src/Morpho.sol (`liquidate`, `accrueInterest`) and src/libraries,
commit 3085651 of July 2026, GPL-2.0-or-later. The rules are written here anew. Amounts are in smallest units
of the tokens, rates and factors in wad, prices in loan tokens for one unit of collateral times 1e36.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backstop.model.arithmetic import WAD, div_up
from backstop.studies.peer_liquidations.vector_case import (
    INTEGER,
    MAX_UINT128,
    PeerRefusalError,
    check_field_forms,
    check_uint256,
)

PRICE_SCALE = 10**36
VIRTUAL_ASSETS = 1
VIRTUAL_SHARES = 10**6
MAX_INCENTIVE_FACTOR = 115 * 10**16
INCENTIVE_CURSOR = 3 * 10**17

TOTALS = (INTEGER, INTEGER, INTEGER, INTEGER)
LIQUIDATE_FORM = {
    "lltv": INTEGER,
    "price": INTEGER,
    "totals": TOTALS,
    "borrow_shares": INTEGER,
    "collateral": INTEGER,
    "seized_in": INTEGER,
    "shares_in": INTEGER,
}
ACCRUE_FORM = {
    "rate": INTEGER,
    "elapsed": INTEGER,
    "fee": INTEGER,
    "before": TOTALS,
    "fee_shares_before": INTEGER,
}


def compute_incentive_factor(lltv: int) -> int:
    """Return the worth of collateral per repaid debt in a market with this limit `lltv` [wad].

    It is 1 / (1 - 0.3 * (1 - lltv)), at most 1.15. Product and quotient are rounded down.
    """
    return min(MAX_INCENTIVE_FACTOR, WAD * WAD // (WAD - INCENTIVE_CURSOR * (WAD - lltv) // WAD))


def liquidate_morpho_position(case: Mapping[str, Any]) -> dict[str, Any]:
    """Compute Morpho Blue's `liquidate` after accrual, and return its amounts [units].

    `status` is "ok" or the contract's error. `case` has the fields of LIQUIDATE_FORM; one of `seized_in` and
    `shares_in` is 0. A position is healthy if its collateral at the price (rounded down) times the lltv
    (rounded down) reaches its debt (rounded up). By collateral, worth, repayment and shares are each rounded
    up. By shares, assets, worth and collateral are each rounded down. Both are against the liquidator: the
    liquidator pays the assets of the shares, rounded up. Without collateral left, lenders absorb the rest
    at once. An amount above the borrower's debt or collateral panics, and an amount from 2**128 is refused.
    """
    check_field_forms(case, LIQUIDATE_FORM, "morpho_liquidate")
    try:
        return _liquidate_position(case)
    except PeerRefusalError as refusal:
        return {"status": refusal.reason}


def _liquidate_position(case: Mapping[str, Any]) -> dict[str, Any]:
    supply_assets, supply_shares, borrow_assets, borrow_shares = case["totals"]
    seized, shares, price, collateral = (
        case[key] for key in ("seized_in", "shares_in", "price", "collateral")
    )
    if (seized == 0) == (shares == 0):
        raise PeerRefusalError("inconsistent input")
    assets, all_shares = borrow_assets + VIRTUAL_ASSETS, borrow_shares + VIRTUAL_SHARES
    debt = div_up(case["borrow_shares"] * assets, all_shares)
    if check_uint256(collateral * price) // PRICE_SCALE * case["lltv"] // WAD >= debt:
        raise PeerRefusalError("position is healthy")
    factor = compute_incentive_factor(case["lltv"])
    if seized:
        worth = _ceil_quotient(seized * price, PRICE_SCALE)
        shares = _ceil_quotient(_ceil_quotient(worth * WAD, factor) * all_shares, assets)
    else:
        if price == 0:
            raise PeerRefusalError("panic")
        worth = check_uint256(check_uint256(shares * assets) // all_shares * factor) // WAD
        seized = check_uint256(worth * PRICE_SCALE) // price
    repaid = _ceil_quotient(shares * assets, all_shares)
    rest_shares = check_uint256(case["borrow_shares"] - _check_uint128(shares))
    borrow_shares = check_uint256(borrow_shares - shares)
    borrow_assets = max(borrow_assets - repaid, 0)
    collateral = check_uint256(collateral - _check_uint128(seized))
    if collateral == 0:
        lost = div_up(rest_shares * (borrow_assets + VIRTUAL_ASSETS), borrow_shares + VIRTUAL_SHARES)
        lost = min(borrow_assets, lost)
        borrow_assets -= lost
        supply_assets = check_uint256(supply_assets - lost)
        borrow_shares -= rest_shares
        rest_shares = 0
    return {
        "status": "ok",
        "seized": seized,
        "repaid": repaid,
        "totals_after": [supply_assets, supply_shares, borrow_assets, borrow_shares],
        "borrow_shares_after": rest_shares,
        "collateral_after": collateral,
    }


def accrue_morpho_interest(case: Mapping[str, Any]) -> dict[str, Any]:
    """Compute Morpho Blue's `accrueInterest` over `elapsed` seconds.

    The result has the totals (`after`) and the fee recipient's shares (`fee_shares_after`). Growth is three
    terms of exp(rate * elapsed) - 1, each rounded down. Interest, fee and its shares are rounded down too.
    The fee's shares are bought at the price without the fee, so that other lenders do not pay for it.
    """
    check_field_forms(case, ACCRUE_FORM, "morpho_accrue")
    supply_assets, supply_shares, borrow_assets, borrow_shares = case["before"]
    first = case["rate"] * case["elapsed"]
    second = first * first // (2 * WAD)
    third = second * first // (3 * WAD)
    interest = borrow_assets * (first + second + third) // WAD
    supply_assets += interest
    fee = interest * case["fee"] // WAD
    fee_shares = fee * (supply_shares + VIRTUAL_SHARES) // (supply_assets - fee + VIRTUAL_ASSETS)
    return {
        "after": [supply_assets, supply_shares + fee_shares, borrow_assets + interest, borrow_shares],
        "fee_shares_after": case["fee_shares_before"] + fee_shares,
    }


def _ceil_quotient(numerator: int, denominator: int) -> int:
    """Return the quotient rounded up; raise a panic if numerator + denominator - 1 overflows."""
    return check_uint256(numerator + denominator - 1) // denominator


def _check_uint128(value: int) -> int:
    if value > MAX_UINT128:
        raise PeerRefusalError("max uint128 exceeded")
    return value
