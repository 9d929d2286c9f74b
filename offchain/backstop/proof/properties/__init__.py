"""The numbered properties: of a state, of a step, and of what would happen if."""

from backstop.proof.properties import domains, guards, margin, workouts  # noqa: F401 (they register their own)
from backstop.proof.properties.counterfactual import ask
from backstop.proof.properties.registry import COUNTERFACTUAL_PROPERTIES, Question, Violation, asserts
from backstop.proof.properties.state import check_state
from backstop.proof.properties.transition import Transition, check_transition

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
