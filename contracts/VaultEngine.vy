# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title VaultEngine
@license GNU Affero General Public License v3.0 only
@notice Vaults: collateral comes in, stablecoin is drawn against it, and unpaid debt is liquidated, or
        settled. Every gain and loss of the protocol is a posting of the `ledger` module. `terms` holds the
        limits of each collateral type, `loss_cover` the ways in which losses are paid.
@dev Amounts of collateral are [wad] for any decimals of the token; the amount moved is floored to the token's
     unit. No rule reads a token balance, so donations change nothing. A vault operation loads each packed
     slot once and stores it once. Products of packed fields are unchecked: two fields of 104 bits, or whole
     stablecoins of 33 bits in [rad] (150 bits), cannot overflow. The interface lists the protection of each
     function.
"""
from contracts.interfaces import ILiquidationEngine
from contracts.interfaces import IPriceFeed
from contracts.interfaces import IRiskPolicy
from contracts.interfaces import IVaultEngine
from contracts.modules import bounds
from contracts.modules import loss_cover
from contracts.modules import ledger
from contracts.modules import revert_reason
from contracts.modules import roles
from contracts.modules import terms
from contracts.modules import units

implements: IVaultEngine

initializes: ledger
initializes: roles
initializes: terms[ledger := ledger, roles := roles]
initializes: loss_cover[ledger := ledger, roles := roles, terms := terms]

exports: (
    roles.admin,
    roles.pending_admin,
    roles.transfer_admin,
    roles.accept_admin,
    roles.grant_role,
    roles.revoke_role,
    roles.has_role,
    ledger.STABLECOIN,
    ledger.LOSS_WATERFALL,
    ledger.debts_of,
    ledger.stability_fee_of,
    ledger.buffer_of,
    ledger.in_auction_of,
    ledger.auction_limit_of,
    ledger.deficit_of,
    ledger.salvage_of,
    ledger.redistribution_of,
    ledger.reserve,
    ledger.settled,
    ledger.in_settlement,
    terms.COLLATERAL_AUCTION,
    terms.LIQUIDATION_ENGINE,
    terms.RISK_POLICY,
    terms.risk_policy,
    terms.collateral_types,
    terms.global_auction_limit,
    terms.add_collateral_type,
    terms.set_debt_ceiling,
    terms.set_debt_floor,
    terms.set_ratios,
    terms.set_stability_fee,
    terms.set_fee_dynamic,
    terms.set_risk_policy,
    terms.set_buffer_share,
    terms.set_auction_limit,
    terms.set_redistribution_cap,
    terms.set_global_debt_ceiling,
    terms.set_global_auction_limit,
    terms.terms_of,
    terms.unit_of,
    terms.debt_floor_of,
    terms.listed,
    terms.retire_collateral_type,
    loss_cover.TREASURY,
    loss_cover.cover_from_buffer,
    loss_cover.cover_from_reserve,
    loss_cover.cover_from_tokens,
    loss_cover.give_to_reserve,
    loss_cover.cover_from_buyer,
    loss_cover.cover_by_redistribution,
    loss_cover.deficit_when_idle,
    loss_cover.spend_reserve,
    loss_cover.redistribution_room,
)


event VaultChanged:
    collateral_type: indexed(uint256)  # [id]
    owner: indexed(address)  # whose vault
    locked_collateral: uint256  # [wad]
    normalized_debt: uint256  # [wad]


event OperatorApproved:
    owner: indexed(address)  # whose vaults, of all types
    operator: indexed(address)  # who may draw and withdraw
    approved: bool  # whether it may from now on


struct Record:
    locked_collateral: uint256  # [wad]
    normalized_debt: uint256  # [wad]
    called_at: uint256  # [timestamp]
    lots: uint256  # LIQUIDATED, and LOT for each that is open


# [wad] Half of what a vault's field holds, so that what comes back from auctions fits as well.
MAX_LOCKED: constant(uint256) = 2**103 - 1
# Of `Record.lots`: whether the vault was ever liquidated, and each auction or workout of it that is open.
LIQUIDATED: constant(uint256) = 1
LOT: constant(uint256) = 2
# The most that the field holds: 32,767 lots of one vault at a time.
MAX_LOTS: constant(uint256) = 2**16 - 1

# Where prices come from.
PRICE_FEED: public(immutable(address))
# Winds the protocol up.
SETTLEMENT: public(immutable(address))

# collateral type -> owner -> locked collateral ([wad], 104 bits) | normalized debt ([wad], 104 bits)
# | called at ([timestamp], 32 bits; 0 is no margin call) | 1 once it was liquidated (1 bit)
# | its auctions and workouts that are open (15 bits)
vaults: HashMap[uint256, HashMap[address, uint256]]
# owner -> operator -> may draw and withdraw for the owner
operators: public(HashMap[address, HashMap[address, bool]])


@deploy
def __init__(
    stablecoin: address,
    price_feed: address,
    liquidation_engine: address,
    collateral_auction: address,
    loss_waterfall: address,
    treasury: address,
    settlement: address,
    risk_policy: address,
    admin: address,
):
    """
    @notice The wiring is final: addresses are known before deployment and never change.
    @param stablecoin The debt token.
    @param price_feed Where prices come from.
    @param liquidation_engine May seize, and note margin calls.
    @param collateral_auction Where auctions of the collateral take place.
    @param loss_waterfall Where deficits are recognised.
    @param treasury Spends the reserve.
    @param settlement Winds the protocol up.
    @param risk_policy Refuses new risk and sets dynamic fees; the zero address is none.
    @param admin The first admin.
    """
    ledger.__init__(stablecoin, loss_waterfall)
    roles.__init__(admin)
    terms.__init__(collateral_auction, liquidation_engine, risk_policy)
    loss_cover.__init__(treasury)
    PRICE_FEED = price_feed
    SETTLEMENT = settlement


# ------------------------------------------------------------------- vaults


@external
@nonreentrant
def deposit_and_draw(
    collateral_type: uint256, owner: address, deposit: uint256, draw: uint256, receiver: address
):
    """
    @notice Lock collateral and draw stablecoin in one call. Anyone may top up a vault; drawing is for
            the owner and approved operators. Protects: new debt is always over-collateralised at the
            lower of the current and the next price, under its ceilings, and never under the floor; no
            collateral comes in once settlement has begun.
    @param collateral_type [id] The collateral type.
    @param owner Owner of the vault.
    @param deposit [wad] Collateral, floored to the token's unit, pulled from the caller.
    @param draw [wad] Stablecoin; the debt booked is rounded up.
    @param receiver Receiver of the stablecoin.
    """
    type_terms: IVaultEngine.Terms = terms._load_terms(collateral_type)
    ledger._check_not(type_terms.settling)
    debts: IVaultEngine.Debts = ledger._post_accrual(collateral_type)
    vault: Record = self._load_vault(collateral_type, owner)

    moved: uint256 = 0
    if deposit != 0:
        unit: uint256 = terms._unit(type_terms.decimals)
        moved = unsafe_div(deposit, unit)
        vault.locked_collateral += unsafe_mul(moved, unit)
        if vault.locked_collateral > MAX_LOCKED:
            revert_reason._raise("vault_engine: vault is full")
    dust: uint256 = 0
    if draw != 0:
        self._check_consent(owner)
        # Keeps every product below under 2**256.
        if draw >= 2**128:
            revert_reason._raise("vault_engine: draw too large")
        rate: uint256 = debts.accumulated_rate
        distress: uint256 = 0
        if debts.distressed != 0:
            distress = ledger._sum_auctioned_principal_and_deficit(collateral_type)
            # Whoever left before a redistribution and comes back while it counts pays it as well.
            shared: IVaultEngine.Redistribution = ledger._compute_current_redistribution(collateral_type)
            added: uint256 = unsafe_add(shared.added, shared.before)
            rate = unsafe_sub(rate, added)
            if added == 0:
                debts.distressed &= ledger.DISTRESSED
        before: uint256 = debts.normalized_debt
        drawn: uint256 = units._div_up(unsafe_mul(draw, units.RAY), rate)
        vault.normalized_debt = unsafe_add(vault.normalized_debt, drawn)
        debts.normalized_debt = unsafe_add(before, drawn)
        if unsafe_add(unsafe_mul(debts.normalized_debt, debts.accumulated_rate), distress) > unsafe_mul(
            type_terms.debt_ceiling, units.RAD
        ):
            revert_reason._raise("vault_engine: debt ceiling")
        debt: uint256 = unsafe_mul(vault.normalized_debt, debts.accumulated_rate)
        if debt < unsafe_mul(type_terms.debt_floor, units.RAD):
            revert_reason._raise("vault_engine: debt floor")
        if terms.RISK_POLICY == empty(address):
            self._check_price(collateral_type, vault.locked_collateral, debt, type_terms.initial_ratio)
        else:
            self._check_risk(
                collateral_type,
                vault,
                debt,
                type_terms.initial_ratio,
                type_terms.dynamic,
                type_terms.replaced,
                debts,
                before,
                draw,
                0,
            )
        dust = unsafe_sub(unsafe_mul(drawn, debts.accumulated_rate), unsafe_mul(draw, units.RAY))

    elif vault.called_at != 0:
        vault.called_at = self._get_call_time_unless_met(collateral_type, vault, debts.accumulated_rate)
    ledger._store_debts(collateral_type, debts)
    self._store_vault_and_emit(collateral_type, owner, vault)

    if moved != 0:
        terms._pull_collateral(type_terms.token, moved)
    if draw != 0:
        ledger._post_draw(receiver, draw, dust)


@external
@nonreentrant
def repay_and_withdraw(
    collateral_type: uint256, owner: address, repay: uint256, withdraw: uint256, receiver: address
):
    """
    @notice Repay stablecoin and take collateral out in one call. Anyone may repay for anyone;
            withdrawing is for the owner and approved operators. Protects: repaying is not blocked
            before settlement; no price is read unless collateral leaves a vault that keeps debt. Once
            settlement has begun, this is for vaults without debt.
    @param collateral_type [id] The collateral type.
    @param owner Owner of the vault.
    @param repay [wad] Stablecoin, burned from the caller; at most the whole debt (rounded up), so
                 max_value(uint256) repays all. Less of it ends at the floor: no more is burned. The debt
                 taken off is rounded down.
    @param withdraw [wad] Collateral, floored to the token's unit.
    @param receiver Receiver of the collateral.
    """
    type_terms: IVaultEngine.Terms = terms._load_terms(collateral_type)
    debts: IVaultEngine.Debts = ledger._post_accrual(collateral_type)
    vault: Record = self._load_vault(collateral_type, owner)
    if vault.normalized_debt != 0:
        ledger._check_not(type_terms.settling)

    before: uint256 = debts.normalized_debt
    burned: uint256 = 0
    repaid: uint256 = 0
    if repay != 0 and vault.normalized_debt != 0:
        debt: uint256 = unsafe_mul(vault.normalized_debt, debts.accumulated_rate)
        whole: uint256 = units._div_up(debt, units.RAY)
        burned = min(repay, whole)
        repaid = vault.normalized_debt
        if burned != whole:
            repaid = unsafe_mul(burned, units.RAY) // debts.accumulated_rate
            least: uint256 = unsafe_mul(type_terms.debt_floor, units.RAD)
            # A part ends at the floor, so that nobody's crumb makes a repayment down to it fail. A debt that
            # fees or a raised floor left under the floor may still be repaid in parts.
            if debt >= least:
                most: uint256 = unsafe_sub(
                    vault.normalized_debt, units._div_up(least, debts.accumulated_rate)
                )
                if repaid > most:
                    repaid = most
                    burned = units._div_up(unsafe_mul(most, debts.accumulated_rate), units.RAY)
            if repaid == 0:
                revert_reason._raise("vault_engine: repays nothing")
        vault.normalized_debt = unsafe_sub(vault.normalized_debt, repaid)
        debts.normalized_debt -= repaid
        rest: uint256 = unsafe_mul(vault.normalized_debt, debts.accumulated_rate)
        # Less than the whole is worth less than the debt. What was repaid is debt - rest.
        ledger._add_to_reserve(unsafe_sub(unsafe_mul(burned, units.RAY), unsafe_sub(debt, rest)))

    moved: uint256 = 0
    if withdraw != 0:
        self._check_consent(owner)
        unit: uint256 = terms._unit(type_terms.decimals)
        moved = unsafe_div(withdraw, unit)
        withdrawn: uint256 = unsafe_mul(moved, unit)
        if withdrawn > vault.locked_collateral:
            revert_reason._raise("vault_engine: not enough locked")
        vault.locked_collateral = unsafe_sub(vault.locked_collateral, withdrawn)
        if vault.normalized_debt != 0:
            debt: uint256 = unsafe_mul(vault.normalized_debt, debts.accumulated_rate)
            if terms.RISK_POLICY == empty(address):
                self._check_price(collateral_type, vault.locked_collateral, debt, type_terms.initial_ratio)
            else:
                self._check_risk(
                    collateral_type,
                    vault,
                    debt,
                    type_terms.initial_ratio,
                    type_terms.dynamic,
                    type_terms.replaced,
                    debts,
                    before,
                    0,
                    withdrawn,
                )
    if repaid != 0 and type_terms.dynamic:
        terms._update_dynamic_fee(collateral_type, type_terms.replaced, debts, before)
    if vault.called_at != 0:
        vault.called_at = self._get_call_time_unless_met(collateral_type, vault, debts.accumulated_rate)
    ledger._store_debts(collateral_type, debts)
    self._store_vault_and_emit(collateral_type, owner, vault)

    if burned != 0:
        ledger._burn_stablecoin(msg.sender, burned)
    if moved != 0:
        terms._push_collateral(type_terms.token, receiver, moved)


@external
def approve_operator(operator: address, approved: bool):
    """
    @notice Let an account draw and withdraw for the caller's vaults, or stop it. Anyone, for oneself.
    @param operator The account.
    @param approved Whether it may from now on.
    """
    self.operators[msg.sender][operator] = approved
    log OperatorApproved(owner=msg.sender, operator=operator, approved=approved)


@external
@nonreentrant
def accrue(collateral_type: uint256) -> uint256:
    """
    @notice Charge the stability fee for all time up to now. Anyone. Protects: it never reverts for a known
            type.
    @param collateral_type [id] The collateral type.
    @return [ray] The accumulated rate, rounded down.
    """
    terms._load_terms(collateral_type)
    return ledger._accrue_fees(collateral_type).accumulated_rate


# -------------------------------------------------- liquidation and auctions


@external
@nonreentrant
def accrue_and_read(
    collateral_type: uint256, owner: address, auction_limit_factor: uint256
) -> IVaultEngine.VaultState:
    """
    @notice Charge the fee and read all that a liquidation needs. Anyone. In settlement there is no room for
            more auctions.
    @param collateral_type [id] The collateral type.
    @param owner Owner of the vault.
    @param auction_limit_factor [basis points] of the auction limits to count with.
    @return The vault, its type's rate and terms, and the room for auctions.
    """
    type_terms: IVaultEngine.Terms = terms._load_terms(collateral_type)
    debts: IVaultEngine.Debts = ledger._accrue_fees(collateral_type)
    vault: Record = self._load_vault(collateral_type, owner)
    room: uint256 = 0
    # At a factor of 0 there is none, which costs the caller nothing.
    if auction_limit_factor != 0 and not type_terms.settling:
        room = terms._compute_auction_room(collateral_type, auction_limit_factor)
    return IVaultEngine.VaultState(
        locked_collateral=vault.locked_collateral,
        normalized_debt=vault.normalized_debt,
        accumulated_rate=debts.accumulated_rate,
        liquidation_ratio=type_terms.liquidation_ratio,
        debt_floor=unsafe_mul(type_terms.debt_floor, units.RAD),
        room=room,
        unit=terms._unit(type_terms.decimals),
        called_at=vault.called_at,
        replaced=convert(type_terms.replaced, uint256),
        has_mechanism=ledger._get_mechanism_flag(collateral_type),
    )


@external
@nonreentrant
def set_called(collateral_type: uint256, owner: address):
    """
    @notice Note a margin call: until it is met the vault takes no new risk. Liquidation engine only, not in
            settlement.
    @param collateral_type [id] The collateral type.
    @param owner Owner of the vault.
    """
    self._only_liquidation()
    ledger._check_live()
    vault: Record = self._load_vault(collateral_type, owner)
    vault.called_at = block.timestamp
    self._store_vault_and_emit(collateral_type, owner, vault)


@external
def note_mechanism(collateral_type: uint256):
    """
    @notice Note that a liquidation mechanism sells a type's vaults, for good. Liquidation engine only.
            Protects: from then on no liquidation starts an auction.
    @param collateral_type [id] The collateral type.
    """
    self._only_liquidation()
    ledger._note_mechanism(collateral_type)


@external
@nonreentrant
def seize(
    collateral_type: uint256,
    owner: address,
    collateral: uint256,
    normalized_debt: uint256,
    receiver: address,
    reward: uint256,
):
    """
    @notice Move debt from performing to in_auction and take its collateral. Liquidation engine only, in the
            transaction in which it charged the fee. Collateral that leaves with debt is a new lot. Protects:
            liquidation never stops for lack of reward money.
    @param collateral_type [id] The collateral type.
    @param owner Owner of the vault.
    @param collateral [wad] A multiple of the token's unit, at most the locked collateral.
    @param normalized_debt [wad] At most the vault's.
    @param receiver Receiver of the reward.
    @param reward [wad] Stablecoin, from the reserve, the rest a deficit.
    """
    self._only_liquidation()
    vault: Record = self._load_vault(collateral_type, owner)
    vault.locked_collateral -= collateral
    vault.normalized_debt -= normalized_debt
    # The mark keeps the slot in use, so that returning the rest of a lot costs takers less.
    vault.lots |= LIQUIDATED
    if vault.normalized_debt == 0:
        vault.called_at = 0
    if collateral != 0 and normalized_debt != 0:
        vault.lots = unsafe_add(vault.lots, LOT)
        if vault.lots > MAX_LOTS:
            revert_reason._raise("vault_engine: too many lots")
    debts: IVaultEngine.Debts = ledger._post_liquidation(collateral_type, normalized_debt)
    if terms.RISK_POLICY != empty(address):
        word: uint256 = terms.of_types[collateral_type]
        # An issuer writes debt down in settlement too, where no rate moves.
        if word & terms.DYNAMIC != 0 and word < terms.SETTLING:
            before: uint256 = unsafe_add(debts.normalized_debt, normalized_debt)
            terms._update_dynamic_fee(collateral_type, word & terms.REPLACED != 0, debts, before)
    self._store_vault_and_emit(collateral_type, owner, vault)
    ledger._pay_reward_from_reserve(collateral_type, receiver, reward)


@external
@nonreentrant
def release(collateral_type: uint256, amount: uint256, receiver: address):
    """
    @notice Deliver auctioned collateral. Collateral auction only, not in settlement.
    @param collateral_type [id] The collateral type.
    @param amount [wad] A multiple of the token's unit.
    @param receiver Receiver of the collateral.
    """
    self._only_auction()
    of_type: uint256 = terms.of_types[collateral_type]
    ledger._check_not(of_type >= terms.SETTLING)
    terms._deliver_collateral(of_type, amount, receiver)


@external
@nonreentrant
def settle_take(
    collateral_type: uint256,
    payer: address,
    paid: uint256,
    principal: uint256,
    surplus: uint256,
    owner: address,
    returned: uint256,
):
    """
    @notice Burn a taker's payment and book it; give the rest that the auction did not need back to the vault,
            as collateral, or to salvage. Collateral auction only.
    @param collateral_type [id] The collateral type.
    @param payer The account that pays in stablecoin.
    @param paid [wad] Stablecoin: paid*RAY == principal + surplus.
    @param principal [rad] Principal repaid.
    @param surplus [rad] Penalty, premium and rounding, to the type's buffer; to the reserve once the type is
                   retired, since nothing reads its buffer any more.
    @param owner Owner of the auction or workout that is over; the zero address if it is no vault's.
    @param returned [wad] Collateral for the owner, or for salvage.
    """
    self._only_auction()
    ledger._post_repaid_auction_principal(collateral_type, principal)
    if terms.of_types[collateral_type] < terms.SETTLING:
        ledger._post_to_buffer(collateral_type, surplus)
    else:
        ledger._add_to_reserve(surplus)
    if owner != empty(address):
        vault: Record = self._load_vault(collateral_type, owner)
        vault.lots = unsafe_sub(vault.lots, LOT)
        vault.locked_collateral += returned
        # Several lots of one vault may come back; its field must not run into the next.
        if vault.locked_collateral > ledger.MASK_104:
            revert_reason._raise("vault_engine: too much returned")
        self._store_vault_and_emit(collateral_type, owner, vault)
    elif returned != 0:
        ledger._add_salvage_collateral(collateral_type, returned)
    ledger._burn_stablecoin(payer, paid)


@external
@nonreentrant
def write_off(collateral_type: uint256, owner: address, principal: uint256, salvage: uint256):
    """
    @notice Turn the principal of a closed auction into a deficit. Collateral auction only.
    @param collateral_type [id] The collateral type.
    @param owner Owner of the auction that is over; the zero address if it is no vault's.
    @param principal [rad] Unpaid principal of the auction.
    @param salvage [wad] Collateral left in the lot, kept for sale as recovery.
    """
    self._only_auction()
    if salvage != 0:
        ledger._add_salvage_collateral(collateral_type, salvage)
    ledger._post_loss(collateral_type, principal)
    if owner != empty(address):
        vault: Record = self._load_vault(collateral_type, owner)
        vault.lots = unsafe_sub(vault.lots, LOT)
        self._store_vault_and_emit(collateral_type, owner, vault)


@external
@nonreentrant
def reward(collateral_type: uint256, receiver: address, amount: uint256):
    """
    @notice Pay the reward of an auction's reset. Collateral auction only, not in settlement.
    @param collateral_type [id] The collateral type.
    @param receiver Receiver of the reward.
    @param amount [wad] Stablecoin, from the reserve, the rest a deficit.
    """
    self._only_auction()
    # A retired type has nothing to pay from, and no loss any more.
    terms._check_not_settled(collateral_type)
    ledger._pay_reward_from_reserve(collateral_type, receiver, amount)


@external
@nonreentrant
def take_salvage(collateral_type: uint256, amount: uint256):
    """
    @notice Hand salvage over to be auctioned. Collateral auction only, not in settlement.
    @param collateral_type [id] The collateral type.
    @param amount [wad] At most the salvage.
    """
    self._only_auction()
    ledger._check_live()
    ledger._subtract_salvage_collateral(collateral_type, amount)


# -------------------------------------------------------------- settlement


@external
@nonreentrant
def begin_settlement():
    """
    @notice Wind the protocol up, for good. Settlement only. Fees are charged a last time, then rates stand
            still; nothing is drawn, repaid, liquidated or taken any more. Protects: the order in which
            vaults are skimmed makes no difference.
    """
    self._only_settlement()
    ledger._store_global_debt_ceiling(ledger.NO_CEILING)
    rest: uint256 = terms.listed
    for _: uint256 in range(bounds.MAX_COLLATERAL_TYPES):
        if rest == 0:
            break
        collateral_type: uint256 = unsafe_sub(rest & 255, 1)
        rest >>= 8
        ledger._accrue_fees(collateral_type)
        ledger._store_stability_fee(collateral_type, 0)
        terms._mark_settling(collateral_type)
    extcall ledger.LOSS_WATERFALL.wind_up(skip_contract_check=True)


@external
@nonreentrant
def unwind(collateral_type: uint256, owner: address, lot: uint256, principal: uint256):
    """
    @notice Undo the rest of an auction: collateral and principal go back to the vault. Collateral auction
            only, which knows that settlement has begun. Protects: it never reverts for any content of a
            vault, since an auction that cannot be unwound would block the whole settlement.
    @param collateral_type [id] The collateral type.
    @param owner Owner of the vault; the zero address is salvage.
    @param lot [wad] Collateral.
    @param principal [rad] The debt is rounded up.
    """
    self._only_auction()
    vault: Record = self._load_vault(collateral_type, owner)
    # A vault whose field is full already holds more than all tokens of an ordinary kind.
    if owner == empty(address) or vault.locked_collateral + lot > ledger.MASK_104:
        ledger._add_salvage_collateral(collateral_type, lot)
    else:
        vault.locked_collateral += lot
    if owner != empty(address):
        vault.lots = unsafe_sub(vault.lots, LOT)
        vault.normalized_debt += ledger._move_auctioned_principal_to_performing(collateral_type, principal)
        self._store_vault_and_emit(collateral_type, owner, vault)


@external
@nonreentrant
def skim(collateral_type: uint256, owner: address, taken: uint256, worth: uint256):
    """
    @notice Settle all of a vault's debt with its collateral. Settlement only, once no auction or workout of
            the vault is open: collateral that returns later would be missing here. Debt that the collateral
            is not worth is a loss like any other, for the stages to cover.
    @param collateral_type [id] The collateral type.
    @param owner Owner of the vault.
    @param taken [wad] Collateral, a multiple of the token's unit, at most the locked collateral.
    @param worth [rad] Worth of the collateral, at most the debt.
    """
    self._only_settlement()
    vault: Record = self._load_vault(collateral_type, owner)
    if vault.lots >= LOT:
        revert_reason._raise("vault_engine: lots are open")
    normalized_debt: uint256 = vault.normalized_debt
    vault.normalized_debt = 0
    vault.locked_collateral -= taken
    self._store_vault_and_emit(collateral_type, owner, vault)
    ledger._add_salvage_collateral(collateral_type, taken)
    ledger._post_settled(collateral_type, normalized_debt, worth)


@external
@nonreentrant
def net() -> uint256:
    """
    @notice Close the books: reserve, buffers and deficits are netted against the settled debt. Settlement
            only, once, when no debt is left and nothing is under auction.
    @return [wad] The supply: settled == supply*RAY from now on.
    """
    self._only_settlement()
    extcall ledger.LOSS_WATERFALL.close_books(skip_contract_check=True)
    return ledger._post_netted(terms.listed)


@external
def redeem(owner: address, amount: uint256):
    """
    @notice Burn stablecoin against the settled debt. Settlement only, after the books are closed.
    @param owner Owner of the burned stablecoin.
    @param amount [wad] Stablecoin.
    """
    self._only_settlement()
    ledger._post_redeemed(owner, amount)


@external
@nonreentrant
def pay_out(collateral_type: uint256, amount: uint256, receiver: address):
    """
    @notice Pay collateral out of salvage. Settlement only.
    @param collateral_type [id] The collateral type.
    @param amount [wad] A multiple of the token's unit, at most the salvage.
    @param receiver Receiver of the collateral.
    """
    self._only_settlement()
    ledger._subtract_salvage_collateral(collateral_type, amount)
    terms._deliver_collateral(terms.of_types[collateral_type], amount, receiver)


# -------------------------------------------------------------------- views


@external
@view
def vault(collateral_type: uint256, owner: address) -> IVaultEngine.Vault:
    """
    @notice Return a vault.
    @param collateral_type [id] The collateral type.
    @param owner Owner of the vault.
    @return Its record; zeros if there is none.
    """
    vault: Record = self._load_vault(collateral_type, owner)
    return IVaultEngine.Vault(
        locked_collateral=vault.locked_collateral,
        normalized_debt=vault.normalized_debt,
        called_at=vault.called_at,
        liquidated=vault.lots & LIQUIDATED != 0,
        open_lots=vault.lots // LOT,
    )


@external
@view
def types_under_auction() -> uint256:
    """
    @notice Return which listed types have principal under auction: one call for all types.
    @return [id] A bit for each type.
    """
    found: uint256 = 0
    rest: uint256 = terms.listed
    for _: uint256 in range(bounds.MAX_COLLATERAL_TYPES):
        if rest == 0:
            break
        collateral_type: uint256 = unsafe_sub(rest & 255, 1)
        rest >>= 8
        if ledger._in_auction(collateral_type) != 0:
            found |= 1 << collateral_type
    return found


@external
@view
def total_debt() -> uint256:
    """
    @notice Return the debt of all types, performing, in auction and in deficit: one side of the balance
            sheet.
    @return [rad] The sum.
    """
    total: uint256 = 0
    rest: uint256 = terms.listed
    for _: uint256 in range(bounds.MAX_COLLATERAL_TYPES):
        if rest == 0:
            break
        collateral_type: uint256 = unsafe_sub(rest & 255, 1)
        rest >>= 8
        debts: IVaultEngine.Debts = ledger._load_debts(collateral_type)
        total = unsafe_add(
            unsafe_add(total, unsafe_mul(debts.normalized_debt, debts.accumulated_rate)),
            ledger._sum_auctioned_principal_and_deficit(collateral_type),
        )
    return total


# ------------------------------------------------------------------ helpers


@internal
@view
def _check_consent(owner: address):
    if msg.sender != owner and not self.operators[owner][msg.sender]:
        revert_reason._raise("vault_engine: not approved")


@internal
@view
def _check_price(collateral_type: uint256, locked_collateral: uint256, debt: uint256, initial_ratio: uint256):
    """
    @dev New risk without a risk policy: a vault as it will be, valued at the lower of current and next price,
         against the initial ratio.
    """
    price: uint256 = staticcall IPriceFeed(PRICE_FEED).risk_price(collateral_type)
    if price == 0:
        revert_reason._raise("vault_engine: no price")
    # 103 + 112 + 14 bits against 181 + 16 bits.
    margin: uint256 = unsafe_mul(unsafe_mul(locked_collateral, price), units.BASIS_POINTS)
    if margin < unsafe_mul(debt, initial_ratio):
        revert_reason._raise("vault_engine: unsafe")


@internal
def _check_risk(
    collateral_type: uint256,
    vault: Record,
    debt: uint256,
    initial_ratio: uint256,
    dynamic: bool,
    replaced: bool,
    debts: IVaultEngine.Debts,
    before: uint256,
    drawn: uint256,
    withdrawn: uint256,
):
    """
    @dev New risk where there is a risk policy: `drawn` or `withdrawn` ([wad]) leaves a vault that has debt.
         The policy decides, and a dynamic fee follows. `vault` and `debts` are as they will be, `before` is
         the type's normalized debt before the call.
    """
    if vault.called_at != 0:
        revert_reason._raise("vault_engine: margin call")
    rate: uint256 = debts.accumulated_rate
    performing: uint256 = unsafe_mul(debts.normalized_debt, rate)
    type_debt: uint256 = performing
    if debts.distressed != 0:
        type_debt = unsafe_add(type_debt, ledger._sum_auctioned_principal_and_deficit(collateral_type))
    fee: uint256 = extcall IRiskPolicy(terms._get_policy(replaced)).check_new_risk(
        IRiskPolicy.NewRisk(
            collateral_type=collateral_type,
            locked_collateral=vault.locked_collateral,
            debt=debt,
            initial_ratio=initial_ratio,
            drawn=drawn,
            withdrawn=withdrawn,
            type_debt=type_debt,
            performing=performing,
            performing_before=unsafe_mul(before, rate),
        )
    )
    if dynamic:
        terms._set_fee_from_policy(collateral_type, fee)


@internal
@view
def _get_call_time_unless_met(collateral_type: uint256, vault: Record, rate: uint256) -> uint256:
    """@dev The time of a margin call, 0 once it is met. No price is no reason to block a repayment."""
    if staticcall ILiquidationEngine(terms.LIQUIDATION_ENGINE).satisfies_margin_call(
        collateral_type, vault.locked_collateral, vault.normalized_debt * rate
    ):
        return 0
    return vault.called_at


@internal
@view
def _only_liquidation():
    if msg.sender != terms.LIQUIDATION_ENGINE:
        revert_reason._raise("vault_engine: only liquidation")


@internal
@view
def _only_auction():
    if msg.sender != terms.COLLATERAL_AUCTION:
        revert_reason._raise("vault_engine: only auction")


@internal
@view
def _only_settlement():
    if msg.sender != SETTLEMENT:
        revert_reason._raise("vault_engine: only settlement")


@internal
@view
def _load_vault(collateral_type: uint256, owner: address) -> Record:
    word: uint256 = self.vaults[collateral_type][owner]
    return Record(
        locked_collateral=word & ledger.MASK_104,
        normalized_debt=(word >> 104) & ledger.MASK_104,
        called_at=(word >> 208) & ledger.MASK_32,
        lots=word >> 240,
    )


@internal
def _store_vault_and_emit(collateral_type: uint256, owner: address, vault: Record):
    self.vaults[collateral_type][owner] = (
        vault.locked_collateral
        | (vault.normalized_debt << 104)
        | (vault.called_at << 208)
        | (vault.lots << 240)
    )
    log VaultChanged(
        collateral_type=collateral_type,
        owner=owner,
        locked_collateral=vault.locked_collateral,
        normalized_debt=vault.normalized_debt,
    )
