"""Events of owners under a known law, drawn anew here: a measurement has to find the law again."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from backstop.randomness import SeededRandom

START = 1_700_006_400  # 15 November 2023, 00:00
RATIO = 1.3
HEAD = "kind,account,symbol,amount,time,debt_symbol,debt_amount\n"


@dataclass(frozen=True)
class SyntheticLaw:
    """A law of owners, in plain numbers."""

    idle: float = 0.25
    chances: tuple[float, ...] = (0.3, 0.12, 0.08, 0.05, 0.03, 0.02, 0.01, 0.005)
    factors: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0)  # of falls of 0%, 10%, 20%, 30%
    large: float = 1.6  # of debts of a million or more
    ways: tuple[float, ...] = (0.5, 0.2, 0.3)  # sell, repay, add
    sizes: tuple[float, ...] = (0.04, 0.05, 0.06, 0.07, 0.08, 0.1, 0.12, 0.14, 0.17, 0.2, 0.3)
    releases: tuple[float, ...] = (0.004, 0.006, 0.008, 0.01)
    draws: float = 0.7  # share of releases that draw; the others withdraw


class _Draws:
    """Uniform numbers of a stream."""

    def __init__(self, seed: int, *labels: str | int) -> None:
        self._random = SeededRandom(seed, *labels)

    def draw_uniform(self) -> float:
        return (self._random.draw_bits() >> 203) / 2**53


@dataclass
class _Vault:
    name: str
    locked: float
    debt: float
    is_idle: bool
    is_closed: bool = False


def build_prices(days: int) -> list[float]:
    """Return hourly prices of weeks: calm, then a fall by a third in a day and a half, then a rise."""
    prices, price = [], 2_000.0
    draws = _Draws(7, "prices")
    for hour in range(24 * days + 1):
        prices.append(round(price, 6))
        place = hour % 168
        drift = -0.011 if 60 <= place < 96 else 0.004 if 96 <= place < 144 else 0.0
        price *= 1 + drift + 0.008 * (draws.draw_uniform() - 0.5)
    return prices


def write_price_csv(prices: list[float]) -> str:
    """Return prices as CSV, a row for each hour; a day of the first price is before the start."""
    rows = [(START - 86_400, prices[0]), *((START + 3_600 * i, price) for i, price in enumerate(prices))]
    return "time,WETH\n" + "".join(f"{time},{price}\n" for time, price in rows)


def draw_events(law: SyntheticLaw, owners: int, prices: list[float], seed: int) -> str:
    """Draw the events of so many owners with a vault each, which open at the start, as CSV.

    At each full hour an owner looks; the owner's action happens ten minutes later. A vault that was under its
    liquidation price and was not defended is liquidated half an hour later, with a chance of a half.
    """
    rows: list[tuple[int, str, str]] = []
    for number in range(owners):
        draws = _Draws(seed, "owner", number)
        debt = 20_000.0 if draws.draw_uniform() < 0.7 else 1_500_000.0
        distance = 0.03 + 1.5 * draws.draw_uniform() ** 2
        locked = round(debt * RATIO * (1 + distance) / prices[0], 9)
        vault = _Vault(f"o{number}", locked, debt, draws.draw_uniform() < law.idle)
        for opening in (f"deposit,{vault.name},WETH,{locked:.9f}", f"draw,{vault.name},DAI,{debt:.9f}"):
            rows.append((START, opening, ","))
        for hour in range(len(prices) - 1):
            if not vault.is_closed:
                rows += _play_hour(law, vault, draws, prices, hour)
    rows.sort(key=lambda row: row[0])
    return HEAD + "".join(
        f"{event},{datetime.fromtimestamp(time, UTC).isoformat()},{repaid}\n" for time, event, repaid in rows
    )


def _play_hour(
    law: SyntheticLaw, vault: _Vault, draws: _Draws, prices: list[float], hour: int
) -> list[tuple[int, str, str]]:
    """Return a vault's events within an hour: the time, the event, the repayment of a liquidation."""
    time, price = START + 3_600 * hour, prices[hour]
    distance = vault.locked * price / (RATIO * vault.debt) - 1
    fall = max(0.0, 1 - price / prices[max(0, hour - 24)])
    low = min(2, int(fall / 0.1))
    steep = min(3.0, fall / 0.1) - low
    chance = law.chances[bisect_right((0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8), distance)]
    if distance >= 0:
        chance *= law.factors[low] + (law.factors[low + 1] - law.factors[low]) * steep
    chance *= law.large if vault.debt >= 1_000_000 else 1
    defends, releases, way, part = (draws.draw_uniform() for _ in range(4))
    found: list[str] = []
    size = _draw_size(law.sizes, part)
    if not vault.is_idle and defends < chance:
        amount, coins = round(size * vault.debt, 9), round(size * vault.debt / price, 9)
        if way < law.ways[0] + law.ways[1]:
            found.append(_change_vault(vault, "repayment", "DAI", amount))
        if way < law.ways[0]:
            found.append(_change_vault(vault, "withdrawal", "WETH", coins))
        elif way >= law.ways[0] + law.ways[1]:
            found.append(_change_vault(vault, "deposit", "WETH", coins))
    elif not vault.is_idle and releases < law.releases[bisect_right((0.2, 0.4, 0.8), distance)]:
        if way < law.draws:
            found.append(_change_vault(vault, "draw", "DAI", round(0.05 * vault.debt, 9)))
        else:
            found.append(_change_vault(vault, "withdrawal", "WETH", round(0.05 * vault.debt / price, 9)))
    rows = [(time + 600, each, ",") for each in found]
    if distance < 0 and not found and draws.draw_uniform() < 0.5:
        seized = f"liquidation,{vault.name},WETH,{vault.locked:.9f}"
        rows.append((time + 1_800, seized, f"DAI,{vault.debt:.9f}"))
        vault.is_closed = True
    return rows


def _draw_size(sizes: tuple[float, ...], uniform: float) -> float:
    """Draw between quantiles, evenly."""
    place = int(uniform * 10)
    return sizes[place] + (sizes[place + 1] - sizes[place]) * (uniform * 10 - place)


def _change_vault(vault: _Vault, kind: str, symbol: str, amount: float) -> str:
    """Change a vault, and return the event without its time."""
    sign = 1 if kind in ("deposit", "draw") else -1
    if symbol == "DAI":
        vault.debt = round(vault.debt + sign * amount, 9)
    else:
        vault.locked = round(vault.locked + sign * amount, 9)
    return f"{kind},{vault.name},{symbol},{amount:.9f}"


def list_known_figures(law: SyntheticLaw) -> dict[tuple[str, str], float]:
    """Return each figure of a law by its name in the section `owners` and its subject."""
    found = {("idle", ""): law.idle, ("defend.large", "1,000,000 or more"): law.large}
    found |= {("defend.factors", f"fall of {10 * i}%"): each for i, each in enumerate(law.factors) if i}
    for name, bounds, chances in (
        ("defend.chances", ("0%", "2%", "5%", "10%", "20%", "40%", "80%"), law.chances),
        ("release.chances", ("20%", "40%", "80%"), law.releases),
    ):
        between = [f"{one} to {other}" for one, other in pairwise(bounds)]
        ranges = [f"under {bounds[0]}", *between, f"{bounds[-1]} or more"]
        found |= {(name, of): each for of, each in zip(ranges, chances, strict=True)}
    found |= {("defend.ways", way): law.ways[i] for i, way in enumerate(("sell", "repay", "add"))}
    found |= {("release.ways", "draw"): law.draws}
    return found | {("defend.sizes", f"quantile {10 * i}%"): law.sizes[i] for i in range(1, 10)}
