"""Property of the waterfall's records: reservations and their clocks, open books, and what is missed."""

from __future__ import annotations

from typing import Any

from backstop.proof.properties import stages
from backstop.proof.properties.figures.arithmetic import BASIS_POINTS, RAY
from backstop.proof.properties.registry import Violation, transition_property
from backstop.proof.properties.transition import Changes, Transition

_WATERFALL, _ENGINE = "LossWaterfall", "VaultEngine"


@transition_property(
    207, writes=["losses", "books", "reservations", "missed"], events=[f"{_WATERFALL}.StageFailed"]
)
def records_of_losses_follow_their_events(step: Transition, changes: Changes) -> None:
    """Check that a reservation keeps its stage and second, and shrinks by what is paid or given up.

    A stage that fails owes all that later stages pay in its place, as far as it had it. Books are open for
    what is lost.
    """
    if step.contract(_WATERFALL).KIND != _WATERFALL:
        return  # one to compare with keeps other records
    books = step.after(_WATERFALL, "books")
    for contract, c, _, loss in changes.get("losses", ()):
        is_open = bool(books.open >> c & 1)
        if contract == _WATERFALL and is_open != bool(loss.unresolved) and books.settlement != 2:
            raise Violation(f"type {c} has {loss.unresolved} unresolved, its books are open: {is_open}")
    for contract, key, old, new in changes.get("reservations", ()):
        if contract == _WATERFALL:
            _check_reservation(step, key, old, new)
    failed = [
        log.values for log in step.outcome.logs if (log.contract, log.event) == (_WATERFALL, "StageFailed")
    ]
    if failed and step.calls(_WATERFALL, "cover"):
        _check_missed(step, step.action.args[0], [k for _, _, k in failed])
    if step.calls(_WATERFALL, "make_good"):
        _check_made_good(step, *step.action.args)


def _events(step: Transition, event: str, c: int) -> list[tuple[int, int]]:
    """Return stage and amount of each event of a type."""
    found = [log.values for log in step.outcome.logs if (log.contract, log.event) == (_WATERFALL, event)]
    return [(each[2], each[3]) for each in found if each[0] == c]


def _check_reservation(step: Transition, key: tuple[int, str], old: Any, new: Any) -> None:
    c, holder = key
    made = [(k, amount) for k, amount in _events(step, "LossReserved", c) if _stage(step, k).stage == holder]
    if made:
        ((k, amount),) = made
        slot = _stage(step, k)
        capped = slot.cap_bps != BASIS_POINTS or bool(slot.capped)
        expected = amount, k + 1, step.model.timestamp, capped
        if (new.amount, new.place, new.since, bool(new.capped)) != expected:
            raise Violation(f"stage {k} reserves {amount} of type {c}, and {new} is kept")
        return
    paid = sum(amount for k, amount in _events(step, "LossCovered", c) if k + 1 == old.place)
    released = sum(amount for k, amount in _events(step, "ReservationReleased", c) if k + 1 == old.place)
    if new != old._replace(amount=old.amount - paid - released):
        raise Violation(f"of {old} of type {c} {paid} was paid and {released} given up, {new} is left")
    if released and (new.amount or not step.after(_WATERFALL, "losses", c).gave_up >> (old.place - 1) & 1):
        raise Violation(f"{released} of type {c} is given up, {new} is kept")


def _stage(step: Transition, k: int) -> Any:
    return step.before(_WATERFALL, "stages", k)


def _check_missed(step: Transition, c: int, failed: list[int]) -> None:
    """Check that each stage that failed comes to owe what those after it pay, as far as it had it."""
    order = step.before(_WATERFALL, "lineup").ids
    owing = [k for k in failed if _stage(step, k).owes and stages.stage_of(step, k).KIND == "Pool"]
    if step.before(_WATERFALL, "books").settlement or len(owing) != len(
        [k for k in failed if _stage(step, k).owes]
    ):
        return
    paid: dict[int, int] = {}
    for k, amount in _events(step, "LossCovered", c):
        paid[k] = paid.get(k, 0) + amount
    holders = {_stage(step, k).stage for k in range(step.before(_WATERFALL, "lineup").known)}
    held = sum(step.before(_WATERFALL, "reservations", (c, each)).amount for each in holders)
    due = step.before(_ENGINE, "ledger.deficit", c) - held
    left = sum(amount for k, amount in paid.items() if order.index(k) > order.index(owing[0])) if owing else 0
    for k in owing:
        pool = stages.stage_of(step, k).label
        if step.before(pool, "token.state").generation != step.after(pool, "token.state").generation:
            return  # all its shares became void in this call
        place = order.index(k)
        still = due - sum(amount for j, amount in paid.items() if order.index(j) <= place)
        behind = sum(amount for j, amount in paid.items() if order.index(j) > place)
        owed = step.before(_WATERFALL, "owed", k)
        capacity = stages.capacity(step, k, c)
        more = owed + paid.get(k, 0)
        # What it owes counts as paid: of its share, and against its cap.
        free = stages.room(step, k, c, max(0, capacity - owed) + more, more)
        short = min(max(0, still), max(0, capacity - owed))
        if free != stages.NO_CAP:
            short = min(short, max(0, free) // RAY * RAY)
        part = min(short, left, behind)
        left -= part
        found = step.after(_WATERFALL, "missed", (k, c)) - step.before(_WATERFALL, "missed", (k, c))
        if found != part:
            raise Violation(
                f"stage {k} misses {found} of type {c}, later ones pay {behind} for {short} that it had"
            )


def _check_made_good(step: Transition, c: int, k: int) -> None:
    """Check that a stage pays all that it missed, holds and may pay, and owes the rest unless it is empty."""
    missed, capacity = step.before(_WATERFALL, "missed", (k, c)), stages.capacity(step, k, c)
    free = stages.room(step, k, c, capacity)
    amount = min(missed, capacity)
    if free != stages.NO_CAP:
        amount = min(amount, max(0, free) // RAY * RAY)
    left = 0 if amount == capacity else missed - amount
    found = step.outcome.value, step.after(_WATERFALL, "missed", (k, c))
    owed = step.before(_WATERFALL, "owed", k) - step.after(_WATERFALL, "owed", k)
    if found != (amount, left) or owed != missed - left:
        raise Violation(f"stage {k} makes {found} good of {missed}, not {amount, left}; {owed} less is owed")
    reserve = step.after(_ENGINE, "ledger.system").reserve - step.before(_ENGINE, "ledger.system").reserve
    if reserve < amount:
        raise Violation(f"stage {k} makes {amount} good, and the reserve has {reserve} more")
