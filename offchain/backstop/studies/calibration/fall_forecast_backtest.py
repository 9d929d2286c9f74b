"""Back-test: how often the past exceeded what the law had forecast from the time before.

The law is fitted anew every month to the moves so far, and forecasts the fall of a day that one day in so
many exceeds. Kupiec's test asks whether that many days did; Christoffersen's, whether they came one by one.
Beside each stands its power: how often it would notice a law that is wrong. A test that says nothing and
would notice nothing is no comfort.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log as natural
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import binom, chi2

from backstop.errors import BackstopError
from backstop.simulation.scenario.deterministic_float import Floats
from backstop.simulation.sources.book_reader import VaultBook
from backstop.simulation.sources.price_reader import PriceHistory
from backstop.studies.calibration.jackknife import round_figure
from backstop.studies.calibration.log_returns import LogReturns, build_log_returns
from backstop.studies.calibration.return_distributions import (
    MOST_DEGREES,
    compute_mean_standardised_moves,
    fit_jumps,
    fit_student_t,
)
from backstop.studies.calibration.scenario_calibration import BLOCK, LAWS, find_priced_assets
from backstop.studies.stress.path_statistics import estimate_share

if TYPE_CHECKING:
    import pandas as pd

LEVELS = (9_500, 9_900)
"""Levels of the forecasts [bps]: so many days are not to exceed them."""

SIGNIFICANCE = 0.05
WORSE = 2
"""A wrong law is one under which so many times as many days exceed the forecast."""

CLUSTERED = 0.25
"""For Christoffersen's power: how likely a day exceeds the forecast after one that did."""

ENOUGH = 0.5
"""Power under which a test that rejects nothing tells nothing."""

_LEAST_DAYS = 60
_MONTH = 30
_DRAWN = 4_000_000  # moves of a forecast
_CHAINS = 1_000
_SEED = 1


def back_test(book: VaultBook, prices: PriceHistory, *, law: str | None = None) -> pd.DataFrame:
    """Test whether daily price drops exceeded their forecasts as often as they should.

    The distribution of returns is refitted every 30 days to the earlier returns. It forecasts the drop that
    one day in 20 (level 95%) or in 100 (99%) exceeds. The first half of the days only serves the first fit.

    - `book`: vaults; their types with debt decide which assets are tested.
    - `prices`: history of prices.
    - `law`: "tails" (Student's t) or "jumps" (Merton's). By default "jumps" if the returns are longer
      than a minute, otherwise "tails".

    The table has a row for each asset and level, with the columns:

    - `asset`, `level_bps`: the asset's symbol, and the level in basis points.
    - `days`, `exceeded_days`, `expected_days`: tested days, days with a larger drop than forecast, and
      their expected number.
    - `rate_share`, `rate_low_share`, `rate_high_share`: share of exceeded days with its 95% interval.
    - `kupiec_p`, `kupiec_power`: p-value of Kupiec's test of that share, and its power if twice as many
      days exceed the forecast.
    - `christoffersen_p`, `christoffersen_power`: the same for Christoffersen's test of independent days.
    - `verdict`: "holds", "the data cannot tell", or the fault of the forecast.

    Raises BackstopError for an unknown law, and with fewer than 60 days to test.
    """
    import pandas as pd

    if law is not None and law not in LAWS:
        raise BackstopError(f"law: {law!r} is not one of: {', '.join(LAWS)}")
    chosen = prices.select_assets(find_priced_assets(book))
    moves = build_log_returns(chosen, chosen.symbols, max(prices.every, BLOCK))
    kind = law or ("jumps" if moves.step > BLOCK else "tails")
    days = moves.aggregate_days()
    tested = len(days.table) - len(days.table) // 2
    if tested < _LEAST_DAYS:
        raise BackstopError(
            f"{prices.name}: has {len(days.table)} whole days, and a back-test needs {2 * _LEAST_DAYS}: give "
            "a longer history"
        )
    rows = [
        row
        for symbol in moves.symbols
        if moves.get_returns(symbol).any()
        for row in run_coverage_tests(symbol, _list_exceeded_days_by_level(moves, days, symbol, kind))
    ]
    return pd.DataFrame(rows)


def run_coverage_tests(symbol: str, exceeded: dict[int, list[bool]]) -> list[dict[str, object]]:
    """Return a row for each level: observed and expected exceedances, p-values, power and verdict.

    `exceeded` says for each level and day whether the drop exceeded its forecast. The tests are those of
    Kupiec and Christoffersen.
    """
    found = []
    for level, days in exceeded.items():
        rate, count, hits = 1 - level / 10_000, len(days), sum(days)
        estimate = estimate_share(hits, count)
        kupiec, apart = kupiec_p(hits, count, rate), christoffersen_p(days)
        powers = kupiec_power(count, rate), christoffersen_power(count, rate)
        found.append(
            {
                "asset": symbol,
                "level_bps": level,
                "days": count,
                "exceeded_days": hits,
                "expected_days": round_figure(count * rate),
                "rate_share": round_figure(estimate.value),
                "rate_low_share": round_figure(estimate.low or 0.0),
                "rate_high_share": round_figure(1.0 if estimate.high is None else estimate.high),
                "kupiec_p": round_figure(kupiec),
                "kupiec_power": round_figure(powers[0]),
                "christoffersen_p": round_figure(apart),
                "christoffersen_power": round_figure(powers[1]),
                "verdict": _choose_verdict(kupiec, apart, powers[0], hits > count * rate),
            }
        )
    return found


def _choose_verdict(kupiec: float, apart: float, power: float, more: bool) -> str:
    if kupiec < SIGNIFICANCE:
        return "too many days exceed it" if more else "too few days exceed it"
    if apart < SIGNIFICANCE:
        return "bad days come together"
    return "holds" if power >= ENOUGH else "the data cannot tell"


