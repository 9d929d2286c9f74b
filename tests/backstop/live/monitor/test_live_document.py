"""The mirror's cost of a reader of the live page."""

from __future__ import annotations

import json
import threading
import tracemalloc
from collections.abc import Iterator
from typing import Any, cast

from backstop.live.monitor.http_server import Answer, Request
from backstop.live.monitor.page_routes import build_page_and_event_routes
from backstop.live.monitor.status_facts_and_board import StatusBoard
from backstop.report.plotly_bundle import read_plotly_bundle


def test_a_reader_costs_less_than_the_page_is_large() -> None:
    """Each copy that a thread makes of a megabyte leaves holes in the memory that the process keeps."""
    page, request = build_page_and_event_routes(StatusBoard(), 0)["/"], Request("", threading.Event())
    whole = b"".join(cast("Answer", page(request)).parts)
    assert read_plotly_bundle().encode() in whole and whole.endswith(b"</html>") and len(whole) > 1_000_000
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        page(request)
        most = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert most < len(whole) // 2


def test_readers_share_what_is_drawn_and_get_it_once() -> None:
    """A drawing for each reader would cost as much as the history, once more."""
    board, request = StatusBoard(), Request("", threading.Event())
    events = build_page_and_event_routes(board, 0)["/events"]
    first, second = (cast("Iterator[bytes]", events(request)) for _ in range(2))
    told = next(first)
    charts = news(told)["charts"]
    assert "levels-chart" in charts and all(each["figure"] and each["label"] for each in charts.values())
    assert next(second) == told
    board.publish_status(gone="nobody answers")
    later = news(next(first))
    assert later["charts"] == {} and list(later["sections"]) == ["verdict"]


def news(event: bytes) -> dict[str, Any]:
    return dict(json.loads(event.removeprefix(b"data: ")))
