"""Calls that only another contract, or a stage, may make."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from backstop.deployment.contract_names import STAGES
from backstop.model.arithmetic import RAD, RAY, WAD
from backstop.model.roles import STAGE
from backstop.proof.fuzz.moves import move
from backstop.proof.fuzz.scene import Scene, Wait
from backstop.system import Action


@move(weight=0.9)
def call_the_inside(s: Scene) -> Iterator[Action | Wait]:
    """Pretend to be a contract of the protocol."""
    c, who, amount = s.type(), s.somebody(), s.some((0, 1, WAD, RAD))
    pool = s.some((*s.savers, "OddPool"))
    stages = [STAGES[stage.name].contract for stage in s.deployment.parameters.stages]
    stages = [pool, *(stage for stage in stages if stage != "ScriptedStage")]
    contract, method, args = s.some(
        (
            ("Stablecoin", "mint", (who, amount)),
            ("Stablecoin", "burn", (who, amount)),
            ("Stablecoin", "burn_allowed", (who, s.somebody(), amount)),
            ("VaultEngine", "set_called", (c, who)),
            *_of_the_policy(s, c, amount),
            ("VaultEngine", "seize", (c, who, amount, amount, who, amount)),
            ("VaultEngine", "release", (c, amount, who)),
            ("VaultEngine", "settle_take", (c, who, amount, amount, amount, who, amount)),
            ("VaultEngine", "write_off", (c, who, amount, amount)),
            ("VaultEngine", "reward", (c, who, amount)),
            ("CollateralAuction", "write_off", (c, amount)),
            ("LiquidationEngine", "write_down", (c, amount)),
            ("PriceFeed", "set_price", (c, amount)),
            ("CollateralAuction", "start", (c, who, amount, amount, RAY)),
            ("CollateralAuction", "set_minimum", (c, 1)),
            ("CollateralAuction", "reserve_id", ()),
            ("CollateralAuction", "settle_payment", (c, who, amount, amount, amount, who, amount)),
            ("CollateralAuction", "foreclose", (1, c, who, amount, amount, RAY, who)),
            ("CollateralAuction", "unwind_workout", (c, who, amount, amount)),
            ("LiquidationEngine", "hand_over", (c, who, amount, amount)),
            ("LossWaterfall", "recognise", (c, amount)),
            ("LossWaterfall", "wind_up", ()),
            ("LossWaterfall", "close_books", ()),
            ("VaultEngine", "begin_settlement", ()),
            ("VaultEngine", "unwind", (c, who, amount, amount)),
            ("VaultEngine", "skim", (c, who, amount, amount)),
            ("VaultEngine", "net", ()),
            ("VaultEngine", "redeem", (who, amount)),
            ("VaultEngine", "pay_out", (c, amount, who)),
            ("VaultEngine", "take_salvage", (c, amount)),
            ("LossWaterfall", "book_payment", (c, who, amount)),
            ("VaultEngine", "cover_from_buyer", (c, who, who, amount)),
            ("LossWaterfall", "release", (c,)),
            ("VaultEngine", "cover_by_redistribution", (c, amount)),
            ("VaultEngine", "spend_reserve", (amount, who)),
            (s.some(stages), "absorb", (c, amount)),
            (s.some(stages), "absorb", (c, amount)),
            (s.some(stages), "absorb", (c, amount)),
            (pool, "claw_back", (c, amount)),
            *_of_equity(s, who, amount),
        )
    )
    yield s.call(contract, method, *args, by=s.some((who, who, s.admin)))


def _of_the_policy(s: Scene, c: int, amount: int) -> tuple[tuple[str, str, tuple[Any, ...]], ...]:
    if s.policy is None:
        return ()
    return (
        ("RiskPolicy", "check_new_risk", ((c, amount, 0, 10_000, amount, 0, 0, 0, 0),)),
        ("RiskPolicy", "reprice", (c, amount, amount)),
        ("RiskPolicy", "set_mode", (s.random.randrange(4),)),
    )


def _of_equity(s: Scene, who: str, amount: int) -> tuple[tuple[str, str, tuple[Any, ...]], ...]:
    if not s.has_equity:
        return ()
    claims = s.some(s.claims)
    return (
        (claims, "record", (0, 10**6 + 1, amount)),
        (claims, "issue", (who, amount, 0, 0, 0, 1)),
        ("Equity", "mint", (who, amount)),
        ("Equity", "book", (amount,)),
        ("Equity", "unbook", (amount,)),
        ("Equity", "mint_booked", (who, amount, 0)),
        ("Treasury", "sell", (amount, who)),
        *((pool, "slash", (amount, who)) for pool in s.pools if pool not in s.savers),
        *((pool, "restore", (amount,)) for pool in s.pools if pool not in s.savers),
    )


@move(weight=1)
def cover_as_a_stage(s: Scene) -> Iterator[Action | Wait]:
    """Pay from the ledger's own accounts, as holder of a stage's role: what is there, and a wei more."""
    holders = [who for who in s.people if s.engine.roles[STAGE, who]]
    c = s.some([c for c in range(s.listed) if s.engine.deficit[c]] or [s.type()])
    deficit = int(s.engine.deficit[c])
    if s.settlement.progress[()].fixed_at:
        return  # nor may one bring anything into closed books
    if s.waterfall._reserved(c):
        return  # a stage that covers what another has reserved breaks the books by design
    if not holders:
        if not deficit and s.chance(0.7):
            return
        holders = [s.somebody()]
        yield s.call("VaultEngine", "grant_role", STAGE, holders[0], by=s.admin)
    who = holders[0]
    kind = s.random.randrange(4)
    if kind == 3:
        room = s.engine.redistribution_room("", c)
        amount = s.near(min(room, deficit), room, deficit)
        yield s.call("VaultEngine", "cover_by_redistribution", c, amount, by=who)
    elif kind == 0:
        held = int(s.engine.income[c].buffer)
        yield s.call("VaultEngine", "cover_from_buffer", c, s.near(min(held, deficit), held, deficit), by=who)
    elif kind == 1:
        held = int(s.engine.system[()].reserve)
        yield s.call(
            "VaultEngine", "cover_from_reserve", c, s.near(min(held, deficit), held, deficit), by=who
        )
    else:
        held = int(s.stablecoin.balances[who])
        amount = min(held * RAY, deficit + 1)
        payer = s.some((who, who, s.somebody()))
        yield s.call("VaultEngine", "cover_from_tokens", c, payer, s.near(amount), by=who)
    if s.chance(0.6):
        yield s.call("VaultEngine", "revoke_role", STAGE, who, by=s.admin)
