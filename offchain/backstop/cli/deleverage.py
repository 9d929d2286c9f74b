"""A crash of a perpetual market with many accounts: its cost, its duration, and the payers."""

from __future__ import annotations

import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
)
from backstop.deployment.contracts_by_parameter_name import BY_CYCLE, MARGIN_POLICIES
from backstop.hosts.host_registry import HOSTS

if TYPE_CHECKING:
    from backstop.studies.auto_deleveraging.margin_crash import CrashResult

REPORT = "report.html"
# So many accounts crash beside more than ten times as many, on the same host.
BESIDE = 40


@click.command(
    cls=Command,
    old_options={"--dodgers": "--evaders"},
    short_help="Crash a perpetual market; measure its way back to solvency and the payers",
    epilog="""\b
Examples:
  ape run deleverage
  ape run deleverage --accounts 10000 --insolvent 5000 --policy ranked --host anvil
  ape run deleverage --accounts 1000 --markets 2 --policy shared --evaders 20
""",
)
@click.option(
    "--accounts",
    type=click.IntRange(2, 100_000),
    default=200,
    show_default=True,
    help="Number of margin accounts.",
)
@click.option(
    "--insolvent",
    type=click.IntRange(1),
    help="Number of accounts that the price drop makes insolvent, fewer than --accounts.  [default: "
    "half of --accounts]",
)
@click.option(
    "--markets",
    type=click.IntRange(1, 2),
    default=1,
    show_default=True,
    help="Number of perpetual markets.",
)
@click.option(
    "--policy",
    type=click.Choice(MARGIN_POLICIES),
    default=BY_CYCLE,
    show_default=True,
    help="Rule by which positions of winners are closed against those of insolvent accounts.",
)
@click.option(
    "--evaders",
    "dodgers",
    type=click.IntRange(0, 100),
    default=0,
    show_default=True,
    metavar="PERCENT",
    help="Share of winners that try to evade deleveraging by trades and withdrawals after the price "
    "drop, in percent.",
)
@click.option(
    "--host",
    type=click.Choice([*HOSTS, "model"]),
    default="revm",
    show_default=True,
    help="Throw-away chain that runs in lockstep with the model; 'model' runs the model alone. anvil "
    "and py-evm measure gas, the others take it from the committed table.",
)
@seed_option
@output_options("Folder of the crash.", "runs/deleverage-<policy>-<accounts>-<seed>")
@json_option
@handle_errors
def cli(
    accounts: int,
    insolvent: int | None,
    markets: int,
    policy: str,
    dodgers: int,
    host: str,
    seed: int,
    out: Path | None,
    fresh: bool,
    as_json: bool,
) -> None:
    """Crash a perpetual market by two fifths at once, and measure gas, blocks and time until it is solvent.

    Half of all accounts are long with leverage. Model and contracts run in lockstep, in blocks of 30M gas.

    Writes deleverage.json, meta.json and report.html.

    Exit codes: 0 on success, 1 on an error or an interruption, 2 on invalid options.
    """
    from backstop.files.atomic_files import write_json
    from backstop.report.deleverage_console_output import print_deleverage
    from backstop.report.deleverage_page import write_page
    from backstop.simulation.run_metadata import build_run_metadata
    from backstop.studies.auto_deleveraging.margin_crash_summary import (
        FILE,
        build_crash_summary,
        list_phase_microseconds_per_account,
    )

    directory = out or RUNS / f"deleverage-{policy}-{accounts}-{seed}"
    asked: dict[str, Any] = {
        "accounts": accounts,
        "insolvent": insolvent,
        "markets": markets,
        "policy": policy,
        "dodgers": dodgers,
        "host": host,
        "seed": seed,
    }
    runs = ["backstop.studies.auto_deleveraging.margin_crash_summary"]
    output = open_output(directory, "deleverage", asked, fresh=fresh, runs=runs)
    if not output.finished:
        began = time.monotonic()
        result = _run_crash(accounts, insolvent, markets, policy, dodgers, host, seed)
        beside = None
        if result.measured and accounts > 10 * BESIDE:
            beside = _run_crash(BESIDE, None, markets, policy, 0, host, seed)
        write_json(build_crash_summary(result, policy, markets, seed, host, beside), directory / FILE)
        command = format_repeat_command("deleverage", **asked | {"dodgers": dodgers or None})
        meta = build_run_metadata(host, command, directory, time.monotonic() - began) | {
            "pace": list_phase_microseconds_per_account(result)
        }
        write_json(meta, directory / "meta.json")
        write_page(directory)
        output.mark_finished()
    print_deleverage(output.read_result(FILE), directory, directory / REPORT, as_json)


def _run_crash(
    accounts: int,
    insolvent: int | None,
    markets: int,
    policy: str,
    dodgers: int,
    host: str,
    seed: int,
) -> CrashResult:
    from backstop.hosts.host_registry import open_host
    from backstop.studies.auto_deleveraging.margin_crash import MarginCrash

    opened = nullcontext(None) if host == "model" else open_host(host)
    with (
        handle_stop_signals("stopping at the end of a block ...") as stop,
        show_progress_bar() as progress,
        opened as chain,
    ):
        return MarginCrash(
            chain,
            accounts,
            seed,
            insolvent=insolvent,
            markets=markets,
            policy=policy,
            dodgers=dodgers,
            progress=progress,
            stop=stop,
        ).run_crash()
