"""slash, restore, slashable: an auction takes a pool's assets to sell them, and brings back the rest."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import DAY, make_equity_pool


@pytest.mark.parametrize("sender", ["stranger", "admin", "staker"])
def test_only_its_stage_may_call(staked, sender):
    with reverts("pool: not its stage"):
        staked.do("Staked.slash", 1, sender, sender=sender)
    with reverts("pool: not its stage"):
        staked.do("Staked.restore", 1, sender=sender)


def test_assets_are_sent_and_shares_stay(staked):
    supply = staked.read("Staked.totalSupply")
    assert staked.do("Auction.slash", "Staked", 100 * WAD, "stranger", sender="stranger") == 100 * WAD
    assert staked.read("BSE.balanceOf", "stranger") == 100 * WAD
    assert staked.read("Staked.slashable") == staked.read("Staked.totalAssets") == 300 * WAD
    assert staked.read("Staked.totalSupply") == supply
    slashed = [log.values for log in staked.last.logs if log.event == "Slashed"]
    assert slashed == [(staked.address("stranger"), 100 * WAD)]


def test_at_most_what_is_vested(staked):
    staked.do("BSE.approve", "Staked", WAD, sender="staker")
    staked.do("Staked.add_income", WAD, sender="staker")
    assert staked.do("Auction.slash", "Staked", 10**30, "stranger", sender="stranger") == 400 * WAD
    assert staked.read("Staked.unvested") == WAD
    assert staked.do("Auction.slash", "Staked", 10**30, "stranger", sender="stranger") == 0


def test_what_comes_back_is_theirs_who_were_slashed(staked):
    staked.do("Auction.slash", "Staked", 400 * WAD, "Auction", sender="stranger")
    assert staked.read("Staked.generation") == 0
    staked.do("Auction.restore", "Staked", "BSE", 100 * WAD, sender="stranger")
    assert [log.values for log in staked.last.logs if log.event == "Restored"] == [(100 * WAD,)]
    assert staked.read("Staked.totalAssets") == 100 * WAD
    shares = staked.read("Staked.balanceOf", "staker")
    assert 75 * WAD - staked.read("Staked.convertToAssets", shares) in (0, 1)


def test_who_enters_after_all_was_sold_starts_a_new_generation(staked):
    staked.do("Auction.slash", "Staked", 400 * WAD, "stranger", sender="stranger")
    assert staked.read("Staked.previewDeposit", 10 * WAD) == 10 * WAD * 10**6
    assert staked.read("Staked.previewMint", 10**24) == WAD
    assert staked.do("Staked.deposit", 10 * WAD, "newcomer", sender="newcomer") == 10 * WAD * 10**6
    assert [log.event for log in staked.last.logs][:1] == ["NewGeneration"]
    assert staked.read("Staked.generation") == 5
    assert staked.read("Staked.totalSupply") == 10 * WAD * 10**6
    assert staked.read("Staked.balanceOf", "staker") == 0


def test_who_enters_then_finds_no_income_of_those_who_lost_all(staked):
    staked.do("BSE.approve", "Staked", 70 * WAD, sender="staker")
    staked.do("Staked.add_income", 70 * WAD, sender="staker")
    staked.advance(DAY)
    assert staked.do("Auction.slash", "Staked", 10**30, "stranger", sender="stranger") == 410 * WAD
    staked.do("Staked.deposit", WAD, "newcomer", sender="newcomer")
    begun = [log.values for log in staked.last.logs if log.event == "NewGeneration"]
    assert begun == [(5, 400 * WAD * 10**6, 60 * WAD)]
    staked.advance(7 * DAY)
    assert staked.read("Staked.totalAssets") == WAD
    # It stays in the pool as a donation does.
    assert staked.read("BSE.balanceOf", "Staked") == 61 * WAD


@pytest.mark.parametrize(("left", "auctioned"), [(999_999, 0), (400_000, 599_999), (0, 999_999)], ids=str)
def test_shares_are_void_at_an_entry_where_less_than_a_million_wei_are_left(staked, left, auctioned):
    """In all: equity under auction may come back. The remainder here stays, and is not the newcomer's."""
    supply = staked.read("Staked.totalSupply")
    staked.do("Auction.slash", "Staked", 400 * WAD - left, "stranger", sender="stranger")
    staked.do("Auction.claim", 0, 0, auctioned, sender="stranger")
    assert staked.read("Staked.generation") == 0
    assert staked.read("Staked.previewDeposit", 10**6) == 10**12
    assert staked.do("Staked.deposit", 10**6, "newcomer", sender="newcomer") == 10**12
    begun = [log.values for log in staked.last.logs if log.event == "NewGeneration"]
    assert begun == [(5, supply, left)]
    assert staked.read("Staked.balanceOf", "staker") == 0
    assert staked.read("Staked.totalAssets") == 10**6
    assert staked.read("BSE.balanceOf", "Staked") == 10**6 + left


