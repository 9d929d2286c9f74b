"""From two files to a figure: a scenario that is written whole, loads, and is the same in every engine."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import backstop
from backstop.cli.import_book import cli as import_book
from backstop.cli.stress import cli as stress
from backstop.errors import BackstopError
from backstop.files.output_directories import hash_value_repr
from backstop.model.arithmetic import RAD, RAY, WAD
from backstop.model.bounds import MAX_DEBT_CEILING
from backstop.model.roles import STAGE
from backstop.randomness import SeededRandom
from backstop.simulation.book_opening import open_book
from backstop.simulation.deployment_session import open_deployment_session
from backstop.simulation.scenario import load_scenario
from backstop.simulation.scenario.quantity_units import format_duration_text
from backstop.simulation.scenario_run_state import ScenarioRun
from backstop.studies.risk_questions.path_runner import PathRunner, get_column
from backstop.studies.stress.engine_agreement import run_both_engines
from tests.support.checkout_paths import ROOT

SYMBOLS = {"wstETH": 4_000, "cbBTC": 95_000, "sUSDe": 1}


def prices(hours: int = 24 * 20, step: int = 3_600) -> pd.DataFrame:
    """Return a random history with clustered price drops."""
    dice, rows = SeededRandom(3, "prices"), []
    worth = {symbol: start * 10**6 for symbol, start in SYMBOLS.items()}
    for i in range(hours):
        fall = dice.draw_integer(-120, 115)
        worth = {
            symbol: each
            if symbol == "sUSDe"
            else each * (10_000 + fall + dice.draw_integer(-30, 30)) // 10_000
            for symbol, each in worth.items()
        }
        rows.append((1_735_689_600 + 7_200 + i * step, *(f"{each}e-6" for each in worth.values())))
    return pd.DataFrame(rows, columns=["time", *SYMBOLS])


def positions(count: int = 120) -> pd.DataFrame:
    """Rows with the faults of real ones: crumbs, unsafe ones, debts without cover, nothing at all."""
    dice, rows = SeededRandom(4, "positions"), []
    last = prices().iloc[-1]
    for i in range(count):
        symbol = list(SYMBOLS)[dice.draw_index(3)]
        debt = dice.draw_integer(50, 1_900) if i % 5 == 0 else dice.draw_integer(5_000, 400_000)
        ratio = dice.draw_integer(60, 165) if i % 6 == 0 else dice.draw_integer(165, 420)
        if i % 17 == 0:
            debt = 0
        locked = debt * ratio * 10**4 // int(float(last[symbol]) * 100)
        rows.append((f"0x{i:040x}", symbol, f"{locked}e-4", debt))
    return pd.DataFrame(rows, columns=["owner", "collateral", "locked", "debt"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("mine")
    backstop.write_scenario(backstop.read_book(positions()), backstop.read_prices(prices()), made)
    return made


def test_five_lines_of_python_come_to_a_figure(tmp_path) -> None:
    book = backstop.read_book(positions())
    history = backstop.read_prices(prices())
    day = backstop.write_scenario(book, history, tmp_path / "mine")
    study = backstop.study(day, paths=20, confirm=1)
    assert study.summary["bad_debt"]["mean"]["value_micro"] >= 0
    (again,) = study.summary["confirmed"]
    assert abs(again["exact_micro"] - again["engine_micro"]) <= 0.05 * again["exact_micro"] + 10**6
    assert any("rows that owe" in line for line in study.summary["assumptions"])


def test_two_commands_come_to_the_first_page(tmp_path) -> None:
    positions().to_csv(tmp_path / "book.csv", index=False)
    prices().to_parquet(tmp_path / "prices.parquet")
    args = ["--book", str(tmp_path / "book.csv"), "--prices", str(tmp_path / "prices.parquet")]
    result = CliRunner(mix_stderr=False).invoke(import_book, [*args, "--out", str(tmp_path / "mine")])
    assert result.exit_code == 0, result.stderr
    assert "8 rows lock nothing and owe nothing, and are left out." in result.stdout
    assert "Of book.csv, 112 rows that owe" in result.stdout
    again = CliRunner(mix_stderr=False).invoke(import_book, [*args, "--out", str(tmp_path / "mine")])
    assert again.exit_code == 0 and "was there already" in again.stderr
    other = CliRunner(mix_stderr=False).invoke(
        import_book, [*args, "--floor", "1", "--out", str(tmp_path / "mine")]
    )
    assert "was made with floor 2000, not 1" in other.stderr
    page = tmp_path / "study"
    file = str(tmp_path / "mine" / "scenario.yaml")
    result = CliRunner(mix_stderr=False).invoke(
        stress, [file, "--paths", "4", "--confirm", "0", "--out", str(page)]
    )
    assert result.exit_code == 0, result.stderr
    assert "112 rows that owe" in (page / "report.html").read_text()


def test_what_is_written_loads_to_the_same_scenario(folder) -> None:
    day = load_scenario(folder / "scenario.yaml")
    book, history = backstop.read_book(positions()), backstop.read_prices(prices())
    assert hash_value_repr(day) == hash_value_repr(backstop.write_scenario(book, history, folder))
    assert set(day.symbols) == set(SYMBOLS)
    for symbol, path in day.prices.items():
        assert path.points == {0: history.last_prices_by_symbol[symbol]} and path.model is not None


def test_both_engines_agree_on_what_is_written(folder) -> None:
    exact, fast = run_both_engines(load_scenario(folder / "scenario.yaml"), 1, 4)
    assert exact[:, 1].sum() > 10
    assert np.allclose(exact[:, 2], fast[:, 2], rtol=0.05)


def test_the_file_can_be_read_and_changed(folder) -> None:
    text = (folder / "scenario.yaml").read_text()
    assert "      liquidation_ratio: 150%\n      initial_ratio: 155%\n" in text
    assert "    under_floor: merge\n" in text
    changed = folder / "changed.yaml"
    changed.write_text(
        "extends: scenario.yaml\nvault_book: {rows: {under_floor: drop}}\n"
        "parameters: {collateral_types: {wstETH: {debt_floor: 5_000 stablecoin}}}\n"
    )
    assert "are left out." in " ".join(load_scenario(changed).assumptions)


def test_a_replay_takes_the_prices_as_they_are(tmp_path) -> None:
    """From the midnight before the first price, which holds till its time comes."""
    history = backstop.read_prices(prices(30))
    day = backstop.write_scenario(backstop.read_book(positions()), history, tmp_path, use="replay")
    assert (day.start, day.duration, day.block_time) == (1_735_689_600, 31 * 3_600, 60)
    for symbol, series in history.series.items():
        points = day.prices[symbol].points
        assert points[0] == points[7_200] == series.values[0]
        assert points[3 * 3_600] == series.values[1] and points[day.duration] == series.values[-1]


def test_rows_under_water_are_told_the_price_that_opened_them(tmp_path) -> None:
    """Positions older than the last price look insolvent: a line gives the price, and the repair."""
    (tmp_path / "p.csv").write_text(
        "owner,collateral,locked,debt\nanna,ETH,9,9000\nbert,ETH,90,9000\ncarl,ETH,4,9000\n"
    )
    rows = "".join(f"2022-06-{10 + i}T00:00Z,{1_800 - 100 * i}\n" for i in range(10))
    (tmp_path / "q.csv").write_text(f"time,ETH\n{rows}")
    given = ["--book", str(tmp_path / "p.csv"), "--prices", str(tmp_path / "q.csv"), "--block-time", "1 h"]
    told = (
        "Opened at the last prices, of 2022-06-19T00:00Z: if the positions are of an earlier time, end the "
        "prices there, or open the book at the first with --use replay."
    )
    for more, expected in (((), True), (("--use", "replay"), False)):
        out = ["--out", str(tmp_path / f"out{expected}"), *more]
        done = CliRunner().invoke(import_book, [*given, *out])
        assert done.exit_code == 0, done.output
        assert (told in done.stdout.splitlines()) is expected
    (tmp_path / "p.csv").write_text("owner,collateral,locked,debt\nbert,ETH,90,9000\n")
    assert (
        "Opened at" not in CliRunner().invoke(import_book, [*given, "--out", str(tmp_path / "safe")]).stdout
    )


@pytest.mark.deep(brief="tests/backstop/simulation/sources/test_scenario_file.py::test_seconds_are_blocks")
def test_months_are_replayed_in_blocks_of_an_hour(tmp_path) -> None:
    history = backstop.read_prices(prices(24 * 90))
    book = backstop.read_book(positions(20))
    day = backstop.write_scenario(book, history, tmp_path, use="replay")
    assert day.block_time == 3_600 and day.blocks == 24 * 90 + 1
    daily = backstop.read_prices(prices(90, 86_400))
    day = backstop.write_scenario(book, daily, tmp_path / "daily", use="replay")
    assert day.block_time == 3_600 and day.blocks == 89 * 24 + 2
    assert day.prices["cbBTC"].points[86_400 + 7_200] == daily.series["cbBTC"].values[1]


def test_seconds_are_blocks(tmp_path) -> None:
    history = backstop.read_prices(prices(600, 12))
    day = backstop.write_scenario(backstop.read_book(positions(20)), history, tmp_path, duration="1 h")
    assert (day.block_time, day.duration) == (12, 3_600)


def test_thresholds_become_ratios_unless_others_are_given(tmp_path) -> None:
    rows = positions().assign(threshold="0.8")
    book = backstop.read_book(rows, columns={"threshold": "threshold"})
    day = backstop.write_scenario(book, backstop.read_prices(prices()), tmp_path, ratios={"cbBTC": "140%"})
    ratios = {each.symbol: each.liquidation_ratio for each in day.parameters.collateral_types}
    assert ratios == {"wstETH": 12_500, "cbBTC": 14_000, "sUSDe": 12_500}
    assert all(each.auction.penalty <= each.liquidation_ratio for each in day.parameters.collateral_types)


def test_a_large_book_is_scaled_to_what_a_protocol_can_owe(tmp_path) -> None:
    large = positions()
    large["debt"], large["locked"] = large["debt"] * 10**5, [f"{each}5" for each in large["locked"]]
    large["locked"] = [each.replace("e-45", "e1") for each in large["locked"]]
    book, history = backstop.read_book(large), backstop.read_prices(prices())
    with pytest.raises(
        BackstopError, match=r"and a type may owe 1,000,000,000: scale the book by a `total`$"
    ):
        backstop.write_scenario(book, history, tmp_path)
    day = backstop.write_scenario(book, history, tmp_path, total=300_000_000)
    drawn = sum(vault.debt for vault in day.vaults)
    assert 200_000_000 * WAD < drawn <= 300_000_000 * WAD


@pytest.mark.parametrize("name", ["aave", "crvusd", "liquity", "liquity-v2", "maker", "morpho"])
def test_each_systems_sample_becomes_a_scenario(tmp_path, name) -> None:
    book = backstop.read_book(ROOT / "docs" / "how-to" / "samples" / f"synthetic-{name}.csv", like=name)
    worth = {"cbBTC": 95_000, "WBTC": 95_000, "wstETH": 4_000, "WSTETH-A": 4_000}
    names = sorted({name for each in book.assets.values() for name in each if name})
    rows = [(f"2025-01-0{day}", *(worth.get(each, 3_400) for each in names)) for day in (1, 2, 3)]
    given = backstop.read_prices(pd.DataFrame(rows, columns=["time", *names]))
    day = backstop.write_scenario(book, given, tmp_path)
    assert sum(vault.debt for vault in day.vaults) > 0.8 * book.debt
    first = {
        symbol: given.last_prices_by_symbol[day.assets[symbol].collateral if day.assets else symbol]
        for symbol in day.symbols
    }
    assert first == day.first_prices and min(first.values()) >= 3_400 * RAY


def test_the_page_says_what_the_command_prints(tmp_path) -> None:
    page = (ROOT / "docs" / "how-to" / "own-data.md").read_text().partition("## Accounts with several")[2]
    samples = ROOT / "docs" / "how-to" / "samples"
    args = ["--book", f"{samples}/synthetic-aave.csv", "--like", "aave"]
    args += ["--prices", f"{samples}/synthetic-prices.csv", "--out", str(tmp_path / "mine")]
    printed = CliRunner(mix_stderr=False).invoke(import_book, args).stdout.splitlines()[:-2]
    assert printed == page.partition("```text\n")[2].partition("```")[0].splitlines()


SAMPLES = ROOT / "docs" / "tutorials" / "samples"


def test_two_files_of_your_own_come_to_a_page(tmp_path, monkeypatch) -> None:
    """As in docs/tutorials/own-files.md: refused in one line, read without those rows, a page from Python."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(SAMPLES, tmp_path / "docs" / "tutorials" / "samples")
    page = (ROOT / "docs" / "tutorials" / "own-files.md").read_text()
    refused, read = (block.partition("```")[0] for block in page.split("```text\n")[1:])
    lines = [
        line.removeprefix("    .venv/bin/ape run import ")
        for line in page.splitlines()
        if "run import" in line
    ]
    runner = CliRunner(mix_stderr=False)
    assert runner.invoke(import_book, lines[0].split()).stderr == refused
    printed = runner.invoke(import_book, lines[1].split()).stdout
    assert printed == f"{read}runs/mine/scenario.yaml\nruns/mine/report.html\n"
    code = page.partition("```python\n")[2].partition("```")[0]
    exec(code.replace('out="runs', 'paths=20, out="runs'), {})
    assert "bad debt" in Path("runs/mine-study/report.html").read_text()


