"""Largest debt of a type for a stated risk: the book is scaled, all else stays.

Vaults keep their ratios and their shares of the debt; depths of markets, keepers' capital and limits stay as
they are. All sizes have the same paths. Collateral that buyers cannot afford is lost in full, so that a size
is also too large where buyers lack the means.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from backstop.errors import BackstopError
from backstop.model.arithmetic import BASIS_POINTS, RAY, WAD, div_up
from backstop.model.bounds import MAX_DEBT_CEILING, MAX_GLOBAL_DEBT_CEILING
from backstop.simulation.scenario import Scenario
from backstop.simulation.scenario.draw_scenario import set_depths_from_debts
from backstop.simulation.scenario.scenario_records import Vault
from backstop.studies.data_frames import build_frame
from backstop.studies.risk_questions.path_runner import (
    LEVEL,
    PATHS,
    PathRunner,
    build_vaults,
    get_column,
    load_with_changes,
    parse_basis_points,
)
from backstop.studies.stress.path_statistics import Estimate, estimate_shortfall
from backstop.studies.stress.stress_summary import convert_estimate_to_integers

if TYPE_CHECKING:
    import pandas as pd

MICRO = 10**6
MOST = 10_000
"""The largest size that is tried, in per cent of today's debt; the bounds of the contracts hold as well."""

PRECISION = 50
"""Sizes are found to one in so many."""

_SAFE = 100  # so many times its debt is what a vault locks that is as good as safe


@dataclass(frozen=True)
class Ceiling:
    """Largest debt of a type within a limit of expected shortfall [whole stablecoins].

    `sure` is within the limit with its whole interval, `likely` with its estimate. `over` is the least size
    beyond the limit with its whole interval. Each is None if no size is like that. `probes` has all sizes.
    """

    symbol: str
    limit: int
    sure: int | None
    likely: int | None
    over: int | None
    probes: pd.DataFrame


def ceiling(
    scenario: str | Path | Scenario,
    symbol: str,
    limit: int,
    paths: int = PATHS,
    *,
    level: int | str = LEVEL,
    seed: int = 1,
    engine: str = "fast",
    workers: int = 1,
    runner: PathRunner | None = None,
) -> Ceiling:
    """Find the largest debt of a collateral type with an expected shortfall within a limit.

    All debts and collateral of the type are scaled together. The shortfall is that of the type's own bad
    debt.

    - `scenario`: name, file or Scenario.
    - `symbol`: collateral type.
    - `limit`: limit of the expected shortfall [stablecoins].
    - `level`: level of the shortfall, for example "95%" or 9500 (basis points).
    - `paths`, `seed`: number of paths, and the seed of all draws.
    - `engine`: "fast", "exact" (contracts and model) or "model".
    - `workers`: number of processes.
    - `runner`: PathRunner to use instead of `paths`, `seed`, `engine` and `workers`.

    The result has these fields, in whole stablecoins:

    - `sure`: largest size with its whole interval within the limit.
    - `likely`: largest size with its estimate within the limit.
    - `over`: least size with its whole interval beyond the limit.
    - `probes`: table of all tried sizes, with the columns `debt_wad`, `of_today_bps`, `shortfall_micro`
      with its interval, and `within_the_limit` ("yes", "no" or "the data cannot tell").
    - `symbol`, `limit`: the arguments.

    A size that does not exist is None. Raises BackstopError for an unknown type or one without debt, for a
    limit below 1, and for too few paths.
    """
    run = runner or PathRunner(paths, seed, engine, workers)
    level = parse_basis_points(level, "level")
    run.need_tail(level)
    if limit < 1:
        raise BackstopError("a limit of less than one stablecoin allows no debt")
    day = set_depths_from_debts(load_with_changes(scenario), run.seed)
    if symbol not in day.symbols:
        raise BackstopError(f"{symbol!r} is not one of: {', '.join(day.symbols)}")
    sizes = _DebtSizes(day, symbol, run, level / BASIS_POINTS)
    bound = limit * MICRO
    likely = sizes.find_largest_debt_size(lambda risk: risk.value <= bound)
    sure = sizes.find_largest_debt_size(lambda risk: risk.high is not None and risk.high <= bound)
    within = sizes.find_largest_debt_size(lambda risk: risk.low is None or risk.low <= bound)
    over = next((size for size in sorted(sizes.found) if within is None or size > within), None)
    debts = [None if size is None else sizes.compute_debt_at_percent(size) for size in (sure, likely, over)]
    return Ceiling(symbol, limit, debts[0], debts[1], debts[2], sizes.to_frame(bound))


