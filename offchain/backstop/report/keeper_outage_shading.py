"""Spans in which keepers are down, shaded in every chart over time."""

from __future__ import annotations

from typing import Any

from backstop.report.chart_parts import LegendKey, build_shaded_span
from backstop.simulation.run_directory import Run


def build_outage_shapes(run: Run) -> list[dict[str, Any]]:
    """Build the shaded spans of a run's outages, if it names any."""
    return [build_shaded_span(outage["from"], outage["to"]) for outage in run.summary.get("outages") or []]


def build_keeper_outage_legend(run: Run) -> tuple[LegendKey, ...]:
    """Build the legend's entry for the shaded spans, if there are any."""
    return (LegendKey("keepers down", "@shade", "shade"),) if build_outage_shapes(run) else ()
