"""set_mint_cap: how much may be created in an epoch."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.equity_steps import read_last_call_events
from tests.support.revert_setter_and_source_helpers import reverts


@pytest.mark.parametrize("sender", ["stranger", "minter"])
def test_only_the_admin(equity, sender):
    with reverts("roles: not admin"):
        equity.do("Issued.set_mint_cap", 1, sender=sender)


@pytest.mark.parametrize("new", [0, 1, 10**9])
def test_sets(equity, new):
    equity.do("Issued.set_mint_cap", new, sender="admin")
    assert read_last_call_events(equity, "MintCapSet", "Issued") == [(new,)]
    assert equity.read("Issued.mintable") == new * WAD


@pytest.mark.parametrize("new", [10**9 + 1, 2**256 - 1])
def test_bounds(equity, new):
    with reverts("equity: cap bounds"):
        equity.do("Issued.set_mint_cap", new, sender="admin")


def test_what_was_created_still_counts(equity):
    equity.do("Issued.mint", "holder", 600 * WAD, sender="minter")
    equity.do("Issued.set_mint_cap", 800, sender="admin")
    assert equity.read("Issued.mintable") == 200 * WAD


def test_under_what_was_created_and_booked(equity):
    equity.do("Issued.mint", "holder", 300 * WAD, sender="minter")
    equity.do("Issued.reserve_mint", 400 * WAD, sender="auction")
    equity.do("Issued.set_mint_cap", 500, sender="admin")
    assert equity.read("Issued.mintable") == 0
    with reverts("equity: over mint cap"):
        equity.do("Issued.mint", "holder", 1, sender="minter")
    # A sale under way is not stopped.
    equity.do("Issued.mint_reserved", "buyer", 400 * WAD, 0, sender="auction")
