"""A period beside what happened: history is the file's, the still book and the paths are the engine's."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from backstop.cli.ask import cli
from backstop.errors import BackstopError
from backstop.model.arithmetic import WAD
from backstop.studies.risk_questions.history_comparison import history


@pytest.fixture(scope="module")
def found(lived: Path):
    return history(lived, lived.with_name("events.csv"), symbol="ETH", paths=8)


def read_figures(found, column: str) -> dict[str, float]:
    return dict(zip(found.figures["figure"], found.figures[column], strict=True))


def test_history_is_what_the_events_of_the_time_say(found) -> None:
    was = read_figures(found, "history")
    assert was["vaults liquidated"] == 1 and was["debt liquidated"] == 100_000
    assert (was["repaid"], was["drawn"]) == (30_000, 1_000)
    assert (was["seized"], was["added"], was["withdrawn"]) == (80, 5, 3)
    assert was["time of the first liquidations, median"] == 0.5
    assert was["price at liquidation"] == 800  # the market's at that time


def test_the_still_book_falls_and_owners_who_repay_are_saved(found) -> None:
    """ETH falls by three fifths: anna and bert are under water at once; cleo, at 160%, repays a fifth."""
    still, reacting = read_figures(found, "still"), read_figures(found, "reacting")
    assert still["vaults liquidated"] == 2 and still["repaid"] == 0
    assert reacting["vaults liquidated"] == 2 and reacting["repaid"] >= 40_000
    rows = found.vaults.set_index("vault")
    assert list(rows.index) == ["cleo", "anna", "bert"]
    assert rows.loc["cleo", "repaid_micro"] == reacting["repaid"] * 10**6
    assert rows.loc["bert", "difference"] == "repaid and added, saved; liquidated in 100% of paths"
    assert rows.loc["anna", "difference"] == "waited, liquidated"
    assert int(rows.loc["anna", "liquidated_history_wad"]) == 100_000 * WAD


def test_days_end_with_the_totals(found) -> None:
    last, still = found.days.iloc[-1], read_figures(found, "still")
    assert last["liquidated_history_micro"] == 100_000 * 10**6
    assert last["repaid_history_micro"] == 30_000 * 10**6
    assert abs(last["liquidated_still_micro"] / 10**6 - still["debt liquidated"]) < 0.01


def test_strangers_and_other_times_are_counted(found) -> None:
    assert found.besides[0] == "events.csv: 6 of 8 events are of the scenario's time."
    assert found.besides[-1] == (
        "1 accounts of events.csv have no vault in the book and are left out, with 7,000 stablecoins "
        "liquidated."
    )


def test_paths_of_one_seed_are_equal(lived: Path, found) -> None:
    again = history(lived, lived.with_name("events.csv"), symbol="ETH", paths=8)
    assert again.figures.equals(found.figures) and again.vaults.equals(found.vaults)


def test_what_cannot_be_compared_is_one_line(known: Path, lived: Path, tmp_path: Path) -> None:
    events = lived.with_name("events.csv")
    header = events.read_text().partition("\n")[0]
    strange, late, empty = tmp_path / "strange.csv", tmp_path / "late.csv", tmp_path / "empty.csv"
    at = events.read_text().splitlines()[2].partition(",")[0]
    strange.write_text(f"{header}\n{at},deposit,erin,ETH,1,,\n")
    late.write_text(f"{header}\n1900000000,deposit,anna,ETH,1,,\n")
    empty.write_text(f"{header}\n")
    for scenario, file, symbol, message in (
        (known, events, "ETH", "has no section `owners`: fit one with fit-owners"),
        (lived, events, None, "give --symbol, whose events these are"),
        (lived, events, "WBTC", "'WBTC' is not one of the scenario's: ETH, BTC"),
        (lived, strange, "ETH", "none of its accounts owns a vault of lived: 'erin' is not among"),
        (lived, late, "ETH", "none of its events, of 2030-03-17"),
        (lived, empty, "ETH", "has no events"),
    ):
        with pytest.raises(BackstopError) as caught:
            history(scenario, file, symbol=symbol, paths=2)
        assert message in str(caught.value) and "\n" not in str(caught.value)


def test_the_command_asks_for_events(lived: Path, tmp_path: Path) -> None:
    result = CliRunner(mix_stderr=False).invoke(
        cli, ["history", str(lived), "--symbol", "ETH", "--out", str(tmp_path / "out")]
    )
    assert result.exit_code == 1 and "give a file of it (--events)" in result.stderr
    result = CliRunner(mix_stderr=False).invoke(cli, ["falls", str(lived), "--events", "events.csv"])
    assert result.exit_code == 1 and "--events: says nothing of the question falls" in result.stderr
