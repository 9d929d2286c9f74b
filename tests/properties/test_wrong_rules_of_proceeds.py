"""Rules of proceeds, margins and clocks made wrong, as if on both sides: a property notices each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backstop.contract_base import ZERO_ADDRESS, external
from backstop.deployment.parameter_dataclasses import StageParameters
from backstop.lockstep.step_transition import Transition
from backstop.model import dutch_auction, margin_fund, risk_policy
from backstop.model.arithmetic import RAY, WAD
from backstop.model.bounds import GUARDIAN_HALT, GUARDIAN_PAUSE
from backstop.model.collateral_auction import CollateralAuction
from backstop.model.ledger import Ledger
from backstop.model.liquidation_engine import LiquidationEngine
from backstop.model.loss_waterfall import LossWaterfall
from backstop.model.pool import Pool
from backstop.model.price_feed import PriceFeed
from backstop.model.recovery_claims import RecoveryClaims
from backstop.model.stage_order import StageOrder
from backstop.proof.properties import PropertyViolationError, check_refusal_properties
from backstop.system import Action
from tests.support.auction_steps import WETH, start_auction, take_collateral
from tests.support.equity_steps import (
    build_equity_parameters,
    hold_equity_price_until_average,
    post_prices_and_fund_people,
)
from tests.support.ledger_reading_steps import hold_price
from tests.support.margin_fund_steps import (
    DAY,
    absorb_loss_in_margin_fund,
    create_margin_fund_with_cap,
    lock_profit,
)
from tests.support.no_fee_deployments import build_uncapped_stages, deploy_without_fees
from tests.support.property_violation_checks import expect_property_violation_on_model
from tests.support.revert_setter_and_source_helpers import GUARDIAN
from tests.support.saver_steps import XAU, deposit_savings, give_stablecoin, lose_new_vault
from tests.support.vault_size_margin_and_call_steps import (
    NONE,
    allow_calls,
    draw_debt,
    open_vault_below_call_ratio,
)

LIQUIDATIONS = "LiquidationEngine"
PRICE = dutch_auction.Terms.price
REMOVE, START = CollateralAuction._delete_auction_and_get_owner, CollateralAuction._start_auction
ADD_INCOME = Pool.add_income
ADAPT = risk_policy.RiskPolicy._adapt_rate_at_kink
CHANGE = StageOrder._check_and_replace_stages
SET_HALTED = PriceFeed.set_halted
SHARED = Ledger._compute_current_redistribution


@pytest.fixture
def sold(new_protocol):
    """A lot on sale without rewards, and a taker with more than it costs."""
    made = deploy_without_fees(new_protocol)
    give_stablecoin(made, "taker", 50_000 * WAD)
    return made, start_auction(made)


# ------------------------------------------------------------------ auctions


@pytest.mark.parametrize("late", [False, True], ids=["under the cusp", "after the tail"])
def test_a_lot_is_sold_though_its_price_is_to_start_again(sold, monkeypatch, late):
    made, id = sold
    terms = made.read("CollateralAuction.terms_of", WETH)
    wrong = (lambda self, top, elapsed: (top // 3, False)) if late else never_under_the_cusp
    monkeypatch.setattr(dutch_auction.Terms, "price", wrong)
    made.lockstep.model.advance(terms.tail + 1 if late else just_under_the_cusp(terms))
    expect_property_violation_on_model(180, made, lambda p: take_collateral(p, id, WAD))


def never_under_the_cusp(self, top, elapsed):
    price, _ = PRICE(self, top, elapsed)
    return price, elapsed > self.tail


def just_under_the_cusp(terms):
    """Seconds after which a price is under the cusp of its top, before the end of the tail."""
    return next(each for each in range(terms.tail) if PRICE(terms, 10**30, each)[1])


def refuses(protocol, *call, sender):
    """Return whether a property notices that a call is refused; model and contract refuse alike."""
    model = protocol.lockstep.model
    action = Action(call[0], call[1], call[2:], protocol.address(sender))
    outcome = model.apply(action)
    assert not outcome.ok
    check_refusal_properties(Transition(action, outcome, model))


@pytest.mark.parametrize("stopped", [False, True], ids=["open", "stopped"])
def test_a_reset_that_is_due_is_refused(sold, monkeypatch, stopped):
    made, id = sold
    terms = made.read("CollateralAuction.terms_of", WETH)
    made.advance(terms.tail)
    made.post_price("WETH", 1_500 * RAY)
    if stopped:
        made.do("CollateralAuction.set_stop", WETH, 2, sender="admin")
    else:
        monkeypatch.setattr(dutch_auction.Terms, "price", lambda self, top, elapsed: (top, False))
    reset = "CollateralAuction", "reset", id, made.address("stranger")
    if stopped:
        refuses(made, *reset, sender="stranger")
        return
    with pytest.raises(PropertyViolationError, match=r"^property 181 is violated: "):
        refuses(made, *reset, sender="stranger")


def test_a_reset_may_be_refused_before_it_is_due(sold):
    made, id = sold
    refuses(made, "CollateralAuction", "reset", id, made.address("stranger"), sender="stranger")


def test_a_lot_that_can_be_given_up_is_reset(sold, monkeypatch):
    made, id = sold
    hold_price(made, "WETH", RAY, 8 * 3_600)
    monkeypatch.setattr(CollateralAuction, "_is_worthless", lambda self, lot, price, terms: False)
    receiver = made.address("stranger")
    expect_property_violation_on_model(
        38, made, lambda p: p.do("CollateralAuction.reset", id, receiver, sender="stranger")
    )


def test_the_remainder_of_a_lot_becomes_salvage(sold, monkeypatch):
    made, id = sold
    monkeypatch.setattr(
        CollateralAuction,
        "_delete_auction_and_get_owner",
        lambda self, id: (REMOVE(self, id), ZERO_ADDRESS)[1],
    )
    expect_property_violation_on_model(182, made, lambda p: take_collateral(p, id))


def test_the_remainder_of_a_lot_goes_to_the_taker(sold, monkeypatch):
    made, id = sold
    taker = made.address("taker")
    monkeypatch.setattr(
        CollateralAuction, "_delete_auction_and_get_owner", lambda self, id: (REMOVE(self, id), taker)[1]
    )
    expect_property_violation_on_model(182, made, lambda p: take_collateral(p, id))


def test_a_reward_above_the_penalty(new_protocol, monkeypatch):
    made = deploy_without_fees(new_protocol)
    monkeypatch.setattr(
        CollateralAuction, "_start_auction", lambda self, *args: START(self, *args) + 10_000 * WAD
    )
    expect_property_violation_on_model(183, made, start_auction)


def test_a_reward_of_nothing(new_protocol, monkeypatch):
    made = deploy_without_fees(new_protocol, keeps_rewards=True)
    monkeypatch.setattr(CollateralAuction, "_start_auction", lambda self, *args: 0 * START(self, *args))
    expect_property_violation_on_model(183, made, start_auction)


# ------------------------------------------------------- pools, claims, profits


@external
def income_vests_anew(self, sender, assets):
    """A wrong rule: all that has not vested starts again."""
    ADD_INCOME(self, sender, assets)
    held = self.assets[()]
    self.assets[()] = held._replace(ends_at=self.world.timestamp + self.vesting)


def test_income_starts_vesting_again(new_protocol, monkeypatch):
    made = deploy_without_fees(new_protocol)
    deposit_savings(made, "saver", 10_000 * WAD)
    give_stablecoin(made, "payer", 1_000 * WAD)
    made.do("Stablecoin.approve", "Savings", 1_000 * WAD, sender="payer")
    made.do("Savings.add_income", 500 * WAD, sender="payer")
    made.advance(DAY)
    monkeypatch.setattr(Pool, "add_income", income_vests_anew)
    expect_property_violation_on_model(184, made, lambda p: p.do("Savings.add_income", 1, sender="payer"))


def test_claims_convert_under_the_floor(new_protocol, monkeypatch):
    parameters = build_equity_parameters("junior", "savings")
    assert parameters.equity is not None
    equity = replace(parameters.equity, conversion_price=20 * RAY)
    made = post_prices_and_fund_people(new_protocol(replace(parameters, equity=equity)))
    hold_equity_price_until_average(made, 100 * RAY)
    deposit_savings(made, "saver", 20_000 * WAD, "Junior")
    lose_new_vault(made, debt=5_000 * WAD)
    made.do("LossWaterfall.cover", XAU, sender="stranger")
    made.do("Junior.collect_claims", "saver", sender="saver")
    monkeypatch.setattr(RecoveryClaims, "_get_equity_price", lambda self: 20 * RAY)
    expect_property_violation_on_model(
        151, made, lambda p: p.do("Junior.Claims.convert", WAD, "saver", sender="saver")
    )


def newest_first(self, loss):
    """A wrong rule: the bucket of now bears all that it can."""
    left = loss
    for bucket in self._list_unvested_buckets():
        state = self.buckets[bucket]
        part = min(left, state.assets)
        if part:
            left -= part
            self.buckets[bucket] = state._replace(assets=state.assets - part)
            self.emit("ClawedBack", bucket, part, 0)
    return loss - left


def test_the_newest_profits_bear_a_loss_first(new_protocol, monkeypatch):
    made = deploy_without_fees(new_protocol)
    give_stablecoin(made, "rich", 10_000 * WAD)
    create_margin_fund_with_cap(made)
    for owner in ("first", "second"):
        lock_profit(made, owner, 500 * WAD)
        made.advance(DAY)
    monkeypatch.setattr(margin_fund.MarginFund, "_claw_back", newest_first)
    expect_property_violation_on_model(186, made, lambda p: absorb_loss_in_margin_fund(p, 300 * WAD))


def test_leavers_are_paid_before_a_capped_cover(new_protocol, monkeypatch):
    half = StageParameters("savings", cap_bps=5_000)
    made = deploy_without_fees(new_protocol, stages=(*build_uncapped_stages("buffer", "reserve"), half))
    for who in ("leaver", "stayer"):
        deposit_savings(made, who, 20_000 * WAD)
    shares = made.read("Savings.balanceOf", "leaver")
    made.do("Savings.requestRedeem", shares, "leaver", "leaver", sender="leaver")
    made.advance(DAY)
    made.do("Savings.cut", sender="stranger")
    made.advance(made.read("Savings.COOLDOWN"))
    lose_new_vault(made, debt=20_000 * WAD)
    made.advance(1_200)
    monkeypatch.setattr(LossWaterfall, "_check_stage_covered_losses", lambda self, k, types: None)
    expect_property_violation_on_model(192, made, lambda p: p.do("Savings.settle", sender="leaver"))


def test_payments_that_are_not_counted_under_a_cap(new_protocol, monkeypatch):
    half = StageParameters("savings", cap_bps=5_000)
    made = deploy_without_fees(new_protocol, stages=(*build_uncapped_stages("buffer", "reserve"), half))
    deposit_savings(made, "saver", 20_000 * WAD)
    lose_new_vault(made, debt=5_000 * WAD)
    monkeypatch.setattr(LossWaterfall, "_count_payment", lambda self, c, k, amount: None)
    expect_property_violation_on_model(
        195, made, lambda p: p.do("LossWaterfall.cover", XAU, sender="stranger")
    )


# ------------------------------------------------------------------- borrowers


def test_a_type_bracket_is_dodged_by_another_vault(guarded, monkeypatch):
    guarded.do("RiskPolicy.set_brackets", WETH, NONE, ((10_000, 5_000), (0, 0)), sender="admin")
    guarded.borrow("borrower", "WETH", 100 * WAD, 10_000 * WAD)
    monkeypatch.setattr(
        risk_policy,
        "_compute_last_debt_margin",
        lambda brackets, debt, whole: risk_policy._sum_bracket_steps(brackets, debt),
    )
    expect_property_violation_on_model(
        187, guarded, lambda p: p.borrow("keeper", "WETH", 5 * WAD, 6_500 * WAD)
    )


def test_caution_asks_for_no_margin(guarded, monkeypatch):
    guarded.do("RiskPolicy.set_effects", 2_000, 10_000, sender="admin")
    policy = guarded.lockstep.model.world.contracts["RiskPolicy"]
    right = policy.terms[WETH]
    monkeypatch.setattr(risk_policy, "NORMAL", 1)
    policy.terms[WETH] = right._replace(mode=1)
    expect_property_violation_on_model(
        187, guarded, lambda p: p.borrow("keeper", "WETH", 10 * WAD, 13_000 * WAD)
    )


def test_a_borrower_who_returns_pays_no_redistribution(new_protocol, monkeypatch):
    made = deploy_without_fees(new_protocol, stages=(StageParameters("redistribution"),))
    made.borrow("keeper", "XAU", 1_000 * WAD, 10_000 * WAD)
    lose_new_vault(made, debt=20_000 * WAD)
    made.do("LossWaterfall.cover", XAU, sender="stranger")
    made.post_price("XAU", 2_000 * RAY)
    monkeypatch.setattr(
        Ledger, "_compute_current_redistribution", lambda self, c: SHARED(self, c)._replace(added=0, before=0)
    )
    expect_property_violation_on_model(
        189, made, lambda p: p.borrow("returner", "XAU", 100 * WAD, 5_000 * WAD)
    )


@pytest.mark.parametrize("share", [0, 2], ids=["no debt", "twice the debt"])
def test_a_rate_moves_by_another_utilisation(guarded, monkeypatch, share):
    guarded.do("RiskPolicy.set_fee_curve", WETH, (100, 1_000, 0, 5_000), 10_000, 50, sender="admin")
    guarded.do("VaultEngine.set_fee_dynamic", WETH, True, sender="admin")
    guarded.borrow("borrower", "WETH", 100 * WAD, 8_000 * WAD)
    guarded.advance(DAY)
    guarded.post_price("WETH", 2_000 * RAY)
    monkeypatch.setattr(
        risk_policy.RiskPolicy,
        "_adapt_rate_at_kink",
        lambda self, terms, flow, debt: ADAPT(self, terms, flow, share * debt),
    )
    expect_property_violation_on_model(190, guarded, lambda p: draw_debt(p, "borrower", 200 * WAD))


# ------------------------------------------------------------------ privileges


def test_an_applied_list_changes_nothing(new_protocol, monkeypatch):
    made = deploy_without_fees(new_protocol)
    terms = [made.read("LossWaterfall.stage_terms", k) for k in made.read("LossWaterfall.stage_ids")]
    terms[-1] = terms[-1]._replace(cap_bps=4_321)
    made.do("LossWaterfall.propose_stages", terms, sender="admin")
    made.advance(made.parameters.cap_delay)
    monkeypatch.setattr(
        StageOrder, "_check_and_replace_stages", lambda self, terms, *, now: CHANGE(self, terms, now=False)
    )
    expect_property_violation_on_model(
        197, made, lambda p: p.do("LossWaterfall.apply_stages", terms, sender="stranger")
    )


@external
def halted_without_a_pause(self, sender, collateral_type, halted):
    """A wrong rule: no guardian has to wait."""
    SET_HALTED(self, sender, collateral_type, halted)
    self.halts_again_at[collateral_type] = 0


def test_guardians_halt_one_after_the_other(new_protocol, monkeypatch):
    made = deploy_without_fees(new_protocol)
    for guardian in ("guardian", "keeper"):
        made.do("PriceFeed.grant_role", GUARDIAN, guardian, sender="admin")
    monkeypatch.setattr(PriceFeed, "set_halted", halted_without_a_pause)

    def halt_twice(protocol):
        protocol.do("PriceFeed.set_halted", WETH, True, sender="guardian")
        protocol.advance(GUARDIAN_HALT + GUARDIAN_PAUSE - 1)
        protocol.do("PriceFeed.set_halted", WETH, True, sender="keeper")

    expect_property_violation_on_model(196, made, halt_twice)


# -------------------------------------------------------------------- refusals


def test_an_unsafe_vault_is_refused_as_safe(new_protocol, monkeypatch):
    made = deploy_without_fees(new_protocol)
    made.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)
    call = LIQUIDATIONS, "liquidate", WETH, made.address("borrower"), made.address("keeper")
    refuses(made, *call, sender="keeper")
    made.post_price("WETH", 1_500 * RAY)
    monkeypatch.setattr(LiquidationEngine, "_is_unsafe", lambda self, *args: False)
    with pytest.raises(
        PropertyViolationError, match=r"^property 194 is violated: vault .* is refused as safe"
    ):
        refuses(made, *call, sender="keeper")


def test_a_call_is_refused_as_met(guarded, monkeypatch):
    allow_calls(guarded)
    open_vault_below_call_ratio(guarded)
    monkeypatch.setattr(LiquidationEngine, "_has_ratio", lambda self, *args: True)
    with pytest.raises(
        PropertyViolationError, match=r"^property 194 is violated: vault .* is refused as meeting its call"
    ):
        refuses(guarded, LIQUIDATIONS, "call", WETH, guarded.address("borrower"), sender="keeper")


def test_a_vault_with_its_margin_is_refused_as_unsafe(guarded, monkeypatch):
    guarded.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)
    who = guarded.address("borrower")
    draws = "VaultEngine", "deposit_and_draw", WETH, who, 0
    refuses(guarded, *draws, 2_000 * WAD, who, sender="borrower")
    monkeypatch.setattr(risk_policy.RiskPolicy, "_compute_requirement", lambda self, *args: 10**90)
    for call in (
        (*draws, 100 * WAD, who),
        ("VaultEngine", "repay_and_withdraw", WETH, who, 0, WAD // 10, who),
    ):
        with pytest.raises(
            PropertyViolationError, match=r"^property 194 is violated: vault .* is refused as unsafe"
        ):
            refuses(guarded, *call, sender="borrower")
