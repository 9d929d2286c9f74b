"""The deployment that parts are broken in, played from its opening to a crash, and on to its end.

Four moments are looked at: a small loss that reaches Junior; a storm, with a loss larger than all
stages hold, vaults to liquidate and an auction that runs; the sale of staked equity for that loss; and
settlement with its books closed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from backstop.deployment.devnet_trader_signatures import get_trader_account, sign_order
from backstop.deployment.example_parameters import build_guarded_parameters, build_margin_parameters
from backstop.deployment.parameter_dataclasses import EquityParameters, Parameters, replace_stage_caps
from backstop.deployment.role_accounts import get_account
from backstop.hosts.account_addresses import compute_contract_address
from backstop.hosts.artifacts import Artifacts
from backstop.hosts.contract_creation import Creation
from backstop.hosts.host_interface import CHAIN_ID
from backstop.hosts.revm import RevmHost
from backstop.model.arithmetic import MAX_UINT256, WAD
from backstop.model.bounds import FINAL_DEADLINE, MAX_REPORT_AGE
from backstop.model.equity_auction import Sale
from backstop.model.interfaces import Vault
from backstop.model.margin_orders import Order
from backstop.proof.faults.component_failure_scenario import (
    ADAPTED,
    ADAPTER,
    AGGREGATOR,
    EQUITY,
    FaultScenario,
    list_reporters,
)
from backstop.proof.lockstep import deploy_lockstep
from backstop.system import Action

LOSS, STORM, SALE, CLOSED = "loss", "storm", "sale", "closed"
"""The moments, in their order."""

WETH, WBTC, XAU = 0, 1, 2
POOLS = ("Junior", "Senior", "Savings")
TRADERS, IDLE = ("long", "short"), "idle"
MARGIN = 20_000 * WAD
DAY = 86_400
WORTHLESS = Fraction(1, 10**6)
"""A price at which no lot of the scene is worth a hundredth of the smallest debt."""


def build_core_scenario_parameters() -> Parameters:
    """Return parameters with all guards and a margin market, and with little equity.

    The waterfall's stages so run out of funds.
    """
    with_margin = build_margin_parameters()
    return replace(
        build_guarded_parameters(),
        facilitators=with_margin.facilitators,
        margin=with_margin.margin,
        equity=EquityParameters(mint_cap=100),
        stages=replace_stage_caps(with_margin, "minted_equity", cap_bps=5_000).stages,
    )


def iter_core_scenario_moments(artifacts: Artifacts | None = None) -> Iterator[tuple[str, FaultScenario]]:
    """Play the core scenario on model and chain; yield the name and scenario of each moment.

    The moments are a small loss, a storm of losses, a sale of staked equity, and closed books. The scenario
    resumes from the state at which the caller leaves it.
    """
    it = FaultScenario(
        deploy_lockstep(
            RevmHost(), build_core_scenario_parameters(), artifacts=artifacts, check_every=0, traces=None
        )
    )
    prepare_feeds_and_vaults(it)
    _fund_pools_and_bidders(it)
    _cause_first_loss(it)
    _open_margin_positions(it)
    _cause_junior_pool_loss(it)
    yield LOSS, it
    _cause_gold_loss_beyond_all_stages(it)
    yield STORM, it
    it.run_call_or_raise("LossWaterfall.cover", XAU, by="coverer")
    yield SALE, it
    for action, _, wait in list_settlement_calls(it):
        it.advance_time(wait)
        if action.method != "cover_last" or it.read_view("VaultEngine.deficit_of", *action.args):
            it.run_action_or_raise(action)
    yield CLOSED, it


def build_order_fill_action(scenario: FaultScenario, lots: int) -> Action:
    """Return an action that fills two signed orders at the mark, of traders `long` and `short`.

    Trader `long` buys `lots` from `short`, or sells if `lots` is negative.
    """
    price = scenario.read_view("PerpetualMarket.mark_of", WETH)
    orders: list[object] = []
    for name, size in zip(TRADERS, (lots, -lots), strict=True):
        order = Order(get_trader_account(name), WETH, size, price, MAX_UINT256, scenario.both.steps, False)
        orders += order, sign_order(name, order, CHAIN_ID, scenario.get_address("MarginOrders"))
    return scenario.build_action("MarginOrders.fill", *orders, abs(lots), by="matcher")


def list_settlement_calls(scenario: FaultScenario) -> list[tuple[Action, bool, int]]:
    """Return the calls from the start of an announced settlement to closed books.

    Each comes with a flag for whether settlement needs it, and the seconds to wait before it. Final prices
    come at their deadline, because nobody reports while they are made.
    """
    snapshot = scenario.both.model.get_live_tables()
    lots = snapshot["CollateralAuction"]["lots"]
    on_sale = [auction_id for auction_id, lot in lots.items() if lot.target]
    calls = [scenario.build_action("Settlement.begin", by="settler")]
    calls += [
        scenario.build_action("CollateralAuction.unwind", auction_id, by="settler") for auction_id in on_sale
    ]
    for auction in ("StakeAuction", "MintAuction"):
        sales: Mapping[Any, Sale] = snapshot[auction]["sales"]
        calls += [
            scenario.build_action(f"{auction}.end", c, by="settler")
            for c, sale in sales.items()
            if sale.target
        ]
    types = range(scenario.read_view("VaultEngine.collateral_types"))
    calls += [scenario.build_action("Settlement.fix_price", c, by="settler") for c in types]
    vaults: Mapping[Any, Vault] = snapshot["VaultEngine"]["vaults"]
    indebted = {key for key, vault in vaults.items() if vault.normalized_debt}
    # Unwinding hands the debt back to where it came from.
    indebted |= {
        scenario.read_view("CollateralAuction.position_of", auction_id)[:2] for auction_id in on_sale
    }
    calls += [
        scenario.build_action("Settlement.skim", c, owner, by="settler") for c, owner in sorted(indebted)
    ]
    covers = [scenario.build_action("Settlement.cover_last", c, by="settler") for c in types]
    calls += [*covers, scenario.build_action("Settlement.fix_redemption_rates", by="settler")]
    # An auction of equity need not end, as long as settlement goes on without; nothing may be left to cover.
    steps = [(each, each.method not in ("end", "cover_last"), 0) for each in calls]
    first = next(i for i, each in enumerate(calls) if each.method == "fix_price")
    steps[first] = calls[first], True, FINAL_DEADLINE
    return steps


def prepare_feeds_and_vaults(scenario: FaultScenario) -> None:
    """Set up prices, an aggregator behind one reporter, vaults, and a year of accrued fees."""
    at = {
        name: compute_contract_address(get_account(f"deployer_of_{name}"), 0)
        for name in (AGGREGATOR, ADAPTER)
    }
    scenario.both.add_contract(Creation(AGGREGATOR, "ScriptedAggregator", (8,), at[AGGREGATOR]))
    bounds = 1, 10**15
    adapter = (
        scenario.get_address("PriceFeed"),
        WBTC,
        at[AGGREGATOR],
        MAX_REPORT_AGE,
        *bounds,
        "0x" + "00" * 20,
        0,
    )
    scenario.both.add_contract(Creation(ADAPTER, "ChainlinkReporter", adapter, at[ADAPTER]))
    feed = scenario.parameters.collateral_types[WBTC].feed
    listed = (*map(get_account, list_reporters(ADAPTED)), at[ADAPTER])
    times = feed.step, feed.max_age, feed.stale_after, feed.window
    scenario.run_call_or_raise("PriceFeed.set_market", WBTC, listed, feed.quorum, *times, by="admin")
    scenario.run_call_or_raise("Settlement.announce", by="admin")
    scenario.post_prices(WETH=2_000, WBTC=60_000, XAU=2_500, Equity=100)
    for symbol in ("WBTC", "XAU"):
        scenario.open_vault("fee_payer", symbol, 100_000, 200_000 * WAD)
    scenario.open_vault("maker", "WETH", 50_000, 1_000_000 * WAD)
    _accrue_year(scenario)


def _accrue_year(scenario: FaultScenario) -> None:
    """Advance a year and accrue fees, which fill the buffers and the reserve."""
    scenario.advance_time(365 * DAY)
    for c in (WETH, WBTC, XAU):
        scenario.run_call_or_raise("VaultEngine.accrue", c, by="accruer")
    scenario.post_prices()


def _fund_pools_and_bidders(scenario: FaultScenario) -> None:
    """Deposit into each pool, stake equity, and let token holders approve the auctions."""
    for who, amount in {"saver": 60_000, "bidder": 100_000, "rich": 100_000}.items():
        scenario.run_call_or_raise("Stablecoin.transfer", who, amount * WAD, by="maker")
    scenario.approve_given_contracts_without_limit("saver", *POOLS)
    scenario.approve_given_contracts_without_limit("bidder", "StakeAuction", "MintAuction")
    scenario.approve_given_contracts_without_limit("rich", "PerpetualMarket", "Savings", "Junior.Claims")
    for pool, amount in zip(POOLS, (20_000, 10_000, 20_000), strict=True):
        scenario.run_call_or_raise(f"{pool}.deposit", amount * WAD, "saver", by="saver")
    scenario.run_call_or_raise("Equity.transfer", "saver", 200 * WAD, by="admin")
    scenario.approve_given_contracts_without_limit("saver", "StakedEquity", token=EQUITY)
    scenario.run_call_or_raise("StakedEquity.deposit", 200 * WAD, "saver", by="saver")


def _cause_first_loss(scenario: FaultScenario) -> None:
    """Cause a loss for pool Junior, so that its member has recovery claims with some cash."""
    scenario.open_vault("first", "XAU", 20_000, 10_000 * WAD)
    _cause_loss(scenario, {"XAU": "first"})
    scenario.run_call_or_raise("LossWaterfall.cover", XAU, by="coverer")
    scenario.run_call_or_raise("Junior.Claims.repay", 500 * WAD, by="rich")
    scenario.run_call_or_raise("Junior.collect_claims", "saver", by="saver")
    _accrue_year(scenario)


def _open_margin_positions(scenario: FaultScenario) -> None:
    """Open a margin position between two traders, and close exit batches with a saver's requests."""
    for name in (*TRADERS, IDLE):
        scenario.run_call_or_raise("PerpetualMarket.deposit", get_trader_account(name), MARGIN, by="rich")
    scenario.run_call_or_raise("PerpetualMarket.accrue", WETH, by="marker")
    scenario.run_action_or_raise(build_order_fill_action(scenario, 100))
    for pool in (*POOLS, "StakedEquity"):
        saver = get_account("saver")
        scenario.run_call_or_raise(
            f"{pool}.requestRedeem",
            scenario.read_view(f"{pool}.balanceOf", saver) // 2,
            saver,
            saver,
            by="saver",
        )
    scenario.advance_time(DAY)
    for pool in (*POOLS, "StakedEquity"):
        scenario.run_call_or_raise(f"{pool}.cut", by="crank")
    scenario.advance_time(DAY)
    scenario.post_prices()
    scenario.run_call_or_raise("Savings.add_income", 1_000 * WAD, by="rich")


