"""Treasuries in the states that the tests of their functions start from."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backstop.deployment.planned_contracts import plan_deployment
from backstop.deployment.role_accounts import get_account
from backstop.model.arithmetic import WAD
from tests.support.equity_steps import XAU, build_equity_parameters, post_prices_and_fund_people
from tests.support.saver_steps import deposit_savings, earn_year_of_high_fees, lose_new_vault


def filled(protocol):
    made = post_prices_and_fund_people(protocol)
    earn_year_of_high_fees(made)
    made.do("Treasury.set_target", 1_000, sender="admin")
    return made


@pytest.fixture
def treasury(new_protocol):
    """A reserve of thousands over a target of 1,000; savers get a quarter of new surplus."""
    return filled(new_protocol(build_equity_parameters("buffer", "savings")))


@pytest.fixture
def offering(treasury):
    """The same, with all of the surplus for sale."""
    treasury.do("Treasury.set_shares", (0,), sender="admin")
    treasury.do("Treasury.distribute", sender="stranger")
    return treasury


@pytest.fixture
def selling(new_protocol, monkeypatch):
    """The same, sold by `seller` in place of the surplus auction."""

    def rewired(*args):
        made = plan_deployment(*args)
        creations = tuple(
            replace(each, args=(*each.args[:3], get_account("seller"), *each.args[4:]))
            if each.name == "Treasury"
            else each
            for each in made.creations
        )
        return replace(made, creations=creations)

    monkeypatch.setattr("backstop.deployment.model_and_chain_deployment.plan_deployment", rewired)
    made = filled(new_protocol(build_equity_parameters("buffer", "savings")))
    made.do("Treasury.set_shares", (0,), sender="admin")
    made.do("Treasury.distribute", sender="stranger")
    # The door is the auction's everywhere else.
    made.lockstep.step_check = None
    return made


@pytest.fixture
def claimants(new_protocol):
    """Juniors bore 4,000 of a loss and savers 6,000; the reserve holds thousands, its target is 1,000."""
    made = post_prices_and_fund_people(new_protocol(build_equity_parameters("junior", "savings")))
    deposit_savings(made, "junior", 4_000 * WAD, "Junior")
    lose_new_vault(made)
    made.do("LossWaterfall.cover", XAU, sender="stranger")
    earn_year_of_high_fees(made)
    made.do("Treasury.set_target", 1_000, sender="admin")
    made.do("Treasury.set_shares", (0, 2_500), sender="admin")
    return made
