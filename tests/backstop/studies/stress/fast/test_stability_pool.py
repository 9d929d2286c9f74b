"""The fast engine on vaults that a stability pool repays: it repays as much as the exact engine."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backstop.deployment.parameter_dataclasses import StabilityPoolParameters
from backstop.errors import BackstopError
from backstop.model.arithmetic import RAD, RAY, WAD
from backstop.model.interfaces import Position
from backstop.model.stability_pool import Pricing
from backstop.simulation.scenario import Scenario
from backstop.simulation.scenario.scenario_records import StabilityPoolMember
from backstop.studies.stress.engine_agreement import (
    COLUMNS,
    POOL_KINDS,
    Agreement,
    compare_engines,
    join_agreements,
    random_pool_scenarios,
    run_both_engines,
)
from backstop.studies.stress.fast import FastEngine
from backstop.studies.stress.fast.kernel_tables import VAULT
from backstop.studies.stress.fast.offset_plan import plan_offset
from backstop.studies.stress.fast.scenario_tables import ScenarioTables
from tests.support.severe_day import KEEPERS, MILLION, build_severe_day, map_columns

BRIEF = (
    "tests/backstop/studies/stress/fast/test_stability_pool.py::test_it_repays_what_the_exact_engine_repays"
)
AUCTIONS = StabilityPoolParameters()
WRITE_OFFS = StabilityPoolParameters(penalty=1_000, reward=100, has_write_off=True)
LARGE, SHORT = 6 * MILLION, 300_000


def pooled(pool: StabilityPoolParameters | None, coins: int, **changes) -> Scenario:
    """Return a severe day with such a pool for each type, with so many coins of two members."""
    day = build_severe_day(**changes)
    types = tuple(replace(each, stability_pool=pool) for each in day.parameters.collateral_types)
    members = tuple(
        StabilityPoolMember(symbol, name, amount=coins * WAD // 2)
        for symbol in day.symbols
        for name in ("pia", "paul")
    )
    parameters = replace(day.parameters, collateral_types=types)
    return replace(day, parameters=parameters, stability_pool_members=members if coins else ())


@pytest.mark.parametrize(
    ("pool", "coins", "lost"), [(AUCTIONS, LARGE, False), (AUCTIONS, SHORT, True), (WRITE_OFFS, SHORT, True)]
)
def test_it_repays_what_the_exact_engine_repays(pool, coins, lost) -> None:
    day = pooled(pool, coins)
    exact, fast = (map_columns(rows, day) for rows in run_both_engines(day, 1, 2))
    assert exact["liquidations"].sum() >= 15 and exact["bad_debt"].any() == lost
    assert fast["liquidations"].tolist() == exact["liquidations"].tolist()
    for name in (
        *("liquidated_debt", "bad_debt", "unsold", "outstanding", "lowest_ratio", "buyers_left"),
        *("covered_buffer", "covered_reserve", "covered_junior"),
    ):
        assert fast[name] == pytest.approx(exact[name], rel=0.02, abs=1_000 * MILLION), name


@pytest.mark.deep(brief=BRIEF)
@pytest.mark.parametrize("kind", POOL_KINDS)
def test_random_scenarios_agree(kind) -> None:
    """The figures that docs/explanation/fast-engine-accuracy.md states, with room for a smaller sample."""
    found = {each.column: each for each in compare_engines(list(random_pool_scenarios(kind, 6, 11)), 3, 11)}
    assert tuple(found) == COLUMNS
    assert found["liquidations"].exact > 5
    for name in ("liquidated_debt", "bad_debt", "covered"):
        assert found[name].error < 0.04, found[name]
    assert found["liquidations"].equal > 0.8


def test_joined_comparisons_are_of_all_their_paths() -> None:
    """Differences of 2 and 6 of 20 and 60, on paths of which one and none are equal."""
    one = Agreement("bad_debt", 20.0, 22.0, 0.1, 0.02, 0.15, 0.5)
    other = Agreement("bad_debt", 60.0, 54.0, 0.1, 0.02, 0.2, 0.0)
    joined = Agreement("bad_debt", 40.0, 38.0, 0.1, 0.02, 0.3, 0.25)
    (found,) = join_agreements([[one], [other]])
    assert found[0] == joined[0] and found[1:] == pytest.approx(joined[1:])


def test_a_share_of_the_debt_takes_part() -> None:
    day = replace(pooled(AUCTIONS, 0), stability_pool_members=(StabilityPoolMember("ETH", "pia", 0, 2_500),))
    tables = ScenarioTables.from_scenario(day, 1)
    drawn = tables.terms["art"] / tables.vaults["opening_debt"].sum()
    plain = ScenarioTables.from_scenario(pooled(AUCTIONS, 0), 1)
    left = plain.setting["money"][0] - tables.setting["money"][0]
    assert tables.terms["pool_deposits"].tolist() == [pytest.approx(left), 0]
    assert left == pytest.approx(0.25 * drawn[0] * plain.setting["supply"][0], rel=0.01)


def test_a_path_does_not_depend_on_those_before() -> None:
    day = pooled(AUCTIONS, SHORT)
    together = FastEngine(day, 2).run_paths(0, 6)
    apart = FastEngine(day, 2)
    assert np.array_equal(np.array([apart.run_one_path(path) for path in (5, 1, 5)]), together[[5, 1, 5]])


def test_no_reward_no_liquidations() -> None:
    """A keeper liquidates for a profit alone, and a vault that the pool could repay is not auctioned."""
    day = pooled(replace(AUCTIONS, reward=0), LARGE)
    rows = map_columns(FastEngine(day, 1).run_paths(0, 4), day)
    assert not rows["liquidations"].any() and rows["unsold"].any()


def test_an_empty_pool_leaves_all_to_auctions() -> None:
    """Paths end as those of types without a pool do."""
    empty, plain = (FastEngine(pooled(pool, 0), 1).run_paths(0, 4) for pool in (AUCTIONS, None))
    assert np.array_equal(empty, plain) and plain[:, 1].all()


def test_the_crank_writes_off_what_nobody_is_paid_for() -> None:
    """All debt of an empty pool's type is a loss, unless there is no crank: it is unsold then."""
    day = pooled(WRITE_OFFS, 0)
    rows = map_columns(FastEngine(day, 1).run_paths(0, 4), day)
    assert (abs(rows["bad_debt"] - rows["liquidated_debt"]) <= 1).all() and rows["bad_debt"].all()
    idle = replace(day, keepers=tuple(group for group in KEEPERS if group.role != "crank"))
    rows = map_columns(FastEngine(idle, 1).run_paths(0, 4), day)
    assert not rows["liquidations"].any() and rows["unsold"].all()


