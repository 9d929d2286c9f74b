"""Markets with depth that falls with the price: refills on the model, and the fast engine on equal paths."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random

import numpy as np
import pytest

from backstop.model.arithmetic import WAD
from backstop.simulation.scenario import load_scenario
from backstop.simulation.scenario.depth_after_fall import compute_depth_after_fall, count_window_blocks
from backstop.simulation.scenario.draw_scenario import convert_ticks_to_rays, draw_path_outcomes
from backstop.simulation.scenario.scenario_random_processes import PriceJumps
from backstop.simulation.scenario.scenario_records import DepthAfterFall, Scenario
from backstop.simulation.scenario_run_state import ScenarioRun
from backstop.studies.stress.engine_agreement import run_both_engines
from backstop.studies.stress.fast import FastEngine
from backstop.studies.stress.fast.scenario_tables import ScenarioTables
from tests.support.checkout_paths import DATA
from tests.support.keeper_scenario import KeeperScenario

MILLION = 10**6
HALF_GONE = DepthAfterFall(within=1_800, fall=1_000, depth=5_000)


def thin(scenario: Scenario, rule: DepthAfterFall | None, *symbols: str) -> Scenario:
    markets = {
        symbol: replace(market, depth_after_fall=rule if symbol in (symbols or (symbol,)) else None)
        for symbol, market in scenario.markets.items()
    }
    return replace(scenario, markets=markets)


@pytest.fixture(scope="module")
def small() -> Scenario:
    return load_scenario(DATA / "stress" / "small.yaml")


class Course:
    """A run of which the test says the price of ETH at each visit, and when it is visited."""

    def __init__(self, run: ScenarioRun) -> None:
        self.run = run
        self.every = run.scenario.markets["ETH"].every
        self.step = self.every // run.scenario.block_time
        self.paths = run.paths["ETH"][: run.block + 1]

    def visit(self, price: int) -> tuple[int, int, int]:
        """Return the market's stablecoins and virtual reserve after the visit, and the maker's balance,
        whole.
        """
        run = self.run
        self.paths += [price] * self.step
        run.paths["ETH"] = self.paths
        run.block += self.step
        run.now = run.block * run.scenario.block_time
        run.advance_clock(run.scenario.start + run.now)
        run.rebalance_local_markets(run.now)
        pool = run.build_keeper_view().find_constant_product_pool(0)
        assert pool is not None
        money = run.get_stablecoin_balance(run.register_account("market_maker"))
        return pool.stable // WAD, pool.virtual // WAD, money // WAD


@pytest.fixture
def course() -> Iterator[Course]:
    crowd = KeeperScenario()
    day = thin(crowd.run.scenario, HALF_GONE, "ETH")
    # A gap closes at one visit.
    markets = {symbol: replace(market, recovery=market.every) for symbol, market in day.markets.items()}
    crowd.run.scenario = replace(day, markets=markets)
    yield Course(crowd.run)
    crowd.close()


def test_a_market_thins_out_and_its_money_goes_back_to_the_maker(course) -> None:
    first = course.paths[-1]
    _, _, before = course.visit(first)
    stable, virtual, money = course.visit(first * 95 // 100)
    assert (stable, virtual, money) == (375_000, 0, before + 125_000)
    assert course.visit(first * 90 // 100)[0] == 250_000
    assert course.visit(first * 80 // 100)[0] == 250_000


def test_a_market_that_has_stood_still_for_the_window_is_whole_again(course) -> None:
    """At the first visit at which the high is more than half an hour ago, though there is no gap to close."""
    first = course.paths[-1]
    low, visits = first * 90 // 100, HALF_GONE.within // course.every
    depths = [course.visit(low)[0] for _ in range(visits + 2)]
    assert depths == [250_000] * visits + [500_000] * 2


def test_a_market_without_the_entry_is_not_refilled_without_a_gap(course) -> None:
    first = course.paths[-1]
    course.visit(first * 90 // 100)
    markets = course.run.scenario.markets
    steady = replace(markets["ETH"], depth_after_fall=None)
    course.run.scenario = replace(course.run.scenario, markets={**markets, "ETH": steady})
    course.visit(first * 80 // 100)
    halved = replace(steady, depth=steady.depth // 2)
    course.run.scenario = replace(course.run.scenario, markets={**markets, "ETH": halved})
    assert course.visit(first * 80 // 100)[0] == 500_000


@pytest.mark.parametrize("within", [300, 1_500, 3_600, 86_400])
def test_the_fast_engine_has_the_depths_of_the_exact_one(small, within) -> None:
    random = Random(within)
    rule = DepthAfterFall(within, random.randrange(100, 2_000), random.randrange(1_000, 9_000))
    day = thin(small, rule, "ETH")
    chosen = draw_path_outcomes(day, 1, 3)
    depths = ScenarioTables.from_scenario(day, 1).build_path_conditions(chosen).depths
    prices, market = convert_ticks_to_rays(chosen.prices["ETH"]), day.markets["ETH"]
    span = count_window_blocks(market, day.block_time)
    standing = prices + prices[-1:] * span  # after the end
    exact = [
        compute_depth_after_fall(market, standing[max(0, block - span) : block + 1])
        for block in range(len(standing))
    ]
    assert depths[0] == pytest.approx([each / WAD for each in exact], rel=1e-12)
    assert depths[0].min() < 0.9 * market.depth / WAD and depths[0][-1] == market.depth / WAD
    assert (depths[1] == day.markets["WBTC"].depth / WAD).all()


def test_a_scenario_without_the_entry_has_one_column_of_depths(small) -> None:
    tables = ScenarioTables.from_scenario(small, 1)
    assert tables.build_path_conditions(draw_path_outcomes(small, 1, 0)).depths.shape == (2, 1)


def named(rows, scenario):
    return {name: rows[:, i] for i, name in enumerate(FastEngine(scenario, 1).columns.names)}


def test_both_engines_lose_more_where_markets_thin_out(small) -> None:
    """Prices drop in steps, and there are few buyers but the markets, so that these decide the loss."""
    falling = PriceJumps(every=1_800, mean=-50_000_000, deviation=20_000_000, cause="market")
    deep = replace(
        small,
        prices={
            name: replace(path, model=replace(path.model, jumps=falling))
            for name, path in small.prices.items()
        },
        markets={name: replace(each, depth=4 * each.depth) for name, each in small.markets.items()},
        keepers=tuple(replace(group, capital=group.capital // 20) for group in small.keepers),
    )
    thinning = thin(deep, DepthAfterFall(within=3_600, fall=1_500, depth=2_000))
    exact, fast = (named(rows, thinning) for rows in run_both_engines(thinning, 1, 12))
    kept = named(FastEngine(deep, 1).run_paths(0, 12), deep)
    for name, most in {"liquidations": 0.03, "liquidated_debt": 0.01, "bad_debt": 0.02}.items():
        assert np.abs(fast[name] - exact[name]).mean() <= most * exact[name].mean(), name
    assert exact["bad_debt"].sum() > 1.1 * kept["bad_debt"].sum() > 0


def test_a_market_that_keeps_all_of_its_depth_loses_what_one_without_the_entry_does(small) -> None:
    """Where it is refilled for its depth alone, it moves by less than its tolerance."""
    whole = thin(small, DepthAfterFall(within=3_600, fall=1_000, depth=10_000))
    rows = [named(FastEngine(day, 1).run_paths(0, 40), day)["bad_debt"].mean() for day in (whole, small)]
    assert rows[0] == pytest.approx(rows[1], rel=0.02)


def test_less_depth_loses_more(small) -> None:
    lost = [
        named(FastEngine(day, 1).run_paths(0, 60), day)["bad_debt"].mean()
        for day in (thin(small, DepthAfterFall(3_600, 1_000, depth)) for depth in (10_000, 5_000, 1_000))
    ]
    assert lost[0] < lost[1] < lost[2]


def test_the_price_in_dollars_decides_and_not_that_of_a_scarce_stablecoin(small) -> None:
    """A dearer stablecoin makes coins cheaper in it: that alone is no price drop."""
    scarce = replace(thin(small, HALF_GONE), scarcity=10_000)
    exact, fast = (named(rows, scarce) for rows in run_both_engines(scarce, 1, 6))
    assert np.abs(fast["bad_debt"] - exact["bad_debt"]).mean() <= 0.02 * exact["bad_debt"].mean()
    assert exact["bad_debt"].max() > 10_000 * MILLION
