"""Properties of margin-market trades: moved lots and cash, the margin for new risk, and liquidations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backstop.lockstep.step_transition import Changes, Transition
from backstop.model.arithmetic import WAD
from backstop.model.margin_orders import Order
from backstop.proof.properties.independent_arithmetic.margin_figures import (
    ACCOUNTS,
    BASIS_POINTS,
    FEES,
    LOTS,
    MARKET,
    ORDERS,
    PATHS,
    POLICY,
    POSITIONS,
    TRADES,
    TRADING,
    VALUES,
    AccountEquity,
    Trade,
    build_trade_from_events,
    compute_account_equity,
    compute_best_range_value_gain,
    compute_final_price_progress,
    compute_initial_margin,
    compute_lot_price_from_reports,
    compute_maintenance_margin,
    compute_new_risk_margin,
    compute_off_mark_funding_and_payer,
    get_market_changes,
    get_withdrawing_account,
    has_ended,
    has_margin_market,
    is_up_to_date,
    list_event_values,
    read_position_sizes,
    sum_bond_rewards_by_receiver,
)
from backstop.proof.properties.property_registry import PropertyViolationError, transition_property

_EMERGENCY = 2


@transition_property(87, calls=TRADES)
def trades_execute_near_mark_for_fee(step: Transition, changes: Changes) -> None:
    """Check lots, price and fees of each trade in a perpetual market (property 87).

    Lots move between two accounts at a price within the band around the mark. Liquidations and takeovers are
    at the mark. Each account pays its fee on the notional, rounded up, to the insurance. The account with the
    better price also pays one interval of the funding that the trade causes. Open interest stays under its
    limit. An order is filled up to its size, before it expires, above its account's nonce floor and at the
    first signed order's price. Raises PropertyViolationError otherwise.
    """
    trade = build_trade_from_events(step) if has_margin_market(step) else None
    if trade is None:
        return
    m, mark, trading = (
        trade.market,
        step.read_post_state(MARKET, PATHS, trade.market).price,
        step.get_contract(TRADING),
    )
    apart = abs(trade.price - mark)
    exactly = step.action.method in ("take", "liquidate")
    if apart * BASIS_POINTS > trading.band * mark or (exactly and apart):
        raise PropertyViolationError(f"{trade} is {apart} from a mark of {mark}")
    was, now = max(step.read_pre_state(MARKET, LOTS, m)), max(step.read_post_state(MARKET, LOTS, m))
    if now > was and now > step.read_post_state(POLICY, "underlyings", m).open_limit:
        raise PropertyViolationError(f"{now} lots are open in market {m}")
    _check_orders(step, trade)
    fee, payer = compute_off_mark_funding_and_payer(step, trade)
    moved = {trade.one: trade.delta, trade.other: -trade.delta}
    if step.action.method == "take":
        del moved[trade.other]
    sizes = {
        key: each.new.size - each.old.size
        for key, each in get_market_changes(changes, POSITIONS).items()
        if each.new.size != each.old.size and not has_ended(step, step.read_post_state, key[1])
    }
    if sizes != {(owner, m): delta for owner, delta in moved.items()}:
        raise PropertyViolationError(f"{trade} moved {sizes}")
    values = step.read_post_state(MARKET, VALUES, m)
    gets = {trade.one: trade.one_gets, trade.other: trade.other_gets}
    gets[payer] -= fee
    rewards = sum_bond_rewards_by_receiver(step)
    for owner, number, size, cash in list_event_values(step, "PositionChanged"):
        if has_ended(step, step.read_post_state, number) and size == 0:
            continue
        after = step.read_post_state(MARKET, ACCOUNTS, owner).cash
        if number != m or size != step.read_post_state(MARKET, POSITIONS, (owner, m)).size:
            raise PropertyViolationError(f"{owner} was told of {size} lots in market {number}")
        if after - cash != gets[owner] + rewards.get(owner, 0):
            raise PropertyViolationError(
                f"{owner} has {after - cash} beside the lots, not {gets[owner]} and {rewards}"
            )
        if is_up_to_date(step, step.read_pre_state, owner):
            before = step.read_pre_state(MARKET, ACCOUNTS, owner).cash - _compute_bond(step, owner, m)
            old = size - moved[owner]
            paid = size * values[size < 0] - old * values[old < 0] + moved[owner] * (trade.price - mark)
            if cash != before - paid:
                raise PropertyViolationError(
                    f"{owner} had {before}, and {cash} after {moved[owner]} lots for {paid}"
                )
    not_needed = sum(booked - given for _, _, _, booked, given in list_event_values(step, "Settled"))
    fees = step.read_post_state(MARKET, FEES) - step.read_pre_state(MARKET, FEES) - not_needed
    if fees != -sum(gets.values()):
        raise PropertyViolationError(f"{gets} of {trade}, and {fees} of fees")


def _check_orders(step: Transition, trade: Trade) -> None:
    """Check that a fill respects size, expiry, nonce floor and limit price of both orders.

    The price is that of the order signed first. Raises PropertyViolationError otherwise.
    """
    if not step.is_call(ORDERS, "fill"):
        return
    maker, taker = (_build_order_from_fields(order) for order in step.action.args[0:3:2])
    if (
        trade.price != maker.price
        or (taker.price - trade.price) * taker.size < 0
        or maker.nonce > taker.nonce
    ):
        raise PropertyViolationError(f"{trade} is of {maker} and {taker}")
    digests = list_event_values(step, "Filled", contract=ORDERS)[0][5:7]
    for order, digest in zip((maker, taker), digests, strict=True):
        floor, filled = (
            step.read_post_state(ORDERS, "nonce_floor", order.account),
            step.read_post_state(ORDERS, "filled", digest),
        )
        if order.nonce < floor or step.model.timestamp > order.expiry or filled > abs(order.size):
            raise PropertyViolationError(
                f"{filled} lots of {order} are filled, and its account's floor is {floor}"
            )


def _compute_bond(step: Transition, owner: str, market_id: int) -> int:
    """Return the bond that an up-to-date account has to deposit with this trade [wei]."""
    market = step.get_contract(MARKET)
    if step.read_pre_state(MARKET, POSITIONS, (owner, market_id)).size:
        return 0
    return int(market.third_bond * (3 - step.read_pre_state(MARKET, ACCOUNTS, owner).bond.bit_count()))


# ------------------------------------------------------------------- new risk


@transition_property(88, calls=[*TRADES, f"{MARKET}.withdraw"])
def new_risk_meets_initial_margin_at_current_mark(step: Transition, changes: Changes) -> None:
    """Check that new risk in the margin market meets the initial margin (property 88).

    Margins are taken at current marks, without gains that are not final. A withdrawal of cash with open
    positions counts as new risk. No new risk is taken in an emergency or in settlement. An account that only
    reduces stays solvent, falls no further below its maintenance margin, and gives away no unfinal gain. An
    account in debt does not trade. Raises PropertyViolationError otherwise.
    """
    if not has_margin_market(step):
        return
    if step.is_call(MARKET, "withdraw"):
        if read_position_sizes(step.read_post_state, get_withdrawing_account(step.action)):
            _check_risk(step, get_withdrawing_account(step.action))
        return
    trade = build_trade_from_events(step)
    if trade is None:
        return
    market = step.get_contract(MARKET).address
    liquidated = trade.one if step.action.method == "liquidate" else market
    # The first is asked before the other's markets are marked.
    sides = [(trade.one, trade.delta, trade.market), (trade.other, -trade.delta, None)]
    for owner, delta, newly in sides:
        if owner in (liquidated, market):
            continue
        if step.action.method != "liquidate" and is_up_to_date(step, step.read_pre_state, owner):
            was = _compute_prior_equity(step, trade, owner, trade.market)
            if was.equity < 0:
                raise PropertyViolationError(f"{owner} owes {-was.equity}, and traded")
        size = step.read_post_state(MARKET, POSITIONS, (owner, trade.market)).size
        old = size - delta
        if old * delta < 0 and abs(delta) <= abs(old):
            _check_margin_after_reduction(step, trade, owner, delta, newly)
        else:
            orders = step.action.args[0:3:2] if step.is_call(ORDERS, "fill") else ()
            if any(
                order.account == owner and order.reduce_only
                for order in map(_build_order_from_fields, orders)
            ):
                raise PropertyViolationError(f"{owner} only reduces, and has {size} lots of {old}")
            _check_risk(step, owner)


def _build_order_from_fields(order_fields: Sequence[Any]) -> Order:
    return Order(*order_fields)


def _compute_prior_equity(
    step: Transition, trade: Trade, owner: str, newly_marked_market: int | None
) -> AccountEquity:
    """Return an account's equity directly before the trade, at the marks of that moment."""
    found = compute_account_equity(step, owner, newly_marked_market)
    delta, gets = (trade.delta, trade.one_gets) if owner == trade.one else (-trade.delta, trade.other_gets)
    fee, payer = compute_off_mark_funding_and_payer(step, trade)
    gained = delta * (step.read_post_state(MARKET, PATHS, trade.market).price - trade.price)
    paid = (
        fee * (owner == payer)
        - gets
        + _compute_bond(step, owner, trade.market)
        - sum_bond_rewards_by_receiver(step).get(owner, 0)
    )
    return AccountEquity(found.equity - gained + paid, found.unfinal)


