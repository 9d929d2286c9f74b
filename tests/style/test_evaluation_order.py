"""No expression reads state beside a call that may change it: the order of operands is the compiler's affair.

Vyper does not promise in which order the operands of an operator, the arguments of a call or the elements of
a record are evaluated. So where one of them may change state, no other may read or change any: a read goes
into a variable first. `and`, `or` and the conditional expression do promise an order, and are not looked at;
nor are local variables, which no call changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
import snekmate
import vyper.ast as vy_ast

from tests.support.checkout_paths import ROOT
from tests.support.parsed_contracts import parse_contract

CONTRACTS = ROOT / "contracts"
LIBRARY = Path(next(iter(snekmate.__path__))).parent
FILES = sorted(CONTRACTS.rglob("*.vy"))
Check = Callable[[vy_ast.VyperNode, Path], bool]

# Built-in functions that change state, and methods of arrays that do.
IMPURE = {
    "raw_call",
    "raw_create",
    "send",
    "create_from_blueprint",
    "create_minimal_proxy_to",
    "create_copy_of",
    "selfdestruct",
}
METHODS = {"append", "pop"}


def name(path: Path) -> str:
    return path.relative_to(CONTRACTS).as_posix()


@cache
@cache
def imported(path: Path) -> dict[str, Path]:
    """Return the imported modules of a file -> their files; not interfaces."""
    found = {}
    for node in parse_contract(path).get_descendants(vy_ast.ImportFrom):
        for root in (ROOT, LIBRARY):
            folder = root / (node.module or "").replace(".", "/")
            if node.level:
                folder = path.parents[node.level - 1] / (node.module or "").replace(".", "/")
            if (folder / f"{node.name}.vy").exists():
                found[node.alias or node.name] = folder / f"{node.name}.vy"
    return found


@cache
def functions(path: Path) -> dict[str, set[str]]:
    return {
        node.name: {each.node_source_code for each in node.decorator_list}
        for node in parse_contract(path).get_children(vy_ast.FunctionDef)
    }


@cache
def variables(path: Path) -> set[str]:
    """The names of a file's storage and transient variables."""
    return {
        node.target.id
        for node in parse_contract(path).get_children(vy_ast.VariableDecl)
        if not node.is_constant and not node.is_immutable
    }


def home(node: vy_ast.VyperNode, path: Path) -> Path | None:
    """The file of `self.x` or `module.x`."""
    if isinstance(node, vy_ast.Attribute) and isinstance(node.value, vy_ast.Name):
        return path if node.value.id == "self" else imported(path).get(node.value.id)
    return None


def called(node: vy_ast.Call, path: Path) -> set[str] | None:
    """The decorators of the internal function that is called; None if it is no such call."""
    file = home(node.func, path)
    return None if file is None else functions(file).get(node.func.attr)


def changes(node: vy_ast.VyperNode, path: Path) -> bool:
    """Whether a part of an expression may change state."""
    if isinstance(node, vy_ast.ExtCall):
        return True
    if not isinstance(node, vy_ast.Call):
        return False
    if isinstance(node.func, vy_ast.Name):
        return node.func.id in IMPURE
    decorators = called(node, path)
    if decorators is None:
        return isinstance(node.func, vy_ast.Attribute) and node.func.attr in METHODS
    return not decorators & {"view", "pure"}


def reads(node: vy_ast.VyperNode, path: Path) -> bool:
    """Whether a part of an expression reads state."""
    if isinstance(node, vy_ast.StaticCall):
        return True
    if isinstance(node, vy_ast.Call):
        decorators = called(node, path)
        return decorators is not None and "pure" not in decorators
    if isinstance(node, vy_ast.Attribute):
        file = home(node, path)
        is_balance = node.attr in ("balance", "codehash", "codesize", "code")
        return is_balance or (file is not None and node.attr in variables(file))
    return False


