"""Wrong rules that model and contracts would share, each told by a property that does its own arithmetic.

The chain is not asked here: the model alone goes wrong, as both would.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from backstop.contract_base import external
from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.parameter_dataclasses import StageParameters
from backstop.model import (
    collateral_auction,
    denominations,
    dutch_auction,
    ledger,
    liquidation_engine,
    loss_waterfall,
    member_pool,
    pool,
    price_feed,
    recovery_claims,
    redeem_queue,
    settlement,
    shares,
    terms,
    vault_engine,
    vault_flags,
    vesting_assets,
)
from backstop.model.arithmetic import BASIS_POINTS, RAY, WAD
from backstop.proof.local_protocol import PRICES
from backstop.proof.properties import PropertyMonitor, PropertyViolationError
from tests.support.auction_steps import liquidate_vault, start_auction, take_collateral
from tests.support.equity_steps import build_equity_parameters, post_prices_and_fund_people
from tests.support.no_fee_deployments import deploy_without_fees
from tests.support.saver_steps import (
    charge_pool,
    create_additional_pool,
    create_claims_pool_and_return_name,
    cut_batch,
    cut_batch_and_wait_cooldown,
    deposit_savings,
    give_stablecoin,
    lose_new_vault,
    redeem_all_shares,
    request_all_shares,
)
from tests.support.settlement_steps import settle_protocol

JUNIOR = "Junior"


@pytest.fixture
def alone(new_protocol, monkeypatch):
    """Savings pay at most half of their balance."""
    usual = build_standard_parameters()
    stages = tuple(replace(each, cap_bps=5_000) if each.name == "savings" else each for each in usual.stages)
    return believing(new_protocol(replace(usual, stages=stages)), monkeypatch)


def believing(protocol, monkeypatch):
    """The protocol with a chain that agrees with every answer of the model."""
    both = protocol.lockstep
    monkeypatch.setattr(both, "apply_pending_chain_steps", both._waiting.clear)
    monkeypatch.setattr(both, "view", both.model.view)
    monkeypatch.setattr(both, "_assert_state_properties", lambda action, **how: None)
    monkeypatch.setattr(both, "_check_state", lambda action, **how: None)
    monkeypatch.setattr(both, "snapshot", both.model.snapshot)
    for symbol, price in PRICES.items():
        protocol.post_price(symbol, price)
    return protocol


# ---------------------------------------------------------------------- stories


def come_and_go(protocol):
    deposit_savings(protocol, "saver", 10_000 * WAD)
    deposit_savings(protocol, "keeper", 10_000 * WAD)
    give_stablecoin(protocol, "payer", 1_000 * WAD)
    protocol.do("Stablecoin.approve", "Savings", 1_000 * WAD, sender="payer")
    protocol.do("Savings.add_income", 1_000 * WAD, sender="payer")
    protocol.advance(86_400)
    give_stablecoin(protocol, "keeper", WAD)
    protocol.do("Savings.mint", 10**6 + 1, "payer", sender="keeper")
    request_all_shares(protocol, "saver")
    cut_batch_and_wait_cooldown(protocol)
    redeem_all_shares(protocol, "saver")
    # Without a cooldown.
    create_additional_pool(protocol, cooldown=0)
    deposit_savings(protocol, "saver", 10_000 * WAD, "Made")
    protocol.do("Stablecoin.approve", "Made", WAD, sender="keeper")
    give_stablecoin(protocol, "keeper", WAD)
    protocol.do("Made.add_income", WAD, sender="keeper")
    protocol.do("Made.withdraw", 777, "saver", "saver", sender="saver")
    redeem_all_shares(protocol, "saver", "Made")


def leave_at_once(protocol):
    deposit_savings(protocol, "saver", 10_000 * WAD)
    request_all_shares(protocol, "saver")
    protocol.do("Savings.cut", sender="stranger")
    redeem_all_shares(protocol, "saver")


def leave_after_a_day(protocol):
    deposit_savings(protocol, "saver", 10_000 * WAD)
    request_all_shares(protocol, "saver")
    cut_batch(protocol)
    redeem_all_shares(protocol, "saver")


def leave_in_parts(protocol):
    """Two thirds of the payment, twice, while another has claimed nothing; the second is refused."""
    for who in ("saver", "keeper"):
        deposit_savings(protocol, who, 10_000 * WAD)
        request_all_shares(protocol, who)
    cut_batch_and_wait_cooldown(protocol)
    protocol.do("Savings.settle", sender="stranger")
    for _ in range(2):
        protocol.do("Savings.withdraw", 6_666 * WAD, "saver", "saver", sender="saver")


def ruin(protocol, left=2 * 10**9):
    """A pool of 2 coins, half of them about to leave, of which some wei are left."""
    create_claims_pool_and_return_name(protocol)
    deposit_savings(protocol, "saver", WAD, "Young")
    deposit_savings(protocol, "keeper", WAD, "Young")
    request_all_shares(protocol, "saver", "Young")
    cut_batch(protocol, "Young")
    charge_pool(protocol, "Young", 2 * WAD - left)


def divide_shares(protocol):
    """A deposit divides shares of 2e-9; an account has the others' claims handed over."""
    ruin(protocol, 10**9)
    deposit_savings(protocol, "payer", 10**6, "Young")
    for who in ("saver", "keeper"):
        protocol.do("Young.collect_claims", who, sender="stranger")


