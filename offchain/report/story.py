"""The sentence at the head of a run's page: who lost how much."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from offchain.groups import GROUPS
from offchain.report.numbers import Numbers


def verdict(summary: dict[str, Any]) -> Markup:
    """One sentence over everyone who lost anything."""
    numbers = Numbers(summary)
    clauses = [
        Markup(GROUPS[entry["group"]].clause).format(numbers.figure(f"paid_by.{i}.wad"))
        for i, entry in enumerate(summary["paid_by"])
        if int(entry["wad"]) > 0
    ]
    if summary.get("margin") and int(summary["margin"]["taken_wad"]):
        taken = numbers.figure("margin.taken_wad")
        clauses.append(Markup("those who gained in the margin market gave up {} of it").format(taken))
    if not clauses:
        return Markup("Nobody lost anything.")
    sentence = _listed(clauses)
    if int(summary["losses"]["created_rad"]) == 0:
        sentence += "; no bad debt was left for anyone else to pay"
    elif int(summary["losses"]["outstanding_rad"]) == 0:
        sentence += "; nothing is outstanding"
    return Markup(sentence[:1].upper() + sentence[1:] + ".")


def _listed(parts: Sequence[Markup]) -> Markup:
    if len(parts) == 1:
        return parts[0]
    return Markup(", ").join(parts[:-1]) + " and " + parts[-1]
