"""Speed of stress studies in vault-steps a second: paths x steps x vaults over seconds.

The day has a crash, volatility and drift as severe as the library's shocks: more than a fifth of the vaults
are liquidated on an average path. The yardsticks are the usual ways: a loop over a table of vaults, which
auctions nothing, and transactions on Anvil through web3.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from multiprocessing import active_children
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from backstop.files.atomic_files import write_json
from backstop.model.arithmetic import WAD
from backstop.parallel.unordered_job_workers import Workers, build_process_workers, run_in_process
from backstop.simulation.scenario import Scenario, build_vault_book, draw_path_outcomes, load_scenario
from backstop.studies.stress.chunks import Chunk, run_chunk
from backstop.studies.stress.columns import OutcomeColumns, Rows
from backstop.studies.stress.engines import Task
from backstop.studies.stress.exact_bytecode_engine import ExactEngine
from backstop.studies.stress.fast import FastEngine
from backstop.studies.stress.fast.scenario_tables import ScenarioTables
from benchmarks.speed.contract_call_speed import YARDSTICK, CallSpeed, sum_cpu_seconds_including_own

SCHEMA_VERSION = 2
SCENARIO = "severe-day"
SEED = 1
CHUNK = 250
GOAL = 10_000, 60
"""Paths of 288 steps and 1,000 vaults, and the seconds that they may take."""


class StressSpeed(NamedTuple):
    """Speed of one method to run paths of a stress study."""

    way: str
    paths: float
    vaults: int
    steps: int
    seconds: float
    cpu: float = 0.0  # seconds of all processes, which do not depend on other users of the machine
    liquidated: float = 0.0  # share of the vaults, on average

    @property
    def vault_steps_per_second(self) -> float:
        """Vault-steps (paths x vaults x steps) a second, by the clock."""
        return self.paths * self.vaults * self.steps / self.seconds

    @property
    def vault_steps_per_cpu_second(self) -> float:
        """Vault-steps (paths x vaults x steps) a CPU second."""
        return self.paths * self.vaults * self.steps / self.cpu


@dataclass(frozen=True)
class StressDay:
    """Scenario for speed measurements, its number of vaults, and the seed of its paths."""

    scenario: Scenario
    vaults: int
    seed: int = SEED

    @classmethod
    def load_severe_scenario(cls) -> StressDay:
        """Return the stress day of the scenario `severe-day`."""
        scenario = load_scenario(SCENARIO)
        return cls(scenario, sum(book.vaults for book in scenario.generated.values()))

    def build_speed(
        self, way: str, paths: float, seconds: float, cpu: float = 0.0, rows: Rows | None = None
    ) -> StressSpeed:
        """Return the speed of a method that ran `paths` paths of the day.

        If `rows` has the results of paths, the speed includes the mean share of liquidated vaults.
        """
        liquidated = 0.0
        if rows is not None:
            place = OutcomeColumns.from_parameters(self.scenario.parameters).get_index("liquidations")
            liquidated = float(rows[:, place].mean()) / self.vaults
        return StressSpeed(way, paths, self.vaults, self.scenario.blocks, seconds, cpu, liquidated)


def measure_engines(day: StressDay, yardstick: CallSpeed, paths: int = GOAL[0]) -> Iterator[StressSpeed]:
    """Yield the speed of each method to run the day, the yardsticks first."""
    yield day.build_speed(YARDSTICK, 1, yardstick.seconds, yardstick.cpu)
    yield _measure_table_loop(day, "pandas: a loop over a table, no auctions", _liquidate_with_pandas)
    yield _measure_table_loop(day, "NumPy: a loop over arrays, no auctions", _run_numpy_liquidation_loop, 50)
    yield _measure_path_runner(
        day, "exact engine, contracts on revm", ExactEngine(day.scenario, SEED).run_paths, 10
    )
    model = ExactEngine(day.scenario, SEED, on_bytecode=False)
    yield _measure_path_runner(day, "exact engine, model alone", model.run_paths, 10)
    yield _measure_study(day, "fast engine, 1 worker", run_in_process, paths)
    yield _measure_study(day, "fast engine, 2 workers", build_process_workers(2), paths)


def measure_book_growth(
    day: StressDay, vaults: Iterable[int] = (10**3, 10**4, 10**5, 10**6)
) -> Iterator[StressSpeed]:
    """Yield the fast engine's speed with each number of vaults, risky vaults first, then safe ones.

    Debt, limits, markets and keepers' capital grow with the vaults. Safe vaults have 100 times the
    collateral, so that none is liquidated.
    """
    for text, collateral in (("", 1), (", all of them safe", 100)):
        for count in vaults:
            rows = FastEngine.from_tables(
                _scale_book_and_limits(day, count // day.vaults, collateral)
            ).run_paths
            paths = max(8, min(200, 200_000 // count))
            yield _measure_path_runner(replace(day, vaults=count), f"{count:,} vaults{text}", rows, paths)


def measure_study_lengths(
    day: StressDay, paths: Iterable[int] = (10**2, 10**3, 10**4, 10**5)
) -> Iterator[StressSpeed]:
    """Yield the speed of studies with each number of paths, on two workers."""
    for count in paths:
        yield _measure_study(day, f"{count:,} paths", build_process_workers(2), count)


def write_results(
    called: Iterable[CallSpeed],
    speeds: Iterable[StressSpeed],
    larger: Iterable[StressSpeed],
    longer: Iterable[StressSpeed],
    path: Path,
) -> None:
    """Write all speeds of calls, engines, book sizes and study lengths to a JSON file."""

    def listed(rows: Iterable[StressSpeed]) -> list[dict[str, Any]]:
        return [each._asdict() | {"vault_steps_per_s": round(each.vault_steps_per_second)} for each in rows]

    content = {
        "schema_version": SCHEMA_VERSION,
        "scenario": SCENARIO,
        "yardstick": YARDSTICK,
        "calls": [each._asdict() | {"calls_per_s": round(each.rate)} for each in called],
        "ways": listed(speeds),
        "by_vaults": listed(larger),
        "by_paths": listed(longer),
    }
    write_json(content, path)


# ---------------------------------------------------------------------- engines


def _measure_path_runner(
    day: StressDay, way: str, run_paths: Callable[[int, int], Rows], path_count: int
) -> StressSpeed:
    run_paths(0, 1)  # deploys, opens the book, compiles
    began, spent = time.perf_counter(), sum_cpu_seconds_including_own()
    found = run_paths(0, path_count)
    return day.build_speed(
        way, path_count, time.perf_counter() - began, sum_cpu_seconds_including_own() - spent, found
    )


def _measure_study(day: StressDay, way: str, workers: Workers, paths: int) -> StressSpeed:
    """Return the speed of a full study, with the start of processes and the engine's loading."""
    FastEngine(day.scenario, SEED).run_one_path(0)  # compiles the engine for all workers
    chunks = [Chunk(0, first, min(CHUNK, paths - first)) for first in range(0, paths, CHUNK)]
    began, spent = time.perf_counter(), sum_cpu_seconds_including_own()
    tasks = (Task(day.scenario, SEED, "fast"),)
    found = [done[1] for done in workers(run_chunk, tasks, chunks) if done is not None]
    seconds = time.perf_counter() - began
    for process in active_children():
        process.join()
    return day.build_speed(
        way, paths, seconds, sum_cpu_seconds_including_own() - spent, np.concatenate(found)
    )


