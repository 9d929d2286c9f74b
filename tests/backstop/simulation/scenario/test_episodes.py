"""Historic episodes laid over a scenario: prices move as published, from where the scenario begins."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from backstop.errors import BackstopError
from backstop.simulation.scenario import load_scenario
from backstop.simulation.scenario.episode_overlay import (
    FOLDER,
    find_followed_coin,
    list_episode_names,
    load_episode,
)
from backstop.simulation.scenario.scenario_library import join_episode, split_episode

NAMES = ["march-2020", "may-2021", "june-2022", "november-2022", "march-2023", "october-2025"]
GWEI = 10**9
BOOK = """extends: stress-day
title: a book of my own
correlation: null
prices:
  ETH: {file: prices.csv, column: ETH, every: 1 h}
%s
"""


@pytest.fixture
def mine(tmp_path: Path):
    """Write a scenario with ether at 2,000 at first, with more lines of its file."""

    def write(more: str) -> Path:
        (tmp_path / "prices.csv").write_text("ETH\n" + "2000\n" * 30)
        (tmp_path / "mine.yaml").write_text(BOOK % more)
        return tmp_path / "mine.yaml"

    return write


def read_published(name: str, coin: str) -> dict[int, float]:
    lines = [line for line in (FOLDER / f"{name}.csv").read_text().splitlines() if line[0] != "#"]
    found = {}
    for row in csv.DictReader(lines):
        hours, minutes = row["time"].split(":")
        if row[coin]:
            found[int(hours) * 3_600 + int(minutes) * 60] = float(row[coin])
    return found


def test_the_episodes_are_in_the_order_of_time() -> None:
    assert list_episode_names() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_coin_has_a_volatility_and_a_price_at_both_ends(name: str) -> None:
    episode = load_episode(name)
    duration = load_scenario(f"stress-day@{name}").duration
    assert set(episode.section["volatility"].read_mapping_entries()) == set(episode.prices)
    for coin, prices in episode.prices.items():
        assert (min(prices), max(prices)) == (0, duration), coin
    assert all(
        fact.read_section(("fact", "source"))["source"].text for fact in episode.section["facts"].read_items()
    )


@pytest.mark.parametrize("name", NAMES)
def test_prices_begin_at_the_scenarios_own_and_move_as_published(name: str, mine) -> None:
    day, published = load_scenario(join_episode(str(mine("")), name)), read_published(name, "ETH")
    path = day.prices["ETH"]
    assert path.points[0] == 2_000 * 10**27
    alone = [
        time
        for time in published
        if time % day.block_time == 0 and not any(time - day.block_time < other < time for other in published)
    ]
    assert len(alone) > 20
    for time in alone:
        assert path.points[time] / 10**27 == pytest.approx(2_000 * published[time] / published[0], rel=1e-12)
    assert min(path.points.values()) / 10**27 == pytest.approx(
        2_000 * min(published.values()) / published[0], rel=1e-12
    )


def test_the_deepest_falls_are_those_of_the_sources() -> None:
    falls = {
        name: round(
            100 * (1 - min(load_episode(name).prices[coin].values()) / load_episode(name).prices[coin][0])
        )
        for name, coin in zip(NAMES, ("ETH", "ETH", "ETH", "CRV", "USDC", "ETH"), strict=True)
    }
    assert falls == {
        "march-2020": 56,  # 195.21 to 86
        "may-2021": 44,  # 3,376 to below 1,900
        "june-2022": 42,
        "november-2022": 18,  # 0.501 to 0.413
        "march-2023": 13,  # to 0.877
        "october-2025": 15,
    }
    crv = load_episode("november-2022").prices["CRV"]
    assert max(crv.values()) / crv[0] == pytest.approx(1.44, abs=0.01)  # the rise that hit the short


@pytest.mark.parametrize(
    "asset, name, coin",
    [
        ("ETH-B", "june-2022", "ETH"),
        ("wstETH", "june-2022", "stETH"),
        ("wstETH", "may-2021", "ETH"),
        ("WBTC", "march-2020", "BTC"),
        ("WBTC-A", "march-2020", "BTC"),
        ("DAI", "march-2023", "USDC"),
        ("DAI", "may-2021", "USD"),
        ("USDT", "march-2023", "USD"),
        ("CRV", "november-2022", "CRV"),
        ("CRV", "march-2023", "ETH"),
        ("PEPE", "october-2025", "ETH"),
    ],
)
def test_an_asset_follows_its_own_coin_then_its_list_then_ether(asset: str, name: str, coin: str) -> None:
    assert find_followed_coin(asset, load_episode(name)) == coin


def test_which_price_follows_which_coin_is_an_assumption_of_the_scenario(mine) -> None:
    day = load_scenario(f"{mine('')}@may-2021")
    said = [line for line in day.assumptions if line.startswith("Prices begin at this scenario's own")]
    assert len(said) == 1 and ": ETH" in said[0]
    assert day.title == "a book of my own: 19 May 2021"
    assert any("1,947 gwei" in fact.statement for fact in day.facts)


def test_a_file_chooses_what_an_asset_follows(mine) -> None:
    file = mine("episode: {name: may-2021, follow: {ETH: BTC}}")
    low = min(load_scenario(file).prices["ETH"].points.values()) / 10**27
    assert low == pytest.approx(2_000 * 28_688.2 / 42_883.1, rel=1e-3)
    still = mine("episode: {name: may-2021, follow: {ETH: USD}}")
    assert set(load_scenario(still).prices["ETH"].points.values()) == {2_000 * 10**27}


def test_keepers_can_pay_the_gas_and_keep_a_higher_cap_of_their_own(mine) -> None:
    day = load_scenario(
        f"{mine('keepers: {liquidator: {gas_price: {follow: 120%, cap: 9_000 gwei}}}')}@may-2021"
    )
    caps = {group.name: group.gas.cap or 0 for group in day.keepers}
    assert caps.pop("liquidator") == 9_000 * GWEI
    assert min(caps.values()) == 1_947 * GWEI * 3 // 2
    assert day.gas_prices.values[day.gas_prices.times.index(13 * 3_600 + 600)] == 1_947 * GWEI


def test_an_outage_stops_buyers_but_those_of_bargains(mine) -> None:
    more = """keepers:
  desk: {role: bidder, capital: 1_000 stablecoin, takes_at: 92%, gas_price: 5 gwei}
  opportunist: {role: bidder, capital: 1_000 stablecoin, takes_at: 70%, gas_price: 5 gwei}"""
    groups = {group.name: group for group in load_scenario(f"{mine(more)}@march-2020").keepers}
    out = {name for name, group in groups.items() if group.outages}
    assert out == {"desk", "taker"} | {
        name for name, each in groups.items() if each.role == "bidder" and each.takes_at > 7_000
    }
    assert (groups["desk"].outages[0].start, groups["desk"].outages[0].end) == (
        46_140,
        61_860,
    )  # 12:49, 17:11
    assert not any(group.outages for group in load_scenario(f"{mine(more)}@may-2021").keepers)


def test_outages_of_the_scenarios_own_day_go(mine) -> None:
    more = "keepers: {liquidator: {outages: [{from: 01:00, to: 02:00}]}}"
    assert any(group.outages for group in load_scenario(mine(more)).keepers)
    assert not any(group.outages for group in load_scenario(f"{mine(more)}@june-2022").keepers)


@pytest.mark.parametrize(
    "name, more, problem",
    [
        ("may-2022", "", "'may-2022' is not an episode; expected one of march-2020, may-2021, june-2022"),
        (
            "",
            "episode: may-2022",
            "mine.yaml:6: episode: 'may-2022' is not an episode; expected one of march-2020",
        ),
        (
            "",
            "episode: {name: may-2021, follow: {ETH: DOGE}}",
            "ETH: 'DOGE' is not a coin of may-2021; expected one of ETH, BTC",
        ),
        (
            "",
            "episode: {name: may-2021, follow: {DOGE: ETH}}",
            "'DOGE' is not a price of this scenario; expected one of ETH",
        ),
        ("", "episode: {name: may-2021, like: {}}", "unknown field; known here: name, follow"),
        (
            "may-2021",
            "block_time: 1 h",
            "prices of may-2021 are minutes apart; give blocks of at most 10 min",
        ),
    ],
)
def test_what_is_wrong_is_one_line(name: str, more: str, problem: str, mine) -> None:
    file = str(mine(more))
    with pytest.raises(BackstopError, match=r"^[^\n]*$") as caught:
        load_scenario(join_episode(file, name or None))
    assert problem in str(caught.value)


def test_a_file_may_have_the_mark_in_its_name(tmp_path: Path) -> None:
    file = tmp_path / "a@b.yaml"
    file.write_text("extends: stress-day\n")
    assert split_episode(str(file)) == (str(file), "")
    assert split_episode(f"{file}@may-2021") == (str(file), "may-2021")
    assert join_episode(f"{file}@may-2021", "june-2022") == f"{file}@june-2022"
    assert load_scenario(f"{file}@may-2021").name == "a@b-may-2021"
