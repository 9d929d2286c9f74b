"""A price file that a scenario names has no isolated print, unless the scenario keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from backstop.cli.import_book import cli
from backstop.errors import BackstopError
from backstop.model.arithmetic import RAY
from backstop.simulation.scenario import load_scenario

CALM = ["1340", "1346", "1341", "1349", "1068", "1364", "1360", "1366", "1361"]
CRASH = ["1340", "1346", "1341", "1180", "1068", "1010", "1060", "1040", "1050"]
REPLAY = "{file: prices.csv, column: close, every: 5 min%s}"
BOOTSTRAP = (
    "{model: {kind: bootstrap, start: 2_300 USD, file: prices.csv, column: close, every: 5 min, run: 10 min, "
    "drift: null, volatility: null, degrees: null, jumps: null%s}}"
)
SIZE = (
    "prices.csv: row 7, column close: 1068 is 20.8% below 1349 (row 6) and 21.7% below 1364 (row 8), where "
    "prices move by 0.3%: an isolated print"
)
STEP = ": correct the file, or keep what is real with `prints: keep` beside `file`"


def write_day(folder: Path, price: str, values: Sequence[str], section: str = "prices") -> Path:
    rows = "".join(f"{5 * i},{value}\n" for i, value in enumerate(values))
    (folder / "prices.csv").write_text(f"time,close\n\n{rows}")  # blank lines count as rows
    (folder / "day.yaml").write_text(
        f"extends: stress-day\nduration: 30 min\ncorrelation: null\n{section}: {{ETH: {price}}}\n"
    )
    return folder / "day.yaml"


def read_problem(path: Path) -> str:
    with pytest.raises(BackstopError) as caught:
        load_scenario(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("price", "section", "place"),
    [
        (REPLAY, "prices", "prices.ETH.file"),
        (REPLAY, "feed_prices", "feed_prices.ETH.file"),
        (BOOTSTRAP, "prices", "prices.ETH.model.file"),
    ],
)
def test_a_false_print_is_one_line_and_kept_on_request(tmp_path, price, section, place) -> None:
    path = write_day(tmp_path, price % "", CALM, section)
    assert read_problem(path) == f"day.yaml:4: {place}: {SIZE}{STEP}"
    assert read_problem(write_day(tmp_path, price % ", prints: refuse", CALM, section)).endswith(STEP)
    load_scenario(write_day(tmp_path, price % ", prints: keep", CALM, section))
    load_scenario(write_day(tmp_path, price % "", CRASH, section))


def test_what_is_kept_is_in_the_scenario(tmp_path) -> None:
    replayed = load_scenario(write_day(tmp_path, REPLAY % ", prints: keep", CALM)).prices["ETH"]
    assert replayed.points[1_200] == 1_068 * RAY
    model = load_scenario(write_day(tmp_path, BOOTSTRAP % ", prints: keep", CALM)).prices["ETH"].model
    assert model is not None and min(model.returns) == pytest.approx(-0.233576, abs=1e-6)


def test_a_print_between_the_blocks_of_a_history_is_refused_too(tmp_path) -> None:
    """Longer blocks pass over it, and shorter ones would meet it: it is judged in the file."""
    price = BOOTSTRAP.replace("5 min", "1 min") % ""
    assert "row 7, column close: 1068" in read_problem(write_day(tmp_path, price, [*CALM, *CALM[5:] * 2]))


def test_others_are_counted(tmp_path) -> None:
    values = [*CALM, *CALM[:4], "1060", "1070", *CALM[5:]]
    assert read_problem(write_day(tmp_path, REPLAY % "", values)).endswith(
        f" an isolated print (and 2 more){STEP}"
    )


@pytest.mark.parametrize("values", [("1e-9", "7e-10", "1e-9"), ("1e300", "7e299", "1e300")])
def test_a_history_of_any_size_is_judged(tmp_path, values) -> None:
    assert "an isolated print" in read_problem(write_day(tmp_path, BOOTSTRAP % "", values))


@pytest.mark.parametrize(
    ("price", "said"),
    [
        (REPLAY % ", prints: drop", "prices.ETH.prints: 'drop' is not one of: refuse, keep"),
        (REPLAY % ", prints: true", "prices.ETH.prints: 'true' is not one of: refuse, keep"),
        (BOOTSTRAP % ", prints: drop", "prices.ETH.model.prints: 'drop' is not one of: refuse, keep"),
        ("{prints: keep, model: {kind: brownian}}", "prices.ETH.prints: unknown field; known here: model"),
        ("{model: {prints: keep}}", "prices.ETH.model.prints: unknown field; known here: kind"),
    ],
)
def test_another_word_or_another_place_is_one_line(tmp_path, price, said) -> None:
    assert said in read_problem(write_day(tmp_path, price, CRASH))


def test_points_and_models_take_the_place_of_a_file_and_its_prints(tmp_path) -> None:
    write_day(tmp_path, REPLAY % ", prints: keep", CALM)
    (tmp_path / "other.yaml").write_text(
        "extends: day.yaml\nprices: {ETH: {volatility: 1%, assumed: {00:00: 2_300 USD, 00:30: 2_000 USD}}}\n"
    )
    assert load_scenario(tmp_path / "other.yaml").prices["ETH"].points[1_800] == 2_000 * RAY


# ----------------------------------------------------------------------- import


def import_book(folder: Path, values: Sequence[str], *args: str):
    rows = "".join(f"2024-03-{12 + i // 24}T{i % 24:02}:00Z,{value}\n" for i, value in enumerate(values))
    (folder / "prices.csv").write_text(f"time,ETH\n{rows}")
    (folder / "book.csv").write_text("owner,collateral,locked,debt\na,ETH,100,50000\n")
    files = ["--book", str(folder / "book.csv"), "--prices", str(folder / "prices.csv")]
    result = CliRunner(mix_stderr=False).invoke(
        cli, [*files, "--out", str(folder / "mine"), "--fresh", *args]
    )
    assert result.exit_code == 0, result.stderr
    return (folder / "mine" / "scenario.yaml").read_text()


@pytest.mark.parametrize("use", ["history", "replay"])
def test_import_says_keep_where_the_user_kept_some(tmp_path, use) -> None:
    kept = import_book(tmp_path, CALM, "--use", use, "--prints", "keep")
    assert kept.count(", prints: keep}") == 1
    load_scenario(tmp_path / "mine" / "scenario.yaml")
    (tmp_path / "mine" / "scenario.yaml").write_text(kept.replace(", prints: keep", ""))
    assert "row 6, column ETH: 1068 is" in read_problem(tmp_path / "mine" / "scenario.yaml")


@pytest.mark.parametrize("use", ["history", "replay"])
def test_import_says_nothing_where_nothing_is_kept(tmp_path, use) -> None:
    assert "prints: keep" not in import_book(tmp_path, CALM, "--use", use, "--prints", "drop")
    assert "prints: keep" not in import_book(tmp_path, CRASH, "--use", use, "--prints", "keep")
    assert "prints: keep" not in import_book(tmp_path, CRASH, "--use", use)


def test_a_crash_of_minutes_that_is_one_row_of_the_file_written_is_kept(tmp_path) -> None:
    """A drop and a return in steps of minutes, in a file of hours: no print, and one row of prices.csv."""
    times = [f"{hour:02}:00" for hour in range(6)] + ["05:48", "05:51", "05:54", "05:57", "06:00"]
    times += ["06:03", "06:06", "06:09", "06:12"] + [f"{hour:02}:00" for hour in range(7, 24)]
    values = [100, 101, 100, 101, 100, 101, 96, 91, 87, 83, 80, 84, 88, 92, 97, *[101, 100] * 8, 101]
    rows = "".join(f"2024-03-12T{time}Z,{value}\n" for time, value in zip(times, values, strict=True))
    (tmp_path / "prices.csv").write_text(f"time,ETH\n{rows}")
    (tmp_path / "book.csv").write_text("owner,collateral,locked,debt\na,ETH,100,5000\n")
    files = ["--book", str(tmp_path / "book.csv"), "--prices", str(tmp_path / "prices.csv")]
    result = CliRunner(mix_stderr=False).invoke(cli, [*files, "--out", str(tmp_path / "mine")])
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "mine" / "scenario.yaml").read_text().count(", prints: keep}") == 1
