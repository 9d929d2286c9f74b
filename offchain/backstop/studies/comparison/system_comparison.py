"""Comparison of whole systems on one crash: each mechanism under each order of losses.

Owners, prices, markets, gas and keepers are the scenario's, the same for all. A system is two parts, its
liquidation mechanism and its order of losses, and each pair of parts is a run. So for two systems all four
combinations are there, and a difference between them is split into the effects of both parts. Further runs
leave a system's liquidation ratio out, and halve and double one input of the scenario at a time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from backstop.errors import BackstopError
from backstop.files.atomic_files import write_files, write_json
from backstop.model.arithmetic import RAD, WAD
from backstop.parallel.unordered_job_workers import Workers, run_in_process
from backstop.simulation.progress_and_interruption import Progress, RunInterruptedError
from backstop.simulation.scenario import Scenario
from backstop.simulation.scenario.scenario_records import RUN_ON
from backstop.simulation.simulator import simulate
from backstop.studies.comparison.presets import Preset, apply_preset
from backstop.studies.comparison.presets.preset_parts import combine_presets, drop_liquidation_ratio
from backstop.studies.comparison.run_comparison_lines import Line, as_csv
from backstop.studies.comparison.system_figures import (
    FIGURES,
    PAYER_TITLES,
    collect_system_figures,
)
from backstop.studies.comparison.world_inputs import FACTORS, HALF, INPUTS, list_scaled_scenarios
from backstop.studies.stress.paired_difference import compare_paired
from backstop.studies.stress.path_statistics import (
    LEAST_TAIL,
    Estimate,
    estimate_mean_with_interval,
    estimate_shortfall,
)
from backstop.studies.stress.stress_summary import convert_estimate_to_integers

SCHEMA_VERSION = 1
LEVEL = Fraction(95, 100)
"""Level of the expected shortfall over paths."""
LEAST_PATHS = int(LEAST_TAIL / (1 - LEVEL))
"""Paths without which an expected shortfall at LEVEL has no interval."""
SHOWN_INPUTS = 2
"""Inputs that are shown beside a figure: those that move it most."""
RESULT = "systems.json"
ALL_SYSTEMS = "systems,backstop"
"""The presets of a comparison of all systems; differences over paths are to the last."""

_MICRO = {"rad": RAD // 10**6, "wad": WAD // 10**6}


@dataclass(frozen=True)
class SystemJob:
    """Run of a comparison of systems, with its key; runs of whole systems have a folder."""

    key: str
    scenario: Scenario
    host: str
    path: int | None = None
    folder: Path | None = None
    can_fail: bool = False  # its scenario has a scaled input, which may not fit the rest


def name_cell(mechanism: str, order: str) -> str:
    """Return the key of the run with this liquidation mechanism and this order of losses."""
    return f"{mechanism}+{order}"


def run_system_job(shared: tuple[int, int, str], job: SystemJob) -> dict[str, Any]:
    """Run a job, and return its figures; with `can_fail`, return the reason if it cannot run.

    `shared` has the seed, the aftermath [seconds] and the command that a run directory records.
    """
    seed, aftermath, command = shared
    try:
        result = simulate(
            *(job.scenario, job.host, seed, job.folder),
            path=job.path,
            command=command,
            aftermath=aftermath if job.path is None else 0,
        )
    except BackstopError as error:
        if not job.can_fail:
            raise
        return {"refused": str(error), "steps": 0, "fields_compared": 0, "differences": 0}
    return collect_system_figures(result)


def compare_systems(
    scenario: str,
    presets: Sequence[Preset],
    host: str,
    seed: int,
    out: Path,
    *,
    aftermath: int,
    paths: int = 0,
    has_inputs: bool = True,
    workers: Workers = run_in_process,
    command: str = "",
    progress: Progress = lambda done, total, text: None,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Run each liquidation mechanism under each order of losses, and return the comparison.

    The results are written to systems.json and systems.csv, with a run directory for each whole system. Runs
    with a scaled input, and the `paths` of each system, use the model alone. Results of earlier finished runs
    are reused.
    """
    check_path_count(paths)
    alike = find_equal_orders(scenario, presets)
    jobs = list(_list_jobs(scenario, presets, alike, host, out, paths, has_inputs=has_inputs))
    rows = _run_jobs(jobs, (seed, aftermath, command), out / "cells", workers, progress, stop)
    first = jobs[0].scenario
    names = [each.name for each in presets]
    cells = {
        # Of systems with equal orders of losses, each whole system stands for both orders.
        name_cell(one, other): rows[one if alike[one] == alike[other] else name_cell(one, alike[other])]
        for one in names
        for other in names
    }
    comparison = {
        "schema_version": SCHEMA_VERSION,
        "scenario": first.name,
        "title": first.title,
        "description": first.description,
        "facts": [f"{fact.statement} ({fact.source})" for fact in first.facts],
        "assumptions": list(first.assumptions),
        "seed": seed,
        "host": host,
        "aftermath_seconds": aftermath,
        "systems": [
            {"preset": each.name, "title": each.title, "description": each.description} for each in presets
        ],
        "equal_orders": {name: other for name, other in alike.items() if name != other},
        "cells": cells,
        "at_scenario_ratio": {
            each: rows.get(f"{each}@ratio", cells[name_cell(each, each)]) for each in names
        },
        "inputs": [each.title for each in INPUTS],
        "sensitivity": {each: _rank_inputs(each, cells[name_cell(each, each)], rows) for each in names},
        "paths": estimate_over_paths(names, rows, paths, first.duration + RUN_ON) if paths else None,
        "steps": sum(row["steps"] for row in rows.values()),
        "fields_compared": sum(row["fields_compared"] for row in rows.values()),
        "differences": sum(row["differences"] for row in rows.values()),
    }
    comparison["pairs"] = [split_difference(cells, one, other) for one, other in combinations(names, 2)]
    write_system_files(comparison, out)
    return comparison


