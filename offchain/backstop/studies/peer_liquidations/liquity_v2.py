"""Liquity v2 (BOLD), one branch: a stability pool takes troves over, penalties leave owners a surplus.

Source: github.com/liquity/bold, contracts/src/TroveManager.sol and StabilityPool.sol, commit 405f912 of March
2026, BUSL-1.1. The rules are written here anew. No time passes, so there is no interest; the only yield is a
share of the fees of troves. Amounts, prices, ratios and penalties are in wad.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backstop.model.arithmetic import WAD
from backstop.studies.peer_liquidations.liquity_troves import DepositSnapshot, TroveBook, TroveSplit
from backstop.studies.peer_liquidations.operation_sequence import play_operations
from backstop.studies.peer_liquidations.vector_case import (
    FLAG,
    INTEGER,
    TEXT,
    PeerRefusalError,
    VectorCaseError,
    check_field_forms,
)

PRODUCT_ONE = 10**36
SCALE_FACTOR = 10**9
SCALES_WITH_VALUE = 8
SCALES_WITH_GAINS = 2
LEAST_IN_POOL = WAD
YIELD_SHARE = 75 * 10**16
COLLATERAL_DIVISOR = 200
MAX_COLLATERAL_COMPENSATION = 2 * WAD
WETH_COMPENSATION = 375 * 10**14
URGENT_FACTOR = 102 * 10**16

SEQUENCE_FORM = {
    "mcr": INTEGER,
    "penalty": (INTEGER, INTEGER),
    "depositors": [TEXT],
    "owners": [TEXT],
}
OPERATION_FORMS: Mapping[str, Mapping[str, Any]] = {
    "price": {"price": INTEGER},
    "open": {"who": TEXT, "coll": INTEGER, "debt": INTEGER, "fee": INTEGER},
    "provide": {"who": TEXT, "amount": INTEGER, "claim": FLAG},
    "withdraw": {"who": TEXT, "amount": INTEGER, "claim": FLAG},
    "claim": {"who": TEXT},
    "liquidate": {"batch": [TEXT]},
}


def _build_sums() -> defaultdict[int, int]:
    return defaultdict(int)


@dataclass
class _Pool:
    """Stability pool: total, collateral, yield, and the product and sums that give each deposit."""

    total: int = 0
    collateral: int = 0
    yield_owed: int = 0
    yield_waiting: int = 0
    product: int = PRODUCT_ONE
    scale: int = 0
    collateral_sums: defaultdict[int, int] = field(default_factory=_build_sums)
    yield_sums: defaultdict[int, int] = field(default_factory=_build_sums)
    deposits: dict[str, DepositSnapshot] = field(default_factory=dict)
    stashed: dict[str, int] = field(default_factory=dict)

    def get_deposit(self, owner: str) -> tuple[int, int, int]:
        """Return a deposit's value, its collateral gain and its yield gain [wad], rounded down.

        Gains are at most what the pool has.
        """
        deposit = self.deposits.get(owner)
        if not deposit:
            return 0, 0, 0
        scales = self.scale - deposit.scale
        value = deposit.value * self.product // deposit.product // SCALE_FACTOR**scales
        gains = []
        for sums, before in zip((self.collateral_sums, self.yield_sums), deposit.sums, strict=True):
            gain = sums[deposit.scale] - before
            for later in range(1, SCALES_WITH_GAINS + 1):
                gain += sums[deposit.scale + later] // SCALE_FACTOR**later
            gains.append(deposit.value * gain // deposit.product)
        return (
            value if scales <= SCALES_WITH_VALUE else 0,
            min(gains[0], self.collateral),
            min(gains[1], self.yield_owed),
        )

    def change_deposit(self, owner: str, change: int, has_claim: bool) -> list[int]:
        """Add `change` to a deposit, and return the collateral and coins paid to its owner.

        `change` is negative for a withdrawal, and coins paid are net of it. With `has_claim` gains are paid.
        Otherwise collateral is set aside, and yield is added to the deposit.
        """
        value, collateral, earned = self.get_deposit(owner)
        kept = 0 if has_claim else earned
        stash = self.stashed.get(owner, 0) + collateral
        self.stashed[owner] = 0 if has_claim else stash
        self.deposits.pop(owner, None)
        if value + change + kept:
            sums = (self.collateral_sums[self.scale], self.yield_sums[self.scale])
            self.deposits[owner] = DepositSnapshot(value + change + kept, self.product, self.scale, sums)
        self.yield_owed -= earned
        self.total += change + kept
        if self.total < 0:
            raise PeerRefusalError("panic")
        paid = stash if has_claim else 0
        self.collateral -= paid
        return [paid, earned - kept - change]

    def add_yield(self, amount: int) -> None:
        """Distribute yield to the deposits, rounded down.

        It waits while deposits are below one coin.
        """
        amount += self.yield_waiting
        if amount == 0:
            return
        if self.total < LEAST_IN_POOL:
            self.yield_waiting = amount
            return
        self.yield_owed += amount
        self.yield_waiting = 0
        self.yield_sums[self.scale] += self.product * amount // self.total

    def offset_debt(self, debt: int, collateral: int) -> None:
        """Take over debt for collateral; product and sums are rounded down, without carried errors."""
        self.collateral_sums[self.scale] += self.product * collateral // self.total
        numerator = self.product * (self.total - debt)
        product = numerator // self.total
        if product == 0:
            raise PeerRefusalError("P must never decrease to 0")
        while product < PRODUCT_ONE // SCALE_FACTOR:
            numerator *= SCALE_FACTOR
            product = numerator // self.total
            self.scale += 1
        self.product = product
        self.total -= debt
        self.collateral += collateral


@dataclass
class _Branch:
    least_ratio: int
    pool_penalty: int
    spread_penalty: int
    price: int = 0
    book: TroveBook = field(default_factory=TroveBook)
    pool: _Pool = field(default_factory=_Pool)

    def apply_operation(self, operation: Mapping[str, Any]) -> list[int] | None:
        """Apply one operation of a sequence, and return the amounts paid.

        None if the operation pays nothing. Raises PeerRefusalError if the contracts would revert.
        """
        kind, owner = operation["op"], operation.get("who", "")
        if kind == "price":
            self.price = operation["price"]
        elif kind == "open":
            self.book.open_trove(owner, operation["coll"], operation["debt"])
            self.pool.add_yield(operation["fee"] * YIELD_SHARE // WAD)
        elif kind == "provide":
            if operation["amount"] == 0:
                raise PeerRefusalError("StabilityPool: Amount must be non-zero")
            paid = self.pool.change_deposit(owner, operation["amount"], operation["claim"])
            self.pool.add_yield(0)
            return paid
        elif kind == "withdraw":
            return self._withdraw_deposit(owner, operation["amount"], operation["claim"])
        elif kind == "claim":
            return self._claim_stash(owner)
        else:
            return self._liquidate_batch(operation["batch"])
        return None

    def _withdraw_deposit(self, owner: str, amount: int, has_claim: bool) -> list[int]:
        if owner not in self.pool.deposits:
            raise PeerRefusalError("StabilityPool: User must have a non-zero deposit")
        value, _, _ = self.pool.get_deposit(owner)
        paid = self.pool.change_deposit(owner, -min(amount, value), has_claim)
        if self.pool.total < LEAST_IN_POOL:
            raise PeerRefusalError("Withdrawal must leave totalBoldDeposits >= MIN_BOLD_IN_SP")
        return paid

    def _claim_stash(self, owner: str) -> list[int]:
        if owner in self.pool.deposits:
            raise PeerRefusalError("StabilityPool: User must have no deposit")
        stash = self.pool.stashed.get(owner, 0)
        if stash == 0:
            raise PeerRefusalError("StabilityPool: Amount must be non-zero")
        self.pool.stashed[owner] = 0
        self.pool.collateral -= stash
        return [stash, 0]

    def _liquidate_batch(self, batch: list[str]) -> list[int]:
        """Liquidate the troves of these owners in order, and return the caller's collateral and WETH.

        The pool's remaining capacity counts for each trove. All splits are then applied at once.
        """
        if not batch:
            raise PeerRefusalError("EmptyData")
        book, splits = self.book, []
        left = self.pool.total - min(LEAST_IN_POOL, self.pool.total)
        for owner in batch:
            if owner in book.troves and book.compute_ratio(owner, self.price) < self.least_ratio:
                split = self._split_trove(owner, left)
                splits.append(split)
                left -= split.offset_debt
        if not splits:
            raise PeerRefusalError("NothingToLiquidate")
        return [book.book_liquidation(self.pool, splits), WETH_COMPENSATION * len(splits)]

    def _split_trove(self, owner: str, left: int) -> TroveSplit:
        """Close a trove and return its split: the pool takes debt up to `left`, other troves the rest.

        Each part gets its debt with its penalty in collateral, rounded down, as far as collateral remains.
        The caller's compensation is from the pool's part only. Collateral that the pool does not get goes to
        the other part if needed, otherwise to the owner.
        """
        book = self.book
        collateral, debt = book.get_entire(owner)
        book.close_trove(owner, "OnlyOneTroveLeft")
        offset_debt = min(debt, left)
        portion = collateral * offset_debt // debt
        compensation = min(portion // COLLATERAL_DIVISOR, MAX_COLLATERAL_COMPENSATION)
        offered = portion - compensation
        pool_collateral = min(offered, self._price_debt(offset_debt, self.pool_penalty))
        surplus = offered - pool_collateral
        spread_debt, spread_collateral = debt - offset_debt, 0
        if spread_debt and collateral > portion:
            offered = collateral - portion + surplus
            spread_collateral = min(offered, self._price_debt(spread_debt, self.spread_penalty))
            surplus = offered - spread_collateral
        book.pay_surplus(owner, surplus)
        return TroveSplit(offset_debt, pool_collateral, spread_debt, spread_collateral, compensation, surplus)

    def _price_debt(self, debt: int, penalty: int) -> int:
        """Return the collateral worth a debt with its penalty [wad], rounded down."""
        return debt * (WAD + penalty) // self.price

    def describe_state(self, depositors: list[str]) -> dict[str, Any]:
        """Return the state in the fields of the test vectors."""
        book, pool = self.book, self.pool
        return {
            "pool": [
                *(pool.product, pool.scale, pool.collateral_sums[pool.scale], pool.yield_sums[pool.scale]),
                *(pool.total, pool.collateral, pool.yield_owed, pool.yield_waiting),
            ],
            "deposits": {
                owner: [*pool.get_deposit(owner), pool.stashed.get(owner, 0)] for owner in depositors
            },
            "system": [
                *(book.active_collateral, book.default_collateral, book.default_debt, book.active_debt)
            ],
            "troves": {
                owner: [*book.get_entire(owner), trove.stake, *book.get_pending(owner)]
                for owner, trove in book.troves.items()
            },
            "surplus": dict(book.surplus),
        }


def play_liquity_v2_sequence(case: Mapping[str, Any]) -> dict[str, Any]:
    """Return outcome, payments and state after each operation of a sequence on a Liquity v2 branch."""
    check_field_forms(case, SEQUENCE_FORM, "liquity2")
    return play_operations(case, _Branch(case["mcr"], *case["penalty"]), OPERATION_FORMS, "liquity2")


URGENT_FORM = {"price": INTEGER, "amount": INTEGER, "batch": [TEXT]}


def redeem_liquity_v2_urgently(case: Mapping[str, Any]) -> dict[str, Any]:
    """Compute Liquity v2's `urgentRedemption` after a shutdown.

    The result has `status`, `out` (collateral received, coins burned) and `troves_after`. Troves are redeemed
    in the caller's order, as often as named, for 102% of the debt in collateral, rounded down. If a trove has
    less, all its collateral is paid, for the debt that it is worth, rounded down.
    """
    check_field_forms(case, URGENT_FORM, "liquity2_urgent")
    troves = {}
    for owner, trove in _get_troves(case).items():
        check_field_forms(trove, (INTEGER, INTEGER), f"liquity2_urgent, field 'troves', {owner!r}")
        troves[owner] = list(trove)
    if case["amount"] == 0:
        return {"status": "ZeroAmount"}
    left, received = case["amount"], 0
    for owner in case["batch"]:
        collateral, debt = troves.get(owner, (0, 0))
        if left == 0 or debt == 0:
            continue
        lot = min(left, debt)
        seized = lot * URGENT_FACTOR // case["price"]
        if seized > collateral:
            seized = collateral
            lot = collateral * case["price"] // URGENT_FACTOR
        troves[owner] = [collateral - seized, debt - lot]
        left -= lot
        received += seized
    return {"status": "ok", "out": [received, case["amount"] - left], "troves_after": troves}


def _get_troves(case: Mapping[str, Any]) -> Mapping[str, Any]:
    troves = case.get("troves")
    if not isinstance(troves, Mapping):
        raise VectorCaseError(f"liquity2_urgent, field 'troves' is {troves!r:.60}: give an object by owner")
    return troves
