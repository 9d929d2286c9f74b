"""A comparison's figures agree with its runs and each other; only terms of loss differ between presets."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from backstop.deployment.contracts_by_parameter_name import STAGES
from backstop.errors import BackstopError
from backstop.model.arithmetic import RAD, RAY, WAD
from backstop.report.preset_comparison_page import write_page
from backstop.simulation.loss_bearers import GROUPS, get_loss_bearer
from backstop.simulation.progress_and_interruption import RunInterruptedError
from backstop.simulation.run_directory import load_run
from backstop.studies.comparison.naive_rule_cost import list_gainers, list_payers
from backstop.studies.comparison.preset_comparison import compare, list_comparison_line_specs
from backstop.studies.comparison.presets import load_presets, preset_names
from backstop.studies.comparison.run_comparison_lines import read_figure
from tests.support.checkout_paths import DATA

SMALL = str(DATA / "runs" / "small.yaml")


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("compared")


@pytest.fixture(scope="module")
def compared(out):
    return compare(SMALL, load_presets("all"), "model", 1, out)


@pytest.mark.deep(brief="tests/backstop/studies/comparison/test_command.py::test_the_table")
def test_every_preset_on_the_contracts(compared, tmp_path):
    """The results on the contracts equal those of the model alone."""
    found = compare(SMALL, load_presets("all"), "revm", 1, tmp_path)
    for row, alone in zip(found["presets"], compared["presets"], strict=True):
        assert row["differences"] == 0 and row["state_hash"] == alone["state_hash"]


@pytest.mark.deep(brief="tests/backstop/studies/comparison/test_command.py::test_the_table")
def test_the_loss_is_paid_exactly(compared):
    for row in compared["presets"]:
        groups = sum(int(entry["rad"]) for entry in row["loss_paid_by"])
        assert int(row["created_rad"]) == groups + int(row["recovered_later_rad"])
        assert int(row["created_rad"]) > 1_000 * RAD


@pytest.mark.deep(brief="tests/backstop/studies/comparison/test_command.py::test_the_table")
def test_figures_are_those_of_the_runs(compared, out):
    for row in compared["presets"]:
        run = load_run(out / row["preset"])
        assert run.summary["losses"]["created_rad"] == row["created_rad"]
        assert run.summary["state_hash"] == row["state_hash"]
        auctions = run.frames["auctions"]
        assert sum(map(int, auctions["principal_rad"])) == int(row["debt_rad"])
        lost = sum(map(int, auctions["principal_lost_rad"]))
        left = int(run.summary["ledger"]["in_auction_rad"])
        assert int(row["recovered_rad"]) == int(row["debt_rad"]) - lost - left
        assert row["stages"] == [entry["stage"] for entry in run.summary["losses"]["covered"]]


@pytest.mark.deep(brief="tests/backstop/studies/comparison/test_command.py::test_the_table")
def test_the_crash_is_the_same(compared, out):
    """Prices and gas to the digit; the opening of the book too, except for the depositors of each pool."""
    markets, books = set(), set()
    for row in compared["presets"]:
        run = load_run(out / row["preset"])
        state, system, actions = (run.frames[name] for name in ("state", "system", "actions"))
        markets.add((*state["market_price_ray"], *system["gas_price_wei"]))
        opened = actions[(actions["method"] == "deposit_and_draw")]
        books.add(tuple(zip(opened["timestamp"], opened["args"], strict=True)))
    assert len(markets) == 1
    assert len(books) == 1


@pytest.mark.deep(brief="tests/backstop/studies/comparison/test_command.py::test_the_table")
def test_nobody_but_the_groups_of_the_order_pays(compared):
    for row in compared["presets"]:
        asked = {get_loss_bearer(stage) for stage in row["stages"]} | {"holders"}
        assert {entry["group"] for entry in row["loss_paid_by"] if entry["present"]} == asked
        assert {entry["group"] for entry in row["loss_paid_by"] if int(entry["rad"])} <= asked


@pytest.mark.deep(brief="tests/backstop/studies/comparison/test_command.py::test_the_table")
def test_running_pays_only_where_a_pool_is_left_at_book_value(compared, out):
    """Elsewhere a leaver has no more than a stayer, once all assets of pools are in doubt."""
    naive = {cost["preset"] for cost in compared["naive"] if cost["rule"] == "leave-at-once"}
    assert naive == {"ccp", "credit-guild", "morpho-lenders"}
    gains = {
        (row["preset"], race["pool"]): int(race["gain_wad"])
        for row in compared["presets"]
        for race in row["exit_race"]
        if race["leaver"]
    }
    assert {("morpho-lenders", "Savings"), ("credit-guild", "Junior"), ("backstop", "Junior")} <= gains.keys()
    won = {place for place, gain in gains.items() if gain > 1}
    guild = {("credit-guild", "Junior"), ("credit-guild", "Savings")}
    assert won == {("ccp", "Savings"), *guild, ("morpho-lenders", "Savings")}
    actions = load_run(out / "liquity").frames["actions"]
    tried = actions[actions["method"] == "redeem"]
    assert len(tried) and not any(tried["ok"])


@pytest.mark.deep(brief="tests/backstop/studies/comparison/test_command.py::test_the_table")
def test_what_a_naive_rule_costs_adds_up(compared, out):
    """One party's loss is another's gain, except for the difference in the loss itself."""
    assert compared["naive"]
    for cost in compared["naive"]:
        runs = cost["preset"], f"{cost['preset']}-without-{cost['rule']}"
        naive, ours = (load_run(out / name).summary["losses"] for name in runs)
        net = [int(each["created_rad"]) - int(each["recovered_rad"]) for each in (naive, ours)]
        gains = [int(party["gain_wad"]) for party in cost["parties"]]
        assert abs(sum(gains) - (net[1] - net[0]) // RAY) <= 10
        assert gains == sorted(gains, reverse=True)


@pytest.mark.deep(brief="tests/backstop/studies/comparison/test_command.py::test_the_table")
def test_who_leaves_at_once_gains_what_others_pay(compared):
    cost = next(cost for cost in compared["naive"] if cost["preset"] == "morpho-lenders")
    gained, paid = list_gainers(cost["parties"]), list_payers(cost["parties"])
    assert [name for name, _ in gained] == ["who leaves Savings"]
    assert gained[0][1] > 1_000 * WAD and paid and all(amount >= WAD for _, amount in paid)


@pytest.mark.deep(brief="tests/backstop/studies/comparison/test_command.py::test_the_table")
def test_the_files(compared, out):
    assert json.loads((out / "compare.json").read_text()) == compared
    with (out / "compare.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["preset"] for row in rows] == preset_names("all")
    for row, exact in zip(rows, compared["presets"], strict=True):
        whole, _, digits = row["loss created"].partition(".")
        assert int(whole) * RAD + int(digits.ljust(45, "0")) == int(exact["created_rad"])
    assert write_page(compared, out).is_file()


@pytest.mark.deep(brief="tests/backstop/studies/comparison/test_command.py::test_the_table")
def test_every_line_has_a_figure_somewhere(compared):
    shown = list_comparison_line_specs(compared)
    assert len({line.title for line in shown}) == len(shown)
    for line in shown:
        assert any(read_figure(row, line.figure) is not None for row in compared["presets"])


@pytest.mark.deep(brief="tests/backstop/studies/comparison/test_command.py::test_the_table")
def test_the_time_to_cover(compared, out):
    """Worked out again from the state table: no block after it has a coin of deficit, the one before has."""
    for row in compared["presets"]:
        state = load_run(out / row["preset"]).frames["state"]
        left = state.assign(rad=state["deficit_rad"].map(int)).groupby("timestamp")["rad"].sum()
        if row["covered_after_seconds"] is None:
            assert left.iloc[-1] >= RAD
            continue
        end = row["first_loss_at"] + row["covered_after_seconds"]
        assert (left[left.index >= end] < RAD).all()
        # What is covered in the block of its recognition never shows in the table.
        before = state_flows(out / row["preset"], end)
        assert sum(before) >= RAD


def state_flows(directory, end):
    """Return the recognised less the covered flows before a time [rad]."""
    flows = load_run(directory).frames["waterfall"]
    signs = {"recognised": 1, "covered": -1, "recovered": -1}
    early = flows[(flows["timestamp"] < end) & flows["kind"].isin(signs)]
    return [signs[kind] * int(rad) for kind, rad in zip(early["kind"], early["amount_rad"], strict=True)]


def test_a_group_for_every_stage():
    assert {stage for group in GROUPS.values() for stage in group.stages} == set(STAGES)


def test_a_bad_preset_stops_before_anything_runs(tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_text("schema_version: 1\ntitle: x\ndescription: x\nwaterfall:\n  savings: {share: 200%}\n")
    with pytest.raises(BackstopError, match=r"bad.yaml:5: waterfall.savings.share: '200%' is too high"):
        compare(SMALL, load_presets(f"maker,{bad}"), "model", 1, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.deep(brief="tests/backstop/studies/comparison/test_command.py::test_the_table")
def test_a_stopped_comparison_keeps_its_runs(tmp_path):
    calls = iter(range(10**6))
    with pytest.raises(RunInterruptedError):
        compare(
            SMALL, load_presets("maker,morpho-lenders"), "model", 1, tmp_path, stop=lambda: next(calls) > 600
        )
    assert load_run(tmp_path / "maker").summary["completed"]
