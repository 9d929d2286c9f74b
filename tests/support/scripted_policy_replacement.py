"""A risk policy that says what a test has it say, in the place of the deployment's."""

from __future__ import annotations

from backstop.model.arithmetic import BASIS_POINTS
from tests.support.deployed_protocol import DeployedProtocol

NO_CALLS = (0, 60, 60)
REVERTS, EATS = 1, 2
"""How it fails."""


def put_scripted_policy_in_force(protocol: DeployedProtocol) -> None:
    """The admin puts a policy in force that asks for nothing, and will say what it is told to."""
    protocol.lockstep.create_contract("ScriptedPolicy", "ScriptedPolicy", protocol.address("VaultEngine"))
    set_policy_answers(protocol)
    protocol.do("VaultEngine.set_risk_policy", "ScriptedPolicy", sender="admin")


def set_policy_answers(
    protocol: DeployedProtocol,
    fee: int = 0,
    add_on_rate: int = 0,
    factor: int = BASIS_POINTS,
    calls: tuple[int, int, int] = NO_CALLS,
) -> None:
    """Have it say this from now on."""
    protocol.do("ScriptedPolicy.set_answer", fee, add_on_rate, factor, calls, sender="stranger")


def set_policy_failure(protocol: DeployedProtocol, how: int) -> None:
    """Have it fail from now on."""
    protocol.do("ScriptedPolicy.fail", how, sender="stranger")
