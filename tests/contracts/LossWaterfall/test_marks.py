"""mark_vault, mark_auction: losses that are plain to see, before they are booked; a wick sets none."""

import pytest

from backstop.model.arithmetic import BASIS_POINTS, RAD, RAY, WAD
from tests.support.helpers import reverts
from tests.support.protocol import PRICES
from tests.support.savings import XAU, save

DISCOUNT = 1_000
DEBT = 10_000 * WAD


@pytest.fixture
def falling(protocol):
    """A vault of 20,000 in gold and 10,000 of debt, and a saver."""
    for symbol, price in PRICES.items():
        protocol.post_price(symbol, price)
    save(protocol, "saver", 40_000 * WAD)
    protocol.borrow("borrower", "XAU", 8 * WAD, DEBT)
    return protocol


def fall(protocol, price, hours=4):
    """Keep a price until the time-weighted one has followed."""
    for _ in range(hours):
        protocol.post_price("XAU", price)


def shortfall(protocol, collateral, debt, price):
    return max(0, debt - collateral * price * (BASIS_POINTS - DISCOUNT) // BASIS_POINTS)


def debt_of(protocol):
    """After its fee is charged."""
    protocol.do("VaultEngine.accrue", XAU, sender="stranger")
    vault = protocol.read("VaultEngine.vault", XAU, "borrower")
    return vault.normalized_debt * protocol.read("VaultEngine.debts_of", XAU).accumulated_rate


def pending(protocol):
    return protocol.read("LossWaterfall.pending_total")


def test_a_vault_is_marked_by_what_a_sale_in_a_hurry_would_not_repay(falling):
    fall(falling, 1_000 * RAY)
    mark = falling.do("LossWaterfall.mark_vault", XAU, "borrower", sender="stranger")
    price = falling.read("PriceFeed.time_weighted", XAU)
    assert mark == shortfall(falling, 8 * WAD, debt_of(falling), max(price, 1_000 * RAY)) > 0
    assert falling.read("LossWaterfall.mark_of_vault", XAU, "borrower") == mark
    assert falling.read("LossWaterfall.marked", XAU) == mark == pending(falling)


def test_a_safe_vault_has_no_mark(falling):
    assert falling.do("LossWaterfall.mark_vault", XAU, "borrower", sender="stranger") == 0
    assert pending(falling) == 0


def test_a_wick_marks_nothing(falling):
    """One step at a hundredth of the price: the time-weighted price has not followed."""
    falling.post_price("XAU", 25 * RAY)
    assert falling.do("LossWaterfall.mark_vault", XAU, "borrower", sender="stranger") == 0


def test_a_mark_reverses_with_the_price(falling):
    fall(falling, 1_000 * RAY)
    falling.do("LossWaterfall.mark_vault", XAU, "borrower", sender="stranger")
    falling.post_price("XAU", 2_500 * RAY)
    assert falling.do("LossWaterfall.mark_vault", XAU, "borrower", sender="stranger") == 0
    assert falling.read("LossWaterfall.marked", XAU) == 0 == pending(falling)


def test_a_mark_dies_with_the_debt(falling):
    fall(falling, 1_000 * RAY)
    falling.do("LossWaterfall.mark_vault", XAU, "borrower", sender="stranger")
    falling.give_stablecoin("borrower", 20_000 * WAD)
    falling.do(
        "VaultEngine.repay_and_withdraw", XAU, "borrower", 2**256 - 1, 0, "borrower", sender="borrower"
    )
    falling.advance(10 * 86_400)  # no price is needed to clear it
    assert falling.do("LossWaterfall.mark_vault", XAU, "borrower", sender="stranger") == 0
    assert pending(falling) == 0


def test_a_dead_feed_marks_nothing(falling):
    falling.advance(10 * 86_400)
    with reverts("marks: no price"):
        falling.do("LossWaterfall.mark_vault", XAU, "borrower", sender="stranger")


def liquidate(protocol):
    return protocol.do("LiquidationEngine.liquidate", XAU, "borrower", "liquidator", sender="liquidator")


def test_an_auction_takes_over_the_mark_of_its_vault(falling):
    fall(falling, 1_000 * RAY)
    falling.do("LossWaterfall.mark_vault", XAU, "borrower", sender="stranger")
    auction = liquidate(falling)
    mark = falling.do("LossWaterfall.mark_auction", auction, sender="stranger")
    assert falling.read("LossWaterfall.mark_of_vault", XAU, "borrower") == 0
    assert falling.read("LossWaterfall.mark_of_auction", auction) == mark
    assert falling.read("LossWaterfall.marked", XAU) == mark
    principal = falling.read("CollateralAuction.auction_of", auction).principal
    price = max(falling.read("PriceFeed.time_weighted", XAU), 1_000 * RAY)
    assert mark == shortfall(falling, 8 * WAD, principal, price) > 0


def test_the_mark_of_an_auction_that_is_over_is_cleared(falling):
    fall(falling, 1_000 * RAY)
    auction = liquidate(falling)
    falling.do("LossWaterfall.mark_auction", auction, sender="stranger")
    falling.give_stablecoin("taker", 30_000 * WAD)
    falling.do("CollateralAuction.take", auction, 8 * WAD, 2**255, "taker", b"", sender="taker")
    # The lot is sold, for less than the debt: the rest is a deficit now, no mark.
    assert falling.do("LossWaterfall.mark_auction", auction, sender="stranger") > 0
    falling.do("CollateralAuction.close", auction, sender="stranger")
    assert falling.do("LossWaterfall.mark_auction", auction, sender="stranger") == 0
    assert falling.read("LossWaterfall.marked", XAU) == 0
    assert pending(falling) == falling.read("VaultEngine.deficit_of", XAU) > 0
    falling.advance(10 * 86_400)
    assert falling.do("LossWaterfall.mark_auction", auction, sender="stranger") == 0


def test_an_auction_that_never_was(falling):
    assert falling.do("LossWaterfall.mark_auction", 77, sender="stranger") == 0
    assert falling.read("CollateralAuction.position_of", 77) == (0, "0x" + "00" * 20, 0, 0)


def test_members_of_pools_cannot_leave_ahead_of_it(falling):
    fall(falling, 100 * RAY)
    mark = falling.do("LossWaterfall.mark_vault", XAU, "borrower", sender="stranger")
    held = falling.read("VaultEngine.buffer_of", XAU) + falling.read("VaultEngine.reserve")
    assert falling.read("LossWaterfall.losses_beyond", "Savings") == mark - held > 0
    assert falling.read("Savings.pending_losses") == -(-(mark - held) // RAY)


def test_caps_do_not_change_while_there_is_one(falling):
    stages = range(falling.read("LossWaterfall.stage_count"))
    terms = [tuple(falling.read("LossWaterfall.stage_terms", k)) for k in stages]
    falling.do("LossWaterfall.propose_caps", terms, sender="admin")
    falling.advance(30 * 86_400)
    falling.post_price("XAU", 1_000 * RAY)
    fall(falling, 1_000 * RAY)
    assert falling.do("LossWaterfall.mark_vault", XAU, "borrower", sender="stranger") > 0
    with reverts("loss_waterfall: losses open"):
        falling.do("LossWaterfall.apply_caps", terms, sender="stranger")


def test_the_discount_is_the_admins(falling):
    for sender in ("stranger", "guardian"):
        with reverts("roles: not admin"):
            falling.do("LossWaterfall.set_mark_discount", 0, sender=sender)
    with reverts("marks: discount bounds"):
        falling.do("LossWaterfall.set_mark_discount", 5_001, sender="admin")
    for discount in (0, 5_000):
        falling.do("LossWaterfall.set_mark_discount", discount, sender="admin")
        assert falling.read("LossWaterfall.mark_discount") == discount
    assert falling.last.logs[-1].values == (5_000,)
    fall(falling, 2_000 * RAY)
    price = max(falling.read("PriceFeed.time_weighted", XAU), 2_000 * RAY)
    mark = falling.do("LossWaterfall.mark_vault", XAU, "borrower", sender="stranger")
    assert mark == max(0, debt_of(falling) - 8 * WAD * price // 2) > RAD
