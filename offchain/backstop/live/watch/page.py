"""The live page, and the events that keep it new: whole sections and charts, each sent when it changed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

from backstop.live.watch.facts import Board, Facts
from backstop.live.watch.server import Answer, Request, Route
from backstop.live.watch.troubles import health
from backstop.report.live_charts import charts
from backstop.report.live_page import SECTIONS, build, document, drawings, sections
from backstop.report.plotting import Chart

# Seconds without news, after which a reader is told that there are none.
_BEAT = 2.0


def routes(board: Board, stale: float) -> dict[str, Route]:
    """Return the answers to `/`, and to `/events`, which the page reads."""
    page = _Page(board, stale)
    return {"/": page.document, "/events": page.events}


class _Page:
    def __init__(self, board: Board, stale: float) -> None:
        self._board = board
        self._stale = stale
        self._lock = threading.Lock()
        self._drawn: _Drawn | None = None

    def document(self, _request: Request) -> Answer:
        parts = document(self._sections()[0], _figures(self._board.facts))
        return Answer(parts, "text/html; charset=utf-8")

    def events(self, request: Request) -> Iterator[bytes]:
        """Yield, for ever, what changed since the last event, or that nothing did."""
        sent: dict[str, str] = {}
        shown: dict[str, Chart] = {}
        version = -1
        while not request.closing.is_set():
            version = self._board.wait(version, _BEAT)
            now, pictures = self._sections()
            changed = {name: html for name, html in now.items() if sent.get(name) != html}
            redrawn = {name: chart for name, chart in pictures.items() if shown.get(name) != chart}
            sent, shown = now, pictures
            news = {"build": build(), "sections": changed, "charts": drawings(redrawn)}
            yield f"data: {json.dumps(news, separators=(',', ':'))}\n\n".encode()

    def _sections(self) -> tuple[dict[str, str], dict[str, Chart]]:
        """Draw sections and charts once for all readers; the first section also learns what does not come."""
        facts = self._board.facts
        with self._lock:
            if self._drawn is None or self._drawn[0] is not facts:
                figures = _figures(facts)
                self._drawn = facts, sections(figures, {}, SECTIONS[1:]), charts(figures)
            _, drawn, pictures = self._drawn
        return sections({}, health(self._board, self._stale), SECTIONS[:1]) | drawn, pictures


_Drawn = tuple[Facts | None, dict[str, str], dict[str, Chart]]


def _figures(facts: Facts | None) -> dict[str, Any]:
    if facts is None or facts.statement is None:
        return {}
    return {
        **facts.statement,
        **facts.scene,
        "block": facts.block,
        "hash": facts.hash,
        "chain_id": facts.chain_id,
        "engine": facts.engine,
        "node": facts.node,
        "found": facts.found,
        "differences": list(facts.differences),
        "fields_compared": facts.fields_compared,
    }
