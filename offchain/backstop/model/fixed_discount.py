"""Sales of unsafe vaults' collateral at the feed's price and a bonus: how large it is, how much is sold."""

from __future__ import annotations

from typing import NamedTuple, cast

from backstop.contract_base import (
    World,
    declare_record_slot_bit_widths,
    external,
    immutable,
    require,
    view,
)
from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, RAD, RAY, WAD, div_up
from backstop.model.interfaces import IVaultEngine, Position, Sale
from backstop.model.roles import Administered

BASIS_POINT = 10**14  # wad
MAX_AMOUNT = 2**191  # rad of debt or worth


@declare_record_slot_bit_widths(14, 14, 14, 14, 14, 15, 14, 14, 24, 14)
class Terms(NamedTuple):
    """Terms of sales of unsafe vaults' collateral: the buyer's bonus, the part sold, the protocol's fee.

    See contracts/FixedDiscount.vy for the rules of each field.
    """

    base_bonus: int = 0  # basis points, at a health of 1
    max_bonus: int = 0  # basis points
    full_bonus_health: int = 0  # basis points: under it the bonus is the largest
    max_discount: int = 0  # basis points; 0 is off
    cursor: int = 0  # basis points; 0 is off
    target_health: int = 0  # basis points; 0 is a close factor instead
    close_factor: int = 0  # basis points of the debt
    whole_close_health: int = 0  # basis points
    small_position: int = 0  # whole stablecoins
    fee: int = 0  # basis points of the bonus

    def compute_bonus(self, liquidation_ratio: int, health: int) -> tuple[int, int]:
        """Return the collateral value that a buyer gets for each unit repaid, as a fraction.

        The result is the numerator and the denominator [wad]. A bonus that depends on health rises in whole
        basis points above the lowest, rounded down.
        """
        if self.max_discount:
            return WAD, max(health, WAD - self.max_discount * BASIS_POINT)
        if self.cursor:
            threshold = compute_threshold(liquidation_ratio) * BASIS_POINT
            factor = WAD * WAD // (WAD - self.cursor * (WAD - threshold) // BASIS_POINTS)
            return min(factor, WAD + self.max_bonus * BASIS_POINT), WAD
        full = self.full_bonus_health * BASIS_POINT
        bonus = self.max_bonus
        if health > full:
            bonus = self.base_bonus + (self.max_bonus - self.base_bonus) * (WAD - health) // (WAD - full)
        return WAD + bonus * BASIS_POINT, WAD

    def check_bonus(self, liquidation_ratio: int) -> None:
        """Revert unless a vault that has just become unsafe can pay its debt with the largest bonus.

        The bonus is the extra collateral that the buyer of a liquidated vault gets.
        """
        health = WAD if self.max_discount else 0
        numerator, denominator = self.compute_bonus(liquidation_ratio, health)
        require(numerator * BASIS_POINTS < liquidation_ratio * denominator, "fixed_discount: high bonus")


