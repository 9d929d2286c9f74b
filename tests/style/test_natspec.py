"""Every external function, constructor and event describes its values, units first.

The one rule: an integer starts with its unit, in brackets, be it a parameter, a value returned or a field of
an event (`[wad]`, `[seconds]`, `[id]`); anything else (an address, a bool, bytes, a record with units in its
fields) has none. In events the unit is the comment at the end of the field's line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import vyper.ast as vy_ast
from vyper.ast.natspec import _parse_docstring
from vyper.exceptions import NatSpecSyntaxException

from tests.support.parsed_contracts import parse_contract

CONTRACTS = Path(__file__).parents[2] / "contracts"
FILES = sorted([*CONTRACTS.rglob("*.vy"), *CONTRACTS.rglob("*.vyi")])
# What is still missing, a line each. It only shrinks: whoever mends something takes its line out.

# Interfaces of several contracts, of none of ours, or of contracts that say the same in words of their own.
OWN_WORDS = {
    "IAccounts",
    "IAggregator",
    "IAuctionTaker",
    "ILiquidationMechanism",
    "IMarginFund",
    "IMarginPolicy",
    "IStage",
    "IVaultEngine",
}
INTERFACES = [path for path in FILES if path.suffix == ".vyi" and path.stem not in OWN_WORDS]

# A word not in this list is no unit: add it here, and to docs/reference/glossary.md.
UNITS = {
    # money and prices
    "wad",
    "ray",
    "rad",
    "shares",
    "claims",
    "units of the token",
    "whole stablecoins",
    "whole tokens",
    "1e36",
    "lots",
    "wei a lot",
    "wei",
    # ratios and rates
    "basis points",
    "basis points x rad",
    "basis points x wei",
    "basis points a year",
    "ray a second",
    "times a year",
    # time: a length, or a point of it
    "seconds",
    "timestamp",
    "epoch",
    "bucket",
    # what is counted or named
    "count",
    "index",
    "id",
    "generation",
    "nonce",
    "decimals",
    "level",
    "kind",
    "bits",
    "gas",
    # another field or parameter says which
    "unit of the parameter",
    "unit of the feed",
}
UNIT = re.compile(r"\[([^\]]+)\] \S")
FIELD_UNIT = re.compile(r"#\s+\[([^\]]+)\]")


def name(path: Path) -> str:
    return path.relative_to(CONTRACTS).as_posix()


@cache
def is_integer(annotation: vy_ast.VyperNode) -> bool:
    """Whether a type is an integer, or an array of some."""
    while isinstance(annotation, vy_ast.Subscript):
        inner = annotation.slice
        of_list = isinstance(inner, vy_ast.Tuple) and annotation.value.node_source_code == "DynArray"
        annotation = inner.elements[0] if of_list else annotation.value
    if isinstance(annotation, vy_ast.Call):  # indexed(...)
        return is_integer(annotation.args[0])
    return re.fullmatch(r"u?int\d+", annotation.node_source_code) is not None


def complaint(text: str | None, annotation: vy_ast.VyperNode) -> str | None:
    """Return the fault of a description."""
    if not text:
        return "is not described"
    found = UNIT.match(text)
    if not is_integer(annotation):
        return "has a unit and is no integer" if found else None
    if found is None:
        return "has no unit"
    return None if found[1] in UNITS else f"has an unknown unit [{found[1]}]"


def described(path: Path) -> Iterator[vy_ast.FunctionDef]:
    """Yield the functions callable from outside: all of an interface, external functions and constructors."""
    for node in parse_contract(path).get_children(vy_ast.FunctionDef):
        decorators = {each.node_source_code for each in node.decorator_list}
        if path.suffix == ".vyi" or decorators & {"external", "deploy"}:
            yield node


def returned(function: vy_ast.FunctionDef) -> list[vy_ast.VyperNode]:
    if function.returns is None:
        return []
    return function.returns.elements if isinstance(function.returns, vy_ast.Tuple) else [function.returns]


def function_gaps(path: Path, function: vy_ast.FunctionDef) -> Iterator[str]:
    values = returned(function)
    parameters = function.args.args
    docs: dict = {}
    docstring = getattr(function, "doc_string", None)
    if docstring is not None:
        try:
            names = tuple(each.arg for each in parameters)
            text = docstring.value
            docs = _parse_docstring(path.read_text(), text, ("title", "license"), names, len(values))
        except NatSpecSyntaxException as error:
            yield f"{function.name}: {error.message}"
            return
    # A constructor whose parameters say it all needs no sentence about itself.
    if "notice" not in docs and not (function.name == "__init__" and parameters):
        yield f"{function.name}: has no @notice"
    for each in parameters:
        if problem := complaint(docs.get("params", {}).get(each.arg), each.annotation):
            yield f"{function.name}: {each.arg} {problem}"
    for i, annotation in enumerate(values):
        if problem := complaint(docs.get("returns", {}).get(f"_{i}"), annotation):
            yield f"{function.name}: return value {i} {problem}"


def event_gaps(path: Path) -> Iterator[str]:
    lines = path.read_text().splitlines()
    for event in parse_contract(path).get_children(vy_ast.EventDef):
        for field in event.get_children(vy_ast.AnnAssign):
            found = FIELD_UNIT.search(lines[field.lineno - 1])
            label = f"{event.name}: {field.target.id}"
            if not is_integer(field.annotation):
                if found:
                    yield f"{label} has a unit and is no integer"
            elif found is None:
                yield f"{label} has no unit"
            elif found[1] not in UNITS:
                yield f"{label} has an unknown unit [{found[1]}]"


@cache
def gaps(path: Path) -> list[str]:
    """Return the gaps of a file, one sentence each."""
    found = [gap for function in described(path) for gap in function_gaps(path, function)]
    return [f"{name(path)}: {gap}" for gap in [*found, *event_gaps(path)]]


@pytest.mark.parametrize("path", FILES, ids=name)
def test_everything_is_described_with_its_unit(path):
    assert not gaps(path), "\n".join(gaps(path))


def words(path: Path) -> dict[str, str]:
    """Return a file's description of each function, joined over its lines."""
    found = {each.name: getattr(each, "doc_string", None) for each in described(path)}
    return {each: " ".join(doc.value.split()) for each, doc in found.items() if doc is not None}


