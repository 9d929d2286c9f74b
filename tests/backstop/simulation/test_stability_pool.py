"""A run in which stability pools repay unsafe vaults: members' balances, the summary and the page."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backstop.cli.command_helpers import print_run_summary
from backstop.errors import BackstopError
from backstop.model.arithmetic import BASIS_POINTS, RAY, WAD
from backstop.report.run_page import compute_unexplained_loss, render_page
from backstop.simulation.run_directory import Run, load_run
from backstop.simulation.scenario import build_vault_book, load_scenario
from backstop.simulation.simulator import simulate
from backstop.simulation.stability_pool_totals import sum_stability_pool_figures
from tests.support.checkout_paths import DATA

POOLS = DATA / "runs" / "stability-pool.yaml"
ETHER_UNIT, BITCOIN_UNIT = 1, 10**10


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run in lockstep on revm: every field of every step is compared."""
    directory: Path = tmp_path_factory.mktemp("runs") / "stability-pool"
    simulate(load_scenario(POOLS), "revm", 1, directory)
    return load_run(directory)


def list_offsets(run: Run, collateral_type: int) -> list[list[Any]]:
    """The values of the events of a type's offsets, with integers."""
    events = run.frames["events"]
    rows = events[events["event"] == "CollateralSold"]["values"]
    found = [
        [each if str(each).startswith("0x") else int(each) for each in json.loads(values)] for values in rows
    ]
    return [values for values in found if values[0] == collateral_type]


def get_pools(run: Run) -> tuple[dict[str, Any], dict[str, Any]]:
    ether, bitcoin, gold = run.summary["collateral_types"]
    assert "stability_pool" not in gold
    return ether["stability_pool"], bitcoin["stability_pool"]


def test_model_and_contracts_agree_to_the_end(run) -> None:
    assert run.summary["completed"] and run.summary["differences"] == 0
    assert run.summary["fields_compared"] > 1_000
    assert run.summary["ledger"]["balance_gap_rad"] == "0"


def test_deposits_take_part_from_the_first_block_on(run) -> None:
    events = run.frames["events"]
    admitted = events[events["event"] == "EntriesAdmitted"]
    assert list(admitted["contract"]) == ["StabilityPool.ETH", "StabilityPool.WBTC"]
    assert admitted["timestamp"].max() < run.summary["started_at"]
    amounts = [int(json.loads(values)[0]) for values in admitted["values"]]
    ether, bitcoin = get_pools(run)
    assert amounts[0] == 400_000 * WAD == sum(int(each["deposit_wad"]) for each in ether["members"])
    scenario = load_scenario(POOLS)
    book = build_vault_book(scenario, 1, scenario.first_prices)
    debt = sum(vault.debt for vault in book if vault.symbol == "WBTC")
    assert amounts[1] == debt * 5 // 100 == int(bitcoin["members"][0]["deposit_wad"])


def test_liquidators_call_the_pools_and_auction_rests_of_one_alone(run) -> None:
    actions = run.frames["actions"]
    done = actions[actions["ok"] & (actions["method"] == "liquidate")].groupby(["contract"]).size()
    assert done["StabilityPool.ETH"] and done["StabilityPool.WBTC"] and done["LiquidationEngine"]
    assert not actions["method"].isin(["liquidate_and_buy", "liquidate_and_sell"]).any()
    auctioned = {row for row in run.frames["auctions"]["symbol"]}
    assert auctioned == {"ETH"}


