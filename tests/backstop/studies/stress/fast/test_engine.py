"""The fast engine equals the exact one, path by path, and lists the facts that it does not know."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backstop.deployment.parameter_dataclasses import (
    FacilitatorParameters,
    MarginParameters,
    PerpetualParameters,
    PoolParameters,
    StageParameters,
)
from backstop.errors import BackstopError
from backstop.hosts.world_storage_json import RawState
from backstop.keepers.keeper_group_settings import GasPolicy, KeeperGroup
from backstop.model.arithmetic import RAY, WAD
from backstop.simulation.scenario import load_scenario
from backstop.simulation.scenario.scenario_records import GeneratedBook, OpeningState, Vault
from backstop.studies.stress.columns import NEVER
from backstop.studies.stress.engine_agreement import COLUMNS, measure_agreement, run_both_engines
from backstop.studies.stress.fast import FastEngine, fast_engine
from tests.support.severe_day import DAY, KEEPERS, MILLION, build_severe_day, map_columns


@pytest.mark.deep(brief="tests/backstop/studies/stress/fast/test_engine.py::test_a_run_empties_a_pool")
def test_random_scenarios_agree() -> None:
    """The figures that docs/explanation/fast-engine-accuracy.md states, with room for a smaller sample."""
    found = {each.column: each for each in measure_agreement(scenarios=8, paths=4, seed=11)}
    assert tuple(found) == COLUMNS
    assert found["liquidations"].exact > 5 and found["bad_debt"].exact > 10_000 * MILLION
    for name, most in {
        "liquidated_debt": 0.01,
        "bad_debt": 0.04,
        "covered": 0.06,
        "lowest_ratio": 0.001,
    }.items():
        assert found[name].error < most, found[name]
    assert found["liquidations"].equal > 0.8


@pytest.mark.deep(brief="tests/backstop/studies/stress/fast/test_engine.py::test_a_run_empties_a_pool")
def test_a_day_of_the_library_agrees() -> None:
    day = load_scenario("black-thursday")
    exact, fast = (map_columns(rows, day) for rows in run_both_engines(day, 3, 2))
    for name in ("liquidations", "liquidated_debt", "bad_debt", "covered_buffer", "lowest_ratio"):
        assert fast[name] == pytest.approx(exact[name], rel=0.1)
        assert fast[name].sum() == pytest.approx(exact[name].sum(), rel=0.05)
    assert exact["bad_debt"].min() > 800_000 * MILLION


def test_every_column_adds_up() -> None:
    scenario = build_severe_day()
    rows = map_columns(FastEngine(scenario, 1).run_paths(0, 12), scenario)
    paid = sum(rows[name] for name in rows if name.startswith("covered_") and name != "covered_at")
    assert rows["path"].tolist() == list(range(12))
    assert (abs(rows["bad_debt"] - paid - rows["outstanding"]) <= 6).all()
    assert (abs(rows["bad_debt"] - rows["bad_debt_ETH"] - rows["bad_debt_WBTC"]) <= 2).all()
    lost = rows["bad_debt"] > 0
    assert lost.any() and not lost.all()
    assert ((rows["first_loss_at"] != NEVER) == lost).all()
    assert ((rows["covered_at"] != NEVER) == (lost & (rows["outstanding"] == 0))).all()
    assert (rows["liquidated_debt"] >= rows["bad_debt"]).all()


def test_a_path_does_not_depend_on_those_before() -> None:
    scenario = build_severe_day()
    together = FastEngine(scenario, 2).run_paths(0, 8)
    apart = FastEngine(scenario, 2)
    assert np.array_equal(np.array([apart.run_one_path(path) for path in (5, 1, 5)]), together[[5, 1, 5]])
    assert not np.array_equal(FastEngine(scenario, 3).run_paths(0, 8), together)


def test_more_auctions_than_there_is_room_for(monkeypatch) -> None:
    scenario = build_severe_day()
    plenty = FastEngine(scenario, 1).run_paths(0, 3)
    monkeypatch.setattr(fast_engine, "ROOM", 1)
    short = FastEngine(scenario, 1)
    assert np.array_equal(short.run_paths(0, 3), plenty)
    assert len(short.auctions) > 1


def test_a_run_empties_a_pool() -> None:
    """Members that ran before the loss pay nothing; the others pay more."""
    pool = PoolParameters(cooldown=600)
    stages = (StageParameters("savings", cap_bps=1_000),)
    parameters = replace(DAY.parameters, savings=pool, stages=stages)
    runner = KeeperGroup(
        "runner", "member", 1, GasPolicy(fixed=10**12), capital=9 * MILLION * WAD, pool="savings", runs=60
    )
    scenario = replace(build_severe_day(), parameters=parameters, keepers=(*KEEPERS, runner))
    exact, fast = (map_columns(rows, scenario) for rows in run_both_engines(scenario, 1, 6))
    stayed = replace(scenario, keepers=(*KEEPERS, replace(runner, runs=0)))
    calm = map_columns(FastEngine(stayed, 1).run_paths(0, 6), stayed)
    assert exact["covered_savings"].max() > 0
    assert (calm["covered_savings"] > 2 * fast["covered_savings"]).any()
    assert fast["covered_savings"] == pytest.approx(exact["covered_savings"], rel=0.05, abs=1_000 * MILLION)


def test_a_scarce_stablecoin_makes_losses_larger() -> None:
    dear = build_severe_day(scarcity=10_000)
    exact, fast = (map_columns(rows, dear) for rows in run_both_engines(dear, 1, 4))
    cheap = map_columns(FastEngine(build_severe_day(), 1).run_paths(0, 4), build_severe_day())
    assert fast["bad_debt"] == pytest.approx(exact["bad_debt"], rel=0.05, abs=1_000 * MILLION)
    assert fast["bad_debt"].sum() > 1.05 * cheap["bad_debt"].sum()


def test_no_keepers_no_liquidations() -> None:
    idle = replace(
        build_severe_day(), keepers=tuple(group for group in KEEPERS if group.role != "liquidator")
    )
    rows = map_columns(FastEngine(idle, 1).run_paths(0, 4), idle)
    assert not rows["liquidations"].any() and not rows["bad_debt"].any()
    assert (rows["lowest_ratio"] > 10_000).all()


@pytest.mark.parametrize(
    ("scenario", "what"),
    [
        ("crv-squeeze", "keepers of the role borrower"),
        ("xusd-hard-coded", "keepers of the role exploiter"),
        ("nomad-bridge", "keepers of the role bridge"),
    ],
)
def test_what_it_does_not_know_is_refused(scenario, what) -> None:
    with pytest.raises(BackstopError) as caught:
        FastEngine(load_scenario(scenario), 1)
    assert str(caught.value) == f"the fast engine does not know {what}: take the exact one"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"book_total": 1_500 * MILLION * WAD}, "their ceiling is 600,000,000"),
        ({"keepers": DAY.keepers, "book_total": 30 * MILLION * WAD}, "keepers' capital take 31,000,000"),
    ],
)
def test_a_book_that_does_not_fit_is_refused(changes, message) -> None:
    with pytest.raises(BackstopError, match=f"^the scenario does not fit: .*{message}$"):
        FastEngine(replace(build_severe_day(), **changes), 1)


def test_what_a_run_may_begin_with_is_refused() -> None:
    parameters = replace(
        DAY.parameters, facilitators=(FacilitatorParameters("Rollup", line=10**6, delay=86_400),)
    )
    market = replace(DAY.parameters, margin=MarginParameters((PerpetualParameters("ETH", WAD),)))
    naive = replace(DAY.parameters, waterfall_contract="CalendarCapWaterfall")
    for changes, what in (
        ({"parameters": parameters}, "facilitators"),
        ({"parameters": naive}, "contracts with naive rules"),
        ({"parameters": market}, "margin markets"),
        ({"opening": OpeningState(DAY.start, RawState({}))}, "states that a run begins with"),
    ):
        with pytest.raises(BackstopError, match=f"^the fast engine does not know {what}: take the exact"):
            FastEngine(replace(DAY, **changes), 1)


def test_guards_are_refused() -> None:
    types = DAY.parameters.collateral_types
    guarded = replace(types[0], feed=replace(types[0].feed, deviation=1_000))
    parameters = replace(DAY.parameters, collateral_types=(guarded, types[1]))
    with pytest.raises(BackstopError, match="does not know guards of the feed of ETH: take the exact one"):
        FastEngine(replace(DAY, parameters=parameters), 1)


def test_a_book_of_many_vaults_costs_no_more_than_its_liquidations() -> None:
    """Vaults to which nothing happens cost nothing: a quiet book fifty times as large is not much slower."""
    from time import thread_time

    safe = GeneratedBook(4_000, (20_000 * WAD, 30_000 * WAD), (90_000, 95_000))
    small = build_severe_day()
    large = replace(small, generated={symbol: safe for symbol in DAY.symbols})
    few, many = FastEngine(small, 1), FastEngine(large, 1)
    seconds = []
    for fast in (few, many):
        fast.run_paths(0, 2)
        began = thread_time()
        rows = fast.run_paths(0, 20)
        seconds.append(thread_time() - began)
    assert not rows[:, 1].any()
    assert seconds[1] < 10 * seconds[0]


@pytest.mark.parametrize(("more", "sold"), [(-1, 1), (0, 0), (1, 0)])
def test_a_wei_decides_at_the_liquidation_ratio(more, sold) -> None:
    """Floats cannot tell the sides apart; books of others have many rows right there."""
    price = DAY.prices["ETH"].points[0]
    ratio = DAY.parameters.collateral_types[0].liquidation_ratio
    debt = 123_457 * WAD
    border = -(-debt * RAY * ratio // (price * 10_000))
    book = (
        Vault("edge", "ETH", border + more, debt),
        Vault("rest", "ETH", 100_000 * WAD, 50_000_000 * WAD),
    )
    types = tuple(replace(each, stability_fee=0) for each in DAY.parameters.collateral_types)
    still = replace(
        build_severe_day(parameters=replace(DAY.parameters, collateral_types=types)),
        generated={},
        vaults=book,
        book_total=0,
        opened_at={"ETH": 2 * price},
        prices={
            symbol: replace(
                path, model=None, volatility=0, points=dict.fromkeys((0, DAY.duration), path.points[0])
            )
            for symbol, path in DAY.prices.items()
        },
        faults={},
    )
    still = replace(still, keepers=tuple(replace(group, noise=0) for group in still.keepers))
    exact, fast = (map_columns(rows, still) for rows in run_both_engines(still, 1, 1))
    assert exact["liquidations"].tolist() == fast["liquidations"].tolist() == [sold]


def test_vaults_are_ranked_by_the_addresses_of_their_owners() -> None:
    tables = fast_engine.ScenarioTables.from_scenario(DAY, 1)
    types, locked, debt = np.array([1, 0, 1]), np.array([50.0, 50.0, 10.0]), np.array([2.0, 1.0, 3.0])
    given = replace(DAY, members={}, keepers=tuple(replace(each, capital=0) for each in DAY.keepers))
    owners = [9, 2**159, 7]
    made = tables.from_vaults(replace(given, reserve=0), 1, types, locked, debt, owners)
    assert made.vaults["debt"].round().tolist() == [1, 3, 2]  # with fees from before the start
    assert made.vaults["rank"].tolist() == [2, 0, 1]


def test_what_nobody_buys_is_unsold_at_the_end() -> None:
    scenario = build_severe_day()
    selling = tuple(each for each in scenario.keepers if each.role not in ("flash_taker", "bidder", "crank"))
    rows = map_columns(FastEngine(replace(scenario, keepers=selling), 1).run_paths(0, 3), scenario)
    assert rows["liquidated_debt"].min() > 0
    assert (rows["unsold"] >= rows["liquidated_debt"] - 1).all()
