"""How the cost of a day grows with its vaults: Black Thursday with its own book and with a large one."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from backstop.files.atomic_files import write_json
from backstop.model.arithmetic import WAD
from backstop.simulation.deployment_session import open_deployment_session
from backstop.simulation.scenario import Scenario, draw_scenario, load_scenario
from backstop.simulation.simulator import Simulation

SCENARIO = "black-thursday"
SEED = 1
VAULTS = 100_000


class DayCost(NamedTuple):
    """Cost of one simulated day, measured in a process of its own."""

    host: str
    vaults: int
    opening: float  # CPU seconds
    actions: int  # of the day, without the opening
    cpu: float  # seconds of the day
    seconds: float  # by the clock, with the opening
    memory: int  # bytes at most

    @property
    def cpu_seconds_per_action(self) -> float:
        """CPU seconds for each action of the day, including the decisions of keepers."""
        return self.cpu / self.actions


def scale_book(scenario: Scenario, vaults: int) -> Scenario:
    """Return the scenario with about `vaults` vaults and the same total debt."""
    before = sum(book.vaults for book in scenario.generated.values())
    generated = {
        symbol: replace(
            book,
            vaults=book.vaults * vaults // before,
            debt=(max(WAD, book.debt[0] * before // vaults), max(WAD, book.debt[1] * before // vaults)),
        )
        for symbol, book in scenario.generated.items()
    }
    types = tuple(
        replace(each, debt_floor=max(1, each.debt_floor * before // vaults))
        for each in scenario.parameters.collateral_types
    )
    parameters = replace(scenario.parameters, collateral_types=types)
    return replace(scenario, generated=generated, parameters=parameters)


def measure_books(vaults: int, say: Callable[[str], None]) -> Iterator[DayCost]:
    """Yield the cost of the day with its own book and with `vaults` vaults, on each host.

    The hosts are the model alone ("model"), and the model beside the contracts ("revm"). `say` receives
    progress messages.
    """
    own = sum(book.vaults for book in load_scenario(SCENARIO).generated.values())
    for host in ("model", "revm"):
        for count in (own, vaults):
            say(f"{count:,} vaults, host {host}")
            # A process has the memory of all that it ever did.
            with get_context("spawn").Pool(1) as pool:
                yield pool.apply(run_day, (host, count))


def run_day(host: str, vaults: int) -> DayCost:
    """Simulate the day with about `vaults` vaults on a host, and return its cost."""
    scenario = draw_scenario(scale_book(load_scenario(SCENARIO), vaults), SEED)
    began = time.perf_counter()
    with open_deployment_session(scenario, host, SEED) as session:
        run, before = Simulation(scenario, session, SEED), time.process_time()
        run.open_book(lambda *_: None, lambda: False)
        opened, steps = time.process_time(), len(run.steps)
        run.run_blocks(lambda *_: None, lambda: False)
        if session.both is not None:
            session.both.compare_state()  # as each step did: a difference ends the measurement
        spent, actions = time.process_time() - opened, len(run.steps) - steps
        seconds, opening = time.perf_counter() - began, opened - before
    unit = 1 if sys.platform == "darwin" else 1024
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return DayCost(host, len(run.book), opening, actions, spent, seconds, memory)


def write_day_costs_json(day_costs: list[DayCost], path: Path) -> None:
    """Write the costs of all days to a JSON file."""
    write_json({"schema_version": 1, "book": [cost._asdict() for cost in day_costs]}, path)
