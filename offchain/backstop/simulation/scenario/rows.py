"""Rows of a vault book that the contracts refuse: found before anything runs, and what becomes of them.

Every engine opens the book that comes out of this, so that no figure holds a row that the contracts refuse.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from backstop.errors import BackstopError
from backstop.model.arithmetic import BASIS_POINTS, RAY, WAD, div_up
from backstop.model.bounds import MAX_PRICE
from backstop.model.vault_engine import MAX_LOCKED
from backstop.simulation.scenario.schema import Scenario, Vault

REFUSE = "refuse"

TREATMENTS: Mapping[str, tuple[str, ...]] = {
    "duplicate": (REFUSE, "merge", "apart"),
    "no_collateral": (REFUSE, "drop", "liquidate"),
    "under_water": (REFUSE, "drop", "liquidate", "open"),
    "unsafe": (REFUSE, "drop", "liquidate", "open"),
    "between_ratios": (REFUSE, "drop", "open"),
    "under_floor": (REFUSE, "drop", "raise", "merge"),
}
"""What may become of each kind of row; the first unless a book says otherwise."""

_WHAT = {
    "duplicate": "of an owner with another vault of the type",
    "no_collateral": "without collateral that any price would open",
    "under_water": "worth less than their debt",
    "unsafe": "under the liquidation ratio",
    "between_ratios": "between the liquidation ratio and the initial ratio",
    "under_floor": "under the debt floor",
}

_DONE = {
    "apart": "are vaults of their own",
    "drop": "are left out",
    "liquidate": "are liquidated before the start, at the first price",
    "open": "are opened as they are, at a price before the start",
    "raise": "are raised to the floor, collateral in proportion",
}

_SHOWN = 5
_MOST_DRAWN = 2**128 - 1


class Row(NamedTuple):
    """A vault of a file, and the number of its row there."""

    number: int
    vault: Vault


@dataclass(frozen=True)
class Terms:
    """Terms of one collateral type by which the contracts open its vaults."""

    price: int  # ray, at which the book is opened
    floor: int  # wad
    liquidation_ratio: int  # basis points
    initial_ratio: int  # basis points
    unit: int  # wad of the token's smallest amount
    guarded: bool = False  # its feed believes no fall from a higher opening price at once

    def kind(self, vault: Vault) -> str | None:
        """Return why the contracts refuse a vault for its collateral; None if they do not."""
        if vault.debt == 0:
            return None
        locked = vault.locked // self.unit * self.unit  # as the contracts round it
        worth, owed = locked * self.price * BASIS_POINTS, vault.debt * RAY
        if worth >= owed * self.initial_ratio:
            return None
        if not locked or self.needed(vault) > MAX_PRICE:
            return "no_collateral"
        if worth >= owed * self.liquidation_ratio:
            return "between_ratios"
        return "unsafe" if worth >= owed * BASIS_POINTS else "under_water"

    def needed(self, vault: Vault) -> int:
        """Return the least price at which a vault with collateral can be opened, ray, rounded up."""
        locked = vault.locked // self.unit * self.unit
        return div_up(vault.debt * RAY * self.initial_ratio, locked * BASIS_POINTS)

    def short(self, vault: Vault) -> bool:
        """Return True if a vault owes less than the floor, and something."""
        return 0 < vault.debt < self.floor


@dataclass(frozen=True)
class Touched:
    """Rows of one kind, what became of them, and what they owed."""

    kind: str
    how: str
    rows: tuple[int, ...]
    debt: int  # wad
    left: int = 0  # merged: vaults that they became
    uncovered: int = 0  # liquidated: debt that their collateral did not repay, wad


@dataclass(frozen=True)
class Fitted:
    """A book that the contracts open: its vaults, at which prices, and what was done to its rows."""

    name: str
    vaults: tuple[Vault, ...]
    opened_at: Mapping[str, int]  # ray, of types that open at more than their first price
    rows: int
    debt: int  # wad, of all rows as they were
    touched: tuple[Touched, ...] = field(default_factory=tuple)

    def told(self) -> list[str]:
        """Say in sentences how much of the book was touched."""
        owed = sum(vault.debt for vault in self.vaults)
        lines = [
            f"Of {self.name}, {self.rows:,} rows that owe {_coins(self.debt)} stablecoins, "
            f"{len(self.vaults):,} vaults are opened, which draw {_coins(owed)}."
        ]
        for each in self.touched:
            done = _DONE.get(each.how) or f"are merged into {each.left:,}"
            line = (
                f"{len(each.rows):,} {_WHAT[each.kind]} ({_share(each.debt, self.debt)} of the debt) {done}"
            )
            if each.how == "liquidate":
                line += f"; {_coins(each.uncovered)} of it was bad debt already, and is in no figure"
            lines.append(f"Of its rows, {line}.")
        return lines


def terms_of(scenario: Scenario, prices: Mapping[str, int]) -> dict[str, Terms]:
    """Return the terms of all types at their first prices (ray), or those at which the book is opened."""
    seen = {symbol: path.points[0] for symbol, path in scenario.feed_prices.items()}
    return {
        each.symbol: Terms(
            price=scenario.opened_at.get(each.symbol, seen.get(each.symbol, prices[each.symbol])),
            floor=each.debt_floor * WAD,
            liquidation_ratio=each.liquidation_ratio,
            initial_ratio=each.initial_ratio,
            unit=10 ** (18 - each.decimals),
            guarded=each.feed.deviation != 0,
        )
        for each in scenario.parameters.collateral_types
    }


def fit(name: str, rows: Sequence[Row], treatments: Mapping[str, str], terms: Mapping[str, Terms]) -> Fitted:
    """Return the book that the contracts open; raise BackstopError that lists the rows of refused kinds.

    Rows are judged one after the other: by their owner, by their collateral, by the floor. What is merged or
    raised keeps at least the ratio of its worst part.
    """
    _refuse_huge(name, rows)
    fitting = _Fitting(name, treatments, terms)
    left = fitting.by_owner(rows)
    left = fitting.by_collateral(left)
    left = fitting.by_floor(left)
    if fitting.refused:
        raise BackstopError(_refusal(name, len(rows), fitting.refused, terms))
    if not left:
        raise BackstopError(f"{name}: none of its {len(rows):,} rows is left that can be opened")
    touched = tuple(each for each in fitting.touched if each.rows)
    debt = sum(row.vault.debt for row in rows)
    vaults = tuple(row.vault for row in left)
    return Fitted(name, vaults, fitting.opened_at, len(rows), debt, touched)


class _Fitting:
    """One book on its way: what was refused, what was touched, and the prices that rows ask for."""

    def __init__(self, name: str, treatments: Mapping[str, str], terms: Mapping[str, Terms]) -> None:
        self.name = name
        self.treatments = treatments
        self.terms = terms
        self.refused: dict[str, list[int]] = {}
        self.touched: list[Touched] = []
        self.opened_at: dict[str, int] = {}

    def how(self, kind: str) -> str:
        return self.treatments.get(kind, REFUSE)

    def _note(self, kind: str, rows: Sequence[Row], *, left: int = 0, uncovered: int = 0) -> None:
        numbers = tuple(row.number for row in rows)
        if self.how(kind) == REFUSE:
            if numbers:
                self.refused.setdefault(kind, []).extend(numbers)
            return
        debt = sum(row.vault.debt for row in rows)
        self.touched.append(Touched(kind, self.how(kind), numbers, debt, left, uncovered))

    def by_owner(self, rows: Sequence[Row]) -> list[Row]:
        """Merge rows of one owner and type, or give each vault after the first an account of its own."""
        groups: dict[tuple[str, str], list[Row]] = {}
        for row in rows:
            groups.setdefault((_account(row.vault.owner), row.vault.symbol), []).append(row)
        if len(groups) == len(rows):
            return list(rows)
        how = self.how("duplicate")
        several = [group for group in groups.values() if len(group) > 1]
        if how == "merge":
            self._note("duplicate", [row for group in several for row in group], left=len(several))
            return [_sum(group, group[0].vault.owner) for group in groups.values()]
        self._note("duplicate", [row for group in several for row in group[1:]])
        taken = {_account(row.vault.owner) for row in rows}
        apart = []
        for group in groups.values():
            apart += [group[0], *(_renamed(row, i, taken) for i, row in enumerate(group[1:], 2))]
        return apart

    def by_collateral(self, rows: Sequence[Row]) -> list[Row]:
        """Drop, sell or open rows that have too little collateral for what they owe."""
        found: dict[str, list[Row]] = {kind: [] for kind in TREATMENTS}
        left = []
        for row in rows:
            kind = self.terms[row.vault.symbol].kind(row.vault)
            if kind is not None:
                found[kind].append(row)
            if kind is None or self.how(kind) == "open":
                left.append(row)
        for kind in ("no_collateral", "under_water", "unsafe", "between_ratios"):
            self._note(kind, found[kind], uncovered=sum(map(self._uncovered, found[kind])))
            if self.how(kind) == "open":
                for row in found[kind]:
                    self._open(row)
        return left

    def _open(self, row: Row) -> None:
        """Ask for an opening price at which the contracts take a row."""
        symbol, terms = row.vault.symbol, self.terms[row.vault.symbol]
        if terms.guarded:
            raise BackstopError(
                f"{self.name}: row {row.number} cannot be opened at a higher price: the feed of {symbol} has "
                "a deviation, and would not believe the fall to its first price"
            )
        self.opened_at[symbol] = max(self.opened_at.get(symbol, 0), terms.needed(row.vault))

    def _uncovered(self, row: Row) -> int:
        """Return the debt that a sale at the opening price does not repay, wad, rounded up."""
        worth = row.vault.locked * self.terms[row.vault.symbol].price // RAY
        return max(0, row.vault.debt - worth)

    def by_floor(self, rows: Sequence[Row]) -> list[Row]:
        """Drop, raise or merge rows that owe less than the floor of their type."""
        short = [row for row in rows if self.terms[row.vault.symbol].short(row.vault)]
        if not short:
            return list(rows)
        how, numbers = self.how("under_floor"), {row.number for row in short}
        left = [row for row in rows if row.number not in numbers]
        if how == "merge":
            merged, lost = self._merge(short)
            kept = [row for row in short if row.number not in {each.number for each in lost}]
            self._note("under_floor", kept, left=len(merged))
            if lost:  # the whole type is one crumb
                debt = sum(row.vault.debt for row in lost)
                self.touched.append(Touched("under_floor", "drop", tuple(r.number for r in lost), debt))
            return left + merged
        self._note("under_floor", short)
        return left + [self._raised(row) for row in short] if how == "raise" else left

    def _raised(self, row: Row) -> Row:
        """Raise a row's debt to the floor, and its collateral by the same factor, rounded up to the unit."""
        vault, terms = row.vault, self.terms[row.vault.symbol]
        locked = div_up(vault.locked * terms.floor, vault.debt * terms.unit) * terms.unit
        return Row(row.number, replace(vault, debt=terms.floor, locked=locked))

    def _merge(self, rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
        """Merge rows with ratios next to each other up to the floor; also return what never reaches it."""
        merged, lost = [], []
        for symbol in dict.fromkeys(row.vault.symbol for row in rows):
            floor = self.terms[symbol].floor
            same = [row for row in rows if row.vault.symbol == symbol]
            same.sort(key=lambda row: (row.vault.locked * WAD * WAD // row.vault.debt, row.number))
            groups: list[list[Row]] = [[]]
            for row in same:
                groups[-1].append(row)
                if sum(each.vault.debt for each in groups[-1]) >= floor:
                    groups.append([])
            rest = groups.pop()
            if groups:
                groups[-1] += rest
                merged += [_sum(group, group[0].vault.owner) for group in groups]
            else:
                lost += rest
        return merged, lost


def check_vaults(scenario: Scenario, vaults: Sequence[Vault], prices: Mapping[str, int]) -> None:
    """Refuse a book, drawn or given, that the contracts would not open at the first prices (ray).

    A risk policy may ask for more than the ratio: the exact engine says that when it opens the book.
    """
    terms = terms_of(scenario, prices)
    drawn = dict.fromkeys(terms, 0)
    wrong = []
    for vault in vaults:
        term = terms[vault.symbol]
        drawn[vault.symbol] += vault.debt
        kind = term.kind(vault) or ("under_floor" if term.short(vault) else None)
        if kind is not None:
            wrong.append((vault, kind))
    if wrong:
        vault, kind = wrong[0]
        raise BackstopError(
            f"the scenario does not fit: {len(wrong):,} of its {len(vaults):,} vaults cannot be opened, the "
            f"first is that of {vault.owner}, {_one(kind, terms[vault.symbol], vault.symbol)}"
        )
    for each in scenario.parameters.collateral_types:
        if drawn[each.symbol] > each.debt_ceiling * WAD:
            raise BackstopError(
                f"the scenario does not fit: its {each.symbol} vaults draw {_coins(drawn[each.symbol])} "
                f"stablecoins, their ceiling is {each.debt_ceiling:,}"
            )
    total, highest = sum(drawn.values()), scenario.parameters.global_debt_ceiling
    if total > highest * WAD:
        raise BackstopError(
            f"the scenario does not fit: its vaults draw {_coins(total)} stablecoins, "
            f"the ceiling is {highest:,}"
        )


def _refuse_huge(name: str, rows: Iterable[Row]) -> None:
    for number, vault in rows:
        if vault.locked > MAX_LOCKED or vault.debt > _MOST_DRAWN:
            raise BackstopError(f"{name}: row {number}: is more than a vault holds: check the decimals")


def _refusal(name: str, count: int, refused: Mapping[str, Sequence[int]], terms: Mapping[str, Terms]) -> str:
    """Say in one line which rows cannot be opened, by kind, and how to mend it."""
    kinds = [
        f"{len(numbers):,} {_WHAT[kind]} ({_numbers(sorted(numbers))})" for kind, numbers in refused.items()
    ]
    total = len({number for numbers in refused.values() for number in numbers})
    example = ", ".join(f"{kind}: {'|'.join(TREATMENTS[kind][1:])}" for kind in refused)
    return (
        f"{name}: {total:,} of {count:,} rows cannot be opened: {'; '.join(kinds)}: "
        f"say under `vault_book` what becomes of them, `rows: {{{example}}}`"
    )


def _one(kind: str, terms: Terms, symbol: str) -> str:
    if kind == "under_floor":
        return f"which owes less than the debt floor of {symbol}, {_coins(terms.floor)}"
    return f"which has less {symbol} than the initial ratio of {terms.initial_ratio / 100:g}% asks for"


def _numbers(numbers: Sequence[int]) -> str:
    listed = ", ".join(str(number) for number in numbers[:_SHOWN])
    more = f" and {len(numbers) - _SHOWN:,} more" if len(numbers) > _SHOWN else ""
    return f"row{'s' if len(numbers) > 1 else ''} {listed}{more}"


def _account(owner: str) -> str:
    """Return what stands for an owner's account: addresses that differ in capitals are one."""
    return owner.lower() if owner.startswith("0x") and len(owner) == 42 else owner


def _sum(rows: Sequence[Row], owner: str) -> Row:
    """Add rows of one type up to one."""
    locked, debt = sum(row.vault.locked for row in rows), sum(row.vault.debt for row in rows)
    return Row(rows[0].number, Vault(owner, rows[0].vault.symbol, locked, debt))


def _renamed(row: Row, number: int, taken: set[str]) -> Row:
    """Give a vault an account of its own, named after its owner."""
    while (owner := f"{row.vault.owner}/{number}") in taken:
        number += 1
    taken.add(owner)
    return Row(row.number, replace(row.vault, owner=owner))


def _coins(wad: int) -> str:
    """Write whole stablecoins, rounded to the nearest."""
    return f"{(wad + WAD // 2) // WAD:,}"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f}%" if whole else "0%"