def lose_all(protocol):
    ruin(protocol, 10**6 - 1)
    deposit_savings(protocol, "payer", WAD, "Young")


def leave_with_a_loss(protocol):
    deposit_savings(protocol, "saver", 5_000 * WAD, JUNIOR)
    deposit_savings(protocol, "keeper", 60_000 * WAD, JUNIOR)
    request_all_shares(protocol, "saver", JUNIOR)
    cut_batch(protocol, JUNIOR)
    lose_new_vault(protocol, debt=10_000 * WAD)
    protocol.do("LossWaterfall.cover", 2, sender="stranger")


def bear_a_loss(protocol):
    deposit_savings(protocol, "saver", 5_000 * WAD, JUNIOR)
    deposit_savings(protocol, "keeper", 60_000 * WAD)
    for _ in range(2):
        lose_new_vault(protocol, debt=60_000 * WAD)
        protocol.do("LossWaterfall.cover", 2, sender="stranger")


def bear_losses_at_an_epochs_edge(protocol):
    deposit_savings(protocol, "keeper", 60_000 * WAD)
    lose_new_vault(protocol, debt=200_000 * WAD)
    length = protocol.parameters.epoch_length
    for _ in range(2):
        protocol.do("LossWaterfall.cover", 2, sender="stranger")
        protocol.advance(length - protocol.timestamp % length)


def bear_losses_of_two_types(protocol):
    deposit_savings(protocol, "keeper", 10_000 * WAD)
    for symbol, c in (("XAU", 2), ("WBTC", 1)):
        lose_new_vault(protocol, symbol, debt=40_000 * WAD)
        protocol.do("LossWaterfall.cover", c, sender="stranger")


def borrow_for_a_year(protocol):
    protocol.do("VaultEngine.set_stability_fee", 0, 10**18, sender="admin")
    protocol.borrow("borrower", "WETH", 10 * WAD, 6_000 * WAD)
    protocol.advance(300 * 86_400)
    protocol.do("VaultEngine.accrue", 0, sender="stranger")
    protocol.post_price("WETH", 2_000 * RAY)
    protocol.borrow("borrower", "WETH", 0, 1_000 * WAD + 1)
    protocol.do("VaultEngine.repay_and_withdraw", 0, "borrower", 3_333, 0, "borrower", sender="borrower")


def a_year_at_most(self, c):
    """The rule there was: the next call charges the rest."""
    then = max(self.world.timestamp - 365 * 86_400, self.debts[c].accrued_at)
    return RIGHT_ACCRUAL(self, c)._replace(accrued_at=then)


def borrow_after_years(protocol):
    protocol.advance(3 * 365 * 86_400)
    protocol.post_price("WETH", 2_000 * RAY)
    protocol.borrow("borrower", "WETH", 10 * WAD, 6_000 * WAD)


def auction(protocol):
    give_stablecoin(protocol, "taker", 50_000 * WAD)
    id = start_auction(protocol)
    protocol.advance(3_600)
    take_collateral(protocol, id, 3 * WAD)
    take_collateral(protocol, id)


def let_it_run_out(protocol):
    id = start_auction(protocol)
    protocol.advance(14_401)
    protocol.post_price("WETH", 1_400 * RAY)
    protocol.do("CollateralAuction.reset", id, "stranger", sender="stranger")


def give_up(protocol):
    lose_new_vault(protocol)


