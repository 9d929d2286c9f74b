"""The outcome of a call in words, and the price under which a vault becomes unsafe."""

from __future__ import annotations

import json
from typing import Any

import pytest

from backstop.contract_base import Log
from backstop.live.monitor.call_descriptions import (
    DefaultNames,
    compute_call_gain_before_gas,
    describe_call,
    describe_event_kind_and_text,
)
from backstop.model.arithmetic import RAD, RAY, WAD
from backstop.simulation.run_directory import Run, load_run
from backstop.simulation.scenario import load_scenario
from backstop.simulation.simulator import simulate
from backstop.system import Outcome
from tests.support.checkout_paths import DATA

OWNER = "0x" + "ab" * 20
PAID = 30_000 * WAD, 38_000 * RAD
TYPES, AUCTIONS = DefaultNames({0: "ETH"}, "collateral"), DefaultNames({7: "ETH"}, "collateral")


def said(*logs: tuple[str, str, tuple[object, ...]]) -> str:
    return describe_call(Outcome(None, None, tuple(Log(*log) for log in logs)), TYPES, AUCTIONS)


def test_a_purchase_says_what_was_taken_at_what_price_and_what_it_earned() -> None:
    paid = 4_650 * WAD // 1_000 * 113
    taken = ("CollateralAuction", "Taken", (7, OWNER, 4_650 * WAD // 1_000, paid, 0))
    assert said(taken) == "took 4.65 ETH at 113 of auction 7"
    earned = ("FlashTaker", "FlashTaken", (7, OWNER, 31 * WAD))
    assert said(taken, earned) == "took 4.65 ETH at 113 of auction 7, earned 31"
    # An auction of before it looked has no name yet, and dust has no price.
    assert said(("CollateralAuction", "Taken", (8, OWNER, 0, 0, 0))) == "took 0 collateral of auction 8"


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (
            ("LiquidationEngine", "Liquidated", (7, 0, OWNER, 300 * WAD, 38_000 * RAD, 12 * WAD)),
            "liquidated 0xabababab…: 300 ETH for a debt of 38.0k, auction 7, rewarded 12",
        ),
        (("CollateralAuction", "AuctionReset", (7, 110 * RAY, 0)), "started auction 7 again at 110"),
        (("CollateralAuction", "AuctionEnded", (7, 0, OWNER, 0)), "which ended auction 7"),
        (
            ("CollateralAuction", "AuctionClosed", (7, 0, 500 * RAD, 0)),
            "closed auction 7 with 500 not raised",
        ),
        (("LiquidationEngine", "MarginCalled", (0, OWNER, 0, 0)), "called 0xabababab…, which has ETH"),
        (
            ("LiquidationEngine", "CollateralSold", (0, OWNER, OWNER, 303 * WAD, 3 * WAD, *PAID)),
            "bought 300 ETH at 100 from the vault of 0xabababab… for a debt of 38.0k, 8.00k of it not repaid",
        ),
        (
            ("LiquidationEngine", "CollateralSold", (0, OWNER, OWNER, 3 * WAD, 0, 300 * WAD, 299 * RAD)),
            "bought 3 ETH at 100 from the vault of 0xabababab… for a debt of 299",
        ),
        (("LiquidationEngine", "MechanismSet", (0, OWNER)), "set 0xabababab… to sell unsafe vaults of ETH"),
        (("StabilityPool.ETH", "EntriesAdmitted", (30 * WAD,)), "admitted 30 to a stability pool"),
        (("LossWaterfall", "LossRecognised", (0, 1, 500 * RAD)), "500 of bad debt of ETH recognised"),
        (("LossWaterfall", "LossCovered", (3, 1, 0, 500 * RAD)), "500 of bad debt of collateral paid"),
        (("ETH", "Transfer", (OWNER, OWNER, 1)), ""),
    ],
)
def test_an_event_in_words(log: tuple[str, str, tuple[object, ...]], words: str) -> None:
    assert said(log) == words


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("told")
    simulate(load_scenario(DATA / "runs" / "small.yaml"), "model", out=out)
    return load_run(out)


def outcome_of(run: Run, step: int) -> Outcome:
    rows = run.frames["events"][run.frames["events"]["step"] == step].to_dict("records")
    return Outcome(None, None, tuple(Log(row["contract"], row["event"], _values(row)) for row in rows))


def _values(row: dict[Any, Any]) -> tuple[Any, ...]:
    """Values as a mirror has them: long integers are strings in the table."""
    found = json.loads(str(row["values"]))
    return tuple(int(each) if isinstance(each, str) and each.isdigit() else each for each in found)


