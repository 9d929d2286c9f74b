"""skim: a vault's debt is settled with its collateral, in any order, at the final price."""

from itertools import permutations

import pytest

from backstop.model.arithmetic import RAY, WAD
from tests.support.auction_steps import TERMS, WBTC, WETH, XAU, list_token, report_price, start_auction
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import SAVINGS, deposit_savings
from tests.support.settlement_steps import (
    compute_settled_collateral_and_debt,
    fix_prices,
    skim_vault_and_read_amounts,
    start_settlement,
    unwind_auctions,
)

VAULTS = [(WETH, "borrower"), (WBTC, "neighbour"), (XAU, "third")]


def vault(protocol, c, who):
    return protocol.read("VaultEngine.vault", c, who)


@pytest.mark.parametrize(("c", "who"), VAULTS, ids=["WETH", "WBTC", "XAU"])
def test_takes_what_the_debt_is_worth_rounded_up_to_the_unit(priced, c, who):
    before, debts = vault(priced, c, who), priced.read("VaultEngine.debts_of", c)
    price, unit = priced.read("Settlement.final_price_of", c)[1], priced.read("VaultEngine.unit_of", c)
    expected = compute_settled_collateral_and_debt(
        before.locked_collateral, price, before.normalized_debt, debts.accumulated_rate, unit
    )
    taken, debt, worth = skim_vault_and_read_amounts(priced, c, who)
    assert (taken, worth) == expected
    assert debt == worth == before.normalized_debt * debts.accumulated_rate
    assert 0 <= taken * price - debt < unit * price
    assert vault(priced, c, who)[:2] == (before.locked_collateral - taken, 0)
    assert priced.read("VaultEngine.salvage_of", c) == taken
    assert priced.read("VaultEngine.settled") == debt
    assert priced.read("VaultEngine.debts_of", c).normalized_debt == 0
    assert priced.read("VaultEngine.deficit_of", c) == 0


def test_the_rest_of_the_collateral_is_the_owners(skimmed):
    left = vault(skimmed, WBTC, "neighbour").locked_collateral
    assert left > 0
    args = WBTC, "neighbour", 0, left, "neighbour"
    skimmed.do("VaultEngine.repay_and_withdraw", *args, sender="neighbour")
    assert skimmed.read("WBTC.balanceOf", "neighbour") == left // 10**10


def test_what_the_collateral_is_not_worth_is_a_loss_of_the_type(sunk):
    locked = vault(sunk, WETH, "borrower").locked_collateral
    taken, debt, worth = skim_vault_and_read_amounts(sunk, WETH, "borrower")
    assert taken == locked == 10 * WAD
    assert worth == 6_000 * WAD * RAY < debt
    assert sunk.read("VaultEngine.settled") == worth
    assert sunk.read("VaultEngine.deficit_of", WETH) == debt - worth
    assert [log.values[2] for log in sunk.last.logs if log.event == "LossRecognised"] == [debt - worth]


def test_and_the_stages_bear_it(protocol):
    deposit_savings(protocol, "saver", 3_000 * WAD)
    protocol.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)
    protocol.post_price("WETH", 600 * RAY)
    start_settlement(protocol)
    fix_prices(protocol)
    skim_vault_and_read_amounts(protocol, WETH, "borrower")
    protocol.do("LossWaterfall.cover", WETH, sender="stranger")
    assert [log.values[2] for log in protocol.last.logs if log.event == "LossCovered"][-1] == SAVINGS
    assert protocol.read("Savings.totalAssets") < 3_000 * WAD


def test_a_vault_without_collateral_only_owes(protocol):
    start_auction(protocol)
    protocol.give_stablecoin("taker", 20_000 * WAD)
    protocol.advance(90 * 60)
    protocol.do("CollateralAuction.take", 1, 10 * WAD, 10**60, "taker", b"", sender="taker")
    start_settlement(protocol)
    unwind_auctions(protocol)
    fix_prices(protocol)
    assert vault(protocol, WETH, "borrower").locked_collateral == 0
    taken, debt, worth = skim_vault_and_read_amounts(protocol, WETH, "borrower")
    assert taken == worth == 0 < debt


def test_without_a_price_all_collateral_goes_for_all_debt(unpriced):
    """A feed without a price blocks every draw: only a settlement with another feed sees this."""
    unpriced.borrow("borrower", "WETH", 10 * WAD, 5_000 * WAD)
    start_settlement(unpriced)
    fix_prices(unpriced)
    assert unpriced.read("Settlement.final_price_of", WETH) == (True, 0)
    taken, debt, worth = skim_vault_and_read_amounts(unpriced, WETH, "borrower")
    assert taken == 10 * WAD
    assert debt == worth == unpriced.read("VaultEngine.settled")
    assert unpriced.read("VaultEngine.deficit_of", WETH) == 0


def test_at_the_least_price_that_there_is(protocol):
    c = list_token(protocol, "NEW", 6, 2_000 * RAY, TERMS)
    protocol.mint_and_approve_collateral("NEW", "owner", 10 * WAD)
    protocol.do("VaultEngine.deposit_and_draw", c, "owner", 10 * WAD, 9_000 * WAD, "owner", sender="owner")
    report_price(protocol, c, 1)
    report_price(protocol, c, 1)
    start_settlement(protocol)
    fix_prices(protocol)
    taken, debt, worth = skim_vault_and_read_amounts(protocol, c, "owner")
    assert (taken, worth) == (10 * WAD, 10 * WAD)
    assert protocol.read("VaultEngine.deficit_of", c) == debt - worth


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_neither_order_nor_time_makes_a_difference(priced, order):
    expected = []
    for c, who in VAULTS:
        before, debts = vault(priced, c, who), priced.read("VaultEngine.debts_of", c)
        price, unit = priced.read("Settlement.final_price_of", c)[1], priced.read("VaultEngine.unit_of", c)
        figures = before.locked_collateral, price, before.normalized_debt, debts.accumulated_rate, unit
        expected.append(compute_settled_collateral_and_debt(*figures))
    for i in order:
        priced.advance(86_400)
        taken, _, worth = skim_vault_and_read_amounts(priced, *VAULTS[i])
        assert (taken, worth) == expected[i]
    assert priced.read("VaultEngine.settled") == sum(worth for _, worth in expected)


def test_twice_is_refused(skimmed):
    with reverts("settlement: no debt"):
        skim_vault_and_read_amounts(skimmed, WETH, "borrower")


def test_needs_a_final_price(begun):
    with reverts("settlement: no final price"):
        skim_vault_and_read_amounts(begun, WETH, "borrower")


def test_needs_the_vaults_own_auctions_unwound(protocol):
    start_auction(protocol)
    protocol.post_price("WETH", 2_000 * RAY)
    for owner in ("borrower", "neighbour"):
        protocol.borrow(owner, "WETH", 10 * WAD, 12_000 * WAD)
    start_settlement(protocol)
    fix_prices(protocol)
    skim_vault_and_read_amounts(protocol, WETH, "neighbour")
    with reverts("vault_engine: lots are open"):
        skim_vault_and_read_amounts(protocol, WETH, "borrower")
    unwind_auctions(protocol)
    skim_vault_and_read_amounts(protocol, WETH, "borrower")
