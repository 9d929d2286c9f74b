# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title CollateralAuction
@license GNU Affero General Public License v3.0 only
@notice Sells the collateral of liquidated vaults in Dutch auctions. The price falls along a curve; a taker
        names an amount and a highest price, gets the collateral first and pays at the end, so that it can be
        sold in between. Principal is repaid first, then the penalty; the remainder of a lot goes back to the
        vault. Only `close` turns principal into a loss, and `write_off` the debt that never had a lot.
        Salvage is sold in the same way, without a debt behind it; in settlement auctions are unwound. A
        workout is an auction put off: it has an auction's id, and it reaches the ledger through here.
@dev Packed by hand: one record is one slot, the first field at bit 0. Takes are never stopped: not by the
     stop levels, nor by the feed, which `take` does not read. Where BLOCK_TIME is set, prices fall with
     blocks: while no block is produced, takes are impossible and no price falls.
"""
from contracts.interfaces import IAuctionTaker
from contracts.interfaces import ICollateralAuction
from contracts.interfaces import ILiquidationEngine
from contracts.interfaces import IPriceFeed
from contracts.interfaces import IVaultEngine
from contracts.interfaces import IWorkouts
from contracts.modules import bounds
from contracts.modules import dutch_auction
from contracts.modules import debt_repayment
from contracts.modules import roles
from contracts.modules import units

implements: ICollateralAuction

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


event AuctionStarted:
    auction_id: indexed(uint256)  # [id]
    collateral_type: indexed(uint256)  # [id]
    owner: indexed(address)
    lot: uint256  # [wad]
    top: uint256  # [ray]
    target: uint256  # [rad]
    principal: uint256  # [rad]


event Taken:
    auction_id: indexed(uint256)  # [id]
    taker: indexed(address)
    collateral: uint256  # [wad]
    paid: uint256  # [wad]
    target: uint256  # [rad] still to raise


event AuctionReset:
    auction_id: indexed(uint256)  # [id]
    top: uint256  # [ray]
    reward: uint256  # [wad]


event AuctionEnded:
    auction_id: indexed(uint256)  # [id]
    collateral_type: indexed(uint256)  # [id]
    owner: indexed(address)
    returned: uint256  # [wad]


event AuctionClosed:
    auction_id: indexed(uint256)  # [id]
    collateral_type: indexed(uint256)  # [id]
    principal_lost: uint256  # [rad]
    salvage: uint256  # [wad]


event AuctionUnwound:
    auction_id: indexed(uint256)  # [id]
    collateral_type: indexed(uint256)  # [id]
    owner: indexed(address)
    lot: uint256  # [wad]
    principal: uint256  # [rad]


event ParameterChanged:
    collateral_type: indexed(uint256)  # [id]
    parameter: String[24]
    value: uint256  # [unit of the parameter]


struct Owner:
    owner: address  # the zero address sells salvage, 160 bits
    reward_budget: uint256  # wad of rewards that may still be paid, 96 bits


struct Lot:
    lot: uint256  # wad of collateral left, 104 bits
    target: uint256  # wad of stablecoin still to raise, 103 bits
    started_at: uint256  # seconds on `clock`, 32 bits
    collateral_type: uint256  # 8 bits
    version: uint256  # of the terms that it began with, 9 bits


struct AuctionStart:
    top: uint256  # ray, the price at the start or the last reset, 112 bits
    penalty: uint256  # micro stablecoins of the target, 48 bits
    excess: uint256  # rad by which the principal was rounded up to whole wei, 90 bits


struct Auction:
    collateral_type: uint256
    owner: address
    lot: uint256  # wad of collateral left
    top: uint256  # ray
    started_at: uint256  # seconds on `clock`
    target: uint256  # rad still to raise
    principal: uint256  # rad of the target that is debt
    reward_budget: uint256  # wad of rewards that may still be paid


MASK_48: constant(uint256) = 2**48 - 1
MASK_32: constant(uint256) = 2**32 - 1
MAX_CLOCK: constant(uint256) = 2**31 - 1
MASK_103: constant(uint256) = 2**103 - 1
MASK_104: constant(uint256) = 2**104 - 1
MASK_112: constant(uint256) = 2**112 - 1
MASK_160: constant(uint256) = 2**160 - 1

# The most salvage sold at once, a multiple of every token's unit.
MAX_SALVAGE: constant(uint256) = 10**31

# Terms can be changed so often: a version is 9 bits of a lot.
MAX_VERSION: constant(uint256) = 2**9 - 1
# A lot worth less than this part of the minimum may be given up unsold: at the end of a curve it would not
# pay for a take's gas.
WORTHLESS: constant(uint256) = 100

STARTS: constant(uint256) = 1
RESETS: constant(uint256) = 2

VAULT_ENGINE: public(immutable(IVaultEngine))
PRICE_FEED: public(immutable(IPriceFeed))
LIQUIDATION_ENGINE: public(immutable(address))
STABLECOIN: public(immutable(address))
# Restructures vaults; the zero address is none.
WORKOUTS: public(immutable(address))
# [seconds] The chain's slot: each block is so much of an auction's time. Zero: it is the chain's time.
BLOCK_TIME: public(immutable(uint256))

# collateral type -> dutch_auction.Terms, of auctions that begin now
terms: HashMap[uint256, uint256]
# collateral type -> version -> dutch_auction.Terms that were changed since, of auctions that began with them
old_terms: HashMap[uint256, HashMap[uint256, uint256]]
# auction -> Owner
owners: HashMap[uint256, uint256]
# auction -> Lot: all that a take changes
lots: HashMap[uint256, uint256]
# auction -> AuctionStart: what stays until a reset
tops: HashMap[uint256, uint256]
# The id of the auction or workout that came last; ids are 1, 2, 3...
last_id: public(uint256)
# collateral type -> the id of the last auction of its salvage
salvage_sales: HashMap[uint256, uint256]


@deploy
def __init__(
    vault_engine: address,
    price_feed: address,
    liquidation_engine: address,
    stablecoin: address,
    workouts: address,
    admin: address,
    block_time: uint256,
):
    """
    @notice Wire the contract to the protocol, for good: addresses are known before deployment and never
            change.
    @param vault_engine The ledger that collateral and debt are booked in.
    @param price_feed Where market prices come from.
    @param liquidation_engine The only one that starts auctions and writes off.
    @param stablecoin Takes may not send collateral to it.
    @param workouts Restructures vaults; the zero address is none.
    @param admin The first admin; sets the terms.
    @param block_time [seconds] The chain's slot, by which auctions count blocks; 0 counts seconds. Half of
                      `started_at` is left at least.
    """
    assert (
        block_time <= bounds.MAX_BLOCK_TIME and block.number * block_time <= MAX_CLOCK
    ), "collateral_auction: bad slot"
    roles.__init__(admin)
    VAULT_ENGINE = IVaultEngine(vault_engine)
    PRICE_FEED = IPriceFeed(price_feed)
    LIQUIDATION_ENGINE = liquidation_engine
    STABLECOIN = stablecoin
    WORKOUTS = workouts
    BLOCK_TIME = block_time


# ----------------------------------------------------------------- auctions


@external
@nonreentrant
def start(
    collateral_type: uint256, owner: address, lot: uint256, principal: uint256, price: uint256
) -> (uint256, uint256):
    """
    @notice Start an auction for a liquidated vault. Liquidation engine only, which then seizes.
    @param collateral_type [id] The collateral type.
    @param owner Owner of the liquidated vault, and receiver of the rest of the lot.
    @param lot [wad] Collateral, a multiple of the token's unit.
    @param principal [rad] Debt to be repaid; the target is this, rounded up to the wei, plus the penalty.
    @param price [ray] The highest known price for 1e18 of collateral, which the top is made from.
    @return [id] The auction's id.
    @return [wad] The liquidator's reward, stablecoin. All rewards of an auction together stay within its
            penalty, so liquidating oneself for the reward costs more than it pays.
    """
    self._only_engine()
    auction_id: uint256 = self._next_id()
    return auction_id, self._start_auction(auction_id, collateral_type, owner, lot, principal, price)


@external
@nonreentrant
def take(
    auction_id: uint256,
    max_amount: uint256,
    max_price: uint256,
    receiver: address,
    data: Bytes[1024],
):
    """
    @notice Buy from a lot at the price of this moment. Permissionless, never stopped. The collateral is sent
            first, then `receiver` is called if `data` is not empty, then the payment is burned from the
            caller. Protects: nothing is paid for nothing. The payment is rounded up to the wei, the amount
            sold down to the token's unit; no rest is too small to be worth a take.
    @param auction_id [id] The auction.
    @param max_amount [wad] Collateral wanted; less is bought where the target or the minimum rest requires
            it.
    @param max_price [ray] The most for 1e18 of collateral, as payment over collateral received. A purchase
                     that fills the target is of whole units, and may cost more than the price of this moment.
    @param receiver Receiver of the collateral and of the call; no contract of the protocol.
    @param data Handed to `receiver`; empty for no call.
    """
    lot: Lot = self._load_lot(auction_id)
    self._check_receiver(receiver)
    top: AuctionStart = self._load_top(auction_id)
    terms: uint256 = self._get_lot_terms(lot.collateral_type, lot.version)
    price: uint256 = 0
    needs_reset: bool = False
    price, needs_reset = dutch_auction._price(
        terms, top.top, unsafe_sub(self._get_block_or_timestamp_seconds(), lot.started_at)
    )
    assert not needs_reset, "collateral_auction: needs reset"

    fill: dutch_auction.Fill = dutch_auction._compute_take_fill(
        terms, lot.lot, lot.target, top.top, price, max_amount, max_price
    )
    raised: uint256 = unsafe_mul(fill.paid, units.RAY)
    principal: uint256 = min(raised, debt_repayment._principal_left(lot.target, top.penalty, top.excess))
    lot.lot = unsafe_sub(lot.lot, fill.collateral)
    lot.target = fill.rest
    log Taken(
        auction_id=auction_id,
        taker=msg.sender,
        collateral=fill.collateral,
        paid=fill.paid,
        target=unsafe_mul(fill.rest, units.RAY),
    )
    owner: address = empty(address)
    returned: uint256 = 0
    if fill.rest == 0:
        owner = self._delete_auction_and_get_owner(auction_id)
        returned = lot.lot
        log AuctionEnded(
            auction_id=auction_id,
            collateral_type=lot.collateral_type,
            owner=owner,
            returned=returned,
        )
    else:
        self._store_lot(auction_id, lot)
    # The engine is a contract of the protocol: its code is there.
    extcall VAULT_ENGINE.release(lot.collateral_type, fill.collateral, receiver, skip_contract_check=True)
    if len(data) != 0:
        extcall IAuctionTaker(receiver).on_auction_take(
            msg.sender, auction_id, fill.collateral, fill.paid, data
        )
    extcall VAULT_ENGINE.settle_take(
        lot.collateral_type,
        msg.sender,
        fill.paid,
        principal,
        unsafe_sub(raised, principal),
        owner,
        returned,
        skip_contract_check=True,
    )


@external
@nonreentrant
def reset(auction_id: uint256, reward_receiver: address):
    """
    @notice Start the price of an auction again, from the higher of current and next price. Permissionless,
            once its tail is over or its price has fallen under the cusp, but for a lot that `close` gives up.
            Protects: collateral is never sold from an outdated top, nor from one that is publicly known to be
            over. A reset is paid for out of received penalty and costs no other account; and no caller keeps
            a worthless lot open, and its loss unrecorded, by resets.
    @param auction_id [id] The auction.
    @param reward_receiver Receiver of the reward: at most that of a start, and at most the received penalty
                           less all rewards so far, as long as target and lot are worth the minimum.
    """
    lot: Lot = self._load_lot(auction_id)
    terms: uint256 = self._get_lot_terms(lot.collateral_type, lot.version)
    assert dutch_auction._stop(self.terms[lot.collateral_type]) < RESETS, "collateral_auction: no resets"
    assert lot.lot != 0, "collateral_auction: empty lot"
    top: AuctionStart = self._load_top(auction_id)
    elapsed: uint256 = unsafe_sub(self._get_block_or_timestamp_seconds(), lot.started_at)
    assert dutch_auction._price(terms, top.top, elapsed)[1], "collateral_auction: not due"
    price: uint256 = self._highest_price(lot.collateral_type)
    least: uint256 = dutch_auction._minimum(terms)
    if self._is_worthless(lot, price, least):
        principal: uint256 = debt_repayment._principal_left(lot.target, top.penalty, top.excess)
        assert principal == 0, "collateral_auction: worthless"
    top.top = dutch_auction._top(terms, price)
    lot.started_at = self._get_block_or_timestamp_seconds()
    self._store_top(auction_id, top)
    self._store_lot(auction_id, lot)

    reward: uint256 = 0
    if lot.target >= least and unsafe_mul(lot.lot, price) >= unsafe_mul(least, units.RAY):
        owner: Owner = self._load_owner(auction_id)
        # The budget is the penalty less all rewards; of the penalty the last of the target is still to come.
        reward = min(
            dutch_auction._reward(terms, lot.target),
            unsafe_sub(owner.reward_budget, min(owner.reward_budget, lot.target)),
        )
        if reward != 0:
            self._store_owner(auction_id, owner.owner, unsafe_sub(owner.reward_budget, reward))
            extcall VAULT_ENGINE.reward(
                lot.collateral_type, reward_receiver, reward, skip_contract_check=True
            )
    log AuctionReset(auction_id=auction_id, top=top.top, reward=reward)


@external
@nonreentrant
def close(auction_id: uint256):
    """
    @notice Give an auction up: principal that nothing can repay becomes a deficit. Permissionless, when its
            lot is sold out, or when its tail is over and its lot is worth less than a hundredth of the
            minimum. Protects: a lot that is worth something is sold, however often its price has to start
            again, and only the unsold part is lost. A wick closes nothing, nor a price drop that is over by
            the next price: the price is a fresh one, the highest of current, next and time-weighted.
    @param auction_id [id] The auction.
    """
    lot: Lot = self._load_lot(auction_id)
    top: AuctionStart = self._load_top(auction_id)
    principal: uint256 = debt_repayment._principal_left(lot.target, top.penalty, top.excess)
    if lot.lot != 0:
        word: uint256 = self._get_lot_terms(lot.collateral_type, lot.version)
        terms: dutch_auction.Terms = dutch_auction._unpack(word)
        # The rest of such a lot belongs to its owner: it is for takers, not for salvage.
        assert principal != 0, "collateral_auction: repaid"
        assert (
            self._get_block_or_timestamp_seconds() > lot.started_at + terms.tail
        ), "collateral_auction: still open"
        price: uint256 = self._highest_price(lot.collateral_type)
        assert self._is_worthless(lot, price, dutch_auction._minimum(word)), "collateral_auction: has value"
    owner: address = self._delete_auction_and_get_owner(auction_id)
    log AuctionClosed(
        auction_id=auction_id,
        collateral_type=lot.collateral_type,
        principal_lost=principal,
        salvage=lot.lot,
    )
    extcall VAULT_ENGINE.write_off(lot.collateral_type, owner, principal, lot.lot)


@external
@nonreentrant
def write_off(collateral_type: uint256, principal: uint256):
    """
    @notice Give up principal that has no lot. Liquidation engine only, which has just seized it.
    @param collateral_type [id] The collateral type.
    @param principal [rad] Turned into a deficit of the type.
    """
    self._only_engine()
    extcall VAULT_ENGINE.write_off(collateral_type, empty(address), principal, 0)


@external
@nonreentrant
def settle_sale(
    collateral_type: uint256,
    owner: address,
    buyer: address,
    collateral: uint256,
    paid: uint256,
    principal: uint256,
    fee: uint256,
    receiver: address,
    data: Bytes[1024],
):
    """
    @notice Book a sale that a liquidation mechanism has planned: collateral goes out, `receiver` is called
            if `data` is not empty, the payment is burned; the protocol's part of the collateral is salvage,
            and principal that is not paid a deficit. Liquidation engine only, which has just seized it.
    @param collateral_type [id] The collateral type.
    @param owner Owner of the liquidated vault.
    @param buyer Owner of the burned stablecoin.
    @param collateral [wad] Sent to the receiver.
    @param paid [wad] Stablecoin; the excess over the principal goes to the type's buffer.
    @param principal [rad] Debt that was seized.
    @param fee [wad] Collateral that is salvage now.
    @param receiver Receiver of the collateral and of the call; no contract of the protocol.
    @param data Handed to `receiver`; empty for no call.
    """
    self._only_engine()
    self._check_receiver(receiver)
    raised: uint256 = unsafe_mul(paid, units.RAY)
    repaid: uint256 = min(raised, principal)
    # The engine is a contract of the protocol: its code is there.
    if collateral != 0:
        extcall VAULT_ENGINE.release(collateral_type, collateral, receiver, skip_contract_check=True)
    if len(data) != 0:
        extcall IAuctionTaker(receiver).on_auction_take(buyer, 0, collateral, paid, data)
    is_rest: bool = fee != 0 or repaid != principal
    extcall VAULT_ENGINE.settle_take(
        collateral_type,
        buyer,
        paid,
        repaid,
        unsafe_sub(raised, repaid),
        empty(address) if is_rest else owner,
        0,
        skip_contract_check=True,
    )
    if is_rest:
        extcall VAULT_ENGINE.write_off(
            collateral_type, owner, unsafe_sub(principal, repaid), fee, skip_contract_check=True
        )


@external
@nonreentrant
def unwind(auction_id: uint256):
    """
    @notice Undo the rest of an auction: its lot and its principal go back to the vault, the penalty is
            forgiven; unsold salvage is salvage again. Permissionless, in settlement, or of a type that is
            retired. Protects: unsold collateral is settled like every other vault, at the final price.
    @param auction_id [id] The auction.
    """
    lot: Lot = self._load_lot(auction_id)
    # In settlement every type is settling; asked for first, as it costs less.
    assert (
        staticcall VAULT_ENGINE.in_settlement()
        or (staticcall VAULT_ENGINE.terms_of(lot.collateral_type)).settling
    ), "collateral_auction: not settling"
    top: AuctionStart = self._load_top(auction_id)
    principal: uint256 = debt_repayment._principal_left(lot.target, top.penalty, top.excess)
    owner: address = self._delete_auction_and_get_owner(auction_id)
    log AuctionUnwound(
        auction_id=auction_id,
        collateral_type=lot.collateral_type,
        owner=owner,
        lot=lot.lot,
        principal=principal,
    )
    extcall VAULT_ENGINE.unwind(lot.collateral_type, owner, lot.lot, principal)


@external
@nonreentrant
def sell_salvage(collateral_type: uint256) -> uint256:
    """
    @notice Auction the salvage from closed auctions of a type. Permissionless, one sale at a time, from the
            higher of current and next price, not in settlement. The proceeds go to the type's buffer, which
            pays the type's next losses; there is no reward. Protects: nothing that lenders lost is given
            away.
    @param collateral_type [id] The collateral type.
    @return [id] The auction's id. Its target is the lot's worth at the top price, so all of it is for sale.
    """
    terms: uint256 = self._terms_to_start(collateral_type)
    assert self._get_salvage_lot_on_sale(collateral_type) == 0, "collateral_auction: on sale"
    lot: uint256 = min(staticcall VAULT_ENGINE.salvage_of(collateral_type), MAX_SALVAGE)
    assert lot != 0, "collateral_auction: no salvage"
    top: uint256 = dutch_auction._top(terms, self._highest_price(collateral_type))
    # All of the target is penalty: none of it is principal.
    penalty: uint256 = min(units._div_up(unsafe_mul(lot, top), debt_repayment.MICRO_RAD), MASK_48)
    target: uint256 = unsafe_mul(penalty, debt_repayment.MICRO_WAD)

    auction_id: uint256 = self._next_id()
    self.salvage_sales[collateral_type] = auction_id
    self._store_lot(
        auction_id,
        Lot(
            lot=lot,
            target=target,
            started_at=self._get_block_or_timestamp_seconds(),
            collateral_type=collateral_type,
            version=dutch_auction._version(terms),
        ),
    )
    self._store_top(auction_id, AuctionStart(top=top, penalty=penalty, excess=0))
    log AuctionStarted(
        auction_id=auction_id,
        collateral_type=collateral_type,
        owner=empty(address),
        lot=lot,
        top=top,
        target=unsafe_mul(target, units.RAY),
        principal=0,
    )
    extcall VAULT_ENGINE.take_salvage(collateral_type, lot)
    return auction_id


# ----------------------------------------------------------------- workouts


@external
@nonreentrant
def reserve_id() -> uint256:
    """
    @notice Give a new workout the id that its auction will have if it is foreclosed. Workouts only.
    @return [id] The next of auctions and workouts alike.
    """
    self._only_workouts()
    return self._next_id()


@external
@nonreentrant
def settle_payment(
    collateral_type: uint256,
    payer: address,
    paid: uint256,
    principal: uint256,
    surplus: uint256,
    owner: address,
    returned: uint256,
):
    """
    @notice Book a payment of a workout as a take's is booked. Workouts only.
    @param collateral_type [id] The collateral type.
    @param payer Owner of the burned stablecoin.
    @param paid [wad] Stablecoin burned.
    @param principal [rad] The part that repays debt.
    @param surplus [rad] The rest, for the type's buffer.
    @param owner Owner of the vault that gets the rest of the lot; zero if the workout goes on.
    @param returned [wad] Collateral that goes back to the vault.
    """
    self._only_workouts()
    extcall VAULT_ENGINE.settle_take(collateral_type, payer, paid, principal, surplus, owner, returned)


@external
@nonreentrant
def foreclose(
    auction_id: uint256,
    collateral_type: uint256,
    owner: address,
    lot: uint256,
    principal: uint256,
    price: uint256,
    reward_receiver: address,
):
    """
    @notice Start the auction that a workout has put off: lot and principal are there already, penalty and
            reward are as in any liquidation. Workouts only.
    @param auction_id [id] The workout's id, which becomes the auction's.
    @param collateral_type [id] The collateral type.
    @param owner Owner of the workout, and receiver of the rest of the lot.
    @param lot [wad] Collateral of the workout.
    @param principal [rad] Debt left in the workout.
    @param price [ray] The highest known price for 1e18 of collateral, which the top is made from.
    @param reward_receiver Receiver of the reward, stablecoin.
    """
    self._only_workouts()
    reward: uint256 = self._start_auction(auction_id, collateral_type, owner, lot, principal, price)
    extcall VAULT_ENGINE.reward(collateral_type, reward_receiver, reward)


@external
@nonreentrant
def unwind_workout(collateral_type: uint256, owner: address, lot: uint256, principal: uint256):
    """
    @notice Give the rest of a workout back to its vault. Workouts only, which knows that settlement has
            begun.
    @param collateral_type [id] The collateral type.
    @param owner Owner of the vault.
    @param lot [wad] Collateral that goes back.
    @param principal [rad] Debt that goes back.
    """
    self._only_workouts()
    extcall VAULT_ENGINE.unwind(collateral_type, owner, lot, principal)


# --------------------------------------------------------------- parameters


@external
def add_terms(
    collateral_type: uint256,
    curve: uint256,
    period: uint256,
    cut: uint256,
    tail: uint256,
    cusp: uint256,
    buf: uint256,
    penalty: uint256,
    tip: uint256,
    chip: uint256,
):
    """
    @notice Set a collateral type's terms for the first time; without them nothing is liquidated. Admin only.
    @param collateral_type [id] The collateral type.
    @param curve [kind] 0 linear, 1 stairstep, 2 exponential.
    @param period [seconds] Until zero (linear) or of one step (stairstep).
    @param cut [ray] The part of the price that is left after each step (stairstep) or second (exponential).
    @param tail [seconds] After the start or the last reset, when a reset is due.
    @param cusp [basis points] Of the top; under it a reset is due.
    @param buf [basis points] Of the market price, where the price starts.
    @param penalty [basis points] Target of an auction as a share of the principal, at least all of it; more
                   than all only under the liquidation ratio.
    @param tip [whole stablecoins] Reward for a start or a reset.
    @param chip [basis points] Of the target, for the same.
    """
    roles._only_admin()
    assert self.terms[collateral_type] == 0, "collateral_auction: has terms"
    unit: uint256 = staticcall VAULT_ENGINE.unit_of(collateral_type)
    terms: dutch_auction.Terms = empty(dutch_auction.Terms)
    terms.decimals = 18
    for _: uint256 in range(18):
        if unit == 1:
            break
        unit //= 10
        terms.decimals -= 1
    terms = self._with_curve(collateral_type, terms, curve, period, cut, tail, cusp)
    terms = self._with_buf(collateral_type, terms, buf)
    terms = self._with_penalty(collateral_type, terms, penalty)
    terms = self._with_rewards(collateral_type, terms, tip, chip)
    self.terms[collateral_type] = dutch_auction._pack(terms)


@external
def set_curve(
    collateral_type: uint256,
    curve: uint256,
    period: uint256,
    cut: uint256,
    tail: uint256,
    cusp: uint256,
):
    """
    @notice Set how the price falls, for auctions that start later. Admin only. Protects: an auction under way
            keeps its curve to its end, and nothing ever sells for zero: the cusp is at least a basis point.
    @param collateral_type [id] The collateral type.
    @param curve [kind] 0 linear, 1 stairstep, 2 exponential.
    @param period [seconds] Until zero (linear) or of one step (stairstep).
    @param cut [ray] The part of the price that is left after each step (stairstep) or second (exponential).
    @param tail [seconds] After the start or the last reset, when a reset is due.
    @param cusp [basis points] Of the top; under it a reset is due. At least 1.
    """
    terms: dutch_auction.Terms = self._terms_for_admin(collateral_type)
    terms = self._with_curve(collateral_type, terms, curve, period, cut, tail, cusp)
    self._store_terms(collateral_type, terms)


@external
def set_buf(collateral_type: uint256, new: uint256):
    """
    @notice Set where the price of an auction begins, for auctions that start later. Admin only.
    @param collateral_type [id] The collateral type.
    @param new [basis points] Of the market price.
    """
    terms: dutch_auction.Terms = self._terms_for_admin(collateral_type)
    self._store_terms(collateral_type, self._with_buf(collateral_type, terms, new))


@external
def set_penalty(collateral_type: uint256, new: uint256):
    """
    @notice Set the target of an auction as a share of its principal, for auctions that start later. Admin
            only. The smallest rest of a target follows. Protects: self-liquidation does not pay, since a
            vault that has just become unsafe is worth more than its debt and the penalty.
    @param collateral_type [id] The collateral type.
    @param new [basis points] Of the principal, at least all of it; more than all only under the liquidation
               ratio.
    """
    terms: dutch_auction.Terms = self._terms_for_admin(collateral_type)
    self._store_terms(collateral_type, self._with_penalty(collateral_type, terms, new))


@external
def set_rewards(collateral_type: uint256, tip: uint256, chip: uint256):
    """
    @notice Set the rewards for starting and for resetting an auction, for auctions that start later. Admin
            only. Protects: at any setting, rewards stay within an auction's penalty.
    @param collateral_type [id] The collateral type.
    @param tip [whole stablecoins] For each start or reset.
    @param chip [basis points] Of the target, on top of the tip.
    """
    terms: dutch_auction.Terms = self._terms_for_admin(collateral_type)
    self._store_terms(collateral_type, self._with_rewards(collateral_type, terms, tip, chip))


@external
def set_stop(collateral_type: uint256, level: uint256):
    """
    @notice Stop starts, or starts and resets, of a type's auctions, or nothing, for auctions under way too.
            Admin only. Protects: no guardian stops liquidations, and takes and closes are never stopped.
    @param collateral_type [id] The collateral type.
    @param level [level] 0 nothing, 1 starts, 2 starts and resets.
    """
    terms: dutch_auction.Terms = self._terms_for_admin(collateral_type)
    assert level <= RESETS, "collateral_auction: bad stop"
    terms.stop = level
    self.terms[collateral_type] = dutch_auction._pack(terms)
    log ParameterChanged(collateral_type=collateral_type, parameter="stop", value=level)


@external
def set_minimum(collateral_type: uint256, debt_floor: uint256):
    """
    @notice Follow a new debt floor: the smallest rest of a target is ceil(debt_floor*penalty). Vault engine
            only. Without terms there is nothing to do yet.
    @param collateral_type [id] The collateral type.
    @param debt_floor [whole stablecoins] The type's new floor.
    """
    assert msg.sender == VAULT_ENGINE.address, "collateral_auction: not ledger"
    word: uint256 = self.terms[collateral_type]
    if word != 0:
        terms: dutch_auction.Terms = self._with_minimum_target(
            collateral_type, dutch_auction._unpack(word), debt_floor
        )
        self._store_terms(collateral_type, terms)


# ------------------------------------------------------------------ checks


@external
def check_terms(collateral_type: uint256, liquidation_ratio: uint256):
    """
    @notice Revert unless a type's auctions have terms, which stay for good, and the penalty fits under a
            liquidation ratio, as does the bonus of its liquidation mechanism. Anyone. A type that its issuer
            prices needs none: nothing is sold.
    @param collateral_type [id] The collateral type.
    @param liquidation_ratio [basis points] The ratio that it has, or is to have.
    """
    word: uint256 = self.terms[collateral_type]
    if word != 0:
        self._check_penalty(dutch_auction._penalty(word), liquidation_ratio)
    else:
        issuer: address = staticcall PRICE_FEED.issuer_of(collateral_type)
        assert issuer != empty(address), "collateral_auction: not ready"
    extcall ILiquidationEngine(LIQUIDATION_ENGINE).check_mechanism(collateral_type, liquidation_ratio)


# -------------------------------------------------------------------- views


@external
@view
def clock() -> uint256:
    """
    @notice The time by which prices fall and tails end: blocks*BLOCK_TIME, or the chain's time if that is 0.
            A halt, a grace and a stale feed do not stop it.
    @return [seconds] The clock now; `started_at` of an auction is on it.
    """
    return self._get_block_or_timestamp_seconds()


@external
@view
def status(auction_id: uint256) -> (bool, uint256, uint256, uint256):
    """
    @notice Return the state of an auction for takers.
    @param auction_id [id] The auction.
    @return True if a reset is due; until then takes revert.
    @return [ray] The price now for 1e18 of collateral.
    @return [wad] The lot: collateral left.
    @return [rad] The target: stablecoin still to raise.
    """
    lot: Lot = self._load_lot(auction_id)
    price: uint256 = 0
    needs_reset: bool = False
    price, needs_reset = dutch_auction._price(
        self._get_lot_terms(lot.collateral_type, lot.version),
        self._load_top(auction_id).top,
        self._get_block_or_timestamp_seconds() - lot.started_at,
    )
    return needs_reset, price, lot.lot, lot.target * units.RAY


@external
@view
def auction_of(auction_id: uint256) -> Auction:
    """
    @notice The record of an open auction.
    @param auction_id [id] The auction.
    @return The auction; `principal` is the part of the target that is debt.
    """
    lot: Lot = self._load_lot(auction_id)
    top: AuctionStart = self._load_top(auction_id)
    owner: Owner = self._load_owner(auction_id)
    return Auction(
        collateral_type=lot.collateral_type,
        owner=owner.owner,
        lot=lot.lot,
        top=top.top,
        started_at=lot.started_at,
        target=lot.target * units.RAY,
        principal=debt_repayment._principal_left(lot.target, top.penalty, top.excess),
        reward_budget=owner.reward_budget,
    )


@external
@view
def position_of(auction_id: uint256) -> (uint256, address, uint256, uint256):
    """
    @notice Return the amounts at risk in an auction or a workout: all zero if there is none.
    @param auction_id [id] The auction or workout.
    @return [id] Its collateral type.
    @return The owner of the vault it came from.
    @return [wad] The lot.
    @return [rad] Principal left.
    """
    if self.lots[auction_id] == 0:
        if WORKOUTS == empty(address):
            return 0, empty(address), 0, 0
        return staticcall IWorkouts(WORKOUTS).position_of(auction_id)
    lot: Lot = self._load_lot(auction_id)
    top: AuctionStart = self._load_top(auction_id)
    principal: uint256 = debt_repayment._principal_left(lot.target, top.penalty, top.excess)
    return lot.collateral_type, self._load_owner(auction_id).owner, lot.lot, principal


@external
@view
@nonreentrant
def salvage_on_sale(collateral_type: uint256) -> uint256:
    """
    @notice How much of a type's salvage is under auction. Reverts in the middle of a take.
    @param collateral_type [id] The collateral type.
    @return [wad] The remainder of the lot.
    """
    return self._get_salvage_lot_on_sale(collateral_type)


@external
@view
def terms_of(collateral_type: uint256) -> dutch_auction.Terms:
    """
    @notice The terms of a type's auctions that start now. Reverts without any.
    @param collateral_type [id] The collateral type.
    @return The terms.
    """
    return dutch_auction._unpack(self._load_terms(collateral_type))


# ------------------------------------------------------------------ helpers


@internal
@view
def _get_block_or_timestamp_seconds() -> uint256:
    """@dev Seconds of auctions; under 2**32, which at 12 s a block is number 357,913,941."""
    if BLOCK_TIME == 0:
        return block.timestamp
    return unsafe_mul(block.number, BLOCK_TIME)


@internal
@view
def _only_engine():
    assert msg.sender == LIQUIDATION_ENGINE, "collateral_auction: not engine"


@internal
@view
def _check_receiver(receiver: address):
    assert receiver not in [
        empty(address),
        self,
        VAULT_ENGINE.address,
        PRICE_FEED.address,
        LIQUIDATION_ENGINE,
        STABLECOIN,
    ], "collateral_auction: bad receiver"


@internal
@view
def _only_workouts():
    assert msg.sender == WORKOUTS, "collateral_auction: not workouts"


@internal
def _next_id() -> uint256:
    auction_id: uint256 = unsafe_add(self.last_id, 1)
    self.last_id = auction_id
    return auction_id


@internal
def _start_auction(
    auction_id: uint256,
    collateral_type: uint256,
    owner: address,
    lot: uint256,
    principal: uint256,
    price: uint256,
) -> uint256:
    """@dev Start an auction; returns the reward of its caller, wad."""
    terms: uint256 = self._terms_to_start(collateral_type)

    # A type's principal is under 2**181 rad. A penalty above its field is cut to it, not refused.
    penalty: uint256 = min(
        unsafe_mul(principal, unsafe_sub(dutch_auction._penalty(terms), units.BASIS_POINTS)) // (
            units.BASIS_POINTS * debt_repayment.MICRO_RAD
        ),
        MASK_48,
    )
    budget: uint256 = unsafe_mul(penalty, debt_repayment.MICRO_WAD)
    whole: uint256 = units._div_up(principal, units.RAY)
    target: uint256 = unsafe_add(whole, budget)
    reward: uint256 = min(dutch_auction._reward(terms, target), budget)
    top: uint256 = dutch_auction._top(terms, price)

    self._store_owner(auction_id, owner, unsafe_sub(budget, reward))
    self._store_lot(
        auction_id,
        Lot(
            lot=lot,
            target=target,
            started_at=self._get_block_or_timestamp_seconds(),
            collateral_type=collateral_type,
            version=dutch_auction._version(terms),
        ),
    )
    self._store_top(
        auction_id,
        AuctionStart(
            top=top,
            penalty=penalty,
            excess=unsafe_sub(unsafe_mul(whole, units.RAY), principal),
        ),
    )
    log AuctionStarted(
        auction_id=auction_id,
        collateral_type=collateral_type,
        owner=owner,
        lot=lot,
        top=top,
        target=unsafe_mul(target, units.RAY),
        principal=principal,
    )
    return reward


@internal
@view
def _highest_price(collateral_type: uint256) -> uint256:
    """
    @dev The highest worth of a lot by the current or the next price, ray. The caller chooses the second.
    """
    price: uint256 = 0
    highest: uint256 = 0
    price, highest = staticcall PRICE_FEED.sale_prices(collateral_type)
    assert highest != 0, "collateral_auction: no price"
    return highest


@internal
@view
def _is_worthless(lot: Lot, price: uint256, minimum: uint256) -> bool:
    """@dev Whether a lot may be given up unsold, by the higher of a price, ray, and the time-weighted one."""
    bound: uint256 = minimum * units.RAY
    if lot.lot * price * WORTHLESS >= bound:
        return False
    average: uint256 = staticcall PRICE_FEED.time_weighted(lot.collateral_type)
    return lot.lot * average * WORTHLESS < bound


@internal
@view
def _get_salvage_lot_on_sale(collateral_type: uint256) -> uint256:
    """@dev A sale that is over has left an empty record, or an empty lot that was not closed."""
    return self.lots[self.salvage_sales[collateral_type]] & MASK_104


@internal
def _delete_auction_and_get_owner(auction_id: uint256) -> address:
    """@dev Forget an auction; returns its owner."""
    owner: address = convert(self.owners[auction_id] & MASK_160, address)
    self.owners[auction_id] = 0
    self.lots[auction_id] = 0
    self.tops[auction_id] = 0
    return owner


@internal
def _with_curve(
    collateral_type: uint256,
    terms: dutch_auction.Terms,
    curve: uint256,
    period: uint256,
    cut: uint256,
    tail: uint256,
    cusp: uint256,
) -> dutch_auction.Terms:
    assert curve <= dutch_auction.EXPONENTIAL, "collateral_auction: bad curve"
    assert period >= bounds.MIN_PERIOD and period <= bounds.MAX_PERIOD, "collateral_auction: bad period"
    assert cut >= bounds.MIN_CUT and cut <= bounds.MAX_CUT, "collateral_auction: bad cut"
    assert tail >= bounds.MIN_TAIL and tail <= bounds.MAX_TAIL, "collateral_auction: bad tail"
    assert cusp >= bounds.MIN_CUSP and cusp <= bounds.MAX_CUSP, "collateral_auction: bad cusp"
    changed: dutch_auction.Terms = terms
    changed.curve = curve
    changed.period = period
    changed.cut = cut
    changed.tail = tail
    changed.cusp = cusp
    log ParameterChanged(collateral_type=collateral_type, parameter="curve", value=curve)
    log ParameterChanged(collateral_type=collateral_type, parameter="period", value=period)
    log ParameterChanged(collateral_type=collateral_type, parameter="cut", value=cut)
    log ParameterChanged(collateral_type=collateral_type, parameter="tail", value=tail)
    log ParameterChanged(collateral_type=collateral_type, parameter="cusp", value=cusp)
    return changed


@internal
def _with_buf(collateral_type: uint256, terms: dutch_auction.Terms, new: uint256) -> dutch_auction.Terms:
    assert new >= bounds.MIN_BUF and new <= bounds.MAX_BUF, "collateral_auction: bad buf"
    changed: dutch_auction.Terms = terms
    changed.buf = new
    log ParameterChanged(collateral_type=collateral_type, parameter="buf", value=new)
    return changed


@internal
def _with_penalty(collateral_type: uint256, terms: dutch_auction.Terms, new: uint256) -> dutch_auction.Terms:
    assert new >= bounds.MIN_PENALTY and new <= bounds.MAX_PENALTY, "collateral_auction: bad penalty"
    type_terms: IVaultEngine.Terms = staticcall VAULT_ENGINE.terms_of(collateral_type)
    self._check_penalty(new, type_terms.liquidation_ratio)
    changed: dutch_auction.Terms = terms
    changed.penalty = new
    log ParameterChanged(collateral_type=collateral_type, parameter="penalty", value=new)
    return self._with_minimum_target(collateral_type, changed, type_terms.debt_floor)


@internal
@pure
def _check_penalty(penalty: uint256, liquidation_ratio: uint256):
    """
    @dev Rewards are paid ahead of a penalty. One that a vault which has just become unsafe cannot pay would
         pay its owner for liquidating it. Without a penalty there are no rewards.
    """
    assert penalty < liquidation_ratio or penalty == units.BASIS_POINTS, "collateral_auction: high penalty"


@internal
def _with_minimum_target(
    collateral_type: uint256, terms: dutch_auction.Terms, debt_floor: uint256
) -> dutch_auction.Terms:
    changed: dutch_auction.Terms = terms
    changed.minimum = units._div_up(debt_floor * terms.penalty, units.BASIS_POINTS)
    log ParameterChanged(collateral_type=collateral_type, parameter="minimum", value=changed.minimum)
    return changed


@internal
def _with_rewards(
    collateral_type: uint256, terms: dutch_auction.Terms, tip: uint256, chip: uint256
) -> dutch_auction.Terms:
    assert tip <= bounds.MAX_TIP, "collateral_auction: bad tip"
    assert chip <= bounds.MAX_CHIP, "collateral_auction: bad chip"
    changed: dutch_auction.Terms = terms
    changed.tip = tip
    changed.chip = chip
    log ParameterChanged(collateral_type=collateral_type, parameter="tip", value=tip)
    log ParameterChanged(collateral_type=collateral_type, parameter="chip", value=chip)
    return changed


@internal
@view
def _terms_for_admin(collateral_type: uint256) -> dutch_auction.Terms:
    roles._only_admin()
    return dutch_auction._unpack(self._load_terms(collateral_type))


@internal
@view
def _load_terms(collateral_type: uint256) -> uint256:
    word: uint256 = self.terms[collateral_type]
    assert word != 0, "collateral_auction: no terms"
    return word


@internal
def _store_terms(collateral_type: uint256, terms: dutch_auction.Terms):
    """@dev The terms before stay, for auctions that began with them. The first terms have version 0."""
    assert terms.version < MAX_VERSION, "collateral_auction: no versions"
    self.old_terms[collateral_type][terms.version] = self.terms[collateral_type]
    changed: dutch_auction.Terms = terms
    changed.version += 1
    self.terms[collateral_type] = dutch_auction._pack(changed)


@internal
@view
def _get_lot_terms(collateral_type: uint256, version: uint256) -> uint256:
    """@dev The terms that an auction began with; one slot, unless they were changed since."""
    word: uint256 = self.terms[collateral_type]
    if dutch_auction._version(word) != version:
        return self.old_terms[collateral_type][version]
    return word


@internal
@view
def _terms_to_start(collateral_type: uint256) -> uint256:
    terms: uint256 = self._load_terms(collateral_type)
    assert dutch_auction._stop(terms) < STARTS, "collateral_auction: no starts"
    return terms


@internal
@view
def _load_owner(auction_id: uint256) -> Owner:
    word: uint256 = self.owners[auction_id]
    return Owner(owner=convert(word & MASK_160, address), reward_budget=word >> 160)


@internal
def _store_owner(auction_id: uint256, owner: address, reward_budget: uint256):
    self.owners[auction_id] = convert(owner, uint256) | (reward_budget << 160)


@internal
@view
def _load_lot(auction_id: uint256) -> Lot:
    """@dev An open auction has a target above zero."""
    word: uint256 = self.lots[auction_id]
    assert word != 0, "collateral_auction: no auction"
    return Lot(
        lot=word & MASK_104,
        target=(word >> 104) & MASK_103,
        started_at=(word >> 207) & MASK_32,
        collateral_type=(word >> 239) & 255,
        version=word >> 247,
    )


@internal
def _store_lot(auction_id: uint256, lot: Lot):
    self.lots[auction_id] = (
        lot.lot
        | (lot.target << 104)
        | (lot.started_at << 207)
        | (lot.collateral_type << 239)
        | (lot.version << 247)
    )


@internal
@view
def _load_top(auction_id: uint256) -> AuctionStart:
    word: uint256 = self.tops[auction_id]
    return AuctionStart(top=word & MASK_112, penalty=(word >> 112) & MASK_48, excess=word >> 160)


@internal
def _store_top(auction_id: uint256, top: AuctionStart):
    self.tops[auction_id] = top.top | (top.penalty << 112) | (top.excess << 160)
