"""A run is the same for one seed on every host, and its figures agree with each other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backstop import load_run
from backstop.errors import BackstopError
from backstop.hosts.artifacts import Artifacts
from backstop.hosts.host_registry import open_host
from backstop.model.arithmetic import RAY
from backstop.proof.lockstep import replay_trace_in_lockstep
from backstop.proof.replayable_trace import read_trace
from backstop.simulation.progress_and_interruption import RunInterruptedError
from backstop.simulation.run_directory import TABLES
from backstop.simulation.scenario import load_scenario
from backstop.simulation.simulator import simulate

BRIEF = "tests/backstop/simulation/test_simulate.py::test_the_same_seed_twice_gives_equal_files"

RAD = 10**45


def files(directory: Path) -> dict[str, bytes]:
    """Return every file but the one that may differ."""
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.name != "meta.json"}


def test_the_same_seed_twice_gives_equal_files(small, small_run, tmp_path) -> None:
    simulate(small, "revm", 1, tmp_path / "again")
    assert files(tmp_path / "again") == files(small_run)
    assert len(files(small_run)) == len(TABLES) + 2


def test_another_seed_gives_another_run(small, small_run, tmp_path) -> None:
    result = simulate(small, "model", 2)
    assert result.summary["state_hash"] != load_run(small_run).summary["state_hash"]


def test_the_model_alone_does_the_same(small, small_run) -> None:
    summary = load_run(small_run).summary
    alone = simulate(small, "model", 1).summary
    assert alone.pop("fields_compared") == 0 < summary.pop("fields_compared")
    assert alone == summary


@pytest.mark.anvil
def test_anvil_gives_equal_files(small, small_run, tmp_path) -> None:
    simulate(small, "anvil", 1, tmp_path / "anvil")
    assert files(tmp_path / "anvil") == files(small_run)


def test_the_trace_runs_again(small_run) -> None:
    artifacts = Artifacts()
    trace = read_trace(small_run / "trace.json", artifacts)
    with open_host("revm", trace.started_at) as host:
        both = replay_trace_in_lockstep(trace, host, artifacts=artifacts, check_every=50)
    assert both.steps == load_run(small_run).summary["steps"]


def test_the_crash_leaves_bad_debt_and_every_figure_agrees(small_run) -> None:
    run = load_run(small_run)
    summary, frames = run.summary, run.frames
    losses = summary["losses"]
    created, outstanding = int(losses["created_rad"]), int(losses["outstanding_rad"])
    covered = {stage["stage"]: int(stage["rad"]) for stage in losses["covered"]}
    assert created > 0 and covered["buffer"] > 0
    assert created == int(losses["recovered_rad"]) + sum(covered.values()) + outstanding
    assert losses["recovered_rad"] == "0"
    assert summary["ledger"]["balance_gap_rad"] == "0"
    assert summary["completed"] and summary["differences"] == 0

    flows = frames["waterfall"]
    for kind, total in (("recognised", created), ("covered", sum(covered.values()))):
        assert sum(map(int, flows[flows["kind"] == kind]["amount_rad"])) == total
    auctions = frames["auctions"]
    assert sum(map(int, auctions["principal_lost_rad"])) <= created  # the rest is rewards without a reserve
    assert len(auctions) == sum(each["liquidations"] for each in summary["collateral_types"])
    takes = frames["takes"]
    assert sum(map(int, takes["paid_wad"])) == sum(map(int, auctions["raised_wad"]))
    assert sum(map(int, takes["slice_wad"])) == sum(map(int, auctions["sold_wad"]))
    assert len(frames["actions"]) == summary["steps"]
    assert frames["actions"]["step"].tolist() == list(range(1, summary["steps"] + 1))


def test_takes_are_priced_as_the_contract_priced_them(small_run) -> None:
    takes = load_run(small_run).frames["takes"]
    for take in takes.to_dict("records"):
        least = -(-int(take["slice_wad"]) * int(take["price_ray"]) // RAY)
        # Payment is rounded up to the wei; at the end of a target the collateral is rounded down.
        assert int(take["paid_wad"]) >= least
        assert int(take["paid_wad"]) * RAY <= (int(take["slice_wad"]) + 10**12) * int(take["price_ray"]) + RAY


def test_keepers_transactions_add_up(small_run) -> None:
    summary = load_run(small_run).summary
    actions = summary["actions"]
    done = actions["succeeded"] + sum(actions["reverted"].values()) + actions["dropped"] + actions["waiting"]
    assert actions["sent"] == done
    keepers = load_run(small_run).frames["keepers"]
    assert keepers["included"].sum() == actions["succeeded"] + sum(actions["reverted"].values())


def test_nobody_that_is_down_gets_in(small, small_run) -> None:
    run = load_run(small_run)
    (outage,) = run.summary["outages"]
    assert "taker" in outage["keepers"]
    actions = run.frames["actions"]
    during = actions[(actions["timestamp"] > outage["from"]) & (actions["timestamp"] < outage["to"])]
    assert not set(during["sender_name"]) & set(outage["keepers"])


def test_profits_are_after_gas_and_sum_to_what_came_in(small_run) -> None:
    keepers = load_run(small_run).frames["keepers"].set_index("name")
    profit, cost = (dict(keepers[column].map(int)) for column in ("profit_wad", "gas_cost_wad"))
    assert profit["opportunist"] > 0
    assert all(profit[name] == -cost[name] < 0 for name in ("poker", "coverer"))


@pytest.mark.deep(
    brief="tests/backstop/simulation/test_simulate.py::test_the_same_seed_twice_gives_equal_files"
)
def test_black_thursday_and_its_healthy_twin() -> None:
    outage = simulate(load_scenario("black-thursday"), "model", 1).summary
    healthy = simulate(load_scenario("black-thursday-healthy"), "model", 1).summary
    created = [int(each["losses"]["created_rad"]) for each in (outage, healthy)]
    assert created[0] > 5 * created[1]
    covered = [{s["stage"]: int(s["rad"]) for s in each["losses"]["covered"]} for each in (outage, healthy)]
    assert covered[0]["buffer"] and covered[0]["reserve"] and covered[0]["savings"]
    assert not covered[1]["savings"]


@pytest.mark.deep(brief=BRIEF)
def test_zero_like_bids_show() -> None:
    result = simulate(load_scenario("black-thursday-zero-bid"), "model", 1)
    low = [row for row in result.tables["takes"] if 20 * row[8] < row[9]]
    assert len(low) > 10
    assert {row[5] for row in low} == {"opportunist"}
    assert int(result.summary["losses"]["outstanding_rad"]) > 0


def test_a_stopped_run_keeps_what_it_has(small, tmp_path) -> None:
    calls = iter(range(10**6))
    with pytest.raises(RunInterruptedError, match="stopped at block"):
        simulate(small, "revm", 1, tmp_path / "part", stop=lambda: next(calls) > 150)
    run = load_run(tmp_path / "part")
    assert not run.summary["completed"]
    assert "stopped at block" in run.meta["error"]
    assert 0 < len(run.frames["system"]) < 360
    assert len(run.frames["actions"]) == run.summary["steps"]


def test_stopped_while_the_book_is_opened(small, tmp_path) -> None:
    with pytest.raises(RunInterruptedError, match="while the book was opened"):
        simulate(small, "model", 1, tmp_path / "part", stop=lambda: True)
    assert load_run(tmp_path / "part").summary["completed"] is False


def test_a_book_that_does_not_fit(tmp_path) -> None:
    (tmp_path / "book.csv").write_text("owner,collateral,locked,debt\nanna,ETH,1e6,70000000\n")
    (tmp_path / "day.yaml").write_text(
        "extends: black-thursday\nvault_book: {generated: null, file: book.csv}\n"
    )
    message = "the scenario does not fit: its ETH vaults draw 70,000,000 stablecoins, their ceiling is "
    with pytest.raises(BackstopError, match=message):
        simulate(load_scenario(tmp_path / "day.yaml"), "model", 1)


def test_a_book_too_small_for_members_and_capital(tmp_path) -> None:
    (tmp_path / "book.csv").write_text("owner,collateral,locked,debt\nanna,ETH,1000,100000\n")
    (tmp_path / "day.yaml").write_text(
        "extends: black-thursday\nvault_book: {generated: null, file: book.csv}\n"
    )
    with pytest.raises(BackstopError, match="vaults draw 100,000 stablecoins, the reserve, members of"):
        simulate(load_scenario(tmp_path / "day.yaml"), "model", 1)


def test_an_unknown_host(small) -> None:
    with pytest.raises(BackstopError, match="host 'ganache' is unknown"):
        simulate(small, "ganache", 1)


def test_summary_keys_are_sorted_and_big_integers_are_strings(small_run) -> None:
    text = (small_run / "summary.json").read_text()

    def check(value: object) -> None:
        if isinstance(value, dict):
            assert list(value) == sorted(value)
            for item in value.values():
                check(item)
        elif isinstance(value, list):
            for item in value:
                check(item)
        else:
            assert not isinstance(value, float)
            assert value is None or isinstance(value, str | bool) or abs(int(value)) < 2**63  # type: ignore[call-overload]

    check(json.loads(text))
