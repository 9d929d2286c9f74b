"""Keepers of the margin market: they bring marks, meet losses, roll, take over, close.

What a call needs a mark for is brought in the same block before it: reports that a quorum has signed within
seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from backstop.keepers.costs import measured
from backstop.keepers.cycle_view import MARKET, CycleView, Rehearsal, Signed, Weak
from backstop.keepers.keeper import Decisions, Keeper, Memory, role
from backstop.keepers.view import View
from backstop.model.arithmetic import BASIS_POINTS, WAD
from backstop.model.bounds import MAX_CLOSED, MAX_REPORTERS

OF_CYCLES = (
    *("margin_crank", "margin_liquidator", "backstop_keeper", "pool_buyer", "deleverager"),
    "matcher",
)
"""Roles that bring reports where there is a margin market."""
Accounts = tuple[str, ...]

SIGNERS = ("pool_buyer",)
"""Roles that sign orders of their own account."""


def signed_for(me: Keeper, view: View, cycles: CycleView) -> Signed:
    """Return the newest reports that this keeper could bring for the markets."""
    if me.reports is None:
        return {}
    feeds = {cycles.feeds[m] for m in cycles.running}
    return {key: each for key, each in me.reports.newest(view).items() if key[0] in feeds}


def bring(me: Keeper, signed: Signed) -> Decisions:
    """Bring reports, in as many calls as they take."""
    listed = [signed[key] for key in sorted(signed)]
    for i in range(0, len(listed), MAX_REPORTERS):
        some = tuple(listed[i : i + MAX_REPORTERS])
        markets = len({each.market for each in some})
        yield me.intent("PriceFeed", "bring", some, about=("marks", i), gas=markets * measured("bring"))


def batches(
    accounts: Iterable[str], most: int, weigh: Callable[[str], int] = lambda _: 1, least: int = 1
) -> list[Accounts]:
    """Cut accounts into calls of at most so much weight, as gas, but of so many accounts at least."""
    found: list[list[str]] = []
    room = 0
    for owner in accounts:
        weight = weigh(owner)
        if not found or (room < weight and len(found[-1]) >= least) or len(found[-1]) == MAX_CLOSED:
            found.append([])
            room = max(most, weight)
        found[-1].append(owner)
        room -= weight
    return [tuple(each) for each in found]


def calls(me: Keeper, cycles: CycleView, job: str, accounts: Iterable[str], least: int = 1) -> list[Accounts]:
    """Cut accounts into calls of a job of at most the group's `call_gas`, but of so many at least."""
    most = me.group.call_gas - measured(job)
    return batches(accounts, most, lambda owner: gas_of_each(cycles, job, owner), least)


def gas_of_call(cycles: CycleView, job: str, accounts: Iterable[str]) -> int:
    """Return the gas of a call for many accounts, by the committed table."""
    return measured(job) + sum(gas_of_each(cycles, job, owner) for owner in accounts)


def gas_of_each(cycles: CycleView, job: str, owner: str) -> int:
    """Return what an account adds to the gas of a call, in each of its markets."""
    once = measured(f"{job}, each account")
    if cycles.has_slept(owner):
        once += measured("cycles: wake, long after")
    return max(1, cycles.markets_of(owner)) * once


def to_deposit(me: Keeper, view: View, cycles: CycleView) -> int:
    """Return the coins that go into a keeper's account, up to its capital if that is given [wad]."""
    amount = view.stablecoins(me.address)
    if me.group.capital:
        amount = min(amount, me.group.capital - cycles.paid_in(me.address))
    return amount if amount >= WAD else 0


# -------------------------------------------------------------------------- losses


