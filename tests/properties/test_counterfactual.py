"""Futures that break a property are told by its number, also when model and contract err alike.

So the properties are asked of the model alone here, with one mistake in it.
"""

from dataclasses import replace

import pytest

from backstop.contract_base import RevertError, external
from backstop.deployment.example_parameters import build_standard_parameters
from backstop.model import (
    dutch_auction,
    ledger,
    liquidation_engine,
    loss_waterfall,
    pool,
    settlement,
    stage_order,
    vault_engine,
    workouts,
)
from backstop.model.arithmetic import RAY, WAD
from backstop.model.bounds import MIN_NOTICE
from backstop.model.roles import Administered
from backstop.proof.fuzz.fuzz_run import FuzzRun, derive_run_seed
from backstop.proof.properties import (
    COUNTERFACTUAL_PROPERTIES,
    CounterfactualSeed,
    PropertyViolationError,
    check_counterfactual_property,
)
from backstop.system import Action
from tests.support.auction_steps import start_auction
from tests.support.guard_steps import BREAKER, CEILING, EMERGENCY, deploy_with_prices, with_guards
from tests.support.margin_order_steps import with_margin
from tests.support.market_with_pool import add_members_with_unequal_deposits, deploy_pool_market_on_model
from tests.support.model_only_perpetuals_with_properties import ModelOnlyMarket, open_unwatched_crowd_on_model
from tests.support.model_without_contracts import ModelAlone, use_protocol_and_build_model_alone
from tests.support.saver_steps import XAU, deposit_savings
from tests.support.stability_pool_steps import deploy_with_pool, deposit_coins
from tests.support.workout_steps import TERMS, deploy_with_workouts, start_workout

QUESTIONS = 60


@pytest.fixture
def alone(protocol):
    return use_protocol_and_build_model_alone(protocol)


@pytest.fixture
def alone_with_guards(new_protocol):
    return use_protocol_and_build_model_alone(
        deploy_with_prices(new_protocol, with_guards((CEILING,), BREAKER, (TERMS,)))
    )


@pytest.fixture
def alone_with_lots(new_protocol):
    counting = new_protocol(replace(build_standard_parameters(), block_time=12), prices=True)
    start_auction(counting)
    counting.advance(600)
    return ModelAlone(counting.lockstep)


@pytest.fixture
def alone_with_margin():
    return open_unwatched_crowd_on_model()


@pytest.fixture
def alone_with_a_pool():
    return ModelOnlyMarket(add_members_with_unequal_deposits(deploy_pool_market_on_model()).market.model)


def answers(both, number):
    """How many of some questions had something to try; raises PropertyViolationError."""
    return sum(
        check_counterfactual_property(both, CounterfactualSeed(number, seed)) for seed in range(QUESTIONS)
    )


@pytest.fixture
def alone_with_members(new_protocol):
    """Three members of a stability pool, and two borrowers with debts that it can repay."""
    protocol = deploy_with_pool(new_protocol)
    for borrower, debt in (("dave", 12_000), ("erin", 9_000)):
        protocol.borrow(borrower, "WETH", 10 * WAD, debt * WAD)
    for member, coins in (("alice", 60_000), ("bob", 7_001), ("carol", 3)):
        deposit_coins(protocol, member, coins * WAD)
    return use_protocol_and_build_model_alone(protocol)


# What there is to try with guards only, with a margin market, or with a pool behind one.
FIXTURES = {
    25: "alone_with_guards",
    126: "alone_with_a_pool",
    161: "alone_with_lots",
    235: "alone_with_members",
}
FIXTURES |= dict.fromkeys((97, 98, 99, 100, 131), "alone_with_margin")


@pytest.mark.deep(cases=12)
@pytest.mark.parametrize("number", sorted(COUNTERFACTUAL_PROPERTIES))
def test_a_right_model_is_left_as_it_is(request, number):
    alone = request.getfixturevalue(FIXTURES.get(number, "alone"))
    before = alone.model.snapshot(), alone.timestamp
    assert answers(alone, number) > 5
    assert before == (alone.model.snapshot(), alone.timestamp)


