"""Price drops that one move in so many exceeds: the history's, compared with the measured law's.

A law with rare drops smaller than the history's own is too mild, at any likelihood. Drops over several moves
are of the law of their sum: with jumps a mixture of normal laws, by the number of jumps; with Student's t the
density of a move folded with itself. No random numbers are drawn.
"""

from __future__ import annotations

from math import expm1, sqrt
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri, stdtrit
from scipy.stats import binom
from scipy.stats import t as student

from backstop.simulation.scenario.deterministic_float import Floats
from backstop.simulation.sources.book_reader import VaultBook
from backstop.simulation.sources.price_reader import PriceHistory
from backstop.studies.calibration.calibration_estimates import Calibration, PriceFigures
from backstop.studies.calibration.fall_verdicts import choose_verdict
from backstop.studies.calibration.jackknife import CONFIDENCE, round_figure
from backstop.studies.calibration.log_returns import build_log_returns
from backstop.studies.calibration.return_distributions import MOST_DEGREES
from backstop.studies.calibration.scenario_calibration import YEAR, find_priced_assets

if TYPE_CHECKING:
    import pandas as pd

LEVELS = (100, 10)
"""Shares of moves that are worse [bps]: one in 100, one in 1,000."""
WINDOWS = (3_600, 86_400)
"""Over how long falls are [seconds]; moves that are further apart take the place of the first."""

_REACH = 60  # deviations of a sum that its density is computed for, on either side
_FINE = 16  # points in a deviation of one move


def compare_fall_quantiles(book: VaultBook, prices: PriceHistory, calibration: Calibration) -> pd.DataFrame:
    """Return a table that compares rare price drops of the history with those of the measured law.

    There is a row for each asset, window and level. Drops are shares of the price. Windows follow each other
    without overlap. With too few windows for the level the history's drop is None, as is an end of the
    interval that the windows do not bound. The interval has 95% and follows from order statistics, for any
    distribution.
    """
    import pandas as pd

    chosen = prices.select_assets(find_priced_assets(book))
    moves = build_log_returns(chosen, chosen.symbols, calibration.step)
    rows = []
    for each in calibration.prices:
        for window in dict.fromkeys(max(calibration.step, window) for window in WINDOWS):
            count = window // calibration.step
            seen = np.sort(moves.aggregate_steps(count).get_returns(each.symbol))
            for level in LEVELS:
                fall, low, high = estimate_fall_quantile(seen, level)
                law = compute_law_fall(each, calibration.step, count, level)
                rows.append(
                    {
                        "asset": each.symbol,
                        "window_seconds": count * calibration.step,
                        "level_bps": level,
                        "windows": len(seen),
                        "seen_share": fall,
                        "seen_low_share": low,
                        "seen_high_share": high,
                        "law_share": law,
                        "verdict": choose_verdict(law, low, high),
                    }
                )
    return pd.DataFrame(rows)


def estimate_fall_quantile(
    sorted_returns: Floats, level: int
) -> tuple[float | None, float | None, float | None]:
    """Return the price drop that a share `level` [bps] of the returns exceeds, with its interval.

    The result is (drop, low end, high end), as shares of the price. A value is None if the returns are too
    few for it.
    """
    count, share = len(sorted_returns), level / 10_000
    if count * level < 10_000:
        return None, None, None
    found = float(np.quantile(sorted_returns, share))
    # The true quantile is above the k-th smallest move if fewer than k of all are under it.
    tail = (1 - CONFIDENCE) / 2
    last, first = int(binom.ppf(tail, count, share)), int(binom.isf(tail, count, share)) + 1
    worst = None if last < 1 else float(sorted_returns[last - 1])
    mildest = None if first > count else float(sorted_returns[first - 1])
    return _to_fall(found), _to_fall_or_none(mildest), _to_fall_or_none(worst)


def compute_law_fall(price: PriceFigures, step: int, count: int, level: int) -> float:
    """Return the price drop over `count` steps that the fitted law exceeds with chance `level`.

    `level` is in basis points, and the drop is a share of the price.
    """
    deviation, share = price.volatility.value * sqrt(step / YEAR), level / 10_000
    if price.every is not None:
        return _to_fall(_compute_jump_law_quantile(price, deviation, step, count, share))
    degrees = None if price.degrees is None else price.degrees.value
    if degrees is None or degrees >= 0.9 * MOST_DEGREES:
        return _to_fall(deviation * sqrt(count) * float(ndtri(share)))
    scale = deviation * sqrt((degrees - 2) / degrees)
    if count == 1:
        return _to_fall(scale * float(stdtrit(degrees, share)))
    return _to_fall(_compute_summed_student_quantile(degrees, scale, deviation, count, share))


def _compute_jump_law_quantile(
    price: PriceFigures, deviation: float, step: int, count: int, share: float
) -> float:
    """Return a quantile of the log return over `count` steps of normal returns with jumps."""
    assert price.every is not None and price.mean is not None and price.deviation is not None
    chance = -expm1(-step / price.every.value)
    jumps = np.arange(int(binom.isf(1e-12, count, chance)) + 1)
    weights = binom.pmf(jumps, count, chance)
    means = jumps * price.mean.value
    spreads = np.sqrt(count * deviation**2 + jumps * price.deviation.value**2)

    def compute_excess(move: float) -> float:
        return float(np.sum(weights * ndtr((move - means) / spreads))) - share

    reach = 40 * float(spreads[-1]) + float(np.max(np.abs(means)))
    return float(brentq(compute_excess, -reach, reach, xtol=1e-12))


def _compute_summed_student_quantile(
    degrees: float, scale: float, deviation: float, count: int, share: float
) -> float:
    """Return a quantile of the sum of `count` log returns of Student's t.

    The density of the sum is the convolution of the density of one return.
    """
    fine = deviation / _FINE
    half = 1 << int(np.ceil(np.log2(_REACH * _FINE * sqrt(count))))
    places = np.arange(-half, half) * fine
    # Mass of each cell, so that the tails beyond the cells are all that is lost.
    mass = np.diff(student.cdf(np.append(places, places[-1] + fine) - fine / 2, degrees, scale=scale))
    summed = np.fft.irfft(np.fft.rfft(np.fft.ifftshift(mass)) ** count, 2 * half)
    below = np.cumsum(np.fft.fftshift(summed))
    return float(np.interp(share, below, places + fine / 2))


def _to_fall(logarithm: float) -> float:
    """Convert a log return to a price drop, a share of the price."""
    return round_figure(-expm1(logarithm))


def _to_fall_or_none(logarithm: float | None) -> float | None:
    return None if logarithm is None else _to_fall(logarithm)
