"""Owners that react: both engines agree, equal seeds are equal, and a defence changes the loss."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import numpy as np
import pytest

from backstop.cli.command_helpers import print_run_summary
from backstop.model.arithmetic import WAD
from backstop.report.run_page import render_page
from backstop.simulation.run_directory import load_run
from backstop.simulation.scenario import load_scenario
from backstop.simulation.scenario.owner_behavior import BILLION, OwnerAction, OwnerBehavior, draw_number
from backstop.simulation.simulator import simulate
from backstop.studies.stress.engine_agreement import run_both_engines
from backstop.studies.stress.fast import FastEngine, owner_kernel
from backstop.system import Action
from tests.support.checkout_paths import DATA

QUARTERS = BILLION // 2, BILLION // 4, BILLION // 4
SIZES = tuple(range(500, 2_700, 200))
EAGER = OwnerBehavior(
    every=600,
    idle=BILLION // 5,
    within=3_600,
    falls=(0, 1_000),
    factors=(10_000, 20_000),
    large_debt=300_000 * WAD,
    large_factor=15_000,
    defend=OwnerAction(
        (0, 2_000), tuple(BILLION * each // 100 for each in (80, 50, 5)), QUARTERS, SIZES, 500
    ),
    release=OwnerAction((2_500,), (0, BILLION // 5), (BILLION // 2, BILLION // 2), SIZES, 1_000),
)  # fmt: skip


@pytest.fixture(scope="module")
def day():
    return load_scenario(DATA / "stress" / "small.yaml")


def name_columns(rows, scenario):
    return {name: rows[:, i] for i, name in enumerate(FastEngine(scenario, 1).columns.names)}


def test_draws_of_both_engines_are_equal() -> None:
    dice = random.Random(1)
    for _ in range(1_000):
        labels = dice.randrange(2**63), dice.randrange(10**6), dice.randrange(10**4), dice.randrange(7)
        assert draw_number(*labels) == owner_kernel.draw_number(*labels)


def test_engines_agree_and_owners_act_in_every_way(day) -> None:
    reacting = replace(day, owners=EAGER)
    exact, fast = (name_columns(rows, reacting) for rows in run_both_engines(reacting, 3, 6))
    assert list(exact["liquidations"]) == list(fast["liquidations"]) and exact["liquidations"].sum() > 6
    assert np.allclose(exact["liquidated_debt"], fast["liquidated_debt"], rtol=1e-5)
    lost = exact["bad_debt"].sum()
    assert (
        0 < abs(fast["bad_debt"] - exact["bad_debt"]).sum() < lost * 4 // 100
    )  # as where owners stand still
    engine = FastEngine(reacting, 3)
    done = dict.fromkeys(owner_kernel.ACTIVITY.names or (), 0.0)
    for path in range(6):
        engine.run_one_path(path)
        done = {name: done[name] + float(engine.activity[name].sum()) for name in done}
    assert all(done.values()), done


def test_a_run_tells_what_owners_did_and_what_was_refused(day, tmp_path, capsys) -> None:
    """A ceiling that the book has reached nearly refuses draws."""
    ether, *others = day.parameters.collateral_types
    types = (replace(ether, debt_ceiling=2_467_000), *others)
    full = replace(day, owners=EAGER, parameters=replace(day.parameters, collateral_types=types))
    simulate(full, "model", 3, tmp_path)
    run = load_run(tmp_path)
    told, actions = run.summary["owners"], run.frames["actions"]
    calls = actions[(actions["contract"] == "VaultEngine") & (actions["timestamp"] > full.start)]
    owned = calls[calls["method"].isin(["deposit_and_draw", "repay_and_withdraw"])]
    assert told["actions"] == owned["ok"].sum() > 50 and told["refused"] == (~owned["ok"]).sum() > 0
    assert 0 < told["vaults"] <= sum(each["opened_vaults"] for each in run.summary["collateral_types"])
    assert [each["symbol"] for each in told["collateral"]] == [each.symbol for each in types]
    repaid = owned[owned["ok"] & (owned["method"] == "repay_and_withdraw")]["args"].map(
        lambda args: int(json.loads(args)[2])
    )
    assert 0 < int(told["repaid_wad"]) <= repaid.sum()
    print_run_summary(run.summary, None, None, False)
    (line,) = (each for each in capsys.readouterr().out.splitlines() if each.startswith("owners' actions"))
    assert line.split()[2:] == [str(told["actions"]), str(told["refused"]), "refused", "besides"]
    page = render_page(run)
    for field in ("vaults", "actions", "refused", "repaid_wad", "drawn_wad"):
        assert f'data-path="owners.{field}"' in page
    assert "owners" not in simulate(day, "model", 3).summary


def test_engines_agree_where_repayments_make_stablecoins_dear(day) -> None:
    """Half the supply repaid doubles the stablecoin's price; a seller has to reach a high initial ratio."""
    types = tuple(
        replace(each, initial_ratio=each.liquidation_ratio + 1_500)
        for each in day.parameters.collateral_types
    )
    sellers = replace(EAGER, defend=replace(EAGER.defend, ways=(BILLION, 0, 0), sizes=(0,) * 11))
    dear = replace(
        day,
        owners=sellers,
        scarcity=10_000,
        parameters=replace(day.parameters, collateral_types=types),
        opened_at={symbol: 3 * price for symbol, price in day.first_prices.items()},
    )
    exact, fast = (name_columns(rows, dear) for rows in run_both_engines(dear, 3, 6))
    assert np.allclose(exact["liquidated_debt"], fast["liquidated_debt"], rtol=1e-5)
    assert np.allclose(exact["lowest_ratio"], fast["lowest_ratio"], atol=1)
    assert exact["liquidated_debt"].sum() > 0


def test_a_path_is_the_same_whatever_ran_before(day) -> None:
    engine = FastEngine(replace(day, owners=EAGER), 3)
    alone = FastEngine(replace(day, owners=EAGER), 3).run_one_path(4)
    assert [engine.run_one_path(path) for path in (2, 4, 0, 4)][1::2] == [alone, alone]


def test_owners_who_react_lose_less(day) -> None:
    still, reacting = (
        name_columns(FastEngine(replace(day, owners=each), 3).run_paths(0, 40), day) for each in (None, EAGER)
    )
    assert reacting["liquidated_debt"].sum() < 0.8 * still["liquidated_debt"].sum()
    assert reacting["bad_debt"].sum() < still["bad_debt"].sum()


def test_owners_act_on_the_contracts(day) -> None:
    result = simulate(replace(day, owners=EAGER), "revm", 3, path=0)
    done = [each.step.method for each in result.trace.steps if isinstance(each.step, Action)]
    assert result.summary["differences"] == 0 and done.count("repay_and_withdraw") > 3
    assert simulate(replace(day, owners=EAGER), "revm", 3, path=0).summary == result.summary
