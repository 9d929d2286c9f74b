"""cancel_loss: the admin takes an announcement back, and its doubt goes with it."""

import pytest

from backstop.model.arithmetic import RAY, WAD
from tests.support.auctions import event
from tests.support.domains import DAY, ROLLUP, announce, doubt
from tests.support.helpers import reverts


def test_all_is_as_before(owing):
    announce(owing, 1_000 * WAD)
    owing.do("Rollup.cancel_loss", sender="admin")
    assert event(owing, "LossAnnounced", "Rollup") == (0, 0)
    assert tuple(owing.read("Rollup.announcement")) == (0, 0)
    assert doubt(owing) == 0
    assert owing.read("PriceFeed.current_price", ROLLUP) == RAY
    owing.advance(DAY)
    with reverts("domain: no loss"):
        owing.do("Rollup.realise_loss", sender="stranger")


@pytest.mark.parametrize("sender", ["stranger", "guardian", "bridge"])
def test_admin_only(owing, sender):
    announce(owing, 1)
    with reverts("roles: not admin"):
        owing.do("Rollup.cancel_loss", sender=sender)
