"""Each published result, played again: whole where that is quick, otherwise on fewer paths and books."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from math import exp, sqrt
from pathlib import Path

import numpy as np
import pytest

from backstop.deployment.contracts_by_parameter_name import MARGIN_POLICIES
from backstop.deployment.example_parameters import build_standard_parameters
from backstop.errors import BackstopError
from backstop.model.arithmetic import RAY
from backstop.simulation.scenario import load_scenario
from backstop.studies.reproductions import (
    black_thursday,
    crvusd_risk_ranking,
    deleveraging_spiral,
    october_2025,
    run_reproduction,
)
from backstop.studies.reproductions.fee_and_auction_arithmetic import FIVE_PERCENT_A_DAY
from backstop.studies.reproductions.figure_comparison import Reproduction
from backstop.studies.reproductions.lockstep_deployment import open_lockstep_deployment
from tests.support.long_test_marks import build_pytest_params_with_deep_marks
from tests.support.reproduction_pages import is_table_on_page, read_reproduction_page

BEHAVIOURS = {each.name: each for each in deleveraging_spiral.BEHAVIOURS}


def figures(found: Reproduction) -> dict[str, Fraction]:
    return {each.figure.strip(): each.ours for each in found.rows}


def cells_in_docs(found: Reproduction) -> list[list[str]]:
    """The cells of the whole table of a result's page, which is its last one."""
    page = read_reproduction_page(found.name)
    lines = page.rsplit(f"## {found.title}\n\n", 1)[1].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]


def given(cells: Sequence[str]) -> tuple[str, ...]:
    """Return the cells that do not depend on the run: figure, published value, bound and source."""
    figure, published, _, _, bound, _, source = cells
    return figure.strip(), published, bound, source


def assert_in_docs(found: Reproduction) -> None:
    """Check that the docs have the same figures, with published values, bounds and sources."""
    assert [given(cells) for cells in cells_in_docs(found)] == [
        given(each.format_cells()) for each in found.rows
    ]
    for i, source in enumerate(found.sources, 1):
        assert f"- [{i}] {source}\n" in read_reproduction_page(found.name)


# --------------------------------------------------------------------- arithmetic


def test_fees_and_auctions_are_those_of_dss() -> None:
    found = run_reproduction("arithmetic")
    assert found.agreed_count == found.compared_count == len(found.rows) == 10
    ours = figures(found)
    assert ours["fee on 100 after 3 days"] * 10**18 // 1 == 15_762_500_000_000_000_000
    assert ours["target for 100 with a penalty of 1.1"] == 110
    assert ours["time until 60% of the first price"] == 5_130


def test_the_engine_refuses_the_fee_of_that_example() -> None:
    with (
        open_lockstep_deployment(build_standard_parameters()) as here,
        pytest.raises(BackstopError, match="terms: out of bounds"),
    ):
        here.apply_call("VaultEngine", "set_stability_fee", 0, FIVE_PERCENT_A_DAY - RAY, sender="admin")


# ----------------------------------------------------------------------- Bitfinex


def test_all_customers_lose_alike_and_are_made_whole() -> None:
    found = run_reproduction("bitfinex")
    assert found.agreed_count == found.compared_count == 12
    cuts = [each.ours for each in found.rows if each.figure.startswith("haircut of ")]
    assert len(cuts) == 3
    assert max(cuts) - min(cuts) < Fraction(1, 10**18)  # a wei of 10,000, per cent
    ours = figures(found)
    assert ours["owed after 3 April"] == 0
    assert 0 <= 100 - ours["repaid to who never converted"] < Fraction(1, 10**18)


# ---------------------------------------------------------------- 10 October 2025


@pytest.mark.deep(
    brief="tests/backstop/studies/reproductions/test_results.py::test_all_paths_at_once_are_each_path_by_itself"
)
def test_the_minimal_policy_takes_what_is_needed_and_nobody_has_less() -> None:
    found = run_reproduction("october-2025")
    assert found.agreed_count == found.compared_count == 4
    ours = figures(found)
    assert ours["taken by the minimal policy"] == ours["needed by all waves"] == 15_079_670
    assert ours["more than needed, by waves that gave too much"] == 49_405_579
    assert ours["less than needed, by the others"] == 4_376_914


