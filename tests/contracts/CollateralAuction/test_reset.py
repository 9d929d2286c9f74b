"""reset: start the price again from the higher of current and next, for a reward of penalty that came in."""

import pytest

from backstop.model.arithmetic import RAD, RAY, WAD
from tests.support.auction_steps import (
    WETH,
    get_only_event_values,
    liquidate_vault,
    read_stablecoins,
    take_collateral,
)
from tests.support.ledger_reading_steps import hold_price
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.settlement_steps import start_settlement

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


@pytest.mark.parametrize("coming", [1_000, 1_100, 1_101, 2_000])
def test_starts_from_the_next_price_where_that_is_higher(funded, auction, coming):
    later(funded, 1_100)
    funded.post_next("WETH", coming * RAY)
    reset(funded, auction)
    assert state(funded, auction).top == max(1_100, coming) * RAY * 12 // 10


def test_starts_from_what_a_halt_holds_back(funded, auction):
    """And a halt changes nothing of it."""
    funded.do("PriceFeed.set_halted", WETH, True, sender="admin")
    later(funded, 1_100)
    funded.post_next("WETH", 1_200 * RAY)
    assert funded.read("PriceFeed.prices_of", WETH)[:2] == (1_100 * RAY, 0)
    reset(funded, auction)
    assert state(funded, auction).top == 1_440 * RAY


@pytest.fixture
def repaid(funded):
    return mostly_repaid(funded)


