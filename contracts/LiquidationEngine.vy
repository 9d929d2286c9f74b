# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title LiquidationEngine
@license GNU Affero General Public License v3.0 only
@notice Decides which vaults are called for more margin, which are liquidated and how much of them, which debt
        is at risk, and lets an issuer write its own debt down. It holds nothing.
@dev Debt is at risk while it is under auction, in a workout that is not sound, or flagged. A rule that
     decides which vaults may be liquidated also decides which may be flagged. All debt that leaves a vault
     for an auction passes here, so that a flag ends with its position. Nothing here depends on the risk
     policy: it is asked with gas of its own. Where it does not answer, or beyond its bounds, there are no
     add-ons and no calls, and the plain limits hold.
"""
from contracts.interfaces import ICollateralAuction
from contracts.interfaces import ILiquidationEngine
from contracts.interfaces import ILiquidationMechanism
from contracts.interfaces import IPriceFeed
from contracts.interfaces import IRiskPolicy
from contracts.interfaces import IVaultEngine
from contracts.modules import policy_calls
from contracts.modules import bounds
from contracts.modules import vault_flags
from contracts.modules import units

implements: ILiquidationEngine

initializes: vault_flags


event MarginCalled:
    collateral_type: indexed(uint256)  # [id]
    owner: indexed(address)
    due: uint256  # [timestamp]
    expires: uint256  # [timestamp]


event Liquidated:
    auction_id: indexed(uint256)  # [id]
    collateral_type: indexed(uint256)  # [id]
    owner: indexed(address)
    collateral: uint256  # [wad]
    principal: uint256  # [rad]
    reward: uint256  # [wad]


event CollateralSold:
    collateral_type: indexed(uint256)  # [id]
    owner: indexed(address)
    buyer: indexed(address)
    collateral: uint256  # [wad] that left the vault
    fee: uint256  # [wad] of it that the protocol keeps
    paid: uint256  # [wad]
    principal: uint256  # [rad] that left the vault


event MechanismSet:
    collateral_type: indexed(uint256)  # [id]
    mechanism: address


event WrittenDown:
    collateral_type: indexed(uint256)  # [id]
    owner: indexed(address)
    principal: uint256  # [rad]


VAULT_ENGINE: public(immutable(IVaultEngine))
PRICE_FEED: public(immutable(IPriceFeed))
COLLATERAL_AUCTION: public(immutable(ICollateralAuction))
# Margins by size, margin calls and limits by mode, at deployment; the zero address is none of them, for good.
# The ledger knows today's.
RISK_POLICY: public(immutable(address))
# Takes called vaults over; the zero address is none.
WORKOUTS: public(immutable(address))

# collateral type -> its liquidation mechanism, for good; the zero address is an auction
mechanism_of: public(HashMap[uint256, address])


@deploy
def __init__(
    vault_engine: address,
    price_feed: address,
    collateral_auction: address,
    risk_policy: address,
    workouts: address,
):
    """
    @notice Wire the contract to the protocol, for good.
    @param vault_engine The ledger that vaults are read and seized in.
    @param price_feed Where prices come from.
    @param collateral_auction Sells the seized collateral.
    @param risk_policy Margins by size, margin calls and limits by mode; the zero address is none of them, for
                       good.
    @param workouts Takes called vaults over; the zero address is none.
    """
    VAULT_ENGINE = IVaultEngine(vault_engine)
    PRICE_FEED = IPriceFeed(price_feed)
    COLLATERAL_AUCTION = ICollateralAuction(collateral_auction)
    RISK_POLICY = risk_policy
    WORKOUTS = workouts


@external
def liquidate(collateral_type: uint256, owner: address, reward_receiver: address) -> uint256:
    """
    @notice Put an unsafe vault, or as much of it as the limits leave room for, up for auction.
            Permissionless, for types without a liquidation mechanism, and for vaults that a type's mechanism
            has no sale for. Protects: only a vault under its liquidation ratio at the current price is
            touched, or one that was called and has not met the call in time; its sale begins from the higher
            of current and next price. A part takes as much debt with it as its whole units of collateral
            stood for. It never leaves the vault with less collateral for each unit of debt than before, nor
            with a debt under the floor. The limits are passed by at most one debt floor and the debt of one
            unit of the token.
    @param collateral_type [id] The collateral type.
    @param owner Owner of the vault.
    @param reward_receiver Receiver of the reward, stablecoin.
    @return [id] The auction's id.
    """
    price: uint256 = 0
    highest: uint256 = 0
    price, highest = staticcall PRICE_FEED.sale_prices(collateral_type)
    assert price != 0, "liquidation_engine: no price"
    vault: IVaultEngine.VaultState = extcall VAULT_ENGINE.accrue_and_read(
        collateral_type, owner, units.BASIS_POINTS
    )
    policy: address = self._policy_of(vault.replaced)
    if policy != empty(address):
        factor: uint256 = policy_calls._limits_factor(policy)
        if factor != units.BASIS_POINTS:
            # Other limits are rare. The fee is charged already, so this changes the room alone.
            vault = extcall VAULT_ENGINE.accrue_and_read(collateral_type, owner, factor)
    debt: uint256 = unsafe_mul(vault.normalized_debt, vault.accumulated_rate)
    self._check_unsafe(
        policy,
        collateral_type,
        vault.locked_collateral,
        vault.liquidation_ratio,
        vault.called_at,
        price,
        debt,
    )
    if vault.has_mechanism != 0:
        assert staticcall ILiquidationMechanism(self.mechanism_of[collateral_type]).can_auction(
            collateral_type, self._build_position(vault, highest, empty(address))
        ), "liquidation_engine: no auctions"
    assert vault.room != 0, "liquidation_engine: no room"

    # Rounded down to the limit, and up to the whole vault if the rest would be under the floor.
    collateral: uint256 = vault.locked_collateral
    normalized_debt: uint256 = min(vault.normalized_debt, unsafe_div(vault.room, vault.accumulated_rate))
    assert collateral != 0 and normalized_debt != 0, "liquidation_engine: nothing in"
    principal: uint256 = unsafe_mul(normalized_debt, vault.accumulated_rate)
    if unsafe_sub(debt, principal) >= vault.debt_floor:
        assert principal >= vault.debt_floor, "liquidation_engine: part too low"
        collateral, normalized_debt = self._compute_part_lot_and_debt(vault, normalized_debt)
        principal = unsafe_mul(normalized_debt, vault.accumulated_rate)
    if unsafe_sub(debt, principal) < vault.debt_floor:
        collateral = vault.locked_collateral
        normalized_debt = vault.normalized_debt
        principal = debt

    vault_flags._shrink_flag(collateral_type, owner, unsafe_sub(vault.normalized_debt, normalized_debt))
    auction_id: uint256 = 0
    reward: uint256 = 0
    auction_id, reward = extcall COLLATERAL_AUCTION.start(
        collateral_type, owner, collateral, principal, highest
    )
    # The engine is a contract of the protocol: its code is there.
    extcall VAULT_ENGINE.seize(
        collateral_type,
        owner,
        collateral,
        normalized_debt,
        reward_receiver,
        reward,
        skip_contract_check=True,
    )
    log Liquidated(
        auction_id=auction_id,
        collateral_type=collateral_type,
        owner=owner,
        collateral=collateral,
        principal=principal,
        reward=reward,
    )
    return auction_id


@external
@nonreentrant
def liquidate_and_buy(
    collateral_type: uint256,
    owner: address,
    max_collateral: uint256,
    max_repay: uint256,
    max_price: uint256,
    receiver: address,
    data: Bytes[1024],
) -> (uint256, uint256):
    """
    @notice Repay debt of an unsafe vault and get collateral for it in the same call, as the type's mechanism
            has it. Permissionless, for types that have one. The collateral is sent first, then `receiver` is
            called as by a take if `data` is not empty, with an auction's id of 0; then the payment is burned
            from the caller. Protects: only a vault that may be liquidated is touched, at a price that is
            fresh, not held back by a guard, and the higher of current and next; the rest of a debt is zero or
            at least the floor; and debt that the sale leaves without collateral is a deficit when the call
            ends. Nothing is under auction then, so of auction limits only one of zero binds: it stops sales.
    @param collateral_type [id] The collateral type.
    @param owner The vault's owner.
    @param max_collateral [wad] The most collateral to take from the vault.
    @param max_repay [wad] The most stablecoin to pay.
    @param max_price [ray] The highest price of 1e18 of collateral: payment over collateral received.
    @param receiver The account that gets the collateral and is called; no contract of the protocol.
    @param data Handed to `receiver`; empty for no call.
    @return [wad] The collateral that the receiver got.
    @return [wad] The stablecoin that was paid.
    """
    mechanism: address = self.mechanism_of[collateral_type]
    assert mechanism != empty(address), "liquidation_engine: no mechanism"
    price: uint256 = 0
    highest: uint256 = 0
    price, highest = staticcall PRICE_FEED.sale_prices(collateral_type)
    assert (
        price != 0 and staticcall PRICE_FEED.current_price(collateral_type) != 0
    ), "liquidation_engine: stale price"
    vault: IVaultEngine.VaultState = extcall VAULT_ENGINE.accrue_and_read(collateral_type, owner, 0)
    assert staticcall VAULT_ENGINE.auction_limit_of(collateral_type) != 0, "liquidation_engine: no sales"
    debt: uint256 = unsafe_mul(vault.normalized_debt, vault.accumulated_rate)
    self._check_unsafe(
        self._policy_of(vault.replaced),
        collateral_type,
        vault.locked_collateral,
        vault.liquidation_ratio,
        vault.called_at,
        price,
        debt,
    )
    sale: ILiquidationMechanism.Sale = staticcall ILiquidationMechanism(mechanism).plan_sale(
        collateral_type, self._build_position(vault, highest, msg.sender), max_collateral, max_repay
    )
    sent: uint256 = sale.collateral - sale.fee
    # Collateral is sent for a payment, and only then.
    assert (
        sale.collateral != 0 and sale.normalized_debt != 0 and (sent != 0 or sale.paid == 0)
    ), "liquidation_engine: no sale"
    left: uint256 = vault.normalized_debt - sale.normalized_debt
    assert (
        left == 0 or unsafe_mul(left, vault.accumulated_rate) >= vault.debt_floor
    ), "liquidation_engine: rest too low"
    if sent != 0:
        # To the wei: paid - 1 < (sent + 1)*max_price.
        assert (sale.paid - 1) * units.RAY // (sent + 1) < max_price, "liquidation_engine: high price"

    vault_flags._shrink_flag(collateral_type, owner, left)
    # The engine is a contract of the protocol: its code is there.
    extcall VAULT_ENGINE.seize(
        collateral_type,
        owner,
        sale.collateral,
        sale.normalized_debt,
        owner,
        0,
        skip_contract_check=True,
    )
    principal: uint256 = sale.normalized_debt * vault.accumulated_rate
    log CollateralSold(
        collateral_type=collateral_type,
        owner=owner,
        buyer=msg.sender,
        collateral=sale.collateral,
        fee=sale.fee,
        paid=sale.paid,
        principal=principal,
    )
    extcall COLLATERAL_AUCTION.settle_sale(
        collateral_type, owner, msg.sender, sent, sale.paid, principal, sale.fee, receiver, data
    )
    return sent, sale.paid


@external
def set_mechanism(collateral_type: uint256, mechanism: address):
    """
    @notice Set a type's liquidation mechanism, for good. Admin of the ledger only, once, while the type has
            no debt: before its first debt ceiling. Protects: no borrower draws under one rule and is
            liquidated under another; each type that can be borrowed against has terms by which it is
            liquidated.
    @param collateral_type [id] The collateral type, with a market that has reporters.
    @param mechanism The contract, which has terms for the type.
    """
    assert msg.sender == staticcall VAULT_ENGINE.admin(), "liquidation_engine: not admin"
    assert self.mechanism_of[collateral_type] == empty(address), "liquidation_engine: is set"
    terms: IVaultEngine.Terms = staticcall VAULT_ENGINE.terms_of(collateral_type)
    assert not terms.settling, "liquidation_engine: settling"
    debts: IVaultEngine.Debts = staticcall VAULT_ENGINE.debts_of(collateral_type)
    assert debts.normalized_debt == 0 and debts.distressed == 0, "liquidation_engine: has debt"
    # Whoever issues the token has no say in what it is sold for.
    assert len(staticcall PRICE_FEED.reporters_of(collateral_type)) != 0, "liquidation_engine: no reporters"
    extcall ILiquidationMechanism(mechanism).check_sale_terms(collateral_type, terms.liquidation_ratio)
    self.mechanism_of[collateral_type] = mechanism
    extcall VAULT_ENGINE.note_mechanism(collateral_type)
    log MechanismSet(collateral_type=collateral_type, mechanism=mechanism)


@external
def call(collateral_type: uint256, owner: address):
    """
    @notice Call a vault for more margin: it takes no new risk until the call is met, and may be liquidated
            once the grace is over. Permissionless, for a vault under the call ratio at the current price that
            has no call running. Protects: the owner has time before a liquidation that is not urgent; a
            payment of any account that meets the call clears it.
    @param collateral_type [id] The collateral type.
    @param owner Owner of the vault.
    """
    policy: address = self._policy()
    assert policy != empty(address), "liquidation_engine: no calls"
    terms: IRiskPolicy.CallTerms = self._call_terms(policy, collateral_type)
    price: uint256 = staticcall PRICE_FEED.liquidation_price(collateral_type)
    assert price != 0, "liquidation_engine: no price now"
    vault: IVaultEngine.VaultState = extcall VAULT_ENGINE.accrue_and_read(
        collateral_type, owner, units.BASIS_POINTS
    )
    debt: uint256 = unsafe_mul(vault.normalized_debt, vault.accumulated_rate)
    assert terms.ratio != 0 and not self._has_ratio(
        vault.locked_collateral, price, debt, terms.ratio, self._add_on(policy, collateral_type, debt)
    ), "liquidation_engine: margin met"
    due: uint256 = unsafe_add(vault.called_at, terms.grace)
    assert (
        vault.called_at == 0 or block.timestamp > unsafe_add(due, terms.valid)
    ), "liquidation_engine: call runs"
    extcall VAULT_ENGINE.set_called(collateral_type, owner)
    due = block.timestamp + terms.grace
    log MarginCalled(collateral_type=collateral_type, owner=owner, due=due, expires=due + terms.valid)


@external
def flag(collateral_type: uint256, owner: address) -> uint256:
    """
    @notice Check a vault: its debt is at risk if it may be liquidated, or could be at the next price.
            Permissionless; sets, changes or clears its flag. Reverts without a price, unless the vault has no
            debt. Where the issuer sets the price nothing is sold, and the shortfall at that price is at risk.
            Protects: no member leaves a pool ahead of a loss that is publicly visible; and no setting makes a
            vault flagged that cannot be liquidated.
    @param collateral_type [id] The collateral type.
    @param owner Owner of the vault.
    @return [rad] The debt at risk, all or nothing; of an issuer's vault the shortfall, rounded up to a whole
            unit of normalized debt.
    """
    vault: IVaultEngine.VaultState = extcall VAULT_ENGINE.accrue_and_read(
        collateral_type, owner, units.BASIS_POINTS
    )
    debt: uint256 = unsafe_mul(vault.normalized_debt, vault.accumulated_rate)
    flagged: uint256 = 0
    if debt != 0:
        price: uint256 = vault_flags._lowest_price(PRICE_FEED, collateral_type)
        assert price != 0, "vault_flags: no price"
        if staticcall PRICE_FEED.issuer_of(collateral_type) != empty(address):
            # 104 + 112 bits.
            worth: uint256 = unsafe_mul(vault.locked_collateral, price)
            flagged = units._div_up(unsafe_sub(debt, min(debt, worth)), vault.accumulated_rate)
        elif self._is_unsafe(
            self._policy_of(vault.replaced),
            collateral_type,
            vault.locked_collateral,
            vault.liquidation_ratio,
            vault.called_at,
            price,
            debt,
        ):
            flagged = vault.normalized_debt
    vault_flags._set_vault_debt_flag(collateral_type, owner, flagged)
    return unsafe_mul(flagged, vault.accumulated_rate)


@external
def write_down(collateral_type: uint256, amount: uint256) -> uint256:
    """
    @notice Turn debt of the caller's own vault into a deficit of its type, at once: its collateral are the
            caller's own notes, which have no buyers. Issuer of the type's market only. There is no reward and
            nothing is sold.
    @param collateral_type [id] The collateral type.
    @param amount [wad] Stablecoin; at most the debt is written down, in whole units of normalized debt.
    @return [rad] The principal written down; zero without debt.
    """
    assert msg.sender == staticcall PRICE_FEED.issuer_of(collateral_type), "liquidation_engine: not issuer"
    vault: IVaultEngine.VaultState = extcall VAULT_ENGINE.accrue_and_read(collateral_type, msg.sender, 0)
    normalized_debt: uint256 = min(vault.normalized_debt, amount * units.RAY // vault.accumulated_rate)
    principal: uint256 = unsafe_mul(normalized_debt, vault.accumulated_rate)
    if principal != 0:
        vault_flags._shrink_flag(
            collateral_type, msg.sender, unsafe_sub(vault.normalized_debt, normalized_debt)
        )
        extcall VAULT_ENGINE.seize(collateral_type, msg.sender, 0, normalized_debt, msg.sender, 0)
        extcall COLLATERAL_AUCTION.write_off(collateral_type, principal)
    log WrittenDown(collateral_type=collateral_type, owner=msg.sender, principal=principal)
    return principal


@external
def move_to_workout(collateral_type: uint256, owner: address, collateral: uint256, normalized_debt: uint256):
    """
    @notice Move a vault's collateral, and debt with it, into a workout: nothing is sold, and there is no
            reward. Workouts only, in the transaction in which it charged the fee.
    @param collateral_type [id] The collateral type.
    @param owner Owner of the vault.
    @param collateral [wad] A multiple of the token's unit.
    @param normalized_debt [wad] Debt that goes with it; 0 adds collateral to a workout.
    """
    assert msg.sender == WORKOUTS, "liquidation_engine: not workouts"
    # The vault goes over whole, or has no debt.
    vault_flags._shrink_flag(collateral_type, owner, 0)
    extcall VAULT_ENGINE.seize(collateral_type, owner, collateral, normalized_debt, empty(address), 0)


@external
@view
def satisfies_margin_call(collateral_type: uint256, locked_collateral: uint256, debt: uint256) -> bool:
    """
    @notice Whether a vault of this size is at or above its call ratio at the current price.
    @param collateral_type [id] The collateral type.
    @param locked_collateral [wad] The vault's.
    @param debt [rad] The vault's.
    @return Without debt or without calls always true, without a fresh price false.
    """
    if debt == 0:
        return True
    policy: address = self._policy()
    terms: IRiskPolicy.CallTerms = self._call_terms(policy, collateral_type)
    return terms.ratio == 0 or self._has_ratio(
        locked_collateral,
        staticcall PRICE_FEED.current_price(collateral_type),
        debt,
        terms.ratio,
        self._add_on(policy, collateral_type, debt),
    )


@external
@view
def is_policy(policy: address) -> bool:
    """
    @notice Return whether a contract is a risk policy of this ledger: it answers the questions about every
            type, within its gas and its bounds, and has the mode of the current policy, if that answers.
    @param policy The contract.
    @return Whether every answer can be used.
    """
    return policy_calls._is_policy(
        policy,
        VAULT_ENGINE.address,
        staticcall VAULT_ENGINE.listed(),
        policy_calls._mode(self._policy()),
    )


@external
@view
def max_marginal_add_on_of(collateral_type: uint256) -> uint256:
    """
    @notice How fast the add-on of a vault grows with its debt, at most. Where the policy does not say, the
            most that it could be.
    @param collateral_type [id] The collateral type.
    @return [basis points] Of each further unit of debt; 0 without a policy.
    """
    return (
        0
        if RISK_POLICY == empty(address)
        else policy_calls._ask_max_marginal_add_on(self._policy(), collateral_type)
    )


@external
def check_mechanism(collateral_type: uint256, liquidation_ratio: uint256):
    """
    @notice Revert unless a type's mechanism, if it has one, has terms that fit a liquidation ratio. Anyone.
    @param collateral_type [id] The collateral type.
    @param liquidation_ratio [basis points] The ratio that it has, or is to have.
    """
    mechanism: address = self.mechanism_of[collateral_type]
    if mechanism != empty(address):
        extcall ILiquidationMechanism(mechanism).check_sale_terms(collateral_type, liquidation_ratio)


@external
@view
def debt_at_risk_of(collateral_type: uint256) -> uint256:
    """
    @notice Return a type's debt that is at risk and not booked as lost: the principal under auction, but for
            sound workouts, and the flagged debt, at most all performing debt.
    @param collateral_type [id] The collateral type.
    @return [rad] At the rate of the last accrual.
    """
    return self._doubt_of(collateral_type, vault_flags.flagged)


@external
@view
def debt_at_risk_total() -> uint256:
    """
    @notice Return the debt at risk of all types that are listed.
    @return [rad] At the rates of the last accruals.
    """
    flagged: uint256 = vault_flags.flagged
    found: uint256 = 0
    # Of a type that is retired nothing performs, and a flag counts for nothing.
    rest: uint256 = flagged | staticcall VAULT_ENGINE.types_under_auction(skip_contract_check=True)
    for c: uint256 in range(bounds.MAX_TYPES):
        if rest == 0:
            break
        if rest & 1 == 1:
            found += self._doubt_of(c, flagged)
        rest >>= 1
    return found


@external
@view
def flag_of(collateral_type: uint256, owner: address) -> uint256:
    """
    @notice A vault's flag as it was last set.
    @param collateral_type [id] The collateral type.
    @param owner Owner of the vault.
    @return [wad] Normalized debt; 0 if it has none.
    """
    return vault_flags.of_vaults[collateral_type][owner]


@external
@view
def flagged_of(collateral_type: uint256) -> uint256:
    """
    @notice The sum of a type's flags.
    @param collateral_type [id] The collateral type.
    @return [wad] Normalized debt.
    """
    return vault_flags.of_types[collateral_type]


# ------------------------------------------------------------------ helpers


@internal
@view
def _doubt_of(collateral_type: uint256, flagged: uint256) -> uint256:
    """@dev Rad at risk, with a bit for each type that has flags."""
    found: uint256 = 0
    if (flagged >> collateral_type) & 1 == 1:
        debts: IVaultEngine.Debts = staticcall VAULT_ENGINE.debts_of(collateral_type)
        found = unsafe_mul(
            min(vault_flags.of_types[collateral_type], debts.normalized_debt), debts.accumulated_rate
        )
    in_auction: uint256 = staticcall VAULT_ENGINE.in_auction_of(collateral_type)
    if in_auction != 0:
        found += in_auction - min(in_auction, self._sound(collateral_type))
    return found


@internal
@view
def _check_unsafe(
    policy: address,
    collateral_type: uint256,
    locked_collateral: uint256,
    liquidation_ratio: uint256,
    called_at: uint256,
    price: uint256,
    debt: uint256,
):
    # Collateral < 2**104, price < 2**112, debt < 2**181, its add-on < 2**196: none reaches 2**256.
    assert self._is_unsafe(
        policy, collateral_type, locked_collateral, liquidation_ratio, called_at, price, debt
    ), "liquidation_engine: safe vault"


@internal
@pure
def _build_position(
    vault: IVaultEngine.VaultState, price: uint256, buyer: address
) -> ILiquidationMechanism.Position:
    """@dev The vault as its type's mechanism is asked about it; the zero address is no buyer."""
    return ILiquidationMechanism.Position(
        locked_collateral=vault.locked_collateral,
        normalized_debt=vault.normalized_debt,
        accumulated_rate=vault.accumulated_rate,
        liquidation_ratio=vault.liquidation_ratio,
        debt_floor=vault.debt_floor,
        unit=vault.unit,
        price=price,
        buyer=buyer,
    )


