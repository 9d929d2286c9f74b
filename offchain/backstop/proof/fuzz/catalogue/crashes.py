"""What follows where somebody in the margin market fails: bookings, haircuts, closings, profits taken out."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import cast

from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, RAY, WAD, div_up
from backstop.model.interfaces import Gains
from backstop.model.margin_fund import MarginFund
from backstop.model.perpetual_ranking import PerpetualRanking, gain_on, score_of
from backstop.proof.fuzz.catalogue.backstop_pool import enter_backstop, quote_backstop, work_backstop
from backstop.proof.fuzz.catalogue.cycles import (
    CROWD,
    HERD,
    OWNERS,
    TRADERS,
    Books,
    books_of,
    fill,
    lose_late,
    named,
    take_out,
    take_profits_apart,
)
from backstop.proof.fuzz.catalogue.guards import calm_down
from backstop.proof.fuzz.catalogue.prices import settle_price
from backstop.proof.fuzz.moves import move
from backstop.proof.fuzz.scene import Scene, Wait
from backstop.system import Action

_MARKET, _DESK, _CLOSER = "PerpetualMarket", "PerpetualDesk", "PerpetualCloser"
_INTERVAL = 3_600


@move(weight=2, of_traders=True)
def fail_in_cycles(s: Scene) -> Iterator[Action | Wait]:
    """Have a mark leap so far that a holder owes; at times back before anybody has met it, or too late."""
    books = books_of(s)
    holders = books.holders() if books is not None else []
    if books is None or not holders:
        return
    owner = s.some([who for who in holders if books.haircut(who)] or holders)
    m = s.some(books.held(owner))
    yield from books.refresh(sorted({*books.held(owner)}))
    size, price = books.size(owner, m), books.price(m)
    target = books.moved(owner, m, max(books.equity(owner), 0))
    beyond = price * s.some((1, 1, 50, 500, 2_000)) // BASIS_POINTS
    target += -beyond if size > 0 else beyond
    if not price // 4 < target < 4 * price and s.chance(0.9):
        return
    yield from books.report(m, max(1, target))
    yield s.call(_MARKET, "accrue", m, by=s.somebody())
    if books.haircut(owner) or s.chance(0.5):
        yield s.call(_MARKET, "meet", owner, by=s.somebody())
        if _CLOSER in s.world.contracts and s.chance(0.6):
            yield from close_by_force(s)
            return
    if s.chance(0.3):
        yield from books.report(m, price)
        yield s.call(_MARKET, "accrue", m, by=s.somebody())
    elif s.chance(0.4):
        yield from lose_late(s, books)


@move(weight=1, of_traders=True)
def borrow_for_trades(s: Scene) -> Iterator[Action | Wait]:
    """Draw what many lots cost."""
    books = books_of(s)
    if books is not None:
        yield from _borrow(s, books, s.some(books.markets))


def _borrow(s: Scene, books: Books, m: int, lots: int = 50) -> Iterator[Action | Wait]:
    """Draw what hundreds of lots and bonds cost, or thousands, where nobody has the money for a few."""
    price = books.price(m) + int(books.market.third_bond)
    types = s.random.sample(range(s.listed), min(s.listed, 2))
    for c in () if s.settling else types:
        if s.held("Stablecoin", s.richest()) > lots * price:
            return
        if not s.fresh(c):
            yield from settle_price(s, c, s.published(c))
        value, terms, owner = s.price(c), s.terms(c), s.somebody()
        if not value or not s.fresh(c):
            continue
        ratio, unit = 3 * terms.initial_ratio, int(terms.unit)
        most = s.held(s.symbol(c), owner) * unit // 2 * value * BASIS_POINTS // (RAY * ratio)
        wanted = max(s.some((500, 20_000)) * price, 3 * terms.debt_floor * WAD)
        debt = min(s.under_ceiling(c), wanted, most)
        if debt > terms.debt_floor * WAD:
            deposit = div_up(div_up(debt * RAY * ratio, value * BASIS_POINTS), unit) * unit
            yield s.call("VaultEngine", "deposit_and_draw", c, owner, deposit, debt, owner, by=owner)


# ------------------------------------------------------------------------ closings


@move(weight=2, of_traders=True)
def close_by_force(s: Scene) -> Iterator[Action | Wait]:
    """Rank those who gained and close them, or close their parts; some rankings are wrong, or too late."""
    books, closer = books_of(s), s.world.contracts.get(_CLOSER)
    if books is None or closer is None:
        return
    left = [m for m in books.markets if books.nobodys(m)]
    if not left and s.chance(0.97):
        return
    m, by = s.some(left or list(books.markets)), s.somebody()
    side = int(books.nobodys(m) > 0) if s.chance(0.95) else s.some((0, 1, 2))
    now = books.market.clocks[()].cycle
    pending, open = (books.market.totals[m, cycle] for cycle in (now - 1, now))
    if side < 2 and not pending[side]:
        if not open[side] and s.chance(0.9):
            return
        # Who gained by the lots of these debtors is ranked in the window of that cycle.
        yield from _rank_alike(s, books, m, side)
        yield from _next_cycle(s, books)
    order = yield from _ranked(s, books, m, side)
    if s.chance(0.6):
        # What is paid in now changes no rank.
        who, owner = s.richest(), s.some((*order[:1], *TRADERS))
        amount = s.held("Stablecoin", who) // 4
        if side < 2 and len(order) > 1 and s.chance(0.8):
            place = s.random.randrange(len(order) - 1)
            owner, amount = order[place], _to_fall_behind(books, m, side, order[place : place + 2])
        yield s.call(_MARKET, "deposit", owner, amount, by=who)
    if s.chance(0.96):
        yield from books.refresh([m])
    if isinstance(closer, PerpetualRanking):
        yield from _close_by_rank(s, books, m, side, order)
    else:
        yield from _close_parts(s, m, side, order)
    if s.chance(0.02):
        yield s.call(_DESK, "deleverage", m, 0, tuple(order), tuple(1 for _ in order), by, by, by=by)


def _to_fall_behind(books: Books, m: int, side: int, two: Sequence[str]) -> int:
    """Return what the first of two would have had to have more to rank after the second [wei]."""
    market = books.market
    (gain, worth), (other, its) = (
        (market.pending_gained(owner, m)[side], max(1, market._worth_at_roll(owner))) for owner in two
    )
    return max(0, gain * its // max(1, other) - worth) + its // 10**6 + 1


def _rank_alike(s: Scene, books: Books, m: int, side: int) -> Iterator[Action | Wait]:
    """Have one of two who have gained pay in before the roll, so that they have one score, to a digit."""
    market = books.market
    gains = {owner: market._gained_now(owner, m)[side] for owner in CROWD}
    owns = {owner: market._standing(owner).own for owner in CROWD if gains[owner]}
    able = [owner for owner in owns if owns[owner] > 0]
    if len(able) < 2 or s.chance(0.3):
        return
    one, other = s.random.sample(able, 2)
    if gains[one] * owns[other] < gains[other] * owns[one]:
        one, other = other, one
    missing, who = gains[one] * owns[other] // gains[other] - owns[one], s.richest()
    if 0 < missing <= s.held("Stablecoin", who):
        yield s.call(_MARKET, "deposit", one, missing, by=who)


def _next_cycle(s: Scene, books: Books) -> Iterator[Action | Wait]:
    """Have the open cycle be pending."""
    yield Wait(4 * books.market.window)
    yield s.call(_MARKET, "roll", by=s.somebody())


def _ranked(s: Scene, books: Books, m: int, side: int) -> Generator[Action | Wait, None, list[str]]:
    """Bring accounts up to date, and return those that gained on a side, as a ranking has them."""
    market, ranks = books.market, []
    for _ in range(2):  # a call that is sent with something wrong about it leaves somebody out
        for owner in list(market.accounts):
            if market.accounts[owner].cycle != market.clocks[()].cycle or market.clocks[()].ended:
                yield s.call(_MARKET, "wake", owner, by=s.somebody())
    for owner in list(market.accounts):
        if market.accounts[owner].cycle == market.clocks[()].cycle:
            # Not `gains_of`, which would close what has ended in the model alone if it was not woken.
            gained = market.pending_gained(owner, m)
            gains = Gains(0, gained.long, gained.short, market._worth_at_roll(owner))
            ranks.append(
                (score_of(gains, min(side, 1)), _as_number(owner), owner, gain_on(gains, min(side, 1)))
            )
    return [owner for _, _, owner, gain in sorted(ranks, reverse=True) if gain or s.chance(0.005)]


def _close_by_rank(s: Scene, books: Books, m: int, side: int, order: list[str]) -> Iterator[Action | Wait]:
    """Have two submit wrong rankings, another the right one; execute that, at times too late."""
    by, *others = s.random.sample(s.people, 3)
    if order and s.chance(0.8):
        # Turned round, two exchanged, one in place of the next, without the last, or in any order.
        place = s.random.randrange(max(1, len(order) - 1))
        if side < 2 and len(order) > 1 and s.chance(0.7):
            # Those who are next to each other by least.
            places = range(len(order) - 1)
            place = min(places, key=lambda at: _to_fall_behind(books, m, side, order[at : at + 2]))
        two, rest = order[place : place + 2], order[place + 2 :]
        wrongs = [
            order[::-1],
            [*order[:place], *two[::-1], *rest],
            [*order[:place], two[0], two[0], *rest],
            order[:-1],
            s.random.sample(order, len(order)),
        ]
        for wrong, accounts in zip(others, s.random.sample(wrongs, 2), strict=True):
            if accounts:
                yield s.call(_CLOSER, "submit", m, side, tuple(accounts), by=wrong)
    # In one call; a first one of fewer than MIN_RANKED is refused, and then the rest is out of place.
    fits = len(order) > bounds.MIN_RANKED
    cut = s.random.randint(0, len(order)) if s.chance(0.1) else 0
    if fits and s.chance(0.8):
        cut = s.random.randint(bounds.MIN_RANKED - s.chance(0.1), len(order) - 1)
    for accounts in (order[:cut], order[cut:]):
        if accounts or s.chance(0.05):
            yield s.call(_CLOSER, "submit", m, side, tuple(accounts), by=by)
    parts = [order[:cut], order[cut:], order[cut:]] if cut else [order, order]
    late = s.some((0, s.random.randint(0, len(parts)))) if s.chance(0.4) else None
    for number, accounts in enumerate(parts):
        if number == late:
            # In the next window it may be executed still, in the one after that no more.
            for _ in range(s.some((1, 1, 2))):
                yield from _next_cycle(s, books)
            yield from books.refresh([m])
        yield s.call(_CLOSER, "execute", m, side, tuple(accounts), by=s.somebody())


def _close_parts(s: Scene, m: int, side: int, order: list[str]) -> Iterator[Action | Wait]:
    """Have parts closed: of one alone, again and again, of some, of all; some calls are not in order."""
    some = sorted(order[: s.random.randint(0, len(order))] if s.chance(0.3) else order, key=_as_number)
    calls = [some, some[: s.random.randint(0, len(some))] * s.some((1, 1, 2))]
    if s.chance(0.6):
        calls = [[each] for each in some for _ in range(2)] + calls
    for accounts in calls:
        if accounts or s.chance(0.1):
            yield s.call(_CLOSER, "share", m, side, tuple(accounts), by=s.somebody())


def _as_number(address: str) -> int:
    return int(address, 16)


# ------------------------------------------------------------------------- crashes


@move(weight=2, of_traders=True)
def crash_in_cycles(s: Scene) -> Iterator[Action | Wait]:
    """Have one fail against two, alike or not, and all that follows: booked, borne, closed, taken out."""
    books = books_of(s)
    if books is None or not books.calm():
        if books is not None and not s.settling:
            yield from calm_down(s)
        return
    terms = books.policy.underlyings
    room = {m: terms[m].open_limit - books.market._open(m) for m in books.markets if not terms[m].ends_at}
    listed = [m for m in room if room[m] >= len(CROWD) or not books.market._open(m)]
    for owner in CROWD:
        if books.equity(owner) < 0 and not books.market._has_lots(owner):
            # What it owed may be final by now, and paid by others.
            yield s.call(_MARKET, "wake", owner, by=s.somebody())
    free = [owner for owner in CROWD if not books.market._has_lots(owner) and books.equity(owner) >= 0]
    if not listed or len(free) < 3:
        yield from _part(s, books, CROWD)
        return
    if s.chance(0.2):
        yield from enter_backstop(s)
    m = s.some(listed)
    count = min(4 if s.chance(0.7) else 3, len(free))
    # Mostly those who have paid in before: few have the money for a lot and a bond.
    rich = sorted(free, key=books.spare, reverse=True)[: count + 1]
    people = s.random.sample(rich if s.chance(0.7) else free, count)
    if s.chance(0.5):
        for owner in free:
            if owner not in people and books.equity(owner) > 0:
                yield from take_out(s, books, owner)
    people.sort(key=books.spare, reverse=True)
    fails, *others = people[:3]
    yield from _stake(s, books, m, people)
    if not books.size(fails, m):
        return
    way = 1 if books.size(fails, m) > 0 else -1
    later = s.chance(0.3)
    also = [each for each in listed if each != m]
    if also and s.chance(0.5):
        # One of those who gain fails in another market, and pays less of this: to whoever gains in that one.
        yield from _fail_across(s, books, s.some(also), (others[0], fails, *others[1:]))
    price = books.price(m)
    beyond = price * s.some((1, 50, 500, 2_000)) // BASIS_POINTS
    target = books.moved(fails, m, max(0, books.equity(fails)))
    yield from books.report(m, max(1, target - (beyond + 1) * way), is_steady=s.chance(0.7))
    if later:
        yield from _fail_late(s, books, m, way)
        return
    yield s.call(_MARKET, "meet", fails, by=s.somebody())
    if books.size(fails, m):
        yield from _ruin(s, books, m, fails)
    if s.chance(0.3):
        yield from work_backstop(s)
        yield from quote_backstop(s)
    yield from _rank_alike(s, books, m, int(way > 0))
    yield from _next_cycle(s, books)
    if s.chance(0.4):
        yield s.call(_MARKET, "meet", fails, by=s.somebody())
        yield from _strain(s, books, m, others)
    if s.chance(0.3):
        # The longer it is pending, the more a booking pays; again, if what is lacked has grown meanwhile.
        for owner in (fails, *others, fails):
            yield Wait(s.random.randint(0, books.market.window))
            yield s.call(_MARKET, "meet", owner, by=s.some((s.somebody(), s.some(TRADERS))))
    if s.chance(0.9):
        yield from close_by_force(s)
    if s.chance(0.4):
        # Booked at the end of a window, which is not over then, or of the longest, which is.
        clock, market = books.market.clocks[()], books.market
        soon = s.some((1, 1, market.quiet))
        yield Wait(max(0, clock.rolled_at + s.some((1, 4)) * market.window - soon - s.now))
        yield s.call(_MARKET, "meet", fails, by=s.somebody())
        yield Wait(soon)
        yield s.call(_MARKET, "roll", by=s.somebody())
    yield from _part(s, books, people)


@move(weight=1, of_traders=True)
def crash_against_a_herd(s: Scene) -> Iterator[Action | Wait]:
    """Make one account insolvent against a herd, and deleverage the herd in several ranking calls."""
    books = books_of(s)
    if books is None or not books.calm() or _CLOSER not in s.world.contracts:
        return
    listed = [m for m in books.markets if not books.policy.underlyings[m].ends_at]
    free = [owner for owner in CROWD if not books.market._has_lots(owner) and books.equity(owner) >= 0]
    if not listed or not free:
        return
    m, fails = s.some(listed), max(free, key=books.spare)
    yield from _borrow(s, books, m, s.some((1, 10)) * len(HERD))
    yield from books.join_index(m)
    yield from books.insure(m)
    price, terms = books.price(m), books.policy.terms[m]
    room = min(books.policy.underlyings[m].open_limit - books.market._open(m), books.insurable(m))
    if not price or room < len(HERD):
        return
    rates = terms.account_rate_1 + terms.account_rate_2 + terms.market_rate_1 + terms.market_rate_2
    lot = (terms.initial + rates + 2 * books.desk.taker_fee) * price
    bond, few = 3 * int(books.market.third_bond), div_up(lot, BASIS_POINTS)
    who, way = s.richest(), s.some((1, -1))
    most = (s.held("Stablecoin", who) // 2 // len(HERD) - bond) // (2 * few)
    lots = min(room // len(HERD), most, s.some((1, 100, 10**6)))
    if lots <= 0:
        return
    yield s.call(_MARKET, "deposit", fails, bond + len(HERD) * lots * few, by=who)
    for owner in HERD:
        # Not all of them alike: who has more of its own ranks behind.
        amount = bond + lots * few * s.some((1, 1, 2))
        yield s.call(_MARKET, "deposit", owner, amount, by=s.richest())
        yield from fill(s, books, (owner, fails), m, -lots * way, price)
    if not books.size(fails, m):
        return
    yield from _ruin(s, books, m, fails)
    yield from _next_cycle(s, books)
    yield s.call(_MARKET, "meet", fails, by=s.somebody())
    yield from close_by_force(s)
    yield from books.join_index(m)
    people = (*HERD, *(owner for owner in CROWD if books.size(owner, m) * way > 0))
    yield from _part(s, books, people)


def _fail_across(s: Scene, books: Books, m: int, people: Sequence[str]) -> Iterator[Action | Wait]:
    """Make the first of three accounts insolvent against the other two in a market, and seize its lots."""
    yield from _stake(s, books, m, people)
    if books.size(people[0], m):
        yield from _ruin(s, books, m, people[0])


def _ruin(s: Scene, books: Books, m: int, owner: str) -> Iterator[Action | Wait]:
    """Move a mark until a holder owes a little, and meet it; a report may be missing the first time."""
    beyond = (books.price(m) // 100 + 1) * (1 if books.size(owner, m) > 0 else -1)
    for _ in range(2):
        target = books.moved(owner, m, max(0, books.equity(owner))) - beyond
        yield from books.report(m, max(1, target), is_steady=True)
        yield s.call(_MARKET, "accrue", m, by=s.somebody())
        if books.equity(owner) < 0:
            break
    yield s.call(_MARKET, "meet", owner, by=s.somebody())


def _stake(s: Scene, books: Books, m: int, people: Sequence[str]) -> Iterator[Action | Wait]:
    """Have one trade against two others, as much or less; a fourth is with it, of more money, if there is."""
    yield from _borrow(s, books, m)
    yield from books.join_index(m)
    yield from books.insure(m)
    price = books.price(m)
    if not price:
        return
    fails, *others = people[:3]
    for owner in (*people, *people[3:]):
        who = s.richest()
        yield s.call(_MARKET, "deposit", owner, s.held("Stablecoin", who) // 6, by=who)
    terms = books.policy.terms[m]
    needed = (terms.initial + terms.account_rate_1 + terms.market_rate_1) * price
    room = min(books.policy.underlyings[m].open_limit - books.market._open(m), books.insurable(m))
    most = [(books.spare(each) - 3 * books.market.third_bond * BASIS_POINTS) // needed for each in people]
    lots = min(most[0] // 3, *most[1:3], room // 3)
    if lots <= 0:
        return
    way = s.some((1, -1))
    parts = lots, max(1, lots // s.some((1, 1, 1, 3, 15)))
    for owner, part in zip(others, parts, strict=True):
        for against in (fails, *people[3:]):
            yield from fill(s, books, (owner, against), m, -part * way, price)


def _strain(s: Scene, books: Books, m: int, others: Sequence[str]) -> Iterator[Action | Wait]:
    """Have the mark come back until somebody has less than its haircuts, and more than nothing; meet it."""
    for owner in others:
        yield s.call(_MARKET, "wake", owner, by=s.somebody())
        haircut = books.haircut(owner)
        if not haircut or not books.size(owner, m):
            continue
        own = books.market._standing(owner).own
        yield from books.report(m, books.moved(owner, m, own - s.some((haircut // 2, haircut - 1, haircut))))
        yield s.call(_MARKET, "meet", owner, by=s.somebody())


def _fail_late(s: Scene, books: Books, m: int, way: int) -> Iterator[Action | Wait]:
    """Have nobody met until it is late for most of what was lost, and gains be there to pay for that."""
    yield s.call(_MARKET, "accrue", m, by=s.somebody())
    if s.chance(0.4):
        yield from lose_late(s, books)
        return
    for _ in range(2):
        yield from _next_cycle(s, books)
    price = books.price(m)
    yield from books.report(m, max(1, price - way * (1 + price * s.some((50, 500)) // BASIS_POINTS)))
    yield s.call(_MARKET, "accrue", m, by=s.somebody())
    yield from _next_cycle(s, books)
    if s.chance(0.5):
        yield from take_profits_apart(s, books)
    for owner in books.debtors():
        yield from books.refresh(books.held(owner))
        yield s.call(_MARKET, "meet", owner, by=s.somebody())
    for _ in range(s.random.randint(1, 2)):
        yield from _next_cycle(s, books)


def _part(s: Scene, books: Books, people: Sequence[str]) -> Iterator[Action | Wait]:
    """Have some close, among themselves or against lots that are nobody's; take out what is final then."""
    for owner in people:
        for m in [each for each in books.held(owner) if not books.ended(each)]:
            size = books.size(owner, m)
            for other in people:
                lots = min(abs(size), abs(books.size(other, m)))
                if books.size(other, m) * size < 0 and min(books.equity(owner), books.equity(other)) >= 0:
                    yield from books.refresh(sorted({*books.held(owner), *books.held(other)}))
                    yield from fill(s, books, (owner, other), m, -lots if size > 0 else lots, books.price(m))
                    size = books.size(owner, m)
            left, size = books.nobodys(m), books.size(owner, m)
            if left * size < 0:
                yield from books.refresh(books.held(owner))
                lots = min(abs(left), abs(size))
                yield s.call(_DESK, "take", m, lots, *named(s, owner), by=OWNERS[owner])
    if s.chance(0.5):
        for _ in range(2):
            yield from _next_cycle(s, books)
        for owner in s.random.sample(people, 2):
            if books.equity(owner) > 0 and not books.market._has_lots(owner):
                yield from take_out(s, books, owner)


