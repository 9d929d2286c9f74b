"""The last day as the live page has it: entries kept, reverted and dropped, and the keepers' earnings."""

from __future__ import annotations

import json
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

import plotly.graph_objects as go
import pytest

from backstop.contract_base import Log
from backstop.deployment.planned_contracts import plan_deployment
from backstop.live.mirror.chain_mirror import MinedCall, Mirror
from backstop.live.monitor.call_descriptions import (
    compute_call_gain_before_gas,
    describe_call,
    describe_event_kind_and_text,
)
from backstop.live.monitor.monitor_history import (
    DAY,
    ENDED,
    HOUR,
    SPARSE,
    STEP,
    KeeperCall,
    MonitorHistory,
    ProtocolEvent,
)
from backstop.live.monitor.page_sections import FALLS, PageSections
from backstop.live.solvency.solvency_statement import build_statement
from backstop.model.arithmetic import RAD, RAY, WAD
from backstop.proof.local_protocol import LocalProtocol
from backstop.report.live_charts import build_event_marks, draw_live_charts_by_id
from backstop.report.live_mirror_headings import compose_live_headings
from backstop.studies.risk_questions.liquidations_at_price_drop import Position, compute_fall_rows
from backstop.system import Action, Outcome
from tests.support.chart_color_placeholder_filling import replace_colors_with_fixed_hex

