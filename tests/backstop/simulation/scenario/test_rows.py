"""Rows that the contracts refuse: they are found before the run, and treated alike in every engine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backstop.errors import BackstopError
from backstop.model.arithmetic import BASIS_POINTS, RAY, WAD
from backstop.randomness import SeededRandom
from backstop.simulation.book_opening import mint_market_maker_collateral
from backstop.simulation.deployment_session import open_deployment_session
from backstop.simulation.scenario import Scenario, build_vault_book, draw_scenario, load_scenario
from backstop.simulation.scenario.book_repairs import (
    TREATMENTS,
    BookRow,
    VaultTerms,
    build_vault_terms_by_type,
    repair_book,
)
from backstop.simulation.scenario.parameters_yaml_writer import format_decimal
from backstop.simulation.scenario.scenario_records import GeneratedBook, Vault
from backstop.simulation.simulator import Simulation
from backstop.studies.stress.engine_agreement import run_both_engines
from backstop.studies.stress.exact_bytecode_engine import ExactEngine
from backstop.studies.stress.fast import FastEngine
from backstop.system import Action

HEADER = "owner,collateral,locked,debt\n"
TERMS = {"ETH": VaultTerms(2_000 * RAY, 5_000 * WAD, 14_500, 15_000, 1)}
ALL = {
    "duplicate": "merge",
    "no_collateral": "drop",
    "under_water": "liquidate",
    "unsafe": "open",
    "between_ratios": "open",
    "under_floor": "merge",
}


def rows(*vaults: tuple[str, str, str]) -> list[BookRow]:
    return [
        BookRow(
            i, Vault(owner, "ETH", int(float(locked) * 10**6) * 10**12, int(float(debt) * 10**6) * 10**12)
        )
        for i, (owner, locked, debt) in enumerate(vaults, 2)
    ]


def scenario(folder: Path, book: str, policy: dict[str, str] | None = None, more: str = "") -> Scenario:
    (folder / "book.csv").write_text(HEADER + book)
    said = ", ".join(f"{kind}: {how}" for kind, how in (policy or {}).items())
    (folder / "day.yaml").write_text(
        f"extends: stress-day\nvault_book: {{file: book.csv, rows: {{{said}}}}}\n{more}"
    )
    return load_scenario(folder / "day.yaml")


def test_a_row_is_refused_exactly_where_the_contracts_refuse_it() -> None:
    """Around both borders, to the wei and to the token's unit, on the bytecode."""
    day, dice = load_scenario("stress-day"), SeededRandom(7, "rows")
    opening = {symbol: path.points[0] for symbol, path in day.prices.items()}
    found = {True: 0, False: 0}
    with open_deployment_session(day, "revm", 1) as session:
        run = Simulation(draw_scenario(day, 1, 0), session, 1)
        run.report_opening_prices()
        for symbol in day.symbols:
            mint_market_maker_collateral(run, symbol, 10**24)
        maker = run.register_account("market_maker")
        for i in range(60):
            c = dice.draw_index(2)
            symbol, terms = day.symbols[c], build_vault_terms_by_type(day, opening)[day.symbols[c]]
            debt = (
                terms.floor + dice.draw_index(5) - 2
                if i % 2
                else dice.draw_integer(6_000 * WAD, 90_000 * WAD)
            )
            border = -(-debt * terms.initial_ratio * RAY // (BASIS_POINTS * terms.price))
            vault = Vault(
                f"owner_{i}",
                symbol,
                border + (dice.draw_index(5) - 2) * dice.draw_index(2 * terms.unit),
                debt,
            )
            owner = run.register_account(vault.owner)
            run.apply_or_raise(
                "VaultEngine", "deposit_and_draw", c, owner, vault.locked, 0, owner, sender=maker
            )
            args = (c, owner, 0, vault.debt, maker)
            outcome = run.system.apply(Action("VaultEngine", "deposit_and_draw", args, owner))
            taken = terms.get_refusal_kind(vault) is None and not terms.is_below_floor(vault)
            assert taken == outcome.ok, (vault, outcome)
            found[taken] += 1
    assert min(found.values()) > 10


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ("anna,ETH,0,9000", "1 without collateral that any price would open (row 2)"),
        ("anna,ETH,3,9000", "1 worth less than their debt (row 2)"),
        ("anna,ETH,5.2,9000", "1 under the liquidation ratio (row 2)"),
        ("anna,ETH,5.8,9000", "1 between the liquidation ratio and the initial ratio (row 2)"),
        ("anna,ETH,50,900", "1 under the debt floor (row 2)"),
        ("anna,ETH,90,9000\nanna,ETH,90,9000", "1 of an owner with another vault of the type (row 3)"),
    ],
)
def test_a_refused_row_is_named_before_anything_runs(tmp_path, row, kind) -> None:
    with pytest.raises(BackstopError) as caught:
        scenario(tmp_path, f"{row}\nben,ETH,90,9000\n")
    said = str(caught.value)
    assert said.startswith("book.csv: 1 of ") and kind in said and "\n" not in said
    assert "say under `vault_book` what becomes of them, `rows: {" in said


