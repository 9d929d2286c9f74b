"""Called vaults restructured: an auction put off while its owner pays in instalments, principal first.

Lots and payments in wad, principal in rad, prices in ray. The principal is under auction in the ledger, so
no interest runs; entry and each instalment require floor(value*(1 - discount)) >= principal left.
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
from backstop.model import bounds, debt_repayment
from backstop.model.arithmetic import BASIS_POINTS, RAD, RAY, div_up
from backstop.model.interfaces import (
    CAUTION,
    ICollateralAuction,
    ILiquidationEngine,
    IPriceFeed,
    IRiskPolicy,
    IVaultEngine,
)
from backstop.model.roles import Administered
from backstop.model.vault_flags import get_lowest_known_price

MAX_LOT = 2**104 - 1


@declare_record_slot_bit_widths(14, 16, 14, 8, 32, 32, 32)
class Terms(NamedTuple):
    """Conditions of new workouts of a collateral type: basis points, seconds, whole stablecoins.

    A workout is the repayment of a called vault in instalments.
    """

    discount: int = 0
    ratio: int = 0
    premium: int = 0
    instalments: int = 0  # at most
    interval: int = 0
    period: int = 0
    cap: int = 0  # 0 offers none


@declare_record_slot_bit_widths(104, 104, 8, 8, 16, 1)
class Balance(NamedTuple):
    """Fields of a workout that payments change: lot, unpaid amount with premium, instalments met."""

    lot: int = 0
    left: int = 0
    met: int = 0
    instalments: int = 0
    collateral_type: int = 0
    flagged: int = 0  # whether its principal is in doubt


@declare_record_slot_bit_widths(160, 32, 32, 14, 16)
class Schedule(NamedTuple):
    """Owner, start and conditions of a workout (repayment of a called vault in instalments)."""

    owner: str = ZERO_ADDRESS
    entered_at: int = 0
    interval: int = 0
    discount: int = 0
    ratio: int = 0

    def compute_due_time(self, met: int) -> int:
        """Return the due time of the first instalment not met [seconds]; `met` instalments are met."""
        return self.entered_at + (met + 1) * self.interval


@declare_record_slot_bit_widths(104, 48, 90)
class WorkoutBalances(NamedTuple):
    """Initial debt of an instalment plan [wad], premium in it [micro stablecoins], and rounding [rad]."""

    owed: int = 0
    premium: int = 0
    excess: int = 0


class Workout(NamedTuple):
    """Complete state of an open workout (repayment of a called vault in instalments)."""

    collateral_type: int
    owner: str
    lot: int
    owed: int
    left: int
    principal: int
    instalments: int
    met: int
    entered_at: int
    interval: int
    due: int
    discount: int
    ratio: int


def can_repay(lot: int, price: int, discount: int, principal: int) -> bool:
    """Return True if selling the lot at a price less the discount would repay the principal.

    The lot is in wad, price in ray, discount in basis points, principal in rad.
    """
    return lot * price * (BASIS_POINTS - discount) // BASIS_POINTS >= principal


def principal_left(balance: Balance, sums: WorkoutBalances) -> int:
    """Return the principal of an instalment plan that is still unpaid [rad]."""
    return debt_repayment.compute_principal_left(balance.left, sums.premium, sums.excess)


def _is_short(balance: Balance, schedule: Schedule, price: int, principal: int) -> bool:
    """Return True if the collateral is worth less than the instalment plan's ratio requires."""
    return balance.lot * price * BASIS_POINTS < principal * schedule.ratio


