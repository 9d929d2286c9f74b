"""Owners that respond to a ratio: debts by hand, random settings, and the book that both engines open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from backstop.deployment.role_accounts import get_account
from backstop.errors import BackstopError
from backstop.model.arithmetic import BASIS_POINTS, RAY, WAD
from backstop.simulation.scenario import Scenario, build_vault_book, load_scenario
from backstop.simulation.scenario.book_repairs import VaultTerms
from backstop.simulation.scenario.scenario_records import Vault
from backstop.studies.borrow_usage import measure_borrow_usage
from backstop.studies.borrower_response import (
    DISTANCE,
    LEVERAGE,
    build_response_books,
    compute_response_debt,
    keep_shared_vaults,
    limit_drawn_debts,
)
from backstop.studies.stress.exact_bytecode_engine import ExactEngine
from backstop.studies.stress.fast.scenario_tables import ScenarioTables
from tests.support.checkout_paths import DATA

SMALL = load_scenario(DATA / "stress" / "small.yaml")
ROWS = """owner,collateral,locked,debt
anna,ETH,1000,1000000
cleo,ETH,630,1000000
bert,ETH,650,1000000
dora,ETH,4.75,6250
"""
KNOWN = """extends: {base}
title: A book by hand
vault_book: {{file: book.csv, rows: {{between_ratios: {how}, unsafe: {how}}}}}
"""


def with_ratio(scenario: Scenario, liquidation: int, initial: int, **terms: Any) -> Scenario:
    """The scenario with other ratios [bps] of ETH, and other terms of all types."""
    types = [replace(each, **terms) for each in scenario.parameters.collateral_types]
    types[0] = replace(types[0], liquidation_ratio=liquidation, initial_ratio=initial)
    return replace(scenario, parameters=replace(scenario.parameters, collateral_types=tuple(types)))


def terms(liquidation: int, initial: int, floor: int = 0, price: int = 2_000) -> VaultTerms:
    return VaultTerms(price * RAY, floor * WAD, liquidation, initial, 1)


def vault(locked: int, debt: int, owner: str = "anna") -> Vault:
    return Vault(owner, "ETH", locked * WAD, debt * WAD)


@pytest.mark.parametrize(
    ("response", "after", "debt"),
    [
        # 100 coins at 2,000 owe 100,000: a ratio of 200%, and 160% of the liquidation ratio of 125%.
        (DISTANCE, terms(12_500, 13_000), 100_000),
        (DISTANCE, terms(10_000, 10_500), 125_000),
        (DISTANCE, terms(15_625, 16_000), 80_000),
        (DISTANCE, terms(10_000, 16_000), 125_000),
        (DISTANCE, terms(10_000, 20_000), 100_000),  # the initial ratio allows no more
        (DISTANCE, terms(15_625, 16_000, floor=90_000), 90_000),  # as small as the floor
        (DISTANCE, terms(15_625, 25_000, floor=90_000), None),  # which the initial ratio does not allow
        (LEVERAGE, terms(10_000, 10_500), 100_000),
        (LEVERAGE, terms(15_625, 16_000), 100_000),
        (LEVERAGE, terms(20_500, 25_000), 80_000),
    ],
)
def test_debts_by_hand(response: str, after: VaultTerms, debt: int | None) -> None:
    found = compute_response_debt(vault(100, 100_000), response, terms(12_500, 13_000), after)
    assert found == (None if debt is None else debt * WAD)


def test_a_debt_is_rounded_down_to_what_the_contracts_draw() -> None:
    drawn = compute_response_debt(vault(1, 1_000), DISTANCE, terms(12_500, 13_000), terms(10_007, 17_001))
    assert drawn is not None
    assert drawn * RAY * 17_001 <= WAD * 2_000 * RAY * BASIS_POINTS < (drawn + 1) * RAY * 17_001


def test_who_is_under_the_initial_ratio_keeps_the_distance() -> None:
    """A row at 126% of 125% and 130%: at 115% it draws 10% more, and with its leverage it does not."""
    row, before = vault(63, 100_000), terms(12_500, 13_000)
    for response, ratio, debt in (
        (DISTANCE, 11_500, 100_000 * WAD * 12_500 // 11_500),
        (DISTANCE, 15_000, 100_000 * WAD * 12_500 // 15_000),
        (LEVERAGE, 11_500, 100_000 * WAD),
        (LEVERAGE, 15_000, 100_000 * WAD * 12_500 // 15_000),
    ):
        assert compute_response_debt(row, response, before, terms(ratio, ratio + 500)) == debt


def test_what_a_ceiling_leaves_is_shared_to_the_wei() -> None:
    random = Random(1)
    for _ in range(300):
        kept = [random.randrange(10 ** random.randrange(1, 24)) for _ in range(random.randrange(1, 9))]
        wanted = [held + random.randrange(10 ** random.randrange(1, 24)) for held in kept]
        ceiling = random.randrange(sum(kept), 2 * sum(wanted) + 1)
        found = limit_drawn_debts(kept, wanted, ceiling)
        assert sum(found) == min(ceiling, sum(wanted))
        assert all(held <= debt <= most for held, debt, most in zip(kept, found, wanted, strict=True))
    assert limit_drawn_debts([5, 5], [6, 7], 8) == [5, 5]


def draw_settings(random: Random) -> list[Scenario]:
    """Settings with rising ratios, and one floor and ceiling for all."""
    own = measure_borrow_usage(SMALL, 1).debts
    ratios = sorted(random.sample(range(10_500, 30_000), 4))
    same = {
        "debt_floor": random.choice([0, 1_000, 20_000, 60_000]),
        "debt_ceiling": max(own) // WAD + random.choice([1, 50_000, 10**8]),
    }
    gap = random.choice([0, 100, 2_000])
    return [with_ratio(SMALL, ratio, ratio + gap, **same) for ratio in ratios]


@pytest.mark.parametrize("response", [DISTANCE, LEVERAGE])
def test_a_higher_ratio_never_raises_usage(response: str) -> None:
    random, moved, bound = Random(2), 0, 0
    today = {(each.owner, each.symbol): each.debt for each in base_vaults()}
    for _ in range(40):
        settings = draw_settings(random)
        books = build_response_books(SMALL, settings, response, 1).scenarios
        usages = [measure_borrow_usage(each, 1) for each in books]
        assert [used.debt for used in usages] == sorted((used.debt for used in usages), reverse=True)
        moved += usages[0].debt > usages[-1].debt
        owners = {tuple(each.owner for each in book.vaults) for book in books}
        assert len(owners) == 1
        for book, used in zip(books, usages, strict=True):
            held = build_vault_book(book, 1, book.first_prices)  # nothing of it is refused
            assert sum(each.debt for each in held) == used.debt
            ceiling = book.parameters.collateral_types[0].debt_ceiling * WAD
            assert max(used.debts) <= ceiling
            bound += used.debts[0] == ceiling
            eth = book.parameters.collateral_types[0]
            if eth.liquidation_ratio <= 14_500 and eth.initial_ratio <= 15_000:  # today's: nobody repays
                assert all(today[each.owner, each.symbol] <= each.debt for each in held)
            collateral = {(each.owner, each.symbol): each.locked for each in base_vaults()}
            assert all(collateral[each.owner, each.symbol] == each.locked for each in held)
    assert moved > 30
    assert bound > 5 or response == LEVERAGE


def test_a_book_right_at_its_ceiling_opens_in_floats() -> None:
    """Debts over their growth by fees add up to one unit in the last place more than the ceiling."""
    book = build_response_books(SMALL, draw_settings(Random(277)), DISTANCE, 1).scenarios[0]
    ceiling = book.parameters.collateral_types[0].debt_ceiling
    assert measure_borrow_usage(book, 1).debts[0] == ceiling * WAD
    assert ScenarioTables.from_scenario(book, 1).vaults["opening_debt"].sum() > ceiling


def base_vaults() -> Sequence[Vault]:
    return build_response_books(SMALL, [SMALL], DISTANCE, 1).scenarios[0].vaults


def test_the_distance_of_each_vault_stays() -> None:
    low, high = build_response_books(
        SMALL, [with_ratio(SMALL, 12_000, 12_500), with_ratio(SMALL, 17_000, 17_500)], DISTANCE, 1
    ).scenarios
    for one, other in zip(low.vaults, high.vaults, strict=True):
        if one.symbol == "ETH":
            assert abs(one.debt * 12_000 - other.debt * 17_000) <= 2 * 17_000
        else:
            assert one == other
    ratio = SMALL.parameters.collateral_types[0].liquidation_ratio
    assert ratio == 14_500 and measure_borrow_usage(low, 1).debt > measure_borrow_usage(SMALL, 1).debt


def test_the_setting_of_today_has_todays_debts() -> None:
    for response in (DISTANCE, LEVERAGE):
        (same,) = build_response_books(SMALL, [SMALL], response, 1).scenarios
        assert measure_borrow_usage(same, 1).debts == measure_borrow_usage(SMALL, 1).debts


def test_markets_do_not_deepen_with_the_debt() -> None:
    markets = {
        symbol: replace(market, depth=1, debt_to_depth=20_000) for symbol, market in SMALL.markets.items()
    }
    base = replace(SMALL, markets=markets)
    low, high = build_response_books(
        base, [with_ratio(base, 12_000, 12_500), with_ratio(base, 17_000, 17_500)], DISTANCE, 1
    ).scenarios
    assert low.markets == high.markets
    assert low.markets["ETH"].depth == measure_borrow_usage(SMALL, 1).debts[0] // 2
    assert low.markets["ETH"].debt_to_depth == 0


@pytest.fixture
def by_hand(tmp_path: Path):
    def build(how: str) -> Scenario:
        (tmp_path / "book.csv").write_text(ROWS)
        file = tmp_path / f"{how}.yaml"
        file.write_text(KNOWN.format(base=DATA / "stress" / "small.yaml", how=how))
        return load_scenario(file)

    return build


def test_a_book_that_stands_still_has_one_debt(by_hand) -> None:
    """At 2,300 bert has 149.5% and cleo 144.9%: a vault dropped by one setting is no loss of the other."""
    base = by_hand("drop")
    assert [each.owner for each in base.vaults] == ["anna", "dora"]
    lower = replace(base, vaults=(*base.vaults, vault(650, 1_000_000, "bert")))
    books = keep_shared_vaults([base, lower])
    assert {measure_borrow_usage(each, 1).debt for each in books.scenarios} == {1_006_250 * WAD}
    assert books.remarks == (
        "1 vaults that do not owe the same under every setting are left out of each: "
        "1,000,000 stablecoins, 49.84% of the debt.",
    )
    assert keep_shared_vaults([base, base]).remarks == ()
    with pytest.raises(BackstopError, match="no vault owes the same under every setting"):
        keep_shared_vaults([base, replace(base, vaults=(vault(650, 1_000_000, "bert"),))])


def test_a_vault_under_the_floor_is_left_out_of_all(by_hand) -> None:
    """Dora owes 6,250 at 174.8%: at twice the ratio she would owe half, and the floor is 5,000."""
    base = by_hand("open")
    assert base.parameters.collateral_types[0].debt_floor == 5_000
    books = build_response_books(base, [base, with_ratio(base, 29_000, 29_500)], DISTANCE, 1)
    owners = [[each.owner for each in book.vaults] for book in books.scenarios]
    assert owners == [["anna", "cleo", "bert"]] * 2
    assert books.remarks == (
        "1 vaults that the initial ratio of some setting does not let owe the debt floor are left out of "
        "each: 6,250 stablecoins, 0.21% of the debt.",
    )
    # At 190% she would owe 4,770, and as the initial ratio allows 5,000 she owes the floor.
    held = build_response_books(base, [with_ratio(base, 19_000, 19_500)], DISTANCE, 1).scenarios[0]
    assert held.vaults[-1] == Vault("dora", "ETH", 475 * WAD // 100, 5_000 * WAD)


def test_no_vault_left_is_one_line(by_hand) -> None:
    with pytest.raises(BackstopError, match="none of its 4 vaults fits every setting: change less"):
        base = by_hand("open")
        build_response_books(base, [with_ratio(base, 29_000, 29_500, debt_floor=10**6)], DISTANCE, 1)


def test_a_floor_that_rises_is_no_debt_that_a_ceiling_cuts(by_hand) -> None:
    """Dora owes a floor of 7,000, above her 6,250 of today; the others share the rest of the ceiling."""
    base = by_hand("open")
    ceiling = sum(each.debt for each in base.vaults) // WAD + 5_000
    setting = with_ratio(base, 14_000, 14_500, debt_floor=7_000, debt_ceiling=ceiling)
    held = build_response_books(base, [setting], DISTANCE, 1).scenarios[0].vaults
    assert sum(each.debt for each in held) == ceiling * WAD and held[-1].debt == 7_000 * WAD


def test_all_types_share_the_global_ceiling() -> None:
    ceiling = measure_borrow_usage(SMALL, 1).debt // WAD + 10_000
    parameters = with_ratio(SMALL, 12_000, 12_500).parameters
    setting = replace(SMALL, parameters=replace(parameters, global_debt_ceiling=ceiling))
    (day,) = build_response_books(SMALL, [setting], DISTANCE, 1).scenarios
    assert measure_borrow_usage(day, 1).debt == ceiling * WAD


def test_a_feed_that_would_not_believe_the_fall_is_one_line(by_hand) -> None:
    base = by_hand("open")
    guarded = replace(base.parameters.collateral_types[0].feed, deviation=500)
    told = "the vault of cleo cannot be opened at a higher price: the feed of ETH has a deviation"
    with pytest.raises(BackstopError, match=told):
        build_response_books(base, [with_ratio(base, 14_000, 14_500, feed=guarded)], DISTANCE, 1)


def opened_debts(engine: ExactEngine) -> list[int]:
    """Debts of vaults on the chain, in the book's order, before fees."""
    engine.run_one_path(0)
    session = engine._session
    assert session is not None
    vaults = session.model.snapshot()["VaultEngine"]["vaults"]
    symbols = engine.scenario.symbols
    return [
        vaults[symbols.index(each.symbol), get_account(each.owner)].normalized_debt
        for each in engine.scenario.vaults
    ]


@pytest.mark.parametrize("ratio", (12_000, 17_000))
def test_both_engines_open_the_book_of_the_owners(by_hand, ratio: int) -> None:
    """Rows under the ratios come along, at the distance that they had; a ceiling binds at the lower ratio."""
    base = by_hand("open")
    ceiling = sum(each.debt for each in base.vaults) // WAD + 400_000
    (day,) = build_response_books(
        base, [with_ratio(base, ratio, ratio + 500, debt_ceiling=ceiling)], DISTANCE, 1
    ).scenarios
    assert (sum(each.debt for each in day.vaults) == ceiling * WAD) == (ratio == 12_000)
    tables = ScenarioTables.from_scenario(day, 1).vaults
    assert sorted(tables["opening_locked"]) == sorted(each.locked / WAD for each in day.vaults)
    drawn = sum(each.debt for each in day.vaults) / WAD
    assert tables["opening_debt"].sum() == pytest.approx(drawn, rel=1e-3)  # and fees until the start
    assert opened_debts(ExactEngine(day, 1)) == [each.debt for each in day.vaults]
