"""Comparisons of whole systems: figures are those of runs, bearers add up, differences split into causes."""

from __future__ import annotations

import csv
import json
from fractions import Fraction
from itertools import product

import pytest

from backstop.errors import BackstopError
from backstop.model.arithmetic import BASIS_POINTS, RAD, RAY, WAD
from backstop.report.system_comparison_page import write_page
from backstop.simulation.run_directory import load_run, transpose_table_rows
from backstop.simulation.scenario import load_scenario
from backstop.simulation.simulator import simulate
from backstop.simulation.unsafe_vault_figures import compute_repayment_to_safety
from backstop.studies.comparison.preset_comparison import compare
from backstop.studies.comparison.presets import apply_preset, load_preset, load_presets
from backstop.studies.comparison.presets.preset_parts import combine_presets, drop_liquidation_ratio
from backstop.studies.comparison.system_comparison import (
    ALL_SYSTEMS,
    compare_systems,
    estimate_over_paths,
    find_equal_orders,
    name_cell,
    name_path_run,
    split_difference,
)
from backstop.studies.comparison.system_figures import FIGURES, collect_system_figures
from backstop.studies.comparison.world_inputs import DOUBLE, HALF, INPUTS, list_scaled_scenarios
from tests.support.checkout_paths import DATA

SMALL = str(DATA / "runs" / "small.yaml")
DAY = 86_400
SYSTEMS = "euler-v2,morpho-blue,liquity-v2,maker-mcd"
CELLS = list(product(SYSTEMS.split(","), repeat=2))


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("systems")


@pytest.fixture(scope="module")
def compared(out):
    return compare_systems(SMALL, load_presets(SYSTEMS), "model", 1, out, aftermath=DAY, has_inputs=False)


def test_every_mechanism_runs_under_every_order_of_losses(compared) -> None:
    assert list(compared["cells"]) == [name_cell(*pair) for pair in CELLS]
    # Lenders bear the loss on both, so that one run is that of the other, too.
    assert compared["equal_orders"] == {"morpho-blue": "euler-v2"}
    assert compared["cells"]["maker-mcd+euler-v2"] == compared["cells"]["maker-mcd+morpho-blue"]
    hashes = {name: compared["cells"][name]["state_hash"] for name in compared["cells"]}
    assert len(set(hashes.values())) == 4 * 3


@pytest.mark.parametrize("pair", CELLS, ids="+".join)
def test_bearers_of_bad_debt_add_up_to_it(compared, pair) -> None:
    row = compared["cells"][name_cell(*pair)]
    assert sum(map(int, row["borne"].values())) == int(row["bad_debt_rad"]) > RAD


def test_figures_are_those_of_the_presets_runs(compared, out, tmp_path) -> None:
    """A whole system is the run that `compare --presets` makes of its preset."""
    alone = compare(SMALL, load_presets("maker-mcd"), "model", 1, tmp_path, aftermath=DAY)["presets"][0]
    row = compared["cells"]["maker-mcd+maker-mcd"]
    assert row["state_hash"] == alone["state_hash"]
    assert int(row["bad_debt_rad"]) == int(alone["created_rad"]) + int(alone["unbooked_rad"])
    assert row["borrower_loss_wad"] == alone["sold_cheaply_wad"]
    assert row["liquidations"] == alone["liquidations"]
    summary = load_run(out / "maker-mcd").summary
    assert int(row["gas_cost_wad"]) == sum(int(each["gas_cost_wad"]) for each in summary["keepers"])
    keepers = [each for each in summary["keepers"] if each["role"] in ("liquidator", "flash_taker", "bidder")]
    assert int(row["liquidator_profit_wad"]) == sum(int(each["profit_wad"]) for each in keepers)


