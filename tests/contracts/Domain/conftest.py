"""A protocol with two domains, of which `Rollup` has drawn 100,000."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.domain_steps import deploy_domain, draw_stablecoin


@pytest.fixture
def bridged(new_protocol):
    return deploy_domain(new_protocol)


@pytest.fixture
def owing(bridged):
    draw_stablecoin(bridged, 100_000 * WAD)
    return bridged
