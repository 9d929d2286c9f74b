"""Keepers of types with unsafe vaults sold at a discount: the vaults that they buy and leave alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import pytest

from backstop.deployment.parameter_dataclasses import DiscountParameters
from backstop.keepers.call_costs import require_call_gas
from backstop.keepers.keeper_group_settings import AttackMove
from backstop.keepers.keeper_role_register import Keeper, KeeperMemory, has_occasion
from backstop.keepers.strategy import Offer
from backstop.keepers.vault_margin_call_and_liquidation_keepers import list_vaults_without_auction_room
from backstop.model.arithmetic import RAD, RAY, WAD
from backstop.simulation.scenario import load_scenario
from tests.support.keeper_scenario import GWEI, SMALL, KeeperScenario

TO_TARGET = DiscountParameters(
    base_bonus=500, max_bonus=1_000, full_bonus_health=9_000, target_health=11_000, fee=1_000
)
HALF = DiscountParameters(target_health=0, close_factor=5_000)
Build = Callable[..., KeeperScenario]


@pytest.fixture
def build_world() -> Iterator[Build]:
    made: list[KeeperScenario] = []

    def build(discount: DiscountParameters = TO_TARGET, contract: str = "FixedDiscount") -> KeeperScenario:
        ether, *others = load_scenario(SMALL).parameters.collateral_types
        types = (dataclasses.replace(ether, discount=discount), *others)
        made.append(KeeperScenario({"collateral_types": types, "discount_contract": contract}))
        return made[-1]

    yield build
    for each in made:
        each.close()


@pytest.fixture
def world(build_world: Build) -> KeeperScenario:
    return build_world()


def build_bidder(world: KeeperScenario, coins: int, **options) -> Keeper:
    bidder = world.build_keeper("bidder", "desk_1", **options)
    maker = world.run.register_account("market_maker")
    world.run.apply_or_raise("Stablecoin", "transfer", bidder.address, coins * WAD, sender=maker)
    return bidder


def test_liquidators_leave_the_type_to_buyers(world) -> None:
    world.set_feed_and_market_price(170)
    liquidator = world.build_keeper("liquidator")
    assert world.view.has_unsafe_vault(0) and world.view.has_mechanism(0)
    assert world.wants(liquidator) == [] and not has_occasion("liquidator", world.view)
    assert list_vaults_without_auction_room(liquidator, world.view, 0, GWEI) == []
    assert not world.view.has_mechanism(1)


def test_a_safe_vault_is_no_occasion(world) -> None:
    assert not has_occasion("bidder", world.view) and not has_occasion("flash_taker", world.view)
    world.set_feed_and_market_price(170)
    assert has_occasion("bidder", world.view) and has_occasion("flash_taker", world.view)


def test_the_bidder_gets_what_it_expects_largest_debt_first(world) -> None:
    world.set_feed_and_market_price(170)
    bidder = build_bidder(world, 400_000)
    intents = bidder.decide_calls(world.view, KeeperMemory(), GWEI)
    owners = [each.action.args[1] for each in intents]
    assert owners == [world.run.register_account("brink"), world.run.register_account("edge")]
    for intent in intents:
        had = world.view.get_unreserved_stablecoins(bidder.address)
        outcome = world.run.apply(intent.action)
        assert outcome.ok, outcome.reason
        got, paid = outcome.value
        assert had - world.view.get_unreserved_stablecoins(bidder.address) == paid <= intent.spends
        # At the market's price, which is the feed's, it is the bonus without the protocol's part.
        assert got * 170 - paid == intent.gain and got * 170 > paid
        assert intent.of == 0
    assert not world.view.has_unsafe_vault(0)


def test_the_bidder_spends_no_more_than_it_has(world) -> None:
    world.set_feed_and_market_price(170)
    bidder = build_bidder(world, 20_000)
    (intent,) = bidder.decide_calls(world.view, KeeperMemory(), GWEI)
    # Less what is no whole wei of collateral.
    assert 0 <= 20_000 * WAD - intent.spends < 1_000
    outcome = world.run.apply(intent.action)
    assert outcome.ok and 0 <= 20_000 * WAD - outcome.value[1] < 1_000


def test_the_bidder_sends_nothing_twice(world) -> None:
    world.set_feed_and_market_price(170)
    bidder = build_bidder(world, 400_000)
    first, second = bidder.decide_calls(world.view, KeeperMemory(), GWEI)
    assert (
        bidder.decide_calls(world.view, KeeperMemory(under_way={first.about}), GWEI)[0].about == second.about
    )
    assert bidder.decide_calls(world.view, KeeperMemory(under_way={first.about, second.about}), GWEI) == []


def test_a_group_of_bidders_shares_the_vaults_out(world) -> None:
    world.set_feed_and_market_price(170)
    found = [
        [args[2] for args in world.wants(dataclasses.replace(build_bidder(world, 400_000, count=2), index=i))]
        for i in (0, 1)
    ]
    assert sorted(found[0] + found[1]) == sorted(map(world.run.register_account, ("brink", "edge")))
    assert not set(found[0]) & set(found[1])


def test_buyers_count_gas_profit_and_threshold(world) -> None:
    world.set_feed_and_market_price(170)
    bidder = build_bidder(world, 400_000)
    least = min(each.gain or 0 for each in bidder.decide_calls(world.view, KeeperMemory(), 0))
    assert len(world.wants(build_bidder(world, 0, minimum_profit=least), gas_price=0)) == 2
    assert len(world.wants(build_bidder(world, 0, minimum_profit=least + 1), gas_price=0)) == 1
    # Coins for 1 ether of gas are its price outside.
    gas_price = least * 10**18 // require_call_gas("LiquidationEngine", "liquidate_and_buy") // 170 // WAD
    assert len(world.wants(bidder, gas_price=gas_price * 99 // 100)) == 2
    assert len(world.wants(bidder, gas_price=gas_price * 102 // 100)) == 1
    assert world.wants(build_bidder(world, 0, takes_at=9_000)) == []
    assert world.wants(world.build_keeper("flash_taker", "taker", minimum_profit=10**6 * WAD)) == []


def test_the_flash_taker_earns_what_it_expects_without_capital(world) -> None:
    world.set_feed_and_market_price(170)
    keeper = world.build_keeper("flash_taker", "taker")
    intents = keeper.decide_calls(world.view, KeeperMemory(), GWEI)
    assert [each.action.method for each in intents] == ["liquidate_and_sell"] * len(intents) != []
    for intent in intents:
        outcome = world.run.apply(intent.action)
        assert outcome.ok, outcome.reason
        # What is paid is rounded once more by the limit that the call names.
        assert 0 <= (intent.gain or 0) - outcome.value < GWEI


def test_the_flash_taker_buys_no_more_than_the_market_takes(world) -> None:
    """The last unit sells for its cost: buying an ether more or less brings less."""
    world.set_feed_and_market_price(160)
    keeper = world.build_keeper("flash_taker", "taker")
    intent = keeper.decide_calls(world.view, KeeperMemory(), GWEI)[0]
    _, owner, most, *_ = intent.action.args
    vault = next(each for each in world.view.iter_unsafe_vaults(0) if each.owner == owner)
    whole = world.view.plan_discount_sale(0, vault, 1 << 255, 1 << 255)
    assert most < whole.collateral
    pool = world.view.find_constant_product_pool(0)

    def compute_profit(max_collateral: int) -> int:
        sale = world.view.plan_discount_sale(0, vault, max_collateral, 1 << 255)
        return pool.compute_proceeds(sale.collateral - sale.fee) - sale.paid

    assert intent.gain == compute_profit(most) > max(compute_profit(most - WAD), compute_profit(most + WAD))


@pytest.mark.parametrize("role", ["bidder", "flash_taker"])
def test_a_vault_worth_less_than_debt_and_bonus_is_bought_whole_or_not_at_all(build_world, role) -> None:
    world = build_world(HALF)
    world.set_feed_and_market_price(125)
    edge = world.run.register_account("edge")
    if role == "bidder":
        assert world.wants(build_bidder(world, 100_000)) == []
        keeper = build_bidder(world, 30_000)
    else:
        # All of it sells for less than it costs, until the market pays more than the feed says.
        keeper = world.build_keeper("flash_taker", "taker")
        assert world.wants(keeper) == []
        maker = world.run.register_account("market_maker")
        world.run.apply_or_raise(
            "Market.ETH", "set_liquidity", 500_000 * WAD // 170, 500_000 * WAD, sender=maker
        )
    (intent,) = [
        each for each in keeper.decide_calls(world.view, KeeperMemory(), GWEI) if each.action.args[1] == edge
    ]
    before = world.view.get_deficit(0)
    assert world.run.apply(intent.action).ok
    assert world.view.get_vault(0, edge).locked_collateral == 0
    assert world.view.get_deficit(0) > before


def test_any_part_is_bought_by_the_naive_rules(build_world) -> None:
    world = build_world(HALF, "PartialSaleDiscount")
    world.set_feed_and_market_price(125)
    intent = build_bidder(world, 20_000).decide_calls(world.view, KeeperMemory(), GWEI)[0]
    outcome = world.run.apply(intent.action)
    assert outcome.ok and 0 <= 20_000 * WAD - outcome.value[1] < 1_000


def test_a_changed_price_refuses_the_call(world) -> None:
    world.set_feed_and_market_price(170)
    bidder = build_bidder(world, 400_000)
    intent = bidder.decide_calls(world.view, KeeperMemory(), GWEI)[0]
    world.set_feed_and_market_price(171)
    assert "high" in (world.run.apply(intent.action).reason or "")
    world.set_feed_and_market_price(169)
    assert world.run.apply(intent.action).ok


@pytest.mark.parametrize("price", [170, 150, 125])
def test_a_call_still_holds_an_hour_later(build_world, price) -> None:
    """The debt has grown by its fee: the amount of a call that closes a vault has room for the growth."""
    for discount in (TO_TARGET, HALF, DiscountParameters(target_health=0, close_factor=10_000)):
        world = build_world(discount)
        world.set_feed_and_market_price(price)
        bidder = build_bidder(world, 400_000)
        intents = bidder.decide_calls(world.view, KeeperMemory(), GWEI)
        assert intents
        world.run.advance_clock(world.run.system.timestamp + 3_600)
        for intent in intents:
            outcome = world.run.apply(intent.action)
            assert outcome.ok, outcome.reason


def test_what_would_leave_less_than_the_floor_leaves_the_floor(build_world) -> None:
    """The bidder's coins would leave 4,000 of the debt: the bidder buys less, so that 5,000 remain."""
    world = build_world(DiscountParameters(target_health=0, close_factor=10_000))
    world.set_feed_and_market_price(180)
    largest = next(world.view.iter_unsafe_vaults(0))
    bidder = build_bidder(world, largest.debt // RAD - 4_000)
    assert world.run.apply(bidder.decide_calls(world.view, KeeperMemory(), GWEI)[0].action).ok
    (left,) = world.view.list_owner_vaults(0, [largest.owner])
    assert 5_000 * RAD <= left.debt < 5_000 * RAD + 1_000 * RAY


def test_no_price_no_purchase(world) -> None:
    world.set_feed_and_market_price(170)
    bidder = build_bidder(world, 400_000)
    world.run.apply_or_raise("PriceFeed", "set_halted", 0, True, sender=world.run.register_account("admin"))
    assert world.wants(bidder) == [] and not has_occasion("bidder", world.view)
    world.run.apply_or_raise("PriceFeed", "set_halted", 0, False, sender=world.run.register_account("admin"))
    assert world.wants(bidder)
    world.run.advance_clock(world.run.system.timestamp + 7 * 3_600)
    assert world.wants(bidder) == []


def test_a_limit_of_zero_stops_purchases(world) -> None:
    world.set_feed_and_market_price(170)
    bidder = build_bidder(world, 400_000)
    assert world.wants(bidder)
    world.run.apply_or_raise(
        "VaultEngine", "set_auction_limit", 0, 0, sender=world.run.register_account("admin")
    )
    assert world.wants(bidder) == []


class OfDescription:
    """A strategy that records its offers, and values each at a share of its market worth."""

    def __init__(self, share: int) -> None:
        self.share = share
        self.seen: list[Offer] = []

    def worth(self, offers):
        self.seen += offers
        return [each.market * self.share // 100 for each in offers]


def test_a_strategy_is_asked_once_about_the_largest_vault(world) -> None:
    world.set_feed_and_market_price(170)
    for role, name, kind in (("bidder", "desk_1", "vault"), ("flash_taker", "taker", "flash_vault")):
        strategy = OfDescription(100)
        bidder = dataclasses.replace(world.build_keeper(role, name), strategy=strategy)
        bidder.decide_calls(world.view, KeeperMemory(), GWEI)
        (offer,) = strategy.seen
        assert (offer.sale, offer.id, offer.symbol) == (kind, 0, "ETH")
        assert 150 * RAY < offer.price < 170 * RAY
    bidder = dataclasses.replace(build_bidder(world, 400_000), strategy=OfDescription(90))
    assert world.wants(bidder) == []


def test_an_attacker_buys_its_own_vault(world) -> None:
    """The move `liquidate`, with a share of its coins, once."""
    world.set_feed_and_market_price(170)
    moves = (AttackMove(0, "liquidate", 5_000),)
    attacker = world.build_keeper("attacker", "edge", collateral="ETH", plan=moves)
    assert world.wants(attacker) == []  # it has no coins
    maker = world.run.register_account("market_maker")
    world.run.apply_or_raise("Stablecoin", "transfer", attacker.address, 20_000 * WAD, sender=maker)
    memory = KeeperMemory()
    (intent,) = attacker.decide_calls(world.view, memory, GWEI)
    outcome = world.run.apply(intent.action)
    assert outcome.ok and intent.spends == 10_000 * WAD
    assert 0 <= intent.spends - outcome.value[1] < 1_000
    memory.record_outcome(intent.about, True, world.run.system.timestamp)
    assert attacker.decide_calls(world.view, memory, GWEI) == []


def test_the_smallest_profit_is_not_left_out(build_world) -> None:
    """With a bonus that is the same for all, the largest possible gain of a debt is the gain of its sale."""
    world = build_world(DiscountParameters(target_health=0, close_factor=10_000))
    world.set_feed_and_market_price(170)
    bidder = build_bidder(world, 400_000)
    least = min(each.gain or 0 for each in bidder.decide_calls(world.view, KeeperMemory(), 0))
    assert least > 5_000 * WAD
    assert len(world.wants(build_bidder(world, 0, minimum_profit=least), gas_price=0)) == 2
    assert len(world.wants(build_bidder(world, 0, minimum_profit=least + 1), gas_price=0)) == 1


def test_what_is_under_way_takes_no_money_from_the_next(world) -> None:
    """The pending call's money is set aside already; the remainder is for the other vault."""
    world.set_feed_and_market_price(170)
    bidder = build_bidder(world, 15_000)
    (first,) = bidder.decide_calls(world.view, KeeperMemory(), GWEI)
    (second,) = bidder.decide_calls(world.view, KeeperMemory(under_way={first.about}), GWEI)
    assert second.about != first.about and 0 <= 15_000 * WAD - second.spends < 1_000


def test_the_last_price_of_a_dead_feed_sells_nothing(world) -> None:
    """It starts auctions of other types; the contract wants a fresh price for a sale."""
    admin = world.run.register_account("admin")
    world.run.apply_or_raise("PriceFeed", "set_guards", 0, 0, 1, 0, 86_400, sender=admin)
    world.set_feed_and_market_price(170)
    bidder = build_bidder(world, 400_000)
    assert world.wants(bidder)
    world.run.advance_clock(world.run.system.timestamp + 2 * 86_400)
    assert world.view.has_unsafe_vault(0) and world.wants(bidder) == []
