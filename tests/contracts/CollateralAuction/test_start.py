"""start: the liquidation engine hands over a lot and a principal; the tests check the auction's target."""

from dataclasses import replace

import pytest

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.model.arithmetic import RAY, WAD
from backstop.proof.local_protocol import PRICES
from tests.support.auction_steps import (
    WETH,
    get_only_event_values,
    liquidate_vault,
    read_stablecoins,
    start_auction,
)
from tests.support.revert_setter_and_source_helpers import reverts


@pytest.mark.parametrize("sender", ["stranger", "admin", "guardian"])
def test_nobody_else_may_call(protocol, sender):
    with reverts("collateral_auction: not engine"):
        protocol.do("CollateralAuction.start", WETH, "borrower", WAD, RAY, RAY, sender=sender)


def test_starts_above_the_market_price(protocol):
    id = start_auction(protocol)
    auction = protocol.read("CollateralAuction.auction_of", id)
    assert auction.top == 1_800 * RAY
    assert auction.started_at == protocol.timestamp
    assert protocol.read("CollateralAuction.status", id)[:3] == (False, 1_800 * RAY, 10 * WAD)


def test_the_target_is_the_principal_and_the_penalty(protocol):
    id = start_auction(protocol)
    auction = protocol.read("CollateralAuction.auction_of", id)
    penalty = auction.principal * 13 // 100 // 10**39 * 10**39
    # In whole wei, rounded up.
    assert auction.target == (-(-auction.principal // RAY)) * RAY + penalty
    log = get_only_event_values(protocol, "AuctionStarted")
    assert log == (
        id,
        WETH,
        protocol.address("borrower"),
        10 * WAD,
        auction.top,
        auction.target,
        auction.principal,
    )


def test_ids_count_up(protocol):
    assert protocol.read("CollateralAuction.last_id") == 0
    for id, who in enumerate(("borrower", "saver", "stranger"), 1):
        assert start_auction(protocol, who) == id
        assert protocol.read("CollateralAuction.last_id") == id


@pytest.mark.parametrize("level", [1, 2])
def test_stopped(protocol, level):
    protocol.do("CollateralAuction.set_stop", WETH, level, sender="admin")
    with reverts("collateral_auction: no starts"):
        start_auction(protocol)
    protocol.do("CollateralAuction.set_stop", WETH, 0, sender="admin")
    liquidate_vault(protocol)


def test_the_reward_never_exceeds_the_penalty(protocol):
    protocol.do("CollateralAuction.set_penalty", WETH, 10_001, sender="admin")
    id = start_auction(protocol)
    auction = protocol.read("CollateralAuction.auction_of", id)
    assert read_stablecoins(protocol, "liquidator") == (auction.target - auction.principal) // RAY
    assert auction.reward_budget == 0


def test_no_penalty_no_reward(protocol):
    protocol.do("CollateralAuction.set_penalty", WETH, 10_000, sender="admin")
    start_auction(protocol)
    assert read_stablecoins(protocol, "liquidator") == 0


def test_rewards_come_out_of_the_penalty(protocol):
    id = start_auction(protocol)
    auction = protocol.read("CollateralAuction.auction_of", id)
    penalty = auction.target - auction.principal
    assert auction.reward_budget == penalty // 10**39 * 10**12 - read_stablecoins(protocol, "liquidator")


def test_a_top_beyond_the_highest_price_is_cut(protocol):
    """A start never fails because the price is high."""
    highest = 2**112 - 1
    protocol.do("CollateralAuction.set_buf", WETH, 60_000, sender="admin")
    protocol.post_price("WETH", highest // 2)
    protocol.borrow("borrower", "WETH", WAD // 100, 12_000 * WAD)
    protocol.post_price("WETH", highest // 5)
    assert protocol.read("CollateralAuction.auction_of", liquidate_vault(protocol)).top == highest


def test_a_penalty_beyond_its_field_is_cut(new_protocol):
    """2**48 millionths are 281 million: a larger penalty shrinks to that, the principal stays whole."""
    weth = replace(
        build_standard_parameters().collateral_types[WETH],
        debt_ceiling=1_000_000_000,
        auction_limit=1_000_000_000,
        stability_fee=0,
        liquidation_ratio=20_001,
        initial_ratio=20_001,
        auction=replace(build_standard_parameters().collateral_types[WETH].auction, penalty=20_000),
    )
    parameters = replace(
        build_standard_parameters(),
        collateral_types=(weth,),
        global_debt_ceiling=2_000_000_000,
        global_auction_limit=2_000_000_000,
    )
    protocol = new_protocol(parameters)
    protocol.post_price("WETH", PRICES["WETH"])
    protocol.borrow("borrower", "WETH", 700_000 * WAD, 600_000_000 * WAD)
    protocol.post_price("WETH", 1_500 * RAY)
    auction = protocol.read("CollateralAuction.auction_of", liquidate_vault(protocol))
    assert auction.principal == 600_000_000 * WAD * RAY
    assert auction.target - auction.principal == (2**48 - 1) * 10**39
