"""Sweep: a study for every setting of a grid, the settings worth having, the one to take.

All settings meet the same paths (common random numbers), so that their differences are not luck. A folder
holds the paths of each setting under points/, each setting as a scenario file under settings/, sweep.parquet
and sweep.csv with a row for each, summary.json, and the page.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from backstop.errors import BackstopError
from backstop.files.atomic_files import read_versioned_json, replace_file, write_files, write_json
from backstop.files.output_directories import hash_value_repr, refuse_other
from backstop.model.arithmetic import BASIS_POINTS, WAD
from backstop.parallel.unordered_job_workers import Workers
from backstop.simulation.progress_and_interruption import Progress
from backstop.simulation.scenario import Scenario
from backstop.simulation.scenario.parameter_misfit_refusal import describe_short_steps
from backstop.simulation.scenario.parameters_yaml_writer import (
    format_decimal,
    format_exact_stablecoin,
    format_exact_usd_price,
    render_yaml,
)
from backstop.simulation.scenario.vault_books import COLUMNS
from backstop.studies.borrow_usage import (
    BorrowUsage,
    choose_measure,
    describe_measure,
    find_efficient,
    find_front,
    measure_borrow_usage,
)
from backstop.studies.borrower_response import DISTANCE, STILL
from backstop.studies.plain_scenario_values import build_plain_values
from backstop.studies.stress.columns import OutcomeColumns, Rows
from backstop.studies.stress.engines import Task
from backstop.studies.stress.parameter_grid import BOOK, Axis, Grid, Point, RefusedPoint
from backstop.studies.stress.path_statistics import (
    CONFIDENCE,
    Sample,
    estimate_mean_with_interval,
    estimate_quantile,
    estimate_share,
    estimate_shortfall,
)
from backstop.studies.stress.resumable_path_study import Study, run_all
from backstop.studies.stress.stress_summary import convert_estimate_to_integers

SCHEMA_VERSION = 1
RESAMPLES = 400
SETTINGS = "settings"
"""Folder of a sweep for its settings as scenario files."""
STUDIES = "studies"
"""Folder of a sweep for studies of single settings."""
_CELLS = 2_000_000
_SEED = 1
_RATIOS = (".liquidation_ratio", ".initial_ratio")


class Sweep:
    """Studies of all settings of a grid, stored in one folder."""

    def __init__(self, grid: Grid, seed: int, engine: str, paths: int, out: Path) -> None:
        self.grid = grid
        self.seed = seed
        self.engine = engine
        self.paths = paths
        self.out = out
        self.tasks = [Task(point.scenario, seed, engine) for point in grid.points]

    @classmethod
    def open_or_resume(cls, grid: Grid, seed: int, engine: str, paths: int, out: Path) -> Sweep:
        """Create a sweep's folder, or reopen one with the same settings and as many paths or fewer.

        Raises BackstopError if the folder holds another sweep.
        """
        sweep = cls(grid, seed, engine, paths, out)
        sweep.prepare_folder()
        return sweep

    def prepare_folder(self) -> None:
        """Write sweep.json, or check that the folder's sweep.json describes this sweep.

        Raises BackstopError if it describes another sweep, or if the folder cannot be written.
        """
        file = self.out / "sweep.json"
        if file.exists():
            there = read_versioned_json(
                file, "sweep", SCHEMA_VERSION, "check --out", "start in another folder"
            )
            refuse_other(self.out, there, self.describe_settings())
            return
        try:
            write_json(self.describe_settings(), file)
        except OSError as error:
            raise BackstopError(f"{self.out} cannot be written: {error.strerror or error}") from None

    def write_scenarios(self) -> None:
        """Write each setting as a scenario file, from which a study of that setting alone can be run."""
        folder = self.out / SETTINGS
        folder.mkdir(exist_ok=True)
        called = self.grid.scenario
        if called.endswith((".yaml", ".yml")):
            called = os.path.relpath(called, folder)
        texts = {}
        for number, point in enumerate(self.grid.points):
            pairs = zip(self.grid.axes, self.grid.get_value_texts(point), strict=True)
            setting = ", ".join(f"{axis.title} {value}" for axis, value in pairs)
            content = {"extends": called, "title": f"{point.scenario.title}: {setting}"}
            content |= build_plain_values(self.grid.build_change(point), "", folder)
            if point.has_own_book:
                texts[f"{number:04}.csv"] = _render_book(point.scenario)
                content |= _build_book_sections(self.grid, point, content, f"{number:04}.csv")
            texts[f"{number:04}.yaml"] = render_yaml(content)
        write_files(folder, texts)

    def describe_settings(self) -> dict[str, Any]:
        """Return the content of sweep.json, which must be equal for a sweep to be resumed."""
        grid = self.grid
        axes = [(axis.name, axis.title, axis.values) for axis in grid.axes]
        return {
            "schema_version": SCHEMA_VERSION,
            "grid": self.grid.name,
            "seed": self.seed,
            "engine": self.engine,
            "owners": grid.owners,
            "content of the grid": hash_value_repr(
                (grid.title, axes, grid.gain, grid.limit, grid.level, [task.digest for task in self.tasks])
            ),
        }

    def run_points(self, workers: Workers, progress: Progress, stop: Callable[[], bool]) -> list[Rows]:
        """Run the missing paths of every setting, and return the outcome rows of each setting."""
        studies = [
            Study.open_or_resume(task, self.paths, self.out / "points" / f"{number:04}")
            for number, task in enumerate(self.tasks)
        ]
        return run_all(studies, workers, progress, stop)

    def write_results(self, summary: Mapping[str, Any], meta: Mapping[str, Any]) -> None:
        """Write sweep.parquet, sweep.csv, summary.json, meta.json and the settings as scenario files."""
        rows = [_flatten_point(point) for point in summary["points"]]
        part, table = self.out / "sweep.part", pa.Table.from_pylist(rows)
        try:
            pq.write_table(table, part, compression="zstd")
            replace_file(part, self.out / "sweep.parquet")
            pc.write_csv(table, part)
            replace_file(part, self.out / "sweep.csv")
        except OSError as error:
            raise BackstopError(f"{self.out} cannot be written: {error.strerror or error}") from None
        self.write_scenarios()
        contents = {"summary.json": summary, "meta.json": meta}
        files = {name: json.dumps(each, indent=2, sort_keys=True) + "\n" for name, each in contents.items()}
        write_files(self.out, files)


def _render_book(scenario: Scenario) -> str:
    """Return a setting's vaults as the text of a CSV file, with exact amounts."""
    file = StringIO()
    table = csv.writer(file, lineterminator="\n")
    table.writerow(COLUMNS)
    for vault in scenario.vaults:
        amounts = (format_decimal(amount, WAD) for amount in (vault.locked, vault.debt))
        table.writerow((vault.owner, vault.symbol, *amounts))
    return file.getvalue()


