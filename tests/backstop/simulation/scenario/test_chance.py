"""Random parts of a scenario are read with their units; a mistake is one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstop.errors import BackstopError
from backstop.keepers.keeper_group_settings import RandomOutages
from backstop.model.arithmetic import RAY, WAD
from backstop.simulation.scenario import build_vault_book, load_scenario
from backstop.simulation.scenario.draw_scenario import set_depths_from_debts
from backstop.simulation.scenario.named_shocks import load_shock_library
from backstop.simulation.scenario.scenario_library import LIBRARY
from backstop.simulation.scenario.scenario_random_processes import FeedFault, GasSpike, PriceCrash, PriceJumps

FULL = (LIBRARY / "stress-day.yaml").read_text()


def load(tmp_path: Path, text: str):
    path = tmp_path / "day.yaml"
    path.write_text(text)
    return load_scenario(path)


def problem(tmp_path: Path, text: str) -> str:
    with pytest.raises(BackstopError) as caught:
        load(tmp_path, text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_everything_that_may_be_drawn() -> None:
    scenario = load_scenario("stress-day")
    assert scenario.has_random_draws and not load_scenario("black-thursday").has_random_draws
    model = scenario.prices["ETH"].model
    assert scenario.prices["ETH"].points == {0: 2_300 * RAY}
    assert model is not None and model.kind == "brownian"
    assert (model.drift, model.volatility, model.degrees) == (0, 2_446_000_000, 4)
    assert model.jumps == PriceJumps(every=2 * 86_400, mean=-40_000_000, deviation=40_000_000)
    assert scenario.correlation["ETH", "WBTC"] == 800_000_000
    assert scenario.faults == {"ETH": (FeedFault("delayed", RandomOutages(4 * 86_400, 3_600), 1_800),)}
    assert scenario.spike == GasSpike(RandomOutages(86_400, 7_200), factor=80_000, share=3_000)
    fails = {group.name: group.fails for group in scenario.keepers if group.fails is not None}
    assert fails["taker"] == fails["liquidator"] == RandomOutages(2 * 86_400, 7_200, "cloud")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("kind: brownian", "kind: wild", "model.kind: 'wild' is not one of: brownian, garch, peg, bootstrap"),
        ("      kind: brownian\n      start", "      start", "prices.ETH.model: 'kind' is missing"),
        ("      drift: 0% a year\n", "", "prices.ETH.model: 'drift' is missing"),
        (
            "volatility: 244.6% a year",
            "volatility: 244.6%",
            "volatility: '244.6%' is not a yearly rate",
        ),
        ("volatility: 244.6% a year", "volatility: -1% a year", "model.volatility: '-1% a year' is too low"),
        ("degrees: 4", "degrees: 2", "model.degrees: '2' is too low"),
        ("mean: -4%", "mean: -4", "jumps.mean: '-4' is not a share; write e.g. '-6%'"),
        ("ETH/WBTC: 80%", "ETH/DOGE: 80%", "correlation.ETH/DOGE: 'ETH/DOGE' is not a pair, as A/B"),
        ("ETH/WBTC: 80%", "ETH/WBTC: 120%", "correlation.ETH/WBTC: '120%' is too high"),
        ("ETH/WBTC: 80%", "ETH/WBTC: 100%", "correlation: is not a correlation matrix"),
        ("ETH/WBTC: 80%", "ETH/WBTC: 80%, WBTC/ETH: 80%", "correlation.WBTC/ETH: this pair is given twice"),
        ("by: 30 min", "by: 30", "ETH.delayed.by: '30' is not a duration"),
        ("ETH: {delayed", "DOGE: {delayed", "feed_faults.DOGE: 'DOGE' is not one of: ETH, WBTC"),
        ("factor: 8 x", "factor: x", "congestion.spikes.factor: 'x' is not a ratio"),
        ("fails: {every: 3 d, lasts: 2 h}", "fails: {every: 3 d}", "desk.fails: 'lasts' is missing"),
        ("depth: 40_000_000 stablecoin, fee", "fee", "markets.ETH: needs either `depth` or `debt_to_depth`"),
        ("gas_token: ETH", "gas_token: ETH\nshocks: [storm]", "shocks[0]: 'storm' is not one of: drift-"),
        ("gas_token: ETH", "gas_token: ETH\nshocks: [depeg-severe]", "touches no price of this scenario"),
        ("gas_token: ETH", "gas_token: ETH\nscarcity: 5", "scarcity: '5' is not a ratio"),
    ],
)
def test_a_mistake_is_named(tmp_path, old, new, message) -> None:
    assert FULL.count(old) >= 1
    assert message in problem(tmp_path, FULL.replace(old, new, 1))


BOOTSTRAP = """\
extends: stress-day
prices:
  ETH:
    model:
      {kind: bootstrap, start: 2_300 USD, file: eth.csv, column: close, every: 5 min, run: 30 min,
       drift: null, volatility: null, degrees: null, jumps: null}
