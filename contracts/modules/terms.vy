# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title terms
@license GNU Affero General Public License v3.0 only
@notice The terms of each collateral type, and the roles that may change them: its token, ceilings, ratios,
        fee and limits. Terms that a vault operation reads are in one slot here; terms beside a figure of the
        ledger are in the ledger, and are set from here.
@dev Every setter checks `bounds` and tells of the change.
"""
from ethereum.ercs import IERC20
from ethereum.ercs import IERC20Detailed

from contracts.interfaces import ICollateralAuction
from contracts.interfaces import ILiquidationEngine
from contracts.interfaces import IVaultEngine
from contracts.modules import policy_calls
from contracts.modules import bounds
from contracts.modules import ledger
from contracts.modules import listed_types
from contracts.modules import revert_reason
from contracts.modules import roles
from contracts.modules import units

uses: ledger
uses: roles


event CollateralTypeAdded:
    collateral_type: indexed(uint256)  # [id]
    token: indexed(address)  # the ERC-20 token that is the collateral
    decimals: uint256  # [decimals] the token's, at most 18


event CollateralTypeRetired:
    collateral_type: indexed(uint256)  # [id]


event ParameterChanged:
    collateral_type: indexed(uint256)  # [id] `ALL_TYPES` is a parameter of all types
    parameter: String[24]  # its name, mostly what follows `set_` in the function's
    value: uint256  # [unit of the parameter] as its setter says; 1 is true


event PolicyFailed:
    collateral_type: indexed(uint256)  # [id] its fee stays as it is


# Stands for "all collateral types" in `ParameterChanged`.
ALL_TYPES: constant(uint256) = max_value(uint256)
MAX_DECIMALS: constant(uint256) = 18
# The last bits of a type's word. A type that is retired is settled alone.
DYNAMIC: constant(uint256) = 2**249
REPLACED: constant(uint256) = 2**250
SETTLING: constant(uint256) = 2**251

DAY: constant(uint256) = 86_400

# Where auctions of the collateral take place.
COLLATERAL_AUCTION: public(immutable(address))
# May seize, and note margin calls; asks the risk policy what it may not depend on.
LIQUIDATION_ENGINE: public(immutable(address))
# The risk policy at deployment; the zero address is none, for good.
RISK_POLICY: public(immutable(address))

# How many there ever were; their ids are 0, 1, 2... and never used again.
collateral_types: public(uint256)
# [whole stablecoins] Principal of all types that may be under auction.
global_auction_limit: public(uint256)
# collateral type -> token (160 bits) | debt ceiling ([whole stablecoins], 32 bits) | debt floor ([whole
# stablecoins], 20 bits) | liquidation ratio ([basis points], 16 bits) | initial ratio ([basis points], 16
# bits) | decimals (5 bits) | DYNAMIC if the fee follows utilisation | REPLACED if the risk policy is not the
# one at deployment | SETTLING once settlement has begun
of_types: HashMap[uint256, uint256]
# Refuses new risk and sets dynamic fees; the zero address is none.
risk_policy: public(address)
# collateral type -> fee when it was first to be above FEE_MOVE on a day ([ray a second], 66 bits) | that day
fee_days: HashMap[uint256, uint256]
# The types that are not retired, as `listed_types` has them.
listed: public(uint256)


@deploy
def __init__(collateral_auction: address, liquidation_engine: address, risk_policy: address):
    """
    @param collateral_auction Where auctions of the collateral take place.
    @param liquidation_engine May seize, and note margin calls.
    @param risk_policy Refuses new risk and sets dynamic fees; the zero address is none.
    """
    COLLATERAL_AUCTION = collateral_auction
    LIQUIDATION_ENGINE = liquidation_engine
    RISK_POLICY = risk_policy
    self.risk_policy = risk_policy


# ------------------------------------------------------------------ setters


@external
@nonreentrant
def add_collateral_type(token: address, liquidation_ratio: uint256, initial_ratio: uint256) -> uint256:
    """
    @notice List a token as a new collateral type, with ceilings of zero. Admin only, not in settlement.
            One whole token is pulled from the admin and sent back. Protects: both moves are exact, so a
            token that takes a fee or fails silently is refused here.
    @param token An ERC-20 token of at most 18 decimals.
    @param liquidation_ratio [basis points] of debt; under it a vault is liquidated.
    @param initial_ratio [basis points] of debt that new risk needs; at least the liquidation ratio.
    @return [id] The new type.
    """
    roles._only_admin()
    ledger._check_live()
    new: uint256 = self.collateral_types
    place: uint256 = listed_types._place(self.listed, 0)
    if place == 256 or new >= bounds.MAX_TYPES:
        revert_reason._raise("terms: too many types")
    if token == ledger.STABLECOIN.address:
        revert_reason._raise("terms: own token")
    self._check_ratios(liquidation_ratio, initial_ratio)
    decimals: uint256 = convert(staticcall IERC20Detailed(token).decimals(), uint256)
    if decimals > MAX_DECIMALS:
        revert_reason._raise("terms: token decimals")

    whole: uint256 = 10**decimals
    ours: uint256 = self._get_token_balance(token, self)
    theirs: uint256 = self._get_token_balance(token, msg.sender)
    self._pull_collateral(token, whole)
    if self._get_token_balance(token, self) != ours + whole:
        revert_reason._raise("terms: inexact pull")
    self._push_collateral(token, msg.sender, whole)
    if self._get_token_balance(token, msg.sender) != theirs:
        revert_reason._raise("terms: inexact push")

    self.collateral_types = new + 1
    self.listed |= unsafe_add(new, 1) << place
    ledger._open_type(new)
    ledger._note_global_auction_limit(new, self.global_auction_limit)
    self._store_terms(
        new,
        IVaultEngine.Terms(
            token=token,
            debt_ceiling=0,
            debt_floor=0,
            liquidation_ratio=liquidation_ratio,
            initial_ratio=initial_ratio,
            decimals=decimals,
            dynamic=False,
            replaced=self.risk_policy != RISK_POLICY,
            settling=False,
        ),
    )
    log CollateralTypeAdded(collateral_type=new, token=token, decimals=decimals)
    return new


@external
@nonreentrant
def retire_collateral_type(collateral_type: uint256):
    """
    @notice Take a type off the list, for good: another may take its place among the 32, under an id of its
            own. Admin only, not in settlement, once no vault has debt, nothing is under auction, and no loss
            is uncovered or being paid. Its buffer goes to the reserve. Nothing is locked, drawn, sold or lost
            in it any more; remaining lots without principal may be unwound. Protects: the owner of collateral
            without debt can withdraw it for ever, at any time; later accounts own nothing of the type.
    @param collateral_type [id] The collateral type.
    """
    self._check_admin_and_type(collateral_type)
    self._check_not_settled(collateral_type)
    # It reverts in the middle of a take, whose payment is not booked yet.
    on_sale: uint256 = staticcall ICollateralAuction(COLLATERAL_AUCTION).salvage_on_sale(
        collateral_type, skip_contract_check=True
    )
    ledger._move_retired_buffer_to_reserve(collateral_type, on_sale)
    self._mark_settling(collateral_type)
    listed: uint256 = self.listed
    place: uint256 = listed_types._place(listed, unsafe_add(collateral_type, 1))
    self.listed = (listed & ~(max_value(uint256) << place)) | ((listed >> place >> 8) << place)
    log CollateralTypeRetired(collateral_type=collateral_type)


@external
def set_debt_ceiling(collateral_type: uint256, new: uint256):
    """
    @notice Set a type's debt ceiling. Admin, and the role CEILINGS. It binds draws only. Protects: all
            collateral that can be borrowed against can be liquidated, since the first ceiling above 0 needs
            terms of its auctions.
    @param collateral_type [id] The collateral type.
    @param new [whole stablecoins] The ceiling, at most `bounds.MAX_DEBT_CEILING`.
    """
    roles._only_admin_or(roles.CEILINGS)
    terms: IVaultEngine.Terms = self._load_terms(collateral_type)
    self._emit_parameter(collateral_type, "debt_ceiling", new, bounds.MAX_DEBT_CEILING)
    if terms.debt_ceiling == 0 and new != 0:
        self._check_auctions(collateral_type, terms.liquidation_ratio)
    terms.debt_ceiling = new
    self._store_terms(collateral_type, terms)


@external
def set_debt_floor(collateral_type: uint256, new: uint256):
    """
    @notice Set the smallest debt of a vault. Admin only. Vaults that are under it may stay, or repay.
    @param collateral_type [id] The collateral type.
    @param new [whole stablecoins] The floor, at most `bounds.MAX_DEBT_FLOOR`.
    """
    terms: IVaultEngine.Terms = self._terms_for_admin(collateral_type)
    self._emit_parameter(collateral_type, "debt_floor", new, bounds.MAX_DEBT_FLOOR)
    terms.debt_floor = new
    self._store_terms(collateral_type, terms)
    extcall ICollateralAuction(COLLATERAL_AUCTION).set_minimum(collateral_type, new, skip_contract_check=True)


@external
def set_ratios(collateral_type: uint256, liquidation_ratio: uint256, initial_ratio: uint256):
    """
    @notice Set the liquidation and initial ratios. Admin only, once auctions have terms. Protects: the
            liquidation ratio stays above the penalty of auctions.
    @param collateral_type [id] The collateral type.
    @param liquidation_ratio [basis points] of debt; under it a vault is liquidated.
    @param initial_ratio [basis points] of debt that new risk needs; at least the liquidation ratio.
    """
    terms: IVaultEngine.Terms = self._terms_for_admin(collateral_type)
    self._check_ratios(liquidation_ratio, initial_ratio)
    self._check_auctions(collateral_type, liquidation_ratio)
    terms.liquidation_ratio = liquidation_ratio
    terms.initial_ratio = initial_ratio
    self._store_terms(collateral_type, terms)
    self._emit_parameter(collateral_type, "liquidation_ratio", liquidation_ratio, bounds.MAX_RATIO)
    self._emit_parameter(collateral_type, "initial_ratio", initial_ratio, bounds.MAX_RATIO)


@external
@nonreentrant
def set_stability_fee(collateral_type: uint256, new: uint256):
    """
    @notice Set the stability fee. Admin only, not in settlement. The old fee is charged first. A dynamic
            fee moves on from there.
    @param collateral_type [id] The collateral type.
    @param new [ray a second] The fee, above RAY; at most `bounds.MAX_STABILITY_FEE`.
    """
    self._check_admin_and_type(collateral_type)
    ledger._check_live()
    self._emit_parameter(collateral_type, "stability_fee", new, bounds.MAX_STABILITY_FEE)
    ledger._accrue_fees(collateral_type)
    ledger._store_stability_fee(collateral_type, new)


@external
@nonreentrant
def set_fee_dynamic(collateral_type: uint256, dynamic: bool):
    """
    @notice Have the risk policy set a type's fee whenever its debt changes, or leave it as it is now. Admin
            only, not in settlement, and not without a risk policy. Protects: at any answer of the policy, the
            fee is at most `bounds.MAX_POLICY_FEE`, and above `bounds.FEE_MOVE` it rises within a day (of UTC)
            by no more than that; without an answer, it stays.
    @param collateral_type [id] The collateral type.
    @param dynamic Whether the fee follows utilisation.
    """
    terms: IVaultEngine.Terms = self._terms_for_admin(collateral_type)
    ledger._check_not(terms.settling)
    self._check_has_risk_policy()
    terms.dynamic = dynamic
    self._store_terms(collateral_type, terms)
    self._emit_parameter(collateral_type, "fee_dynamic", convert(dynamic, uint256), 1)
    if dynamic:
        debts: IVaultEngine.Debts = ledger._accrue_fees(collateral_type)
        self._update_dynamic_fee(collateral_type, terms.replaced, debts, debts.normalized_debt)


@external
@nonreentrant
def set_risk_policy(new: address):
    """
    @notice Have another contract be the risk policy: for new risk, fees, add-ons, calls and limits. Admin
            only, not in settlement, and not without a policy at deployment. Protects: it proves itself by
            answering for every type, within its gas and its bounds.
    @param new The policy from now on.
    """
    roles._only_admin()
    ledger._check_live()
    self._check_has_risk_policy()
    if not staticcall ILiquidationEngine(LIQUIDATION_ENGINE).is_policy(new):
        revert_reason._raise("terms: not a policy")
    self.risk_policy = new
    # Told beside the terms of each type, which vaults load anyway.
    replaced: uint256 = 0 if new == RISK_POLICY else REPLACED
    rest: uint256 = self.listed
    for _: uint256 in range(bounds.MAX_COLLATERAL_TYPES):
        if rest == 0:
            break
        collateral_type: uint256 = unsafe_sub(rest & 255, 1)
        rest >>= 8
        self.of_types[collateral_type] = (self.of_types[collateral_type] & ~REPLACED) | replaced
    self._emit_parameter(ALL_TYPES, "risk_policy", convert(new, uint256), max_value(uint256))


@external
@nonreentrant
def set_buffer_share(collateral_type: uint256, new: uint256):
    """
    @notice Set which share of fees fills the type's buffer. Admin only. Fees up to now are shared at the
            old value.
    @param collateral_type [id] The collateral type.
    @param new [basis points] The share, at most `bounds.MAX_BUFFER_SHARE`.
    """
    self._check_admin_and_type(collateral_type)
    self._emit_parameter(collateral_type, "buffer_share", new, bounds.MAX_BUFFER_SHARE)
    ledger._set_buffer_share(collateral_type, new)


@external
def set_auction_limit(collateral_type: uint256, new: uint256):
    """
    @notice Set how much principal of a type may be under auction. Admin only.
    @param collateral_type [id] The collateral type.
    @param new [whole stablecoins] The limit, at most `bounds.MAX_DEBT_CEILING`.
    """
    self._check_admin_and_type(collateral_type)
    self._emit_parameter(collateral_type, "auction_limit", new, bounds.MAX_DEBT_CEILING)
    ledger._store_auction_limit(collateral_type, new)


@external
def set_redistribution_cap(collateral_type: uint256, new: uint256):
    """
    @notice Set how far redistribution may raise a type's debts in any time as long as an epoch. Admin only.
    @param collateral_type [id] The collateral type.
    @param new [basis points] The cap, at most all.
    """
    self._check_admin_and_type(collateral_type)
    self._emit_parameter(collateral_type, "redistribution_cap", new, units.BASIS_POINTS)
    ledger._store_redistribution_cap(collateral_type, new)


@external
def set_global_debt_ceiling(new: uint256):
    """
    @notice Set the debt ceiling of all types together. Admin only, not in settlement.
    @param new [whole stablecoins] The ceiling, at most `bounds.MAX_GLOBAL_DEBT_CEILING`.
    """
    roles._only_admin()
    ledger._check_live()
    self._emit_parameter(ALL_TYPES, "global_debt_ceiling", new, bounds.MAX_GLOBAL_DEBT_CEILING)
    ledger._store_global_debt_ceiling(new)


@external
def set_global_auction_limit(new: uint256):
    """
    @notice Set how much principal of all types may be under auction. Admin only.
    @param new [whole stablecoins] The limit, at most `bounds.MAX_GLOBAL_DEBT_CEILING`.
    """
    roles._only_admin()
    self._emit_parameter(ALL_TYPES, "global_auction_limit", new, bounds.MAX_GLOBAL_DEBT_CEILING)
    self.global_auction_limit = new
    rest: uint256 = self.listed
    for _: uint256 in range(bounds.MAX_COLLATERAL_TYPES):
        if rest == 0:
            break
        ledger._note_global_auction_limit(unsafe_sub(rest & 255, 1), new)
        rest >>= 8


# -------------------------------------------------------------------- views


@external
@view
def terms_of(collateral_type: uint256) -> IVaultEngine.Terms:
    """
    @notice Return a type's token, ceiling, floor and ratios, whether its fee is dynamic, and whether
            settlement has begun or it is retired. Reverts for an unknown type.
    @param collateral_type [id] The collateral type.
    @return Its terms.
    """
    return self._load_terms(collateral_type)


@external
@view
def unit_of(collateral_type: uint256) -> uint256:
    """
    @notice Return the size of one raw unit of the type's token. Reverts for an unknown type.
    @param collateral_type [id] The collateral type.
    @return [wad] The unit.
    """
    return self._unit(self._load_terms(collateral_type).decimals)


@external
@view
def debt_floor_of(collateral_type: uint256) -> uint256:
    """
    @notice Return the smallest debt of a vault. Reverts for an unknown type.
    @param collateral_type [id] The collateral type.
    @return [whole stablecoins] The floor.
    """
    return self._load_terms(collateral_type).debt_floor


# ------------------------------------------------------------------ records


@internal
@view
def _load_terms(collateral_type: uint256) -> IVaultEngine.Terms:
    word: uint256 = self.of_types[collateral_type]
    if word == 0:
        revert_reason._raise("terms: unknown type")
    return IVaultEngine.Terms(
        token=convert(word & (2**160 - 1), address),
        debt_ceiling=(word >> 160) & ledger.MASK_32,
        debt_floor=(word >> 192) & (2**20 - 1),
        liquidation_ratio=(word >> 212) & (2**16 - 1),
        initial_ratio=(word >> 228) & (2**16 - 1),
        decimals=(word >> 244) & 31,
        dynamic=word & DYNAMIC != 0,
        replaced=word & REPLACED != 0,
        settling=word >= SETTLING,
    )


@internal
def _store_terms(collateral_type: uint256, terms: IVaultEngine.Terms):
    self.of_types[collateral_type] = (
        convert(terms.token, uint256)
        | (terms.debt_ceiling << 160)
        | (terms.debt_floor << 192)
        | (terms.liquidation_ratio << 212)
        | (terms.initial_ratio << 228)
        | (terms.decimals << 244)
        | (convert(terms.dynamic, uint256) << 249)
        | (convert(terms.replaced, uint256) << 250)
        | (convert(terms.settling, uint256) << 251)
    )


@internal
@view
def _terms_for_admin(collateral_type: uint256) -> IVaultEngine.Terms:
    self._check_admin_and_type(collateral_type)
    return self._load_terms(collateral_type)


@internal
@view
def _check_admin_and_type(collateral_type: uint256):
    """@dev The admin, and a type that is listed."""
    roles._only_admin()
    self._load_terms(collateral_type)


@internal
@view
def _check_not_settled(collateral_type: uint256):
    ledger._check_not(self.of_types[collateral_type] >= SETTLING)


@internal
def _mark_settling(collateral_type: uint256):
    """@dev Settlement has begun, or the type is retired: told beside the terms, which vaults load anyway."""
    self.of_types[collateral_type] |= SETTLING


# -------------------------------------------------------------- risk policy


@internal
@view
def _get_steepest(collateral_type: uint256) -> uint256:
    """
    @dev [basis points] that a debt needs beyond a ratio, at most, for its growth: on both sides of the gap
         between the ratios, redistribution has to leave room for it.
    """
    if RISK_POLICY == empty(address):
        return 0
    return staticcall ILiquidationEngine(LIQUIDATION_ENGINE).max_marginal_add_on_of(collateral_type)


@internal
@view
def _check_has_risk_policy():
    if RISK_POLICY == empty(address):
        revert_reason._raise("terms: no risk policy")


@internal
@view
def _get_policy(replaced: bool) -> address:
    """@dev Today's risk policy; a slot is read only if it is not the one at deployment."""
    return self.risk_policy if replaced else RISK_POLICY


