"""Rendering of a self-contained page: template, style, charts and library in a single file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from backstop.files.installation import format_command_as_started
from backstop.report import amounts
from backstop.report.chart_parts import Chart
from backstop.report.exact_amount_markup import (
    SummaryFigures,
    choose_noun_form,
    render_amount,
    render_count,
    render_day_and_time,
    render_duration,
)
from backstop.report.plotly_bundle import read_plotly_bundle

TEMPLATES = Path(__file__).parent / "templates"
MOST_ENTRIES = 1_000  # of a list in the summary that a page holds: nothing there grows with a book


def render_template(
    template: str, summary: Mapping[str, Any], charts: Sequence[Chart], **context: Any
) -> str:
    """Return the HTML page of a template that extends layout.html, filled from a summary.

    In the template, n("losses.created_rad") renders a figure of the summary, amount(value, unit) any other,
    and chart("id") places a chart. `context` has further template variables.
    """
    numbers, left_out = SummaryFigures(summary), dict[str, int]()
    record = shorten_lists(summary, left_out)
    return (
        build_template_environment()
        .get_template(template)
        .render(
            summary=summary,
            n=numbers.render_figure,
            total=numbers.render_total,
            charts={chart.id: chart for chart in charts},
            data=as_script({"charts": [chart._asdict() for chart in charts]}),
            record=as_script(record | {"left_out": left_out} if left_out else record),
            left_out=left_out,
            script=read_inline_file("page.js"),
            library=Markup(read_plotly_bundle()),
            **context,
        )
    )


@cache
def build_template_environment() -> Environment:
    """Return the jinja2 environment with the functions and files that all templates use."""
    found = Environment(
        loader=PackageLoader("backstop.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.globals.update(
        amount=render_amount,
        percent=amounts.format_percent,
        moment=amounts.format_moment,
        clock=render_day_and_time,
        counted=render_count,
        plural=choose_noun_form,
        duration=render_duration,
        spelled=format_command_as_started,
        Markup=Markup,
        style=read_inline_file("page.css"),
        words=as_script(json.loads(read_inline_file("words.json"))),
        tools=Markup("").join(map(read_inline_file, ("words.js", "tables.js", "tips.js"))),
    )
    return found


def shorten_lists(value: Any, left_out: dict[str, int], path: str = "") -> Any:
    """Return the document with every list cut to the maximum length that a page holds.

    The number of entries cut from each list is added to `left_out`, by path.
    """
    if isinstance(value, Mapping):
        return {
            name: shorten_lists(each, left_out, f"{path}.{name}" if path else name)
            for name, each in value.items()
        }
    if not isinstance(value, list):
        return value
    if len(value) > MOST_ENTRIES:
        left_out[path] = len(value) - MOST_ENTRIES
    return [shorten_lists(each, left_out, f"{path}.{i}") for i, each in enumerate(value[:MOST_ENTRIES])]


def as_script(value: Any) -> Markup:
    """Return a value as JSON that is safe inside an HTML script element."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    for mark, escaped in (("<", "\\u003c"), ("\u2028", "\\u2028"), ("\u2029", "\\u2029")):
        text = text.replace(mark, escaped)
    return Markup(text)


def read_inline_file(name: str) -> Markup:
    """Return a file of the templates folder, to be placed inside a page without escaping."""
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))
