"""A margin market in a run: opened by signed orders, looked after by keepers, and all adds up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from backstop.deployment.contracts_by_parameter_name import CLOSERS
from backstop.deployment.devnet_trader_signatures import get_trader_account
from backstop.errors import BackstopError
from backstop.model.arithmetic import RAY, WAD
from backstop.report.run_page import render_page
from backstop.simulation.cycle_recorder import CycleRecorder
from backstop.simulation.deployment_session import open_deployment_session
from backstop.simulation.loss_bearers import PAYERS
from backstop.simulation.loss_totals import compute_loss_totals, sum_unpaid_margin_loss
from backstop.simulation.run_directory import load_run
from backstop.simulation.scenario import load_scenario
from backstop.simulation.simulator import RunResult, Simulation, simulate
from backstop.system import Action, Outcome
from tests.support.checkout_paths import DATA
from tests.support.long_test_marks import build_pytest_params_with_deep_marks
from tests.support.perpetual_test_market import (
    check_books,
    deploy_perpetuals_on_model,
    open_long_and_two_shorts,
)

FILE = DATA / "runs" / "margin_kept.yaml"
ETH = 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tmp_path_factory.mktemp("margin") / "run"


@pytest.fixture(scope="module")
def result(folder: Any) -> RunResult:
    return simulate(load_scenario(FILE), "revm", 1, folder)


@pytest.mark.deep(brief="tests/backstop/simulation/test_backstop_pool.py::test_model_and_contracts_agree")
def test_model_and_contracts_agree(result: RunResult) -> None:
    assert result.summary["completed"] and result.summary["differences"] == 0
    assert result.summary["fields_compared"] > 10_000


@pytest.mark.deep(brief="tests/backstop/simulation/test_backstop_pool.py::test_model_and_contracts_agree")
@pytest.mark.anvil
def test_a_real_node_comes_to_the_same(result: RunResult) -> None:
    again = simulate(load_scenario(FILE), "anvil", 1)
    assert again.summary["differences"] == 0
    assert again.summary["state_hash"] == result.summary["state_hash"]


@pytest.mark.deep(brief="tests/backstop/simulation/test_backstop_pool.py::test_model_and_contracts_agree")
def test_who_paid_adds_up_to_the_wei(result: RunResult) -> None:
    """By the rows of payments, by the cycles, and in the first screen with the vaults' losses."""
    margin = result.summary["margin"]
    paid = {kind: int(margin[f"{kind}_wad"]) for kind in (*PAYERS, "forgone")}
    assert sum(paid.values()) + sum(int(margin[f"{each}_wad"]) for each in ("pending", "unpaid")) == int(
        margin["loss_wad"]
    )
    rows: dict[str, int] = {}
    for row in result.tables["margin_payments"]:
        rows[row[2]] = rows.get(row[2], 0) + row[5]
    assert rows == {kind: amount for kind, amount in paid.items() if amount}
    borne = sum(int(each["borne_wad"]) for each in margin["cycles"])
    assert borne == paid["taken"] + paid["cut"] and paid["taken"] > 0 and paid["insured"] > 0
    assert all(int(each["borne_wad"]) <= int(each["gained_wad"]) for each in margin["cycles"])
    # What accounts gave is what sides bear, but for less than a wei for each account, market and cycle.
    assert margin["gap_wad"] == "0" and margin["left_alone_wad"] == "0"
    head = compute_loss_totals(result.summary)
    assert head.lost == head.recovered + sum(amount for _, amount in head.paid) + head.unpaid
    assert sum_unpaid_margin_loss(margin) == int(margin["pending_wad"]) + int(margin["unpaid_wad"])


@pytest.mark.deep(brief="tests/backstop/simulation/test_backstop_pool.py::test_model_and_contracts_agree")
def test_keepers_did_all_that_there_is_to_do(result: RunResult) -> None:
    done = {(row[2], row[3]) for row in result.tables["actions"] if row[7]}
    market, desk = "PerpetualMarket", "PerpetualTrading"
    wanted = {
        (market, each) for each in ("deposit", "accrue", "seize_insolvent", "advance_cycle", "withdraw")
    }
    wanted |= {
        (desk, "liquidate"),
        (desk, "take"),
        ("PriceFeed", "submit_signed_reports"),
        ("MarginOrders", "fill"),
    }
    assert wanted <= done
    margin = result.summary["margin"]
    assert margin["seized"] > 0 and margin["relieved"] > 0 and margin["liquidations"] > 0
    assert len(result.tables["margin_liquidations"]) == margin["liquidations"]


