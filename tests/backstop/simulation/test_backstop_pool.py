"""A run with a pool behind the margin market: it is read, opened, worked for, and all adds up."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from backstop.deployment.parameters import BackstopParameters, MarginParameters
from backstop.deployment.signing import trader
from backstop.errors import BackstopError
from backstop.model.arithmetic import WAD
from backstop.simulation.run import RunResult, simulate
from backstop.simulation.scenario import load_scenario
from backstop.simulation.scenario.writer import as_yaml, parameters_to_yaml
from tests.support.paths import DATA

FILE = DATA / "runs" / "backstop_pool.yaml"
POOL = "PerpetualBackstop"


@pytest.fixture(scope="module")
def result() -> RunResult:
    return simulate(load_scenario(FILE), "revm", 1)


def test_model_and_contracts_agree(result: RunResult) -> None:
    assert result.summary["completed"] and result.summary["differences"] == 0


def test_its_keeper_takes_over_and_quotes(result: RunResult) -> None:
    done = Counter(row[3] for row in result.tables["actions"] if row[2] == POOL and row[7])
    assert done["deposit"] == 1 and done["quote"] > 0
    assert done["liquidate"] > 0


def test_somebody_buys_what_it_quotes(result: RunResult) -> None:
    """At the mark and the spread, with its own signature: no fill fails for the one or the other."""
    fills = [row for row in result.tables["actions"] if row[3] == "fill" and row[6] == "pool_buyer"]
    assert len(fills) > 3 and all(row[7] for row in fills)
    buyer = trader("pool_buyer")
    changes = [row[4] for row in result.tables["events"] if row[3] == "PositionChanged"]
    assert [values for values in changes if values[0] == buyer][-1][2] != 0


def text_of(old: str, new: str) -> str:
    text = FILE.read_text().replace("extends: margin.yaml", f"extends: {FILE.parent}/margin.yaml")
    assert old in text
    return text.replace(old, new)


def loaded(folder: Path, text: str) -> MarginParameters:
    (folder / "day.yaml").write_text(text)
    margin = load_scenario(folder / "day.yaml").parameters.margin
    assert margin is not None
    return margin


def test_it_is_read_with_its_money_and_written_without(tmp_path: Path) -> None:
    scenario = load_scenario(FILE)
    margin = scenario.parameters.margin
    assert margin is not None and scenario.pool_money == 50_000 * WAD
    assert margin.backstop == BackstopParameters(limit=100_000, leverage=20_000)
    terms = "notice: 2 d, spread: 0.3%, share: 10%, quote_time: 5 min, limit: 7 stablecoin"
    given = loaded(tmp_path, text_of("limit: 100_000 stablecoin", terms)).backstop
    assert given == BackstopParameters(7, 2 * 86_400, 20_000, 30, 1_000, 300)
    written = parameters_to_yaml(scenario.parameters)["margin"]["backstop"]
    assert BackstopParameters(100_000, leverage=20_000) == margin.backstop
    assert "backstop" in as_yaml({"backstop": written}) and written["limit"] == "100000 stablecoin"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("leverage: 200%", "leverage: 2_000%", "backstop.leverage: '2_000%' is too high"),
        ("leverage: 200%", "notice: 59 min", "backstop.notice: '59 min' is too low"),
        ("leverage: 200%", "share: 0%", "backstop.share: '0%' is too low"),
        ("leverage: 200%", "spread: 11%", "backstop.spread: '11%' is too high"),
        ("leverage: 200%", "quote_time: 2 d", "backstop.quote_time: '2 d' is too high"),
        ("leverage: 200%", "fee: 1%", "backstop.fee: unknown field; known here: money, limit"),
        ("role: backstop_keeper,", "role: backstop_keeper, count: 2,", "the pool's keeper is one keeper"),
        ("  backstop_keeper: {role", "  somebody: {role", "called 'backstop_keeper': it may take risk"),
    ],
)
def test_a_mistake_names_its_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(BackstopError) as caught:
        loaded(tmp_path, text_of(old, new))
    assert message in str(caught.value) and "\n" not in str(caught.value)
