"""Members' stablecoin that repays unsafe vaults of one type, for their collateral; see StabilityPool.vy."""

from __future__ import annotations

from typing import NamedTuple, cast

from backstop.contract_base import (
    RevertError,
    World,
    declare_record_slot_bit_widths,
    external,
    immutable,
    require,
    view,
)
from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAY, div_up
from backstop.model.interfaces import (
    IERC20,
    ILiquidationEngine,
    IPriceFeed,
    IVaultEngine,
    Position,
    Sale,
)
from backstop.model.product_sum import (
    LEAST_COINS,
    MAX_COINS,
    NO_BALANCE,
    ProductSum,
    Stake,
    StakeBalance,
    State,
)
from backstop.model.vesting_assets import VestingAssets

MAX_VAULTS = 32
BATCHES = 2**160  # ids of batches of entries begin here; ids of members are their addresses
NO_SALE = Sale(0, 0, 0, 0)


@declare_record_slot_bit_widths(32, 96, 32, 96)
class Entries(NamedTuple):
    """Deposits that do not take part in the pool yet [wad], by the epoch of their deposit."""

    older_epoch: int = 0
    older: int = 0
    newer_epoch: int = 0
    newer: int = 0


@declare_record_slot_bit_widths(96, 32, 96, 32)
class Requests(NamedTuple):
    """A member's deposit that waits to take part, and coins requested for withdrawal [wad]."""

    entry: int = 0
    epoch: int = 0
    withdrawal: int = 0
    ready_at: int = 0


@declare_record_slot_bit_widths(128, 128)
class Gains(NamedTuple):
    """Collateral and income that a member may claim, as of the member's last call [wad]."""

    collateral: int = 0
    income: int = 0


class Member(NamedTuple):
    """Coins, waiting deposit, requested withdrawal and gains of a member [wad]."""

    coins: int
    entry: int
    withdrawal: int
    ready_at: int
    collateral: int
    income: int


class Pricing(NamedTuple):
    """Terms of sale of a stability pool: penalty and reward [basis points], and write-off of unpaid debt."""

    penalty: int
    reward: int
    has_write_off: bool
    bears_all: bool = False  # the naive pool pays all of a debt

    def compute_reward(self, collateral: int, unit: int) -> int:
        """Return the liquidator's share of collateral [wad], rounded down to the token's unit."""
        return collateral * self.reward // BASIS_POINTS // unit * unit

    def compute_worth(self, collateral: int, position: Position) -> int:
        """Return the value of collateral without the liquidator's reward [wad], rounded up."""
        kept = collateral - self.compute_reward(collateral, position.unit)
        return div_up(kept * position.price, RAY)

    def compute_price(self, position: Position) -> int:
        """Return the collateral that the pool receives for all of a vault's debt [wad].

        This is the value of the debt plus penalty, rounded up to the token's unit, at most the vault's
        collateral.
        """
        debt = position.normalized_debt * position.accumulated_rate
        cost = debt * (BASIS_POINTS + self.penalty)
        units = div_up(cost, position.price * BASIS_POINTS * position.unit)
        return min(position.locked_collateral, units * position.unit)

    def compute_due(self, normalized_debt: int, collateral: int, position: Position) -> int:
        """Return the stablecoin that the pool pays for debt and its collateral [wad], rounded up.

        The payment is at most the collateral's value, unless the pool bears all losses.
        """
        debt = div_up(normalized_debt * position.accumulated_rate, RAY)
        return debt if self.bears_all else min(debt, self.compute_worth(collateral, position))

    def plan_sale(self, position: Position, max_repay: int) -> Sale:
        """Return the sale of an unsafe vault to the pool for at most `max_repay` [wad].

        Return zeros if no sale is possible. With less coins than debt, the pool buys a part, or writes off
        the rest.
        """
        collateral = self.compute_price(position)
        due = self.compute_due(position.normalized_debt, collateral, position)
        if due <= max_repay and max_repay != 0:
            return Sale(collateral, position.normalized_debt, due, 0)
        part = position.normalized_debt * max_repay // max(due, 1)
        if self.has_write_off:
            bought = collateral * part // position.normalized_debt // position.unit * position.unit
            paid = min(self.compute_due(part, bought, position), max_repay)
            return Sale(collateral, position.normalized_debt, paid, collateral - bought)
        return self._plan_part(position, part, max_repay)

    def _plan_part(self, position: Position, wanted: int, max_repay: int) -> Sale:
        """Return the sale of a part of a vault's debt and collateral; zeros if no such sale is possible.

        The vault's collateral ratio must not fall. The sold part and the remaining debt are each at least the
        debt floor.
        """
        rate, price = position.accumulated_rate, position.price
        factor = BASIS_POINTS + self.penalty
        least = div_up(position.debt_floor, rate)
        part = min(wanted, position.normalized_debt - min(least, position.normalized_debt))
        bought = min(
            part * rate * factor // (price * BASIS_POINTS),
            position.locked_collateral * part // position.normalized_debt,
        )
        bought = bought // position.unit * position.unit
        if bought == 0:
            return NO_SALE
        # The debt of these units: by their price, and by their part of the collateral.
        part = max(
            div_up(bought * price * BASIS_POINTS, factor * rate),
            div_up(bought * position.normalized_debt, position.locked_collateral),
        )
        if part * rate < position.debt_floor:
            return NO_SALE
        return Sale(bought, part, min(self.compute_due(part, bought, position), max_repay), 0)


