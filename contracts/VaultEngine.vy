# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title VaultEngine
@license GNU Affero General Public License v3.0 only
@notice Vaults, ceilings, fees, and the one ledger: collateral comes in, stablecoin is drawn against
        it, and every gain and loss of the protocol is a posting of the `ledger` module.
@dev Amounts of collateral are wad whatever the token's decimals; what moves is floored to the
     token's unit. No rule reads a token balance, so donations change nothing. A vault operation
     loads each packed slot once and stores it once. Products of packed fields are unchecked: two
     fields of 104 bits, or whole stablecoins of 33 bits in rad (150 bits), cannot overflow.
"""
from ethereum.ercs import IERC20
from ethereum.ercs import IERC20Detailed

from contracts.interfaces import ICollateralAuction
from contracts.interfaces import ILiquidationEngine
from contracts.interfaces import IPriceFeed
from contracts.interfaces import IRiskPolicy
from contracts.interfaces import IVaultEngine
from contracts.modules import bounds
from contracts.modules import ledger
from contracts.modules import roles
from contracts.modules import units

implements: IVaultEngine

initializes: ledger
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


event VaultChanged:
    collateral_type: indexed(uint256)
    owner: indexed(address)
    locked_collateral: uint256
    normalized_debt: uint256


event CollateralTypeAdded:
    collateral_type: indexed(uint256)
    token: indexed(address)
    decimals: uint256


event OperatorApproved:
    owner: indexed(address)
    operator: indexed(address)
    approved: bool


event ParameterChanged:
    collateral_type: indexed(uint256)
    parameter: String[24]
    value: uint256


struct Vault:
    locked_collateral: uint256  # wad, 104 bits
    normalized_debt: uint256  # wad, 104 bits
    called_at: uint256  # seconds, 32 bits; 0 is no margin call
    liquidated: uint256  # 1 once it was, 1 bit


# Stands for "all collateral types" in `ParameterChanged`.
ALL_TYPES: constant(uint256) = max_value(uint256)
MAX_LOCKED: constant(uint256) = 2**103 - 1
# Beside a type's decimals: bits of a word that is loaded anyway. SETTLING is the highest of them.
DYNAMIC: constant(uint256) = 32
SETTLING: constant(uint256) = 64
MAX_DECIMALS: constant(uint256) = 18

PRICE_FEED: public(immutable(address))
LIQUIDATION_ENGINE: public(immutable(address))
COLLATERAL_AUCTION: public(immutable(address))
# Spends the reserve, in the order of income.
TREASURY: public(immutable(address))
# Winds the protocol up.
SETTLEMENT: public(immutable(address))
# Refuses new risk and sets dynamic fees; the zero address is none.
RISK_POLICY: public(immutable(address))

# How many there are; their ids are 0, 1, 2...
collateral_types: public(uint256)
# Whole stablecoins of principal of all types.
global_auction_limit: public(uint256)
# collateral type -> token (160 bits) | debt ceiling (32 bits) | debt floor (20 bits) | liquidation ratio
# (16 bits) | initial ratio (16 bits) | decimals (5 bits), + DYNAMIC if the fee follows utilisation (1 bit),
# + SETTLING once settlement has begun (1 bit)
terms: HashMap[uint256, uint256]
# collateral type -> owner -> Vault
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
    """
    ledger.__init__(stablecoin, loss_waterfall)
    roles.__init__(admin)
    PRICE_FEED = price_feed
    LIQUIDATION_ENGINE = liquidation_engine
    COLLATERAL_AUCTION = collateral_auction
    TREASURY = treasury
    SETTLEMENT = settlement
    RISK_POLICY = risk_policy


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
    @param collateral_type The collateral type's id.
    @param owner Whose vault.
    @param deposit Collateral in wad, floored to the token's unit, pulled from the caller.
    @param draw Stablecoin in wad; the debt booked is rounded up.
    @param receiver Who gets the stablecoin.
    """
    terms: IVaultEngine.Terms = self._load_terms(collateral_type)
    # Settlement has begun.
    if terms.decimals >= SETTLING:
        self._refuse()
    debts: ledger.Debts = ledger._post_accrual(collateral_type)
    vault: Vault = self._load_vault(collateral_type, owner)

    moved: uint256 = 0
    if deposit != 0:
        unit: uint256 = self._unit(terms.decimals)
        moved = unsafe_div(deposit, unit)
        vault.locked_collateral += unsafe_mul(moved, unit)
        assert vault.locked_collateral <= MAX_LOCKED, "vault_engine: vault is full"

    dust: uint256 = 0
    if draw != 0:
        self._check_consent(owner)
        # Keeps every product below under 2**256.
        assert draw < 2**128, "vault_engine: draw too large"
        rate: uint256 = debts.accumulated_rate
        distress: uint256 = 0
        if debts.distressed != 0:
            distress = ledger._distress(collateral_type)
            # Whoever left before a redistribution and comes back in its epoch pays it as well.
            added: uint256 = ledger._load_redistribution(collateral_type).added
            rate = unsafe_sub(rate, added)
            if added == 0:
                debts.distressed &= ledger.DISTRESSED
        drawn: uint256 = units._div_up(unsafe_mul(draw, units.RAY), rate)
        vault.normalized_debt = unsafe_add(vault.normalized_debt, drawn)
        debts.normalized_debt = unsafe_add(debts.normalized_debt, drawn)
        assert unsafe_add(unsafe_mul(debts.normalized_debt, debts.accumulated_rate), distress) <= unsafe_mul(
            terms.debt_ceiling, units.RAD
        ), "vault_engine: debt ceiling"
        debt: uint256 = unsafe_mul(vault.normalized_debt, debts.accumulated_rate)
        assert debt >= unsafe_mul(terms.debt_floor, units.RAD), "vault_engine: debt floor"
        if RISK_POLICY == empty(address):
            self._check_margin(collateral_type, vault.locked_collateral, debt, terms.initial_ratio)
        else:
            self._ask_policy(
                collateral_type, vault, terms.initial_ratio, terms.decimals, debts, draw, 0, drawn
            )
        dust = unsafe_sub(unsafe_mul(drawn, debts.accumulated_rate), unsafe_mul(draw, units.RAY))

    elif vault.called_at != 0:
        vault.called_at = self._still_called(collateral_type, vault, debts.accumulated_rate)
    ledger._store_debts(collateral_type, debts)
    self._store_vault(collateral_type, owner, vault)

    if moved != 0:
        self._pull(terms.token, moved)
    if draw != 0:
        supply: uint256 = extcall ledger.STABLECOIN.mint(receiver, draw)
        # The global ceiling: by the balance, all debt is supply*RAY + reserve + buffers; buffers are
        # counted in whole stablecoins rounded up, for the protocol.
        system: uint256 = unsafe_add(ledger.system, dust)
        ledger.system = system
        assert unsafe_add(
            unsafe_add(unsafe_mul(supply, units.RAY), system & ledger.MASK_186),
            unsafe_mul((system >> 186) & (2**37 - 1), units.RAD),
        ) <= unsafe_mul(system >> 223, units.RAD), "vault_engine: over the ceiling"


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
    @param collateral_type The collateral type's id.
    @param owner Whose vault.
    @param repay Stablecoin in wad, burned from the caller; at most the whole debt (rounded up), so
                 max_value(uint256) repays all. The debt taken off is rounded down.
    @param withdraw Collateral in wad, floored to the token's unit.
    @param receiver Who gets the collateral.
    """
    terms: IVaultEngine.Terms = self._load_terms(collateral_type)
    debts: ledger.Debts = ledger._post_accrual(collateral_type)
    vault: Vault = self._load_vault(collateral_type, owner)
    if terms.decimals >= SETTLING and vault.normalized_debt != 0:
        self._refuse()

    burned: uint256 = 0
    repaid: uint256 = 0
    if repay != 0 and vault.normalized_debt != 0:
        debt: uint256 = vault.normalized_debt * debts.accumulated_rate
        whole: uint256 = units._div_up(debt, units.RAY)
        burned = min(repay, whole)
        repaid = vault.normalized_debt
        if burned != whole:
            repaid = burned * units.RAY // debts.accumulated_rate
            assert repaid != 0, "vault_engine: repays nothing"
        vault.normalized_debt -= repaid
        debts.normalized_debt -= repaid
        least: uint256 = terms.debt_floor * units.RAD
        rest: uint256 = vault.normalized_debt * debts.accumulated_rate
        # A debt that fees or a raised floor left under the floor may still be repaid in parts.
        assert rest == 0 or rest >= least or debt < least, "vault_engine: rest under floor"
        ledger._post_to_reserve(burned * units.RAY - repaid * debts.accumulated_rate)

    moved: uint256 = 0
    if withdraw != 0:
        self._check_consent(owner)
        unit: uint256 = self._unit(terms.decimals)
        moved = unsafe_div(withdraw, unit)
        assert moved * unit <= vault.locked_collateral, "vault_engine: not enough locked"
        vault.locked_collateral -= moved * unit
        if vault.normalized_debt != 0:
            if RISK_POLICY == empty(address):
                self._check_margin(
                    collateral_type,
                    vault.locked_collateral,
                    vault.normalized_debt * debts.accumulated_rate,
                    terms.initial_ratio,
                )
            else:
                self._ask_policy(
                    collateral_type,
                    vault,
                    terms.initial_ratio,
                    terms.decimals,
                    debts,
                    0,
                    moved * unit,
                    unsafe_sub(0, repaid),
                )
    if repaid != 0 and terms.decimals & DYNAMIC != 0:
        self._reprice(collateral_type, debts, repaid)
    if vault.called_at != 0:
        vault.called_at = self._still_called(collateral_type, vault, debts.accumulated_rate)
    ledger._store_debts(collateral_type, debts)
    self._store_vault(collateral_type, owner, vault)

    if burned != 0:
        extcall ledger.STABLECOIN.burn(msg.sender, burned)
    if moved != 0:
        self._push(terms.token, receiver, moved)


