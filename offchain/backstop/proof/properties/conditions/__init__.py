"""Conditions under which contracts refuse a call, by kind, method and reason: from the specification."""

from backstop.proof.properties.conditions import lending, losses, parameters
from backstop.proof.properties.conditions.call import CONDITIONS, Call, Condition

__all__ = ["CONDITIONS", "Call", "Condition", "lending", "losses", "parameters"]
