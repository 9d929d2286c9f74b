"""Figures of the margin market, from tables alone: marks, margins, balances of accounts.

No figure here comes from the model: each rule is written a second time. Prices in wei a lot, margins in basis
points x wei.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from backstop.lockstep.step_transition import Changes, Transition
from backstop.model import bounds
from backstop.model.arithmetic import RAY, WAD
from backstop.proof.properties.independent_arithmetic.price_figures import Read
from backstop.system import Action

MARKET, TRADING, POLICY, ORDERS = "PerpetualMarket", "PerpetualTrading", "MarginPolicy", "MarginOrders"
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
POOL = "PerpetualLiquidityVault"
"""Takes and liquidates for an account of its own, through the trading contract."""
TRADES = [f"{ORDERS}.fill", *(f"{each}.{how}" for each in (TRADING, POOL) for how in ("take", "liquidate"))]
"""The calls in which lots change hands as two accounts, or one, want it."""
CASES = "cases"
"""Rankings that are proven, of the closer's."""
MEETINGS = [f"{MARKET}.seize_insolvent", f"{MARKET}.update_and_seize"]
"""The calls in which accounts that owe are met."""
CLOSINGS = [f"{CLOSER}.execute", f"{CLOSER}.share"]
"""The calls in which positions are closed by force."""


class Trade(NamedTuple):
    """Trade of lots in a perpetual market: parties, signed size, price, and each party's reward.

    `one` buys `delta` lots, or sells them if `delta` is negative.
    """

    market: int
    one: str
    other: str
    delta: int
    price: int
    one_gets: int
    other_gets: int


class AccountEquity(NamedTuple):
    """Equity of a margin account after known haircuts, and its gains that are not final [wei].

    A haircut is the part of a gain that pays others' losses.
    """

    equity: int
    unfinal: int


def has_margin_market(step: Transition) -> bool:
    """Return whether the deployment has a margin market."""
    return MARKET in step.model.world.contracts


def get_market_changes(changes: Changes, path: str) -> dict[Any, Any]:
    """Return the margin market's changes to one storage table, by key."""
    return {each.key: each for each in changes.get(path, ()) if each.contract == MARKET}


def list_event_values(step: Transition, *events: str, contract: str = MARKET) -> list[tuple[Any, ...]]:
    """Return the values of a contract's events with the given names, in order."""
    logs = step.outcome.logs
    return [log.values for log in logs if log.contract == contract and log.event in events]


def get_market_fund_name(step: Transition) -> str:
    """Return the name of the contract that holds the margin market's insurance and vesting profits."""
    return str(step.model.world.addresses[step.get_contract(MARKET).fund_address].label)