@internal
@pure
def _compute_part_lot_and_debt(
    vault: IVaultEngine.VaultState, normalized_debt: uint256
) -> (uint256, uint256):
    """
    @dev The collateral of a part in whole units of its token, and the normalized debt that goes with it: as
         much for each unit as before, rounded up. So rounding makes no loss, however dear a unit is. It is
         rounded down to the debt that is asked for, and up by a unit where that is nothing, or under the
         floor: a vault of dear units can always be sold.
    """
    lot: uint256 = unsafe_mul(vault.locked_collateral, normalized_debt) // vault.normalized_debt
    lot = unsafe_sub(lot, lot % vault.unit)
    part: uint256 = units._div_up(unsafe_mul(lot, vault.normalized_debt), vault.locked_collateral)
    if lot == 0 or unsafe_mul(part, vault.accumulated_rate) < vault.debt_floor:
        lot = unsafe_add(lot, vault.unit)
        part = units._div_up(unsafe_mul(lot, vault.normalized_debt), vault.locked_collateral)
    return lot, part


@internal
@view
def _policy() -> address:
    """@dev Today's risk policy; the zero address is none."""
    if RISK_POLICY == empty(address):
        return empty(address)
    return staticcall VAULT_ENGINE.risk_policy()


@internal
@view
def _policy_of(replaced: uint256) -> address:
    """@dev The same, where the ledger tells whether it is still the one at deployment."""
    return RISK_POLICY if replaced == 0 else self._policy()