@pytest.mark.deep(cases=1)
@pytest.mark.parametrize("policy", MARGIN_POLICIES)
def test_the_perpetual_market_takes_the_minimum_of_each_wave(policy: str) -> None:
    """Each winner's share is rounded up to a wei."""
    taken = october_2025.compute_amounts_taken_from_winners(october_2025.WAVES, policy)
    needed = [
        october_2025.compute_least_taken_from_winners(wave) * october_2025.DOLLAR
        for wave in october_2025.WAVES
    ]
    beyond = [took - least for took, least in zip(taken, needed, strict=True)]
    assert min(beyond) >= 0 and max(beyond) <= len(october_2025.WINNERS)
    # Who bears it is the same by all policies.
    assert taken == october_2025.compute_amounts_taken_from_winners(october_2025.WAVES, "by-cycle")
    rows = {each.figure: each.ours for each in run_reproduction("october-2025").rows}
    assert round(rows[f"taken by the perpetual market, {policy}"]) == 15_079_670


def test_the_minimal_policy_stops_at_what_was_won() -> None:
    assert october_2025.compute_least_taken_from_winners(october_2025.Wave(needed=10, taken=0, won=7)) == 7


# ------------------------------------------------------------------------ spirals


def test_the_published_spiral() -> None:
    rows = deleveraging_spiral.build_rows_of_four_spiral_steps()
    assert len(rows) == 12
    assert all(each.agrees for each in rows)


@pytest.mark.parametrize("worth", [120.0, 149.4, 400.0])
def test_a_speculator_keeps_the_ratio_or_gives_up(worth) -> None:
    debt, one = np.array([100.0]), np.ones(1)
    chosen, possible = deleveraging_spiral.choose_speculator_debt(
        debt, np.array([worth]), one * exp(0.02), one
    )
    after = worth + deleveraging_spiral.DEMAND * (1 - debt / chosen)
    assert bool(possible[0]) == (worth != 120.0)  # 50 of the ratio missing, and buying back costs more
    if possible[0]:
        assert after[0] >= deleveraging_spiral.RATIO * chosen[0] - 1e-9


def test_prices_are_drawn_as_the_paper_says() -> None:
    returns = deleveraging_spiral.draw_returns(1, 100, 3)
    assert returns.shape == (100, deleveraging_spiral.DAYS)
    assert abs(returns.mean()) < 4 * deleveraging_spiral.DEVIATION / 100_000**0.5
    assert returns.std() == pytest.approx(deleveraging_spiral.DEVIATION, rel=0.05)
    # A tail that a normal number has once in 10,000 billion days.
    assert np.abs(returns).max() > 7.5 * deleveraging_spiral.DEVIATION


def one_by_one(moves: Sequence[float], behaviour: deleveraging_spiral.Behaviour) -> tuple[int, list[float]]:
    """Return one path by the rules of the paper: its last day, and the price of a coin each day."""
    debt, ether, price, coins = 100.0, 400.0, 1.0, [1.0]
    growth = mean = 0.0
    variance = 0.027925**2
    for day, move in enumerate(moves):
        price *= exp(move)
        growth = 0.9 * growth + 0.1 * move
        mean = 0.9 * mean + 0.1 * move
        variance = 0.9 * variance + 0.1 * (move - mean) ** 2
        for bound in (exp(-behaviour.alpha * variance**behaviour.power), 1.0):
            half = bound * (ether * price + 100) / 3
            under = half**2 - bound * debt * 100 / 1.5
            if under >= 0:
                break
        else:
            return day, coins
        chosen = min(max(sqrt(exp(growth) * debt * 100), half - sqrt(under)), half + sqrt(under))
        ether += (chosen - debt) * (100 / chosen) / price
        debt = chosen
        coins.append(100 / debt)
        assert coins[-1] > 0.5  # where the paper stops as well
    return len(moves) - 1, coins


