"""A calibration recovers the law that prices were drawn by, and its file states the finding."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy.stats import multivariate_normal, norm

import backstop
from backstop.cli.calibrate import cli
from backstop.errors import BackstopError
from backstop.simulation.scenario import draw_path_outcomes, load_scenario
from backstop.simulation.scenario.scenario_random_processes import PriceJumps, PriceModel
from backstop.simulation.sources.depth_reader import DepthQuote
from backstop.studies.assumption_record import list_assumptions, read_assumptions
from backstop.studies.calibration.calibrated_scenario_values import _is_positive_definite
from backstop.studies.calibration.correlation import solve_tail_correlation
from backstop.studies.calibration.jackknife import round_figure
from backstop.studies.calibration.log_returns import build_log_returns
from tests.support.checkout_paths import ROOT

SAMPLES = ROOT / "docs" / "how-to" / "samples"
ARGS = ("--book", str(SAMPLES / "synthetic-aave.csv"), "--like", "aave")
YEAR = ("--prices", str(SAMPLES / "synthetic-year.csv"))
DEPTHS = ("--depth", str(SAMPLES / "synthetic-depths.csv"))


def run(*args: str):
    return CliRunner(mix_stderr=False).invoke(cli, args)


@pytest.fixture(scope="module")
def book():
    return backstop.read_book(SAMPLES / "synthetic-aave.csv", like="aave")


@pytest.fixture(scope="module")
def year():
    return backstop.read_prices(SAMPLES / "synthetic-year.csv")


@pytest.fixture(scope="module")
def depths():
    return backstop.read_depth(SAMPLES / "synthetic-depths.csv")


@pytest.fixture(scope="module")
def found(book, year, depths):
    return backstop.calibrate(book, year, depths)


def law_of(day, symbol: str) -> tuple[PriceModel, PriceJumps]:
    """The model of an asset's price, and its jumps."""
    model = day.asset_prices[symbol].model
    assert model is not None and model.jumps is not None
    return model, model.jumps


def rows(found) -> dict[tuple[str, str], tuple[float, float, float]]:
    frame = found.to_frame()
    return {(row.figure, row.of): (row.value, row.low, row.high) for row in frame.itertuples()}


def test_the_samples_law_comes_back(found) -> None:
    """The sample jumps once in sixty steps of four hours, by 3% to 9%, everything at once."""
    figures = rows(found)
    value, low, high = figures["jumps_every", "WETH"]
    assert low < 60 * 14_400 < high and low < value < high
    value, low, high = figures["jumps_mean", "cbBTC"]
    assert low < -0.06 < high < -0.05
    assert figures["correlation_in_crashes", "WETH/cbBTC"][0] > figures["correlation", "WETH/cbBTC"][0]
    # make.py: depths of 3,000,000 with holes; a gap closes by three tenths in ten minutes; a fee of 30 bps.
    assert 2_000_000 < figures["depth", "WETH"][0] < 3_000_000
    assert figures["fee", "WETH"][1] <= 0.003 <= figures["fee", "WETH"][2]
    value, low, high = figures["recovery", "WETH"]
    assert low < -600 / np.log(0.7) < high


def test_the_file_is_what_was_measured(found, book, year, tmp_path) -> None:
    day = backstop.write_scenario(book, year, tmp_path, use="measured", measured=found.measured)
    figures = rows(found)
    for symbol, path in day.asset_prices.items():
        model, jumps = law_of(day, symbol)
        assert model.kind == "brownian" and path.points == {0: year.last_prices_by_symbol[symbol]}
        assert model.volatility == round(figures["volatility", symbol][0] * 10**9)
        assert jumps.cause == "with WETH" and jumps.every % 60 == 0
        # Types of one collateral share its depth, rounded down to a stablecoin each.
        sharing = [day.markets[each].depth for each in day.symbols if day.assets[each].collateral == symbol]
        assert 0 <= round(figures["depth", symbol][0]) * 10**18 - sum(sharing) <= 10**18
    assert len({law_of(day, symbol)[1].every for symbol in day.asset_prices}) == 1
    text = (tmp_path / "scenario.yaml").read_text()
    assert f"# volatility {100 * figures['volatility', 'WETH'][0]:.4g}% (" in text
    assert "recovery: " in text and "    cause" not in text
    assert any("Kendall's tau" in fact.statement for fact in day.facts)
    study = backstop.study(day, paths=20)
    assert study.summary["bad_debt"]["mean"]["value_micro"] >= 0


