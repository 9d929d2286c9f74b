"""The world outside, in sections of a scenario: prices and other values over time, markets."""

from __future__ import annotations

from collections.abc import Callable

from backstop.keepers.group import Series
from backstop.simulation.scenario import units
from backstop.simulation.scenario.chance import model_of
from backstop.simulation.scenario.document import Field
from backstop.simulation.scenario.schema import DAY, MarketDepth, PricePath


def by_symbol(field: Field, symbols: tuple[str, ...]) -> dict[str, Field]:
    """Read one entry for each collateral type, in their order."""
    section = field.section(symbols)
    return {symbol: section[symbol] for symbol in symbols}


def series_of(field: Field, reader: Callable[[str], int]) -> tuple[Series, frozenset[int]]:
    """Read `published` and `assumed` entries of time: value; also return the published times."""
    values, published = _timed(field, reader)
    if min(values) != 0:
        field.fail("has no value for 00:00")
    times = sorted(values)
    return Series(tuple(times), tuple(values[time] for time in times)), published


def _timed(field: Field, reader: Callable[[str], int]) -> tuple[dict[int, int], frozenset[int]]:
    section = field.section((), ("published", "assumed", "volatility"))
    values: dict[int, int] = {}
    given: dict[int, Field] = {}
    published: set[int] = set()
    for label in ("published", "assumed"):
        for text, entry in section[label].entries().items() if label in section else ():
            try:
                time = units.clock(text)
            except ValueError as error:
                entry.fail(str(error))
            if time in values:
                first = given[time]
                where = f"{first.file.name}:{first.line}"
                under = first.path.split(".")[-2]
                entry.fail(f"this time is under `{under}` too ({where}): remove one, there with `null`")
            given[time] = entry
            values[time] = entry.read(reader)
            if label == "published":
                published.add(time)
    if not values:
        field.fail("needs `published` or `assumed` entries")
    return values, frozenset(published)


def price_path_of(field: Field, duration: int, block_time: int) -> PricePath:
    """Read the points of a price, or the model that draws it; fail unless they cover the duration."""
    if "model" in field.entries():
        for name in ("published", "assumed", "volatility"):
            if name in field.entries():
                field.either("model", name)
        return model_of(field.section(("model",))["model"], block_time)
    points, published = _timed(field, units.price)
    volatility = field.entries().get("volatility")
    if 0 not in points:
        field.fail("has no price at 00:00")
    if max(points) < duration:
        field.fail("has no price at the end of the scenario or after it")
    for time in points:
        if time % block_time:
            field.fail(f"has a price at {time} seconds, which is not a block's time")
    if volatility is None:
        field.fail("'volatility' is missing")
    return PricePath(points, published, volatility.between(units.basis_points, 0, 5_000))


def market_of(field: Field, block_time: int) -> MarketDepth:
    """Read the market of a collateral type: its depth, and how fast it follows the price outside."""
    section = field.section(("fee", "every", "recovery", "tolerance"), ("depth", "debt_to_depth"))
    every = section["every"].between(units.seconds, block_time, DAY)
    depth = debt_to_depth = 0
    if field.either("depth", "debt_to_depth") == "depth":
        depth = section["depth"].between(units.stablecoin, 10**18, 10**28)
    else:
        debt_to_depth = section["debt_to_depth"].between(units.basis_points, 1, 10_000_000)
    return MarketDepth(
        depth=depth,
        debt_to_depth=debt_to_depth,
        every=every,
        recovery=section["recovery"].between(units.seconds, every, 7 * DAY),
        tolerance=section["tolerance"].between(units.basis_points, 0, 5_000),
    )
