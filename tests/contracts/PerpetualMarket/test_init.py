"""The constructor refuses rules out of bounds."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.helpers import check_cannot_be_made
from tests.support.perpetuals import RULES
from tests.support.protocol import Protocol

CASES = [
    ("window", 599, 600, "cycle_losses: window bounds"),
    ("window", 86_401, 86_400, "cycle_losses: window bounds"),
    ("quiet", 1_801, 1_800, "cycle_losses: window bounds"),
    ("mark_age", 0, 1, "perpetuals: mark bounds"),
    ("mark_age", 601, 600, "perpetuals: mark bounds"),
    ("half_bond", 1_000 * WAD + 1, 1_000 * WAD, "perpetuals: bond bounds"),
]


@pytest.mark.parametrize(("rule", "amount", "fits", "reason"), CASES)
def test_bounds(market, rule, amount, fits, reason):
    wiring = tuple(market.at(name) for name in ("stranger",) * 6)
    market.create_market("Fine", market.at("desk"), RULES._replace(**{rule: fits}))
    rules = tuple(RULES._replace(**{rule: amount}))
    check_cannot_be_made(Protocol(market.system), "PerpetualMarket", wiring, rules, reason=reason)
