"""Source of plotly.js, which is written into every page so that pages work offline."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from backstop.errors import BackstopError
from backstop.files.installation import CHECKOUT

NAME = "plotly-cartesian.min.js"

# A third of the full bundle's size: lines, bars, heat maps, histograms, box plots.
CARTESIAN = (
    Path(__file__).with_name(NAME)
    if CHECKOUT is None
    else CHECKOUT / "node_modules" / "plotly.js-cartesian-dist-min" / NAME
)


@cache
def read_plotly_bundle() -> str:
    """Return the source of plotly.js, from the package or from npm in a checkout.

    Raises BackstopError if the file is missing.
    """
    try:
        return CARTESIAN.read_text(encoding="utf-8")
    except OSError:
        mend = "install Backstop again" if CHECKOUT is None else "run `make setup`"
        raise BackstopError(f"{CARTESIAN} is missing: {mend}") from None
