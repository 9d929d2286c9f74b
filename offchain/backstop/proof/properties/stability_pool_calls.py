"""Which steps are calls of a stability pool."""

from __future__ import annotations

from typing import cast

from backstop.lockstep.step_transition import Transition
from backstop.model.stability_pool import OffsetPool

KINDS = ("StabilityPool", "InstantStabilityPool")
"""The contract, and the naive one that it is compared with."""


def get_pool_type(step: Transition) -> int | None:
    """Return the collateral type of the stability pool that a step calls, or None.

    The result is None if the step calls any other contract.
    """
    contract = step.get_contract(step.action.contract)
    return cast(OffsetPool, contract).collateral_type if contract.KIND in KINDS else None
