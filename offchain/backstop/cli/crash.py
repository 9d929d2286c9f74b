"""Drive a scenario against a devnet."""

from __future__ import annotations

from pathlib import Path

import click

from backstop.cli.command_helpers import (
    Command,
    build_scenario_record_inputs,
    format_repeat_command,
    handle_errors,
    handle_stop_signals,
    json_option,
    open_output,
    output_options,
    print_run_summary,
    scenario_option,
    seed_option,
    show_progress_bar,
)
from backstop.errors import BackstopError
from backstop.live.operate.network_options import deployment_option, network_option

ONE_TIME_EACH = (
    "each block of this Hardhat has a time of its own, so the day is not the same to the second, and nothing "
    "replays it: `allowBlocksWithSameTimestamp: true` in the network of its configuration changes that"
)


@click.command(
    cls=Command,
    short_help="Drive a scenario on a devnet",
    epilog="""\b
Examples:
  ape run crash --scenario black-thursday --network http://127.0.0.1:8545 --out runs/devnet
  ape run crash --network http://127.0.0.1:8545 --until 14:00 --speed 0.5
  ape run crash --network http://127.0.0.1:8545 --play all
""",
)
@scenario_option
@network_option
@deployment_option
@seed_option
@click.option(
    "--speed",
    type=click.FloatRange(0),
    default=0.05,
    show_default=True,
    help="Real time for each block, in seconds.",
)
@click.option(
    "--until", "end", metavar="TIME", help="Time of the scenario to stop at, as 14:00.  [default: its end]"
)
@click.option(
    "--play",
    default="reporter,poker",
    show_default=True,
    help="Keeper roles of the scenario that this command plays, with commas between them, or 'all'; "
    "`keeper` can run the others.",
)
@output_options("Run directory.", "none, nothing is written")
@json_option
@handle_errors
def cli(
    scenario_name: str,
    network: str | None,
    deployment: Path,
    seed: int,
    speed: float,
    end: str | None,
    play: str,
    out: Path | None,
    fresh: bool,
    as_json: bool,
) -> None:
    """Drive a scenario on a devnet: open its vaults, then play block times, prices and market depth.

    Keepers that run at the same time act in between; their acts are read from the chain. The scenario starts
    at the next midnight of the chain's time.

    Reads a scenario and the deployment file. Writes a run directory to --out, which `ape run report` shows.

    Exit codes: 0 on success, 1 on an error or an interruption, 2 on invalid options.
    """
    from backstop.keepers.all_role_names import ROLES
    from backstop.live.operate.network_options import (
        connect_node,
        describe_chain_inputs,
        open_system_and_named_accounts,
    )
    from backstop.live.operate.scenario_driver import drive_scenario, truncate_scenario
    from backstop.report.run_page import write_run_page
    from backstop.simulation.progress_and_interruption import RunInterruptedError
    from backstop.simulation.scenario import load_scenario, quantity_units

    scenario = load_scenario(scenario_name)
    try:
        scenario = truncate_scenario(
            scenario, None if end is None else quantity_units.read_multiday_clock(end)
        )
    except ValueError as error:
        raise BackstopError(f"--until: {error}") from None
    played = ROLES if play == "all" else tuple(role.strip() for role in play.split(",") if role.strip())
    node = connect_node(network)
    system, _ = open_system_and_named_accounts(node, deployment, (), impersonate=True)
    if node.is_hardhat and not system.host.driver.can_repeat_time():
        click.echo(ONE_TIME_EACH, err=True)
    output = None
    if out is not None:
        inputs = (
            build_scenario_record_inputs(scenario)
            | describe_chain_inputs(node, deployment)
            | {"seed": seed, "play": list(played)}
        )
        output = open_output(out, "crash", inputs, fresh=fresh)
        if output.finished:
            print_run_summary(output.read_result(), out, out / "report.html", as_json)
            return
    command = format_repeat_command(
        "crash", scenario=scenario_name, network=node.url, deployment=deployment, seed=seed, play=play
    )
    with handle_stop_signals() as stop, show_progress_bar() as progress:
        try:
            summary = drive_scenario(
                scenario,
                system,
                seed,
                out,
                speed=speed,
                played=played,
                command=command,
                progress=progress,
                stop=stop,
            )
        except RunInterruptedError as interrupted:
            kept = "" if out is None else f"; what there is so far is in {out}"
            raise RunInterruptedError(f"{interrupted}{kept}") from None
    report = None if out is None else write_run_page(out)
    if output is not None:
        output.mark_finished()
    print_run_summary(summary, out, report, as_json)
