"""move_to_workout: a vault's collateral and debt go to workouts, and to no other contract."""

import pytest

from tests.support.auction_steps import WETH
from tests.support.revert_setter_and_source_helpers import reverts


@pytest.mark.parametrize("sender", ["admin", "stranger", "borrower"])
def test_workouts_only(protocol, sender):
    with reverts("liquidation_engine: not workouts"):
        protocol.do("LiquidationEngine.move_to_workout", WETH, "borrower", 0, 0, sender=sender)
