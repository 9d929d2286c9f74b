"""Run a scenario and write its run directory."""

from __future__ import annotations

from pathlib import Path

import click

from offchain.cli import (
    command_line,
    handle_errors,
    host_option,
    json_option,
    out_option,
    print_summary,
    progress_bar,
    run_directory,
    scenario_option,
    seed_option,
    stoppable,
)


@click.command(
    epilog="""\b
Examples:
  ape run simulate
  ape run simulate --scenario black-thursday-healthy --host revm
  ape run simulate --scenario my-day.yaml --seed 7 --out runs/my-day --json
"""
)
@scenario_option
@host_option
@seed_option
@out_option
@json_option
@handle_errors
def cli(scenario_name: str, host: str, seed: int, out: Path | None, as_json: bool) -> None:
    """Run a scenario on the model and a throw-away chain, step by step the same, and record it."""
    from offchain.report.run_page import write_report
    from offchain.scenarios import load_scenario
    from offchain.simulate import Interrupted, simulate

    scenario = load_scenario(scenario_name)
    directory = run_directory(out, scenario.name, seed, host)
    command = command_line("simulate", scenario=scenario_name, host=host, seed=seed)
    with stoppable() as stop, progress_bar() as progress:
        try:
            result = simulate(scenario, host, seed, directory, command=command, progress=progress, stop=stop)
        except Interrupted as interrupted:
            raise Interrupted(f"{interrupted}; what there is so far is in {directory}") from None
    print_summary(result.summary, directory, write_report(directory), as_json)
