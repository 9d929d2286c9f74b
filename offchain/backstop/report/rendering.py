"""Rendering of a self-contained page: template, style, charts and library in a single file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from backstop.files.installation import format_command
from backstop.report import amounts
from backstop.report.numbers import Numbers, amount, clock, counted, duration, plural
from backstop.report.plotly_bundle import plotly_js
from backstop.report.plotting import Chart

TEMPLATES = Path(__file__).parent / "templates"
MOST_ENTRIES = 1_000  # of a list in the summary that a page holds: nothing there grows with a book


def render(template: str, summary: Mapping[str, Any], charts: Sequence[Chart], **context: Any) -> str:
    """Render `template`, which extends layout.html, over one summary.

    In the template n("losses.created_rad") prints a figure of the summary, amount(value, unit) any other, and
    chart("id") places a chart.
    """
    numbers, left_out = Numbers(summary), dict[str, int]()
    record = shortened(summary, left_out)
    return (
        environment()
        .get_template(template)
        .render(
            summary=summary,
            n=numbers.figure,
            total=numbers.total,
            charts={chart.id: chart for chart in charts},
            data=as_script({"charts": [chart._asdict() for chart in charts]}),
            record=as_script(record | {"left_out": left_out} if left_out else record),
            left_out=left_out,
            script=inline("page.js"),
            library=Markup(plotly_js()),
            **context,
        )
    )


@cache
def environment() -> Environment:
    """Build the template environment with the functions that all templates use."""
    found = Environment(
        loader=PackageLoader("backstop.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.globals.update(
        amount=amount,
        percent=amounts.percent,
        moment=amounts.moment,
        clock=clock,
        counted=counted,
        plural=plural,
        duration=duration,
        spelled=format_command,
        Markup=Markup,
        style=inline("page.css"),
        words=as_script(json.loads(inline("words.json"))),
        tools=Markup("").join(map(inline, ("words.js", "tables.js", "tips.js"))),
    )
    return found


def shortened(value: Any, left_out: dict[str, int], path: str = "") -> Any:
    """Cut long lists anywhere in a document; add how many entries each lost to `left_out`, by path."""
    if isinstance(value, Mapping):
        return {
            name: shortened(each, left_out, f"{path}.{name}" if path else name)
            for name, each in value.items()
        }
    if not isinstance(value, list):
        return value
    if len(value) > MOST_ENTRIES:
        left_out[path] = len(value) - MOST_ENTRIES
    return [shortened(each, left_out, f"{path}.{i}") for i, each in enumerate(value[:MOST_ENTRIES])]


def as_script(value: Any) -> Markup:
    """Encode JSON so that it can stand inside a script element, whatever its strings hold."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    for mark, escaped in (("<", "\\u003c"), ("\u2028", "\\u2028"), ("\u2029", "\\u2029")):
        text = text.replace(mark, escaped)
    return Markup(text)


def inline(name: str) -> Markup:
    """Read a file of the templates to place inside a page."""
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))
