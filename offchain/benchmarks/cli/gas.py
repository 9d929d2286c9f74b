"""Command that measures the gas of every job on Anvil, against dss and the committed snapshot."""

import json
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from backstop.cli.command_helpers import Command, handle_errors
from backstop.files.installation import format_command_as_started
from backstop.keepers.gas_table import SNAPSHOT, read_gas_table, write_gas_table_json
from benchmarks.gas.gas_compared_to_dss import measure_all_jobs

RUNS = Path("runs/gas.json")


@click.command(
    cls=Command,
    short_help="Measure gas, compared with dss and the committed snapshot",
    epilog="""\b
Examples:
  ape run gas
  ape run gas --update
""",
)
@click.option("--update", is_flag=True, help="Write the committed snapshot again.")
@handle_errors
def cli(update: bool) -> None:
    """Measure the gas of every job on a fresh Anvil, compared with dss and the committed snapshot.

    Prints gas, the figure of dss, the ratio and the goal. Writes runs/gas.json.

    Exit codes: 0 on success, 1 if a job rose by more than 1% over the snapshot or is not in it, or on an
    error, 2 on invalid options.
    """
    rows, used = measure_all_jobs()
    RUNS.parent.mkdir(exist_ok=True)
    RUNS.write_text(json.dumps([row._asdict() for row in rows], indent=1) + "\n")
    before = read_gas_table() if SNAPSHOT.exists() else {}
    compared = {row.name: row for row in rows}
    table = Table("job", "gas", "dss", "ratio", "goal", "", "snapshot")
    for name, gas in used.items():
        cells = [name, gas, "", "", "", ""]
        if row := compared.get(name):
            verdict = "meets" if row.is_within_goal else "MISSES"
            cells = [name, gas, row.dss, f"{row.ratio:.3f}", f"{row.goal:.2f}", verdict]
        table.add_row(*map(str, cells), str(before.get(name, "-")))
    Console().print(table)
    if update:
        write_gas_table_json(used)
        return
    if risen := [name for name, gas in used.items() if gas * 100 > before.get(name, gas) * 101]:
        raise click.ClickException(
            f"gas rose by more than 1%: {', '.join(risen)}. If that is meant: "
            f"{format_command_as_started('gas --update')}"
        )
    if unknown := used.keys() - before.keys():
        raise click.ClickException(
            f"not in the snapshot: {', '.join(sorted(unknown))}. Run: "
            f"{format_command_as_started('gas --update')}"
        )
