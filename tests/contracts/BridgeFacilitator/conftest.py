"""A protocol with two facilitators, of which `Rollup` has drawn 100,000."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.facilitator_steps import deploy_facilitator, draw_stablecoin


@pytest.fixture
def bridged(new_protocol):
    return deploy_facilitator(new_protocol)


@pytest.fixture
def owing(bridged):
    draw_stablecoin(bridged, 100_000 * WAD)
    return bridged
