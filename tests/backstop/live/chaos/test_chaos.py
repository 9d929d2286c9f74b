"""`ape run chaos` in short: the same code on a small day."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from backstop.cli.chaos import cli
from backstop.cli.command_helpers import open_output
from backstop.deployment.role_accounts import get_account
from backstop.live.chaos import chaos_environment
from backstop.live.chaos.byzantine_node_trials import run_node_trials
from backstop.live.chaos.byzantine_proxy import FAULTS, OF_LOGS, Fault
from backstop.live.chaos.chaos_environment import BUDGETS
from backstop.live.chaos.chaos_results import format_chaos_results_table
from backstop.live.chaos.chaos_verdict import (
    HOUR,
    WaitTimes,
    check_hourly_spending_budgets,
    read_pending_spends,
    sum_largest_spend_per_nonce,
)
from backstop.live.chaos.crash_points import POINTS
from backstop.live.chaos.crash_recovery import describe_differences, draw_scheduled_kills, run_restarts
from backstop.live.chaos.disturbances import (
    ByzantineNode,
    ChainReorg,
    ChainRollback,
    FrontRunner,
    KeeperKillAtPoint,
    Kind,
    NodeKill,
    SameNonce,
    TransactionDrop,
)
from backstop.live.chaos.fault_injection_run import run_storm
from backstop.live.chaos.keeper_and_mirror_processes import FollowerProcess
from backstop.live.chaos.lies_about_sending import OF_SENDING
from backstop.live.chaos.lies_about_state import OF_STATE
from backstop.live.chaos.price_and_liquidity_actors import create_random
from backstop.live.chaos.work_trials import WORK, run_work_trials
from backstop.live.operate.outbox import Outbox
from backstop.live.operate.transaction_journal import Attempt, Entry, Journal
from backstop.simulation.scenario import load_scenario
from tests.support.background_threads import BackgroundServer
from tests.support.checkout_paths import DATA, ROOT
from tests.support.long_test_marks import build_pytest_params_with_deep_marks

SMALL = DATA / "chaos" / "small.yaml"
BLOCKS, KILLS = 40, 5
ALL = (*FAULTS, *OF_LOGS)
LIES_ABOUT_WORK = (*OF_SENDING, *OF_STATE)
LIES = "wrong words", "no events", "swapped ids", "head ahead"
OF_THE_CHAIN = (NodeKill, ChainReorg, ChainRollback, TransactionDrop, SameNonce, FrontRunner)


def lies(*names: str) -> tuple[Kind, ...]:
    """Nodes with these faults, one after the other."""
    return tuple(partial(ByzantineNode, fault) for fault in FAULTS if fault.name in names)


@pytest.fixture(scope="module")
def stormed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the outcome of a storm in which each fault follows the one before."""
    folder, kinds = tmp_path_factory.mktemp("storm"), (OF_THE_CHAIN, (KeeperKillAtPoint,), lies(*LIES))
    gaps = (1, 3), (4, 8), (1, 2)
    return run_storm(folder, load_scenario(SMALL), 1, BLOCKS, kinds=kinds, gaps=gaps, calm=12, minutes=0.1)


@pytest.fixture(scope="module")
def restarted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the outcome of a crash in which a keeper was killed again and again."""
    folder = tmp_path_factory.mktemp("restarts")
    found = run_restarts(folder, load_scenario(SMALL), 6, KILLS, blocks=20)
    # What is finished is not done again.
    assert run_restarts(folder, load_scenario(SMALL), 6, KILLS, blocks=20) == found
    return found


@pytest.mark.anvil
@pytest.mark.parametrize(
    "lie",
    build_pytest_params_with_deep_marks(
        ("no events", "other senders"),
        ("no events", "other senders"),
        "tests/backstop/live/operate/test_keeper_nodes.py::test_a_node_that_lies_is_left",
    ),
)
def test_keepers_and_a_mirror_come_through_a_squall(tmp_path: Path, lie: str) -> None:
    """A few blocks, some of them removed by a reorg, as served by a node that lies."""
    kinds, gaps = ((ChainReorg,), (), lies(lie)), ((1, 1), (1, 1), (1, 1))
    found = run_storm(tmp_path, load_scenario(SMALL), 1, 8, kinds=kinds, gaps=gaps, calm=4)
    assert found["disturbances"][f"node: {lie}"] == 1
    assert "left the node at " in (tmp_path / "flash.log").read_text()
    assert found["faults"] == [] and found["mirror"]["differences"] == 0 < found["mirror"]["blocks"]
    assert found["blocks"]["deepest_reorganisation"] > 0
    assert [each["starts"] for each in found["keepers"]] == [1, 1, 1]


@pytest.mark.deep(brief="tests/backstop/live/operate/test_keeper_nodes.py::test_a_node_that_lags_is_left")
@pytest.mark.anvil
def test_nobody_is_waited_for_whose_node_stands_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is left when it is more than three blocks behind, which takes as many blocks."""
    monkeypatch.setattr(chaos_environment, "MISSED", 1)  # as one that was started some blocks ago
    kinds, gaps = ((), (), lies("stale head")), ((1, 1), (1, 1), (1, 1))
    found = run_storm(tmp_path, load_scenario(SMALL), 1, 24, kinds=kinds, gaps=gaps, calm=8, minutes=0.5)
    assert found["faults"] == [] and found["mirror"]["differences"] == 0
    assert "blocks behind" in (tmp_path / "flash.log").read_text()


