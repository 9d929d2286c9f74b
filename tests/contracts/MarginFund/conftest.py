"""A fund with an account as its market; withdrawn profits of three buckets of time."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.margin_fund_steps import create_margin_fund_with_cap, lock_profit


@pytest.fixture
def margin(new_protocol):
    made = new_protocol(prices=True)
    made.give_stablecoin("rich", 1_000_000 * WAD)
    return create_margin_fund_with_cap(made)


@pytest.fixture
def profits(margin):
    """Pay out 100 each: the winner's in three buckets and another account's in the last."""
    for day in range(3):
        if day:
            margin.advance(86_400)
        lock_profit(margin, "winner", 100 * WAD)
    lock_profit(margin, "other", 100 * WAD)
    return margin
