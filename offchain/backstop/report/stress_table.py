"""A study's results on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from backstop.amounts import duration, fixed, percent
from backstop.installation import spelled
from backstop.model.arithmetic import BASIS_POINTS

MICRO = 10**6
"""Of a stablecoin."""

MOST_CONFIRMED = 3
"""Paths run again that are listed; the page has more, summary.json all."""


def print_study(summary: Mapping[str, Any], directory: Path, report: Path, as_json: bool) -> None:
    """The table of a study, or all of it as JSON."""
    if as_json:
        print(json.dumps({**summary, "out": str(directory)}, indent=2, sort_keys=True))
        return
    from rich.console import Console
    from rich.table import Table

    console = Console(file=sys.stdout, highlight=False)
    sure = percent(summary["confidence_bps"], BASIS_POINTS, 0)
    table = Table(title=summary["title"], title_justify="left", box=None, pad_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column(f"{summary['paths']:,} paths", justify="right", no_wrap=True)
    table.add_column(f"{sure} interval", justify="right", no_wrap=True)
    for line in _lines(summary):
        table.add_row(*line)
    console.print(table)
    worst = summary["worst"]
    console.print(f"\nworst path {worst['path']}: {coins(worst['row']['bad_debt'])} stablecoins of bad debt")
    for each in summary["confirmed"][:MOST_CONFIRMED]:
        figures = f"{coins(each['exact_micro'])} on the contracts, {coins(each['engine_micro'])} here"
        console.print(f"path {each['path']} run again: {figures}")
    for each in summary["on_contracts"]:
        name = percent(each["level_bps"], BASIS_POINTS, 0)
        console.print(f"expected shortfall, {name}, on the contracts: {coins(each['shortfall_micro'])}")
    console.print(f"replay     {spelled(worst['replay'])}", soft_wrap=True)
    console.print(f"study      {directory}", soft_wrap=True)
    console.print(f"report     {report}", soft_wrap=True)


def _lines(summary: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    lost = summary["bad_debt"]
    yield "paths with bad debt", *shown(lost["chance"])
    yield "bad debt, stablecoins, average", *shown(lost["mean"])
    for level in lost["levels"]:
        name = percent(level["level_bps"], BASIS_POINTS, 0)
        yield f"  value at risk, {name}", *shown(level["at_risk"])
        yield f"  expected shortfall, {name}", *shown(level["shortfall"])
    for level in summary["liquidated_debt"]["levels"]:
        name = percent(level["level_bps"], BASIS_POINTS, 0)
        yield f"liquidations at risk, {name}", *shown(level["at_risk"])
    for stage in summary["stages"]:
        yield f"{stage['stage']} reached", *shown(stage["covered"]["chance"])
        yield "  paid on average", *shown(stage["covered"]["mean"])
    answer = summary["sensitivity"]
    if answer is not None:
        yield "bad debt for 1% of all prices: slope", *shown(answer["slope"])
        yield "  convexity", *shown(answer["convexity"])
    yield "outstanding at the end", *shown(summary["outstanding"]["chance"])
    for each in summary["times"]["to_cover"]:
        if each["level_bps"] in (5_000, 9_500):
            name = percent(each["level_bps"], BASIS_POINTS, 0)
            yield f"time to cover, {name} of paths within", duration(each["value"]), ""


def print_sweep(summary: Mapping[str, Any], directory: Path, report: Path, as_json: bool) -> None:
    """The settings on the front, the recommended one marked, or all of it as JSON."""
    if as_json:
        print(json.dumps({**summary, "out": str(directory)}, indent=2, sort_keys=True))
        return
    from rich.console import Console
    from rich.table import Table

    console = Console(file=sys.stdout, highlight=False)
    points, best = summary["points"], summary["recommended"]
    level = percent(summary["level_bps"], BASIS_POINTS, 0)
    table = Table(title=summary["title"], title_justify="left", box=None, pad_edge=False)
    table.add_column("")
    for axis in summary["axes"]:
        table.add_column(axis["name"], justify="right", no_wrap=True)
    table.add_column(summary["gain"], justify="right", no_wrap=True)
    table.add_column(f"expected shortfall, {level}", justify="right", no_wrap=True)
    table.add_column(
        f"{percent(summary['confidence_bps'], BASIS_POINTS, 0)} interval", justify="right", no_wrap=True
    )
    order = sorted((i for i, point in enumerate(points) if point["front"]), key=lambda i: points[i]["gain"])
    for number in order:
        point = points[number]
        mark = "→" if best is not None and number == best["point"] else ""
        gain = gain_text(point["gain"], summary["gain"])
        table.add_row(mark, *values_of(summary, point), gain, *shown(point["shortfall"]))
    console.print(table)
    console.print(
        f"\n{len(order)} of {len(points)} settings are not beaten by another, {summary['paths']:,} paths each"
    )
    limit = coins(summary["limit_micro"])
    if best is None:
        console.print(f"no setting keeps its expected shortfall to {limit}")
    else:
        within, chosen = (percent(best[name], BASIS_POINTS, 0) for name in ("within_limit_bps", "chosen_bps"))
        console.print(f"→ has the most {summary['gain']} with at most {limit}:")
        console.print(f"  within it in {within} of resamples of the paths, chosen in {chosen}")
    console.print(f"sweep      {directory}", soft_wrap=True)
    console.print(f"report     {report}", soft_wrap=True)


def values_of(summary: Mapping[str, Any], point: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a setting's values in the order of the axes; JSON that was read back has them in another."""
    return tuple(point["values"][axis["name"]] for axis in summary["axes"])


def gain_text(gain: int, kind: str) -> str:
    """What a setting is good for, as text."""
    return percent(gain, BASIS_POINTS) if kind == "efficiency" else f"{gain:,}"


def shown(estimate: Mapping[str, int | None]) -> tuple[str, str]:
    """An estimate's value and its interval as text."""
    text = {
        name.partition("_")[0]: "?" if value is None else _text(value, name.rpartition("_")[2])
        for name, value in estimate.items()
    }
    return text["value"], f"{text['low']} to {text['high']}"


def _text(value: int, unit: str) -> str:
    return percent(value, BASIS_POINTS) if unit == "bps" else coins(value)


def coins(micro: int) -> str:
    """Whole stablecoins."""
    return fixed(micro, MICRO, 0)
