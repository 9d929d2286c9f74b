"""A scenario with every guard on: it runs on model and chain alike, and its summary says what they did."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from offchain.model.arithmetic import RAD
from offchain.report import write_report
from offchain.runs import load_run
from offchain.scenarios import load_scenario
from offchain.simulate import simulate

GUARDED = Path(__file__).with_name("guarded.yaml")


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
    for how in ("met", "liquidated", "lapsed"):
        assert guards["calls"][how] == (calls["ended_by"] == how).sum()
    assert len(guards["open_calls"]) == (calls["ended_by"] == "open").sum()
    assert guards["calls"]["met"] and guards["calls"]["liquidated"]
    assert set(calls["due_at"] - calls["called_at"]) == {1_800}
    ended = calls[calls["ended_at"].notna()]
    assert (ended["ended_at"] >= ended["called_at"]).all()


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
    text = write_report(run.path).read_text()
    assert '<section id="guards">' in text
    assert 'data-path="guards.calls.met"' in text
