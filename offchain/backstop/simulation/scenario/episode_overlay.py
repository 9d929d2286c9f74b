"""Historic episodes: the prices, gas prices and outages of a crash, laid over any scenario before it is read.

The book, the parameters, the markets' depth and the keepers' capital stay the scenario's own.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from backstop.errors import BackstopError
from backstop.model.arithmetic import RAY
from backstop.simulation.scenario import quantity_units
from backstop.simulation.scenario.csv_table import read_table
from backstop.simulation.scenario.parameters_yaml_writer import format_decimal, format_exact_usd_price
from backstop.simulation.scenario.yaml_document_reader import Field, Section, read_document

FOLDER = Path(__file__).with_name("episodes")
_COINS = "coins"

MOVES = "Prices begin at this scenario's own and move as in the episode: "
"""Beginning of the assumption that says which price follows which coin."""

STANDS_STILL = "USD"
"""The followed coin of a price that does not move."""
_OTHERS = ("ETH",)
"""The followed coins of assets that no list names."""

BARGAIN = 7_000
"""Share of the market's price [bps] up to which a bidder also buys through an outage."""
_FOLLOWS_GAS = 11_000  # of the gas price, by keepers whose own gas price is fixed [bps]
_ROOM = 15_000  # highest gas price that a keeper is ready to pay, of the highest of the episode [bps]
_OUT = ("flash_taker", "bidder")
_SECONDS_APART = 600
"""Longest time of a block: prices of some episodes are that far apart."""


class Episode(NamedTuple):
    """Historic episode: its file, and prices [ray] by coin and second from its start."""

    name: str
    section: Section
    prices: Mapping[str, Mapping[int, int]]


def list_episode_names() -> list[str]:
    """Return the names of the packaged historic episodes, the earliest first."""
    found = [path.stem for path in FOLDER.glob("*.yaml") if path.stem != _COINS]
    return sorted(
        found, key=lambda name: read_document(FOLDER / f"{name}.yaml").read_mapping_entries()["start"].text
    )


@cache
def load_episode(name: str) -> Episode:
    """Load a packaged historic episode with its prices.

    Raises BackstopError if there is no episode of this name.
    """
    if name not in list_episode_names():
        raise BackstopError(f"{name!r} is not an episode; expected one of {', '.join(list_episode_names())}")
    section = read_document(FOLDER / f"{name}.yaml").read_section(
        ("title", "start", "duration", "facts", "assumptions", "volatility", "gas_prices"), ("outages",)
    )
    lines = (FOLDER / f"{name}.csv").read_text().splitlines()
    prices: dict[str, dict[int, int]] = {}
    for row in csv.DictReader(line for line in lines if not line.startswith("#")):
        time = quantity_units.read_multiday_clock(row.pop("time"))
        for coin, price in row.items():
            if price:
                prices.setdefault(coin, {})[time] = quantity_units.read_price_as_ray(f"{price} USD")
    return Episode(name, section, prices)


def find_followed_coin(asset: str, episode: Episode) -> str:
    """Return the episode's coin that gives an asset its price moves; STANDS_STILL for a dollar coin.

    An asset with its own prices in the episode follows them. Another asset follows the first coin of its list
    that the episode has, and an asset without a list follows ether. The part of the name after the first `-`
    is ignored, as in ETH-B.
    """
    base = asset.split("-")[0]
    for coins in ((base,), _read_followed_coins_by_asset().get(base.lower(), _OTHERS)):
        for coin in coins:
            if coin in episode.prices or coin == STANDS_STILL:
                return coin
    return _OTHERS[0]


def overlay_scenario_with_episode(scenario_field: Field) -> Field:
    """Return a scenario's document with its named historic episode applied.

    Without a named episode the document is returned unchanged. Each price starts at the scenario's first
    price and moves as its coin did; it is rounded down, to at least 1. The scenario's own outages, feed
    prices and correlations are dropped. Raises BackstopError if blocks are longer than the episode's price
    interval.
    """
    given = scenario_field.read_mapping_entries()
    named = given.get("episode")
    if named is None:
        return scenario_field
    episode, chosen = _read_named_episode(named)
    _check_block_time(given, episode)
    writer = _FieldWriter(named)
    prices = given["prices"].read_mapping_entries() if "prices" in given else {}
    follows = {asset: chosen.get(asset) or find_followed_coin(asset, episode) for asset in prices}
    for asset in chosen:
        if asset not in prices:
            named.raise_error(
                f"{asset!r} is not a price of this scenario; expected one of {', '.join(prices)}"
            )
    changed = {
        name: entry for name, entry in given.items() if name not in ("episode", "feed_prices", "correlation")
    }
    changed["prices"] = writer.build_field(
        "prices",
        {asset: _move_price(asset, prices[asset], coin, episode, given) for asset, coin in follows.items()},
    )
    if "equity_price" in given:
        moved = _move_price("equity_price", given["equity_price"], _OTHERS[0], episode, given)
        changed["equity_price"] = writer.build_field("equity_price", moved)
    changed["duration"] = writer.build_field("duration", episode.section["duration"].text)
    if "opening" not in given:
        changed["start"] = writer.build_field("start", episode.section["start"].text)
    _change_texts(changed, episode, follows, writer)
    _change_gas(changed, episode, writer)
    return Field(scenario_field.file, scenario_field.line, scenario_field.path, changed)