def _check_risk(step: Transition, owner: str) -> None:
    guarded = step.get_contract(TRADING).risk_policy_address in step.model.world.addresses
    mode = step.read_post_state("RiskPolicy", "modes").mode if guarded else 0
    if mode >= _EMERGENCY or step.read_post_state("Settlement", "progress").begun_at:
        raise PropertyViolationError(f"{owner} took risk in mode {mode}, or in settlement")
    needed = 0
    for m, size in read_position_sizes(step.read_post_state, owner).items():
        price = step.read_post_state(MARKET, PATHS, m).price
        if not price or price != compute_lot_price_from_reports(step, m):
            raise PropertyViolationError(f"{owner} took risk, and market {m} stands at {price}")
        needed += compute_new_risk_margin(
            step, m, abs(size) * price, max(step.read_post_state(MARKET, LOTS, m)) * price
        )
    found = compute_account_equity(step, owner)
    worse = sum(
        compute_best_range_value_gain(step, m, -size)
        for m, size in read_position_sizes(step.read_post_state, owner).items()
    )
    if (found.equity - found.unfinal - worse) * BASIS_POINTS < needed:
        raise PropertyViolationError(f"{owner} has {found}, and needs {needed} for new risk")


def _check_margin_after_reduction(
    step: Transition, trade: Trade, owner: str, delta: int, newly_marked_market: int | None
) -> None:
    m, found = trade.market, compute_account_equity(step, owner, newly_marked_market)
    mark, size = (
        step.read_post_state(MARKET, PATHS, m).price,
        step.read_post_state(MARKET, POSITIONS, (owner, m)).size,
    )
    if found.equity < 0:
        raise PropertyViolationError(f"{owner} took lots off and is insolvent: {found}")
    gained = delta * (mark - trade.price)
    needed = 0
    for each, lots in read_position_sizes(step.read_post_state, owner).items():
        read = step.read_post_state if newly_marked_market in (None, each) else step.read_pre_state
        needed += compute_maintenance_margin(step, each, abs(lots) * read(MARKET, PATHS, each).price)
    if found.equity * BASIS_POINTS < needed:
        relieved = compute_maintenance_margin(step, m, abs(size - delta) * mark) - compute_maintenance_margin(
            step, m, abs(size) * mark
        )
        if gained * BASIS_POINTS + relieved < 0:
            raise PropertyViolationError(
                f"{owner}, under its maintenance margin, traded at {trade.price} off {mark}"
            )
    if gained < 0 and found.equity < found.unfinal:
        raise PropertyViolationError(f"{owner} gave {-gained} away of {found}")


