"""A margin market on a chain that stays: orders and signed reports in files, a crash, keepers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backstop.deployment.deployment_file import parameters_from_json, parameters_to_json
from backstop.deployment.devnet_trader_signatures import get_trader_account
from backstop.deployment.parameter_dataclasses import MarginParameters
from backstop.deployment.role_accounts import get_account
from backstop.errors import BackstopError
from backstop.hosts.host_interface import CALL_GAS
from backstop.live.node.live_host import gas_limit
from backstop.live.operate.keeper_settings import read_yaml_keeper_settings_by_name
from backstop.live.operate.resumable_deployment import load_parameters
from backstop.model.arithmetic import WAD
from tests.support.devnet_process import Devnet
from tests.support.live_margin_market import ETH, LOTS, LiveMarginMarket

LONGER = pytest.mark.deep(
    brief="tests/backstop/live/operate/test_margin.py::test_keepers_bring_marks_match_liquidate_meet_and_roll"
)


def test_keepers_bring_marks_match_liquidate_meet_and_roll(fresh: Devnet, tmp_path: Path) -> None:
    street = LiveMarginMarket(fresh, tmp_path)
    long, liquidator = get_trader_account("long"), get_account("margin_liquidator")
    try:
        street.write_signed_order_to_file("long", "--buy")
        street.write_signed_order_to_file("short", "--sell")
        street.run_until_done(lambda market: market.get_position(long, ETH).size == LOTS, 2_000)
        # Under its maintenance margin; the liquidator bears a part of it.
        street.run_until_done(lambda market: market.get_position(liquidator, ETH).size > 0, 1_740)
        # What is left of it owes now.
        street.run_until_done(lambda market: market.get_position(long, ETH).size == 0, 1_400)
        opened = street.cycle_view.clock.cycle
        street.system.advance(MarginParameters(()).window + 1)
        street.run_until_done(lambda market: market.clock.cycle > opened, 1_400)
        # What it lacked is booked in the pending cycle.
        street.run_until_done(lambda market: market.clock.booked_at > 0, 1_400)
        called = {line.split("(")[0].split(".")[1] for line in street.said if " done in block" in line}
        assert {
            "approve",
            "deposit",
            "submit_signed_reports",
            "accrue",
            "fill",
            "liquidate",
            "seize_insolvent",
            "advance_cycle",
        } <= called
    finally:
        street.loop.close()
    street.system.compare_state()


@pytest.mark.deep(
    brief="tests/backstop/live/operate/test_margin.py::test_keepers_bring_marks_match_liquidate_meet_and_roll"
)
@pytest.mark.parametrize(
    ("policy", "calls"), [pytest.param("ranked", {"submit", "execute"}, marks=LONGER), ("shared", {"share"})]
)
def test_keepers_close_positions_where_a_policy_says_so(
    fresh: Devnet, tmp_path: Path, policy: str, calls: set[str]
) -> None:
    roles = ("margin_crank", "margin_liquidator", "matcher", "deleverager")
    street = LiveMarginMarket(fresh, tmp_path, roles, policy=policy)
    long, short = get_trader_account("long"), get_trader_account("short")
    try:
        street.write_signed_order_to_file("long", "--buy")
        street.write_signed_order_to_file("short", "--sell")
        street.run_until_done(lambda market: market.get_position(long, ETH).size == LOTS, 2_000)
        street.run_until_done(lambda market: market.get_position(long, ETH).size == 0, 1_400)
        assert street.cycle_view.get_position(short, ETH).size == -LOTS
        opened = street.cycle_view.clock.cycle
        street.system.advance(MarginParameters(()).window + 1)
        street.run_until_done(lambda market: market.clock.cycle > opened, 1_400)
        street.run_until_done(lambda market: market.get_position(short, ETH).size == 0, 1_400)
        called = {line.split("(")[0].split(".")[1] for line in street.said if " done in block" in line}
        assert calls <= called
    finally:
        street.loop.close()
    street.system.compare_state()


@pytest.mark.deep(
    brief="tests/backstop/live/operate/test_margin.py::test_keepers_bring_marks_match_liquidate_meet_and_roll"
)
def test_what_needs_a_mark_goes_with_the_reports_that_make_it(fresh: Devnet, tmp_path: Path) -> None:
    """Where blocks take their time both are sent at one look, and are mined in their order."""
    street = LiveMarginMarket(fresh, tmp_path)
    try:
        street.run_until_done(lambda market: market.get_last_mark(ETH) == 20 * WAD, 2_000)
        street.write_signed_order_to_file("long", "--buy")
        street.write_signed_order_to_file("short", "--sell")
        street.system.advance(61)
        street.sign_reports_to_file(2_000)
        street.node.request("evm_setAutomine", False)
        before = len(street.said)
        street.loop.run_round()
        sent = [
            line.split(" sent")[0]
            for line in street.said[before:]
            if line.startswith("matcher:") and " sent" in line
        ]
        assert [line.split("(")[0] for line in sent] == [
            "matcher: PriceFeed.submit_signed_reports",
            "matcher: MarginOrders.fill",
        ]
        street.node.request("evm_mine")
        street.node.request("evm_setAutomine", True)
        street.run_until_done(
            lambda market: market.get_position(get_trader_account("long"), ETH).size == LOTS, 2_000
        )
    finally:
        street.loop.close()


def test_a_margin_market_can_be_asked_for(tmp_path: Path) -> None:
    parameters = load_parameters("margin")
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(parameters_to_json(parameters)))
    assert load_parameters(str(file)) == parameters == parameters_from_json(json.loads(file.read_text()))
    assert parameters.margin is not None and [each.symbol for each in parameters.margin.markets] == [
        "WETH",
        "WBTC",
    ]


def test_settings_of_the_roles(tmp_path: Path) -> None:
    file = tmp_path / "keeper.yaml"
    file.write_text(
        "schema_version: 1\n"
        "roles:\n"
        "  margin_crank: {reports: 'https://x.org/r', deviation: 0.5%, calls_per_block: 40}\n"
        "  margin_liquidator: {reports: r.jsonl, relieves: 50%, capital: 500 stablecoin}\n"
        "  deleverager: {reports: r.jsonl, call_gas: 16_777_216 gas}\n"
        "  matcher: {orders: book/orders.jsonl}\n"
    )
    assert read_yaml_keeper_settings_by_name(file)["options"] == {
        "margin_crank": {"reports": ("https://x.org/r",), "deviation": 50, "most": 40},
        "margin_liquidator": {
            "reports": (str(tmp_path / "r.jsonl"),),
            "relieves": 5_000,
            "capital": 500 * WAD,
        },
        "deleverager": {"reports": (str(tmp_path / "r.jsonl"),), "call_gas": CALL_GAS},
        "matcher": {"orders": str(tmp_path / "book" / "orders.jsonl")},
    }
    file.write_text("schema_version: 1\nroles:\n  deleverager: {call_gas: 16_777_217 gas}\n")
    with pytest.raises(BackstopError, match=r"keeper.yaml:3: roles.deleverager.call_gas"):
        read_yaml_keeper_settings_by_name(file)


def test_a_transaction_has_the_gas_of_one_at_most() -> None:
    assert gas_limit(1_000_000) == 1_270_000
    assert gas_limit(CALL_GAS - 1) == gas_limit(2 * CALL_GAS) == CALL_GAS == 16_777_216
