"""What only `make deep` tests has something like it in every run."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.support.checkout_paths import ROOT

TESTS = ROOT / "tests"


def speaking_of(*words: str) -> Iterator[tuple[Path, ast.Module]]:
    """The trees of the test files that have one of these words: parsing all of them takes seconds."""
    for path in sorted(TESTS.rglob("*.py")):
        text = path.read_text()
        if any(word in text for word in words):
            yield path, ast.parse(text)


@cache
def functions_of(file: Path) -> list[ast.FunctionDef]:
    """The functions of a test file."""
    return [each for each in ast.parse(file.read_text()).body if isinstance(each, ast.FunctionDef)]


def deep_marks(function: ast.FunctionDef) -> bool:
    """Whether all cases of a test are deep."""
    marks = [ast.unparse(each) for each in function.decorator_list]
    return any("mark.deep" in mark and "cases=" not in mark for mark in marks)


def named() -> set[str]:
    """Every test that a deep one calls its brief: by the mark, by `cases`, or by a constant for either."""
    found: set[object] = set()
    for _, tree in speaking_of("deep"):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "cases":
                found.add(getattr(node.args[2], "value", None))
            elif (isinstance(node, ast.keyword) and node.arg == "brief") or (
                isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "BRIEF"
            ):
                found.add(getattr(node.value, "total_rad", None))
    return {str(each) for each in found - {None}}


def test_the_brief_of_a_deep_test_is_there_and_is_not_deep() -> None:
    for brief in sorted(named()):
        file, _, name = brief.partition("::")
        found = [each for each in functions_of(ROOT / file) if each.name == name]
        assert [deep_marks(each) for each in found] == [False], brief


def test_every_deep_mark_names_its_brief_or_counts_cases() -> None:
    for path, tree in speaking_of("mark.deep"):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.deep":
                assert [each.arg for each in node.keywords] in (["brief"], ["cases"]), path
