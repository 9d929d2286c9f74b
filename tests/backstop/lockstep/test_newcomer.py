"""The page's instructions for a newcomer, followed outside the repository: from files to a repaired bug."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.backstop.lockstep.conftest import PAGE, NewcomerProject

DIFFERENCE = "token allowance[(deployer, deployer)]: model 0, chain 1"


def mask_times(text: str) -> str:
    return re.sub(r"in [\d.]+ s \([\d,]+ a second\)", "in S", text)


def list_indented_blocks(text: str) -> list[list[str]]:
    """Return the page's outputs of commands, each without its first two lines."""
    blocks = re.findall(r"    \$ (?:ape test|pytest)\n    \.\.\.\n((?:    .*\n)+)", text)
    return [[line[4:] for line in block.splitlines()] for block in blocks]


def test_the_page_is_what_happens(newcomer: NewcomerProject) -> None:
    found_block, repaired_block = list_indented_blocks(PAGE.read_text())
    found = newcomer.run_pytest()
    assert found.returncode == 1, found.stdout + found.stderr
    for line in found_block:
        assert mask_times(line) in mask_times(found.stdout).splitlines()
    (written,) = (newcomer.folder / ".lockstep").glob("test_*.py")
    assert written.read_text() == newcomer.regression
    kept = newcomer.folder / "tests" / "test_allowance_is_spent.py"
    shutil.copy(written, kept)
    fails = newcomer.run_pytest(str(kept))
    assert fails.returncode == 1 and DIFFERENCE in fails.stdout, fails.stdout
    newcomer.repair_contract()
    passes = newcomer.run_pytest()
    assert passes.returncode == 0, passes.stdout
    for line in repaired_block:
        assert mask_times(line) in mask_times(passes.stdout)


@pytest.mark.deep(brief="test_the_page_is_what_happens runs the same without Ape, whose start takes seconds")
def test_ape_plays_it_on_what_its_compiler_made(newcomer: NewcomerProject) -> None:
    ape = Path(sys.executable).with_name("ape")
    found = newcomer.run_command([str(ape), "test"], ["-n", "0"])
    assert found.returncode == 1 and DIFFERENCE in found.stdout, found.stdout + found.stderr
    newcomer.write(
        "tests/test_source.py",
        "from pathlib import Path\n"
        "from backstop.lockstep.ape_contracts import load_ape_contracts\n"
        "def test_of_ape(lockstep_campaign):\n"
        "    root = Path(__file__).parents[1]\n"
        "    token = load_ape_contracts(root)['Token']\n"
        "    run = lockstep_campaign('tests/test_token.py::campaign')\n"
        "    own = run.lockstep.chain.own['token']\n"
        "    assert own.bytecode_hex == token.bytecode_hex and 'balanceOf' in own.variables\n",
    )
    (written,) = (newcomer.folder / ".lockstep").glob("test_*.py")
    shutil.copy(written, newcomer.folder / "tests" / "test_kept.py")
    fails = newcomer.run_command([str(ape), "test"], ["tests/test_kept.py", "tests/test_source.py"])
    assert "1 failed, 1 passed" in fails.stdout and DIFFERENCE in fails.stdout, fails.stdout


def test_the_plugin_loads_nothing_of_weight(newcomer: NewcomerProject) -> None:
    heavy = ("numpy", "pyrevm", "web3", "ape", "vyper", "eth_hash", "numba", "pandas", "coincurve")
    code = (
        "import sys, pytest; before = set(sys.modules); import backstop.lockstep.pytest_plugin; "
        "print(sorted(set(sys.modules) - before))"
    )
    told = newcomer.run_command([sys.executable, "-c", code], [])
    assert told.returncode == 0, told.stderr
    loaded = set(re.findall(r"'([\w.]+)'", told.stdout))
    assert not loaded & set(heavy)
    assert {name for name in loaded if name.startswith("backstop")} <= {
        "backstop",
        "backstop.errors",
        "backstop.files",
        "backstop.files.installation",
        "backstop.lockstep",
        "backstop.lockstep.pytest_plugin",
    }


@pytest.mark.deep(brief="test_cases_are_items lists the same items in one process")
def test_two_workers_have_a_case_each_and_a_seed_each(newcomer: NewcomerProject) -> None:
    newcomer.repair_contract()
    told = newcomer.run_pytest("-n", "2", "--lockstep-steps", "50", "-v")
    assert told.returncode == 0, told.stdout + told.stderr
    assert "campaign[0]" in told.stdout and "campaign[1]" in told.stdout
    assert "tests/test_token.py::campaign: 100 calls" in told.stdout


def test_a_missing_extra_and_a_trace_of_another_campaign_are_told(newcomer: NewcomerProject) -> None:
    newcomer.write("conftest.py", "import sys\nsys.modules['pyrevm'] = None\n")
    told = newcomer.run_pytest()
    assert "this needs pyrevm, which is not installed: pip install 'backstop[chain]'" in told.stdout
    newcomer.write("other.json", '{"schema_version": 1, "campaign": "tests/other.py::campaign", "steps": []}')
    told = newcomer.run_pytest("--lockstep-replay", "other.json", "--lockstep-cases", "3")
    assert told.returncode != 0
    assert "other.json is of tests/other.py::campaign, which is not collected: name its file" in told.stderr


def test_cases_are_items(newcomer: NewcomerProject) -> None:
    told = newcomer.run_pytest("--collect-only", "-q", "--lockstep-cases", "3")
    assert told.stdout.splitlines()[:3] == [f"tests/test_token.py::campaign[{case}]" for case in range(3)]
    told = newcomer.run_pytest("--lockstep-steps", "0")
    assert told.returncode != 0 and "--lockstep-steps is 0: expected 1 or more" in told.stderr
