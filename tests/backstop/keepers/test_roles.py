"""Each role's decisions in a small protocol: the calls that it makes, and the cases that it leaves alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from backstop.deployment.parameter_dataclasses import (
    AutoCeilingParameters,
    BreakerParameters,
    EquityParameters,
    FacilitatorParameters,
    FeedParameters,
    GuardsParameters,
    PolicyParameters,
    SettlementParameters,
    StageParameters,
    TreasuryParameters,
    WorkoutParameters,
)
from backstop.errors import BackstopError
from backstop.keepers.all_role_names import ROLES
from backstop.keepers.auction_purchases import find_best_take
from backstop.keepers.foreseen_protocol_losses import (
    estimate_losses_reaching_stage,
    estimate_type_and_facilitator_losses,
)
from backstop.keepers.keeper_group_settings import GuardianInstruction
from backstop.keepers.keeper_role_register import Keeper, KeeperMemory
from backstop.keepers.strategy import build_strategy
from backstop.model.arithmetic import RAD, RAY, WAD
from backstop.model.bounds import FINAL_DEADLINE, GUARDIAN_HALT, GUARDIAN_PAUSE
from backstop.model.roles import STAGE
from backstop.simulation.account_value import compute_total_account_worth as worth_of
from backstop.simulation.book_opening import give_keeper_capital, give_keeper_collateral
from backstop.simulation.scenario import load_scenario
from backstop.simulation.scenario.scenario_records import PricePath
from backstop.simulation.scenario_run_state import KeeperState
from tests.support.keeper_scenario import GWEI, SMALL, KeeperScenario

CALM = 1_000


@pytest.fixture
def world() -> Iterator[KeeperScenario]:
    made = KeeperScenario()
    yield made
    made.close()


def test_a_reporter_reports_moves_and_heartbeats(world) -> None:
    keeper = world.build_keeper("reporter", "reporter_1", deviation=100, heartbeat=86_400)
    assert world.wants(keeper) == []
    world.run.paths["ETH"][0] = 198 * RAY
    assert world.wants(keeper) == [("report", 0, 198 * RAY)]
    often = world.build_keeper("reporter", "reporter_1", deviation=10_000, heartbeat=600)
    assert [call[:2] for call in world.wants(often)] == [("report", 0), ("report", 1), ("report", 2)]


def test_a_reporters_view_may_be_off_a_little(world) -> None:
    keeper = world.build_keeper("reporter", "reporter_1", heartbeat=1, noise=50)
    _, _, price = world.wants(keeper)[0]
    assert price != 200 * RAY and abs(price - 200 * RAY) <= RAY


def test_a_stranger_does_not_report(world) -> None:
    assert world.wants(world.build_keeper("reporter", "stranger", heartbeat=1)) == []


def test_the_poker_waits_for_the_step(world) -> None:
    world.set_feed_and_market_price(190)
    assert world.wants(world.build_keeper("poker")) == []
    world.run.advance_clock(world.run.system.timestamp + 600)
    assert world.wants(world.build_keeper("poker")) == [("poke", 0), ("poke", 1), ("poke", 2)]


def test_the_poker_needs_fresh_reports(world) -> None:
    world.run.advance_clock(world.run.system.timestamp + 7 * 3_600)
    assert world.wants(world.build_keeper("poker")) == []


def test_the_accruer_waits_for_its_heartbeat(world) -> None:
    world.set_feed_and_market_price(200)
    assert world.wants(world.build_keeper("accruer", heartbeat=3 * 3_600)) == []
    assert len(world.wants(world.build_keeper("accruer", heartbeat=900))) == 3


def test_the_liquidator_takes_unsafe_vaults_largest_first(world) -> None:
    keeper = world.build_keeper("liquidator")
    assert world.wants(keeper) == []
    world.set_feed_and_market_price(175)
    owners = [call[2] for call in world.wants(keeper)]
    assert owners == [world.run.register_account("brink"), world.run.register_account("edge")]


def test_a_stale_price_liquidates_nobody(world) -> None:
    world.set_feed_and_market_price(150)
    world.run.advance_clock(world.run.system.timestamp + 7 * 3_600)
    assert world.wants(world.build_keeper("liquidator")) == []


def test_nobody_is_liquidated_in_a_halt_or_a_grace(world) -> None:
    admin = world.run.register_account("admin")
    world.run.apply_or_raise("PriceFeed", "set_guards", 0, 0, 1, 86_400, 0, sender=admin)
    world.set_feed_and_market_price(150)
    assert world.wants(world.build_keeper("liquidator"))
    world.run.apply_or_raise("PriceFeed", "set_halted", 0, True, sender=admin)
    assert world.wants(world.build_keeper("liquidator")) == []
    world.run.apply_or_raise("PriceFeed", "set_halted", 0, False, sender=admin)
    assert world.wants(world.build_keeper("liquidator"))
    world.run.advance_clock(world.run.system.timestamp + 7 * 3_600)
    world.set_feed_and_market_price(150)
    assert world.wants(world.build_keeper("liquidator")) == []


def test_a_dead_feed_liquidates_and_resets_at_its_last_price(world) -> None:
    world.run.apply_or_raise(
        "PriceFeed", "set_guards", 0, 0, 1, 0, 86_400, sender=world.run.register_account("admin")
    )
    world.set_feed_and_market_price(175)
    world.liquidate("edge")
    world.run.advance_clock(world.run.system.timestamp + 86_400)
    assert world.wants(world.build_keeper("liquidator")) == world.wants(world.build_keeper("crank")) == []
    world.run.advance_clock(world.run.system.timestamp + 86_400)
    for role, method in (("liquidator", "liquidate"), ("crank", "reset")):
        (intent,) = world.build_keeper(role).decide_calls(world.view, KeeperMemory(), GWEI)
        assert intent.action.method == method
        assert world.run.apply(intent.action).ok


def test_the_liquidator_wants_its_gas_back(world) -> None:
    world.set_feed_and_market_price(175)
    assert world.wants(world.build_keeper("liquidator"), gas_price=100_000 * GWEI) == []
    assert world.wants(world.build_keeper("liquidator", minimum_profit=10_000 * WAD)) == []


def test_a_group_shares_the_vaults_out(world) -> None:
    world.set_feed_and_market_price(175)
    shares = [world.wants(world.build_keeper("liquidator", count=3, index=i)) for i in range(3)]
    assert sum(map(len, shares)) == 2


def test_the_liquidator_minds_the_room(world) -> None:
    world.set_feed_and_market_price(175)
    admin = world.run.register_account("admin")
    world.run.apply_or_raise("VaultEngine", "set_auction_limit", 0, 250_000, sender=admin)
    assert [call[2] for call in world.wants(world.build_keeper("liquidator"))] == [
        world.run.register_account("brink"),
        world.run.register_account("edge"),  # as much of it as there is room for
    ]
    world.run.apply_or_raise("VaultEngine", "set_auction_limit", 0, 0, sender=admin)
    assert world.wants(world.build_keeper("liquidator")) == []


def test_every_decision_of_the_liquidator_succeeds(world) -> None:
    world.set_feed_and_market_price(150)
    for intent in world.build_keeper("liquidator").decide_calls(world.view, KeeperMemory(), GWEI):
        assert world.run.apply(intent.action).ok


def test_the_flash_taker_waits_until_the_price_is_below_the_market(world) -> None:
    world.set_feed_and_market_price(170)
    world.liquidate("edge")
    keeper = world.build_keeper("flash_taker", "taker")
    assert world.wants(keeper) == []
    world.run.advance_clock(world.run.system.timestamp + 12 * 60)
    (call,) = world.wants(keeper)
    assert call[0] == "take_and_sell"


def test_the_flash_taker_earns_what_it_expects(world) -> None:
    world.set_feed_and_market_price(170)
    world.liquidate("edge")
    world.run.advance_clock(world.run.system.timestamp + 12 * 60)
    keeper = world.build_keeper("flash_taker", "taker")
    (auction,) = world.view.auctions
    pool = world.view.find_constant_product_pool(0)
    plan = find_best_take(
        world.view, auction, pool.compute_best_amount(auction.price), 1 << 255, pool.compute_proceeds
    )
    (intent,) = keeper.decide_calls(world.view, KeeperMemory(), GWEI)
    outcome = world.run.apply(intent.action)
    assert plan is not None and outcome.value == plan.profit > 0


def test_the_flash_taker_counts_gas_and_minimum_profit(world) -> None:
    world.set_feed_and_market_price(170)
    world.liquidate("edge")
    world.run.advance_clock(world.run.system.timestamp + 12 * 60)
    assert world.wants(world.build_keeper("flash_taker", "taker", minimum_profit=10**6 * WAD)) == []
    assert world.wants(world.build_keeper("flash_taker", "taker"), gas_price=10**6 * GWEI) == []


def test_the_best_amount_is_where_the_marginal_sale_pays_the_price(world) -> None:
    pool = world.view.find_constant_product_pool(0)
    price = pool.stable * RAY // pool.collateral * 97 // 100
    best = pool.compute_best_amount(price)
    profit = [
        pool.compute_proceeds(amount) - amount * price // RAY for amount in (best - WAD, best, best + WAD)
    ]
    assert profit[1] > max(profit[0], profit[2])
    assert pool.compute_best_amount(2 * price) == 0


def test_the_bidder_buys_below_its_threshold_only(world) -> None:
    world.set_feed_and_market_price(170)
    world.liquidate("edge")
    bidder = world.build_keeper("bidder", "desk_1", takes_at=9_500)
    maker = world.run.register_account("market_maker")
    world.run.apply_or_raise("Stablecoin", "transfer", bidder.address, 200_000 * WAD, sender=maker)
    world.run.advance_clock(world.run.system.timestamp + 10 * 60)  # 1.2 * 0.97 ** 6 is 0.9996
    assert world.wants(bidder) == []
    world.run.advance_clock(world.run.system.timestamp + 5 * 60)
    (intent,) = bidder.decide_calls(world.view, KeeperMemory(), GWEI)
    assert world.run.apply(intent.action).ok
    assert world.view.auctions == []


def test_a_bidder_of_little_money_may_begin_with_what_earns_most(world) -> None:
    """By a strategy to which the younger lot is worth more."""
    world.set_feed_and_market_price(150)
    older, younger = world.liquidate("edge"), world.liquidate("brink")
    world.run.advance_clock(world.run.system.timestamp + 12 * 60)

    class OfYounger:
        def worth(self, offers):
            return [each.market * (11 if each.id == younger else 10) // 10 for each in offers]

    bidder, maker = world.build_keeper("bidder", "desk_1"), world.run.register_account("market_maker")
    world.run.apply_or_raise("Stablecoin", "transfer", bidder.address, 20_000 * WAD, sender=maker)
    bidder = dataclasses.replace(bidder, strategy=OfYounger())
    best = dataclasses.replace(bidder, buys_best_first=True)
    assert [args[1] for args in world.wants(bidder)] == [older]
    assert [args[1] for args in world.wants(best)] == [younger]
    world.run.apply_or_raise("Stablecoin", "transfer", bidder.address, 800_000 * WAD, sender=maker)
    assert [args[1] for args in world.wants(bidder)] == [older, younger]
    assert [args[1] for args in world.wants(best)] == [younger, older]


def test_the_bidder_spends_no_more_than_it_has(world) -> None:
    world.set_feed_and_market_price(170)
    world.liquidate("edge")
    bidder = world.build_keeper("bidder", "desk_1", takes_at=9_500)
    world.run.advance_clock(world.run.system.timestamp + 12 * 60)
    assert world.wants(bidder) == []
    maker = world.run.register_account("market_maker")
    world.run.apply_or_raise("Stablecoin", "transfer", bidder.address, 20_000 * WAD, sender=maker)
    (intent,) = bidder.decide_calls(world.view, KeeperMemory(), GWEI)
    assert world.run.apply(intent.action).ok
    assert 0 <= world.view.get_unreserved_stablecoins(bidder.address) < 1_000 * WAD


class Half:
    """A scenario's own strategy: it values each thing at half of its market price."""

    def __init__(self, options) -> None:
        assert options == {}

    def worth(self, offers):
        return [offer.market // 2 for offer in offers]


class Mute(Half):
    def worth(self, offers):
        raise OSError("no line")


def test_a_scenario_may_bring_a_strategy(world) -> None:
    world.set_feed_and_market_price(170)
    world.liquidate("edge")
    desk, maker = world.run.register_account("desk_1"), world.run.register_account("market_maker")
    world.run.apply_or_raise("Stablecoin", "transfer", desk, 200_000 * WAD, sender=maker)
    world.run.advance_clock(world.run.system.timestamp + 15 * 60)

    def bids(name: str) -> int:
        group = world.build_keeper("bidder", "desk_1", strategy=name).group
        keeper = Keeper("desk_1", desk, group, 0, 0, build_strategy(group))
        return len(world.wants(keeper))

    assert bids("") == 1
    assert bids(f"{__name__}:Half") == 0
    with pytest.raises(BackstopError, match="the strategy failed: OSError"):
        bids(f"{__name__}:Mute")


def test_the_crank_resets_what_is_over(world) -> None:
    world.set_feed_and_market_price(170)
    id = world.liquidate("edge")
    crank = world.build_keeper("crank")
    assert world.wants(crank) == []
    world.run.advance_clock(world.run.system.timestamp + 60 * 60 + 1)
    assert world.wants(crank) == [("reset", id, crank.address)]


def test_the_crank_closes_what_is_sold_out_and_the_coverer_covers(world) -> None:
    world.set_feed_and_market_price(170)
    id = world.liquidate("edge")
    world.set_feed_and_market_price(60)
    world.run.advance_clock(world.run.system.timestamp + 30 * 60)
    maker = world.run.register_account("market_maker")
    sender, lot = maker, world.view.auctions[0].lot
    if world.view.auctions[0].needs_reset:
        world.run.apply_or_raise("CollateralAuction", "reset", id, maker, sender=maker)
    world.run.apply_or_raise("CollateralAuction", "take", id, lot, 10**40, sender, b"", sender=sender)
    assert world.view.auctions[0].lot == 0
    crank, coverer = world.build_keeper("crank"), world.build_keeper("coverer", heartbeat=3_600)
    assert world.wants(crank) == [("close", id)]
    assert world.wants(coverer) == []
    for intent in crank.decide_calls(world.view, KeeperMemory(), GWEI):
        assert world.run.apply(intent.action).ok
    assert world.view.get_deficit(0) > RAD
    assert world.wants(coverer) == [("cover", 0)]


def test_the_recogniser_flags_what_may_be_liquidated_and_clears_what_is_safe(world) -> None:
    keeper = world.build_keeper("recogniser", deviation=500, most=10)
    assert world.wants(keeper) == []
    world.set_feed_and_market_price(175)
    brink, edge = (world.run.register_account(name) for name in ("brink", "edge"))
    calls = keeper.decide_calls(world.view, KeeperMemory(), GWEI)
    assert [each.action.args for each in calls] == [(0, brink), (0, edge)]
    flagged = [world.run.apply(each.action).value for each in calls]
    assert sum(flagged) == world.view.sum_deficit_auctions_and_flags(0) and min(flagged) > 100_000 * RAD
    assert world.wants(keeper) == []
    # A liquidation takes its own with it.
    world.liquidate("edge")
    assert world.wants(keeper) == []
    assert world.view.get_flagged_debt_by_vault().keys() == {(0, brink)}
    world.set_feed_and_market_price(250)
    assert world.wants(keeper) == [("flag", 0, brink)]
    (call,) = keeper.decide_calls(world.view, KeeperMemory(), GWEI)
    assert world.run.apply(call.action).value == 0
    assert world.wants(keeper) == [] and not world.view.get_flagged_debt_by_vault()


def test_the_recogniser_needs_a_fresh_price(world) -> None:
    for _ in range(4):
        world.set_feed_and_market_price(100)
    world.run.advance_clock(world.run.system.timestamp + 86_400)
    assert world.wants(world.build_keeper("recogniser")) == []


@pytest.fixture
def saver(world):
    """A member of the savings pool with 10,000."""
    keeper = world.build_keeper("member", "saver", pool="savings", leaves_at=100)
    maker = world.run.register_account("market_maker")
    amount = 10_000 * WAD
    world.run.apply_or_raise("Stablecoin", "transfer", keeper.address, amount, sender=maker)
    world.run.apply_or_raise("Stablecoin", "approve", world.run.at["Savings"], amount, sender=keeper.address)
    world.run.apply_or_raise("Savings", "deposit", amount, keeper.address, sender=keeper.address)
    return keeper


def test_a_member_asks_to_leave_when_a_loss_is_in_sight(world, saver) -> None:
    shares = world.view.get_membership("savings", saver.address).shares
    assert world.wants(saver) == []
    world.run.paths["ETH"][0] = 50 * RAY  # outside; the feed does not know it yet
    assert world.wants(saver) == [("requestRedeem", shares, saver.address, saver.address)]
    (intent,) = saver.decide_calls(world.view, KeeperMemory(), GWEI)
    assert world.run.apply(intent.action).ok
    assert world.wants(saver) == []
    # The crank has the batch cut and settled at the first second at which it may be.
    crank = world.build_keeper("crank")
    for method, seconds in (("cut", 86_400), ("settle", 2 * 86_400 + 600)):
        world.run.advance_clock(world.run.system.timestamp + seconds - 1)
        assert (method,) not in world.wants(crank)
        world.run.advance_clock(world.run.system.timestamp + 1)
        assert (method,) in world.wants(crank)
        world.run.apply_or_raise("Savings", method, sender=crank.address)
    ((method, assets, *others),) = world.wants(saver)
    assert (method, others) == ("withdraw", [saver.address] * 2)
    world.run.apply_or_raise("Savings", "withdraw", assets, *others, sender=saver.address)
    # It was all that the batch was paid, to the wei.
    assert assets and world.run.system.view("Savings", "maxWithdraw", saver.address) == 0
    assert world.wants(saver) == []


def test_the_crank_waits_after_a_fall_and_comes_back(world, saver) -> None:
    world.run.paths["ETH"][0] = 50 * RAY
    (intent,) = saver.decide_calls(world.view, KeeperMemory(), GWEI)
    assert world.run.apply(intent.action).ok
    crank = world.build_keeper("crank")
    world.run.advance_clock(world.run.system.timestamp + 86_400)
    world.run.apply_or_raise("Savings", "cut", sender=crank.address)
    world.run.advance_clock(world.run.system.timestamp + 2 * 86_400 + 600)
    for reporter in (world.run.register_account(f"reporter_{i + 1}") for i in range(4)):
        world.run.apply_or_raise("PriceFeed", "report", 0, 150 * RAY, sender=reporter)
    world.run.apply_or_raise("PriceFeed", "poke", 0, sender=reporter)
    for seconds, wanted in ((0, []), (599, []), (1, [("settle",)])):
        world.run.advance_clock(world.run.system.timestamp + seconds)
        assert [each for each in world.wants(crank) if each == ("settle",)] == wanted
    world.run.apply_or_raise("Savings", "settle", sender=crank.address)


def test_the_crank_has_losses_covered_before_a_batch_is_paid(world, saver) -> None:
    """A pool with a cap by share of its assets pays no withdrawal while it could cover a booked loss."""
    shares = world.view.get_membership("savings", saver.address).shares
    world.run.apply_or_raise(
        "Savings", "requestRedeem", shares // 2, saver.address, saver.address, sender=saver.address
    )
    crank = world.build_keeper("crank")
    world.run.advance_clock(world.run.system.timestamp + 86_400)
    world.run.apply_or_raise("Savings", "cut", sender=crank.address)
    world.run.advance_clock(world.run.system.timestamp + 2 * 86_400)
    lose(world, cover=False)
    world.run.advance_clock(world.run.system.timestamp + 1_200)
    assert world.view.get_deficit(0)
    with pytest.raises(Exception, match="not covered yet"):
        world.run.apply_or_raise("Savings", "settle", sender=crank.address)
    assert [call for call in world.wants(crank) if call[0] in ("cover", "settle")] == [("cover", 0)]
    # Where a cover changes nothing, as that of a pool that fails, the next is tried ten minutes later.
    memory = KeeperMemory()
    memory.record_outcome(("cover", 0), True, world.run.system.timestamp)
    wanted = [each.action.method for each in crank.decide_calls(world.view, memory, GWEI)]
    assert not {"cover", "settle"} & set(wanted)
    world.run.apply_or_raise("LossWaterfall", "cover", 0, sender=crank.address)
    assert [call for call in world.wants(crank) if call[0] in ("cover", "settle")] == [("settle",)]
    # The rest of the losses, which no stage has room for, may take all of the batch: nothing is paid yet.
    with pytest.raises(Exception, match="nothing to settle"):
        world.run.apply_or_raise("Savings", "settle", sender=crank.address)
    assert world.view.list_types_blocking_pool("savings") == []


def test_a_member_who_stays_stays(world, saver) -> None:
    world.run.paths["ETH"][0] = 1 * RAY
    stays = dataclasses.replace(saver, group=dataclasses.replace(saver.group, leaves_at=0))
    assert world.wants(stays) == []
    assert world.wants(world.build_keeper("member", "saver", pool="junior", leaves_at=1)) == []


def test_earlier_stages_calm_a_member(world, saver) -> None:
    """A loss that buffer and reserve can pay is no loss of the pool."""
    world.set_feed_and_market_price(170)
    world.liquidate("edge")
    view = world.view
    (auction,) = view.auctions
    assert estimate_type_and_facilitator_losses(view) == [0, 0, 0]
    world.run.paths["ETH"][0] = 100 * RAY
    view = world.view
    short = auction.principal - auction.lot * 100 * RAY
    brink = next(
        each for each in view.list_vaults_with_debt(0) if each.owner == world.run.register_account("brink")
    )
    assert estimate_type_and_facilitator_losses(view)[0] == short + brink.debt - brink.locked * 90 * RAY
    has = view.get_buffer(0) + view.get_reserve()
    assert estimate_losses_reaching_stage(view, "reserve") == estimate_type_and_facilitator_losses(view)[
        0
    ] - view.get_buffer(0)
    assert (
        estimate_losses_reaching_stage(view, "savings")
        == estimate_type_and_facilitator_losses(view)[0] - has
        > 0
    )
    assert estimate_losses_reaching_stage(view, "junior") == 0


@pytest.fixture
def owned() -> Iterator[KeeperScenario]:
    """The same world with equity at 10, some of it staked; losses go to it at once."""
    path = PricePath({0: 10 * RAY, 6 * 3_600: 10 * RAY}, frozenset(), 0)
    terms = EquityParameters(duration=3_600, surplus_lot=1_000, feed=FeedParameters(step=600, window=600))
    made = KeeperScenario(
        equity_price=path,
        parameters={
            "stages": (StageParameters("staked_equity"), StageParameters("minted_equity")),
            "equity": terms,
            "treasury": TreasuryParameters(target=0),
        },
        members={"staked_equity": {"staker": 50_000 * WAD}},
    )
    yield made
    made.close()


def lose(world: KeeperScenario, cover: bool = True) -> None:
    """Lose a good part of the debt of `edge`, and auction equity for it."""
    world.set_feed_and_market_price(170)
    id = world.liquidate("edge")
    world.set_feed_and_market_price(60)
    world.run.advance_clock(world.run.system.timestamp + 50 * 60)
    maker = world.run.register_account("market_maker")
    lot = world.view.auctions[0].lot
    world.run.apply_or_raise("CollateralAuction", "reset", id, maker, sender=maker)
    world.run.apply_or_raise("CollateralAuction", "take", id, lot, 10**40, maker, b"", sender=maker)
    world.run.apply_or_raise("CollateralAuction", "close", id, sender=maker)
    if cover:
        world.run.apply_or_raise("LossWaterfall", "cover", 0, sender=maker)


def rich(world: KeeperScenario, role: str, amount: int, **options) -> Keeper:
    """Return a keeper with money and with approved spenders."""
    keeper = world.build_keeper(role, **options)
    token, giver = ("Equity", "admin") if role == "surplus_bidder" else ("Stablecoin", "market_maker")
    world.run.apply_or_raise(
        token, "transfer", keeper.address, amount, sender=world.run.register_account(giver)
    )
    for spender in ("StakeAuction", "SurplusAuction"):
        args = (world.run.at[spender], 1 << 255)
        world.run.apply_or_raise(token, "approve", *args, sender=keeper.address)
    return keeper


def test_the_recap_bidder_waits_for_its_discount(owned) -> None:
    keeper = rich(owned, "recap_bidder", 500_000 * WAD, takes_at=9_000)
    assert owned.wants(keeper) == []
    lose(owned)
    (sale,) = owned.view.equity_auctions
    assert (sale.contract, sale.collateral_type, sale.price) == ("StakeAuction", 0, 12 * RAY)
    assert owned.wants(keeper) == []
    owned.run.advance_clock(owned.run.system.timestamp + 30 * 60)  # from 12 to 5 in an hour
    (intent,) = keeper.decide_calls(owned.view, KeeperMemory(), GWEI)
    assert intent.action.contract == "StakeAuction" and intent.action.args[2] == 17 * RAY // 2
    before = owned.view.get_deficit(0)
    assert owned.run.apply(intent.action).ok
    assert owned.view.equity_auctions == [] and owned.view.get_deficit(0) < before // 1_000


def test_the_recap_bidder_leaves_a_rest_that_is_allowed(owned) -> None:
    lose(owned)
    owned.run.advance_clock(owned.run.system.timestamp + 40 * 60)
    target = owned.view.equity_auctions[0].target
    for short in (1, WAD // 2, 10_000 * WAD):
        with owned.run.session.model.fork_state():
            keeper = rich(owned, "recap_bidder", target - short, takes_at=9_000)
            (intent,) = keeper.decide_calls(owned.view, KeeperMemory(), GWEI)
            assert owned.run.system.apply(intent.action).ok
            assert owned.view.equity_auctions[0].target >= WAD


def test_the_crank_ends_a_sale_that_is_over(owned) -> None:
    lose(owned)
    crank = owned.build_keeper("crank")
    owned.run.advance_clock(owned.run.system.timestamp + 3_600)
    assert owned.wants(crank) == []
    owned.run.advance_clock(owned.run.system.timestamp + 1)
    assert owned.wants(crank) == [("end", 0)]
    assert owned.wants(rich(owned, "recap_bidder", 500_000 * WAD)) == []
    (intent,) = crank.decide_calls(owned.view, KeeperMemory(), GWEI)
    assert owned.run.apply(intent.action).ok


def test_the_treasurer_sells_surplus_and_the_bidder_buys_it(owned) -> None:
    treasurer, bidder = owned.build_keeper("treasurer"), rich(owned, "surplus_bidder", 5_000 * WAD)
    assert owned.view.compute_surplus_and_offered_part()[0] > 1_000 * WAD
    assert owned.wants(treasurer) == [("distribute",)]
    (intent,) = treasurer.decide_calls(owned.view, KeeperMemory(), GWEI)
    assert owned.run.apply(intent.action).ok
    assert owned.wants(treasurer) == [("start",)]
    assert owned.wants(bidder) == []
    (intent,) = treasurer.decide_calls(owned.view, KeeperMemory(), GWEI)
    assert owned.run.apply(intent.action).ok
    assert owned.wants(treasurer) == owned.wants(bidder) == []
    owned.run.advance_clock(owned.run.system.timestamp + 40 * 60)
    (intent,) = bidder.decide_calls(owned.view, KeeperMemory(), GWEI)
    before = (
        owned.view.get_unreserved_stablecoins(bidder.address),
        owned.view.get_unreserved_equity(bidder.address),
    )
    assert owned.run.apply(intent.action).ok
    gained = owned.view.get_unreserved_stablecoins(bidder.address) - before[0]
    assert gained > (before[1] - owned.view.get_unreserved_equity(bidder.address)) * 10 > 0


def test_nothing_is_spent_or_bought_while_a_price_has_just_fallen(owned) -> None:
    treasurer, bidder = owned.build_keeper("treasurer"), rich(owned, "surplus_bidder", 5_000 * WAD)
    for _ in range(2):
        (intent,) = treasurer.decide_calls(owned.view, KeeperMemory(), GWEI)
        assert owned.run.apply(intent.action).ok
    owned.run.advance_clock(owned.run.system.timestamp + 40 * 60)
    assert [method for method, *_ in owned.wants(bidder)] == ["take"]
    owned.run.advance_clock(owned.run.system.timestamp + 600)
    for i in range(4):
        reporter = owned.run.register_account(f"reporter_{i + 1}")
        owned.run.apply_or_raise("PriceFeed", "report", 0, 180 * RAY, sender=reporter)
    owned.run.apply_or_raise("PriceFeed", "poke", 0, sender=reporter)
    assert owned.view.timestamp < owned.view.withdrawals_paused_until
    assert owned.wants(treasurer) == owned.wants(bidder) == []


def test_no_income_is_spent_while_a_loss_is_open(owned) -> None:
    lose(owned)
    assert owned.view.compute_unresolved_losses() > 0
    assert owned.wants(owned.build_keeper("treasurer")) == []
    assert owned.wants(rich(owned, "surplus_bidder", 5_000 * WAD)) == []


def test_a_staker_sees_losses_at_the_price_of_equity(owned) -> None:
    staker = owned.build_keeper("member", "staker", pool="staked_equity", leaves_at=1_000)
    owned.run.paths["ETH"][0] = 100 * RAY
    staked = owned.view.get_pool_assets("staked_equity") * 10 * RAY
    seen = estimate_losses_reaching_stage(owned.view, "staked_equity")
    assert 0 < seen < staked
    asks = [call[0] for call in owned.wants(staker)]
    assert asks == (["requestRedeem"] if seen * 10 >= staked else [])
    calm = owned.build_keeper("member", "staker", pool="staked_equity", leaves_at=seen * 10_000 // staked + 1)
    assert owned.wants(calm) == []


@pytest.fixture
def doomed() -> Iterator[KeeperScenario]:
    """A protocol that ends once 1,000 stayed uncovered in two epochs, with losses and an auction open."""
    made = KeeperScenario(
        parameters={"settlement": SettlementParameters(delay=3_600, bound=1_000, epochs=1)},
        members={"savings": {"saver": 10_000 * WAD, "me": 10_000 * WAD}},
    )
    lose(made)
    made.set_feed_and_market_price(100)
    made.liquidate("brink")
    yield made
    made.close()


def carry_out(world: KeeperScenario, keeper: Keeper) -> list[str]:
    """Everything that a keeper wants, until it wants nothing; the methods in order."""
    done = []
    while intents := keeper.decide_calls(world.view, KeeperMemory(), GWEI):
        for intent in intents:
            assert world.run.apply(intent.action).ok, intent
            done.append(intent.action.method)
    return done


def settle(world: KeeperScenario) -> list[str]:
    """Settle with the settler alone; no price is reported while final prices are made."""
    settler = world.build_keeper("settler", most=100)
    methods = carry_out(world, settler)
    for wait in (86_400, FINAL_DEADLINE):
        world.run.advance_clock(world.run.system.timestamp + wait)
        methods += carry_out(world, settler)
    return methods


def test_the_settler_ends_what_stays_uncovered(doomed) -> None:
    supply = doomed.view.get_stablecoin_supply()
    assert settle(doomed) == [
        *("record_deficit_breach", "begin", "unwind", "fix_price", "fix_price", "fix_price"),
        *("skim", "skim", "skim", "cover_last", "fix_redemption_rates"),
    ]
    assert 0 < doomed.view.compute_coin_value() < RAY
    lost = doomed.run.recorder.loss_borne_by_holders
    assert supply * RAY > lost > 1_000 * RAD


def test_the_settler_starts_again_when_losses_are_covered(doomed) -> None:
    settler = doomed.build_keeper("settler")
    assert carry_out(doomed, settler) == ["record_deficit_breach"]
    with doomed.run.session.model.fork_state():
        doomed.run.advance_clock(doomed.run.system.timestamp + 2 * 86_400)
        assert carry_out(doomed, settler) == ["record_deficit_breach"]  # an epoch was missed
        assert doomed.view.settlement.above_since == doomed.run.system.timestamp
    for c in range(3):
        doomed.run.session.model.world.contracts["VaultEngine"].tables["ledger.deficit"][c] = 0
    doomed.run.advance_clock(doomed.run.system.timestamp + 86_400)
    assert carry_out(doomed, settler) == ["record_deficit_breach"]
    assert doomed.view.settlement.above_since == 0


def test_the_settler_begins_what_is_announced(world) -> None:
    settler = world.build_keeper("settler", most=100)
    assert world.wants(settler) == []
    world.run.apply_or_raise("Settlement", "announce", sender=world.run.register_account("admin"))
    assert world.wants(settler) == []
    world.run.advance_clock(world.run.system.timestamp + world.run.scenario.parameters.settlement.delay)
    assert world.wants(settler) == [("begin",)]
    assert carry_out(world, settler) == ["begin"]
    assert not world.wants(settler)
    world.run.advance_clock(world.run.system.timestamp + FINAL_DEADLINE)
    assert carry_out(world, settler)[-1] == "fix_redemption_rates"
    assert world.view.compute_coin_value() > 0


def test_the_settler_waits_for_prices_that_reporters_make(world) -> None:
    settler = world.build_keeper("settler", most=100)
    world.run.apply_or_raise("Settlement", "announce", sender=world.run.register_account("admin"))
    world.run.advance_clock(world.run.system.timestamp + world.run.scenario.parameters.settlement.delay)
    assert carry_out(world, settler) == ["begin"]
    for price in (190, 180):
        world.set_feed_and_market_price(price)
    while not world.wants(settler):
        world.run.advance_clock(world.run.system.timestamp + 600)
        for name in ("reporter_1", "reporter_2", "reporter_3", "poker"):
            role = name.split("_")[0]
            for intent in world.build_keeper(role, name, heartbeat=600).decide_calls(
                world.view, KeeperMemory(), GWEI
            ):
                world.run.apply(intent.action)
    assert world.run.system.timestamp < world.view.settlement.begun_at + 8 * 3_600
    assert set(world.wants(settler)) == {("fix_price", c) for c in world.view.types}


def test_settlement_leaves_other_roles_nothing_but_prices(doomed) -> None:
    groups = {
        role: doomed.build_keeper(role, f"{role}_1", heartbeat=1, capital=1, collateral="ETH")
        for role in ROLES
    }
    assert {"accruer", "coverer"} <= {role for role in ROLES if doomed.wants(groups[role])}
    doomed.run.apply_or_raise("Settlement", "announce", sender=doomed.run.register_account("admin"))
    doomed.run.advance_clock(doomed.run.system.timestamp + 3_600)
    doomed.run.apply_or_raise("Settlement", "begin", sender=doomed.run.register_account("borrower"))
    assert [role for role in ROLES if doomed.wants(groups[role])] == ["poker", "reporter", "settler"]
    doomed.run.advance_clock(doomed.run.system.timestamp + FINAL_DEADLINE)
    for c in doomed.view.types:
        doomed.run.apply_or_raise(
            "Settlement", "fix_price", c, sender=doomed.run.register_account("borrower")
        )
    assert [role for role in ROLES if doomed.wants(groups[role])] == ["settler"]


def test_everybody_redeems_and_cashes(doomed) -> None:
    settle(doomed)
    holder = doomed.build_keeper("liquidator", "other")
    assert doomed.wants(holder) == []
    maker = doomed.run.register_account("market_maker")
    doomed.run.apply_or_raise("Stablecoin", "transfer", holder.address, 1_000 * WAD, sender=maker)
    assert carry_out(doomed, holder) == ["redeem", "cash", "cash"]  # nobody locked bitcoin
    worth = worth_of(doomed.run, holder.address)
    assert abs(worth - 1_000 * doomed.view.compute_coin_value() // 10**9) < WAD
    dust = doomed.build_keeper("poker", "another")
    doomed.run.apply_or_raise("Stablecoin", "transfer", dust.address, WAD // 1_000, sender=maker)
    assert doomed.wants(dust, gas_price=100 * GWEI) == []


def test_members_who_stayed_leave_once_the_books_are_closed(doomed) -> None:
    member = doomed.build_keeper("member", pool="savings")
    assert doomed.wants(member) == []
    settle(doomed)
    ((method, shares, *_),) = doomed.wants(member)
    assert method == "requestRedeem" and shares
    carry_out(doomed, member)
    crank = doomed.build_keeper("crank")
    for method, seconds in (("cut", 86_400), ("settle", 2 * 86_400 + 600)):
        doomed.run.advance_clock(doomed.run.system.timestamp + seconds)
        assert carry_out(doomed, crank) == [method]
    assert carry_out(doomed, member) == ["withdraw", "redeem", "cash", "cash"]


HOUR = 3_600


BREAKER = BreakerParameters((0, 0), (1_000, 2_500), (HOUR, 2 * HOUR), (0, 0), calm_period=HOUR)


@pytest.fixture
def guarded() -> Iterator[KeeperScenario]:
    """Ceilings of ETH follow its debt of about 425,000 at a distance of 100,000; a fall is an emergency."""
    ceiling = AutoCeilingParameters(gap=100_000, max_line=10**6, ttl=HOUR)
    made = KeeperScenario({"guards": GuardsParameters((ceiling,), BREAKER)})
    made.set_feed_and_market_price(200)
    yield made
    made.close()


def draw(world: KeeperScenario, amount: int) -> None:
    """Draw from the vault with the most spare collateral."""
    who = world.run.register_account("safe")
    world.run.apply_or_raise("VaultEngine", "deposit_and_draw", 0, who, 0, amount * WAD, who, sender=who)


def repay(world: KeeperScenario, amount: int) -> None:
    who = world.run.register_account("safe")
    world.run.apply_or_raise("VaultEngine", "repay_and_withdraw", 0, who, amount * WAD, 0, who, sender=who)


def test_a_ceiling_is_raised_when_half_of_its_gap_is_used_up_and_it_may(guarded) -> None:
    keeper = guarded.build_keeper("ceilings")
    # The one of the deployment is far above the debt.
    assert carry_out(guarded, keeper) == ["adjust"]
    assert guarded.view.get_terms(0).debt_ceiling == -(-guarded.view.get_type_debt(0) // RAD) + 100_000
    draw(guarded, 45_000)
    assert guarded.wants(keeper) == []
    draw(guarded, 6_000)
    assert guarded.wants(keeper) == [("adjust", 0)]
    assert carry_out(guarded, keeper) == ["adjust"]
    draw(guarded, 9_000)
    repay(guarded, 9_000)
    guarded.run.apply_or_raise(
        "VaultEngine", "set_debt_ceiling", 0, 480_000, sender=guarded.run.register_account("admin")
    )
    assert guarded.wants(keeper) == []
    guarded.run.advance_clock(guarded.run.system.timestamp + HOUR)
    assert carry_out(guarded, keeper) == ["adjust"]


def test_a_ceiling_is_lowered_when_it_is_half_a_gap_too_high(guarded) -> None:
    keeper = guarded.build_keeper("ceilings")
    draw(guarded, 60_000)
    carry_out(guarded, keeper)
    repay(guarded, 45_000)
    assert guarded.wants(keeper) == []
    repay(guarded, 10_000)
    assert carry_out(guarded, keeper) == ["adjust"]


def test_a_debt_above_the_highest_line_leaves_nothing_to_raise(guarded) -> None:
    admin = guarded.run.register_account("admin")
    guarded.run.apply_or_raise("AutoCeiling", "set_terms", 0, 100_000, 400_000, HOUR, sender=admin)
    assert carry_out(guarded, guarded.build_keeper("ceilings")) == ["adjust"]
    assert guarded.view.get_terms(0).debt_ceiling == 400_000


def test_the_breaker_tells_of_the_worst_trigger_once(guarded) -> None:
    keeper = guarded.build_keeper("breaker")
    assert guarded.wants(keeper) == []
    guarded.set_feed_and_market_price(165)
    # A fall of ether by a sixth.
    assert guarded.wants(keeper) == [("raise_mode", 2, 0)]
    assert carry_out(guarded, keeper) == ["raise_mode"]
    guarded.set_feed_and_market_price(90)
    assert carry_out(guarded, keeper) == ["raise_mode"]
    assert guarded.view.breaker is not None and guarded.view.breaker.mode == 2


def test_the_breaker_waits_for_the_calm(guarded) -> None:
    keeper = guarded.build_keeper("breaker")
    guarded.set_feed_and_market_price(100)
    carry_out(guarded, keeper)
    for _ in range(2):
        guarded.run.advance_clock(guarded.run.system.timestamp + HOUR - 1_200)
        for _ in range(3):
            guarded.set_feed_and_market_price(100)
        assert carry_out(guarded, keeper) == ["lower_mode"]
    assert guarded.wants(keeper) == []


def test_the_breaker_hears_silence_and_sees_what_the_contract_sees(guarded) -> None:
    guarded.run.advance_clock(guarded.run.system.timestamp + 8 * HOUR)
    found = guarded.view.list_active_trigger_levels()
    model = guarded.run.session.model
    assert found and found == sorted(found, key=lambda each: -each[0])
    for trigger in range(1, 5):
        for c in range(3):
            level = model.view("CircuitBreaker", "level_of", trigger, c)
            assert ((level, trigger, c) in found) == (level > 0)
    assert carry_out(guarded, guarded.build_keeper("breaker")) == ["raise_mode"]


def test_without_guards_there_is_nothing_to_do(world) -> None:
    world.set_feed_and_market_price(100)
    for role in ("breaker", "ceilings", "guardian", "caller", "owners", "debtor"):
        assert world.wants(world.build_keeper(role)) == []


def test_a_guardian_does_each_thing_once_it_is_time(guarded) -> None:
    """A halt lasts two days; the mode falls in a calm market, and no step that was done is repeated."""
    start = guarded.run.scenario.start
    schedule = GuardianInstruction(HOUR, halt="ETH"), GuardianInstruction(2 * HOUR, force_mode=1)
    state = KeeperState(guarded.build_keeper("guardian", "guardian", schedule=schedule))
    keeper, memory = state.keeper, state.memory
    give_keeper_capital(guarded.run, state)
    done = []
    for hour in range(6):
        guarded.run.advance_clock(max(guarded.run.system.timestamp, start + hour * HOUR))
        guarded.set_feed_and_market_price(200)
        if guarded.view.breaker.mode and hour > 3:
            guarded.run.apply_or_raise("CircuitBreaker", "lower_mode", sender=keeper.address)
        for intent in keeper.decide_calls(guarded.view, memory, GWEI):
            assert guarded.run.apply(intent.action).ok
            memory.record_outcome(intent.about, True, guarded.view.timestamp)
            done.append((hour, intent.action.method, *intent.action.args))
    assert done == [(1, "set_halted", 0, True), (2, "force_mode", 1)]
    assert guarded.view.breaker.mode == 0
    assert guarded.view.get_liquidation_price(0) == 0 < guarded.view.get_current_price(0)


def test_a_guardian_halts_a_market_once_it_may_again(guarded) -> None:
    state = KeeperState(
        guarded.build_keeper("guardian", "guardian", schedule=(GuardianInstruction(0, halt="ETH"),))
    )
    give_keeper_capital(guarded.run, state)
    # It was halted by another, and the keeper has seen nothing.
    guarded.run.apply_or_raise("PriceFeed", "set_halted", 0, True, sender=state.keeper.address)
    again = guarded.run.system.timestamp + GUARDIAN_HALT + GUARDIAN_PAUSE
    guarded.run.advance_clock(again - 1)
    assert guarded.wants(state.keeper) == []
    guarded.run.advance_clock(again)
    assert guarded.wants(state.keeper, state.memory) == [("set_halted", 0, True)]
    assert carry_out(guarded, state.keeper) == ["set_halted"]
    state.memory.record_outcome(("set_halted", 0), True, again)
    guarded.run.advance_clock(again + GUARDIAN_HALT + GUARDIAN_PAUSE)
    assert guarded.wants(state.keeper, state.memory) == []


def test_a_guardian_leaves_a_mode_alone_that_is_as_high(guarded) -> None:
    state = KeeperState(
        guarded.build_keeper(
            "guardian", schedule=(GuardianInstruction(0, force_mode=1), GuardianInstruction(0, force_mode=2))
        )
    )
    give_keeper_capital(guarded.run, state)
    guarded.set_feed_and_market_price(165)
    assert carry_out(guarded, guarded.build_keeper("breaker")) == ["raise_mode"]
    assert guarded.wants(state.keeper) == [("force_mode", 2)]


@pytest.fixture
def calling() -> Iterator[KeeperScenario]:
    """Vaults are called under 154%, with an hour to answer, and brackets ask more of large ones."""
    policy = PolicyParameters(
        of_vaults=((200_000, 1_000), (0, 0)), call_ratio=15_400, call_grace=HOUR, call_valid=HOUR
    )
    types = load_scenario(SMALL).parameters.collateral_types
    made = KeeperScenario(
        {
            "collateral_types": (dataclasses.replace(types[0], policy=policy), *types[1:]),
            "guards": GuardsParameters(),
        }
    )
    yield made
    made.close()


def test_a_called_vault_is_liquidated_once_it_is_due(calling) -> None:
    keeper, liquidator = calling.build_keeper("caller"), calling.build_keeper("liquidator")
    edge = calling.run.register_account("edge")
    assert calling.wants(keeper) == []
    calling.set_feed_and_market_price(191)
    assert calling.wants(keeper) == [("call", 0, edge)]
    assert carry_out(calling, keeper) == ["call"]
    assert calling.wants(keeper) == calling.wants(liquidator) == []
    calling.run.advance_clock(calling.run.system.timestamp + HOUR)
    assert calling.wants(liquidator) == [("liquidate", 0, edge, liquidator.address)]
    assert carry_out(calling, liquidator) == ["liquidate"]


def test_an_owner_who_answers_meets_the_call(calling) -> None:
    calling.set_feed_and_market_price(191)
    carry_out(calling, calling.build_keeper("caller"))
    assert calling.wants(calling.build_keeper("owners", answers=0)) == []
    keeper = calling.build_keeper("owners")
    assert calling.wants(keeper) == []  # without money
    maker = calling.run.register_account("market_maker")
    calling.run.apply_or_raise("Stablecoin", "transfer", keeper.address, 10_000 * WAD, sender=maker)
    assert carry_out(calling, keeper) == ["repay_and_withdraw"]
    assert calling.view.list_margin_calls(0) == []
    assert calling.view.get_vault(0, calling.run.register_account("edge")).called_at == 0


@pytest.fixture
def restructuring() -> Iterator[KeeperScenario]:
    """The same, with workouts: two instalments, one an hour; the owners let `me` act."""
    types = load_scenario(SMALL).parameters.collateral_types
    policy = PolicyParameters(call_ratio=15_400, call_grace=HOUR, call_valid=HOUR)
    breaker = BreakerParameters(calm_period=HOUR)
    terms = WorkoutParameters(discount=2_000, ratio=11_500, interval=HOUR, cap=300_000)
    made = KeeperScenario(
        {
            "collateral_types": (dataclasses.replace(types[0], policy=policy), *types[1:]),
            "guards": GuardsParameters(breaker=breaker, workouts=(terms,)),
        }
    )
    for owner in ("edge", "safe"):
        args = (made.run.register_account("me"), True)
        made.run.apply_or_raise(
            "VaultEngine", "approve_operator", *args, sender=made.run.register_account(owner)
        )
    made.set_feed_and_market_price(191)
    carry_out(made, made.build_keeper("caller"))
    yield made
    made.close()


def be_cautious(world: KeeperScenario) -> None:
    world.run.apply_or_raise("CircuitBreaker", "force_mode", 1, sender=world.run.register_account("guardian"))


def give_money(world: KeeperScenario, amount: int) -> None:
    maker = world.run.register_account("market_maker")
    world.run.apply_or_raise(
        "Stablecoin", "transfer", world.run.register_account("me"), amount * WAD, sender=maker
    )


def test_a_debtor_enters_in_caution_and_pays_in_time(restructuring) -> None:
    keeper, edge = (
        restructuring.build_keeper("debtor", instalments=2),
        restructuring.run.register_account("edge"),
    )
    give_money(restructuring, 130_000)
    assert restructuring.wants(keeper) == []
    be_cautious(restructuring)
    assert restructuring.wants(restructuring.build_keeper("debtor", answers=0)) == []
    assert restructuring.wants(restructuring.build_keeper("debtor", name="stranger")) == []
    assert restructuring.wants(keeper) == [("enter", 0, edge, 2)]
    assert carry_out(restructuring, keeper) == ["enter"]
    (workout,) = restructuring.view.workouts
    assert restructuring.wants(keeper) == []
    restructuring.run.advance_clock(workout.next_due_time - HOUR // 2)
    assert restructuring.wants(keeper) == [("pay", workout.id, -(-workout.owed // 2))]
    assert carry_out(restructuring, keeper) == ["pay"]
    restructuring.run.advance_clock(workout.next_due_time + HOUR // 2)
    assert carry_out(restructuring, keeper) == ["pay"]
    assert restructuring.view.workouts == []


def test_a_debtor_without_money_lets_it_be_foreclosed(restructuring) -> None:
    keeper, liquidator = (
        restructuring.build_keeper("debtor", instalments=2),
        restructuring.build_keeper("liquidator"),
    )
    be_cautious(restructuring)
    assert restructuring.wants(keeper) == []  # not even the first instalment
    give_money(restructuring, 70_000)
    carry_out(restructuring, keeper)
    (workout,) = restructuring.view.workouts
    restructuring.run.apply_or_raise(
        "Stablecoin",
        "transfer",
        restructuring.run.register_account("safe"),
        70_000 * WAD,
        sender=keeper.address,
    )
    restructuring.run.advance_clock(workout.next_due_time)
    restructuring.set_feed_and_market_price(191)
    assert restructuring.wants(keeper) == []
    assert restructuring.wants(liquidator) == [("foreclose", workout.id, liquidator.address)]
    assert restructuring.wants(liquidator, gas_price=10**15) == []
    assert carry_out(restructuring, liquidator) == ["foreclose"]
    assert [each.id for each in restructuring.view.auctions] == [workout.id]


def test_a_workout_under_its_ratio_is_flagged_and_foreclosed(restructuring) -> None:
    """125,000 of debt against 1,000 ether: 115% at 143.75."""
    be_cautious(restructuring)
    give_money(restructuring, 70_000)
    carry_out(restructuring, restructuring.build_keeper("debtor", instalments=2))
    (workout,) = restructuring.view.workouts
    liquidator, recogniser = (
        restructuring.build_keeper("liquidator"),
        restructuring.build_keeper("recogniser"),
    )
    restructuring.set_feed_and_market_price(145)
    assert ("foreclose", workout.id, liquidator.address) not in restructuring.wants(liquidator)
    for _ in range(4):
        restructuring.set_feed_and_market_price(130)
    assert ("foreclose", workout.id, liquidator.address) in restructuring.wants(liquidator)
    assert ("flag", workout.id) in restructuring.wants(recogniser)
    assert estimate_type_and_facilitator_losses(restructuring.view)[0] > 0


def test_the_settler_unwinds_workouts(restructuring) -> None:
    be_cautious(restructuring)
    give_money(restructuring, 70_000)
    carry_out(restructuring, restructuring.build_keeper("debtor", instalments=2))
    (workout,) = restructuring.view.workouts
    settlement = restructuring.run.scenario.parameters.settlement
    restructuring.run.apply_or_raise(
        "Settlement", "announce", sender=restructuring.run.register_account("admin")
    )
    restructuring.run.advance_clock(restructuring.run.system.timestamp + settlement.delay)
    assert "unwind" in carry_out(restructuring, restructuring.build_keeper("settler", most=20))
    assert restructuring.view.workouts == []
    assert restructuring.view.get_vault(0, workout.owner).locked_collateral


def test_an_owner_uses_a_grace(world) -> None:
    """The owners repay to the initial ratio, and no vault is left to liquidate when the grace is over."""
    admin, keeper = world.run.register_account("admin"), world.build_keeper("owners")
    maker = world.run.register_account("market_maker")
    world.run.apply_or_raise("Stablecoin", "transfer", keeper.address, 100_000 * WAD, sender=maker)
    world.set_feed_and_market_price(187)
    unsafe = [vault.owner for vault in world.view.list_unsafe_vaults(0)]
    assert unsafe and world.wants(keeper) == []
    world.run.apply_or_raise("PriceFeed", "set_halted", 0, True, sender=admin)
    assert [call[2] for call in world.wants(keeper)] == unsafe
    assert set(carry_out(world, keeper)) == {"repay_and_withdraw"}
    world.run.apply_or_raise("PriceFeed", "set_halted", 0, False, sender=admin)
    assert world.view.list_unsafe_vaults(0) == []


def test_liquidators_see_the_margin_of_large_vaults(calling) -> None:
    """240,000 against 2,000 ether: 150% at a price of 180, and 10% of 40,000 more at 182."""
    brink = calling.run.register_account("brink")
    calling.set_feed_and_market_price(181)
    assert ("liquidate", 0, brink) in [each[:3] for each in calling.wants(calling.build_keeper("liquidator"))]
    assert carry_out(calling, calling.build_keeper("liquidator"))


def test_a_borrower_draws_its_capital_bit_by_bit_and_spends_it(world) -> None:
    keeper = world.build_keeper(
        "borrower",
        "anna",
        collateral="ETH",
        capital=60_000 * WAD,
        each=30_000 * WAD,
        ratio=20_000,
        heartbeat=HOUR,
    )
    memory = KeeperMemory()
    give_keeper_collateral(world.run, KeeperState(keeper))
    for _ in range(2):
        drawn = 30_000 * WAD
        (intent,) = keeper.decide_calls(world.view, memory, GWEI)
        assert intent.action.args[2:4] == (2 * drawn * RAY // world.view.get_current_price(0), drawn)
        assert world.run.apply(intent.action).ok
        memory.record_outcome(intent.about, True, world.view.timestamp)
        assert keeper.decide_calls(world.view, memory, GWEI) == []
        world.run.advance_clock(world.run.system.timestamp + HOUR)
    assert keeper.decide_calls(world.view, memory, GWEI) == []


def test_a_borrower_waits_while_it_is_too_dear(world) -> None:
    fee = world.view.get_stability_fee(0)
    assert fee
    for pays, calls in ((fee, 1), (fee - 1, 0), (None, 1)):
        options = {"collateral": "ETH", "capital": WAD, "each": WAD, "ratio": 20_000}
        assert len(world.wants(world.build_keeper("borrower", pays=pays, **options))) == calls


def test_an_exploiter_draws_where_the_feed_is_above_the_market(world) -> None:
    keeper = world.build_keeper(
        "exploiter", collateral="ETH", capital=90_000 * WAD, each=30_000 * WAD, ratio=16_000
    )
    assert world.wants(keeper) == []
    path = world.run.paths["ETH"]
    path[:] = [120 * RAY] * len(path)  # and the feed says 200
    assert [call[0] for call in world.wants(keeper)] == ["deposit_and_draw"]


@pytest.fixture
def bridged() -> Iterator[KeeperScenario]:
    """A facilitator with a line of 100,000."""
    made = KeeperScenario({"facilitators": (FacilitatorParameters("Rollup", 100_000, HOUR),)})
    yield made
    made.close()


def drawn(world: KeeperScenario) -> int:
    """Return the debt of the facilitator [whole stablecoins]."""
    return world.view.facilitators_by_name["Rollup"].debt // RAD


def test_a_bridge_draws_up_to_its_line_and_no_more_than_its_capital(bridged) -> None:
    market = bridged.run.register_account("market_maker")
    keeper = bridged.build_keeper(
        "bridge", "bridge", facilitator="Rollup", capital=250_000 * WAD, each=60_000 * WAD
    )
    for amount in (60_000, 40_000):
        assert bridged.wants(keeper) == [("draw", amount * WAD, market)]
        bridged.run.apply_or_raise("Rollup", "draw", amount * WAD, market, sender=keeper.address)
    assert bridged.wants(keeper) == []
    small = bridged.build_keeper("bridge", "bridge", facilitator="Rollup", capital=100_000 * WAD, each=1)
    assert bridged.wants(small) == []


def test_the_coverer_has_made_good_what_a_stage_missed() -> None:
    """At every heartbeat while no loss is open; and says of a loss that was recovered that it is."""
    made = KeeperScenario(
        {
            "facilitators": (FacilitatorParameters("Rollup", 100_000, HOUR),),
            "stages": (StageParameters("junior"), StageParameters("savings")),
        },
        members={"junior": {"elder": 20_000 * WAD}, "savings": {"saver": 20_000 * WAD}},
    )
    admin, junior = (
        made.run.register_account("admin"),
        made.run.session.model.world.contracts["Junior"].address,
    )
    guardian, coverer = made.run.register_account("guardian"), made.build_keeper("coverer", heartbeat=HOUR)
    made.run.apply_or_raise(
        "Rollup", "draw", 5_000 * WAD, guardian, sender=made.run.register_account("bridge")
    )
    made.run.apply_or_raise("Rollup", "announce_loss", 5_000 * WAD, sender=guardian)
    made.run.advance_clock(made.run.system.timestamp + HOUR)
    made.run.apply_or_raise("Rollup", "realise_loss", sender=guardian)
    made.run.apply_or_raise("VaultEngine", "revoke_role", STAGE, junior, sender=admin)
    assert made.wants(coverer) == [("cover", 3)]
    made.run.apply_or_raise("LossWaterfall", "cover", 3, sender=guardian)
    made.run.apply_or_raise("VaultEngine", "grant_role", STAGE, junior, sender=admin)
    memory = KeeperMemory()
    assert made.wants(coverer, memory) == [("repay_missed_share", 3, 0)]
    memory.done["missed", 3, 0] = made.run.system.timestamp
    assert made.wants(coverer, memory) == []
    made.run.apply_or_raise("LossWaterfall", "repay_missed_share", 3, 0, sender=guardian)
    assert made.wants(coverer) == []
    made.close()


def test_the_guardian_announces_once_and_the_crank_has_it_booked(bridged) -> None:
    guardian = bridged.build_keeper(
        "guardian", "guardian", schedule=(GuardianInstruction(0, announce="Rollup"),)
    )
    bridge = bridged.build_keeper("bridge", "bridge", facilitator="Rollup", capital=WAD, each=WAD)
    crank, coverer = bridged.build_keeper("crank"), bridged.build_keeper("coverer", heartbeat=1)
    assert bridged.wants(guardian) == []
    draw_args = 50_000 * WAD, bridged.run.register_account("market_maker")
    bridged.run.apply_or_raise("Rollup", "draw", *draw_args, sender=bridge.address)
    assert bridged.wants(guardian) == [("announce_loss", 50_000 * WAD)]
    bridged.run.apply_or_raise("Rollup", "announce_loss", 50_000 * WAD, sender=guardian.address)
    assert bridged.wants(guardian) == bridged.wants(bridge) == bridged.wants(crank) == []
    bridged.run.advance_clock(bridged.run.system.timestamp + HOUR)
    assert bridged.wants(crank) == [("realise_loss",)]
    bridged.run.apply_or_raise("Rollup", "realise_loss", sender=crank.address)
    assert drawn(bridged) == 0
    assert bridged.wants(crank) == []
    assert bridged.wants(coverer) == [("cover", 3)]


def test_members_see_what_is_announced(bridged) -> None:
    before = estimate_type_and_facilitator_losses(bridged.view)
    bridge = bridged.run.register_account("bridge")
    bridged.run.apply_or_raise("Rollup", "draw", 50_000 * WAD, bridge, sender=bridge)
    assert estimate_type_and_facilitator_losses(bridged.view) == before
    bridged.run.apply_or_raise(
        "Rollup", "announce_loss", 20_000 * WAD, sender=bridged.run.register_account("guardian")
    )
    assert estimate_type_and_facilitator_losses(bridged.view) == [*before[:-1], 20_000 * RAD]


def test_without_its_facilitator_a_bridge_has_nothing_to_do(world) -> None:
    for group in (
        {"role": "bridge", "facilitator": "Rollup", "capital": WAD, "each": WAD},
        {"role": "guardian", "schedule": (GuardianInstruction(0, announce="Rollup"),)},
    ):
        assert world.wants(world.build_keeper(**group)) == []


def test_a_reporter_refuses_what_is_at_its_bound(world) -> None:
    path = world.run.sources["ETH"]
    path[:] = [90 * RAY] * len(path)
    for bound, reported in ((89, [0]), (90, []), (0, [0])):
        keeper = world.build_keeper("reporter", "reporter_1", heartbeat=86_400, refuses_at=bound * RAY)
        assert [call[1] for call in world.wants(keeper)] == reported


def test_a_keeper_backs_off_after_failures() -> None:
    memory, about = KeeperMemory(), ("take", 1)
    assert memory.can_retry(about, CALM)
    memory.record_outcome(about, False, CALM)
    assert not memory.can_retry(about, CALM + 60)
    assert memory.can_retry(about, CALM + 61)
    memory.record_outcome(about, False, CALM + 61)
    assert not memory.can_retry(about, CALM + 61 + 120)
    assert memory.can_retry(about, CALM + 61 + 121)
    memory.record_outcome(about, True, CALM + 200)
    assert memory.can_retry(about, CALM + 200)
    assert memory.get_seconds_since_success(about, CALM + 260) == 60


def test_no_more_than_the_most(world) -> None:
    world.set_feed_and_market_price(150)
    assert len(world.wants(world.build_keeper("liquidator", most=1))) == 1


# ------------------------------------------------------------------------------ memory


def test_a_failure_holds_up_for_a_while_unless_it_is_yet_to_come() -> None:
    """A failure from the future does not hold up: it may have been recorded with a wrong time."""
    memory, about = KeeperMemory(), ("take", 1)
    assert memory.can_retry(about, 0)
    memory.record_outcome(about, False, 1_000)
    assert [memory.can_retry(about, at) for at in (999, 1_000, 1_060, 1_061)] == [True, False, False, True]
    memory.record_outcome(about, False, 1_061)
    assert [memory.can_retry(about, at) for at in (1_060, 1_061, 1_181, 1_182)] == [True, False, False, True]


def test_a_success_counts_from_when_it_was_unless_it_is_yet_to_come() -> None:
    memory, about = KeeperMemory(), ("accrue", 0)
    assert memory.get_seconds_since_success(about, 1_000) > 10**9
    memory.record_outcome(about, True, 1_000)
    assert [memory.get_seconds_since_success(about, at) for at in (1_000, 1_005)] == [0, 5]
    assert memory.get_seconds_since_success(about, 999) > 10**9