# ----------------------------------------------------------------------- tests


def _compute_log_likelihood(hits: int, of: int, rate: float) -> float:
    """Return the log likelihood of `hits` exceedances among `of` days, in one order, at this rate."""
    missed = of - hits
    return (hits * natural(rate) if hits else 0.0) + (missed * natural(1 - rate) if missed else 0.0)


def kupiec_p(hits: int, of: int, rate: float) -> float:
    """Return the p-value of Kupiec's likelihood ratio test of an exceedance rate.

    `hits` of `of` days exceed the forecast. The expected rate is `rate`.
    """
    ratio = 2 * (_compute_log_likelihood(hits, of, hits / of) - _compute_log_likelihood(hits, of, rate))
    return float(chi2.sf(max(0.0, ratio), 1))


def kupiec_power(of: int, rate: float, worse: float = WORSE) -> float:
    """Return the exact power of Kupiec's test if the true rate is `worse` times `rate`."""
    rejected = [hits for hits in range(of + 1) if kupiec_p(hits, of, rate) < SIGNIFICANCE]
    return float(np.sum(binom.pmf(rejected, of, min(1.0, worse * rate))))


def christoffersen_p(days: Sequence[bool]) -> float:
    """Return the p-value of Christoffersen's test that exceedances are independent of each other.

    `days` says in order which days exceed the forecast. The result is 1 without any exceedance.
    """
    return float(_compute_independence_p(np.array([days], dtype=bool))[0])


def christoffersen_power(of: int, rate: float) -> float:
    """Return the power of Christoffersen's test against clustered exceedances.

    After a day with an exceedance, the next day exceeds with chance 1/4. The long-run rate of exceedances
    stays `rate`. The power is simulated with a fixed seed.
    """
    uniform = np.random.default_rng(_SEED).random((_CHAINS, of))
    calm = rate * (1 - CLUSTERED) / (1 - rate)  # so that the rate is the same in the long run
    found = np.zeros((_CHAINS, of), dtype=bool)
    found[:, 0] = uniform[:, 0] < rate
    for day in range(1, of):
        found[:, day] = uniform[:, day] < np.where(found[:, day - 1], CLUSTERED, calm)
    return float(np.mean(_compute_independence_p(found) < SIGNIFICANCE))


def _compute_independence_p(days: np.ndarray) -> Floats:
    """Return the p-value of Christoffersen's independence test for each row of days."""
    before, after = days[:, :-1], days[:, 1:]
    calm = [np.sum(~before & ~after, axis=1), np.sum(before & ~after, axis=1)]
    hits = [np.sum(~before & after, axis=1), np.sum(before & after, axis=1)]
    ratios = []
    for calm0, calm1, hit0, hit1 in zip(*calm, *hits, strict=True):
        apart = _compute_best_rate_log_likelihood(int(hit0), int(calm0)) + _compute_best_rate_log_likelihood(
            int(hit1), int(calm1)
        )
        ratios.append(
            max(0.0, 2 * (apart - _compute_best_rate_log_likelihood(int(hit0 + hit1), int(calm0 + calm1))))
        )
    p: Floats = chi2.sf(np.array(ratios), 1)
    return p


def _compute_best_rate_log_likelihood(exceeded_days: int, calm_days: int) -> float:
    """Return the log likelihood of exceeded and calm days at the rate that maximises it."""
    return (
        _compute_log_likelihood(
            exceeded_days, exceeded_days + calm_days, exceeded_days / (exceeded_days + calm_days)
        )
        if exceeded_days + calm_days
        else 0.0
    )


# -------------------------------------------------------------------- forecasts


def _list_exceeded_days_by_level(
    moves: LogReturns, days: LogReturns, symbol: str, law: str
) -> dict[int, list[bool]]:
    """Return, by level, whether the price drop exceeded its forecast on each day of the second half."""
    found: dict[int, list[bool]] = {level: [] for level in LEVELS}
    count = days.step // moves.step
    half, falls = len(days.table) // 2, days.get_returns(symbol)
    forecasts: dict[int, float] = {}
    for day in range(half, len(falls)):
        if (day - half) % _MONTH == 0:
            # Only what was known when the day began.
            known = moves.get_returns(symbol)[np.asarray(moves.places) < days.places[day] * count]
            forecasts = forecast_falls(known, count, law)
        for level in LEVELS:
            found[level].append(bool(falls[day] < forecasts[level]))
    return found


def forecast_falls(known: Floats, count: int, law: str) -> dict[int, float]:
    """Return, by level [bps], the log return over `count` steps that a share 1 - level stays under.

    The distribution `law` is fitted to the returns `known`.
    """
    table = known[:, None]
    index = compute_mean_standardised_moves(table)
    random = np.random.default_rng(_SEED)
    shape = max(2_000, _DRAWN // 10 // count), count
    jumping = fit_jumps(table, index) if law == "jumps" else None
    if jumping is not None:
        times = random.binomial(count, jumping.chance, shape[0])
        calm = jumping.deviations[0] * np.sqrt(count) * random.standard_normal(shape[0])
        jumped = jumping.means[0] * times + jumping.spreads[0] * np.sqrt(times) * random.standard_normal(
            shape[0]
        )
        sums = calm + jumped
    else:
        tails = fit_student_t(table, index)
        drawn = random.standard_normal(shape)
        if law == "tails" and tails.degrees < 0.9 * MOST_DEGREES:
            mixing = random.standard_gamma(tails.degrees / 2, shape)
            drawn *= np.sqrt((tails.degrees - 2) / (2 * mixing))
        sums = tails.deviations[0] * np.sum(drawn, axis=1)
    return {level: float(np.quantile(sums, 1 - level / 10_000)) for level in LEVELS}
