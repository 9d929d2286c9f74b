"""announce_loss: seen at once, by price and doubt; realised later."""

import pytest

from backstop.model.arithmetic import RAY, WAD
from tests.support.auction_steps import get_only_event_values
from tests.support.facilitator_steps import (
    DAY,
    ROLLUP,
    announce_loss,
    read_bridge_debt,
    read_bridge_debt_at_risk,
)
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import deposit_savings, read_stake

K = 1_000 * WAD


def test_is_known_with_its_time(owing):
    announce_loss(owing, 10 * K)
    assert get_only_event_values(owing, "LossAnnounced", "Rollup") == (10 * K, owing.timestamp + DAY)
    assert tuple(owing.read("Rollup.announcement")) == (10 * K, owing.timestamp + DAY)
    assert read_bridge_debt(owing) == 100 * K * RAY


@pytest.mark.parametrize("amount", [1, 10 * K, 33 * K + 1, 99_999 * WAD])
def test_is_in_doubt_from_the_same_call_on_to_the_wei(owing, amount):
    announce_loss(owing, amount)
    assert amount * RAY <= read_bridge_debt_at_risk(owing) <= amount * RAY + RAY


def test_the_rest_of_the_debt_is_not(owing):
    """A look finds nothing before, and no more than the loss after: the note is the issuer's word."""
    assert owing.do("LiquidationEngine.flag", ROLLUP, "Rollup", sender="stranger") == 0
    announce_loss(owing, 10 * K)
    assert owing.do("LiquidationEngine.flag", ROLLUP, "Rollup", sender="stranger") == 10 * K * RAY


@pytest.mark.parametrize("amount", [100 * K, 2**128 - 1])
def test_all_of_the_debt_and_more(owing, amount):
    announce_loss(owing, amount)
    assert owing.read("PriceFeed.current_price", ROLLUP) == 1
    assert read_bridge_debt_at_risk(owing) == read_bridge_debt(owing)


def test_a_note_is_its_share_of_what_is_left(owing):
    announce_loss(owing, 25 * K)
    assert owing.read("PriceFeed.current_price", ROLLUP) == 75 * RAY // 100
    assert owing.read("PriceFeed.time_weighted", ROLLUP) == 75 * RAY // 100
    owing.advance(40 * DAY)
    assert owing.read("PriceFeed.risk_price", ROLLUP) == 75 * RAY // 100


def test_the_exits_of_pools_know_it(owing):
    deposit_savings(owing, "saver", 50 * K)
    before = read_stake(owing, "saver")
    announce_loss(owing, 10 * K)
    beyond = owing.read("LossWaterfall.losses_reaching", "Savings")
    assert 9 * K * RAY < beyond <= read_bridge_debt_at_risk(owing)
    assert read_stake(owing, "saver") < before - 9 * K


def test_without_a_debt(bridged):
    announce_loss(bridged, K)
    assert read_bridge_debt_at_risk(bridged) == 0
    assert bridged.read("PriceFeed.current_price", ROLLUP) == RAY


def test_once_more_begins_the_delay_again(owing):
    announce_loss(owing, 10 * K)
    owing.advance(DAY - 1)
    announce_loss(owing, 5 * K)
    owing.advance(DAY - 1)
    with reverts("facilitator: too early"):
        owing.do("Rollup.realise_loss", sender="stranger")


def test_a_guardian_only_raises(owing):
    announce_loss(owing, 10 * K, sender="guardian")
    for amount in (0, 1, 10 * K):
        with reverts("facilitator: only raise"):
            announce_loss(owing, amount, sender="guardian")
    announce_loss(owing, 10 * K + 1, sender="guardian")
    announce_loss(owing, 1)


@pytest.mark.parametrize("amount", [0, 2**128, 2**256 - 1])
def test_bounds(owing, amount):
    with reverts("facilitator: loss bounds"):
        announce_loss(owing, amount)


@pytest.mark.parametrize("sender", ["stranger", "bridge"])
def test_admin_and_guardians_only(owing, sender):
    with reverts("roles: missing role"):
        announce_loss(owing, 1, sender=sender)
