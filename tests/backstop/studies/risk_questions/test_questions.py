"""Questions with answers that follow from the book by hand, or from the model to the wei."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import backstop
from backstop.deployment.parameter_dataclasses import PolicyParameters
from backstop.errors import BackstopError
from backstop.model.arithmetic import RAY, WAD
from backstop.randomness import SeededRandom
from backstop.simulation.scenario import load_scenario
from backstop.simulation.scenario.scenario_records import PricePath, TypeAssets
from backstop.simulation.sources.default_owner_behavior import PATH
from backstop.studies.risk_questions.assumption_cases import (
    build_scenario_changes_by_name,
    find_other_reaction,
)
from backstop.studies.risk_questions.debt_ceiling import _DebtSizes
from backstop.studies.risk_questions.liquidations_at_price_drop import FALLS, Position, compute_fall_rows
from backstop.studies.risk_questions.path_runner import PathRunner, get_column
from backstop.studies.stress.path_statistics import Estimate
from tests.backstop.studies.risk_questions.conftest import OWNERS

BRIEF = "tests/backstop/studies/risk_questions/test_questions.py::test_what_nobody_can_buy_is_no_answer"
RATIO = "parameters.collateral_types.ETH.{}"


def test_falls_are_those_of_the_book(known) -> None:
    """150% is asked for: 160% is unsafe from a fall of 6.25% on, 200% from 25%, 400% from 62.5%."""
    found = backstop.falls(known, [600, 625, 626, 2_500, 2_501, 6_250, 6_251, 8_000])
    eth = found[found["falling"] == "ETH"].set_index("fall_bps")
    assert list(eth["vaults"]) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert eth["debt_wad"][2_501] == 200_000 * WAD and eth["debt_share_bps"][2_501] == 4_000
    # At 400 dollars 80, 100 and 400 coins are worth 32,000, 40,000 and 160,000.
    assert eth["worth_wad"][8_000] == 232_000 * WAD
    assert eth["missing_wad"][8_000] == (68_000 + 60_000 + 40_000) * WAD
    together = found[found["falling"] == "all"].set_index("fall_bps")
    assert together["debt_wad"][2_501] == 300_000 * WAD and together["vaults"][2_501] == 3
    assert {type(each) for each in found["debt_wad"]} == {int}


def test_a_vault_by_itself_counts_as_an_account_of_one() -> None:
    """The short way for vaults without an account is the long one, to the wei, also on the boundary."""
    dice = SeededRandom(1, "falls")
    assets = {"ETH": TypeAssets("WETH"), "ETH-B": TypeAssets("WETH"), "LOOP": TypeAssets("BTC", "WETH")}
    prices = {"ETH": 2_000 * RAY + 1, "ETH-B": 2_000 * RAY + 1, "LOOP": 60_000 * RAY // 7}
    positions = []
    for number in range(300):
        symbol, ratio = list(assets)[number % 3], (11_000, 15_000)[number % 2]
        locked = dice.draw_integer(1, 10**20)
        # Every fifth is at its boundary after a fall by 30%, to a wei.
        least = -(-locked * prices[symbol] * 7_000 // ratio // RAY)
        debt = (
            least + dice.draw_integer(-1, 1) if number % 5 == 0 else least * dice.draw_integer(40, 160) // 100
        )
        positions.append(Position(symbol, locked, debt * RAY, ratio))
    named = [each._replace(account=f"owner-{number}") for number, each in enumerate(positions)]
    rows = compute_fall_rows(positions, prices, FALLS, assets)
    assert rows == compute_fall_rows(named, prices, FALLS, assets)
    assert len({row["debt_wad"] for row in rows}) > 12


GROWS = ((1_000, 0), (2_000, 500))


@pytest.mark.parametrize("policy", (PolicyParameters(of_vaults=GROWS), PolicyParameters(of_type=GROWS)))
def test_margins_that_grow_with_size_are_no_ratio(known, policy) -> None:
    day = load_scenario(known)
    first, *others = day.parameters.collateral_types
    types = (replace(first, policy=policy), *others)
    with pytest.raises(BackstopError, match="margins by size are not counted"):
        backstop.falls(replace(day, parameters=replace(day.parameters, collateral_types=types)))


@pytest.mark.parametrize("fall", (626, 2_501))
def test_what_falls_say_the_model_liquidates(known, fall) -> None:
    day = load_scenario(known)
    whole = {symbol: path.points[0] for symbol, path in day.prices.items()}
    fallen = {
        symbol: PricePath(
            {
                at: price if at == 0 else price * (10_000 - fall) // 10_000
                for at in range(0, day.duration + 1, day.block_time)
            },
            frozenset(),
            0,
        )
        for symbol, price in whole.items()
    }
    (rows,) = PathRunner(2, engine="model").run_outcomes([replace(day, prices=fallen)])
    found = backstop.falls(known, [fall])
    debt = found[found["falling"] == "all"]["debt_wad"].iloc[0]
    assert set(get_column(day, rows, "liquidated_debt").tolist()) == {debt // 10**12} and debt


def test_the_buyer_pays_what_it_pays(known) -> None:
    """ETH falls to 800 dollars: 80 and 100 coins bring four fifths of that, less what falls in two blocks."""
    every = backstop.at_risk(known, 20)
    found = every.iloc[0]
    lost = found["mean_micro"] / 10**6
    paid = 200_000 - lost
    assert 0.93 * 0.8 * 180 * 800 <= paid <= 0.8 * 180 * 800
    assert found["chance_bps"] == 10_000
    btc = every[every["of"] == "BTC"]
    assert list(btc["mean_micro"]) == list(btc["chance_bps"]) == [0, 0]


@pytest.mark.deep(brief=BRIEF)
def test_a_ceiling_is_as_large_as_losses_are_small(known) -> None:
    """Losses are in proportion to the debt, so that the answer is too."""
    lost = backstop.at_risk(known, 200).iloc[0]["shortfall_micro"] / 10**6
    limit = round(1.8 * lost)
    found = backstop.ceiling(known, "ETH", limit, 200)
    assert found.likely == pytest.approx(1.8 * 400_000, rel=0.03)
    assert found.sure is not None and found.likely is not None and found.over is not None
    assert found.sure <= found.likely < found.over
    for name in ("debt_wad", "shortfall_micro"):
        assert (found.probes[name].diff().dropna() > 0).all()
    small = backstop.ceiling(known, "ETH", round(lost / 10), 200)
    assert small.likely == pytest.approx(40_000, abs=4_000)  # in whole per cents of today's
    # A type that never loses may grow as far as the contracts let it.
    assert backstop.ceiling(known, "BTC", 1, 200).likely == 100 * 100_000


def test_sizes_of_the_table_are_rounded_as_those_of_the_sentence(known) -> None:
    """70% of 101 stablecoins are 70, in both."""
    sizes = _DebtSizes(load_scenario(str(known)), "ETH", PathRunner(20), 0.5)
    sizes.whole, sizes.found = 101 * WAD, {70: Estimate(1.0, 1.0, 1.0)}
    assert list(sizes.to_frame(2)["debt_wad"]) == [70 * WAD] == [sizes.compute_debt_at_percent(70) * WAD]


def test_what_nobody_can_buy_is_no_answer(known) -> None:
    """Half of the type's debt is liquidated, and beyond the buyer's 350,000 nothing is paid."""
    found = backstop.ceiling(known, "ETH", 400_000, 20, level=5_000)
    assert found.likely == pytest.approx(2 * (350_000 + 400_000), rel=0.03)


def test_owners_are_who_owes_and_who_loses(known) -> None:
    found = backstop.owners(known, 20, worst=2).set_index("owner")
    assert list(found.index) == ["anna", "cleo", "bert"]
    assert list(found["debt_wad"]) == [200_000 * WAD, 200_000 * WAD, 100_000 * WAD]
    assert list(found["vaults"]) == [2, 1, 1] and list(found["debt_so_far_bps"]) == [4_000, 8_000, 10_000]
    assert found["lost_rad"]["cleo"] == 0 < found["lost_rad"]["bert"] < found["lost_rad"]["anna"]
    # Each loses its 100,000 less what 80 or 100 coins brought, on each of two paths.
    brought = [2 * 100_000 - found["lost_rad"][name] / 10**45 for name in ("anna", "bert")]
    assert brought[0] / brought[1] == pytest.approx(0.8, rel=0.01)
    first = backstop.owners(known, 20, worst=2, largest=1, by="lost")
    assert list(first["owner"]) == ["anna", "all others"] and first["lost_so_far_bps"].iloc[1] == 10_000


def test_payers_add_up_to_what_is_lost(known) -> None:
    found = backstop.payers(known, "morpho-lenders,backstop", 4)
    assert list(dict.fromkeys(found["preset"])) == ["as it is", "morpho-lenders", "backstop"]
    lost = backstop.at_risk(known, 4, engine="model").iloc[0]["mean_micro"]
    for _, rows in found.groupby("preset"):
        assert rows["mean_micro"].sum() == pytest.approx(lost, abs=10)
    # Without a pool before them, savers pay all that they have, a tenth of the debt.
    morpho = found[found["preset"] == "morpho-lenders"].set_index("payer")
    assert morpho["mean_micro"]["savers"] == pytest.approx(50_000 * 10**6, rel=1e-4)
    assert morpho["mean_micro"]["holders"] == pytest.approx(lost - 50_000 * 10**6, rel=1e-3)
    # Half of the junior pool's 10,000, then a tenth of the savers'.
    own = found[found["preset"] == "as it is"].set_index("payer")
    assert own["mean_micro"]["junior"] == pytest.approx(5_000 * 10**6, rel=0.01)
    assert own["mean_micro"]["savers"] == pytest.approx(5_000 * 10**6, rel=0.01)


def test_a_proposal_that_changes_nothing_or_everything(known) -> None:
    same = backstop.proposal(
        known, {RATIO.format("debt_ceiling"): "5_000_000 stablecoin"}, 20, level=5_000, sensitivity=False
    )
    assert same.verdict == "changes nothing" and "none of 20 paths" in same.sentence
    assert same.besides == ("By type: changes nothing for ETH, BTC.",)
    assert len(same.alone) == len(same.sensitivity) == 0
    worse = backstop.proposal(known, {"keepers.desk.takes_at": "60%"}, 20, level=5_000, sensitivity=False)
    assert worse.besides == ("By type: raises that of ETH; changes nothing for BTC.",)
    assert dict(worse.before) == {"keepers.desk.takes_at": "80%"}
    before = backstop.at_risk(known, 20).iloc[0]["mean_micro"]
    row = worse.figures[(worse.figures["figure"] == "average") & (worse.figures["of"] == "all")].iloc[0]
    assert row["now_micro"] == before and row["verdict"] == "raises it"
    # Of 144,000 dollars' worth it pays three fifths instead of four, less what falls in two blocks.
    assert 0.88 * 0.2 * 144_000 <= row["change_micro"] / 10**6 <= 0.2 * 144_000
    btc = worse.figures[worse.figures["of"] == "BTC"]
    assert set(btc["verdict"]) == {"changes nothing"}


def test_a_higher_ratio_makes_debt_unsafe_at_once(known) -> None:
    changes = {RATIO.format("liquidation_ratio"): "170%", RATIO.format("initial_ratio"): "175%"}
    found = backstop.proposal(known, changes, 20, level=5_000, sensitivity=False)
    assert found.unsafe_wad == (0, 100_000 * WAD)
    # The type owes four fifths of the debt: one over 155%, and one over 175%.
    assert found.efficiency == (6_451, (4 * 5_714 + 6_451) // 5)
    assert list(found.alone["change"]) == [RATIO.format("initial_ratio")]  # the other needs it
    assert any(line.startswith("Under the proposal: Of its rows, 1 under") for line in found.assumptions)


ODD = """
block_time: 70 s
duration: 350 min
prices:
  ETH: {assumed: {00:05: null, 06:00: null, 00:07: 800 USD, 05:50: 800 USD}}
  BTC: {assumed: {06:00: null, 05:50: 100_000 USD}}
