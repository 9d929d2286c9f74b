"""Spans in which keepers are down, shaded in every chart over time."""

from __future__ import annotations

from typing import Any

from backstop.report.chart_parts import LegendKey, build_shaded_span
from backstop.simulation.run_directory import Run


def build_outage_shapes(run: Run) -> list[dict[str, Any]]:
    """Return plotly shapes that shade the time spans of keepers' outages."""
    return [build_shaded_span(outage["from"], outage["to"]) for outage in run.summary.get("outages") or []]


def build_keeper_outage_legend(run: Run) -> tuple[LegendKey, ...]:
    """Return the legend entry for shaded outages; empty if the run has none."""
    return (LegendKey("keepers down", "@shade", "shade"),) if build_outage_shapes(run) else ()
