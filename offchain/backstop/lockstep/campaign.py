"""Declarations of a user: contracts with their models, the calls that are tried, and properties.

Nothing here runs anything, so that a test file which declares a campaign is collected in no time.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, overload

from backstop.contract_base import Contract, RevertError, World
from backstop.errors import BackstopError
from backstop.lockstep.user_code_error import translate_user_errors

MAX_UINT256 = 2**256 - 1
_ACCOUNTS: dict[str, str] = {}
"""Address -> the name that it was asked for by."""


def derive_named_account(name: str) -> str:
    """Return the address that belongs to a name, the same in every campaign.

    The address has no known private key.
    """
    from backstop.hosts.account_addresses import derive_account

    address = derive_account(name)
    _ACCOUNTS[address] = name
    return address


def find_account_name(address: str) -> str | None:
    """Return the name from which an address was derived in this process; None without one."""
    return _ACCOUNTS.get(address)


class DeploymentAddress(NamedTuple):
    """Placeholder for the address of a deployment, in arguments of constructors and calls."""

    deployment: str


@dataclass(frozen=True)
class Deployment:
    """One contract of a campaign: its name, its model class, constructor arguments and deployer.

    The contract is the one that the model's `KIND` names, by default the name of the class. The model is
    constructed with `(world, name, address, *arguments)`.
    """

    name: str
    model: type[Contract]
    arguments: Sequence[Any] = ()
    sender: str = field(default_factory=lambda: derive_named_account("deployer"))

    @property
    def kind(self) -> str:
        """Name of the contract among the project's artifacts."""
        return str(getattr(self.model, "KIND", self.model.__name__))


class Call:
    """One call of a campaign, such as `Call("token.transfer", receiver, amount, sender=alice)`.

    Without `sender`, the campaign's first account sends the call.
    """

    def __init__(self, target: str, *arguments: Any, sender: str | None = None) -> None:
        contract, dot, method = target.rpartition(".")
        if not dot or not contract or not method:
            raise BackstopError(f"a Call goes to 'deployment.function'; {target!r} has no dot")
        self.contract = contract
        self.method = method
        self.arguments = arguments
        self.sender = sender

    def __repr__(self) -> str:
        values = ", ".join(map(repr, self.arguments))
        return f"Call({self.contract}.{self.method}({values}), sender={self.sender})"


class Wait(NamedTuple):
    """Time that passes before the next call [seconds]."""

    seconds: int


class Draw(Random):
    """Seeded random number generator of a campaign, with draws of accounts and amounts."""

    accounts: Sequence[str] = ()

    def draw_account(self) -> str:
        """Draw one of the campaign's accounts."""
        return self.choice(self.accounts)

    def draw_amount(self, limit: int) -> int:
        """Draw an amount from 0 to `limit` + 1, often exactly 0, 1, `limit`, or 1 off it."""
        kind = self.randrange(10)
        if kind == 0:
            return self.choice((0, 1, max(0, limit - 1)))
        if kind == 1:
            return min(limit + 1, MAX_UINT256)
        if kind == 2:
            return limit
        if kind < 5:  # of every size, not nearly always of the largest
            return self.randrange(2 ** self.randint(0, max(1, limit.bit_length()))) % (limit + 1)
        return self.randint(0, limit)


class CampaignState:
    """Read-only state before a call: each deployment's model by its name, the time, all addresses.

    The chain has confirmed every storage slot of the models. Setting an attribute raises BackstopError.
    """

    def __init__(self, world: World, accounts: Sequence[str]) -> None:
        vars(self).update(world=world, accounts=accounts)

    world: World
    accounts: Sequence[str]

    def __setattr__(self, name: str, value: Any) -> None:
        raise BackstopError(
            f"keep {name!r} on a model: state.DEPLOYMENT.{name}; the state itself is not written"
        )

    @property
    def timestamp(self) -> int:
        """Time of the next call [seconds]."""
        return self.world.timestamp

    @property
    def addresses(self) -> dict[str, str]:
        """Addresses of the deployments by name."""
        return {name: contract.address for name, contract in self.world.contracts.items()}

    def __getattr__(self, name: str) -> Any:
        try:
            return self.world.contracts[name]
        except KeyError:
            known = ", ".join(self.world.contracts)
            raise AttributeError(f"the campaign has no deployment {name!r}: there are {known}") from None


Played = Call | Wait
ActionFunction = Callable[[Draw, Any], Call | Wait | Iterable[Played] | None]
Condition = Callable[[Any], bool]
Calls = Sequence[Call] | Callable[[Any], Iterable[Call]]


@dataclass(frozen=True)
class CampaignAction:
    """Function that draws calls, with its weight among the actions and an optional condition."""

    name: str
    function: ActionFunction
    weight: float = 1
    when: Condition | None = None

    def iter_calls(self, draw: Draw, state: Any) -> Iterator[Played]:
        """Yield the calls and waits of one turn; none if the action's condition is false now.

        None also if the function returns None.
        """
        with translate_user_errors(f"the condition of the action {self.name}"):
            if self.when is not None and not self.when(state):
                return
        with translate_user_errors(f"the action {self.name}"):
            found = self.function(draw, state)
            if found is None:
                return
            if isinstance(found, Call | Wait):
                yield found
            else:
                yield from found


