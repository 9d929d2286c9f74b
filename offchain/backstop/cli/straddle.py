"""What a self-made pair earns in the margin market by cycles, by its terms."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from backstop.cli.common import Command, handle_errors, json_option, seed_option, wide_console

if TYPE_CHECKING:
    from backstop.studies.straddle.study import Gains


@click.command(
    cls=Command,
    short_help="What a pair of one owner, long against short, earns in the margin market by cycles",
    epilog="""\b
Examples:
  ape run straddle
  ape run straddle --only margins --only fees --paths 3
  ape run straddle --every 5 --hold 360 --json
""",
)
@click.option("--only", multiple=True, metavar="GROUP", help="Of these settings only; may be repeated.")
@click.option(
    "--paths", type=click.IntRange(1, 100), default=1, show_default=True, help="Of each day, inside its bars."
)
@click.option(
    "--every",
    type=click.IntRange(1, 720),
    default=15,
    show_default=True,
    help="Minutes between two moments at which a pair opens.",
)
@click.option(
    "--hold",
    type=click.IntRange(10, 1_440),
    default=120,
    show_default=True,
    help="Minutes that a pair holds at most.",
)
@seed_option
@json_option
@handle_errors
def cli(only: tuple[str, ...], paths: int, every: int, hold: int, seed: int, as_json: bool) -> None:
    """Open one owner's pair at moments of four bad days, hold it until an account fails, count what is left.

    The pair is played on the model of the contracts. docs/know/straddle.md says what of the prices is
    published and what is drawn, and what the figures are for.
    """
    from backstop.errors import BackstopError
    from backstop.model.arithmetic import WAD
    from backstop.studies.straddle.market import LIBRARY
    from backstop.studies.straddle.study import GROUPS, Scope, jumps, study, told

    if unknown := sorted(set(only) - set(GROUPS)):
        raise BackstopError(f"there is no group {unknown[0]!r}; there are {', '.join(GROUPS)}")
    scope = Scope(tuple(range(seed, seed + paths)), every * 60, hold * 60)
    rows = study(scope, lambda text: click.echo(text, err=True), only)
    windows = (12, LIBRARY.mark_age + LIBRARY.reaction, 300, 600)
    moves = jumps(scope.seeds, windows)
    if as_json:
        found = {
            "library": LIBRARY._asdict(),
            "largest_moves_bps": moves,
            "rows": [
                {
                    "group": row.group,
                    "setting": row.setting,
                    "series": row.series,
                    **{name: _exact(getattr(row, name)) for name in ("blind", "chosen")},
                }
                for row in rows
            ],
        }
        click.echo(json.dumps(found, indent=1))
        return

    from rich.table import Table

    console = wide_console(130)
    table = Table("within", *(f"{window} s" for window in windows), title="Largest moves, %")
    for series, by_window in moves.items():
        table.add_row(series, *(f"{move / 100:.2f}" for move in by_window.values()))
    console.print(table)
    console.print("What a pair gains, stablecoins (basis points of its notional); under 0 it loses.")

    def shown(gains: Gains) -> tuple[str, ...]:
        mean, most = (
            f"{amount // WAD:,} ({share / 100:.1f})"
            for amount, share in ((gains.mean, gains.mean_share), (gains.most, gains.most_share))
        )
        return f"{gains.pairs:,}", f"{gains.failed:,}", mean, most

    def print_rows(title: str, first: str, chosen: list[tuple[str, Gains, Gains]]) -> None:
        made = Table(first, *("pairs", "fail", "average", "most") * 2, title=title)
        for name, blind, known in chosen:
            made.add_row(name, *shown(blind), *shown(known))
        console.print(made)

    library = [(row.series, row.blind, row.chosen) for row in rows if row.group == "library" and row.series]
    print_rows("The library's terms: every so many minutes, and at chosen moments", "day", library)
    settings = [
        (f"{row.group}: {told(row.setting)}", row.blind, row.chosen) for row in rows if not row.series
    ]
    print_rows("Other terms: every so many minutes, and at chosen moments", "setting", settings)


def _exact(gains: Gains) -> dict[str, object]:
    """Return figures as JSON has them: amounts as decimal strings."""
    return {name: str(each) if name in ("mean", "most") else each for name, each in gains._asdict().items()}
