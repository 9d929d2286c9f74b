"""take: buy from a lot at the price of this moment."""

import pytest

from backstop.model.arithmetic import MAX_UINT256, RAD, RAY, WAD
from tests.support.auction_steps import (
    ALL,
    NOBODY,
    WBTC,
    WETH,
    XAU,
    get_only_event_values,
    liquidate_vault,
    read_stablecoins,
    start_auction,
    take_collateral,
)
from tests.support.revert_setter_and_source_helpers import reverts

# ceil(debt floor x penalty), wad
LEAST = 2_260 * WAD


def state(protocol, id):
    return protocol.read("CollateralAuction.auction_of", id)


def at_price(protocol, factor):
    """Let the stairs (1% in 90 s) go down to `factor` of the top, basis points."""
    steps, price = 0, 10_000.0
    while price > factor:
        steps, price = steps + 1, price * 99 / 100
    protocol.advance(90 * steps)


# ----------------------------------------------------------------- what it costs


def test_a_part(funded, auction):
    before = state(funded, auction)
    paid = read_stablecoins(funded, "taker")
    take_collateral(funded, auction, WAD)
    after = state(funded, auction)
    assert before.lot - after.lot == WAD == funded.read("WETH.balanceOf", "taker")
    assert paid - read_stablecoins(funded, "taker") == 1_800 * WAD
    assert before.target - after.target == 1_800 * RAD
    assert get_only_event_values(funded, "Taken") == (
        auction,
        funded.address("taker"),
        WAD,
        1_800 * WAD,
        after.target,
    )


