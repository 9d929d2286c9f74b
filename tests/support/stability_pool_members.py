"""Balances of members of a stability pool, and their worth."""

from __future__ import annotations

from typing import Any

from backstop.model.arithmetic import RAY
from tests.support.stability_pool_steps import POOL, WETH


def read_member(protocol: Any, member: str, pool: str = POOL) -> Any:
    """Return a member's balance as of the last call."""
    return protocol.read(f"{pool}.member_of", member)


def compute_worth(protocol: Any, member: str, price: int, pool: str = POOL) -> int:
    """Return the worth of a member's coins and gains at a price in ray [wad], rounded down."""
    has = read_member(protocol, member, pool)
    return int(has.coins + has.entry + has.income + has.collateral * price // RAY)


def flag_vault(protocol: Any, owner: str = "borrower") -> None:
    """Check an ether vault: it is flagged if it is unsafe at a known price."""
    protocol.do("LiquidationEngine.flag", WETH, owner, sender="stranger")


def request_and_wait(protocol: Any, member: str, amount: int, pool: str = POOL) -> None:
    """Ask for coins back and wait for the cooldown's end [wad]."""
    protocol.do(f"{pool}.request_withdrawal", amount, sender=member)
    protocol.advance(protocol.read(f"{pool}.COOLDOWN"))