@pytest.mark.parametrize("path", INTERFACES, ids=name)
def test_an_interface_and_its_contract_say_the_same(path):
    contract = words(CONTRACTS / f"{path.stem[1:]}.vy")
    assert contract
    # What is left out are getters, which the contract need not describe, and what a module exports.
    for function, said in words(path).items():
        assert said == contract.get(function, said), function


WITHOUT = '''
event Moved:
    to: indexed(address)
    amount: uint256
    count: DynArray[uint256, 2]  # [leagues]


@external
def move(to: address, amount: uint256, times: uint256) -> (uint256, bool):
    """
    @param to [wad] Who gets it.
    @param amount In wad.
    @return [wad] Moved.
    """
    return amount, True


@external
def stop():
    """
    @notice Stop.
    @param when [seconds] Never.
    """
'''


def test_what_is_missing_is_found(tmp_path):
    path = tmp_path / "Without.vy"
    path.write_text(WITHOUT)
    found = [gap for function in described(path) for gap in function_gaps(path, function)]
    assert [*found, *event_gaps(path)] == [
        "move: has no @notice",
        "move: to has a unit and is no integer",
        "move: amount has no unit",
        "move: times is not described",
        "move: return value 1 is not described",
        "stop: Method has no parameter 'when'",
        "Moved: amount has no unit",
        "Moved: count has an unknown unit [leagues]",
    ]


def test_the_glossary_explains_every_unit() -> None:
    section = (CONTRACTS.parent / "docs/reference/glossary.md").read_text().partition("\n## Units\n")[2]
    explained = {unit for unit in re.findall(r"`\[([^\]]+)\]`", section)}
    assert explained == UNITS
