"""The keeper of the pool that takes over positions in the margin market: what it takes, sells and pays.

What it would do is tried on a copy of the market with the pool beside it, at the newest signed prices.
"""

from __future__ import annotations

from typing import Any, cast

from backstop.deployment.arguments import arguments
from backstop.deployment.create import create_on_model
from backstop.deployment.parameters import Parameters
from backstop.deployment.plan import Creation
from backstop.keepers.cycle_view import CycleView, Rehearsal, largest
from backstop.keepers.cycles import bring, signed_for
from backstop.keepers.keeper import Decisions, Keeper, Memory, role
from backstop.keepers.view import View
from backstop.model.arithmetic import BASIS_POINTS, div_up
from backstop.model.margin_orders import Order, order_digest
from backstop.model.perpetual_backstop import VALID, PerpetualBackstop, encode_offer
from backstop.model.state import ZERO_ADDRESS, Contract
from backstop.system import Action, Snapshot

POOL = "PerpetualBackstop"


class _Coin:
    """A stablecoin that anybody may spend: nothing is paid in what is tried."""

    def approve(self, sender: str, spender: str, amount: int) -> bool:
        return True


class PoolView:
    """The pool beside a copy of its market."""

    def __init__(
        self, ahead: Rehearsal, addresses: dict[str, str], snapshot: Snapshot, parameters: Parameters
    ) -> None:
        self.ahead = ahead
        world = ahead.system.world
        if POOL not in world.contracts:
            world.addresses.setdefault(addresses["Stablecoin"], cast(Contract, _Coin()))
            args = arguments(parameters, addresses, ZERO_ADDRESS, ZERO_ADDRESS, ZERO_ADDRESS)[POOL]
            create_on_model(world, Creation(POOL, POOL, args, addresses[POOL]))
            for path, table in world.contracts[POOL].tables.items():
                dict.update(table, snapshot[POOL][path])
        self.pool = cast(PerpetualBackstop, world.contracts[POOL])
        self.at = self.pool.address
        # Brings it up to date.
        ahead.standing(self.at)
        self.rests = self.pool._is_at_rest()
        self.waits = self.pool._is_due()

    def due(self) -> list[tuple[int, str]]:
        """Return batches that are due and who is to leave, the oldest first; none while losses are late."""
        if self.ahead.market.late_table[()]:
            return []
        now = self.pool.world.timestamp
        return sorted(
            (batch, who) for batch, who, _ in self.pool.waiting() if self.pool._due_at(batch) <= now
        )

    def most(self, method: str, *args: Any, whole: int, sender: str) -> int:
        """Return the most lots for which a call of the pool would go; 0 if for none."""

        def goes(lots: int) -> bool:
            return self.ahead.system.foresee(Action(POOL, method, (*args, lots), sender)).ok

        return largest(goes, whole)

    def price(self, m: int) -> int:
        """Return the worst price at which the pool signs now [wei a lot]; 0 without a mark of now."""
        mark = self.pool.policy.mark_price(self.at, m, self.pool.mark_age)
        if self.pool._size(m) > 0:
            return div_up(mark.high * (BASIS_POINTS + self.pool.spread), BASIS_POINTS)
        return mark.low * (BASIS_POINTS - self.pool.spread) // BASIS_POINTS

    def signs(self, order: Order) -> bool:
        """Tell whether the pool signs an order of its own now."""
        pool = self.pool
        digest = order_digest(order, pool.world.chain_id, pool.orders_address)
        return pool.isValidSignature(pool.orders_address, digest, encode_offer(*order[1:6])) == VALID


@role("backstop_keeper", in_settlement=True)
def backstop_keeper(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Pay who is due, close against lots that are nobody's, take weak accounts and such lots over, quote.

    What it takes is for the pool's members; it gets nothing itself. A reward under its least profit is left.
    """
    cycles = view.cycles
    if cycles is None or POOL not in view.addresses:
        return
    signed = {} if cycles.is_closing else signed_for(me, view, cycles)
    ahead = cycles.rehearse(signed)
    pool = PoolView(ahead, dict(view.addresses), cycles.snapshot, cycles.parameters)
    if pool.rests:
        for batch, controller in pool.due():
            yield me.intent("PerpetualBackstop", "leave", batch, controller, about=(batch, controller))
    if cycles.is_closing or view.settlement.begun_at:
        return
    weak = ahead.weak  # before anything is tried
    with ahead.imagine():
        wanted = [*_closing(me, cycles, pool)]
        if not pool.waits:
            wanted += [*_weak(me, cycles, pool, [each.owner for each in weak]), *_nobodys(me, cycles, pool)]
        kept = ahead.sizes(pool.at)
    if wanted:
        yield from bring(me, signed)
        yield from wanted
    for m in cycles.feeds:
        # What it has, and keeps after what it is about to do.
        if m in ahead.sizes(pool.at) and m in kept and view.timestamp >= pool.pool.quotes[m].until:
            yield me.intent("PerpetualBackstop", "quote", m, about=m)


def _closing(me: Keeper, cycles: CycleView, pool: PoolView) -> Decisions:
    """Take lots that are nobody's against the pool's own of the other side."""
    for m in cycles.feeds:
        left, mine = pool.ahead.left_lots(m), pool.ahead.sizes(pool.at).get(m, 0)
        if left * mine < 0 and pool.ahead.fresh[m]:
            lots = min(abs(left), abs(mine))
            if pool.ahead.tries(POOL, "take", m, lots, sender=me.address):
                yield me.intent("PerpetualBackstop", "take", m, lots, about=m)


def _weak(me: Keeper, cycles: CycleView, pool: PoolView, owners: list[str]) -> Decisions:
    """Take over lots of accounts under their maintenance margin, those that pay most first."""
    ahead = pool.ahead
    for owner in owners:
        if owner == pool.at or not me.mine(int(owner, 16)):
            continue
        for m in ahead.largest_first(owner):
            lots = pool.most("liquidate", owner, m, whole=abs(ahead.sizes(owner)[m]), sender=me.address)
            reward = ahead.reward(owner, m, lots, pool.at) if lots else 0
            kept = reward - reward * ahead.desk.fee_share // BASIS_POINTS
            if (
                lots
                and kept >= me.group.minimum_profit
                and ahead.tries(POOL, "liquidate", owner, m, lots, sender=me.address)
            ):
                yield me.intent(POOL, "liquidate", owner, m, lots, about=owner)
                break


def _nobodys(me: Keeper, cycles: CycleView, pool: PoolView) -> Decisions:
    """Take lots that are nobody's, as many as the pool's limits bear."""
    for m in cycles.feeds:
        left = abs(pool.ahead.left_lots(m))
        lots = pool.most("take", m, whole=left, sender=me.address) if left and pool.ahead.fresh[m] else 0
        if lots and pool.ahead.tries(POOL, "take", m, lots, sender=me.address):
            yield me.intent("PerpetualBackstop", "take", m, lots, about=("lots", m))
