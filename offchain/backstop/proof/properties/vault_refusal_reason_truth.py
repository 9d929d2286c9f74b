"""Property of refusals: the reason is true. A rule that refuses too much changes nothing that others see."""

from __future__ import annotations

from backstop.lockstep.step_transition import Transition
from backstop.proof.properties.independent_arithmetic import policy_margin_and_margin_call_terms
from backstop.proof.properties.independent_arithmetic import property_arithmetic as own
from backstop.proof.properties.independent_arithmetic.property_arithmetic import RAY
from backstop.proof.properties.property_registry import PropertyViolationError, refusal_property
from backstop.proof.properties.risk_margins import (
    compute_growth_capped_risk_price,
    compute_required_margin,
    has_initial_policy,
)
from backstop.proof.properties.vault_liquidation_and_safety import is_vault_covered

_ENGINE, _LIQUIDATIONS = "VaultEngine", "LiquidationEngine"
_DRAW, _WITHDRAW = "deposit_and_draw", "repay_and_withdraw"
_CALLS = (
    f"{_LIQUIDATIONS}.liquidate",
    f"{_LIQUIDATIONS}.liquidate_and_buy",
    f"{_LIQUIDATIONS}.call",
    f"{_ENGINE}.{_DRAW}",
    f"{_ENGINE}.{_WITHDRAW}",
)


@refusal_property(194, calls=_CALLS)
def vault_revert_reasons_are_true(step: Transition) -> None:
    """Check that the reason is true for which a vault's call was refused (property 194).

    A vault refused as safe must be safe, and a vault refused as unsafe must lack margin. A vault refused as
    meeting its margin call must meet that call. Uncharged fees are rounded in favour of the refusal. Raises
    PropertyViolationError otherwise.
    """
    reason, (c, owner) = step.outcome.reason, step.action.args[:2]
    vault = step.read_post_state(_ENGINE, "vaults", (c, owner))
    ratios = step.read_post_state(_ENGINE, "terms.of_types", c)
    if reason == "liquidation_engine: safe vault":
        if not is_vault_covered(step, c, vault, ratios.liquidation_ratio):
            raise PropertyViolationError(f"vault {c, owner} is refused as safe: {vault}")
    elif reason == "liquidation_engine: margin met":
        ratio = policy_margin_and_margin_call_terms.read_call_terms(step, c).ratio
        if ratio and not is_vault_covered(step, c, vault, ratio):
            raise PropertyViolationError(f"vault {c, owner} is refused as meeting its call: {vault}")
    elif reason == "risk_policy: unsafe" and has_initial_policy(step):
        _check_refused_vault_lacks_margin(step)


def _check_refused_vault_lacks_margin(step: Transition) -> None:
    """Raise PropertyViolationError if a refused draw or withdrawal would have met its margin.

    Withdrawals that also repay debt are not checked.
    """
    c, owner, first, second, _ = step.action.args
    draws = step.action.method == _DRAW
    vault, debts = (
        step.read_post_state(_ENGINE, "vaults", (c, owner)),
        step.read_post_state(_ENGINE, "ledger.debts", c),
    )
    fee = step.read_post_state(_ENGINE, "ledger.income", c).stability_fee
    exact, off = own.compound_amount_with_tolerance(
        debts.accumulated_rate, RAY + fee, step.model.timestamp - debts.accrued_at
    )
    rate = exact + off
    unit = 10 ** (18 - step.read_post_state(_ENGINE, "terms.of_types", c).decimals)
    locked, drawn = vault.locked_collateral, 0
    if draws:
        borne = step.read_post_state(_ENGINE, "ledger.redistributions", c)
        added = own.compute_recent_losses(
            borne, step.model.timestamp, step.get_contract("LossWaterfall").epoch_length
        )
        locked, drawn = locked + first // unit * unit, 1 - -second * RAY // (debts.accumulated_rate - added)
    else:
        # What is repaid in the same call is left out: less of the debt would be there.
        if first:
            return
        locked -= second // unit * unit
    debt = (vault.normalized_debt + drawn) * rate
    worth = locked * compute_growth_capped_risk_price(step, c) * own.BASIS_POINTS
    needed = compute_required_margin(step, c, debt, (debts.normalized_debt + drawn) * rate)
    if worth >= needed:
        raise PropertyViolationError(f"vault {c, owner} is refused as unsafe: {worth} for {needed} at most")