def _build_book_sections(grid: Grid, point: Point, content: Mapping[str, Any], file: str) -> dict[str, Any]:
    """Return the sections of a scenario file for its own vaults, opening prices and depths."""
    book: dict[str, Any] = {"file": file}
    opened_at = point.scenario.opened_at
    if len(opened_at) == len(point.scenario.symbols):  # else they follow from the rows that are opened late
        book["opened_at"] = {symbol: format_exact_usd_price(price) for symbol, price in opened_at.items()}
    if grid.owners == STILL:
        return {BOOK: book}
    markets = dict(content.get("markets", {}))
    for symbol, market in point.scenario.markets.items():
        changed = {name: each for name, each in markets.get(symbol, {}).items() if name != "debt_to_depth"}
        markets[symbol] = changed | {"depth": format_exact_stablecoin(market.depth)}
    return {BOOK: book, "markets": markets}


def _flatten_point(point: Mapping[str, Any]) -> dict[str, Any]:
    """Return a setting's figures as one flat row.

    Its values have the names of the axes; names of nested figures are joined.
    """
    row: dict[str, Any] = dict(point["values"])
    for name, value in point.items():
        if name == "values":
            continue
        if isinstance(value, Mapping):
            row |= {f"{name}_{part}": each for part, each in value.items()}
        else:
            row[name] = value
    return row


# ---------------------------------------------------------------------- figures


