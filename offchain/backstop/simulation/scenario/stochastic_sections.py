"""The sections of a scenario that leave something to chance: models of prices, spells, correlations."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import Any

from backstop.keepers.keeper_group_settings import RandomOutages
from backstop.model.bounds import MAX_PRICE
from backstop.simulation.scenario import quantity_units
from backstop.simulation.scenario.csv_table import read_table
from backstop.simulation.scenario.deterministic_float import compute_natural_log, decompose_cholesky
from backstop.simulation.scenario.isolated_print_refusal import refuse_isolated_prints
from backstop.simulation.scenario.scenario_random_processes import (
    BILLIONTH,
    FeedFault,
    GasSpike,
    PriceCrash,
    PriceJumps,
    PriceModel,
    build_correlation_matrix,
)
from backstop.simulation.scenario.scenario_records import PricePath
from backstop.simulation.scenario.yaml_document_reader import Field, Section

DAY = 86_400
YEAR = 365 * DAY
# A price that moves more than this in a year says nothing.
_MOST = 100 * BILLIONTH

_KINDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "brownian": (("drift", "volatility"), ("degrees", "jumps", "crash")),
    "garch": (("drift", "volatility", "alpha", "beta"), ("degrees", "jumps", "crash")),
    "peg": (("volatility", "reversion"), ("degrees", "jumps", "crash")),
    "bootstrap": (("file", "column", "every", "run"), ("crash", "prints")),
}
"""The fields that each kind of model needs, and its optional fields."""


def read_price_model(field: Field, block_time: int) -> PricePath:
    """Read a random price model: its first price, and the process by which it moves."""
    kind = field.read_mapping_entries().get("kind")
    if kind is None:
        field.raise_error("'kind' is missing")
    required, optional = _KINDS[kind.read_choice(tuple(_KINDS))]
    section = field.read_section(("kind", "start", *required), ("like", *optional))

    def given(name: str, least: int, most: int) -> int:
        return (
            section[name].read_bounded(quantity_units.read_yearly_billionths, least, most)
            if name in section
            else 0
        )

    def share(name: str) -> int:
        return (
            section[name].read_bounded(quantity_units.read_percent_as_billionths, 0, BILLIONTH)
            if name in section
            else 0
        )

    if share("alpha") + share("beta") >= BILLIONTH:
        section["beta"].raise_error("with alpha is 100% or more: the variance would grow without bound")
    model = PriceModel(
        kind=kind.text,
        drift=given("drift", -_MOST, _MOST),
        volatility=given("volatility", 0, _MOST),
        degrees=section["degrees"].read_bounded(quantity_units.read_whole_number, 3, 1_000)
        if "degrees" in section
        else 0,
        jumps=_read_random_jumps(section["jumps"]) if "jumps" in section else None,
        alpha=share("alpha"),
        beta=share("beta"),
        reversion=section["reversion"].read_bounded(quantity_units.read_seconds, 1, YEAR)
        if "reversion" in section
        else 0,
        crash=_read_crash_size_and_recovery(section["crash"]) if "crash" in section else None,
        **(_read_bootstrap(section, block_time) if "file" in section else {}),
    )
    start = section["start"].read_bounded(quantity_units.read_price_as_ray, 1, MAX_PRICE)
    return PricePath({0: start}, frozenset(), 0, model)


def _read_random_jumps(field: Field) -> PriceJumps:
    section = field.read_section(("every", "mean", "deviation"), ("cause",))
    return PriceJumps(
        every=section["every"].read_bounded(quantity_units.read_seconds, 60, 100 * YEAR),
        mean=section["mean"].read_bounded(
            quantity_units.read_percent_as_billionths, -5 * BILLIONTH, 5 * BILLIONTH
        ),
        deviation=section["deviation"].read_bounded(
            quantity_units.read_percent_as_billionths, 0, 5 * BILLIONTH
        ),
        cause=section["cause"].text if "cause" in section else "",
    )


def _read_crash_size_and_recovery(field: Field) -> PriceCrash:
    section = field.read_section(("fall",), ("deviation", "recovery"))
    deviation, recovery = section.get("deviation"), section.get("recovery")
    return PriceCrash(
        fall=section["fall"].read_bounded(quantity_units.read_percent_as_billionths, 0, BILLIONTH - 1),
        deviation=0
        if deviation is None
        else deviation.read_bounded(quantity_units.read_percent_as_billionths, 0, BILLIONTH),
        recovery=0 if recovery is None else recovery.read_bounded(quantity_units.read_seconds, 1, YEAR),
    )


def _read_bootstrap(section: Section, block_time: int) -> dict[str, Any]:
    """Read the historical moves of a CSV column, one for each block.

    If rows are farther apart than blocks, a price holds until the next row.
    """
    every = section["every"].read_bounded(quantity_units.read_seconds, 1, DAY)
    if block_time % every and every % block_time:
        section["every"].raise_error("must divide the time of a block, or be a multiple of it")
    run = section["run"].read_bounded(quantity_units.read_seconds, block_time, YEAR)
    file = section["file"]
    prices = _read_price_column(section)[:: max(1, block_time // every)]
    if len(prices) < 3:
        file.raise_error("has prices for fewer than two blocks")
    moves = []
    for before, after in pairwise(prices):
        moves += [compute_natural_log(after / before), *[0.0] * (every // block_time - 1)]
    return {"returns": tuple(moves), "source": file.text, "run": run // block_time}


def _read_price_column(section: Section) -> list[float]:
    """Return the prices of a CSV file's column in order; isolated prints raise BackstopError."""
    file, name = section["file"], section["column"].text
    path, prices, rows = file.find_local_file(), [], []
    for number, cells in read_table(path, file.raise_error, (name,), exactly=False):
        try:
            price = float(cells[name])
        except ValueError:
            price = 0.0
        if not 0 < price < float("inf"):
            problem = f"{cells[name]!r} is not a price: write a number above 0, as 195.21"
            file.raise_error(f"{path.name}: row {number}, column {name}: {problem}")
        prices.append(price)
        rows.append(number)
    refuse_isolated_prints(section, rows, [max(1, int(Decimal(repr(each)).scaleb(27))) for each in prices])
    return prices


