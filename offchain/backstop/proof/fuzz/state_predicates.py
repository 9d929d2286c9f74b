"""Predicates of the model's state, derived from its code, and which of them hold as a run goes on.

A branch or a revert reason that reads a value asks whether it is set, whether it is zero, or whether it is at
a constant. Each such question about a table is a predicate; it holds while any of the table's entries answers
yes. `named_state_predicates` adds those that people have words for.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from backstop.contract_base import ZERO_ADDRESS

FOLDER = Path(__file__).resolve().parents[2] / "model"

SET, ZERO = "is set", "is zero"


class Predicate(NamedTuple):
    """Predicate of a storage table: it holds while at least one entry satisfies its condition.

    `text` is the condition: a Python expression of an entry's value, `v`.
    """

    contract: str  # the model's class that declares the table
    path: str
    name: str
    text: str

    def __str__(self) -> str:
        return self.name


class TableDeclaration(NamedTuple):
    """Declaration of a storage table in a model class: attribute, storage path and default value."""

    contract: str
    attribute: str
    path: str
    default: Any


def iter_model_storage_tables() -> Iterator[TableDeclaration]:
    """Yield the declarations of all storage tables of the model, in the order of its source files."""
    for module, tree in list_model_modules_with_trees():
        for kind in (node for node in tree.body if isinstance(node, ast.ClassDef)):
            for node in ast.walk(kind):
                if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Call):
                    found = _parse_model_table_declaration(kind.name, node, node.value, module)
                    if found is not None:
                        yield found


def _parse_model_table_declaration(
    class_name: str, node: ast.Assign | ast.AnnAssign, call: ast.Call, module: ModuleType
) -> TableDeclaration | None:
    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
    is_table = isinstance(call.func, ast.Attribute) and call.func.attr == "table" and bool(call.args)
    if not is_table or not isinstance(target, ast.Attribute) or not isinstance(call.args[0], ast.Constant):
        return None
    default = eval(ast.unparse(call.args[1]), vars(module)) if len(call.args) > 1 else 0
    return TableDeclaration(class_name, target.attr, str(call.args[0].value), default)


@cache
def list_model_modules_with_trees() -> list[tuple[ModuleType, ast.Module]]:
    files = sorted(path for path in FOLDER.glob("*.py") if path.stem != "__init__")
    return [
        (import_module(f"backstop.model.{path.stem}"), ast.parse(path.read_text(encoding="utf-8")))
        for path in files
    ]


# ----------------------------------------------------------------- what decisions read


class DecisionReads(NamedTuple):
    """Attributes that the model's conditions read, and the constants they are compared with.

    The constants are keyed by record or class and attribute. Each record and class of the comparing module
    has the constant.
    """

    attributes: frozenset[str]
    constants: Mapping[tuple[str, str], frozenset[int]]  # (record or class, attribute)


@cache
def find_model_decision_reads() -> DecisionReads:
    """Return the attributes and constants that the model's conditions read, from its syntax trees.

    A condition is that of an `if`, `while`, `assert`, `require`, comprehension or conditional expression, or
    an operand of `and` or `or`.
    """
    attributes: set[str] = set()
    constants: dict[tuple[str, str], set[int]] = defaultdict(set)
    for module, tree in list_model_modules_with_trees():
        owners = [each.__name__ for each in vars(module).values() if isinstance(each, type)]
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
            aliases = _find_attributes_by_local_name(function)
            for test in _iter_tests(function):
                attributes |= _list_read_attribute_names(test, aliases)
                for attribute, value in _iter_attribute_constant_comparisons(test, aliases, module):
                    for owner in owners:
                        constants[owner, attribute].add(value)
    return DecisionReads(frozenset(attributes), {key: frozenset(values) for key, values in constants.items()})


def _iter_tests(function: ast.AST) -> Iterator[ast.expr]:
    """Yield the conditions in a function's syntax tree."""
    for node in ast.walk(function):
        if isinstance(node, ast.If | ast.IfExp | ast.While | ast.Assert):
            yield node.test
        elif isinstance(node, ast.comprehension):
            yield from node.ifs
        elif isinstance(node, ast.BoolOp):
            yield from node.values
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "require":
            yield node.args[0]


