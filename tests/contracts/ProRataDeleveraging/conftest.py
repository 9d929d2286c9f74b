"""A market whose positions close by shares, and one in which a long has failed."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.perpetuals import deploy_perpetuals, make_long_insolvent


@pytest.fixture
def market(new_protocol):
    return deploy_perpetuals(new_protocol, third_bond=WAD, policy="shared")


@pytest.fixture
def crash(market):
    return make_long_insolvent(market)
