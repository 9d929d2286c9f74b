"""Property of the start values of a collateral auction and of the reward for a reset, to the wei."""

from __future__ import annotations

from typing import Any

from backstop.lockstep.step_transition import Changes, Transition
from backstop.proof.properties.collateral_auction_properties import _read_lot_terms
from backstop.proof.properties.independent_arithmetic.price_figures import list_known_prices
from backstop.proof.properties.independent_arithmetic.property_arithmetic import BASIS_POINTS, RAY
from backstop.proof.properties.property_registry import PropertyViolationError, transition_property
from backstop.proof.properties.revert_conditions.call_context import ENGINE, WAD, CallContext

_SALES = "CollateralAuction"
_MOST_SALVAGE, _MOST_PENALTY, _MICRO = 10**31, 2**48 - 1, 10**12
_MOST_PRICE = 2**112 - 1


@transition_property(205, events=[f"{_SALES}.AuctionStarted", f"{_SALES}.AuctionReset"])
def auction_start_time_and_reset_reward_are_exact(step: Transition, changes: Changes) -> None:
    """Check the start of each collateral auction and the reward of each reset (property 205).

    An auction starts at the current time. It offers salvage (collateral that an earlier auction left unsold)
    for its value at the starting price. A reset restarts an auction at a new price. It pays the flat tip and
    the proportional chip, but no more than the penalty already collected. For a lot or a debt below the
    minimum it pays nothing. Raises PropertyViolationError otherwise.
    """
    for log in step.outcome.logs:
        if (log.contract, log.event) == (_SALES, "AuctionStarted"):
            _check_auction_start(step, log.values)
        elif (log.contract, log.event) == (_SALES, "AuctionReset") and step.is_call(_SALES, "reset"):
            _check_reset_reward(step, *log.values)


def _check_auction_start(step: Transition, started_event_values: Any) -> None:
    auction_id, c, owner, lot, top, target, principal = started_event_values
    found, terms = step.read_post_state(_SALES, "lots", auction_id), step.read_pre_state(_SALES, "terms", c)
    said = found.lot, found.target * RAY, found.collateral_type, found.version
    # Where blocks are counted, property 160 counts them.
    is_now = step.get_contract(_SALES).block_time or found.started_at == step.model.timestamp
    if said != (lot, target, c, terms.version) or not is_now:
        raise PropertyViolationError(
            f"auction {auction_id} begins as {found}, {started_event_values} are told"
        )
    kept = step.read_post_state(_SALES, "tops", auction_id)
    if kept.top != top or step.read_post_state(_SALES, "owners", auction_id).owner != owner:
        raise PropertyViolationError(
            f"auction {auction_id} begins at {kept}, and belongs to another than {owner}"
        )
    if principal:
        return
    before, after = (
        read(ENGINE, "ledger.salvage", c) for read in (step.read_pre_state, step.read_post_state)
    )
    price = max(list_known_prices(step, c), default=0)
    most = min(price * terms.buf // BASIS_POINTS, _MOST_PRICE)
    penalty = min(-(-lot * most // (RAY * _MICRO)), _MOST_PENALTY)
    expected = min(before, _MOST_SALVAGE), most, penalty * _MICRO * RAY
    if (lot, top, target) != expected or before - after != lot or terms.stop:
        raise PropertyViolationError(
            f"auction {auction_id} sells {lot} of {before} of salvage at {top} for {target}, not {expected}"
        )
    if (
        step.read_post_state(_SALES, "salvage_sales", c) != auction_id
        or kept.penalty != penalty
        or kept.excess
    ):
        raise PropertyViolationError(f"auction {auction_id} of salvage is kept as {kept}, for {penalty}")


def _check_reset_reward(step: Transition, auction_id: int, top: int, reward: int) -> None:
    call = CallContext(step)
    lot, budget = (
        call.read_own_slot("lots", auction_id),
        call.read_own_slot("owners", auction_id).reward_budget,
    )
    terms = _read_lot_terms(step, lot)
    least, price = terms.minimum * WAD, max(list_known_prices(step, lot.collateral_type))
    due = 0
    if lot.target >= least and lot.lot * price >= least * RAY:
        due = terms.tip * WAD + terms.chip * lot.target // BASIS_POINTS
        due = min(due, max(0, budget - lot.target))
    supply = "erc20.totalSupply"
    minted = step.read_post_state("Stablecoin", supply) - step.read_pre_state("Stablecoin", supply)
    if not reward == minted == due:
        raise PropertyViolationError(
            f"auction {auction_id}: {reward} are told and {minted} paid for a reset, {due} are due"
        )
