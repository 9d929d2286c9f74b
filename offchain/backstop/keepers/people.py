"""People whose behaviour is played: members of pools, owners of vaults, borrowers, the minter of a bridge."""

from __future__ import annotations

from backstop.deployment.accounts import account
from backstop.deployment.contracts import POOLS
from backstop.keepers.fills import worth_at
from backstop.keepers.foresight import losses_beyond
from backstop.keepers.keeper import UNLIMITED, Decisions, Keeper, Memory, role
from backstop.keepers.seen import Workout
from backstop.keepers.view import View
from backstop.model.arithmetic import BASIS_POINTS, RAD, RAY, WAD, div_up
from backstop.model.workouts import repays


@role("member", in_settlement=True)
def member(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Leave a pool when a loss that would reach it is in sight, or once a run has begun.

    A member with `leaves_at` 0 leaves in a run only. Settlement pauses exits; once its books are closed,
    members of pools of stablecoin leave, because coins are worth more outside. What their batches are paid
    they claim.
    """
    pool, settled = me.group.pool, view.settlement.fixed_at != 0
    runs = me.group.leaves_from is not None and view.timestamp >= me.group.leaves_from
    stays = me.group.leaves_at == 0 and not runs if not settled else me.group.asset != "Stablecoin"
    if stays or not view.has_pool(pool) or (view.settlement.begun_at and not settled):
        return
    contract, terms, mine = POOLS[pool][0], view.exit_terms(pool), view.membership(pool, me.address)
    if mine.claimable:
        yield me.intent(contract, "withdraw", mine.claimable, me.address, me.address, about=(pool, "paid"))
    if mine.shares:
        worth = view.outside.equity_price if pool == "staked_equity" else RAY
        seen = losses_beyond(view, pool)
        enough = seen * BASIS_POINTS >= view.assets(pool) * worth * (me.group.leaves_at or UNLIMITED)
        if not (settled or runs or enough):
            return
        if terms.cooldown:
            yield me.intent(contract, "requestRedeem", mine.shares, me.address, me.address, about=pool)
        else:
            yield me.intent(contract, "redeem", mine.shares, me.address, me.address, about=pool)


@role("owners")
def owners(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Repay what called or spared vaults lack, for the owners who answer, as far as the money goes."""
    budget = view.stablecoins(me.address)
    for c in range(len(view.symbols)):
        warned = {call.owner for call in view.calls(c)} | {vault.owner for vault in view.spared(c)}
        for vault in view.vaults_of(c, warned):
            chosen = int(vault.owner, 16) % BASIS_POINTS < me.group.answers
            missing = view.shortfall(c, vault)
            if not chosen or missing == 0:
                continue
            # Fees until the transaction is in; less than the floor may not be left.
            amount, whole = div_up(missing, RAY) * 1_001 // 1_000, div_up(vault.debt, RAY)
            if vault.debt - amount * RAY < view.terms(c).debt_floor * RAD:
                amount = whole * 1_001 // 1_000
            if amount <= budget:
                budget -= amount
                args = (c, vault.owner, amount, 0, me.address)
                yield me.intent("VaultEngine", "repay_and_withdraw", *args, about=(c, vault.owner))


@role("debtor")
def debtor(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Restructure a share of the called vaults that it may act for, and pay their instalments.

    It pays once half of the interval is over, as far as its money goes; the rest is foreclosed.
    """
    budget = view.stablecoins(me.address)
    # What is sent has its money set aside already.
    sent = {name[1] for name in memory.under_way}
    for workout in view.workouts:
        soon = view.timestamp >= workout.due - workout.interval // 2
        if soon and workout.id not in sent and view.acts_for(me.address, workout.owner):
            amount = _instalment(view, workout)
            if amount is not None and amount <= budget:
                budget -= amount
                yield me.intent("Workouts", "pay", workout.id, amount, about=workout.id, spends=amount)
    for c in range(len(view.symbols)):
        instalments = min(me.group.instalments, view.workout_terms(c).instalments)
        for vault in view.restructurable(c):
            # From the other end than those who meet calls.
            chosen = BASIS_POINTS - 1 - int(vault.owner, 16) % BASIS_POINTS < me.group.answers
            first = vault.debt // (RAY * instalments)
            mine = chosen and (c, vault.owner) not in sent and view.acts_for(me.address, vault.owner)
            if mine and first <= budget:
                budget -= first
                yield me.intent("Workouts", "enter", c, vault.owner, instalments, about=(c, vault.owner))


def _instalment(view: View, workout: Workout) -> int | None:
    """Return the next payment [wad]; None if nothing is to be paid yet."""
    c, amount = workout.collateral_type, workout.missing(workout.met + 1)
    if amount == 0:
        # Paid while the lot was worth too little: it is looked at again once it is worth enough.
        price = view.new_risk_price(c)
        return 0 if repays(workout.lot, price, workout.discount, workout.principal) else None
    rest = workout.principal - amount * RAY
    if 0 < rest < view.terms(c).debt_floor * RAD:
        return div_up(workout.principal, RAY)
    return amount


@role("borrower")
def borrower(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Draw `each` against collateral once a heartbeat, until it owes about its capital.

    It waits while the fee is above what it pays.
    """
    c, pays = view.symbols.index(me.group.collateral), me.group.pays
    due = memory.since(("deposit_and_draw", "vault"), view.timestamp) >= me.group.heartbeat
    if due and (pays is None or view.fee(c) <= pays):
        yield from _draw(me, view)


@role("exploiter")
def exploiter(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Draw whenever the collateral to lock is worth less on the market than the draw, and never repay."""
    c = view.symbols.index(me.group.collateral)
    for intent in _draw(me, view):
        _, _, locked, drawn, _ = intent.action.args
        cost = view.cost("VaultEngine", "deposit_and_draw", gas_price)
        if drawn - worth_at(view.outside.prices[c], locked) >= cost + max(1, me.group.minimum_profit):
            yield intent


def _draw(me: Keeper, view: View) -> Decisions:
    """Yield the next draw, at the group's ratio and the feed's price; none once the vault was liquidated.

    The coins go to the market, as those that the book's owners drew.
    """
    c = view.symbols.index(me.group.collateral)
    price, vault, amount = view.risk_price(c), view.vault(c, me.address), me.group.each
    owed = vault.normalized_debt * view.rate(c) // RAY
    # Fees do not count against its last draw.
    if price and owed + amount // 2 <= me.group.capital and not vault.liquidated:
        unit = view.terms(c).unit
        locked = div_up(amount * me.group.ratio * RAY, BASIS_POINTS * price * unit) * unit
        args = (c, me.address, locked, amount, account("market_maker"))
        yield me.intent("VaultEngine", "deposit_and_draw", *args, about="vault")


@role("bridge")
def bridge(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Draw `each` for its domain once a heartbeat, within its ceiling, until it owes its capital.

    The coins go to the market, unless the group names a receiver.
    """
    domain = view.domains.get(me.group.domain)
    if domain is None or domain.announced:
        return
    if memory.since(("draw", "domain"), view.timestamp) < me.group.heartbeat:
        return
    used = div_up(domain.debt, RAY) + domain.lost
    room = view.terms(domain.collateral_type).debt_ceiling * WAD - used
    amount = min(me.group.each, me.group.capital - used, room)
    if amount > 0:
        receiver = me.group.to or account("market_maker")
        yield me.intent(me.group.domain, "draw", amount, receiver, about="domain")
