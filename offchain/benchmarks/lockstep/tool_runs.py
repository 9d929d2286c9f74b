"""Runs of one tool on one build of a vault, as its user would start it, in a folder of its own."""

from __future__ import annotations

import io
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tokenize
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ClassVar, NamedTuple

import psutil

from backstop.errors import BackstopError
from backstop.files.atomic_files import write_json
from backstop.files.installation import ROOT, cache_folder
from backstop.hosts.free_ports import find_free_non_ephemeral_port
from benchmarks.lockstep.foreign_vaults import BENCH, NODE_PACKAGES, SOLC, VaultBuild

TOOLS = ("lockstep", "titanoboa", "Ape", "Foundry")
TIMEOUT = 60.0
"""CPU seconds after which a tool is stopped that has found nothing, its start included."""
GRACE = 60.0
"""CPU seconds that a tool may take to start and to end where its speed is measured."""
FOUNDRY_DEPTH = 500
"""Calls of a run of Foundry, as its default is."""
POLL = 0.1
"""Seconds between two readings of a command's use."""
PATIENCE = 20
"""Seconds that a command may take for each CPU second that it has: others may use the processors."""
_STOPPED_BY: list[int] = []
_PLUGIN = Path(__file__).with_name("hypothesis_limits.py")
_CACHE = cache_folder() / "lockstep_bench"


class CommandRun(NamedTuple):
    """Output of a command, CPU seconds of all that it started, its exit code: none if it was stopped."""

    output: str
    cpu_seconds: float
    code: int | None


class ToolRun(NamedTuple):
    """Result of a tool in so many CPU seconds, its start included."""

    found: bool
    seconds: float
    output: str


class ToolSpeed(NamedTuple):
    """Steps of a tool on a whole vault, and their CPU seconds without start and deployment."""

    steps: int
    seconds: float

    @property
    def rate(self) -> float:
        """Steps a CPU second."""
        return self.steps / self.seconds