class Quote(NamedTuple):
    """Unsafe vault's debt and collateral value [rad], health and bonus [wad], and largest repayment.

    The bonus is the fraction `numerator / denominator`. The repayment is `most` [rad].
    """

    debt: int
    worth: int
    health: int
    numerator: int
    denominator: int
    most: int

    @property
    def is_under_bonus(self) -> bool:
        """True if the collateral is worth no more than the debt with the bonus.

        A partial sale would then leave less collateral for each unit of debt.
        """
        return self.worth * self.denominator <= self.debt * self.numerator

    def compute_cost(self, collateral: int, price: int) -> int:
        """Return the payment for an amount of collateral with the bonus deducted [rad, rounded up]."""
        return div_up(collateral * price * self.denominator, self.numerator)

    def compute_collateral(self, position: Position, principal: int) -> int:
        """Return the collateral for repaid principal [rad], with the buyer's bonus [wad].

        The result is rounded down to the token's unit.
        """
        unit_price = position.price * position.unit
        return principal * self.numerator // (unit_price * self.denominator) * position.unit

    def compute_wanted_part(self, position: Position, max_repay: int) -> int:
        """Return the normalized debt to sell, within the terms and the buyer's limit [wad].

        All of the debt is sold if the remainder would be under the debt floor.
        """
        part = min(div_up(self.most, position.accumulated_rate), position.normalized_debt)
        part = min(part, max_repay * RAY // position.accumulated_rate)
        return position.normalized_debt if is_rest_too_low(position, part) else part


def is_rest_too_low(position: Position, part: int) -> bool:
    """Return True if selling `part` of a vault's normalized debt leaves less than the debt floor.

    No debt left counts as less than a floor above 0.
    """
    return (position.normalized_debt - part) * position.accumulated_rate < position.debt_floor


def compute_threshold(liquidation_ratio: int) -> int:
    """Return the debt allowed per collateral value at a health of 1 [basis points, rounded down].

    It is the inverse of the liquidation ratio [basis points].
    """
    return BASIS_POINTS * BASIS_POINTS // liquidation_ratio


def quote_position(terms: Terms, position: Position) -> Quote:
    """Return an unsafe vault's health, bonus and largest repayment.

    A vault that is unsafe for another reason than its liquidation ratio has a health of 1.
    """
    debt = position.normalized_debt * position.accumulated_rate
    worth = position.locked_collateral * position.price
    require(max(debt, worth) < MAX_AMOUNT, "fixed_discount: amount too large")
    threshold = compute_threshold(position.liquidation_ratio)
    health = WAD
    if worth * threshold < debt * BASIS_POINTS:
        if terms.max_discount:
            # In whole wei, as Euler's: worth and what it counts for down, the debt up.
            health = worth // RAY * threshold // BASIS_POINTS * WAD // div_up(debt, RAY)
        else:
            health = worth * threshold * BASIS_POINT // debt
    numerator, denominator = terms.compute_bonus(position.liquidation_ratio, health)
    most = debt
    if terms.target_health:
        target = terms.target_health * BASIS_POINT
        # What a unit repaid takes out of the collateral that counts.
        taken = div_up(numerator * threshold * BASIS_POINT, denominator)
        if target > taken:
            most = min(debt, div_up(debt * (target - health), target - taken))
    elif health > terms.whole_close_health * BASIS_POINT and min(debt, worth) >= terms.small_position * RAD:
        most = debt * terms.close_factor // BASIS_POINTS
    return Quote(debt, worth, health, numerator, denominator, most)


class FixedDiscount(Administered):
    """Liquidation mechanism that sells unsafe vaults' collateral at the feed's price less a bonus.

    Model of contracts/FixedDiscount.vy.
    """

    KIND = "FixedDiscount"

    vault_engine_address = immutable("VAULT_ENGINE", str)

    def __init__(self, world: World, name: str, address: str, vault_engine: str, admin: str) -> None:
        super().__init__(world, name, address, admin)
        self.vault_engine_address = vault_engine
        self.terms = self.table("terms", Terms())

    @external
    def set_terms(self, sender: str, collateral_type: int, terms: Terms) -> None:
        """Set a collateral type's terms for later liquidations. Only the admin may call this.

        Reverts for terms out of bounds, or a bonus that the liquidation ratio cannot pay.
        """
        self._only_admin(sender)
        new = Terms(*terms)
        _check_bonus_terms(new)
        _check_amount_terms(new)
        require(new.fee <= BASIS_POINTS, "fixed_discount: fee bounds")
        engine = cast(IVaultEngine, self.world.at(self.vault_engine_address))
        new.check_bonus(engine.terms_of(self.address, collateral_type).liquidation_ratio)
        self.terms[collateral_type] = new
        self.emit("TermsSet", collateral_type, new)

    @view
    def plan_sale(
        self,
        sender: str,
        collateral_type: int,
        position: Position,
        max_collateral: int,
        max_repay: int,
    ) -> Sale:
        """Return the amounts of a sale of an unsafe vault's collateral, within the buyer's limits.

        The limits are the collateral bought and the stablecoin paid [wad]. Reverts if no sale is possible.
        """
        terms, position = self._load_terms(collateral_type), Position(*position)
        return self._plan_within_limits(terms, position, max_collateral, max_repay)

    @view
    def can_auction(self, sender: str, collateral_type: int, position: Position) -> bool:
        """Return False, because this mechanism sells every vault at the discount."""
        return False

    @external
    def check_sale_terms(self, sender: str, collateral_type: int, liquidation_ratio: int) -> None:
        """Revert unless a type has terms, and its largest bonus fits the liquidation ratio [basis points]."""
        self._load_terms(collateral_type).check_bonus(liquidation_ratio)

    @view
    def terms_of(self, sender: str, collateral_type: int) -> Terms:
        """Return a collateral type's terms of sale. Reverts if it has none."""
        return self._load_terms(collateral_type)

    def _plan_within_limits(
        self, terms: Terms, position: Position, max_collateral: int, max_repay: int
    ) -> Sale:
        """Return the amounts of a sale within the buyer's limits; the naive contract overrides this rule."""
        return plan_sale(terms, position, max_collateral, max_repay)

    def _load_terms(self, collateral_type: int) -> Terms:
        terms: Terms = self.terms[collateral_type]
        require(terms != Terms(), "fixed_discount: no terms")
        return terms


def _check_bonus_terms(terms: Terms) -> None:
    is_bounded = terms.base_bonus <= terms.max_bonus <= bounds.MAX_LIQUIDATION_BONUS
    require(is_bounded, "fixed_discount: bonus bounds")
    require(terms.full_bonus_health < BASIS_POINTS, "fixed_discount: health bounds")
    require(terms.max_discount <= bounds.MAX_LIQUIDATION_BONUS, "fixed_discount: discount bounds")
    require(terms.cursor < BASIS_POINTS, "fixed_discount: cursor bounds")
    if terms.max_discount:
        others = terms.max_bonus or terms.full_bonus_health or terms.cursor
        require(not others, "fixed_discount: two bonuses")
    if terms.cursor:
        require(not (terms.base_bonus or terms.full_bonus_health), "fixed_discount: two bonuses")


def _check_amount_terms(terms: Terms) -> None:
    if terms.target_health:
        is_bounded = BASIS_POINTS < terms.target_health <= bounds.MAX_TARGET_HEALTH
        require(is_bounded, "fixed_discount: target bounds")
        others = terms.close_factor or terms.whole_close_health or terms.small_position
        require(not others, "fixed_discount: two amounts")
    else:
        is_bounded = bounds.MIN_CLOSE_FACTOR <= terms.close_factor <= BASIS_POINTS
        require(is_bounded, "fixed_discount: factor bounds")
        require(terms.whole_close_health <= BASIS_POINTS, "fixed_discount: close bounds")
        require(terms.small_position <= bounds.MAX_SMALL_POSITION, "fixed_discount: small bounds")


def plan_sale(terms: Terms, position: Position, max_collateral: int, max_repay: int) -> Sale:
    """Return the amounts of a sale of an unsafe vault's collateral, within the buyer's limits [wad].

    A vault that is worth no more than debt and bonus is sold whole; the unpaid debt is a loss. Raises
    RevertError if the limits allow no sale.
    """
    quote = quote_position(terms, position)
    if not quote.is_under_bonus:
        return plan_part(terms, quote, position, max_collateral, max_repay)
    # Sold whole: collateral is worth no more than debt and bonus, and the rest is a loss.
    collateral = position.locked_collateral
    paid = div_up(quote.compute_cost(collateral, position.price), RAY)
    is_wanted = max_repay >= paid and max_collateral >= collateral
    require(is_wanted, "fixed_discount: whole vault only")
    return build_sale(terms, quote, position, collateral, position.normalized_debt, paid)


def plan_part(terms: Terms, quote: Quote, position: Position, max_collateral: int, max_repay: int) -> Sale:
    """Return the sale of a vault that is worth more than debt and bonus: a part or all of its debt.

    Raises RevertError if the sale exceeds `max_repay` [wad], or leaves a debt under the floor.
    """
    part = quote.compute_wanted_part(position, max_repay)
    collateral = quote.compute_collateral(position, part * position.accumulated_rate)
    is_part = part != position.normalized_debt
    if collateral > max_collateral:
        collateral, is_part = max_collateral - max_collateral % position.unit, True
    if is_part:
        # What whole units cost, however dear they are.
        part = div_up(quote.compute_cost(collateral, position.price), position.accumulated_rate)
        require(not is_rest_too_low(position, part), "fixed_discount: rest too low")
    paid = div_up(part * position.accumulated_rate, RAY)
    require(paid <= max_repay, "fixed_discount: costs too much")
    return build_sale(terms, quote, position, collateral, part, paid)


def build_sale(
    terms: Terms, quote: Quote, position: Position, collateral: int, normalized_debt: int, paid: int
) -> Sale:
    """Return the record of a sale with the protocol's part of the bonus as the fee [wad, rounded down].

    The fee is whole units of the token, rounded down: one dear unit more could take the whole bonus, and the
    sale would find no buyer.
    """
    amount = collateral // position.unit
    gain = amount * (quote.numerator - quote.denominator) * terms.fee
    fee = gain // (quote.numerator * BASIS_POINTS) * position.unit
    return Sale(collateral, normalized_debt, paid, fee)
