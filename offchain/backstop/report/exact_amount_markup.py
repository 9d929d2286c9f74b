"""Printed figures that carry their exact value, for readers to see and tests to check."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup, escape

from backstop.report import amounts


def render_amount(value: int | str, unit: str, style: str = "compact", name: str = "") -> Markup:
    """Return an HTML `<data>` element with the rounded amount, its raw integer, and its exact text.

    `style` is compact (5.67M), fixed (5,672,123.40) or exact (all digits). `name` is the figure's path in the
    summary.
    """
    raw, scale = int(value), amounts.UNITS[unit]
    full = amounts.format_exact(raw, scale)
    if unit == "count":
        text = full
    elif unit == "bps":
        text = amounts.format_percent(raw, scale)
    elif unit == "billionths":
        text = amounts.format_measured_share(raw)
    else:
        text = {
            "compact": amounts.format_compact,
            "fixed": amounts.format_fixed,
            "exact": amounts.format_exact,
        }[style](raw, scale)
    path = Markup(' data-path="{}"').format(name) if name else ""
    title = Markup(' title="{}"').format(full) if text != full else ""
    sign = Markup(' class="negative"') if raw < 0 else ""
    return Markup('<data value="{}" data-unit="{}"{}{}{}>{}</data>').format(
        raw, unit, path, title, sign, escape(text)
    )


def choose_noun_form(count: int, noun: str) -> str:
    """Return a noun in singular or plural, as the count requires: run, runs; study, studies."""
    if count == 1 or noun == "guards":
        return noun
    return (
        noun[:-1] + "ies"
        if noun.endswith(("dy", "ry"))
        else noun + ("es" if noun.endswith(("s", "ch")) else "s")
    )


def render_count(count: int, noun: str) -> Markup:
    """Return a count with its noun as HTML: 1 run, 2 runs."""
    return Markup("{} {}").format(render_amount(count, "count"), choose_noun_form(count, noun))


def render_duration(seconds: int) -> Markup:
    """Return a duration as an HTML `<data>` element, by which tables can be sorted."""
    return Markup('<data value="{}" data-unit="seconds">{}</data>').format(
        seconds, amounts.format_duration_text(seconds)
    )


def render_day_and_time(timestamp: int) -> Markup:
    """Return a timestamp as an HTML `<time>` element with the text `12 Mar 23:20`."""
    at = datetime.fromtimestamp(timestamp, UTC)
    return Markup('<time datetime="{:%Y-%m-%dT%H:%M:%SZ}">{}</time>').format(
        at, amounts.format_day_and_time(timestamp)
    )


class SummaryFigures:
    """Figures of a summary, by dotted path such as "losses.created_rad" or "keepers.0.profit_wad"."""

    def __init__(self, summary: Mapping[str, Any]) -> None:
        self._summary = summary

    def get_value(self, path: str) -> int:
        """Return the integer at a dotted path of the summary."""
        here: Any = self._summary
        for part in path.split("."):
            here = here[int(part)] if isinstance(here, list) else here[part]
        return int(here)

    def render_figure(self, path: str, style: str = "compact") -> Markup:
        """Return the figure at a dotted path as HTML, in the unit that its name ends with."""
        return render_amount(self.get_value(path), get_figure_unit(path), style, path)

    def render_total(self, path: str, style: str = "compact") -> Markup:
        """Return the sum over a list as HTML; a star in the path stands for the list's index.

        For example "collateral_types.*.liquidations".
        """
        before, after = path.split(".*.")
        rows: Any = self._summary
        for part in before.split("."):
            rows = rows[part]
        value = sum(self.get_value(f"{before}.{i}.{after}") for i in range(len(rows)))
        return render_amount(value, get_figure_unit(path), style, path)


def get_figure_unit(path: str) -> str:
    """Return the unit suffix of a figure's name, such as wad, ray, rad, micro or bps; else `count`."""
    ending = path.replace(".", "_").rpartition("_")[2]
    return ending if ending in amounts.UNITS else "count"
