"""A protocol in which gains share losses, with a long that is worth less than nothing."""

import pytest

from tests.support.margin import begin, crowded, move


@pytest.fixture
def crowd(new_protocol):
    return crowded(new_protocol, policy="shared")


@pytest.fixture
def insolvent(crowd):
    """The maker owes 1,000 more than it has."""
    move(crowd, "WETH", 1_600)
    return crowd


@pytest.fixture
def frozen(insolvent):
    """One of its markets is frozen."""
    begin(insolvent, "maker")
    return insolvent
