"""vault: how many auctions and workouts of a vault are open; each end counts once."""

import pytest

from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from tests.support.auction_steps import WETH, liquidate_vault, start_auction, take_collateral
from tests.support.saver_steps import lose_new_vault
from tests.support.settlement_steps import start_settlement as begin_settlement
from tests.support.settlement_steps import unwind_auctions
from tests.support.workout_steps import (
    OWED,
    deploy_with_workouts,
    foreclose_workout,
    give_borrowed_stablecoin,
    pay_workout,
    start_workout,
)


def open_lots(protocol, owner="borrower", c=WETH):
    return protocol.read("VaultEngine.vault", c, owner).open_lots


def test_of_one_vault_until_they_are_sold(protocol):
    protocol.give_stablecoin("taker", 40_000 * WAD)
    assert open_lots(protocol) == 0
    protocol.borrow("neighbour", "WETH", 10 * WAD, 12_000 * WAD)
    ids = [start_auction(protocol), liquidate_vault(protocol, "neighbour")]
    assert (open_lots(protocol), open_lots(protocol, "neighbour")) == (1, 1)
    take_collateral(protocol, ids[0], WAD)
    assert open_lots(protocol) == 1
    take_collateral(protocol, ids[0])
    assert (open_lots(protocol), open_lots(protocol, "neighbour")) == (0, 1)
    take_collateral(protocol, ids[1])
    assert open_lots(protocol, "neighbour") == 0


def test_until_they_are_given_up(protocol):
    lose_new_vault(protocol)
    assert all(open_lots(protocol, owner, c) == 0 for owner in ("borrower", "neighbour") for c in range(3))


def test_salvage_is_nobodys(protocol):
    """Its sale ends without a vault, whether it is sold or unwound."""
    protocol.give_stablecoin("taker", 40_000 * WAD)
    lose_new_vault(protocol)
    lose_new_vault(protocol, "WBTC")
    for c, symbol in ((2, "XAU"), (1, "WBTC")):
        protocol.post_price(symbol, 2_500 * RAY)
        protocol.do("CollateralAuction.sell_salvage", c, sender="stranger")
    take_collateral(protocol, 3)
    begin_settlement(protocol)
    protocol.do("CollateralAuction.unwind", 4, sender="stranger")
    assert protocol.read("CollateralAuction.last_id") == 4


def test_in_settlement_until_they_are_unwound(protocol):
    start_auction(protocol)
    begin_settlement(protocol)
    assert open_lots(protocol) == 1
    unwind_auctions(protocol)
    assert open_lots(protocol) == 0


@pytest.fixture
def two(new_protocol):
    """Two workouts."""
    protocol = deploy_with_workouts(new_protocol)
    start_workout(protocol)
    start_workout(protocol, "neighbour")
    assert (open_lots(protocol), open_lots(protocol, "neighbour")) == (1, 1)
    return protocol


def test_a_workout_counts_until_its_last_payment(two):
    give_borrowed_stablecoin(two, "borrower", OWED)
    pay_workout(two, 1, OWED - 1)
    assert open_lots(two) == 1
    pay_workout(two, 1, MAX_UINT256)
    assert open_lots(two) == 0


def test_one_that_is_topped_up_counts_once(two):
    two.mint_and_approve_collateral("WETH", "borrower", WAD)
    two.do("VaultEngine.deposit_and_draw", WETH, "borrower", WAD, 0, "borrower", sender="borrower")
    two.do("Workouts.top_up", 1, WAD, sender="borrower")
    assert open_lots(two) == 1


def test_one_that_is_foreclosed_counts_once(two):
    """It goes on as an auction under its id."""
    two.post_price("WETH", 1_300 * RAY)
    foreclose_workout(two, 1)
    assert open_lots(two) == 1
    give_borrowed_stablecoin(two, "taker", 40_000 * WAD)
    take_collateral(two, 1)
    assert open_lots(two) == 0


def test_one_that_is_unwound_counts_no_more(two):
    begin_settlement(two)
    two.do("Workouts.unwind", 2, sender="stranger")
    assert (open_lots(two), open_lots(two, "neighbour")) == (1, 0)
