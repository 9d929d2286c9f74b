"""Days of Aave and Morpho: runs agree with arithmetic by hand, and the page has the tables as printed."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from backstop.model.arithmetic import RAD, RAY, WAD
from backstop.simulation.simulator import RunResult, simulate
from backstop.studies.reproductions import (
    aave_crv_2022,
    aave_october_2025,
    fixed_oracles_november_2025,
    run_reproduction,
)
from backstop.studies.reproductions.aave_october_2025 import Day
from backstop.studies.reproductions.discount_sale_figures import (
    SaleFigures,
    load_changed_scenario,
    play_sales,
    set_debt,
)
from backstop.studies.reproductions.published_tables import load_figures, load_table
from tests.support.reproduction_pages import is_table_on_page

HERE = "tests/backstop/studies/reproductions/test_lending_episodes.py::"
HOURS_BEFORE = 15
"""Hour of the day, UTC, at which the clock of the file aave-crv-2022.yaml begins."""


@pytest.fixture(scope="module")
def short_of_crv() -> RunResult:
    return simulate(load_changed_scenario(aave_crv_2022.FILE, {}), "revm", 1)


@pytest.mark.deep(brief=f"{HERE}test_bad_debt_follows_from_the_mean_oracle_price")
def test_the_page_has_the_short_of_crv_as_printed() -> None:
    found = run_reproduction(aave_crv_2022.NAME)
    assert is_table_on_page(found)
    assert (found.agreed_count, found.compared_count) == (6, 8)


@pytest.mark.deep(brief=f"{HERE}test_a_book_of_aave_pays_the_bonus_and_the_fee_of_the_rules")
def test_the_page_has_october_on_aave_as_printed() -> None:
    found = run_reproduction(aave_october_2025.NAME)
    assert is_table_on_page(found)
    assert (found.agreed_count, found.compared_count) == (6, 8)


@pytest.mark.deep(brief=f"{HERE}test_a_fixed_oracle_liquidates_nothing_and_one_that_follows_does")
def test_the_page_has_fixed_oracles_as_printed() -> None:
    found = run_reproduction(fixed_oracles_november_2025.NAME)
    assert is_table_on_page(found)
    assert (found.agreed_count, found.compared_count) == (4, 5)


def test_prices_of_the_short_are_the_published_ones() -> None:
    """One over the dollars of CRV, to a billionth, at the full hour of each sample."""
    scenario = load_changed_scenario(aave_crv_2022.FILE, {})
    path = scenario.prices["USDC"]
    published = {int(row["time"][:2]): Fraction(row["price"]) for row in load_table("crv-2022-11-22")}
    assert len(path.published) == 6
    for at in path.published:
        price = Fraction(path.points[at], RAY)
        assert abs(price - 1 / published[HOURS_BEFORE + at // 3_600]) < Fraction(1, 10**9)


def test_bad_debt_follows_from_the_mean_oracle_price(short_of_crv: RunResult) -> None:
    """1.045 times the sum of price times CRV repaid is all collateral, so the remainder is bad."""
    price, worth, repaid = 0, Fraction(), Fraction()
    for _, _, _, event, values in short_of_crv.tables["events"]:
        if event == "Poked":
            price = max(values[1:])
        elif event == "CollateralSold":
            repaid += Fraction(values[-2], WAD)
            worth += Fraction(values[-2] * RAY, WAD * price)
    collateral = load_figures(aave_crv_2022.NAME)["collateral"]
    assert abs(worth * aave_crv_2022.BONUS - collateral) < 1
    by_hand = aave_crv_2022.compute_bad_debt_from_mean_price(Fraction(92_000_000), worth / repaid)
    (totals,) = short_of_crv.summary["collateral_types"]
    booked = Fraction(int(totals["discount_sales"]["lost_rad"]), RAD)
    assert abs(by_hand - booked) < 2
    assert 2_656_335 / 2 < booked < 2 * 2_656_335
    assert int(totals["underwater_rad"]) == 0 == short_of_crv.summary["differences"]


def test_published_bad_debt_is_a_mean_price_of_68_cents() -> None:
    """63.6 million over 1.045 times 89,343,665 CRV."""
    found = aave_crv_2022.compute_bad_debt_from_mean_price(Fraction(92_000_000), Fraction(6812, 10_000))
    assert abs(found - 2_656_335) < 4_000


def test_each_change_of_the_short_is_a_scenario_of_its_own() -> None:
    base = load_changed_scenario(aave_crv_2022.FILE, {})
    changed = [load_changed_scenario(aave_crv_2022.FILE, each) for each in aave_crv_2022.CHANGES.values()]
    changed.append(set_debt(base, aave_crv_2022.SHORT, 88_800_000 * WAD))
    assert all(each != base for each in changed)
    assert [each.debt for each in changed[-1].vaults] == [88_800_000 * WAD, 300_000_000 * WAD]


def build_figures(**changed: Fraction | int) -> SaleFigures:
    """Return figures of a day on which 40 of 200 were repaid, with these changed."""
    none = {"sales": 1, "sold": 42, "booked": 0, "unbooked": 0, "bonus": 0, "fee": 0, "first_at": 60}
    given = {**none, "repaid": 40, "debt": 160, "last_at": 240, **changed}
    amounts: dict[str, Any] = {name: Fraction(value) for name, value in given.items()}
    return SaleFigures(**amounts)


def test_shares_of_a_day_by_hand() -> None:
    """40 of 400, of which half is fixed; 2 of bonus, a tenth of it the treasury's; 1 of 40 is lost."""
    figures = build_figures(
        bonus=Fraction(9, 5), fee=Fraction(1, 5), booked=Fraction(1, 2), unbooked=Fraction(1, 2)
    )
    day = Day(figures._replace(debt=Fraction(319, 2)))
    assert (day.liquidated, day.bonus, day.fee, day.deficit) == (10, 5, 10, Fraction(5, 2))
    assert Day(figures._replace(debt=Fraction(319, 2)), Fraction(0)).liquidated == 20
    assert figures.minutes == 3
    nothing = Day(build_figures(repaid=0, sales=0))
    assert (nothing.liquidated, nothing.bonus, nothing.fee, nothing.deficit) == (0, 0, 0, 0)


