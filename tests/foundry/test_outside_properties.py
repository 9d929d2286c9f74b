"""The properties that an outside reader wrote from the documentation alone hold on the built bytecode."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from backstop.hosts.artifacts import Artifacts
from tests.support.checkout_paths import ROOT

HERE = Path(__file__).parent
PROPERTIES = [f"P{number:02}" for number in range(1, 13)]
CONTRACTS = {
    "IEngine": "VaultEngine",
    "IFeed": "PriceFeed",
    "ILiquidation": "LiquidationEngine",
    "IAuction": "CollateralAuction",
    "IWaterfall": "LossWaterfall",
    "IPool": "Pool",
    "IClaims": "RecoveryClaims",
    "ITreasury": "Treasury",
}
"""Interface of the harness -> the contract that it calls."""


def test_each_property_is_described_and_noticed():
    page = (ROOT / "docs" / "explanation" / "outside-properties.md").read_text()
    noticed = (HERE / "test" / "Noticed.t.sol").read_text()
    for name in PROPERTIES:
        assert f"| {name} |" in page
        assert re.search(rf"function test_noticed_{name[1:]}_\w+\(", noticed), name


@pytest.mark.parametrize("interface", CONTRACTS)
def test_each_called_function_is_in_the_abi(interface):
    """A renamed function would end the harness, which only deep tests run."""
    source = (HERE / "src" / "Interfaces.sol").read_text()
    body = source.partition(f"interface {interface} ")[2].partition("\n}")[0]
    called = set(re.findall(r"function (\w+)\(", body))
    known = {name for name, _ in Artifacts()[CONTRACTS[interface]].contract_abi.functions}
    assert called and called <= known


@pytest.mark.deep(
    brief="tests/foundry/test_outside_properties.py::test_each_property_is_described_and_noticed"
)
def test_the_properties_hold_on_the_built_bytecode(tmp_path):
    folder = shutil.copytree(HERE, tmp_path / "foundry")
    environment = {**os.environ, "ROOT": str(ROOT), "PORT": "18792"}
    done = subprocess.run(
        ["bash", "run.sh"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-1_000:]
    checks = dict(re.findall(r"(P\d\d)\w* +(\d+) checks +0 failed", done.stdout))
    assert sorted(checks) == PROPERTIES and all(int(count) > 100 for count in checks.values())
