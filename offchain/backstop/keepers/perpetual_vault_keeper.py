"""The keeper of the pool that takes over positions in the margin market: takes, sales and payments.

The keeper tries each call first on a copy of the market and the pool, at the newest signed prices.
"""

from __future__ import annotations

from typing import Any, cast

from backstop.contract_base import ZERO_ADDRESS, Contract
from backstop.deployment.constructor_arguments import build_constructor_arguments
from backstop.deployment.model_and_chain_deployment import add_contract_model
from backstop.deployment.parameter_dataclasses import Parameters
from backstop.hosts.contract_creation import Creation
from backstop.keepers.cycle_view import CycleView, MarketSimulation, find_largest_accepted
from backstop.keepers.keeper_role_register import Decisions, Keeper, KeeperMemory, register_role
from backstop.keepers.keeper_view import KeeperView
from backstop.keepers.margin_keepers import get_submittable_reports, submit_reports
from backstop.model.arithmetic import BASIS_POINTS, div_up
from backstop.model.margin_orders import Order, order_digest
from backstop.model.perpetual_liquidity_vault import VALID, PerpetualLiquidityVault, encode_offer
from backstop.system import Action, Snapshot

POOL = "PerpetualLiquidityVault"


class _StablecoinStub:
    def approve(self, sender: str, spender: str, amount: int) -> bool:
        return True


class BackstopPoolView:
    """Model of the backstop pool (which takes over positions) on top of a market simulation.

    Construction updates the pool's account in the simulation.
    """

    def __init__(
        self, ahead: MarketSimulation, addresses: dict[str, str], snapshot: Snapshot, parameters: Parameters
    ) -> None:
        self.ahead = ahead
        world = ahead.system.world
        if POOL not in world.contracts:
            world.addresses.setdefault(addresses["Stablecoin"], cast(Contract, _StablecoinStub()))
            args = build_constructor_arguments(
                parameters, addresses, ZERO_ADDRESS, ZERO_ADDRESS, ZERO_ADDRESS
            )[POOL]
            add_contract_model(world, Creation(POOL, POOL, args, addresses[POOL]))
            for path, table in world.contracts[POOL].tables.items():
                dict.update(table, snapshot[POOL][path])
        self.pool = cast(PerpetualLiquidityVault, world.contracts[POOL])
        self.at = self.pool.address
        # Brings it up to date.
        ahead.get_standing(self.at)
        self.rests = self.pool._has_no_position()
        self.waits = self.pool._is_due()

    def list_due_batches(self) -> list[tuple[int, str]]:
        """Return pairs of batch and member with a withdrawal due from the pool, the oldest batch first.

        Empty while the market has unpaid late losses, because no withdrawal is paid then.
        """
        if self.ahead.market.late_table[()]:
            return []
        now = self.pool.world.timestamp
        return sorted(
            (batch, who) for batch, who, _ in self.pool.waiting() if self.pool._compute_due_time(batch) <= now
        )

    def find_most_lots(self, method: str, *args: Any, whole: int, sender: str) -> int:
        """Return the most lots, up to `whole`, with which a call of the pool succeeds.

        0 if the call succeeds with no number of lots. `args` are the arguments before the number of lots.
        """

        def goes(lots: int) -> bool:
            return self.ahead.system.dry_run(Action(POOL, method, (*args, lots), sender)).ok

        return find_largest_accepted(goes, whole)

    def get_quote_price(self, market_id: int) -> int:
        """Return the limit price at which the pool would sign a closing order now [wei a lot].

        A long position is offered at the mark's upper end plus the spread, rounded up. A short position is
        bid for at its lower end minus the spread, rounded down. 0 without a current mark.
        """
        mark = self.pool.policy.mark_price(self.at, market_id, self.pool.mark_age)
        if self.pool._get_size(market_id) > 0:
            return div_up(mark.high * (BASIS_POINTS + self.pool.spread), BASIS_POINTS)
        return mark.low * (BASIS_POINTS - self.pool.spread) // BASIS_POINTS

    def can_sign_order(self, order: Order) -> bool:
        """Return True if the pool contract would accept this order as signed by itself now (ERC-1271)."""
        pool = self.pool
        digest = order_digest(order, pool.world.chain_id, pool.orders_address)
        return pool.isValidSignature(pool.orders_address, digest, encode_offer(*order[1:6])) == VALID


