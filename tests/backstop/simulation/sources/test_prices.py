"""Prices as others keep them: any spacing, replayed or as history; irregularities are named."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import backstop
from backstop.errors import BackstopError
from backstop.model.arithmetic import RAY
from backstop.simulation.scenario import draw_scenario, load_scenario
from backstop.simulation.sources.price_reader import parse_time, read_prices
from backstop.simulation.sources.table_reader import TableFaultsError

MIDNIGHT = 1_710_201_600  # 2024-03-12T00:00Z


def frame(*rows: tuple, columns=("time", "wstETH", "cbBTC")) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=columns, dtype=object)


def hours(*prices: str, step: int = 3_600) -> pd.DataFrame:
    return frame(*((MIDNIGHT + i * step, each) for i, each in enumerate(prices)), columns=("time", "ETH"))


@pytest.mark.parametrize(
    "text",
    [
        "1710201600",
        "1710201600000",
        "1710201600000000",
        "1710201600000000000",
        "1710201600.0",
        "1710201600.000001",
        "1710201600000000.25",
        "2024-03-12",
        "2024-03-12 00:00:00",
        "2024-03-12T00:00Z",
        "2024-03-12T01:00:00+01:00",
        "2024-03-12 00:00:00 UTC",
        "2024-03-12T00:00:00.999",
    ],
)
def test_times_are_what_files_have(text) -> None:
    assert parse_time(text) == MIDNIGHT


def test_a_column_or_a_row_for_each_asset_says_the_same() -> None:
    wide = read_prices(frame((MIDNIGHT, "4000.1", 95_000), (MIDNIGHT + 60, "4001.5", 95_100.5)))
    long = pd.DataFrame(
        [
            (MIDNIGHT, "wstETH", "4000.1"),
            (MIDNIGHT, "cbBTC", "95000"),
            (MIDNIGHT + 60, "wstETH", "4001.5"),
            (MIDNIGHT + 60, "cbBTC", "95100.5"),
        ],
        columns=["at", "coin", "usd"],
    )
    other = backstop.read_prices(long, time="at", symbol="coin", price="usd")
    assert wide.series == other.series and wide.told == ()
    assert wide.series["wstETH"].values == (40_001 * RAY // 10, 40_015 * RAY // 10)
    assert wide.every == 60 and wide.last_prices_by_symbol["cbBTC"] == 951_005 * RAY // 10


@pytest.mark.parametrize(("step", "every"), [(1, 1), (12, 12), (420, 300), (3_600, 3_600), (86_400, 86_400)])
def test_any_spacing(step, every) -> None:
    prices = read_prices(hours("1", "2.5", "2.6", step=step), splits="keep")
    assert prices.every == every
    assert prices.to_csv().count("\n") == 2 + 2 * step // every


def test_gaps_are_named_and_the_price_before_holds() -> None:
    given = hours(*map(str, range(100, 120)))
    prices = read_prices(given.drop(index=range(5, 14)))
    assert prices.told == (
        "ETH: gaps: 1, the longest of 10 h from 2024-03-12T04:00Z on; the price before holds.",
    )
    assert [line.split(",")[1] for line in prices.to_csv().splitlines()[5:8]] == ["104", "104", "104"]


def test_what_is_out_of_order_or_missing_is_counted() -> None:
    prices = read_prices(
        frame((MIDNIGHT + 60, "2.1", "7"), (MIDNIGHT, "2", ""), (MIDNIGHT + 120, "2.2", "7.1"))
    )
    assert prices.told == (
        "Empty cells, where the price before holds: 1.",
        "1 prices are not in the order of their times, and were sorted.",
    )
    assert (prices.first_common_time, prices.last_common_time) == (MIDNIGHT + 60, MIDNIGHT + 120)


def test_two_prices_of_a_time_are_refused_unless_it_is_said_which_counts() -> None:
    twice = frame((MIDNIGHT, "2", "7"), (MIDNIGHT, "2.2", "7"), (MIDNIGHT + 60, "2.1", "7"))
    with pytest.raises(
        TableFaultsError, match="row 2, column wstETH: another price of that time is in row 1: say whether"
    ):
        read_prices(twice)
    assert read_prices(twice, duplicates="first").series["wstETH"].values[0] == 2 * RAY
    last = read_prices(twice, duplicates="last")
    assert last.series["wstETH"].values[0] == 22 * RAY // 10
    assert last.told == ("wstETH, cbBTC: prices of a time that has one already: 1.",)


@pytest.mark.parametrize("after", ["50", "49.9", "10.3", "300", "500"])
def test_a_step_that_looks_like_a_split_is_refused_or_kept(after) -> None:
    given = hours("101", "100", after)
    with pytest.raises(
        TableFaultsError, match=r"row 3, column ETH: from 100 to .* in one step looks like a split or a"
    ):
        read_prices(given)
    assert read_prices(given, splits="keep").told == ("ETH: steps that look like splits, and are kept: 1.",)


@pytest.mark.parametrize("after", ["52", "48", "140", "260"])
def test_a_fall_or_a_rise_is_no_split(after) -> None:
    assert read_prices(hours("101", "100", after)).told == ()


def test_cells_that_cannot_be_read_may_be_left_out() -> None:
    given = frame((MIDNIGHT, "2", "7"), (MIDNIGHT + 60, "0", "7.1"), (MIDNIGHT + 120, "2.1", "n/a"))
    with pytest.raises(TableFaultsError) as caught:
        read_prices(given)
    assert str(caught.value) == (
        "frame: row 2, column wstETH: '0' is not a price: write a number above 0, as 195.21; "
        "row 3, column cbBTC: 'n/a' is not a price; write e.g. '195.21'"
    )
    assert read_prices(given, bad_rows="drop-any").told == ("2 cells cannot be read, and are left out.",)


def test_what_is_written_reads_back_and_begins_when_it_is_asked_to(tmp_path) -> None:
    prices = read_prices(hours("100.000000000000000000000000001", "101", "102"))
    again = read_prices(prices.write_prices_csv(tmp_path))
    assert again.series == prices.series
    held = read_prices(prices.write_prices_csv(tmp_path / "held", begin=MIDNIGHT - 7_200))
    assert held.series["ETH"].values[:3] == (prices.series["ETH"].values[0],) * 3


def test_a_frame_of_the_prices_holds_each_till_the_next() -> None:
    prices = read_prices(frame((MIDNIGHT, "2", "7"), (MIDNIGHT + 60, "2.1", "7")))
    table = prices.select_symbols(("wstETH",)).to_frame()
    assert list(table["wstETH"]) == [2 * RAY, 21 * RAY // 10]
    assert str(table.index[0]) == "2024-03-12 00:00:00+00:00"
    with pytest.raises(
        BackstopError, match=r"^frame: has no prices of DAI; there are wstETH, cbBTC: say which column"
    ):
        prices.select_symbols(("DAI",))


# -------------------------------------------------------------------- scenarios


def replayed(folder: Path, price: str, duration: str = "2 h", block: str = "5 min") -> Path:
    (folder / "prices.csv").write_text("time,close\n0,2300\n1,2310\n2,2290.5\n")
    (folder / "day.yaml").write_text(
        f"extends: stress-day\ncorrelation: null\nduration: {duration}\nblock_time: {block}\n"
        f"prices:\n  ETH: {{file: prices.csv, column: close, {price}}}\n"
        "markets: {ETH: {every: 1 h, recovery: 1 h}, WBTC: {every: 1 h, recovery: 1 h}}\n"
    )
    return folder / "day.yaml"


def test_a_file_of_prices_is_replayed_as_it_is(tmp_path) -> None:
    """Each price holds until the next, on every path; the other coin is drawn."""
    day = load_scenario(replayed(tmp_path, "every: 1 h"))
    for path in (0, 5):
        points = list(draw_scenario(day, 1, path).prices["ETH"].points.values())
        assert points == [2300 * RAY] * 12 + [2310 * RAY] * 12 + [22905 * RAY // 10]
    coarse = load_scenario(replayed(tmp_path, "every: 30 min", "1 h", "1 h"))
    assert list(coarse.prices["ETH"].points.values()) == [2300 * RAY, 22905 * RAY // 10]


def test_daily_prices_make_months_of_blocks_of_an_hour(tmp_path) -> None:
    rows = "".join(f"{i},{2_000 + i}\n" for i in range(91))
    path = replayed(tmp_path, "every: 1 d", "90 d", "1 h")
    (tmp_path / "prices.csv").write_text("time,close\n" + rows)
    points = load_scenario(path).prices["ETH"].points
    assert len(points) == 90 * 24 + 1 and points[90 * 86_400] == 2_090 * RAY


def test_a_history_of_hours_is_drawn_from_in_blocks_of_minutes(tmp_path) -> None:
    (tmp_path / "prices.csv").write_text("time,close\n0,100\n1,110\n2,104.5\n")
    (tmp_path / "day.yaml").write_text(
        "extends: stress-day\nprices: {ETH: {model: {kind: bootstrap, start: 2_300 USD, file: prices.csv, "
        "column: close, every: 1 h, run: 4 h, drift: null, volatility: null, degrees: null, jumps: null}}}\n"
        "correlation: null\n"
    )
    model = load_scenario(tmp_path / "day.yaml").prices["ETH"].model
    assert model is not None and len(model.returns) == 24
    assert [i for i, move in enumerate(model.returns) if move] == [0, 12]


@pytest.mark.parametrize(
    ("price", "said"),
    [
        ("every: 7 min", "prices.ETH.every: and a block of 300 seconds: one must be a multiple of the other"),
        ("every: 10 min", "prices.ETH.file: has 3 prices, and none at the end of the scenario or after it"),
        ("every: 1 h, volatility: 3%", "volatility: unknown field; known here: file, column, every"),
        ("every: 1 h, published: {00:00: 1 USD}", "which contradict each other: remove one of them"),
        ("every: 2 d", "prices.ETH.every: '2 d' is too high"),
        ("run: 1 h", "prices.ETH.run: unknown field"),
    ],
)
def test_what_is_wrong_with_a_replay_is_one_line(tmp_path, price, said) -> None:
    with pytest.raises(BackstopError) as caught:
        load_scenario(replayed(tmp_path, price))
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_price_of_a_replay_that_is_none_is_named(tmp_path) -> None:
    path = replayed(tmp_path, "every: 1 h")
    (tmp_path / "prices.csv").write_text("time,close\n0,2300\n1,0\n2,2290.5\n")
    with pytest.raises(
        BackstopError, match=r"prices.csv: row 3, column close: '0' is not a price: write a number"
    ):
        load_scenario(path)


def test_one_cell_in_a_hundred_may_be_left_out_and_no_more() -> None:
    rows = [(MIDNIGHT + 60 * n, "2", "7") for n in range(100)]
    rows[7] = (MIDNIGHT + 420, "x", "7")
    assert read_prices(frame(*rows), bad_rows="drop").told[0] == "1 cells cannot be read, and are left out."
    rows[8] = (MIDNIGHT + 480, "x", "7")
    with pytest.raises(
        BackstopError, match=r"2 of 100 rows \(2\.0%\) cannot be read, and 'drop' leaves out 1%"
    ):
        read_prices(frame(*rows), bad_rows="drop")
    assert read_prices(frame(*rows), bad_rows="drop-any").told[0].startswith("2 cells")
