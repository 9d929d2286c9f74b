"""cut: ends the collecting of a batch, whose shares stay members'."""

from backstop.model.arithmetic import WAD
from tests.support.savings import cut


def test_a_batch_of_equity_stays_members(staked):
    staked.do("Staked.requestRedeem", 300 * WAD * 10**6, "staker", "staker", sender="staker")
    cut(staked, "Staked")
    assert staked.read("Staked.totalSupply") == 400 * WAD * 10**6
    assert staked.read("Staked.totalAssets") == 400 * WAD
    logs = [log.values for log in staked.last.logs if log.event == "BatchCut"]
    assert logs == [(1, 300 * WAD * 10**6, 0)]
