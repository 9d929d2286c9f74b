"""From a file of 150,000 positions to its first page: cost of the import and 1,000 paths of all its vaults.

Sizes are log-normal, and ratios gather near liquidation: half of the vaults are unsafe after a fall by a
fifth. No vault is under the debt floor, so that none is merged and each is played.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq

from backstop.errors import BackstopError
from backstop.randomness import SCALE, SeededRandom
from backstop.simulation.scenario.deterministic_float import exp
from benchmarks.speed.csv_import_to_page_speed import DAYS, START, CommandTime, time_backstop_command

POSITIONS = 150_000
PATHS = 1_000


class _Collateral(NamedTuple):
    """Collateral type of the book: first price [cents], liquidation threshold, and share of rows [%]."""

    cents: int
    threshold: str
    share: int


_TYPES = {
    "WETH": _Collateral(415_000, "0.83", 34),
    "wstETH": _Collateral(496_000, "0.81", 18),
    "WBTC": _Collateral(11_180_000, "0.78", 14),
    "cbBTC": _Collateral(11_200_000, "0.78", 12),
    "weETH": _Collateral(434_000, "0.80", 10),
    "rETH": _Collateral(470_000, "0.79", 5),
    "LINK": _Collateral(2_250, "0.75", 4),
    "AAVE": _Collateral(31_000, "0.76", 3),
}
_FLOOR = 2_000.0
_MEDIAN, _SIGMA = 6_000.0, 1.3
"""Stablecoins of debt over the floor, and the standard deviation of their logarithm."""
_GAP, _GAP_SIGMA = 0.25, 1.0
"""Excess collateral, as a share of the liquidation requirement: the median, and its logarithm's deviation."""
_UNSAFE = 200
"""One row in so many is unsafe at the last price."""
_CRASH = 300
"""One hour in so many has a fall of 3% to 7%."""


def write_large_files(folder: Path, count: int = POSITIONS) -> None:
    """Write random positions and 90 days of hourly prices to CSV files in a folder.

    positions.csv has `count` rows, one for each vault.
    """
    folder.mkdir(parents=True, exist_ok=True)
    dice, cents = SeededRandom(1, "large", "prices"), {name: each.cents for name, each in _TYPES.items()}
    with (folder / "prices.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("time", *_TYPES))
        for hour in range(24 * DAYS):
            at = START + timedelta(hours=hour)
            writer.writerow(
                (at.strftime("%Y-%m-%dT%H:%MZ"), *(f"{each / 100:.2f}" for each in cents.values()))
            )
            last = dict(cents)
            common = dice.draw_integer(-110, 110)
            if dice.draw_index(_CRASH) == 0:
                common -= dice.draw_integer(300, 700)
            for name in cents:
                cents[name] = cents[name] * (10_000 + common + dice.draw_integer(-20, 20)) // 10_000
    dice = SeededRandom(1, "large", "positions")
    names = [name for name, each in _TYPES.items() for _ in range(each.share)]
    with (folder / "positions.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("owner", "collateral", "locked", "debt", "threshold"))
        for _ in range(count):
            name = names[dice.draw_index(len(names))]
            debt = _FLOOR + _MEDIAN * exp(_SIGMA * dice.draw_scaled_normal() / SCALE)
            over = _GAP * exp(_GAP_SIGMA * dice.draw_scaled_normal() / SCALE)
            if dice.draw_index(_UNSAFE) == 0:
                over = -0.02
            threshold = _TYPES[name].threshold
            locked = debt * (1 + over) / float(threshold) / (last[name] / 100)
            owner = f"0x{dice.draw_bits() % 2**160:040x}"
            writer.writerow((owner, name, f"{locked:.12f}", f"{debt:.6f}", threshold))


def measure_large_import(folder: Path, paths: int = PATHS) -> Iterator[CommandTime]:
    """Yield the cost of importing the files in a folder, and of three stress studies.

    The studies have a tenth of `paths`, all paths, and a tenth with a crash on each path. Raises
    BackstopError if a study has no page.
    """
    mine = folder / "mine"
    files = "--book", folder / "positions.csv", "--prices", folder / "prices.csv"
    yield time_backstop_command("import", "import", *files, "--out", mine)
    (mine / "crash.yaml").write_text(_write_crash_scenario(), encoding="utf-8")
    for name, count, what in (
        ("short", paths // 10, ""),
        ("scenario", paths, ""),
        ("crash", paths // 10, ", a crash on each"),
    ):
        given = "--paths", count, "--workers", 2, "--confirm", 0, "--out", folder / name
        file = mine / ("crash.yaml" if name == "crash" else "scenario.yaml")
        yield time_backstop_command(f"stress, {count:,} paths{what}", "stress", file, *given)
        if not (folder / name / "report.html").is_file():
            raise BackstopError(f"{folder / name} has no page")


def _write_crash_scenario() -> str:
    """Return the YAML of a scenario in which all prices fall at once by about 25% on each path."""
    lines = [f"  {name}: {{model: {{crash: {{fall: 25%, deviation: 10%}}}}}}" for name in _TYPES]
    return "\n".join(("extends: scenario.yaml", "title: A crash on each path.", "prices:", *lines, ""))


def count_liquidations(folder: Path) -> int:
    """Return the mean number of liquidations on a path of the study in a folder, rounded down."""
    found = pq.read_table(folder / "paths.parquet", columns=["liquidations"])["liquidations"].to_numpy()
    return int(found.mean())
