"""Treasuries in the states that the tests of their functions start from."""

from __future__ import annotations

import pytest

from tests.equity import open_protocol, with_equity
from tests.savings import fill


@pytest.fixture
def treasury(new_protocol):
    """A reserve of thousands over a target of 1,000; savers get a quarter of new surplus."""
    made = open_protocol(new_protocol(with_equity("buffer", "savings")))
    fill(made)
    made.do("Treasury.set_target", 1_000, sender="admin")
    return made


@pytest.fixture
def offering(treasury):
    """The same, with all of the surplus for sale."""
    treasury.do("Treasury.set_shares", (0,), sender="admin")
    treasury.do("Treasury.distribute", sender="stranger")
    return treasury
