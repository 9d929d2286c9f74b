"""Public services, which their operators pay for: prices, fees, auctions, cover, flags, income."""

from __future__ import annotations

from collections.abc import Mapping

from backstop.deployment.contracts_by_parameter_name import POOLS
from backstop.keepers.keeper_role_register import Decisions, Keeper, KeeperMemory, register_role
from backstop.keepers.keeper_view import KeeperView
from backstop.keepers.stability_pool_calls import has_pool_work, plan_pool_upkeep
from backstop.keepers.view_records import ExitBatchStatus
from backstop.model import price_feed
from backstop.model.arithmetic import BASIS_POINTS, RAD, WAD
from backstop.model.bounds import EQUITY_MARKET, LOOK, MAX_REPORTERS
from backstop.model.signed_reports import SignedReport
from backstop.randomness import SeededRandom

LEAST_COVER = 1_000 * RAD
"""A cover call that could pay less waits for its heartbeat [rad]."""


NOBODY_LEAVES = ExitBatchStatus(None, None, False)


LEAST_INCOME = 100 * WAD
"""Less income is not worth a distribution [wad]."""


@register_role("reporter", in_settlement=True)
def plan_reporter_calls(keeper: Keeper, view: KeeperView, memory: KeeperMemory, gas_price: int) -> Decisions:
    """Yield price reports for markets after a price move of the group's deviation, or a heartbeat.

    If the margin market limits the age of its mark prices, a report includes the price range over that age.
    Nothing is yielded once settlement has fixed all prices.
    """
    group = keeper.group
    age = view.cycles.terms.mark_age if view.cycles is not None else 0
    if not view.is_any_price_still_needed():
        return
    for c, price in view.markets.items():
        last = view.get_last_report(c, keeper.address)
        if last is None or price <= group.refuses_at:
            continue
        span = memory.ranges.record_price_and_get_range(c, price, view.timestamp, age)
        if keeper.signing is not None:
            last = keeper.signing.get_last_report(keeper.address, c)
        due = view.timestamp >= last.reported_at + group.heartbeat
        enough = last.price * group.deviation
        # Whatever the noise, it cannot have moved so far: most of the time there is nothing to draw.
        if not due and abs(price - last.price) * BASIS_POINTS + price * group.noise + BASIS_POINTS < enough:
            continue
        if group.noise:
            off = SeededRandom(keeper.seed, keeper.name, c, view.timestamp).draw_integer(
                -group.noise, group.noise
            )
            price += price * off // BASIS_POINTS
        if due or abs(price - last.price) * BASIS_POINTS >= enough:
            if age == 0:
                yield keeper.build_intent("PriceFeed", "report", c, price, about=c)
            else:
                low, high = min(span.low, price), max(span.high, price)
                yield keeper.build_intent(
                    "PriceFeed", "report_range", c, price, low, high, span.since, about=c
                )


@register_role("poker", in_settlement=True)
def plan_poker_calls(keeper: Keeper, view: KeeperView, memory: KeeperMemory, gas_price: int) -> Decisions:
    """Yield update steps of the price feed that are due, after useful signed reports.

    Early in a step the next price is renewed if newer reports move it by `deviation`, since another keeper
    may have stepped the feed before these reports arrived. Later in a step no reports are submitted until the
    next step is due.
    """
    if not view.is_any_price_still_needed():
        return
    due = [
        c for c in view.markets if view.timestamp >= view.get_last_step_time(c) + view.get_feed_config(c).step
    ]
    early = [c for c in view.markets if c not in due and view.is_next_price_renewable(c)]
    signed = keeper.reports.get_newest_reports(view) if keeper.reports is not None and (due or early) else {}
    useful = []
    for c in (*due, *early):
        found = {who: each for (market, who), each in signed.items() if market == c}
        if (
            _has_useful_reports(keeper, view, c, found)
            if c in due
            else _can_renew_price(keeper, view, c, found)
        ):
            useful.append(c)
    wanted = [signed[key] for key in sorted(signed) if key[0] in useful]
    # What is refused is left alone for a while, as any call is: the feed is stepped all the same.
    waits = bool(wanted) and memory.can_retry(("submit_signed_reports", "reports"), view.timestamp)
    if waits:
        yield keeper.build_intent(
            "PriceFeed", "submit_signed_reports", tuple(wanted[:MAX_REPORTERS]), about="reports"
        )
    for c in due:
        if len(view.get_fresh_prices_by_reporter(c)) >= view.get_feed_config(c).quorum and not (
            waits and c in useful
        ):
            yield keeper.build_intent("PriceFeed", "poke", c, about=c)
    for c in early:
        if _can_renew_price(keeper, view, c, {}) and not (waits and c in useful):
            yield keeper.build_intent("PriceFeed", "poke", c, about=c)


def _can_renew_price(
    keeper: Keeper, view: KeeperView, collateral_type: int, signed: Mapping[str, SignedReport]
) -> bool:
    """Return True if the reports, including `signed`, would move the next price by `deviation`."""
    prices = {who: each.price for who, each in signed.items()}
    return view.can_renew_next_price(
        collateral_type, view.get_fresh_prices_by_reporter(collateral_type) | prices, keeper.group.deviation
    )


