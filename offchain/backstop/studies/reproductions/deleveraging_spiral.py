"""Klages-Mundt's deleveraging spirals: their speculators on our prices.

A speculator owes L stablecoins against ether and chooses L' each day. The market's demand is D dollars of
them, at any number, so that one costs D/L', which is the meaning of `scarcity: 100%` in a scenario. With
collateral worth z, the leverage bound lam, the ratio beta and the expected growth r of ether, it maximises

    r*(z + D*(1 - L/L')) - L'        its maximum is at sqrt(r*L*D)
    within lam*(z + D*(1 - L/L')) >= beta*L'     a quadratic in L'; lam = 1 where no L' meets it otherwise

Growth, mean and variance of ether are learned with a memory of a tenth. A path stops when no L' keeps the
ratio. (In the paper also when a coin costs under 50 cents twice in a row: the supply would have to double.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from math import sqrt
from pathlib import Path
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from backstop.simulation.scenario import load_scenario
from backstop.simulation.scenario.deterministic_float import Floats, compute_natural_log, exp
from backstop.simulation.scenario.draw_scenario import draw_path_outcomes
from backstop.studies.reproductions.figure_comparison import (
    FigureRow,
    Reproduction,
    build_absolute_tolerance,
    build_percent_tolerance,
    build_row,
)

SCENARIO = Path(__file__).with_suffix(".yaml")
PATHS = 10_000
DAYS = 1_000
DEVIATION = 0.027925  # of ether's daily log returns, 2017 to 2018
GROWTH = 0.00162  # their mean
DEMAND, ETHER, RATIO = 100.0, 400.0, 1.5
MEMORY = 0.1
READ = Fraction("0.0003")  # precision of reading a published figure

SOURCES = (
    "Klages-Mundt and Minca, supplementary short paper, section 3.1: a spiral in four steps",
    "the same, DevCon V slides, 'Different Speculator Behaviors': daily volatility of the stablecoin over "
    "10,000 simulations of 1,000 days, read from the figures to about 0.0002",
    "Klages-Mundt and Minca, arXiv 1906.02152: stopping times are in figures alone, none of which is at hand",
)


@dataclass(frozen=True)
class Behaviour:
    """Rule for a speculator's leverage bound: lam = exp(-alpha * variance**power)."""

    name: str
    alpha: float
    power: float = 0.5


BEHAVIOURS = (
    Behaviour("VaRN.1", -NormalDist().inv_cdf(0.1)),
    Behaviour("VaRN.01", -NormalDist().inv_cdf(0.01)),
    Behaviour("VaRM.1", sqrt(1 / 0.2)),
    Behaviour("VaRM.01", sqrt(1 / 0.02)),
    Behaviour("AC1", 1 / 100, -0.25),
    Behaviour("AC2", 1 / 50, -0.25),
    Behaviour("RN", 0.0),
)
"""Behaviours: value at risk of normal returns and of the heaviest tails, against the cycle, unbounded."""


class ReturnsFigures(NamedTuple):
    """Distribution of ether's returns in a published figure, with the volatilities read from it.

    `lower` and `upper` have one percentile of the stablecoin's volatility for each behaviour.
    """

    title: str
    degrees: int  # of Student's t; 0 is normal
    mean: float
    scale: float  # of the deviation
    level: int  # the upper percentile; the lower one is 70
    bound: int  # per cent of the upper one
    lower: tuple[str, ...]
    upper: tuple[str, ...]