@register_role("backstop_keeper", in_settlement=True)
def plan_backstop_keeper_calls(
    keeper: Keeper, view: KeeperView, memory: KeeperMemory, gas_price: int
) -> Decisions:
    """Yield the backstop pool's upkeep: withdrawals, take-overs of positions, and quotes for sales.

    Due members are paid first. Then the pool takes unassigned lots (seized from insolvent accounts) that
    reduce its own position. Unless withdrawals wait, it also liquidates weak accounts and takes further
    unassigned lots. Rewards belong to the pool; liquidations below the group's minimum profit are left out.
    """
    cycles = view.cycles
    if cycles is None or POOL not in view.addresses:
        return
    signed = {} if cycles.has_every_market_ended else get_submittable_reports(keeper, view, cycles)
    ahead = cycles.simulate_reports(signed)
    pool = BackstopPoolView(ahead, dict(view.addresses), cycles.snapshot, cycles.parameters)
    if pool.rests:
        for batch, controller in pool.list_due_batches():
            yield keeper.build_intent(
                "PerpetualLiquidityVault", "leave", batch, controller, about=(batch, controller)
            )
    if cycles.has_every_market_ended or view.settlement.begun_at:
        return
    weak = ahead.liquidatable_accounts  # before anything is tried
    with ahead.revert_changes_on_exit():
        wanted = [*_plan_takes_reducing_pool_position(keeper, cycles, pool)]
        if not pool.waits:
            wanted += [
                *_plan_liquidations(keeper, cycles, pool, [each.owner for each in weak]),
                *_plan_takes_of_unowned_lots(keeper, cycles, pool),
            ]
        kept = ahead.get_position_sizes(pool.at)
    if wanted:
        yield from submit_reports(keeper, signed)
        yield from wanted
    for m in cycles.feeds:
        # What it has, and keeps after what it is about to do.
        if (
            m in ahead.get_position_sizes(pool.at)
            and m in kept
            and view.timestamp >= pool.pool.quotes[m].until
        ):
            yield keeper.build_intent("PerpetualLiquidityVault", "quote", m, about=m)


def _plan_takes_reducing_pool_position(
    keeper: Keeper, cycles: CycleView, pool_view: BackstopPoolView
) -> Decisions:
    """Yield take-overs of unassigned lots that close a part of the pool's own opposite position."""
    for m in cycles.feeds:
        left, mine = (
            pool_view.ahead.get_unassigned_lots(m),
            pool_view.ahead.get_position_sizes(pool_view.at).get(m, 0),
        )
        if left * mine < 0 and pool_view.ahead.fresh[m]:
            lots = min(abs(left), abs(mine))
            if pool_view.ahead.apply_call_and_report_success(POOL, "take", m, lots, sender=keeper.address):
                yield keeper.build_intent("PerpetualLiquidityVault", "take", m, lots, about=m)


def _plan_liquidations(
    keeper: Keeper, cycles: CycleView, pool: BackstopPoolView, owners: list[str]
) -> Decisions:
    """Yield liquidations through the pool of accounts under their maintenance margin, in the given order."""
    ahead = pool.ahead
    for owner in owners:
        if owner == pool.at or not keeper.is_assigned(int(owner, 16)):
            continue
        for m in ahead.list_markets_by_notional(owner):
            lots = pool.find_most_lots(
                "liquidate", owner, m, whole=abs(ahead.get_position_sizes(owner)[m]), sender=keeper.address
            )
            reward = ahead.compute_reward(owner, m, lots, pool.at) if lots else 0
            kept = reward - reward * ahead.trading.fee_share // BASIS_POINTS
            if (
                lots
                and kept >= keeper.group.minimum_profit
                and ahead.apply_call_and_report_success(
                    POOL, "liquidate", owner, m, lots, sender=keeper.address
                )
            ):
                yield keeper.build_intent(POOL, "liquidate", owner, m, lots, about=owner)
                break


def _plan_takes_of_unowned_lots(keeper: Keeper, cycles: CycleView, pool_view: BackstopPoolView) -> Decisions:
    """Yield take-overs of unassigned lots, as many as the pool's limits allow."""
    for m in cycles.feeds:
        left = abs(pool_view.ahead.get_unassigned_lots(m))
        lots = (
            pool_view.find_most_lots("take", m, whole=left, sender=keeper.address)
            if left and pool_view.ahead.fresh[m]
            else 0
        )
        if lots and pool_view.ahead.apply_call_and_report_success(
            POOL, "take", m, lots, sender=keeper.address
        ):
            yield keeper.build_intent("PerpetualLiquidityVault", "take", m, lots, about=("lots", m))
