"""The world outside, in sections of a scenario: prices and other values over time, markets."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from backstop.keepers.keeper_group_settings import StepSeries
from backstop.model.bounds import MAX_PRICE
from backstop.simulation.scenario import quantity_units
from backstop.simulation.scenario.csv_table import read_table
from backstop.simulation.scenario.isolated_print_refusal import refuse_isolated_prints
from backstop.simulation.scenario.scenario_records import (
    DAY,
    DepthAfterFall,
    MarketDepth,
    PricePath,
    TypeAssets,
)
from backstop.simulation.scenario.stochastic_sections import read_price_model
from backstop.simulation.scenario.yaml_document_reader import Field, Section


def read_symbol_entries(field: Field, symbols: tuple[str, ...]) -> dict[str, Field]:
    """Return the section's entry for each collateral type, in the order of `symbols`."""
    section = field.read_section(symbols)
    return {symbol: section[symbol] for symbol in symbols}


def build_type_price(assets: TypeAssets, prices: Mapping[str, PricePath]) -> PricePath:
    """Return the price path of a collateral type, rounded down.

    If the type has a debt asset, the collateral's price is divided by the relative rise of the debt asset's
    price, so that it starts at the collateral's price.
    """
    one = prices[assets.collateral]
    if not assets.debt:
        return one
    other = prices[assets.debt]
    first = other.points[0]
    points, below = {}, first
    above = one.points[0]
    for time in sorted({*one.points, *other.points}):
        above, below = one.points.get(time, above), other.points.get(time, below)
        points[time] = max(1, above * first // below)
    return PricePath(points, frozenset(), max(one.volatility, other.volatility), one.model or other.model)


def read_series(field: Field, reader: Callable[[str], int]) -> tuple[StepSeries, frozenset[int]]:
    """Read a time series with entries `published` and `assumed`; also return the published times."""
    values, published = _read_timed_values(field, reader, ())
    if min(values) != 0:
        field.raise_error("has no value for 00:00")
    times = sorted(values)
    return StepSeries(tuple(times), tuple(values[time] for time in times)), published


def _read_timed_values(
    field: Field, reader: Callable[[str], int], other_keys: tuple[str, ...]
) -> tuple[dict[int, int], frozenset[int]]:
    section = field.read_section((), ("published", "assumed", *other_keys))
    values: dict[int, int] = {}
    given: dict[int, Field] = {}
    published: set[int] = set()
    for label in ("published", "assumed"):
        for text, entry in section[label].read_mapping_entries().items() if label in section else ():
            try:
                time = quantity_units.read_multiday_clock(text)
            except ValueError as error:
                entry.raise_error(str(error))
            if time in values:
                first = given[time]
                where = f"{first.file.name}:{first.line}"
                under = first.path.split(".")[-2]
                entry.raise_error(
                    f"this time is under `{under}` too ({where}): remove one, there with `null`"
                )
            given[time] = entry
            values[time] = entry.read_value(reader)
            if label == "published":
                published.add(time)
    if not values:
        field.raise_error("needs `published` or `assumed` entries")
    return values, frozenset(published)


def read_price_path(field: Field, duration: int, block_time: int) -> PricePath:
    """Read a price section: points in the file, a column of a CSV file, or a random model.

    Raises BackstopError if the prices do not cover the scenario's duration.
    """
    for way, others in (
        ("model", ("published", "assumed", "volatility", "file")),
        ("file", ("published", "assumed")),
    ):
        for name in others if way in field.read_mapping_entries() else ():
            if name in field.read_mapping_entries():
                field.find_given_exclusive_key(way, name)
    if "file" in field.read_mapping_entries():
        return _read_price_column(
            field.read_section(("file", "column", "every"), ("prints",)), duration, block_time
        )
    if "model" in field.read_mapping_entries():
        return read_price_model(field.read_section(("model",))["model"], block_time)
    points, published = _read_timed_values(field, quantity_units.read_price_as_ray, ("volatility",))
    volatility = field.read_mapping_entries().get("volatility")
    if 0 not in points:
        field.raise_error("has no price at 00:00")
    if max(points) < duration:
        field.raise_error("has no price at the end of the scenario or after it")
    for time in points:
        if time % block_time:
            field.raise_error(f"has a price at {time} seconds, which is not a block's time")
    if volatility is None:
        field.raise_error("'volatility' is missing")
    return PricePath(points, published, volatility.read_bounded(quantity_units.read_basis_points, 0, 5_000))


def _read_price_column(section: Section, duration: int, block_time: int) -> PricePath:
    """Read prices from a column of a CSV file, one in each interval `every`; each holds until the next."""
    every, file, column = (
        section["every"].read_bounded(quantity_units.read_seconds, 1, DAY),
        section["file"],
        section["column"].text,
    )
    if every % block_time and block_time % every:
        section["every"].raise_error(
            f"and a block of {block_time} seconds: one must be a multiple of the other"
        )
    path, prices, rows = file.find_local_file(), [], []
    for number, cells in read_table(path, file.raise_error, (column,), exactly=False):
        try:
            value = quantity_units.read_price_as_ray(f"{cells[column]} USD")
        except ValueError:
            value = 0
        if not 0 < value <= MAX_PRICE:
            problem = f"{cells[column]!r} is not a price: write a number above 0, as 195.21"
            file.raise_error(f"{path.name}: row {number}, column {column}: {problem}")
        prices.append(value)
        rows.append(number)
    refuse_isolated_prints(section, rows, prices)
    if (len(prices) - 1) * every < duration:
        file.raise_error(f"has {len(prices):,} prices, and none at the end of the scenario or after it")
    times = range(0, duration + 1, block_time)
    return PricePath({time: prices[time // every] for time in times}, frozenset(), 0)


def read_market_depth(field: Field, block_time: int) -> MarketDepth:
    """Read a collateral market's depth, and how fast it follows the outside price."""
    section = field.read_section(
        ("fee", "every", "recovery", "tolerance"), ("depth", "debt_to_depth", "depth_after_fall")
    )
    every = section["every"].read_bounded(quantity_units.read_seconds, block_time, DAY)
    depth = debt_to_depth = 0
    if field.find_given_exclusive_key("depth", "debt_to_depth") == "depth":
        depth = section["depth"].read_bounded(quantity_units.read_stablecoin, 10**18, 10**28)
    else:
        debt_to_depth = section["debt_to_depth"].read_bounded(quantity_units.read_basis_points, 1, 10_000_000)
    return MarketDepth(
        depth=depth,
        debt_to_depth=debt_to_depth,
        every=every,
        recovery=section["recovery"].read_bounded(quantity_units.read_seconds, every, 7 * DAY),
        tolerance=section["tolerance"].read_bounded(quantity_units.read_basis_points, 0, 5_000),
        depth_after_fall=(
            _read_depth_after_fall(section["depth_after_fall"], block_time)
            if "depth_after_fall" in section
            else None
        ),
    )


def _read_depth_after_fall(field: Field, block_time: int) -> DepthAfterFall:
    """Read how a market's depth shrinks after a price fall."""
    section = field.read_section(("within", "fall", "depth"))
    return DepthAfterFall(
        within=section["within"].read_bounded(quantity_units.read_seconds, block_time, 7 * DAY),
        fall=section["fall"].read_bounded(quantity_units.read_basis_points, 1, 9_999),
        depth=section["depth"].read_bounded(quantity_units.read_basis_points, 1, 10_000),
    )
