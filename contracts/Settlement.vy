# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title Settlement
@license GNU Affero General Public License v3.0 only
@notice The last resort: winds the protocol up so that every holder of stablecoin is paid alike. It is
        announced by the admin, or begun by anyone after losses stayed uncovered for too long. Then, all of it
        permissionless: auctions are unwound; each type gets the price that the feed makes of its first hours
        from the beginning on; each vault's debt is settled with its collateral, in any order. The stages
        cover the rest of the debts a last time, type by type; the books are closed; and stablecoin is
        redeemed for a share of each collateral.
@dev No step depends on its caller or on the order within it: rates stand still from the beginning, prices are
     the feed's alone, shares stand once the books are closed. The feed is called with limited gas, and its
     answer decides nothing once it is late: a broken feed delays no holder. A caller cannot make it fail by
     too little gas: the gas left then does not pay for the rest of the call. Each collateral is paid on its
     own, so that a token that does not move holds up only itself. The ledger keeps the money; this contract
     holds the procedure and the amounts owed.
"""
from contracts.interfaces import ICollateralAuction
from contracts.interfaces import ILossWaterfall
from contracts.interfaces import IPriceFeed
from contracts.interfaces import IVaultEngine
from contracts.modules import bounds
from contracts.modules import listed_types
from contracts.modules import roles
from contracts.modules import units

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


event Announced:
    begins_at: uint256  # [timestamp] 0 if it was taken back


event DeficitBreachRecorded:
    epoch: indexed(uint256)  # [epoch]
    deficit: uint256  # [rad]
    since: uint256  # [timestamp] 0 if it is not above the bound


event Begun: pass


event FeedFailed:
    collateral_type: indexed(uint256)  # [id]


event PriceFixed:
    collateral_type: indexed(uint256)  # [id]
    price: uint256  # [ray]


event CoveredLast:
    collateral_type: indexed(uint256)  # [id]
    left: uint256  # [rad]


event Skimmed:
    collateral_type: indexed(uint256)  # [id]
    owner: indexed(address)
    collateral: uint256  # [wad]
    debt: uint256  # [rad]
    worth: uint256  # [rad]


event ShareFixed:
    collateral_type: indexed(uint256)  # [id]
    share: uint256  # [ray] of collateral for each unit of stablecoin


event Fixed:
    supply: uint256  # [wad]


event Redeemed:
    owner: indexed(address)
    amount: uint256  # [wad]


event Cashed:
    collateral_type: indexed(uint256)  # [id]
    owner: indexed(address)
    amount: uint256  # [wad]
    collateral: uint256  # [wad]


struct Progress:
    announced_for: uint256  # seconds, when anyone may begin; 0 if not announced, 32 bits
    noted_epoch: uint256  # the epoch in which the deficit was noted last, 32 bits
    above_since: uint256  # seconds, noted above the bound since then, in every epoch; 0 if not, 32 bits
    begun_at: uint256  # seconds, 32 bits
    fixed_at: uint256  # seconds, 32 bits


MASK_32: constant(uint256) = 2**32 - 1
MASK_112: constant(uint256) = 2**112 - 1
# Beside a final price: a price of zero is final as well.
IS_FINAL: constant(uint256) = 2**112
# More than twice what the feed needs for an answer.
FEED_GAS: constant(uint256) = 200_000

VAULT_ENGINE: public(immutable(IVaultEngine))
PRICE_FEED: public(immutable(IPriceFeed))
COLLATERAL_AUCTION: public(immutable(ICollateralAuction))
LOSS_WATERFALL: public(immutable(ILossWaterfall))
# Seconds from the announcement to the beginning.
DELAY: public(immutable(uint256))
# Whole stablecoins of deficit of all types that may stay uncovered.
BOUND: public(immutable(uint256))
# For so many whole epochs the deficit has to stay above the bound.
EPOCHS: public(immutable(uint256))

# Progress
progress: uint256
# collateral type -> final price (ray, 112 bits) | 1 (1 bit)
final_prices: HashMap[uint256, uint256]
# collateral type -> rad that its stages left of its deficit when they covered it last
left_of: public(HashMap[uint256, uint256])
# collateral type -> collateral (wad) for each unit of stablecoin, ray, rounded down
share_of: public(HashMap[uint256, uint256])
# owner -> stablecoin redeemed, wad
bag_of: public(HashMap[address, uint256])
# collateral type -> owner -> how much of the bag was cashed, wad
cashed_of: public(HashMap[uint256, HashMap[address, uint256]])


@deploy
def __init__(
    vault_engine: address,
    price_feed: address,
    collateral_auction: address,
    loss_waterfall: address,
    admin: address,
    delay: uint256,
    bound: uint256,
    epochs: uint256,
):
    """
    @notice Wire the contract to the protocol, for good: addresses are known before deployment and never
            change.
    @param vault_engine The ledger that is wound up.
    @param price_feed Where final prices come from.
    @param collateral_auction Its auctions have to be unwound first.
    @param loss_waterfall Its stages pay a last time.
    @param admin May announce settlement.
    @param delay [seconds] From the announcement to the beginning.
    @param bound [whole stablecoins] Deficit of all types that may stay uncovered.
    @param epochs [count] Whole ones of the waterfall's, above the bound, until anyone may begin.
    """
    roles.__init__(admin)
    assert delay >= bounds.MIN_SETTLEMENT_DELAY, "settlement: short delay"
    assert delay <= bounds.MAX_SETTLEMENT_DELAY, "settlement: long delay"
    assert bound <= bounds.MAX_GLOBAL_DEBT_CEILING, "settlement: bound bounds"
    assert epochs != 0 and epochs <= bounds.MAX_SETTLEMENT_EPOCHS, "settlement: epochs bounds"
    VAULT_ENGINE = IVaultEngine(vault_engine)
    PRICE_FEED = IPriceFeed(price_feed)
    COLLATERAL_AUCTION = ICollateralAuction(collateral_auction)
    LOSS_WATERFALL = ILossWaterfall(loss_waterfall)
    DELAY = delay
    BOUND = bound
    EPOCHS = epochs


# ---------------------------------------------------------------- beginning


@external
def announce():
    """
    @notice Announce settlement: anyone may begin it after the delay. Admin only. Doing so again starts the
            delay again. Protects: members of pools and borrowers can leave before.
    """
    progress: Progress = self._load_for_admin()
    progress.announced_for = block.timestamp + DELAY
    self._store(progress)
    log Announced(begins_at=progress.announced_for)


@external
def cancel_announcement():
    """
    @notice Take an announcement back. Admin only, before settlement has begun.
    """
    progress: Progress = self._load_for_admin()
    progress.announced_for = 0
    self._store(progress)
    log Announced(begins_at=0)


@external
def record_deficit_breach() -> uint256:
    """
    @notice Note whether the deficit of all types is above the bound. Permissionless. Protects: only losses
            that were seen uncovered in each of many epochs end the protocol; a single note at or under the
            bound, or an epoch without a note, starts the clock again.
    @return [timestamp] Since when it has been above; 0 if it is not.
    """
    progress: Progress = self._note_total_deficit_breach(self._load_before())
    self._store(progress)
    return progress.above_since


@external
def begin():
    """
    @notice Begin settlement, for good. Permissionless, once an announcement's delay is over, or once the
            deficit has been above the bound for as long as EPOCHS epochs last, noted in every epoch from
            then on, the last time now. The feed begins to make the final prices at this moment. Protects:
            stages have that time to pay, whichever second the notes are made in; nothing that is paid out
            looks at a price from before.
    """
    progress: Progress = self._load_before()
    if progress.announced_for == 0 or block.timestamp < progress.announced_for:
        progress = self._note_total_deficit_breach(progress)
        length: uint256 = staticcall LOSS_WATERFALL.EPOCH_LENGTH()
        assert (
            progress.above_since != 0 and block.timestamp >= progress.above_since + EPOCHS * length
        ), "settlement: too early"
    progress.begun_at = block.timestamp
    self._store(progress)
    log Begun()
    types: DynArray[uint256, bounds.MAX_COLLATERAL_TYPES] = listed_types._ids(
        staticcall VAULT_ENGINE.listed()
    )
    for c: uint256 in types:
        if not raw_call(
            PRICE_FEED.address,
            abi_encode(c, method_id=method_id("begin_final_price(uint256)")),
            gas=FEED_GAS,
            revert_on_failure=False,
        ):
            log FeedFailed(collateral_type=c)
    extcall VAULT_ENGINE.begin_settlement()


# ----------------------------------------------------------------- vaults


@external
def fix_price(collateral_type: uint256) -> uint256:
    """
    @notice Take a type's final price over from the feed, which has made it. Permissionless, once for each
            type. Protects: it is the same for every caller, at any time. A feed that has none when it is due
            at the latest counts as no price, and all collateral of the type goes for all its debt.
    @param collateral_type [id] The collateral type.
    @return [ray] The final price for 1e18 of collateral; zero if there never was a price.
    """
    begun_at: uint256 = self._load_begun_progress().begun_at
    assert self.final_prices[collateral_type] == 0, "settlement: price is final"
    assert collateral_type < staticcall VAULT_ENGINE.collateral_types(), "settlement: unknown type"
    is_final: bool = False
    price: uint256 = 0
    is_final, price = self._final_price(collateral_type)
    assert is_final or block.timestamp >= begun_at + bounds.FINAL_DEADLINE, "settlement: price is not final"
    self.final_prices[collateral_type] = price | IS_FINAL
    log PriceFixed(collateral_type=collateral_type, price=price)
    return price


@external
@nonreentrant
def skim(collateral_type: uint256, owner: address):
    """
    @notice Settle a vault's debt with its collateral at the final price. Permissionless, in any order, once
            the vault's auctions and workouts are unwound. The remainder of the collateral is the owner's to
            withdraw. Protects: a vault gives the worth of its debt, rounded up to the token's unit, and never
            more than it holds, with all that it gets back from auctions. The shortfall is a loss of the type,
            for the stages to cover before any holder bears it.
    @param collateral_type [id] The collateral type.
    @param owner Owner of the vault.
    """
    final: uint256 = self.final_prices[collateral_type]
    assert final != 0, "settlement: no final price"
    vault: IVaultEngine.VaultState = extcall VAULT_ENGINE.accrue_and_read(
        collateral_type, owner, units.BASIS_POINTS
    )
    assert vault.normalized_debt != 0, "settlement: no debt"

    debt: uint256 = vault.normalized_debt * vault.accumulated_rate
    # Without a price all collateral goes for all debt.
    taken: uint256 = vault.locked_collateral
    worth: uint256 = debt
    price: uint256 = final & MASK_112
    if price != 0:
        least: uint256 = units._div_up(debt, price)
        taken = min(taken, units._div_up(least, vault.unit) * vault.unit)
        # 104 + 112 bits.
        worth = min(debt, taken * price)
    log Skimmed(collateral_type=collateral_type, owner=owner, collateral=taken, debt=debt, worth=worth)
    extcall VAULT_ENGINE.skim(collateral_type, owner, taken, worth)


@external
@nonreentrant
def cover_last(collateral_type: uint256) -> uint256:
    """
    @notice Have the stages cover as much as they can of a type's deficit a last time. Permissionless, and
            again whenever the deficit has changed. Protects: it is a call for each type, so that no block is
            too small for all of them.
    @param collateral_type [id] The collateral type.
    @return [rad] The rest, for holders of stablecoin to bear.
    """
    self._load_open()
    extcall LOSS_WATERFALL.cover(collateral_type)
    self._check_no_stage_reservation(collateral_type)
    left: uint256 = staticcall VAULT_ENGINE.deficit_of(collateral_type)
    self.left_of[collateral_type] = left
    log CoveredLast(collateral_type=collateral_type, left=left)
    return left


@external
@nonreentrant
def fix_redemption_rates():
    """
    @notice Close the books, and set how much of each collateral a stablecoin gets. Permissionless, once all
            vaults with debt are skimmed, all auctions unwound, all auctions of stages ended and all deficits
            covered a last time. Protects: the stages bear losses before holders do, in any order of calls;
            all holders bear the rest alike.
    """
    progress: Progress = self._load_open()
    types: DynArray[uint256, bounds.MAX_COLLATERAL_TYPES] = listed_types._ids(
        staticcall VAULT_ENGINE.listed()
    )
    outstanding: uint256 = 0
    for c: uint256 in types:
        assert staticcall COLLATERAL_AUCTION.salvage_on_sale(c) == 0, "settlement: salvage on sale"
        self._check_no_stage_reservation(c)
        deficit: uint256 = staticcall VAULT_ENGINE.deficit_of(c)
        assert deficit == 0 or self.left_of[c] == deficit, "settlement: cover a last time"
        outstanding += deficit
    # Nothing performs and nothing is under auction.
    assert staticcall VAULT_ENGINE.total_debt() == outstanding, "settlement: debts are left"

    progress.fixed_at = block.timestamp
    self._store(progress)
    supply: uint256 = extcall VAULT_ENGINE.net()
    log Fixed(supply=supply)
    if supply != 0:
        for c: uint256 in types:
            share: uint256 = (staticcall VAULT_ENGINE.salvage_of(c)) * units.RAY // supply
            self.share_of[c] = share
            log ShareFixed(collateral_type=c, share=share)


# ---------------------------------------------------------------- holders


@external
def redeem(amount: uint256):
    """
    @notice Give stablecoin up for a share of every collateral, to be cashed one by one. Anyone, for oneself,
            once the books are closed. Protects: the first and the last are paid alike.
    @param amount [wad] Stablecoin, burned from the caller.
    """
    assert self._load().fixed_at != 0, "settlement: not fixed"
    self.bag_of[msg.sender] += amount
    log Redeemed(owner=msg.sender, amount=amount)
    extcall VAULT_ENGINE.redeem(msg.sender, amount)


@external
@nonreentrant
def cash(collateral_type: uint256, amount: uint256) -> uint256:
    """
    @notice Get a type's collateral for stablecoin that the caller has redeemed; for each type once. Protects:
            in parts or at once, it is the same: the share of all that was cashed so far, rounded down to the
            token's unit.
    @param collateral_type [id] The collateral type.
    @param amount [wad] Of the stablecoin that the caller has redeemed.
    @return [wad] Collateral sent.
    """
    before: uint256 = self.cashed_of[collateral_type][msg.sender]
    after: uint256 = before + amount
    assert after <= self.bag_of[msg.sender], "settlement: not in the bag"
    self.cashed_of[collateral_type][msg.sender] = after
    unit: uint256 = staticcall VAULT_ENGINE.unit_of(collateral_type)
    share: uint256 = self.share_of[collateral_type]
    units_due: uint256 = after * share // units.RAY // unit
    collateral: uint256 = (units_due - before * share // units.RAY // unit) * unit
    log Cashed(collateral_type=collateral_type, owner=msg.sender, amount=amount, collateral=collateral)
    if collateral != 0:
        extcall VAULT_ENGINE.pay_out(collateral_type, collateral, msg.sender)
    return collateral


# -------------------------------------------------------------------- views


@external
@view
def progress_of() -> Progress:
    """
    @notice How far settlement is.
    @return The record; zeros before anything happened.
    """
    return self._load()


@external
@view
def final_price_of(collateral_type: uint256) -> (bool, uint256):
    """
    @notice A type's final price.
    @param collateral_type [id] The collateral type.
    @return True once it is set.
    @return [ray] The price for 1e18 of collateral; zero may be final as well.
    """
    word: uint256 = self.final_prices[collateral_type]
    return word != 0, word & MASK_112


# ------------------------------------------------------------------ helpers


@internal
@view
def _check_no_stage_reservation(collateral_type: uint256):
    """@dev A reserved part of a deficit is covered by no other stage: it would be left to holders."""
    assert staticcall LOSS_WATERFALL.reserved_of(collateral_type) == 0, "settlement: stages are busy"


@internal
@view
def _final_price(collateral_type: uint256) -> (bool, uint256):
    """@dev The feed's answer, of any kind; False and 0 if that is no final price."""
    answered: bool = False
    answer: Bytes[64] = b""
    answered, answer = raw_call(
        PRICE_FEED.address,
        abi_encode(collateral_type, method_id=method_id("final_price(uint256)")),
        max_outsize=64,
        gas=FEED_GAS,
        is_static_call=True,
        revert_on_failure=False,
    )
    if not answered or len(answer) != 64:
        return False, 0
    is_final: uint256 = 0
    price: uint256 = 0
    is_final, price = abi_decode(answer, (uint256, uint256))
    if is_final != 1 or price > bounds.MAX_PRICE:
        return False, 0
    return True, price


