"""The devnet of docs/do/operate.md, command by command, in processes; and what signals do to them."""

from __future__ import annotations

import doctest
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backstop.hosts.free_ports import find_free_non_ephemeral_port
from backstop.live.node.rpc_node import LOCAL, Node
from backstop.simulation.run_directory import load_run
from tests.support.checkout_paths import ROOT
from tests.support.condition_wait import wait_until_true
from tests.support.devnet_process import SMALL

MINUTE, DAY = 60, 86_400
GUIDE = (ROOT / "docs/do/operate.md").read_text()
DOC = GUIDE.partition("\n## A devnet of your own\n")[2].partition("\n## ")[0]


class Terminal:
    """Runs the page's commands on another port, with other files, and with a small scenario."""

    def __init__(self, folder: Path) -> None:
        self.url = f"http://127.0.0.1:{find_free_non_ephemeral_port()}"
        self.folder = folder
        self.running: list[subprocess.Popen[str]] = []
        self.changes = {
            LOCAL: self.url,
            "ape run devnet": f"ape run devnet --port {self.url.rpartition(':')[2]}",
            "deployment.json": str(folder / "deployment.json"),
            "runs/devnet": str(folder / "run"),
            "black-thursday --until 12:00": f"{SMALL} --until 03:00 --speed 0.02",
            "--params black-thursday": f"--params {SMALL}",
            # The same commands, without Ape, which takes longer to start than they do.
            ".venv/bin/ape run": f"{sys.executable} {Path(sys.executable).parent / 'backstop'}",
        }

    def change(self, text: str) -> str:
        for old, new in self.changes.items():
            text = text.replace(old, new)
        return text

    def start(self, command: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            shlex.split(self.change(command)),
            cwd=ROOT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=(self.folder / f"{len(self.running)}.err").open("w"),
        )
        self.running.append(process)
        return process

    def run(self, command: str) -> str:
        """What a command prints; it has to succeed."""
        done = subprocess.run(
            shlex.split(self.change(command)), cwd=ROOT, text=True, capture_output=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def close(self) -> None:
        for process in self.running:
            process.kill()
            process.communicate()

    def errors(self, process: subprocess.Popen[str]) -> str:
        return (self.folder / f"{self.running.index(process)}.err").read_text()


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    opened = Terminal(tmp_path)
    yield opened
    opened.close()


def start_devnet(terminal: Terminal) -> subprocess.Popen[str]:
    devnet = terminal.start(".venv/bin/ape run devnet")
    assert devnet.stdout is not None
    assert devnet.stdout.readline() == f"{terminal.url}\n"
    return devnet


def wait_for_the_day(node: Node, opened: int) -> None:
    """Until a crash is some blocks into the small scenario: the first midnight after the book's 20 days."""
    midnight = -(-(opened + 20 * DAY) // DAY) * DAY
    wait_until_true(
        lambda: node.get_head().timestamp >= midnight + 2 * MINUTE, seconds=120, told=node.get_head
    )


@pytest.mark.deep(brief="tests/style/test_commands.py::test_commands_are_what_they_are")
def test_the_page(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = re.findall(r"^    (\.venv/bin/ape .*)$", DOC, re.M)
    devnet_command, deploy, keeper, crash, report, replay, once, console = commands
    assert devnet_command == ".venv/bin/ape run devnet"
    devnet = start_devnet(terminal)

    assert "VaultEngine" in terminal.run(deploy)
    assert keeper.endswith(" &")
    keepers = terminal.start(keeper.removesuffix(" &"))
    said = terminal.folder / "1.err"
    wait_until_true(lambda: "watching" in said.read_text(), seconds=120, told=said.read_text)
    printed = terminal.run(crash)
    assert "0 differences" in printed and "liquidations" in printed
    assert terminal.run(report).strip() == str(terminal.folder / "run" / "report.html")
    assert "differences      0" in terminal.run(replay)

    summary = load_run(terminal.folder / "run").summary
    active = {each["name"]: each["included"] for each in summary["keepers"]}
    assert active["liquidator"] > 0 and active["taker"] > 0
    done = terminal.errors(keepers)
    assert done.count(" done in block ") >= active["liquidator"] + active["taker"]

    assert "transactions, 0 failed" in terminal.run(once)
    assert "ratio_bps" in terminal.run(console)
    example = "\n".join(re.findall(r"```python\n(.*?)```", DOC, re.S))
    # The small scenario has fewer vaults.
    test = doctest.DocTestParser().get_doctest(
        terminal.change(example).replace("> 50", "> 5"), {}, "operate.md", None, 0
    )
    runner, failures = doctest.DocTestRunner(), list[str]()
    runner.run(test, out=failures.append)
    assert runner.tries > 9 and not runner.failures, "".join(failures)

    keepers.send_signal(signal.SIGINT)
    out, _ = keepers.communicate(timeout=60)
    assert keepers.returncode == 0, terminal.errors(keepers)
    # One may fail: the market can move between the try and the block.
    assert re.match(r"\d+ transactions, \d+ failed, .* coins for gas\nnew block to first transaction: ", out)
    devnet.send_signal(signal.SIGTERM)
    devnet.communicate(timeout=60)
    assert devnet.returncode == 0
    for process in terminal.running:
        assert "Traceback" not in terminal.errors(process)


@pytest.mark.deep(
    brief="tests/backstop/live/operate/test_crash.py::test_being_stopped_leaves_partial_results"
)
def test_signals_keep_partial_results(tmp_path: Path, terminal: Terminal) -> None:
    """Two crashes on two devnets, one stopped by Ctrl-C, the other by a supervisor."""
    (tmp_path / "other").mkdir()
    terminals = {signal.SIGINT: terminal, signal.SIGTERM: Terminal(tmp_path / "other")}
    crashes = {}
    opened = {}
    try:
        for number, each in terminals.items():
            start_devnet(each)
            each.run(f".venv/bin/ape run deploy --params {SMALL} --network {LOCAL} --out deployment.json")
            opened[number] = Node(each.url).get_head().timestamp
            crashes[number] = each.start(
                f".venv/bin/ape run crash --scenario {SMALL} --network {LOCAL} "
                "--deployment deployment.json --speed 1 --out runs/devnet"
            )
        for number, each in terminals.items():
            crash = crashes[number]
            wait_for_the_day(Node(each.url), opened[number])
            crash.send_signal(number)
            crash.communicate(timeout=60)
            errors = each.errors(crash)
            assert crash.returncode == 1, errors
            assert "Error: stopped at block" in errors and "what there is so far is in" in errors
            assert "Traceback" not in errors
            loaded = load_run(each.folder / "run")
            assert loaded.summary["completed"] is False and len(loaded.frames["state"]) > 0
    finally:
        terminals[signal.SIGTERM].close()
