"""Comparison of guards on one crash: none, each alone, all; their savings and their costs.

A scenario's `tries` name the guards and the fields that turn each on; prices, vaults, markets, gas and
keepers stay.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple

from backstop.deployment.parameter_dataclasses import Parameters
from backstop.errors import BackstopError
from backstop.files.atomic_files import read_versioned_json, write_files
from backstop.files.output_directories import hash_program_and_contract_sources, refuse_other
from backstop.hosts.artifacts import CONTRACTS
from backstop.model.arithmetic import BASIS_POINTS
from backstop.simulation.progress_and_interruption import Progress
from backstop.simulation.run_directory import hash_run_files, transpose_table_rows
from backstop.simulation.scenario import Scenario, scenario_names
from backstop.simulation.scenario.scenario_library import ORDERS, read_unchecked_scenario_fields
from backstop.simulation.scenario.scenario_loader import parse_scenario, read_guard_variants
from backstop.simulation.scenario.yaml_document_reader import Field, merge_documents
from backstop.simulation.simulator import RunResult, simulate
from backstop.studies.comparison.run_comparison_lines import Line, as_csv

SCHEMA_VERSION = 1
OFF, ALL = "off", "all"

_LINES = [
    Line("bad debt", "bad_debt_rad", "rad"),
    Line("  recognised", "recognised_rad", "rad"),
    Line("  not sold yet", "underwater_rad", "rad"),
    Line("  saved", "saved_rad", "rad"),
    Line("liquidations", "liquidations", "count"),
    Line("  false", "false_liquidations", "count"),
    Line("  debt of false ones", "false_debt_rad", "rad"),
    Line("  spared", "spared", "count"),
    Line("  delayed", "delayed", "count"),
    Line("  later by on average", "delay_seconds", "seconds"),
    Line("borrowers' cheap sales", "sold_cheaply_wad", "wad"),
    Line("  saved for them", "saved_borrowers_wad", "wad"),
    Line("drawn", "drawn_wad", "wad"),
    Line("  drawn by exploiters", "exploited_wad", "wad"),
    Line("draws refused", "draws_refused", "count"),
    Line("  refused to exploiters", "exploits_refused", "count"),
]


class GuardRun(NamedTuple):
    """Run of a scenario with one guard: the guard's name, its title, and the changed scenario."""

    guard: str
    title: str
    scenario: Scenario


def list_nonzero_table_lines(comparison: Mapping[str, Any]) -> list[Line]:
    """Return the lines of a scenario's table that are not zero in every run."""
    return [line for line in _LINES if any(int(row[line.figure] or 0) for row in comparison["runs"])]


def list_guard_scenario_names() -> list[str]:
    """Return the names of the library's scenarios that list guards under `tries`."""
    return [
        name
        for name in scenario_names()
        if "tries" in read_unchecked_scenario_fields(name)[0].read_mapping_entries()
    ]


def build_guard_runs(name_or_file: str) -> list[GuardRun]:
    """Return the checked runs of a scenario: without guards, with each guard, and with all guards.

    Raises BackstopError if the scenario lists no guards.
    """
    top, name = read_unchecked_scenario_fields(name_or_file)
    if "tries" not in top.read_mapping_entries():
        raise BackstopError(f"the scenario {name!r} names no guards under `tries`")
    named = read_guard_variants(top.read_mapping_entries()["tries"])
    found = [GuardRun(OFF, "No guard", parse_scenario(top, name))]
    for guard, section in named.items():
        changed = _merge_guard(top, section.fields_by_name)
        found.append(GuardRun(guard, " ".join(section["title"].text.split()), parse_scenario(changed, name)))
    if len(named) > 1:
        changed = reduce(_merge_guard, (section.fields_by_name for section in named.values()), top)
        found.append(GuardRun(ALL, "All of them", parse_scenario(changed, name)))
    return found


def _merge_guard(top: Field, changes: Mapping[str, Field]) -> Field:
    """Return a scenario's document with a guard's parameters, keepers and unsafe settings merged in."""
    entries = dict(top.read_mapping_entries())
    for name in ("parameters", "keepers", "unsafe"):
        if name in changes:
            base = entries.get(name)
            entries[name] = merge_documents(base, changes[name], ORDERS) if base else changes[name]
    return Field(top.file, top.line, top.path, entries)


# ------------------------------------------------------------------------- runs


