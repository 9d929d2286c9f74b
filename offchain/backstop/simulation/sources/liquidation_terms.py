"""Liquidation terms of known systems: the ratio and the penalty of each collateral, with their source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from backstop.simulation.scenario.parameters_yaml_writer import format_decimal
from backstop.simulation.scenario.quantity_units import read_basis_points
from backstop.simulation.scenario.yaml_document_reader import read_document

TABLE = Path(__file__).parent / "liquidation_terms.yaml"


class TermsSource(NamedTuple):
    """Source of liquidation terms: title, address, date and note."""

    title: str
    address: str
    date: str
    note: str


class LiquidationTerms(NamedTuple):
    """Liquidation ratio and penalty of one collateral [basis points], with their source."""

    ratio: int  # collateral over debt
    penalty: int  # over the debt
    source: TermsSource


def list_known_systems() -> list[str]:
    """Return the names of lending systems with known liquidation terms, sorted."""
    return sorted(read_document(TABLE).read_mapping_entries())


def read_liquidation_terms(system: str) -> dict[str, LiquidationTerms]:
    """Return a system's liquidation terms by collateral; empty for an unknown system."""
    systems = read_document(TABLE).read_mapping_entries()
    found: dict[str, LiquidationTerms] = {}
    for entry in systems[system].read_items() if system in systems else ():
        section = entry.read_section(("source", "licence", "title", "date", "collateral"), ("note",))
        note = section["note"].text if "note" in section else ""
        source = TermsSource(section["title"].text, section["source"].text, section["date"].text, note)
        for symbol, given in section["collateral"].read_mapping_entries().items():
            terms = given.read_section(("ratio", "penalty"))
            ratio, penalty = (terms[name].read_value(read_basis_points) for name in ("ratio", "penalty"))
            found[symbol] = LiquidationTerms(ratio, penalty, source)
    return found


def describe_liquidation_terms(
    ratios: Mapping[str, LiquidationTerms], penalties: Mapping[str, LiquidationTerms]
) -> list[str]:
    """Return a sentence for each source that lists the ratios and penalties taken from it."""
    lines = []
    for source in dict.fromkeys(terms.source for terms in (*ratios.values(), *penalties.values())):
        parts = []
        for what, of in (("liquidation ratio", ratios), ("penalty", penalties)):
            listed = _list_figures(
                (symbol, terms.ratio if of is ratios else terms.penalty)
                for symbol, terms in of.items()
                if terms.source == source
            )
            parts += [f"{what} of {listed}"] if listed else []
        note = f" {source.note}" if source.note else ""
        text = f"{'; '.join(parts)}: {source.title}, {source.date}, {source.address}.{note}"
        lines.append(text[0].upper() + text[1:])
    return lines


def _list_figures(figures: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{symbol} {format_decimal(figure, 100)}%" for symbol, figure in figures)
