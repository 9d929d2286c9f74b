"""Page of a comparison of systems: their losses, the payers, and the cause of each difference."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from backstop.files.atomic_files import write_files
from backstop.model.arithmetic import RAD
from backstop.report import amounts
from backstop.report.chart_parts import Chart, LegendKey
from backstop.report.exact_amount_markup import render_amount, render_duration
from backstop.report.named_bars import BarPart, build_stacked_bars
from backstop.report.page_links import link_run
from backstop.report.rendering import read_inline_file, render_template
from backstop.studies.comparison.run_comparison_lines import Line, read_figure
from backstop.studies.comparison.system_comparison import RESULT, list_payer_lines, name_cell
from backstop.studies.comparison.system_figures import FIGURES, MEANINGS, PAYER_TITLES, POOL_MEMBERS, UNBOOKED

FILE = "systems.html"
_COLORS = {POOL_MEMBERS: "@insurance", UNBOOKED: "@unpaid"}


def write_page(comparison: Mapping[str, Any], directory: Path) -> Path:
    """Write the page `systems.html` of a comparison of lending systems, and return its path."""
    write_files(directory, {FILE: render_page_text(comparison, directory)})
    return directory / FILE


def render_page_text(comparison: Mapping[str, Any], runs_folder: Path) -> str:
    """Return the page of a comparison of lending systems as HTML, with links to its runs."""
    names = [each["preset"] for each in comparison["systems"]]
    titles = {each["preset"]: each["title"] for each in comparison["systems"]}
    return render_template(
        "systems.html",
        comparison,
        [draw_payers(comparison)],
        names=names,
        titles=titles,
        lines=FIGURES,
        meanings=MEANINGS,
        payers=list_payer_lines(comparison),
        finding=compose_finding(comparison),
        runs=[link_run(runs_folder, name, "Its run, liquidation by liquidation") for name in names],
        cell=name_cell,
        shown=_render_figure,
        over_paths=_render_path_figure,
        value=lambda key, line: read_figure(comparison["cells"][key], line.figure),
        result_file=RESULT,
        pair_script=read_inline_file("systems.js"),
    )


def _render_figure(value: int | str | None, line: Line, path: str) -> Markup:
    """Return a figure in the unit of its table line as HTML; a dash if it is None."""
    if value is None:
        return Markup("–")
    if line.unit == "seconds":
        return render_duration(int(value))
    return render_amount(value, line.unit, name=path)


def _render_path_figure(value: int | None, line: Line, sign: bool = False) -> Markup:
    """Return a figure over paths as HTML; money is in millionths, and `?` stands for None."""
    if value is None:
        return Markup("?")
    plus = "+" if sign and value > 0 else ""
    if line.unit == "seconds":
        minus = "-" if value < 0 else plus
        return Markup("{}{}").format(minus, render_duration(abs(value)))
    return Markup("{}{}").format(plus, render_amount(value, "micro" if line.unit != "count" else "count"))


def compose_finding(comparison: Mapping[str, Any]) -> Markup:
    """Return a sentence on the systems with the least and the most bad debt."""
    owed = {
        each["title"]: int(comparison["cells"][name_cell(each["preset"], each["preset"])]["bad_debt_rad"])
        for each in comparison["systems"]
    }
    least, most = min(owed, key=lambda name: owed[name]), max(owed, key=lambda name: owed[name])
    return Markup("{} has the least bad debt, {}; {} has the most, {}.").format(
        least, render_amount(owed[least], "rad"), most, render_amount(owed[most], "rad")
    )


def draw_payers(comparison: Mapping[str, Any]) -> Chart:
    """Return the chart of bad debt by system and by the group that bears it."""
    names = [each["preset"] for each in comparison["systems"]]
    titles = [each["title"] for each in comparison["systems"]]
    parts, legend, told = [], [], []
    for name, title in PAYER_TITLES.items():
        values = [int(comparison["cells"][name_cell(each, each)]["borne"][name]) for each in names]
        if any(abs(value) >= RAD for value in values):
            color = _COLORS.get(name, f"@{name}")
            legend.append(LegendKey(title, color, "area"))
            parts.append(BarPart(title, color, values))
            told += [
                f"{system}: {title} {amounts.format_compact(value, RAD)}"
                for system, value in zip(titles, values, strict=True)
                if value >= RAD
            ]
    label = f"Bad debt by system and by the group that bears it: {'; '.join(told)}."
    return Chart("payers", "Payers", label, build_stacked_bars(titles, parts), tuple(legend))
