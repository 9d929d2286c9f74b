"""cut: ends the collecting of a batch; its shares still belong to its members."""

from backstop.model.arithmetic import WAD
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import DAY, cut_batch, make_equity_pool


def test_a_batch_of_equity_stays_members(staked):
    staked.do("Staked.requestRedeem", 300 * WAD * 10**6, "staker", "staker", sender="staker")
    cut_batch(staked, "Staked")
    assert staked.read("Staked.totalSupply") == 400 * WAD * 10**6
    assert staked.read("Staked.totalAssets") == 400 * WAD
    logs = [log.values for log in staked.last.logs if log.event == "BatchCut"]
    assert logs == [(1, 300 * WAD * 10**6, 0)]


def test_its_shares_go_on_to_earn(staked):
    """Income that has not vested stays the pool's: there is no reserve of equity."""
    staked.do("Staked.requestRedeem", 300 * WAD * 10**6, "staker", "staker", sender="staker")
    staked.do("Staked.add_income", 70 * WAD, sender="newcomer")
    cut_batch(staked, "Staked")
    assert staked.read("Staked.unvested") == 60 * WAD
    assert staked.read("Staked.totalAssets") == 410 * WAD


def test_nobody_has_asked(staked):
    with reverts("pool: no requests"):
        staked.do("Staked.cut", sender="stranger")


def test_not_before_its_day_is_over(staked):
    staked.do("Staked.requestRedeem", 5, "staker", "staker", sender="staker")
    staked.advance(DAY - 1)
    with reverts("pool: batch collects"):
        staked.do("Staked.cut", sender="stranger")
    staked.advance(1)
    staked.do("Staked.cut", sender="stranger")


def test_a_batch_collects_for_an_eighth_of_a_long_cooldown(staked):
    """So that twelve places are never filled by time alone: of sixteen days, two."""
    make_equity_pool(staked, "Slow", "BSE", "Auction", cooldown=16 * DAY)
    staked.do("BSE.approve", "Slow", WAD, sender="staker")
    staked.do("Slow.deposit", WAD, "staker", sender="staker")
    staked.do("Slow.requestRedeem", 5, "staker", "staker", sender="staker")
    staked.advance(2 * DAY - 1)
    with reverts("pool: batch collects"):
        staked.do("Slow.cut", sender="stranger")
    staked.advance(1)
    staked.do("Slow.cut", sender="stranger")
