"""A deployment's parameters in the form of a scenario file, which the loader reads to the same integers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import yaml

from backstop.deployment.contracts_by_parameter_name import POOLS
from backstop.deployment.parameter_dataclasses import (
    AuctionParameters,
    BackstopParameters,
    CollateralParameters,
    DiscountParameters,
    FacilitatorParameters,
    FeedParameters,
    GuardsParameters,
    MarginParameters,
    Parameters,
    PerpetualParameters,
    PolicyParameters,
    PoolParameters,
    StabilityPoolParameters,
    WorkoutParameters,
)
from backstop.deployment.parameter_rules import Prices, list_refused_findings
from backstop.errors import BackstopError
from backstop.model.arithmetic import BASIS_POINTS, RAY, WAD, rpow
from backstop.simulation.scenario.collateral_section import CURVES
from backstop.simulation.scenario.stability_pool_section import AUCTION, WRITE_OFF

_YEAR = 365 * 86_400


def render_yaml(content: Mapping[str, Any]) -> str:
    """Return a scenario's content as YAML text, with its keys in the given order."""
    text: str = yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True, width=110)
    return text


def format_decimal(value: int, unit: int) -> str:
    """Return value / unit as an exact decimal number; `unit` must be a power of ten."""
    whole, rest = divmod(value, unit)
    fraction = str(rest).zfill(len(str(unit)) - 1).rstrip("0")
    return f"{whole}.{fraction}" if fraction else str(whole)


def format_exact_usd_price(price_ray: int) -> str:
    """Format a price [ray] exactly, as `195.21 USD`."""
    return f"{format_decimal(price_ray, RAY)} USD"


def format_exact_stablecoin(amount_wad: int) -> str:
    """Format an amount [wad] exactly, as `12.5 stablecoin`."""
    return f"{format_decimal(amount_wad, WAD)} stablecoin"


