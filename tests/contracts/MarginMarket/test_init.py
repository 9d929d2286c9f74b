"""The constructor and the deployment: what a margin market is wired to."""

import dataclasses

import pytest

from backstop.deployment.examples import standard
from backstop.deployment.plan import plan
from backstop.errors import BackstopError
from backstop.model.roles import SHORTFALL
from tests.support.helpers import check_cannot_be_made, reverts
from tests.support.margin import MARGIN, TERMS, with_margin

ZERO = "0x" + "00" * 20


def test_is_wired(margin):
    for wired, contract in {
        "VAULT_ENGINE": "VaultEngine",
        "POLICY": "MarginPolicy",
        "STABLECOIN": "Stablecoin",
        "MARGIN_ORDERS": "MarginOrders",
        "FUND": "MarginFund",
        "DELEVERAGER": "MarginDeleverager",
        "DOMAIN": "Perpetuals",
    }.items():
        assert margin.read(f"MarginMarket.{wired}") == margin.address(contract)
    assert margin.read("MarginMarket.RISK_POLICY") == ZERO
    assert margin.read("MarginMarket.FEE_SHARE") == MARGIN.fee_share
    assert margin.read("MarginMarket.FREEZE_TIME") == MARGIN.freeze_time
    for contract in ("MarginOrders", "MarginFund", "MarginDeleverager"):
        assert margin.read(f"{contract}.MARGIN_MARKET") == margin.address("MarginMarket")
    assert margin.read("MarginPolicy.PRICE_FEED") == margin.address("PriceFeed")
    assert margin.read("MarginFund.STABLECOIN") == margin.address("Stablecoin")
    assert (margin.read("MarginFund.LENGTH"), margin.read("MarginFund.BUCKETS")) == (86_400, 7)
    assert margin.read("Perpetuals.has_role", SHORTFALL, "MarginMarket")


@pytest.mark.parametrize(
    ("fee_share", "freeze_time", "reason"),
    [
        (10_001, 3_600, "margin_market: fee bounds"),
        (0, 59, "margin_market: freeze bounds"),
        (0, 86_401, "margin_market: freeze bounds"),
    ],
)
def test_bounds(margin, fee_share, freeze_time, reason):
    check_cannot_be_made(margin, "MarginMarket", *[ZERO] * 8, fee_share, freeze_time, reason=reason)


def test_doors_are_the_deleveragers(margin):
    for method, args in {
        "freeze": ("maker", 0),
        "deleverage": ("maker", "taker", 1, 1),
        "finish": ("maker", 1),
    }.items():
        with reverts("margin_market: not deleverager"):
            margin.do(f"MarginMarket.{method}", *args, sender="admin")


def test_parameters_that_do_not_fit():
    with pytest.raises(BackstopError, match="there is no domain Nowhere"):
        plan(with_margin(domain="Nowhere"))
    with pytest.raises(BackstopError, match="no margin market has the policy luck: choose of ranked, shared"):
        plan(with_margin(policy="luck"))
    assert plan(with_margin(policy="shared")).kinds["MarginDeleverager"] == "MarginSharer"
    wrong = dataclasses.replace(TERMS, symbol="DOGE")
    with pytest.raises(BackstopError, match="there is no DOGE"):
        plan(with_margin(standard(), markets=(wrong,)))
