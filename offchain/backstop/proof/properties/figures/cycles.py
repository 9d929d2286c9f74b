"""Figures of the margin market, out of tables alone: marks, margins, what an account has.

Here nothing asks the model: each rule is written a second time. Prices in wei a lot, margins in basis points
x wei.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from backstop.model import bounds
from backstop.model.arithmetic import RAY, WAD
from backstop.proof.properties.figures.prices import Read
from backstop.proof.properties.transition import Changes, Transition
from backstop.system import Action

MARKET, DESK, POLICY, ORDERS = "PerpetualMarket", "PerpetualDesk", "MarginPolicy", "MarginOrders"
_BOOK, _PATH = "cycle_book", "price_path"
ACCOUNTS, POSITIONS, WORTHS = (f"{_BOOK}.{path}" for path in ("accounts", "positions", "worths"))
GAINED, LOST, SINCE = (f"{_BOOK}.{path}" for path in ("gained", "lost", "since"))
PENDINGS, LATE_OF, PAID_IN = (f"{_BOOK}.{path}" for path in ("pendings", "late_of", "paid_in"))
LOSSES, FEES, BONDS, REWARDS = (f"{_BOOK}.{path}" for path in ("losses", "fees", "bonds", "rewards"))
CLOCK, PATHS, MOVES, POT = (f"{_PATH}.{path}" for path in ("clock", "paths", "moves", "pot"))
LOTS, VALUES = (f"{_PATH}.{path}" for path in ("lots", "values"))
TOTALS, LEVELS, EDGES, FUNDINGS, PREMIUMS = (
    f"{_PATH}.{path}" for path in ("totals", "levels", "edges", "fundings", "premiums")
)
HELD, LATE, OVERDUE = (f"cycle_losses.{path}" for path in ("held", "late", "overdue"))
CLOSING = "closing_in"
MARKETS = range(8)
BASIS_POINTS = 10_000
_FINAL_WINDOW, _FINAL_HALT, _FINAL_DEADLINE = 21_600, 172_800, 259_200
_SIGNED_AGE = 120
FUNDING_PERIOD, FUNDING_INTERVAL = 28_800, 3_600
"""Seconds: a rate is said for a period, and follows from the trades of an interval."""
CLOSER = "PerpetualCloser"
POOL = "PerpetualBackstop"
"""Takes and liquidates for an account of its own, through the desk."""
TRADES = [f"{ORDERS}.fill", *(f"{each}.{how}" for each in (DESK, POOL) for how in ("take", "liquidate"))]
"""The calls in which lots change hands as two accounts, or one, want it."""
CASES = "cases"
"""Rankings that are proven, of the closer's."""
MEETINGS = [f"{MARKET}.meet", f"{MARKET}.meet_all"]
"""The calls in which accounts that owe are met."""
CLOSINGS = [f"{CLOSER}.execute", f"{CLOSER}.share"]
"""The calls in which positions are closed by force."""


class Trade(NamedTuple):
    """Lots that change hands: the one buys `delta`, under zero it sells, at a price; what both get beside."""

    market: int
    one: str
    other: str
    delta: int
    price: int
    one_gets: int
    other_gets: int


class Standing(NamedTuple):
    """Cash and value less haircuts as far as they are known, and gains that are not final [wei]."""

    equity: int
    unfinal: int


def there(step: Transition) -> bool:
    """Return whether there is such a market at all."""
    return MARKET in step.model.world.contracts


def ours(changes: Changes, path: str) -> dict[Any, Any]:
    """Return what changed in a table of the market, by key."""
    return {each.key: each for each in changes.get(path, ()) if each.contract == MARKET}


def told(step: Transition, *events: str, contract: str = MARKET) -> list[tuple[Any, ...]]:
    """Return the values of some events of a contract, in their order."""
    logs = step.outcome.logs
    return [log.values for log in logs if log.contract == contract and log.event in events]


def fund_of(step: Transition) -> str:
    """Return the name of the market's fund."""
    return str(step.model.world.addresses[step.contract(MARKET).fund_address].label)