@internal
def _update_dynamic_fee(collateral_type: uint256, replaced: bool, debts: IVaultEngine.Debts, before: uint256):
    """@dev Have a dynamic fee follow a type's debt; `before` is its normalized debt before the change."""
    # 104 + 104 bits.
    rate: uint256 = debts.accumulated_rate
    performing: uint256 = unsafe_mul(debts.normalized_debt, rate)
    policy: address = self._get_policy(replaced)
    self._set_fee_from_policy(
        collateral_type, policy_calls._fee(policy, collateral_type, performing, unsafe_mul(before, rate))
    )


@internal
def _set_fee_from_policy(collateral_type: uint256, asked: uint256):
    """
    @dev Have a fee follow the policy's answer: up to FEE_MOVE at once, above it as far as a day lets it rise,
         from its value when it was first to be above on that day.
    """
    if asked > bounds.MAX_POLICY_FEE:
        log PolicyFailed(collateral_type=collateral_type)
        return
    fee: uint256 = asked
    if fee > bounds.FEE_MOVE:
        day: uint256 = self.fee_days[collateral_type]
        today: uint256 = block.timestamp // DAY
        if day >> 66 != today:
            day = ledger._get_stored_stability_fee(collateral_type) | (today << 66)
            self.fee_days[collateral_type] = day
        fee = min(fee, unsafe_add(day & (2**66 - 1), bounds.FEE_MOVE))
    ledger._store_stability_fee(collateral_type, fee)


