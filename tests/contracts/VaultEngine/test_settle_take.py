"""settle_take: for one caller only; more of its effects is seen in the tests of auctions."""

import pytest

from backstop.model.arithmetic import RAY, WAD
from tests.support.auction_steps import WETH, liquidate_vault, start_auction, take_collateral
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.workout_steps import (
    DEBT,
    OWED,
    deploy_with_workouts,
    give_borrowed_stablecoin,
    pay_workout,
    start_workout,
)


@pytest.mark.parametrize("sender", ["stranger", "admin", "guardian", "borrower"])
def test_nobody_else_may_call(protocol, sender):
    with reverts("vault_engine: only auction"):
        protocol.do("VaultEngine.settle_take", 0, "stranger", 0, 0, 0, "stranger", 0, sender=sender)


def test_a_type_whose_auctions_are_paid_is_out_of_distress(protocol):
    protocol.give_stablecoin("taker", 40_000 * WAD)
    protocol.earn_fees("XAU")  # so that the reserve pays the liquidator and no deficit is left
    protocol.borrow("neighbour", "WETH", 10 * WAD, 12_000 * WAD)
    auctions = [start_auction(protocol), liquidate_vault(protocol, "neighbour")]
    for id in auctions:
        assert protocol.read("VaultEngine.debts_of", WETH).distressed == 1
        take_collateral(protocol, id)
    assert protocol.read("VaultEngine.in_auction_of", WETH) == 0
    assert protocol.read("VaultEngine.debts_of", WETH).distressed == 0


def test_the_surplus_of_a_retired_type_is_the_reserves(new_protocol):
    """Of a workout, the only thing that is still paid for: to the wei, and nothing to the buffer."""
    protocol = deploy_with_workouts(new_protocol)
    id = start_workout(protocol)
    give_borrowed_stablecoin(protocol, "borrower", OWED)
    pay_workout(protocol, id, DEBT)
    protocol.do("VaultEngine.retire_collateral_type", WETH, sender="admin")
    reserve, ceiling = protocol.read("VaultEngine.reserve"), protocol.table("VaultEngine", "ledger.system")
    pay_workout(protocol, id, 1)
    assert protocol.read("VaultEngine.reserve") == reserve + RAY
    pay_workout(protocol, id, OWED)
    assert protocol.read("VaultEngine.reserve") == reserve + (OWED - DEBT) * RAY
    assert protocol.read("VaultEngine.buffer_of", WETH) == 0
    assert protocol.table("VaultEngine", "ledger.system").buffers == ceiling.buffers