def _has_useful_reports(
    keeper: Keeper, view: KeeperView, collateral_type: int, signed: Mapping[str, SignedReport]
) -> bool:
    """Return True if submitting these reports is useful for the feed's next step.

    Reports are useful if they complete a quorum, move the median by `deviation`, or come a heartbeat after
    the last ones. The median decides, so that a minority of reporters cannot cause a submission alone.
    """
    fresh = view.get_fresh_prices_by_reporter(collateral_type)
    after = fresh | {who: each.price for who, each in signed.items()}
    quorum = view.get_feed_config(collateral_type).quorum
    if not signed or len(after) < quorum:
        return False
    if len(fresh) < quorum:
        return True
    old, new = price_feed.get_lower_median(fresh.values()), price_feed.get_lower_median(after.values())
    if abs(new - old) * BASIS_POINTS >= old * keeper.group.deviation:
        return True
    last = (view.get_last_report(collateral_type, who) for who in signed)
    return any(
        each is not None and view.timestamp >= each.reported_at + keeper.group.heartbeat for each in last
    )


@register_role("accruer")
def plan_accruer_calls(keeper: Keeper, view: KeeperView, memory: KeeperMemory, gas_price: int) -> Decisions:
    """Yield accruals of stability fees for collateral types last accrued a heartbeat ago."""
    for c in range(len(view.symbols)):
        if view.timestamp >= view.get_debts(c).accrued_at + keeper.group.heartbeat:
            yield keeper.build_intent("VaultEngine", "accrue", c, about=c)


def _has_auction_or_exit_work(view: KeeperView) -> bool:
    announced = any(each.announced for each in view.facilitators_by_name.values())
    has_auctions = view.count_open_auctions() or view.equity_auctions
    return bool(has_auctions or announced or _has_exit_batches(view) or has_pool_work(view))


def _has_exit_batches(view: KeeperView) -> bool:
    return any(
        view.get_batch_cut_and_settlement_status(pool) != NOBODY_LEAVES
        for pool in POOLS
        if view.is_pool_deployed(pool)
    )


@register_role("crank", occasion=_has_auction_or_exit_work, in_settlement=True)
def plan_auction_upkeep_and_batch_exits(
    keeper: Keeper, view: KeeperView, memory: KeeperMemory, gas_price: int
) -> Decisions:
    """Yield upkeep calls for auctions, pool withdrawals, stability pools and facilitators.

    Auctions that can repay no more are closed, expired ones are reset, and expired equity auctions are ended.
    Announced losses of facilitators are booked once their delay is over. Withdrawal batches of pools are
    closed for requests and paid.
    """
    yield from _plan_exit_batches(keeper, view, memory)
    yield from plan_pool_upkeep(keeper, view)
    for sale in view.equity_auctions:
        if sale.over:
            about = (sale.contract, sale.collateral_type)
            yield keeper.build_intent(sale.contract, "end", sale.collateral_type, about=about)
    if view.settlement.begun_at:
        return
    for name, facilitator in view.facilitators_by_name.items():
        if facilitator.announced and view.timestamp >= facilitator.ready_at:
            yield keeper.build_intent(name, "realise_loss", about=name)
    for auction in view.list_auctions_without_lot():
        yield keeper.build_intent("CollateralAuction", "close", auction.id, about=auction.id)
    prices = {c: price for c in view.types if (price := view.get_higher_current_or_next(c))}
    for auction in view.iter_auctions_to_reset(prices):
        terms = view.get_terms_at_start(auction)
        worthless = terms.is_worthless(auction.lot, prices[auction.collateral_type])
        if worthless and view.auction_clock > auction.started_at + terms.tail and auction.principal:
            yield keeper.build_intent("CollateralAuction", "close", auction.id, about=auction.id)
        elif not worthless:
            yield keeper.build_intent(
                "CollateralAuction", "reset", auction.id, keeper.address, about=auction.id
            )


def _plan_exit_batches(keeper: Keeper, view: KeeperView, memory: KeeperMemory) -> Decisions:
    """Yield calls that close pools' withdrawal batches for requests (cut) and pay them (settle).

    Losses that a pool must cover before it pays are covered first. A payment withheld because of possible
    losses is retried at every heartbeat. Nothing is paid during the pause after a price drop.
    """
    if view.settlement.begun_at and not view.settlement.fixed_at:
        return
    for pool, (contract, _, _) in POOLS.items():
        if not view.is_pool_deployed(pool):
            continue
        leaving = view.get_batch_cut_and_settlement_status(pool)
        if leaving.cut_from is not None and view.timestamp >= leaving.cut_from:
            yield keeper.build_intent(contract, "cut", about=(pool, "cut"))
        if view.timestamp < view.withdrawals_paused_until and not view.settlement.fixed_at:
            continue
        due = leaving.settle_from is not None and view.timestamp >= leaving.settle_from
        if not due and not leaving.held_back:
            continue
        late = (
            memory.get_seconds_since_success(("settle", (pool, "settle")), view.timestamp)
            >= keeper.group.heartbeat
        )
        if view.has_no_uncovered_losses or (pool != "staked_equity" and (due or late)):
            # It pays nobody while it could cover a booked loss; one that fails to stays so after a cover.
            losses = [] if view.settlement.begun_at else view.list_types_blocking_pool(pool)
            for c in losses:
                if memory.get_seconds_since_success(("cover", c), view.timestamp) >= LOOK:
                    yield keeper.build_intent("LossWaterfall", "cover", c, about=c)
            if not losses:
                yield keeper.build_intent(contract, "settle", about=(pool, "settle"))


