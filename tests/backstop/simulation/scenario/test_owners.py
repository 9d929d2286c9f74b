"""Owners that react: the section is read with its units, and the rule works as the page states."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from backstop.errors import BackstopError
from backstop.model.arithmetic import WAD
from backstop.simulation.scenario import load_scenario
from backstop.simulation.scenario.owner_behavior import (
    ADD,
    BILLION,
    DRAW,
    DRAWN,
    REPAY,
    SELL,
    WITHDRAW,
    OwnedVault,
    OwnerBehavior,
    OwnerDecision,
    decide_owner_action,
    draw_number,
    interpolate_factor,
    interpolate_size,
    select_chance,
    select_way,
)

OWNERS = """
owners:
  every: 1 h
  idle: 20%
  defend:
    distances: [0%, 5%, 20%]
    chances: [80%, 12.5%, 3%, 1%]
    within: 24 h
    falls: [0%, 10%]
    factors: [1 x, 2.5 x]
    large: {debt: 1_000_000 stablecoin, factor: 2 x}
    ways: {sell: 50%, repay: 30%, add: 20%}
    sizes: [0%, 2%, 4%, 6%, 8%, 10%, 12%, 14%, 16%, 18%, 20%]
    least: 2%
  release:
    distances: [50%]
    chances: [0%, 1%]
    ways: {draw: 60%, withdraw: 40%}
    sizes: [0%, 2%, 4%, 6%, 8%, 10%, 12%, 14%, 16%, 18%, 20%]
    least: 10%