def _cause_junior_pool_loss(scenario: FaultScenario) -> None:
    """Cause a bitcoin loss that reaches pool Junior, and open the large gold vault of the next moment."""
    scenario.open_vault("small", "WBTC", 20_000, 8_000 * WAD)
    scenario.open_vault("large", "XAU", 20_000, 100_000 * WAD)
    _cause_loss(scenario, {"WBTC": "small"})


def _cause_gold_loss_beyond_all_stages(scenario: FaultScenario) -> None:
    """Cause a gold loss beyond all stages, with unsafe vaults of two types and running auctions."""
    _cause_loss(scenario, {"XAU": "large"})
    for symbol in ("WETH", "WBTC"):
        scenario.open_vault("unsafe", symbol, 16_000, 10_000 * WAD)
        scenario.open_vault("careful", symbol, 40_000, 10_000 * WAD)
        scenario.open_vault("sold", symbol, 16_000, 10_000 * WAD)
    for symbol, c in (("WETH", WETH), ("WBTC", WBTC)):
        scenario.open_vault("debtless", symbol, 40_000, 2_000 * WAD)
        scenario.run_call_or_raise(
            "VaultEngine.repay_and_withdraw", c, "debtless", MAX_UINT256, 0, "debtless", by="maker"
        )
        decimals = scenario.parameters.collateral_types[c].decimals
        scenario.run_call_or_raise(f"{symbol}.mint", "careful", 10**decimals, by="careful")
    scenario.post_prices(WETH=1_700, WBTC=51_000)
    scenario.run_call_or_raise("PerpetualMarket.accrue", WETH, by="marker")
    for c in (WETH, WBTC):
        scenario.run_call_or_raise("LiquidationEngine.liquidate", c, "sold", "liquidator", by="liquidator")


def _cause_loss(scenario: FaultScenario, owner_by_symbol: dict[str, str]) -> None:
    """Let prices collapse, liquidate the named vaults, close their auctions, and restore the prices."""
    prices = dict(scenario.prices)
    scenario.post_prices(**{symbol: WORTHLESS for symbol in owner_by_symbol})
    ids = [
        scenario.run_call_or_raise(
            "LiquidationEngine.liquidate", scenario.markets[symbol], who, "liquidator", by="liquidator"
        )
        for symbol, who in owner_by_symbol.items()
    ]
    tail = max(each.auction.tail for each in scenario.parameters.collateral_types)
    for _ in range(tail // 7_200 + 1):
        scenario.post_prices()
    for auction_id in ids:
        scenario.run_call_or_raise("CollateralAuction.close", auction_id, by="crank")
    scenario.post_prices(**prices)
