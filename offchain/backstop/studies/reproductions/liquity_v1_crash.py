"""A day of falling prices on Liquity v1: a drawn book, a feed, keepers, and owners that add collateral.

All values are integers: one seed gives one book on every machine. Amounts, prices and ratios are in wad,
shares in basis points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from backstop.model.arithmetic import BASIS_POINTS, WAD, div_up
from backstop.randomness import SeededRandom
from backstop.studies.peer_liquidations.liquity_v1 import (
    LEAST_RATIO,
    NOTHING_TO_LIQUIDATE,
    RECOVERY_RATIO,
    ClosedTrove,
    LiquityV1System,
)
from backstop.studies.peer_liquidations.vector_case import PeerRefusalError
from backstop.studies.self_hedge.second_prices_from_bars import list_prices_for_every_second

SERIES = "eth-2021-05-19"
UNIT_OF_SERIES = 10**10
"""Factor from prices of the series to wad."""
HEARTBEAT = 3_600
"""Longest time between two prices of the feed [seconds]."""
BATCH = 40
"""Troves that a keeper names in one call."""
LARGEST, DEPOSITOR = "largest", "depositors"


class Report(NamedTuple):
    """Price that the feed reports [wad], and its second of the day."""

    at: int
    price: int


@dataclass(frozen=True)
class CrashAssumptions:
    """Assumptions about the day.

    `ratio_spread` and `are_sizes_equal` say how the ratios and sizes of the other troves are distributed.
    """

    troves: int
    system_ratio: int  # before the day
    other_debt: int  # of all troves but the largest
    largest_collateral: int  # of one trove, at the system's ratio; 0 for none that stands out
    pool_share: int  # of all debt, deposited
    ratio_spread: str = "even"
    are_sizes_equal: bool = False
    reacting_share: int = 5_000  # of owners
    looking_interval: int = 3_600  # after which owners look again [seconds]
    is_largest_watchful: bool = True  # it reacts to each price
    feed_step: int = 50  # least move that the feed reports


class DrawnTrove(NamedTuple):
    """Trove at the start of the day, and whether its owner adds collateral when the price falls."""

    owner: str
    collateral: int
    debt: int
    is_reacting: bool


@dataclass(frozen=True)
class CrashFigures:
    """Results of one simulated day; amounts are in wad of LUSD or ether."""

    normal: int  # troves closed in normal mode
    recovery: int  # troves closed in recovery mode
    above_least_ratio: int  # troves closed at 110% or more
    entries: int  # times that recovery mode began
    offset_debt: int
    pool_collateral: int
    spread_debt: int
    surplus: int  # collateral that owners may claim
    forfeited: int  # worth, less debt, that owners of troves of 110% or more lost [LUSD]
    bad_debt: int  # beyond collateral: the pool's as it takes debt over, open troves' at the close
    pool_result: int  # ether received, at the closing price, less the debt taken over [LUSD]

    @property
    def liquidated(self) -> int:
        """Number of troves that were liquidated in either mode."""
        return self.normal + self.recovery


@cache
def list_feed_reports(seed: int, feed_step: int) -> list[Report]:
    """Return the feed's reports of the day, one for each move of `feed_step` basis points.

    At least one price an hour is reported.
    """
    prices = list_prices_for_every_second(SERIES, seed)
    last = Report(0, prices[0])
    reports = [last]
    for at, price in enumerate(prices):
        if abs(price - last.price) * BASIS_POINTS >= last.price * feed_step or at - last.at >= HEARTBEAT:
            last = Report(at, price)
            reports.append(last)
    return [Report(at, price * UNIT_OF_SERIES) for at, price in reports]


def draw_crash_book(assumptions: CrashAssumptions, price: int, seed: int) -> list[DrawnTrove]:
    """Return random troves with the assumed debt and system ratio at this price.

    Sizes follow Zipf's law in random order, or are equal. Each ratio is 110% plus a random part of one common
    distance, which gives the assumed ratio of the system.
    """
    dice = SeededRandom(seed, "liquity-may-2021")
    largest = assumptions.largest_collateral
    count = assumptions.troves - bool(largest)
    order = sorted(range(1, count + 1), key=lambda _: dice.draw_bits())
    weights = [WAD if assumptions.are_sizes_equal else WAD // rank for rank in order]
    total = sum(weights)
    debts = [assumptions.other_debt * weight // total for weight in weights]
    parts = [_draw_part(dice, assumptions.ratio_spread) for _ in debts]
    mean = sum(debt * part for debt, part in zip(debts, parts, strict=True)) // sum(debts)
    distance = assumptions.system_ratio - LEAST_RATIO
    book = []
    for number, (debt, part) in enumerate(zip(debts, parts, strict=True)):
        ratio = LEAST_RATIO + distance * part // mean
        is_reacting = dice.draw_index(BASIS_POINTS) < assumptions.reacting_share
        book.append(DrawnTrove(f"trove_{number}", div_up(debt * ratio, price), debt, is_reacting))
    if largest:
        book.append(DrawnTrove(LARGEST, largest, largest * price // assumptions.system_ratio, True))
    return book


def _draw_part(dice: SeededRandom, ratio_spread: str) -> int:
    """Draw a part of the distance above 110% with mean 1 [wad]: uniform, many low, or near the mean."""
    uniform = dice.draw_index(WAD)
    if ratio_spread == "low":
        return 3 * uniform * uniform // WAD
    return 2 * uniform if ratio_spread == "even" else WAD // 2 + uniform


def play_crash(
    book: Sequence[DrawnTrove],
    reports: Sequence[Report],
    assumptions: CrashAssumptions,
    *,
    has_recovery_mode: bool = True,
) -> CrashFigures:
    """Simulate the reported prices on these troves, and return the day's figures.

    After each price keepers liquidate first. Owners then add collateral if their interval has passed.
    """
    day = _CrashDay(book, reports[0].price, assumptions, has_recovery_mode)
    looked_at = 0
    for report in reports:
        day.apply_price(report.price)
        if report.at - looked_at >= assumptions.looking_interval:
            looked_at = report.at
            day.add_collateral_of_reacting_owners()
    return day.collect_figures()


class _CrashDay:
    """State of the day: the Liquity system, its troves in order of ratio, and prices at liquidations."""

    def __init__(
        self,
        book: Sequence[DrawnTrove],
        price: int,
        assumptions: CrashAssumptions,
        has_recovery_mode: bool,
    ) -> None:
        self.system = LiquityV1System(has_recovery_mode, price)
        for each in book:
            self.system.book.open_trove(each.owner, each.collateral, each.debt)
        deposit = self.system.book.get_totals()[1] * assumptions.pool_share // BASIS_POINTS
        self.system.apply_operation({"op": "provide", "who": DEPOSITOR, "amount": deposit})
        self.is_watchful = assumptions.is_largest_watchful and LARGEST in self.system.book.troves
        self.reacting = [each.owner for each in book if each.is_reacting]
        self.owners: list[str] = []
        self.prices: list[int] = []
        self.entries, self.was_in_recovery = 0, False
        self._sort_owners()

    def apply_price(self, price: int) -> None:
        """Set the price, and liquidate until no trove can be liquidated.

        A watchful owner of the largest trove adds collateral first.
        """
        self.system.price = price
        if self.is_watchful:
            self._add_collateral(LARGEST)
        self.entries += self.system.is_in_recovery() and not self.was_in_recovery
        while batch := self._list_unsafe_owners():
            try:
                self.system.apply_operation({"op": "liquidate", "batch": batch})
            except PeerRefusalError as refusal:
                if refusal.reason != NOTHING_TO_LIQUIDATE:
                    raise
                break
            closed = self.system.closed[len(self.prices) :]
            self.prices += [price] * len(closed)
            if any(each.split.spread_debt for each in closed):
                self._sort_owners()
            else:
                self.owners = [owner for owner in self.owners if owner in self.system.book.troves]
        self.was_in_recovery = self.system.is_in_recovery()

    def add_collateral_of_reacting_owners(self) -> None:
        """Add collateral to each trove of a reacting owner below 150%, up to that ratio."""
        for owner in self.reacting:
            self._add_collateral(owner)
        self._sort_owners()

    def _add_collateral(self, owner: str) -> None:
        book = self.system.book
        if owner in book.troves and book.compute_ratio(owner, self.system.price) < RECOVERY_RATIO:
            collateral, debt = book.get_entire(owner)
            book.add_collateral(owner, div_up(debt * RECOVERY_RATIO, self.system.price) - collateral)

    def _sort_owners(self) -> None:
        """Sort owners by their troves' ratio.

        A watchful owner is left out, as its trove is never below 150%.
        """
        book = self.system.book
        self.owners = sorted(
            (owner for owner in book.troves if not (self.is_watchful and owner == LARGEST)),
            key=lambda owner: book.compute_ratio(owner, WAD * WAD),
        )

    def _list_unsafe_owners(self) -> list[str]:
        """Return up to BATCH owners of liquidatable troves, lowest ratio first.

        At least one trove of the system is left out, as the last trove cannot be liquidated.
        """
        system, limit = self.system, LEAST_RATIO
        if system.is_in_recovery():
            limit = max(limit, system.compute_system_ratio())
        batch: list[str] = []
        for owner in self.owners[: min(BATCH, len(system.book.troves) - 1)]:
            if system.book.compute_ratio(owner, system.price) >= limit:
                break
            batch.append(owner)
        return batch

    def collect_figures(self) -> CrashFigures:
        """Return the figures of the day, valued at the last price."""
        system, closed = self.system, self.system.closed
        high = [
            (each, price)
            for each, price in zip(closed, self.prices, strict=True)
            if each.ratio >= LEAST_RATIO
        ]
        recovery = sum(each.was_in_recovery for each in closed)
        offset_debt = sum(each.split.offset_debt for each in closed)
        collateral = sum(each.split.pool_collateral for each in closed)
        bad_debt = sum(map(_compute_pool_loss, closed, self.prices))
        for owner in system.book.troves:
            held, debt = system.book.get_entire(owner)
            bad_debt += max(0, debt - held * system.price // WAD)
        return CrashFigures(
            normal=len(closed) - recovery,
            recovery=recovery,
            above_least_ratio=len(high),
            entries=self.entries,
            offset_debt=offset_debt,
            pool_collateral=collateral,
            spread_debt=sum(each.split.spread_debt for each in closed),
            surplus=sum(each.split.surplus for each in closed),
            forfeited=sum(_compute_forfeit(each, price) for each, price in high),
            bad_debt=bad_debt,
            pool_result=collateral * system.price // WAD - offset_debt,
        )


def _compute_forfeit(closed: ClosedTrove, price: int) -> int:
    """Return the worth of the collateral taken from a trove, less its debt [LUSD]."""
    split = closed.split
    taken = split.pool_collateral + split.spread_collateral + split.compensation
    return taken * price // WAD - split.offset_debt - split.spread_debt


def _compute_pool_loss(closed: ClosedTrove, price: int) -> int:
    """Return the pool's debt from a trove beyond the collateral's worth [LUSD], at least 0."""
    return max(0, closed.split.offset_debt - closed.split.pool_collateral * price // WAD)
