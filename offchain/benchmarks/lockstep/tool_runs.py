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
    """Output, CPU seconds and exit code of a command with all processes that it started.

    The exit code is None if the command was stopped.
    """

    output: str
    cpu_seconds: float
    code: int | None


class ToolRun(NamedTuple):
    """Result of one run of a tool: whether it found a fault, and its CPU seconds with startup."""

    found: bool
    seconds: float
    output: str


class ToolSpeed(NamedTuple):
    """Number of steps of a tool on an unchanged vault, and their CPU seconds without startup."""

    steps: int
    seconds: float

    @property
    def rate(self) -> float:
        """Speed of the tool [steps a CPU second]."""
        return self.steps / self.seconds


class ToolProject(ABC):
    """Folder with the test files of one tool's user and the contracts of one build at a time."""

    tool: str
    typical_rate: float  # steps a CPU second, roughly
    failed: re.Pattern[str]  # in the output of a run that found something

    def __init__(self, vault: str, folder: Path) -> None:
        self.vault = vault
        self.folder = folder
        self.users = BENCH / "users" / self.tool.lower()
        shutil.copytree(self.users, folder)

    def list_user_files(self) -> list[Path]:
        """Return the paths of the files that a user writes for this vault: tests and settings."""
        others = {f"test_{name}.py" for name in ("snekmate", "openzeppelin")} - {f"test_{self.vault}.py"}
        return sorted(
            path
            for path in self.users.iterdir()
            if path.suffix in (".py", ".yaml") and path.name not in others
        )

    @abstractmethod
    def put_contracts(self, build: VaultBuild, sources: Path) -> None:
        """Replace the contracts in the folder by those of a build.

        `sources` is the folder that the build was compiled in.
        """

    @abstractmethod
    def build_command(self, seed: int, steps: int | None) -> list[str]:
        """Return the command that tests until a fault is found, or for `steps` steps if given."""

    def build_environment(self, steps: int | None) -> dict[str, str]:
        """Return the environment variables that the command needs in addition to the inherited ones."""
        return {}

    @abstractmethod
    def read_steps(self, output: str) -> int:
        """Return the number of steps of a limited run, from its output or the folder."""

    def find_failure(self, seed: int, timeout: float = TIMEOUT) -> ToolRun:
        """Run the tool until it finds a fault or has used `timeout` CPU seconds.

        Raises BackstopError if the tool fails for another reason.
        """
        run = run_in_own_group(
            self.build_command(seed, None), self.folder, self.build_environment(None), timeout
        )
        found = run.code not in (0, None)
        if found and not self.failed.search(run.output):
            raise BackstopError(f"{self.tool} failed by itself:\n{run.output[-3000:]}")
        return ToolRun(found, run.cpu_seconds, run.output)

    def measure_speed(self, seed: int, seconds: float) -> ToolSpeed:
        """Return the tool's speed on the unchanged vault, from a long run less a short run.

        The subtraction removes the startup. The long run takes about `seconds` CPU seconds, the short one a
        tenth. Both are limited by steps, because the clock also counts time used by other processes.
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
    """Base of projects with tests generated by Hypothesis, without shrinking."""

    failed = re.compile(r"^(?:FAILED|ERROR) ", re.MULTILINE)

    def __init__(self, vault: str, folder: Path) -> None:
        super().__init__(vault, folder)
        shutil.copy(_PLUGIN, folder)

    def build_environment(self, steps: int | None) -> dict[str, str]:
        """Return variables that locate the plugin and the shared tests, and limit the steps."""
        limits = {} if steps is None else {"BENCH_STEPS": str(steps)}
        return {"PYTHONPATH": ".", "PYTHONDONTWRITEBYTECODE": ""} | limits

    def read_steps(self, output: str) -> int:
        """Return the number of steps that the plugin wrote to steps.txt."""
        return int((self.folder / "steps.txt").read_text())

    def _list_pytest_options(self, seed: int) -> list[str]:
        return [f"test_{self.vault}.py", "-q", "-p", "hypothesis_limits", f"--hypothesis-seed={seed}"]


class ApeProject(_HypothesisProject):
    """Project for Ape: its accounts and contract objects, on an Anvil node."""

    tool = "Ape"
    typical_rate = 25

    def build_environment(self, steps: int | None) -> dict[str, str]:
        """Return Hypothesis's variables and a node address with a port that is otherwise unused."""
        host = f"http://127.0.0.1:{find_free_non_ephemeral_port()}"
        return super().build_environment(steps) | {"APE_FOUNDRY_HOST": host}

    def put_contracts(self, build: VaultBuild, sources: Path) -> None:
        """Write each contract in the format of Ape's compiled contracts, so that no run compiles."""
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
        """Return the command `ape test` with its options."""
        return [str(Path(sys.executable).with_name("ape")), "test", *self._list_pytest_options(seed)]


