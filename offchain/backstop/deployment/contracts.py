"""The contracts that names in the parameters stand for: stages, pools, deleveragers and domains."""

from __future__ import annotations

from typing import NamedTuple

from backstop.deployment.parameters import DomainParameters, MarginParameters, Parameters


class StageContract(NamedTuple):
    """The contract of a stage: its name and kind, what the waterfall has to know of it."""

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
"""Every stage that there is, by its name in parameters; "scripted" does what it is told, for tests."""

POOLS = {
    "junior": ("Junior", "Backstop Junior", "jBSD"),
    "senior": ("Senior", "Backstop Senior", "nBSD"),
    "savings": ("Savings", "Backstop Savings", "sBSD"),
    "staked_equity": ("StakedEquity", "Staked Backstop Equity", "sBSE"),
}
"""The pools, by the names of their parameters: contract, name and symbol of its shares."""

STABLECOIN_POOLS = ("Junior", "Senior", "Savings")
"""The pools of stablecoin, which have claims for what they lose."""

NAIVE = {"LeaveAtOncePool": "Pool", "EpochCapsWaterfall": "LossWaterfall"}
"""Contracts with naive rules, which presets compare with, by the contract in whose place each stands."""

DELEVERAGERS = {"ranked": "MarginDeleverager", "shared": "MarginSharer"}
"""Who pays of those who gained - the first in rank, or all by their scores - and the contract that takes it.

In a deployment either is called MarginDeleverager.
"""

BY_CYCLE = "by-cycle"
"""The policy by which all who gained while a loss was made pay, each the same share of its gain."""

MARGIN_POLICIES = (*DELEVERAGERS, BY_CYCLE)
"""Who pays of those who gained in a margin market."""


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
    "Domain",
    "MarginPolicy",
    "MarginFund",
)
"""Kinds of contracts that have an admin."""


def pools_of(parameters: Parameters) -> list[str]:
    """Return the pools of stablecoin that a deployment has, in the order in which they bear losses."""
    found = [stage.name for stage in parameters.stages if stage.name in ("junior", "senior", "savings")]
    # Savers are always welcome, whether they bear losses or not.
    return found if "savings" in found else [*found, "savings"]


def margin_kinds(margin: MarginParameters) -> dict[str, str]:
    """Return name -> kind of the contracts of a margin market, in creation order."""
    if margin.policy == BY_CYCLE:
        own = ("PerpetualMarket", "PerpetualDesk", "MarginOrders", "MarginFund")
        return {name: name for name in ("MarginPolicy", *own)}
    kinds = {name: name for name in ("MarginPolicy", "MarginMarket", "MarginOrders", "MarginFund")}
    return kinds | {"MarginDeleverager": DELEVERAGERS[margin.policy]}


def margin_market(margin: MarginParameters) -> str:
    """Return the contract that keeps the accounts of a margin market."""
    return "PerpetualMarket" if margin.policy == BY_CYCLE else "MarginMarket"


def domains_of(parameters: Parameters) -> list[tuple[int, DomainParameters]]:
    """Return the domains with the ids of their types, which follow those of the collateral types."""
    return list(enumerate(parameters.domains, len(parameters.collateral_types)))