def test_a_loss_of_the_account_counts_the_collateral_that_is_left() -> None:
    """Of 63.6 million and 92 million CRV at 0.613625; half of both is left at 0.595533."""
    half = build_figures(repaid=46_000_000, sold=31_800_000, debt=aave_crv_2022.OTHER_DEBT + 46_000_000)
    left = 31_800_000 - Fraction("0.595533") * 46_000_000
    before = 63_600_000 - Fraction("0.613625") * 92_000_000
    assert aave_crv_2022.compute_account_loss(half) == before - left


def test_a_book_of_aave_pays_the_bonus_and_the_fee_of_the_rules() -> None:
    (day,) = aave_october_2025.play_books(load_changed_scenario(aave_october_2025.FILE, {}), [1])
    assert day.figures.sales > 20
    assert abs(day.bonus - 5) < Fraction(1, 1_000)
    assert abs(day.fee - 10) < Fraction(1, 1_000)
    assert 0 < day.liquidated < 20


def test_each_change_of_october_is_a_scenario_of_its_own() -> None:
    base = load_changed_scenario(aave_october_2025.FILE, {})
    for change in aave_october_2025.CHANGES.values():
        assert load_changed_scenario(aave_october_2025.FILE, change) != base


def test_a_fixed_oracle_liquidates_nothing_and_one_that_follows_does() -> None:
    """9.5265 million of collateral become 0.7822 million; all of the loss stays unbooked."""
    fixed = play_sales(load_changed_scenario(fixed_oracles_november_2025.SDEUSD, {}), 1)
    assert (fixed.sales, fixed.booked, fixed.minutes) == (0, 0, 0)
    by_hand = 8_700_000 * (1 - Fraction("1.095") * Fraction("0.082105263"))
    assert abs(fixed.unbooked - by_hand) < 1
    following = play_sales(
        load_changed_scenario(
            fixed_oracles_november_2025.SDEUSD, dict(fixed_oracles_november_2025.FOLLOWING)
        ),
        1,
    )
    assert following.sales > 50
    assert following.booked == following.bad_debt < fixed.bad_debt


def test_the_xusd_market_owes_what_the_price_leaves() -> None:
    found = fixed_oracles_november_2025.play_xusd("86%", "0.24", 1)
    by_hand = 4_970_000 * (1 - Fraction("1.165") * Fraction(24, 126))
    assert found.sales == 0
    assert abs(found.bad_debt - by_hand) < 1