class OffsetPool(VestingAssets, ProductSum):
    """Pool of stablecoin that repays unsafe vaults' debt for their collateral.

    Base class of `StabilityPool` and the naive `InstantStabilityPool`.
    """

    vault_engine_address = immutable("VAULT_ENGINE", str)
    price_feed_address = immutable("PRICE_FEED", str)
    liquidation_engine_address = immutable("LIQUIDATION_ENGINE", str)
    collateral_address = immutable("COLLATERAL", str)
    collateral_type = immutable("COLLATERAL_TYPE", int)
    unit = immutable("UNIT", int)  # wad of one raw unit of the collateral's token
    penalty = immutable("PENALTY", int)  # basis points
    reward = immutable("REWARD", int)  # basis points
    has_write_off = immutable("WRITES_OFF", bool)
    entry_delay = immutable("ENTRY_DELAY", int)  # seconds
    cooldown = immutable("COOLDOWN", int)  # seconds

    def __init__(
        self,
        world: World,
        name: str,
        address: str,
        vault_engine: str,
        price_feed: str,
        liquidation_engine: str,
        stablecoin: str,
        collateral: str,
        collateral_type: int,
        penalty: int,
        reward: int,
        writes_off: bool,
        entry_delay: int,
        cooldown: int,
        vesting: int,
    ) -> None:
        super().__init__(world, name, address, stablecoin, vesting)
        is_worth_more = (BASIS_POINTS + penalty) * (BASIS_POINTS - reward) >= BASIS_POINTS**2
        is_bounded = penalty <= bounds.MAX_LIQUIDATION_BONUS and reward <= BASIS_POINTS
        require(is_bounded and is_worth_more, "stability_pool: penalty bounds")
        is_bounded = bounds.MIN_COOLDOWN <= entry_delay <= bounds.MAX_COOLDOWN
        require(is_bounded, "stability_pool: delay bounds")
        require(cooldown <= bounds.MAX_COOLDOWN, "stability_pool: cooldown bounds")
        self._initialize_product_sum()
        self.vault_engine_address = vault_engine
        self.price_feed_address = price_feed
        self.liquidation_engine_address = liquidation_engine
        self.collateral_address = collateral
        self.collateral_type = collateral_type
        self.unit = 10 ** (18 - cast(IERC20, world.at(collateral)).decimals(address))
        self.penalty = penalty
        self.reward = reward
        self.has_write_off = writes_off
        self.entry_delay = entry_delay
        self.cooldown = cooldown
        self.waiting_entries = self.table("waiting_entries", Entries())
        self.member_requests = self.table("member_requests", Requests())
        self.member_gains = self.table("member_gains", Gains())

    @property
    def pricing(self) -> Pricing:
        """Terms at which the pool buys collateral."""
        return Pricing(self.penalty, self.reward, self.has_write_off)

    @external
    def claim(self, sender: str, receiver: str, has_reinvestment: bool) -> tuple[int, int]:
        """Transfer the caller's collateral and income to a receiver and return both amounts [wad].

        With `has_reinvestment` the income becomes a new deposit of the caller instead.
        """
        state = self._admit_entries(self.product_state[()])
        self._count_gains(state, sender)
        gains: Gains = self.member_gains[sender]
        collateral = gains.collateral // self.unit * self.unit
        self.member_gains[sender] = Gains(gains.collateral - collateral, 0)
        if has_reinvestment and gains.income:
            self._check_entries_open()
            self._add_entry(state, sender, gains.income)
            state = state._replace(has_entries=1)
        self.product_state[()] = state
        self.emit("GainsClaimed", sender, collateral, gains.income)
        if collateral:
            self._send_collateral(receiver, collateral)
        if gains.income and not has_reinvestment:
            self._send_asset_tokens(receiver, gains.income)
        return collateral, gains.income

    # ------------------------------------------------------------ liquidations

    @external
    def liquidate(self, sender: str, owners: list[str], reward_receiver: str) -> int:
        """Repay the debt of unsafe vaults with the pool's coins; return the number of vaults liquidated.

        Vaults that cannot be liquidated are skipped. Raises RevertError if none is liquidated. The
        liquidator's reward in collateral goes to `reward_receiver`.
        """
        require(len(owners) <= MAX_VAULTS, "")
        state = self._admit_entries(self.product_state[()])
        engine = cast(ILiquidationEngine, self.world.at(self.liquidation_engine_address))
        done, rewards, reason = 0, 0, ""
        for owner in owners:
            mark = self.world.mark()
            wanted = (MAX_UINT256, state.offset_room, MAX_UINT256)
            try:
                collateral, paid = engine.liquidate_and_buy(
                    self.address, self.collateral_type, owner, *wanted, self.address, b""
                )
            except RevertError as error:
                self.world.roll_back(mark)
                reason = error.reason
                continue
            done += 1
            reward = self.pricing.compute_reward(collateral, self.unit)
            rewards += reward
            # Collateral comes for a payment, and only then.
            if paid:
                self._add_collateral(state, collateral - reward)
                state = state.offset_debt(paid)
        require(done != 0, reason)
        self.product_state[()] = state
        if rewards:
            self._send_collateral(reward_receiver, rewards)
        return done

    # ------------------------------------------------------------------- views

    @view
    def plan_sale(
        self,
        sender: str,
        collateral_type: int,
        position: Position,
        max_collateral: int,
        max_repay: int,
    ) -> Sale:
        """Return the sale of an unsafe vault to the pool; zeros if no sale is possible.

        Raises RevertError if the buyer is not this pool.
        """
        position = Position(*position)
        require(position.buyer == self.address, "stability_pool: not for sale")
        return self.pricing.plan_sale(position, max_repay)

    @view
    def can_auction(self, sender: str, collateral_type: int, position: Position) -> bool:
        """Return True if an unsafe vault may be auctioned instead of sold to the pool.

        This is so if the pool can buy no part of it, or has no current price.
        """
        feed = cast(IPriceFeed, self.world.at(self.price_feed_address))
        if feed.current_price(self.address, self.collateral_type) == 0:
            return True
        state: State = self.product_state[()]
        return self.pricing.plan_sale(Position(*position), state.offset_room).normalized_debt == 0

    @external
    def check_sale_terms(self, sender: str, collateral_type: int, liquidation_ratio: int) -> None:
        """Raise RevertError unless the type is the pool's and the penalty is below the liquidation ratio.

        The ratio is in basis points.
        """
        engine = cast(IVaultEngine, self.world.at(self.vault_engine_address))
        token = engine.terms_of(self.address, collateral_type).token
        is_own = collateral_type == self.collateral_type and token == self.collateral_address
        require(is_own, "stability_pool: other type")
        require(BASIS_POINTS + self.penalty < liquidation_ratio, "stability_pool: high penalty")

    @view
    def member_of(self, sender: str, owner: str) -> Member:
        """Return a member's coins, waiting deposit, requested withdrawal and gains now [wad].

        Income that has vested but was not distributed yet is not included.
        """
        requests: Requests = self.member_requests[owner]
        balance = self._sum_stake_balances(self.product_state[()], owner, requests)
        gains: Gains = self.member_gains[owner]
        return Member(
            balance.coins,
            0 if self._is_admitted(requests) else requests.entry,
            requests.withdrawal,
            requests.ready_at,
            gains.collateral + balance.collateral,
            gains.income + balance.income,
        )

    @view
    def totalSupply(self, sender: str) -> int:
        """Return the coins of all members that take part in the pool [wad]."""
        return int(self.product_state[()].coins)

    @view
    def state(self, sender: str) -> State:
        """Return the product of all debt offsets, the coins that take part [wad] and the scale."""
        state: State = self.product_state[()]
        return state

    @view
    def sums_of(self, sender: str, scale: int) -> tuple[int, int]:
        """Return the cumulative sums of collateral and of income per stake, in one scale of the product."""
        return int(self.collateral_sums[scale]), int(self.income_sums[scale])

    # ----------------------------------------------------------------- helpers

    def _is_at_risk(self) -> bool:
        """Return True if a vault of the type is flagged as unsafe, or a large price drop was recent."""
        engine = cast(ILiquidationEngine, self.world.at(self.liquidation_engine_address))
        feed = cast(IPriceFeed, self.world.at(self.price_feed_address))
        is_flagged = engine.flagged_of(self.address, self.collateral_type) != 0
        return is_flagged or self.world.timestamp < feed.withdrawals_paused_until(self.address)

    def _check_not_at_risk(self) -> None:
        require(not self._is_at_risk(), "stability_pool: debt at risk")

    def _check_entries_open(self) -> None:
        require(not self._is_settling(), "stability_pool: settling")
        self._check_not_at_risk()

    def _is_settling(self) -> bool:
        engine = cast(IVaultEngine, self.world.at(self.vault_engine_address))
        return bool(engine.terms_of(self.address, self.collateral_type).settling)

    def _share_income(self, state: State) -> None:
        """Distribute vested income to members; with less than one coin in the pool the income waits."""
        vested = self._compute_all_vested_assets()
        if vested and state.coins >= LEAST_COINS:
            self._share_out_income(state, vested)
            self._change_total_booked_assets(-vested)

    def _admit_entries(self, state: State, is_settling: bool = False) -> State:
        """Return the pool's state after deposits that have waited long enough take part.

        No deposit takes part while debt is at risk. With `is_settling` all deposits take part at once.
        """
        waiting: Entries = self.waiting_entries[()]
        epoch = self.world.timestamp // self.entry_delay
        if not state.has_entries:
            return state
        if not is_settling and (waiting.older_epoch + 2 > epoch or self._is_at_risk()):
            return state
        self._share_income(state)
        amount = waiting.older
        self._mark_stake(state, BATCHES + waiting.older_epoch, waiting.older)
        left = Entries(waiting.newer_epoch, waiting.newer) if waiting.newer else Entries()
        if waiting.newer and (is_settling or waiting.newer_epoch + 2 <= epoch):
            amount += waiting.newer
            self._mark_stake(state, BATCHES + waiting.newer_epoch, waiting.newer)
            left = Entries()
        self.waiting_entries[()] = left
        self.emit("EntriesAdmitted", amount)
        return state._replace(coins=state.coins + amount, has_entries=int(left != Entries()))

    def _add_entry(self, state: State, owner: str, amount: int) -> None:
        """Add a member's deposit [wad] to those that wait to take part.

        The caller has checked that no debt is at risk. Raises RevertError if an older deposit of the member
        still waits. This prevents a member from delaying a deposit until a gain is certain. The cooldown of
        the member's open withdrawal request starts again.
        """
        requests: Requests = self.member_requests[owner]
        epoch = self.world.timestamp // self.entry_delay
        require(requests.entry == 0 or requests.epoch == epoch, "stability_pool: entry waits")
        waiting: Entries = self.waiting_entries[()]
        coins = state.coins + waiting.older + waiting.newer + amount
        require(coins <= MAX_UINT256, "")
        require(coins <= MAX_COINS, "stability_pool: too many coins")
        requests = requests._replace(entry=requests.entry + amount, epoch=epoch)
        if requests.withdrawal:
            ready_at = self.world.timestamp + 2 * self.entry_delay + self.cooldown
            requests = requests._replace(ready_at=ready_at)
        self.member_requests[owner] = requests
        # Deposits of two epochs ago have been admitted: besides this epoch, one at most has some that wait.
        if waiting.older == 0 or waiting.older_epoch == epoch:
            waiting = waiting._replace(older_epoch=epoch, older=waiting.older + amount)
        else:
            waiting = waiting._replace(newer_epoch=epoch, newer=waiting.newer + amount)
        self.waiting_entries[()] = waiting
        self.emit("Deposited", owner, amount, epoch)

    def _is_admitted(self, requests: Requests) -> bool:
        """Return True if a member's last deposit takes part in the pool."""
        return requests.entry != 0 and self.stakes[BATCHES + requests.epoch] != Stake()

    def _sum_stake_balances(self, state: State, owner: str, requests: Requests) -> StakeBalance:
        """Return the balance of a member's stake plus that of the member's last deposit, if it takes part."""
        stake_id = int(owner, 16)
        found = self._compute_stake_balance(state, stake_id, self.stakes[stake_id].coins)
        entered = NO_BALANCE
        if self._is_admitted(requests):
            entered = self._compute_stake_balance(state, BATCHES + requests.epoch, requests.entry)
        return StakeBalance(*(a + b for a, b in zip(found, entered, strict=True)))

    def _count_gains(self, state: State, owner: str) -> int:
        """Record a member's gains and merge the member's coins into one stake; return these coins [wad]."""
        self._share_income(state)
        requests: Requests = self.member_requests[owner]
        found = self._sum_stake_balances(state, owner, requests)
        if self._is_admitted(requests):
            self.member_requests[owner] = requests._replace(entry=0, epoch=0)
        if found.collateral or found.income:
            gains: Gains = self.member_gains[owner]
            collateral, income = gains.collateral + found.collateral, gains.income + found.income
            self.member_gains[owner] = Gains(collateral, income)
        self._mark_stake(state, int(owner, 16), found.coins)
        return found.coins

    def _send_collateral(self, receiver: str, amount: int) -> None:
        """Transfer collateral to a receiver [wad]; the amount is a multiple of the token's unit."""
        token = cast(IERC20, self.world.at(self.collateral_address))
        moved = token.transfer(self.address, receiver, amount // self.unit)
        require(moved is not False, "stability_pool: transfer failed")


class StabilityPool(OffsetPool):
    """Pool of stablecoin that repays unsafe vaults and earns their collateral (model of StabilityPool.vy)."""

    KIND = "StabilityPool"

    @external
    def deposit(self, sender: str, amount: int) -> None:
        """Deposit the caller's stablecoin [wad], which takes part after one to two entry delays.

        Raises RevertError while debt is at risk or in settlement.
        """
        require(amount != 0, "stability_pool: empty deposit")
        self._check_entries_open()
        state = self._admit_entries(self.product_state[()])
        self._count_gains(state, sender)
        self._add_entry(state, sender, amount)
        self.product_state[()] = state._replace(has_entries=1)
        self._pull_assets(sender, amount)

    @external
    def request_withdrawal(self, sender: str, amount: int) -> None:
        """Request the withdrawal of up to `amount` of the caller's coins [wad] after the cooldown."""
        requests: Requests = self.member_requests[sender]
        coins = self._sum_stake_balances(self.product_state[()], sender, requests).coins
        wanted = min(amount, max(0, coins - requests.withdrawal))
        require(wanted != 0, "stability_pool: empty request")
        ready_at = max(requests.ready_at, self.world.timestamp + self.cooldown)
        requests = requests._replace(withdrawal=requests.withdrawal + wanted, ready_at=ready_at)
        self.member_requests[sender] = requests
        self.emit("WithdrawalRequested", sender, requests.withdrawal, ready_at)

    @external
    def withdraw(self, sender: str, owner: str) -> int:
        """Pay a member's requested withdrawal and return the stablecoin paid [wad].

        In settlement all coins of the member are paid without a request. Otherwise RevertError is raised
        during the cooldown or while debt is at risk.
        """
        requests: Requests = self.member_requests[owner]
        is_settling = self._is_settling()
        if not is_settling:
            require(requests.withdrawal != 0, "stability_pool: no request")
            require(self.world.timestamp >= requests.ready_at, "stability_pool: cooldown runs")
            self._check_not_at_risk()
        state = self._admit_entries(self.product_state[()], is_settling)
        coins = self._count_gains(state, owner)
        requests, paid = self.member_requests[owner], coins
        if not is_settling:
            paid = min(requests.withdrawal, coins, state.offset_room)
        self.member_requests[owner] = requests._replace(withdrawal=0, ready_at=0)
        state = state._replace(coins=state.coins - paid)
        self._mark_stake(state, int(owner, 16), coins - paid)
        self.product_state[()] = state
        self.emit("Withdrawn", owner, paid)
        self._send_asset_tokens(owner, paid)
        return int(paid)

    @external
    def admit(self, sender: str) -> None:
        """Let deposits that have waited long enough take part in the pool."""
        self.product_state[()] = self._admit_entries(self.product_state[()])

    @view
    def entries_waiting(self, sender: str) -> Entries:
        """Return the deposits that wait to take part in the pool [wad], by the epoch of their deposit."""
        entries: Entries = self.waiting_entries[()]
        return entries
