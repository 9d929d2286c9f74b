"""Symbols of any token, as scenarios can call them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from backstop.errors import BackstopError
from backstop.simulation.scenario.draw_scenario import EQUITY

_LONGEST = 32


def map_symbols_to_scenario_names(symbols: Iterable[str], chosen_names: Mapping[str, str]) -> dict[str, str]:
    """Return a valid scenario name for each symbol: the chosen name, or one made from the symbol.

    A character that is not allowed becomes an underscore, since files and owners are named after symbols.
    Raises BackstopError if two symbols would get indistinguishable names.
    """
    found: dict[str, str] = {}
    taken: dict[str, str] = {}
    for symbol in dict.fromkeys(symbols):
        name = chosen_names.get(symbol) or re.sub(r"[^A-Za-z0-9._+-]", "_", symbol)
        if not re.match(r"[A-Za-z0-9]", name):
            name = f"x{name}"
        name = name[:_LONGEST]
        if name == EQUITY:
            raise BackstopError(f"{symbol!r} is what the protocol's own equity is called: rename it")
        other = taken.setdefault(name.lower(), symbol)
        if other != symbol and name != found[other]:
            raise BackstopError(f"{other!r} and {symbol!r} differ in capitals alone: rename one")
        if other != symbol and symbol not in chosen_names and other not in chosen_names:
            raise BackstopError(f"{other!r} and {symbol!r} would both be called {name!r}: rename one")
        found[symbol] = name
    return found
