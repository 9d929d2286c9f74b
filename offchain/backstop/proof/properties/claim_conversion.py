"""Property of claims that are converted to equity."""

from __future__ import annotations

from backstop.model.bounds import EQUITY_MARKET
from backstop.proof.properties.figures.arithmetic import BASIS_POINTS, RAY
from backstop.proof.properties.figures.prices import time_weighted
from backstop.proof.properties.registry import Violation, transition_property
from backstop.proof.properties.transition import Changes, Transition


@transition_property(185, events=["*.Converted"])
def claims_convert_at_the_floor_or_above(step: Transition, changes: Changes) -> None:
    """Check that a claim brings no more equity than its face value buys at the set price and at the floor.

    The floor is a share of the average price of equity: all of it where the series has no other.
    """
    for log in step.outcome.logs:
        if log.event != "Converted":
            continue
        series, old = step.contract(log.contract), step.before(log.contract, "series")
        _, _, tokens, equity = log.values
        owed = old.outstanding * tokens // old.tokens
        share = getattr(series, "floor_share", BASIS_POINTS)
        floor = -(-time_weighted(step, step.before, EQUITY_MARKET) * share // BASIS_POINTS)
        price = max(series.set_price, floor)
        if equity * price > owed * RAY:
            raise Violation(
                f"{log.contract}: {owed} bring {equity} of equity, at a price of {price} at least"
            )
