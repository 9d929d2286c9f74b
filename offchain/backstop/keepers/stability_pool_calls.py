"""Keeper calls to stability pools: liquidations, write-offs, admissions of deposits and withdrawals."""

from __future__ import annotations

from backstop.keepers.call_costs import convert_gas_to_stablecoin, get_job_gas
from backstop.keepers.keeper_role_register import Decisions, Keeper
from backstop.keepers.keeper_view import KeeperView
from backstop.model.arithmetic import RAY
from backstop.model.stability_pool import MAX_VAULTS

ONE, NINE = "stability pool: liquidate", "stability pool: liquidate nine"
_MORE = 8
"""Vaults of the job NINE beyond those of the job ONE."""


def compute_gas_of_each() -> int:
    """Return the gas of each further vault in a stability pool's liquidation call, rounded up."""
    return -(-(get_job_gas(NINE) - get_job_gas(ONE)) // _MORE)


def compute_liquidation_gas(vaults: int) -> int:
    """Return the gas of a stability pool's call that liquidates this number of vaults.

    The committed gas table is the source.
    """
    return get_job_gas(ONE) + (vaults - 1) * compute_gas_of_each()


def plan_pool_liquidations(
    keeper: Keeper, view: KeeperView, collateral_type: int, gas_price: int
) -> Decisions:
    """Yield one call in which a stability pool repays unsafe vaults, if rewards exceed the gas.

    The largest debts come first, as far as the pool's coins suffice. Rewards are valued at the outside market
    price.
    """
    pool, price = view.find_stability_pool(collateral_type), view.outside.prices[collateral_type]
    if pool is None or not view.can_sell_vaults(collateral_type):
        return

    def estimate_cost(gas: int) -> int:
        """Return the cost of this gas in stablecoin [wad]."""
        return convert_gas_to_stablecoin(gas, gas_price, view.outside.ether_price)

    each, room = estimate_cost(compute_gas_of_each()), view.get_offset_room(collateral_type)
    owners: list[str] = []
    gained = 0
    share = keeper.group.count, keeper.index
    for vault in view.iter_unsafe_vaults(collateral_type, keeper_share=share):
        sale = view.plan_offset(collateral_type, vault, room)
        reward = 0 if sale is None else view.compute_offset_reward(collateral_type, sale) * price // RAY
        if sale is None or reward < each:
            continue
        owners.append(vault.owner)
        gained, room = gained + reward, room - sale.paid
        if len(owners) == MAX_VAULTS:
            break
    gas = compute_liquidation_gas(len(owners))
    if owners and gained >= estimate_cost(gas) + keeper.group.minimum_profit:
        args = tuple(owners), keeper.address
        yield keeper.build_intent(pool, "liquidate", *args, about=collateral_type, gain=gained, gas=gas)


def plan_pool_upkeep(keeper: Keeper, view: KeeperView) -> Decisions:
    """Yield the upkeep of stability pools, which brings the keeper no profit.

    The calls admit waiting deposits, pay withdrawals, and write off vaults that a pool has too few coins to
    repay.
    """
    for c in view.list_types_with_stability_pool():
        pool = view.find_stability_pool(c)
        assert pool is not None
        for owner in view.list_payable_members(c):
            yield keeper.build_intent(pool, "withdraw", owner, about=(c, owner))
        if view.settlement.begun_at:
            continue
        if view.can_admit_entries(c):
            yield keeper.build_intent(pool, "admit", about=c)
        owners = [vault.owner for vault in view.iter_short_vaults(c)][:MAX_VAULTS]
        if owners:
            gas = compute_liquidation_gas(len(owners))
            args = tuple(owners), keeper.address
            yield keeper.build_intent(pool, "liquidate", *args, about=c, gas=gas)


def has_pool_work(view: KeeperView) -> bool:
    """Return True if a stability pool has deposits to admit, withdrawals to pay or vaults to write off."""
    return any(
        view.list_payable_members(c) or view.can_admit_entries(c) or next(view.iter_short_vaults(c), None)
        for c in view.list_types_with_stability_pool()
    )