# ------------------------------------------------------------------- limits


@internal
@view
def _compute_auction_room(collateral_type: uint256, factor: uint256) -> uint256:
    """
    @dev [rad] of principal that may still go under auction, of the type and of all types, with limits
         times a `factor` in [basis points]. Summed where it is needed, in liquidations, so that takes need
         not keep a total.
    """
    used: uint256 = 0
    rest: uint256 = self.listed
    for _: uint256 in range(bounds.MAX_COLLATERAL_TYPES):
        if rest == 0:
            break
        used = unsafe_add(used, ledger._in_auction(unsafe_sub(rest & 255, 1)))
        rest >>= 8
    in_auction: uint256 = 0
    limit: uint256 = 0
    of_all: uint256 = 0
    in_auction, limit, of_all = ledger._auctions(collateral_type)
    return min(
        self._compute_limit_left(limit, factor, in_auction), self._compute_limit_left(of_all, factor, used)
    )


@internal
@pure
def _compute_limit_left(limit: uint256, factor: uint256, used: uint256) -> uint256:
    """@dev limit*factor - used ([rad]), 0 if that is exceeded."""
    most: uint256 = limit * factor * (units.RAD // units.BASIS_POINTS)
    return unsafe_sub(most, min(used, most))


# ------------------------------------------------------------------ helpers


@internal
def _emit_parameter(collateral_type: uint256, parameter: String[24], new: uint256, most: uint256):
    """@dev Tell of a parameter's new value, once it is checked."""
    if new > most:
        revert_reason._raise("terms: out of bounds")
    log ParameterChanged(collateral_type=collateral_type, parameter=parameter, value=new)


@internal
def _check_auctions(collateral_type: uint256, liquidation_ratio: uint256):
    """
    @dev A type's auctions have terms that fit its ratio. They are a contract of the protocol: its code is
         there.
    """
    extcall ICollateralAuction(COLLATERAL_AUCTION).check_terms(
        collateral_type, liquidation_ratio, skip_contract_check=True
    )


@internal
@pure
def _check_ratios(liquidation_ratio: uint256, initial_ratio: uint256):
    if (
        liquidation_ratio < bounds.MIN_RATIO
        or initial_ratio < liquidation_ratio
        or initial_ratio > bounds.MAX_RATIO
    ):
        revert_reason._raise("terms: ratio bounds")


@internal
@pure
def _unit(decimals: uint256) -> uint256:
    """@dev [wad] of one raw unit of a token."""
    return 10**unsafe_sub(18, decimals)


@internal
@view
def _get_token_balance(token: address, owner: address) -> uint256:
    return staticcall IERC20(token).balanceOf(owner)


@internal
def _pull_collateral(token: address, amount: uint256):
    """@dev Collateral comes in from the caller, in raw units."""
    if not extcall IERC20(token).transferFrom(msg.sender, self, amount, default_return_value=True):
        revert_reason._raise("terms: pull failed")


@internal
def _deliver_collateral(of_type: uint256, amount: uint256, receiver: address):
    """@dev Collateral of a type, by its terms, goes out, [wad]."""
    unit: uint256 = self._unit((of_type >> 244) & 31)
    self._push_collateral(convert(of_type & (2**160 - 1), address), receiver, unsafe_div(amount, unit))


@internal
def _push_collateral(token: address, receiver: address, amount: uint256):
    """@dev Collateral goes out, in raw units."""
    if not extcall IERC20(token).transfer(receiver, amount, default_return_value=True):
        revert_reason._raise("terms: push failed")