def test_a_run_is_insolvent_from_the_first_shortfall_to_the_last(compared, out) -> None:
    system = load_run(out / "euler-v2").frames["system"]
    short = [
        at
        for at, amount in zip(system["timestamp"], system["shortfall_rad"], strict=True)
        if int(amount) >= RAD
    ]
    row = compared["cells"]["euler-v2+euler-v2"]
    assert row["is_solvent_at_end"] == (short[-1] < system["timestamp"].max())
    later = [at for at in system["timestamp"] if at > short[-1]] or [short[-1]]
    assert row["insolvent_seconds"] == later[0] - short[0] > 0


def test_a_loss_that_is_not_paid_is_part_of_the_shortfall(compared, out) -> None:
    frames = load_run(out / "maker-mcd").frames
    unpaid: dict[int, int] = {}
    for at, amount in zip(frames["state"]["timestamp"], frames["state"]["deficit_rad"], strict=True):
        unpaid[at] = unpaid.get(at, 0) + int(amount)
    shortfalls = dict(
        zip(frames["system"]["timestamp"], map(int, frames["system"]["shortfall_rad"]), strict=True)
    )
    assert max(unpaid.values()) > RAD
    assert all(shortfalls[at] >= amount for at, amount in unpaid.items())


def test_an_effect_of_mechanism_and_one_of_order_add_up_to_the_difference(compared) -> None:
    assert len(compared["pairs"]) == 6
    for pair in compared["pairs"]:
        for line in FIGURES:
            found = {name: int(value) for name, value in pair["figures"][line.figure].items()}
            assert found["by_mechanism"] + found["by_order"] == found["second"] - found["first"]
    # Equal orders of losses make no difference.
    same = next(
        each for each in compared["pairs"] if (each["first"], each["second"]) == ("euler-v2", "morpho-blue")
    )
    assert all(int(each["by_order"]) == 0 for each in same["figures"].values())


def test_effects_by_hand() -> None:
    """Of 100 between two systems, 70 with one order and 50 with the other are the mechanism's: 60 and 40."""
    owed = {"a+a": 10, "b+a": 80, "a+b": 60, "b+b": 110}
    cells = {
        name: {line.figure: amount if line.figure == "bad_debt_rad" else 0 for line in FIGURES}
        for name, amount in owed.items()
    }
    found = split_difference(cells, "a", "b")["figures"]["bad_debt_rad"]
    assert (found["by_mechanism"], found["by_order"]) == ("60", "40")


def test_a_finished_run_is_read_and_a_lost_one_made_again(compared, out) -> None:
    path = out / "cells" / "maker-mcd+euler-v2.json"
    lost, kept = path.read_text(), out / "cells" / "euler-v2.json"
    path.unlink()
    kept.write_text(json.dumps(json.loads(kept.read_text()) | {"liquidations": 77}))
    again = compare_systems(SMALL, load_presets(SYSTEMS), "model", 1, out, aftermath=DAY, has_inputs=False)
    assert path.read_text() == lost
    assert again["cells"]["euler-v2+euler-v2"]["liquidations"] == 77
    kept.write_text(json.dumps(json.loads(kept.read_text()) | {"liquidations": 21}))


