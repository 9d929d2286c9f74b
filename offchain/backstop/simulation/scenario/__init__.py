"""Scenarios: files that describe a run, read exactly, and the paths and books drawn from a seed."""

from backstop.simulation.scenario.brownian_bridge import price_path
from backstop.simulation.scenario.draw_scenario import draw_path_outcomes, draw_scenario
from backstop.simulation.scenario.margin_book import build_opening_margin_book
from backstop.simulation.scenario.scenario_library import scenario_names
from backstop.simulation.scenario.scenario_loader import load_scenario
from backstop.simulation.scenario.scenario_records import Scenario
from backstop.simulation.scenario.vault_books import build_vault_book

__all__ = [
    "Scenario",
    "build_opening_margin_book",
    "build_vault_book",
    "draw_path_outcomes",
    "draw_scenario",
    "load_scenario",
    "price_path",
    "scenario_names",
]
