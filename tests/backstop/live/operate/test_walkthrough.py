"""The devnet of docs/how-to/operate.md and its tasks, command by command; and the effect of signals."""

from __future__ import annotations

import doctest
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from backstop.errors import BackstopError
from backstop.hosts.anvil import find_anvil_on_path
from backstop.hosts.free_ports import find_free_non_ephemeral_port
from backstop.live.node.rpc_node import LOCAL, Node
from backstop.simulation.run_directory import load_run
from tests.support.checkout_paths import ROOT
from tests.support.condition_wait import wait_until_true
from tests.support.devnet_process import SMALL
from tests.support.hardhat_projects import PROJECTS, build_stock_project, require_hardhat_project
from tests.support.page_commands import list_page_blocks

MINUTE, DAY = 60, 86_400
PORT = re.compile(r"http://127\.0\.0\.1:185\d\d")


def read_page(name: str) -> str:
    """Return a page about a task, with the address of the default port."""
    return PORT.sub(LOCAL, (ROOT / f"docs/how-to/{name}.md").read_text())


def find_commands(name: str, *starts: str) -> list[str]:
    """Return for each beginning the page's first command that has it, without the filters of its output."""
    commands = [command for command, _ in list_page_blocks(read_page(name))]
    return [
        re.split(r" 2>&1| \| ", next(each for each in commands if each.startswith(f"backstop {start}")))[0]
        for start in starts
    ]


def list_plain_commands(name: str) -> list[str]:
    """Return the commands of a page that it shows without output, in its order."""
    return re.findall(r"^    ((?:[A-Z_]+=\S+ )?backstop .*|npx .*)$", read_page(name), re.M)


class Terminal:
    """Runs the guide's commands in an empty folder and on another port, by default with a small scenario."""

    def __init__(self, folder: Path, small: bool = True) -> None:
        port = find_free_non_ephemeral_port()
        self.url = f"http://127.0.0.1:{port}"
        self.folder = folder
        self.running: list[subprocess.Popen[str]] = []
        self.changes = {
            LOCAL: self.url,
            "backstop devnet": f"backstop devnet --port {port}",
            "npx hardhat node": f"node_modules/.bin/hardhat node --hostname 127.0.0.1 --port {port}",
            "backstop ": f"{sys.executable} {Path(sys.executable).parent / 'backstop'} ",
        }
        if small:
            self.changes |= {
                "black-thursday --until 12:00": f"{SMALL} --until 03:00 --speed 0.02",
                "--params black-thursday": f"--params {SMALL}",
            }

    def change(self, text: str) -> str:
        for old, new in self.changes.items():
            text = text.replace(old, new)
        return text

    def start(
        self, command: str, folder: Path | None = None, stdout: int = subprocess.PIPE
    ) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            shlex.split(self.change(command)),
            cwd=folder or self.folder,
            text=True,
            stdout=stdout,
            stderr=(self.folder / f"{len(self.running)}.err").open("w"),
        )
        self.running.append(process)
        return process

    def run(self, command: str) -> str:
        """Return the output of a command that has to succeed."""
        done = subprocess.run(
            ["bash", "-c", self.change(command)],
            cwd=self.folder,
            text=True,
            capture_output=True,
            timeout=600,
        )
        assert done.returncode == 0, (command, done.stderr)
        assert "Traceback" not in done.stderr
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
    devnet = terminal.start("backstop devnet")
    assert devnet.stdout is not None
    assert devnet.stdout.readline() == f"{terminal.url}\n"
    return devnet


