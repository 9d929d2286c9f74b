"""close: principal that nothing can repay becomes a deficit, only when that is certain."""

from backstop.model.arithmetic import RAY, WAD
from tests.support.auction_steps import WETH, get_only_event_values, start_auction, take_collateral
from tests.support.revert_setter_and_source_helpers import reverts

TAIL = 8_400


def close(protocol, id, sender="stranger"):
    protocol.do("CollateralAuction.close", id, sender=sender)


def state(protocol, id):
    return protocol.read("CollateralAuction.auction_of", id)


def hold(protocol, price, seconds=TAIL + 1):
    """Keep a price, in hundredths, for so long that the time-weighted one is the same."""
    end = protocol.timestamp + max(seconds, 5 * 3_600)
    while protocol.timestamp < end:
        protocol.post_price("WETH", price * RAY // 100)


def test_a_sold_out_lot(funded, auction):
    funded.advance(90 * 60)
    take_collateral(funded, auction)
    principal = state(funded, auction).principal
    assert principal > 0
    deficit = funded.read("VaultEngine.deficit_of", WETH)
    close(funded, auction)
    assert get_only_event_values(funded, "AuctionClosed") == (auction, WETH, principal, 0)
    assert funded.read("VaultEngine.deficit_of", WETH) == deficit + principal
    assert funded.read("VaultEngine.in_auction_of", WETH) == 0
    with reverts("collateral_auction: no auction"):
        close(funded, auction)


def test_a_sold_out_lot_that_repaid_the_principal(funded, auction):
    """Only penalty is missing: no principal is lost."""
    target, price = state(funded, auction).target, 1_800 * RAY
    while 10 * WAD * price > target - 500 * WAD * RAY:
        funded.advance(90)
        price = funded.read("CollateralAuction.status", auction)[1]
    take_collateral(funded, auction)
    assert (state(funded, auction).lot, state(funded, auction).principal) == (0, 0)
    deficit = funded.read("VaultEngine.deficit_of", WETH)
    close(funded, auction)
    assert get_only_event_values(funded, "AuctionClosed")[2:] == (0, 0)
    assert funded.read("VaultEngine.deficit_of", WETH) == deficit


def test_a_worthless_lot(funded, auction):
    principal = state(funded, auction).principal
    hold(funded, 200)
    deficit = funded.read("VaultEngine.deficit_of", WETH)
    close(funded, auction)
    assert get_only_event_values(funded, "AuctionClosed") == (auction, WETH, principal, 10 * WAD)
    assert funded.read("VaultEngine.deficit_of", WETH) == deficit + principal
    # What is left of the lot is kept, for sale as recovery.
    assert funded.read("VaultEngine.salvage_of", WETH) == 10 * WAD


def test_not_a_lot_worth_a_hundredth_of_the_least(funded, auction):
    hold(funded, 226)
    with reverts("collateral_auction: has value"):
        close(funded, auction)
    hold(funded, 225)
    close(funded, auction)


def test_not_a_lot_worth_as_much_at_the_next_price(funded, auction):
    """The current price and the average are lower."""
    hold(funded, 200)
    funded.post_next("WETH", 226 * RAY // 100)
    with reverts("collateral_auction: has value"):
        close(funded, auction)
    # A step later it would be the current price.
    hold(funded, 200)
    funded.post_next("WETH", 225 * RAY // 100)
    close(funded, auction)


def test_not_a_lot_worth_a_hundredth_of_the_least_on_average(funded, auction):
    """In the second in which the price falls: current and next price are lower, the average is 2.26 yet."""
    hold(funded, 226, 5 * 86_400)
    funded.post_price("WETH", 2 * RAY)
    assert funded.read("PriceFeed.time_weighted", WETH) == 226 * RAY // 100
    with reverts("collateral_auction: has value"):
        close(funded, auction)
    funded.advance(60)
    close(funded, auction)


def test_a_guardian_holds_up_no_close(funded, auction):
    """A halt holds the next price back: it counts as it did, and for no longer than its step."""
    hold(funded, 200)
    funded.do("PriceFeed.set_halted", WETH, True, sender="admin")
    funded.post_next("WETH", 226 * RAY // 100)
    funded.post_next("WETH", 2 * RAY)
    with reverts("collateral_auction: has value"):
        close(funded, auction)
    hold(funded, 200)
    assert funded.read("PriceFeed.prices_of", WETH)[:2] == (2 * RAY, 0)
    close(funded, auction)


def test_not_before_the_tail_is_over(funded):
    id = start_auction(funded, price=2)
    started_at = state(funded, id).started_at
    while funded.timestamp + 3_600 < started_at + TAIL:
        funded.post_price("WETH", 2 * RAY)
    funded.do("CollateralAuction.set_buf", WETH, 10_000, sender="admin")
    funded.advance(started_at + TAIL - funded.timestamp)
    with reverts("collateral_auction: still open"):
        close(funded, id)
    funded.advance(1)
    # By now the time-weighted price has followed.
    hold(funded, 200)
    close(funded, id)


def test_a_wick_closes_nothing(funded, auction):
    hold(funded, 150_000)
    funded.post_price("WETH", RAY)
    assert funded.read("PriceFeed.current_price", WETH) == RAY
    with reverts("collateral_auction: has value"):
        close(funded, auction)


def test_a_price_that_jumps_back_closes_nothing(funded, auction):
    hold(funded, 100)
    funded.post_price("WETH", 1_500 * RAY)
    with reverts("collateral_auction: has value"):
        close(funded, auction)


def test_needs_a_fresh_price(funded, auction):
    hold(funded, 100)
    funded.advance(14_401)
    with reverts("collateral_auction: no price"):
        close(funded, auction)


def test_at_the_last_price_of_a_dead_feed(funded, auction):
    funded.do("PriceFeed.set_guards", 0, 0, 1, 0, 86_400, sender="admin")
    hold(funded, 100)
    funded.advance(14_400 + 86_400)
    with reverts("collateral_auction: no price"):
        close(funded, auction)
    funded.advance(1)
    close(funded, auction)


def test_a_sold_out_lot_needs_no_price(funded, auction):
    funded.advance(90 * 60)
    take_collateral(funded, auction)
    funded.advance(30 * 86_400)
    close(funded, auction)


def test_what_is_left_of_a_repaid_auction_is_the_owners(funded):
    """Principal repaid, penalty and a small lot left: takers may end it, no account may confiscate it."""
    funded.do("VaultEngine.set_debt_floor", WETH, 0, sender="admin")
    auction = start_auction(funded)
    funded.advance(90 * 38)
    # As little of the lot as may be left.
    take_collateral(funded, auction, 10 * WAD + -2_260 * WAD // 1_500)
    left = state(funded, auction)
    price = funded.read("CollateralAuction.status", auction)[1]
    take_collateral(funded, auction, -(-left.principal // price))
    assert state(funded, auction).principal == 0
    assert state(funded, auction).lot > 0
    hold(funded, 1)
    with reverts("collateral_auction: repaid"):
        close(funded, auction)


def test_no_stop_holds_it_up(funded, auction):
    funded.do("CollateralAuction.set_stop", WETH, 2, sender="admin")
    hold(funded, 200)
    close(funded, auction)


def test_an_unknown_auction(funded):
    with reverts("collateral_auction: no auction"):
        close(funded, 1)
