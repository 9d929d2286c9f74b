"""The table of jumps: price drops by their names, gains as the engine pays them, the page as printed."""

from dataclasses import replace

import pytest

from backstop.deployment.example_parameters import build_margin_parameters
from backstop.errors import BackstopError
from backstop.model.arithmetic import BASIS_POINTS, WAD
from backstop.report.self_hedge_console_table import format_pair_gains_markdown
from backstop.studies.self_hedge import jump_table
from backstop.studies.self_hedge.daily_move_counts import COINS, load_day_move_counts
from backstop.studies.self_hedge.jump_table import (
    FLOOR,
    HOLD,
    LEAST,
    LISTED,
    NOTIONAL,
    OWN,
    SHARE,
    SMALL,
    Jump,
    build_names_by_market_terms,
    compute_required_initial_margin_bps,
    iter_measured_and_cited_falls,
    jump_rows_as_json,
    measure_fall,
    play_jumps,
    straight_path,
    sudden_path,
)
from backstop.studies.self_hedge.pair_market import LIBRARY, HedgePairMarket, read_terms
from backstop.studies.self_hedge.second_prices_from_bars import UNIT
from tests.support.checkout_paths import ROOT

PAGE = (ROOT / "docs/explanation/self-hedge.md").read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module")
def rows():
    return play_jumps(
        list(iter_measured_and_cited_falls()), {coin: load_day_move_counts(coin) for coin in COINS}
    )


def by_terms(rows, **jump):
    return {row.terms: row for row in rows if jump.items() <= row.jump._asdict().items()}


@pytest.mark.parametrize(
    ("series", "seconds", "tenths"),
    [
        ("eth-2020-03-12", 600, 136),
        ("eth-2020-03-12", 3_600, 200),
        ("eth-2021-05-19", 600, 161),
        ("eth-2021-05-19", 3_600, 292),
    ],
)
def test_published_bars_have_the_falls_that_are_named(series, seconds, tenths):
    assert (measure_fall(series, seconds) + 5) // 10 == tenths


def test_a_fall_is_between_prices_just_so_far_apart(monkeypatch):
    monkeypatch.setattr(
        jump_table, "list_prices_for_every_second", lambda series, seed: [100, 90, 95, 60, 80]
    )
    assert measure_fall("avax-2025-10-10", 1) == 3_684  # 95 to 60
    assert measure_fall("avax-2025-10-10", 3) == 4_000
    assert measure_fall("avax-2025-10-10", 4) == 2_000


def test_the_page_has_the_table_as_the_command_prints_it(rows):
    """After a change of terms, print it again (ape run self-hedge --jumps)."""
    lines = format_pair_gains_markdown(jump_rows_as_json(rows))
    start = PAGE.index(lines[0])
    assert PAGE[start : start + len(lines)] == lines
    assert PAGE[start + len(lines)] == ""


def test_the_page_says_what_the_safe_setting_costs(rows):
    """Its table of costs has the leverage and the days of the table of jumps."""
    start = PAGE.index(next(line for line in PAGE if line.startswith("| market | dYdX")))
    costs = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE[start + 2 : start + 8]]
    for place, coin in enumerate(COINS):
        found = {name: row for names, row in by_terms(rows, coin=coin).items() for name in names.split(", ")}
        margins, days = costs[place], costs[place + len(COINS)]
        assert margins[0].startswith(f"{coin.upper()}: initial") and days[0].startswith(f"{coin.upper()}: ")
        for column, name in enumerate(("dYdX", "Hyperliquid", FLOOR, SMALL, OWN), 1):
            row = found[name]
            assert margins[column] == f"{row.initial / 100:g}%, {row.initial_margin_leverage_tenths / 10:g}"
            assert days[column] == f"{row.liquidated.longs * 1_000 // row.liquidated.days / 10}%"


def test_the_library_asks_for_no_less_than_exchanges_list():
    """The page therefore states the cost of that; a lower margin would be a default to mend."""
    for listed in LISTED.values():
        for initial, maintenance in listed.values():
            assert LIBRARY.initial >= initial > maintenance and LIBRARY.maintenance >= maintenance


