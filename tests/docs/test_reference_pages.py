"""The generated pages of commands and of the Python package are current."""

from __future__ import annotations

from tools.reference.write import REFERENCE, build_reference_pages

WRITE = "commands or docstrings have changed: .venv/bin/python -m tools.reference.write"


def test_generated_pages_are_current():
    pages = build_reference_pages()
    assert {path for path in (REFERENCE / "commands").glob("*.md")} == {
        path for path in pages if path.parent.name == "commands"
    }
    assert [path.name for path, text in pages.items() if path.read_text() != text] == [], WRITE


def test_each_public_name_has_a_docstring_and_an_entry():
    import backstop

    page = (REFERENCE / "python.md").read_text()
    for name in backstop.__all__:
        if not name.startswith("__"):
            assert f"\n## {name}\n" in page and getattr(backstop, name).__doc__, name