def anywhere(check: Check, node: vy_ast.VyperNode, path: Path) -> bool:
    return any(check(part, path) for part in node.get_descendants(include_self=True))


def indices(target: vy_ast.VyperNode) -> list[vy_ast.VyperNode]:
    """Yield the expressions evaluated to find an assignment's target."""
    found = []
    while isinstance(target, vy_ast.Subscript | vy_ast.Attribute):
        if isinstance(target, vy_ast.Subscript):
            found.append(target.slice)
        target = target.value
    return found


def operands(node: vy_ast.VyperNode) -> list[vy_ast.VyperNode]:
    """Yield the operands evaluated together, in an order that is not promised."""
    if isinstance(node, vy_ast.BinOp | vy_ast.Compare):
        return [node.left, node.right]
    if isinstance(node, vy_ast.Call):
        target = [node.func.value] if isinstance(node.func, vy_ast.Attribute) else []
        return [*target, *node.args, *(each.value for each in node.keywords)]
    if isinstance(node, vy_ast.Tuple | vy_ast.List):
        return list(node.elements)
    if isinstance(node, vy_ast.Subscript):
        return [node.value, node.slice]
    if isinstance(node, vy_ast.AugAssign):
        return [node.target, node.value]
    if isinstance(node, vy_ast.Assign):
        return [*indices(node.target), node.value]
    return []


def is_flagged(node: vy_ast.VyperNode, path: Path) -> bool:
    parts = operands(node)
    for i, part in enumerate(parts):
        if anywhere(changes, part, path):
            others = parts[:i] + parts[i + 1 :]
            if any(anywhere(reads, each, path) or anywhere(changes, each, path) for each in others):
                return True
    return False


def flagged(path: Path) -> Iterator[str]:
    for function in parse_contract(path).get_children(vy_ast.FunctionDef):
        for node in function.get_descendants():
            if is_flagged(node, path):
                yield f"{function.name}: {' '.join(node.node_source_code.split())}"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_nothing_is_read_beside_what_changes_it(path):
    found = list(flagged(path))
    assert not found, "\n".join(found)


WITH = """
from contracts.modules import shares as token
from ethereum.ercs import IERC20

held: uint256
of: HashMap[uint256, uint256]


@internal
def _take(amount: uint256) -> uint256:
    self.held -= amount
    return self.held


@internal
@view
def _held() -> uint256:
    return self.held


@external
def wrong(coin: IERC20, amount: uint256) -> (uint256, uint256):
    a: uint256 = self.held - self._take(1)
    b: bool = self._take(1) < token.state
    self.held += self._take(1)
    self.of[self.held] = self._take(1)
    c: uint256 = max(self._held(), self._take(1) + 1)
    d: bool[2] = [extcall coin.approve(self, 1), amount == self.balance]
    e: uint256 = self._take(1) + self._take(2)
    return staticcall coin.totalSupply(), self._take(1)


@external
def right(coin: IERC20, amount: uint256) -> (uint256, uint256):
    taken: uint256 = self._take(self.held)
    a: uint256 = amount - self._take(1)
    b: uint256 = self.held - self._held()
    self.held = self._take(1)
    self.of[amount] = self._take(1)
    c: bool = self.held == 0 or self._take(1) == 0
    assert extcall coin.transferFrom(self, coin.address, amount), "coin: no payment"
    return amount, self._take(1)
"""


def test_what_is_wrong_is_found(tmp_path):
    path = tmp_path / "With.vy"
    path.write_text(WITH)
    assert list(flagged(path)) == [
        "wrong: self.held - self._take(1)",
        "wrong: self._take(1) < token.state",
        "wrong: self.held += self._take(1)",
        "wrong: self.of[self.held] = self._take(1)",
        "wrong: max(self._held(), self._take(1) + 1)",
        "wrong: [extcall coin.approve(self, 1), amount == self.balance]",
        "wrong: self._take(1) + self._take(2)",
        "wrong: staticcall coin.totalSupply(), self._take(1)",
    ]
