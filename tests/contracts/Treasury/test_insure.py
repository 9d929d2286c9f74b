"""distribute, beside a margin market: new surplus insures it, before pools, up to a share and a target."""

import pytest

from backstop.model.arithmetic import RAY, WAD
from tests.support.equity_steps import (
    build_equity_parameters,
    post_prices_and_fund_people,
    read_last_call_events,
)
from tests.support.margin_order_steps import with_margin
from tests.support.saver_steps import earn_year_of_high_fees

NAME = "Treasury"


@pytest.fixture
def insuring(new_protocol):
    """Thousands over a target of 1,000; half of new surplus insures, savers get a quarter of the rest."""
    parameters = with_margin(
        build_equity_parameters("buffer", "savings"), income_share=5_000, insurance_target=1_000_000
    )
    made = post_prices_and_fund_people(new_protocol(parameters))
    earn_year_of_high_fees(made)
    made.do("Treasury.set_target", 1_000, sender="admin")
    return made


def surplus(protocol):
    return protocol.read("VaultEngine.reserve") // RAY - 1_000 * WAD


def insurance(protocol):
    return protocol.read("MarginFund.insurance_of").amount


def distribute(protocol):
    return protocol.do(f"{NAME}.distribute", sender="stranger")


def test_the_parameters_are_set(insuring):
    assert insuring.read(f"{NAME}.FUND") == insuring.address("MarginFund")
    assert insuring.read(f"{NAME}.insurance_plan") == (5_000, 1_000_000)


def test_a_share_of_new_surplus_before_pools(insuring):
    new = surplus(insuring)
    insured = new // 2
    shared = (new - insured) // 4
    assert distribute(insuring) == insured + shared
    assert insurance(insuring) == insured == insuring.read("Stablecoin.balanceOf", "MarginFund")
    assert read_last_call_events(insuring, "FundInsured", NAME) == [(insuring.address("MarginFund"), insured)]
    assert read_last_call_events(insuring, "IncomeShared", NAME) == [(insuring.address("Savings"), shared)]
    left = new - insured - shared
    assert read_last_call_events(insuring, "SurplusOffered", NAME) == [(left, left)]
    assert insuring.read(f"{NAME}.for_sale") == surplus(insuring) == left
    # Nothing stays with it.
    assert insuring.read("Stablecoin.balanceOf", NAME) == 0
    assert insuring.read("Stablecoin.allowance", NAME, "MarginFund") == 0


def test_what_is_for_sale_insures_nobody(insuring):
    distribute(insuring)
    insured = insurance(insuring)
    assert distribute(insuring) == 0
    assert insurance(insuring) == insured
    insuring.do("Treasury.set_target", 900, sender="admin")
    distribute(insuring)
    assert insurance(insuring) == insured + 50 * WAD


def test_no_more_than_its_target_lacks(insuring):
    insuring.do("Treasury.set_insurance", 10_000, 3, sender="admin")
    new = surplus(insuring)
    distribute(insuring)
    assert insurance(insuring) == 3 * WAD
    assert read_last_call_events(insuring, "IncomeShared", NAME)[0][1] == (new - 3 * WAD) // 4


@pytest.mark.parametrize("terms", [(0, 1_000), (5_000, 0)])
def test_nothing_without_a_share_or_a_target(insuring, terms):
    insuring.do("Treasury.set_insurance", *terms, sender="admin")
    new = surplus(insuring)
    assert distribute(insuring) == new // 4
    assert insurance(insuring) == 0
    assert not read_last_call_events(insuring, "FundInsured", NAME)


def test_enough_insurance_leaves_all_to_pools(insuring):
    insuring.give_stablecoin("rich", 10_000 * WAD)
    insuring.do("Stablecoin.approve", "MarginFund", 50 * WAD, sender="rich")
    insuring.do("MarginFund.insure", 50 * WAD, sender="rich")
    insuring.do("Treasury.set_insurance", 10_000, 49, sender="admin")
    new = surplus(insuring)
    assert distribute(insuring) == new // 4
    assert insurance(insuring) == 50 * WAD


def test_without_a_fund_it_changes_nothing(new_protocol):
    made = post_prices_and_fund_people(new_protocol(build_equity_parameters("buffer", "savings")))
    earn_year_of_high_fees(made)
    made.do("Treasury.set_target", 1_000, sender="admin")
    made.do("Treasury.set_insurance", 10_000, 10**6, sender="admin")
    assert distribute(made) == (surplus(made) + made.last.value) // 4
