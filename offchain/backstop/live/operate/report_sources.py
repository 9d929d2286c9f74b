"""Where signed reports are read: files, and addresses that a thread of their own asks every few seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path

from backstop.errors import BackstopError
from backstop.hosts.endpoint import is_http, mask_url, parse_endpoint, require_http_or_socket_path
from backstop.keepers.report_files import MOST_BYTES, ReportSources

_EVERY = 3.0  # seconds between two answers
_ANSWER_WITHIN = 5.0  # seconds, all of it
_CHUNK = 16_384


def open_report_sources(
    places: tuple[str, ...], chain_id: int, feed: str, say: Callable[[str], None]
) -> ReportSources:
    """Open the files and http(s):// addresses from which signed price reports are read.

    `feed` is the address of the price feed contract for which reports must be signed. `say` receives log
    lines. Raise BackstopError for a place that looks like an address of another kind.
    """
    found: dict[str, Callable[[], bytes]] = {}
    for place in places:
        require_http_or_socket_path(place)
        found[mask_url(place)] = PolledAddress(place) if is_http(place) else ReportFile(Path(place))
    return ReportSources(found, chain_id, feed, say)


class ReportFile:
    """File of signed reports that another process replaces from time to time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self) -> bytes:
        """Return the content of the file, cut off one byte above the size limit.

        Raise BackstopError if the file cannot be read.
        """
        try:
            with self._path.open("rb") as file:
                return file.read(MOST_BYTES + 1)
        except OSError as error:
            raise BackstopError(f"it cannot be read ({error.strerror})") from None


class PolledAddress:
    """Background poller of an http(s):// address, which keeps the last answer.

    So no keeper has to wait for a request.
    """

    def __init__(self, url: str) -> None:
        self._url = parse_endpoint(url)
        self._found = b""
        self._problem = ""
        self._closing = threading.Event()
        threading.Thread(target=self._poll_reports_until_closed, daemon=True).start()

    def __call__(self) -> bytes:
        """Return the last answer; raise BackstopError if the last request failed."""
        if self._problem:
            raise BackstopError(self._problem)
        return self._found

    def close(self) -> None:
        """Stop the background polling."""
        self._closing.set()

    def _poll_reports_until_closed(self) -> None:
        while not self._closing.is_set():
            try:
                self._found, self._problem = self._fetch_reports(), ""
            except BackstopError as error:
                self._problem = str(error)
            except (OSError, HTTPException, ValueError) as error:
                self._problem = f"it does not answer ({str(error) or type(error).__name__})"
            self._closing.wait(_EVERY)

    def _fetch_reports(self) -> bytes:
        """Return the answer to one HTTP request, cut off one byte or more above the size limit.

        Raise BackstopError on an error status, or if the answer takes longer than five seconds.
        """
        deadline = time.monotonic() + _ANSWER_WITHIN
        kind = HTTPSConnection if self._url.secure else HTTPConnection
        connection = kind(self._url.host, self._url.port, timeout=_ANSWER_WITHIN)
        headers = {"Authorization": self._url.authorization} if self._url.authorization else {}
        try:
            connection.request("GET", self._url.path, headers=headers)
            answer = connection.getresponse()
            if answer.status != 200:
                raise BackstopError(f"it answers with status {answer.status}")
            found = b""
            while len(found) <= MOST_BYTES:
                part = answer.read1(_CHUNK)
                if not part:
                    break
                if time.monotonic() > deadline:
                    raise BackstopError(f"it needs more than {_ANSWER_WITHIN:.0f} s")
                found += part
            return found
        finally:
            connection.close()