class _FieldWriter:
    """Builder of document fields with errors that point to the line that names the episode."""

    def __init__(self, named: Field) -> None:
        self.named = named

    def build_field(self, path: str, value: object) -> Field:
        """Return a value, list or mapping as a document field; a field is returned unchanged."""
        if isinstance(value, Field):
            return value
        found: str | list[Field] | dict[str, Field]
        if isinstance(value, dict):
            found = {name: self.build_field(f"{path}.{name}", each) for name, each in value.items()}
        elif isinstance(value, list):
            found = [self.build_field(f"{path}[{i}]", each) for i, each in enumerate(value)]
        else:
            found = str(value)
        return Field(self.named.file, self.named.line, path, found)


def _read_named_episode(named: Field) -> tuple[Episode, dict[str, str]]:
    """Read the named episode, and the scenario's own choice of the coin that each asset follows."""
    if isinstance(named.value, str):
        field, chosen = named, dict[str, str]()
    else:
        section = named.read_section(("name",), ("follow",))
        field = section["name"]
        entries = section["follow"].read_mapping_entries() if "follow" in section else {}
        chosen = {asset: entry.text for asset, entry in entries.items()}
    try:
        episode = load_episode(field.text)
    except BackstopError as error:
        field.raise_error(str(error))
    for asset, coin in chosen.items():
        if coin != STANDS_STILL and coin not in episode.prices:
            named.raise_error(
                f"{asset}: {coin!r} is not a coin of {episode.name}; expected one of "
                f"{', '.join([*episode.prices, STANDS_STILL])}"
            )
    return episode, chosen


def _check_block_time(given: Mapping[str, Field], episode: Episode) -> None:
    block = given.get("block_time")
    if block is not None and block.read_value(quantity_units.read_seconds) > _SECONDS_APART:
        block.raise_error(
            f"{block.text!r}: prices of {episode.name} are minutes apart; give blocks of at most "
            f"{quantity_units.format_duration_text(_SECONDS_APART)}"
        )


@cache
def _read_followed_coins_by_asset() -> dict[str, tuple[str, ...]]:
    """Return the coins that each listed asset follows, by the asset's name in lower case."""
    return {
        item.text.lower(): tuple(coin.strip() for coin in coins.split(","))
        for coins, assets in read_document(FOLDER / f"{_COINS}.yaml").read_mapping_entries().items()
        for item in assets.read_items()
    }


