"""The tutorial's patches are a whole change: they apply, and the page's commands pass."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from backstop.hosts.artifacts import CONTRACTS

ROOT = CONTRACTS.parent
TUTORIAL = ROOT / "docs/tutorials/own-change"
PATCH = re.compile(r"^```diff\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# These tests need no Ape, which would start a node.
PLUGINS = ("-p", "no:cacheprovider", "-p", "no:ape_test")
COPIED = ("contracts", "docs", "offchain", "tests", "pyproject.toml")


@pytest.fixture(scope="module")
def changed(tmp_path_factory):
    """A copy of the project with every patch of the page."""
    folder = tmp_path_factory.mktemp("tutorial")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    # What is compiled already need not be compiled again.
    (folder / ".build").symlink_to(ROOT / ".build")
    patches = "".join(PATCH.findall((TUTORIAL / "README.md").read_text()))
    assert patches.count("\n+++ ") == 11
    subprocess.run(["git", "apply", "-"], cwd=folder, input=patches, text=True, check=True)
    return folder


def run_tests(folder: Path, *args: str):
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *PLUGINS, "-m", "not anvil", *args],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{folder / 'offchain'}{os.pathsep}{folder}"},
        capture_output=True,
        text=True,
    )


def test_the_patches_of_the_page_apply(changed):
    assert "largest_draw" in (changed / "contracts/VaultEngine.vy").read_text()


@pytest.mark.deep(brief="tests/style/test_tutorial.py::test_the_patches_of_the_page_apply")
def test_the_change_passes_its_tests_and_a_campaign(changed):
    done = run_tests(
        changed,
        "tests/contracts/VaultEngine/test_set_largest_draw.py",
        "tests/properties",
        "tests/style/test_abi_parity.py",
        "tests/style/test_interfaces.py",
        "tests/style/test_natspec.py",
        "tests/style/test_reasons.py",
        "tests/style/test_vault_engine.py",
        "tests/backstop/proof/fuzz/test_campaign.py",
        "--steps=2000",
    )
    assert done.returncode == 0, done.stdout[-3_000:]


@pytest.mark.deep(brief="tests/style/test_tutorial.py::test_the_patches_of_the_page_apply")
def test_the_mistake_of_the_page_is_found(changed):
    contract = changed / "contracts/VaultEngine.vy"
    source = contract.read_text()
    assert "draw <= unsafe_mul(largest" in source
    contract.write_text(source.replace("draw <= unsafe_mul(largest", "draw < unsafe_mul(largest"))
    done = run_tests(changed, "tests/backstop/proof/fuzz/test_campaign.py", "--steps=20000", "-x")
    contract.write_text(source)
    assert done.returncode == 1
    assert "model and chain differ" in done.stdout


def test_the_workflow_is_yaml_and_its_commands_exist():
    workflow = yaml.safe_load((TUTORIAL / "ci.yml").read_text())
    commands = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for command in commands:
        if match := re.match(r"make (\w+)", command):
            assert match[1] in targets
        else:
            assert command.startswith((".venv/bin/ape test ", ".venv/bin/ape run fuzz "))
    assert any("--junit-xml" in command for command in commands)
