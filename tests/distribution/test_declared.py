"""Each module that is imported comes with a requirement that pyproject.toml names."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable
from functools import cache
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from backstop.files.installation import EXTRAS, TOOLS
from tests.support.checkout_paths import ROOT
from tests.support.declared_requirements import EXTRA_REQUIREMENTS, PROJECT, list_group_requirements

OWN = {"backstop", "benchmarks"}


def names_in(requirements: Iterable[str]) -> set[str]:
    return {canonicalize_name(Requirement(each).name) for each in requirements}


CORE = names_in(PROJECT["dependencies"])
DECLARED = {extra: names_in(each) for extra, each in EXTRA_REQUIREMENTS.items()}


@cache
def imported_modules(folder: str) -> dict[str, set[str]]:
    """Return the files that import each module of a third party, anywhere in their text."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level and node.module:
                names = [node.module]
            for name in names:
                module = name.partition(".")[0]
                if module not in sys.stdlib_module_names and module not in OWN:
                    found.setdefault(module, set()).add(path.relative_to(ROOT).as_posix())
    return found


DISTRIBUTIONS = metadata.packages_distributions()


def distributions_with(module: str) -> set[str]:
    return {canonicalize_name(each) for each in DISTRIBUTIONS.get(module, ())}


@pytest.mark.parametrize("folder", ["offchain/backstop", "offchain/benchmarks"])
def test_every_import_is_declared(folder: str) -> None:
    declared = CORE.union(*DECLARED.values(), names_in(list_group_requirements("dev")))
    modules = imported_modules(folder)
    assert len(modules) > 5
    found = {module: sorted(paths) for module, paths in modules.items()}
    missing = {module: paths for module, paths in found.items() if not distributions_with(module) & declared}
    assert missing == {}


def test_a_module_of_an_extra_is_named_where_it_is_missing() -> None:
    """`pip install 'backstop[chain]'` is the answer to each of them, instead of a traceback."""
    for extra in ("chain", "cluster"):
        modules = {
            module
            for module in imported_modules("offchain/backstop")
            if distributions_with(module) & (DECLARED[extra] - CORE)
        }
        assert modules <= set(EXTRAS[extra]), extra


def test_a_module_of_no_extra_is_named_where_it_is_missing() -> None:
    """Imports that only a checkout's commands need require no answer: they refuse to run without one."""
    modules = {
        module
        for module, paths in imported_modules("offchain/backstop").items()
        if not distributions_with(module) & CORE.union(*DECLARED.values())
        and not all(path.startswith("offchain/backstop/proof/mutation/") for path in paths)
    }
    of_py_evm, of_the_plugin = {"eth_typing"}, {"pytest"}  # pytest itself loads the plugin
    assert modules == set(TOOLS) | of_py_evm | of_the_plugin
