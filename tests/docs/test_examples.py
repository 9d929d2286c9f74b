"""The Python examples of the pages print what the pages show."""

from __future__ import annotations

import pytest

from tests.support.checkout_paths import ROOT
from tests.support.page_commands import list_page_blocks
from tests.support.page_examples import run_page_examples

DOCS = ROOT / "docs"
WITHOUT = {
    "how-to/lockstep.md": "tests/backstop/lockstep/conftest.py runs its files",
    "reference/glossary.md": "its entries are definitions",
}
"""Pages without a block that tests/docs runs, and the reason."""
PAGES = [page for page in sorted((ROOT / "docs").rglob("*.md")) if "```pycon\n" in page.read_text()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT / "docs").as_posix())
def test_examples_print_the_shown_output(page):
    for shown, present in run_page_examples(page.read_text()):
        assert present == shown


def test_each_how_to_and_each_reference_page_has_an_example():
    """Pages of commands and of findings are generated, or have a form of their own."""
    pages = [*(DOCS / "how-to").glob("*.md"), *(DOCS / "reference").rglob("*.md")]
    for page in pages:
        name = page.relative_to(DOCS).as_posix()
        if not name.startswith(("reference/commands/", "reference/findings/")):
            has_example = page in PAGES or bool(list_page_blocks(page.read_text()))
            assert has_example != (name in WITHOUT), name


def test_a_wrong_output_is_seen():
    page = "```pycon\n>>> 1 + 1\n3\n>>> int('x')\n```\n"
    ((shown, present),) = run_page_examples(page)
    assert shown == ">>> 1 + 1\n3\n>>> int('x')\n"
    assert present == (
        ">>> 1 + 1\n2\n>>> int('x')\nTraceback (most recent call last):\n    ...\n"
        "ValueError: invalid literal for int() with base 10: 'x'\n"
    )
