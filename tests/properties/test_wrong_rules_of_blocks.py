"""The clock of auctions made wrong, as if on both sides: properties 160 and 161 notice each."""

from dataclasses import replace
from typing import Any

import pytest

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.model.arithmetic import RAY, WAD
from backstop.model.collateral_auction import CollateralAuction
from backstop.proof.properties import (
    CounterfactualSeed,
    PropertyViolationError,
    check_counterfactual_property,
)
from tests.support.auction_steps import WETH, start_auction, take_collateral
from tests.support.model_only_perpetuals_with_properties import ModelOnlyMarket
from tests.support.property_violation_checks import expect_property_violation_on_model

SLOT = 12
QUESTIONS = 40


@pytest.fixture
def counting(new_protocol):
    """Auctions count blocks of 12 seconds; a taker has 40,000."""
    made = new_protocol(replace(build_standard_parameters(), block_time=SLOT), prices=True)
    made.give_stablecoin("taker", 40_000 * WAD)
    return made


def by_seconds(self):
    return self.world.timestamp


def by_two_slots(self):
    return 2 * SLOT * self.world.block_number


def ahead_in_outages(self):
    """Half of the seconds count besides the blocks."""
    return SLOT * self.world.block_number + self.world.timestamp % 86_400 // 2


def outage_and_take(protocol):
    start_auction(protocol)
    protocol.advance(3_600, 0)
    take_collateral(protocol, 1)


def outage_and_reset(protocol):
    start_auction(protocol)
    protocol.advance(8_401, 0)
    protocol.report("WETH", 1_500 * RAY)
    protocol.do("PriceFeed.poke", WETH, sender="stranger")
    protocol.do("CollateralAuction.reset", 1, "stranger", sender="stranger")


def outage_and_close(protocol):
    """The lot is worth next to nothing."""
    start_auction(protocol)
    for _ in range(4):
        protocol.post_price("WETH", RAY // 10)
        protocol.advance(3_600, 0)
    protocol.post_price("WETH", RAY // 10)
    protocol.do("CollateralAuction.close", 1, sender="stranger")


@pytest.mark.parametrize("play", [outage_and_take, outage_and_reset, outage_and_close])
def test_an_outage_that_counts(counting, monkeypatch, play):
    """Those properties that read the record of the auction would notice, too: they are left out."""
    monkeypatch.setattr(CollateralAuction, "_get_block_or_timestamp_seconds", by_seconds)
    monkeypatch.setattr(
        "backstop.proof.properties.collateral_auction_properties._compute_time_by_blocks_or_timestamp",
        lambda step: step.model.timestamp,
    )
    expect_property_violation_on_model(160, counting, play)


def test_the_right_clock(counting):
    start_auction(counting)
    counting.advance(1_800)
    take_collateral(counting, 1, WAD)
    counting.advance(8_400)
    counting.post_price("WETH", 1_500 * RAY)
    counting.do("CollateralAuction.reset", 1, "stranger", sender="stranger")
    counting.advance(600, 20)
    take_collateral(counting, 1, WAD)


def test_blocks_that_count_twice(counting, monkeypatch):
    monkeypatch.setattr(CollateralAuction, "_get_block_or_timestamp_seconds", by_two_slots)
    monkeypatch.setattr(
        "backstop.proof.properties.collateral_auction_properties._compute_time_by_blocks_or_timestamp",
        lambda step: 2 * SLOT * step.model.next_block_number,
    )

    def play(protocol):
        start_auction(protocol)
        protocol.advance(1_800)
        take_collateral(protocol, 1)

    expect_property_violation_on_model(160, counting, play)


def questions(protocol):
    """How many of some questions had a lot to look at; raises PropertyViolationError."""
    both: Any = ModelOnlyMarket(protocol.lockstep.model)
    return sum(
        check_counterfactual_property(both, CounterfactualSeed(161, seed)) for seed in range(QUESTIONS)
    )


def test_a_lot_stands(counting):
    assert questions(counting) == 0
    start_auction(counting)
    assert questions(counting) == QUESTIONS


def test_nothing_to_ask_where_seconds_count(protocol):
    start_auction(protocol)
    assert questions(protocol) == 0


@pytest.mark.parametrize("wrong", [by_seconds, ahead_in_outages])
def test_a_lot_that_falls_without_blocks(counting, monkeypatch, wrong):
    monkeypatch.setattr(CollateralAuction, "_get_block_or_timestamp_seconds", wrong)
    model = counting.lockstep.model
    monkeypatch.setattr(counting.lockstep, "apply", model.apply)
    monkeypatch.setattr(counting.lockstep, "view", model.view)
    monkeypatch.setattr(counting.lockstep, "advance", model.advance)
    start_auction(counting)
    with pytest.raises(PropertyViolationError, match=r"^property 161 "):
        questions(counting)


def test_a_halt_that_stops_the_price(counting, monkeypatch):
    """Halting and nothing else changes what the lot costs."""
    start_auction(counting)
    counting.advance(1_800)
    model = counting.lockstep.model
    feed, right = model.world.contracts["PriceFeed"], CollateralAuction._get_block_or_timestamp_seconds

    def wrong(self):
        return right(self) - 900 * feed.configs[WETH].halted

    monkeypatch.setattr(CollateralAuction, "_get_block_or_timestamp_seconds", wrong)
    with pytest.raises(PropertyViolationError, match=r"^property 161 "):
        questions(counting)