def _scale_book_and_limits(day: StressDay, book_factor: int, collateral_factor: int) -> ScenarioTables:
    """Return the day's tables with its book repeated `book_factor` times, and scaled limits.

    Each vault's collateral is multiplied by `collateral_factor`.
    """
    scenario = day.scenario
    parameters = scenario.parameters
    larger = replace(
        scenario,
        parameters=replace(
            parameters,
            collateral_types=tuple(
                replace(
                    each,
                    debt_ceiling=each.debt_ceiling * book_factor,
                    auction_limit=each.auction_limit * book_factor,
                )
                for each in parameters.collateral_types
            ),
            global_debt_ceiling=parameters.global_debt_ceiling * book_factor,
            global_auction_limit=parameters.global_auction_limit * book_factor,
        ),
        markets={
            symbol: replace(market, depth=market.depth * book_factor)
            for symbol, market in scenario.markets.items()
        },
        keepers=tuple(
            replace(group, most=group.most * book_factor, capital=group.capital * book_factor)
            for group in scenario.keepers
        ),
        block_gas=scenario.block_gas * book_factor,
    )
    opening = {symbol: path.points[0] for symbol, path in scenario.prices.items()}
    book = build_vault_book(scenario, SEED, opening)
    types = np.array([scenario.symbols.index(vault.symbol) for vault in book])
    locked = np.array([vault.locked / WAD * collateral_factor for vault in book])
    debt = np.array([vault.debt / WAD for vault in book])
    owners = range(len(book) * book_factor)
    return ScenarioTables.from_vaults(
        larger,
        SEED,
        np.tile(types, book_factor),
        np.tile(locked, book_factor),
        np.tile(debt, book_factor),
        owners,
    )


