"""Keepers of types with a stability pool: vaults of a call, auctioned vaults, and the depositors to pay."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import pytest

from backstop.deployment.parameter_dataclasses import SettlementParameters, StabilityPoolParameters
from backstop.keepers.call_costs import convert_gas_to_stablecoin, find_call_gas, get_job_gas
from backstop.keepers.keeper_role_register import KeeperMemory, has_occasion
from backstop.keepers.stability_pool_calls import compute_gas_of_each, compute_liquidation_gas
from backstop.keepers.vault_margin_call_and_liquidation_keepers import list_vaults_without_auction_room
from backstop.model.arithmetic import RAY, WAD
from backstop.simulation.scenario import load_scenario
from backstop.simulation.scenario.scenario_records import StabilityPoolMember
from backstop.system import Action
from tests.support.keeper_scenario import GWEI, SMALL, KeeperScenario

POOL, HOUR = "StabilityPool.ETH", 3_600
AUCTION = StabilityPoolParameters(entry_delay=600)
WRITE_OFF = dataclasses.replace(AUCTION, has_write_off=True)
Build = Callable[..., KeeperScenario]


@pytest.fixture
def build_world() -> Iterator[Build]:
    made: list[KeeperScenario] = []

    def build(
        coins: int = 1_000_000, terms: StabilityPoolParameters = AUCTION, contract: str = "StabilityPool"
    ) -> KeeperScenario:
        """The type's members have put in so many coins."""
        ether, *others = load_scenario(SMALL).parameters.collateral_types
        types = (dataclasses.replace(ether, stability_pool=terms), *others)
        members = (StabilityPoolMember("ETH", "alice", amount=coins * WAD),) if coins else ()
        settlement = SettlementParameters(delay=24 * HOUR)
        parameters = {
            "collateral_types": types,
            "stability_pool_contract": contract,
            "settlement": settlement,
        }
        made.append(KeeperScenario(parameters, stability_pool_members=members))
        return made[-1]

    yield build
    for each in made:
        each.close()


def list_vault_owners(world: KeeperScenario, *names: str) -> tuple[str, ...]:
    return tuple(map(world.run.register_account, names))


