"""A protocol with a margin market."""

import pytest

from tests.support.margin import opened


@pytest.fixture
def margin(new_protocol):
    return opened(new_protocol)