def check_path_count(paths: int) -> None:
    """Raise BackstopError if the paths are too few for an interval of the expected shortfall.

    0 means no study of paths and is allowed.
    """
    if 0 < paths < LEAST_PATHS:
        raise BackstopError(
            f"--paths {paths}: an expected shortfall at {LEVEL * 100}% needs {LEAST_PATHS} paths or more"
        )


def find_equal_orders(scenario: str, presets: Sequence[Preset]) -> dict[str, str]:
    """Return, by preset name, the first preset with an equal order of losses.

    Both share one run.
    """
    found: dict[str, str] = {}
    days: list[tuple[str, Scenario]] = []
    for each in presets:
        # Reasons for settings differ, and change nothing.
        day = replace(apply_preset(combine_presets(presets[0], each), scenario), unsafe={})
        equal = next((name for name, other in days if other == day), each.name)
        days.append((each.name, day))
        found[each.name] = equal
    return found


# ------------------------------------------------------------------------- runs


def _list_jobs(
    scenario: str,
    presets: Sequence[Preset],
    alike: Mapping[str, str],
    host: str,
    out: Path,
    paths: int,
    *,
    has_inputs: bool,
) -> Iterator[SystemJob]:
    """Yield all runs: whole systems, other pairs of parts, other ratios, scaled inputs and paths."""
    whole = {each.name: apply_preset(each, scenario) for each in presets}
    for name, day in whole.items():
        yield SystemJob(name, day, host, folder=out / name)
    for mechanism in presets:
        for order in presets:
            if alike[order.name] == order.name and alike[mechanism.name] != order.name:
                joined = combine_presets(mechanism, order)
                yield SystemJob(joined.name, apply_preset(joined, scenario), host)
    for each in presets:
        dropped = drop_liquidation_ratio(each)
        day = apply_preset(dropped, scenario)
        if day != whole[each.name]:
            yield SystemJob(dropped.name, day, host)
    if has_inputs:
        for name, day in whole.items():
            for given, factor, scaled in list_scaled_scenarios(day):
                yield SystemJob(_name_input_run(name, given.name, factor), scaled, "model", can_fail=True)
    for path in range(paths):
        for name, day in whole.items():
            yield SystemJob(name_path_run(name, path), day, "model", path=path)


def _name_input_run(system: str, input_name: str, factor: Fraction) -> str:
    return f"{system}.{input_name}.{'half' if factor == HALF else 'double'}"


def name_path_run(system: str, path: int) -> str:
    """Return the key of the run of a whole system on one path."""
    return f"{system}.path.{path}"


