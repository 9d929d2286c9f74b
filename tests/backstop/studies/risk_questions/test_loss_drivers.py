"""Drivers of the tail: each case changes one assumption, as the file would, on the study's own paths."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backstop.keepers.keeper_group_settings import Outage
from backstop.model.arithmetic import RAY
from backstop.simulation.scenario import Scenario, load_scenario
from backstop.simulation.sources.default_owner_behavior import read_default_owner_behavior
from backstop.studies.risk_questions.loss_drivers import (
    BLOCK_TIME,
    DriverCase,
    build_driver_cases,
    estimate_drivers,
)
from backstop.studies.risk_questions.path_runner import build_vaults
from backstop.studies.stress.columns import OutcomeColumns
from backstop.studies.stress.engines import Task, get_engine
from tests.support.checkout_paths import DATA

SMALL = DATA / "stress" / "small.yaml"
COIN = 10**6


def load_changed(folder: Path, text: str) -> Scenario:
    """The small study with some lines of the file changed."""
    file = folder / "changed.yaml"
    file.write_text(f"extends: {SMALL}\n{text}")
    return replace(load_scenario(file), name="small", title="A small study")


@pytest.fixture(scope="module")
def day() -> Scenario:
    return load_scenario(SMALL)


@pytest.fixture(scope="module")
def cases(day) -> dict[str, DriverCase]:
    found, missing = build_driver_cases(Task(day, 1, "fast"))
    assert missing == []
    return {each.key: each for each in found}


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("keepers", "keepers: {liquidator: {fails: null}, taker: {fails: null}, desk: {fails: null}}"),
        ("half-depth", "markets: {ETH: {depth: 250_000 stablecoin}, WBTC: {depth: 125_000 stablecoin}}"),
        ("twice-depth", "markets: {ETH: {depth: 1_000_000 stablecoin}, WBTC: {depth: 500_000 stablecoin}}"),
        ("slow-recovery", "markets: {ETH: {recovery: 40 min}, WBTC: {recovery: 40 min}}"),
        (
            "moves",
            "prices: {ETH: {model: {volatility: 366.9% a year, jumps: {mean: -30%, deviation: 22.5%}}},"
            " WBTC: {model: {volatility: 281.7% a year, jumps: {mean: -30%, deviation: 22.5%}}}}",
        ),
    ],
)
def test_a_case_is_what_the_file_would_say(cases, tmp_path, key, text) -> None:
    assert cases[key].day == load_changed(tmp_path, text)


def test_markets_that_thin_out_have_the_case_that_they_do_not(day, cases, tmp_path) -> None:
    entry = "markets: {WBTC: {depth_after_fall: {within: 1 h, fall: 10%, depth: 20%}}}\n"
    thinning = load_changed(tmp_path, entry)
    found, missing = build_driver_cases(Task(thinning, 1, "fast"))
    assert missing == [] and "kept-depth" not in cases
    by_key = {each.key: each for each in found}
    assert list(by_key) == [*list(cases)[:3], "kept-depth", *list(cases)[3:]]
    kept = by_key["kept-depth"]
    assert (kept.title, kept.day) == ("markets that keep their depth", day)
    assert kept.advice.endswith("and state markets.WBTC.depth_after_fall")
    assert by_key["half-depth"].day == load_changed(
        tmp_path,
        entry.replace("WBTC: {", "ETH: {depth: 250_000 stablecoin}, WBTC: {depth: 125_000 stablecoin, "),
    )


def test_outages_that_are_given_do_not_happen_either(day) -> None:
    down = tuple(replace(group, fails=None, outages=(Outage(0, 600),)) for group in day.keepers)
    found = {each.key: each for each in build_driver_cases(Task(replace(day, keepers=down), 1, "fast"))[0]}
    assert not any(group.outages for group in found["keepers"].day.keepers)


def test_owners_react_by_the_default_or_stand_still_where_they_react(day, cases) -> None:
    default = read_default_owner_behavior(day.block_time)
    assert cases["owners"].day == replace(day, owners=default)
    assert cases["owners"].title == "owners who react"
    reacting = replace(day, owners=replace(default, idle=0))
    found = {each.key: each for each in build_driver_cases(Task(reacting, 1, "fast"))[0]}
    assert found["owners"].title == "owners who stand still" and found["owners"].day == day
    odd = replace(day, block_time=420, duration=8_400)
    missing = {each["case"]: each["why"] for each in build_driver_cases(Task(odd, 1, "fast"))[1]}
    assert missing["owners who react"] == "an hour is not a whole number of blocks of 7 min"


def test_shorter_blocks_are_those_of_the_file_on_the_same_prices(day, cases, tmp_path) -> None:
    text = "block_time: 150 s\ncongestion: {block_gas: 375_000_000 gas}\n"
    assert cases[BLOCK_TIME].advice == "set block_time: 150 s and congestion.block_gas: 375000000 gas"
    assert replace(cases[BLOCK_TIME].day, price_interval=0) == load_changed(tmp_path, text)
    assert cases[BLOCK_TIME].day.price_interval == day.block_time
    # Auctions that count blocks count the shorter ones.
    counted = replace(day, parameters=replace(day.parameters, block_time=day.block_time))
    found = {each.key: each for each in build_driver_cases(Task(counted, 1, "fast"))[0]}
    assert found[BLOCK_TIME].day.parameters.block_time == 150
    # The step of an auction is a minute and a half: shorter than a block, and no longer with ones of 75 s.
    assert day.parameters.collateral_types[0].auction.period == 90 < cases[BLOCK_TIME].day.block_time


def test_the_largest_owner_is_safe_and_owes_what_he_did(day, cases) -> None:
    before, after = (build_vaults(each, 1) for each in (day, cases["largest-owner"].day))
    assert [(each.owner, each.debt) for each in before] == [(each.owner, each.debt) for each in after]
    changed = [two for one, two in zip(before, after, strict=True) if one != two]
    assert [each.owner for each in changed] == [max(before, key=lambda each: each.debt).owner]
    (vault,) = changed
    assert vault.locked * day.first_prices[vault.symbol] // RAY >= 100 * vault.debt
    assert f"check the position of {vault.owner}, 19% of the debt" in cases["largest-owner"].advice


def test_a_book_given_vault_by_vault_has_the_outcomes_of_the_one_drawn(day) -> None:
    """Else a case without an owner would differ by more than him."""
    listed = replace(day, vaults=tuple(build_vaults(day, 1)), generated={})
    one, other = (get_engine(Task(each, 1, "fast")).run_paths(0, 20) for each in (day, listed))
    assert one.tolist() == other.tolist()


def test_vaults_of_one_owner_are_his(day) -> None:
    vaults = build_vaults(day, 1)
    shared = tuple(replace(each, owner="anna" if i < 9 else each.owner) for i, each in enumerate(vaults[:12]))
    # Of one type, so that an owner has several: the second is opened under a name of its own.
    named = tuple(replace(each, owner=f"anna/{i}") if 0 < i < 9 else each for i, each in enumerate(shared))
    book = replace(day, vaults=(*named, *vaults[12:]), generated={})
    (case,) = (each for each in build_driver_cases(Task(book, 1, "fast"))[0] if each.key == "largest-owner")
    assert sum(one != two for one, two in zip(book.vaults, case.day.vaults, strict=True)) == 9
    assert "check the position of anna," in case.advice


@pytest.mark.parametrize(("block_time", "tried"), [(300, 150), (15, 5), (25, 5), (7, None), (1, None)])
def test_blocks_divide_into_whole_seconds(day, block_time, tried) -> None:
    found, missing = build_driver_cases(Task(replace(day, block_time=block_time, duration=2_100), 1, "fast"))
    times = [each.day.block_time for each in found if each.key == BLOCK_TIME]
    assert times == ([] if tried is None else [tried])
    if tried is None:
        why = f"blocks of {block_time} s do not divide into 2 to 5 of whole seconds"
        assert {"case": "blocks half as long", "why": why} in missing


def test_what_the_scenario_does_not_have_is_said(day) -> None:
    calm = replace(
        day,
        keepers=tuple(replace(group, fails=None) for group in day.keepers),
        prices={
            name: replace(path, model=None, points={0: 10**30, 7_200: 10**30})
            for name, path in day.prices.items()
        },
        correlation={},
    )
    missing = build_driver_cases(Task(calm, 1, "fast"))[1]
    assert missing == [
        {"case": "keepers that never fail", "why": "no keeper fails in the file"},
        {"case": "moves half as large again", "why": "no price is drawn from a model"},
    ]


# ------------------------------------------------------------------- estimates


@pytest.fixture
def outcomes(day):
    """Paths by hand: of 400, forty lose 1 to 40 coins; and the function that estimates changes of them."""
    columns = OutcomeColumns.from_parameters(day.parameters)
    rows = np.zeros((400, len(columns.names)), dtype=np.int64)
    place = columns.get_index("bad_debt")
    rows[:40, place] = np.arange(1, 41) * COIN

    def estimate(cases, **losses):
        changed = []
        for each in cases:
            other = rows.copy()
            other[:, place] = losses[each.key.replace("-", "_")](rows[:, place])
            changed.append(other)
        return estimate_drivers(Task(day, 1, "fast"), rows, cases, changed)

    return estimate


def test_the_driver_that_moves_most_is_named_with_what_to_change(outcomes, cases) -> None:
    chosen = [cases["twice-depth"], cases["half-depth"], cases["keepers"]]
    found = outcomes(
        chosen,
        twice_depth=lambda lost: lost // 2,
        half_depth=lambda lost: lost * 3,
        keepers=lambda lost: np.where(lost == lost.max(), 100 * lost, lost),  # more, but on one path alone
    )
    rows = {row["key"]: row for row in found["cases"]}
    # The worst twenty of 400 lose 21 to 40.
    assert found["shortfall"]["value_micro"] == 30_500_000
    assert rows["twice-depth"]["change"]["value_micro"] == -15_250_000
    assert rows["half-depth"]["change"]["value_micro"] == 61_000_000
    assert rows["half-depth"]["shortfall_micro"] == 91_500_000
    assert rows["half-depth"]["change"]["low_micro"] < 61_000_000 < rows["half-depth"]["change"]["high_micro"]
    assert rows["keepers"]["change"]["value_micro"] == 198_000_000
    assert (
        rows["keepers"]["change"]["low_micro"] is None
        and rows["keepers"]["verdict"] == "the data cannot tell"
    )
    assert found["sentence"] == (
        "The expected shortfall changes most with markets half as deep (+200%): measure what sales lose "
        "with calibrate --depth, and state markets.ETH.depth, markets.WBTC.depth."
    )


def test_without_a_sure_change_none_is_named(outcomes, cases) -> None:
    found = outcomes(
        [cases["keepers"], cases[BLOCK_TIME]], keepers=lambda lost: lost, block_time=lambda lost: lost
    )
    assert found["sentence"].startswith("Of no assumption do the paths show that it moves the figure")
    assert found["block_time"]["too_long"] is False
    assert found["cases"][0]["verdict"] == "changes nothing"


@pytest.mark.parametrize(("times", "too_long"), [(1, False), (2, True)])
def test_blocks_are_too_long_where_shorter_ones_surely_change_the_figure(
    outcomes, cases, times, too_long
) -> None:
    found = outcomes([cases[BLOCK_TIME]], block_time=lambda lost: times * lost)["block_time"]
    assert found["too_long"] is too_long
    assert (found["now_seconds"], found["tried_seconds"]) == (300, 150)
    assert (found["now_micro"], found["tried_micro"]) == (30_500_000, times * 30_500_000)


def test_one_path_does_not_make_blocks_too_long(outcomes, cases) -> None:
    found = outcomes(
        [cases[BLOCK_TIME]], block_time=lambda lost: np.where(lost == lost.max(), 9 * lost, lost)
    )
    assert found["block_time"]["tried_micro"] > found["block_time"]["now_micro"]
    assert found["block_time"]["too_long"] is False


def test_the_largest_owner_and_his_share(outcomes, day, cases) -> None:
    found = outcomes([cases["keepers"]], keepers=lambda lost: lost)["largest_owner"]
    debts = {each.owner: each.debt for each in build_vaults(day, 1)}
    assert found["owner"] == max(debts, key=lambda owner: debts[owner])
    assert found["debt_micro"] == max(debts.values()) // 10**12
    assert found["share_bps"] == max(debts.values()) * 10_000 // sum(debts.values())
