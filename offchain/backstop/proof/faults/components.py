"""The parts that break: each alone, while all others are as they were."""

from __future__ import annotations

from dataclasses import dataclass, replace

from backstop.errors import BackstopError
from backstop.proof.faults.failure_modes import FAILS, LIES, OF_CONTRACTS, OF_STAGES, SILENT
from backstop.proof.faults.fault_scenario import ADAPTER, AGGREGATOR, REPORTERS


@dataclass(frozen=True)
class Component:
    """What breaks, and what may stop with it.

    `contract` gets other code; without one it is the reporters of `markets` that fall silent or lie. `dry`
    are the stages that may pay less, or nothing, without it; `heirs` may pay more by what those have not
    taken. `own` are the contracts, or the tables of one, that may differ afterwards.
    """

    name: str
    contract: str = ""
    ways: tuple[str, ...] = OF_CONTRACTS
    dry: tuple[str, ...] = ()
    heirs: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    markets: tuple[str, ...] = ()
    reporters: tuple[str, ...] = ()


def _make_contract(name: str, *dry: str, own: tuple[str, ...] = ()) -> Component:
    return Component(name, name, dry=dry, own=(name, *own))


def _make_stage(name: str, *dry: str, own: tuple[str, ...] = ()) -> Component:
    return Component(name, name, OF_STAGES, (name, *dry), (name, *own))


def _make_feed(symbol: str) -> Component:
    everybody = *REPORTERS, ADAPTER
    return Component(
        f"feed of {symbol}", "", (SILENT,), own=("PriceFeed",), markets=(symbol,), reporters=everybody
    )


PARTS = (
    _make_stage("BufferStage"),
    _make_stage("ReserveStage"),
    # Income that it does not take vests while settlement waits for final prices.
    replace(_make_stage("ClawbackStage"), heirs=("Junior", "Senior", "Savings")),
    # Its unvested income is what the clawback takes.
    _make_stage("Junior", "ClawbackStage", own=("Junior.Claims",)),
    _make_stage("StakeAuction"),
    _make_stage("Senior", "ClawbackStage", own=("Senior.Claims",)),
    _make_stage("MintAuction"),
    _make_stage("Savings", "ClawbackStage", own=("Savings.Claims",)),
    *map(_make_contract, ("WETH", "WBTC", "XAU")),
    # One that lies decides everything: that is what reporters and quorums are for.
    replace(_make_contract("PriceFeed", "StakeAuction", "MintAuction"), ways=FAILS),
    _make_feed("WETH"),
    _make_feed("WBTC"),
    _make_feed("XAU"),
    Component("a reporter", "", (SILENT,), own=("PriceFeed",), reporters=("reporter_1",)),
    Component("a liar", "", (LIES,), own=("PriceFeed.reports",), reporters=("reporter_1",)),
    _make_contract(AGGREGATOR, own=("PriceFeed.reports",)),
    # The fee that it would have set does not come.
    _make_contract("RiskPolicy", own=("VaultEngine.ledger.income", "VaultEngine.terms.fee_days")),
    _make_contract("Equity", "StakeAuction", "MintAuction"),
    _make_contract("StakedEquity", "StakeAuction"),
    _make_contract("Junior.Claims", "Junior"),
    _make_contract("Senior.Claims", "Senior"),
    _make_contract("Savings.Claims", "Savings"),
    _make_contract("Treasury"),
    _make_contract("CircuitBreaker"),
    _make_contract("Workouts"),
    _make_contract("Perpetuals"),
    _make_contract("MarginPolicy"),
    _make_contract("MarginFund"),
    _make_contract("PerpetualTrading"),
)
"""Every part that breaks. Not among them is what nothing stands without: the ledger, the waterfall, the
engine of liquidations, the auction of collateral, settlement, the stablecoin, margin markets and orders."""


def get_component(name: str) -> Component:
    """Return a part by its name."""
    for each in PARTS:
        if each.name == name:
            return each
    raise BackstopError(f"there is no part {name!r}: choose of {', '.join(each.name for each in PARTS)}")
