"""The table: for each component and failure mode, the result of each call that must succeed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

from backstop.hosts import storage_layout
from backstop.hosts.artifacts import Artifacts
from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from backstop.proof.faults.breakable_components import PARTS, Component
from backstop.proof.faults.core_scenario import LOSS, iter_core_scenario_moments
from backstop.proof.faults.failure_modes import RE_ENTERS
from backstop.proof.faults.intact_and_broken_call_runner import CallResult, CallRunner
from backstop.proof.faults.liveness_calls import AT_MOST, CALLS_OF_THE_CORE, SAME, SPLIT, LivenessCall
from backstop.proof.faults.margin_market_failure_scenario import CALLS_OF_CYCLES, iter_margin_scenario_moments

CALLS = (*CALLS_OF_THE_CORE, *CALLS_OF_CYCLES)
"""All calls, in the order of the table."""
WORKS, FAILS, WRONG = "works", "fails", "wrong"
"""Results: the call works; it reverts; it succeeds, but a wrong account pays or is paid."""


class FaultTableCell(NamedTuple):
    """Result of one call with one component broken in one way.

    `note` is the revert reason of a failure, or the first wrong difference.
    """

    part: str
    way: str
    call: str
    verdict: str
    note: str


def list_fault_table_cells(
    components: Sequence[Component] = PARTS,
    failure_modes: Sequence[str] | None = None,
    liveness_calls: Sequence[LivenessCall] = CALLS,
    artifacts: Artifacts | None = None,
    progress_callback: Callable[[int], None] = lambda done: None,
) -> list[FaultTableCell]:
    """Run each call with each component broken in each way, and return the results in that order.

    Combinations that do not apply are left out. `progress_callback` gets the number of finished cells.
    """
    found: dict[tuple[Component, str, LivenessCall], FaultTableCell] = {}
    asked = list(_iter_applicable_fault_cells(components, failure_modes, liveness_calls))
    for moment, it in chain(iter_core_scenario_moments(artifacts), iter_margin_scenario_moments(artifacts)):
        if not any(call.moment == moment for _, _, call in asked):
            continue
        bench = CallRunner(it, moment)
        for part, way, call in asked:
            if call.moment == moment:
                found[part, way, call] = judge_call_under_failure(bench, call, part, way)
                progress_callback(len(found))
    return [found[each] for each in asked]


def count_applicable_fault_cells(
    components: Sequence[Component],
    failure_modes: Sequence[str] | None,
    liveness_calls: Sequence[LivenessCall] = CALLS,
) -> int:
    """Return the number of cells that list_fault_table_cells fills for the same arguments."""
    return sum(1 for _ in _iter_applicable_fault_cells(components, failure_modes, liveness_calls))


def _iter_applicable_fault_cells(
    components: Sequence[Component],
    failure_modes: Sequence[str] | None,
    liveness_calls: Sequence[LivenessCall],
) -> Iterator[tuple[Component, str, LivenessCall]]:
    """Yield each combination of component, failure mode and call that the call must survive.

    A call that needs the component is left out, except for a re-entering component, which does its work.
    """
    for part in components:
        for way in part.ways:
            if failure_modes is None or way in failure_modes:
                for call in liveness_calls:
                    if call.is_affected(part) and (part.name not in call.without or way == RE_ENTERS):
                        yield part, way, call


def judge_call_under_failure(
    call_runner: CallRunner, call: LivenessCall, component: Component, failure_mode: str
) -> FaultTableCell:
    """Run a call with the component intact and broken, and return the result as a table cell.

    The result is that the call works, fails or goes wrong.
    """
    right = call_runner.run_call_without_fault(call, component, failure_mode)
    run = call_runner.run_steps_and_roll_back(
        call_runner.list_steps(call, component, failure_mode), component, failure_mode, right
    )
    if run.reason is not None:
        return FaultTableCell(component.name, failure_mode, call.name, FAILS, run.reason)
    wrong = run.wrong or _JUDGES[call.judged](call_runner, call, component, right, run)
    return FaultTableCell(component.name, failure_mode, call.name, WRONG if wrong else WORKS, wrong or "")


def _find_difference_outside_component(
    call_runner: CallRunner,
    call: LivenessCall,
    component: Component,
    unbroken_result: CallResult,
    broken_result: CallResult,
) -> str | None:
    """Return the first storage difference from the intact run outside the component's own storage.

    Returns None without a difference.
    """
    for i, (expected, found) in enumerate(zip(unbroken_result.words, broken_result.words, strict=True)):
        place = call_runner.chain.places[i]
        if expected != found and not {place.contract, f"{place.contract}.{place.path}"} & set(component.own):
            ((field, should, does), *_) = storage_layout.list_field_differences(
                place.default, expected, found
            )
            where = f"{place.contract} {place.path}{_format_key(place.key)} {field}".strip()
            return f"{where}: {does} instead of {should}"
    return None


def _format_key(key: Any) -> str:
    """Return a storage key in brackets, or an empty string for a single value."""
    return "" if key == () else f"[{key}]"


def _find_wrong_stage_payment(
    call_runner: CallRunner,
    call: LivenessCall,
    component: Component,
    unbroken_result: CallResult,
    broken_result: CallResult,
) -> str | None:
    """Return a message about the first waterfall stage that paid a wrong amount, or None.

    Working stages must pay in order, as much as they hold. Stages in `dry` may pay less, and those in `heirs`
    the difference.
    """
    it = call_runner.it
    types = range(it.read_view("VaultEngine.collateral_types")) if call.moment != LOSS else (call.loss,)
    before = call_runner.sum_stage_payments(
        call_runner.chain.host.read_slots(call_runner.chain.slots), types=types
    )
    should = _list_amount_increases(
        call_runner.sum_stage_payments(unbroken_result.words, types=types), before
    )
    paid = _list_amount_increases(call_runner.sum_stage_payments(broken_result.words, types=types), before)
    left = sum(should)
    rooms = should
    if call.moment == LOSS and component.dry:
        rooms = [it.read_view(f"{stage}.capacity", call.loss) // RAY for stage in it.stages]
    elif component.dry:
        # The loss is beyond all stages: each pays what it does when none is broken.
        left = MAX_UINT256
    inherited = 0
    for stage, room, amount in zip(it.stages, rooms, paid, strict=True):
        due = min(left, room)
        if stage in component.dry:
            inherited += max(0, due - amount)
        if stage in component.heirs:
            more = min(inherited, max(0, amount - due))
            inherited -= more
            due += more
        if stage not in component.dry and amount != due and abs(amount - due) > 1:
            return f"{stage} pays {amount / WAD:,.2f} instead of {due / WAD:,.2f}"
        if amount > due + 1:
            return f"{stage} pays {amount / WAD:,.2f}, which is more than {due / WAD:,.2f}"
        left -= amount
    return None


def _list_amount_increases(amounts: Iterable[int], earlier_amounts: Iterable[int]) -> list[int]:
    return [amount - earlier for amount, earlier in zip(amounts, earlier_amounts, strict=True)]


def _find_wrong_leaver_payout(
    call_runner: CallRunner,
    call: LivenessCall,
    component: Component,
    unbroken_result: CallResult,
    broken_result: CallResult,
) -> str | None:
    """Return a message if a leaving member of a pool was paid a wrong amount, or None.

    More than in the intact run is wrong. Less is allowed if the component stops a stage that would bear
    losses first.
    """
    if broken_result.value > unbroken_result.value:
        return f"pays {broken_result.value / WAD:,.2f} instead of {unbroken_result.value / WAD:,.2f}"
    if not component.dry and broken_result.value < unbroken_result.value:
        return f"pays {broken_result.value / WAD:,.2f} instead of {unbroken_result.value / WAD:,.2f}"
    return None


_JUDGES = {
    SAME: _find_difference_outside_component,
    SPLIT: _find_wrong_stage_payment,
    AT_MOST: _find_wrong_leaver_payout,
}