@external
def approve_operator(operator: address, approved: bool):
    """
    @notice Let an account draw and withdraw for the caller's vaults, or stop it. Anyone, for oneself.
    """
    self.operators[msg.sender][operator] = approved
    log OperatorApproved(owner=msg.sender, operator=operator, approved=approved)


@external
@nonreentrant
def accrue(collateral_type: uint256) -> uint256:
    """
    @notice Charge the stability fee up to now. Permissionless; never reverts for a known type.
    @return The accumulated rate in ray, rounded down.
    """
    self._load_terms(collateral_type)
    return self._accrue(collateral_type).accumulated_rate


# -------------------------------------------------- liquidation and auctions


@external
@nonreentrant
def accrue_and_read(
    collateral_type: uint256, owner: address, limits_factor: uint256
) -> IVaultEngine.VaultState:
    """
    @notice Charge the fee and read all that a liquidation needs. Permissionless. In settlement there
            is no room for more auctions.
    @param limits_factor Basis points of the auction limits to count with.
    """
    terms: IVaultEngine.Terms = self._load_terms(collateral_type)
    debts: ledger.Debts = self._accrue(collateral_type)
    vault: Vault = self._load_vault(collateral_type, owner)
    room: uint256 = 0
    if terms.decimals < SETTLING:
        room = min(
            self._room(
                ledger.auctions[collateral_type] >> 188,
                limits_factor,
                ledger._in_auction(collateral_type),
            ),
            self._global_room(limits_factor),
        )
    return IVaultEngine.VaultState(
        locked_collateral=vault.locked_collateral,
        normalized_debt=vault.normalized_debt,
        accumulated_rate=debts.accumulated_rate,
        liquidation_ratio=terms.liquidation_ratio,
        debt_floor=terms.debt_floor * units.RAD,
        room=room,
        unit=self._unit(terms.decimals),
        called_at=vault.called_at,
    )


