# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title ScriptedAggregator
@license GNU Affero General Public License v3.0 only
@notice A Chainlink aggregator with scripted answers: a price, an old one, a broken one. Also an uptime feed
        of an L2's sequencer. For tests and devnets.
"""
from contracts.interfaces import IAggregator

implements: IAggregator

DECIMALS: immutable(uint8)

# The only round it has.
round_id: uint80
answer: int256
started_at: uint256
updated_at: uint256
answered_in_round: uint80


@deploy
def __init__(decimals: uint8):
    """
    @param decimals [decimals] Of its answers.
    """
    DECIMALS = decimals


@external
def set_answer(
    round_id: uint80, answer: int256, started_at: uint256, updated_at: uint256, answered_in_round: uint80
):
    """
    @notice Set the round. Anyone; nothing is checked.
    @param round_id [id] The round.
    @param answer [unit of the feed] Its answer.
    @param started_at [timestamp] When the round started.
    @param updated_at [timestamp] When it was updated.
    @param answered_in_round [id] The round in which the answer was found.
    """
    self.round_id = round_id
    self.answer = answer
    self.started_at = started_at
    self.updated_at = updated_at
    self.answered_in_round = answered_in_round


@external
@view
def decimals() -> uint8:
    """
    @notice How its answers are scaled.
    @return [decimals] Of its answers.
    """
    return DECIMALS


@external
@view
def description() -> String[32]:
    """
    @notice Return a description.
    @return The same words, at any script.
    """
    return "scripted aggregator"


@external
@view
def version() -> uint256:
    """
    @notice Which of Chainlink's interfaces it has.
    @return [id] The one of most networks.
    """
    return 4


@external
@view
def getRoundData(round_id: uint80) -> (uint80, int256, uint256, uint256, uint80):
    """
    @notice A round: there is only the last one.
    @param round_id [id] The last one; another reverts.
    @return [id] The round.
    @return [unit of the feed] Its answer.
    @return [timestamp] When the round started.
    @return [timestamp] When it was updated.
    @return [id] The round in which the answer was found.
    """
    assert round_id == self.round_id, "scripted_aggregator: no data"
    return self._round()


@external
@view
def latestRoundData() -> (uint80, int256, uint256, uint256, uint80):
    """
    @notice The last round.
    @return [id] The round.
    @return [unit of the feed] Its answer.
    @return [timestamp] When the round started.
    @return [timestamp] When it was updated.
    @return [id] The round in which the answer was found.
    """
    return self._round()


@internal
@view
def _round() -> (uint80, int256, uint256, uint256, uint80):
    return self.round_id, self.answer, self.started_at, self.updated_at, self.answered_in_round
