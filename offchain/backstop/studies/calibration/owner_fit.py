"""How owners react, measured from events: every parameter with its interval, and how well the law fits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from backstop.errors import BackstopError
from backstop.randomness import SeededRandom
from backstop.simulation.scenario.deterministic_float import compute_natural_log, exp
from backstop.simulation.scenario.owner_behavior import DEFENCES, PARTS, RELEASES
from backstop.simulation.sources.price_reader import format_utc_time
from backstop.studies.calibration.jackknife import Figure, round_figure
from backstop.studies.calibration.owner_acts import ActLaw, measure_act_law
from backstop.studies.calibration.owner_estimates import (
    DISTANCES,
    FALLS,
    LEAST_ACTS,
    RELEASE_DISTANCES,
    SUREST,
    Integers,
    OwnerCounts,
    OwnerForecast,
    OwnerRates,
    compute_chances,
    estimate_rates,
    get_place,
    is_defence,
)
from backstop.studies.calibration.owner_history import DAY, OwnerAct, OwnerHistory
from backstop.studies.calibration.owner_section import (
    OwnerLaw,
    format_points,
    read_owner_law,
    write_owner_section,
)

if TYPE_CHECKING:
    import pandas as pd

DRAWS = 200
"""Draws of owners, with replacement, that an interval is made of."""
_SHOWN_FALLS = (500, 1_000, 1_500, 2_000, 3_000)
_TAIL = 40  # one draw in so many is outside of an interval of 95%, on each side
_RULE_OF_THREE = 3
"""Nothing in n hours: the chance is under 3 / n, with 95%."""


@dataclass(frozen=True)
class OwnerParameter:
    """Parameter of the scenario section `owners`, with its interval and the counts behind it."""

    name: str  # its place in the section
    of: str
    unit: str  # share, x
    figure: Figure
    count: int  # hours, acts or owners that it was measured on
    acts: int
    is_measured: bool


@dataclass(frozen=True)
class FitQuality:
    """Log likelihoods of the hours with and without a defence.

    They are those of the fitted law, of the default law and of one constant chance.
    """

    law: float
    default: float
    constant: float  # of one chance in every hour
    constant_chance: float


@dataclass(frozen=True)
class OwnerFit:
    """Measured behavior of owners: parameters with intervals, fit quality, and the data behind them."""

    histories: tuple[OwnerHistory, ...]
    law: OwnerLaw
    parameters: tuple[OwnerParameter, ...]
    quality: FitQuality
    distances: pd.DataFrame  # calibration: defences observed and expected at each distance
    days: pd.DataFrame  # the same on each day
    falls: pd.DataFrame  # the same after each fall, under the liquidation price and above it
    seed: int
    draws: int
    default_text: str  # the default law's section

    @property
    def unmeasured(self) -> tuple[str, ...]:
        """Names of the parameters that the events could not measure, and that keep their default."""
        return tuple(f"{each.name} {each.of}".strip() for each in self.parameters if not each.is_measured)

    def to_frame(self) -> pd.DataFrame:
        """Return a table with one row for each parameter.

        The columns are `parameter`, `of`, `unit`, `value`, the ends `low` and `high` of the 95% interval,
        `measured_on` (hours, acts or owners), `acts` and `measured`.
        """
        import pandas as pd

        rows = [
            (each.name, each.of, each.unit, *each.figure, each.count, each.acts, each.is_measured)
            for each in self.parameters
        ]
        columns = ["parameter", "of", "unit", "value", "low", "high", "measured_on", "acts", "measured"]
        return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(("value", "low", "high"), float))

    def to_yaml(self) -> str:
        """Return the scenario section `owners` as YAML, with comments on the histories behind it."""
        told = [
            f"Measured from {each.name}: {format_utc_time(each.first)} to {format_utc_time(each.last)}, "
            f"{each.vaults:,} vaults, {len(each.hours):,} hours of vaults, "
            f"{sum(map(is_defence, each.hours)):,} defences."
            for each in self.histories
        ]
        if self.unmeasured:
            told.append(f"Not measured, and the default: {', '.join(self.unmeasured)}.")
        return write_owner_section(self.law, told)

    def to_summary(self) -> dict[str, Any]:
        """Return all results as plain values for JSON."""
        return {
            "histories": [_summarise_history(each) for each in self.histories],
            "parameters": [
                {
                    **{"name": each.name, "of": each.of, "unit": each.unit, "value": each.figure.value},
                    **{"low": each.figure.low, "high": each.figure.high, "measured_on": each.count},
                    **{"acts": each.acts, "measured": each.is_measured},
                }
                for each in self.parameters
            ],
            "not_measured": list(self.unmeasured),
            "log_likelihood": {
                "law": self.quality.law,
                "default": self.quality.default,
                "constant": self.quality.constant,
                "constant_chance": self.quality.constant_chance,
            },
            "calibration_by_distance": self.distances.to_dict("records"),
            "calibration_by_day": self.days.to_dict("records"),
            "calibration_by_fall": self.falls.to_dict("records"),
            "seed": self.seed,
            "draws": self.draws,
        }


def fit_owners(
    histories: Sequence[OwnerHistory],
    *,
    seed: int = 1,
    draws: int = DRAWS,
    large_debt: int = 1_000_000,
    default: OwnerLaw | None = None,
) -> OwnerFit:
    """Measure how vault owners react to prices, from one history or several (docs/how-to/owners.md).

    - `histories`: histories from `read_owner_history`. Owners of two histories are different owners, even
      with equal names.
    - `seed`: seed of the bootstrap.
    - `draws`: number of times that owners are drawn with replacement for the 95% intervals, at least 40.
    - `large_debt`: debt in dollars from which a vault counts as large. Large debts get a factor of their
      own if its interval lies wholly on one side of 1.
    - `default`: law that replaces parameters which the hours cannot measure. None is the package's
      law.

    The result has these fields:

    - `law`: the measured law of owners. `to_yaml()` writes it as the scenario section `owners`.
    - `parameters`: each parameter with its interval and counts. `to_frame()` makes a table of them.
    - `quality`: log likelihoods of the law, of the default and of one constant chance.
    - `distances`, `days`, `falls`: tables of observed and expected defences.
    - `unmeasured`: names of the parameters that keep their default.
    - `histories`, `seed`, `draws`, `default_text`: the input, and the default's section as text.

    Raises BackstopError without a history, and with fewer than 40 draws.
    """
    if not histories:
        raise BackstopError("histories: are missing: read one with read_owner_history")
    if draws < _TAIL:
        raise BackstopError(f"draws: {draws} are too few for an interval: give {_TAIL} or more")
    return _OwnerFitting(tuple(histories), seed, draws, large_debt, default or read_owner_law()).build_fit()


class _OwnerFitting:
    """Computation of an OwnerFit from histories: counts, acts and the default law."""

    def __init__(
        self, histories: tuple[OwnerHistory, ...], seed: int, draws: int, large_debt: int, default: OwnerLaw
    ) -> None:
        self.histories, self.seed, self.draws, self.large_debt = histories, seed, draws, large_debt
        self.default = default
        self.counts = OwnerCounts(histories, large_debt)
        self.measured = self.counts.find_measured_parts()
        self.start = default.rates
        if default.large_debt != large_debt and not self.measured.large:
            self.start = replace(self.start, large=1.0)
        self.acts: dict[tuple[str, ...], list[tuple[int, OwnerAct]]] = {DEFENCES: [], RELEASES: []}
        first = 0
        for history in histories:
            for each in history.hours:
                if each.act is not None:
                    self.acts[DEFENCES if is_defence(each) else RELEASES].append(
                        (first + each.owner, each.act)
                    )
            first += len(history.owners)

    def build_fit(self) -> OwnerFit:
        drawn = [self._draw_owners(i) for i in range(self.draws)]
        rates, parameters = self._measure_rates(drawn)
        large = next(each for each in parameters if each.name == "defend.large")
        debt = None if large.is_measured else self.default.large_debt
        if large.is_measured and (
            _is_above_one(large.figure.low) or _is_above_one(large.figure.high) is False
        ):
            debt = self.large_debt
        elif large.is_measured:  # the law that is written has no such factor: measure the others without it
            self.start, self.measured = replace(rates, large=1.0), replace(self.measured, large=False)
            rates, parameters = self._measure_rates(drawn)
            parameters = [large if each.name == "defend.large" else each for each in parameters]
        laws = {}
        for ways, prefix in ((DEFENCES, "defend"), (RELEASES, "release")):
            laws[prefix], found = self._measure_acts(prefix, ways, drawn)
            parameters += found
        law = OwnerLaw(rates, debt, laws["defend"], laws["release"])
        return OwnerFit(
            *(self.histories, law, tuple(parameters), self._judge_fit(rates)),
            *self._build_calibration(rates),
            seed=self.seed,
            draws=self.draws,
            default_text=write_owner_section(self.default, []),
        )

    def _measure_rates(self, drawn: Sequence[Integers]) -> tuple[OwnerRates, list[OwnerParameter]]:
        rates = estimate_rates(self.counts, self.start, self.measured)
        drawn_rates = [estimate_rates(self.counts, rates, self.measured, each) for each in drawn]
        return rates, list(self._list_rate_parameters(rates, drawn_rates))

    def _draw_owners(self, number: int) -> Integers:
        """Return how often each owner appears in bootstrap sample number `number`."""
        count = self.counts.owner_count
        random = SeededRandom(self.seed, "owners", number)
        return np.bincount([random.draw_index(count) for _ in range(count)], minlength=count)

    # --------------------------------------------------------------- parameters

    def _list_rate_parameters(
        self, rates: OwnerRates, drawn: Sequence[OwnerRates]
    ) -> Iterator[OwnerParameter]:
        counts, measured = self.counts, self.measured
        hours = counts.hours.sum(axis=0).reshape(counts.shape)
        acts = counts.defences.sum(axis=0).reshape(counts.shape)
        both = [rates, *drawn]
        near = counts.is_near
        yield _build_parameter(
            *("idle", "", "share", [each.idle for each in both]),
            *(int(near.sum()), int((near & ~counts.is_actor).sum()), measured.idle),
        )
        for i, of in enumerate(list_range_texts(DISTANCES)):
            yield _build_parameter(
                *("defend.chances", of, "share", [each.chances[i] for each in both]),
                *(int(hours[i].sum()), int(acts[i].sum()), measured.chances[i]),
            )
        for i, fall in enumerate(FALLS[1:], 1):
            of = f"fall of {format_points(fall)}"
            yield _build_parameter(
                *("defend.factors", of, "x", [each.factors[i] for each in both]),
                *(int(hours[:, 1:].sum()), int(acts[:, 1:].sum()), measured.factors),
            )
        yield _build_parameter(
            *("defend.large", f"{self.large_debt:,} or more", "x", [each.large for each in both]),
            *(int(hours[..., 1].sum()), int(acts[..., 1].sum()), measured.large),
        )
        for i, of in enumerate(list_range_texts(RELEASE_DISTANCES)):
            yield _build_parameter(
                *("release.chances", of, "share", [each.releases[i] for each in both]),
                *(int(counts.release_hours[:, i].sum()), int(counts.releases[:, i].sum())),
                measured.releases[i],
            )

    def _measure_acts(
        self, prefix: str, ways: tuple[str, ...], drawn: Sequence[Integers]
    ) -> tuple[ActLaw, list[OwnerParameter]]:
        """Return the distribution of acts in one direction, and its parameters.

        With too few acts, the default's distribution is returned.
        """
        acts = self.acts[ways]
        has = len(acts) >= LEAST_ACTS
        law = self.default.defend if ways is DEFENCES else self.default.release
        laws: list[ActLaw] = []
        if has:
            law = measure_act_law(((act, 1) for _, act in acts), ways)
            samples = [[(act, int(times[owner])) for owner, act in acts] for times in drawn]
            laws = [measure_act_law(each, ways) for each in samples if any(times for _, times in each)]
        found = []
        for i, way in enumerate(ways):
            figure = _build_figure(law.ways[i], [each.ways[i] for each in laws])
            did = sum(act.way == way for _, act in acts)
            found.append(OwnerParameter(f"{prefix}.ways", way, "share", figure, len(acts), did, has))
        for i in range(PARTS + 1):
            figure = _build_figure(law.sizes[i], [each.sizes[i] for each in laws])
            of = f"quantile {100 * i // PARTS}%"
            found.append(OwnerParameter(f"{prefix}.sizes", of, "share", figure, len(acts), len(acts), has))
        figure = _build_figure(law.least / 10_000, [each.least / 10_000 for each in laws])
        left = sum(act.distance_after is not None for _, act in acts)
        found.append(OwnerParameter(f"{prefix}.least", "", "share", figure, left, left, has))
        return law, found

    # ------------------------------------------------------------------ quality

    def _judge_fit(self, rates: OwnerRates) -> FitQuality:
        """Return the log likelihoods of all hours with and without a defence.

        An owner without a defence is idle, or chose not to defend in any hour.
        """
        hours, acts = int(self.counts.hours.sum()), int(self.counts.defences.sum())
        chance = acts / hours
        constant = 0.0
        if 0 < acts < hours:
            constant = acts * compute_natural_log(chance) + (hours - acts) * compute_natural_log(1 - chance)
        return FitQuality(
            round(self._sum_log_likelihood(rates), 3),
            round(self._sum_log_likelihood(self._get_default_rates()), 3),
            round(constant, 3),
            round_figure(chance),
        )

    def _get_default_rates(self) -> OwnerRates:
        """Return the default's rates.

        The factor of large debts is 1 if the default has another bound.
        """
        if self.default.large_debt == self.large_debt:
            return self.default.rates
        return replace(self.default.rates, large=1.0)

    def _sum_log_likelihood(self, rates: OwnerRates) -> float:
        chances = compute_chances(rates)
        yes = compute_natural_log(np.maximum(1e-9, chances))
        no = compute_natural_log(1 - np.minimum(SUREST, chances))
        total = 0.0
        for hours, acts in zip(self.counts.hours, self.counts.defences, strict=True):
            log = float(np.sum(np.where(acts > 0, acts * yes, 0.0))) + float(np.sum((hours - acts) * no))
            if acts.any():
                total += log + compute_natural_log(max(1e-9, 1 - rates.idle))
            else:
                total += compute_natural_log(
                    max(1e-300, rates.idle + (1 - rates.idle) * exp(max(-700.0, log)))
                )
        return total

    def _build_calibration(self, rates: OwnerRates) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        """Return tables of observed and expected defences, by distance, by day and by price drop.

        Each hour is forecast from the owner's earlier acts. An owner with many occasions and no act is more
        likely idle.
        """
        forecasts = [OwnerForecast(each, self.large_debt) for each in (rates, self._get_default_rates())]
        by_distance: dict[str, list[float]] = {of: [0, 0, 0, 0] for of in list_range_texts(DISTANCES)}
        by_day: dict[int, list[float]] = {}
        by_fall: dict[str, list[float]] = {of: [0] * 6 for of in list_range_texts(_SHOWN_FALLS)}
        texts, fall_texts = list(by_distance), list(by_fall)
        first = 0
        for history in self.histories:
            for each in history.hours:
                expected = [forecast.forecast_defence(first + each.owner, each) for forecast in forecasts]
                for line in (
                    by_distance[texts[get_place(DISTANCES, each.distance)]],
                    by_day.setdefault(each.time // DAY, [0, 0, 0, 0]),
                ):
                    line[0] += 1
                    line[1] += is_defence(each)
                    line[2] += expected[0]
                    line[3] += expected[1]
                place = 0 if each.distance < 0 else 3
                line = by_fall[fall_texts[get_place(_SHOWN_FALLS, each.fall)]]
                line[place] += 1
                line[place + 1] += is_defence(each)
                line[place + 2] += expected[0]
            first += len(history.owners)
        days = {_format_day(day): line for day, line in by_day.items()}
        both = ("hours", "observed", "expected", "expected_by_default")
        split = ("under_0_hours", "observed_under_0", "expected_under_0", *both[:3])
        return (
            _build_frame("distance", both, by_distance),
            _build_frame("day", both, days),
            _build_frame("fall", split, by_fall),
        )


def _build_frame(name: str, columns: Sequence[str], lines: Mapping[str, Sequence[float]]) -> pd.DataFrame:
    """Return a table with one row per entry: counts as integers, expected counts with two decimals."""
    import pandas as pd

    rows = [
        (
            of,
            *(
                round(value, 2) if column.startswith("expected") else int(value)
                for column, value in zip(columns, line, strict=True)
            ),
        )
        for of, line in lines.items()
    ]
    return pd.DataFrame(rows, columns=[name, *columns])


def _format_day(day: int) -> str:
    return datetime.fromtimestamp(day * DAY, UTC).strftime("%Y-%m-%d")


def _is_above_one(end: float | None) -> bool | None:
    """Return whether an interval's end is above 1; None if it is exactly 1 or None."""
    return None if end is None or end == 1 else end > 1


