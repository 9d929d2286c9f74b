"""A market with pro-rata deleveraging, and one in which a long has failed."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.perpetual_test_market import deploy_perpetuals, open_and_bankrupt_long


@pytest.fixture
def market(new_protocol):
    return deploy_perpetuals(new_protocol, third_bond=WAD, policy="shared")


@pytest.fixture
def crash(market):
    return open_and_bankrupt_long(market)
