"""A crash of a perpetual market: what deleveraging takes, by each policy, and the calls it needs."""

from __future__ import annotations

import time
from pathlib import Path

import click

from backstop.cli.common import (
    RUNS,
    Command,
    command_line,
    handle_errors,
    json_option,
    open_output,
    output_options,
    seed_option,
)
from backstop.deployment.contracts import DELEVERAGERS
from backstop.hosts.by_name import HOSTS

REPORT = "report.html"


@click.command(
    cls=Command,
    short_help="Crash a perpetual market: what deleveraging takes, of whom, in which calls",
    epilog="""\b
Examples:
  ape run deleverage
  ape run deleverage --accounts 1000 --policy shared --seed 7
  ape run deleverage --accounts 10000 --most 5
""",
)
@click.option("--accounts", type=click.IntRange(2, 10_000), default=200, show_default=True)
@click.option("--policy", type=click.Choice(list(DELEVERAGERS)), default="ranked", show_default=True)
@click.option("--most", type=click.IntRange(1), help="Positions that are deleveraged at one price; else all.")
@click.option("--host", type=click.Choice(HOSTS), default="revm", show_default=True)
@seed_option
@output_options("Folder of the crash.", "runs/deleverage-<policy>-<accounts>-<seed>")
@json_option
@handle_errors
def cli(
    accounts: int,
    policy: str,
    most: int | None,
    host: str,
    seed: int,
    out: Path | None,
    fresh: bool,
    as_json: bool,
) -> None:
    """Let a coin lose two thirds in minutes while no liquidator acts; model and contracts run in lockstep."""
    from backstop.files.whole import write_json
    from backstop.hosts.by_name import open_host
    from backstop.report.deleverage_page import write_page
    from backstop.report.deleverage_table import print_deleverage
    from backstop.simulation.meta import run_meta
    from backstop.studies.deleveraging.crash import Crash
    from backstop.studies.deleveraging.summary import FILE, summarise

    directory = out or RUNS / f"deleverage-{policy}-{accounts}-{seed}"
    inputs = {"accounts": accounts, "policy": policy, "most": most, "host": host, "seed": seed}
    runs = ["backstop.studies.deleveraging.summary"]
    output = open_output(directory, "deleverage", inputs, fresh=fresh, runs=runs)
    if not output.finished:
        began = time.monotonic()
        with open_host(host) as opened:
            crash = Crash(opened, accounts, seed, lambda text: click.echo(text, err=True), policy, most)
            summary = summarise(crash.play(), policy, seed, host)
        write_json(summary, directory / FILE)
        command = command_line(
            "deleverage", accounts=accounts, policy=policy, most=most, host=host, seed=seed
        )
        seconds = time.monotonic() - began
        write_json(run_meta(host, command, directory, seconds), directory / "meta.json")
        write_page(directory)
        output.finish()
    print_deleverage(output.result(FILE), directory, directory / REPORT, as_json)
