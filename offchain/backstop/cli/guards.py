"""Crashes without guards, with each guard alone, with all of them."""

from __future__ import annotations

from functools import partial
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
    print_guards,
    seed_option,
    show_progress_bar,
)


@click.command(
    cls=Command,
    short_help="Run crashes with and without each guard",
    epilog="""\b
Examples:
  ape run guards --host revm
  ape run guards --scenario usdc-wick --host revm
  ape run guards --scenario my-day.yaml --seed 7 --out runs/my-guards --json
  ape run guards --host revm --fresh
""",
)
@click.option(
    "--scenario",
    "scenario_name",
    default="all",
    show_default=True,
    metavar="NAME|FILE|all",
    help="Scenario that names guards to try, of the library or a YAML file; 'all' runs each such "
    "scenario of the library.",
)
@host_option
@seed_option
@output_options("Directory of the comparison.", "runs/guards-<scenario>-<seed>-<host>")
@json_option
@handle_errors
def cli(scenario_name: str, host: str, seed: int, out: Path | None, fresh: bool, as_json: bool) -> None:
    """Run a crash without guards, with each guard of the scenario alone, and with all guards together.

    Reads scenarios. Writes guards.json, guards.csv and guards.html, and a run directory for each run, which
    `ape run report` shows. Results are kept after each scenario; the same command resumes an interrupted
    comparison.

    Exit codes: 0 on success, 1 on an error or an interruption, 2 on invalid options.
    """
    from backstop.files.output_directories import hash_value_repr
    from backstop.report.guards_page import write_page
    from backstop.simulation.progress_and_interruption import RunInterruptedError
    from backstop.studies.comparison.guard_comparison import (
        build_guard_runs,
        compare_guards,
        list_guard_scenario_names,
    )

    names = list_guard_scenario_names() if scenario_name == "all" else [scenario_name]
    directory = out or RUNS / f"guards-{Path(scenario_name).stem}-{seed}-{host}"
    planned = [build_guard_runs(name) for name in names]
    inputs = {
        "scenarios": [each[0].scenario.name for each in planned],
        "content of the scenarios": hash_value_repr(planned),
        "seed": seed,
        "host": host,
    }
    output = open_output(directory, "guards", inputs, fresh=fresh)
    if output.finished:
        print_guards(output.read_result("guards.json"), directory, as_json)
        return
    command = format_repeat_command("guards", scenario=scenario_name, host=host, seed=seed)
    with handle_stop_signals() as stop, show_progress_bar() as progress:
        try:
            comparison = compare_guards(
                names,
                host,
                seed,
                directory,
                command=command,
                progress=progress,
                log=partial(click.echo, err=True),
                stop=stop,
            )
        except RunInterruptedError as interrupted:
            raise RunInterruptedError(
                f"{interrupted}; the results so far are kept in {directory}; the same command goes on"
            ) from None
    write_page(comparison, directory)
    output.mark_finished()
    print_guards(comparison, directory, as_json)