def test_the_other_columns_of_the_page_are_read(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(SAMPLES, tmp_path / "docs" / "tutorials" / "samples")
    page = (ROOT / "docs" / "tutorials" / "own-files.md").read_text()
    (line,) = [each for each in page.splitlines() if "other-positions.csv --column" in each]
    result = CliRunner(mix_stderr=False).invoke(import_book, line.partition("run import ")[2].split())
    assert result.exit_code == 0, result.stderr
    day = load_scenario("runs/other/scenario.yaml")
    assert {(each.owner, each.locked, each.debt) for each in day.vaults or ()} == {
        ("anna", 60 * WAD, 120_000 * WAD),
        ("cleo", 2 * WAD, 100_000 * WAD),
    }


def test_a_book_may_be_scaled_to_all_that_a_type_may_owe(tmp_path) -> None:
    rows = positions()
    book = backstop.read_book(rows[rows["collateral"] == "cbBTC"])
    day = backstop.write_scenario(book, backstop.read_prices(prices()), tmp_path, total=MAX_DEBT_CEILING)
    (only,) = day.parameters.collateral_types
    assert only.debt_ceiling == MAX_DEBT_CEILING
    drawn = sum(vault.debt for vault in day.vaults)
    assert MAX_DEBT_CEILING * WAD * 8 // 10 < drawn <= MAX_DEBT_CEILING * WAD


def test_of_too_many_types_the_largest_are_named(tmp_path) -> None:
    names = [f"T{number:02}" for number in range(40)]
    rows = pd.DataFrame(
        {"owner": names, "collateral": names, "locked": "100", "debt": [str(100 + n) for n in range(40)]}
    )
    quotes = pd.DataFrame({"time": ["2024-03-12", "2024-03-13", "2024-03-14"]} | dict.fromkeys(names, "10"))
    with pytest.raises(BackstopError) as refused:
        backstop.write_scenario(backstop.read_book(rows), backstop.read_prices(quotes), tmp_path)
    said = str(refused.value)
    assert "has 40 types, and a protocol 32 at most: keep the largest with --only 'T39|T38|" in said
    assert said.endswith(
        "|T08' of its column of collateral; the others owe 828 stablecoins, 17.32% of the debt"
    )


def test_a_proposal_takes_what_was_written(tmp_path) -> None:
    day = backstop.write_scenario(backstop.read_book(positions()), backstop.read_prices(prices()), tmp_path)
    field = "parameters.collateral_types.wstETH.liquidation_ratio"
    asked = {field: "150%", field.replace("liquidation", "initial"): "160%"}
    of_object = backstop.proposal(day, asked, paths=200, sensitivity=False)
    of_file = backstop.proposal(tmp_path / "scenario.yaml", asked, paths=200, sensitivity=False)
    assert of_object.figures.equals(of_file.figures) and of_object.before == of_file.before


def test_a_higher_debt_floor_is_compared_on_the_same_vaults(tmp_path) -> None:
    """Vaults under the proposed floor, which are dropped or merged there, are left out of both sides."""
    rows = positions()
    rows["debt"] = [2_500 if number < 10 else debt for number, debt in enumerate(rows["debt"])]
    backstop.write_scenario(backstop.read_book(rows), backstop.read_prices(prices()), tmp_path, floor=2_000)
    fields = {f"parameters.collateral_types.{symbol}.debt_floor": "3_000 stablecoin" for symbol in SYMBOLS}
    found = backstop.proposal(tmp_path / "scenario.yaml", fields, paths=200, sensitivity=False)
    (said,) = (line for line in found.assumptions if "do not owe the same under every setting" in line)
    assert said.startswith("13 vaults") and said.endswith("42,941 stablecoins, 0.29% of the debt.")
    figures = found.figures
    (change,) = figures[(figures["figure"] == "shortfall") & (figures["of"] == "all")]["change_micro"]
    assert change == 0


def test_a_market_deeper_than_the_book_owes_is_as_deep_as_it_says(folder) -> None:
    """Before: the market maker had the stablecoins of the book alone, and no market was deeper than that."""
    day = load_scenario(folder / "scenario.yaml")
    owed = sum(vault.debt for vault in day.vaults)
    falling = replace(day, shifts=dict.fromkeys(day.symbols, -3_000))
    losses = []
    for times in (1, 5, 30):
        markets = {
            symbol: replace(each, depth=times * owed, debt_to_depth=0)
            for symbol, each in falling.markets.items()
        }
        deep = replace(falling, markets=markets)
        exact, fast = run_both_engines(deep, 1, 3)
        assert np.allclose(exact[:, 2], fast[:, 2], rtol=0.02)
        (rows,) = PathRunner(20, 1, "fast", 1).run_outcomes([deep])
        losses.append(get_column(deep, rows, "bad_debt").sum())
    assert losses[0] > losses[1] > losses[2] > 0


def test_balances_are_what_was_asked_for_and_pay_first(tmp_path) -> None:
    """Before: the reserve began empty, so that each reward of a keeper was bad debt."""
    book, history = backstop.read_book(positions()), backstop.read_prices(prices())
    empty = backstop.write_scenario(book, history, tmp_path / "empty", reserve=0)
    given = backstop.write_scenario(
        book,
        history,
        tmp_path / "given",
        reserve=300_000,
        pools={"junior": 70_000},
    )
    assert (empty.reserve, given.reserve) == (0, 300_000 * WAD)
    assert given.members["junior"] == {"first_loss": 70_000 * WAD}
    assert "The reserve begins with 300,000 stablecoins." in given.assumptions
    unsafe = [replace(each, shifts=dict.fromkeys(each.symbols, -1_000)) for each in (empty, given)]
    for day in unsafe:
        exact, fast = run_both_engines(day, 1, 2)
        assert np.allclose(exact[:, 2], fast[:, 2], rtol=0.02, atol=10**6)
    lost = [
        get_column(day, PathRunner(20, 1, "fast", 1).run_outcomes([day])[0], "bad_debt") for day in unsafe
    ]
    assert lost[0].sum() > lost[1].sum()
    with pytest.raises(BackstopError, match="pools: 'senior' is not one of: junior, savings"):
        backstop.write_scenario(book, history, tmp_path, pools={"senior": 1})
    with pytest.raises(BackstopError, match=r"^reserve: 900,000,000,000 stablecoins, and the book has drawn"):
        backstop.write_scenario(book, history, tmp_path, reserve=900_000_000_000)


def test_the_ledger_holds_the_starting_balance(tmp_path) -> None:
    """On the contracts: the reserve has it to the wei, no account keeps the role, and the model agrees."""
    book, history = backstop.read_book(positions(30)), backstop.read_prices(prices())
    day = backstop.write_scenario(book, history, tmp_path, reserve=30_000, duration="10 min")
    with open_deployment_session(day, "revm", 1) as session:
        run = ScenarioRun(day, session, 1)
        open_book(run, lambda *_: None, lambda: False)
        engine = partial(session.model.view, "VaultEngine")
        assert engine("reserve") == 30_000 * RAD
        assert not engine("has_role", STAGE, run.register_account("market_maker"))


def test_the_recovery_of_markets_is_said_with_its_entry(tmp_path) -> None:
    """Blocks of an hour ask for visits of an hour, in which 20 minutes are no recovery."""
    book, history = backstop.read_book(positions()), backstop.read_prices(prices())
    for name, block_time, told in (("plain", None, "20 min"), ("slow", "1 h", "1 h")):
        day = backstop.write_scenario(book, history, tmp_path / name, block_time=block_time)
        (said,) = (line for line in day.assumptions if line.startswith("Markets are as deep as a fifth"))
        assert said.endswith(f"their recovery is {told} (markets.TYPE.recovery).")
        assert {format_duration_text(each.recovery) for each in day.markets.values()} == {told}


def test_keepers_fail_only_where_it_is_asked_for(tmp_path) -> None:
    """Before: the template's outages were most of the tail, and no page said so."""
    book, history = backstop.read_book(positions()), backstop.read_prices(prices())
    day = backstop.write_scenario(book, history, tmp_path / "plain")
    assert all(group.fails is None for group in day.keepers) and "Keepers do not fail." in day.assumptions
    day = backstop.write_scenario(book, history, tmp_path / "failing", outages=True)
    assert {group.name for group in day.keepers if group.fails} == {"liquidator", "taker", "desk"}


def test_a_step_shorter_than_a_block_is_refused(tmp_path) -> None:
    """Before: a step of 30 s in blocks of 5 minutes changed the sign of a proposal, without a word."""
    book, history = backstop.read_book(positions()), backstop.read_prices(prices())
    day = backstop.write_scenario(book, history, tmp_path)
    text = (tmp_path / "scenario.yaml").read_text()
    assert day.block_time == 60 and text.count("step: 90 s") == 3
    (tmp_path / "short.yaml").write_text(text.replace("step: 90 s", "step: 30 s"))
    with pytest.raises(BackstopError, match=r"step: 30 s is shorter than a block of 60 s, .*short-step"):
        load_scenario(tmp_path / "short.yaml")
    slow = backstop.write_scenario(book, history, tmp_path / "slow", block_time="5 min")
    assert "several steps" in slow.unsafe["short-step"]
