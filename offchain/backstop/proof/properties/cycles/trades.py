"""Properties of trades in the margin market: what moves, what new risk needs, who is liquidated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backstop.model.arithmetic import WAD
from backstop.model.margin_orders import Order
from backstop.proof.properties.figures.cycles import (
    ACCOUNTS,
    BASIS_POINTS,
    DESK,
    FEES,
    LOTS,
    MARKET,
    ORDERS,
    PATHS,
    POLICY,
    POSITIONS,
    TRADES,
    VALUES,
    Standing,
    Trade,
    better_within,
    final_of,
    has_ended,
    initial_in,
    leaver_of,
    maintenance_in,
    median_within,
    ours,
    premium_of,
    rewarded,
    risk_in,
    sizes_of,
    standing_of,
    there,
    told,
    trade_of,
    up_to_date,
)
from backstop.proof.properties.registry import Violation, transition_property
from backstop.proof.properties.transition import Changes, Transition

_EMERGENCY = 2


@transition_property(87, calls=TRADES)
def lots_change_hands_near_the_mark_for_a_fee(step: Transition, changes: Changes) -> None:
    """Assert that lots and their price move between two accounts, in the band around the mark, and no others.

    Lots that were taken from debtors, and those of a liquidation, move at the mark. Both pay their fee of the
    notional, rounded up; who has the better price for the funding that it moves pays an interval of that,
    rounded up: all of it is insurance. No more becomes open than the limit. An order is filled up to its
    size, until it expires, over its account's floor, at the limit of the one that was signed first.
    """
    trade = trade_of(step) if there(step) else None
    if trade is None:
        return
    m, mark, desk = trade.market, step.after(MARKET, PATHS, trade.market).price, step.contract(DESK)
    apart = abs(trade.price - mark)
    exactly = step.action.method in ("take", "liquidate")
    if apart * BASIS_POINTS > desk.band * mark or (exactly and apart):
        raise Violation(f"{trade} is {apart} from a mark of {mark}")
    was, now = max(step.before(MARKET, LOTS, m)), max(step.after(MARKET, LOTS, m))
    if now > was and now > step.after(POLICY, "underlyings", m).open_limit:
        raise Violation(f"{now} lots are open in market {m}")
    _check_orders(step, trade)
    fee, payer = premium_of(step, trade)
    moved = {trade.one: trade.delta, trade.other: -trade.delta}
    if step.action.method == "take":
        del moved[trade.other]
    sizes = {
        key: each.new.size - each.old.size
        for key, each in ours(changes, POSITIONS).items()
        if each.new.size != each.old.size and not has_ended(step, step.after, key[1])
    }
    if sizes != {(owner, m): delta for owner, delta in moved.items()}:
        raise Violation(f"{trade} moved {sizes}")
    values = step.after(MARKET, VALUES, m)
    gets = {trade.one: trade.one_gets, trade.other: trade.other_gets}
    gets[payer] -= fee
    rewards = rewarded(step)
    for owner, number, size, cash in told(step, "PositionChanged"):
        if has_ended(step, step.after, number) and size == 0:
            continue
        after = step.after(MARKET, ACCOUNTS, owner).cash
        if number != m or size != step.after(MARKET, POSITIONS, (owner, m)).size:
            raise Violation(f"{owner} was told of {size} lots in market {number}")
        if after - cash != gets[owner] + rewards.get(owner, 0):
            raise Violation(f"{owner} has {after - cash} beside the lots, not {gets[owner]} and {rewards}")
        if up_to_date(step, step.before, owner):
            before = step.before(MARKET, ACCOUNTS, owner).cash - _bond(step, owner, m)
            old = size - moved[owner]
            paid = size * values[size < 0] - old * values[old < 0] + moved[owner] * (trade.price - mark)
            if cash != before - paid:
                raise Violation(f"{owner} had {before}, and {cash} after {moved[owner]} lots for {paid}")
    not_needed = sum(booked - given for _, _, _, booked, given in told(step, "Settled"))
    fees = step.after(MARKET, FEES) - step.before(MARKET, FEES) - not_needed
    if fees != -sum(gets.values()):
        raise Violation(f"{gets} of {trade}, and {fees} of fees")


def _check_orders(step: Transition, trade: Trade) -> None:
    """Assert that a fill is within both orders, at the limit of the one that was signed first."""
    if not step.calls(ORDERS, "fill"):
        return
    maker, taker = (_as_order(order) for order in step.action.args[0:3:2])
    if (
        trade.price != maker.price
        or (taker.price - trade.price) * taker.size < 0
        or maker.nonce > taker.nonce
    ):
        raise Violation(f"{trade} is of {maker} and {taker}")
    digests = told(step, "Filled", contract=ORDERS)[0][5:7]
    for order, digest in zip((maker, taker), digests, strict=True):
        floor, filled = step.after(ORDERS, "nonce_floor", order.account), step.after(ORDERS, "filled", digest)
        if order.nonce < floor or step.model.timestamp > order.expiry or filled > abs(order.size):
            raise Violation(f"{filled} lots of {order} are filled, and its account's floor is {floor}")


def _bond(step: Transition, owner: str, m: int) -> int:
    """Return what an account that was up to date puts up with the trade [wei]."""
    market = step.contract(MARKET)
    if step.before(MARKET, POSITIONS, (owner, m)).size:
        return 0
    return int(market.third_bond * (3 - step.before(MARKET, ACCOUNTS, owner).bond.bit_count()))


# ------------------------------------------------------------------- new risk


@transition_property(88, calls=[*TRADES, f"{MARKET}.withdraw"])
def new_risk_needs_its_margin_at_marks_of_now(step: Transition, changes: Changes) -> None:
    """Assert that who takes risk, or cash out of it, then has its initial margin without unfinal gains.

    At marks of now, in no emergency and no settlement. Who only reduces stays solvent, gets no further under
    its maintenance margin, and gives no gain away that is not final. Who owes trades nothing.
    """
    if not there(step):
        return
    if step.calls(MARKET, "withdraw"):
        if sizes_of(step.after, leaver_of(step.action)):
            _check_risk(step, leaver_of(step.action))
        return
    trade = trade_of(step)
    if trade is None:
        return
    market = step.contract(MARKET).address
    liquidated = trade.one if step.action.method == "liquidate" else market
    # The first is asked before the other's markets are marked.
    sides = [(trade.one, trade.delta, trade.market), (trade.other, -trade.delta, None)]
    for owner, delta, newly in sides:
        if owner in (liquidated, market):
            continue
        if step.action.method != "liquidate" and up_to_date(step, step.before, owner):
            was = _before(step, trade, owner, trade.market)
            if was.equity < 0:
                raise Violation(f"{owner} owes {-was.equity}, and traded")
        size = step.after(MARKET, POSITIONS, (owner, trade.market)).size
        old = size - delta
        if old * delta < 0 and abs(delta) <= abs(old):
            _check_reduced(step, trade, owner, delta, newly)
        else:
            orders = step.action.args[0:3:2] if step.calls(ORDERS, "fill") else ()
            if any(order.account == owner and order.reduce_only for order in map(_as_order, orders)):
                raise Violation(f"{owner} only reduces, and has {size} lots of {old}")
            _check_risk(step, owner)


def _as_order(order: Sequence[Any]) -> Order:
    return Order(*order)


def _before(step: Transition, trade: Trade, owner: str, newly: int | None) -> Standing:
    """Return what an account had just before the lots changed hands, at the marks that were there then."""
    found = standing_of(step, owner, newly)
    delta, gets = (trade.delta, trade.one_gets) if owner == trade.one else (-trade.delta, trade.other_gets)
    fee, payer = premium_of(step, trade)
    gained = delta * (step.after(MARKET, PATHS, trade.market).price - trade.price)
    paid = fee * (owner == payer) - gets + _bond(step, owner, trade.market) - rewarded(step).get(owner, 0)
    return Standing(found.equity - gained + paid, found.unfinal)


def _check_risk(step: Transition, owner: str) -> None:
    guarded = step.contract(DESK).risk_policy_address in step.model.world.addresses
    mode = step.after("RiskPolicy", "modes").mode if guarded else 0
    if mode >= _EMERGENCY or step.after("Settlement", "progress").begun_at:
        raise Violation(f"{owner} took risk in mode {mode}, or in settlement")
    needed = 0
    for m, size in sizes_of(step.after, owner).items():
        price = step.after(MARKET, PATHS, m).price
        if not price or price != median_within(step, m):
            raise Violation(f"{owner} took risk, and market {m} stands at {price}")
        needed += risk_in(step, m, abs(size) * price, max(step.after(MARKET, LOTS, m)) * price)
    found = standing_of(step, owner)
    worse = sum(better_within(step, m, -size) for m, size in sizes_of(step.after, owner).items())
    if (found.equity - found.unfinal - worse) * BASIS_POINTS < needed:
        raise Violation(f"{owner} has {found}, and needs {needed} for new risk")


def _check_reduced(step: Transition, trade: Trade, owner: str, delta: int, newly: int | None) -> None:
    m, found = trade.market, standing_of(step, owner, newly)
    mark, size = step.after(MARKET, PATHS, m).price, step.after(MARKET, POSITIONS, (owner, m)).size
    if found.equity < 0:
        raise Violation(f"{owner} took lots off and is insolvent: {found}")
    gained = delta * (mark - trade.price)
    needed = 0
    for each, lots in sizes_of(step.after, owner).items():
        read = step.after if newly in (None, each) else step.before
        needed += maintenance_in(step, each, abs(lots) * read(MARKET, PATHS, each).price)
    if found.equity * BASIS_POINTS < needed:
        relieved = maintenance_in(step, m, abs(size - delta) * mark) - maintenance_in(
            step, m, abs(size) * mark
        )
        if gained * BASIS_POINTS + relieved < 0:
            raise Violation(f"{owner}, under its maintenance margin, traded at {trade.price} off {mark}")
    if gained < 0 and found.equity < found.unfinal:
        raise Violation(f"{owner} gave {-gained} away of {found}")


# --------------------------------------------------------------- liquidations


@transition_property(89, calls=TRADES[1:])
def who_is_over_its_margin_keeps_its_lots(step: Transition, changes: Changes) -> None:
    """Assert that only who is solvent under its maintenance margin is liquidated, for the terms' reward.

    It is under it at the better ends of the ranges of now as well; a market without a price of now asks
    for no margin. Nobody is at a price that is final. One lot less, or all but dust, would have left it under
    its initial margin; no dust is left, and its equity falls by no larger a share than its maintenance
    margin. Of what was taken from debtors no more is taken over than there is.
    """
    if not there(step) or step.action.method not in ("take", "liquidate"):
        return
    trade = trade_of(step)
    if trade is None:
        return
    m, price = trade.market, trade.price
    if step.action.method == "take":
        long, short = step.before(MARKET, LOTS, m)
        if not 0 < abs(trade.delta) <= abs(short - long) or (short - long) * trade.delta < 0:
            raise Violation(f"{trade.delta} lots were taken of {short - long}")
        return
    owner, terms = trade.one, step.after(POLICY, "terms", m)
    found = _before(step, trade, owner, None) if up_to_date(step, step.before, owner) else None
    size = step.after(MARKET, POSITIONS, (owner, m)).size - trade.delta
    whole, lots = abs(size), abs(trade.delta)
    initial = maintenance = left = better = 0
    for each, held in {**sizes_of(step.after, owner), m: size}.items():
        # One without a price of now asks for nothing.
        if not median_within(step, each):
            continue
        better += better_within(step, each, held)
        notional = abs(held) * step.after(MARKET, PATHS, each).price
        initial += initial_in(step, each, notional)
        maintenance += maintenance_in(step, each, notional)
    left = (
        maintenance - maintenance_in(step, m, whole * price) + maintenance_in(step, m, (whole - lots) * price)
    )
    equity = found.equity if found else standing_of(step, owner).equity - trade.one_gets
    is_safe = (equity + better) * BASIS_POINTS >= maintenance
    made = final_of(step, m)
    if made is not None and made.is_final:
        raise Violation(f"{lots} lots of {owner} were liquidated at a price that is final")
    if equity < 0 or is_safe or lots > whole or size * trade.delta >= 0:
        raise Violation(f"{trade.other} took {lots} of {whole} lots of {owner}, who had {equity}")

    lacks = max(0, maintenance // BASIS_POINTS - equity)
    most = min(equity, lacks * terms.discount // BASIS_POINTS)

    def reward(taken: int) -> int:
        relieved = maintenance_in(step, m, whole * price) - maintenance_in(step, m, (whole - taken) * price)
        return most * relieved // maintenance

    least = max(1, -(-step.after(POLICY, "underlyings", m).dust * WAD // price))
    fewer = lots - 1 if lots < whole else whole - min(whole, least)
    needed = initial - initial_in(step, m, whole * price) + initial_in(step, m, (whole - fewer) * price)
    if (equity - reward(fewer)) * BASIS_POINTS >= needed:
        raise Violation(f"{lots} lots of {owner} were liquidated, {fewer} would have been enough")
    if lots < whole and whole - lots < least:
        raise Violation(f"{whole - lots} lots are left of {owner}, which is dust")
    asked = min(step.action.args[2], whole)
    needed = initial - initial_in(step, m, whole * price) + initial_in(step, m, (whole - lots) * price)
    if lots < asked and (equity - reward(lots)) * BASIS_POINTS < needed:
        raise Violation(f"{lots} lots of {owner} were liquidated of {asked}, and it is still short")
    if lots > asked and whole - asked >= least:
        raise Violation(f"{lots} lots of {owner} were liquidated, and {asked} were asked for")
    paid = reward(lots)
    fee = paid * step.contract(DESK).fee_share // BASIS_POINTS
    if (-trade.one_gets, trade.other_gets, step.outcome.value) != (paid, paid - fee, paid):
        raise Violation(f"{trade} for {paid}, of which {fee} are the fund's")
    if (equity - paid) * maintenance < equity * left:
        raise Violation(f"{owner} keeps {equity - paid} of {equity} for {left} of {maintenance}")
