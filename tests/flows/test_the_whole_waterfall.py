"""A loss that goes through every stage in order, and the income that pays it back in the other order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.parameter_dataclasses import (
    EquityParameters,
    PoolParameters,
    StageParameters,
    TreasuryParameters,
)
from backstop.model.arithmetic import MAX_UINT256, RAD, RAY, WAD
from tests.support.equity_steps import (
    call_waterfall_cover_once,
    post_prices_and_fund_people,
    read_last_call_events,
    take_from_equity_auction,
)
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import (
    XAU,
    deposit_savings,
    earn_year_of_high_fees,
    give_stablecoin,
    lose_new_vault,
)

ORDER = (
    "buffer", "reserve", "clawback", "junior", "staked_equity", "senior", "minted_equity", "savings",
)  # fmt: skip
PLACE = {name: k for k, name in enumerate(ORDER)}
DAY = 86_400


@pytest.fixture
def protocol(new_protocol):
    """Members of every pool, income that has not vested, and a loss of 100,000."""
    stages = [StageParameters(name) for name in ORDER]
    stages[PLACE["savings"]] = StageParameters("savings", cap_bps=5_000)
    parameters = replace(
        build_standard_parameters(),
        epoch_length=365 * DAY,
        stages=tuple(stages),
        # Floor 50, top 120 at a price of 100; 60 of new equity raise 3,000 at the floor.
        equity=EquityParameters(mint_cap=60, surplus_lot=100),
        treasury=TreasuryParameters(target=1_000),
        savings=PoolParameters(income_share=5_000),
    )
    made = post_prices_and_fund_people(new_protocol(parameters))
    for pool in ("Junior", "Senior"):
        deposit_savings(made, "member", 10_000 * WAD, pool)
    made.do("Equity.transfer", "staker", 200 * WAD, sender="admin")
    made.do("Equity.approve", "StakedEquity", MAX_UINT256, sender="staker")
    made.do("StakedEquity.deposit", 200 * WAD, "staker", sender="staker")
    give_stablecoin(made, "sponsor", 2_000 * WAD)
    earn_year_of_high_fees(made)
    made.do("VaultEngine.set_stability_fee", XAU, 0, sender="admin")
    lose_new_vault(made, debt=100_000 * WAD)
    made.do("Stablecoin.approve", "Savings", MAX_UINT256, sender="sponsor")
    made.do("Savings.add_income", 2_000 * WAD, sender="sponsor")
    return made


def paid(protocol) -> dict[str, int]:
    """Return each stage's payments for the event so far [rad]."""
    epoch = protocol.read("LossWaterfall.last_epoch", XAU)
    return {
        name: protocol.read("LossWaterfall.covered", XAU, epoch, k)
        for name, k in PLACE.items()
        if protocol.read("LossWaterfall.covered", XAU, epoch, k)
    }


def deficit(protocol) -> int:
    return protocol.read("VaultEngine.deficit_of", XAU)


