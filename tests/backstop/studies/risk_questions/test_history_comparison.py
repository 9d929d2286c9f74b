"""A period beside its history: history is the file's, the still book and the paths are the engine's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from backstop.cli.ask import cli
from backstop.errors import BackstopError
from backstop.model.arithmetic import RAY, WAD
from backstop.simulation.scenario import load_scenario
from backstop.simulation.scenario.scenario_records import PricePath, TypeAssets
from backstop.studies.risk_questions.history_comparison import history
from backstop.studies.risk_questions.path_runner import build_vaults
from backstop.studies.risk_questions.vault_changes import (
    VaultChangeReader,
    load_event_mapping,
    read_event_tables,
)

AMOUNTS = "time,kind,account,symbol,amount,debt_symbol,debt_amount"
BALANCES = "when,what,vault,ink,debt"
AFTER = {
    "form": "events",
    "columns": "{kind: what, account: vault, time: when, locked_after: ink, debt_after: debt}",
    "fixed": "{symbol: ETH, debt_symbol: USD}",
    "kinds": "{lock: deposit, free: withdrawal, wipe: repayment, bite: liquidation}",
}
LEFT = [
    # What conftest's EVENTS leave; anna's debt is that of both of her vaults.
    (-24, "lock,cleo,407,200000"),
    (-1, "lock,dora,9,7000"),
    (0.5, "bite,anna,0,100000"),
    (1, "wipe,bert,100,70000"),
    (1, "lock,bert,105,70000"),
    (2, "draw,cleo,400,201000"),
    (2, "free,cleo,397,201000"),
    (2, "bite,dora,0,0"),
    (7, "wipe,cleo,397,200000"),
]


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
    """ETH drops by three fifths: anna and bert are insolvent at once; cleo, at 160%, repays a fifth."""
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


@pytest.fixture
def after(tmp_path: Path) -> Path:
    """A mapping of events with the balances after them."""
    path = tmp_path / "after.yaml"
    path.write_text("".join(f"{name}: {value}\n" for name, value in AFTER.items()))
    return path


def write_events(path: Path, lived: Path, header: str, rows: Sequence[tuple[float, str]]) -> Path:
    """Write events, at hours from the scenario's start."""
    start = load_scenario(lived).start
    path.write_text(
        "\n".join([header, *(f"{start + int(hours * 3_600)},{rest}" for hours, rest in rows)]) + "\n"
    )
    return path


def test_balances_after_events_are_the_same_history(lived: Path, found, after: Path, tmp_path: Path) -> None:
    """They begin at the book's balance; rows before the start do not count.

    A stranger's begin at the balance that its rows leave.
    """
    file = write_events(tmp_path / "left.csv", lived, BALANCES, LEFT)
    other = history(lived, file, like=after, symbol="ETH", paths=8)
    assert other.figures.equals(found.figures) and other.days.equals(found.days)
    assert other.vaults.equals(found.vaults)
    assert other.besides[-2:] == (
        "1 accounts of left.csv have no vault in the book and are left out, with 7,000 stablecoins "
        "liquidated.",
        "Balances after events hold interest: what it added since the last is drawn.",
    )


def test_columns_and_cells_are_said_field_by_field(lived: Path, found, after: Path, tmp_path: Path) -> None:
    """As `fit-owners` takes them: columns, cells, decimals, rows that count, names; vaults of one owner."""
    columns = {"time": "at", "account": "owner", "position": "vault"}
    columns |= {"locked_after": "cents", "debt_after": "owed"}
    rows = []
    for hours, rest in LEFT:
        what, vault, ink, debt = rest.split(",")
        rows.append((hours, f"{what},0x1,{vault},{100 * int(ink)},{debt},a"))
    rows.insert(3, (0.6, "bite,0x1,bert,0,0,b"))
    file = write_events(tmp_path / "left.csv", lived, "at,what,owner,vault,cents,owed,market", rows)
    other = history(
        lived,
        file,
        like=after,
        columns=columns,
        fixed={"symbol": "WETH"},
        decimals={"locked_after": 2},
        only={"market": "a"},
        rename={"WETH": "ETH"},
        symbol="ETH",
        paths=8,
    )
    assert other.figures.equals(found.figures)
    with pytest.raises(
        BackstopError, match=r"its collateral is WETH, the scenario's ETH: give --rename WETH=ETH"
    ):
        history(
            lived,
            file,
            like=after,
            columns=columns,
            fixed={"symbol": "WETH"},
            symbol="ETH",
            paths=2,
        )


def test_several_files_are_one_history(lived: Path, found, after: Path, tmp_path: Path) -> None:
    """The files may come in any order, though a second is in both; given twice, one would count twice."""
    one = write_events(tmp_path / "one.csv", lived, BALANCES, LEFT[:4])
    other = write_events(tmp_path / "other.csv", lived, BALANCES, LEFT[4:])
    for files in ([one, other], [other, one]):
        assert history(lived, files, like=after, symbol="ETH", paths=8).figures.equals(found.figures)
    with pytest.raises(BackstopError, match=r"one\.csv: is given twice"):
        history(lived, [one, other, one], like=after, symbol="ETH", paths=2)


