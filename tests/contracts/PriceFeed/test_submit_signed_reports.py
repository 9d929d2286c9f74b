"""bring: signed reports count as the reporters' own, of the second in which they were signed."""

import pytest

from backstop.deployment import devnet_trader_signatures
from backstop.hosts.host_interface import CHAIN_ID
from backstop.model.arithmetic import RAY
from backstop.model.bounds import MAX_SIGNED_AGE
from backstop.model.signed_reports import SignedReport, Span, report_digest
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.signed_report_steps import sign_dollar_report, submit_reports_and_count_accepted


def each(market, *prices, age=0):
    """The first reporters' reports, one price each, so many seconds old."""
    return [
        sign_dollar_report(market.protocol, reporter, market.id, price, age)
        for reporter, price in zip(market.reporters, prices, strict=False)
    ]


def test_one_call_brings_a_quorum(market):
    assert submit_reports_and_count_accepted(market.protocol, each(market, 5, 6, 7, age=30)) == 3
    signed_at = market.protocol.timestamp - 30
    assert market.read("report_of", "reporter_2") == (6 * RAY, 10**6, 10**6, 0, signed_at)
    assert [log.event for log in market.protocol.last.logs] == ["SignedReportAccepted"] * 3
    assert market.protocol.last.logs[2].values[2:] == (7 * RAY, 7 * RAY, 7 * RAY, 0, signed_at)
    assert market.poke() == (6, 6)


def test_it_counts_beside_pushed_ones(market):
    market.report(5, 6)
    submit_reports_and_count_accepted(
        market.protocol, [sign_dollar_report(market.protocol, "reporter_3", market.id, 7)]
    )
    assert market.poke() == (6, 6)


def test_it_lapses_by_the_second_it_was_signed_in(market):
    submit_reports_and_count_accepted(market.protocol, each(market, 5, 6, 7, age=100))
    market.protocol.advance(market.max_age - 100)
    market.poke()
    market.protocol.advance(market.step)
    with reverts("price_feed: no quorum"):
        market.poke()


def test_none_is_none(market):
    assert submit_reports_and_count_accepted(market.protocol, []) == 0


@pytest.mark.parametrize(("age", "counts"), [(0, 1), (MAX_SIGNED_AGE, 1), (MAX_SIGNED_AGE + 1, 0)])
def test_one_that_is_too_old_is_left_out(market, age, counts):
    assert submit_reports_and_count_accepted(market.protocol, each(market, 5, age=age)) == counts
    assert (market.read("report_of", "reporter_1")[0] != 0) == bool(counts)


def test_one_from_the_future_is_refused(market):
    with reverts("price_feed: from the future"):
        submit_reports_and_count_accepted(market.protocol, each(market, 5, age=-1))


@pytest.mark.parametrize("age", [10, 11])
def test_one_that_is_not_newer_is_left_out(market, age):
    """As after an earlier submission in the same block: the rest of the call counts all the same."""
    assert submit_reports_and_count_accepted(market.protocol, each(market, 5, age=10)) == 1
    assert submit_reports_and_count_accepted(market.protocol, each(market, 8, 9, age=age)) == 1
    assert market.read("report_of", "reporter_1")[0] == 5 * RAY
    assert market.read("report_of", "reporter_2")[0] == 9 * RAY


def test_what_was_pushed_is_newer_than_what_was_signed_before(market):
    old = each(market, 9)
    market.report(5)
    assert submit_reports_and_count_accepted(market.protocol, old) == 0
    market.protocol.advance(1)
    assert submit_reports_and_count_accepted(market.protocol, [*old, *each(market, 6)]) == 1
    market.report(7)
    now = market.protocol.timestamp
    assert market.read("report_of", "reporter_1") == (7 * RAY, 10**6, 10**6, now, now)


def test_a_stranger_signs_for_nobody(market):
    for name in ("borrower", "guardian"):
        with reverts("price_feed: not signed"):
            submit_reports_and_count_accepted(
                market.protocol, [sign_dollar_report(market.protocol, name, market.id, 5)]
            )


