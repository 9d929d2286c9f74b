"""Calls that must succeed, whatever else happens: each says of a town why one does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from backstop.model.arithmetic import BASIS_POINTS, RAD, RAY, WAD
from backstop.studies.hunt.honest import Town
from backstop.studies.hunt.setting import BANK, HOUR, KEEPER, TWINS

DAY = 24 * HOUR
STEP = 6 * HOUR
"""Between two looks of honest people over days [seconds]."""
ONE, OTHER = TWINS


class Refusal(NamedTuple):
    """A call that does not succeed: whose, why, and what is at stake [wad]."""

    call: str
    who: str
    reason: str
    stake: int


class Outside(NamedTuple):
    """What honest people go on with: prices, and which reporters and types are silent for good."""

    prices: tuple[int, ...]
    absent: frozenset[str]
    dead: frozenset[int]


Check = Callable[[Town, Outside], Iterator[Refusal]]


def go_on(town: Town, outside: Outside, seconds: int, step: int = 1_800) -> None:
    """Let time pass with everybody honest awake, at prices that stay."""
    silent = tuple(c in outside.dead for c in town.markets)
    for _ in range(seconds // step):
        town.advance(step)
        town.report(outside.prices, silent, outside.absent)
        _tend_more(town)
        town.tend(KEEPER, outside.prices)


def _tend_more(town: Town) -> None:
    """Do what keepers of the breaker do."""
    contracts = town.system.world.contracts
    if "CircuitBreaker" in contracts:
        for trigger in (1, 2, 3, 4):
            for c in town.types:
                town.do(KEEPER, "CircuitBreaker", "escalate", trigger, c)
        town.do(KEEPER, "CircuitBreaker", "calm")


def liquidating(town: Town, outside: Outside) -> Iterator[Refusal]:
    """Look for vaults worth less than they owe that are there four hours after the market said so."""
    go_on(town, outside, 4 * HOUR)

    for (c, owner), vault in sorted(town.engine.vaults.items()):
        debt = town.debt(c, vault)
        worth = vault.locked_collateral * outside.prices[c]
        if debt > worth and vault.locked_collateral and c not in outside.dead:
            done = town.foresee(KEEPER, "LiquidationEngine", "liquidate", c, owner, KEEPER)
            # A limit leaves no room while other lots are on sale.
            if not done.ok and done.reason not in ROOM:
                yield Refusal("liquidate", "keeper", done.reason or "", debt // RAY)


ROOM = ("liquidation_engine: no room", "liquidation_engine: part too low")


def leaving(town: Town, outside: Outside) -> Iterator[Refusal]:
    """Look for a member whose time has come and who cannot leave, though no loss may take all of the pool."""
    doubt = 0
    for (c, _), vault in town.engine.vaults.items():
        debt, ratio = town.debt(c, vault), town.engine.terms[c].liquidation_ratio
        if debt * ratio > vault.locked_collateral * outside.prices[c] * BASIS_POINTS:
            doubt += debt
    doubt += sum(town.engine.deficit[c] + town.engine.in_auction_of("", c) for c in town.types)
    for name, pool in town.pools.items():
        held = pool._all_vested()
        for id in pool.unsettled_batches():
            if town.now < pool.matures_at(id) or not pool.requests[id, ONE].shares or held * RAY <= doubt:
                continue
            with town.imagine():
                town.settle(KEEPER)
                done = town.foresee(ONE, name, "redeem", pool.maxRedeem("", ONE), ONE, ONE)
                stuck = not pool.batch_of(ONE, id).paid
            if not done.ok or stuck:
                yield Refusal("leave a pool", "a member", done.reason or "it is nothing", held)


def repaying(town: Town, outside: Outside) -> Iterator[Refusal]:
    """Have an owner repay half of what was owed in the beginning, down to the floor, or everything."""
    for c in town.types:
        floor, vault = town.setting.parameters.collateral_types[c].debt_floor, town.engine.vaults[c, OTHER]
        owed = town.debt(c, vault)
        if owed and not town.setting.parameters.collateral_types[c].stability_fee:
            for amount in (floor * WAD, 2**128):
                args = c, OTHER, amount, 0, OTHER
                done = town.foresee(OTHER, "VaultEngine", "repay_and_withdraw", *args)
                if not done.ok and amount:
                    yield Refusal("repay", "an owner", done.reason or "", owed // RAY)


def covering(town: Town, outside: Outside) -> Iterator[Refusal]:
    """Look for losses that nobody pays in two weeks beside pools that could."""
    paying = {each.name for each in town.setting.parameters.stages}
    pools = [pool for name, pool in town.pools.items() if name.lower() in paying]
    go_on(town, outside, 14 * DAY, STEP)
    before = [town.engine.deficit[c] for c in town.types]
    held = max((pool._vested() for pool in pools), default=0)
    go_on(town, outside, 14 * DAY, STEP)
    # A pool has one cap for all types: one may wait for another.
    paid = any(town.engine.deficit[c] < before[c] for c in town.types)
    for c in town.types:
        if before[c] > RAD and town.engine.deficit[c] >= before[c] and held > 100 * WAD:
            done = town.foresee(KEEPER, "LossWaterfall", "cover", c)
            if done.ok and paid:
                continue
            reason = done.reason if not done.ok else "it pays nothing"
            yield Refusal("cover a loss", "anybody", reason or "", before[c] // RAY)


def settling(town: Town, outside: Outside) -> Iterator[Refusal]:
    """Look for a settlement that does not end within four days."""
    if not town.settlement.progress[()].announced_for:
        town.do(town.setting.deployment.get_account("admin"), "Settlement", "announce")
    go_on(town, outside, 4 * DAY, HOUR)
    if not town.settlement.progress[()].fixed_at:
        done = town.foresee(KEEPER, "Settlement", "fix")
        yield Refusal("end settlement", "anybody", done.reason or "", town.engine.system[()].reserve // RAY)


def drawing(town: Town, outside: Outside) -> Iterator[Refusal]:
    """Have somebody borrow a fifth of the collateral, of a type with a price, a month later."""
    go_on(town, outside, 30 * DAY, STEP)
    go_on(town, outside, DAY)
    if not town.quiet:
        return  # a loss that nobody can pay is a reason
    for c in town.types:
        symbol, unit = town.setting.parameters.collateral_types[c].symbol, town.engine.terms[c].unit
        debt = 10_000 * WAD
        deposit = -(-debt * RAY * 5 // outside.prices[c] // unit) * unit
        if c in outside.dead or deposit > 10**6 * WAD:
            continue
        town.do(BANK, symbol, "transfer", ONE, deposit // unit)
        town.do(ONE, symbol, "approve", town.engine.address, 2**256 - 1)
        args = c, ONE, deposit, debt, ONE
        done = town.foresee(ONE, "VaultEngine", "deposit_and_draw", *args)
        if not done.ok:
            yield Refusal("borrow", "an owner", done.reason or "", debt)


CHECKS: dict[str, Check] = {
    "liquidate": liquidating,
    "leave a pool": leaving,
    "repay": repaying,
    "cover a loss": covering,
    "end settlement": settling,
    "borrow": drawing,
}
"""What must succeed, by name."""
