"""Break one part at a time, and call what must still work."""

from __future__ import annotations

from pathlib import Path

import click

from backstop.cli.command_helpers import (
    RUNS,
    Command,
    contracts_folder_option,
    handle_errors,
    json_option,
    show_progress_bar,
    wide_console,
)
from backstop.errors import BackstopError


@click.command(
    cls=Command,
    old_options={"--part": "--component", "--way": "--failure-mode"},
    short_help="Break one component at a time, and check the calls that must still work",
    epilog="""\b
Examples:
  ape run faults
  ape run faults --component Junior --component RiskPolicy
  ape run faults --failure-mode reverts --out runs/reverting.json
""",
)
@click.option(
    "--component",
    "part_names",
    multiple=True,
    metavar="NAME",
    help="Component to break; repeatable.  [default: all]",
)
@click.option(
    "--failure-mode",
    "ways",
    multiple=True,
    metavar="NAME",
    help="Failure mode to test; repeatable.  [default: all]",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=RUNS / "faults.json",
    show_default=True,
    help="JSON file of the table; an older table is replaced.",
)
@contracts_folder_option
@json_option
@handle_errors
def cli(
    part_names: tuple[str, ...], ways: tuple[str, ...], out: Path, contracts: Path, as_json: bool
) -> None:
    """Break each component with faulty code on revm, and make the calls that must work without it.

    A call passes if it does the same as without the fault, the books balance, and no stage pays out of turn.
    docs/how-to/faults.md lists components, failure modes and calls.

    Writes the table of calls to --out.

    Exit codes: 0 if all calls pass, 1 if a call fails or on an error, 2 on invalid options.
    """
    from backstop.hosts.artifacts import Artifacts
    from backstop.proof.faults.breakable_components import PARTS, get_breakable_component
    from backstop.proof.faults.call_liveness_table import (
        WORKS,
        count_applicable_fault_cells,
        list_fault_table_cells,
    )
    from backstop.proof.faults.call_liveness_table_output import (
        build_failure_terminal_table,
        build_success_terminal_table,
        format_json,
        format_verdict_counts,
        refuse_overwriting_other_file,
        write_table,
    )
    from backstop.proof.faults.failure_modes import check_failure_mode

    parts = [get_breakable_component(name) for name in part_names] or PARTS
    for way in ways:
        check_failure_mode(way)
    refuse_overwriting_other_file(out)
    asked = count_applicable_fault_cells(parts, ways or None)
    if not asked:
        raise BackstopError(
            "--component, --failure-mode: no component has such a failure mode; leave one of them out"
        )
    with show_progress_bar() as bar:
        cells = list_fault_table_cells(
            parts,
            ways or None,
            artifacts=Artifacts(contracts),
            progress_callback=lambda done: bar(done, asked, f"{done} of {asked} cells"),
        )
    write_table(cells, out)
    if as_json:
        click.echo(format_json(cells))
    else:
        console = wide_console(8)
        console.print(build_success_terminal_table(cells))
        console.print()
        if any(cell.verdict != WORKS for cell in cells):
            console.print(build_failure_terminal_table(cells))
            console.print()
        click.echo(f"table {out}")
        click.echo(format_verdict_counts(cells))
    raise SystemExit(0 if all(cell.verdict == WORKS for cell in cells) else 1)
