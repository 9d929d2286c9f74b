"""One contract to create, and its creation on a host at the address that was planned for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backstop.errors import BackstopError
from backstop.hosts.host_interface import Host

if TYPE_CHECKING:
    from backstop.hosts.artifacts import ArtifactSource


@dataclass(frozen=True)
class Creation:
    """One contract to deploy: name in the deployment, kind (the Vyper file), arguments, address."""

    name: str
    kind: str
    args: tuple[Any, ...]
    address: str


def deploy_at_planned_address(
    host: Host, artifacts: ArtifactSource, creation: Creation, deployer: str
) -> None:
    """Deploy a contract; raise BackstopError if its address differs from the planned one."""
    artifact = artifacts[creation.kind]
    address = host.deploy_contract(
        artifact.bytecode + artifact.contract_abi.constructor.encode(creation.args), deployer
    )
    if address != creation.address:
        raise BackstopError(
            f"{creation.name} came to {address}, not {creation.address}: the deployer had sent "
            "transactions before; start a fresh chain"
        )
