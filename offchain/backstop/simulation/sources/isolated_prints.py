"""Isolated prints of a price series, by the name under which readers of price files have them.

The rule is the scenario loader's, too, which readers are built on.
"""

from backstop.simulation.scenario.isolated_prints import (
    IsolatedPrint,
    compute_move,
    describe_isolated_print,
    list_isolated_prints,
)

__all__ = ["IsolatedPrint", "compute_move", "describe_isolated_print", "list_isolated_prints"]
