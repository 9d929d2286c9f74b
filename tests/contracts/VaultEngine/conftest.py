"""The starting states of the tests of the vault engine's functions."""

from __future__ import annotations

import pytest

from backstop.model.arithmetic import RAY
from tests.support.auction_steps import TERMS, list_token


@pytest.fixture
def free(protocol):
    """A type without a fee, at 2,000: its rate stays one ray, so every limit can be met to the wei."""
    return list_token(protocol, "FREE", 18, 2_000 * RAY, TERMS)
