"""Rates of owners' acts: chances by distance, factors of price drops and of large debts, idle owners.

The law: an owner is idle with some chance, and then never acts. Any other owner defends a vault within an
hour with the chance of its distance. That chance is multiplied by a factor of the price drop over a day (not
for a vault under the liquidation price), and by a factor if the debt is large, up to 100%. If the owner does
not defend, the owner releases with the chance of the distance.

Every parameter is set so that its expected count by the law is the observed one (the score equations of a
Poisson law). The counts are defences at each distance, the sum of their price drops, defences of large debts,
and the owners that release at each distance at all. An owner without acts counts as idle with its posterior
chance. The share of the idle is the mean of that chance over owners that came near liquidation: the maximum
likelihood of a mixture, by expectation and maximisation. Rounds and order are fixed, sums are of whole arrays
or in order: one result on every processor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from backstop.model.arithmetic import WAD
from backstop.simulation.scenario.deterministic_float import Floats, compute_natural_log, exp
from backstop.simulation.scenario.owner_behavior import DEFENCES
from backstop.studies.calibration.owner_history import OwnerHistory, VaultHour

DISTANCES = (0, 200, 500, 1_000, 2_000, 4_000, 8_000)
RELEASE_DISTANCES = (2_000, 4_000, 8_000)
"""Bounds of the distances at which chances are measured, basis points."""
FALLS = (0, 1_000, 2_000, 3_000)
"""Falls of a day at which factors are given, basis points; between them a factor is linear."""
NEAR_HOURS = 3
"""Hours in which an owner's vaults would come near liquidation if no owner acted.

Such an owner counts as near liquidation. The state of vaults after their owners' acts says less: idle owners
stay near liquidation, while active owners move away.
"""
LEAST_HOURS = 20
LEAST_ACTS = 10
LEAST_OWNERS = 10
"""Least counts by which a chance, a distribution or factor, and the share of the idle are measured.

Without so many owners that came near and acted, idle owners cannot be told from small chances.
"""

_CELL = 100  # basis points of a fall
_CELLS = FALLS[-1] // _CELL + 2  # none, up to 1%, ..., up to 30%, more
_MOST_ROUNDS = 300
_SETTLED = 1e-6
SUREST = 0.99
"""Surest chance in likelihoods: the law's own 100%, where a factor takes it to its bound, is too sure."""
_STEEPEST = 1.5
_STEEPEST_ROUND = 0.5

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class OwnerRates:
    """Parameters of how often vault owners act: share of idle owners, chances and factors."""

    idle: float
    chances: tuple[float, ...]  # by DISTANCES
    factors: tuple[float, ...]  # by FALLS
    large: float
    releases: tuple[float, ...]  # by RELEASE_DISTANCES


@dataclass(frozen=True)
class MeasuredParts:
    """Flags that say which parameters a history can measure.

    The other parameters keep their given values.
    """

    idle: bool
    chances: tuple[bool, ...]
    factors: bool
    large: bool
    releases: tuple[bool, ...]


class OwnerCounts:
    """Hours and acts of each owner, counted by cell.

    A cell is a range of the distance from liquidation, of the price drop and of the debt's size.
    """

    def __init__(self, histories: Sequence[OwnerHistory], large_debt: int) -> None:
        self.owner_count = sum(len(history.owners) for history in histories)
        size = (len(DISTANCES) + 1) * _CELLS * 2
        self.shape = (len(DISTANCES) + 1, _CELLS, 2)
        hours, defences = (np.zeros((self.owner_count, size), dtype=np.int64) for _ in range(2))
        self.release_hours, self.releases = (
            np.zeros((self.owner_count, len(RELEASE_DISTANCES) + 1), dtype=np.int64) for _ in range(2)
        )
        first = 0
        for history in histories:
            for each in history.hours:
                owner, cell = first + each.owner, get_cell(each, large_debt)
                hours[owner, cell] += 1
                if is_defence(each):
                    defences[owner, cell] += 1
                    continue
                place = get_place(RELEASE_DISTANCES, each.distance)
                self.release_hours[owner, place] += 1
                self.releases[owner, place] += each.act is not None
            first += len(history.owners)
        near = [count for history in histories for count in history.near_hours]
        self.is_near = np.array(near, dtype=np.int64) >= NEAR_HOURS
        self.defences = defences
        self.hours = hours
        self.is_actor = (defences.sum(axis=1) + self.releases.sum(axis=1)) > 0
        # Hours of those who never acted, the only ones that may be idle, without the empty cells.
        self.row_owners, self.row_cells = np.nonzero(np.where(self.is_actor[:, None], 0, hours))
        self.row_hours = hours[self.row_owners, self.row_cells]

    def find_measured_parts(self) -> MeasuredParts:
        """Return which parameters have enough hours and acts to be measured."""
        hours = self.hours.sum(axis=0).reshape(self.shape)
        acts = self.defences.sum(axis=0).reshape(self.shape)
        steep = FALLS[1] // 2 // _CELL
        large = hours[..., 1].sum() >= LEAST_HOURS
        return MeasuredParts(
            idle=int((self.is_near & self.is_actor).sum()) >= LEAST_OWNERS,
            chances=tuple(bool(each >= LEAST_HOURS) for each in hours.sum(axis=(1, 2))),
            factors=bool(acts[:, steep:].sum() >= LEAST_ACTS <= acts[:, :steep].sum()),
            large=bool(large and acts[..., 1].sum() >= LEAST_ACTS <= acts[..., 0].sum()),
            releases=tuple(bool(each >= LEAST_HOURS) for each in self.release_hours.sum(axis=0)),
        )


