"""A collateral type of the section `parameters`, with its auctions and its feed."""

from __future__ import annotations

import re

from backstop.deployment.parameter_dataclasses import (
    EXPONENTIAL,
    LINEAR,
    STAIRSTEP,
    AuctionParameters,
    CollateralParameters,
    FeedParameters,
    MarketParameters,
    PolicyParameters,
)
from backstop.model import bounds
from backstop.model.arithmetic import RAY
from backstop.model.price_feed import compute_minority_proof_quorum
from backstop.simulation.scenario import quantity_units
from backstop.simulation.scenario.discount_section import read_discount
from backstop.simulation.scenario.draw_scenario import EQUITY
from backstop.simulation.scenario.guards_section import read_policy
from backstop.simulation.scenario.stability_pool_section import read_stability_pool
from backstop.simulation.scenario.yaml_document_reader import Field

CURVES = {"linear": LINEAR, "stairstep": STAIRSTEP, "exponential": EXPONENTIAL}


def read_symbols(parameters: Field) -> list[str]:
    """Return the symbols of a scenario's collateral types.

    Symbols name files and accounts, so two that differ only in case raise an error.
    """
    types = parameters.read_mapping_entries().get("collateral_types")
    found: dict[str, str] = {}
    for symbol, entry in ({} if types is None else types.read_mapping_entries()).items():
        if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,31}", symbol) is None:
            entry.raise_error(
                f"{symbol!r} is not a symbol: up to 32 letters, digits and . - _ +, a letter or digit first"
            )
        if symbol == EQUITY:
            entry.raise_error(f"{symbol!r} is what the protocol's own equity is called: give another symbol")
        # Names of files and owners are made of symbols, and some file systems know no capitals.
        taken = found.setdefault(symbol.lower(), symbol)
        if taken != symbol:
            entry.raise_error(
                f"{symbol!r} and {taken!r} differ in capitals alone: give each type its own symbol"
            )
    return list(found.values())


def read_collateral_type(symbol: str, field: Field, market_fee: int, reporters: int) -> CollateralParameters:
    """Read the parameters of one collateral type from a scenario file.

    The fee of its market and the number of reporters are given elsewhere in the file.
    """
    section = field.read_section(
        (
            "decimals",
            "debt_ceiling",
            "debt_floor",
            "liquidation_ratio",
            "initial_ratio",
            "stability_fee",
            "buffer_share",
            "auction_limit",
            "auction",
            "feed",
        ),
        ("token", "redistribution_cap", "policy", "discount", "stability_pool"),
    )
    ceiling = section["debt_ceiling"]
    limit = section["auction_limit"]
    ratio = section["liquidation_ratio"].read_bounded(
        quantity_units.read_basis_points, bounds.MIN_RATIO, bounds.MAX_RATIO
    )
    initial = section["initial_ratio"].read_bounded(quantity_units.read_basis_points, ratio, bounds.MAX_RATIO)
    token, passed_on = section.get("token"), section.get("redistribution_cap")
    if "discount" in section and "stability_pool" in section:
        section["stability_pool"].raise_error("does not go with a discount: remove one of them")
    policy = PolicyParameters()
    if "policy" in section:
        policy = read_policy(section["policy"], ratio, initial)
    return CollateralParameters(
        symbol=symbol,
        decimals=section["decimals"].read_bounded(quantity_units.read_whole_number, 0, 18),
        debt_ceiling=ceiling.read_bounded(
            quantity_units.read_whole_stablecoin_count, 0, bounds.MAX_DEBT_CEILING
        ),
        debt_floor=section["debt_floor"].read_bounded(
            quantity_units.read_whole_stablecoin_count, 0, bounds.MAX_DEBT_FLOOR
        ),
        liquidation_ratio=ratio,
        initial_ratio=initial,
        stability_fee=section["stability_fee"].read_bounded(
            quantity_units.read_yearly_rate, 0, bounds.MAX_STABILITY_FEE
        ),
        buffer_share=section["buffer_share"].read_bounded(
            quantity_units.read_basis_points, 0, bounds.MAX_BUFFER_SHARE
        ),
        auction_limit=limit.read_bounded(
            quantity_units.read_whole_stablecoin_count, 0, bounds.MAX_DEBT_CEILING
        ),
        redistribution_cap=500
        if passed_on is None
        else passed_on.read_bounded(quantity_units.read_basis_points, 0, 10_000),
        token="Token"
        if token is None
        else token.read_choice(("Token", "NoReturnToken", "ReturnsFalseToken")),
        auction=read_auction(section["auction"]),
        feed=read_feed(section["feed"], reporters),
        market=MarketParameters(market_fee),
        policy=policy,
        discount=read_discount(section["discount"]) if "discount" in section else None,
        stability_pool=(
            read_stability_pool(section["stability_pool"]) if "stability_pool" in section else None
        ),
    )


