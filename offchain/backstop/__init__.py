"""Backstop off chain: the exact model, the hosts, keepers, scenarios and reports."""

from typing import TYPE_CHECKING, Any

from backstop.version import __version__

if TYPE_CHECKING:
    from backstop.live.operate.console import attach
    from backstop.simulation.run_directory import Run, load_run

__all__ = ["Run", "__version__", "attach", "load_run"]


def __getattr__(name: str) -> Any:
    # On demand: the model needs none of what these import.
    if name == "attach":
        from backstop.live.operate.console import attach

        return attach
    if name in __all__:
        from backstop.simulation import run_directory as runs

        return getattr(runs, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
