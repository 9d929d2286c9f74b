"""A user's test for each tool passes on the vaults as they are, and finds a mutant."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from backstop.lockstep import run_campaign
from backstop.lockstep.declaration_loader import load_campaign
from benchmarks.cli.bench_lockstep import cli
from benchmarks.lockstep.foreign_vaults import BENCH, VAULTS, VyperVault
from benchmarks.lockstep.tool_runs import PROJECTS

BRIEF = "tests/benchmarks/lockstep/test_tools_on_vaults.py::test_lockstep_finds_a_deposit_that_is_left_out"


def test_lockstep_finds_a_deposit_that_is_left_out(tmp_path: Path, monkeypatch) -> None:
    vault = VAULTS["snekmate"]
    assert isinstance(vault, VyperVault)
    (mutant,) = (
        each
        for each in vault.list_mutants()
        if (each.function, each.operator) == ("mint", "dropped call") and "self._deposit" in each.before
    )
    shutil.copytree(BENCH / "users" / "lockstep", tmp_path, dirs_exist_ok=True)
    vault.write_sources(tmp_path, mutant)
    monkeypatch.syspath_prepend(tmp_path)
    found = run_campaign(
        load_campaign("test_snekmate.py::campaign", tmp_path), steps=200, out=tmp_path / "out"
    )
    assert found.failure is not None and found.failure.kind == "difference", found.failure
    (call,) = found.failure.calls
    assert call.startswith("vault.mint(")


@pytest.mark.deep(brief=BRIEF)
@pytest.mark.parametrize("name", VAULTS)
def test_every_tool_passes_a_whole_vault_and_finds_a_mutant(name: str, tmp_path: Path) -> None:
    sizes = ["--mutants", "1", "--seconds", "1", "--seed", "practice"]
    options = ["--vault", name, *sizes, "--out", str(tmp_path)]
    done = CliRunner(mix_stderr=False).invoke(cli, options, catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    written = json.loads((tmp_path / "bench-lockstep.json").read_text())["vaults"][name]
    assert [each["tool"] for each in written["tools"]] == list(PROJECTS)
    for each in written["tools"]:
        assert each["steps"] > 0 and each["lines"] > 100 and f"| {each['tool']} |" in done.stdout
        (took,) = each["cpu_seconds_by_mutant"].values()
        assert took is not None
