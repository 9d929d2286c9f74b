"""`ape run straddle`: tables on stdout, what it is at on stderr; a mistake is one line."""

import json

import pytest
from click.testing import CliRunner

from backstop.cli.straddle import cli
from backstop.studies.straddle import paths, study

QUICK = ("--every", "30", "--hold", "10")


def run(*args):
    return CliRunner(mix_stderr=False).invoke(cli, args)


@pytest.fixture(autouse=True)
def one_day(monkeypatch):
    for module in (study, paths):
        monkeypatch.setattr(module, "SERIES", ("avax-2025-10-10",))


def test_tables_and_json_say_the_same():
    told = run(*QUICK, "--only", "insurance in a day")
    assert told.exit_code == 0, told.stderr
    assert told.stderr.splitlines()[0] == "library: as it is"
    found = json.loads(run(*QUICK, "--only", "insurance in a day", "--json").stdout)
    assert found["largest_moves_bps"] == {
        "avax-2025-10-10": {"12": 1355, "72": 2125, "300": 3095, "600": 3965}
    }
    assert found["library"]["initial"] == 2_000
    everywhere = [row for row in found["rows"] if not row["series"]]
    assert [row["setting"].get("cap") for row in everywhere] == [None, 0, 0, 10_000]
    for row in everywhere:
        gain = int(row["chosen"]["mean"]) // 10**18
        assert f"{gain:,} ({row['chosen']['mean_share'] / 100:.1f})" in told.stdout


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--only", "nothing"), "there is no group 'nothing'; there are margins, age of a mark"),
        (("--hold", "5"), "Invalid value for '--hold'"),
    ],
)
def test_a_mistake_is_one_line(args, message):
    result = run(*args)
    assert result.exit_code != 0 and message in result.stderr and result.stdout == ""
