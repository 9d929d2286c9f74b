"""A market in lockstep, and one in which people trade."""

import pytest

from tests.support.perpetuals import deploy_perpetuals, open_crowded_positions


@pytest.fixture
def market(new_protocol):
    return deploy_perpetuals(new_protocol)


@pytest.fixture
def crowd(market):
    return open_crowded_positions(market)
