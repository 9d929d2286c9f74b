"""Write the samples of docs/how-to: synthetic positions of six systems' exports, events, prices, and depths.

    python docs/how-to/samples/make.py [FOLDER]

No row is anybody's position or a price that ever was. Equal calls write equal files.
"""

from __future__ import annotations

import csv
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from backstop.randomness import SeededRandom

ROWS = 40
START = datetime(2025, 1, 1, tzinfo=UTC)
PRICES = {"wstETH": 4_000, "WETH": 3_400, "cbBTC": 95_000, "WBTC": 95_000, "USDC": 1}
DECIMALS = {"wstETH": 18, "WETH": 18, "cbBTC": 8, "WBTC": 8, "USDC": 6}
THRESHOLDS = {"wstETH": 8_100, "WETH": 8_300, "cbBTC": 7_800, "WBTC": 7_800, "USDC": 7_800}


class Lot:
    """Synthetic figures: an owner, a debt in dollars, and how much of a coin covers it."""

    def __init__(self, system: str, number: int) -> None:
        self.random = SeededRandom(1, "sample", system, number)
        self.owner = "0x" + "".join(f"{self.random.draw_index(256):02x}" for _ in range(20))
        self.debt = self.random.draw_integer(800, 400_000)
        self.ratio = self.random.draw_integer(105, 260)

    def coins(self, symbol: str, digits: int, part: int = 100) -> int:
        """Return a part (percent) of what covers the debt, in units of so many digits."""
        return self.debt * self.ratio * part * 10**digits // (PRICES[symbol] * 10_000)


def maker(lot: Lot, number: int) -> list[dict[str, object]]:
    """Return a vault of the Vat: `art` times `rate` is what it owes."""
    rate = 1_093_000_000_000_000_000_000_000_000 + number
    symbol = ("WETH", "wstETH")[number % 2]
    return [
        {
            "ilk": {"WETH": "ETH-A", "wstETH": "WSTETH-A"}[symbol],
            "urn": lot.owner,
            "ink": lot.coins(symbol, 18),
            "art": lot.debt * 10**45 // rate,
            "rate": rate,
        }
    ]


def aave(lot: Lot, number: int) -> list[dict[str, object]]:
    """Return an account of Aave: one or two collaterals, one of them not counted, one or two debts."""
    parts = [("wstETH", 60, 0), ("cbBTC", 40, 0)] if number % 3 == 0 else [("WETH", 100, 0)]
    parts += [("USDC", 0, 100)] if number % 4 else [("USDC", 0, 70), ("WETH", 0, 30)]
    return [
        {
            "user.id": lot.owner,
            "reserve.symbol": symbol,
            "reserve.decimals": DECIMALS[symbol],
            "currentATokenBalance": lot.coins(symbol, DECIMALS[symbol], held) if held else 0,
            "usageAsCollateralEnabledOnUser": "true" if held else "false",
            "currentTotalDebt": lot.debt * owed * 10 ** DECIMALS[symbol] // (100 * PRICES[symbol]),
            "reserve.price.priceInUsd": PRICES[symbol],
            "reserve.reserveLiquidationThreshold": THRESHOLDS[symbol],
        }
        for symbol, held, owed in parts
    ]


def morpho(lot: Lot, number: int) -> list[dict[str, object]]:
    """Return a position in one of two isolated markets."""
    symbol, lltv = (("wstETH", 860_000_000_000_000_000), ("cbBTC", 860_000_000_000_000_000))[number % 2]
    return [
        {
            "user.address": lot.owner,
            "market.uniqueKey": f"0x{number % 2 + 1:064x}",
            "market.lltv": lltv,
            "market.collateralAsset.symbol": symbol,
            "market.collateralAsset.decimals": DECIMALS[symbol],
            "market.collateralAsset.priceUsd": PRICES[symbol],
            "market.loanAsset.symbol": "USDC",
            "market.loanAsset.decimals": 6,
            "market.loanAsset.priceUsd": 1,
            "state.collateral": lot.coins(symbol, DECIMALS[symbol]),
            "state.borrowAssets": lot.debt * 10**6,
        }
    ]


def liquity(lot: Lot, number: int) -> list[dict[str, object]]:
    """Return a trove; every fourth is closed."""
    closed = number % 4 == 3
    wei = 0 if closed else lot.coins("WETH", 18)
    return [
        {
            "ownerAddress": lot.owner,
            "status": "closedByOwner" if closed else "open",
            "collateral": f"{wei // 10**18}.{wei % 10**18:018}",
            "debt": "0" if closed else f"{lot.debt}.5",
        }
    ]


def liquity_v2(lot: Lot, number: int) -> list[dict[str, object]]:
    """Return a trove of one of the three branches; every sixth is closed, and one is redeemed."""
    closed, branch = number % 6 == 5, number % 3
    return [
        {
            "id": f"{branch}:0x{number:064x}",
            "borrower": lot.owner,
            "collateral.collIndex": branch,
            "status": "closed" if closed else "redeemed" if number == 7 else "active",
            "deposit": 0 if closed else lot.coins("wstETH" if branch else "WETH", 18),
            "debt": 0 if closed else lot.debt * 10**18,
        }
    ]


def crvusd(lot: Lot, number: int) -> list[dict[str, object]]:
    """Return a loan of a controller, partly sold where it is in soft liquidation."""
    symbol = ("wstETH", "WBTC")[number % 2]
    wei = lot.coins(symbol, 18)
    return [
        {
            "user": lot.owner,
            "collateral_symbol": symbol,
            "collateral": f"{wei // 10**18}.{wei % 10**18:018}",
            "stablecoin": lot.debt // 4 if number % 5 == 4 else 0,
            "debt": lot.debt,
            "N": 10,
            "health": f"0.{lot.random.draw_index(1_000):03}",
        }
    ]


