"""One seed has one result on every processor.

A process takes other implementations of the functions that BLAS, numpy and the C library have several of, as
it would on an older processor. Its results are compared byte for byte.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.core import _multiarray_umath as features

from backstop.randomness import SeededRandom
from backstop.simulation.scenario import load_scenario
from backstop.simulation.scenario.draw_scenario import draw_path_outcomes
from backstop.simulation.sources.book_reader import read_book
from backstop.simulation.sources.depth_reader import read_depth
from backstop.simulation.sources.price_reader import read_prices
from backstop.studies.attack.adversary_budget import load_scenario_and_adversary_budget
from backstop.studies.attack.worst_case_search import Task, WorstCaseSearch
from backstop.studies.calibration.owner_fit import fit_owners
from backstop.studies.calibration.owner_history import OwnerHistory, read_owner_history
from backstop.studies.calibration.scenario_calibration import calibrate
from backstop.studies.self_hedge.hedge_pair import PairOpening, simulate_hedge_pair
from backstop.studies.self_hedge.pair_market import LIBRARY, HedgePairMarket
from backstop.studies.self_hedge.second_prices_from_bars import UNIT, Bar, fill_bar, load_series
from backstop.studies.stress import engines, parameter_sweep, path_statistics
from tests.support.checkout_paths import ROOT
from tests.support.long_test_marks import build_pytest_params_with_deep_marks

SMALL = str(ROOT / "tests" / "data" / "stress" / "small.yaml")
PATHS = 40

OPTIONAL = " ".join(each for each in features.__cpu_dispatch__ if features.__cpu_features__[each])
OLDER = {
    "a BLAS for AVX2": {"OPENBLAS_CORETYPE": "Haswell"},
    "a BLAS for SSE": {"OPENBLAS_CORETYPE": "Nehalem"},
    "numpy and the C library with nothing but SSE2": {
        "NPY_DISABLE_CPU_FEATURES": OPTIONAL,
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-FMA,-FMA4,-AVX2,-AVX512F",
    },
}


def results() -> dict[str, object]:
    """Return the results of a search, a study and a scenario. Floats are printed in full."""
    scenario, _, budget = load_scenario_and_adversary_budget(SMALL, "day-in-a-thousand")
    with tempfile.TemporaryDirectory() as folder:
        task = Task(scenario, budget, "loss", 1, 0, "evolution", 6, "model")
        WorstCaseSearch.open_or_resume(task, Path(folder) / "search").run_generations(2)
        search = json.loads((Path(folder) / "search" / "progress.json").read_text())
    rows = engines.get_engine(engines.Task(scenario, 1, "fast")).run_paths(0, PATHS)
    # Tails need samples larger than a quick study's.
    losses = np.random.default_rng(1).integers(0, 10**12, 400) ** 2 // 10**12
    chosen = parameter_sweep.recommend_point([1, 2], [0, 0], [losses, losses[::-1]], 0.9, int(losses.max()))
    samples = ROOT / "docs" / "how-to" / "samples"
    book = read_book(samples / "synthetic-aave.csv", like="aave")
    year, depths = read_prices(samples / "synthetic-year.csv"), read_depth(samples / "synthetic-depths.csv")
    measured = [repr(calibrate(book, year, depths, law=law)) for law in ("tails", "jumps")]
    day = load_scenario("stress-day")
    prices = {
        symbol: sha256(
            np.stack([draw_path_outcomes(day, 1, i).prices[symbol].ticks for i in range(4)]).tobytes()
        )
        for symbol in day.symbols
    }
    return {
        "search": search,
        "study": rows.tolist(),
        "estimates": [
            path_statistics.estimate_mean_with_interval(losses),
            path_statistics.estimate_quantile(losses, 0.95),
            path_statistics.estimate_shortfall(losses, 0.95),
        ],
        "sweep": chosen,
        "calibration": measured,
        "owners": fit_owners([_read_owners()], draws=40).to_summary(),
        "prices": {symbol: digest.hexdigest() for symbol, digest in prices.items()},
        "pairs": [_pair(start) for start in (1_500, 1_900)],
    }


def _read_owners() -> OwnerHistory:
    """Owners of a week in which ether fell by two fifths."""
    june = ROOT / "docs" / "tutorials" / "samples" / "june-2022"
    prices = read_prices(june / "prices.csv", columns={"ETH-B": "ETH"}, prints="drop")
    return read_owner_history(
        june / "events.csv",
        prices,
        fixed={"debt_price": "1"},
        ratios={"ETH-B": "130%"},
        begin="2022-06-10T00:00Z",
    )


@pytest.fixture(scope="module")
def here() -> dict[str, Any]:
    """The results on this processor."""
    found: dict[str, Any] = json.loads(json.dumps(results()))
    return found


def _pair(start: int) -> list[object]:
    """Play a pair on the published bars of a day, and a path inside them."""
    path = fill_bar(Bar._make(load_series("eth-2021-05-19")[75]), 2_551 * UNIT, 3_000, SeededRandom(1))
    found = simulate_hedge_pair(
        HedgePairMarket(LIBRARY._replace(initial=1_000, maintenance=500)),
        path,
        PairOpening(start, 500, 10**6, 600),
    )
    return list(found)


@pytest.mark.deep(
    brief="tests/backstop/simulation/test_simulate.py::test_the_same_seed_twice_gives_equal_files"
)
@pytest.mark.parametrize(
    "name",
    build_pytest_params_with_deep_marks(
        OLDER,
        ("a BLAS for AVX2", "a BLAS for SSE"),
        "tests/backstop/simulation/test_simulate.py::test_the_same_seed_twice_gives_equal_files",
    ),
)
def test_one_seed_has_one_result_on_every_processor(name: str, here: dict[str, Any]) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "tests.backstop.test_processors"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'offchain'}{os.pathsep}{ROOT}", **OLDER[name]},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    for part, value in json.loads(told).items():
        assert value == here[part], part
    assert any(value for row in here["study"] for value in row[1:]) and here["sweep"]["point"] in (0, 1)


if __name__ == "__main__":
    print(json.dumps(results()))
