"""Scenarios of crvUSDrisk on this protocol: the order of their risks, not the level.

Thirteen of its scenarios have published results that can be set beside ours; the others change what is absent
here (dollar coins that keep the peg), or have none. Ours run on the fast engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import correlation
from typing import NamedTuple

from backstop.simulation.scenario import Scenario
from backstop.simulation.scenario.scenario_library import read_unchecked_scenario_fields
from backstop.simulation.scenario.scenario_loader import parse_scenario
from backstop.simulation.scenario.vault_books import build_vault_book
from backstop.simulation.scenario.yaml_document_reader import Field
from backstop.studies.reproductions.figure_comparison import (
    EXACT,
    FigureRow,
    Reproduction,
    build_absolute_tolerance,
    build_row,
)
from backstop.studies.stress.columns import OutcomeColumns
from backstop.studies.stress.engines import Task, get_engine
from backstop.studies.stress.path_statistics import estimate_quantile

NEUTRAL = Path(__file__).with_name("crvusd.yaml")
PATHS = 1_000
MICRO = 10**6

SOURCES = (
    "xenophonlabs/crvUSDrisk at 7d17fa7, notebooks/analysis.ipynb, table of the generic scenarios: bad debt "
    "and liquidated debt in per cent of the debt at the start, 1,000 simulations each",
)


class ShockCase(NamedTuple):
    """Published scenario of crvUSDrisk: its shocks, and its results in per cent of the debt."""

    title: str
    shocks: tuple[str, ...]
    bad_debt: str  # average
    bad_debt_99: str
    liquidated: str  # average
    liquidated_99: str


CASES = (
    ShockCase("neutral", (), "0", "0", "0.00004", "0"),
    ShockCase("growth", ("debt-adverse",), "0.00006", "0", "0.00049", "0.01755"),
    ShockCase("severe growth", ("debt-severe",), "0.00002", "0", "0.00319", "0.06076"),
    ShockCase("liquidity", ("liquidity-adverse",), "0.00002", "0", "0.00038", "0.00621"),
    ShockCase("severe liquidity", ("liquidity-severe",), "0", "0", "0.00077", "0"),
    ShockCase("extreme liquidity", ("liquidity-extreme",), "0.00005", "0", "0.00092", "0.02151"),
    ShockCase("volatility", ("volatility-adverse",), "0.00813", "0.17518", "0.80491", "9.63255"),
    ShockCase("severe volatility", ("volatility-severe",), "0.04310", "0.88483", "2.50121", "16.54635"),
    ShockCase(
        "  and growth",
        ("volatility-severe", "debt-adverse"),
        "0.05332",
        "0.61871",
        "2.50344",
        "13.80804",
    ),
    ShockCase(
        "  and severe growth",
        ("volatility-severe", "debt-severe"),
        "0.05920",
        "0.81577",
        "2.69823",
        "8.69898",
    ),
    ShockCase(
        "  and liquidity",
        ("volatility-severe", "liquidity-adverse"),
        "0.06404",
        "1.61561",
        "2.19796",
        "15.15261",
    ),
    ShockCase(
        "  and severe liquidity",
        ("volatility-severe", "liquidity-severe"),
        "0.14948",
        "2.88584",
        "2.20355",
        "15.62809",
    ),
    ShockCase(
        "  and extreme liquidity",
        ("volatility-severe", "liquidity-extreme"),
        "0.29797",
        "8.59297",
        "2.07354",
        "14.19082",
    ),
)
MEASURES = ("bad debt, average", "bad debt, 99%", "liquidated, average", "liquidated, 99%")
"""Measures, of which the 99% ones are value at risk and liquidations at risk."""
ALIKE = Fraction(1, 5)
"""Distance that a rank correlation may have from one."""


def reproduce_result(seed: int, paths: int = PATHS) -> Reproduction:
    """Run `paths` paths of each scenario, and compare the ranking of the scenarios' risks."""
    ours = [
        compute_bad_and_liquidated_debt_percents(load_shocked_scenario(case.shocks), seed, paths)
        for case in CASES
    ]
    published = [tuple(map(Fraction, case[2:])) for case in CASES]
    rows = []
    for i, measure in enumerate(MEASURES):
        alike = rank_correlation([each[i] for each in published], [each[i] for each in ours])
        rows.append(
            build_row(
                f"{measure}: rank correlation", alike, 1, build_absolute_tolerance(ALIKE), places=2, source=1
            )
        )
    rows.append(_build_liquidity_steps_row([each[0] for each in published], [each[0] for each in ours]))
    for case, theirs, mine in zip(CASES, published, ours, strict=True):
        for i, measure in enumerate(MEASURES):
            figure = f"{case.title.strip()}: {measure}"
            rows.append(FigureRow(figure, mine[i], theirs[i], None, "%", 3, 1))
    return Reproduction("shocks", "Shocks of crvUSDrisk", SOURCES, rows)


def _build_liquidity_steps_row(published: Sequence[Fraction], ours: Sequence[Fraction]) -> FigureRow:
    """Return a row that compares how many steps to less liquidity raise the average bad debt.

    Only scenarios with severe volatility and without growth count.
    """
    grown = {"debt-adverse", "debt-severe"}
    chain = [
        i
        for i, case in enumerate(CASES)
        if "volatility-severe" in case.shocks and not grown.intersection(case.shocks)
    ]

    def worse(values: Sequence[Fraction]) -> int:
        return sum(values[after] > values[before] for before, after in pairwise(chain))

    name = f"{MEASURES[0]}: steps to less liquidity that raise it, of {len(chain) - 1}"
    return build_row(name, worse(ours), worse(published), EXACT, source=1)


def load_shocked_scenario(shocks: Sequence[str]) -> Scenario:
    """Load the neutral day, changed by these named shocks."""
    top, name = read_unchecked_scenario_fields(NEUTRAL)
    named = [Field(NEUTRAL, 0, "shocks", shock) for shock in shocks]
    entries = {**top.read_mapping_entries(), "shocks": Field(NEUTRAL, 0, "shocks", named)}
    return parse_scenario(Field(top.file, top.line, top.path, entries), name)


def compute_bad_and_liquidated_debt_percents(
    scenario: Scenario, seed: int, path_count: int
) -> tuple[Fraction, ...]:
    """Return the mean and the 99% quantile of bad debt and of liquidated debt, in that order [%].

    They are per cent of the debt that the vaults have at the start.
    """
    names = OutcomeColumns.from_parameters(scenario.parameters).names
    rows = get_engine(Task(scenario, seed, "fast")).run_paths(0, path_count)
    opening = {symbol: path.points[0] for symbol, path in scenario.prices.items()}
    debt = sum(vault.debt for vault in build_vault_book(scenario, seed, opening)) // 10**12  # millionths
    found = []
    for column in ("bad_debt", "liquidated_debt"):
        values = rows[:, names.index(column)]
        found += [
            Fraction(int(values.sum()), path_count),
            Fraction(int(estimate_quantile(values, 0.99).value)),
        ]
    return tuple(100 * value / debt for value in found)


def rank_correlation(one: Sequence[Fraction], other: Sequence[Fraction]) -> Fraction:
    """Return Spearman's rank correlation of two samples, rounded to a millionth.

    Equal values share the mean of their ranks.
    """
    return Fraction(round(correlation(_compute_ranks(one), _compute_ranks(other)) * 10**6), 10**6)


def _compute_ranks(values: Sequence[Fraction]) -> list[float]:
    return [sum(v < value for v in values) + (values.count(value) - 1) / 2 for value in values]
