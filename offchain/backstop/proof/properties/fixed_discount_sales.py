"""Properties of one step's sales by a liquidation mechanism: collateral, debt, payment and loss."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

from backstop.lockstep.step_transition import Changes, Transition
from backstop.proof.properties.independent_arithmetic.price_figures import list_known_prices
from backstop.proof.properties.independent_arithmetic.property_arithmetic import BASIS_POINTS, RAY
from backstop.proof.properties.property_registry import PropertyViolationError, transition_property

_ENGINE, _LIQUIDATIONS = "VaultEngine", "LiquidationEngine"
_RAD = 10**45
_ROUNDING = Fraction(1, 10**17)
"""A part by which a fraction that is rounded to a wad may be off."""
_SOLD = "LiquidationEngine.CollateralSold"


class DiscountSale(NamedTuple):
    """Sale of a vault's collateral at a discount: the values of the CollateralSold event."""

    collateral_type: int
    owner: str
    buyer: str
    collateral: int  # wad
    fee: int  # wad of it
    paid: int  # wad
    principal: int  # rad


def list_discount_sales(step: Transition) -> list[DiscountSale]:
    """Return the sales that a liquidation mechanism made in this step, from their events."""
    return [
        DiscountSale(*log.values)
        for log in step.outcome.logs
        if (log.contract, log.event) == (_LIQUIDATIONS, "CollateralSold")
    ]


def _find_mechanism(step: Transition, sale: DiscountSale) -> Any:
    """Return the model of the liquidation mechanism contract that priced this sale."""
    address = step.read_pre_state(_LIQUIDATIONS, "mechanism_of", sale.collateral_type)
    return step.model.world.addresses[address]


def is_sale_at_discount(step: Transition, sale: DiscountSale) -> bool:
    """Return whether the buyer paid a price at a fixed discount.

    The result is False for a sale to a stability pool.
    """
    return bool(_find_mechanism(step, sale).KIND in ("FixedDiscount", "PartialSaleDiscount"))


def can_sell_any_part(step: Transition, sale: DiscountSale) -> bool:
    """Return whether the sale was made by the naive mechanism PartialSaleDiscount.

    That mechanism lets buyers take any part of a vault, and is built for comparison.
    """
    return bool(_find_mechanism(step, sale).KIND == "PartialSaleDiscount")


class _SoldVault(NamedTuple):
    """State of a vault directly before a sale: debt with fees, value, price and liquidation bonus."""

    debt: int  # rad
    worth: int  # rad
    price: int  # ray
    unit: int  # wad
    rate: int  # ray
    floor: int  # rad
    health: Fraction
    bonus: Fraction  # what a buyer gets for what is repaid, without any rounding
    terms: Any


