"""The old name of `self-hedge`, for one release."""

from backstop.cli.old_names import build_old_command
from backstop.cli.self_hedge import cli as command

cli = build_old_command("straddle", command)

__all__ = ["cli"]
