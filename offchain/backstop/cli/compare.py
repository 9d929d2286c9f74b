"""One crash under several presets, or whole systems taken apart, side by side."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import click
from click.core import ParameterSource

from backstop.cli.command_helpers import (
    RUNS,
    Command,
    episode_option,
    format_repeat_command,
    handle_errors,
    handle_stop_signals,
    host_option,
    json_option,
    open_output,
    output_options,
    print_comparison,
    print_system_comparison,
    scenario_option,
    seed_option,
    show_progress_bar,
    workers_options,
)
from backstop.cli.old_names import translate_old_presets
from backstop.errors import BackstopError


@click.command(
    cls=Command,
    old_options={"--dodgers": "--evaders"},
    short_help="Compare presets of known systems on one scenario",
    epilog="""\b
Examples:
  ape run compare
  ape run compare --presets maker,morpho-lenders,backstop --host revm
  ape run compare --presets systems,backstop --host revm
  ape run compare --systems all --host revm --workers 2
  ape run compare --systems aave-v3,backstop --paths 200 --host revm
  ape run compare --scenario my-day.yaml --presets all,mine.yaml --out runs/mine
  ape run compare --scenario mine/scenario.yaml --episode may-2021 --host revm
  ape run compare --scenario october-2025-perpetuals --presets margin --evaders 20
