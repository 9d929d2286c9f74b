"""Which debt may be liquidated when one price, or all, fall by so much at once: exact, without a path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from backstop.errors import BackstopError
from backstop.model.arithmetic import BASIS_POINTS, RAY, div_up
from backstop.simulation.scenario import Scenario
from backstop.simulation.scenario.scenario_records import TypeAssets
from backstop.studies.data_frames import build_frame
from backstop.studies.risk_questions.path_runner import build_vaults, load_with_changes, parse_basis_points

if TYPE_CHECKING:
    import pandas as pd

FALLS = tuple(range(500, 6_001, 500))
"""Falls that are asked for, unless others are [bps]."""


class Position(NamedTuple):
    """Vault with debt: collateral [wad], debt [rad], and liquidation ratio of its type [bps]."""

    symbol: str
    locked: int
    debt: int
    ratio: int
    account: str = ""  # positions of one account are liquidated together; "" is an account of its own


class LoneVault(NamedTuple):
    """Vault outside pooled accounts with stablecoin debt: worth [rad] and debt [rad].

    `bound` is the debt times the liquidation ratio [rad, bps].
    """

    worth: int
    debt: int
    bound: int


def falls(scenario: str | Path | Scenario, of: Sequence[int | str] = FALLS, *, seed: int = 1) -> pd.DataFrame:
    """Return the debt that becomes unsafe if one price, or all prices, drop at once.

    No path is simulated: vaults are unsafe by the contracts' own comparison, in integers. Debts are those at
    the opening; debts in an asset shrink with its price. In a book of pooled accounts, an account
    is unsafe if its collateral, each weighted by its ratio, does not cover its debt. All its vaults count
    then.

    - `scenario`: name, file or Scenario.
    - `of`: price drops, for example "30%" or 3000 (basis points).
    - `seed`: seed of drawn vaults.

    The table has a row for each asset (and "all") and price drop, with the columns:

    - `falling`, `fall_bps`: the asset with the price drop, and the drop.
    - `vaults`: number of unsafe vaults.
    - `debt_wad`, `debt_share_bps`: their debt, and its share of all debt.
    - `worth_wad`: worth of their collateral at the lower price, rounded down.
    - `missing_wad`: sum over these vaults of debt beyond the collateral's worth, before costs of
      auctions.

    Raises BackstopError for a drop outside 0 to 9999 basis points, and for margins that depend on size.
    """
    drops = [parse_basis_points(fall, "of") for fall in of]
    for fall in drops:
        if not 0 <= fall < BASIS_POINTS:
            raise BackstopError(f"a fall of {fall} basis points is none: write 0 to {BASIS_POINTS - 1}")
    day = load_with_changes(scenario)
    if any(each.policy.has_size_surcharges for each in day.parameters.collateral_types):
        raise BackstopError(f"{day.name}: margins by size are not counted here: leave its policies out")
    terms = {each.symbol: each for each in day.parameters.collateral_types}
    positions = []
    for vault in build_vaults(day, seed):
        unit = 10 ** (18 - terms[vault.symbol].decimals)
        locked, ratio = vault.locked // unit * unit, terms[vault.symbol].liquidation_ratio
        if vault.debt:
            account = vault.owner if day.has_accounts else ""
            positions.append(Position(vault.symbol, locked, vault.debt * RAY, ratio, account))
    prices = {symbol: day.first_prices[symbol] for symbol in day.symbols}
    return build_frame(compute_fall_rows(positions, prices, drops, day.assets))


def compute_fall_rows(
    positions: Sequence[Position],
    prices: Mapping[str, int],
    of: Sequence[int],
    assets: Mapping[str, TypeAssets] = MappingProxyType({}),
) -> list[dict[str, Any]]:
    """Return the rows of `falls` for these positions.

    `prices` are in ray, and `of` has the price drops [bps].
    """
    whole = sum(each.debt for each in positions)
    made = {symbol: assets.get(symbol, TypeAssets(symbol)) for symbol in prices}
    accounts: dict[str | int, list[Position]] = {}
    lone: dict[str, list[LoneVault]] = {}  # by collateral; books have many
    for number, each in enumerate(positions):
        if each.account or made[each.symbol].debt:
            accounts.setdefault(each.account or number, []).append(each)
        else:
            vault = LoneVault(each.locked * prices[each.symbol], each.debt, each.debt * each.ratio)
            lone.setdefault(made[each.symbol].collateral, []).append(vault)
    unsafe = {
        (name, fall): _sum_unsafe_lone_vaults(vaults, BASIS_POINTS - fall)
        for name, vaults in lone.items()
        for fall in of
    }
    names = dict.fromkeys(name for each in made.values() for name in each if name)
    rows: list[dict[str, Any]] = []
    for falling in (*names, "all"):
        if falling == "all" and len(names) == 1:
            continue
        for fall in of:
            kept = {name: BASIS_POINTS - (fall if falling in (name, "all") else 0) for name in (*names, "")}
            kept[""] = BASIS_POINTS
            sums = [unsafe[name, fall] for name in lone if falling in (name, "all")]
            count, debt, worth, missing = map(sum, zip((0, 0, 0, 0), *sums, strict=True))
            for account in accounts.values():
                if not any(falling in ("all", *made[each.symbol]) for each in account):
                    continue
                # Both sides of each comparison are times BASIS_POINTS of what is left of the price.
                values = [
                    each.locked * prices[each.symbol] * kept[made[each.symbol].collateral] for each in account
                ]
                debts = [each.debt * kept[made[each.symbol].debt] for each in account]
                if not _is_unsafe(account, values, debts):
                    continue
                owed, value = sum(debts) // BASIS_POINTS, sum(values) // BASIS_POINTS
                count += len(account)
                debt += owed
                worth += value // RAY
                missing += max(0, div_up(owed - value, RAY))
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


def _sum_unsafe_lone_vaults(vaults: Sequence[LoneVault], kept: int) -> tuple[int, int, int, int]:
    """Return sums over the unsafe vaults if a share `kept` [bps] of the price is left.

    They are count, debt [rad], worth of collateral and missing worth [wad]. Worth is rounded down and the
    missing worth up, vault by vault.
    """
    count = debt = worth = missing = 0
    for before, owed, bound in vaults:
        if before * kept < bound:
            value = before * kept // BASIS_POINTS
            count += 1
            debt += owed
            worth += value // RAY
            if owed > value:
                missing += div_up(owed - value, RAY)
    return count, debt, worth, missing


def _is_unsafe(account: Sequence[Position], values: Sequence[int], debts: Sequence[int]) -> bool:
    """Return whether an account's collateral, each weighted by its ratio, does not cover its debt."""
    if len(account) == 1:
        return values[0] * BASIS_POINTS < debts[0] * account[0].ratio
    covered = sum(value * BASIS_POINTS // each.ratio for value, each in zip(values, account, strict=True))
    return covered < sum(debts)
