"""A function's docstring opens with a verb for its act, not with a word that makes a riddle of it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.support.checkout_paths import ROOT

SOURCES = sorted((ROOT / "offchain").rglob("*.py"))
# Ruff's D401 knows verbs by their form; it lets these through.
OPENS_NO_SENTENCE = {
    *(
        "a",
        "all",
        "an",
        "anybody",
        "as",
        "each",
        "every",
        "everybody",
        "everything",
        "for",
        "how",
        "if",
        "in",
    ),
    *("it", "its", "nobody", "no", "of", "on", "one", "so", "that", "the", "their", "these", "this", "those"),
    *("what", "when", "where", "whether", "which", "who", "whom", "whose"),
}


def riddles(source: str) -> list[tuple[int, str]]:
    """Return line and first line of each function's docstring that opens with such a word; values may."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if any("property" in ast.unparse(decorator) for decorator in node.decorator_list):
            continue
        text = ast.get_docstring(node)
        if text and text.split()[0].strip("`,:;.").lower() in OPENS_NO_SENTENCE:
            found.append((node.lineno, text.splitlines()[0]))
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_functions_say_what_they_do(path: Path) -> None:
    assert riddles(path.read_text(encoding="utf-8")) == []


def test_a_riddle_is_seen() -> None:
    assert riddles('def f():\n    """What is said of what was found."""') == [
        (1, "What is said of what was found.")
    ]
    assert riddles('@property\ndef f(self):\n    """The unit."""') == []
