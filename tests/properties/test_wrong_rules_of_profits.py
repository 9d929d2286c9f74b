"""Rules of withdrawn profits made wrong, as if in contract and model alike: a property notices each."""

import pytest

from backstop.model import margin_fund
from backstop.model.arithmetic import WAD
from tests.support.margin_fund_steps import DAY
from tests.support.model_only_perpetuals_with_properties import (
    expect_violation_of_property,
    open_watched_crowd_on_model,
)
from tests.support.perpetual_test_market import ETH, HOUSE


@pytest.fixture
def gone():
    """The first has closed its position and withdrawn all it has, 1,000 of it profit."""
    crowd = open_watched_crowd_on_model()
    crowd.mark(ETH, 18 * WAD)
    crowd.trade("first", "other", 500)
    for _ in range(2):
        crowd.advance_cycle()
    crowd.do(
        f"{HOUSE}.withdraw", 11_000 * WAD, crowd.get_contract_or_account_address("first"), sender="first"
    )
    assert crowd.read("MarginFund.unvested") == 1_000 * WAD
    return crowd


def claim(crowd):
    fund = crowd.world.contracts["MarginFund"]
    (bucket,) = (bucket for _, bucket in fund.holdings)
    crowd.do("MarginFund.claim", crowd.get_contract_or_account_address("first"), bucket, sender="stranger")


def test_a_profit_claimed_before_it_has_vested(gone, monkeypatch):
    monkeypatch.setattr(margin_fund, "require", lambda holds, reason: None)
    expect_violation_of_property(60, lambda: claim(gone))


@pytest.mark.parametrize("wrong", [lambda *_: 1, lambda holding, state: state.assets // 2])
def test_another_profit(gone, monkeypatch, wrong):
    gone.advance_clock(8 * DAY)
    monkeypatch.setattr(margin_fund, "_compute_value", wrong)
    expect_violation_of_property(60, lambda: claim(gone))


def test_a_profit_that_a_clawback_spares(gone):
    """All of it pays for a loss that is late, and it is claimed whole all the same."""
    fund = gone.world.contracts["MarginFund"]
    gone.do("MarginFund.insure", 5_000 * WAD, sender="rich")
    right = dict(fund.buckets), dict(fund.holdings)
    gone.mark(ETH, 14 * WAD)
    for _ in range(2):
        gone.advance_cycle()
    gone.seize_insolvent("long")

    def play():
        gone.advance_cycle()
        assert gone.read("MarginFund.unvested") == 0
        for table, rows in zip((fund.buckets, fund.holdings), right, strict=True):
            table.update(rows)
        gone.advance_clock(8 * DAY)
        claim(gone)

    expect_violation_of_property(60, play)
