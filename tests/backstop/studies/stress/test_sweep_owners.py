"""Sweeps of a book from files with owners that respond to its ratio, and settings that a rule refuses."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import backstop
from backstop.cli.import_book import cli as import_book
from backstop.cli.sweep import cli
from backstop.errors import BackstopError
from backstop.model.arithmetic import WAD
from backstop.simulation.scenario import build_vault_book, load_scenario
from backstop.studies.borrow_usage import measure_borrow_usage
from backstop.studies.stress.engines import Task, get_engine
from backstop.studies.stress.parameter_grid import load_grid
from tests.support.checkout_paths import DATA, ROOT

SAMPLES = ROOT / "docs" / "how-to" / "samples"
RATIOS = ("104%", "112%", "120.49%", "135%")
GRID = """schema_version: 1
title: What a lower ratio costs
scenario: quick.yaml
limit: {limit} stablecoin
level: 90%
axes:
  ratio:
    title: Liquidation ratio
    fields:
      parameters.collateral_types.WETH.liquidation_ratio: [104%, 112%, 120.49%, 135%]
      parameters.collateral_types.WETH.initial_ratio: [109%, 117%, 125.49%, 140%]
"""


def run(*args: str):
    return CliRunner(mix_stderr=False).invoke(cli, args)


@pytest.fixture(scope="module")
def grid(tmp_path_factory) -> Path:
    """A grid of ratios of the sample book, which is from files and stands still."""
    folder = tmp_path_factory.mktemp("sample")
    book = backstop.read_book(SAMPLES / "synthetic-aave.csv", like="aave")
    backstop.write_scenario(book, backstop.read_prices(SAMPLES / "synthetic-prices.csv"), folder)
    # Blocks of five minutes are quick; a step of 90 s is too short for them, which `unsafe` allows.
    quick = "extends: scenario.yaml\ntitle: Quick\nblock_time: 5 min\nunsafe: {short-step: it is quick}\n"
    (folder / "quick.yaml").write_text(quick)
    file = folder / "grid.yaml"
    file.write_text(GRID.format(limit="100_000"))
    return file


@pytest.fixture(scope="module")
def swept(grid, tmp_path_factory):
    """Return the sweep's output and results, for owners of each kind."""
    found = {}
    for owners in ("still", "distance"):
        out = tmp_path_factory.mktemp("owners") / owners
        result = run(str(grid), "--paths", "150", "--owners", owners, "--out", str(out))
        assert result.exit_code == 0, result.stderr
        found[owners] = out, result.stdout, json.loads((out / "summary.json").read_text())
    return found


def debts(summary) -> list[int]:
    return [int(point["debt_wad"]) for point in summary["points"]]


def shortfalls(summary) -> list[int]:
    return [point["shortfall"]["value_micro"] for point in summary["points"]]


def test_a_book_that_stands_still_is_marked_nowhere(swept) -> None:
    out, printed, summary = swept["still"]
    assert len(set(debts(summary))) == 1
    assert summary["recommended"] is None and not any(point["efficient"] for point in summary["points"])
    page = (out / "report.html").read_text()
    for text in (printed, page):
        assert "Liquidation ratio changes from 112% to 135% and the book stands still" in text
        assert "Let owners respond (--owners distance)" in text
        assert "None is marked as efficient, as the book stands still." in text


def test_owners_who_keep_their_distance_make_the_lowest_ratio_the_dearest(swept) -> None:
    _, printed, summary = swept["distance"]
    lent, lost = debts(summary), shortfalls(summary)
    assert lent == sorted(lent, reverse=True) and len(set(lent)) == 3
    assert lost[0] > lost[1] > lost[2]
    # A book that stands still says the opposite; at today's ratio both are the same.
    still = shortfalls(swept["still"][2])
    assert still[0] < still[1] == lost[1] < still[2]
    assert summary["measure"] == summary["gain"] == "debt" and summary["withheld"] is None
    best = summary["points"][summary["recommended"]["point"]]
    assert best["values"]["ratio"] == "120.49%" and best["shortfall"]["value_micro"] <= 100_000 * 10**6
    assert all(point["efficient"] for point in summary["points"])
    assert "* 3 of 3 are efficient" in printed and "no debt pays a stability fee" in printed