def test_a_drawn_history_comes_back_to_its_scenario(found, book, year, tmp_path) -> None:
    """Prices that the engine draws from the file have, measured again, the file's law."""
    day = backstop.write_scenario(
        book, year, tmp_path, use="measured", measured=found.measured, block_time="1 h", duration="300 d"
    )
    prices = draw_path_outcomes(day, 1, 0).prices
    frame = pd.DataFrame({symbol: each.ticks * (each.tick / 10**27) for symbol, each in prices.items()})
    frame.insert(0, "time", 1_700_006_400 + 3_600 * np.arange(len(frame)))
    again = backstop.calibrate(book, backstop.read_prices(frame), law="jumps")
    before, after = rows(found), rows(again)
    written = [key for key in after if not key[0].endswith("crashes")]
    missed = [key for key in written if not after[key][1] <= before[key][0] <= after[key][2]]
    # Of fifteen figures, of which those of three prices go together, at 95% each.
    assert len(written) == 15 and len(missed) <= 3, missed
    assert ("volatility", "WETH") not in missed and ("jumps_mean", "WETH") not in missed


def test_caution_takes_the_worse_ends(found, book, year, depths, tmp_path) -> None:
    careful = backstop.calibrate(book, year, depths, cautious=True)
    pd.testing.assert_frame_equal(careful.to_frame(), found.to_frame())
    usual = backstop.write_scenario(book, year, tmp_path / "a", use="measured", measured=found.measured)
    worse = backstop.write_scenario(book, year, tmp_path / "b", use="measured", measured=careful.measured)
    for symbol in usual.asset_prices:
        (one, rare), (other, often) = law_of(usual, symbol), law_of(worse, symbol)
        assert other.volatility > one.volatility and often.every < rare.every
        assert often.mean < rare.mean and often.deviation > rare.deviation
        assert worse.markets[symbol].depth < usual.markets[symbol].depth
        assert worse.markets[symbol].recovery > usual.markets[symbol].recovery
    assert all(worse.correlation[pair] > usual.correlation[pair] for pair in usual.correlation)


def test_tails_where_prices_are_as_dense_as_blocks(book, year) -> None:
    found = backstop.calibrate(book, year, block_time="4 h")
    assert found.law == "tails" and {row[0] for row in rows(found)} >= {"volatility", "degrees"}
    assert all(law.degrees >= 3 and not law.jumps for law in found.measured.laws.values())


def test_prices_jump_with_those_that_they_go_with() -> None:
    """Two pairs that have nothing to do with each other, and a price that never moves."""
    random = np.random.default_rng(8)
    n = 3_000
    columns = {}
    for one, other in (("A", "B"), ("C", "D")):
        jumped = (random.random(n) < 0.01) * -0.08
        for symbol in (one, other):
            columns[symbol] = 100 * np.exp(np.cumsum(0.005 * random.standard_normal(n) + jumped + 0.0008))
    frame = pd.DataFrame({"time": 1_700_006_400 + 3_600 * np.arange(n), "S": "1"})
    for symbol, prices in columns.items():
        frame[symbol] = [f"{each:.9f}" for each in prices]
    owners = [(f"o{symbol}", symbol, 10**6, 10**5) for symbol in "SABCD"]
    positions = backstop.read_book(
        pd.DataFrame(owners, columns=["owner", "collateral", "locked", "debt"]).astype({"debt": str})
    )
    found = backstop.calibrate(positions, backstop.read_prices(frame))
    groups = {each.symbol: each.group for each in found.prices}
    assert groups == {"A": "with A", "B": "with A", "C": "with C", "D": "with C", "S": "S"}
    assert rows(found)["volatility", "S"][0] == 0 and ("A", "S") not in found.pairs
    assert "cause: with C" in found.measured.laws["D"].jumps and not found.measured.laws["S"].jumps


def test_steps_beside_a_gap_do_not_count(year) -> None:
    times, values = year.series["WETH"].times, year.series["WETH"].values
    hole = slice(500, 520)
    series = type(year.series["WETH"])
    cut = series(
        times[: hole.start] + times[hole.stop :],
        values[: hole.start] + tuple(3 * value for value in values[hole.stop :]),
    )
    gapped = type(year)("gapped", {"WETH": cut})
    found = build_log_returns(gapped, ["WETH"], 14_400)
    assert found.left_out == 21 and abs(found.table).max() < 0.5
    # A day with a hole in it is no day.
    assert (
        len(found.aggregate_days().table)
        == len(build_log_returns(year, ["WETH"], 14_400).aggregate_days().table) - 4
    )


@pytest.mark.parametrize("correlation", (-0.5, 0.0, 0.3, 0.9))
def test_shared_worst_days_of_normal_moves_are_their_correlation(correlation) -> None:
    cut = norm.ppf(0.05)
    both = multivariate_normal([0, 0], [[1, correlation], [correlation, 1]]).cdf([cut, cut])
    assert solve_tail_correlation(both / 0.05, 0.05) == pytest.approx(correlation, abs=1e-4)
    assert (solve_tail_correlation(0.0, 0.05), solve_tail_correlation(1.0, 0.05)) == (-1, 1)


def test_correlations_that_fit_no_matrix_are_scaled() -> None:
    names, pairs = ["A", "B", "C"], {("A", "B"): 0.9, ("B", "C"): 0.9, ("A", "C"): 0.0}
    assert not _is_positive_definite(names, pairs) and _is_positive_definite(
        names, {pair: 0.75 * each for pair, each in pairs.items()}
    )
    assert np.linalg.eigvalsh([[1, 0.675, 0], [0.675, 1, 0.675], [0, 0.675, 1]]).min() > 0


