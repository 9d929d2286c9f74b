"""Budget of an adversary, a YAML file: how unlikely prices, how long outages, how much hostile money."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from statistics import NormalDist

from backstop.errors import BackstopError
from backstop.keepers.keeper_group_settings import MOVES
from backstop.simulation.scenario import Scenario, quantity_units
from backstop.simulation.scenario.named_shocks import overlay_scenario_with_named_shocks
from backstop.simulation.scenario.scenario_library import read_unchecked_scenario_fields
from backstop.simulation.scenario.scenario_loader import parse_scenario
from backstop.simulation.scenario.scenario_records import LONGEST, SourcedFact
from backstop.simulation.scenario.yaml_document_reader import Field, Section, read_document

SCHEMA_VERSION = 1
LIBRARY = Path(__file__).parent / "budgets"

TRADERS = ("liquidator", "flash_taker", "bidder")
"""Roles with the most costly absence."""


@dataclass(frozen=True)
class Congestion:
    """Full blocks: gas price times a factor, and a smaller share of gas for the protocol."""

    lasts: int  # seconds at most
    factor: int  # basis points of the gas price
    share: int  # basis points of the share


@dataclass(frozen=True)
class Budget:
    """Limits of an adversary: unlikely prices, outages, stuck feeds, full blocks and hostile moves.

    The money of hostile depositors is part of the scenario.
    """

    name: str
    title: str
    description: str
    facts: tuple[SourcedFact, ...]
    one_in: int  # paths of which one goes as far in a given direction; 1 leaves prices to chance
    spans: int  # equal parts of the time, in each of which a price is pushed evenly
    jumps: int  # of each price whose model has them
    outages: int  # seconds that each group of keepers is down at most
    keepers: tuple[str, ...]  # groups with outages; by default those that fail at random, or TRADERS
    feeds: int  # seconds that each source is stuck at most
    congestion: Congestion | None
    moves: tuple[str, ...]  # that hostile members may make

    @property
    def max_distance_in_standard_deviations(self) -> float:
        """Largest distance of all price draws together from their mean [standard deviations]."""
        # Rounded, as the last digits of a logarithm depend on the C library.
        return round(NormalDist().inv_cdf(1 - 1 / self.one_in), 9) if self.one_in > 2 else 0.0


def list_adversary_budget_names() -> list[str]:
    """Return the names of the budgets in the package."""
    return sorted(path.stem for path in LIBRARY.glob("*.yaml"))


def load_scenario_and_adversary_budget(
    scenario_name: str, budget_name: str
) -> tuple[Scenario, Field, Budget]:
    """Load a scenario with the budget's hostile depositors.

    The result is (scenario, its document, budget). Raises BackstopError if names of keepers conflict or are
    unknown.
    """
    top, name = read_unchecked_scenario_fields(scenario_name)
    top = overlay_scenario_with_named_shocks(top)
    top.read_mapping_entries().pop("shocks", None)
    document, budget = _read_adversary_budget(budget_name)
    section = document.read_mapping_entries()
    if "hostile" in section:
        keepers = top.read_mapping_entries()["keepers"].read_mapping_entries()
        for group, entry in section["hostile"].read_mapping_entries().items():
            if group in keepers:
                entry.raise_error(f"{group!r} is a keeper of {name} already")
            role = {"role": Field(entry.file, entry.line, f"{entry.path}.role", "attacker")}
            keepers[group] = Field(entry.file, entry.line, entry.path, role | entry.read_mapping_entries())
    scenario = parse_scenario(top, name)
    unknown = [each for each in budget.keepers if each not in {group.name for group in scenario.keepers}]
    if unknown:
        section["outages"].raise_error(f"{unknown[0]!r} is not a keeper of {name}")
    failing = tuple(group.name for group in scenario.keepers if group.fails is not None)
    trading = tuple(group.name for group in scenario.keepers if group.role in TRADERS)
    return scenario, top, replace(budget, keepers=budget.keepers or failing or trading)


def _read_adversary_budget(name_or_path: str) -> tuple[Field, Budget]:
    """Return the document and the budget, by its name in the library or from a .yaml file."""
    path = (
        Path(name_or_path) if name_or_path.endswith((".yaml", ".yml")) else LIBRARY / f"{name_or_path}.yaml"
    )
    if not path.is_file():
        raise BackstopError(
            f"budget {name_or_path!r} is unknown; expected one of "
            f"{', '.join(list_adversary_budget_names())}, or a .yaml file"
        )
    top = read_document(path)
    section = top.read_section(
        ("schema_version", "title", "description"),
        ("facts", "prices", "outages", "feeds", "congestion", "hostile", "moves"),
    )
    if section["schema_version"].read_value(quantity_units.read_whole_number) != SCHEMA_VERSION:
        version = section["schema_version"]
        version.raise_error(f"is version {version.text}, this program reads {SCHEMA_VERSION}")
    nothing = Section({})
    facts = (
        [each.read_section(("fact", "source")) for each in section["facts"].read_items()]
        if "facts" in section
        else []
    )
    prices = (
        section["prices"].read_section(("one_in",), ("spans", "jumps")) if "prices" in section else nothing
    )
    outages = section["outages"].read_section(("lasts",), ("keepers",)) if "outages" in section else nothing
    moves = section["moves"].read_items() if "moves" in section else None
    return top, Budget(
        name=path.stem,
        title=section["title"].text,
        description=" ".join(section["description"].text.split()),
        facts=tuple(SourcedFact(each["fact"].text, each["source"].text) for each in facts),
        one_in=prices["one_in"].read_bounded(quantity_units.read_whole_number, 3, 10**9)
        if "one_in" in prices
        else 1,
        spans=prices["spans"].read_bounded(quantity_units.read_whole_number, 1, 100)
        if "spans" in prices
        else 6,
        jumps=prices["jumps"].read_bounded(quantity_units.read_whole_number, 0, 10)
        if "jumps" in prices
        else 0,
        outages=_read_duration(outages["lasts"]) if "lasts" in outages else 0,
        keepers=tuple(each.text for each in outages["keepers"].read_items()) if "keepers" in outages else (),
        feeds=_read_duration(section["feeds"].read_section(("lasts",))["lasts"]) if "feeds" in section else 0,
        congestion=_parse_adversary_congestion(section["congestion"]) if "congestion" in section else None,
        moves=MOVES if moves is None else tuple(each.read_choice(MOVES) for each in moves),
    )


def _parse_adversary_congestion(field: Field) -> Congestion:
    section = field.read_section(("lasts", "factor", "share"))
    return Congestion(
        _read_duration(section["lasts"]),
        factor=section["factor"].read_bounded(quantity_units.read_basis_points, 1, 10_000_000),
        share=section["share"].read_bounded(quantity_units.read_basis_points, 0, 10_000),
    )


def _read_duration(field: Field) -> int:
    return field.read_bounded(quantity_units.read_seconds, 1, LONGEST)
