"""Mutants of a Solidity file, found in the syntax tree that solc gives: the kinds of those of Vyper."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from backstop.proof.mutation.contract_mutants import Mutant, build_mutants
from backstop.proof.mutation.mutation_operators import COMPARISONS
from backstop.proof.mutation.vyper_source import SourceText, TextEdit

Node = dict[str, Any]
ARITHMETIC = {"+": "-", "-": "+", "*": "/", "/": "*", "**": "*", "%": "/", "+=": "-=", "-=": "+="}
LOGIC = {"&&": "||", "||": "&&"}
ROUNDING = {"Floor": "Ceil", "Ceil": "Floor"}
DIRECTED = frozenset({"-", "/", "%", "**"})


class SoliditySource(SourceText):
    """Text of one Solidity file, and its syntax tree with positions in bytes."""

    def __init__(self, text: str, tree: Node) -> None:
        super().__init__(text)
        self.tree = tree
        self._bytes = text.encode()

    def find_span(self, node: Node) -> tuple[int, int]:
        """Return the start and the end of a node in the text [characters]."""
        start, length, _ = map(int, node["src"].split(":"))
        first = len(self._bytes[:start].decode())
        return first, first + len(self._bytes[start : start + length].decode())

    def get_text(self, node: Node) -> str:
        """Return the source text of a node."""
        start, end = self.find_span(node)
        return self.text[start:end]

    def build_node_replacement(self, node: Node, text: str) -> TextEdit:
        return TextEdit(*self.find_span(node), text)

    def build_operator_replacement(self, left: Node, right: Node, old: str, new: str) -> TextEdit:
        """Return the edit that replaces the operator `old` between two nodes by `new`."""
        start = self.text.index(old, self.find_span(left)[1], self.find_span(right)[0])
        return TextEdit(start, start + len(old), new)

    def build_statement_removal(self, node: Node) -> TextEdit:
        """Return the edit that replaces a statement and its semicolon by an empty block."""
        start, end = self.find_span(node)
        rest = self.text[end:]
        if rest.lstrip().startswith(";"):
            end += rest.index(";") + 1
        return TextEdit(start, end, "{}")

    def build_node_swap(self, first: Node, second: Node) -> TextEdit:
        """Return the edit that exchanges two nodes and keeps the text between them."""
        (start, end), (start_2, end_2) = self.find_span(first), self.find_span(second)
        return TextEdit(start, end_2, self.get_text(second) + self.text[end:start_2] + self.get_text(first))

    def iter_functions(self) -> Iterator[tuple[str, Node]]:
        """Yield the name and the body of each function; an unnamed one has its kind as name.

        Functions without a body are skipped. A constructor is unnamed.
        """
        for contract in self.tree["nodes"]:
            for part in contract.get("nodes", ()):
                if part["nodeType"] == "FunctionDefinition" and part.get("body"):
                    yield part["name"] or part["kind"], part["body"]


Operator = Callable[[Node, SoliditySource], Iterator[TextEdit]]


def change_comparison(node: Node, source: SoliditySource) -> Iterator[TextEdit]:
    """Yield edits that replace a comparison by similar ones, for example < by <= and by >=."""
    if node["nodeType"] == "BinaryOperation":
        for other in COMPARISONS.get(node["operator"], ()):
            yield _replace_operator(node, source, other)


def change_logic(node: Node, source: SoliditySource) -> Iterator[TextEdit]:
    """Yield the edit that exchanges `&&` and `||`, or that removes a `!`."""
    if node["nodeType"] == "BinaryOperation" and node["operator"] in LOGIC:
        yield _replace_operator(node, source, LOGIC[node["operator"]])
    elif node["nodeType"] == "UnaryOperation" and node["operator"] == "!":
        yield source.build_node_replacement(node, f"({source.get_text(node['subExpression'])})")


def invert_arithmetic(node: Node, source: SoliditySource) -> Iterator[TextEdit]:
    """Yield the edit that replaces an arithmetic operator by its inverse, for example + by -."""
    if node["nodeType"] in ("BinaryOperation", "Assignment") and node["operator"] in ARITHMETIC:
        yield _replace_operator(node, source, ARITHMETIC[node["operator"]])


def flip_rounding(node: Node, source: SoliditySource) -> Iterator[TextEdit]:
    """Yield edits that reverse the rounding direction, or a boolean literal, in a call's arguments."""
    if node["nodeType"] != "FunctionCall":
        return
    for value in node["arguments"]:
        if value["nodeType"] == "MemberAccess" and value["memberName"] in ROUNDING:
            owner = source.get_text(value["expression"])
            yield source.build_node_replacement(value, f"{owner}.{ROUNDING[value['memberName']]}")
        elif value["nodeType"] == "Literal" and value["kind"] == "bool":
            yield source.build_node_replacement(value, "false" if value["value"] == "true" else "true")