# ------------------------------------------------------------------- yardsticks


def _measure_table_loop(
    day: StressDay, way: str, liquidate: Callable[..., None], paths: int = 2
) -> StressSpeed:
    """Return the speed of a loop over blocks in which `liquidate` sells all unsafe vaults.

    The vaults are a table of columns, sold at the market's price without auctions.
    """
    tables = ScenarioTables.from_scenario(day.scenario, SEED)
    terms, seconds, cpu = tables.terms, 0.0, 0.0
    for path in range(paths):
        prices = tables.build_path_conditions(draw_path_outcomes(day.scenario, SEED, path)).prices
        columns = {
            "type": np.searchsorted(terms["last"], np.arange(len(tables.vaults)), side="right"),
            "locked": tables.vaults["opening_locked"].copy(),
            "debt": tables.vaults["opening_debt"].copy(),
        }
        began, spent = time.perf_counter(), sum_cpu_seconds_including_own()
        liquidate(columns, prices, terms["ratio"], terms["depth"])
        seconds, cpu = seconds + time.perf_counter() - began, cpu + sum_cpu_seconds_including_own() - spent
    return day.build_speed(way, paths, seconds, cpu)


def _liquidate_with_pandas(columns: dict[str, Any], prices: Any, ratio: Any, depth: Any) -> None:
    table, bad_debt = pd.DataFrame(columns), 0.0
    table["line"] = ratio[table["type"]]
    table["open"] = True
    for now in prices.T:
        table["price"] = now[table["type"]]
        table["ratio"] = table["locked"] * table["price"] / table["debt"]
        sold = table[table["open"] & (table["ratio"] < table["line"])]
        for c, each in sold.groupby("type"):
            worth = (each["locked"] * each["price"]).sum()
            bad_debt += max(0.0, each["debt"].sum() - worth * depth[c] / (depth[c] + worth))
        table.loc[sold.index, "open"] = False


def _run_numpy_liquidation_loop(columns: dict[str, Any], prices: Any, ratio: Any, depth: Any) -> None:
    types, locked, debt = columns["type"], columns["locked"], columns["debt"]
    line, unsold, bad_debt = ratio[types], np.ones(len(debt), dtype=bool), 0.0
    for now in prices.T:
        worth = locked * now[types]
        sold = unsold & (worth < debt * line)
        if sold.any():
            for c in range(len(ratio)):
                lot = worth[sold & (types == c)].sum()
                bad_debt += max(0.0, debt[sold & (types == c)].sum() - lot * depth[c] / (depth[c] + lot))
            unsold &= ~sold
