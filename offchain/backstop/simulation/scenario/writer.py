"""A deployment's parameters as a scenario file has them: what the loader reads back to the same integers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import yaml

from backstop.deployment.contract_names import POOLS
from backstop.deployment.deployment_parameters import (
    AuctionParameters,
    BackstopParameters,
    CollateralParameters,
    DomainParameters,
    FeedParameters,
    GuardsParameters,
    MarginParameters,
    Parameters,
    PerpetualParameters,
    PolicyParameters,
    PoolParameters,
    WorkoutParameters,
)
from backstop.deployment.parameter_rules import Prices, list_refused_findings
from backstop.errors import BackstopError
from backstop.model.arithmetic import BASIS_POINTS, RAY, WAD, rpow
from backstop.simulation.scenario.collateral import CURVES

_YEAR = 365 * 86_400


def as_yaml(content: Mapping[str, Any]) -> str:
    """Write a scenario's content as its file, in the order given."""
    text: str = yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True, width=110)
    return text


def decimal(value: int, unit: int) -> str:
    """Write value / unit, exactly."""
    whole, rest = divmod(value, unit)
    fraction = str(rest).zfill(len(str(unit)) - 1).rstrip("0")
    return f"{whole}.{fraction}" if fraction else str(whole)


def price(ray: int) -> str:
    """Write a price (ray) as `195.21 USD`."""
    return f"{decimal(ray, RAY)} USD"


def stablecoin(wad: int) -> str:
    """Write wad as `12.5 stablecoin`."""
    return f"{decimal(wad, WAD)} stablecoin"


