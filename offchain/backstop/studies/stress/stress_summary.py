"""Summary of a study: summary.json, in integers, the same for equal studies.

Money is in millionths of a stablecoin (`micro`), probabilities and ratios in basis points (`bps`), times in
seconds. An estimate has a value and the ends of its interval; an end is null where the paths do not bound it.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from backstop.model.arithmetic import BASIS_POINTS, WAD
from backstop.simulation.loss_bearers import GROUPS, get_loss_bearer
from backstop.simulation.scenario import build_vault_book
from backstop.simulation.scenario.draw_scenario import set_depths_from_debts
from backstop.studies.stress.columns import NEVER, NO_DEBT, OutcomeColumns, Rows
from backstop.studies.stress.engines import Task
from backstop.studies.stress.path_statistics import (
    CONFIDENCE,
    Estimate,
    Sample,
    compute_tail_shortfall,
    estimate_mean_with_interval,
    estimate_quantile,
    estimate_share,
    estimate_shortfall,
)
from backstop.studies.stress.price_quantiles import compute_price_quantiles

SCHEMA_VERSION = 1
MILLION = 10**6

LEVELS = (9_500, 9_900)
"""Levels of value at risk and expected shortfall [bps]."""

PERCENTILES = (100, 500, 2_500, 5_000, 7_500, 9_500, 9_900)
"""Percentiles of ratios and times [bps]."""


def build_stress_summary(
    task: Task,
    scenario_name: str,
    rows: Rows,
    confirmed_paths: Sequence[Mapping[str, int]] = (),
    price_sensitivity: Mapping[str, Any] | None = None,
    drivers: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the content of summary.json of a study.

    `scenario_name` is the scenario's name or file. `rows` has the outcome of each path. `confirmed_paths` are
    paths that were run again on the contracts. `price_sensitivity` says how losses respond to prices,
    `drivers` how the tail responds to assumptions; each is None if it was not asked for.
    """
    scenario, columns = task.scenario, OutcomeColumns.from_parameters(task.scenario.parameters)
    column = {name: rows[:, i] for i, name in enumerate(columns.names)}
    return {
        "schema_version": SCHEMA_VERSION,
        "scenario": scenario.name,
        "title": scenario.title,
        "description": scenario.description,
        "facts": [f"{fact.statement} ({fact.source})" for fact in scenario.facts],
        "assumptions": list(scenario.assumptions),
        "seed": task.seed,
        "engine": task.engine,
        "digest": task.digest,
        "paths": len(rows),
        "duration_seconds": scenario.duration,
        "debt_micro": compute_total_debt(task),
        "confidence_bps": round(CONFIDENCE * BASIS_POINTS),
        "bad_debt": estimate_loss_chance_mean_and_tail(column["bad_debt"]),
        "outstanding": estimate_loss_chance_mean_and_tail(column["outstanding"]),
        "unsold": estimate_loss_chance_mean_and_tail(column["unsold"]),
        "liquidated_debt": estimate_loss_chance_mean_and_tail(column["liquidated_debt"]),
        "collateral_types": [
            {"symbol": symbol, "bad_debt": estimate_loss_chance_mean_and_tail(column[f"bad_debt_{symbol}"])}
            for symbol in columns.types
        ],
        "stages": [
            {
                "stage": stage,
                "group": get_loss_bearer(stage),
                "covered": estimate_loss_chance_mean_and_tail(column[f"covered_{stage}"]),
            }
            for stage in columns.stages
        ],
        "groups": [
            {"group": name, "paid": estimate_loss_chance_mean_and_tail(paid)}
            for name, paid in sum_payments_by_loss_bearer(columns, rows).items()
        ],
        "caps": describe_caps(task, columns, rows),
        "times": _summarise_times(column["first_loss_at"], column["covered_at"]),
        "prices": compute_price_quantiles(task, len(rows), worst_paths(columns, rows, 1)[0]),
        "lowest_ratio": _list_percentile_values(column["lowest_ratio"][column["lowest_ratio"] != NO_DEBT]),
        "contagion": _estimate_joint_loss_chances(columns, rows),
        "sensitivity": price_sensitivity,
        "drivers": drivers,
        "worst": _build_worst_path_record(task, scenario_name, columns, rows),
        "confirmed": list(confirmed_paths),
        "on_contracts": estimate_shortfalls_from_confirmed_paths(len(rows), confirmed_paths),
    }


