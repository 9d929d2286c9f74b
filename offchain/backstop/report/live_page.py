"""Page of a running mirror: sections that are drawn again for each block."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from markupsafe import Markup

from backstop.report.numbers import Numbers
from backstop.report.rendering import TEMPLATES, environment, inline

SECTIONS = (
    *("verdict", "now", "figures", "prices", "vaults", "auctions", "calls", "losses", "sheet", "actions"),
    "mirror",
)
"""Names of the sections; `verdict` is drawn from `health` alone, the others from a statement and a scene."""


def sections(figures: Mapping[str, Any], health: Mapping[str, Any], names: Sequence[str]) -> dict[str, str]:
    """Render sections to HTML by name; before the first block, when figures are empty, they say so."""
    context = {
        "summary": figures,
        "drawn": bool(figures),
        "health": health,
        "n": Numbers(figures).figure,
        "charts": {},
        "feed": {row["symbol"]: int(row["price_ray"]) for row in figures.get("collateral_types", ())},
        "total_debt": sum(int(row["debt_rad"]) for row in figures.get("bands", ())),
    }
    module: Any = environment().get_template("live_parts.html").make_module(context)
    return {name: str(getattr(module, name)()) for name in names}


def document(drawn: Mapping[str, str]) -> str:
    """Render the whole page with these sections in it."""
    html = {name: Markup(drawn[name]) for name in SECTIONS}
    return (
        environment()
        .get_template("live.html")
        .render(sections=html, script=inline("live.js"), build=build(), charts={})
    )


@cache
def build() -> str:
    """Return a hash of this page's templates, by which a browser with older ones knows to reload."""
    content = b"".join(path.read_bytes() for path in sorted(TEMPLATES.iterdir()))
    return hashlib.sha256(content).hexdigest()[:16]
