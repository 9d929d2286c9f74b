"""Ports and a webhook, opened as a command was told to, and closed however the command ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from backstop.deployment.plan import Deployment
from backstop.errors import BackstopError
from backstop.live.node.log import Line
from backstop.live.watch import metrics
from backstop.live.watch.alerts import Alerts, AlertSettings, Webhook
from backstop.live.watch.facts import SILENT, Board
from backstop.live.watch.observer import Observer
from backstop.live.watch.scene import Scene
from backstop.live.watch.server import Server
from backstop.live.watch.supervisor import beat, supervised
from backstop.live.watch.troubles import live

# Seconds between two looks for alerts, whatever the loop does.
_LOOK_EVERY = 1.0
# Seconds that a look takes besides waiting for answers, at most.
_MARGIN = 10.0


@contextmanager
def watched(
    command: str,
    say: Callable[[str], None],
    stale: float,
    *,
    metrics_at: str | None = None,
    page_at: str | None = None,
    deployment: Deployment | None = None,
    alerts: AlertSettings | None = None,
    answers_within: float = 0.0,
) -> Iterator[Observer | None]:
    """Open what watches the command's loop; None if nobody listens. A page needs the deployment.

    `answers_within` is the time that all together may take whom one look asks [seconds].

    A supervisor hears a beat every second for as long as the loop works.
    Raises BackstopError if a port cannot be had.
    """
    if metrics_at is None and page_at is None and alerts is None and not supervised():
        yield None
        return
    board = Board(max(SILENT, answers_within + _MARGIN))
    with ExitStack() as opened:
        scene, told = None, None
        routes = metrics.routes(board, command, stale)
        if metrics_at is not None:
            server = Server(metrics_at, routes, "--metrics")
            opened.callback(server.close)
            say(Line(f"metrics at {server.url}/metrics, health at {server.url}/health", "metrics"))
        if page_at is not None and deployment is not None:
            from backstop.live.watch import page  # charts take long to import: keepers start without them

            scene = Scene(deployment)
            server = Server(page_at, page.routes(board, stale) | routes, "--page")
            opened.callback(server.close)
            say(Line(f"the live page is at {server.url}/", "page"))
        if alerts is not None:
            webhook = Webhook(alerts.url, say)
            opened.callback(webhook.close)
            told = Alerts(webhook.send, alerts.on, {"command": command})
        observer = Observer(board, say, stale, told, scene)
        if told is not None:
            opened.enter_context(_beside(observer.alert))
        if supervised():
            opened.enter_context(_beside(lambda: beat() if live(board, stale)["ok"] else None))
        try:
            yield observer
        except Exception as error:
            if told is not None:
                told.stopped(str(error) if isinstance(error, BackstopError) else repr(error))
            raise


@contextmanager
def _beside(look: Callable[[], None]) -> Iterator[None]:
    """Look once a second, in a thread of its own: the loop that is watched may hang."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(_LOOK_EVERY):
            look()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
