"""Runs of a call on the chain, unbroken and with a part broken; nothing of it stays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from backstop.deployment.role_accounts import get_account
from backstop.errors import BackstopError
from backstop.hosts.chain_system import ChainSystem
from backstop.hosts.revm import CallHaltedError
from backstop.model.arithmetic import RAY
from backstop.proof.faults.components import Component
from backstop.proof.faults.core_scenario import POOLS, WBTC, XAU
from backstop.proof.faults.failure_modes import LIES, RE_ENTERS, SILENT, break_contract
from backstop.proof.faults.fault_scenario import FaultScenario
from backstop.proof.faults.liveness_calls import AT_MOST, STEP, CallStep, LivenessCall, list_reports
from backstop.proof.lockstep import Lockstep
from backstop.proof.properties import check_state
from backstop.system import Action, Outcome

_SILENCE = 5
"""Steps of the feed that pass before a silence is looked at: longer than any price counts."""


class CallResult(NamedTuple):
    """The result of a call: the reason of a failure, or the payments of its claims and all storage words.

    `wrong` is a property of the state that no longer holds; it is looked for where the words are not those of
    the unbroken run.
    """

    reason: str | None
    value: int
    words: list[int]
    wrong: str | None = None


def _resolve_action(system: Lockstep | ChainSystem, step: CallStep) -> Action:
    """Return a step's action, with what a view tells now."""
    if not step.first:
        return step.action
    contract, _, args, sender = step.action
    return step.action._replace(args=(system.view(contract, step.first, sender), *args[1:]))


def shorten_reason(reason: str) -> str:
    """Return a reason as one short line."""
    text = reason.strip("\0")
    return (text[:60] if text else f"a reason of {len(reason)} bytes") if reason else "no reason"


