"""The checks of fair sales and losses tell a sale at an outdated price, and a loss that takes too much."""

import pytest

from backstop.model.arithmetic import RAD, RAY, WAD
from backstop.model.bounds import EQUITY_MARKET
from backstop.studies.hunt.game import Game, Run
from backstop.system import Log

KEEPER = "0x" + "11" * 20


@pytest.fixture
def game():
    """A game with equity, whose price is 100 and will be 50, and of its first type 10 and then 30."""
    found = Game(Run(1, "equity"))
    feed = found.contracts["PriceFeed"]
    until = found.system.timestamp + 60
    for market, current, coming in ((EQUITY_MARKET, 100, 50), (0, 10, 30)):
        prices = feed.prices[market]
        feed.prices[market] = prices._replace(current=current * RAY, next=coming * RAY, fresh_until=until)
    return found


def told(game, event, contract, *values):
    return [each.size // WAD for each in game.fair._sale(Log(contract, event, values))]


def lot(game, top, amount=100):
    return told(game, "AuctionStarted", "CollateralAuction", 1, 0, "", amount * WAD, top * RAY, RAD, RAD)


def test_a_lot_costs_what_it_is_worth_at_the_higher_price(game):
    assert lot(game, 30) == [] and lot(game, 36) == []
    assert lot(game, 20) == [1_000]
    # Less than a hundred coins is no story.
    assert lot(game, 20, amount=9) == []


def test_what_is_withheld_is_shown_and_what_is_from_before_a_gap_is_not(game):
    feed = game.contracts["PriceFeed"]
    feed.prices[0] = feed.prices[0]._replace(next=0)
    assert lot(game, 20) == []
    feed.withheld_prices[0] = 30 * RAY
    assert lot(game, 20) == [1_000]
    feed.prices[0] = feed.prices[0]._replace(fresh_until=game.system.timestamp - 1)
    assert lot(game, 20) == []


def test_equity_for_losses_and_surplus_for_equity(game):
    sold = "AuctionStarted", "StakeAuction", 0, 100 * WAD
    assert told(game, *sold, 9_900 * RAD, 99 * RAY, 50 * RAY) == []
    assert told(game, *sold, 6_000 * RAD, 60 * RAY, 50 * RAY) == [4_000]
    # A coin for a fiftieth of equity is dear enough, for a hundredth it is not.
    surplus = "AuctionStarted", "SurplusAuction", 10_000 * WAD
    assert told(game, *surplus, RAY // 50, RAY // 200) == []
    assert told(game, *surplus, RAY // 100, RAY // 200) == [5_000]


def test_claims_buy_no_equity_below_its_price(game):
    name = next(name for name in game.contracts if name.endswith(".Claims"))
    claims = game.contracts[name]
    game.fair._owed = {name: 1_000 * WAD}
    claims.series[()] = claims.series[()]._replace(outstanding=0)
    assert told(game, "Converted", name, KEEPER, KEEPER, 1, 10 * WAD) == []
    assert told(game, "Converted", name, KEEPER, KEEPER, 1, 20 * WAD) == [1_000]


def is_overcharged(seed):
    """Tell whether a loss takes more of a pool than it costs in a game."""
    return any("takes more of a pool" in each.kind for each in Game(Run(seed, "losses")).play(200))


@pytest.mark.deep(cases=1)
@pytest.mark.parametrize("seed", range(3))
def test_a_loss_takes_no_more_of_a_pool_than_it_costs(seed):
    assert not is_overcharged(seed)


def test_a_pool_that_voids_shares_of_worth_is_told(monkeypatch):
    """The reserve then has what members lose."""
    monkeypatch.setattr("backstop.model.pool.LEAST_ASSETS", 10**30)
    assert is_overcharged(0)
