"""A market in lockstep, and one in which people trade."""

import pytest

from tests.support.perpetuals import crowded, opened


@pytest.fixture
def market(new_protocol):
    return opened(new_protocol)


@pytest.fixture
def crowd(market):
    return crowded(market)
