"""A path that ends in the crash loses by the later sales, too: an unsold auction is not paid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import backstop
from backstop.model.arithmetic import RAD, WAD
from backstop.simulation.scenario import load_scenario
from backstop.simulation.simulator import simulate
from backstop.studies.risk_questions.path_runner import PathRunner, get_column
from backstop.studies.stress.columns import OutcomeColumns
from backstop.studies.stress.engines import Task
from backstop.studies.stress.stress_summary import describe_caps

COIN = 10**6
UNSAFE = 200_000
"""Debt of the two vaults that become unsafe as ETH falls to 800 dollars; they lock 180 coins."""


def outcome(day, engine: str) -> dict[str, float]:
    """Return the columns of the first of two equal paths, in whole stablecoins."""
    (rows,) = PathRunner(2, engine=engine).run_outcomes([day])
    names = ("bad_debt", "bad_debt_ETH", "bad_debt_BTC", "outstanding", "unsold", "liquidated_debt")
    return {name: get_column(day, rows, name)[0] / COIN for name in names}


def without(day, role: str):
    """Return the scenario without the keepers of a role."""
    return replace(day, keepers=tuple(group for group in day.keepers if group.role != role))


@pytest.mark.parametrize("engine", ("fast", "model"))
def test_a_path_that_ends_in_the_crash_loses_as_much_as_one_that_goes_on(known, engine) -> None:
    """At the end after ten minutes the feed has not yet seen the price drop."""
    day = load_scenario(known)
    short = outcome(replace(day, duration=600), engine)
    assert short["unsold"] == short["bad_debt_BTC"] == 0
    assert short["liquidated_debt"] == pytest.approx(UNSAFE, rel=1e-3)
    # The buyer pays four fifths of 180 coins at 800, less what falls in two blocks.
    paid = UNSAFE - short["bad_debt"]
    assert 0.93 * 0.8 * 180 * 800 <= paid <= 0.8 * 180 * 800
    assert short["bad_debt"] == pytest.approx(outcome(day, engine)["bad_debt"], rel=1e-3)


@pytest.mark.parametrize("engine", ("fast", "model"))
def test_what_nobody_buys_is_lost_in_full(known, engine) -> None:
    """Fewer buyers never make the figure smaller: without any, lots bring nothing."""
    day = without(replace(load_scenario(known), duration=600), "bidder")
    found = outcome(day, engine)
    assert found["unsold"] == found["liquidated_debt"] == pytest.approx(UNSAFE, rel=1e-3)
    # Besides, the reserve could not pay rewards of 100 and a thousandth for either auction.
    assert found["bad_debt"] == found["bad_debt_ETH"] == pytest.approx(found["unsold"] + 426, rel=1e-4)
    assert 0 < found["outstanding"] < found["bad_debt"]  # pools pay for the rewards


@pytest.mark.parametrize("engine", ("fast", "model"))
@pytest.mark.parametrize(("capital", "paths"), [(350_000, 0), (60_000, 2)])
def test_buyers_whose_capital_is_used_up_cap_sales(known, engine, capital, paths) -> None:
    """Of 180 coins at four fifths of 800 dollars, 115,200, sixty thousand buy a half."""
    day = replace(load_scenario(known), duration=600)
    desk = tuple(replace(g, capital=capital * WAD) if g.role == "bidder" else g for g in day.keepers)
    day = replace(day, keepers=desk)
    (rows,) = PathRunner(2, engine=engine).run_outcomes([day])
    columns = OutcomeColumns.from_parameters(day.parameters)
    left, unsold = (rows[0, columns.get_index(name)] / COIN for name in ("buyers_left", "unsold"))
    spent = min(capital, 0.8 * 180 * 800)
    assert capital - left == pytest.approx(spent, rel=0.07) and left >= 0
    found = describe_caps(Task(day, 1, engine), columns, rows)
    assert found["buyers_capital_micro"] == capital * COIN
    causes = {each["cause"]: each for each in found["causes"]}
    assert causes["buyers"]["paths"] == causes["buyers"]["unsold_paths"] == paths
    assert causes["buyers"]["unsold_micro"] / COIN == pytest.approx(unsold, abs=1)
    assert bool(unsold > left) == (paths > 0)
    assert causes["other"]["paths"] == 0


def test_caps_are_counted_path_by_path(known) -> None:
    """Of a capital of 350,000, of markets that lack a share of their depth, and of debt that is unsold."""
    day = load_scenario(known)
    columns, depth = OutcomeColumns.from_parameters(day.parameters), 100_000
    markets = {name: replace(each, depth=depth * WAD, debt_to_depth=0) for name, each in day.markets.items()}
    paths = [  # what buyers have left, what markets lack of 200,000, what is unsold
        (3_499, 0, 0),
        (3_500, 0, 0),
        (5_000, 2_001, 5_001),
        (5_000, 2_000, 5_000),
    ]
    rows = np.zeros((len(paths), len(columns.names)), dtype=np.int64)
    for name, values in zip(
        ("buyers_left", "depth_missing", "unsold"), zip(*paths, strict=True), strict=True
    ):
        rows[:, columns.get_index(name)] = np.array(values) * COIN
    found = describe_caps(Task(replace(day, markets=markets), 1, "fast"), columns, rows)
    counts = {each["cause"]: (each["paths"], each["unsold_paths"]) for each in found["causes"]}
    assert counts == {"buyers": (2, 1), "stablecoins": (1, 1), "other": (1, 1)}
    assert [each["unsold_micro"] for each in found["causes"]] == [2_500_500_000, 5_001_000_000, 5_000_000_000]


@pytest.mark.parametrize("engine", ("fast", "model"))
@pytest.mark.parametrize(("depth", "paths"), [(30_000, 0), (1_000_000, 2)])
def test_markets_lack_what_does_not_circulate(known, engine, depth, paths) -> None:
    """On a calm path the market maker has the drawn stablecoins, less those given to others."""
    day = replace(load_scenario(known), duration=600)
    path = day.prices["ETH"]
    still = replace(path, points=dict.fromkeys(path.points, path.points[0]))
    markets = {name: replace(each, depth=depth * WAD, debt_to_depth=0) for name, each in day.markets.items()}
    day = replace(day, prices={**day.prices, "ETH": still}, markets=markets)
    pools = (members for pool, members in day.members.items() if pool != "staked_equity")
    given = sum(amount for members in pools for amount in members.values()) + day.reserve
    given += sum(group.count * group.endowment for group in day.keepers if group.asset == "Stablecoin")
    circulating = 500_000 - given / WAD
    (rows,) = PathRunner(2, engine=engine).run_outcomes([day])
    columns = OutcomeColumns.from_parameters(day.parameters)
    lacking = rows[0, columns.get_index("depth_missing")] / COIN
    assert lacking == pytest.approx(max(0, 2 * depth - circulating), abs=1)
    found = describe_caps(Task(day, 1, engine), columns, rows)
    assert found["depth_micro"] == 2 * depth * COIN
    assert [each["paths"] for each in found["causes"]] == [0, paths, 0]


@pytest.mark.parametrize("engine", ("fast", "model"))
def test_what_nobody_liquidates_is_lost_as_far_as_it_is_under_water(known, engine) -> None:
    day = without(replace(load_scenario(known), duration=600), "liquidator")
    found = outcome(day, engine)
    assert found["liquidated_debt"] == 0
    assert found["unsold"] == pytest.approx(UNSAFE, rel=1e-3)
    assert found["bad_debt"] == pytest.approx(UNSAFE - 180 * 800, rel=1e-2)


def test_a_path_with_nothing_to_sell_ends_when_it_ends(known) -> None:
    """Its run on the contracts has as many blocks as its time, and a path that sells has more."""
    day = replace(load_scenario(known), duration=600)
    path = day.prices["ETH"]
    still = replace(path, points=dict.fromkeys(path.points, path.points[0]))
    calm = replace(day, prices={**day.prices, "ETH": still})
    ends = {
        name: int(simulate(each, "model", path=0).summary["ended_at"]) - day.start
        for name, each in {"calm": calm, "crash": day}.items()
    }
    assert ends["calm"] == 600 < ends["crash"] < 12 * 3_600
    plain = simulate(day, "model").summary
    assert plain["ended_at"] - day.start == 600


def test_the_answer_says_what_is_unsold(known, tmp_path) -> None:
    short = tmp_path / "short.yaml"
    short.write_text(f"extends: {known}\nduration: 10 min\nkeepers: {{desk: null}}\n")
    means = backstop.at_risk(short, 20).groupby("of")["mean_micro"].min()
    assert means["unsold"] == UNSAFE * COIN < means["all"]


@pytest.mark.parametrize("role", ("bidder", "liquidator"))
def test_owners_lose_what_nobody_buys_or_liquidates(known, role) -> None:
    """Without a buyer all that they owe; without a liquidator what their coins at 800 are short of it."""
    day = without(replace(load_scenario(known), duration=600), role)
    lost = backstop.owners(day, 2, worst=1).set_index("owner")["lost_rad"]
    short = {"bidder": (100_000, 100_000), "liquidator": (100_000 - 80 * 800, 100_000 - 100 * 800)}[role]
    assert [lost[name] / RAD for name in ("anna", "bert")] == pytest.approx(short, rel=1e-3)
    assert lost["cleo"] == 0
    bad_debt = outcome(day, "model")["bad_debt"]
    # Rewards that the reserve cannot pay are nobody's.
    assert sum(lost) / RAD == pytest.approx(bad_debt - (426 if role == "bidder" else 0), rel=1e-4)


def test_losses_of_vaults_that_are_opened_on_the_way_are_in_a_row_of_their_own(known, tmp_path) -> None:
    """A borrower draws at 151% before the price drop, and the rows add up to the whole loss."""
    file = tmp_path / "later.yaml"
    file.write_text(
        f"""extends: {known}
