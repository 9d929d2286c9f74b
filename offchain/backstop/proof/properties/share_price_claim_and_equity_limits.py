"""Properties of shares, claims and equity, of one successful step: the amounts due to their holders."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from backstop.contract_base import ZERO_ADDRESS
from backstop.lockstep.step_transition import Changes, Transition
from backstop.model.arithmetic import RAY, WAD
from backstop.model.denominations import LEAST_ASSETS, VIRTUAL_SHARES
from backstop.model.member_pool import MemberPool
from backstop.model.recovery_claims import MAX_DILUTION
from backstop.proof.properties.independent_arithmetic import property_arithmetic as own
from backstop.proof.properties.independent_arithmetic.batch_figures import (
    VOID,
    compute_loss_per_share,
    compute_vested_assets_after_exits,
    convert_shares,
)
from backstop.proof.properties.property_registry import PropertyViolationError, transition_property


@transition_property(11, writes=["funds.assets", "token.state"])
def share_price_falls_only_by_losses(step: Transition, changes: Changes) -> None:
    """Check that a pool's share price falls by no more than its absorbed losses (property 11).

    The share price is (assets + 1) / (shares + 1e6). Raises PropertyViolationError otherwise.
    """
    pools = {pool for path in ("funds.assets", "token.state") for pool, *_ in changes.get(path, ())}
    for pool in sorted(pools):
        contract = step.model.world.contracts[pool]
        if not isinstance(contract, MemberPool):
            continue  # a series of claims
        lost = sum(
            log.values[1]
            for log in step.outcome.logs
            if log.contract == pool and log.event in ("LossAbsorbed", "Slashed")
        )
        now = step.model.timestamp
        old, new = step.read_pre_state(pool, "token.state"), step.read_post_state(pool, "token.state")
        each = compute_loss_per_share(step.read_pre_state, pool, lost)
        assets = compute_vested_assets_after_exits(step.read_pre_state, pool, now) - int(
            each * (old.supply + VIRTUAL_SHARES)
        )
        if new.generation - old.generation >= VOID:
            left = own.compute_vested_assets(step.read_pre_state(pool, "funds.assets"), now) - lost
            if left >= LEAST_ASSETS:
                raise PropertyViolationError(f"{pool}: {old.supply} shares became void with {left} assets")
            continue
        supply = convert_shares(old.supply, old.generation, new.generation)
        assets_now = compute_vested_assets_after_exits(step.read_post_state, pool, now)
        # What rounding may move between groups and live shares; what an older share is worth is divided.
        assets -= 2 * old.open + (lost > 0) + (supply != old.supply)
        if (assets_now + 1) * (supply + VIRTUAL_SHARES) < (assets + 1) * (new.supply + VIRTUAL_SHARES):
            raise PropertyViolationError(
                f"{pool}: {assets} assets of {supply} shares became {assets_now} of {new.supply}"
            )
        if supply != old.supply:
            # What all were worth before they were divided, and after it; a wei each way.
            worth = Fraction((assets + 1) * old.supply, old.supply + VIRTUAL_SHARES)
            worth_now = Fraction((assets_now + 1) * supply, new.supply + VIRTUAL_SHARES)
            if worth_now < worth - 2:
                raise PropertyViolationError(
                    f"{pool}: members with {int(worth)} have {int(worth_now)} once divided"
                )


_SPENT = ("ClaimsRepaid", "FundInsured", "IncomeShared")


@transition_property(14, writes=["series"], calls=["Treasury.distribute"])
def claims_are_repaid_once(step: Transition, changes: Changes) -> None:
    """Check that recovery claims are never overpaid and repaid by seniority (property 14).

    The debt of a claim series changes only by losses, repayments and conversions. Holders are not paid more
    than came in. The treasury pays a series only after more senior series are repaid or owed too little for a
    payment. Pools get income only after all series. Raises PropertyViolationError otherwise.
    """
    for name, _, old, new in changes.get("series", ()):
        lost = converted = repaid = 0
        for log in step.outcome.logs:
            if log.contract != name:
                continue
            if log.event == "LossRecorded" and (log.values[2] or not log.values[1]):
                lost += log.values[1]
            elif log.event == "Repaid":
                repaid += log.values[2]
            elif log.event == "Converted":
                converted += old.outstanding * log.values[2] // old.tokens
        if repaid > old.outstanding + lost:
            raise PropertyViolationError(f"{name}: {repaid} repaid of {old.outstanding + lost}")
        if new.outstanding != old.outstanding + lost - repaid - converted:
            raise PropertyViolationError(
                f"{name}: {old} became {new}: {lost} lost, {repaid} paid, {converted} converted"
            )
        if (new.outstanding == 0) != (new.tokens == 0):
            raise PropertyViolationError(f"{name}: {new.outstanding} are owed to {new.tokens} tokens")
        for contract, _, before, after in changes.get("paid_per_token", ()):
            if contract == name and (after - before) * old.tokens > repaid * RAY:
                raise PropertyViolationError(f"{name}: {after - before} ray for each token of {repaid} wei")
    if not step.is_call("Treasury", "distribute"):
        return
    treasury: Any = step.model.world.contracts["Treasury"]
    spent = [log.values[0] for log in step.outcome.logs if log.event in _SPENT]
    for place, address in enumerate(treasury.claim_addresses):
        later = [other for other in spent if other not in treasury.claim_addresses[: place + 1]]
        left = step.read_post_state(step.model.world.addresses[address].label, "series")
        if later and left.outstanding > -(-left.tokens // MAX_DILUTION):
            raise PropertyViolationError(f"{later} are paid while {address} is owed {left.outstanding}")


@transition_property(15, writes=["erc20.totalSupply", "issue"])
def equity_creation_stays_under_cap(step: Transition, changes: Changes) -> None:
    """Check that equity minted and booked in an epoch stays under the mint cap (property 15).

    The supply changes only by minted and burned equity. Equity offered by the auction of new equity is
    booked. Raises PropertyViolationError otherwise.
    """
    supply = sum(
        each.new - each.old for each in changes.get("erc20.totalSupply", ()) if each.contract == "Equity"
    )
    issues = changes.get("issue", ())
    if not supply and not issues:
        return
    equity: Any = step.model.world.contracts["Equity"]
    old, new = step.read_pre_state("Equity", "issue"), step.read_post_state("Equity", "issue")
    epoch = step.model.timestamp // equity.epoch_length
    minted_before = old.minted if old.epoch == epoch else 0
    minted_now = new.minted if new.epoch == epoch else 0
    minted = minted_now - minted_before
    if minted_now + new.booked > max(minted_before + old.booked, new.mint_cap * WAD):
        raise PropertyViolationError(
            f"{minted_now} created and {new.booked} booked, over a cap of {new.mint_cap} whole"
        )
    zero = ZERO_ADDRESS
    burned = sum(
        log.values[2]
        for log in step.outcome.logs
        if (log.contract, log.event) == ("Equity", "Transfer") and log.values[1] == zero
    )
    if supply != minted - burned:
        raise PropertyViolationError(
            f"the supply changed by {supply}, by {minted} created and {burned} burned"
        )
    if step.action.contract != "Equity":
        sales = [each for each in changes.get("sales", ()) if each.contract == "MintAuction"]
        if new.booked - old.booked != sum(each.new.lot - each.old.lot for each in sales):
            raise PropertyViolationError(
                f"{new.booked} are booked, from {old.booked}, not what is under auction"
            )