KEEPER = "0x" + "cd" * 20
OWNER = "0x" + "ab" * 20
TAKEN = ("CollateralAuction", "Taken", (7, KEEPER, 4_650 * WAD // 1_000, 525 * WAD, 0))


def outcome(*logs: tuple[str, str, tuple[Any, ...]], reason: str | None = None) -> Outcome:
    return Outcome(reason, None, tuple(Log(*log) for log in logs))


def seen(
    block: int, at: int, *logs: tuple[str, str, tuple[Any, ...]], reason: str | None = None
) -> MinedCall:
    call = Action("CollateralAuction", "take", (7,), KEEPER)
    return MinedCall("0x1", block, at, call, outcome(*logs, reason=reason), 100_000, 10**9)


def figures(at: int, debt: int = 1_000, price: int = 120) -> dict[str, Any]:
    """Return a statement with the fields that a history reads."""
    sheet = {"performing_rad": str(debt * RAD), "in_auction_rad": "0", "deficit_rad": "0"}
    return {
        "timestamp": at,
        "balance_sheet": sheet,
        "coverage": {"collateral_bps": 20_000},
        "stages": [{"stage": "buffer", "capacity_rad": str(5 * RAD)}],
        "collateral_types": [{"symbol": "ETH", "price_ray": str(price * RAY)}],
        "auctions": [{"id": 7, "symbol": "ETH"}],
    }


def test_what_a_call_earned() -> None:
    """Rewards; the profit of a purchase through a market; else worth at the feed's price less the payment."""
    sold, prices = {7: 0}, {0: 120 * RAY}
    liquidated = ("LiquidationEngine", "Liquidated", (7, 0, OWNER, 300 * WAD, 38_000 * RAD, 12 * WAD))
    reset = ("CollateralAuction", "AuctionReset", (7, 110 * RAY, 3 * WAD))
    assert compute_call_gain_before_gas(outcome(liquidated, reset), sold, prices) == 15 * WAD
    assert (
        compute_call_gain_before_gas(
            outcome(TAKEN, ("FlashTaker", "FlashTaken", (7, OWNER, 31 * WAD))), sold, prices
        )
        == 31 * WAD
    )
    assert compute_call_gain_before_gas(outcome(TAKEN), sold, prices) == 33 * WAD  # 4.65 at 120 are 558
    assert (
        compute_call_gain_before_gas(outcome(TAKEN), {}, prices)
        == compute_call_gain_before_gas(outcome(TAKEN), sold, {})
        == 0
    )


def test_a_purchase_to_keep_says_what_it_earned_at_the_feeds_price() -> None:
    history = MonitorHistory(["ETH"])
    started = ("CollateralAuction", "AuctionStarted", (7, 0, OWNER, WAD, RAY, RAD, RAD))
    poked = ("PriceFeed", "Poked", (0, 120 * RAY, 120 * RAY))
    history.add_call(seen(1, 100, started, poked), None, "")
    history.add_call(seen(2, 112, TAKEN), "taker", "take")
    (act,) = history.acts
    assert act.told == "took 4.65 ETH at 113 of auction 7, earned 33 at the feed's price"
    assert (act.who, act.gained, act.cost, act.reason) == ("taker", 33 * WAD, 10**14, None)
    # A purchase through a market says it by its own event, once.
    flash = outcome(TAKEN, ("FlashTaker", "FlashTaken", (7, OWNER, 31 * WAD)))
    assert describe_call(flash, history._types, history._auctions, 31 * WAD).count("earned") == 1


def test_a_point_each_minute_for_a_day() -> None:
    history = MonitorHistory(["ETH"])
    start = 1_000_000
    taken = [at for at in range(start, start + 10 * STEP, 12) if history.is_point_due(at)]
    assert taken == list(range(start, start + 10 * STEP, STEP))
    for at in (start, start + DAY, start + DAY + 1):
        history.add_call(seen(at, at, ("LossWaterfall", "LossRecognised", (0, 1, RAD))), "coverer", "cover")
        history.add_point(at, figures(at))
    assert [each.timestamp for each in history.points] == [start + DAY, start + DAY + 1]
    assert [each.block for each in history.events] == [each.block for each in history.acts]
    assert history.events[0].timestamp == start + DAY


def test_of_a_day_the_last_hour_has_all_points_and_each_five_minutes_before_it_one() -> None:
    """As many points as minutes are drawn for each reader and written twice a minute."""
    history = MonitorHistory(["ETH"])
    last = 1_000_000 + 2 * DAY
    most = 0
    for at in range(1_000_000, last + 1, STEP):
        history.add_point(at, figures(at))
        most = max(most, len(history.points))
    assert most <= HOUR // STEP + (DAY - HOUR) // SPARSE + 2
    times = [each.timestamp for each in history.points]
    assert times[0] < last - DAY + SPARSE
    recent = [at for at in times if at >= last - HOUR]
    assert recent == list(range(last - HOUR, last + 1, STEP))
    old = times[: -len(recent)]
    assert {b - a for a, b in pairwise(old)} == {SPARSE}


def test_auctions_that_are_long_over_are_forgotten() -> None:
    history = MonitorHistory(["ETH"])
    for auction in range(1, 3 * ENDED):
        started = ("CollateralAuction", "AuctionStarted", (auction, 0, OWNER, WAD, RAY, RAD, RAD))
        history.add_call(seen(auction, 1_000 + auction, started), None, "")
        history.add_point(auction, figures(1_000 + auction))
    known = [auction for auction, _ in history.export_state()["sold"]]
    assert known == [7, *range(2 * ENDED, 3 * ENDED)]  # 7 is open


def test_it_goes_back_with_the_chain_and_survives_as_json() -> None:
    history = MonitorHistory(["ETH"])
    for block in range(1, 6):
        at = 1_000 + block * STEP
        loss = ("LossWaterfall", "LossRecognised", (0, 1, block * RAD))
        history.add_call(
            seen(block, at, loss, TAKEN, reason=None if block % 2 else "too late"), "taker", "take"
        )
        assert history.is_point_due(at)
        history.add_point(block, figures(at, debt=block))
    state = json.loads(json.dumps(history.export_state()))
    other = MonitorHistory(["ETH"])
    other.restore_state(state, 5)
    assert (other.points, other.events, other.acts) == (history.points, history.events, history.acts)
    assert other.export_state() == history.export_state() and not other.is_point_due(1_000 + 5 * STEP + 1)
    # A chain that lost blocks since takes them along, from either.
    other.restore_state(state, 3)
    history.drop_reorged_blocks(3)
    assert other.points == history.points and [each.block for each in other.acts] == [1, 2, 3]
    assert history.is_point_due(1_000 + 4 * STEP) and other.is_point_due(1_000 + 4 * STEP)
    assert max(each.block for each in other.events) == max(each.block for each in other.points) == 3


@pytest.mark.parametrize("name", ["points", "events", "acts", "sold", "prices"])
def test_a_state_that_is_none_is_refused(name: str) -> None:
    history = MonitorHistory(["ETH"])
    history.add_call(seen(1, 1_000, TAKEN), "taker", "take")
    state = history.export_state()
    for wrong in ([[1]], [["x"] * 9], None):
        with pytest.raises((KeyError, IndexError, TypeError, ValueError)):
            MonitorHistory(["ETH"]).restore_state(state | {name: wrong}, 5)


def test_what_befalls_the_protocol_is_an_event_and_daily_life_is_none() -> None:
    types = MonitorHistory(["ETH"])._types
    for log, kind, words in (
        (("LossWaterfall", "LossRecognised", (0, 1, 500 * RAD)), "loss", "500 of bad debt of ETH recognised"),
        (("LossWaterfall", "LossCovered", (0, 1, 2, 500 * RAD)), "payment", "500 of bad debt of ETH paid"),
        (
            ("CircuitBreaker", "ModeChanged", (0, 2, 1, 0, OWNER)),
            "mode",
            "the mode went from normal to emergency",
        ),
        (("Settlement", "Begun", ()), "mode", "settlement began"),
        (
            ("CollateralAuction", "AuctionClosed", (7, 0, 500 * RAD, 0)),
            "loss",
            "auction 7 of ETH closed with 500 not raised",
        ),
    ):
        assert describe_event_kind_and_text(Log(*log), types) == (kind, words)
    assert describe_event_kind_and_text(Log("PriceFeed", "Poked", (0, RAY, RAY)), types) is None


def test_of_events_close_together_the_gravest_is_marked() -> None:
    events = [ProtocolEvent(i, 1_000 + i, "liquidation", "") for i in range(500)]
    events[250] = ProtocolEvent(250, 1_250, "loss", "")
    lines, keys = build_event_marks(events, (1_000, 2_000))
    assert len(lines) < 40 and [key.name for key in keys] == ["losses", "liquidations"]
    assert [line["x0"] for line in lines if line["line"]["color"] == "@loss"] == [1_250_000]


def test_charts_are_the_same_before_the_first_block_and_after() -> None:
    history = MonitorHistory(["ETH"])
    for block in range(1, 4):
        history.add_call(seen(block, 60 * block, TAKEN), f"keeper {block % 2}", "take")
        history.add_point(block, figures(60 * block, debt=1_000 * block))
        history.add_call(seen(block, 60 * block, TAKEN), f"keeper {block % 2}", "take")
    shown = {"points": tuple(history.points), "events": (), "acts": tuple(history.acts)}
    empty, drawn = draw_live_charts_by_id({}), draw_live_charts_by_id({"history": shown})
    assert list(empty) == list(drawn)
    for chart in (*empty.values(), *drawn.values()):
        go.Figure(replace_colors_with_fixed_hex(chart.figure))
    assert drawn["history-debt"].figure["data"][0]["y"] == [1_000, 2_000, 3_000]
    assert "went from 1.00k to 3.00k" in drawn["history-debt"].label
    profit = drawn["history-profit"].figure["data"]
    ends = {trace["name"]: trace["y"][-1] for trace in profit}
    sums = {who: sum(each.gained for each in history.acts if each.who == who) / WAD for who in ends}
    assert ends == sums and ends["keeper 1"] > 0


def test_keepers_beyond_the_first_four_are_drawn_together() -> None:
    acts = [KeeperCall(i, 60 * i, f"keeper {i}", "", "", None, 0, 0, i * WAD) for i in range(1, 8)]
    chart = draw_live_charts_by_id({"history": {"points": (), "events": (), "acts": acts}})["history-profit"]
    ends = {trace["name"]: trace["y"][-1] for trace in chart.figure["data"]}
    assert ends == {"keeper 7": 7, "keeper 6": 6, "keeper 5": 5, "keeper 4": 4, "all others": 6}


def test_levels_are_what_the_question_about_falls_says(protocol: LocalProtocol) -> None:
    """For vaults with one price each, to the vault and the wei."""
    deployment, model = plan_deployment(protocol.parameters), protocol.lockstep.model
    price = int(
        build_statement(model, deployment)["collateral_types"][protocol.get_collateral_type("WETH")][
            "price_ray"
        ]
    )
    for owner, share in {"one": 50, "two": 45, "three": 30}.items():  # per cent of its collateral's worth
        protocol.borrow(owner, "WETH", 100 * WAD, price * share // RAY * WAD)
    scene = PageSections(deployment)
    mirror = cast(Mirror, SimpleNamespace(model=model, deployment=deployment, block=1))
    says = build_statement(model, deployment)
    found = scene.build_figures(mirror, says)
    types = {row["symbol"]: row for row in says["collateral_types"]}
    ratios = {each.symbol: each.liquidation_ratio for each in protocol.parameters.collateral_types}
    positions = [
        Position(row["symbol"], int(row["locked_wad"]), int(row["debt_rad"]), ratios[row["symbol"]])
        for row in says["vaults"]
    ]
    prices = {symbol: int(row["price_ray"]) for symbol, row in types.items()}
    expected = compute_fall_rows(positions, prices, FALLS)
    for each in found["levels"]["types"]:
        own = [row for row in expected if row["falling"] == each["symbol"]]
        assert each["vaults"] == [row["vaults"] for row in own]
        assert [int(debt) // RAY for debt in each["debt_rad"]] == [row["debt_wad"] for row in own]
    every = [row for row in expected if row["falling"] == ("all" if len(types) > 1 else "WETH")]
    together = found["levels"]["all"]
    assert [row["vaults"] for row in together] == [row["vaults"] for row in every]
    assert together[0]["vaults"] == 0 and together[-1]["vaults"] == 3
    named = says | found | {"found": 0}
    answers = compose_live_headings(named)
    assert answers["vaults"] == "No vault is unsafe" and "A fall of 10% makes " in answers["levels"]
    assert (
        "unsafe vault" in compose_live_headings(named | {"bands": [{"vaults": 2, "debt_rad": "1"}]})["vaults"]
    )
