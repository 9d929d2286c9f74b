"""A scenario with every guard on: it runs on model and chain alike, with each guard in its summary."""

from __future__ import annotations

from itertools import pairwise

import pytest

from backstop.model.arithmetic import RAD, RAY
from backstop.report.run_page import write_run_page
from backstop.simulation.run_directory import load_run
from backstop.simulation.scenario import load_scenario
from backstop.simulation.simulator import simulate
from tests.support.checkout_paths import DATA

GUARDED = DATA / "guards" / "guarded.yaml"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("guarded")
    simulate(load_scenario(GUARDED), "revm", 1, out)
    return load_run(out)


def test_model_and_chain_agree(run) -> None:
    assert run.summary["differences"] == 0 < run.summary["fields_compared"]


def test_calls_add_up_and_are_in_the_table(run) -> None:
    guards, calls = run.summary["guards"], run.frames["calls"]
    assert guards["calls"]["made"] == len(calls) > 0
    for how in ("met", "liquidated", "restructured", "lapsed"):
        assert guards["calls"][how] == (calls["ended_by"] == how).sum()
    assert len(guards["open_calls"]) == (calls["ended_by"] == "open").sum()
    assert guards["calls"]["met"] and guards["calls"]["liquidated"]
    assert set(calls["due_at"] - calls["called_at"]) == {1_800}
    ended = calls[calls["ended_at"].notna()]
    assert (ended["ended_at"] >= ended["called_at"]).all()


def test_workouts_add_up_and_are_in_the_table(run) -> None:
    guards, workouts = run.summary["guards"], run.frames["workouts"]
    assert guards["workouts"]["entered"] == len(workouts) == guards["calls"]["restructured"] > 0
    for how in ("completed", "foreclosed", "unwound", "open"):
        assert guards["workouts"][how] == (workouts["ended_by"] == how).sum()
    assert guards["workouts"]["completed"] and guards["workouts"]["foreclosed"]
    for row in workouts.to_dict("records"):
        owed, paid, principal = (int(row[name]) for name in ("owed_wad", "paid_wad", "principal_rad"))
        premium = principal * 200 // (10_000 * 10**39) * 10**12
        assert owed == -(-principal // RAY) + premium
        assert (paid == owed) == (row["ended_by"] == "completed")
    left = sum(int(row["owed_wad"]) - int(row["paid_wad"]) for row in _open(workouts))
    assert sum(int(each["wad"]) for each in guards["workouts"]["due"]) == left


def _open(workouts) -> list[dict]:
    return [row for row in workouts.to_dict("records") if row["ended_by"] == "open"]


def test_a_foreclosed_workout_is_auctioned_under_its_number(run) -> None:
    workouts, auctions = run.frames["workouts"], run.frames["auctions"]
    ended = workouts[workouts["ended_by"] == "foreclosed"].set_index("workout_id")
    started = auctions.set_index("auction_id")["started_at"]
    assert (started[ended.index] == ended["ended_at"]).all()
    others = workouts[workouts["ended_by"] != "foreclosed"]["workout_id"]
    assert not set(others) & set(auctions["auction_id"])


def test_the_mode_over_time(run) -> None:
    """The table has at each block the mode that the last change before it set."""
    changes, mode, found = list(run.summary["guards"]["modes"]), 0, []
    for at in run.frames["system"]["timestamp"]:
        while changes and changes[0]["at"] <= at:
            mode = changes.pop(0)["mode"]
        found.append(mode)
    assert list(run.frames["system"]["mode"]) == found
    assert max(found) > 0
    assert run.summary["guards"]["mode"] == found[-1]
    assert {change["trigger"] for change in run.summary["guards"]["modes"]} <= {"losses", "fall", None}


def test_the_ceilings_over_time(run) -> None:
    state = run.frames["state"]
    shown = list(state[state["symbol"] == "ETH"]["debt_ceiling"])
    changes = [change["ceiling"] for change in run.summary["guards"]["ceilings"]]
    assert [new for old, new in pairwise(shown) if old != new] == changes
    assert changes and shown[0] == 60_000_000


def test_the_flow_limit_holds_from_the_start_on(run) -> None:
    """The book is opened without it; afterwards a borrower gets the cap, and is refused the next draw."""
    assert int(run.frames["state"]["performing_rad"].iloc[0]) > 10 * 100_000 * RAD
    actions = run.frames["actions"]
    draws = actions[(actions["sender_name"] == "anna") & (actions["method"] == "deposit_and_draw")]
    assert draws["ok"].sum() >= 5
    assert "risk_policy: flows out too fast" in set(draws["reason"])


def test_the_page_tells_of_it(run) -> None:
    text = write_run_page(run.path).read_text()
    assert '<section id="guards">' in text
    assert 'data-path="guards.calls.met"' in text
