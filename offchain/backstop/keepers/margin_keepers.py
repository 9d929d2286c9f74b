"""Keepers of the margin market: they submit marks, seize insolvent accounts, roll, take over, close.

A call that needs a mark has it submitted before it in the same block: reports that a quorum has signed within
seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from backstop.keepers.call_costs import get_job_gas
from backstop.keepers.cycle_view import MARKET, CycleView, MarketSimulation, Signed, UndermarginedAccount
from backstop.keepers.keeper_role_register import Decisions, Keeper, KeeperMemory, register_role
from backstop.keepers.keeper_view import KeeperView
from backstop.model.arithmetic import BASIS_POINTS, WAD
from backstop.model.bounds import MAX_CLOSED, MAX_REPORTERS

OF_CYCLES = (
    *("margin_crank", "margin_liquidator", "backstop_keeper", "pool_buyer", "deleverager"),
    "matcher",
)
"""Roles that submit reports where there is a margin market."""
Accounts = tuple[str, ...]

SIGNERS = ("pool_buyer",)
"""Roles that sign orders of their own account."""


def get_submittable_reports(keeper: Keeper, view: KeeperView, cycles: CycleView) -> Signed:
    """Return the newest signed price reports that this keeper could submit for running markets.

    Keys are pairs of the feed's market and the reporter. Empty if the keeper has no source of reports.
    """
    if keeper.reports is None:
        return {}
    feeds = {cycles.feeds[m] for m in cycles.running_market_ids}
    return {key: each for key, each in keeper.reports.get_newest_reports(view).items() if key[0] in feeds}


def submit_reports(keeper: Keeper, signed: Signed) -> Decisions:
    """Yield the calls that submit signed price reports, each with at most the feed's maximum of reports."""
    listed = [signed[key] for key in sorted(signed)]
    for i in range(0, len(listed), MAX_REPORTERS):
        some = tuple(listed[i : i + MAX_REPORTERS])
        markets = len({each.market for each in some})
        yield keeper.build_intent(
            "PriceFeed",
            "submit_signed_reports",
            some,
            about=("marks", i),
            gas=markets * get_job_gas("submit signed reports"),
        )


def split_accounts(
    accounts: Iterable[str], most: int, weigh: Callable[[str], int] = lambda _: 1, least: int = 1
) -> list[Accounts]:
    """Split accounts into batches for separate calls, and return the batches.

    `weigh` gives the weight of an account, such as its gas; a batch has a total weight of at most `most`. A
    batch may exceed this to reach `least` accounts, and has at most as many accounts as one call may close.
    """
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


def split_calls(
    keeper: Keeper, cycles: CycleView, job: str, accounts: Iterable[str], least: int = 1
) -> list[Accounts]:
    """Split accounts into batches so that a call of this job needs at most the group's gas per call.

    A batch has at least `least` accounts even if it then needs more gas, as far as there are enough.
    """
    most = keeper.group.call_gas - get_job_gas(job)
    return split_accounts(accounts, most, lambda owner: estimate_account_gas(cycles, job, owner), least)


def estimate_call_gas(cycle_view: CycleView, job: str, accounts: Iterable[str]) -> int:
    """Return the gas of a call of this job for these accounts, from the committed gas table."""
    return get_job_gas(job) + sum(estimate_account_gas(cycle_view, job, owner) for owner in accounts)


def estimate_account_gas(cycle_view: CycleView, job: str, owner: str) -> int:
    """Return the gas that one account adds to a call of this job.

    The gas grows with the account's number of markets, and is higher if its last update is long ago.
    """
    once = get_job_gas(f"{job}, each account")
    if cycle_view.has_missed_cycles(owner):
        once += get_job_gas("cycles: update account, long after")
    return max(1, cycle_view.count_markets(owner)) * once


def compute_affordable_margin_deposit(keeper: Keeper, view: KeeperView, cycles: CycleView) -> int:
    """Return the stablecoins that a keeper should deposit into its margin account now [wad].

    The deposit is its free balance, up to the group's capital if this is set. 0 if it is below one coin.
    """
    amount = view.get_unreserved_stablecoins(keeper.address)
    if keeper.group.capital:
        amount = min(amount, keeper.group.capital - cycles.get_lifetime_net_deposits(keeper.address))
    return amount if amount >= WAD else 0


# -------------------------------------------------------------------------- losses


@register_role("margin_crank", in_settlement=True)
def plan_margin_crank_calls(
    keeper: Keeper, view: KeeperView, memory: KeeperMemory, gas_price: int
) -> Decisions:
    """Yield the upkeep of the margin market: seize insolvent accounts, end cycles, post late losses.

    Markets with a price move of the group's deviation are marked at once. Markets with a final price, of
    delisting or settlement, are ended, and their positions closed.
    """
    cycles = view.cycles
    if cycles is None:
        return
    if cycles.compute_shortfall_to_post() >= WAD:
        yield keeper.build_intent(MARKET, "post_shortfall", about="late")
    signed = get_submittable_reports(keeper, view, cycles)
    ahead = cycles.simulate_reports(signed)
    owners = [
        owner
        for owner in ahead.list_insolvent_accounts_to_seize(keeper.address)
        if keeper.is_assigned(int(owner, 16))
    ]
    rolls = view.timestamp >= cycles.rolls_from
    moved = [m for m in cycles.running_market_ids if _is_market_mark_outdated(keeper, cycles, ahead, m)]
    if owners or rolls or moved:
        yield from submit_reports(keeper, signed)
    for m in cycles.running_market_ids:
        # What has happened until then is of the cycle that ends.
        if m in moved or rolls:
            yield keeper.build_intent(MARKET, "accrue", m, about=m)
    # Whoever takes much gas comes last, and holds up nobody.
    owners.sort(key=lambda owner: estimate_account_gas(cycles, "cycles: update and seize", owner))
    for some in split_calls(keeper, cycles, "cycles: update and seize", owners):
        if len(some) == 1:
            yield keeper.build_intent(MARKET, "seize_insolvent", some[0], about=some[0])
        else:
            gas = estimate_call_gas(cycles, "cycles: update and seize", some)
            yield keeper.build_intent(
                MARKET, "update_and_seize", some, about=("seize_insolvent", some[0]), gas=gas
            )
    for m in cycles.running_market_ids:
        if cycles.is_market_ending(m):
            with ahead.revert_changes_on_exit():
                ready = ahead.apply_call_and_report_success(MARKET, "end_market", m, sender=keeper.address)
            if ready:
                yield keeper.build_intent(MARKET, "end_market", m, about=("end", m))
    if rolls and not owners and keeper.index == 0:
        yield keeper.build_intent(MARKET, "advance_cycle", about="advance_cycle")
    for owner in cycles.list_accounts_in_ended_markets():
        if owner not in owners and keeper.is_assigned(int(owner, 16)):
            yield keeper.build_intent(MARKET, "update_account", owner, about=("close", owner))


