"""An auction of 10 WETH for a little over 12,000 plus penalty, at 1,500, and a taker with funds."""

from __future__ import annotations

import pytest

from backstop.model.arithmetic import WAD
from tests.support.auction_steps import start_auction


@pytest.fixture
def funded(protocol):
    """The taker has 40,000 stablecoins; the borrower's vault is not open yet."""
    protocol.give_stablecoin("taker", 40_000 * WAD)
    return protocol


@pytest.fixture
def auction(funded):
    """The id of the auction, just started."""
    return start_auction(funded)
