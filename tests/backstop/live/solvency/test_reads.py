"""A statement's reads are all it needs: with guards and a facilitator, and after settlement."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backstop.deployment.model_and_chain_deployment import create_model
from backstop.deployment.planned_contracts import Deployment, plan_deployment
from backstop.hosts.model_system import ModelSystem
from backstop.hosts.world_storage_json import encode_nonzero_storage_words, format_table_key, load_words
from backstop.live.node.storage_proofs import UnprovenError
from backstop.live.solvency.recording_and_proven_tables import (
    refuse_reads_of_missing_slots,
    start_recording_reads_into_list,
)
from backstop.live.solvency.solvency_statement import build_statement
from backstop.simulation.deployment_session import open_deployment_session
from backstop.simulation.scenario import load_scenario
from backstop.simulation.simulator import Simulation
from tests.support.checkout_paths import DATA

TESTS = DATA


def copied(deployment: Deployment, timestamp: int, words: Any) -> ModelSystem:
    """A world of its own with this state."""
    model = create_model(deployment, timestamp)
    load_words(model.world, words)
    return model


def states(file: Path, aftermath: int) -> Iterator[tuple[ModelSystem, Deployment]]:
    """A scenario's model before it begins and when it is over."""
    scenario = load_scenario(file)
    with open_deployment_session(scenario, "model", 1) as session:
        yield session.model, plan_deployment(scenario.parameters)
        Simulation(scenario, session, 1).run_scenario(lambda *_: None, lambda: False, aftermath)
        yield session.model, plan_deployment(scenario.parameters)


@pytest.mark.deep(cases=1)
@pytest.mark.parametrize(
    ("file", "aftermath"), [("audit/strained.yaml", 0), ("compare/collapse.yaml", 8 * 86_400)]
)
def test_what_is_read_is_enough(file: str, aftermath: int) -> None:
    figures: dict[str, Any] = {}
    for model, deployment in states(TESTS / file, aftermath):
        words = encode_nonzero_storage_words(model.world)
        figures = build_statement(model, deployment)
        assert set(figures["checks"].values()) == {"0"}
        watched = copied(deployment, model.timestamp, words)
        noted = start_recording_reads_into_list(watched.world)
        assert build_statement(watched, deployment) == figures
        needed: dict[str, dict[str, dict[str, str]]] = {
            name: {path: {} for path in contract.tables} for name, contract in model.world.contracts.items()
        }
        for contract, path, key in noted:
            needed[contract][path][format_table_key(key)] = words[contract][path].get(
                format_table_key(key), "0x0"
            )
        proven = copied(deployment, model.timestamp, needed)
        refuse_reads_of_missing_slots(proven.world)
        assert build_statement(proven, deployment) == figures
        with pytest.raises(UnprovenError, match="is needed, and not proven"):
            _ = proven.world.contracts["VaultEngine"].tables["vaults"][0, "0x" + "99" * 20]
    if not aftermath:
        assert figures["workouts"] and int(figures["facilitators"][0]["announced_wad"])
    else:
        assert figures["settling"] and int(figures["balance_sheet"]["settled_rad"]) > 0