def _run_jobs(
    jobs: Sequence[SystemJob],
    shared: tuple[int, int, str],
    folder: Path,
    workers: Workers,
    progress: Progress,
    stop: Callable[[], bool],
) -> dict[str, dict[str, Any]]:
    """Run the jobs without a stored result, and return the figures of all jobs by key.

    Raises RunInterruptedError if `stop` returns True before the end.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = {
        each.key: json.loads(path.read_text(encoding="utf-8"))
        for each in jobs
        if (path := folder / f"{each.key}.json").is_file()
    }
    todo = [each for each in jobs if each.key not in rows]
    with closing(workers(run_system_job, shared, todo)) as done:
        for finished in done:
            if finished is not None:
                job, row = finished
                write_json(row, folder / f"{job.key}.json")
                rows[job.key] = row
                progress(len(rows), len(jobs), job.key)
            if stop() and len(rows) < len(jobs):
                raise RunInterruptedError(f"stopped after {len(rows)} of {len(jobs)} runs")
    return rows


# ------------------------------------------------------------------- comparison


def split_difference(cells: Mapping[str, Mapping[str, Any]], one: str, other: str) -> dict[str, Any]:
    """Split each difference between two systems into the effects of mechanism and order of losses.

    An effect is the mean of two differences, with the other part of either system. Both effects thus add up
    to the whole (Shapley value of two parts). Amounts are in the figure's unit; the mechanism's effect is
    rounded down.
    """
    figures = {}
    for line in FIGURES:
        first, with_mechanism, with_order, second = (
            int(cells[name_cell(mechanism, order)][line.figure])
            for mechanism, order in ((one, one), (other, one), (one, other), (other, other))
        )
        by_mechanism = (with_mechanism - first + second - with_order) // 2
        figures[line.figure] = {
            "first": str(first),
            "with_mechanism": str(with_mechanism),
            "with_order": str(with_order),
            "second": str(second),
            "by_mechanism": str(by_mechanism),
            "by_order": str(second - first - by_mechanism),
        }
    return {"first": one, "second": other, "figures": figures}


def _rank_inputs(
    system: str, row: Mapping[str, Any], rows: Mapping[str, Mapping[str, Any]]
) -> dict[str, list[dict[str, Any]]]:
    """Return, for each figure, the inputs that change it most.

    Each input has the figure's values at half and at double the input.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for line in FIGURES:
        now, moved = int(row[line.figure]), []
        for each in INPUTS:
            half, double = (
                rows.get(_name_input_run(system, each.name, factor), {}).get(line.figure)
                for factor in FACTORS
            )
            swing = max((abs(int(value) - now) for value in (half, double) if value is not None), default=0)
            if swing:
                moved.append((swing, {"input": each.title, "half": half, "double": double}))
        moved.sort(key=lambda entry: -entry[0])
        found[line.figure] = [entry for _, entry in moved[:SHOWN_INPUTS]]
    return found


def estimate_over_paths(
    names: Sequence[str], rows: Mapping[str, Mapping[str, Any]], paths: int, longest: int
) -> dict[str, Any]:
    """Estimate mean and expected shortfall of each figure, and the excess over the last system.

    Amounts of money are in millionths of a coin. All systems meet the same paths. `longest` is the most time
    that a path can take [seconds], which bounds the intervals of times.
    """
    level = float(LEVEL)
    systems: dict[str, dict[str, Any]] = {name: {} for name in names}
    for line in FIGURES:
        samples = {
            name: np.array(
                [
                    int(rows[name_path_run(name, path)][line.figure]) // _MICRO.get(line.unit, 1)
                    for path in range(paths)
                ],
                dtype=np.float64,
            )
            for name in names
        }
        for name, sample in samples.items():
            change, shortfall = (
                compare_paired(samples[names[-1]], sample, level),
                estimate_shortfall(sample, level),
            )
            excess = change.change
            if line.unit == "seconds":
                shortfall, excess = (
                    _clip_interval(shortfall, 0, longest),
                    _clip_interval(excess, -longest, longest),
                )
            systems[name][line.figure] = {
                "mean": convert_estimate_to_integers(estimate_mean_with_interval(sample), "micro"),
                "shortfall": convert_estimate_to_integers(shortfall, "micro"),
                "beyond_last": convert_estimate_to_integers(excess, "micro"),
                "verdict": change.verdict,
            }
    return {"count": paths, "level_bps": int(LEVEL * 10_000), "against": names[-1], "systems": systems}


def _clip_interval(estimate: Estimate, least: int, most: int) -> Estimate:
    """Return an estimate with its interval clipped to `least` and `most`."""
    low, high = (
        None if end is None else float(min(max(end, least), most)) for end in (estimate.low, estimate.high)
    )
    return Estimate(estimate.value, low, high)


# ------------------------------------------------------------------------ files


def list_payer_lines(comparison: Mapping[str, Any]) -> list[Line]:
    """Return a table line for each group that bears a coin or more under at least one system."""
    own = [comparison["cells"][name_cell(each["preset"], each["preset"])] for each in comparison["systems"]]
    return [
        Line(f"  {title}", f"borne.{name}", "rad")
        for name, title in PAYER_TITLES.items()
        if any(abs(int(row["borne"][name])) >= RAD for row in own)
    ]


def write_system_files(comparison: Mapping[str, Any], out: Path) -> None:
    """Write systems.json and systems.csv, with a row for each mechanism under each order of losses."""
    names = [each["preset"] for each in comparison["systems"]]
    rows = (((one, other), comparison["cells"][name_cell(one, other)]) for one in names for other in names)
    lines = [*FIGURES, *list_payer_lines(comparison)]
    write_files(
        out,
        {
            RESULT: json.dumps(comparison, indent=2, sort_keys=True) + "\n",
            "systems.csv": as_csv(("mechanism", "order of losses"), lines, rows),
        },
    )
