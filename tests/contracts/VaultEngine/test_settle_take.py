"""settle_take: for one caller only; more of what it does is seen in the tests of auctions."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.auctions import WETH, liquidate, start, take
from tests.support.helpers import reverts


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
