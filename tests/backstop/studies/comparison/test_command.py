"""`ape run compare`: one table on stdout, one line for a mistake."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from backstop.cli.compare import cli
from tests.support.checkout_paths import DATA

SMALL = str(DATA / "runs" / "small.yaml")


def run(*args: str):
    return CliRunner(mix_stderr=False).invoke(cli, args)


# On a node it takes three times as long.
NODE = pytest.mark.deep(brief="tests/backstop/studies/comparison/test_command.py::test_the_table")
HOSTS = ["revm", pytest.param("anvil", marks=[pytest.mark.anvil, NODE])]


@pytest.mark.parametrize("host", HOSTS)
def test_the_table(host, tmp_path) -> None:
    result = run(
        *("--scenario", SMALL, "--host", host, "--presets", "backstop,morpho-lenders"),
        *("--aftermath", "3", "--out", str(tmp_path)),
    )
    assert result.exit_code == 0, result.stderr
    head, *table = result.stdout.splitlines()
    assert head.strip() == "A small crash"
    assert table[0].split() == ["backstop", "morpho-lenders"]
    for piece in ("loss created", "paid by junior", "outstanding", "won by leaving Savings", "0 differences"):
        assert piece in result.stdout
    heads = ("preset", "rule", "gainer", "gain", "payer", "loss")
    at = next(i for i, line in enumerate(table) if line.startswith("Naive rules"))
    assert table[at + 1].split() == " ".join(heads).split()
    assert table[at + 2].startswith("morpho-lenders") and "who leaves Savings" in table[at + 2]
    runs = "backstop/trace.json", "morpho-lenders/summary.json"
    for name in ("compare.html", "compare.csv", "compare.json", *runs):
        assert (tmp_path / name).is_file()


@pytest.mark.deep(brief="tests/backstop/studies/comparison/test_command.py::test_the_table")
def test_json(tmp_path) -> None:
    result = run(
        "--scenario", SMALL, "--host", "model", "--presets", "maker", "--out", str(tmp_path), "--json"
    )
    printed = json.loads(result.stdout)
    assert printed.pop("out") == str(tmp_path)
    assert printed == json.loads((tmp_path / "compare.json").read_text())


def test_systems(tmp_path) -> None:
    """Figures, bearers and causes on one screen; the same command shows the result that is there."""
    args = ("--scenario", SMALL, "--host", "revm", "--systems", "liquity-v2,backstop", "--no-inputs")
    result = run(*args, "--aftermath", "1", "--workers", "1", "--out", str(tmp_path))
    assert result.exit_code == 0, result.stderr
    table = result.stdout.splitlines()
    assert table[1].split() == ["liquity-v2", "backstop"]
    for piece in (
        "bad debt ",
        "over-liquidation",
        "members of stability pools",
        "gas spent",
        "0 differences",
    ):
        assert piece in result.stdout
    row = next(line.split() for line in table if line.startswith("liquity-v2 "))
    difference, by_mechanism, by_order = (int(each.replace(",", "")) for each in row[1:])
    assert abs(difference - by_mechanism - by_order) <= 1 and by_mechanism < -100_000
    files = "cells/liquity-v2+backstop.json", "liquity-v2/trace.json", "backstop/summary.json"
    for name in ("systems.html", "systems.csv", "systems.json", *files):
        assert (tmp_path / name).is_file()
    again = run(*args, "--aftermath", "1", "--workers", "1", "--out", str(tmp_path))
    assert again.stdout == result.stdout
    other = run(*args, "--aftermath", "2", "--out", str(tmp_path))
    assert other.exit_code != 0 and "seconds of aftermath 86400, not 172800" in other.stderr


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--systems", "aave-v9"), "Error: preset 'aave-v9' is unknown"),
        (
            ("--systems", "all", "--paths", "50"),
            "--paths 50: an expected shortfall at 95% needs 200 paths or",
        ),
        (
            ("--systems", "all", "--presets", "maker"),
            "Error: --presets does not go with --systems: leave it out",
        ),
        (("--paths", "200"), "Error: --paths goes with --systems alone: leave it out"),
        (("--no-inputs",), "Error: --inputs goes with --systems alone: leave it out"),
        (("--presets", "makers"), "Error: preset 'makers' is unknown; expected one of "),
        (("--presets", "nowhere.yaml"), "Error: preset file nowhere.yaml not found"),
        (("--presets", "maker,all"), "Error: the preset 'maker' is given twice"),
        (("--scenario", "white-friday"), "Error: scenario 'white-friday' is unknown"),
        (("--aftermath", "-1"), "-1 is not in the range"),
    ],
)
def test_bad_input_is_one_line(args, message, tmp_path) -> None:
    result = run("--host", "model", "--out", str(tmp_path / "out"), *args)
    assert result.exit_code != 0
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_help_has_examples() -> None:
    assert "ape run compare --presets maker,morpho-lenders,backstop --host revm" in run("--help").stdout
