"""spendable: the insurance balance, and the part of it that a day's cap still allows."""

from backstop.model.arithmetic import WAD
from tests.support.margin_fund_steps import absorb_loss_in_margin_fund, add_margin_fund_insurance


def left(protocol):
    return protocol.read("Fund.spendable")


def test_the_lesser_of_both(margin):
    """2,000 may be spent in a day."""
    assert left(margin) == 0
    add_margin_fund_insurance(margin, 1_500 * WAD)
    assert left(margin) == 1_500 * WAD
    add_margin_fund_insurance(margin, 1_500 * WAD)
    assert left(margin) == 2_000 * WAD
    assert absorb_loss_in_margin_fund(margin, 700 * WAD) == 700 * WAD
    assert left(margin) == 1_300 * WAD
    margin.do("Fund.set_cap", 600, sender="admin")
    assert left(margin) == 0
    margin.advance(86_400)
    assert left(margin) == 600 * WAD
    margin.do("Fund.set_cap", 10**6, sender="admin")
    assert left(margin) == 2_300 * WAD


def test_profits_that_have_not_vested_are_no_insurance(profits):
    assert left(profits) == 0
