"""A run of a scenario: its book is opened, its days pass block by block, everything is recorded."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from backstop.errors import BackstopError
from backstop.proof.replayable_trace import ProtocolTrace
from backstop.simulation import book_opening
from backstop.simulation.block_runner import BlockRunner
from backstop.simulation.deployment_session import open_deployment_session
from backstop.simulation.progress_and_interruption import Progress, RunInterruptedError
from backstop.simulation.run_directory import Row, TableSpool, write_run
from backstop.simulation.run_metadata import build_run_metadata
from backstop.simulation.run_summary import list_keeper_rows, summarise_run
from backstop.simulation.scenario import Scenario, draw_scenario

AFTERMATH_STEP = 6 * 3_600
"""Seconds between two blocks after the scenario's end, when prices stand still."""


class RunResult(NamedTuple):
    """Results of a run: its summary, its tables, and the trace that replays it."""

    summary: dict[str, Any]
    tables: dict[str, list[Row]]
    trace: ProtocolTrace


class Simulation(BlockRunner):
    """Complete run of a scenario, from the opening of the book to the result."""

    def open_book(self, progress: Progress, stop: Callable[[], bool]) -> None:
        """Open the scenario's vaults and positions, or restore the state that it begins with."""
        book_opening.open_book(self, progress, stop)

    def run_scenario(
        self,
        progress: Progress,
        stop: Callable[[], bool],
        aftermath_seconds: int = 0,
        *,
        runs_until_sold: bool = False,
    ) -> None:
        """Open the book, run all blocks, and then let quiet time pass at constant prices.

        With `runs_until_sold` the run first continues until no debt is left to sell, as in studies. Raises
        RunInterruptedError if `stop` returns True.
        """
        self.open_book(progress, stop)
        self.run_blocks(progress, stop)
        if runs_until_sold:
            self.run_until_sold(stop)
        for i in range(aftermath_seconds // AFTERMATH_STEP):
            if stop():
                raise RunInterruptedError(f"stopped {i * AFTERMATH_STEP // 3_600} hours after the last block")
            progress(i, aftermath_seconds // AFTERMATH_STEP, "what comes after")
            self.now += AFTERMATH_STEP
            self.run_block()
            self.include_transactions()  # nobody waits for hours
        if self.session.both is not None:
            self.session.both.compare_state()
        self.completed = True

    def build_result(self) -> RunResult:
        """Return the result of the run so far."""
        tables = dict(self.recorder.tables)
        tables["auctions"] = self.recorder.list_auction_rows()
        tables["calls"] = self.recorder.guards.list_margin_call_rows(self.scenario.symbols)
        tables["workouts"] = self.recorder.guards.list_workout_rows(self.scenario.symbols)
        if (margin := self.recorder.margin) is not None:
            tables["margin_closings"] = margin.closings
            tables["margin_payments"] = margin.payments
            tables["margin_liquidations"] = margin.liquidations
        tables["keepers"] = [tuple(row.values()) for row in list_keeper_rows(self)]
        reason = "a simulation" if self.error is None else str(self.error).partition("\n")[0]
        both, started_at = self.session.both, self.session.started_at
        if both is not None:
            trace = both.build_trace(reason)  # has the step that went wrong as well
        else:
            trace = ProtocolTrace(
                self.steps, started_at, self.seed, reason, parameters=self.scenario.parameters
            )
        return RunResult(summarise_run(self), tables, trace)


def simulate(
    scenario: Scenario,
    host: str = "revm",
    seed: int = 1,
    out: Path | None = None,
    *,
    path: int | None = None,
    command: str = "",
    aftermath: int | None = None,
    spool: bool = False,
    progress: Progress = lambda done, total, text: None,
    stop: Callable[[], bool] = lambda: False,
) -> RunResult:
    """Run a scenario, write its run directory to `out`, and return the result.

    If the run fails, the results so far are written before the error is raised. `path` selects a path of the
    study with this seed; such a run continues until no debt is left to sell, for at most a day. `aftermath`
    [seconds] replaces the scenario's own. With `spool` growing tables are written during the run, which saves
    memory; the result is then without them.
    """
    began = time.monotonic()
    scenario = draw_scenario(scenario, seed, path)
    with open_deployment_session(scenario, host, seed) as session, ExitStack() as spools:
        simulation = Simulation(scenario, session, seed)
        tables = simulation.recorder.tables
        if spool and out is not None:
            for name in tables:
                tables[name] = waiting = TableSpool(out, name)
                spools.callback(waiting.discard_file)
        try:
            quiet = scenario.aftermath if aftermath is None else aftermath
            simulation.run_scenario(progress, stop, quiet, runs_until_sold=path is not None)
        except BackstopError as error:
            simulation.error = error
        simulation.differences = len(getattr(simulation.error, "differences", ()))
        result = simulation.build_result()
        if out is not None:
            meta = build_run_metadata(host, command, out, time.monotonic() - began)
            if simulation.error is not None:
                meta["error"] = str(simulation.error)
            write_run(out, result.summary, meta, result.tables, result.trace)
    if simulation.error is not None:
        raise simulation.error
    whole = {name: rows for name, rows in result.tables.items() if not isinstance(rows, TableSpool)}
    return result._replace(tables=whole)
