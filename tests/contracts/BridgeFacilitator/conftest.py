"""A protocol with two facilitators, of which `Rollup` has drawn 100,000."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.facilitator_steps import deploy_protocol_with_facilitators, draw_stablecoin_as_bridge


@pytest.fixture
def bridged(new_protocol):
    return deploy_protocol_with_facilitators(new_protocol)


@pytest.fixture
def owing(bridged):
    draw_stablecoin_as_bridge(bridged, 100_000 * WAD)
    return bridged
