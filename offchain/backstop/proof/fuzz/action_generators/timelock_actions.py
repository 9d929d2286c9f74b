"""A timelock beside the admin that may set ceilings: its proposals, and its immediate calls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from backstop.evm_crypto import keccak256
from backstop.model import bounds
from backstop.model.erc20 import encode_words
from backstop.model.timelock import MAX_OPEN, SET_GUARDIAN, Call, Timelock, hash_proposal
from backstop.proof.fuzz.generation_context import GenerationContext, Wait
from backstop.proof.fuzz.generator_registry import register_generator
from backstop.proof.fuzz.initial_actions import SET_CEILING, TIMELOCK
from backstop.system import Action

_SET_GOVERNOR = keccak256(b"set_governor(address)")[:4]
_SET_DELAY = keccak256(b"set_delay(address,bytes4,uint256)")[:4]


def _get_timelock(context: GenerationContext) -> Timelock:
    return cast(Timelock, context.world.contracts[TIMELOCK])


def _draw_call(context: GenerationContext, lock: Timelock) -> Call:
    """Draw a call to propose: mostly a debt ceiling (an hour's delay), or a setting of the timelock.

    A few calls fail or are refused.
    """
    if context.draw_bool(0.6):
        c = context.draw_type() if context.draw_bool(0.95) else context.listed
        ceiling = context.pick_item(
            (context.get_terms(context.draw_type()).debt_ceiling + 1, 10**7, bounds.MAX_DEBT_CEILING)
        )
        if context.draw_bool(0.05):
            ceiling = bounds.MAX_DEBT_CEILING + 1
        return context.engine.address, SET_CEILING + encode_words(c, ceiling)
    if context.draw_bool(0.3):
        # The guardian's successor is its own again, so that its acts go on.
        return lock.address, SET_GUARDIAN + encode_words(
            context.pick_item((context.guardian, context.guardian, context.pick_account()))
        )
    if context.draw_bool(0.4):
        return lock.address, _SET_GOVERNOR + encode_words(
            context.pick_item((context.admin, context.admin, context.pick_account()))
        )
    if context.draw_bool(0.7):
        delay = context.pick_item((0, bounds.MIN_DELAY, bounds.MIN_DELAY - 1, lock.longest, lock.longest + 1))
        of = context.pick_item((context.engine.address, context.engine.address, lock.address))
        return lock.address, _SET_DELAY + encode_words(of, SET_CEILING.ljust(32, b"\0"), delay)
    return context.pick_item(
        (
            (context.stablecoin.address, SET_CEILING),
            (context.pick_account(), b"\0" * 4),
            (lock.address, b"\1"),
        )
    )


def _list_open_proposals(context: GenerationContext, lock: Timelock) -> list[bytes]:
    """Return the ids of open proposals with calls that the run knows, also of expired ones."""
    return [
        proposal_id
        for proposal_id in map(lock.places.__getitem__, range(MAX_OPEN))
        if proposal_id in context.announced
    ]


@register_generator(weight=0.8)
def propose_change(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a proposal of one or two calls to the timelock, at times a duplicate of an earlier one."""
    lock = _get_timelock(context)
    calls = tuple(_draw_call(context, lock) for _ in range(context.pick_item((1, 1, 1, 2))))
    salt = bytes(31) + bytes([context.random.randrange(4)])
    if context.announced and context.draw_bool(0.1):
        calls, salt = context.pick_item(list(context.announced.values()))
    context.announced = {
        proposal_id: context.announced[proposal_id] for proposal_id in _list_open_proposals(context, lock)
    } | {hash_proposal(calls, salt): (calls, salt)}
    by = (
        lock.governors[()]
        if context.draw_bool(0.95)
        else context.pick_item((context.guardian, context.pick_account()))
    )
    yield context.build_action(TIMELOCK, "propose", calls, salt, by=by)


@register_generator(weight=0.8)
def execute_change(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield the execution of a timelock proposal, often at the first or last second of its window.

    At times it is one second too early or too late.
    """
    lock = _get_timelock(context)
    found = _list_open_proposals(context, lock)
    if not found:
        return
    in_time = [
        proposal_id
        for proposal_id in found
        if context.now <= lock.proposals[proposal_id].ready_at + lock.window
    ]
    proposal_id = context.pick_item(in_time if in_time and context.draw_bool(0.95) else found)
    first = lock.proposals[proposal_id].ready_at
    last = first + lock.window
    if context.draw_bool(0.8 if first - context.now <= bounds.MIN_DELAY else 0.15):
        at = (
            context.pick_item((last, last + 1))
            if context.draw_bool(0.03)
            else context.pick_item((first, first, first, first - 1))
        )
        yield Wait(max(0, at - context.now))
    yield context.build_action(
        TIMELOCK, "execute", *context.announced[proposal_id], by=context.pick_account()
    )


@register_generator(weight=0.5)
def cancel_change(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield the cancellation of a timelock proposal, by governor, guardian or another account."""
    lock = _get_timelock(context)
    found = _list_open_proposals(context, lock)
    if found:
        proposal_id = context.pick_item(found) if context.draw_bool(0.95) else bytes(31) + b"\1"
        by = context.pick_item(
            (lock.governors[()], lock.guardians[()], lock.guardians[()], context.pick_account())
        )
        yield context.build_action(TIMELOCK, "cancel", proposal_id, by=by)


@register_generator(weight=0.5)
def forbid_new_risk(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield the guardian's immediate call that lowers a debt ceiling, or one that tries to raise it.

    At times it tries to halt all draws.
    """
    lock = _get_timelock(context)
    c = context.draw_type()
    present = context.get_terms(c).debt_ceiling
    by = (
        lock.guardians[()]
        if context.draw_bool(0.8)
        else context.pick_item((lock.governors[()], context.pick_account()))
    )
    if context.draw_bool(0.1):
        yield context.build_action(TIMELOCK, "halt_draws", by=by)
        return
    lower = present - 1 - int(context.draw_part(max(present // 20, 1)))
    ceiling = max(0, lower) if context.draw_bool(0.9) else context.pick_item((present, present + 1, 0))
    yield context.build_action(TIMELOCK, "lower_ceiling", c, ceiling, by=by)
