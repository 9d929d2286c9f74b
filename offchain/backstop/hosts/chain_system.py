"""A deployment on a host, behind the System interface."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

from backstop.contract_base import ZERO_ADDRESS, Log, RevertError, Table, World
from backstop.errors import BackstopError
from backstop.hosts import storage_layout
from backstop.hosts.abi_codec import AbiDecodingError, ContractAbi, Event, Function, decode_revert
from backstop.hosts.artifacts import ArtifactSource
from backstop.hosts.host_interface import Call, Host, RawLog, RawResult, Slot
from backstop.system import Action, Outcome, Snapshot, count_slots


class SlotMeaning(NamedTuple):
    """Contract, table path and key of a storage slot; `default` determines how its word is decoded."""

    contract: str
    path: str
    key: Hashable
    default: Any
    fields: int


class ChainSystem:
    """Compiled contracts on a chain, with the System interface (actions, views, snapshots).

    The keys of a mapping cannot be listed on a chain. `snapshot` therefore reads only tracked slots, which
    are added by `track_slot`, or from a model's tables by `track_world_slots`.
    """

    def __init__(
        self,
        host: Host,
        artifacts: ArtifactSource,
        kinds: Mapping[str, str],
        addresses: Mapping[str, str],
        block_time: int = 0,
    ) -> None:
        """Wrap contracts on a chain; `block_time` is the seconds per block, 0 if blocks do not matter."""
        self.host = host
        self.block_time = block_time
        self.artifacts = artifacts
        self.kinds = dict(kinds)
        self._addresses = dict(addresses)
        self.names = {address: name for name, address in addresses.items()}
        self.places: list[SlotMeaning] = []
        self.slots: list[Slot] = []
        # Paths by contract, in the order of the model; a dict keeps it.
        self._tables: dict[str, dict[str, None]] = {name: {} for name in kinds}
        self.index: dict[tuple[str, str, Hashable], int] = {}
        self._abis: dict[str, ContractAbi] = {}
        self._events: dict[tuple[str, bytes], tuple[str, Event | None]] = {}
        self._variables: dict[tuple[str, str], storage_layout.StorageVariable] = {}
        self.gas = 0
        # Of each of the actions that were applied together last.
        self.spent: list[int] = []
        self.changed: dict[Slot, int] | None = None

    @property
    def timestamp(self) -> int:
        return self.host.timestamp

    @property
    def next_block_number(self) -> int:
        return self.host.next_number

    @property
    def addresses(self) -> Mapping[str, str]:
        return self._addresses

    def apply(self, action: Action) -> Outcome:
        """Run one action as a transaction and return its outcome.

        `gas` and `changed` are set to the gas used and the changed slots if the chain reports them.
        """
        function = self.get_function(action.contract, action.method, len(action.args))
        to = self._addresses[action.contract]
        result = self.host.run_transaction(action.sender, to, function.encode_call(action.args))
        self.gas, self.changed = result.gas, result.changed
        return self.decode_outcome_or_revert(function, result)

    def apply_all_with_changed_slots(
        self, actions: Sequence[Action]
    ) -> list[tuple[Outcome, dict[Slot, int] | None]]:
        """Run actions in order, in one block if the chain has blocks; return outcomes and changed slots.

        `spent` is set to the gas used by each action, if the chain reports it.
        """
        if len(actions) == 1:
            alone = self.apply(actions[0]), self.changed
            self.spent = [self.gas]
            return [alone]
        functions = [self.get_function(a.contract, a.method, len(a.args)) for a in actions]
        results = self.host.run_transactions(self._encode_calls(actions))
        self.spent = [result.gas for result in results]
        return [
            (self.decode_outcome_or_revert(f, r), r.changed) for f, r in zip(functions, results, strict=True)
        ]

    def dry_run_gas(self, actions: Sequence[Action]) -> list[int]:
        """Return the gas that each action would use, run in order in the next block; [] if unknown."""
        return self.host.list_dry_run_gas_or_empty(self._encode_calls(actions))

    def _encode_calls(self, actions: Sequence[Action]) -> list[Call]:
        return [
            (
                action.sender,
                self._addresses[action.contract],
                self.get_function(action.contract, action.method, len(action.args)).encode_call(action.args),
            )
            for action in actions
        ]

    def decode_outcome_or_revert(self, function: Function, raw_result: RawResult) -> Outcome:
        """Return the outcome of a call: decoded return value and events, or the revert reason."""
        if not raw_result.ok:
            return Outcome(decode_revert(raw_result.data), None, ())
        return Outcome(
            None, function.decode_result(raw_result.data), tuple(map(self.decode_log, raw_result.logs))
        )

    def view(self, contract: str, method: str, *args: Any) -> Any:
        """Return the result of a view call; raise RevertError if the contract reverts."""
        function = self.get_function(contract, method, len(args))
        result = self.host.static_call(ZERO_ADDRESS, self._addresses[contract], function.encode_call(args))
        if not result.ok:
            raise RevertError(decode_revert(result.data))
        return function.decode_result(result.data)

    def advance(self, seconds: int, blocks: int | None = None) -> None:
        timestamp = self.host.timestamp
        if blocks is None:
            blocks = count_slots(timestamp, seconds, self.block_time)
        self.host.set_time(timestamp + seconds)
        if blocks:
            self.host.skip_blocks(blocks)

    def snapshot(self) -> Snapshot:
        """Return the decoded values of all tracked storage slots, by contract, table and key."""
        found: dict[str, dict[str, dict[Hashable, Any]]] = {
            name: {path: {} for path in paths} for name, paths in self._tables.items()
        }
        for place, word in zip(self.places, self.host.read_slots(self.slots), strict=True):
            found[place.contract][place.path][place.key] = storage_layout.decode_word(word, place.default)
        return found

    def track_slot(self, contract: str, path: str, key: Hashable, default: Any) -> int:
        """Add a storage slot to those that `snapshot` reads, and return its position among them.

        A slot that is already tracked keeps its position.
        """
        known = self.index.get((contract, path, key))
        if known is None:
            known = self.index[contract, path, key] = len(self.slots)
            self.slots.append((self._addresses[contract], self.compute_slot(contract, path, key)))
            self.places.append(
                SlotMeaning(contract, path, key, default, storage_layout.count_fields(default))
            )
            self._tables[contract].setdefault(path)
        return known

    def track_world_slots(self, world: World) -> None:
        """Track every storage slot that a model world has ever written."""
        for name, contract in world.contracts.items():
            self.track_contract_slots(name, contract.tables)

    def track_contract_slots(self, name: str, tables: Mapping[str, Table]) -> None:
        """Track every storage slot that the model tables of a contract contain."""
        for path, table in tables.items():
            self._tables[name].setdefault(path)
            for key in table:
                self.track_slot(name, path, key, table.default)

    def copy_tracked_slot_list(self, other_system: ChainSystem) -> None:
        """Replace the tracked slots by those of another system of the same contracts."""
        self.places, self.slots, self.index = (
            list(other_system.places),
            list(other_system.slots),
            dict(other_system.index),
        )
        self._tables = {name: dict(paths) for name, paths in other_system._tables.items()}
        self._variables = dict(other_system._variables)

    def add_contract(self, name: str, kind: str, address: str) -> None:
        """Register a contract that was deployed later."""
        self.kinds[name] = kind
        self._addresses[name] = address
        self.names[address] = name
        self._tables[name] = {}

    def compute_slot(self, contract: str, path: str, key: Hashable) -> int:
        """Return the storage slot number of a key in a contract's table."""
        kind = self.kinds[contract]
        variable = self._variables.get((kind, path))
        if variable is None:
            variable = self._variables[kind, path] = self.artifacts[kind].find_variable(path)
        return storage_layout.compute_slot(variable, key)

    def get_function(self, contract: str, method: str, arguments: int) -> Function:
        """Return the ABI function of a deployed contract by name and number of arguments."""
        return self.get_abi(contract).get_function(method, arguments)

    def get_abi(self, contract: str) -> ContractAbi:
        """Return the ABI of a deployed contract; raise BackstopError for an unknown name."""
        abi = self._abis.get(contract)
        if abi is None:
            try:
                abi = self._abis[contract] = self.artifacts[self.kinds[contract]].contract_abi
            except KeyError:
                raise BackstopError(
                    f"contract {contract} is unknown; expected one of {', '.join(self.kinds)}"
                ) from None
        return abi

    def decode_call(self, contract: str, data: bytes) -> tuple[str, tuple[Any, ...]] | None:
        """Return the function name and arguments in call data; None if they do not fit the contract's ABI."""
        found = self.artifacts[self.kinds[contract]].contract_abi.by_selector.get(data[:4])
        if found is None:
            return None
        try:
            return found.name, found.decode_arguments(data)
        except AbiDecodingError:
            return None

    def decode_log(self, log: RawLog) -> Log:
        """Return a log decoded by its contract's ABI; a log of an unknown contract or event stays raw."""
        topic = log.topics[0] if log.topics else b""
        name, event = self._events.get((log.address, topic)) or self._find_contract_and_event_abi(
            log.address, topic
        )
        if event is None:
            return Log(name, topic.hex(), (log.data,))
        return Log(name, event.name, event.decode_value_tuple(log.topics, log.data))

    def _find_contract_and_event_abi(self, address: str, topic: bytes) -> tuple[str, Event | None]:
        name = self.names.get(address)
        if name is None:
            return address, None  # it may become known later
        found = self._events[address, topic] = (
            name,
            self.artifacts[self.kinds[name]].contract_abi.events.get(topic),
        )
        return found