correlation: null
"""


def test_a_bootstrap_takes_the_moves_of_its_file(tmp_path) -> None:
    (tmp_path / "eth.csv").write_text("time,close\n0,100\n1,110\n2,104.5\n")
    model = load(tmp_path, BOOTSTRAP).prices["ETH"].model
    assert model is not None
    assert model.returns == pytest.approx((0.0953102, -0.0512933))
    assert model.run == 6


@pytest.mark.parametrize(
    ("csv", "message"),
    [
        (
            "time,price\n0,100\n",
            "eth.csv: row 1: the column 'close' is missing: needs close; there are time, price",
        ),
        ("time,close\n0,100\n1,x\n", "file: eth.csv: row 3, column close: 'x' is not a price"),
        ("time,close\n0,100\n1,0\n", "file: eth.csv: row 3, column close: '0' is not a price"),
        ("time,close\n0,100\n1,101\n", "file: has prices for fewer than two blocks"),
        ("", "eth.csv: row 1: is empty: needs close"),
    ],
)
def test_a_bad_file_of_prices_is_named(tmp_path, csv, message) -> None:
    (tmp_path / "eth.csv").write_text(csv)
    assert message in problem(tmp_path, BOOTSTRAP)


def test_a_missing_file_of_prices_is_named(tmp_path) -> None:
    assert "file: eth.csv cannot be read: No such file" in problem(tmp_path, BOOTSTRAP)


def test_garch_may_not_explode(tmp_path) -> None:
    text = FULL.replace("kind: brownian", "kind: garch\n      alpha: 60%\n      beta: 40%", 1)
    assert "model.beta: with alpha is 100% or more" in problem(tmp_path, text)


def shocked(tmp_path: Path, *names: str):
    return load(tmp_path, f"extends: stress-day\nshocks: [{', '.join(names)}]\n")


def test_shocks_change_what_they_name(tmp_path) -> None:
    calm = load_scenario("stress-day")
    scenario = shocked(tmp_path, "drift-severe", "volatility-severe", "crash-severe")
    eth, btc = scenario.prices["ETH"].model, scenario.prices["WBTC"].model
    assert eth is not None and btc is not None
    assert (eth.drift, eth.volatility, eth.crash) == (-47_030_000_000, 3_669_000_000, PriceCrash(135_000_000))
    # WBTC says that it is like BTC.
    assert (btc.drift, btc.volatility, btc.crash) == (-37_010_000_000, 2_817_000_000, PriceCrash(110_500_000))
    assert calm.prices["ETH"].model is not None
    assert eth.jumps == calm.prices["ETH"].model.jumps


def test_a_book_of_so_much_debt(tmp_path) -> None:
    scenario = shocked(tmp_path, "debt-adverse")
    calm = load_scenario("stress-day")
    prices = {symbol: path.points[0] for symbol, path in scenario.prices.items()}
    book, before = build_vault_book(scenario, 1, prices), build_vault_book(calm, 1, prices)
    total = sum(vault.debt for vault in book)
    assert 0 <= 170_000_000 * WAD - total < len(book) * WAD
    for after, old in zip(book, before, strict=True):
        # Ratios stay, or rise by a unit of the token.
        assert (
            old.locked * after.debt <= after.locked * old.debt <= old.locked * after.debt + 10**10 * old.debt
        )
        assert after.debt % WAD == 0


def test_markets_as_deep_as_the_debt_asks_for(tmp_path) -> None:
    scenario = shocked(tmp_path, "liquidity-severe")
    prices = {symbol: path.points[0] for symbol, path in scenario.prices.items()}
    assert scenario.has_random_draws
    deep = set_depths_from_debts(scenario, 7)
    for symbol in scenario.symbols:
        debt = sum(vault.debt for vault in build_vault_book(scenario, 7, prices) if vault.symbol == symbol)
        assert deep.markets[symbol].depth == debt // 5


def test_the_library_of_shocks_is_whole(tmp_path) -> None:
    names = set(load_shock_library())
    assert len(names) == 16
    for name in names - {"depeg-adverse", "depeg-severe"}:
        shocked(tmp_path, name)
    usdc = FULL.replace("like: BTC", "like: USDC", 1)
    for name in ("depeg-adverse", "depeg-severe"):
        assert load(tmp_path, usdc + f"\nshocks: [{name}]\n").prices["WBTC"].model.crash is not None
