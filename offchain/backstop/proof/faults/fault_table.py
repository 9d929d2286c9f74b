"""The table: for each part and way, what becomes of each call that must succeed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

from backstop.hosts import storage_layout
from backstop.hosts.artifacts import Artifacts
from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from backstop.proof.faults.call_runner import CallResult, CallRunner
from backstop.proof.faults.components import PARTS, Component
from backstop.proof.faults.core_scenario import LOSS, play_core_scenario
from backstop.proof.faults.failure_modes import RE_ENTERS
from backstop.proof.faults.liveness_calls import AT_MOST, CALLS_OF_THE_CORE, SAME, SPLIT, LivenessCall
from backstop.proof.faults.margin_market_faults import CALLS_OF_CYCLES, play_margin_scenario

CALLS = (*CALLS_OF_THE_CORE, *CALLS_OF_CYCLES)
"""All calls, in the order of the table."""
WORKS, FAILS, WRONG = "works", "fails", "wrong"
"""It does what it should; it reverts; it succeeds, but somebody pays, or is paid, who should not be."""


class FaultTableCell(NamedTuple):
    """One call with one part broken in one way; `note` says why it fails or what is wrong."""

    part: str
    way: str
    call: str
    verdict: str
    note: str


def build_table(
    parts: Sequence[Component] = PARTS,
    ways: Sequence[str] | None = None,
    calls: Sequence[LivenessCall] = CALLS,
    artifacts: Artifacts | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> list[FaultTableCell]:
    """Return all cells of these parts, ways and calls, in the order of parts, ways and calls."""
    found: dict[tuple[Component, str, LivenessCall], FaultTableCell] = {}
    asked = list(_iter_cells(parts, ways, calls))
    for moment, it in chain(play_core_scenario(artifacts), play_margin_scenario(artifacts)):
        if not any(call.moment == moment for _, _, call in asked):
            continue
        bench = CallRunner(it, moment)
        for part, way, call in asked:
            if call.moment == moment:
                found[part, way, call] = judge_call(bench, call, part, way)
                progress(len(found))
    return [found[each] for each in asked]


def count_cells(
    parts: Sequence[Component], ways: Sequence[str] | None, calls: Sequence[LivenessCall] = CALLS
) -> int:
    """Return how many cells the table has."""
    return sum(1 for _ in _iter_cells(parts, ways, calls))


def _iter_cells(
    parts: Sequence[Component], ways: Sequence[str] | None, calls: Sequence[LivenessCall]
) -> Iterator[tuple[Component, str, LivenessCall]]:
    """Yield each part with each way in which it breaks and each call that can do without it.

    What re-enters does its work, so every call can do with it.
    """
    for part in parts:
        for way in part.ways:
            if ways is None or way in ways:
                for call in calls:
                    if call.is_affected(part) and (part.name not in call.without or way == RE_ENTERS):
                        yield part, way, call


def judge_call(bench: CallRunner, call: LivenessCall, part: Component, way: str) -> FaultTableCell:
    """Run a call unbroken and broken, and compare."""
    right = bench.run_unbroken(call, part, way)
    run = bench.run_steps(bench.list_steps(call, part, way), part, way, right)
    if run.reason is not None:
        return FaultTableCell(part.name, way, call.name, FAILS, run.reason)
    wrong = run.wrong or _JUDGES[call.judged](bench, call, part, right, run)
    return FaultTableCell(part.name, way, call.name, WRONG if wrong else WORKS, wrong or "")


def _find_difference(
    bench: CallRunner, call: LivenessCall, part: Component, right: CallResult, run: CallResult
) -> str | None:
    """Say what differs from the unbroken run beside what is the part's own."""
    for i, (expected, found) in enumerate(zip(right.words, run.words, strict=True)):
        place = bench.chain.places[i]
        if expected != found and not {place.contract, f"{place.contract}.{place.path}"} & set(part.own):
            ((field, should, does), *_) = storage_layout.list_field_differences(
                place.default, expected, found
            )
            where = f"{place.contract} {place.path}{_format_key(place.key)} {field}".strip()
            return f"{where}: {does} instead of {should}"
    return None


def _format_key(key: Any) -> str:
    """Return a key as it is shown."""
    return "" if key == () else f"[{key}]"


def _find_wrong_payment(
    bench: CallRunner, call: LivenessCall, part: Component, right: CallResult, run: CallResult
) -> str | None:
    """Say which stage paid what it should not: all that work pay in their order, as much as they hold."""
    it = bench.it
    types = range(it.read_view("VaultEngine.collateral_types")) if call.moment != LOSS else (call.loss,)
    before = bench.sum_stage_payments(bench.chain.host.read_slots(bench.chain.slots), types=types)
    should = _subtract_amounts(bench.sum_stage_payments(right.words, types=types), before)
    paid = _subtract_amounts(bench.sum_stage_payments(run.words, types=types), before)
    left = sum(should)
    rooms = should
    if call.moment == LOSS and part.dry:
        rooms = [it.read_view(f"{stage}.capacity", call.loss) // RAY for stage in it.stages]
    elif part.dry:
        # The loss is beyond all stages: each pays what it does when none is broken.
        left = MAX_UINT256
    inherited = 0
    for stage, room, amount in zip(it.stages, rooms, paid, strict=True):
        due = min(left, room)
        if stage in part.dry:
            inherited += max(0, due - amount)
        if stage in part.heirs:
            more = min(inherited, max(0, amount - due))
            inherited -= more
            due += more
        if stage not in part.dry and amount != due and abs(amount - due) > 1:
            return f"{stage} pays {amount / WAD:,.2f} instead of {due / WAD:,.2f}"
        if amount > due + 1:
            return f"{stage} pays {amount / WAD:,.2f}, which is more than {due / WAD:,.2f}"
        left -= amount
    return None


def _subtract_amounts(amounts: Iterable[int], before: Iterable[int]) -> list[int]:
    return [amount - earlier for amount, earlier in zip(amounts, before, strict=True)]


def _find_leaver_gain(
    bench: CallRunner, call: LivenessCall, part: Component, right: CallResult, run: CallResult
) -> str | None:
    """Say whether the leaver gets more; less may be right, since a broken stage bears no loss before him."""
    if run.value > right.value:
        return f"pays {run.value / WAD:,.2f} instead of {right.value / WAD:,.2f}"
    if not part.dry and run.value < right.value:
        return f"pays {run.value / WAD:,.2f} instead of {right.value / WAD:,.2f}"
    return None


_JUDGES = {SAME: _find_difference, SPLIT: _find_wrong_payment, AT_MOST: _find_leaver_gain}
