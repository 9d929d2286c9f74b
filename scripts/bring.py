"""The old name of `import`, for one release."""

from backstop.cli.import_book import cli as command
from backstop.cli.old_names import build_old_command

cli = build_old_command("bring", command)

__all__ = ["cli"]
