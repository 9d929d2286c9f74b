"""Ten equal vaults: docs/explanation/maker-by-hand.md on paper, to the wei, on model and chain."""

import pytest

from backstop.model.arithmetic import RAD, RAY, WAD
from backstop.simulation.run_directory import load_run
from backstop.studies.comparison.preset_comparison import compare
from backstop.studies.comparison.presets import load_presets
from tests.support.checkout_paths import DATA

TEN_VAULTS = str(DATA / "compare" / "ten-vaults.yaml")

VAULTS, LOCKED, DEBT = 10, 100, 10_000 * WAD
FEED, BUF, CUT, STEPS = 80, 12, 9, 4  # buf and cut in tenths
REWARD = 5 * WAD


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    out = tmp_path_factory.mktemp("ten")
    return compare(TEN_VAULTS, load_presets("maker,morpho-lenders"), "revm", 1, out, aftermath=0), out


def of(compared, preset):
    return next(row for row in compared[0]["presets"] if row["preset"] == preset)


def test_debt_recovered_and_uncovered(compared):
    """Integers throughout: 96 * 0.9^4 is 62.9856."""
    price = FEED * BUF * CUT**STEPS * RAY // 10 ** (STEPS + 1)
    assert price == 629_856 * RAY // 10_000
    recovered = VAULTS * LOCKED * price * WAD
    loss = VAULTS * (DEBT * RAY + REWARD * RAY) - recovered
    row = of(compared, "maker")
    assert int(row["debt_rad"]) == VAULTS * DEBT * RAY
    assert int(row["recovered_rad"]) == recovered == 62_985_60 * RAD // 100
    assert int(row["created_rad"]) == loss == 37_064_40 * RAD // 100
    assert int(row["outstanding_rad"]) == loss
    assert all(entry["rad"] == "0" for entry in row["covered"])


def test_every_lot_was_sold_at_that_price(compared):
    takes = load_run(compared[1] / "maker").frames["takes"]
    assert len(takes) == VAULTS
    assert set(takes["price_ray"]) == {str(629_856 * RAY // 10_000)}
    assert set(takes["paid_wad"]) == {str(6_298_56 * WAD // 100)}


def test_model_and_chain_agree(compared):
    for row in compared[0]["presets"]:
        assert row["differences"] == 0 < row["fields_compared"]


def test_where_lenders_pay_the_one_who_runs_takes_all(compared):
    """Two savers with 5,000 each: one is out at par, the other loses all."""
    row = of(compared, "morpho-lenders")
    saver = 5_000 * WAD
    paid = next(int(entry["rad"]) for entry in row["covered"])
    assert paid == saver * RAY
    race = next(race for race in row["exit_race"] if race["pool"] == "Savings")
    assert int(race["leaver_wad"]) == saver
    assert int(race["gain_wad"]) == saver