def _build_parameter(
    name: str, of: str, unit: str, values: Sequence[float], count: int, acts: int, is_measured: bool
) -> OwnerParameter:
    """Return a parameter from its value, `values[0]`, and its bootstrap values.

    A measured chance without any act has the upper end 3 / `count` (rule of three).
    """
    figure = _build_figure(values[0], values[1:] if is_measured else [])
    if is_measured and not acts and name.endswith("chances"):
        figure = Figure(figure.value, 0.0, round_figure(min(1.0, _RULE_OF_THREE / count)))
    return OwnerParameter(name, of, unit, figure, count, acts, is_measured)


def _build_figure(value: float, drawn: Sequence[float]) -> Figure:
    """Return a figure with the bootstrap interval that leaves out one draw in forty on each side."""
    if not drawn:
        return Figure(round_figure(value), None, None)
    ordered, place = sorted(drawn), (len(drawn) + 1) // _TAIL
    return Figure(round_figure(value), round_figure(ordered[place - 1]), round_figure(ordered[-place]))


def list_range_texts(bounds: Sequence[int]) -> list[str]:
    """Return the texts of the ranges between bounds: `under 0%`, `0% to 2%`, ..., `80% or more`."""
    texts = [format_points(each) for each in bounds]
    between = [f"{one} to {other}" for one, other in pairwise(texts)]
    return [f"under {texts[0]}", *between, f"{texts[-1]} or more"]


def _summarise_history(history: OwnerHistory) -> dict[str, Any]:
    under = {each.owner for each in history.hours if each.distance < 0}
    return {
        **{
            "name": history.name,
            "from": format_utc_time(history.first),
            "until": format_utc_time(history.last),
        },
        **{"vaults": history.vaults, "owners": len(history.owners), "vault_hours": len(history.hours)},
        **{"defences": sum(map(is_defence, history.hours)), "liquidated_vaults": history.liquidated},
        **{"releases": sum(each.act is not None and not is_defence(each) for each in history.hours)},
        **{"owners_under_the_liquidation_price": len(under), "told": list(history.told)},
    }
