"""settle: pays batches whose cooldown is over, in full, while no loss is known."""

from backstop.model.arithmetic import WAD
from tests.support.helpers import reverts
from tests.support.savings import claim, mature


def test_equity_leaves_in_full_while_no_loss_is_known(selling):
    selling.do("Staked.requestRedeem", 200 * WAD * 10**6, "staker", "staker", sender="staker")
    mature(selling, "Staked")
    selling.do("Auction.claim", 0, 0, 100 * WAD, sender="stranger")
    with reverts("pool: losses are open"):
        selling.do("Staked.settle", sender="stranger")
    selling.do("Auction.claim", 0, 0, 0, sender="stranger")
    selling.do("Staked.settle", sender="stranger")
    assert selling.read("Staked.batch_of", 1)[2:4] == (200 * WAD, 0)
    assert selling.read("Staked.totalSupply") == 100 * WAD * 10**6
    assert claim(selling, "staker", "Staked") == 200 * WAD