def wait_for_the_day(node: Node, opened: int) -> None:
    """Until a crash is some blocks into the small scenario: the first midnight after the book's 20 days."""
    midnight = -(-(opened + 20 * DAY) // DAY) * DAY
    wait_until_true(
        lambda: node.get_head().timestamp >= midnight + 2 * MINUTE, seconds=120, told=node.get_head
    )


KINDS = ("devnet", "plain")


class Chain(NamedTuple):
    """A way to start a chain: as this page describes it, or as a user without the page would."""

    kind: str
    hardhat: str = ""
    """The version; "" for Anvil."""

    @property
    def repeats_time(self) -> bool:
        """Whether blocks may share a time, which lets a run be replayed."""
        return self.kind == "devnet" or not self.hardhat

    def start_node(self, terminal: Terminal) -> subprocess.Popen[str]:
        """Start it as the guide says, and wait until it answers."""
        plain_anvil = f"{find_anvil_on_path()} --port {terminal.url.rpartition(':')[2]} --hardfork cancun"
        devnet_of_hardhat, stock, _fuzz = list_plain_commands("use-hardhat")
        if self.kind == "devnet":
            process = terminal.start(devnet_of_hardhat if self.hardhat else "backstop devnet")
        else:  # each writes a line for every call
            folder = (
                build_stock_project(self.hardhat, terminal.folder / "my-project") if self.hardhat else None
            )
            process = terminal.start(stock if self.hardhat else plain_anvil, folder, subprocess.DEVNULL)
        if self.kind == "devnet":
            assert process.stdout is not None
            assert process.stdout.readline() == f"{terminal.url}\n"
        wait_until_true(lambda: answers(terminal.url), seconds=30)
        return process


def answers(url: str) -> bool:
    try:
        return Node(url).get_head().number >= 0
    except BackstopError:
        return False


CHAINS = [
    Chain("devnet"),
    Chain("plain"),
    *(Chain(kind, version) for kind in KINDS for version in PROJECTS),
]


@pytest.mark.deep(brief="tests/style/test_commands.py::test_commands_are_what_they_are")
@pytest.mark.hardhat
@pytest.mark.parametrize(
    "chain",
    CHAINS,
    ids=lambda chain: f"{chain.kind}-{'hardhat-' + chain.hardhat if chain.hardhat else 'anvil'}",
)
def test_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chain: Chain) -> None:
    """Every command of the page, to the letter on the chains that it starts; else with a small scenario."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    with closing(Terminal(tmp_path, small=chain.kind == "plain")) as terminal:
        if chain.hardhat:
            terminal.changes["../my-project"] = str(require_hardhat_project(chain.hardhat))
        node = chain.start_node(terminal)
        keepers = follow_first_section(terminal, chain)
        follow_other_sections(terminal, chain)
        keepers.send_signal(signal.SIGINT)
        out, _ = keepers.communicate(timeout=60)
        assert keepers.returncode == 0, terminal.errors(keepers)
        # One may fail: the market can move between the try and the block.
        assert re.match(
            r"\d+ transactions, \d+ failed, .* coins for gas\nnew block to first transaction: ", out
        )
        node.send_signal(signal.SIGTERM)
        node.communicate(timeout=60)
        assert chain.kind == "plain" or node.returncode == 0
        for process in terminal.running:
            assert "Traceback" not in terminal.errors(process)


def follow_first_section(terminal: Terminal, chain: Chain) -> subprocess.Popen[str]:
    """The shortest path: from the deployment on; return the keepers."""
    deploy, keeper, crash = find_commands("operate", "deploy", "keeper", "crash")
    report, replay = find_commands("run-a-devnet", "report", "replay")
    assert "VaultEngine" in terminal.run(deploy)
    keepers = terminal.start(keeper)
    wait_until_true(
        lambda: "watching" in terminal.errors(keepers), seconds=120, told=lambda: terminal.errors(keepers)
    )
    printed = terminal.run(f"{crash} 2>&1")
    assert "0 differences" in printed and "liquidations" in printed
    assert ("allowBlocksWithSameTimestamp" in printed) != chain.repeats_time
    assert terminal.run(report).strip() == "runs/devnet/report.html"
    assert Path("runs/devnet/trace.json").exists() == chain.repeats_time
    if chain.repeats_time:
        assert "differences      0" in terminal.run(replay)

    summary = load_run(terminal.folder / "runs" / "devnet").summary
    active = {each["name"]: each["included"] for each in summary["keepers"]}
    assert active["liquidator"] > 0 and active["taker"] > 0
    done = terminal.errors(keepers)
    # A batch of liquidations is one line.
    calls = [int(many or 1) for many in re.findall(r": [\w.]+\((?:(\d+) of )?.* done in block ", done)]
    assert sum(calls) >= active["liquidator"] + active["taker"]

    once = f"{keeper.partition(' --roles ')[0]} --once --roles "
    assert "transactions, 0 failed" in terminal.run(f"{once}accruer")
    assert "transactions, 0 failed" in terminal.run(f"{once}reporter,bidder,settler,matcher")
    page = read_page("call-contracts-from-python")
    example = "\n".join(re.findall(r"```python\n(.*?)```", page, re.S))
    # The small scenario has fewer vaults.
    fewer = "> 5" if chain.kind == "plain" else "> 50"
    test = doctest.DocTestParser().get_doctest(
        terminal.change(example).replace("> 50", fewer), {}, "call-contracts-from-python.md", None, 0
    )
    runner, failures = doctest.DocTestRunner(), list[str]()
    runner.run(test, out=failures.append)
    assert runner.tries > 9 and not runner.failures, "".join(failures)
    return keepers


def follow_other_sections(terminal: Terminal, chain: Chain) -> None:
    """Governing, following, and on Hardhat the fuzzer."""
    status, propose, execute, cancel = find_commands(
        "govern", "govern --network", "govern propose", "govern execute", "govern cancel"
    )
    assert "0 proposals are open" in terminal.run(status)
    assert "would succeed now" in terminal.run(propose)
    proposed = terminal.run(propose.removesuffix(" --dry-run"))
    assert "done in block" in proposed
    name = proposed.partition("proposal ")[2].split()[0]
    with pytest.raises(AssertionError, match="timelock: too early"):
        terminal.run(re.sub("0x[0-9a-f]{4}", name[:10], execute))
    assert "done in block" in terminal.run(re.sub("0x[0-9a-f]{4}", name[:10], cancel))

    (mirror,) = find_commands("follow-a-deployment", "mirror")
    audit, verify = find_commands("audit-a-block", "audit --network", "audit --verify")
    export, simulate = find_commands("export-to-a-simulation", "export", "simulate")
    independent = f"{audit.replace('runs/audit', 'runs/witness')} --independent"
    assert "; 0 differences; " in terminal.run(mirror)
    assert "0 differences since the deployment" in terminal.run(audit)
    block_hash = json.loads(Path("runs/audit/audit.json").read_text())["block"]["hash"]
    assert "every figure follows from the block's hash" in terminal.run(
        re.sub("0x[0-9a-f]+", block_hash, verify)
    )
    assert "read again by web3.py" in (told := terminal.run(independent)) and " 0 differences" in told
    assert terminal.run(export).strip() == "runs/today/scenario.yaml"
    assert "0 differences" in terminal.run(simulate)
    if chain.hardhat and chain.kind == "devnet":
        *_, fuzz = list_plain_commands("use-hardhat")
        assert re.search(r"steps=2000 steps_per_s=\d+ differences=0 violations=0", terminal.run(fuzz))


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
            each.run(f"backstop deploy --params {SMALL} --network {LOCAL} --out deployment.json")
            opened[number] = Node(each.url).get_head().timestamp
            crashes[number] = each.start(
                f"backstop crash --scenario {SMALL} --network {LOCAL} "
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
            loaded = load_run(each.folder / "runs" / "devnet")
            assert loaded.summary["completed"] is False and len(loaded.frames["state"]) > 0
    finally:
        terminals[signal.SIGTERM].close()