def test_all_refused_rows_are_counted_in_one_line(tmp_path) -> None:
    many = "".join(f"o{i},ETH,50,{900 + i}\n" for i in range(9)) + "z,ETH,3,9000\n"
    with pytest.raises(BackstopError) as caught:
        scenario(tmp_path, many)
    assert str(caught.value) == (
        "book.csv: 10 of 10 rows cannot be opened: 1 worth less than their debt (row 11); 9 under the debt "
        "floor (rows 2, 3, 4, 5, 6 and 4 more): say under `vault_book` what becomes of them, "
        "`rows: {under_water: drop|liquidate|open, under_floor: drop|raise|merge}`"
    )


def test_merging_keeps_every_wei_and_reaches_the_floor() -> None:
    given = rows(*((f"o{i}", str(4 + i), str(1_000 + 37 * i)) for i in range(12)), ("big", "90", "9000"))
    found = repair_book("b", given, {"under_floor": "merge"}, TERMS)
    assert sum(v.debt for v in found.vaults) == sum(r.vault.debt for r in given) == found.debt
    assert sum(v.locked for v in found.vaults) == sum(r.vault.locked for r in given)
    assert all(v.debt >= 5_000 * WAD and TERMS["ETH"].get_refusal_kind(v) is None for v in found.vaults)
    (touched,) = found.touched
    assert (len(touched.rows), touched.left, len(found.vaults)) == (12, 2, 3)


def test_a_crumb_that_nothing_can_be_merged_with_is_left_out_and_counted() -> None:
    found = repair_book("b", rows(("a", "9", "900"), ("big", "90", "9000")), {"under_floor": "merge"}, TERMS)
    assert [vault.owner for vault in found.vaults] == ["big"]
    assert "Of its rows, 1 under the debt floor (9.09% of the debt) are left out." in found.describe_repairs()


def test_raising_keeps_the_ratio() -> None:
    (vault,) = repair_book("b", rows(("a", "2", "1000")), {"under_floor": "raise"}, TERMS).vaults
    assert (vault.debt, vault.locked) == (5_000 * WAD, 10 * WAD)


def test_what_was_bad_debt_before_the_start_is_said_and_in_no_figure() -> None:
    given = rows(("a", "3", "9000"), ("b", "0", "500"), ("c", "90", "9000"))
    found = repair_book("b", given, {"under_water": "liquidate", "no_collateral": "liquidate"}, TERMS)
    assert [vault.owner for vault in found.vaults] == ["c"]
    told = " ".join(found.describe_repairs())
    assert "1 worth less than their debt" in told and "3,000 of it was bad debt already" in told
    assert "500 of it was bad debt already" in told


def test_opening_as_it_is_asks_for_the_least_price_that_opens_every_row() -> None:
    given = rows(("a", "6.6", "9000"), ("b", "5.2", "9000"), ("c", "90", "9000"))
    found = repair_book("b", given, {"between_ratios": "open", "unsafe": "open"}, TERMS)
    assert len(found.vaults) == 3
    assert found.describe_repairs()[1].endswith("at a price that the initial ratio allows.")
    price = found.opened_at["ETH"]
    dear = {"ETH": replace(TERMS["ETH"], price=price)}
    less = {"ETH": replace(TERMS["ETH"], price=price - 1)}
    assert all(dear["ETH"].get_refusal_kind(vault) is None for vault in found.vaults)
    assert [less["ETH"].get_refusal_kind(vault) for vault in found.vaults].count(None) == 2


def test_nothing_is_opened_as_it_is_where_the_feed_would_not_believe_the_fall() -> None:
    guarded = {"ETH": replace(TERMS["ETH"], guarded=True)}
    with pytest.raises(BackstopError, match=r"^b: row 2 cannot be opened at a higher price: the feed of E"):
        repair_book("b", rows(("a", "6.6", "9000")), {"between_ratios": "open"}, guarded)


def test_addresses_in_other_capitals_are_one_owner() -> None:
    one, other = "0x" + "ab" * 20, "0x" + "AB" * 20
    given = rows((one, "90", "9000"), (other, "90", "9000"))
    assert len(repair_book("b", given, {"duplicate": "merge"}, TERMS).vaults) == 1
    assert [v.owner for v in repair_book("b", given, {"duplicate": "apart"}, TERMS).vaults] == [
        one,
        f"{other}/2",
    ]


