"""The mutants of a Solidity file: each kind of fault once, wherever the text has longer signs."""

import json
from pathlib import Path

import pytest

from benchmarks.lockstep.foreign_vaults import run_solc
from benchmarks.lockstep.solidity_mutants import SoliditySource, list_solidity_mutants

HERE = Path(__file__).parent
TEXT = (HERE / "Ledger.sol").read_text()
TREE = HERE / "Ledger.ast.json"

EXPECTED = [
    ("pay", "comparison", "if (to != address(0)) {"),
    ("pay", "dropped assert", "{}"),
    ("pay", "off by one", "if (to == address(1)) {"),
    ("pay", "dropped assert", "{}"),
    ("pay", "comparison", 'require(balances[msg.sender] < amount && !_isShut(), "short");'),
    ("pay", "comparison", 'require(balances[msg.sender] > amount && !_isShut(), "short");'),
    ("pay", "logic", 'require(balances[msg.sender] >= amount || !_isShut(), "short");'),
    ("pay", "logic", 'require(balances[msg.sender] >= amount && (_isShut()), "short");'),
    ("pay", "arithmetic", "balances[msg.sender] += amount;"),
    ("pay", "dropped write", "{}"),
    ("pay", "arithmetic", "balances[to] = balances[to] - amount;"),
    ("pay", "dropped write", "{}"),
    ("pay", "dropped call", "{}"),
    ("pay", "rounding", "_note(amount, Rounding.Ceil, true);"),
    ("pay", "rounding", "_note(amount, Rounding.Floor, false);"),
    ("pay", "dropped call", "{}"),
    ("pay", "swapped operands", "emit Paid(to, msg.sender, amount);"),
]


def test_each_operator_makes_its_faults() -> None:
    source = SoliditySource(TEXT, json.loads(TREE.read_text()))
    found = list_solidity_mutants("Ledger.sol", source)
    assert sorted((each.function, each.operator, each.after) for each in found) == sorted(EXPECTED)
    assert len({each.id for each in found}) == len(found)
    (dropped,) = (
        each for each in found if each.before.startswith("if"[:2]) and each.operator == "dropped assert"
    )
    assert "revert" not in dropped.apply(TEXT) and dropped.apply(TEXT).count("\n") == TEXT.count("\n") - 2


@pytest.mark.deep(
    brief="tests/benchmarks/lockstep/test_solidity_mutants.py::test_each_operator_makes_its_faults"
)
def test_every_mutant_compiles_and_the_tree_is_that_of_the_compiler() -> None:
    tree = run_solc({"Ledger.sol": TEXT}, {"*": {"": ["ast"]}})["sources"]["Ledger.sol"]["ast"]
    found = list_solidity_mutants("Ledger.sol", SoliditySource(TEXT, tree))
    kept = list_solidity_mutants("Ledger.sol", SoliditySource(TEXT, json.loads(TREE.read_text())))
    assert found == kept
    files = {"whole.sol": TEXT} | {f"{each.id}.sol": each.apply(TEXT) for each in found}
    output = run_solc(files, {"*": {"Ledger": ["evm.bytecode"]}})["contracts"]
    codes = {name: each["Ledger"]["evm"]["bytecode"]["object"] for name, each in output.items()}
    equal = {each.line for each in found if codes[f"{each.id}.sol"] == codes["whole.sol"]}
    assert equal == {TEXT[: TEXT.index("_note(")].count("\n") + 1}  # which does nothing with what it is told
