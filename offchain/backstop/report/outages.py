"""The spans in which keepers are down, shaded in every chart over time."""

from __future__ import annotations

from typing import Any

from backstop.report.plotting import Key, shaded
from backstop.simulation.run_directory import Run


def outage_shapes(run: Run) -> list[dict[str, Any]]:
    """The shaded spans, where the run names any."""
    return [shaded(outage["from"], outage["to"]) for outage in run.summary.get("outages") or []]


def outage_key(run: Run) -> tuple[Key, ...]:
    """The legend's entry for the shaded spans."""
    return (Key("keepers down", "@shade", "shade"),) if outage_shapes(run) else ()