def is_defence(hour: VaultHour) -> bool:
    """Return whether the owner made the vault safer within the hour."""
    return hour.act is not None and hour.act.way in DEFENCES


def get_place(bounds: Sequence[int], value: int) -> int:
    """Return how many bounds a value reaches: 0 below the first bound."""
    return sum(value >= bound for bound in bounds)


def get_cell(hour: VaultHour, large_debt: int) -> int:
    """Return the index of an hour's cell by distance, price drop and size of the debt.

    The drop is rounded up to 1%. Debts of `large_debt` stablecoins or more count as large.
    """
    fall = min(_CELLS - 1, -(-hour.fall // _CELL))
    return (get_place(DISTANCES, hour.distance) * _CELLS + fall) * 2 + (hour.debt >= large_debt * WAD)


def _list_cell_falls() -> Floats:
    """Return the price drop of each cell in units of FALLS[1]: the middle of its 1%.

    The first cell has 0, the last cell the largest value of FALLS.
    """
    middles = [(2 * each - 1) * _CELL / 2 / FALLS[1] for each in range(1, _CELLS - 1)]
    return np.array([0.0, *middles, float(len(FALLS) - 1)])


_CELL_FALLS = _list_cell_falls()


def compute_chances(rates: OwnerRates) -> Floats:
    """Return the chance in each cell that an active owner defends within an hour."""
    knots = np.array(rates.factors)
    low = np.minimum(_CELL_FALLS.astype(np.int64), len(FALLS) - 2)
    factors = knots[low] + (knots[low + 1] - knots[low]) * (_CELL_FALLS - low)
    chances = np.array(rates.chances)[:, None] * factors[None, :]
    chances[0] = rates.chances[0]  # of who stands under the liquidation price, whatever the fall
    both = np.stack([chances, chances * rates.large], axis=2)
    return np.minimum(1.0, both).reshape(-1)


def estimate_rates(
    counts: OwnerCounts, start: OwnerRates, measured: MeasuredParts, draws: Integers | None = None
) -> OwnerRates:
    """Estimate the rates from counts of hours and acts.

    Unmeasured rates keep their value of `start`. `draws` says how often each owner counts; by default each
    counts once.
    """
    draws = np.ones(counts.owner_count, dtype=np.int64) if draws is None else draws
    acted = (counts.defences * draws[:, None]).sum(axis=0).reshape(counts.shape)
    released = ((counts.releases > 0) * draws[:, None]).sum(axis=0)
    hours = (counts.hours * draws[:, None]).sum(axis=0)
    near = draws * counts.is_near
    slope = compute_natural_log(max(start.factors[1], 1e-3))
    rates = start
    for _ in range(_MOST_ROUNDS):
        before = rates
        idle = compute_idle_posteriors(counts, rates)
        if measured.idle and near.sum():
            share = float(np.sum(idle * near)) / int(near.sum())
            rates = replace(rates, idle=share)
        lost = np.bincount(
            counts.row_cells,
            weights=counts.row_hours * (idle * draws)[counts.row_owners],
            minlength=hours.size,
        )
        awake = hours - lost
        rates = replace(
            rates, releases=_scale_releases(counts, rates, released, (1 - idle) * draws, measured.releases)
        )
        expected = (awake * compute_chances(rates)).reshape(counts.shape)
        rates = replace(rates, chances=_scale_chances(rates.chances, acted, expected, measured.chances))
        if measured.factors:
            expected = (awake * compute_chances(rates)).reshape(counts.shape)
            slope += _compute_slope_step(acted[1:].sum(axis=2), expected[1:].sum(axis=2))
            slope = min(_STEEPEST, max(-_STEEPEST, slope))
            rates = replace(rates, factors=tuple(exp(slope * i) for i in range(len(FALLS))))
        if measured.large:
            expected = (awake * compute_chances(rates)).reshape(counts.shape)
            there = float(np.sum(expected[..., 1]))
            if there > 0:
                large = min(100.0, rates.large * float(acted[..., 1].sum()) / there)
                rates = replace(rates, large=large)
        if _is_settled(before, rates):
            break
    return rates


def _is_settled(before: OwnerRates, after: OwnerRates) -> bool:
    """Return whether no rate changed by more than a millionth, relative to itself.

    Small rates are compared with 0.001.
    """
    pairs = zip(
        (before.idle, before.large, *before.chances, *before.factors, *before.releases),
        (after.idle, after.large, *after.chances, *after.factors, *after.releases),
        strict=True,
    )
    return all(abs(new - old) <= _SETTLED * max(abs(old), 1e-3) for old, new in pairs)


def _scale_chances(
    chances: Sequence[float], acted: Integers, expected: Floats, measured: Sequence[bool]
) -> tuple[float, ...]:
    """Return chances scaled so that expected and observed defences at each distance are equal."""
    there, of = acted.sum(axis=(1, 2)).tolist(), expected.sum(axis=(1, 2)).tolist()
    found = []
    for i, before in enumerate(chances):
        if not measured[i]:
            found.append(before)
        elif not there[i]:
            found.append(0.0)
        else:  # a chance that a draw without defences made 0 begins again
            found.append(min(1.0, (before or 1e-3) * there[i] / of[i]) if of[i] > 0 else 1e-3)
    return tuple(found)


def _scale_releases(
    counts: OwnerCounts, rates: OwnerRates, released: Integers, weights: Floats, measured: Sequence[bool]
) -> tuple[float, ...]:
    """Return chances scaled so that expected and observed numbers of releasing owners are equal.

    Owners are counted, not releases, as a few owners close to liquidation make most releases.
    """
    logs = compute_natural_log(1 - np.minimum(SUREST, np.array(rates.releases)))
    expected = ((1 - exp(np.maximum(-700.0, counts.release_hours * logs))) * weights[:, None]).sum(axis=0)
    found = []
    for acted, of, before, is_measured in zip(
        released.tolist(), expected.tolist(), rates.releases, measured, strict=True
    ):
        scaled = min(1.0, (before or 1e-3) * acted / of) if of > 0 else 1e-3
        found.append(before if not is_measured else scaled if acted else 0.0)
    return tuple(found)


def _compute_slope_step(acted: Integers, expected: Floats) -> float:
    """Return Newton's step for the slope of the log factors.

    The step makes the expected sum of defences' price drops equal to the observed sum.
    """
    falls = _CELL_FALLS[None, :]
    score = float(np.sum(falls * (acted - expected)))
    totals, firsts = expected.sum(axis=1), (expected * falls).sum(axis=1)
    spread = (expected * falls * falls).sum(axis=1) - firsts * firsts / np.maximum(1e-300, totals)
    information = float(np.sum(spread))
    if information <= 0:
        return 0.0
    return min(_STEEPEST_ROUND, max(-_STEEPEST_ROUND, score / information))


def compute_quiet_logs(counts: OwnerCounts, rates: OwnerRates) -> Floats:
    """Return, for each owner, the log probability of no act if the owner is not idle.

    The result is 0 for an owner with an act.
    """
    logs = compute_natural_log(1 - np.minimum(SUREST, compute_chances(rates)))
    found = np.bincount(
        counts.row_owners, weights=counts.row_hours * logs[counts.row_cells], minlength=counts.owner_count
    ).astype(np.float64)
    of_releases = compute_natural_log(1 - np.minimum(SUREST, np.array(rates.releases)))
    for i, log in enumerate(of_releases):
        found += np.where(counts.is_actor, 0, counts.release_hours[:, i]) * log
    return np.asarray(found)


def compute_idle_posteriors(counts: OwnerCounts, rates: OwnerRates) -> Floats:
    """Return the posterior probability that each owner is idle, given the owner's acts.

    0 for an owner that acted.
    """
    quiet = exp(np.maximum(-700.0, compute_quiet_logs(counts, rates)))
    share = rates.idle / np.maximum(1e-300, rates.idle + (1 - rates.idle) * quiet)
    return np.where(counts.is_actor, 0.0, share)


class OwnerForecast:
    """Forecast of defences hour by hour, from each owner's acts so far."""

    def __init__(self, rates: OwnerRates, large_debt: int) -> None:
        self.rates, self.large_debt = rates, large_debt
        self.chances: list[float] = compute_chances(rates).tolist()
        self.quiet: dict[int, float] = {}  # by owner: chance of no act so far if not idle; 0: has acted

    def forecast_defence(self, owner: int, hour: VaultHour) -> float:
        """Return the chance that an owner defends a vault in an hour, and record the act of that hour."""
        quiet = self.quiet.get(owner, 1.0)
        chance = self.chances[get_cell(hour, self.large_debt)]
        awake = (1 - self.rates.idle) * quiet
        share = 1.0 if not quiet else awake / max(1e-300, self.rates.idle + awake)
        release = self.rates.releases[get_place(RELEASE_DISTANCES, hour.distance)]
        if quiet:
            after = max(1e-300, quiet * (1 - chance) * (1 - release))
            self.quiet[owner] = 0.0 if hour.act is not None else after
        return share * chance
