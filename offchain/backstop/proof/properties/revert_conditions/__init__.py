"""Conditions under which contracts refuse a call, by kind, method and reason: from the specification."""

from backstop.proof.properties.revert_conditions import (
    parameter_bound_conditions,
    stability_pool_conditions,
    vault_conditions,
    waterfall_and_pool_conditions,
)
from backstop.proof.properties.revert_conditions.call_context import CONDITIONS, CallContext, Condition

__all__ = [
    "CONDITIONS",
    "CallContext",
    "Condition",
    "parameter_bound_conditions",
    "stability_pool_conditions",
    "vault_conditions",
    "waterfall_and_pool_conditions",
]
