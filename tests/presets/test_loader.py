"""Preset files: what they replace, what they leave, and one line for every mistake."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from offchain.errors import BackstopError
from offchain.presets import lay_over, load_preset, load_presets, preset_names
from offchain.presets.loader import LIBRARY
from offchain.scenarios import load_scenario, scenario_names

ROOT = Path(__file__).parents[2]
GOOD = """schema_version: 1
title: A test
description: Two lines
  in one.
waterfall:
  savings: {share: 20%}
  reserve: {share: 50%, amount: 1_000 stablecoin}
pools:
  savings: {cooldown: 0 s, window: 0 s}
of_each_type:
  buffer_share: 0%
absent: [recogniser, coverer]
"""


@pytest.fixture
def write(tmp_path):
    def written(text: str) -> Path:
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        return path

    return written


def test_the_library_is_complete() -> None:
    known = {"aave-umbrella", "backstop", "ccp", "credit-guild", "liquity", "maker", "morpho"}
    assert set(preset_names()) == known
    assert [preset.name for preset in load_presets("all")] == preset_names()


@pytest.mark.parametrize("name", preset_names())
@pytest.mark.parametrize("scenario", scenario_names())
def test_every_preset_fits_every_scenario(name, scenario) -> None:
    laid, own = lay_over(load_preset(name), scenario), load_scenario(scenario)
    assert (laid.prices, laid.generated, laid.markets, laid.members) == (
        own.prices,
        own.generated,
        own.markets,
        own.members,
    )
    assert laid.name == own.name


def test_every_preset_has_its_paragraph() -> None:
    text = (ROOT / "docs" / "presets.md").read_text()
    assert set(re.findall(r"^### (\S+)$", text, re.M)) == set(preset_names())
    for name in preset_names():
        assert f"| `{name}` |" in text


def test_what_a_preset_replaces_and_what_it_leaves(write) -> None:
    laid, own = lay_over(load_preset(write(GOOD)), "black-thursday"), load_scenario("black-thursday")
    stages = [(stage.name, stage.cap_bps, stage.cap_absolute) for stage in laid.parameters.stages]
    assert stages == [("savings", 2_000, None), ("reserve", 5_000, 1_000 * 10**45)]
    assert laid.parameters.savings.cooldown == 0
    assert {each.buffer_share for each in laid.parameters.collateral_types} == {0}
    assert laid.parameters.epoch_length == own.parameters.epoch_length
    roles = {group.role for group in laid.keepers}
    assert {group.role for group in own.keepers} - roles == {"recogniser", "coverer"}


def test_text_is_on_one_line(write) -> None:
    assert load_preset(write(GOOD)).description == "Two lines in one."


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("schema_version: 1", "schema_version: 2", "mine.yaml:1: schema_version: is not the version 1"),
        ("title: A test\n", "", "mine.yaml:1: 'title' is missing"),
        ("absent:", "missing:", "mine.yaml:12: missing: unknown field; known here: "),
        ("coverer]", "nobody]", "mine.yaml:12: absent[1]: 'nobody' is not one of: reporter, "),
        ("buffer_share", "fee", "mine.yaml:11: of_each_type.fee: unknown field; known here: buffer_share"),
        ("  savings: {share: 20%}", "  saving: {share: 20%}", "mine.yaml:6: waterfall.saving: unknown field"),
        ("share: 20%", "share: 20", "mine.yaml:6: waterfall.savings.share: '20' is not a ratio"),
        ("cooldown: 0 s", "cooldown: 1 s", "mine.yaml:9: pools.savings.window: '0 s' is too low"),
        ("waterfall:", "waterfall: {}\nx:", "mine.yaml:6: x: unknown field"),
    ],
)
def test_a_mistake_is_one_line(write, old, new, problem) -> None:
    assert old in GOOD
    with pytest.raises(BackstopError) as caught:
        lay_over(load_preset(write(GOOD.replace(old, new))), "black-thursday")
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_are_readable() -> None:
    """Short, and every stage that is in the order by its name."""
    for name in preset_names():
        assert len((LIBRARY / f"{name}.yaml").read_text().splitlines()) <= 40
