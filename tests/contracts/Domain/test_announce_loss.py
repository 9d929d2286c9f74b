"""announce_loss: seen at once, by price and doubt; realised later."""

import pytest

from backstop.model.arithmetic import RAY, WAD
from tests.support.auctions import event
from tests.support.domains import DAY, ROLLUP, announce, debt, doubt
from tests.support.helpers import reverts
from tests.support.savings import save, worth

K = 1_000 * WAD


def test_is_known_with_its_time(owing):
    announce(owing, 10 * K)
    assert event(owing, "LossAnnounced", "Rollup") == (10 * K, owing.timestamp + DAY)
    assert tuple(owing.read("Rollup.announcement")) == (10 * K, owing.timestamp + DAY)
    assert debt(owing) == 100 * K * RAY


@pytest.mark.parametrize("amount", [1, 10 * K, 33 * K + 1, 99_999 * WAD])
def test_is_in_doubt_from_the_same_call_on_to_the_wei(owing, amount):
    announce(owing, amount)
    assert amount * RAY <= doubt(owing) <= amount * RAY + RAY


def test_the_rest_of_the_debt_is_not(owing):
    """A look finds nothing before, and no more than the loss after: the note is the issuer's word."""
    assert owing.do("LiquidationEngine.flag", ROLLUP, "Rollup", sender="stranger") == 0
    announce(owing, 10 * K)
    assert owing.do("LiquidationEngine.flag", ROLLUP, "Rollup", sender="stranger") == 10 * K * RAY


@pytest.mark.parametrize("amount", [100 * K, 2**128 - 1])
def test_all_of_the_debt_and_more(owing, amount):
    announce(owing, amount)
    assert owing.read("PriceFeed.current_price", ROLLUP) == 1
    assert doubt(owing) == debt(owing)


def test_a_note_is_its_share_of_what_is_left(owing):
    announce(owing, 25 * K)
    assert owing.read("PriceFeed.current_price", ROLLUP) == 75 * RAY // 100
    assert owing.read("PriceFeed.time_weighted", ROLLUP) == 75 * RAY // 100
    owing.advance(40 * DAY)
    assert owing.read("PriceFeed.risk_price", ROLLUP) == 75 * RAY // 100


def test_the_exits_of_pools_know_it(owing):
    save(owing, "saver", 50 * K)
    before = worth(owing, "saver")
    announce(owing, 10 * K)
    beyond = owing.read("LossWaterfall.losses_beyond", "Savings")
    assert 9 * K * RAY < beyond <= doubt(owing)
    assert worth(owing, "saver") < before - 9 * K


def test_without_a_debt(bridged):
    announce(bridged, K)
    assert doubt(bridged) == 0
    assert bridged.read("PriceFeed.current_price", ROLLUP) == RAY


def test_once_more_begins_the_delay_again(owing):
    announce(owing, 10 * K)
    owing.advance(DAY - 1)
    announce(owing, 5 * K)
    owing.advance(DAY - 1)
    with reverts("domain: too early"):
        owing.do("Rollup.realise_loss", sender="stranger")


def test_a_guardian_only_raises(owing):
    announce(owing, 10 * K, sender="guardian")
    for amount in (0, 1, 10 * K):
        with reverts("domain: only raise"):
            announce(owing, amount, sender="guardian")
    announce(owing, 10 * K + 1, sender="guardian")
    announce(owing, 1)


@pytest.mark.parametrize("amount", [0, 2**128, 2**256 - 1])
def test_bounds(owing, amount):
    with reverts("domain: loss bounds"):
        announce(owing, amount)


@pytest.mark.parametrize("sender", ["stranger", "bridge"])
def test_admin_and_guardians_only(owing, sender):
    with reverts("roles: missing role"):
        announce(owing, 1, sender=sender)
