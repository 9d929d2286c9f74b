"""Past days of a coin, counted by their largest fall and their largest rise from the day's first price.

An account that opens with the first trade of a day, with no more than its initial margin, is under its
maintenance margin at a price `q` for each coin bought at `p`

    long:   p*initial + q - p < q*maintenance      (p - q)/p > (initial - maintenance)/(1 - maintenance)
    short:  p*initial + p - q < q*maintenance      (q - p)/p > (initial - maintenance)/(1 + maintenance)

Only counts are kept, in tenths of a per cent: days of the tenth in which the bound lies count as liquidated.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal, InvalidOperation
from functools import cache
from pathlib import Path
from typing import NamedTuple

from backstop.errors import BackstopError
from backstop.model.arithmetic import BASIS_POINTS

STEPS = 1_000
"""Steps of a whole price in which moves are counted."""
COINS = ("eth", "btc", "avax")
"""Coins with days that are counted in this repository."""
_FOLDER = Path(__file__).parent / "days"
_PRICES = ("open", "high", "low")


class Days(NamedTuple):
    """Counts of days by largest price drop and by largest rise."""

    fell: dict[int, int]  # days by their largest fall [tenths of a per cent], rounded down
    rose: dict[int, int]  # days by their largest rise [tenths of a per cent], rounded down

    @property
    def number(self) -> int:
        """Number of counted days."""
        return sum(self.fell.values())


class LiquidatedDays(NamedTuple):
    """Number of days on which an account with its initial margin would have been liquidated."""

    days: int  # counted
    longs: int  # of them, those on which a long was
    shorts: int  # of them, those on which a short was


@cache
def load_day_move_counts(coin: str) -> Days:
    """Return the repository's counts of a coin's days, by its name in COINS."""
    lines = (_FOLDER / f"{coin}.csv").read_text().splitlines()
    reader = csv.DictReader(line for line in lines if not line.startswith("#"))
    fell, rose = dict[int, int](), dict[int, int]()
    for row in reader:
        for counts, name in ((fell, "fell"), (rose, "rose")):
            if int(row[name]):
                counts[int(row["tenths"])] = int(row[name])
    return Days(fell, rose)


def count_daily_moves(bars: Iterable[Sequence[Decimal]]) -> Days:
    """Count days by their largest drop and rise, from bars (open, high, low)."""
    fell, rose = dict[int, int](), dict[int, int]()
    for first, high, low in bars:
        for counts, move in ((fell, first - low), (rose, high - first)):
            step = int(move * STEPS / first)
            counts[step] = counts.get(step, 0) + 1
    return Days(fell, rose)


def count_daily_moves_in_csv(path: Path) -> Days:
    """Count the days of a CSV file by their largest drop and rise.

    The file has a row for each day, with the columns `open`, `high` and `low`. Raises BackstopError for
    another form.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BackstopError(f"{path}: {error}") from None
    return count_daily_moves(
        _iter_open_high_low_bars(path, [line for line in lines if not line.startswith("#")])
    )


def _iter_open_high_low_bars(path: Path, lines: Sequence[str]) -> Iterator[tuple[Decimal, ...]]:
    reader = csv.DictReader(lines)
    if missing := [name for name in _PRICES if name not in (reader.fieldnames or ())]:
        raise BackstopError(f"{path}: column {missing[0]!r} is missing; expected {', '.join(_PRICES)}")
    for number, row in enumerate(reader, 1):
        try:
            first, high, low = (Decimal(row[name]) for name in _PRICES)
        except (InvalidOperation, TypeError):
            raise BackstopError(f"{path}: row {number} has no price in {', '.join(_PRICES)}") from None
        if not 0 < low <= first <= high:
            raise BackstopError(f"{path}: row {number}: expected 0 < low <= open <= high")
        yield first, high, low


def count_days_with_liquidation(days: Days, initial: int, maintenance: int) -> LiquidatedDays:
    """Return the days on which an account would have been liquidated, by its margins [bps]."""
    room = max(0, initial - maintenance) * STEPS
    longs, shorts = room // (BASIS_POINTS - maintenance), room // (BASIS_POINTS + maintenance)
    return LiquidatedDays(
        days.number,
        sum(count for step, count in days.fell.items() if step >= longs),
        sum(count for step, count in days.rose.items() if step >= shorts),
    )