def test_gains_are_the_jump_less_margin_and_fees(rows):
    """A fifth is the pair's own: without insurance others pay four fifths of the margin's shortfall."""
    fee = LIBRARY.maker_fee + LIBRARY.taker_fee
    played = by_terms(rows, day="2021-05-19", seconds=3_600)
    for row in (played[name] for name in ("dYdX", "Hyperliquid", FLOOR, SMALL, OWN)):
        lacking = row.jump.fall - row.initial
        least, most = lacking * (BASIS_POINTS - SHARE) // BASIS_POINTS - 2 * fee, lacking
        assert least <= row.uninsured.share < row.insured.share <= most
        spent = min(lacking * NOTIONAL * WAD // BASIS_POINTS, row.insurance * WAD)
        others = (row.insured.wad - row.uninsured.wad) * BASIS_POINTS // SHARE
        assert abs(others - spent) < WAD


def test_the_least_margin_holds_a_fall_off_and_a_little_less_does_not(rows):
    for row in rows:
        if row.terms == LEAST:
            assert max(row.uninsured.wad, row.insured.wad, row.watched.wad) < 0
    jump = next(iter_measured_and_cited_falls())
    terms = next(terms for terms, name in build_names_by_market_terms(jump).items() if name == LEAST)
    fees = 2 * (LIBRARY.maker_fee + LIBRARY.taker_fee)
    weaker = terms._replace(initial=terms.initial - fees)
    path = sudden_path(jump, weaker.mark_age)
    opening = jump_table.PairOpening(jump_table.START, SHARE, NOTIONAL, HOLD)
    assert jump_table.simulate_hedge_pair(HedgePairMarket(weaker._replace(cap=0)), path, opening).gain > 0


def test_the_librarys_margin_holds_off_an_hour_that_the_least_one_does_not(rows):
    """The hour of 12 March 2020, unwatched: the purpose of the margin beyond the least one."""
    played = by_terms(rows, day="2020-03-12", seconds=3_600)
    assert played[FLOOR].initial < played[SMALL].initial
    assert max(played[SMALL].uninsured.wad, played[SMALL].insured.wad) < 0 < played[FLOOR].uninsured.wad


def test_insurance_bounds_what_a_pair_opens():
    """A coin less than a fifth of five million, and the pair's trade is refused."""
    jump, insurance = next(iter_measured_and_cited_falls()), NOTIONAL * BASIS_POINTS // SHARE // 5
    terms = LIBRARY._replace(insured=2_000)
    path = sudden_path(jump, terms.mark_age)
    opening = jump_table.PairOpening(jump_table.START, SHARE, NOTIONAL, HOLD)
    jump_table.simulate_hedge_pair(HedgePairMarket(terms._replace(cap=insurance)), path, opening)
    with pytest.raises(BackstopError, match="trading: not insured"):
        jump_table.simulate_hedge_pair(HedgePairMarket(terms._replace(cap=insurance - 1)), path, opening)


def test_a_market_asks_for_as_much_insurance_as_margin_or_for_none(monkeypatch):
    """Insurance is as large as the market asks for, for five times what the pair has."""
    played = []

    def deploy(terms):
        played.append(terms)
        return HedgePairMarket(terms)

    monkeypatch.setattr(jump_table, "HedgePairMarket", deploy)
    play_jumps([next(iter_measured_and_cited_falls())], {"eth": load_day_move_counts("eth")})
    asked = [(terms.initial, terms.insured, terms.cap) for terms in played]
    assert asked[::2] == [(initial, 0, 0) for initial, _, _ in asked[::2]]
    assert asked[1::2] == [(initial, initial, 500 * initial) for initial, _, _ in asked[::2]]


def test_terms_of_a_deployment_have_what_is_insured():
    parameters = build_margin_parameters()
    assert parameters.margin is not None
    market = replace(parameters.margin.markets[0], insured=1_234)
    margin = replace(parameters.margin, markets=(market,))
    assert read_terms(replace(parameters, margin=margin)).insured == 1_234


def test_a_fall_that_is_watched_brings_nothing(rows):
    assert all(row.watched.wad < 0 for row in rows)


def test_a_large_market_needs_the_add_on():
    assert (
        compute_required_initial_margin_bps(HedgePairMarket(LIBRARY._replace(open_rate=0))) == LIBRARY.initial
    )
    assert (
        compute_required_initial_margin_bps(HedgePairMarket(LIBRARY)) == LIBRARY.initial + LIBRARY.open_rate
    )


def test_paths_begin_at_the_oldest_mark_and_end_after_the_fall():
    jump = Jump("eth", "a day", 600, 2_000, measured=False)
    before, after = 100 * UNIT, 80 * UNIT
    for mark_age in (12, 60, 600):
        opened = jump_table.START - mark_age
        sudden, straight = sudden_path(jump, mark_age), straight_path(jump, mark_age)
        assert len(sudden) == len(straight) == jump_table.START + HOLD + 1
        assert sudden[opened] == before and sudden[opened + 1] == sudden[-1] == after
        assert straight[opened] == before and straight[opened + 300] == 90 * UNIT
        assert straight[opened + 600] == straight[-1] == after


def test_equal_terms_are_played_once():
    names = list(build_names_by_market_terms(Jump("avax", "a day", 600, 4_000, measured=False)).values())
    assert names == [OWN, SMALL, FLOOR, "dYdX, Hyperliquid", LEAST]
