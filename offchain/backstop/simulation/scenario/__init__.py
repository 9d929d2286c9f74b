"""Scenarios: files that say what happens, read exactly, and the paths and books drawn from a seed."""

from backstop.simulation.scenario.book import vault_book
from backstop.simulation.scenario.drawn import draw, drawn
from backstop.simulation.scenario.file import scenario_names
from backstop.simulation.scenario.loader import load_scenario
from backstop.simulation.scenario.margin_book import opening_book
from backstop.simulation.scenario.paths import price_path
from backstop.simulation.scenario.schema import Scenario

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
