"""cut: a batch ends its collecting; its shares leave the live ones at one price, and earn nothing."""

import pytest

from backstop.model.arithmetic import RAY, WAD
from tests.support.helpers import reverts
from tests.support.savings import DAY, bear, cut, request, save

CALL = "Savings.cut"


def test_its_shares_are_burned_for_what_they_are_worth(savers):
    request(savers, "saver")
    assert cut(savers) == 1
    assert savers.read("Savings.totalSupply") == 10_000 * WAD * 10**6
    assert savers.read("Savings.totalAssets") == 10_000 * WAD
    batch = (30_000 * WAD * 10**6, savers.timestamp, 0, 30_000 * WAD, False)
    assert savers.read("Savings.batch_of", 1) == batch
    assert savers.read("Savings.queue") == (1, 1, 2)
    logs = [log.values for log in savers.last.logs if log.event == "BatchCut"]
    assert logs == [(1, 30_000 * WAD * 10**6, 30_000 * WAD)]


def test_what_it_holds_bears_losses_as_before(savers):
    capacity = savers.read("Savings.capacity", 0)
    request(savers, "saver")
    cut(savers)
    assert savers.read("Savings.capacity", 0) == capacity == 40_000 * WAD * RAY


def test_it_earns_nothing(junior):
    junior.do("Young.requestRedeem", 3_000 * WAD * 10**6, "saver", "saver", sender="saver")
    junior.advance(DAY)
    junior.do("Young.add_income", 700 * WAD, sender="payer")
    cut(junior, "Young")
    junior.advance(7 * DAY)
    assert junior.read("Young.batch_of", 1)[3] == 3_000 * WAD
    assert junior.read("Young.totalAssets") == 1_700 * WAD


def test_not_before_its_day_is_over(savers):
    request(savers, "saver")
    savers.advance(DAY - 1)
    with reverts("pool: batch collects"):
        savers.do(CALL, sender="stranger")
    savers.advance(1)
    savers.do(CALL, sender="stranger")


def test_nobody_has_asked(savers):
    with reverts("pool: no requests"):
        savers.do(CALL, sender="stranger")
    request(savers, "saver")
    cut(savers)
    with reverts("pool: no requests"):
        savers.do(CALL, sender="stranger")


def test_no_more_than_sixteen_are_open(protocol):
    """Coverage looks at each of them; the next goes on collecting until one is over."""
    save(protocol, "saver", 100 * WAD)
    protocol.do("Savings.requestRedeem", WAD, "saver", "saver", sender="saver")
    protocol.advance(30 * DAY)
    for _ in range(16):
        protocol.do("Savings.requestRedeem", WAD, "saver", "saver", sender="saver")
        protocol.advance(DAY)
        protocol.do(CALL, sender="stranger")
    assert protocol.read("Savings.queue")[0] == 1
    protocol.do("Savings.requestRedeem", WAD, "saver", "saver", sender="saver")
    protocol.advance(DAY)
    with reverts("pool: too many batches"):
        protocol.do(CALL, sender="stranger")
    protocol.do("Savings.settle", sender="stranger")
    assert protocol.do(CALL, sender="stranger") == 17


@pytest.mark.parametrize("loss", [1, 10**9 + 7, 1_234 * WAD + 5], ids=str)
def test_at_the_price_of_a_share_rounded_for_those_who_stay(junior, loss):
    bear(junior, "Young", loss)
    junior.do("Young.requestRedeem", 1_000 * WAD * 10**6 + 1, "saver", "saver", sender="saver")
    supply, booked = junior.read("Young.totalSupply"), junior.read("Young.totalAssets")
    cut(junior, "Young")
    units = 1_000 * WAD * 10**6 + 1
    exact = units * (booked + 1)
    held = junior.read("Young.batch_of", 1)[3]
    assert 0 <= exact - held * (supply + 10**6) < 2 * (supply + 10**6)
    assert junior.read("Young.totalAssets") == booked - held