def compare_guards(
    names: Sequence[str],
    host: str,
    seed: int,
    out: Path,
    *,
    command: str = "",
    progress: Progress = lambda done, total, text: None,
    log: Callable[[str], None] = lambda line: None,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Run each scenario without guards, with each guard and with all; return the comparison.

    A run directory is written for each run, and the comparison after each scenario. A later call resumes. A
    finished scenario is not run again if its files are intact and program and inputs are the same.
    """
    planned = {
        each[0].scenario.name: each for each in map(build_guard_runs, names)
    }  # checked before anything runs
    comparison: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "seed": seed,
        "host": host,
        "scenarios": [],
    }
    made_by = hash_program_and_contract_sources(CONTRACTS)
    made_with = {
        name: hashlib.sha256(repr((made_by, each)).encode()).hexdigest() for name, each in planned.items()
    }
    done = _load_finished(comparison, made_with, out, log)
    for place, (name, each) in enumerate(planned.items(), 1):
        how = "finished before" if name in done else "finished"
        if name not in done:
            compared = _run_guard_variants(each, host, seed, out / name, command, progress, stop)
            compared["made_with"] = made_with[name]
            done[name] = json.loads(json.dumps(compared, sort_keys=True))  # as a later call reads it
        comparison["scenarios"] = [done[other] for other in planned if other in done]
        write_comparison_json_and_csv(comparison, out)
        log(f"{place} of {len(planned)} scenarios: {name}, {len(each)} runs, {how}")
    return comparison


def _run_guard_variants(
    guard_runs: Sequence[GuardRun],
    host: str,
    seed: int,
    out: Path,
    command: str,
    progress: Progress,
    stop: Callable[[], bool],
) -> dict[str, Any]:
    """Run all variants of a scenario, and return their comparison."""
    results = []
    for attempt in guard_runs:

        def tell(done: int, total: int, text: str, name: str = f"{out.name}, {attempt.guard}") -> None:
            progress(done, total, f"{name}: {text}")

        results.append(
            simulate(
                attempt.scenario,
                host,
                seed,
                out / attempt.guard,
                command=command,
                progress=tell,
                stop=stop,
            )
        )
    compared = _build_guard_comparison(guard_runs, results)
    for row in compared["runs"]:
        row["files_hash"] = hash_run_files(out / row["guard"])
    return compared


def _load_finished(
    comparison: Mapping[str, Any], made_with: Mapping[str, str], out: Path, log: Callable[[str], None]
) -> dict[str, Any]:
    """Return, by scenario name, the comparisons of an earlier call that are still valid.

    A comparison is valid if its files are unchanged, and program and scenario are the same.
    """
    file = out / "guards.json"
    if not file.exists():
        return {}
    try:
        before = read_versioned_json(file, "comparison", SCHEMA_VERSION, "", "all is done again")
        same = {name: before[name] for name in ("seed", "host")}
        found = {
            each["scenario"]: each
            for each in before["scenarios"]
            if made_with.get(each["scenario"]) == each["made_with"]
            and all(
                hash_run_files(out / each["scenario"] / row["guard"]) == row["files_hash"]
                for row in each["runs"]
            )
        }
    except BackstopError as error:
        log(str(error))
        return {}
    except (KeyError, TypeError) as error:
        log(f"{file} is not a valid comparison ({error!r}): all is done again")
        return {}
    refuse_other(out, same, {name: comparison[name] for name in same})
    return found


def _build_guard_comparison(guard_runs: Sequence[GuardRun], results: Sequence[RunResult]) -> dict[str, Any]:
    base = guard_runs[0].scenario
    off = build_guard_row(guard_runs[0], results[0])
    first = _find_first_liquidation_times(results[0])
    rows = []
    for attempt, result in zip(guard_runs, results, strict=True):
        row, seen = build_guard_row(attempt, result), _find_first_liquidation_times(result)
        later = [seen[key] - at for key, at in first.items() if seen.get(key, at) > at]
        with_guards = attempt.guard != OFF
        row |= {
            "spared": sum(key not in seen for key in first) if with_guards else None,
            "delayed": len(later) if with_guards else None,
            "delay_seconds": sum(later) // len(later) if later else None,
            "saved_rad": _compute_savings(off, row, "bad_debt_rad") if with_guards else None,
            "saved_borrowers_wad": _compute_savings(off, row, "sold_cheaply_wad") if with_guards else None,
        }
        rows.append(row)
    return {
        "scenario": base.name,
        "title": base.title,
        "description": base.description,
        "started_at": base.start,
        "ended_at": base.start + base.duration,
        "runs": rows,
    }


def build_guard_row(attempt: GuardRun, result: RunResult) -> dict[str, Any]:
    """Return the figures of a scenario's run with one guard.

    Bad debt is the recognised amount less recoveries outside the stages, plus the debt that vaults and
    auctions would not repay at the last market price. A liquidation is false if its collateral was worth at
    least the liquidation ratio times its principal:

        lot*price*BASIS_POINTS >= principal*liquidation_ratio

    The price is the market price of its own block (the feed was wrong), or the last one (the price drop was
    no loss). Margins by size and calls do not count: liquidations above the ratio because of them are false
    as well.
    """
    summary = result.summary
    types, losses = summary["collateral_types"], summary["losses"]
    recognised = int(losses["created_rad"]) - int(losses["recovered_rad"])
    underwater = sum(int(entry["underwater_rad"]) for entry in types)
    false = list(_iter_false_liquidation_debts(attempt.scenario.parameters, result))
    draws = list(_iter_stablecoin_draws(attempt.scenario, result))
    return {
        "guard": attempt.guard,
        "title": attempt.title,
        "bad_debt_rad": str(recognised + underwater),
        "recognised_rad": str(recognised),
        "underwater_rad": str(underwater),
        "liquidations": sum(entry["liquidations"] for entry in types),
        "false_liquidations": len(false),
        "false_debt_rad": str(sum(false)),
        "sold_cheaply_wad": next(
            entry["wad"] for entry in summary["paid_by"] if entry["group"] == "borrowers"
        ),
        "drawn_wad": str(sum(draw.amount for draw in draws if draw.ok)),
        "exploited_wad": str(sum(draw.amount for draw in draws if draw.ok and draw.exploits)),
        "draws_refused": sum(not draw.ok for draw in draws),
        "exploits_refused": sum(not draw.ok and draw.exploits for draw in draws),
        "steps": summary["steps"],
        "fields_compared": summary["fields_compared"],
        "differences": summary["differences"],
        "state_hash": summary["state_hash"],
    }


def _compute_savings(off: Mapping[str, str], row: Mapping[str, str], figure: str) -> str:
    return str(int(off[figure]) - int(row[figure]))


def _find_first_liquidation_times(run_result: RunResult) -> dict[tuple[int, str], int]:
    """Return the time of the first liquidation of each vault, by (collateral type, owner)."""
    auctions = transpose_table_rows(run_result.tables, "auctions")
    found: dict[tuple[int, str], int] = {}
    keys = zip(auctions["collateral_type"], auctions["owner"], auctions["started_at"], strict=True)
    for c, owner, at in keys:
        found[c, owner] = min(found.get((c, owner), at), at)
    return found


def _iter_false_liquidation_debts(parameters: Parameters, run_result: RunResult) -> Iterator[int]:
    """Yield the principal of each false liquidation [rad]."""
    state, auctions = (
        transpose_table_rows(run_result.tables, "state"),
        transpose_table_rows(run_result.tables, "auctions"),
    )
    prices: dict[tuple[int, int], int] = {}
    last: dict[int, int] = {}
    for at, c, price in zip(
        state["timestamp"], state["collateral_type"], state["market_price_ray"], strict=True
    ):
        prices[at, c] = last[c] = price
    names = ("collateral_type", "started_at", "lot_wad", "principal_rad")
    for c, at, lot, principal in zip(*(auctions[name] for name in names), strict=True):
        ratio = parameters.collateral_types[c].liquidation_ratio
        best = max(prices[at, c], last[c])
        if lot * best * BASIS_POINTS >= principal * ratio:
            yield principal


class _Draw(NamedTuple):
    amount: int  # wad
    ok: bool
    exploits: bool


def _iter_stablecoin_draws(scenario: Scenario, run_result: RunResult) -> Iterator[_Draw]:
    """Yield each draw of stablecoins by a borrower, exploiter or bridge that a block included."""
    roles = {name: group.role for group in scenario.keepers for name in group.list_keeper_names()}
    actions = transpose_table_rows(run_result.tables, "actions")
    names = ("method", "sender_name", "args", "ok")
    for method, sender, args, ok in zip(*(actions[name] for name in names), strict=True):
        role = roles.get(sender)
        if method == "deposit_and_draw" and role in ("borrower", "exploiter"):
            yield _Draw(args[3], ok, role == "exploiter")
        elif method == "draw" and role == "bridge":
            yield _Draw(args[0], ok, exploits=False)


# ------------------------------------------------------------------------ files


def write_comparison_json_and_csv(comparison: Mapping[str, Any], out: Path) -> None:
    """Write guards.json and guards.csv to a directory."""
    rows = (
        ((each["scenario"], row["guard"]), row) for each in comparison["scenarios"] for row in each["runs"]
    )
    files = {
        "guards.json": json.dumps(comparison, indent=2, sort_keys=True) + "\n",
        "guards.csv": as_csv(("scenario", "guard"), _LINES, rows),
    }
    write_files(out, files)