def up(a: int, b: int) -> int:
    """Return a/b, rounded up."""
    return -(-a // b)


# --------------------------------------------------------------------- prices


def median_within(step: Transition, m: int) -> int:
    """Return what a lot costs by the reports of the last seconds; 0 without a quorum of them, or halted."""
    return range_within(step, m)[0]


def better_within(step: Transition, m: int, size: int) -> int:
    """Return by how much more lots were worth at the better end of the range of the seconds before [wei]."""
    price, low, high = range_within(step, m)
    return size * (high - price) if size > 0 else -size * (price - low)


def range_within(step: Transition, m: int) -> tuple[int, int, int]:
    """Return what a lot costs by the reports of the last seconds, and between which prices it was before.

    Zeros without a quorum of reports that tell of the second so far back, or halted. Where a final price is
    made, or will be from a moment on, what that will be if these hold; then that alone.
    """
    base, age = step.after(POLICY, "underlyings", m), step.contract(MARKET).mark_age
    if not base.lot:
        return 0, 0, 0
    made = final_of(step, m)
    if made is not None and made.is_final:
        price = made.sum
        return _of_lot(base.lot, price, price, price)
    config, now = step.after("PriceFeed", "configs", base.feed), step.model.timestamp
    if config.halted or not config.reporters:
        return 0, 0, 0
    second = now - min(age, config.max_age)
    reports = [step.after("PriceFeed", "reports", (base.feed, i + 1)) for i in range(config.reporters)]
    told_of = [
        (price, price * low // 10**6, -(-price * high // 10**6))
        for price, low, high, since, at in reports
        if since <= second <= at
    ]
    if len(told_of) < config.quorum:
        return 0, 0, 0
    middle = (len(told_of) - 1) // 2
    price, low, high = (sorted(each)[middle] for each in zip(*told_of, strict=True))
    if made is not None or base.ends_at:
        begins, so_far = (base.ends_at, Making(False, 0, 0)) if made is None else (now, made)
        ends = price, low, high
        price, low, high = (
            _if_it_holds(step, base.feed, so_far, begins, _rates_at(step, base.feed, side, each), side == 2)
            for side, each in enumerate(ends)
        )
    return _of_lot(base.lot, price, low, high)


def _of_lot(lot: int, price: int, low: int, high: int) -> tuple[int, int, int]:
    """Return prices [ray] as those of a lot [wei], the high rounded up."""
    if not price:
        return 0, 0, 0
    return max(1, price * lot // RAY), max(1, low * lot // RAY), up(high * lot, RAY)


def _rates_at(step: Transition, c: int, side: int, reported: int) -> tuple[int, int, int]:
    """Return the current price, the one after it, and the reported one [ray], as they count for a mark.

    Side 0 is the mark, 1 its low end, 2 its high end. In the early part of a step reports of now can take the
    place of the next price, and with a guard on they can keep both out: an end has the further of each.
    """
    config, prices = step.after("PriceFeed", "configs", c), step.after("PriceFeed", "prices", c)
    current, following = (prices.current, prices.next) if prices.next else (reported, reported)
    window = max(config.step // 6, min(config.step // 2, _SIGNED_AGE))
    if side and step.model.timestamp <= step.after("PriceFeed", "averages", c).stepped_at + window:
        further = min if side == 1 else max
        following = further(following, reported)
        if config.deviation:
            current = further(prices.current, reported)
    return current, following, reported


def _if_it_holds(
    step: Transition, c: int, made: Making, begins: int, rates: tuple[int, int, int], is_up: bool
) -> int:
    """Return a final price if prompt keepers step the feed and reports stay as they are [ray], rounded.

    By a list of who counts until when: the current price, the one after it, and what is reported.
    """
    now, config = step.model.timestamp, step.after("PriceFeed", "configs", c)
    steps = [max(now, step.after("PriceFeed", "averages", c).stepped_at + config.step)]
    steps.append(steps[0] + config.step)
    ends = begins + _FINAL_WINDOW - made.seconds
    if now > step.after("PriceFeed", "prices", c).fresh_until:
        steps = [begins, begins]
    marks = [min(max(begins, each), ends) for each in (begins, *steps, ends)]
    total = sum(rate * (end - start) for rate, start, end in zip(rates, marks, marks[1:], strict=False))
    sum_of_all = int(made.sum + total)
    return up(sum_of_all, _FINAL_WINDOW) if is_up else sum_of_all // _FINAL_WINDOW


class Making(NamedTuple):
    """A final price that is made: seconds that count, price times seconds; once it is final, the price."""

    is_final: bool
    seconds: int
    sum: int


def final_of(step: Transition, m: int) -> Making | None:
    """Return how far the final price of a market is; None if neither its end nor settlement has begun.

    What it is made of until the last change of its feed is asked of the feed, the rest counted here.
    """
    base, now = step.after(POLICY, "underlyings", m), step.model.timestamp
    c = base.feed
    settled_at = step.after("PriceFeed", "settlement_price.closings", c).begun_at
    if not (0 < settled_at <= now or 0 < base.ends_at <= now):
        return None
    settles = settled_at and not (base.ends_at and base.ends_at <= settled_at)
    key = c if settles else c + 256 * base.ends_at
    final = step.after("PriceFeed", "settlement_price.final_prices", key)
    if final.is_final:
        return Making(True, 0, final.price)
    begun_at, until, seconds, total = step.after("PriceFeed", "settlement_price.closings", key)
    prices, config = step.after("PriceFeed", "prices", c), step.after("PriceFeed", "configs", c)
    if not begun_at:
        begun_at = until = base.ends_at
        average, fresh = step.after("PriceFeed", "averages", c), min(begun_at, prices.fresh_until)
        otherwise = prices.current
        if fresh != average.since:
            otherwise = average.cumulative + prices.current * (fresh - average.stepped_at)
            otherwise //= fresh - average.since
    else:
        otherwise = final.price
    held = now if config.halted else config.grace_until
    waits = config.suspect and not prices.next and not step.after("PriceFeed", "withheld", c)
    starts = max(until, min(held, begun_at + _FINAL_HALT))
    ends = min(now, prices.fresh_until + 1, begun_at + _FINAL_DEADLINE)
    more = 0 if waits else max(0, min(ends - starts, _FINAL_WINDOW - seconds))
    seconds, total = seconds + more, total + more * prices.current
    if seconds < _FINAL_WINDOW and now < begun_at + _FINAL_DEADLINE:
        return Making(False, seconds, total)
    return Making(True, 0, total // seconds if 4 * seconds >= _FINAL_WINDOW else otherwise)


def has_ended(step: Transition, read: Read, m: int) -> bool:
    """Return whether a market has made its last move."""
    return bool(read(MARKET, CLOCK).ended >> m & 1)


def index(step: Transition, m: int) -> int:
    """Return what a lot would have paid in funding until now, were it long and none taken [wei a lot]."""
    level, rate, updated = step.after(MARKET, FUNDINGS, m)
    return int(level + rate * (step.model.timestamp - updated))


def share(long: int, short: int, way: int) -> tuple[int, int, int]:
    """Return what a lot that is long, and what one that is short, moves by when the mark moves by `way`.

    Of the side with fewer lots each has all of it, the others' lots together as much: who wins rounds down,
    who loses pays for that, rounded up. The third figure is what the rounding leaves [wei].
    """
    if not long or not short:
        return 0, 0, 0
    winners, losers = (long, short) if way > 0 else (short, long)
    gain = abs(way) if winners <= losers else abs(way) * losers // winners
    loss = up(winners * gain, losers)
    left = losers * loss - winners * gain
    return (gain, loss, left) if way > 0 else (-loss, -gain, left)


def values_now(step: Transition, m: int, read: Read) -> tuple[int, int]:
    """Return what a lot of each side is worth, by what a read finds stored and the funding since [wei]."""
    _, rate, updated = read(MARKET, FUNDINGS, m)
    (long, short), lots = read(MARKET, VALUES, m), read(MARKET, LOTS, m)
    by_long, by_short, _ = share(lots.long, lots.short, -rate * (step.model.timestamp - updated))
    return long + by_long, short + by_short


# -------------------------------------------------------------------- accounts


def up_to_date(step: Transition, read: Read, owner: str) -> bool:
    """Return whether an account is in the open cycle, and has no lots in a market that has ended."""
    clock = step.after(MARKET, CLOCK)
    over = any(clock.ended >> m & 1 for m in sizes_of(read, owner)) if clock.ended else False
    return bool(read(MARKET, ACCOUNTS, owner).cycle == clock.cycle) and not over


def sizes_of(read: Read, owner: str) -> dict[int, int]:
    """Return the lots of an account, by market."""
    sizes = {m: read(MARKET, POSITIONS, (owner, m)).size for m in MARKETS}
    return {m: size for m, size in sizes.items() if size}


def haircut_in(gained: tuple[int, int], losses: tuple[int, int], totals: tuple[int, int]) -> int:
    """Return what gains bear of a cycle's losses in a market, each side rounded up [wei]."""
    sides = zip(gained, losses, totals, strict=True)
    return sum(up(mine * loss, total) for mine, loss, total in sides if mine and loss)


def in_cycle(owner: str, m: int, cycle: int) -> tuple[str, int, int]:
    """Return the key of what an account gained or lost in the cycle that is open for it, or pending."""
    return owner, m, cycle % 2


def met(step: Transition) -> list[str]:
    """Return the accounts that a call of anybody's has met, in order."""
    action = step.action
    if f"{action.contract}.{action.method}" not in MEETINGS:
        return []
    return [action.args[0]] if action.method == "meet" else list(action.args[0])


def pay_by_now(step: Transition) -> int:
    """Return what booking a loss pays at most beside a third of a bond [wad], rounded down."""
    market, rolled_at = step.contract(MARKET), step.before(MARKET, CLOCK).rolled_at
    pending = min(step.model.timestamp - rolled_at, 4 * market.window)
    return int(bounds.BOOKING_PAY * market.third_bond * pending // market.window)


def haircut_of(step: Transition, owner: str) -> int:
    """Return the haircuts of an account's pending cycle as they are known now [wei]."""
    cycle = step.after(MARKET, ACCOUNTS, owner).cycle - 1
    return sum(
        haircut_in(
            step.after(MARKET, GAINED, in_cycle(owner, m, cycle)),
            step.after(MARKET, LOSSES, (m, cycle)),
            step.after(MARKET, TOTALS, (m, cycle)),
        )
        for m in MARKETS
        if step.after(MARKET, ACCOUNTS, owner).markets >> m & 1
    )


def unfinal_of(step: Transition, owner: str, moves: Mapping[tuple[int, int], Any]) -> int:
    """Return the gains of the open and the pending cycle, up to some moves [wei]."""
    found = 0
    for m in MARKETS:
        if not step.after(MARKET, ACCOUNTS, owner).markets >> m & 1:
            continue
        key = owner, m
        found += sum(sum(step.after(MARKET, GAINED, (*key, parity))) for parity in (0, 1))
        size, since = step.after(MARKET, POSITIONS, key).size, step.after(MARKET, SINCE, key)
        if size:
            found += abs(size) * (moves[m, int(size < 0)].gained - since.gained)
    return int(found)


def standing_of(step: Transition, owner: str, newly: int | None = None) -> Standing:
    """Return what a touched account has after a step.

    With `newly`, of all markets only that one has the mark that the step left, the others the one before.
    """
    reads = {m: step.after if newly in (None, m) else step.before for m in MARKETS}
    own = step.after(MARKET, ACCOUNTS, owner).cash
    for m, size in sizes_of(step.after, owner).items():
        own += size * values_now(step, m, reads[m])[size < 0]
    moves = {(m, side): read(MARKET, MOVES, (m, side)) for m, read in reads.items() for side in (0, 1)}
    return Standing(own - haircut_of(step, owner), unfinal_of(step, owner, moves))


# --------------------------------------------------------------------- margins


def maintenance_in(step: Transition, m: int, notional: int) -> int:
    """Return the maintenance margin of a position."""
    terms = step.after(POLICY, "terms", m)
    return int(notional * terms.maintenance + add_on(terms[5:9], notional))


def initial_in(step: Transition, m: int, notional: int) -> int:
    """Return the initial margin of a position as it is."""
    terms = step.after(POLICY, "terms", m)
    return int(notional * terms.initial + add_on(terms[5:9], notional))


def risk_in(step: Transition, m: int, notional: int, opened: int) -> int:
    """Return the initial margin of new risk, with a notional that is open in the market."""
    terms = step.after(POLICY, "terms", m)
    everything = max(notional, opened)
    last = add_on(terms[9:13], everything) - add_on(terms[9:13], everything - notional)
    return initial_in(step, m, notional) + max(0, last - add_on(terms[5:9], notional))


def add_on(brackets: tuple[int, ...], notional: int) -> int:
    """Return what two brackets ask of a notional: each its rate of all above its edge (whole stablecoins)."""
    above, rate, above_2, rate_2 = brackets
    return max(0, notional - above * WAD) * rate + max(0, notional - above_2 * WAD) * rate_2


def leaver_of(action: Action) -> str:
    """Return whose account a withdrawal is out of: the third argument's, or the caller's."""
    return str(action.args[2]) if len(action.args) > 2 else action.sender


# ---------------------------------------------------------------------- trades


def trade_of(step: Transition) -> Trade | None:
    """Return the trade of a step, out of its events; None if it has none."""
    contract, method, _, _ = step.action
    desk, market = step.contract(DESK), step.contract(MARKET).address
    if (contract, method) == (ORDERS, "fill"):
        maker, taker, m, lots, price = told(step, "Filled", contract=ORDERS)[0][:5]
        key = maker, m
        grew = step.after(MARKET, POSITIONS, key).size > step.before(MARKET, POSITIONS, key).size
        fees = [up(lots * price * share, BASIS_POINTS) for share in (desk.maker_fee, desk.taker_fee)]
        return Trade(m, maker, taker, lots if grew else -lots, price, -fees[0], -fees[1])
    if contract in (DESK, POOL) and method == "take":
        taker, m, delta, price = told(step, "Taken", contract=DESK)[0]
        fee = up(abs(delta) * price * desk.taker_fee, BASIS_POINTS)
        return Trade(m, taker, market, delta, price, -fee, 0)
    if contract in (DESK, POOL) and method == "liquidate":
        owner, by, m, lots, price, reward, fee = told(step, "Liquidated", contract=DESK)[0]
        long = step.before(MARKET, POSITIONS, (owner, m)).size > 0
        return Trade(m, owner, by, -lots if long else lots, price, -reward, reward - fee)
    return None


def closed(step: Transition) -> list[tuple[str, int, int, int]]:
    """Return who was closed by force in a step, in which market, by how many lots and at what price."""
    return [values[:4] for values in told(step, "Deleveraged", contract=DESK)]


def rewarded(step: Transition) -> dict[str, int]:
    """Return what bonds paid, by who got it, for lots of debtors that were taken over [wad]."""
    found: dict[str, int] = {}
    for finder, amount in told(step, "Rewarded"):
        found[finder] = found.get(finder, 0) + amount
    return found


def premium_of(step: Transition, trade: Trade) -> tuple[int, str]:
    """Return what a trade off the mark pays for the funding that it moves, and who pays it [wei]."""
    mark = step.after(MARKET, PATHS, trade.market).price
    most = mark * step.after(POLICY, "terms", trade.market).max_funding // BASIS_POINTS
    if step.after(POLICY, "underlyings", trade.market).ends_at:
        most = 0
    over = max(-most, min(most, trade.price - mark))
    # A price above the mark has longs pay funding: it is better for who sells.
    better = trade.other if over * trade.delta > 0 else trade.one
    return up(abs(trade.delta * over) * FUNDING_INTERVAL, FUNDING_PERIOD), better


def occasions_of(calls: Iterable[str]) -> list[str]:
    """Return the calls to watch, of "Contract.method": all of the closer, which has one of two kinds."""
    return [*(name for name in calls if not name.startswith(CLOSER)), f"{CLOSER}.*"]
