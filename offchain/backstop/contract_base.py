"""Base of model contracts: journalled tables, reverts, events, the world they share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable
from itertools import accumulate
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])
R = TypeVar("R")
T = TypeVar("T", bound=tuple[Any, ...])
V = TypeVar("V")

ZERO_ADDRESS = "0x" + "00" * 20


class RevertError(Exception):
    """A call failed: `reason` is the contract's revert string, empty for a failed arithmetic check."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NoSuchFunctionError(RevertError, AttributeError):
    """The contract called has no function of that name.

    `told` says so where Python asks for the name; an AttributeError, too, so that `getattr` has a default.
    """

    def __init__(self, name: str, told: str = "", contract: Contract | None = None) -> None:
        super().__init__("")
        self.name = name
        self.told = told
        self.obj = contract


class Log(NamedTuple):
    """One event: the emitting contract's name, the event's name, its values in ABI order."""

    contract: str
    event: str
    values: tuple[Any, ...]


def declare_record_slot_bit_widths(*bit_widths: int) -> Callable[[type[T]], type[T]]:
    """Declare a NamedTuple that fills one storage slot: the bits of its fields, the first at bit 0.

    Less than zero bits are those of a signed field, in two's complement.
    """

    def declare(record: type[T]) -> type[T]:
        assert len(bit_widths) == len(record.__annotations__)
        bits = tuple(map(abs, bit_widths))
        shifts = tuple(accumulate((0, *bits[:-1])))
        layout = {"WIDTHS": bit_widths, "BITS": bits, "SHIFTS": shifts, "IS_SIGNED": bits != bit_widths}
        for name, value in layout.items():
            setattr(record, name, value)
        return record

    return declare


MISSING = object()
"""In the journal: the key had no value."""


class Table(dict[Any, Any]):
    """One storage variable: key -> value, where a value is exactly one storage slot.

    The key is () for a scalar, the key itself for one mapping level, a tuple for several. Missing
    keys read as `default`, as empty storage does. A value is an int, a bool, an address or a
    record declared with `slot`. Records are replaced, never
    changed, so that the journal holds every old value.
    """

    __slots__ = ("contract", "default", "journal", "path")

    def __init__(self, journal: list[Any], contract: str, path: str, default: Any) -> None:
        super().__init__()
        self.journal = journal
        self.contract = contract
        self.path = path
        self.default = default

    def __missing__(self, key: Hashable) -> Any:
        return self.default

    def __setitem__(self, key: Hashable, value: Any) -> None:
        self.journal.append((self, key, dict.get(self, key, MISSING)))
        dict.__setitem__(self, key, value)


ReadCall = Callable[[str, bytes], tuple[str, tuple[Any, ...]] | None]
"""From the name of a contract and call data to a function and its arguments; None if it has none such."""


class Written(NamedTuple):
    """A slot that a call wrote (its value may be unchanged)."""

    contract: str
    path: str
    key: Hashable


class World:
    """The block environment, the contracts by name and address, the journal and the events.

    `block_number` is that of the block in which the next call runs.
    """

    def __init__(self, timestamp: int, chain_id: int, block_number: int = 1) -> None:
        self.timestamp = timestamp
        self.block_number = block_number
        self.chain_id = chain_id
        self.journal: list[tuple[Table, Hashable, Any]] = []
        self.logs: list[Log] = []
        self.contracts: dict[str, Contract] = {}
        self.addresses: dict[str, Contract] = {}
        self.read_call: ReadCall | None = None
        """Decodes the call in call data; None without the contracts' ABI."""
        self.deployer = ZERO_ADDRESS
        """The account that creates a contract, while its constructor runs; only campaigns set it."""

    def at(self, address: str) -> Contract:
        """Return the contract at an address; a call to an address without code reverts with empty data."""
        try:
            return self.addresses[address]
        except KeyError:
            raise RevertError("") from None

    def call(self, sender: str, target: str, data: bytes) -> None:
        """Execute a call that is given as call data, and drop its result."""
        contract = self.at(target)
        if self.read_call is None:
            raise RuntimeError("nobody here can read call data: put the model beside a chain")
        found = self.read_call(contract.label, data)
        if found is None:
            raise RevertError("")
        name, args = found
        getattr(contract, name)(sender, *args)

    def mark(self) -> tuple[int, int]:
        """Return a point to roll back to. Marks nest."""
        return len(self.journal), len(self.logs)

    def roll_back(self, mark: tuple[int, int]) -> None:
        """Undo every write and event since the mark."""
        undone = self.journal[mark[0] :]
        undone.reverse()
        for table, key, old in undone:
            if old is MISSING:
                dict.pop(table, key, None)
            else:
                dict.__setitem__(table, key, old)
        del self.journal[mark[0] :]
        del self.logs[mark[1] :]

    def call_or_return_none(self, call: Callable[[], R]) -> R | None:
        """Return what a call answers, or None if it reverts: then nothing of it stays."""
        mark = self.mark()
        try:
            return call()
        except RevertError:
            self.roll_back(mark)
            return None

    def get_old_values_by_slot(self, mark: tuple[int, int]) -> dict[Written, Any]:
        """Return the slots written since the mark, each with its value before."""
        changes = {}
        for table, key, old in reversed(self.journal[mark[0] :]):
            changes[Written(table.contract, table.path, key)] = table.default if old is MISSING else old
        return changes


