"""reserve_id, settle_payment, foreclose, unwind_workout: only workouts may call them on the ledger."""

import pytest

from backstop.model.arithmetic import RAY
from tests.support.auction_steps import WETH
from tests.support.revert_setter_and_source_helpers import reverts

CALLS = {
    "reserve_id": (),
    "settle_payment": (WETH, "stranger", 0, 0, 0, "stranger", 0),
    "foreclose": (1, WETH, "stranger", 1, RAY, RAY, "stranger"),
    "unwind_workout": (WETH, "stranger", 1, 1),
}


@pytest.mark.parametrize("method", CALLS)
@pytest.mark.parametrize("sender", ["admin", "stranger", "guardian"])
def test_workouts_only(protocol, method, sender):
    with reverts("collateral_auction: not workouts"):
        protocol.do(f"CollateralAuction.{method}", *CALLS[method], sender=sender)
