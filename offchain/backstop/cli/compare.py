"""One crash under several presets, side by side."""

from __future__ import annotations

from pathlib import Path

import click

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
    scenario_option,
    seed_option,
    show_progress_bar,
)
from backstop.cli.old_names import translate_old_presets


@click.command(
    cls=Command,
    old_options={"--dodgers": "--evaders"},
    short_help="One crash under several presets",
    epilog="""\b
Examples:
  ape run compare
  ape run compare --presets maker,morpho-lenders,backstop --host revm
  ape run compare --presets systems,backstop --host revm
  ape run compare --scenario my-day.yaml --presets all,mine.yaml --out runs/mine
  ape run compare --scenario mine/scenario.yaml --episode may-2021 --host revm
  ape run compare --scenario october-2025-perpetuals --presets margin --dodgers 20
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
    help="Presets of the library, or YAML files, with commas between them; 'all' are orders of losses, "
    "'systems' those that also sell vaults in their way, 'margin' those for a margin market.",
)
@host_option
@seed_option
@click.option(
    "--aftermath",
    type=click.IntRange(0, 365),
    default=30,
    show_default=True,
    metavar="DAYS",
    help="Quiet days after the scenario's end, in which late payments show.",
)
@click.option(
    "--evaders",
    "dodgers",
    type=click.IntRange(0, 100),
    default=0,
    show_default=True,
    metavar="PERCENT",
    help="Winners in a margin market who try to bear less; each preset runs once more for them.",
)
@output_options("Directory of the comparison.", "runs/compare-<scenario>-<presets>-<seed>-<host>")
@json_option
@handle_errors
def cli(
    scenario_name: str,
    episode: str | None,
    presets: str,
    host: str,
    seed: int,
    aftermath: int,
    dodgers: int,
    out: Path | None,
    fresh: bool,
    as_json: bool,
) -> None:
    """Run a scenario once under each preset, with the same prices, vaults and keepers, and compare who paid.

    A preset says who bears losses; one of 'systems' also says how unsafe vaults are sold.

    Each run is a run directory of its own inside the comparison's, to be looked at with `ape run report`.
    """
    from backstop.files.output_directories import hash_value_repr
    from backstop.model.arithmetic import BASIS_POINTS
    from backstop.report.preset_comparison_page import write_page
    from backstop.simulation.progress_and_interruption import RunInterruptedError
    from backstop.simulation.scenario.scenario_library import join_episode
    from backstop.studies.comparison.preset_comparison import DAY, compare
    from backstop.studies.comparison.presets import apply_preset, load_presets

    scenario_name = join_episode(scenario_name, episode)
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
