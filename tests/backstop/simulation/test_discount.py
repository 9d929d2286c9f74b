"""A run with unsafe vaults sold at a fixed discount: its buyers, and the texts of summary and page."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from backstop.cli.command_helpers import print_run_summary
from backstop.contract_base import Log
from backstop.errors import BackstopError
from backstop.model.arithmetic import RAY
from backstop.report.run_page import compute_unexplained_loss, render_page
from backstop.simulation.discount_sale_totals import sum_discount_sales
from backstop.simulation.margin_call_workout_and_mode_recorder import GuardRecorder
from backstop.simulation.run_directory import Run, load_run
from backstop.simulation.scenario import load_scenario
from backstop.simulation.simulator import simulate
from tests.support.checkout_paths import DATA

DISCOUNT = DATA / "runs" / "discount.yaml"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run in lockstep on revm: every field of every step is compared."""
    directory: Path = tmp_path_factory.mktemp("runs") / "discount"
    simulate(load_scenario(DISCOUNT), "revm", 1, directory)
    return load_run(directory)


def list_sales(run: Run) -> list[tuple[int, list[Any]]]:
    """The events of sales: step, and values with integers."""
    events = run.frames["events"]
    rows = events[events["event"] == "CollateralSold"].to_dict("records")
    return [
        (
            row["step"],
            [each if str(each).startswith("0x") else int(each) for each in json.loads(row["values"])],
        )
        for row in rows
    ]


def list_buying_actions(run: Run) -> pd.DataFrame:
    actions = run.frames["actions"]
    return actions[actions["method"].isin(["liquidate_and_buy", "liquidate_and_sell"])]


def test_model_and_contracts_agree_to_the_end(run) -> None:
    assert run.summary["completed"] and run.summary["differences"] == 0
    assert run.summary["fields_compared"] > 1_000
    assert run.summary["ledger"]["balance_gap_rad"] == "0"


def test_liquidators_of_both_kinds_buy(run) -> None:
    bought = list_buying_actions(run)
    done = bought[bought["ok"]].groupby(["method", "sender_name"]).size()
    assert done["liquidate_and_sell", "taker"] > 1
    assert done["liquidate_and_buy", "desk_1"] and done["liquidate_and_buy", "desk_2"]
    assert len(list_sales(run)) == done.sum()
    # The types have no auction, and nobody tries to begin one.
    assert not (run.frames["actions"]["method"] == "liquidate").any()
    assert not len(run.frames["auctions"])


def test_a_refused_purchase_is_one_whose_price_rose(run) -> None:
    bought = list_buying_actions(run)
    (reason,) = set(bought[~bought["ok"]]["reason"])
    assert "high" in reason


def test_the_summary_adds_the_sales_up(run) -> None:
    sales = list_sales(run)
    for c, entry in enumerate(run.summary["collateral_types"][:2]):
        own = [values for _, values in sales if values[0] == c]
        found = entry["discount_sales"]
        assert found["sales"] == entry["liquidations"] == len(own) > 0
        assert int(found["sold_wad"]) == sum(values[3] for values in own)
        assert int(found["fee_wad"]) == sum(values[4] for values in own)
        assert int(found["paid_wad"]) == sum(values[5] for values in own)
        principal = sum(values[6] for values in own)
        lost = sum(max(0, values[6] - values[5] * RAY) for values in own)
        assert int(found["principal_rad"]) == principal
        assert int(found["repaid_rad"]) == principal - lost
        assert int(found["lost_rad"]) == lost
    assert "discount_sales" not in run.summary["collateral_types"][2]
    # A tenth of the bonus of ETH is the protocol's, nothing of the other's.
    ether, bitcoin = (entry["discount_sales"] for entry in run.summary["collateral_types"][:2])
    assert int(ether["fee_wad"]) and ether["lost_rad"] != "0"
    assert not int(bitcoin["fee_wad"]) and bitcoin["lost_rad"] == "0"


