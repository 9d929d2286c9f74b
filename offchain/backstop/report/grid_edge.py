"""Warning where the best setting of a sweep lies at an end of an axis: a better one may lie beyond."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def describe_grid_edge(summary: Mapping[str, Any]) -> str:
    """Return a warning if the recommended setting lies at an end of a sweep's axis; empty if not."""
    if summary["recommended"] is None:
        return ""
    values = summary["points"][summary["recommended"]["point"]]["values"]
    ends = []
    for axis in summary["axes"]:
        tried, chosen = axis["values"], values[axis["name"]]
        # Words, such as the names of curves, have no order, and so no end.
        if len(tried) > 1 and all(each[:1].isdigit() for each in tried) and chosen in (tried[0], tried[-1]):
            ends.append(f"{axis['title']} {chosen} is the {'first' if chosen == tried[0] else 'last'} tried")
    if not ends:
        return ""
    return (
        f"The best lies on the grid's edge: {'; '.join(ends)}. A better one may lie beyond: widen the grid."
    )
