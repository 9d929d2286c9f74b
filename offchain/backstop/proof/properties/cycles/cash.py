"""Properties of cash in the margin market: in, out, and whose affair a call is."""

from __future__ import annotations

from typing import Any

from backstop.proof.properties.cycles.shadow import BOOKED, SEIZED
from backstop.proof.properties.figures.cycles import (
    ACCOUNTS,
    BONDS,
    CLOCK,
    CLOSER,
    CLOSING,
    DESK,
    FEES,
    HELD,
    LATE,
    MARKET,
    PAID_IN,
    POOL,
    POSITIONS,
    REWARDS,
    fund_of,
    leaver_of,
    met,
    ours,
    pay_by_now,
    rewarded,
    sizes_of,
    standing_of,
    there,
    told,
    trade_of,
    up_to_date,
)
from backstop.proof.properties.registry import Violation, transition_property
from backstop.proof.properties.transition import Changes, Transition


@transition_property(86, calls=[f"{MARKET}.deposit", f"{MARKET}.withdraw"])
def a_shortage_is_shared_by_who_leaves(step: Transition, changes: Changes) -> None:
    """Assert that cash is paid in whole, and out whole, or pro rata of what is held while losses are late.

    What leaves first is what came in; the rest is profit, which the fund locks. Without positions nothing
    leaves that gains which are not final may have to pay; once prices are final, nothing before the losses
    of that cycle are.
    """
    method, args, sender = step.action.method, step.action.args, step.action.sender
    if step.action.contract != MARKET or method not in ("deposit", "withdraw"):
        return
    held = step.after(MARKET, HELD) - step.before(MARKET, HELD)
    late = step.after(MARKET, LATE) - step.before(MARKET, LATE)
    if method == "deposit":
        owner, amount = args
        was, now = (read(MARKET, PAID_IN, owner) for read in (step.before, step.after))
        if (held, late, now - was) != (amount, 0, amount) or _sent(step) != [
            (sender, _address(step), amount)
        ]:
            raise Violation(f"a deposit of {amount} moved {held}, {late}, {now - was} and {_sent(step)}")
        if up_to_date(step, step.before, owner):
            cash = step.after(MARKET, ACCOUNTS, owner).cash - step.before(MARKET, ACCOUNTS, owner).cash
            if cash != amount:
                raise Violation(f"a deposit of {amount} is worth {cash} to {owner}")
    else:
        _check_withdrawal(step, held, late)


