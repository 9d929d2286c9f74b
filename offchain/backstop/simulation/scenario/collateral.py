"""A collateral type of the section `parameters`, with its auctions and its feed."""

from __future__ import annotations

import re

from backstop.deployment.deployment_parameters import (
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
from backstop.model.price_feed import least_quorum
from backstop.simulation.scenario import units
from backstop.simulation.scenario.document import Field
from backstop.simulation.scenario.drawn import EQUITY
from backstop.simulation.scenario.guards import policy_of

CURVES = {"linear": LINEAR, "stairstep": STAIRSTEP, "exponential": EXPONENTIAL}


def symbols_of(parameters: Field) -> list[str]:
    """Read the symbols of the collateral types; they name files and owners, too."""
    types = parameters.entries().get("collateral_types")
    found: dict[str, str] = {}
    for symbol, entry in ({} if types is None else types.entries()).items():
        if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,31}", symbol) is None:
            entry.fail(
                f"{symbol!r} is not a symbol: up to 32 letters, digits and . - _ +, a letter or digit first"
            )
        if symbol == EQUITY:
            entry.fail(f"{symbol!r} is what the protocol's own equity is called: give another symbol")
        # Names of files and owners are made of symbols, and some file systems know no capitals.
        taken = found.setdefault(symbol.lower(), symbol)
        if taken != symbol:
            entry.fail(f"{symbol!r} and {taken!r} differ in capitals alone: give each type its own symbol")
    return list(found.values())


def collateral_of(symbol: str, field: Field, market_fee: int, reporters: int) -> CollateralParameters:
    """Read one collateral type; its market's fee and the number of reporters stand elsewhere in the file."""
    section = field.section(
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
        ("token", "redistribution_cap", "policy"),
    )
    ceiling = section["debt_ceiling"]
    limit = section["auction_limit"]
    ratio = section["liquidation_ratio"].between(units.basis_points, bounds.MIN_RATIO, bounds.MAX_RATIO)
    initial = section["initial_ratio"].between(units.basis_points, ratio, bounds.MAX_RATIO)
    token, passed_on = section.get("token"), section.get("redistribution_cap")
    policy = PolicyParameters()
    if "policy" in section:
        policy = policy_of(section["policy"], ratio, initial)
    return CollateralParameters(
        symbol=symbol,
        decimals=section["decimals"].between(units.count, 0, 18),
        debt_ceiling=ceiling.between(units.whole_stablecoin, 0, bounds.MAX_DEBT_CEILING),
        debt_floor=section["debt_floor"].between(units.whole_stablecoin, 0, bounds.MAX_DEBT_FLOOR),
        liquidation_ratio=ratio,
        initial_ratio=initial,
        stability_fee=section["stability_fee"].between(units.yearly_rate, 0, bounds.MAX_STABILITY_FEE),
        buffer_share=section["buffer_share"].between(units.basis_points, 0, bounds.MAX_BUFFER_SHARE),
        auction_limit=limit.between(units.whole_stablecoin, 0, bounds.MAX_DEBT_CEILING),
        redistribution_cap=500 if passed_on is None else passed_on.between(units.basis_points, 0, 10_000),
        token="Token" if token is None else token.choice(("Token", "SilentToken", "FalseToken")),
        auction=auction_of(section["auction"]),
        feed=feed_of(section["feed"], reporters),
        market=MarketParameters(market_fee),
        policy=policy,
    )


def auction_of(field: Field) -> AuctionParameters:
    """Read how collateral is auctioned; each curve needs fields of its own."""
    section = field.section(
        ("curve", "buf", "cusp", "tail", "penalty", "tip", "chip"), ("step", "cut", "length")
    )
    curve = section["curve"].choice(tuple(CURVES))
    needed = {"linear": ("length",), "stairstep": ("step", "cut"), "exponential": ("cut",)}[curve]
    for name in ("step", "cut", "length"):
        entry = section.get(name)
        if entry is None and name in needed:
            field.fail(f"{name!r} is missing: a {curve} curve needs it")
        if entry is not None and name not in needed:
            entry.fail(f"a {curve} curve has no {name!r}")
    period, cut = 1, RAY // 2
    for name in ("step", "length"):
        if name in section:
            period = section[name].between(units.seconds, bounds.MIN_PERIOD, bounds.MAX_PERIOD)
    if "cut" in section:
        cut = section["cut"].between(units.ray_ratio, bounds.MIN_CUT, bounds.MAX_CUT)
    return AuctionParameters(
        curve=CURVES[curve],
        period=period,
        cut=cut,
        tail=section["tail"].between(units.seconds, bounds.MIN_TAIL, bounds.MAX_TAIL),
        cusp=section["cusp"].between(units.basis_points, bounds.MIN_CUSP, bounds.MAX_CUSP),
        buf=section["buf"].between(units.basis_points, bounds.MIN_BUF, bounds.MAX_BUF),
        # The file gives what is added to the debt, the protocol keeps the factor.
        penalty=section["penalty"].between(units.basis_points, 0, bounds.MAX_PENALTY - 10_000) + 10_000,
        tip=section["tip"].between(units.whole_stablecoin, 0, bounds.MAX_TIP),
        chip=section["chip"].between(units.basis_points, 0, bounds.MAX_CHIP),
    )


def feed_of(field: Field, reporters: int) -> FeedParameters:
    """Read how prices come in, and the guards of the feed."""
    guards = {
        "deviation": (units.basis_points, 0, bounds.MAX_DEVIATION),
        "confirmations": (units.count, bounds.MIN_CONFIRMATIONS, bounds.MAX_CONFIRMATIONS),
        "grace": (units.seconds, 0, bounds.MAX_GRACE),
        "dead_after": (units.seconds, 0, bounds.MAX_DEAD_AFTER),
    }
    section = field.section(("step", "max_age", "stale_after", "window"), ("quorum", *guards))
    least = max(bounds.MIN_QUORUM, least_quorum(reporters))
    quorum = section["quorum"].between(units.count, least, reporters) if "quorum" in section else least
    step = section["step"].between(units.seconds, bounds.MIN_STEP, bounds.MAX_STEP)
    return FeedParameters(
        reporters=reporters,
        quorum=quorum,
        step=step,
        max_age=section["max_age"].between(units.seconds, 1, bounds.MAX_REPORT_AGE),
        stale_after=section["stale_after"].between(units.seconds, step, bounds.MAX_STALE_AFTER),
        window=section["window"].between(units.seconds, bounds.MIN_WINDOW, bounds.MAX_WINDOW),
        **{name: section[name].between(*limits) for name, limits in guards.items() if name in section},
    )