def test_the_bonus_is_that_of_the_terms(run) -> None:
    """All of WBTC's sales have a bonus of 5%: it is a twentieth of the payments, but for rounding."""
    found = run.summary["collateral_types"][1]["discount_sales"]
    bonus, paid = int(found["bonus_wad"]), int(found["paid_wad"])
    assert abs(bonus - paid // 20) < paid // 10**6
    # ETH's is up to 10%, of which the buyers get nine tenths.
    found = run.summary["collateral_types"][0]["discount_sales"]
    assert int(found["paid_wad"]) * 45 // 1_000 < int(found["bonus_wad"]) <= int(found["paid_wad"]) * 9 // 100


def test_losses_and_who_bore_them_count_sales(run) -> None:
    totals = sum_discount_sales(run.summary)
    assert int(run.summary["losses"]["created_rad"]) == totals.lost
    assert compute_unexplained_loss(run.summary) == 0
    # Owners gave the bonus and the fee: collateral worth more than the debt it stood for.
    borrowers = next(each for each in run.summary["paid_by"] if each["group"] == "borrowers")
    assert 0 < int(borrowers["wad"]) < totals.paid


def test_a_keeper_that_keeps_what_it_bought_has_its_worth(run) -> None:
    profit = {each["name"]: int(each["profit_wad"]) for each in run.summary["keepers"]}
    assert profit["taker"] > 0 and profit["desk_1"] > 0 and profit["desk_2"] > 0


def test_the_page_has_a_section_of_sales(run) -> None:
    html = render_page(run)
    section = re.search(r'<section id="sales">(.*?)</section>', html, re.DOTALL)
    assert section is not None
    for figure in ("sales", "principal_rad", "repaid_rad", "lost_rad", "sold_wad", "bonus_wad", "fee_wad"):
        for c in (0, 1):
            assert f'data-path="collateral_types.{c}.discount_sales.{figure}"' in section[1]
    assert "collateral_types.2" not in section[1]
    assert "that sales at a discount did not repay" in html
    assert "debt liquidated per" in html and "debt sent to auction per" in html  # of XAUT


def test_the_console_names_the_sales(run, capsys) -> None:
    print_run_summary(run.summary, None, None, False)
    said = capsys.readouterr().out
    assert re.search(rf"sold at a discount +{sum_discount_sales(run.summary).sales} ", said)


def test_a_run_without_discounts_says_nothing_of_them(capsys) -> None:
    simulation = simulate(load_scenario(DATA / "runs" / "small.yaml"), "model", 1)
    assert "discount" not in json.dumps(simulation.summary)
    assert sum_discount_sales(simulation.summary).sales == 0
    print_run_summary(simulation.summary, None, None, False)
    assert "discount" not in capsys.readouterr().out


def test_the_naive_contract_needs_its_reason(tmp_path) -> None:
    file = tmp_path / "naive.yaml"
    text = f"extends: {DISCOUNT}\ntitle: Naive\nparameters: {{discount_contract: PartialSaleDiscount}}\n"
    file.write_text(text)
    with pytest.raises(BackstopError, match="naive-contract"):
        load_scenario(file)
    file.write_text(text + "unsafe: {naive-contract: To compare with.}\n")
    simulation = simulate(load_scenario(file), "model", 1)
    assert simulation.summary["collateral_types"][0]["discount_sales"]["sales"] > 0


def test_a_sale_ends_the_vaults_margin_call() -> None:
    guards = GuardRecorder()
    called = Log("LiquidationEngine", "MarginCalled", (0, "0x1", 200, 300))
    for owner in ("0x1", "0x2"):
        guards.record_event(100, called._replace(values=(0, owner, 200, 300)))
    guards.record_event(250, Log("LiquidationEngine", "CollateralSold", (0, "0x2", "0x3", 1, 0, 1, 1)))
    assert [(call.ended_by, call.ended_at) for call in guards.calls] == [("open", None), ("liquidated", 250)]
