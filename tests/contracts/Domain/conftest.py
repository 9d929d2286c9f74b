"""A protocol with two domains, of which `Rollup` has drawn 100,000."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.domains import draw, opened


@pytest.fixture
def bridged(new_protocol):
    return opened(new_protocol)


@pytest.fixture
def owing(bridged):
    draw(bridged, 100_000 * WAD)
    return bridged
