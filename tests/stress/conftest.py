"""The study that these tests look at."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstop.simulation.scenario import Scenario, load_scenario

SMALL = Path(__file__).parent / "small.yaml"


@pytest.fixture(scope="session")
def small() -> Scenario:
    return load_scenario(SMALL)
