"""The fee of a type's curve for its debt, and the bound on its daily change, from tables alone."""

from __future__ import annotations

from backstop.lockstep.step_transition import Transition
from backstop.model.arithmetic import RAD, RAY, WAD
from backstop.model.bounds import FEE_MOVE, MAX_POLICY_FEE

_YEAR = 365 * 86_400


def is_permitted_fee(step: Transition, collateral_type: int, fee: int) -> bool:
    """Return whether `fee` [ray per second above RAY] is a fee that the risk policy may have set.

    It must equal the fee curve's value. A value above FEE_MOVE is limited to FEE_MOVE above the fee at the
    start of the day's increases. For a replaced policy only this daily bound is checked.
    """
    day = step.read_pre_state("VaultEngine", "terms.fee_days", collateral_type)
    began = day.fee
    if day.day != step.model.timestamp // 86_400:
        began = step.read_pre_state("VaultEngine", "ledger.income", collateral_type).stability_fee
    most = began + FEE_MOVE
    if step.read_post_state("VaultEngine", "terms.risk_policy") != step.get_contract("RiskPolicy").address:
        return fee <= min(most, MAX_POLICY_FEE)
    asked = compute_curve_fee(step, collateral_type)
    return fee == (asked if asked <= FEE_MOVE else min(most, asked))


def compute_curve_fee(step: Transition, collateral_type: int) -> int:
    """Return the fee curve's value at the debt after the step [ray per second above RAY, rounded up].

    Utilisation is the debt over the credit line [wad, rounded down]. An adaptive rate scales its kink rate
    from a quarter at no debt to four times at the full line. Other curves have a base rate and two slopes.
    The result is 0 without a curve.
    """
    terms, flow = (
        step.read_post_state("RiskPolicy", "terms", collateral_type),
        step.read_post_state("RiskPolicy", "flows", collateral_type),
    )
    if not terms.kink:
        return 0
    debts = step.read_post_state("VaultEngine", "ledger.debts", collateral_type)
    debt = debts.normalized_debt * debts.accumulated_rate
    used = min(WAD, debt * WAD // (flow.line * RAD)) if flow.line else WAD
    kink = terms.kink * WAD // 10_000
    below, above = min(used, kink), max(0, used - kink)
    if flow.speed:
        share = WAD // 4 + 3 * WAD // 4 * below // kink + 3 * WAD * above // (WAD - kink)
        return min(-(-flow.rate_at_kink * share // WAD), MAX_POLICY_FEE)
    rate = (
        terms.base * WAD + terms.slope_1 * WAD * below // kink + terms.slope_2 * WAD * above // (WAD - kink)
    )
    # From basis points a year to a ray a second.
    return -(-rate * RAY // (10_000 * WAD * _YEAR))
