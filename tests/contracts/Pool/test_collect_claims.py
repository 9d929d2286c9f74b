"""collect_claims: owners get the claims for the losses absorbed by their shares, for any caller."""

from fractions import Fraction
from random import Random

import pytest

from backstop.model.arithmetic import MAX_UINT256, WAD
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import (
    charge_pool,
    cut_batch_and_wait_cooldown,
    deposit_savings,
    redeem_all_shares,
)

CALL = "Young.collect_claims"
CLAIMS = "Young.Claims"


def claims(protocol, who):
    return protocol.read(f"{CLAIMS}.balanceOf", who)


def close(found, expected):
    """Return whether two amounts are equal but for rounding down, far below a billionth of a token."""
    return 0 <= expected - found < 10**8


def test_pro_rata(junior):
    charge_pool(junior, "Young", 400 * WAD)
    for who, expected in (("saver", 300), ("neighbour", 100), ("stranger", 0)):
        junior.do(CALL, who, sender="stranger")
        assert close(claims(junior, who), expected * WAD)


def test_once(junior):
    charge_pool(junior, "Young", 400 * WAD)
    junior.do(CALL, "saver", sender="saver")
    before = claims(junior, "saver")
    junior.do(CALL, "saver", sender="saver")
    assert claims(junior, "saver") == before
    assert junior.last.logs == ()


def test_requested_shares_count_and_the_escrow_owns_nothing(junior):
    junior.do("Young.requestRedeem", 1_000 * WAD * 10**6, "saver", "saver", sender="saver")
    charge_pool(junior, "Young", 400 * WAD)
    with reverts("pool: no member"):
        junior.do(CALL, "Young", sender="saver")
    junior.do(CALL, "saver", sender="stranger")
    assert close(claims(junior, "saver"), 300 * WAD)


def test_those_of_a_request_come_also_before_it_is_paid_and_by_a_claim_of_nothing(junior):
    junior.do("Young.requestRedeem", 1_000 * WAD * 10**6, "saver", "saver", sender="saver")
    for call, args, so_far in (
        (CALL, ("saver",), 300),
        ("Young.redeem", (0, "saver", "saver"), 400),
        ("Young.withdraw", (0, "saver", "saver"), 400),
    ):
        if so_far > claims(junior, "saver") // WAD + 1:
            charge_pool(junior, "Young", 400 * WAD)
        junior.do(call, *args, sender="saver")
        assert close(claims(junior, "saver"), so_far * WAD)


def test_whoever_enters_later_bore_nothing(junior):
    charge_pool(junior, "Young", 400 * WAD)
    deposit_savings(junior, "newcomer", 900 * WAD, "Young")
    junior.do(CALL, "newcomer", sender="newcomer")
    assert claims(junior, "newcomer") == 0
    charge_pool(junior, "Young", 450 * WAD)
    junior.do(CALL, "newcomer", sender="newcomer")
    assert close(claims(junior, "newcomer"), 90 * WAD)


def test_adding_to_a_share_settles_first(junior):
    charge_pool(junior, "Young", 400 * WAD)
    deposit_savings(junior, "saver", 2_700 * WAD, "Young")
    assert close(claims(junior, "saver"), 300 * WAD)


def test_leaving_settles_first(junior):
    junior.do("Young.requestRedeem", 1_000 * WAD * 10**6, "saver", "saver", sender="saver")
    charge_pool(junior, "Young", 400 * WAD)
    cut_batch_and_wait_cooldown(junior, "Young")
    assert redeem_all_shares(junior, "saver", "Young") == 900 * WAD
    assert close(claims(junior, "saver"), 100 * WAD)
    charge_pool(junior, "Young", 270 * WAD)
    junior.do(CALL, "saver", sender="saver")
    assert close(claims(junior, "saver"), 480 * WAD)


def test_of_a_generation_that_is_over(junior):
    """A new deposit hands over the claims of void shares; other owners get all at once on request."""
    charge_pool(junior, "Young", 400 * WAD)
    junior.do(CALL, "neighbour", sender="stranger")
    charge_pool(junior, "Young", 3_600 * WAD)
    assert claims(junior, "saver") == 0
    deposit_savings(junior, "saver", 100 * WAD, "Young")
    assert close(claims(junior, "saver"), 3_000 * WAD)
    charge_pool(junior, "Young", 10 * WAD)
    for who, expected in (("saver", 3_010), ("neighbour", 1_000)):
        junior.do(CALL, who, sender="stranger")
        assert close(claims(junior, who), expected * WAD)


