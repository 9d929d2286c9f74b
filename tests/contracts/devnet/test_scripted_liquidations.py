"""ScriptedLiquidations: one sale by the script, which burns the buyer's coins."""

import pytest

from backstop.deployment.role_accounts import get_account
from backstop.model.arithmetic import WAD
from backstop.system import Action
from tests.support.scripted_pool import deploy_scripted_pool

ENGINE = "ScriptedLiquidations"
BUYER, RECEIVER = get_account("buyer"), get_account("receiver")


@pytest.fixture
def engine(new_host, artifacts):
    """An engine with 5 of collateral, and a buyer with 100 coins."""
    both = deploy_scripted_pool(new_host(), artifacts)
    both.apply(Action("Token", "mint", (both.addresses[ENGINE], 5 * WAD), BUYER))
    both.apply(Action(ENGINE, "mint_coins", (BUYER, 100 * WAD), BUYER))
    return both


def buy(both, max_collateral, max_repay):
    args = 0, BUYER, max_collateral, max_repay, 0, RECEIVER, b""
    return both.apply(Action(ENGINE, "liquidate_and_buy", args, BUYER))


def test_sells_what_is_set_once(engine):
    engine.apply(Action(ENGINE, "set_sale", (3 * WAD, 40 * WAD), BUYER))
    assert buy(engine, 3 * WAD, 40 * WAD).value == (3 * WAD, 40 * WAD)
    assert engine.view("Token", "balanceOf", RECEIVER) == 3 * WAD
    assert (
        engine.view("Stablecoin", "balanceOf", BUYER) == 60 * WAD == engine.view("Stablecoin", "totalSupply")
    )
    assert buy(engine, 3 * WAD, 40 * WAD).reason == "scripted_liquidations: no sale"


@pytest.mark.parametrize("limits", [(3 * WAD - 1, 40 * WAD), (3 * WAD, 40 * WAD - 1)])
def test_sells_nothing_beyond_a_limit(engine, limits):
    engine.apply(Action(ENGINE, "set_sale", (3 * WAD, 40 * WAD), BUYER))
    assert buy(engine, *limits).reason == "scripted_liquidations: too much"
