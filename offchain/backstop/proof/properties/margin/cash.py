"""The properties of cash in the margin market: who pays in and out how much, and how the books close."""

from __future__ import annotations

from backstop.proof.properties.figures.margin import (
    ACCOUNTS,
    FROZEN_PRICES,
    FUND,
    INTERESTS,
    MARKET,
    POSITIONS,
    contract,
    frozen_market,
    index,
    last_price,
    markets,
    side_of,
    traded,
)
from backstop.proof.properties.registry import Violation, transition_property
from backstop.proof.properties.transition import Changes, Transition

_MOVES = ("deposit", "withdraw")


@transition_property(52, calls=["MarginMarket.deposit", "MarginMarket.withdraw"])
def cash_is_paid_in_and_out_to_the_wei(step: Transition, changes: Changes) -> None:
    """Assert that who pays in or out has as much more or less, and that what leaves first is what came in.

    The rest is profit, which the fund locks. Once markets are closing, an account gets its part of what is
    held, rounded down, and bears the rest of what nobody has paid. With positions nothing leaves while a
    market of them is frozen or has unpaid losses.
    """
    method = step.action.method
    if step.action.contract != MARKET or method not in _MOVES:
        return
    if method == "deposit":
        owner, amount = step.action.args
        _check(step, changes, owner, amount, amount, amount)
        return
    amount, receiver = step.action.args
    owner = step.action.sender
    cash = step.after(MARKET, ACCOUNTS, owner).cash
    held, unpaid = step.before(MARKET, "held"), _unpaid(step, was=True)
    free = max(0, held - step.before(MARKET, "fees"))
    paid = amount
    if step.before(MARKET, ACCOUNTS, owner).markets:
        frozen = frozen_market(step, step.before)
        for m in markets(step):
            waits = m == frozen or step.before(MARKET, INTERESTS, m).unpaid
            if waits and step.before(MARKET, POSITIONS, (owner, m)).size:
                raise Violation(f"{owner} has lots in market {m} and took {amount} out")
    elif cash < 0:
        raise Violation(f"{owner} took {amount} out and owes {-cash}")
    elif unpaid and step.before(MARKET, "closing_since"):
        paid = amount * free // (free + unpaid)
        if any(step.before(MARKET, INTERESTS, m).open for m in markets(step)):
            raise Violation(f"{owner} took its part of an open market")
    if paid > free:
        raise Violation(f"{paid} were paid of {free}")
    if unpaid - _unpaid(step, was=False) != amount - paid:
        raise Violation(f"{owner} got {paid} of {amount}, and the unpaid losses fell by other than the rest")
    own = min(paid, step.before(MARKET, "paid_in", owner))
    _check(step, changes, owner, -amount, -paid, -own)
    locked = [log.values for log in step.outcome.logs if log.event == "ProfitLocked"]
    bucket = step.model.timestamp // contract(step, FUND).length
    expected = [(receiver, bucket, paid - own)] if paid > own else []
    if [values[:3] for values in locked] != expected:
        raise Violation(f"{paid} of which {own} were brought left {owner}: {locked} was locked")
    _check_tokens(step, receiver, own, paid - own)


def _check(step: Transition, changes: Changes, owner: str, cash: int, held: int, paid_in: int) -> None:
    """Assert what a call adds to an account's cash, to what is held and to what it has brought."""
    found = (
        step.after(MARKET, ACCOUNTS, owner).cash - step.before(MARKET, ACCOUNTS, owner).cash,
        step.after(MARKET, "held") - step.before(MARKET, "held"),
        step.after(MARKET, "paid_in", owner) - step.before(MARKET, "paid_in", owner),
    )
    others = {each.key for path in (ACCOUNTS, "paid_in") for each in changes.get(path, ())} - {owner}
    if found != (cash, held, paid_in) or others or POSITIONS in changes or "fees" in changes:
        raise Violation(f"{step.action.method} of {cash} moved {found} of {owner}, and changed {others}")


def _check_tokens(step: Transition, receiver: str, own: int, profit: int) -> None:
    """Assert which tokens leave the market."""
    market, fund = (step.model.world.contracts[name].address for name in (MARKET, FUND))
    sent = [
        log.values[1:]
        for log in step.outcome.logs
        if log.event == "Transfer" and log.contract == "Stablecoin" and log.values[0] == market
    ]
    if sent != [each for each in ((receiver, own), (fund, profit)) if each[1]]:
        raise Violation(f"{sent} left the market, not {own} and {profit} of profit")


def _unpaid(step: Transition, *, was: bool) -> int:
    read = step.before if was else step.after
    return int(sum(read(MARKET, INTERESTS, m).unpaid for m in markets(step)))


@transition_property(
    53, writes=["closing_since"], calls=["MarginMarket.begin_close", "MarginMarket.close_out"]
)
def markets_close_at_the_last_prices(step: Transition, changes: Changes) -> None:
    """Assert that markets close once, in settlement, at the prices of that moment, and lots against lots.

    Whoever has none left and owes is forgiven it; what is owed becomes the market's unpaid loss.
    """
    if step.calls(MARKET, "begin_close"):
        if not step.after("Settlement", "progress").begun_at or step.before(MARKET, "closing_since"):
            raise Violation("markets began to close before settlement, or once more")
        for m in markets(step):
            expected = last_price(step, m), index(step, step.before, m)
            if tuple(step.after(MARKET, FROZEN_PRICES, m)) != expected:
                raise Violation(
                    f"market {m} closes at {step.after(MARKET, FROZEN_PRICES, m)}, not {expected}"
                )
    elif "closing_since" in changes:
        raise Violation(f"{step.action.method} changed since when markets close")
    if not step.calls(MARKET, "close_out"):
        return
    long, short, m, lots = step.action.args
    price, level = step.before(MARKET, FROZEN_PRICES, m)
    forgiven = 0
    for owner, delta in ((long, -lots), (short, lots)):
        side, _ = traded(side_of(step.before, owner, m), delta, price - level)
        others = step.before(MARKET, ACCOUNTS, owner).markets & ~(1 << m)
        if side.size == 0 and not others and side.cash < 0:
            forgiven, side = forgiven - side.cash, side._replace(cash=0)
        if side.size * delta > 0 or side_of(step.after, owner, m) != side:
            raise Violation(f"{owner} closed out to {side_of(step.after, owner, m)}, not {side}")
    unpaid = step.after(MARKET, INTERESTS, m).unpaid - step.before(MARKET, INTERESTS, m).unpaid
    touched = {each.key for each in changes.get(ACCOUNTS, ())}
    if unpaid != forgiven or not touched <= {long, short} or "held" in changes or "fees" in changes:
        raise Violation(f"{forgiven} were forgiven, {unpaid} became unpaid; {touched} changed")
