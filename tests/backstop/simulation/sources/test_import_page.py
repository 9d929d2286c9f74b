"""The page of an import: its figures are those of its file, which add up and say where each is from."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest
import yaml
from click.testing import CliRunner

import backstop
from backstop.cli.import_book import cli
from backstop.cli.report import cli as report
from backstop.model.arithmetic import BASIS_POINTS, WAD
from backstop.report import import_page
from backstop.report.risk_answer_charts import build_price_fall_debt_chart
from backstop.simulation.scenario import load_scenario
from backstop.studies.data_frames import list_records
from backstop.studies.import_summary import build_import_summary
from tests.support.chart_color_placeholder_filling import replace_colors_with_fixed_hex
from tests.support.checkout_paths import ROOT
from tests.support.page_figure_summary_check import check_page_figures_against_summary
from tests.support.page_text_figures import read_named_figures

SAMPLES = ROOT / "docs" / "how-to" / "samples"
PRICES = ("--prices", str(SAMPLES / "synthetic-prices.csv"))
POOLED = ("--book", str(SAMPLES / "synthetic-aave.csv"), "--like", "aave", *PRICES)
FAULTY = "owner,collateral,locked,debt,note\n" + "".join(
    f"{row},new\n"
    for row in (
        "anna,WETH,60,100000",
        "anna,cbBTC,1,40000",
        "bert,WETH,40,80000",
        "cleo,WETH,1,900",
        "dora,WETH,0.9,800",
        "emil,WETH,0,0",
        "fred,WETH,0,500",
        "gina,cbBTC,x,500",
        "hugo,USDT,7,5",
    )
)
ASKED = ("--bad-rows", "drop-any", "--only", "collateral=WETH|cbBTC", "--ratio", "WETH=140%")
BARE = (
    "vaults without collateral that any price would open",
    "liquidated before the start, at the first price",
)
GIVEN = ("--pool", "junior=7000", "--reserve", "900", "--outages", "--floor", "1500")


def import_into(folder: Path, *args: str) -> Path:
    result = CliRunner(mix_stderr=False).invoke(cli, [*args, "--out", str(folder)])
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[-2:] == [str(folder / "scenario.yaml"), str(folder / "report.html")]
    return folder


@pytest.fixture(scope="module")
def pooled(tmp_path_factory) -> Path:
    """Accounts of several collaterals, and debts of ether."""
    return import_into(tmp_path_factory.mktemp("pooled") / "mine", *POOLED)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory) -> Path:
    """Rows that are left out, merged and liquidated, and options of the scenario."""
    here = tmp_path_factory.mktemp("faulty")
    (here / "faulty.csv").write_text(FAULTY)
    return import_into(here / "mine", "--book", str(here / "faulty.csv"), *PRICES, *ASKED, *GIVEN)


def summary_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "import.json").read_text())
    return found


def list_expected_figures(summary: dict[str, Any]) -> set[str]:
    """The place of each integer with a unit in the tables, and of the first screen's."""
    found = {"debt_wad", "vaults", "owners"}
    tables = {name: summary[name] for name in ("changes", "types")}
    tables |= {f"tables.{name}": rows for name, rows in summary["tables"].items()}
    for place, rows in tables.items():
        for i, row in enumerate(rows):
            found |= {
                f"{place}.{i}.{name}"
                for name, value in row.items()
                if value is not None and name.endswith(("_wad", "_bps"))
            }
    return found


