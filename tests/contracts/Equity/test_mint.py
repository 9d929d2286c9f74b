"""mint: equity is created under the cap of the epoch."""

from __future__ import annotations

import pytest

from backstop.model.arithmetic import WAD
from tests.support.equity_steps import WEEK, next_epoch
from tests.support.revert_setter_and_source_helpers import reverts


@pytest.mark.parametrize("sender", ["stranger", "admin", "saver"])
def test_only_minters(equity, sender):
    with reverts("roles: missing role"):
        equity.do("Issued.mint", sender, 1, sender=sender)


def test_creates(equity):
    supply = equity.read("Issued.totalSupply")
    equity.do("Issued.mint", "holder", 300 * WAD, sender="minter")
    assert equity.read("Issued.balanceOf", "holder") == 300 * WAD
    assert equity.read("Issued.totalSupply") == supply + 300 * WAD
    assert equity.read("Issued.mintable") == 700 * WAD


def test_the_cap_binds_on_the_epoch(equity):
    next_epoch(equity)
    equity.do("Issued.mint", "holder", 999 * WAD, sender="minter")
    equity.do("Issued.mint", "holder", WAD - 1, sender="minter")
    with reverts("equity: over mint cap"):
        equity.do("Issued.mint", "holder", 2, sender="minter")
    equity.do("Issued.mint", "holder", 1, sender="minter")
    assert equity.read("Issued.mintable") == 0
    equity.advance(WEEK - 1)
    with reverts("equity: over mint cap"):
        equity.do("Issued.mint", "holder", 1, sender="minter")


def test_each_epoch_has_its_own(equity):
    equity.do("Issued.mint", "holder", 1_000 * WAD, sender="minter")
    next_epoch(equity)
    assert equity.read("Issued.mintable") == 1_000 * WAD
    equity.do("Issued.mint", "holder", 1_000 * WAD, sender="minter")
    epoch = equity.timestamp // WEEK
    assert equity.read("Issued.issue_of_epoch") == (1_000, epoch, 1_000 * WAD, 0)


def test_what_is_booked_counts(equity):
    equity.do("Issued.reserve_mint", 400 * WAD, sender="auction")
    with reverts("equity: over mint cap"):
        equity.do("Issued.mint", "holder", 600 * WAD + 1, sender="minter")
    equity.do("Issued.mint", "holder", 600 * WAD, sender="minter")


def test_a_huge_amount(equity):
    with reverts("equity: over mint cap"):
        equity.do("Issued.mint", "holder", 2**256 - 1, sender="minter")


def test_nobody(equity):
    with reverts("erc20: mint to the zero address"):
        equity.do("Issued.mint", "0x" + "00" * 20, 1, sender="minter")