def test_another_market_chain_or_feed_is_another_report(market):
    protocol = market.protocol
    good = sign_dollar_report(protocol, "reporter_1", market.id, 5)
    for wrong in (
        good._replace(market=market.id + 1),
        good._replace(price=6 * RAY, high=6 * RAY),
        good._replace(low=4 * RAY),
        good._replace(high=6 * RAY),
        good._replace(since=1),
        good._replace(signed_at=good.signed_at - 1),
        sign_dollar_report(protocol, "reporter_1", market.id, 5, chain_id=CHAIN_ID + 1),
        sign_dollar_report(protocol, "reporter_1", market.id, 5, feed="VaultEngine"),
    ):
        with reverts("price_feed: not signed"):
            submit_reports_and_count_accepted(protocol, [wrong])
    assert submit_reports_and_count_accepted(protocol, [good]) == 1


def test_who_reports_no_more_signs_for_nothing(market):
    report = sign_dollar_report(market.protocol, "reporter_1", market.id, 5)
    market.set(reporters=tuple(f"reporter_{i}" for i in range(2, 6)))
    with reverts("price_feed: not signed"):
        submit_reports_and_count_accepted(market.protocol, [report])


@pytest.mark.parametrize("price", [0, 2**112])
def test_out_of_bounds(market, price):
    protocol = market.protocol
    who, feed = protocol.address("reporter_1"), protocol.address("PriceFeed")
    with reverts("price_feed: price bounds"):
        submit_reports_and_count_accepted(
            protocol,
            [devnet_trader_signatures.sign_report(who, market.id, price, protocol.timestamp, CHAIN_ID, feed)],
        )


@pytest.mark.parametrize(
    ("low", "high", "later"),
    [(6, 6, 0), (4, 4, 0), (5, 81, 0), (5, 5, 1)],
    ids=["low", "high", "far", "since"],
)
@pytest.mark.parametrize("age", [0, MAX_SIGNED_AGE + 1])
def test_a_range_that_is_none(market, low, high, later, age):
    """In one that is too old as well."""
    span = Span(low * RAY, high * RAY, market.protocol.timestamp - age + later)
    with reverts("price_feed: range bounds"):
        submit_reports_and_count_accepted(
            market.protocol, [sign_dollar_report(market.protocol, "reporter_1", market.id, 5, age, span=span)]
        )


def test_a_range_goes_with_its_price(market):
    """In millionths of the price, rounded outward: a third of it and two thirds more."""
    at = market.protocol.timestamp - 10
    span = Span(RAY, 5 * RAY, at - 20)
    submit_reports_and_count_accepted(
        market.protocol, [sign_dollar_report(market.protocol, "reporter_1", market.id, 3, 10, span=span)]
    )
    assert market.read("report_of", "reporter_1") == (3 * RAY, 333_333, 1_666_667, at - 20, at)
    assert market.protocol.last.logs[0].values[2:] == (3 * RAY, RAY, 5 * RAY, at - 20, at)


def test_the_form_of_a_signature(market):
    protocol = market.protocol
    good = sign_dollar_report(protocol, "reporter_1", market.id, 5)
    for short in (b"", good.signature[:64]):
        with reverts("price_feed: bad signature"):
            submit_reports_and_count_accepted(protocol, [good._replace(signature=short)])
    for v in (0, 1, 26, 29):
        with reverts("ecdsa: invalid signature"):
            submit_reports_and_count_accepted(
                protocol, [good._replace(signature=good.signature[:64] + bytes([v]))]
            )
    digest = report_digest(good[:-1], CHAIN_ID, protocol.address("PriceFeed"))
    key = int.from_bytes(devnet_trader_signatures.test_key(protocol.address("reporter_1")), "big")
    with reverts("ecdsa: invalid signature `s` value"):
        submit_reports_and_count_accepted(
            protocol, [SignedReport(*good[:-1], devnet_trader_signatures.sign_digest(key, digest, low=False))]
        )


def test_what_is_signed_is_typed_data(market):
    """As wallets show it: EIP-712, by the fields that the contract names."""
    protocol = market.protocol
    good = sign_dollar_report(protocol, "reporter_1", market.id, 5)
    assert protocol.read("PriceFeed.digest_of", *good[:-1]) == report_digest(
        good[:-1], CHAIN_ID, protocol.address("PriceFeed")
    )
    fields = protocol.read("PriceFeed.eip712Domain")
    assert fields[1:5] == ("Backstop Prices", "1", CHAIN_ID, protocol.address("PriceFeed"))