def mostly_repaid(funded):
    """A large auction of which only penalty is left to raise, some of it in; it is due for a reset."""
    funded.give_stablecoin("taker", 100_000 * WAD)
    funded.borrow("saver", "WETH", 100 * WAD, 120_000 * WAD)
    funded.post_price("WETH", 1_500 * RAY)
    id = liquidate_vault(funded, "saver")
    # Of a penalty of 15,600 two thirds are in.
    take_collateral(funded, id, (state(funded, id).target - 5_200 * RAD) // (1_800 * RAY))
    assert state(funded, id).principal == 0
    later(funded, 1_400)
    return funded, id


def test_pays_the_same_reward_as_the_start_of_penalty_that_is_in(repaid):
    """The reward is that of the auction's start, also if reward settings have changed since."""
    protocol, id = repaid
    protocol.do("CollateralAuction.set_rewards", WETH, 0, 0, sender="admin")
    budget, target = state(protocol, id).reward_budget, state(protocol, id).target
    reset(protocol, id, receiver="stranger", sender="stranger")
    reward = 50 * WAD + target // RAY // 1_000
    assert read_stablecoins(protocol, "stranger") == reward
    assert state(protocol, id).reward_budget == budget - reward
    assert get_only_event_values(protocol, "AuctionReset") == (id, 1_680 * RAY, reward)


def test_rewards_end_with_the_penalty_that_is_in(funded):
    """After any number of resets: all rewards, that of the start too, are less than the penalty paid in."""
    funded.do("CollateralAuction.set_rewards", WETH, 4_000, 0, sender="admin")
    protocol, id = mostly_repaid(funded)
    before = read_stablecoins(protocol, "liquidator")
    for _ in range(4):
        reset(protocol, id)
        later(protocol, 1_400)
    reset(protocol, id)
    found = state(protocol, id)
    assert read_stablecoins(protocol, "liquidator") - before > 6_000 * WAD
    assert found.reward_budget * RAY == found.target
    assert get_only_event_values(protocol, "AuctionReset")[2] == 0


def test_pays_nothing_of_a_penalty_that_is_not_in(funded, auction):
    budget, reserve = state(funded, auction).reward_budget, funded.read("VaultEngine.reserve")
    later(funded, 1_400)
    reset(funded, auction, receiver="stranger", sender="stranger")
    assert read_stablecoins(funded, "stranger") == 0
    assert state(funded, auction).reward_budget == budget
    assert funded.read("VaultEngine.reserve") == reserve
    assert get_only_event_values(funded, "AuctionReset") == (auction, 1_680 * RAY, 0)


def test_not_while_the_price_is_good(funded, auction):
    with reverts("collateral_auction: not due"):
        reset(funded, auction)
    funded.advance(90 * 91)
    with reverts("collateral_auction: not due"):
        reset(funded, auction)


def test_not_a_lot_that_can_be_given_up(funded, auction):
    """A hundredth of the minimum, 22.60, is a price of 2.26 for 10 WETH. The highest price counts."""
    hold_price(funded, "WETH", 225 * RAY // 100, TAIL + 5 * 3_600)
    before = state(funded, auction)
    with reverts("collateral_auction: worthless"):
        reset(funded, auction)
    assert state(funded, auction) == before
    hold_price(funded, "WETH", 226 * RAY // 100, 3_600)
    reset(funded, auction)


def test_a_lot_that_is_worth_nothing_at_the_current_price_alone(funded, auction):
    """The average of the last hours still says that it has value, so it cannot be given up."""
    later(funded, 1)
    with reverts("collateral_auction: has value"):
        funded.do("CollateralAuction.close", auction, sender="stranger")
    reset(funded, auction)


def test_a_worthless_lot_of_which_nearly_all_principal_is_repaid(funded):
    """Less than a coin of it is left: there is something to give up all the same."""
    funded.give_stablecoin("taker", 200_000 * WAD)
    funded.borrow("saver", "WETH", 100 * WAD, 120_000 * WAD)
    funded.post_price("WETH", 1_500 * RAY)
    id = liquidate_vault(funded, "saver")
    price = funded.read("CollateralAuction.status", id)[1]
    take_collateral(funded, id, (state(funded, id).principal - WAD * RAY // 2) // price)
    assert 0 < state(funded, id).principal < RAD
    hold_price(funded, "WETH", RAY // 1_000, TAIL + 5 * 3_600)
    with reverts("collateral_auction: worthless"):
        reset(funded, id)


def test_a_worthless_lot_of_which_the_principal_is_repaid(repaid):
    """There is nothing to give up: the rest of the lot is its owner's."""
    protocol, id = repaid
    protocol.do("CollateralAuction.reset", id, "stranger", sender="stranger")
    hold_price(protocol, "WETH", RAY // 1_000, TAIL + 5 * 3_600)
    with reverts("collateral_auction: repaid"):
        protocol.do("CollateralAuction.close", id, sender="stranger")
    reset(protocol, id)


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
    take_collateral(funded, auction)
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


def test_no_reward_for_a_lot_under_the_least(repaid):
    protocol, id = repaid
    lot = state(protocol, id).lot
    for worth, paid in ((2_259, 0), (2_261, 55)):
        later(protocol, 1)
        for _ in range(2):
            protocol.post_price("WETH", worth * RAD // lot)
        before = read_stablecoins(protocol, "stranger")
        reset(protocol, id, receiver="stranger", sender="stranger")
        assert (read_stablecoins(protocol, "stranger") - before) // WAD == paid


def test_not_for_a_reward_in_settlement(repaid):
    protocol, id = repaid
    start_settlement(protocol)
    protocol.post_price("WETH", 1_400 * RAY)
    with reverts("ledger: in settlement"):
        reset(protocol, id)


def test_what_the_reserve_lacks_is_a_deficit_beside_the_penalty_in_the_buffer(funded):
    funded.do("CollateralAuction.set_rewards", WETH, 5_000, 0, sender="admin")
    protocol, id = mostly_repaid(funded)
    reserve = protocol.read("VaultEngine.reserve")
    reset(protocol, id)
    reward = get_only_event_values(protocol, "AuctionReset")[2]
    assert reward == 5_000 * WAD > reserve // RAY
    assert protocol.read("VaultEngine.reserve") == 0
    lost = protocol.read("VaultEngine.deficit_of", WETH)
    assert reward * RAY - reserve <= lost < protocol.read("VaultEngine.buffer_of", WETH)