@internal
@view
def _add_on(policy: address, collateral_type: uint256, debt: uint256) -> uint256:
    """@dev Basis points x rad that a debt of this size needs beyond its ratio."""
    return 0 if policy == empty(address) else policy_calls._add_on(policy, collateral_type, debt)


@internal
@view
def _call_terms(policy: address, collateral_type: uint256) -> IRiskPolicy.CallTerms:
    """@dev The terms for calling vaults: never above the initial ratio, for any answer of the policy."""
    most: uint256 = (staticcall VAULT_ENGINE.terms_of(collateral_type)).initial_ratio
    return policy_calls._call_terms(policy, collateral_type, most)


@internal
@pure
def _has_ratio(
    locked_collateral: uint256, price: uint256, debt: uint256, ratio: uint256, add_on: uint256
) -> bool:
    """@dev Whether collateral is worth the amount that a ratio and the add-on require."""
    margin: uint256 = unsafe_mul(unsafe_mul(locked_collateral, price), units.BASIS_POINTS)
    return margin >= unsafe_add(unsafe_mul(debt, ratio), add_on)


@internal
@view
def _sound(collateral_type: uint256) -> uint256:
    """
    @dev Rad of principal in sound workouts. Where the contract of workouts fails none is: that keeps no
         member in a pool for longer than its auctions last. It needs some 6,000 gas; a caller with less has
         not enough left to go on, so gas decides nothing.
    """
    if WORKOUTS == empty(address):
        return 0
    success: bool = False
    answer: Bytes[32] = b""
    success, answer = raw_call(
        WORKOUTS,
        abi_encode(collateral_type, method_id=method_id("unflagged_principal_of(uint256)")),
        max_outsize=32,
        gas=100_000,
        is_static_call=True,
        revert_on_failure=False,
    )
    if not success or len(answer) != 32:
        return 0
    return convert(answer, uint256)


