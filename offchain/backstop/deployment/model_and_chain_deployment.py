"""The creation of planned contracts, on the model and on a chain."""

from __future__ import annotations

import dataclasses
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from backstop.contract_base import Contract, RevertError, World
from backstop.deployment.configuration_calls import apply_configuration
from backstop.deployment.parameter_dataclasses import Parameters
from backstop.deployment.planned_contracts import Deployment, plan_deployment
from backstop.errors import BackstopError
from backstop.hosts.contract_creation import Creation, deploy_at_planned_address
from backstop.hosts.host_interface import GENESIS
from backstop.hosts.model_system import ModelSystem

if TYPE_CHECKING:
    from backstop.hosts.artifacts import Artifacts, ArtifactSource
    from backstop.hosts.chain_system import ChainSystem
    from backstop.hosts.host_interface import Host


@cache
def find_model_class(kind: str) -> type[Contract]:
    """Return the model class of a contract by its kind (the name of the Vyper file).

    Raises BackstopError if there is none.
    """
    snake = "".join("_" + c.lower() if c.isupper() else c for c in kind).lstrip("_")
    try:
        found: type[Contract] = getattr(import_module(f"backstop.model.{snake}"), kind)
    except (ModuleNotFoundError, AttributeError):
        raise BackstopError(f"{kind} has no model in offchain/backstop/model/") from None
    return found


def add_contract_model(world: World, creation: Creation) -> None:
    """Create the model of one contract in a world; raise BackstopError if its constructor reverts."""
    try:
        find_model_class(creation.kind)(world, creation.name, creation.address, *creation.args)
    except RevertError as revert:
        raise BackstopError(f"the constructor of {creation.name} reverted with {revert.reason!r}") from None
    world.journal.clear()
    world.logs.clear()


def create_model(deployment: Deployment, timestamp: int = GENESIS) -> ModelSystem:
    """Create the contracts of a deployment in a new model world, without configuration."""
    world = World(timestamp, deployment.chain_id)
    for creation in deployment.creations:
        add_contract_model(world, creation)
    return ModelSystem(world, block_time=deployment.parameters.block_time)


def create_chain(deployment: Deployment, host: Host, artifacts: Artifacts | None = None) -> ChainSystem:
    """Create the contracts of a deployment on a chain, without configuration."""
    from backstop.hosts.artifacts import Artifacts

    artifacts = artifacts or Artifacts()
    artifacts.load(creation.kind for creation in deployment.creations)
    for creation in deployment.creations:
        deploy_at_planned_address(host, artifacts, creation, deployment.deployer)
    return _build_chain_system(deployment, host, artifacts)


def attach_system(deployment: Deployment, host: Host, artifacts: ArtifactSource | None = None) -> ChainSystem:
    """Return a system (actions, views, snapshots) for a deployment that already exists on a chain.

    Raises BackstopError if a contract has no code there.
    """
    from backstop.hosts.artifacts import Artifacts

    for creation in deployment.creations:
        if host.get_code_size(creation.address) == 0:
            raise BackstopError(
                f"{creation.name} not found at {creation.address}: the chain was restarted since the "
                "deployment file was written; deploy again"
            )
    return _build_chain_system(deployment, host, artifacts or Artifacts())


def _build_chain_system(deployment: Deployment, host: Host, artifacts: ArtifactSource) -> ChainSystem:
    """Return a system (actions, views, snapshots) for contracts that exist on a chain."""
    from backstop.hosts.chain_system import ChainSystem

    block_time = deployment.parameters.block_time
    return ChainSystem(host, artifacts, deployment.contract_kinds, deployment.addresses, block_time)


def deploy_protocol(
    host: Host | None, parameters: Parameters, artifacts: Artifacts | None = None
) -> tuple[Deployment, ModelSystem, ChainSystem | None]:
    """Plan, create and configure a deployment in a new model, and on a chain if a host is given.

    Return the deployment, the model, and the system on the chain or None.
    """
    deployment = plan_deployment(parameters)
    model = create_model(deployment, GENESIS if host is None else host.timestamp)
    apply_configuration(model, deployment)
    chain = None
    if host is not None:
        before = host.get_mined_block_or_zero()
        chain = create_chain(deployment, host, artifacts)
        apply_configuration(chain, deployment)
        deployment = dataclasses.replace(deployment, block=before)
    return deployment, model, chain
