"""The property of facilitators: debt and loss of a bridge stay within its line and in its own vault."""

from __future__ import annotations

from backstop.lockstep.step_transition import Changes, Transition
from backstop.model.arithmetic import RAY, WAD
from backstop.model.bridge_facilitator import BridgeFacilitator
from backstop.model.interfaces import Announcement
from backstop.model.roles import GUARDIAN, MINTER, SHORTFALL
from backstop.proof.properties.coin_adapter_claims import list_facilitator_calls
from backstop.proof.properties.property_registry import PropertyViolationError, transition_property

_TOUCHED = ("vaults", "announced", "lost")
# Calls that mark an announced loss anew.
_TELLING = ("announce_loss", "repay", "sync_note")


@transition_property(24, writes=_TOUCHED)
def facilitator_loss_stays_within_its_line(step: Transition, changes: Changes) -> None:
    """Check that a bridge's debt and losses stay within its credit line (property 24).

    Only an account with the MINTER role raises the debt. The facilitator's own vault is the only vault of its
    collateral type. A loss is booked after its delay. It equals the announced amount, or the whole debt if
    that is less, and touches no other vault. A loss that the margin market posts is drawn and booked in one
    call. An announced loss is flagged as debt in doubt in the same call. Raises PropertyViolationError
    otherwise.
    """
    if changes.keys().isdisjoint(_TOUCHED):
        return
    for facilitator in step.model.world.contracts.values():
        if isinstance(facilitator, BridgeFacilitator):
            _check_facilitator_debt_and_loss(step, changes, facilitator)


def _check_facilitator_debt_and_loss(
    step: Transition, changes: Changes, facilitator: BridgeFacilitator
) -> None:
    name, c, vault = (
        facilitator.label,
        facilitator.collateral_type,
        (facilitator.collateral_type, facilitator.address),
    )
    (caller, calls), now = list_facilitator_calls(step, name), step.model.timestamp
    strangers = [key for _, key, *_ in changes.get("vaults", ()) if key[0] == c and key != vault]
    if strangers:
        raise PropertyViolationError(f"{name}: there are other vaults in its type: {strangers}")
    rate = step.read_post_state("VaultEngine", "ledger.debts", c).accumulated_rate
    owed_before = step.read_pre_state("VaultEngine", "vaults", vault).normalized_debt * rate
    owed = step.read_post_state("VaultEngine", "vaults", vault).normalized_debt * rate
    lost = step.read_post_state(name, "lost") - step.read_pre_state(name, "lost")
    told: Announcement = step.read_pre_state(name, "announced")
    tells: Announcement = step.read_post_state(name, "announced")
    if owed > owed_before:
        line = step.read_post_state("VaultEngine", "terms.of_types", c).debt_ceiling * WAD * RAY
        if "draw" not in calls or not _has_role(step, name, MINTER, caller) or told.amount:
            raise PropertyViolationError(f"{caller} drew from {name} by {step.action.method}")
        if owed + step.read_post_state(name, "lost") * RAY > line:
            raise PropertyViolationError(f"{name} owes {owed} rad of a line of {line}")
    if lost > 0 and _has_margin_fund_posted_shortfall(step, name):
        line = step.read_post_state("VaultEngine", "terms.of_types", c).debt_ceiling * WAD * RAY
        others = [key for _, key, *_ in changes.get("vaults", ()) if key != vault]
        if owed != owed_before or others or owed + step.read_post_state(name, "lost") * RAY > line:
            raise PropertyViolationError(
                f"{name} lost {lost} at once of a line of {line}, owes {owed}; {others} changed"
            )
    elif lost > 0:
        due = "realise_loss" in calls and told.amount
        gone = owed_before - owed
        exact = -(-gone // RAY) == lost and gone == min(told.amount * RAY // rate * rate, owed_before)
        others = [key for _, key, *_ in changes.get("vaults", ()) if key != vault]
        if not due or now < told.ready_at or not exact or others:
            raise PropertyViolationError(
                f"{name} lost {lost} of {told}, its debt fell by {gone}; {others} changed"
            )
    if lost < 0 and "recover" not in calls:
        raise PropertyViolationError(f"{name} forgot {-lost} of what it lost by {step.action.method}")
    if tells != told:
        admin = caller == step.read_pre_state(name, "roles.admin")
        booked = "realise_loss" in calls and told.amount and now >= told.ready_at
        raised = _has_role(step, name, GUARDIAN, caller) and tells.amount > told.amount
        fresh = tells == Announcement() or tells.ready_at == now + facilitator.delay
        if not (admin or raised or booked) or not fresh:
            raise PropertyViolationError(f"{caller} made {tells} of {told} at {name}")
    if any(method in _TELLING for method in calls) and tells.amount:
        locked = step.read_post_state("VaultEngine", "vaults", vault).locked_collateral
        flag = step.read_post_state("LiquidationEngine", "vault_flags.of_vaults", vault) * rate
        least = min(tells.amount * RAY, owed)
        # Of nothing that is owed nothing is in doubt; a price of a unit is the lowest.
        if not max(0, least - locked) <= flag < least + max(locked, 1) + rate:
            raise PropertyViolationError(
                f"{name}: {flag} rad are flagged of {tells.amount} wei announced, {owed} owed"
            )


def _has_margin_fund_posted_shortfall(step: Transition, facilitator: str) -> bool:
    """Return whether the margin market's fund booked a loss at this facilitator in the step."""
    contract = "MarginFund"
    if not any((log.contract, log.event) == (contract, "ShortfallPosted") for log in step.outcome.logs):
        return False
    poster = step.model.world.contracts[contract].address
    return bool(step.read_pre_state(facilitator, "roles.access_control.hasRole", (SHORTFALL, poster)))


def _has_role(step: Transition, contract: str, role: bytes, account: str) -> bool:
    return bool(step.read_pre_state(contract, "roles.access_control.hasRole", (role, account)))
