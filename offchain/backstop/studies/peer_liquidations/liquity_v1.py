"""Liquity v1, as its repository has it since April 2025: a stability pool, then redistribution.

Source: github.com/liquity/dev, packages/contracts/contracts/TroveManager.sol and StabilityPool.sol, commit
39f1f7f of April 2025, MIT. The rules are written here anew. They are not those of the immutable deployment of
2021. Amounts, prices and ratios are in wad.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backstop.model.arithmetic import WAD
from backstop.studies.peer_liquidations.liquity_troves import (
    DepositSnapshot,
    TroveBook,
    TroveSplit,
    compute_collateral_ratio,
)
from backstop.studies.peer_liquidations.operation_sequence import play_operations
from backstop.studies.peer_liquidations.vector_case import (
    FLAG,
    INTEGER,
    TEXT,
    PeerRefusalError,
    VectorCaseError,
    check_field_forms,
)

LEAST_RATIO = 11 * 10**17
RECOVERY_RATIO = 15 * 10**17
SCALE_FACTOR = 10**9
LEAST_IN_POOL = WAD
COIN_COMPENSATION = 200 * WAD
COLLATERAL_DIVISOR = 200
ONLY_TROVE = "TroveManager: Only one trove in the system"
NOTHING_TO_LIQUIDATE = "TroveManager: nothing to liquidate"

SEQUENCE_FORM = {"deployed": FLAG, "depositors": [TEXT], "owners": [TEXT]}
OPERATION_FORMS: Mapping[str, Mapping[str, Any]] = {
    "price": {"price": INTEGER},
    "open": {"who": TEXT, "coll": INTEGER, "debt": INTEGER},
    "provide": {"who": TEXT, "amount": INTEGER},
    "withdraw": {"who": TEXT, "amount": INTEGER},
    "liquidate": {"batch": [TEXT]},
}


@dataclass
class _Pool:
    """Stability pool of Liquity v1.

    Each deposit is computed from the pool's product and sums.
    """

    total: int = 0
    collateral: int = 0
    product: int = WAD
    scale: int = 0
    sums: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))
    gain_error: int = 0
    loss_error: int = 0
    deposits: dict[str, DepositSnapshot] = field(default_factory=dict)

    def get_deposit(self, owner: str) -> tuple[int, int]:
        """Return a deposit's value and its collateral gain [wad], rounded down.

        A value below a billionth of the deposit is 0.
        """
        deposit = self.deposits.get(owner)
        if not deposit:
            return 0, 0
        value, scales = deposit.value * self.product // deposit.product, self.scale - deposit.scale
        value = 0 if scales > 1 else value // SCALE_FACTOR**scales
        if value < deposit.value // SCALE_FACTOR:
            value = 0
        gains = self.sums[deposit.scale] - deposit.sums[0] + self.sums[deposit.scale + 1] // SCALE_FACTOR
        return value, deposit.value * gains // deposit.product // WAD

    def change_deposit(self, owner: str, value: int, gain: int) -> None:
        """Store a deposit's new value, and pay its whole collateral gain."""
        self.deposits.pop(owner, None)
        if value:
            self.deposits[owner] = DepositSnapshot(value, self.product, self.scale, (self.sums[self.scale],))
        if gain > self.collateral:
            raise PeerRefusalError("SafeMath: subtraction overflow")
        self.collateral -= gain

    def get_offset_limit(self) -> int:
        """Return the debt that the pool can take over [wad].

        One coin must stay. The result is 0 if it is within the last rounding error.
        """
        limit = self.total - min(LEAST_IN_POOL, self.total)
        return 0 if limit * WAD <= self.loss_error else limit

    def offset_debt(self, debt: int, collateral: int) -> None:
        """Take over debt for collateral.

        The loss per coin is rounded up, against depositors, and the gain down. Rounding errors count in the
        next offset.
        """
        if debt >= self.total:
            raise PeerRefusalError("panic")
        gain, self.gain_error = divmod(collateral * WAD + self.gain_error, self.total)
        numerator = max(debt * WAD - self.loss_error, 0)
        loss = numerator // self.total + 1
        self.loss_error = loss * self.total - numerator
        if loss > WAD:
            raise PeerRefusalError("panic")
        self.sums[self.scale] += gain * self.product
        product = self.product * (WAD - loss)
        shift = 0
        while product * SCALE_FACTOR**shift // WAD < SCALE_FACTOR and shift < 2:
            shift += 1
        self.product = product * SCALE_FACTOR**shift // WAD
        self.scale += shift
        if self.product == 0:
            raise PeerRefusalError("panic")
        self.decrease_total(debt)
        self.collateral += collateral

    def decrease_total(self, amount: int) -> None:
        """Decrease the pool's coins; raise PeerRefusalError if less than one coin would stay."""
        if self.total - amount < LEAST_IN_POOL:
            raise PeerRefusalError("Withdrawal must leave totalBoldDeposits >= MIN_LUSD_IN_SP")
        self.total -= amount