def foul(count: int, seed: int) -> str:
    """A book with the faults of real ones: crumbs, low ratios, debts without cover, owners twice."""
    dice, lines = SeededRandom(seed, "foul"), []
    for _ in range(count):
        symbol, price = (("ETH", 2_300), ("WBTC", 42_000))[dice.draw_index(2)]
        debt = (
            dice.draw_integer(100, 2_000) if dice.draw_index(4) == 0 else dice.draw_integer(60_000, 400_000)
        )
        ratio = dice.draw_integer(40, 160) if dice.draw_index(4) == 0 else dice.draw_integer(151, 400)
        locked = 0 if dice.draw_index(50) == 0 else debt * ratio * 10**6 // (100 * price)
        lines.append(f"owner_{dice.draw_index(count)},{symbol},{locked}e-6,{debt}\n")
    return "".join(lines)


MORE = "members: {junior: {first_loss: 1_000_000 stablecoin}, savings: {saver: 1_000_000 stablecoin}}\n" + (
    "keepers: {desk: {capital: 300_000 stablecoin}, opportunist: {capital: 2_000_000 stablecoin}}\n"
)


@pytest.mark.deep(cases=1)
@pytest.mark.parametrize("seed", [1, 2])
def test_both_engines_open_what_is_left_of_a_foul_book_and_agree(tmp_path, seed) -> None:
    """Bad debt and liquidated debt differ by no more than on books without a fault."""
    chosen = scenario(tmp_path, foul(150, seed), ALL, MORE)
    assert set(chosen.opened_at) == {"ETH", "WBTC"}
    exact, fast = run_both_engines(chosen, 1, 3)
    assert np.all(exact[:, 1] > 0) and np.allclose(exact[:, 1], fast[:, 1], rtol=0.1)
    assert np.allclose(exact[:, 2], fast[:, 2], rtol=0.05)


def test_the_bytecode_opens_what_is_left_of_a_foul_book(tmp_path) -> None:
    chosen = scenario(tmp_path, foul(60, 3) + "big,ETH,9000,6000000\n", ALL, MORE)
    ExactEngine(chosen, 1)._get_session(load_path(chosen))


def load_path(chosen: Scenario) -> Scenario:
    return draw_scenario(chosen, 1, 0)


def test_a_report_says_how_much_of_the_book_was_touched(tmp_path) -> None:
    told = scenario(tmp_path, foul(150, 1), ALL, MORE).assumptions
    assert any(line.startswith("Of book.csv, 150 rows that owe ") for line in told)
    assert sum(line.startswith("Of its rows, ") for line in told) >= 4


@pytest.mark.parametrize("make", [FastEngine, ExactEngine])
def test_no_engine_takes_a_drawn_book_that_the_contracts_refuse(make) -> None:
    """The fast engine used to give figures with intervals for it."""
    low = GeneratedBook(5, (20_000 * WAD, 30_000 * WAD), (14_500, 14_990))
    day = replace(load_scenario("stress-day"), generated={"ETH": low})
    with pytest.raises(
        BackstopError, match=r"^(path 0: )?the scenario does not fit: 5 of its 5 vaults cannot"
    ):
        make(day, 1).run_paths(0, 1)


def test_a_book_fits_also_at_the_nine_digits_that_a_path_begins_with(tmp_path) -> None:
    """At 2,300.1234567899 dollars a vault of exactly the initial ratio has a little less on a path."""
    more = MORE + "prices: {ETH: {model: {start: 2300.1234567899 USD}}}\n"
    enough, always = (
        format_decimal(15 * 10**6 * WAD * 10**10 // price + 1, WAD)
        for price in (23_001_234_567_899, 23_001_234_500_000)
    )
    with pytest.raises(BackstopError, match="between the liquidation ratio and the initial"):
        scenario(tmp_path, f"a,ETH,{enough},10000000\n", {}, more)
    chosen = scenario(tmp_path, f"a,ETH,{always},10000000\n", {}, more)
    assert build_vault_book(load_path(chosen), 1, {"ETH": 230_012_345 * RAY // 10**5, "WBTC": RAY})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "{file: book.csv, rows: {under_flor: drop}}",
            "under_flor: unknown field; known here: duplicate, no",
        ),
        ("{file: book.csv, rows: {under_floor: open}}", "'open' is not one of: refuse, drop, raise, merge"),
        ("{rows: {under_floor: drop}}", "says what becomes of a file's rows, and this book is generated"),
    ],
)
def test_what_is_wrong_with_a_policy_is_one_line(tmp_path, text, said) -> None:
    (tmp_path / "book.csv").write_text(HEADER + "a,ETH,90,9000\n")
    (tmp_path / "day.yaml").write_text(f"extends: stress-day\nvault_book: {text}\n")
    with pytest.raises(BackstopError) as caught:
        load_scenario(tmp_path / "day.yaml")
    assert said in str(caught.value)


def test_every_kind_may_be_refused_and_said_in_words() -> None:
    assert all(hows[0] == "refuse" and len(hows) > 1 for hows in TREATMENTS.values())
