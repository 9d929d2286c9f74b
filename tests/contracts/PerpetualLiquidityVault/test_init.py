"""The constructor refuses rules out of bounds, and copies the market's rules."""

import pytest

from backstop.model.arithmetic import MAX_UINT256
from backstop.proof.local_protocol import LocalProtocol
from tests.support.market_with_pool import NAMES, POOL, POOL_RULES
from tests.support.perpetual_test_market import HOUSE, ORDERS, TRADING
from tests.support.revert_setter_and_source_helpers import check_contract_creation_refused


@pytest.mark.parametrize(
    ("rule", "amount", "fits", "reason"),
    [
        ("notice", 3_599, 3_600, "liquidity_vault: notice bounds"),
        ("notice", 30 * 86_400 + 1, 30 * 86_400, "liquidity_vault: notice bounds"),
        ("leverage", 0, 1, "liquidity_vault: leverage bounds"),
        ("leverage", 100_001, 100_000, "liquidity_vault: leverage bounds"),
        ("spread", 1_001, 1_000, "liquidity_vault: spread bounds"),
        ("share", 0, 1, "liquidity_vault: share bounds"),
        ("share", 10_001, 10_000, "liquidity_vault: share bounds"),
        ("quote_time", 59, 60, "liquidity_vault: quote bounds"),
        ("quote_time", 86_401, 86_400, "liquidity_vault: quote bounds"),
    ],
)
def test_bounds(pool, rule, amount, fits, reason):
    market = pool.market
    wired = tuple(market.get_contract_or_account_address(name) for name in (HOUSE, TRADING, ORDERS, "admin"))
    market.system.create_contract(POOL, "Fine", *NAMES, wired, POOL_RULES._replace(**{rule: fits}))
    refused = POOL_RULES._replace(**{rule: amount})
    check_contract_creation_refused(LocalProtocol(market.system), POOL, *NAMES, wired, refused, reason=reason)


def test_what_it_was_made_with(pool):
    market = pool.market
    assert pool.read("MARKET") == market.get_contract_or_account_address(HOUSE) and pool.read(
        "TRADING"
    ) == market.get_contract_or_account_address(TRADING)
    assert pool.read("ORDERS") == market.get_contract_or_account_address(ORDERS) and pool.read(
        "asset"
    ) == market.get_contract_or_account_address("Stablecoin")
    assert (
        pool.read("POLICY") == market.get_contract_or_account_address("MarginPolicy")
        and pool.read("MARK_AGE") == 60
    )
    assert (pool.read("name"), pool.read("symbol"), pool.read("decimals")) == (*NAMES, 18)
    rules = [pool.read(name) for name in ("NOTICE", "LEVERAGE", "SPREAD", "SHARE", "QUOTE_TIME")]
    assert rules == list(POOL_RULES)
    allowed = market.read(
        "Stablecoin.allowance",
        market.get_contract_or_account_address(POOL),
        market.get_contract_or_account_address(HOUSE),
    )
    assert allowed == MAX_UINT256 and pool.read("admin") == market.get_contract_or_account_address("admin")
