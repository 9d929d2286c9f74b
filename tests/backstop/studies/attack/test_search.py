"""A search beats chance, resumes without a trace, and its points keep to the budget."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from backstop.errors import BackstopError
from backstop.simulation.progress_and_interruption import RunInterruptedError
from backstop.simulation.scenario import Scenario
from backstop.simulation.scenario.draw_scenario import draw_scenario
from backstop.studies.attack.adversary_budget import Budget, load_scenario_and_adversary_budget
from backstop.studies.attack.cma_es import SearchDistribution, sort_by_score
from backstop.studies.attack.search_space import SearchSpace
from backstop.studies.attack.worst_case_search import Task, WorstCaseSearch
from tests.support.checkout_paths import DATA

SMALL = str(DATA / "stress" / "small.yaml")
GENERATIONS = 10


@pytest.fixture(scope="module")
def loaded() -> tuple[Scenario, Budget]:
    scenario, _, budget = load_scenario_and_adversary_budget(SMALL, "day-in-a-thousand")
    return scenario, budget


def task(loaded: tuple[Scenario, Budget], method: str = "evolution", population: int = 12) -> Task:
    return Task(*loaded, "loss", 1, 0, method, population, "model")


# ------------------------------------------------------------------------ search


@pytest.mark.deep(
    brief="tests/backstop/studies/attack/test_search.py::test_another_search_is_not_gone_on_with"
)
def test_it_finds_more_than_as_many_paths_at_random(loaded, tmp_path) -> None:
    found = {}
    for method in ("random", "evolution"):
        search = WorstCaseSearch.open_or_resume(task(loaded, method), tmp_path / method)
        _, trial = search.run_generations(GENERATIONS)
        found[method] = trial.outcome.unpaid_loss
        # What it returns is the worst of all that it has seen.
        assert trial.outcome.unpaid_loss == max(int(row["best_wad"]) for row in search.history)
    assert found["evolution"] > 1.2 * found["random"] > 0


@pytest.mark.deep(
    brief="tests/backstop/studies/attack/test_search.py::test_another_search_is_not_gone_on_with"
)
def test_interrupted_and_gone_on_with_is_undisturbed(loaded, tmp_path) -> None:
    whole = WorstCaseSearch.open_or_resume(task(loaded, population=6), tmp_path / "whole")
    whole.run_generations(4)
    calls = iter(range(100))
    parts = WorstCaseSearch.open_or_resume(task(loaded, population=6), tmp_path / "parts")
    with pytest.raises(RunInterruptedError, match="2 of 4 generations are kept"):
        parts.run_generations(4, stop=lambda: next(calls) >= 15)
    WorstCaseSearch.open_or_resume(task(loaded, population=6), tmp_path / "parts").run_generations(4)
    for name in ("attack.json", "progress.json"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert len(json.loads((tmp_path / "whole" / "progress.json").read_text())["history"]) == 4


def test_another_search_is_not_gone_on_with(loaded, tmp_path) -> None:
    WorstCaseSearch.open_or_resume(task(loaded), tmp_path)
    with pytest.raises(BackstopError, match="was made with seed 1, not 2, another content of scenario and"):
        WorstCaseSearch.open_or_resume(replace(task(loaded), seed=2), tmp_path)


def test_what_another_version_has_learned_is_not_gone_on_with(loaded, tmp_path) -> None:
    WorstCaseSearch.open_or_resume(task(loaded, population=6), tmp_path).run_generations(1)
    for name in ("progress.json", "attack.json"):
        file = tmp_path / name
        file.write_text(json.dumps({**json.loads(file.read_text()), "schema_version": 1}))
        with pytest.raises(BackstopError) as refused:
            WorstCaseSearch.open_or_resume(task(loaded, population=6), tmp_path)
        assert str(refused.value) == (
            f"{file} has schema version 1, this program reads 2: start in another folder"
        )


def test_nobody_gains_without_hostile_members(loaded, tmp_path) -> None:
    with pytest.raises(BackstopError, match="--goal gain: neither"):
        WorstCaseSearch.open_or_resume(replace(task(loaded), goal="gain"), tmp_path)


# ------------------------------------------------------------------------- space


@pytest.fixture(scope="module")
def space(loaded) -> SearchSpace:
    return SearchSpace(loaded[0], loaded[1], 1, 0)


def test_sizes_together_stay_within_the_radius(space) -> None:
    assert space.budget.max_distance_in_standard_deviations == pytest.approx(3.0902, abs=1e-4)
    for value in (1.0, 5.0):
        far = space.build_candidate([value] * len(space.names))
        sizes = [x for pushes in far.pushes.values() for x in pushes]
        sizes += [jump.deviations for jump in far.jumps]
        assert np.linalg.norm(sizes) == pytest.approx(space.budget.max_distance_in_standard_deviations)
    near = space.build_candidate([0.1] * len(space.names))
    assert near.pushes["ETH"] == pytest.approx([0.1] * 6)


def test_what_lasts_stays_within_its_limit(space) -> None:
    duration = space.scenario.duration
    for value in (-9.0, 0.0, 9.0):
        choice = space.build_candidate([value] * len(space.names))
        for span in (*choice.outages.values(), *choice.feeds.values()):
            assert 0 <= span.start < span.end and span.start < duration
        assert all(span.end - span.start <= 7_200 for span in choice.outages.values())
        assert all(span.end - span.start <= 3_600 for span in choice.feeds.values())
        assert (choice.congestion is None) == (not choice.outages) == (value == -9.0)


def test_a_push_moves_the_price_by_its_share_of_the_volatility(space) -> None:
    """Only one push differs: by the end of its span the price has moved by about sigma*sqrt(t)."""
    quiet = [0.0] * len(space.names)
    pushed = list(quiet)
    pushed[space.names.index("ETH span 1")] = -2.0
    before, after = (
        np.log([float(p) for p in space.build_candidate(point).scenario.prices["ETH"].points.values()])
        for point in (quiet, pushed)
    )
    moved = after - before
    blocks = space.scenario.blocks // 6
    volatility = 2.446 * np.sqrt(blocks * space.scenario.block_time / (365 * 86_400))
    # Student's tails stretch each block's draw by its own factor.
    assert -4 * volatility < moved[blocks] < -volatility
    assert moved[0] == 0 and np.allclose(moved[blocks:], moved[blocks], atol=1e-6)


def test_jumps_are_where_and_as_large_as_they_were_chosen(space) -> None:
    quiet = [0.0] * len(space.names)
    at, size = (space.names.index(f"WBTC jump 1 {what}") for what in ("at", "size"))
    other = list(quiet)
    other[size] = -1.0
    one, two = (space.build_candidate(point) for point in (quiet, other))
    block = one.jumps[1].at // space.scenario.block_time
    before, after = (
        np.log([float(p) for p in each.scenario.prices["WBTC"].points.values()]) for each in (one, two)
    )
    moved = after - before
    assert np.allclose(moved[:block], 0) and np.allclose(moved[block:], -0.15, atol=1e-6)
    other[at] = 9.0
    assert space.build_candidate(other).jumps[1].at == space.scenario.duration


def test_the_crash_is_where_it_was_chosen(tmp_path) -> None:
    file = tmp_path / "severe.yaml"
    file.write_text("extends: severe-day\nprices: {ETH: {model: {crash: {deviation: 5%}}}}\n")
    severe, _, budget = load_scenario_and_adversary_budget(str(file), "day-in-a-thousand")
    space = SearchSpace(severe, budget, 1, 0)
    at, depth = space.names.index("crash at"), space.names.index("crash depth")
    for value, block in ((-9.0, 1), (9.0, severe.blocks)):
        point = [0.0] * len(space.names)
        point[at] = value
        deeper = list(point)
        deeper[depth] = 1.0
        one, two = (space.build_candidate(each) for each in (point, deeper))
        assert one.crash is not None and one.crash.at == block * severe.block_time
        before, after = (list(each.scenario.prices["ETH"].points.values()) for each in (one, two))
        assert before[:block] == after[:block]
        # It takes 13.5% of the price, and 5% for each deviation.
        assert after[block] / before[block] == pytest.approx((1 - 0.185) / (1 - 0.135), rel=1e-6)


def test_nothing_chosen_leaves_the_noise_of_the_path(loaded) -> None:
    scenario, budget = loaded
    nothing = replace(budget, one_in=1, outages=0, feeds=0, congestion=None)
    space = SearchSpace(scenario, nothing, 1, 7)
    assert space.names == ()
    assert space.build_candidate([]).scenario.prices == draw_scenario(scenario, 1, 7).prices


# --------------------------------------------------------------------- evolution


def test_a_long_valley_across_the_axes_is_followed_to_its_end() -> None:
    scale = np.array([1.0, 10.0, 100.0, 1.0, 10.0])
    turn, _ = np.linalg.qr(np.arange(25.0).reshape(5, 5) % 7 + np.eye(5))
    goal = np.array([1.0, -2.0, 0.5, 3.0, 0.0])
    cloud = SearchDistribution.create_standard_normal(5)
    for _ in range(250):
        points = cloud.draw_points(12, 3)
        scores = [-float(np.sum((scale * (turn @ (point - goal))) ** 2)) for point in points]
        cloud = SearchDistribution.from_json(
            json.loads(json.dumps(cloud.as_json()))
        )  # nothing is lost by keeping it
        cloud.update_distribution(sort_by_score(points, scores))
    assert np.allclose(cloud.mean, goal, atol=1e-4)
