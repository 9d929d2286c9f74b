"""How debt is paid back that has left its vault: principal first. See contracts/modules/debt_repayment.vy."""

from __future__ import annotations

from backstop.model.arithmetic import RAY

MICRO_RAD = 10**39
MICRO_WAD = 10**12
MAX_ON_TOP = 2**48 - 1
"""What the field of it holds, micro stablecoins."""


def compute_principal_left(target: int, penalty_on_top: int, rounding_excess: int) -> int:
    """Return the principal in what is still to be paid [rad]: all above the rest on top and the rounding."""
    return max(0, target * RAY - penalty_on_top * MICRO_RAD - rounding_excess)
