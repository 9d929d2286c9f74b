"""Tests that only `make deep` runs have a smaller counterpart in every run."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.support.checkout_paths import ROOT

TESTS = ROOT / "tests"
MARKING = ("pytest.mark.deep", "build_pytest_params_with_deep_marks")
FULL_NAME = re.compile(r"tests/\S+\.py::\w+")


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
    """Every test that a deep one calls its brief: in a mark, for some of many cases, or by a constant."""
    values: list[ast.expr] = []
    for _, tree in speaking_of("mark.deep", "deep_marks("):
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign):
                values.append(node.value)
            elif isinstance(node, ast.Call) and ast.unparse(node.func) in MARKING:
                values += [*node.args, *(each.value for each in node.keywords)]
    texts = {str(each.value) for each in values if isinstance(each, ast.Constant)}
    return {each for each in texts if FULL_NAME.fullmatch(each)}


def test_the_brief_of_a_deep_test_is_there_and_is_not_deep() -> None:
    briefs = named()
    # Deep tests of each folder name others: fewer means that they are no longer found.
    assert len(briefs) > 100
    for brief in sorted(briefs):
        file, _, name = brief.partition("::")
        found = [each for each in functions_of(ROOT / file) if each.name == name]
        assert [deep_marks(each) for each in found] == [False], brief


def test_every_deep_mark_names_its_brief_or_counts_cases() -> None:
    for path, tree in speaking_of("mark.deep"):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.deep":
                assert [each.arg for each in node.keywords] in (["brief"], ["cases"]), path
