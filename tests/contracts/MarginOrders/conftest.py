"""A protocol with a margin market, and two traders with 10,000 each."""

import pytest

from tests.support.margin import opened, stage


@pytest.fixture
def margin(new_protocol):
    return stage(opened(new_protocol), maker=10_000, taker=10_000, third=10_000)
