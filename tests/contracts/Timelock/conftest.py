"""The standard deployment under a timelock, with prices."""

import pytest

from tests.support.governance import governed


@pytest.fixture
def timelocked(new_protocol):
    return governed(new_protocol)
