"""requestRedeem: shares into the batch of today, for good."""

from backstop.contract_base import ZERO_ADDRESS
from tests.support.market_with_pool import DAY, POOL
from tests.support.revert_setter_and_source_helpers import reverts

BIG = 10**25
"""Shares, of 2e28: far from a crumb."""


def batch_of(pool, batch):
    return tuple(pool.read("batch_of", batch))


def test_shares_go_into_escrow_and_stay_members(members):
    had, supply = members.shares("bob"), members.read("totalSupply")
    batch = members.request("bob", had - 1)
    assert batch == members.market.world.timestamp // DAY
    assert members.shares("bob") == 1
    assert members.liquidity_vault_model.held(members.market.get_contract_or_account_address(POOL)) == had - 1
    assert members.read("totalSupply") == supply
    assert members.read("request_of", batch, members.market.get_contract_or_account_address("bob")) == had - 1
    assert members.request("bob") == batch
    assert batch_of(members, batch) == (1, 0, 0) and members.read("first_batch") == batch


def test_batches_are_a_list_in_the_order_of_days(members):
    first = members.request("bob", BIG)
    members.market.advance_clock(DAY)
    second = members.request("ann", 2 * BIG)
    members.market.advance_clock(2 * DAY)
    third = members.request("ann", 3 * BIG)
    assert (second, third) == (first + 1, first + 3)
    assert batch_of(members, first) == (1, second, 0)
    assert batch_of(members, second) == (1, third, first)
    assert batch_of(members, third) == (1, 0, second)
    assert members.read("first_batch") == first
    assert members.read("due_at", third) == (third + 2) * DAY


def test_for_others_on_an_allowance(members):
    """The payment goes to the controller."""
    ann, carl = (
        members.market.get_contract_or_account_address("ann"),
        members.market.get_contract_or_account_address("carl"),
    )
    with reverts("shares: allowance too small"):
        members.do("requestRedeem", 10, carl, ann, sender="carl")
    members.do("approve", carl, 10, sender="ann")
    batch = members.do("requestRedeem", 10, carl, ann, sender="carl")
    assert members.read("request_of", batch, carl) == 10
    assert members.read("allowance", ann, carl) == 0


def test_nothing_nobody_and_more_than_there_is(members):
    ann = members.market.get_contract_or_account_address("ann")
    with reverts("liquidity_vault: empty request"):
        members.request("ann", 0)
    for controller in (ZERO_ADDRESS, members.market.get_contract_or_account_address(POOL)):
        with reverts("shares: bad receiver"):
            members.do("requestRedeem", 1, controller, ann, sender="ann")
    with reverts("shares: balance too small"):
        members.request("ann", members.shares("ann") + 1)


def test_at_work_as_well(offered):
    offered.take_unassigned_lots(1_000)
    assert offered.request("bob") == offered.read("first_batch")


def test_a_crumb_keeps_nobody_waiting_and_is_paid_as_others(members):
    """Less than a ten-thousandth of all shares, all of a controller's in a batch together."""
    least = -(-members.read("totalSupply") // 10**4)
    batch = members.request("bob", least - 1)
    assert members.read("first_batch") == 0 and batch_of(members, batch) == (0, 0, 0)
    assert (
        members.read("request_of", batch, members.market.get_contract_or_account_address("bob")) == least - 1
    )
    ann = members.request("ann", least)
    assert ann == batch and batch_of(members, batch) == (1, 0, 0)
    for _ in range(2):
        members.request("bob", 1)
        assert batch_of(members, batch) == (2, 0, 0)
    members.wait(batch)
    for name in ("bob", "ann"):
        members.complete_exit_from_batch(name, batch)
    assert members.read("first_batch") == 0 and batch_of(members, batch) == (0, 0, 0)
    assert members.request("bob", 7) and members.read("first_batch") == 0
    later = members.request("ann", 7)
    members.wait(later)
    assert members.complete_exit_from_batch("bob", later) == 0
