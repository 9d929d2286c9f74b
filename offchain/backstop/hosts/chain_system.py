"""A deployment on a host, behind the System interface."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

from backstop.errors import BackstopError
from backstop.hosts import layout
from backstop.hosts.abi import AbiDecodingError, ContractAbi, Event, Function, decode_revert
from backstop.hosts.artifacts import Artifacts
from backstop.hosts.host import Call, Host, RawLog, RawResult, Slot
from backstop.model.state import ZERO_ADDRESS, Log, Revert, Table, World
from backstop.system import Action, Outcome, Snapshot, slots


class Place(NamedTuple):
    """The meaning of one slot; `default` tells how the word is read."""

    contract: str
    path: str
    key: Hashable
    default: Any
    fields: int


class ChainSystem:
    """A System of compiled contracts on a host.

    Mappings cannot be listed on a chain: `snapshot` reads the slots that it was told of, by `learn`
    or from a model's tables by `learn_world`.
    """

    def __init__(
        self,
        host: Host,
        artifacts: Artifacts,
        kinds: Mapping[str, str],
        addresses: Mapping[str, str],
        block_time: int = 0,
    ) -> None:
        """Use contracts on a host; `block_time` (s) is the chain's slot, 0 if blocks do not count."""
        self.host = host
        self.block_time = block_time
        self.artifacts = artifacts
        self.kinds = dict(kinds)
        self._addresses = dict(addresses)
        self.names = {address: name for name, address in addresses.items()}
        self.places: list[Place] = []
        self.slots: list[Slot] = []
        # Paths by contract, in the order of the model; a dict keeps it.
        self._tables: dict[str, dict[str, None]] = {name: {} for name in kinds}
        self.index: dict[tuple[str, str, Hashable], int] = {}
        self._abis: dict[str, ContractAbi] = {}
        self._events: dict[tuple[str, bytes], tuple[str, Event | None]] = {}
        self._variables: dict[tuple[str, str], layout.Variable] = {}
        self.gas = 0
        # Of each of the actions that were applied together last.
        self.spent: list[int] = []
        self.changed: dict[Slot, int] | None = None

    @property
    def timestamp(self) -> int:
        return self.host.timestamp

    @property
    def block_number(self) -> int:
        return self.host.next_number

    @property
    def addresses(self) -> Mapping[str, str]:
        return self._addresses

    def apply(self, action: Action) -> Outcome:
        """Run one action as a transaction; `gas` and `changed` are filled where the host knows them."""
        function = self.function(action.contract, action.method, len(action.args))
        to = self._addresses[action.contract]
        result = self.host.call(action.sender, to, function.encode(action.args))
        self.gas, self.changed = result.gas, result.changed
        return self.outcome(function, result)

    def apply_all(self, actions: Sequence[Action]) -> list[tuple[Outcome, dict[Slot, int] | None]]:
        """Run actions in order, in one block where the host has blocks; return their outcomes.

        `spent` is then the gas of each, where the host knows it.
        """
        if len(actions) == 1:
            alone = self.apply(actions[0]), self.changed
            self.spent = [self.gas]
            return [alone]
        functions = [self.function(a.contract, a.method, len(a.args)) for a in actions]
        results = self.host.call_all(self._calls(actions))
        self.spent = [result.gas for result in results]
        return [(self.outcome(f, r), r.changed) for f, r in zip(functions, results, strict=True)]

    def foresee_gas(self, actions: Sequence[Action]) -> list[int]:
        """Return the gas that actions would take, one after the other in the next block; [] if not known."""
        return self.host.foresee_gas(self._calls(actions))

    def _calls(self, actions: Sequence[Action]) -> list[Call]:
        return [
            (
                action.sender,
                self._addresses[action.contract],
                self.function(action.contract, action.method, len(action.args)).encode(action.args),
            )
            for action in actions
        ]

    def outcome(self, function: Function, result: RawResult) -> Outcome:
        """Decode a call's raw result."""
        if not result.ok:
            return Outcome(decode_revert(result.data), None, ())
        return Outcome(None, function.decode(result.data), tuple(map(self.decode_log, result.logs)))

    def view(self, contract: str, method: str, *args: Any) -> Any:
        """Call a view; raise Revert as the contract does."""
        function = self.function(contract, method, len(args))
        result = self.host.static(ZERO_ADDRESS, self._addresses[contract], function.encode(args))
        if not result.ok:
            raise Revert(decode_revert(result.data))
        return function.decode(result.data)

    def advance(self, seconds: int, blocks: int | None = None) -> None:
        timestamp = self.host.timestamp
        if blocks is None:
            blocks = slots(timestamp, seconds, self.block_time)
        self.host.set_time(timestamp + seconds)
        if blocks:
            self.host.skip_blocks(blocks)

    def snapshot(self) -> Snapshot:
        """Decode every slot learned so far from raw storage."""
        found: dict[str, dict[str, dict[Hashable, Any]]] = {
            name: {path: {} for path in paths} for name, paths in self._tables.items()
        }
        for place, word in zip(self.places, self.host.read(self.slots), strict=True):
            found[place.contract][place.path][place.key] = layout.decode(word, place.default)
        return found

    def learn(self, contract: str, path: str, key: Hashable, default: Any) -> int:
        """Have a slot read from now on; its place in `slots` and `places` is the one in `index`."""
        known = self.index.get((contract, path, key))
        if known is None:
            known = self.index[contract, path, key] = len(self.slots)
            self.slots.append((self._addresses[contract], self.slot(contract, path, key)))
            self.places.append(Place(contract, path, key, default, layout.fields(default)))
            self._tables[contract].setdefault(path)
        return known

    def learn_world(self, world: World) -> None:
        """Have every slot read that a model world has ever written."""
        for name, contract in world.contracts.items():
            self.learn_contract(name, contract.tables)

    def learn_contract(self, name: str, tables: Mapping[str, Table]) -> None:
        """Read from now on every slot of a contract that its model tables have."""
        for path, table in tables.items():
            self._tables[name].setdefault(path)
            for key in table:
                self.learn(name, path, key, table.default)

    def copy_slots(self, other: ChainSystem) -> None:
        """Read from now on the slots that another system of the same contracts reads."""
        self.places, self.slots, self.index = list(other.places), list(other.slots), dict(other.index)
        self._tables = {name: dict(paths) for name, paths in other._tables.items()}
        self._variables = dict(other._variables)

    def add(self, name: str, kind: str, address: str) -> None:
        """Make a contract known that was deployed later."""
        self.kinds[name] = kind
        self._addresses[name] = address
        self.names[address] = name
        self._tables[name] = {}

    def slot(self, contract: str, path: str, key: Hashable) -> int:
        """Return the slot number of a table's key."""
        kind = self.kinds[contract]
        variable = self._variables.get((kind, path))
        if variable is None:
            variable = self._variables[kind, path] = layout.variable(kind, path, self.artifacts[kind].storage)
        return layout.slot_of(variable, key)

    def function(self, contract: str, method: str, arguments: int) -> Function:
        """Return a function of a deployed contract."""
        return self.abi(contract).function(method, arguments)

    def abi(self, contract: str) -> ContractAbi:
        """Return the functions and events of a deployed contract."""
        abi = self._abis.get(contract)
        if abi is None:
            try:
                abi = self._abis[contract] = self.artifacts[self.kinds[contract]].abi
            except KeyError:
                raise BackstopError(f"no {contract} here: there are {', '.join(self.kinds)}") from None
        return abi

    def read_call(self, contract: str, data: bytes) -> tuple[str, tuple[Any, ...]] | None:
        """Return the function that call data calls, and its arguments; None if there is none such."""
        found = self.artifacts[self.kinds[contract]].abi.by_selector.get(data[:4])
        if found is None:
            return None
        try:
            return found.name, found.decode_arguments(data)
        except AbiDecodingError:
            return None

    def decode_log(self, log: RawLog) -> Log:
        """Decode an event under its contract's name; leave one of a stranger raw."""
        topic = log.topics[0] if log.topics else b""
        name, event = self._events.get((log.address, topic)) or self._find_event(log.address, topic)
        if event is None:
            return Log(name, topic.hex(), (log.data,))
        return Log(name, event.name, event.decode(log.topics, log.data))

    def _find_event(self, address: str, topic: bytes) -> tuple[str, Event | None]:
        name = self.names.get(address)
        if name is None:
            return address, None  # it may become known later
        found = self._events[address, topic] = (
            name,
            self.artifacts[self.kinds[name]].abi.events.get(topic),
        )
        return found
