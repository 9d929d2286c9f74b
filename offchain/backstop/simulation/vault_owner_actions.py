"""Actions of reacting vault owners: their calls on the contracts, and the results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.model.arithmetic import BASIS_POINTS, RAY, WAD, div_up
from backstop.simulation.owner_activity import OwnerActivity
from backstop.simulation.scenario.owner_behavior import (
    ADD,
    DRAW,
    REPAY,
    SELL,
    WITHDRAW,
    OwnedVault,
    OwnerDecision,
    decide_owner_action,
)
from backstop.system import Action

if TYPE_CHECKING:
    from backstop.keepers.keeper_view import KeeperView
    from backstop.simulation.scenario_run_state import ScenarioRun


def compute_price_fall(prices: list[int], block: int, within_blocks: int) -> int:
    """Return the relative fall of a price over a number of blocks [basis points], rounded down.

    0 if the price rose.
    """
    before = prices[max(0, block - within_blocks)]
    return max(0, (before - prices[block]) * BASIS_POINTS // before)


def run_owner_reactions(run: ScenarioRun) -> None:
    """Let each vault owner decide and act at the regular times of the scenario's owner behaviour.

    Owners trade with the market maker at the outside price. If the market maker and the local markets have
    too few stablecoins, the repayment is not made. It is counted as refused, like a reverted call.
    """
    behavior, now = run.scenario.owners, run.now
    if behavior is None or run.block == 0 or now > run.scenario.duration or now % behavior.every:
        return
    view, prices = run.build_keeper_view(), run.market_prices()
    vaults = {(c, vault.owner): vault for c in view.types for vault in view.list_vaults_with_debt(c)}
    looks, within = now // behavior.every, behavior.within // run.scenario.block_time
    for number, opened in enumerate(run.book):
        c = run.scenario.symbols.index(opened.symbol)
        vault = vaults.get((c, run.register_account(opened.owner)))
        if vault is None:
            continue
        terms = run.scenario.parameters.collateral_types[c]
        seen = OwnedVault(
            number=number,
            debt=div_up(vault.debt, RAY),
            worth=vault.locked * prices[c] // RAY,
            ratio=terms.liquidation_ratio,
            initial_ratio=terms.initial_ratio,
            floor=terms.debt_floor * WAD,
            fall=compute_price_fall(run.paths[opened.symbol], run.block, within),
        )
        decision = decide_owner_action(behavior, run.scenario.owner_key, looks, seen)
        if decision is not None:
            _apply_decision(run, view, c, vault.owner, decision, prices[c])


def _apply_decision(
    run: ScenarioRun, view: KeeperView, collateral_type: int, owner: str, decision: OwnerDecision, price: int
) -> None:
    """Execute an owner's decision, with tokens that the market maker transfers."""
    maker = run.register_account("market_maker")
    activity = run.owner_activity.setdefault((collateral_type, owner), OwnerActivity())
    coins, way, engine = decision.amount * RAY // price, decision.way, "VaultEngine"
    if way in (SELL, REPAY):
        if not _provide_stablecoins(run, decision.amount):
            run.refused_owner_calls += 1
            return
        run.apply_or_raise("Stablecoin", "transfer", owner, decision.amount, sender=maker)
        sold = coins if way == SELL else 0
        args: tuple[object, ...] = (collateral_type, owner, decision.amount, sold, maker)
        method = "repay_and_withdraw"
    elif way == ADD:
        coins = div_up(decision.amount * RAY, price)
        args, method = (collateral_type, owner, coins, 0, owner), "deposit_and_draw"
    elif way == DRAW:
        args, method = (collateral_type, owner, 0, decision.amount, maker), "deposit_and_draw"
    else:
        args, method = (collateral_type, owner, 0, coins, maker), "repay_and_withdraw"
    outcome = run.apply(Action(engine, method, args, maker if way == ADD else owner))
    if way in (SELL, REPAY) and (left := run.get_stablecoin_balance(owner)):
        # What a refused call or the debt's floor leaves goes back.
        run.apply_or_raise("Stablecoin", "transfer", maker, left, sender=owner)
    if not outcome.ok:
        run.refused_owner_calls += 1
        return
    activity.actions += 1
    if way in (SELL, REPAY):
        activity.repaid += decision.amount - left
    activity.sold += coins if way == SELL else 0
    activity.added += coins if way == ADD else 0
    activity.drawn += decision.amount if way == DRAW else 0
    activity.withdrawn += coins if way == WITHDRAW else 0


def _provide_stablecoins(run: ScenarioRun, amount: int) -> bool:
    """Move stablecoins [wad] from local markets to the market maker; False if they have too few.

    A market keeps its price and depth, because its virtual reserve grows by the moved amount.
    """
    maker = run.register_account("market_maker")
    for c, symbol in enumerate(run.scenario.symbols):
        missing = amount - run.get_stablecoin_balance(maker)
        if missing <= 0:
            return True
        pool = run.build_keeper_view().find_constant_product_pool(c)
        if pool is not None and pool.stable > pool.virtual:
            moved = min(missing, pool.stable - pool.virtual)
            run.refill_market(symbol, pool.collateral, pool.stable, pool.virtual + moved)
    return run.get_stablecoin_balance(maker) >= amount
