"""The adversary: the worst outcome of a scenario within a budget."""

from __future__ import annotations

import shlex
import time
from pathlib import Path

import click

from backstop.cli.command_helpers import (
    RUNS,
    Command,
    format_repeat_command,
    handle_errors,
    handle_stop_signals,
    host_option,
    json_option,
    open_output,
    output_options,
    seed_option,
    show_progress_bar,
)
from backstop.files.installation import format_command_as_started
from backstop.studies.attack.candidate_evaluation import GOALS
from backstop.studies.attack.worst_case_search import METHODS


@click.command(
    cls=Command,
    short_help="The worst that can happen to a scenario within a budget",
    epilog="""\b
Examples:
  ape run attack stress-day
  ape run attack stress-day --budget black-thursday --generations 60
  ape run attack stress-day --budget insider --goal gain
  ape run attack my-day.yaml --budget my-budget.yaml --seed 7 --out runs/my-attack
""",
)
@click.argument("scenario", default="stress-day")
@click.option(
    "--budget",
    "budget_name",
    default="day-in-a-thousand",
    show_default=True,
    metavar="NAME|FILE",
    help="What the adversary may do.",
)
@click.option(
    "--goal",
    type=click.Choice(GOALS),
    default="loss",
    show_default=True,
    help="Most of what: paid by nobody, lost at all, gained by hostile members.",
)
@click.option("--generations", type=click.IntRange(1, 100_000), default=40, show_default=True)
@click.option(
    "--population", type=click.IntRange(6, 10_000), default=16, show_default=True, help="Paths in each."
)
@click.option(
    "--method",
    type=click.Choice(METHODS),
    default="evolution",
    show_default=True,
    help="random learns nothing: what the other is measured against.",
)
@click.option(
    "--engine",
    type=click.Choice(("exact", "model")),
    default="exact",
    show_default=True,
    help="The contracts in process with the model, or the model alone.",
)
@click.option(
    "--path",
    type=click.IntRange(0, 2**31 - 1),
    default=0,
    show_default=True,
    help="The path whose noise stays.",
)
@seed_option
@host_option
@output_options("Folder of the search.", "runs/attack-<scenario>-<budget>-<goal>-<seed>")
@json_option
@handle_errors
def cli(
    scenario: str,
    budget_name: str,
    goal: str,
    generations: int,
    population: int,
    method: str,
    engine: str,
    path: int,
    seed: int,
    host: str,
    out: Path | None,
    fresh: bool,
    as_json: bool,
) -> None:
    """Search prices, outages, full blocks and hostile moves within a budget for the worst; replay that.

    The worst is written as a scenario file of its own, and run on a throw-away chain against the model.
    Interrupt a search at any time, and the same command goes on; with more --generations it searches longer.
    """
    from backstop.report.attack_console_output import print_attack
    from backstop.report.attack_page import write_page
    from backstop.report.run_page import write_run_page
    from backstop.simulation.run_metadata import build_run_metadata
    from backstop.studies.attack import worst_scenario_file as worst
    from backstop.studies.attack.adversary_budget import load_scenario_and_adversary_budget
    from backstop.studies.attack.worst_case_search import Task, WorstCaseSearch
    from backstop.studies.attack.worst_case_search_summary import build_summary

    loaded, top, budget = load_scenario_and_adversary_budget(scenario, budget_name)
    task = Task(loaded, budget, goal, seed, path, method, population, engine)
    directory = out or RUNS / f"attack-{loaded.name}-{budget.name}-{goal}-{seed}"
    options = {"budget": budget_name, "goal": goal, "generations": generations, "population": population}
    options |= {"method": method, "engine": engine, "path": path, "seed": seed}
    command = format_repeat_command("attack", **options) + f" {scenario}"
    search = WorstCaseSearch(
        task, directory
    )  # what leaves nothing to choose shows before anything is written
    inputs = {**task.build_settings_record(), "host": host}
    output = open_output(directory, "attack", inputs, {"generations": generations}, fresh=fresh)
    if output.finished:
        print_attack(output.read_result(), directory, directory / "report.html", as_json)
        return
    search.prepare_or_resume_folder()
    began = time.monotonic()
    with handle_stop_signals() as stop, show_progress_bar() as progress:
        choice, trial = search.run_generations(generations, progress, stop)
        file = worst.write_worst_scenario(top, choice, budget.name, command, directory)
        again = shlex.join(("simulate", "--scenario", str(file), "--seed", str(seed), "--host", host))
        replayed = worst.replay_worst_scenario(
            file,
            choice,
            trial.outcome,
            host,
            seed,
            command=format_command_as_started(again),
            progress=progress,
            stop=stop,
        )
    write_run_page(directory / worst.RUN)
    summary = build_summary(search, choice, trial, replayed, host, again)
    search.write_summary_and_meta(
        summary, build_run_metadata(engine, command, directory, time.monotonic() - began)
    )
    page = write_page(directory)
    output.mark_finished()
    print_attack(summary, directory, page, as_json)
