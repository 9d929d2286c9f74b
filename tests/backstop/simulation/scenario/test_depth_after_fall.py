"""A market's depth drops with the price as in the file: whole at the high, linear down to the least."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from backstop.errors import BackstopError
from backstop.model.arithmetic import RAY, WAD
from backstop.simulation.scenario import load_scenario
from backstop.simulation.scenario.depth_after_fall import compute_depth_after_fall, count_window_blocks
from backstop.simulation.scenario.scenario_records import DepthAfterFall, MarketDepth
from backstop.studies.assumption_record import list_assumptions
from backstop.studies.stress.parameter_grid import load_grid

HOUR = 3_600
WHOLE = 10_000_003  # wad: no part of it is whole
MARKET = MarketDepth(WHOLE, 300, 1_200, 75, depth_after_fall=DepthAfterFall(HOUR, 1_000, 4_000))


def load_market(folder: Path, entry: str) -> MarketDepth:
    (folder / "day.yaml").write_text(f"extends: stress-day\nmarkets: {{ETH: {{{entry}}}}}\n")
    return load_scenario(folder / "day.yaml").markets["ETH"]


@pytest.mark.parametrize(
    ("prices", "depth"),
    [
        ([2_000], WHOLE),
        ([1_000, 1_500, 2_000], WHOLE),  # a rise
        ([2_000, 1_999], 9_970_002),  # 0.05%: 99.7% of it is 9,970,002.991
        ([2_000, 1_900], 7_000_002),  # half of the fall: 70% of it is 7,000,002.1
        ([1_900, 2_000, 1_850, 1_900], 7_000_002),  # from the highest, wherever that is
        ([2_000, 1_801], 4_030_001),
        ([2_000, 1_800], 4_000_001),  # the fall itself: 40% of it is 4,000,001.2
        ([2_000, 1_799], 4_000_001),
        ([2_000, 1], 4_000_001),
    ],
)
def test_depth_by_the_fall_from_the_highest_price(prices, depth) -> None:
    assert compute_depth_after_fall(MARKET, [each * RAY for each in prices]) == depth


def test_a_market_without_the_entry_keeps_its_depth() -> None:
    market = replace(MARKET, depth_after_fall=None)
    assert compute_depth_after_fall(market, [2_000, 1]) == WHOLE
    assert count_window_blocks(market, 300) == 0


def test_a_market_is_never_without_a_reserve() -> None:
    assert compute_depth_after_fall(replace(MARKET, depth=1), [2_000, 1]) == 1


@pytest.mark.parametrize(("block_time", "blocks"), [(300, 12), (3_600, 1), (700, 5), (60, 60)])
def test_the_window_has_the_blocks_that_are_at_most_as_old(block_time, blocks) -> None:
    assert count_window_blocks(MARKET, block_time) == blocks


def test_the_entry_is_read_in_the_units_of_the_file(tmp_path) -> None:
    found = load_market(tmp_path, "depth_after_fall: {within: 1 h, fall: 10%, depth: 40%}")
    assert found.depth_after_fall == DepthAfterFall(HOUR, 1_000, 4_000)
    assert found.depth == 40_000_000 * WAD
    scaled = load_market(
        tmp_path, "debt_to_depth: 5 x, depth_after_fall: {within: 5 min, fall: 0.01%, depth: 100%}"
    )
    assert (scaled.depth, scaled.debt_to_depth) == (0, 50_000)
    assert scaled.depth_after_fall == DepthAfterFall(300, 1, 10_000)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("40%", "depth_after_fall: is the single value '40%': write a section of `name: value` lines"),
        ("{within: 1 h, fall: 10%}", "depth_after_fall: 'depth' is missing"),
        (
            "{within: 1 h, fall: 10%, depth: 40%, to: 1}",
            "depth_after_fall.to: unknown field; known here: within",
        ),
        (
            "{within: 4 min, fall: 10%, depth: 40%}",
            "depth_after_fall.within: '4 min' is too low: the least is 300",
        ),
        ("{within: 8 d, fall: 10%, depth: 40%}", "depth_after_fall.within: '8 d' is too high"),
        ("{within: 60, fall: 10%, depth: 40%}", "depth_after_fall.within: '60' is not a duration"),
        ("{within: 1 h, fall: 0%, depth: 40%}", "depth_after_fall.fall: '0%' is too low: the least is 1"),
        (
            "{within: 1 h, fall: 100%, depth: 40%}",
            "depth_after_fall.fall: '100%' is too high: the most is 9999",
        ),
        ("{within: 1 h, fall: 0.1, depth: 40%}", "depth_after_fall.fall: '0.1' is not a ratio"),
        ("{within: 1 h, fall: 10%, depth: 0%}", "depth_after_fall.depth: '0%' is too low: the least is 1"),
        (
            "{within: 1 h, fall: 10%, depth: 101%}",
            "depth_after_fall.depth: '101%' is too high: the most is 10000",
        ),
        (
            "{within: 1 h, fall: 10%, depth: 4_000 stablecoin}",
            "depth_after_fall.depth: '4_000 stablecoin' is not",
        ),
    ],
)
def test_a_bad_value_is_one_line_with_its_place(tmp_path, entry, message) -> None:
    with pytest.raises(BackstopError) as caught:
        load_market(tmp_path, f"depth_after_fall: {entry}")
    assert str(caught.value).startswith("day.yaml:2: markets.ETH.depth_after_fall")
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_that_extends_changes_a_part_of_it_or_removes_it(tmp_path) -> None:
    load_market(tmp_path, "depth_after_fall: {within: 1 h, fall: 10%, depth: 40%}")
    part, none = tmp_path / "part.yaml", tmp_path / "none.yaml"
    part.write_text("extends: day.yaml\nmarkets: {ETH: {depth_after_fall: {depth: 20%}}}\n")
    none.write_text("extends: day.yaml\nmarkets: {ETH: {depth_after_fall: null}}\n")
    assert load_scenario(part).markets["ETH"].depth_after_fall == DepthAfterFall(HOUR, 1_000, 2_000)
    assert load_scenario(none) == replace(load_scenario("stress-day"), name="none")


def test_a_grid_may_vary_it(tmp_path) -> None:
    load_market(tmp_path, "depth_after_fall: {within: 1 h, fall: 10%, depth: 40%}")
    (tmp_path / "grid.yaml").write_text(
        "schema_version: 1\ntitle: Depth after a fall\nscenario: day.yaml\nlimit: 1_000_000 stablecoin\n"
        "level: 95%\naxes:\n  left:\n    title: Depth left\n    fields:\n"
        "      markets.ETH.depth_after_fall.depth: [40%, 100%]\n"
    )
    points = load_grid(tmp_path / "grid.yaml").points
    rules = [point.scenario.markets["ETH"].depth_after_fall for point in points]
    assert rules == [DepthAfterFall(HOUR, 1_000, 4_000), DepthAfterFall(HOUR, 1_000, 10_000)]


def test_assumptions_list_the_entry(tmp_path) -> None:
    load_market(tmp_path, "depth_after_fall: {within: 1 h, fall: 10%, depth: 40%}")
    found = list_assumptions(load_scenario(tmp_path / "day.yaml"), 1)
    named = {name: found[f"markets.ETH.depth_after_fall.{name}"] for name in ("within", "fall", "depth")}
    assert named == {"within": "3600 s", "fall": "10%", "depth": "40%"}
    assert found["markets.WBTC.depth_after_fall"] == "none"
