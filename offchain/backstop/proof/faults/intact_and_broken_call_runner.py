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
from backstop.proof.faults.breakable_components import Component
from backstop.proof.faults.component_failure_scenario import FaultScenario
from backstop.proof.faults.core_scenario import POOLS, WBTC, XAU
from backstop.proof.faults.failure_modes import LIES, RE_ENTERS, SILENT, break_contract
from backstop.proof.faults.liveness_calls import (
    AT_MOST,
    STEP,
    CallStep,
    LivenessCall,
    list_price_report_steps,
)
from backstop.proof.lockstep import ProtocolLockstep
from backstop.proof.properties import check_state_properties
from backstop.system import Action, Outcome

_SILENCE = 5
"""Steps of the feed that pass before a silence is looked at: longer than any price counts."""


class CallResult(NamedTuple):
    """Result of a call: failure reason, or payments and all storage words afterwards.

    `wrong` is the message of a violated state property. It is checked only if the words differ from those of
    the intact run.
    """

    reason: str | None
    value: int
    words: list[int]
    wrong: str | None = None


def _build_action_with_viewed_first_argument(
    system: ProtocolLockstep | ChainSystem, call_step: CallStep
) -> Action:
    """Return a step's action; its first argument is a view's current result if the step names a view."""
    if not call_step.first:
        return call_step.action
    contract, _, args, sender = call_step.action
    return call_step.action._replace(args=(system.view(contract, call_step.first, sender), *args[1:]))


def shorten_reason(reason: str) -> str:
    """Return a revert reason shortened to one line of at most 60 characters."""
    text = reason.strip("\0")
    return (text[:60] if text else f"a reason of {len(reason)} bytes") if reason else "no reason"


