"""The kinds of faults. Each takes a node of the syntax tree and yields the edits it would make there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise

import vyper.ast as vy_ast
from vyper.ast import VyperNode

from backstop.proof.mutation.source import HINTS, Edit, Source, blocks

Operator = Callable[[VyperNode, Source], Iterator[Edit]]

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


def comparison(node: VyperNode, source: Source) -> Iterator[Edit]:
    """Move a bound to its other side, and turn it round: < becomes <= and >=."""
    if isinstance(node, vy_ast.Compare):
        symbol = SYMBOLS[type(node.op)]
        for other in COMPARISONS[symbol]:
            yield source.replace_between(node.left, node.right, symbol, other)


def logic(node: VyperNode, source: Source) -> Iterator[Edit]:
    """Put `and` for `or` and back; drop a `not`."""
    if isinstance(node, vy_ast.BoolOp):
        symbol = SYMBOLS[type(node.op)]
        for left, right in pairwise(node.values):
            yield source.replace_between(left, right, symbol, "or" if symbol == "and" else "and")
    elif isinstance(node, vy_ast.UnaryOp) and isinstance(node.op, vy_ast.Not):
        yield source.replace(node, f"({source.of(node.operand)})")


def arithmetic(node: VyperNode, source: Source) -> Iterator[Edit]:
    """Put the inverse operation: + for -, * for //, << for >>, | for & or ^, min for max; drop a ~."""
    if isinstance(node, vy_ast.BinOp):
        symbol = SYMBOLS[type(node.op)]
        yield source.replace_between(node.left, node.right, symbol, ARITHMETIC[symbol])
    elif isinstance(node, vy_ast.AugAssign):
        symbol = SYMBOLS[type(node.op)]
        yield source.replace_between(node.target, node.value, f"{symbol}=", f"{ARITHMETIC[symbol]}=")
    elif isinstance(node, vy_ast.Call) and _name(node) in CALLS:
        yield source.replace(node.func, CALLS[_name(node)])
    elif isinstance(node, vy_ast.UnaryOp) and isinstance(node.op, vy_ast.Invert):
        yield source.replace(node, f"({source.of(node.operand)})")


def rounding(node: VyperNode, source: Source) -> Iterator[Edit]:
    """Round a quotient the other way; put True for False where a call takes the direction."""
    if isinstance(node, vy_ast.BinOp) and isinstance(node.op, vy_ast.FloorDiv):
        yield source.replace(node, _ceil(source.of(node.left), source.of(node.right)))
    elif isinstance(node, vy_ast.Call) and _name(node) == "unsafe_div":
        yield source.replace(node, _ceil(*map(source.of, node.args)))
    elif isinstance(node, vy_ast.Call) and _name(node) == "_div_up":
        left, right = map(source.of, node.args)
        yield source.replace(node, f"(({left}) // ({right}))")
    elif isinstance(node, vy_ast.Call):
        for value in (*node.args, *(k.value for k in node.keywords if k.arg not in HINTS)):
            if isinstance(value, vy_ast.NameConstant):
                yield source.replace(value, str(not value.value))


def off_by_one(node: VyperNode, source: Source) -> Iterator[Edit]:
    """Make each number one higher and one lower."""
    if isinstance(node, vy_ast.Int):
        yield source.replace(node, str(node.value + 1))
        if node.value:
            yield source.replace(node, str(node.value - 1))


def dropped_assert(node: VyperNode, source: Source) -> Iterator[Edit]:
    """Leave a check out."""
    if isinstance(node, vy_ast.Assert):
        yield source.replace(node, "pass")


def dropped_write(node: VyperNode, source: Source) -> Iterator[Edit]:
    """Leave a write out."""
    if isinstance(node, vy_ast.Assign | vy_ast.AugAssign):
        yield source.replace(node, "pass")


def dropped_call(node: VyperNode, source: Source) -> Iterator[Edit]:
    """Leave out a call whose result nobody reads, or an event."""
    if isinstance(node, vy_ast.Log) or (isinstance(node, vy_ast.Expr) and _is_call(node)):
        yield source.replace(node, "pass")


def swapped_operands(node: VyperNode, source: Source) -> Iterator[Edit]:
    """Swap neighbours among a call's arguments or a record's fields, or the sides of a difference."""
    if isinstance(node, vy_ast.BinOp) and SYMBOLS[type(node.op)] in DIRECTED:
        left, right = source.of(node.left), source.of(node.right)
        yield source.replace(node, f"({right}) {SYMBOLS[type(node.op)]} ({left})")
    elif isinstance(node, vy_ast.Call):
        symmetric = _name(node) in SYMMETRIC
        for values in (node.args[symmetric:], [k.value for k in node.keywords if k.arg not in HINTS]):
            for first, second in pairwise(values):
                if source.of(first) != source.of(second):
                    yield source.swap(first, second)


def swapped_order(node: VyperNode, source: Source) -> Iterator[Edit]:
    """Swap two statements in a row: one reads what the other writes, or one calls out of the contract."""
    if isinstance(node, vy_ast.FunctionDef):
        for statements in blocks(node):
            for first, second in pairwise(statements):
                if _order_matters(first, second, source):
                    yield source.swap(first, second)


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


def _name(call: vy_ast.Call) -> str:
    return str(getattr(call.func, "id", None) or getattr(call.func, "attr", ""))


def _ceil(left: str, right: str) -> str:
    return f"((({left}) + ({right}) - 1) // ({right}))"


def _is_call(statement: VyperNode) -> bool:
    return isinstance(statement.value, vy_ast.Call | vy_ast.ExtCall)


def _order_matters(first: VyperNode, second: VyperNode, source: Source) -> bool:
    simple = (vy_ast.Assign, vy_ast.AugAssign, vy_ast.AnnAssign, vy_ast.Assert, vy_ast.Log, vy_ast.Expr)
    if not (isinstance(first, simple) and isinstance(second, simple)):
        return False
    for one, other in ((first, second), (second, first)):
        if any(_mentions(source.of(other), target) for target in _targets(one, source)):
            return True
        if one.get_descendants(vy_ast.ExtCall) and _acts(other, source):
            return True
    return False


def _targets(statement: VyperNode, source: Source) -> list[str]:
    """Return the names that a statement writes, without indices: `self.lots` of `self.lots[id] = word`.

    Declarations do not count: before them, what they declare does not compile.
    """
    if not isinstance(statement, vy_ast.Assign | vy_ast.AugAssign):
        return []
    target = statement.target
    found = target.elements if isinstance(target, vy_ast.Tuple) else [target]
    return [source.of(each).split("[")[0] for each in found]


def _mentions(text: str, target: str) -> bool:
    """Return whether a text reads or writes a target, itself or as a whole record; not as in `owner=`."""
    whole = target.split(".")[0]
    names = [target] if whole in ("self", "ledger") else [target, whole]
    return any(re.search(rf"(?<![\w.]){re.escape(name)}(?![\w.]|=[^=])", text) for name in names)


def _acts(statement: VyperNode, source: Source) -> bool:
    """Return whether others see what a statement does: storage, an event, a call."""
    if isinstance(statement, vy_ast.Log) or (isinstance(statement, vy_ast.Expr) and _is_call(statement)):
        return True
    return any(target.startswith(("self.", "ledger.")) for target in _targets(statement, source))
