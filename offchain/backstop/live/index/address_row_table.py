"""Addresses and their rows: a hash table over one string of bytes, a sixth of a dict's memory."""

from __future__ import annotations

from array import array

from backstop.errors import BackstopError
from backstop.live.index.sorted_vault_set import ROW_BITS

LENGTH = 20


class OwnerRows:
    """Hash table from 20-byte addresses to row numbers, which are given in order of arrival from 0.

    A row is never removed.
    """

    __slots__ = ("_places", "addresses")

    def __init__(self, addresses: bytes = b"") -> None:
        self.addresses = bytearray(addresses)
        # Row + 1 by the address's hash, 0 where nobody is; never more than two thirds full.
        self._places = array("I")
        self._grow_table()

    def __len__(self) -> int:
        return len(self.addresses) // LENGTH

    def get_address(self, row: int) -> bytes:
        """Return the 20-byte address of a row."""
        return bytes(self.addresses[row * LENGTH : (row + 1) * LENGTH])

    def find_row(self, address: bytes) -> int | None:
        """Return the row of an address; None if the address has none."""
        found = self._places[self._find_hash_table_slot(address)]
        return found - 1 if found else None

    def get_or_add_row(self, address: bytes) -> int:
        """Return the row of an address; add a row if the address has none.

        Raise BackstopError if the table is full.
        """
        place = self._find_hash_table_slot(address)
        if found := self._places[place]:
            return found - 1
        row = len(self)
        if row >> ROW_BITS:
            raise BackstopError(f"a type has more vaults than the index can hold, {1 << ROW_BITS}")
        self.addresses += address
        self._places[place] = row + 1
        if 3 * row > 2 * len(self._places):
            self._grow_table()
        return row

    def _find_hash_table_slot(self, address: bytes) -> int:
        # Python's hash of bytes is keyed: nobody can choose addresses that fall together.
        places, addresses, mask = self._places, self.addresses, len(self._places) - 1
        place = hash(address) & mask
        while row := places[place]:
            if addresses[(row - 1) * LENGTH : row * LENGTH] == address:
                break
            place = place + 1 & mask
        return place

    def _grow_table(self) -> None:
        """Rebuild the hash table with more places, after the number of rows has grown."""
        mask = (1 << (3 * len(self) + 64).bit_length()) - 1
        places = self._places = array("I", bytes(4 * (mask + 1)))
        addresses = bytes(self.addresses)
        for row in range(len(self)):
            place = hash(addresses[row * LENGTH : (row + 1) * LENGTH]) & mask
            while places[place]:
                place = place + 1 & mask
            places[place] = row + 1
