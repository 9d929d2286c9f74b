"""The library's scenarios have the known results of 12 March 2020."""

from __future__ import annotations

import pytest

from backstop.model.arithmetic import RAY
from backstop.simulation.scenario import build_vault_book, load_scenario, price_path, scenario_names

ETH = "195 192 186 185 181 182 180 172 169 170 168 143 137 137 135 139 138 144 142 138 137 130 133 124"
GWEI = "7 10 11 11 20 20 16 23 40 38 40 66 102 117 138 200 200 173 130 68 67 86 90 60"
NAMES = ("black-thursday", "black-thursday-healthy", "black-thursday-zero-bid")


def test_the_library() -> None:
    assert set(NAMES) <= set(scenario_names())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_published_prices(name: str, seed: int) -> None:
    scenario = load_scenario(name)
    eth = scenario.prices["ETH"]
    path = price_path(eth.points, eth.volatility, seed, "ETH", scenario.duration, scenario.block_time)
    for hour, price in enumerate(map(int, ETH.split())):
        at = hour * 3_600
        assert path[at // scenario.block_time] // RAY == price
        assert at in eth.published
    low = 23 * 3_600 + 20 * 60
    assert path[low // scenario.block_time] == 10_101 * RAY // 100
    assert min(path[: 24 * 3_600 // scenario.block_time + 1]) == 10_101 * RAY // 100
    assert path[24 * 3_600 // scenario.block_time] == 10_752 * RAY // 100
    assert path[0] == 19_521 * RAY // 100


@pytest.mark.parametrize("name", NAMES)
def test_the_published_gas_prices(name: str) -> None:
    scenario = load_scenario(name)
    for hour, gwei in enumerate(map(int, GWEI.split())):
        assert scenario.gas_prices.get_value(hour * 3_600) == gwei * 10**9
        assert hour * 3_600 in scenario.published_gas


@pytest.mark.parametrize("name", NAMES)
def test_what_is_fact_and_what_is_assumed(name: str) -> None:
    scenario = load_scenario(name)
    assert scenario.facts and scenario.assumptions
    assert all(fact.source for fact in scenario.facts)
    assert not scenario.prices["WBTC"].published


@pytest.mark.parametrize("name", NAMES)
def test_the_book(name: str) -> None:
    scenario = load_scenario(name)
    prices = {symbol: path.points[0] for symbol, path in scenario.prices.items()}
    book = build_vault_book(scenario, 1, prices)
    assert len(book) >= 200
    assert len({vault.symbol for vault in book}) >= 2
    assert {each.decimals for each in scenario.parameters.collateral_types} == {18, 8, 6}


def test_healthy_differs_in_its_keepers_alone() -> None:
    outage, healthy = load_scenario("black-thursday"), load_scenario("black-thursday-healthy")
    assert outage.parameters == healthy.parameters
    assert (outage.prices, outage.generated, outage.markets) == (
        healthy.prices,
        healthy.generated,
        healthy.markets,
    )
    assert (outage.gas_prices, outage.gas_share) == (healthy.gas_prices, healthy.gas_share)
    assert not any(group.outages for group in healthy.keepers)


def test_the_auctions() -> None:
    auction = load_scenario("black-thursday").parameters.collateral_types[0].auction
    assert (auction.buf, auction.cut, auction.period) == (12_000, 99 * RAY // 100, 90)
    assert (auction.cusp, auction.tail, auction.penalty, auction.chip) == (4_000, 8_400, 11_300, 10)
    weak = load_scenario("black-thursday-zero-bid").parameters.collateral_types[0].auction
    assert weak.cusp < 10


def test_the_outage() -> None:
    keepers = load_scenario("black-thursday").keepers
    traders = [group for group in keepers if group.role in ("liquidator", "flash_taker", "bidder")]
    down = [group for group in traders if group.outages]
    assert sum(group.count for group in down) > sum(group.count for group in traders) // 2
    assert {(each.start, each.end) for group in down for each in group.outages} == {(46_140, 61_860)}
    (opportunist,) = (group for group in keepers if group.name == "opportunist")
    assert opportunist.takes_at <= 5_000 and not opportunist.outages


@pytest.mark.parametrize("name", ["black-thursday", "black-thursday-healthy", "black-thursday-zero-bid"])
def test_folded_texts_have_no_marks(name):
    scenario = load_scenario(name)
    for text in (scenario.title, scenario.description, *map(str, scenario.facts), *scenario.assumptions):
        assert text.isprintable(), text


@pytest.mark.parametrize("seed", [1, 2])
def test_ten_minutes_of_october_2025(seed: int) -> None:
    """BTC drops from the published price to the published low, ALT by two thirds, and recovers most of it."""
    scenario, found = load_scenario("october-2025-perpetuals"), {}
    for symbol, path in scenario.prices.items():
        drawn = price_path(path.points, path.volatility, seed, symbol, scenario.duration, scenario.block_time)
        found[symbol] = [price // RAY for price in drawn[: scenario.blocks + 1]]
    assert (found["BTC"][0], min(found["BTC"])) == (122_574, 104_782)
    assert {0, 21 * 3_600 + 20 * 60} <= scenario.prices["BTC"].published
    low = (21 * 60 + 20) * 60 // scenario.block_time
    alt = scenario.prices["ALT"].points
    before, after = alt[21 * 3_600 + 12 * 60], alt[21 * 3_600 + 32 * 60]
    bottom = alt[low * scenario.block_time]
    assert 100 * bottom < 35 * before and 4 * (after - bottom) > 3 * (before - bottom)
    assert scenario.margin_symbols == ("BTC", "ALT") and not scenario.prices["ALT"].published
