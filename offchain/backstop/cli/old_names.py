"""Old names of commands, options and presets, which work for one release and print a warning."""

from __future__ import annotations

from copy import copy
from functools import wraps
from typing import Any

import click

from backstop.files.installation import OLD_COMMANDS
from backstop.files.old_names import load_rename_table

OLD_ALARMS = {"taken": "extraction", **load_rename_table().names["alarms"]}
"""Old name of an alarm of `hunt` -> its name."""


def warn_old_name(kind: str, old: str, new: str) -> None:
    """Print a warning to stderr that a command, an option or a value has a new name."""
    click.echo(
        f"Warning: the {kind} {old} is called {new} now; the old name goes with the next release", err=True
    )


def translate_old_presets(ctx: click.Context, param: click.Parameter, names: str) -> str:
    """Return a comma-separated list of presets with old names replaced; warn about each old name."""
    given = names.split(",")
    found = [load_rename_table().translate_name("presets", name.strip()) for name in given]
    for old, new in zip(given, found, strict=True):
        if old.strip() != new:
            warn_old_name("preset", old.strip(), new)
    return ",".join(found)


def build_old_command(old: str, command: click.Command) -> click.Command:
    """Return a hidden copy of a command under its old name, which prints a warning and then runs."""
    hidden, run = copy(command), command.callback
    assert run is not None

    @wraps(run)
    def warn_and_run(*args: Any, **options: Any) -> Any:
        warn_old_name("command", old, OLD_COMMANDS[old])
        return run(*args, **options)

    hidden.hidden, hidden.name, hidden.callback = True, old, warn_and_run
    return hidden
