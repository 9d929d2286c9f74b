"""The figures of a page's text, read without a browser."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any, NamedTuple

SCALES = {"rad": 1, "wad": 10**27, "micro": 10**39}
VOID = {"meta", "link", "br", "input", "img", "hr"}


class FigureStrip(NamedTuple):
    """A strip: its subject, its total, and its labelled parts [rad]."""

    title: str
    total: int
    parts: dict[str, int]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[tuple[str, dict[str, str | None]]] = []
        self.tables: list[dict[str, list[int]]] = []
        self.wholes: list[tuple[str, list[int], list[str]]] = []
        self.row = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        own = dict(attrs)
        if tag not in VOID:
            self.open.append((tag, own))
        if tag == "table":
            self.tables.append({})
        elif own.get("class") == "whole":
            self.wholes.append((own["data-of"] or "", [], []))
        elif tag == "tr":
            self.row = ""
        elif tag == "data" and own.get("data-unit") in SCALES:
            value = int(own["value"] or 0) * SCALES[own["data-unit"] or ""]
            if self._is_inside_tag("table"):
                self.tables[-1].setdefault(self.row, []).append(value)
            elif self._within_whole():
                self.wholes[-1][1].append(value)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        tags = [tag for tag, _ in self.open]
        if "table" in tags and tags[-1] == "th":
            self.row += data.strip()
        elif self._within_whole() and tags[-1] == "span":
            self.wholes[-1][2].append(data.rpartition(" (")[0])

    def _is_inside_tag(self, tag: str) -> bool:
        return any(each == tag for each, _ in self.open)

    def _within_whole(self) -> bool:
        return any(own.get("class") == "whole" for _, own in self.open)


def read_page_figures(html: str) -> tuple[list[FigureStrip], list[dict[str, list[int]]]]:
    """The strips of a page, and the figures of each table by the name of their row, rad."""
    reader = _Reader()
    reader.feed(html.partition("<body>")[2].partition("<script")[0])
    wholes = [
        FigureStrip(title, found[0], dict(zip(names, found[1:], strict=True)))
        for title, found, names in reader.wholes
    ]
    return wholes, reader.tables


class _NamedFigureReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.figures: list[dict[str, str]] = []
        self.is_open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        own = {name: value or "" for name, value in attrs}
        self.is_open = tag == "data" and "data-path" in own
        if self.is_open:
            names = {"path": "data-path", "unit": "data-unit", "value": "value", "title": "title"}
            self.figures.append({key: own.get(name, "") for key, name in names.items()} | {"text": ""})

    def handle_endtag(self, tag: str) -> None:
        self.is_open = False

    def handle_data(self, data: str) -> None:
        if self.is_open:
            self.figures[-1]["text"] += data


def read_named_figures(html: str) -> dict[str, Any]:
    """Return a page's figures that name their place in its summary, and the summary that it carries.

    That is the input that `check_page_figures_against_summary` takes of a browser.
    """
    reader = _NamedFigureReader()
    reader.feed(html.partition("<body>")[2].partition("<script")[0])
    summary = html.partition('<script type="application/json" id="summary">')[2].partition("</script>")[0]
    return {"figures": reader.figures, "summary": summary}
