"""The commands of the pages print what the pages show: blocks that begin with `$ backstop`."""

from __future__ import annotations

import pytest

from tests.support.checkout_paths import ROOT
from tests.support.page_commands import list_page_blocks, run_page_blocks

DOCS = ROOT / "docs"
QUICK = ("how-to/install.md",)
"""Pages with commands of less than two seconds together; every run plays them."""

PAGES = sorted(
    page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md") if list_page_blocks(page.read_text())
)


def check_page(name, folder):
    """Assert that each command of a page prints its block."""
    blocks = list(run_page_blocks((DOCS / name).read_text(), folder))
    assert blocks
    for command, shown, present in blocks:
        assert present == shown, command


@pytest.mark.parametrize("name", QUICK)
def test_quick_commands_print_the_shown_output(name, tmp_path):
    check_page(name, tmp_path)


@pytest.mark.deep(brief="tests/docs/test_page_commands.py::test_quick_commands_print_the_shown_output")
@pytest.mark.parametrize("name", [name for name in PAGES if name not in QUICK])
def test_commands_print_the_shown_output(name, tmp_path):
    check_page(name, tmp_path)


def test_a_command_in_the_background_lasts_until_the_page_ends(tmp_path):
    page = "```text\n$ echo started; sleep 60 &\nstarted\n```\n\n```text\n$ echo 1 | cat\n1\n```\n"
    assert [present for _, _, present in run_page_blocks(page, tmp_path)] == ["started\n", "1\n"]
