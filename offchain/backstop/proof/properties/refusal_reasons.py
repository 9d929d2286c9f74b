"""Property of refusals: the reason is true. A rule that refuses too much changes nothing that others see."""

from __future__ import annotations

from backstop.proof.properties.figures import arithmetic as own
from backstop.proof.properties.figures import policies
from backstop.proof.properties.figures.arithmetic import RAY
from backstop.proof.properties.registry import Violation, refusal_property
from backstop.proof.properties.risk_margins import has_first_policy, needed_margin, price_of_risk
from backstop.proof.properties.transition import Transition
from backstop.proof.properties.vaults import covers

_ENGINE, _LIQUIDATIONS = "VaultEngine", "LiquidationEngine"
_DRAW, _WITHDRAW = "deposit_and_draw", "repay_and_withdraw"
_CALLS = (
    f"{_LIQUIDATIONS}.liquidate",
    f"{_LIQUIDATIONS}.call",
    f"{_ENGINE}.{_DRAW}",
    f"{_ENGINE}.{_WITHDRAW}",
)


@refusal_property(194, calls=_CALLS)
def refusals_of_vaults_are_true(step: Transition) -> None:
    """Check that a vault that is refused as safe is safe, as unsafe lacks margin, and as met meets its call.

    A debt that is not charged up to now counts at its last rate where it would be safe, and at more than the
    rate of now where it would be unsafe.
    """
    reason, (c, owner) = step.outcome.reason, step.action.args[:2]
    vault = step.after(_ENGINE, "vaults", (c, owner))
    ratios = step.after(_ENGINE, "terms.of_types", c)
    if reason == "liquidation_engine: safe vault":
        if not covers(step, c, vault, ratios.liquidation_ratio):
            raise Violation(f"vault {c, owner} is refused as safe: {vault}")
    elif reason == "liquidation_engine: margin met":
        ratio = policies.call_terms(step, c).ratio
        if ratio and not covers(step, c, vault, ratio):
            raise Violation(f"vault {c, owner} is refused as meeting its call: {vault}")
    elif reason == "risk_policy: unsafe" and has_first_policy(step):
        _check_margin(step)


def _check_margin(step: Transition) -> None:
    """Check that the vault of a refused draw or withdrawal would not have had its margin."""
    c, owner, first, second, _ = step.action.args
    draws = step.action.method == _DRAW
    vault, debts = step.after(_ENGINE, "vaults", (c, owner)), step.after(_ENGINE, "ledger.debts", c)
    fee = step.after(_ENGINE, "ledger.income", c).stability_fee
    exact, off = own.compounded(debts.accumulated_rate, RAY + fee, step.model.timestamp - debts.accrued_at)
    rate = exact + off
    unit = 10 ** (18 - step.after(_ENGINE, "terms.of_types", c).decimals)
    locked, drawn = vault.locked_collateral, 0
    if draws:
        borne = step.after(_ENGINE, "ledger.redistributions", c)
        added = own.shared(borne, step.model.timestamp, step.contract("LossWaterfall").epoch_length)
        locked, drawn = locked + first // unit * unit, 1 - -second * RAY // (debts.accumulated_rate - added)
    else:
        # What is repaid in the same call is left out: less of the debt would be there.
        if first:
            return
        locked -= second // unit * unit
    debt = (vault.normalized_debt + drawn) * rate
    worth = locked * price_of_risk(step, c) * own.BASIS_POINTS
    needed = needed_margin(step, c, debt, (debts.normalized_debt + drawn) * rate)
    if worth >= needed:
        raise Violation(f"vault {c, owner} is refused as unsafe: {worth} for {needed} at most")
