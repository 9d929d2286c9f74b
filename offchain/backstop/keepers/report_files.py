"""Signed reports of prices as lines of JSON: reporters write them, and keepers read and submit them.

    {"schema_version": 2, "reporter": "0x...", "market": 0, "price": "2000000000000000000000000000000",
     "low": "1998000000000000000000000000000", "high": "2000000000000000000000000000000",
     "since": "1797044388", "signed_at": "1797044400", "signature": "0x..."}

One report a line, prices in ray, times in seconds of the epoch: between `low` and `high` the price was since
then. A file has the newest of each reporter
and market, and is replaced whole: any web server can serve it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from backstop.contract_base import RevertError
from backstop.errors import BackstopError
from backstop.files.atomic_files import write_text
from backstop.keepers.json_line_parsing import parse_hex_string_to_lowercase, parse_number, parse_object
from backstop.keepers.price_view import PriceView
from backstop.model import bounds, price_feed
from backstop.model.signed_reports import SignedReport, recover_signer

SCHEMA_VERSION = 2
MOST_BYTES = 64_000
"""A larger source is not read: checking its signatures could take hours."""

_NUMBERS = ("price", "low", "high", "since", "signed_at")
_FIELDS = ("schema_version", "reporter", "market", *_NUMBERS, "signature")
_REST = 60
"""Seconds for which a source with a false line is left alone."""
# One that is older might be too old when its transaction is mined.
_OLDEST = bounds.MAX_SIGNED_AGE // 2


class AttributedReport(NamedTuple):
    """Signed price report with the reporter that it names."""

    reporter: str
    report: SignedReport


def format_report(said: AttributedReport) -> str:
    """Return a signed report as one line of JSON, without line feed."""
    report = said.report
    return json.dumps(
        {
            "schema_version": SCHEMA_VERSION,
            "reporter": said.reporter,
            "market": report.market,
            **{name: str(getattr(report, name)) for name in _NUMBERS},
            "signature": "0x" + report.signature.hex(),
        }
    )


def parse_report(line: bytes) -> AttributedReport:
    """Parse a line of JSON into a signed report, without checking its signature.

    Raises BackstopError that names the first invalid field.
    """
    content = parse_object(line, SCHEMA_VERSION, _FIELDS, "a signed report")
    market = content["market"]
    if type(market) is not int or not 0 <= market <= bounds.EQUITY_MARKET:
        raise BackstopError("'market' is the number of a market")
    price, low, high = (
        parse_number(content, name, bounds.MAX_PRICE * 16) for name in ("price", "low", "high")
    )
    if not 0 < price <= bounds.MAX_PRICE:
        raise BackstopError("'price' is zero or beyond its bound")
    if not low <= price <= high <= 16 * price:
        raise BackstopError("'price' is between 'low' and 'high', and that at most 16 times the price")
    since, signed_at = (parse_number(content, name, 2**32 - 1) for name in ("since", "signed_at"))
    if since > signed_at:
        raise BackstopError("'since' is not later than 'signed_at'")
    signature = bytes.fromhex(parse_hex_string_to_lowercase(content, "signature", 65)[2:])
    report = SignedReport(market, price, low, high, since, signed_at, signature)
    return AttributedReport(parse_hex_string_to_lowercase(content, "reporter", 20), report)


class SignedReportFile:
    """File with the newest signed report of each reporter and market."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._said: dict[tuple[str, int], SignedReport] = {}
        try:
            lines = path.read_bytes().splitlines()
        except FileNotFoundError:
            lines = []
        except OSError as error:
            raise BackstopError(f"{path} cannot be read: {error.strerror}") from None
        for number, line in enumerate(lines, 1):
            try:
                reporter, report = parse_report(line)
            except BackstopError as error:
                raise BackstopError(f"{path}:{number}: {error}: name another file, or remove it") from None
            self._said[reporter, report.market] = report

    def get_last_report(self, reporter: str, market: int) -> price_feed.Report:
        """Return the last report that a reporter signed for a market; an empty report if there is none."""
        found = self._said.get((reporter, market))
        return price_feed.Report() if found is None else price_feed.Report.build_price_report(*found[1:-1])

    def write_report(self, said: AttributedReport) -> None:
        """Replace the reporter's report of the same market, and write the file.

        Raises BackstopError if the file cannot be written.
        """
        wanted = self._said | {(said.reporter, said.report.market): said.report}
        lines = [
            format_report(AttributedReport(reporter, report))
            for (reporter, _), report in sorted(wanted.items())
        ]
        try:
            write_text("".join(line + "\n" for line in lines), self._path)
        except OSError as error:
            raise BackstopError(f"{self._path} cannot be written: {error.strerror}") from None
        self._said = wanted


