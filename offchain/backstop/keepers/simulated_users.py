"""Simulated users: members of pools, owners of vaults, borrowers, the minter of a bridge."""

from __future__ import annotations

from backstop.deployment.contracts_by_parameter_name import POOLS
from backstop.deployment.role_accounts import get_account
from backstop.keepers.auction_purchases import compute_value
from backstop.keepers.foreseen_protocol_losses import estimate_losses_reaching_stage
from backstop.keepers.keeper_role_register import UNLIMITED, Decisions, Keeper, KeeperMemory, register_role
from backstop.keepers.keeper_view import KeeperView
from backstop.keepers.view_records import Workout
from backstop.model.arithmetic import BASIS_POINTS, RAD, RAY, WAD, div_up
from backstop.model.workouts import can_repay


@register_role("member", in_settlement=True)
def plan_pool_member_exit_calls(
    keeper: Keeper, view: KeeperView, memory: KeeperMemory, gas_price: int
) -> Decisions:
    """Yield the withdrawal of a pool member that foresees a loss or takes part in a run.

    The member leaves if foreseen losses reach the share `leaves_at` of the pool's assets; with `leaves_at` 0
    it leaves only in a run. Settlement pauses withdrawals. After it, members of stablecoin pools leave,
    because coins are worth more outside. Payments due are claimed.
    """
    pool, settled = keeper.group.pool, view.settlement.fixed_at != 0
    runs = keeper.group.leaves_from is not None and view.timestamp >= keeper.group.leaves_from
    stays = keeper.group.leaves_at == 0 and not runs if not settled else keeper.group.asset != "Stablecoin"
    if stays or not view.is_pool_deployed(pool) or (view.settlement.begun_at and not settled):
        return
    contract, terms, mine = (
        POOLS[pool][0],
        view.get_exit_terms(pool),
        view.get_membership(pool, keeper.address),
    )
    if mine.claimable:
        yield keeper.build_intent(
            contract, "withdraw", mine.claimable, keeper.address, keeper.address, about=(pool, "paid")
        )
    if mine.shares:
        worth = view.outside.equity_price if pool == "staked_equity" else RAY
        seen = estimate_losses_reaching_stage(view, pool)
        enough = seen * BASIS_POINTS >= view.get_pool_assets(pool) * worth * (
            keeper.group.leaves_at or UNLIMITED
        )
        if not (settled or runs or enough):
            return
        if terms.cooldown:
            yield keeper.build_intent(
                contract, "requestRedeem", mine.shares, keeper.address, keeper.address, about=pool
            )
        else:
            yield keeper.build_intent(
                contract, "redeem", mine.shares, keeper.address, keeper.address, about=pool
            )


@register_role("owners")
def plan_owners_calls(keeper: Keeper, view: KeeperView, memory: KeeperMemory, gas_price: int) -> Decisions:
    """Yield repayments of vaults that got a margin call or are spared only by a halt.

    A repayment restores the required ratio. The share `answers` of the owners responds, as far as the group's
    coins suffice.
    """
    budget = view.get_unreserved_stablecoins(keeper.address)
    for c in range(len(view.symbols)):
        warned = {call.owner for call in view.list_margin_calls(c)} | {
            vault.owner for vault in view.list_vaults_spared_by_halt(c)
        }
        for vault in view.list_owner_vaults(c, warned):
            chosen = int(vault.owner, 16) % BASIS_POINTS < keeper.group.answers
            missing = view.compute_debt_above_ratio(c, vault)
            if not chosen or missing == 0:
                continue
            # Fees until the transaction is in; less than the floor may not be left.
            amount, whole = div_up(missing, RAY) * 1_001 // 1_000, div_up(vault.debt, RAY)
            if vault.debt - amount * RAY < view.get_terms(c).debt_floor * RAD:
                amount = whole * 1_001 // 1_000
            if amount <= budget:
                budget -= amount
                args = (c, vault.owner, amount, 0, keeper.address)
                yield keeper.build_intent("VaultEngine", "repay_and_withdraw", *args, about=(c, vault.owner))


@register_role("debtor")
def plan_workout_debtor_calls(
    keeper: Keeper, view: KeeperView, memory: KeeperMemory, gas_price: int
) -> Decisions:
    """Yield entries into workouts (repayment of called vaults in instalments) and their payments.

    The share `answers` of called vaults enters. An instalment is paid once half of its interval is over, as
    far as the keeper's coins suffice.
    """
    budget = view.get_unreserved_stablecoins(keeper.address)
    # What is sent has its money set aside already.
    sent = {name[1] for name in memory.under_way}
    for workout in view.workouts:
        soon = view.timestamp >= workout.next_due_time - workout.interval // 2
        if soon and workout.id not in sent and view.is_operator(keeper.address, workout.owner):
            amount = _compute_instalment(view, workout)
            if amount is not None and amount <= budget:
                budget -= amount
                yield keeper.build_intent(
                    "Workouts", "pay", workout.id, amount, about=workout.id, spends=amount
                )
    for c in range(len(view.symbols)):
        instalments = min(keeper.group.instalments, view.get_workout_terms(c).instalments)
        for vault in view.list_restructurable_vaults(c):
            # From the other end than those who meet calls.
            chosen = BASIS_POINTS - 1 - int(vault.owner, 16) % BASIS_POINTS < keeper.group.answers
            first = vault.debt // (RAY * instalments)
            mine = chosen and (c, vault.owner) not in sent and view.is_operator(keeper.address, vault.owner)
            if mine and first <= budget:
                budget -= first
                yield keeper.build_intent(
                    "Workouts", "enter", c, vault.owner, instalments, about=(c, vault.owner)
                )


