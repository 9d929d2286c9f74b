"""Liquidation terms of known systems: from a table with sources; the user's and the file's terms go first."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

import backstop
from backstop.cli.import_book import cli
from backstop.errors import BackstopError
from backstop.model.arithmetic import BASIS_POINTS, div_up
from backstop.simulation.scenario import Scenario
from backstop.simulation.sources.liquidation_terms import list_known_systems, read_liquidation_terms

LIQUITY = {"ownerAddress": ["a"], "status": ["open"], "collateral": ["100"], "debt": ["100000"]}
MAKER = {
    "urn": ["a", "b"],
    "ilk": ["ETH-B", "WBTC-A"],
    "ink": [str(10**20)] * 2,
    "art": [str(10**23)] * 2,
    "rate": [str(10**27)] * 2,
}
CRVUSD = {
    "user": ["a"],
    "collateral_symbol": ["wstETH"],
    "collateral": ["100"],
    "stablecoin": ["0"],
    "debt": ["9e4"],
}
LIQUITY_V2 = {
    "id": ["0:0x1", "1:0x2", "2:0x3", "0:0x4"],
    "borrower": list("abcd"),
    "collateral.collIndex": [0, 1, 2, 0],
    "status": ["active", "active", "redeemed", "closed"],
    "deposit": [10**20] * 3 + [0],
    "debt": [10**23] * 3 + [0],
}


def write_day(folder: Path, rows: dict, like: str | Path, ratios: dict | None = None, **given) -> Scenario:
    book = backstop.read_book(pd.DataFrame(rows, dtype=object), like=like, **given)
    names = sorted({name for each in book.assets.values() for name in each if name})
    quotes = pd.DataFrame({"time": [f"2025-01-0{day}" for day in (1, 2, 3)]} | dict.fromkeys(names, "3000"))
    return backstop.write_scenario(book, backstop.read_prices(quotes), folder, ratios=ratios)


def list_terms(day: Scenario) -> dict[str, tuple[int, int]]:
    """Liquidation ratio and penalty of each type, basis points."""
    types = day.parameters.collateral_types
    return {each.symbol: (each.liquidation_ratio, each.auction.penalty - BASIS_POINTS) for each in types}


def aave(threshold: int, symbol: str = "wstETH") -> dict:
    return {
        "user.id": ["a", "a"],
        "reserve.symbol": [symbol, "USDC"],
        "reserve.decimals": ["18", "6"],
        "currentATokenBalance": [str(10**20), "0"],
        "usageAsCollateralEnabledOnUser": ["true", "false"],
        "currentTotalDebt": ["0", str(10**11)],
        "reserve.price.priceInUsd": ["3000", "1"],
        "reserve.reserveLiquidationThreshold": [str(threshold), "7800"],
    }


@pytest.mark.parametrize(
    ("like", "rows", "terms"),
    [
        ("liquity", LIQUITY, {"ETH": (11_000, 999)}),
        ("liquity-v2", LIQUITY_V2, {"WETH": (11_000, 500), "wstETH": (12_000, 500), "rETH": (12_000, 500)}),
        ("maker", MAKER, {"ETH-B": (13_000, 1_300), "WBTC-A": (15_000, 0)}),
        ("crvusd", CRVUSD, {"wstETH": (11_214, 639)}),
        ("aave", aave(8_100), {"wstETH": (12_346, 600)}),
    ],
)
def test_a_known_system_has_its_own_ratio_and_penalty(tmp_path, like, rows, terms) -> None:
    """Before: a trove of Liquity was liquidated under 150%, and cost 13%."""
    assert list_terms(write_day(tmp_path, rows, like)) == terms


def test_each_figure_of_the_table_is_named_with_its_source_and_date(tmp_path) -> None:
    said = "\n".join(write_day(tmp_path, MAKER, "maker").assumptions)
    assert (
        "Liquidation ratio of ETH-B 130%, WBTC-A 150%; penalty of ETH-B 13%, WBTC-A 0%: Maker (mat, chop), "
        "2025-07-03, https://github.com/makerdao/spells-mainnet/blob/64ebd0a/src/test/config.sol."
    ) in said
    said = "\n".join(write_day(tmp_path / "aave", aave(8_000), "aave").assumptions)
    assert "Penalty of wstETH 6%: Aave v3 Ethereum (threshold, bonus), 2023-10-31, https://" in said
    assert "Liquidation ratio of" not in said


def test_what_the_user_and_the_file_say_counts_before_the_table(tmp_path) -> None:
    given = write_day(tmp_path / "a", MAKER, "maker", {"ETH-B": "160%", "WBTC-A": "140%"})
    # Under the system's own ratio its penalty is not known to fit: half of what is above 100%, at most 13%.
    assert list_terms(given) == {"ETH-B": (16_000, 1_300), "WBTC-A": (14_000, 1_300)}
    assert "Liquidation ratio of" not in "\n".join(given.assumptions)
    efficient = write_day(tmp_path / "b", aave(9_300), "aave")
    assert list_terms(efficient) == {"wstETH": (10_753, 376)}
    assert "Penalty of" not in "\n".join(efficient.assumptions)
    safer = write_day(tmp_path / "c", aave(7_500), "aave")
    assert list_terms(safer) == {"wstETH": (13_334, 600)}


def test_collateral_that_the_table_lacks_is_named_as_guessed(tmp_path) -> None:
    day = write_day(tmp_path, {**CRVUSD, "collateral_symbol": ["LBTC"]}, "crvusd")
    assert list_terms(day) == {"LBTC": (15_000, 1_300)}
    assert "Without a known liquidation ratio, and at 150%: LBTC." in day.assumptions


def test_a_mapping_of_ones_own_names_its_system(tmp_path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("system: liquity-v2\ncolumns: {owner: o, collateral: c, locked: l, debt: d}\n")
    rows = {"o": ["a"], "c": ["rETH"], "l": ["100"], "d": ["100000"]}
    assert list_terms(write_day(tmp_path / "day", rows, mine)) == {"rETH": (12_000, 500)}
    mine.write_text("system: liquidity\ncolumns: {owner: o}\n")
    with pytest.raises(BackstopError, match=r"^mine.yaml:1: system: 'liquidity' .*liquity-v2"):
        backstop.read_book(pd.DataFrame(rows), like=mine)


def test_the_table_is_what_its_sources_say() -> None:
    """Derived figures anew, and the source, the date and the bound of every entry."""
    assert list_known_systems() == ["aave", "crvusd", "liquity", "liquity-v2", "maker"]
    loan, liquidation, bands = 900, 600, 4  # basis points, basis points, bands of one per cent
    kept = (BASIS_POINTS - loan) * (BASIS_POINTS - bands * BASIS_POINTS // 200)
    crvusd = (div_up(BASIS_POINTS**3, kept), div_up(BASIS_POINTS * liquidation, BASIS_POINTS - liquidation))
    assert {each[:2] for each in read_liquidation_terms("crvusd").values()} == {crvusd}
    thresholds = {"WETH": 8_300, "wstETH": 8_100, "WBTC": 7_800, "rETH": 7_700, "USDT": 7_600, "weETH": 8_000}
    terms = read_liquidation_terms("aave")
    for symbol, threshold in thresholds.items():
        assert terms[symbol].ratio == div_up(BASIS_POINTS**2, threshold)
    for system in list_known_systems():
        for each in read_liquidation_terms(system).values():
            assert each.source.address.startswith("https://github.com/")
            assert re.search(r"/(blob|tree)/[0-9a-f]{7}(/|$)", each.source.address)
            assert date(2020, 1, 1) < date.fromisoformat(each.source.date) < date(2027, 1, 1)
            assert 0 <= each.penalty < each.ratio - BASIS_POINTS  # a vault just unsafe is worth both
    assert read_liquidation_terms("morpho") == {}


def test_the_command_says_where_ratios_are_from(tmp_path) -> None:
    pd.DataFrame(LIQUITY).to_csv(tmp_path / "book.csv", index=False)
    (tmp_path / "prices.csv").write_text("time,ETH\n2025-01-01,3000\n2025-01-02,3100\n2025-01-03,3050\n")
    args = [
        "--book",
        str(tmp_path / "book.csv"),
        "--like",
        "liquity",
        "--prices",
        str(tmp_path / "prices.csv"),
    ]
    result = CliRunner(mix_stderr=False).invoke(cli, [*args, "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.stderr
    assert (
        "\nLiquidation ratio of ETH 110%; penalty of ETH 9.99%: Liquity v1 (MCR), 2021-03-31, "
        in result.stdout
    )
