"""The section `owners` of a scenario: its defaults are read, and the measured law is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from backstop.model.arithmetic import BASIS_POINTS, WAD
from backstop.simulation.scenario.owner_behavior import BILLION, DEFENCES, RELEASES, OwnerAction
from backstop.simulation.scenario.owners_section import read_owner_behavior
from backstop.simulation.scenario.parameters_yaml_writer import format_decimal
from backstop.simulation.scenario.quantity_units import read_seconds
from backstop.simulation.scenario.yaml_document_reader import Field, read_document
from backstop.simulation.sources.default_owner_behavior import PATH as DEFAULTS
from backstop.studies.calibration.jackknife import round_figure
from backstop.studies.calibration.owner_acts import ActLaw
from backstop.studies.calibration.owner_estimates import DISTANCES, FALLS, RELEASE_DISTANCES, OwnerRates
from backstop.studies.calibration.owner_history import HOUR

HEAVIEST = 100
"""Largest factor that is written."""

T = TypeVar("T")


class OwnerLaw:
    """All parameters of the scenario section `owners`, as numbers."""

    def __init__(self, rates: OwnerRates, large_debt: int | None, defend: ActLaw, release: ActLaw) -> None:
        self.rates = rates
        self.large_debt = large_debt  # whole stablecoins; None: size does not matter
        self.defend = defend
        self.release = release


def read_owner_law(path: Path = DEFAULTS) -> OwnerLaw:
    """Read the owners' law from the section `owners` of a file.

    Raises BackstopError, with the line of the file, if its distances and price drops are not those that are
    measured.
    """
    section = read_document(path).read_section(("owners",))["owners"]
    found = read_owner_behavior(section, HOUR)
    for place, value, text in (("every", found.every, "1 h"), ("defend.within", found.within, "24 h")):
        if value != read_seconds(text):
            field = _find_field(section, place)
            field.raise_error(f"{field.text!r} is not {text}, over which is measured")
    for place, values, bounds in (
        ("defend.distances", found.defend.distances, DISTANCES),
        ("defend.falls", found.falls, FALLS),
        ("release.distances", found.release.distances, RELEASE_DISTANCES),
    ):
        if values != bounds:
            listed = _format_list(bounds, format_points).strip("[]")
            _find_field(section, place).raise_error(f"are not those that are measured: {listed}")
    rates = OwnerRates(
        idle=found.idle / BILLION,
        chances=tuple(each / BILLION for each in found.defend.chances),
        factors=tuple(each / BASIS_POINTS for each in found.factors),
        large=found.large_factor / BASIS_POINTS,
        releases=tuple(each / BILLION for each in found.release.chances),
    )
    large_debt = found.large_debt // WAD or None
    return OwnerLaw(rates, large_debt, _convert_act_law(found.defend), _convert_act_law(found.release))


def _find_field(section: Field, place: str) -> Field:
    """Return the field at a dotted path, or the section if the field is missing."""
    for name in place.split("."):
        entries = section.read_mapping_entries()
        if name not in entries:
            return section
        section = entries[name]
    return section


def _convert_act_law(action: OwnerAction) -> ActLaw:
    return ActLaw(
        ways=tuple(each / BILLION for each in action.ways),
        sizes=tuple(each / BASIS_POINTS for each in action.sizes),
        least=action.least,
    )


def write_owner_section(law: OwnerLaw, comments: Sequence[str]) -> str:
    """Return the section `owners` as YAML, below these comments.

    Shares have four significant digits, sizes two decimals.
    """
    rates = law.rates
    large = ""
    if law.large_debt is not None:
        large = f"    large: {{debt: {law.large_debt:_} stablecoin, factor: {format_factor(rates.large)}}}\n"
    return (
        "".join(f"# {each}\n" for each in comments)
        + "owners:\n"
        + "  every: 1 h\n"
        + f"  idle: {format_share(rates.idle)}\n"
        + "  defend:\n"
        + f"    distances: {_format_list(DISTANCES, format_points)}\n"
        + f"    chances: {_format_list(rates.chances, format_share)}\n"
        + "    within: 24 h\n"
        + f"    falls: {_format_list(FALLS, format_points)}\n"
        + f"    factors: {_format_list(rates.factors, format_factor)}\n"
        + large
        + _format_act_law(law.defend, DEFENCES)
        + "  release:\n"
        + f"    distances: {_format_list(RELEASE_DISTANCES, format_points)}\n"
        + f"    chances: {_format_list(rates.releases, format_share)}\n"
        + _format_act_law(law.release, RELEASES)
    )


def _format_act_law(law: ActLaw, ways: Sequence[str]) -> str:
    shares = split_whole(law.ways)
    listed = ", ".join(f"{way}: {format_decimal(each, 10)}%" for way, each in zip(ways, shares, strict=True))
    return (
        f"    ways: {{{listed}}}\n"
        f"    sizes: {_format_list(law.sizes, format_size)}\n"
        f"    least: {format_points(law.least)}\n"
    )


def _format_list(values: Sequence[T], write: Callable[[T], str]) -> str:
    return f"[{', '.join(write(each) for each in values)}]"


def format_points(value: int) -> str:
    """Return basis points as a text in per cent, for example `2.5%`."""
    return f"{format_decimal(value, 100)}%"


def format_share(value: float) -> str:
    """Return a share as `11.83%`, with four significant digits and at most seven decimals."""
    text = f"{round_figure(100 * min(1.0, value)):.7f}".rstrip("0").rstrip(".")
    return f"{text}%"


def format_factor(value: float) -> str:
    """Return a factor as `2.612 x`, at most 100 x."""
    text = f"{round_figure(min(HEAVIEST, value)):.4f}".rstrip("0").rstrip(".")
    return f"{text} x"


def format_size(value: float) -> str:
    """Return a part of the debt as `13.25%`, at most 100%."""
    text = f"{100 * min(1.0, value):.2f}".rstrip("0").rstrip(".")
    return f"{text}%"


def split_whole(shares: Sequence[float]) -> list[int]:
    """Return shares as integers in thousandths that add up to 1,000 (largest remainder method)."""
    exact = [1_000 * each for each in shares]
    found = [int(each) for each in exact]
    places = sorted(range(len(exact)), key=lambda i: (found[i] - exact[i], i))
    for i in places[: 1_000 - sum(found)]:
        found[i] += 1
    return found
