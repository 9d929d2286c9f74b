"""The deployments of a campaign, their models and a chain side by side."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from typing import Any

from backstop.contract_base import Contract, RevertError, World, Written
from backstop.errors import BackstopError
from backstop.hosts import storage_layout
from backstop.hosts.abi_codec import AbiDecodingError, Function, Parameter, decode_revert
from backstop.hosts.account_addresses import compute_contract_address
from backstop.hosts.chain_system import ChainSystem
from backstop.hosts.contract_creation import Creation, deploy_at_planned_address
from backstop.hosts.host_interface import CHAIN_ID, Host, RawResult, Slot
from backstop.hosts.model_system import ModelSystem
from backstop.hosts.revm import RevmHost
from backstop.lockstep.campaign import Call, Campaign, CampaignState, DeploymentAddress, custom_error
from backstop.lockstep.campaign_world import CampaignWorld
from backstop.lockstep.contract_artifacts import INTEGER_RANGES, ProjectArtifact
from backstop.lockstep.engine import Lockstep
from backstop.lockstep.project_artifacts import ProjectArtifacts
from backstop.lockstep.property_violation import ViolationError
from backstop.lockstep.user_code_error import UserCodeError, translate_user_errors
from backstop.system import Action, Outcome

# Below this a slot is numbered by the compiler, above it is a hash.
_HASHED_SLOTS = 2**64


class CampaignChain(ChainSystem):
    """Contracts of a campaign on a chain; custom errors of all contracts are decoded by name."""

    def __init__(
        self,
        host: Host,
        artifacts: ProjectArtifacts,
        kinds: Mapping[str, str],
        addresses: Mapping[str, str],
        block_time: int,
    ) -> None:
        super().__init__(host, artifacts, kinds, addresses, block_time)
        self.own: dict[str, ProjectArtifact] = {name: artifacts[kind] for name, kind in kinds.items()}
        self._errors: dict[bytes, Function] = {}
        for artifact in self.own.values():
            self._errors |= artifact.errors

    def decode_outcome_or_revert(self, function: Function, raw_result: RawResult) -> Outcome:
        """Decode the raw result of a call to its return value and events, or to its revert reason."""
        if raw_result.ok:
            return super().decode_outcome_or_revert(function, raw_result)
        error = self._errors.get(raw_result.data[:4])
        if error is not None:
            with suppress(AbiDecodingError):
                arguments = error.decode_arguments(raw_result.data)
                return Outcome(custom_error(error.name, *arguments), None, ())
        return Outcome(decode_revert(raw_result.data), None, ())


class CampaignLockstep(Lockstep):
    """Freshly deployed contracts of a campaign and their models, side by side, before the setup calls."""

    chain: CampaignChain

    def __init__(
        self, campaign: Campaign, artifacts: ProjectArtifacts, check_every: int | None = None
    ) -> None:
        self.campaign = campaign
        model, chain = _deploy_campaign(campaign, artifacts)
        self.unnamed = frozenset(name for name, each in chain.own.items() if each.variables is None)
        """Deployments without a known storage layout: outcomes, events and views alone are compared."""
        self._integers = {
            (name, path): INTEGER_RANGES[variable.parts[0].value_type]
            for name, artifact in chain.own.items()
            for path, variable in (artifact.variables or {}).items()
            if len(variable.parts) == 1 and variable.parts[0].value_type in INTEGER_RANGES
        }
        """Variables that are integers: their types' bounds."""
        self.state = CampaignState(model.world, campaign.accounts)
        super().__init__(
            model, chain, check_every=check_every, state_check=self._check_invariants, traces=None
        )

    def compare_views(self) -> None:
        """Call the campaign's views on model and chain; raise DivergenceError if results differ."""
        for call in iter_declared_calls(self.campaign.views, self.state, "the list of views"):
            action = self.resolve_call(call)
            with suppress(RevertError):
                self.view(action.contract, action.method, *action.args)

    def resolve_call(self, call: Call) -> Action:
        """Return a call as an action of this deployment, with addresses in place of placeholders.

        Raises BackstopError if the deployment, the contract function or the model's method is missing.
        """
        artifact = self.chain.own.get(call.contract)
        if artifact is None:
            raise BackstopError(f"{call}: deployment {call.contract!r} is unknown")
        arguments = tuple(_resolve_value(each, self.addresses) for each in call.arguments)
        function = artifact.contract_abi.get_function(call.method, len(arguments))
        model = type(self.model.world.contracts[call.contract])
        if "abi" not in getattr(getattr(model, call.method, None), "__dict__", {}):
            raise BackstopError(f"{call}: {model.__name__} has no {call.method} marked @external or @view")
        sender = call.sender or self.campaign.accounts[0]
        return Action(
            call.contract, call.method, normalize_arguments(function.inputs, arguments), sender.lower()
        )

    def find_unmodelled_slots(self) -> Set[Slot]:
        return _UnmodelledSlots(self)

    def audit_storage(self) -> int:
        """Compare the chain's whole storage with the models, and return the number of slots.

        Return 0 without a comparison if the campaign disables it or a storage layout is unknown.
        """
        if not self.campaign.compare_all_storage or self.unnamed:
            return 0
        return super().audit_storage()

    def describe_uncompared(self) -> dict[str, str]:
        """Return, by deployment, a text on storage that is not compared.

        It is all storage without a known layout, or the variables without a table in the model.
        """
        found = {}
        for name, artifact in self.chain.own.items():
            if artifact.variables is None:
                found[name] = f"slots have no names, so storage is not compared ({artifact.why_no_layout})"
            elif left := sorted(_list_unmodelled_paths(self, name)):
                found[name] = f"not compared, as the model has no table for it: {', '.join(left)}"
        return found

    # ------------------------------------------------------------ of the base

    def _track_contract_tables(self, contract_names: Iterable[str] | None = None) -> None:
        names = self.model.world.contracts if contract_names is None else contract_names
        super()._track_contract_tables([name for name in names if name not in self.unnamed])

    def _record_model_writes(self) -> tuple[dict[Slot, int], list[int]]:
        if self.unnamed:
            changes = self.model.changes
            self.model.changes = {
                slot: changes[slot] for slot in changes if slot.contract not in self.unnamed
            }
        return super()._record_model_writes()

    def encode_slot_value(self, slot: Written, value: Any) -> int:
        bounds = self._integers.get((slot.contract, slot.path))
        if bounds is not None and isinstance(value, int) and not bounds.low <= value <= bounds.high:
            raise storage_layout.SlotOverflowError(value, bounds.type_name)
        return super().encode_slot_value(slot, value)

    def describe_misfit(self, misfit: storage_layout.SlotOverflowError) -> tuple[Any, Any]:
        told = f"{misfit.value} (the model left the range)"
        if "signed" not in misfit.room and not misfit.room.startswith("an int"):
            beyond = "below 0" if misfit.value < 0 else "too large"
            told = f"{misfit.value} ({beyond}: the model left the range; use check_uint)"
        return _Words(told), _Words(misfit.room)

    def _add_location_to_violation(self, violation: BackstopError, step_content: Any) -> None:
        if not isinstance(violation, UserCodeError):
            super()._add_location_to_violation(violation, step_content)

    def _check_invariants(self, snapshot: Any, addresses: Any, written: Any) -> None:
        for each in self.campaign.invariants:
            try:
                with translate_user_errors(f"the invariant {each.name}", AssertionError):
                    holds = each.function(self.state)
                told = "it returned False"
            except AssertionError as error:
                holds, told = False, str(error).splitlines()[0] if str(error) else "an assertion failed"
            if holds is False:
                violation = ViolationError(told)
                violation.add_property_name(each.name)
                raise violation


