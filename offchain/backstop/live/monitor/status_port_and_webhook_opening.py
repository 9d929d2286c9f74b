"""Ports and a webhook, opened as a command was told to, and closed however the command ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from backstop.deployment.planned_contracts import Deployment
from backstop.errors import BackstopError
from backstop.live.monitor import metrics
from backstop.live.monitor.alerts import Alerts, AlertSettings, Webhook
from backstop.live.monitor.health_conditions import report_liveness
from backstop.live.monitor.http_server import Server
from backstop.live.monitor.page_sections import PageSections
from backstop.live.monitor.status_facts_and_board import SILENT, StatusBoard
from backstop.live.monitor.status_publisher import StatusPublisher
from backstop.live.monitor.systemd_notify import has_supervisor, send_systemd_heartbeat
from backstop.live.node.log_lines import Line

# Seconds between two looks for alerts, whatever the loop does.
_LOOK_EVERY = 1.0
# Seconds that a look takes besides waiting for answers, at most.
_MARGIN = 10.0


@contextmanager
def open_status_publisher(
    command: str,
    say: Callable[[str], None],
    stale: float,
    *,
    metrics_at: str | None = None,
    page_at: str | None = None,
    deployment: Deployment | None = None,
    alerts: AlertSettings | None = None,
    answers_within: float = 0.0,
) -> Iterator[StatusPublisher | None]:
    """Open the ports, the page and the webhook of a command, and yield their StatusPublisher.

    Yield None if no option asks for any of them and there is no supervisor. `metrics_at` and `page_at` are
    listen addresses; the page needs the deployment. `answers_within` is the time that all nodes and signers
    asked in one round may take together [seconds]. A supervisor gets a heartbeat every second for as long as
    the loop works. Raise BackstopError if a port is not available.
    """
    if metrics_at is None and page_at is None and alerts is None and not has_supervisor():
        yield None
        return
    board = StatusBoard(max(SILENT, answers_within + _MARGIN))
    with ExitStack() as opened:
        scene, told = None, None
        routes = metrics.build_metrics_and_health_routes(board, command, stale)
        if metrics_at is not None:
            server = Server(metrics_at, routes, "--metrics")
            opened.callback(server.close)
            say(Line(f"metrics at {server.url}/metrics, health at {server.url}/health", "metrics"))
        if page_at is not None and deployment is not None:
            from backstop.live.monitor import (
                page_routes,  # charts take long to import: keepers start without them
            )

            scene = PageSections(deployment)
            server = Server(page_at, page_routes.build_page_and_event_routes(board, stale) | routes, "--page")
            opened.callback(server.close)
            say(Line(f"the live page is at {server.url}/", "page"))
        if alerts is not None:
            webhook = Webhook(alerts.url, say)
            opened.callback(webhook.close)
            told = Alerts(webhook.queue_body, alerts.on, {"command": command})
        observer = StatusPublisher(board, say, stale, told, scene)
        if told is not None:
            opened.enter_context(_run_check_every_second(observer.send_alerts))
        if has_supervisor():
            opened.enter_context(
                _run_check_every_second(
                    lambda: send_systemd_heartbeat() if report_liveness(board, stale)["ok"] else None
                )
            )
        try:
            yield observer
        except Exception as error:
            if told is not None:
                told.send_stopped(str(error) if isinstance(error, BackstopError) else repr(error))
            raise


@contextmanager
def _run_check_every_second(check: Callable[[], None]) -> Iterator[None]:
    """Return a context manager that calls `check` once a second in a thread.

    The thread runs on if the watched loop hangs.
    """
    over = threading.Event()

    def work() -> None:
        while not over.wait(_LOOK_EVERY):
            check()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
