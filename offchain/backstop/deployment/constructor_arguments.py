"""The arguments of every constructor, in the order of the Vyper files."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from backstop.contract_base import ZERO_ADDRESS
from backstop.deployment.contracts_by_parameter_name import (
    BACKSTOP,
    POOLS,
    list_facilitators_with_type_ids,
    list_pools,
    map_stability_pool_shares,
    name_stability_pool,
)
from backstop.deployment.parameter_dataclasses import MarginParameters, Parameters
from backstop.evm_crypto import keccak256
from backstop.model.arithmetic import WAD
from backstop.model.ledger_stage import BUFFER, REDISTRIBUTION, RESERVE

CANCEL_LOSS = keccak256(b"cancel_loss()")[:4]


def build_constructor_arguments(
    parameters: Parameters, at: Mapping[str, str], admin: str, taker: str, market_maker: str
) -> dict[str, tuple[Any, ...]]:
    """Return the constructor arguments of each contract; `at` maps contract names to addresses."""
    args: dict[str, tuple[Any, ...]] = {
        "Stablecoin": ("Backstop Dollar", "BSD", at["VaultEngine"]),
        "VaultEngine": (
            at["Stablecoin"],
            at["PriceFeed"],
            at["LiquidationEngine"],
            at["CollateralAuction"],
            at["LossWaterfall"],
            at.get("Treasury", ZERO_ADDRESS),
            at["Settlement"],
            at.get("RiskPolicy", ZERO_ADDRESS),
            admin,
        ),
        "PriceFeed": (admin,),
        "LiquidationEngine": (
            at["VaultEngine"],
            at["PriceFeed"],
            at["CollateralAuction"],
            at.get("RiskPolicy", ZERO_ADDRESS),
            at.get("Workouts", ZERO_ADDRESS),
        ),
        "RiskPolicy": (
            at["VaultEngine"],
            at["PriceFeed"],
            at.get("CircuitBreaker", ZERO_ADDRESS),
            admin,
        ),
        "CollateralAuction": (
            at["VaultEngine"],
            at["PriceFeed"],
            at["LiquidationEngine"],
            at["Stablecoin"],
            at.get("Workouts", ZERO_ADDRESS),
            admin,
            parameters.block_time,
        ),
        "LossWaterfall": (
            at["VaultEngine"],
            at["LiquidationEngine"],
            admin,
            parameters.epoch_length,
            parameters.cap_delay,
        ),
        "Settlement": (
            at["VaultEngine"],
            at["PriceFeed"],
            at["CollateralAuction"],
            at["LossWaterfall"],
            admin,
            *dataclasses.astuple(parameters.settlement),
        ),
        "ScriptedStage": (at["LossWaterfall"],),
        "BufferStage": (at["VaultEngine"], at["LossWaterfall"], BUFFER),
        "ReserveStage": (at["VaultEngine"], at["LossWaterfall"], RESERVE),
        "ClawbackStage": (
            at["VaultEngine"],
            at["LossWaterfall"],
            tuple(at[POOLS[name][0]] for name in list_pools(parameters)),
        ),
        "RedistributionStage": (at["VaultEngine"], at["LossWaterfall"], REDISTRIBUTION),
        "FlashTaker": (taker, at["CollateralAuction"], at["Stablecoin"]),
        "AutoCeiling": (at["VaultEngine"], admin),
        "FixedDiscount": (at["VaultEngine"], admin),
        "CircuitBreaker": (at["VaultEngine"], at["PriceFeed"], admin),
        "Workouts": (
            at["VaultEngine"],
            at["PriceFeed"],
            at["LiquidationEngine"],
            at["CollateralAuction"],
            admin,
        ),
    }
    for name in list_pools(parameters):
        pool, (contract, title, symbol) = getattr(parameters, name), POOLS[name]
        args[contract] = (
            title,
            symbol,
            at["Stablecoin"],
            at["VaultEngine"],
            at["LossWaterfall"],
            at.get("ClawbackStage", ZERO_ADDRESS),
            at.get(f"{contract}.Claims", ZERO_ADDRESS),
            pool.cooldown,
            pool.vesting,
        )
    if parameters.equity is not None:
        args |= _build_equity_arguments(parameters, at, admin)
    for collateral in parameters.collateral_types:
        args[collateral.symbol] = (collateral.symbol, collateral.symbol, collateral.decimals)
        if collateral.market is not None:
            args[f"Market.{collateral.symbol}"] = (
                at[collateral.symbol],
                collateral.decimals,
                at["Stablecoin"],
                collateral.market.fee,
                market_maker,
            )
    for c, collateral in enumerate(parameters.collateral_types):
        if collateral.stability_pool is not None:
            args[name_stability_pool(collateral.symbol)] = (
                at["VaultEngine"],
                at["PriceFeed"],
                at["LiquidationEngine"],
                at["Stablecoin"],
                at[collateral.symbol],
                c,
                *collateral.stability_pool.contract_terms,
            )
    for c, facilitator in list_facilitators_with_type_ids(parameters):
        args[facilitator.name] = (
            facilitator.name,
            c,
            at["VaultEngine"],
            at["PriceFeed"],
            at["LiquidationEngine"],
            at["LossWaterfall"],
            at["Stablecoin"],
            admin,
            facilitator.delay,
        )
    if parameters.margin is not None:
        args |= _build_margin_arguments(parameters.margin, at, admin)
    return args


def _build_equity_arguments(
    parameters: Parameters, at: Mapping[str, str], admin: str
) -> dict[str, tuple[Any, ...]]:
    """Return the constructor arguments of equity, recovery claims, equity auctions and treasury."""
    equity, pools = parameters.equity, list_pools(parameters)
    stability_pools = map_stability_pool_shares(parameters)
    assert equity is not None
    prices = equity.floor, equity.buf, equity.duration
    auction = at["VaultEngine"], at["LossWaterfall"], at["PriceFeed"], at["Equity"]
    claims = {name: at[f"{POOLS[name][0]}.Claims"] for name in pools}
    args: dict[str, tuple[Any, ...]] = {
        "Equity": (
            admin,
            at.get("MintAuction", ZERO_ADDRESS),
            admin,
            equity.supply,
            parameters.epoch_length,
            equity.mint_cap,
        ),
        "StakedEquity": (
            *POOLS["staked_equity"][1:],
            at["Equity"],
            at["LossWaterfall"],
            at.get("StakeAuction", ZERO_ADDRESS),
            parameters.staked_equity.cooldown,
            parameters.staked_equity.vesting,
        ),
        "StakeAuction": (*auction, at.get("StakedEquity", ZERO_ADDRESS), *prices),
        "MintAuction": (*auction, ZERO_ADDRESS, *prices),
        "SurplusAuction": (at["Treasury"], at["PriceFeed"], at["Equity"], equity.surplus_lot, *prices),
        "Treasury": (
            at["VaultEngine"],
            at["LossWaterfall"],
            at["Stablecoin"],
            at["SurplusAuction"],
            at.get("MarginFund", ZERO_ADDRESS),
            admin,
            tuple(claims[name] for name in reversed(pools)),
            tuple(at[name] for name in (*(POOLS[each][0] for each in pools), *stability_pools)),
        ),
    }
    for name in pools:
        contract, _, symbol = POOLS[name]
        args[f"{contract}.Claims"] = (
            f"{contract} Claims",
            f"c{symbol}",
            at["Stablecoin"],
            at[contract],
            at["Equity"],
            at["PriceFeed"],
            equity.conversion_price,
        )
    return args


def build_adapter_arguments(
    parameters: Parameters, at: Mapping[str, str], get_account: Callable[[str], str]
) -> dict[str, tuple[Any, ...]]:
    """Return the constructor arguments of other protocols' coins and their adapters.

    `get_account` returns the address of a role.
    """
    args: dict[str, tuple[Any, ...]] = {}
    for c, facilitator in list_facilitators_with_type_ids(parameters):
        if facilitator.coin:
            args[facilitator.coin] = (facilitator.coin, facilitator.coin, facilitator.coin_decimals)
            args[facilitator.adapter] = (
                at[facilitator.coin],
                get_account(facilitator.minter),
                at[facilitator.name],
                at["VaultEngine"],
                at["Stablecoin"],
                c,
            )
    return args


def build_timelock_arguments(
    parameters: Parameters, at: Mapping[str, str], governor: str, guardian: str
) -> tuple[Any, ...]:
    """Return the constructor arguments of the timelock.

    The timelock gets a shorter delay for cancelling a facilitator's announced loss. A guardian's false
    announcement can so be cancelled in time.
    """
    timelock = parameters.timelock
    assert timelock is not None
    rules = tuple(
        (at[facilitator.name], CANCEL_LOSS, timelock.retraction) for facilitator in parameters.facilitators
    )
    return at["VaultEngine"], governor, guardian, timelock.delay, timelock.window, rules


def _build_margin_arguments(
    margin: MarginParameters, at: Mapping[str, str], admin: str
) -> dict[str, tuple[Any, ...]]:
    """Return the constructor arguments of the perpetual markets' contracts."""
    engine, policy, coin, fund = (
        at[name] for name in ("VaultEngine", "MarginPolicy", "Stablecoin", "MarginFund")
    )
    market, trading, orders = (at[name] for name in ("PerpetualMarket", "PerpetualTrading", "MarginOrders"))
    risk_policy, facilitator, closer = (
        at.get(name, ZERO_ADDRESS) for name in ("RiskPolicy", margin.facilitator, "PerpetualCloser")
    )
    rules = margin.window, margin.quiet, margin.mark_age, margin.third_bond * WAD
    fees = margin.band, margin.maker_fee, margin.taker_fee, margin.fee_share, margin.divergence
    return {
        "MarginPolicy": (at["PriceFeed"], admin),
        "PerpetualMarket": ((engine, policy, coin, trading, fund), rules),
        "PerpetualTrading": (engine, policy, risk_policy, orders, market, closer, fees),
        "MarginOrders": (trading,),
        "MarginFund": (coin, market, facilitator, admin, margin.bucket, margin.buckets),
        "PerpetualCloser": (market, trading),
        **_build_pool_arguments(margin, (market, trading, orders, admin)),
    }


def _build_pool_arguments(margin: MarginParameters, wiring: tuple[str, ...]) -> dict[str, tuple[Any, ...]]:
    """Return the constructor arguments of the perpetual liquidity vault; empty without one."""
    if margin.backstop is None:
        return {}
    rules = ("notice", "leverage", "spread", "share", "quote_time")
    terms = tuple(getattr(margin.backstop, name) for name in rules)
    return {"PerpetualLiquidityVault": (*BACKSTOP, wiring, terms)}
