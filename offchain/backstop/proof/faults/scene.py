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
from backstop.proof.faults.play import ADAPTED, ADAPTER, AGGREGATOR, EQUITY, Play, reporters_of
from backstop.proof.lockstep import lockstep
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


def parameters() -> Parameters:
    """Return the parameters: every guard, the margin market, and little equity, so that stages run dry."""
    with_margin = build_margin_parameters()
    return replace(
        build_guarded_parameters(),
        domains=with_margin.domains,
        margin=with_margin.margin,
        equity=EquityParameters(mint_cap=100),
        stages=replace_stage(with_margin, "minted_equity", cap_bps=5_000).stages,
    )


def play(artifacts: Artifacts | None = None) -> Iterator[tuple[str, Play]]:
    """Play the scene on the model and on revm; stop at each moment, and go on from what is found then."""
    it = Play(lockstep(RevmHost(), parameters(), artifacts=artifacts, check_every=0, traces=None))
    open_feeds(it)
    _savers(it)
    _first_loss(it)
    _margin(it)
    _small_loss(it)
    yield LOSS, it
    _storm(it)
    yield STORM, it
    it.do("LossWaterfall.cover", XAU, by="coverer")
    yield SALE, it
    for action, _, wait in settlement(it):
        it.wait(wait)
        if action.method != "cover_last" or it.read("VaultEngine.deficit_of", *action.args):
            it.run(action)
    yield CLOSED, it


def fill(it: Play, lots: int) -> Action:
    """Return the match of two signed orders: `long` buys so many lots of `short`, or sells them under 0."""
    price = it.read("PerpetualMarket.mark_of", WETH)
    orders: list[object] = []
    for name, size in zip(TRADERS, (lots, -lots), strict=True):
        order = Order(get_trader_account(name), WETH, size, price, MAX_UINT256, it.both.steps, False)
        orders += order, sign_order(name, order, CHAIN_ID, it.at("MarginOrders"))
    return it.action("MarginOrders.fill", *orders, abs(lots), by="matcher")


def settlement(it: Play) -> list[tuple[Action, bool, int]]:
    """Return the calls of a settlement that was announced, from its beginning until the books are closed.

    With each, whether settlement needs it, and how many seconds pass before: nobody reports while final
    prices are made, and they come at their deadline.
    """
    snapshot = it.both.model.get_live_tables()
    lots = snapshot["CollateralAuction"]["lots"]
    on_sale = [id for id, lot in lots.items() if lot.target]
    calls = [it.action("Settlement.begin", by="settler")]
    calls += [it.action("CollateralAuction.unwind", id, by="settler") for id in on_sale]
    for auction in ("StakeAuction", "MintAuction"):
        sales: Mapping[Any, Sale] = snapshot[auction]["sales"]
        calls += [it.action(f"{auction}.end", c, by="settler") for c, sale in sales.items() if sale.target]
    types = range(it.read("VaultEngine.collateral_types"))
    calls += [it.action("Settlement.fix_price", c, by="settler") for c in types]
    vaults: Mapping[Any, Vault] = snapshot["VaultEngine"]["vaults"]
    indebted = {key for key, vault in vaults.items() if vault.normalized_debt}
    # Unwinding hands the debt back to where it came from.
    indebted |= {it.read("CollateralAuction.position_of", id)[:2] for id in on_sale}
    calls += [it.action("Settlement.skim", c, owner, by="settler") for c, owner in sorted(indebted)]
    covers = [it.action("Settlement.cover_last", c, by="settler") for c in types]
    calls += [*covers, it.action("Settlement.fix", by="settler")]
    # An auction of equity need not end, as long as settlement goes on without; nothing may be left to cover.
    steps = [(each, each.method not in ("end", "cover_last"), 0) for each in calls]
    first = next(i for i, each in enumerate(calls) if each.method == "fix_price")
    steps[first] = calls[first], True, FINAL_DEADLINE
    return steps


def open_feeds(it: Play) -> None:
    """Have prices, an aggregator behind one reporter, coins, and a year of fees in buffers and reserve."""
    at = {
        name: compute_contract_address(get_account(f"deployer_of_{name}"), 0)
        for name in (AGGREGATOR, ADAPTER)
    }
    it.both.add(Creation(AGGREGATOR, "ScriptedAggregator", (8,), at[AGGREGATOR]))
    bounds = 1, 10**15
    adapter = it.at("PriceFeed"), WBTC, at[AGGREGATOR], MAX_REPORT_AGE, *bounds, "0x" + "00" * 20, 0
    it.both.add(Creation(ADAPTER, "ChainlinkReporter", adapter, at[ADAPTER]))
    feed = it.parameters.collateral_types[WBTC].feed
    listed = (*map(get_account, reporters_of(ADAPTED)), at[ADAPTER])
    times = feed.step, feed.max_age, feed.stale_after, feed.window
    it.do("PriceFeed.set_market", WBTC, listed, feed.quorum, *times, by="admin")
    it.do("Settlement.announce", by="admin")
    it.post(WETH=2_000, WBTC=60_000, XAU=2_500, Equity=100)
    for symbol in ("WBTC", "XAU"):
        it.open("fee_payer", symbol, 100_000, 200_000 * WAD)
    it.open("maker", "WETH", 50_000, 1_000_000 * WAD)
    _year(it)


