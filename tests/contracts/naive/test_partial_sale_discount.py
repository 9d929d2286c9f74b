"""The naive discount: any part of a vault is sold, which leaves the rest worse and its loss unbooked."""

import pytest

from backstop.model.arithmetic import RAD, RAY, WAD
from backstop.model.fixed_discount import Terms
from backstop.model.interfaces import Position
from tests.support.discount_steps import WETH, buy_collateral, deploy_with_discount
from tests.support.revert_setter_and_source_helpers import reverts


@pytest.fixture
def naive(new_protocol):
    protocol = deploy_with_discount(new_protocol, contract="PartialSaleDiscount")
    protocol.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)
    return protocol


def read_vault(protocol):
    return protocol.read("VaultEngine.vault", WETH, "borrower")


def test_a_vault_above_debt_and_bonus_is_sold_as_ours_is(new_protocol, naive):
    ours = deploy_with_discount(new_protocol)
    ours.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)
    for protocol in (ours, naive):
        protocol.post_price("WETH", 1_700 * RAY)
    assert buy_collateral(ours) == buy_collateral(naive)
    assert read_vault(ours) == read_vault(naive)


def test_a_part_leaves_the_rest_worse(naive):
    """Worth 95% of the debt before, 92.7% of it afterwards: the next buyer finds less."""
    naive.post_price("WETH", 1_140 * RAY)
    buy_collateral(naive, max_repay=3_000 * WAD)
    vault = read_vault(naive)
    assert vault.locked_collateral * 1_140 * 1_000 // vault.normalized_debt == 906
    assert naive.read("VaultEngine.deficit_of", WETH) == 0


def test_all_may_be_repaid_where_no_repayment_reaches_the_target(naive):
    """At a threshold of 90% a third more collateral takes out 1.2 for each 1 repaid: the target itself."""
    terms = Terms(max_discount=2_500, target_health=12_000)
    naive.do("FixedDiscount.set_terms", WETH, tuple(terms), sender="admin")
    deep = Position(10 * WAD, 12_000 * WAD, RAY, 11_111, 2_000 * RAD, 1, 900 * RAY)
    sale = naive.read("FixedDiscount.plan_sale", WETH, tuple(deep), 2**255, 2**255)
    assert sale.collateral == 10 * WAD and sale.normalized_debt == 12_000 * WAD


def test_a_loss_is_hidden_while_some_collateral_is_left(naive):
    """With a floor of 0 a wei is enough, as on Morpho Blue; with ours it takes as much as the floor."""
    naive.post_price("WETH", 1_000 * RAY)
    with naive.lockstep.fork_state():
        # 8.1 of 10 are sold: what is left is worth less than the floor of 2,000, so all goes.
        got, _ = buy_collateral(naive, max_collateral=2**255)
        assert read_vault(naive)[:2] == (0, 0) and got
        assert naive.read("VaultEngine.deficit_of", WETH) > 2_000 * RAD
    naive.do("VaultEngine.set_debt_floor", WETH, 0, sender="admin")
    buy_collateral(naive, max_collateral=10 * WAD - 1)
    vault = read_vault(naive)
    assert vault.locked_collateral == 1 and vault.normalized_debt > 2_000 * WAD
    assert naive.read("VaultEngine.deficit_of", WETH) == 0


def test_dust_is_sold_with_the_rest_or_not_at_all(naive):
    naive.post_price("WETH", 1_000 * RAY)
    with reverts("partial_sale: rest under floor"):
        buy_collateral(naive, max_collateral=81 * WAD // 10)
    buy_collateral(naive, max_collateral=8 * WAD)
