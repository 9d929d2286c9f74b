"""Failures of the past, each with its guard off and on: the loss then, and the remaining loss.

The bounds are those that docs/reference/guards/README.md claims; every run is on model and chain.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from backstop.deployment.parameter_dataclasses import GuardsParameters, PolicyParameters
from backstop.model.arithmetic import RAD, WAD
from backstop.simulation.scenario import load_scenario
from backstop.studies.comparison.guard_comparison import (
    build_guard_runs,
    compare_guards,
    list_guard_scenario_names,
)
from tests.support.long_test_marks import build_pytest_params_with_deep_marks

HISTORY = (
    "crv-squeeze",
    "feed-dead",
    "feed-outage",
    "liquidity-adverse",
    "liquidity-severe",
    "luna-stuck-feed",
    "may-2021",
    "nomad-bridge",
    "october-2025-vaults",
    "rate-shock",
    "usdc-wick",
    "wusdm-donation",
    "xusd-hard-coded",
)

# Their tests are deep, too.
LONG = tuple(each for each in HISTORY if each != "feed-dead")
BRIEF = "tests/backstop/studies/comparison/guards/test_tries.py::test_the_table"


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """Scenario -> guard -> the run's results; each scenario is run when it is first asked for."""
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
    assert tuple(list_guard_scenario_names()) == HISTORY
    for name in HISTORY:
        scenario = load_scenario(name)
        assert scenario.facts and all(fact.source for fact in scenario.facts)
        assert scenario.assumptions


def changed(off: Any, on: Any) -> set[str]:
    """The fields in which two records of parameters differ."""
    return {field.name for field in fields(on) if getattr(off, field.name) != getattr(on, field.name)}


def test_every_guard_is_tried_somewhere() -> None:
    """Each field of the guards is turned on by a try, but for terms that only qualify another field."""
    found: set[str] = set()
    for name in HISTORY:
        off, *others = (each.scenario for each in build_guard_runs(name))
        for on in others:
            for old, new in zip(off.parameters.collateral_types, on.parameters.collateral_types, strict=True):
                found |= changed(old.policy, new.policy) | changed(old.feed, new.feed)
            found |= changed(GuardsParameters(), on.parameters.guards or GuardsParameters())
            for group in set(on.keepers) - set(off.keepers):
                found |= {"refuses_at"} if group.refuses_at else set()
                found |= {"halt" if order.halt else "force_mode" for order in group.schedule}
    feed = {"deviation", "confirmations", "grace", "dead_after"}
    guards = {field.name for kind in (PolicyParameters, GuardsParameters) for field in fields(kind)}
    assert found - {"flow_window", "call_grace", "call_valid"} == (
        guards | feed | {"refuses_at", "halt", "force_mode"}
    ) - {"flow_window", "call_grace", "call_valid", "speed"}


@pytest.mark.parametrize("name", build_pytest_params_with_deep_marks(HISTORY, LONG, BRIEF))
def test_model_and_chain_agree(history, name) -> None:
    for row in history(name).values():
        assert row["differences"] == 0 < row["fields_compared"]


@pytest.mark.deep(
    brief="tests/backstop/studies/comparison/guards/test_history.py::test_a_feed_that_never_comes_back"
)
def test_a_feed_stuck_at_its_floor(history) -> None:
    """Venus lost 11.2 million. The adapter's bounds and the breaker stop all draws; limits bound the loss."""
    rows = history("luna-stuck-feed")
    assert int(rows["off"]["exploited_wad"]) == 11_200_000 * WAD
    assert bad_debt(rows["off"]) > 11_000_000
    for guard in ("bounds", "breaker", "all"):
        assert int(rows[guard]["drawn_wad"]) == 0 < rows[guard]["exploits_refused"]
        assert bad_debt(rows[guard]) < 200_000  # of the honest book
    # A cap at once and as much again in the day; a gap above the debt for each raise.
    assert int(rows["flow"]["exploited_wad"]) <= 2 * 200_000 * WAD
    assert int(rows["ceiling"]["exploited_wad"]) <= 4 * 250_000 * WAD


@pytest.mark.deep(
    brief="tests/backstop/studies/comparison/guards/test_history.py::test_a_feed_that_never_comes_back"
)
def test_a_hard_coded_price(history) -> None:
    """No guard that looks at prices notices anything; a bound of the flow bounds the loss."""
    rows = history("xusd-hard-coded")
    assert rows["off"]["liquidations"] == 0
    assert int(rows["off"]["exploited_wad"]) == 15_000_000 * WAD
    assert rows["breaker"]["bad_debt_rad"] == rows["off"]["bad_debt_rad"]
    # A guardian who looks after two hours is too late, and in time where little could flow till then.
    assert rows["guardian"]["bad_debt_rad"] == rows["off"]["bad_debt_rad"]
    assert int(rows["all"]["bad_debt_rad"]) < int(rows["ceiling"]["bad_debt_rad"])
    for guard in ("ceiling", "flow", "all"):
        assert int(rows[guard]["exploited_wad"]) <= 2_000_000 * WAD
        assert int(rows[guard]["saved_rad"]) > 11_000_000 * RAD


