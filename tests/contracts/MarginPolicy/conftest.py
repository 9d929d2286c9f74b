"""A protocol with two perpetual markets."""

import pytest

from tests.support.trading import trading


@pytest.fixture
def margin(new_protocol):
    return trading(new_protocol)
