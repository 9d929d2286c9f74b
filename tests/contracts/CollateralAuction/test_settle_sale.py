"""settle_sale: a sale is booked for the liquidation engine alone; its tests have the rest."""

import pytest

from backstop.model.arithmetic import RAD, WAD
from tests.support.auction_steps import WETH
from tests.support.revert_setter_and_source_helpers import reverts


@pytest.mark.parametrize("sender", ["stranger", "admin", "guardian"])
def test_the_engine_only(protocol, sender):
    args = (WETH, "borrower", "buyer", WAD, WAD, RAD, 0, "buyer", b"")
    with reverts("collateral_auction: not engine"):
        protocol.do("CollateralAuction.settle_sale", *args, sender=sender)
