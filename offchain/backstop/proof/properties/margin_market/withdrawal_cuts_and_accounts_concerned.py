"""Properties of cash in the margin market: deposits, withdrawals, and the accounts that a call may change."""

from __future__ import annotations

from typing import Any

from backstop.lockstep.step_transition import Changes, Transition
from backstop.proof.properties.independent_arithmetic.margin_figures import (
    ACCOUNTS,
    BONDS,
    CLOCK,
    CLOSER,
    CLOSING,
    FEES,
    HELD,
    LATE,
    MARKET,
    PAID_IN,
    POOL,
    POSITIONS,
    REWARDS,
    TRADING,
    build_trade_from_events,
    compute_account_equity,
    compute_most_booking_reward,
    get_market_changes,
    get_market_fund_name,
    get_withdrawing_account,
    has_margin_market,
    is_up_to_date,
    list_event_values,
    list_met_accounts,
    read_position_sizes,
    sum_bond_rewards_by_receiver,
)
from backstop.proof.properties.margin_market.eager_settlement_model import BOOKED, SEIZED
from backstop.proof.properties.property_registry import PropertyViolationError, transition_property


@transition_property(86, calls=[f"{MARKET}.deposit", f"{MARKET}.withdraw"])
def late_losses_cut_withdrawals_equally(step: Transition, changes: Changes) -> None:
    """Check amounts of margin market deposits and withdrawals (property 86).

    Both are paid in full. While the market has late losses (booked and unpaid), a withdrawal is cut pro rata
    to the market's holdings. Deposits leave first. The rest is profit, which the market's fund holds until it
    vests. Without positions an account keeps the cash that gains not yet final may have to pay. After a final
    price, nothing leaves before the losses of that cycle are final. Raises PropertyViolationError otherwise.
    """
    method, args, sender = step.action.method, step.action.args, step.action.sender
    if step.action.contract != MARKET or method not in ("deposit", "withdraw"):
        return
    held = step.read_post_state(MARKET, HELD) - step.read_pre_state(MARKET, HELD)
    late = step.read_post_state(MARKET, LATE) - step.read_pre_state(MARKET, LATE)
    if method == "deposit":
        owner, amount = args
        was, now = (read(MARKET, PAID_IN, owner) for read in (step.read_pre_state, step.read_post_state))
        if (held, late, now - was) != (amount, 0, amount) or _list_stablecoin_transfers(step) != [
            (sender, _get_market_address(step), amount)
        ]:
            raise PropertyViolationError(
                f"a deposit of {amount} moved {held}, {late}, {now - was} and "
                f"{_list_stablecoin_transfers(step)}"
            )
        if is_up_to_date(step, step.read_pre_state, owner):
            cash = (
                step.read_post_state(MARKET, ACCOUNTS, owner).cash
                - step.read_pre_state(MARKET, ACCOUNTS, owner).cash
            )
            if cash != amount:
                raise PropertyViolationError(f"a deposit of {amount} is worth {cash} to {owner}")
    else:
        _check_withdrawal_amounts(step, held, late)