prices: {{ETH: {{assumed: {{00:05: 2_000 USD, 01:00: 800 USD}}}}}}
keepers:
  late: {{role: borrower, collateral: ETH, capital: 200_000 stablecoin, each: 50_000 stablecoin, ratio: 156%,
    heartbeat: 30 min, gas_price: {{follow: 110%, cap: 100 gwei}}}}
"""
    )
    found = backstop.owners(file, 2, worst=1, by="lost", engine="model").set_index("owner")
    assert found["lost_rad"]["opened later"] > 10_000 * RAD and found["debt_wad"]["opened later"] == 0
    bad_debt = outcome(load_scenario(file), "model")["bad_debt"]
    # But for rewards that the reserve cannot pay: 100 and a thousandth for each of three or four auctions.
    assert 0 <= bad_debt - sum(found["lost_rad"]) / RAD < 4 * 300


def test_a_path_ends_before_stages_pay_for_its_last_auction() -> None:
    """So `outstanding` is an upper bound: on path 63 the buffer pays all of it within six hours more."""
    day = load_scenario("stress-day")
    ends, later = (
        simulate(day, "revm", 1, path=63, aftermath=seconds).summary["losses"] for seconds in (0, 6 * 3_600)
    )
    assert ends["created_rad"] == later["created_rad"]
    assert 30_000 * RAD < int(ends["outstanding_rad"]) < 32_000 * RAD
    assert int(later["outstanding_rad"]) == 0
    paid = {each["stage"]: int(each["rad"]) for each in later["covered"]}
    assert paid["buffer"] == int(later["created_rad"])