@dataclass(frozen=True)
class ClosedTrove:
    """Liquidated trove: its ratio at that time [wad], the mode, and its parts."""

    owner: str
    ratio: int
    was_in_recovery: bool
    split: TroveSplit


@dataclass
class LiquityV1System:
    """Troves, stability pool and price [wad] of Liquity v1.

    Without recovery mode, all liquidations are in normal mode.
    """

    has_recovery_mode: bool = True
    price: int = 0
    book: TroveBook = field(default_factory=TroveBook)
    pool: _Pool = field(default_factory=_Pool)
    closed: list[ClosedTrove] = field(default_factory=list)

    def compute_system_ratio(self) -> int:
        """Return the worth of all collateral over all debt [wad]."""
        return compute_collateral_ratio(*self.book.get_totals(), self.price)

    def is_in_recovery(self) -> bool:
        """Return whether the system's ratio is below 150%; False if it has no recovery mode."""
        return self.has_recovery_mode and self.compute_system_ratio() < RECOVERY_RATIO

    def apply_operation(self, operation: Mapping[str, Any]) -> list[int] | None:
        """Apply one operation of a sequence, and return the amounts paid.

        None if the operation pays nothing. Raises PeerRefusalError if the contracts would revert.
        """
        kind = operation["op"]
        if kind == "price":
            self.price = operation["price"]
        elif kind == "open":
            self.book.open_trove(operation["who"], operation["coll"], operation["debt"])
        elif kind == "provide":
            return self._provide_deposit(operation["who"], operation["amount"])
        elif kind == "withdraw":
            return self._withdraw_deposit(operation["who"], operation["amount"])
        else:
            return self._liquidate_batch(operation["batch"])
        return None

    def _provide_deposit(self, owner: str, amount: int) -> list[int]:
        if amount == 0:
            raise PeerRefusalError("StabilityPool: Amount must be non-zero")
        value, gain = self.pool.get_deposit(owner)
        self.pool.total += amount
        self.pool.change_deposit(owner, value + amount, gain)
        return [gain]

    def _withdraw_deposit(self, owner: str, amount: int) -> list[int]:
        ratios = (self.book.compute_ratio(each, self.price) for each in self.book.troves)
        if amount and min(ratios, default=LEAST_RATIO) < LEAST_RATIO:
            raise PeerRefusalError("StabilityPool: Cannot withdraw while there are troves with ICR < MCR")
        if owner not in self.pool.deposits:
            raise PeerRefusalError("StabilityPool: User must have a non-zero deposit")
        value, gain = self.pool.get_deposit(owner)
        paid = min(amount, value)
        if paid > self.pool.total:
            raise PeerRefusalError("ERC20: transfer amount exceeds balance")
        if paid:
            self.pool.decrease_total(paid)
        self.pool.change_deposit(owner, value - paid, gain)
        return [gain]

    def _liquidate_batch(self, batch: list[str]) -> list[int]:
        """Liquidate the troves of these owners in order, and return the caller's collateral and coins.

        The pool's remaining capacity counts for each trove. All splits are then applied at once.
        """
        if not batch:
            raise PeerRefusalError("TroveManager: Calldata address array must not be empty")
        book, left = self.book, self.pool.get_offset_limit()
        closed: list[ClosedTrove] = []
        collateral, debt = book.get_totals()
        in_recovery = self.is_in_recovery()
        for owner in batch:
            if owner not in book.troves:
                continue
            ratio = book.compute_ratio(owner, self.price)
            system_ratio = compute_collateral_ratio(collateral, debt, self.price) if in_recovery else None
            split = self._split_trove(owner, ratio, left, system_ratio)
            if split:
                closed.append(ClosedTrove(owner, ratio, in_recovery, split))
                left -= split.offset_debt
                debt -= split.offset_debt
                collateral -= split.pool_collateral + split.compensation + split.surplus
            if in_recovery:
                in_recovery = compute_collateral_ratio(collateral, debt, self.price) < RECOVERY_RATIO
        if not closed:
            raise PeerRefusalError(NOTHING_TO_LIQUIDATE)
        paid = book.book_liquidation(self.pool, [each.split for each in closed])
        self.closed += closed
        return [paid, COIN_COMPENSATION * len(closed)]

    def _split_trove(self, owner: str, ratio: int, left: int, system_ratio: int | None) -> TroveSplit | None:
        """Close a trove and return its split; None if it may not be liquidated.

        `left` is the debt that the pool can still take. `system_ratio` is None in normal mode. In recovery
        mode the last trove stays, and a trove of 100% or less is redistributed whole. A trove from 110% up to
        the system's ratio goes to the pool, if that can take all its debt. The pool then gets 110% of the
        debt in collateral, rounded down, and the owner may claim the rest.
        """
        book = self.book
        if system_ratio is not None and len(book.troves) == 1:
            return None
        collateral, debt = book.get_entire(owner)
        surplus = 0
        if ratio >= LEAST_RATIO:
            if system_ratio is None or ratio >= system_ratio or debt > left:
                return None
            surplus = collateral - debt * LEAST_RATIO // self.price
            collateral -= surplus
        elif system_ratio is not None and ratio <= WAD:
            left = 0
        compensation = collateral // COLLATERAL_DIVISOR
        rest = collateral - compensation
        offset_debt = min(debt, left)
        pool_collateral = rest * offset_debt // debt
        book.close_trove(owner, ONLY_TROVE)
        book.pay_surplus(owner, surplus)
        spread_debt = debt - offset_debt
        return TroveSplit(
            offset_debt, pool_collateral, spread_debt, rest - pool_collateral, compensation, surplus
        )

    def describe_state(self, depositors: list[str]) -> dict[str, Any]:
        """Return the state in the fields of the test vectors; their epoch is always 0."""
        book, pool = self.book, self.pool
        return {
            "pool": [pool.product, pool.scale, 0, pool.sums[pool.scale], pool.total, pool.collateral],
            "deposits": {owner: list(pool.get_deposit(owner)) for owner in depositors},
            "system": [
                *(book.collateral_sum, book.debt_sum, book.total_stakes, book.stakes_snapshot),
                *(book.collateral_snapshot, book.active_collateral, book.active_debt),
                *(book.default_collateral, book.default_debt),
            ],
            "troves": {
                owner: [trove.collateral, trove.debt, trove.stake, *book.get_pending(owner)]
                for owner, trove in book.troves.items()
            },
            "surplus": dict(book.surplus),
        }


def play_liquity_v1_sequence(case: Mapping[str, Any], *, has_recovery_mode: bool = True) -> dict[str, Any]:
    """Return outcome, payments and state after each operation of a sequence on Liquity v1.

    A refused operation changes nothing. No contract of Liquity v1 lacks recovery mode; `has_recovery_mode` is
    for comparisons. Raises VectorCaseError for a sequence of the deployment of 2021 (`deployed`), which has
    other rules.
    """
    check_field_forms(case, SEQUENCE_FORM, "liquity1")
    if case["deployed"]:
        raise VectorCaseError(
            "liquity1, field 'deployed' is true: only the repository's code of 2025 is known"
        )
    return play_operations(case, LiquityV1System(has_recovery_mode), OPERATION_FORMS, "liquity1")
