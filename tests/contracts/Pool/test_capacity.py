"""capacity: the assets that losses can take at once."""

from backstop.model.arithmetic import RAY, WAD
from tests.support.saver_steps import DAY, give_stablecoin, request_all_shares


def test_an_empty_pool_can_pay_nothing(protocol):
    assert protocol.read("Savings.capacity", 0) == 0


def test_all_of_it_whatever_the_type(savers):
    for c in range(3):
        assert savers.read("Savings.capacity", c) == 40_000 * WAD * RAY


def test_income_counts_once_it_has_vested(junior):
    junior.do("Young.add_income", 700 * WAD, sender="payer")
    assert junior.read("Young.capacity", 0) == 4_000 * WAD * RAY
    junior.advance(DAY)
    assert junior.read("Young.capacity", 0) == 4_100 * WAD * RAY


def test_requested_shares_count(savers):
    before = savers.read("Savings.capacity", 0)
    request_all_shares(savers, "saver")
    assert savers.read("Savings.capacity", 0) == before


def test_donations_do_not_count(savers):
    before = savers.read("Savings.capacity", 0)
    give_stablecoin(savers, "stranger", 5_000 * WAD)
    savers.do("Stablecoin.transfer", "Savings", 5_000 * WAD, sender="stranger")
    assert savers.read("Savings.capacity", 0) == before
