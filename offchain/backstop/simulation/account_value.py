"""The worth of an account in a run: its coins, margin, shares and vault, and collateral taken and kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from backstop.keepers.keeper_view import KeeperView
from backstop.model.arithmetic import RAY
from backstop.model.denominations import VIRTUAL_SHARES, convert_shares
from backstop.model.exit_batches import SCALE
from backstop.model.member_pool import MemberPool
from backstop.model.pool import Pool
from backstop.simulation.scenario_run_state import PoolDepositor, ScenarioRun
from backstop.system import Action


def compute_total_account_worth(run: ScenarioRun, owner: str) -> int:
    """Return the worth of an account at the present block of a run, in stablecoin [wad].

    It counts stablecoins, margin equity, pool shares at withdrawal, an attacker's vault, and collateral that
    the account bought and kept. After settlement a coin is worth the collateral that it redeems.
    """
    view, total = run.build_keeper_view(), run.get_stablecoin_balance(owner)
    if view.cycles is not None:
        total += view.cycles.get_account_equity(owner)
    for member in run.members:
        if member.address == owner and member.asset == "Stablecoin" and member.pool in run.at:
            total += compute_member_shares_value(run, member) + compute_claim_payout(run, member)
    total = total * view.compute_coin_value() // RAY + compute_attacker_vault_equity(run, owner, view)
    for c, price in enumerate(view.outside.prices):
        total += (
            view.get_uncashed_coins(c, owner) * view.get_collateral_per_redeemed_coin(c) // RAY * price // RAY
        )
    return total + run.recorder.inventory.get(owner, 0)


def compute_attacker_vault_equity(run: ScenarioRun, owner: str, view: KeeperView) -> int:
    """Return what an attacker could gain by closing or abandoning its vault [wad].

    Collateral counts at the market price, and equity below 0 counts as 0. The collateral that it borrowed
    from outside and must return is deducted. 0 for any other account.
    """
    state = run.by_address.get(owner)
    if state is None or state.keeper.group.role != "attacker" or not state.keeper.group.collateral:
        return 0
    c = run.scenario.symbols.index(state.keeper.group.collateral)
    vault = view.get_vault(c, owner)
    price, debt = view.outside.prices[c], vault.normalized_debt * view.get_current_rate(c)
    owed = run.recorder.borrowed.get((owner, c), 0) * price
    return (max(0, vault.locked_collateral * price - debt) - owed) // RAY


def compute_claim_payout(run: ScenarioRun, member: PoolDepositor) -> int:
    """Return how much stablecoin a member received, or can collect, on claims for absorbed losses [wad]."""
    claims = f"{member.pool}.Claims"
    if claims not in run.at:
        return 0
    model = run.session.model
    with model.fork_state():  # somebody has to ask for it
        before = run.get_stablecoin_balance(member.address)
        model.apply(Action(member.pool, "collect_claims", (member.address,), member.address))
        for generation in range(model.view(claims, "generation") + 1):
            model.apply(Action(claims, "collect", (member.address, generation), member.address))
        return run.get_stablecoin_balance(member.address) - before


def has_planned_exit(run: ScenarioRun, member: PoolDepositor) -> bool:
    """Return True if the depositor is a keeper that leaves its pool when it foresees losses."""
    state = run.by_address.get(member.address)
    return state is not None and state.keeper.group.leaves_at != 0


def compute_member_shares_value(run: ScenarioRun, member: PoolDepositor) -> int:
    """Return the value of a member's pool shares after losses at market prices [wad].

    Shares requested for withdrawal count too. A real withdrawal would pay less, because the pool withholds
    all flagged debt, most of which is not lost in the end.
    """
    with _price_debt_at_risk_at_market(run):
        return compute_stake(cast(MemberPool, run.session.model.world.contracts[member.pool]), member.address)


@contextmanager
def _price_debt_at_risk_at_market(run: ScenarioRun) -> Iterator[None]:
    """Return a context manager in which the waterfall counts debt at risk only beyond its collateral.

    Collateral is valued at market prices.
    """
    waterfall = run.session.model.world.contracts["LossWaterfall"]
    vars(waterfall)["_ask_liquidation_debt_at_risk"] = _compute_uncovered_debt_by_type(run).__getitem__
    try:
        yield
    finally:
        del vars(waterfall)["_ask_liquidation_debt_at_risk"]


def _compute_uncovered_debt_by_type(run: ScenarioRun) -> list[int]:
    """Return the debt beyond collateral in auctions, workouts and flagged vaults [rad], by type."""
    model, prices = run.session.model, run.build_keeper_view().outside.prices
    contracts = model.world.contracts
    ids = [*contracts["CollateralAuction"].tables["lots"]]
    if "Workouts" in contracts:
        ids += contracts["Workouts"].tables["balances"]
    found = [0] * model.view("VaultEngine", "collateral_types")
    for auction_id in ids:
        c, _, lot, principal = model.view("CollateralAuction", "position_of", auction_id)
        found[c] += max(0, principal - lot * (prices[c] if c < len(prices) else RAY))
    for (c, owner), flag in contracts["LiquidationEngine"].tables["vault_flags.of_vaults"].items():
        if flag:
            vault = model.view("VaultEngine", "vault", c, owner)
            rate = model.view("VaultEngine", "debts_of", c).accumulated_rate
            worth = vault.locked_collateral * (prices[c] if c < len(prices) else RAY)
            found[c] += max(0, vault.normalized_debt * rate - worth)
    return found


def compute_stake(pool: MemberPool, owner: str) -> int:
    """Return an owner's part of a pool's assets after all known losses [wad of the asset].

    Shares in withdrawal batches are included.
    """
    supply, everything = pool.state[()].supply + VIRTUAL_SHARES, pool._compute_all_vested_assets()
    lost = everything - pool._compute_assets_left(everything)
    level, of_live, group_heights = 0, lost, dict[int, int]()
    if isinstance(pool, Pool) and (groups := pool.list_open_groups_by_ceiling()):
        # Live shares and groups bear alike, each group up to its ceiling.
        level = pool._compute_level(groups, supply, lost)
        group_heights = {group.id: max(level, group.ceiling) - level for group in groups}
        kept = sum(group.units * group_heights[group.id] // SCALE for group in groups)
        of_live = lost - (pool.line[()].held - kept)
    live = pool._get_vested_assets() - of_live
    found = pool.held(owner) * (live + 1) // supply
    for (batch_id, who), request in pool.requests.items():
        if who != owner or not request.shares:
            continue
        part = pool._compute_claimable(batch_id, owner)
        found += part.assets
        cut = max(request.generation, pool.get_share_generation_at_cut(batch_id))
        own = convert_shares(pool.shares_at_cut(batch_id, owner), cut, pool.state[()].generation)
        first = (
            pool.find_first_batch_of_run(batch_id)
            if isinstance(pool, Pool) and batch_id < pool.line[()].unsettled
            else batch_id
        )
        if first in group_heights:
            found += own * group_heights[first] // SCALE
        elif not part.over and (batch_id >= pool.line[()].unsettled or not isinstance(pool, Pool)):
            found += own * (live + 1) // supply
    return int(found)
