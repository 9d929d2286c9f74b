"""The gain of a caller with all public knowledge in the best second of a path, under all guards.

Prices walk, with jumps of 5% to 60%, up and down. One reporter of four lies, another one may be silent,
prices that are far off wait to be confirmed, a guardian halts, and the feed is silent at times. Gains are
parts of the sold value, at the newest public median, beyond the buffer of the top; a claim and a lot that is
given up have no buffer.
"""

import math
import random
from typing import NamedTuple

import pytest

from backstop.model.arithmetic import RAY
from tests.support.revert_setter_and_source_helpers import GUARDIAN

MARKET, REPORTERS = 7, tuple(f"reporter_{i}" for i in range(1, 5))
BUF = 1.2
HOURS = 72


class Public(NamedTuple):
    """Public prices of a second, in whole stablecoins; 0 is none."""

    market: float
    current: float
    highest: float
    lowest: float
    average: float


def walk(dice):
    price = 100.0
    while True:
        step = dice.gauss(0, 0.01)
        if dice.random() < 0.12:
            step += dice.choice((-1, 1)) * dice.uniform(0.05, 0.6)
        price *= math.exp(step)
        yield price


def reported(dice, price, lie):
    """Return each reporter's report; None is silence."""
    said = [price * math.exp(dice.gauss(0, 0.002)) for _ in range(3)]
    if dice.random() < 0.3:
        said[dice.randrange(3)] = None
    return [*said, price * lie]


def play(protocol, seed, guards, lie):
    """Yield the seconds of a path in which a sale is possible."""
    dice = random.Random(seed)
    feed = protocol.do
    feed("PriceFeed.set_market", MARKET, REPORTERS, 3, 3_600, 3_000, 10_800, 7_200, sender="admin")
    feed("PriceFeed.set_guards", MARKET, *guards, sender="admin")
    feed("PriceFeed.grant_role", GUARDIAN, "guardian", sender="admin")
    halt = dice.randrange(10, HOURS - 10)
    for hour, price in zip(range(HOURS), walk(dice), strict=False):
        if dice.random() > 0.05 or hour < 2:
            for reporter, said in zip(REPORTERS, reported(dice, price, lie), strict=True):
                if said is not None:
                    args = *(int(said * 10**9) * 10**18,) * 3, 0
                    feed("PriceFeed.report_range", MARKET, *args, sender=reporter)
            feed("PriceFeed.poke", MARKET, sender="stranger")
        if hour == halt:
            feed("PriceFeed.set_halted", MARKET, True, sender="guardian")
        if hour > 24:
            yield see(protocol)
        protocol.advance(3_600)


def see(protocol):
    market, _, _ = protocol.read("PriceFeed.mark_within", MARKET, 3_000, 0)
    start, highest = protocol.read("PriceFeed.sale_prices", MARKET)
    _, average = protocol.read("PriceFeed.highest_and_average", MARKET)
    lowest = min(protocol.read("PriceFeed.risk_price", MARKET), average)
    current = protocol.read("PriceFeed.auction_price", MARKET)
    assert start in (0, current)
    return Public(*(each / RAY for each in (market, current, highest, lowest, average)))


def gains(seen):
    """Of a lot, stake, surplus and by a claim; each by the rule and as the current price alone gave it."""
    found = {}
    for rule, high, low in (
        ("rule", seen.highest, seen.lowest),
        ("current", seen.current, min(seen.current, seen.average)),
    ):
        if not seen.market or not high:
            continue
        found["lot", rule] = 1 - BUF * high / seen.market
        found["stake", rule] = 1 - BUF * max(high, seen.average) / seen.market
        found["surplus", rule] = 1 - BUF * seen.market / low if low else 0.0
        claim = max(high, seen.average) if rule == "rule" else seen.average / 2
        found["claim", rule] = seen.market / claim - 1
        # A lot is given up although the market would pay for it: the part of its worth that is not seen.
        found["given up", rule] = 1 - max(high, seen.average) / seen.market
    return found


@pytest.mark.parametrize("lie", [1.0, 100.0, 0.01], ids=["honest", "too high", "too low"])
@pytest.mark.parametrize(
    "guards", [(0, 1, 0, 0), (1_500, 3, 0, 0), (1_500, 1, 7_200, 14_400)], ids=["none", "deviation", "all"]
)
def test_nobody_gains_by_the_choice_of_a_second(protocol, guards, lie):
    best: dict[tuple[str, str], float] = {}
    for seen in play(protocol, 11, guards, lie):
        for key, gain in gains(seen).items():
            best[key] = max(best.get(key, 0.0), gain)
    assert {gain for (_, rule), gain in best.items() if rule == "rule"} == {0.0}, best
    # The same path brings something where only the current price is looked at, and half of the average.
    assert max(best[kind, "current"] for kind in ("lot", "stake", "surplus")) > 0.05, best
    assert best["claim", "current"] > 0.5 and best["given up", "current"] > 0.05
