"""repay_and_withdraw: repaying is never blocked, withdrawing never leaves a vault unsafe."""

import pytest

from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from tests.support.revert_setter_and_source_helpers import reverts

WETH, WBTC = 0, 1
CALL = "VaultEngine.repay_and_withdraw"


def test_repays_all_and_withdraws_all(protocol):
    protocol.borrow("borrower", "WETH", 10 * WAD, 6_000 * WAD)
    protocol.advance(86_400)
    protocol.give_stablecoin("borrower", 100 * WAD)
    protocol.do(CALL, WETH, "borrower", MAX_UINT256, 10 * WAD, "borrower", sender="borrower")
    assert tuple(protocol.read("VaultEngine.vault", WETH, "borrower"))[:2] == (0, 0)


def test_repaying_all_burns_the_debt_rounded_up(protocol):
    protocol.borrow("borrower", "WETH", 10 * WAD, 6_000 * WAD)
    protocol.advance(86_400)
    protocol.give_stablecoin("borrower", 100 * WAD)
    rate = protocol.do("VaultEngine.accrue", WETH, sender="stranger")
    debt = protocol.read("VaultEngine.vault", WETH, "borrower")[1] * rate
    before = protocol.read("Stablecoin.balanceOf", "borrower")
    protocol.do(CALL, WETH, "borrower", MAX_UINT256, 0, "borrower", sender="borrower")
    assert before - protocol.read("Stablecoin.balanceOf", "borrower") == -(-debt // RAY)


def test_a_partial_repayment_never_takes_off_more_than_it_pays(protocol):
    protocol.borrow("borrower", "WETH", 10 * WAD, 6_000 * WAD)
    protocol.advance(86_400)
    rate = protocol.do("VaultEngine.accrue", WETH, sender="stranger")
    before = protocol.read("VaultEngine.vault", WETH, "borrower")[1]
    protocol.do(CALL, WETH, "borrower", 1_234 * WAD + 567, 0, "borrower", sender="borrower")
    repaid = before - protocol.read("VaultEngine.vault", WETH, "borrower")[1]
    paid = (1_234 * WAD + 567) * RAY
    assert paid - rate < repaid * rate <= paid


def test_anyone_may_repay_for_anyone(protocol):
    protocol.borrow("borrower", "WETH", 10 * WAD, 6_000 * WAD)
    protocol.give_stablecoin("stranger", 1_000 * WAD)
    protocol.do(CALL, WETH, "borrower", 1_000 * WAD, 0, "stranger", sender="stranger")
    assert protocol.read("Stablecoin.balanceOf", "stranger") == 0


def test_only_owner_and_operators_withdraw(protocol):
    protocol.borrow("borrower", "WETH", 10 * WAD, 6_000 * WAD)
    with reverts("vault_engine: not approved"):
        protocol.do(CALL, WETH, "borrower", 0, WAD, "stranger", sender="stranger")
    protocol.do("VaultEngine.approve_operator", "stranger", True, sender="borrower")
    protocol.do(CALL, WETH, "borrower", 0, WAD, "stranger", sender="stranger")
    assert protocol.read("WETH.balanceOf", "stranger") == WAD


def test_a_repayment_too_small_for_one_unit_of_debt_reverts(protocol):
    protocol.borrow("borrower", "WETH", 10 * WAD, 6_000 * WAD)
    protocol.advance(86_400)
    with reverts("vault_engine: repays nothing"):
        protocol.do(CALL, WETH, "borrower", 1, 0, "borrower", sender="borrower")


def test_a_partial_repayment_ends_at_the_floor(protocol):
    floor = protocol.read("VaultEngine.debt_floor_of", WETH) * WAD
    protocol.borrow("borrower", "WETH", 10 * WAD, 2 * floor)
    protocol.advance(86_400)
    before = protocol.read("Stablecoin.balanceOf", "borrower")
    protocol.do(CALL, WETH, "borrower", floor + floor // 2, 0, "borrower", sender="borrower")
    rate = protocol.read("VaultEngine.debts_of", WETH).accumulated_rate
    left = protocol.read("VaultEngine.vault", WETH, "borrower").normalized_debt * rate
    assert floor * RAY <= left < floor * RAY + rate
    # Of what was brought only what was repaid is burned.
    assert floor < before - protocol.read("Stablecoin.balanceOf", "borrower") < floor + WAD


def test_a_debt_already_under_the_floor_may_be_repaid_in_parts(protocol):
    floor = protocol.read("VaultEngine.debt_floor_of", WETH)
    protocol.borrow("borrower", "WETH", 10 * WAD, 2 * floor * WAD)
    protocol.do("VaultEngine.set_debt_floor", WETH, 4 * floor, sender="admin")
    protocol.do(CALL, WETH, "borrower", floor * WAD // 2, 0, "borrower", sender="borrower")


def test_repaying_a_debt_free_vault_does_nothing(protocol):
    protocol.mint_and_approve_collateral("WETH", "borrower", WAD)
    protocol.do("VaultEngine.deposit_and_draw", WETH, "borrower", WAD, 0, "borrower", sender="borrower")
    protocol.do(CALL, WETH, "borrower", MAX_UINT256, WAD, "borrower", sender="borrower")
    assert protocol.read("WETH.balanceOf", "borrower") == WAD


def test_withdrawing_more_than_is_locked_reverts(protocol):
    protocol.borrow("borrower", "WETH", 10 * WAD, 6_000 * WAD)
    with reverts("vault_engine: not enough locked"):
        protocol.do(CALL, WETH, "borrower", 0, 10 * WAD + 1, "borrower", sender="borrower")


def test_withdrawing_with_debt_left_needs_the_initial_ratio(protocol):
    protocol.borrow("borrower", "WETH", 10 * WAD, 6_000 * WAD)
    with reverts("vault_engine: unsafe"):
        protocol.do(CALL, WETH, "borrower", 0, 9 * WAD, "borrower", sender="borrower")


def test_what_has_to_stay_covers_the_fee_too(protocol):
    """A year's fee, and not a unit of collateral less."""
    protocol.borrow("borrower", "WETH", 10 * WAD, 6_000 * WAD)
    protocol.advance(365 * 86_400)
    rate = protocol.do("VaultEngine.accrue", WETH, sender="stranger")
    assert rate > 101 * RAY // 100
    debt = protocol.read("VaultEngine.vault", WETH, "borrower")[1] * rate
    price = protocol.get_or_renew_risk_price("WETH")
    initial = protocol.read("VaultEngine.terms_of", WETH).initial_ratio
    free = 10 * WAD + -debt * initial // (price * 10_000)  # what has to stay is rounded up
    with reverts("vault_engine: unsafe"):
        protocol.do(CALL, WETH, "borrower", 0, free + 1, "borrower", sender="borrower")
    protocol.do(CALL, WETH, "borrower", 0, free, "borrower", sender="borrower")


def test_withdrawing_with_debt_left_needs_a_fresh_price(protocol):
    protocol.borrow("borrower", "WETH", 10 * WAD, 6_000 * WAD)
    protocol.advance(30 * 86_400)
    with reverts("vault_engine: no price"):
        protocol.do(CALL, WETH, "borrower", 0, 1, "borrower", sender="borrower")


def test_repaying_and_leaving_needs_no_price(protocol):
    protocol.borrow("borrower", "WETH", 10 * WAD, 6_000 * WAD)
    protocol.give_stablecoin("borrower", 1_000 * WAD)
    protocol.advance(30 * 86_400)
    protocol.do(CALL, WETH, "borrower", MAX_UINT256, 10 * WAD, "borrower", sender="borrower")
    assert protocol.read("WETH.balanceOf", "borrower") == 10 * WAD


def test_withdrawals_are_floored_to_the_token_unit(protocol):
    protocol.mint_and_approve_collateral("WBTC", "borrower", WAD)
    protocol.do("VaultEngine.deposit_and_draw", WBTC, "borrower", WAD, 0, "borrower", sender="borrower")
    protocol.do(CALL, WBTC, "borrower", 0, 3 * 10**10 - 1, "borrower", sender="borrower")
    assert protocol.read("VaultEngine.vault", WBTC, "borrower")[0] == WAD - 2 * 10**10


def test_repaying_with_stablecoin_one_does_not_have_reverts(protocol):
    protocol.borrow("borrower", "WETH", 10 * WAD, 6_000 * WAD)
    with reverts("erc20: burn amount exceeds balance"):
        protocol.do(CALL, WETH, "borrower", 1_000 * WAD, 0, "stranger", sender="stranger")


def test_an_unknown_type_is_refused(protocol):
    with reverts("terms: unknown type"):
        protocol.do(CALL, 31, "borrower", 0, 1, "borrower", sender="borrower")


def test_a_token_that_stops_moving_blocks_its_own_withdrawals_only(protocol):
    token = protocol.deploy_token("ReturnsFalseToken", "False", "FLS", 18)
    protocol.mint_and_approve_collateral(token, "admin", WAD)
    new = protocol.do("VaultEngine.add_collateral_type", token, 15_000, 17_000, sender="admin")
    protocol.mint_and_approve_collateral(token, "borrower", WAD)
    protocol.do("VaultEngine.deposit_and_draw", new, "borrower", WAD, 0, "borrower", sender="borrower")
    protocol.borrow("borrower", "WETH", WAD, 0)
    protocol.do(f"{token}.freeze", True, sender="stranger")
    with reverts("terms: push failed"):
        protocol.do(CALL, new, "borrower", 0, WAD, "borrower", sender="borrower")
    protocol.do(CALL, WETH, "borrower", 0, WAD, "borrower", sender="borrower")
    protocol.do(f"{token}.freeze", False, sender="stranger")
    protocol.do(CALL, new, "borrower", 0, WAD, "borrower", sender="borrower")


# -------------------------------------------- limits, to the wei: a type without a fee has round numbers


@pytest.fixture
def indebted(protocol, free):
    """A vault of 6 that owes 5,000: it needs 3.75."""
    protocol.mint_and_approve_collateral("FREE", "borrower", 6 * WAD)
    protocol.do(
        "VaultEngine.deposit_and_draw", free, "borrower", 6 * WAD, 5_000 * WAD, "borrower", sender="borrower"
    )
    return free


@pytest.mark.parametrize("beyond", [0, 1, 1_999 * WAD])
def test_exactly_the_floor_is_left(protocol, indebted, beyond):
    before = protocol.read("Stablecoin.balanceOf", "borrower")
    protocol.do(CALL, indebted, "borrower", 3_000 * WAD + beyond, 0, "borrower", sender="borrower")
    assert protocol.read("VaultEngine.vault", indebted, "borrower").normalized_debt == 2_000 * WAD
    assert before - protocol.read("Stablecoin.balanceOf", "borrower") == 3_000 * WAD


def test_a_debt_at_the_floor_is_repaid_whole_or_not_at_all(protocol, indebted):
    protocol.do(CALL, indebted, "borrower", 3_000 * WAD, 0, "borrower", sender="borrower")
    with reverts("vault_engine: repays nothing"):
        protocol.do(CALL, indebted, "borrower", 1, 0, "borrower", sender="borrower")
    protocol.do(CALL, indebted, "borrower", 2_000 * WAD, 0, "borrower", sender="borrower")
    assert protocol.read("VaultEngine.vault", indebted, "borrower").normalized_debt == 0


def test_all_beyond_the_initial_ratio_may_be_withdrawn(protocol, indebted):
    most = 6 * WAD - 375 * WAD // 100
    with reverts("vault_engine: unsafe"):
        protocol.do(CALL, indebted, "borrower", 0, most + 1, "borrower", sender="borrower")
    protocol.do(CALL, indebted, "borrower", 0, most, "borrower", sender="borrower")


def test_what_is_repaid_in_the_same_call_frees_collateral(protocol, indebted):
    protocol.do(CALL, indebted, "borrower", 2_000 * WAD, 375 * WAD // 100, "borrower", sender="borrower")
    with reverts("vault_engine: unsafe"):
        protocol.do(CALL, indebted, "borrower", 0, 1, "borrower", sender="borrower")