def test_table_has_a_row_for_each_pair_of_parts(compared, out) -> None:
    with (out / "systems.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["mechanism"], row["order of losses"]) for row in rows] == CELLS
    for row, pair in zip(rows, CELLS, strict=True):
        exact = Fraction(int(compared["cells"][name_cell(*pair)]["bad_debt_rad"]), RAD)
        assert Fraction(row["bad debt"]) == exact


def test_page_says_what_was_compared(compared, out) -> None:
    text = write_page(compared, out).read_text()
    for piece in ("Losses by mechanism", "Payers", "The cause of each difference", "Assumptions"):
        assert piece in text
    assert "From Euler v2 to Maker" in text


def test_borrowers_lose_by_sales_and_not_what_is_passed_on_to_them() -> None:
    """With redistribution the part of other borrowers is bad debt, and no loss of theirs by sales."""
    presets = load_presets("maker-mcd,liquity-v2")
    result = simulate(apply_preset(combine_presets(*presets), SMALL), "model", 1, aftermath=DAY)
    auctions, takes = (transpose_table_rows(result.tables, name) for name in ("auctions", "takes"))
    worth = dict.fromkeys(auctions["auction_id"], 0)
    for auction, amount, price in zip(
        takes["auction_id"], takes["slice_wad"], takes["market_price_ray"], strict=True
    ):
        worth[auction] += amount * price // RAY
    owed = dict(zip(auctions["auction_id"], auctions["principal_rad"], strict=True))
    lost = sum(max(0, worth[auction] - owed[auction] // RAY) for auction in worth)
    row = collect_system_figures(result)
    assert int(row["borne"]["borrowers"]) > RAD
    assert abs(int(row["borrower_loss_wad"]) - lost) < WAD < lost


def test_expected_shortfall_over_paths_and_its_excess_over_the_last_system() -> None:
    """Of 200 paths that lose 1 to 200 the worst ten lose 195.5 on average; the other system loses 7 more."""
    names, rows = ("larger", "last"), {}
    for path in range(200):
        for name, more in zip(names, (7, 0), strict=True):
            row = {line.figure: 3 for line in FIGURES} | {"bad_debt_rad": str((path + 1 + more) * RAD)}
            row["insolvent_seconds"] = 100 if path > 190 and (more or path > 191) else 10
            rows[name_path_run(name, path)] = row
    found = estimate_over_paths(names, rows, 200, 1_000)
    assert (found["count"], found["level_bps"], found["against"]) == (200, 9_500, "last")
    larger, last = (found["systems"][name]["bad_debt_rad"] for name in names)
    assert last["shortfall"]["value_micro"] == 195_500_000
    assert last["mean"]["value_micro"] == 100_500_000
    assert larger["beyond_last"] == {
        "value_micro": 7_000_000,
        "low_micro": 7_000_000,
        "high_micro": 7_000_000,
    }
    assert larger["verdict"] == "raises it"
    assert last["shortfall"]["low_micro"] < 195_500_000 < last["shortfall"]["high_micro"]
    # Times that are equal but for one path have a wide interval, which ends with the longest path.
    time = found["systems"]["larger"]["insolvent_seconds"]
    assert time["shortfall"]["value_micro"] == 91 and time["shortfall"]["high_micro"] <= 1_000
    assert time["beyond_last"]["value_micro"] == 9
    # Numbers and times keep their unit.
    assert found["systems"]["last"]["liquidations"]["shortfall"]["value_micro"] == 3


def test_too_few_paths_are_refused(tmp_path) -> None:
    with pytest.raises(
        BackstopError, match="--paths 199: an expected shortfall at 95% needs 200 paths or more"
    ):
        compare_systems(SMALL, load_presets("maker"), "model", 1, tmp_path, aftermath=0, paths=199)


def test_members_of_a_stability_pool_bear_payments_beyond_their_collateral(compared, out) -> None:
    """Offset by offset: the payment less the market's worth of the collateral, where it is less."""
    frames, lost = load_run(out / "liquity-v2").frames, 0
    sales = frames["events"][frames["events"]["event"] == "CollateralSold"]
    prices = frames["state"].set_index(["timestamp", "collateral_type"])["market_price_ray"]
    for at, values in zip(sales["timestamp"], sales["values"], strict=True):
        c, _, _, *amounts = json.loads(values)
        collateral, fee, paid, _ = map(int, amounts)
        sent = collateral - fee
        reward = sent * 50 // BASIS_POINTS
        lost += max(0, paid - (sent - reward) * int(prices[at, int(c)]) // RAY)
    borne = int(compared["cells"]["liquity-v2+liquity-v2"]["borne"]["stability pools"])
    assert 0 <= lost * RAY - borne < RAD < borne


# ------------------------------------------------------------------------ parts


def test_parts_of_two_presets_join() -> None:
    """Sales and ratio are Euler's, stages and pools Maker's."""
    euler, maker = load_presets("euler-v2,maker-mcd")
    day, whole, other = (apply_preset(each, SMALL) for each in (combine_presets(euler, maker), euler, maker))
    for one, two in zip(day.parameters.collateral_types, whole.parameters.collateral_types, strict=True):
        assert (one.discount, one.liquidation_ratio) == (two.discount, two.liquidation_ratio)
    assert day.parameters.stages == other.parameters.stages != whole.parameters.stages
    assert day.parameters.discount_contract == whole.parameters.discount_contract
    assert day.parameters.equity == other.parameters.equity is not None
    assert combine_presets(euler, euler).terms.fields_by_name.keys() == euler.terms.fields_by_name.keys()


def test_without_its_ratio_a_system_has_the_scenarios() -> None:
    own = load_scenario(SMALL).parameters.collateral_types
    day = apply_preset(drop_liquidation_ratio(load_preset("euler-v2")), SMALL)
    for mine, theirs in zip(own, day.parameters.collateral_types, strict=True):
        assert (theirs.liquidation_ratio, theirs.debt_floor) == (mine.liquidation_ratio, mine.debt_floor)
        assert theirs.discount is not None


def test_orders_are_equal_whatever_the_mechanism() -> None:
    alike = find_equal_orders(
        SMALL, load_presets("aave-v3,aave-umbrella,morpho-lenders,morpho-blue,euler-v2")
    )
    assert alike == {
        "aave-v3": "aave-v3",
        "aave-umbrella": "aave-v3",
        "morpho-lenders": "morpho-lenders",
        "morpho-blue": "morpho-lenders",
        "euler-v2": "morpho-lenders",
    }


def test_auctions_of_a_preset_replace_a_pool_and_a_discount(tmp_path) -> None:
    """A system with an auction of its own has no other mechanism, on a scenario that sells at a discount."""
    file = tmp_path / "sold.yaml"
    discount = "{base_bonus: 5%, close_factor: 100%}"
    types = "\n".join(f"    {name}: {{discount: {discount}}}" for name in ("ETH", "WBTC", "XAUT"))
    file.write_text(f"extends: {SMALL}\ntitle: Sold\nparameters:\n  collateral_types:\n{types}\n")
    assert all(each.discount for each in load_scenario(str(file)).parameters.collateral_types)
    for each in apply_preset(load_preset("maker-mcd"), file).parameters.collateral_types:
        assert each.discount is None and each.stability_pool is None
        assert (each.auction.penalty, each.auction.tail) == (11_300, 140 * 60)


# ----------------------------------------------------------------------- inputs


def test_every_input_is_halved_and_doubled() -> None:
    day = load_scenario(SMALL)
    found = {(each.name, factor): scaled for each, factor, scaled in list_scaled_scenarios(day)}
    names = [each.name for each in INPUTS]
    assert set(found) == set(product(names, (HALF, DOUBLE)))
    for factor in (HALF, DOUBLE):
        for symbol, market in day.markets.items():
            assert found["depth", factor].markets[symbol].depth == market.depth * factor
            assert found["recovery", factor].markets[symbol].recovery == market.recovery * factor
        book, scaled = day.generated["ETH"], found["margins", factor].generated["ETH"]
        initial = day.parameters.collateral_types[0].initial_ratio
        assert [each - initial for each in scaled.ratio] == [
            int((each - initial) * factor) for each in book.ratio
        ]
        assert scaled.debt == book.debt
        desks = [each for each in found["capital", factor].keepers if each.role == "bidder"]
        assert [each.capital for each in desks] == [
            each.capital * factor for each in day.keepers if each.role == "bidder"
        ]
        assert found["gas-price", factor].gas_prices.values[0] == day.gas_prices.values[0] * factor


def test_an_input_that_does_not_fit_leaves_no_figure(tmp_path) -> None:
    """Bidders cannot have twice the stablecoins that there are: the figure is missing, the rest is there."""
    poor = tmp_path / "poor.yaml"
    poor.write_text(
        f"extends: {SMALL}\ntitle: Poor\nvault_book: {{generated: {{ETH: {{vaults: 10}}}}}}\n"
        "keepers: {desk: {capital: 400_000 stablecoin}, opportunist: {capital: 400_000 stablecoin}}\n"
    )
    presets = load_presets("maker")
    found = compare_systems(str(poor), presets, "model", 1, tmp_path / "out", aftermath=0)
    refused = json.loads((tmp_path / "out" / "cells" / "maker.capital.double.json").read_text())
    assert refused["refused"].startswith("the scenario does not fit: its vaults draw ")
    shown = [each for rows in found["sensitivity"]["maker"].values() for each in rows]
    assert all(each["double"] is None for each in shown if each["input"] == "bidders' capital")
    # The inputs that are shown are those that move a figure most, the first more than the second.
    now = int(found["cells"]["maker+maker"]["bad_debt_rad"])
    moves = {}
    for each in INPUTS:
        runs = (tmp_path / "out" / "cells" / f"maker.{each.name}.{end}.json" for end in ("half", "double"))
        rows = [json.loads(run.read_text()) for run in runs if run.is_file()]
        moves[each.title] = max(
            (abs(int(row["bad_debt_rad"]) - now) for row in rows if "refused" not in row), default=0
        )
    wanted = sorted((title for title in moves if moves[title]), key=lambda title: -moves[title])[:2]
    assert [each["input"] for each in found["sensitivity"]["maker"]["bad_debt_rad"]] == wanted != []


# ------------------------------------------------------------ repayment to safety


@pytest.mark.parametrize(
    ("collateral", "debt", "price", "ratio", "needed"),
    [
        # 10 ether at 170 are 1,700 for 1,200 of debt at 150%: (1,800 - 1,700) / 0.5.
        (10 * WAD, 1_200 * RAD, 170 * RAY, 15_000, 200 * RAD),
        (10 * WAD, 1_200 * RAD, 180 * RAY, 15_000, 0),
        (10 * WAD, 1_200 * RAD, 180 * RAY - 1, 15_000, 20 * WAD),
        # Below the debt no repayment out of collateral helps.
        (10 * WAD, 1_200 * RAD, 119 * RAY, 15_000, 1_200 * RAD),
        (10 * WAD, 1_200 * RAD, 120 * RAY, 15_000, 1_200 * RAD),
        (0, 1_200 * RAD, 120 * RAY, 15_000, 1_200 * RAD),
        # Rounded up: 333.3 basis points do not divide what is missing.
        (10 * WAD + 1, 1_200 * RAD, 150 * RAY + 7, 13_333, 299909990999099909540954095199519951995199519931),
        (WAD, 0, RAY, 15_000, 0),
    ],
)
def test_repayment_to_safety(collateral, debt, price, ratio, needed) -> None:
    found = compute_repayment_to_safety(collateral, debt, price, ratio)
    assert found == needed
    if 0 < found < debt:
        # It is the least: after it the vault is at its ratio, and after one unit less it is not.
        left = collateral * price - found
        assert left * BASIS_POINTS >= (debt - found) * ratio
        assert (left + 1) * BASIS_POINTS < (debt - found + 1) * ratio


# ------------------------------------------------------------------------- deep


@pytest.mark.deep(
    brief="tests/backstop/studies/comparison/test_system_comparison.py::test_bearers_of_bad_debt_add_up_to_it"
)
@pytest.mark.parametrize("scenario", ["black-thursday", "may-2021", "collapse"])
def test_all_systems_on_the_contracts(scenario, tmp_path) -> None:
    found = compare_systems(
        *(scenario, load_presets(ALL_SYSTEMS), "revm", 1, tmp_path), aftermath=DAY, has_inputs=False
    )
    assert found["differences"] == 0 < found["fields_compared"]
    assert all(row["differences"] == 0 < row["fields_compared"] for row in found["cells"].values())
