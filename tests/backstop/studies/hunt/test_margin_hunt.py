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