def test_a_lot_that_falls_by_blocks_is_sold_in_its_last_block_above_the_price(new_protocol):
    """A second after a whole slot the lot would be a block cheaper, and a creditor would lose by it."""
    parameters = replace(with_guards((CEILING,), BREAKER, (TERMS,)), block_time=60)
    assert answers(use_protocol_and_build_model_alone(deploy_with_prices(new_protocol, parameters)), 25) > 5


def test_the_way_out_is_open_while_a_final_price_is_made(new_protocol):
    """A market is delisted, and its feed's guards stay as they are from the moment on."""
    both = use_protocol_and_build_model_alone(deploy_with_prices(new_protocol, with_margin()))
    policy = both.model.world.contracts["MarginPolicy"]
    assert isinstance(policy, Administered)
    admin, at = policy.admins[()], both.timestamp + MIN_NOTICE
    assert both.apply(Action("MarginPolicy", "delist", (0, at), admin)).ok
    both.advance(MIN_NOTICE)
    assert answers(both, 10) > 5


def cap_for_each_call(self, c, k, capacity, more=0, settling=False):
    return min(capacity, 3_000 * 10**45)


def blocked_by_the_feed(self, sender, c, *rest):
    if self.world.contracts["PriceFeed"].risk_price(sender, c) == 0:
        raise RevertError("vault_engine: no price")
    return RIGHT_REPAY(self, sender, c, *rest)


RIGHT_PAY = workouts.Workouts.pay
RIGHT_REPAY = vault_engine.VaultEngine.repay_and_withdraw

RIGHT_DEPOSIT = pool.Pool.deposit


RIGHT_SETTLEMENT, RIGHT_CLAIMABLE = pool.Pool._pay_and_merge_groups, pool.Pool._compute_claimable


def pay_all_out(self, level, price):
    return RIGHT_SETTLEMENT(self, self.index[()], price)


