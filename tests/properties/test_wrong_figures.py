"""Records, parameters and payments made wrong, as if on both sides: a property notices each."""

from __future__ import annotations

import pytest

from backstop.contract_base import external
from backstop.deployment.example_parameters import build_standard_parameters
from backstop.model import exit_batches, vault_engine
from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from backstop.model.collateral_auction import CollateralAuction
from backstop.model.equity_pool import Due, EquityPool
from backstop.model.ledger import Ledger
from backstop.model.loss_waterfall import LossWaterfall
from backstop.model.pool import Pool
from backstop.model.price_feed import PriceFeed
from backstop.model.recovery_claims import RecoveryClaims
from backstop.model.risk_policy import RiskPolicy
from backstop.model.terms import Governed
from backstop.model.vault_engine import VaultEngine
from tests.support.auction_steps import WETH, liquidate_vault, start_auction, take_collateral
from tests.support.equity_steps import build_equity_parameters, post_prices_and_fund_people
from tests.support.guard_steps import BREAKER, CAUTION, CEILING, deploy_with_prices, with_guards
from tests.support.no_fee_deployments import build_uncapped_stages, deploy_without_fees
from tests.support.property_violation_checks import expect_property_violation_on_model
from tests.support.revert_setter_and_source_helpers import STAGE
from tests.support.saver_steps import (
    XAU,
    cut_batch,
    cut_batch_and_wait_cooldown,
    deposit_savings,
    give_stablecoin,
    lose_new_vault,
    request_all_shares,
)
from tests.support.settlement_steps import start_settlement
from tests.support.vault_size_margin_and_call_steps import allow_calls, draw_debt, open_vault_below_call_ratio


@pytest.fixture
def plain(new_protocol):
    return deploy_without_fees(new_protocol)


def spoil(monkeypatch, cls, method, alter):
    """Alter the model after a correct call of one of its functions."""
    right = getattr(cls, method)

    @external
    def wrong(self, sender, *args):
        value = right(self, sender, *args)
        alter(self, *args)
        return value

    monkeypatch.setattr(cls, method, wrong)


def test_a_parameter_is_another_one(guarded, monkeypatch):
    def forget(self, margin, factor):
        self.modes[()] = self.modes[()]._replace(caution_margin=0)

    spoil(monkeypatch, RiskPolicy, "set_effects", forget)
    expect_property_violation_on_model(
        200, guarded, lambda p: p.do("RiskPolicy.set_effects", 500, 10_000, sender="admin")
    )


def test_a_taker_gets_nothing(plain, monkeypatch):
    give_stablecoin(plain, "taker", 50_000 * WAD)
    id = start_auction(plain)
    monkeypatch.setattr(VaultEngine, "_deliver_collateral", lambda self, *args: None)
    expect_property_violation_on_model(201, plain, lambda p: take_collateral(p, id, WAD))


