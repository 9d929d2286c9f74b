"""A book through a period, compared with history: with reacting owners, and with idle owners.

The scenario has the book at the beginning, the prices of the period and the owners' behavior; a file of
events has the history. Only vaults of the book count: events of later vaults are listed apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from backstop.errors import BackstopError
from backstop.model.arithmetic import BASIS_POINTS, WAD
from backstop.simulation.progress_and_interruption import RunInterruptedError
from backstop.simulation.scenario import Scenario
from backstop.simulation.sources.price_reader import format_utc_time
from backstop.studies.data_frames import build_frame
from backstop.studies.risk_questions.path_runner import PathRunner, build_vaults, load_with_changes
from backstop.studies.risk_questions.vault_changes import (
    EventTable,
    VaultChange,
    VaultChangeReader,
    load_event_mapping,
    read_event_tables,
)

if TYPE_CHECKING:
    import pandas as pd

    from backstop.simulation.sources.table_reader import Source

PATHS = 200
DAY = 86_400
LEVEL = 9_500
"""Part of the paths that an interval holds [bps]."""
MICRO = 10**6

HISTORY, STILL, REACTING = "history", "still", "reacting"
_AMOUNTS = ("liquidated", "repaid", "drawn")  # stablecoins
_COINS = ("seized", "added", "withdrawn")


@dataclass
class VaultHistory:
    """Changes of one vault in the period: debts and coins [wad], and its liquidation."""

    debt: int = 0
    liquidated: int = 0
    repaid: int = 0
    drawn: int = 0
    seized: int = 0
    added: int = 0
    withdrawn: int = 0
    liquidated_at: int | None = None  # seconds from the start, of the first liquidation
    price_sum: float = 0.0  # of the market's prices at liquidations, each times the debt


class HistoryComparison(NamedTuple):
    """Tables and sentences that compare a simulated book with history."""

    figures: pd.DataFrame
    days: pd.DataFrame
    vaults: pd.DataFrame
    sentence: str
    besides: tuple[str, ...]


def history(
    scenario: str | Path | Scenario,
    events: Source | Sequence[Source],
    *,
    like: str | Path = "events",
    columns: Mapping[str, str] | None = None,
    fixed: Mapping[str, str] | None = None,
    decimals: Mapping[str, str | int] | None = None,
    only: Mapping[str, str] | None = None,
    rename: Mapping[str, str] | None = None,
    floats: bool = False,
    symbol: str | None = None,
    paths: int = PATHS,
    seed: int = 1,
    runner: PathRunner | None = None,
) -> HistoryComparison:
    """Compare a scenario's simulated owners with the owners' acts in history.

    The scenario needs a section `owners`. All paths have the same prices and different draws of owners, so
    that the interval is due to owners alone. It holds 95% of the paths. Events outside the scenario's time do
    not count.

    - `scenario`: name, file or Scenario.
    - `events`: file or table of events, or several of the same time.
    - `like`: name or file of a column mapping of the form `events`.
    - `columns`, `fixed`, `decimals`, `only`, `rename`: fields that override those of the mapping.
    - `floats`: whether amounts may be floating-point numbers, which are refused by default.
    - `symbol`: collateral type of the events. It is needed if the scenario has several types.
    - `paths`, `seed`: number of paths, and the seed of all draws. The fast engine runs the paths.
    - `runner`: PathRunner to use instead of `paths` and `seed`.

    The result has these fields:

    - `figures`: table with the columns `figure`, `of` (unit), `history`, `still` (idle owners, one path),
      `reacting` (mean of the paths), `low`, `high`, `within`, `factor_still` and `factor`. `within` is
      "yes" if the interval contains history. The factors are simulation over history.
    - `days`: cumulative debt liquidated and repaid to the end of each day. The columns are `day`,
      `liquidated_history_micro`, `liquidated_still_micro`, `liquidated_micro` with its interval (`_low_`,
      `_high_`), and the same for `repaid`.
    - `vaults`: a row for each vault, largest debt first, with its acts in history and on the paths.
      `chance_bps` is the chance of a liquidation, and `difference` says how the vault differs from
      history.
    - `sentence`, `besides`: the result in a sentence, and remarks.

    Raises BackstopError if no event belongs to a vault of the scenario within its time.
    """
    run = runner or PathRunner(paths, seed)
    day = load_with_changes(scenario)
    if day.owners is None:
        raise BackstopError(
            f"{day.name}: has no section `owners`: fit one with fit-owners, and add it to the scenario"
        )
    if len(day.symbols) > 1 and symbol is None:
        raise BackstopError(f"{day.name} has {', '.join(day.symbols)}: give --symbol, whose events these are")
    chosen = symbol or day.symbols[0]
    if chosen not in day.symbols:
        raise BackstopError(f"{chosen!r} is not one of the scenario's: {', '.join(day.symbols)}")
    mapping = load_event_mapping(like, columns, fixed, decimals, only, rename)
    return _HistoryReplay(day, chosen, run).compare_with_events(read_event_tables(events, mapping, floats))


class _HistoryReplay:
    """Simulation of one scenario's vaults, and their history from events."""

    def __init__(self, day: Scenario, symbol: str, run: PathRunner) -> None:
        self.day, self.symbol, self.run = day, symbol, run
        self.opened = build_vaults(day, run.seed)
        self.book = [vault for vault in self.opened if vault.symbol == symbol and vault.debt]
        self.vaults = {vault.owner: VaultHistory(debt=vault.debt) for vault in self.book}
        self.days = -(-day.duration // DAY)
        self.daily = np.zeros((self.days, 2))
        self.strangers: set[str] = set()
        self.strange_debt = 0
        engine = self._open_engine(replace(day, owners=None))
        self.prices = engine.get_market_prices(0, day.symbols.index(symbol))

    def compare_with_events(self, table: EventTable) -> HistoryComparison:
        """Simulate the vaults with reacting and with idle owners, and compare both with the events."""
        begin, end, events = self.day.start, self.day.start + self.day.duration, table.events
        counted = [each for each in events if begin < each.time.value <= end]
        if not counted:
            first, last = format_utc_time(events[0].time.value), format_utc_time(events[-1].time.value)
            raise BackstopError(
                f"{table.name}: none of its events, of {first} to {last}, is within the scenario's time, "
                f"{format_utc_time(begin)} to {format_utc_time(end)}: give those of that time"
            )
        if not {each.account for each in counted} & set(self.vaults):
            raise BackstopError(
                f"{table.name}: none of its accounts owns a vault of {self.day.name}: "
                f"{counted[0].account!r} is not among {', '.join(list(self.vaults)[:3])}, ...: give both the "
                "same names"
            )
        reader = VaultChangeReader(self.day, self.symbol, self.opened, table)
        for change in reader.list_changes():
            self._add_change(change)
        self.strangers = {each.account for each in counted} - set(self.vaults)
        still, still_days = self._play_paths(replace(self.day, owners=None), 1)
        found, by_day = self._play_paths(self.day, self.run.paths)
        figures = [*self._list_figures(still, found)]
        return HistoryComparison(
            build_frame(figures),
            build_frame(self._list_days(still_days, by_day)),
            build_frame(self._list_vaults(still, found)),
            self._write_sentence(figures),
            (*self._list_remarks(table.name, len(counted), len(events)), *reader.list_remarks()),
        )

    # ------------------------------------------------------------------- events

    def _add_change(self, change: VaultChange) -> None:
        """Add an event's change to its vault's history.

        Liquidations of vaults outside the book are summed separately.
        """
        vault, at = self.vaults.get(change.account), change.time - self.day.start
        if vault is None:
            self.strange_debt += max(0, -change.debt) if change.is_liquidation else 0
            return
        day = min(self.days - 1, at // DAY)
        if change.is_liquidation:
            owed = max(0, -change.debt)
            if vault.liquidated_at is None:
                vault.liquidated_at = at
            vault.liquidated += owed
            vault.price_sum += self._get_price(at) * owed
            self.daily[day, 0] += owed / WAD
            vault.seized += max(0, -change.locked)
            return
        repaid = max(0, -change.debt)
        vault.repaid += repaid
        self.daily[day, 1] += repaid / WAD
        vault.drawn += max(0, change.debt)
        vault.added += max(0, change.locked)
        vault.withdrawn += max(0, -change.locked)

    def _get_price(self, at: int) -> float:
        """Return the market's price, `at` seconds after the start [stablecoins]."""
        return float(self.prices[at // self.day.block_time])

    # -------------------------------------------------------------------- paths

    def _open_engine(self, day: Scenario) -> Any:
        from backstop.studies.stress.fast import FastEngine  # numba takes seconds to load

        return FastEngine(day, self.run.seed)

    def _play_paths(self, day: Scenario, paths: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the activity of each vault on each path, in the order of the book, and the daily sums."""
        engine = self._open_engine(day)
        of_type = [
            place
            for place, vault in enumerate(build_vaults(day, self.run.seed))
            if vault.symbol == self.symbol and vault.debt
        ]
        found, by_day = [], []
        for path in range(paths):
            if self.run.stop():
                raise RunInterruptedError(f"stopped after {path} of {paths} paths")
            self.run.progress(path, paths, "paths")
            engine.run_one_path(path)
            found.append(engine.list_activity_by_book()[of_type])
            by_day.append(engine.daily[: self.days].copy())
        return np.array(found), np.array(by_day)

    # ------------------------------------------------------------------- tables

    def _list_figures(self, still: np.ndarray, found: np.ndarray) -> list[dict[str, Any]]:
        """Return a row for each figure: history, idle owners, and reacting owners with their interval."""
        happened = list(self.vaults.values())
        measured: list[tuple[str, str, float | None, np.ndarray, np.ndarray]] = []

        def add_figure(name: str, unit: str, was: float | None, of: Any) -> None:
            measured.append((name, unit, was, of(still), of(found)))

        add_figure(
            "vaults liquidated",
            "vaults",
            float(sum(each.liquidated > 0 for each in happened)),
            lambda rows: (rows["liquidated"] > 0).sum(axis=1).astype(float),
        )
        for name in _AMOUNTS:
            add_figure(
                f"debt {name}" if name == "liquidated" else name,
                "stablecoins",
                sum(getattr(each, name) for each in happened) / WAD,
                lambda rows, name=name: rows[name].sum(axis=1),
            )
        for name in _COINS:
            add_figure(
                name,
                self.symbol,
                sum(getattr(each, name) for each in happened) / WAD,
                lambda rows, name=name: (
                    rows[name].sum(axis=1) + (rows["sold"].sum(axis=1) if name == "withdrawn" else 0)
                ),
            )
        price_sum, owed = sum(each.price_sum for each in happened), sum(each.liquidated for each in happened)
        add_figure(
            "price at liquidation",
            "stablecoins",
            price_sum / owed if owed else None,
            lambda rows: _divide_or_nan(rows["price"].sum(axis=1), rows["liquidated"].sum(axis=1)),
        )
        times = [each.liquidated_at for each in happened if each.liquidated_at is not None]
        add_figure(
            "time of the first liquidations, median",
            "hours",
            float(np.median(times)) / 3_600 if times else None,
            lambda rows: np.array(
                [
                    np.median(row["liquidated_at"][row["liquidated"] > 0]) / 3_600
                    if (row["liquidated"] > 0).any()
                    else np.nan
                    for row in rows
                ]
            ),
        )
        return [_build_figure(*each) for each in measured]

    def _list_days(self, still: np.ndarray, found: np.ndarray) -> list[dict[str, Any]]:
        """Return a row for each day: debt liquidated and repaid from the start to the day's end."""
        rows = []
        was, stood, reacted = (np.cumsum(each, axis=-2) for each in (self.daily, still[0], found))
        low, high = np.percentile(reacted, _get_ends(), axis=0)
        mean = reacted.mean(axis=0)
        for day in range(self.days):
            row: dict[str, Any] = {"day": format_utc_time(self.day.start + day * DAY)[:10]}
            for column, name in enumerate(("liquidated", "repaid")):
                row |= {
                    f"{name}_history_micro": _to_micro(was[day, column]),
                    f"{name}_still_micro": _to_micro(stood[day, column]),
                    f"{name}_micro": _to_micro(mean[day, column]),
                    f"{name}_low_micro": _to_micro(low[day, column]),
                    f"{name}_high_micro": _to_micro(high[day, column]),
                }
            rows.append(row)
        return rows

    def _list_vaults(self, still: np.ndarray, found: np.ndarray) -> list[dict[str, Any]]:
        """Return a row for each vault, largest debt first: its acts in history and on the paths."""
        rows = []
        for place, vault in enumerate(self.book):
            was = self.vaults[vault.owner]
            chance = float((found["liquidated"][:, place] > 0).mean())
            rows.append(
                {
                    "vault": vault.owner,
                    "debt_wad": str(vault.debt),
                    "repaid_history_wad": str(was.repaid),
                    "repaid_micro": _to_micro(found["repaid"][:, place].mean()),
                    "added_history": round(was.added / WAD, 3),
                    "added": round(float(found["added"][:, place].mean()), 3),
                    "liquidated_history_wad": str(was.liquidated),
                    "liquidated_still_micro": _to_micro(still["liquidated"][0, place]),
                    "liquidated_micro": _to_micro(found["liquidated"][:, place].mean()),
                    "chance_bps": round(chance * BASIS_POINTS),
                    "difference": _explain_difference(was, bool(still["liquidated"][0, place] > 0), chance),
                }
            )
        return sorted(rows, key=lambda row: (-int(row["debt_wad"]), row["vault"]))

    # ---------------------------------------------------------------- sentences

    def _write_sentence(self, figures: Sequence[Mapping[str, Any]]) -> str:
        """Return a sentence that compares liquidated vaults and debt with history."""
        vaults, debt = figures[0], figures[1]
        within = "contains" if debt["within"] == "yes" else "does not contain"
        return (
            f"History liquidated {vaults['history']:,.0f} vaults and {debt['history']:,.0f} stablecoins; "
            f"with owners who react it is {vaults['reacting']:,.0f} vaults ({vaults['low']:,.0f} to "
            f"{vaults['high']:,.0f}), and the interval of the debt, {debt['low']:,.0f} to "
            f"{debt['high']:,.0f}, {within} history; the book that stands still: {vaults['still']:,.0f} "
            f"vaults, {debt['still']:,.0f}."
        )

    def _list_remarks(self, name: str, counted: int, read: int) -> list[str]:
        largest = sorted((vault.debt for vault in self.book), reverse=True)
        ten = largest[:10]
        share = sum(ten) * 1_000 // max(1, sum(largest)) / 10
        found = [
            f"{name}: {counted:,} of {read:,} events are of the scenario's time.",
            f"The largest {len(ten)} vaults owe {share:g}% of the debt: the number of vaults can be "
            "forecast, the debt only within an interval.",
            "A file of events has no auction proceeds, so no loss is compared.",
        ]
        if self.strangers:
            found.append(
                f"{len(self.strangers):,} accounts of {name} have no vault in the book and are left out"
                + (
                    f", with {self.strange_debt / WAD:,.0f} stablecoins liquidated."
                    if self.strange_debt
                    else "."
                )
            )
        return found


def _explain_difference(was: VaultHistory, still_liquidated: bool, chance: float) -> str:
    """Return the owner's acts in words, with the outcome on paths or of idle owners if it differs."""
    done = [word for word, amount in (("repaid", was.repaid), ("added", was.added)) if amount] or ["waited"]
    acts = " and ".join(done)
    if was.liquidated:
        return f"{acts}, liquidated" + ("" if chance >= 0.5 else f"; in {chance:.0%} of paths")
    if still_liquidated:
        return f"{acts}, saved" + ("" if chance < 0.5 else f"; liquidated in {chance:.0%} of paths")
    return acts + ("" if chance < 0.5 else f"; liquidated in {chance:.0%} of paths")


def _build_figure(
    name: str, unit: str, was: float | None, still: np.ndarray, found: np.ndarray
) -> dict[str, Any]:
    """Return the row of a figure: history, idle owners, and reacting owners with their interval.

    Paths without the figure do not count, for example paths without a liquidation for its price.
    """
    known = found[~np.isnan(found)]
    low, high = (float(each) for each in np.percentile(known, _get_ends())) if len(known) else (None, None)
    mean = float(known.mean()) if len(known) else None
    first = float(still[0])
    within = "" if was is None or low is None or high is None else "yes" if low <= was <= high else "no"
    return {
        "figure": name,
        "of": unit,
        "history": _round_figure(was),
        "still": None if np.isnan(first) else _round_figure(first),
        "reacting": _round_figure(mean),
        "low": _round_figure(low),
        "high": _round_figure(high),
        "within": within,
        "factor_still": _compute_factor(None if np.isnan(first) else first, was),
        "factor": _compute_factor(mean, was),
    }


def _compute_factor(figure: float | None, was: float | None) -> float | None:
    """Return a figure as a multiple of history; None if either is missing or history is 0."""
    return round(figure / was, 2) if figure is not None and was else None


def _round_figure(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _divide_or_nan(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.where(other > 0, one / np.where(other > 0, other, 1), np.nan)


def _get_ends() -> tuple[float, float]:
    """Return the percentiles between which a share LEVEL of the paths lies."""
    outside = (BASIS_POINTS - LEVEL) / 200
    return outside, 100 - outside


def _to_micro(stablecoins: float) -> int:
    return round(float(stablecoins) * MICRO)