def build_summary(sweep: Sweep, outcomes: Sequence[Rows]) -> dict[str, Any]:
    """Return the content of summary.json.

    It has each setting's gain, loans, losses and place on the efficient front, and the recommended setting.
    `outcomes` has the rows of each setting.
    """
    grid, level = sweep.grid, sweep.grid.level / BASIS_POINTS
    losses = [_get_column(point, rows, "bad_debt") for point, rows in zip(grid.points, outcomes, strict=True)]
    tails = [estimate_shortfall(lost, level) for lost in losses]
    risks = [round(tail.value) for tail in tails]
    usages = [measure_borrow_usage(point.scenario, sweep.seed) for point in grid.points]
    gain = grid.gain or choose_measure(usages)
    pairs = zip(grid.points, usages, strict=True)
    gains = [measure_book_debt_or_capital_efficiency(gain, point.scenario, used) for point, used in pairs]
    withheld = explain_withheld_recommendation(grid, usages, choose_point(gains, risks, grid.limit))
    unbeaten = find_front(gains, risks)
    # A book that stands still makes the lowest ratio look best here, too.
    efficient = [False] * len(risks) if withheld else find_efficient(usages, risks)
    points = []
    for number, (point, rows) in enumerate(zip(grid.points, outcomes, strict=True)):
        lost, left, used = losses[number], _get_column(point, rows, "outstanding"), usages[number]
        points.append(
            {
                "values": _get_named_values(grid, point),
                "gain": gains[number],
                "front": unbeaten[number],
                "debt_wad": str(used.debt),
                "ceiling_share_bps": used.share_bps,
                "revenue_wad": None if used.revenue is None else str(used.revenue),
                "efficient": efficient[number],
                "shortfall": convert_estimate_to_integers(tails[number], "micro"),
                "at_risk": convert_estimate_to_integers(estimate_quantile(lost, level), "micro"),
                "mean": convert_estimate_to_integers(estimate_mean_with_interval(lost), "micro"),
                "chance": convert_estimate_to_integers(
                    estimate_share(int(np.count_nonzero(lost)), len(lost)), "bps", BASIS_POINTS
                ),
                "outstanding": convert_estimate_to_integers(
                    estimate_share(int(np.count_nonzero(left)), len(left)), "bps", BASIS_POINTS
                ),
            }
        )
    return {
        "schema_version": SCHEMA_VERSION,
        "grid": grid.name,
        "title": grid.title,
        "scenario": grid.scenario,
        "seed": sweep.seed,
        "engine": sweep.engine,
        "paths": sweep.paths,
        "gain": gain,
        "owners": grid.owners,
        "measure": choose_measure(usages),
        "measure_says": describe_measure(usages),
        "confidence_bps": round(CONFIDENCE * BASIS_POINTS),
        "level_bps": grid.level,
        "limit_micro": grid.limit,
        "axes": [{"name": axis.name, "title": axis.title, "values": list(axis.values)} for axis in grid.axes],
        "points": points,
        "refused": [
            {"values": _get_named_values(grid, each), "rule": each.rule, "finding": each.finding}
            for each in grid.refused
        ],
        "remarks": [*grid.remarks, *_list_warnings(grid)],
        "recommended": None if withheld else recommend_point(gains, risks, losses, level, grid.limit),
        "withheld": withheld,
    }


def _get_named_values(grid: Grid, point: Point | RefusedPoint) -> dict[str, str]:
    return dict(zip((axis.name for axis in grid.axes), grid.get_value_texts(point), strict=True))


def _list_warnings(grid: Grid) -> list[str]:
    """Return the warnings about exemptions that settings of the grid have, each once."""
    return list(dict.fromkeys(line for point in grid.points for line in describe_short_steps(point.scenario)))


def explain_withheld_recommendation(
    grid: Grid, usages: Sequence[BorrowUsage], chosen: int | None
) -> str | None:
    """Return why no setting can be recommended; None if a setting can be.

    The reason is a ratio that changes while vaults and debts stay the same. Owners with as much collateral at
    a ratio of 106% as at 145% are further from liquidation at 106%, so that the lowest ratio looks safest. In
    truth they would borrow up to the lower ratio. Two settings on an axis of ratios have the same vaults if
    each type owes and locks the same. `chosen` is the index of the best setting: the reason counts if that
    setting is one of them, or if it is None.
    """
    for axis, same in _iter_still_groups(grid, usages):
        if chosen is not None and chosen not in same:
            continue
        values = [axis.values[grid.points[i].places[grid.axes.index(axis)]] for i in same]
        cause = f"{axis.title} changes from {values[0]} to {values[-1]} and the book stands still"
        instead = "Let owners respond (--owners distance)"
        if grid.owners == DISTANCE:
            instead = "Where a ceiling keeps owners from drawing more, raise it"
        return (
            f"No setting is recommended: {cause}. The same owners hold as much collateral at each, so that a "
            f"lower ratio only looks safer. {instead}, have the axis change the book, too, or compare at "
            "equal ratios."
        )
    return None


