"""Properties of the time of an auction of collateral: when its price is valid and when it starts again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.contract_base import ZERO_ADDRESS
from backstop.lockstep.step_transition import Changes, Transition
from backstop.proof.properties.collateral_auction_properties import (
    _compute_time_by_blocks_or_timestamp,
    _is_indebted_lot_nearly_worthless,
    _read_lot_terms,
)
from backstop.proof.properties.independent_arithmetic import property_arithmetic as own
from backstop.proof.properties.independent_arithmetic.property_arithmetic import BASIS_POINTS
from backstop.proof.properties.property_registry import (
    PropertyViolationError,
    refusal_property,
    transition_property,
)

if TYPE_CHECKING:
    from backstop.proof.properties.independent_arithmetic.price_figures import Read

_AUCTION = "CollateralAuction"
_NO_RESETS = 2


@transition_property(180, events=["CollateralAuction.Taken"])
def no_lot_is_sold_once_reset_is_due(step: Transition, changes: Changes) -> None:
    """Check that no collateral is sold from an auction that needs a reset (property 180).

    A reset is needed after the tail (maximum duration), or once the price is under the cusp. The cusp is a
    set share of the starting price, at any market price. The rounding of the price is tolerated. Raises
    PropertyViolationError otherwise.
    """
    for log in step.outcome.logs:
        if (log.contract, log.event) == (_AUCTION, "Taken") and _is_reset_due(
            step, step.read_pre_state, log.values[0]
        ):
            raise PropertyViolationError(
                f"auction {log.values[0]} was sold from though its price has to start again"
            )


@refusal_property(181, calls=["CollateralAuction.reset"])
def due_resets_succeed(step: Transition) -> None:
    """Check that a reset of an expired collateral auction was not refused (property 181).

    A refusal is allowed before the tail ends while the price is above the cusp. It is also allowed without a
    fresh price, with resets stopped, for an empty lot and in settlement. The last allowed case is a lot that
    owes principal and is worth under 1% of the minimum. Raises PropertyViolationError for any other refusal.
    """
    auction_id, receiver = step.action.args
    lot = step.read_post_state(_AUCTION, "lots", auction_id)
    c = lot.collateral_type
    prices, config = (
        step.read_post_state("PriceFeed", "prices", c),
        step.read_post_state("PriceFeed", "configs", c),
    )
    is_priced = prices.current and step.model.timestamp <= prices.fresh_until and not config.halted
    is_open = lot.target and lot.lot and step.read_post_state(_AUCTION, "terms", c).stop < _NO_RESETS
    is_settling = step.read_post_state("VaultEngine", "terms.of_types", c).settling
    # The token refuses some receivers of the reward.
    is_person = receiver not in step.model.world.addresses and receiver != ZERO_ADDRESS
    if (
        not (is_priced and is_open and is_person)
        or is_settling
        or not _is_reset_due(step, step.read_post_state, auction_id)
    ):
        return
    if not _is_indebted_lot_nearly_worthless(step, lot, step.read_post_state(_AUCTION, "tops", auction_id)):
        raise PropertyViolationError(
            f"auction {auction_id} is due, and its reset is refused: {step.outcome.reason}"
        )


def _is_reset_due(step: Transition, read: Read, auction_id: Any) -> bool:
    """Return whether an auction certainly needs a reset, even with its price rounded up."""
    lot, top = read(_AUCTION, "lots", auction_id), read(_AUCTION, "tops", auction_id).top
    terms, elapsed = _read_lot_terms(step, lot), _compute_time_by_blocks_or_timestamp(step) - lot.started_at
    if not lot.target or elapsed < 0:
        return False
    price, off = own.compute_auction_price_with_tolerance(terms.curve, terms.period, terms.cut, top, elapsed)
    return bool(elapsed > terms.tail or (price + off) * BASIS_POINTS < top * terms.cusp)
