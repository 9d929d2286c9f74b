"""book, release_mint and mint_reserved: a part of the cap is kept for equity that is created later."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.equity_steps import next_epoch
from tests.support.revert_setter_and_source_helpers import reverts


@pytest.mark.parametrize("sender", ["stranger", "admin", "minter"])
@pytest.mark.parametrize(
    "call", [("reserve_mint", 1), ("release_mint", 1), ("mint_reserved", "stranger", 1, 0)]
)
def test_only_the_auction(equity, sender, call):
    equity.do("Issued.reserve_mint", 1, sender="auction")
    method, *args = call
    with reverts("equity: only auction"):
        equity.do(f"Issued.{method}", *args, sender=sender)


def test_booking_creates_nothing(equity):
    supply = equity.read("Issued.totalSupply")
    equity.do("Issued.reserve_mint", 400 * WAD, sender="auction")
    assert equity.read("Issued.totalSupply") == supply
    assert equity.read("Issued.mintable") == 600 * WAD
    assert equity.read("Issued.issue_of_epoch").booked == 400 * WAD


def test_booking_stays_within_the_cap(equity):
    equity.do("Issued.mint", "holder", 100 * WAD, sender="minter")
    equity.do("Issued.reserve_mint", 900 * WAD, sender="auction")
    with reverts("equity: over mint cap"):
        equity.do("Issued.reserve_mint", 1, sender="auction")


def test_what_is_booked_outlasts_the_epoch(equity):
    equity.do("Issued.mint", "holder", 600 * WAD, sender="minter")
    equity.do("Issued.reserve_mint", 400 * WAD, sender="auction")
    next_epoch(equity)
    assert equity.read("Issued.mintable") == 600 * WAD
    equity.do("Issued.mint", "holder", 600 * WAD, sender="minter")
    # Nobody's minting takes it away.
    equity.do("Issued.mint_reserved", "buyer", 400 * WAD, 0, sender="auction")
    assert equity.read("Issued.balanceOf", "buyer") == 400 * WAD
    assert equity.read("Issued.issue_of_epoch")[2:] == (1_000 * WAD, 0)


def test_a_part_is_created(equity):
    supply = equity.read("Issued.totalSupply")
    equity.do("Issued.reserve_mint", 400 * WAD, sender="auction")
    equity.do("Issued.mint_reserved", "buyer", 150 * WAD, 0, sender="auction")
    assert equity.read("Issued.totalSupply") == supply + 150 * WAD
    assert equity.read("Issued.issue_of_epoch")[2:] == (150 * WAD, 250 * WAD)
    assert equity.read("Issued.mintable") == 600 * WAD


def test_what_is_given_up_can_be_created_by_others(equity):
    equity.do("Issued.reserve_mint", 1_000 * WAD, sender="auction")
    equity.do("Issued.release_mint", 300 * WAD, sender="auction")
    assert equity.read("Issued.mintable") == 300 * WAD
    equity.do("Issued.mint", "holder", 300 * WAD, sender="minter")


def test_more_is_given_up_at_once(equity):
    equity.do("Issued.reserve_mint", 400 * WAD, sender="auction")
    equity.do("Issued.mint_reserved", "buyer", 150 * WAD, 100 * WAD, sender="auction")
    assert equity.read("Issued.balanceOf", "buyer") == 150 * WAD
    assert equity.read("Issued.issue_of_epoch")[2:] == (150 * WAD, 150 * WAD)


def test_no_more_than_booked(equity):
    equity.do("Issued.reserve_mint", 10, sender="auction")
    for method, *args in (
        ("release_mint", 11),
        ("mint_reserved", "buyer", 11, 0),
        ("mint_reserved", "buyer", 9, 2),
    ):
        with reverts("equity: more than reserved"):
            equity.do(f"Issued.{method}", *args, sender="auction")
    with reverts(""):
        equity.do("Issued.mint_reserved", "buyer", 1, 2**256 - 1, sender="auction")
    equity.do("Issued.mint_reserved", "buyer", 3, 3, sender="auction")
    equity.do("Issued.release_mint", 4, sender="auction")
