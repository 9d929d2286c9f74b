"""A book whose losses are known: one fall by three fifths, one buyer who pays four fifths."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import backstop

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
