"""Dutch auctions of the collateral of liquidated vaults.

Principal is repaid first, then the penalty; the unsold part of a lot returns to the vault; only `close` turns
principal into a loss. Lots in wad, prices in ray; targets whole wei, kept in wad, given in rad.
"""

from __future__ import annotations

from typing import NamedTuple, cast

from backstop.contract_base import (
    ZERO_ADDRESS,
    World,
    declare_record_slot_bit_widths,
    external,
    immutable,
    require,
    view,
)
from backstop.model import bounds, debt_repayment, dutch_auction
from backstop.model.arithmetic import BASIS_POINTS, RAY, WAD, div_up
from backstop.model.dutch_auction import Terms
from backstop.model.interfaces import (
    IAuctionTaker,
    ILiquidationEngine,
    IPriceFeed,
    IVaultEngine,
    IWorkouts,
)
from backstop.model.roles import Administered

MAX_DATA = 1024
MAX_SALVAGE = 10**31
STARTS, RESETS = 1, 2
MAX_VERSION = 2**9 - 1
MAX_CLOCK = 2**31 - 1


@declare_record_slot_bit_widths(160, 96)
class Owner(NamedTuple):
    """Owner of the liquidated vault, and the rewards that may still be paid from its penalty [wad].

    The zero address stands for a sale of salvage (collateral left over from closed auctions).
    """

    owner: str = ZERO_ADDRESS
    reward_budget: int = 0


@declare_record_slot_bit_widths(104, 103, 32, 8, 9)
class Lot(NamedTuple):
    """Amounts of an open auction that change: collateral to sell, stablecoin to raise [wad], start time.

    The collateral type and the version of its terms stay as they were when the auction began.
    """

    lot: int = 0
    target: int = 0
    started_at: int = 0
    collateral_type: int = 0
    version: int = 0


@declare_record_slot_bit_widths(112, 48, 90)
class AuctionStart(NamedTuple):
    """Start price of an auction [ray] and the parts of its target that are not principal.

    The price is that of the start or the last reset. The other parts are the penalty [micro stablecoins] and
    the amount that rounded the principal up to whole wei [rad].
    """

    top: int = 0
    penalty: int = 0
    excess: int = 0


class Auction(NamedTuple):
    """Complete record of an open collateral auction, as `auction_of` returns it."""

    collateral_type: int
    owner: str
    lot: int
    top: int
    started_at: int
    target: int
    principal: int
    reward_budget: int


def compute_lot_principal_left(lot: Lot, auction_start: AuctionStart) -> int:
    """Return the part of an auction's remaining target that is principal, not penalty [rad]."""
    return debt_repayment.compute_principal_left(lot.target, auction_start.penalty, auction_start.excess)


