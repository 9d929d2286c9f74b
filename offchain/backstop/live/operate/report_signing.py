"""Signing of reports by reporters that do not send them."""

from __future__ import annotations

from backstop.keepers.keeper_role_register import Keeper
from backstop.keepers.report_files import AttributedReport
from backstop.live.operate.live_system import LiveSystem
from backstop.model.signed_reports import SignedReport, report_digest


def sign_report_into_keeper_file(
    system: LiveSystem, keeper: Keeper, market: int, price: int, *span: int
) -> bool:
    """Sign a price report [ray] as of the followed block and write it to the keeper's report file.

    `span` is empty, or the range of the price: lowest price [ray], highest price [ray] and start time. Return
    False without a signature if the reporter has already signed a report for that second or a later one. If a
    reporter signs two prices for one second, any account may submit either.
    """
    assert keeper.signing is not None
    signed_at = system.mirror.model.timestamp
    if signed_at <= keeper.signing.get_last_report(keeper.address, market).reported_at:
        return False
    feed = system.addresses["PriceFeed"]
    low, high, since = span or (price, price, signed_at)
    content = market, price, low, high, since, signed_at
    digest = report_digest(content, system.deployment.chain_id, feed)
    signature = system.host.signers.sign_digest(keeper.address, digest)
    keeper.signing.write_report(AttributedReport(keeper.address, SignedReport(*content, signature)))
    return True
