"""Scenarios: files that say what happens, read exactly, and the paths and books drawn from a seed."""

from offchain.scenarios.book import vault_book
from offchain.scenarios.drawn import draw, drawn
from offchain.scenarios.loader import load_scenario, scenario_names
from offchain.scenarios.margin_book import opening_book
from offchain.scenarios.paths import price_path
from offchain.scenarios.schema import Scenario

__all__ = [
    "Scenario",
    "draw",
    "drawn",
    "load_scenario",
    "opening_book",
    "price_path",
    "scenario_names",
    "vault_book",
]
