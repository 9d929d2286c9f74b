"""Presets that sell vaults in their own way: figures are those of runs, costs of partial sales add up."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstop.model.arithmetic import RAD, RAY, WAD
from backstop.report.preset_comparison_page import write_page
from backstop.report.summary_panel import UNBOOKED, build_preset_loss_strips
from backstop.simulation.run_directory import load_run
from backstop.studies.comparison.preset_comparison import compare, list_all_runs, list_comparison_line_specs
from backstop.studies.comparison.presets import load_presets
from tests.support.checkout_paths import DATA

SMALL = str(DATA / "runs" / "small.yaml")
DAY = 86_400


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("systems")


@pytest.fixture(scope="module")
def compared(out):
    return compare(SMALL, load_presets("euler-v2,aave-umbrella"), "model", 1, out, aftermath=DAY)


def get_row(compared, preset):
    return next(row for row in compared["presets"] if row["preset"] == preset)


@pytest.mark.deep(
    brief="tests/backstop/studies/comparison/test_systems.py::test_what_partial_sales_cost_adds_up"
)
def test_every_system_on_the_contracts(tmp_path) -> None:
    """Model and chain agree, and equal the model's run alone, with and without each naive rule."""
    alone, found = (
        compare(SMALL, load_presets("systems"), host, 1, tmp_path / host, aftermath=DAY)
        for host in ("model", "revm")
    )
    rows, expected = (list_all_runs(each) for each in (found, alone))
    for row, model in zip(rows, expected, strict=True):
        assert row["differences"] == 0 < row["fields_compared"]
        assert row["state_hash"] == model["state_hash"]
    assert len(rows) == 6 + 7


def test_figures_of_sales_are_those_of_the_events(compared, out) -> None:
    events = load_run(out / "euler-v2").frames["events"]
    sales = events[events["event"] == "CollateralSold"]["values"]
    found = get_row(compared, "euler-v2")["sales"]
    assert found["count"] == len(sales) > 1
    assert int(found["paid_wad"]) > 100_000 * WAD
    # An order of losses leaves auctions, and what is not sold by them it shows beside the others.
    umbrella = get_row(compared, "aave-umbrella")
    assert umbrella["sales"] is None and int(umbrella["debt_rad"]) > 0
    assert get_row(compared, "euler-v2")["debt_rad"] == "0"


def test_what_is_lost_is_booked_when_the_collateral_is_gone(compared) -> None:
    """The principal that buyers did not repay is the loss; the rest is not booked."""
    row = get_row(compared, "euler-v2")
    sold, paid = int(row["sales"]["principal_rad"]), int(row["sales"]["paid_wad"]) * RAY
    assert 0 <= int(row["created_rad"]) - (sold - paid) < RAD
    assert int(row["unbooked_rad"]) > 1_000 * RAD


def test_lines_and_strips_tell_what_is_not_booked(compared, out) -> None:
    titles = [line.title.strip() for line in list_comparison_line_specs(compared)]
    assert {"debt sold at a discount", "repaid by buyers", "owed beyond collateral, not booked"} <= set(
        titles
    )
    for row, strip in zip(compared["presets"], build_preset_loss_strips(compared), strict=True):
        unbooked = [share.value for share in strip.shares if share.label == UNBOOKED]
        assert sum(unbooked) == int(row["unbooked_rad"])
    assert UNBOOKED.partition(":")[0] in write_page(compared, out).read_text()


def test_without_a_system_there_is_no_such_line(compared) -> None:
    alone = {**compared, "presets": [get_row(compared, "aave-umbrella")]}
    titles = [line.title for line in list_comparison_line_specs(alone)]
    assert not [title for title in titles if "discount" in title or "booked" in title]
    assert UNBOOKED not in [share.label for share in build_preset_loss_strips(alone)[0].shares]


def test_what_partial_sales_cost_adds_up(compared, out) -> None:
    """The losses of parties, and the unbooked loss, equal the gains of others; keepers have their profit."""
    cost = next(cost for cost in compared["naive"] if cost["rule"] == "partial-sales")
    runs = "euler-v2", "euler-v2-without-partial-sales"
    naive, ours = (load_run(out / name).summary for name in runs)
    net = [
        int(each["losses"]["created_rad"])
        - int(each["losses"]["recovered_rad"])
        + sum(int(entry["underwater_rad"]) for entry in each["collateral_types"])
        for each in (naive, ours)
    ]
    gains = {party["party"]: int(party["gain_wad"]) for party in cost["parties"]}
    profit = [
        sum(int(each["profit_wad"]) for each in run["keepers"] if each["role"] != "member")
        for run in (naive, ours)
    ]
    assert gains.pop("keepers") == profit[0] - profit[1]
    assert abs(sum(gains.values()) - (net[1] - net[0]) // RAY) <= 10
    assert gains["not yet covered"] < -1_000 * WAD
    assert cost["title"].startswith("any part of an unsafe vault is sold, and its loss stays unbooked")


@pytest.fixture(scope="module")
def pooled(out):
    """Return a day on which all liquidators are down while prices drop: insolvent vaults meet full pools."""
    scenario = out / "down.yaml"
    down = "{night_watch: {outages: [{from: 01:20, to: 04:00}]}}"
    scenario.write_text(f"extends: {SMALL}\ntitle: All down\nkeepers: {down}\n")
    return compare(str(scenario), load_presets("liquity-v2"), "model", 1, out)


def test_figures_of_pools_are_those_of_the_summaries(compared, pooled, out) -> None:
    row = get_row(pooled, "liquity-v2")
    types = load_run(out / "liquity-v2").summary["collateral_types"]
    assert row["pools"]["count"] == sum(each["stability_pool"]["offsets"] for each in types) > 1
    for name in ("principal_rad", "paid_wad", "worth_wad", "gain_wad", "reward_worth_wad"):
        assert int(row["pools"][name]) == sum(int(each["stability_pool"][name]) for each in types)
    titles = [line.title.strip() for line in list_comparison_line_specs(pooled)]
    assert {"debt offset by stability pools", "members' gain at the end"} <= set(titles)
    assert {each["pools"] for each in compared["presets"]} == {None} and row["sales"] is None


def test_what_an_instant_pool_costs_is_what_its_members_have_less(pooled, out) -> None:
    (cost,) = pooled["naive"]
    assert cost["rule"] == "instant-pool"
    gains = [
        sum(
            int(each["stability_pool"]["gain_wad"])
            for each in load_run(out / name).summary["collateral_types"]
        )
        for name in ("liquity-v2", "liquity-v2-without-instant-pool")
    ]
    parties = {party["party"]: int(party["gain_wad"]) for party in cost["parties"]}
    assert parties["members of stability pools"] == gains[0] - gains[1] < -10_000 * WAD
