"""absorb: unvested profits first, all alike; then insurance, up to its cap."""

from contextlib import nullcontext

import pytest

from backstop.hosts.world_storage_json import RawState, encode_nonzero_storage_words
from backstop.model.arithmetic import WAD
from tests.support.auction_steps import get_only_event_values, read_stablecoins
from tests.support.margin_fund_steps import (
    DAY,
    absorb_loss_in_margin_fund,
    add_margin_fund_insurance,
    lock_profit,
    read_profit,
    sum_margin_fund_assets,
)
from tests.support.revert_setter_and_source_helpers import reverts


def test_all_unvested_profits_give_the_same_share(profits):
    now = profits.timestamp // DAY
    assert absorb_loss_in_margin_fund(profits, 100 * WAD) == 100 * WAD
    assert get_only_event_values(profits, "LossAbsorbed", "Fund") == (100 * WAD, 100 * WAD, 0)
    for bucket in (now - 2, now - 1, now):
        assert read_profit(profits, "winner", bucket) == 75 * WAD
    assert read_profit(profits, "other", now) == 75 * WAD
    assert sum_margin_fund_assets(profits) == read_stablecoins(profits, "Fund") == 300 * WAD


@pytest.mark.parametrize("loss", [1, 2, 3, 5, 7 * WAD + 1, 400 * WAD - 1, 400 * WAD, 401 * WAD])
def test_exactly_the_loss_or_all(profits, loss):
    assert absorb_loss_in_margin_fund(profits, loss) == min(loss, 400 * WAD)
    assert (
        sum_margin_fund_assets(profits)
        == read_stablecoins(profits, "Fund")
        == 400 * WAD - min(loss, 400 * WAD)
    )


def test_what_has_vested_is_safe(profits):
    first = profits.timestamp // DAY - 2
    profits.advance((first + 7) * DAY - profits.timestamp)
    assert absorb_loss_in_margin_fund(profits, 1_000 * WAD) == 300 * WAD
    assert profits.do("Fund.claim", "winner", first, sender="stranger") == 100 * WAD


def test_until_the_last_second_it_gives_its_share(profits):
    first = profits.timestamp // DAY - 2
    profits.advance((first + 7) * DAY - 1 - profits.timestamp)
    assert absorb_loss_in_margin_fund(profits, 400 * WAD) == 400 * WAD
    assert read_profit(profits, "winner", first) == 0


def test_what_comes_after_is_not_asked_for_what_was_before(profits):
    now = profits.timestamp // DAY
    absorb_loss_in_margin_fund(profits, 200 * WAD)
    lock_profit(profits, "late", 100 * WAD)
    assert read_profit(profits, "late", now) == 100 * WAD
    assert read_profit(profits, "other", now) == 50 * WAD
    absorb_loss_in_margin_fund(profits, 150 * WAD)
    assert read_profit(profits, "late", now) == 50 * WAD
    assert read_profit(profits, "other", now) == 25 * WAD


def test_a_bucket_that_is_gone_begins_again(profits):
    """Its old shares are worth nothing; the small remainder for them becomes insurance."""
    now = profits.timestamp // DAY
    assert absorb_loss_in_margin_fund(profits, 400 * WAD - 8) == 400 * WAD - 8
    assert profits.read("Fund.insurance_of").amount == 8
    assert profits.read("Fund.bucket_of", now) == (0, 0, 1)
    assert read_profit(profits, "other", now) == 0
    lock_profit(profits, "other", 5)
    lock_profit(profits, "late", 5)
    assert read_profit(profits, "other", now) == read_profit(profits, "late", now) == 5
    assert sum_margin_fund_assets(profits) == 18


def test_a_bucket_begins_again_65535_times_at_most(profits):
    """Then its field is full: one more would have old shares be worth something again."""
    now = profits.timestamp // DAY
    for generation, reason in ((2**16 - 1, "margin_fund: began too often"), (2**16 - 2, None)):
        world = profits.lockstep.model.world
        table = world.contracts["Fund"].tables["buckets"]
        table[now] = table[now]._replace(generation=generation)
        profits.lockstep.restore_state(RawState(encode_nonzero_storage_words(world)))
        with reverts(reason) if reason else nullcontext():
            absorb_loss_in_margin_fund(profits, 400 * WAD - 8)
    assert profits.read("Fund.bucket_of", now).generation == 2**16 - 1


def test_insurance_up_to_its_cap_in_a_bucket_of_time(margin):
    add_margin_fund_insurance(margin, 5_000 * WAD)
    assert get_only_event_values(margin, "InsuranceAdded", "Fund") == (margin.address("rich"), 5_000 * WAD)
    assert absorb_loss_in_margin_fund(margin, 1_500 * WAD) == 1_500 * WAD
    # However a loss is split, 2,000 a day.
    assert absorb_loss_in_margin_fund(margin, 1_500 * WAD) == 500 * WAD
    assert absorb_loss_in_margin_fund(margin, 1) == 0
    assert margin.read("Fund.insurance_of") == (3_000 * WAD, 2_000 * WAD, margin.timestamp // DAY)
    margin.advance(DAY)
    assert absorb_loss_in_margin_fund(margin, 5_000 * WAD) == 2_000 * WAD
    margin.advance(DAY)
    assert absorb_loss_in_margin_fund(margin, 5_000 * WAD) == 1_000 * WAD


def test_profits_before_insurance(profits):
    add_margin_fund_insurance(profits, 1_000 * WAD)
    assert absorb_loss_in_margin_fund(profits, 400 * WAD) == 400 * WAD
    assert profits.read("Fund.insurance_of").amount == 1_000 * WAD
    assert absorb_loss_in_margin_fund(profits, 100 * WAD) == 100 * WAD
    assert profits.read("Fund.insurance_of").amount == 900 * WAD


def test_the_cap(margin):
    with reverts("roles: not admin"):
        margin.do("Fund.set_cap", 1, sender="guardian")
    with reverts("margin_fund: cap bounds"):
        margin.do("Fund.set_cap", 8 * 10**9 + 1, sender="admin")
    margin.do("Fund.set_cap", 8 * 10**9, sender="admin")
    add_margin_fund_insurance(margin, 10 * WAD)
    absorb_loss_in_margin_fund(margin, 5 * WAD)
    margin.do("Fund.set_cap", 4, sender="admin")
    assert margin.read("Fund.cap") == 4
    assert absorb_loss_in_margin_fund(margin, WAD) == 0


def test_more_insurance_than_there_is_stablecoin(margin):
    with reverts("margin_fund: too much insurance"):
        add_margin_fund_insurance(margin, 2**104)
    with reverts("erc20: transfer amount exceeds balance"):
        add_margin_fund_insurance(margin, 2**104 - 1)
    with reverts("erc20: insufficient allowance"):
        margin.do("Fund.insure", 1, sender="stranger")
