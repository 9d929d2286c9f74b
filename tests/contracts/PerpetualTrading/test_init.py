"""The constructor refuses rules out of bounds."""

import pytest

from tests.support.deployed_protocol import DeployedProtocol
from tests.support.helpers import check_cannot_be_made
from tests.support.perpetuals import TRADING_RULES


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
    wired = [market.at(name) for name in ("VaultEngine", "MarginPolicy", *("stranger",) * 4)]
    rules = TRADING_RULES._replace(**{rule: amount})
    check_cannot_be_made(DeployedProtocol(market.system), "PerpetualTrading", *wired, rules, reason=reason)
    market.system.create_contract(
        "PerpetualTrading", "Fine", *wired, TRADING_RULES._replace(**{rule: amount - 1})
    )
