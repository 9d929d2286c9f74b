"""settle_take: for one caller only; more of what it does is seen in the tests of auctions."""

import pytest

from backstop.model.arithmetic import RAY, WAD
from tests.support.auctions import WETH, liquidate, start, take
from tests.support.helpers import reverts
from tests.support.workouts import DEBT, OWED, begin, give, opened_with_workouts, pay


@pytest.mark.parametrize("sender", ["stranger", "admin", "guardian", "borrower"])
def test_nobody_else_may_call(protocol, sender):
    with reverts("vault_engine: only auction"):
        protocol.do("VaultEngine.settle_take", 0, "stranger", 0, 0, 0, "stranger", 0, sender=sender)


def test_a_type_whose_auctions_are_paid_is_out_of_distress(protocol):
    protocol.give_stablecoin("taker", 40_000 * WAD)
    protocol.earn_fees("XAU")  # so that the reserve pays the liquidator and no deficit is left
    protocol.borrow("neighbour", "WETH", 10 * WAD, 12_000 * WAD)
    auctions = [start(protocol), liquidate(protocol, "neighbour")]
    for id in auctions:
        assert protocol.read("VaultEngine.debts_of", WETH).distressed == 1
        take(protocol, id)
    assert protocol.read("VaultEngine.in_auction_of", WETH) == 0
    assert protocol.read("VaultEngine.debts_of", WETH).distressed == 0


def test_the_surplus_of_a_retired_type_is_the_reserves(new_protocol):
    """Of a workout, the only thing that is still paid for: to the wei, and nothing to the buffer."""
    protocol = opened_with_workouts(new_protocol)
    id = begin(protocol)
    give(protocol, "borrower", OWED)
    pay(protocol, id, DEBT)
    protocol.do("VaultEngine.retire_collateral_type", WETH, sender="admin")
    reserve, ceiling = protocol.read("VaultEngine.reserve"), protocol.table("VaultEngine", "ledger.system")
    pay(protocol, id, 1)
    assert protocol.read("VaultEngine.reserve") == reserve + RAY
    pay(protocol, id, OWED)
    assert protocol.read("VaultEngine.reserve") == reserve + (OWED - DEBT) * RAY
    assert protocol.read("VaultEngine.buffer_of", WETH) == 0
    assert protocol.table("VaultEngine", "ledger.system").buffers == ceiling.buffers