def describe_caps(task: Task, columns: OutcomeColumns, rows: Rows) -> dict[str, Any]:
    """Return how often a lack of buyers' capital or of stablecoins limited sales at a path's end.

    Buyers' capital is used up if bidders have less left than the unsold debt, or less than a hundredth of
    their initial capital. Stablecoins are too few if markets lack more than a hundredth of their depth. Both
    causes may hold on one path. The cause `other` is unsold debt without either. Each cause has its number of
    paths and the averages of unsold debt and bad debt.
    """
    column = {name: rows[:, i] for i, name in enumerate(columns.names)}
    unsold, lost, left = column["unsold"], column["bad_debt"], column["buyers_left"]
    bidders = [group for group in task.scenario.keepers if group.role == "bidder"]
    capital = sum(group.count * group.capital for group in bidders) * MILLION // WAD
    markets = set_depths_from_debts(task.scenario, task.seed).markets.values()
    depth = sum(market.depth for market in markets) * MILLION // WAD
    bound = {
        "buyers": (left < unsold) | (left * 100 < capital),
        "stablecoins": column["depth_missing"] * 100 > depth,
    }
    bound["other"] = (unsold > 0) & ~bound["buyers"] & ~bound["stablecoins"]
    return {
        "buyers_capital_micro": capital,
        "depth_micro": depth,
        "causes": [
            {
                "cause": name,
                "paths": int(np.count_nonzero(where)),
                "unsold_paths": int(np.count_nonzero(where & (unsold > 0))),
                "unsold_micro": _round_average(unsold[where]),
                "bad_debt_micro": _round_average(lost[where]),
            }
            for name, where in bound.items()
        ],
    }


def _round_average(sample: Sample) -> int:
    """Return the average, rounded to the nearest integer; 0 for an empty sample."""
    return round(float(np.mean(sample))) if len(sample) else 0


def compute_total_debt(task: Task) -> int | None:
    """Return the debt of all vaults at the opening [micro], rounded down.

    None if the scenario begins from a recorded state.
    """
    scenario = task.scenario
    if scenario.opening is not None:
        return None
    vaults = build_vault_book(scenario, task.seed, scenario.first_prices)
    return sum(vault.debt for vault in vaults) * MILLION // WAD


def sum_payments_by_loss_bearer(columns: OutcomeColumns, rows: Rows) -> dict[str, Sample]:
    """Return the amount that each group of loss bearers paid on each path [micro].

    The group of a stage is the group that owns the money. The group "holders" bears the outstanding losses.
    """
    found: dict[str, Sample] = {}
    for name in GROUPS:
        stages = [stage for stage in columns.stages if get_loss_bearer(stage) == name]
        if stages:
            found[name] = sum(
                (rows[:, columns.get_index(f"covered_{stage}")] for stage in stages), start=_zero_column(rows)
            )
    return found | {"holders": rows[:, columns.get_index("outstanding")]}


def _zero_column(rows: Rows) -> Sample:
    return np.zeros(len(rows), dtype=np.int64)


def estimate_loss_chance_mean_and_tail(sample: Sample) -> dict[str, Any]:
    """Estimate the chance, the mean and the tail of a loss over all paths.

    The result has `chance`, `mean`, `levels` (value at risk and expected shortfall) and `largest_micro`.
    """
    return {
        "chance": convert_estimate_to_integers(
            estimate_share(int(np.count_nonzero(sample)), len(sample)), "bps", BASIS_POINTS
        ),
        "mean": convert_estimate_to_integers(estimate_mean_with_interval(sample), "micro"),
        "levels": [
            {
                "level_bps": level,
                "at_risk": convert_estimate_to_integers(
                    estimate_quantile(sample, level / BASIS_POINTS), "micro"
                ),
                "shortfall": convert_estimate_to_integers(
                    estimate_shortfall(sample, level / BASIS_POINTS), "micro"
                ),
            }
            for level in LEVELS
        ],
        "largest_micro": int(sample.max()),
    }


