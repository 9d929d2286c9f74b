"""How debt is paid back that has left its vault: principal first. See contracts/modules/debt_repayment.vy."""

from __future__ import annotations

from backstop.model.arithmetic import RAY

MICRO_RAD = 10**39
MICRO_WAD = 10**12
MAX_ON_TOP = 2**48 - 1
"""Highest value that its storage field holds, micro stablecoins."""


def compute_principal_left(target: int, penalty_on_top: int, rounding_excess: int) -> int:
    """Return the principal that is left in an unpaid target [rad]; 0 if only penalty is left.

    A payment repays principal first. The target is in wad, the penalty in micro stablecoins, and the excess
    [rad] is the amount that rounded the principal up to whole wei.
    """
    return max(0, target * RAY - penalty_on_top * MICRO_RAD - rounding_excess)
