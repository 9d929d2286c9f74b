"""A hostile member makes the moves of its plan, once each, and its books count its takings from others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backstop.keepers.keeper_group_settings import AttackMove
from backstop.model.arithmetic import WAD
from backstop.simulation.scenario import Scenario, load_scenario
from backstop.simulation.scenario.draw_scenario import draw_scenario
from backstop.simulation.scenario.scenario_records import PricePath
from backstop.simulation.simulator import RunResult, simulate
from backstop.studies.attack.candidate_evaluation import CandidateRunner
from tests.support.checkout_paths import DATA

MINUTE = 60


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return draw_scenario(load_scenario(DATA / "attack" / "hostile.yaml"), 1, 0)


def planned(scenario: Scenario, *moves: AttackMove) -> Scenario:
    keepers = (
        replace(group, plan=moves) if group.role == "attacker" else group for group in scenario.keepers
    )
    return replace(scenario, keepers=tuple(keepers))


def priced(scenario: Scenario, at: int, factor: int, of: int = 100) -> Scenario:
    """ETH stands still, and from a time on at so many parts of its price: per cent, or of others."""
    first = scenario.prices["ETH"].points[0]
    times = range(0, scenario.duration + 1, scenario.block_time)
    path = PricePath({t: first * (factor if t >= at else of) // of for t in times}, frozenset(), 0)
    return replace(scenario, prices={**scenario.prices, "ETH": path}, feed_prices={})


def calls(result: RunResult) -> list[tuple[int, str]]:
    """Return the attacker's successful calls from the start on: minutes and method."""
    start = result.summary["started_at"]
    return [
        ((row[1] - start) // MINUTE, row[3])
        for row in result.tables["actions"]
        if row[6] == "stranger" and row[7] and row[1] >= start
    ]


def gain(scenario: Scenario) -> int:
    """Return the worth of the moves to the attacker: without them it has lost something with the pool."""
    trials = CandidateRunner(scenario, 1, on_bytecode=False)
    return sum(
        sign * trials.play_scenario(each).profits["stranger"]
        for sign, each in ((1, scenario), (-1, planned(scenario)))
    )


def test_each_move_is_made_once_at_its_time_or_as_soon_as_it_can_be(scenario) -> None:
    moves = (
        AttackMove(5 * MINUTE, "leave"),  # nothing is paid within the day
        AttackMove(10 * MINUTE, "ask", 5_000),
        AttackMove(10 * MINUTE, "enter", 1_000),
        AttackMove(30 * MINUTE, "ask"),
        AttackMove(40 * MINUTE, "donate", 1_000),
        AttackMove(40 * MINUTE, "draw"),
        AttackMove(50 * MINUTE, "repay"),
    )
    result = simulate(planned(priced(scenario, 0, 100), *moves), "revm")
    assert result.summary["differences"] == 0
    assert calls(result) == [
        (15, "requestRedeem"),
        (15, "deposit"),
        (35, "requestRedeem"),
        (45, "add_income"),
        (45, "deposit_and_draw"),
        (55, "repay_and_withdraw"),
    ]


def quiet(scenario: Scenario, *roles: str) -> Scenario:
    """Keep only the attacker, which reports prices, and these roles."""
    kept = ("attacker", "reporter", "poker", *roles)
    return replace(scenario, keepers=tuple(group for group in scenario.keepers if group.role in kept))


def test_it_liquidates_itself_buys_and_resets(scenario) -> None:
    moves = (AttackMove(0, "draw"), *(AttackMove(15 * MINUTE, do) for do in ("liquidate", "buy", "reset")))
    result = simulate(planned(priced(quiet(scenario), 10 * MINUTE, 55), *moves), "revm")
    assert [method for _, method in calls(result)] == ["deposit_and_draw", "liquidate", "take", "reset"]


def test_it_has_deficits_covered(scenario) -> None:
    """It covers once another account has closed an auction without buyers."""
    moves = (AttackMove(0, "draw"), AttackMove(15 * MINUTE, "liquidate"), AttackMove(20 * MINUTE, "cover"))
    crashed = priced(quiet(scenario, "crank"), 10 * MINUTE, 1, of=100_000)
    result = simulate(planned(crashed, *moves), "revm")
    assert [method for _, method in calls(result)] == ["deposit_and_draw", "liquidate", "cover"]


@pytest.mark.parametrize("factor", [80, 100, 130])
def test_prices_alone_earn_nothing(scenario, factor) -> None:
    """A loan that is drawn and repaid costs its gas and its fees, at any price."""
    safe = replace(
        scenario,
        keepers=tuple(
            replace(group, ratio=40_000) if group.role == "attacker" else group for group in scenario.keepers
        ),
    )
    made = planned(
        priced(safe, 30 * MINUTE, factor), AttackMove(5 * MINUTE, "draw"), AttackMove(60 * MINUTE, "repay")
    )
    assert -500 * WAD < gain(made) < 0
    kept = planned(priced(safe, 30 * MINUTE, factor), AttackMove(5 * MINUTE, "draw"))
    assert -500 * WAD < gain(kept) < 0


def test_walking_away_from_a_vault_under_water_earns_what_is_missing(scenario) -> None:
    """Drawn just before the end: 151% locked, of which 50% are left."""
    end = scenario.duration
    made = planned(priced(scenario, end, 50), AttackMove(end - 10 * MINUTE, "draw"))
    (group,) = (group for group in scenario.keepers if group.role == "attacker")
    missing = group.each - group.each * 151 * 50 // 10_000
    assert missing - 500 * WAD < gain(made) <= missing