def convert_estimate_to_integers(estimate: Estimate, unit: str, scale: int = 1) -> dict[str, int | None]:
    """Return an estimate times `scale`, rounded to integers.

    The keys are `value_UNIT`, `low_UNIT` and `high_UNIT`. An end that is None stays None.
    """
    names = (f"{name}_{unit}" for name in Estimate._fields)
    return {
        name: None if value is None else round(value * scale)
        for name, value in zip(names, estimate, strict=True)
    }


def estimate_shortfalls_from_confirmed_paths(
    path_count: int, confirmed_paths: Sequence[Mapping[str, int]]
) -> list[dict[str, int]]:
    """Return the expected shortfall on the contracts, for each level with enough confirmed paths.

    Twice as many paths as the tail has are enough. The engines differ by far less than losses do around the
    tail's edge, so that the worst paths on the contracts are among them.
    """
    exact = np.array([each["exact_micro"] for each in confirmed_paths])
    return [
        {
            "level_bps": level,
            "shortfall_micro": round(compute_tail_shortfall(exact, path_count, level / BASIS_POINTS)),
        }
        for level in LEVELS
        if len(exact) * BASIS_POINTS >= 2 * path_count * (BASIS_POINTS - level)
    ]


def _list_percentile_values(sample: Sample) -> list[dict[str, int]]:
    """Return the percentiles of a sample by order statistics; an empty list for an empty sample."""
    if len(sample) == 0:
        return []
    return [
        {"level_bps": level, "value": round(estimate_quantile(sample, level / BASIS_POINTS).value)}
        for level in PERCENTILES
    ]


def _summarise_times(first_loss_at: Sample, covered_at: Sample) -> dict[str, Any]:
    """Return percentiles of the time of the first loss and of the time until it was paid [s].

    Only paths with a loss count. `never_covered` is the share of those paths with uncovered losses
    .
    """
    lost, covered = first_loss_at != NEVER, covered_at != NEVER
    return {
        "first_loss": _list_percentile_values(first_loss_at[lost]),
        "to_cover": _list_percentile_values((covered_at - first_loss_at)[covered]),
        "never_covered": convert_estimate_to_integers(
            estimate_share(int(np.sum(lost & ~covered)), int(np.sum(lost))), "bps", BASIS_POINTS
        ),
    }


def _estimate_joint_loss_chances(columns: OutcomeColumns, rows: Rows) -> list[dict[str, Any]]:
    """Estimate, for each pair of types, the chance that one has bad debt if the other has some."""
    losses = {symbol: rows[:, columns.get_index(f"bad_debt_{symbol}")] > 0 for symbol in columns.types}
    return [
        {
            "given": given,
            "also": [
                {
                    "symbol": other,
                    "chance": convert_estimate_to_integers(
                        estimate_share(int(np.sum(hit & also)), int(np.sum(hit))), "bps", BASIS_POINTS
                    ),
                }
                for other, also in losses.items()
            ],
        }
        for given, hit in losses.items()
    ]


def worst_paths(columns: OutcomeColumns, rows: Rows, count: int) -> list[int]:
    """Return the numbers of the `count` paths with the most bad debt, worst first.

    Of equal bad debts, the path with more outstanding losses comes first, then the lower number.
    """
    keys = (rows[:, 0], -rows[:, columns.get_index("outstanding")], -rows[:, columns.get_index("bad_debt")])
    return [int(path) for path in rows[np.lexsort(keys), 0][:count]]


def _build_worst_path_record(
    task: Task, scenario_name: str, columns: OutcomeColumns, rows: Rows
) -> dict[str, Any]:
    """Return number and outcome of the worst path, with the command that replays the path."""
    path = worst_paths(columns, rows, 1)[0]
    row = rows[rows[:, 0] == path][0]
    return {
        "path": path,
        "row": {name: int(row[i]) for i, name in enumerate(columns.names)},
        "replay": shlex.join(
            ("simulate", "--scenario", scenario_name, "--seed", str(task.seed), "--path", str(path))
        ),
    }