def give_up_what_is_worth_something(protocol):
    id = start_auction(protocol)
    for _ in range(5):
        protocol.post_price("WETH", 200 * RAY)
    protocol.do("CollateralAuction.close", id, sender="stranger")


def a_part_in_whole_units(vault, debt):
    """The rule there was: the debt of a part was not rounded with its collateral."""
    return vault.locked_collateral * debt // vault.normalized_debt // vault.unit * vault.unit, debt


def sell_a_part(protocol):
    protocol.borrow("borrower", "WBTC", WAD, 35_000 * WAD)
    protocol.do("VaultEngine.set_auction_limit", 1, 10_001, sender="admin")
    protocol.post_price("WBTC", 45_000 * RAY)
    liquidate_vault(protocol, collateral_type=1)


def flag(protocol):
    protocol.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)
    protocol.post_price("WETH", 1_745 * RAY)
    protocol.do("LiquidationEngine.flag", 0, "borrower", sender="stranger")
    protocol.post_price("WETH", 1_000 * RAY)
    protocol.do("LiquidationEngine.flag", 0, "borrower", sender="stranger")
    liquidate_vault(protocol)
    protocol.post_next("WETH", 500 * RAY)


def report(protocol):
    protocol.advance(3_600)
    for i, price in enumerate((1_990, 2_000, 2_050), 1):
        protocol.do("PriceFeed.report", 0, price * RAY, sender=f"reporter_{i}")
    protocol.do("PriceFeed.poke", 0, sender="stranger")
    protocol.post_price("WETH", 2_100 * RAY)


