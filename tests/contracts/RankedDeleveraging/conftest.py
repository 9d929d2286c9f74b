"""A market with ranked deleveraging, and one in which a long has failed."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.perpetual_test_market import (
    bankrupt_long_against_many_shorts,
    deploy_perpetuals,
    open_and_bankrupt_long,
)


@pytest.fixture
def market(new_protocol):
    return deploy_perpetuals(new_protocol, third_bond=WAD, policy="ranked")


@pytest.fixture
def crash(market):
    return open_and_bankrupt_long(market)


@pytest.fixture
def crowd(market):
    """Thirty have gained, as many as two calls take."""
    return bankrupt_long_against_many_shorts(market)
