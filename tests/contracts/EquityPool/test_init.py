"""The constructor: the valid arguments of a pool of equity."""

import pytest

from tests.support.revert_setter_and_source_helpers import check_contract_creation_refused
from tests.support.saver_steps import DAY, make_equity_pool


@pytest.mark.parametrize("cooldown", [0, 60, 2_303_466], ids=["naive", "least", "most"])
def test_times_within_bounds(staked, cooldown):
    make_equity_pool(staked, "Made", "BSE", "Auction", cooldown=cooldown)
    assert staked.read("Made.COOLDOWN") == cooldown


@pytest.mark.parametrize(
    ("cooldown", "vesting", "reason"),
    [
        (90 * DAY + 1, 7 * DAY, "pool: cooldown bounds"),
        (2_303_467, 7 * DAY, "pool: cooldown too long"),
        (59, 7 * DAY, "pool: short cooldown"),
        (DAY, 3_599, "pool: short vesting"),
        (DAY, 365 * DAY + 1, "pool: long vesting"),
    ],
)
def test_times_out_of_bounds(staked, cooldown, vesting, reason):
    wiring = (staked.address(name) for name in ("BSE", "LossWaterfall", "Auction"))
    arguments = "Staked", "STK", *wiring, cooldown, vesting
    check_contract_creation_refused(staked, "EquityPool", *arguments, reason=reason)


def test_is_wired_and_named(protocol):
    assert protocol.read("StakedEquity.asset") == protocol.address("Equity")
    assert protocol.read("StakedEquity.LOSS_WATERFALL") == protocol.address("LossWaterfall")
    assert protocol.read("StakedEquity.STAGE") == protocol.address("StakeAuction")
    assert protocol.read("StakedEquity.symbol") == "sBSE"
