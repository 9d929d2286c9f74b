"""What a reader of the live page costs the mirror."""

from __future__ import annotations

import threading
import tracemalloc
from typing import cast

from backstop.live.watch.facts import Board
from backstop.live.watch.page import routes
from backstop.live.watch.server import Answer, Request
from backstop.report.plotly_bundle import plotly_js


def test_a_reader_costs_less_than_the_page_is_large() -> None:
    """Each copy that a thread makes of a megabyte leaves holes in the memory that the process keeps."""
    page, request = routes(Board(), 0)["/"], Request("", threading.Event())
    whole = b"".join(cast("Answer", page(request)).parts)
    assert plotly_js().encode() in whole and whole.endswith(b"</html>") and len(whole) > 1_000_000
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        page(request)
        most = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert most < len(whole) // 2
