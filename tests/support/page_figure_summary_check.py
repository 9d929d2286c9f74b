"""The figures on a page: each equals the file beside it, to the last digit that is shown."""

from __future__ import annotations

import json
from decimal import Decimal, localcontext
from typing import Any

_UNITS = {"wad": 18, "ray": 27, "rad": 45, "micro": 6, "billionths": 9, "bps": 4, "count": 0}
_SUFFIXES = {"k": 3, "M": 6, "B": 9, "T": 12, "%": -2}


def check_page_figures_against_summary(browser_visit: dict[str, Any], summary: dict[str, Any]) -> set[str]:
    """The page carries this content, and every figure that names a path in it says the same; their paths."""
    assert json.loads(browser_visit["summary"]) == summary
    named = [figure for figure in browser_visit["figures"] if figure["path"]]
    with localcontext(prec=100):
        for figure in named:
            _check_page_figure(figure, summary)
    assert named
    return {figure["path"] for figure in named}


def _check_page_figure(figure: dict[str, Any], summary: dict[str, Any]) -> None:
    """The element's value is the summary's integer; its text and title say the same."""
    value = sum(collect_integers_at_path(figure["path"].split("."), summary))
    assert int(figure["value"]) == value, figure
    places = _UNITS[figure["unit"]]
    amount = Decimal(value).scaleb(-places)
    if figure["title"]:
        assert _parse_shown_number_and_precision(figure["title"])[0] == amount, figure
    shown, last_digit = _parse_shown_number_and_precision(figure["text"])
    if figure["text"].startswith(("<", ">")):
        assert 0 < abs(amount) < abs(shown), figure
    else:
        assert abs(shown - amount) <= last_digit / 2, figure
        assert (shown == amount) or figure["title"], figure


def collect_integers_at_path(path_parts: list[str], node: Any) -> list[int]:
    """The integers at a path; a star stands for every entry of a list."""
    if not path_parts:
        return [int(node)]
    if path_parts[0] == "*":
        return [value for entry in node for value in collect_integers_at_path(path_parts[1:], entry)]
    return collect_integers_at_path(
        path_parts[1:], node[int(path_parts[0])] if isinstance(node, list) else node[path_parts[0]]
    )


def _parse_shown_number_and_precision(text: str) -> tuple[Decimal, Decimal]:
    """Return a printed number's value and its last digit's worth: 5.67M is 5670000 to 10000."""
    plain = text.replace(",", "").replace("\u2212", "-").strip("<>")
    scale = _SUFFIXES.get(plain[-1], 0)
    value = Decimal(plain[:-1] if scale else plain)
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    return value.scaleb(scale), Decimal(1).scaleb(exponent + scale)
