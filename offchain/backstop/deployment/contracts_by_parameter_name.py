"""The contracts that names in the parameters stand for: stages, pools, closers and facilitators."""

from __future__ import annotations

from typing import NamedTuple

from backstop.deployment.parameter_dataclasses import FacilitatorParameters, MarginParameters, Parameters


class StageContract(NamedTuple):
    """Contract of a loss-absorbing stage: name, kind, and its settings in the waterfall."""

    contract: str
    kind: str
    pooled: bool  # one balance for all types, or one for each
    asynchronous: bool = False
    lifted: bool = False  # settlement lifts its caps
    owes: bool = False  # has members, who owe what it misses while it fails


STAGES = {
    "scripted": StageContract("ScriptedStage", "ScriptedStage", pooled=False, asynchronous=True),
    "buffer": StageContract("BufferStage", "LedgerStage", pooled=False, lifted=True),
    "reserve": StageContract("ReserveStage", "LedgerStage", pooled=True, lifted=True),
    "clawback": StageContract("ClawbackStage", "ClawbackStage", pooled=True, lifted=True),
    "junior": StageContract("Junior", "Pool", pooled=True, lifted=True, owes=True),
    "staked_equity": StageContract("StakeAuction", "EquityAuction", pooled=True, asynchronous=True),
    "senior": StageContract("Senior", "Pool", pooled=True, lifted=True, owes=True),
    "minted_equity": StageContract("MintAuction", "EquityAuction", pooled=True, asynchronous=True),
    "redistribution": StageContract("RedistributionStage", "LedgerStage", pooled=False),
    "savings": StageContract("Savings", "Pool", pooled=True, owes=True),
}
"""Every stage, by its name in parameters; "scripted" follows a script, for tests."""

POOLS = {
    "junior": ("Junior", "Backstop Junior", "jBSD"),
    "senior": ("Senior", "Backstop Senior", "nBSD"),
    "savings": ("Savings", "Backstop Savings", "sBSD"),
    "staked_equity": ("StakedEquity", "Staked Backstop Equity", "sBSE"),
}
"""The pools, by the names of their parameters: contract, name and symbol of its shares."""

STABLECOIN_POOLS = ("Junior", "Senior", "Savings")
"""The pools of stablecoin, which have claims for their losses."""

NAIVE = {
    "InstantExitPool": "Pool",
    "CalendarCapWaterfall": "LossWaterfall",
    "PartialSaleDiscount": "FixedDiscount",
    "InstantStabilityPool": "StabilityPool",
}
"""Contracts with naive rules, for comparison by presets, by the contract that each replaces."""

BACKSTOP = ("Backstop Perpetual Pool", "pBSD")
"""Name and symbol of the shares of the pool that takes over positions in a margin market."""

BY_CYCLE = "by-cycle"
"""The policy without deleveraging: seized lots stay unassigned until a trader takes them over."""

CLOSERS = {"ranked": "RankedDeleveraging", "shared": "ProRataDeleveraging"}
"""Positions closed against such lots - the first in rank, or all by their gains - and the contract.

In a deployment either is called PerpetualCloser. The absorption of losses is the same by all policies.
"""

MARGIN_POLICIES = (BY_CYCLE, *CLOSERS)
"""Policies for insolvent accounts' lots in a margin market."""


ADMINISTERED = (
    "VaultEngine",
    "PriceFeed",
    "CollateralAuction",
    "LossWaterfall",
    "Settlement",
    "Equity",
    "Treasury",
    "RiskPolicy",
    "AutoCeiling",
    "CircuitBreaker",
    "Workouts",
    "BridgeFacilitator",
    "MarginPolicy",
    "MarginFund",
    "PerpetualLiquidityVault",
    "FixedDiscount",
)
"""Kinds of contracts that have an admin."""


def list_pools(parameters: Parameters) -> list[str]:
    """Return the stablecoin pools of a deployment in the order in which they absorb losses.

    The savings pool always exists, even if it absorbs no losses.
    """
    found = [stage.name for stage in parameters.stages if stage.name in ("junior", "senior", "savings")]
    # Savers are always welcome, whether they bear losses or not.
    return found if "savings" in found else [*found, "savings"]


def map_margin_contract_kinds(margin_parameters: MarginParameters) -> dict[str, str]:
    """Return the perpetual markets' contract names with their kinds, in creation order."""
    names = ("MarginPolicy", "PerpetualMarket", "PerpetualTrading", "MarginOrders", "MarginFund")
    closer = (
        {"PerpetualCloser": CLOSERS[margin_parameters.policy]} if margin_parameters.policy in CLOSERS else {}
    )
    pool = (
        {} if margin_parameters.backstop is None else {"PerpetualLiquidityVault": "PerpetualLiquidityVault"}
    )
    return {name: name for name in names} | closer | pool


def list_facilitators_with_type_ids(parameters: Parameters) -> list[tuple[int, FacilitatorParameters]]:
    """Return each facilitator with its type id; these ids follow those of the collateral types."""
    return list(enumerate(parameters.facilitators, len(parameters.collateral_types)))


def map_stability_pool_shares(parameters: Parameters) -> dict[str, int]:
    """Return each stability pool's share of the treasury's surplus [basis points], if above 0."""
    return {
        name_stability_pool(each.symbol): each.stability_pool.income_share
        for each in parameters.collateral_types
        if each.stability_pool is not None and each.stability_pool.income_share
    }


def name_stability_pool(symbol: str) -> str:
    """Return the contract name of the stability pool for a collateral type."""
    return f"StabilityPool.{symbol}"
