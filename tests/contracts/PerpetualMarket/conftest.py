"""A market in lockstep; then with a long of 1,000 lots that has 3,000, and two shorts of half of them."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.perpetuals import opened


@pytest.fixture
def market(new_protocol):
    return opened(new_protocol)


@pytest.fixture
def crowd(market):
    """Worth 20 a lot; the long fails under 17."""
    for name, amount in (("long", 3_000), ("first", 10_000), ("second", 10_000), ("other", 10_000)):
        market.deposit(name, amount * WAD)
    market.trade("long", "first", 500)
    market.trade("long", "second", 500)
    return market
