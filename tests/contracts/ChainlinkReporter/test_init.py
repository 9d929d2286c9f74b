"""The constructor's arguments of an adapter."""

import pytest

from tests.support.revert_setter_and_source_helpers import check_contract_creation_refused

ADDRESS = "0x" + "34" * 20
DAY = 86_400


def test_is_readable(adapter):
    read = adapter.protocol.read
    assert read("Adapter.PRICE_FEED") == adapter.protocol.address("PriceFeed")
    assert read("Adapter.COLLATERAL_TYPE") == adapter.market
    assert read("Adapter.AGGREGATOR") == adapter.aggregator
    assert read("Adapter.HEARTBEAT") == adapter.heartbeat
    assert read("Adapter.MIN_ANSWER") == adapter.min_answer
    assert read("Adapter.MAX_ANSWER") == adapter.max_answer
    assert read("Adapter.SEQUENCER") == adapter.sequencer
    assert read("Adapter.SEQUENCER_GRACE") == adapter.sequencer_grace


@pytest.mark.parametrize(
    ("heartbeat", "lowest", "highest", "grace", "reason"),
    [
        (0, 0, 1, 0, "chainlink_reporter: heartbeat"),
        (7 * DAY + 1, 0, 1, 0, "chainlink_reporter: heartbeat"),
        (DAY, 1, 1, 0, "chainlink_reporter: bounds"),
        (DAY, 0, 2**112, 0, "chainlink_reporter: bounds"),
        (DAY, 0, 1, 7 * DAY + 1, "chainlink_reporter: grace"),
    ],
)
def test_bounds(protocol, heartbeat, lowest, highest, grace, reason):
    args = ADDRESS, 0, ADDRESS, heartbeat, lowest, highest, ADDRESS, grace
    check_contract_creation_refused(protocol, "ChainlinkReporter", *args, reason=reason)


def test_at_the_bounds(protocol):
    args = ADDRESS, 0, ADDRESS, 7 * DAY, 0, 2**112 - 1, ADDRESS, 7 * DAY
    protocol.lockstep.create_contract("ChainlinkReporter", "Extreme", *args)
