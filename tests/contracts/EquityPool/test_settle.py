"""settle: pays all shares that are due in a round, in full, while no loss is known and nothing is sold."""

import pytest

from backstop.model.arithmetic import MAX_UINT256, RAD, WAD
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import DAY, LOOK, claim_requests, cut_batch, cut_batch_and_wait_cooldown

COIN = WAD * 10**6


def ask(protocol, shares, who="staker"):
    protocol.do("Staked.requestRedeem", shares, who, who, sender=who)


def paid(protocol):
    return [log.values for log in protocol.last.logs if log.event == "RoundPaid"]


@pytest.fixture
def idle(selling):
    """A pool of equity of 300 and 100; no loss is known and nothing is under auction."""
    selling.do("Auction.claim", 0, 0, 0, sender="stranger")
    selling.do("Staked.deposit", 100 * WAD, "newcomer", sender="newcomer")
    selling.do("BSE.mint", "newcomer", 1_000 * WAD, sender="newcomer")
    selling.do("BSE.approve", "Staked", MAX_UINT256, sender="newcomer")
    return selling


def test_equity_leaves_in_full_while_no_loss_is_known(selling):
    selling.do("Staked.requestRedeem", 200 * COIN, "staker", "staker", sender="staker")
    cut_batch_and_wait_cooldown(selling, "Staked")
    selling.do("Auction.claim", 0, 0, 100 * WAD, sender="stranger")
    with reverts("pool: losses are open"):
        selling.do("Staked.settle", sender="stranger")
    selling.do("Auction.claim", 0, 0, 0, sender="stranger")
    selling.do("Staked.settle", sender="stranger")
    assert paid(selling) == [(1, 2, 200 * COIN, 200 * WAD)]
    assert selling.read("Staked.batch_of", 1)[2:] == (200 * WAD, 0, True)
    assert selling.read("Staked.totalSupply") == 100 * COIN
    assert claim_requests(selling, "staker", "Staked") == 200 * WAD


@pytest.mark.parametrize(("losses", "auctioned"), [(1, 0), (0, 1), (RAD, WAD)], ids=str)
def test_not_while_a_ray_is_known_to_be_lost_or_a_wei_is_under_auction(idle, losses, auctioned):
    ask(idle, COIN)
    cut_batch_and_wait_cooldown(idle, "Staked")
    idle.do("Waterfall.claim", losses, sender="stranger")
    idle.do("Auction.claim", 0, 0, auctioned, sender="stranger")
    with reverts("pool: losses are open"):
        idle.do("Staked.settle", sender="stranger")
    assert idle.read("Staked.batch_of", 1)[2:] == (0, 0, False)
    idle.do("Waterfall.claim", 0, sender="stranger")
    idle.do("Auction.claim", 0, 0, 0, sender="stranger")
    idle.do("Staked.settle", sender="stranger")
    assert idle.read("Staked.batch_of", 1)[2:] == (WAD, 0, True)


def test_nothing_is_due_before_the_cooldown_and_a_look(idle):
    """No other obstacle to payment matters."""
    ask(idle, COIN)
    cut_batch(idle, "Staked")
    idle.do("Waterfall.claim", 1, sender="stranger")
    idle.advance(DAY + LOOK - 1)
    with reverts("pool: nothing to settle"):
        idle.do("Staked.settle", sender="stranger")
    idle.advance(1)
    with reverts("pool: losses are open"):
        idle.do("Staked.settle", sender="stranger")
    idle.do("Waterfall.claim", 0, sender="stranger")
    idle.do("Staked.settle", sender="stranger")
    with reverts("pool: nothing to settle"):
        idle.do("Staked.settle", sender="stranger")


