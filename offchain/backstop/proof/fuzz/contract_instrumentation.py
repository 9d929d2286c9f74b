"""The contracts with a mark at every decision of their source, for coverage only.

Vyper makes a tree of operations from the source before it assembles, and the nodes of that
tree know the statement they come from, in any module. Here every condition c in it becomes

    with v = c:  pop(balance(address ^ (mark + iszero(v))));  v

The database of revm keeps every account that it was ever asked for, also by static calls and by calls
that reverted. So the accounts it knows tell which way every decision went, at the speed of a normal run.
(To trace every operation and map it back to the source measures the same, thousands of times slower.)

Decisions are: `if`, conditional expressions, `assert`, loops over a number of rounds known only when they
run, and each operand of `and` and `or`. Checks that Vyper adds are none: of arithmetic, of bounds, of calls
and their data, and the locks of nonreentrant functions. `min` and `max` do not branch. Constructors have
no marks: no call reaches them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

from backstop.files.atomic_files import write_json
from backstop.hosts.artifacts import EVM_VERSION, Artifact, Artifacts, lock_cache_files
from backstop.hosts.compiler_speedup import speed_up_compiler

# How Vyper names the counter of a loop of the source; its own loops have other names.
_LOOPS = ("range_ix", "for_list_ix")
# A call that is given so much gas is given so many times that: marks and plain code cost more.
_MORE_GAS = 4
# Marks are below this; 0 would be the contract's own address.
_MARKS = 1 << 16
_FIRST = 2


class Decision(NamedTuple):
    """Decision (branch point) of the contracts' source: its place, and names of its two outcomes."""

    file: str
    line: int
    function: str
    text: str
    yes: str
    no: str


@dataclass(frozen=True)
class ContractSurvey:
    """All functions, decisions, revert reasons and events that calls to one contract can reach.

    The contract's modules are included as far as the contract uses them. `reasons` and `events` are those
    that calls can reach; `constructor_reasons` can be met only at deployment. `functions` are the external
    functions that may change state. `bytecode_hex` is the instrumented code.
    """

    decisions: list[Decision]
    reasons: list[str]
    constructor_reasons: list[str]
    events: list[str]
    functions: list[str]
    bytecode_hex: str


class InstrumentedArtifacts(Artifacts):
    """Compiled contracts instrumented with a probe at each decision of their source.

    They behave like the plain contracts, except for their use of gas.
    """

    def __init__(self, artifacts: Artifacts) -> None:
        super().__init__(artifacts.root, artifacts.cache)
        self._surveys: dict[str, ContractSurvey] = {}
        self._marked: dict[str, Artifact] = {}

    def __getitem__(self, kind: str) -> Artifact:
        if kind not in self._marked:
            plain = super().__getitem__(kind)
            self._marked[kind] = replace(plain, bytecode_hex=self.get_survey(kind).bytecode_hex)
        return self._marked[kind]

    def get_survey(self, kind: str) -> ContractSurvey:
        """Return the survey of a contract: all decisions, reasons and events that calls can reach.

        The contract is compiled if its survey is not cached.
        """
        if kind not in self._surveys:
            self.load_surveys([kind])
        return self._surveys[kind]

    def load_surveys(self, kinds: Iterable[str]) -> None:
        """Load the surveys of some contracts from the cache, and compile those that are missing.

        Compilation uses two processes.
        """
        wanted = [kind for kind in kinds if kind not in self._surveys]
        self.load(wanted)
        files = {kind: self.cache / f"{kind}-{self._compute_cache_key(kind)}.json" for kind in wanted}
        if missing := self._load_cached_and_return_missing(files):
            with lock_cache_files(missing):
                self._compile_surveys(self._load_cached_and_return_missing(missing))

    def _load_cached_and_return_missing(self, survey_files_by_kind: Mapping[str, Path]) -> dict[str, Path]:
        """Load the surveys that are in the cache, and return the cache files of the surveys that are not."""
        found = {
            kind: survey
            for kind, file in survey_files_by_kind.items()
            if (survey := _read_cached_survey(file)) is not None
        }
        self._surveys |= found
        return {kind: file for kind, file in survey_files_by_kind.items() if kind not in found}

    def _compile_surveys(self, files: Mapping[str, Path]) -> None:
        missing = list(files)
        jobs = [(str(self.paths[kind]), str(self.root.parent)) for kind in missing]
        if len(jobs) < 2:
            self._keep_surveys(
                files,
                [
                    (kind, _build_marked_contract_survey(*job))
                    for kind, job in zip(missing, jobs, strict=True)
                ],
            )
        else:
            with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
                compiled = pool.map(_build_marked_contract_survey, *zip(*jobs, strict=True))
                self._keep_surveys(files, zip(missing, compiled, strict=True))

    def _keep_surveys(self, files: Mapping[str, Path], surveys: Iterable[tuple[str, ContractSurvey]]) -> None:
        for kind, survey in surveys:
            write_json(vars(survey), files[kind])  # each at once: who is interrupted has less to do again
            self._surveys[kind] = survey

    def _compute_cache_key(self, kind: str) -> str:
        # The compiler puts a hash of all its sources into the code.
        code = super().__getitem__(kind).bytecode_hex
        return hashlib.sha256(code.encode() + Path(__file__).read_bytes()).hexdigest()[:24]