class Workouts(Administered):
    """Repayment of called vaults in instalments, instead of an auction (model of contracts/Workouts.vy).

    A repayment plan is called a workout; its collateral is the lot.
    """

    KIND = "Workouts"

    vault_engine_address = immutable("VAULT_ENGINE", str)
    price_feed_address = immutable("PRICE_FEED", str)
    liquidation_engine_address = immutable("LIQUIDATION_ENGINE", str)
    collateral_auction_address = immutable("COLLATERAL_AUCTION", str)

    def __init__(
        self,
        world: World,
        name: str,
        address: str,
        vault_engine: str,
        price_feed: str,
        liquidation_engine: str,
        collateral_auction: str,
        admin: str,
    ) -> None:
        super().__init__(world, name, address, admin)
        self.vault_engine_address = vault_engine
        self.price_feed_address = price_feed
        self.liquidation_engine_address = liquidation_engine
        self.collateral_auction_address = collateral_auction
        self.terms = self.table("terms", Terms())
        self.balances = self.table("balances", Balance())
        self.schedules = self.table("schedules", Schedule())
        self.sums = self.table("sums", WorkoutBalances())
        self.principals = self.table("in_workouts")
        self.doubts = self.table("flagged_principal")
        self.entries = self.table("last_entries")

    @property
    def engine(self) -> IVaultEngine:
        return cast(IVaultEngine, self.world.at(self.vault_engine_address))

    @property
    def feed(self) -> IPriceFeed:
        return cast(IPriceFeed, self.world.at(self.price_feed_address))

    @property
    def liquidations(self) -> ILiquidationEngine:
        return cast(ILiquidationEngine, self.world.at(self.liquidation_engine_address))

    @property
    def auctions(self) -> ICollateralAuction:
        return cast(ICollateralAuction, self.world.at(self.collateral_auction_address))

    @property
    def policy(self) -> IRiskPolicy:
        return cast(IRiskPolicy, self.world.at(self.engine.risk_policy(self.address)))

    # ---------------------------------------------------------------- workouts

    @external
    def enter(self, sender: str, collateral_type: int, owner: str, instalments: int) -> int:
        """Move a called vault into repayment by instalments and return the id of this workout.

        The id is also an auction id. The owner or an operator may call, in caution or emergency mode. Raises
        RevertError if the collateral is worth too little or a limit would be exceeded.
        """
        c, now = collateral_type, self.world.timestamp
        terms: Terms = self.terms[c]
        require(terms.cap != 0, "workouts: none offered")
        require(self._is_owner_or_operator(sender, owner), "workouts: not approved")
        require(self.policy.mode(self.address) >= CAUTION, "workouts: no caution")
        require(0 < instalments <= terms.instalments, "workouts: bad instalments")
        require(now >= self.entries[c, owner] + terms.period, "workouts: too soon")
        factor = self.policy.auction_limit_factor(self.address)
        vault = self.engine.accrue_and_read(self.address, c, owner, factor)
        require(vault.called_at != 0, "workouts: not called")
        principal = vault.normalized_debt * vault.accumulated_rate
        is_met = self.liquidations.satisfies_margin_call(self.address, c, vault.locked_collateral, principal)
        require(not is_met, "workouts: call is met")
        price = self.feed.risk_price(self.address, c)
        require(price != 0, "workouts: no price")
        is_worth_it = can_repay(vault.locked_collateral, price, terms.discount, principal)
        require(is_worth_it, "workouts: worth too little")
        require(principal <= vault.room, "workouts: no room")
        total = self.principals[c] + principal
        require(total <= terms.cap * RAD, "workouts: over the cap")

        whole = div_up(principal, RAY)
        premium = principal * terms.premium // (BASIS_POINTS * debt_repayment.MICRO_RAD)
        premium = min(premium, debt_repayment.MAX_ON_TOP)
        owed = whole + premium * debt_repayment.MICRO_WAD
        workout_id = self.auctions.reserve_id(self.address)
        self.principals[c] = total
        self.entries[c, owner] = now
        self.balances[workout_id] = Balance(vault.locked_collateral, owed, 0, instalments, c)
        self.schedules[workout_id] = Schedule(owner, now, terms.interval, terms.discount, terms.ratio)
        self.sums[workout_id] = WorkoutBalances(owed, premium, whole * RAY - principal)
        self.emit("Entered", workout_id, c, owner, vault.locked_collateral, principal, owed, instalments)
        self.liquidations.move_to_workout(
            self.address, c, owner, vault.locked_collateral, vault.normalized_debt
        )
        return workout_id

    @external
    def pay(self, sender: str, workout_id: int, amount: int) -> int:
        """Pay up to `amount` of a vault's debt under an instalment plan [wad]; return the stablecoin burned.

        The last payment returns the collateral to the owner's vault. Raises RevertError if the rest would be
        a debt below the floor.
        """
        self._check_live()
        balance, sums = (
            self._load_open_workout_balance(workout_id),
            cast(WorkoutBalances, self.sums[workout_id]),
        )
        schedule: Schedule = self.schedules[workout_id]
        c, before = balance.collateral_type, principal_left(balance, sums)
        paid = min(amount, balance.left)
        balance = balance._replace(left=balance.left - paid)
        after = principal_left(balance, sums)
        if after != 0 and paid != 0:
            least = self.engine.debt_floor_of(self.address, c) * RAD
            require(after >= least or before < least, "workouts: rest under floor")
        principal = before - after
        self._subtract_workout_principal(balance, principal)

        owner, returned = ZERO_ADDRESS, 0
        if balance.left == 0:
            owner, returned = schedule.owner, balance.lot
            balance = balance._replace(met=balance.instalments)
            self._remove_workout(workout_id)
        else:
            balance = balance._replace(met=self._count_met_instalments(balance, schedule, sums, after))
            self.balances[workout_id] = balance
        self.emit("Paid", workout_id, sender, paid, balance.left, balance.met)
        if returned != 0:
            self.emit("Completed", workout_id, c, owner, returned)
        surplus = paid * RAY - principal
        self.auctions.settle_payment(self.address, c, sender, paid, principal, surplus, owner, returned)
        return paid

    @external
    def top_up(self, sender: str, workout_id: int, amount: int) -> None:
        """Move collateral [wad] from the owner's vault to its instalment plan, rounded down to the unit.

        The vault must have no debt. The owner or an operator may call.
        """
        self._check_live()
        balance = self._load_open_workout_balance(workout_id)
        c, schedule = balance.collateral_type, cast(Schedule, self.schedules[workout_id])
        require(self._is_owner_or_operator(sender, schedule.owner), "workouts: not approved")
        vault = self.engine.accrue_and_read(self.address, c, schedule.owner, BASIS_POINTS)
        require(vault.normalized_debt == 0, "workouts: vault has debt")
        added = amount - amount % vault.unit
        require(added <= vault.locked_collateral, "workouts: not enough locked")
        balance = balance._replace(lot=balance.lot + added)
        require(balance.lot <= MAX_LOT, "workouts: lot is full")
        sums: WorkoutBalances = self.sums[workout_id]
        met = self._count_met_instalments(balance, schedule, sums, principal_left(balance, sums))
        self.balances[workout_id] = balance._replace(met=met)
        self.emit("ToppedUp", workout_id, added, met)
        self.liquidations.move_to_workout(self.address, c, schedule.owner, added, 0)

    @external
    def flag(self, sender: str, workout_id: int) -> int:
        """Set or clear the flag of an instalment plan and return the principal at risk [rad].

        The whole principal is at risk if the collateral may be auctioned now or at the next price; otherwise
        0.
        """
        balance = self._load_open_workout_balance(workout_id)
        c, principal = balance.collateral_type, principal_left(balance, self.sums[workout_id])
        schedule: Schedule = self.schedules[workout_id]
        found = False
        if principal != 0:
            price = get_lowest_known_price(self.feed, self.address, c)
            is_late = self._is_instalment_overdue(balance, schedule)
            require(is_late or price != 0, "workouts: no price to flag at")
            found = is_late or _is_short(balance, schedule, price, principal)
        if found != bool(balance.flagged):
            self.doubts[c] = self.doubts[c] + (principal if found else -principal)
            self.balances[workout_id] = balance._replace(flagged=int(found))
        flagged_principal = principal if found else 0
        self.emit("WorkoutFlagged", workout_id, c, flagged_principal)
        return flagged_principal

    @external
    def foreclose(self, sender: str, workout_id: int, reward_receiver: str) -> None:
        """Start an auction of the collateral of a vault that breaks its instalment plan.

        This is so if an instalment is overdue, or if the collateral ratio is too low. Otherwise RevertError
        is raised. The auction repays the unpaid principal.
        """
        self._check_live()
        balance = self._load_open_workout_balance(workout_id)
        c, principal = balance.collateral_type, principal_left(balance, self.sums[workout_id])
        require(principal != 0, "workouts: repaid")
        price, highest = self.feed.sale_prices(self.address, c)
        require(price != 0, "workouts: stale price")
        schedule: Schedule = self.schedules[workout_id]
        lost = self._is_instalment_overdue(balance, schedule) or _is_short(
            balance, schedule, price, principal
        )
        require(lost, "workouts: in good standing")
        self._subtract_workout_principal(balance, principal)
        self._remove_workout(workout_id)
        self.emit("Foreclosed", workout_id, c, schedule.owner, balance.lot, principal)
        self.auctions.foreclose(
            self.address, workout_id, c, schedule.owner, balance.lot, principal, highest, reward_receiver
        )

    @external
    def unwind(self, sender: str, workout_id: int) -> None:
        """End an instalment plan in settlement: collateral and unpaid principal return to the vault."""
        require(self.engine.in_settlement(self.address), "workouts: not settling")
        balance = self._load_open_workout_balance(workout_id)
        c, principal = balance.collateral_type, principal_left(balance, self.sums[workout_id])
        owner = self.schedules[workout_id].owner
        self._subtract_workout_principal(balance, principal)
        self._remove_workout(workout_id)
        self.emit("WorkoutUnwound", workout_id, c, owner, balance.lot, principal)
        self.auctions.unwind_workout(self.address, c, owner, balance.lot, principal)

    # -------------------------------------------------------------- parameters

    @external
    def set_terms(
        self,
        sender: str,
        collateral_type: int,
        discount: int,
        ratio: int,
        premium: int,
        instalments: int,
        interval: int,
        period: int,
        cap: int,
    ) -> None:
        """Set the conditions of a type's new instalment plans (workouts); open ones keep theirs.

        Discount, ratio and premium are in basis points, interval and period in seconds, cap in whole
        stablecoins. A cap of 0 disables instalment plans. Only the admin may call.
        """
        self._only_admin(sender)
        require(collateral_type < self.engine.collateral_types(self.address), "workouts: unknown type")
        require(discount <= bounds.MAX_WORKOUT_DISCOUNT, "workouts: discount bounds")
        require(ratio >= bounds.MIN_RATIO, "workouts: ratio too low")
        require(ratio <= BASIS_POINTS * BASIS_POINTS // (BASIS_POINTS - discount), "workouts: ratio too high")
        require(premium <= bounds.MAX_PREMIUM, "workouts: premium bounds")
        require(0 < instalments <= bounds.MAX_INSTALMENTS, "workouts: instalment bounds")
        require(bounds.MIN_INTERVAL <= interval <= bounds.MAX_INTERVAL, "workouts: interval bounds")
        require(period <= bounds.MAX_WORKOUT_PERIOD, "workouts: period bounds")
        require(cap <= bounds.MAX_DEBT_CEILING, "workouts: cap bounds")
        terms = Terms(discount, ratio, premium, instalments, interval, period, cap)
        self.terms[collateral_type] = terms
        self.emit("TermsSet", collateral_type, discount, ratio, premium, instalments, interval, period, cap)

    # ------------------------------------------------------------------- views

    @view
    def terms_of(self, sender: str, collateral_type: int) -> Terms:
        """Return the conditions of a collateral type's new instalment plans (workouts)."""
        terms: Terms = self.terms[collateral_type]
        return terms

    @view
    def workout_of(self, sender: str, workout_id: int) -> Workout:
        """Return the state of an open instalment plan; `due` is the time of the first instalment not met."""
        balance = self._load_open_workout_balance(workout_id)
        schedule: Schedule = self.schedules[workout_id]
        sums: WorkoutBalances = self.sums[workout_id]
        return Workout(
            collateral_type=balance.collateral_type,
            owner=schedule.owner,
            lot=balance.lot,
            owed=sums.owed,
            left=balance.left,
            principal=principal_left(balance, sums),
            instalments=balance.instalments,
            met=balance.met,
            entered_at=schedule.entered_at,
            interval=schedule.interval,
            due=schedule.compute_due_time(balance.met),
            discount=schedule.discount,
            ratio=schedule.ratio,
        )

    @view
    def position_of(self, sender: str, workout_id: int) -> tuple[int, str, int, int]:
        """Return type, owner, collateral [wad] and unpaid principal [rad] of an instalment plan.

        Return zeros if there is no plan with this id.
        """
        if self.balances[workout_id] == Balance():
            return 0, ZERO_ADDRESS, 0, 0
        balance = self._load_open_workout_balance(workout_id)
        principal = principal_left(balance, self.sums[workout_id])
        return balance.collateral_type, self.schedules[workout_id].owner, balance.lot, principal

    @view
    def in_workouts(self, sender: str, collateral_type: int) -> int:
        """Return the unpaid principal in all instalment plans (workouts) of a type [rad]."""
        return int(self.principals[collateral_type])

    @view
    def flagged_principal(self, sender: str, collateral_type: int) -> int:
        """Return the principal in a type's instalment plans (workouts) that is flagged as at risk [rad]."""
        return int(self.doubts[collateral_type])

    @view
    def unflagged_principal_of(self, sender: str, collateral_type: int) -> int:
        """Return the principal in a type's instalment plans (workouts) without a flag for risk [rad]."""
        return int(self.principals[collateral_type] - self.doubts[collateral_type])

    @view
    def is_flagged(self, sender: str, workout_id: int) -> bool:
        """Return True if an instalment plan's principal was at risk when its flag was last updated."""
        return bool(self._load_open_workout_balance(workout_id).flagged)

    @view
    def last_entries(self, sender: str, collateral_type: int, owner: str) -> int:
        """Return when a vault last entered an instalment plan [seconds]; 0 if never."""
        return int(self.entries[collateral_type, owner])

    # ----------------------------------------------------------------- helpers

    def _check_live(self) -> None:
        require(not self.engine.in_settlement(self.address), "workouts: in settlement")

    def _is_owner_or_operator(self, sender: str, owner: str) -> bool:
        """Return True if the caller is the owner or an approved operator."""
        return sender == owner or self.engine.operators(self.address, owner, sender)

    def _count_met_instalments(
        self, balance: Balance, schedule: Schedule, sums: WorkoutBalances, principal: int
    ) -> int:
        """Return the number of instalments met.

        An instalment counts once its amount is paid, if the lot can repay the rest or has no price.
        """
        covered = (sums.owed - balance.left) * balance.instalments // sums.owed
        if covered > balance.met:
            price = self.feed.risk_price(self.address, balance.collateral_type)
            if price == 0 or can_repay(balance.lot, price, schedule.discount, principal):
                return covered
        return balance.met

    def _is_instalment_overdue(self, balance: Balance, schedule: Schedule) -> bool:
        """Return True if the due time of an unmet instalment has passed."""
        return self.world.timestamp > schedule.compute_due_time(balance.met)

    def _subtract_workout_principal(self, balance: Balance, principal: int) -> None:
        """Deduct principal from the total in workouts, and from the flagged total if the plan is flagged."""
        c = balance.collateral_type
        self.principals[c] = self.principals[c] - principal
        if balance.flagged:
            self.doubts[c] = self.doubts[c] - principal

    def _remove_workout(self, workout_id: int) -> None:
        self.balances[workout_id] = Balance()
        self.schedules[workout_id] = Schedule()
        self.sums[workout_id] = WorkoutBalances()

    def _load_open_workout_balance(self, workout_id: int) -> Balance:
        """Return the balance of an open instalment plan; raise RevertError if there is none with this id."""
        balance: Balance = self.balances[workout_id]
        require(balance != Balance(), "workouts: no workout")
        return balance