def parameters_to_yaml(parameters: Parameters) -> dict[str, Any]:
    """Return the section `parameters`; raise BackstopError for what a scenario cannot say."""
    guards = parameters.guards
    for each in parameters.collateral_types:
        if each.market is None:
            raise BackstopError(f"a scenario needs a market of every type, and {each.symbol} has none")
    found: dict[str, Any] = {
        "global_debt_ceiling": _whole(parameters.global_debt_ceiling),
        "global_auction_limit": _whole(parameters.global_auction_limit),
        "epoch_length": _seconds(parameters.epoch_length),
        "cap_delay": _seconds(parameters.cap_delay),
        "waterfall": {
            stage.name: {"share": _bps(stage.cap_bps)}
            | ({} if stage.cap_absolute is None else {"amount": stablecoin(stage.cap_absolute // RAY)})
            for stage in parameters.stages
        },
        "pools": {name: _pool(parameters, name) for name in POOLS},
        "settlement": {
            "delay": _seconds(parameters.settlement.delay),
            "bound": _whole(parameters.settlement.bound),
            "epochs": parameters.settlement.epochs,
        },
        "collateral_types": {each.symbol: _collateral(each) for each in parameters.collateral_types},
    }
    equity = parameters.equity
    if equity is not None:
        found["equity"] = {
            "supply": f"{equity.supply} equity",
            "mint_cap": f"{equity.mint_cap} equity",
            "buf": _bps(equity.buf),
            "floor": _bps(equity.floor),
            "duration": _seconds(equity.duration),
            "surplus_lot": _whole(equity.surplus_lot),
            "feed": _feed(equity.feed),
        }
        if equity.conversion_price:
            found["equity"]["conversion_price"] = price(equity.conversion_price)
        found["treasury"] = {"target": _whole(parameters.treasury.target)}
    if guards is not None:
        found["guards"] = _guards(guards, [each.symbol for each in parameters.collateral_types])
    if parameters.domains:
        found["domains"] = {each.name: _domain(each) for each in parameters.domains}
    if parameters.margin is not None:
        found["margin"] = _margin(parameters.margin)
    if parameters.waterfall_contract != Parameters.waterfall_contract:
        found["waterfall_contract"] = parameters.waterfall_contract
    if parameters.block_time:
        found["block_time"] = _seconds(parameters.block_time)
    if parameters.timelock is not None:
        times = dataclasses.asdict(parameters.timelock)
        found["timelock"] = {name: _seconds(time) for name, time in times.items()}
    return found


def unsafe_to_yaml(parameters: Parameters, prices: Prices) -> dict[str, Any]:
    """Return the section `unsafe`, the rules of settings that a deployment breaks, if it breaks any."""
    broken = {
        found.rule.name: "The deployment is like that." for found in list_refused_findings(parameters, prices)
    }
    return {"unsafe": broken} if broken else {}


def _pool(parameters: Parameters, name: str) -> dict[str, Any]:
    pool = getattr(parameters, name)
    found = {
        "cooldown": _seconds(pool.cooldown),
        "vesting": _seconds(pool.vesting),
    }
    if pool.contract != PoolParameters.contract:
        found["contract"] = pool.contract
    return found | ({"income_share": _bps(pool.income_share)} if pool.income_share else {})


def _collateral(each: CollateralParameters) -> dict[str, Any]:
    found = {
        "decimals": each.decimals,
        "token": each.token,
        "debt_ceiling": _whole(each.debt_ceiling),
        "debt_floor": _whole(each.debt_floor),
        "liquidation_ratio": _bps(each.liquidation_ratio),
        "initial_ratio": _bps(each.initial_ratio),
        "stability_fee": _yearly(each.stability_fee),
        "buffer_share": _bps(each.buffer_share),
        "redistribution_cap": _bps(each.redistribution_cap),
        "auction_limit": _whole(each.auction_limit),
        "auction": _auction(each.auction),
        "feed": _feed(each.feed),
    }
    policy = _policy(each.policy)
    return found | ({"policy": policy} if policy else {})


def _auction(auction: AuctionParameters) -> dict[str, Any]:
    curve = next(name for name, number in CURVES.items() if number == auction.curve)
    shape = {
        "linear": {"length": _seconds(auction.period)},
        "stairstep": {"step": _seconds(auction.period), "cut": f"{decimal(auction.cut, RAY)} x"},
        "exponential": {"cut": f"{decimal(auction.cut, RAY)} x"},
    }[curve]
    return {
        "curve": curve,
        **shape,
        "buf": _bps(auction.buf),
        "cusp": _bps(auction.cusp),
        "tail": _seconds(auction.tail),
        "penalty": _bps(auction.penalty - BASIS_POINTS),
        "tip": _whole(auction.tip),
        "chip": _bps(auction.chip),
    }


def _feed(feed: FeedParameters) -> dict[str, Any]:
    found: dict[str, Any] = {"quorum": feed.quorum}
    for name in ("step", "max_age", "stale_after", "window"):
        found[name] = _seconds(getattr(feed, name))
    plain = FeedParameters()
    if feed.guarded or feed.dead_after != plain.dead_after:
        found |= {"deviation": _bps(feed.deviation), "confirmations": feed.confirmations}
        found |= {"grace": _seconds(feed.grace), "dead_after": _seconds(feed.dead_after)}
    return found


def _policy(policy: PolicyParameters) -> dict[str, Any]:
    found = _brackets(policy, "of_vaults", "of_type")
    if policy.flow_cap:
        found["flow"] = _flow(policy)
    if policy.growth_anchor:
        rate = f"{decimal(policy.growth, 100)}% a year"
        found["growth"] = {"anchor": price(policy.growth_anchor), "rate": rate}
    base, first, second, kink = policy.curve
    if kink:
        points = {"idle": base, "at_kink": base + first, "full": base + first + second}
        found["fee"] = {name: f"{decimal(rate, 100)}% a year" for name, rate in points.items()}
        found["fee"] |= {"kink": _bps(kink), "line": _whole(policy.line), "speed": policy.speed}
    if policy.call_ratio:
        times = {"grace": _seconds(policy.call_grace), "valid": _seconds(policy.call_valid)}
        found["calls"] = {"ratio": _bps(policy.call_ratio), **times}
    return found


def _guards(guards: GuardsParameters, symbols: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "caution_margin": _bps(guards.caution_margin),
        "emergency_factor": _bps(guards.emergency_factor),
    }
    ceilings = {
        symbol: {"gap": _whole(each.gap), "max_line": _whole(each.max_line), "ttl": _seconds(each.ttl)}
        for symbol, each in zip(symbols, guards.ceilings, strict=False)
        if each.max_line
    }
    if ceilings:
        found["ceilings"] = ceilings
    breaker = guards.breaker
    if breaker is not None:
        found["breaker"] = {"calm_period": _seconds(breaker.calm_period)}
        for name, write in (("losses", _whole), ("fall", _bps), ("silence", _seconds), ("auctions", _bps)):
            levels = zip(("caution", "emergency"), getattr(breaker, name), strict=True)
            if given := {level: write(value) for level, value in levels if value}:
                found["breaker"][name] = given
    workouts = {
        symbol: _workouts(each) for symbol, each in zip(symbols, guards.workouts, strict=False) if each.cap
    }
    if workouts:
        found["workouts"] = workouts
    return found


def _workouts(terms: WorkoutParameters) -> dict[str, Any]:
    return {
        "discount": _bps(terms.discount),
        "ratio": _bps(terms.ratio),
        "premium": _bps(terms.premium),
        "instalments": terms.instalments,
        "interval": _seconds(terms.interval),
        "period": _seconds(terms.period),
        "cap": _whole(terms.cap),
    }


def _domain(domain: DomainParameters) -> dict[str, Any]:
    found: dict[str, Any] = {
        "line": _whole(domain.line),
        "delay": _seconds(domain.delay),
        "minter": domain.minter,
    }
    return found | ({"flow": _flow(domain)} if domain.flow_cap else {})


def _margin(margin: MarginParameters) -> dict[str, Any]:
    markets = {each.symbol: _perpetual(each) for each in margin.markets}
    if len(markets) < len(margin.markets):
        raise BackstopError("a scenario has one perpetual market of a symbol, and here is one with two")
    found: dict[str, Any] = {"domain": margin.domain} if margin.domain else {}
    if margin.income_share or margin.insurance_target:
        found["income_share"] = _bps(margin.income_share)
        found["insurance_target"] = _whole(margin.insurance_target)
    return found | {
        "policy": margin.policy,
        "fee_share": _bps(margin.fee_share),
        **{name: _seconds(getattr(margin, name)) for name in ("window", "quiet", "mark_age")},
        **{name: _bps(getattr(margin, name)) for name in ("band", "maker_fee", "taker_fee", "divergence")},
        "third_bond": _whole(margin.third_bond),
        "bucket": _seconds(margin.bucket),
        "buckets": margin.buckets,
        "cap": _whole(margin.cap),
        "markets": markets,
        **({} if margin.backstop is None else {"backstop": _backstop(margin.backstop)}),
    }


def _backstop(pool: BackstopParameters) -> dict[str, Any]:
    return {
        "limit": _whole(pool.limit),
        **{name: _seconds(getattr(pool, name)) for name in ("notice", "quote_time")},
        **{name: _bps(getattr(pool, name)) for name in ("leverage", "spread", "share")},
    }


def _perpetual(market: PerpetualParameters) -> dict[str, Any]:
    found = {"lot": f"{decimal(market.lot, WAD)} {market.symbol}"}
    for name in ("initial", "maintenance", "discount", "haircut", "max_funding"):
        found[name] = _bps(getattr(market, name))
    found |= {"open_limit": f"{market.open_limit} lots", "dust": _whole(market.dust)}
    if market.insured:
        found["insured"] = _bps(market.insured)
    brackets = _brackets(market, "of_accounts", "of_market")
    return found | {name: brackets.get(name, []) for name in ("of_accounts", "of_market")}


def _brackets(terms: PolicyParameters | PerpetualParameters, *names: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in names:
        brackets = [pair for pair in getattr(terms, name) if pair != (0, 0)]
        if brackets:
            found[name] = [{"above": _whole(above), "margin": _bps(rate)} for above, rate in brackets]
    return found


def _flow(limited: PolicyParameters | DomainParameters) -> dict[str, str]:
    return {"cap": _whole(limited.flow_cap), "window": _seconds(limited.flow_window)}


def _whole(coins: int) -> str:
    return f"{coins} stablecoin"


def _seconds(seconds: int) -> str:
    return f"{seconds} s"


def _bps(bps: int) -> str:
    return f"{bps} bps"


def _yearly(fee: int) -> str:
    """Write the fee of a year; the loader takes the largest fee of a second that stays at or under it."""
    return f"{decimal((rpow(RAY + fee, _YEAR) - RAY) * 100, RAY)}% a year"
