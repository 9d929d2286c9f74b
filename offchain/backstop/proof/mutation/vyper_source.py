"""The source of a contract beside its syntax tree: which stretch of text a node is."""

from __future__ import annotations

import ast
import copy
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from typing import NamedTuple

import vyper.ast as vy_ast
from vyper.ast import VyperNode
from vyper.ast.nodes import get_node
from vyper.ast.parse import annotate_python_ast
from vyper.ast.pre_parser import PreParser

# Hints to the compiler: another value changes gas or nothing.
HINTS = frozenset({"bound", "skip_contract_check"})


class TextEdit(NamedTuple):
    """Replacement of the text from `start` to `end` by another text."""

    start: int
    end: int
    text: str


class SourceText:
    """Text of a source file of any language."""

    def __init__(self, text: str) -> None:
        self.text = text

    def get_line_number(self, position: int) -> int:
        """Return the line number of a text position, counted from 1."""
        return self.text.count("\n", 0, position) + 1

    def widen_to_lines(self, start: int, end: int) -> tuple[int, int]:
        """Return start and end of the whole lines that contain a span of text."""
        newline = self.text.find("\n", end)
        return self.text.rfind("\n", 0, start) + 1, len(self.text) if newline < 0 else newline


class VyperSource(SourceText):
    """Vyper source file with its syntax tree."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.module = parse_vyper(text)
        self._starts = [0, *accumulate(len(line) for line in text.splitlines(keepends=True))]

    def find_span(self, node: VyperNode) -> tuple[int, int]:
        """Return start and end position of a node's text, without enclosing parentheses."""
        start = self._starts[node.lineno - 1] + node.col_offset
        return start, self._starts[node.end_lineno - 1] + node.end_col_offset

    def get_text(self, node: VyperNode) -> str:
        """Return the source text of a syntax node."""
        start, end = self.find_span(node)
        return self.text[start:end]

    def build_node_replacement(self, node: VyperNode, text: str) -> TextEdit:
        return TextEdit(*self.find_span(node), text)

    def build_operator_replacement(
        self, left_node: VyperNode, right_node: VyperNode, old: str, new: str
    ) -> TextEdit:
        """Return an edit that replaces the operator between two nodes."""
        start = self.text.index(old, self.find_span(left_node)[1], self.find_span(right_node)[0])
        return TextEdit(start, start + len(old), new)

    def build_node_swap(self, first: VyperNode, second: VyperNode) -> TextEdit:
        """Return an edit that exchanges the texts of two nodes and keeps the text between them."""
        (start, end), (start_2, end_2) = self.find_span(first), self.find_span(second)
        return TextEdit(start, end_2, self.get_text(second) + self.text[end:start_2] + self.get_text(first))

    def iter_functions_and_constants(self) -> Iterator[tuple[str, VyperNode]]:
        """Yield name and syntax node of each function and of each constant's value."""
        for node in self.module.body:
            if isinstance(node, vy_ast.FunctionDef):
                yield node.name, node
            elif isinstance(node, vy_ast.VariableDecl) and node.is_constant:
                yield node.target.id, node.value


class _ColumnAdjustments(dict[tuple[int, int], int]):
    """Column offsets between Vyper source and the Python text that the Vyper parser makes of it.

    Offsets are known at the starts of tokens. Other columns, such as ends of nodes, use the last offset of
    their line.
    """

    def __init__(self, at_tokens: dict[tuple[int, int], int]) -> None:
        super().__init__(at_tokens)
        self._places = sorted(at_tokens)

    def get(self, line_and_column: tuple[int, int], default: int = 0) -> int:  # type: ignore[override]
        before = self._places[bisect_right(self._places, line_and_column) - 1]
        return self[before] if before[0] == line_and_column[0] else default


def parse_vyper(text: str) -> vy_ast.Module:
    """Return the syntax tree of Vyper source, with correct end positions around `log` and `extcall`."""
    pre_parser = PreParser(is_interface=False)
    pre_parser.parse(text)
    pre_parser.adjustments = _ColumnAdjustments(pre_parser.adjustments)
    # Python shares the nodes of operators between parses.
    tree = copy.deepcopy(ast.parse(pre_parser.reformatted_code))
    annotate_python_ast(tree, text, pre_parser)
    return get_node(tree)


def iter_code(node: VyperNode) -> Iterator[VyperNode]:
    """Yield a node and all executable nodes below it.

    Types, compiler hints and documentation are left out.
    """
    yield node
    if isinstance(node, vy_ast.FunctionDef):
        below = node.body
    elif isinstance(node, vy_ast.AnnAssign):
        below = [node.value]
    elif isinstance(node, vy_ast.For):
        below = [node.iter, *node.body]
    elif isinstance(node, vy_ast.keyword) and node.arg in HINTS:
        below = []
    else:
        below = node.get_children()
    for child in below:
        yield from iter_code(child)


def iter_statement_blocks(node: VyperNode) -> Iterator[list[VyperNode]]:
    """Yield each list of consecutive statements in a node."""
    for each in iter_code(node):
        for name in ("body", "orelse"):
            if isinstance(statements := getattr(each, name, None), list) and statements:
                yield statements
