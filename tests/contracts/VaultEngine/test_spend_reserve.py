"""spend_reserve: the treasury alone pays out of the reserve, in new stablecoin, never more than is there."""

from dataclasses import replace

import pytest

from backstop.deployment.planned_contracts import plan_deployment
from backstop.deployment.role_accounts import get_account
from backstop.model.arithmetic import RAY, WAD
from backstop.proof.local_protocol import PRICES
from tests.support.revert_setter_and_source_helpers import reverts

CALL = "VaultEngine.spend_reserve"


@pytest.fixture
def spending(new_protocol, monkeypatch):
    """A ledger with a reserve, and an account, `treasurer`, as its treasury."""

    def rewired(*args):
        made = plan_deployment(*args)
        treasury = made.addresses["Treasury"]
        engine = next(each for each in made.creations if each.name == "VaultEngine")
        wired = tuple(get_account("treasurer") if arg == treasury else arg for arg in engine.args)
        creations = (replace(each, args=wired) if each is engine else each for each in made.creations)
        return replace(made, creations=tuple(creations))

    monkeypatch.setattr("backstop.deployment.model_and_chain_deployment.plan_deployment", rewired)
    made = new_protocol()
    # What an account may never do is what the properties of a step are about.
    made.lockstep.step_check = None
    for symbol, price in PRICES.items():
        made.post_price(symbol, price)
    made.earn_fees("XAU")
    return made


@pytest.mark.parametrize("sender", ["stranger", "admin", "guardian"])
def test_only_the_treasury(protocol, sender):
    with reverts("loss_cover: only treasury"):
        protocol.do(CALL, 1, sender, sender=sender)


def test_what_leaves_the_reserve_is_new_stablecoin(spending):
    reserve, supply = spending.read("VaultEngine.reserve"), spending.read("Stablecoin.totalSupply")
    assert reserve > 5 * WAD * RAY
    spending.do(CALL, 5 * WAD, "holder", sender="treasurer")
    assert spending.read("VaultEngine.reserve") == reserve - 5 * WAD * RAY
    assert spending.read("Stablecoin.balanceOf", "holder") == 5 * WAD
    assert spending.read("Stablecoin.totalSupply") == supply + 5 * WAD


def test_all_of_it_but_not_a_wei_more(spending):
    whole = spending.read("VaultEngine.reserve") // RAY
    with reverts("ledger: reserve too small"):
        spending.do(CALL, whole + 1, "holder", sender="treasurer")
    spending.do(CALL, whole, "holder", sender="treasurer")
    assert spending.read("VaultEngine.reserve") < RAY