def test_cash_paid_before_is_credited(junior):
    charge_pool(junior, "Young", 400 * WAD)
    junior.do(f"{CLAIMS}.repay", 100 * WAD, sender="payer")
    charge_pool(junior, "Young", 360 * WAD)
    junior.do(CALL, "saver", sender="stranger")
    # The second loss got no part of the payment, and its tokens are as many as its worth.
    assert close(junior.read(f"{CLAIMS}.cash", "saver"), 75 * WAD)
    assert close(claims(junior, "saver"), 300 * WAD + 270 * WAD * 4 // 3)
    assert junior.read(f"{CLAIMS}.outstanding") in range(660 * WAD - 10**7, 660 * WAD)


@pytest.mark.parametrize("looks", [(), (1,), (1, 2), (2,), (3,)], ids=str)
def test_over_generations_of_claims(junior, looks):
    """Claims that were repaid in whole are cash; the time of the look does not matter."""
    for k in range(1, 5):
        charge_pool(junior, "Young", 100 * WAD)
        junior.do(f"{CLAIMS}.repay", 30 * WAD, sender="payer")
        charge_pool(junior, "Young", 100 * WAD)
        if k in looks:
            junior.do(CALL, "saver", sender="saver")
        if k < 4:
            junior.do(f"{CLAIMS}.repay", MAX_UINT256, sender="payer")
            assert junior.read(f"{CLAIMS}.generation") == k
    junior.do(CALL, "saver", sender="saver")
    for generation in range(4):
        if junior.read(f"{CLAIMS}.cash_of", "saver", generation):
            junior.do(f"{CLAIMS}.collect", "saver", generation, sender="stranger")
    assert close(junior.read("Stablecoin.balanceOf", "saver"), 3 * (3 * 200 + 30) * WAD // 4)
    # Of 100 there were 100 tokens worth 0.7, so that 100 more brought 142.8.
    assert close(claims(junior, "saver"), 75 * WAD + 75 * WAD * 10 // 7)


def test_any_order_of_events_is_fair(junior):
    """Against exact fractions: each owner is owed and paid the claims of the shares held, never more."""
    random = Random(4)
    people = ("saver", "neighbour", "third")
    give = {who: Fraction(0) for who in people}  # claims held, as exact tokens
    cash = {who: Fraction(0) for who in people}
    tokens = owed = Fraction(0)
    total_repaid = 0
    deposit_savings(junior, "third", 500 * WAD, "Young")
    for _ in range(60):
        kind = random.randrange(4)
        if kind == 0:
            owned = {who: junior.read("Young.balanceOf", who) for who in people}
            supply = junior.read("Young.totalSupply")
            loss = junior.read("Young.totalAssets") // random.randrange(2, 30)
            charge_pool(junior, "Young", loss)
            new = Fraction(loss) if not tokens else loss * tokens / owed
            tokens, owed = tokens + new, owed + loss
            for who in people:
                give[who] += new * owned[who] / supply
        elif kind == 1 and owed:
            paid = random.choice((int(owed) // 3, 12_345, MAX_UINT256))
            used = junior.do(f"{CLAIMS}.repay", min(paid, 3_000 * WAD), sender="payer")
            total_repaid += used
            for who in people:
                cash[who] += give[who] * used / tokens
            owed -= used
            if junior.read(f"{CLAIMS}.outstanding") == 0:
                tokens = owed = Fraction(0)
                give = dict.fromkeys(people, Fraction(0))
        elif kind == 2:
            who, other = random.sample(people, 2)
            held = junior.read("Young.balanceOf", who)
            junior.do("Young.transfer", other, held // random.randrange(1, 5), sender=who)
        else:
            deposit_savings(junior, random.choice(people), random.randrange(1, 300) * WAD + 7, "Young")
        if junior.read("Stablecoin.balanceOf", "payer") < 3_000 * WAD:
            junior.give_stablecoin("payer", 20_000 * WAD)
        junior.advance(random.randrange(3_600))
    generations = junior.read(f"{CLAIMS}.generation") + 1
    assert generations > 2 and total_repaid > 1_000 * WAD
    for who in people:
        junior.do(CALL, who, sender="stranger")
        for generation in range(generations):
            if junior.read(f"{CLAIMS}.cash_of", who, generation):
                junior.do(f"{CLAIMS}.collect", who, generation, sender="stranger")
        assert 0 <= cash[who] - junior.read("Stablecoin.balanceOf", who) < 10**9
        assert abs(give[who] - claims(junior, who)) < 10**9
    assert junior.read("Stablecoin.balanceOf", CLAIMS) < 10**10
