"""A pool in lockstep: empty, with members, and with lots that are nobody's beside it."""

import pytest

from tests.support.backstop_pool import pooled, seized, staffed


@pytest.fixture
def pool(new_protocol):
    return pooled(new_protocol)


@pytest.fixture
def members(pool):
    return staffed(pool)


@pytest.fixture
def offered(members):
    return seized(members)