def _iter_still_groups(grid: Grid, usages: Sequence[BorrowUsage]) -> Iterator[tuple[Axis, list[int]]]:
    """Yield groups of settings with equal vaults that differ only on an axis of ratios.

    Vaults count as equal if the debt and the collateral of each type are equal.
    """
    for place, axis in enumerate(grid.axes):
        if not any(path.endswith(_RATIOS) for path in axis.paths):
            continue
        groups: dict[tuple[object, ...], list[int]] = {}
        for number, (point, used) in enumerate(zip(grid.points, usages, strict=True)):
            others = point.places[:place] + point.places[place + 1 :]
            groups.setdefault((others, used.debts, used.locked), []).append(number)
        for same in groups.values():
            if len(same) > 1:
                yield axis, same


def _get_column(point: Point, rows: Rows, name: str) -> Sample:
    return rows[:, OutcomeColumns.from_parameters(point.scenario.parameters).get_index(name)]


def measure_book_debt_or_capital_efficiency(gain_kind: str, scenario: Scenario, usage: BorrowUsage) -> int:
    """Return the gain of a setting, by the kind of gain that the grid asks for.

    `efficiency` is the debt that a unit of collateral value allows [bps]: one over the initial ratio,
    averaged over the types by debt. `debt` is the debt of all vaults, and `revenue` their stability fees of a
    year, in whole stablecoins, rounded down.
    """
    if gain_kind != "efficiency":
        return (usage.debt if gain_kind == "debt" else usage.revenue or 0) // WAD
    types = scenario.parameters.collateral_types
    drawn = sum(
        debt * BASIS_POINTS * BASIS_POINTS // each.initial_ratio
        for each, debt in zip(types, usage.debts, strict=True)
    )
    return drawn // max(1, usage.debt)


def choose_point(gains: Sequence[int], risks: Sequence[float], limit: float) -> int | None:
    """Return the index of the setting with the largest gain among those with a risk within the limit.

    Of equal gains, the lower risk is chosen. None if no setting is within the limit.
    """
    within = [number for number, risk in enumerate(risks) if risk <= limit]
    return min(within, key=lambda number: (-gains[number], risks[number], number), default=None)


def recommend_point(
    gains: Sequence[int], risks: Sequence[int], losses: Sequence[Sample], level: float, limit: int
) -> dict[str, int] | None:
    """Return the recommended setting and its certainty; None if no setting is within the limit.

    The result has the keys `point` (index), `within_limit_bps` and `chosen_bps`. A bootstrap draws the same
    paths for all settings. These keys say in how many resamples the setting kept the limit or was chosen.
    """
    chosen = choose_point(gains, risks, limit)
    if chosen is None:
        return None
    found = _list_resampled_shortfalls(losses, level)
    again = sum(choose_point(gains, each, limit) == chosen for each in found.tolist())
    return {
        "point": chosen,
        "within_limit_bps": int(np.sum(found[:, chosen] <= limit)) * BASIS_POINTS // len(found),
        "chosen_bps": again * BASIS_POINTS // len(found),
    }


def _list_resampled_shortfalls(losses: Sequence[Sample], level: float) -> Sample:
    """Return the expected shortfall of each setting (column) in each bootstrap resample (row)."""
    n = len(losses[0])
    tail = round(n * (1 - level), 9)  # 200 * (1 - 0.95) is 10
    random, found = np.random.default_rng(_SEED), []
    orders = [np.argsort(-lost, kind="stable")[: min(n, int(4 * tail) + 51)] for lost in losses]
    at_once = max(1, _CELLS // n)
    for first in range(0, RESAMPLES, at_once):
        counts = random.multinomial(n, np.full(n, 1 / n), min(at_once, RESAMPLES - first))
        columns = []
        for lost, order in zip(losses, orders, strict=True):
            reached = np.minimum(np.cumsum(counts[:, order], axis=1), tail)
            weights = np.diff(reached, axis=1, prepend=0)
            # Not a matrix product, whose sums depend on the processor.
            columns.append(np.sum(weights * lost[order].astype(np.float64), axis=1) / tail)
        found.append(np.stack(columns, axis=1))
    return np.concatenate(found)
