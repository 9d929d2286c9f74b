"""Charts of the book that a run begins with, against the run's own tables and figures worked out by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from backstop.model.arithmetic import BASIS_POINTS, RAD, RAY, WAD
from backstop.report.chart_parts import shorten_name
from backstop.report.fall_liquidation_and_owner_health_charts import (
    build_liquidated_by_fall_chart,
    build_liquidation_and_owner_charts,
    list_largest_owners,
)
from backstop.report.opening_vaults_from_events import (
    BookType,
    OpeningVaults,
    VaultHolding,
    read_opening_book,
)
from backstop.report.run_page import render_page
from backstop.simulation.run_directory import Run, load_run
from backstop.simulation.scenario import load_scenario
from backstop.simulation.simulator import simulate
from backstop.studies.risk_questions.liquidations_at_price_drop import FALLS, Position
from tests.support import handmade_page_runs
from tests.support.checkout_paths import DATA


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("run")
    simulate(load_scenario(DATA / "runs" / "small.yaml"), "model", out=out)
    return load_run(out)


def test_the_book_is_what_the_first_block_left(run: Run) -> None:
    book = read_opening_book(run)
    assert book is not None
    state = run.frames["state"]
    for number, row in (
        state[state["timestamp"] == state["timestamp"].min()].set_index("collateral_type").iterrows()
    ):
        mine = [held.position for held in book.vaults if held.number == number]
        debt, locked = sum(each.debt for each in mine), sum(each.locked for each in mine)
        assert 0 <= int(row["performing_rad"]) - debt < len(mine) and locked == int(row["locked_wad"])
        price = book.types[int(str(number))].price
        unsafe = [each for each in mine if each.locked * price * BASIS_POINTS < each.debt * each.ratio]
        assert len(unsafe) == row["unsafe_vaults"] and price == int(row["current_ray"])
        fed = state.loc[state["collateral_type"] == number, "current_ray"]
        assert book.types[int(str(number))].lowest == min(map(int, fed)) < price
    assert {held.owner for held in book.vaults} <= set(run.frames["actions"]["sender_name"])


def test_a_book_that_is_not_all_there_is_not_drawn(run: Run) -> None:
    """A run from a chain's state has only the vaults that it changes, and margins by size are no ratio."""
    assert [chart.id for chart in build_liquidation_and_owner_charts(run)] == [
        "falls",
        "health",
    ] and 'id="book"' in render_page(run)
    types = [dict(each) for each in run.summary["collateral_types"]]
    more = [each | {"opened_vaults": each["opened_vaults"] + 1} for each in types]
    sized = [each | {"margins_by_size": True} for each in types]
    for each in (more, sized):
        assert (
            build_liquidation_and_owner_charts(replace(run, summary=run.summary | {"collateral_types": each}))
            == []
        )
    for name in ("events", "state"):
        assert (
            build_liquidation_and_owner_charts(replace(run, frames=run.frames | {name: pd.DataFrame()})) == []
        )
    assert 'id="book"' not in render_page(handmade_page_runs.build_handmade_crash_run())


