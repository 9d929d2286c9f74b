"""book, unbook and mint_booked: a part of the cap is kept for equity that is created later."""

import pytest

from offchain.model.arithmetic import WAD
from tests.helpers import reverts
from tests.unit.equity.test_mint import next_epoch


@pytest.mark.parametrize("sender", ["stranger", "admin"])
@pytest.mark.parametrize("call", [("book", 1), ("unbook", 1), ("mint_booked", "stranger", 1, 0)])
def test_only_minters(equity, sender, call):
    equity.do("Equity.book", 1, sender="minter")
    method, *args = call
    with reverts("roles: missing role"):
        equity.do(f"Equity.{method}", *args, sender=sender)


def test_booking_creates_nothing(equity):
    supply = equity.read("Equity.totalSupply")
    equity.do("Equity.book", 400 * WAD, sender="minter")
    assert equity.read("Equity.totalSupply") == supply
    assert equity.read("Equity.mintable") == 600 * WAD
    assert equity.read("Equity.issue_of_epoch").booked == 400 * WAD


def test_booking_stays_within_the_cap(equity):
    equity.do("Equity.mint", "holder", 100 * WAD, sender="minter")
    equity.do("Equity.book", 900 * WAD, sender="minter")
    with reverts("equity: over mint cap"):
        equity.do("Equity.book", 1, sender="minter")


def test_what_is_booked_outlasts_the_epoch(equity):
    equity.do("Equity.mint", "holder", 600 * WAD, sender="minter")
    equity.do("Equity.book", 400 * WAD, sender="minter")
    next_epoch(equity)
    assert equity.read("Equity.mintable") == 600 * WAD
    equity.do("Equity.mint", "holder", 600 * WAD, sender="minter")
    # Nobody's minting takes it away.
    equity.do("Equity.mint_booked", "buyer", 400 * WAD, 0, sender="minter")
    assert equity.read("Equity.balanceOf", "buyer") == 400 * WAD
    assert equity.read("Equity.issue_of_epoch")[2:] == (1_000 * WAD, 0)


def test_a_part_is_created(equity):
    supply = equity.read("Equity.totalSupply")
    equity.do("Equity.book", 400 * WAD, sender="minter")
    equity.do("Equity.mint_booked", "buyer", 150 * WAD, 0, sender="minter")
    assert equity.read("Equity.totalSupply") == supply + 150 * WAD
    assert equity.read("Equity.issue_of_epoch")[2:] == (150 * WAD, 250 * WAD)
    assert equity.read("Equity.mintable") == 600 * WAD


def test_what_is_given_up_can_be_created_by_others(equity):
    equity.do("Equity.book", 1_000 * WAD, sender="minter")
    equity.do("Equity.unbook", 300 * WAD, sender="minter")
    assert equity.read("Equity.mintable") == 300 * WAD
    equity.do("Equity.mint", "holder", 300 * WAD, sender="minter")


def test_more_is_given_up_at_once(equity):
    equity.do("Equity.book", 400 * WAD, sender="minter")
    equity.do("Equity.mint_booked", "buyer", 150 * WAD, 100 * WAD, sender="minter")
    assert equity.read("Equity.balanceOf", "buyer") == 150 * WAD
    assert equity.read("Equity.issue_of_epoch")[2:] == (150 * WAD, 150 * WAD)


def test_no_more_than_booked(equity):
    equity.do("Equity.book", 10, sender="minter")
    for method, *args in (("unbook", 11), ("mint_booked", "buyer", 11, 0), ("mint_booked", "buyer", 9, 2)):
        with reverts("equity: more than booked"):
            equity.do(f"Equity.{method}", *args, sender="minter")
    with reverts(""):
        equity.do("Equity.mint_booked", "buyer", 1, 2**256 - 1, sender="minter")
    equity.do("Equity.mint_booked", "buyer", 3, 3, sender="minter")
    equity.do("Equity.unbook", 4, sender="minter")
