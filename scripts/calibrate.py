"""Laws of prices and depths of markets of your own, measured, as a scenario."""

from backstop.cli.calibrate import cli

__all__ = ["cli"]
