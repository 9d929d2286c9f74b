"""Page of a running mirror: sections that are drawn again for each block."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from markupsafe import Markup

from backstop.report.chart_parts import Chart
from backstop.report.exact_amount_markup import SummaryFigures
from backstop.report.live_mirror_headings import compose_live_headings
from backstop.report.plotly_bundle import read_plotly_bundle
from backstop.report.rendering import TEMPLATES, as_script, build_template_environment, read_inline_file

SECTIONS = (
    *("verdict", "now", "figures", "prices", "history", "vaults", "levels", "auctions", "calls", "losses"),
    *("queue", "keepers", "actions", "sheet", "mirror"),
)
"""Names of the sections; `verdict` is drawn from `health` alone, the others from a statement and a scene."""

# Where the library is put in.
_HERE = "/* the library of charts */"


def render_live_html_sections(
    figures: Mapping[str, Any], health: Mapping[str, Any], section_names: Sequence[str]
) -> dict[str, str]:
    """Return the named sections of the live page as HTML, by name.

    Before the first block `figures` is empty, and the sections say so.
    """
    context = {
        "summary": figures,
        "drawn": bool(figures),
        "health": health,
        "answers": compose_live_headings(figures),
        "n": SummaryFigures(figures).render_figure,
        "charts": {},
        "feed": {row["symbol"]: int(row["price_ray"]) for row in figures.get("collateral_types", ())},
        "total_debt": sum(int(row["debt_rad"]) for row in figures.get("bands", ())),
    }
    module: Any = build_template_environment().get_template("live_parts.html").make_module(context)
    return {name: str(getattr(module, name)()) for name in section_names}


def build_chart_updates(charts_by_name: Mapping[str, Chart]) -> dict[str, dict[str, Any]]:
    """Return what the page needs to redraw each chart: figure, label, and legend as HTML."""
    module: Any = (
        build_template_environment().get_template("parts.html").make_module({"charts": charts_by_name})
    )
    return {
        name: {"figure": chart.figure, "label": chart.label, "legend": str(module.legend(name)).strip()}
        for name, chart in charts_by_name.items()
    }


def render_live_page_as_html_pieces(
    html_by_section: Mapping[str, str], charts_by_name: Mapping[str, Chart]
) -> tuple[bytes, ...]:
    """Return the complete live page in three pieces: before, of, and after the chart library.

    The library is most of the page; as its own piece it is not copied for each reader.
    """
    html = {name: Markup(html_by_section[name]) for name in SECTIONS}
    before, after = (
        build_template_environment()
        .get_template("live.html")
        .render(
            sections=html,
            charts=charts_by_name,
            data=as_script({"charts": [chart._asdict() for chart in charts_by_name.values()]}),
            library=Markup(_HERE),
            script=read_inline_file("page.js"),
            live=read_inline_file("live.js"),
            build=hash_templates(),
        )
        .split(_HERE)
    )
    return before.encode(), _read_plotly_library_bytes(), after.encode()


@cache
def _read_plotly_library_bytes() -> bytes:
    return read_plotly_bundle().encode()


@cache
def hash_templates() -> str:
    """Return a hash of the page's templates; a browser with another hash knows to reload."""
    content = b"".join(path.read_bytes() for path in sorted(TEMPLATES.iterdir()))
    return hashlib.sha256(content).hexdigest()[:16]
