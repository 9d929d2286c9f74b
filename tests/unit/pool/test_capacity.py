"""capacity: what losses can take at once."""

from offchain.model.arithmetic import RAY, WAD
from tests.savings import give, request, save


def test_an_empty_pool_can_pay_nothing(protocol):
    assert protocol.read("Savings.capacity", 0) == 0


def test_all_but_a_million_wei_whatever_the_type(savers):
    for c in range(3):
        assert savers.read("Savings.capacity", c) == (40_000 * WAD - 10**6) * RAY


def test_up_to_a_million_wei_nothing(protocol):
    save(protocol, "saver", 10**6)
    assert protocol.read("Savings.capacity", 0) == 0
    save(protocol, "saver", 1)
    assert protocol.read("Savings.capacity", 0) == RAY


def test_requested_shares_count(savers):
    before = savers.read("Savings.capacity", 0)
    request(savers, "saver")
    assert savers.read("Savings.capacity", 0) == before


def test_donations_do_not_count(savers):
    before = savers.read("Savings.capacity", 0)
    give(savers, "stranger", 5_000 * WAD)
    savers.do("Stablecoin.transfer", "Savings", 5_000 * WAD, sender="stranger")
    assert savers.read("Savings.capacity", 0) == before