@internal
@view
def _is_unsafe(
    policy: address,
    collateral_type: uint256,
    locked_collateral: uint256,
    liquidation_ratio: uint256,
    called_at: uint256,
    price: uint256,
    debt: uint256,
) -> bool:
    """
    @dev Whether a vault may be liquidated at a price: it is under its liquidation ratio, or its call is due.
         Takes single fields of the vault's record: a copy of it costs more than the answer. The policy is
         asked only about a vault that its own ratio does not make unsafe.
    """
    if not self._has_ratio(locked_collateral, price, debt, liquidation_ratio, 0):
        return True
    add_on: uint256 = self._add_on(policy, collateral_type, debt)
    if self._has_ratio(locked_collateral, price, debt, liquidation_ratio, add_on):
        return called_at != 0 and self._is_due(
            policy, collateral_type, locked_collateral, called_at, price, debt, add_on
        )
    return True


@internal
@view
def _is_due(
    policy: address,
    collateral_type: uint256,
    locked_collateral: uint256,
    called_at: uint256,
    price: uint256,
    debt: uint256,
    add_on: uint256,
) -> bool:
    """@dev Whether a vault that was called is still under the call ratio, its grace over but not the call."""
    terms: IRiskPolicy.CallTerms = self._call_terms(policy, collateral_type)
    due: uint256 = unsafe_add(called_at, terms.grace)
    return (
        terms.ratio != 0
        and block.timestamp >= due
        and block.timestamp <= unsafe_add(due, terms.valid)
        and not self._has_ratio(locked_collateral, price, debt, terms.ratio, add_on)
    )
