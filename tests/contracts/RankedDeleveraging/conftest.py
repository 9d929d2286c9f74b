"""A market whose positions close by rank, and one in which a long has failed."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.perpetuals import deploy_perpetuals, make_crowd_long_insolvent, make_long_insolvent


@pytest.fixture
def market(new_protocol):
    return deploy_perpetuals(new_protocol, third_bond=WAD, policy="ranked")


@pytest.fixture
def crash(market):
    return make_long_insolvent(market)


@pytest.fixture
def crowd(market):
    """Thirty have gained, as many as two calls take."""
    return make_crowd_long_insolvent(market)
