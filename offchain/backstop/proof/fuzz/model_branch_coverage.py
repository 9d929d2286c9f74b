"""The branches of the model that a process has run: the model is loaded with a mark in every arm.

Counted as branches: both sides of an `if` (written or not), of a conditional expression, of each operand of
`and` and `or`, of a `require`, of the `min` and `max` of two values; a loop that ran and one that had
nothing to run over; every `except` that caught something. Marks are bytes of one array.
"""

from __future__ import annotations

import ast
import marshal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from hashlib import sha256
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import MAGIC_NUMBER, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, NamedTuple, TypeVar

from backstop.errors import BackstopError
from backstop.files.atomic_files import write_bytes
from backstop.files.installation import cache_folder

N = TypeVar("N", bound=ast.AST)

PACKAGE = "backstop.model"
FOLDER = Path(__file__).resolve().parents[2] / "model"
_ROOT = FOLDER.parents[1]
# Its callers are counted instead.
_PASSED_OVER = "require"


class Branch(NamedTuple):
    """One outcome (arm) of a branch point in the model's source. Its mark is its index in the list."""

    file: str
    line: int
    function: str
    text: str
    arm: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.text}: {self.arm}"


class BranchMarks:
    """Branch coverage of the model in this process. `reached[i]` is 1 once `branches[i]` was executed."""

    def __init__(self, branches: Sequence[Branch]) -> None:
        self.branches = list(branches)
        self.reached = bytearray(len(self.branches))
        self._seen = bytes(self.reached)
        self._count = 0

    def count_reached_branches(self) -> int:
        """Count the distinct branches that were executed so far in this process."""
        if self.reached != self._seen:
            self._seen = bytes(self.reached)
            self._count = self._seen.count(1)
        return self._count

    def list_missing_branches(self) -> list[Branch]:
        """Return the branches that were not executed so far in this process."""
        return [branch for branch, mark in zip(self.branches, self.reached, strict=True) if not mark]

    def build_marking_functions_by_name(self) -> dict[str, Any]:
        """Return the functions and the array that instrumented code uses to record branches, by name.

        An importer adds these names to each instrumented module. The model's own code does not use them.
        """
        reached = self.reached

        def truth(mark: int, value: Any) -> Any:
            if value:
                reached[mark] = 1
            else:
                reached[mark + 1] = 1
            return value

        def least(mark: int, a: Any, b: Any) -> Any:
            if b < a:
                reached[mark + 1] = 1
                return b
            reached[mark] = 1
            return a

        def most(mark: int, a: Any, b: Any) -> Any:
            if b > a:
                reached[mark + 1] = 1
                return b
            reached[mark] = 1
            return a

        return {"_reached": reached, "_truth": truth, "_least": least, "_most": most}


def install_marked_model_importer() -> BranchMarks:
    """Install an importer that instruments each module of the model, and return its branch marks.

    Raises BackstopError if a module of the model is already imported, since that copy stays uninstrumented.
    """
    loaded = [name for name in sys.modules if name.startswith(f"{PACKAGE}.")]
    if loaded:
        raise BackstopError(f"probes have to be installed before {loaded[0]} is imported")
    codes, branches = _read_or_compile_marked_model()
    probes = BranchMarks(branches)
    sys.meta_path.insert(0, _MarkedModuleFinder(codes, probes.build_marking_functions_by_name()))
    return probes


def list_model_branches() -> list[Branch]:
    """Return all branches of the model's source, in the order of their marks, without instrumentation."""
    return list(_read_or_compile_marked_model()[1])


# ----------------------------------------------------------------------- loading