NORMAL = (
    ("0.0011", "0.0011", "0.0011", "0.0011", "0.0011", "0.0011", "0.0011"),
    ("0.0038", "0.0048", "0.0047", "0.0099", "0.0091", "0.0142", "0.0013"),
)
FIGURES = (
    ReturnsFigures(
        "t(3)", 3, 0.0, 1.0, 95, 10,
        ("0.0017", "0.0017", "0.0017", "0.0078", "0.0018", "0.0020", "0.0017"),
        ("0.0105", "0.0130", "0.0129", "0.0246", "0.0138", "0.0196", "0.0063"),
    ),
    ReturnsFigures(
        "t(3) with growth", 3, GROWTH, 1.0, 99, 25,
        ("0.0016", "0.0016", "0.0016", "0.0016", "0.0016", "0.0016", "0.0016"),
        ("0.0061", "0.0085", "0.0088", "0.0217", "0.0072", "0.0110", "0.0030"),
    ),
    ReturnsFigures("normal", 0, 0.0, 1.0, 95, 10, *NORMAL),
    ReturnsFigures("normal/sqrt(3)", 0, 0.0, 3**-0.5, 95, 10, *NORMAL),
)  # fmt: skip
"""Figures; the last scales normal draws like Student's, as the published code does by default."""


def reproduce_result(seed: int, paths: int = PATHS) -> Reproduction:
    """Simulate all speculator behaviours on `paths` paths, and compare the stablecoin's volatility."""
    rows, stops, drawn = build_rows_of_four_spiral_steps(), list[FigureRow](), dict[int, Floats]()
    for figure in FIGURES:
        if figure.degrees not in drawn:
            drawn[figure.degrees] = draw_returns(seed, paths, figure.degrees)
        returns = drawn[figure.degrees] * figure.scale + figure.mean
        for behaviour, *published in zip(BEHAVIOURS, figure.lower, figure.upper, strict=True):
            stopped, volatility = measure_stop_day_and_coin_volatility(returns, behaviour, figure.mean)
            name = f"{figure.title}, {behaviour.name}"
            for level, known in zip((70, figure.level), map(Fraction, published), strict=True):
                ours = _round_to_millionth_fraction(np.percentile(volatility[np.isfinite(volatility)], level))
                bound = (
                    build_absolute_tolerance(READ)
                    if known < 10 * READ
                    else build_percent_tolerance(figure.bound)
                )
                rows.append(
                    build_row(f"{name}: volatility, {level}%", ours, known, bound, places=4, source=2)
                )
            if figure is FIGURES[0]:
                for level in (5, 20):
                    days = int(np.percentile(stopped, level))
                    stops.append(build_row(f"{name}: stopping time, {level}%", days, unit="d", source=3))
    return Reproduction("spiral", "Deleveraging spirals", SOURCES, [*rows, *stops])


def _round_to_millionth_fraction(value: float) -> Fraction:
    return Fraction(round(value * 10**6), 10**6)


# -------------------------------------------------------------------------- prices


def draw_returns(seed: int, paths: int, degrees: int) -> Floats:
    """Draw daily log returns of ether with a mean of 0, [path, day], with a scenario's price model.

    `degrees` are the degrees of freedom of Student's t; 0 is the normal distribution.
    """
    scenario = load_scenario(str(SCENARIO))
    path = scenario.prices["ETH"]
    assert path.model is not None
    model = replace(path.model, degrees=degrees)
    scenario = replace(scenario, prices={**scenario.prices, "ETH": replace(path, model=model)})
    found = np.empty((paths, DAYS))
    for i in range(paths):
        found[i] = np.diff(compute_natural_log(draw_path_outcomes(scenario, seed, i).prices["ETH"].ticks))
    return found


# --------------------------------------------------------------------- speculators


