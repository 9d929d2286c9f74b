"""unwind: in settlement, an auction's unsold lot and unraised target go back to its vault."""

import pytest

from backstop.model.arithmetic import RAY, WAD
from tests.support.auction_steps import NOBODY, WETH, get_only_event_values, start_auction, take_collateral
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import lose_new_vault
from tests.support.settlement_steps import start_settlement

CALL = "CollateralAuction.unwind"


def vault(protocol, who="borrower", c=WETH):
    return protocol.read("VaultEngine.vault", c, who)


def test_not_before_settlement(funded, auction):
    for sender in ("stranger", "admin"):
        with reverts("collateral_auction: not settling"):
            funded.do(CALL, auction, sender=sender)


def test_lot_and_principal_go_back(funded, auction):
    principal = funded.read("CollateralAuction.auction_of", auction).principal
    start_settlement(funded)
    reserve = funded.read("VaultEngine.reserve")
    funded.do(CALL, auction, sender="stranger")
    owner = funded.address("borrower")
    assert get_only_event_values(funded, "AuctionUnwound") == (auction, WETH, owner, 10 * WAD, principal)
    rate = funded.read("VaultEngine.debts_of", WETH).accumulated_rate
    debt = -(-principal // rate)
    assert vault(funded)[:2] == (10 * WAD, debt)
    assert funded.read("VaultEngine.in_auction_of", WETH) == 0
    assert funded.read("VaultEngine.reserve") == reserve + debt * rate - principal
    with reverts("collateral_auction: no auction"):
        funded.do(CALL, auction, sender="stranger")


def test_a_type_without_a_deficit_is_out_of_distress(funded):
    funded.earn_fees("XAU")
    id = start_auction(funded)
    start_settlement(funded)
    assert funded.read("VaultEngine.debts_of", WETH).distressed
    funded.do(CALL, id, sender="stranger")
    assert not funded.read("VaultEngine.debts_of", WETH).distressed


def test_of_a_part_only_the_rest(funded, auction):
    take_collateral(funded, auction, 3 * WAD)
    principal = funded.read("CollateralAuction.auction_of", auction).principal
    start_settlement(funded)
    funded.do(CALL, auction, sender="stranger")
    assert get_only_event_values(funded, "AuctionUnwound")[3:] == (7 * WAD, principal)
    assert vault(funded).locked_collateral == 7 * WAD


def test_a_sold_out_lot_leaves_its_principal(funded, auction):
    funded.advance(90 * 60)
    take_collateral(funded, auction)
    principal = funded.read("CollateralAuction.auction_of", auction).principal
    assert principal > 0
    start_settlement(funded)
    funded.do(CALL, auction, sender="stranger")
    assert get_only_event_values(funded, "AuctionUnwound")[3:] == (0, principal)
    assert vault(funded).locked_collateral == 0
    assert vault(funded).normalized_debt > 0


def test_once_the_principal_is_repaid_only_collateral_goes_back(funded):
    funded.do("VaultEngine.set_debt_floor", WETH, 0, sender="admin")
    auction = start_auction(funded)
    funded.advance(90 * 38)
    take_collateral(funded, auction, 10 * WAD + -2_260 * WAD // 1_500)
    left = funded.read("CollateralAuction.auction_of", auction)
    price = funded.read("CollateralAuction.status", auction)[1]
    take_collateral(funded, auction, -(-left.principal // price))
    lot = funded.read("CollateralAuction.auction_of", auction).lot
    assert lot > 0
    start_settlement(funded)
    funded.do(CALL, auction, sender="stranger")
    assert get_only_event_values(funded, "AuctionUnwound")[3:] == (lot, 0)
    assert vault(funded)[:2] == (lot, 0)


@pytest.mark.parametrize("tip", [0, 50])
def test_nothing_is_taken_nor_rewarded_any_more(funded, tip):
    """A reset goes through without a reward, but every take is refused all the same."""
    funded.do("CollateralAuction.set_rewards", WETH, tip, 0, sender="admin")
    auction = start_auction(funded)
    start_settlement(funded)
    funded.post_price("WETH", 1_500 * RAY)
    with reverts("collateral_auction: needs reset"):
        take_collateral(funded, auction)
    funded.do("CollateralAuction.reset", auction, "liquidator", sender="liquidator")
    with reverts("ledger: in settlement"):
        take_collateral(funded, auction)
    funded.do(CALL, auction, sender="stranger")


def test_the_settlement_of_a_vault_that_is_full_is_held_up_by_nobody(protocol):
    """A token with a huge supply: the excess that does not fit into the vault is salvage."""
    full, price = 2**103 - 1, RAY // 10**8
    protocol.post_price("WETH", price)
    for _ in range(3):
        protocol.borrow("attacker", "WETH", full, full * price // RAY * 10_000 // 16_000)
        price //= 2
        protocol.post_price("WETH", price)
        protocol.do("LiquidationEngine.liquidate", WETH, "attacker", "liquidator", sender="liquidator")
    start_settlement(protocol)
    for auction in (1, 2):
        protocol.do(CALL, auction, sender="stranger")
    assert vault(protocol, "attacker").locked_collateral == 2 * full
    debt = vault(protocol, "attacker").normalized_debt
    protocol.do(CALL, 3, sender="stranger")
    assert vault(protocol, "attacker").locked_collateral == 2 * full
    assert vault(protocol, "attacker").normalized_debt > debt
    assert protocol.read("VaultEngine.salvage_of", WETH) == full


def test_unsold_salvage_is_salvage_again(protocol):
    lose_new_vault(protocol)
    salvage = protocol.read("VaultEngine.salvage_of", 2)
    id = protocol.do("CollateralAuction.sell_salvage", 2, sender="stranger")
    start_settlement(protocol)
    protocol.do(CALL, id, sender="stranger")
    assert get_only_event_values(protocol, "AuctionUnwound") == (id, 2, NOBODY, salvage, 0)
    assert protocol.read("VaultEngine.salvage_of", 2) == salvage
    assert protocol.read("CollateralAuction.salvage_on_sale", 2) == 0


@pytest.mark.parametrize("id", [0, 1, 7])
def test_an_unknown_auction(protocol, id):
    start_settlement(protocol)
    with reverts("collateral_auction: no auction"):
        protocol.do(CALL, id, sender="stranger")
