"""Printed figures that carry their exact value, so that a reader can see it and a test can check it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup, escape

from backstop import amounts


def amount(value: int | str, unit: str, style: str = "compact", name: str = "") -> Markup:
    """A <data> element: rounded text, the raw integer as its value, the exact amount as its title.

    style: compact (5.67M), fixed (5,672,123.40), exact (all digits). name: the figure's path in the summary.
    """
    raw, scale = int(value), amounts.UNITS[unit]
    full = amounts.exact(raw, scale)
    if unit == "count":
        text = full
    elif unit == "bps":
        text = amounts.percent(raw, scale)
    else:
        text = {"compact": amounts.compact, "fixed": amounts.fixed, "exact": amounts.exact}[style](raw, scale)
    path = Markup(' data-path="{}"').format(name) if name else ""
    title = Markup(' title="{}"').format(full) if text != full else ""
    sign = Markup(' class="negative"') if raw < 0 else ""
    return Markup('<data value="{}" data-unit="{}"{}{}{}>{}</data>').format(
        raw, unit, path, title, sign, escape(text)
    )


class Numbers:
    """The figures of one summary, by path: "losses.created_rad", "keepers.0.profit_wad"."""

    def __init__(self, summary: Mapping[str, Any]) -> None:
        self._summary = summary

    def value(self, path: str) -> int:
        """The integer at the path."""
        here: Any = self._summary
        for part in path.split("."):
            here = here[int(part)] if isinstance(here, list) else here[part]
        return int(here)

    def figure(self, path: str, style: str = "compact") -> Markup:
        """The figure at the path; its name's ending tells the unit."""
        return amount(self.value(path), unit_of(path), style, path)

    def total(self, path: str, style: str = "compact") -> Markup:
        """The sum over a list, named with a star: "collateral_types.*.liquidations"."""
        before, after = path.split(".*.")
        rows: Any = self._summary
        for part in before.split("."):
            rows = rows[part]
        value = sum(self.value(f"{before}.{i}.{after}") for i in range(len(rows)))
        return amount(value, unit_of(path), style, path)


def unit_of(path: str) -> str:
    """wad, ray, rad, micro or bps from the ending of a name; counts have none."""
    ending = path.replace(".", "_").rpartition("_")[2]
    return ending if ending in amounts.UNITS else "count"