@external
@nonreentrant
def set_called(collateral_type: uint256, owner: address):
    """
    @notice Note a margin call: until it is met the vault takes no new risk. Liquidation engine only,
            not in settlement.
    """
    assert msg.sender == LIQUIDATION_ENGINE, "vault_engine: only margin calls"
    if ledger._settling():
        self._refuse()
    vault: Vault = self._load_vault(collateral_type, owner)
    vault.called_at = block.timestamp
    self._store_vault(collateral_type, owner, vault)


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
    @notice Move debt from performing to in_auction and take its collateral. Liquidation engine only,
            in the transaction in which it charged the fee.
    @param collateral In wad, a multiple of the token's unit.
    @param normalized_debt In wad.
    @param reward Stablecoin in wad for `receiver`, from the reserve, the rest a deficit: liquidation
                  never stops for lack of reward money.
    """
    assert msg.sender == LIQUIDATION_ENGINE, "vault_engine: only liquidation"
    debts: ledger.Debts = ledger._load_debts(collateral_type)
    vault: Vault = self._load_vault(collateral_type, owner)
    vault.locked_collateral -= collateral
    vault.normalized_debt -= normalized_debt
    # The mark keeps the slot in use, so that returning the rest of a lot costs takers less.
    vault.liquidated = 1
    debts.normalized_debt -= normalized_debt
    debts.distressed |= ledger.DISTRESSED
    if vault.normalized_debt == 0:
        vault.called_at = 0
    if self.terms[collateral_type] & (DYNAMIC << 244) != 0:
        self._reprice(collateral_type, debts, normalized_debt)
    ledger._store_debts(collateral_type, debts)
    self._store_vault(collateral_type, owner, vault)
    ledger._post_liquidation(collateral_type, normalized_debt * debts.accumulated_rate)
    ledger._post_reward(collateral_type, receiver, reward)


@external
@nonreentrant
def release(collateral_type: uint256, amount: uint256, receiver: address):
    """
    @notice Deliver auctioned collateral. Collateral auction only, not in settlement.
    @param amount In wad, a multiple of the token's unit.
    """
    self._only_auction()
    terms: IVaultEngine.Terms = self._load_terms(collateral_type)
    # Settlement has begun.
    if terms.decimals >= SETTLING:
        self._refuse()
    self._push(terms.token, receiver, amount // self._unit(terms.decimals))


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
    @notice Burn a taker's payment and book it; give what the auction did not need back to the vault,
            as collateral, or to salvage. Collateral auction only.
    @param paid Stablecoin in wad: paid*RAY == principal + surplus.
    @param principal Rad of principal repaid.
    @param surplus Rad of penalty and rounding, to the type's buffer.
    @param owner Whose vault, if something is returned; the zero address is salvage.
    @param returned Collateral in wad.
    """
    self._only_auction()
    ledger._post_repaid_principal(collateral_type, principal)
    ledger._post_to_buffer(collateral_type, surplus)
    if returned != 0:
        if owner == empty(address):
            ledger.salvage[collateral_type] += returned
        else:
            vault: Vault = self._load_vault(collateral_type, owner)
            vault.locked_collateral += returned
            # Several lots of one vault may come back; its field must not run into the next.
            assert vault.locked_collateral <= ledger.MASK_104, "vault_engine: too much returned"
            self._store_vault(collateral_type, owner, vault)
    extcall ledger.STABLECOIN.burn(payer, paid)


@external
@nonreentrant
def write_off(collateral_type: uint256, principal: uint256, salvage: uint256):
    """
    @notice Turn the principal of a closed auction into a deficit. Collateral auction only.
    @param principal In rad.
    @param salvage Collateral left in the lot, wad, kept for sale as recovery.
    """
    self._only_auction()
    if salvage != 0:
        ledger.salvage[collateral_type] += salvage
    ledger._post_write_off(collateral_type, principal)


@external
@nonreentrant
def reward(collateral_type: uint256, receiver: address, amount: uint256):
    """
    @notice Pay the reward of an auction's reset. Collateral auction only, not in settlement.
    @param amount Stablecoin in wad, from the reserve, the rest a deficit.
    """
    self._only_auction()
    if ledger._settling():
        self._refuse()
    ledger._post_reward(collateral_type, receiver, amount)


@external
@nonreentrant
def take_salvage(collateral_type: uint256, amount: uint256):
    """
    @notice Hand salvage over to be auctioned. Collateral auction only, not in settlement.
    @param amount In wad, at most the salvage.
    """
    self._only_auction()
    if ledger._settling():
        self._refuse()
    ledger.salvage[collateral_type] -= amount


# -------------------------------------------------------------- coverage


@external
@nonreentrant
def cover_from_buffer(collateral_type: uint256, amount: uint256):
    """
    @notice Cover a deficit from the type's buffer, exactly. Stages only.
    @param amount In rad, at most the buffer and the deficit.
    """
    roles._only(roles.STAGE)
    ledger._post_from_buffer(collateral_type, amount)
    ledger._post_cover(collateral_type, amount)


