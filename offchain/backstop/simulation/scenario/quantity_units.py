"""Quantities with units, read exactly: decimal strings to integers, never a float.

Every reader raises ValueError with the second half of an error line: the error, and the correct notation.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

from backstop.model.arithmetic import BASIS_POINTS, RAY, WAD, rpow

_NUMBER = re.compile(r"([+-]?(?=\.?\d)[\d_]*)(?:\.([\d_]*))?(?:[eE]([+-]?\d{1,2})(?!\w))?", re.ASCII)
_DURATION = re.compile(r"(\d[\d_]*)\s*(s|min|h|d)\b")
_CLOCK = re.compile(r"(\d{1,3}):([0-5]\d)(?::([0-5]\d))?")
_SECONDS = {"s": 1, "min": 60, "h": 3_600, "d": 86_400}
_YEAR = 365 * 86_400
BILLION = 10**9


def _split_number_and_unit(text: str, description: str, example: str) -> tuple[int, int, str]:
    """Split '1_000.25 USD' into (100025, 2, 'USD'): digits, decimals, unit. '1e3' is 1000, exactly."""
    bare = text.replace(".", "", 1)
    if bare.isascii() and bare.isdigit():  # nearly all cells of a table, and much faster
        return int(bare), len(text) - 1 - text.index(".") if len(bare) < len(text) else 0, ""
    match = _NUMBER.match(text)
    if match is None:
        raise ValueError(f"{text!r} is not {description}; write e.g. '{example}'")
    whole, fraction = match[1].replace("_", ""), (match[2] or "").replace("_", "")
    digits, decimals = int(whole + fraction), len(fraction) - int(match[3] or 0)
    return digits * 10 ** max(0, -decimals), max(0, decimals), text[match.end() :].strip()


def _read_scaled(text: str, unit: str, scale: int, what: str, example: str, signed: bool = False) -> int:
    """Read a number with a unit, times scale; refuse more decimals than scale holds, round none."""
    digits, decimals, found = _split_number_and_unit(text, what, example)
    if found != unit:
        raise ValueError(f"{text!r} is not {what}; write e.g. '{example}'")
    if digits < 0 and not signed:
        raise ValueError(f"{text!r} is negative")
    value, rest = divmod(digits * scale, 10**decimals)
    if rest:
        most = max(n for n in range(len(str(scale))) if scale % 10**n == 0)
        hold = f"{most} decimals" if most else "whole numbers"
        raise ValueError(f"{text!r} is finer than this field can hold: round it to {hold}")
    return value


def read_numerator_and_denominator(text: str, description: str, example: str) -> tuple[int, int]:
    """Read a bare number as the fraction that it is, exactly: its numerator and its denominator."""
    digits, decimals, unit = _split_number_and_unit(text, description, example)
    if unit:
        raise ValueError(f"{text!r} is not {description}; write e.g. '{example}'")
    return digits, 10**decimals


def read_whole_number(text: str) -> int:
    """Read '120' as 120."""
    return _read_scaled(text, "", 1, "a whole number", "120")


def read_seconds(text: str) -> int:
    """Read '140 min' or '1 h 30 min' as seconds."""
    pieces = _DURATION.findall(text)
    if not pieces or _DURATION.sub("", text).strip():
        raise ValueError(f"{text!r} is not a duration; write e.g. '140 min'")
    return sum(int(number.replace("_", "")) * _SECONDS[unit] for number, unit in pieces)


def read_basis_points(text: str) -> int:
    """Read '150%', '1.5 x' or '40 bps' as basis points."""
    _, _, unit = _split_number_and_unit(text, "a ratio", "150%")
    scale = {"%": 100, "x": BASIS_POINTS, "bps": 1}.get(unit)
    if scale is None:
        raise ValueError(f"{text!r} is not a ratio; write e.g. '150%'")
    return _read_scaled(text, unit, scale, "a ratio", "150%")


def read_ray_ratio(text: str) -> int:
    """Read '99%' or '0.99 x' as ray."""
    _, _, unit = _split_number_and_unit(text, "a ratio", "99%")
    scale = {"%": RAY // 100, "x": RAY}.get(unit)
    if scale is None:
        raise ValueError(f"{text!r} is not a ratio; write e.g. '99%'")
    return _read_scaled(text, unit, scale, "a ratio", "99%")


def read_stablecoin(text: str) -> int:
    """Read '12.5 stablecoin' as wad."""
    return _read_scaled(text, "stablecoin", WAD, "an amount of stablecoin", "30_000 stablecoin")


def read_whole_stablecoin_count(text: str) -> int:
    """Read '30_000 stablecoin' as 30000; the protocol keeps this figure in whole coins."""
    return _read_scaled(text, "stablecoin", 1, "an amount of stablecoin", "30_000 stablecoin")


def read_equity_as_wad(text: str) -> int:
    """Read '12.5 equity' as wad."""
    return _read_scaled(text, "equity", WAD, "an amount of equity", "1_000 equity")


def read_equity_as_whole_tokens(text: str) -> int:
    """Read '1_000 equity' as 1000; the protocol keeps this figure in whole tokens."""
    return _read_scaled(text, "equity", 1, "an amount of equity", "1_000 equity")


def read_coins_as_wad(symbol: str, text: str) -> int:
    """Read '12.5 BTC' as wad, of the coin with this symbol."""
    return _read_scaled(text, symbol, WAD, f"an amount of {symbol}", f"12.5 {symbol}")


def read_signed_coins_as_wad(symbol: str, text: str) -> int:
    """Read '-12.5 BTC' as wad, of the coin with this symbol; may be negative."""
    return _read_scaled(text, symbol, WAD, f"an amount of {symbol}", f"-12.5 {symbol}", signed=True)


def read_lots(text: str) -> int:
    """Read '1_000 lots' as 1000."""
    return _read_scaled(text, "lots", 1, "a number of lots", "1_000 lots")


def read_amount(text: str) -> int:
    """Read '12.5' as wad, for columns that name their unit."""
    return _read_scaled(text, "", WAD, "an amount", "12.5")


def read_price_as_ray(text: str) -> int:
    """Read '195.21 USD' as ray for one whole coin. The stablecoin counts as one dollar."""
    value = _read_scaled(text, "USD", RAY, "a price", "195.21 USD")
    if value == 0:
        raise ValueError(f"{text!r}: zero is not a price")
    return value


def read_gas_price(text: str) -> int:
    """Read '20 gwei' as wei."""
    return _read_scaled(text, "gwei", 10**9, "a gas price", "20 gwei")


def read_gas(text: str) -> int:
    """Read '10_000_000 gas' as 10000000."""
    return _read_scaled(text, "gas", 1, "an amount of gas", "10_000_000 gas")


def read_yearly_rate(text: str) -> int:
    """Read '8% a year' as ray a second above RAY, the largest that compounds to at most that rate."""
    factor = RAY + _read_scaled(text, "% a year", RAY // 100, "a yearly rate", "8% a year")
    low, high = 0, 10**20
    while low < high:
        middle = (low + high + 1) // 2
        if rpow(RAY + middle, _YEAR) <= factor:
            low = middle
        else:
            high = middle - 1
    return low


def read_basis_points_per_year(text: str) -> int:
    """Read '4% a year' as basis points a year."""
    return _read_scaled(text, "% a year", 100, "a yearly rate", "4% a year")


def read_percent_as_billionths(text: str) -> int:
    """Read '-6%' as billionths; may be negative."""
    return _read_scaled(text, "%", BILLION // 100, "a share", "-6%", signed=True)


def read_yearly_billionths(text: str) -> int:
    """Read '-24% a year' as billionths a year; may be negative."""
    return _read_scaled(text, "% a year", BILLION // 100, "a yearly rate", "-24% a year", signed=True)


def read_multiday_clock(text: str) -> int:
    """Read '23:20' as seconds from midnight of the first day; hours count on past 24."""
    match = _CLOCK.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a time; write e.g. '23:20' ('25:10' is 01:10 the next day)")
    return int(match[1]) * 3_600 + int(match[2]) * 60 + int(match[3] or 0)


def read_moment(text: str) -> int:
    """Read '2020-03-12T00:00Z' as seconds of the epoch."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        parsed = None
    if parsed is None or parsed.tzinfo is None or parsed.microsecond:
        raise ValueError(f"{text!r} is not a time in UTC; write e.g. '2020-03-12T00:00Z'")
    return int(parsed.astimezone(UTC).timestamp())


def get_pool_amount_reader(pool_name: str) -> Callable[[str], int]:
    """Return the reader of amounts in a pool's asset: equity in `staked_equity`, else stablecoin."""
    return read_equity_as_wad if pool_name == "staked_equity" else read_stablecoin


def format_duration_text(seconds: int) -> str:
    """Write seconds as `2 h 05 min`, `6 h`, `14 min` or `40 s`."""
    hours, rest = divmod(seconds, 3600)
    if hours:
        return f"{hours} h {rest // 60:02} min" if rest >= 60 else f"{hours} h"
    return f"{rest // 60} min" if rest >= 60 else f"{rest} s"
