"""Property of the waterfall's records: reservations and their clocks, open books, and missed shares."""

from __future__ import annotations

from typing import Any

from backstop.lockstep.step_transition import Changes, Transition
from backstop.proof.properties import stage_payment_order
from backstop.proof.properties.independent_arithmetic.property_arithmetic import BASIS_POINTS, RAY
from backstop.proof.properties.property_registry import PropertyViolationError, transition_property

_WATERFALL, _ENGINE = "LossWaterfall", "VaultEngine"


@transition_property(
    207, writes=["losses", "books", "reservations", "missed"], events=[f"{_WATERFALL}.StageFailed"]
)
def loss_records_follow_events(step: Transition, changes: Changes) -> None:
    """Check that the waterfall's loss records change as its events report (property 207).

    A reservation keeps its stage and time, and shrinks by payments and releases. A failed stage owes what
    later stages paid in its place, up to the amount that it held. A type's books are open while it has an
    unresolved loss. Raises PropertyViolationError otherwise.
    """
    if step.get_contract(_WATERFALL).KIND != _WATERFALL:
        return  # one to compare with keeps other records
    books = step.read_post_state(_WATERFALL, "books")
    for contract, c, _, loss in changes.get("losses", ()):
        is_open = bool(books.open >> c & 1)
        if contract == _WATERFALL and is_open != bool(loss.unresolved) and books.settlement != 2:
            raise PropertyViolationError(
                f"type {c} has {loss.unresolved} unresolved, its books are open: {is_open}"
            )
    for contract, key, old, new in changes.get("reservations", ()):
        if contract == _WATERFALL:
            _check_reservation_follows_events(step, key, old, new)
    failed = [
        log.values for log in step.outcome.logs if (log.contract, log.event) == (_WATERFALL, "StageFailed")
    ]
    if failed and step.is_call(_WATERFALL, "cover"):
        _check_missed_shares(step, step.action.args[0], [k for _, _, k in failed])
    if step.is_call(_WATERFALL, "repay_missed_share"):
        _check_missed_share_payment(step, *step.action.args)


def _list_stage_amounts(step: Transition, event_name: str, collateral_type: int) -> list[tuple[int, int]]:
    """Return (stage id, amount [rad]) of each waterfall event of this name and collateral type."""
    found = [log.values for log in step.outcome.logs if (log.contract, log.event) == (_WATERFALL, event_name)]
    return [(each[2], each[3]) for each in found if each[0] == collateral_type]


def _check_reservation_follows_events(
    step: Transition, type_and_stage: tuple[int, str], old: Any, new: Any
) -> None:
    c, holder = type_and_stage
    made = [
        (k, amount)
        for k, amount in _list_stage_amounts(step, "LossReserved", c)
        if _read_stage(step, k).stage == holder
    ]
    if made:
        ((k, amount),) = made
        slot = _read_stage(step, k)
        capped = slot.cap_bps != BASIS_POINTS or bool(slot.capped)
        expected = amount, k + 1, step.model.timestamp, capped
        if (new.amount, new.place, new.since, bool(new.capped)) != expected:
            raise PropertyViolationError(f"stage {k} reserves {amount} of type {c}, and {new} is kept")
        return
    paid = sum(amount for k, amount in _list_stage_amounts(step, "LossCovered", c) if k + 1 == old.place)
    released = sum(
        amount for k, amount in _list_stage_amounts(step, "ReservationReleased", c) if k + 1 == old.place
    )
    if new != old._replace(amount=old.amount - paid - released):
        raise PropertyViolationError(
            f"of {old} of type {c} {paid} was paid and {released} given up, {new} is left"
        )
    if released and (
        new.amount or not step.read_post_state(_WATERFALL, "losses", c).gave_up >> (old.place - 1) & 1
    ):
        raise PropertyViolationError(f"{released} of type {c} is given up, {new} is kept")


def _read_stage(step: Transition, stage_id: int) -> Any:
    return step.read_pre_state(_WATERFALL, "stages", stage_id)