@pytest.mark.deep(brief="tests/backstop/keepers/test_cycles.py::test_settlement_is_seen_through")
def test_a_settlement_leaves_no_position_and_nothing_late() -> None:
    """Prices are final for the market as for the protocol, two rolls follow; model and contracts agree."""
    run = simulate(load_scenario(DATA / "runs" / "margin_settled.yaml"), "revm", 1)
    margin, done = run.summary["margin"], [row[3] for row in run.tables["actions"] if row[7]]
    assert run.summary["settlement"]["fixed_at"] and run.summary["differences"] == 0
    assert done.count("end_market") == 2 and done.count("update_account") > 5
    assert margin["left_lots"] == {} and margin["left_alone_wad"] == margin["gap_wad"] == "0"
    assert margin["unpaid_wad"] == margin["pending_wad"] == "0"


@pytest.mark.deep(brief="tests/backstop/simulation/test_backstop_pool.py::test_model_and_contracts_agree")
def test_the_report_says_who_paid(result: RunResult, folder: Any) -> None:
    text = " ".join(render_page(load_run(folder)).split())
    assert "Cycles with losses" in text and "Gains that paid" in text
    assert "gains of the cycle" in text and "were frozen" not in text and ">deleveraging<" not in text


def test_positions_open_at_the_mark_with_the_equity_they_had() -> None:
    """A long of 900 at 205 has lost 5 on each by the opening at 200."""
    scenario = load_scenario(FILE)
    with open_deployment_session(scenario, "model", 1) as session:
        run = Simulation(scenario, session, 1)
        run.open_book(lambda *_: None, lambda: False)
        market: Any = session.model.world.contracts["PerpetualMarket"]
        check_books(market)
        view = run.build_keeper_view().cycles
        assert view is not None
        whale = get_trader_account("whale")
        fees = 15 * WAD + 900 * 200 * WAD * 15 // 10_000 + 4 * 8_000 * WAD * 15 // 10_000
        assert market.positions[whale, ETH].size == 90_000
        assert 0 <= view.get_account_equity(whale) - (20_000 - 900 * 5) * WAD + fees <= fees
        assert view.get_last_mark(ETH) == 2 * WAD


@pytest.mark.deep(brief="tests/backstop/simulation/test_backstop_pool.py::test_model_and_contracts_agree")
def test_people_trade_by_signed_orders_while_it_runs(result: RunResult) -> None:
    """At a mark that they submit; both trades of the file, one of them after a price drop."""
    start = result.summary["started_at"]
    filled = [row for row in result.tables["actions"] if row[3] == "fill" and row[1] >= start]
    assert [(row[1] - start, row[7]) for row in filled] == [(1_800, True), (6_600, True)]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "long: desk",
            "long: nobody",
            "trades[0].long: account 'nobody' is unknown; expected one of this book",
        ),
        ("short: long_1", "short: desk", "trades[0].short: 'desk' is on both sides"),
        ("market: ETH", "market: XAUT", "trades[0].market: 'XAUT' is not one of the markets"),
        ("size: 1 ETH", "size: 0.001 ETH", "trades[0].size: '0.001 ETH' is not a whole number of lots"),
        ("at: 00:30", "at: 09:00", "trades[0].at: '09:00' is too high"),
    ],
)
def test_a_trade_that_cannot_be_is_told_with_its_place(
    tmp_path: Any, old: str, new: str, message: str
) -> None:
    text = FILE.read_text().replace("margin.yaml", str(DATA / "runs" / "margin.yaml")).replace(old, new, 1)
    path = tmp_path / "day.yaml"
    path.write_text(text)
    with pytest.raises(BackstopError) as caught:
        load_scenario(path)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_who_owes_at_the_opening_is_told(tmp_path: Any) -> None:
    path = tmp_path / "day.yaml"
    path.write_text(
        f"extends: {FILE}\nmargin_book: {{accounts: {{whale: {{cash: 4_000 stablecoin, positions: "
        "{ETH: {size: 900 ETH, price: 205 USD}, WBTC: -4 WBTC}}}}\n"
    )
    with pytest.raises(BackstopError, match="the account 'whale' owes 501 stablecoins at the opening"):
        simulate(load_scenario(path), "model", 1)