def change_number_by_one(node: Node, source: SoliditySource) -> Iterator[TextEdit]:
    """Yield edits that make a number literal one higher, and one lower if it is not zero."""
    if node["nodeType"] == "Literal" and node["kind"] == "number" and node["value"].isdecimal():
        yield source.build_node_replacement(node, str(int(node["value"]) + 1))
        if int(node["value"]):
            yield source.build_node_replacement(node, str(int(node["value"]) - 1))


def drop_assert(node: Node, source: SoliditySource) -> Iterator[TextEdit]:
    """Yield the edit that removes a check: a `require`, or an `if` that only reverts."""
    if node["nodeType"] == "IfStatement" and not node.get("falseBody"):
        body = node["trueBody"]
        inside = body["statements"] if body["nodeType"] == "Block" else [body]
        if [each["nodeType"] for each in inside] == ["RevertStatement"]:
            yield source.build_statement_removal(node)
    elif _get_called_name(node) == "require":
        yield source.build_statement_removal(node)


def drop_write(node: Node, source: SoliditySource) -> Iterator[TextEdit]:
    """Yield the edit that removes an assignment statement."""
    if node["nodeType"] == "ExpressionStatement" and node["expression"]["nodeType"] == "Assignment":
        yield source.build_statement_removal(node)


def drop_call(node: Node, source: SoliditySource) -> Iterator[TextEdit]:
    """Yield the edit that removes an event, or a call with an unused result."""
    if node["nodeType"] == "EmitStatement" or _get_called_name(node) not in (None, "require"):
        yield source.build_statement_removal(node)


def swap_operands(node: Node, source: SoliditySource) -> Iterator[TextEdit]:
    """Yield edits that swap neighbouring arguments of one type, or operands such as those of `-`."""
    if node["nodeType"] == "BinaryOperation" and node["operator"] in DIRECTED:
        left, right = source.get_text(node["leftExpression"]), source.get_text(node["rightExpression"])
        yield source.build_node_replacement(node, f"({right}) {node['operator']} ({left})")
    elif node["nodeType"] == "FunctionCall":
        for first, second in pairwise(node["arguments"]):
            kinds = {each["typeDescriptions"].get("typeString") for each in (first, second)}
            if len(kinds) == 1 and source.get_text(first) != source.get_text(second):
                yield source.build_node_swap(first, second)


OPERATORS: dict[str, Operator] = {
    "comparison": change_comparison,
    "logic": change_logic,
    "arithmetic": invert_arithmetic,
    "rounding": flip_rounding,
    "off by one": change_number_by_one,
    "dropped assert": drop_assert,
    "dropped write": drop_write,
    "dropped call": drop_call,
    "swapped operands": swap_operands,
}
"""By the names of the Vyper mutants' operators."""


def list_solidity_mutants(file: str, source: SoliditySource) -> list[Mutant]:
    """Return all mutants of a file; functions with the same name are treated as one function."""
    edits: dict[str, set[tuple[TextEdit, str]]] = {}
    for function, body in source.iter_functions():
        edits.setdefault(function, set()).update(
            (edit, operator)
            for node in _iter_nodes(body)
            for operator, make in OPERATORS.items()
            for edit in make(node, source)
        )
    return [
        mutant for function, found in edits.items() for mutant in build_mutants(file, function, source, found)
    ]


def _iter_nodes(value: Any) -> Iterator[Node]:
    """Yield a syntax node and all nodes below it."""
    if isinstance(value, Mapping):
        if "nodeType" in value:
            yield dict(value)
        for below in value.values():
            yield from _iter_nodes(below)
    elif isinstance(value, list):
        for below in value:
            yield from _iter_nodes(below)


def _replace_operator(node: Node, source: SoliditySource, new: str) -> TextEdit:
    side = "HandSide" if node["nodeType"] == "Assignment" else "Expression"
    left, right = node[f"left{side}"], node[f"right{side}"]
    return source.build_operator_replacement(left, right, node["operator"], new)


def _get_called_name(statement: Node) -> str | None:
    """Return the name of the function that a statement calls; None for any other statement."""
    if statement["nodeType"] != "ExpressionStatement":
        return None
    call = statement["expression"]
    if call["nodeType"] != "FunctionCall":
        return None
    return str(call["expression"].get("name") or call["expression"].get("memberName"))
