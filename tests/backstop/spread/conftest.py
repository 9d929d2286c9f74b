"""The study that these tests look at."""

from __future__ import annotations

import pytest

from backstop.simulation.scenario import Scenario, load_scenario
from tests.support.checkout_paths import DATA


@pytest.fixture(scope="session")
def small() -> Scenario:
    return load_scenario(DATA / "stress" / "small.yaml")
