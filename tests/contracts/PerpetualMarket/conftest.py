"""A market in lockstep, and one with trading accounts."""

import pytest

from tests.support.perpetual_test_market import deploy_perpetuals, open_long_and_two_shorts


@pytest.fixture
def market(new_protocol):
    return deploy_perpetuals(new_protocol)


@pytest.fixture
def crowd(market):
    return open_long_and_two_shorts(market)
