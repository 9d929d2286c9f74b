"""The section `owners` of a scenario: its defaults, read, and what was measured, written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from backstop.model.arithmetic import BASIS_POINTS
from backstop.simulation.scenario.parameters_yaml_writer import format_decimal
from backstop.simulation.scenario.quantity_units import (
    BILLION,
    read_basis_points,
    read_percent_as_billionths,
    read_whole_stablecoin_count,
)
from backstop.simulation.scenario.yaml_document_reader import Field, Section, read_document
from backstop.simulation.sources import column_mapping
from backstop.studies.calibration.jackknife import round_figure
from backstop.studies.calibration.owner_acts import PARTS, ActLaw
from backstop.studies.calibration.owner_estimates import DISTANCES, FALLS, RELEASE_DISTANCES, OwnerRates
from backstop.studies.calibration.owner_history import DEFENCES, RELEASES

DEFAULTS = Path(column_mapping.__file__).parent / "default_owners.yaml"
"""The section that stands in for what an event file cannot measure."""
HEAVIEST = 100
"""Largest factor that is written."""

T = TypeVar("T")


class OwnerLaw:
    """All parameters of the section `owners`, as numbers."""

    def __init__(self, rates: OwnerRates, large_debt: int | None, defend: ActLaw, release: ActLaw) -> None:
        self.rates = rates
        self.large_debt = large_debt  # whole stablecoins; None: size does not matter
        self.defend = defend
        self.release = release


def read_owner_law(path: Path = DEFAULTS) -> OwnerLaw:
    """Read the section `owners` of a file whose distances and falls are those that are measured."""
    top = read_document(path)
    section = top.read_section(("owners",))["owners"].read_section(("every", "idle", "defend", "release"))
    defend = section["defend"].read_section(
        ("distances", "chances", "within", "falls", "factors", "ways", "sizes", "least"), ("large",)
    )
    release = section["release"].read_section(("distances", "chances", "ways", "sizes", "least"))
    for field, text in ((section["every"], "1 h"), (defend["within"], "24 h")):
        if field.text != text:
            field.raise_error(f"{field.text!r} is not {text}, over which is measured")
    for field, bounds in (
        (defend["distances"], DISTANCES),
        (defend["falls"], FALLS),
        (release["distances"], RELEASE_DISTANCES),
    ):
        if _read_list(field, read_basis_points, len(bounds)) != bounds:
            listed = ", ".join(f"{format_decimal(each, 100)}%" for each in bounds)
            field.raise_error(f"are not those that are measured: {listed}")
    large = defend["large"].read_section(("debt", "factor")) if "large" in defend else None
    rates = OwnerRates(
        idle=section["idle"].read_bounded(read_percent_as_billionths, 0, BILLION) / BILLION,
        chances=_read_shares(defend["chances"], len(DISTANCES) + 1),
        factors=tuple(
            each / BASIS_POINTS for each in _read_list(defend["factors"], read_basis_points, len(FALLS))
        ),
        large=1.0 if large is None else large["factor"].read_value(read_basis_points) / BASIS_POINTS,
        releases=_read_shares(release["chances"], len(RELEASE_DISTANCES) + 1),
    )
    return OwnerLaw(
        rates,
        None if large is None else large["debt"].read_value(read_whole_stablecoin_count),
        _read_act_law(defend, DEFENCES),
        _read_act_law(release, RELEASES),
    )


def _read_act_law(section: Section, ways: Sequence[str]) -> ActLaw:
    shares = section["ways"].read_section(ways)
    return ActLaw(
        ways=tuple(
            shares[way].read_bounded(read_percent_as_billionths, 0, BILLION) / BILLION for way in ways
        ),
        sizes=tuple(
            each / BASIS_POINTS for each in _read_list(section["sizes"], read_basis_points, PARTS + 1)
        ),
        least=section["least"].read_value(read_basis_points),
    )


def _read_list(field: Field, reader: Callable[[str], T], count: int) -> tuple[T, ...]:
    entries = field.read_items()
    if len(entries) != count:
        field.raise_error(f"has {len(entries)} entries, expected {count}")
    return tuple(each.read_value(reader) for each in entries)


def _read_shares(field: Field, count: int) -> tuple[float, ...]:
    return tuple(each / BILLION for each in _read_list(field, read_percent_as_billionths, count))


def write_owner_section(law: OwnerLaw, comments: Sequence[str]) -> str:
    """Return the section as YAML under its comments: shares to four digits, sizes to two decimals."""
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
    """Write basis points as `2.5%`."""
    return f"{format_decimal(value, 100)}%"


def format_share(value: float) -> str:
    """Write a share as `11.83%`: four digits that count, seven decimals at most."""
    text = f"{round_figure(100 * min(1.0, value)):.7f}".rstrip("0").rstrip(".")
    return f"{text}%"


def format_factor(value: float) -> str:
    """Write a factor as `2.612 x`, 100 x at most."""
    text = f"{round_figure(min(HEAVIEST, value)):.4f}".rstrip("0").rstrip(".")
    return f"{text} x"


def format_size(value: float) -> str:
    """Write a part of the debt as `13.25%`, 100% at most."""
    text = f"{100 * min(1.0, value):.2f}".rstrip("0").rstrip(".")
    return f"{text}%"


def split_whole(shares: Sequence[float]) -> list[int]:
    """Return shares in thousandths that add up to 1,000: the largest remainders are rounded up."""
    exact = [1_000 * each for each in shares]
    found = [int(each) for each in exact]
    places = sorted(range(len(exact)), key=lambda i: (found[i] - exact[i], i))
    for i in places[: 1_000 - sum(found)]:
        found[i] += 1
    return found
