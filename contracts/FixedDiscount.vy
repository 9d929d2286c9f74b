# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title FixedDiscount
@license GNU Affero General Public License v3.0 only
@notice The liquidation mechanism of Aave, Morpho and Euler: a buyer repays debt of an unsafe vault and gets
        collateral for it at once, at the price of the feed and a bonus. How large the bonus is, how much may
        be repaid and which part of the bonus is the protocol's are terms of the collateral type. It holds
        nothing: the liquidation engine asks it, and books the sale.
@dev With W the collateral's worth and D the debt, q = 10^8 // liquidation_ratio (Aave's
     liquidation threshold) and
         health = min(1, W * q / D)
     a repayment r buys collateral worth r * B, where the bonus B is one of
         base_bonus + (max_bonus - base_bonus) * min(1, (1 - health) / (1 - full_bonus_health))
         1 / max(health, 1 - max_discount)                  if max_discount is set, as Euler's
         min(max_bonus, 1 / (1 - cursor * (1 - q)))         if cursor is set, as Morpho Blue's
     and at most is repaid
         D * (target_health - health) / (target_health - B * q)    if target_health is set, as in Aave v4
         D * close_factor                                          else, as in Aave v3
     or all of D where health is at most whole_close_health, or W or D under small_position.
     A vault with W <= D * B is sold whole: a part would leave it with less collateral for each unit of debt,
     and debt that stays unpaid then is a loss now. All is sold as well where the rest would be under the
     floor. Collateral is rounded down to the token's unit. The debt that leaves the vault is the price of the
     collateral, up to a whole unit of normalized debt, and the payment up to the wei. The fee is rounded down
     to the unit.
