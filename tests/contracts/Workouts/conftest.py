"""A protocol with workouts of its first type."""

import pytest

from tests.support.workouts import opened_with_workouts


@pytest.fixture
def workouts(new_protocol):
    return opened_with_workouts(new_protocol)
