"""What comes from outside, whatever the coalition does: prices, silence, what honest people want."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from backstop.deployment.contract_names import STABLECOIN_POOLS
from backstop.deployment.role_accounts import get_account
from backstop.model.arithmetic import BASIS_POINTS
from backstop.studies.hunt.setting import HONEST, Setting

TICK = 600
TICKS = 36
"""What is played is six hours, in ticks of ten minutes."""


class Intent(NamedTuple):
    """What somebody honest does at a tick, whatever the coalition does."""

    tick: int
    what: str
    who: str
    pool: str
    share: int  # basis points of what there is


class Script(NamedTuple):
    """The course of the world outside, up to an event that comes in one branch and not in the other."""

    # By branch, by tick, by market: of each type, then of equity if there is any [ray].
    prices: tuple[tuple[tuple[int, ...], ...], ...]
    # The tick of the event: from then on the branches differ, and whoever acts knows which it is.
    event: int
    # Ticks at which honest reporters are silent, by type.
    silent: tuple[frozenset[int], ...]
    # Ticks at which the honest keeper is awake.
    awake: frozenset[int]
    intents: tuple[Intent, ...]
    # When the admin announces settlement; None if never.
    announced: int | None
    # Honest reporters who never say anything.
    absent: frozenset[str] = frozenset()
    # A tick before which nothing happens for long, and how long [seconds].
    pause: tuple[int, int] = (0, 0)
    # A tick before which no block is produced, and for how long [seconds].
    outage: tuple[int, int] = (0, 0)


COMES, STAYS_AWAY = BRANCHES = (0, 1)
"""The branches, as likely as each other."""


def draw_script(setting: Setting, random: Random) -> Script:
    """Draw a course of prices and of honest people's wishes."""
    event = random.randrange(3, TICKS - 3)
    columns = [_prices(random, price, event) for price in setting.prices]
    silent = [frozenset(_silence(random)) for _ in setting.prices]
    awake = frozenset(tick for tick in range(TICKS) if random.random() < 0.6)
    return Script(
        prices=(tuple(zip(*columns, strict=True)), (setting.prices,) * TICKS),
        event=event,
        silent=tuple(silent),
        awake=awake,
        intents=tuple(_intents(setting, random)),
        announced=random.randrange(TICKS // 2) if random.random() < 0.15 else None,
        outage=random.choice(((0, 0), (0, 0), draw_outage(random))),
    )


def draw_outage(random: Random) -> tuple[int, int]:
    """Draw when no block is produced, and for how long."""
    return random.randrange(TICKS), random.choice((600, 3_600, 3 * 3_600))


def _prices(random: Random, start: int, event: int) -> list[int]:
    """Draw nothing, a move at the event, or one that comes and goes."""
    move = random.choice((-5_000, -3_000, -1_500, -800, -200, 0, 0, 500, 3_000))
    ends = event + random.choice((2, 6, 12, TICKS, TICKS))
    return [
        start * (BASIS_POINTS + (move if event <= tick < ends else 0)) // BASIS_POINTS
        for tick in range(TICKS)
    ]


def _silence(random: Random) -> range:
    if random.random() < 0.75:
        return range(0)
    start = random.randrange(TICKS)
    return range(start, start + random.choice((6, 12, 30)))


def _intents(setting: Setting, random: Random) -> list[Intent]:
    pools = [name for name in STABLECOIN_POOLS if name in setting.deployment.addresses]
    found = []
    for _ in range(random.randrange(2, 6)):
        what = random.choice(("leave", "leave", "enter", "income", "repay"))
        found.append(
            Intent(
                random.randrange(TICKS),
                what,
                get_account(random.choice(HONEST)),
                random.choice(pools),
                random.choice((500, 5_000, 10_000)),
            )
        )
    return sorted(found)
