"""Paths follow their models, depend on seed and number alone, and are scenarios like any other."""

from __future__ import annotations

from dataclasses import replace
from math import exp, log, sqrt

import numpy as np
import pytest

from backstop.deployment.parameter_dataclasses import EquityParameters
from backstop.keepers.keeper_group_settings import RandomOutages
from backstop.model.arithmetic import RAY
from backstop.simulation.scenario import Scenario, draw_path_outcomes, draw_scenario, load_scenario
from backstop.simulation.scenario.draw_scenario import RandomStreams
from backstop.simulation.scenario.scenario_random_processes import (
    FeedFault,
    GasSpike,
    PriceCrash,
    PriceJumps,
    PriceModel,
)
from backstop.simulation.scenario.scenario_records import PricePath

DAY = load_scenario("stress-day")
BLOCK = DAY.block_time / (365 * 86_400)
PATHS = 200


def of_models(**models: PriceModel) -> Scenario:
    prices = {
        symbol: PricePath(path.points, frozenset(), 0, models.get(symbol, path.model))
        for symbol, path in DAY.prices.items()
    }
    return replace(DAY, prices=prices, faults={})


def moves(scenario: Scenario, symbol: str = "ETH", paths: int = PATHS) -> np.ndarray:
    """Logarithms of the moves of each block, path by path."""
    ticks = np.array(
        [draw_path_outcomes(scenario, 1, i).prices[symbol].ticks for i in range(paths)], dtype=float
    )
    return np.diff(np.log(ticks), axis=1)


def test_a_path_depends_on_seed_and_number_alone() -> None:
    alone = draw_path_outcomes(DAY, 5, 17)
    for other in (3, 17):
        again = draw_path_outcomes(DAY, 5, other)
    assert all(np.array_equal(alone.prices[s].ticks, again.prices[s].ticks) for s in DAY.symbols)
    assert (alone.outages, alone.gas_prices) == (again.outages, again.gas_prices)
    for seed, path in ((5, 18), (6, 17)):
        assert not np.array_equal(
            alone.prices["ETH"].ticks, draw_path_outcomes(DAY, seed, path).prices["ETH"].ticks
        )


def test_what_is_drawn_for_one_thing_leaves_the_others() -> None:
    more = replace(DAY, spike=None, faults={}, keepers=tuple(replace(g, fails=None) for g in DAY.keepers))
    more = replace(more, parameters=replace(DAY.parameters, equity=EquityParameters()))
    assert np.array_equal(
        draw_path_outcomes(DAY, 1, 4).prices["WBTC"].ticks,
        draw_path_outcomes(more, 1, 4).prices["WBTC"].ticks,
    )


def test_a_stream_is_that_of_its_key() -> None:
    streams = RandomStreams(3)
    first = streams.get_labelled_stream("a", 1).standard_normal(5)
    streams.get_labelled_stream("b").random(3)
    assert np.array_equal(streams.get_labelled_stream("a", 1).standard_normal(5), first)
    assert not np.array_equal(streams.get_labelled_stream("a", 2).standard_normal(5), first)
    assert not np.array_equal(RandomStreams(4).get_labelled_stream("a", 1).standard_normal(5), first)


def test_brownian_motion() -> None:
    found = moves(of_models(ETH=PriceModel("brownian", drift=-24 * 10**9, volatility=2 * 10**9)))
    assert found.std() == pytest.approx(2 * sqrt(BLOCK), rel=0.01)
    # The mean price grows by the drift: the mean of its logarithm by half a variance less.
    assert found.sum(axis=1).mean() == pytest.approx(-26 / 365, abs=4 * 2 / sqrt(365 * PATHS))


def test_tails_have_the_same_variance_and_come_together() -> None:
    model = PriceModel("brownian", volatility=2 * 10**9, degrees=4)
    scenario = replace(of_models(ETH=model, WBTC=model), correlation={})
    eth, btc = moves(scenario), moves(scenario, "WBTC")
    scale = 2 * sqrt(BLOCK)
    assert eth.std() == pytest.approx(scale, rel=0.1)
    # Of four degrees with a variance of one P(|t| > 4) = P(|T4| > 5.657) = 0.0048; of a normal 0.00006.
    assert (abs(eth) > 4 * scale).mean() == pytest.approx(0.0048, rel=0.2)
    assert np.corrcoef(eth.ravel(), btc.ravel())[0, 1] == pytest.approx(0, abs=0.05)
    assert np.corrcoef(abs(eth).ravel(), abs(btc).ravel())[0, 1] > 0.2