@pytest.mark.parametrize(
    "name",
    build_pytest_params_with_deep_marks(
        BEHAVIOURS,
        ("VaRN.01", "VaRM.1", "VaRM.01", "AC2", "RN"),
        "tests/backstop/studies/reproductions/test_results.py::test_all_paths_at_once_are_each_path_by_itself",
    ),
)
def test_all_paths_at_once_are_each_path_by_itself(name) -> None:
    behaviour = BEHAVIOURS[name]
    returns = deleveraging_spiral.draw_returns(1, 40, 3)
    stopped, volatility = deleveraging_spiral.measure_stop_day_and_coin_volatility(returns, behaviour, 0.0)
    assert 0 < (stopped < deleveraging_spiral.DAYS - 1).sum() < 40
    for moves, day, deviation in zip(returns.tolist(), stopped, volatility, strict=True):
        last, coins = one_by_one(moves, behaviour)
        assert last == day
        assert np.std(np.diff(np.log(coins))) == pytest.approx(deviation, rel=1e-6)


@pytest.mark.deep(
    brief="tests/backstop/studies/reproductions/test_results.py::test_prices_are_drawn_as_the_paper_says"
)
def test_volatility_is_near_the_published_one_on_few_paths() -> None:
    """For each of the seven behaviours: within a quarter of the 95th percentile of 10,000 paths."""
    found = deleveraging_spiral.reproduce_result(1, paths=400)
    assert_in_docs(found)
    upper = [each for each in found.rows if each.figure.startswith("t(3), ") and "95%" in each.figure]
    assert len(upper) == 7
    for each in upper:
        assert each.published is not None
        assert abs(each.ours - each.published) <= each.published / 4, each.figure


# ------------------------------------------------------------------------- shocks


@pytest.mark.deep(
    brief="tests/backstop/studies/reproductions/test_results.py::test_volatility_and_then_liquidity_decide_about_bad_debt"
)
def test_the_shocks_of_the_docs() -> None:
    found = crvusd_risk_ranking.reproduce_result(1, paths=2)
    assert_in_docs(found)
    assert len(found.rows) == len(crvusd_risk_ranking.MEASURES) * (len(crvusd_risk_ranking.CASES) + 1) + 1


def test_ranks() -> None:
    values = [Fraction(x) for x in (3, 1, 1, 7)]
    assert crvusd_risk_ranking.rank_correlation(values, [2 * x for x in values]) == 1
    # Ranks 2, 0.5, 0.5, 3 against 1, 2.5, 2.5, 0: covariance -4.5, variances 4.5 each.
    assert crvusd_risk_ranking.rank_correlation(values, [-x for x in values]) == -1


def test_volatility_and_then_liquidity_decide_about_bad_debt() -> None:
    few = [crvusd_risk_ranking.CASES[i] for i in (0, 7, 12)]
    worst = [
        crvusd_risk_ranking.compute_bad_and_liquidated_debt_percents(
            crvusd_risk_ranking.load_shocked_scenario(case.shocks), 1, 60
        )[0]
        for case in few
    ]
    assert 0 == worst[0] < worst[1] < worst[2]


# ----------------------------------------------------------------- Black Thursday


@pytest.mark.deep(
    brief="tests/backstop/studies/reproductions/test_results.py::test_volatility_and_then_liquidity_decide_about_bad_debt"
)
def test_the_outage_makes_the_loss_and_owners_who_react_lower_it() -> None:
    """Amounts fall out of their bounds with owners that react; proportions stay."""
    found = black_thursday.reproduce_result(1)
    assert is_table_on_page(found)
    as_it_was, reacting = (
        [each.agrees for each in found.rows[first : first + 6] if each.agrees is not None] for first in (0, 6)
    )
    assert (as_it_was, reacting) == ([True] * 4, [False, False, True, True])
    ours = figures(found)
    cells = [ours[f"{name}: bad debt"] for name in black_thursday.CELLS]
    assert min(cells[:2]) > 5 * max(cells[2:]) > 0
    assert ours["keepers up, blocks free: auctions won for nothing"] == 0
    down = "keepers down, blocks full"
    assert 0 < 2 * ours[f"{down}, owners react: bad debt"] < ours[f"{down}: bad debt"]


def test_owners_who_react_change_nothing_else_of_a_day() -> None:
    """Neither a law's draws nor the bridge between given prices: the scenario is the same for every seed."""
    scenario = load_scenario(str(Path(black_thursday.__file__).with_name("maker-2020.yaml")))
    owned = [black_thursday.add_reacting_owners(scenario, seed) for seed in (1, 1, 2)]
    assert owned[0] == owned[1] != owned[2]
    assert not owned[0].has_random_draws
    for each in owned:
        assert each.owners is not None
        assert replace(each, owners=None, owner_key=0) == scenario
