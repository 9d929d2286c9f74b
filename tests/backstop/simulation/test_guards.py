"""The guards on Black Thursday: a day of caution, with the values of the guarded deployment."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backstop.deployment.parameter_dataclasses import BreakerParameters, GuardsParameters
from backstop.keepers.keeper_group_settings import GasPolicy, KeeperGroup
from backstop.model.circuit_breaker import FALL, LOSSES
from backstop.simulation.scenario import load_scenario
from backstop.simulation.simulator import simulate
from backstop.system import Action
from tests.support.checkout_paths import DATA
from tests.support.long_test_marks import build_pytest_params_with_deep_marks

MINUTE = 60
ETH = 0
BRIEF = "tests/backstop/simulation/test_guards.py::test_a_summary_says_whether_margins_grow_with_size"


@pytest.mark.deep(
    brief="tests/backstop/simulation/test_guards.py::test_a_summary_says_whether_margins_grow_with_size"
)
@pytest.mark.parametrize(
    "name",
    build_pytest_params_with_deep_marks(
        ("black-thursday", "black-thursday-healthy"), ("black-thursday-healthy",), BRIEF
    ),
)
def test_the_mode_on_black_thursday(name) -> None:
    scenario = load_scenario(name)
    guards = GuardsParameters(breaker=BreakerParameters())
    keeper = KeeperGroup("breaker", "breaker", 1, GasPolicy(factor=12_000))
    scenario = replace(
        scenario,
        parameters=replace(scenario.parameters, guards=guards),
        keepers=(*scenario.keepers, keeper),
    )
    steps = simulate(scenario, "model", 1).trace.steps
    calls = [(each.timestamp - scenario.start, each.step) for each in steps if isinstance(each.step, Action)]
    changes = [
        (at // MINUTE, call.method, call.args) for at, call in calls if call.contract == "CircuitBreaker"
    ]
    # Where keepers are down the losses of the early afternoon; the fall of the night in both.
    lost: list[tuple[int, str, tuple[int, ...]]] = [
        (14 * 60 + 31, "raise_mode", (LOSSES, ETH)),
        (20 * 60 + 32, "lower_mode", ()),
    ]
    fallen: list[tuple[int, str, tuple[int, ...]]] = [(24 * 60 + 26, "raise_mode", (FALL, ETH))]
    assert changes == (fallen if name == "black-thursday-healthy" else lost + fallen)


def test_a_summary_says_whether_margins_grow_with_size() -> None:
    """They do with guards only; the page of the run then draws no price drops of the book."""
    small = load_scenario(DATA / "guards" / "small.yaml")
    first, *others = small.parameters.collateral_types
    first = replace(first, policy=replace(first.policy, of_type=((1, 100), (0, 0))))
    guarded = replace(small.parameters, guards=GuardsParameters(breaker=BreakerParameters()))
    sized = replace(guarded, collateral_types=(first, *others))
    said = []
    for parameters in (guarded, sized, replace(sized, guards=None)):
        day = replace(small, parameters=parameters, duration=small.block_time, keepers=())
        types = simulate(day, "model", 1, aftermath=0).summary["collateral_types"]
        said.append([each["margins_by_size"] for each in types])
    rest = [False] * len(others)
    assert said == [[False, *rest], [True, *rest], [False, *rest]]