def test_usage_is_what_the_vaults_of_each_setting_owe(grid, swept) -> None:
    loaded = load_grid(grid, "distance")
    for point, told in zip(loaded.points, swept["distance"][2]["points"], strict=True):
        book = build_vault_book(point.scenario, 1, point.scenario.first_prices)
        assert sum(vault.debt for vault in book) == int(told["debt_wad"])
        used = measure_borrow_usage(point.scenario, 1)
        assert told["ceiling_share_bps"] == used.debt * 10_000 // used.ceiling


def test_each_setting_is_a_file_with_its_own_book(grid, swept) -> None:
    out = swept["distance"][0]
    for number, point in enumerate(load_grid(grid, "distance").points):
        read = load_scenario(out / "settings" / f"{number:04}.yaml")
        assert read.vaults == point.scenario.vaults and read.opened_at == point.scenario.opened_at
        assert read.markets == point.scenario.markets and read.parameters == point.scenario.parameters
        rows = [get_engine(Task(each, 1, "fast")).run_paths(0, 3).tolist() for each in (read, point.scenario)]
        assert rows[0] == rows[1]


def test_a_book_that_is_drawn_moves_too_and_its_markets_do_not(tmp_path) -> None:
    text = (DATA / "stress" / "ratios.yaml").read_text().replace("small.yaml", "deep.yaml")
    (tmp_path / "grid.yaml").write_text(text + "owners: distance\n")
    base = DATA / "stress" / "small.yaml"
    depths = "{depth: null, debt_to_depth: 200%}"
    (tmp_path / "deep.yaml").write_text(f"extends: {base}\nmarkets: {{ETH: {depths}, WBTC: {depths}}}\n")
    result = run(str(tmp_path / "grid.yaml"), "--paths", "20", "--out", str(tmp_path / "out"))
    assert result.exit_code == 0, result.stderr
    found = load_grid(tmp_path / "grid.yaml")
    assert found.owners == "distance"
    read = [load_scenario(tmp_path / "out" / "settings" / f"{number:04}.yaml") for number in range(4)]
    assert [each.vaults for each in read] == [point.scenario.vaults for point in found.points]
    assert len({each.markets["ETH"].depth for each in read}) == 1
    lent = [measure_borrow_usage(each, 1).debt for each in read]
    assert lent[0] == lent[1] > lent[2] == lent[3]


def test_the_table_of_settings_is_csv_as_well(swept) -> None:
    out, _, summary = swept["distance"]
    with (out / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["ratio"] for row in rows] == list(RATIOS[1:])
    for row, point in zip(rows, summary["points"], strict=True):
        assert row["debt_wad"] == point["debt_wad"] and row["efficient"] == "true"
        assert int(row["shortfall_value_micro"]) == point["shortfall"]["value_micro"]


def test_a_setting_that_breaks_a_rule_is_named_and_not_run(grid, swept) -> None:
    out, printed, summary = swept["distance"]
    assert [point["values"]["ratio"] for point in summary["points"]] == list(RATIOS[1:])
    (refused,) = summary["refused"]
    assert refused["values"] == {"ratio": "104%"} and refused["rule"] == "penalty"
    assert re.match(r"grid\.yaml:\d+: penalty: WETH: auction\.penalty 105%, ", refused["finding"])
    assert f"refused: 104%: {refused['finding']}" in printed
    page = (out / "report.html").read_text()
    assert "Refused settings" in page and "penalty: WETH: auction.penalty 105%" in page
    assert sorted(each.name for each in (out / "points").iterdir()) == ["0000", "0001", "0002"]


def test_a_grid_whose_settings_are_all_refused_is_one_line(grid, tmp_path) -> None:
    text = re.sub(r", 112%.*\]|, 117%.*\]", "]", grid.read_text())
    (tmp_path / "grid.yaml").write_text(text.replace("quick.yaml", str(grid.parent / "quick.yaml")))
    result = run(str(tmp_path / "grid.yaml"), "--out", str(tmp_path / "out"))
    assert result.exit_code == 1 and result.stderr.count("\n") == 1
    assert "each of its 1 settings breaks a rule, the first penalty: grid.yaml:" in result.stderr


def test_an_exemption_is_of_its_rule_alone_and_is_told(swept) -> None:
    """`unsafe` allows short steps, and not the penalty."""
    out, printed, summary = swept["distance"]
    told = "Auctions of WETH step every 90 s, and blocks are of 300 s"
    assert len(summary["remarks"]) == 6 and summary["remarks"][0].startswith(told)
    assert told in printed and told in (out / "report.html").read_text()
    assert [each["rule"] for each in summary["refused"]] == ["penalty"]


