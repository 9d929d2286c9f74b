"""A protocol with two perpetual markets."""

import pytest

from tests.support.perpetual_protocol_steps import deploy_with_margin


@pytest.fixture
def margin(new_protocol):
    return deploy_with_margin(new_protocol)
