"""The margin market's part of a statement: what it holds, what nobody has paid, what insurance has."""

from __future__ import annotations

from typing import Any, cast

from backstop.deployment.plan import Deployment
from backstop.hosts.model import ModelSystem
from backstop.model.arithmetic import WAD
from backstop.model.margin_fund import MarginFund
from backstop.model.perpetual_market import PerpetualMarket
from backstop.model.price_path import value_of_all
from backstop.model.stablecoin import Stablecoin

_NOBODY = "0x" + "00" * 20


def margin_of(model: ModelSystem, deployment: Deployment) -> dict[str, Any] | None:
    """State the margin market's books [wad], `gap_wad` what they do not balance by; None without one.

    `payable_wad` is what insurance may still pay in its bucket of time.
    """
    margin, contracts = deployment.parameters.margin, model.world.contracts
    if margin is None:
        return None
    fund, coin = cast(MarginFund, contracts["MarginFund"]), cast(Stablecoin, contracts["Stablecoin"])
    insurance = fund.insurance_of(_NOBODY)
    room = max(0, fund.cap(_NOBODY) * WAD - insurance.spent)
    buckets = sum(bucket.assets for bucket in fund.buckets.values())
    market = cast(PerpetualMarket, contracts["PerpetualMarket"])
    held, unpaid, fees = market.held(_NOBODY), market.late(_NOBODY), market.fees(_NOBODY)
    # What positions are worth, at the marks as they were brought up to date last.
    others = {"bonds": int(market.bonds[()]), "pot": int(market.pot[()].value), "lots": value_of_all(market)}
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
        "payable": min(insurance.amount, room),
        "unvested": fund.unvested(_NOBODY),
        "profits": buckets,
        # Both hold what they have booked.
        "short": max(0, held - holds) + max(0, booked - insured),
        "gap": cash + sum(others.values()) + fees - held - unpaid,
    }
    return {"policy": margin.policy, **{f"{each}_wad": str(amount) for each, amount in figures.items()}}
