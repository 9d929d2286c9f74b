"""Steering: a run prefers moves towards a missing pair, and a campaign is the same on any processes."""

from __future__ import annotations

import json
from collections import Counter
from random import Random

import pytest

from backstop.deployment.planned_contracts import plan_deployment
from backstop.hosts.host_registry import open_host
from backstop.proof.fuzz import fuzz_campaign, steering_targets
from backstop.proof.fuzz.fuzz_campaign import Campaign, CampaignSettings
from backstop.proof.fuzz.fuzz_run import FuzzRun, derive_policy_balanced_run_seed, derive_steered_seed
from backstop.proof.fuzz.parameter_generator import draw_parameters
from backstop.proof.fuzz.run_predicate_observer import list_state_predicate_names
from backstop.proof.fuzz.state_coverage import StateCoverage
from backstop.proof.fuzz.steering_targets import (
    GAIN,
    LAG,
    ROUND,
    SteeringTarget,
    accumulate_steered_move_weights,
    choose_targets,
    find_first_reachable_target,
    is_steered_run,
    parse_steering_targets,
)

KNOWN = StateCoverage(
    rows={0: 0b1, 1: 0b10, 2: 0b111},
    runs=Counter({0: 3, 1: 90, 2: 90}),
    watched=Counter({"enter": 10, "leave": 20, "wait": 40}),
    risen={"enter": Counter({0: 5}), "wait": Counter({0: 2, 1: 4})},
    fallen={"leave": Counter({0: 10})},
)


def test_targets_are_pairs_that_never_held_together():
    chosen = [each for index in range(1, 400, 2) for each in choose_targets(KNOWN, 7, index)]
    assert {tuple(sorted(each.places)) for each in chosen} == {(0, 1)}
    assert choose_targets(KNOWN, 7, 41) == choose_targets(KNOWN, 7, 41)
    assert choose_targets(StateCoverage(), 7, 41) == []
    target = next(each for each in chosen if each.places == (0, 1))
    assert target.rises == ({"enter": 1.0, "wait": 0.1}, {"wait": 1.0}) and target.falls == (
        {"leave": 1.0},
        {},
    )
    assert parse_steering_targets(json.loads(json.dumps([target]))) == [target]


def test_moves_that_lead_there_weigh_more_and_those_that_end_it_less():
    target = SteeringTarget((0, 1), ({"enter": 1.0, "wait": 0.1}, {"wait": 1.0}), ({"leave": 1.0}, {}))
    moves, weights = ["enter", "leave", "wait"], [2.0, 2.0, 1.0]

    def weigh(held):
        sums, whole = accumulate_steered_move_weights(target, held, moves, weights)
        return [sums[0], sums[1] - sums[0], whole - sums[1]]

    assert weigh(0b00) == pytest.approx([2 * (1 + GAIN), 2, (1 + 0.1 * GAIN) * (1 + GAIN)])
    assert weigh(0b01) == pytest.approx([2, 2 / (1 + GAIN), 1 + GAIN])
    assert weigh(0b11) == pytest.approx([2, 2 / (1 + GAIN), 1])


def test_a_target_needs_the_contracts_of_both_predicates():
    places = [
        list_state_predicate_names().index(name) for name in ("a workout runs", "a margin position is open")
    ]
    both = SteeringTarget((places[0], places[1]), ({}, {}), ({}, {}))
    workout = SteeringTarget((places[0], places[0]), ({}, {}), ({}, {}))
    targets = [both, workout]
    assert find_first_reachable_target(targets, ["Workouts", "PerpetualMarket", "Pool"]) == (0, both)
    assert find_first_reachable_target(targets, ["Workouts", "Pool"]) == (1, workout)
    assert find_first_reachable_target(targets, ["Pool"]) == (2, None)
    kinds = plan_deployment(
        draw_parameters(Random(derive_steered_seed(5, 41, targets)))
    ).contract_kinds.values()
    assert find_first_reachable_target(targets, kinds)[0] == 0, "one of a few deployments has both"


def test_every_other_run_is_steered_once_there_are_rounds_to_learn_from():
    first = LAG * ROUND
    assert [index for index in range(first + 6) if is_steered_run(index)] == [first + 1, first + 3, first + 5]


@pytest.fixture(scope="module")
def short_rounds():
    """Two runs of 50 steps a round, so that a campaign is steered soon."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fuzz_campaign, "RUN_LENGTH", 50)
        patch.setattr(fuzz_campaign, "ROUND", 2)
        patch.setattr(steering_targets, "ROUND", 2)
        yield


def played(out):
    content = json.loads((out / "campaign.json").read_text())
    return [content[name] for name in ("tally", "done", "branches")], content["rounds"]


def sum_of(rounds):
    whole = StateCoverage()
    for each in rounds.values():
        whole.add_coverage(StateCoverage.from_json(each))
    return whole


@pytest.fixture(scope="module")
def steered(short_rounds, tmp_path_factory):
    out = tmp_path_factory.mktemp("steered") / "a"
    Campaign.load_or_start(CampaignSettings(5, 500), out).play_runs()
    return out


@pytest.mark.deep(
    brief="tests/backstop/proof/fuzz/test_steering.py::test_every_other_run_is_steered_once_there_are_rounds_to_learn_from"
)
def test_steered_runs_are_the_same_on_any_number_of_processes(steered, tmp_path):
    Campaign.load_or_start(CampaignSettings(5, 500), tmp_path / "a").play_runs(workers=2)
    one, two = played(steered), played(tmp_path / "a")
    assert one[0] == two[0] and sum_of(one[1]) == sum_of(two[1])


@pytest.mark.deep(
    brief="tests/backstop/proof/fuzz/test_steering.py::test_every_other_run_is_steered_once_there_are_rounds_to_learn_from"
)
def test_a_resumed_campaign_steers_as_the_whole_one(steered, tmp_path):
    Campaign.load_or_start(CampaignSettings(5, 300), tmp_path / "a").play_runs()
    Campaign.load_or_start(CampaignSettings(5, 500), tmp_path / "a").play_runs()
    assert played(tmp_path / "a")[0] == played(steered)[0]


@pytest.mark.deep(
    brief="tests/backstop/proof/fuzz/test_steering.py::test_every_other_run_is_steered_once_there_are_rounds_to_learn_from"
)
def test_without_steering_only_the_steered_runs_differ(steered, tmp_path):
    Campaign.load_or_start(CampaignSettings(5, 500, steered=False), tmp_path / "a").play_runs()
    plain, other = played(tmp_path / "a"), played(steered)
    assert plain[0] != other[0]
    for number in ("0", "1"):  # they have nothing to learn from
        assert number not in plain[1] or plain[1][number] == other[1].get(number, plain[1][number])


@pytest.mark.deep(
    brief="tests/backstop/proof/fuzz/test_steering.py::test_moves_that_lead_there_weigh_more_and_those_that_end_it_less"
)
def test_a_workout_may_outlive_its_type():
    """No run came there before there was a move that repays all of a type but a premium; few do."""
    place = list_state_predicate_names().index("a workout runs in a retired type")
    for index in range(20):
        with open_host("revm") as host:
            machine = FuzzRun(host, derive_policy_balanced_run_seed(14, index), check_every=0, traces=None)
            if machine.scene.workouts is None:
                continue
            observer = machine.start_state_observer()
            for _ in machine.play_random_steps(2_000):
                if place in observer.rows:
                    return
    raise AssertionError("no run came there")