class _MarkedModuleFinder(MetaPathFinder):
    def __init__(self, codes: dict[str, CodeType], names: dict[str, Any]) -> None:
        self._codes = codes
        self._names = names

    def find_spec(self, name: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        if name not in self._codes:
            return None
        file = str(FOLDER / f"{name.rpartition('.')[2]}.py")
        loader = _MarkedModuleLoader(name, file, self._codes[name], self._names)
        return spec_from_file_location(name, file, loader=loader)


class _MarkedModuleLoader(SourceFileLoader):
    def __init__(self, name: str, file: str, code: CodeType, names: dict[str, Any]) -> None:
        super().__init__(name, file)
        self._code = code
        self._names = names

    def get_code(self, fullname: str) -> CodeType:
        # Neither reads nor leaves bytecode in __pycache__.
        return self._code

    def exec_module(self, module: ModuleType) -> None:
        vars(module).update(self._names)
        super().exec_module(module)


# ----------------------------------------------------------------------- marking


@cache
def _read_or_compile_marked_model() -> tuple[dict[str, CodeType], tuple[Branch, ...]]:
    """Return the model's instrumented bytecode by module name, and its branches in order of marks.

    The result is cached on disk. Each process of a campaign needs the same bytecode, and compiling it takes
    longer than all other imports.
    """
    sources = {path: path.read_bytes() for path in sorted(FOLDER.glob("*.py")) if path.stem != "__init__"}
    made_of = repr(
        (MAGIC_NUMBER, Path(__file__).read_bytes(), [(str(path), sources[path]) for path in sources])
    )
    file = cache_folder() / "probes" / f"{sha256(made_of.encode()).hexdigest()[:24]}.marshal"
    try:
        codes, branches = marshal.loads(file.read_bytes())
        return codes, tuple(Branch(*branch) for branch in branches)
    except (OSError, ValueError, EOFError, TypeError):
        codes, branches = _compile_marked_model_modules(sources)
    with suppress(OSError):  # it takes longer next time, no more
        for of_another_model in file.parent.glob("*.marshal"):
            of_another_model.unlink(missing_ok=True)
        write_bytes(marshal.dumps((codes, [tuple(branch) for branch in branches])), file)
    return codes, branches


def _compile_marked_model_modules(
    model_sources: Mapping[Path, bytes],
) -> tuple[dict[str, CodeType], tuple[Branch, ...]]:
    """Compile all modules of the model with marks, in the order of their file names.

    So the marks' numbers do not depend on the order of imports.
    """
    codes, branches = {}, list[Branch]()
    for path, source in model_sources.items():
        code, found = compile_module_with_marks(source.decode(), path, len(branches))
        codes[f"{PACKAGE}.{path.stem}"] = code
        branches += found
    return codes, tuple(branches)


def compile_module_with_marks(source: str, path: Path, first_mark: int = 0) -> tuple[CodeType, list[Branch]]:
    """Compile a module's source with a mark in each branch; return the bytecode and the branches.

    The marks are numbered from `first_mark`.
    """
    name = path.relative_to(_ROOT).as_posix() if path.is_relative_to(_ROOT) else path.name
    marker = _PythonMarker(name, first_mark)
    tree = ast.fix_missing_locations(marker.visit(ast.parse(source)))
    return compile(tree, str(path), "exec", dont_inherit=True), marker.branches


class _PythonMarker(ast.NodeTransformer):
    """Syntax tree transformer that inserts branch marks into the functions of one module.

    Code outside functions runs only once, on import, and has no marks.
    """

    def __init__(self, file: str, first: int) -> None:
        self.branches: list[Branch] = []
        self._file = file
        self._first = first
        self._where: list[str] = []
        self._functions = 0

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._visit_under_scope_name(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        if node.name == _PASSED_OVER:
            return node
        self._functions += 1
        self._visit_under_scope_name(node)
        self._functions -= 1
        return node

    def visit_If(self, node: ast.If) -> ast.AST:
        mark = self._allocate_branch_marks(node, node.test, "true", "false")
        if mark is not None:
            self.generic_visit(node)
            node.body.insert(0, _make_store(mark))
            node.orelse.insert(0, _make_store(mark + 1))
        return node

    def visit_For(self, node: ast.For) -> Any:
        return self._mark_loop(node, node.iter)

    def visit_While(self, node: ast.While) -> Any:
        return self._mark_loop(node, node.test)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        mark = self._allocate_branch_marks(node, node.type, "caught")
        self.generic_visit(node)
        if mark is not None:
            node.body.insert(0, _make_store(mark))
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        """Replace a `require(condition, reason)` by an `if` with a mark in each arm.

        So a condition that holds costs no function call.
        """
        call = node.value
        if not (isinstance(call, ast.Call) and _is_name(call.func, "require") and len(call.args) == 2):
            self.generic_visit(node)
            return node
        mark = self._allocate_branch_marks(node, call.args[0], "passed", "failed")
        self.generic_visit(call)
        if mark is None:
            return node
        test, call.args[0] = call.args[0], ast.Constant(False)
        return ast.copy_location(ast.If(test, [_make_store(mark)], [_make_store(mark + 1), node]), node)

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        mark = self._allocate_branch_marks(node, node.test, "true", "false")
        self.generic_visit(node)
        if mark is not None:
            node.test = _make_call("_truth", mark, node.test)
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        marks = [self._allocate_branch_marks(value, value, "true", "false") for value in node.values]
        self.generic_visit(node)
        for i, mark in enumerate(marks):
            if mark is not None:
                node.values[i] = _make_call("_truth", mark, node.values[i])
        return node

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        marks = [self._allocate_branch_marks(test, test, "true", "false") for test in node.ifs]
        self.generic_visit(node)
        for i, mark in enumerate(marks):
            if mark is not None:
                node.ifs[i] = _make_call("_truth", mark, node.ifs[i])
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        pair = len(node.args) == 2 and not node.keywords
        for name, helper in (("min", "_least"), ("max", "_most")):
            if pair and _is_name(node.func, name):
                sides = [
                    f"the first, {ast.unparse(node.args[0])}",
                    f"the second, {ast.unparse(node.args[1])}",
                ]
                mark = self._allocate_branch_marks(node, node, *sides)
                self.generic_visit(node)
                return node if mark is None else _make_call(helper, mark, *node.args)
        self.generic_visit(node)
        return node

    def _visit_under_scope_name(self, node: N) -> N:
        self._where.append(node.name)  # type: ignore[attr-defined]
        self.generic_visit(node)
        self._where.pop()
        return node

    def _mark_loop(self, node: ast.For | ast.While, condition: ast.expr) -> Any:
        mark = self._allocate_branch_marks(node, condition, "entered", "never entered")
        self.generic_visit(node)
        if mark is None:
            return node
        # Python does not tell whether a loop ran: a local variable does.
        ran = f"_ran_{mark}"
        node.body[:0] = [_make_store(mark), _make_assignment(ran, True)]
        unless = ast.If(ast.Name(ran, ast.Load()), [ast.Pass()], [_make_store(mark + 1)])
        return [ast.copy_location(each, node) for each in (_make_assignment(ran, False), node, unless)]

    def _allocate_branch_marks(self, node: ast.AST, condition: ast.AST | None, *arms: str) -> int | None:
        """Record a new branch for each arm, and return the first one's mark; None outside functions."""
        if not self._functions:
            return None
        mark = self._first + len(self.branches)
        line = node.lineno  # type: ignore[attr-defined]
        text = "anything" if condition is None else ast.unparse(condition)
        function = ".".join(self._where)
        self.branches += [Branch(self._file, line, function, text, arm) for arm in arms]
        return mark


def _make_store(mark: int) -> ast.stmt:
    target = ast.Subscript(ast.Name("_reached", ast.Load()), ast.Constant(mark), ast.Store())
    return ast.Assign([target], ast.Constant(1))


def _make_assignment(name: str, value: bool) -> ast.stmt:
    return ast.Assign([ast.Name(name, ast.Store())], ast.Constant(value))


def _make_call(helper: str, mark: int, *values: ast.expr) -> ast.expr:
    return ast.Call(ast.Name(helper, ast.Load()), [ast.Constant(mark), *values], [])


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name