def _has_coverable_loss(view: KeeperView) -> bool:
    return any(view.get_deficit(c) or view.is_loss_recovered(c) for c in view.types) or bool(
        view.list_missed_stage_payments()
    )


@register_role("coverer", occasion=_has_coverable_loss)
def plan_coverer_calls(keeper: Keeper, view: KeeperView, memory: KeeperMemory, gas_price: int) -> Decisions:
    """Yield calls that cover deficits from the loss waterfall's stages.

    A deficit is covered once buffer and reserve can pay enough of it, and at every heartbeat. While no loss
    is open, stages repay payments that they missed, also at every heartbeat.
    """
    for c, k in view.list_missed_stage_payments() if view.has_no_uncovered_losses else ():
        if memory.get_seconds_since_success(("missed", c, k), view.timestamp) >= keeper.group.heartbeat:
            yield keeper.build_intent("LossWaterfall", "repay_missed_share", c, k, about=("missed", c, k))
    for c in view.types:
        deficit = view.get_deficit(c)
        if deficit == 0:
            if view.is_loss_recovered(c):
                yield keeper.build_intent("LossWaterfall", "cover", c, about=("cover", c))
            continue
        at_once = min(deficit, sum(view.compute_payable(stage, c) for stage in ("buffer", "reserve")))
        about = ("cover", c)
        if (
            at_once >= min(deficit, LEAST_COVER)
            or memory.get_seconds_since_success(about, view.timestamp) >= keeper.group.heartbeat
        ):
            yield keeper.build_intent("LossWaterfall", "cover", c, about=c)


@register_role("recogniser")
def plan_doubtful_debt_flag_calls(
    keeper: Keeper, view: KeeperView, memory: KeeperMemory, gas_price: int
) -> Decisions:
    """Yield calls that flag doubtful debt of vaults and workouts, or clear flags that no longer hold.

    A flag keeps pool members from leaving at full value ahead of a loss. Debts too small to be worth the gas
    are not flagged.
    """
    for c in range(len(view.symbols)):
        rate = view.get_current_rate(c)
        for owner, old, new in view.iter_wrong_flags(c, _is_worth_flagging):
            if _has_flagged_debt_changed_enough(keeper, old * rate, new * rate):
                yield keeper.build_intent("LiquidationEngine", "flag", c, owner, about=(c, owner))
    for workout in view.workouts:
        price = view.get_lower_auction_or_next(workout.collateral_type)
        has_bad_standing = not workout.is_in_good_standing(view.timestamp, price)
        known = price or has_bad_standing
        if (
            known
            and has_bad_standing != workout.flagged
            and (workout.flagged or _is_worth_flagging(workout.principal))
        ):
            yield keeper.build_intent("Workouts", "flag", workout.id, about=workout.id)


@register_role("treasurer")
def plan_treasurer_distribution_and_sale(
    keeper: Keeper, view: KeeperView, memory: KeeperMemory, gas_price: int
) -> Decisions:
    """Yield a distribution of the treasury's income, or the start of a surplus auction.

    A distribution repays recovery claims of pool members and shares income. Nothing is yielded while a loss
    is unresolved or during the pause after a price drop.
    """
    if (
        not view.has_equity
        or view.compute_unresolved_losses()
        or view.timestamp < view.withdrawals_paused_until
    ):
        return
    above, offered = view.compute_surplus_and_offered_part()
    due = min(view.sum_recovery_claims(), view.compute_spendable_reserve())
    if max(due, above - offered) >= LEAST_INCOME:
        if (
            memory.get_seconds_since_success(("distribute", "income"), view.timestamp)
            >= keeper.group.heartbeat
        ):
            yield keeper.build_intent("Treasury", "distribute", about="income")
    elif min(above, offered) < view.get_configured_surplus_lot():
        return
    elif view.surplus_auction is None and view.get_lower_current_next_price(EQUITY_MARKET):
        yield keeper.build_intent("SurplusAuction", "start", about="surplus")


def _is_worth_flagging(debt: int) -> bool:
    """Return True if a debt [rad] is large enough to be worth a flag."""
    return debt >= LEAST_COVER


def _has_flagged_debt_changed_enough(keeper: Keeper, old_debt: int, new_debt: int) -> bool:
    """Return True if a flag changes enough to be worth a transaction; debts are in rad.

    A flag that becomes 0 is always cleared.
    """
    change = abs(new_debt - old_debt)
    if new_debt == 0:
        return change != 0
    return change >= LEAST_COVER and change * BASIS_POINTS >= max(old_debt, new_debt) * keeper.group.deviation
