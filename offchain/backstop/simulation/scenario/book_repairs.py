"""Rows of a vault book that the contracts refuse: found before a run, and repaired or left out.

Every engine opens the repaired book, so that no figure holds a row that the contracts refuse.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from backstop.errors import BackstopError
from backstop.model.arithmetic import BASIS_POINTS, RAY, WAD, div_up
from backstop.model.bounds import MAX_PRICE
from backstop.model.vault_engine import MAX_LOCKED
from backstop.simulation.scenario.scenario_records import Scenario, Vault

REFUSE = "refuse"

TREATMENTS: Mapping[str, tuple[str, ...]] = {
    "duplicate": (REFUSE, "merge", "apart"),
    "no_collateral": (REFUSE, "drop", "liquidate"),
    "under_water": (REFUSE, "drop", "liquidate", "open"),
    "unsafe": (REFUSE, "drop", "liquidate", "open"),
    "between_ratios": (REFUSE, "drop", "open"),
    "under_floor": (REFUSE, "drop", "raise", "merge"),
}
"""Allowed treatments of each kind of row; the first is the default of a book."""

UNDER_WATER = "worth less than their debt"
"""Description of rows with too little collateral at the opening price."""

_WHAT = {
    "duplicate": "of an owner with another vault of the type",
    "no_collateral": "without collateral that any price would open",
    "under_water": UNDER_WATER,
    "unsafe": "under the liquidation ratio",
    "between_ratios": "between the liquidation ratio and the initial ratio",
    "under_floor": "under the debt floor",
}

_DONE = {
    "apart": "are vaults of their own",
    "drop": "are left out",
    "liquidate": "are liquidated before the start, at the first price",
    "open": "are opened as they are, before the start, at a price that the initial ratio allows",
    "raise": "are raised to the floor, collateral in proportion",
}

_SHOWN = 5
_MOST_DRAWN = 2**128 - 1


class BookRow(NamedTuple):
    """Vault of a book file, with the number of its row in the file."""

    number: int
    vault: Vault


@dataclass(frozen=True)
class VaultTerms:
    """Terms of a collateral type that decide whether the contracts accept a vault of a book."""

    price: int  # ray, at which the book is opened
    floor: int  # wad
    liquidation_ratio: int  # basis points
    initial_ratio: int  # basis points
    unit: int  # wad of the token's smallest amount
    guarded: bool = False  # its feed believes no fall from a higher opening price at once

    def get_refusal_kind(self, vault: Vault) -> str | None:
        """Return why the contracts would refuse a vault for lack of collateral; None if they accept it.

        The reasons are `no_collateral`, `under_water`, `unsafe` and `between_ratios`.
        """
        if vault.debt == 0:
            return None
        locked = vault.locked // self.unit * self.unit  # as the contracts round it
        worth, owed = locked * self.price * BASIS_POINTS, vault.debt * RAY
        if worth >= owed * self.initial_ratio:
            return None
        if not locked or self.compute_needed_price(vault) > MAX_PRICE:
            return "no_collateral"
        if worth >= owed * self.liquidation_ratio:
            return "between_ratios"
        return "unsafe" if worth >= owed * BASIS_POINTS else "under_water"

    def compute_needed_price(self, vault: Vault) -> int:
        """Return the lowest price at which the vault can be opened [ray], rounded up.

        The vault must have collateral.
        """
        locked = vault.locked // self.unit * self.unit
        return div_up(vault.debt * RAY * self.initial_ratio, locked * BASIS_POINTS)

    def compute_largest_debt(self, vault: Vault) -> int:
        """Return the largest debt that the vault's collateral allows at its opening [wad], rounded down."""
        locked = vault.locked // self.unit * self.unit
        return locked * self.price * BASIS_POINTS // (RAY * self.initial_ratio)

    def is_below_floor(self, vault: Vault) -> bool:
        """Return True if a vault has debt, and less than the debt floor."""
        return 0 < vault.debt < self.floor


@dataclass(frozen=True)
class RepairedRows:
    """Book rows of one kind that the contracts would refuse, with their treatment and total debt."""

    kind: str
    how: str
    rows: tuple[int, ...]
    debt: int  # wad
    left: int = 0  # merged: vaults that they became
    uncovered: int = 0  # liquidated: debt that their collateral did not repay, wad

    @property
    def subject(self) -> str:
        """Description of the kind of rows, for example `under the debt floor`."""
        return _WHAT[self.kind]

    @property
    def outcome(self) -> str:
        """Description of the treatment's result, for example `are left out`."""
        return _DONE.get(self.how) or f"are merged into {self.left:,}"


