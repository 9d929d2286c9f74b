"""assumptions.json has every input of an answer, with its unit; two studies are compared line by line."""

from __future__ import annotations

import dataclasses
import json
import typing
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

import backstop
from backstop.cli.ask import cli as ask
from backstop.cli.assumptions import cli
from backstop.cli.stress import cli as stress
from backstop.cli.sweep import cli as sweep
from backstop.simulation.scenario import Scenario, load_scenario, scenario_names
from backstop.studies.assumption_record import LEFT_OUT, compare_assumptions, get_unit, list_assumptions
from tests.support.checkout_paths import DATA

SMALL = DATA / "stress" / "small.yaml"
ELSEWHERE = {
    ("Scenario", "published_gas"),
    ("Scenario", "book_total"),
    ("PricePath", "published"),
    ("Vault", "locked"),
    ("StepSeries", "values"),  # it has the unit of what it is a series of
    ("OpeningState", "timestamp"),
    ("RawState", "block_number"),
}
"""Integers that are told in sums and digests, or by another name."""


def run(command, *args: str):
    return CliRunner(mix_stderr=False).invoke(command, args)


def list_records(
    found: dict[type, dict[str, typing.Any]], kind: typing.Any
) -> dict[type, dict[str, typing.Any]]:
    """All records within a type, with the types of their fields."""
    is_record = isinstance(kind, type) and (dataclasses.is_dataclass(kind) or hasattr(kind, "_fields"))
    if is_record and kind not in found:
        found[kind] = typing.get_type_hints(kind)
        for each in found[kind].values():
            list_records(found, each)
    for each in typing.get_args(kind):
        list_records(found, each)
    return found


def test_every_integer_of_a_scenario_has_a_unit() -> None:
    records = list_records({}, Scenario)
    assert len(records) > 40
    missing = {
        (record.__name__, name)
        for record, fields in records.items()
        for name, kind in fields.items()
        if "int" in str(kind) and get_unit(record.__name__, name) is None
    }
    assert missing == ELSEWHERE


@pytest.fixture(scope="module")
def small() -> Scenario:
    return load_scenario(SMALL)


def test_values_are_in_the_units_of_the_file(small) -> None:
    found = list_assumptions(small, 1)
    assert {name: found[name] for name in EXPECTED} == EXPECTED
    # Options of other roles decide nothing, but a default by which the role goes is told.
    assert "keepers.crank.capital" not in found and found["keepers.poker.deviation"] == "1%"


EXPECTED = {
    "block_time": "300 s",
    "duration": "7200 s",
    "duration_after_the_end": "86400 s",
    "price_interval": "0 s",
    "block_gas": "750000000 gas",
    "gas_prices.0 s": "25000000000 wei",
    "gas_share.0 s": "10%",
    "correlation.ETH/WBTC": "80%",
    "scarcity": "0%",
    "faults.ETH.1.by": "1800 s",
    "prices.ETH.model.kind": "brownian",
    "prices.ETH.model.volatility": "244.6% a year",
    "prices.ETH.model.degrees": "4",
    "prices.ETH.model.jumps.every": "7200 s",
    "prices.ETH.model.jumps.mean": "-20%",
    "prices.ETH.points.0 s": "2300 USD",
    "markets.ETH.depth": "500000 stablecoin",
    "markets.ETH.recovery": "1200 s",
    "markets.ETH.tolerance": "0.75%",
    "members.savings.saver": "300000 stablecoin",
    "reserve": "0 stablecoin",
    "keepers.desk.capital": "100000 stablecoin",
    "keepers.desk.takes_at": "92%",
    "keepers.desk.fails.every": "259200 s",
    "keepers.taker.most": "10",
    "keepers.liquidator.gas.cap": "300000000000 wei",
    "parameters.stages": "buffer, reserve, junior, savings",
    "parameters.stages.junior.cap_bps": "50%",
    "parameters.collateral_types.ETH.liquidation_ratio": "145%",
    "parameters.collateral_types.ETH.debt_ceiling": "600000000 stablecoin",
    "parameters.collateral_types.ETH.stability_fee": "1847694957439350563 ray a second (6% a year)",
    "parameters.collateral_types.ETH.auction.penalty": "113%",
    "parameters.collateral_types.ETH.auction.curve": "stairstep",
    "parameters.collateral_types.ETH.auction.cut": "0.97 x",
    "parameters.collateral_types.ETH.auction.period": "90 s",
    "parameters.collateral_types.ETH.feed.step": "600 s",
    "parameters.guards": "none",
    "vault_book.ETH.vaults": "12",
    "vault_book.generated.ETH.ratio.2": "200%",
    "vault_book.generated.WBTC.debt.1": "20000 stablecoin",
}


