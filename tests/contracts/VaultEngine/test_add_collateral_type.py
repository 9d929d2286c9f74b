"""add_collateral_type: listing proves that a token moves exactly, and starts with ceilings of zero."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.revert_setter_and_source_helpers import reverts

CALL = "VaultEngine.add_collateral_type"


def listing(protocol, token, sender="admin", liquidation_ratio=15_000, initial_ratio=17_000):
    return protocol.do(CALL, token, liquidation_ratio, initial_ratio, sender=sender)


def test_a_new_type_cannot_be_drawn_against_until_it_has_a_ceiling(protocol):
    protocol.mint_and_approve_collateral("WETH", "admin", WAD)
    before = protocol.read("WETH.balanceOf", "admin")
    new = listing(protocol, "WETH")
    assert protocol.read("VaultEngine.collateral_types") == new + 1
    assert protocol.read("VaultEngine.terms_of", new)[1:3] == (0, 0)
    assert protocol.read("WETH.balanceOf", "admin") == before


def test_only_the_admin_lists(protocol):
    with reverts("roles: not admin"):
        listing(protocol, "WETH", sender="guardian")


def test_the_protocols_own_token_is_refused(protocol):
    with reverts("terms: own token"):
        listing(protocol, "Stablecoin")


@pytest.mark.parametrize(
    ("liquidation_ratio", "initial_ratio"), [(9_999, 17_000), (15_000, 14_999), (15_000, 60_001)]
)
def test_ratios_are_bounded(protocol, liquidation_ratio, initial_ratio):
    with reverts("terms: ratio bounds"):
        listing(protocol, "WETH", liquidation_ratio=liquidation_ratio, initial_ratio=initial_ratio)


def test_the_admin_needs_one_whole_token(protocol):
    with reverts("token: insufficient allowance"):
        protocol.do("WETH.approve", "VaultEngine", 0, sender="admin")
        listing(protocol, "WETH")


def test_a_token_that_returns_nothing_is_listed(protocol):
    token = protocol.deploy_token("NoReturnToken", "Silent", "SIL", 6)
    protocol.mint_and_approve_collateral(token, "admin", WAD)
    new = listing(protocol, token)
    protocol.mint_and_approve_collateral(token, "borrower", 5 * WAD)
    protocol.do("VaultEngine.deposit_and_draw", new, "borrower", 5 * WAD, 0, "borrower", sender="borrower")
    protocol.do("VaultEngine.repay_and_withdraw", new, "borrower", 0, 5 * WAD, "borrower", sender="borrower")
    assert protocol.read(f"{token}.balanceOf", "borrower") == 5 * 10**6


def test_a_token_that_returns_false_is_refused(protocol):
    token = protocol.deploy_token("ReturnsFalseToken", "False", "FLS", 18)
    with reverts("terms: pull failed"):
        listing(protocol, token)


def test_a_token_that_takes_a_fee_is_refused(protocol):
    token = protocol.deploy_token("FeeOnTransferToken", "Fee", "FEE", 18)
    protocol.mint_and_approve_collateral(token, "admin", WAD)
    with reverts("terms: inexact pull"):
        listing(protocol, token)


def test_a_token_that_takes_a_fee_on_the_way_out_is_refused(protocol):
    token = protocol.deploy_token("FeeOnTransferToken", "Fee", "FEE", 18)
    protocol.mint_and_approve_collateral(token, "admin", WAD)
    protocol.do(f"{token}.set_free_pulls", True, sender="stranger")
    with reverts("terms: inexact push"):
        listing(protocol, token)


def test_a_token_with_more_than_18_decimals_is_refused(protocol):
    token = protocol.deploy_token("Token", "Deep", "DEEP", 19)
    with reverts("terms: token decimals"):
        listing(protocol, token)


def test_there_is_room_for_32_types(protocol):
    protocol.mint_and_approve_collateral("WETH", "admin", WAD)
    while protocol.read("VaultEngine.collateral_types") < 32:
        listing(protocol, "WETH")
    with reverts("terms: too many types"):
        listing(protocol, "WETH")


@pytest.mark.parametrize("token", ["CollateralAuction", "PriceFeed", "stranger"])
def test_what_is_no_token_is_refused(protocol, token):
    # Found by fuzzing: the model has to fail as a call to a missing function does.
    with reverts(""):
        listing(protocol, token)
