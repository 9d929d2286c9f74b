"""push: an aggregator's answer becomes a report, unless the answer is implausible."""

import pytest

from tests.support.revert_setter_and_source_helpers import reverts


def test_reports_in_ray(adapter, dollar):
    adapter.says(1_234 * 10**8 + 1)
    assert adapter.push() == 1_234 * dollar + 10**19
    logs = [(log.contract, log.event) for log in adapter.protocol.last.logs]
    assert logs == [("PriceFeed", "Reported"), ("Adapter", "RoundReported")]
    assert adapter.protocol.last.logs[1].values == (5, 1_234 * 10**8 + 1, adapter.protocol.timestamp)


@pytest.mark.parametrize("decimals", [0, 8, 18, 27])
def test_whatever_the_decimals(adapter, dollar, decimals):
    adapter.of_another(decimals, 7 * 10**decimals)
    assert adapter.push("Second") == 7 * dollar


def test_more_decimals_than_a_ray(adapter):
    adapter.of_another(28, 10**28)
    with reverts("chainlink_reporter: decimals"):
        adapter.push("Second")


@pytest.mark.parametrize("answer", [0, -1, -(2**255)])
def test_zero_is_no_price(adapter, answer):
    adapter.says(answer)
    with reverts("chainlink_reporter: at a bound"):
        adapter.push()


def test_at_the_aggregators_bounds_the_market_may_be_anywhere(adapter, dollar):
    for answer in (adapter.min_answer, adapter.min_answer - 1, adapter.max_answer, 2**255 - 1):
        adapter.says(answer)
        with reverts("chainlink_reporter: at a bound"):
            adapter.push()
    for answer in (adapter.min_answer + 1, adapter.max_answer - 1):
        adapter.says(answer)
        assert adapter.push() == answer * dollar // 10**8


def test_a_round_that_has_not_ended(adapter):
    adapter.says(10**8, updated_at=0)
    with reverts("chainlink_reporter: no answer"):
        adapter.push()
    adapter.says(10**8, round_id=6, answered_in_round=5)
    with reverts("chainlink_reporter: no answer"):
        adapter.push()


def test_the_future(adapter):
    adapter.says(10**8, updated_at=adapter.protocol.timestamp + 1)
    with reverts("chainlink_reporter: future"):
        adapter.push()
    adapter.protocol.advance(1)
    adapter.push()


def test_older_than_the_heartbeat(adapter):
    adapter.says(10**8)
    adapter.protocol.advance(adapter.heartbeat)
    adapter.push()
    adapter.protocol.advance(1)
    with reverts("chainlink_reporter: stale"):
        adapter.push()


def test_while_the_sequencer_is_down(adapter):
    adapter.says(10**8)
    for answer in (1, 2, -1):
        adapter.sequencer_says(answer, since=1)
        with reverts("chainlink_reporter: down"):
            adapter.push()
    assert adapter.push("OnMainnet")


def test_a_sequencer_that_never_said_anything(adapter):
    adapter.says(10**8)
    adapter.sequencer_says(0, since=0)
    with reverts("chainlink_reporter: down"):
        adapter.push()


def test_until_the_sequencer_is_up_for_a_while(adapter):
    adapter.says(10**8)
    adapter.sequencer_says(0, since=adapter.protocol.timestamp + 1)
    with reverts("chainlink_reporter: not up yet"):
        adapter.push()
    adapter.sequencer_says(0, since=adapter.protocol.timestamp)
    with reverts("chainlink_reporter: just up"):
        adapter.push()
    adapter.sequencer_says(0, since=adapter.protocol.timestamp + 1)
    adapter.protocol.advance(1 + adapter.sequencer_grace)
    with reverts("chainlink_reporter: just up"):
        adapter.push()
    adapter.protocol.advance(1)
    adapter.push()


def test_a_feed_that_does_not_list_it(adapter):
    adapter.says(10**8)
    adapter.list("reporter_1", "reporter_2", "reporter_3")
    with reverts("price_feed: not a reporter"):
        adapter.push()


def test_an_aggregator_that_is_gone(adapter):
    args = adapter.protocol.address("PriceFeed"), adapter.market, "0x" + "12" * 20, 60, 0, 1
    adapter.protocol.lockstep.create_contract("ChainlinkReporter", "Blind", *args, "0x" + "00" * 20, 0)
    with reverts(""):
        adapter.push("Blind")


def test_counts_as_one_of_a_markets_reporters(adapter, dollar):
    """A broken aggregator silences its adapter; the others are a quorum."""
    adapter.says(20 * 10**8)
    adapter.push()
    for reporter in ("reporter_1", "reporter_2"):
        adapter.protocol.do("PriceFeed.report", adapter.market, 30 * dollar, sender=reporter)
    adapter.protocol.do("PriceFeed.poke", adapter.market, sender="stranger")
    assert adapter.protocol.read("PriceFeed.current_price", adapter.market) == 30 * dollar
