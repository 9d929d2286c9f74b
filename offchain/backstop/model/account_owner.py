"""Whose an account in the perpetual markets is; see contracts/modules/account_owner.vy."""

from __future__ import annotations

from backstop.model.contract_base import World


def is_account_owner(world: World, account: str, who: str) -> bool:
    """Tell whether an account is somebody's: its own, or one of the same 19 bytes that has no code."""
    return account == who or (is_same_address(account, who) and account not in world.addresses)


def is_same_address(one: str, other: str) -> bool:
    """Tell whether two accounts differ in the last byte at most."""
    return one[:-2] == other[:-2]


def derive_account(address: str, number: int) -> str:
    """Return one of the 256 accounts of an address; 0 is the address itself."""
    return f"{address[:-2]}{int(address[-2:], 16) ^ number:02x}"
