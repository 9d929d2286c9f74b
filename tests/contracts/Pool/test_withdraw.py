"""withdraw: exact assets for shares without a cooldown, rounded up."""

from backstop.model.arithmetic import MAX_UINT256, WAD
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import compute_exit_assets

CALL = "Savings.withdraw"


def test_pays_exactly_what_is_asked(naive):
    assert naive.do(CALL, 12_345 * WAD, "saver", "saver", sender="saver") == 12_345 * WAD * 10**6
    assert naive.read("Stablecoin.balanceOf", "saver") == 12_345 * WAD
    assert naive.read("Savings.totalAssets") == 27_655 * WAD


def test_shares_are_rounded_up(naive_pending):
    supply = naive_pending.read("Savings.totalSupply")
    shares = naive_pending.do(CALL, 1, "saver", "saver", sender="saver")
    assert shares > 10**6
    assert naive_pending.read("Savings.totalSupply") == supply - shares


def test_all_that_may_be_withdrawn_can_be(naive_pending):
    most = naive_pending.read("Savings.maxWithdraw", "saver")
    assert most == compute_exit_assets(naive_pending, 30_000 * WAD * 10**6)
    naive_pending.do(CALL, most, "saver", "saver", sender="saver")
    assert naive_pending.read("Savings.maxWithdraw", "saver") == 0


def test_not_a_wei_more(naive_pending):
    most = naive_pending.read("Savings.maxWithdraw", "saver")
    for assets, reason in ((most + 1, "shares: balance too small"), (MAX_UINT256, "")):
        with reverts(reason):
            naive_pending.do(CALL, assets, "saver", "saver", sender="saver")


def test_pays_the_receiver_and_logs_it(naive):
    shares = naive.do(CALL, WAD, "stranger", "saver", sender="saver")
    assert naive.read("Stablecoin.balanceOf", "stranger") == WAD
    saver, stranger = naive.address("saver"), naive.address("stranger")
    withdrawn = [log.values for log in naive.last.logs if log.event == "Withdraw"]
    assert withdrawn == [(saver, stranger, saver, WAD, shares)]


def test_a_spender_of_the_shares_may_withdraw(naive):
    with reverts("shares: allowance too small"):
        naive.do(CALL, WAD, "stranger", "saver", sender="stranger")
    naive.do("Savings.approve", "stranger", WAD * 10**6, sender="saver")
    naive.do(CALL, WAD, "stranger", "saver", sender="stranger")
    assert naive.read("Savings.allowance", "saver", "stranger") == 0


def test_nothing_is_refused(naive):
    with reverts("pool: no assets"):
        naive.do(CALL, 0, "saver", "saver", sender="saver")