def measure_stop_day_and_coin_volatility(
    returns: Floats, behaviour: Behaviour, growth: float
) -> tuple[Floats, Floats]:
    """Return the last day of a speculator on each path, and the stablecoin's daily volatility.

    Days count from 0. A path stops when no debt keeps the collateral ratio. `growth` is ether's expected
    growth.
    """
    paths, days = returns.shape
    debt, ether, coin, price = (np.full(paths, value) for value in (DEMAND, ETHER, 1.0, 1.0))
    opening = (growth, compute_natural_log(1 + growth), DEVIATION * DEVIATION)
    expected, mean, variance = (np.full(paths, value) for value in opening)
    stopped, running = np.full(paths, days - 1.0), np.ones(paths, dtype=bool)
    count, total, squares = np.zeros(paths), np.zeros(paths), np.zeros(paths)
    for day in range(days):
        move = returns[:, day]
        price = price * exp(move)
        expected += MEMORY * (move - expected)
        mean += MEMORY * (move - mean)
        variance += MEMORY * ((move - mean) ** 2 - variance)
        bound = exp(-behaviour.alpha * exp(behaviour.power * compute_natural_log(variance)))
        chosen, possible = choose_speculator_debt(debt, ether * price, exp(expected), bound)
        stopped[running & ~possible] = day
        running &= possible
        chosen = np.where(running, chosen, debt)
        after = np.where(running, DEMAND / chosen, coin)
        ether = ether + (chosen - debt) * after / price
        change = np.where(running, compute_natural_log(after / coin), 0)
        count, total, squares = count + running, total + change, squares + change * change
        debt, coin = chosen, after
    with np.errstate(invalid="ignore", divide="ignore"):
        return stopped, np.sqrt(np.maximum(squares / count - (total / count) ** 2, 0))


def choose_speculator_debt(
    debt: Floats, collateral_worth: Floats, expected_growth: Floats, leverage_bound: Floats
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Return the debt that a speculator moves to, and whether any debt keeps the collateral ratio.

    If none does within the speculator's leverage bound, the bound of 1 is used.
    """
    lowest, highest, within = _find_debt_range(debt, collateral_worth, leverage_bound)
    forced = _find_debt_range(debt, collateral_worth, np.ones_like(leverage_bound))
    lowest, highest = np.where(within, lowest, forced[0]), np.where(within, highest, forced[1])
    return np.clip(np.sqrt(expected_growth * debt * DEMAND), lowest, highest), within | forced[2]


def _find_debt_range(
    debt: Floats, worth: Floats, bound: Floats
) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
    """Return the lowest and highest debt x within the leverage bound, and whether any x exists.

    The condition is RATIO*x**2 - bound*(worth + DEMAND)*x + bound*debt*DEMAND <= 0.
    """
    linear = bound * (worth + DEMAND)
    under = linear**2 - 4 * RATIO * bound * debt * DEMAND
    root = np.sqrt(np.maximum(under, 0))
    return (linear - root) / (2 * RATIO), (linear + root) / (2 * RATIO), under >= 0


# -------------------------------------------------------------- a spiral in four steps

STEPS = (
    ("83", "-3.115", "97.468", "1.026", "1.761"),
    ("82", "-4.105", "93.363", "1.071", "1.708"),
    ("81", "-4.57", "88.793", "1.126", "1.644"),
)
"""Published steps: price of ether; change of supply, supply, price of a coin and ether left."""


FOUR = (
    ("change of supply", Fraction("0.01")),
    ("supply", Fraction("0.01")),
    ("price of a coin", Fraction("0.0015")),
    ("ether left", Fraction("0.0015")),
)
"""Bounds that the inputs' last digits leave open.

Half a digit of the ether, 1.8, alone moves the supply by 0.09.
"""


def build_rows_of_four_spiral_steps() -> list[FigureRow]:
    """Return rows that compare our steps of a deleveraging spiral with the published steps.

    Ether falls from 85 to 81, and an unbounded speculator buys stablecoins back at rising prices.
    """
    growth = np.array([1.00583])
    debt, ether, rows = DEMAND * growth, np.array([1.8]), []
    for price, *published in STEPS:
        chosen, _ = choose_speculator_debt(debt, ether * float(price), growth, np.ones(1))
        coin = DEMAND / chosen
        ether = ether + (chosen - debt) * coin / float(price)
        ours = (chosen - debt, chosen, coin, ether)
        debt = chosen
        for (name, bound), value, known in zip(FOUR, ours, published, strict=True):
            shown = _round_to_millionth_fraction(float(value[0]))
            figure = f"ether at {price}: {name}"
            rows.append(
                build_row(figure, shown, Fraction(known), build_absolute_tolerance(bound), places=3, source=1)
            )
    return rows