# Of every kind of disturbance at least one, and auctions.
@pytest.mark.deep(brief="tests/backstop/live/operate/test_keeper_nodes.py::test_a_node_that_lies_is_left")
@pytest.mark.anvil
def test_keepers_and_a_mirror_come_through_a_storm(stormed: dict[str, Any]) -> None:
    assert stormed["faults"] == []
    assert len(stormed["disturbances"]) >= 6
    assert any(name.startswith("node: ") for name in stormed["disturbances"])
    assert stormed["seconds"] >= 6
    budgets = {(each["account"], each["what"]): each for each in stormed["budgets"]}
    assert set(budgets) == {(name, what) for name, what, _ in BUDGETS}
    assert all(int(each["most_wad"]) <= int(each["limit_wad"]) for each in budgets.values())
    assert stormed["blocks"]["mined"] > BLOCKS and stormed["blocks"]["deepest_reorganisation"] > 0
    mirror = stormed["mirror"]
    assert mirror["blocks"] > BLOCKS and (mirror["differences"], mirror["starts"]) == (0, 1)
    assert stormed["nonces"]["used"] > 0 and stormed["auctions"]["started"] > 0
    vaults = stormed["vaults"]
    assert vaults["unsafe_at_some_time"] > 0 == vaults["left_alone"]
    assert 0 <= vaults["longest_calm_wait_blocks"] <= stormed["most_wait_blocks"]
    # Three keepers, and what was started again.
    assert [each["name"] for each in stormed["keepers"]] == ["flash", "desk", "fund"]
    assert sum(each["starts"] for each in stormed["keepers"]) > 3


@pytest.mark.deep(
    brief="tests/backstop/live/operate/test_keeper_process.py::test_a_killed_keeper_sends_nothing_twice"
)
@pytest.mark.anvil
def test_a_keeper_that_is_killed_comes_to_the_same_end(restarted: dict[str, Any]) -> None:
    assert restarted["faults"] == [] and restarted["equal_runs"] == restarted["runs"]
    assert restarted["kills"] == KILLS and restarted["transactions_of_a_run"] > 1
    assert restarted["fields_compared"] > 100 and restarted["recovery_seconds"]["median"] > 0


@pytest.mark.deep(brief="tests/backstop/live/operate/test_keeper_nodes.py::test_a_node_that_lies_is_left")
@pytest.mark.anvil
def test_finished_parts_are_told_again_and_faults_fail(
    stormed: dict[str, Any], restarted: dict[str, Any], tmp_path: Path
) -> None:
    def again(**parts: Any) -> Any:
        inputs = {"seed": 1, "blocks": BLOCKS, "kills": KILLS, "minutes": None, "block_time": 4}
        content, out = {"schema_version": 3, **inputs, "parts": parts}, tmp_path / "chaos"
        open_output(out, "chaos", inputs)
        (out / "chaos.json").write_text(json.dumps(content))
        only = ("--part", "storm", "--part", "restarts")
        flags = [*only, "--blocks", BLOCKS, "--kills", KILLS, "--out", out]
        return CliRunner(mix_stderr=False).invoke(cli, [str(flag) for flag in flags])

    result = again(storm=stormed, restarts=restarted)
    assert result.exit_code == 0, result.stderr
    assert f" 0 differences in {stormed['mirror']['blocks']} blocks, each compared" in result.stdout
    assert re.search(rf"\nrestarts +kills +{KILLS} in {restarted['runs']} crashes", result.stdout)
    result = again(storm={**stormed, "faults": ["one", "two"]}, restarts=restarted)
    assert result.exit_code == 1 and result.stderr.endswith("Error: one (and 1 more)\n")


BRIEF = ("no events", "wrong words unproven")


