"""Spans in which keepers are down, shaded in every chart over time."""

from __future__ import annotations

from typing import Any

from backstop.report.plotting import Key, shaded
from backstop.simulation.run_directory import Run


def outage_shapes(run: Run) -> list[dict[str, Any]]:
    """Build the shaded spans of a run's outages, if it names any."""
    return [shaded(outage["from"], outage["to"]) for outage in run.summary.get("outages") or []]


def outage_key(run: Run) -> tuple[Key, ...]:
    """Build the legend's entry for the shaded spans, if there are any."""
    return (Key("keepers down", "@shade", "shade"),) if outage_shapes(run) else ()