def test_correlation() -> None:
    calm = PriceModel("brownian", volatility=10**9)
    scenario = replace(of_models(ETH=calm, WBTC=calm), correlation={("WBTC", "ETH"): -600_000_000})
    found = np.corrcoef(moves(scenario).ravel(), moves(scenario, "WBTC").ravel())[0, 1]
    assert found == pytest.approx(-0.6, abs=0.02)


def test_jumps() -> None:
    jumps = PriceJumps(every=86_400, mean=-50_000_000, deviation=10_000_000)
    sizes = moves(of_models(ETH=PriceModel("brownian", jumps=jumps)))
    jumped = sizes[abs(sizes) > 1e-6]
    assert len(jumped) / PATHS == pytest.approx(1, abs=4 / sqrt(PATHS))
    assert jumped.mean() == pytest.approx(-0.05, abs=0.003)
    assert jumped.std() == pytest.approx(0.01, rel=0.3)


def test_jumps_with_one_cause_come_together() -> None:
    def model(cause: str, mean: int) -> PriceModel:
        return PriceModel("brownian", jumps=PriceJumps(86_400, mean, 10_000_000, cause))

    both = of_models(ETH=model("market", -50_000_000), WBTC=model("market", -20_000_000))
    eth, btc = moves(both), moves(both, "WBTC")
    assert np.array_equal(abs(eth) > 1e-6, abs(btc) > 1e-6) and (abs(eth) > 1e-6).sum() > 100
    once = (abs(eth) > 1e-6) & (eth > -0.09)  # one jump in a block
    assert (eth - btc)[once] == pytest.approx(-0.03, abs=1e-6)
    apart = of_models(ETH=model("market", -50_000_000), WBTC=model("", -20_000_000))
    assert not np.array_equal(abs(moves(apart, "WBTC")) > 1e-6, abs(eth) > 1e-6)


def test_a_crash_comes_at_one_time_for_all_and_goes_back() -> None:
    scenario = of_models(
        ETH=PriceModel("brownian", crash=PriceCrash(135_000_000)),
        WBTC=PriceModel("brownian", crash=PriceCrash(200_000_000, recovery=3_600)),
    )
    for path in range(5):
        eth, btc = (draw_path_outcomes(scenario, 1, path).prices[symbol] for symbol in ("ETH", "WBTC"))
        at = int(np.argmax(np.diff(eth.ticks) != 0)) + 1
        assert eth.ticks[at:].tolist() == [round(eth.ticks[0] * 0.865)] * (len(eth.ticks) - at)
        assert btc.ticks[at] == round(btc.ticks[0] * 0.8)
        if at + 12 < len(btc.ticks):
            assert btc.ticks[at + 6] == pytest.approx(btc.ticks[0] * exp(log(0.8) / 2), rel=1e-6)
            assert btc.ticks[at + 12] == btc.ticks[0]


def test_garch_keeps_its_variance_in_the_long_run_and_clusters() -> None:
    model = PriceModel("garch", volatility=2 * 10**9, alpha=150_000_000, beta=800_000_000)
    found = moves(of_models(ETH=model))
    assert found.std() == pytest.approx(2 * sqrt(BLOCK), rel=0.05)
    squares = found**2
    assert np.corrcoef(squares[:, :-1].ravel(), squares[:, 1:].ravel())[0, 1] > 0.15


def test_a_peg_holds() -> None:
    model = PriceModel("peg", volatility=500_000_000, reversion=3_600)
    ticks = np.array(
        [draw_path_outcomes(of_models(ETH=model), 1, i).prices["ETH"].ticks for i in range(PATHS)],
        dtype=float,
    )
    gap = np.log(ticks[:, -1] / ticks[0, 0])
    kept = 0.5 ** (DAY.block_time / 3_600)
    assert gap.std() == pytest.approx(0.5 * sqrt(BLOCK / (1 - kept**2)), rel=0.15)