@pytest.mark.deep(brief="tests/backstop/simulation/test_backstop_pool.py::test_model_and_contracts_agree")
def test_the_library_has_a_crash_in_which_gains_pay() -> None:
    """No position is closed by force, insurance goes first, and nothing is late at the end."""
    run = simulate(load_scenario("october-2025-perpetuals"), "model", 1)
    margin = run.summary["margin"]
    assert margin["bankruptcies"] > 50 and margin["closings"] == []
    assert int(margin["insured_wad"]) == 50_000 * WAD < int(margin["loss_wad"])
    assert int(margin["taken_wad"]) == int(margin["loss_wad"]) - 50_000 * WAD
    assert margin["unpaid_wad"] == margin["left_alone_wad"] == margin["gap_wad"] == "0"
    assert compute_loss_totals(run.summary).unpaid == int(run.summary["losses"]["outstanding_rad"]) == 0 * RAY


def test_what_is_late_is_told_from_what_the_cycle_bears() -> None:
    """The long is liquidated too late: later gains pay its loss, and are not counted as its cycle's."""
    market = deploy_perpetuals_on_model()
    market.report_current_prices_again()
    market.set_loss_line_to_zero()
    open_long_and_two_shorts(market).trade("other", "first", 500)
    names = {
        market.get_contract_or_account_address(name): name for name in ("long", "first", "second", "other")
    }
    recorder = CycleRecorder(market.world.contracts, ("ETH", "BTC"), names, "by-cycle")
    apply = market.system.apply

    def heard(action: Action) -> Outcome:
        outcome = apply(action)
        for log in outcome.logs:
            recorder.record_event(1, market.world.timestamp, log)
        return outcome

    vars(market.system)["apply"] = heard
    market.mark(ETH, 16 * WAD)
    for _ in range(2):
        market.advance_cycle()
    market.seize_insolvent("long")
    assert int(recorder.summarise_margin_market(0)["unpaid_wad"]) == 1_000 * WAD
    # Who took its lots over lacks 300 at 14, in the cycle whose gains also pay for before.
    market.deposit("taker", 1_700 * WAD)
    market.do("PerpetualTrading.take", ETH, 1_000, sender="taker")
    market.mark(ETH, 14 * WAD)
    market.advance_cycle()
    market.seize_insolvent("taker")
    for _ in range(2):
        market.advance_cycle()
    said = recorder.summarise_margin_market(0)
    assert int(said["cut_wad"]) > 0 and int(said["taken_wad"]) == 300 * WAD
    paid = sum(int(said[f"{kind}_wad"]) for kind in (*PAYERS, "forgone", "pending", "unpaid"))
    assert paid == int(said["loss_wad"]) and said["gap_wad"] == "0"
    # What the long lacked, as far as insurance and later gains have not paid.
    assert int(said["cut_wad"]) + int(said["unpaid_wad"]) + int(said["insured_wad"]) == 1_000 * WAD
    assert recorder.insolvent == {
        market.get_contract_or_account_address("long"),
        market.get_contract_or_account_address("taker"),
    }


def at_leisure(**changes: Any) -> Any:
    """Return the same market without the keepers that look after it."""
    return replace(load_scenario(DATA / "runs" / "margin.yaml"), **changes)


@contextmanager
def opened(scenario: Any) -> Iterator[Simulation]:
    """A run of a scenario on the model up to its opening."""
    with open_deployment_session(scenario, "model", 1) as session:
        run = Simulation(scenario, session, 1)
        run.open_book(lambda *_: None, lambda: False)
        yield run


def test_the_book_is_open_before_the_start() -> None:
    with opened(at_leisure()) as run:
        market: Any = run.session.model.world.contracts["PerpetualMarket"]
        assert run.system.timestamp == run.scenario.start
        assert market.holdings[()] == sum(run.margin_book.deposits.values())
        assert market.fund.insurances[()].amount == 10_000 * WAD
        for trade in run.margin_book.trades:
            assert market.positions[get_trader_account(trade.long), trade.market].size > 0
            assert market.positions[get_trader_account(trade.short), trade.market].size < 0
        assert market.positions[get_trader_account("whale"), ETH].size == 90_000
        assert all(market.fundings[m].rate == 0 for m in (0, 1))
        assert market.accounts[get_trader_account("long_3")].markets == 0b11  # one margin for both
        assert run.names[get_trader_account("long_3")] == "long_3"