def _move_price(
    asset: str, price: Field, coin: str, episode: Episode, given: Mapping[str, Field]
) -> dict[str, object]:
    """Return the price section of an asset that starts at its own price and moves as a coin did.

    Of several published prices within one block, the one farthest from the first is kept, so that no low or
    high is lost.
    """
    first = _read_first_price(price)
    block = given["block_time"].read_value(quantity_units.read_seconds) if "block_time" in given else 1
    last = episode.section["duration"].read_value(quantity_units.read_seconds)
    if coin == STANDS_STILL:
        moves, volatility = {0: 1, last: 1}, "0 bps"
    else:
        moves = dict(episode.prices[coin])
        volatility = episode.section["volatility"].read_mapping_entries()[coin].text
    begin, furthest = moves[0], dict[int, int]()
    for time, value in moves.items():
        at = -(-time // block) * block
        furthest[at] = max(furthest.get(at, begin), value, key=lambda each: _measure_distance(each, begin))
    points = {
        _format_clock(at): format_exact_usd_price(max(1, first * value // begin))
        for at, value in furthest.items()
    }
    if last % block:
        given["block_time"].raise_error(
            f"{given['block_time'].text!r} does not divide the "
            f"{episode.section['duration'].text} of {episode.name}"
        )
    return {"volatility": volatility, "assumed": points}


def _measure_distance(price: int, begin: int) -> int:
    """Return the ratio of the higher to the lower of two prices [ray]."""
    return max(price, begin) * RAY // min(price, begin)


def _read_first_price(price: Field) -> int:
    """Return the first price of a price section [ray], for any of its forms."""
    entries = price.read_mapping_entries()
    if "model" in entries:
        return (
            entries["model"]
            .read_section(("start",), tuple(entries["model"].read_mapping_entries()))["start"]
            .read_value(quantity_units.read_price_as_ray)
        )
    if "file" in entries:
        file, column = entries["file"], entries["column"].text
        row = read_table(file.find_local_file(), file.raise_error, (column,), exactly=False)[0]
        return file.read_value(lambda _: quantity_units.read_price_as_ray(f"{row.cells[column]} USD"))
    for label in ("published", "assumed"):
        for clock, entry in entries[label].read_mapping_entries().items() if label in entries else ():
            if quantity_units.read_multiday_clock(clock) == 0:
                return entry.read_value(quantity_units.read_price_as_ray)
    price.raise_error("has no price at 00:00")


def _change_texts(
    changed: dict[str, Field], episode: Episode, follows: Mapping[str, str], writer: _FieldWriter
) -> None:
    """Add the episode's title, facts and assumptions to the scenario's texts."""
    title = episode.section["title"].text
    if "title" in changed:
        changed["title"] = writer.build_field("title", f"{changed['title'].text}: {title}")
    if "facts" in changed:
        changed["facts"] = writer.build_field(
            "facts", [*changed["facts"].read_items(), *episode.section["facts"].read_items()]
        )
    if "assumptions" in changed:
        lines: list[object] = [*changed["assumptions"].read_items(), *describe_overlay(follows)]
        lines += episode.section["assumptions"].read_items()
        changed["assumptions"] = writer.build_field("assumptions", lines)


def describe_overlay(follows: Mapping[str, str]) -> list[str]:
    """Return the assumptions that an episode adds: followed coins, and keepers' gas prices."""
    return [
        f"{MOVES}{describe_followed_coins(follows)}. Equity, where there is any, moves as ETH.",
        "Keepers pay the episode's gas prices, up to one and a half times the highest.",
    ]


def describe_followed_coins(follows: Mapping[str, str]) -> str:
    """Return a text of which asset follows which coin, as in `ETH, WBTC as BTC`.

    Assets with a constant price are named after the others.
    """
    moving = ", ".join(
        asset if asset == coin else f"{asset} as {coin}"
        for asset, coin in follows.items()
        if coin != STANDS_STILL
    )
    still = ", ".join(asset for asset, coin in follows.items() if coin == STANDS_STILL)
    return "; ".join(filter(None, [moving, f"where they begin stay {still}" if still else ""]))


def _change_gas(changed: dict[str, Field], episode: Episode, writer: _FieldWriter) -> None:
    """Replace gas prices and outages by the episode's, and raise keepers' gas price caps to match."""
    gas = episode.section["gas_prices"]
    highest = max(
        entry.read_value(quantity_units.read_gas_price)
        for label in gas.read_mapping_entries().values()
        for entry in label.read_mapping_entries().values()
    )
    if "congestion" in changed:
        entries = {
            name: entry
            for name, entry in changed["congestion"].read_mapping_entries().items()
            if name != "spikes"
        }
        changed["congestion"] = writer.build_field("congestion", entries | {"gas_prices": gas})
    outages = episode.section.get("outages")
    groups: dict[str, object] = {}
    for name, group in changed["keepers"].read_mapping_entries().items() if "keepers" in changed else ():
        entries = {key: entry for key, entry in group.read_mapping_entries().items() if key != "outages"}
        if "gas_price" in entries:
            entries["gas_price"] = _raise_gas_cap(entries["gas_price"], highest, writer)
        if outages is not None and _is_stopped_by_outage(entries):
            entries["outages"] = outages
        groups[name] = writer.build_field(f"keepers.{name}", entries)
    changed["keepers"] = writer.build_field("keepers", groups)


def _raise_gas_cap(gas_price: Field, highest: int, writer: _FieldWriter) -> Field:
    """Return a keeper's gas price policy, with a cap above the episode's highest gas price."""
    follow: object = f"{_FOLLOWS_GAS // 100}%"
    most, lag = highest * _ROOM // 10_000, dict[str, Field]()
    if isinstance(gas_price.value, dict):
        entries = gas_price.read_mapping_entries()
        follow = entries.get("follow", follow)
        lag = {name: entry for name, entry in entries.items() if name == "lag"}
        if "cap" in entries:
            most = max(most, entries["cap"].read_value(quantity_units.read_gas_price))
    return writer.build_field(
        gas_price.path, {"follow": follow, **lag, "cap": f"{format_decimal(most, 10**9)} gwei"}
    )


def _is_stopped_by_outage(entries: Mapping[str, Field]) -> bool:
    """Return True if the episode's outages stop this group: buyers that accept more than a bargain."""
    role = entries["role"].text if "role" in entries else ""
    if role not in _OUT:
        return False
    price = entries.get("takes_at")
    return price is None or price.read_value(quantity_units.read_basis_points) > BARGAIN


def _format_clock(seconds: int) -> str:
    return f"{seconds // 3_600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
