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
    short_help="Search for the worst case of a scenario within a budget",
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
    help="Budget of the adversary: day-in-a-thousand, black-thursday, insider, october-2025, or a YAML file.",
)
@click.option(
    "--goal",
    type=click.Choice(GOALS),
    default="loss",
    show_default=True,
    help="Goal of the adversary, maximised: 'loss' is loss that no stage pays, 'bad-debt' all bad "
    "debt, 'gain' the gain of hostile members.",
)
@click.option(
    "--generations",
    type=click.IntRange(1, 100_000),
    default=40,
    show_default=True,
    help="Generations of the search.",
)
@click.option(
    "--population",
    type=click.IntRange(6, 10_000),
    default=16,
    show_default=True,
    help="Candidate paths in each generation.",
)
@click.option(
    "--method",
    type=click.Choice(METHODS),
    default="evolution",
    show_default=True,
    help="Search method: 'evolution' learns from its candidates, 'random' is the baseline without learning.",
)
@click.option(
    "--engine",
    type=click.Choice(("exact", "model")),
    default="exact",
    show_default=True,
    help="Engine of the candidates: 'exact' runs the contracts in process with the model, 'model' "
    "the model alone.",
)
@click.option(
    "--path",
    type=click.IntRange(0, 2**31 - 1),
    default=0,
    show_default=True,
    help="Number of the path whose random draws stay where the adversary changes nothing.",
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
    """Search for the worst prices, outages, full blocks and hostile acts within a budget, and replay them.

    The worst case is written as a scenario and run on a throw-away chain in lockstep with the model. The same
    command resumes an interrupted search; more --generations extend it.

    Reads SCENARIO (default: stress-day) and a budget. Writes worst.yaml, attack.json, progress.json,
    summary.json, meta.json, report.html, and the run directory of the replay.

    Exit codes: 0 on success, 1 on an error or an interruption, 2 on invalid options.
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