def test_left_alone_accounts_stay() -> None:
    """Without a keeper of the margin market its accounts stay untouched."""
    found = simulate(at_leisure(), "model", 1).summary["margin"]
    assert found["liquidations"] == found["bankruptcies"] == found["seized"] == 0
    assert all(found[f"{kind}_wad"] == "0" for kind in (*PAYERS, "unpaid", "loss"))


def test_an_owner_takes_out_what_he_does_not_have_to_leave() -> None:
    scenario = at_leisure()
    accounts = (replace(scenario.margin_book.accounts[0], takes_out=600), scenario.margin_book.accounts[1])
    with opened(at_leisure(margin_book=replace(scenario.margin_book, accounts=accounts))) as run:
        whale, before = get_trader_account("whale"), run.get_stablecoin_balance(get_trader_account("whale"))
        while run.now < 600:
            assert run.get_stablecoin_balance(whale) == before and run.withdrawing_accounts
            run.block += 1
            run.now = run.block * run.scenario.block_time
            run.run_block()
        assert run.get_stablecoin_balance(whale) > before and not run.withdrawing_accounts
        assert run.compute_free_margin(whale) == 0


@pytest.mark.parametrize(
    "name",
    build_pytest_params_with_deep_marks(
        ("jelly-squeeze", "oracle-jump"),
        ("jelly-squeeze", "oracle-jump"),
        "tests/backstop/simulation/test_backstop_pool.py::test_model_and_contracts_agree",
    ),
)
def test_the_library_s_crashes_end_solvent(name: str) -> None:
    """Each debtor is liquidated and booked, and all of its debt is paid to the wei."""
    found = simulate(load_scenario(name), "model", 1).summary["margin"]
    assert found["bankruptcies"] > 20 and int(found["loss_wad"]) > 50_000 * WAD
    assert sum(int(found[f"{kind}_wad"]) for kind in PAYERS) == int(found["loss_wad"])
    assert found["unpaid_wad"] == found["left_alone_wad"] == found["gap_wad"] == found["posted_wad"] == "0"


@pytest.mark.parametrize(
    "policy",
    build_pytest_params_with_deep_marks(
        CLOSERS,
        ("shared",),
        "tests/backstop/simulation/test_margin.py::test_positions_are_closed_where_a_policy_says_so",
    ),
)
def test_positions_are_closed_where_a_policy_says_so(policy: str) -> None:
    scenario = load_scenario(DATA / "compare" / "crowded.yaml")
    assert scenario.parameters.margin is not None
    margin = replace(scenario.parameters.margin, policy=policy)
    scenario = replace(scenario, parameters=replace(scenario.parameters, margin=margin))
    result = simulate(scenario, "revm", 1)
    found, rows = result.summary["margin"], result.tables["margin_closings"]
    assert result.summary["differences"] == 0 and found["policy"] == policy and rows
    assert found["deleveraged"] == len({row[3] for row in rows})
    for closing in found["closings"]:
        assert 0 < closing["lots"] <= closing["whole_lots"]
    assert sum(each["lots"] for each in found["closings"]) == sum(row[5] for row in rows)


def test_margins_that_the_vaults_did_not_draw() -> None:
    with pytest.raises(BackstopError, match="keepers' capital and margins take"):
        simulate(at_leisure(insurance=10**9 * WAD), "model", 1)


def test_leverage_beyond_the_initial_margin_does_not_fit() -> None:
    scenario = at_leisure()
    pairs = {"ETH": replace(scenario.margin_book.pairs["ETH"], longs=(300_000, 300_000))}
    book = replace(scenario.margin_book, pairs=pairs, accounts=())
    with pytest.raises(
        BackstopError, match=r"MarginOrders\.fill from market_maker reverted with 'trading: init"
    ):
        simulate(replace(scenario, margin_book=book), "model", 1)
