"""The depth of a market that remains after price drops: measured with an interval, offered if below 100%."""

from __future__ import annotations

import numpy as np
import pytest

import backstop
from backstop.simulation.scenario import load_scenario
from backstop.simulation.scenario.scenario_records import DepthAfterFall
from backstop.simulation.sources.depth_reader import BILLIONTH, MICRO, DepthQuote, DepthQuotes
from backstop.simulation.sources.price_reader import PriceSeries
from backstop.studies.calibration.market_depth import MarketFigures, measure_market

STEP = 600
DAY = 86_400


def draw_prices(days: int, falls: int, step: int = STEP, seed: int = 1) -> PriceSeries:
    """Return prices every ten minutes: calm, with drops of 6% in a step, which recover within 6 h."""
    rng, level, values = np.random.default_rng(seed), 0.0, []
    count = days * DAY // step
    at = set(np.linspace(0, count, falls, endpoint=False, dtype=int)[1:].tolist()) if falls else set()
    for i in range(count):
        level = 0.9 * level - (0.06 if i in at else 0.0)
        values.append(round(10**12 * float(np.exp(level + 0.0005 * rng.standard_normal()))))
    return PriceSeries(tuple(i * step for i in range(count)), tuple(values))


def draw_quotes(prices: PriceSeries, left: float, seed: int = 2) -> DepthQuotes:
    """A snapshot at each price of a market of which a fall of 3% or more within the hour leaves a part."""
    rng, quotes = np.random.default_rng(seed), []
    for i, time in enumerate(prices.times):
        within = prices.values[max(0, i - 3_600 // STEP) : i + 1]
        thin = 1 - prices.values[i] / max(within) >= 0.03
        depth = 10e6 * (left if thin else 1.0) * float(np.exp(0.05 * rng.standard_normal()))
        for size in (50_000, 800_000):
            loss = 1 - depth / (depth + size)
            quotes.append(DepthQuote("A", "pool", time, size * MICRO, round(loss * BILLIONTH)))
    return DepthQuotes("depths", tuple(quotes))


def measure(prices: PriceSeries, left: float) -> MarketFigures:
    return measure_market(draw_quotes(prices, left), "A", prices)


def test_the_part_that_is_left_is_in_its_interval() -> None:
    found = measure(draw_prices(4, 9), 0.4)
    value, low, high = found.left_after_falls or (0, 0, 0)
    assert low is not None and high is not None
    assert low < 0.4 < high < 0.5 and value == pytest.approx(0.4, rel=0.05)
    assert found.fall_snapshots >= 30 and 0.03 < found.mean_fall < 0.065


def test_no_change_is_in_its_interval() -> None:
    found = measure(draw_prices(4, 9), 1.0).left_after_falls
    assert found is not None and found.low is not None and found.high is not None
    assert found.low < 1 < found.high


@pytest.mark.parametrize("falls", [0, 2])
def test_few_falls_are_not_measured(falls) -> None:
    found = measure(draw_prices(1, falls), 0.4)
    assert found.left_after_falls is None and found.fall_snapshots < 20


def test_prices_further_apart_than_the_window_say_nothing_of_it() -> None:
    hours = draw_prices(1, 3)
    apart = PriceSeries(hours.times[::12], hours.values[::12])  # two hours
    found = measure_market(draw_quotes(hours, 0.4), "A", apart)
    assert (found.left_after_falls, found.fall_snapshots) == (None, 0)
    assert measure_market(draw_quotes(hours, 0.4), "A").fall_snapshots == 0


def test_one_crash_has_no_interval() -> None:
    """Twenty snapshots of one fall, which lies in two of the stretches of the file."""
    prices = draw_prices(5, 0)
    values = [
        each if not 400 <= i < 422 else round(each * 0.97 ** (i - 400))
        for i, each in enumerate(prices.values)
    ]
    found = measure(PriceSeries(prices.times, tuple(values)), 0.4)
    assert found.left_after_falls is not None and found.fall_snapshots >= 20
    assert found.left_after_falls.value == pytest.approx(0.4, rel=0.05)
    assert found.left_after_falls[1:] == (None, None)


@pytest.mark.parametrize(("falls", "is_bounded"), [(5, False), (6, True)])
def test_an_interval_is_of_five_falls_or_more(falls, is_bounded) -> None:
    """Of the falls that are drawn the first is at the start, before which there is no price."""
    found = measure(draw_prices(4, falls), 0.4).left_after_falls
    assert found is not None and (found.low is not None) == is_bounded


def test_the_scenario_has_it_only_where_it_is_a_change(tmp_path) -> None:
    prices, begin = draw_prices(4, 9), 1_700_000_000
    pairs = zip(prices.times, prices.values, strict=True)
    rows = "".join(f"{begin + time},{value / 10**9}\n" for time, value in pairs)
    (tmp_path / "prices.csv").write_text(f"time,ETH\n{rows}")
    (tmp_path / "book.csv").write_text("owner,collateral,locked,debt\na,ETH,100,50000\n")
    book, history = backstop.read_book(tmp_path / "book.csv"), backstop.read_prices(tmp_path / "prices.csv")
    file = tmp_path / "mine" / "scenario.yaml"
    for left, cautious in ((1.0, False), (0.4, False), (0.4, True)):
        text = "".join(
            f"{begin + each.time},ETH,pool,{each.size // MICRO},{each.impact / BILLIONTH:.9f}\n"
            for each in draw_quotes(prices, left).quotes
        )
        (tmp_path / "depths.csv").write_text(f"time,asset,venue,size,impact\n{text}")
        depths = backstop.read_depth(tmp_path / "depths.csv")
        found = backstop.calibrate(book, history, depths, cautious=cautious)
        backstop.write_scenario(book, history, file.parent, use="measured", measured=found.measured)
        rule, market = load_scenario(file).markets["ETH"].depth_after_fall, found.markets["ETH"]
        share = market.left_after_falls
        assert share is not None and share.low is not None
        if left == 1.0:
            assert rule is None and "which may be no change: not written" in file.read_text()
            continue
        part = int(10_000 * (share.low if cautious else share.value))
        assert rule == DepthAfterFall(3_600, int(10_000 * market.mean_fall), part)
        assert "of the depth is left in" in file.read_text()
        assert "depth_after_falls" in set(found.to_frame()["figure"])


def test_one_snapshot_has_a_depth_without_an_interval() -> None:
    quotes = [
        DepthQuote("A", "pool", 0, size * MICRO, round((1 - 10e6 / (10e6 + size)) * BILLIONTH))
        for size in (50_000, 800_000)
    ]
    found = measure_market(DepthQuotes("depths", tuple(quotes)), "A")
    assert found.depth is not None and found.depth.value == pytest.approx(10e6, rel=1e-3)
    assert found.depth.low is None and found.depth.high is None
