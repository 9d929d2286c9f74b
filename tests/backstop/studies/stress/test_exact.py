"""The exact engine's rows equal a simulation of the same path, compared step by step."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backstop.errors import BackstopError
from backstop.model import dutch_auction
from backstop.model.arithmetic import RAY
from backstop.simulation.scenario import load_scenario
from backstop.simulation.scenario.scenario_records import PricePath
from backstop.simulation.simulator import RunResult, simulate
from backstop.studies.stress import exact_bytecode_engine
from backstop.studies.stress.columns import MICRO, NEVER, OutcomeColumns
from backstop.studies.stress.exact_bytecode_engine import ExactEngine

LONGER = pytest.mark.deep(
    brief="tests/backstop/studies/stress/test_exact.py::test_a_row_is_what_the_simulation_of_its_path_says"
)

PATHS = 6


@pytest.fixture(scope="module")
def engine(small) -> ExactEngine:
    return ExactEngine(small, 1)


@pytest.fixture(scope="module")
def rows(engine) -> list[dict[str, int]]:
    return [dict(zip(engine.columns.names, row, strict=True)) for row in engine.run_paths(0, PATHS).tolist()]


def figures(result: RunResult, columns: OutcomeColumns) -> dict[str, int]:
    """The columns that a run's own summary has, from its summary and tables."""
    summary, losses = result.summary, result.summary["losses"]
    unsold = int(summary["ledger"]["in_auction_rad"])
    found = {
        "liquidations": sum(entry["liquidations"] for entry in summary["collateral_types"]),
        "liquidated_debt": sum(row[9] for row in result.tables["auctions"]) // MICRO,
        "bad_debt": (int(losses["created_rad"]) + unsold) // MICRO,
        "outstanding": (int(losses["outstanding_rad"]) + unsold) // MICRO,
        "unsold": unsold // MICRO,
    }
    found |= {f"covered_{entry['stage']}": int(entry["rad"]) // MICRO for entry in losses["covered"]}
    recognised = [row for row in result.tables["waterfall"] if row[5] == "recognised"]
    found["first_loss_at"] = recognised[0][1] - summary["started_at"] if recognised else NEVER
    for c, name in enumerate(columns.types if not unsold else ()):
        found[f"bad_debt_{name}"] = sum(row[7] for row in recognised if row[2] == c) // MICRO
    return found


@pytest.mark.deep(cases=1)
@pytest.mark.parametrize("path", range(PATHS))
def test_a_row_is_what_the_simulation_of_its_path_says(small, engine, rows, path):
    result = simulate(small, "revm", 1, path=path)
    told = figures(result, engine.columns)
    assert {name: rows[path][name] for name in told} == told
    assert result.summary["differences"] == 0 < result.summary["fields_compared"]


@pytest.mark.anvil
def test_the_worst_path_replays_on_anvil(small, engine, rows):
    worst = max(rows, key=lambda row: row["bad_debt"])
    result = simulate(small, "anvil", 1, path=worst["path"])
    assert result.summary["differences"] == 0
    assert figures(result, engine.columns)["bad_debt"] == worst["bad_debt"] > 0


@pytest.mark.deep(
    brief="tests/backstop/studies/stress/test_exact.py::test_a_row_is_what_the_simulation_of_its_path_says"
)
@pytest.mark.parametrize(
    "name", ["tests/data/audit/strained.yaml", pytest.param("nomad-bridge", marks=LONGER)]
)
def test_workouts_and_facilitators_are_counted(name):
    scenario = load_scenario(name)
    engine = ExactEngine(scenario, 1)
    row = dict(zip(engine.columns.names, engine.run_one_path(0), strict=True))
    result = simulate(scenario, "revm", 1, path=0)
    told = figures(result, engine.columns)
    assert {column: row[column] for column in told} == told
    for facilitator in result.summary["facilitators"]:
        assert row[f"bad_debt_{facilitator['name']}"] == int(facilitator["lost_wad"]) // 10**12
    assert result.tables["workouts"] or row["bad_debt_Nomad"] > 0


def test_paths_differ_and_lose(rows):
    assert len({row["bad_debt"] for row in rows}) > 2
    for row in rows:
        assert row["bad_debt"] == pytest.approx(row["bad_debt_ETH"] + row["bad_debt_WBTC"], abs=2)
        # In the same order: nobody pays before there is something to pay.
        assert (row["first_loss_at"] == NEVER) == (row["bad_debt"] == 0)
        assert row["covered_at"] == NEVER or row["covered_at"] >= row["first_loss_at"]
        assert row["outstanding"] == 0 or row["covered_at"] == NEVER


def test_a_row_does_not_depend_on_the_paths_before(small, rows, engine, monkeypatch):
    monkeypatch.setattr(exact_bytecode_engine, "PATHS_A_CHAIN", 2)
    again = ExactEngine(small, 1)
    for path in (5, 0, 3, 5):
        assert dict(zip(engine.columns.names, again.run_one_path(path), strict=True)) == rows[path]


def test_a_path_that_begins_otherwise_has_a_book_of_its_own(small, monkeypatch):
    """Where a source is wrong from the start, the book is opened at the source's price."""
    right = exact_bytecode_engine.draw_scenario

    def wrong_on_odd_paths(scenario, seed, path):
        chosen = right(scenario, seed, path)
        factor = 1 + path % 2
        seen = {at: factor * price for at, price in chosen.prices["ETH"].points.items()}
        return replace(chosen, feed_prices={"ETH": PricePath(seen, frozenset(), 0)})

    monkeypatch.setattr(exact_bytecode_engine, "draw_scenario", wrong_on_odd_paths)
    engine = ExactEngine(small, 1, on_bytecode=False)
    opened = []
    for path in (0, 2, 1, 3, 0):
        engine.run_one_path(path)
        assert engine._session is not None
        prices = engine._session.model.snapshot()["PriceFeed"]["prices"]
        opened.append(prices[0].current // (2_300 * RAY))
    assert opened == [1, 1, 2, 2, 1]


def test_the_model_alone_says_the_same(small, engine, rows):
    alone = ExactEngine(small, 1, on_bytecode=False)
    assert [
        dict(zip(engine.columns.names, row, strict=True)) for row in alone.run_paths(0, PATHS).tolist()
    ] == rows


def test_another_seed_has_other_paths(small, rows):
    assert ExactEngine(small, 2).run_one_path(0)[1:] != tuple(rows[0].values())[1:]


def test_a_scenario_without_chance_has_one_outcome_but_for_its_bridges():
    engine = ExactEngine(load_scenario("tests/data/runs/small.yaml"), 1, on_bytecode=False)
    first, second = engine.run_paths(0, 2).tolist()
    assert first[3] > 0 and second[3] > 0


def test_a_difference_from_the_contracts_names_the_path(small, monkeypatch):
    """The comparison is on: a model that takes one unit too much does not get through."""
    right = dutch_auction.compute_take_fill

    def wrong(*args):
        found = right(*args)
        return found._replace(paid=found.paid + 1)

    monkeypatch.setattr(dutch_auction, "compute_take_fill", wrong)
    with pytest.raises(BackstopError, match=r"path \d: model and chain differ"):
        ExactEngine(small, 1).run_paths(0, PATHS)
