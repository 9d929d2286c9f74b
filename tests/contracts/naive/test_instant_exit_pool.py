"""InstantExitPool: leavers between a loss and its coverage get book value; stayers bear all of it."""

from dataclasses import replace

import pytest

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.parameter_dataclasses import PoolParameters
from backstop.deployment.planned_contracts import plan_deployment
from backstop.errors import BackstopError
from backstop.model.arithmetic import RAY, WAD
from tests.support.no_fee_deployments import build_uncapped_stages, deploy_without_fees
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import XAU, deposit_savings, lose_new_vault, pool_arguments

HELD = 50_000 * WAD
NAIVE = PoolParameters(cooldown=0, contract="InstantExitPool")
PLAIN = PoolParameters(cooldown=0)


def lost(new_protocol, terms):
    """Two savers with as much each, and a known loss of more than half of it, uncovered yet."""
    protocol = deploy_without_fees(new_protocol, stages=build_uncapped_stages("savings"), savings=terms)
    for who in ("leaver", "stayer"):
        deposit_savings(protocol, who, HELD)
    assert lose_new_vault(protocol, debt=60_000 * WAD) >= 60_000 * RAY * WAD
    return protocol


@pytest.fixture
def pool(new_protocol):
    return lost(new_protocol, NAIVE)


def leave(protocol):
    """Return the leaver's payment for all shares, and then the stayer's once the loss is covered [wad]."""
    paid = []
    for who in ("leaver", "stayer"):
        shares = protocol.read("Savings.balanceOf", who)
        paid.append(protocol.do("Savings.redeem", shares, who, who, sender=who) if shares else 0)
        if who == "leaver":
            protocol.do("LossWaterfall.cover", XAU, sender="stranger")
    return paid


def test_who_leaves_before_the_cover_loses_nothing(pool):
    assert pool.read("Savings.pending_losses") == 0
    leaver, stayer = leave(pool)
    assert (leaver, stayer) == (HELD, 0)


def test_in_ours_both_bear_alike_even_without_a_cooldown(new_protocol):
    leaver, stayer = leave(lost(new_protocol, PLAIN))
    assert HELD - leaver > 0 and abs(leaver - stayer) <= 10


def test_assets_are_taken_out_at_book_value(pool):
    shares = pool.read("Savings.balanceOf", "leaver")
    assert pool.read("Savings.maxWithdraw", "leaver") == pool.read("Savings.previewRedeem", shares) == HELD
    with reverts("shares: balance too small"):
        pool.do("Savings.withdraw", HELD + 1, "leaver", "leaver", sender="leaver")
    with reverts("shares: balance too small"):
        pool.do("Savings.redeem", shares + 1, "leaver", "leaver", sender="leaver")
    third = HELD // 3
    burned = pool.read("Savings.previewWithdraw", third)
    assert pool.do("Savings.withdraw", third, "leaver", "leaver", sender="leaver") == burned
    assert pool.read("Stablecoin.balanceOf", "leaver") == third


@pytest.mark.parametrize(
    ("others", "reason"),
    [
        ({"cooldown": 86_400}, "instant_exit: no cooldown"),
    ],
)
def test_what_it_cannot_be(protocol, others, reason):
    arguments = pool_arguments(protocol, **others)
    with pytest.raises(BackstopError, match=reason):
        protocol.lockstep.create_contract("InstantExitPool", "Made", *arguments)


def test_no_other_contract_stands_for_a_pool():
    parameters = replace(build_standard_parameters(), savings=replace(NAIVE, contract="CalendarCapWaterfall"))
    with pytest.raises(BackstopError) as caught:
        plan_deployment(parameters)
    assert (
        str(caught.value) == "CalendarCapWaterfall cannot replace Pool; expected one of Pool, InstantExitPool"
    )