def test_every_call_of_a_day_that_sold_or_lost_something_is_in_words(run: Run) -> None:
    """No event that the words are made of has other values than the words expect."""
    symbols = DefaultNames(dict(enumerate(each["symbol"] for each in run.summary["collateral_types"])), "?")
    auctions = run.frames["auctions"].to_dict("records")
    sold = DefaultNames({int(row["auction_id"]): str(row["symbol"]) for row in auctions}, "?")
    takes = run.frames["takes"]
    for step in sorted(set(takes["step"])):
        words = describe_call(outcome_of(run, step), symbols, sold)
        own = takes[takes["step"] == step]
        assert words.count("took ") == len(own) and "?" not in words
        for take in own.to_dict("records"):
            assert f"{take['symbol']} at " in words and f"auction {take['auction_id']}" in words
    actions = run.frames["actions"]
    for step in actions[(actions["method"] == "liquidate") & actions["ok"]]["step"]:
        assert "liquidated 0x" in describe_call(outcome_of(run, step), symbols, sold)


def test_a_sale_at_a_discount_earns_what_the_collateral_is_worth_beyond_what_was_paid() -> None:
    sale = Log("LiquidationEngine", "CollateralSold", (0, OWNER, OWNER, 303 * WAD, 3 * WAD, *PAID))
    outcome = Outcome(None, None, (sale,))
    assert compute_call_gain_before_gas(outcome, {}, {0: 105 * RAY}) == 1_500 * WAD
    assert compute_call_gain_before_gas(outcome, {}, {}) == 0
    words = describe_call(outcome, TYPES, AUCTIONS, 1_500 * WAD)
    assert words.endswith("not repaid, earned 1.50k at the feed's price")
    # Sold on at once: what is left is the gain.
    flash = Outcome(None, None, (sale, Log("FlashTaker", "FlashTaken", (0, OWNER, 31 * WAD))))
    assert compute_call_gain_before_gas(flash, {}, {0: 105 * RAY}) == 31 * WAD
    assert describe_call(flash, TYPES, AUCTIONS, 31 * WAD).endswith("not repaid, earned 31")
    assert describe_event_kind_and_text(sale, TYPES) == (
        "liquidation",
        "303 ETH sold for a debt of 38.0k",
    )


def test_an_offset_by_a_pool_earns_its_reward_in_any_tokens_units() -> None:
    pool, keeper, engine = ("0x" + digit * 40 for digit in "abc")
    sales = [
        Log("LiquidationEngine", "CollateralSold", (0, OWNER, pool, each * WAD, 0, *PAID))
        for each in (200, 103)
    ]
    moves = [
        Log("ETH", "Transfer", (engine, pool, 303 * 10**8)),
        Log("Stablecoin", "Transfer", (pool, "0x" + "0" * 40, 30_000 * WAD)),
        Log("ETH", "Transfer", (pool, keeper, 15 * 10**7)),
    ]
    outcome = Outcome(None, None, (*sales, *moves))
    assert compute_call_gain_before_gas(outcome, {}, {0: 100 * RAY}, keeper) == 150 * WAD
    # Of a call that another was paid for, or at no price yet, it brought nothing.
    assert compute_call_gain_before_gas(outcome, {}, {0: 100 * RAY}, engine) == 0
    assert compute_call_gain_before_gas(outcome, {}, {}, keeper) == 0
    words = describe_call(outcome, TYPES, AUCTIONS, 150 * WAD, keeper)
    assert words == (
        "had a stability pool repay a debt of 38.0k of 0xabababab… for 200 ETH, 8.00k of it not repaid, "
        "had a stability pool repay a debt of 38.0k of 0xabababab… for 103 ETH, 8.00k of it not repaid, "
        "earned 150 at the feed's price"
    )
    # A buyer for itself is no pool.
    assert describe_call(outcome, TYPES, AUCTIONS, 0, pool).startswith("bought 200 ETH")


def test_every_sale_of_a_day_is_in_words() -> None:
    result = simulate(load_scenario(DATA / "runs" / "discount.yaml"), "model")
    symbols = DefaultNames({0: "ETH", 1: "WBTC", 2: "XAUT"}, "?")
    sales = [
        Log(contract, event, values)
        for _, _, contract, event, values in result.tables["events"]
        if event == "CollateralSold"
    ]
    assert sales
    for log in sales:
        words = describe_call(Outcome(None, None, (log,)), symbols, AUCTIONS)
        assert words.startswith("bought ") and f" {symbols[log.values[0]]} at " in words and "?" not in words