def _check_withdrawal_amounts(step: Transition, held_change: int, late_change: int) -> None:
    amount, receiver = step.action.args[:2]
    owner = get_withdrawing_account(step.action)
    others = _sum_payments_for_late_losses(step)
    was = step.read_pre_state(MARKET, LATE) - others
    free = max(0, step.read_pre_state(MARKET, HELD) + others - step.read_post_state(MARKET, FEES))
    paid = amount * free // (free + was) if was else amount
    moved = held_change - others, late_change + others
    if amount > free + was or step.outcome.value != paid or moved != (-paid, paid - amount):
        raise PropertyViolationError(
            f"{owner} got {step.outcome.value} of {amount}, with {free} free and {was} late"
        )
    if len(step.action.args) > 3 and paid < step.action.args[3]:
        raise PropertyViolationError(f"{owner} got {paid}, and asked for {step.action.args[3]} at least")
    brought = step.read_pre_state(MARKET, PAID_IN, owner)
    own = min(paid, brought)
    if step.read_post_state(MARKET, PAID_IN, owner) != brought - own:
        raise PropertyViolationError(f"{own} of {brought} that {owner} brought has left, and counts")
    fund = step.get_contract(get_market_fund_name(step))
    sent = [(_get_market_address(step), receiver, own)] * bool(own)
    locked = [values[:3] for values in list_event_values(step, "ProfitLocked", contract=fund.label)]
    if paid > own:
        sent.append((_get_market_address(step), fund.address, paid - own))
        if locked != [(receiver, step.model.timestamp // fund.length, paid - own)]:
            raise PropertyViolationError(f"of {paid}, {own} were brought, and {locked} is locked")
    if [each for each in _list_stablecoin_transfers(step) if each[0] == _get_market_address(step)] != sent:
        raise PropertyViolationError(f"{_list_stablecoin_transfers(step)} was sent, not {sent}")
    closed_in = step.read_post_state(MARKET, CLOSING)
    if closed_in and step.read_post_state(MARKET, CLOCK).cycle < closed_in + 2:
        raise PropertyViolationError(f"{owner} left in the cycle in which prices became final, or the next")
    if not read_position_sizes(step.read_post_state, owner):
        found = compute_account_equity(step, owner)
        if found.equity < found.unfinal:
            raise PropertyViolationError(f"{owner} left with {amount}, and {found} stays")


def _sum_payments_for_late_losses(step: Transition) -> int:
    """Return all payments in this call for late losses, which are booked and unpaid [wei].

    They come from unvested profits, insurance and the protocol.
    """
    absorbed = list_event_values(step, "LossAbsorbed", contract=get_market_fund_name(step))
    posted = list_event_values(step, "ShortfallPosted", contract=get_market_fund_name(step))
    return sum(clawed + insured for _, clawed, insured in absorbed) + sum(amount for (amount,) in posted)


def _get_market_address(step: Transition) -> str:
    return str(step.get_contract(MARKET).address)


def _list_stablecoin_transfers(step: Transition) -> list[tuple[Any, ...]]:
    return list_event_values(step, "Transfer", contract="Stablecoin")


@transition_property(
    91,
    writes=[ACCOUNTS, POSITIONS, PAID_IN, HELD, LATE, BONDS, REWARDS],
    calls=[f"{MARKET}.*", f"{TRADING}.*", f"{POOL}.*", f"{CLOSER}.*"],
)
def call_moves_only_concerned_accounts(step: Transition, changes: Changes) -> None:
    """Check that a margin market call changes only the accounts that it concerns (property 91).

    Calls that mark prices, end cycles, collect fees or post losses change no account. An update changes its
    owner's account. A seizure also changes the caller's account, by its reward. Deleveraging changes the
    named accounts. Tokens leave only by withdrawals and as fees. Raises PropertyViolationError otherwise.
    """
    if not has_margin_market(step):
        return
    contract, method, args, sender = step.action
    own = _get_market_address(step)
    touched = {
        *get_market_changes(changes, ACCOUNTS),
        *(key[0] for key in get_market_changes(changes, POSITIONS)),
    }
    touched |= set(get_market_changes(changes, PAID_IN))
    mine = contract in (MARKET, TRADING, POOL, "MarginOrders")
    trade = build_trade_from_events(step) if mine else None
    if trade is not None:
        concerned = {trade.one, *([trade.other] if method != "take" else [])}
        concerned |= set(sum_bond_rewards_by_receiver(step))
    elif contract == MARKET:
        concerned = {
            "deposit": {args[0]} if args else set(),
            "withdraw": {get_withdrawing_account(step.action)},
            "update_account": {args[0]} if args else set(),
            "gains_of": {args[0]} if args else set(),
            "seize_insolvent": {*list_met_accounts(step), sender},
            "update_and_seize": {*list_met_accounts(step), sender},
        }.get(method, set())
    elif contract == CLOSER:
        # Whoever it names is brought up to date.
        concerned = {*args[2], *sum_bond_rewards_by_receiver(step)}
    else:
        concerned = {step.get_contract(POOL).address} if contract == POOL else set()
    if not touched <= concerned:
        raise PropertyViolationError(
            f"{contract}.{method} changed {touched - concerned}, whose affair it is not"
        )
    left = [
        amount
        for who, to, amount in _list_stablecoin_transfers(step)
        if who == own and to != _get_fund_address(step)
    ]
    if left and (contract, method) not in ((MARKET, "withdraw"), (POOL, "leave")):
        raise PropertyViolationError(f"{left} left the market by {contract}.{method}")
    _check_finder_bond_payments(step, changes)


def _get_fund_address(step: Transition) -> str:
    return str(step.get_contract(MARKET).fund_address)


def _check_finder_bond_payments(step: Transition, changes: Changes) -> None:
    """Check that bonds pay a third each to the caller that seizes and the caller that books a loss.

    The last third stays for takers. For booking the caller gets an additional reward that grows with the time
    since the cycle's end. Raises PropertyViolationError otherwise.
    """
    third, finders = step.get_contract(MARKET).third_bond, list_event_values(step, "FinderPaid")
    seized = {values[0] for values in list_event_values(step, "Seized")}
    for account, finder, amount in finders:
        if finder != step.action.sender or account not in list_met_accounts(step):
            raise PropertyViolationError(f"{amount} for {account} went to {finder}")
        if amount > third + compute_most_booking_reward(step) or (
            amount != third and not list_event_values(step, "Booked")
        ):
            raise PropertyViolationError(
                f"{finder} found {account}, and got {amount} where a third of a bond is {third}"
            )
    booked = {values[0] for values in list_event_values(step, "Booked")}
    if len(finders) > len(seized) + len(booked):
        raise PropertyViolationError(
            f"{len(finders)} times a finder was paid for {seized} seized and {booked} booked"
        )
    for bit, acted_on in ((SEIZED, seized), (BOOKED, booked)):
        if left := [each for each in acted_on if step.read_post_state(MARKET, ACCOUNTS, each).bond & bit]:
            raise PropertyViolationError(f"of the bonds of {left} a third was to be paid, and is there")
    by = step.action.sender
    if finders and by not in list_met_accounts(step) and is_up_to_date(step, step.read_pre_state, by):
        cash = (
            step.read_post_state(MARKET, ACCOUNTS, by).cash - step.read_pre_state(MARKET, ACCOUNTS, by).cash
        )
        if cash != sum(amount for _, _, amount in finders):
            raise PropertyViolationError(f"{by} was paid {finders}, and has {cash} more")
    accounts = get_market_changes(changes, ACCOUNTS).values()
    thirds = sum(each.new.bond.bit_count() - each.old.bond.bit_count() for each in accounts)
    kept = step.read_post_state(MARKET, REWARDS) - step.read_pre_state(MARKET, REWARDS)
    if step.read_post_state(MARKET, BONDS) - step.read_pre_state(MARKET, BONDS) != third * thirds + kept:
        raise PropertyViolationError(
            f"accounts have {thirds} thirds more, and bonds are {step.read_post_state(MARKET, BONDS)}"
        )
