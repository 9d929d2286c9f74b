"""Effects of rule changes on the library's runs: the recorded figures of a commit beside the current ones.

    python -m tests.support.recorded_figure_comparison REVISION [OLD=NEW ...]

prints a table; OLD=NEW says that a scenario was called OLD in that commit.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from backstop.model.arithmetic import RAD, WAD
from tests.support.recorded_behaviour import SCENARIOS, load_recorded_scenario_figures


def load_scenario_figures_of_commit(revision: str) -> dict[str, Any]:
    """Scenario -> the figures that were recorded in a commit."""
    path = f"{revision}:./{SCENARIOS.name}"
    found: dict[str, Any] = json.loads(
        subprocess.run(
            ["git", "show", path], cwd=SCENARIOS.parent, check=True, capture_output=True, text=True
        ).stdout
    )
    return found


def summarise_losses(figures: dict[str, Any]) -> dict[str, int]:
    """Return a run's losses in whole stablecoins, rounded to the nearest: in all, and by bearer."""
    losses = figures["losses"]
    found = {
        "liquidations": sum(each["liquidations"] for each in figures["collateral_types"]),
        "loss": _round_to_nearest_coins(losses["created_rad"], RAD),
        "left": _round_to_nearest_coins(losses["outstanding_rad"], RAD),
    }
    return found | {each["group"]: _round_to_nearest_coins(each["wad"], WAD) for each in figures["paid_by"]}


def iter_scenario_change_texts(before: dict[str, Any], after: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each scenario with its changes, in words."""
    for name, figures in after.items():
        if name not in before:
            yield name, "new"
            continue
        was, now = summarise_losses(before[name]), summarise_losses(figures)
        changed = [
            f"{key} {was.get(key, 0):,} → {now.get(key, 0):,}"
            for key in {**was, **now}
            if was.get(key, 0) != now.get(key, 0)
        ]
        yield name, "; ".join(changed) or "as before"


def _round_to_nearest_coins(amount: str, unit: int) -> int:
    return (int(amount) + unit // 2) // unit


def print_scenario_changes_since_revision(revision: str, *renamed: str) -> None:
    """Print the table."""
    names = dict(each.split("=", 1) for each in renamed)
    before = {
        names.get(name, name): figures for name, figures in load_scenario_figures_of_commit(revision).items()
    }
    print("| scenario | what changed |\n| --- | --- |")
    for name, changed in iter_scenario_change_texts(before, load_recorded_scenario_figures()):
        print(f"| {name} | {changed} |")


if __name__ == "__main__":
    print_scenario_changes_since_revision(*sys.argv[1:])