@pytest.mark.deep(
    brief="tests/backstop/studies/comparison/guards/test_history.py::test_a_feed_that_never_comes_back"
)
def test_a_wick_of_two_days(history) -> None:
    """The price comes back, so every liquidation is false; in an emergency few are let through."""
    rows = history("usdc-wick")
    assert rows["off"]["liquidations"] == rows["off"]["false_liquidations"] > 20
    assert bad_debt(rows["off"]) > 300_000
    assert 10 * bad_debt(rows["breaker"]) < bad_debt(rows["off"])
    assert 3 * int(rows["breaker"]["false_debt_rad"]) < 2 * int(rows["off"]["false_debt_rad"])
    # Halted on the way down, it sells next to nothing.
    assert rows["halt"]["spared"] >= 20
    assert 100 * bad_debt(rows["halt"]) < bad_debt(rows["off"])
    # Two days are a price, not a wick, for a guard of hours: it comes late, and sells lower.
    assert int(rows["deviation"]["saved_rad"]) < 0 < rows["deviation"]["delayed"]


@pytest.mark.deep(
    brief="tests/backstop/studies/comparison/guards/test_history.py::test_a_feed_that_never_comes_back"
)
def test_minutes_of_a_low(history) -> None:
    """A low of minutes never becomes the price, and a vault that was never short is not sold."""
    rows = history("october-2025-vaults")
    assert rows["off"]["false_liquidations"] >= 20
    for guard in ("deviation", "breaker"):
        assert 2 * rows[guard]["false_liquidations"] < rows["off"]["false_liquidations"]
        # Renewed steps liquidate earlier in the fall, so that less is lost without guards, too.
        assert 2 * bad_debt(rows[guard]) < bad_debt(rows["off"])
        assert rows[guard]["spared"] >= 10


@pytest.mark.deep(
    brief="tests/backstop/studies/comparison/guards/test_history.py::test_model_and_chain_agree"
)
def test_a_short_larger_than_its_market(history) -> None:
    """A borrower that wants 92 million gets as much as margin, ceiling or flow leave."""
    rows = history("crv-squeeze")
    assert int(rows["off"]["drawn_wad"]) == 92_000_000 * WAD
    assert bad_debt(rows["off"]) > 2_640_000  # what was left then
    assert int(rows["brackets"]["drawn_wad"]) < 40_000_000 * WAD
    # The cap at once, and what leaks back until the price moves.
    assert int(rows["flow"]["drawn_wad"]) <= 17_000_000 * WAD
    for guard in ("brackets", "flow", "ceiling"):
        assert 10 * bad_debt(rows[guard]) < 6 * bad_debt(rows["off"])


@pytest.mark.deep(
    brief="tests/backstop/studies/comparison/guards/test_history.py::test_a_feed_that_never_comes_back"
)
def test_a_bridge_that_anybody_could_draw_from(history) -> None:
    """A tenth of 190.7 million without a line; with a line the loss is the line, after any delay."""
    rows = history("nomad-bridge")
    assert bad_debt(rows["off"]) == 19_070_000
    assert bad_debt(rows["line"]) == 2_000_000
    assert 0 < bad_debt(rows["flow"]) <= 2_000_000
    assert rows["flow"]["draws_refused"] > 0
    assert rows["breaker"]["bad_debt_rad"] == rows["off"]["bad_debt_rad"]
    assert all(rows[guard]["liquidations"] == 0 for guard in rows)


@pytest.mark.deep(
    brief="tests/backstop/studies/comparison/guards/test_history.py::test_a_feed_that_never_comes_back"
)
def test_a_real_crash(history) -> None:
    """Limits on new risk save; a guard that makes prices wait delays, and hardly refuses, the real move."""
    rows = history("may-2021")
    assert bad_debt(rows["off"]) > 1_000_000
    # Renewed steps take the low of ten minutes: who has met a call is sold all the same, hours later.
    assert rows["calls"]["spared"] == 0 and rows["calls"]["delayed"] >= 9
    assert 50 * abs(int(rows["calls"]["saved_rad"])) < int(rows["off"]["bad_debt_rad"])
    # Instalments save vaults, and the lenders' money, that a time to answer alone does not.
    assert bad_debt(rows["workouts"]) + 100_000 < bad_debt(rows["off"])
    assert rows["workouts"]["spared"] >= 6
    assert int(rows["workouts"]["saved_borrowers_wad"]) > 750_000 * WAD
    for guard in ("flow", "breaker"):
        assert 10 * bad_debt(rows[guard]) < 6 * bad_debt(rows["off"])
        assert int(rows[guard]["drawn_wad"]) < int(rows["off"]["drawn_wad"])
        assert rows[guard]["draws_refused"] > rows["off"]["draws_refused"]
    assert rows["off"]["liquidations"] - rows["deviation"]["liquidations"] in (0, 1)
    assert rows["deviation"]["delay_seconds"] <= 2 * 1_800


