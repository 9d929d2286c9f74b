"""slash, restore, slashable: an auction takes a pool's assets to sell them, and brings back the rest."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.helpers import reverts
from tests.support.savings import DAY


@pytest.mark.parametrize("sender", ["stranger", "admin", "staker"])
def test_only_its_stage_may_call(staked, sender):
    with reverts("pool: not its stage"):
        staked.do("Staked.slash", 1, sender, sender=sender)
    with reverts("pool: not its stage"):
        staked.do("Staked.restore", 1, sender=sender)


def test_assets_are_sent_and_shares_stay(staked):
    supply = staked.read("Staked.totalSupply")
    assert staked.do("Staked.slash", 100 * WAD, "stranger", sender="auction") == 100 * WAD
    assert staked.read("BSE.balanceOf", "stranger") == 100 * WAD
    assert staked.read("Staked.slashable") == staked.read("Staked.totalAssets") == 300 * WAD
    assert staked.read("Staked.totalSupply") == supply
    slashed = [log.values for log in staked.last.logs if log.event == "Slashed"]
    assert slashed == [(staked.address("stranger"), 100 * WAD)]


def test_at_most_what_is_vested(staked):
    staked.do("BSE.approve", "Staked", WAD, sender="staker")
    staked.do("Staked.add_income", WAD, sender="staker")
    assert staked.do("Staked.slash", 10**30, "stranger", sender="auction") == 400 * WAD
    assert staked.read("Staked.unvested") == WAD
    assert staked.do("Staked.slash", 10**30, "stranger", sender="auction") == 0


def test_what_comes_back_is_theirs_who_were_slashed(staked):
    staked.do("Staked.slash", 400 * WAD, "auction", sender="auction")
    assert staked.read("Staked.generation") == 0
    staked.do("Staked.restore", 100 * WAD, sender="auction")
    assert [log.values for log in staked.last.logs if log.event == "Restored"] == [(100 * WAD,)]
    assert staked.read("Staked.totalAssets") == 100 * WAD
    shares = staked.read("Staked.balanceOf", "staker")
    assert 75 * WAD - staked.read("Staked.convertToAssets", shares) in (0, 1)


def test_who_enters_after_all_was_sold_starts_a_new_generation(staked):
    staked.do("Staked.slash", 400 * WAD, "stranger", sender="auction")
    assert staked.read("Staked.previewDeposit", 10 * WAD) == 10 * WAD * 10**6
    assert staked.read("Staked.previewMint", 10**24) == WAD
    assert staked.read("Staked.convertToAssets", 10**24) == WAD
    assert staked.do("Staked.deposit", 10 * WAD, "newcomer", sender="newcomer") == 10 * WAD * 10**6
    assert [log.event for log in staked.last.logs][:1] == ["NewGeneration"]
    assert staked.read("Staked.generation") == 1
    assert staked.read("Staked.totalSupply") == 10 * WAD * 10**6
    assert staked.read("Staked.balanceOf", "staker") == 0


def test_who_enters_then_finds_no_income_of_those_who_lost_all(staked):
    staked.do("BSE.approve", "Staked", 70 * WAD, sender="staker")
    staked.do("Staked.add_income", 70 * WAD, sender="staker")
    staked.advance(DAY)
    assert staked.do("Staked.slash", 10**30, "stranger", sender="auction") == 410 * WAD
    staked.do("Staked.deposit", WAD, "newcomer", sender="newcomer")
    begun = [log.values for log in staked.last.logs if log.event == "NewGeneration"]
    assert begun == [(1, 400 * WAD * 10**6, 60 * WAD)]
    staked.advance(7 * DAY)
    assert staked.read("Staked.totalAssets") == WAD
    # It stays in the pool as a donation does.
    assert staked.read("BSE.balanceOf", "Staked") == 61 * WAD


def test_who_is_left_with_a_little_is_not_void(staked):
    staked.do("Staked.slash", 400 * WAD - 400 * 10**9, "stranger", sender="auction")
    staked.do("Staked.mint", 10**6, "newcomer", sender="newcomer")
    assert staked.read("Staked.generation") == 0
    staked.do("Staked.slash", 2, "stranger", sender="auction")
    staked.do("Staked.mint", 10**6, "newcomer", sender="newcomer")
    assert staked.read("Staked.generation") == 1


def test_the_entry_counts_what_is_under_auction_while_losses_are_pending(selling):
    """Or somebody would enter cheaply just before unsold equity comes back."""
    assert selling.read("Staked.previewDeposit", 3 * WAD) == 3 * WAD * 10**6
    selling.do("Waterfall.claim", 1, sender="stranger")
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
    """Equity that was all sold: who enters next voids what was there."""
    supply = staked.read("Staked.totalSupply")
    staked.do("Staked.slash", 400 * WAD, "stranger", sender="auction")
    staked.do("Staked.deposit", 10 * WAD, "newcomer", sender="newcomer")
    begun, minted = [log for log in staked.last.logs if log.contract == "Staked"][:2]
    assert (begun.event, begun.values) == ("NewGeneration", (1, supply, 0))
    assert (minted.event, minted.values[2]) == ("Transfer", 10 * WAD * 10**6)
