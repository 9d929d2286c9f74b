"""Rows by address."""

from __future__ import annotations

from hashlib import sha256

from backstop.live.index.address_row_table import OwnerRows


def address(number: int) -> bytes:
    return sha256(str(number).encode()).digest()[:20]


def test_every_address_keeps_its_row() -> None:
    owners = OwnerRows()
    for number in range(5_000):
        assert owners.get_or_add_row(address(number)) == number
    for number in (0, 17, 4_999):
        assert owners.get_or_add_row(address(number)) == owners.find_row(address(number)) == number
        assert owners.get_address(number) == address(number)
    assert owners.find_row(address(5_000)) is None
    assert len(owners) == 5_000

    again = OwnerRows(bytes(owners.addresses))
    assert [again.find_row(address(number)) for number in range(5_001)] == [*range(5_000), None]
    assert again.get_or_add_row(address(5_000)) == 5_000