"""
from contracts.interfaces import ILiquidationMechanism
from contracts.interfaces import IVaultEngine
from contracts.modules import bounds
from contracts.modules import roles
from contracts.modules import units

implements: ILiquidationMechanism

initializes: roles

exports: (
    roles.admin,
    roles.pending_admin,
    roles.transfer_admin,
    roles.accept_admin,
    roles.grant_role,
    roles.revoke_role,
    roles.has_role,
)


event TermsSet:
    collateral_type: indexed(uint256)  # [id]
    terms: Terms


struct Terms:
    base_bonus: uint256  # basis points on top of what is repaid, at a health of 1, 14 bits
    max_bonus: uint256  # basis points on top of what is repaid, at most, 14 bits
    full_bonus_health: uint256  # basis points: at this health and under it the bonus is the largest, 14 bits
    max_discount: uint256  # basis points: a discount of 1 - health, up to this; 0 is off, 14 bits
    cursor: uint256  # basis points: a bonus from the liquidation ratio; 0 is off, 14 bits
    target_health: uint256  # basis points that a repayment goes up to; 0 is a close factor instead, 15 bits
    close_factor: uint256  # basis points of the debt, at most, in one call; 0 with a target, 14 bits
    whole_close_health: uint256  # basis points: at this health and under it all may be repaid, 14 bits
    small_position: uint256  # whole stablecoins: of less debt or collateral all may be repaid, 24 bits
    fee: uint256  # basis points of the bonus, for the protocol, 14 bits


struct Quote:
    debt: uint256  # rad
    worth: uint256  # rad
    numerator: uint256  # wad; what is repaid times numerator / denominator is what the buyer gets
    denominator: uint256  # wad
    most: uint256  # rad that may be repaid, at most


WAD: constant(uint256) = 10**18
# One basis point of one.
STEP: constant(uint256) = 10**14
# Rad of debt or worth; times two wad it is under 2**256, times 2**15 basis points and STEP too. A type's debt
# is under 2**181, and no vault that is unsafe is worth more than its debt six times.
MAX_AMOUNT: constant(uint256) = 2**191
MASK_14: constant(uint256) = 2**14 - 1
MASK_15: constant(uint256) = 2**15 - 1
MASK_24: constant(uint256) = 2**24 - 1

VAULT_ENGINE: public(immutable(IVaultEngine))

# collateral type -> Terms, packed from bit 0 in their order; 0 is none
terms: HashMap[uint256, uint256]


@deploy
def __init__(vault_engine: address, admin: address):
    """
    @notice Wire the contract to the protocol, for good.
    @param vault_engine The ledger.
    @param admin The first admin; sets the terms.
    """
    roles.__init__(admin)
    VAULT_ENGINE = IVaultEngine(vault_engine)


@external
def set_terms(collateral_type: uint256, terms: Terms):
    """
    @notice Set a type's terms, for liquidations from now on. Admin only. Protects: there is one rule for the
            bonus and one for the amount; every vault that is unsafe can be sold; and a vault that has just
            become unsafe is worth more than its debt with the bonus, so liquidating it makes no loss.
    @param collateral_type [id] The collateral type.
    @param terms The terms; a field that does not count is 0.
    """
    roles._only_admin()
    assert (
        terms.base_bonus <= terms.max_bonus and terms.max_bonus <= bounds.MAX_LIQUIDATION_BONUS
    ), "fixed_discount: bonus bounds"
    assert terms.full_bonus_health < units.BASIS_POINTS, "fixed_discount: health bounds"
    assert terms.max_discount <= bounds.MAX_LIQUIDATION_BONUS, "fixed_discount: discount bounds"
    assert terms.cursor < units.BASIS_POINTS, "fixed_discount: cursor bounds"
    # A rule that is set leaves out what belongs to the others.
    others: uint256 = 0
    if terms.max_discount != 0:
        others = terms.max_bonus | terms.full_bonus_health | terms.cursor
    elif terms.cursor != 0:
        others = terms.base_bonus | terms.full_bonus_health
    assert others == 0, "fixed_discount: two bonuses"
    if terms.target_health != 0:
        assert (
            terms.target_health > units.BASIS_POINTS and terms.target_health <= bounds.MAX_TARGET_HEALTH
        ), "fixed_discount: target bounds"
        assert (
            terms.close_factor == 0 and terms.whole_close_health == 0 and terms.small_position == 0
        ), "fixed_discount: two amounts"
    else:
        assert (
            terms.close_factor >= bounds.MIN_CLOSE_FACTOR and terms.close_factor <= units.BASIS_POINTS
        ), "fixed_discount: factor bounds"
        assert terms.whole_close_health <= units.BASIS_POINTS, "fixed_discount: close bounds"
        assert terms.small_position <= bounds.MAX_SMALL_POSITION, "fixed_discount: small bounds"
    assert terms.fee <= units.BASIS_POINTS, "fixed_discount: fee bounds"
    self._check_bonus(terms, (staticcall VAULT_ENGINE.terms_of(collateral_type)).liquidation_ratio)
    self.terms[collateral_type] = (
        terms.base_bonus
        | (terms.max_bonus << 14)
        | (terms.full_bonus_health << 28)
        | (terms.max_discount << 42)
        | (terms.cursor << 56)
        | (terms.target_health << 70)
        | (terms.close_factor << 85)
        | (terms.whole_close_health << 99)
        | (terms.small_position << 113)
        | (terms.fee << 137)
    )
    log TermsSet(collateral_type=collateral_type, terms=terms)


# -------------------------------------------------------------------- views


@external
@view
def plan_sale(
    collateral_type: uint256,
    position: ILiquidationMechanism.Position,
    max_collateral: uint256,
    max_repay: uint256,
) -> ILiquidationMechanism.Sale:
    """
    @notice Return the sale of an unsafe vault's collateral, within the buyer's limits. Anyone. Protects: a
            part leaves the vault with more collateral for each unit of debt than before, and with a debt of
            the floor at least; no debt stays where no collateral does.
    @param collateral_type [id] The collateral type.
    @param position The vault as it stands, its fee charged, and the price.
    @param max_collateral [wad] The most collateral that the buyer takes.
    @param max_repay [wad] The most stablecoin that the buyer pays.
    @return The amounts that leave the vault, and the payment.
    """
    terms: Terms = self._load_terms(collateral_type)
    quote: Quote = self._quote(terms, position)
    if self._is_under_bonus(quote):
        # Sold whole: collateral is worth no more than debt and bonus, and what is not repaid is a loss.
        paid: uint256 = units._div_up(
            self._cost(quote, position.locked_collateral, position.price), units.RAY
        )
        assert (
            max_repay >= paid and max_collateral >= position.locked_collateral
        ), "fixed_discount: whole vault only"
        return self._build_sale(
            terms, quote, position, position.locked_collateral, position.normalized_debt, paid
        )
    return self._plan_part(terms, quote, position, max_collateral, max_repay)


@external
@view
def can_auction(collateral_type: uint256, position: ILiquidationMechanism.Position) -> bool:
    """
    @notice Return false: every vault is sold at the discount. Anyone.
    @param collateral_type [id] The collateral type.
    @param position The vault.
    @return Always false.
    """
    return False


@external
def check_sale_terms(collateral_type: uint256, liquidation_ratio: uint256):
    """
    @notice Revert unless a type has terms, and its largest bonus stays under a liquidation ratio. Anyone.
    @param collateral_type [id] The collateral type.
    @param liquidation_ratio [basis points] The ratio that it has, or is to have.
    """
    self._check_bonus(self._load_terms(collateral_type), liquidation_ratio)


@external
@view
def terms_of(collateral_type: uint256) -> Terms:
    """
    @notice Return a type's terms. Reverts without any.
    @param collateral_type [id] The collateral type.
    @return The terms.
    """
    return self._load_terms(collateral_type)


# ------------------------------------------------------------------ helpers


@internal
@view
def _load_terms(collateral_type: uint256) -> Terms:
    word: uint256 = self.terms[collateral_type]
    assert word != 0, "fixed_discount: no terms"
    return Terms(
        base_bonus=word & MASK_14,
        max_bonus=(word >> 14) & MASK_14,
        full_bonus_health=(word >> 28) & MASK_14,
        max_discount=(word >> 42) & MASK_14,
        cursor=(word >> 56) & MASK_14,
        target_health=(word >> 70) & MASK_15,
        close_factor=(word >> 85) & MASK_14,
        whole_close_health=(word >> 99) & MASK_14,
        small_position=(word >> 113) & MASK_24,
        fee=word >> 137,
    )


@internal
@pure
def _check_bonus(terms: Terms, liquidation_ratio: uint256):
    """@dev The bonus at its largest; one that is a discount by the distance from health is none at health."""
    numerator: uint256 = 0
    denominator: uint256 = 0
    health: uint256 = 0 if terms.max_discount == 0 else WAD
    numerator, denominator = self._bonus(terms, liquidation_ratio, health)
    assert numerator * units.BASIS_POINTS < liquidation_ratio * denominator, "fixed_discount: high bonus"


@internal
@pure
def _bonus(terms: Terms, liquidation_ratio: uint256, health: uint256) -> (uint256, uint256):
    """
    @dev Collateral that a buyer gets for a repayment, as a fraction of two wad. A bonus that depends on
         health is in whole basis points above the lowest, rounded down: against the buyer.
    """
    if terms.max_discount != 0:
        return WAD, max(health, unsafe_sub(WAD, unsafe_mul(terms.max_discount, STEP)))
    if terms.cursor != 0:
        # At most all of a bonus: the cursor is under one.
        beyond: uint256 = unsafe_sub(units.BASIS_POINTS, self._threshold(liquidation_ratio))
        factor: uint256 = WAD * WAD // (WAD - terms.cursor * beyond * STEP // units.BASIS_POINTS)
        return min(factor, unsafe_add(WAD, unsafe_mul(terms.max_bonus, STEP))), WAD
    full: uint256 = unsafe_mul(terms.full_bonus_health, STEP)
    bonus: uint256 = terms.max_bonus
    if health > full and bonus != terms.base_bonus:
        rise: uint256 = unsafe_mul(unsafe_sub(bonus, terms.base_bonus), unsafe_sub(WAD, health))
        bonus = unsafe_add(terms.base_bonus, unsafe_div(rise, unsafe_sub(WAD, full)))
    return unsafe_add(WAD, unsafe_mul(bonus, STEP)), WAD


@internal
@pure
def _threshold(liquidation_ratio: uint256) -> uint256:
    """@dev Debt for collateral's worth at a health of 1, in basis points, rounded down."""
    return units.BASIS_POINTS * units.BASIS_POINTS // liquidation_ratio