def judged(folder: Path, faults: Sequence[Fault]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the trial of each fault of a node, by the fault's name and the number of nodes; none failed."""
    found = run_node_trials(folder, load_scenario(SMALL), faults=faults)
    assert found["faults"] == []
    trials = {(each["fault"], each["nodes"]): each for each in found["trials"]}
    assert len(trials) == 2 * len(faults) + len(OF_LOGS)
    assert f"{len(trials)} of {len(trials)} trials" in format_chaos_results_table({"parts": {"nodes": found}})
    return trials


@pytest.mark.deep(brief="tests/backstop/live/operate/test_keeper_nodes.py::test_a_node_that_lies_is_left")
@pytest.mark.anvil
def test_a_node_that_lies_is_not_believed(tmp_path: Path) -> None:
    trials = judged(tmp_path, [each for each in FAULTS if each.name in BRIEF])
    assert "hash stands for" in trials["no events", "alone"]["lines"][0]
    assert trials["no events", "beside an honest one"]["lines"][0].startswith("left the node at ")
    assert "nothing is sent" in trials["wrong words unproven", "alone"]["lines"][0]


@pytest.mark.deep(brief="tests/backstop/live/operate/test_keeper_nodes.py::test_a_node_that_lies_is_left")
@pytest.mark.anvil
def test_no_fault_of_a_node_does_harm(tmp_path: Path) -> None:
    trials = judged(tmp_path, FAULTS)
    assert sum(each["noticed"] for each in trials.values()) > 50
    assert "which a proof refutes" in trials["wrong words", "alone"]["lines"][0]


def list_work_trials(folder: Path, names: Sequence[str]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the trial of each lie about work, with an honest node and alone; no trial failed."""
    lies = [each for each in LIES_ABOUT_WORK if not names or each.name in names]
    found = run_work_trials(folder, load_scenario(WORK), faults=lies)
    assert found["faults"] == [], found["faults"]
    trials = {(each["fault"], each["nodes"]): each for each in found["trials"]}
    assert len(trials) == 1 + 2 * len(lies)
    table = format_chaos_results_table({"parts": {"work": found}})
    assert re.search(rf"^work +without a liar +{found['trials'][0]['blocks']} blocks", table)
    return trials


LYING_BRIEF = (
    "tests/backstop/live/operate/test_lies_about_sending.py::test_a_refusal_is_tried_at_the_other_node"
)


@pytest.mark.deep(brief=LYING_BRIEF)
@pytest.mark.anvil
def test_keepers_finish_their_work_beside_every_liar(tmp_path: Path) -> None:
    """Each role does, in at most twice the blocks of a run without a liar; no gas is wasted."""
    trials = list_work_trials(tmp_path, ())
    honest = trials["none", "beside an honest one"]
    for (fault, nodes), each in trials.items():
        assert each["empty"] == each["failed"] == 0, fault
        assert nodes == "alone" or each["blocks"] <= 2 * honest["blocks"], fault
    assert "which the node at" in trials["nonce too low", "beside an honest one"]["lines"][0]
    assert "is not believed" in trials["nonce too low", "alone"]["lines"][0]


@pytest.mark.deep(brief=LYING_BRIEF)
@pytest.mark.anvil
def test_work_that_is_not_done_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge itself: keepers that believe a node's answers about their transactions."""
    monkeypatch.setattr(Outbox, "_leave_refuted_node", lambda *_: None)
    monkeypatch.setattr("backstop.live.operate.outbox.find_settled_account", lambda *_: None)
    monkeypatch.setattr("backstop.live.operate.outbox.find_agreed_nonce", lambda *_: None)
    lies = [each for each in LIES_ABOUT_WORK if each.name == "nonce ahead"]
    found = run_work_trials(tmp_path, load_scenario(WORK), faults=lies)
    assert len(found["faults"]) >= 2 and any("was not noticed" in each for each in found["faults"])


def test_the_page_names_every_lie_about_work() -> None:
    page = (ROOT / "docs/reference/node-faults.md").read_text()
    rows = page.partition("| lie | the node |")[2].partition("\n\n")[0]
    found = re.findall(r"^\| `([^`]+)` \| (.*?) \| (\w+)[^|]*\| (\w+)", rows, re.M)
    told = [
        (each.name, each.what, "stays" if each.stays else "leaves", "works" if each.works else "waits")
        for each in LIES_ABOUT_WORK
    ]
    assert found == told


def test_the_page_names_every_fault() -> None:
    page = (ROOT / "docs/reference/node-faults.md").read_text()
    rows = page.partition("| fault | the node |")[2].partition("\n\n")[0]
    found = re.findall(r"^\| `([^`]+)` \| (.*?) \| (.*?) ?\| (\w+)", rows, re.M)
    beside = {each.name: "" if each in OF_LOGS else "stays" if each.stays else "leaves it" for each in ALL}
    alone = {each.name: "works" if each.works else "ends" if each in OF_LOGS else "waits" for each in ALL}
    assert found == [(each.name, each.what, beside[each.name], alone[each.name]) for each in ALL]


@pytest.mark.deep(brief="tests/backstop/live/operate/test_keeper_nodes.py::test_a_node_that_lies_is_left")
@pytest.mark.anvil
def test_a_fault_that_is_believed_is_told(tmp_path: Path) -> None:
    """The judge itself: a fault that does no harm goes unnoticed, and fails if it should be noticed."""
    late = next(each for each in FAULTS if each.name == "batches in another order")
    found = run_node_trials(tmp_path, load_scenario(SMALL), faults=[late._replace(stays=False)], within=3.0)
    assert len(found["faults"]) == 2 and all("it was not noticed" in each for each in found["faults"])


def test_what_waits_is_counted_until_somebody_acts() -> None:
    waits = WaitTimes()
    waits.note_block(["a", "b"], calm=True)
    waits.note_block(["a", "b"], calm=False)
    waits.note_block(["a"], calm=True)  # b is gone
    waits.note_done("a")
    waits.note_block(["a"], calm=True)  # another time
    assert waits.longest == {"a": 2, "b": 1} and waits.find_waits_above_limit(1) == {"a": 2}
    assert (waits.compute_percentile(50), waits.compute_percentile(99)) == (2, 3)  # of 1, 2 and 3
    assert WaitTimes().compute_percentile(99) == 0


def test_of_several_with_one_nonce_the_dearest_is_reserved(tmp_path: Path) -> None:
    """A journal gave the first transaction up. A mined transaction, or one with a used nonce, is not open."""
    who = get_account("bidder")
    journal = Journal(tmp_path, 31_337, "0x12345678", who)
    journal.lock_and_read_file()
    for i, (nonce, spends) in enumerate([(4, 100), (5, 7), (5, 3), (6, 2), (7, 50)]):
        entry = Entry(nonce, "bidder", "take", (), "0x1", "0x", 100, spends=spends, given_up=i == 1)
        entry.attempts.append(Attempt(f"0x{i}", "0x", 5, 1))
        entry.block = 9 if nonce == 7 else None
        journal.put_entry(entry)
    found = read_pending_spends(tmp_path, who, 5)
    assert sorted(found) == [(5, 3), (5, 7), (6, 2)] and sum_largest_spend_per_nonce(found) == 9
    journal.drop_unminable_entry(journal.entries[3])
    assert sum_largest_spend_per_nonce(read_pending_spends(tmp_path, who, 5)) == 7
    journal.close()


def test_a_budget_is_of_any_hour() -> None:
    (name, what, limit), *_ = BUDGETS
    faults: list[str] = []
    kept = check_hourly_spending_budgets(
        {(name, what): [(0.0, limit), (HOUR, limit), (2 * HOUR + 1.0, limit - 5)]}, faults
    )
    assert faults == [] and kept[0]["most_wad"] == str(limit)
    over = [(0.0, limit // 2), (HOUR - 1.0, limit // 2 + 1), (9.0 * HOUR, 1)]
    kept = check_hourly_spending_budgets({(name, what): over}, faults)
    assert kept[0]["most_wad"] == str(limit + 1)
    assert faults == [f"{name} spent {limit + 1} of {limit} within an hour ({what})"]


def test_what_differs_is_named() -> None:
    one = {"nonce of taker": 3, "/ETH/balanceOf/0x1": "0x7"}
    other = {"nonce of taker": 4, "/ETH/balanceOf/0x1": "0x7", "coins of crank": 1}
    assert describe_differences(one, one) == []
    assert describe_differences(one, other) == [
        "coins of crank: None without kills, 1 with",
        "nonce of taker: 3 without kills, 4 with",
    ]


def test_kills_fall_on_every_point_and_are_the_same_every_time() -> None:
    runs = [draw_scheduled_kills(create_random(1, f"run {number}"), number) for number in range(20)]
    points = [kill.point for run in runs for kill in run if kill.point]
    assert {points.count(name) for name in POINTS} == {5} and len(points) == 50
    assert runs == [draw_scheduled_kills(create_random(1, f"run {number}"), number) for number in range(20)]
    assert runs[0] != draw_scheduled_kills(create_random(2, "run 0"), 0)


@pytest.mark.parametrize("status", [200, 503])
def test_who_dies_over_its_answer_says_nothing(status: int, tmp_path: Path) -> None:
    class Dying(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "61")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = BackgroundServer(Dying)
    follower = FollowerProcess("keeper", "keeper", [], tmp_path)
    follower.port = server.server_port
    assert follower.get_health() is None
    server.stop()
    assert follower.get_health() is None