def test_the_summary_adds_the_offsets_up(run) -> None:
    for c, (entry, unit) in enumerate(zip(get_pools(run), (ETHER_UNIT, BITCOIN_UNIT), strict=True)):
        own = list_offsets(run, c)
        assert entry["offsets"] == len(own) > 0
        rewards = [(values[3] - values[4]) * 50 // BASIS_POINTS // unit * unit for values in own]
        sent = sum(values[3] - values[4] for values in own)
        assert int(entry["reward_wad"]) == sum(rewards)
        assert int(entry["collateral_wad"]) == sent - sum(rewards)
        assert int(entry["paid_wad"]) == sum(values[5] for values in own)
        lost = sum(max(0, values[6] - values[5] * RAY) for values in own)
        assert int(entry["principal_rad"]) == sum(values[6] for values in own)
        assert int(entry["lost_rad"]) == lost
        assert int(entry["repaid_rad"]) + lost == int(entry["principal_rad"])
        price = int(run.summary["collateral_types"][c]["final_price_ray"])
        gain = int(entry["collateral_wad"]) * price // RAY - int(entry["paid_wad"])
        assert int(entry["gain_wad"]) == gain


def test_members_get_a_penalty_at_the_feeds_price_and_share_it(run) -> None:
    ether, _ = get_pools(run)
    # At 5% less a reward of 0.5% of it all, the vaults were worth their debt and more.
    expected = int(ether["paid_wad"]) * 105 * 995 // 100_000
    assert ether["lost_rad"] == "0" and abs(int(ether["worth_wad"]) - expected) < expected // 10**6
    alice, bob = ether["members"]
    assert abs(int(alice["collateral_wad"]) - 9 * int(bob["collateral_wad"])) < 100
    # The rounding of shares stays in the pool: next to nothing.
    assert 0 <= int(ether["collateral_wad"]) - sum(int(each["collateral_wad"]) for each in (alice, bob)) < 100
    price = int(run.summary["collateral_types"][0]["final_price_ray"])
    worth = int(alice["coins_wad"]) + int(alice["collateral_wad"]) * price // RAY
    assert int(alice["end_wad"]) == worth


def test_a_rest_is_auctioned_or_written_off(run) -> None:
    ether, bitcoin = get_pools(run)
    auctions = run.frames["auctions"]
    assert int(ether["auctioned_rad"]) == sum(map(int, auctions["principal_rad"])) > 0
    assert ether["written_off_rad"] == "0" and bitcoin["auctioned_rad"] == "0"
    assert int(bitcoin["written_off_rad"]) == int(bitcoin["lost_rad"]) > 0
    # One coin stays.
    assert int(bitcoin["coins_wad"]) == WAD


def test_losses_and_who_bore_them_count_offsets(run) -> None:
    totals = sum_stability_pool_figures(run.summary)
    assert totals is not None and totals["lost_rad"]
    lost = sum(map(int, run.frames["auctions"]["principal_lost_rad"]))
    rewards = int(run.summary["losses"]["created_rad"]) - lost - totals["lost_rad"]
    assert 0 <= rewards < 10_000 * WAD * RAY
    assert compute_unexplained_loss(run.summary) == 0


def test_a_liquidators_reward_is_part_of_its_profit(run) -> None:
    profit = {each["name"]: int(each["profit_wad"]) for each in run.summary["keepers"]}
    actions = run.frames["actions"]
    pool_calls = actions["contract"].str.startswith("StabilityPool.")
    done = actions[actions["ok"] & (actions["method"] == "liquidate") & pool_calls]
    assert {"night_watch"} <= set(done["sender_name"]) and profit["night_watch"] > 0


def test_the_page_has_a_section_of_pools(run) -> None:
    html = render_page(run)
    section = re.search(r'<section id="pools">(.*?)</section>', html, re.DOTALL)
    assert section is not None
    figures = [
        "offsets",
        "principal_rad",
        "repaid_rad",
        "lost_rad",
        "written_off_rad",
        "auctioned_rad",
        "collateral_wad",
    ]
    for figure in (*figures, "worth_wad", "gain_wad", "reward_worth_wad", "coins_wad", "members.0.end_wad"):
        for c in (0, 1):
            assert f'data-path="collateral_types.{c}.stability_pool.{figure}"' in section[1]
    assert "collateral_types.2" not in section[1] and "alice" in section[1]
    assert "that stability pools did not repay" in html and '<section id="sales">' not in html


def test_the_console_names_the_pools(run, capsys) -> None:
    print_run_summary(run.summary, None, None, False)
    totals = sum_stability_pool_figures(run.summary)
    assert totals is not None
    assert re.search(rf"by stability pools +{totals['offsets']} ", capsys.readouterr().out)


def test_a_run_without_pools_says_nothing_of_them(capsys) -> None:
    simulation = simulate(load_scenario(DATA / "runs" / "small.yaml"), "model", 1)
    assert "stability" not in json.dumps(simulation.summary)
    assert sum_stability_pool_figures(simulation.summary) is None
    print_run_summary(simulation.summary, None, None, False)
    assert "stability" not in capsys.readouterr().out


def test_members_of_the_naive_pool_pay_more_than_their_collateral_is_worth(tmp_path) -> None:
    file = tmp_path / "naive.yaml"
    file.write_text(
        f"extends: {POOLS}\ntitle: Naive\nparameters:\n  stability_pool_contract: InstantStabilityPool\n"
        "  collateral_types: {ETH: {liquidation_ratio: 110%, initial_ratio: 111%, auction: {penalty: 5%}}}\n"
        "keepers: {night_watch: {outages: [{from: 01:20, to: 04:00}]}}\n"
        "unsafe: {naive-contract: To compare with.}\n"
    )
    naive = load_scenario(file)
    ours = replace(naive, parameters=replace(naive.parameters, stability_pool_contract="StabilityPool"))
    found = [simulate(each, "model", 1).summary["collateral_types"][0] for each in (naive, ours)]
    naive_pool, our_pool = (each["stability_pool"] for each in found)
    assert naive_pool["offsets"] and our_pool["offsets"] and naive_pool["lost_rad"] == "0"
    assert int(naive_pool["worth_wad"]) < int(naive_pool["paid_wad"])
    # Payments are rounded up, and the worth of collateral down: two wei for each vault.
    rounded = int(our_pool["worth_wad"]) + 2 * our_pool["offsets"]
    assert int(our_pool["paid_wad"]) <= rounded and int(our_pool["lost_rad"]) > 0


@pytest.mark.parametrize("contract", ["StabilityPool", "InstantStabilityPool"])
def test_members_who_leave_in_a_crash_are_paid_at_once_by_the_naive_pool_alone(contract) -> None:
    """In ours they wait for the cooldown, and their coins repay vaults meanwhile."""
    scenario = load_scenario(POOLS)
    members = tuple(replace(each, leaves_at=1_800) for each in scenario.stability_pool_members)
    parameters = replace(scenario.parameters, stability_pool_contract=contract)
    summary = simulate(
        replace(scenario, parameters=parameters, stability_pool_members=members), "model", 1
    ).summary
    pool = summary["collateral_types"][0]["stability_pool"]
    has_left = contract == "InstantStabilityPool"
    assert (int(pool["repaid_rad"]) == 0) == has_left == (pool["offsets"] == 0)
    # The last coin of the pool cannot be withdrawn.
    assert [int(each["coins_wad"]) // WAD for each in pool["members"]] == (
        [360_000, 40_000] if has_left else [0, 0]
    )
    assert summary["completed"]


def test_deposits_beyond_what_vaults_draw_are_refused(tmp_path) -> None:
    file = tmp_path / "rich.yaml"
    pool = "{ETH: {stability_pool: {members: {alice: 90_000_000 stablecoin}}}}"
    file.write_text(f"extends: {POOLS}\ntitle: Rich\nparameters: {{collateral_types: {pool}}}\n")
    with pytest.raises(BackstopError, match="the scenario does not fit: its vaults draw"):
        simulate(load_scenario(file), "model", 1)