def test_what_is_of_other_vaults_is_left_out_and_told(lived: Path, tmp_path: Path) -> None:
    """anna owes for two types, so her draws have no known type. BTC is not ETH, for any owner."""
    rows = [
        (1, "repayment,anna,USD,500,,"),
        (1, "deposit,anna,ETH,2,,"),
        (1, "deposit,bert,BTC,3,,"),
        (2, "liquidation,anna,BTC,2,USD,100000"),
    ]
    file = write_events(tmp_path / "events.csv", lived, AMOUNTS, rows)
    other = history(lived, file, symbol="ETH", paths=2)
    was = read_figures(other, "history")
    assert (was["repaid"], was["debt liquidated"], was["added"], was["seized"]) == (0, 0, 2, 0)
    assert other.besides[-2:] == (
        "Collateral of BTC is of other types and left out.",
        "1 draws and repayments of accounts with vaults of several types are left out: nothing says of which "
        "vault they are.",
    )


def test_debts_count_at_the_price_of_their_token(lived: Path, after: Path, tmp_path: Path) -> None:
    """The scenario's as it begins, where it has one; else the fixed one. Other types' debts do not count."""
    file = write_events(
        tmp_path / "events.csv",
        lived,
        AMOUNTS,
        [(1, "repayment,bert,WETH,2,,"), (1, "repayment,bert,USD,7,,")],
    )
    day = load_scenario(lived)

    def list_debts(day, fixed) -> list[int]:
        mapping = load_event_mapping("events", None, fixed, None, None, None)
        table = read_event_tables(file, mapping, False)
        reader = VaultChangeReader(day, "ETH", build_vaults(day, 1), table)
        return [change.debt for change in reader.list_changes()]

    assert list_debts(day, None) == [-2 * WAD, -7 * WAD]
    assert list_debts(day, {"debt_price": "1.5"}) == [-3 * WAD, -21 * WAD // 2]
    dear = PricePath({0: 3_000 * RAY, 3_600: 1_000 * RAY}, frozenset(), 0)
    assets = {"ETH": TypeAssets("ETH", "WETH"), "BTC": TypeAssets("BTC")}
    priced = replace(day, assets=assets, asset_prices={"WETH": dear})
    assert list_debts(priced, {"debt_price": "1.5"}) == [-6_000 * WAD]
    elsewhere = {"ETH": TypeAssets("ETH"), "BTC": TypeAssets("BTC", "WETH")}
    assert list_debts(replace(day, assets=elsewhere), None) == [-7 * WAD]
    two = write_events(
        tmp_path / "two.csv",
        lived,
        f"{BALANCES},coin",
        [(1, "wipe,bert,100,7,USD"), (1, "wipe,bert,100,7,DAI")],
    )
    with pytest.raises(
        BackstopError, match="debts after events are of USD, DAI, and have to be of one token"
    ):
        history(lived, two, like=after, columns={"debt_symbol": "coin"}, symbol="ETH", paths=2)


def test_the_command_takes_what_fit_owners_takes(lived: Path, found, after: Path, tmp_path: Path) -> None:
    one = write_events(tmp_path / "one.csv", lived, BALANCES.replace("ink", "locked"), LEFT[:4])
    other = write_events(tmp_path / "other.csv", lived, BALANCES.replace("ink", "locked"), LEFT[4:])
    out = tmp_path / "out"
    args = ["history", str(lived), "--symbol", "ETH", "--paths", "8", "--like", str(after)]
    args += ["--events", str(one), "--events", str(other), "--out", str(out)]
    said = ["--column", "locked_after=locked", "--fixed", "symbol=WETH", "--rename", "WETH=ETH", "--floats"]
    result = CliRunner(mix_stderr=False).invoke(cli, [*args, *said])
    assert result.exit_code == 0, result.stderr
    rows = json.loads((out / "summary.json").read_text())["tables"]["history"]
    assert [row["history"] for row in rows] == list(found.figures["history"])
    command = json.loads((out / "meta.json").read_text())["command"]
    assert all(each in command for each in (*said, str(one), str(other)))
    assumed = json.loads((out / "assumptions.json").read_text())["assumptions"]
    assert assumed["study.rename"] == "WETH=ETH" and "study.only" not in assumed
    # A fault of a file is one line, and all of them in a file.
    bad = write_events(tmp_path / "bad.csv", lived, BALANCES, [(1, "wipe,bert,x,1"), (1, "wipe,bert,1,y")])
    faults = tmp_path / "faults.csv"
    given = ["--like", str(after), "--events", str(bad), "--faults", str(faults)]
    result = CliRunner(mix_stderr=False).invoke(cli, [*args[:4], *given, "--out", str(tmp_path / "bad")])
    assert result.exit_code == 1 and len(result.stderr.strip().splitlines()) == 1
    assert [line.split(",")[:3] for line in faults.read_text().splitlines()[1:]] == [
        ["bad.csv", "2", "ink"],
        ["bad.csv", "3", "debt"],
    ]
    result = CliRunner(mix_stderr=False).invoke(cli, ["falls", str(lived), "--column", "a=b"])
    assert result.exit_code == 1 and "--column: not an option of the question falls" in result.stderr


def test_the_command_asks_for_events(lived: Path, tmp_path: Path) -> None:
    result = CliRunner(mix_stderr=False).invoke(
        cli, ["history", str(lived), "--symbol", "ETH", "--out", str(tmp_path / "out")]
    )
    assert result.exit_code == 1 and "give a file of it (--events)" in result.stderr
    result = CliRunner(mix_stderr=False).invoke(cli, ["falls", str(lived), "--events", "events.csv"])
    assert result.exit_code == 1 and "--events: not an option of the question falls" in result.stderr
