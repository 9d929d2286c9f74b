"""Deployments that many tests begin with: made once, and handed out in their original state.

Every change by a test is reverted: on revm by a checkpoint, in the model table by table; the lockstep that
compares the two is made anew. A chain with code or storage written from outside knows no checkpoint for that,
and is not handed out again.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from pathlib import Path

from backstop.hosts.chain_system import ChainSystem
from backstop.hosts.host_interface import Slot
from backstop.hosts.model_system import ModelSystem
from backstop.hosts.revm import RevmHost
from backstop.proof.lockstep import ProtocolLockstep

MOST = 8
"""Deployments that are kept at a time: each holds some megabytes."""


class SharedRevmHost(RevmHost):
    """A chain that tests have one after the other."""

    spoilt = False

    def write_slots(self, words: Mapping[Slot, int]) -> None:
        self.spoilt = True
        super().write_slots(words)

    def set_code(self, address: str, code: bytes) -> None:
        self.spoilt = True
        super().set_code(address, code)

    def set_nonce(self, address: str, nonce: int) -> None:
        self.spoilt = True
        super().set_nonce(address, nonce)


class CachedDeployment:
    """One deployment as it was when it was made."""

    def __init__(self, both: ProtocolLockstep, host: SharedRevmHost) -> None:
        self.host = host
        self._both = both
        self._trace, self._produced = list(both.trace), both.produced
        self._kinds, self._addresses = dict(both.chain.kinds), dict(both.chain.addresses)
        world = both.model.world
        self._world, self._timestamp = world, world.timestamp
        self._places = dict(world.contracts), dict(world.addresses)
        self._contracts = [(each, dict(vars(each)), dict(each.tables)) for each in world.contracts.values()]
        tables = [table for each in world.contracts.values() for table in each.tables.values()]
        self._tables = [(table, dict(table)) for table in tables]
        self._checkpoint = host.snapshot()
        self._known = self._make_lockstep(both, both.check_every, both.traces)

    def _make_lockstep(
        self, known: ProtocolLockstep, check_every: int | None, traces: Path | None
    ) -> ProtocolLockstep:
        """Return a new lockstep of this chain and model, with a copy of another lockstep's knowledge."""
        was, slot = self._both, self._both.model.block_time
        chain = ChainSystem(self.host, was.chain.artifacts, self._kinds, self._addresses, slot)
        return ProtocolLockstep(
            ModelSystem(self._world, block_time=slot),
            chain,
            parameters=was.parameters,
            check_every=check_every,
            state_check=was.state_check,
            watch=was._watch,
            traces=traces,
            known=known,
        )

    def restore_lockstep(self, check_every: int | None, traces: Path) -> ProtocolLockstep:
        """Return the deployment as it was made: chain and model are set back."""
        self.host.restore_snapshot(self._checkpoint)
        self._checkpoint = self.host.snapshot()
        self._reset_model()
        was, both = self._both, self._make_lockstep(self._known, check_every, traces)
        both.started_at, both.steps, both.trace = was.started_at, len(self._trace), list(self._trace)
        both.produced = self._produced
        return both

    def _reset_model(self) -> None:
        world = self._world
        world.timestamp = self._timestamp
        for now, then in zip((world.contracts, world.addresses), self._places, strict=True):
            now.clear()
            now.update(then)
        for contract, attributes, tables in self._contracts:
            vars(contract).clear()
            vars(contract).update(attributes)
            contract.tables.clear()
            contract.tables.update(tables)
        for table, values in self._tables:
            if table != values:
                table.clear()
                table.update(values)
        world.journal.clear()
        world.logs.clear()


class DeploymentCache:
    """The deployments that were used last, by their settings."""

    def __init__(self) -> None:
        self._free: dict[Hashable, list[CachedDeployment]] = {}

    def take_free_or_new_deployment(
        self, key: Hashable, make: Callable[[SharedRevmHost], ProtocolLockstep]
    ) -> CachedDeployment:
        """Return a deployment that is not in use; a new one if there is none."""
        free = self._free.get(key)
        if free:
            return free.pop()
        host = SharedRevmHost()
        return CachedDeployment(make(host), host)

    def return_unspoilt_deployment(self, key: Hashable, deployment: CachedDeployment) -> None:
        if deployment.host.spoilt:
            return
        free = self._free.pop(key, [])
        self._free[key] = [*free, deployment]  # the last is the one used last
        if sum(map(len, self._free.values())) > MOST:
            # Of some all are in use, or were spoilt.
            oldest = next(key for key, free in self._free.items() if free)
            self._free[oldest].pop(0)
            if not self._free[oldest]:
                del self._free[oldest]
