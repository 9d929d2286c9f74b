"""A sweep compares settings on the same paths; its front and its choice follow their definitions."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from backstop.cli.sweep import cli
from backstop.errors import BackstopError
from backstop.simulation.scenario import load_scenario
from backstop.studies.borrow_usage import find_front, measure_borrow_usage
from backstop.studies.stress.engines import Task, get_engine
from backstop.studies.stress.parameter_grid import load_grid
from backstop.studies.stress.parameter_sweep import (
    choose_point,
    measure_book_debt_or_capital_efficiency,
    recommend_point,
)
from backstop.studies.stress.resumable_path_study import Study
from tests.support.checkout_paths import DATA

HERE = DATA / "stress"
GRID = HERE / "ratios.yaml"
GRIDS = Path("offchain/backstop/studies/stress/grids")
PATHS = 60


def run(*args: str):
    return CliRunner(mix_stderr=False).invoke(cli, args)


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("sweeps") / "ratios"


@pytest.fixture(scope="module")
def printed(out) -> str:
    result = run(str(GRID), "--paths", str(PATHS), "--out", str(out))
    assert result.exit_code == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def summary(out, printed):
    return json.loads((out / "summary.json").read_text())


def test_the_grid_has_every_setting() -> None:
    grid = load_grid(GRID)
    assert [grid.get_value_texts(point) for point in grid.points] == list(
        product(("130%", "145%"), ("10%", "100%"))
    )
    ratios = {point.scenario.parameters.collateral_types[0].liquidation_ratio for point in grid.points}
    assert ratios == {13_000, 14_500}
    assert grid.points[0].scenario.parameters.stages[0].cap_bps == 1_000
    assert (grid.limit, grid.level) == (400_000 * 10**6, 9_000)


def test_every_setting_meets_the_same_paths(summary, out) -> None:
    grid = load_grid(GRID)
    for number in range(len(grid.points)):
        task = Task(grid.points[number].scenario, 1, "fast")
        study = Study.open_or_resume(task, PATHS, out / "points" / f"{number:04}")
        assert np.array_equal(study.join_chunks(), get_engine(task).run_paths(0, PATHS))
    # The share of the buffer is who pays, not what is lost.
    points = summary["points"]
    assert points[0]["mean"] == points[1]["mean"] and points[2]["mean"] == points[3]["mean"]
    assert points[0]["mean"] != points[2]["mean"]


def test_each_setting_is_a_scenario_file(printed, out) -> None:
    grid = load_grid(GRID)
    files = sorted((out / "settings").iterdir())
    assert [file.name for file in files] == [f"{number:04}.yaml" for number in range(len(grid.points))]
    for file, point in zip(files, grid.points, strict=True):
        read = load_scenario(file)
        assert read.parameters == point.scenario.parameters and read.prices == point.scenario.prices
        assert get_engine(Task(read, 1, "fast")).run_paths(0, 5).tolist() == (
            get_engine(Task(point.scenario, 1, "fast")).run_paths(0, 5).tolist()
        )


def test_the_table_and_the_files(printed, out, summary) -> None:
    import pyarrow.parquet as pq

    assert "Ratios and buffers" in printed and "efficiency" in printed
    table = pq.read_table(out / "sweep.parquet").to_pylist()
    assert [row["ratio"] for row in table] == ["130%", "130%", "145%", "145%"]
    for row, point in zip(table, summary["points"], strict=True):
        assert row["shortfall_value_micro"] == point["shortfall"]["value_micro"]
        assert row["gain"] == point["gain"] and row["front"] == point["front"]
    assert (out / "report.html").is_file()


def test_it_goes_on_to_equal_files(printed, out, tmp_path) -> None:
    again = tmp_path / "again"
    for paths in ("20", str(PATHS)):
        result = run(str(GRID), "--paths", paths, "--out", str(again))
        assert result.exit_code == 0, result.stderr
    for name in ("sweep.parquet", "summary.json"):
        assert (again / name).read_bytes() == (out / name).read_bytes()
    shorter = run(str(GRID), "--paths", "20", "--out", str(again))
    assert shorter.exit_code == 1 and f"has {PATHS} paths, not 20: " in shorter.stderr
    other = run(str(GRID), "--out", str(again), "--seed", "2")
    assert (
        other.exit_code == 1 and "was made with seed 1, not 2, another content of the grid: " in other.stderr
    )


def test_axes_may_come_in_any_order(tmp_path) -> None:
    """summary.json has its names sorted: its reader asks for the axes by name."""
    ratio, share = GRID.read_text().partition("axes:\n")[2].split("  share:\n")
    head = GRID.read_text().partition("axes:\n")[0].replace("small.yaml", str(HERE / "small.yaml"))
    turned = tmp_path / "turned.yaml"
    turned.write_text(f"{head}axes:\n  share:\n{share}{ratio}")
    result = run(str(turned), "--paths", "20", "--out", str(tmp_path / "out"))
    assert result.exit_code == 0, result.stderr
    page = (tmp_path / "out" / "report.html").read_text()
    assert 'id="heat-share-ratio"' in page and "share 10%, ratio 130%" in page
    assert result.stdout.splitlines()[1].split()[:3] == ["share", "ratio", "efficiency"]


def test_the_front_is_what_no_other_beats() -> None:
    gains, risks = [1, 2, 2, 3, 1], [10, 20, 30, 20, 10]
    # The second has the risk of the fourth for less gain; equal ones do not beat each other.
    assert find_front(gains, risks) == [True, False, False, True, True]


def test_the_choice_has_the_most_gain_within_the_limit() -> None:
    assert choose_point([1, 2, 2, 3], [5, 9, 8, 11], 10) == 2
    assert choose_point([1, 2], [11, 12], 10) is None


def test_a_choice_is_as_sure_as_the_paths_make_it() -> None:
    rng = np.random.default_rng(1)
    low, high = rng.exponential(100, 2_000), rng.exponential(200, 2_000)
    clear = recommend_point([1, 2], [200, 400], [low, high], 0.9, 1_000)
    assert clear == {"point": 1, "within_limit_bps": 10_000, "chosen_bps": 10_000}
    # The limit is the estimate itself: half of the resamples are above it.
    edge = float(np.sort(high)[1_800:].mean())
    close = recommend_point([1, 2], [200, round(edge)], [low, high], 0.9, round(edge))
    assert close is not None and 3_500 < close["chosen_bps"] == close["within_limit_bps"] < 6_500
    assert recommend_point([1], [300], [low], 0.9, 100) is None


def test_gains() -> None:
    day = load_scenario(HERE / "small.yaml")
    used = measure_borrow_usage(day, 1)
    assert measure_book_debt_or_capital_efficiency("efficiency", day, used) == 10_000 * 10_000 // 15_000
    assert measure_book_debt_or_capital_efficiency("debt", day, used) > 100_000


@pytest.mark.parametrize("path", sorted(GRIDS.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_grids_that_come_along_are_whole(path) -> None:
    assert len(load_grid(path).points) > 1


HEAD = """\
schema_version: 1
title: A grid
scenario: stress-day
gain: efficiency
limit: 1 stablecoin
level: 95%
"""
RATIO = "parameters.collateral_types.ETH.liquidation_ratio"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (HEAD, "bad.yaml:1: 'axes' is missing"),
        (HEAD + "axes: {}\n", "bad.yaml:7: axes: needs at least one axis"),
        (HEAD + "axes: {a: {fields: {}}}\n", "bad.yaml:7: axes.a.fields: names no field of the scenario"),
        (HEAD + f"axes: {{a: {{fields: {{{RATIO}: []}}}}}}\n", "has no values"),
        (HEAD + f"axes: {{a: {{fields: {{{RATIO}: [140%, 140%]}}}}}}\n", "has a value twice"),
        (
            HEAD + f"axes: {{a: {{fields: {{{RATIO}: [140%, 145%], gas_token: [ETH]}}}}}}\n",
            "has 1 values, the axis's first field 2",
        ),
        (
            HEAD + f"axes: {{a: {{fields: {{{RATIO}: [140%, 160%]}}}}}}\n",
            "(with a 160%)",  # above the initial ratio
        ),
        (HEAD + f"axes: {{a: {{fields: {{{RATIO}: [much]}}}}}}\n", f"bad.yaml:7: {RATIO}: 'much' is not"),
        (HEAD + "axes: {a: {fields: {parameters.nonsense: [1, 2]}}}\n", "unknown field"),
        (
            HEAD.replace("stress-day", "nowhere") + "axes: {}\n",
            "bad.yaml:3: scenario: scenario 'nowhere' is unknown",
        ),
        (
            HEAD.replace("efficiency", "fame") + f"axes: {{a: {{fields: {{{RATIO}: [140%]}}}}}}\n",
            "is not one of",
        ),
        (HEAD.replace("95%", "101%") + f"axes: {{a: {{fields: {{{RATIO}: [140%]}}}}}}\n", "is too high"),
        (HEAD.replace(": 1\n", ": 2\n", 1) + "axes: {}\n", "is version 2, this program reads 1"),
        ("a: [", "is not YAML"),
    ],
)
def test_a_malformed_grid_is_one_line(tmp_path, text, problem) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(BackstopError) as caught:
        load_grid(path)
    assert problem in str(caught.value) and "\n" not in str(caught.value)
    result = run(str(path), "--out", str(tmp_path / "out"))
    assert result.exit_code == 1 and result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


MOVES = """      vault_book.generated.ETH.ratio.from: [135%, 150%]
      vault_book.generated.ETH.ratio.to: [180%, 195%]
"""


def test_no_ratio_is_recommended_to_a_book_that_stands_still(summary, printed, out, tmp_path) -> None:
    """Owners with the same collateral at each ratio make the lowest one look safest."""
    assert summary["recommended"] is None
    assert summary["withheld"].startswith(
        "No setting is recommended: Liquidation ratio changes from 130% to 145% and the book stands still."
    )
    assert summary["withheld"] in printed and summary["withheld"] in (out / "report.html").read_text()
    text = GRID.read_text().replace("scenario: small.yaml", f"scenario: {HERE / 'small.yaml'}")
    text = text.replace("limit: 400_000", "limit: 10_000_000")
    ratios = "initial_ratio: [135%, 150%]\n"
    moving = tmp_path / "moving.yaml"
    moving.write_text(text.replace(ratios, ratios + MOVES))
    result = run(str(moving), "--paths", str(PATHS), "--out", str(tmp_path / "moving"))
    assert result.exit_code == 0, result.stderr
    found = json.loads((tmp_path / "moving" / "summary.json").read_text())
    assert found["withheld"] is None and found["recommended"] is not None
    assert "stands still" not in result.stdout
