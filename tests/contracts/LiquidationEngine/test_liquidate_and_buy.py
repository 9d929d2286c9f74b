"""liquidate_and_buy: collateral of an unsafe vault is sold in the call that liquidates it."""

from dataclasses import replace

import pytest

from backstop.deployment.parameter_dataclasses import GuardsParameters
from backstop.model.arithmetic import MAX_UINT256, RAD, RAY, WAD
from tests.support.auction_steps import get_only_event_values
from tests.support.discount_steps import (
    WBTC,
    WETH,
    build_discount_parameters,
    buy_collateral,
)
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.vault_size_margin_and_call_steps import (
    allow_calls,
    margin_call_ether_vault_as_stranger,
)


def read_vault(protocol, who="borrower", c=WETH):
    return protocol.read("VaultEngine.vault", c, who)


def test_sells_up_to_the_target(discounted):
    # Health at 1,700: 17,000 * 0.6896 / 12,000 = 0.97693..; a bonus of 4% + 4% * 0.23 = 4.92%.
    discounted.post_price("WETH", 1_700 * RAY)
    got, paid = buy_collateral(discounted)
    health = 17_000 * 6_896 * 10**14 // 12_000
    bonus = 400 + 400 * (WAD - health) // 10**17
    most = 12_000 * WAD * (11 * WAD // 10 - health)
    goal = 11 * WAD // 10 - (10_000 + bonus) * 6_896 * 10**10
    vault = read_vault(discounted)
    sold = 10 * WAD - vault.locked_collateral
    assert sold == -(-most // goal) * (10_000 + bonus) // 17_000_000
    assert paid == -(-sold * 17_000_000 // (10_000 + bonus))
    assert vault.normalized_debt == 12_000 * WAD - paid
    assert discounted.read("VaultEngine.in_auction_of", WETH) == 0
    assert discounted.read("VaultEngine.salvage_of", WETH) == sold - got > 0
    assert discounted.read("WETH.balanceOf", "buyer") == got


def test_tells_what_it_sold(discounted):
    discounted.post_price("WETH", 1_700 * RAY)
    got, paid = buy_collateral(discounted)
    c, owner, buyer, collateral, fee, told, principal = get_only_event_values(
        discounted, "CollateralSold", "LiquidationEngine"
    )
    assert (c, owner, buyer) == (WETH, discounted.address("borrower"), discounted.address("buyer"))
    assert (collateral - fee, told, principal) == (got, paid, paid * RAY)


def test_books_the_loss_at_once(discounted):
    discounted.post_price("WETH", 1_100 * RAY)
    _, paid = buy_collateral(discounted)
    assert read_vault(discounted)[:2] == (0, 0)
    assert discounted.read("VaultEngine.deficit_of", WETH) == 12_000 * RAD - paid * RAY
    assert paid == -(-11_000 * WAD * 100 // 108)


def test_a_token_of_few_decimals_and_a_fee_that_runs(discounted):
    discounted.borrow("borrower", "WBTC", WAD, 30_000 * WAD)
    discounted.advance(86_400)
    discounted.post_price("WBTC", 42_000 * RAY)
    buffer = discounted.read("VaultEngine.buffer_of", WBTC)
    got, paid = buy_collateral(discounted, collateral_type=WBTC, max_repay=5_000 * WAD)
    assert got % 10**10 == 0 and paid <= 5_000 * WAD
    # What is paid beyond a whole unit of normalized debt is in the buffer.
    assert discounted.read("VaultEngine.buffer_of", WBTC) - buffer >= 0
    vault = read_vault(discounted, c=WBTC)
    rate = discounted.read("VaultEngine.debts_of", WBTC).accumulated_rate
    assert vault.normalized_debt * rate > 24_900 * RAD


def test_a_flag_shrinks_with_the_debt(discounted):
    discounted.post_price("WETH", 1_700 * RAY)
    discounted.do("LiquidationEngine.flag", WETH, "borrower", sender="stranger")
    buy_collateral(discounted)
    left = read_vault(discounted).normalized_debt
    assert discounted.read("LiquidationEngine.flag_of", WETH, "borrower") == left
    assert discounted.read("LiquidationEngine.debt_at_risk_of", WETH) == left * RAY


def test_a_highest_price_by_what_is_paid_for_what_is_got(discounted):
    """The fee is not got, so the price is the feed's less the buyer's part of the bonus."""
    discounted.post_price("WETH", 1_700 * RAY)
    with discounted.lockstep.fork_state():
        got, paid = buy_collateral(discounted, max_repay=1_000 * WAD)
    price = (paid - 1) * RAY // (got + 1)
    with reverts("liquidation_engine: high price"):
        buy_collateral(discounted, max_repay=1_000 * WAD, max_price=price)
    assert buy_collateral(discounted, max_repay=1_000 * WAD, max_price=price + 1) == (got, paid)


def test_no_price_is_none_that_a_buyer_would_pay(discounted):
    discounted.post_price("WETH", 1_700 * RAY)
    with reverts("liquidation_engine: high price"):
        buy_collateral(discounted, max_price=0)


@pytest.mark.parametrize("price", [1_740, 2_000])
def test_a_safe_vault(discounted, price):
    discounted.post_price("WETH", price * RAY)
    with reverts("liquidation_engine: safe vault"):
        buy_collateral(discounted)


def test_a_wei_under_the_ratio(discounted):
    discounted.post_price("WETH", 1_740 * RAY - 1)
    _, paid = buy_collateral(discounted)
    assert paid > 0


def test_nothing_is_bought_with_nothing(discounted):
    discounted.post_price("WETH", 1_700 * RAY)
    with reverts("liquidation_engine: no sale"):
        buy_collateral(discounted, max_repay=0)
    with reverts("liquidation_engine: no sale"):
        buy_collateral(discounted, max_collateral=0)


def test_a_type_without_a_mechanism(discounted):
    with reverts("liquidation_engine: no mechanism"):
        buy_collateral(discounted, collateral_type=2)


def test_no_auction_of_a_type_that_has_one(discounted):
    discounted.post_price("WETH", 1_700 * RAY)
    with reverts("liquidation_engine: no auctions"):
        discounted.do("LiquidationEngine.liquidate", WETH, "borrower", "buyer", sender="buyer")


def test_not_while_the_price_is_stale_nor_once_it_is_dead(discounted):
    """An auction starts at the last price of a dead feed; an unconfirmed price sells nothing."""
    discounted.post_price("WETH", 1_700 * RAY)
    fresh = discounted.read("PriceFeed.prices_of", WETH).fresh_until
    for at in (fresh + 1, fresh + 3 * 86_400 + 1):
        discounted.advance(at - discounted.timestamp)
        with reverts("liquidation_engine: stale price"):
            buy_collateral(discounted)


def test_not_while_the_market_is_halted(discounted):
    discounted.post_price("WETH", 1_700 * RAY)
    discounted.do("PriceFeed.set_halted", WETH, True, sender="admin")
    with reverts("liquidation_engine: stale price"):
        buy_collateral(discounted)
    discounted.do("PriceFeed.set_halted", WETH, False, sender="admin")
    buy_collateral(discounted)


def test_at_the_next_price_where_it_is_higher(discounted):
    """A price that is known to be outdated sells nothing cheaper than the price that follows it."""
    discounted.post_price("WETH", 1_700 * RAY)
    discounted.post_next("WETH", 1_900 * RAY)
    _, paid = buy_collateral(discounted, max_repay=1_900 * WAD)
    vault = read_vault(discounted)
    # At 1,900 the vault has a health above 1: the bonus is the smallest.
    assert 10 * WAD - vault.locked_collateral == paid // 1_900 * 104 // 100


def test_not_in_settlement(discounted):
    discounted.post_price("WETH", 1_700 * RAY)
    discounted.do("Settlement.announce", sender="admin")
    discounted.advance(30 * 86_400)
    discounted.do("Settlement.begin", sender="stranger")
    discounted.post_price("WETH", 1_700 * RAY)
    with reverts("ledger: in settlement"):
        buy_collateral(discounted)


def test_a_limit_of_zero_stops_sales(discounted):
    discounted.post_price("WETH", 1_700 * RAY)
    discounted.do("VaultEngine.set_auction_limit", WETH, 0, sender="admin")
    with reverts("liquidation_engine: no sales"):
        buy_collateral(discounted)
    # No more than that is used up: nothing is under auction.
    discounted.do("VaultEngine.set_auction_limit", WETH, 1, sender="admin")
    buy_collateral(discounted)


def test_a_buyer_without_money(discounted):
    discounted.post_price("WETH", 1_700 * RAY)
    with reverts("erc20: burn amount exceeds balance"):
        buy_collateral(discounted, buyer="saver")


@pytest.mark.parametrize(
    "receiver", ["CollateralAuction", "VaultEngine", "PriceFeed", "LiquidationEngine", "Stablecoin"]
)
def test_no_contract_of_the_protocol_gets_collateral(discounted, receiver):
    discounted.post_price("WETH", 1_700 * RAY)
    with reverts("collateral_auction: bad receiver"):
        discounted.do(
            "LiquidationEngine.liquidate_and_buy",
            *(WETH, "borrower", MAX_UINT256, MAX_UINT256, MAX_UINT256, receiver, b""),
            sender="buyer",
        )


def test_a_called_vault_after_its_grace(new_protocol):
    """It is sold as one that has just become unsafe, and stays called until the margin is there."""
    parameters = replace(build_discount_parameters(), guards=GuardsParameters())
    protocol = new_protocol(parameters, prices=True)
    protocol.borrow("whale", "WETH", 500 * WAD, 400_000 * WAD)
    protocol.do("Stablecoin.transfer", "buyer", 300_000 * WAD, sender="whale")
    allow_calls(protocol)
    protocol.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)
    protocol.post_price("WETH", 1_750 * RAY)
    margin_call_ether_vault_as_stranger(protocol)
    with reverts("liquidation_engine: safe vault"):
        buy_collateral(protocol)
    protocol.advance(6 * 3_600)
    protocol.post_price("WETH", 1_750 * RAY)
    _, paid = buy_collateral(protocol)
    # As at a health of 1: 12,000 * (1.1 - 1) / (1.1 - 1.04 * 0.6896).
    most = -(-12_000 * WAD * 10**17 // (11 * 10**17 - 10_400 * 6_896 * 10**10))
    assert 0 <= most - paid < 1_750
    assert read_vault(protocol).called_at
