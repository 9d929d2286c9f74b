"""The Python examples of the pages print what the pages show."""

from __future__ import annotations

import pytest

from tests.support.checkout_paths import ROOT
from tests.support.page_examples import run_page_examples

PAGES = [page for page in sorted((ROOT / "docs").rglob("*.md")) if "```pycon\n" in page.read_text()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT / "docs").as_posix())
def test_examples_print_the_shown_output(page):
    for shown, present in run_page_examples(page.read_text()):
        assert present == shown


def test_a_wrong_output_is_seen():
    page = "```pycon\n>>> 1 + 1\n3\n>>> int('x')\n```\n"
    ((shown, present),) = run_page_examples(page)
    assert shown == ">>> 1 + 1\n3\n>>> int('x')\n"
    assert present == (
        ">>> 1 + 1\n2\n>>> int('x')\nTraceback (most recent call last):\n    ...\n"
        "ValueError: invalid literal for int() with base 10: 'x'\n"
    )
