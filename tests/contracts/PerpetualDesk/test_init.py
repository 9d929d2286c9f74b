"""The constructor refuses rules out of bounds."""

import pytest

from tests.support.deployed_protocol import DeployedProtocol
from tests.support.helpers import check_cannot_be_made
from tests.support.perpetuals import DESK_RULES


@pytest.mark.parametrize(
    ("rule", "amount", "reason"),
    [
        ("band", 1_001, "desk: band bounds"),
        ("maker_fee", 101, "desk: fee bounds"),
        ("taker_fee", 101, "desk: fee bounds"),
        ("fee_share", 10_001, "desk: share bounds"),
        ("divergence", 10_001, "desk: divergence bounds"),
    ],
)
def test_bounds(market, rule, amount, reason):
    wired = [market.at(name) for name in ("VaultEngine", "MarginPolicy", *("stranger",) * 4)]
    rules = DESK_RULES._replace(**{rule: amount})
    check_cannot_be_made(DeployedProtocol(market.system), "PerpetualDesk", *wired, rules, reason=reason)
    market.system.create_contract("PerpetualDesk", "Fine", *wired, DESK_RULES._replace(**{rule: amount - 1}))
