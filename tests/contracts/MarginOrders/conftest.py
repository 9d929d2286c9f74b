"""A protocol with a perpetual market, and three traders with 10,000 each."""

import pytest

from tests.support.perpetual_protocol_steps import deploy_with_margin


@pytest.fixture
def margin(new_protocol):
    return deploy_with_margin(new_protocol, maker=10_000, taker=10_000, third=10_000)