class _DebtSizes:
    """Expected shortfalls by the size of a type's debt, in per cent of today's debt."""

    def __init__(self, day: Scenario, symbol: str, run: PathRunner, level: float) -> None:
        self.day, self.symbol, self.run, self.level = day, symbol, run, level
        self.vaults = build_vaults(day, run.seed)
        self.whole = sum(vault.debt for vault in self.vaults if vault.symbol == symbol)
        self.rest = sum(vault.debt for vault in self.vaults if vault.symbol != symbol)
        if not self.whole:
            raise BackstopError(f"{day.name}: no vault of {symbol} has debt; expected one with debt")
        room = min(MAX_DEBT_CEILING, MAX_GLOBAL_DEBT_CEILING - div_up(self.rest, WAD)) * WAD
        self.most = max(1, min(MOST, room * 100 // self.whole))
        self.found: dict[int, Estimate] = {}

    def compute_debt_at_percent(self, debt_percent: int) -> int:
        """Return the type's debt at this percentage of today's debt [whole stablecoins], rounded down."""
        return self.whole * debt_percent // 100 // WAD

    def estimate_shortfall_at_size(self, debt_percent: int) -> Estimate:
        """Return the expected shortfall at this percentage of today's debt; each size is run once."""
        if debt_percent not in self.found:
            day = build_scenario_with_scaled_debt(self.day, self.vaults, self.symbol, debt_percent)
            (rows,) = self.run.run_outcomes([day])
            lost = get_column(day, rows, f"bad_debt_{self.symbol}")
            found = estimate_shortfall(lost, self.level)
            if lost.min() == lost.max():  # the same on every path
                found = Estimate(found.value, found.value, found.value)
            self.found[debt_percent] = found
        return self.found[debt_percent]

    def find_largest_debt_size(self, is_within: Callable[[Estimate], bool]) -> int | None:
        """Return the largest size [%] for which `is_within` is true, by bisection.

        None if the least tried size is not within the limit.
        """
        low, high = 0, self.most
        if self.most > 100:  # today's size is where most answers are near
            low, high = (100, self.most) if is_within(self.estimate_shortfall_at_size(100)) else (0, 100)
            while low and low < self.most and 2 * low < high:
                if not is_within(self.estimate_shortfall_at_size(2 * low)):
                    high = 2 * low
                    break
                low *= 2
        if high == self.most and is_within(self.estimate_shortfall_at_size(high)):
            return high
        while high - low > max(1, low // PRECISION):
            middle = (low + high) // 2
            low, high = (
                (middle, high) if is_within(self.estimate_shortfall_at_size(middle)) else (low, middle)
            )
        return low or None

    def to_frame(self, shortfall_limit: int) -> pd.DataFrame:
        """Return a table with a row for each tried size, the smallest first.

        `shortfall_limit` is in millionths of a stablecoin.
        """
        rows = []
        for size, risk in sorted(self.found.items()):
            figures = convert_estimate_to_integers(risk, "micro")
            said = "the data cannot tell"
            if risk.high is not None and risk.high <= shortfall_limit:
                said = "yes"
            elif risk.low is not None and risk.low > shortfall_limit:
                said = "no"
            rows.append(
                {"debt_wad": self.compute_debt_at_percent(size) * WAD, "of_today_bps": 100 * size}
                | {f"shortfall_{name}".replace("_value", ""): each for name, each in figures.items()}
                | {"within_the_limit": said}
            )
        return build_frame(rows)


def compute_safe_collateral(day: Scenario, symbol: str, debt: int) -> int:
    """Return the collateral [wad] that makes a debt [wad] safe, rounded up to the token's unit."""
    terms = next(each for each in day.parameters.collateral_types if each.symbol == symbol)
    unit = 10 ** (18 - terms.decimals)
    return div_up(_SAFE * debt * RAY, day.first_prices[symbol] * unit) * unit


def build_scenario_with_scaled_debt(
    scenario: Scenario, vaults: list[Vault], symbol: str, size_percent: int
) -> Scenario:
    """Return a scenario in which one type's debts are this percentage of today's, at equal ratios.

    Debts are rounded down, and collateral up to the token's unit. The debt floor shrinks with the vaults, and
    ceilings leave room for them. If the debt shrinks, one practically safe vault draws the difference, as
    pools and keepers need the stablecoins.
    """
    types, book = [], [vault for vault in vaults if vault.symbol != symbol]
    for each in scenario.parameters.collateral_types:
        if each.symbol == symbol:
            unit = 10 ** (18 - each.decimals)
            for vault in vaults:
                if vault.symbol == symbol:
                    locked = div_up(vault.locked * size_percent, 100 * unit) * unit
                    book.append(replace(vault, debt=vault.debt * size_percent // 100, locked=locked))
            debt_floor = max(1, min(each.debt_floor, each.debt_floor * size_percent // 100))
            each = replace(each, debt_floor=debt_floor, debt_ceiling=MAX_DEBT_CEILING)
        types.append(each)
    rest = sum(vault.debt for vault in vaults) - sum(vault.debt for vault in book)
    if rest > 0:
        locked = compute_safe_collateral(scenario, symbol, rest)
        book.append(Vault("the rest", symbol, locked, max(rest, debt_floor * WAD)))
    parameters = replace(
        scenario.parameters, collateral_types=tuple(types), global_debt_ceiling=MAX_GLOBAL_DEBT_CEILING
    )
    return replace(scenario, parameters=parameters, vaults=tuple(book), generated={}, book_total=0)