@internal
@pure
def _quote(terms: Terms, position: ILiquidationMechanism.Position) -> Quote:
    """@dev Health, bonus and the most to repay. A vault that is unsafe for another reason has a health of 1.
    """
    # What can be too large for 256 bits is checked here; what is unchecked below is smaller.
    debt: uint256 = position.normalized_debt * position.accumulated_rate
    worth: uint256 = position.locked_collateral * position.price
    assert max(debt, worth) < MAX_AMOUNT, "fixed_discount: amount too large"
    threshold: uint256 = self._threshold(position.liquidation_ratio)
    health: uint256 = WAD
    counted: uint256 = unsafe_mul(worth, threshold)
    if counted < unsafe_mul(debt, units.BASIS_POINTS):
        if terms.max_discount == 0:
            health = unsafe_div(unsafe_mul(counted, STEP), debt)
        else:
            # In whole wei, as Euler's: worth and what it counts for down, the debt up.
            counted = unsafe_div(unsafe_mul(unsafe_div(worth, units.RAY), threshold), units.BASIS_POINTS)
            health = unsafe_div(unsafe_mul(counted, WAD), units._div_up(debt, units.RAY))
    numerator: uint256 = 0
    denominator: uint256 = 0
    numerator, denominator = self._bonus(terms, position.liquidation_ratio, health)
    most: uint256 = debt
    if terms.target_health != 0:
        target: uint256 = unsafe_mul(terms.target_health, STEP)
        # What a unit repaid takes out of the collateral that counts.
        taken: uint256 = units._div_up(unsafe_mul(unsafe_mul(numerator, threshold), STEP), denominator)
        if target > taken:
            share: uint256 = unsafe_mul(debt, unsafe_sub(target, health))
            most = min(debt, units._div_up(share, unsafe_sub(target, taken)))
    elif health > unsafe_mul(terms.whole_close_health, STEP) and min(debt, worth) >= unsafe_mul(
        terms.small_position, units.RAD
    ):
        most = unsafe_div(unsafe_mul(debt, terms.close_factor), units.BASIS_POINTS)
    return Quote(debt=debt, worth=worth, numerator=numerator, denominator=denominator, most=most)


