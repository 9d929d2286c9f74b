"""Shorter blocks on the same paths: prices that were drawn stay, and in between they move as they should."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from backstop.simulation.scenario import Scenario, draw_path_outcomes, load_scenario
from backstop.simulation.scenario.draw_scenario import draw_scenario
from backstop.simulation.scenario.price_refinement import draw_bridge_noise, insert_moves
from backstop.simulation.scenario.scenario_records import PricePath

PATHS = 40


def refine(day: Scenario, parts: int) -> Scenario:
    return replace(day, block_time=day.block_time // parts, price_interval=day.block_time)


def with_models(day: Scenario, **changes: Any) -> Scenario:
    """The scenario with the model of each price changed."""
    found: dict[str, PricePath] = {}
    for symbol, path in day.prices.items():
        assert path.model is not None
        found[symbol] = replace(path, model=replace(path.model, **changes))
    return replace(day, prices=found)


def build_days() -> dict[str, Scenario]:
    day = load_scenario("stress-day")
    garch = {"kind": "garch", "degrees": 0, "alpha": 10**8, "beta": 8 * 10**8, "jumps": None}
    moves = {
        "kind": "bootstrap",
        "returns": (0.01, -0.02, 0.005, 0.0),
        "source": "file",
        "run": 3,
        "jumps": None,
    }
    points = {
        "ETH": PricePath(
            {0: 2_000 * 10**27, 43_200: 1_000 * 10**27, 86_400: 1_500 * 10**27}, frozenset(), 300
        )
    }
    return {
        "tails and jumps": day,
        "garch": with_models(day, **garch),
        "peg": with_models(day, kind="peg", degrees=0, reversion=7_200),
        "bootstrap": with_models(day, **moves),
        "crash": load_scenario("severe-day"),
        "points": replace(day, prices={**day.prices, **points}, faults={}),
    }


@pytest.mark.parametrize("name", ("tails and jumps", "garch", "peg", "bootstrap", "crash", "points"))
@pytest.mark.parametrize("parts", (2, 3))
def test_prices_that_were_drawn_stay(name, parts) -> None:
    day = build_days()[name]
    for path in range(3):
        one, other = draw_path_outcomes(day, 1, path), draw_path_outcomes(refine(day, parts), 1, path)
        for symbol in day.symbols:
            before, after = one.prices[symbol], other.prices[symbol]
            assert len(after.ticks) == day.blocks * parts + 1 and after.tick == before.tick
            # What adds up to the same move may differ in the last bit, and so in one of nine digits.
            assert np.abs(after.ticks[::parts] - before.ticks).max() <= 1
        assert one.outages == other.outages and one.gas_prices == other.gas_prices


@pytest.mark.parametrize("parts", (2, 5))
def test_moves_between_have_the_variance_of_shorter_blocks(parts) -> None:
    """Without jumps and tails, the moves of shorter blocks are independent and have their variance."""
    day = with_models(load_scenario("stress-day"), degrees=0, jumps=None)
    moves: dict[str, list[np.ndarray]] = {symbol: [] for symbol in day.symbols}
    for path in range(PATHS):
        for symbol, found in draw_path_outcomes(refine(day, parts), 1, path).prices.items():
            moves[symbol].append(np.diff(np.log(found.ticks.astype(float))))
    sigma = 2.446 * np.sqrt(day.block_time / parts / (365 * 86_400))
    eth, wbtc = (np.array(moves[symbol]) for symbol in ("ETH", "WBTC"))
    assert eth.std() == pytest.approx(sigma, rel=0.02)
    assert abs(np.corrcoef(eth[:, :-1].ravel(), eth[:, 1:].ravel())[0, 1]) < 0.02
    assert np.corrcoef(eth.ravel(), wbtc.ravel())[0, 1] == pytest.approx(0.8, abs=0.02)


def test_a_jump_is_not_shared_among_blocks() -> None:
    moved = insert_moves(
        np.array([0.0, -0.5, -0.4]), np.array([-0.6, 0.0]), np.array([1, 0]), np.zeros((2, 2))
    )
    assert moved.tolist() == pytest.approx([0.0, 0.05, -0.5, -0.45, -0.4])


def test_noise_adds_up_to_nothing() -> None:
    noise = draw_bridge_noise(1_000, 4, np.random.default_rng(1))
    assert np.abs(noise.sum(axis=1)).max() < 1e-12
    # Of a move with variance one, a part has a quarter, of which a sixteenth is shared.
    assert noise.var() == pytest.approx(1 / 4 - 1 / 16, rel=0.05)


def test_a_path_on_a_chain_has_the_finer_prices() -> None:
    day = refine(load_scenario("stress-day"), 2)
    chosen = draw_scenario(day, 1, 0)
    wanted = draw_path_outcomes(day, 1, 0).prices["ETH"]
    assert list(chosen.prices["ETH"].points) == list(range(0, day.duration + 1, 150))
    assert list(chosen.prices["ETH"].points.values()) == [
        tick * wanted.tick for tick in wanted.ticks.tolist()
    ]
