"""Public services, which their operators pay for: prices, fees, auctions, cover, flags, income."""

from __future__ import annotations

from collections.abc import Mapping

from backstop.deployment.contracts import POOLS
from backstop.keepers.keeper import Decisions, Keeper, Memory, role
from backstop.keepers.seen import Leaving
from backstop.keepers.view import View
from backstop.model import price_feed
from backstop.model.arithmetic import BASIS_POINTS, RAD, WAD
from backstop.model.bounds import EQUITY_MARKET, LOOK, MAX_REPORTERS
from backstop.model.signed_reports import SignedReport
from backstop.randomness import Dice

LEAST_COVER = 1_000 * RAD
"""A cover call that could pay less waits for its heartbeat [rad]."""


NOBODY_LEAVES = Leaving(None, None, False)


LEAST_INCOME = 100 * WAD
"""Less income is not worth a distribution [wad]."""


@role("reporter", in_settlement=True)
def reporter(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Report the price outside when it has moved by `deviation`, and at every heartbeat.

    Beside a market whose marks are seconds old it reports as well which prices it saw in those seconds.
    """
    group = me.group
    age = view.cycles.terms.mark_age if view.cycles is not None else 0
    if not view.prices_are_wanted():
        return
    for c, price in view.markets.items():
        last = view.report_of(c, me.address)
        if last is None or price <= group.refuses_at:
            continue
        span = memory.ranges.note(c, price, view.timestamp, age)
        if me.signing is not None:
            last = me.signing.last(me.address, c)
        due = view.timestamp >= last.reported_at + group.heartbeat
        enough = last.price * group.deviation
        # Whatever the noise, it cannot have moved so far: most of the time there is nothing to draw.
        if not due and abs(price - last.price) * BASIS_POINTS + price * group.noise + BASIS_POINTS < enough:
            continue
        if group.noise:
            off = Dice(me.seed, me.name, c, view.timestamp).between(-group.noise, group.noise)
            price += price * off // BASIS_POINTS
        if due or abs(price - last.price) * BASIS_POINTS >= enough:
            if age == 0:
                yield me.intent("PriceFeed", "report", c, price, about=c)
            else:
                low, high = min(span.low, price), max(span.high, price)
                yield me.intent("PriceFeed", "report_range", c, price, low, high, span.since, about=c)


@role("poker", in_settlement=True)
def poker(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Step the feed as soon as it may; first bring what reporters have signed, where that is of use.

    Early in a step the next price is renewed where newer reports move it by `deviation`: somebody else may
    have stepped the feed before they landed. Nothing is brought to a market later than that, and before its
    next step is due.
    """
    if not view.prices_are_wanted():
        return
    due = [c for c in view.markets if view.timestamp >= view.stepped_at(c) + view.feed_config(c).step]
    early = [c for c in view.markets if c not in due and view.is_renewable(c)]
    signed = me.reports.newest(view) if me.reports is not None and (due or early) else {}
    useful = []
    for c in (*due, *early):
        found = {who: each for (market, who), each in signed.items() if market == c}
        if _is_useful(me, view, c, found) if c in due else _renews(me, view, c, found):
            useful.append(c)
    wanted = [signed[key] for key in sorted(signed) if key[0] in useful]
    # What is refused is left alone for a while, as any call is: the feed is stepped all the same.
    waits = bool(wanted) and memory.may(("bring", "reports"), view.timestamp)
    if waits:
        yield me.intent("PriceFeed", "bring", tuple(wanted[:MAX_REPORTERS]), about="reports")
    for c in due:
        if len(view.fresh_reports(c)) >= view.feed_config(c).quorum and not (waits and c in useful):
            yield me.intent("PriceFeed", "poke", c, about=c)
    for c in early:
        if _renews(me, view, c, {}) and not (waits and c in useful):
            yield me.intent("PriceFeed", "poke", c, about=c)


def _renews(me: Keeper, view: View, c: int, signed: Mapping[str, SignedReport]) -> bool:
    """Check whether reports, with these brought, would renew the next price by one `deviation` away."""
    prices = {who: each.price for who, each in signed.items()}
    return view.renews(c, view.fresh_reports(c) | prices, me.group.deviation)


def _is_useful(me: Keeper, view: View, c: int, signed: Mapping[str, SignedReport]) -> bool:
    """Tell whether reports make a quorum, move the median by `deviation`, or are due after a heartbeat.

    The median, not any report: a minority of reporters cannot have them brought by moving its own.
    """
    fresh = view.fresh_reports(c)
    after = fresh | {who: each.price for who, each in signed.items()}
    quorum = view.feed_config(c).quorum
    if not signed or len(after) < quorum:
        return False
    if len(fresh) < quorum:
        return True
    old, new = price_feed.middle(fresh.values()), price_feed.middle(after.values())
    if abs(new - old) * BASIS_POINTS >= old * me.group.deviation:
        return True
    last = (view.report_of(c, who) for who in signed)
    return any(each is not None and view.timestamp >= each.reported_at + me.group.heartbeat for each in last)


@role("accruer")
def accruer(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Charge fees when nobody else has for a heartbeat."""
    for c in range(len(view.symbols)):
        if view.timestamp >= view.debts(c).accrued_at + me.group.heartbeat:
            yield me.intent("VaultEngine", "accrue", c, about=c)


def _has_work(view: View) -> bool:
    announced = any(each.announced for each in view.domains.values())
    return bool(view.open_auctions() or view.equity_auctions or announced or _has_leavers(view))


def _has_leavers(view: View) -> bool:
    return any(view.leaving(pool) != NOBODY_LEAVES for pool in POOLS if view.has_pool(pool))


@role("crank", occasion=_has_work, in_settlement=True)
def crank(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Close auctions that can repay no more, reset those that are over, end sales of equity.

    Also have the losses of domains booked, and batches of members who leave cut and paid.
    """
    yield from _batches(me, view, memory)
    for sale in view.equity_auctions:
        if sale.over:
            about = (sale.contract, sale.collateral_type)
            yield me.intent(sale.contract, "end", sale.collateral_type, about=about)
    if view.settlement.begun_at:
        return
    for name, domain in view.domains.items():
        if domain.announced and view.timestamp >= domain.ready_at:
            yield me.intent(name, "realise_loss", about=name)
    for auction in view.empty_auctions():
        yield me.intent("CollateralAuction", "close", auction.id, about=auction.id)
    prices = {c: price for c in view.types if (price := view.highest_price(c))}
    for auction in view.run_out(prices):
        terms = view.terms_of_auction(auction)
        worthless = terms.is_worthless(auction.lot, prices[auction.collateral_type])
        if worthless and view.auction_clock > auction.started_at + terms.tail and auction.principal:
            yield me.intent("CollateralAuction", "close", auction.id, about=auction.id)
        elif not worthless:
            yield me.intent("CollateralAuction", "reset", auction.id, me.address, about=auction.id)


def _batches(me: Keeper, view: View, memory: Memory) -> Decisions:
    """Have batches cut and settled at the first second at which they may be, and paid as fears go.

    Losses that a pool has to cover before it pays are covered first. Where something is held back for what
    may be lost, it is tried again at every heartbeat. Nothing is paid while a price has just fallen.
    """
    if view.settlement.begun_at and not view.settlement.fixed_at:
        return
    for pool, (contract, _, _) in POOLS.items():
        if not view.has_pool(pool):
            continue
        leaving = view.leaving(pool)
        if leaving.cut_from is not None and view.timestamp >= leaving.cut_from:
            yield me.intent(contract, "cut", about=(pool, "cut"))
        if view.timestamp < view.look_until and not view.settlement.fixed_at:
            continue
        due = leaving.settle_from is not None and view.timestamp >= leaving.settle_from
        if not due and not leaving.held_back:
            continue
        late = memory.since(("settle", (pool, "settle")), view.timestamp) >= me.group.heartbeat
        if view.nothing_pends or (pool != "staked_equity" and (due or late)):
            # It pays nobody while it could cover a booked loss; one that fails to stays so after a cover.
            losses = [] if view.settlement.begun_at else view.held_up_by(pool)
            for c in losses:
                if memory.since(("cover", c), view.timestamp) >= LOOK:
                    yield me.intent("LossWaterfall", "cover", c, about=c)
            if not losses:
                yield me.intent(contract, "settle", about=(pool, "settle"))


def _has_deficit(view: View) -> bool:
    return any(view.deficit(c) or view.is_recovered(c) for c in view.types) or bool(view.missed())


@role("coverer", occasion=_has_deficit)
def coverer(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Have deficits covered when the buffer and the reserve can pay, and at every heartbeat.

    At every heartbeat, too, what stages have missed made good, while no loss is open.
    """
    for c, k in view.missed() if view.nothing_pends else ():
        if memory.since(("missed", c, k), view.timestamp) >= me.group.heartbeat:
            yield me.intent("LossWaterfall", "make_good", c, k, about=("missed", c, k))
    for c in view.types:
        deficit = view.deficit(c)
        if deficit == 0:
            if view.is_recovered(c):
                yield me.intent("LossWaterfall", "cover", c, about=("cover", c))
            continue
        at_once = min(deficit, sum(view.payable(stage, c) for stage in ("buffer", "reserve")))
        about = ("cover", c)
        if at_once >= min(deficit, LEAST_COVER) or memory.since(about, view.timestamp) >= me.group.heartbeat:
            yield me.intent("LossWaterfall", "cover", c, about=c)


@role("recogniser")
def recogniser(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Have debt in doubt flagged, so that nobody leaves a pool ahead of a loss; and flags cleared in time."""
    for c in range(len(view.symbols)):
        rate = view.rate(c)
        for owner, old, new in view.wrong_flags(c, _counts):
            if _moved(me, old * rate, new * rate):
                yield me.intent("LiquidationEngine", "flag", c, owner, about=(c, owner))
    for workout in view.workouts:
        price = view.lowest_price(workout.collateral_type)
        in_doubt = not workout.is_kept(view.timestamp, price)
        known = price or in_doubt
        if known and in_doubt != workout.flagged and (workout.flagged or _counts(workout.principal)):
            yield me.intent("Workouts", "flag", workout.id, about=workout.id)


@role("treasurer")
def treasurer(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Have claims repaid and income shared, and put surplus up for sale, once no loss is open.

    Not while a price has just fallen: nothing is paid then, and a sale would only become cheaper.
    """
    if not view.has_equity or view.pending_losses() or view.timestamp < view.look_until:
        return
    above, offered = view.surplus()
    due = min(view.claims(), view.spendable())
    if max(due, above - offered) >= LEAST_INCOME:
        if memory.since(("distribute", "income"), view.timestamp) >= me.group.heartbeat:
            yield me.intent("Treasury", "distribute", about="income")
    elif min(above, offered) < view.surplus_lot():
        return
    elif view.surplus_auction is None and view.new_risk_price(EQUITY_MARKET):
        yield me.intent("SurplusAuction", "start", about="surplus")


def _counts(debt: int) -> bool:
    """Tell whether a debt (rad) is worth a flag."""
    return debt >= LEAST_COVER


def _moved(me: Keeper, old: int, new: int) -> bool:
    """Tell whether a flag has changed by enough for a transaction; debts in rad."""
    change = abs(new - old)
    if new == 0:
        return change != 0
    return change >= LEAST_COVER and change * BASIS_POINTS >= max(old, new) * me.group.deviation
