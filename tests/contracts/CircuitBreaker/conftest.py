"""A protocol with a circuit breaker, and one in which each trigger can be pulled."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.guard_steps import BREAKER, deploy_with_prices, open_secured_vault, with_guards


@pytest.fixture
def guarded(new_protocol):
    return deploy_with_prices(new_protocol, with_guards(breaker=BREAKER))


@pytest.fixture
def indebted(guarded):
    """A vault of 10 WETH owes 12,000 at a price of 2,000; the average is the price."""
    for _ in range(3):
        guarded.post_next("WETH", guarded.get_or_renew_risk_price("WETH"))
    guarded.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)
    guarded.post_price("WBTC", guarded.get_or_renew_risk_price("WBTC"))
    open_secured_vault(guarded, "WBTC", 2_000 * WAD, "another")
    return guarded
