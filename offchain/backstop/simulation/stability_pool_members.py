"""Withdrawals of all coins by members of stability pools; the naive pool pays them at once."""

from __future__ import annotations

from backstop.model.arithmetic import MAX_UINT256
from backstop.model.instant_stability_pool import InstantStabilityPool
from backstop.model.product_sum import LEAST_COINS
from backstop.model.stability_pool import Member
from backstop.simulation.scenario_run_state import PoolDepositor, ScenarioRun
from backstop.system import Action


def request_due_pool_withdrawals(run: ScenarioRun) -> None:
    """Submit the withdrawals of stability pool members that are due; a reverted one is retried."""
    for each in run.stability_pool_members:
        key = each.pool, each.address
        if each.leaves_at is not None and each.leaves_at <= run.now and key not in run.have_left:
            action = _build_withdrawal(run, each)
            if action is None or run.apply(action).ok:
                run.have_left.add(key)


def _build_withdrawal(run: ScenarioRun, member: PoolDepositor) -> Action | None:
    """Return the call that withdraws all coins of a member; None if nothing can be withdrawn.

    The naive pool pays at once, but keeps its last coin.
    """
    if run.scenario.parameters.stability_pool_contract != InstantStabilityPool.KIND:
        return Action(member.pool, "request_withdrawal", (MAX_UINT256,), member.address)
    model = run.session.model
    has: Member = model.view(member.pool, "member_of", member.address)
    amount = min(has.coins, model.view(member.pool, "totalSupply") - LEAST_COINS)
    return Action(member.pool, "withdraw", (amount, False), member.address) if amount > 0 else None