class _Words(str):
    """Text that a difference shows without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class _UnmodelledSlots(Set[Slot]):
    """Set of storage slots that the models do not have: variables without a table, and their items."""

    def __init__(self, lockstep: CampaignLockstep) -> None:
        self._known = set(lockstep.chain.slots)
        self._numbered: set[Slot] = set()
        self._hashed: set[str] = set()
        """Addresses with mappings or dynamic arrays that no table has."""
        for name, artifact in lockstep.chain.own.items():
            address = lockstep.addresses[name]
            for path in _list_unmodelled_paths(lockstep, name):
                variable = (artifact.variables or {})[path]
                place = variable.place
                if all(level.kind in ("member", "index") for level in place.levels) and variable.size:
                    further = sum(level.size for level in place.levels if level.kind == "member")
                    first = place.slot + further
                    self._numbered |= {(address, first + i) for i in range(variable.size)}
                else:
                    self._numbered.add((address, place.slot))
                    self._hashed.add(address)

    def __contains__(self, slot: object) -> bool:
        if slot in self._known or not isinstance(slot, tuple):
            return False
        address, number = slot
        return slot in self._numbered or (number >= _HASHED_SLOTS and address in self._hashed)

    def __iter__(self) -> Iterator[Slot]:
        return iter(self._numbered - self._known)

    def __len__(self) -> int:
        return len(self._numbered - self._known)


def _list_unmodelled_paths(lockstep: CampaignLockstep, name: str) -> list[str]:
    """Return the paths of a contract's variables for which its model has no table."""
    tables = lockstep.model.world.contracts[name].tables
    return [path for path in lockstep.chain.own[name].variables or {} if path not in tables]


