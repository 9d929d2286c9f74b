"""Reports that reporters sign off the chain in a simulation: the price that they see, and its range."""

from __future__ import annotations

from collections.abc import Callable

from backstop.deployment.devnet_trader_signatures import sign_report
from backstop.deployment.role_accounts import ACCOUNTS, get_account
from backstop.errors import BackstopError
from backstop.keepers.price_view import PriceView
from backstop.model.signed_reports import SignedReport, Span


class SignedPrices:
    """Source of price reports signed by all working reporters, for any account to submit.

    Each report is signed once per block.
    """

    def __init__(
        self,
        reporters: int,
        chain_id: int,
        feed: str,
        refuses_at: int,
        down: Callable[[], bool],
        span: Callable[[int], Span],
    ) -> None:
        self._names = [f"reporter_{i + 1}" for i in range(reporters)]
        if not set(self._names) <= ACCOUNTS.keys():
            raise BackstopError(
                "the scenario does not fit: five reporters have keys of local nodes, and only they can sign "
                "marks of a margin market"
            )
        self._chain_id = chain_id
        self._feed = feed
        self._refuses_at = refuses_at
        self._down = down
        self._span = span
        self._signed: dict[tuple[int, str, int, int], SignedReport] = {}
        self._at = -1

    def get_newest_reports(self, view: PriceView) -> dict[tuple[int, str], SignedReport]:
        """Return the report that each reporter signs now, by market and reporter.

        Reports that the feed already has are left out. Empty while the reporters are down.
        """
        if self._down():
            return {}
        if self._at != view.timestamp:
            self._at, self._signed = view.timestamp, {}
        found = {}
        for c, price in view.markets.items():
            for name in self._names:
                reporter = get_account(name)
                last = view.get_last_report(c, reporter)
                if last is None or price <= self._refuses_at or last.reported_at >= view.timestamp:
                    continue
                key = c, reporter, price, view.timestamp
                if key not in self._signed:
                    args = price, view.timestamp, self._chain_id, self._feed, self._span(c)
                    self._signed[key] = sign_report(reporter, c, *args)
                found[c, reporter] = self._signed[key]
        return found

    def close(self) -> None:
        """Do nothing; the interface requires the method, and nothing is open."""
