"""set_limit: by the admin, within bounds; existing positions stay."""

import pytest

from tests.support.perpetual_test_market import BTC, ETH
from tests.support.revert_setter_and_source_helpers import reverts


def test_the_admin_only(pool):
    with reverts("roles: not admin"):
        pool.do("set_limit", ETH, 1, sender="keeper")
    pool.do("set_limit", ETH, 1, sender="admin")
    assert pool.read("limit", ETH) == 1 and pool.read("limit", BTC) == 100_000


@pytest.mark.parametrize(("limit", "fits"), [(8 * 10**9, True), (8 * 10**9 + 1, False)])
def test_bounds(pool, limit, fits):
    if not fits:
        with reverts("liquidity_vault: limit bounds"):
            pool.do("set_limit", ETH, limit, sender="admin")
    else:
        pool.do("set_limit", ETH, limit, sender="admin")
        assert pool.read("limit", ETH) == limit


def test_what_it_holds_stays(offered):
    offered.take_unassigned_lots(100)
    offered.do("set_limit", ETH, 0, sender="admin")
    assert offered.read_pool_position_size() == 100 and offered.read("room", ETH) == 0
