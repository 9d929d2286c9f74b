"""cover: insurance alone, up to its cap, as `absorb` spends it."""

from backstop.model.arithmetic import WAD
from tests.support.auctions import event
from tests.support.helpers import reverts
from tests.support.margin_fund import absorb, booked, insure


def cover(protocol, loss):
    return protocol.do("Fund.cover", loss, sender="market")


def test_profits_stay(profits):
    """400 of profits, which `absorb` would take first."""
    insure(profits, 300 * WAD)
    assert cover(profits, 500 * WAD) == 300 * WAD
    assert event(profits, "LossAbsorbed", "Fund") == (500 * WAD, 0, 300 * WAD)
    assert booked(profits) == 400 * WAD


def test_one_cap_for_both(profits):
    """2,000 a day, however a loss is split."""
    insure(profits, 5_000 * WAD)
    assert cover(profits, 1_500 * WAD) == 1_500 * WAD
    assert absorb(profits, 1_400 * WAD) == (400 + 500) * WAD
    assert cover(profits, WAD) == 0


def test_for_the_market_alone(profits):
    with reverts("margin_fund: not the market"):
        profits.do("Fund.cover", WAD, sender="stranger")