def test_digits_that_count() -> None:
    assert [round_figure(each) for each in (123_456.0, 0.000123456, -2.00049, 0.0)] == [
        *(123_500.0, 0.0001235, -2.0, 0.0)
    ]


def test_depths_are_read_to_the_last_fault(tmp_path) -> None:
    file = tmp_path / "depths.csv"
    file.write_text(
        "asset,venue,size,impact\nETH,a,1000,0.01\nETH,a,-5,0.01\nETH,a,1000,1.5\n,a,1000,0.01\nETH,a,x,0.01\n"
    )
    with pytest.raises(BackstopError, match=r"row 3, column size.*row 4, column impact.*row 5.*1 more"):
        backstop.read_depth(file)
    kept = backstop.read_depth(file, bad_rows="drop-any")
    assert len(kept.quotes) == 1
    assert kept.told == ("4 rows of depths.csv cannot be read, and are left out.",)
    with pytest.raises(BackstopError, match=r"the column is missing: 'venue'"):
        backstop.read_depth(pd.DataFrame({"asset": ["ETH"], "size": [1], "impact": ["0.1"]}))
    assert backstop.read_depth(
        pd.DataFrame({"coin": ["ETH"], "venue": ["a"], "size": [10], "impact": ["0.25"]}),
        columns={"asset": "coin"},
    ).quotes == (DepthQuote("ETH", "a", 0, 10**7, 250_000_000),)


def test_what_cannot_be_measured_is_one_line(book, year, tmp_path) -> None:
    for law, block_time, told in (
        ("normal", None, "law: 'normal' is not one of: tails, jumps"),
        (None, "soon", "block_time: 'soon' is not a duration"),
        (None, "7 d", "has 52 moves of 168 h"),
    ):
        with pytest.raises(BackstopError, match=told):
            backstop.calibrate(book, year, law=law, block_time=block_time)
    with pytest.raises(BackstopError, match="goes with what a calibration measured"):
        backstop.write_scenario(book, year, tmp_path, use="measured")
    assert "--prices: missing" in run(*ARGS).stderr
    assert "--depth-column: given without --depth" in run(*ARGS, *YEAR, "--depth-column", "asset=coin").stderr


@pytest.fixture(scope="module")
def laws(tmp_path_factory):
    """Return the folder of a calibration, and the output of the command."""
    folder = tmp_path_factory.mktemp("calibrated") / "laws"
    result = run(*ARGS, *YEAR, *DEPTHS, "--out", str(folder))
    assert result.exit_code == 0, result.stderr
    return folder, result


@pytest.mark.deep(
    brief="tests/backstop/studies/calibration/test_calibrate.py::test_the_file_is_what_was_measured"
)
def test_the_command_prints_and_keeps_what_it_measured(found, laws) -> None:
    folder, result = laws
    out = ("--out", str(folder))
    value, low, high = rows(found)["volatility", "WETH"]
    assert f"{100 * value:.4g}% {100 * low:.4g}% to {100 * high:.4g}%" in " ".join(result.stdout.split())
    assert "kupiec power" in result.stdout and "the data cannot tell" in result.stdout
    assert {file.name for file in folder.iterdir()} >= {
        *("scenario.yaml", "calibration.csv", "backtest.csv", "book.csv")
    }
    again = run(*ARGS, *YEAR, *DEPTHS, *out, "--json")
    document = json.loads(again.stdout)
    assert "was there already" in again.stderr
    measured = {(row["figure"], row["of"]): row["value"] for row in document["calibration"]}
    assert measured["volatility", "WETH"] == value and len(document["backtest"]) == 6
    assert "was made with cautious False, not True" in run(*ARGS, *YEAR, *DEPTHS, *out, "--cautious").stderr


def test_the_folder_says_what_the_scenario_assumes(laws) -> None:
    folder = laws[0]
    told = read_assumptions(folder)
    assert told.items() > list_assumptions(load_scenario(folder / "scenario.yaml"), 1).items()
    assert told["study.law"] == "jumps" and told["study.cautious"] == "no"


def test_the_page_says_what_the_command_prints(laws) -> None:
    page = (ROOT / "docs" / "how-to" / "calibration.md").read_text()
    shown = page.partition("```text\n")[2].partition("```")[0].splitlines()
    said = [line.rstrip() for line in laws[1].stdout.splitlines()]
    assert len(shown) > 30 and shown == said[4:-2]


def test_a_short_history_is_measured_and_not_tested(tmp_path) -> None:
    prices = ("--prices", str(SAMPLES / "synthetic-prices.csv"))
    result = run(*ARGS, *prices, "--out", str(tmp_path / "laws"))
    assert result.exit_code == 0 and "no back-test: synthetic-prices.csv: has 29 whole days" in result.stdout
    assert not (tmp_path / "laws" / "backtest.csv").exists()
