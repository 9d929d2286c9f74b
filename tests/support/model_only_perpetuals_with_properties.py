"""Perpetual markets on the model alone, with properties that watch each step, or are asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from backstop.deployment.contracts_by_parameter_name import BY_CYCLE
from backstop.hosts.model_system import ModelSystem
from backstop.lockstep.step_transition import Transition
from backstop.proof.properties import PropertyMonitor, PropertyViolationError, check_refusal_properties
from backstop.system import Action, Outcome
from tests.support.perpetual_test_market import (
    Perpetuals,
    deploy_perpetuals_on_model,
    open_long_and_two_shorts,
)


def attach_property_monitor(market: Perpetuals) -> Perpetuals:
    """Have every step of a market on the model asked about, from now on."""
    model = market.model
    right, watch = model.apply, PropertyMonitor(model)

    def apply(action: Action) -> Outcome:
        outcome = right(action)
        (watch if outcome.ok else check_refusal_properties)(Transition(action, outcome, model))
        return outcome

    model.apply = apply  # type: ignore[method-assign]
    return market


def open_watched_crowd_on_model(third_bond: int = 0, policy: str = BY_CYCLE, **desk: int) -> Perpetuals:
    """Two shorts of 500 lots and a long of 1,000 that fails under 17, watched."""
    made = attach_property_monitor(deploy_perpetuals_on_model(third_bond, policy, **desk))
    made.report_current_prices_again()
    return open_long_and_two_shorts(made)


def expect_violation_of_property(property_number: int, run_scenario: Callable[[], object]) -> None:
    """Assert that the played steps break a property, and that one first."""
    with pytest.raises(PropertyViolationError, match=f"^property {property_number} is violated: "):
        run_scenario()


class ModelOnlyMarket:
    """The parts of a lockstep that a question about the future needs, without a chain."""

    def __init__(self, model: ModelSystem) -> None:
        self.parameters, self.model = None, model
        self.apply, self.view, self.advance = model.apply, model.view, model.advance

    @property
    def timestamp(self) -> int:
        return self.model.timestamp

    @contextmanager
    def fork_state(self) -> Iterator[ModelOnlyMarket]:
        with self.model.fork_state():
            yield self


def open_unwatched_crowd_on_model(
    third_bond: int = 0, policy: str = BY_CYCLE, **desk: int
) -> ModelOnlyMarket:
    """Return the same crowd for questions about its future; nothing watches its steps."""
    made = deploy_perpetuals_on_model(third_bond, policy, **desk)
    made.report_current_prices_again()
    return ModelOnlyMarket(open_long_and_two_shorts(made).model)
