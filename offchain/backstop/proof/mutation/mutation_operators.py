"""The kinds of faults. Each takes a node of the syntax tree and yields the edits it would make there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise

import vyper.ast as vy_ast
from vyper.ast import VyperNode

from backstop.proof.mutation.vyper_source import HINTS, TextEdit, VyperSource, iter_statement_blocks

Operator = Callable[[VyperNode, VyperSource], Iterator[TextEdit]]

COMPARISONS = {
    "<": ("<=", ">="),
    "<=": ("<", ">"),
    ">": (">=", "<="),
    ">=": (">", "<"),
    "==": ("!=",),
    "!=": ("==",),
    "not in": ("in",),
    "in": ("not in",),
}
ARITHMETIC = {
    "+": "-",
    "-": "+",
    "*": "//",
    "//": "*",
    "%": "//",
    "**": "*",
    "<<": ">>",
    ">>": "<<",
    "&": "|",
    "|": "&",
    "^": "|",
}
CALLS = {
    "unsafe_add": "unsafe_sub",
    "unsafe_sub": "unsafe_add",
    "unsafe_mul": "unsafe_div",
    "unsafe_div": "unsafe_mul",
    "min": "max",
    "max": "min",
}
DIRECTED = frozenset({"-", "//", "%", "<<", ">>"})
# In the first two arguments, and most have no third.
SYMMETRIC = frozenset({"unsafe_add", "unsafe_mul", "min", "max", "_mul_div"})
SYMBOLS = {
    vy_ast.Lt: "<",
    vy_ast.LtE: "<=",
    vy_ast.Gt: ">",
    vy_ast.GtE: ">=",
    vy_ast.Eq: "==",
    vy_ast.NotEq: "!=",
    vy_ast.In: "in",
    vy_ast.NotIn: "not in",
    vy_ast.And: "and",
    vy_ast.Or: "or",
    vy_ast.Add: "+",
    vy_ast.Sub: "-",
    vy_ast.Mult: "*",
    vy_ast.FloorDiv: "//",
    vy_ast.Mod: "%",
    vy_ast.Pow: "**",
    vy_ast.LShift: "<<",
    vy_ast.RShift: ">>",
    vy_ast.BitAnd: "&",
    vy_ast.BitOr: "|",
    vy_ast.BitXor: "^",
}


def comparison(node: VyperNode, source: VyperSource) -> Iterator[TextEdit]:
    """Yield edits that include or exclude a comparison's bound, or turn it round: < to <= and >=."""
    if isinstance(node, vy_ast.Compare):
        symbol = SYMBOLS[type(node.op)]
        for other in COMPARISONS[symbol]:
            yield source.build_operator_replacement(node.left, node.right, symbol, other)


def logic(node: VyperNode, source: VyperSource) -> Iterator[TextEdit]:
    """Yield edits that exchange `and` and `or`, or drop a `not`."""
    if isinstance(node, vy_ast.BoolOp):
        symbol = SYMBOLS[type(node.op)]
        for left, right in pairwise(node.values):
            yield source.build_operator_replacement(left, right, symbol, "or" if symbol == "and" else "and")
    elif isinstance(node, vy_ast.UnaryOp) and isinstance(node.op, vy_ast.Not):
        yield source.build_node_replacement(node, f"({source.get_text(node.operand)})")


def arithmetic(node: VyperNode, source: VyperSource) -> Iterator[TextEdit]:
    """Yield edits that replace an operator by its opposite, such as + by - and min by max.

    A bitwise complement (~) is dropped.
    """
    if isinstance(node, vy_ast.BinOp):
        symbol = SYMBOLS[type(node.op)]
        yield source.build_operator_replacement(node.left, node.right, symbol, ARITHMETIC[symbol])
    elif isinstance(node, vy_ast.AugAssign):
        symbol = SYMBOLS[type(node.op)]
        yield source.build_operator_replacement(
            node.target, node.value, f"{symbol}=", f"{ARITHMETIC[symbol]}="
        )
    elif isinstance(node, vy_ast.Call) and _get_called_function_name(node) in CALLS:
        yield source.build_node_replacement(node.func, CALLS[_get_called_function_name(node)])
    elif isinstance(node, vy_ast.UnaryOp) and isinstance(node.op, vy_ast.Invert):
        yield source.build_node_replacement(node, f"({source.get_text(node.operand)})")


def rounding(node: VyperNode, source: VyperSource) -> Iterator[TextEdit]:
    """Yield edits that round a quotient the other way, or flip a boolean argument of a call."""
    if isinstance(node, vy_ast.BinOp) and isinstance(node.op, vy_ast.FloorDiv):
        yield source.build_node_replacement(
            node, _render_ceil(source.get_text(node.left), source.get_text(node.right))
        )
    elif isinstance(node, vy_ast.Call) and _get_called_function_name(node) == "unsafe_div":
        yield source.build_node_replacement(node, _render_ceil(*map(source.get_text, node.args)))
    elif isinstance(node, vy_ast.Call) and _get_called_function_name(node) == "_div_up":
        left, right = map(source.get_text, node.args)
        yield source.build_node_replacement(node, f"(({left}) // ({right}))")
    elif isinstance(node, vy_ast.Call):
        for value in (*node.args, *(k.value for k in node.keywords if k.arg not in HINTS)):
            if isinstance(value, vy_ast.NameConstant):
                yield source.build_node_replacement(value, str(not value.value))