"""


def load(tmp_path: Path, text: str):
    path = tmp_path / "day.yaml"
    path.write_text("extends: stress-day\ntitle: A day\n" + text)
    return load_scenario(path)


@pytest.fixture
def behavior(tmp_path) -> OwnerBehavior:
    found = load(tmp_path, OWNERS).owners
    assert found is not None
    return found


def act_surely(behavior: OwnerBehavior, way: str, **changes) -> OwnerBehavior:
    """Return owners that all act at each look, in one way."""
    defend, release = behavior.defend, behavior.release
    ways = tuple(BILLION if each == way else 0 for each in (SELL, REPAY, ADD))
    other = tuple(BILLION if each == way else 0 for each in (DRAW, WITHDRAW))
    defends = way in (SELL, REPAY, ADD)
    return replace(
        behavior,
        idle=0,
        defend=replace(defend, ways=ways, chances=(BILLION if defends else 0,) * 4, **changes),
        release=replace(release, ways=other, chances=(BILLION,) * 2, **changes),
    )


def vault(**changes) -> OwnedVault:
    """A vault of 1,000 stablecoins at 150% of a ratio of 130%, which is 15% away."""
    terms = {"number": 0, "debt": 1_000 * WAD, "worth": 1_500 * WAD, "ratio": 13_000, "initial_ratio": 13_500}
    return OwnedVault(**{**terms, "floor": 100 * WAD, "fall": 0, **changes})


def test_the_section_is_read_with_its_units(behavior) -> None:
    assert (behavior.every, behavior.within, behavior.idle) == (3_600, 86_400, BILLION // 5)
    assert behavior.defend.distances == (0, 500, 2_000)
    assert behavior.defend.chances == (800_000_000, 125_000_000, 30_000_000, 10_000_000)
    assert behavior.falls == (0, 1_000) and behavior.factors == (10_000, 25_000)
    assert behavior.large_debt == 1_000_000 * WAD and behavior.large_factor == 20_000
    assert behavior.defend.sizes == tuple(range(0, 2_200, 200)) and behavior.defend.least == 200
    assert behavior.release.ways == (600_000_000, 400_000_000)


def test_owners_stand_still_without_the_section(tmp_path) -> None:
    assert load(tmp_path, "").owners is None
    assert load_scenario("black-thursday").owners is None


def test_the_section_may_be_in_a_file(tmp_path, behavior) -> None:
    (tmp_path / "owners.yaml").write_text(OWNERS)
    assert load(tmp_path, "owners: {file: owners.yaml}\n").owners == behavior
    # One takes the place of the other in a file that extends.
    (tmp_path / "base.yaml").write_text("extends: stress-day\ntitle: A day\nowners: {file: owners.yaml}\n")
    (tmp_path / "top.yaml").write_text(f"extends: base.yaml\n{OWNERS.replace('idle: 20%', 'idle: 0%')}")
    found = load_scenario(tmp_path / "top.yaml").owners
    assert found is not None and found.idle == 0
    (tmp_path / "other.yaml").write_text("title: nothing\n")
    for text, message in (
        ("owners: {file: none.yaml}\n", "none.yaml"),
        ("owners: {file: other.yaml}\n", "has no section `owners`"),
        ("owners: {file: owners.yaml, idle: 0%}\n", "owners.idle: unknown field"),
    ):
        with pytest.raises(BackstopError) as caught:
            load(tmp_path, text)
        assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("every: 1 h", "every: 7 min", "owners.every: '7 min' is not a whole number of blocks"),
        ("every: 1 h", "every: 8 d", "owners.every: '8 d' is too high"),
        ("  idle: 20%\n", "", "owners: 'idle' is missing"),
        ("idle: 20%", "idle: 120%", "owners.idle: '120%' is too high"),
        ("chances: [80%, 12.5%, 3%, 1%]", "chances: [80%, 3%, 1%]", "has 3 chances, and 3 distances"),
        ("distances: [0%, 5%, 20%]", "distances: [0%, 5%, 5%]", "owners.defend.distances: do not rise"),
        ("distances: [50%]", "distances: []", "owners.release.distances: has 0 entries: write 1 to 20"),
        ("factors: [1 x, 2.5 x]", "factors: [1 x]", "owners.defend.factors: has 1 entries, expected 2"),
        ("add: 20%", "add: 10%", "owners.defend.ways: do not add up to 100%"),
        ("16%, 18%, 20%]\n    least: 2%", "16%, 18%, 17%]\n    least: 2%", "sizes: are not rising"),
        ("16%, 18%, 20%]\n    least: 2%", "16%, 18%, 120%]\n    least: 2%", "sizes: are not rising"),
        ("withdraw: 40%", "leave: 40%", "owners.release.ways.leave: unknown field"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(tmp_path, old, new, message) -> None:
    assert old in OWNERS
    with pytest.raises(BackstopError) as caught:
        load(tmp_path, OWNERS.replace(old, new, 1))
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_draws_are_even_and_differ_by_each_label() -> None:
    drawn = [draw_number(7, number, look, 1) for number in range(100) for look in range(100)]
    assert len(set(drawn)) > 9_990 and all(0 <= each < DRAWN for each in drawn)
    assert abs(sum(drawn) / len(drawn) / DRAWN - 0.5) < 0.01
    base = draw_number(7, 1, 1, 1)
    assert base not in {
        draw_number(*each) for each in ((8, 1, 1, 1), (7, 2, 1, 1), (7, 1, 2, 1), (7, 1, 1, 2))
    }


def test_chances_factors_sizes_and_ways_at_their_bounds(behavior) -> None:
    chances = [select_chance(behavior.defend, distance) for distance in (-1, 0, 499, 500, 1_999, 2_000)]
    assert chances == [each * BILLION // 1_000 for each in (800, 125, 125, 30, 30, 10)]
    factors = [
        interpolate_factor((0, 1_000), (10_000, 25_000), fall) for fall in (0, 1, 500, 999, 1_000, 5_000)
    ]
    assert factors == [10_000, 10_015, 17_500, 24_985, 25_000, 25_000]
    sizes = tuple(range(0, 2_200, 200))
    places = (0, DRAWN // 10, DRAWN // 2, DRAWN - 1)
    assert [interpolate_size(sizes, drawn) for drawn in places] == [0, 199, 1_000, 1_999]
    ways = (BILLION // 2, BILLION // 4, BILLION // 4)
    assert [select_way(ways, DRAWN * part // 8) for part in (0, 3, 4, 5, 6, 7)] == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(("way", "amount"), [(REPAY, 200), (SELL, 200), (ADD, 200)])
def test_a_defence_is_as_large_as_drawn(behavior, way, amount) -> None:
    sure = act_surely(behavior, way, sizes=(2_000,) * 11)
    assert decide_owner_action(sure, 1, 1, vault()) == OwnerDecision(way, amount * WAD)


def test_a_defence_reaches_its_least_distance_to_the_wei(behavior) -> None:
    near = vault(worth=1_300 * WAD, initial_ratio=13_000)
    for way in (REPAY, SELL, ADD):
        decision = decide_owner_action(act_surely(behavior, way, sizes=(0,) * 11), 1, 1, near)
        assert decision is not None and decision.way == way

        def is_reached(amount: int, way: str = way) -> bool:
            debt = near.debt - (amount if way != ADD else 0)
            worth = near.worth + {SELL: -amount, REPAY: 0, ADD: amount}[way]
            return worth * 10_000 * 10_000 >= debt * 13_000 * 10_200

        assert is_reached(decision.amount) and not is_reached(decision.amount - 1)


def test_who_sells_collateral_reaches_the_initial_ratio(behavior) -> None:
    near = vault(worth=1_300 * WAD, initial_ratio=14_000)
    decision = decide_owner_action(act_surely(behavior, SELL, sizes=(0,) * 11), 1, 1, near)
    assert decision is not None
    assert (near.worth - decision.amount) * 10_000 >= (near.debt - decision.amount) * 14_000


def test_a_rest_under_the_floor_is_repaid_as_well(behavior) -> None:
    sure = act_surely(behavior, REPAY, sizes=(2_000,) * 11)
    small = vault(debt=110 * WAD, worth=165 * WAD)
    assert decide_owner_action(sure, 1, 1, small) == OwnerDecision(REPAY, 110 * WAD)
    assert decide_owner_action(sure, 1, 1, small._replace(floor=88 * WAD)) == OwnerDecision(REPAY, 22 * WAD)


def test_nobody_defends_what_is_worth_no_more_than_its_debt(behavior) -> None:
    sure = act_surely(behavior, ADD)
    assert decide_owner_action(sure, 1, 1, vault(worth=1_000 * WAD)) is None
    assert decide_owner_action(sure, 1, 1, vault(worth=1_000 * WAD + 1)) is not None
    assert decide_owner_action(sure, 1, 1, vault(debt=0)) is None


def test_idle_owners_never_act(behavior) -> None:
    sure = replace(act_surely(behavior, ADD, sizes=(2_000,) * 11), idle=BILLION // 5)
    acting = {
        number: [decide_owner_action(sure, 1, look, vault(number=number)) is not None for look in range(1, 9)]
        for number in range(1_000)
    }
    assert all(len(set(looks)) == 1 for looks in acting.values())
    assert 160 < sum(not looks[0] for looks in acting.values()) < 240


def test_falls_and_large_debts_multiply_the_chance(behavior) -> None:
    def count(owned: OwnedVault) -> int:
        still = replace(behavior, idle=0, release=replace(behavior.release, chances=(0, 0)))
        seen = (decide_owner_action(still, 1, look, owned) for look in range(20_000))
        return sum(each is not None for each in seen)

    large = vault(debt=1_000_000 * WAD, worth=1_500_000 * WAD)
    assert abs(count(vault()) - 600) < 75  # 3% at a distance of 15%
    assert abs(count(vault(fall=1_000)) - 1_500) < 115
    under = vault(worth=1_299 * WAD)  # 80%, whatever the fall
    assert count(under) == count(under._replace(fall=1_000))
    assert abs(count(under) - 16_000) < 225
    assert abs(count(large) - 1_200) < 105
    assert abs(count(large._replace(debt=large.debt - 1)) - 600) < 75


@pytest.mark.parametrize(
    ("worth", "way", "amount"),
    [
        (3_000, DRAW, 200),
        (3_000, WITHDRAW, 200),
        (1_573, DRAW, 100),  # 130% and 10% more is 143%
        (1_573, WITHDRAW, 143),
        (1_430, DRAW, None),
        (1_430, WITHDRAW, None),
    ],
)
def test_a_release_leaves_its_least_distance(behavior, worth, way, amount) -> None:
    sure = act_surely(behavior, way, sizes=(2_000,) * 11)
    decision = decide_owner_action(sure, 1, 1, vault(worth=worth * WAD))
    assert decision == (None if amount is None else OwnerDecision(way, amount * WAD))