def test_depths_and_debts_are_those_of_the_book_that_is_drawn(small) -> None:
    scaled = replace(
        small,
        markets={name: replace(each, depth=0, debt_to_depth=5_000) for name, each in small.markets.items()},
    )
    found, other = list_assumptions(scaled, 1), list_assumptions(scaled, 2)
    debt = int(found["vault_book.ETH.debt"].removesuffix(" stablecoin"))
    assert found["markets.ETH.depth"] == f"{2 * debt} stablecoin"
    assert other["vault_book.ETH.content"] != found["vault_book.ETH.content"]


@pytest.mark.parametrize("name", scenario_names())
def test_what_scenarios_have_otherwise_is_in_the_list(name, small) -> None:
    """Every field that two scenarios differ by shows as a line that differs."""
    day = load_scenario(name)
    found = list_assumptions(day, 1)
    assert all(isinstance(each, str) and each for each in found.values())
    differing = [
        field.name
        for field in dataclasses.fields(Scenario)
        if field.compare and getattr(day, field.name) != getattr(small, field.name)
    ]
    other = list_assumptions(small, 1)
    lines = {line.partition(".")[0] for line, _, _ in compare_assumptions(found, other)}
    renamed = {
        "vaults": "vault_book",
        "generated": "vault_book",
        "opening": "vault_book",
        "book_total": "vault_book",
    }
    texts = set(LEFT_OUT["Scenario"].split()) - renamed.keys()
    assert {renamed.get(each, each) for each in differing if each not in texts} <= lines | {"vault_book"}


def test_one_value_changed_is_one_line(small) -> None:
    one = list_assumptions(small, 1)
    desk = tuple(
        replace(group, capital=2 * group.capital) if group.name == "desk" else group
        for group in small.keepers
    )
    two = list_assumptions(replace(small, keepers=desk), 1)
    assert compare_assumptions(one, two) == [
        ("keepers.desk.capital", "100000 stablecoin", "200000 stablecoin")
    ]
    assert compare_assumptions(one, {**one, "new": "1"}) == [("new", "none", "1")]
    assert compare_assumptions(one, one) == []


# --------------------------------------------------------------------- commands


@pytest.fixture(scope="module")
def studies(tmp_path_factory) -> dict[str, Path]:
    """A study, one with another block time, an answer, and a sweep."""
    out = tmp_path_factory.mktemp("studies")
    quick = out / "quick.yaml"
    quick.write_text(f"extends: {SMALL}\nblock_time: 150 s\n")
    few = ("--paths", "4", "--out")
    proposed = ("--set", "parameters.collateral_types.ETH.auction.cut=98%", "--level", "50", "--paths", "20")
    jobs: dict[str, tuple[typing.Any, ...]] = {
        "stress": (stress, str(SMALL), "--no-drivers", "--confirm", "0", *few),
        "quick": (stress, str(quick), "--no-drivers", "--confirm", "0", "--seed", "2", *few),
        "ask": (ask, "proposal", str(SMALL), *proposed, "--out"),
        "sweep": (sweep, str(DATA / "stress" / "ratios.yaml"), *few),
    }
    for name, (command, *args) in jobs.items():
        result = run(command, *args, str(out / name))
        assert result.exit_code == 0, result.stderr
    return {name: out / name for name in jobs}


def read(folder: Path) -> dict[str, str]:
    found = json.loads((folder / "assumptions.json").read_text())
    assert found["schema_version"] == 1
    named: dict[str, str] = found["assumptions"]
    assert list(named) == sorted(named)
    return named


