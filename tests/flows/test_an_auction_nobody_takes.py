"""No taker bids: the auction is reset while the lot has value, and closed when it has none."""

import pytest

from backstop.model.arithmetic import RAD, RAY, WAD
from tests.support.auction_steps import (
    NOBODY,
    WETH,
    get_only_event_values,
    read_stablecoins,
    start_auction,
    take_collateral,
)
from tests.support.ledger_reading_steps import (
    SAVINGS,
    cover_losses,
    hold_price,
    read_deficit,
    read_loss_event,
    read_reserve,
    read_savings_assets,
)
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import deposit_savings

TARGET = 13_560 * WAD
# 50 and 0.1% of the target, for the liquidation.
REWARD = 50 * WAD + TARGET // 1_000
# 0.99 ^ 92 < 0.4: the first step at which a reset is due
DUE = 92 * 90


@pytest.fixture
def ignored(quiet):
    """An auction of 10 WETH for a debt of 12,000, started at 1,500; one saver of 20,000."""
    protocol = quiet(keeps_rewards=True)
    deposit_savings(protocol, "saver", 20_000 * WAD)
    assert start_auction(protocol) == 1
    assert get_only_event_values(protocol, "AuctionStarted")[3:] == (
        10 * WAD,
        1_800 * RAY,
        TARGET * RAY,
        12_000 * RAD,
    )
    return protocol


def reset(protocol, price):
    """Wait until a reset is due, and reset at a price; the top and the reward."""
    protocol.advance(DUE - 1)
    with reverts("collateral_auction: not due"):
        protocol.do("CollateralAuction.reset", 1, "crank", sender="crank")
    protocol.advance(1)
    with reverts("collateral_auction: needs reset"):
        take_collateral(protocol, 1)
    with reverts("collateral_auction: still open"):
        protocol.do("CollateralAuction.close", 1, sender="stranger")
    protocol.post_price("WETH", price)
    protocol.do("CollateralAuction.reset", 1, "crank", sender="crank")
    return get_only_event_values(protocol, "AuctionReset")[1:]


def test_reset_reset_closed(ignored):
    assert read_reserve(ignored) == 0
    assert read_stablecoins(ignored, "liquidator") == REWARD
    # Rewards without a reserve are a loss like any other, so a reset has none: no penalty is in.
    assert reset(ignored, 1_400 * RAY) == (1_680 * RAY, 0)
    assert reset(ignored, 220 * RAY) == (264 * RAY, 0)
    assert read_deficit(ignored, WETH) == REWARD * RAY
    assert read_stablecoins(ignored, "crank") == 0
    # A lot worth a hundredth of the least, 22.60, would be sold to somebody.
    ignored.advance(DUE)
    hold_price(ignored, "WETH", 226 * RAY // 100, 3 * 3_600)
    with reverts("collateral_auction: has value"):
        ignored.do("CollateralAuction.close", 1, sender="stranger")

    hold_price(ignored, "WETH", 225 * RAY // 100, 3 * 3_600)
    ignored.do("CollateralAuction.close", 1, sender="stranger")
    assert get_only_event_values(ignored, "AuctionClosed") == (1, WETH, 12_000 * RAD, 10 * WAD)
    assert read_deficit(ignored, WETH) == 12_000 * RAD + REWARD * RAY
    assert ignored.read("VaultEngine.in_auction_of", WETH) == 0
    assert ignored.table("VaultEngine", "ledger.salvage", WETH) == 10 * WAD
    vault = ignored.table("VaultEngine", "vaults", (WETH, ignored.address("borrower")))
    assert (vault.locked_collateral, vault.normalized_debt) == (0, 0)


def test_the_saver_bears_it(ignored):
    hold_price(ignored, "WETH", RAY, 4 * 3_600)
    ignored.do("CollateralAuction.close", 1, sender="stranger")
    loss = 12_000 * WAD + REWARD
    assert read_loss_event(ignored, WETH).created == loss * RAY
    most = 10_000 * WAD
    assert cover_losses(ignored, WETH) == {SAVINGS: most * RAY}
    assert read_savings_assets(ignored) == 20_000 * WAD - most
    assert read_deficit(ignored, WETH) == (loss - most) * RAY
    with reverts("collateral_auction: no auction"):
        ignored.do("CollateralAuction.close", 1, sender="stranger")


def test_whoever_comes_late_still_gets_the_market_price(ignored):
    reset(ignored, 1_400 * RAY)
    ignored.give_stablecoin("taker", 20_000 * WAD)
    take_collateral(ignored, 1, max_price=1_680 * RAY)
    sold = TARGET * RAY // (1_680 * RAY)
    assert get_only_event_values(ignored, "Taken")[2:] == (sold, TARGET, 0)
    # All principal came in: the only loss is the reward, and the penalty is in the buffer for them.
    assert ignored.read("VaultEngine.buffer_of", WETH) == 1_560 * RAD
    ended = get_only_event_values(ignored, "AuctionEnded")
    assert ended[3] == 10 * WAD - sold and ended[2] != NOBODY
    assert cover_losses(ignored, WETH) == {0: REWARD * RAY}
    assert read_savings_assets(ignored) == 20_000 * WAD
