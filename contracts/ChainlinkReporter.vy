# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title ChainlinkReporter
@license GNU Affero General Public License v3.0 only
@notice One reporter of a market: it reports the answer of a Chainlink aggregator, and nothing that the
        aggregator cannot mean. Anyone has it report. It holds nothing and has no admin: to change its source,
        the market gets another reporter.
@dev A broken aggregator costs one report: the feed goes on with the others, as long as they are a quorum.
"""
from contracts.interfaces import IAggregator
from contracts.interfaces import IPriceFeed
from contracts.modules import bounds


event RoundReported:
    round_id: indexed(uint80)  # [id]
    answer: int256  # [unit of the feed]
    updated_at: uint256  # [timestamp]


# A ray has 27 decimals.
RAY_DECIMALS: constant(uint256) = 27

PRICE_FEED: public(immutable(IPriceFeed))
# The market that it reports for.
COLLATERAL_TYPE: public(immutable(uint256))
AGGREGATOR: public(immutable(IAggregator))
# Seconds.
HEARTBEAT: public(immutable(uint256))
# In the aggregator's decimals, both excluded.
MIN_ANSWER: public(immutable(uint256))
MAX_ANSWER: public(immutable(uint256))
# The uptime feed of an L2's sequencer; the zero address is none.
SEQUENCER: public(immutable(IAggregator))
# Seconds.
SEQUENCER_GRACE: public(immutable(uint256))


@deploy
def __init__(
    price_feed: address,
    collateral_type: uint256,
    aggregator: address,
    heartbeat: uint256,
    min_answer: uint256,
    max_answer: uint256,
    sequencer: address,
    sequencer_grace: uint256,
):
    """
    @param price_feed Where it reports; its market has to list it.
    @param collateral_type [id] The market that it reports for.
    @param aggregator Answers with the price of one whole token in stablecoin.
    @param heartbeat [seconds] An answer that is older is not reported. The aggregator's own, and a little.
    @param min_answer [unit of the feed] The answer at which the aggregator stops falling, or 0. It is not
                      reported: the market may be anywhere below.
    @param max_answer [unit of the feed] The answer at which it stops rising; not reported either.
    @param sequencer The uptime feed of the L2's sequencer; the zero address where there is none.
    @param sequencer_grace [seconds] After the sequencer is up again, before anything is reported.
    """
    assert heartbeat != 0 and heartbeat <= bounds.MAX_REPORT_AGE, "chainlink_reporter: heartbeat"
    assert min_answer < max_answer and max_answer <= bounds.MAX_PRICE, "chainlink_reporter: bounds"
    assert sequencer_grace <= bounds.MAX_GRACE, "chainlink_reporter: grace"
    PRICE_FEED = IPriceFeed(price_feed)
    COLLATERAL_TYPE = collateral_type
    AGGREGATOR = IAggregator(aggregator)
    HEARTBEAT = heartbeat
    MIN_ANSWER = min_answer
    MAX_ANSWER = max_answer
    SEQUENCER = IAggregator(sequencer)
    SEQUENCER_GRACE = sequencer_grace


@external
def push():
    """
    @notice Report the aggregator's last answer. Permissionless. Protects: an answer that is not above
            zero, from an unfinished round, from the future, older than the heartbeat, or at one of the
            aggregator's own bounds is refused, and so is all while the sequencer is down or just up.
    """
    if SEQUENCER.address != empty(address):
        self._check_sequencer()
    round_id: uint80 = 0
    answer: int256 = 0
    started_at: uint256 = 0
    updated_at: uint256 = 0
    answered_in_round: uint80 = 0
    round_id, answer, started_at, updated_at, answered_in_round = staticcall AGGREGATOR.latestRoundData()
    assert updated_at != 0 and answered_in_round >= round_id, "chainlink_reporter: no answer"
    assert updated_at <= block.timestamp, "chainlink_reporter: future"
    assert block.timestamp - updated_at <= HEARTBEAT, "chainlink_reporter: stale"
    # Above the lower bound is above zero.
    assert (
        answer > convert(MIN_ANSWER, int256) and answer < convert(MAX_ANSWER, int256)
    ), "chainlink_reporter: at a bound"
    decimals: uint256 = convert(staticcall AGGREGATOR.decimals(), uint256)
    assert decimals <= RAY_DECIMALS, "chainlink_reporter: decimals"
    # 112 + 90 bits; exact.
    price: uint256 = convert(answer, uint256) * 10**(RAY_DECIMALS - decimals)
    extcall PRICE_FEED.report(COLLATERAL_TYPE, price)
    log RoundReported(round_id=round_id, answer=answer, updated_at=updated_at)


@internal
@view
def _check_sequencer():
    """
    @dev Its feed answers 0 while it is up, since `started_at`; a round that never started has no meaning.
    """
    round_id: uint80 = 0
    answer: int256 = 0
    started_at: uint256 = 0
    updated_at: uint256 = 0
    answered_in_round: uint80 = 0
    round_id, answer, started_at, updated_at, answered_in_round = staticcall SEQUENCER.latestRoundData()
    assert answer == 0 and started_at != 0, "chainlink_reporter: down"
    assert started_at <= block.timestamp, "chainlink_reporter: not up yet"
    assert block.timestamp - started_at > SEQUENCER_GRACE, "chainlink_reporter: just up"