def test_batches_whose_cooldown_is_over_leave_their_places_for_a_round(idle):
    """However many there are while a loss is known: of twenty batches two wait for their time."""
    idle.do("Waterfall.claim", 1, sender="stranger")
    for k in range(1, 21):
        ask(idle, COIN)
        assert cut_batch(idle, "Staked") == k
    # The last was cut a moment ago, and the one before it a day ago: both wait for a look yet.
    assert idle.read("Staked.queue") == (19, 19, 21)
    assert idle.read("Staked.shares_due") == 18 * COIN
    assert idle.read("Staked.totalSupply") == 400 * COIN
    idle.do("Waterfall.claim", 0, sender="stranger")
    idle.do("Staked.settle", sender="stranger")
    assert paid(idle) == [(1, 19, 18 * COIN, 18 * WAD)]
    assert idle.read("Staked.shares_due") == 0
    assert idle.read("Staked.batch_of", 19)[2:] == (0, 0, False)
    idle.advance(DAY + LOOK)
    idle.do("Staked.settle", sender="stranger")
    assert paid(idle) == [(2, 21, 2 * COIN, 2 * WAD)]
    assert claim_requests(idle, "staker", "Staked") == 20 * WAD


def test_each_batch_of_a_round_is_paid_its_part_at_one_price(idle):
    """A third was slashed while they waited: two batches of 30 and of 15, and the newcomer's of 45."""
    ask(idle, 30 * COIN)
    cut_batch(idle, "Staked")
    ask(idle, 15 * COIN)
    ask(idle, 45 * COIN, "newcomer")
    cut_batch_and_wait_cooldown(idle, "Staked")
    idle.do("Auction.slash", "Staked", 100 * WAD, "stranger", sender="stranger")
    idle.do("Staked.settle", sender="stranger")
    # floor(90e24 * (300e18 + 1) / (400e24 + 1e6)): 67.5 and a part of a wei.
    assert paid(idle) == [(1, 3, 90 * COIN, 675 * WAD // 10)]
    assert idle.read("Staked.batch_of", 1)[2] == 225 * WAD // 10
    assert idle.read("Staked.batch_of", 2)[2] == 45 * WAD
    assert claim_requests(idle, "newcomer", "Staked") == 3_375 * WAD // 100
    assert claim_requests(idle, "staker", "Staked") == 3_375 * WAD // 100
    assert idle.table("Staked", "line.queue").owed == 0


def test_parts_are_rounded_down(idle):
    """Three sevenths each of a round of seven shares that is paid 2 wei."""
    ask(idle, 3 * 10**6)
    ask(idle, 4 * 10**6, "newcomer")
    cut_batch_and_wait_cooldown(idle, "Staked")
    idle.do("Auction.slash", "Staked", 300 * WAD, "stranger", sender="stranger")
    idle.do("Staked.settle", sender="stranger")
    # Of a quarter of a wei for each 1e6 shares: floor(7 / 4) = 1, and floor(3 / 7) and floor(4 / 7) of it.
    assert paid(idle)[0][3] == 1
    assert claim_requests(idle, "staker", "Staked") == claim_requests(idle, "newcomer", "Staked") == 0
    assert idle.table("Staked", "line.queue").owed == 1


def test_a_claim_in_parts_takes_no_more_than_the_whole(idle):
    ask(idle, 30 * COIN)
    cut_batch_and_wait_cooldown(idle, "Staked")
    idle.do("Staked.settle", sender="stranger")
    assert idle.do("Staked.redeem", 10 * COIN + 1, "staker", "staker", sender="staker") == 10 * WAD
    # Of 20 less a share that are left to 20: a quarter, rounded up.
    assert idle.do("Staked.withdraw", 5 * WAD, "staker", "staker", sender="staker") == 5 * COIN
    with reverts("pool: more than max"):
        idle.do("Staked.withdraw", 15 * WAD + 1, "staker", "staker", sender="staker")
    assert claim_requests(idle, "staker", "Staked") == 15 * WAD
    assert idle.read("Staked.maxRedeem", "staker") == 0


def test_a_round_of_an_earlier_generation_is_paid_what_its_divided_shares_are_worth(idle):
    """Nearly all is slashed and sold, then a deposit divides the shares; later more is slashed."""
    ask(idle, 100 * COIN)
    cut_batch_and_wait_cooldown(idle, "Staked")
    idle.do("Waterfall.claim", 1, sender="stranger")
    # Nobody has looked: the batch waits in its place. Another is due in the round.
    idle.do("Auction.slash", "Staked", 400 * WAD - 4 * 10**9, "stranger", sender="stranger")
    idle.do("Staked.deposit", 10**9, "newcomer", sender="newcomer")
    assert [log.values for log in idle.last.logs if log.event == "SharesDivided"] == [(1, 1)]
    ask(idle, 10**17, "newcomer")
    cut_batch(idle, "Staked")
    assert idle.read("Staked.shares_due") == 10**17
    idle.do("Auction.slash", "Staked", 5 * 10**9 - 10**7, "stranger", sender="stranger")
    # 5e17 shares of 1e7 wei: 2e-11 wei each, too much to be divided again.
    idle.do("Staked.deposit", 10**6, "newcomer", sender="newcomer")
    assert idle.read("Staked.generation") == 1
    idle.advance(DAY + LOOK)
    idle.do("Waterfall.claim", 0, sender="stranger")
    idle.do("Staked.settle", sender="stranger")
    ((round, until, shares, assets),) = paid(idle)
    assert (round, until, shares) == (1, 3, 2 * 10**17)
    assert 4 * 10**6 - assets in (-1, 0, 1)
    assert idle.read("Staked.maxRedeem", "staker") == 100 * COIN
    assert claim_requests(idle, "staker", "Staked") == assets // 2
    assert claim_requests(idle, "newcomer", "Staked") == assets // 2


def test_what_is_due_is_divided_with_the_others(idle):
    """The request was due before a deposit divided it; an amount requested with a rest is rounded down."""
    ask(idle, 100 * COIN + 10**9 - 1)
    cut_batch_and_wait_cooldown(idle, "Staked")
    ask(idle, 10**9 - 1, "newcomer")
    cut_batch(idle, "Staked")
    assert idle.read("Staked.shares_due") == 100 * COIN + 10**9 - 1
    idle.do("Auction.slash", "Staked", 400 * WAD - 4 * 10**9, "stranger", sender="stranger")
    idle.do("Staked.deposit", 10**9, "newcomer", sender="newcomer")
    assert idle.read("Staked.shares_due") == 10**17
    idle.advance(DAY + LOOK)
    idle.do("Staked.settle", sender="stranger")
    assert paid(idle)[0][:3] == (1, 3, 10**17)
    # What is less than a share of now is paid nothing, and is over.
    assert idle.read("Staked.batch_of", 2)[2:] == (0, 0, True)
    assert 10**9 - claim_requests(idle, "staker", "Staked") in (0, 1)
    assert claim_requests(idle, "newcomer", "Staked") == 0


def test_what_is_void_is_never_paid(idle):
    """Due or not; the next round belongs to later depositors, and pays the void batches nothing."""
    ask(idle, 100 * COIN)
    cut_batch_and_wait_cooldown(idle, "Staked")
    ask(idle, 50 * COIN)
    cut_batch(idle, "Staked")
    assert idle.read("Staked.shares_due") == 100 * COIN
    idle.do("Auction.slash", "Staked", 400 * WAD, "stranger", sender="stranger")
    idle.do("Staked.deposit", 10 * WAD, "newcomer", sender="newcomer")
    assert idle.read("Staked.generation") == 5
    assert idle.read("Staked.shares_due") == 0
    idle.advance(DAY + LOOK)
    with reverts("pool: nothing to settle"):
        idle.do("Staked.settle", sender="stranger")
    ask(idle, 4 * COIN, "newcomer")
    cut_batch_and_wait_cooldown(idle, "Staked")
    idle.do("Staked.settle", sender="stranger")
    assert paid(idle) == [(1, 4, 4 * COIN, 4 * WAD)]
    for batch in (1, 2):
        assert idle.read("Staked.batch_of", batch)[2:] == (0, 0, True)
    assert claim_requests(idle, "staker", "Staked") == 0
    assert idle.read("Staked.maxRedeem", "staker") == 0
    assert claim_requests(idle, "newcomer", "Staked") == 4 * WAD


def test_what_comes_back_before_it_is_paid_is_theirs_too(idle):
    """As members until then."""
    ask(idle, 100 * COIN)
    cut_batch_and_wait_cooldown(idle, "Staked")
    idle.do("Auction.slash", "Staked", 200 * WAD, "Auction", sender="stranger")
    idle.do("Auction.restore", "Staked", "BSE", 200 * WAD, sender="stranger")
    idle.do("Staked.settle", sender="stranger")
    assert claim_requests(idle, "staker", "Staked") == 100 * WAD
