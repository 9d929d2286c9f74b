"""A pool in lockstep: empty, with members, and with unassigned lots beside it."""

import pytest

from tests.support.market_with_pool import (
    add_members_with_unequal_deposits,
    deploy_market_with_pool,
    open_and_seize_long_position,
)


@pytest.fixture
def pool(new_protocol):
    return deploy_market_with_pool(new_protocol)


@pytest.fixture
def members(pool):
    return add_members_with_unequal_deposits(pool)


@pytest.fixture
def offered(members):
    return open_and_seize_long_position(members)
