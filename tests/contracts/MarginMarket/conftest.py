"""A protocol with a margin market; then with a long and a short of 1,000 lots, worth 20,000 at the start."""

import pytest

from tests.support.margin import fill, opened, stage


@pytest.fixture
def margin(new_protocol):
    return opened(new_protocol)


@pytest.fixture
def open_interest(margin):
    """The maker is long with 3,000 of margin, the taker short with 20,000."""
    stage(margin, maker=3_000, taker=20_000, liquidator=50_000, third=10_000)
    fill(margin, "maker", "taker", 1_000)
    return margin
