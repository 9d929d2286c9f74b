"""Contracts created after a deployment, followed from their creation on: other policies, and batches.

Any account may create a risk policy at any time, and set its terms before it is announced. So a policy is
looked for in every creation, and costs nothing until it is put in force. A batch of liquidations holds
nothing and has no owner, so its creator does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from backstop.contract_base import World
from backstop.deployment.model_and_chain_deployment import find_model_class
from backstop.errors import BackstopError
from backstop.hosts.artifacts import ArtifactSource
from backstop.hosts.contract_creation import Creation

KINDS = ("RiskPolicy", "ScriptedPolicy")
"""Policies that have a model, and are deployed by a transaction of their own."""

BATCH_KIND = "LiquidationBatch"

# The contract of the deployment that the first argument of the constructor names.
_OF = {**dict.fromkeys(KINDS, "VaultEngine"), BATCH_KIND: "LiquidationEngine"}


# In the data of the event that tells of another one, beside its address.
_NAME = b"risk_policy".hex()


def find_policy_creation(
    creation_data: bytes, contract_address: str, addresses: Mapping[str, str], artifacts: ArtifactSource
) -> Creation | None:
    """Return the risk policy or batch contract for this deployment that a transaction creates.

    None if the creation code is of no known kind, or if the constructor names another deployment.
    """
    for kind, contract in _OF.items():
        artifact = artifacts[kind]
        code, form = artifact.bytecode, artifact.contract_abi.constructor
        if creation_data.startswith(code) and len(creation_data) == len(code) + form.size:
            args = form.decode(creation_data, len(code))
            return (
                Creation(f"{kind} {contract_address}", kind, args, contract_address)
                if args[0] == addresses[contract]
                else None
            )
    return None


def create_policy_model(world: World, creation: Creation) -> None:
    """Add the model of a contract that was created after the deployment to the world.

    A rollback of the world removes it.
    """
    find_model_class(creation.kind)(world, creation.name, creation.address, *creation.args)


def require_known_risk_policy(
    logs: Iterable[Mapping[str, Any]], engine: str, world: World, block: int
) -> None:
    """Raise BackstopError if a risk policy was put in force that the model cannot follow.

    `logs` are those of a transaction in `block`, and `engine` is the VaultEngine's address.
    """
    for log in logs:
        if _NAME in log["data"] and log["address"].lower() == engine:
            address = "0x" + log["data"][2 + 64 :][:64][24:]
            if address not in world.addresses:
                raise BackstopError(
                    f"since block {block} the risk policy is {address}: this program can only follow a "
                    f"{' or '.join(KINDS)} that was created by a transaction of its own"
                )


def convert_creations_to_json(creations: Iterable[Creation]) -> list[list[Any]]:
    """Return contracts created after the deployment in a form for JSON: kind, address, arguments."""
    return [[each.kind, each.address, list(each.args)] for each in creations]


def parse_successor_policy_creations(content: Sequence[Any]) -> list[Creation]:
    """Return contracts created after the deployment, parsed from JSON.

    Raise KeyError, TypeError or ValueError for any other content.
    """
    found = []
    for kind, address, args in content:
        if kind not in _OF or not all(isinstance(each, str) for each in (address, *args)):
            raise ValueError(f"{kind} came later")
        found.append(Creation(f"{kind} {address}", kind, tuple(args), address))
    return found
