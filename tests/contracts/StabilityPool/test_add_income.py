"""add_income: it vests, and is shared among the coins that take part when it does."""

from backstop.model.arithmetic import WAD
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.stability_pool_members import read_member
from tests.support.stability_pool_steps import ENTRY_DELAY, POOL, deposit_coins

DAY = 86_400
HUNDRED = 100 * WAD


def claim_income(protocol, member):
    return protocol.do(f"{POOL}.claim", member, False, sender=member)[1]


def test_income_vests_and_is_shared_by_coins(pooled):
    deposit_coins(pooled, "alice", 3 * HUNDRED)
    deposit_coins(pooled, "bob", HUNDRED)
    pooled.do(f"{POOL}.add_income", 864 * WAD, sender="carol")
    assert pooled.read(f"{POOL}.unvested") == 864 * WAD
    pooled.advance(DAY // 4)
    assert read_member(pooled, "alice").income == 0
    assert claim_income(pooled, "alice") == 162 * WAD
    # The sum is noted for all by any call of a member.
    assert read_member(pooled, "bob").income == 54 * WAD
    assert pooled.read(f"{POOL}.sums_of", 0) == (0, 216 * WAD * 10**36 // (4 * HUNDRED))
    pooled.advance(DAY)
    assert claim_income(pooled, "bob") == 216 * WAD
    assert claim_income(pooled, "alice") == 486 * WAD
    assert pooled.read("Stablecoin.balanceOf", POOL) == 4 * HUNDRED


def test_income_that_was_counted_adds_up_until_it_is_claimed(pooled):
    """Each call of a member counts the income that has vested since, on top of the earlier count."""
    deposit_coins(pooled, "alice", HUNDRED)
    pooled.do(f"{POOL}.add_income", 24 * WAD, sender="carol")
    for hours in (3, 6, 9):
        pooled.advance(3 * 3_600)
        pooled.do(f"{POOL}.deposit", WAD, sender="alice")
        counted = read_member(pooled, "alice").income
        assert 0 <= hours * WAD - counted < 10
    assert claim_income(pooled, "alice") == counted


def test_no_income(pooled):
    with reverts("pool: no income"):
        pooled.do(f"{POOL}.add_income", 0, sender="alice")


def test_who_enters_has_no_part_in_what_had_vested(pooled):
    """An admission shares vested income before it; of later income the new member has a half."""
    deposit_coins(pooled, "alice", HUNDRED)
    pooled.do(f"{POOL}.add_income", 24 * WAD, sender="carol")
    pooled.do(f"{POOL}.deposit", HUNDRED, sender="bob")
    pooled.advance(2 * ENTRY_DELAY)
    pooled.do(f"{POOL}.admit", sender="stranger")
    assert [read_member(pooled, who).income for who in ("alice", "bob")] == [2 * WAD, 0]
    pooled.advance(2 * ENTRY_DELAY)
    assert claim_income(pooled, "bob") == WAD
    assert claim_income(pooled, "alice") == 3 * WAD


def test_while_less_than_a_coin_takes_part_income_waits(pooled):
    """Income waits for the first coin of a pool, and then belongs to that member."""
    deposit_coins(pooled, "alice", WAD - 1)
    pooled.do(f"{POOL}.add_income", 24 * WAD, sender="carol")
    pooled.advance(DAY)
    assert claim_income(pooled, "alice") == 0
    deposit_coins(pooled, "bob", 1)
    assert claim_income(pooled, "bob") == 24
    assert claim_income(pooled, "alice") == 24 * WAD - 24


def test_more_income_than_can_be_booked(pooled):
    pooled.do(f"{POOL}.add_income", WAD, sender="alice")
    with reverts("pool: too many assets"):
        pooled.do(f"{POOL}.add_income", 2**96 - WAD, sender="alice")