def test_each_study_has_what_it_assumes(studies, small) -> None:
    of_day = list_assumptions(small, 1)
    told = {name: read(folder) for name, folder in studies.items()}
    assert told["stress"].items() >= of_day.items()
    assert told["stress"]["study.paths"] == "4" and told["stress"]["study.engine"] == "fast"
    assert told["stress"]["study.seed"] == "1" and told["stress"]["study.levels"] == "95%, 99%"
    assert told["ask"].items() >= of_day.items()
    assert told["ask"]["study.level"] == "50%" and told["ask"]["study.question"] == "proposal"
    proposed = {name: value for name, value in told["ask"].items() if name.startswith("proposed.")}
    assert proposed == {"proposed.parameters.collateral_types.ETH.auction.cut": "0.98 x"}
    # A grid has all the values that an axis takes.
    assert " | " in told["sweep"]["parameters.collateral_types.ETH.liquidation_ratio"]
    assert told["sweep"]["block_time"] == "300 s" and told["sweep"]["study.gain"] == "efficiency"


def test_a_study_from_python_assumes_what_the_command_does(studies, tmp_path) -> None:
    made = backstop.study(SMALL, 4, drivers=False, out=tmp_path / "study")
    assert made.summary["drivers"] is None
    assert read(tmp_path / "study") == read(studies["stress"])


def test_a_study_from_python_has_the_drivers_of_the_command(tmp_path) -> None:
    made = backstop.study(SMALL, 4, out=tmp_path / "study")
    of_command = tmp_path / "command"
    result = run(stress, str(SMALL), "--confirm", "0", "--paths", "4", "--out", str(of_command))
    assert result.exit_code == 0, result.stderr
    drivers = json.loads((of_command / "summary.json").read_text())["drivers"]
    assert made.summary["drivers"] == drivers and len(drivers["cases"]) > 3
    assert read(tmp_path / "study") == read(of_command)


def test_two_studies_are_told_apart_line_by_line(studies) -> None:
    result = run(cli, str(studies["stress"]), str(studies["quick"]))
    assert result.exit_code == 0, result.stderr
    assert "block_time" in result.stdout and "300 s" in result.stdout and "150 s" in result.stdout
    rows = json.loads(run(cli, str(studies["stress"]), str(studies["quick"]), "--json").stdout)
    found = {row["name"]: (row["study"], row["other"]) for row in rows}
    book = {
        f"vault_book.{symbol}.{name}"
        for symbol in ("ETH", "WBTC")
        for name in ("debt", "collateral", "content")
    }
    assert found.keys() == {"block_time", "study.seed", *book}
    assert found["study.seed"] == ("1", "2")
    assert result.stdout.splitlines()[-1] == f"8 of {len(read(studies['stress']))} assumptions differ"


def test_equal_studies_assume_the_same(studies) -> None:
    result = run(cli, str(studies["stress"]), str(studies["stress"]))
    assert result.exit_code == 0
    assert result.stdout == f"both assume the same, in {len(read(studies['stress']))} lines\n"
    alone = run(cli, str(studies["stress"]))
    assert "block_time: 300 s" in alone.stdout.splitlines()
    assert json.loads(run(cli, str(studies["stress"]), "--json").stdout) == read(studies["stress"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "not found"),
        ('{"schema_version": 1, "assump', "is not a valid record of assumptions"),
        ('{"schema_version": 2, "assumptions": {}}', "has schema version 2, this program reads 1"),
        ('{"schema_version": 1}', "has no object `assumptions`"),
        ('{"schema_version": 1, "assumptions": {"block_time": 300}}', "block_time is 300, not a text"),
    ],
)
def test_what_cannot_be_compared_is_one_line(studies, tmp_path, content, message) -> None:
    if content is not None:
        (tmp_path / "assumptions.json").write_text(content)
    result = run(cli, str(studies["stress"]), str(tmp_path))
    assert result.exit_code == 1 and result.stdout == ""
    assert result.stderr.startswith("Error: ") and result.stderr.count("\n") == 1
    assert message in result.stderr and "--fresh" in result.stderr and str(tmp_path) in result.stderr
