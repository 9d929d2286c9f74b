"""A known hole is kept: each attack that still succeeds lies in one folder, and a page names each."""

import ast

from tests.support.checkout_paths import ROOT

TESTS = ROOT / "tests"
OPEN = TESTS / "exploits" / "open"
PAGE = ROOT / "docs/reference/known-issues.md"
ATTACKS = sorted(OPEN.glob("test_*.py"))
# What breaks where a part is broken from outside: its page is held equal to its cells.
FAULTS = sorted((TESTS / "backstop/proof/faults").glob("test_*.py"))
# What a public standard asks and a pool does not do: docs/reference/erc4626.md has it.
STANDARD = TESTS / "properties/erc4626/test_exceptions.py"
MARK = "mark_known_issue"


def marks(source: str) -> int:
    """How often a file marks attacks that still succeed, function by function or all of them."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return sum(ast.unparse(call.func).split(".")[-1] == MARK for call in calls)


def test_the_page_links_every_attack() -> None:
    """There are none while none succeeds: then there is no such folder."""
    linked = PAGE.read_text()
    assert all(f"](../../{path.relative_to(ROOT).as_posix()})" in linked for path in ATTACKS)


def test_what_is_mended_is_moved_away() -> None:
    assert all(marks(path.read_text()) > 0 for path in ATTACKS)
    assert OPEN.is_dir() == bool(ATTACKS)


def test_no_other_test_is_marked() -> None:
    """Elsewhere an attack fails: one that does not belongs into the folder, where the page names it."""
    # Parsing them all takes seconds.
    named = [path for path in TESTS.rglob("*.py") if MARK in path.read_text()]
    marked = {path for path in named if marks(path.read_text())}
    assert marked <= {*ATTACKS, *FAULTS, STANDARD}


def test_a_mark_is_seen() -> None:
    assert marks('@mark_known_issue("a rule")\ndef test_it():\n    pass') == 1
    assert marks('@holes.mark_known_issue("a rule")\ndef test_it():\n    pass') == 1
    assert marks('pytestmark = mark_known_issue("a rule")') == 1
    assert marks("def test_it():\n    pass") == 0