def find_coverage_marks(contract_address: str, known_accounts: Iterable[str]) -> set[int]:
    """Return the coverage marks that one instrumented contract touched.

    Mark 2*i is the first outcome of decision i, and mark 2*i + 1 is its second outcome. Each probe reads the
    balance of an address close to the contract's own, so the accounts that the chain has loaded tell the
    marks.
    """
    own = int(contract_address, 16)
    near = (int(account, 16) ^ own for account in known_accounts)
    return {mark - _FIRST for mark in near if _FIRST <= mark < _MARKS}


def _read_cached_survey(file: Path) -> ContractSurvey | None:
    try:
        fields = json.loads(file.read_text())
        fields["decisions"] = [Decision(*decision) for decision in fields["decisions"]]
        return ContractSurvey(**fields)
    except (OSError, ValueError, TypeError):
        return None


# ------------------------------------------------------------------ the compiler


def _build_marked_contract_survey(path: str, search_path: str) -> ContractSurvey:
    """Compile one contract with a probe at each decision, and return its survey."""
    import snekmate
    from vyper.codegen import core
    from vyper.codegen.module import generate_ir_for_module
    from vyper.compiler.input_bundle import FileInput, FilesystemInputBundle
    from vyper.compiler.phases import CompilerData, generate_assembly, generate_bytecode
    from vyper.compiler.settings import OptimizationLevel, Settings, anchor_settings
    from vyper.ir.compile_ir import reset_symbols

    library = Path(next(iter(snekmate.__path__))).resolve().parent  # as the compiler tells paths
    bundle = FilesystemInputBundle([library, Path(search_path)])
    file = bundle.load_file(Path(path))
    assert isinstance(file, FileInput)
    data = CompilerData(file, input_bundle=bundle, settings=Settings(evm_version=EVM_VERSION))
    with speed_up_compiler():
        settings, contract = data.settings, data.global_ctx
    # It behaves alike, and nobody asks for its gas or its size: half the time goes into optimizing.
    settings.optimize = OptimizationLevel.NONE
    # As `generate_ir_nodes` of vyper.compiler.phases, with marks where the optimizer would work.
    core.reset_names()
    reset_symbols()
    with anchor_settings(settings):
        with speed_up_compiler():
            tree, _ = generate_ir_for_module(contract)
        marker = _VyperMarker([library, Path(search_path)])
        for runtime in _iter_nodes(tree, "deploy"):
            marker.mark_decisions_under_node(runtime.args[1])
        with speed_up_compiler():
            code = generate_bytecode(generate_assembly(tree, settings.optimize), None)

    calls = _list_reachable_function_definitions(contract.exposed_functions)
    built = _list_reachable_function_definitions(
        [] if contract.init_function is None else [contract.init_function]
    )
    reasons = _list_reasons(calls)
    return ContractSurvey(
        decisions=marker.decisions,
        reasons=reasons,
        constructor_reasons=[reason for reason in _list_reasons(built) if reason not in reasons],
        events=_list_events(calls),
        functions=sorted(
            function.name
            for function in contract.exposed_functions
            if function.is_external and function.mutability.value in ("nonpayable", "payable")
        ),
        bytecode_hex=code.hex(),
    )