@dataclass(frozen=True)
class RepairedBook:
    """Vault book that the contracts accept: its vaults, opening prices, and the repairs made."""

    name: str
    vaults: tuple[Vault, ...]
    opened_at: Mapping[str, int]  # ray, of types that open at more than their first price
    rows: int
    debt: int  # wad, of all rows as they were
    touched: tuple[RepairedRows, ...] = field(default_factory=tuple)

    def describe_repairs(self) -> list[str]:
        """Return sentences that describe how many rows and how much debt the repairs affected."""
        owed = sum(vault.debt for vault in self.vaults)
        lines = [
            f"Of {self.name}, {self.rows:,} rows that owe {_format_coins(self.debt)} stablecoins, "
            f"{len(self.vaults):,} vaults are opened, which draw {_format_coins(owed)}."
        ]
        for each in self.touched:
            line = (
                f"{len(each.rows):,} {each.subject} "
                f"({_format_share_or_zero(each.debt, self.debt)} of the "
                f"debt) {each.outcome}"
            )
            if each.how == "liquidate":
                line += f"; {_format_coins(each.uncovered)} of it was bad debt already, and is in no figure"
            lines.append(f"Of its rows, {line}.")
        return lines


def build_vault_terms_by_type(scenario: Scenario, first_prices: Mapping[str, int]) -> dict[str, VaultTerms]:
    """Return the terms for opening vaults of each collateral type.

    The price is the scenario's opening price if it has one, else the feed's first price, else the one in
    `first_prices` [ray].
    """
    seen = {symbol: path.points[0] for symbol, path in scenario.feed_prices.items()}
    return {
        each.symbol: VaultTerms(
            price=scenario.opened_at.get(each.symbol, seen.get(each.symbol, first_prices[each.symbol])),
            floor=each.debt_floor * WAD,
            liquidation_ratio=each.liquidation_ratio,
            initial_ratio=each.initial_ratio,
            unit=10 ** (18 - each.decimals),
            guarded=each.feed.deviation != 0,
        )
        for each in scenario.parameters.collateral_types
    }


def repair_book(
    name: str, rows: Sequence[BookRow], treatments: Mapping[str, str], terms: Mapping[str, VaultTerms]
) -> RepairedBook:
    """Return the vault book with refused rows repaired as `treatments` says.

    Rows are treated by owner, then by collateral, then by debt floor. A merged or raised vault keeps at least
    the ratio of its worst part. Raises BackstopError that lists refused rows without a treatment, or if no
    row is left.
    """
    _refuse_huge_amounts(name, rows)
    fitting = _BookRepair(name, treatments, terms)
    left = fitting.repair_by_owner(rows)
    left = fitting.treat_undercollateralised_rows(left)
    left = fitting.treat_rows_below_floor(left)
    if fitting.refused:
        raise BackstopError(_describe_refused_rows(name, len(rows), fitting.refused, terms))
    if not left:
        raise BackstopError(f"{name}: none of its {len(rows):,} rows is left that can be opened")
    touched = tuple(each for each in fitting.touched if each.rows)
    debt = sum(row.vault.debt for row in rows)
    vaults = tuple(row.vault for row in left)
    return RepairedBook(name, vaults, fitting.opened_at, len(rows), debt, touched)