def read_auction(field: Field) -> AuctionParameters:
    """Read the parameters of collateral auctions; each price curve needs its own fields."""
    section = field.read_section(
        ("curve", "buf", "cusp", "tail", "penalty", "tip", "chip"), ("step", "cut", "length")
    )
    curve = section["curve"].read_choice(tuple(CURVES))
    needed = {"linear": ("length",), "stairstep": ("step", "cut"), "exponential": ("cut",)}[curve]
    for name in ("step", "cut", "length"):
        entry = section.get(name)
        if entry is None and name in needed:
            field.raise_error(f"{name!r} is missing: a {curve} curve needs it")
        if entry is not None and name not in needed:
            entry.raise_error(f"a {curve} curve has no {name!r}")
    period, cut = 1, RAY // 2
    for name in ("step", "length"):
        if name in section:
            period = section[name].read_bounded(
                quantity_units.read_seconds, bounds.MIN_PERIOD, bounds.MAX_PERIOD
            )
    if "cut" in section:
        cut = section["cut"].read_bounded(quantity_units.read_ray_ratio, bounds.MIN_CUT, bounds.MAX_CUT)
    return AuctionParameters(
        curve=CURVES[curve],
        period=period,
        cut=cut,
        tail=section["tail"].read_bounded(quantity_units.read_seconds, bounds.MIN_TAIL, bounds.MAX_TAIL),
        cusp=section["cusp"].read_bounded(quantity_units.read_basis_points, bounds.MIN_CUSP, bounds.MAX_CUSP),
        buf=section["buf"].read_bounded(quantity_units.read_basis_points, bounds.MIN_BUF, bounds.MAX_BUF),
        # The file gives what is added to the debt, the protocol keeps the factor.
        penalty=section["penalty"].read_bounded(
            quantity_units.read_basis_points, 0, bounds.MAX_PENALTY - 10_000
        )
        + 10_000,
        tip=section["tip"].read_bounded(quantity_units.read_whole_stablecoin_count, 0, bounds.MAX_TIP),
        chip=section["chip"].read_bounded(quantity_units.read_basis_points, 0, bounds.MAX_CHIP),
    )


def read_feed(field: Field, reporters: int) -> FeedParameters:
    """Read the parameters of a price feed: timing, quorum and guards against bad prices."""
    guards = {
        "deviation": (quantity_units.read_basis_points, 0, bounds.MAX_DEVIATION),
        "confirmations": (
            quantity_units.read_whole_number,
            bounds.MIN_CONFIRMATIONS,
            bounds.MAX_CONFIRMATIONS,
        ),
        "grace": (quantity_units.read_seconds, 0, bounds.MAX_GRACE),
        "dead_after": (quantity_units.read_seconds, 0, bounds.MAX_DEAD_AFTER),
    }
    section = field.read_section(("step", "max_age", "stale_after", "window"), ("quorum", *guards))
    least = max(bounds.MIN_QUORUM, compute_minority_proof_quorum(reporters))
    quorum = (
        section["quorum"].read_bounded(quantity_units.read_whole_number, least, reporters)
        if "quorum" in section
        else least
    )
    step = section["step"].read_bounded(quantity_units.read_seconds, bounds.MIN_STEP, bounds.MAX_STEP)
    return FeedParameters(
        reporters=reporters,
        quorum=quorum,
        step=step,
        max_age=section["max_age"].read_bounded(quantity_units.read_seconds, 1, bounds.MAX_REPORT_AGE),
        stale_after=section["stale_after"].read_bounded(
            quantity_units.read_seconds, step, bounds.MAX_STALE_AFTER
        ),
        window=section["window"].read_bounded(
            quantity_units.read_seconds, bounds.MIN_WINDOW, bounds.MAX_WINDOW
        ),
        **{name: section[name].read_bounded(*limits) for name, limits in guards.items() if name in section},
    )
