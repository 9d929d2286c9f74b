"""A run with a pool behind the margin market: it is read, opened, worked for, and all adds up."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from backstop.deployment.devnet_trader_signatures import get_trader_account
from backstop.deployment.parameter_dataclasses import BackstopParameters, MarginParameters
from backstop.errors import BackstopError
from backstop.model.arithmetic import WAD
from backstop.report.loss_sentence import compose_loss_sentence
from backstop.report.run_page import render_page
from backstop.simulation.run_directory import load_run
from backstop.simulation.scenario import load_scenario
from backstop.simulation.scenario.parameters_yaml_writer import (
    build_scenario_yaml_parameters_section,
    render_yaml,
)
from backstop.simulation.simulator import RunResult, simulate
from tests.support.checkout_paths import DATA

FILE = DATA / "runs" / "backstop_pool.yaml"
POOL = "PerpetualLiquidityVault"


@pytest.fixture(scope="module")
def result() -> RunResult:
    return simulate(load_scenario(FILE), "revm", 1)


def test_model_and_contracts_agree(result: RunResult) -> None:
    assert result.summary["completed"] and result.summary["differences"] == 0


def test_its_keeper_takes_over_and_quotes(result: RunResult) -> None:
    done = Counter(row[3] for row in result.tables["actions"] if row[2] == POOL and row[7])
    assert done["deposit"] == 1 and done["quote"] > 0
    assert done["liquidate"] > 0


def test_somebody_buys_what_it_quotes(result: RunResult) -> None:
    """At the mark and the spread, with its own signature: no fill fails for the one or the other."""
    fills = [row for row in result.tables["actions"] if row[3] == "fill" and row[6] == "pool_buyer"]
    assert len(fills) > 3 and all(row[7] for row in fills)
    buyer = get_trader_account("pool_buyer")
    changes = [row[4] for row in result.tables["events"] if row[3] == "PositionChanged"]
    assert [values for values in changes if values[0] == buyer][-1][2] != 0


def test_the_pool_s_books_add_up(result: RunResult) -> None:
    """The pool's earnings are rewards, prices and spreads; the market maker is its only member."""
    pool = result.summary["margin"]["pool"]
    paid_in, out, left = (int(pool[f"{each}_wad"]) for each in ("paid_in", "paid_out", "left"))
    assert paid_in == 50_000 * WAD and out == 0 and int(pool["earned_wad"]) == left - paid_in
    assert pool["taken_over"] > 0 and pool["sold"] > 0 and pool["members"] == []


@pytest.mark.deep(brief="tests/backstop/simulation/test_backstop_pool.py::test_the_pool_s_books_add_up")
def test_the_library_has_a_pool_whose_members_leave_alike(tmp_path: Path) -> None:
    """It takes over before forced closing, sells all of it, and pays both members at one price."""
    run = simulate(load_scenario("october-2025-backstop"), "revm", 1, tmp_path / "run")
    margin = run.summary["margin"]
    assert run.summary["differences"] == 0 and int(run.summary["totals"]["unpaid_rad"]) == 0
    assert margin["left_alone_wad"] == margin["gap_wad"] == margin["unpaid_wad"] == "0"
    pool = margin["pool"]
    assert pool["lots_left"] == {} and pool["left_wad"] == "0" and pool["sold"] > 50
    took = [row[1] for row in run.tables["actions"] if row[2] == POOL and row[3] == "liquidate" and row[7]]
    closed = [row[1] for row in run.tables["margin_closings"]]
    assert len(took) > 50 and took[0] < closed[0]
    north, south = pool["members"]
    assert north["left_at"] == south["left_at"] >= 48 * 3_600
    assert abs(int(north["has_wad"]) - 2 * int(south["has_wad"])) <= 2
    assert int(pool["paid_out_wad"]) == int(north["has_wad"]) + int(south["has_wad"])
    assert int(pool["earned_wad"]) == int(pool["paid_out_wad"]) - 300_000 * WAD < 0
    text = " ".join(render_page(load_run(tmp_path / "run")).split())
    assert "all of them have left with" in text


