"""open_lots: how many auctions and workouts of vaults are open; each end counts once."""

import pytest

from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from tests.support.auctions import liquidate, start, take
from tests.support.savings import lose
from tests.support.settling import begin as begin_settlement
from tests.support.settling import unwind
from tests.support.workouts import OWED, begin, foreclose, give, opened_with_workouts, pay


def open_lots(protocol):
    return protocol.read("CollateralAuction.open_lots")


def last_id(protocol):
    return protocol.read("CollateralAuction.last_id")


def test_of_all_types_until_they_are_sold(protocol):
    protocol.give_stablecoin("taker", 40_000 * WAD)
    assert open_lots(protocol) == last_id(protocol) == 0
    protocol.borrow("neighbour", "WETH", 10 * WAD, 12_000 * WAD)
    ids = [start(protocol), liquidate(protocol, "neighbour")]
    assert open_lots(protocol) == last_id(protocol) == 2
    take(protocol, ids[0], WAD)
    assert open_lots(protocol) == 2
    take(protocol, ids[0])
    assert open_lots(protocol) == 1
    take(protocol, ids[1])
    assert (open_lots(protocol), last_id(protocol)) == (0, 2)


def test_until_they_are_given_up(protocol):
    lose(protocol)
    assert (open_lots(protocol), last_id(protocol)) == (0, 1)


def test_salvage_is_nobodys(protocol):
    """Its sale has an id and is no lot of a vault, whether it is sold or unwound."""
    protocol.give_stablecoin("taker", 40_000 * WAD)
    lose(protocol)
    lose(protocol, "WBTC")
    for c, symbol in ((2, "XAU"), (1, "WBTC")):
        protocol.post_price(symbol, 2_500 * RAY)
        protocol.do("CollateralAuction.sell_salvage", c, sender="stranger")
        assert open_lots(protocol) == 0
    take(protocol, 3)
    begin_settlement(protocol)
    protocol.do("CollateralAuction.unwind", 4, sender="stranger")
    assert (open_lots(protocol), last_id(protocol)) == (0, 4)


def test_in_settlement_until_they_are_unwound(protocol):
    start(protocol)
    begin_settlement(protocol)
    assert open_lots(protocol) == 1
    unwind(protocol)
    assert open_lots(protocol) == 0


@pytest.fixture
def two(new_protocol):
    """Two workouts."""
    protocol = opened_with_workouts(new_protocol)
    begin(protocol)
    begin(protocol, "neighbour")
    assert open_lots(protocol) == last_id(protocol) == 2
    return protocol


def test_a_workout_counts_until_its_last_payment(two):
    give(two, "borrower", OWED)
    pay(two, 1, OWED - 1)
    assert open_lots(two) == 2
    pay(two, 1, MAX_UINT256)
    assert open_lots(two) == 1


def test_one_that_is_foreclosed_counts_once(two):
    """It goes on as an auction under its id."""
    two.post_price("WETH", 1_300 * RAY)
    foreclose(two, 1)
    assert open_lots(two) == last_id(two) == 2
    give(two, "taker", 40_000 * WAD)
    take(two, 1)
    assert open_lots(two) == 1


def test_one_that_is_unwound_counts_no_more(two):
    begin_settlement(two)
    two.do("Workouts.unwind", 2, sender="stranger")
    assert open_lots(two) == 1
