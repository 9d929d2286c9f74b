"""Correlations of prices: usually, and on the worst days.

Both are correlations of the normal numbers behind two prices, which a scenario takes as well. Usually: by
Kendall's tau, that of any elliptical law with any tails. In crashes: by how often both have one of their
worst days at once. For normal moves the two are the same, so that a difference is due to crashes and not to
selection: plain correlations of selected days differ for normal moves too.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sin, sqrt

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri, owens_t
from scipy.stats import kendalltau

from backstop.simulation.scenario.deterministic_float import Floats
from backstop.studies.calibration.jackknife import (
    Figure,
    compute_figure_with_jackknife_interval,
    cut_jackknife_stretches,
    drop_stretch,
    round_figure,
)
from backstop.studies.stress.path_statistics import estimate_share

WORST = 20
"""The worst days are one in so many."""

_EDGE = 1 - 1e-6


@dataclass(frozen=True)
class PairCorrelation:
    """Correlation of two prices, usually and in crashes.

    `shared` is the number of worst days that both prices have in common, of `worst` days.
    """

    usual: Figure
    crash: Figure
    shared: int
    worst: int


def measure_correlation(moves: tuple[Floats, Floats], days: tuple[Floats, Floats]) -> PairCorrelation:
    """Measure the correlation of two prices, usually and in crashes.

    `moves` has the returns of both prices, and `days` their daily returns, which serve for crashes.
    """
    one, other = moves
    cuts = cut_jackknife_stretches(len(one))
    parts = [
        _estimate_correlation_from_kendall_tau(drop_stretch(one, cut), drop_stretch(other, cut))
        for cut in cuts
    ]
    usual = compute_figure_with_jackknife_interval(
        _estimate_correlation_from_kendall_tau(one, other), parts, "correlation"
    )
    worst = len(days[0]) // WORST
    lowest = [set(np.argsort(each, kind="stable")[:worst].tolist()) for each in days]
    shared = len(lowest[0] & lowest[1])
    of = worst / len(days[0])
    found = estimate_share(shared, worst)
    ends = (
        None if end is None else round_figure(solve_tail_correlation(end, of))
        for end in (found.low, found.high)
    )
    return PairCorrelation(
        usual, Figure(round_figure(solve_tail_correlation(found.value, of)), *ends), shared, worst
    )


def _estimate_correlation_from_kendall_tau(one: Floats, other: Floats) -> float:
    """Return the correlation that Kendall's tau implies; 0 if a price never moves."""
    tau = float(kendalltau(one, other).statistic)
    return 0.0 if tau != tau else sin(pi / 2 * tau)


def solve_tail_correlation(shared: float, worst: float) -> float:
    """Return the correlation of normal returns that share this part of their worst days.

    `worst` is the share of days that count as worst. `shared` is the part of one price's worst days that are
    worst days of the other price too. The result is -1 if `shared` is 0.
    """
    if shared <= 0:
        return -1.0
    cut = float(ndtri(worst))

    def excess(correlation: float) -> float:
        bend = float(owens_t(cut, sqrt((1 - correlation) / (1 + correlation))))
        return float(ndtr(cut)) - 2 * bend - shared * worst

    if excess(-_EDGE) >= 0:
        return -1.0
    if excess(_EDGE) <= 0:
        return 1.0
    return float(brentq(excess, -_EDGE, _EDGE, xtol=1e-9))
