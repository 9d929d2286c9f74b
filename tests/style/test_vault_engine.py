"""The vault engine's modules: each owns its storage; the model has its names, the interface its words."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from pathlib import Path

import pytest
import vyper.ast as vy_ast

from tests.support.checkout_paths import ROOT
from tests.support.parsed_contracts import parse_contract

CONTRACTS = ROOT / "contracts"
MODULES = {
    "ledger": ("modules/ledger.vy", "Ledger"),
    "terms": ("modules/terms.vy", "Governed"),
    "loss_cover": ("modules/loss_cover.vy", "Coverage"),
    "vault_engine": ("VaultEngine.vy", "VaultEngine"),
}
# What the ledger packs by hand: others ask its functions for a field.
PACKED = {"ledger.debts", "ledger.income", "ledger.auctions", "ledger.redistributions", "ledger.system"}
# Words taken apart and put together: the model has records.
UNPACKED = {
    *("_load_debts", "_store_debts", "_store_redistribution", "_store_terms", "_load_vault"),
    *("_reserve", "_buffer", "_in_auction", "_auctions", "_leave_auction", "_unit"),
}


def functions(path: Path, decorator: str) -> dict[str, vy_ast.FunctionDef]:
    return {
        node.name: node
        for node in parse_contract(path).get_children(vy_ast.FunctionDef)
        if decorator in [each.node_source_code.lstrip("@") for each in node.decorator_list]
    }


def docstring(function: vy_ast.FunctionDef) -> str:
    return inspect.cleandoc(function.doc_string.value)


@pytest.mark.parametrize("path", sorted(CONTRACTS.rglob("*.vy")), ids=lambda p: p.stem)
def test_only_a_module_itself_writes_its_storage(path):
    tree = parse_contract(path)
    # Nothing local may be called as a module is that the file imports.
    modules = {
        node.name for node in tree.get_descendants(vy_ast.ImportFrom) if node.module == "contracts.modules"
    }
    for node in tree.get_descendants((vy_ast.Assign, vy_ast.AugAssign)):
        written = node.target.node_source_code
        assert written.split(".")[0] not in modules, f"{path.name}:{node.lineno} writes {written}"
    for node in tree.get_descendants(vy_ast.Attribute):
        assert node.node_source_code not in PACKED, f"{path.name}:{node.lineno} reads {node.node_source_code}"


@pytest.mark.parametrize("module", MODULES)
def test_internal_functions_have_the_models_names_and_arguments(module):
    file, name = MODULES[module]
    python = import_module(f"backstop.model.{module}")
    for function in functions(CONTRACTS / file, "internal").values():
        if function.name in UNPACKED:
            continue
        model = getattr(getattr(python, name), function.name, None) or getattr(python, function.name)
        found = [each for each in inspect.signature(model).parameters if each not in ("self", "sender")]
        assert found == [each.arg for each in function.args.args], f"{file}: {function.name}"


@pytest.mark.parametrize("module", MODULES)
def test_external_functions_say_it_all_and_the_interface_says_the_same(module):
    interface = functions(CONTRACTS / "interfaces/IVaultEngine.vyi", "external")
    for function in functions(CONTRACTS / MODULES[module][0], "external").values():
        text = docstring(function)
        assert text.startswith("@notice "), function.name
        assert re.findall(r"@param (\w+) ", text) == [each.arg for each in function.args.args], function.name
        assert ("@return " in text) == (function.returns is not None), function.name
        assert docstring(interface[function.name]) == text, function.name