# ------------------------------------------------------------------------- profits


@move(weight=1.5, of_traders=True)
def claim_in_cycles(s: Scene) -> Iterator[Action | Wait]:
    """Claim a profit a bucket or a second before it has vested, and then."""
    books = books_of(s)
    if books is None:
        return
    fund = cast(MarginFund, s.world.contracts["MarginFund"])
    held = [
        key
        for key, each in fund.holdings.items()
        if each.shares and each.generation == fund.buckets[key[1]].generation
    ]
    early = [key for key in held if (key[1] + fund.bucket_count) * fund.length > s.now]
    if not held:
        return
    if not early and s.chance(0.5):
        return
    owner, bucket = s.some(early or held)
    vested = (bucket + fund.bucket_count) * fund.length
    yield Wait(max(0, vested - s.now - s.some((1, 1, fund.length))))
    yield s.call("MarginFund", "claim", owner, bucket, by=s.somebody())
    if early and s.chance(0.5):
        yield Wait(max(0, vested - s.now))
        yield s.call("MarginFund", "claim", owner, bucket, by=s.somebody())


# ------------------------------------------------------------------------ the end


@move(weight=1, of_traders=True)
def leave_a_delisted_market(s: Scene) -> Iterator[Action | Wait]:
    """Reduce on both sides off the mark, where a market is delisted, and look an hour later what it costs."""
    books = books_of(s)
    if books is None:
        return
    pairs = [
        (m, a, b)
        for m in books.markets
        if not books.ended(m)
        for a in CROWD
        for b in CROWD
        if books.size(a, m) > 0 > books.size(b, m)
    ]
    listed = [m for m in books.markets if not books.policy.underlyings[m].ends_at]
    named = [each for each in pairs if books.policy.underlyings[each[0]].ends_at]
    if not pairs or (not named and (s.settling or (len(listed) < 2 and not s.late) or s.chance(0.8))):
        return
    m, *_ = s.some(named or pairs)
    if not named:
        yield s.call("MarginPolicy", "delist", m, s.now + bounds.MIN_NOTICE, by=s.admin)
    for at, long, short in pairs:
        lots = min(books.size(long, at), -books.size(short, at))
        if at != m or lots <= 0:
            continue
        yield from books.refresh(sorted({m, *books.held(long), *books.held(short)}))
        price = books.price(m) + s.some((1, -1)) * (books.price(m) * books.desk.band // BASIS_POINTS)
        sides = s.some(((long, short), (short, long)))
        lots = max(1, s.near(lots)) * (-1 if sides[0] == long else 1)
        yield from fill(s, books, sides, m, lots, max(1, price))
        yield Wait(_INTERVAL)
        yield s.call(_MARKET, "accrue", m, by=s.somebody())