def test_an_axis_of_the_book_and_owners_who_respond_contradict_each_other(tmp_path) -> None:
    text = (
        (DATA / "stress" / "ratios.yaml")
        .read_text()
        .replace("small.yaml", str(DATA / "stress" / "small.yaml"))
    )
    text = text.replace("  share:", "  book: {fields: {vault_book.total: [1_000_000 stablecoin]}}\n  share:")
    (tmp_path / "grid.yaml").write_text(text)
    with pytest.raises(BackstopError, match=r"vault_book: the axis book moves the book itself"):
        load_grid(tmp_path / "grid.yaml", "distance")
    assert load_grid(tmp_path / "grid.yaml").owners == "still"
    (tmp_path / "grid.yaml").write_text(text + "owners: brave\n")
    with pytest.raises(BackstopError, match="'brave' is not one of: still, distance, leverage"):
        load_grid(tmp_path / "grid.yaml")


def test_a_setting_whose_book_is_too_small_is_named(tmp_path) -> None:
    """Members and keepers get their money from the vaults' debt: a high ratio leaves too little of it."""
    text = (DATA / "stress" / "ratios.yaml").read_text().replace("145%", "590%").replace("150%", "600%")
    (tmp_path / "grid.yaml").write_text(text.replace("small.yaml", str(DATA / "stress" / "small.yaml")))
    result = run(str(tmp_path / "grid.yaml"), "--owners", "distance", "--out", str(tmp_path / "out"))
    assert result.exit_code == 1 and result.stderr.count("\n") == 1
    assert "the scenario does not fit: its vaults draw" in result.stderr
    assert result.stderr.endswith("(with ratio 590%, share 10%)\n") and not (tmp_path / "out").exists()


def test_revenue_stands_against_shortfall_where_debts_pay_fees(tmp_path) -> None:
    """Each setting lends as much, so that the dearer one earns more and, with drawn books, loses no less."""
    small = DATA / "stress" / "small.yaml"
    (tmp_path / "grid.yaml").write_text(
        f"""schema_version: 1
title: Fees
scenario: {small}
limit: 10_000_000 stablecoin
level: 90%
axes:
  fee:
    fields:
      parameters.collateral_types.ETH.stability_fee: [1% a year, 3% a year]
"""
    )
    result = run(str(tmp_path / "grid.yaml"), "--paths", "20", "--out", str(tmp_path / "out"))
    assert result.exit_code == 0, result.stderr
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["gain"] == summary["measure"] == "revenue" and "revenue a year" in result.stdout
    low, high = (int(point["revenue_wad"]) for point in summary["points"])
    eth = measure_borrow_usage(load_scenario(small), 1).debts[0]
    assert high - low == pytest.approx(0.02 * eth, rel=1e-6) and low > 1_000 * WAD
    assert summary["points"][summary["recommended"]["point"]]["values"] == {"fee": "3% a year"}


@pytest.mark.deep(
    brief="tests/backstop/studies/stress/test_sweep_owners.py::"
    "test_owners_who_keep_their_distance_make_the_lowest_ratio_the_dearest"
)
def test_the_page_says_what_the_command_prints(tmp_path) -> None:
    page = (ROOT / "docs" / "how-to" / "sweeps.md").read_text()
    grid, told = re.findall(
        r"```(?:yaml|text)\n(.*?)```", page.partition("## Ratios, and owners that respond")[2], re.DOTALL
    )[:2]
    book = ["--book", str(SAMPLES / "synthetic-aave.csv"), "--like", "aave"]
    args = [*book, "--prices", str(SAMPLES / "synthetic-prices.csv"), "--out", str(tmp_path / "mine")]
    assert CliRunner().invoke(import_book, args).exit_code == 0
    (tmp_path / "mine" / "ratio.yaml").write_text(grid)
    command = "sweep runs/mine/ratio.yaml --owners distance --paths 1000 --workers 2"
    assert f"ape run {command}\n" in page
    args = command.replace("runs/mine", str(tmp_path / "mine")).split()[1:]
    printed = run(*args, "--out", str(tmp_path / "out"))
    assert [line.rstrip() for line in printed.stdout.splitlines()][
        : len(told.splitlines())
    ] == told.splitlines()
    still = run(*args, "--owners", "still", "--out", str(tmp_path / "still")).stdout
    assert (
        re.search(r"112%\s+7,500,146\s+35.7%\s+27,648 ", still) and "1 of 4 settings are not beaten" in still
    )
