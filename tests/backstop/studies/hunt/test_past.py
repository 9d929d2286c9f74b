"""Pools that lost before a history begins have next to nothing; it happened on the contracts as well."""

from random import Random
from typing import Any

import pytest

from backstop.deployment.contract_names import STABLECOIN_POOLS
from backstop.hosts.artifacts import Artifacts
from backstop.model.arithmetic import RAY, WAD
from backstop.model.bounds import EQUITY_MARKET
from backstop.studies.hunt.game import Game, Run
from backstop.studies.hunt.setting import draw_edge, draw_setting
from backstop.studies.hunt.story import replay_steps
from backstop.system import Action

BEGUN = 10**6
"""Shares for a wei, where nothing was ever lost."""


def pools(world):
    return {name: world.contracts[name] for name in STABLECOIN_POOLS if name in world.contracts}


def drawn(fits, draw=draw_edge):
    """The first settings in which somebody lost everything but crumbs, with their worlds."""
    for seed in range(200):
        setting = draw(Random(seed))
        world = setting.new().world
        if fits(setting, pools(world)):
            yield setting, world


def wiped(pool):
    """Shares, and less than a thousandth of what they were worth."""
    shares = pool.state[()].supply
    return bool(shares) and pool.totalAssets("") * BEGUN * 500 < shares


def has_claims(pool):
    return wiped(pool) and int(pool.claims_address, 16)


def test_some_pools_have_next_to_nothing_left_and_claims():
    setting, world = next(drawn(lambda setting, found: any(map(has_claims, found.values()))))
    name = next(name for name, pool in pools(world).items() if wiped(pool))
    assert pools(world)[name].totalAssets("") > 0
    claims: Any = world.contracts[f"{name}.Claims"]
    assert claims.series[()].outstanding > 100 * WAD
    # Nothing is lost any more, and prices are what they were.
    assert not any(world.contracts["VaultEngine"].deficit.values())
    assert [world.contracts["PriceFeed"].prices[c].current for c in setting.markets] == list(setting.prices)
    replay_steps(setting, (), "revm", Artifacts())


@pytest.mark.deep(brief="tests/backstop/studies/hunt/test_books.py::test_each_room_is_entered")
def test_at_times_batches_wait_and_income_has_not_vested():
    found = drawn(lambda setting, found: any(map(wiped, found.values())))
    worlds = [pools(world).values() for _, (_, world) in zip(range(40), found, strict=False)]
    assert any(pool.state[()].open for each in worlds for pool in each)
    found = (pools(world).values() for _, world in drawn(lambda setting, found: True))
    assert any(pool.unvested("") for _, each in zip(range(99), found, strict=False) for pool in each)


def test_some_are_empty_and_some_never_had_a_past():
    def is_empty(setting, found):
        return not any(pool.state[()].supply for pool in found.values())

    setting, _ = next(drawn(is_empty))
    assert all(isinstance(step, Action) and step.method != "deposit" for step in setting.opening)
    assert any(all(isinstance(step, Action) for step in draw_edge(Random(n)).opening) for n in range(9))


def test_with_equity_there_is_a_price_of_it_and_at_times_a_reserve():
    found = [draw_setting(Random(n)) for n in range(20)]
    with_equity = [each for each in found if each.parameters.equity is not None]
    assert with_equity and all(
        len(each.prices) == 3 and each.markets[2] == EQUITY_MARKET for each in with_equity
    )
    worlds: list[Any] = [each.new().world.contracts for each in with_equity]
    assert all(world["PriceFeed"].prices[EQUITY_MARKET].current for world in worlds)
    assert any(world["VaultEngine"].system[()].reserve > 500 * WAD * RAY for world in worlds)


@pytest.mark.parametrize("focus", ["losses", "savings"])
def test_games_begin_after_a_loss(focus):
    games = [Game(Run(seed, focus)) for seed in range(8)]
    assert any(wiped(pool) for game in games for pool in pools(game.system.world).values())