class ReportProvider(Protocol):
    """Source of signed price reports (interface)."""

    def get_newest_reports(self, view: PriceView) -> dict[tuple[int, str], SignedReport]: ...
    def close(self) -> None: ...


class ReportSources:
    """Files and web addresses with signed price reports, by name.

    `sources` maps each name to a function that returns the current bytes. A source with an invalid line is
    skipped for a minute, because checking false signatures costs more than writing them; `say` logs this.
    """

    def __init__(
        self,
        sources: Mapping[str, Callable[[], bytes]],
        chain_id: int,
        feed: str,
        say: Callable[[str], None],
    ) -> None:
        self._sources = sources
        self._chain_id = chain_id
        self._feed = feed
        self._say = say
        self._rests: dict[str, int] = {}
        self._told: dict[str, str] = {}
        self._checked: dict[AttributedReport, None] = {}

    def get_newest_reports(self, view: PriceView) -> dict[tuple[int, str], SignedReport]:
        """Return the newest report of each market and listed reporter that the feed would accept now.

        Only reports newer than those stored in the feed are returned. Keys are market and reporter.
        """
        found: dict[tuple[int, str], SignedReport] = {}
        kept: dict[AttributedReport, None] = {}
        for name, read in self._sources.items():
            if view.timestamp < self._rests.get(name, 0):
                continue
            try:
                for said in self._parse_useful_reports(read(), view):
                    kept[said] = None
                    key = said.report.market, said.reporter
                    if key not in found or said.report.signed_at > found[key].signed_at:
                        found[key] = said.report
                self._told.pop(name, None)
            except BackstopError as error:
                self._rests[name] = view.timestamp + _REST
                if self._told.get(name) != str(error):
                    self._told[name] = str(error)
                    self._say(f"{name}: {error}; it is left alone for {_REST} s, again and again")
        self._checked = kept
        return found

    def close(self) -> None:
        """Close all sources that have a `close` method."""
        for source in self._sources.values():
            end = getattr(source, "close", None)
            if end is not None:
                end()

    def _parse_useful_reports(self, text: bytes, view: PriceView) -> list[AttributedReport]:
        """Return the valid reports of a source that are newer than the feed's.

        Signatures are checked last because they take the most time. Raises BackstopError at the first invalid
        line.
        """
        if len(text) > MOST_BYTES:
            raise BackstopError(f"it has more than {MOST_BYTES} bytes")
        found: list[AttributedReport] = []
        for number, line in enumerate(text.splitlines(), 1):
            try:
                said = parse_report(line)
                if not _is_report_newer_than_feed(said, view):
                    continue
                if said not in self._checked and self._recover_signer(said.report) != said.reporter:
                    raise BackstopError(f"{said.reporter} has not signed it for {self._feed}")
            except BackstopError as error:
                raise BackstopError(f"line {number}: {error}") from None
            found.append(said)
        return found

    def _recover_signer(self, report: SignedReport) -> str | None:
        try:
            return recover_signer(report, self._chain_id, self._feed)
        except RevertError:
            return None


def _is_report_newer_than_feed(attributed_report: AttributedReport, view: PriceView) -> bool:
    """Return True if a listed reporter's report is newer than the feed's and recent enough to submit."""
    report = attributed_report.report
    last = view.get_last_report(report.market, attributed_report.reporter)
    age = view.timestamp - report.signed_at
    return last is not None and report.signed_at > last.reported_at and 0 <= age <= _OLDEST
