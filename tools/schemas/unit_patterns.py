"""How the text of each quantity is written: a pattern for each reader of units."""

from __future__ import annotations

import re
from typing import Any

from backstop.live.operate import keeper_settings
from backstop.simulation.scenario import quantity_units
from tools.schemas.reading_trace import UnitReading

_NUMBER = r"\+?(?=\.?\d)[\d_]*(\.[\d_]*)?([eE][+-]?\d{1,2})?"
_SIGNED = _NUMBER.replace(r"\+?", "[+-]?", 1)
_DURATION = r"\d[\d_]*\s*(s|min|h|d)"
_SYMBOL = r"[A-Za-z0-9][A-Za-z0-9._+-]*"

_UNITS = {
    "read_basis_points": "(%|x|bps)",
    "read_ray_ratio": "(%|x)",
    "read_stablecoin": "stablecoin",
    "read_whole_stablecoin_count": "stablecoin",
    "read_equity_as_wad": "equity",
    "read_equity_as_whole_tokens": "equity",
    "read_lots": "lots",
    "read_price_as_ray": "USD",
    "read_gas_price": "gwei",
    "read_gas": "gas",
    "read_yearly_rate": "% a year",
    "read_basis_points_per_year": "% a year",
}
_SIGNED_UNITS = {"read_percent_as_billionths": "%", "read_yearly_billionths": "% a year"}
_PATTERNS = {
    **{reader: rf"{_NUMBER}\s*{unit}" for reader, unit in _UNITS.items()},
    **{reader: rf"{_SIGNED}\s*{unit}" for reader, unit in _SIGNED_UNITS.items()},
    "read_seconds": rf"{_DURATION}(\s+{_DURATION})*",
    "parse_duration_in_milliseconds": rf"\d[\d_]* ?ms|{_DURATION}(\s+{_DURATION})*",
    "read_multiday_clock": r"\d{1,3}:[0-5]\d(:[0-5]\d)?",
    "read_moment": r"\d{4}-\d{2}-\d{2}[T ].*(Z|[+-]\d{2}:?\d{2})",
}


def describe_unit(unit: UnitReading) -> str:
    """Return the examples of the docstring of its reader, such as `'140 min' or '1 h 30 min'`."""
    reader = getattr(quantity_units, unit.reader, None) or getattr(keeper_settings, unit.reader)
    first = (reader.__doc__ or "").split("\n")[0]
    found = re.search(r"('.*?'(?:,? or '.*?'|, '.*?')*)", first)
    assert found, f"the docstring of {unit.reader} gives no example"
    text = found[1]
    if unit.symbol:
        text = text.replace("BTC", unit.symbol)
    return text


def build_unit_schema(unit: UnitReading, bounds: list[tuple[int, int]]) -> dict[str, Any]:
    """Return the schema of a quantity. Only whole numbers have bounds: others' are of what is stored."""
    if unit.reader == "read_whole_number":
        lowest = {"minimum": min(low for low, _ in bounds)} if bounds else {}
        highest = {"maximum": max(high for _, high in bounds)} if bounds else {}
        number = {"type": "integer", **lowest, **highest}
        return {"anyOf": [number, {"type": "string", "pattern": rf"^{_NUMBER}$"}]}
    if unit.reader in ("read_coins_as_wad", "read_signed_coins_as_wad"):
        number_pattern = _SIGNED if "signed" in unit.reader else _NUMBER
        return {"type": "string", "pattern": rf"^{number_pattern}\s*({unit.symbol or _SYMBOL})$"}
    assert unit.reader in _PATTERNS, f"{unit.reader} has no pattern: give it one in {__name__}"
    return {"type": "string", "pattern": f"^({_PATTERNS[unit.reader]})$"}
