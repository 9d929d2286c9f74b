"""The protocol's model and a chain side by side, with the numbered properties."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Mapping, Set
from functools import partial
from pathlib import Path
from typing import Any

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.model_and_chain_deployment import add_contract_model, deploy_protocol
from backstop.deployment.parameter_dataclasses import Parameters
from backstop.deployment.role_accounts import get_account
from backstop.deployment.state_restoration import count_blocks_missing_for_lot_ages, load_state
from backstop.errors import BackstopError
from backstop.hosts import storage_layout
from backstop.hosts.account_addresses import compute_contract_address
from backstop.hosts.artifacts import Artifacts
from backstop.hosts.chain_system import ChainSystem
from backstop.hosts.contract_creation import Creation
from backstop.hosts.host_interface import Host, Slot
from backstop.hosts.model_system import ModelSystem
from backstop.hosts.world_storage_json import RawState
from backstop.lockstep.engine import TRACES, Lockstep, StateCheck, StepCheck
from backstop.lockstep.step_transition import Transition
from backstop.proof.properties import (
    CounterfactualSeed,
    PropertyMonitor,
    asserts_property,
    check_counterfactual_property,
    check_refusal_properties,
    check_state_properties,
    check_transition,
)
from backstop.proof.properties.incremental_table_sums import (
    copy_snapshot,
    create_summed_or_plain_table,
    iter_snapshot_incremental_sums,
)
from backstop.proof.replayable_trace import ProtocolTrace, write_trace_json
from backstop.system import Snapshot


class ProtocolLockstep(Lockstep):
    """The protocol's model and a chain in lockstep: each step runs on both and results are compared.

    Numbered properties are checked as well.
    """

    def __init__(
        self,
        model: ModelSystem,
        chain: ChainSystem,
        *,
        parameters: Parameters | None = None,
        seed: int = 0,
        check_every: int | None = 1,
        block: int = 1,
        state_check: StateCheck | None = None,
        watch: Callable[[ModelSystem], StepCheck] | None = None,
        promises: bool = False,
        traces: Path | None = TRACES,
        known: Lockstep | None = None,
    ) -> None:
        """Set up the comparison of a model and a chain that have the same state.

        `known` is a lockstep of the same state; its tracked storage slots are copied.
        """
        self.parameters = parameters
        self.promises = promises
        super().__init__(
            model,
            chain,
            seed=seed,
            check_every=check_every,
            block=block,
            state_check=state_check,
            watch=watch,
            traces=traces,
            known=known,
        )

    @asserts_property(20)
    def apply_pending_chain_steps(self) -> None:
        """Apply the steps that only the model has taken to the chain, and compare each (property 20).

        Raises DivergenceError if outcome, return value, events or storage differ.
        """
        super().apply_pending_chain_steps()

    def create_contract(self, kind: str, name: str, *args: Any) -> str:
        """Deploy a contract on model and chain from an account of its own, and return its address.

        `kind` names the contract's source, and `args` are its constructor arguments.
        """
        deployer = get_account(f"deployer_of_{name}")
        creation = Creation(name, kind, args, compute_contract_address(deployer, 0))
        self.add_contract(creation)
        return creation.address

    def check_counterfactual_property(self, counterfactual_seed: CounterfactualSeed) -> bool:
        """Check a what-if property on the present state, and revert; return whether a trial was possible.

        Raises an error with the step's place in the trace if the property is violated.
        """
        self.apply_pending_chain_steps()
        try:
            return check_counterfactual_property(self, counterfactual_seed)
        except BackstopError as error:
            self.trace.append(self._build_timed_trace_step(counterfactual_seed))
            self._add_location_to_violation(error, counterfactual_seed)
            raise

    def build_trace(self, reason: str = "") -> ProtocolTrace:
        """Return all steps so far as a trace that can be written and replayed.

        Raises BackstopError if the deployment was not made from parameters.
        """
        if self.parameters is None:
            raise BackstopError("only a deployment that was made from parameters can be traced")
        return ProtocolTrace(
            list(self.trace),
            self.started_at,
            self.seed,
            reason,
            self.opening,
            parameters=self.parameters,
            promises=self.promises,
        )

    # ------------------------------------------------------------ of the base

    def play_step_content(self, step_content: Any) -> None:
        if isinstance(step_content, CounterfactualSeed):
            self.check_counterfactual_property(step_content)
        else:
            super().play_step_content(step_content)

    def write_trace_file(self, reason: str) -> Path | None:
        if self.traces is None or self.parameters is None:
            return None
        trace = self.build_trace(reason)
        digest = hashlib.sha256(repr((trace.parameters, trace.steps)).encode()).hexdigest()[:12]
        path = self.traces / f"{digest}.json"
        write_trace_json(trace, path)
        return path

    def add_contract_model(self, creation: Creation) -> None:
        add_contract_model(self.model.world, creation)

    def get_contract_deployer(self, creation: Creation) -> str:
        return get_account(f"deployer_of_{creation.name}")

    def load_state(self, state: RawState) -> None:
        self.advance(0, count_blocks_missing_for_lot_ages(self.model.world, state))
        load_state(self.model.world, state)

    def find_unmodelled_slots(self) -> Set[Slot]:
        """Return the chain's storage slots of variables that the model does not store in tables.

        These are single values and mappings by known addresses.
        """
        chain = self.chain
        ignored = set()
        deployers = [get_account("admin"), *(get_account(f"deployer_of_{name}") for name in chain.addresses)]
        people = [*chain.addresses.values(), *deployers]
        for name, contract in self.model.world.contracts.items():
            artifact = chain.artifacts[chain.kinds[name]]
            for path in artifact.storage.keys() - contract.tables.keys():
                place = artifact.find_variable(path)
                if place.depth == 0:
                    ignored.add((contract.address, place.slot))
                elif place.depth == 1:
                    ignored |= {
                        (contract.address, storage_layout.compute_slot(place, each)) for each in people
                    }
        return ignored

    def check_refusal(self, step: Transition) -> None:
        check_refusal_properties(step)

    def check_future_step(self, step: Transition) -> None:
        check_transition(step)

    def create_state_table(
        self, contract: str, path: str, sibling_tables: Mapping[str, Mapping[Hashable, Any]]
    ) -> dict[Hashable, Any]:
        return create_summed_or_plain_table(contract, path, sibling_tables)

    def copy_chain_state(self, state: Snapshot) -> dict[str, dict[str, dict[Hashable, Any]]]:
        return copy_snapshot(state)

    def check_carried_sums(self, state: Snapshot) -> None:
        for each in iter_snapshot_incremental_sums(state):
            each.check_full_count()


def deploy_lockstep(
    host: Host,
    parameters: Parameters | None = None,
    *,
    artifacts: Artifacts | None = None,
    seed: int = 0,
    check_every: int | None = 1,
    block: int = 1,
    traces: Path | None = TRACES,
    promises: bool = False,
) -> ProtocolLockstep:
    """Deploy the protocol on the model and on a host, and return the two in lockstep.

    `check_every` is the interval of full state comparisons in steps, `block` the number of steps in a block.
    `promises` also checks properties that today's rules do not keep. `traces` is the folder for traces of
    failures.
    """
    parameters = parameters or build_standard_parameters()
    _, model, chain = deploy_protocol(host, parameters, artifacts)
    assert chain is not None
    return ProtocolLockstep(
        model,
        chain,
        parameters=parameters,
        seed=seed,
        check_every=check_every,
        block=block,
        state_check=check_state_properties,
        watch=partial(PropertyMonitor, promises=promises),
        promises=promises,
        traces=traces,
    )


def replay_trace_in_lockstep(
    trace: ProtocolTrace,
    host: Host,
    *,
    artifacts: Artifacts | None = None,
    check_every: int | None = 1,
    block: int = 1,
) -> ProtocolLockstep:
    """Replay a trace on a new deployment of model and host, and return the lockstep.

    Raises DivergenceError if model and chain differ.
    """
    both = deploy_lockstep(
        host,
        trace.parameters,
        artifacts=artifacts,
        seed=trace.seed,
        check_every=check_every,
        block=block,
        traces=None,
        promises=trace.promises,
    )
    for step in trace.steps:
        both.play_step(step)
    both.apply_pending_chain_steps()
    return both
