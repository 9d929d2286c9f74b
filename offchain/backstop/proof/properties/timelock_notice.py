"""Property of a timelock: its effects were announced, and its immediate calls only forbid new risk."""

from __future__ import annotations

from typing import Any

from backstop.evm_crypto import keccak256
from backstop.lockstep.step_transition import Changes, Transition
from backstop.proof.properties.property_registry import PropertyViolationError, transition_property

_AT_ONCE = ("lower_ceiling", "halt_draws")
_BY_ITSELF = ("execute", "accept_admin", *_AT_ONCE)


def get_timelock_or_sender(step: Transition) -> str:
    """Return the acting account of a step: the timelock if it executes calls, else the sender."""
    contract = step.get_contract(step.action.contract)
    acts = contract.KIND == "Timelock" and step.action.method in _BY_ITSELF
    return str(contract.address if acts else step.action.sender)


@transition_property(76, writes=["proposals"], calls=["*.execute", *(f"*.{method}" for method in _AT_ONCE)])
def timelock_executes_only_announced_calls(step: Transition, changes: Changes) -> None:
    """Check that a timelock executes only announced calls, within their time (property 76).

    A proposal waits for the longest delay of its calls and is executed before it expires. Only the governor
    proposes. The governor and the guardian cancel, but the guardian cannot cancel the proposal that replaces
    it. Without a proposal only debt ceilings fall. Raises PropertyViolationError otherwise.
    """
    name, method = step.action.contract, step.action.method
    timelock = step.get_contract(name)
    if timelock.KIND != "Timelock":
        return
    now, sender = step.model.timestamp, step.action.sender
    governor, guardian = step.read_pre_state(name, "governor"), step.read_pre_state(name, "guardian")
    if method in _AT_ONCE:
        _check_only_ceilings_lowered(changes, sender in (governor, guardian))
    done = [proposal_id for _, proposal_id, _, new in changes.get("proposals", ()) if new.ready_at == 0]
    if method == "execute" and _compute_proposal_id(*step.action.args) not in done:
        raise PropertyViolationError(f"{name} made calls of no proposal")
    for _, proposal_id, old, new in changes.get("proposals", ()):
        late = old.ready_at + timelock.window < now
        if method == "propose" and new.ready_at:
            fair = sender == governor and new.ready_at - now == _find_longest_delay(step, step.action.args[0])
        elif method == "propose":
            fair = late  # what has expired makes room
        elif method == "execute":
            fair = 0 < old.ready_at <= now and not late and new.ready_at == 0
        else:
            may = sender == governor or (sender == guardian and not old.governors)
            fair = method == "cancel" and may and new.ready_at == 0
        if not fair:
            raise PropertyViolationError(
                f"{sender} by {method} at {now}: proposal {proposal_id.hex()} was {old} and is {new}"
            )


def _compute_proposal_id(calls: Any, salt: bytes) -> bytes:
    """Return the proposal id of these calls and this salt, as the timelock hashes them."""
    found = keccak256(salt + len(calls).to_bytes(32, "big"))
    for target, data in calls:
        found = keccak256(found + bytes(12) + bytes.fromhex(target[2:]) + keccak256(data))
    return found


def _find_longest_delay(step: Transition, calls: Any) -> int:
    """Return the longest timelock delay that any of the calls needs [seconds]."""
    name = step.action.contract
    own = (
        step.read_pre_state(name, "delays", (target, int.from_bytes(data[:4], "big")))
        for target, data in calls
    )
    return max(delay or step.get_contract(name).longest for delay in own)


def _check_only_ceilings_lowered(changes: Changes, is_sender_allowed: bool) -> None:
    terms, system = changes.get("terms.of_types", []), changes.get("ledger.system", [])
    falls = all(
        new == old._replace(debt_ceiling=new.debt_ceiling) and new.debt_ceiling < old.debt_ceiling
        for _, _, old, new in terms
    ) and all(new == old._replace(global_debt_ceiling=0) for _, _, old, new in system)
    if not (is_sender_allowed and falls) or changes.keys() - {"terms.of_types", "ledger.system"}:
        raise PropertyViolationError(f"a ceiling was to fall, and these changed: {changes}")
