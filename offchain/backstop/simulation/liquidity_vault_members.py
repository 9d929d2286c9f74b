"""Depositors of the backstop pool: the times of their withdrawal requests, and the final value of each."""

from __future__ import annotations

from typing import Any, cast

from backstop.deployment.role_accounts import get_account
from backstop.keepers.perpetual_vault_keeper import POOL
from backstop.model.denominations import VIRTUAL_ASSETS, VIRTUAL_SHARES
from backstop.model.margin_fund import MarginFund
from backstop.model.perpetual_liquidity_vault import PerpetualLiquidityVault
from backstop.simulation.scenario_run_state import ScenarioRun
from backstop.system import Action


def request_due_vault_withdrawals(run: ScenarioRun) -> None:
    """Submit the backstop pool's withdrawal requests that are due, each for all shares of a member."""
    for each in list(run.asking):
        assert each.asks is not None
        who = get_account(each.name)
        pool = cast(PerpetualLiquidityVault, run.session.model.world.contracts[POOL])
        action = Action(POOL, "requestRedeem", (pool.held(who), who, who), who)
        if each.asks <= run.now and run.apply(action).ok:
            run.asking.remove(each)


def summarise_pool(run: ScenarioRun) -> dict[str, Any] | None:
    """Return the backstop pool's profit and its members' results; None if it is not deployed.

    The pool's remaining margin account counts at the last marks, less haircuts (the part of gains that pays
    others' losses).
    """
    view, margin = run.build_keeper_view(), run.recorder.margin
    if POOL not in run.at or margin is None or view.cycles is None:
        return None
    pool = cast(PerpetualLiquidityVault, run.session.model.world.contracts[POOL])
    left = view.cycles.get_account_equity(pool.address)
    mine = view.cycles.simulate_reports({}).get_position_sizes(pool.address)
    paid_in, paid_out = margin.pool_in, margin.pool_out
    return {
        "paid_in_wad": str(paid_in),
        "paid_out_wad": str(paid_out),
        "left_wad": str(left),
        "earned_wad": str(paid_out + left - paid_in),
        "rewards_wad": str(margin.pool_rewards),
        "taken_over": margin.pool_takes,
        "sold": margin.pool_sales,
        "lots_left": {run.scenario.margin_symbols[m]: size for m, size in sorted(mine.items())},
        "members": [
            _summarise_member(run, pool, each.name, each.money, left) for each in run.scenario.pool_members
        ],
    }


def _summarise_member(
    run: ScenarioRun, pool: PerpetualLiquidityVault, name: str, money: int, left: int
) -> dict[str, Any]:
    """Return a member's deposit and wealth: its balance, vesting profits and pool shares [wad]."""
    who = get_account(name)
    fund = cast(MarginFund, run.session.model.world.contracts["MarginFund"])
    asked = sum(request.shares for _, controller, request in pool.waiting() if controller == who)
    shares = pool.held(who) + asked
    inside = shares * (left + VIRTUAL_ASSETS) // (pool.state[()].supply + VIRTUAL_SHARES)
    buckets = [bucket for owner, bucket in fund.holdings if owner == who]
    vests = sum(fund.profit_of(who, who, bucket) for bucket in buckets)
    margin = run.recorder.margin
    left_at = None if margin is None else margin.pool_left.get(who)
    return {
        "name": name,
        "paid_in_wad": str(money),
        "has_wad": str(run.get_stablecoin_balance(who) + vests + inside),
        "vests_wad": str(vests),
        "inside_wad": str(inside),
        "left_at": None if left_at is None else left_at - run.scenario.start,
    }
