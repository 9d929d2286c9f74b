"""The property of instalments, with a record of its own: owed, paid and met amounts, and deadlines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backstop.lockstep.step_transition import Changes, Transition
from backstop.model.arithmetic import RAY
from backstop.proof.properties.incremental_table_sums import MICRO_RAD, compute_unraised_principal
from backstop.proof.properties.property_registry import PropertyViolationError, history_property

if TYPE_CHECKING:
    from backstop.hosts.model_system import ModelSystem

_MICRO_WAD = 10**12
_MOST_PREMIUM = 2**48 - 1
"""The largest premium that its field holds [micro stablecoins]."""


@dataclass
class _WorkoutRecord:
    """Terms and progress of one workout (repayment of a called vault in instalments)."""

    c: int
    owner: str
    lot: int
    entered_at: int
    interval: int
    discount: int
    ratio: int
    owed: int
    premium: int
    excess: int
    instalments: int
    left: int
    met: int = 0

    def compute_principal(self) -> int:
        """Return the unpaid principal of the workout [rad]."""
        return compute_unraised_principal(self.left, self.premium, self.excess)


@history_property(66, calls=["Workouts.*"])
class InstalmentsMetMatchPayments:
    """Checker that a workout's met instalments follow from its payments (property 66).

    An instalment is met once payments cover it while the lot still repays the remaining debt. The owner owes
    the principal, rounded up, and a premium, rounded down. A payment is burned and repays principal first.
    The last wei returns the lot. A workout is foreclosed only after a missed instalment, or with the lot
    under the workout's own ratio.
    """

    def __init__(self, model: ModelSystem) -> None:
        self._open: dict[int, _WorkoutRecord] = {}
        if "Workouts" not in model.world.contracts:
            return
        tables = model.world.contracts["Workouts"].tables
        for workout_id, balance in tables["balances"].items():
            if balance.instalments:
                schedule, sums = tables["schedules"][workout_id], tables["sums"][workout_id]
                terms = schedule.interval, schedule.discount, schedule.ratio
                debt = sums.owed, sums.premium, sums.excess
                self._open[workout_id] = _WorkoutRecord(
                    balance.collateral_type,
                    schedule.owner,
                    balance.lot,
                    schedule.entered_at,
                    *terms,
                    *debt,
                    balance.instalments,
                    balance.left,
                    balance.met,
                )

    def check_step(self, step: Transition, changes: Changes) -> None:
        """Record entries, payments and ends of workouts from events, and check the contract's records.

        Raises PropertyViolationError if an amount, a count or a foreclosure differs.
        """
        if step.action.contract != "Workouts":
            return
        for log in step.outcome.logs:
            if log.contract != "Workouts":
                continue
            if log.event == "Entered":
                self._record_new_workout_and_check_owed(step, *log.values)
            elif log.event == "Paid":
                self._check_payment(step, *log.values)
            elif log.event == "ToppedUp":
                workout_id, added, met = log.values
                self._open[workout_id].lot += added
                self._count_met_instalments(step, workout_id, met)
            elif log.event == "Foreclosed":
                self._check_foreclosure(step, log.values[0])
            elif log.event == "WorkoutUnwound":
                if any(step.read_post_state("Workouts", "balances", log.values[0])):
                    raise PropertyViolationError(f"workout {log.values[0]} was unwound and is still there")
                del self._open[log.values[0]]
        for _, workout_id, _, balance in changes.get("balances", ()):
            kept = self._open.get(workout_id)
            found = (kept.lot, kept.left, kept.met, kept.instalments, kept.c) if kept else (0, 0, 0, 0, 0)
            if tuple(balance)[: len(found)] != found:
                raise PropertyViolationError(f"workout {workout_id} is {balance}, not {found}")

    def _record_new_workout_and_check_owed(
        self,
        step: Transition,
        workout_id: int,
        collateral_type: int,
        owner: str,
        lot: int,
        principal: int,
        owed: int,
        instalment_count: int,
    ) -> None:
        terms = step.read_post_state("Workouts", "terms", collateral_type)
        whole = -(-principal // RAY)
        premium = min(principal * terms.premium // (10_000 * MICRO_RAD), _MOST_PREMIUM)
        if owed != whole + premium * _MICRO_WAD:
            raise PropertyViolationError(
                f"workout {workout_id} owes {owed} for {principal} rad, at a premium of {terms.premium}"
            )
        self._open[workout_id] = _WorkoutRecord(
            collateral_type,
            owner,
            lot,
            step.model.timestamp,
            terms.interval,
            terms.discount,
            terms.ratio,
            owed,
            premium,
            whole * RAY - principal,
            instalment_count,
            owed,
        )

    def _check_payment(
        self, step: Transition, workout_id: int, payer: str, paid: int, left: int, met: int
    ) -> None:
        workout, asked = self._open[workout_id], step.action.args[1]
        before = workout.compute_principal()
        workout.left -= min(asked, workout.left)
        repaid = before - workout.compute_principal()
        supply = _compute_decrease(step, "Stablecoin", "erc20.totalSupply")
        in_workouts = _compute_decrease(step, "Workouts", "in_workouts", workout.c)
        under_auction = (
            step.read_pre_state("VaultEngine", "ledger.auctions", workout.c).in_auction
            - step.read_post_state("VaultEngine", "ledger.auctions", workout.c).in_auction
        )
        if supply != paid or left != workout.left or {in_workouts, under_auction} != {repaid}:
            raise PropertyViolationError(
                f"workout {workout_id}: {paid} were paid, {supply} burned, {left} left; of {repaid} rad of "
                f"principal {under_auction} and {in_workouts} were repaid"
            )
        least = step.read_post_state("VaultEngine", "terms.of_types", workout.c).debt_floor * 10**45
        if 0 < workout.compute_principal() < least <= before and paid:
            raise PropertyViolationError(
                f"workout {workout_id}: a payment leaves {workout.compute_principal()}, under the floor"
            )
        if left:
            self._count_met_instalments(step, workout_id, met)
            return
        key = workout.c, workout.owner
        locked = step.read_post_state("VaultEngine", "vaults", key).locked_collateral
        locked -= step.read_pre_state("VaultEngine", "vaults", key).locked_collateral
        if locked != workout.lot or payer != step.action.sender:
            raise PropertyViolationError(
                f"workout {workout_id} was paid, and {locked} of {workout.lot} came back"
            )
        del self._open[workout_id]

    def _count_met_instalments(self, step: Transition, workout_id: int, met: int) -> None:
        """Update the number of instalments that payments cover, and compare it with the contract's.

        Raises PropertyViolationError if the two differ.
        """
        workout = self._open[workout_id]
        covered = (workout.owed - workout.left) * workout.instalments // workout.owed
        if covered > workout.met and self._is_rest_covered(step, workout):
            workout.met = covered
        if met != workout.met:
            raise PropertyViolationError(
                f"workout {workout_id} has met {met}, its payments {workout.met}: {workout}"
            )

    def _is_rest_covered(self, step: Transition, workout: _WorkoutRecord) -> bool:
        """Return whether the lot repays the unpaid principal at the lower price less the discount.

        The result is True if there is no fresh price.
        """
        prices = step.read_post_state("PriceFeed", "prices", workout.c)
        if step.model.timestamp > prices.fresh_until or not min(prices.current, prices.next):
            return True
        price = min(prices.current, prices.next)
        return workout.lot * price * (10_000 - workout.discount) // 10_000 >= workout.compute_principal()

    def _check_foreclosure(self, step: Transition, workout_id: int) -> None:
        workout = self._open.pop(workout_id)
        due = workout.entered_at + (workout.met + 1) * workout.interval
        price = step.read_post_state("PriceFeed", "prices", workout.c).current
        short = workout.lot * price * 10_000 < workout.compute_principal() * workout.ratio
        if step.model.timestamp <= due and not short:
            raise PropertyViolationError(
                f"workout {workout_id} was foreclosed at {step.model.timestamp}, before {due}: {workout}"
            )


def _compute_decrease(step: Transition, contract: str, path: str, key: Any = ()) -> int:
    return int(step.read_pre_state(contract, path, key) - step.read_post_state(contract, path, key))
