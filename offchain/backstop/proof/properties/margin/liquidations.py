"""The property of liquidations in the margin market: who gets what, and no more than is needed."""

from __future__ import annotations

from backstop.model.arithmetic import WAD
from backstop.proof.properties.figures.margin import (
    ACCOUNTS,
    INTERESTS,
    MARKET,
    POSITIONS,
    add_on,
    contract,
    frozen_market,
    index,
    liquidation_price,
    side_of,
    traded,
    worth,
)
from backstop.proof.properties.registry import Violation, transition_property
from backstop.proof.properties.transition import Changes, Transition


@transition_property(54, calls=["MarginMarket.liquidate"])
def a_liquidation_takes_what_it_needs(step: Transition, changes: Changes) -> None:
    """Assert that lots change hands at the liquidation price, for a reward that the terms say, rounded down.

    It is a part of what the account lacks to its maintenance margin, at most its equity, in the part of that
    margin that goes with the lots. A share of it is fees, the rest the liquidator's. One lot less, or all but
    dust, would have left the account under its initial margin; no dust is left of a position.
    """
    if not step.calls(MARKET, "liquidate"):
        return
    owner, m, lots = step.action.args
    by = step.action.sender
    terms = step.after("MarginPolicy", "terms", m)
    price = liquidation_price(step, m)
    size = step.before(MARKET, POSITIONS, (owner, m)).size
    whole = abs(size)
    if not price or frozen_market(step, step.before) == m or not 0 < lots <= whole:
        raise Violation(f"{lots} of {whole} lots of {owner} were liquidated at a price of {price}")

    def margin(rate: int, left: int) -> int:
        return left * price * rate + add_on(terms[5:9], left * price)

    found = worth(step, step.before, owner, lambda market, _: liquidation_price(step, market))
    lacks = max(0, found.maintenance // 10_000 - found.equity)
    most = min(found.equity, lacks * terms.discount // 10_000)

    def reward(taken: int) -> int:
        relieved = margin(terms.maintenance, whole) - margin(terms.maintenance, whole - taken)
        return most * relieved // found.maintenance

    least = max(1, -(-step.after("MarginPolicy", "underlyings", m).dust * WAD // price))
    fewer = lots - 1 if lots < whole else whole - min(whole, least)
    initial = found.initial - margin(terms.initial, whole) + margin(terms.initial, whole - fewer)
    if (found.equity - reward(fewer)) * 10_000 >= initial:
        raise Violation(f"{lots} lots of {owner} were liquidated, {fewer} would have been enough")
    if lots < whole and whole - lots < least:
        raise Violation(f"{whole - lots} lots are left of {owner}, which is dust")

    delta = -lots if size > 0 else lots
    at, paid = price - index(step, step.before, m), reward(lots)
    fee = paid * contract(step, MARKET).fee_share // 10_000
    mine, _ = traded(side_of(step.before, owner, m), delta, at)
    theirs, _ = traded(side_of(step.before, by, m), -delta, at)
    expected = mine._replace(cash=mine.cash - paid), theirs._replace(cash=theirs.cash + paid - fee)
    sides = side_of(step.after, owner, m), side_of(step.after, by, m)
    fees = step.after(MARKET, "fees") - step.before(MARKET, "fees")
    if sides != expected or fees != fee or step.outcome.value != paid:
        raise Violation(
            f"{by} took {lots} lots of {owner}: {sides} and {fees} of fees, not {expected}, {fee}"
        )
    touched = {each.key for each in changes.get(ACCOUNTS, ())}
    touched |= {each.key[0] for each in changes.get(POSITIONS, ()) if each.key[1] == m}
    unpaid = (read(MARKET, INTERESTS, m).unpaid for read in (step.before, step.after))
    if not touched <= {owner, by} or len(set(unpaid)) > 1 or "held" in changes:
        raise Violation(f"{by} liquidated {owner}, and {touched} changed")
