"""take: stablecoin is bought for equity, which is burned."""

import pytest

from backstop.model.arithmetic import RAY, WAD
from tests.support.equity_steps import ALL, read_equity, read_last_call_events
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import lose_new_vault

NAME = "SurplusAuction"
NOBODY = "0x" + "00" * 20
HOURS = 36_000


def take(protocol, amount=ALL, max_price=ALL, receiver="taker", sender="taker"):
    protocol.do(f"{NAME}.take", amount, max_price, receiver, b"", sender=sender)


def stablecoins(protocol, who="taker"):
    return protocol.read("Stablecoin.balanceOf", who)


def up(a, b):
    return -(-a // b)


def test_a_part(auction):
    held, equity = stablecoins(auction), read_equity(auction, "taker")
    supply, reserve = auction.read("Equity.totalSupply"), auction.read("VaultEngine.reserve")
    take(auction, 100 * WAD)
    assert stablecoins(auction) == held + 100 * WAD
    # 2.4 times what it is worth.
    assert equity - read_equity(auction, "taker") == 24 * WAD // 10
    assert auction.read("Equity.totalSupply") == supply - 24 * WAD // 10
    assert auction.read("VaultEngine.reserve") == reserve - 100 * WAD * RAY
    assert auction.read(f"{NAME}.auction").lot == 400 * WAD
    assert read_last_call_events(auction, "Taken", NAME) == [
        (auction.address("taker"), 100 * WAD, 24 * WAD // 10, 400 * WAD)
    ]


@pytest.mark.parametrize("elapsed", [0, 1, 12_345, HOURS - 1, HOURS])
def test_the_price_falls_in_a_straight_line(auction, elapsed):
    found = auction.read(f"{NAME}.auction")
    auction.advance(elapsed)
    price = found.top - (found.top - found.floor) * elapsed // HOURS
    assert auction.read(f"{NAME}.status") == (False, price, 500 * WAD)
    equity = read_equity(auction, "taker")
    take(auction, 10**17 + 1)
    assert equity - read_equity(auction, "taker") == up((10**17 + 1) * price, RAY)


def test_all_of_it(auction):
    held = stablecoins(auction)
    take(auction)
    assert stablecoins(auction) == held + 500 * WAD
    for call in (
        lambda: take(auction),
        lambda: auction.read(f"{NAME}.status"),
        lambda: auction.read(f"{NAME}.auction"),
    ):
        with reverts("surplus_auction: no auction"):
            call()


def test_a_wei_costs_a_wei(auction):
    equity = read_equity(auction, "taker")
    take(auction, 1)
    assert equity - read_equity(auction, "taker") == 1


def test_not_above_ones_price(auction):
    with reverts("surplus_auction: price too high"):
        take(auction, WAD, RAY * 24 // 1_000 - 1)
    take(auction, WAD, RAY * 24 // 1_000)


def test_nothing(auction):
    with reverts("surplus_auction: nothing taken"):
        take(auction, 0)


def test_no_auction(offering):
    with reverts("surplus_auction: no auction"):
        take(offering)


def test_not_after_the_deadline(auction):
    auction.advance(HOURS + 1)
    with reverts("surplus_auction: over"):
        take(auction)
    floor = auction.read(f"{NAME}.auction").floor
    assert auction.read(f"{NAME}.status") == (True, floor, 500 * WAD)
    auction.advance(HOURS)
    assert auction.read(f"{NAME}.status") == (True, floor, 500 * WAD)


@pytest.mark.parametrize("receiver", [NOBODY, NAME, "Equity", "Treasury"])
def test_not_for_its_own_contracts(auction, receiver):
    with reverts("surplus_auction: bad receiver"):
        take(auction, WAD, receiver=receiver)


def test_for_somebody_else(auction):
    take(auction, WAD, receiver="friend")
    assert stablecoins(auction, "friend") == WAD


def test_the_buyer_has_and_allows_what_is_burned(auction):
    with reverts("erc20: insufficient allowance"):
        take(auction, WAD, sender="stranger")
    auction.do("Equity.approve", NAME, WAD, sender="stranger")
    with reverts("erc20: burn amount exceeds balance"):
        take(auction, WAD, sender="stranger")


def test_not_while_a_loss_is_open(auction):
    """The sold surplus is the reserve's until then."""
    started = auction.read(f"{NAME}.auction").started_at
    lose_new_vault(auction, "WBTC")
    if auction.timestamp > started + HOURS:
        pytest.skip("the loss took longer than the auction")
    with reverts("loss_waterfall: losses pending"):
        take(auction, WAD)


def test_not_what_the_reserve_has_lost_since(auction):
    reserve = auction.read("VaultEngine.reserve") // RAY // WAD
    auction.do("Treasury.set_target", reserve - 300, sender="admin")
    with reverts("treasury: not for sale"):
        take(auction)
    take(auction, 300 * WAD)


def test_too_much_data(auction):
    with reverts(""):
        auction.do(f"{NAME}.take", WAD, ALL, "taker", bytes(1_025), sender="taker")
