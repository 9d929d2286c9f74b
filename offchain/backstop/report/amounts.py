"""Amounts as text, from integers alone: no printed figure ever passes through a float.

Rounding is half away from zero; the exact value goes beside every rounded one.
"""

from __future__ import annotations

from datetime import UTC, datetime

from backstop.model.arithmetic import BASIS_POINTS, RAD, RAY, WAD
from backstop.simulation.scenario.quantity_units import (
    format_duration_text as format_duration_text,
)

MINUS = "\u2212"
UNITS = {
    "wad": WAD,
    "ray": RAY,
    "rad": RAD,
    "bps": BASIS_POINTS,
    "micro": 10**6,
    "billionths": 10**9,
    "count": 1,
}
SUFFIXES = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "k"))


def format_exact(value: int, divisor: int) -> str:
    """Format value / divisor with all its digits, as 5,672,123.4; trailing zeros are dropped.

    `divisor` must be a power of ten.
    """
    whole, rest = divmod(abs(value), divisor)
    places = len(str(divisor)) - 1
    fraction = str(rest).zfill(places).rstrip("0") if places else ""
    return _get_minus_sign(value) + f"{whole:,}" + (f".{fraction}" if fraction else "")


def format_fixed(value: int, divisor: int, places: int = 2) -> str:
    """Format value / divisor with a fixed number of decimals, as 5,672,123.40.

    The value is rounded half away from zero.
    """
    scaled = _round_div(abs(value) * 10**places, divisor)
    whole, rest = divmod(scaled, 10**places)
    return (
        (_get_minus_sign(value) if scaled else "") + f"{whole:,}" + (f".{rest:0{places}}" if places else "")
    )


def format_compact(value: int, divisor: int) -> str:
    """Format value / divisor with three significant digits, as 5.67M, 812k, 45.3 or 0.00120.

    Whole numbers below 1,000 are exact. Values closer to 0 than a millionth become `<0.000001`.
    """
    size = abs(value)
    if size % divisor == 0 and size < 1000 * divisor:
        return _get_minus_sign(value) + str(size // divisor)
    for scale, suffix in SUFFIXES:
        if 2 * size >= 1999 * scale * divisor // 1000:  # what rounds up to 1.00 of the suffix
            return _get_minus_sign(value) + _format_three_digits(size, scale * divisor) + suffix
    if size * 10**6 < divisor:
        return "<0.000001" if value > 0 else f">{MINUS}0.000001"
    return _get_minus_sign(value) + _format_three_digits(size, divisor)


def format_percent(part: int, whole: int, places: int = 1) -> str:
    """Format part / whole as a percentage; a dash if `whole` is 0.

    A positive part that would round to 0 is given as less than the smallest percentage, as `<0.1%`.
    """
    if whole == 0:
        return "–"
    least = format_fixed(1, 10**places, places)
    if 0 < 200 * part * 10**places < whole:  # would print as 0
        return f"<{least}%"
    return f"{format_fixed(100 * part, whole, places)}%"


def format_measured_share(billionths: int) -> str:
    """Format a share [billionths] as a percentage of four significant digits: 39.72%, 0.2984%, 100%."""
    places = 0
    while places < 7 and abs(billionths) * 10**places < 10**10:
        places += 1
    text = format_fixed(100 * billionths, 10**9, places)
    return f"{text.rstrip('0').rstrip('.') if places else text}%"


def format_moment(timestamp: int) -> str:
    """Format a timestamp as `23:20 UTC, 12 March 2020`."""
    at = datetime.fromtimestamp(timestamp, UTC)
    return f"{at:%H:%M} UTC, {at.day} {at:%B %Y}"


def format_day_and_time(timestamp: int) -> str:
    """Format a timestamp as `12 Mar 23:20` in UTC, for contexts in which the year is known."""
    at = datetime.fromtimestamp(timestamp, UTC)
    return f"{at.day} {at:%b %H:%M}"


def _get_minus_sign(value: int) -> str:
    return MINUS if value < 0 else ""


def _round_div(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)


def _format_three_digits(absolute_value: int, divisor: int) -> str:
    places = 0
    while places < 8 and _round_div(absolute_value * 10**places, divisor) < 100:
        places += 1
    return format_fixed(absolute_value, divisor, places)
