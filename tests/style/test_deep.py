"""What only `make deep` tests has something like it in every run."""

import ast

import pytest

from tests.support.paths import ROOT

TESTS = ROOT / "tests"


def deep_marks(function: ast.FunctionDef) -> bool:
    """Whether all cases of a test are deep."""
    return any("mark.deep" in ast.unparse(each) for each in function.decorator_list)


def named() -> set[str]:
    """Every test that a deep one calls its brief: by the mark, by `cases`, or by a constant for either."""
    found: set[object] = set()
    for path in TESTS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "cases":
                found.add(getattr(node.args[2], "value", None))
            elif (isinstance(node, ast.keyword) and node.arg == "brief") or (
                isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "BRIEF"
            ):
                found.add(getattr(node.value, "value", None))
    return {str(each) for each in found - {None}}


@pytest.mark.parametrize("brief", sorted(named()))
def test_the_brief_of_a_deep_test_is_there_and_is_not_deep(brief: str) -> None:
    file, _, name = brief.partition("::")
    functions = [
        each for each in ast.parse((ROOT / file).read_text()).body if isinstance(each, ast.FunctionDef)
    ]
    (found,) = [each for each in functions if each.name == name]
    assert not deep_marks(found)


def test_every_deep_mark_names_its_brief() -> None:
    for path in TESTS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.deep":
                assert [each.arg for each in node.keywords] == ["brief"], path
