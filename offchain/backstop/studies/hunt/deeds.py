"""What people do at a moment, whatever the state is then; and courses of the world to do it in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import NamedTuple

from backstop.deployment.role_accounts import get_account
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, WAD, div_up
from backstop.studies.hunt.honest import Town
from backstop.studies.hunt.script import TICKS, Intent, Script
from backstop.studies.hunt.setting import BANK, TWINS, Setting, locked

STRANGER = get_account("attacker")
ONE, OTHER = TWINS
STAKE = 10_000 * WAD
YEAR = 365 * 86_400


class Deed(NamedTuple):
    """What somebody does at a moment; what exactly follows from the state."""

    tick: int
    phase: int
    do: Callable[[Town], object]


# ---------------------------------------------------------------------- means


def coins(who: str, amount: int) -> Callable[[Town], object]:
    """Give somebody coins of the bank."""
    return lambda town: town.do(BANK, "Stablecoin", "transfer", who, amount)


def enter(who: str, pool: str, amount: int) -> Iterator[Deed]:
    """Have somebody enter a pool at the first tick."""
    yield from enter_at(0, who, pool, amount)


def enter_at(tick: int, who: str, pool: str, amount: int) -> Iterator[Deed]:
    """Have somebody enter a pool with coins of the bank."""
    yield Deed(tick, 0, coins(who, amount))
    yield Deed(
        tick, 0, lambda town: town.do(who, "Stablecoin", "approve", town.pools[pool].address, MAX_UINT256)
    )
    yield Deed(tick, 0, lambda town: town.do(who, pool, "deposit", amount, who))


def ask(tick: int, phase: int, who: str, pool: str) -> Deed:
    """Have somebody ask to leave with everything."""
    return Deed(
        tick,
        phase,
        lambda town: town.do(who, pool, "requestRedeem", town.pools[pool].held(who) or 1, who, who),
    )


def leave(tick: int, phase: int, who: str, pool: str, parts: int = 1) -> Deed:
    """Have somebody leave with all that is due, in so many parts, if the feed has what was reported."""

    def do(town: Town) -> None:
        if not knows(town):
            return
        town.settle(who)
        for left in range(parts, 0, -1):
            town.claim(who, pool, BASIS_POINTS // left)

    return Deed(tick, phase, do)


def borrow(tick: int, phase: int, who: str, c: int, debt: int, ratio: int) -> Deed:
    """Have somebody open a vault at a ratio of the opening's prices."""

    def do(town: Town) -> None:
        setting = town.setting
        terms = setting.parameters.collateral_types[c]
        deposit = locked(setting.parameters, setting.prices, c, debt, ratio)
        units = div_up(deposit, 10 ** (18 - terms.decimals))
        town.do(who, terms.symbol, "mint", who, units)
        town.do(who, terms.symbol, "approve", town.engine.address, MAX_UINT256)
        town.do(who, "VaultEngine", "deposit_and_draw", c, who, deposit, debt, who)

    return Deed(tick, phase, do)


def repay_all(tick: int, phase: int, who: str, c: int, more: int) -> Deed:
    """Have somebody repay a whole debt, for whose fees the bank lends so much."""

    def do(town: Town) -> None:
        town.do(BANK, "Stablecoin", "transfer", who, more)
        town.do(who, "VaultEngine", "repay_and_withdraw", c, who, 2**128, 0, who)

    return Deed(tick, phase, do)


def each(method: str) -> Callable[[Town], object]:
    """Have a stranger try a call on everything that it may apply to."""

    def do(town: Town) -> None:
        if method in ("accrue", "poke", "cover", "fix_price"):
            contract = {"accrue": "VaultEngine", "poke": "PriceFeed", "cover": "LossWaterfall"}
            for c in town.types:
                town.do(STRANGER, contract.get(method, "Settlement"), method, c)
        elif method == "flag":
            for (c, owner), vault in list(town.engine.vaults.items()):
                if vault.normalized_debt:
                    town.do(STRANGER, "LiquidationEngine", method, c, owner)
        else:
            for id, lot in list(town.auction.lots.items()):
                if lot.target and lot.lot > 0:
                    town.do(STRANGER, "CollateralAuction", method, id, *((STRANGER,) * (method == "reset")))

    return do


def knows(town: Town) -> bool:
    """Return True if the feed's prices, the next ones too, are no higher than what was reported last."""
    for c in town.types:
        prices = town.feed.prices[c]
        if min(prices.current, prices.next or prices.current) > town.feed.reports[c, 1].price:
            return False
    return True


# --------------------------------------------------------------------- worlds


def draw_fall(setting: Setting, random: Random, event: int, falls: tuple[int, ...]) -> Script:
    """Draw a course in which prices fall once, at most, and may come back; nobody gives income."""
    moves = [random.choice(falls) for _ in setting.prices]
    ends = event + random.choice((4, 12, TICKS, TICKS))
    prices = [
        tuple(
            price * (10_000 - (move if event <= tick < ends else 0)) // 10_000
            for price, move in zip(setting.prices, moves, strict=True)
        )
        for tick in range(TICKS)
    ]
    share = random.choice((0.0, 0.2, 0.6, 1.0))
    awake = frozenset(tick for tick in range(TICKS) if random.random() < share)
    pools = [name for name in ("Junior", "Senior", "Savings") if name in setting.deployment.addresses]
    people = [get_account(role) for role in ("borrower", "saver", "saver_2")]
    intents = tuple(
        sorted(
            Intent(
                random.randrange(TICKS),
                "leave",
                random.choice(people),
                random.choice(pools),
                random.choice((5_000, 10_000)),
            )
            for _ in range(random.randrange(3))
        )
    )
    silent = tuple(frozenset[int]() for _ in setting.prices)
    courses = tuple(prices), (setting.prices,) * TICKS
    return Script(courses, event, silent, awake, intents, None)


LOSSES = 0, 500, 1_500, 3_000, 5_000, 8_000, 9_999


def pool_of(setting: Setting, random: Random) -> str:
    """Draw a pool."""
    names = [name for name in ("Junior", "Senior", "Savings") if name in setting.deployment.addresses]
    return random.choice(names)
