"""Steps with claims and new equity that break a property are told by its number."""

import pytest

from backstop.model.arithmetic import WAD
from backstop.system import Action
from tests.support.equity_steps import (
    XAU,
    build_equity_parameters,
    call_waterfall_cover_once,
    post_prices_and_fund_people,
    take_from_equity_auction,
)
from tests.support.property_violation_checks import check_last_step, expect_violation
from tests.support.saver_steps import deposit_savings, earn_year_of_high_fees, lose_new_vault


def tables(protocol, contract):
    return protocol.lockstep.model.world.contracts[contract].tables


@pytest.fixture
def repaid(new_protocol):
    """The treasury has just paid the claims of savers, the senior ones, and a part of the juniors'."""
    made = post_prices_and_fund_people(new_protocol(build_equity_parameters("junior", "savings")))
    deposit_savings(made, "junior", 4_000 * WAD, "Junior")
    lose_new_vault(made)
    call_waterfall_cover_once(made)
    earn_year_of_high_fees(made)
    made.do("Treasury.distribute", sender="stranger")
    return made


def test_claims_paid_out_of_their_order(repaid):
    step = check_last_step(repaid)
    series = tables(repaid, "Savings.Claims")["series"]
    series[()] = series[()]._replace(tokens=WAD, outstanding=WAD)
    expect_violation(14, step)


@pytest.mark.parametrize("by", [-1, 1])
def test_claims_that_are_not_what_was_lost(new_protocol, by):
    made = post_prices_and_fund_people(new_protocol(build_equity_parameters("junior", "savings")))
    deposit_savings(made, "junior", 4_000 * WAD, "Junior")
    lose_new_vault(made)
    call_waterfall_cover_once(made)
    step = check_last_step(made)
    series = tables(made, "Junior.Claims")["series"]
    series[()] = series[()]._replace(outstanding=series[()].outstanding + by)
    expect_violation(14, step)


def test_tokens_paid_more_than_came_in(repaid):
    step = check_last_step(repaid)
    tables(repaid, "Savings.Claims")["paid_per_token"][0] += 10**27
    expect_violation(14, step)


@pytest.fixture
def selling(new_protocol):
    """New equity is under auction, under a cap of 1,000 tokens."""
    made = post_prices_and_fund_people(
        new_protocol(build_equity_parameters("minted_equity", "savings", mint_cap=1_000))
    )
    lose_new_vault(made)
    call_waterfall_cover_once(made)
    return made


def test_equity_over_its_cap(selling):
    step = check_last_step(selling)
    issue = tables(selling, "Equity")["issue"]
    issue[()] = issue[()]._replace(mint_cap=issue[()].booked // WAD - 1)
    expect_violation(15, step)


def test_equity_under_auction_that_is_not_booked(selling):
    step = check_last_step(selling)
    issue = tables(selling, "Equity")["issue"]
    issue[()] = issue[()]._replace(booked=issue[()].booked - 1)
    expect_violation(15, step)


def test_equity_out_of_nothing(selling):
    take_from_equity_auction(selling, 10 * WAD)
    step = check_last_step(selling)
    tables(selling, "Equity")["erc20.totalSupply"][()] += 1
    expect_violation(15, step)


@pytest.mark.parametrize(
    ("contract", "method"),
    [("Junior", "absorb"), ("Junior.Claims", "record"), ("MintAuction", "absorb"), ("Equity", "mint")],
)
def test_doors_of_pools_and_equity(selling, contract, method):
    who = selling.address("stranger")
    expect_violation(18, check_last_step(selling)._replace(action=Action(contract, method, (XAU, 1), who)))
