"""Source of plotly.js, which is written into every page so that pages work offline."""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path

# A third of the full bundle's size: lines, bars, heat maps, histograms, box plots.
CARTESIAN = (
    Path(__file__).parents[3] / "node_modules" / "plotly.js-cartesian-dist-min" / "plotly-cartesian.min.js"
)


@cache
def plotly_js() -> str:
    """Read the small bundle if the checkout has it, else the full one of the Python package."""
    if CARTESIAN.is_file():
        return CARTESIAN.read_text(encoding="utf-8")
    full = resources.files("plotly") / "package_data" / "plotly.min.js"
    return full.read_text(encoding="utf-8")
