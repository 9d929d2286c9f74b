"""The margin market's part of a statement: its holdings, unpaid losses, insurance.

Also the amount that insurance would have to pay if prices jumped, and whether the fund covers it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from backstop.deployment.planned_contracts import Deployment
from backstop.hosts.model_system import ModelSystem
from backstop.live.solvency.backstop_pool_statement import build_backstop_pool_statement
from backstop.live.solvency.margin_price_jump_stress import (
    TWO,
    compute_price_jump_shortfalls,
    compute_required_insurance,
    get_default_gaps,
    iter_accounts_at_last_marks,
    iter_price_jump_scenarios,
    read_markets,
)
from backstop.model.margin_fund import MarginFund
from backstop.model.margin_policy import MarginPolicy
from backstop.model.perpetual_market import PerpetualMarket
from backstop.model.price_path import sum_values_of_all_positions
from backstop.model.stablecoin import Stablecoin

_NOBODY = "0x" + "00" * 20
_LARGEST = 5


def build_margin_statement(
    model: ModelSystem, deployment: Deployment, price_jump_bps: int | None = None
) -> dict[str, Any] | None:
    """Return the margin market's books and stress figures [wad]; None without a margin market.

    `gap_wad` is the difference by which the books do not balance. `payable_wad` is the amount that insurance
    may still pay in the present period. `price_jump_bps` is the stress jump in all markets [basis points];
    without it each market's jump is twice its initial margin.
    """
    margin, contracts = deployment.parameters.margin, model.world.contracts
    if margin is None:
        return None
    fund, coin = cast(MarginFund, contracts["MarginFund"]), cast(Stablecoin, contracts["Stablecoin"])
    insurance = fund.insurance_of(_NOBODY)
    buckets = sum(bucket.assets for bucket in fund.buckets.values())
    market = cast(PerpetualMarket, contracts["PerpetualMarket"])
    held, unpaid, fees = market.held(_NOBODY), market.late(_NOBODY), market.fees(_NOBODY)
    # What positions are worth, at the marks as they were brought up to date last.
    others = {
        "bonds": int(market.bonds[()]),
        "pot": int(market.pot[()].value),
        "lots": sum_values_of_all_positions(market),
    }
    cash = sum(each.cash for each in market.accounts.values())
    holds, insured = (coin.balanceOf(_NOBODY, each.address) for each in (market, fund))
    booked = insurance.amount + buckets
    figures = {
        "cash": cash,
        **others,
        "fees": fees,
        "held": held,
        "unpaid": unpaid,
        "insurance": insurance.amount,
        "payable": fund.spendable(_NOBODY),
        "unvested": fund.unvested(_NOBODY),
        "profits": buckets,
        # Both hold what they have booked.
        "short": max(0, held - holds) + max(0, booked - insured),
        "gap": cash + sum(others.values()) + fees - held - unpaid,
    }
    return {
        "policy": margin.policy,
        **{f"{each}_wad": str(amount) for each, amount in figures.items()},
        "stress": _build_stress_figures(model, deployment, figures["payable"], unpaid, price_jump_bps),
        "pool": build_backstop_pool_statement(model),
    }


def build_market_names_by_number(deployment: Deployment, market_count: int) -> Mapping[int, str]:
    """Return the name of each market by number.

    The name is the symbol of the priced token, or "market" and the number for a market that was added later.
    """
    margin = deployment.parameters.margin
    symbols = [] if margin is None else [each.symbol for each in margin.markets]
    return {m: symbols[m] if m < len(symbols) else f"market {m}" for m in range(market_count)}


def _build_stress_figures(
    model: ModelSystem,
    deployment: Deployment,
    insurance_payable: int,
    unpaid: int,
    price_jump_bps: int | None,
) -> dict[str, Any]:
    """Return accounts' shortfalls after each price jump, and whether insurance covers the worst jump.

    Unpaid losses count against insurance, too. `asked_wad` is the insurance that the markets require.
    """
    contracts = model.world.contracts
    market = cast(PerpetualMarket, contracts["PerpetualMarket"])
    policy = cast(MarginPolicy, contracts["MarginPolicy"])
    markets = read_markets(market)
    gaps = (
        get_default_gaps(policy, markets)
        if price_jump_bps is None
        else dict.fromkeys(markets, price_jump_bps)
    )
    names = build_market_names_by_number(deployment, policy.markets(_NOBODY))
    found = compute_price_jump_shortfalls(
        iter_accounts_at_last_marks(market), markets, iter_price_jump_scenarios(gaps, names)
    )
    worst = max(found, key=lambda each: each.total, default=None)
    lacking = () if worst is None else worst.lacking
    total = sum(amount for _, amount in lacking)
    two = max((each.sum_largest(TWO) for each in found), default=0)
    return {
        "jumps": [
            {
                "jump": each.jump.name,
                "gaps_bps": {names[m]: bps for m, bps in each.jump.gaps.items()},
                "accounts": len(each.lacking),
                "shortfall_wad": str(each.total),
                "two_largest_wad": str(each.sum_largest(TWO)),
            }
            for each in found
        ],
        "worst": None if worst is None or not total else worst.jump.name,
        "shortfall_wad": str(total),
        "two_largest_wad": str(two),
        "largest": [{"owner": owner, "shortfall_wad": str(lack)} for owner, lack in lacking[:_LARGEST]],
        "asked_wad": str(compute_required_insurance(market, policy)),
        "covered": total + unpaid <= insurance_payable,
        "two_covered": two + unpaid <= insurance_payable,
    }