@external
@nonreentrant
def cover_from_reserve(collateral_type: uint256, amount: uint256):
    """
    @notice Cover a deficit from the reserve, exactly. Stages only.
    @param amount In rad, at most the reserve and the deficit.
    """
    roles._only(roles.STAGE)
    ledger._post_from_reserve(amount)
    ledger._post_cover(collateral_type, amount)


@external
@nonreentrant
def cover_from_tokens(collateral_type: uint256, payer: address, amount: uint256) -> uint256:
    """
    @notice Cover a deficit by burning stablecoin: a stage's own, or somebody's who allows it. Stages only.
    @param payer Whose stablecoin; if it is not the stage's own, the stage needs an allowance.
    @param amount In rad; what is burned is rounded up to the wei.
    @return Rad covered: the amount, or the deficit if that is less. The rest of what was burned goes to
            the reserve.
    """
    roles._only(roles.STAGE)
    return self._cover_from_tokens(collateral_type, payer, msg.sender, amount)


@external
@nonreentrant
def cover_from_buyer(collateral_type: uint256, payer: address, stage: address, amount: uint256) -> uint256:
    """
    @notice The same for a stage that has reserved what it pays now. Loss waterfall only, which names its
            own caller.
    @param stage Whom the payer allows to spend.
    """
    assert msg.sender == ledger.LOSS_WATERFALL.address, "vault_engine: only waterfall"
    return self._cover_from_tokens(collateral_type, payer, stage, amount)


@internal
def _cover_from_tokens(collateral_type: uint256, payer: address, stage: address, amount: uint256) -> uint256:
    burned: uint256 = units._div_up(amount, units.RAY)
    covered: uint256 = min(ledger.deficit[collateral_type], amount)
    ledger._post_cover(collateral_type, covered)
    ledger._post_to_reserve(burned * units.RAY - covered)
    if payer == stage:
        extcall ledger.STABLECOIN.burn(payer, burned)
    else:
        extcall ledger.STABLECOIN.burn_allowed(payer, stage, burned)
    return covered


@external
@nonreentrant
def cover_by_redistribution(collateral_type: uint256, amount: uint256) -> uint256:
    """
    @notice Cover a deficit from the type's own borrowers: all debts grow alike, by the accumulated
            rate. Stages only. Protects: growth is capped for each epoch, and stays in the gap between
            the ratios.
    @param amount In rad, at most the deficit.
    @return Rad covered: the amount rounded down to what each unit of debt can share, as far as there
            is room.
    """
    roles._only(roles.STAGE)
    terms: IVaultEngine.Terms = self._load_terms(collateral_type)
    if terms.decimals >= SETTLING:
        self._refuse()
    more: uint256 = self._steepest(collateral_type)
    return ledger._post_redistribution(
        collateral_type,
        amount,
        unsafe_add(terms.initial_ratio, more),
        unsafe_add(terms.liquidation_ratio, more),
    )


@external
@nonreentrant
def spend_reserve(amount: uint256, receiver: address):
    """
    @notice Pay out of the reserve. Treasury only, not in settlement.
    @param amount Stablecoin in wad.
    """
    assert msg.sender == TREASURY, "vault_engine: only treasury"
    if ledger._settling():
        self._refuse()
    ledger._post_from_reserve(amount * units.RAY)
    extcall ledger.STABLECOIN.mint(receiver, amount)


# -------------------------------------------------------------- settlement


@external
@nonreentrant
def begin_settlement():
    """
    @notice Wind the protocol up, for good. Settlement only. Fees are charged a last time, then rates
            stand still; nothing is drawn, repaid, liquidated or taken any more. Protects: the order in
            which vaults are skimmed makes no difference.
    """
    self._only_settlement()
    ledger.system |= ledger.NO_CEILING << 223
    for collateral_type: uint256 in range(self.collateral_types, bound=bounds.MAX_COLLATERAL_TYPES):
        self._accrue(collateral_type)
        ledger.income[collateral_type] = ledger._buffer(collateral_type)
        self.terms[collateral_type] |= SETTLING << 244
    extcall ledger.LOSS_WATERFALL.wind_up()


@external
@nonreentrant
def unwind(collateral_type: uint256, owner: address, lot: uint256, principal: uint256):
    """
    @notice Undo what is left of an auction: collateral and principal go back to the vault. Collateral
            auction only, which knows that settlement has begun. Never reverts for what a vault holds:
            an auction that cannot be unwound would hold everybody up.
    @param owner Whose vault; the zero address is salvage.
    @param lot Collateral in wad.
    @param principal In rad; the debt is rounded up.
    """
    self._only_auction()
    vault: Vault = self._load_vault(collateral_type, owner)
    # A vault whose field is full already holds more than all tokens of an ordinary kind.
    if owner == empty(address) or vault.locked_collateral + lot > ledger.MASK_104:
        ledger.salvage[collateral_type] += lot
    else:
        vault.locked_collateral += lot
    if owner != empty(address):
        vault.normalized_debt += ledger._post_unwound(collateral_type, principal)
        self._store_vault(collateral_type, owner, vault)


