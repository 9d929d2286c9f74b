"""`ape run self-hedge`: tables on stdout, its progress on stderr; a mistake is one line."""

import json
import re

import pytest
from click.testing import CliRunner

from backstop.cli.self_hedge import cli
from backstop.studies.self_hedge import jump_table, second_prices_from_bars, self_hedge_study
from backstop.studies.self_hedge.pair_market import LIBRARY

QUICK = ("--every", "30", "--holding-period", "10")


def run(*args):
    return CliRunner(mix_stderr=False).invoke(cli, args)


@pytest.fixture(autouse=True)
def one_day(monkeypatch):
    for module in (self_hedge_study, second_prices_from_bars):
        monkeypatch.setattr(module, "SERIES", ("avax-2025-10-10",))


def test_tables_json_and_page_say_the_same(tmp_path):
    asked = (*QUICK, "--group", "insurance in a day", "--out", str(tmp_path / "pairs"))
    told = run(*asked)
    assert told.exit_code == 0, told.stderr
    assert told.stderr.splitlines()[0] == "library: as it is"
    again = run(*asked, "--json")
    assert "was there already" in again.stderr
    found = json.loads(again.stdout)
    assert found["largest_moves_bps"] == {
        "avax-2025-10-10": {"12": 1355, "24": 1422, "60": 2125, "300": 3095, "600": 3965}
    }
    assert found["library"]["initial"] == 2_000
    everywhere = [row for row in found["rows"] if not row["series"]]
    assert [row["setting"].get("cap") for row in everywhere] == [None, 0, 0, 10_000]
    for row in everywhere:
        gain = int(row["chosen"]["mean_wad"]) // 10**18
        assert f"{gain:,} ({row['chosen']['mean_share'] / 100:.1f})" in told.stdout
    page = (tmp_path / "pairs" / "report.html").read_text()
    for row in found["rows"]:
        for kind in ("blind", "chosen"):
            if row["group"] == "library" or not row["series"]:
                assert f'value="{row[kind]["mean_wad"]}"' in page
                assert f'value="{row[kind]["most_wad"]}"' in page
    first_screen_adds_up(page, found)


def test_a_pair_holds_for_four_windows_unless_said_otherwise():
    """Without a roll no gain becomes final, and nothing leaves that makes the next turn dangerous."""
    (hold,) = (option for option in cli.params if option.name == "hold")
    assert hold.default == 4 * LIBRARY.window // 60


def first_screen_adds_up(page, found):
    """The tiles are the sums of the table of days, and its best."""
    tiles = dict(re.findall(r'<dt>(\w[^<]*)</dt>\s*<dd><data value="(-?\d+)"', page))
    own = [row for row in found["rows"] if row["group"] == "library" and row["series"]]
    days = [row[kind] for row in own for kind in ("blind", "chosen")]
    assert int(tiles["Pairs"]) == sum(each["pairs"] for each in days) > 0
    assert int(tiles["Failed"]) == sum(each["failed"] for each in days)
    assert int(tiles["Earned"]) == sum(each["earned"] for each in days)
    assert int(tiles["The best"]) == max(int(each["most_wad"]) for each in days)
    (verdict,) = re.findall(r'<p class="verdict">(.*?)</p>', page, re.DOTALL)
    assert verdict.startswith("None of ") == (int(tiles["Earned"]) == 0)


def test_jumps_are_printed_with_days_of_a_file(tmp_path, monkeypatch):
    """Of two days a long at the library's margins survives one; other coins keep their counts."""
    monkeypatch.setattr(jump_table, "PUBLISHED", jump_table.PUBLISHED[:1])
    monkeypatch.setattr(jump_table, "CITED", jump_table.CITED[:1])
    file = tmp_path / "days.csv"
    file.write_text("open,high,low\n100,100,70\n100,101,99\n")
    told = run("--jumps", "--history", f"eth={file}")
    assert told.exit_code == 0, told.stderr
    lines = told.stdout.splitlines()
    assert lines[2].startswith(
        "| ETH, 2020-03-12, 10 min: -13.61%, measured | library | 25.00% | 10.00% | 4.0 |"
    )
    assert lines[2].endswith("| 1 (50.0%) | 0 (0.0%) |")
    found = json.loads(run("--jumps", "--history", f"eth={file}", "--json").stdout)
    assert len(found) == len(lines) - 2
    assert {(row["coin"], row["days"]) for row in found} == {("eth", 2), ("avax", 2_002)}
    assert f"{int(found[0]['uninsured']['wad']) // 10**18:,}" in lines[2]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--group", "nothing"), "--group: 'nothing' is unknown; expected one of margins, age of a mark"),
        (("--holding-period", "5"), "Invalid value for '--holding-period'"),
        (
            ("--jumps", "--group", "fees"),
            "--jumps: writes no folder; expected without --group, --out and --fresh",
        ),
        (("--history", "eth=days.csv"), "--history: given without --jumps"),
        (("--jumps", "--history", "doge=days.csv"), "expected COIN=FILE with a coin of eth, btc, avax"),
        (("--jumps", "--history", "eth"), "--history eth: expected COIN=FILE"),
    ],
)
def test_a_mistake_is_one_line(args, message):
    result = run(*args)
    assert result.exit_code != 0 and message in result.stderr and result.stdout == ""
