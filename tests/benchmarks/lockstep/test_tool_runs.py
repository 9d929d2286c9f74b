"""A tool and all that it starts ends with the command that started it, and counts."""

import os
import subprocess
import sys
from pathlib import Path

import psutil

from benchmarks.lockstep.tool_runs import count_code_lines, run_in_own_group
from tests.support.checkout_paths import ROOT
from tests.support.condition_wait import wait_until_true

STARTED = """
import sys
from pathlib import Path
from benchmarks.lockstep.tool_runs import exit_on_stop_signals, run_in_own_group
with exit_on_stop_signals():
    run_in_own_group(["bash", "-c", "echo $$ > pid; sleep 60"], Path(sys.argv[1]), {}, 60)
"""


def test_what_a_child_has_used_counts_and_its_end_is_kept(tmp_path: Path) -> None:
    script = "import sys; sum(range(10_000_000)); print('done'); sys.exit(3)"
    run = run_in_own_group(["bash", "-c", f'{sys.executable} -c "{script}"; exit $?'], tmp_path, {}, 60)
    assert run.output == "done\n" and run.code == 3 and 0.02 < run.cpu_seconds < 10


def test_a_tool_is_stopped_that_has_used_its_seconds(tmp_path: Path) -> None:
    run = run_in_own_group([sys.executable, "-c", "while True: pass"], tmp_path, {}, 0.2)
    assert run.code is None and 0.2 < run.cpu_seconds < 10


def test_a_tool_ends_with_the_command(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    environment = os.environ | {"PYTHONPATH": str(ROOT / "offchain")}
    command = subprocess.Popen([sys.executable, "-c", STARTED, str(tmp_path)], env=environment)
    wait_until_true(lambda: pid.is_file() and pid.read_text().strip(), command)
    command.terminate()
    assert command.wait() == 128 + 15
    assert not psutil.pid_exists(int(pid.read_text()))


def test_lines_are_those_of_code(tmp_path: Path) -> None:
    python, solidity = tmp_path / "a.py", tmp_path / "a.sol"
    python.write_text(
        '"""Text\nof two."""\n\n# A comment.\ndef f():\n    """One."""\n    x = """a\nb"""\n    return x\n'
    )
    solidity.write_text("// A comment.\n/// Another.\n\ncontract A {\n    uint256 x; // more\n}\n")
    assert count_code_lines([python]) == 4 and count_code_lines([python, solidity]) == 7