class _VyperMarker:
    """Visitor that inserts a coverage probe at each condition of one contract's compiler tree (IR)."""

    def __init__(self, roots: list[Path]) -> None:
        self.decisions: list[Decision] = []
        self._roots = roots
        self._numbers: dict[tuple[int, int], int] = {}

    def mark_decisions_under_node(self, node: Any, enclosing_source: Any = None) -> None:
        """Insert a probe at each decision under a node of the intermediate representation, in place.

        `enclosing_source` is the syntax tree of the source around the node. It is used for nodes without a
        source of their own.
        """
        from vyper import ast as vy_ast

        source, operation, args = node.ast_source, node.value, node.args
        for arg in args:
            self.mark_decisions_under_node(arg, source or enclosing_source)
        if operation == "if" and isinstance(source, vy_ast.If | vy_ast.IfExp):
            args[0] = self._insert_probe(args[0], source, source.test, "true", "false")
        elif operation == "if" and isinstance(source, vy_ast.Assert):
            # assert c, reason: if (iszero c) revert
            negated = args[0]
            assert negated.value == "iszero"
            negated.args[0] = self._insert_probe(negated.args[0], source, source.test, "passed", "failed")
        elif operation in ("assert", "assert_unreachable") and isinstance(source, vy_ast.Assert):
            args[0] = self._insert_probe(args[0], source, source.test, "passed", "failed")
        elif operation == "if" and isinstance(source, vy_ast.BoolOp):
            self._mark_operands(node, source)
        elif operation == "repeat" and str(args[0].value).startswith(_LOOPS) and not args[2].is_literal:
            loop = source or enclosing_source
            assert isinstance(loop, vy_ast.For)
            args[2] = self._insert_probe(args[2], loop, loop.iter, "entered", "never entered")
        elif operation in ("call", "staticcall") and isinstance(args[0].value, int):
            args[0].value *= _MORE_GAS

    def _mark_operands(self, node: Any, source: Any) -> None:
        """Insert a probe at each operand of an `and` or `or` expression, in place.

        Vyper compiles `a and b and c` to `if a (if b c 0) 0`, and `a or b or c` to `if a 1 (if b 1 c)`.
        """
        from vyper import ast as vy_ast

        rest = 1 if isinstance(source.op, vy_ast.And) else 2
        *values, last = source.values
        for value in values:
            assert node.value == "if"
            node.args[0] = self._insert_probe(node.args[0], value, value, "true", "false")
            holder, node = node, node.args[rest]
        holder.args[rest] = self._insert_probe(node, last, last, "true", "false")

    def _insert_probe(
        self, value: Any, source: Any, condition: Any, true_label: str, false_label: str
    ) -> Any:
        from vyper.codegen.ir_node import IRnode

        place = (source.module_node.source_id, source.node_id)
        number = self._numbers.setdefault(place, len(self.decisions))
        if number == len(self.decisions):
            self.decisions.append(self._build_decision_record(source, condition, true_label, false_label))
        mark = _FIRST + 2 * number
        assert mark < _MARKS
        name = f"decision_{number}"
        looked_at = ["balance", ["xor", "address", ["add", mark, ["iszero", name]]]]
        probe = ["with", name, value, ["seq", ["pop", looked_at], name]]
        return IRnode.from_list(probe, typ=value.typ, ast_source=value.ast_source)

    def _build_decision_record(
        self, source: Any, condition: Any, true_label: str, false_label: str
    ) -> Decision:
        from vyper import ast as vy_ast

        path = Path(source.module_node.resolved_path)
        root = next(root for root in self._roots if path.is_relative_to(root))
        function = source.get_ancestor(vy_ast.FunctionDef).name
        text = " ".join(condition.node_source_code.split())
        return Decision(
            path.relative_to(root).as_posix(), source.lineno, function, text, true_label, false_label
        )


def _iter_nodes(tree: Any, operation: str) -> Iterator[Any]:
    if tree.value == operation:
        yield tree
    for arg in tree.args:
        yield from _iter_nodes(arg, operation)


def _list_reachable_function_definitions(functions: Iterable[Any]) -> list[Any]:
    """Return the syntax trees of functions and of all internal functions that they call.

    Getters that Vyper generates have no source and are left out.
    """
    found = dict.fromkeys(
        each for function in functions for each in (function, *function.reachable_internal_functions)
    )
    return [function.ast_def for function in found if function.ast_def is not None]


def _list_reasons(functions: Iterable[Any]) -> list[str]:
    from vyper import ast as vy_ast

    found = set()
    for function in functions:
        for node in function.get_descendants((vy_ast.Assert, vy_ast.Raise)):
            reason = node.msg if isinstance(node, vy_ast.Assert) else node.exc
            if isinstance(reason, vy_ast.Str):
                found.add(reason.value)
    return sorted(found)


def _list_events(functions: Iterable[Any]) -> list[str]:
    from vyper import ast as vy_ast

    logs = [log for function in functions for log in function.get_descendants(vy_ast.Log)]
    return sorted({log._metadata["type"].name for log in logs})