class CallRunner:
    """One moment of a play, in which parts can be broken one at a time."""

    def __init__(self, it: FaultScenario, moment: str) -> None:
        self.it = it
        self.moment = moment
        self.chain = it.both.chain
        self._plain: dict[str, CallResult] = {}
        self._learn_rare_slots()

    def list_steps(self, call: LivenessCall, part: Component, way: str) -> list[CallStep]:
        """Return all that happens in a cell: the hours that a silence takes, and the call."""
        found = []
        if way == SILENT:
            found += self._list_silent_steps(part)
        if way == LIES:
            found += self._list_false_reports(part)
        found += call.steps(self.it, part if way == SILENT else None)
        if way == RE_ENTERS:
            # What was not covered within the call is covered now: it must come to the same.
            losses = [self.it.build_action("LossWaterfall.cover", c, by="coverer") for c in (XAU, WBTC)]
            found += [CallStep(action, False) for action in losses]
            if call.judged == AT_MOST:
                # A leaver may claim what was held back until the loss was covered.
                found += [step._replace(needed=False) for step in call.steps(self.it, None)]
        return found

    def run_unbroken(self, call: LivenessCall, part: Component, way: str) -> CallResult:
        """Run a call with nothing broken, after as much time as the way takes; raise if it fails."""
        name = f"{call.name} ({way})" if way in (SILENT, LIES, RE_ENTERS) else call.name
        if name not in self._plain:
            steps = self.list_steps(call, Component(""), way)
            self.learn_slots(steps)
            self._plain[name] = self.run_steps(steps, Component(""), None)
        found = self._plain[name]
        if found.reason or found.wrong:
            raise BackstopError(f"{name} goes wrong though nothing is broken: {found.reason or found.wrong}")
        # What was learned since, that run had left as it is.
        later = self.chain.host.read_slots(self.chain.slots[len(found.words) :])
        found.words.extend(later)
        return found

    def learn_slots(self, steps: Sequence[CallStep]) -> None:
        """Have the model and the chain, which must agree, run the steps once: all that they write is read."""
        both = self.it.both
        with both.fork_state():
            for step in steps:
                both.advance(step.wait)
                both.apply(_resolve_action(both, step))

    def run_steps(
        self, steps: Sequence[CallStep], part: Component, way: str | None, right: CallResult | None = None
    ) -> CallResult:
        """Run the steps, with the part broken unless `way` is None, and take all of it back.

        `right` is the unbroken run, if there was one: its state is sound.
        """
        with self._revert_after_run(), self._break_component(part, way):
            value = 0
            for step in steps:
                self.chain.advance(step.wait)
                answer = self._apply_step(step)
                if step.first and answer.reason is None:
                    value += int(answer.value)
                if step.needed and answer.reason is not None:
                    name = f"{step.action.contract}.{step.action.method}"
                    return CallResult(f"{name}: {shorten_reason(answer.reason)}", 0, [])
            words = self.chain.host.read_slots(self.chain.slots)
            sound = right is not None and right.words == words
            return CallResult(None, value, words, None if sound else self._find_violation())

    def _apply_step(self, step: CallStep) -> Outcome:
        try:
            return self.chain.apply(_resolve_action(self.chain, step))
        except CallHaltedError as halted:
            return Outcome(f"out of gas ({halted.why})", None, ())

    def _find_violation(self) -> str | None:
        try:
            check_state(self.chain.snapshot(), self.chain.addresses)
        except BackstopError as violation:
            return str(violation)
        return None

    @contextmanager
    def _revert_after_run(self) -> Iterator[None]:
        snapshot = self.chain.host.snapshot()
        try:
            yield
        finally:
            self.chain.host.restore_snapshot(snapshot)

    @contextmanager
    def _break_component(self, part: Component, way: str | None) -> Iterator[None]:
        if way is None or not part.contract:
            yield
            return
        host, address = self.it.host, self.it.get_address(part.contract)
        original = self.it.get_code(part.contract)
        break_contract(self.it, address, original, way, self.moment)
        try:
            yield
        finally:
            host.set_code(address, original)

    def _list_false_reports(self, part: Component) -> list[CallStep]:
        """Return a step of the feed to which the part reports a thousandth of each price."""
        found = []
        liars = [self.it.get_address(name) for name in part.reporters]
        for step in list_reports(self.it, None):
            action = step.action
            if action.method == "report_range" and action.sender in liars:
                c, price, *_ = action.args
                action = action._replace(args=(c, *3 * (price // 1_000,), 0))
            found.append(step._replace(action=action, needed=False))
        return [found[0]._replace(wait=STEP), *found[1:]]

    def _list_silent_steps(self, part: Component) -> list[CallStep]:
        """Return the steps of a feed without the part's reports for so long that its last price is old."""
        found = []
        for _ in range(_SILENCE):
            first, *others = [step._replace(needed=False) for step in list_reports(self.it, part)]
            found += [first._replace(wait=STEP), *others]
        return found

    def _learn_rare_slots(self) -> None:
        """Have read what is written only when something is broken: losses, payments, claims, dust."""
        self.it.both.track_slot("PerpetualMarket", "cycle_book.fees", ())
        for pool in POOLS:
            self.it.both.track_slot(pool, "line.claimed", (1, get_account("saver")))
            if "exit_batches.runs" in self.it.both.model.world.contracts[pool].tables:
                self.it.both.track_slot(pool, "exit_batches.first_run", ())
                for batch in range(1, 4):
                    for path in (
                        "exit_batches.levels",
                        "exit_batches.runs",
                        "exit_batches.fractions",
                        "exit_batches.ceilings",
                        "line.batches",
                    ):
                        self.it.both.track_slot(pool, path, batch)
        first = self.it.both.timestamp // self.it.parameters.epoch_length
        for c in range(self.it.read_view("VaultEngine.collateral_types")):
            for epoch in (first, first + 1):
                for path in ("created", "recovered", "carried_in", "carried_out"):
                    self.it.both.track_slot("LossWaterfall", path, (c, epoch))
                for k in range(len(self.it.stages)):
                    self.it.both.track_slot("LossWaterfall", "covered", (c, epoch, k))
            for k in range(len(self.it.stages)):
                self.it.both.track_slot("LossWaterfall", "missed", (k, c))

    def sum_stage_payments(self, words: Sequence[int], *, types: Sequence[int]) -> list[int]:
        """Return what each stage has paid for losses of these types, of all epochs, in wei."""
        paid = [0] * len(self.it.stages)
        for place, word in zip(self.chain.places, words, strict=False):
            if place.contract == "LossWaterfall" and place.path == "covered":
                key: Any = place.key  # type, epoch, stage
                if key[0] in types:
                    paid[key[2]] += word
        return [each // RAY for each in paid]
