"""A session: the deployment that a run acts on, on the model alone or in lockstep with a chain."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backstop.deployment.configuration import configure
from backstop.deployment.create import model_of
from backstop.deployment.plan import plan
from backstop.hosts.model import ModelSystem
from backstop.simulation.scenario import Scenario
from backstop.system import System

if TYPE_CHECKING:
    from backstop.proof.lockstep import Lockstep


@dataclass
class Session:
    """A configured deployment to run on: the System, the model in it, the lockstep if there is a chain."""

    system: System
    model: ModelSystem
    both: Lockstep | None
    started_at: int


@contextmanager
def open_session(scenario: Scenario, host: str, seed: int, traces: Path | None = None) -> Iterator[Session]:
    """Deploy a scenario's parameters on a throw-away host; `model` is no chain at all."""
    started_at = scenario.deployed_at
    if host == "model":
        deployment = plan(scenario.parameters)
        model = model_of(deployment, started_at)
        configure(model, deployment)
        yield Session(model, model, None, started_at)
        return
    from backstop.hosts.by_name import open_host
    from backstop.proof.lockstep import TRACES, lockstep

    with open_host(host, started_at) as chain:
        both = lockstep(chain, scenario.parameters, seed=seed, check_every=None, traces=traces or TRACES)
        yield Session(both, both.model, both, started_at)
