"""Rows by address."""

from __future__ import annotations

from hashlib import sha256

from backstop.live.index.owners import Owners


def address(number: int) -> bytes:
    return sha256(str(number).encode()).digest()[:20]


def test_every_address_keeps_its_row() -> None:
    owners = Owners()
    for number in range(5_000):
        assert owners.row(address(number)) == number
    for number in (0, 17, 4_999):
        assert owners.row(address(number)) == owners.find(address(number)) == number
        assert owners.address(number) == address(number)
    assert owners.find(address(5_000)) is None
    assert len(owners) == 5_000

    again = Owners(bytes(owners.addresses))
    assert [again.find(address(number)) for number in range(5_001)] == [*range(5_000), None]
    assert again.row(address(5_000)) == 5_000