def test_a_limit_of_zero_stops_offsets() -> None:
    day = pooled(AUCTIONS, LARGE)
    types = tuple(replace(each, auction_limit=0) for each in day.parameters.collateral_types)
    day = replace(day, parameters=replace(day.parameters, collateral_types=types))
    assert not map_columns(FastEngine(day, 1).run_paths(0, 4), day)["liquidations"].any()


def test_nobody_offsets_without_liquidators() -> None:
    idle = tuple(group for group in KEEPERS if group.role != "liquidator")
    day = replace(pooled(AUCTIONS, LARGE), keepers=idle)
    assert not map_columns(FastEngine(day, 1).run_paths(0, 4), day)["liquidations"].any()


@pytest.mark.parametrize(
    ("changes", "pool", "feature"),
    [
        ({"stability_pool_contract": "InstantStabilityPool"}, AUCTIONS, "contracts with naive rules"),
        ({}, replace(AUCTIONS, entry_delay=15 * 86_400), "deposits in the stability pool of ETH that wait"),
    ],
)
def test_it_refuses_unknown_features_of_pools(changes, pool, feature) -> None:
    day = pooled(pool, SHORT)
    day = replace(day, parameters=replace(day.parameters, **changes))
    with pytest.raises(
        BackstopError, match=f"^the fast engine does not know {feature}.*: take the exact one$"
    ):
        FastEngine(day, 1)


@pytest.mark.parametrize("pool", [AUCTIONS, WRITE_OFFS])
@pytest.mark.parametrize("locked", [144, 112, 104, 90])
@pytest.mark.parametrize("room", [200_000, 97_000, 60_000, 4_000, 0])
def test_a_plan_is_the_contracts(pool, locked, room) -> None:
    """Within the rounding of floats: the model's plan of the same vault, in wei."""
    day = pooled(pool, SHORT)
    terms, collateral = ScenarioTables.from_scenario(day, 1).terms[0], day.parameters.collateral_types[0]
    vault = np.zeros(1, dtype=VAULT)
    vault["debt"], vault["locked"] = 100_000, locked
    ratio, floor = collateral.liquidation_ratio, collateral.debt_floor * RAD
    position = Position(locked * WAD, 100_000 * WAD, RAY, ratio, floor, 1, 1_000 * RAY)
    sale = Pricing(pool.penalty, pool.reward, pool.has_write_off).plan_sale(position, room * WAD)
    found = plan_offset(terms, vault[0], 1.0, 1_000.0, float(room))
    expected = sale.collateral, sale.fee, sale.normalized_debt, sale.paid
    assert found == pytest.approx([amount / WAD for amount in expected], rel=1e-12, abs=1e-9)