def test_a_liquidation_takes_half_of_what_it_may(plain, monkeypatch):
    plain.borrow("borrower", "WBTC", WAD, 35_000 * WAD)
    plain.do("VaultEngine.set_auction_limit", 1, 20_001, sender="admin")
    plain.post_price("WBTC", 45_000 * RAY)
    right = VaultEngine._compute_auction_room
    monkeypatch.setattr(VaultEngine, "_compute_auction_room", lambda self, *args: right(self, *args) // 2)
    expect_property_violation_on_model(202, plain, lambda p: liquidate_vault(p, collateral_type=1))


def test_a_call_that_is_met_goes_on(guarded, monkeypatch):
    allow_calls(guarded)
    open_vault_below_call_ratio(guarded)
    guarded.do("LiquidationEngine.call", WETH, "borrower", sender="keeper")
    monkeypatch.setattr(
        VaultEngine, "_get_call_time_unless_met", lambda self, c, vault, rate: vault.called_at
    )
    borrower = guarded.address("borrower")
    repay = "VaultEngine.repay_and_withdraw", WETH, borrower, MAX_UINT256, 0, borrower
    give_stablecoin(guarded, "borrower", 1_000 * WAD)
    expect_property_violation_on_model(203, guarded, lambda p: p.do(*repay, sender="borrower"))


def test_a_part_of_a_debt_goes_under_the_floor(plain, monkeypatch):
    floor = plain.read("VaultEngine.terms_of", WETH).debt_floor
    plain.borrow("borrower", "WETH", 100 * WAD, 2 * floor * WAD)
    monkeypatch.setattr(vault_engine, "RAD", 0)
    part = floor * WAD + WAD
    repay = "VaultEngine.repay_and_withdraw", WETH, "borrower", part, 0, "borrower"
    expect_property_violation_on_model(204, plain, lambda p: p.do(*repay, sender="borrower"))


def test_a_sale_begins_before_its_time(plain, monkeypatch):
    right = CollateralAuction._start_auction

    def early(self, id, *args):
        reward = right(self, id, *args)
        lot = self.lots[id]
        self.lots[id] = lot._replace(started_at=lot.started_at - 1)
        return reward

    monkeypatch.setattr(CollateralAuction, "_start_auction", early)
    expect_property_violation_on_model(205, plain, start_auction)


def test_a_halt_lets_the_next_price_pass(plain, monkeypatch):
    def pass_it(self, c, halted):
        self.prices[c] = self.prices[c]._replace(next=self.withheld_prices[c])

    spoil(monkeypatch, PriceFeed, "set_halted", pass_it)
    expect_property_violation_on_model(
        206, plain, lambda p: p.do("PriceFeed.set_halted", WETH, True, sender="admin")
    )


def test_a_stage_that_failed_owes_half(new_protocol, monkeypatch):
    made = deploy_without_fees(
        new_protocol, stages=build_uncapped_stages("buffer", "reserve", "junior", "savings")
    )
    deposit_savings(made, "elder", 5_000 * WAD, "Junior")
    deposit_savings(made, "saver", 40_000 * WAD)
    lose_new_vault(made, debt=3_000 * WAD)
    made.do("VaultEngine.revoke_role", STAGE, "Junior", sender="admin")
    right = LossWaterfall._record_missed_share
    monkeypatch.setattr(
        LossWaterfall, "_record_missed_share", lambda self, c, k, amount: right(self, c, k, amount // 2)
    )
    expect_property_violation_on_model(
        207, made, lambda p: p.do("LossWaterfall.cover", XAU, sender="stranger")
    )


def test_a_payment_of_claims_loses_a_wei(new_protocol, monkeypatch):
    made = post_prices_and_fund_people(new_protocol(build_equity_parameters("junior", "savings")))
    deposit_savings(made, "saver", 20_000 * WAD, "Junior")
    lose_new_vault(made, debt=5_000 * WAD)
    made.do("LossWaterfall.cover", XAU, sender="stranger")
    give_stablecoin(made, "payer", 1_000 * WAD)
    made.do("Stablecoin.approve", "Junior.Claims", 1_000 * WAD, sender="payer")

    def lessen(self, amount):
        self.paid[0] = self.paid[0] - 1

    spoil(monkeypatch, RecoveryClaims, "repay", lessen)
    expect_property_violation_on_model(
        208, made, lambda p: p.do("Junior.Claims.repay", 1_000 * WAD, sender="payer")
    )


def test_a_run_holds_back_more(new_protocol, monkeypatch):
    made = deploy_without_fees(new_protocol, stages=build_uncapped_stages("buffer", "reserve", "savings"))
    for who in ("saver", "keeper"):
        deposit_savings(made, who, 20_000 * WAD)
    request_all_shares(made, "saver")
    cut_batch_and_wait_cooldown(made)
    made.post_price("WETH", 2_000 * RAY)
    made.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)
    made.post_price("WETH", 1_700 * RAY)
    made.do("LiquidationEngine.flag", WETH, "borrower", sender="stranger")
    made.advance(1_200)
    monkeypatch.setattr(exit_batches, "PARTS", 2)
    expect_property_violation_on_model(209, made, lambda p: p.do("Savings.settle", sender="stranger"))


def test_a_leaver_leaves_no_income(plain, monkeypatch):
    for who in ("saver", "keeper"):
        deposit_savings(plain, who, 20_000 * WAD)
    give_stablecoin(plain, "payer", 1_000 * WAD)
    plain.do("Stablecoin.approve", "Savings", 1_000 * WAD, sender="payer")
    plain.do("Savings.add_income", 1_000 * WAD, sender="payer")
    request_all_shares(plain, "saver")
    monkeypatch.setattr(Pool, "_give_unearned_income_to_reserve", lambda self, assets: None)
    expect_property_violation_on_model(210, plain, cut_batch)


def test_shares_that_are_paid_stay_due(new_protocol, monkeypatch):
    made = post_prices_and_fund_people(new_protocol(build_equity_parameters("staked_equity", "savings")))
    made.do("Equity.approve", "StakedEquity", 100 * WAD, sender="admin")
    made.do("StakedEquity.deposit", 100 * WAD, "admin", sender="admin")
    request_all_shares(made, "admin", "StakedEquity")
    cut_batch_and_wait_cooldown(made, "StakedEquity")

    def keep(self):
        self.due[()] = Due(1, 0)

    spoil(monkeypatch, EquityPool, "settle", keep)
    expect_property_violation_on_model(211, made, lambda p: p.do("StakedEquity.settle", sender="stranger"))


def test_fees_go_on_in_settlement(new_protocol, monkeypatch):
    made = new_protocol(build_standard_parameters())
    made.post_price("WETH", 2_000 * RAY)
    monkeypatch.setattr(Ledger, "_store_stability_fee", lambda self, *args: None)
    expect_property_violation_on_model(212, made, start_settlement)


def test_a_dynamic_fee_stays(guarded, monkeypatch):
    guarded.do("RiskPolicy.set_fee_curve", WETH, (100, 1_000, 0, 5_000), 10_000, 0, sender="admin")
    guarded.do("VaultEngine.set_fee_dynamic", WETH, True, sender="admin")
    monkeypatch.setattr(Governed, "_set_fee_from_policy", lambda self, *args: None)
    guarded.borrow("borrower", "WETH", 100 * WAD, 0)
    expect_property_violation_on_model(213, guarded, lambda p: draw_debt(p, "borrower", 8_000 * WAD))


def test_types_keep_their_mode(new_protocol, monkeypatch):
    made = deploy_with_prices(new_protocol, with_guards((CEILING,), BREAKER))
    monkeypatch.setattr("backstop.model.risk_policy.decode_listed_types", lambda listed: [])
    expect_property_violation_on_model(
        214, made, lambda p: p.do("CircuitBreaker.force_mode", CAUTION, sender="guardian")
    )


def test_a_ceiling_is_not_adjusted(new_protocol, monkeypatch):
    made = deploy_with_prices(new_protocol, with_guards((CEILING,), BREAKER))
    monkeypatch.setattr("backstop.model.auto_ceiling.Terms.compute_ceiling", lambda self, debt: 10**9)
    made.advance(CEILING.ttl)

    @external
    def nothing(self, sender, c):
        return 0

    monkeypatch.setattr("backstop.model.auto_ceiling.AutoCeiling.adjust", nothing)
    expect_property_violation_on_model(
        214, made, lambda p: p.do("AutoCeiling.adjust", WETH, sender="stranger")
    )


def test_a_member_claims_half(plain, monkeypatch):
    for who in ("saver", "keeper"):
        deposit_savings(plain, who, 20_000 * WAD)
    request_all_shares(plain, "saver")
    cut_batch_and_wait_cooldown(plain)
    plain.do("Savings.settle", sender="stranger")
    right = Pool._compute_claimable

    def less(self, batch, controller):
        part = right(self, batch, controller)
        return part._replace(assets=part.assets // 2)

    monkeypatch.setattr(Pool, "_compute_claimable", less)
    shares = plain.read("Savings.maxRedeem", "saver")
    expect_property_violation_on_model(
        215, plain, lambda p: p.do("Savings.redeem", shares, "saver", "saver", sender="saver")
    )


def test_a_member_gets_half_of_its_claims(new_protocol, monkeypatch):
    made = post_prices_and_fund_people(new_protocol(build_equity_parameters("junior", "savings")))
    deposit_savings(made, "saver", 20_000 * WAD, "Junior")
    lose_new_vault(made, debt=5_000 * WAD)
    made.do("LossWaterfall.cover", XAU, sender="stranger")
    right = RecoveryClaims._issue_claims
    monkeypatch.setattr(
        RecoveryClaims, "_issue_claims", lambda self, who, shares, *args: right(self, who, shares // 2, *args)
    )
    expect_property_violation_on_model(
        216, made, lambda p: p.do("Junior.collect_claims", "saver", sender="saver")
    )
