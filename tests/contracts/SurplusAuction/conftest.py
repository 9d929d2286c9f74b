"""Auctions of surplus in the states that the tests of their functions start from."""

from __future__ import annotations

import pytest

from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from tests.support.equity_steps import (
    build_equity_parameters,
    hold_equity_price_until_average,
    post_prices_and_fund_people,
)
from tests.support.saver_steps import earn_year_of_high_fees


@pytest.fixture
def offering(new_protocol):
    """Thousands for sale in lots of 500; equity is at 100; the taker has 10,000 of it."""
    made = post_prices_and_fund_people(
        new_protocol(build_equity_parameters("buffer", "savings", surplus_lot=500))
    )
    earn_year_of_high_fees(made)
    made.do("Treasury.set_target", 1_000, sender="admin")
    made.do("Treasury.set_shares", (0,), sender="admin")
    made.do("Treasury.distribute", sender="stranger")
    made.do("Equity.transfer", "taker", 10_000 * WAD, sender="admin")
    made.do("Equity.approve", "SurplusAuction", MAX_UINT256, sender="taker")
    hold_equity_price_until_average(made, 100 * RAY)
    return made


@pytest.fixture
def auction(offering):
    """The same with a lot for sale."""
    offering.do("SurplusAuction.start", sender="stranger")
    return offering