def _compute_instalment(view: KeeperView, workout: Workout) -> int | None:
    """Return the next payment of a workout [wad]; None if nothing is due.

    0 asks the contract to check the collateral of a fully paid period again. A payment that would leave a
    debt below the floor is raised to the whole debt.
    """
    c, amount = workout.collateral_type, workout.compute_arrears(workout.met + 1)
    if amount == 0:
        # Paid while the lot was worth too little: it is looked at again once it is worth enough.
        price = view.get_lower_current_next_price(c)
        return 0 if can_repay(workout.lot, price, workout.discount, workout.principal) else None
    rest = workout.principal - amount * RAY
    if 0 < rest < view.get_terms(c).debt_floor * RAD:
        return div_up(workout.principal, RAY)
    return amount


@register_role("borrower")
def plan_periodic_vault_draw_calls(
    keeper: Keeper, view: KeeperView, memory: KeeperMemory, gas_price: int
) -> Decisions:
    """Yield a draw of `each` against collateral once per heartbeat, until the debt reaches `capital`.

    Nothing is drawn while the stability fee is above the borrower's limit `pays`.
    """
    c, pays = view.symbols.index(keeper.group.collateral), keeper.group.pays
    due = (
        memory.get_seconds_since_success(("deposit_and_draw", "vault"), view.timestamp)
        >= keeper.group.heartbeat
    )
    if due and (pays is None or view.get_stability_fee(c) <= pays):
        yield from _plan_draw(keeper, view)


@register_role("exploiter")
def plan_exploiter_calls(keeper: Keeper, view: KeeperView, memory: KeeperMemory, gas_price: int) -> Decisions:
    """Yield a draw against overvalued collateral: collateral worth less on the market than the debt.

    The debt is never repaid. The gain must exceed gas and minimum profit.
    """
    c = view.symbols.index(keeper.group.collateral)
    for intent in _plan_draw(keeper, view):
        _, _, locked, drawn, _ = intent.action.args
        cost = view.estimate_call_cost("VaultEngine", "deposit_and_draw", gas_price)
        if drawn - compute_value(view.outside.prices[c], locked) >= cost + max(
            1, keeper.group.minimum_profit
        ):
            yield intent


def _plan_draw(keeper: Keeper, view: KeeperView) -> Decisions:
    """Yield the keeper's next draw at the group's collateral ratio and the feed's price.

    None once its vault was liquidated or its debt has about reached `capital`. The coins go to the market
    maker, as those of other borrowers do.
    """
    c = view.symbols.index(keeper.group.collateral)
    price, vault, amount = view.get_risk_price(c), view.get_vault(c, keeper.address), keeper.group.each
    owed = vault.normalized_debt * view.get_current_rate(c) // RAY
    # Fees do not count against its last draw.
    if price and owed + amount // 2 <= keeper.group.capital and not vault.liquidated:
        unit = view.get_terms(c).unit
        locked = div_up(amount * keeper.group.ratio * RAY, BASIS_POINTS * price * unit) * unit
        args = (c, keeper.address, locked, amount, get_account("market_maker"))
        yield keeper.build_intent("VaultEngine", "deposit_and_draw", *args, about="vault")


@register_role("bridge")
def plan_bridge_draw_calls(
    keeper: Keeper, view: KeeperView, memory: KeeperMemory, gas_price: int
) -> Decisions:
    """Yield a facilitator's draw of `each` once per heartbeat, within its debt ceiling and `capital`.

    The coins go to the group's receiver `to`, or to the market maker if none is set. Nothing is drawn after a
    loss was announced.
    """
    facilitator = view.facilitators_by_name.get(keeper.group.facilitator)
    if facilitator is None or facilitator.announced:
        return
    if memory.get_seconds_since_success(("draw", "facilitator"), view.timestamp) < keeper.group.heartbeat:
        return
    used = div_up(facilitator.debt, RAY) + facilitator.lost
    room = view.get_terms(facilitator.collateral_type).debt_ceiling * WAD - used
    amount = min(keeper.group.each, keeper.group.capital - used, room)
    if amount > 0:
        receiver = keeper.group.to or get_account("market_maker")
        yield keeper.build_intent(keeper.group.facilitator, "draw", amount, receiver, about="facilitator")
