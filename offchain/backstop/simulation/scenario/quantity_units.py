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
    """Split '1_000.25 USD' into (100025, 2, 'USD'): digits, number of decimals, unit.

    An exponent is resolved exactly: '1e3' is 1000.
    """
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
    """Read a number with a unit as the integer number * scale.

    Raises ValueError for another unit, or for more decimals than `scale` can hold.
    """
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
    """Read a number without a unit as an exact fraction: numerator and denominator."""
    digits, decimals, unit = _split_number_and_unit(text, description, example)
    if unit:
        raise ValueError(f"{text!r} is not {description}; write e.g. '{example}'")
    return digits, 10**decimals


def read_whole_number(text: str) -> int:
    """Read a whole number without a unit: '120' is 120."""
    return _read_scaled(text, "", 1, "a whole number", "120")


def read_seconds(text: str) -> int:
    """Read a duration, such as '140 min' or '1 h 30 min', in seconds."""
    pieces = _DURATION.findall(text)
    if not pieces or _DURATION.sub("", text).strip():
        raise ValueError(f"{text!r} is not a duration; write e.g. '140 min'")
    return sum(int(number.replace("_", "")) * _SECONDS[unit] for number, unit in pieces)


def read_basis_points(text: str) -> int:
    """Read a ratio, such as '150%', '1.5 x' or '40 bps', in basis points."""
    _, _, unit = _split_number_and_unit(text, "a ratio", "150%")
    scale = {"%": 100, "x": BASIS_POINTS, "bps": 1}.get(unit)
    if scale is None:
        raise ValueError(f"{text!r} is not a ratio; write e.g. '150%'")
    return _read_scaled(text, unit, scale, "a ratio", "150%")


def read_ray_ratio(text: str) -> int:
    """Read a ratio, such as '99%' or '0.99 x', in ray."""
    _, _, unit = _split_number_and_unit(text, "a ratio", "99%")
    scale = {"%": RAY // 100, "x": RAY}.get(unit)
    if scale is None:
        raise ValueError(f"{text!r} is not a ratio; write e.g. '99%'")
    return _read_scaled(text, unit, scale, "a ratio", "99%")


def read_stablecoin(text: str) -> int:
    """Read an amount of stablecoin, such as '12.5 stablecoin', in wad."""
    return _read_scaled(text, "stablecoin", WAD, "an amount of stablecoin", "30_000 stablecoin")


def read_whole_stablecoin_count(text: str) -> int:
    """Read a whole amount of stablecoin: '30_000 stablecoin' is 30000, without scaling to wad."""
    return _read_scaled(text, "stablecoin", 1, "an amount of stablecoin", "30_000 stablecoin")


def read_equity_as_wad(text: str) -> int:
    """Read an amount of equity, such as '12.5 equity', in wad."""
    return _read_scaled(text, "equity", WAD, "an amount of equity", "1_000 equity")


def read_equity_as_whole_tokens(text: str) -> int:
    """Read a whole amount of equity: '1_000 equity' is 1000, without scaling to wad."""
    return _read_scaled(text, "equity", 1, "an amount of equity", "1_000 equity")


def read_coins_as_wad(symbol: str, text: str) -> int:
    """Read an amount of the coin with this symbol, such as '12.5 BTC', in wad."""
    return _read_scaled(text, symbol, WAD, f"an amount of {symbol}", f"12.5 {symbol}")


def read_signed_coins_as_wad(symbol: str, text: str) -> int:
    """Read an amount of the coin with this symbol, such as '-12.5 BTC', in wad; it may be negative."""
    return _read_scaled(text, symbol, WAD, f"an amount of {symbol}", f"-12.5 {symbol}", signed=True)


def read_lots(text: str) -> int:
    """Read a number of lots of a perpetual market: '1_000 lots' is 1000."""
    return _read_scaled(text, "lots", 1, "a number of lots", "1_000 lots")


def read_amount(text: str) -> int:
    """Read a number without a unit, such as '12.5', in wad, for columns that name their unit."""
    return _read_scaled(text, "", WAD, "an amount", "12.5")


def read_price_as_ray(text: str) -> int:
    """Read a price of one whole coin, such as '195.21 USD', in ray; 0 is an error.

    The stablecoin counts as one dollar.
    """
    value = _read_scaled(text, "USD", RAY, "a price", "195.21 USD")
    if value == 0:
        raise ValueError(f"{text!r}: zero is not a price")
    return value


def read_gas_price(text: str) -> int:
    """Read a gas price, such as '20 gwei', in wei."""
    return _read_scaled(text, "gwei", 10**9, "a gas price", "20 gwei")


def read_gas(text: str) -> int:
    """Read an amount of gas: '10_000_000 gas' is 10000000."""
    return _read_scaled(text, "gas", 1, "an amount of gas", "10_000_000 gas")


def read_yearly_rate(text: str) -> int:
    """Read a yearly rate, such as '8% a year', as the excess over one per second [ray].

    The result is the largest rate per second that compounds to at most the yearly rate.
    """
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
    """Read a yearly rate, such as '4% a year', in basis points a year."""
    return _read_scaled(text, "% a year", 100, "a yearly rate", "4% a year")


def read_percent_as_billionths(text: str) -> int:
    """Read a percentage, such as '-6%', in billionths; it may be negative."""
    return _read_scaled(text, "%", BILLION // 100, "a share", "-6%", signed=True)


def read_yearly_billionths(text: str) -> int:
    """Read a yearly rate, such as '-24% a year', in billionths a year; it may be negative."""
    return _read_scaled(text, "% a year", BILLION // 100, "a yearly rate", "-24% a year", signed=True)


def read_multiday_clock(text: str) -> int:
    """Read a clock time, such as '23:20', in seconds since midnight of the first day.

    Hours may exceed 24: '25:10' is 01:10 on the second day.
    """
    match = _CLOCK.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a time; write e.g. '23:20' ('25:10' is 01:10 the next day)")
    return int(match[1]) * 3_600 + int(match[2]) * 60 + int(match[3] or 0)


def read_moment(text: str) -> int:
    """Read a UTC time, such as '2020-03-12T00:00Z', as a timestamp [seconds of the epoch]."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        parsed = None
    if parsed is None or parsed.tzinfo is None or parsed.microsecond:
        raise ValueError(f"{text!r} is not a time in UTC; write e.g. '2020-03-12T00:00Z'")
    return int(parsed.astimezone(UTC).timestamp())


def get_pool_amount_reader(pool_name: str) -> Callable[[str], int]:
    """Return the reader of amounts in a pool's asset: equity for `staked_equity`, else stablecoin."""
    return read_equity_as_wad if pool_name == "staked_equity" else read_stablecoin


def format_duration_text(seconds: int) -> str:
    """Format seconds as `2 h 05 min`, `6 h`, `14 min` or `40 s`; smaller units are cut off."""
    hours, rest = divmod(seconds, 3600)
    if hours:
        return f"{hours} h {rest // 60:02} min" if rest >= 60 else f"{hours} h"
    return f"{rest // 60} min" if rest >= 60 else f"{rest} s"