markets: {ETH: {every: 7 min}, BTC: {every: 7 min}}
"""


def test_owners_react_by_the_package_or_stand_still_where_they_react(known, lived) -> None:
    """Owners that look each hour are no case where an hour is no whole number of blocks."""
    default = known.with_name("default.yaml")
    default.write_text(f"extends: {known.name}\nowners: {{file: {PATH}}}\n")
    day, reacting, own = map(load_scenario, (known, default, lived))
    (_, react), (_, still) = list(build_scenario_changes_by_name().items())[-2:]
    assert reacting.owners is not None and own.owners not in (None, reacting.owners)
    assert (react(day).owners, still(day)) == (reacting.owners, day)
    assert (react(own), replace(still(own), name="known", title=day.title)) == (own, day)
    found = [find_other_reaction(each) for each in (day, own)]
    assert found == [("owners who react", react(day)), ("owners who stand still", still(own))]
    odd = replace(day, block_time=70)
    assert react(odd) == odd and find_other_reaction(odd) is None
    assert find_other_reaction(replace(own, block_time=70)) == (
        "owners who stand still",
        replace(still(own), block_time=70),
    )


def test_a_proposal_is_tried_with_owners_who_stand_still_where_they_react(late) -> None:
    own = late.with_name("late-own.yaml")
    own.write_text(f"extends: {late.name}\n{OWNERS}")
    changes = {"keepers.desk.takes_at": "60%"}
    asked = backstop.proposal(own, changes, 20, level=5_000)
    row = asked.sensitivity.set_index("world").loc["owners who stand still"]
    assert "owners who react" not in set(asked.sensitivity["world"])
    still = backstop.proposal(late, changes, 20, level=5_000, sensitivity=False).figures.iloc[0]
    for end in ("now_micro", "proposed_micro"):
        assert row[end] == still[end] > asked.figures.iloc[0][end]


def test_no_world_has_owners_who_react_in_one_setting_alone(known) -> None:
    """Blocks of the proposal alone do not divide an hour: the difference would be that of owners."""
    odd = known.with_name("odd.yaml")
    odd.write_text(f"extends: {known.name}\n{ODD}")
    found = backstop.proposal(known, odd, 20, level=5_000)
    worlds = set(found.sensitivity["world"])
    assert "markets half as deep" in worlds and "owners who react" not in worlds


def test_what_cannot_be_asked_is_one_line(known) -> None:
    for ask, told in (
        (lambda: backstop.proposal(known, {}), "nothing is proposed"),
        (lambda: backstop.proposal(known, {"parameters.nothing": "1"}, 200), "parameters.nothing"),
        (lambda: backstop.proposal(known, {"title": "x"}, 100), "needs 200 paths or more, not 100"),
        (lambda: backstop.ceiling(known, "DOGE", 5, 200), "'DOGE' is not one of: "),
        (lambda: backstop.ceiling(known, "ETH", 0, 200), "less than one stablecoin"),
        (lambda: backstop.falls(known, [10_000]), "a fall of 10000 basis points"),
        (lambda: backstop.owners(known, by="size"), "by: 'size' is not one of"),
        (lambda: backstop.at_risk(known, 1), "two paths or more"),
        (lambda: backstop.at_risk(known, engine="slow"), "engine 'slow' is unknown"),
    ):
        with pytest.raises(BackstopError, match=told) as caught:
            ask()
        assert "\n" not in str(caught.value)


def test_outcomes_do_not_depend_on_who_else_is_run(known) -> None:
    day = load_scenario(known)
    alone, again = PathRunner(20).run_outcomes([day, day])
    assert np.array_equal(alone, again)


def test_shares_are_as_in_commands_or_in_basis_points(known) -> None:
    assert backstop.falls(known, ["5%", "30%"]).equals(backstop.falls(known, [500, 3_000]))
    with pytest.raises(BackstopError, match=r"^of: '30' is not a ratio; write e\.g\. '150%'$"):
        backstop.falls(known, ["30"])
