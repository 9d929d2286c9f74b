"""Division of shares: an entry at a price that losses drove towards zero divides all shares by 1e9 first.

A deposit of n wei into an empty pool makes n * 1e6 shares, so that with A wei left an entry divides if
n + 1 > 1e9 * (A + 1).
"""

import pytest

from backstop.model.arithmetic import RAD, RAY, WAD
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import (
    LOOK,
    charge_pool,
    claim_requests,
    create_pool_and_give_savers_coins,
    cut_batch,
    cut_batch_and_wait_cooldown,
    deposit_savings,
    request_all_shares,
)

SHARE, STEP = 10**6, 10**9


def events(protocol, name):
    return [log.values for log in protocol.last.logs if log.event == name and log.contract == "Young"]


@pytest.fixture
def young(protocol):
    return create_pool_and_give_savers_coins(protocol)


def enter(protocol, who, assets):
    return int(protocol.do("Young.deposit", assets, who, sender=who))


def ruin(protocol, left):
    """Take all vested assets but so many wei."""
    charge_pool(protocol, "Young", protocol.read("Young.capacity", 0) // RAY - left)


# ------------------------------------------------------------------------ when


def test_at_1e15_shares_for_a_wei_nothing_is_divided(young):
    """S + 1e6 == 1e15 * (A + 1), to the share."""
    enter(young, "saver", 2 * WAD - 1)
    ruin(young, 2 * 10**9 - 1)
    assert young.read("Young.totalSupply") + SHARE == 10**15 * (young.read("Young.totalAssets") + 1)
    assert young.read("Young.previewDeposit", 3) == 3 * 10**15
    assert enter(young, "newcomer", 3) == 3 * 10**15
    assert events(young, "SharesDivided") == []
    assert young.read("Young.generation") == 0


def test_at_a_share_more_all_are_divided(young):
    """By 1e9, each holder's rounded down; the deposit is priced by the divided shares."""
    enter(young, "saver", 2 * WAD - 2)
    assert young.do("Young.mint", 1 + SHARE, "neighbour", sender="neighbour") == 2
    ruin(young, 2 * 10**9 - 1)
    supply = young.read("Young.totalSupply")
    assert supply + SHARE == 10**15 * 2 * 10**9 + 1
    divided = supply // STEP
    # Rounded down: 1 of 1e6 + 1 shares is less than one of the next generation.
    assert divided == 2 * 10**15 - 1
    expected = 10**6 * (divided + SHARE) // (2 * 10**9)
    assert young.read("Young.previewDeposit", 10**6) == expected
    # At the price of now, before the division: 1e15 shares for a wei.
    assert young.read("Young.convertToShares", 10**6) == 10**21
    assert young.read("Young.generation") == 0
    assert enter(young, "newcomer", 10**6) == expected
    assert events(young, "SharesDivided") == [(1, 1)]
    assert events(young, "NewGeneration") == []
    assert young.read("Young.generation") == 1
    assert young.read("Young.totalSupply") == divided + expected
    assert young.read("Young.balanceOf", "saver") == (2 * WAD - 2) * SHARE // STEP
    assert young.read("Young.balanceOf", "neighbour") == 0
    assert young.read("Young.balanceOf", "newcomer") == expected


def test_at_a_wei_less_all_are_divided_by_a_mint_as_well(young):
    enter(young, "saver", 2 * WAD - 1)
    ruin(young, 2 * 10**9 - 2)
    # (2e15 - 1 + 1e6) shares for 2e9 - 1 wei, rounded up.
    price = -(-(10**12) * (2 * 10**9 - 1) // (2 * 10**15 - 1 + SHARE))
    assert price == 10**6
    assert young.read("Young.previewMint", 10**12) == price
    assert young.do("Young.mint", 10**12, "newcomer", sender="newcomer") == price
    assert events(young, "SharesDivided") == [(1, 1)]


def test_only_entries_divide(young):
    """A loss, a transfer, a request, a cut, a payment and a claim find shares as they are."""
    enter(young, "saver", 2 * WAD)
    ruin(young, 10**6)
    young.do("Young.transfer", "neighbour", 5, sender="saver")
    young.do("Young.collect_claims", "saver", sender="saver")
    request_all_shares(young, "saver", "Young")
    cut_batch_and_wait_cooldown(young, "Young")
    young.do("Young.settle", sender="stranger")
    claim_requests(young, "saver", "Young")
    assert young.read("Young.generation") == 0
    assert young.read("Young.balanceOf", "neighbour") == 5


def test_a_division_by_several_steps_at_once(young):
    """Shares of 1e15 for a wei, then all but a millionth lost, then again: 1e15, 1e24 and 1e33 to a wei."""
    enter(young, "saver", 2_000 * WAD)
    ruin(young, 2_000 * 10**9)
    assert 10**35 < enter(young, "saver", 1_000 * WAD) < 10**36
    assert young.read("Young.generation") == 0
    # Nearly 1e36 shares for 2e6 wei are 5e29 for each: two steps.
    ruin(young, 2 * 10**6)
    supply = young.read("Young.totalSupply")
    assert 10**24 < supply // (2 * 10**6 + 1) < 10**33
    enter(young, "neighbour", 10**6)
    assert events(young, "SharesDivided") == [(2, 2)]
    assert young.read("Young.generation") == 2
    assert young.read("Young.balanceOf", "saver") == supply // STEP**2


def test_before_that_entry_shares_are_worth_no_more_than_all_assets(young):
    """Otherwise lenders on shares would value them 1e9 times as high."""
    enter(young, "saver", 2 * WAD)
    ruin(young, 10**6)
    shares = young.read("Young.balanceOf", "saver")
    assert shares == 2 * WAD * SHARE
    assert 10**6 - young.read("Young.convertToAssets", shares) in (0, 1)


# ------------------------------------------------------------------------- who


def test_nobodys_money_is_moved_by_it(young):
    """A third is the neighbour's before and after; the depositor gets out no more than came in."""
    enter(young, "saver", 2_000 * WAD)
    enter(young, "neighbour", 1_000 * WAD)
    ruin(young, 3 * 10**6)
    enter(young, "newcomer", 50 * WAD)
    assert events(young, "SharesDivided") == [(1, 1)]
    worth = [
        young.read("Young.convertToAssets", young.read("Young.balanceOf", who))
        for who in ("saver", "neighbour", "newcomer")
    ]
    assert worth[:2] == [2 * 10**6, 10**6]
    assert 50 * WAD - worth[2] in range(50 * 10**6)
    assert sum(worth) <= young.read("Young.totalAssets")


def test_allowances_keep_their_number(young):
    enter(young, "saver", 2 * WAD)
    young.do("Young.approve", "stranger", 7 * 10**20, sender="saver")
    ruin(young, 10**6)
    enter(young, "newcomer", 10**6)
    assert young.read("Young.generation") == 1
    assert young.read("Young.allowance", "saver", "stranger") == 7 * 10**20
    shares = young.read("Young.balanceOf", "saver")
    assert shares == 2 * 10**15
    young.do("Young.transferFrom", "saver", "newcomer", shares, sender="stranger")
    assert young.read("Young.balanceOf", "saver") == 0


def test_who_holds_less_than_a_share_of_the_next_generation_has_none(young):
    enter(young, "saver", 2 * WAD)
    young.do("Young.transfer", "neighbour", 2 * STEP - 1, sender="saver")
    young.do("Young.transfer", "stranger", STEP - 1, sender="saver")
    ruin(young, 10**6)
    enter(young, "newcomer", 10**6)
    assert young.read("Young.balanceOf", "neighbour") == 1
    assert young.read("Young.balanceOf", "stranger") == 0
    with reverts("shares: balance too small"):
        young.do("Young.transfer", "saver", 1, sender="stranger")
    young.do("Young.transfer", "saver", 1, sender="neighbour")


def test_claims_are_handed_over_across_divisions(young):
    """Three quarters of each loss: 3,000 and all but a few wei of 100, borne by shares of two generations."""
    enter(young, "saver", 3_000 * WAD)
    enter(young, "neighbour", 1_000 * WAD)
    ruin(young, 4 * 10**9)
    enter(young, "newcomer", 10**9)
    assert events(young, "SharesDivided") == [(1, 1)]
    # The saver's 3e9 of 5e9 now.
    charge_pool(young, "Young", 5 * 10**8)
    young.do("Young.collect_claims", "saver", sender="stranger")
    held = young.read("Young.Claims.balanceOf", "saver")
    expected = 3_000 * WAD - 3 * 10**9 + 3 * 10**8
    assert 0 <= expected - held < 10**8
    young.do("Young.collect_claims", "saver", sender="stranger")
    assert young.read("Young.Claims.balanceOf", "saver") == held
    young.do("Young.collect_claims", "newcomer", sender="stranger")
    assert 0 <= 10**8 - young.read("Young.Claims.balanceOf", "newcomer") < 10**3


# -------------------------------------------------------------------- requests


def test_a_request_that_waits_for_its_cut_is_divided(junior):
    """The batch too, to the share; a later addition is added to the current shares."""
    junior.do("Young.requestRedeem", 1_000 * WAD * SHARE + STEP - 1, "saver", "saver", sender="saver")
    charge_pool(junior, "Young", 4_000 * WAD - 4 * 10**9)
    deposit_savings(junior, "newcomer", 4 * 10**9, "Young")
    assert events(junior, "SharesDivided") == [(1, 1)]
    assert junior.read("Young.pendingRedeemRequest", 1, "saver") == 10**18
    # Of members' shares: 3e18 - 1e18, less the one that was rounded away.
    assert junior.read("Young.balanceOf", "saver") == 2 * 10**18 - 1
    junior.do("Young.requestRedeem", 7, "saver", "saver", sender="saver")
    assert junior.read("Young.batch_of", 1)[0] == 10**18 + 7
    assert junior.read("Young.balanceOf", "Young") == 10**18 + 7
    cut_batch_and_wait_cooldown(junior, "Young")
    junior.do("Young.settle", sender="stranger")
    # 4e18 of shares and the newcomer's have 8e9 wei: 1e9 for 1e18.
    assert 10**9 - claim_requests(junior, "saver", "Young") in (0, 1)


def test_collecting_claims_changes_no_request_that_waits_for_its_cut(junior):
    junior.do("Young.requestRedeem", 1_000 * WAD * SHARE, "saver", "saver", sender="saver")
    junior.do("Young.requestRedeem", 1_000 * WAD * SHARE, "neighbour", "neighbour", sender="neighbour")
    charge_pool(junior, "Young", 4_000 * WAD - 4 * 10**9)
    deposit_savings(junior, "newcomer", 100 * WAD, "Young")
    assert events(junior, "SharesDivided") == [(1, 1)]
    junior.do("Young.collect_claims", "saver", sender="stranger")
    junior.do("Young.redeem", 0, "saver", "saver", sender="saver")
    assert junior.read("Young.pendingRedeemRequest", 1, "saver") == 10**18
    cut_batch_and_wait_cooldown(junior, "Young")
    junior.do("Young.settle", sender="stranger")
    for who in ("saver", "neighbour"):
        assert junior.read("Young.maxRedeem", who) == 10**18
        assert 10**9 - claim_requests(junior, who, "Young") in range(100)


def test_collecting_claims_revives_no_request_that_is_void(junior):
    junior.do("Young.requestRedeem", 1_000 * WAD * SHARE, "saver", "saver", sender="saver")
    charge_pool(junior, "Young", 4_000 * WAD)
    deposit_savings(junior, "newcomer", 100 * WAD, "Young")
    junior.do("Young.collect_claims", "saver", sender="stranger")
    assert junior.read("Young.pendingRedeemRequest", 1, "saver") == 0
    request_all_shares(junior, "newcomer", "Young")
    cut_batch_and_wait_cooldown(junior, "Young")
    junior.do("Young.settle", sender="stranger")
    assert claim_requests(junior, "saver", "Young") == 0
    assert claim_requests(junior, "newcomer", "Young") == 100 * WAD


# --------------------------------------------------------------------- batches


@pytest.fixture
def divided(junior):
    """A batch of half of the shares, cut at a coin a share; at the next deposit 4e9 wei are left."""
    junior.do("Young.requestRedeem", 2_000 * WAD * SHARE, "saver", "saver", sender="saver")
    cut_batch(junior, "Young")
    charge_pool(junior, "Young", 4_000 * WAD - 4 * 10**9)
    assert junior.read("Young.batch_of", 1)[3] == 2 * 10**9
    deposit_savings(junior, "newcomer", 2 * 10**9, "Young")
    assert events(junior, "SharesDivided") == [(1, 1)]
    return junior


def test_a_batch_goes_on_as_it_was(divided):
    """Its holdings differ by a wei's part.

    It is paid a wei less than that, and keeps the shares of its cut.
    """
    assert divided.read("Young.batch_of", 1)[0] == 2_000 * WAD * SHARE
    assert divided.read("Young.batch_of", 1)[3] - 2 * 10**9 in (0, 1)
    assert divided.read("Young.pendingRedeemRequest", 1, "saver") == 2_000 * WAD * SHARE
    divided.advance(86_400 + LOOK)
    divided.do("Young.settle", sender="stranger")
    assert divided.read("Young.batch_of", 1)[2:] == (2 * 10**9 - 1, 0, True)
    assert divided.read("Young.maxRedeem", "saver") == 2_000 * WAD * SHARE
    assert claim_requests(divided, "saver", "Young") == 2 * 10**9 - 1


def test_a_batch_bears_losses_on_share_for_share(divided):
    """Of 6e9 wei it has a third."""
    charge_pool(divided, "Young", 3 * 10**9)
    assert abs(divided.read("Young.batch_of", 1)[3] - 10**9) <= 1


def test_claims_of_a_batch_cut_before_are_of_its_divided_shares(divided):
    divided.do("Young.collect_claims", "saver", sender="stranger")
    before = divided.read("Young.Claims.balanceOf", "saver")
    # The batch bears 1e8 of them, and the saver's 1,000 of the others' 4,000 a quarter of 2e8.
    charge_pool(divided, "Young", 3 * 10**8)
    divided.do("Young.collect_claims", "saver", sender="stranger")
    assert 0 <= 15 * 10**7 - (divided.read("Young.Claims.balanceOf", "saver") - before) < 10**3


def test_what_a_run_was_paid_is_told_back_over_divisions(divided):
    """A tenth in doubt: 85% paid.

    All but a hundred millionth of the rest is lost, then a deposit divides shares, then no more is lost: the
    run gets that part and nothing is paid twice.
    """
    divided.advance(86_400 + LOOK)
    divided.do("Waterfall.claim", 600_000_000 * RAY, sender="stranger")
    divided.do("Young.settle", sender="stranger")
    paid, held = divided.read("Young.batch_of", 1)[2:4]
    assert abs(paid - 1_700_000_000) <= 1 and abs(held - 300_000_000) <= 1
    assert abs(claim_requests(divided, "saver", "Young") - 1_700_000_000) <= 1
    divided.do("Waterfall.claim", 0, sender="stranger")
    divided.do("Young.settle", sender="stranger")
    rest = claim_requests(divided, "saver", "Young")
    assert abs(rest - 300_000_000) <= 2
    assert divided.read("Young.batch_of", 1)[2:] == (2 * 10**9 - 1, 0, True)
    assert divided.table("Young", "line.queue").owed <= 2


def test_a_run_that_holds_next_to_nothing_is_divided_with_nobody_while_others_have_more(junior):
    """In doubt is all but 1/128 of each share: the run holds all but 1/256.

    When nearly as much is lost the run is open with a few wei, and remaining members have 1/256 each: a
    deposit divides nothing.
    """
    for shares in (1_000, 1_000):
        junior.do("Young.requestRedeem", shares * WAD * SHARE, "saver", "saver", sender="saver")
        cut_batch_and_wait_cooldown(junior, "Young")
    junior.do("Waterfall.claim", (4_000 - 31) * RAD - RAD // 4, sender="stranger")
    junior.do("Young.settle", sender="stranger")
    # 2,000 / 256.
    first, second = (junior.read("Young.batch_of", k)[2:4] for k in (1, 2))
    paid, held = first[0] + second[0], first[1] + second[1]
    assert 7_812_500 * 10**12 - paid in range(4)
    assert 1_992_187_500 * 10**12 - held in range(4)
    before = claim_requests(junior, "saver", "Young")
    assert paid - before in range(3)
    # All that the run holds, and as much of the 2,000 of who stays: 1/256 of these is left, and 7.8125.
    charge_pool(junior, "Young", 2 * (held - 10**9))
    assert junior.read("Young.batch_of", 1)[3] + junior.read("Young.batch_of", 2)[3] - 10**9 in range(-3, 3)
    assert junior.read("Young.queue")[0] == 1
    # Live shares have 1/256 left beyond: no entry would divide them; that is lost by none.
    deposit_savings(junior, "newcomer", WAD, "Young")
    assert junior.read("Young.generation") == 0
    junior.do("Waterfall.claim", 0, sender="stranger")
    junior.do("Young.settle", sender="stranger")
    assert claim_requests(junior, "saver", "Young") - 10**9 in range(-6, 6)
