"""The JSON Schema of a file that people write, for editors that complete and check it."""

from __future__ import annotations

import click

from backstop.cli.command_helpers import Command, handle_errors
from backstop.errors import BackstopError
from backstop.files.schemas import SCHEMAS


@click.command(
    cls=Command,
    short_help="Print the JSON Schema of scenarios, keeper settings or parameters",
    epilog="""\b
Examples:
  ape run schema scenario > scenario.schema.json
  ape run schema keeper --path
""",
)
@click.argument("name", metavar="NAME")
@click.option("--path", "prints_path", is_flag=True, help="Print the path of the schema file, for an editor.")
@handle_errors
def cli(name: str, prints_path: bool) -> None:
    """Print the JSON Schema NAME: scenario, keeper or parameters.

    docs/reference/scenarios.md shows its use in an editor.

    Exit codes: 0 on success, 1 on an error, 2 on invalid options.
    """
    names = sorted(path.stem for path in SCHEMAS.glob("*.json"))
    if name not in names:
        raise BackstopError(f"NAME: {name!r} is unknown; expected one of {', '.join(names)}")
    path = SCHEMAS / f"{name}.json"
    click.echo(path if prints_path else path.read_text(encoding="utf-8"), nl=prints_path)
