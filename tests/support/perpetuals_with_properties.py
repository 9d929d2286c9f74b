"""Perpetual markets on the model alone, with properties that watch each step, or are asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from backstop.deployment.contract_names import BY_CYCLE
from backstop.hosts.model_system import ModelSystem
from backstop.proof.properties import PropertyMonitor, PropertyViolationError, Transition, check_refused_call
from backstop.system import Action, Outcome
from tests.support.perpetuals import Perpetuals, deploy_on_model, open_crowded_positions


def watch_properties(made: Perpetuals) -> Perpetuals:
    """Have every step of a market on the model asked about, from now on."""
    model = made.model
    right, watch = model.apply, PropertyMonitor(model)

    def apply(action: Action) -> Outcome:
        outcome = right(action)
        (watch if outcome.ok else check_refused_call)(Transition(action, outcome, model))
        return outcome

    model.apply = apply  # type: ignore[method-assign]
    return made


def crowd_on_the_model(third_bond: int = 0, policy: str = BY_CYCLE, **desk: int) -> Perpetuals:
    """Two shorts of 500 lots and a long of 1,000 that fails under 17, watched."""
    made = watch_properties(deploy_on_model(third_bond, policy, **desk))
    made.refresh()
    return open_crowded_positions(made)


def expect_property_violation(number: int, play: Callable[[], object]) -> None:
    """Assert that what is played breaks a property, and that one first."""
    with pytest.raises(PropertyViolationError, match=f"^property {number} is violated: "):
        play()


class ModelOnlyMarket:
    """What a question about the future needs of a lockstep, without a chain."""

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


def crowd_to_ask(third_bond: int = 0, policy: str = BY_CYCLE, **desk: int) -> ModelOnlyMarket:
    """Return the same crowd for questions about its future; nothing watches its steps."""
    made = deploy_on_model(third_bond, policy, **desk)
    made.refresh()
    return ModelOnlyMarket(open_crowded_positions(made).model)
