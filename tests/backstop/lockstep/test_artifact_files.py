"""Files of compiled contracts: the fields that are read of each maker's, and one line for a refused file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backstop.errors import BackstopError
from backstop.lockstep.artifact_files import read_artifact_files
from backstop.lockstep.project_artifacts import ProjectArtifacts
from tests.backstop.lockstep.solidity_campaign import ARTIFACTS

COIN: dict[str, Any] = json.loads(ARTIFACTS.read_text())["contracts"]["Vault.sol"]["Coin"]
ABI, CODE = COIN["abi"], COIN["evm"]["bytecode"]["object"]


def write(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("content", "has_layout"),
    [
        ({"contracts": {"src/Coin.sol": {"Coin": COIN}}}, True),
        ({"abi": ABI, "bytecode": {"object": "0x" + CODE}, "storageLayout": COIN["storageLayout"]}, True),
        ({"contractName": "Coin", "sourceName": "src/Coin.sol", "abi": ABI, "bytecode": "0x" + CODE}, False),
        ({"contractTypes": {"Coin": {"abi": ABI, "deploymentBytecode": {"bytecode": "0x" + CODE}}}}, False),
    ],
    ids=["solc", "foundry", "hardhat", "ape"],
)
def test_each_makers_file_is_read(tmp_path: Path, content: Any, has_layout: bool) -> None:
    found = read_artifact_files([write(tmp_path / "Coin.json", content)])["Coin"]
    assert found.bytecode == bytes.fromhex(CODE)
    assert found.contract_abi.get_function("transfer", 2).signature == "transfer(address,uint256)"
    assert [error.signature for error in found.errors.values()] == [
        "Insufficient(address,uint256,uint256)",
        "Paused()",
    ]
    assert (found.variables is not None) == has_layout


def test_a_name_of_two_contracts_stands_for_none(tmp_path: Path) -> None:
    found = read_artifact_files(
        [write(tmp_path / "out.json", {"contracts": {"a.sol": {"Coin": COIN}, "b.sol": {"Coin": COIN}}})]
    )
    assert sorted(found) == ["a.sol:Coin", "b.sol:Coin"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "is not whole JSON"),
        ("[]", "expected the standard JSON output of solc"),
        ({"something": 1}, "expected the standard JSON output of solc"),
        (
            {"errors": [{"severity": "error", "formattedMessage": "ParserError: no\n x"}], "contracts": {}},
            "the compiler failed: ParserError: no$",
        ),
        ({"contracts": {"a.sol": {"A": {**COIN, "storageLayout": {"storage": [{}]}}}}}, "of A is not whole"),
    ],
)
def test_another_file_is_refused_in_a_line(tmp_path: Path, content: Any, told: str) -> None:
    with pytest.raises(BackstopError, match=told) as refused:
        read_artifact_files([write(tmp_path / "out.json", content)])
    assert len(str(refused.value).splitlines()) == 1 and "out.json" in str(refused.value)


def test_a_missing_file_and_a_missing_contract_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BackstopError, match=r"artifacts file .*none.json not found: compile"):
        ProjectArtifacts(tmp_path, ["none.json"])["Coin"]
    with pytest.raises(
        BackstopError, match=r"contract Token not found: expected .*/contracts/\*\*/Token.vy, or one of Coin"
    ):
        write(tmp_path / "Coin.json", {"abi": ABI, "bytecode": CODE})
        ProjectArtifacts(tmp_path, ["Coin.json"])["Token"]