def iter_declared_calls(
    calls: Sequence[Call] | Callable[[Any], Iterable[Call]], state: CampaignState, declared: str
) -> Iterator[Call]:
    """Yield the calls of a declaration, which is a list or a function of the state."""
    with translate_user_errors(declared):
        yield from calls(state) if callable(calls) else calls


def normalize_arguments(inputs: Sequence[Parameter], arguments: Sequence[Any]) -> tuple[Any, ...]:
    """Return call arguments as the ABI codec and the model expect: tuples, and lower-case addresses."""
    return tuple(_normalize_value(each, value) for each, value in zip(inputs, arguments, strict=True))


def _normalize_value(parameter: Parameter, value: Any) -> Any:
    if isinstance(value, list | tuple) and parameter.type.endswith("]"):
        item = parameter._replace(type=parameter.type[: parameter.type.rindex("[")])
        return tuple(_normalize_value(item, each) for each in value)
    if isinstance(value, list | tuple) and parameter.type == "tuple":
        return normalize_arguments(parameter.components, value)
    if parameter.type == "address" and isinstance(value, str):
        return value.lower()
    return value


def _resolve_value(value: Any, addresses: Mapping[str, str]) -> Any:
    """Return a value with deployments' addresses in place of placeholders, also in lists."""
    if isinstance(value, DeploymentAddress):
        if value.deployment not in addresses:
            raise BackstopError(f"at({value.deployment!r}): there are {', '.join(addresses)}")
        return addresses[value.deployment]
    if isinstance(value, list | tuple):
        return tuple(_resolve_value(each, addresses) for each in value)
    return value


def _plan_addresses(campaign: Campaign) -> dict[str, str]:
    """Return the address of each deployment, computed from its deployer and nonce."""
    sent: dict[str, int] = {}
    found = {}
    for each in campaign.deployments:
        nonce = sent.get(each.sender, 0)
        sent[each.sender] = nonce + 1
        found[each.name] = compute_contract_address(each.sender, nonce)
    return found


def _deploy_campaign(campaign: Campaign, artifacts: ProjectArtifacts) -> tuple[ModelSystem, CampaignChain]:
    """Create all contracts on a new model and on a new revm chain.

    Raises BackstopError if a constructor fails, or if a model does not fit its contract.
    """
    addresses, host = _plan_addresses(campaign), RevmHost()
    world = CampaignWorld(host.timestamp, CHAIN_ID, host.next_number)
    for each in campaign.deployments:
        artifact = artifacts[each.kind]
        inputs = artifact.contract_abi.constructor_inputs
        if len(inputs) != len(each.arguments):
            wanted = ", ".join(f"{one.type} {one.name}" for one in inputs)
            raise BackstopError(f"{each.name}: the constructor of {each.kind} takes ({wanted})")
        args = normalize_arguments(inputs, [_resolve_value(value, addresses) for value in each.arguments])
        world.deployer = each.sender
        _refuse_shared_state(each.model)
        try:
            with translate_user_errors(f"the model's constructor of {each.name}", RevertError):
                each.model(world, each.name, addresses[each.name], *args)
        except RevertError as revert:
            raise BackstopError(f"the model's constructor of {each.name} reverts: {revert}") from None
        creation = Creation(each.name, each.kind, args, addresses[each.name])
        deploy_at_planned_address(host, artifacts, creation, each.sender)
        _check_tables(world, each.name, artifact)
    world.journal.clear()
    world.logs.clear()
    kinds = {each.name: each.kind for each in campaign.deployments}
    chain = CampaignChain(host, artifacts, kinds, addresses, campaign.block_time)
    return ModelSystem(world, block_time=campaign.block_time), chain


def _refuse_shared_state(model: type[Contract]) -> None:
    """Raise BackstopError if a model class has a mutable container that its instances would share."""
    for base in model.__mro__[: model.__mro__.index(Contract)]:
        for name, value in vars(base).items():
            is_constant = name.startswith("_") or name.isupper()
            if isinstance(value, dict | list | set) and not is_constant:
                raise BackstopError(
                    f"{base.__name__}.{name} is a {type(value).__name__} of the class, which all deployments "
                    "share: make it in __init__, or write its name in capitals if nothing changes it"
                )


def _check_tables(world: World, name: str, artifact: ProjectArtifact) -> None:
    """Raise BackstopError if a model's table has no variable in the contract, or another layout."""
    if artifact.variables is None:
        return
    for path, table in world.contracts[name].tables.items():
        artifact.check_table(path, table.default)
        for key, value in table.items():
            storage_layout.compute_slot(artifact.find_variable(path), key)
            storage_layout.encode_word(value)


def list_function_names(lockstep: CampaignLockstep) -> Collection[str]:
    """Return all functions that may change state, such as "token.transfer(address,uint256)"."""
    return [
        f"{name}.{function.signature}"
        for name, artifact in lockstep.chain.own.items()
        for function in artifact.functions
    ]
