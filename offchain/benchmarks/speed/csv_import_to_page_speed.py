"""From two plain files to the first page: positions with the faults of real ones, prices by the hour.

The commands are those of docs/tutorials/own-files.md, each in a process of its own as a shell starts it. The
same positions and prices are written twice: with columns that need nothing said, and with others.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from backstop.errors import BackstopError
from backstop.randomness import SeededRandom

POSITIONS = 10_000
DAYS = 90
PATHS = 1_000
AGAIN = 40
"""Paths that run on the model as well."""

START = datetime(2025, 9, 1, tzinfo=UTC)
CENTS = {"WETH": 415_000, "wstETH": 496_000, "cbBTC": 11_200_000, "WBTC": 11_180_000, "weETH": 434_000}
DECIMALS = {"WETH": 18, "wstETH": 18, "cbBTC": 8, "WBTC": 8, "weETH": 18}
OWED = {"WETH": 40, "wstETH": 30, "cbBTC": 15, "WBTC": 10, "weETH": 5}
"""Rows of a hundred that are of a type."""

PLAIN = ("--bad-rows", "drop-any")
OTHER = (
    *("--column", "owner=account", "--column", "collateral=token"),
    *("--column", "locked=collateral_raw", "--decimals", "locked=token_decimals"),
    *("--column", "debt=borrowed_raw", "--decimals", "debt=6", "--only", "state=open"),
    *("--time", "ms", "--long", "coin,usd", "--bad-rows", "drop-any"),
)
"""Remarks on the files with other columns."""

PYTHON = """
import backstop
book = backstop.read_book("{folder}/positions.csv", bad_rows="drop-any")
day = backstop.write_scenario(book, backstop.read_prices("{folder}/prices.csv"), "{folder}/scenario")
backstop.study(day, {paths}, out="{folder}/python")
backstop.write_page("{folder}/python")
"""

_GAP = range(700, 706)
_EMPTY, _TWICE = 500, 600


class CommandTime(NamedTuple):
    """Cost of a command: clock seconds, CPU seconds of all its processes, and peak memory [bytes]."""

    command: str
    seconds: float
    cpu: float
    memory: int


def draw_random_hourly_prices(days: int = DAYS) -> list[dict[str, int]]:
    """Return the price of each asset [cents] for each hour of the days, by symbol.

    Prices of all assets move together. In about one hour of 300 all fall by 3% to 7% more.
    """
    dice, cents, rows = SeededRandom(1, "files", "prices"), dict(CENTS), []
    for _ in range(24 * days):
        rows.append(dict(cents))
        common = dice.draw_integer(-110, 110) - (
            dice.draw_integer(300, 700) if dice.draw_index(300) == 0 else 0
        )
        apart = dice.draw_integer(-40, 40)
        for symbol in cents:
            moved = common + (apart if "BTC" in symbol else 0) + dice.draw_integer(-4, 4)
            cents[symbol] = cents[symbol] * (10_000 + moved) // 10_000
    return rows


def draw_positions_with_faults(
    count: int, last_prices: dict[str, int]
) -> list[tuple[str, str, int, int | None]]:
    """Return random positions with faults: owner, symbol, collateral and debt.

    Collateral is in the token's smallest unit, debt in millionths of a stablecoin. A missing owner is "", a
    missing debt None.

    Of 1,000 rows about 100 have tiny debts, 30 are unsafe, 5 owe more than their collateral is worth, 5 have
    no collateral, 30 have no debt, 5 repeat the owner and type of the row before, and 1 lacks its owner or
    its debt.
    """
    dice, rows = SeededRandom(1, "files", "positions"), list[tuple[str, str, int, int | None]]()
    symbols = [symbol for symbol, share in OWED.items() for _ in range(share)]
    for _ in range(count):
        kind = dice.draw_index(1_000)
        owner = f"0x{dice.draw_bits() % 2**160:040x}"
        symbol = symbols[dice.draw_index(len(symbols))]
        debt: int | None = dice.draw_integer(2_500_000_000, 5_000_000_000) << dice.draw_index(6)
        percent = 156 + dice.draw_index(100) + (dice.draw_index(300) if dice.draw_index(4) == 0 else 0)
        if kind < 100:
            debt = dice.draw_integer(10_000, 1_500_000_000)
        elif kind < 130:
            percent = dice.draw_integer(102, 155)
        elif kind < 135:
            percent = dice.draw_integer(30, 100)
        elif kind < 140:
            percent = 0
        assert debt is not None
        unit = 10 ** DECIMALS[symbol]
        locked = debt * percent * unit // (last_prices[symbol] * 10**6)
        if 140 <= kind < 170:
            debt = 0
        elif 170 <= kind < 175 and rows:
            owner, symbol, *_ = rows[-1]
            locked = debt * percent * 10 ** DECIMALS[symbol] // (last_prices[symbol] * 10**6)
        elif kind == 175:
            owner, debt = ("", debt) if dice.draw_index(2) else (owner, None)
        rows.append((owner, symbol, locked, debt))
    return rows


def write_position_and_hourly_price_csvs(folder: Path, count: int = POSITIONS, days: int = DAYS) -> None:
    """Write random positions and prices to positions.csv and prices.csv in a folder.

    The same data with other columns is written to other-positions.csv and other-prices.csv.
    """
    quotes = draw_random_hourly_prices(days)
    rows = draw_positions_with_faults(count, quotes[-1])
    plain = [
        (owner, symbol, _format_units(locked, DECIMALS[symbol]), _format_debt_or_blank(debt))
        for owner, symbol, locked, debt in rows
    ]
    _write_csv(folder / "positions.csv", ("owner", "collateral", "locked", "debt"), plain)
    # Every tenth row is a closed one, which was there before.
    closed: list[tuple[object, ...]] = [("0xdead", "WETH", 18, 10**18, 10**9, "closed")]
    other = [
        each
        for i, (owner, symbol, locked, debt) in enumerate(rows)
        for each in (
            *(closed * (i % 10 == 9)),
            (owner, symbol, DECIMALS[symbol], locked, "" if debt is None else debt, "open"),
        )
    ]
    heads = ("account", "token", "token_decimals", "collateral_raw", "borrowed_raw", "state")
    _write_csv(folder / "other-positions.csv", heads, other)
    hours = [(START + timedelta(hours=hour), each) for hour, each in enumerate(quotes) if hour not in _GAP]
    wide = [
        (at.strftime("%Y-%m-%dT%H:%MZ"), *(f"{each / 100:.2f}" for each in row.values())) for at, row in hours
    ]
    wide[_EMPTY] = (*wide[_EMPTY][:3], "", *wide[_EMPTY][4:])
    wide.insert(_TWICE, wide[_TWICE])
    _write_csv(folder / "prices.csv", ("time", *CENTS), wide)
    long = [
        (int(at.timestamp()) * 1_000, symbol, f"{each / 100:.2f}")
        for hour, (at, row) in enumerate(hours)
        for symbol, each in row.items()
        if (hour, symbol) != (_EMPTY, list(CENTS)[2])
    ]
    _write_csv(folder / "other-prices.csv", ("ms", "coin", "usd"), long)


def _format_units(units: int, decimals: int) -> str:
    return f"{units // 10**decimals}.{units % 10**decimals:0{decimals}}"


def _format_debt_or_blank(millionths: int | None) -> str:
    return "" if millionths is None else _format_units(millionths, 6)


def _write_csv(path: Path, heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(heads)
        writer.writerows(rows)


def measure_import_and_stress(folder: Path, path_count: int = PATHS) -> Iterator[CommandTime]:
    """Yield the cost of each command from two CSV files to the first page of a study.

    Both pairs of files are imported and studied by commands, and the first pair by Python too. Raises
    BackstopError if a study has no page.
    """
    for before, said in (("", PLAIN), ("other-", OTHER)):
        mine, study = folder / f"{before}mine", folder / f"{before}study"
        book, quotes = folder / f"{before}positions.csv", folder / f"{before}prices.csv"
        name = f"{before}positions.csv"
        files = "--book", book, "--prices", quotes
        yield time_backstop_command(f"import {name}", "import", *files, *said, "--out", mine)
        yield time_backstop_command(
            f"stress --no-drivers, {path_count:,} paths",
            *("stress", mine / "scenario.yaml", "--no-drivers", "--paths", path_count, "--out", study),
        )
        if not (study / "report.html").is_file():
            raise BackstopError(f"{study} has no page")
    code = PYTHON.format(folder=str(folder), paths=path_count)
    yield time_command_once("Python", [sys.executable, "-c", code])
    if not (folder / "python" / "report.html").is_file():
        raise BackstopError(f"{folder / 'python'} has no page")


def time_backstop_command(shown: str, *args: object) -> CommandTime:
    """Run a `backstop` command in a new process, and return its cost under the shown name."""
    return time_command_once(shown, [sys.executable, "-m", "backstop.cli", *map(str, args)])


def time_command_once(shown: str, command: Sequence[str]) -> CommandTime:
    """Run a command to its end, and return its cost under the shown name.

    Raises BackstopError with the last line of its errors if the command fails.
    """
    began = time.perf_counter()
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, used = os.wait4(process.pid, 0)
        seconds, process.returncode = time.perf_counter() - began, os.waitstatus_to_exitcode(status)
        errors.seek(0)
        lines = errors.read().decode().splitlines()
    if process.returncode:
        raise BackstopError(f"{shown}: {(lines or ['failed'])[-1]}")
    unit = 1 if sys.platform == "darwin" else 1024
    return CommandTime(shown, seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * unit)
