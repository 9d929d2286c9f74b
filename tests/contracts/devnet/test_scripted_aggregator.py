"""ScriptedAggregator: Chainlink's interface with scripted answers."""

import pytest

from tests.support.revert_setter_and_source_helpers import reverts


@pytest.fixture
def told(protocol):
    protocol.lockstep.create_contract("ScriptedAggregator", "Aggregator", 8)
    protocol.do("Aggregator.set_answer", 2**80 - 1, -5, 1, 2, 3, sender="stranger")
    return protocol


def test_says_what_it_is_told(told):
    assert told.read("Aggregator.latestRoundData") == (2**80 - 1, -5, 1, 2, 3)
    told.do("Aggregator.set_answer", 4, 2**255 - 1, 2**256 - 1, 0, 4, sender="borrower")
    assert told.read("Aggregator.latestRoundData") == (4, 2**255 - 1, 2**256 - 1, 0, 4)


def test_has_the_face_of_an_aggregator(told):
    assert told.read("Aggregator.decimals") == 8
    assert told.read("Aggregator.description") == "scripted aggregator"
    assert told.read("Aggregator.version") == 4
    assert told.read("Aggregator.getRoundData", 2**80 - 1) == (2**80 - 1, -5, 1, 2, 3)


def test_has_one_round(told):
    told.do("Aggregator.set_answer", 7, 1, 1, 1, 7, sender="stranger")
    with reverts("scripted_aggregator: no data"):
        told.read("Aggregator.getRoundData", 6)
