"""The live page, and the events that keep it new: whole sections and charts, each sent when it changed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

from backstop.live.monitor.health_conditions import build_health_report
from backstop.live.monitor.http_server import Answer, Request, Route
from backstop.live.monitor.status_facts_and_board import ChainStatus, StatusBoard
from backstop.report.chart_parts import Chart
from backstop.report.live_charts import draw_live_charts_by_id
from backstop.report.live_page import (
    SECTIONS,
    build_chart_updates,
    hash_templates,
    render_live_html_sections,
    render_live_page_as_html_pieces,
)

# Seconds without news, after which a reader is told that there are none.
_BEAT = 2.0


def build_page_and_event_routes(board: StatusBoard, stale: float) -> dict[str, Route]:
    """Return the HTTP routes `/` (the live page) and `/events` (the updates that the page reads).

    `stale` is the time without a new block that counts as an issue [seconds].
    """
    page = _Page(board, stale)
    return {"/": page.answer_document, "/events": page.stream_page_updates}


class _RenderedPage(NamedTuple):
    """Page content rendered once for all readers: HTML sections, charts, and charts as JSON for updates."""

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
        drawn = self._render_sections_and_charts_once()
        parts = render_live_page_as_html_pieces(self._build_sections(drawn), drawn.charts)
        return Answer(parts, "text/html; charset=utf-8")

    def stream_page_updates(self, request: Request) -> Iterator[bytes]:
        """Yield, without end, the changed sections and charts as server-sent events.

        Without a change, an empty update is sent after two seconds as a heartbeat.
        """
        sent: dict[str, str] = {}
        shown: dict[str, str] = {}
        version = -1
        while not request.closing.is_set():
            version = self._board.wait_and_get_newest_version(version, _BEAT)
            drawn = self._render_sections_and_charts_once()
            now = self._build_sections(drawn)
            changed = {name: html for name, html in now.items() if sent.get(name) != html}
            redrawn = [f'"{name}":{told}' for name, told in drawn.told.items() if shown.get(name) != told]
            sent, shown = now, drawn.told
            del drawn  # while it waits it holds no charts that are old by then
            news = (
                ""
                f'{{"build":"{hash_templates()}","sections":{_encode_compact_json_text(changed)},"charts":{{{",".join(redrawn)}}}}}'
            )
            yield f"data: {news}\n\n".encode()

    def _render_sections_and_charts_once(self) -> _RenderedPage:
        """Return the page content for the newest status, rendered once for all readers."""
        facts = self._board.facts
        with self._lock:
            if self._newest is None or self._newest.facts is not facts:
                self._newest = None  # the old ones are gone before there are new ones
                figures = _collect_page_figures(facts)
                pictures = draw_live_charts_by_id(figures)
                told = {
                    name: _encode_compact_json_text(drawing)
                    for name, drawing in build_chart_updates(pictures).items()
                }
                self._newest = _RenderedPage(
                    facts, render_live_html_sections(figures, {}, SECTIONS[1:]), pictures, told
                )
            return self._newest

    def _build_sections(self, drawn: _RenderedPage) -> dict[str, str]:
        """Return all HTML sections.

        The health section is rendered anew each time, since issues change without new blocks.
        """
        return (
            render_live_html_sections({}, build_health_report(self._board, self._stale), SECTIONS[:1])
            | drawn.sections
        )


def _encode_compact_json_text(content: Any) -> str:
    return json.dumps(content, separators=(",", ":"))


def _collect_page_figures(chain_status: ChainStatus | None) -> dict[str, Any]:
    if chain_status is None or chain_status.statement is None:
        return {}
    return {
        **chain_status.statement,
        **chain_status.scene,
        "queue": chain_status.queue,
        "block": chain_status.block,
        "hash": chain_status.hash,
        "chain_id": chain_status.chain_id,
        "engine": chain_status.engine,
        "node": chain_status.node,
        "found": chain_status.found,
        "differences": list(chain_status.differences),
        "fields_compared": chain_status.fields_compared,
    }
