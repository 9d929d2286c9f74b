"""cancel_loss: the admin takes an announcement back, and its doubt goes with it."""

import pytest

from backstop.model.arithmetic import RAY, WAD
from tests.support.auction_steps import get_only_event_values
from tests.support.facilitator_steps import DAY, ROLLUP, announce_loss, read_bridge_debt_at_risk
from tests.support.revert_setter_and_source_helpers import reverts


def test_all_is_as_before(owing):
    announce_loss(owing, 1_000 * WAD)
    owing.do("Rollup.cancel_loss", sender="admin")
    assert get_only_event_values(owing, "LossAnnounced", "Rollup") == (0, 0)
    assert tuple(owing.read("Rollup.announcement")) == (0, 0)
    assert read_bridge_debt_at_risk(owing) == 0
    assert owing.read("PriceFeed.current_price", ROLLUP) == RAY
    owing.advance(DAY)
    with reverts("facilitator: no loss"):
        owing.do("Rollup.realise_loss", sender="stranger")


@pytest.mark.parametrize("sender", ["stranger", "guardian", "bridge"])
def test_admin_only(owing, sender):
    announce_loss(owing, 1)
    with reverts("roles: not admin"):
        owing.do("Rollup.cancel_loss", sender=sender)
