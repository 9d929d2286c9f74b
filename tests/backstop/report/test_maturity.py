"""The debt maturity profile: instalments by when they are due, all else on demand, to the wei."""

from types import SimpleNamespace
from typing import Any

from backstop.model.arithmetic import RAD, RAY, WAD
from backstop.report.debt_maturity import build_instalments_due_chart, list_run_debt_maturities

NOW, DAY = 1_700_000_000, 86_400


def summary(*due: tuple[int, int]) -> dict[str, Any]:
    """A run that ended now; seconds from then, and stablecoins, of each instalment."""
    workouts = {
        "principal_rad": str(700 * RAD),
        "due": [{"at": NOW + seconds, "symbol": "ETH", "wad": str(coins * WAD)} for seconds, coins in due],
    }
    ledger = {"performing_rad": str(5_000 * RAD + RAY - 1), "in_auction_rad": str(1_000 * RAD)}
    return {"ended_at": NOW, "ledger": ledger, "guards": {"workouts": workouts}}


def test_each_instalment_is_in_one_bucket() -> None:
    due = ((-1, 1), (0, 2), (DAY, 4), (DAY + 1, 8), (7 * DAY, 16), (30 * DAY, 32), (30 * DAY + 1, 64))
    assert {bucket.title: bucket.due for bucket in list_run_debt_maturities(summary(*due))} == {
        "vaults, on demand": 5_000 * WAD,
        "auctions, as they sell": 300 * WAD,
        "instalments, overdue": 1 * WAD,
        "instalments, within a day": 6 * WAD,
        "instalments, within a week": 24 * WAD,
        "instalments, within 30 days": 32 * WAD,
        "instalments, later": 64 * WAD,
    }


def test_the_bars_add_up() -> None:
    run: Any = SimpleNamespace(summary=summary((DAY, 10), (DAY, 5), (3 * DAY, 7)))
    chart = build_instalments_due_chart(run)
    assert chart is not None
    assert chart.figure["data"][0]["y"] == [15.0, 7.0]
    assert "22" in chart.label and "3 parts" in chart.label


def test_nothing_without_open_workouts() -> None:
    run: Any = SimpleNamespace(summary=summary())
    assert list_run_debt_maturities(summary()) == [] and build_instalments_due_chart(run) is None
    assert list_run_debt_maturities({"guards": None}) == []