def off_by_one(node: VyperNode, source: VyperSource) -> Iterator[TextEdit]:
    """Yield edits that raise or lower an integer literal by one."""
    if isinstance(node, vy_ast.Int):
        yield source.build_node_replacement(node, str(node.value + 1))
        if node.value:
            yield source.build_node_replacement(node, str(node.value - 1))


def dropped_assert(node: VyperNode, source: VyperSource) -> Iterator[TextEdit]:
    """Yield an edit that removes an assertion."""
    if isinstance(node, vy_ast.Assert):
        yield source.build_node_replacement(node, "pass")


def dropped_write(node: VyperNode, source: VyperSource) -> Iterator[TextEdit]:
    """Yield an edit that removes an assignment."""
    if isinstance(node, vy_ast.Assign | vy_ast.AugAssign):
        yield source.build_node_replacement(node, "pass")


def dropped_call(node: VyperNode, source: VyperSource) -> Iterator[TextEdit]:
    """Yield an edit that removes an event, or a call with an unused result."""
    if isinstance(node, vy_ast.Log) or (isinstance(node, vy_ast.Expr) and _is_call(node)):
        yield source.build_node_replacement(node, "pass")


def swapped_operands(node: VyperNode, source: VyperSource) -> Iterator[TextEdit]:
    """Yield edits that swap neighbouring arguments of a call, or the operands of a directed operator."""
    if isinstance(node, vy_ast.BinOp) and SYMBOLS[type(node.op)] in DIRECTED:
        left, right = source.get_text(node.left), source.get_text(node.right)
        yield source.build_node_replacement(node, f"({right}) {SYMBOLS[type(node.op)]} ({left})")
    elif isinstance(node, vy_ast.Call):
        symmetric = _get_called_function_name(node) in SYMMETRIC
        for values in (node.args[symmetric:], [k.value for k in node.keywords if k.arg not in HINTS]):
            for first, second in pairwise(values):
                if source.get_text(first) != source.get_text(second):
                    yield source.build_node_swap(first, second)


def swapped_order(function_node: VyperNode, source: VyperSource) -> Iterator[TextEdit]:
    """Yield edits that swap two consecutive statements with dependent effects.

    One statement reads what the other writes, or one makes an external call and the other has an effect.
    """
    if isinstance(function_node, vy_ast.FunctionDef):
        for statements in iter_statement_blocks(function_node):
            for first, second in pairwise(statements):
                if _is_statement_order_relevant(first, second, source):
                    yield source.build_node_swap(first, second)


OPERATORS: dict[str, Operator] = {
    operator.__name__.replace("_", " "): operator
    for operator in (
        comparison,
        logic,
        arithmetic,
        rounding,
        off_by_one,
        dropped_assert,
        dropped_write,
        dropped_call,
        swapped_operands,
        swapped_order,
    )
}


def _get_called_function_name(call: vy_ast.Call) -> str:
    return str(getattr(call.func, "id", None) or getattr(call.func, "attr", ""))


def _render_ceil(left: str, right: str) -> str:
    return f"((({left}) + ({right}) - 1) // ({right}))"


def _is_call(statement: VyperNode) -> bool:
    return isinstance(statement.value, vy_ast.Call | vy_ast.ExtCall)


def _is_statement_order_relevant(first: VyperNode, second: VyperNode, source: VyperSource) -> bool:
    simple = (vy_ast.Assign, vy_ast.AugAssign, vy_ast.AnnAssign, vy_ast.Assert, vy_ast.Log, vy_ast.Expr)
    if not (isinstance(first, simple) and isinstance(second, simple)):
        return False
    for one, other in ((first, second), (second, first)):
        if any(_is_mentioned(source.get_text(other), target) for target in _list_targets(one, source)):
            return True
        if one.get_descendants(vy_ast.ExtCall) and _has_effect(other, source):
            return True
    return False


def _list_targets(statement: VyperNode, source: VyperSource) -> list[str]:
    """Return the names that a statement assigns, without indices.

    Declarations are left out, because a use before a declaration does not compile.
    """
    if not isinstance(statement, vy_ast.Assign | vy_ast.AugAssign):
        return []
    target = statement.target
    found = target.elements if isinstance(target, vy_ast.Tuple) else [target]
    return [source.get_text(each).split("[")[0] for each in found]


def _is_mentioned(text: str, target: str) -> bool:
    """Return whether a text uses an assigned name or its whole record.

    The name of a keyword argument does not count.
    """
    whole = target.split(".")[0]
    names = [target] if whole in ("self", "ledger") else [target, whole]
    return any(re.search(rf"(?<![\w.]){re.escape(name)}(?![\w.]|=[^=])", text) for name in names)


def _has_effect(statement: VyperNode, source: VyperSource) -> bool:
    """Return whether a statement writes storage, logs an event or makes a call."""
    if isinstance(statement, vy_ast.Log) or (isinstance(statement, vy_ast.Expr) and _is_call(statement)):
        return True
    return any(target.startswith(("self.", "ledger.")) for target in _list_targets(statement, source))
