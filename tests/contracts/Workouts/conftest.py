"""A protocol with workouts of its first type."""

import pytest

from tests.support.workout_steps import deploy_with_workouts


@pytest.fixture
def workouts(new_protocol):
    return deploy_with_workouts(new_protocol)