def external(abi_method: F) -> F:
    """Mark a method as part of the contract's ABI."""
    abi_method.__dict__["abi"] = "external"
    return abi_method


def view(method: F) -> F:
    """Mark a method as a view of the contract's ABI."""
    method.__dict__["abi"] = "view"
    return method


class Immutable(Generic[V]):
    """A value that is set when a contract is created, and the view that answers it."""

    def __init__(self, getter: str, kind: type[V]) -> None:
        self.getter = getter
        self.kind = kind

    def __set_name__(self, owner: type[Contract], name: str) -> None:
        """Replace the declaration by the view: the attribute is every contract's own."""

        def answer(contract: Contract, sender: str) -> V:
            found: V = contract.__dict__[name]
            return found

        delattr(owner, name)
        _declare_abi_view(owner, self.getter, answer, self.kind)


class Constant(Generic[V]):
    """A value that all contracts of a kind share; its own view."""

    def __init__(self, value: V) -> None:
        self.value = value

    def __set_name__(self, owner: type[Contract], name: str) -> None:
        def answer(contract: Contract, sender: str) -> V:
            return self.value

        _declare_abi_view(owner, name, answer, type(self.value))


def _declare_abi_view(
    contract_class: type[Contract], abi_name: str, view_function: Callable[..., Any], return_type: type
) -> None:
    """Make a function a view of a contract, under its name in the ABI."""
    view_function.__name__, view_function.__qualname__ = abi_name, f"{contract_class.__qualname__}.{abi_name}"
    view_function.__module__ = contract_class.__module__
    view_function.__annotations__ = {"sender": str, "return": return_type}
    setattr(contract_class, abi_name, view(view_function))


def immutable(getter: str, kind: type[V]) -> V:
    """Declare an immutable in a contract's class, and its view in the ABI.

    As `VAULT_ENGINE: public(immutable(address))` does in Vyper; the contract's `__init__` sets the attribute:

        vault_engine_address = immutable("VAULT_ENGINE", str)
    """
    return cast(V, Immutable(getter, kind))


def declare_constant_view(value: V) -> Callable[[Any, str], V]:
    """Declare a constant of a contract's class as a view of the ABI of the same name."""
    return cast(Callable[[Any, str], V], Constant(value))


class Contract:
    """Base of every model contract. `KIND` is the Vyper file, `label` the name in the deployment."""

    KIND: ClassVar[str]

    def __init__(self, world: World, name: str, address: str) -> None:
        self.world = world
        self.label = name
        self.address = address
        self.tables: dict[str, Table] = {}
        world.contracts[name] = self
        world.addresses[address] = self

    if not TYPE_CHECKING:  # a name that nothing has is a mistake to mypy, too

        def __getattr__(self, name: str) -> Any:
            """Revert with empty data, as a call of a function does that the contract does not have.

            Where a contract asks itself, the name is a mistake of the model's: an AttributeError, no revert.
            """
            if name.startswith("_"):
                raise AttributeError(name)
            told = f"{type(self).__name__} has no attribute {name!r}"
            if sys._getframe(1).f_locals.get("self") is self:
                raise AttributeError(told, name=name, obj=self)
            raise NoSuchFunctionError(name, told, self)

    def table(self, path: str, default: Any = 0) -> Table:
        """Declare the storage variable at `path` of the compiler's storage layout."""
        table = Table(self.world.journal, self.label, path, default)
        self.tables[path] = table
        return table

    def emit(self, event: str, *values: Any) -> None:
        """Emit an event, values in ABI order."""
        self.world.logs.append(Log(self.label, event, values))


def require(condition: bool, reason: str) -> None:
    """Revert with a reason unless the condition holds."""
    if not condition:
        raise RevertError(reason)
