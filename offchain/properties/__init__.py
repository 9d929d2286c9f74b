"""The numbered properties: of a state, of a step, and of what would happen if."""

from offchain.properties import domains, guards, margin, workouts  # noqa: F401 (they register their own)
from offchain.properties.counterfactual import ask
from offchain.properties.registry import COUNTERFACTUAL_PROPERTIES, Question, Violation, asserts
from offchain.properties.state import check_state
from offchain.properties.transition import Transition, check_transition

__all__ = [
    "COUNTERFACTUAL_PROPERTIES",
    "Question",
    "Transition",
    "Violation",
    "ask",
    "asserts",
    "check_state",
    "check_transition",
]
