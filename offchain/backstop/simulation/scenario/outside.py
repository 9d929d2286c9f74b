"""The world outside, in sections of a scenario: prices and other values over time, markets."""

from __future__ import annotations

from collections.abc import Callable

from backstop.keepers.keeper_group import StepSeries
from backstop.model.bounds import MAX_PRICE
from backstop.simulation.scenario import units
from backstop.simulation.scenario.chance import model_of
from backstop.simulation.scenario.document import Field, Section
from backstop.simulation.scenario.schema import DAY, MarketDepth, PricePath
from backstop.simulation.scenario.table import read_table


def by_symbol(field: Field, symbols: tuple[str, ...]) -> dict[str, Field]:
    """Read one entry for each collateral type, in their order."""
    section = field.section(symbols)
    return {symbol: section[symbol] for symbol in symbols}


def series_of(field: Field, reader: Callable[[str], int]) -> tuple[StepSeries, frozenset[int]]:
    """Read `published` and `assumed` entries of time: value; also return the published times."""
    values, published = _timed(field, reader)
    if min(values) != 0:
        field.fail("has no value for 00:00")
    times = sorted(values)
    return StepSeries(tuple(times), tuple(values[time] for time in times)), published


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
    """Read the points of a price, or the model that draws it; fail unless they cover the duration.

    Points stand in the file, or in a column of a CSV file, where each holds till the next.
    """
    for way, others in (
        ("model", ("published", "assumed", "volatility", "file")),
        ("file", ("published", "assumed")),
    ):
        for name in others if way in field.entries() else ():
            if name in field.entries():
                field.either(way, name)
    if "file" in field.entries():
        return _column_of(field.section(("file", "column", "every")), duration, block_time)
    if "model" in field.entries():
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


def _column_of(section: Section, duration: int, block_time: int) -> PricePath:
    """Read the points of a CSV file's column, `every` so often from the start; each holds till the next."""
    every, file, column = (
        section["every"].between(units.seconds, 1, DAY),
        section["file"],
        section["column"].text,
    )
    if every % block_time and block_time % every:
        section["every"].fail(f"and a block of {block_time} seconds: one must be a multiple of the other")
    path, prices = file.beside(), []
    for number, cells in read_table(path, file.fail, (column,), exactly=False):
        try:
            value = units.price(f"{cells[column]} USD")
        except ValueError:
            value = 0
        if not 0 < value <= MAX_PRICE:
            problem = f"{cells[column]!r} is no price: write a number above 0, as 195.21"
            file.fail(f"{path.name}: row {number}, column {column}: {problem}")
        prices.append(value)
    if (len(prices) - 1) * every < duration:
        file.fail(f"has {len(prices):,} prices, and none at the end of the scenario or after it")
    times = range(0, duration + 1, block_time)
    return PricePath({time: prices[time // every] for time in times}, frozenset(), 0)


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
