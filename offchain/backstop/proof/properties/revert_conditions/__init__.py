"""Conditions under which contracts refuse a call, by kind, method and reason: from the specification."""

from backstop.proof.properties.revert_conditions import (
    loss_conditions,
    parameter_conditions,
    vault_conditions,
)
from backstop.proof.properties.revert_conditions.call_context import CONDITIONS, CallContext, Condition

__all__ = [
    "CONDITIONS",
    "CallContext",
    "Condition",
    "loss_conditions",
    "parameter_conditions",
    "vault_conditions",
]