def made() -> OpeningVaults:
    """Two types at 100, liquidated at 150%: vaults that are unsafe from 10%, from 40%, and never."""
    types = {
        0: BookType("A", 100 * RAY, 70 * RAY, 15_000),
        1: BookType("<b>B</b>", 100 * RAY, 90 * RAY, 15_000),
    }

    def held(owner: str, number: int, worth: int, debt: int) -> VaultHolding:
        position = Position(types[number].symbol, worth * WAD // 100, debt * RAD, 15_000)
        return VaultHolding(owner, number, position)

    return OpeningVaults(
        types,
        [
            held("anna", 0, 1_650, 1_000),
            held("anna", 1, 2_400, 1_000),
            held("bert", 1, 90_000, 1_900),
            held("<i>carl</i>", 1, 3_000, 1_000),
        ],
    )


def bars(figure: dict[str, Any], name: str) -> list[float]:
    (found,) = [trace for trace in figure["data"] if trace["name"] == name]
    y: list[float] = found["y"]
    return y


def test_bars_are_the_debt_that_each_fall_may_liquidate() -> None:
    chart = build_liquidated_by_fall_chart(made())
    first, second = (
        bars(chart.figure, "A, may be liquidated"),
        bars(chart.figure, "‹b›B‹/b›, may be liquidated"),
    )
    assert first == [0.0] + [1_000.0] * 11
    # From 1 - 1,500/2,400 = 37.5% on anna's other vault, and from 50% carl's, but at 50% itself it is safe.
    assert second == [0.0] * 7 + [1_000.0] * 3 + [2_000.0] * 2
    assert bars(chart.figure, "A, collateral lacks")[FALLS.index(4_000)] == 10.0
    assert bars(chart.figure, "‹b›B‹/b›, collateral lacks")[-1] == 40.0
    assert "40%: 2.00k, lacking 10" in chart.label
    # The deepest fall of a feed's price in the run was A's, by 30%.
    (low,) = chart.figure["layout"]["shapes"]
    assert low["x0"] == low["x1"] == 0.3


def test_owners_are_in_the_order_of_their_debt_with_their_weakest_vault() -> None:
    anna, bert, carl = list_largest_owners(made())
    assert (anna.name, anna.vaults, anna.debt) == ("anna", 2, 2_000 * RAD)
    assert (anna.at_first, anna.at_lowest) == (11_000, 7_700)
    assert (bert.name, bert.at_first, bert.at_lowest) == ("bert", 315_789, 284_210)
    assert carl.at_first == 20_000 and [owner.name for owner in list_largest_owners(made(), 1)] == ["anna"]


def test_names_are_text_and_short() -> None:
    assert shorten_name("<b>&\u202e\n") == "‹b›+"
    assert shorten_name("x" * 21) == "x" * 19 + "…" and shorten_name("x" * 20) == "x" * 20


def test_vaults_under_names_of_their_own_are_their_owners(run: Run) -> None:
    """Within the first block, the last change counts."""
    actions, events = run.frames["actions"], run.frames["events"]
    begun = int(run.frames["state"]["timestamp"].min())
    senders = actions.loc[actions["sender_name"].str.startswith("owner"), "sender"].unique()[:2]
    named = {senders[0]: "anna", senders[1]: "anna/2"}
    renamed = actions.assign(
        sender_name=[named.get(s, n) for s, n in zip(actions["sender"], actions["sender_name"], strict=True)]
    )
    late = pd.DataFrame(
        {
            "step": [1, 2],
            "timestamp": [begun, begun + 1],
            "contract": "VaultEngine",
            "event": "VaultChanged",
            "values": [json.dumps([0, senders[0], str(n * WAD), str(n * WAD)]) for n in (7, 9)],
        }
    )
    frames = run.frames | {"actions": renamed, "events": pd.concat([events, late], ignore_index=True)}
    book = read_opening_book(replace(run, frames=frames))
    assert book is not None
    assert sum(held.owner == "anna" for held in book.vaults) == 2
    assert 7 * WAD in [held.position.locked for held in book.vaults]


def test_a_run_with_the_book_fits_a_page_that_can_be_mailed(run: Run, tmp_path: Path) -> None:
    """Bars and owners have a limit each, however many vaults there are."""
    rows = run.frames["events"]
    opened = rows[rows["event"] == "VaultChanged"].head(1)
    number, _, locked, normalized = json.loads(opened["values"].iloc[0])
    many = pd.concat([opened] * 5_000, ignore_index=True)
    many["values"] = [json.dumps([number, f"0x{i:040x}", locked, normalized]) for i in range(5_000)]
    frames = run.frames | {"events": pd.concat([rows, many], ignore_index=True)}
    text = render_page(replace(run, frames=frames))
    assert len(text.encode()) < 4_000_000 and len(text) - len(render_page(run)) < 20_000