def test_the_price_falls(funded, auction):
    paid = []
    for _ in range(3):
        before = read_stablecoins(funded, "taker")
        take_collateral(funded, auction, WAD)
        paid.append(before - read_stablecoins(funded, "taker"))
        funded.advance(90)
    assert paid == [1_800 * WAD, 1_782 * WAD, 1_764 * WAD + 18 * WAD // 100]


def test_payment_is_rounded_up_to_the_wei(funded, auction):
    funded.advance(90 * 7)
    price = funded.read("CollateralAuction.status", auction)[1]
    amount = 10**17 + 1
    assert amount * price % RAY
    before = state(funded, auction), read_stablecoins(funded, "taker")
    take_collateral(funded, auction, amount)
    paid = before[1] - read_stablecoins(funded, "taker")
    assert paid == amount * price // RAY + 1
    # All that is paid counts.
    assert before[0].target - state(funded, auction).target == paid * RAY


def test_collateral_is_whole_units_of_the_token(funded):
    funded.borrow("borrower", "WBTC", WAD, 35_000 * WAD)
    funded.post_price("WBTC", 45_000 * RAY)
    id = liquidate_vault(funded, collateral_type=WBTC)
    take_collateral(funded, id, WAD // 4 + 10**10 - 1)
    assert funded.read("WBTC.balanceOf", "taker") == 10**8 // 4
    assert get_only_event_values(funded, "Taken")[2] == WAD // 4


def test_the_highest_price_of_the_taker(funded, auction):
    with reverts("dutch_auction: price too high"):
        take_collateral(funded, auction, WAD, 1_800 * RAY - 1)
    take_collateral(funded, auction, WAD, 1_800 * RAY)


@pytest.mark.parametrize("amount", [0, 1, 10**10 - 1])
def test_nothing_is_not_sold(funded, amount):
    funded.borrow("borrower", "WBTC", WAD, 35_000 * WAD)
    funded.post_price("WBTC", 45_000 * RAY)
    id = liquidate_vault(funded, collateral_type=WBTC)
    with reverts("dutch_auction: nothing taken"):
        take_collateral(funded, id, amount)


# ------------------------------------------------------------------- how it ends


def test_all_of_the_target_ends_it_and_the_rest_goes_back(funded, auction):
    before = state(funded, auction)
    paid = read_stablecoins(funded, "taker")
    take_collateral(funded, auction)
    bought = before.target // (1_800 * RAY)
    assert funded.read("WETH.balanceOf", "taker") == bought
    assert paid - read_stablecoins(funded, "taker") == before.target // RAY
    # Credited to the vault, not pushed.
    assert funded.read("VaultEngine.vault", WETH, "borrower").locked_collateral == 10 * WAD - bought
    assert funded.read("WETH.balanceOf", "borrower") == 0
    assert get_only_event_values(funded, "AuctionEnded") == (
        auction,
        WETH,
        funded.address("borrower"),
        10 * WAD - bought,
    )
    with reverts("collateral_auction: no auction"):
        take_collateral(funded, auction)


def test_principal_is_repaid_before_the_penalty(funded, auction):
    before = state(funded, auction)
    buffer = funded.read("VaultEngine.buffer_of", WETH)
    take_collateral(funded, auction, 6 * WAD)
    after = state(funded, auction)
    assert before.principal - after.principal == 6 * 1_800 * RAD
    assert funded.read("VaultEngine.in_auction_of", WETH) == after.principal
    assert funded.read("VaultEngine.buffer_of", WETH) == buffer
    take_collateral(funded, auction)
    assert funded.read("VaultEngine.in_auction_of", WETH) == 0
    assert funded.read("VaultEngine.buffer_of", WETH) - buffer == before.target - before.principal


def test_all_of_the_lot_may_leave_a_target(funded, auction):
    at_price(funded, 6_000)
    before = state(funded, auction)
    take_collateral(funded, auction)
    after = state(funded, auction)
    assert after.lot == 0
    assert 0 < after.target < before.target
    with reverts("dutch_auction: nothing taken"):
        take_collateral(funded, auction)


def test_a_lot_that_brings_exactly_the_target(new_protocol):
    """Nothing is left on either side."""
    protocol = new_protocol()
    protocol.post_price("WETH", 2_000 * RAY)
    protocol.do("VaultEngine.set_stability_fee", WETH, 0, sender="admin")
    protocol.do("CollateralAuction.set_penalty", WETH, 12_500, sender="admin")
    protocol.give_stablecoin("taker", 40_000 * WAD)
    protocol.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)
    protocol.post_price("WETH", 1_250 * RAY)
    id = liquidate_vault(protocol)
    take_collateral(protocol, id)
    assert get_only_event_values(protocol, "AuctionEnded")[3] == 0
    assert protocol.read("WETH.balanceOf", "taker") == 10 * WAD


# --------------------------------------------------------------- what must be left


def test_the_rest_of_a_target_is_worth_a_take(funded, auction):
    """7 ETH would leave 960 of the target: as much less is sold as leaves the least."""
    before = state(funded, auction)
    take_collateral(funded, auction, 7 * WAD)
    after = state(funded, auction)
    assert after.target == LEAST * RAY
    assert before.lot - after.lot == (before.target // RAY - LEAST) // 1_800


def test_a_target_of_the_least_is_sold_whole(funded, auction):
    take_collateral(funded, auction, 7 * WAD)
    with reverts("dutch_auction: target too small"):
        take_collateral(funded, auction, WAD)
    take_collateral(funded, auction)


def test_the_rest_of_a_lot_is_worth_a_take(funded, auction):
    at_price(funded, 7_000)
    amount = 10 * WAD + -LEAST // 1_500
    assert amount * 1_260 < state(funded, auction).target // RAY - LEAST
    with reverts("dutch_auction: lot too small"):
        take_collateral(funded, auction, amount + 1)
    take_collateral(funded, auction, amount)


def test_a_small_lot_is_sold_whole(funded):
    """At 300 ETH the whole lot is worth less than the least twice over."""
    funded.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)
    funded.post_price("WETH", 300 * RAY)
    id = liquidate_vault(funded)
    with reverts("dutch_auction: lot too small"):
        take_collateral(funded, id, 5 * WAD)
    take_collateral(funded, id)
    assert state(funded, id).lot == 0


def test_without_a_floor_any_rest_will_do(funded):
    funded.do("VaultEngine.set_debt_floor", WETH, 0, sender="admin")
    id = start_auction(funded)
    take_collateral(funded, id, 10 * WAD * 3 // 4)
    take_collateral(funded, id, 1)
    assert state(funded, id).target < LEAST * RAY


# ---------------------------------------------------------------------- when it may


def test_not_after_the_tail(funded):
    funded.do("CollateralAuction.set_curve", WETH, 1, 900, 99 * RAY // 100, 8_400, 4_000, sender="admin")
    auction = start_auction(funded)
    funded.advance(8_400)
    take_collateral(funded, auction, WAD)
    funded.advance(1)
    with reverts("collateral_auction: needs reset"):
        take_collateral(funded, auction, WAD)


def test_not_under_the_cusp(funded, auction):
    at_price(funded, 4_000)
    with reverts("collateral_auction: needs reset"):
        take_collateral(funded, auction)


def test_not_at_a_price_of_zero(funded):
    funded.do("CollateralAuction.set_curve", XAU, 0, 600, RAY // 2, 86_400, 1, sender="admin")
    funded.borrow("borrower", "XAU", 10 * WAD, 19_000 * WAD)
    funded.post_price("XAU", 2_000 * RAY)
    id = liquidate_vault(funded, collateral_type=XAU)
    funded.advance(599)
    assert funded.read("CollateralAuction.status", id)[1] == 2_200 * (RAY // 600)
    take_collateral(funded, id, WAD)
    funded.advance(1)
    with reverts("collateral_auction: needs reset"):
        take_collateral(funded, id)


def test_no_stop_and_no_dead_feed_holds_it_up(funded):
    funded.do("CollateralAuction.set_curve", WETH, 1, 86_400, 99 * RAY // 100, 86_400, 1, sender="admin")
    auction = start_auction(funded)
    funded.do("CollateralAuction.set_stop", WETH, 2, sender="admin")
    take_collateral(funded, auction, WAD)
    funded.advance(8_000)
    assert funded.read("PriceFeed.current_price", WETH) != 0
    funded.advance(10_000)
    assert funded.read("PriceFeed.current_price", WETH) == 0
    take_collateral(funded, auction, WAD)


def test_an_unknown_auction(funded):
    for id in (0, 1, ALL):
        with reverts("collateral_auction: no auction"):
            take_collateral(funded, id)


def test_who_cannot_pay_gets_nothing(funded, auction):
    before = state(funded, auction)
    with reverts("erc20: burn amount exceeds balance"):
        funded.do("CollateralAuction.take", auction, WAD, ALL, "stranger", b"", sender="stranger")
    assert state(funded, auction) == before


# ---------------------------------------------------------------------- who gets it


def test_somebody_else_may_receive(funded, auction):
    take_collateral(funded, auction, WAD, receiver="saver")
    assert funded.read("WETH.balanceOf", "saver") == WAD


@pytest.mark.parametrize(
    "receiver",
    [NOBODY, "CollateralAuction", "VaultEngine", "PriceFeed", "LiquidationEngine", "Stablecoin"],
)
@pytest.mark.parametrize("data", [b"", b"x"])
def test_never_a_contract_of_the_protocol(funded, auction, receiver, data):
    with reverts("collateral_auction: bad receiver"):
        funded.do("CollateralAuction.take", auction, WAD, ALL, receiver, data, sender="taker")


def test_the_collateral_is_there_before_it_is_paid(funded, auction):
    """FlashTaker owns nothing: it sells in the callback what it is about to pay for."""
    funded.provide("WETH", 1_000 * WAD, 2_000_000 * WAD)
    funded.advance(90 * 10)
    profit = funded.do("FlashTaker.take_and_sell", auction, WAD, ALL, "Market.WETH", 1, sender="taker")
    assert profit > 0
    order = [(log.contract, log.event) for log in funded.last.logs]
    assert order.index(("CollateralAuction", "Taken")) < order.index(("WETH", "Transfer"))
    assert order.index(("WETH", "Transfer")) < order.index(("Market.WETH", "Sold"))
    # The last but one transfer burns the payment, the last is the profit.
    assert order[-1] == ("Stablecoin", "Transfer")


def test_a_callback_needs_somebody_to_call(funded, auction):
    with reverts(""):
        funded.do("CollateralAuction.take", auction, WAD, ALL, "taker", b"x", sender="taker")


def test_at_most_1024_bytes_for_the_callback(funded, auction):
    with reverts(""):
        funded.do("CollateralAuction.take", auction, WAD, ALL, "FlashTaker", bytes(1_025), sender="taker")


def test_the_callback_is_no_way_round_the_payment(funded, auction):
    """Another owner's FlashTaker does not sell for a taker."""
    data = bytes.fromhex(funded.address("Market.WETH")[2:]).rjust(32, b"\0")
    with reverts("flash_taker: not taker"):
        funded.do("CollateralAuction.take", auction, WAD, ALL, "FlashTaker", data, sender="taker")


def test_the_largest_amounts_do_not_overflow(funded):
    funded.post_price("WETH", 2 * RAY)
    funded.mint_and_approve_collateral("WETH", "whale", 2**102)
    debt = 900_000 * WAD
    funded.do("VaultEngine.deposit_and_draw", WETH, "whale", 10**25, debt, "whale", sender="whale")
    funded.do("VaultEngine.deposit_and_draw", WETH, "whale", 2**102 - 10**25, 0, "whale", sender="whale")
    funded.post_price("WETH", 1)
    id = liquidate_vault(funded, "whale")
    take_collateral(funded, id, MAX_UINT256)
    assert state(funded, id).lot == 0