def change_caps(protocol):
    caps = [protocol.read("LossWaterfall.stage_terms", k) for k in range(len(protocol.parameters.stages))]
    caps[-1] = caps[-1]._replace(cap_bps=10_000)
    protocol.do("LossWaterfall.propose_stages", caps, sender="admin")
    protocol.advance(protocol.parameters.cap_delay // 2)
    protocol.do("LossWaterfall.apply_stages", caps, sender="stranger")


def begin_too_early(protocol):
    protocol.do("Settlement.announce", sender="admin")
    protocol.advance(60)
    protocol.do("Settlement.begin", sender="stranger")


def wind_up(protocol):
    protocol.borrow("borrower", "WETH", 10 * WAD + 7, 12_000 * WAD + 3)
    settle_protocol(protocol)
    protocol.do("Settlement.redeem", 1_001 * WAD, sender="borrower")
    for part in (WAD // 3, WAD // 7, 500 * WAD):
        protocol.do("Settlement.cash", 0, part, sender="borrower")


def change_the_fee(protocol):
    protocol.borrow("borrower", "WETH", 10 * WAD, 6_000 * WAD)
    protocol.advance(86_400)
    protocol.do("VaultEngine.set_stability_fee", 0, 10**18, sender="admin")


def cap_redistribution(protocol):
    protocol.do("VaultEngine.set_redistribution_cap", 0, 777, sender="admin")


def draw_beyond_the_ceiling(protocol):
    protocol.do("VaultEngine.set_global_debt_ceiling", 1_000, sender="admin")
    protocol.borrow("borrower", "WETH", 10 * WAD, 6_000 * WAD)


def reset_against_a_stop(protocol):
    id = start_auction(protocol)
    protocol.do("CollateralAuction.set_stop", 0, 2, sender="admin")
    protocol.advance(14_401)
    protocol.post_price("WETH", 1_400 * RAY)
    protocol.do("CollateralAuction.reset", id, "stranger", sender="stranger")


def leap(protocol):
    protocol.do("PriceFeed.set_guards", 0, 500, 2, 0, 0, sender="admin")
    for _ in range(4):
        protocol.post_next("WETH", 2_500 * RAY)


STORIES = (
    change_the_fee,
    cap_redistribution,
    leap,
    come_and_go,
    divide_shares,
    lose_all,
    leave_with_a_loss,
    bear_a_loss,
    borrow_for_a_year,
    auction,
    let_it_run_out,
    give_up,
    flag,
    report,
    wind_up,
)


@pytest.mark.parametrize("story", STORIES)
def test_right_rules_are_not_complained_of(alone, story):
    story(alone)


# ------------------------------------------------------------------ wrong rules

RIGHT_TERMS, RIGHT_PRICE = pool.Pool._entry_terms, dutch_auction.Terms.price
RIGHT_LEFT, RIGHT_CHECKPOINT = pool.Pool._compute_assets_left, pool.Pool._record_loss_checkpoint
RIGHT_ACCRUAL = ledger.Ledger._post_accrual
RIGHT_LEVEL = pool.Pool._compute_level
RIGHT_STEPS, RIGHT_CONVERSION = denominations.count_generation_steps, denominations.convert_shares
RIGHT_AVERAGE = price_feed.PriceFeed.poke
RIGHT_USED, RIGHT_ROLL = (
    loss_waterfall.LossWaterfall._load_usage,
    loss_waterfall.LossWaterfall._carry_unresolved_loss_into_epoch,
)
RIGHT_SHARED = ledger.Ledger._compute_current_redistribution


def dear_shares(self):
    supply, held, steps = RIGHT_TERMS(self)
    return supply, held - held // 100, steps


@external
def income_at_once(self, sender, assets):
    self._change_total_booked_assets(assets)
    self._pull_assets(sender, assets)


@external
def no_time_to_wait(self, sender, terms):
    self._check_and_replace_stages(terms, now=True)


@external
def begin_now(self, sender):
    self.progress[()] = self._load_unbegun()._replace(begun_at=self.world.timestamp)
    self.emit("Begun")
    self.engine.begin_settlement(self.address)


@external
def cash_up(self, sender, collateral_type, amount):
    self.cashed[collateral_type, sender] += amount
    collateral = -(-amount * self.shares[collateral_type] // RAY)
    self.emit("Cashed", collateral_type, sender, amount, collateral)
    self.engine.pay_out(self.address, collateral_type, collateral, sender)
    return collateral


@external
def average_of_the_next(self, sender, collateral_type):
    RIGHT_AVERAGE(self, sender, collateral_type)
    average = self.averages[collateral_type]
    self.averages[collateral_type] = average._replace(cumulative=average.cumulative * 101 // 100)


def allowed_each_time(self, c, k, capacity, more=0, settling=False):
    share = capacity * self.stages[k].cap_bps // 10_000
    return min(capacity, share) // RAY * RAY


def allowed_to_each_type(self, c, k, capacity, more=0, settling=False):
    paid = self.paid[c, self.epoch, k]
    share = (capacity + paid) * self.stages[k].cap_bps // 10_000
    return min(capacity, max(0, share - paid)) // RAY * RAY


def used_in_this_epoch(self, k, c):
    return RIGHT_USED(self, k, c)._replace(before=0)


def shared_in_this_epoch(self, c):
    return RIGHT_SHARED(self, c)._replace(before=0)


def asked_again_at_once(self, c):
    self.losses[c] = self.losses[c]._replace(asked=1)
    return RIGHT_ROLL(self, c)


def cheap_take(self, top, elapsed):
    price, due = RIGHT_PRICE(self, top, elapsed)
    return price * 99 // 100, due


def twice_the_claims(self, shares, assets):
    RIGHT_CHECKPOINT(self, shares, 2 * assets)


def divided_once_more(supply, assets):
    return RIGHT_STEPS(supply, assets) + 1


def divided_by_too_much(shares, recorded, present):
    return RIGHT_CONVERSION(shares, recorded, present) // (1 if recorded == present else 2)


def divided_after_the_cut(self, id, controller):
    request = self.requests[id, controller]
    return RIGHT_CONVERSION(request.shares, request.generation, self.state[()].generation)


def half_the_level(self, groups, shares, assets):
    return RIGHT_LEVEL(self, groups, shares, assets // 2)


def the_highest(self, collateral_type, config):
    return max(self.reports[collateral_type, i].price for i in range(1, config.reporters + 1))


@external
def fee_from_the_last_time_on(self, sender, collateral_type, new):
    self._emit_parameter(collateral_type, "stability_fee", new, 10**20)
    self._store_stability_fee(collateral_type, new)


def a_little_above(self, c, vault, price, debt):
    return vault.locked_collateral * price * BASIS_POINTS < debt * (vault.liquidation_ratio + 100)


def never_confirmed(self, c, config, old, median, weighted, renews=False):
    following = 0 if price_feed.is_deviating(median, weighted, 500) else median
    return old.next or old.current, following


WRONG = [
    (35, terms.Governed, "set_stability_fee", fee_from_the_last_time_on, change_the_fee),
    (38, collateral_auction, "RESETS", 9, reset_against_a_stop),
    (40, liquidation_engine.LiquidationEngine, "_is_unsafe", a_little_above, flag),
    (40, vault_flags.VaultFlags, "_shrink_flag", lambda self, c, owner, left: None, flag),
    (41, price_feed, "is_deviating", lambda price, other, deviation: False, leap),
    (41, price_feed.PriceFeed, "_compute_guarded_current_next_prices", never_confirmed, leap),
    (69, ledger, "RAD", 10**60, draw_beyond_the_ceiling),
    (79, ledger.Ledger, "_store_redistribution_cap", lambda self, c, new: None, cap_redistribution),
    (11, pool, "count_generation_steps", divided_once_more, divide_shares),
    (16, shares, "convert_shares", divided_by_too_much, divide_shares),
    (16, pool.Pool, "shares_at_cut", divided_after_the_cut, divide_shares),
    (31, pool, "count_generation_steps", divided_once_more, divide_shares),
    (31, pool, "count_generation_steps", lambda supply, assets: 0, divide_shares),
    (31, pool.Pool, "_entry_terms", dear_shares, come_and_go),
    (31, pool.Pool, "_compute_assets_left", lambda self, assets: RIGHT_LEFT(self, assets) + WAD, come_and_go),
    (31, vesting_assets, "compute_unvested", lambda held, now: 0, come_and_go),
    (31, member_pool, "div_up", lambda x, y: x // y, come_and_go),
    (32, pool.Pool, "add_income", income_at_once, come_and_go),
    (33, pool.Pool, "get_earliest_cut_time", lambda self: 0, leave_at_once),
    (33, pool.Pool, "get_maturity", lambda self, id: 0, leave_after_a_day),
    (33, pool.Pool, "_count_claimed", lambda *args: None, leave_in_parts),
    (34, pool.Pool, "_compute_level", half_the_level, leave_with_a_loss),
    (34, recovery_claims, "VIRTUAL_SHARES", 0, bear_a_loss),
    (74, pool.Pool, "_clear_and_count_booked_assets", lambda self: 0, lose_all),
    (34, pool.Pool, "_record_loss_checkpoint", twice_the_claims, bear_a_loss),
    (35, ledger, "rpow", lambda x, n: RAY + (x - RAY) * n, borrow_for_a_year),
    (35, ledger.Ledger, "_post_accrual", a_year_at_most, borrow_after_years),
    (72, ledger.Ledger, "_post_accrual", a_year_at_most, borrow_after_years),
    (35, ledger, "BASIS_POINTS", 20_000, borrow_for_a_year),
    (36, vault_engine, "div_up", lambda x, y: x // y, borrow_for_a_year),
    (37, dutch_auction.Terms, "price", cheap_take, auction),
    (37, collateral_auction, "compute_lot_principal_left", lambda lot, top: 0, auction),
    (38, dutch_auction.Terms, "reward", lambda self, target: 60 * WAD, auction),
    (38, liquidation_engine, "_compute_part_lot_and_debt", a_part_in_whole_units, sell_a_part),
    (73, dutch_auction, "WORTHLESS", 1, give_up_what_is_worth_something),
    (38, dutch_auction.Terms, "top", lambda self, price: price, let_it_run_out),
    (39, collateral_auction, "compute_lot_principal_left", lambda lot, top: lot.target * RAY // 3, give_up),
    (40, liquidation_engine, "get_lowest_known_price", lambda feed, asking, c: 2_000 * RAY, flag),
    (41, price_feed.PriceFeed, "_compute_median", the_highest, report),
    (77, price_feed.PriceFeed, "_compute_median", the_highest, report),
    (41, price_feed.PriceFeed, "poke", average_of_the_next, report),
    (71, loss_waterfall.LossWaterfall, "_compute_room", allowed_each_time, bear_a_loss),
    (71, loss_waterfall.LossWaterfall, "_compute_room", allowed_to_each_type, bear_losses_of_two_types),
    (71, loss_waterfall.LossWaterfall, "_load_usage", used_in_this_epoch, bear_losses_at_an_epochs_edge),
    (43, loss_waterfall.LossWaterfall, "apply_stages", no_time_to_wait, change_caps),
    (43, settlement.Settlement, "begin", begin_now, begin_too_early),
    (44, settlement, "div_up", lambda x, y: x // y, wind_up),
    (44, settlement.Settlement, "cash", cash_up, wind_up),
]


@pytest.mark.parametrize(("number", "owner", "name", "wrong", "story"), WRONG)
def test_a_wrong_rule_is_told(alone, monkeypatch, number, owner, name, wrong, story):
    monkeypatch.setattr(owner, name, wrong)
    # Others may notice as well, and before it.
    monkeypatch.setattr(alone.lockstep, "step_check", PropertyMonitor(alone.lockstep.model, only=(number,)))
    with pytest.raises(PropertyViolationError, match=f"^property {number} is violated: ") as caught:
        story(alone)
    assert caught.value.number == number


def test_a_stage_that_is_asked_again_before_the_others_is_told(new_protocol, monkeypatch):
    usual = build_standard_parameters()
    stages = (StageParameters("scripted"), *usual.stages)
    protocol = believing(new_protocol(replace(usual, stages=stages)), monkeypatch)
    monkeypatch.setattr(
        loss_waterfall.LossWaterfall, "_carry_unresolved_loss_into_epoch", asked_again_at_once
    )
    monkeypatch.setattr(protocol.lockstep, "step_check", PropertyMonitor(protocol.lockstep.model, only=(42,)))
    lose_new_vault(protocol)
    protocol.do("ScriptedStage.claim", WAD * RAY, 0, WAD * RAY, sender="stranger")
    protocol.do("LossWaterfall.cover", 2, sender="stranger")
    protocol.do("ScriptedStage.give_up", 2, sender="stranger")
    protocol.advance(protocol.parameters.epoch_length)
    with pytest.raises(PropertyViolationError, match=r"^property 42 is violated: stage 0 has given up"):
        protocol.do("LossWaterfall.cover", 2, sender="stranger")


def test_borrowers_who_share_twice_at_an_epochs_edge_are_told(new_protocol, monkeypatch):
    protocol = deploy_without_fees(new_protocol, stages=(StageParameters("redistribution"),))
    protocol = believing(protocol, monkeypatch)
    monkeypatch.setattr(ledger.Ledger, "_compute_current_redistribution", shared_in_this_epoch)
    monkeypatch.setattr(protocol.lockstep, "step_check", PropertyMonitor(protocol.lockstep.model, only=(82,)))
    protocol.borrow("keeper", "XAU", 1_000 * WAD, 10_000 * WAD)
    with pytest.raises(PropertyViolationError, match=r"^property 82 is violated: type 2: "):
        bear_losses_at_an_epochs_edge(protocol)


def test_fees_that_fill_a_buffer_on_the_way_are_part_of_what_it_had(new_protocol):
    """Redistribution, before it, charges them: the share that caps the buffer is of all of it."""
    stages = StageParameters("redistribution"), StageParameters("buffer", cap_bps=5_000)
    protocol = new_protocol(replace(build_standard_parameters(), stages=stages))
    for symbol, price in PRICES.items():
        protocol.post_price(symbol, price)
    protocol.do("VaultEngine.set_stability_fee", 2, 10**18, sender="admin")
    protocol.make_deficit("XAU")
    protocol.advance(3_600)
    before = protocol.read("VaultEngine.buffer_of", 2)
    protocol.do("LossWaterfall.cover", 2, sender="stranger")
    (paid,) = [
        log.values[3] for log in protocol.last.logs if log.event == "LossCovered" and log.values[2] == 1
    ]
    assert paid > before // 2


def test_equity_that_is_due_before_its_time_is_told(new_protocol, monkeypatch):
    """Also where it is only paid much later: it is due with the cut of the batch after it."""
    protocol = believing(
        post_prices_and_fund_people(new_protocol(build_equity_parameters("staked_equity", "savings"))),
        monkeypatch,
    )
    monkeypatch.setattr(protocol.lockstep, "step_check", PropertyMonitor(protocol.lockstep.model, only=(33,)))
    protocol.do("Equity.approve", "StakedEquity", 10_000 * WAD, sender="admin")
    protocol.do("StakedEquity.deposit", 10_000 * WAD, "admin", sender="admin")
    for again in range(2):
        protocol.do("StakedEquity.requestRedeem", 10**24, "admin", "admin", sender="admin")
        if again:
            monkeypatch.setattr(redeem_queue.RedeemQueue, "get_maturity", lambda self, id: 0)
            with pytest.raises(
                PropertyViolationError, match=r"^property 33 is violated: StakedEquity: batch 1 is due"
            ):
                cut_batch(protocol, "StakedEquity")
        else:
            cut_batch(protocol, "StakedEquity")
