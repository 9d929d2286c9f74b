"""The sections of a scenario that leave something to chance: models of prices, spells, correlations."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from backstop.keepers.keeper_group import RandomOutages
from backstop.model.bounds import MAX_PRICE
from backstop.simulation.scenario import units
from backstop.simulation.scenario.document import Field, Section
from backstop.simulation.scenario.portable import cholesky, log
from backstop.simulation.scenario.processes import (
    BILLIONTH,
    Crash,
    Fault,
    Jumps,
    PriceModel,
    Spike,
    correlations,
)
from backstop.simulation.scenario.schema import PricePath
from backstop.simulation.scenario.table import read_table

DAY = 86_400
YEAR = 365 * DAY
# A price that moves more than this in a year says nothing.
_MOST = 100 * BILLIONTH

_KINDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "brownian": (("drift", "volatility"), ("degrees", "jumps", "crash")),
    "garch": (("drift", "volatility", "alpha", "beta"), ("degrees", "jumps", "crash")),
    "peg": (("volatility", "reversion"), ("degrees", "jumps", "crash")),
    "bootstrap": (("file", "column", "every", "run"), ("crash",)),
}
"""What each kind of model needs, and what it may have."""


def model_of(field: Field, block_time: int) -> PricePath:
    """Read a price that is drawn: where it starts, and how it moves."""
    kind = field.entries().get("kind")
    if kind is None:
        field.fail("'kind' is missing")
    required, optional = _KINDS[kind.choice(tuple(_KINDS))]
    section = field.section(("kind", "start", *required), ("like", *optional))

    def given(name: str, least: int, most: int) -> int:
        return section[name].between(units.billionths_a_year, least, most) if name in section else 0

    def share(name: str) -> int:
        return section[name].between(units.billionths, 0, BILLIONTH) if name in section else 0

    if share("alpha") + share("beta") >= BILLIONTH:
        section["beta"].fail("with alpha is 100% or more: the variance would grow without bound")
    model = PriceModel(
        kind=kind.text,
        drift=given("drift", -_MOST, _MOST),
        volatility=given("volatility", 0, _MOST),
        degrees=section["degrees"].between(units.count, 3, 1_000) if "degrees" in section else 0,
        jumps=_jumps(section["jumps"]) if "jumps" in section else None,
        alpha=share("alpha"),
        beta=share("beta"),
        reversion=section["reversion"].between(units.seconds, 1, YEAR) if "reversion" in section else 0,
        crash=_crash(section["crash"]) if "crash" in section else None,
        **(_bootstrap(section, block_time) if "file" in section else {}),
    )
    start = section["start"].between(units.price, 1, MAX_PRICE)
    return PricePath({0: start}, frozenset(), 0, model)


def _jumps(field: Field) -> Jumps:
    section = field.section(("every", "mean", "deviation"), ("cause",))
    return Jumps(
        every=section["every"].between(units.seconds, 60, 100 * YEAR),
        mean=section["mean"].between(units.billionths, -5 * BILLIONTH, 5 * BILLIONTH),
        deviation=section["deviation"].between(units.billionths, 0, 5 * BILLIONTH),
        cause=section["cause"].text if "cause" in section else "",
    )


def _crash(field: Field) -> Crash:
    section = field.section(("fall",), ("deviation", "recovery"))
    deviation, recovery = section.get("deviation"), section.get("recovery")
    return Crash(
        fall=section["fall"].between(units.billionths, 0, BILLIONTH - 1),
        deviation=0 if deviation is None else deviation.between(units.billionths, 0, BILLIONTH),
        recovery=0 if recovery is None else recovery.between(units.seconds, 1, YEAR),
    )


def _bootstrap(section: Section, block_time: int) -> dict[str, Any]:
    """Read the moves of a column of prices, one for each block.

    A price that is further from the next than a block is long holds till then.
    """
    every = section["every"].between(units.seconds, 1, DAY)
    if block_time % every and every % block_time:
        section["every"].fail("must divide the time of a block, or be a multiple of it")
    run = section["run"].between(units.seconds, block_time, YEAR)
    file = section["file"]
    prices = _column(file, section["column"])[:: max(1, block_time // every)]
    if len(prices) < 3:
        file.fail("has prices for fewer than two blocks")
    moves = []
    for before, after in pairwise(prices):
        moves += [log(after / before), *[0.0] * (every // block_time - 1)]
    return {"returns": tuple(moves), "source": file.text, "run": run // block_time}


def _column(file: Field, column: Field) -> list[float]:
    """Read the prices of a CSV file's column, from the first row to the last."""
    path, name, prices = file.beside(), column.text, []
    for number, cells in read_table(path, file.fail, (name,), exactly=False):
        try:
            price = float(cells[name])
        except ValueError:
            price = 0.0
        if not 0 < price < float("inf"):
            problem = f"{cells[name]!r} is no price: write a number above 0, as 195.21"
            file.fail(f"{path.name}: row {number}, column {name}: {problem}")
        prices.append(price)
    return prices