@overload
def declare_action(function: ActionFunction) -> CampaignAction: ...
@overload
def declare_action(
    *, weight: float = 1, when: Condition | None = None
) -> Callable[[ActionFunction], CampaignAction]: ...
def declare_action(
    function: ActionFunction | None = None, *, weight: float = 1, when: Condition | None = None
) -> CampaignAction | Callable[[ActionFunction], CampaignAction]:
    """Make an action of a function that takes random draws and the state, and yields calls.

    The function returns a Call or a Wait, yields several, or returns None. Use this as a decorator, with or
    without arguments. `weight` is relative to other actions. `when` is a condition of the state.
    """
    if weight <= 0:
        raise BackstopError(f"the weight of an action is {weight}: expected more than 0")

    def make_action(function: ActionFunction) -> CampaignAction:
        return CampaignAction(function.__name__, function, weight, when)

    return make_action if function is None else make_action(function)


@dataclass(frozen=True)
class CampaignInvariant:
    """Named property of the state that is checked after every step."""

    name: str
    function: Callable[[Any], Any]


def declare_invariant(function: Callable[[Any], Any]) -> CampaignInvariant:
    """Make an invariant of a function of the state (decorator).

    The invariant is violated if the function returns False or raises AssertionError.
    """
    return CampaignInvariant(function.__name__, function)


def custom_error(name: str, *arguments: Any) -> str:
    """Return the revert reason that stands for a Solidity custom error: its name and arguments."""
    return f"{name}({', '.join(map(_format_error_argument, arguments))})"


def _format_error_argument(value: Any) -> str:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return str(value)


def check_uint(value: int, bits: int = 256) -> int:
    """Return the value if an unsigned integer of `bits` bits can hold it.

    Otherwise raise RevertError without a reason, as checked arithmetic does.
    """
    if not 0 <= value < 1 << bits:
        raise RevertError("")
    return value


@dataclass(eq=False)
class Campaign:
    """Contracts, their models, and random calls that are made on both; pytest collects it as a test.

    - `deployments` are created in this order. Each `setup` call must then succeed.
    - `actions` draw the calls, by their weights, for `accounts`. A share of the calls (`invalid_share`)
      gets another sender or another argument. Before a call one of `waits` passes [seconds].
    - `views` are compared and `invariants` are checked after every step. With `compare_all_storage` the
      whole storage is compared at intervals, also slots that the model does not have.
    - A campaign makes `steps` calls (`--lockstep-steps`, `--lockstep-seconds`), each `run_length` of them
      on a fresh deployment. `block_time` is the time between blocks [seconds]; 0 keeps the number at 1.
    - `artifacts` are files of compiled contracts, relative to the project's root; see
      docs/how-to/lockstep.md.
    """

    deployments: Sequence[Deployment]
    actions: Sequence[CampaignAction]
    accounts: Sequence[str] = ()
    invariants: Sequence[CampaignInvariant] = ()
    views: Calls = ()
    setup: Calls = ()
    waits: Sequence[int] = (0, 0, 0, 12, 3_600)
    invalid_share: float = 0.06
    steps: int = 5_000
    run_length: int = 1_000
    block_time: int = 0
    compare_all_storage: bool = True
    artifacts: Sequence[Path | str] = ()
    project: Path | str | None = None
    file: Path = field(init=False)
    """The file that declares it."""

    def __post_init__(self) -> None:
        frame = inspect.currentframe()
        while frame is not None and frame.f_globals.get("__name__") == __name__:
            frame = frame.f_back
        # The dataclass's own __init__ has a file that is none.
        while frame is not None and not Path(frame.f_code.co_filename).is_file():
            frame = frame.f_back
        self.file = Path(frame.f_code.co_filename if frame else "campaign").resolve()
        self.accounts = tuple(self.accounts) or tuple(map(derive_named_account, ("alice", "bob", "carol")))
        self._check_declaration()

    def _check_declaration(self) -> None:
        names = [each.name for each in self.deployments]
        place = self.file.name
        if not names or not self.actions:
            raise BackstopError(f"{place}: a Campaign needs deployments and actions, at least one of each")
        for name in names:
            if names.count(name) > 1 or not name.isidentifier():
                raise BackstopError(f"{place}: a deployment is called {name!r}: expected a name of its own")
        for kind, wanted, values in (
            ("actions", CampaignAction, self.actions),
            ("invariants", CampaignInvariant, self.invariants),
        ):
            for value in values:
                if not isinstance(value, wanted):
                    told = getattr(value, "__name__", repr(value))
                    raise BackstopError(f"{place}: {told} among the {kind} has no @{kind[:-1]} above it")
        if self.steps < 1 or self.run_length < 1 or min(self.waits, default=0) < 0 or not self.waits:
            raise BackstopError(f"{place}: steps and run_length are 1 or more, waits are 0 or more seconds")
        if not 0 <= self.invalid_share <= 1:
            raise BackstopError(f"{place}: invalid_share is {self.invalid_share}: expected from 0 to 1")

    @property
    def root(self) -> Path:
        """Root folder of the project: `project` if given, or the nearest folder that looks like one.

        Folders above the declaring file are searched for a folder `contracts`, or a configuration file of Ape
        or Foundry. Folders named `test` or `tests` are skipped, since they may have contracts of their own.
        """
        if self.project is not None:
            return (self.file.parent / self.project).resolve()
        folders = [each for each in self.file.parents if each.name not in ("test", "tests")]
        signs = ("contracts", "ape-config.yaml", "ape-config.yml", "foundry.toml")
        found = (each for each in folders if any((each / sign).exists() for sign in signs))
        return next(found, self.file.parent)


# Short names for test files.
account = derive_named_account
at = DeploymentAddress
action = declare_action
invariant = declare_invariant
