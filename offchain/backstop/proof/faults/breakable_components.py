"""The parts that break: each alone, while all others are as they were."""

from __future__ import annotations

from dataclasses import dataclass, replace

from backstop.errors import BackstopError, describe_choices
from backstop.proof.faults.component_failure_scenario import ADAPTER, AGGREGATOR, REPORTERS
from backstop.proof.faults.failure_modes import FAILS, LIES, OF_CONTRACTS, OF_STAGES, SILENT


@dataclass(frozen=True)
class Component:
    """Component that a fault test breaks, and the contracts and stages that depend on it.

    `contract` gets other code. Without a contract, the `reporters` of `markets` fall silent or report false
    prices. `dry` names the waterfall stages that may pay less. `heirs` may pay the unpaid difference. `own`
    names contracts or tables that may differ afterwards.
    """

    name: str
    contract: str = ""
    ways: tuple[str, ...] = OF_CONTRACTS
    dry: tuple[str, ...] = ()
    heirs: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    markets: tuple[str, ...] = ()
    reporters: tuple[str, ...] = ()


def _build_contract_component(
    name: str, *dry: str, possibly_changed_contracts: tuple[str, ...] = ()
) -> Component:
    return Component(name, name, dry=dry, own=(name, *possibly_changed_contracts))


def _make_stage_component(name: str, *dry: str, own_storage_paths: tuple[str, ...] = ()) -> Component:
    return Component(name, name, OF_STAGES, (name, *dry), (name, *own_storage_paths))


def _build_silent_feed_component(symbol: str) -> Component:
    everybody = *REPORTERS, ADAPTER
    return Component(
        f"feed of {symbol}", "", (SILENT,), own=("PriceFeed",), markets=(symbol,), reporters=everybody
    )


PARTS = (
    _make_stage_component("BufferStage"),
    _make_stage_component("ReserveStage"),
    # Income that it does not take vests while settlement waits for final prices.
    replace(_make_stage_component("ClawbackStage"), heirs=("Junior", "Senior", "Savings")),
    # Its unvested income is what the clawback takes.
    _make_stage_component("Junior", "ClawbackStage", own_storage_paths=("Junior.Claims",)),
    _make_stage_component("StakeAuction"),
    _make_stage_component("Senior", "ClawbackStage", own_storage_paths=("Senior.Claims",)),
    _make_stage_component("MintAuction"),
    _make_stage_component("Savings", "ClawbackStage", own_storage_paths=("Savings.Claims",)),
    *map(_build_contract_component, ("WETH", "WBTC", "XAU")),
    # One that lies decides everything: that is what reporters and quorums are for.
    replace(_build_contract_component("PriceFeed", "StakeAuction", "MintAuction"), ways=FAILS),
    _build_silent_feed_component("WETH"),
    _build_silent_feed_component("WBTC"),
    _build_silent_feed_component("XAU"),
    Component("a reporter", "", (SILENT,), own=("PriceFeed",), reporters=("reporter_1",)),
    Component("a liar", "", (LIES,), own=("PriceFeed.reports",), reporters=("reporter_1",)),
    _build_contract_component(AGGREGATOR, possibly_changed_contracts=("PriceFeed.reports",)),
    # The fee that it would have set does not come.
    _build_contract_component(
        "RiskPolicy", possibly_changed_contracts=("VaultEngine.ledger.income", "VaultEngine.terms.fee_days")
    ),
    _build_contract_component("Equity", "StakeAuction", "MintAuction"),
    _build_contract_component("StakedEquity", "StakeAuction"),
    _build_contract_component("Junior.Claims", "Junior"),
    _build_contract_component("Senior.Claims", "Senior"),
    _build_contract_component("Savings.Claims", "Savings"),
    _build_contract_component("Treasury"),
    _build_contract_component("CircuitBreaker"),
    _build_contract_component("Workouts"),
    _build_contract_component("Perpetuals"),
    _build_contract_component("MarginPolicy"),
    _build_contract_component("MarginFund"),
    _build_contract_component("PerpetualTrading"),
)
"""Every breakable component.

Not among them are the indispensable ones: the ledger, the waterfall, the engine of liquidations, the auction
of collateral, settlement, the stablecoin, margin markets and orders.
"""


def get_breakable_component(name: str) -> Component:
    """Return a breakable component by name; raise BackstopError if the name is unknown."""
    for each in PARTS:
        if each.name == name:
            return each
    known = describe_choices(name, [each.name for each in PARTS], "docs/how-to/faults.md")
    raise BackstopError(f"component {name!r} is unknown; {known}")