def correlation_of(field: Field, prices: dict[str, PricePath]) -> dict[tuple[str, str], int]:
    """Read pairs of prices that have models, as `ETH/WBTC`, and the correlation of their moves."""
    known = [symbol for symbol, path in prices.items() if path.model is not None]
    found: dict[tuple[str, str], int] = {}
    for pair, entry in field.entries().items():
        one, _, other = pair.partition("/")
        if one not in known or other not in known or one == other:
            entry.fail(f"{pair!r} is not a pair, as A/B, of prices that have a model: {', '.join(known)}")
        if (other, one) in found:
            entry.fail("this pair is given twice")
        found[one, other] = entry.between(units.billionths, -BILLIONTH, BILLIONTH)
    try:
        cholesky(correlations(known, found))
    except ValueError:
        field.fail("is no correlation matrix: moves cannot be correlated like this, nor by 100%")
    return found


def spells_of(section: Section) -> RandomOutages:
    """Read how often spells begin, how long they last, and what causes them."""
    cause = section.get("cause")
    return RandomOutages(
        every=section["every"].between(units.seconds, 60, 100 * YEAR),
        lasts=section["lasts"].between(units.seconds, 1, YEAR),
        cause="" if cause is None else cause.text,
    )


def fails_of(field: Field) -> RandomOutages:
    """Read when a group of keepers is down."""
    return spells_of(field.section(("every", "lasts"), ("cause",)))


def spike_of(field: Field) -> Spike:
    """Read `spikes`: frequency, length, gas-price factor, share of blocks."""
    section = field.section(("every", "lasts", "factor", "share"), ("cause",))
    return Spike(
        spells_of(section),
        factor=section["factor"].between(units.basis_points, 1, 10_000_000),
        share=section["share"].between(units.basis_points, 0, 10_000),
    )


def faults_of(field: Field, symbols: tuple[str, ...]) -> dict[str, tuple[Fault, ...]]:
    """Read what goes wrong with the sources that reporters read, by symbol."""
    found = {}
    for symbol, entry in field.entries().items():
        if symbol not in symbols:
            entry.fail(f"{symbol!r} is not one of: {', '.join(symbols)}")
        kinds = entry.section((), ("stuck", "delayed", "wrong"))
        found[symbol] = tuple(_fault(kind, kinds[kind]) for kind in kinds)
    return found


def _fault(kind: str, field: Field) -> Fault:
    extra = () if kind == "stuck" else ("by",)
    section = field.section(("every", "lasts", *extra), ("cause",))
    by = 0
    if kind == "delayed":
        by = section["by"].between(units.seconds, 1, YEAR)
    elif kind == "wrong":
        by = section["by"].between(units.basis_points, 1, 9_999)
    return Fault(kind, spells_of(section), by)
