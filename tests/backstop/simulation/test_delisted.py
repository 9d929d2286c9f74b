"""A market is delisted in a run: keepers end it and close its positions, and all traders leave alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backstop.deployment.devnet_trader_signatures import get_trader_account
from backstop.errors import BackstopError
from backstop.model.arithmetic import WAD
from backstop.report.run_page import render_page
from backstop.simulation.run_directory import load_run
from backstop.simulation.scenario import load_scenario
from backstop.simulation.simulator import RunResult, simulate
from tests.support.checkout_paths import DATA

BRIEF = "tests/backstop/keepers/test_cycles.py::test_a_market_that_is_delisted_is_ended_and_the_other_goes_on"

NAME = "jelly-delisted"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tmp_path_factory.mktemp("delisted") / "run"


@pytest.fixture(scope="module")
def result(folder: Any) -> RunResult:
    return simulate(load_scenario(NAME), "revm", 1, folder)


def withdrawn(result: RunResult) -> dict[str, int]:
    """Return the total withdrawals of each account, with the vesting part [wad]."""
    found: dict[str, int] = {}
    for row in result.tables["events"]:
        if row[2:4] == ("PerpetualMarket", "Withdrawn"):
            owner, _, _, own, profit = row[4]
            found[owner] = found.get(owner, 0) + own + profit
    return found


@pytest.mark.deep(brief=BRIEF)
def test_model_and_contracts_agree(result: RunResult) -> None:
    assert result.summary["completed"] and result.summary["differences"] == 0


@pytest.mark.deep(brief=BRIEF)
@pytest.mark.anvil
def test_a_real_node_comes_to_the_same(result: RunResult) -> None:
    again = simulate(load_scenario(NAME), "anvil", 1)
    assert again.summary["differences"] == 0
    assert again.summary["state_hash"] == result.summary["state_hash"]


@pytest.mark.deep(brief=BRIEF)
def test_keepers_end_the_market_once_its_price_is_final(result: RunResult) -> None:
    """Six hours after the announced moment, at a price between the prices before and after it."""
    (ended,) = result.summary["margin"]["ended"]
    assert ended["market"] == "JELLY" and 0 <= ended["at"] - (73 * 60 + 30 + 6 * 60) * 60 <= 10 * 60
    assert 12 * WAD < int(ended["price_wei"]) < 30 * WAD
    done = {(row[3], row[6]) for row in result.tables["actions"] if row[7]}
    assert {("delist", "admin"), ("end_market", "margin_crank"), ("advance_cycle", "margin_crank")} <= done


@pytest.mark.deep(brief=BRIEF)
def test_losses_of_the_last_move_are_paid(result: RunResult) -> None:
    margin = result.summary["margin"]
    assert int(margin["insured_wad"]) == 2_000 * WAD and int(margin["taken_wad"]) > 0
    assert margin["unpaid_wad"] == margin["left_alone_wad"] == margin["gap_wad"] == "0"
    assert margin["left_lots"] == {}


@pytest.mark.deep(brief=BRIEF)
def test_the_first_leaves_as_the_last(result: RunResult) -> None:
    """Eleven hours apart, to the wei; their gains vest, and are the same as well."""
    got = withdrawn(result)
    assert got[get_trader_account("first")] == got[get_trader_account("last")] > 30_000 * WAD


@pytest.mark.deep(brief=BRIEF)
def test_everybody_leaves_with_all_that_is_theirs(result: RunResult) -> None:
    """Only the margins of ETH and liquidators' capital remain inside: there are no other positions.

    Liquidators deposit for themselves, and as many of them as the liquidations need; a trader's deposit is
    paid by another account.
    """
    margin, start = result.summary["margin"], result.summary["started_at"]
    changed: dict[tuple[str, int], int] = {}
    liquidators: set[str] = set()
    tries = [row for row in result.tables["actions"] if row[3] == "withdraw" and row[1] > start + 84 * 3_600]
    assert tries and all(row[7] for row in tries)
    for row in result.tables["events"]:
        if row[3] == "PositionChanged":
            changed[row[4][0], row[4][1]] = row[4][2]
        elif row[2:4] == ("PerpetualMarket", "Deposited") and row[4][0] == row[4][1]:
            liquidators.add(row[4][0])
    stay = {owner for (owner, market), size in changed.items() if market == 0 and size}
    assert stay == {get_trader_account("stays"), get_trader_account("against")}
    assert liquidators and not liquidators & {owner for (owner, _), size in changed.items() if size}
    assert margin["emptied"] == margin["accounts"] - len(stay) - len(liquidators)
    assert int(margin["withdrawn_wad"]) == sum(withdrawn(result).values())


@pytest.mark.deep(brief=BRIEF)
def test_the_page_and_the_table_say_how_it_ended(folder: Any, result: RunResult) -> None:
    text = " ".join(render_page(load_run(folder)).split())
    assert "JELLY ended" in text and "accounts have nothing left there" in text


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{market: XAUT, at: 00:10, ends: 80:00}", "delistings[0].market: 'XAUT' is not one of the markets"),
        ("{market: ETH, at: 00:10, ends: 72:09}", "ends: must be 3 days after `at`, or later"),
        ("{market: ETH, at: 99:00, ends: 180:00}", "delistings[0].at: '99:00' is too high"),
    ],
)
def test_a_delisting_that_cannot_be_is_told_with_its_place(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "day.yaml"
    path.write_text(f"extends: {DATA / 'runs' / 'margin.yaml'}\nmargin_book: {{delistings: [{line}]}}\n")
    with pytest.raises(BackstopError) as caught:
        load_scenario(path)
    assert message in str(caught.value) and "\n" not in str(caught.value)