@internal
def _note_total_deficit_breach(progress: Progress) -> Progress:
    """@dev The same with the deficit of now noted. The caller stores it."""
    deficit: uint256 = 0
    types: DynArray[uint256, bounds.MAX_COLLATERAL_TYPES] = listed_types._ids(
        staticcall VAULT_ENGINE.listed()
    )
    for c: uint256 in types:
        deficit += staticcall VAULT_ENGINE.deficit_of(c)
    length: uint256 = staticcall LOSS_WATERFALL.EPOCH_LENGTH()
    epoch: uint256 = block.timestamp // length
    noted: Progress = progress
    if deficit <= BOUND * units.RAD:
        noted.above_since = 0
    elif noted.above_since == 0 or epoch > noted.noted_epoch + 1:
        noted.above_since = block.timestamp
    noted.noted_epoch = epoch
    log DeficitBreachRecorded(epoch=epoch, deficit=deficit, since=noted.above_since)
    return noted


@internal
@view
def _load_for_admin() -> Progress:
    roles._only_admin()
    return self._load_before()


@internal
@view
def _load_before() -> Progress:
    progress: Progress = self._load()
    assert progress.begun_at == 0, "settlement: has begun"
    return progress


@internal
@view
def _load_begun_progress() -> Progress:
    progress: Progress = self._load()
    assert progress.begun_at != 0, "settlement: not begun"
    return progress


@internal
@view
def _load_open() -> Progress:
    """@dev Begun, and its books not closed yet."""
    progress: Progress = self._load_begun_progress()
    assert progress.fixed_at == 0, "settlement: is fixed"
    return progress


@internal
@view
def _load() -> Progress:
    word: uint256 = self.progress
    return Progress(
        announced_for=word & MASK_32,
        noted_epoch=(word >> 32) & MASK_32,
        above_since=(word >> 64) & MASK_32,
        begun_at=(word >> 96) & MASK_32,
        fixed_at=word >> 128,
    )


@internal
def _store(progress: Progress):
    self.progress = (
        progress.announced_for
        | (progress.noted_epoch << 32)
        | (progress.above_since << 64)
        | (progress.begun_at << 96)
        | (progress.fixed_at << 128)
    )
