"""The vaults of one collateral type, in an order that fees, prices and parameters leave as it is.

A vault of collateral L and normalized debt n is under a ratio, at price P and rate r, if

    L*P*10**4  <  f(n*r)        with f(d) = d*ratio + A(d), the policy's add-on A convex, f(0) = 0.

By convexity f(d)/d never falls as d grows. The vaults are kept in bands of normalized debt, each a narrow
range that ends at some N, and in each band by L/n. So for every vault under the ratio, for any P, r,
ratio and brackets,

    L/n  <  f(n*r)/(n*P*10**4)  <=  f(N*r)/(N*P*10**4)

and its grade is at most that of the last fraction, which is known before any vault is looked at. A
vault with such a grade is a candidate, and the first line decides about it, in integers. No unsafe vault is
missed. Without brackets f(d)/d is the same for all, and candidates that turn out safe are as close as 2**-31;
with brackets as close as f moves within a band. A vault's place depends on L and n only: it moves when the
vault is touched, and a change of price, rate, ratio or brackets costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from backstop.keepers.view_records import Vault
from backstop.live.index.address_row_table import OwnerRows
from backstop.live.index.liquidation_pricing_inputs import PricingConditions
from backstop.live.index.sorted_vault_set import ROW_BITS, SortedVaultSet, compute_sortable_fraction
from backstop.model.arithmetic import BASIS_POINTS

WORD = 32
_FIELD = (1 << 104) - 1
# A band is an eighth of its debt wide at most.
_BAND_DIGITS = 4


class VaultRecord(NamedTuple):
    """Vault as in its storage slot: locked collateral, normalized debt, and the time of its margin call.

    The slot's flag for a liquidated vault is left out.
    """

    locked: int = 0  # wad
    normalized_debt: int = 0  # wad
    called_at: int = 0  # seconds

    @staticmethod
    def from_word(word: bytes | bytearray) -> VaultRecord:
        """Return the vault stored in a word of 32 bytes, lowest byte first."""
        whole = int.from_bytes(word, "little")
        return VaultRecord(whole & _FIELD, whole >> 104 & _FIELD, whole >> 208)

    def to_word_bytes(self) -> bytes:
        """Return the vault as a word of 32 bytes, lowest byte first."""
        return (self.locked | self.normalized_debt << 104 | self.called_at << 208).to_bytes(WORD, "little")


EMPTY = VaultRecord()


class TypeVaults:
    """Vaults of one collateral type by row, sorted by collateral per debt once a query needs it."""

    __slots__ = ("_bands", "called", "normalized_debt", "owners", "touched", "words")

    def __init__(self, addresses: bytes = b"", words: bytes = b"") -> None:
        """Load saved rows: owner addresses of 20 bytes, and as many vault words of 32 bytes, end to end."""
        self.owners = OwnerRows(addresses)
        self.words = bytearray(words)
        # Which rows have changed since they were saved.
        self.touched = bytearray(len(self.owners))
        self.normalized_debt = 0
        # Rows with a call.
        self.called: set[int] = set()
        # Sorting at once costs less than a million insertions: nothing is in order until it has to be.
        self._bands: dict[int, SortedVaultSet] | None = None
        if words:
            self._build_debt_bands()

    def __len__(self) -> int:
        return len(self.owners)

    def get_or_add_row(self, owner: bytes) -> int:
        """Return the row of an owner's vault; add an empty vault if the owner has none."""
        row = self.owners.get_or_add_row(owner)
        if row == len(self.touched):
            self.words += bytes(WORD)
            self.touched.append(0)
        return row

    def get_record(self, row: int) -> VaultRecord:
        """Return the vault in a row."""
        return VaultRecord.from_word(self.words[row * WORD : (row + 1) * WORD])

    def put_record(self, row: int, new: VaultRecord) -> None:
        """Replace the vault in a row, and update the sorted order, the total debt and the called rows."""
        old = self.get_record(row)
        self.words[row * WORD : (row + 1) * WORD] = new.to_word_bytes()
        self.touched[row] = 1
        self.normalized_debt += new.normalized_debt - old.normalized_debt
        if new.called_at:
            self.called.add(row)
        else:
            self.called.discard(row)
        if self._bands is not None and old[:2] != new[:2]:
            if old.normalized_debt:
                band = _compute_band_end(old.normalized_debt)
                self._bands[band].remove_entry(_pack_grade_and_row(row, old))
            if new.normalized_debt:
                band = _compute_band_end(new.normalized_debt)
                self._bands.setdefault(band, SortedVaultSet()).add_entry(_pack_grade_and_row(row, new))

    def get_vault(self, row: int, rate: int) -> Vault:
        """Return the vault in a row as keepers see it, with its debt at the accumulated rate [ray]."""
        locked, art, called_at = self.get_record(row)
        return Vault("0x" + self.owners.get_address(row).hex(), locked, art, art * rate, called_at)

    def find_vaults_below_ratio(self, at: PricingConditions, ratio: int) -> Iterator[int]:
        """Yield the rows of all vaults below a collateral ratio [basis points]; none without a price."""
        if at.price == 0 or ratio == 0:
            return
        worth = at.price * BASIS_POINTS
        for most, order in (self._bands or self._build_debt_bands()).items():
            highest = compute_sortable_fraction(
                at.compute_required_worth(most * at.rate, ratio), most * worth
            )
            for row in order.iter_lowest_rows(highest):
                if self.is_below_ratio(row, at, ratio):
                    yield row

    def is_below_ratio(self, row: int, at: PricingConditions, ratio: int) -> bool:
        """Return whether a vault is below a collateral ratio [basis points], exactly as the contract decides.

        False without a price.
        """
        locked, art, _ = self.get_record(row)
        judged = at.price != 0 and ratio != 0
        return judged and locked * at.price * BASIS_POINTS < at.compute_required_worth(art * at.rate, ratio)

    def _build_debt_bands(self) -> dict[int, SortedVaultSet]:
        """Build the sorted order, the total debt and the called rows from all vaults.

        The order has a sorted set for each band of normalized debt.
        """
        entries: dict[int, list[int]] = {}
        self.normalized_debt, self.called = 0, set()
        for row in range(len(self.owners)):
            record = self.get_record(row)
            if record.normalized_debt:
                self.normalized_debt += record.normalized_debt
                entries.setdefault(_compute_band_end(record.normalized_debt), []).append(
                    _pack_grade_and_row(row, record)
                )
            if record.called_at:
                self.called.add(row)
        # Taken out one by one: a list of integers is several times as large as its order.
        self._bands = {most: SortedVaultSet(entries.pop(most)) for most in sorted(entries)}
        return self._bands


def _pack_grade_and_row(row: int, vault_record: VaultRecord) -> int:
    return compute_sortable_fraction(vault_record.locked, vault_record.normalized_debt) << ROW_BITS | row


def _compute_band_end(normalized_debt: int) -> int:
    """Return the end of the debt's band: its leading four binary digits, followed by ones."""
    shift = max(0, normalized_debt.bit_length() - _BAND_DIGITS)
    return ((normalized_debt >> shift) + 1 << shift) - 1
