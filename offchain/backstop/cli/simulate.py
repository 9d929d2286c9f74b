"""Run a scenario and write its run directory."""

from __future__ import annotations

from pathlib import Path

import click

from backstop.cli.command_helpers import (
    Command,
    episode_option,
    format_repeat_command,
    get_run_directory,
    handle_errors,
    handle_stop_signals,
    host_option,
    json_option,
    output_options,
    print_run_summary,
    run_once,
    scenario_option,
    seed_option,
    show_progress_bar,
)


@click.command(
    cls=Command,
    short_help="Run one scenario on model and chain in lockstep",
    epilog="""\b
Examples:
  ape run simulate
  ape run simulate --scenario black-thursday-healthy --host revm
  ape run simulate --scenario my-day.yaml --seed 7 --out runs/my-day --json
  ape run simulate --scenario stress-day --seed 1 --path 377
  ape run simulate --scenario mine/scenario.yaml --episode march-2020 --host revm
""",
)
@scenario_option
@episode_option
@host_option
@seed_option
@click.option(
    "--path",
    type=click.IntRange(0, 2**31 - 1),
    default=None,
    help="Number of a path of a `stress` study with this seed.  [default: none, the scenario as written]",
)
@output_options("Run directory.", "runs/<scenario>-<seed>[-<path>]-<host>")
@json_option
@handle_errors
def cli(
    scenario_name: str,
    episode: str | None,
    host: str,
    seed: int,
    path: int | None,
    out: Path | None,
    fresh: bool,
    as_json: bool,
) -> None:
    """Run a scenario on the model and on a throw-away chain in lockstep, and record every step.

    Reads a scenario. Writes a run directory: trace.json, summary.json, meta.json, tables in Parquet, and
    report.html.

    Exit codes: 0 on success, 1 on an error or an interruption, 2 on invalid options.
    """
    from backstop.simulation.scenario import load_scenario
    from backstop.simulation.scenario.scenario_library import join_episode

    scenario_name = join_episode(scenario_name, episode)
    scenario = load_scenario(scenario_name)
    directory = get_run_directory(out, scenario.name, seed, host, path)
    command = format_repeat_command("simulate", scenario=scenario_name, host=host, seed=seed, path=path)
    with handle_stop_signals() as stop, show_progress_bar() as progress:
        summary = run_once(
            *(scenario, host, seed, directory, path),
            fresh=fresh,
            command=command,
            progress=progress,
            stop=stop,
        )
    print_run_summary(summary, directory, directory / "report.html", as_json)
