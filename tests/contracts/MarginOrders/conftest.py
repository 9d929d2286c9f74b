"""A protocol with a perpetual market, and three traders with 10,000 each."""

import pytest

from tests.support.trading import trading


@pytest.fixture
def margin(new_protocol):
    return trading(new_protocol, maker=10_000, taker=10_000, third=10_000)
