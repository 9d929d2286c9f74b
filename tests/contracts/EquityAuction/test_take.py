"""take: equity is bought at the current auction price, and the proceeds cover the deficit."""

import pytest

from backstop.model.arithmetic import MAX_UINT256, RAD, RAY, WAD
from tests.support.equity_steps import (
    ALL,
    WETH,
    XAU,
    call_waterfall_cover_once,
    read_equity,
    read_last_call_events,
    report_equity,
    take_from_equity_auction,
)
from tests.support.revert_setter_and_source_helpers import STAGE, reverts
from tests.support.saver_steps import give_stablecoin, lose_new_vault

NAME = "MintAuction"
NOBODY = "0x" + "00" * 20
HOURS = 36_000


def state(protocol):
    return protocol.read(f"{NAME}.auction_of", XAU)


def stablecoins(protocol, who="taker"):
    return protocol.read("Stablecoin.balanceOf", who)


def up(a, b):
    return -(-a // b)


# ----------------------------------------------------------------- what it costs


def test_a_part(auction):
    before, paid = state(auction), stablecoins(auction)
    deficit, supply = auction.read("VaultEngine.deficit_of", XAU), auction.read("Equity.totalSupply")
    take_from_equity_auction(auction, WAD)
    after = state(auction)
    assert read_equity(auction, "taker") == WAD
    # At three times the floor: the rest of the target needs so much less.
    assert before.lot - after.lot == 3 * WAD
    assert auction.read("Equity.issue_of_epoch").booked == after.lot
    assert auction.read("Equity.totalSupply") == supply + WAD
    assert paid - stablecoins(auction) == 240 * WAD
    assert before.target - after.target == 240 * RAD
    assert deficit - auction.read("VaultEngine.deficit_of", XAU) == 240 * RAD
    assert read_last_call_events(auction, "Taken", NAME) == [
        (XAU, auction.address("taker"), WAD, 240 * WAD, after.target)
    ]
    assert read_last_call_events(auction, "LossCovered", "LossWaterfall")[0][2:] == (0, 240 * RAD)
    assert auction.read("LossWaterfall.reserved", XAU, 0) == after.target


@pytest.mark.parametrize("elapsed", [0, 1, 12_345, HOURS - 1, HOURS])
def test_the_price_falls_in_a_straight_line(auction, elapsed):
    found = state(auction)
    auction.advance(elapsed)
    price = found.top - (found.top - found.floor) * elapsed // HOURS
    assert auction.read(f"{NAME}.status", XAU) == (False, price, found.lot, found.target)
    paid = stablecoins(auction)
    take_from_equity_auction(auction, 10**17 + 1)
    assert paid - stablecoins(auction) == up((10**17 + 1) * price, RAY)


def test_the_floor_is_reached_at_the_deadline_and_raises_all(auction):
    before = state(auction)
    auction.advance(HOURS)
    assert auction.read(f"{NAME}.status", XAU)[1] == before.floor
    take_from_equity_auction(auction)
    assert auction.read("LossWaterfall.reserved", XAU, 0) == 0
    # The lot was rounded up, what is sold for the last of the target down.
    assert before.lot - read_equity(auction, "taker") in (0, 1)


def test_all_of_it(auction):
    """The target is paid to the wei; the rest of the lot can be minted by others again."""
    before, paid = state(auction), stablecoins(auction)
    take_from_equity_auction(auction)
    got = before.target // (240 * RAY)
    assert paid - stablecoins(auction) == before.target // RAY
    assert read_equity(auction, "taker") == got
    assert read_last_call_events(auction, "Taken", NAME) == [
        (XAU, auction.address("taker"), got, before.target // RAY, 0)
    ]
    assert auction.read("Equity.issue_of_epoch").booked == 0
    assert auction.read("VaultEngine.deficit_of", XAU) < RAY
    assert auction.read("LossWaterfall.reserved", XAU, 0) == 0
    with reverts("equity_auction: no auction"):
        take_from_equity_auction(auction, WAD)


def test_nobody_pays_more_than_the_target_for_it(auction):
    take_from_equity_auction(auction, 20 * WAD)
    before = state(auction)
    amount = before.target // (240 * RAY) + 1
    paid = stablecoins(auction)
    take_from_equity_auction(auction, amount)
    assert paid - stablecoins(auction) == before.target // RAY
    assert read_equity(auction, "taker") == 20 * WAD + amount - 1


def test_in_parts_as_in_one(auction):
    target = state(auction).target
    paid = stablecoins(auction)
    for _ in range(3):
        auction.advance(3_333)
        take_from_equity_auction(auction, 10**19 + 7)
    take_from_equity_auction(auction)
    assert paid - stablecoins(auction) == target // RAY
    assert auction.read("VaultEngine.reserve") == 0


def test_not_above_ones_price(auction):
    with reverts("equity_auction: price too high"):
        take_from_equity_auction(auction, WAD, 240 * RAY - 1)
    take_from_equity_auction(auction, WAD, 240 * RAY)


def test_nothing(auction):
    with reverts("equity_auction: nothing taken"):
        take_from_equity_auction(auction, 0)


def test_no_rest_is_too_small(auction):
    """A rest under one stablecoin would find no buyer, and hold the later stages back."""
    target = state(auction).target // RAY
    auction.advance(HOURS // 2)
    price = auction.read(f"{NAME}.status", XAU)[1]
    # What leaves a little less than one stablecoin.
    amount = (target - WAD + 1) * RAY // price + 1
    with reverts("equity_auction: rest too small"):
        take_from_equity_auction(auction, amount)
    least = (target - WAD) * RAY // price
    take_from_equity_auction(auction, least)
    assert WAD <= state(auction).target // RAY < 2 * WAD
    take_from_equity_auction(auction)


# -------------------------------------------------------------- who, where, when


def test_no_auction(losing):
    for call in (lambda: take_from_equity_auction(losing, WAD), lambda: losing.read(f"{NAME}.status", XAU)):
        with reverts("equity_auction: no auction"):
            call()


def test_not_after_the_deadline(auction):
    auction.advance(HOURS + 1)
    with reverts("equity_auction: over"):
        take_from_equity_auction(auction)
    assert auction.read(f"{NAME}.status", XAU)[:2] == (True, state(auction).floor)
    auction.advance(HOURS)
    assert auction.read(f"{NAME}.status", XAU)[:2] == (True, state(auction).floor)


@pytest.mark.parametrize("receiver", [NOBODY, NAME, "Equity", "VaultEngine"])
def test_not_for_its_own_contracts(auction, receiver):
    with reverts("equity_auction: bad receiver"):
        take_from_equity_auction(auction, WAD, receiver=receiver)


def test_for_somebody_else(auction):
    take_from_equity_auction(auction, WAD, receiver="friend")
    assert read_equity(auction, "friend") == WAD


def test_the_buyer_allows_what_is_burned(auction):
    auction.do("Stablecoin.approve", NAME, 100 * WAD, sender="taker")
    with reverts("erc20: insufficient allowance"):
        take_from_equity_auction(auction, WAD)
    auction.do("Stablecoin.approve", NAME, 240 * WAD, sender="taker")
    take_from_equity_auction(auction, WAD)
    assert auction.read("Stablecoin.allowance", "taker", NAME) == 0


def test_the_buyer_has_what_is_burned(auction):
    auction.do("Stablecoin.approve", NAME, MAX_UINT256, sender="stranger")
    with reverts("erc20: burn amount exceeds balance"):
        auction.do(f"{NAME}.take", XAU, WAD, ALL, "stranger", b"", sender="stranger")


def test_too_much_data(auction):
    with reverts(""):
        auction.do(f"{NAME}.take", XAU, WAD, ALL, "taker", bytes(1_025), sender="taker")


def test_data_for_somebody_without_code(auction):
    with reverts(""):
        auction.do(f"{NAME}.take", XAU, WAD, ALL, "taker", b"x", sender="taker")


def test_two_types_at_once(auction):
    lose_new_vault(auction, "WBTC")
    report_equity(auction, 100 * RAY)
    call_waterfall_cover_once(auction, 1)
    before = state(auction)
    take_from_equity_auction(auction, WAD, collateral_type=1)
    assert state(auction) == before
    with reverts("equity_auction: no auction"):
        take_from_equity_auction(auction, WAD, collateral_type=WETH)


def test_a_new_epoch_stops_nothing(auction):
    """A booked amount stays valid, however much others mint."""
    epoch = auction.parameters.epoch_length
    auction.advance(HOURS + 1)
    auction.do(f"{NAME}.end", XAU, sender="stranger")
    call_waterfall_cover_once(auction)  # the others are asked
    lose_new_vault(auction)
    # Once more, ten minutes before an epoch ends.
    auction.advance(2 * epoch - auction.timestamp % epoch - 600)
    call_waterfall_cover_once(auction)
    booked = auction.read("Equity.issue_of_epoch").booked
    auction.advance(600)
    assert auction.read("Equity.mintable") == 10_000 * WAD - booked
    take_from_equity_auction(auction)
    assert auction.read("Equity.issue_of_epoch")[2:] == (read_equity(auction, "taker"), 0)
    # It belongs to the event of the epoch in which it is paid.
    assert auction.read("LossWaterfall.covered", XAU, auction.timestamp // epoch, 0) > 9_000 * RAD


def test_what_others_have_covered_is_not_paid_twice(auction):
    """Only a stage listed by the admin can cover more: the excess over the deficit goes to the reserve."""
    auction.do("VaultEngine.grant_role", STAGE, "donor", sender="admin")
    give_stablecoin(auction, "donor", 20_000 * WAD)
    deficit = auction.read("VaultEngine.deficit_of", XAU)
    target = state(auction).target
    lockstep = auction.lockstep
    lockstep.state_check = None
    auction.do("VaultEngine.cover_from_tokens", XAU, "donor", deficit - 1_000 * RAD, sender="donor")
    dust = auction.read("VaultEngine.reserve")
    take_from_equity_auction(auction)
    assert auction.read("VaultEngine.deficit_of", XAU) == 0
    assert auction.read("VaultEngine.reserve") - dust == target - 1_000 * RAD
