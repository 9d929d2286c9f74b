"""Table of published figures beside ours: the difference, its bound, and whether it holds.

Figures are exact fractions, rounded only for print, half away from zero.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from pathlib import Path
from typing import Any

from backstop.errors import BackstopError
from backstop.files.atomic_files import write_files

Number = int | Fraction


@dataclass(frozen=True)
class Bound:
    """Largest allowed distance of our figure from a published one, or a range that must contain it.

    `kind` is "by" for an absolute difference, and "share" for one relative to the published figure. It is
    "factor" for the ratio of both figures, either way. With "range" the published figure must lie between
    `value` and `highest`.
    """

    kind: str
    value: Fraction
    highest: Fraction | None = None

    def is_satisfied(self, published: Fraction, ours: Fraction) -> bool:
        """Return whether both figures agree within the bound, the bound itself included."""
        if self.highest is not None:
            return self.value <= published <= self.highest
        if self.kind == "factor":
            low, high = sorted((abs(published), abs(ours)))
            return published * ours > 0 and high <= low * self.value
        allowed = self.value * (abs(published) if self.kind == "share" else 1)
        return abs(ours - published) <= allowed

    def format_tolerance(self, unit: str) -> str:
        """Return the bound as text for the table, for example "10%", "factor 3" or "exact"."""
        if self.highest is not None:
            return f"{format_plain(self.value)} to {format_plain(self.highest)} {unit}".strip()
        if self.kind == "factor":
            return f"factor {format_plain(self.value)}"
        if self.kind == "share":
            return f"{format_plain(100 * self.value)}%"
        return "exact" if self.value == 0 else f"{format_plain(self.value)} {unit}".strip()

    def as_json(self) -> list[str]:
        """Return the kind and the exact values as a list of texts."""
        return [self.kind, *(str(each) for each in (self.value, self.highest) if each is not None)]


EXACT = Bound("by", Fraction(0))


def build_absolute_tolerance(value: Number) -> Bound:
    """Return a bound on the absolute difference of both figures, in their unit."""
    return Bound("by", Fraction(value))


def build_percent_tolerance(percent: Number) -> Bound:
    """Return a bound on the difference, in per cent of the published figure."""
    return Bound("share", Fraction(percent, 100))


def build_ratio_tolerance(value: Number) -> Bound:
    """Return a bound on the ratio of both figures, whichever is larger."""
    return Bound("factor", Fraction(value))


def build_range(values: Sequence[Number], places: int = 0) -> Bound:
    """Return a bound that requires the published figure to lie in the range of these values.

    Both ends are rounded outward to `places` digits.
    """
    unit = 10**places
    return Bound("range", Fraction(floor(min(values) * unit), unit), Fraction(ceil(max(values) * unit), unit))


@dataclass(frozen=True)
class FigureRow:
    """One of our figures beside the published one.

    It agrees or disagrees only if there are a published figure and a bound.
    """

    figure: str
    ours: Fraction
    published: Fraction | None = None
    bound: Bound | None = None
    unit: str = ""
    places: int = 0  # digits after the point, in print
    source: int = 0  # its number in the list of sources; 0 is none

    @property
    def difference_from_published(self) -> Fraction | None:
        """Our figure less the published figure; None if nothing is published."""
        return None if self.published is None else self.ours - self.published

    @property
    def agrees(self) -> bool | None:
        """True if both figures agree within the bound; None without a bound or a published figure."""
        if self.published is None or self.bound is None:
            return None
        return self.bound.is_satisfied(self.published, self.ours)

    def format_cells(self) -> tuple[str, ...]:
        """Return the texts of the row's cells, in the order of HEADER."""

        def shown(value: Fraction | None) -> str:
            return "" if value is None else f"{format_decimal(value, self.places)} {self.unit}".strip()

        return (
            self.figure,
            shown(self.published),
            shown(self.ours),
            ""
            if self.difference_from_published is None
            else format_decimal(self.difference_from_published, self.places, sign=True),
            "" if self.bound is None or self.published is None else self.bound.format_tolerance(self.unit),
            {None: "", True: "yes", False: "NO"}[self.agrees],
            f"[{self.source}]" if self.source else "",
        )


HEADER = ("figure", "published", "ours", "difference", "bound", "agrees", "source")


