"""A market whose positions close by rank, and one in which a long has failed."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.perpetuals import fallen, fallen_crowd, opened


@pytest.fixture
def market(new_protocol):
    return opened(new_protocol, third_bond=WAD, policy="ranked")


@pytest.fixture
def crash(market):
    return fallen(market)


@pytest.fixture
def crowd(market):
    """Thirty have gained, as many as two calls take."""
    return fallen_crowd(market)
