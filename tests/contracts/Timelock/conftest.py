"""The standard deployment under a timelock, with prices."""

import pytest

from tests.support.timelock_proposals import deploy_with_timelock


@pytest.fixture
def timelocked(new_protocol):
    return deploy_with_timelock(new_protocol)