@pytest.mark.parametrize(("left", "auctioned"), [(10**6, 0), (400_000, 600_000), (0, 10**6)], ids=str)
def test_with_a_million_wei_they_are_divided(staked, left, auctioned):
    """400e24 shares for 1e6 wei are 4e20 for each: one step, to 4e17."""
    staked.do("Auction.slash", "Staked", 400 * WAD - left, "stranger", sender="stranger")
    staked.do("Auction.claim", 0, 0, auctioned, sender="stranger")
    expected = 10**6 * (4 * 10**17 + 10**6) // (10**6 + 1)
    assert staked.read("Staked.previewDeposit", 10**6) == expected
    assert staked.do("Staked.deposit", 10**6, "newcomer", sender="newcomer") == expected
    divided = [log.values for log in staked.last.logs if log.event == "SharesDivided"]
    assert divided == [(1, 1)]
    assert staked.read("Staked.balanceOf", "staker") == 3 * 10**17
    assert staked.read("Staked.totalAssets") == 10**6 + left


@pytest.mark.parametrize(("spare", "divided"), [(0, False), (1, True)], ids=["at", "over"])
def test_at_1e15_shares_for_a_wei_nothing_is_divided(staked, spare, divided):
    """400e24 shares, made up to 400e24 + 9e14: with the virtual ones 1e15 for each of 4e11 and a wei."""
    staked.do("Staked.mint", 10**15 - 10**6 + spare, "staker", sender="staker")
    held = staked.read("Staked.totalAssets")
    staked.do("Auction.slash", "Staked", held - 4 * 10**11, "stranger", sender="stranger")
    assert staked.read("Staked.totalSupply") + 10**6 == 10**15 * (4 * 10**11 + 1) + spare
    staked.do("Staked.deposit", 10**6, "newcomer", sender="newcomer")
    assert staked.read("Staked.generation") == int(divided)


def test_what_is_under_auction_keeps_its_worth_and_lets_nothing_be_divided(selling):
    """All of 300 is under auction.

    A deposit then gets no more shares than before, and the equity comes back.
    """
    selling.do("Auction.slash", "Staked", 300 * WAD, "Auction", sender="stranger")
    selling.do("Auction.claim", 0, 0, 300 * WAD, sender="stranger")
    assert selling.do("Staked.deposit", 3 * WAD, "newcomer", sender="newcomer") == 3 * WAD * 10**6
    assert selling.read("Staked.generation") == 0
    selling.do("Auction.claim", 0, 0, 0, sender="stranger")
    selling.do("Auction.restore", "Staked", "BSE", 300 * WAD, sender="stranger")
    assert selling.read("Staked.convertToAssets", selling.read("Staked.balanceOf", "staker")) == 300 * WAD


def test_nobody_there_is_nobody_void(protocol):
    """An empty pool goes on in its generation."""
    protocol.deploy_token("Token", "Equity", "BSE", 18)
    protocol.lockstep.create_contract("ScriptedStage", "Auction", protocol.address("LossWaterfall"))
    make_equity_pool(protocol, "Staked", "BSE", "Auction")
    protocol.do("BSE.mint", "staker", WAD, sender="staker")
    protocol.do("BSE.approve", "Staked", WAD, sender="staker")
    assert protocol.do("Staked.deposit", 1, "staker", sender="staker") == 10**6
    assert protocol.read("Staked.generation") == 0
    # A wei is less than a million: whoever enters next starts anew.
    assert protocol.do("Staked.deposit", 1, "staker", sender="staker") == 10**6
    assert protocol.read("Staked.generation") == 5
    assert protocol.read("Staked.balanceOf", "staker") == 10**6


@pytest.mark.parametrize("losses", [0, 1], ids=["none known", "some known"])
def test_the_entry_counts_what_is_under_auction(selling, losses):
    """Otherwise a depositor would enter cheaply just before unsold equity comes back, however late."""
    selling.do("Waterfall.claim", losses, sender="stranger")
    held = selling.read("Staked.totalSupply") + 10**6
    expected = 3 * WAD * held // (400 * WAD + 1)
    assert selling.read("Staked.previewDeposit", 3 * WAD) == expected
    assert selling.do("Staked.deposit", 3 * WAD, "newcomer", sender="newcomer") == expected
    assert selling.read("Staked.totalAssets") == 303 * WAD


def test_what_losses_will_take(selling):
    assert selling.read("Staked.pending_losses") == 0
    selling.do("Waterfall.claim", 1, sender="stranger")
    assert selling.read("Staked.pending_losses") == 60 * WAD
    selling.do("Auction.claim", 0, 301 * WAD, 0, sender="stranger")
    assert selling.read("Staked.pending_losses") == 300 * WAD


def test_an_entry_that_begins_a_generation_says_so_before_its_shares(staked):
    """All equity was sold: the next deposit voids the old shares."""
    supply = staked.read("Staked.totalSupply")
    staked.do("Auction.slash", "Staked", 400 * WAD, "stranger", sender="stranger")
    staked.do("Staked.deposit", 10 * WAD, "newcomer", sender="newcomer")
    begun, minted = [log for log in staked.last.logs if log.contract == "Staked"][:2]
    assert (begun.event, begun.values) == ("NewGeneration", (5, supply, 0))
    assert (minted.event, minted.values[2]) == ("Transfer", 10 * WAD * 10**6)
