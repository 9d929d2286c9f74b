"""The opening of each run: adversarial contracts beside the protocol, funds for all accounts, prices."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from backstop.contract_base import ZERO_ADDRESS
from backstop.deployment.contracts_by_parameter_name import STABLECOIN_POOLS, name_stability_pool
from backstop.deployment.planned_contracts import Deployment
from backstop.deployment.role_accounts import get_account
from backstop.evm_crypto import keccak256
from backstop.hosts.account_addresses import compute_contract_address
from backstop.hosts.contract_creation import Creation
from backstop.model import bounds
from backstop.model.arithmetic import MAX_UINT256, WAD
from backstop.model.roles import CEILINGS
from backstop.proof.fuzz.generation_context import PEOPLE
from backstop.proof.fuzz.parameter_generator import ODD_COOLDOWN, draw_price
from backstop.system import Action

# Types beyond the first few are only listed.
FUNDED_TYPES = 4
# Contracts that pull somebody's stablecoin, where they are deployed; and equity.
PULLS = (
    *STABLECOIN_POOLS,
    *(f"{pool}.Claims" for pool in STABLECOIN_POOLS),
    "PerpetualMarket",
    "PerpetualLiquidityVault",
    "MarginFund",
)
PULLS_AT_AUCTION = ("StakeAuction", "MintAuction")
PULLS_EQUITY = ("StakedEquity", "SurplusAuction")
EQUITY_MARKET = "Market.Equity"
# A Chainlink aggregator for one of the markets, and the adapter that reports it.
AGGREGATOR, SEQUENCER, ADAPTER = "Aggregator", "Sequencer", "Chainlink"
ADAPTED, HEARTBEAT, SEQUENCER_GRACE = 0, 3_600, 600
# Its bounds, with 8 decimals.
ANSWERS = 10**6, 10**15
RICHES = 10**9
# A timelock that may set ceilings, for which an hour is enough.
TIMELOCK = "SpareTimelock"
SET_CEILING = keccak256(b"set_debt_ceiling(uint256,uint256)")[:4]


def iter_adversarial_contract_creations(deployment: Deployment) -> Iterator[Creation]:
    """Yield the deployments of test contracts that each fuzz run adds to the protocol.

    They are misbehaving tokens, a pool of one of these tokens, price aggregators with an adapter, a market of
    the equity token, a second waterfall with a stage, and a second timelock.
    """
    at = {}

    def creation(kind: str, name: str, *args: object) -> Creation:
        at[name] = compute_contract_address(get_account(f"deployer_of_{name}"), 0)
        return Creation(name, kind, args, at[name])

    yield creation("ReturnsFalseToken", "Odd", "Odd", "ODD", 18)
    yield creation("FeeOnTransferToken", "Fee", "Fee", "FEE", 18)
    yield creation("Token", "Plain", "Plain", "PLAIN", 18)
    yield creation("Token", "Fine", "Fine", "FINE", 19)
    own = deployment.addresses
    yield creation("ScriptedAggregator", AGGREGATOR, 8)
    yield creation("ScriptedAggregator", SEQUENCER, 0)
    yield creation(
        "ChainlinkReporter",
        ADAPTER,
        own["PriceFeed"],
        ADAPTED,
        at[AGGREGATOR],
        HEARTBEAT,
        *ANSWERS,
        at[SEQUENCER],
        SEQUENCER_GRACE,
    )
    wiring = at["Odd"], own["VaultEngine"], own["LossWaterfall"], ZERO_ADDRESS, ZERO_ADDRESS
    yield creation("Pool", "OddPool", "Odd Pool", "pODD", *wiring, ODD_COOLDOWN, 3_600)
    parts = own["VaultEngine"], own["LiquidationEngine"], deployment.get_account("admin")
    if "Equity" in own:
        maker = deployment.get_account("market_maker")
        yield creation(
            "ConstantProductMarket", EQUITY_MARKET, own["Equity"], 18, own["Stablecoin"], 30, maker
        )
        taker = deployment.get_account("taker")
        yield creation("EquityTaker", "EquityTaker", taker, own["Equity"], own["Stablecoin"])
    yield creation("LossWaterfall", "SpareWaterfall", *parts, 3_600, 86_400)
    yield creation("ScriptedStage", "SpareStage", at["SpareWaterfall"])
    yield creation(
        "Timelock",
        TIMELOCK,
        own["VaultEngine"],
        deployment.get_account("admin"),
        deployment.get_account("guardian"),
        bounds.MIN_LONGEST_DELAY,
        bounds.MAX_EXECUTION_WINDOW,
        ((own["VaultEngine"], SET_CEILING, bounds.MIN_DELAY),),
    )


def iter_funding_actions(deployment: Deployment, random: Random) -> Iterator[Action]:
    """Yield the actions that mint tokens for all accounts, approve the contracts, and set first prices."""
    at = {
        **deployment.addresses,
        **{each.name: each.address for each in iter_adversarial_contract_creations(deployment)},
    }
    types = list(enumerate(deployment.parameters.collateral_types))[:FUNDED_TYPES]
    admin, maker = deployment.get_account("admin"), deployment.get_account("market_maker")
    for role in PEOPLE:
        who = get_account(role)
        for _, collateral in types:
            yield Action(collateral.symbol, "mint", (who, RICHES * 10**collateral.decimals), who)
            yield Action(collateral.symbol, "approve", (at["VaultEngine"], MAX_UINT256), who)
            yield Action(collateral.symbol, "approve", (at[f"Market.{collateral.symbol}"], MAX_UINT256), who)
            yield Action("Stablecoin", "approve", (at[f"Market.{collateral.symbol}"], MAX_UINT256), who)
        facilitators = (facilitator.name for facilitator in deployment.parameters.facilitators)
        stability_pools = (name_stability_pool(collateral.symbol) for _, collateral in types)
        for name in (*PULLS, *PULLS_AT_AUCTION, EQUITY_MARKET, *facilitators, *stability_pools):
            if name in at:
                yield Action("Stablecoin", "approve", (at[name], MAX_UINT256), who)
        for name in (*PULLS_EQUITY, EQUITY_MARKET):
            if name in at and "Equity" in at:
                yield Action("Equity", "approve", (at[name], MAX_UINT256), who)
        yield Action("Odd", "mint", (who, RICHES * WAD), who)
        yield Action("Odd", "approve", (at["OddPool"], MAX_UINT256), who)
    for name in ("Fee", "Plain", "Fine", "Odd"):
        yield Action(name, "mint", (admin, 100 * 10**19), admin)
        yield Action(name, "approve", (at["VaultEngine"], MAX_UINT256), admin)
    yield Action("Fee", "approve", (admin, MAX_UINT256), admin)
    yield Action("VaultEngine", "grant_role", (CEILINGS, at[TIMELOCK]), admin)
    for _, collateral in types:
        market = at[f"Market.{collateral.symbol}"]
        yield Action(collateral.symbol, "mint", (maker, RICHES * 10**collateral.decimals), maker)
        yield Action(collateral.symbol, "approve", (market, MAX_UINT256), maker)
        yield Action("Stablecoin", "approve", (market, MAX_UINT256), maker)
    markets = [(c, collateral.feed) for c, collateral in types]
    equity = deployment.parameters.equity
    if equity is not None:
        # What the admin keeps is worth as much as anybody's.
        share = equity.supply * WAD // (len(PEOPLE) + 2)
        for who in (*map(get_account, PEOPLE), maker):
            yield Action("Equity", "transfer", (who, share), admin)
        yield Action("Equity", "approve", (at[EQUITY_MARKET], MAX_UINT256), maker)
        yield Action("Stablecoin", "approve", (at[EQUITY_MARKET], MAX_UINT256), maker)
        markets.append((bounds.EQUITY_MARKET, equity.feed))
    yield Action(SEQUENCER, "set_answer", (1, 0, 1, 1, 1), get_account("poker"))
    for c, feed in markets:
        reporters = [deployment.get_account(f"reporter_{i + 1}") for i in range(feed.reporters)]
        if c == ADAPTED:
            reporters = truncate_reporters_to_odd_count(reporters)
            times = feed.step, feed.max_age, feed.stale_after, feed.window
            listed = (*reporters, at[ADAPTER])
            yield Action("PriceFeed", "set_market", (c, listed, feed.quorum, *times), admin)
        price = draw_price(random)
        for reporter in reporters:
            yield Action("PriceFeed", "report", (c, price), reporter)
        yield Action("PriceFeed", "poke", (c,), deployment.get_account("poker"))


def truncate_reporters_to_odd_count(all_reporters: list[str]) -> list[str]:
    """Return the first reporters, an odd number of them, so that an adapter makes their number even.

    With an even number of reporters, one may be silent.
    """
    return all_reporters[: (len(all_reporters) - 1) | 1]
