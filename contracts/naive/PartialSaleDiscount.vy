# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title PartialSaleDiscount
@license GNU Affero General Public License v3.0 only
@notice Fixed discounts with sales of any part of a vault, also of one that is worth no more than its debt and
        the bonus. The rest has less collateral for each unit of debt than before, and its loss stays unbooked
        until the last of the collateral is sold. So it is on Aave, Morpho Blue and Euler. It is what
        `FixedDiscount` is compared with; no deployment should have it.
@dev All but the sale of such a vault is that contract's. As on Aave, collateral that is worth less than the
     debt floor stays in no vault that owes.
"""
from contracts import FixedDiscount
from contracts.interfaces import ILiquidationMechanism
from contracts.modules import units

implements: ILiquidationMechanism

initializes: FixedDiscount

exports: (
    FixedDiscount.admin,
    FixedDiscount.pending_admin,
    FixedDiscount.transfer_admin,
    FixedDiscount.accept_admin,
    FixedDiscount.grant_role,
    FixedDiscount.revoke_role,
    FixedDiscount.has_role,
    FixedDiscount.VAULT_ENGINE,
    FixedDiscount.set_terms,
    FixedDiscount.can_auction,
    FixedDiscount.check_sale_terms,
    FixedDiscount.terms_of,
)


@deploy
def __init__(vault_engine: address, admin: address):
    """
    @notice Wire the contract to the protocol, for good.
    @param vault_engine The ledger.
    @param admin The first admin; sets the terms.
    """
    FixedDiscount.__init__(vault_engine, admin)


@external
@view
def plan_sale(
    collateral_type: uint256,
    position: ILiquidationMechanism.Position,
    max_collateral: uint256,
    max_repay: uint256,
) -> ILiquidationMechanism.Sale:
    """
    @notice Return the sale of an unsafe vault's collateral, within the buyer's limits. Anyone.
    @param collateral_type [id] The collateral type.
    @param position The vault as it stands, its fee charged, and the price.
    @param max_collateral [wad] The most collateral that the buyer takes.
    @param max_repay [wad] The most stablecoin that the buyer pays.
    @return The amounts that leave the vault, and the payment.
    """
    terms: FixedDiscount.Terms = FixedDiscount._load_terms(collateral_type)
    quote: FixedDiscount.Quote = FixedDiscount._quote(terms, position)
    if not FixedDiscount._is_under_bonus(quote):
        return FixedDiscount._plan_part(terms, quote, position, max_collateral, max_repay)
    part: uint256 = FixedDiscount._wanted_part(quote, position, max_repay)
    collateral: uint256 = FixedDiscount._collateral_for(quote, position, part * position.accumulated_rate)
    if collateral > max_collateral:
        collateral = max_collateral - max_collateral % position.unit
    part = units._div_up(FixedDiscount._cost(quote, collateral, position.price), position.accumulated_rate)
    principal: uint256 = part * position.accumulated_rate
    locked: uint256 = position.locked_collateral
    if collateral >= locked or (locked - collateral) * position.price < position.debt_floor:
        # What is not repaid is a loss now, as no collateral is left.
        collateral = locked
        part = position.normalized_debt
        principal = FixedDiscount._cost(quote, locked, position.price)
    paid: uint256 = units._div_up(principal, units.RAY)
    assert paid <= max_repay and collateral <= max_collateral, "partial_sale: rest under floor"
    return FixedDiscount._build_sale(terms, quote, position, collateral, part, paid)
