"""A collapse that no preset can pay for ends in settlement, and the comparison has the loss of each party."""

from __future__ import annotations

import pytest

from backstop.model.arithmetic import BASIS_POINTS, RAD, RAY, WAD
from backstop.simulation.run_directory import load_run
from backstop.simulation.scenario import load_scenario
from backstop.simulation.simulator import simulate
from backstop.studies.comparison.preset_comparison import compare, list_comparison_line_specs
from backstop.studies.comparison.presets import apply_preset, load_presets
from tests.support.checkout_paths import DATA

COLLAPSE = str(DATA / "compare" / "collapse.yaml")
DAY = 86_400
PRESETS = "backstop,maker"


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    out = tmp_path_factory.mktemp("collapse")
    return compare(COLLAPSE, load_presets(PRESETS), "revm", 1, out, aftermath=8 * DAY), out


@pytest.mark.deep(
    brief="tests/backstop/studies/comparison/test_settlement.py::test_a_simulation_ends_in_it_as_well"
)
def test_it_begins_by_the_protocols_own_rule(compared):
    """Above the bound for two whole epochs, a day each, without an announcement."""
    for row in compared[0]["presets"]:
        events = load_run(compared[1] / row["preset"]).frames["events"]
        noted = events[events["event"] == "DeficitBreachRecorded"]
        since = {int(values.strip("[]").split(",")[-1]) for values in noted["values"]}
        summary = load_run(compared[1] / row["preset"]).summary
        assert len(noted) >= 3 and len(since) == 1
        assert since.pop() + 2 * DAY <= summary["settlement"]["begun_at"]
        assert not (events["event"] == "Announced").any()
        assert row["settlement_after_seconds"] > DAY
        assert row["differences"] == 0 < row["fields_compared"]


def test_the_books_are_closed_and_the_loss_is_paid_exactly(compared):
    for row in compared[0]["presets"]:
        summary = load_run(compared[1] / row["preset"]).summary
        assert summary["settlement"]["fixed_at"] > summary["settlement"]["begun_at"]
        assert summary["ledger"]["balance_gap_rad"] == "0"
        paid = sum(int(entry["rad"]) for entry in row["loss_paid_by"])
        assert int(row["created_rad"]) == paid + int(row["recovered_later_rad"])
        assert row["outstanding_rad"] == row["lost_in_settlement_rad"]
        assert int(row["lost_in_settlement_rad"]) > 1_000 * RAD


def test_holders_get_what_the_presets_stages_left_them(compared):
    """The more stages pay, the more a coin brings: prices stand still from the final ones on."""
    rows = compared[0]["presets"]
    for row in rows:
        run = load_run(compared[1] / row["preset"])
        supply = int(run.frames["system"]["supply_wad"].map(int).max())
        assert 0 < row["coin_worth_bps"] < BASIS_POINTS
        assert int(row["lost_in_settlement_rad"]) < supply * RAY
    by_loss = sorted(rows, key=lambda row: int(row["lost_in_settlement_rad"]))
    assert [row["coin_worth_bps"] for row in by_loss] == sorted(
        (row["coin_worth_bps"] for row in rows), reverse=True
    )
    assert by_loss[0]["preset"] == "backstop"


def test_savers_bear_what_holders_bear_where_no_stage_asks_them(compared):
    """At maker's a deposit is as good as coins: leavers and stayers get the same for them."""
    summary = load_run(compared[1] / "maker").summary
    worth = int(summary["settlement"]["coin_worth_ray"])
    saved = [member for member in summary["members"] if member["pool"] == "Savings"]
    assert len(saved) == 4
    for member in saved:
        deposit, end = int(member["deposit_wad"]), int(member["end_wad"])
        assert abs(end - deposit * worth // RAY) < WAD


def test_those_who_hold_coins_redeem_them(compared):
    for row in compared[0]["presets"]:
        actions = load_run(compared[1] / row["preset"]).frames["actions"]
        redeemed = actions[(actions["contract"] == "Settlement") & (actions["method"] == "redeem")]
        assert redeemed["ok"].all() and {"runner", "taker", "opportunist"} <= set(redeemed["sender_name"])
        assert (actions[actions["method"] == "cash"]["ok"]).all()


def test_a_simulation_ends_in_it_as_well():
    """The scenario has an aftermath of its own, which a comparison does without."""
    summary = simulate(load_scenario(COLLAPSE), "model").summary
    assert summary["settlement"]["fixed_at"] > summary["settlement"]["begun_at"]
    assert load_scenario("collapse").aftermath == 8 * DAY
    before = simulate(load_scenario(COLLAPSE), "model", aftermath=0).summary
    assert not before["settlement"]


def test_the_table_has_its_lines(compared):
    titles = [line.title.strip() for line in list_comparison_line_specs(compared[0])]
    assert {"settlement began after", "lost by holders", "a coin brings"} <= set(titles)


def test_every_preset_ends_in_the_librarys_collapse():
    """The rule is the scenario's: no preset can change it."""
    for preset in load_presets("all"):
        assert apply_preset(preset, "collapse").parameters.settlement.epochs == 2