@external
@nonreentrant
def skim(collateral_type: uint256, owner: address, taken: uint256, worth: uint256):
    """
    @notice Settle all of a vault's debt with its collateral. Settlement only. Debt that the collateral
            is not worth is a loss like any other, for the stages to cover.
    @param taken Collateral in wad, a multiple of the token's unit, at most what is locked.
    @param worth What it is worth in rad, at most the debt.
    """
    self._only_settlement()
    debts: ledger.Debts = ledger._load_debts(collateral_type)
    vault: Vault = self._load_vault(collateral_type, owner)
    debt: uint256 = vault.normalized_debt * debts.accumulated_rate
    debts.normalized_debt -= vault.normalized_debt
    vault.normalized_debt = 0
    vault.locked_collateral -= taken
    ledger.salvage[collateral_type] += taken
    ledger._store_debts(collateral_type, debts)
    self._store_vault(collateral_type, owner, vault)
    ledger._post_settled(collateral_type, debt, worth)


@external
@nonreentrant
def net() -> uint256:
    """
    @notice Close the books: reserve, buffers and deficits are netted against what is settled.
            Settlement only, once, when no debt is left and nothing is under auction.
    @return The supply in wad: settled == supply*RAY from now on.
    """
    self._only_settlement()
    extcall ledger.LOSS_WATERFALL.close_books()
    return ledger._post_netted(self.collateral_types)


@external
def redeem(owner: address, amount: uint256):
    """
    @notice Burn stablecoin against what was settled. Settlement only, after the books are closed.
    @param amount In wad.
    """
    self._only_settlement()
    ledger.settled -= amount * units.RAY
    extcall ledger.STABLECOIN.burn(owner, amount)


