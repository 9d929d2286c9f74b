# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title Workouts
@license GNU Affero General Public License v3.0 only
@notice Restructures called vaults in bad times. A workout is an auction put off: lot and principal leave the
        vault as in a liquidation, but the owner pays the principal in instalments, and a premium after it,
        and then gets the lot back. Interest stops. An instalment that is missed, or a lot under the
        workout's own ratio, lets anyone foreclose: then the auction starts that was put off.
@dev The principal is under auction in the ledger (no interest, counted in ceilings and limits, its loss is
     its type's) and workouts have auctions' ids, so that settlement and limits need to know of nothing new.
     It is at risk only once it is flagged, or foreclosed. Entry and each instalment require
         floor(value*(1 - discount)) >= principal left
     at the lower of the current and the next price: sold at that price less the discount, the lot pays all
     that is owed to the protocol. Packed by hand: one record is one slot, the first field at bit 0.
"""
from contracts.interfaces import ICollateralAuction
from contracts.interfaces import ILiquidationEngine
from contracts.interfaces import IPriceFeed
from contracts.interfaces import IRiskPolicy
from contracts.interfaces import IVaultEngine
from contracts.interfaces import IWorkouts
from contracts.modules import bounds
from contracts.modules import vault_flags
from contracts.modules import debt_repayment
from contracts.modules import roles
from contracts.modules import units

implements: IWorkouts

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


event Entered:
    workout_id: indexed(uint256)  # [id]
    collateral_type: indexed(uint256)  # [id]
    owner: indexed(address)
    lot: uint256  # [wad]
    principal: uint256  # [rad]
    owed: uint256  # [wad]
    instalments: uint256  # [count]


event Paid:
    workout_id: indexed(uint256)  # [id]
    payer: indexed(address)
    amount: uint256  # [wad]
    left: uint256  # [wad]
    met: uint256  # [count]


event ToppedUp:
    workout_id: indexed(uint256)  # [id]
    amount: uint256  # [wad]
    met: uint256  # [count]


event Completed:
    workout_id: indexed(uint256)  # [id]
    collateral_type: indexed(uint256)  # [id]
    owner: indexed(address)
    returned: uint256  # [wad]


event Foreclosed:
    workout_id: indexed(uint256)  # [id]
    collateral_type: indexed(uint256)  # [id]
    owner: indexed(address)
    lot: uint256  # [wad]
    principal: uint256  # [rad]


event WorkoutFlagged:
    workout_id: indexed(uint256)  # [id]
    collateral_type: indexed(uint256)  # [id]
    principal: uint256  # [rad]


event WorkoutUnwound:
    workout_id: indexed(uint256)  # [id]
    collateral_type: indexed(uint256)  # [id]
    owner: indexed(address)
    lot: uint256  # [wad]
    principal: uint256  # [rad]


event TermsSet:
    collateral_type: indexed(uint256)  # [id]
    discount: uint256  # [basis points]
    ratio: uint256  # [basis points]
    premium: uint256  # [basis points]
    instalments: uint256  # [count]
    interval: uint256  # [seconds]
    period: uint256  # [seconds]
    cap: uint256  # [whole stablecoins]


# Of a type, for workouts that begin later.
struct Terms:
    discount: uint256  # basis points of the lot's value that a sale in a hurry would cost, 14 bits
    ratio: uint256  # basis points of the principal left; under it a lot is foreclosed, 16 bits
    premium: uint256  # basis points of the principal, 14 bits
    instalments: uint256  # at most, 8 bits
    interval: uint256  # seconds between two instalments, 32 bits
    period: uint256  # seconds between two entries of a vault, 32 bits
    cap: uint256  # whole stablecoins of principal in the type's workouts, 32 bits; 0 offers none


# What payments change.
struct Balance:
    lot: uint256  # wad of collateral, 104 bits
    left: uint256  # wad of stablecoin to pay, premium included, 104 bits
    met: uint256  # instalments met, 8 bits
    instalments: uint256  # 8 bits
    collateral_type: uint256  # 16 bits
    flagged: bool  # whether its principal is in doubt, 1 bit


struct Schedule:
    owner: address  # 160 bits
    entered_at: uint256  # seconds, 32 bits
    interval: uint256  # seconds, 32 bits
    discount: uint256  # basis points, 14 bits
    ratio: uint256  # basis points, 16 bits


struct WorkoutBalances:
    owed: uint256  # wad of stablecoin at entry, premium included, 104 bits
    premium: uint256  # micro stablecoins of it, 48 bits
    excess: uint256  # rad by which the principal was rounded up to whole wei, 90 bits


struct Workout:
    collateral_type: uint256
    owner: address
    lot: uint256  # wad
    owed: uint256  # wad at entry, premium included
    left: uint256  # wad of it to pay
    principal: uint256  # rad of what is left that is debt
    instalments: uint256
    met: uint256  # instalments met
    entered_at: uint256  # seconds
    interval: uint256  # seconds
    due: uint256  # seconds, when the first instalment is due that is not met
    discount: uint256  # basis points
    ratio: uint256  # basis points


MASK_8: constant(uint256) = 2**8 - 1
MASK_14: constant(uint256) = 2**14 - 1
MASK_16: constant(uint256) = 2**16 - 1
MASK_32: constant(uint256) = 2**32 - 1
MASK_48: constant(uint256) = 2**48 - 1
MASK_104: constant(uint256) = 2**104 - 1
MASK_160: constant(uint256) = 2**160 - 1

# The lowest mode in which vaults may enter.
CAUTION: constant(uint256) = 1

VAULT_ENGINE: public(immutable(IVaultEngine))
PRICE_FEED: public(immutable(IPriceFeed))
LIQUIDATION_ENGINE: public(immutable(ILiquidationEngine))
COLLATERAL_AUCTION: public(immutable(ICollateralAuction))

# collateral type -> Terms
terms: HashMap[uint256, uint256]
# workout -> Balance
balances: HashMap[uint256, uint256]
# workout -> Schedule
schedules: HashMap[uint256, uint256]
# workout -> WorkoutBalances
sums: HashMap[uint256, uint256]
# collateral type -> rad of principal in its workouts
in_workouts: public(HashMap[uint256, uint256])
# collateral type -> rad of that which is flagged
flagged_principal: public(HashMap[uint256, uint256])
# collateral type -> owner -> seconds, when the vault entered last
last_entries: public(HashMap[uint256, HashMap[address, uint256]])


@deploy
def __init__(
    vault_engine: address,
    price_feed: address,
    liquidation_engine: address,
    collateral_auction: address,
    admin: address,
):
    """
    @notice Wire the contract to the protocol, for good: addresses are known before deployment and never
            change.
    @param vault_engine The ledger that vaults are read in.
    @param price_feed Where prices come from.
    @param liquidation_engine Hands vaults over, and knows their calls.
    @param collateral_auction Gives ids, books payments and takes foreclosed lots.
    @param admin The first admin.
    """
    roles.__init__(admin)
    VAULT_ENGINE = IVaultEngine(vault_engine)
    PRICE_FEED = IPriceFeed(price_feed)
    LIQUIDATION_ENGINE = ILiquidationEngine(liquidation_engine)
    COLLATERAL_AUCTION = ICollateralAuction(collateral_auction)


# ----------------------------------------------------------------- workouts


@external
@nonreentrant
def enter(collateral_type: uint256, owner: address, instalments: uint256) -> uint256:
    """
    @notice Move a called vault, the whole of it, into a workout. The owner and approved operators, in caution
            or worse, once in a period. An unsafe vault may enter if it was not liquidated yet. Protects: the
            lot would pay the principal even if it were sold now, at the lower of the current and the next
            price less the discount; workouts leave auctions the room above their cap.
    @param collateral_type [id] The collateral type.
    @param owner Owner of the vault.
    @param instalments [count] Of equal parts in which the principal and the premium are due.
    @return [id] The workout's id, which is an auction's.
    """
    terms: Terms = self._load_terms(collateral_type)
    assert terms.cap != 0, "workouts: none offered"
    self._check_approved(owner)
    policy: IRiskPolicy = IRiskPolicy(staticcall VAULT_ENGINE.risk_policy())
    assert staticcall policy.mode() >= CAUTION, "workouts: no caution"
    assert instalments != 0 and instalments <= terms.instalments, "workouts: bad instalments"
    assert (block.timestamp >= self.last_entries[collateral_type][owner] + terms.period), "workouts: too soon"
    vault: IVaultEngine.VaultState = extcall VAULT_ENGINE.accrue_and_read(
        collateral_type, owner, staticcall policy.auction_limit_factor()
    )
    assert vault.called_at != 0, "workouts: not called"
    principal: uint256 = unsafe_mul(vault.normalized_debt, vault.accumulated_rate)
    # A call that nobody has cleared yet is no reason to stop the interest.
    assert not staticcall LIQUIDATION_ENGINE.satisfies_margin_call(
        collateral_type, vault.locked_collateral, principal
    ), "workouts: call is met"
    price: uint256 = staticcall PRICE_FEED.risk_price(collateral_type)
    assert price != 0, "workouts: no price"
    assert self._can_repay(
        vault.locked_collateral, price, terms.discount, principal
    ), "workouts: worth too little"
    assert principal <= vault.room, "workouts: no room"
    total: uint256 = self.in_workouts[collateral_type] + principal
    assert total <= terms.cap * units.RAD, "workouts: over the cap"

    whole: uint256 = units._div_up(principal, units.RAY)
    # In micro stablecoins; one above its field is cut to it, not refused.
    premium: uint256 = min(
        unsafe_mul(principal, terms.premium) // (units.BASIS_POINTS * debt_repayment.MICRO_RAD), MASK_48
    )
    owed: uint256 = unsafe_add(whole, unsafe_mul(premium, debt_repayment.MICRO_WAD))
    workout_id: uint256 = extcall COLLATERAL_AUCTION.reserve_id()
    self.in_workouts[collateral_type] = total
    self.last_entries[collateral_type][owner] = block.timestamp
    self._store_balance(
        workout_id,
        Balance(
            lot=vault.locked_collateral,
            left=owed,
            met=0,
            instalments=instalments,
            collateral_type=collateral_type,
            flagged=False,
        ),
    )
    self.schedules[workout_id] = (
        convert(owner, uint256)
        | (block.timestamp << 160)
        | (terms.interval << 192)
        | (terms.discount << 224)
        | (terms.ratio << 238)
    )
    self.sums[workout_id] = (
        owed | (premium << 104) | (unsafe_sub(unsafe_mul(whole, units.RAY), principal) << 152)
    )
    log Entered(
        workout_id=workout_id,
        collateral_type=collateral_type,
        owner=owner,
        lot=vault.locked_collateral,
        principal=principal,
        owed=owed,
        instalments=instalments,
    )
    extcall LIQUIDATION_ENGINE.move_to_workout(
        collateral_type, owner, vault.locked_collateral, vault.normalized_debt
    )
    return workout_id


@external
@nonreentrant
def pay(workout_id: uint256, amount: uint256) -> uint256:
    """
    @notice Pay the rest of a workout, or a part of it. Anyone, at any time before settlement: neither the
            feed nor the mode nor a ceiling stands in the way. The principal is paid first; the last payment
            gives the lot back to the owner's vault. Protects: no principal is left under the debt floor.
    @param workout_id [id] The workout.
    @param amount [wad] Stablecoin, burned from the caller; at most the rest, so max_value(uint256) pays all.
                  0 has instalments looked at that were paid for while the lot was worth too little.
    @return [wad] Stablecoin burned.
    """
    self._check_live()
    balance: Balance = self._load_open_workout_balance(workout_id)
    sums: WorkoutBalances = self._load_sums(workout_id)
    schedule: Schedule = self._load_schedule(workout_id)
    collateral_type: uint256 = balance.collateral_type
    before: uint256 = self._principal_left(balance, sums)
    paid: uint256 = min(amount, balance.left)
    balance.left = unsafe_sub(balance.left, paid)
    after: uint256 = self._principal_left(balance, sums)
    if after != 0 and paid != 0:
        least: uint256 = (staticcall VAULT_ENGINE.debt_floor_of(collateral_type)) * units.RAD
        # Principal that a raised floor left under it may still be paid in parts.
        assert after >= least or before < least, "workouts: rest under floor"
    principal: uint256 = unsafe_sub(before, after)
    self._subtract_workout_principal(balance, principal)

    owner: address = empty(address)
    returned: uint256 = 0
    if balance.left == 0:
        owner = schedule.owner
        returned = balance.lot
        balance.met = balance.instalments
        self._remove_workout(workout_id)
    else:
        balance.met = self._count_met_instalments(balance, schedule, sums, after)
        self._store_balance(workout_id, balance)
    log Paid(workout_id=workout_id, payer=msg.sender, amount=paid, left=balance.left, met=balance.met)
    if returned != 0:
        log Completed(workout_id=workout_id, collateral_type=collateral_type, owner=owner, returned=returned)
    extcall COLLATERAL_AUCTION.settle_payment(
        collateral_type,
        msg.sender,
        paid,
        principal,
        unsafe_sub(unsafe_mul(paid, units.RAY), principal),
        owner,
        returned,
    )
    return paid


@external
@nonreentrant
def top_up(workout_id: uint256, amount: uint256):
    """
    @notice Add collateral to a workout, out of its owner's vault, which may not owe anything. The owner and
            approved operators, not in settlement. Instalments that were paid for are looked at again.
    @param workout_id [id] The workout.
    @param amount [wad] Collateral, floored to the token's unit.
    """
    self._check_live()
    balance: Balance = self._load_open_workout_balance(workout_id)
    schedule: Schedule = self._load_schedule(workout_id)
    owner: address = schedule.owner
    self._check_approved(owner)
    vault: IVaultEngine.VaultState = extcall VAULT_ENGINE.accrue_and_read(
        balance.collateral_type, owner, units.BASIS_POINTS
    )
    assert vault.normalized_debt == 0, "workouts: vault has debt"
    added: uint256 = unsafe_sub(amount, amount % vault.unit)
    assert added <= vault.locked_collateral, "workouts: not enough locked"
    balance.lot = unsafe_add(balance.lot, added)
    assert balance.lot <= MASK_104, "workouts: lot is full"
    sums: WorkoutBalances = self._load_sums(workout_id)
    balance.met = self._count_met_instalments(balance, schedule, sums, self._principal_left(balance, sums))
    self._store_balance(workout_id, balance)
    log ToppedUp(workout_id=workout_id, amount=added, met=balance.met)
    extcall LIQUIDATION_ENGINE.move_to_workout(balance.collateral_type, owner, added, 0)


@external
@nonreentrant
def flag(workout_id: uint256) -> uint256:
    """
    @notice Check a workout: its principal is at risk if it may be foreclosed, or could be at the next price.
            Permissionless; sets or clears its flag. Reverts without a price, unless an instalment is missed
            or nothing is left to lose. Protects: no member leaves a pool ahead of a loss that is publicly
            visible; and a workout in good standing delays no member.
    @param workout_id [id] The workout.
    @return [rad] The principal at risk, all or nothing.
    """
    balance: Balance = self._load_open_workout_balance(workout_id)
    collateral_type: uint256 = balance.collateral_type
    principal: uint256 = self._principal_left(balance, self._load_sums(workout_id))
    schedule: Schedule = self._load_schedule(workout_id)
    found: bool = False
    if principal != 0:
        price: uint256 = vault_flags._lowest_price(PRICE_FEED, collateral_type)
        found = self._is_instalment_overdue(balance, schedule)
        assert found or price != 0, "workouts: no price to flag at"
        found = found or self._is_short(balance, schedule, price, principal)
    if found != balance.flagged:
        if found:
            self.flagged_principal[collateral_type] += principal
        else:
            self.flagged_principal[collateral_type] -= principal
        balance.flagged = found
        self._store_balance(workout_id, balance)
    flagged_principal: uint256 = principal if found else 0
    log WorkoutFlagged(workout_id=workout_id, collateral_type=collateral_type, principal=flagged_principal)
    return flagged_principal


@external
@nonreentrant
def foreclose(workout_id: uint256, reward_receiver: address):
    """
    @notice End a workout that is not kept: its lot is auctioned for the principal left, with penalty and
            reward as in any liquidation. Permissionless, once an instalment is missed, or while the lot is
            worth less than its ratio asks for at the current price; not in settlement. The unpaid rest of the
            premium is not asked for. Protects: a workout in good standing is left alone.
    @param workout_id [id] The workout.
    @param reward_receiver Receiver of the reward, stablecoin.
    """
    self._check_live()
    balance: Balance = self._load_open_workout_balance(workout_id)
    principal: uint256 = self._principal_left(balance, self._load_sums(workout_id))
    # Nothing is at risk any more: the lot waits for the rest of the premium.
    assert principal != 0, "workouts: repaid"
    collateral_type: uint256 = balance.collateral_type
    price: uint256 = 0
    highest: uint256 = 0
    price, highest = staticcall PRICE_FEED.sale_prices(collateral_type)
    assert price != 0, "workouts: stale price"
    schedule: Schedule = self._load_schedule(workout_id)
    assert (
        self._is_instalment_overdue(balance, schedule) or self._is_short(balance, schedule, price, principal)
    ), "workouts: in good standing"
    self._subtract_workout_principal(balance, principal)
    self._remove_workout(workout_id)
    log Foreclosed(
        workout_id=workout_id,
        collateral_type=collateral_type,
        owner=schedule.owner,
        lot=balance.lot,
        principal=principal,
    )
    extcall COLLATERAL_AUCTION.foreclose(
        workout_id, collateral_type, schedule.owner, balance.lot, principal, highest, reward_receiver
    )


@external
@nonreentrant
def unwind(workout_id: uint256):
    """
    @notice Undo the rest of a workout: its lot and its principal go back to the vault, the premium is
            forgiven. Permissionless, in settlement. Protects: it is settled like every other vault, at the
            final price.
    @param workout_id [id] The workout.
    """
    assert staticcall VAULT_ENGINE.in_settlement(), "workouts: not settling"
    balance: Balance = self._load_open_workout_balance(workout_id)
    principal: uint256 = self._principal_left(balance, self._load_sums(workout_id))
    owner: address = self._load_schedule(workout_id).owner
    self._subtract_workout_principal(balance, principal)
    self._remove_workout(workout_id)
    log WorkoutUnwound(
        workout_id=workout_id,
        collateral_type=balance.collateral_type,
        owner=owner,
        lot=balance.lot,
        principal=principal,
    )
    extcall COLLATERAL_AUCTION.unwind_workout(balance.collateral_type, owner, balance.lot, principal)


# --------------------------------------------------------------- parameters


@external
def set_terms(
    collateral_type: uint256,
    discount: uint256,
    ratio: uint256,
    premium: uint256,
    instalments: uint256,
    interval: uint256,
    period: uint256,
    cap: uint256,
):
    """
    @notice Set the terms of a type's workouts. Admin only. Workouts under way keep theirs.
    @param collateral_type [id] The collateral type.
    @param discount [basis points] Of the lot's value, that a sale in a hurry would cost.
    @param ratio [basis points] Of the principal left; a lot under it is foreclosed. At most the ratio for
                 entry, so that no workout begins under it.
    @param premium [basis points] Of the principal, paid after it, to the type's buffer.
    @param instalments [count] At most.
    @param interval [seconds] From one instalment to the next.
    @param period [seconds] Until a vault may enter again.
    @param cap [whole stablecoins] Of principal in workouts; 0 allows no entry.
    """
    roles._only_admin()
    assert collateral_type < staticcall VAULT_ENGINE.collateral_types(), "workouts: unknown type"
    assert discount <= bounds.MAX_WORKOUT_DISCOUNT, "workouts: discount bounds"
    assert ratio >= bounds.MIN_RATIO, "workouts: ratio too low"
    assert (
        ratio <= units.BASIS_POINTS * units.BASIS_POINTS // (units.BASIS_POINTS - discount)
    ), "workouts: ratio too high"
    assert premium <= bounds.MAX_PREMIUM, "workouts: premium bounds"
    assert instalments != 0 and instalments <= bounds.MAX_INSTALMENTS, "workouts: instalment bounds"
    assert interval >= bounds.MIN_INTERVAL and interval <= bounds.MAX_INTERVAL, "workouts: interval bounds"
    assert period <= bounds.MAX_WORKOUT_PERIOD, "workouts: period bounds"
    assert cap <= bounds.MAX_DEBT_CEILING, "workouts: cap bounds"
    self.terms[collateral_type] = (
        discount
        | (ratio << 14)
        | (premium << 30)
        | (instalments << 44)
        | (interval << 52)
        | (period << 84)
        | (cap << 116)
    )
    log TermsSet(
        collateral_type=collateral_type,
        discount=discount,
        ratio=ratio,
        premium=premium,
        instalments=instalments,
        interval=interval,
        period=period,
        cap=cap,
    )


# -------------------------------------------------------------------- views


@external
@view
def terms_of(collateral_type: uint256) -> Terms:
    """
    @notice The terms of a type's workouts.
    @param collateral_type [id] The collateral type.
    @return The terms; zeros if none were set.
    """
    return self._load_terms(collateral_type)


@external
@view
def workout_of(workout_id: uint256) -> Workout:
    """
    @notice The record of an open workout. Reverts if there is none.
    @param workout_id [id] The workout.
    @return The workout; `principal` is the part of the remainder that is debt, `due` when the first
            instalment is due that is not met.
    """
    balance: Balance = self._load_open_workout_balance(workout_id)
    schedule: Schedule = self._load_schedule(workout_id)
    sums: WorkoutBalances = self._load_sums(workout_id)
    return Workout(
        collateral_type=balance.collateral_type,
        owner=schedule.owner,
        lot=balance.lot,
        owed=sums.owed,
        left=balance.left,
        principal=self._principal_left(balance, sums),
        instalments=balance.instalments,
        met=balance.met,
        entered_at=schedule.entered_at,
        interval=schedule.interval,
        due=self._compute_due_time(balance, schedule),
        discount=schedule.discount,
        ratio=schedule.ratio,
    )


@external
@view
def position_of(workout_id: uint256) -> (uint256, address, uint256, uint256):
    """
    @notice Return the amounts at risk in a workout: all zero if there is none.
    @param workout_id [id] The workout.
    @return [id] Its collateral type.
    @return Its owner.
    @return [wad] The lot.
    @return [rad] Principal left.
    """
    if self.balances[workout_id] == 0:
        return 0, empty(address), 0, 0
    balance: Balance = self._load_open_workout_balance(workout_id)
    principal: uint256 = self._principal_left(balance, self._load_sums(workout_id))
    return balance.collateral_type, self._load_schedule(workout_id).owner, balance.lot, principal


@external
@view
def unflagged_principal_of(collateral_type: uint256) -> uint256:
    """
    @notice Return the principal in a type's workouts without a flag.
    @param collateral_type [id] The collateral type.
    @return [rad] The principal.
    """
    return self.in_workouts[collateral_type] - self.flagged_principal[collateral_type]


@external
@view
def is_flagged(workout_id: uint256) -> bool:
    """
    @notice Return whether a workout's principal is at risk, as it was last checked. Reverts if there is none.
    @param workout_id [id] The workout.
    @return Whether it is.
    """
    return self._load_open_workout_balance(workout_id).flagged


# ------------------------------------------------------------------ helpers


@internal
@view
def _check_live():
    assert not staticcall VAULT_ENGINE.in_settlement(), "workouts: in settlement"


@internal
@view
def _check_approved(owner: address):
    assert (
        msg.sender == owner or staticcall VAULT_ENGINE.operators(owner, msg.sender)
    ), "workouts: not approved"


@internal
@pure
def _can_repay(lot: uint256, price: uint256, discount: uint256, principal: uint256) -> bool:
    """@dev Whether a sale at the price less the discount would pay the principal: 104 + 112 + 14 bits."""
    value: uint256 = unsafe_mul(
        unsafe_mul(lot, price), unsafe_sub(units.BASIS_POINTS, discount)
    ) // units.BASIS_POINTS
    return value >= principal


@internal
@view
def _count_met_instalments(
    balance: Balance, schedule: Schedule, sums: WorkoutBalances, principal: uint256
) -> uint256:
    """
    @dev How many instalments are met: as many as ceil(owed*k/n) is paid for, if the lot would repay the rest.
         Without a price the amount alone counts: a broken feed is not the owner's fault.
    """
    covered: uint256 = (sums.owed - balance.left) * balance.instalments // sums.owed
    if covered > balance.met:
        price: uint256 = staticcall PRICE_FEED.risk_price(balance.collateral_type)
        if price == 0 or self._can_repay(balance.lot, price, schedule.discount, principal):
            return covered
    return balance.met


@internal
@pure
def _compute_due_time(balance: Balance, schedule: Schedule) -> uint256:
    """@dev Seconds: an instalment is missed after this."""
    return schedule.entered_at + (balance.met + 1) * schedule.interval


@internal
@view
def _is_instalment_overdue(balance: Balance, schedule: Schedule) -> bool:
    """@dev Whether an instalment is missed."""
    return block.timestamp > self._compute_due_time(balance, schedule)


@internal
@pure
def _is_short(balance: Balance, schedule: Schedule, price: uint256, principal: uint256) -> bool:
    """@dev Whether the lot is worth less than its ratio asks for: 104 + 112 + 14 bits against 181 + 16."""
    worth: uint256 = unsafe_mul(unsafe_mul(balance.lot, price), units.BASIS_POINTS)
    return worth < unsafe_mul(principal, schedule.ratio)


@internal
def _subtract_workout_principal(balance: Balance, principal: uint256):
    """@dev Principal leaves a workout, and with it the debt at risk."""
    self.in_workouts[balance.collateral_type] -= principal
    if balance.flagged:
        self.flagged_principal[balance.collateral_type] -= principal


@internal
@pure
def _principal_left(balance: Balance, sums: WorkoutBalances) -> uint256:
    """@dev Rad."""
    return debt_repayment._principal_left(balance.left, sums.premium, sums.excess)


@internal
def _remove_workout(workout_id: uint256):
    self.balances[workout_id] = 0
    self.schedules[workout_id] = 0
    self.sums[workout_id] = 0


@internal
@view
def _load_terms(collateral_type: uint256) -> Terms:
    word: uint256 = self.terms[collateral_type]
    return Terms(
        discount=word & MASK_14,
        ratio=(word >> 14) & MASK_16,
        premium=(word >> 30) & MASK_14,
        instalments=(word >> 44) & MASK_8,
        interval=(word >> 52) & MASK_32,
        period=(word >> 84) & MASK_32,
        cap=word >> 116,
    )


@internal
@view
def _load_open_workout_balance(workout_id: uint256) -> Balance:
    """@dev An open workout has something left to pay."""
    word: uint256 = self.balances[workout_id]
    assert word != 0, "workouts: no workout"
    return Balance(
        lot=word & MASK_104,
        left=(word >> 104) & MASK_104,
        met=(word >> 208) & MASK_8,
        instalments=(word >> 216) & MASK_8,
        collateral_type=(word >> 224) & MASK_16,
        flagged=word >> 240 != 0,
    )


@internal
def _store_balance(workout_id: uint256, balance: Balance):
    self.balances[workout_id] = (
        balance.lot
        | (balance.left << 104)
        | (balance.met << 208)
        | (balance.instalments << 216)
        | (balance.collateral_type << 224)
        | (convert(balance.flagged, uint256) << 240)
    )


@internal
@view
def _load_schedule(workout_id: uint256) -> Schedule:
    word: uint256 = self.schedules[workout_id]
    return Schedule(
        owner=convert(word & MASK_160, address),
        entered_at=(word >> 160) & MASK_32,
        interval=(word >> 192) & MASK_32,
        discount=(word >> 224) & MASK_14,
        ratio=word >> 238,
    )


@internal
@view
def _load_sums(workout_id: uint256) -> WorkoutBalances:
    word: uint256 = self.sums[workout_id]
    return WorkoutBalances(owed=word & MASK_104, premium=(word >> 104) & MASK_48, excess=word >> 152)