class _BookRepair:
    """Repair of one vault book: refused rows, treated rows, and raised opening prices."""

    def __init__(self, name: str, treatments: Mapping[str, str], terms: Mapping[str, VaultTerms]) -> None:
        self.name = name
        self.treatments = treatments
        self.terms = terms
        self.refused: dict[str, list[int]] = {}
        self.touched: list[RepairedRows] = []
        self.opened_at: dict[str, int] = {}

    def get_treatment(self, kind: str) -> str:
        return self.treatments.get(kind, REFUSE)

    def _record_rows(self, kind: str, rows: Sequence[BookRow], *, left: int = 0, uncovered: int = 0) -> None:
        numbers = tuple(row.number for row in rows)
        if self.get_treatment(kind) == REFUSE:
            if numbers:
                self.refused.setdefault(kind, []).extend(numbers)
            return
        debt = sum(row.vault.debt for row in rows)
        self.touched.append(RepairedRows(kind, self.get_treatment(kind), numbers, debt, left, uncovered))

    def repair_by_owner(self, rows: Sequence[BookRow]) -> list[BookRow]:
        """Merge rows with the same owner and type, or give each further vault its own account."""
        groups: dict[tuple[str, str], list[BookRow]] = {}
        for row in rows:
            groups.setdefault((_lowercase_owner_address(row.vault.owner), row.vault.symbol), []).append(row)
        if len(groups) == len(rows):
            return list(rows)
        how = self.get_treatment("duplicate")
        several = [group for group in groups.values() if len(group) > 1]
        if how == "merge":
            self._record_rows("duplicate", [row for group in several for row in group], left=len(several))
            return [_merge_rows_into_one(group, group[0].vault.owner) for group in groups.values()]
        self._record_rows("duplicate", [row for group in several for row in group[1:]])
        taken = {_lowercase_owner_address(row.vault.owner) for row in rows}
        apart = []
        for group in groups.values():
            apart += [group[0], *(_rename_owner(row, i, taken) for i, row in enumerate(group[1:], 2))]
        return apart

    def treat_undercollateralised_rows(self, rows: Sequence[BookRow]) -> list[BookRow]:
        """Treat rows with too little collateral for their debt, and return the rows that are left."""
        found: dict[str, list[BookRow]] = {kind: [] for kind in TREATMENTS}
        left = []
        for row in rows:
            kind = self.terms[row.vault.symbol].get_refusal_kind(row.vault)
            if kind is not None:
                found[kind].append(row)
            if kind is None or self.get_treatment(kind) == "open":
                left.append(row)
        for kind in ("no_collateral", "under_water", "unsafe", "between_ratios"):
            self._record_rows(
                kind, found[kind], uncovered=sum(map(self._compute_uncovered_debt, found[kind]))
            )
            if self.get_treatment(kind) == "open":
                for row in found[kind]:
                    self._raise_opening_price(row)
        return left

    def _raise_opening_price(self, row: BookRow) -> None:
        """Raise the type's opening price until the contracts accept this row.

        Raises BackstopError if the feed would not accept the later fall to the first price.
        """
        symbol, terms = row.vault.symbol, self.terms[row.vault.symbol]
        if terms.guarded:
            raise BackstopError(
                f"{self.name}: row {row.number} cannot be opened at a higher price: the feed of {symbol} has "
                "a deviation, and would not believe the fall to its first price"
            )
        self.opened_at[symbol] = max(self.opened_at.get(symbol, 0), terms.compute_needed_price(row.vault))

    def _compute_uncovered_debt(self, row: BookRow) -> int:
        """Return the debt that a sale at the opening price would not repay [wad], rounded up."""
        worth = row.vault.locked * self.terms[row.vault.symbol].price // RAY
        return max(0, row.vault.debt - worth)

    def treat_rows_below_floor(self, rows: Sequence[BookRow]) -> list[BookRow]:
        """Drop, raise or merge the rows with less debt than the type's floor, and return all rows left."""
        short = [row for row in rows if self.terms[row.vault.symbol].is_below_floor(row.vault)]
        if not short:
            return list(rows)
        how, numbers = self.get_treatment("under_floor"), {row.number for row in short}
        left = [row for row in rows if row.number not in numbers]
        if how == "merge":
            merged, lost = self._merge_to_floor(short)
            kept = [row for row in short if row.number not in {each.number for each in lost}]
            self._record_rows("under_floor", kept, left=len(merged))
            if lost:  # the whole type is one crumb
                debt = sum(row.vault.debt for row in lost)
                self.touched.append(RepairedRows("under_floor", "drop", tuple(r.number for r in lost), debt))
            return left + merged
        self._record_rows("under_floor", short)
        return left + [self._raise_to_floor(row) for row in short] if how == "raise" else left

    def _raise_to_floor(self, row: BookRow) -> BookRow:
        """Raise a row's debt to the debt floor, and its collateral in proportion, rounded up."""
        vault, terms = row.vault, self.terms[row.vault.symbol]
        locked = div_up(vault.locked * terms.floor, vault.debt * terms.unit) * terms.unit
        return BookRow(row.number, replace(vault, debt=terms.floor, locked=locked))

    def _merge_to_floor(self, rows: Sequence[BookRow]) -> tuple[list[BookRow], list[BookRow]]:
        """Merge rows with similar ratios until each reaches the debt floor.

        Returns the merged rows, and the rows of types with a total debt below the floor.
        """
        merged, lost = [], []
        for symbol in dict.fromkeys(row.vault.symbol for row in rows):
            floor = self.terms[symbol].floor
            same = [row for row in rows if row.vault.symbol == symbol]
            same.sort(key=lambda row: (row.vault.locked * WAD * WAD // row.vault.debt, row.number))
            groups: list[list[BookRow]] = [[]]
            for row in same:
                groups[-1].append(row)
                if sum(each.vault.debt for each in groups[-1]) >= floor:
                    groups.append([])
            rest = groups.pop()
            if groups:
                groups[-1] += rest
                merged += [_merge_rows_into_one(group, group[0].vault.owner) for group in groups]
            else:
                lost += rest
        return merged, lost


def check_vaults(scenario: Scenario, vaults: Sequence[Vault], prices: Mapping[str, int]) -> None:
    """Check that the contracts would open these vaults at the first prices [ray].

    Raises BackstopError for too little collateral, too little debt, or an exceeded debt ceiling. A stricter
    risk policy is checked only when the exact engine opens the book.
    """
    terms = build_vault_terms_by_type(scenario, prices)
    drawn = dict.fromkeys(terms, 0)
    wrong = []
    for vault in vaults:
        term = terms[vault.symbol]
        drawn[vault.symbol] += vault.debt
        kind = term.get_refusal_kind(vault) or ("under_floor" if term.is_below_floor(vault) else None)
        if kind is not None:
            wrong.append((vault, kind))
    if wrong:
        vault, kind = wrong[0]
        raise BackstopError(
            f"the scenario does not fit: {len(wrong):,} of its {len(vaults):,} vaults cannot be opened, the "
            f"first is that of {vault.owner}, "
            f"{_describe_row_shortcoming(kind, terms[vault.symbol], vault.symbol)}"
        )
    for each in scenario.parameters.collateral_types:
        if drawn[each.symbol] > each.debt_ceiling * WAD:
            raise BackstopError(
                f"the scenario does not fit: its {each.symbol} vaults draw "
                f"{_format_coins(drawn[each.symbol])} "
                f"stablecoins, their ceiling is {each.debt_ceiling:,}"
            )
    total, highest = sum(drawn.values()), scenario.parameters.global_debt_ceiling
    if total > highest * WAD:
        raise BackstopError(
            f"the scenario does not fit: its vaults draw {_format_coins(total)} stablecoins, "
            f"the ceiling is {highest:,}"
        )


def _refuse_huge_amounts(name: str, rows: Iterable[BookRow]) -> None:
    for number, vault in rows:
        if vault.locked > MAX_LOCKED or vault.debt > _MOST_DRAWN:
            raise BackstopError(f"{name}: row {number}: is more than a vault holds: check the decimals")


def _describe_refused_rows(
    book_name: str, row_count: int, refused_rows: Mapping[str, Sequence[int]], terms: Mapping[str, VaultTerms]
) -> str:
    """Return an error message that lists refused rows by kind and names possible treatments."""
    kinds = [
        f"{len(numbers):,} {_WHAT[kind]} ({_format_row_numbers(sorted(numbers))})"
        for kind, numbers in refused_rows.items()
    ]
    total = len({number for numbers in refused_rows.values() for number in numbers})
    example = ", ".join(f"{kind}: {'|'.join(TREATMENTS[kind][1:])}" for kind in refused_rows)
    return (
        f"{book_name}: {total:,} of {row_count:,} rows cannot be opened: {'; '.join(kinds)}: "
        f"say under `vault_book` what becomes of them, `rows: {{{example}}}`"
    )


def _describe_row_shortcoming(refusal_kind: str, terms: VaultTerms, symbol: str) -> str:
    if refusal_kind == "under_floor":
        return f"which owes less than the debt floor of {symbol}, {_format_coins(terms.floor)}"
    return f"which has less {symbol} than the initial ratio of {terms.initial_ratio / 100:g}% asks for"


def _format_row_numbers(numbers: Sequence[int]) -> str:
    listed = ", ".join(str(number) for number in numbers[:_SHOWN])
    more = f" and {len(numbers) - _SHOWN:,} more" if len(numbers) > _SHOWN else ""
    return f"row{'s' if len(numbers) > 1 else ''} {listed}{more}"


def _lowercase_owner_address(owner: str) -> str:
    """Return an owner's address in lower case, since its case has no meaning; other names unchanged."""
    return owner.lower() if owner.startswith("0x") and len(owner) == 42 else owner


def _merge_rows_into_one(rows: Sequence[BookRow], owner: str) -> BookRow:
    """Return one row with the total collateral and debt of rows of one type."""
    locked, debt = sum(row.vault.locked for row in rows), sum(row.vault.debt for row in rows)
    return BookRow(rows[0].number, Vault(owner, rows[0].vault.symbol, locked, debt))


def _rename_owner(row: BookRow, number: int, taken: set[str]) -> BookRow:
    """Return the row with a new owner account, named after its owner and not in `taken`."""
    while (owner := f"{row.vault.owner}/{number}") in taken:
        number += 1
    taken.add(owner)
    return BookRow(row.number, replace(row.vault, owner=owner))


def _format_coins(wad: int) -> str:
    """Format an amount [wad] in whole stablecoins, rounded half up."""
    return f"{(wad + WAD // 2) // WAD:,}"


def _format_share_or_zero(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f}%" if whole else "0%"
