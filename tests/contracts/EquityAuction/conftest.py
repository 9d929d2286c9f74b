"""Auctions of equity in the states that the tests of their functions start from."""

from __future__ import annotations

import pytest

from backstop.model.arithmetic import RAY, WAD
from tests.support.equity_steps import (
    build_equity_parameters,
    call_waterfall_cover_once,
    post_prices_and_fund_people,
    report_equity,
)
from tests.support.saver_steps import lose_new_vault


@pytest.fixture
def priced(new_protocol):
    """New equity is the first stage, savers are the second; equity is at 100, 10,000 may be minted."""
    return post_prices_and_fund_people(
        new_protocol(build_equity_parameters("minted_equity", "savings", mint_cap=10_000))
    )


@pytest.fixture
def losing(priced):
    """The same with a deficit of about 10,000; equity has been reported again."""
    lose_new_vault(priced)
    report_equity(priced, 100 * RAY)
    return priced


@pytest.fixture
def auction(losing):
    """The same with the whole deficit but dust under auction."""
    call_waterfall_cover_once(losing)
    return losing


@pytest.fixture
def scarce(new_protocol):
    """A loss of which the equity that may be minted pays but 4,000 (50 at a floor of 80)."""
    made = post_prices_and_fund_people(
        new_protocol(build_equity_parameters("minted_equity", "savings", mint_cap=50))
    )
    lose_new_vault(made)
    assert made.read("VaultEngine.deficit_of", 2) > 10_000 * WAD * RAY
    report_equity(made, 100 * RAY)
    return made


@pytest.fixture
def staked(new_protocol):
    """Staked equity (500, of two members) is the first stage; savers are the second; equity is at 100."""
    made = post_prices_and_fund_people(
        new_protocol(build_equity_parameters("staked_equity", "savings", supply=10_000))
    )
    for who, amount in (("staker", 300 * WAD), ("another", 200 * WAD)):
        made.do("Equity.transfer", who, amount, sender="admin")
        made.do("Equity.approve", "StakedEquity", amount, sender=who)
        made.do("StakedEquity.deposit", amount, who, sender=who)
    return made


@pytest.fixture
def slashed(staked):
    """The same with a deficit of about 10,000 under auction."""
    lose_new_vault(staked)
    report_equity(staked, 100 * RAY)
    call_waterfall_cover_once(staked)
    return staked