class TitanoboaProject(_HypothesisProject):
    """Project for titanoboa, in its own Python environment: its versions conflict with Ape's."""

    tool = "titanoboa"
    typical_rate = 100

    def put_contracts(self, build: VaultBuild, sources: Path) -> None:
        """Copy the Vyper sources, or write the ABI and bytecode of Solidity contracts.

        titanoboa compiles Vyper itself.
        """
        _empty_folder(self.folder / "home")
        if build.solc_output is None:
            shutil.copytree(
                sources / "contracts", _empty_folder(self.folder / "contracts"), dirs_exist_ok=True
            )
        else:
            _write_abi_and_code(build, _empty_folder(self.folder / "artifacts"))

    def build_environment(self, steps: int | None) -> dict[str, str]:
        """Return Hypothesis's variables and an empty home folder, so that the cache is new.

        With an old cache, titanoboa runs a contract with earlier versions of its modules.
        """
        return super().build_environment(steps) | {"HOME": str(self.folder / "home")}

    def build_command(self, seed: int, steps: int | None) -> list[str]:
        """Return the command of pytest in titanoboa's environment."""
        return [str(prepare_titanoboa()), "-m", "pytest", *self._list_pytest_options(seed)]


class FoundryProject(ToolProject):
    """Project for Foundry: invariant tests that are compiled once, before all runs."""

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
        """Return the paths of the tests and settings, without the replacements of forge-std."""
        test = self.users / "test"
        return [
            self.users / "foundry.toml",
            test / "VaultHandler.sol",
            test / f"{self._names[self.vault]}.t.sol",
        ]

    def put_contracts(self, build: VaultBuild, sources: Path) -> None:
        """Write the ABI and bytecode for `vm.getCode`, and delete earlier findings of Foundry."""
        _write_abi_and_code(build, _empty_folder(self.folder / "artifacts"))
        shutil.rmtree(self.folder / "cache" / "invariant", ignore_errors=True)

    def build_command(self, seed: int, steps: int | None) -> list[str]:
        """Return the command `forge test` with its options."""
        return [str(_find_forge()), "test", "--offline", "--fuzz-seed", hex(seed)]

    def build_environment(self, steps: int | None) -> dict[str, str]:
        """Return variables with the compiler, the number of runs, and a shrink limit of zero.

        Without `steps` the number of runs is practically unlimited.
        """
        runs = 1_000_000 if steps is None else max(1, steps // FOUNDRY_DEPTH)
        limits = {"FOUNDRY_INVARIANT_RUNS": str(runs), "FOUNDRY_INVARIANT_SHRINK_RUN_LIMIT": "0"}
        return {"FOUNDRY_SOLC": str(SOLC)} | limits

    def read_steps(self, output: str) -> int:
        """Return the number of calls that forge reports for its test suite.

        Raises BackstopError if the output has no number of calls.
        """
        found = self._calls.search(output)
        if found is None:
            raise BackstopError(f"forge prints no calls:\n{output[-3000:]}")
        return int(found[1])


class LockstepProject(ToolProject):
    """Project for lockstep, the pytest plugin of Backstop, without Ape."""

    tool = "lockstep"
    typical_rate = 3_000
    failed = re.compile(r"^(?:lockstep found a difference|model and chain differ at step 0)", re.MULTILINE)
    _calls = re.compile(r"::campaign: ([\d,]+) calls")

    def put_contracts(self, build: VaultBuild, sources: Path) -> None:
        """Copy the Vyper sources, or write solc's output of Solidity contracts.

        The plugin compiles Vyper itself.
        """
        if build.solc_output is None:
            shutil.copytree(
                sources / "contracts", _empty_folder(self.folder / "contracts"), dirs_exist_ok=True
            )
        else:
            write_json(build.solc_output, _empty_folder(self.folder / "artifacts") / "solc.json")

    def build_command(self, seed: int, steps: int | None) -> list[str]:
        """Return the command of pytest with options of lockstep."""
        limit = (
            ["--lockstep-seconds", str(PATIENCE * TIMEOUT)]
            if steps is None
            else ["--lockstep-steps", str(steps)]
        )
        options = ["--lockstep-seed", str(seed), *limit, "--lockstep-shrink-seconds", "0"]
        return [sys.executable, "-m", "pytest", "-p", "no:ape_test", f"test_{self.vault}.py", "-q", *options]

    def build_environment(self, steps: int | None) -> dict[str, str]:
        """Return variables that let the tests import their shared module."""
        return {"PYTHONPATH": ".", "PYTHONDONTWRITEBYTECODE": ""}

    def read_steps(self, output: str) -> int:
        """Return the number of calls that lockstep reports for its campaign.

        Raises BackstopError if the output has no number of calls.
        """
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
    """Run a command until it ends or its processes have used `most_cpu_seconds`.

    All processes that it started are then killed, because Ape does not stop its node.
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
    """Make SIGINT and SIGTERM stop the running tool before this process exits.

    Without this context the tool would continue to run.
    """
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
    """Return the number of lines in files that are not blank, a comment or a docstring."""
    return sum(_count_lines(path.read_text(), path.suffix) for path in files)


def prepare_titanoboa() -> Path:
    """Return the path of the Python with titanoboa, and install titanoboa if its lock is new."""
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
    """Install the compiler, the Solidity vault and Foundry into `node_modules` if missing."""
    _install_tool(["make", "--silent", NODE_PACKAGES])


def _install_tool(command: list[str]) -> None:
    """Run an installation command; raise BackstopError with its last line if it fails."""
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
    """Return the CPU seconds of all ended child processes of this process."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _read_cpu_seconds(process: psutil.Process) -> float:
    """Return the CPU seconds of a process and its ended children; 0 if the process has ended."""
    with suppress(psutil.Error):
        used = process.cpu_times()
        return float(used.user + used.system + used.children_user + used.children_system)
    return 0.0


def _end_group(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
