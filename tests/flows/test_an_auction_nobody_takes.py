"""Nobody bids: the auction is reset while the lot is worth something, closed when it is worth nothing."""

import pytest

from backstop.model.arithmetic import RAD, RAY, WAD
from tests.support.auctions import NOBODY, WETH, event, stablecoins, start, take
from tests.support.books import SAVINGS, cover, deficit, event_of, hold_price, reserve, saved
from tests.support.helpers import reverts
from tests.support.savings import save

TARGET = 13_560 * WAD
# 50 and 0.1% of the target, for the liquidation and for each reset.
REWARD = 50 * WAD + TARGET // 1_000
# 0.99 ^ 92 < 0.4: the first step at which a reset is due
DUE = 92 * 90


@pytest.fixture
def ignored(quiet):
    """An auction of 10 WETH for a debt of 12,000, started at 1,500; one saver of 20,000."""
    protocol = quiet(rewards=True)
    save(protocol, "saver", 20_000 * WAD)
    assert start(protocol) == 1
    assert event(protocol, "AuctionStarted")[3:] == (10 * WAD, 1_800 * RAY, TARGET * RAY, 12_000 * RAD)
    return protocol


def reset(protocol, price):
    """Wait until a reset is due, and reset at a price; the top and the reward."""
    protocol.advance(DUE - 1)
    with reverts("collateral_auction: not due"):
        protocol.do("CollateralAuction.reset", 1, "crank", sender="crank")
    protocol.advance(1)
    with reverts("collateral_auction: needs reset"):
        take(protocol, 1)
    with reverts("collateral_auction: still open"):
        protocol.do("CollateralAuction.close", 1, sender="stranger")
    protocol.post_price("WETH", price)
    protocol.do("CollateralAuction.reset", 1, "crank", sender="crank")
    return event(protocol, "AuctionReset")[1:]


def test_reset_reset_closed(ignored):
    assert reserve(ignored) == 0
    assert stablecoins(ignored, "liquidator") == REWARD
    assert reset(ignored, 1_400 * RAY) == (1_680 * RAY, REWARD)
    # Rewards without a reserve are a loss like any other.
    assert deficit(ignored, WETH) == 2 * REWARD * RAY

    # The rest of the lot is worth less than any auction should be: no reward, it would be farmed.
    assert reset(ignored, 220 * RAY) == (264 * RAY, 0)
    assert stablecoins(ignored, "crank") == REWARD
    ignored.advance(DUE)
    hold_price(ignored, "WETH", 226 * RAY, 3 * 3_600)
    with reverts("collateral_auction: has value"):
        ignored.do("CollateralAuction.close", 1, sender="stranger")

    hold_price(ignored, "WETH", 225 * RAY, 3 * 3_600)
    ignored.do("CollateralAuction.close", 1, sender="stranger")
    assert event(ignored, "AuctionClosed") == (1, WETH, 12_000 * RAD, 10 * WAD)
    assert deficit(ignored, WETH) == 12_000 * RAD + 2 * REWARD * RAY
    assert ignored.read("VaultEngine.in_auction_of", WETH) == 0
    assert ignored.table("VaultEngine", "ledger.salvage", WETH) == 10 * WAD
    vault = ignored.table("VaultEngine", "vaults", (WETH, ignored.address("borrower")))
    assert (vault.locked_collateral, vault.normalized_debt) == (0, 0)


def test_the_saver_bears_it(ignored):
    hold_price(ignored, "WETH", RAY, 4 * 3_600)
    ignored.do("CollateralAuction.close", 1, sender="stranger")
    loss = 12_000 * WAD + REWARD
    assert event_of(ignored, WETH).created == loss * RAY
    most = 10_000 * WAD
    assert cover(ignored, WETH) == {SAVINGS: most * RAY}
    assert saved(ignored) == 20_000 * WAD - most
    assert deficit(ignored, WETH) == (loss - most) * RAY
    with reverts("collateral_auction: no auction"):
        ignored.do("CollateralAuction.close", 1, sender="stranger")


def test_rewards_end_with_the_penalty(quiet):
    protocol = quiet(rewards=True)
    protocol.do("CollateralAuction.set_rewards", WETH, 600, 0, sender="admin")
    start(protocol)
    paid = [stablecoins(protocol, "liquidator")]
    for _ in range(3):
        protocol.advance(DUE)
        paid.append(reset_again(protocol))
    # The penalty of 1,560 is all that rewards of one auction can take.
    assert paid == [600 * WAD, 600 * WAD, 360 * WAD, 0]
    assert sum(paid) == 1_560 * WAD
    assert stablecoins(protocol, "crank") == 960 * WAD


def reset_again(protocol):
    protocol.post_price("WETH", 1_500 * RAY)
    protocol.do("CollateralAuction.reset", 1, "crank", sender="crank")
    return event(protocol, "AuctionReset")[2]


def test_whoever_comes_late_still_gets_the_market_price(ignored):
    reset(ignored, 1_400 * RAY)
    ignored.give_stablecoin("taker", 20_000 * WAD)
    take(ignored, 1, max_price=1_680 * RAY)
    sold = TARGET * RAY // (1_680 * RAY)
    assert event(ignored, "Taken")[2:] == (sold, TARGET, 0)
    # All principal came in: the only loss is the rewards, and the penalty is in the buffer for them.
    assert ignored.read("VaultEngine.buffer_of", WETH) == 1_560 * RAD
    ended = event(ignored, "AuctionEnded")
    assert ended[3] == 10 * WAD - sold and ended[2] != NOBODY
    assert cover(ignored, WETH) == {0: 2 * REWARD * RAY}
    assert saved(ignored) == 20_000 * WAD