def _check_withdrawal(step: Transition, held: int, late: int) -> None:
    amount, receiver = step.action.args[:2]
    owner = leaver_of(step.action)
    others = _paid_for_late(step)
    was = step.before(MARKET, LATE) - others
    free = max(0, step.before(MARKET, HELD) + others - step.after(MARKET, FEES))
    paid = amount * free // (free + was) if was else amount
    moved = held - others, late + others
    if amount > free + was or step.outcome.value != paid or moved != (-paid, paid - amount):
        raise Violation(f"{owner} got {step.outcome.value} of {amount}, with {free} free and {was} late")
    if len(step.action.args) > 3 and paid < step.action.args[3]:
        raise Violation(f"{owner} got {paid}, and asked for {step.action.args[3]} at least")
    brought = step.before(MARKET, PAID_IN, owner)
    own = min(paid, brought)
    if step.after(MARKET, PAID_IN, owner) != brought - own:
        raise Violation(f"{own} of {brought} that {owner} brought has left, and counts")
    fund = step.contract(fund_of(step))
    sent = [(_address(step), receiver, own)] * bool(own)
    locked = [values[:3] for values in told(step, "ProfitLocked", contract=fund.label)]
    if paid > own:
        sent.append((_address(step), fund.address, paid - own))
        if locked != [(receiver, step.model.timestamp // fund.length, paid - own)]:
            raise Violation(f"of {paid}, {own} were brought, and {locked} is locked")
    if [each for each in _sent(step) if each[0] == _address(step)] != sent:
        raise Violation(f"{_sent(step)} was sent, not {sent}")
    closed_in = step.after(MARKET, CLOSING)
    if closed_in and step.after(MARKET, CLOCK).cycle < closed_in + 2:
        raise Violation(f"{owner} left in the cycle in which prices became final, or the next")
    if not sizes_of(step.after, owner):
        found = standing_of(step, owner)
        if found.equity < found.unfinal:
            raise Violation(f"{owner} left with {amount}, and {found} stays")


def _paid_for_late(step: Transition) -> int:
    """Return what unvested profits, insurance and the protocol paid in a call for what is late."""
    absorbed = told(step, "LossAbsorbed", contract=fund_of(step))
    posted = told(step, "ShortfallPosted", contract=fund_of(step))
    return sum(clawed + insured for _, clawed, insured in absorbed) + sum(amount for (amount,) in posted)


def _address(step: Transition) -> str:
    return str(step.contract(MARKET).address)


def _sent(step: Transition) -> list[tuple[Any, ...]]:
    return told(step, "Transfer", contract="Stablecoin")


@transition_property(
    91,
    writes=[ACCOUNTS, POSITIONS, PAID_IN, HELD, LATE, BONDS, REWARDS],
    calls=[f"{MARKET}.*", f"{DESK}.*", f"{POOL}.*", f"{CLOSER}.*"],
)
def strangers_move_nobodys_money(step: Transition, changes: Changes) -> None:
    """Assert that a call changes the accounts that are its affair, and no others.

    Whoever brings marks, rolls, fees or the protocol's money changes none; waking, its owner's; meeting, also
    the finder's, by bonds alone; closing by force, those whom it names. Tokens leave by
    withdrawals, and as fees for the fund.
    """
    if not there(step):
        return
    contract, method, args, sender = step.action
    own = _address(step)
    touched = {*ours(changes, ACCOUNTS), *(key[0] for key in ours(changes, POSITIONS))}
    touched |= set(ours(changes, PAID_IN))
    mine = contract in (MARKET, DESK, POOL, "MarginOrders")
    trade = trade_of(step) if mine else None
    if trade is not None:
        concerned = {trade.one, *([trade.other] if method != "take" else [])}
        concerned |= set(rewarded(step))
    elif contract == MARKET:
        concerned = {
            "deposit": {args[0]} if args else set(),
            "withdraw": {leaver_of(step.action)},
            "wake": {args[0]} if args else set(),
            "gains_of": {args[0]} if args else set(),
            "meet": {*met(step), sender},
            "meet_all": {*met(step), sender},
        }.get(method, set())
    elif contract == CLOSER:
        # Whoever it names is brought up to date.
        concerned = {*args[2], *rewarded(step)}
    else:
        concerned = {step.contract(POOL).address} if contract == POOL else set()
    if not touched <= concerned:
        raise Violation(f"{contract}.{method} changed {touched - concerned}, whose affair it is not")
    left = [amount for who, to, amount in _sent(step) if who == own and to != _fund_address(step)]
    if left and (contract, method) not in ((MARKET, "withdraw"), (POOL, "leave")):
        raise Violation(f"{left} left the market by {contract}.{method}")
    _check_bonds(step, changes)


def _fund_address(step: Transition) -> str:
    return str(step.contract(MARKET).fund_address)


def _check_bonds(step: Transition, changes: Changes) -> None:
    """Assert that thirds of bonds go to the finder, for seizing and for booking, and stay for rewards.

    For booking it gets more, by the time that the cycle has been pending.
    """
    third, finders = step.contract(MARKET).third_bond, told(step, "FinderPaid")
    seized = {values[0] for values in told(step, "Seized")}
    for account, finder, amount in finders:
        if finder != step.action.sender or account not in met(step):
            raise Violation(f"{amount} for {account} went to {finder}")
        if amount > third + pay_by_now(step) or (amount != third and not told(step, "Booked")):
            raise Violation(f"{finder} found {account}, and got {amount} where a third of a bond is {third}")
    booked = {values[0] for values in told(step, "Booked")}
    if len(finders) > len(seized) + len(booked):
        raise Violation(f"{len(finders)} times a finder was paid for {seized} seized and {booked} booked")
    for bit, acted_on in ((SEIZED, seized), (BOOKED, booked)):
        if left := [each for each in acted_on if step.after(MARKET, ACCOUNTS, each).bond & bit]:
            raise Violation(f"of the bonds of {left} a third was to be paid, and is there")
    by = step.action.sender
    if finders and by not in met(step) and up_to_date(step, step.before, by):
        cash = step.after(MARKET, ACCOUNTS, by).cash - step.before(MARKET, ACCOUNTS, by).cash
        if cash != sum(amount for _, _, amount in finders):
            raise Violation(f"{by} was paid {finders}, and has {cash} more")
    accounts = ours(changes, ACCOUNTS).values()
    thirds = sum(each.new.bond.bit_count() - each.old.bond.bit_count() for each in accounts)
    kept = step.after(MARKET, REWARDS) - step.before(MARKET, REWARDS)
    if step.after(MARKET, BONDS) - step.before(MARKET, BONDS) != third * thirds + kept:
        raise Violation(f"accounts have {thirds} thirds more, and bonds are {step.after(MARKET, BONDS)}")
