"""The naive fixed discount: any part of a vault is sold, also where the rest is worth less than it was."""

from __future__ import annotations

from backstop.contract_base import require
from backstop.model.arithmetic import RAY, div_up
from backstop.model.fixed_discount import FixedDiscount, Terms, build_sale, plan_part, quote_position
from backstop.model.interfaces import Position, Sale


class PartialSaleDiscount(FixedDiscount):
    """Simple fixed discount that sells any part of a vault, even if that worsens the vault's health.

    It serves comparison studies. Model of contracts/naive/PartialSaleDiscount.vy.
    """

    KIND = "PartialSaleDiscount"

    def _plan_within_limits(
        self, terms: Terms, position: Position, max_collateral: int, max_repay: int
    ) -> Sale:
        return plan_any_part(terms, position, max_collateral, max_repay)


def plan_any_part(terms: Terms, position: Position, max_collateral: int, max_repay: int) -> Sale:
    """Return the amounts of a sale of any part of an unsafe vault, within the buyer's limits [wad].

    The whole vault is sold if the collateral left would be worth less than the debt floor; the unpaid debt is
    then a loss. Raises RevertError if the limits allow no sale.
    """
    quote = quote_position(terms, position)
    if not quote.is_under_bonus:
        return plan_part(terms, quote, position, max_collateral, max_repay)
    part = quote.compute_wanted_part(position, max_repay)
    collateral = quote.compute_collateral(position, part * position.accumulated_rate)
    if collateral > max_collateral:
        collateral = max_collateral - max_collateral % position.unit
    part = div_up(quote.compute_cost(collateral, position.price), position.accumulated_rate)
    principal = part * position.accumulated_rate
    locked = position.locked_collateral
    if collateral >= locked or (locked - collateral) * position.price < position.debt_floor:
        # What is not repaid is a loss now, as no collateral is left.
        collateral, part = locked, position.normalized_debt
        principal = quote.compute_cost(locked, position.price)
    paid = div_up(principal, RAY)
    is_wanted = paid <= max_repay and collateral <= max_collateral
    require(is_wanted, "partial_sale: rest under floor")
    return build_sale(terms, quote, position, collateral, part, paid)
