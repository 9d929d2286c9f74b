"""Profit of a self-made pair in the margin market, by its terms."""

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
    json_option,
    open_output,
    output_options,
    seed_option,
)

REPORT = "report.html"


@click.command(
    cls=Command,
    old_options={"--only": "--group", "--hold": "--holding-period"},
    short_help="Measure the profit of self-hedged pairs in the margin market",
    epilog="""\b
Examples:
  ape run self-hedge
  ape run self-hedge --group margins --group fees --paths 3
  ape run self-hedge --every 5 --holding-period 720 --json
  ape run self-hedge --jumps
""",
)
@click.option(
    "--group",
    "only",
    multiple=True,
    metavar="GROUP",
    help="Group of settings to run; repeatable.  [default: all]",
)
@click.option(
    "--paths",
    type=click.IntRange(1, 100),
    default=1,
    show_default=True,
    help="Price paths of each day, drawn inside its bars.",
)
@click.option(
    "--every",
    type=click.IntRange(1, 720),
    default=15,
    show_default=True,
    help="Minutes between the opening times of two pairs.",
)
@click.option(
    "--holding-period",
    "hold",
    type=click.IntRange(10, 1_440),
    default=480,
    show_default=True,
    help="Longest holding time of a pair, in minutes.",
)
@click.option(
    "--jumps",
    is_flag=True,
    help="Print the table of price jumps instead (margins, insurance, gain, leverage, days), and "
    "write no folder.",
)
@click.option(
    "--history",
    multiple=True,
    metavar="COIN=FILE",
    help="With --jumps: CSV file with daily open, high and low of a coin; repeatable.  [default: "
    "published counts of each coin]",
)
@seed_option
@output_options("Folder of the study.", "runs/self-hedge-<seed>")
@json_option
@handle_errors
def cli(
    jumps: bool,
    history: tuple[str, ...],
    only: tuple[str, ...],
    paths: int,
    every: int,
    hold: int,
    seed: int,
    out: Path | None,
    fresh: bool,
    as_json: bool,
) -> None:
    """Measure the profit that one owner extracts by holding a long and a short account in the margin market.

    Pairs open at many times of four bad days, on the model of the contracts, and are held until an account
    fails or the holding period ends. docs/explanation/self-hedge.md lists the prices and the use of the
    figures.

    Writes straddle.json, meta.json and report.html.

    Exit codes: 0 on success, 1 on an error or an interruption, 2 on invalid options.
    """
    from backstop.errors import BackstopError

    if jumps and (only or out or fresh):
        raise BackstopError("--jumps: writes no folder; expected without --group, --out and --fresh")
    if history and not jumps:
        raise BackstopError("--history: given without --jumps; expected both")
    if jumps:
        _print_pair_gains_by_price_jump(history, as_json)
        return
    from backstop.deployment.parameter_rules.self_hedge_margin_formula import JUMP_TIME, LOOK
    from backstop.files.atomic_files import write_json
    from backstop.report.self_hedge_console_table import print_self_hedge
    from backstop.report.self_hedge_page import write_page
    from backstop.simulation.run_metadata import build_run_metadata
    from backstop.studies.self_hedge.pair_market import LIBRARY
    from backstop.studies.self_hedge.self_hedge_study import GROUPS, StudyScope, run_study
    from backstop.studies.self_hedge.self_hedge_study import measure_largest_moves as largest_moves
    from backstop.studies.self_hedge.self_hedge_summary import FILE, build_summary

    if unknown := sorted(set(only) - set(GROUPS)):
        raise BackstopError(f"--group: {unknown[0]!r} is unknown; expected one of {', '.join(GROUPS)}")
    directory = out or RUNS / f"self-hedge-{seed}"
    inputs = {"groups": sorted(only), "paths": paths, "every": every, "hold": hold, "seed": seed}
    output = open_output(
        directory, "self-hedge", inputs, fresh=fresh, runs=["backstop.studies.self_hedge.self_hedge_summary"]
    )
    page = directory / REPORT
    if not output.finished:
        began = time.monotonic()
        scope = StudyScope(tuple(range(seed, seed + paths)), every * 60, hold * 60)
        rows = run_study(scope, lambda text: click.echo(text, err=True), only)
        windows = (LOOK, LIBRARY.mark_age + LIBRARY.reaction, JUMP_TIME, 300, 600)
        write_json(build_summary(scope, rows, largest_moves(scope.seeds, windows), only), directory / FILE)
        command = format_repeat_command(
            "self-hedge", paths=paths, every=every, **{"holding-period": hold}, seed=seed
        )
        command += "".join(f" --group {shlex.quote(group)}" for group in only)
        seconds = time.monotonic() - began
        write_json(build_run_metadata("model", command, directory, seconds), directory / "meta.json")
        write_page(directory)
        output.mark_finished()
    print_self_hedge(output.read_result(FILE), directory, page, as_json)


def _print_pair_gains_by_price_jump(coin_day_files: tuple[str, ...], as_json: bool) -> None:
    """Print the gains of a hedged pair of positions by size of price jump, as a table or as JSON.

    The frequency of jumps is counted from daily prices of each coin, built in or from `COIN=FILE`.
    """
    from backstop.errors import BackstopError
    from backstop.report.self_hedge_console_table import print_pair_gains_by_jump
    from backstop.studies.self_hedge.daily_move_counts import (
        COINS,
        count_daily_moves_in_csv,
        load_day_move_counts,
    )
    from backstop.studies.self_hedge.jump_table import (
        iter_measured_and_cited_falls,
        jump_rows_as_json,
        play_jumps,
    )

    days = {coin: load_day_move_counts(coin) for coin in COINS}
    for each in coin_day_files:
        coin, _, file = each.partition("=")
        if coin not in COINS or not file:
            raise BackstopError(f"--history {each}: expected COIN=FILE with a coin of {', '.join(COINS)}")
        days[coin] = count_daily_moves_in_csv(Path(file))
    print_pair_gains_by_jump(
        jump_rows_as_json(play_jumps(list(iter_measured_and_cited_falls()), days)), as_json
    )
