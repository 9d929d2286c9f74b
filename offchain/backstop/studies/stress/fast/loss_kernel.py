"""Losses, from their recognition until a stage has paid for them."""

from __future__ import annotations

from numba import njit

from backstop.studies.stress.fast.kernel_tables import BUFFER, EMPTY, POOL, REDISTRIBUTION, RESERVE, Table

LEAST_COVER = 1_000.0
"""Least payment of a cover call before its heartbeat, the same as the keepers' own."""

DUST = 1e-12
"""Deficit that redistribution always leaves, as it raises a rate that is rounded down."""


@njit(cache=True)
def charge_fees(terms: Table, kind: Table, system: Table, now: float) -> None:
    """Move the type's uncharged stability fees to its buffer (by its share) and to the reserve."""
    kind.buffer += kind.fees * terms.buffer_share
    system.reserve += kind.fees * (1 - terms.buffer_share)
    kind.fees, kind.accrued_at = 0.0, now


@njit(cache=True)
def add_loss_to_deficit(kind: Table, system: Table, amount: float, now: float) -> None:
    """Add a loss of `amount` to the type's deficit and to its bad debt."""
    kind.deficit += amount
    kind.bad_debt += amount
    if system.first_loss_at < 0:
        system.first_loss_at = now
    system.covered_at = -1.0


@njit(cache=True)
def pay_reward_or_recognise_loss(kind: Table, system: Table, reward: float, now: float) -> None:
    """Pay a keeper's reward out of the reserve, and recognise the missing amount as a loss."""
    paid = min(system.reserve, reward)
    system.reserve -= paid
    system.supply += reward
    if reward > paid:
        add_loss_to_deficit(kind, system, reward - paid, now)


@njit(cache=True)
def _read_capacity(terms: Table, kind: Table, system: Table, stage: Table) -> float:
    """Return the assets with which a stage can pay a loss of this type, before caps [stablecoins]."""
    if stage.kind == BUFFER:
        return kind.buffer
    if stage.kind == RESERVE:
        return system.reserve
    if stage.kind == POOL:
        return stage.assets
    if stage.kind == REDISTRIBUTION:
        used = kind.added + kind.added_before
        return max(0.0, (kind.rate - used) * terms.redistribution - used) * kind.art
    return 0.0


@njit(cache=True)
def _compute_allowance(terms: Table, kind: Table, system: Table, stage: Table, event: Table) -> float:
    """Return how much a stage may still pay for this type under its caps [stablecoins].

    Caps count payments of this epoch and the last. For the reserve and the pools they count all types.
    """
    capacity = _read_capacity(terms, kind, system, stage)
    used = stage.now + stage.before if _has_shared_balance(stage) else event.now + event.before
    cap = stage.cap
    if stage.share < 1:
        cap = min(cap, (capacity + used) * stage.share)
    return min(capacity, max(0.0, cap - used))


@njit(cache=True)
def _has_shared_balance(stage: Table) -> bool:
    """Return whether a stage has one balance and one cap for all types (the reserve and the pools)."""
    return stage.kind == RESERVE or stage.kind == POOL


@njit(cache=True)
def turn_epoch(setting: Table, kind: Table, stages: Table, events: Table, now: float) -> None:
    """Start new payment counts of the type and the stages if a new epoch has begun.

    Payments of the last epoch still count under the caps; older payments do not.
    """
    epoch = int(setting.start + now) // setting.epoch
    if kind.epoch != epoch:
        for k in range(len(events)):
            events[k].before = events[k].now if kind.epoch == epoch - 1 else 0.0
            events[k].now = 0.0
        kind.added_before = kind.added if kind.epoch == epoch - 1 else 0.0
        kind.epoch = epoch
        kind.added = 0.0
    for k in range(len(stages)):
        if stages[k].epoch != epoch:
            stages[k].before = stages[k].now if stages[k].epoch == epoch - 1 else 0.0
            stages[k].now = 0.0
            stages[k].epoch = epoch


@njit(cache=True)
def compute_buffer_and_reserve_payment(
    terms: Table, kind: Table, system: Table, stages: Table, events: Table
) -> float:
    """Return how much the buffer and the reserve can pay for this type's losses now [stablecoins]."""
    total = 0.0
    for k in range(len(stages)):
        if stages[k].kind == BUFFER or stages[k].kind == RESERVE:
            total += _compute_allowance(terms, kind, system, stages[k], events[k])
    return total


@njit(cache=True)
def pay_deficit_from_stages(
    terms: Table, kind: Table, system: Table, stages: Table, events: Table, now: float
) -> None:
    """Pay the type's deficit from the stages, in the order of the waterfall, up to their caps."""
    for k in range(len(stages)):
        stage, event = stages[k], events[k]
        amount = min(kind.deficit, _compute_allowance(terms, kind, system, stage, event))
        if amount <= 0.0 or stage.kind == EMPTY:
            continue
        if stage.kind == BUFFER:
            kind.buffer -= amount
        elif stage.kind == RESERVE:
            system.reserve -= amount
        elif stage.kind == POOL:
            stage.assets -= amount
            system.supply -= amount
        else:
            charge_fees(terms, kind, system, now)
            kind.added += amount / kind.art
            kind.rate += amount / kind.art
        event.now += amount
        stage.now += amount
        stage.covered += amount
        kind.deficit = max(DUST if stage.kind == REDISTRIBUTION else 0.0, kind.deficit - amount)
