"""Pages of published results: each shows the whole table of its command."""

from __future__ import annotations

from backstop.studies.reproductions.figure_comparison import Reproduction
from tests.support.checkout_paths import ROOT

FOLDER = ROOT / "docs" / "explanation" / "reproductions"


def read_reproduction_page(name: str) -> str:
    """Return the text of the page of a published result."""
    return (FOLDER / f"{name}.md").read_text(encoding="utf-8")


def is_table_on_page(found: Reproduction) -> bool:
    """Return whether the page of a result shows its title and its table as the command prints them."""
    return f".md\n{found.format_markdown()}```" in read_reproduction_page(found.name)
