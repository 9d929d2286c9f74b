"""The live page, and the events that keep it new: whole sections and charts, each sent when it changed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

from backstop.live.monitor.health_conditions import report_health
from backstop.live.monitor.http_server import Answer, Request, Route
from backstop.live.monitor.status_snapshot import ChainStatus, StatusBoard
from backstop.report.chart_parts import Chart
from backstop.report.live_charts import draw_charts
from backstop.report.live_page import (
    SECTIONS,
    build_drawings,
    hash_templates,
    render_document,
    render_sections,
)

# Seconds without news, after which a reader is told that there are none.
_BEAT = 2.0


def build_page_routes(board: StatusBoard, stale: float) -> dict[str, Route]:
    """Return the answers to `/`, and to `/events`, which the page reads."""
    page = _Page(board, stale)
    return {"/": page.answer_document, "/events": page.stream_events}


class _RenderedPage(NamedTuple):
    """What is drawn once for all readers: sections as HTML, charts, and these as JSON for events."""

    facts: ChainStatus | None
    sections: dict[str, str]
    charts: dict[str, Chart]
    told: dict[str, str]


class _Page:
    def __init__(self, board: StatusBoard, stale: float) -> None:
        self._board = board
        self._stale = stale
        self._lock = threading.Lock()
        self._newest: _RenderedPage | None = None

    def answer_document(self, _request: Request) -> Answer:
        drawn = self._render_page()
        parts = render_document(self._build_sections(drawn), drawn.charts)
        return Answer(parts, "text/html; charset=utf-8")

    def stream_events(self, request: Request) -> Iterator[bytes]:
        """Yield, for ever, what changed since the last event, or that nothing did."""
        sent: dict[str, str] = {}
        shown: dict[str, str] = {}
        version = -1
        while not request.closing.is_set():
            version = self._board.wait_for_version(version, _BEAT)
            drawn = self._render_page()
            now = self._build_sections(drawn)
            changed = {name: html for name, html in now.items() if sent.get(name) != html}
            redrawn = [f'"{name}":{told}' for name, told in drawn.told.items() if shown.get(name) != told]
            sent, shown = now, drawn.told
            del drawn  # while it waits it holds no charts that are old by then
            news = (
                ""
                f'{{"build":"{hash_templates()}","sections":{_encode_json(changed)},"charts":{{{",".join(redrawn)}}}}}'
            )
            yield f"data: {news}\n\n".encode()

    def _render_page(self) -> _RenderedPage:
        """Draw sections and charts once for all readers."""
        facts = self._board.facts
        with self._lock:
            if self._newest is None or self._newest.facts is not facts:
                self._newest = None  # the old ones are gone before there are new ones
                figures = _collect_figures(facts)
                pictures = draw_charts(figures)
                told = {name: _encode_json(drawing) for name, drawing in build_drawings(pictures).items()}
                self._newest = _RenderedPage(
                    facts, render_sections(figures, {}, SECTIONS[1:]), pictures, told
                )
            return self._newest

    def _build_sections(self, drawn: _RenderedPage) -> dict[str, str]:
        """Return all sections; the first also learns what does not come."""
        return render_sections({}, report_health(self._board, self._stale), SECTIONS[:1]) | drawn.sections


def _encode_json(content: Any) -> str:
    return json.dumps(content, separators=(",", ":"))


def _collect_figures(facts: ChainStatus | None) -> dict[str, Any]:
    if facts is None or facts.statement is None:
        return {}
    return {
        **facts.statement,
        **facts.scene,
        "queue": facts.queue,
        "block": facts.block,
        "hash": facts.hash,
        "chain_id": facts.chain_id,
        "engine": facts.engine,
        "node": facts.node,
        "found": facts.found,
        "differences": list(facts.differences),
        "fields_compared": facts.fields_compared,
    }
