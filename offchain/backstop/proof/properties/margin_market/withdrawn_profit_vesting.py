"""The property of withdrawn profits, with a record of its own: their owner and their vesting time."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from backstop.lockstep.step_transition import Changes, Transition
from backstop.proof.properties.property_registry import PropertyViolationError, history_property

if TYPE_CHECKING:
    from backstop.hosts.model_system import ModelSystem

FUND = "MarginFund"
_OURS = ("buckets", "holdings")
_TOLD = ("ProfitLocked", "ProfitClaimed", "ClawedBack")


@dataclass
class _ProfitRecord:
    """Remaining profit of an owner in one bucket of time [wei], and the number of roundings."""

    amount: Fraction
    rounded: int = 1


@history_property(60, writes=_OURS)
class ProfitVestsForItsOwner:
    """Checker that a withdrawn profit is paid to its owner once it has vested (property 60).

    It is paid in full except for clawbacks. It vests after all buckets of time that count have passed. Each
    event of its bucket may round by 1 wei.
    """

    def __init__(self, model: ModelSystem) -> None:
        self._profits: dict[int, dict[str, _ProfitRecord]] = {}
        if FUND in model.world.contracts:
            tables = model.world.contracts[FUND].tables
            for (owner, bucket), holding in tables["holdings"].items():
                state = tables["buckets"][bucket]
                if holding.shares and holding.generation == state.generation:
                    amount = Fraction(holding.shares * state.assets, state.shares)
                    self._profits.setdefault(bucket, {})[owner] = _ProfitRecord(amount)

    def check_step(self, step: Transition, changes: Changes) -> None:
        """Record locked, clawed back and claimed profits from events, and check each claim.

        Raises PropertyViolationError if a claim is too early or differs in amount or receiver.
        """
        if not any(each.contract == FUND for path in _OURS for each in changes.get(path, ())):
            return
        told = [log for log in step.outcome.logs if log.contract == FUND and log.event in _TOLD]
        if not told:
            raise PropertyViolationError(f"{step.action.method} changed profits, and nothing was told")
        # What buckets have while the call goes on: it may bring a profit, and several losses.
        assets: dict[int, int] = {}
        for log in told:
            bucket = log.values[0 if log.event == "ClawedBack" else 1]
            had = assets.setdefault(bucket, step.read_pre_state(FUND, "buckets", bucket).assets)
            if log.event == "ProfitLocked":
                owner, _, amount, _ = log.values
                self._lock_profit(owner, bucket, amount)
                assets[bucket] += amount
            elif log.event == "ClawedBack":
                _, amount, dust = log.values
                self._claw_back_profits(bucket, had, amount, dust)
                assets[bucket] -= amount + dust
            else:
                self._check_claim(step, *log.values)

    def _lock_profit(self, owner: str, bucket: int, amount: int) -> None:
        profits = self._profits.setdefault(bucket, {})
        self._raise_rounding_tolerance(bucket)
        profits.setdefault(owner, _ProfitRecord(Fraction(0), 2)).amount += amount

    def _claw_back_profits(self, bucket: int, old: int, amount: int, dust: int) -> None:
        self._raise_rounding_tolerance(bucket)
        for profit in self._profits[bucket].values():
            profit.amount *= Fraction(old - amount, old) if not dust else 0
        if dust or amount == old:
            del self._profits[bucket]

    def _check_claim(self, step: Transition, owner: str, bucket: int, amount: int) -> None:
        fund = step.get_contract(FUND)
        if (
            not step.is_call(FUND, "claim")
            or step.model.timestamp < (bucket + fund.bucket_count) * fund.length
        ):
            raise PropertyViolationError(f"profits of bucket {bucket} were claimed at {step.model.timestamp}")
        self._raise_rounding_tolerance(bucket)
        profit = self._profits.get(bucket, {}).pop(owner, None)
        if profit is None or abs(profit.amount - amount) > profit.rounded:
            raise PropertyViolationError(
                f"{owner} claimed {amount} of bucket {bucket}, and has made {profit}"
            )
        sent = [log.values[1:] for log in step.outcome.logs if log.event == "Transfer"]
        if sent != [(owner, amount)]:
            raise PropertyViolationError(f"{amount} were claimed by {owner}, and {sent} was sent")

    def _raise_rounding_tolerance(self, bucket: int) -> None:
        for profit in self._profits.get(bucket, {}).values():
            profit.rounded += 1
