"""Properties of fees and debt, of one successful step: the charge for time, rounding, and collateral."""

from __future__ import annotations

from backstop.lockstep.step_transition import Changes, Transition
from backstop.proof.properties.independent_arithmetic import property_arithmetic as own
from backstop.proof.properties.independent_arithmetic.property_arithmetic import BASIS_POINTS, RAY
from backstop.proof.properties.property_registry import PropertyViolationError, transition_property

# What the fields of a type's debt can hold: its rate, its debt [rad].
_MOST_RATE, _MOST_DEBT = 2**104 - 1, 2**181 - 1


@transition_property(35, writes=["ledger.income", "ledger.debts"])
def rate_grows_by_compounded_fee(step: Transition, changes: Changes) -> None:
    """Check that a type's accumulated rate grows by its compounded stability fee (property 35).

    The fee counts for the whole time since the last accrual. Growth by redistributed losses is left out. When
    `accrue` is called, the buffer gets its share of the fee, rounded down, and the reserve gets the rest.
    Raises PropertyViolationError otherwise.
    """
    for contract, c, old, new in changes.get("ledger.income", ()):
        charged = step.read_post_state(contract, "ledger.debts", c).accrued_at
        since = step.read_pre_state(contract, "ledger.debts", c).accrued_at
        if old.stability_fee != new.stability_fee and charged != step.model.timestamp and since:
            raise PropertyViolationError(
                f"type {c}: a new fee counts from {charged}, not {step.model.timestamp}"
            )
    for contract, c, old, new in changes.get("ledger.debts", ()):
        if not old.accumulated_rate or step.is_call("Settlement", "begin"):
            continue
        income = step.read_pre_state(contract, "ledger.income", c)
        passed = new.accrued_at - old.accrued_at
        if passed and new.accrued_at != step.model.timestamp:
            raise PropertyViolationError(
                f"type {c} is charged up to {new.accrued_at} at {step.model.timestamp}"
            )
        exact, off = old.accumulated_rate, 0
        if income.stability_fee and passed:
            exact, off = own.compound_amount_with_tolerance(exact, RAY + income.stability_fee, passed)
        rate = new.accumulated_rate - compute_rate_increase_by_losses(step, contract, c)
        most = min(_MOST_RATE, _MOST_DEBT // old.normalized_debt if old.normalized_debt else _MOST_RATE)
        if abs(rate - min(exact, max(most, old.accumulated_rate))) > off:
            raise PropertyViolationError(
                f"type {c}: {old} became {new} in {passed} s at {income.stability_fee}"
            )
        if step.is_call("VaultEngine", "accrue"):
            earned = old.normalized_debt * (new.accumulated_rate - old.accumulated_rate)
            to_buffer = earned * old.buffer_share // BASIS_POINTS
            got = (
                step.read_post_state(contract, "ledger.income", c).buffer - income.buffer,
                step.read_post_state(contract, "ledger.system").reserve
                - step.read_pre_state(contract, "ledger.system").reserve,
            )
            if got != (to_buffer, earned - to_buffer):
                raise PropertyViolationError(
                    f"type {c}: of a fee of {earned}, {got} went to buffer and reserve"
                )


@transition_property(72, writes=["ledger.debts"])
def debt_change_charges_all_elapsed_time(step: Transition, changes: Changes) -> None:
    """Check that a call that changes a type's debt charges the fee up to now (property 72).

    Raises PropertyViolationError otherwise.
    """
    for _, c, old, new in changes.get("ledger.debts", ()):
        touched = new.accrued_at != old.accrued_at or new.normalized_debt > old.normalized_debt
        late = new.accrued_at != step.model.timestamp
        if (
            old.accumulated_rate
            and touched
            and late
            and step.read_pre_state("VaultEngine", "ledger.income", c).stability_fee
        ):
            raise PropertyViolationError(
                f"type {c} is charged up to {new.accrued_at}, not {step.model.timestamp}"
            )


@transition_property(36, calls=["VaultEngine.deposit_and_draw", "VaultEngine.repay_and_withdraw"])
def debt_rounds_against_borrower(step: Transition, changes: Changes) -> None:
    """Check that draws and repayments are rounded against the borrower (property 36).

    A draw adds at least its amount to the debt, and a repayment takes off at most its amount. The difference
    is less than one unit of normalized debt, with recently redistributed losses. Collateral moves by the
    requested amount in whole units of its token. Raises PropertyViolationError otherwise.
    """
    if step.action.contract != "VaultEngine" or not changes.get("vaults"):
        return
    if step.action.method not in ("deposit_and_draw", "repay_and_withdraw"):
        return
    c, owner, first, second, _ = step.action.args
    ((_, key, old, new),) = changes["vaults"]
    if key != (c, owner):
        raise PropertyViolationError(f"{step.action.method} for {c, owner} changed {key}")
    rate = step.read_post_state("VaultEngine", "ledger.debts", c).accumulated_rate
    unit = 10 ** (18 - step.read_post_state("VaultEngine", "terms.of_types", c).decimals)
    minted = sum(each.new - each.old for each in changes.get("erc20.totalSupply", ()))
    more = new.normalized_debt - old.normalized_debt
    if step.action.method == "deposit_and_draw":
        moved, drawn = first // unit * unit, second
        borne = step.read_pre_state("VaultEngine", "ledger.redistributions", c)
        length = step.get_contract("LossWaterfall").epoch_length
        least = rate - own.compute_recent_losses(borne, step.model.timestamp, length)
        fair = minted == drawn and more * rate >= drawn * RAY
        near = (more - 1) * least < drawn * RAY if drawn else not more
    else:
        moved = -(second // unit * unit)
        fair = -minted <= first and (-more * rate <= -minted * RAY or not new.normalized_debt)
        whole = -(-old.normalized_debt * rate // RAY)
        near = -minted == whole if not new.normalized_debt else -minted * RAY < (1 - more) * rate
    if not fair or not near:
        raise PropertyViolationError(
            f"{step.action.method} of {first}, {second}: {old} became {new}, supply by {minted}"
        )
    if new.locked_collateral - old.locked_collateral != moved:
        raise PropertyViolationError(
            f"{step.action.method} of {first}, {second}: {old} became {new}, not by {moved}"
        )


def compute_rate_increase_by_losses(step: Transition, contract: str, collateral_type: int) -> int:
    """Return the increase of a type's accumulated rate by redistributed losses in this step [ray]."""
    old = step.read_pre_state(contract, "ledger.redistributions", collateral_type)
    new = step.read_post_state(contract, "ledger.redistributions", collateral_type)
    return int(new.added - (old.added if step.model.timestamp < old.ends else 0)) if new != old else 0