def build_scenario_yaml_parameters_section(parameters: Parameters) -> dict[str, Any]:
    """Return a deployment's parameters as the section `parameters` of a scenario file.

    Raises BackstopError for a value that a scenario file cannot express.
    """
    guards = parameters.guards
    for each in parameters.collateral_types:
        if each.market is None:
            raise BackstopError(f"a scenario needs a market of every type, and {each.symbol} has none")
    found: dict[str, Any] = {
        "global_debt_ceiling": _append_stablecoin_unit(parameters.global_debt_ceiling),
        "global_auction_limit": _append_stablecoin_unit(parameters.global_auction_limit),
        "epoch_length": _append_seconds_unit(parameters.epoch_length),
        "cap_delay": _append_seconds_unit(parameters.cap_delay),
        "waterfall": {
            stage.name: {"share": _append_bps_unit(stage.cap_bps)}
            | (
                {}
                if stage.cap_absolute is None
                else {"amount": format_exact_stablecoin(stage.cap_absolute // RAY)}
            )
            for stage in parameters.stages
        },
        "pools": {name: _pool_to_yaml(parameters, name) for name in POOLS},
        "settlement": {
            "delay": _append_seconds_unit(parameters.settlement.delay),
            "bound": _append_stablecoin_unit(parameters.settlement.bound),
            "epochs": parameters.settlement.epochs,
        },
        "collateral_types": {each.symbol: _collateral_to_yaml(each) for each in parameters.collateral_types},
    }
    equity = parameters.equity
    if equity is not None:
        found["equity"] = {
            "supply": f"{equity.supply} equity",
            "mint_cap": f"{equity.mint_cap} equity",
            "buf": _append_bps_unit(equity.buf),
            "floor": _append_bps_unit(equity.floor),
            "duration": _append_seconds_unit(equity.duration),
            "surplus_lot": _append_stablecoin_unit(equity.surplus_lot),
            "feed": _feed_to_yaml(equity.feed),
        }
        if equity.conversion_price:
            found["equity"]["conversion_price"] = format_exact_usd_price(equity.conversion_price)
        found["treasury"] = {"target": _append_stablecoin_unit(parameters.treasury.target)}
    if guards is not None:
        found["guards"] = _guards_to_yaml(guards, [each.symbol for each in parameters.collateral_types])
    if parameters.facilitators:
        found["facilitators"] = {each.name: _facilitator_to_yaml(each) for each in parameters.facilitators}
    if parameters.margin is not None:
        found["margin"] = _margin_to_yaml(parameters.margin)
    if parameters.waterfall_contract != Parameters.waterfall_contract:
        found["waterfall_contract"] = parameters.waterfall_contract
    if parameters.discount_contract != Parameters.discount_contract:
        found["discount_contract"] = parameters.discount_contract
    if parameters.stability_pool_contract != Parameters.stability_pool_contract:
        found["stability_pool_contract"] = parameters.stability_pool_contract
    if parameters.block_time:
        found["block_time"] = _append_seconds_unit(parameters.block_time)
    if parameters.timelock is not None:
        times = dataclasses.asdict(parameters.timelock)
        found["timelock"] = {name: _append_seconds_unit(time) for name, time in times.items()}
    return found


def build_unsafe_section(parameters: Parameters, prices: Prices) -> dict[str, Any]:
    """Return the section `unsafe` that lists the rules of settings a deployment breaks.

    Empty if it breaks none. `prices` are the prices that the rules need.
    """
    broken = {
        found.rule.name: "The deployment is like that." for found in list_refused_findings(parameters, prices)
    }
    return {"unsafe": broken} if broken else {}


def _pool_to_yaml(parameters: Parameters, name: str) -> dict[str, Any]:
    pool = getattr(parameters, name)
    found = {
        "cooldown": _append_seconds_unit(pool.cooldown),
        "vesting": _append_seconds_unit(pool.vesting),
    }
    if pool.contract != PoolParameters.contract:
        found["contract"] = pool.contract
    return found | ({"income_share": _append_bps_unit(pool.income_share)} if pool.income_share else {})


def _collateral_to_yaml(each: CollateralParameters) -> dict[str, Any]:
    found = {
        "decimals": each.decimals,
        "token": each.token,
        "debt_ceiling": _append_stablecoin_unit(each.debt_ceiling),
        "debt_floor": _append_stablecoin_unit(each.debt_floor),
        "liquidation_ratio": _append_bps_unit(each.liquidation_ratio),
        "initial_ratio": _append_bps_unit(each.initial_ratio),
        "stability_fee": _format_yearly_fee(each.stability_fee),
        "buffer_share": _append_bps_unit(each.buffer_share),
        "redistribution_cap": _append_bps_unit(each.redistribution_cap),
        "auction_limit": _append_stablecoin_unit(each.auction_limit),
        "auction": _auction_parameters_to_yaml(each.auction),
        "feed": _feed_to_yaml(each.feed),
    }
    policy = _policy_to_yaml(each.policy)
    if policy:
        found["policy"] = policy
    if each.discount is not None:
        found["discount"] = _discount_to_yaml(each.discount)
    if each.stability_pool is not None:
        found["stability_pool"] = _stability_pool_to_yaml(each.stability_pool)
    return found


def _discount_to_yaml(discount: DiscountParameters) -> dict[str, Any]:
    bonus: tuple[str, ...] = ("base_bonus", "max_bonus", "full_bonus_health")
    if discount.max_discount:
        bonus = ("max_discount",)
    elif discount.cursor:
        bonus = ("cursor", "max_bonus")
    amount = ("target_health",) if discount.target_health else ("close_factor", "whole_close_health")
    found = {name: _append_bps_unit(getattr(discount, name)) for name in (*bonus, *amount, "fee")}
    if discount.small_position:
        found["small_position"] = _append_stablecoin_unit(discount.small_position)
    return found


def _stability_pool_to_yaml(pool: StabilityPoolParameters) -> dict[str, Any]:
    found = {
        "penalty": _append_bps_unit(pool.penalty),
        "reward": _append_bps_unit(pool.reward),
        "remainder": WRITE_OFF if pool.has_write_off else AUCTION,
        **{
            name: _append_seconds_unit(getattr(pool, name)) for name in ("entry_delay", "cooldown", "vesting")
        },
    }
    return found | ({"income_share": _append_bps_unit(pool.income_share)} if pool.income_share else {})


def _auction_parameters_to_yaml(auction: AuctionParameters) -> dict[str, Any]:
    curve = next(name for name, number in CURVES.items() if number == auction.curve)
    shape = {
        "linear": {"length": _append_seconds_unit(auction.period)},
        "stairstep": {
            "step": _append_seconds_unit(auction.period),
            "cut": f"{format_decimal(auction.cut, RAY)} x",
        },
        "exponential": {"cut": f"{format_decimal(auction.cut, RAY)} x"},
    }[curve]
    return {
        "curve": curve,
        **shape,
        "buf": _append_bps_unit(auction.buf),
        "cusp": _append_bps_unit(auction.cusp),
        "tail": _append_seconds_unit(auction.tail),
        "penalty": _append_bps_unit(auction.penalty - BASIS_POINTS),
        "tip": _append_stablecoin_unit(auction.tip),
        "chip": _append_bps_unit(auction.chip),
    }


def _feed_to_yaml(feed: FeedParameters) -> dict[str, Any]:
    found: dict[str, Any] = {"quorum": feed.quorum}
    for name in ("step", "max_age", "stale_after", "window"):
        found[name] = _append_seconds_unit(getattr(feed, name))
    plain = FeedParameters()
    if feed.guarded or feed.dead_after != plain.dead_after:
        found |= {"deviation": _append_bps_unit(feed.deviation), "confirmations": feed.confirmations}
        found |= {
            "grace": _append_seconds_unit(feed.grace),
            "dead_after": _append_seconds_unit(feed.dead_after),
        }
    return found


def _policy_to_yaml(policy: PolicyParameters) -> dict[str, Any]:
    found = _margin_brackets_to_yaml(policy, "of_vaults", "of_type")
    if policy.flow_cap:
        found["flow"] = _flow_limit_to_yaml(policy)
    if policy.growth_anchor:
        rate = f"{format_decimal(policy.growth, 100)}% a year"
        found["growth"] = {"anchor": format_exact_usd_price(policy.growth_anchor), "rate": rate}
    base, first, second, kink = policy.curve
    if kink:
        points = {"idle": base, "at_kink": base + first, "full": base + first + second}
        found["fee"] = {name: f"{format_decimal(rate, 100)}% a year" for name, rate in points.items()}
        found["fee"] |= {
            "kink": _append_bps_unit(kink),
            "line": _append_stablecoin_unit(policy.line),
            "speed": policy.speed,
        }
    if policy.call_ratio:
        times = {
            "grace": _append_seconds_unit(policy.call_grace),
            "valid": _append_seconds_unit(policy.call_valid),
        }
        found["calls"] = {"ratio": _append_bps_unit(policy.call_ratio), **times}
    return found


def _guards_to_yaml(guards: GuardsParameters, symbols: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "caution_margin": _append_bps_unit(guards.caution_margin),
        "emergency_factor": _append_bps_unit(guards.emergency_factor),
    }
    ceilings = {
        symbol: {
            "gap": _append_stablecoin_unit(each.gap),
            "max_line": _append_stablecoin_unit(each.max_line),
            "ttl": _append_seconds_unit(each.ttl),
        }
        for symbol, each in zip(symbols, guards.ceilings, strict=False)
        if each.max_line
    }
    if ceilings:
        found["ceilings"] = ceilings
    breaker = guards.breaker
    if breaker is not None:
        found["breaker"] = {"calm_period": _append_seconds_unit(breaker.calm_period)}
        for name, write in (
            ("losses", _append_stablecoin_unit),
            ("fall", _append_bps_unit),
            ("silence", _append_seconds_unit),
            ("auctions", _append_bps_unit),
        ):
            levels = zip(("caution", "emergency"), getattr(breaker, name), strict=True)
            if given := {level: write(value) for level, value in levels if value}:
                found["breaker"][name] = given
    workouts = {
        symbol: _workouts_to_yaml(each)
        for symbol, each in zip(symbols, guards.workouts, strict=False)
        if each.cap
    }
    if workouts:
        found["workouts"] = workouts
    return found


def _workouts_to_yaml(terms: WorkoutParameters) -> dict[str, Any]:
    return {
        "discount": _append_bps_unit(terms.discount),
        "ratio": _append_bps_unit(terms.ratio),
        "premium": _append_bps_unit(terms.premium),
        "instalments": terms.instalments,
        "interval": _append_seconds_unit(terms.interval),
        "period": _append_seconds_unit(terms.period),
        "cap": _append_stablecoin_unit(terms.cap),
    }


def _facilitator_to_yaml(facilitator: FacilitatorParameters) -> dict[str, Any]:
    found: dict[str, Any] = {
        "line": _append_stablecoin_unit(facilitator.line),
        "delay": _append_seconds_unit(facilitator.delay),
        "minter": facilitator.minter,
    }
    return found | ({"flow": _flow_limit_to_yaml(facilitator)} if facilitator.flow_cap else {})


def _margin_to_yaml(margin: MarginParameters) -> dict[str, Any]:
    markets = {each.symbol: _perpetual_to_yaml(each) for each in margin.markets}
    if len(markets) < len(margin.markets):
        raise BackstopError("a scenario has one perpetual market of a symbol, and here is one with two")
    found: dict[str, Any] = {"facilitator": margin.facilitator} if margin.facilitator else {}
    if margin.income_share or margin.insurance_target:
        found["income_share"] = _append_bps_unit(margin.income_share)
        found["insurance_target"] = _append_stablecoin_unit(margin.insurance_target)
    return found | {
        "policy": margin.policy,
        "fee_share": _append_bps_unit(margin.fee_share),
        **{name: _append_seconds_unit(getattr(margin, name)) for name in ("window", "quiet", "mark_age")},
        **{
            name: _append_bps_unit(getattr(margin, name))
            for name in ("band", "maker_fee", "taker_fee", "divergence")
        },
        "third_bond": _append_stablecoin_unit(margin.third_bond),
        "bucket": _append_seconds_unit(margin.bucket),
        "buckets": margin.buckets,
        "cap": _append_stablecoin_unit(margin.cap),
        "markets": markets,
        **({} if margin.backstop is None else {"backstop": _backstop_to_yaml(margin.backstop)}),
    }


def _backstop_to_yaml(pool: BackstopParameters) -> dict[str, Any]:
    return {
        "limit": _append_stablecoin_unit(pool.limit),
        **{name: _append_seconds_unit(getattr(pool, name)) for name in ("notice", "quote_time")},
        **{name: _append_bps_unit(getattr(pool, name)) for name in ("leverage", "spread", "share")},
    }


def _perpetual_to_yaml(market: PerpetualParameters) -> dict[str, Any]:
    found = {"lot": f"{format_decimal(market.lot, WAD)} {market.symbol}"}
    for name in ("initial", "maintenance", "discount", "haircut", "max_funding"):
        found[name] = _append_bps_unit(getattr(market, name))
    found |= {"open_limit": f"{market.open_limit} lots", "dust": _append_stablecoin_unit(market.dust)}
    if market.insured:
        found["insured"] = _append_bps_unit(market.insured)
    brackets = _margin_brackets_to_yaml(market, "of_accounts", "of_market")
    return found | {name: brackets.get(name, []) for name in ("of_accounts", "of_market")}


def _margin_brackets_to_yaml(terms: PolicyParameters | PerpetualParameters, *names: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in names:
        brackets = [pair for pair in getattr(terms, name) if pair != (0, 0)]
        if brackets:
            found[name] = [
                {"above": _append_stablecoin_unit(above), "margin": _append_bps_unit(rate)}
                for above, rate in brackets
            ]
    return found


def _flow_limit_to_yaml(limited_parameters: PolicyParameters | FacilitatorParameters) -> dict[str, str]:
    return {
        "cap": _append_stablecoin_unit(limited_parameters.flow_cap),
        "window": _append_seconds_unit(limited_parameters.flow_window),
    }


def _append_stablecoin_unit(coin_count: int) -> str:
    return f"{coin_count} stablecoin"


def _append_seconds_unit(seconds: int) -> str:
    return f"{seconds} s"


def _append_bps_unit(bps: int) -> str:
    return f"{bps} bps"


def _format_yearly_fee(fee: int) -> str:
    """Format a per-second stability fee as a yearly rate.

    The loader converts it back to the largest fee per second within this rate.
    """
    return f"{format_decimal((rpow(RAY + fee, _YEAR) - RAY) * 100, RAY)}% a year"