def build_row(
    figure: str,
    ours: Number,
    published: Number | None = None,
    bound: Bound | None = None,
    *,
    unit: str = "",
    places: int = 0,
    source: int = 0,
) -> FigureRow:
    """Return a row of the table; integers become fractions.

    `places` is the number of printed decimals, `source` the number in the list of sources (0 for none).
    """
    known = None if published is None else Fraction(published)
    return FigureRow(figure, Fraction(ours), known, bound, unit, places, source)


@dataclass(frozen=True)
class Reproduction:
    """Result of a reproduction: rows of published figures beside ours, with sources.

    `name` is the name on the command line. Sources are numbered from 1.
    """

    name: str
    title: str
    sources: Sequence[str]
    rows: Sequence[FigureRow]
    remarks: Sequence[str] = ()  # assumptions that move the figures, and causes of differences

    @property
    def compared_count(self) -> int:
        """Number of rows with a published figure and a bound."""
        return sum(each.agrees is not None for each in self.rows)

    @property
    def agreed_count(self) -> int:
        """Number of rows with figures that agree within the bound."""
        return sum(each.agrees is True for each in self.rows)

    def iter_lines(self) -> Iterator[str]:
        """Yield the lines of an aligned Markdown table, the count of agreements, and the sources."""
        cells = [HEADER, *(each.format_cells() for each in self.rows)]
        widths = [max(len(line[i]) for line in cells) for i in range(len(HEADER))]
        right = (1, 2, 3)

        def padded(line: Sequence[str]) -> str:
            filled = (
                text.rjust(width) if i in right else text.ljust(width)
                for i, (text, width) in enumerate(zip(line, widths, strict=True))
            )
            return f"| {' | '.join(filled)} |"

        rule = ("-" * (width - 1) + ":" if i in right else "-" * width for i, width in enumerate(widths))
        yield padded(HEADER)
        yield f"| {' | '.join(rule)} |"
        yield from (padded(line) for line in cells[1:])
        yield ""
        yield f"{self.agreed_count} of {self.compared_count} figures agree within their bounds."
        yield ""
        yield from (f"- [{i}] {source}" for i, source in enumerate(self.sources, 1))

    def format_markdown(self) -> str:
        """Return the title and the table as Markdown."""
        return f"## {self.title}\n\n" + "\n".join(self.iter_lines()) + "\n"

    def as_json(self) -> dict[str, Any]:
        """Return the exact result for JSON; fractions are texts `numerator/denominator`."""

        def format_fraction(value: Fraction | None) -> str | None:
            return None if value is None else str(value)

        return {
            "schema_version": 1,
            "name": self.name,
            "title": self.title,
            "compared": self.compared_count,
            "agreed": self.agreed_count,
            "sources": list(self.sources),
            "remarks": list(self.remarks),
            "rows": [
                {
                    "figure": each.figure,
                    "unit": each.unit,
                    "published": format_fraction(each.published),
                    "ours": format_fraction(each.ours),
                    "difference": format_fraction(each.difference_from_published),
                    "bound": None if each.bound is None else each.bound.as_json(),
                    "agrees": each.agrees,
                    "source": self.sources[each.source - 1] if each.source else None,
                    "text": list(each.format_cells()),
                }
                for each in self.rows
            ],
        }


def format_decimal(value: Number, places: int, *, sign: bool = False) -> str:
    """Return a number with `places` decimals and commas, rounded half away from zero.

    With `sign`, a positive number gets a plus sign.
    """
    scaled = (2 * abs(Fraction(value)) * 10**places + 1) // 2
    whole, rest = divmod(int(scaled), 10**places)
    digits = f"{whole:,}" + (f".{rest:0{places}}" if places else "")
    if not scaled:
        return digits
    return ("-" if value < 0 else "+" if sign else "") + digits


def format_plain(value: Fraction) -> str:
    """Return a number with up to 18 decimals, without trailing zeros."""
    return format_decimal(value, 18).rstrip("0").rstrip(".")


def write_reproduction(result: Reproduction, out: Path) -> None:
    """Write NAME.md and NAME.json to the directory `out`, which is created if missing.

    Raises BackstopError if a file cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BackstopError(f"{out} cannot be written: {error.strerror or error}") from None
    exact = json.dumps(result.as_json(), indent=2, sort_keys=True) + "\n"
    write_files(out, {f"{result.name}.md": result.format_markdown(), f"{result.name}.json": exact})