def _check_missed_shares(step: Transition, collateral_type: int, failed: list[int]) -> None:
    """Check that each failed stage owes what later stages paid in its place.

    The amount is capped at the stage's own funds and cap. Raises PropertyViolationError otherwise.
    """
    order = step.read_pre_state(_WATERFALL, "lineup").ids
    owing = [
        k
        for k in failed
        if _read_stage(step, k).owes and stage_payment_order.get_stage_contract_model(step, k).KIND == "Pool"
    ]
    if step.read_pre_state(_WATERFALL, "books").settlement or len(owing) != len(
        [k for k in failed if _read_stage(step, k).owes]
    ):
        return
    paid: dict[int, int] = {}
    for k, amount in _list_stage_amounts(step, "LossCovered", collateral_type):
        paid[k] = paid.get(k, 0) + amount
    holders = {_read_stage(step, k).stage for k in range(step.read_pre_state(_WATERFALL, "lineup").known)}
    held = sum(
        step.read_pre_state(_WATERFALL, "reservations", (collateral_type, each)).amount for each in holders
    )
    due = step.read_pre_state(_ENGINE, "ledger.deficit", collateral_type) - held
    left = sum(amount for k, amount in paid.items() if order.index(k) > order.index(owing[0])) if owing else 0
    for k in owing:
        pool = stage_payment_order.get_stage_contract_model(step, k).label
        if (
            step.read_pre_state(pool, "token.state").generation
            != step.read_post_state(pool, "token.state").generation
        ):
            return  # all its shares became void in this call
        place = order.index(k)
        still = due - sum(amount for j, amount in paid.items() if order.index(j) <= place)
        behind = sum(amount for j, amount in paid.items() if order.index(j) > place)
        owed = step.read_pre_state(_WATERFALL, "owed", k)
        capacity = stage_payment_order.compute_capacity(step, k, collateral_type)
        more = owed + paid.get(k, 0)
        # What it owes counts as paid: of its share, and against its cap.
        free = stage_payment_order.compute_cap_room(
            step, k, collateral_type, max(0, capacity - owed) + more, more
        )
        short = min(max(0, still), max(0, capacity - owed))
        if free != stage_payment_order.NO_CAP:
            short = min(short, max(0, free) // RAY * RAY)
        part = min(short, left, behind)
        left -= part
        found = step.read_post_state(_WATERFALL, "missed", (k, collateral_type)) - step.read_pre_state(
            _WATERFALL, "missed", (k, collateral_type)
        )
        if found != part:
            raise PropertyViolationError(
                f"stage {k} misses {found} of type {collateral_type}, later ones pay {behind} for {short} "
                "that it had"
            )


def _check_missed_share_payment(step: Transition, collateral_type: int, stage_id: int) -> None:
    """Check that a stage repays all of its missed share that it holds and may pay.

    It still owes the rest, unless it is empty. Raises PropertyViolationError otherwise.
    """
    missed, capacity = (
        step.read_pre_state(_WATERFALL, "missed", (stage_id, collateral_type)),
        stage_payment_order.compute_capacity(step, stage_id, collateral_type),
    )
    free = stage_payment_order.compute_cap_room(step, stage_id, collateral_type, capacity)
    amount = min(missed, capacity)
    if free != stage_payment_order.NO_CAP:
        amount = min(amount, max(0, free) // RAY * RAY)
    left = 0 if amount == capacity else missed - amount
    found = step.outcome.value, step.read_post_state(_WATERFALL, "missed", (stage_id, collateral_type))
    owed = step.read_pre_state(_WATERFALL, "owed", stage_id) - step.read_post_state(
        _WATERFALL, "owed", stage_id
    )
    if found != (amount, left) or owed != missed - left:
        raise PropertyViolationError(
            f"stage {stage_id} makes {found} good of {missed}, not {amount, left}; {owed} less is owed"
        )
    reserve = (
        step.read_post_state(_ENGINE, "ledger.system").reserve
        - step.read_pre_state(_ENGINE, "ledger.system").reserve
    )
    if reserve < amount:
        raise PropertyViolationError(
            f"stage {stage_id} makes {amount} good, and the reserve has {reserve} more"
        )