def test_a_bootstrap_repeats_the_past_in_runs() -> None:
    returns = tuple(0.001 * i for i in range(-5, 6))
    model = PriceModel("bootstrap", returns=returns, source="a.csv", run=4)
    scenario = of_models(ETH=model, WBTC=replace(model, returns=tuple(-each for each in returns)))
    found = moves(scenario, paths=20)
    steps = np.rint(found * 1_000).astype(int)
    assert set(steps.ravel().tolist()) == set(range(-5, 6))
    runs = steps[:, :284].reshape(-1, 4)
    assert set(((runs[:, 1:] - runs[:, :-1]) % 11).ravel().tolist()) == {1}
    # Columns of one file are drawn together.
    assert np.allclose(moves(scenario, "ETH", 3), -moves(scenario, "WBTC", 3), atol=1e-7)


def test_prices_keep_nine_digits() -> None:
    chosen = draw_path_outcomes(DAY, 1, 0).prices["ETH"]
    assert chosen.ticks[0] == 230_000_000 and chosen.tick == 10**22
    assert chosen.ticks[0] * chosen.tick == 2_300 * RAY


def test_outages_come_and_go_as_often_as_they_should() -> None:
    chosen = [draw_path_outcomes(DAY, 1, i).outages for i in range(1_000)]
    spans = [span for each in chosen for span in each["desk"]]
    assert len(spans) / 1_000 == pytest.approx(1 / 3, rel=0.15)
    assert sum(span.end - span.start for span in spans) / len(spans) == pytest.approx(7_200, rel=0.15)
    assert all(each["liquidator"] == each["taker"] for each in chosen)  # one cause
    assert any(each["liquidator"] != each["desk"] for each in chosen)
    assert not any(each["crank"] for each in chosen)


def test_spikes_lift_gas_and_take_room() -> None:
    busy = replace(DAY, spike=GasSpike(RandomOutages(3_600, 3_600), factor=80_000, share=3_000))
    chosen = draw_path_outcomes(busy, 1, 0)
    assert set(chosen.gas_prices.values) == {25 * 10**9, 200 * 10**9}
    assert set(chosen.gas_share.values) == {1_000, 300}
    full = [time for time in range(0, busy.duration, 300) if chosen.gas_prices.get_value(time) == 200 * 10**9]
    assert full and all(chosen.gas_share.get_value(time) == 300 for time in full)


@pytest.mark.parametrize("kind", ["stuck", "delayed", "wrong"])
def test_faults_are_what_reporters_see(kind) -> None:
    by = {"stuck": 0, "delayed": 1_800, "wrong": 3_000}[kind]
    scenario = replace(DAY, faults={"ETH": (FeedFault(kind, RandomOutages(14_400, 7_200), by),)})
    chosen = draw_path_outcomes(scenario, 1, 0)
    market, seen = chosen.prices["ETH"].ticks, chosen.sources["ETH"].ticks
    off = np.flatnonzero(market != seen)
    assert 10 < len(off) < len(market) and off[0] > 0
    if kind == "stuck":
        first = int(off[0])
        assert seen[first] in (market[first - 1], market[max(0, first - 2)])
        assert seen[first + 1] == seen[first]
    elif kind == "delayed":
        assert np.array_equal(seen[off], market[np.maximum(0, off - 6)])
    else:
        assert set(np.round(seen[off] / market[off], 3).tolist()) <= {0.7, 1.3}
    assert "WBTC" not in chosen.sources


def test_a_drawn_scenario_leaves_nothing_open() -> None:
    fixed = draw_scenario(DAY, 1, 3)
    chosen = draw_path_outcomes(DAY, 1, 3)
    assert not fixed.has_random_draws
    assert draw_scenario(fixed, 1) is fixed
    points, eth = fixed.prices["ETH"].points, chosen.prices["ETH"]
    assert [points[300 * i] for i in range(289)] == [tick * eth.tick for tick in eth.ticks.tolist()]
    assert draw_scenario(DAY, 1) == draw_scenario(DAY, 1, 0) != fixed


def test_given_prices_are_bridged_anew_on_each_path() -> None:
    day = load_scenario("black-thursday")
    assert draw_scenario(day, 1) is day
    given = day.prices["ETH"].points
    lowest = min(given.values())
    paths = [draw_scenario(day, 1, i).prices["ETH"].points for i in range(3)]
    assert paths[0] != paths[1] != paths[2]
    for path in paths:
        assert all(path[at] == value for at, value in given.items() if at in path)
        assert min(path.values()) == lowest
