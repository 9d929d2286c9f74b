"""Failures of the past, each with its guard off and on: what it did then, and what is left of it.

The bounds are those that docs/guards/README.md claims; every run is on model and chain.
"""

from __future__ import annotations

from typing import Any

import pytest

from offchain.guard_tries import compare_guards, guard_scenarios
from offchain.model.arithmetic import RAD, WAD
from offchain.scenarios import load_scenario

HISTORY = (
    "crv-squeeze",
    "luna-stuck-feed",
    "may-2021",
    "nomad-bridge",
    "october-2025",
    "usdc-wick",
    "xusd-hard-coded",
)


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """Scenario -> guard -> what the run came to; each scenario is run when it is first asked for."""
    out, found = tmp_path_factory.mktemp("history"), {}

    def rows(name: str) -> dict[str, dict[str, Any]]:
        if name not in found:
            (compared,) = compare_guards([name], "revm", 1, out)["scenarios"]
            found[name] = {row["guard"]: row for row in compared["runs"]}
        return found[name]

    return rows


def bad_debt(row: dict[str, Any]) -> int:
    """Whole stablecoins, rounded down."""
    return int(row["bad_debt_rad"]) // RAD


def test_the_library_of_guards() -> None:
    assert tuple(guard_scenarios()) == HISTORY
    for name in HISTORY:
        scenario = load_scenario(name)
        assert scenario.facts and all(fact.source for fact in scenario.facts)
        assert scenario.assumptions


@pytest.mark.parametrize("name", HISTORY)
def test_model_and_chain_agree(history, name) -> None:
    for row in history(name).values():
        assert row["differences"] == 0 < row["fields_compared"]


def test_a_feed_stuck_at_its_floor(history) -> None:
    """Venus lost 11.2 million. The adapter's bounds and the breaker let nobody draw; limits bound it."""
    rows = history("luna-stuck-feed")
    assert int(rows["off"]["exploited_wad"]) == 11_200_000 * WAD
    assert bad_debt(rows["off"]) > 11_000_000
    for guard in ("bounds", "breaker", "all"):
        assert int(rows[guard]["drawn_wad"]) == 0 < rows[guard]["exploits_refused"]
        assert bad_debt(rows[guard]) < 200_000  # of the honest book
    # A cap at once and as much again in the day; a gap above the debt for each raise.
    assert int(rows["flow"]["exploited_wad"]) <= 2 * 200_000 * WAD
    assert int(rows["ceiling"]["exploited_wad"]) <= 4 * 250_000 * WAD


def test_a_hard_coded_price(history) -> None:
    """No guard that looks at prices sees anything; what bounds the flow bounds the loss."""
    rows = history("xusd-hard-coded")
    assert rows["off"]["liquidations"] == 0
    assert int(rows["off"]["exploited_wad"]) == 15_000_000 * WAD
    assert rows["breaker"]["bad_debt_rad"] == rows["off"]["bad_debt_rad"]
    for guard in ("ceiling", "flow", "all"):
        assert int(rows[guard]["exploited_wad"]) <= 2_000_000 * WAD
        assert int(rows[guard]["saved_rad"]) > 11_000_000 * RAD


def test_a_wick_of_two_days(history) -> None:
    """The price comes back, so every liquidation is false; in an emergency few are let through."""
    rows = history("usdc-wick")
    assert rows["off"]["liquidations"] == rows["off"]["false_liquidations"] > 20
    assert bad_debt(rows["off"]) > 300_000
    assert 10 * bad_debt(rows["breaker"]) < bad_debt(rows["off"])
    assert 3 * int(rows["breaker"]["false_debt_rad"]) < 2 * int(rows["off"]["false_debt_rad"])
    # Two days are a price, not a wick, for a guard of hours: it comes late, and sells lower.
    assert int(rows["deviation"]["saved_rad"]) < 0 < rows["deviation"]["delayed"]


def test_minutes_of_a_low(history) -> None:
    """A low of minutes never becomes the price, and what was never short is not sold."""
    rows = history("october-2025")
    assert rows["off"]["false_liquidations"] >= 20
    for guard in ("deviation", "breaker"):
        assert 2 * rows[guard]["false_liquidations"] < rows["off"]["false_liquidations"]
        assert 3 * bad_debt(rows[guard]) < bad_debt(rows["off"])
        assert rows[guard]["spared"] >= 10


def test_a_short_larger_than_its_market(history) -> None:
    """Whoever wants 92 million gets as much as margin, ceiling or flow leave him."""
    rows = history("crv-squeeze")
    assert int(rows["off"]["drawn_wad"]) == 92_000_000 * WAD
    assert bad_debt(rows["off"]) > 2_640_000  # what was left then
    assert int(rows["brackets"]["drawn_wad"]) < 40_000_000 * WAD
    # The cap at once, and what leaks back until the price moves.
    assert int(rows["flow"]["drawn_wad"]) <= 17_000_000 * WAD
    for guard in ("brackets", "flow", "ceiling"):
        assert 10 * bad_debt(rows[guard]) < 6 * bad_debt(rows["off"])


def test_a_bridge_that_anybody_could_draw_from(history) -> None:
    """A tenth of 190.7 million without a line; with one the loss is the line, however long nobody looks."""
    rows = history("nomad-bridge")
    assert bad_debt(rows["off"]) == 19_070_000
    assert bad_debt(rows["line"]) == 2_000_000
    assert 0 < bad_debt(rows["flow"]) <= 2_000_000
    assert rows["flow"]["draws_refused"] > 0
    assert rows["breaker"]["bad_debt_rad"] == rows["off"]["bad_debt_rad"]
    assert all(rows[guard]["liquidations"] == 0 for guard in rows)


def test_a_real_crash(history) -> None:
    """Limits on new risk save; a guard that makes prices wait delays, and never refuses, the real move."""
    rows = history("may-2021")
    assert bad_debt(rows["off"]) > 1_000_000
    assert int(rows["calls"]["saved_rad"]) > 0 < rows["calls"]["spared"]
    # Instalments save vaults, and the lenders' money, that a time to answer alone does not.
    assert int(rows["workouts"]["saved_rad"]) > 2 * int(rows["calls"]["saved_rad"])
    assert rows["workouts"]["spared"] > rows["calls"]["spared"]
    assert int(rows["workouts"]["saved_borrowers_wad"]) > 1_000_000 * WAD
    for guard in ("flow", "breaker"):
        assert 2 * bad_debt(rows[guard]) < bad_debt(rows["off"])
        assert int(rows[guard]["drawn_wad"]) < int(rows["off"]["drawn_wad"])
        assert rows[guard]["draws_refused"] > rows["off"]["draws_refused"]
    assert rows["deviation"]["liquidations"] == rows["off"]["liquidations"]
    assert rows["deviation"]["delay_seconds"] <= 2 * 1_800
