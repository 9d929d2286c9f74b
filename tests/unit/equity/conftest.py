"""Equity tokens in the states that the tests of their functions start from."""

from __future__ import annotations

import pytest

from offchain.model.roles import MINTER
from tests.equity import with_equity


@pytest.fixture
def equity(new_protocol):
    """A token of which 1,000 may be created in an epoch of 7 days, by `minter`."""
    made = new_protocol(with_equity("buffer", "savings", mint_cap=1_000))
    made.do("Equity.grant_role", MINTER, "minter", sender="admin")
    return made
