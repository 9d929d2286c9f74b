"""A market of two accounts and an adapter of an aggregator with 8 decimals, on an L2 with an uptime feed."""

import pytest

from backstop.model.arithmetic import RAY

MARKET = 7
HEARTBEAT, SEQUENCER_GRACE = 3_600, 1_800
MIN_ANSWER, MAX_ANSWER = 10**7, 10**12  # 0.10 and 10,000
NOBODY = "0x" + "00" * 20


class Adapter:
    """The adapter and the two feeds behind it. Answers in the aggregator's decimals."""

    market, heartbeat, sequencer_grace = MARKET, HEARTBEAT, SEQUENCER_GRACE
    min_answer, max_answer = MIN_ANSWER, MAX_ANSWER

    def __init__(self, protocol):
        self.protocol = protocol
        create = protocol.lockstep.create_contract
        self.aggregator = create("ScriptedAggregator", "Aggregator", 8)
        self.sequencer = create("ScriptedAggregator", "Sequencer", 0)
        feed = protocol.address("PriceFeed")
        args = feed, MARKET, self.aggregator, HEARTBEAT, MIN_ANSWER, MAX_ANSWER
        self.address = create("ChainlinkReporter", "Adapter", *args, self.sequencer, SEQUENCER_GRACE)
        create("ChainlinkReporter", "OnMainnet", *args, NOBODY, 0)
        self.list("Adapter", "OnMainnet", "reporter_1", "reporter_2")
        self.sequencer_says(0, since=protocol.timestamp)
        protocol.advance(SEQUENCER_GRACE + 1)

    def list(self, *reporters):
        times = 60, 7_200, 7_200, 600
        self.protocol.do("PriceFeed.set_market", MARKET, reporters, 3, *times, sender="admin")

    def of_another(self, decimals, answer):
        """List "Second", an adapter of an aggregator with other decimals, which has just answered."""
        create, now = self.protocol.lockstep.create_contract, self.protocol.timestamp
        other = create("ScriptedAggregator", "Other", decimals)
        feed = self.protocol.address("PriceFeed")
        create("ChainlinkReporter", "Second", feed, MARKET, other, 60, 0, 10**31, NOBODY, 0)
        self.list("Second", "reporter_1", "reporter_2")
        self.protocol.do("Other.set_answer", 1, answer, now, now, 1, sender="stranger")

    def says(self, answer, round_id=5, updated_at=None, answered_in_round=5):
        """The aggregator's last round; now unless another time is given."""
        at = self.protocol.timestamp if updated_at is None else updated_at
        self.protocol.do(
            "Aggregator.set_answer", round_id, answer, at, at, answered_in_round, sender="stranger"
        )

    def sequencer_says(self, answer, since):
        self.protocol.do("Sequencer.set_answer", 1, answer, since, since, 1, sender="stranger")

    def push(self, name="Adapter"):
        """Push the adapter's report; return the price that the feed keeps [ray]."""
        self.protocol.do(f"{name}.push", sender="stranger")
        found = self.protocol.read("PriceFeed.report_of", MARKET, name)
        assert found.since == found.reported_at == self.protocol.timestamp
        return found.price


@pytest.fixture
def adapter(new_protocol):
    return Adapter(new_protocol())


@pytest.fixture
def dollar():
    """One stablecoin as the feed has it."""
    return RAY