def divide_ceil(numerator: int, denominator: int) -> int:
    """Return `numerator / denominator`, rounded up."""
    return -(-numerator // denominator)


# --------------------------------------------------------------------- prices


def compute_lot_price_from_reports(step: Transition, market_id: int) -> int:
    """Return the mark price of one lot from recent reports [wei].

    The result is 0 without a quorum of reports or in a halt.
    """
    return compute_lot_price_and_range(step, market_id)[0]


def compute_best_range_value_gain(step: Transition, market_id: int, position_size: int) -> int:
    """Return how much more a position is worth at the better end of the recent price range [wei]."""
    price, low, high = compute_lot_price_and_range(step, market_id)
    return position_size * (high - price) if position_size > 0 else -position_size * (price - low)


def compute_lot_price_and_range(step: Transition, market_id: int) -> tuple[int, int, int]:
    """Return the mark price of one lot and the low and high end of recent prices [wei].

    The mark is the median of the reports. All are 0 without a quorum of reports for the second `mark_age`
    ago, or in a halt. While a final price is in progress or planned, these are the final prices that would
    result if the reports persisted. Once a price is final, only that price counts.
    """
    base, age = step.read_post_state(POLICY, "underlyings", market_id), step.get_contract(MARKET).mark_age
    if not base.lot:
        return 0, 0, 0
    made = compute_final_price_progress(step, market_id)
    if made is not None and made.is_final:
        price = made.sum
        return _convert_to_prices_per_lot(base.lot, price, price, price)
    config, now = step.read_post_state("PriceFeed", "configs", base.feed), step.model.timestamp
    if config.halted or not config.reporters:
        return 0, 0, 0
    second = now - min(age, config.max_age)
    reports = [
        step.read_post_state("PriceFeed", "reports", (base.feed, i + 1)) for i in range(config.reporters)
    ]
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
        begins, so_far = (base.ends_at, FinalPriceProgress(False, 0, 0)) if made is None else (now, made)
        ends = price, low, high
        price, low, high = (
            _project_final_price(
                step,
                base.feed,
                so_far,
                begins,
                _read_prices_counting_for_mark_end(step, base.feed, side, each),
                side == 2,
            )
            for side, each in enumerate(ends)
        )
    return _convert_to_prices_per_lot(base.lot, price, low, high)


def _convert_to_prices_per_lot(lot_size: int, price: int, low: int, high: int) -> tuple[int, int, int]:
    """Return prices [ray] as prices of one lot [wei], at least 1, with the high end rounded up."""
    if not price:
        return 0, 0, 0
    return max(1, price * lot_size // RAY), max(1, low * lot_size // RAY), divide_ceil(high * lot_size, RAY)


def _read_prices_counting_for_mark_end(
    step: Transition, collateral_type: int, range_end: int, reported: int
) -> tuple[int, int, int]:
    """Return current, next and reported price [ray] as they count for one end of the mark's range.

    `range_end` 0 is the mark, 1 the low end, 2 the high end. Early in a step, reports may still replace the
    next price. An end then takes the more extreme price. With guards on, the current price is treated the
    same way.
    """
    config, prices = (
        step.read_post_state("PriceFeed", "configs", collateral_type),
        step.read_post_state("PriceFeed", "prices", collateral_type),
    )
    current, following = (prices.current, prices.next) if prices.next else (reported, reported)
    window = max(config.step // 6, min(config.step // 2, _SIGNED_AGE))
    if (
        range_end
        and step.model.timestamp
        <= step.read_post_state("PriceFeed", "averages", collateral_type).stepped_at + window
    ):
        further = min if range_end == 1 else max
        following = further(following, reported)
        if config.deviation:
            current = further(prices.current, reported)
    return current, following, reported


def _project_final_price(
    step: Transition,
    collateral_type: int,
    made: FinalPriceProgress,
    begins: int,
    rates: tuple[int, int, int],
    is_up: bool,
) -> int:
    """Return the projected final price [ray], if the feed is updated promptly and reports persist.

    `rates` are the current, next and reported price in order of time. The result is rounded up if `is_up`.
    """
    now, config = step.model.timestamp, step.read_post_state("PriceFeed", "configs", collateral_type)
    steps = [
        max(now, step.read_post_state("PriceFeed", "averages", collateral_type).stepped_at + config.step)
    ]
    steps.append(steps[0] + config.step)
    ends = begins + _FINAL_WINDOW - made.seconds
    if now > step.read_post_state("PriceFeed", "prices", collateral_type).fresh_until:
        steps = [begins, begins]
    marks = [min(max(begins, each), ends) for each in (begins, *steps, ends)]
    total = sum(rate * (end - start) for rate, start, end in zip(rates, marks, marks[1:], strict=False))
    sum_of_all = int(made.sum + total)
    return divide_ceil(sum_of_all, _FINAL_WINDOW) if is_up else sum_of_all // _FINAL_WINDOW


class FinalPriceProgress(NamedTuple):
    """Progress of the price at which a perpetual market ends, the mean of its feed over six hours.

    It has the counted seconds, and the sum of price times seconds [ray]. Once the price is final, `sum` is
    the price.
    """

    is_final: bool
    seconds: int
    sum: int


def compute_final_price_progress(step: Transition, market_id: int) -> FinalPriceProgress | None:
    """Return the progress of the price at which a market ends, or None before its end begins.

    The end begins at the announced time of a delisting, or with settlement. Intervals up to the feed's last
    change are read from the feed. Later intervals are computed here.
    """
    base, now = step.read_post_state(POLICY, "underlyings", market_id), step.model.timestamp
    c = base.feed
    settled_at = step.read_post_state("PriceFeed", "settlement_price.closings", c).begun_at
    if not (0 < settled_at <= now or 0 < base.ends_at <= now):
        return None
    settles = settled_at and not (base.ends_at and base.ends_at <= settled_at)
    key = c if settles else c + 256 * base.ends_at
    final = step.read_post_state("PriceFeed", "settlement_price.final_prices", key)
    if final.is_final:
        return FinalPriceProgress(True, 0, final.price)
    begun_at, until, seconds, total = step.read_post_state("PriceFeed", "settlement_price.closings", key)
    prices, config = (
        step.read_post_state("PriceFeed", "prices", c),
        step.read_post_state("PriceFeed", "configs", c),
    )
    if not begun_at:
        begun_at = until = base.ends_at
        average, fresh = step.read_post_state("PriceFeed", "averages", c), min(begun_at, prices.fresh_until)
        otherwise = prices.current
        if fresh != average.since:
            otherwise = average.cumulative + prices.current * (fresh - average.stepped_at)
            otherwise //= fresh - average.since
    else:
        otherwise = final.price
    held = now if config.halted else config.grace_until
    waits = config.suspect and not prices.next and not step.read_post_state("PriceFeed", "withheld", c)
    starts = max(until, min(held, begun_at + _FINAL_HALT))
    ends = min(now, prices.fresh_until + 1, begun_at + _FINAL_DEADLINE)
    more = 0 if waits else max(0, min(ends - starts, _FINAL_WINDOW - seconds))
    seconds, total = seconds + more, total + more * prices.current
    if seconds < _FINAL_WINDOW and now < begun_at + _FINAL_DEADLINE:
        return FinalPriceProgress(False, seconds, total)
    return FinalPriceProgress(True, 0, total // seconds if 4 * seconds >= _FINAL_WINDOW else otherwise)


def has_ended(step: Transition, read: Read, market_id: int) -> bool:
    """Return whether a perpetual market has ended at its final price."""
    return bool(read(MARKET, CLOCK).ended >> market_id & 1)


def compute_funding_index(step: Transition, market_id: int) -> int:
    """Return the cumulative funding of one long lot up to now [wei]."""
    level, rate, updated = step.read_post_state(MARKET, FUNDINGS, market_id)
    return int(level + rate * (step.model.timestamp - updated))


def split_price_move_with_remainder(long_lots: int, short_lots: int, price_move: int) -> tuple[int, int, int]:
    """Return the value change of a long and a short lot for a price move, and the remainder [wei].

    Lots of the smaller side move by the full price change. Lots of the larger side share the same total.
    Gains are rounded down and losses up, and the remainder is the difference.
    """
    if not long_lots or not short_lots:
        return 0, 0, 0
    winners, losers = (long_lots, short_lots) if price_move > 0 else (short_lots, long_lots)
    gain = abs(price_move) if winners <= losers else abs(price_move) * losers // winners
    loss = divide_ceil(winners * gain, losers)
    left = losers * loss - winners * gain
    return (gain, loss, left) if price_move > 0 else (-loss, -gain, left)


def compute_lot_value_per_side(step: Transition, market_id: int, read: Read) -> tuple[int, int]:
    """Return the value of a long and of a short lot [wei], with funding up to now."""
    _, rate, updated = read(MARKET, FUNDINGS, market_id)
    (long, short), lots = read(MARKET, VALUES, market_id), read(MARKET, LOTS, market_id)
    by_long, by_short, _ = split_price_move_with_remainder(
        lots.long, lots.short, -rate * (step.model.timestamp - updated)
    )
    return long + by_long, short + by_short


# -------------------------------------------------------------------- accounts


def is_up_to_date(step: Transition, read: Read, owner: str) -> bool:
    """Return whether an account is updated to the open cycle and holds no lots in an ended market."""
    clock = step.read_post_state(MARKET, CLOCK)
    over = any(clock.ended >> m & 1 for m in read_position_sizes(read, owner)) if clock.ended else False
    return bool(read(MARKET, ACCOUNTS, owner).cycle == clock.cycle) and not over


def read_position_sizes(read: Read, owner: str) -> dict[int, int]:
    """Return an account's positions [lots], by market; negative sizes are short."""
    sizes = {m: read(MARKET, POSITIONS, (owner, m)).size for m in MARKETS}
    return {m: size for m, size in sizes.items() if size}


def compute_market_haircut_amount(
    own_gains_by_side: tuple[int, int], losses_by_side: tuple[int, int], total_gains_by_side: tuple[int, int]
) -> int:
    """Return the haircut on an account's gains in one market [wei], each side rounded up.

    The haircut is the gains' pro rata share of the cycle's losses on each side.
    """
    sides = zip(own_gains_by_side, losses_by_side, total_gains_by_side, strict=True)
    return sum(divide_ceil(mine * loss, total) for mine, loss, total in sides if mine and loss)


def build_cycle_key(owner: str, market_id: int, cycle: int) -> tuple[str, int, int]:
    """Return the storage key of an account's gains and losses in an open or pending cycle."""
    return owner, market_id, cycle % 2


def list_met_accounts(step: Transition) -> list[str]:
    """Return the accounts that this call tried to seize, in order."""
    action = step.action
    if f"{action.contract}.{action.method}" not in MEETINGS:
        return []
    return [action.args[0]] if action.method == "seize_insolvent" else list(action.args[0])


def compute_most_booking_reward(step: Transition) -> int:
    """Return the highest reward for booking a loss, without the third of a bond [wad, rounded down]."""
    market, rolled_at = step.get_contract(MARKET), step.read_pre_state(MARKET, CLOCK).rolled_at
    pending = min(step.model.timestamp - rolled_at, 4 * market.window)
    return int(bounds.BOOKING_PAY * market.third_bond * pending // market.window)


def compute_account_haircut(step: Transition, owner: str) -> int:
    """Return the known haircuts on an account's gains of the pending cycle [wei].

    The pending cycle has ended but is not final.
    """
    cycle = step.read_post_state(MARKET, ACCOUNTS, owner).cycle - 1
    return sum(
        compute_market_haircut_amount(
            step.read_post_state(MARKET, GAINED, build_cycle_key(owner, m, cycle)),
            step.read_post_state(MARKET, LOSSES, (m, cycle)),
            step.read_post_state(MARKET, TOTALS, (m, cycle)),
        )
        for m in MARKETS
        if step.read_post_state(MARKET, ACCOUNTS, owner).markets >> m & 1
    )


def compute_unfinal_gains(step: Transition, owner: str, moves: Mapping[tuple[int, int], Any]) -> int:
    """Return an account's gains of the open and the pending cycle [wei], at the given price moves."""
    found = 0
    for m in MARKETS:
        if not step.read_post_state(MARKET, ACCOUNTS, owner).markets >> m & 1:
            continue
        key = owner, m
        found += sum(sum(step.read_post_state(MARKET, GAINED, (*key, parity))) for parity in (0, 1))
        size, since = (
            step.read_post_state(MARKET, POSITIONS, key).size,
            step.read_post_state(MARKET, SINCE, key),
        )
        if size:
            found += abs(size) * (moves[m, int(size < 0)].gained - since.gained)
    return int(found)


def compute_account_equity(
    step: Transition, owner: str, newly_marked_market: int | None = None
) -> AccountEquity:
    """Return the equity and the gains that are not final of an updated account after the step.

    With `newly_marked_market`, only that market has its mark after the step. The others have their marks
    before it.
    """
    reads = {
        m: step.read_post_state if newly_marked_market in (None, m) else step.read_pre_state for m in MARKETS
    }
    own = step.read_post_state(MARKET, ACCOUNTS, owner).cash
    for m, size in read_position_sizes(step.read_post_state, owner).items():
        own += size * compute_lot_value_per_side(step, m, reads[m])[size < 0]
    moves = {(m, side): read(MARKET, MOVES, (m, side)) for m, read in reads.items() for side in (0, 1)}
    return AccountEquity(
        own - compute_account_haircut(step, owner), compute_unfinal_gains(step, owner, moves)
    )


# --------------------------------------------------------------------- margins


def compute_maintenance_margin(step: Transition, market_id: int, notional: int) -> int:
    """Return the maintenance margin of a position [basis points x wei]."""
    terms = step.read_post_state(POLICY, "terms", market_id)
    return int(notional * terms.maintenance + compute_bracket_surcharge(terms[5:9], notional))


def compute_initial_margin(step: Transition, market_id: int, notional: int) -> int:
    """Return the initial margin of an existing position [basis points x wei]."""
    terms = step.read_post_state(POLICY, "terms", market_id)
    return int(notional * terms.initial + compute_bracket_surcharge(terms[5:9], notional))


def compute_new_risk_margin(
    step: Transition, market_id: int, notional: int, market_open_notional: int
) -> int:
    """Return the initial margin of new risk [basis points x wei], with the market's size surcharge.

    The market surcharge applies brackets to the last part of the market's open notional.
    """
    terms = step.read_post_state(POLICY, "terms", market_id)
    everything = max(notional, market_open_notional)
    last = compute_bracket_surcharge(terms[9:13], everything) - compute_bracket_surcharge(
        terms[9:13], everything - notional
    )
    return compute_initial_margin(step, market_id, notional) + max(
        0, last - compute_bracket_surcharge(terms[5:9], notional)
    )


def compute_bracket_surcharge(brackets: tuple[int, ...], notional: int) -> int:
    """Return the surcharge of two brackets on a notional [basis points x wei].

    Each bracket charges its rate on the notional above its bound [whole stablecoins].
    """
    above, rate, above_2, rate_2 = brackets
    return max(0, notional - above * WAD) * rate + max(0, notional - above_2 * WAD) * rate_2


def get_withdrawing_account(withdrawal: Action) -> str:
    """Return the margin account that a withdrawal is taken from.

    It is the third argument of the call, or the caller if there is none.
    """
    return str(withdrawal.args[2]) if len(withdrawal.args) > 2 else withdrawal.sender


# ---------------------------------------------------------------------- trades


def build_trade_from_events(step: Transition) -> Trade | None:
    """Return the trade of a step, reconstructed from its events, or None if it has none."""
    contract, method, _, _ = step.action
    trading, market = step.get_contract(TRADING), step.get_contract(MARKET).address
    if (contract, method) == (ORDERS, "fill"):
        maker, taker, m, lots, price = list_event_values(step, "Filled", contract=ORDERS)[0][:5]
        key = maker, m
        grew = (
            step.read_post_state(MARKET, POSITIONS, key).size
            > step.read_pre_state(MARKET, POSITIONS, key).size
        )
        fees = [
            divide_ceil(lots * price * share, BASIS_POINTS)
            for share in (trading.maker_fee, trading.taker_fee)
        ]
        return Trade(m, maker, taker, lots if grew else -lots, price, -fees[0], -fees[1])
    if contract in (TRADING, POOL) and method == "take":
        taker, m, delta, price = list_event_values(step, "Taken", contract=TRADING)[0]
        fee = divide_ceil(abs(delta) * price * trading.taker_fee, BASIS_POINTS)
        return Trade(m, taker, market, delta, price, -fee, 0)
    if contract in (TRADING, POOL) and method == "liquidate":
        owner, by, m, lots, price, reward, fee = list_event_values(step, "Liquidated", contract=TRADING)[0]
        long = step.read_pre_state(MARKET, POSITIONS, (owner, m)).size > 0
        return Trade(m, owner, by, -lots if long else lots, price, -reward, reward - fee)
    return None


def list_deleveraged_positions(step: Transition) -> list[tuple[str, int, int, int]]:
    """Return account, market, lots and price of each position closed by auto-deleveraging in a step."""
    return [values[:4] for values in list_event_values(step, "Deleveraged", contract=TRADING)]


def sum_bond_rewards_by_receiver(step: Transition) -> dict[str, int]:
    """Return the rewards from bonds for taking over debtors' lots, by receiver [wad]."""
    found: dict[str, int] = {}
    for finder, amount in list_event_values(step, "Rewarded"):
        found[finder] = found.get(finder, 0) + amount
    return found


def compute_off_mark_funding_and_payer(step: Transition, trade: Trade) -> tuple[int, str]:
    """Return the funding charge of a trade away from the mark [wei], and the account that pays it.

    The party that got the better price pays.
    """
    mark = step.read_post_state(MARKET, PATHS, trade.market).price
    most = mark * step.read_post_state(POLICY, "terms", trade.market).max_funding // BASIS_POINTS
    if step.read_post_state(POLICY, "underlyings", trade.market).ends_at:
        most = 0
    over = max(-most, min(most, trade.price - mark))
    # A price above the mark has longs pay funding: it is better for who sells.
    better = trade.other if over * trade.delta > 0 else trade.one
    return divide_ceil(abs(trade.delta * over) * FUNDING_INTERVAL, FUNDING_PERIOD), better


def replace_closer_calls_by_wildcard(call_names: Iterable[str]) -> list[str]:
    """Return the "Contract.method" names, with all closer calls replaced by one wildcard.

    The closer has one of two kinds with different methods.
    """
    return [*(name for name in call_names if not name.startswith(CLOSER)), f"{CLOSER}.*"]