def read_pair_correlations(field: Field, prices: dict[str, PricePath]) -> dict[tuple[str, str], int]:
    """Read correlations of price moves by pair of modelled prices, such as `ETH/WBTC`.

    Raises BackstopError if they do not form a positive definite matrix.
    """
    known = [symbol for symbol, path in prices.items() if path.model is not None]
    found: dict[tuple[str, str], int] = {}
    for pair, entry in field.read_mapping_entries().items():
        one, _, other = pair.partition("/")
        if one not in known or other not in known or one == other:
            entry.raise_error(
                f"{pair!r} is not a pair, as A/B, of prices that have a model: {', '.join(known)}"
            )
        if (other, one) in found:
            entry.raise_error("this pair is given twice")
        found[one, other] = entry.read_bounded(
            quantity_units.read_percent_as_billionths, -BILLIONTH, BILLIONTH
        )
    try:
        decompose_cholesky(build_correlation_matrix(known, found))
    except ValueError:
        field.raise_error("is not a correlation matrix: moves cannot be correlated like this, nor by 100%")
    return found


def read_random_outages(section: Section) -> RandomOutages:
    """Read the average interval, average length and cause of random outages."""
    cause = section.get("cause")
    return RandomOutages(
        every=section["every"].read_bounded(quantity_units.read_seconds, 60, 100 * YEAR),
        lasts=section["lasts"].read_bounded(quantity_units.read_seconds, 1, YEAR),
        cause="" if cause is None else cause.text,
    )


def read_random_keeper_outages(field: Field) -> RandomOutages:
    """Read the random outages of a group of keepers."""
    return read_random_outages(field.read_section(("every", "lasts"), ("cause",)))


def read_random_gas_spike_terms(field: Field) -> GasSpike:
    """Read the section `spikes`: interval, length, gas price factor, and share of blocks."""
    section = field.read_section(("every", "lasts", "factor", "share"), ("cause",))
    return GasSpike(
        read_random_outages(section),
        factor=section["factor"].read_bounded(quantity_units.read_basis_points, 1, 10_000_000),
        share=section["share"].read_bounded(quantity_units.read_basis_points, 0, 10_000),
    )


def read_feed_faults(field: Field, symbols: tuple[str, ...]) -> dict[str, tuple[FeedFault, ...]]:
    """Read the random faults of price sources that reporters read, by symbol."""
    found = {}
    for symbol, entry in field.read_mapping_entries().items():
        if symbol not in symbols:
            entry.raise_error(f"{symbol!r} is not one of: {', '.join(symbols)}")
        kinds = entry.read_section((), ("stuck", "delayed", "wrong"))
        found[symbol] = tuple(_read_feed_fault(kind, kinds[kind]) for kind in kinds)
    return found


def _read_feed_fault(kind: str, field: Field) -> FeedFault:
    extra = () if kind == "stuck" else ("by",)
    section = field.read_section(("every", "lasts", *extra), ("cause",))
    by = 0
    if kind == "delayed":
        by = section["by"].read_bounded(quantity_units.read_seconds, 1, YEAR)
    elif kind == "wrong":
        by = section["by"].read_bounded(quantity_units.read_basis_points, 1, 9_999)
    return FeedFault(kind, read_random_outages(section), by)