def _find_attributes_by_local_name(function: ast.AST) -> dict[str, set[str]]:
    """Return the attributes that were read to assign each local variable of a function."""
    found: dict[str, set[str]] = defaultdict(set)
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                names = [each for each in ast.walk(target) if isinstance(each, ast.Name)]
                for name in names if isinstance(target, ast.Name | ast.Tuple) else ():
                    found[name.id] |= _list_read_attribute_names(node.value, {})
    return found


def _list_read_attribute_names(node: ast.AST, attributes_by_local_name: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    for each in ast.walk(node):
        if isinstance(each, ast.Attribute):
            found.add(each.attr)
        elif isinstance(each, ast.Name):
            found |= attributes_by_local_name.get(each.id, set())
    return found


def _iter_attribute_constant_comparisons(
    condition: ast.AST, aliases: Mapping[str, set[str]], module: ModuleType
) -> Iterator[tuple[str, int]]:
    """Yield each attribute that a condition compares with a named constant, and the constant's value."""
    for node in ast.walk(condition):
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            left, right = node.left, node.comparators[0]
            for side, other in ((left, right), (right, left)):
                value = _find_python_integer_constant(other, module)
                if value is not None:
                    yield from ((attribute, value) for attribute in _list_read_attribute_names(side, aliases))


def _find_python_integer_constant(node: ast.AST, module: ModuleType) -> int | None:
    """Return the value of a named integer constant above 1; None for any other expression."""
    if isinstance(node, ast.Name) and node.id.isupper():
        found = vars(module).get(node.id)
    elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.attr.isupper():
        found = getattr(vars(module).get(node.value.id), node.attr, None)
    else:
        return None
    return found if isinstance(found, int) and found > 1 else None


# ------------------------------------------------------------------------- predicates


@cache
def derive_model_state_predicates() -> tuple[Predicate, ...]:
    """Return a predicate for each question that the model's conditions ask about a stored field.

    The questions are whether the field is set, is zero, or equals a constant that a condition compares it
    with.
    """
    reads = find_model_decision_reads()
    found: dict[Predicate, None] = {}
    for table in iter_model_storage_tables():
        fields = getattr(type(table.default), "_fields", None)
        if fields is None:
            if table.attribute in reads.attributes:
                found |= dict.fromkeys(
                    _iter_field_predicates(
                        table, "v", "", type(table.default), "", table.contract, table.attribute
                    )
                )
            continue
        record = type(table.default)
        for field, bits in zip(fields, record.BITS, strict=False):
            if field in reads.attributes:
                kind = bool if bits == 1 else type(getattr(table.default, field))
                found |= dict.fromkeys(
                    _iter_field_predicates(
                        table, f"v.{field}", f".{field}", kind, "any(v) and ", record.__name__, field
                    )
                )
    return tuple(found)


def _iter_field_predicates(
    table: TableDeclaration, value: str, suffix: str, kind: type, guard: str, owner: str, attribute: str
) -> Iterator[Predicate]:
    """Yield the predicates of one field: set, zero, and equal to each constant it is compared with.

    `guard` is a condition that excludes empty records, in which all fields are zero.
    """
    name = f"{table.contract} {table.path}{suffix}"
    none = repr(ZERO_ADDRESS) if kind is str else "0"
    yield Predicate(table.contract, table.path, f"{name} {SET}", f"{value} != {none}")
    if kind is int:
        yield Predicate(table.contract, table.path, f"{name} {ZERO}", f"{guard}{value} == 0")
        for constant in sorted(find_model_decision_reads().constants.get((owner, attribute), ())):
            yield Predicate(
                table.contract, table.path, f"{name} is at {constant:,}", f"{value} == {constant}"
            )