@internal
@pure
def _is_under_bonus(quote: Quote) -> bool:
    """@dev Whether a part would leave less collateral for each unit of debt."""
    return unsafe_mul(quote.worth, quote.denominator) <= unsafe_mul(quote.debt, quote.numerator)


@internal
@pure
def _cost(quote: Quote, collateral: uint256, price: uint256) -> uint256:
    """@dev The price of collateral of the vault, rad, rounded up."""
    return units._div_up(unsafe_mul(unsafe_mul(collateral, price), quote.denominator), quote.numerator)


@internal
@pure
def _collateral_for(quote: Quote, position: ILiquidationMechanism.Position, principal: uint256) -> uint256:
    """@dev Wad of collateral for principal, rad, with the bonus, down to the token's unit."""
    unit_price: uint256 = unsafe_mul(position.price, position.unit)
    amount: uint256 = unsafe_mul(principal, quote.numerator) // unsafe_mul(unit_price, quote.denominator)
    return unsafe_mul(amount, position.unit)


@internal
@pure
def _wanted_part(quote: Quote, position: ILiquidationMechanism.Position, max_repay: uint256) -> uint256:
    """@dev Wad of normalized debt that may be sold and is paid for; all of it if the rest would be too low.
    """
    part: uint256 = min(units._div_up(quote.most, position.accumulated_rate), position.normalized_debt)
    if max_repay < units._div_up(quote.debt, units.RAY):
        part = min(part, unsafe_mul(max_repay, units.RAY) // position.accumulated_rate)
    if self._is_rest_too_low(position, part):
        return position.normalized_debt
    return part


@internal
@pure
def _is_rest_too_low(position: ILiquidationMechanism.Position, part: uint256) -> bool:
    """@dev Whether a part leaves a debt under the floor, or none."""
    rest: uint256 = unsafe_sub(position.normalized_debt, part)
    return unsafe_mul(rest, position.accumulated_rate) < position.debt_floor


@internal
@pure
def _plan_part(
    terms: Terms,
    quote: Quote,
    position: ILiquidationMechanism.Position,
    max_collateral: uint256,
    max_repay: uint256,
) -> ILiquidationMechanism.Sale:
    """@dev A sale of a vault that is worth more than its debt and the bonus: a part, or all of the debt."""
    part: uint256 = self._wanted_part(quote, position, max_repay)
    collateral: uint256 = self._collateral_for(quote, position, unsafe_mul(part, position.accumulated_rate))
    is_part: bool = part != position.normalized_debt
    if collateral > max_collateral:
        collateral = unsafe_sub(max_collateral, max_collateral % position.unit)
        is_part = True
    if is_part:
        # What whole units cost, however dear they are.
        part = units._div_up(self._cost(quote, collateral, position.price), position.accumulated_rate)
        assert not self._is_rest_too_low(position, part), "fixed_discount: rest too low"
    paid: uint256 = units._div_up(unsafe_mul(part, position.accumulated_rate), units.RAY)
    assert paid <= max_repay, "fixed_discount: costs too much"
    return self._build_sale(terms, quote, position, collateral, part, paid)


@internal
@pure
def _build_sale(
    terms: Terms,
    quote: Quote,
    position: ILiquidationMechanism.Position,
    collateral: uint256,
    normalized_debt: uint256,
    paid: uint256,
) -> ILiquidationMechanism.Sale:
    """
    @dev The sale with the protocol's part of the bonus, rounded down: of dear units one more could be all of
         the bonus, and no buyer would take it.
    """
    fee: uint256 = 0
    if terms.fee != 0:
        amount: uint256 = collateral // position.unit
        gain: uint256 = unsafe_mul(
            unsafe_mul(amount, unsafe_sub(quote.numerator, quote.denominator)), terms.fee
        )
        fee = unsafe_mul(unsafe_div(gain, unsafe_mul(quote.numerator, units.BASIS_POINTS)), position.unit)
    return ILiquidationMechanism.Sale(
        collateral=collateral, normalized_debt=normalized_debt, paid=paid, fee=fee
    )
