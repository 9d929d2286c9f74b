"""A pool in lockstep: empty, with members, and with lots that are nobody's beside it."""

import pytest

from tests.support.market_with_pool import deploy_market_with_pool, deposit_two_members, seize_long


@pytest.fixture
def pool(new_protocol):
    return deploy_market_with_pool(new_protocol)


@pytest.fixture
def members(pool):
    return deposit_two_members(pool)


@pytest.fixture
def offered(members):
    return seize_long(members)