@external
@nonreentrant
def pay_out(collateral_type: uint256, amount: uint256, receiver: address):
    """
    @notice Pay collateral out of salvage. Settlement only.
    @param amount In wad, a multiple of the token's unit, at most the salvage.
    """
    self._only_settlement()
    terms: IVaultEngine.Terms = self._load_terms(collateral_type)
    ledger.salvage[collateral_type] -= amount
    self._push(terms.token, receiver, amount // self._unit(terms.decimals))


# --------------------------------------------------------------- parameters


@external
@nonreentrant
def add_collateral_type(token: address, liquidation_ratio: uint256, initial_ratio: uint256) -> uint256:
    """
    @notice List a token as a new collateral type, with ceilings of zero. Admin only, not in
            settlement. One whole token
            is pulled from the admin and sent back, and both moves must be exact: a token that takes a
            fee or fails silently is refused here.
    @param liquidation_ratio Basis points of debt; under it a vault is liquidated.
    @param initial_ratio Basis points of debt that new risk needs; at least the liquidation ratio.
    @return The id of the new type.
    """
    roles._only_admin()
    if ledger._settling():
        self._refuse()
    new: uint256 = self.collateral_types
    assert new < bounds.MAX_COLLATERAL_TYPES, "vault_engine: too many types"
    assert token != ledger.STABLECOIN.address, "vault_engine: own token"
    self._check_ratios(liquidation_ratio, initial_ratio)
    decimals: uint256 = convert(staticcall IERC20Detailed(token).decimals(), uint256)
    assert decimals <= MAX_DECIMALS, "vault_engine: token decimals"

    ours: uint256 = staticcall IERC20(token).balanceOf(self)
    theirs: uint256 = staticcall IERC20(token).balanceOf(msg.sender)
    self._pull(token, 10**decimals)
    assert staticcall IERC20(token).balanceOf(self) == ours + 10**decimals, "vault_engine: inexact pull"
    self._push(token, msg.sender, 10**decimals)
    assert staticcall IERC20(token).balanceOf(msg.sender) == theirs, "vault_engine: inexact push"

    self.collateral_types = new + 1
    ledger._store_debts(
        new,
        ledger.Debts(
            normalized_debt=0,
            accumulated_rate=units.RAY,
            accrued_at=block.timestamp,
            distressed=0,
            buffer_share=0,
        ),
    )
    self._store_terms(
        new,
        IVaultEngine.Terms(
            token=token,
            debt_ceiling=0,
            debt_floor=0,
            liquidation_ratio=liquidation_ratio,
            initial_ratio=initial_ratio,
            decimals=decimals,
        ),
    )
    log CollateralTypeAdded(collateral_type=new, token=token, decimals=decimals)
    return new


@external
def set_debt_ceiling(collateral_type: uint256, new: uint256):
    """
    @notice Set a type's debt ceiling, whole stablecoins. Admin, and the role CEILINGS. It binds draws
            only.
    """
    roles._only_admin_or(roles.CEILINGS)
    terms: IVaultEngine.Terms = self._load_terms(collateral_type)
    assert new <= bounds.MAX_DEBT_CEILING, "vault_engine: ceiling bounds"
    terms.debt_ceiling = new
    self._store_terms(collateral_type, terms)
    self._tell(collateral_type, "debt_ceiling", new)


@external
def set_debt_floor(collateral_type: uint256, new: uint256):
    """
    @notice Set the smallest debt of a vault, whole stablecoins. Admin only.
    """
    terms: IVaultEngine.Terms = self._terms_for_admin(collateral_type)
    assert new <= bounds.MAX_DEBT_FLOOR, "vault_engine: floor bounds"
    terms.debt_floor = new
    self._store_terms(collateral_type, terms)
    self._tell(collateral_type, "debt_floor", new)
    extcall ICollateralAuction(COLLATERAL_AUCTION).set_minimum(collateral_type, new)


@external
def set_ratios(collateral_type: uint256, liquidation_ratio: uint256, initial_ratio: uint256):
    """
    @notice Set the liquidation and initial ratios, basis points. Admin only.
    """
    terms: IVaultEngine.Terms = self._terms_for_admin(collateral_type)
    self._check_ratios(liquidation_ratio, initial_ratio)
    terms.liquidation_ratio = liquidation_ratio
    terms.initial_ratio = initial_ratio
    self._store_terms(collateral_type, terms)
    self._tell(collateral_type, "liquidation_ratio", liquidation_ratio)
    self._tell(collateral_type, "initial_ratio", initial_ratio)


@external
@nonreentrant
def set_stability_fee(collateral_type: uint256, new: uint256):
    """
    @notice Set the stability fee, ray a second above RAY. Admin only, not in settlement. The old fee
            is charged first, for a year at most: a type that was left alone for longer wants to be accrued
            before. A dynamic fee moves on from there.
    """
    if self._terms_for_admin(collateral_type).decimals >= SETTLING:
        self._refuse()
    assert new <= bounds.MAX_STABILITY_FEE, "vault_engine: fee bounds"
    self._accrue(collateral_type)
    ledger.income[collateral_type] = ledger._buffer(collateral_type) | (new << 188)
    self._tell(collateral_type, "stability_fee", new)


@external
@nonreentrant
def set_fee_dynamic(collateral_type: uint256, dynamic: bool):
    """
    @notice Have the risk policy set a type's fee whenever its debt changes, or leave it as it is now.
            Admin only, not in settlement.
    """
    terms: IVaultEngine.Terms = self._terms_for_admin(collateral_type)
    if terms.decimals >= SETTLING:
        self._refuse()
    assert RISK_POLICY != empty(address), "vault_engine: no risk policy"
    terms.decimals &= SETTLING - 1 - DYNAMIC
    if dynamic:
        terms.decimals |= DYNAMIC
    self._store_terms(collateral_type, terms)
    self._tell(collateral_type, "fee_dynamic", convert(dynamic, uint256))
    if dynamic:
        debts: ledger.Debts = self._accrue(collateral_type)
        self._reprice(collateral_type, debts, 0)


@external
@nonreentrant
def set_buffer_share(collateral_type: uint256, new: uint256):
    """
    @notice Set which share of fees fills the type's buffer, basis points. Admin only. Fees up to now
            are shared at the old value.
    """
    self._terms_for_admin(collateral_type)
    assert new <= bounds.MAX_BUFFER_SHARE, "vault_engine: share bounds"
    debts: ledger.Debts = ledger._post_accrual(collateral_type)
    debts.buffer_share = new
    ledger._store_debts(collateral_type, debts)
    self._tell(collateral_type, "buffer_share", new)


@external
def set_auction_limit(collateral_type: uint256, new: uint256):
    """
    @notice Set how much principal of a type may be under auction, whole stablecoins. Admin only.
    """
    self._terms_for_admin(collateral_type)
    assert new <= bounds.MAX_DEBT_CEILING, "vault_engine: limit bounds"
    ledger.auctions[collateral_type] = ledger._in_auction(collateral_type) | (new << 188)
    self._tell(collateral_type, "auction_limit", new)


@external
def set_redistribution_cap(collateral_type: uint256, new: uint256):
    """
    @notice Set how far redistribution may raise a type's debts in an epoch, basis points. Admin only.
    """
    self._terms_for_admin(collateral_type)
    assert new <= units.BASIS_POINTS, "vault_engine: cap bounds"
    redistribution: ledger.Redistribution = ledger._load_redistribution(collateral_type)
    redistribution.cap = new
    ledger._store_redistribution(collateral_type, redistribution)
    self._tell(collateral_type, "redistribution_cap", new)


@external
def set_global_debt_ceiling(new: uint256):
    """
    @notice Set the debt ceiling of all types together, whole stablecoins. Admin only, not in
            settlement.
    """
    roles._only_admin()
    if ledger._settling():
        self._refuse()
    assert new <= bounds.MAX_GLOBAL_DEBT_CEILING, "vault_engine: global ceiling"
    ledger.system = (ledger.system & (2**223 - 1)) | (new << 223)
    self._tell(ALL_TYPES, "global_debt_ceiling", new)


@external
def set_global_auction_limit(new: uint256):
    """
    @notice Set how much principal of all types may be under auction, whole stablecoins. Admin only.
    """
    roles._only_admin()
    assert new <= bounds.MAX_GLOBAL_DEBT_CEILING, "vault_engine: global limit"
    self.global_auction_limit = new
    self._tell(ALL_TYPES, "global_auction_limit", new)


# -------------------------------------------------------------------- views


@external
@view
def STABLECOIN() -> address:
    """
    @notice The debt token.
    """
    return ledger.STABLECOIN.address


@external
@view
def LOSS_WATERFALL() -> address:
    """
    @notice Where deficits are recognised.
    """
    return ledger.LOSS_WATERFALL.address


@external
@view
def vault(collateral_type: uint256, owner: address) -> Vault:
    """
    @notice A vault: locked collateral and normalized debt in wad.
    """
    return self._load_vault(collateral_type, owner)


@external
@view
def debts_of(collateral_type: uint256) -> ledger.Debts:
    """
    @notice A type's debt, its rate (as of the last accrual) and how fees are shared.
    """
    return ledger._load_debts(collateral_type)


@external
@view
def terms_of(collateral_type: uint256) -> IVaultEngine.Terms:
    """
    @notice A type's token, ceilings and ratios, as stored: `decimals` is 32 higher with a dynamic fee and
            64 higher in settlement.
    """
    return self._load_terms(collateral_type)


@external
@view
def unit_of(collateral_type: uint256) -> uint256:
    """
    @notice What one raw unit of the type's token is in wad.
    """
    return self._unit(self._load_terms(collateral_type).decimals)


@external
@view
def debt_floor_of(collateral_type: uint256) -> uint256:
    """
    @notice The smallest debt of a vault, whole stablecoins.
    """
    return self._load_terms(collateral_type).debt_floor


@external
@view
def stability_fee_of(collateral_type: uint256) -> uint256:
    """
    @notice The stability fee, ray a second above RAY.
    """
    return ledger.income[collateral_type] >> 188


@external
@view
def buffer_of(collateral_type: uint256) -> uint256:
    """
    @notice The type's own first-loss buffer, rad.
    """
    return ledger._buffer(collateral_type)


@external
@view
def in_auction_of(collateral_type: uint256) -> uint256:
    """
    @notice Principal under auction, rad.
    """
    return ledger._in_auction(collateral_type)


@external
@view
def auction_limit_of(collateral_type: uint256) -> uint256:
    """
    @notice How much principal of a type may be under auction, whole stablecoins.
    """
    return ledger.auctions[collateral_type] >> 188


@external
@view
def deficit_of(collateral_type: uint256) -> uint256:
    """
    @notice Recognised, uncovered loss, rad.
    """
    return ledger.deficit[collateral_type]


@external
@view
def salvage_of(collateral_type: uint256) -> uint256:
    """
    @notice Collateral left over from closed auctions, wad.
    """
    return ledger.salvage[collateral_type]


@external
@view
def redistribution_of(collateral_type: uint256) -> ledger.Redistribution:
    """
    @notice What redistribution added to a type's accumulated rate in this epoch, and its cap.
    """
    return ledger._load_redistribution(collateral_type)


@external
@view
def redistribution_room(collateral_type: uint256) -> uint256:
    """
    @notice What a type's borrowers can still bear in this epoch, rad, at the rate of the last accrual;
            nothing in settlement.
    """
    debts: ledger.Debts = ledger._load_debts(collateral_type)
    terms: IVaultEngine.Terms = self._load_terms(collateral_type)
    if debts.normalized_debt == 0 or terms.decimals >= SETTLING:
        return 0
    more: uint256 = self._steepest(collateral_type)
    return unsafe_mul(
        debts.normalized_debt,
        ledger._rate_room(
            debts,
            ledger._load_redistribution(collateral_type),
            unsafe_add(terms.initial_ratio, more),
            unsafe_add(terms.liquidation_ratio, more),
        ),
    )


@external
@view
def reserve() -> uint256:
    """
    @notice The insurance fund of all types, rad.
    """
    return ledger._reserve()


@external
@view
def settled() -> uint256:
    """
    @notice Debt that settlement has settled, or owes holders once the books are closed, rad.
    """
    return ledger.settled


@external
@view
def in_settlement() -> bool:
    """
    @notice Whether settlement has begun.
    """
    return ledger._settling()


@external
@view
def total_debt() -> uint256:
    """
    @notice Performing, in auction and in deficit, of all types, rad: one side of the balance sheet.
    """
    total: uint256 = 0
    for collateral_type: uint256 in range(self.collateral_types, bound=bounds.MAX_COLLATERAL_TYPES):
        debts: ledger.Debts = ledger._load_debts(collateral_type)
        total += debts.normalized_debt * debts.accumulated_rate + ledger._distress(collateral_type)
    return total


# ------------------------------------------------------------------ helpers


@internal
def _accrue(collateral_type: uint256) -> ledger.Debts:
    debts: ledger.Debts = ledger._post_accrual(collateral_type)
    ledger._store_debts(collateral_type, debts)
    return debts


@internal
@view
def _check_consent(owner: address):
    assert msg.sender == owner or self.operators[owner][msg.sender], "vault_engine: not approved"


@internal
@view
def _check_margin(collateral_type: uint256, locked_collateral: uint256, debt: uint256, ratio: uint256):
    """@dev New risk: value at the lower of current and next price, against the initial ratio."""
    price: uint256 = staticcall IPriceFeed(PRICE_FEED).risk_price(collateral_type)
    assert price != 0, "vault_engine: no price"
    # 103 + 112 + 14 bits against 181 + 16 bits.
    margin: uint256 = unsafe_mul(unsafe_mul(locked_collateral, price), units.BASIS_POINTS)
    assert margin >= unsafe_mul(debt, ratio), "vault_engine: unsafe"


@internal
def _ask_policy(
    collateral_type: uint256,
    vault: Vault,
    initial_ratio: uint256,
    kind: uint256,
    debts: ledger.Debts,
    draw: uint256,
    withdrawn: uint256,
    more: uint256,
):
    """
    @dev New risk: what the risk policy says; a dynamic fee follows. `vault` and `debts` are as they will
         be, with so much `more` normalized debt, modulo 2**256.
    """
    assert vault.called_at == 0, "vault_engine: margin call"
    rate: uint256 = debts.accumulated_rate
    performing: uint256 = unsafe_mul(debts.normalized_debt, rate)
    type_debt: uint256 = performing
    if debts.distressed != 0:
        type_debt = unsafe_add(type_debt, ledger._distress(collateral_type))
    fee: uint256 = extcall IRiskPolicy(RISK_POLICY).check_new_risk(
        IRiskPolicy.NewRisk(
            collateral_type=collateral_type,
            locked_collateral=vault.locked_collateral,
            debt=unsafe_mul(vault.normalized_debt, rate),
            initial_ratio=initial_ratio,
            drawn=draw,
            withdrawn=withdrawn,
            type_debt=type_debt,
            performing=performing,
            performing_before=unsafe_mul(unsafe_sub(debts.normalized_debt, more), rate),
        )
    )
    if kind & DYNAMIC != 0:
        self._store_fee(collateral_type, fee)


@internal
@view
def _steepest(collateral_type: uint256) -> uint256:
    """
    @dev Basis points that a debt needs beyond a ratio, at most, for what it grows by: on both sides of the
         gap between the ratios, it is what redistribution has to leave room for.
    """
    if RISK_POLICY == empty(address):
        return 0
    return staticcall IRiskPolicy(RISK_POLICY).steepest(collateral_type)


@internal
def _reprice(collateral_type: uint256, debts: ledger.Debts, gone: uint256):
    """@dev Have a dynamic fee follow debt that is gone, normalized."""
    rate: uint256 = debts.accumulated_rate
    fee: uint256 = extcall IRiskPolicy(RISK_POLICY).reprice(
        collateral_type, debts.normalized_debt * rate, (debts.normalized_debt + gone) * rate
    )
    self._store_fee(collateral_type, fee)


@internal
def _store_fee(collateral_type: uint256, fee: uint256):
    ledger.income[collateral_type] = ledger._buffer(collateral_type) | (fee << 188)


@internal
@view
def _still_called(collateral_type: uint256, vault: Vault, rate: uint256) -> uint256:
    """@dev The time of a margin call, 0 once it is met. No price is no reason to block a repayment."""
    if staticcall ILiquidationEngine(LIQUIDATION_ENGINE).meets_call(
        collateral_type, vault.locked_collateral, vault.normalized_debt * rate
    ):
        return 0
    return vault.called_at


@internal
def _tell(collateral_type: uint256, parameter: String[24], new: uint256):
    log ParameterChanged(collateral_type=collateral_type, parameter=parameter, value=new)


@internal
@pure
def _check_ratios(liquidation_ratio: uint256, initial_ratio: uint256):
    assert liquidation_ratio >= bounds.MIN_RATIO, "vault_engine: ratio too low"
    assert initial_ratio >= liquidation_ratio, "vault_engine: initial ratio low"
    assert initial_ratio <= bounds.MAX_RATIO, "vault_engine: ratio too high"


@internal
@pure
def _room(limit: uint256, factor: uint256, used: uint256) -> uint256:
    """@dev limit (whole stablecoins)*factor (basis points) - used (rad), in rad; 0 if that is exceeded."""
    most: uint256 = limit * factor * (units.RAD // units.BASIS_POINTS)
    return unsafe_sub(most, min(used, most))


@internal
@view
def _global_room(factor: uint256) -> uint256:
    """@dev Summed where it is needed, in liquidations, so that takes need not keep a total."""
    used: uint256 = 0
    for collateral_type: uint256 in range(self.collateral_types, bound=bounds.MAX_COLLATERAL_TYPES):
        used = unsafe_add(used, ledger._in_auction(collateral_type))
    return self._room(self.global_auction_limit, factor, used)


@internal
@view
def _only_auction():
    assert msg.sender == COLLATERAL_AUCTION, "vault_engine: only auction"


@internal
@view
def _only_settlement():
    assert msg.sender == SETTLEMENT, "vault_engine: only settlement"


@internal
@pure
def _refuse():
    """@dev What ordinary times allow and settlement does not: called where a bit says so, to save gas."""
    raise "vault_engine: in settlement"


@internal
def _pull(token: address, amount: uint256):
    assert extcall IERC20(token).transferFrom(
        msg.sender, self, amount, default_return_value=True
    ), "vault_engine: pull failed"


@internal
def _push(token: address, receiver: address, amount: uint256):
    assert extcall IERC20(token).transfer(
        receiver, amount, default_return_value=True
    ), "vault_engine: push failed"


@internal
@pure
def _unit(decimals: uint256) -> uint256:
    """@dev Whether settlement has begun or not."""
    return 10**unsafe_sub(18, decimals & 31)


@internal
@view
def _terms_for_admin(collateral_type: uint256) -> IVaultEngine.Terms:
    roles._only_admin()
    return self._load_terms(collateral_type)


@internal
@view
def _load_terms(collateral_type: uint256) -> IVaultEngine.Terms:
    word: uint256 = self.terms[collateral_type]
    assert word != 0, "vault_engine: unknown type"
    return IVaultEngine.Terms(
        token=convert(word & (2**160 - 1), address),
        debt_ceiling=(word >> 160) & ledger.MASK_32,
        debt_floor=(word >> 192) & (2**20 - 1),
        liquidation_ratio=(word >> 212) & (2**16 - 1),
        initial_ratio=(word >> 228) & (2**16 - 1),
        decimals=word >> 244,
    )


@internal
def _store_terms(collateral_type: uint256, terms: IVaultEngine.Terms):
    self.terms[collateral_type] = (
        convert(terms.token, uint256)
        | (terms.debt_ceiling << 160)
        | (terms.debt_floor << 192)
        | (terms.liquidation_ratio << 212)
        | (terms.initial_ratio << 228)
        | (terms.decimals << 244)
    )


@internal
@view
def _load_vault(collateral_type: uint256, owner: address) -> Vault:
    word: uint256 = self.vaults[collateral_type][owner]
    return Vault(
        locked_collateral=word & ledger.MASK_104,
        normalized_debt=(word >> 104) & ledger.MASK_104,
        called_at=(word >> 208) & ledger.MASK_32,
        liquidated=word >> 240,
    )


@internal
def _store_vault(collateral_type: uint256, owner: address, vault: Vault):
    self.vaults[collateral_type][owner] = (
        vault.locked_collateral
        | (vault.normalized_debt << 104)
        | (vault.called_at << 208)
        | (vault.liquidated << 240)
    )
    log VaultChanged(
        collateral_type=collateral_type,
        owner=owner,
        locked_collateral=vault.locked_collateral,
        normalized_debt=vault.normalized_debt,
    )
