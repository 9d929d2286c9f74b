"""The model and a chain side by side: every action goes to both, and everything is compared.

After an action: whether it reverted and the exact reason, the returned value, every event in order, the
set of slots that changed (where the host can tell), and every slot of every table, raw storage against
the model's encoded record. Properties are asserted on the chain's values.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from backstop.contract_base import RevertError, Written
from backstop.errors import BackstopError
from backstop.files.installation import format_command_as_started
from backstop.hosts import storage_layout
from backstop.hosts.chain_system import ChainSystem
from backstop.hosts.contract_creation import Creation, deploy_at_planned_address
from backstop.hosts.host_interface import Slot, StorageRootHost
from backstop.hosts.model_system import ModelSystem
from backstop.hosts.world_storage_json import RawState, load_words
from backstop.lockstep.lockstep_difference import (
    VIEWER,
    Difference,
    DivergenceError,
    list_first_outcome_difference,
)
from backstop.lockstep.replayable_trace import Trace, TraceStep
from backstop.lockstep.step_transition import Transition
from backstop.lockstep.storage_audit import list_storage_differences, list_storage_root_differences
from backstop.system import Action, Outcome, Snapshot, System, count_slots

TRACES = Path("runs") / "traces"
_READS_A_STEP = 8
"""Slots that a step pays for: the more there are, the rarer all of them are read."""
StateCheck = Callable[[Snapshot, Mapping[str, str], Iterable[str] | None], None]
StepCheck = Callable[[Transition], None]


class _PendingStep(NamedTuple):
    """Step that the model has made and the chain has not: its outcome, changed words, written slots."""

    action: Action
    expected: Outcome
    changes: dict[Slot, int]
    written: list[int]


class Lockstep:
    """Model and chain as one system: each action runs on both, and their results are compared.

    Results are the model's, which the chain has confirmed. All storage is read and compared, and state
    properties are checked, every `check_every` steps. With 0, only the slots that the model wrote are
    compared. With None, properties are checked after each step, and all storage is read at intervals that
    grow with the number of slots. Up to `block` steps of one time go to the chain as one block. A difference
    is then found later, but is still assigned to its step, if the host returns each step's changes. Before a
    divergence, a violated property or an error of the model is raised, a trace is written into `traces`. A
    subclass defines the deployment's own parts: see the methods under "for subclasses".
    """

    def __init__(
        self,
        model: ModelSystem,
        chain: ChainSystem,
        *,
        seed: int = 0,
        check_every: int | None = 1,
        block: int = 1,
        state_check: StateCheck | None = None,
        watch: Callable[[ModelSystem], StepCheck] | None = None,
        traces: Path | None = TRACES,
        known: Lockstep | None = None,
    ) -> None:
        """Compare a model and a chain in the same state; raise if they differ.

        `known` is a lockstep of the same state, from which the list of slots is copied. `watch` returns the
        step check for a model. Raises BackstopError if the two times differ.
        """
        self.model = model
        self.chain = chain
        # What is given as call data means to the model what it means to the contracts.
        model.world.read_call = chain.decode_call
        self.seed = seed
        self.check_every = check_every
        self.block = block
        self.state_check = state_check
        self._watch = watch
        self.step_check = watch(model) if watch else None
        self.traces = traces
        self.started_at = model.timestamp
        # So many blocks have been told to be produced since then; a node mines more of its own accord.
        self.produced = 0
        # How many of the first steps belong to the deployment rather than to what is looked for.
        self.opening = 0
        self.trace: list[TraceStep] = []
        self.steps = 0
        self.fields_compared = 0
        self._expected: list[int] = []
        self._changed: set[int] = set()
        self._fields = 0
        self._unread_steps = 0
        self._waiting: list[_PendingStep] = []
        self._chain_state: dict[str, dict[str, dict[Hashable, Any]]] = {}
        if model.timestamp != chain.timestamp:
            raise BackstopError(f"the model is at {model.timestamp}, the chain at {chain.timestamp}")
        model.world.block_number = chain.next_block_number
        if known is None:
            self._track_contract_tables()
        else:
            self._copy_state_from_lockstep(known)
        self._check_state(None, everything=known is None)

    # --------------------------------------------------------------- the System

    @property
    def timestamp(self) -> int:
        return self.model.timestamp

    @property
    def next_block_number(self) -> int:
        """Number of the block in which the next action runs on the chain; the model uses it too."""
        return self.chain.next_block_number

    @property
    def addresses(self) -> Mapping[str, str]:
        return self.chain.addresses

    def apply(self, action: Action) -> Outcome:
        """Run one action on model and chain, compare all results, and return the outcome.

        Raises DivergenceError if a result differs, and ViolationError if a property is violated.
        """
        self.steps += 1
        self.trace.append(self._build_timed_trace_step(action))
        self.model.world.block_number = self.chain.next_block_number
        try:
            expected = self.model.apply(action)
        except Exception as error:
            error.add_note(
                f"the model failed at step {self.steps}: {self._save_trace_with_replay_hint(repr(error))}"
            )
            raise
        self._waiting.append(_PendingStep(action, expected, *self._record_model_writes()))
        if len(self._waiting) >= self.block:
            self.apply_pending_chain_steps()
        if self.step_check is not None:
            check = self.step_check if expected.reason is None else self.check_refusal
            try:
                check(Transition(action, expected, self.model))
            except BackstopError as violation:
                self._add_location_to_violation(violation, action)
                raise
        if self.check_every is None:
            self._unread_steps += 1
            if self._unread_steps * _READS_A_STEP >= len(self._expected):
                self._check_state(action)
            else:
                self.apply_pending_chain_steps()
                self._assert_state_properties(action, everything=False)
        elif self.check_every and self.steps % self.check_every == 0:
            # Between two steps a property that reads nothing of what was written holds as it did.
            self._check_state(action, everything=self.check_every > 1)
        self.compare_views()
        return expected

    def apply_pending_chain_steps(self) -> None:
        """Apply all pending steps to the chain in one block, and compare each with the model.

        Raises DivergenceError at the first step that differs.
        """
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        last, length = self.steps, len(self.trace)
        results = self.chain.apply_all_with_changed_slots([one.action for one in waiting])
        unread: dict[int, Action] = {}
        places = self.chain.places
        for place, (one, (actual, changed)) in enumerate(zip(waiting, results, strict=True), 1):
            # A difference is that of its step: what came later in the block is not part of it.
            self.steps = last - len(waiting) + place
            self.fields_compared += 2 + sum([len(values) + 1 for _, _, values in actual.logs])
            wrong = list_first_outcome_difference(self.steps, one.action, one.expected, actual)
            if changed is None:
                unread |= dict.fromkeys(one.written, one.action)
            elif changed != one.changes:
                wrong = wrong or self._list_changed_slot_differences(one.action, one.changes, changed)
            if wrong:
                del self.trace[length - len(waiting) + place :]
                raise self._build_divergence_with_trace(wrong)
            self.fields_compared += sum([places[i].fields for i in one.written])
        if unread:
            slots, expected = self.chain.slots, self._expected
            words = self.chain.host.read_slots([slots[i] for i in unread])
            if words != [expected[i] for i in unread]:
                found = dict(zip(unread, words, strict=True))
                i = next(i for i, word in found.items() if word != expected[i])
                raise self._build_divergence_with_trace(self._list_differences(unread[i], [i], found))

    def view(self, contract: str, method: str, *args: Any) -> Any:
        """Call a view on model and chain, compare the results, and return the value.

        Raises RevertError if the view reverts on both, and DivergenceError if they differ.
        """
        self.apply_pending_chain_steps()
        self.model.world.block_number = self.chain.next_block_number
        action = Action(contract, method, args, VIEWER)
        expected, actual = _get_view_outcome(self.model, action), _get_view_outcome(self.chain, action)
        self.fields_compared += 2
        wrong = list_first_outcome_difference(self.steps, action, expected, actual)
        if wrong:
            raise self._build_divergence_with_trace(wrong)
        if expected.reason is not None:
            raise RevertError(expected.reason)
        return expected.value

    def advance(self, seconds: int, blocks: int | None = None) -> None:
        if blocks is None:
            blocks = count_slots(self.model.timestamp, seconds, self.model.block_time)
        if seconds or blocks:
            self.apply_pending_chain_steps()
        self.produced += blocks
        self.model.advance(seconds, 0)
        self.chain.advance(seconds, blocks)
        self.model.world.block_number = self.chain.next_block_number

    def snapshot(self) -> Snapshot:
        """Return the chain's state, for each slot that the model ever wrote."""
        self.apply_pending_chain_steps()
        return self.chain.snapshot()

    # -------------------------------------------------------------------- more

    def play_step(self, step: TraceStep) -> None:
        """Advance to the time of a trace's step, and run the step."""
        blocks = None if step.blocks is None else max(0, step.blocks - self.produced)
        self.advance(step.timestamp - self.timestamp, blocks)
        self.play_step_content(step.step)

    @contextmanager
    def fork_state(self, *, should_watch_history: bool = False) -> Iterator[Lockstep]:
        """Context manager that runs steps on model and chain, compares them, and reverts them at its end.

        With `should_watch_history`, properties of a history observe the steps from the fork's beginning;
        otherwise only properties of single steps are checked. Forks can be nested. Contracts cannot be
        created in a fork. The periodic comparison of all state is off, since a fork may begin with a change
        that only the protocol itself could make.
        """
        self.apply_pending_chain_steps()
        check_every, self.check_every = self.check_every, 0
        # What is imagined is no part of what has happened.
        step_check = self.step_check
        if step_check:
            self.step_check = (
                self._watch(self.model) if should_watch_history and self._watch else self.check_future_step
            )
        steps, length, expected = self.steps, len(self.trace), self._expected.copy()
        produced = self.produced
        snapshot = self.chain.host.snapshot()
        try:
            with self.model.fork_state():
                yield self
                self.apply_pending_chain_steps()
        finally:
            self._waiting.clear()
            self.chain.host.restore_snapshot(snapshot)
            self.check_every, self.step_check = check_every, step_check
            self.steps, self.produced = steps, produced
            del self.trace[length:]
            # What was learned meanwhile stays known, and is empty again.
            expected += [0] * (len(self._expected) - len(expected))
            if self._expected != expected:
                pairs = zip(self._expected, expected, strict=True)
                self._changed.update([i for i, (now, then) in enumerate(pairs) if now != then])
            self._expected[:] = expected

    def add_contract(self, creation: Creation) -> None:
        """Create one more contract on model and chain, and compare their states."""
        self.apply_pending_chain_steps()
        self.trace.append(self._build_timed_trace_step(creation))
        self.model.world.block_number = self.chain.next_block_number
        self.add_contract_model(creation)
        deploy_at_planned_address(
            self.chain.host, self.chain.artifacts, creation, self.get_contract_deployer(creation)
        )
        self.chain.add_contract(creation.name, creation.kind, creation.address)
        self._track_contract_tables([creation.name])
        self._check_state(creation)

    def track_slot(self, contract: str, path: str, key: Hashable) -> None:
        """Add a slot that the model has not written to the slots that are read and compared."""
        self._register_empty_slot(
            contract, path, key, self.model.world.contracts[contract].tables[path].default
        )

    def restore_state(self, state: RawState) -> None:
        """Replace the state of model and chain by the raw state of an equal deployment."""
        self.apply_pending_chain_steps()
        self.trace.append(self._build_timed_trace_step(state))
        self.load_state(state)
        if self._watch and self.step_check:
            self.step_check = self._watch(self.model)
        self._track_contract_tables()
        tables = {name: contract.tables for name, contract in self.model.world.contracts.items()}
        for i, place in enumerate(self.chain.places):
            self._expected[i] = storage_layout.encode_word(tables[place.contract][place.path][place.key])
        self._changed.update(range(len(self._expected)))
        self.chain.host.write_slots(dict(zip(self.chain.slots, self._expected, strict=True)))
        self._check_state(None)

    def compare_state(self, after: Action | Creation | None = None) -> None:
        """Compare all known state now; a difference is attributed to the step `after`.

        Raises DivergenceError if a slot differs.
        """
        self._check_state(after)

    def audit_storage(self) -> int:
        """Compare the chain's whole storage with the model, and return the number of slots compared.

        Slots that the model does not know are included, except variables without a table in the model. The
        comparison is slow. Raises DivergenceError if a slot differs.
        """
        self.apply_pending_chain_steps()
        host, place = self.chain.host, (self.steps, self.chain, self.find_unmodelled_slots())
        expected = {slot: word for slot, word in zip(self.chain.slots, self._expected, strict=True) if word}
        if isinstance(host, StorageRootHost):
            count, differences = len(expected), list_storage_root_differences(*place, host, expected)
        else:
            actual = host.read_nonzero_slots(list(self.addresses.values()))
            count, differences = len(actual), list_storage_differences(*place, expected, actual)
        if differences:
            raise self._build_divergence_with_trace(differences)
        return count

    def build_trace(self, reason: str = "") -> Trace:
        """Return all steps so far as a trace that can be written or replayed."""
        return Trace(list(self.trace), self.started_at, self.seed, reason, self.opening)

    def _build_timed_trace_step(self, step_content: Any) -> TraceStep:
        """Return a trace step at the current time and, if slots have a block time, the blocks so far."""
        return TraceStep(self.model.timestamp, step_content, self.produced if self.model.block_time else None)

    # --------------------------------------------------------------- comparison

    def _track_contract_tables(self, contract_names: Iterable[str] | None = None) -> None:
        """Register all storage tables of the model, or of some contracts, for comparison."""
        contracts = self.model.world.contracts
        for name in contracts if contract_names is None else contract_names:
            contract = contracts[name]
            self.chain.track_contract_slots(name, contract.tables)
            known = self._chain_state.setdefault(name, {})
            for path, table in contract.tables.items():
                if path not in known:
                    known[path] = self.create_state_table(name, path, known)
                for key, value in table.items():
                    index = self._register_empty_slot(name, path, key, table.default)
                    self._expected[index] = self._encode_value(Written(name, path, key), value)

    def _copy_state_from_lockstep(self, other_lockstep: Lockstep) -> None:
        """Copy the list of slots, the expected words and the state of another lockstep."""
        self.chain.copy_tracked_slot_list(other_lockstep.chain)
        self._expected, self._fields = list(other_lockstep._expected), other_lockstep._fields
        self._chain_state = self.copy_chain_state(other_lockstep._chain_state)

    def _record_model_writes(self) -> tuple[dict[Slot, int], list[int]]:
        """Update the expected words by the model's writes.

        Return the slots with a changed word, the new words, and the indices of all slots written.
        """
        contracts, known, expected = self.model.world.contracts, self.chain.index, self._expected
        changes, written = {}, []
        for slot in self.model.changes:
            name, path, key = slot
            table = contracts[name].tables[path]
            index = known.get(slot)
            if index is None:
                index = self._register_empty_slot(name, path, key, table.default)
            written.append(index)
            word = self._encode_value(slot, table[key])
            if word != expected[index]:
                changes[self.chain.slots[index]] = expected[index] = word
        self._changed.update(written)
        return changes, written

    def _encode_value(self, slot: Written, value: Any) -> int:
        """Return the storage word of a model's value.

        Raises DivergenceError if the value does not fit its slot.
        """
        try:
            return self.encode_slot_value(slot, value)
        except storage_layout.SlotOverflowError as misfit:
            step = self.trace[-1].step if self.trace else None
            action = step if isinstance(step, Action | Creation) else None
            pair = self.describe_misfit(misfit)
            raise self._build_divergence_with_trace(
                [Difference(self.steps, action, *slot, misfit.field, *pair)]
            ) from None

    def _register_empty_slot(self, contract: str, path: str, key: Hashable, default: Any) -> int:
        """Register a slot that is expected to be empty until the model writes it; return its index."""
        index = self.chain.track_slot(contract, path, key, default)
        for place in self.chain.places[len(self._expected) :]:
            self._expected.append(0)
            self._fields += place.fields
        self._changed.add(index)
        return index

    def _check_state(self, action: Action | Creation | None, *, everything: bool = True) -> None:
        self.apply_pending_chain_steps()
        words = self.chain.host.read_slots(self.chain.slots)
        self.fields_compared += self._fields
        if words != self._expected:
            wrong = [i for i, word in enumerate(words) if word != self._expected[i]]
            raise self._build_divergence_with_trace(
                self._list_differences(action, wrong, dict(enumerate(words)))
            )
        self._unread_steps = 0
        self._assert_state_properties(action, everything=everything)
        if everything:
            self.check_carried_sums(self._chain_state)

    def _assert_state_properties(self, action: Action | Creation | None, *, everything: bool = True) -> None:
        """Update the state by all changed words, and check its properties.

        With `everything` false, only properties that read a changed table are checked.
        """
        if self.state_check is None:
            return
        written = set()
        for i in self._changed:
            place = self.chain.places[i]
            # The chain's word: it was compared.
            value = storage_layout.decode_word(self._expected[i], place.default)
            self._chain_state[place.contract][place.path][place.key] = value
            written.add(place.path)
        try:
            self.state_check(self._chain_state, self.addresses, None if everything else written)
        except BackstopError as violation:
            self._add_location_to_violation(violation, action)
            raise
        self._changed.clear()

    def _list_changed_slot_differences(
        self, action: Action, model_changes: Mapping[Slot, int], chain_changes: Mapping[Slot, int]
    ) -> list[Difference]:
        """Return the differences of slots that only one side changed, or that got another word."""
        index = {slot: i for i, slot in enumerate(self.chain.slots)}
        wrong = [
            slot
            for slot in {**model_changes, **chain_changes}
            if model_changes.get(slot) != chain_changes.get(slot)
        ]
        known = [index[slot] for slot in wrong if slot in index]
        words = dict(
            zip(known, self.chain.host.read_slots([self.chain.slots[i] for i in known]), strict=True)
        )
        found = self._list_differences(action, known, words)
        for address, slot in wrong:
            if (address, slot) not in index:
                name = self.chain.names.get(address, address)
                word = chain_changes[address, slot]
                found.append(Difference(self.steps, action, name, f"slot {slot:#x}", (), "", None, word))
        return found

    def _list_differences(
        self, action: Action | Creation | None, indices: list[int], words: Mapping[int, int]
    ) -> list[Difference]:
        found = []
        for i in indices:
            place = self.chain.places[i]
            pairs = storage_layout.list_field_differences(place.default, self._expected[i], words[i])
            found += [
                Difference(self.steps, action, place.contract, place.path, place.key, *pair) for pair in pairs
            ]
        return found

    def _add_location_to_violation(self, violation: BackstopError, step_content: Any) -> None:
        """Add the step and the trace file to the text of a violation, after writing the trace."""
        text = str(violation)
        violation.args = (
            f"{text} at step {self.steps}, {step_content}: {self._save_trace_with_replay_hint(text)}",
        )

    def _build_divergence_with_trace(self, differences: list[Difference]) -> DivergenceError:
        reason = str(differences[0])
        return DivergenceError(differences, self.write_trace_file(reason))

    def _save_trace_with_replay_hint(self, reason: str) -> str:
        path = self.write_trace_file(reason)
        return (
            "no trace" if path is None else f"run it again with: {format_command_as_started('replay')} {path}"
        )

    # --------------------------------------------------------------- for subclasses

    def play_step_content(self, step_content: Any) -> None:
        """Run the content of a trace's step at the present time: a creation, a raw state or an action."""
        if isinstance(step_content, Creation):
            self.add_contract(step_content)
        elif isinstance(step_content, RawState):
            self.restore_state(step_content)
        else:
            self.apply(step_content)

    def write_trace_file(self, reason: str) -> Path | None:
        """Write the steps so far into `traces` and return the path; None if traces are not kept.

        Here, return None.
        """
        return None

    def add_contract_model(self, creation: Creation) -> None:
        """Construct the model of a contract that is created later. Here, raise BackstopError."""
        raise BackstopError(f"{creation.name}: this deployment adds no contracts later")

    def get_contract_deployer(self, creation: Creation) -> str:
        """Return the account that creates a later contract. Here, raise BackstopError."""
        raise BackstopError(f"{creation.name}: this deployment adds no contracts later")

    def load_state(self, state: RawState) -> None:
        """Load a raw state (storage words) into the model."""
        load_words(self.model.world, state.words)

    def find_unmodelled_slots(self) -> Set[Slot]:
        """Return the slots that the model does not have and that no audit compares; here, none."""
        return frozenset()

    def encode_slot_value(self, slot: Written, value: Any) -> int:
        """Return the storage word of a model's value.

        Raises SlotOverflowError if the value does not fit its slot.
        """
        return storage_layout.encode_word(value)

    def describe_misfit(self, misfit: storage_layout.SlotOverflowError) -> tuple[Any, Any]:
        """Return the texts of a difference for a value that does not fit its slot: model's and chain's."""
        return misfit.value, f"room for {misfit.room}"

    def compare_views(self) -> None:
        """Compare the results of views on model and chain after each step; here, do nothing."""

    def check_refusal(self, step: Transition) -> None:
        """Check the properties of a call that reverted; here, do nothing."""

    def check_future_step(self, step: Transition) -> None:
        """Check the properties of a step in a fork that does not watch its history; here, do nothing."""

    def create_state_table(
        self, contract: str, path: str, sibling_tables: Mapping[str, Mapping[Hashable, Any]]
    ) -> dict[Hashable, Any]:
        """Return an empty table for the state that properties read. A subclass may return another kind."""
        return {}

    def copy_chain_state(self, state: Snapshot) -> dict[str, dict[str, dict[Hashable, Any]]]:
        """Return a copy of the chain's state that properties read."""
        return {name: {path: dict(table) for path, table in tables.items()} for name, tables in state.items()}

    def check_carried_sums(self, state: Snapshot) -> None:
        """Check sums that tables keep incrementally against a full recount; here, do nothing."""


def _get_view_outcome(system: System, action: Action) -> Outcome:
    try:
        return Outcome(None, system.view(action.contract, action.method, *action.args), ())
    except RevertError as revert:
        return Outcome(revert.reason, None, ())