class ToolProject(ABC):
    """A folder with a user's files of one tool, and the contracts of one build at a time."""

    tool: str
    typical_rate: float  # steps a CPU second, roughly
    failed: re.Pattern[str]  # in the output of a run that found something

    def __init__(self, vault: str, folder: Path) -> None:
        self.vault = vault
        self.folder = folder
        self.users = BENCH / "users" / self.tool.lower()
        shutil.copytree(self.users, folder)

    def list_user_files(self) -> list[Path]:
        """Return what a user writes for this vault: tests and settings."""
        others = {f"test_{name}.py" for name in ("snekmate", "openzeppelin")} - {f"test_{self.vault}.py"}
        return sorted(
            path
            for path in self.users.iterdir()
            if path.suffix in (".py", ".yaml") and path.name not in others
        )

    @abstractmethod
    def put_contracts(self, build: VaultBuild, sources: Path) -> None:
        """Replace the contracts by those of a build."""

    @abstractmethod
    def build_command(self, seed: int, steps: int | None) -> list[str]:
        """Return the command that tests until something is found, or for so many steps."""

    def build_environment(self, steps: int | None) -> dict[str, str]:
        """Return what the command's environment has besides ours."""
        return {}

    @abstractmethod
    def read_steps(self, output: str) -> int:
        """Read the steps of a run that was limited."""

    def find_failure(self, seed: int, timeout: float = TIMEOUT) -> ToolRun:
        """Test until something is found or the CPU seconds are used up."""
        run = run_in_own_group(
            self.build_command(seed, None), self.folder, self.build_environment(None), timeout
        )
        found = run.code not in (0, None)
        if found and not self.failed.search(run.output):
            raise BackstopError(f"{self.tool} failed by itself:\n{run.output[-3000:]}")
        return ToolRun(found, run.cpu_seconds, run.output)

    def measure_speed(self, seed: int, seconds: float) -> ToolSpeed:
        """Test a whole vault for about so many CPU seconds, and for a tenth: return what is between.

        Steps limit both: in so much time by the clock a tool does little where others use the processors.
        """
        most = max(10, round(seconds * self.typical_rate))
        short, long = (self._count_steps(seed, each, seconds) for each in (most // 10, most))
        return ToolSpeed(long.steps - short.steps, long.seconds - short.seconds)

    def _count_steps(self, seed: int, steps: int, seconds: float) -> ToolSpeed:
        run = run_in_own_group(
            self.build_command(seed, steps), self.folder, self.build_environment(steps), GRACE + 10 * seconds
        )
        if run.code != 0:
            raise BackstopError(f"{self.tool} does not end in {self.vault} as it is:\n{run.output[-3000:]}")
        return ToolSpeed(self.read_steps(run.output), run.cpu_seconds)


class _HypothesisProject(ToolProject):
    """Tests that Hypothesis drives, without shrinking."""

    failed = re.compile(r"^(?:FAILED|ERROR) ", re.MULTILINE)

    def __init__(self, vault: str, folder: Path) -> None:
        super().__init__(vault, folder)
        shutil.copy(_PLUGIN, folder)

    def build_environment(self, steps: int | None) -> dict[str, str]:
        """Have the plugin and the shared part of the tests found, and the steps limited."""
        limits = {} if steps is None else {"BENCH_STEPS": str(steps)}
        return {"PYTHONPATH": ".", "PYTHONDONTWRITEBYTECODE": ""} | limits

    def read_steps(self, output: str) -> int:
        """Read what the plugin counted."""
        return int((self.folder / "steps.txt").read_text())

    def _list_pytest_options(self, seed: int) -> list[str]:
        return [f"test_{self.vault}.py", "-q", "-p", "hypothesis_limits", f"--hypothesis-seed={seed}"]


class ApeProject(_HypothesisProject):
    """Ape's accounts and contracts on Anvil."""

    tool = "Ape"
    typical_rate = 25

    def build_environment(self, steps: int | None) -> dict[str, str]:
        """Give the node a port: one that Ape draws may be some connection's."""
        host = f"http://127.0.0.1:{find_free_non_ephemeral_port()}"
        return super().build_environment(steps) | {"APE_FOUNDRY_HOST": host}

    def put_contracts(self, build: VaultBuild, sources: Path) -> None:
        """Write the contracts as Ape keeps what it has compiled: no run waits for a compiler."""
        folder = _empty_folder(self.folder / "contracts")
        shutil.rmtree(self.folder / ".build", ignore_errors=True)
        for name, each in build.contracts.items():
            content = {
                "contractName": name,
                "abi": each.abi,
                "deploymentBytecode": {"bytecode": each.bytecode},
            }
            write_json(content, folder / f"{name}.json")

    def build_command(self, seed: int, steps: int | None) -> list[str]:
        """Return the command of `ape test`."""
        return [str(Path(sys.executable).with_name("ape")), "test", *self._list_pytest_options(seed)]


class TitanoboaProject(_HypothesisProject):
    """titanoboa in an environment of its own, as it needs other versions than Ape."""

    tool = "titanoboa"
    typical_rate = 100

    def put_contracts(self, build: VaultBuild, sources: Path) -> None:
        """Copy the Vyper sources, which titanoboa compiles itself; of Solidity it takes ABI and code."""
        _empty_folder(self.folder / "home")
        if build.solc_output is None:
            shutil.copytree(
                sources / "contracts", _empty_folder(self.folder / "contracts"), dirs_exist_ok=True
            )
        else:
            _write_abi_and_code(build, _empty_folder(self.folder / "artifacts"))

    def build_environment(self, steps: int | None) -> dict[str, str]:
        """Give it a new cache: with an old one it runs a contract as its modules were before."""
        return super().build_environment(steps) | {"HOME": str(self.folder / "home")}

    def build_command(self, seed: int, steps: int | None) -> list[str]:
        """Return the command of pytest."""
        return [str(prepare_titanoboa()), "-m", "pytest", *self._list_pytest_options(seed)]


class FoundryProject(ToolProject):
    """Invariants of Foundry, with tests that are compiled before a run."""

    tool = "Foundry"
    typical_rate = 2_000
    failed = re.compile(r"^\[FAIL", re.MULTILINE)
    _calls = re.compile(r"calls: (\d+),")
    _names: ClassVar = {"snekmate": "Snekmate", "openzeppelin": "OpenZeppelin"}

    def __init__(self, vault: str, folder: Path) -> None:
        super().__init__(vault, folder)
        for name in set(self._names) - {vault}:
            (folder / "test" / f"{self._names[name]}.t.sol").unlink()
        (folder / "node_modules").symlink_to(BENCH / "node_modules")
        run = run_in_own_group(
            [str(_find_forge()), "build", "--offline"], folder, self.build_environment(None), GRACE
        )
        if run.code != 0:
            raise BackstopError(f"forge does not build:\n{run.output[-3000:]}")

    def list_user_files(self) -> list[Path]:
        """Return tests and settings, without the substitutes of forge-std."""
        test = self.users / "test"
        return [
            self.users / "foundry.toml",
            test / "VaultHandler.sol",
            test / f"{self._names[self.vault]}.t.sol",
        ]

    def put_contracts(self, build: VaultBuild, sources: Path) -> None:
        """Write the contracts for `vm.getCode`, and forget what was found before."""
        _write_abi_and_code(build, _empty_folder(self.folder / "artifacts"))
        shutil.rmtree(self.folder / "cache" / "invariant", ignore_errors=True)

    def build_command(self, seed: int, steps: int | None) -> list[str]:
        """Return the command of `forge test`."""
        return [str(_find_forge()), "test", "--offline", "--fuzz-seed", hex(seed)]

    def build_environment(self, steps: int | None) -> dict[str, str]:
        """Name the compiler; go on without end, or for some runs, and do not shrink."""
        runs = 1_000_000 if steps is None else max(1, steps // FOUNDRY_DEPTH)
        limits = {"FOUNDRY_INVARIANT_RUNS": str(runs), "FOUNDRY_INVARIANT_SHRINK_RUN_LIMIT": "0"}
        return {"FOUNDRY_SOLC": str(SOLC)} | limits

    def read_steps(self, output: str) -> int:
        """Read the calls of the only suite."""
        found = self._calls.search(output)
        if found is None:
            raise BackstopError(f"forge prints no calls:\n{output[-3000:]}")
        return int(found[1])


class LockstepProject(ToolProject):
    """The plugin of this project, under plain pytest."""

    tool = "lockstep"
    typical_rate = 3_000
    failed = re.compile(r"^(?:lockstep found a difference|model and chain differ at step 0)", re.MULTILINE)
    _calls = re.compile(r"::campaign: ([\d,]+) calls")

    def put_contracts(self, build: VaultBuild, sources: Path) -> None:
        """Copy the Vyper sources, which the plugin compiles itself; of Solidity it takes solc's output."""
        if build.solc_output is None:
            shutil.copytree(
                sources / "contracts", _empty_folder(self.folder / "contracts"), dirs_exist_ok=True
            )
        else:
            write_json(build.solc_output, _empty_folder(self.folder / "artifacts") / "solc.json")

    def build_command(self, seed: int, steps: int | None) -> list[str]:
        """Return the command of pytest."""
        limit = (
            ["--lockstep-seconds", str(PATIENCE * TIMEOUT)]
            if steps is None
            else ["--lockstep-steps", str(steps)]
        )
        options = ["--lockstep-seed", str(seed), *limit, "--lockstep-shrink-seconds", "0"]
        return [sys.executable, "-m", "pytest", "-p", "no:ape_test", f"test_{self.vault}.py", "-q", *options]

    def build_environment(self, steps: int | None) -> dict[str, str]:
        """Have the shared part of the tests found."""
        return {"PYTHONPATH": ".", "PYTHONDONTWRITEBYTECODE": ""}

    def read_steps(self, output: str) -> int:
        """Read the calls in the summary of the only campaign."""
        found = self._calls.search(output)
        if found is None:
            raise BackstopError(f"lockstep prints no calls:\n{output[-3000:]}")
        return int(found[1].replace(",", ""))


PROJECTS: dict[str, Callable[[str, Path], ToolProject]] = {
    each.tool: each for each in (LockstepProject, TitanoboaProject, ApeProject, FoundryProject)
}


def run_in_own_group(
    command: list[str], folder: Path, environment: Mapping[str, str], most_cpu_seconds: float
) -> CommandRun:
    """Run a command until it ends or has used so many CPU seconds, with all that it has started.

    All of these processes end with it: Ape does not stop its node itself.
    """
    before, began = _get_ended_cpu_seconds(), time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        code: int | None = None
        children: list[psutil.Process] = []
        try:
            watched = psutil.Process(process.pid)
            while code is None:
                if _STOPPED_BY:
                    sys.exit(128 + _STOPPED_BY[0])
                with suppress(subprocess.TimeoutExpired):
                    code = process.wait(POLL)
                    break
                children = watched.children(recursive=True)
                used = sum(map(_read_cpu_seconds, (watched, *children)))
                if used > most_cpu_seconds or time.monotonic() - began > PATIENCE * most_cpu_seconds:
                    break
            left = sum(map(_read_cpu_seconds, children))
        finally:
            _end_group(process.pid)
            process.wait()
        output.seek(0)
        return CommandRun(output.read(), _get_ended_cpu_seconds() - before + left, code)


@contextmanager
def exit_on_stop_signals() -> Iterator[None]:
    """Make SIGINT and SIGTERM end the running tool, then the process; else the tool would go on."""
    old = {
        number: signal.signal(number, lambda received, _frame: _STOPPED_BY.append(received))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def count_code_lines(files: list[Path]) -> int:
    """Count lines that are neither blank nor comment nor docstring."""
    return sum(_count_lines(path.read_text(), path.suffix) for path in files)


def prepare_titanoboa() -> Path:
    """Return the Python that has titanoboa; the first time, install it from its lock."""
    lock = BENCH / "requirements.lock"
    folder = _CACHE / "titanoboa"
    python, done = folder / "bin" / "python", folder / ".lock"
    if not done.is_file() or done.read_text() != lock.read_text():
        shutil.rmtree(folder, ignore_errors=True)
        _install_tool([sys.executable, "-m", "venv", str(folder)])
        options = ["-qq", "--disable-pip-version-check", "--require-hashes", "-r", str(lock)]
        _install_tool([str(python), "-m", "pip", "install", *options])
        shutil.copy(lock, done)
    return python


def prepare_node_packages() -> None:
    """Have compiler, vault and Foundry in `node_modules`; the first time, install them from their lock."""
    _install_tool(["make", "--silent", NODE_PACKAGES])


def _install_tool(command: list[str]) -> None:
    """Run a command that installs something; raise BackstopError with its last line if it fails."""
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        last = (done.stdout.strip().splitlines() or ["it says nothing"])[-1]
        raise BackstopError(f"{' '.join(command)} fails: {last}")


def _count_lines(text: str, suffix: str) -> int:
    if suffix != ".py":
        lines = (line.strip() for line in text.splitlines())
        return sum(bool(line) and not line.startswith(("//", "#")) for line in lines)
    found: set[int] = set()
    blank = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    before = tokenize.NEWLINE
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        is_docstring = token.type == tokenize.STRING and before in (
            *(tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.NL, tokenize.ENCODING),
        )
        if token.type not in blank and token.type != tokenize.ENDMARKER and not is_docstring:
            found.update(range(token.start[0], token.end[0] + 1))
        if token.type not in (tokenize.COMMENT, tokenize.NL):
            before = token.type
    return len(found)


def _write_abi_and_code(build: VaultBuild, folder: Path) -> None:
    for name, each in build.contracts.items():
        write_json({"abi": each.abi, "bytecode": {"object": each.bytecode}}, folder / f"{name}.json")


def _empty_folder(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def _find_forge() -> Path:
    for path in sorted((BENCH / "node_modules" / "@foundry-rs").glob("forge-*/bin/forge")):
        return path
    raise BackstopError("no forge of npm fits this machine: leave Foundry out")


def _get_ended_cpu_seconds() -> float:
    """Return the CPU seconds of all processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _read_cpu_seconds(process: psutil.Process) -> float:
    """Return the CPU seconds of a process and of its ended children; none if it is gone."""
    with suppress(psutil.Error):
        used = process.cpu_times()
        return float(used.user + used.system + used.children_user + used.children_system)
    return 0.0


def _end_group(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