class CallRunner:
    """Runner of calls at one moment of a scenario, with components intact or broken one at a time."""

    def __init__(self, scenario: FaultScenario, moment: str) -> None:
        self.it = scenario
        self.moment = moment
        self.chain = scenario.both.chain
        self._plain: dict[str, CallResult] = {}
        self._track_slots_of_fault_writes()

    def list_steps(self, call: LivenessCall, component: Component, failure_mode: str) -> list[CallStep]:
        """Return all steps of a table cell: steps of silence or false reports first, then the call.

        For a re-entering component, covers of the losses follow.
        """
        found = []
        if failure_mode == SILENT:
            found += self._list_feed_steps_without_component(component)
        if failure_mode == LIES:
            found += self._list_false_price_report_steps(component)
        found += call.steps(self.it, component if failure_mode == SILENT else None)
        if failure_mode == RE_ENTERS:
            # What was not covered within the call is covered now: it must come to the same.
            losses = [self.it.build_action("LossWaterfall.cover", c, by="coverer") for c in (XAU, WBTC)]
            found += [CallStep(action, False) for action in losses]
            if call.judged == AT_MOST:
                # A leaver may claim what was held back until the loss was covered.
                found += [step._replace(needed=False) for step in call.steps(self.it, None)]
        return found

    def run_call_without_fault(
        self, call: LivenessCall, component: Component, failure_mode: str
    ) -> CallResult:
        """Run a call with all components intact and return its result, cached by call and failure mode.

        The same time passes as in the broken run. Raises BackstopError if the call fails.
        """
        name = f"{call.name} ({failure_mode})" if failure_mode in (SILENT, LIES, RE_ENTERS) else call.name
        if name not in self._plain:
            steps = self.list_steps(call, Component(""), failure_mode)
            self.register_slots_written_by_steps(steps)
            self._plain[name] = self.run_steps_and_roll_back(steps, Component(""), None)
        found = self._plain[name]
        if found.reason or found.wrong:
            raise BackstopError(f"{name} goes wrong though nothing is broken: {found.reason or found.wrong}")
        # What was learned since, that run had left as it is.
        later = self.chain.host.read_slots(self.chain.slots[len(found.words) :])
        found.words.extend(later)
        return found

    def register_slots_written_by_steps(self, call_steps: Sequence[CallStep]) -> None:
        """Run the steps once on a fork of model and chain, so that all slots that they write are tracked."""
        both = self.it.both
        with both.fork_state():
            for step in call_steps:
                both.advance(step.wait)
                both.apply(_build_action_with_viewed_first_argument(both, step))

    def run_steps_and_roll_back(
        self,
        steps: Sequence[CallStep],
        broken_component: Component,
        failure_mode: str | None,
        unbroken_result: CallResult | None = None,
    ) -> CallResult:
        """Run the steps with a component broken, revert the chain, and return the result.

        Nothing is broken if `failure_mode` is None. With `unbroken_result`, an equal state counts as sound.
        """
        with self._revert_chain_on_exit(), self._break_component_temporarily(broken_component, failure_mode):
            value = 0
            for step in steps:
                self.chain.advance(step.wait)
                answer = self._run_step_on_chain(step)
                if step.first and answer.reason is None:
                    value += int(answer.value)
                if step.needed and answer.reason is not None:
                    name = f"{step.action.contract}.{step.action.method}"
                    return CallResult(f"{name}: {shorten_reason(answer.reason)}", 0, [])
            words = self.chain.host.read_slots(self.chain.slots)
            sound = unbroken_result is not None and unbroken_result.words == words
            return CallResult(None, value, words, None if sound else self._find_state_violation())

    def _run_step_on_chain(self, call_step: CallStep) -> Outcome:
        try:
            return self.chain.apply(_build_action_with_viewed_first_argument(self.chain, call_step))
        except CallHaltedError as halted:
            return Outcome(f"out of gas ({halted.why})", None, ())

    def _find_state_violation(self) -> str | None:
        try:
            check_state_properties(self.chain.snapshot(), self.chain.addresses)
        except BackstopError as violation:
            return str(violation)
        return None

    @contextmanager
    def _revert_chain_on_exit(self) -> Iterator[None]:
        snapshot = self.chain.host.snapshot()
        try:
            yield
        finally:
            self.chain.host.restore_snapshot(snapshot)

    @contextmanager
    def _break_component_temporarily(self, component: Component, failure_mode: str | None) -> Iterator[None]:
        if failure_mode is None or not component.contract:
            yield
            return
        host, address = self.it.host, self.it.get_address(component.contract)
        original = self.it.get_code(component.contract)
        break_contract(self.it, address, original, failure_mode, self.moment)
        try:
            yield
        finally:
            host.set_code(address, original)

    def _list_false_price_report_steps(self, misreporting_component: Component) -> list[CallStep]:
        """Return the steps of a feed update in which the component reports 1/1000 of each price."""
        found = []
        liars = [self.it.get_address(name) for name in misreporting_component.reporters]
        for step in list_price_report_steps(self.it, None):
            action = step.action
            if action.method == "report_range" and action.sender in liars:
                c, price, *_ = action.args
                action = action._replace(args=(c, *3 * (price // 1_000,), 0))
            found.append(step._replace(action=action, needed=False))
        return [found[0]._replace(wait=STEP), *found[1:]]

    def _list_feed_steps_without_component(self, silent_component: Component) -> list[CallStep]:
        """Return feed updates without the component's reports, until its last price is stale."""
        found = []
        for _ in range(_SILENCE):
            first, *others = [
                step._replace(needed=False) for step in list_price_report_steps(self.it, silent_component)
            ]
            found += [first._replace(wait=STEP), *others]
        return found

    def _track_slots_of_fault_writes(self) -> None:
        """Track storage slots that are written only if something is broken.

        These are slots of losses, stage payments, exit batches and claims.
        """
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
        """Return the total payment of each stage for losses of these types, over all epochs [wei]."""
        paid = [0] * len(self.it.stages)
        for place, word in zip(self.chain.places, words, strict=False):
            if place.contract == "LossWaterfall" and place.path == "covered":
                key: Any = place.key  # type, epoch, stage
                if key[0] in types:
                    paid[key[2]] += word
        return [each // RAY for each in paid]
