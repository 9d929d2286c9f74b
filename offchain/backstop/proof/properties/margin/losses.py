"""The properties of losses in the margin market: who pays first, and what deleveraging moves."""

from __future__ import annotations

from typing import Any

from backstop.model.arithmetic import WAD
from backstop.proof.properties.figures.margin import (
    ACCOUNTS,
    DELEVERAGER,
    FROZEN_PRICES,
    FUND,
    INTERESTS,
    MARKET,
    POSITIONS,
    Side,
    contract,
    liquidation_price,
    markets,
    side_of,
    traded,
    worth,
)
from backstop.proof.properties.registry import Violation, transition_property
from backstop.proof.properties.transition import Changes, Transition

# A bucket with more shares for a wei of what is left in it begins again.
_MOST_SHARES = 2**32


@transition_property(57, calls=["MarginDeleverager.begin"])
def the_fund_pays_before_any_gain(step: Transition, changes: Changes) -> None:
    """Assert that an insolvent account is paid what it lacks out of the fund, as far as that has it.

    First all profits that have not vested pay, pro rata to a wei each; then insurance, swept fees with it, up
    to its cap for the present bucket of time. Only what is still missing has a market frozen, in the part,
    rounded up, that its position has of the account's notional.
    """
    if not step.calls(DELEVERAGER, "begin"):
        return
    owner, m = step.action.args
    found = worth(step, step.before, owner, lambda market, _: _priced(step, market))
    size = step.before(MARKET, POSITIONS, (owner, m)).size
    loss = -found.equity
    if loss <= 0 or not size:
        raise Violation(f"a freeze began for {owner}, who has {found.equity} and {size} lots")
    fund = contract(step, FUND)
    bucket = step.model.timestamp // fund.length
    held = {
        each: step.before(FUND, "buckets", each)
        for each in range(bucket, bucket - fund.bucket_count, -1)
        if step.before(FUND, "buckets", each).assets
    }
    everything = sum(each.assets for each in held.values())
    vested = min(loss, everything)
    dust = _check_clawback(step, changes, held, vested, everything)

    swept = min(step.before(MARKET, "fees"), step.before(MARKET, "held"))
    insurance = step.before(FUND, "insurance")
    amount = insurance.amount + swept + dust
    spent = insurance.spent if insurance.bucket == bucket else 0
    insured = min(loss - vested, amount, max(0, step.after(FUND, "cap") * WAD - spent))
    now = step.after(FUND, "insurance")
    if tuple(now) != (amount - insured, spent + insured, bucket):
        raise Violation(
            f"{insurance} and {swept} of fees became {now} by a loss of {loss}, {vested} unvested"
        )
    paid = vested + insured
    moved = (
        step.after(MARKET, ACCOUNTS, owner).cash - step.before(MARKET, ACCOUNTS, owner).cash,
        step.after(MARKET, "held") - step.before(MARKET, "held"),
        step.after(MARKET, "fees") - step.before(MARKET, "fees"),
    )
    if moved != (paid, paid - swept, -swept) or _accounts(changes) - {owner}:
        raise Violation(f"the fund paid {paid} for {owner}, and {moved} moved")

    begun = [log.values for log in step.outcome.logs if (log.contract, log.event) == (DELEVERAGER, "Begun")]
    if not begun:
        if paid < loss:
            raise Violation(f"{loss - paid} of the loss of {owner} are not paid, and no market is frozen")
        return
    part = -(-(loss - paid) * abs(size) * _priced(step, m) // found.notional)
    positions = step.model.world.contracts[MARKET].tables[POSITIONS]
    others = sum(each.size * size < 0 for (_, at), each in positions.items() if at == m)
    if paid == loss or begun[0][3:] != (abs(size), part, others):
        raise Violation(
            f"{begun} for {abs(size)} lots of {owner}, {part} wei and {others} others; {paid} paid"
        )


def _check_clawback(
    step: Transition, changes: Changes, held: dict[int, Any], taken: int, everything: int
) -> int:
    """Assert what each bucket pays; return what was left in those that began again."""
    total = dust = 0
    for log in step.outcome.logs:
        if log.event != "ClawedBack":
            continue
        bucket, amount, rest = log.values
        old, new = held.pop(bucket), step.after(FUND, "buckets", bucket)
        total, dust = total + amount, dust + rest
        left = old.assets - amount
        if abs(amount * everything - taken * old.assets) >= everything or left < 0:
            raise Violation(f"bucket {bucket}, {old}, paid {amount} of {taken}, {everything} have not vested")
        again = old.shares > left * _MOST_SHARES
        if (new.assets, new.shares, rest) != ((0, 0, left) if again else (left, old.shares, 0)):
            raise Violation(f"bucket {bucket}, {old}, became {new} by a clawback of {amount}, {rest} of dust")
    others = {each.key for each in changes.get("buckets", ())} & held.keys()
    if total != taken or others:
        raise Violation(f"{total} were clawed back, not {taken} of {everything}; {others} changed")
    return dust


def _accounts(changes: Changes) -> set[str]:
    return {each.key for each in changes.get(ACCOUNTS, ())}


def _priced(step: Transition, m: int) -> int:
    price = liquidation_price(step, m)
    if not price:
        raise Violation(f"an account was found insolvent without a price of market {m}")
    return price


@transition_property(58, calls=["MarginDeleverager.execute"])
def deleveraging_moves_lots_at_frozen_prices(step: Transition, changes: Changes) -> None:
    """Assert that lots close at the frozen price, and winners pay the insolvent account, nobody else.

    It counts as a cost of what the winner still holds. What is left at the end is the market's unpaid loss,
    at most what the account lacks; nobody else's account changes.
    """
    if not step.calls(DELEVERAGER, "execute"):
        return
    m, owner = step.before(MARKET, "frozen").market, step.before(DELEVERAGER, "ranking.insolvent")
    price, level = step.before(MARKET, FROZEN_PRICES, m)
    sides: dict[str, Side] = {owner: side_of(step.before, owner, m)}
    unpaid = 0
    for log in step.outcome.logs:
        if (log.contract, log.event) == (DELEVERAGER, "Deleveraged"):
            _, winner, closed, paid = log.values
            mine, theirs = sides[owner], sides.setdefault(winner, side_of(step.before, winner, m))
            if closed > (min(abs(mine.size), abs(theirs.size)) if mine.size * theirs.size < 0 else 0):
                raise Violation(f"{closed} lots were closed of {mine} against {theirs}")
            delta = closed if theirs.size < 0 else -closed
            mine, theirs = traded(mine, -delta, price - level)[0], traded(theirs, delta, price - level)[0]
            cost = theirs.cost + paid if theirs.size else theirs.cost
            sides[winner] = theirs._replace(cash=theirs.cash - paid, cost=cost)
            sides[owner] = mine._replace(cash=mine.cash + paid)
        elif (log.contract, log.event) == (MARKET, "LossLeft"):
            unpaid = log.values[2]
            sides[owner] = sides[owner]._replace(cash=sides[owner].cash + unpaid)
    found = {each: side_of(step.after, each, m) for each in sides}
    if found != sides:
        raise Violation(f"deleveraging made {found}, not {sides}")
    equity = step.after(MARKET, ACCOUNTS, owner).cash
    for each in markets(step):
        frozen, at = step.before(MARKET, FROZEN_PRICES, each)
        equity += step.after(MARKET, POSITIONS, (owner, each)).size * (frozen - at)
    left = step.after(MARKET, INTERESTS, m).unpaid - step.before(MARKET, INTERESTS, m).unpaid
    touched = _accounts(changes)
    if left != unpaid or (unpaid and equity > 0) or not touched <= sides.keys() or "held" in changes:
        raise Violation(f"{unpaid} were left unpaid, {owner} has {equity}; {touched} changed")
