"""The alarm *margin* in a market by cycles: silent where gains are handed on, loud where a rule is wrong."""

import pytest

from backstop.hosts.artifacts import Artifacts
from backstop.model.arithmetic import RAY
from backstop.model.cycle_book import CycleBook
from backstop.model.price_path import Sides
from backstop.studies.hunt import margin
from backstop.studies.hunt.exchange import PRICES
from backstop.studies.hunt.margin import LEAST, Course, Deal, Margin
from backstop.studies.hunt.story import replay_steps

# The maker fails at the fall, and both who sold to it gain.
FALL = Course((1_400 * RAY, 1_380 * RAY), (("maker", "attacker", 1_000), ("maker", "bystander", 1_000)), -1)
PASSED_ON = Deal(0, 1, "trade", "attacker", "second_self", 1_000)


def at(course, fitting=lambda found: True):
    """The first case with a course of one's own that fits."""
    for seed in range(100):
        found = Margin(seed, by_cycle=True)
        found.course = course
        found.idle = found.ends(())
        if fitting(found):
            return found
    raise AssertionError("no case fits")


def has_losers(found):
    """Both trades are made; the maker owes, so that the winners' gains are cut, and nobody insures."""
    insured = any(each.method == "insure" for each in found.setting.opening)
    with found.system.imagine():
        exchange = found.play((), 0)
        shorts = [exchange.size(margin.trader(name)) for name in ("attacker", "bystander")]
        cut = exchange.equity(margin.trader("maker")) == 0
    return not insured and cut and shorts == [-1_000, -1_000]


@pytest.fixture(scope="module")
def crash():
    return at(FALL, has_losers)


def test_a_gain_that_is_handed_on_is_no_story(crash):
    assert crash.taken((PASSED_ON,))[0] < LEAST


def test_a_rule_that_lets_it_go_is_one(crash, monkeypatch):
    right = CycleBook._move

    def move(self, owner, market, delta, at):
        right(self, owner, market, delta, at)
        if self.positions[owner, market].size == 0:
            self.gained[owner, market] = Sides()
            self.pending_gained[owner, market] = Sides()

    monkeypatch.setattr(CycleBook, "_move", move)
    crash.idle = crash.ends(())
    amount, changes = crash.taken((PASSED_ON,))
    assert amount > LEAST < changes["coalition"]


@pytest.mark.parametrize("seed", range(2))
def test_nothing_is_taken_while_prices_stay(seed):
    found = Margin(seed, by_cycle=True)
    found.course = Course((PRICES[0],) * 2, (("maker", "other", 100), ("attacker", "bystander", 100)), -1)
    found.idle = found.ends(())
    for number in range(4):
        deals = margin.draw_deals(margin.Random(f"{seed} {number}"), 2)
        assert found.taken(tuple(each for each in deals if each.kind != "off the price"))[0] < LEAST


def test_everybody_leaves_and_is_paid(crash):
    with crash.system.imagine():
        exchange = crash.play((PASSED_ON,), 0)
        exchange.leave()
        assert exchange.broken == {}
        assert not any(exchange.size(owner) for owner in exchange.owners())
        assert not any(exchange.cash(owner) > 0 for owner in exchange.owners())


def test_a_settlement_ends_and_all_are_paid(crash):
    settled = Margin(crash.seed, by_cycle=True)
    settled.course = FALL._replace(settles=1)
    with settled.system.imagine():
        exchange = settled.play((), 0)
        assert exchange.settling and exchange.contracts["PerpetualMarket"].closing[()]
        assert not any(exchange.cash(owner) > 0 for owner in exchange.owners())


def test_it_happens_on_the_contracts(crash):
    steps = Margin(crash.seed, by_cycle=True)
    steps.course = FALL
    done = steps.play((PASSED_ON, Deal(1, 2, "trade", "second_self", "third_self", 500)), 0).done
    assert any(not isinstance(each, int) and each.method == "meet" for each in done)
    assert replay_steps(steps.setting, done, "revm", Artifacts()) > 50
