# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title Treasury
@license GNU Affero General Public License v3.0 only
@notice Spends the reserve, in the order of income. Losses come first: nothing is spent while one is open, and
        an amount for possible losses stays in the reserve. Then claims are repaid, the most senior series
        first; then the reserve is filled up to its target. The excess insures the margin market, if there is
        one; the pools share the rest, and the remainder is for sale for equity.
@dev Holds nothing: its payments are minted from the reserve and passed on in the same call.
"""
from ethereum.ercs import IERC20

from contracts.interfaces import ILossWaterfall
from contracts.interfaces import IMarginFund
from contracts.interfaces import IPool
from contracts.interfaces import IRecoveryClaims
from contracts.interfaces import ITreasury
from contracts.interfaces import IVaultEngine
from contracts.modules import bounds
from contracts.modules import roles
from contracts.modules import units

implements: ITreasury

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


event ClaimsRepaid:
    claims: indexed(address)
    amount: uint256  # [wad]


event IncomeShared:
    pool: indexed(address)
    amount: uint256  # [wad]


event FundInsured:
    fund: indexed(address)
    amount: uint256  # [wad]


event SurplusOffered:
    amount: uint256  # [wad]
    for_sale: uint256  # [wad]


event SurplusSold:
    receiver: indexed(address)
    amount: uint256  # [wad]


event TargetSet:
    target: uint256  # [whole stablecoins]


event SharesSet:
    shares: DynArray[uint256, bounds.MAX_RECIPIENTS]  # [basis points]


event InsuranceSet:
    share: uint256  # [basis points]
    target: uint256  # [whole stablecoins]


struct Plan:
    target: uint256  # whole stablecoins that the reserve keeps, 64 bits
    offered: uint256  # wad above the target that is for sale, 128 bits


struct InsurancePlan:
    share: uint256  # basis points of new surplus at most, 14 bits
    target: uint256  # whole stablecoins of insurance, above which none is added, 64 bits


MASK_14: constant(uint256) = 2**14 - 1
MASK_64: constant(uint256) = 2**64 - 1

VAULT_ENGINE: public(immutable(IVaultEngine))
LOSS_WATERFALL: public(immutable(ILossWaterfall))
STABLECOIN: public(immutable(IERC20))
SURPLUS_AUCTION: public(immutable(address))
# The margin market's; the zero address if there is none.
FUND: public(immutable(IMarginFund))
CLAIMS: immutable(DynArray[address, bounds.MAX_RECIPIENTS])
POOLS: immutable(DynArray[address, bounds.MAX_RECIPIENTS])

# Plan
plan: uint256
# index of a pool -> basis points of new surplus
shares: HashMap[uint256, uint256]
# Insurance
insuring: uint256


@deploy
def __init__(
    vault_engine: address,
    loss_waterfall: address,
    stablecoin: address,
    surplus_auction: address,
    fund: address,
    admin: address,
    claims: DynArray[address, bounds.MAX_RECIPIENTS],
    pools: DynArray[address, bounds.MAX_RECIPIENTS],
):
    """
    @param vault_engine The ledger; this contract is its treasury.
    @param loss_waterfall Knows whether a loss is open.
    @param stablecoin The token that is spent.
    @param surplus_auction The only contract that sells surplus; the zero address for none.
    @param fund Holds the insurance of the margin market; the zero address if there is none.
    @param admin Sets the target, the shares and the insured market.
    @param claims Series of claims, the most senior first.
    @param pools Pools of stablecoin that income may be shared by.
    """
    roles.__init__(admin)
    VAULT_ENGINE = IVaultEngine(vault_engine)
    LOSS_WATERFALL = ILossWaterfall(loss_waterfall)
    STABLECOIN = IERC20(stablecoin)
    SURPLUS_AUCTION = surplus_auction
    FUND = IMarginFund(fund)
    CLAIMS = claims
    POOLS = pools


# ----------------------------------------------------------------- spending


@external
@nonreentrant
def distribute() -> uint256:
    """
    @notice Repay claims from the reserve less possible losses, then insure and share the excess over the
            target. Permissionless. A share of a pool without members is for sale as well. Protects: no
            account is paid while a loss is open, or while a price has just fallen far and its unsafe vaults
            may not be flagged yet; and no claim waits for a distribution.
    @return [wad] Stablecoin paid to claims, insurance and pools.
    """
    doubt: uint256 = self._doubt_at_payment()
    spent: uint256 = 0
    reserve: uint256 = self._compute_free_reserve()
    for claims: address in CLAIMS:
        due: uint256 = staticcall IRecoveryClaims(claims).repayable(
            self._beyond(reserve, doubt), skip_contract_check=True
        )
        if due != 0:
            self._draw_and_approve_reserve(due, claims)
            extcall IRecoveryClaims(claims).repay(due)
            spent = unsafe_add(spent, due)
            reserve = unsafe_sub(reserve, due)
            log ClaimsRepaid(claims=claims, amount=due)
    plan: Plan = self._load_plan()
    # What is only in doubt is offered still: nobody turns it into income of the pools by a flag.
    offered: uint256 = min(plan.offered, self._compute_surplus(plan, reserve))
    # Each of these is a part of the reserve, under 2**97.
    fresh: uint256 = self._beyond(self._compute_surplus(plan, self._beyond(reserve, doubt)), offered)
    insured: uint256 = 0
    if FUND.address != empty(address):
        insured = self._add_insurance(fresh)
        fresh = unsafe_sub(fresh, insured)
    shared: uint256 = 0
    for i: uint256 in range(len(POOLS), bound=bounds.MAX_RECIPIENTS):
        amount: uint256 = unsafe_mul(fresh, self.shares[i]) // units.BASIS_POINTS
        if amount != 0 and staticcall IPool(POOLS[i]).totalSupply() != 0:
            self._draw_and_approve_reserve(amount, POOLS[i])
            extcall IPool(POOLS[i]).add_income(amount)
            shared = unsafe_add(shared, amount)
            log IncomeShared(pool=POOLS[i], amount=amount)
    fresh = unsafe_sub(fresh, shared)
    plan.offered = unsafe_add(offered, fresh)
    self._store_plan(plan)
    log SurplusOffered(amount=fresh, for_sale=plan.offered)
    return unsafe_add(unsafe_add(spent, insured), shared)


@external
def sell(amount: uint256, receiver: address):
    """
    @notice Pay sold surplus to its buyer. Surplus auction only; not while a price has just fallen far.
            Protects: no publicly visible loss is left to the stages behind the reserve.
    @param amount [wad] Stablecoin, at most the surplus for sale.
    @param receiver Receiver of the stablecoin.
    """
    assert msg.sender == SURPLUS_AUCTION, "treasury: not surplus auction"
    plan: Plan = self._load_plan()
    assert amount <= self._for_sale(plan, self._doubt_at_payment()), "treasury: not for sale"
    plan.offered = unsafe_sub(plan.offered, amount)
    self._store_plan(plan)
    log SurplusSold(receiver=receiver, amount=amount)
    extcall VAULT_ENGINE.spend_reserve(amount, receiver, skip_contract_check=True)


# --------------------------------------------------------------- parameters


@external
def set_target(new: uint256):
    """
    @notice Set the target of the reserve. Admin only.
    @param new [whole stablecoins] Above it, the reserve is surplus.
    """
    roles._only_admin()
    assert new <= bounds.MAX_GLOBAL_DEBT_CEILING, "treasury: target bounds"
    plan: Plan = self._load_plan()
    plan.target = new
    self._store_plan(plan)
    log TargetSet(target=new)


@external
def set_shares(shares: DynArray[uint256, bounds.MAX_RECIPIENTS]):
    """
    @notice Set the shares of the pools in new surplus. Admin only. The rest is for sale.
    @param shares [basis points] One for each pool, in their order.
    """
    roles._only_admin()
    assert len(shares) == len(POOLS), "treasury: a share for each pool"
    total: uint256 = 0
    for i: uint256 in range(len(shares), bound=bounds.MAX_RECIPIENTS):
        total += shares[i]
        self.shares[i] = shares[i]
    assert total <= units.BASIS_POINTS, "treasury: shares above the whole"
    log SharesSet(shares=shares)


@external
def set_insurance(share: uint256, target: uint256):
    """
    @notice Set the plan of the margin market's insurance. Admin only. It comes before the pools' shares.
    @param share [basis points] Of new surplus, at most.
    @param target [whole stablecoins] Of insurance, above which none is added.
    """
    roles._only_admin()
    assert share <= units.BASIS_POINTS, "treasury: insured share bounds"
    assert target <= bounds.MAX_GLOBAL_DEBT_CEILING, "treasury: insurance bounds"
    self.insuring = share | (target << 14)
    log InsuranceSet(share=share, target=target)


# -------------------------------------------------------------------- views


@external
@view
def for_sale() -> uint256:
    """
    @notice Return the surplus that is for sale: less the losses of the reserve since it was offered, and the
            possible ones.
    @return [wad] Stablecoin, rounded down.
    """
    doubt: uint256 = units._div_up(staticcall LOSS_WATERFALL.debt_at_risk_total(), units.RAY)
    return self._for_sale(self._load_plan(), doubt)


@external
@view
def target() -> uint256:
    """
    @notice Return the target of the reserve.
    @return [whole stablecoins] Above it, the reserve is surplus.
    """
    return self._load_plan().target


@external
@view
def claims() -> DynArray[address, bounds.MAX_RECIPIENTS]:
    """
    @notice The series of claims that are repaid.
    @return The most senior first.
    """
    return CLAIMS


@external
@view
def pools() -> DynArray[address, bounds.MAX_RECIPIENTS]:
    """
    @notice The pools that income may be shared by.
    @return In the order of their shares.
    """
    return POOLS


@external
@view
def share_of(index: uint256) -> uint256:
    """
    @notice Return the share of a pool in new surplus.
    @param index [index] The pool's, from 0.
    @return [basis points] 0 if it gets nothing.
    """
    return self.shares[index]


@external
@view
def insurance_plan() -> InsurancePlan:
    """
    @notice Return the plan of the margin market's insurance.
    @return The share of new surplus, and the target.
    """
    return self._load_insuring()


# ------------------------------------------------------------------ helpers


@internal
@view
def _doubt_at_payment() -> uint256:
    """
    @dev The possible losses before any stage but the reserve pays, wad, rounded up. Losses are paid before
         any account, and vaults are flagged after a price drop before any account is paid. In settlement the
         ledger lets nothing out of the reserve.
    """
    doubt: uint256 = staticcall LOSS_WATERFALL.debt_at_risk_at_payment(skip_contract_check=True)
    # All debt is under 2**186 rad.
    return unsafe_add(doubt, units.RAY - 1) // units.RAY


@internal
@view
def _compute_free_reserve() -> uint256:
    """@dev The free part of the reserve, wad, rounded down."""
    return staticcall VAULT_ENGINE.reserve(skip_contract_check=True) // units.RAY


@internal
@pure
def _beyond(reserve: uint256, kept: uint256) -> uint256:
    """@dev The excess of a reserve over a part of it, wad; 0 if it has less."""
    return unsafe_sub(reserve, min(reserve, kept))


@internal
@pure
def _compute_surplus(plan: Plan, reserve: uint256) -> uint256:
    """@dev The excess of a reserve over its target, wad."""
    return self._beyond(reserve, unsafe_mul(plan.target, units.WAD))


@internal
@view
def _for_sale(plan: Plan, doubt: uint256) -> uint256:
    """@dev The offered surplus that is still beyond possible losses and target, wad."""
    return min(plan.offered, self._compute_surplus(plan, self._beyond(self._compute_free_reserve(), doubt)))


@internal
def _draw_and_approve_reserve(amount: uint256, spender: address):
    """@dev Take stablecoin out of the reserve for an account that then pulls it."""
    extcall VAULT_ENGINE.spend_reserve(amount, self, skip_contract_check=True)
    extcall STABLECOIN.approve(spender, amount)


@internal
def _add_insurance(fresh: uint256) -> uint256:
    """@dev Add to the margin market's insurance its shortfall, at most its share of new surplus; wad."""
    insuring: InsurancePlan = self._load_insuring()
    most: uint256 = fresh * insuring.share // units.BASIS_POINTS
    if most == 0:
        return 0
    target: uint256 = insuring.target * units.WAD
    held: uint256 = (staticcall FUND.insurance_of()).amount
    amount: uint256 = min(most, target - min(target, held))
    if amount != 0:
        self._draw_and_approve_reserve(amount, FUND.address)
        extcall FUND.insure(amount)
        log FundInsured(fund=FUND.address, amount=amount)
    return amount


@internal
@view
def _load_insuring() -> InsurancePlan:
    word: uint256 = self.insuring
    return InsurancePlan(share=word & MASK_14, target=word >> 14)


@internal
@view
def _load_plan() -> Plan:
    word: uint256 = self.plan
    return Plan(target=word & MASK_64, offered=word >> 64)


@internal
def _store_plan(plan: Plan):
    # The reserve is under 2**186 rad, 2**97 wad.
    self.plan = plan.target | (plan.offered << 64)
