"""The parts that break: each alone, while all others are as they were."""

from __future__ import annotations

from dataclasses import dataclass, replace

from backstop.errors import BackstopError
from backstop.proof.faults.play import ADAPTER, AGGREGATOR, REPORTERS
from backstop.proof.faults.ways import FAILS, LIES, OF_CONTRACTS, OF_STAGES, SILENT


@dataclass(frozen=True)
class Part:
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


def _contract(name: str, *dry: str, own: tuple[str, ...] = ()) -> Part:
    return Part(name, name, dry=dry, own=(name, *own))


def _stage(name: str, *dry: str, own: tuple[str, ...] = ()) -> Part:
    return Part(name, name, OF_STAGES, (name, *dry), (name, *own))


def _feed(symbol: str) -> Part:
    everybody = *REPORTERS, ADAPTER
    return Part(
        f"feed of {symbol}", "", (SILENT,), own=("PriceFeed",), markets=(symbol,), reporters=everybody
    )


PARTS = (
    _stage("BufferStage"),
    _stage("ReserveStage"),
    # Income that it does not take vests while settlement waits for final prices.
    replace(_stage("ClawbackStage"), heirs=("Junior", "Senior", "Savings")),
    # Its unvested income is what the clawback takes.
    _stage("Junior", "ClawbackStage", own=("Junior.Claims",)),
    _stage("StakeAuction"),
    _stage("Senior", "ClawbackStage", own=("Senior.Claims",)),
    _stage("MintAuction"),
    _stage("Savings", "ClawbackStage", own=("Savings.Claims",)),
    *map(_contract, ("WETH", "WBTC", "XAU")),
    # One that lies decides everything: that is what reporters and quorums are for.
    replace(_contract("PriceFeed", "StakeAuction", "MintAuction"), ways=FAILS),
    _feed("WETH"),
    _feed("WBTC"),
    _feed("XAU"),
    Part("a reporter", "", (SILENT,), own=("PriceFeed",), reporters=("reporter_1",)),
    Part("a liar", "", (LIES,), own=("PriceFeed.reports",), reporters=("reporter_1",)),
    _contract(AGGREGATOR, own=("PriceFeed.reports",)),
    # The fee that it would have set does not come.
    _contract("RiskPolicy", own=("VaultEngine.ledger.income", "VaultEngine.terms.fee_days")),
    _contract("Equity", "StakeAuction", "MintAuction"),
    _contract("StakedEquity", "StakeAuction"),
    _contract("Junior.Claims", "Junior"),
    _contract("Senior.Claims", "Senior"),
    _contract("Savings.Claims", "Savings"),
    _contract("Treasury"),
    _contract("CircuitBreaker"),
    _contract("Workouts"),
    _contract("Perpetuals"),
    _contract("MarginPolicy"),
    _contract("MarginFund"),
    _contract("PerpetualDesk"),
)
"""Every part that breaks. Not among them is what nothing stands without: the ledger, the waterfall, the
engine of liquidations, the auction of collateral, settlement, the stablecoin, margin markets and orders."""


def part(name: str) -> Part:
    """Return a part by its name."""
    for each in PARTS:
        if each.name == name:
            return each
    raise BackstopError(f"there is no part {name!r}: choose of {', '.join(each.name for each in PARTS)}")
