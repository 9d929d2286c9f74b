"""The model is the specification: it uses the standard library and itself, integers only."""

import ast
import sys

import pytest

from tests.support.checkout_paths import ROOT

PACKAGE = ROOT / "offchain" / "backstop"
BASE = ("contract_base", "evm_crypto")
MODEL = [*sorted((PACKAGE / "model").rglob("*.py")), *(PACKAGE / f"{name}.py" for name in BASE)]
OWN = ("backstop.model", *(f"backstop.{name}" for name in BASE))


@pytest.mark.parametrize("path", MODEL, ids=lambda p: p.stem)
def test_imports_only_the_standard_library_and_itself(path):
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno}: relative import"
            names = [node.module or ""]
        for name in names:
            top = name.split(".")[0]
            assert name.startswith(OWN) or top in sys.stdlib_module_names, f"{path.name}: {name}"
            assert top not in {"decimal", "fractions", "math", "random", "statistics", "time", "os"}, name


@pytest.mark.parametrize("path", MODEL, ids=lambda p: p.stem)
def test_computes_in_integers_only(path):
    for node in ast.walk(ast.parse(path.read_text())):
        assert not isinstance(node, ast.Div), f"{path.name}: true division"
        assert not (isinstance(node, ast.Constant) and isinstance(node.value, float)), f"{path.name}: a float"
