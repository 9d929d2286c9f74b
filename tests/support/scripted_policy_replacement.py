"""A risk policy with answers set by a test, in the place of the deployment's."""

from __future__ import annotations

from backstop.model.arithmetic import BASIS_POINTS
from backstop.proof.local_protocol import LocalProtocol

NO_CALLS = (0, 60, 60)
REVERTS, EATS = 1, 2
"""How it fails."""


def put_scripted_policy_in_force(protocol: LocalProtocol) -> None:
    """Put a policy in force that asks for nothing at first, and gives the answers set by a test."""
    protocol.lockstep.create_contract("ScriptedPolicy", "ScriptedPolicy", protocol.address("VaultEngine"))
    set_policy_answers(protocol)
    protocol.do("VaultEngine.set_risk_policy", "ScriptedPolicy", sender="admin")


def set_policy_answers(
    protocol: LocalProtocol,
    fee: int = 0,
    add_on_rate: int = 0,
    factor: int = BASIS_POINTS,
    calls: tuple[int, int, int] = NO_CALLS,
) -> None:
    """Set the policy's answers from now on."""
    protocol.do("ScriptedPolicy.set_answer", fee, add_on_rate, factor, calls, sender="stranger")


def set_policy_failure(protocol: LocalProtocol, how: int) -> None:
    """Make the policy fail from now on."""
    protocol.do("ScriptedPolicy.fail", how, sender="stranger")