@external
def a_transfer_with_a_toll(self, sender, to, amount):
    self._move_tokens(sender, to, amount)
    self._move_tokens(to, self.world.contracts["Stablecoin"].address, amount // 100)
    return True


@external
def a_deposit_that_starts_the_clock(self, sender, assets, receiver):
    for id in self.list_unsettled_batches():
        self.batches[id] = self.batches[id]._replace(since=self.world.timestamp)
    return RIGHT_DEPOSIT(self, sender, assets, receiver)


@external
def a_deposit_with_a_gift(self, sender, assets, receiver):
    shares = RIGHT_DEPOSIT(self, sender, assets, receiver)
    self._mint_shares(receiver, 10**9)
    return shares


def first_come_first_served(self, batch, owner):
    part = RIGHT_CLAIMABLE(self, batch, owner)
    short = self.line[()].owed < self._compute_standing(batch, self.batches[batch].units)[0]
    return part._replace(assets=part.assets * 99 // 100) if short else part


def rounded_up_and_more(self, batch, owner):
    part = RIGHT_CLAIMABLE(self, batch, owner)
    return part._replace(assets=part.assets + 3)


RIGHT_DRAW = vault_engine.VaultEngine.deposit_and_draw


@external
def in_large_amounts_only(self, sender, c, owner, deposit, draw, receiver):
    if 0 < draw < 10_000 * WAD:
        raise RevertError("vault_engine: too little")
    return RIGHT_DRAW(self, sender, c, owner, deposit, draw, receiver)


@external
def a_skim_that_waits_for_principal_alone(self, sender, c, owner):
    """Restore the old rule: collateral without principal comes home at anyone's call."""
    engine = self.world.contracts["VaultEngine"]
    if engine.in_auction_of(self.address, c) == 0:
        engine.vaults[c, owner] = engine.vaults[c, owner]._replace(open_lots=0)
    return RIGHT_SKIM(self, sender, c, owner)


RIGHT_LEAVE_OUT = stage_order.StageOrder._check_removal_and_get_failure


def only_when_empty(self, k, now):
    stage = self.stages[k].stage
    held = any(self.world.at(stage).capacity(self.address, c) for c in range(3))
    if now and held:
        raise RevertError("loss_waterfall: not empty")
    return RIGHT_LEAVE_OUT(self, k, now)


@external
def a_look_that_costs_who_is_not_charged_yet(self, sender, c, owner):
    """Flag wrongly: a vault loses 1% of its collateral unless the fees of gold were charged before."""
    engine = self.world.contracts["VaultEngine"]
    if engine.debts[XAU].accrued_at != self.world.timestamp:
        vault = engine.vaults[c, owner]
        engine.vaults[c, owner] = vault._replace(locked_collateral=vault.locked_collateral * 99 // 100)
    return RIGHT_FLAG(self, sender, c, owner)


RIGHT_SKIM = settlement.Settlement.skim
RIGHT_FLAG = liquidation_engine.LiquidationEngine.flag


def stood_for_half(self, progress):
    passed = self.world.timestamp - progress.above_since
    return progress.above_since != 0 and 2 * passed >= self.epochs * self.waterfall.EPOCH_LENGTH(self.address)


WRONG = [
    (156, settlement.Settlement, "skim", a_skim_that_waits_for_principal_alone),
    (158, stage_order.StageOrder, "_check_removal_and_get_failure", only_when_empty),
    (159, liquidation_engine.LiquidationEngine, "flag", a_look_that_costs_who_is_not_charged_yet),
    (78, vault_engine.VaultEngine, "deposit_and_draw", in_large_amounts_only),
    (45, pool.Pool, "transfer", a_transfer_with_a_toll),
    (46, pool.Pool, "_compute_claimable", first_come_first_served),
    (47, pool.Pool, "deposit", a_deposit_that_starts_the_clock),
    (48, ledger, "rpow", lambda x, n: RAY + (x - RAY) * n),
    (49, pool.Pool, "deposit", a_deposit_with_a_gift),
    (6, loss_waterfall.LossWaterfall, "_compute_room", cap_for_each_call),
    (7, pool.Pool, "_pay_and_merge_groups", pay_all_out),
    (10, vault_engine.VaultEngine, "repay_and_withdraw", blocked_by_the_feed),
    (12, pool.Pool, "_compute_claimable", rounded_up_and_more),
    (12, vault_engine, "div_up", lambda x, y: x // y),
    (13, dutch_auction.Terms, "top", lambda self, price: 10**30 // price),
    (193, settlement.Settlement, "_has_deficit_lasted_all_epochs", stood_for_half),
    (193, settlement.Settlement, "_has_deficit_lasted_all_epochs", lambda self, progress: False),
]


@pytest.mark.parametrize(("number", "owner", "name", "wrong"), WRONG)
def test_a_mistake_is_told(alone, monkeypatch, number, owner, name, wrong):
    if name == "repay_and_withdraw":
        wrong.__dict__["abi"] = "external"
    monkeypatch.setattr(owner, name, wrong)
    with pytest.raises(PropertyViolationError, match=f"^property {number} is violated: ") as caught:
        answers(alone, number)
    assert caught.value.number == number


def test_a_way_out_that_a_mode_shuts_is_told(alone_with_guards, monkeypatch):
    assert answers(alone_with_guards, 10) > 5

    def blocked_by_the_mode(self, sender, *rest):
        if self.world.contracts["CircuitBreaker"].mode(sender) == EMERGENCY:
            raise RevertError("vault_engine: not now")
        return RIGHT_REPAY(self, sender, *rest)

    blocked_by_the_mode.__dict__["abi"] = "external"
    monkeypatch.setattr(vault_engine.VaultEngine, "repay_and_withdraw", blocked_by_the_mode)
    with pytest.raises(
        PropertyViolationError, match=r"^property 10 is violated: .* is shut: 'vault_engine: not now'"
    ):
        answers(alone_with_guards, 10)


@pytest.fixture
def alone_with_workouts(new_protocol):
    """Two workouts are under way."""
    protocol = deploy_with_workouts(new_protocol)
    deposit_savings(protocol, "saver", 50_000 * WAD)
    deposit_savings(
        protocol, "elder", 20_000 * WAD, "Junior"
    )  # without a cap in shares it pays before it covers
    for who in ("borrower", "owner_1"):
        start_workout(protocol, who)
    return ModelAlone(protocol.lockstep)


def test_a_workout_that_is_not_worth_its_debt_is_told(alone_with_guards, monkeypatch):
    monkeypatch.setattr(workouts, "can_repay", lambda lot, price, discount, principal: True)
    with pytest.raises(
        PropertyViolationError, match=r"^property 25 is violated: auction \d+, .* rad of principal"
    ):
        answers(alone_with_guards, 25)


def test_a_workout_that_costs_creditors_is_told(alone_with_guards, monkeypatch):
    """The payer gets something back, and the creditors pay for it."""

    def pay(self, sender, workout_id, amount):
        self.engine.reward(self.auctions.address, 0, sender, 1_000 * WAD)
        return RIGHT_PAY(self, sender, workout_id, amount)

    pay.__dict__["abi"] = "external"
    monkeypatch.setattr(workouts.Workouts, "pay", pay)
    with pytest.raises(PropertyViolationError, match="whoever pays next loses"):
        answers(alone_with_guards, 25)


def test_a_workout_that_the_feed_keeps_from_being_paid_is_told(alone_with_workouts, monkeypatch):
    assert answers(alone_with_workouts, 10) > 5

    def pay(self, sender, workout_id, amount):
        if self.feed.risk_price(self.address, 0) == 0:
            raise RevertError("workouts: no price")
        return RIGHT_PAY(self, sender, workout_id, amount)

    pay.__dict__["abi"] = "external"
    monkeypatch.setattr(workouts.Workouts, "pay", pay)
    with pytest.raises(
        PropertyViolationError, match=r"^property 10 is violated: workout \d+ cannot be paid: 'workouts: no"
    ):
        answers(alone_with_workouts, 10)


def test_who_leaves_before_a_workouts_loss_is_told(alone_with_workouts, monkeypatch):
    assert answers(alone_with_workouts, 7) > 5
    monkeypatch.setattr(pool.Pool, "_pay_and_merge_groups", pay_all_out)
    with pytest.raises(PropertyViolationError, match="property 7 is violated"):
        answers(alone_with_workouts, 7)


def test_a_campaign_asks_and_changes_nothing(artifacts, new_host):
    machine = FuzzRun(
        new_host(),
        derive_run_seed(1, 3),
        artifacts=artifacts,
        parameters=build_standard_parameters(),
        traces=None,
    )
    for _ in zip(range(800), machine.play_random_steps(1_000), strict=False):
        pass  # the last of the run may be a settlement, which leaves little to ask
    both = machine.both
    before = both.model.snapshot(), both.timestamp, len(both.trace)
    for _ in range(50):
        machine.check_random_counterfactual_property()
    both.compare_state()
    assert before == (both.model.snapshot(), both.timestamp, len(both.trace))
    assert len(machine.asked) > 2


def test_once_all_types_are_retired_questions_are_asked_of_the_rest(protocol):
    """A campaign ended when one was asked of a type where there was none."""
    owner = protocol.address("owner")
    protocol.do("WETH.mint", owner, WAD, sender="owner")
    protocol.do("WETH.approve", "VaultEngine", WAD, sender="owner")
    protocol.do("VaultEngine.deposit_and_draw", 0, "owner", WAD, 0, "owner", sender="owner")
    for c in range(len(protocol.parameters.collateral_types)):
        protocol.do("VaultEngine.retire_collateral_type", c, sender="admin")
    alone = ModelAlone(protocol.lockstep)
    # Coins that nobody owes any more: what a fee or a rounding leaves, in short.
    alone.model.world.contracts["Stablecoin"].tables["erc20.balanceOf"][owner] = WAD
    for contract, method, *args in (
        ("Stablecoin", "approve", protocol.address("Savings"), WAD),
        ("Savings", "deposit", WAD, owner),
    ):
        assert alone.apply(Action(contract, method, tuple(args), owner)).ok
    assert answers(alone, 10)
    for number in COUNTERFACTUAL_PROPERTIES:
        answers(alone, number)
