"""absorb, capacity, pools: unvested income pays for losses, pool after pool."""

import pytest

from backstop.model.arithmetic import RAD, RAY, WAD
from tests.support.revert_setter_and_source_helpers import STAGE, reverts
from tests.support.saver_steps import XAU, lose_new_vault


def charge(protocol, amount):
    return protocol.do("Waterfall.charge", "Clawback", XAU, amount, sender="stranger")


@pytest.mark.parametrize("sender", ["stranger", "admin"])
def test_only_the_waterfall_may_call(earning, sender):
    with reverts("clawback: not loss waterfall"):
        earning.do("Clawback.absorb", XAU, RAD, sender=sender)


def test_has_what_has_not_vested_whatever_the_type(earning):
    for c in range(3):
        assert earning.read("Clawback.capacity", c) == 660 * RAD
    earning.advance(6 * 86_400)
    assert earning.read("Clawback.capacity", 0) == 0


def test_the_first_pool_pays_first(earning):
    lose_new_vault(earning)
    held = earning.read("Clawback.capacity", XAU)
    first = earning.read("First.unvested")
    assert charge(earning, RAD) == (RAD, 0)
    assert earning.read("First.unvested") == first - WAD
    assert earning.read("Clawback.capacity", XAU) == held - RAD


def test_then_the_next_up_to_all_there_is(earning):
    lose_new_vault(earning)
    first, second = earning.read("First.unvested"), earning.read("Second.unvested")
    assert charge(earning, first * RAY + RAY + 1) == (first * RAY + RAY + 1, 0)
    assert earning.read("First.unvested") == 0
    assert earning.read("Second.unvested") == second - 2
    rest = (second - 2) * RAY
    assert charge(earning, 10 * rest) == (rest, 0)
    assert charge(earning, RAD) == (0, 0)


def test_covers_the_deficit(earning):
    lost = lose_new_vault(earning)
    paid, _ = charge(earning, 10**60)
    assert earning.read("VaultEngine.deficit_of", XAU) == lost - paid


def test_a_pool_that_fails_is_passed_over(earning):
    """The next stage pays in its place, and withdrawals are not blocked."""
    lose_new_vault(earning)
    second = earning.read("Second.unvested")
    earning.do("VaultEngine.revoke_role", STAGE, "First", sender="admin")
    first = earning.read("First.unvested")
    assert charge(earning, RAD) == (RAD, 0)
    assert earning.read("First.unvested") == first
    assert earning.read("Second.unvested") == second - WAD


def test_a_pool_that_is_none_has_nothing(protocol):
    engine, waterfall = protocol.address("VaultEngine"), protocol.address("LossWaterfall")
    pools = protocol.address("stranger"), engine
    protocol.lockstep.create_contract("ClawbackStage", "Clawback", engine, waterfall, pools)
    assert protocol.read("Clawback.capacity", 0) == 0


def test_names_its_pools(earning):
    assert earning.read("Clawback.pools") == (earning.address("First"), earning.address("Second"))
    assert earning.read("Clawback.LOSS_WATERFALL") == earning.address("Waterfall")


def test_without_pools_it_has_nothing(protocol):
    engine, waterfall = protocol.address("VaultEngine"), protocol.address("LossWaterfall")
    protocol.lockstep.create_contract("ClawbackStage", "Clawback", engine, waterfall, ())
    assert protocol.read("Clawback.capacity", 0) == 0
