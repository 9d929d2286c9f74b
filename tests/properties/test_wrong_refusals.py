"""Rules that refuse too much, as if in contract and model alike: a property of refused calls notices each."""

import pytest

from backstop.contract_base import RevertError
from backstop.model import cycle_losses, margin_fund, ranked_deleveraging
from backstop.model.arithmetic import WAD
from backstop.model.perpetual_market import PerpetualMarket as Market
from backstop.model.price_path import SHORT
from tests.support.margin_fund_steps import DAY
from tests.support.model_only_perpetuals_with_properties import (
    attach_property_monitor,
    expect_violation_of_property,
    open_watched_crowd_on_model,
)
from tests.support.perpetual_test_market import (
    CLOSER,
    ETH,
    HOUSE,
    RULES,
    deploy_perpetuals_on_model,
    open_and_bankrupt_long,
)


@pytest.fixture
def crowd():
    return open_watched_crowd_on_model()


def refuse(holds, reason):
    """In place of `require`: everything is refused."""
    raise RevertError(reason)


def meet(crowd):
    crowd.apply_call_and_report_success(
        f"{HOUSE}.seize_insolvent", crowd.get_contract_or_account_address("long"), sender="keeper"
    )


def test_whoever_owes_is_not_met(crowd, monkeypatch):
    crowd.mark(ETH, 16 * WAD)
    for method in ("_close_positions_of_debtor", "_book_pending_cycle_shortfall"):
        monkeypatch.setattr(Market, method, lambda *args: False)
    expect_violation_of_property(140, lambda: meet(crowd))


@pytest.mark.parametrize("mark", [16, 20], ids=["without a mark of now", "who is solvent"])
def test_nobody_has_to_be_met(crowd, monkeypatch, mark):
    crowd.mark(ETH, mark * WAD)
    if mark == 16:
        crowd.advance_clock(61)
    for method in ("_close_positions_of_debtor", "_book_pending_cycle_shortfall"):
        monkeypatch.setattr(Market, method, lambda *args: False)
    meet(crowd)


@pytest.mark.parametrize("late", [RULES.window, 4 * RULES.window])
def test_a_cycle_that_goes_on(crowd, monkeypatch, late):
    """In a window that was quiet, or after four of them, with a booking late in the last."""
    crowd.advance_cycle()
    clock = crowd.market.clocks[()]
    if late > RULES.window:
        crowd.market.clocks[()] = clock._replace(booked_at=clock.rolled_at + late - 1)
    monkeypatch.setattr(cycle_losses, "require", refuse)
    crowd.advance_clock(late - 1)
    crowd.apply_call_and_report_success(f"{HOUSE}.advance_cycle", sender="keeper")
    crowd.advance_clock(1)
    expect_violation_of_property(
        141, lambda: crowd.apply_call_and_report_success(f"{HOUSE}.advance_cycle", sender="keeper")
    )


def test_a_vested_profit_stays(crowd, monkeypatch):
    crowd.mark(ETH, 18 * WAD)
    crowd.trade("first", "other", 500)
    for _ in range(2):
        crowd.advance_cycle()
    crowd.do(
        f"{HOUSE}.withdraw", 11_000 * WAD, crowd.get_contract_or_account_address("first"), sender="first"
    )
    [(owner, bucket)] = crowd.world.contracts["MarginFund"].holdings
    monkeypatch.setattr(margin_fund, "require", refuse)

    def claim():
        crowd.apply_call_and_report_success("MarginFund.claim", owner, bucket, sender="stranger")

    claim()
    crowd.advance_clock(8 * DAY)
    expect_violation_of_property(142, claim)


def test_a_right_ranking_is_refused(monkeypatch):
    """By account values with their deposits since; a wrong ranking is refused rightly."""
    made = attach_property_monitor(deploy_perpetuals_on_model(third_bond=WAD, deleveraging_policy="ranked"))
    made.report_current_prices_again()
    market = open_and_bankrupt_long(made)
    ranking = market.list_ranking(SHORT)
    for owner in ranking:
        market.do(f"{HOUSE}.update_account", owner, sender="keeper")

    def submit(accounts):
        market.apply_call_and_report_success(f"{CLOSER}.submit", ETH, SHORT, accounts, sender="prover")

    submit(ranking[::-1])
    submit(ranking[:1] * 2)
    monkeypatch.setattr(ranked_deleveraging, "compute_gain_to_worth_score", lambda gains, side: 0)
    monkeypatch.setattr(ranked_deleveraging, "require", refuse)
    expect_violation_of_property(145, lambda: submit(ranking))