@pytest.mark.parametrize("kind", ["pooled", "faulty"])
def test_every_figure_of_the_file_is_on_the_page(kind: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(kind)
    page, summary = (folder / "report.html").read_text(), summary_of(folder)
    shown = check_page_figures_against_summary(read_named_figures(page), summary)
    assert list_expected_figures(summary) <= shown
    for said in (*summary["read_columns"], *(row["owner"] for row in summary["tables"]["owners"])):
        assert said in page
    assert str(import_page.compose_finding(summary)) in page
    for chart in (build_price_fall_debt_chart(summary), import_page.build_owner_debt_chart(summary)):
        go.Figure(replace_colors_with_fixed_hex(chart.figure))
        assert f'id="{chart.id}"' in page and chart.label.split(".")[0] in page


def test_the_guide_quotes_the_samples_page(pooled: Path) -> None:
    said = import_page.compose_finding(summary_of(pooled)).striptags()
    assert f"```text\n{said}\n```" in (ROOT / "docs" / "how-to" / "own-data.md").read_text()


def test_debts_add_up_over_types_and_owners_and_are_the_scenarios(pooled: Path) -> None:
    summary, day = summary_of(pooled), load_scenario(pooled / "scenario.yaml")
    owed: dict[str, int] = {}
    for vault in day.vaults or ():
        owed[vault.owner] = owed.get(vault.owner, 0) + vault.debt
    whole = sum(owed.values())
    assert int(summary["debt_wad"]) == whole
    assert summary["vaults"] == sum(vault.debt > 0 for vault in day.vaults or ())
    assert sum(int(each["debt_wad"]) for each in summary["types"]) == whole
    owners = summary["tables"]["owners"]
    assert sum(int(row["debt_wad"]) for row in owners) == whole
    assert int(owners[0]["debt_wad"]) == max(owed.values())
    assert owners[0]["debt_share_bps"] == max(owed.values()) * BASIS_POINTS // whole
    assert summary["owners"] == 40  # accounts of the file, of which most have several vaults
    assert summary["tables"]["falls"] == json.loads(
        json.dumps(list_records(backstop.falls(day)), default=str)
    )


def test_each_line_of_what_became_of_rows_has_its_count_and_debt(faulty: Path) -> None:
    found = {(row["subject"], row["outcome"]): row for row in summary_of(faulty)["changes"]}
    told = {
        key: (row["count"], None if row["debt_wad"] is None else int(row["debt_wad"]) // WAD)
        for key, row in found.items()
    }
    assert told == {
        ("rows", "read"): (9, 222_200),
        ("rows that --only does not name", "left out"): (1, None),
        ("rows that cannot be read", "left out"): (1, None),
        ("rows that lock nothing and owe nothing", "left out"): (1, 0),
        BARE: (1, 500),
        ("vaults under the debt floor", "merged into 1"): (2, 1_700),
    }
    assert found["vaults under the debt floor", "merged into 1"]["share_bps"] == 1_700 * 10_000 // 222_200


def test_what_became_of_vaults_is_what_the_scenario_says(pooled: Path) -> None:
    said = "\n".join(load_scenario(pooled / "scenario.yaml").assumptions)
    repaired = [row for row in summary_of(pooled)["changes"] if row["subject"].startswith("vaults ")]
    assert len(repaired) == 2
    for row in repaired:
        assert f"Of its rows, {row['count']} {row['subject'].removeprefix('vaults ')} (" in said


def test_ratios_are_those_of_the_scenario_and_name_their_source(faulty: Path) -> None:
    types = {each["symbol"]: each for each in summary_of(faulty)["types"]}
    assert types["WETH"]["ratio_source"] == "given: --ratio"
    assert types["cbBTC"]["ratio_source"].startswith("assumed: 150%")
    for each in load_scenario(faulty / "scenario.yaml").parameters.collateral_types:
        assert each.liquidation_ratio == types[each.symbol]["ratio_bps"]
        assert each.auction.penalty - BASIS_POINTS == types[each.symbol]["penalty_bps"]


def test_assumptions_name_what_changes_them_and_whether_it_was_given(pooled: Path, faulty: Path) -> None:
    options = {name for each in cli.params for name in each.opts}
    keys = set(yaml.safe_load((faulty / "scenario.yaml").read_text()))
    kinds = {
        key
        for each in yaml.safe_load((faulty / "scenario.yaml").read_text())["parameters"].values()
        if isinstance(each, dict)
        for terms in each.values()
        if isinstance(terms, dict)
        for key in terms
    }
    for row in summary_of(faulty)["assumed"]:
        name = row["option"].split()[0]
        assert name in options if name.startswith("--") else name in keys | kinds, row
    given = {row["what"]: row["value"] for row in summary_of(faulty)["assumed"] if row["is_given"]}
    assert given == {
        "debt floor": "1,500 stablecoins",
        "reserve": "900 stablecoins",
        "junior pool": "7,000 stablecoins",
        "keepers that fail": given["keepers that fail"],
    }
    assert "liquidator" in given["keepers that fail"]
    assert not [row for row in summary_of(pooled)["assumed"] if row["is_given"]]


def test_the_command_on_the_page_does_the_same_again(faulty: Path, tmp_path: Path) -> None:
    command = json.loads((faulty / "meta.json").read_text())["command"]
    words = shlex.split(command)
    again = import_into(tmp_path / "mine", *words[words.index("import") + 1 :])
    assert summary_of(again) == summary_of(faulty)


def test_the_fall_of_all_prices_is_drawn_above_that_of_each(pooled: Path) -> None:
    """Before: bars of single prices were stacked, and came to more than the whole debt."""
    summary = summary_of(pooled)
    lines = {line["name"]: line["y"] for line in build_price_fall_debt_chart(summary).figure["data"]}
    assert list(lines) == ["all prices", "WETH", "wstETH", "cbBTC"]
    whole = lines.pop("all prices")
    assert max(whole) <= int(summary["debt_wad"]) / WAD
    assert all(
        alone <= together for line in lines.values() for alone, together in zip(line, whole, strict=True)
    )


def test_of_many_prices_those_with_most_debt_are_drawn() -> None:
    rows = [
        {"falling": name, "fall_bps": fall, "debt_wad": str(debt * fall * WAD)}
        for name, debt in [*((f"T{i}", i) for i in range(20)), ("all", 200)]
        for fall in (1_000, 6_000)
    ]
    chart = build_price_fall_debt_chart({"tables": {"falls": rows}})
    assert [line["name"] for line in chart.figure["data"]] == [
        "all prices",
        *(f"T{i}" for i in range(13, 20)),
    ]
    assert len({(key.color, key.mark) for key in chart.legend}) == 8


def test_report_writes_it_again_and_the_index_lists_it(pooled: Path) -> None:
    page = (pooled / "report.html").read_text()
    (pooled / "report.html").unlink()
    assert CliRunner().invoke(report, [str(pooled)]).exit_code == 0
    assert (pooled / "report.html").read_text() == page
    assert CliRunner().invoke(report, [str(pooled.parent)]).exit_code == 0
    index = (pooled.parent / "index.html").read_text()
    assert 'href="mine/report.html"' in index
    assert str(import_page.compose_finding(summary_of(pooled))) in index


def test_a_folder_without_prices_has_no_page(tmp_path: Path) -> None:
    args = ["--book", str(SAMPLES / "synthetic-aave.csv"), "--like", "aave", "--out", str(tmp_path / "mine")]
    assert CliRunner().invoke(cli, args).stdout.splitlines()[-1] == str(tmp_path / "mine" / "book.csv")
    assert not (tmp_path / "mine" / "report.html").exists()


def test_a_cut_off_summary_is_one_line(pooled: Path, tmp_path: Path) -> None:
    (tmp_path / "import.json").write_text((pooled / "import.json").read_text()[:-100])
    (tmp_path / "meta.json").write_text("{}")
    result = CliRunner(mix_stderr=False).invoke(report, [str(tmp_path)])
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert "import.json" in line and not (tmp_path / "report.html").exists()


def test_a_scaled_book_has_the_debt_that_is_asked_for(tmp_path: Path) -> None:
    book = backstop.read_book(SAMPLES / "synthetic-aave.csv", like="aave")
    prices = backstop.read_prices(SAMPLES / "synthetic-prices.csv")
    day = backstop.write_scenario(book, prices, tmp_path, total=1_000_000)
    summary = build_import_summary(book, prices, day, "history", {"total": 1_000_000})
    assert abs(int(summary["debt_wad"]) - 1_000_000 * WAD) < 10_000 * WAD
    scaled = next(row for row in summary["changes"] if row["subject"] == "vaults under the liquidation ratio")
    assert scaled["share_bps"] == 381 and int(scaled["debt_wad"]) < 40_000 * WAD