""",
)
@scenario_option
@episode_option
@click.option(
    "--presets",
    default="all",
    show_default=True,
    metavar="NAME|FILE,...",
    callback=translate_old_presets,
    help="Presets of the library or YAML files, with commas between them; 'all' are the orders of "
    "losses, 'systems' those with a liquidation mechanism of their own, 'margin' those for a "
    "margin market.",
)
@click.option(
    "--systems",
    default=None,
    metavar="NAME|FILE,...",
    help="Presets to split, instead of --presets: runs each liquidation mechanism under each order "
    "of losses and splits every difference into both parts; 'all' are the presets of 'systems' "
    "and 'backstop'.  [default: none]",
)
@click.option(
    "--paths",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="With --systems: paths of the model for expected shortfalls, 200 or more; 0 estimates none.",
)
@click.option(
    "--inputs/--no-inputs",
    "has_inputs",
    default=True,
    show_default=True,
    help="With --systems: halve and double each input of the scenario, for its effect.",
)
@partial(workers_options, default=None)
@host_option
@seed_option
@click.option(
    "--aftermath",
    type=click.IntRange(0, 365),
    default=30,
    show_default=True,
    metavar="DAYS",
    help="Quiet days after the end of the scenario, in which late payments happen.",
)
@click.option(
    "--evaders",
    "dodgers",
    type=click.IntRange(0, 100),
    default=0,
    show_default=True,
    metavar="PERCENT",
    help="Share of winners in a margin market that try to evade deleveraging, in percent; above 0 "
    "each preset runs once more with them.",
)
@output_options("Directory of the comparison.", "runs/compare-<scenario>-<presets>-<seed>-<host>")
@json_option
@handle_errors
def cli(
    scenario_name: str,
    episode: str | None,
    presets: str,
    systems: str | None,
    paths: int,
    has_inputs: bool,
    workers: int | None,
    dask: str | None,
    host: str,
    seed: int,
    aftermath: int,
    dodgers: int,
    out: Path | None,
    fresh: bool,
    as_json: bool,
) -> None:
    """Compare presets of known systems on one scenario, with the same prices, vaults and keepers.

    A preset sets the order of losses; a preset of 'systems' also sets the liquidation mechanism. --systems
    separates the effects of the two.

    Reads a scenario and presets. Writes compare.json, compare.csv and compare.html (with --systems
    systems.json, systems.csv and systems.html), and a run directory for each run, which `ape run report`
    shows.

    Exit codes: 0 on success, 1 on an error or an interruption, 2 on invalid options.
    """
    from backstop.files.output_directories import hash_value_repr
    from backstop.model.arithmetic import BASIS_POINTS
    from backstop.report.preset_comparison_page import write_page
    from backstop.simulation.progress_and_interruption import RunInterruptedError
    from backstop.simulation.scenario.scenario_library import join_episode
    from backstop.studies.comparison.preset_comparison import DAY, compare
    from backstop.studies.comparison.presets import apply_preset, load_presets

    scenario_name = join_episode(scenario_name, episode)
    _refuse_unused_options("presets" if systems is None else "systems")
    if systems is not None:
        _compare_systems(
            *(scenario_name, systems, paths, has_inputs, workers, dask, host, seed, aftermath * DAY),
            *(out, fresh, as_json),
        )
        return
    chosen = load_presets(presets)
    laid = [apply_preset(preset, scenario_name) for preset in chosen]
    called = "-".join(Path(each).stem for each in presets.split(","))
    directory = out or RUNS / f"compare-{laid[0].name}-{called}-{seed}-{host}"
    inputs = {
        "scenario": laid[0].name,
        "presets": [preset.name for preset in chosen],
        "content of scenario and presets": hash_value_repr(laid),
        "seed": seed,
        "host": host,
        "days of aftermath": aftermath,
    }
    if dodgers:
        inputs["dodgers"] = dodgers
    output = open_output(directory, "compare", inputs, fresh=fresh)
    if output.finished:
        print_comparison(output.read_result("compare.json"), directory, as_json)
        return
    asked = {"scenario": scenario_name, "presets": presets, "host": host, "seed": seed}
    command = format_repeat_command("compare", **asked, dodgers=dodgers or None)
    with handle_stop_signals() as stop, show_progress_bar() as progress:
        try:
            comparison = compare(
                scenario_name,
                chosen,
                host,
                seed,
                directory,
                aftermath=aftermath * DAY,
                dodgers=dodgers * BASIS_POINTS // 100,
                command=command,
                progress=progress,
                stop=stop,
            )
        except RunInterruptedError as interrupted:
            raise RunInterruptedError(f"{interrupted}; what there is so far is in {directory}") from None
    write_page(comparison, directory)
    output.mark_finished()
    print_comparison(comparison, directory, as_json)


_OF_OPTION = {"systems": ("paths", "has_inputs", "workers", "dask"), "presets": ("presets", "dodgers")}
"""Parameters that only one of the two kinds of comparison has, by the option that chooses it."""


def _refuse_unused_options(chosen: str) -> None:
    """Raise BackstopError if an option was given that belongs to the other kind of comparison."""
    context = click.get_current_context()
    given = [
        parameter.opts[0]
        for parameter in context.command.params
        for kind, names in _OF_OPTION.items()
        if kind != chosen and parameter.name in names
        if context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE
    ]
    if given:
        fits = "does not go with --systems" if chosen == "systems" else "goes with --systems alone"
        raise BackstopError(f"{given[0]} {fits}: leave it out")


def _compare_systems(
    scenario_name: str,
    systems: str,
    paths: int,
    has_inputs: bool,
    workers: int | None,
    dask: str | None,
    host: str,
    seed: int,
    aftermath: int,
    out: Path | None,
    fresh: bool,
    as_json: bool,
) -> None:
    """Compare whole systems on one crash, write the result page, and print the figures.

    A finished result is printed without a new run.
    """
    from backstop.files.output_directories import hash_value_repr
    from backstop.parallel.worker_backend_selection import select_workers
    from backstop.report.system_comparison_page import write_page
    from backstop.simulation.progress_and_interruption import RunInterruptedError
    from backstop.studies.comparison.presets import apply_preset, load_presets
    from backstop.studies.comparison.system_comparison import (
        ALL_SYSTEMS,
        RESULT,
        check_path_count,
        compare_systems,
    )

    check_path_count(paths)
    chosen = load_presets(ALL_SYSTEMS if systems == "all" else systems)
    laid = [apply_preset(preset, scenario_name) for preset in chosen]
    called = "-".join(Path(each).stem for each in systems.split(","))
    directory = out or RUNS / f"systems-{laid[0].name}-{called}-{seed}-{host}"
    inputs = {
        "scenario": laid[0].name,
        "systems": [preset.name for preset in chosen],
        "content of scenario and systems": hash_value_repr(laid),
        "seed": seed,
        "host": host,
        "seconds of aftermath": aftermath,
        "inputs": has_inputs,
    }
    output = open_output(directory, "compare", inputs, {"paths": paths}, fresh=fresh)
    if output.finished:
        print_system_comparison(output.read_result(RESULT), directory, as_json)
        return
    asked = {"scenario": scenario_name, "systems": systems, "host": host, "seed": seed}
    command = format_repeat_command("compare", **asked, paths=paths or None)
    with handle_stop_signals() as stop, show_progress_bar() as progress:
        try:
            comparison = compare_systems(
                *(scenario_name, chosen, host, seed, directory),
                aftermath=aftermath,
                paths=paths,
                has_inputs=has_inputs,
                workers=select_workers(workers or os.cpu_count() or 1, dask),
                command=command,
                progress=progress,
                stop=stop,
            )
        except RunInterruptedError as interrupted:
            raise RunInterruptedError(f"{interrupted}; the same command resumes from {directory}") from None
    write_page(comparison, directory)
    output.mark_finished()
    print_system_comparison(comparison, directory, as_json)
