"""Runs that several tests look at."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstop.simulation.scenario import Scenario, load_scenario
from backstop.simulation.simulator import simulate
from tests.support.checkout_paths import DATA

SMALL = DATA / "runs" / "small.yaml"


@pytest.fixture(scope="session")
def small() -> Scenario:
    return load_scenario(SMALL)


@pytest.fixture(scope="session")
def small_run(small: Scenario, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small crash in lockstep on revm."""
    directory = tmp_path_factory.mktemp("runs") / "small"
    simulate(small, "revm", 1, directory)
    return directory
