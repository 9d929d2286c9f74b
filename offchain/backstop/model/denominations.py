"""How shares are counted after losses left each of them almost nothing; see modules/denominations.vy."""

from __future__ import annotations

STEP = 10**9
"""Shares of a generation that one of the next is worth."""
VOID = 5
"""Generations after which shares are none."""
MOST_STEPS = 4
"""Generations that an entry may go on by at most."""
MOST_SHARES = 10**15
"""Shares for a wei at most, where one enters."""
LEAST_ASSETS = 10**6
"""Where losses leave less [wad], shares are void at the next entry, and are not divided."""
VIRTUAL_SHARES = 10**6
VIRTUAL_ASSETS = 1


def convert_shares(shares: int, recorded: int, present: int) -> int:
    """Return shares of an older generation as shares of the present one, rounded down.

    Pool shares are divided by `STEP` in each new generation, after losses left each share almost nothing. The
    result is 0 from `VOID` generations on.
    """
    steps = present - recorded
    return 0 if steps >= VOID else shares // STEP**steps


def count_generation_steps(share_supply: int, pool_assets: int) -> int:
    """Return the number of share divisions needed before a deposit into the pool (at most `MOST_STEPS`).

    A division is needed if the assets [wad] are so few that one wei would buy more than `MOST_SHARES` shares.
    """
    most = (pool_assets + VIRTUAL_ASSETS) * MOST_SHARES
    for steps in range(MOST_STEPS):
        if share_supply // STEP**steps + VIRTUAL_SHARES <= most:
            return steps
    return MOST_STEPS