def _is_market_mark_outdated(
    keeper: Keeper, cycles: CycleView, simulation: MarketSimulation, market_id: int
) -> bool:
    """Return True if a market has a fresh price and its last mark deviates by the group's deviation.

    True as well if the market has a fresh price and was never marked.
    """
    old, new = cycles.get_last_mark(market_id), int(simulation.market.paths[market_id].price)
    return simulation.fresh[market_id] and (
        old == 0 or abs(new - old) * BASIS_POINTS >= old * keeper.group.deviation
    )


# ---------------------------------------------------------------------- take-overs


@register_role("margin_liquidator")
def plan_margin_liquidator_calls(
    keeper: Keeper, view: KeeperView, memory: KeeperMemory, gas_price: int
) -> Decisions:
    """Yield take-overs of positions under their maintenance margin, the highest reward first.

    Then take lots seized from insolvent accounts, as far as they close the keeper's own lots or a share of
    its equity bears them. First of all the keeper deposits its stablecoins, up to the group's capital if set.
    It holds lots that it took over until it takes lots of the other side.
    """
    cycles = view.cycles
    if cycles is None or cycles.has_every_market_ended:
        return
    amount = compute_affordable_margin_deposit(keeper, view, cycles)
    if amount:
        # Before that is mined there is no margin to take over with.
        args = (keeper.address, amount)
        yield keeper.build_intent(MARKET, "deposit", *args, about="capital", spends=amount)
        return
    signed = get_submittable_reports(keeper, view, cycles)
    ahead = cycles.simulate_reports(signed)
    weak = ahead.liquidatable_accounts  # before anything is tried
    with ahead.revert_changes_on_exit():
        wanted = [
            *_plan_profitable_liquidations(keeper, view, cycles, weak, ahead, gas_price),
            *_plan_takes_of_unowned_lots(keeper, cycles, ahead),
        ]
    if wanted:
        yield from submit_reports(keeper, signed)
        yield from wanted


def _plan_profitable_liquidations(
    keeper: Keeper,
    view: KeeperView,
    cycles: CycleView,
    weak: list[UndermarginedAccount],
    ahead: MarketSimulation,
    gas_price: int,
) -> Decisions:
    least = view.estimate_call_cost("PerpetualTrading", "liquidate", gas_price) + keeper.group.minimum_profit
    for each in weak:
        # Were it weak itself it could not bear its own lots either.
        if (
            each.maximum_reward < least
            or each.owner == keeper.address
            or not keeper.is_assigned(int(each.owner, 16))
        ):
            continue
        for m in ahead.list_markets_by_notional(each.owner):
            whole = abs(ahead.get_position_sizes(each.owner)[m])
            lots = ahead.find_most_lots("liquidate", each.owner, m, whole=whole, sender=keeper.address)
            reward = ahead.compute_reward(each.owner, m, lots, keeper.address) if lots else 0
            kept = reward - reward * ahead.trading.fee_share // BASIS_POINTS
            if kept >= least and ahead.apply_call_and_report_success(
                "PerpetualTrading", "liquidate", each.owner, m, lots, sender=keeper.address
            ):
                args = each.owner, m, lots
                yield keeper.build_intent(
                    "PerpetualTrading", "liquidate", *args, about=each.owner, gain=kept, at_risk=True
                )
                break


def _plan_takes_of_unowned_lots(keeper: Keeper, cycles: CycleView, simulation: MarketSimulation) -> Decisions:
    """Yield take-overs of lots seized from insolvent accounts, for which the keeper pays a fee."""
    for m in cycles.feeds:
        left, mine = (
            simulation.get_unassigned_lots(m),
            simulation.get_position_sizes(keeper.address).get(m, 0),
        )
        closing = min(abs(left), abs(mine)) if left * mine < 0 else 0
        price = simulation.market.paths[m].price
        if keeper.group.relieves and price:
            standing = simulation.get_standing(keeper.address)
            bears = (standing.own - standing.haircut) * keeper.group.relieves // BASIS_POINTS // price
            closing = max(closing, min(abs(left), max(0, bears - abs(mine))))
        lots = (
            simulation.find_most_lots("take", m, whole=closing, sender=keeper.address)
            if simulation.fresh[m]
            else 0
        )
        if lots and simulation.apply_call_and_report_success(
            "PerpetualTrading", "take", m, lots, sender=keeper.address
        ):
            yield keeper.build_intent("PerpetualTrading", "take", m, lots, about=m, at_risk=True)