def _year(it: Play) -> None:
    """Have fees in buffers and reserve."""
    it.wait(365 * DAY)
    for c in (WETH, WBTC, XAU):
        it.do("VaultEngine.accrue", c, by="accruer")
    it.post()


def _savers(it: Play) -> None:
    """Have members in each pool, a stake, and holders of coins who let every auction spend them."""
    for who, amount in {"saver": 60_000, "bidder": 100_000, "rich": 100_000}.items():
        it.do("Stablecoin.transfer", who, amount * WAD, by="maker")
    it.allow("saver", *POOLS)
    it.allow("bidder", "StakeAuction", "MintAuction")
    it.allow("rich", "PerpetualMarket", "Savings", "Junior.Claims")
    for pool, amount in zip(POOLS, (20_000, 10_000, 20_000), strict=True):
        it.do(f"{pool}.deposit", amount * WAD, "saver", by="saver")
    it.do("Equity.transfer", "saver", 200 * WAD, by="admin")
    it.allow("saver", "StakedEquity", token=EQUITY)
    it.do("StakedEquity.deposit", 200 * WAD, "saver", by="saver")


def _first_loss(it: Play) -> None:
    """Have Junior's members get claims for a loss, and the claims some cash."""
    it.open("first", "XAU", 20_000, 10_000 * WAD)
    _lose(it, {"XAU": "first"})
    it.do("LossWaterfall.cover", XAU, by="coverer")
    it.do("Junior.Claims.repay", 500 * WAD, by="rich")
    it.do("Junior.collect_claims", "saver", by="saver")
    _year(it)


def _margin(it: Play) -> None:
    """Have two traders with a position, and money in their accounts; then savers who may leave."""
    for name in (*TRADERS, IDLE):
        it.do("PerpetualMarket.deposit", get_trader_account(name), MARGIN, by="rich")
    it.do("PerpetualMarket.accrue", WETH, by="marker")
    it.run(fill(it, 100))
    for pool in (*POOLS, "StakedEquity"):
        saver = get_account("saver")
        it.do(f"{pool}.requestRedeem", it.read(f"{pool}.balanceOf", saver) // 2, saver, saver, by="saver")
    it.wait(DAY)
    for pool in (*POOLS, "StakedEquity"):
        it.do(f"{pool}.cut", by="crank")
    it.wait(DAY)
    it.post()
    it.do("Savings.add_income", 1_000 * WAD, by="rich")


def _small_loss(it: Play) -> None:
    """Have a loss of bitcoin that reaches Junior, and one of gold that is still on sale."""
    it.open("small", "WBTC", 20_000, 8_000 * WAD)
    it.open("large", "XAU", 20_000, 100_000 * WAD)
    _lose(it, {"WBTC": "small"})


def _storm(it: Play) -> None:
    """Have a loss of gold beyond all stages, unsafe vaults of two types, and an auction that runs."""
    _lose(it, {"XAU": "large"})
    for symbol in ("WETH", "WBTC"):
        it.open("unsafe", symbol, 16_000, 10_000 * WAD)
        it.open("careful", symbol, 40_000, 10_000 * WAD)
        it.open("sold", symbol, 16_000, 10_000 * WAD)
    for symbol, c in (("WETH", WETH), ("WBTC", WBTC)):
        it.open("debtless", symbol, 40_000, 2_000 * WAD)
        it.do("VaultEngine.repay_and_withdraw", c, "debtless", MAX_UINT256, 0, "debtless", by="maker")
        decimals = it.parameters.collateral_types[c].decimals
        it.do(f"{symbol}.mint", "careful", 10**decimals, by="careful")
    it.post(WETH=1_700, WBTC=51_000)
    it.do("PerpetualMarket.accrue", WETH, by="marker")
    for c in (WETH, WBTC):
        it.do("LiquidationEngine.liquidate", c, "sold", "liquidator", by="liquidator")


def _lose(it: Play, owners: dict[str, str]) -> None:
    """Have a type's price collapse until the vault's auction can be closed; then the price is back."""
    prices = dict(it.prices)
    it.post(**{symbol: WORTHLESS for symbol in owners})
    ids = [
        it.do("LiquidationEngine.liquidate", it.markets[symbol], who, "liquidator", by="liquidator")
        for symbol, who in owners.items()
    ]
    tail = max(each.auction.tail for each in it.parameters.collateral_types)
    for _ in range(tail // 7_200 + 1):
        it.post()
    for id in ids:
        it.do("CollateralAuction.close", id, by="crank")
    it.post(**prices)