@role("margin_crank", in_settlement=True)
def margin_crank(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Have losses met and cycles rolled, a jump marked when it happens, what is late posted.

    Markets whose final price is there are ended, and positions in them closed: those that are delisted, in
    settlement all.
    """
    cycles = view.cycles
    if cycles is None:
        return
    if cycles.postable() >= WAD:
        yield me.intent(MARKET, "post_shortfall", about="late")
    signed = signed_for(me, view, cycles)
    ahead = cycles.rehearse(signed)
    owners = [owner for owner in ahead.to_meet(me.address) if me.mine(int(owner, 16))]
    rolls = view.timestamp >= cycles.rolls_from
    moved = [m for m in cycles.running if _has_moved(me, cycles, ahead, m)]
    if owners or rolls or moved:
        yield from bring(me, signed)
    for m in cycles.running:
        # What has happened until then is of the cycle that ends.
        if m in moved or rolls:
            yield me.intent(MARKET, "accrue", m, about=m)
    # Whoever takes much gas comes last, and holds up nobody.
    owners.sort(key=lambda owner: gas_of_each(cycles, "cycles: meet_all", owner))
    for some in calls(me, cycles, "cycles: meet_all", owners):
        if len(some) == 1:
            yield me.intent(MARKET, "meet", some[0], about=some[0])
        else:
            gas = gas_of_call(cycles, "cycles: meet_all", some)
            yield me.intent(MARKET, "meet_all", some, about=("meet", some[0]), gas=gas)
    for m in cycles.running:
        if cycles.is_ending(m):
            with ahead.imagine():
                ready = ahead.tries(MARKET, "end_market", m, sender=me.address)
            if ready:
                yield me.intent(MARKET, "end_market", m, about=("end", m))
    if rolls and not owners and me.index == 0:
        yield me.intent(MARKET, "roll", about="roll")
    for owner in cycles.to_close():
        if owner not in owners and me.mine(int(owner, 16)):
            yield me.intent(MARKET, "wake", owner, about=("close", owner))


def _has_moved(me: Keeper, cycles: CycleView, ahead: Rehearsal, m: int) -> bool:
    """Tell whether a mark is off by the group's deviation, or there is none yet."""
    old, new = cycles.mark(m), int(ahead.market.paths[m].price)
    return ahead.fresh[m] and (old == 0 or abs(new - old) * BASIS_POINTS >= old * me.group.deviation)


# ---------------------------------------------------------------------- take-overs


@role("margin_liquidator")
def margin_liquidator(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Take over lots of accounts under their maintenance margin, those that pay most first.

    Then lots that were taken from debtors: those against which it closes its own, and of others as many as a
    share of its equity bears. Its stablecoins go into its account, up to its capital if that is given. What
    it took over it holds until it takes over the other side, or its operator sells it.
    """
    cycles = view.cycles
    if cycles is None or cycles.is_closing:
        return
    amount = to_deposit(me, view, cycles)
    if amount:
        # Before that is mined there is no margin to take over with.
        args = (me.address, amount)
        yield me.intent(MARKET, "deposit", *args, about="capital", spends=amount)
        return
    signed = signed_for(me, view, cycles)
    ahead = cycles.rehearse(signed)
    weak = ahead.weak  # before anything is tried
    with ahead.imagine():
        wanted = [*_liquidations(me, view, cycles, weak, ahead, gas_price), *_relief(me, cycles, ahead)]
    if wanted:
        yield from bring(me, signed)
        yield from wanted


def _liquidations(
    me: Keeper, view: View, cycles: CycleView, weak: list[Weak], ahead: Rehearsal, gas_price: int
) -> Decisions:
    least = view.cost("PerpetualDesk", "liquidate", gas_price) + me.group.minimum_profit
    for each in weak:
        # Were it weak itself it could not bear its own lots either.
        if each.reward < least or each.owner == me.address or not me.mine(int(each.owner, 16)):
            continue
        for m in ahead.largest_first(each.owner):
            whole = abs(ahead.sizes(each.owner)[m])
            lots = ahead.most("liquidate", each.owner, m, whole=whole, sender=me.address)
            reward = ahead.reward(each.owner, m, lots, me.address) if lots else 0
            kept = reward - reward * ahead.desk.fee_share // BASIS_POINTS
            if kept >= least and ahead.tries(
                "PerpetualDesk", "liquidate", each.owner, m, lots, sender=me.address
            ):
                args = each.owner, m, lots
                yield me.intent(
                    "PerpetualDesk", "liquidate", *args, about=each.owner, gain=kept, at_risk=True
                )
                break


def _relief(me: Keeper, cycles: CycleView, ahead: Rehearsal) -> Decisions:
    """Take lots that are nobody's: it pays a fee for that, and nobody pays it."""
    for m in cycles.feeds:
        left, mine = ahead.left_lots(m), ahead.sizes(me.address).get(m, 0)
        closing = min(abs(left), abs(mine)) if left * mine < 0 else 0
        price = ahead.market.paths[m].price
        if me.group.relieves and price:
            standing = ahead.standing(me.address)
            bears = (standing.own - standing.haircut) * me.group.relieves // BASIS_POINTS // price
            closing = max(closing, min(abs(left), max(0, bears - abs(mine))))
        lots = ahead.most("take", m, whole=closing, sender=me.address) if ahead.fresh[m] else 0
        if lots and ahead.tries("PerpetualDesk", "take", m, lots, sender=me.address):
            yield me.intent("PerpetualDesk", "take", m, lots, about=m, at_risk=True)
