"""Symbols are those of real tokens, in every name that contains them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from backstop.cli.stress import cli
from backstop.errors import BackstopError
from backstop.report.run_page import write_run_page
from backstop.simulation.run_directory import load_run
from backstop.simulation.scenario import Scenario, load_scenario
from backstop.simulation.scenario.parameters_yaml_writer import (
    build_scenario_yaml_parameters_section,
    render_yaml,
)
from backstop.simulation.scenario.scenario_library import LIBRARY
from backstop.simulation.scenario.yaml_document_reader import read_document
from backstop.simulation.simulator import simulate
from backstop.studies.comparison.preset_comparison import compare
from backstop.studies.comparison.presets import load_presets
from backstop.studies.stress.parameter_grid import load_grid
from tests.support.checkout_paths import DATA

TESTS = DATA
SYMBOLS = {"ETH": "wstETH", "WBTC": "USDC.e", "XAUT": "1INCH+x-y_z"}


def renamed(folder: Path, file: Path, base: str) -> Path:
    """A scenario and the one of the library that it extends, with other symbols."""

    def copy(source: Path, name: str) -> Path:
        text = re.sub(r"\b(ETH|WBTC|XAUT)\b", lambda found: SYMBOLS[found[1]], source.read_text())
        (folder / name).write_text(text.replace(f"extends: {base}\n", f"extends: {base}.yaml\n"))
        return folder / name

    copy(LIBRARY / f"{base}.yaml", f"{base}.yaml")
    return copy(file, file.name)


@pytest.fixture(scope="module")
def day(tmp_path_factory) -> Path:
    return renamed(tmp_path_factory.mktemp("day"), TESTS / "runs" / "small.yaml", "black-thursday")


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    return renamed(tmp_path_factory.mktemp("study"), TESTS / "stress" / "small.yaml", "stress-day")


@pytest.fixture(scope="module")
def scenario(day) -> Scenario:
    return load_scenario(day)


def test_a_run_and_its_report(scenario, tmp_path) -> None:
    summary = simulate(scenario, "revm", 1, tmp_path).summary
    assert summary["differences"] == 0 < summary["fields_compared"]
    assert [each["symbol"] for each in summary["collateral_types"]] == list(SYMBOLS.values())
    html = write_run_page(tmp_path).read_text()
    assert all(symbol in html for symbol in SYMBOLS.values())
    assert set(load_run(tmp_path).frames["auctions"]["symbol"]) <= set(SYMBOLS.values())


def test_a_comparison(day, tmp_path) -> None:
    found = compare(str(day), load_presets("maker"), "model", 1, tmp_path, aftermath=0)
    assert int(found["presets"][0]["created_rad"]) > 0


@pytest.mark.deep(brief="tests/backstop/simulation/scenario/test_symbols.py::test_a_run_and_its_report")
@pytest.mark.parametrize("engine", ["fast", "exact"])
def test_a_study(study, engine, tmp_path) -> None:
    args = (str(study), "--paths", "4", "--engine", engine, "--out", str(tmp_path / "out"))
    result = CliRunner(mix_stderr=False).invoke(cli, args)
    assert result.exit_code == 0, result.stderr
    assert "bad_debt_USDC.e" in (tmp_path / "out" / "study.json").read_text()


def test_an_axis_of_a_sweep_quotes_a_symbol_with_dots(study, tmp_path) -> None:
    grid = tmp_path / "grid.yaml"
    text = (TESTS / "stress" / "ratios.yaml").read_text().replace("small.yaml", str(study))
    grid.write_text(re.sub(r"collateral_types\.\w+\.", 'collateral_types."USDC.e".', text))
    ratios = {
        point.scenario.parameters.collateral_types[1].liquidation_ratio for point in load_grid(grid).points
    }
    assert len(ratios) > 1


def test_a_deployments_terms_are_written_and_read_back(scenario, day, tmp_path) -> None:
    """As `ape run export` writes them."""
    content = {"extends": str(day), "parameters": build_scenario_yaml_parameters_section(scenario.parameters)}
    (tmp_path / "again.yaml").write_text(render_yaml(content))
    types = (
        read_document(tmp_path / "again.yaml")
        .read_mapping_entries()["parameters"]
        .read_mapping_entries()["collateral_types"]
    )
    assert tuple(types.read_mapping_entries()) == scenario.symbols
    assert (
        load_scenario(tmp_path / "again.yaml").parameters.collateral_types
        == scenario.parameters.collateral_types
    )


@pytest.mark.parametrize(
    "symbol", ["wstETH", "S", "1INCH", "USDC.e", "yv-USDC", "stETH_2", "a+b", "X" * 32, "1e3", "on"]
)
def test_the_symbols_of_real_tokens_are_accepted(symbol, tmp_path) -> None:
    text = (TESTS / "compare" / "ten-vaults.yaml").read_text()
    table = (TESTS / "compare" / "ten-vaults.csv").read_text()
    (tmp_path / "ten-vaults.csv").write_text(re.sub(r"\bETH\b", symbol, table))
    (tmp_path / "day.yaml").write_text(re.sub(r"\bETH\b", symbol, text))
    assert load_scenario(tmp_path / "day.yaml").symbols == (symbol,)


@pytest.mark.parametrize("symbol", ["-a", "", "a b", "a/b", "ä", "X" * 33, "+", "a:b"])
def test_other_symbols_are_refused(symbol, tmp_path) -> None:
    (tmp_path / "day.yaml").write_text(
        f"extends: black-thursday\nparameters: {{collateral_types: {{'{symbol}': {{}}}}}}\n"
    )
    with pytest.raises(BackstopError, match="is not a symbol: up to 32 letters"):
        load_scenario(tmp_path / "day.yaml")