def test_every_stage_in_order_and_income_in_reverse(protocol):
    # First loss: what is there at once, up to staked equity, which takes its time.
    call_waterfall_cover_once(protocol)
    at_once = paid(protocol)
    assert list(at_once) == ["buffer", "reserve", "clawback", "junior"]
    assert at_once["clawback"] == 2_000 * RAD
    assert at_once["junior"] == 10_000 * RAD
    reserved = protocol.read("LossWaterfall.reserved", XAU, PLACE["staked_equity"])
    assert reserved == 200 * 50 * RAD  # all stake, at the floor
    assert call_waterfall_cover_once(protocol) == 0  # Senior waits

    # Half of the stake is sold well above the floor; the deadline passes; the rest returns.
    take_from_equity_auction(protocol, 50 * WAD, auction="StakeAuction")
    sold = paid(protocol)["staked_equity"]
    assert sold == 50 * 120 * RAD
    with reverts("equity_auction: still open"):
        protocol.do("StakeAuction.end", XAU, sender="stranger")
    protocol.advance(2 * DAY + 1)
    protocol.do("StakeAuction.end", XAU, sender="stranger")
    assert protocol.read("StakedEquity.totalAssets") == 150 * WAD

    # It counts as capped now: Senior pays, then new equity is sold, then nobody until it is.
    call_waterfall_cover_once(protocol)
    assert paid(protocol)["senior"] == 10_000 * RAD
    assert protocol.read("LossWaterfall.reserved", XAU, PLACE["minted_equity"]) == 60 * 50 * RAD
    assert "savings" not in paid(protocol)
    before = protocol.read("Equity.totalSupply")
    take_from_equity_auction(protocol, auction="MintAuction")
    assert paid(protocol)["minted_equity"] == 3_000 * RAD
    assert protocol.read("Equity.totalSupply") - before == 25 * WAD  # at 120 each
    assert protocol.read("Equity.mintable") == 35 * WAD

    # What is left of the cap is sold as well, at a deadline nobody comes; then savers bear half.
    call_waterfall_cover_once(protocol)
    protocol.advance(2 * DAY + 1)
    protocol.do("MintAuction.end", XAU, sender="stranger")
    saved = protocol.read("Savings.totalAssets")
    call_waterfall_cover_once(protocol)
    assert paid(protocol)["savings"] == saved // 2 * RAY
    left = deficit(protocol)
    assert left > 0  # outstanding
    assert call_waterfall_cover_once(protocol) == 0

    # Income: the outstanding loss first, then claims, the most senior first.
    with reverts("loss_waterfall: losses pending"):
        protocol.do("Treasury.distribute", sender="stranger")
    owed = {pool: protocol.read(f"{pool}.Claims.outstanding") for pool in ("Savings", "Senior", "Junior")}
    assert all(0 < owed[pool] <= paid(protocol)[pool.lower()] // RAY for pool in owed)
    protocol.post_price("XAU", 2_500 * RAY)
    while protocol.read("VaultEngine.reserve") + protocol.read("VaultEngine.buffer_of", XAU) < left:
        earn_year_of_high_fees(protocol)
    call_waterfall_cover_once(protocol)
    assert deficit(protocol) == 0 == protocol.read("LossWaterfall.pending_total")
    repaid: list[str] = []
    while "Junior.Claims" not in repaid:
        protocol.do("Treasury.distribute", sender="stranger")
        address_of = {protocol.address(f"{pool}.Claims"): f"{pool}.Claims" for pool in owed}
        repaid += [
            address_of[claims] for claims, _ in read_last_call_events(protocol, "ClaimsRepaid", "Treasury")
        ]
        for claims in repaid[:-1]:
            assert protocol.read(f"{claims}.outstanding") == 0  # before the next was paid
        earn_year_of_high_fees(protocol)
    assert sorted(set(repaid), key=repaid.index) == ["Savings.Claims", "Senior.Claims", "Junior.Claims"]
    while protocol.read("Junior.Claims.outstanding"):
        protocol.do("Treasury.distribute", sender="stranger")
        earn_year_of_high_fees(protocol)

    # Whoever bore a loss is whole again, but for rounding (a wei for 1e27 shares), and never more than that.
    for pool, lost in owed.items():
        who = "saver" if pool == "Savings" else "member"
        protocol.do(f"{pool}.collect_claims", who, sender="stranger")
        generation = 0
        cash = protocol.do(f"{pool}.Claims.collect", who, generation, sender="stranger")
        assert lost - 100 <= cash <= lost

    # Then the pools' share of the surplus, and the rest for equity, which is burned.
    earn_year_of_high_fees(protocol)
    protocol.do("Treasury.distribute", sender="stranger")
    assert protocol.read("Savings.unvested") > 0
    assert protocol.read("Treasury.for_sale") >= 100 * WAD
