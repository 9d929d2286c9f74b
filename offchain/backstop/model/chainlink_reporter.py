"""One reporter of a market: the answer of a Chainlink aggregator, without answers that cannot be valid."""

from __future__ import annotations

from typing import cast

from backstop.contract_base import ZERO_ADDRESS, Contract, World, external, immutable, require
from backstop.model import bounds
from backstop.model.interfaces import IAggregator, IPriceFeed

RAY_DECIMALS = 27


class ChainlinkReporter(Contract):
    """Price reporter that copies a Chainlink aggregator's valid answers to the price feed.

    Model of contracts/ChainlinkReporter.vy.
    """

    KIND = "ChainlinkReporter"

    price_feed = immutable("PRICE_FEED", str)
    # The market that it reports for.
    collateral_type = immutable("COLLATERAL_TYPE", int)
    aggregator = immutable("AGGREGATOR", str)
    # Seconds.
    heartbeat = immutable("HEARTBEAT", int)
    # In the aggregator's decimals, both excluded.
    min_answer = immutable("MIN_ANSWER", int)
    max_answer = immutable("MAX_ANSWER", int)
    # The uptime feed of an L2's sequencer; the zero address is none.
    sequencer = immutable("SEQUENCER", str)
    # Seconds.
    sequencer_grace = immutable("SEQUENCER_GRACE", int)

    def __init__(
        self,
        world: World,
        name: str,
        address: str,
        price_feed: str,
        collateral_type: int,
        aggregator: str,
        heartbeat: int,
        min_answer: int,
        max_answer: int,
        sequencer: str,
        sequencer_grace: int,
    ) -> None:
        require(0 < heartbeat <= bounds.MAX_REPORT_AGE, "chainlink_reporter: heartbeat")
        require(min_answer < max_answer <= bounds.MAX_PRICE, "chainlink_reporter: bounds")
        require(sequencer_grace <= bounds.MAX_GRACE, "chainlink_reporter: grace")
        super().__init__(world, name, address)
        self.price_feed = price_feed
        self.collateral_type = collateral_type
        self.aggregator = aggregator
        self.heartbeat = heartbeat
        self.min_answer = min_answer
        self.max_answer = max_answer
        self.sequencer = sequencer
        self.sequencer_grace = sequencer_grace

    @external
    def push(self, sender: str) -> None:
        """Report the aggregator's latest answer to the price feed. Any account may call this.

        Reverts if the answer is older than the heartbeat, at or beyond a bound, or of an unfinished round.
        Reverts also while the sequencer of a layer-2 chain is down or has just restarted.
        """
        now = self.world.timestamp
        if self.sequencer != ZERO_ADDRESS:
            self._check_sequencer()
        aggregator = self._get_aggregator_contract(self.aggregator)
        round_id, answer, _, updated_at, answered_in_round = aggregator.latestRoundData(self.address)
        require(updated_at != 0 and answered_in_round >= round_id, "chainlink_reporter: no answer")
        require(updated_at <= now, "chainlink_reporter: future")
        require(now - updated_at <= self.heartbeat, "chainlink_reporter: stale")
        require(self.min_answer < answer < self.max_answer, "chainlink_reporter: at a bound")
        decimals = aggregator.decimals(self.address)
        require(decimals <= RAY_DECIMALS, "chainlink_reporter: decimals")
        feed = cast(IPriceFeed, self.world.at(self.price_feed))
        feed.report(self.address, self.collateral_type, answer * 10 ** (RAY_DECIMALS - decimals))
        self.emit("RoundReported", round_id, answer, updated_at)

    def _check_sequencer(self) -> None:
        """Revert unless the layer-2 sequencer has been up for longer than the grace period.

        An answer of 0 from its uptime feed means that it is up.
        """
        now = self.world.timestamp
        _, answer, started_at, _, _ = self._get_aggregator_contract(self.sequencer).latestRoundData(
            self.address
        )
        require(answer == 0 and started_at != 0, "chainlink_reporter: down")
        require(started_at <= now, "chainlink_reporter: not up yet")
        require(now - started_at > self.sequencer_grace, "chainlink_reporter: just up")

    def _get_aggregator_contract(self, aggregator_address: str) -> IAggregator:
        return cast(IAggregator, self.world.at(aggregator_address))
