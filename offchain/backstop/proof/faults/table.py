"""The table: for each part and way, what becomes of each call that must succeed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

from backstop.hosts import storage_layout
from backstop.hosts.artifacts import Artifacts
from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from backstop.proof.faults.bench import Bench, Run
from backstop.proof.faults.calls import AT_MOST, CALLS_OF_THE_CORE, SAME, SPLIT, Call
from backstop.proof.faults.cycles import CALLS_OF_CYCLES, play_cycles
from backstop.proof.faults.parts import PARTS, Part
from backstop.proof.faults.scene import LOSS, play
from backstop.proof.faults.ways import RE_ENTERS

CALLS = (*CALLS_OF_THE_CORE, *CALLS_OF_CYCLES)
"""All calls, in the order of the table."""
WORKS, FAILS, WRONG = "works", "fails", "wrong"
"""It does what it should; it reverts; it succeeds, but somebody pays, or is paid, who should not be."""


class Cell(NamedTuple):
    """One call with one part broken in one way; `note` says why it fails or what is wrong."""

    part: str
    way: str
    call: str
    verdict: str
    note: str


def table(
    parts: Sequence[Part] = PARTS,
    ways: Sequence[str] | None = None,
    calls: Sequence[Call] = CALLS,
    artifacts: Artifacts | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Cell]:
    """Return all cells of these parts, ways and calls, in the order of parts, ways and calls."""
    found: dict[tuple[Part, str, Call], Cell] = {}
    asked = list(_asked(parts, ways, calls))
    for moment, it in chain(play(artifacts), play_cycles(artifacts)):
        if not any(call.moment == moment for _, _, call in asked):
            continue
        bench = Bench(it, moment)
        for part, way, call in asked:
            if call.moment == moment:
                found[part, way, call] = judge(bench, call, part, way)
                progress(len(found))
    return [found[each] for each in asked]


def count(parts: Sequence[Part], ways: Sequence[str] | None, calls: Sequence[Call] = CALLS) -> int:
    """Return how many cells the table has."""
    return sum(1 for _ in _asked(parts, ways, calls))


def _asked(
    parts: Sequence[Part], ways: Sequence[str] | None, calls: Sequence[Call]
) -> Iterator[tuple[Part, str, Call]]:
    """Yield each part with each way in which it breaks and each call that can do without it.

    What re-enters does its work, so every call can do with it.
    """
    for part in parts:
        for way in part.ways:
            if ways is None or way in ways:
                for call in calls:
                    if call.concerns(part) and (part.name not in call.without or way == RE_ENTERS):
                        yield part, way, call


def judge(bench: Bench, call: Call, part: Part, way: str) -> Cell:
    """Run a call unbroken and broken, and compare."""
    right = bench.plain(call, part, way)
    run = bench.run(bench.steps(call, part, way), part, way, right)
    if run.reason is not None:
        return Cell(part.name, way, call.name, FAILS, run.reason)
    wrong = run.wrong or _JUDGES[call.judged](bench, call, part, right, run)
    return Cell(part.name, way, call.name, WRONG if wrong else WORKS, wrong or "")


def _same(bench: Bench, call: Call, part: Part, right: Run, run: Run) -> str | None:
    """Say what differs from the unbroken run beside what is the part's own."""
    for i, (expected, found) in enumerate(zip(right.words, run.words, strict=True)):
        place = bench.chain.places[i]
        if expected != found and not {place.contract, f"{place.contract}.{place.path}"} & set(part.own):
            ((field, should, does), *_) = storage_layout.list_field_differences(
                place.default, expected, found
            )
            where = f"{place.contract} {place.path}{_shown(place.key)} {field}".strip()
            return f"{where}: {does} instead of {should}"
    return None


def _shown(key: Any) -> str:
    """Return a key as it is shown."""
    return "" if key == () else f"[{key}]"


def _split(bench: Bench, call: Call, part: Part, right: Run, run: Run) -> str | None:
    """Say which stage paid what it should not: all that work pay in their order, as much as they hold."""
    it = bench.it
    types = range(it.read("VaultEngine.collateral_types")) if call.moment != LOSS else (call.loss,)
    before = bench.paid(bench.chain.host.read_slots(bench.chain.slots), types=types)
    should = _less(bench.paid(right.words, types=types), before)
    paid = _less(bench.paid(run.words, types=types), before)
    left = sum(should)
    rooms = should
    if call.moment == LOSS and part.dry:
        rooms = [it.read(f"{stage}.capacity", call.loss) // RAY for stage in it.stages]
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


def _less(amounts: Iterable[int], before: Iterable[int]) -> list[int]:
    return [amount - earlier for amount, earlier in zip(amounts, before, strict=True)]


def _at_most(bench: Bench, call: Call, part: Part, right: Run, run: Run) -> str | None:
    """Say whether the leaver gets more; less may be right, since a broken stage bears no loss before him."""
    if run.value > right.value:
        return f"pays {run.value / WAD:,.2f} instead of {right.value / WAD:,.2f}"
    if not part.dry and run.value < right.value:
        return f"pays {run.value / WAD:,.2f} instead of {right.value / WAD:,.2f}"
    return None


_JUDGES = {SAME: _same, SPLIT: _split, AT_MOST: _at_most}
