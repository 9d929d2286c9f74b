"""A session: the deployment that a run acts on, on the model alone or in lockstep with a chain."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backstop.deployment.configuration_calls import apply_configuration
from backstop.deployment.model_and_chain_deployment import create_model
from backstop.deployment.planned_contracts import plan_deployment
from backstop.hosts.model_system import ModelSystem
from backstop.simulation.scenario import Scenario
from backstop.system import System

if TYPE_CHECKING:
    from backstop.proof.lockstep import ProtocolLockstep


@dataclass
class Session:
    """Deployment that a run acts on: the system, its model, and the lockstep if there is a chain."""

    system: System
    model: ModelSystem
    both: ProtocolLockstep | None
    started_at: int


@contextmanager
def open_deployment_session(
    scenario: Scenario, host: str, seed: int, traces: Path | None = None
) -> Iterator[Session]:
    """Return a context manager with a fresh deployment of the scenario's parameters on a host.

    Host `model` runs the Python model alone; any other host runs contracts in lockstep with the model.
    `traces` is the folder for traces of differences.
    """
    started_at = scenario.deployed_at
    if host == "model":
        deployment = plan_deployment(scenario.parameters)
        model = create_model(deployment, started_at)
        apply_configuration(model, deployment)
        yield Session(model, model, None, started_at)
        return
    from backstop.hosts.host_registry import open_host
    from backstop.proof.lockstep import TRACES, deploy_lockstep

    with open_host(host, started_at) as chain:
        both = deploy_lockstep(
            chain, scenario.parameters, seed=seed, check_every=None, traces=traces or TRACES
        )
        yield Session(both, both.model, both, started_at)
