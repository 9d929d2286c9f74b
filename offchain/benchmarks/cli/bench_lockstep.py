"""Command that compares lockstep with other tools on contracts of other people."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from backstop.cli.command_helpers import RUNS, Command, handle_errors
from benchmarks.lockstep import tool_comparison
from benchmarks.lockstep.foreign_vaults import VAULTS
from benchmarks.lockstep.tool_runs import PROJECTS, TIMEOUT, exit_on_stop_signals
from benchmarks.lockstep.vault_mutant_draw import COUNT

SEED = "135f1a80bff44f5d3d6f5f8855e8182c5bd1ba6e"
"""Measured commit of the plugin: mutants are drawn by the code written before them."""


@click.command(
    cls=Command,
    short_help="Compare lockstep with other testing tools on published contracts",
    epilog="""\b
Examples:
  ape run bench-lockstep
  ape run bench-lockstep --vault snekmate --tool lockstep
  ape run bench-lockstep --seed another --mutants 20
""",
)
@click.option(
    "--vault",
    "names",
    type=click.Choice(sorted(VAULTS)),
    multiple=True,
    help="Vault contract to test; repeatable.  [default: all]",
)
@click.option(
    "--tool",
    "tools",
    type=click.Choice(list(PROJECTS)),
    multiple=True,
    help="Tool to test; repeatable.  [default: all]",
)
@click.option("--seed", default=SEED, show_default=True, help="Text that seeds the draw of mutants.")
@click.option(
    "--mutants",
    type=click.IntRange(0),
    default=COUNT,
    show_default=True,
    help="Mutants of each vault contract.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(1),
    default=tool_comparison.SECONDS,
    show_default=True,
    help="CPU time to measure each tool's speed, about, in seconds.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(1),
    default=TIMEOUT,
    show_default=True,
    help="CPU time after which a tool without a finding is stopped, in seconds.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=RUNS,
    show_default=True,
    help="Folder of the results.",
)
@handle_errors
def cli(
    names: Sequence[str],
    tools: Sequence[str],
    seed: str,
    mutants: int,
    seconds: float,
    timeout: float,
    out: Path,
) -> None:
    """Test two published ERC-4626 vaults, correct and with planted faults, with four tools.

    Each tool gets the same calls, and as many of the same checks as it supports. Times are CPU seconds of all
    processes of a tool. The first run installs the tools from their locks. All of it takes up to an hour.

    Writes bench-lockstep.json into --out, and prints tables in Markdown.

    Exit codes: 0 on success, 1 on an error, 2 on invalid options.
    """
    compared = []
    for name in names or sorted(VAULTS, reverse=True):
        with exit_on_stop_signals(), tempfile.TemporaryDirectory(prefix="backstop-lockstep-") as folder:
            found = tool_comparison.compare_tools(
                VAULTS[name],
                seed,
                Path(folder),
                tools or tuple(PROJECTS),
                mutants,
                seconds,
                timeout,
                lambda text: print(text, file=sys.stderr),
            )
        compared.append(found)
        heads = ("tool", "steps a CPU second", "times", "mutants found", "median CPU s", "lines")
        _print_markdown(found.vault.title, heads, tool_comparison.build_tool_rows(found))
        if not found.mutants:
            continue
        columns = ("mutant", "fault", *(f"{each.tool}, s" for each in found.results))
        _print_markdown(f"seed {seed}", columns, tool_comparison.build_mutant_rows(found))
    path = out / "bench-lockstep.json"
    tool_comparison.write_comparisons_json(compared, seed, path)
    print(f"written {path}")


def _print_markdown(above: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a text and a Markdown table, in the layout of docs/explanation/lockstep-benchmark.md."""
    lines = [f"| {' | '.join(cells)} |" for cells in (heads, *rows)]
    lines.insert(1, f"|{'|'.join(['---'] * len(heads))}|")
    print("\n".join((above, "", *lines, "")))
