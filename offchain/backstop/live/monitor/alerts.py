"""Alerts: troubles as they come and go, each sent once, posted to a webhook by a thread of its own."""

from __future__ import annotations

import json
import queue
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from backstop.errors import BackstopError
from backstop.live.monitor.health_conditions import ALERTS, HealthIssue
from backstop.live.node.log_lines import Line

SCHEMA_VERSION = 1
_MOST_WAITING = 1_000
_ANSWER_WITHIN = 10.0
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
_PATIENCE = 900.0  # seconds, then an alert is given up
_AT_THE_END = 5.0


@dataclass(frozen=True)
class AlertSettings:
    """Settings for alerts: the webhook's URL, and the names of the alerts to send."""

    url: str
    on: tuple[str, ...] = tuple(ALERTS)


class Alerts:
    """Sender of an alert when a health issue begins and a clearing when it is over, each once.

    `send` receives the JSON body of each alert. `on` lists the alerts to send. `about` holds fields that each
    body contains.
    """

    def __init__(
        self,
        send: Callable[[dict[str, Any]], None],
        on: Sequence[str] = tuple(ALERTS),
        about: Mapping[str, Any] | None = None,
    ) -> None:
        self._send = send
        self._on = on
        self.about = dict(about or {})
        self._open: dict[HealthIssue, str] = {}
        # The loop looks, and a thread that looks whether the loop hangs.
        self._turn = threading.Lock()

    def update_alerts(self, troubles: Mapping[HealthIssue, str]) -> None:
        """Send an alert for each new health issue, and a clearing for each issue that is over.

        `troubles` maps the present issues to their descriptions.
        """
        with self._turn:
            for trouble, text in troubles.items():
                if trouble.alert in self._on and trouble not in self._open:
                    self._open[trouble] = text
                    self._send_alert("raised", trouble, text)
            for trouble in [each for each in self._open if each not in troubles]:
                self._send_alert("cleared", trouble, self._open.pop(trouble))

    def send_stopped(self, text: str) -> None:
        """Send the alert that the process ends with an error."""
        if "stopped" in self._on:
            self._send_alert("raised", HealthIssue("stopped"), text)

    def _send_alert(self, state: str, trouble: HealthIssue, text: str) -> None:
        self._send(
            {
                "schema_version": SCHEMA_VERSION,
                "id": str(uuid.uuid4()),
                "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "alert": trouble.alert,
                "subject": trouble.subject,
                "state": state,
                "text": text,
                **self.about,
            }
        )


def webhook_host(url: str) -> str:
    """Return the host of a webhook's URL, the only part of it that is not secret.

    Raise BackstopError if the URL is not an http(s) address, or contains a user name.
    """
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits or parts.username is not None:
        raise BackstopError("is not an address to post alerts to: write https://HOST/PATH")
    return str(parts.hostname)


class Webhook:
    """Background thread that posts JSON bodies to a webhook in their order.

    A body that was not accepted is sent again, with growing delays. `say` receives the errors, which name the
    host only, as webhook URLs are secrets.
    """

    def __init__(self, url: str, say: Callable[[str], None]) -> None:
        parts = urlsplit(url)
        connection = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self.host = webhook_host(url)
        self._connection = connection(self.host, parts.port, timeout=_ANSWER_WITHIN)
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._say = say
        self._waiting: queue.Queue[dict[str, Any] | None] = queue.Queue(_MOST_WAITING)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run_queue, daemon=True)
        self._thread.start()

    def queue_body(self, body: dict[str, Any]) -> None:
        """Queue a body for posting without waiting; if the queue is full, log that it is dropped."""
        try:
            self._waiting.put_nowait(body)
        except queue.Full:
            self._log_problem(f"{body['alert']} is not sent: {_MOST_WAITING} others wait")

    def close(self) -> None:
        """Try to post the queued bodies for up to five seconds, then stop."""
        self._ending.set()
        with suppress(queue.Full):
            self._waiting.put_nowait(None)
        self._thread.join(_AT_THE_END)

    def _run_queue(self) -> None:
        while (body := self._waiting.get()) is not None:
            self._deliver_or_log_failure(body)

    def _deliver_or_log_failure(self, body: dict[str, Any]) -> None:
        began, pause, what = time.monotonic(), _FIRST_PAUSE, f"{body['alert']} {body['state']}"
        while True:
            problem, hopeless = self._post_body_and_explain_failure(json.dumps(body).encode())
            if problem is None:
                return
            last = hopeless or self._ending.is_set() or time.monotonic() - began > _PATIENCE
            if last:
                self._log_problem(f"{what} was not delivered to {self.host}: {problem}")
                return
            if pause == _FIRST_PAUSE:
                self._log_problem(f"{what} could not be delivered to {self.host}: {problem}; trying again")
            self._ending.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _post_body_and_explain_failure(self, body: bytes) -> tuple[str | None, bool]:
        """Post a body; return the problem (None if accepted), and whether another try is hopeless."""
        headers = {"Content-Type": "application/json", "User-Agent": "backstop"}
        try:
            self._connection.request("POST", self._path, body, headers)
            answer = self._connection.getresponse()
            answer.read()
        except (OSError, HTTPException) as error:
            return str(error) or type(error).__name__, False
        finally:
            self._connection.close()
        if 200 <= answer.status < 300:
            return None, False
        # Too early, too many: later it may be taken.
        hopeless = answer.status < 500 and answer.status not in (408, 425, 429)
        return f"it answers {answer.status}", hopeless

    def _log_problem(self, text: str) -> None:
        self._say(Line(f"alert: {text}", "alert"))
