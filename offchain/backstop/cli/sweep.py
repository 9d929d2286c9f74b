"""A grid of settings, each against the same paths."""

from __future__ import annotations

import time
from pathlib import Path

import click

from backstop.cli.command_helpers import (
    RUNS,
    Command,
    format_repeat_command,
    handle_errors,
    handle_stop_signals,
    json_option,
    open_output,
    output_options,
    seed_option,
    show_progress_bar,
    workers_options,
)
from backstop.errors import BackstopError
from backstop.studies.borrower_response import RESPONSES
from backstop.studies.stress.engines import ENGINES


@click.command(
    cls=Command,
    short_help="Compare settings of a grid: capital efficiency against bad debt",
    epilog="""\b
Examples:
  ape run sweep offchain/backstop/studies/stress/grids/ratio-and-step.yaml
  ape run sweep my-grid.yaml --paths 5000 --workers 2 --out runs/my-sweep
  ape run sweep my-grid.yaml --owners distance
""",
)
@click.argument("grid", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--paths",
    type=click.IntRange(2, 10_000_000),
    default=1_000,
    show_default=True,
    help="Number of paths for each setting.",
)
@click.option(
    "--engine",
    type=click.Choice(ENGINES),
    default="fast",
    show_default=True,
    help="Engine of the paths: 'fast' approximates, 'exact' runs the contracts in process, 'model' "
    "runs the reference model alone.",
)
@click.option(
    "--owners",
    type=click.Choice(RESPONSES),
    default=None,
    help="Response of owners to another liquidation ratio: 'still' keeps the book, 'distance' keeps "
    "each vault's distance from liquidation, 'leverage' keeps its debt.  [default: the grid's, "
    "else still]",
)
@workers_options
@seed_option
@output_options("Folder of the sweep.", "runs/sweep-<grid>-<seed>-<engine>", store=True)
@json_option
@handle_errors
def cli(
    grid: Path,
    paths: int,
    engine: str,
    owners: str | None,
    workers: int,
    dask: str | None,
    seed: int,
    out: Path | None,
    fresh: bool,
    as_json: bool,
) -> None:
    """Run a study for each setting of a grid, and recommend a setting within a loss limit.

    All settings run on the same paths. The recommended setting has the most gain within the grid's limit of
    expected shortfall; resamples of the paths state its certainty. Settings that break a rule of `settings`
    are named and skipped. The same command resumes an interrupted sweep; more --paths extend it.

    Reads GRID, a YAML file. Writes sweep.json, sweep.csv, sweep.parquet, summary.json, assumptions.json,
    meta.json and report.html.

    Exit codes: 0 on success, 1 on an error or an interruption, 2 on invalid options.
    """
    from backstop.parallel.worker_backend_selection import select_workers
    from backstop.report.sweep_console_output import print_sweep
    from backstop.report.sweep_page import write_sweep_page
    from backstop.simulation.run_metadata import build_run_metadata
    from backstop.simulation.scenario.parameters_yaml_writer import format_decimal
    from backstop.studies.assumption_record import join_assumptions, list_study_assumptions, write_assumptions
    from backstop.studies.stress.engines import Task
    from backstop.studies.stress.engines import get_engine as make_engine
    from backstop.studies.stress.parameter_grid import describe_places, load_grid
    from backstop.studies.stress.parameter_sweep import Sweep, build_summary

    loaded = load_grid(grid, owners, seed)
    for point in loaded.points:
        try:
            make_engine(Task(point.scenario, seed, engine))  # what it does not know shows first
        except BackstopError as error:
            raise BackstopError(f"{error} (with {describe_places(loaded.axes, point.places)})") from None
    directory = out or RUNS / f"sweep-{loaded.name}-{seed}-{engine}"
    sweep = Sweep(loaded, seed, engine, paths, directory)
    output = open_output(directory, "sweep", sweep.describe_settings(), {"paths": paths}, fresh=fresh)
    if output.finished:
        print_sweep(output.read_result(), directory, directory / "report.html", as_json)
        return
    sweep.prepare_folder()
    began = time.monotonic()
    with handle_stop_signals() as stop, show_progress_bar() as progress:
        outcomes = sweep.run_points(select_workers(workers, dask), progress, stop)
    summary = build_summary(sweep, outcomes)
    command = (
        format_repeat_command("sweep", paths=paths, engine=engine, owners=owners, seed=seed) + f" {grid}"
    )
    sweep.write_results(summary, build_run_metadata(engine, command, directory, time.monotonic() - began))
    of_study = {
        "study.level": f"{loaded.level / 100:g}%",
        "study.limit": f"{format_decimal(loaded.limit, 10**6)} stablecoin",
        "study.gain": loaded.gain or "what owners owe",
        "study.owners": loaded.owners,
    }
    named = join_assumptions(
        [list_study_assumptions(point.scenario, seed, engine, paths) for point in loaded.points]
    )
    write_assumptions(directory, "sweep", named | of_study)
    page = write_sweep_page(directory)
    output.mark_finished()
    print_sweep(summary, directory, page, as_json)
