"""A book with known losses: one price drop by three fifths, one buyer that pays four fifths."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import backstop
from backstop.simulation.scenario import load_scenario

BOOK = [
    # Collateral at 2,000 dollars: ratios of 160%, 200%, 400%; two vaults of one owner.
    ("anna", "ETH", "80", "100000"),
    ("bert", "ETH", "100", "100000"),
    ("cleo", "ETH", "400", "200000"),
    ("anna", "BTC", "2", "100000"),
]
WORLD = """
extends: scenario.yaml
title: A fall that is known
duration: 6 h
parameters:
  global_auction_limit: 100_000_000 stablecoin
  collateral_types:
    ETH: {auction_limit: 100_000_000 stablecoin}
    BTC: {auction_limit: 100_000_000 stablecoin}
prices:
  ETH: {model: null, volatility: 0 bps, assumed: {00:00: 2_000 USD, 00:05: 800 USD, 06:00: 800 USD}}
  BTC: {model: null, volatility: 0 bps, assumed: {00:00: 100_000 USD, 06:00: 100_000 USD}}
keepers:
  taker: null
  opportunist: null
  liquidator: {fails: null}
  desk: {count: 1, capital: 350_000 stablecoin, takes_at: 80%, most: 20, fails: null}
"""

OWNERS = """
owners:
  every: 1 h
  idle: 0%
  defend:
    distances: [100%]
    chances: [100%, 0%]
    within: 1 h
    falls: [0%]
    factors: [1 x]
    ways: {sell: 0%, repay: 100%, add: 0%}
    sizes: [20%, 20%, 20%, 20%, 20%, 20%, 20%, 20%, 20%, 20%, 20%]
    least: 0%
  release:
    distances: [100%]
    chances: [0%, 0%]
    ways: {draw: 100%, withdraw: 0%}
    sizes: [1%, 1%, 1%, 1%, 1%, 1%, 1%, 1%, 1%, 1%, 1%]
    least: 0%
"""
EVENTS = [
    # Hours from the start: a day before it, those of the scenario, and one after its end.
    (-24, "deposit,cleo,ETH,7,,"),
    (0.5, "liquidation,anna,ETH,80,USD,100000"),
    (1, "repayment,bert,USD,30000,,"),
    (1, "deposit,bert,ETH,5,,"),
    (2, "draw,cleo,USD,1000,,"),
    (2, "withdrawal,cleo,ETH,3,,"),
    (2, "liquidation,dora,ETH,9,USD,7000"),
    (7, "repayment,cleo,USD,1000,,"),
]


@pytest.fixture(scope="session")
def known(tmp_path_factory) -> Path:
    """The file of that scenario."""
    folder = tmp_path_factory.mktemp("known")
    times = 1_700_006_400 + 3_600 * pd.Series(range(48))
    prices = pd.DataFrame({"time": times, "ETH": ["2000"] * 48, "BTC": ["100000"] * 48})
    book = backstop.read_book(pd.DataFrame(BOOK, columns=["owner", "collateral", "locked", "debt"]))
    backstop.write_scenario(book, backstop.read_prices(prices), folder, reserve=0)
    file = folder / "known.yaml"
    file.write_text(WORLD)
    return file


@pytest.fixture(scope="session")
def late(known: Path) -> Path:
    """That book, with a price drop four hours later: owners that look each hour have acted by then."""
    path = known.with_name("late.yaml")
    fall = "prices: {ETH: {assumed: {00:05: null, 04:00: 2_000 USD, 04:05: 800 USD}}}"
    path.write_text(f"extends: {known.name}\ntitle: A fall that comes late\n{fall}\n")
    return path


@pytest.fixture(scope="session")
def lived(known: Path) -> Path:
    """That book with owners that react, beside the file of its events: `events.csv`."""
    path = known.with_name("lived.yaml")
    path.write_text(f"extends: {known.name}\ntitle: A fall that was lived through\n{OWNERS}")
    start = load_scenario(path).start
    rows = [f"{start + int(hours * 3_600)},{rest}" for hours, rest in EVENTS]
    header = "time,kind,account,symbol,amount,debt_symbol,debt_amount"
    path.with_name("events.csv").write_text("\n".join([header, *rows]) + "\n")
    return path