def test_a_page_and_a_table_say_what_it_came_to(result: RunResult) -> None:
    summary = result.summary
    for earned, left, said in (
        ("-5", "7", ("lost", "is still in it")),
        ("5", "0", ("earned", "all of them")),
    ):
        pool = {**summary["margin"]["pool"], "earned_wad": earned, "left_wad": left, "lots_left": {}}
        with_pool = {**summary, "margin": {**summary["margin"], "pool": pool}}
        sentence = compose_loss_sentence(with_pool)
        assert all(part in sentence for part in said)
    assert "backstop pool" not in compose_loss_sentence(
        {**summary, "margin": {**summary["margin"], "pool": None}}
    )


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ("{Ann: {money: 5 stablecoin}}", "'Ann' is not a name"),
        ("{ann: {asks: 01:00}}", "members.ann: 'money' is missing"),
        ("{ann: {money: 5 stablecoin, asks: 99:00}}", "members.ann.asks: '99:00' is too high"),
    ],
)
def test_a_member_that_cannot_be_is_told_with_its_place(tmp_path: Path, members: str, message: str) -> None:
    with pytest.raises(BackstopError) as caught:
        loaded(tmp_path, text_of("leverage: 200%", f"leverage: 200%, members: {members}"))
    assert message in str(caught.value) and "\n" not in str(caught.value)


def text_of(old: str, new: str) -> str:
    text = FILE.read_text().replace("extends: margin.yaml", f"extends: {FILE.parent}/margin.yaml")
    assert old in text
    return text.replace(old, new)


def loaded(folder: Path, text: str) -> MarginParameters:
    (folder / "day.yaml").write_text(text)
    margin = load_scenario(folder / "day.yaml").parameters.margin
    assert margin is not None
    return margin


def test_it_is_read_with_its_money_and_written_without(tmp_path: Path) -> None:
    scenario = load_scenario(FILE)
    margin = scenario.parameters.margin
    assert margin is not None and scenario.pool_money == 50_000 * WAD
    assert margin.backstop == BackstopParameters(limit=100_000, leverage=20_000)
    terms = "notice: 2 d, spread: 0.3%, share: 10%, quote_time: 5 min, limit: 7 stablecoin"
    given = loaded(tmp_path, text_of("limit: 100_000 stablecoin", terms)).backstop
    assert given == BackstopParameters(7, 2 * 86_400, 20_000, 30, 1_000, 300)
    written = build_scenario_yaml_parameters_section(scenario.parameters)["margin"]["backstop"]
    assert BackstopParameters(100_000, leverage=20_000) == margin.backstop
    assert "backstop" in render_yaml({"backstop": written}) and written["limit"] == "100000 stablecoin"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("leverage: 200%", "leverage: 2_000%", "backstop.leverage: '2_000%' is too high"),
        ("leverage: 200%", "notice: 59 min", "backstop.notice: '59 min' is too low"),
        ("leverage: 200%", "share: 0%", "backstop.share: '0%' is too low"),
        ("leverage: 200%", "spread: 11%", "backstop.spread: '11%' is too high"),
        ("leverage: 200%", "quote_time: 2 d", "backstop.quote_time: '2 d' is too high"),
        ("leverage: 200%", "fee: 1%", "backstop.fee: unknown field; known here: money, members, limit"),
        ("role: backstop_keeper,", "role: backstop_keeper, count: 2,", "the pool's keeper is one keeper"),
        ("  backstop_keeper: {role", "  somebody: {role", "called 'backstop_keeper': it may take risk"),
    ],
)
def test_a_mistake_names_its_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(BackstopError) as caught:
        loaded(tmp_path, text_of(old, new))
    assert message in str(caught.value) and "\n" not in str(caught.value)