@pytest.mark.deep(
    brief="tests/backstop/studies/comparison/guards/test_history.py::test_a_feed_that_never_comes_back"
)
def test_a_donation(history) -> None:
    """Venus lost 716,000. A cap on the price's growth lends nothing on growth beyond any possible yield."""
    rows = history("wusdm-donation")
    assert 650_000 < bad_debt(rows["off"]) < 800_000
    for guard in ("growth", "all"):
        assert bad_debt(rows[guard]) == int(rows[guard]["drawn_wad"]) == 0 < rows[guard]["exploits_refused"]
        assert rows[guard]["liquidations"] == 0  # the cap liquidates nobody
    assert int(rows["flow"]["exploited_wad"]) <= 2 * 200_000 * WAD
    # A rate that stays for hours is a price, to a guard of steps.
    assert rows["deviation"]["exploited_wad"] == rows["off"]["exploited_wad"]


@pytest.mark.deep(
    brief="tests/backstop/studies/comparison/guards/test_history.py::test_a_feed_that_never_comes_back"
)
def test_a_feed_that_comes_back_at_the_low(history) -> None:
    """In the grace owners repay; otherwise their vaults are sold within minutes."""
    rows = history("feed-outage")
    assert rows["grace"]["spared"] >= 5
    assert rows["grace"]["false_liquidations"] < rows["off"]["false_liquidations"]
    for guard in ("grace", "silence", "all"):
        assert 2 * bad_debt(rows[guard]) < bad_debt(rows["off"])


def test_a_feed_that_never_comes_back(history) -> None:
    """Once the feed is given up, vaults unsafe at the last price are sold, and the loss is booked."""
    rows = history("feed-dead")
    assert rows["given-up"]["liquidations"] > rows["off"]["liquidations"]
    assert 3 * bad_debt(rows["given-up"]) < 2 * bad_debt(rows["off"])
    assert int(rows["off"]["recognised_rad"]) == 0 < int(rows["given-up"]["recognised_rad"])
    assert 10 * int(rows["given-up"]["underwater_rad"]) < int(rows["off"]["underwater_rad"])


@pytest.mark.deep(
    brief="tests/backstop/studies/comparison/guards/test_history.py::test_a_feed_that_never_comes_back"
)
def test_a_shock_of_liquidity(history) -> None:
    """Debt that is not lent before the crash need not be sold into a market of a tenth of the debt."""
    rows = history("liquidity-severe")
    assert int(rows["off"]["drawn_wad"]) > 400_000_000 * WAD
    assert bad_debt(rows["off"]) > 100_000_000
    for guard in ("type", "flow", "ceiling", "breaker", "all"):
        assert 10 * bad_debt(rows[guard]) < 6 * bad_debt(rows["off"])
        assert 10 * int(rows[guard]["drawn_wad"]) < 6 * int(rows["off"]["drawn_wad"])


@pytest.mark.deep(
    brief="tests/backstop/studies/comparison/guards/test_history.py::test_a_feed_that_never_comes_back"
)
def test_a_bad_day_that_nobody_loses_by(history) -> None:
    """The same guards on a day that is bad and no more: nothing to save, and little that they cost."""
    rows = history("liquidity-adverse")
    for row in rows.values():
        assert bad_debt(row) == 0
        assert row["liquidations"] == rows["off"]["liquidations"]


@pytest.mark.deep(
    brief="tests/backstop/studies/comparison/guards/test_history.py::test_a_feed_that_never_comes_back"
)
def test_a_shock_of_rates(history) -> None:
    """At a fee that stays all is lent; a fee that rises with use stops where no borrower pays it any more."""
    rows = history("rate-shock")
    assert int(rows["off"]["drawn_wad"]) == 48_000_000 * WAD
    assert int(rows["fee"]["drawn_wad"]) <= 32_000_000 * WAD
    for guard in ("fee", "ceiling", "all"):
        assert 10 * bad_debt(rows[guard]) < 9 * bad_debt(rows["off"])
