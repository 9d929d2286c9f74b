"""Every assert and raise of our contracts names its reason, unique in 32 bytes, and a test meets it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import vyper.ast as vy_ast
import yaml

from tests.support.checkout_paths import ROOT
from tests.support.parsed_contracts import parse_contract

CONTRACTS = sorted(p for p in (ROOT / "contracts").rglob("*.vy"))
DEPLOYED = [p for p in CONTRACTS if p.stem[0].isupper()]


# Raises what it is given; whoever calls it gives the reason.
REFUSE = ROOT / "contracts" / "modules" / "revert_reason.vy"


def reasons(path: Path) -> list[str]:
    """The reasons in one file; an assert, a raise or a refusal without one fails."""
    found: list[str] = []
    if path == REFUSE:
        return found
    for node in parse_contract(path).get_descendants((vy_ast.Assert, vy_ast.Raise, vy_ast.Call)):
        if isinstance(node, vy_ast.Assert):
            message = node.msg
        elif isinstance(node, vy_ast.Raise):
            message = node.exc
        elif node.func.node_source_code == "revert_reason._raise":
            message = node.args[0]
        else:
            continue
        assert isinstance(message, vy_ast.Str), f"{path.name}:{node.lineno}: no reason"
        found.append(message.value)
    return found


def modules(path: Path) -> set[Path]:
    """Our own modules that a contract compiles in."""
    found: set[Path] = set()
    for node in parse_contract(path).get_descendants(vy_ast.ImportFrom):
        module = ROOT / "contracts" / "modules" / f"{node.name}.vy"
        if node.module == "contracts.modules" and module not in found:
            found |= {module} | modules(module)
    return found


@pytest.mark.parametrize("path", CONTRACTS, ids=lambda p: p.stem)
def test_reasons_fit_and_name_their_module(path):
    for reason in reasons(path):
        assert len(reason.encode()) <= 32, f"{reason!r} is longer than 32 bytes"
        prefix = reason.split(": ")[0]
        assert prefix.replace("_", "").isalnum() and ": " in reason, f"{reason!r} is not 'module: reason'"


@pytest.mark.parametrize("path", DEPLOYED, ids=lambda p: p.stem)
def test_reasons_are_unique_in_a_contract(path):
    found = [reason for part in (path, *sorted(modules(path))) for reason in reasons(part)]
    twice = {reason for reason in found if found.count(reason) > 1}
    assert not twice


@pytest.mark.parametrize("path", CONTRACTS, ids=lambda p: p.stem)
def test_a_caller_is_checked_in_one_place(path):
    """One check, one reason: every caller that meets it can look it up."""
    found = [
        node.test.node_source_code.replace("!=", "==")
        for node in parse_contract(path).get_descendants((vy_ast.Assert, vy_ast.If))
    ]
    twice = {test for test in found if test.startswith("msg.sender") and found.count(test) > 1}
    assert not twice, twice


def test_every_reason_is_met_by_a_test_or_argued_to_be_unreachable():
    every = {reason for path in CONTRACTS for reason in reasons(path)}
    unreachable = yaml.safe_load((ROOT / "tests" / "unreachable.yaml").read_text()) or {}
    assert set(unreachable) <= every, "tests/unreachable.yaml names reasons that no contract has"
    met = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                met.add(node.value)
    missing = (
        every - set(unreachable) - {r for r in every if r in met or any(r.endswith(": " + m) for m in met)}
    )
    assert not missing, f"no test meets {sorted(missing)}"
