"""Many paths of a scenario."""

from __future__ import annotations

import time
from pathlib import Path

import click

from backstop.cli.command_helpers import (
    RUNS,
    Command,
    build_scenario_record_inputs,
    episode_option,
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
from backstop.files.installation import has_extra
from backstop.studies.stress.engines import ENGINES
from backstop.studies.stress.tail_confirmation import CONFIRMED, MOST_VAULTS, choose_confirmed_paths


@click.command(
    cls=Command,
    short_help="Estimate bad debt at risk over many paths of a scenario",
    epilog="""\b
Examples:
  ape run stress stress-day
  ape run stress stress-day --paths 10000 --workers 2
  ape run stress stress-day --paths 10000 --fresh
  ape run stress mine/scenario.yaml --episode march-2020
  ape run stress my-day.yaml --engine exact --paths 500 --seed 7 --out runs/my-study
  ape run stress stress-day --paths 100000 --dask tcp://10.0.0.5:8786
""",
)
@click.argument("scenario", required=False, metavar="[SCENARIO]")
@click.option(
    "--scenario",
    "named",
    default=None,
    metavar="NAME|FILE",
    help="Scenario of the library or a YAML file; the same as SCENARIO.  [default: stress-day]",
)
@episode_option
@click.option(
    "--paths",
    type=click.IntRange(2, 10_000_000),
    default=1_000,
    show_default=True,
    help="Number of paths to draw.",
)
@click.option(
    "--engine",
    type=click.Choice(ENGINES),
    default="fast",
    show_default=True,
    help="Engine of the paths: 'fast' approximates, 'exact' runs the contracts in process, 'model' "
    "runs the reference model alone.",
)
@workers_options
@seed_option
@click.option(
    "--confirm",
    type=click.IntRange(0),
    default=None,
    help="Number of worst paths of a fast study to run again on the contracts.  [default: "
    f"{CONFIRMED if has_extra('chain') else 0}; 0 with more than {MOST_VAULTS:,} vaults]",
)
@click.option(
    "--shift",
    type=click.IntRange(1, 90),
    default=None,
    metavar="PERCENT",
    help="Price shift in percent: runs the paths again with prices that much lower and higher, for "
    "the sensitivity of losses.  [default: none]",
)
@click.option(
    "--drivers/--no-drivers",
    default=None,
    help="Run up to 1,000 of the paths again with each of eight assumptions changed, to find the "
    "drivers of losses; takes nine times as long as these paths.  [default: --drivers with the "
    "fast engine]",
)
@output_options("Folder of the study.", "runs/stress-<scenario>-<seed>-<engine>", store=True)
@json_option
@handle_errors
def cli(
    scenario: str | None,
    named: str | None,
    episode: str | None,
    paths: int,
    engine: str,
    workers: int,
    dask: str | None,
    seed: int,
    confirm: int | None,
    shift: int | None,
    drivers: bool | None,
    out: Path | None,
    fresh: bool,
    as_json: bool,
) -> None:
    """Draw many paths of a scenario and estimate losses, their payers and their uncertainty.

    Each path has a number: `ape run simulate --path N` replays it on a chain in lockstep. Outcomes do not
    depend on the number of workers. The same command resumes an interrupted study; more --paths extend it.

    Reads a scenario. Writes paths.parquet, study.json, summary.json, assumptions.json, meta.json and
    report.html.

    Exit codes: 0 on success, 1 on an error or an interruption, 2 on invalid options.
    """
    from backstop.parallel.worker_backend_selection import select_workers
    from backstop.report.result_kinds import refresh_containing_study_page
    from backstop.report.stress_console_output import print_study
    from backstop.report.stress_page import write_stress_page
    from backstop.simulation.run_metadata import build_run_metadata
    from backstop.simulation.scenario import load_scenario
    from backstop.simulation.scenario.scenario_library import join_episode
    from backstop.studies.assumption_record import (
        list_stress_options,
        list_study_assumptions,
        write_assumptions,
    )
    from backstop.studies.risk_questions.loss_drivers import PATHS as MOST_PATHS
    from backstop.studies.risk_questions.loss_drivers import (
        build_driver_cases,
        estimate_drivers,
        open_driver_studies,
        refuse_opening_state,
    )
    from backstop.studies.stress.engines import Task
    from backstop.studies.stress.engines import get_engine as make_engine
    from backstop.studies.stress.price_shift_sensitivity import (
        build_shifted_tasks,
        estimate_price_shift_sensitivity,
    )
    from backstop.studies.stress.resumable_path_study import Study, run_all
    from backstop.studies.stress.stress_summary import LEVELS, build_stress_summary
    from backstop.studies.stress.tail_confirmation import confirm_worst_paths as run_again

    if scenario is not None and named is not None and scenario != named:
        raise BackstopError(
            f"--scenario: {named!r} differs from SCENARIO {scenario!r}; expected one scenario"
        )
    if not has_extra("chain") and not confirm and engine == "fast":
        click.echo(
            "no path is run again on the contracts: that needs pip install 'backstop[chain]'", err=True
        )
    name = join_episode(scenario or named or "stress-day", episode)
    task = Task(load_scenario(name), seed, engine)
    if confirm is None:
        confirm = choose_confirmed_paths(task.scenario) if has_extra("chain") else 0
        if has_extra("chain") and not confirm and engine == "fast":
            click.echo(
                f"no path is run again on the contracts, which takes minutes for more than {MOST_VAULTS:,} "
                f"vaults: --confirm {CONFIRMED} does",
                err=True,
            )
    directory = out or RUNS / f"stress-{task.scenario.name}-{seed}-{engine}"
    make_engine(task)  # what it does not know shows before anything is written
    moved = {} if shift is None else build_shifted_tasks(task, 100 * shift)
    asked = {"paths": paths, "paths on the contracts": confirm if engine == "fast" else 0}
    if shift is not None:
        asked[f"shift by {shift}%"] = 1
    drives = engine == "fast" if drivers is None else drivers
    compared = min(paths, MOST_PATHS)
    if drives:
        refuse_opening_state(task.scenario)
        asked["paths with assumptions changed"] = compared
    inputs = {**build_scenario_record_inputs(task.scenario), "seed": seed, "engine": engine}
    output = open_output(directory, "stress", inputs, asked, fresh=fresh)
    if output.finished:
        print_study(output.read_result(), directory, directory / "report.html", as_json)
        return
    cases, missing = build_driver_cases(task) if drives else ([], [])
    studies = [Study.open_or_resume(task, paths, directory)]
    studies += [
        Study.open_or_resume(each, paths, directory / "shifted" / f"{shift}-{which}")
        for which, each in moved.items()
    ]
    studies += open_driver_studies(task, cases, compared, directory)
    began = time.monotonic()
    with handle_stop_signals() as stop, show_progress_bar() as progress:
        rows, *others = run_all(studies, select_workers(workers, dask), progress, stop)
        again = run_again(task, rows, confirm if engine == "fast" else 0, progress, stop)
    shifted, changed = others[: len(moved)], others[len(moved) :]
    answer = None
    if shift is not None:
        answer = estimate_price_shift_sensitivity(
            task, 100 * shift, rows, dict(zip(moved, shifted, strict=True))
        )
    found = estimate_drivers(task, rows[:compared], cases, changed, missing) if drives else None
    summary = build_stress_summary(task, name, rows, again, answer, found)
    command = format_repeat_command(
        "stress", scenario=name, paths=paths, engine=engine, seed=seed, shift=shift
    )
    if drivers is not None:
        command += " --drivers" if drivers else " --no-drivers"
    asked_for = list_stress_options(LEVELS, len(again), compared if drives else 0, shift)
    assumed = list_study_assumptions(task.scenario, seed, engine, paths)
    write_assumptions(directory, "stress", assumed | asked_for)
    studies[0].write_results(
        summary, build_run_metadata(engine, command, directory, time.monotonic() - began)
    )
    page = write_stress_page(directory)
    if not stop():
        output.mark_finished()
        refresh_containing_study_page(directory)
    print_study(summary, directory, page, as_json)
