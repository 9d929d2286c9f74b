"""reset: start the price again from the market price of now, for a reward within the penalty."""

import pytest

from backstop.model.arithmetic import RAY, WAD
from tests.support.auctions import WETH, event, liquidate, stablecoins, start, take
from tests.support.helpers import reverts

TAIL = 8_400


def reset(protocol, id, receiver="liquidator", sender="liquidator"):
    protocol.do("CollateralAuction.reset", id, receiver, sender=sender)


def state(protocol, id):
    return protocol.read("CollateralAuction.auction_of", id)


def later(protocol, price):
    """After the tail, with a fresh price."""
    protocol.advance(TAIL + 1)
    protocol.post_price("WETH", price * RAY)


def test_starts_from_the_market_price_of_now(funded, auction):
    before = state(funded, auction)
    later(funded, 1_100)
    assert funded.read("CollateralAuction.status", auction)[0]
    reset(funded, auction)
    after = state(funded, auction)
    assert (after.top, after.started_at) == (1_320 * RAY, funded.timestamp)
    assert (after.lot, after.target, after.principal) == (before.lot, before.target, before.principal)
    assert funded.read("CollateralAuction.status", auction)[:2] == (False, 1_320 * RAY)


def test_pays_the_same_reward_as_the_start(funded, auction):
    first = stablecoins(funded, "liquidator")
    budget = state(funded, auction).reward_budget
    later(funded, 1_400)
    reset(funded, auction, receiver="saver", sender="stranger")
    assert stablecoins(funded, "saver") == first
    assert state(funded, auction).reward_budget == budget - first
    assert event(funded, "AuctionReset") == (auction, 1_680 * RAY, first)


def test_not_while_the_price_is_good(funded, auction):
    with reverts("collateral_auction: not due"):
        reset(funded, auction)
    funded.advance(90 * 91)
    with reverts("collateral_auction: not due"):
        reset(funded, auction)


def test_under_the_cusp(funded, auction):
    """0.99**92 is 0.397: under 40% before the tail is over."""
    funded.advance(90 * 92)
    funded.report("WETH", 1_500 * RAY)
    assert funded.timestamp <= state(funded, auction).started_at + TAIL
    reset(funded, auction)


def test_needs_a_fresh_price(funded, auction):
    funded.advance(14_401)
    with reverts("collateral_auction: no price"):
        reset(funded, auction)


def test_neither_a_halt_nor_a_grace_stops_it(funded, auction):
    funded.do("PriceFeed.set_guards", 0, 0, 1, 86_400, 0, sender="admin")
    funded.advance(14_401)
    funded.do("PriceFeed.set_halted", 0, True, sender="admin")
    funded.post_next("WETH", 1_000 * RAY)
    assert funded.read("PriceFeed.liquidation_price", 0) == 0
    reset(funded, auction)
    assert state(funded, auction).top == 1_200 * RAY


def test_at_the_last_price_of_a_dead_feed(funded, auction):
    funded.do("PriceFeed.set_guards", 0, 0, 1, 0, 86_400, sender="admin")
    funded.advance(14_400 + 86_400)
    with reverts("collateral_auction: no price"):
        reset(funded, auction)
    funded.advance(1)
    reset(funded, auction)
    assert state(funded, auction).top == 1_800 * RAY


def test_not_without_a_lot(funded, auction):
    funded.advance(90 * 60)
    take(funded, auction)
    later(funded, 1_400)
    with reverts("collateral_auction: empty lot"):
        reset(funded, auction)


@pytest.mark.parametrize(("level", "stopped"), [(1, False), (2, True)])
def test_stop_levels(funded, auction, level, stopped):
    funded.do("CollateralAuction.set_stop", WETH, level, sender="admin")
    later(funded, 1_400)
    if stopped:
        with reverts("collateral_auction: no resets"):
            reset(funded, auction)
    else:
        reset(funded, auction)


def test_an_unknown_auction(funded):
    with reverts("collateral_auction: no auction"):
        reset(funded, 1)


def test_no_reward_for_a_lot_under_the_least(funded, auction):
    earned = stablecoins(funded, "liquidator")
    later(funded, 225)
    reset(funded, auction)
    assert stablecoins(funded, "liquidator") == earned
    assert event(funded, "AuctionReset")[2] == 0
    # One worth the least, 2,260, is rewarded.
    later(funded, 226)
    reset(funded, auction)
    assert stablecoins(funded, "liquidator") > earned


def test_no_reward_for_a_target_under_the_least(funded):
    """The floor was higher than the debt when the auction began; that it is lower now is for later ones."""
    funded.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)
    funded.do("VaultEngine.set_debt_floor", WETH, 20_000, sender="admin")
    funded.post_price("WETH", 1_500 * RAY)
    auction = liquidate(funded)
    funded.do("VaultEngine.set_debt_floor", WETH, 1, sender="admin")
    earned = stablecoins(funded, "liquidator")
    later(funded, 1_400)
    reset(funded, auction)
    assert stablecoins(funded, "liquidator") == earned


def test_the_reward_ends_with_the_penalty(funded):
    funded.do("CollateralAuction.set_rewards", WETH, 700, 0, sender="admin")
    id = start(funded)
    penalty = (state(funded, id).target - state(funded, id).principal) // RAY
    for _ in range(4):
        later(funded, 1_500)
        reset(funded, id)
    earned = stablecoins(funded, "liquidator")
    assert 0 <= penalty - earned < 10**12
    assert state(funded, id).reward_budget == 0
    assert event(funded, "AuctionReset")[2] == 0


def test_what_the_reserve_lacks_is_a_deficit(funded, auction):
    later(funded, 1_400)
    reserve = funded.read("VaultEngine.reserve")
    deficit = funded.read("VaultEngine.deficit_of", WETH)
    reset(funded, auction)
    reward = event(funded, "AuctionReset")[2]
    paid = min(reserve, reward * RAY)
    assert funded.read("VaultEngine.reserve") == reserve - paid
    assert funded.read("VaultEngine.deficit_of", WETH) == deficit + reward * RAY - paid