def _read_sold_vault(step: Transition, sale: DiscountSale) -> _SoldVault:
    c = sale.collateral_type
    vault = step.read_pre_state(_ENGINE, "vaults", (c, sale.owner))
    rate = step.read_post_state(_ENGINE, "ledger.debts", c).accumulated_rate
    of_type, price = step.read_post_state(_ENGINE, "terms.of_types", c), max(list_known_prices(step, c))
    debt, worth = vault.normalized_debt * rate, vault.locked_collateral * price
    terms = step.read_pre_state(_find_mechanism(step, sale).label, "terms", c)
    threshold = Fraction(BASIS_POINTS**2 // of_type.liquidation_ratio, BASIS_POINTS)
    health = min(Fraction(1), worth * threshold / debt)
    unit = 10 ** (18 - of_type.decimals)
    bonus = _compute_bonus(terms, health, threshold)
    return _SoldVault(debt, worth, price, unit, rate, of_type.debt_floor * _RAD, health, bonus, terms)


def _compute_bonus(terms: Any, health: Fraction, threshold: Fraction) -> Fraction:
    if terms.max_discount:
        return 1 / max(health, 1 - Fraction(terms.max_discount, BASIS_POINTS))
    if terms.cursor:
        factor = 1 / (1 - Fraction(terms.cursor, BASIS_POINTS) * (1 - threshold))
        return min(factor, 1 + Fraction(terms.max_bonus, BASIS_POINTS))
    full = Fraction(terms.full_bonus_health, BASIS_POINTS)
    way = min(Fraction(1), (1 - health) / (1 - full))
    return 1 + (terms.base_bonus + (terms.max_bonus - terms.base_bonus) * way) / BASIS_POINTS


@transition_property(227, events=[_SOLD])
def discount_sale_never_worsens_vault(step: Transition, changes: Changes) -> None:
    """Check that a sale at a discount never lowers the vault's collateral ratio (property 227).

    The remaining debt is zero or at least the debt floor. A vault worth no more than its debt plus bonus must
    be sold whole. A sale to a stability pool is exempt from this last rule. The naive mechanism
    PartialSaleDiscount has to keep only the debt floor. Raises PropertyViolationError otherwise.
    """
    for sale in list_discount_sales(step):
        key = c, _ = sale.collateral_type, sale.owner
        old, new = (read(_ENGINE, "vaults", key) for read in (step.read_pre_state, step.read_post_state))
        rest = new.normalized_debt * step.read_post_state(_ENGINE, "ledger.debts", c).accumulated_rate
        if rest and rest < step.read_post_state(_ENGINE, "terms.of_types", c).debt_floor * _RAD:
            raise PropertyViolationError(f"vault {key} is left with {rest}, under its floor")
        if can_sell_any_part(step, sale) or not rest:
            continue
        if new.locked_collateral * old.normalized_debt < old.locked_collateral * new.normalized_debt:
            raise PropertyViolationError(f"vault {key} got worse by a sale: {old} became {new}")
        if not is_sale_at_discount(step, sale):
            continue
        before = _read_sold_vault(step, sale)
        # A bonus by health is cut to a basis point.
        if before.worth < before.debt * (before.bonus - Fraction(1, BASIS_POINTS)):
            raise PropertyViolationError(f"vault {key} is worth less than its bonus, and sold in part")


@transition_property(228, events=[_SOLD])
def discount_sale_books_loss_at_once(step: Transition, changes: Changes) -> None:
    """Check that a sale at a discount books its loss in the same call (property 228).

    The payment repays principal first. Unpaid principal becomes a deficit. The protocol's fee in collateral
    becomes salvage, which is sold for the type's buffer, and nothing goes to auction. A vault without
    collateral owes nothing afterwards. Raises PropertyViolationError otherwise.
    """
    sales = list_discount_sales(step)
    for c in {sale.collateral_type for sale in sales}:
        of_type = [sale for sale in sales if sale.collateral_type == c]
        repaid = [min(sale.paid * RAY, sale.principal) for sale in of_type]
        expected = {
            "ledger.deficit": sum(s.principal - r for s, r in zip(of_type, repaid, strict=True)),
            "ledger.salvage": sum(sale.fee for sale in of_type),
            "ledger.auctions": 0,
        }
        for path, more in expected.items():
            old, new = (read(_ENGINE, path, c) for read in (step.read_pre_state, step.read_post_state))
            found = new.in_auction - old.in_auction if path == "ledger.auctions" else new - old
            if found != more:
                raise PropertyViolationError(f"type {c}: {path} grew by {found}, not {more}, in {of_type}")
    for sale in sales:
        key = sale.collateral_type, sale.owner
        old, new = (read(_ENGINE, "vaults", key) for read in (step.read_pre_state, step.read_post_state))
        if new.normalized_debt and not new.locked_collateral:
            raise PropertyViolationError(f"vault {key} owes without collateral: {new}")
        if new.open_lots != old.open_lots:
            raise PropertyViolationError(f"vault {key} has a lot open after a sale: {old} became {new}")


@transition_property(229, events=[_SOLD])
def discount_sale_follows_terms(step: Transition, changes: Changes) -> None:
    """Check price, amount and fee of each sale at a fixed discount (property 229).

    The price is the higher of current and next price, less the bonus. Expected values are exact fractions.
    The payment is no less than the collateral's cost. It exceeds the cost by less than three units of
    collateral, one unit of normalized debt and two wei. The fee is its share of the bonus, rounded down by
    less than a unit. Raises PropertyViolationError otherwise.
    """
    for sale in filter(lambda each: is_sale_at_discount(step, each), list_discount_sales(step)):
        before, slack = _read_sold_vault(step, sale), Fraction(1, BASIS_POINTS)
        unit, key = before.unit, (sale.collateral_type, sale.owner)
        if sale.collateral % unit or sale.fee % unit:
            raise PropertyViolationError(f"vault {key}: {sale} is no multiple of {unit}")
        # A bonus by health is cut to a basis point, against the buyer.
        cut = before.terms.base_bonus != before.terms.max_bonus
        least = before.bonus - slack if cut else before.bonus
        cost = Fraction(sale.collateral * before.price, RAY) / before.bonus
        # Debt leaves in units of normalized debt, each of which is worth the rate.
        most = Fraction((sale.collateral + 3 * unit) * before.price + before.rate, RAY) / least + 2
        # A discount by the distance from health looks at whole wei of worth and debt.
        wei = 2 if before.terms.max_discount else 0
        if not cost * (1 - _ROUNDING) - wei <= sale.paid <= most * (1 + _ROUNDING) + wei:
            raise PropertyViolationError(f"vault {key}: {sale} costs {cost} to {most}")
        gained = sale.collateral - sale.collateral / before.bonus
        fee = gained * Fraction(before.terms.fee, BASIS_POINTS)
        off = sale.collateral * (_ROUNDING + Fraction(2 * wei * RAY, before.debt))
        if not fee - slack * sale.collateral - unit - off <= sale.fee <= fee + off:
            raise PropertyViolationError(f"vault {key}: a fee of {sale.fee}, not {float(fee)}")
        _check_amount(step, sale, before)


def _check_amount(step: Transition, sale: DiscountSale, before: _SoldVault) -> None:
    """Raise PropertyViolationError if a sale repaid more debt than its terms allow.

    The limit does not apply if the remaining debt would be below the debt floor.
    """
    terms, share, slack = before.terms, Fraction(1), _ROUNDING
    of_type = step.read_post_state(_ENGINE, "terms.of_types", sale.collateral_type)
    threshold = Fraction(BASIS_POINTS**2 // of_type.liquidation_ratio, BASIS_POINTS)
    if terms.target_health:
        target = Fraction(terms.target_health, BASIS_POINTS)
        if target > before.bonus * threshold:
            taken = target - before.bonus * threshold
            share = min(share, (target - before.health) / taken)
            # Health and what is taken are rounded to a wad's last digit.
            off = _ROUNDING + (Fraction(4 * RAY, before.debt) if terms.max_discount else 0)
            slack = off / (target - before.health) + off / taken
    elif (
        before.health > Fraction(terms.whole_close_health, BASIS_POINTS)
        and min(before.debt, before.worth) >= terms.small_position * _RAD
    ):
        share = Fraction(terms.close_factor, BASIS_POINTS)
    most = before.debt * share
    # The debt leaves in units of normalized debt, each of which is worth the rate, and is paid in whole wei.
    rounding = before.rate + RAY
    whole = before.worth <= before.debt * before.bonus or before.debt - most < before.floor + rounding
    if not whole and sale.paid * RAY > most * (1 + slack) + rounding:
        raise PropertyViolationError(f"vault {sale.owner}: {sale.paid} is repaid of {most / RAY} at most")
