"""set_mechanism: a type's liquidation mechanism, set once, before any vault has debt of the type."""

import pytest

from backstop.contract_base import ZERO_ADDRESS
from backstop.model.arithmetic import RAY, WAD
from backstop.model.fixed_discount import Terms
from tests.support.auction_steps import start_auction
from tests.support.discount_steps import WETH
from tests.support.revert_setter_and_source_helpers import reverts

GOLD = 2


def set_mechanism(protocol, c=GOLD, sender="admin", mechanism="FixedDiscount"):
    protocol.do("LiquidationEngine.set_mechanism", c, protocol.address(mechanism), sender=sender)


def set_terms(protocol, c=GOLD):
    protocol.do("FixedDiscount.set_terms", c, tuple(Terms(target_health=11_000)), sender="admin")


def test_it_is_set_for_good_and_told(discounted):
    set_terms(discounted)
    assert discounted.read("LiquidationEngine.mechanism_of", GOLD) == ZERO_ADDRESS
    set_mechanism(discounted)
    assert discounted.last.logs[-1].event == "MechanismSet"
    assert discounted.read("LiquidationEngine.mechanism_of", GOLD) == discounted.address("FixedDiscount")
    assert discounted.table("VaultEngine", "ledger.auctions", GOLD).has_mechanism == 1
    with reverts("liquidation_engine: is set"):
        set_mechanism(discounted)


def test_a_new_limit_of_all_types_keeps_it(discounted):
    discounted.do("VaultEngine.set_global_auction_limit", 8 * 10**9, sender="admin")
    discounted.do("VaultEngine.set_auction_limit", WETH, 10**9, sender="admin")
    assert discounted.table("VaultEngine", "ledger.auctions", WETH)[1:] == (10**9, 8 * 10**9, 1)
    assert discounted.table("VaultEngine", "ledger.auctions", GOLD)[2:] == (8 * 10**9, 0)


@pytest.mark.parametrize("sender", ["stranger", "guardian", "buyer"])
def test_the_admin_of_the_ledger_only(discounted, sender):
    set_terms(discounted)
    with reverts("liquidation_engine: not admin"):
        set_mechanism(discounted, sender=sender)


def test_not_without_terms(discounted):
    with reverts("fixed_discount: no terms"):
        set_mechanism(discounted)


def test_not_while_somebody_owes(discounted):
    set_terms(discounted)
    discounted.borrow("saver", "XAU", 10 * WAD, 5_000 * WAD)
    with reverts("liquidation_engine: has debt"):
        set_mechanism(discounted)
    discounted.give_stablecoin("saver", 100 * WAD)
    args = (GOLD, "saver", 2**256 - 1, 0, "saver")
    discounted.do("VaultEngine.repay_and_withdraw", *args, sender="saver")
    set_mechanism(discounted)


def test_not_while_an_auction_or_a_loss_is_open(protocol):
    """Nothing performs any more, and an auction of the type is under way."""
    start_auction(protocol)
    assert protocol.read("VaultEngine.debts_of", WETH).normalized_debt == 0
    with reverts("liquidation_engine: has debt"):
        set_mechanism(protocol, WETH, mechanism="Settlement")


def test_not_of_a_market_without_reporters(discounted):
    """An issuer would name the price at which its own notes are sold."""
    discounted.lockstep.create_contract("Token", "Other", "Other", "OTH", 18)
    token = discounted.address("Other")
    discounted.do("Other.mint", "admin", WAD, sender="admin")
    discounted.do("Other.approve", "VaultEngine", WAD, sender="admin")
    c = discounted.do("VaultEngine.add_collateral_type", token, 15_000, 15_000, sender="admin")
    set_terms(discounted, c)
    with reverts("liquidation_engine: no reporters"):
        set_mechanism(discounted, c)


def test_not_of_a_type_that_is_retired(discounted):
    set_terms(discounted)
    discounted.do("VaultEngine.set_debt_ceiling", GOLD, 0, sender="admin")
    discounted.do("VaultEngine.retire_collateral_type", GOLD, sender="admin")
    with reverts("liquidation_engine: settling"):
        set_mechanism(discounted)


def test_no_other_contract_is_taken(discounted):
    """It would be there for good, and nothing of the type could be sold."""
    others = [name for name in discounted.lockstep.model.world.contracts if name != "FixedDiscount"]
    assert {"CollateralAuction", "LiquidationEngine", "VaultEngine", "XAU"} <= set(others)
    for name in others:
        with reverts(""):
            set_mechanism(discounted, mechanism=name)


def test_of_an_unknown_type(discounted):
    with reverts("terms: unknown type"):
        set_mechanism(discounted, 9)


def test_a_debt_can_be_drawn_afterwards(discounted):
    set_terms(discounted)
    set_mechanism(discounted)
    discounted.borrow("saver", "XAU", 10 * WAD, 5_000 * WAD)
    discounted.post_price("XAU", 600 * RAY)
    with reverts("liquidation_engine: no auctions"):
        discounted.do("LiquidationEngine.liquidate", GOLD, "saver", "buyer", sender="buyer")
