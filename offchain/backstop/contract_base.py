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
    """A contract call reverted; `reason` is the revert string, empty for a failed arithmetic check."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NoSuchFunctionError(RevertError, AttributeError):
    """Revert because the called contract has no function of this name.

    It is also an AttributeError with the message `told`, so that `getattr` with a default works.
    """

    def __init__(self, name: str, told: str = "", contract: Contract | None = None) -> None:
        super().__init__("")
        self.name = name
        self.told = told
        self.obj = contract


class Log(NamedTuple):
    """One emitted event: name of the contract, name of the event, values in ABI order."""

    contract: str
    event: str
    values: tuple[Any, ...]


def declare_record_slot_bit_widths(*bit_widths: int) -> Callable[[type[T]], type[T]]:
    """Return a decorator for a NamedTuple that fills one storage slot.

    The widths are the bits of its fields, from bit 0 on. A negative width means a signed field in two's
    complement.
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
    """One storage variable of a model contract: key -> value, where each value fills one storage slot.

    The key is () for a scalar, a plain key for one mapping level, a tuple for several. A missing key reads as
    `default`, like empty storage. A value is an int, a bool, an address, or a record declared with
    `declare_record_slot_bit_widths`. Records are replaced, never changed, so that the journal holds every old
    value.
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
    """Storage slot that a call wrote; its value may be unchanged."""

    contract: str
    path: str
    key: Hashable


class World:
    """State shared by all model contracts: block environment, contracts, journal and events.

    `block_number` is the number of the block in which the next call runs.
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
        """Return the contract at an address; raise RevertError with an empty reason if there is none."""
        try:
            return self.addresses[address]
        except KeyError:
            raise RevertError("") from None

    def call(self, sender: str, target: str, data: bytes) -> None:
        """Execute a call given as call data and discard its result.

        Raises RevertError if the contract has no such function.
        """
        contract = self.at(target)
        if self.read_call is None:
            raise RuntimeError("nobody here can read call data: put the model beside a chain")
        found = self.read_call(contract.label, data)
        if found is None:
            raise RevertError("")
        name, args = found
        getattr(contract, name)(sender, *args)

    def mark(self) -> tuple[int, int]:
        """Return a savepoint of journal and events for `roll_back`; savepoints can be nested."""
        return len(self.journal), len(self.logs)

    def roll_back(self, mark: tuple[int, int]) -> None:
        """Undo every write and event since a savepoint."""
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
        """Return the result of a call; if it reverts, undo its changes and return None."""
        mark = self.mark()
        try:
            return call()
        except RevertError:
            self.roll_back(mark)
            return None

    def get_old_values_by_slot(self, mark: tuple[int, int]) -> dict[Written, Any]:
        """Return the storage slots written since a savepoint, each with its value before."""
        changes = {}
        for table, key, old in reversed(self.journal[mark[0] :]):
            changes[Written(table.contract, table.path, key)] = table.default if old is MISSING else old
        return changes


def external(abi_method: F) -> F:
    """Mark a method as an external function of the contract's ABI."""
    abi_method.__dict__["abi"] = "external"
    return abi_method


def view(method: F) -> F:
    """Mark a method as a view function of the contract's ABI."""
    method.__dict__["abi"] = "view"
    return method


class Immutable(Generic[V]):
    """Descriptor of a value set at a contract's creation, with its ABI view function."""

    def __init__(self, getter: str, kind: type[V]) -> None:
        self.getter = getter
        self.kind = kind

    def __set_name__(self, owner: type[Contract], name: str) -> None:
        """Add the view function to the class and remove the declaration.

        Each contract stores a value of its own in an attribute of this name.
        """

        def answer(contract: Contract, sender: str) -> V:
            found: V = contract.__dict__[name]
            return found

        delattr(owner, name)
        _declare_abi_view(owner, self.getter, answer, self.kind)


class Constant(Generic[V]):
    """Descriptor of a value that all contracts of a class share, with its ABI view function."""

    def __init__(self, value: V) -> None:
        self.value = value

    def __set_name__(self, owner: type[Contract], name: str) -> None:
        def answer(contract: Contract, sender: str) -> V:
            return self.value

        _declare_abi_view(owner, name, answer, type(self.value))


def _declare_abi_view(
    contract_class: type[Contract], abi_name: str, view_function: Callable[..., Any], return_type: type
) -> None:
    """Add a view function to a contract class under a name of the ABI."""
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
    """Declare a constant of a contract class, and an ABI view function of the same name."""
    return cast(Callable[[Any, str], V], Constant(value))


class Contract:
    """Base class of all model contracts: `KIND` is the Vyper file, `label` the name in the deployment."""

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
            """Raise NoSuchFunctionError, as a call of a missing contract function reverts with empty data.

            If the contract itself accesses the name, raise a plain AttributeError, since that is an error of
            the model.
            """
            if name.startswith("_"):
                raise AttributeError(name)
            told = f"{type(self).__name__} has no attribute {name!r}"
            if sys._getframe(1).f_locals.get("self") is self:
                raise AttributeError(told, name=name, obj=self)
            raise NoSuchFunctionError(name, told, self)

    def table(self, path: str, default: Any = 0) -> Table:
        """Create the table of the storage variable at a path of the compiler's storage layout."""
        table = Table(self.world.journal, self.label, path, default)
        self.tables[path] = table
        return table

    def emit(self, event: str, *values: Any) -> None:
        """Append an event of this contract to the world's log; values in ABI order."""
        self.world.logs.append(Log(self.label, event, values))


def require(condition: bool, reason: str) -> None:
    """Raise RevertError with a reason unless the condition holds."""
    if not condition:
        raise RevertError(reason)
