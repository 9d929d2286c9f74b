"""Which debt may be liquidated when one price, or all, fall by so much at once: exact, without a path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from backstop.errors import BackstopError
from backstop.model.arithmetic import BASIS_POINTS, RAY, div_up
from backstop.simulation.scenario import Scenario
from backstop.studies.data_frames import build_frame
from backstop.studies.risk_questions.path_runner import build_vaults, load_with_changes, parse_share

if TYPE_CHECKING:
    import pandas as pd

FALLS = tuple(range(500, 6_001, 500))
"""Falls that are asked for, unless others are [bps]."""


class Position(NamedTuple):
    """Vault with debt: collateral [wad], debt [rad], and its type's liquidation ratio [bps]."""

    symbol: str
    locked: int
    debt: int
    ratio: int


def falls(scenario: str | Path | Scenario, of: Sequence[int | str] = FALLS, *, seed: int = 1) -> pd.DataFrame:
    """Return, for each type's price alone and all together, what is unsafe after each fall ('30%', or bps).

    A vault is unsafe by the contracts' own comparison, in integers: `debt_wad` is what those owe, `worth_wad`
    what their collateral is worth at the fallen price, rounded down; `missing_wad` adds up, vault by vault,
    what the debt is more than that, before any auction's cost. Debts are those at the opening.
    """
    drops = [parse_share(fall, "of") for fall in of]
    for fall in drops:
        if not 0 <= fall < BASIS_POINTS:
            raise BackstopError(f"a fall of {fall} basis points is none: write 0 to {BASIS_POINTS - 1}")
    day = load_with_changes(scenario)
    if any(each.policy.by_size for each in day.parameters.collateral_types):
        raise BackstopError(f"{day.name}: margins by size are not counted here: leave its policies out")
    terms = {each.symbol: each for each in day.parameters.collateral_types}
    positions = []
    for vault in build_vaults(day, seed):
        unit = 10 ** (18 - terms[vault.symbol].decimals)
        locked, ratio = vault.locked // unit * unit, terms[vault.symbol].liquidation_ratio
        if vault.debt:
            positions.append(Position(vault.symbol, locked, vault.debt * RAY, ratio))
    return build_frame(
        compute_fall_rows(positions, {symbol: day.first_prices[symbol] for symbol in day.symbols}, drops)
    )


def compute_fall_rows(
    positions: Sequence[Position], prices: Mapping[str, int], of: Sequence[int]
) -> list[dict[str, Any]]:
    """Return the rows of `falls` for vaults at given prices [ray] less each fall [bps]."""
    whole = sum(each.debt for each in positions)
    rows: list[dict[str, Any]] = []
    for falling in (*prices, "all"):
        if falling == "all" and len(prices) == 1:
            continue
        for fall in of:
            left = {symbol: price * (BASIS_POINTS - fall) // BASIS_POINTS for symbol, price in prices.items()}
            count = debt = worth = missing = 0
            for each in positions:
                if falling not in (each.symbol, "all"):
                    continue
                value = each.locked * left[each.symbol]
                if value * BASIS_POINTS >= each.debt * each.ratio:
                    continue
                count += 1
                debt += each.debt
                worth += value // RAY
                missing += max(0, div_up(each.debt - value, RAY))
            rows.append(
                {
                    "falling": falling,
                    "fall_bps": fall,
                    "vaults": count,
                    "debt_wad": debt // RAY,
                    "debt_share_bps": debt * BASIS_POINTS // whole if whole else 0,
                    "worth_wad": worth,
                    "missing_wad": missing,
                }
            )
    return rows
