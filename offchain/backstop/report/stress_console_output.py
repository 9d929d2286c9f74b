"""Results of a study on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from backstop.files.installation import format_command_as_started
from backstop.model.arithmetic import BASIS_POINTS
from backstop.report.amounts import format_duration_text, format_fixed, format_percent

MICRO = 10**6
"""Millionths in a stablecoin."""


CAP_LINES = {"buyers": "buyers' capital used up", "stablecoins": "too few stablecoins for depth"}
"""Limit of sales, by the name in the table."""

_WIDTH = 160
"""Columns of the console, more than any table has: in a narrow one rich cuts figures."""

MOST_CONFIRMED = 3
"""Most paths run again that are printed; summary.json has all of them."""


def print_study(summary: Mapping[str, Any], directory: Path, report: Path, as_json: bool) -> None:
    """Print the estimates of a study to stdout, as tables or as JSON."""
    if as_json:
        print(json.dumps({**summary, "out": str(directory)}, indent=2, sort_keys=True))
        return
    console = Console(file=sys.stdout, highlight=False, width=_WIDTH)
    sure = format_percent(summary["confidence_bps"], BASIS_POINTS, 0)
    if summary.get("debt_micro") is not None:
        console.print(f"total debt {format_whole_coins(summary['debt_micro'])} stablecoins\n")
    if summary.get("drivers") is not None:
        _print_drivers(console, summary, sure)
    table = Table(title=summary["title"], title_justify="left", box=None, pad_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column(f"{summary['paths']:,} paths", justify="right", no_wrap=True)
    table.add_column(f"{sure} interval", justify="right", no_wrap=True)
    for line in _iter_estimate_rows(summary):
        table.add_row(*line)
    console.print(table)
    worst = summary["worst"]
    console.print(
        f"\nworst path {worst['path']}: {format_whole_coins(worst['row']['bad_debt'])} "
        "stablecoins of bad debt"
    )
    for each in summary["confirmed"][:MOST_CONFIRMED]:
        figures = (
            f"{format_whole_coins(each['exact_micro'])} on the contracts, "
            f"{format_whole_coins(each['engine_micro'])} here"
        )
        console.print(f"path {each['path']} run again: {figures}")
    for each in summary["on_contracts"]:
        name = format_percent(each["level_bps"], BASIS_POINTS, 0)
        console.print(
            f"expected shortfall, {name}, on the contracts: {format_whole_coins(each['shortfall_micro'])}"
        )
    console.print(f"replay     {format_command_as_started(worst['replay'])}", soft_wrap=True)
    console.print(f"study      {directory}", soft_wrap=True)
    console.print(f"report     {report}", soft_wrap=True)


def _print_drivers(console: Console, summary: Mapping[str, Any], sure: str) -> None:
    """Print the drivers of the tail: the expected shortfall after each changed assumption."""
    drivers = summary["drivers"]
    level = format_percent(drivers["level_bps"], BASIS_POINTS, 0)
    table = Table(box=None, pad_edge=False)
    table.add_column("drivers of the tail", no_wrap=True)
    for name in (f"shortfall, {level}", "change", f"{sure} interval"):
        table.add_column(name, justify="right", no_wrap=True)
    as_it_is = f"as it is, {drivers['paths']:,} paths"
    table.add_row(as_it_is, *(format_value_and_interval(drivers["shortfall"])[0], "", ""))
    for each in drivers["cases"]:
        value, interval = format_value_and_interval(each["change"])
        if each["change"]["low_micro"] is None:
            interval = "cannot tell"
        table.add_row(each["case"], format_whole_coins(each["shortfall_micro"]), value, interval)
    console.print(table)
    for each in drivers["missing"]:
        console.print(f"not tried: {each['case']}, as {each['why']}", soft_wrap=True)
    console.print(f"\n{drivers['sentence']}", soft_wrap=True, markup=False)
    if (found := drivers["block_time"]) is not None and found["too_long"]:
        console.print(describe_block_time(found), soft_wrap=True, markup=False)
    console.print()


def describe_block_time(found: Mapping[str, Any]) -> str:
    """Return the advice to use shorter blocks, with the shortfall of both block times."""
    tried, now = (f"{found[name]:,} s" for name in ("tried_seconds", "now_seconds"))
    return (
        f"Blocks of {now} are too long: in blocks of {tried} the expected shortfall is "
        f"{format_whole_coins(found['tried_micro'])}, not "
        f"{format_whole_coins(found['now_micro'])}, which is more than "
        f"the paths leave open. In the file, {found['advice']}; the next study then tries shorter ones."
    )


def _iter_estimate_rows(summary: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    lost = summary["bad_debt"]
    yield "paths with bad debt", *format_value_and_interval(lost["chance"])
    yield "bad debt, stablecoins, average", *format_value_and_interval(lost["mean"])
    for level in lost["levels"]:
        name = format_percent(level["level_bps"], BASIS_POINTS, 0)
        yield f"  value at risk, {name}", *format_value_and_interval(level["at_risk"])
        yield f"  expected shortfall, {name}", *format_value_and_interval(level["shortfall"])
    for level in summary["liquidated_debt"]["levels"]:
        name = format_percent(level["level_bps"], BASIS_POINTS, 0)
        yield f"liquidations at risk, {name}", *format_value_and_interval(level["at_risk"])
    for stage in summary["stages"]:
        yield f"{stage['stage']} reached", *format_value_and_interval(stage["covered"]["chance"])
        yield "  paid on average", *format_value_and_interval(stage["covered"]["mean"])
    answer = summary["sensitivity"]
    if answer is not None:
        yield "bad debt for 1% of all prices: slope", *format_value_and_interval(answer["slope"])
        yield "  convexity", *format_value_and_interval(answer["convexity"])
    yield "outstanding at the end", *format_value_and_interval(summary["outstanding"]["chance"])
    yield "unsold a day after the end", *format_value_and_interval(summary["unsold"]["chance"])
    yield "  of debt, on average", *format_value_and_interval(summary["unsold"]["mean"])
    for each in (summary.get("caps") or {"causes": []})["causes"]:
        if each["cause"] in CAP_LINES:
            yield CAP_LINES[each["cause"]], f"{each['paths']:,} paths", ""
            if each["unsold_paths"]:
                yield "  unsold there, on average", format_whole_coins(each["unsold_micro"]), ""
    times = summary["times"]
    if times["first_loss"]:
        yield "not covered, of paths with a loss", *format_value_and_interval(times["never_covered"])
    for each in times["to_cover"]:
        if each["level_bps"] in (5_000, 9_500):
            name = format_percent(each["level_bps"], BASIS_POINTS, 0)
            yield f"time to cover, {name} of the others within", format_duration_text(each["value"]), ""


def format_value_and_interval(estimate: Mapping[str, int | None]) -> tuple[str, str]:
    """Return an estimate's value and its confidence interval as texts; `?` for an unknown end."""
    text = {
        name.partition("_")[0]: "?" if value is None else _format_value(value, name.rpartition("_")[2])
        for name, value in estimate.items()
    }
    return text["value"], f"{text['low']} to {text['high']}"


def _format_value(value: int, unit: str) -> str:
    return format_percent(value, BASIS_POINTS) if unit == "bps" else format_whole_coins(value)


def format_whole_coins(amount_micro: int) -> str:
    """Format millionths of a stablecoin in whole stablecoins, rounded half away from zero."""
    return format_fixed(amount_micro, MICRO, 0)
