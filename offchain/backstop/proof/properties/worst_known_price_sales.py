"""The properties of a sale's start time: of all known prices the worst one for the caller counts."""

from __future__ import annotations

from typing import Any

from backstop.contract_base import ZERO_ADDRESS
from backstop.lockstep.step_transition import Changes, Transition
from backstop.model.arithmetic import RAY, WAD
from backstop.model.bounds import EQUITY_MARKET, MAX_PRICE
from backstop.model.equity_auction import EquityAuction
from backstop.proof.properties.independent_arithmetic.price_figures import (
    compute_time_weighted_price,
    list_known_prices,
)
from backstop.proof.properties.property_registry import PropertyViolationError, transition_property

_LOTS, _SURPLUS = "CollateralAuction", "SurplusAuction"
_WHOLE = 10_000
"""Basis points."""


@transition_property(
    150, events=["*.AuctionStarted", f"{_LOTS}.AuctionReset", f"{_LOTS}.AuctionClosed", "*.Converted"]
)
def sale_starts_above_every_known_price(step: Transition, changes: Changes) -> None:
    """Check that a sale starts at the worst known price for its caller (property 150).

    Collateral, unsold collateral of earlier auctions and equity start at or above their buffer factor times
    each known price. Surplus is sold for at least as much equity as any known price asks. A lot that is given
    up unsold is nearly worthless at each known price. Raises PropertyViolationError otherwise.
    """
    for log in step.outcome.logs:
        contract = step.model.world.contracts.get(log.contract)
        if log.contract == _LOTS and log.event == "AuctionStarted":
            auction_id, c, _, _, top = log.values[:5]
            _check_top_exceeds_feed_prices(
                step, c, top, step.read_post_state(_LOTS, "terms", c).buf, f"auction {auction_id}"
            )
        elif log.contract == _LOTS and log.event == "AuctionReset":
            auction_id, top, _ = log.values
            lot = step.read_post_state(_LOTS, "lots", auction_id)
            _check_top_exceeds_feed_prices(
                step,
                lot.collateral_type,
                top,
                _read_starting_auction_terms(step, lot).buf,
                f"auction {auction_id}",
            )
        elif log.contract == _LOTS and log.event == "AuctionClosed":
            _check_abandoned_lot_is_worthless(step, *log.values)
        elif log.contract == _SURPLUS and log.event == "AuctionStarted":
            _check_surplus_top_exceeds_prices(step, log.values[1])
        elif isinstance(contract, EquityAuction) and log.event == "AuctionStarted":
            known = [
                *list_known_prices(step, EQUITY_MARKET),
                compute_time_weighted_price(step, step.read_post_state, EQUITY_MARKET),
            ]
            _check_top_exceeds_buffered_prices(known, log.values[3], contract.buf, contract.label)


def _check_top_exceeds_feed_prices(
    step: Transition, collateral_type: int, top_price: int, price_buffer: int, sale_description: str
) -> None:
    known = list_known_prices(step, collateral_type)
    if not known:
        raise PropertyViolationError(f"{sale_description} begins though nobody knows a price")
    _check_top_exceeds_buffered_prices(known, top_price, price_buffer, sale_description)


def _check_top_exceeds_buffered_prices(
    known_prices: list[int], top_price: int, price_buffer: int, sale_description: str
) -> None:
    """Raise PropertyViolationError if a starting price is below a known price times the buffer factor.

    Rounding down to the ray and the largest storable price are tolerated.
    """
    for price in known_prices:
        if top_price < MAX_PRICE and (top_price + 1) * _WHOLE <= price * price_buffer:
            raise PropertyViolationError(
                f"{sale_description} begins at {top_price}, with a buffer of {price_buffer}, "
                f"though {price} is known"
            )


def _check_abandoned_lot_is_worthless(
    step: Transition, auction_id: int, collateral_type: int, lost_debt: int, lot: int
) -> None:
    if not lot:
        return
    least = _read_starting_auction_terms(step, step.read_pre_state(_LOTS, "lots", auction_id)).minimum
    known = list_known_prices(step, collateral_type)
    for price in [*known, compute_time_weighted_price(step, step.read_post_state, collateral_type)]:
        if not known or lot * price * 100 >= least * RAY * WAD:
            raise PropertyViolationError(
                f"auction {auction_id} is given up with {lot} of collateral, though {price} is known"
            )


def _check_surplus_top_exceeds_prices(step: Transition, top_price: int) -> None:
    """Raise PropertyViolationError if a surplus auction starts at too little equity per stablecoin.

    Each known price of equity sets a lower bound, rounded down twice. The same error is raised without a
    fresh price.
    """
    prices, buf = step.read_post_state("PriceFeed", "prices", EQUITY_MARKET), step.get_contract(_SURPLUS).buf
    known = [
        prices.current,
        prices.next,
        compute_time_weighted_price(step, step.read_post_state, EQUITY_MARKET),
    ]
    if step.model.timestamp > prices.fresh_until or 0 in known:
        raise PropertyViolationError(f"surplus is for sale though its price is not known: {known}")
    for price in known:
        if top_price < MAX_PRICE and top_price < RAY * RAY // price * buf // _WHOLE:
            raise PropertyViolationError(
                f"surplus is for sale from {top_price} of equity, though {price} is known"
            )


@transition_property(151, events=["*.Converted"])
def claim_conversion_uses_highest_price(step: Transition, changes: Changes) -> None:
    """Check that converting claims mints no more equity than they can buy at any price (property 151).

    The prices are current, next, time-weighted and the set minimum. The claims' value is their share of the
    series' debt. No conversion is allowed without a known price. Raises PropertyViolationError otherwise.
    """
    minted = sum(
        log.values[2]
        for log in step.outcome.logs
        if (log.contract, log.event) == ("Equity", "Transfer") and log.values[0] == ZERO_ADDRESS
    )
    for log in step.outcome.logs:
        if log.event != "Converted":
            continue
        set_price = step.get_contract(log.contract).set_price
        series = step.read_pre_state(log.contract, "series")
        tokens, equity = log.values[2:4]
        known = list_known_prices(step, EQUITY_MARKET)
        if not known:
            raise PropertyViolationError(
                f"{log.contract}: {tokens} tokens are converted though nobody knows a price"
            )
        average = compute_time_weighted_price(step, step.read_post_state, EQUITY_MARKET)
        for price in (*known, average, set_price):
            if max(equity, minted) * price * series.tokens > series.outstanding * tokens * RAY:
                raise PropertyViolationError(
                    f"{log.contract}: {tokens} of {series} bring {equity} of equity, which costs {price}"
                )


def _read_starting_auction_terms(step: Transition, lot: Any) -> Any:
    """Return the auction terms that were in force when this lot's auction started."""
    terms = step.read_pre_state(_LOTS, "terms", lot.collateral_type)
    if terms.version == lot.version:
        return terms
    return step.read_pre_state(_LOTS, "old_terms", (lot.collateral_type, lot.version))
