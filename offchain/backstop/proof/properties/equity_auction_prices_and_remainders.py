"""The properties of equity auctions: the price of each sale, and the remainders."""

from __future__ import annotations

from typing import Any

from backstop.contract_base import ZERO_ADDRESS
from backstop.lockstep.step_transition import Changes, Transition
from backstop.model.arithmetic import RAY, WAD
from backstop.model.bounds import EQUITY_MARKET, MAX_PRICE
from backstop.proof.properties.independent_arithmetic.price_figures import (
    compute_time_weighted_price,
    list_known_prices,
)
from backstop.proof.properties.property_registry import PropertyViolationError, transition_property

_UNIT = 10**14
"""Ray: ends of a price are multiples of it."""
_LEAST = WAD
"""The least target of an auction, and the least remainder of a partial take."""


@transition_property(61, writes=["sales"])
def equity_auction_follows_price_curve(step: Transition, changes: Changes) -> None:
    """Check that an equity auction sells on its falling price line (property 61).

    The price starts above the market and falls linearly to a floor. The lot is the equity that raises the
    target at the floor price. A buyer pays the current price, rounded up. Sold, returned and remaining equity
    sum to the equity offered. Equity that is not sold in time is returned. Raises PropertyViolationError
    otherwise.
    """
    if "sales" not in changes:
        return
    for contract, c, old, new in changes["sales"]:
        stage = step.model.world.contracts[contract]
        if not old.target:
            _check_equity_auction_start(step, stage, c, new)
        elif takes := [log.values[2:4] for log in _select_logs(step, contract, "Taken")]:
            _check_take(step, stage, takes, old, new)
        elif not step.is_call(contract, "end"):
            raise PropertyViolationError(
                f"{step.action.method} changed a sale of {contract}: {old} became {new}"
            )
        elif not _can_sale_end(step, stage, old) or new != old._replace(target=0):
            raise PropertyViolationError(f"{contract} ended {old} as {new} at {step.model.timestamp}")
        _check_equity_held_for_sale(step, changes, stage)


def _check_equity_auction_start(step: Transition, stage: Any, collateral_type: int, new_sale: Any) -> None:
    if new_sale.started_at != step.model.timestamp:
        raise PropertyViolationError(f"{step.action.method} started {new_sale} at {step.model.timestamp}")
    average = compute_time_weighted_price(step, step.read_pre_state, EQUITY_MARKET)
    known = list_known_prices(step, EQUITY_MARKET)
    price = max([average, *known])
    top, floor = min(price * stage.buf // 10_000, MAX_PRICE), average * stage.floor // 10_000
    if (new_sale.top_units, new_sale.floor_units) != (-(-top // _UNIT), -(-floor // _UNIT)):
        raise PropertyViolationError(
            f"{stage.label} sells from {new_sale}, at {average} on the average and {known}"
        )
    reserved = step.read_post_state("LossWaterfall", "reservations", (collateral_type, stage.address)).amount
    if new_sale.target * RAY != reserved or new_sale.target < _LEAST:
        raise PropertyViolationError(
            f"{stage.label} sells for {new_sale.target} wei, {reserved} rad are reserved"
        )


def _check_take(step: Transition, stage: Any, takes: list[Any], old: Any, new: Any) -> None:
    # A contract that takes is told the auction before.
    most, most_price = step.action.args[1 + (step.action.method != "take") :][:2]
    elapsed = step.model.timestamp - old.started_at
    top, floor = old.top_units * _UNIT, old.floor_units * _UNIT
    # Rounded up to the ray.
    price = -((floor * elapsed + top * (stage.duration - elapsed)) // -stage.duration)
    if elapsed > stage.duration or price > most_price or new != old._replace(target=new.target):
        raise PropertyViolationError(f"{stage.label} sold of {old} at {price} after {elapsed} seconds: {new}")
    target, lot = old.target, _compute_equity_lot_at_floor_price(old)
    sold = back = 0
    for amount, paid in takes:
        target -= paid
        left = _compute_equity_lot_at_floor_price(old._replace(target=target))
        # The payment is for all that was asked for, or all that is missing, for as much as that buys.
        asked = paid == -(-amount * price // RAY) and amount in (lot, most)
        whole = target == 0 and amount == paid * RAY // price
        if not (asked or whole) or not 0 < amount <= min(lot, most) or 0 < target < _LEAST:
            raise PropertyViolationError(
                f"{stage.label} sold {amount} of {lot} for {paid} at {price}, of {old}"
            )
        sold, back, lot = sold + amount, back + lot - amount - left, left
    if target != new.target or back < 0:
        raise PropertyViolationError(f"{stage.label} sold {takes} of {old}, which became {new}")
    burned = sum(values[2] for values in _list_transfers(step, "Stablecoin") if values[1] == ZERO_ADDRESS)
    if burned != old.target - target:
        raise PropertyViolationError(
            f"{old.target - target} are counted as paid to {stage.label}, {burned} were burned"
        )
    mints = stage.source_address == ZERO_ADDRESS
    source = ZERO_ADDRESS if mints else stage.address
    sent = sum(values[2] for values in _list_transfers(step, "Equity") if values[0] == source)
    if sent != sold + (0 if mints else back):
        raise PropertyViolationError(f"{stage.label} sold {sold}, {back} go back, and {sent} were sent")


def _can_sale_end(step: Transition, stage: Any, sale: Any) -> bool:
    over = step.model.timestamp > sale.started_at + stage.duration
    return over or bool(step.read_post_state("Settlement", "progress").begun_at)


def _check_equity_held_for_sale(step: Transition, changes: Changes, equity_auction: Any) -> None:
    """Check that the equity held or booked for auctions changes by the change of all lots.

    Raises PropertyViolationError otherwise.
    """
    more = sum(
        _compute_equity_lot_at_floor_price(new) - _compute_equity_lot_at_floor_price(old)
        for contract, _, old, new in changes["sales"]
        if contract == equity_auction.label
    )
    if equity_auction.source_address == ZERO_ADDRESS:
        held = step.read_post_state("Equity", "issue").booked - step.read_pre_state("Equity", "issue").booked
    else:
        balance = "erc20.balanceOf"
        held = step.read_post_state("Equity", balance, equity_auction.address) - step.read_pre_state(
            "Equity", balance, equity_auction.address
        )
    if held != more:
        raise PropertyViolationError(
            f"{equity_auction.label} has {more} more for sale, and {held} more to sell"
        )


def _compute_equity_lot_at_floor_price(sale: Any) -> int:
    """Return the equity [wad, rounded up] that raises the sale's target at its floor price."""
    return -(-sale.target * RAY // (sale.floor_units * _UNIT)) if sale.target else 0


def _select_logs(step: Transition, contract: str, event: str) -> list[Any]:
    return [log for log in step.outcome.logs if (log.contract, log.event) == (contract, event)]


def _list_transfers(step: Transition, token: str) -> list[tuple[str, str, int]]:
    """Return the transfers of a token in this step as (sender, receiver, amount)."""
    return [log.values for log in _select_logs(step, token, "Transfer")]
