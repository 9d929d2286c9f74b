"""reward: for one caller only; more of its effects is seen in the tests of liquidations and auctions."""

import pytest

from backstop.model.arithmetic import RAY, WAD
from tests.support.auction_steps import WETH, liquidate_vault, take_collateral
from tests.support.revert_setter_and_source_helpers import STAGE, reverts


@pytest.mark.parametrize("sender", ["stranger", "admin", "guardian", "borrower"])
def test_nobody_else_may_call(protocol, sender):
    with reverts("vault_engine: only auction"):
        protocol.do("VaultEngine.reward", 0, "stranger", 1, sender=sender)


def test_what_the_reserve_cannot_pay_is_a_loss_even_if_all_principal_is_repaid(protocol):
    """Only a penalty is still to raise and nothing is in distress; then a reset has to be rewarded."""
    protocol.give_stablecoin("taker", 80_000 * WAD)
    protocol.give_stablecoin("donor", 10_000 * WAD)
    protocol.do("VaultEngine.grant_role", STAGE, "donor", sender="admin")
    protocol.borrow("borrower", "WETH", 50 * WAD, 60_000 * WAD)
    protocol.post_price("WETH", 1_500 * RAY)
    id = liquidate_vault(protocol)
    deficit = protocol.read("VaultEngine.deficit_of", WETH)
    protocol.do("VaultEngine.cover_from_tokens", WETH, "donor", deficit, sender="donor")
    take_collateral(protocol, id, 35 * WAD)
    assert protocol.read("VaultEngine.in_auction_of", WETH) == 0
    assert protocol.read("VaultEngine.debts_of", WETH).distressed == 0
    assert protocol.read("VaultEngine.reserve") < RAY

    protocol.advance(8_401)
    protocol.post_price("WETH", 1_500 * RAY)
    protocol.do("CollateralAuction.reset", id, "stranger", sender="stranger")
    paid = protocol.read("Stablecoin.balanceOf", "stranger")
    assert 0 < paid * RAY - protocol.read("VaultEngine.deficit_of", WETH) < RAY
    assert protocol.read("VaultEngine.debts_of", WETH).distressed == 1
