"""Which debt may be liquidated when one price, or all, fall by so much at once: exact, without a path."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backstop.deployment.parameters import PolicyParameters
from backstop.errors import BackstopError
from backstop.model.arithmetic import BASIS_POINTS, RAY, div_up
from backstop.simulation.scenario import Scenario
from backstop.studies.questions.setup import loaded, vaults_of
from backstop.studies.tables import frame_of

if TYPE_CHECKING:
    import pandas as pd

FALLS = tuple(range(500, 6_001, 500))
"""Falls that are asked for, unless others are [bps]."""


def falls(scenario: str | Path | Scenario, of: Sequence[int] = FALLS, *, seed: int = 1) -> pd.DataFrame:
    """Return, for each type's price alone and all together, what is unsafe after each fall [bps].

    A vault is unsafe by the contracts' own comparison, in integers: `debt_wad` is what those owe, `worth_wad`
    what their collateral is worth at the fallen price, rounded down; `missing_wad` adds up, vault by vault,
    what the debt is more than that, before any auction's cost. Debts are those at the opening.
    """
    for fall in of:
        if not 0 <= fall < BASIS_POINTS:
            raise BackstopError(f"a fall of {fall} basis points is none: write 0 to {BASIS_POINTS - 1}")
    day = loaded(scenario)
    if any(each.policy.of_vaults != PolicyParameters().of_vaults for each in day.parameters.collateral_types):
        raise BackstopError(f"{day.name}: margins by size are not counted here: leave its policies out")
    terms = {each.symbol: each for each in day.parameters.collateral_types}
    vaults = [vault for vault in vaults_of(day, seed) if vault.debt]
    whole = sum(vault.debt for vault in vaults)
    rows: list[dict[str, Any]] = []
    for falling in (*day.symbols, "all"):
        if falling == "all" and len(day.symbols) == 1:
            continue
        for fall in of:
            count = debt = worth = missing = 0
            for vault in vaults:
                if falling not in (vault.symbol, "all"):
                    continue
                price = day.first_prices[vault.symbol] * (BASIS_POINTS - fall) // BASIS_POINTS
                unit = 10 ** (18 - terms[vault.symbol].decimals)
                locked = vault.locked // unit * unit
                if locked * price * BASIS_POINTS >= vault.debt * RAY * terms[vault.symbol].liquidation_ratio:
                    continue
                count += 1
                debt += vault.debt
                worth += locked * price // RAY
                missing += max(0, div_up(vault.debt * RAY - locked * price, RAY))
            rows.append(
                {
                    "falling": falling,
                    "fall_bps": fall,
                    "vaults": count,
                    "debt_wad": debt,
                    "debt_share_bps": debt * BASIS_POINTS // whole if whole else 0,
                    "worth_wad": worth,
                    "missing_wad": missing,
                }
            )
    return frame_of(rows)
