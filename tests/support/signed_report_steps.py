"""Signed reports of reporters, submitted by other accounts."""

from __future__ import annotations

from collections.abc import Sequence

from backstop.deployment.devnet_trader_signatures import sign_report
from backstop.hosts.host_interface import CHAIN_ID
from backstop.model.arithmetic import RAY
from backstop.model.signed_reports import SignedReport, Span
from backstop.proof.local_protocol import LocalProtocol


def sign_dollar_report(
    protocol: LocalProtocol,
    reporter: str,
    market: int,
    dollars: int,
    age: int = 0,
    chain_id: int = CHAIN_ID,
    feed: str = "PriceFeed",
    span: Span | None = None,
) -> SignedReport:
    """Sign a report of so many seconds ago; a steady price without a range."""
    at = protocol.timestamp - age
    return sign_report(
        protocol.address(reporter), market, dollars * RAY, at, chain_id, protocol.address(feed), span
    )


def submit_reports_and_count_accepted(
    protocol: LocalProtocol, reports: Sequence[SignedReport], sender: str = "stranger"
) -> int:
    """Bring them; how many count."""
    return int(protocol.do("PriceFeed.submit_signed_reports", tuple(reports), sender=sender))
