"""write_off: principal without a lot is given up by the liquidation engine alone."""

import pytest

from backstop.model.arithmetic import RAD
from tests.support.auction_steps import WETH
from tests.support.revert_setter_and_source_helpers import reverts


@pytest.mark.parametrize("sender", ["stranger", "admin", "guardian"])
def test_the_engine_only(protocol, sender):
    with reverts("collateral_auction: not engine"):
        protocol.do("CollateralAuction.write_off", WETH, RAD, sender=sender)
