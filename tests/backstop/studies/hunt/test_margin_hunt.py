"""The alarm *margin*: it sees what it is shown, nothing where prices stay, and tells what happened."""

import pytest

from backstop.deployment.signing import trader
from backstop.hosts.artifacts import Artifacts
from backstop.model.arithmetic import RAY, WAD
from backstop.studies.hunt import margin
from backstop.studies.hunt.exchange import PRICES
from backstop.studies.hunt.margin import LEAST, Course, Deal, Margin
from backstop.studies.hunt.story import replay_steps


def insured():
    """The first case with much insurance, in which the attacker has little."""
    return next(
        seed
        for seed in range(100)
        if any(
            each.method == "insure" and each.args[0] == 50_000 * WAD for each in Margin(seed).setting.opening
        )
        and (trader("attacker"), 3_000 * WAD) in [each.args for each in Margin(seed).setting.opening]
    )


def at(course, seed):
    """A case with a course of one's own."""
    found = Margin(seed)
    found.course = course
    found.idle = found.ends(())
    return found


def test_sees_a_pair_that_is_opened_at_a_stale_price():
    found = at(Course((1_200 * RAY,), (), -1), insured())
    pair = Deal(0, 0, "trade", "attacker", "second_self", 1_000)
    amount, changes = found.taken((pair,))
    assert amount > 1_000 * WAD and changes["coalition"] >= amount - 100


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_taken_while_prices_stay(seed):
    """Whatever one owner does with itself."""
    trades = (("maker", "other", 100), ("attacker", "bystander", 100))
    found = at(Course((PRICES[0],) * 2, trades, -1), seed)
    deals = [margin.draw_deals(margin.Random(f"{seed} {n}"), 2) for n in range(8)]
    for each in deals:
        honest = tuple(deal for deal in each if deal.kind in ("trade", "withdraw", "meet"))
        assert found.taken(honest)[0] < LEAST


def test_a_story_is_small_and_happens_on_the_contracts():
    stories = Margin(4).hunt(12)
    assert stories and stories == Margin(4).hunt(12)
    assert all(story.size >= LEAST for story in stories)
    story = min(stories, key=lambda each: len(each.lines))
    assert sum(replay_steps(*each, "revm", Artifacts()) for each in margin.histories(story)) > 50


def frozen():
    """A plan of the first case after which a loss is met in a freeze, and somebody has profits to be paid."""
    found = Margin(3_000_000)
    for trial in range(0, 40, margin.EVERY):
        exchange = found.play(found._deals(trial), 0)
        exchange.leave()
        methods = [each.method for each in exchange.done if not isinstance(each, int)]
        if exchange.froze and "claim" in methods:
            return found, found._deals(trial), exchange
        found.system = found.setting.new()
    raise AssertionError("no plan comes to a freeze")


def test_everybody_leaves_and_is_paid_and_keepers_may_work_in_parts():
    found, deals, exchange = frozen()
    assert exchange.broken == {}
    assert not any(exchange.size(owner) for owner in exchange.owners())
    assert not any(exchange.contracts["MarginMarket"].accounts[owner].cash > 0 for owner in exchange.owners())
    found.system = found.setting.new()
    assert found.unkept(deals) == {}


def test_what_is_refused_or_not_given_is_told():
    found, deals, _ = frozen()
    found.system = found.setting.new()
    exchange = found.play(deals, 0)
    owner = next(each for each in exchange.owners() if exchange.equity(each) > 0)
    exchange._give("withdraw", owner, 10**9 * WAD)
    exchange._give("claim", owner, 60 * WAD, bucket=10**6)
    (withdraw, amount), (claim, less) = exchange.broken.items()
    assert withdraw.startswith("withdraw reverts (margin_market: ") and amount == 10**9 * WAD
    assert claim == "claim reverts (margin_fund: not vested)" and less == 60 * WAD
    # A story of it can be played again.
    told = margin.Finding("margin", claim, found.seed, 0, (), (), less, "", ())
    assert [setting for setting, _ in margin.histories(told)] == [found.setting] * 2
