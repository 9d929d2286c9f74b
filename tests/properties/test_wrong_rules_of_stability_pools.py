"""Wrong rules of stability pools, as if on both sides: properties 199, 201 and 231 to 235 notice each."""

from dataclasses import replace

import pytest

from backstop.contract_base import external
from backstop.model import product_sum
from backstop.model.arithmetic import RAY, WAD
from backstop.model.product_sum import ProductSum, State
from backstop.model.stability_pool import OffsetPool, Pricing, Requests, StabilityPool
from backstop.proof.properties import (
    CounterfactualSeed,
    PropertyViolationError,
    check_counterfactual_property,
    check_state_properties,
)
from tests.support.model_without_contracts import use_protocol_and_build_model_alone
from tests.support.property_violation_checks import expect_property_violation_on_model
from tests.support.stability_pool_steps import (
    ENTRY_DELAY,
    POOL,
    TERMS,
    WETH,
    deploy_with_pool,
    deposit_coins,
    liquidate_vaults,
)

COINS = 20_000 * WAD


def fund(new_protocol, terms=TERMS, coins=COINS, **changes):
    """Two members; a borrower owes 12,000 for 10 ether."""
    protocol = deploy_with_pool(new_protocol, terms, **changes)
    deposit_coins(protocol, "alice", coins // 2)
    deposit_coins(protocol, "bob", coins // 2)
    protocol.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)
    return protocol


@pytest.fixture
def funded(new_protocol):
    return fund(new_protocol)


@pytest.fixture
def short(new_protocol):
    """The pool has 6,000 for the debt of 12,000."""
    return fund(new_protocol, coins=6_001 * WAD)


def crash(protocol, price=1_700):
    protocol.post_price("WETH", price * RAY)


def liquidate(protocol):
    crash(protocol)
    liquidate_vaults(protocol, "borrower")


def check_books(protocol):
    both = protocol.lockstep
    check_state_properties(both.model.snapshot(), both.addresses)


def expect_wrong_books(protocol, story, number=231):
    both = protocol.lockstep
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(both, "apply", both.model.apply)
        patch.setattr(both, "advance", both.model.advance)
        patch.setattr(both, "view", both.model.view)
        story(protocol)
        with pytest.raises(PropertyViolationError, match=f"^property {number} is violated: "):
            check_books(protocol)


# ------------------------------------------------------------------------ 231


def test_right_books_hold(funded):
    liquidate(funded)
    funded.do(f"{POOL}.claim", "alice", False, sender="alice")
    check_books(funded)


def test_a_product_that_is_rounded_up(funded, monkeypatch):
    def round_up(self, debt):
        left = self.coins - debt
        return self._replace(product=self.product * left // self.coins + 10**12, coins=left)

    monkeypatch.setattr(State, "offset_debt", round_up)
    expect_wrong_books(funded, liquidate)


def test_coins_that_leave_and_are_counted_on(funded, monkeypatch):
    monkeypatch.setattr(State, "offset_debt", lambda self, debt: self)
    expect_wrong_books(funded, liquidate)


def test_collateral_of_which_members_get_the_reward_as_well(funded, monkeypatch):
    plain = ProductSum._add_collateral
    monkeypatch.setattr(
        ProductSum,
        "_add_collateral",
        lambda self, state, amount: plain(self, state, amount * 1_006 // 1_000),
    )
    expect_wrong_books(funded, liquidate)


def test_income_that_is_shared_and_booked_on(funded, monkeypatch):
    def story(protocol):
        protocol.do("Stablecoin.approve", POOL, COINS, sender="whale")
        protocol.do(f"{POOL}.add_income", 100 * WAD, sender="whale")
        protocol.advance(TERMS.vesting)
        protocol.do(f"{POOL}.claim", "alice", True, sender="alice")

    monkeypatch.setattr(OffsetPool, "_change_total_booked_assets", lambda self, change: None)
    expect_wrong_books(funded, story)


def test_an_entry_that_is_counted_after_it_takes_part(funded, monkeypatch):
    def keep(self, state, owner):
        self._share_income(state)
        found = self._sum_stake_balances(state, owner, self.member_requests[owner])
        self._mark_stake(state, int(owner, 16), found.coins)
        return found.coins

    monkeypatch.setattr(OffsetPool, "_count_gains", keep)
    expect_wrong_books(funded, lambda protocol: protocol.do(f"{POOL}.claim", "alice", False, sender="alice"))


# ------------------------------------------------------------------------ 232


@pytest.mark.parametrize(
    ("number", "method", "wrong"),
    [
        (201, "compute_reward", lambda self, collateral, unit: collateral * self.reward // 10_000 + WAD),
        (232, "compute_worth", lambda self, collateral, position: 10**40),
        (232, "compute_price", lambda self, position: position.locked_collateral),
        (232, "compute_due", lambda self, debt, collateral, position: 10**21),
    ],
)
def test_a_wrong_price(new_protocol, monkeypatch, number, method, wrong):
    protocol = fund(new_protocol)
    monkeypatch.setattr(Pricing, method, wrong)
    crash(protocol, 1_300 if method != "compute_worth" else 1_000)
    expect_property_violation_on_model(number, protocol, lambda p: liquidate_vaults(p, "borrower"))


def test_a_part_that_is_smaller_than_the_coins_pay(short, monkeypatch):
    plain = Pricing._plan_part
    monkeypatch.setattr(
        Pricing, "_plan_part", lambda self, position, wanted, room: plain(self, position, wanted // 2, room)
    )
    crash(short)
    expect_property_violation_on_model(232, short, lambda p: liquidate_vaults(p, "borrower"))


def test_a_write_off_that_pays_less_than_the_pool_has(new_protocol, monkeypatch):
    protocol = fund(new_protocol, replace(TERMS, has_write_off=True), 6_001 * WAD)
    plain = Pricing.plan_sale
    monkeypatch.setattr(
        Pricing, "plan_sale", lambda self, position, room: plain(self, position, min(room, 5_000 * WAD))
    )
    crash(protocol)
    expect_property_violation_on_model(232, protocol, lambda p: liquidate_vaults(p, "borrower"))


def test_a_last_coin_that_is_offset(short, monkeypatch):
    monkeypatch.setattr(State, "offset_room", property(lambda self: self.coins - 1))
    crash(short)
    expect_property_violation_on_model(232, short, lambda p: liquidate_vaults(p, "borrower"))


def test_a_scale_that_is_left_out(new_protocol, monkeypatch):
    protocol = fund(new_protocol, coins=12_001 * WAD)
    monkeypatch.setattr(product_sum, "LEAST_PRODUCT", 10**36)
    crash(protocol)
    expect_property_violation_on_model(232, protocol, lambda p: liquidate_vaults(p, "borrower"))


# ------------------------------------------------------------------------ 233


def test_entries_that_take_part_too_early(funded, monkeypatch):
    def story(protocol):
        protocol.do(f"{POOL}.deposit", WAD, sender="carol")
        protocol.advance(ENTRY_DELAY)
        protocol.do(f"{POOL}.admit", sender="stranger")

    plain = OffsetPool._admit_entries

    def admit(self, state):
        now = self.world.timestamp
        self.world.timestamp = now + 2 * ENTRY_DELAY
        found = plain(self, state)
        self.world.timestamp = now
        return found

    monkeypatch.setattr(OffsetPool, "_admit_entries", admit)
    expect_property_violation_on_model(233, funded, story)


@pytest.mark.parametrize(("number", "method"), [(199, "deposit"), (233, "admit"), (199, "withdraw")])
def test_members_who_come_and_go_while_a_vault_is_flagged(funded, monkeypatch, number, method):
    funded.do(f"{POOL}.request_withdrawal", WAD, sender="alice")
    funded.do(f"{POOL}.deposit", WAD, sender="carol")
    funded.advance(TERMS.cooldown)
    crash(funded)
    funded.do("LiquidationEngine.flag", WETH, "borrower", sender="stranger")
    monkeypatch.setattr(OffsetPool, "_is_at_risk", lambda self: False)
    args = {"deposit": (WAD,), "admit": (), "withdraw": ("alice",)}[method]
    expect_property_violation_on_model(
        number, funded, lambda p: p.do(f"{POOL}.{method}", *args, sender="carol")
    )


def test_a_request_of_coins_that_wait(funded, monkeypatch):
    funded.do(f"{POOL}.deposit", WAD, sender="carol")
    plain = StabilityPool._sum_stake_balances
    monkeypatch.setattr(
        StabilityPool,
        "_sum_stake_balances",
        lambda self, state, owner, requests: plain(self, state, owner, requests)._replace(coins=WAD),
    )
    expect_property_violation_on_model(
        199, funded, lambda p: p.do(f"{POOL}.request_withdrawal", WAD, sender="carol")
    )


def test_a_deposit_that_leaves_a_request_its_time(funded, monkeypatch):
    funded.do(f"{POOL}.request_withdrawal", WAD, sender="alice")
    plain = Requests._replace
    monkeypatch.setattr(
        Requests,
        "_replace",
        lambda self, **new: plain(self, **{key: value for key, value in new.items() if key != "ready_at"}),
    )
    expect_property_violation_on_model(233, funded, lambda p: p.do(f"{POOL}.deposit", WAD, sender="alice"))


def test_a_cooldown_that_is_too_short(funded, monkeypatch):
    plain = StabilityPool.request_withdrawal

    @external
    def request_withdrawal(self, sender, amount):
        plain(self, sender, amount)
        request = self.member_requests[sender]
        self.member_requests[sender] = request._replace(ready_at=request.ready_at - 1)

    monkeypatch.setattr(StabilityPool, "request_withdrawal", request_withdrawal)
    expect_property_violation_on_model(
        233, funded, lambda p: p.do(f"{POOL}.request_withdrawal", WAD, sender="alice")
    )


def test_a_claim_of_somebody_elses_gains(funded, monkeypatch):
    liquidate(funded)
    plain, bob = StabilityPool.claim, funded.address("bob")

    @external
    def claim(self, sender, receiver, has_reinvestment):
        return plain(self, bob, receiver, has_reinvestment)

    monkeypatch.setattr(StabilityPool, "claim", claim)
    expect_property_violation_on_model(
        233, funded, lambda p: p.do(f"{POOL}.claim", "alice", False, sender="alice")
    )


# ---------------------------------------------------------- 201, 234 and 235


def test_a_withdrawal_that_is_paid_to_whoever_asks(funded, monkeypatch):
    funded.do(f"{POOL}.request_withdrawal", WAD, sender="alice")
    funded.advance(TERMS.cooldown)
    plain, carol = OffsetPool._send_asset_tokens, funded.address("carol")
    monkeypatch.setattr(
        OffsetPool, "_send_asset_tokens", lambda self, owner, amount: plain(self, carol, amount)
    )
    expect_property_violation_on_model(
        201, funded, lambda p: p.do(f"{POOL}.withdraw", "alice", sender="carol")
    )


@pytest.mark.parametrize(("number", "coins"), [(199, COINS), (234, 12_000 * WAD), (234, 6_001 * WAD)])
def test_an_auction_of_what_the_pool_takes(new_protocol, monkeypatch, number, coins):
    protocol = fund(new_protocol, coins=coins)
    crash(protocol)
    monkeypatch.setattr(OffsetPool, "can_auction", lambda *args: True)
    expect_property_violation_on_model(
        number, protocol, lambda p: p.do("LiquidationEngine.liquidate", WETH, "borrower", "k", sender="k")
    )


def test_a_first_liquidation_that_brings_members_less(new_protocol, monkeypatch):
    protocol = fund(new_protocol, coins=60_000 * WAD)
    protocol.borrow("other", "WETH", 10 * WAD, 6_000 * WAD)
    alone = use_protocol_and_build_model_alone(protocol)
    plain, weights = ProductSum._add_collateral, [3, 2]

    def weigh(self, state, amount):
        weights.reverse()
        plain(self, state, amount * weights[0] // 3)

    monkeypatch.setattr(ProductSum, "_add_collateral", weigh)
    with pytest.raises(PropertyViolationError, match=r"^property 235 is violated: "):
        for seed in range(20):
            check_counterfactual_property(alone, CounterfactualSeed(235, seed))
