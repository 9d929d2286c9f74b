"""The constructor refuses rules out of bounds."""

import pytest

from backstop.proof.local_protocol import LocalProtocol
from tests.support.perpetual_test_market import TRADING_RULES
from tests.support.revert_setter_and_source_helpers import check_contract_creation_refused


@pytest.mark.parametrize(
    ("rule", "amount", "reason"),
    [
        ("band", 1_001, "trading: band bounds"),
        ("maker_fee", 101, "trading: fee bounds"),
        ("taker_fee", 101, "trading: fee bounds"),
        ("fee_share", 10_001, "trading: share bounds"),
        ("divergence", 10_001, "trading: divergence bounds"),
    ],
)
def test_bounds(market, rule, amount, reason):
    wired = [
        market.get_contract_or_account_address(name)
        for name in ("VaultEngine", "MarginPolicy", *("stranger",) * 4)
    ]
    rules = TRADING_RULES._replace(**{rule: amount})
    check_contract_creation_refused(
        LocalProtocol(market.system), "PerpetualTrading", *wired, rules, reason=reason
    )
    market.system.create_contract(
        "PerpetualTrading", "Fine", *wired, TRADING_RULES._replace(**{rule: amount - 1})
    )