@pytest.mark.parametrize("contract", ["StabilityPool", "InstantStabilityPool"])
def test_one_call_takes_all_vaults_and_pays_what_is_expected(build_world, contract) -> None:
    world = build_world(contract=contract)
    liquidator = world.build_keeper("liquidator")
    assert not has_occasion("liquidator", world.view) and world.wants(liquidator) == []
    world.set_feed_and_market_price(170)
    assert has_occasion("liquidator", world.view)
    (intent,) = liquidator.decide_calls(world.view, KeeperMemory(), GWEI)
    owners = list_vault_owners(world, "brink", "edge")
    assert intent.action.contract == POOL and intent.action.args == (owners, liquidator.address)
    assert intent.gas == compute_liquidation_gas(2)
    outcome = world.run.apply(intent.action)
    assert outcome.ok and outcome.value == 2
    got = world.run.session.model.view("ETH", "balanceOf", liquidator.address)
    assert got * 170 == pytest.approx(intent.gain, abs=1_000)
    # 105% of the debts, of which a two-hundredth is the reward.
    assert intent.gain == pytest.approx(365_000 * WAD * 105 // 100 // 200, rel=1e-2)
    assert world.wants(liquidator) == [] and not has_occasion("liquidator", world.view)


def test_buyers_leave_the_type_alone(build_world) -> None:
    world = build_world()
    world.set_feed_and_market_price(170)
    for role in ("bidder", "flash_taker"):
        assert not has_occasion(role, world.view)
        assert world.wants(world.build_keeper(role, capital=10**6 * WAD)) == []


def test_a_call_is_sent_where_its_rewards_pay_for_it_together(build_world) -> None:
    world = build_world()
    world.set_feed_and_market_price(170)
    liquidator = world.build_keeper("liquidator")
    (intent,) = liquidator.decide_calls(world.view, KeeperMemory(), GWEI)
    rewards = intent.gain
    most = rewards * RAY // (compute_liquidation_gas(2) * world.view.outside.ether_price)
    (intent,) = liquidator.decide_calls(world.view, KeeperMemory(), most)
    assert len(intent.action.args[0]) == 2
    cost = convert_gas_to_stablecoin(compute_liquidation_gas(2), most, world.view.outside.ether_price)
    with_profit = world.build_keeper("liquidator", minimum_profit=rewards - cost)
    assert len(world.wants(with_profit, gas_price=most)) == 1
    with_profit = world.build_keeper("liquidator", minimum_profit=rewards - cost + 1)
    assert world.wants(with_profit, gas_price=most) == []
    assert world.wants(liquidator, gas_price=most + 1) == []


def test_a_vault_whose_reward_does_not_pay_for_its_own_gas_is_left_out(build_world) -> None:
    world = build_world()
    world.set_feed_and_market_price(170)
    brink, edge = list_vault_owners(world, "brink", "edge")
    view, room = world.view, world.view.get_offset_room(0)
    vault = next(each for each in view.iter_unsafe_vaults(0) if each.owner == edge)
    sale = view.plan_offset(0, vault, room)
    assert sale is not None
    reward = view.compute_offset_reward(0, sale) * view.outside.prices[0] // RAY
    price = reward * RAY // (compute_gas_of_each() * view.outside.ether_price)
    # Alone neither pays for a call; of a keeper that is paid to lose a little more, the edge is left out.
    subsidised = world.build_keeper("liquidator", minimum_profit=-(10**9) * WAD)
    assert world.wants(subsidised, gas_price=price) == [("liquidate", (brink, edge), subsidised.address)]
    assert world.wants(subsidised, gas_price=price + 1) == [("liquidate", (brink,), subsidised.address)]


def test_a_group_shares_the_vaults_out(build_world) -> None:
    world = build_world()
    world.set_feed_and_market_price(170)
    wanted = [world.wants(world.build_keeper("liquidator", f"me_{i}", i, count=2)) for i in range(2)]
    taken = [owner for calls in wanted for _, owners, _ in calls for owner in owners]
    assert sorted(taken) == sorted(list_vault_owners(world, "brink", "edge"))


def test_a_rest_is_auctioned_once_the_pool_takes_nothing_more(build_world) -> None:
    world = build_world(coins=300_000)
    world.set_feed_and_market_price(130)
    liquidator = world.build_keeper("liquidator")
    brink, edge = list_vault_owners(world, "brink", "edge")
    # No auction while the pool takes a part.
    assert world.wants(liquidator) == [("liquidate", (brink, edge), liquidator.address)]
    assert not world.view.can_auction_vault(0, next(world.view.iter_unsafe_vaults(0)))
    (intent,) = liquidator.decide_calls(world.view, KeeperMemory(), GWEI)
    assert world.run.apply(intent.action).value == 2
    left = world.view.get_vault(0, edge).normalized_debt
    assert 60_000 * WAD < left < 70_000 * WAD and world.view.get_offset_room(0) < 1_000 * WAD
    assert world.wants(liquidator) == [("liquidate", 0, edge, liquidator.address)]
    (intent,) = liquidator.decide_calls(world.view, KeeperMemory(), GWEI)
    assert world.run.apply(intent.action).ok
    assert world.wants(liquidator) == []


def test_what_waits_for_room_is_told_of_rests_alone(build_world) -> None:
    world = build_world(coins=0)
    ether = world.run.scenario.parameters.collateral_types[0]
    assert ether.auction_limit
    world.set_feed_and_market_price(170)
    liquidator = world.build_keeper("liquidator")
    assert [each[0] for each in world.wants(liquidator)] == ["liquidate"] * 2
    admin = world.run.register_account("admin")
    world.run.apply_or_raise("VaultEngine", "set_auction_limit", 0, 1, sender=admin)
    assert world.wants(liquidator) == []
    assert len(list_vaults_without_auction_room(liquidator, world.view, 0, GWEI)) == 2
    full = build_world()
    full.set_feed_and_market_price(170)
    assert list_vaults_without_auction_room(full.build_keeper("liquidator"), full.view, 0, GWEI) == []


def test_a_write_off_is_called_for_by_who_upkeeps_where_no_reward_pays(build_world) -> None:
    world = build_world(coins=0, terms=WRITE_OFF)
    world.set_feed_and_market_price(170)
    liquidator, crank = world.build_keeper("liquidator"), world.build_keeper("crank")
    assert world.wants(liquidator) == [] and has_occasion("crank", world.view)
    owners = list_vault_owners(world, "brink", "edge")
    (intent,) = crank.decide_calls(world.view, KeeperMemory(), GWEI)
    assert intent.action.args == (owners, crank.address)
    outcome = world.run.apply(intent.action)
    assert outcome.ok and outcome.value == 2
    assert world.view.get_deficit(0) > 360_000 * WAD * RAY
    assert world.wants(crank) == [] or world.wants(crank)[0][0] != "liquidate"


def test_a_pool_with_coins_needs_no_upkeep_for_its_vaults(build_world) -> None:
    world = build_world(terms=WRITE_OFF)
    world.set_feed_and_market_price(170)
    assert len(world.wants(world.build_keeper("liquidator"))) == 1
    assert world.wants(world.build_keeper("crank")) == []


def test_nothing_is_sent_without_a_fresh_price(build_world) -> None:
    world = build_world(terms=WRITE_OFF)
    world.set_feed_and_market_price(170)
    world.run.advance_clock(world.run.system.timestamp + 24 * HOUR)
    assert world.wants(world.build_keeper("liquidator")) == []
    assert world.wants(world.build_keeper("crank")) == []


@pytest.mark.parametrize("terms", [AUCTION, WRITE_OFF])
def test_vaults_are_auctioned_once_the_feed_is_dead(build_world, terms) -> None:
    """A pool takes nothing at an old price, however many coins it has."""
    world = build_world(terms=terms)
    world.set_feed_and_market_price(170)
    feed = world.run.scenario.parameters.collateral_types[0].feed
    world.run.advance_clock(world.run.system.timestamp + feed.stale_after + feed.dead_after + HOUR)
    liquidator = world.build_keeper("liquidator")
    wanted = [intent.action for intent in liquidator.decide_calls(world.view, KeeperMemory(), GWEI)]
    assert [each.contract for each in wanted] == ["LiquidationEngine"] * 2
    assert all(world.run.apply(each).ok for each in wanted)


def test_entries_are_admitted_as_soon_as_they_may_be(build_world) -> None:
    world = build_world()
    crank, alice = world.build_keeper("crank"), world.run.register_account("alice")
    maker, run = world.run.register_account("market_maker"), world.run
    run.apply_or_raise("Stablecoin", "transfer", alice, 10 * WAD, sender=maker)
    run.apply_or_raise("Stablecoin", "approve", run.at[POOL], 10 * WAD, sender=alice)
    run.apply_or_raise(POOL, "deposit", 10 * WAD, sender=alice)
    assert world.wants(crank) == [] and not has_occasion("crank", world.view)
    run.advance_clock((run.system.timestamp // 600 + 2) * 600 - 1)
    assert world.wants(crank) == []
    run.advance_clock(run.system.timestamp + 1)
    assert world.wants(crank) == [("admit",)] and has_occasion("crank", world.view)
    (intent,) = crank.decide_calls(world.view, KeeperMemory(), GWEI)
    assert run.apply(intent.action).ok
    assert run.session.model.view(POOL, "totalSupply") == 1_000_010 * WAD
    assert world.wants(crank) == []


def test_members_are_paid_after_their_cooldown_unless_debt_is_at_risk(build_world) -> None:
    world = build_world()
    crank, alice = world.build_keeper("crank"), world.run.register_account("alice")
    world.run.apply_or_raise(POOL, "request_withdrawal", 7 * WAD, sender=alice)
    assert world.wants(crank) == []
    world.run.advance_clock(world.run.system.timestamp + 24 * HOUR - 1)
    assert world.wants(crank) == []
    world.run.advance_clock(world.run.system.timestamp + 1)
    assert world.wants(crank) == [("withdraw", alice)]
    # A fall of the price is announced: the contract pays no withdrawal until it counts.
    now = world.run.system.timestamp
    world.report_next_ether_price(120)
    assert world.view.withdrawals_paused_until > now and world.wants(crank) == []
    action = Action(POOL, "withdraw", (alice,), crank.address)
    assert world.run.apply(action).reason == "stability_pool: debt at risk"
    world.run.advance_clock(world.view.withdrawals_paused_until)
    assert world.wants(crank) == [("withdraw", alice)]
    world.set_feed_and_market_price(120)
    (brink,) = list_vault_owners(world, "brink")
    world.run.apply_or_raise("LiquidationEngine", "flag", 0, brink, sender=crank.address)
    world.run.advance_clock(world.run.system.timestamp + 10 * HOUR)
    assert world.wants(crank) == []
    assert world.run.apply(action).reason == "stability_pool: debt at risk"


def test_a_request_is_paid_once(build_world) -> None:
    world = build_world()
    crank, alice = world.build_keeper("crank"), world.run.register_account("alice")
    world.run.apply_or_raise(POOL, "request_withdrawal", 7 * WAD, sender=alice)
    world.run.advance_clock(world.run.system.timestamp + 24 * HOUR)
    before = world.view.get_unreserved_stablecoins(alice)
    (intent,) = crank.decide_calls(world.view, KeeperMemory(), GWEI)
    assert world.run.apply(intent.action).value == 7 * WAD
    assert world.view.get_unreserved_stablecoins(alice) == before + 7 * WAD
    assert world.wants(crank) == []


def test_all_members_are_paid_in_settlement(build_world) -> None:
    """Coins without a request and coins that wait are paid too; each account once."""
    world = build_world()
    run, crank, admin = world.run, world.build_keeper("crank"), world.run.register_account("admin")
    alice, bob = (run.register_account(name) for name in ("alice", "bob"))
    run.apply_or_raise("Settlement", "announce", sender=admin)
    run.advance_clock(run.system.timestamp + 24 * HOUR)
    maker = run.register_account("market_maker")
    run.apply_or_raise("Stablecoin", "transfer", bob, 10 * WAD, sender=maker)
    run.apply_or_raise("Stablecoin", "approve", run.at[POOL], 10 * WAD, sender=bob)
    run.apply_or_raise(POOL, "deposit", 10 * WAD, sender=bob)
    run.apply_or_raise("Settlement", "begin", sender=admin)
    assert sorted(world.wants(crank)) == sorted(("withdraw", owner) for owner in (alice, bob))
    for intent in crank.decide_calls(world.view, KeeperMemory(), GWEI):
        assert run.apply(intent.action).ok
    assert world.view.get_unreserved_stablecoins(bob) == 10 * WAD
    assert world.view.get_unreserved_stablecoins(alice) == 1_000_000 * WAD
    assert world.wants(crank) == []


def test_gas_is_that_of_the_committed_table() -> None:
    assert compute_liquidation_gas(1) == get_job_gas("stability pool: liquidate")
    assert 0 <= compute_liquidation_gas(9) - get_job_gas("stability pool: liquidate nine") < 8
    assert find_call_gas(POOL, "withdraw") == get_job_gas("stability pool: withdraw")
    assert find_call_gas(POOL, "draw") is None
