"""A page on paper: its cut-off elements, and the headings of the PDF that Chromium prints."""

from __future__ import annotations

import re
from pathlib import Path

# What ends to the right of the column, or is cut off by a box that scrolls.
CUT_ON_PAPER = """(() => {
  const right = (each) => each.getBoundingClientRect().right;
  const column = right(document.querySelector("main"));
  const hides = (each) => each.matches(".table, .plot") && each.scrollWidth > each.clientWidth + 1;
  return [...document.querySelectorAll("main *")]
    .filter((each) => each.getClientRects().length && !each.closest("svg"))
    .filter((each) => right(each) > column + 1 || hides(each))
    .map((each) => each.outerHTML.slice(0, 90));
})()"""
_TITLE = re.compile(rb"/Title\s*(?:\(((?:[^()\\]|\\.)*)\)|<([0-9A-Fa-f\s]*)>)", re.DOTALL)
_ESCAPED = re.compile(rb"\\([0-7]{1,3}|.)", re.DOTALL)


def read_outline(path: Path) -> list[str]:
    """The titles of a PDF's outline, in no order; the document's own is the last or first of them."""
    content = path.read_bytes()
    assert content.startswith(b"%PDF") and b"/Outlines" in content
    return [
        bytes.fromhex(coded.decode()).decode("utf-16")
        if coded
        else _ESCAPED.sub(_decode_escape, plain).decode("latin-1")
        for plain, coded in _TITLE.findall(content)
    ]


def _decode_escape(found: re.Match[bytes]) -> bytes:
    text = found[1]
    return bytes([int(text, 8)]) if text.isdigit() else text
