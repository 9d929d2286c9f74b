"""Liquidation ratio and penalty of each type of an imported book, and the source of each.

The order of precedence: a given ratio, the file's threshold, the known system's, 150%.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from backstop.errors import BackstopError
from backstop.model.arithmetic import BASIS_POINTS
from backstop.model.bounds import MAX_RATIO
from backstop.simulation.scenario import quantity_units
from backstop.simulation.scenario.parameters_yaml_writer import format_decimal
from backstop.simulation.scenario.scenario_records import TypeAssets
from backstop.simulation.sources.book_reader import VaultBook
from backstop.simulation.sources.liquidation_terms import (
    LiquidationTerms,
    TermsSource,
    describe_liquidation_terms,
    read_liquidation_terms,
)

RATIO = "150%"
ASSUMED = f"assumed: {RATIO}, as neither the file nor a table has one"
ROOM = 500  # basis points between the two ratios
_MOST_PENALTY = 1_300


class TypeTerms(NamedTuple):
    """Liquidation ratio and penalty of one collateral type [basis points], with their sources."""

    ratio: int
    penalty: int
    ratio_source: str
    penalty_source: str
    ratio_terms: LiquidationTerms | None
    penalty_terms: LiquidationTerms | None


def choose_type_terms(book: VaultBook, ratios: Mapping[str, str]) -> dict[str, TypeTerms]:
    """Return the liquidation terms of each collateral type of a book.

    The ratio comes from `ratios`, else from the book's thresholds, else from the known system, else it is
    150%. The system's penalty applies only with a ratio of at least the system's own. Otherwise the penalty
    is half of the ratio's excess over 100%, rounded down, at most 13%: a vault that just became unsafe cannot
    pay more.
    """
    table, found = read_liquidation_terms(book.system), {}
    for symbol in book.symbols:
        known = table.get(book.assets.get(symbol, TypeAssets(symbol)).collateral)
        is_said = symbol in ratios or symbol in book.ratios
        of_ratio = None if is_said else known
        if symbol in ratios:
            ratio, ratio_source = _parse_given_ratio(symbol, ratios[symbol]), "given: --ratio"
        elif symbol in book.ratios:
            ratio, ratio_source = book.ratios[symbol], f"{book.name}: one over its threshold"
        elif known is not None:
            ratio, ratio_source = known.ratio, _describe_source(known.source)
        else:
            ratio, ratio_source = quantity_units.read_basis_points(RATIO), ASSUMED
        of_penalty = known if known is not None and ratio >= known.ratio else None
        if of_penalty is not None:
            penalty, penalty_source = of_penalty.penalty, _describe_source(of_penalty.source)
        else:
            penalty = min(_MOST_PENALTY, (ratio - BASIS_POINTS) // 2)
            penalty_source = "assumed: half of what the ratio is above 100%, at most 13%"
        found[symbol] = TypeTerms(ratio, penalty, ratio_source, penalty_source, of_ratio, of_penalty)
    return found


def list_terms_assumptions(book: VaultBook, terms: Mapping[str, TypeTerms]) -> list[str]:
    """Return sentences on terms taken from a known system, and on types with the default ratio."""
    lines = describe_liquidation_terms(
        {symbol: each.ratio_terms for symbol, each in terms.items() if each.ratio_terms is not None},
        {symbol: each.penalty_terms for symbol, each in terms.items() if each.penalty_terms is not None},
    )
    guessed = [symbol for symbol, each in terms.items() if each.ratio_source == ASSUMED]
    if guessed and (book.system or len(guessed) < len(terms)):
        lines.append(f"Without a known liquidation ratio, and at {RATIO}: {', '.join(guessed)}.")
    return lines


def list_terms_sources(terms: Iterable[TypeTerms]) -> list[dict[str, str]]:
    """Return each source of known systems' terms once: title, date, address and note."""
    known = [each for of in terms for each in (of.ratio_terms, of.penalty_terms) if each is not None]
    return [source._asdict() for source in dict.fromkeys(each.source for each in known)]


def _parse_given_ratio(symbol: str, text: str) -> int:
    try:
        value = quantity_units.read_basis_points(text)
    except ValueError as error:
        raise BackstopError(f"ratios: {symbol}: {error}") from None
    if not BASIS_POINTS <= value <= MAX_RATIO - ROOM:
        highest = format_decimal(MAX_RATIO - ROOM, 100)
        raise BackstopError(f"ratios: {symbol}: {text!r} is not between 100% and {highest}%")
    return value


def _describe_source(source: TermsSource) -> str:
    return f"{source.title}, {source.date}"