SYSTEMS = {
    "maker": maker,
    "aave": aave,
    "morpho": morpho,
    "liquity": liquity,
    "liquity-v2": liquity_v2,
    "crvusd": crvusd,
}


def prices() -> list[dict[str, object]]:
    """Return a month of hours in which coins move together, and fall by a tenth or so now and then."""
    rows: list[dict[str, object]] = []
    random = SeededRandom(1, "sample", "prices")
    cents = {symbol: PRICES[symbol] * 100 for symbol in PRICES if symbol != "USDC"}
    for hour in range(24 * 30):
        common = random.draw_integer(-80, 80) - (
            random.draw_integer(400, 1_000) if random.draw_index(200) == 0 else 0
        )
        stamp = (START + timedelta(hours=hour)).strftime("%Y-%m-%dT%H:%MZ")
        rows.append({"time": stamp, **{symbol: f"{each / 100:.2f}" for symbol, each in cents.items()}})
        for symbol, each in cents.items():
            cents[symbol] = each * (10_000 + common + random.draw_integer(-15, 19)) // 10_000
    return rows


def year() -> list[dict[str, object]]:
    """Return prices every four hours for a year: coins fall together, and each moves a little on its own.

    They are made from the last one back, so that they end where the samples' books are.
    """
    rows: list[dict[str, object]] = []
    random = SeededRandom(1, "sample", "year")
    cents = {symbol: PRICES[symbol] * 100 for symbol in ("wstETH", "WETH", "cbBTC")}
    for step in reversed(range(6 * 365)):
        stamp = (START + timedelta(hours=4 * step)).strftime("%Y-%m-%dT%H:%MZ")
        rows.append({"time": stamp, **{symbol: f"{each / 100:.2f}" for symbol, each in cents.items()}})
        common = sum(random.draw_integer(-75, 75) for _ in range(3)) + 10
        if random.draw_index(60) == 0:
            common -= random.draw_integer(300, 900)
        own = {"ETH": sum(random.draw_integer(-35, 35) for _ in range(3)), "BTC": 0}
        for symbol in cents:
            moved = common + own["ETH" if "ETH" in symbol else "BTC"] + random.draw_integer(-9, 9)
            cents[symbol] = cents[symbol] * 10_000 // (10_000 + moved)
    return rows[::-1]


def depths() -> list[dict[str, object]]:
    """Return what sales lose on two venues every ten minutes, with a hole that fills again."""
    rows: list[dict[str, object]] = []
    random = SeededRandom(1, "sample", "depths")
    whole = {"wstETH": 2_000_000, "WETH": 3_000_000, "cbBTC": 1_500_000}
    share = dict.fromkeys(whole, 1_000)  # of the depth that is there, in thousandths
    for step in range(48):
        stamp = (START + timedelta(minutes=10 * step)).strftime("%Y-%m-%dT%H:%MZ")
        for symbol, depth in whole.items():
            hit = 450 if random.draw_index(16) == 0 else 0
            share[symbol] += (1_000 - share[symbol]) * 3 // 10 + random.draw_integer(-60, 60) - hit
            for venue, part in (("pool", 60), ("book", 40)):
                there = depth * part * max(200, share[symbol]) // 100_000
                for size in (20_000, 100_000, 500_000):
                    lost = (
                        10**6
                        - 10**6 * 997 * there // (1_000 * (there + size))
                        + random.draw_integer(-200, 200)
                    )
                    impact = f"0.{max(1, lost):06}"
                    row: dict[str, object] = {"time": stamp, "asset": symbol, "venue": venue}
                    rows.append(row | {"size": size, "impact": impact})
    return rows


def events() -> list[dict[str, object]]:
    """Return what forty accounts did in a month, in order: deposits, draws, repayments, liquidations."""
    rows: list[tuple[int, dict[str, object]]] = []

    def add(hour: int, kind: str, account: str, symbol: str, amount: str, *repaid: str) -> None:
        stamp = (START + timedelta(hours=hour)).strftime("%Y-%m-%dT%H:%MZ")
        row: dict[str, object] = {"time": stamp, "kind": kind, "account": account}
        debt_symbol, debt_amount = repaid or ("", "")
        row |= {"symbol": symbol, "amount": amount, "debt_symbol": debt_symbol, "debt_amount": debt_amount}
        rows.append((hour, row))

    for number in range(ROWS):
        lot = Lot("events", number)
        symbol, hour = ("WETH", "wstETH", "cbBTC")[number % 3], lot.random.draw_index(300)
        locked = lot.coins(symbol, 6, 150)
        add(hour, "deposit", lot.owner, symbol, f"{locked}e-6")
        add(hour + 1, "draw", lot.owner, "USDC", str(lot.debt))
        if number % 4 == 1:
            add(hour + 50, "repayment", lot.owner, "USDC", str(lot.debt // 3))
            add(hour + 50, "withdrawal", lot.owner, symbol, f"{locked // 5}e-6")
        if number % 7 == 3:
            seized = lot.debt // 2 * 105 * 10**4 // PRICES[symbol]
            add(hour + 200, "liquidation", lot.owner, symbol, f"{seized}e-6", "USDC", str(lot.debt // 2))
    return [row for _, row in sorted(rows, key=lambda each: each[0])]


def write(folder: Path) -> None:
    """Write a file for each system, two of prices, one of depths, and one of events."""
    files = {"prices": prices(), "year": year(), "depths": depths(), "events": events()}
    for name, system in SYSTEMS.items():
        files[name] = [row for number in range(ROWS) for row in system(Lot(name, number), number)]
    for name, rows in files.items():
        with (folder / f"synthetic-{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
