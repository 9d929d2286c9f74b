"""A day repeated to very many fills makes a page that can be mailed, with the sums of the repeated tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstop.report import run_page, run_table_rows, vault_and_pool_member_loss_rows
from backstop.simulation.run_directory import load_run
from backstop.simulation.scenario import load_scenario
from backstop.simulation.simulator import simulate
from tests.support.checkout_paths import DATA


@pytest.mark.parametrize(
    "fills",
    [
        500,
        pytest.param(
            100_000,
            marks=pytest.mark.deep(
                brief="tests/backstop/report/test_page.py::test_the_largest_purchases_are_drawn_and_all_are_counted"
            ),
        ),
    ],
)
def test_very_many_fills_are_a_page_of_a_few_megabytes(fills: int, tmp_path: Path) -> None:
    from benchmarks.speed.page_speed import build_run_repeated_to_fill_count

    simulate(load_scenario(DATA / "runs" / "small.yaml"), "model", out=tmp_path)
    run = load_run(tmp_path)
    large = build_run_repeated_to_fill_count(run, fills)
    times, rest = divmod(len(large.frames["takes"]), len(run.frames["takes"]))
    assert len(large.frames["takes"]) >= fills and rest == 0 and times > 1
    auctions = run_table_rows.list_auctions(large)
    assert len({row.id for row in auctions}) == len(auctions) == times * len(run.frames["auctions"])
    steps = vault_and_pool_member_loss_rows.list_step_costs(large, auctions)
    created = sum(row.amount_rad for row in steps if row.what.startswith("bad debt"))
    assert created == times * int(run.summary["losses"]["created_rad"])
    page = run_page.render_page(large)
    assert len(page.encode()) < 4_000_000
    assert page.count('<tr id="fill-') == min(run_table_rows.MOST_ROWS, len(large.frames["takes"]))
