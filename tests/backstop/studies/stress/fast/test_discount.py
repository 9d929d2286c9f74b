"""The fast engine on vaults sold at a fixed discount: it sells the exact engine's amounts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backstop.deployment.parameter_dataclasses import DiscountParameters
from backstop.model.bounds import MAX_LIQUIDATION_BONUS
from backstop.model.fixed_discount import Terms, plan_part, quote_position
from backstop.model.interfaces import Position
from backstop.simulation.scenario import Scenario
from backstop.studies.stress.engine_agreement import (
    COLUMNS,
    compare_engines,
    random_discount_scenarios,
    run_both_engines,
)
from backstop.studies.stress.fast import FastEngine
from backstop.studies.stress.fast.discount_kernel import plan_sale
from backstop.studies.stress.fast.scenario_tables import ScenarioTables
from tests.support.severe_day import KEEPERS, MILLION, build_severe_day, map_columns

BRIEF = "tests/backstop/studies/stress/fast/test_discount.py::test_it_sells_what_the_exact_engine_sells"
GROWING = DiscountParameters(
    base_bonus=300, max_bonus=800, full_bonus_health=9_000, target_health=12_400, fee=1_000
)
FALLING = DiscountParameters(
    base_bonus=0, max_bonus=0, max_discount=1_500, target_health=0, close_factor=5_000, small_position=20_000
)
BY_RATIO = DiscountParameters(
    base_bonus=0, max_bonus=MAX_LIQUIDATION_BONUS, cursor=3_000, target_health=0, close_factor=10_000
)


def discounted(*discounts: DiscountParameters | None, **changes) -> Scenario:
    """Return a severe day with types that are sold at these discounts."""
    day = build_severe_day(**changes)
    types = tuple(
        replace(each, discount=discount)
        for each, discount in zip(day.parameters.collateral_types, discounts, strict=True)
    )
    return replace(day, parameters=replace(day.parameters, collateral_types=types))


@pytest.mark.parametrize("discounts", [(GROWING, FALLING), (FALLING, BY_RATIO), (None, GROWING)])
def test_it_sells_what_the_exact_engine_sells(discounts) -> None:
    day = discounted(*discounts)
    exact, fast = (map_columns(rows, day) for rows in run_both_engines(day, 1, 3))
    assert exact["liquidations"].sum() > 30
    for name in ("liquidations", "liquidated_debt", "bad_debt", "unsold", "lowest_ratio", "buyers_left"):
        assert fast[name] == pytest.approx(exact[name], rel=0.02, abs=1_000 * MILLION), name


def test_what_a_sale_does_not_repay_is_a_loss_at_once() -> None:
    """On a random day on which vaults are sold late, whole, for less than their debt."""
    _, day = random_discount_scenarios(2, 1, vaults=80)
    exact, fast = (map_columns(rows, day) for rows in run_both_engines(day, 1, 2))
    assert exact["bad_debt"].sum() > 100_000 * MILLION
    for name in ("liquidated_debt", "bad_debt", "outstanding", "covered_buffer", "covered_reserve"):
        assert fast[name].sum() == pytest.approx(exact[name].sum(), rel=0.02, abs=1_000 * MILLION), name


@pytest.mark.deep(brief=BRIEF)
def test_random_scenarios_agree() -> None:
    """The figures that docs/explanation/fast-engine-accuracy.md states, with room for a smaller sample."""
    scenarios = list(random_discount_scenarios(6, 11))
    kinds = [each.discount for day in scenarios for each in day.parameters.collateral_types]
    assert None in kinds and len({each and (each.cursor > 0, each.max_discount > 0) for each in kinds}) == 4
    found = {each.column: each for each in compare_engines(scenarios, 3, 11)}
    assert tuple(found) == COLUMNS
    assert found["liquidations"].exact > 5
    for name in ("liquidated_debt", "bad_debt", "covered"):
        assert found[name].error < 0.04, found[name]
    assert found["liquidations"].equal > 0.8


def test_a_path_does_not_depend_on_those_before() -> None:
    day = discounted(GROWING, FALLING)
    together = FastEngine(day, 2).run_paths(0, 6)
    apart = FastEngine(day, 2)
    assert np.array_equal(np.array([apart.run_one_path(path) for path in (5, 1, 5)]), together[[5, 1, 5]])


def test_nobody_sells_without_buyers() -> None:
    """A liquidator alone starts nothing."""
    alone = tuple(group for group in KEEPERS if group.role not in ("flash_taker", "bidder"))
    day = replace(discounted(GROWING, GROWING), keepers=alone)
    rows = map_columns(FastEngine(day, 1).run_paths(0, 4), day)
    assert not rows["liquidations"].any() and rows["unsold"].any()


def test_a_limit_of_zero_stops_sales() -> None:
    day = discounted(GROWING, GROWING)
    types = tuple(replace(each, auction_limit=0) for each in day.parameters.collateral_types)
    day = replace(day, parameters=replace(day.parameters, collateral_types=types))
    assert not map_columns(FastEngine(day, 1).run_paths(0, 4), day)["liquidations"].any()


@pytest.mark.parametrize("discount", [GROWING, FALLING, BY_RATIO])
@pytest.mark.parametrize("ratio", [144, 130, 112, 90])
@pytest.mark.parametrize(("most_coins", "most_paid"), [(10**9, 10**9), (20, 10**9), (10**9, 40_000)])
def test_a_plan_is_the_contracts(discount, ratio, most_coins, most_paid) -> None:
    """Within the rounding of floats: the model's plan of the same vault, in wei."""
    day = discounted(discount, None)
    terms = ScenarioTables.from_scenario(day, 1).terms[0]
    collateral = day.parameters.collateral_types[0]
    wad, ray = 10**18, 10**27
    vault = np.zeros(1, dtype=[("debt", float), ("locked", float)])[0]
    vault["debt"], vault["locked"] = 100_000.0, ratio * 1.0
    plan = plan_sale.py_func if hasattr(plan_sale, "py_func") else plan_sale
    assert plan is not None
    position = Position(
        ratio * wad,
        100_000 * wad,
        ray,
        collateral.liquidation_ratio,
        collateral.debt_floor * 10**45,
        1,
        1_000 * ray,
    )
    own = Terms(**{name: getattr(discount, name) for name in Terms._fields})
    quote = quote_position(own, position)
    found = plan_sale(terms, vault, 1.0, 1_000.0, float(most_coins), float(most_paid))
    if quote.is_under_bonus:
        paid = quote.worth * quote.denominator // quote.numerator / 10**45
        is_whole = most_coins >= ratio and most_paid >= paid
        assert found[0] == (pytest.approx(ratio) if is_whole else 0.0)
        assert found[3] == (pytest.approx(paid) if is_whole else 0.0)
        return
    sale = plan_part(own, quote, position, most_coins * wad, most_paid * wad)
    assert found[0] == pytest.approx(sale.collateral / wad, rel=1e-4)
    assert found[1] == pytest.approx(sale.fee / wad, rel=1e-3, abs=1e-9)
    assert found[3] == pytest.approx(sale.paid / wad, rel=1e-4)