# --------------------------------------------------------------- liquidations


@transition_property(89, calls=TRADES[1:])
def no_liquidation_above_maintenance_margin(step: Transition, changes: Changes) -> None:
    """Check that only solvent accounts below their maintenance margin are liquidated (property 89).

    The better ends of the current price ranges count. A market without a current price requires no margin. No
    account is liquidated at a final price. No more lots than needed are taken, and no dust is left. The
    reward follows the terms. Takers take over no more lots of seized accounts than exist. Raises
    PropertyViolationError otherwise.
    """
    if not has_margin_market(step) or step.action.method not in ("take", "liquidate"):
        return
    trade = build_trade_from_events(step)
    if trade is None:
        return
    m, price = trade.market, trade.price
    if step.action.method == "take":
        long, short = step.read_pre_state(MARKET, LOTS, m)
        if not 0 < abs(trade.delta) <= abs(short - long) or (short - long) * trade.delta < 0:
            raise PropertyViolationError(f"{trade.delta} lots were taken of {short - long}")
        return
    owner, terms = trade.one, step.read_post_state(POLICY, "terms", m)
    found = (
        _compute_prior_equity(step, trade, owner, None)
        if is_up_to_date(step, step.read_pre_state, owner)
        else None
    )
    size = step.read_post_state(MARKET, POSITIONS, (owner, m)).size - trade.delta
    whole, lots = abs(size), abs(trade.delta)
    initial = maintenance = left = better = 0
    for each, held in {**read_position_sizes(step.read_post_state, owner), m: size}.items():
        # One without a price of now asks for nothing.
        if not compute_lot_price_from_reports(step, each):
            continue
        better += compute_best_range_value_gain(step, each, held)
        notional = abs(held) * step.read_post_state(MARKET, PATHS, each).price
        initial += compute_initial_margin(step, each, notional)
        maintenance += compute_maintenance_margin(step, each, notional)
    left = (
        maintenance
        - compute_maintenance_margin(step, m, whole * price)
        + compute_maintenance_margin(step, m, (whole - lots) * price)
    )
    equity = found.equity if found else compute_account_equity(step, owner).equity - trade.one_gets
    is_safe = (equity + better) * BASIS_POINTS >= maintenance
    made = compute_final_price_progress(step, m)
    if made is not None and made.is_final:
        raise PropertyViolationError(f"{lots} lots of {owner} were liquidated at a price that is final")
    if equity < 0 or is_safe or lots > whole or size * trade.delta >= 0:
        raise PropertyViolationError(
            f"{trade.other} took {lots} of {whole} lots of {owner}, who had {equity}"
        )

    lacks = max(0, maintenance // BASIS_POINTS - equity)
    most = min(equity, lacks * terms.discount // BASIS_POINTS)

    def reward(taken: int) -> int:
        relieved = compute_maintenance_margin(step, m, whole * price) - compute_maintenance_margin(
            step, m, (whole - taken) * price
        )
        return most * relieved // maintenance

    least = max(1, -(-step.read_post_state(POLICY, "underlyings", m).dust * WAD // price))
    fewer = lots - 1 if lots < whole else whole - min(whole, least)
    needed = (
        initial
        - compute_initial_margin(step, m, whole * price)
        + compute_initial_margin(step, m, (whole - fewer) * price)
    )
    if (equity - reward(fewer)) * BASIS_POINTS >= needed:
        raise PropertyViolationError(
            f"{lots} lots of {owner} were liquidated, {fewer} would have been enough"
        )
    if lots < whole and whole - lots < least:
        raise PropertyViolationError(f"{whole - lots} lots are left of {owner}, which is dust")
    asked = min(step.action.args[2], whole)
    needed = (
        initial
        - compute_initial_margin(step, m, whole * price)
        + compute_initial_margin(step, m, (whole - lots) * price)
    )
    if lots < asked and (equity - reward(lots)) * BASIS_POINTS < needed:
        raise PropertyViolationError(
            f"{lots} lots of {owner} were liquidated of {asked}, and it is still short"
        )
    if lots > asked and whole - asked >= least:
        raise PropertyViolationError(f"{lots} lots of {owner} were liquidated, and {asked} were asked for")
    paid = reward(lots)
    fee = paid * step.get_contract(TRADING).fee_share // BASIS_POINTS
    if (-trade.one_gets, trade.other_gets, step.outcome.value) != (paid, paid - fee, paid):
        raise PropertyViolationError(f"{trade} for {paid}, of which {fee} are the fund's")
    if (equity - paid) * maintenance < equity * left:
        raise PropertyViolationError(f"{owner} keeps {equity - paid} of {equity} for {left} of {maintenance}")