class CollateralAuction(Administered):
    """Dutch auctions of the collateral of liquidated vaults (model of contracts/CollateralAuction.vy)."""

    KIND = "CollateralAuction"

    vault_engine_address = immutable("VAULT_ENGINE", str)
    price_feed_address = immutable("PRICE_FEED", str)
    liquidation_engine = immutable("LIQUIDATION_ENGINE", str)
    stablecoin = immutable("STABLECOIN", str)
    # Restructures vaults; the zero address is none.
    workouts = immutable("WORKOUTS", str)
    # The chain's slot, by which the clock counts blocks [seconds]; 0 counts seconds.
    block_time = immutable("BLOCK_TIME", int)

    def __init__(
        self,
        world: World,
        name: str,
        address: str,
        vault_engine: str,
        price_feed: str,
        liquidation_engine: str,
        stablecoin: str,
        workouts: str,
        admin: str,
        block_time: int,
    ) -> None:
        is_slot = block_time <= bounds.MAX_BLOCK_TIME and world.block_number * block_time <= MAX_CLOCK
        require(is_slot, "collateral_auction: bad slot")
        super().__init__(world, name, address, admin)
        self.vault_engine_address = vault_engine
        self.price_feed_address = price_feed
        self.liquidation_engine = liquidation_engine
        self.stablecoin = stablecoin
        self.workouts = workouts
        self.block_time = block_time
        self.terms = self.table("terms", Terms())
        self.old_terms = self.table("old_terms", Terms())
        self.owners = self.table("owners", Owner())
        self.lots = self.table("lots", Lot())
        self.tops = self.table("tops", AuctionStart())
        self.ids = self.table("last_id")
        self.salvage_sales = self.table("salvage_sales")

    @property
    def engine(self) -> IVaultEngine:
        return cast(IVaultEngine, self.world.at(self.vault_engine_address))

    @property
    def feed(self) -> IPriceFeed:
        return cast(IPriceFeed, self.world.at(self.price_feed_address))

    # ---------------------------------------------------------------- auctions

    @external
    def start(
        self, sender: str, collateral_type: int, owner: str, lot: int, principal: int, price: int
    ) -> tuple[int, int]:
        """Start a Dutch auction of seized collateral, and return its id and the liquidator's reward [wad].

        Only the liquidation engine may call this. `lot` is collateral [wad], `principal` is debt [rad],
        `price` is the market price [ray].
        """
        require(sender == self.liquidation_engine, "collateral_auction: not engine")
        auction_id = self._next_id()
        return auction_id, self._start_auction(auction_id, collateral_type, owner, lot, principal, price)

    @external
    def take(
        self, sender: str, auction_id: int, max_amount: int, max_price: int, receiver: str, data: bytes
    ) -> None:
        """Buy up to `max_amount` of an auction's collateral [wad] at the current auction price.

        The receiver gets the collateral first. If `data` is not empty, the receiver's callback runs next.
        Then the caller pays. Reverts above `max_price` [ray], or if the auction needs a reset.
        """
        require(len(data) <= MAX_DATA, "")
        lot = self._load_lot(auction_id)
        require(receiver not in self._never_receivers(), "collateral_auction: bad receiver")
        top: AuctionStart = self.tops[auction_id]
        c = lot.collateral_type
        terms = self._get_lot_terms(lot)
        price, needs_reset = terms.price(top.top, self._get_block_or_timestamp_seconds() - lot.started_at)
        require(not needs_reset, "collateral_auction: needs reset")

        collateral, paid, rest = dutch_auction.compute_take_fill(
            terms, lot.lot, lot.target, top.top, price, max_amount, max_price
        )
        raised = paid * RAY
        principal = min(raised, compute_lot_principal_left(lot, top))
        lot = lot._replace(lot=lot.lot - collateral, target=rest)
        self.emit("Taken", auction_id, sender, collateral, paid, rest * RAY)
        owner, returned = ZERO_ADDRESS, 0
        if rest == 0:
            owner, returned = self._delete_auction_and_get_owner(auction_id), lot.lot
            self.emit("AuctionEnded", auction_id, c, owner, returned)
        else:
            self.lots[auction_id] = lot

        self.engine.release(self.address, c, collateral, receiver)
        if data:
            taker = cast(IAuctionTaker, self.world.at(receiver))
            taker.on_auction_take(self.address, sender, auction_id, collateral, paid, data)
        self.engine.settle_take(self.address, c, sender, paid, principal, raised - principal, owner, returned)

    @external
    def reset(self, sender: str, auction_id: int, reward_receiver: str) -> None:
        """Restart the falling price of an auction that sold too slowly, and pay the reward receiver.

        The new start price is the higher of the feed's current and next price times `buf`. The reward comes
        from penalty that the auction has already collected. Reverts if no reset is due.
        """
        lot = self._load_lot(auction_id)
        terms = self._get_lot_terms(lot)
        require(self.terms[lot.collateral_type].stop < RESETS, "collateral_auction: no resets")
        require(lot.lot != 0, "collateral_auction: empty lot")
        top: AuctionStart = self.tops[auction_id]
        _, due = terms.price(top.top, self._get_block_or_timestamp_seconds() - lot.started_at)
        require(due, "collateral_auction: not due")
        price = self._highest_price(lot.collateral_type)
        if self._is_worthless(lot, price, terms):
            require(compute_lot_principal_left(lot, top) == 0, "collateral_auction: worthless")
        top = top._replace(top=terms.top(price))
        self.tops[auction_id] = top
        self.lots[auction_id] = lot._replace(started_at=self._get_block_or_timestamp_seconds())

        reward = 0
        least = terms.minimum * WAD
        if lot.target >= least and lot.lot * price >= least * RAY:
            owner: Owner = self.owners[auction_id]
            # The budget is the penalty less all rewards; of the penalty the last of the target is to come.
            came_in = max(0, owner.reward_budget - lot.target)
            reward = min(terms.reward(lot.target), came_in)
            if reward != 0:
                self.owners[auction_id] = owner._replace(reward_budget=owner.reward_budget - reward)
                self.engine.reward(self.address, lot.collateral_type, reward_receiver, reward)
        self.emit("AuctionReset", auction_id, top.top, reward)

    @external
    def close(self, sender: str, auction_id: int) -> None:
        """End an auction that can repay no more debt, and book its unpaid principal as a deficit.

        Unsold collateral becomes salvage (collateral that the protocol may sell later). Reverts while the
        collateral has value or the auction's time (`tail`) is not over.
        """
        lot = self._load_lot(auction_id)
        principal = compute_lot_principal_left(lot, self.tops[auction_id])
        c = lot.collateral_type
        if lot.lot != 0:
            terms = self._get_lot_terms(lot)
            require(principal != 0, "collateral_auction: repaid")
            require(
                self._get_block_or_timestamp_seconds() > lot.started_at + terms.tail,
                "collateral_auction: still open",
            )
            require(self._is_worthless(lot, self._highest_price(c), terms), "collateral_auction: has value")
        owner = self._delete_auction_and_get_owner(auction_id)
        self.emit("AuctionClosed", auction_id, c, principal, lot.lot)
        self.engine.write_off(self.address, c, owner, principal, lot.lot)

    @external
    def write_off(self, sender: str, collateral_type: int, principal: int) -> None:
        """Book principal [rad] as a deficit (bad debt), without any collateral to sell for it.

        Only the liquidation engine may call this.
        """
        require(sender == self.liquidation_engine, "collateral_auction: not engine")
        self.engine.write_off(self.address, collateral_type, ZERO_ADDRESS, principal, 0)

    @external
    def settle_sale(
        self,
        sender: str,
        collateral_type: int,
        owner: str,
        buyer: str,
        collateral: int,
        paid: int,
        principal: int,
        fee: int,
        receiver: str,
        data: bytes,
    ) -> None:
        """Settle a liquidation mechanism's sale: send the collateral, run the callback, take the payment.

        Principal that the payment does not cover becomes a deficit. The fee [wad of collateral] becomes
        salvage (collateral that the protocol may sell later). Only the liquidation engine may call this.
        """
        require(len(data) <= MAX_DATA, "")
        require(sender == self.liquidation_engine, "collateral_auction: not engine")
        require(receiver not in self._never_receivers(), "collateral_auction: bad receiver")
        repaid = min(paid * RAY, principal)
        if collateral:
            self.engine.release(self.address, collateral_type, collateral, receiver)
        if data:
            taker = cast(IAuctionTaker, self.world.at(receiver))
            taker.on_auction_take(self.address, buyer, 0, collateral, paid, data)
        is_rest = fee != 0 or repaid != principal
        ended = ZERO_ADDRESS if is_rest else owner
        self.engine.settle_take(
            self.address, collateral_type, buyer, paid, repaid, paid * RAY - repaid, ended, 0
        )
        if is_rest:
            self.engine.write_off(self.address, collateral_type, owner, principal - repaid, fee)

    @external
    def unwind(self, sender: str, auction_id: int) -> None:
        """Cancel an auction, and return its collateral and unpaid principal to the vault.

        Reverts unless settlement has begun or the collateral type is retired.
        """
        lot = self._load_lot(auction_id)
        settling = self.engine.terms_of(self.address, lot.collateral_type).settling
        require(settling, "collateral_auction: not settling")
        principal = compute_lot_principal_left(lot, self.tops[auction_id])
        owner = self._delete_auction_and_get_owner(auction_id)
        self.emit("AuctionUnwound", auction_id, lot.collateral_type, owner, lot.lot, principal)
        self.engine.unwind(self.address, lot.collateral_type, owner, lot.lot, principal)

    @external
    def sell_salvage(self, sender: str, collateral_type: int) -> int:
        """Auction all salvage of a collateral type, and return the auction's id.

        Salvage is collateral left over from closed auctions. The proceeds go to the type's buffer. Any
        account may call this.
        """
        terms = self._get_type_terms(collateral_type)
        require(terms.stop < STARTS, "collateral_auction: no starts")
        require(self._get_salvage_lot_on_sale(collateral_type) == 0, "collateral_auction: on sale")
        lot = min(self.engine.salvage_of(self.address, collateral_type), MAX_SALVAGE)
        require(lot != 0, "collateral_auction: no salvage")
        top = terms.top(self._highest_price(collateral_type))
        penalty = min(div_up(lot * top, debt_repayment.MICRO_RAD), debt_repayment.MAX_ON_TOP)
        target = penalty * debt_repayment.MICRO_WAD

        auction_id = self._next_id()
        self.salvage_sales[collateral_type] = auction_id
        self.lots[auction_id] = Lot(
            lot, target, self._get_block_or_timestamp_seconds(), collateral_type, terms.version
        )
        self.tops[auction_id] = AuctionStart(top, penalty, 0)
        self.emit("AuctionStarted", auction_id, collateral_type, ZERO_ADDRESS, lot, top, target * RAY, 0)
        self.engine.take_salvage(self.address, collateral_type, lot)
        return auction_id

    # ---------------------------------------------------------------- workouts

    @external
    def reserve_id(self, sender: str) -> int:
        """Return a new id for a workout (repayment of a called vault in instalments).

        An auction that replaces the workout gets the same id. Only the workouts contract may call this.
        """
        self._only_workouts(sender)
        return self._next_id()

    @external
    def settle_payment(
        self,
        sender: str,
        collateral_type: int,
        payer: str,
        paid: int,
        principal: int,
        surplus: int,
        owner: str,
        returned: int,
    ) -> None:
        """Book a payment of a workout (repayment in instalments) in the ledger.

        It is booked like the payment for a purchase from an auction. Only the workouts contract may call
        this.
        """
        self._only_workouts(sender)
        self.engine.settle_take(
            self.address, collateral_type, payer, paid, principal, surplus, owner, returned
        )

    @external
    def foreclose(
        self,
        sender: str,
        auction_id: int,
        collateral_type: int,
        owner: str,
        lot: int,
        principal: int,
        price: int,
        reward_receiver: str,
    ) -> None:
        """Start the auction of a failed workout's collateral, under the id that the workout has.

        A workout is the repayment of a called vault in instalments. The reward is paid to `reward_receiver`.
        Only the workouts contract may call this.
        """
        self._only_workouts(sender)
        reward = self._start_auction(auction_id, collateral_type, owner, lot, principal, price)
        self.engine.reward(self.address, collateral_type, reward_receiver, reward)

    @external
    def unwind_workout(self, sender: str, collateral_type: int, owner: str, lot: int, principal: int) -> None:
        """Return a workout's remaining collateral [wad] and principal [rad] to its vault.

        A workout is the repayment of a called vault in instalments. Only the workouts contract may call this.
        """
        self._only_workouts(sender)
        self.engine.unwind(self.address, collateral_type, owner, lot, principal)

    # -------------------------------------------------------------- parameters

    @external
    def add_terms(
        self,
        sender: str,
        collateral_type: int,
        curve: int,
        period: int,
        cut: int,
        tail: int,
        cusp: int,
        buf: int,
        penalty: int,
        tip: int,
        chip: int,
    ) -> None:
        """Set all auction terms of a collateral type for the first time. Only the admin may call this.

        The parameters are those of `dutch_auction.Terms`. Reverts if the type has terms already.
        """
        self._only_admin(sender)
        require(self.terms[collateral_type] == Terms(), "collateral_auction: has terms")
        unit = self.engine.unit_of(self.address, collateral_type)
        terms = Terms(decimals=18 - (len(str(unit)) - 1))
        terms = self._with_curve(collateral_type, terms, curve, period, cut, tail, cusp)
        terms = self._with_buf(collateral_type, terms, buf)
        terms = self._with_penalty(collateral_type, terms, penalty)
        self.terms[collateral_type] = self._with_rewards(collateral_type, terms, tip, chip)

    @external
    def set_curve(
        self, sender: str, collateral_type: int, curve: int, period: int, cut: int, tail: int, cusp: int
    ) -> None:
        """Set the curve and speed by which the price falls, for auctions that start later.

        Only the admin may call this. The parameters are those of `dutch_auction.Terms`.
        """
        terms = self._terms_for_admin(sender, collateral_type)
        terms = self._with_curve(collateral_type, terms, curve, period, cut, tail, cusp)
        self._store_terms(collateral_type, terms)

    @external
    def set_buf(self, sender: str, collateral_type: int, new: int) -> None:
        """Set the start price of later auctions and resets [basis points of the market price]. Admin only."""
        terms = self._terms_for_admin(sender, collateral_type)
        self._store_terms(collateral_type, self._with_buf(collateral_type, terms, new))

    @external
    def set_penalty(self, sender: str, collateral_type: int, new: int) -> None:
        """Set the amount that later auctions raise [basis points of the principal]. Admin only."""
        terms = self._terms_for_admin(sender, collateral_type)
        self._store_terms(collateral_type, self._with_penalty(collateral_type, terms, new))

    @external
    def set_rewards(self, sender: str, collateral_type: int, tip: int, chip: int) -> None:
        """Set the rewards for starting and resetting later auctions. Only the admin may call this.

        `tip` is a fixed amount [whole stablecoins], and `chip` a share of the target [basis points].
        """
        terms = self._terms_for_admin(sender, collateral_type)
        self._store_terms(collateral_type, self._with_rewards(collateral_type, terms, tip, chip))

    @external
    def set_stop(self, sender: str, collateral_type: int, level: int) -> None:
        """Stop new auctions (level 1), new auctions and resets (level 2), or nothing (level 0).

        The level applies to running auctions too. Only the admin may call this.
        """
        terms = self._terms_for_admin(sender, collateral_type)
        require(level <= RESETS, "collateral_auction: bad stop")
        self.terms[collateral_type] = terms._replace(stop=level)
        self.emit("ParameterChanged", collateral_type, "stop", level)

    @external
    def set_minimum(self, sender: str, collateral_type: int, debt_floor: int) -> None:
        """Set the least unpaid target to the debt floor plus penalty [whole stablecoins, rounded up].

        Only the vault engine may call this, with a new debt floor. Without terms this has no effect.
        """
        require(sender == self.vault_engine_address, "collateral_auction: not ledger")
        terms: Terms = self.terms[collateral_type]
        if terms != Terms():
            self._store_terms(collateral_type, self._with_minimum_target(collateral_type, terms, debt_floor))

    # ------------------------------------------------------------------ checks

    @external
    def check_terms(self, sender: str, collateral_type: int, liquidation_ratio: int) -> None:
        """Revert unless a type's auction terms fit its liquidation ratio [basis points].

        A type without terms passes only if its price is set by an issuer. The type's liquidation mechanism,
        if any, is checked as well.
        """
        terms: Terms = self.terms[collateral_type]
        if terms != Terms():
            _check_penalty(terms.penalty, liquidation_ratio)
        else:
            issuer = self.feed.issuer_of(self.address, collateral_type)
            require(issuer != ZERO_ADDRESS, "collateral_auction: not ready")
        liquidation = cast(ILiquidationEngine, self.world.at(self.liquidation_engine))
        liquidation.check_mechanism(self.address, collateral_type, liquidation_ratio)

    # ------------------------------------------------------------------- views

    @view
    def clock(self, sender: str) -> int:
        """Return the time by which auction prices fall [seconds].

        It is the block timestamp, or the block number times the slot time if the contract counts blocks.
        """
        return self._get_block_or_timestamp_seconds()

    @view
    def status(self, sender: str, auction_id: int) -> tuple[bool, int, int, int]:
        """Return (reset is due, price [ray], unsold lot [wad], unpaid target [rad]) of an open auction."""
        lot = self._load_lot(auction_id)
        terms = self._get_lot_terms(lot)
        top: AuctionStart = self.tops[auction_id]
        price, needs_reset = terms.price(top.top, self._get_block_or_timestamp_seconds() - lot.started_at)
        return needs_reset, price, lot.lot, lot.target * RAY

    @view
    def auction_of(self, sender: str, auction_id: int) -> Auction:
        """Return the record of an open auction, with target and principal in rad.

        The principal is the part of the target that is debt and not penalty. Reverts if the auction is not
        open.
        """
        lot = self._load_lot(auction_id)
        top: AuctionStart = self.tops[auction_id]
        owner: Owner = self.owners[auction_id]
        return Auction(
            collateral_type=lot.collateral_type,
            owner=owner.owner,
            lot=lot.lot,
            top=top.top,
            started_at=lot.started_at,
            target=lot.target * RAY,
            principal=compute_lot_principal_left(lot, top),
            reward_budget=owner.reward_budget,
        )

    @view
    def position_of(self, sender: str, auction_id: int) -> tuple[int, str, int, int]:
        """Return (collateral type, owner, lot [wad], unpaid principal [rad]) of an auction or a workout.

        A workout is the repayment of a called vault in instalments. All values are zero if neither has this
        id.
        """
        if self.lots[auction_id] == Lot():
            if self.workouts == ZERO_ADDRESS:
                return 0, ZERO_ADDRESS, 0, 0
            return cast(IWorkouts, self.world.at(self.workouts)).position_of(self.address, auction_id)
        lot = self._load_lot(auction_id)
        principal = compute_lot_principal_left(lot, self.tops[auction_id])
        return lot.collateral_type, self.owners[auction_id].owner, lot.lot, principal

    @view
    def salvage_on_sale(self, sender: str, collateral_type: int) -> int:
        """Return the salvage of a type that is under auction [wad]; 0 if none.

        Salvage is collateral left over from closed auctions.
        """
        return self._get_salvage_lot_on_sale(collateral_type)

    @view
    def terms_of(self, sender: str, collateral_type: int) -> Terms:
        """Return the auction terms of a collateral type. Reverts if the type has none."""
        return self._get_type_terms(collateral_type)

    @view
    def last_id(self, sender: str) -> int:
        """Return the id of the newest auction or workout (repayment in instalments); 0 if none."""
        return int(self.ids[()])

    # ----------------------------------------------------------------- helpers

    def move_starts(self, blocks: int) -> None:
        """Shift the start times of all auctions by a number of blocks, where time is counted in blocks.

        Simulations use this to skip blocks; no contract call can do it.
        """
        for id, lot in list(self.lots.items()):
            if lot.started_at and self.block_time:
                self.lots[id] = lot._replace(started_at=lot.started_at + blocks * self.block_time)

    def _get_block_or_timestamp_seconds(self) -> int:
        world = self.world
        return world.block_number * self.block_time if self.block_time else world.timestamp

    def _only_workouts(self, sender: str) -> None:
        require(sender == self.workouts, "collateral_auction: not workouts")

    def _next_id(self) -> int:
        self.ids[()] = self.ids[()] + 1
        return int(self.ids[()])

    def _start_auction(
        self, auction_id: int, collateral_type: int, owner: str, lot: int, principal: int, price: int
    ) -> int:
        """Start an auction, and return the reward of the account that caused it [wad]."""
        terms = self._get_type_terms(collateral_type)
        require(terms.stop < STARTS, "collateral_auction: no starts")

        penalty = principal * (terms.penalty - BASIS_POINTS) // (BASIS_POINTS * debt_repayment.MICRO_RAD)
        penalty = min(penalty, debt_repayment.MAX_ON_TOP)
        budget = penalty * debt_repayment.MICRO_WAD
        whole = div_up(principal, RAY)
        target = whole + budget
        reward = min(terms.reward(target), budget)
        top = terms.top(price)

        self.owners[auction_id] = Owner(owner, budget - reward)
        self.lots[auction_id] = Lot(
            lot, target, self._get_block_or_timestamp_seconds(), collateral_type, terms.version
        )
        self.tops[auction_id] = AuctionStart(top, penalty, whole * RAY - principal)
        self.emit("AuctionStarted", auction_id, collateral_type, owner, lot, top, target * RAY, principal)
        return reward

    def _highest_price(self, collateral_type: int) -> int:
        """Return the higher of the feed's current and next price [ray]. Reverts without a price."""
        _, highest = self.feed.sale_prices(self.address, collateral_type)
        require(highest != 0, "collateral_auction: no price")
        return highest

    def _is_worthless(self, lot: Lot, price: int, terms: Terms) -> bool:
        """Return True if a lot is too small to sell, both at this price and at the time-weighted one."""
        if not terms.is_worthless(lot.lot, price):
            return False
        return terms.is_worthless(lot.lot, self.feed.time_weighted(self.address, lot.collateral_type))

    def _get_salvage_lot_on_sale(self, collateral_type: int) -> int:
        """Return the unsold lot of a type's salvage auction [wad]; 0 once that auction is over.

        Salvage is collateral left over from closed auctions.
        """
        return int(self.lots[self.salvage_sales[collateral_type]].lot)

    def _never_receivers(self) -> tuple[str, ...]:
        return (
            ZERO_ADDRESS,
            self.address,
            self.vault_engine_address,
            self.price_feed_address,
            self.liquidation_engine,
            self.stablecoin,
        )

    def _delete_auction_and_get_owner(self, auction_id: int) -> str:
        """Delete the record of an auction, and return the owner of its vault."""
        owner: Owner = self.owners[auction_id]
        self.owners[auction_id] = Owner()
        self.lots[auction_id] = Lot()
        self.tops[auction_id] = AuctionStart()
        return owner.owner

    def _with_curve(
        self, collateral_type: int, terms: Terms, curve: int, period: int, cut: int, tail: int, cusp: int
    ) -> Terms:
        require(curve <= dutch_auction.EXPONENTIAL, "collateral_auction: bad curve")
        require(bounds.MIN_PERIOD <= period <= bounds.MAX_PERIOD, "collateral_auction: bad period")
        require(bounds.MIN_CUT <= cut <= bounds.MAX_CUT, "collateral_auction: bad cut")
        require(bounds.MIN_TAIL <= tail <= bounds.MAX_TAIL, "collateral_auction: bad tail")
        require(bounds.MIN_CUSP <= cusp <= bounds.MAX_CUSP, "collateral_auction: bad cusp")
        self.emit("ParameterChanged", collateral_type, "curve", curve)
        self.emit("ParameterChanged", collateral_type, "period", period)
        self.emit("ParameterChanged", collateral_type, "cut", cut)
        self.emit("ParameterChanged", collateral_type, "tail", tail)
        self.emit("ParameterChanged", collateral_type, "cusp", cusp)
        return terms._replace(curve=curve, period=period, cut=cut, tail=tail, cusp=cusp)

    def _with_buf(self, collateral_type: int, terms: Terms, new: int) -> Terms:
        require(bounds.MIN_BUF <= new <= bounds.MAX_BUF, "collateral_auction: bad buf")
        self.emit("ParameterChanged", collateral_type, "buf", new)
        return terms._replace(buf=new)

    def _with_penalty(self, collateral_type: int, terms: Terms, new: int) -> Terms:
        require(bounds.MIN_PENALTY <= new <= bounds.MAX_PENALTY, "collateral_auction: bad penalty")
        of_type = self.engine.terms_of(self.address, collateral_type)
        _check_penalty(new, of_type.liquidation_ratio)
        self.emit("ParameterChanged", collateral_type, "penalty", new)
        return self._with_minimum_target(collateral_type, terms._replace(penalty=new), of_type.debt_floor)

    def _with_minimum_target(self, collateral_type: int, terms: Terms, debt_floor: int) -> Terms:
        minimum = div_up(debt_floor * terms.penalty, BASIS_POINTS)
        self.emit("ParameterChanged", collateral_type, "minimum", minimum)
        return terms._replace(minimum=minimum)

    def _with_rewards(self, collateral_type: int, terms: Terms, tip: int, chip: int) -> Terms:
        require(tip <= bounds.MAX_TIP, "collateral_auction: bad tip")
        require(chip <= bounds.MAX_CHIP, "collateral_auction: bad chip")
        self.emit("ParameterChanged", collateral_type, "tip", tip)
        self.emit("ParameterChanged", collateral_type, "chip", chip)
        return terms._replace(tip=tip, chip=chip)

    def _get_type_terms(self, collateral_type: int) -> Terms:
        terms: Terms = self.terms[collateral_type]
        require(terms != Terms(), "collateral_auction: no terms")
        return terms

    def _store_terms(self, collateral_type: int, terms: Terms) -> None:
        """Store new terms for later auctions, under a new version.

        The old terms stay stored under their version, for auctions that began with them.
        """
        require(terms.version < MAX_VERSION, "collateral_auction: no versions")
        self.old_terms[collateral_type, terms.version] = self.terms[collateral_type]
        self.terms[collateral_type] = terms._replace(version=terms.version + 1)

    def _get_lot_terms(self, lot: Lot) -> Terms:
        """Return the version of the terms with which the auction began."""
        terms: Terms = self.terms[lot.collateral_type]
        if terms.version != lot.version:
            terms = self.old_terms[lot.collateral_type, lot.version]
        return terms

    def _terms_for_admin(self, sender: str, collateral_type: int) -> Terms:
        self._only_admin(sender)
        return self._get_type_terms(collateral_type)

    def _load_lot(self, auction_id: int) -> Lot:
        """Return the record of an open auction. Reverts if the auction is not open."""
        lot: Lot = self.lots[auction_id]
        require(lot.target != 0, "collateral_auction: no auction")
        return lot


def _check_penalty(penalty: int, liquidation_ratio: int) -> None:
    """Revert unless a vault that has just become unsafe has collateral enough to pay the penalty.

    Rewards are paid ahead of the penalty. A penalty of 10,000 basis points, which adds nothing, always
    passes.
    """
    fits = penalty < liquidation_ratio or penalty == BASIS_POINTS
    require(fits, "collateral_auction: high penalty")
