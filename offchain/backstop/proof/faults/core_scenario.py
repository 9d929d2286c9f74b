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

from backstop.deployment.deployment_parameters import EquityParameters, Parameters, replace_stage
from backstop.deployment.deployment_plan import Creation
from backstop.deployment.devnet_signing import get_trader_account, sign_order
from backstop.deployment.example_parameters import build_guarded_parameters, build_margin_parameters
from backstop.deployment.role_accounts import compute_contract_address, get_account
from backstop.hosts.artifacts import Artifacts
from backstop.hosts.host_interface import CHAIN_ID
from backstop.hosts.revm import RevmHost
from backstop.model.arithmetic import MAX_UINT256, WAD
from backstop.model.bounds import FINAL_DEADLINE, MAX_REPORT_AGE
from backstop.model.equity_auction import Sale
from backstop.model.interfaces import Vault
from backstop.model.margin_orders import Order
from backstop.proof.faults.fault_scenario import (
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


def build_parameters() -> Parameters:
    """Return the parameters: every guard, the margin market, and little equity, so that stages run dry."""
    with_margin = build_margin_parameters()
    return replace(
        build_guarded_parameters(),
        facilitators=with_margin.facilitators,
        margin=with_margin.margin,
        equity=EquityParameters(mint_cap=100),
        stages=replace_stage(with_margin, "minted_equity", cap_bps=5_000).stages,
    )


def play_core_scenario(artifacts: Artifacts | None = None) -> Iterator[tuple[str, FaultScenario]]:
    """Play the scene on the model and on revm; stop at each moment, and go on from what is found then."""
    it = FaultScenario(
        deploy_lockstep(RevmHost(), build_parameters(), artifacts=artifacts, check_every=0, traces=None)
    )
    open_feeds(it)
    _fund_savers(it)
    _cause_first_loss(it)
    _open_margin_positions(it)
    _cause_small_loss(it)
    yield LOSS, it
    _cause_large_loss(it)
    yield STORM, it
    it.run_call("LossWaterfall.cover", XAU, by="coverer")
    yield SALE, it
    for action, _, wait in list_settlement_calls(it):
        it.advance_time(wait)
        if action.method != "cover_last" or it.read_view("VaultEngine.deficit_of", *action.args):
            it.run_action(action)
    yield CLOSED, it


def fill_orders(it: FaultScenario, lots: int) -> Action:
    """Return the match of two signed orders: `long` buys so many lots of `short`, or sells them under 0."""
    price = it.read_view("PerpetualMarket.mark_of", WETH)
    orders: list[object] = []
    for name, size in zip(TRADERS, (lots, -lots), strict=True):
        order = Order(get_trader_account(name), WETH, size, price, MAX_UINT256, it.both.steps, False)
        orders += order, sign_order(name, order, CHAIN_ID, it.get_address("MarginOrders"))
    return it.build_action("MarginOrders.fill", *orders, abs(lots), by="matcher")


def list_settlement_calls(it: FaultScenario) -> list[tuple[Action, bool, int]]:
    """Return the calls of a settlement that was announced, from its beginning until the books are closed.

    With each, whether settlement needs it, and how many seconds pass before: nobody reports while final
    prices are made, and they come at their deadline.
    """
    snapshot = it.both.model.get_live_tables()
    lots = snapshot["CollateralAuction"]["lots"]
    on_sale = [auction_id for auction_id, lot in lots.items() if lot.target]
    calls = [it.build_action("Settlement.begin", by="settler")]
    calls += [it.build_action("CollateralAuction.unwind", auction_id, by="settler") for auction_id in on_sale]
    for auction in ("StakeAuction", "MintAuction"):
        sales: Mapping[Any, Sale] = snapshot[auction]["sales"]
        calls += [
            it.build_action(f"{auction}.end", c, by="settler") for c, sale in sales.items() if sale.target
        ]
    types = range(it.read_view("VaultEngine.collateral_types"))
    calls += [it.build_action("Settlement.fix_price", c, by="settler") for c in types]
    vaults: Mapping[Any, Vault] = snapshot["VaultEngine"]["vaults"]
    indebted = {key for key, vault in vaults.items() if vault.normalized_debt}
    # Unwinding hands the debt back to where it came from.
    indebted |= {it.read_view("CollateralAuction.position_of", auction_id)[:2] for auction_id in on_sale}
    calls += [it.build_action("Settlement.skim", c, owner, by="settler") for c, owner in sorted(indebted)]
    covers = [it.build_action("Settlement.cover_last", c, by="settler") for c in types]
    calls += [*covers, it.build_action("Settlement.fix_redemption_rates", by="settler")]
    # An auction of equity need not end, as long as settlement goes on without; nothing may be left to cover.
    steps = [(each, each.method not in ("end", "cover_last"), 0) for each in calls]
    first = next(i for i, each in enumerate(calls) if each.method == "fix_price")
    steps[first] = calls[first], True, FINAL_DEADLINE
    return steps


def open_feeds(it: FaultScenario) -> None:
    """Have prices, an aggregator behind one reporter, coins, and a year of fees in buffers and reserve."""
    at = {
        name: compute_contract_address(get_account(f"deployer_of_{name}"), 0)
        for name in (AGGREGATOR, ADAPTER)
    }
    it.both.add_contract(Creation(AGGREGATOR, "ScriptedAggregator", (8,), at[AGGREGATOR]))
    bounds = 1, 10**15
    adapter = it.get_address("PriceFeed"), WBTC, at[AGGREGATOR], MAX_REPORT_AGE, *bounds, "0x" + "00" * 20, 0
    it.both.add_contract(Creation(ADAPTER, "ChainlinkReporter", adapter, at[ADAPTER]))
    feed = it.parameters.collateral_types[WBTC].feed
    listed = (*map(get_account, list_reporters(ADAPTED)), at[ADAPTER])
    times = feed.step, feed.max_age, feed.stale_after, feed.window
    it.run_call("PriceFeed.set_market", WBTC, listed, feed.quorum, *times, by="admin")
    it.run_call("Settlement.announce", by="admin")
    it.post_prices(WETH=2_000, WBTC=60_000, XAU=2_500, Equity=100)
    for symbol in ("WBTC", "XAU"):
        it.open_vault("fee_payer", symbol, 100_000, 200_000 * WAD)
    it.open_vault("maker", "WETH", 50_000, 1_000_000 * WAD)
    _accrue_year(it)


def _accrue_year(it: FaultScenario) -> None:
    """Have fees in buffers and reserve."""
    it.advance_time(365 * DAY)
    for c in (WETH, WBTC, XAU):
        it.run_call("VaultEngine.accrue", c, by="accruer")
    it.post_prices()


def _fund_savers(it: FaultScenario) -> None:
    """Have members in each pool, a stake, and holders of coins who let every auction spend them."""
    for who, amount in {"saver": 60_000, "bidder": 100_000, "rich": 100_000}.items():
        it.run_call("Stablecoin.transfer", who, amount * WAD, by="maker")
    it.approve_contracts("saver", *POOLS)
    it.approve_contracts("bidder", "StakeAuction", "MintAuction")
    it.approve_contracts("rich", "PerpetualMarket", "Savings", "Junior.Claims")
    for pool, amount in zip(POOLS, (20_000, 10_000, 20_000), strict=True):
        it.run_call(f"{pool}.deposit", amount * WAD, "saver", by="saver")
    it.run_call("Equity.transfer", "saver", 200 * WAD, by="admin")
    it.approve_contracts("saver", "StakedEquity", token=EQUITY)
    it.run_call("StakedEquity.deposit", 200 * WAD, "saver", by="saver")


def _cause_first_loss(it: FaultScenario) -> None:
    """Have Junior's members get claims for a loss, and the claims some cash."""
    it.open_vault("first", "XAU", 20_000, 10_000 * WAD)
    _cause_loss(it, {"XAU": "first"})
    it.run_call("LossWaterfall.cover", XAU, by="coverer")
    it.run_call("Junior.Claims.repay", 500 * WAD, by="rich")
    it.run_call("Junior.collect_claims", "saver", by="saver")
    _accrue_year(it)


def _open_margin_positions(it: FaultScenario) -> None:
    """Have two traders with a position, and money in their accounts; then savers who may leave."""
    for name in (*TRADERS, IDLE):
        it.run_call("PerpetualMarket.deposit", get_trader_account(name), MARGIN, by="rich")
    it.run_call("PerpetualMarket.accrue", WETH, by="marker")
    it.run_action(fill_orders(it, 100))
    for pool in (*POOLS, "StakedEquity"):
        saver = get_account("saver")
        it.run_call(
            f"{pool}.requestRedeem", it.read_view(f"{pool}.balanceOf", saver) // 2, saver, saver, by="saver"
        )
    it.advance_time(DAY)
    for pool in (*POOLS, "StakedEquity"):
        it.run_call(f"{pool}.cut", by="crank")
    it.advance_time(DAY)
    it.post_prices()
    it.run_call("Savings.add_income", 1_000 * WAD, by="rich")


def _cause_small_loss(it: FaultScenario) -> None:
    """Have a loss of bitcoin that reaches Junior, and one of gold that is still on sale."""
    it.open_vault("small", "WBTC", 20_000, 8_000 * WAD)
    it.open_vault("large", "XAU", 20_000, 100_000 * WAD)
    _cause_loss(it, {"WBTC": "small"})


def _cause_large_loss(it: FaultScenario) -> None:
    """Have a loss of gold beyond all stages, unsafe vaults of two types, and an auction that runs."""
    _cause_loss(it, {"XAU": "large"})
    for symbol in ("WETH", "WBTC"):
        it.open_vault("unsafe", symbol, 16_000, 10_000 * WAD)
        it.open_vault("careful", symbol, 40_000, 10_000 * WAD)
        it.open_vault("sold", symbol, 16_000, 10_000 * WAD)
    for symbol, c in (("WETH", WETH), ("WBTC", WBTC)):
        it.open_vault("debtless", symbol, 40_000, 2_000 * WAD)
        it.run_call("VaultEngine.repay_and_withdraw", c, "debtless", MAX_UINT256, 0, "debtless", by="maker")
        decimals = it.parameters.collateral_types[c].decimals
        it.run_call(f"{symbol}.mint", "careful", 10**decimals, by="careful")
    it.post_prices(WETH=1_700, WBTC=51_000)
    it.run_call("PerpetualMarket.accrue", WETH, by="marker")
    for c in (WETH, WBTC):
        it.run_call("LiquidationEngine.liquidate", c, "sold", "liquidator", by="liquidator")


def _cause_loss(it: FaultScenario, owners: dict[str, str]) -> None:
    """Have a type's price collapse until the vault's auction can be closed; then the price is back."""
    prices = dict(it.prices)
    it.post_prices(**{symbol: WORTHLESS for symbol in owners})
    ids = [
        it.run_call("LiquidationEngine.liquidate", it.markets[symbol], who, "liquidator", by="liquidator")
        for symbol, who in owners.items()
    ]
    tail = max(each.auction.tail for each in it.parameters.collateral_types)
    for _ in range(tail // 7_200 + 1):
        it.post_prices()
    for auction_id in ids:
        it.run_call("CollateralAuction.close", auction_id, by="crank")
    it.post_prices(**prices)
