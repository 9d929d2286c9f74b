"""A pool with claims in a minimal environment: losses are set by the test, and payments vanish."""

from __future__ import annotations

from typing import NamedTuple

from backstop.contract_base import ZERO_ADDRESS, Contract, World
from backstop.model.pool import Pool
from backstop.model.recovery_claims import RecoveryClaims
from backstop.model.scripted_waterfall import ScriptedWaterfall
from backstop.model.token import Token


class NoOpLedger(Contract):
    """Stands in for the vault engine: a stage's payment vanishes."""

    KIND = "Ledger"

    def cover_from_tokens(self, sender: str, collateral_type: int, payer: str, amount: int) -> int:
        return amount

    def give_to_reserve(self, sender: str, amount: int) -> None:
        pass

    def in_settlement(self, sender: str) -> bool:
        return False


class LonePool(NamedTuple):
    """The contracts."""

    world: World
    token: Token
    waterfall: ScriptedWaterfall
    pool: Pool
    claims: RecoveryClaims


def lone_pool(cooldown: int, vesting: int, clawback: str = ZERO_ADDRESS) -> LonePool:
    """Make one; `clawback` may take income that has not vested."""
    world = World(1_700_000_000, 1)
    token, ledger, waterfall, pool, claims = (f"0x{i:040x}" for i in range(200, 205))
    coin = Token(world, "Token", token, "Token", "TOK", 18)
    NoOpLedger(world, "Ledger", ledger)
    told = ScriptedWaterfall(world, "Waterfall", waterfall)
    wiring = token, ledger, waterfall, clawback, claims
    made = Pool(world, "Pool", pool, "Pool", "POOL", *wiring, cooldown, vesting)
    nobody = ZERO_ADDRESS, ZERO_ADDRESS
    owed = RecoveryClaims(world, "Claims", claims, "Claims", "CLAIM", token, pool, *nobody, 0)
    return LonePool(world, coin, told, made, owed)
