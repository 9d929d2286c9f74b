"""A protocol in which gains share losses, with a long that is worth less than nothing."""

import pytest

from tests.margin import fill, move, opened, stage, with_margin


@pytest.fixture
def crowd(new_protocol):
    """The maker is long 1,000 lots with 3,000 of margin; three shorts, of very different leverage."""
    made = opened(new_protocol, with_margin(deleveraging="shared"))
    stage(made, maker=3_000, taker=1_500, third=40_000, fourth=1_500, liquidator=50_000)
    fill(made, "maker", "taker", 400)
    fill(made, "maker", "third", 500)
    fill(made, "maker", "fourth", 100)
    return made


@pytest.fixture
def insolvent(crowd):
    """The maker owes 1,000 more than it has."""
    move(crowd, "WETH", 1_600)
    return crowd
