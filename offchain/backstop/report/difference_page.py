"""Page of the difference of two runs: both strips, then every figure of both summaries side by side."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from markupsafe import Markup

from backstop.errors import BackstopError
from backstop.files.atomic_files import write_files
from backstop.model.arithmetic import RAD, RAY
from backstop.report.exact_amount_markup import get_figure_unit, render_amount, render_count
from backstop.report.page_links import REPORT
from backstop.report.rendering import render_template
from backstop.report.result_kinds import find_result_kind, read_result_summary
from backstop.report.summary_panel import LossStrip, build_run_loss_strip
from backstop.simulation.loss_totals import add_loss_totals

FILE = "difference.html"
_NAMES = ("name", "symbol", "group", "stage", "account", "series")  # by which an entry of a list is known
_TO_RAD = {"rad": 1, "wad": RAY, "micro": RAD // 10**6}  # units of money
_LEFT_OUT = ("started_at", "ended_at", "schema_version", "seed", "block_seconds")  # no results


class DifferenceRow(NamedTuple):
    """Figure of two runs side by side, with their difference; a dash where a run lacks it."""

    name: str
    one: Markup | str
    other: Markup | str
    change: Markup | str
    differs: bool
    order: tuple[bool, int]  # money first, then by the size of the change


def write_page(directory: Path, other: Path) -> Path:
    """Write the page `difference.html` that compares a run with another, and return its path."""
    one, two = _read_run_summary(directory), _read_run_summary(other)
    rows = list_compared_figures(one, two)
    differing = sorted((row for row in rows if row.differs), key=lambda row: row.order)
    strips = [build_run_loss_strip(one), build_run_loss_strip(two)]
    text = render_template(
        "difference.html",
        one,
        [],
        other=two,
        strips=strips,
        ways=[_build_run_name_and_page_href(directory, each) for each in (directory, other)],
        rows=[*differing, *(row for row in rows if not row.differs)],
        answers={
            "figures": Markup("{} of {} differ").format(len(differing), render_count(len(rows), "figure"))
        },
        finding=_describe_difference_counts(strips, len(differing), len(rows)),
    )
    write_files(directory, {FILE: text})
    return directory / FILE


def list_compared_figures(
    run_summary: Mapping[str, Any], other_summary: Mapping[str, Any]
) -> list[DifferenceRow]:
    """Return all figures of two run summaries side by side, in the order of the first."""
    mine, theirs = dict(_iter_figures(run_summary)), dict(_iter_figures(other_summary))
    return [_build_row(name, mine.get(name), theirs.get(name)) for name in dict.fromkeys((*mine, *theirs))]


def _build_row(name: str, one: int | None, other: int | None) -> DifferenceRow:
    unit = get_figure_unit(name)
    shown = ["–" if value is None else render_amount(value, unit) for value in (one, other)]
    change = "–" if one is None or other is None else render_amount(one - other, unit)
    size = abs((one or 0) - (other or 0)) * _TO_RAD.get(unit, 1)
    return DifferenceRow(name, shown[0], shown[1], change, one != other, (unit not in _TO_RAD, -size))


def _iter_figures(value: Any, path: str = "") -> Iterator[tuple[str, int]]:
    """Yield each integer of a nested summary with its dotted path."""
    if isinstance(value, Mapping):
        for name, each in value.items():
            if name not in _LEFT_OUT:
                yield from _iter_figures(each, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for i, each in enumerate(value):
            names = [str(each[name]) for name in _NAMES if name in each] if isinstance(each, Mapping) else []
            yield from _iter_figures(each, f"{path}.{names[0].replace('.', '_') if names else i}")
    elif isinstance(value, int) and not isinstance(value, bool):
        yield path, value
    elif isinstance(value, str) and value.removeprefix("-").isdecimal():
        yield path, int(value)


def _describe_difference_counts(strips: list[LossStrip | None], differing: int, figures: int) -> Markup:
    if differing == 0:
        return Markup("Nothing differs: {} are the same in both runs.").format(
            render_count(figures, "figure")
        )
    here, there = (0 if each is None else each.total_rad for each in strips)
    return Markup("{} of {} {}. In all {} was lost here and {} there{}.").format(
        render_amount(differing, "count"),
        render_count(figures, "figure"),
        "differs" if differing == 1 else "differ",
        render_amount(here, "rad"),
        render_amount(there, "rad"),
        Markup(": {} {}").format(render_amount(abs(here - there), "rad"), "more" if here > there else "less")
        if here != there
        else "",
    )


def _read_run_summary(directory: Path) -> dict[str, Any]:
    kind = find_result_kind(directory)
    if kind is None or kind.name != "run":
        raise BackstopError(f"{directory} is not the folder of a run: only runs are set against each other")
    return add_loss_totals(read_result_summary(directory, kind))


def _build_run_name_and_page_href(directory: Path, run_folder: Path) -> tuple[str, str | None]:
    there = (run_folder / REPORT).is_file()
    return run_folder.name or str(run_folder), quote(
        os.path.relpath(run_folder / REPORT, directory)
    ) if there else None
