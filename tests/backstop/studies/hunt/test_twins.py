"""The alarm *unequal*: it sees holes that it is shown, and nothing where nothing is wrong."""

from random import Random

import pytest

from backstop.hosts.artifacts import Artifacts
from backstop.model.arithmetic import WAD
from backstop.model.bounds import LOOK
from backstop.model.collateral_auction import CollateralAuction
from backstop.model.loss_waterfall import LossWaterfall
from backstop.model.pool import Pool
from backstop.simulation.account_value import compute_stake
from backstop.studies.hunt import deeds, pairs, twins
from backstop.studies.hunt.deeds import ONE, OTHER, STAKE, Deed, ask, borrow, draw_fall, each, enter, leave
from backstop.studies.hunt.pairs import Pair
from backstop.studies.hunt.script import TICK, TICKS
from backstop.studies.hunt.setting import BANK
from backstop.studies.hunt.story import replay_steps
from backstop.studies.hunt.twins import LEAST, Twins

BRIEF = "tests/backstop/studies/hunt/test_twins.py::test_sees_that_a_batch_is_paid_before_a_fall_is_counted"

YEAR = deeds.YEAR


def twins_of(fits):
    """The first case whose parameters fit."""
    return next(found for found in map(Twins, range(300)) if fits(found.setting.parameters))


def course(found, fall, event=24):
    """Prices of both types fall by so many basis points; the keeper is always awake."""
    script = draw_fall(found.setting, Random(1), event, (fall,))
    # What falls stays there.
    low = tuple(price * (10_000 - fall) // 10_000 for price in found.setting.prices)
    rows = (found.setting.prices,) * event + (low,) * (TICKS - event)
    prices = rows, (found.setting.prices,) * TICKS
    return script._replace(prices=prices, awake=frozenset(range(TICKS)), intents=())


def leaver_and_stayer(found, fall, event=28):
    """One of two members with as much leaves a moment after prices fell: his batch is due just then."""
    asked = event + (2 * found.setting.parameters.savings.cooldown + LOOK) // -TICK
    acts = (*enter(ONE, "Junior", STAKE), *enter(OTHER, "Junior", STAKE), ask(asked, 0, ONE, "Junior"))
    out = [leave(event + late, 1, ONE, "Junior") for late in range(7)]
    return Pair("shown", course(found, fall, event), ((*acts, *out),), leaves=True)


def test_sees_that_a_batch_is_paid_before_a_fall_is_counted(monkeypatch):
    """As it was where no payment waited for a fall; now none is a story."""
    found = twins_of(lambda p: all(each.feed.step == 600 for each in p.collateral_types))
    pair = leaver_and_stayer(found, fall=8_000)
    assert found.weigh(pair) is None
    monkeypatch.setattr(LossWaterfall, "losses_at_payment", LossWaterfall.losses_beyond)
    difference = found.weigh(pair)
    assert difference is not None
    assert difference.one >= STAKE - 10 and difference.other < STAKE // 2
    assert "next price" in difference.fact


def test_nobody_chooses_who_pays_for_idle_years():
    found = twins_of(lambda p: p.collateral_types[0].stability_fee > 0)
    script = course(found, 0)._replace(pause=(4, 3 * YEAR))
    debt = 50_000 * WAD
    acts = [borrow(30, 2, who, 0, debt, 40_000) for who in (ONE, OTHER)]
    alike = Pair("shown", script._replace(pause=(4, 0)), (tuple(acts),))
    acts.insert(1, Deed(30, 2, each("accrue")))
    assert found.weigh(Pair("shown", script, (tuple(acts),))) is None
    assert found.weigh(alike) is None


def first_of(kind, fits, seeds=range(40)):
    """The first difference that a kind of pair shows."""
    for seed in seeds:
        found = Twins(seed)
        if not fits(found.setting.parameters):
            continue
        for n in range(8):
            pair = kind(found.setting, Random(n))
            difference = found.weigh(pair)
            if difference is not None and difference.amount >= LEAST:
                return pair, difference
    return None, None


def counts_blocks(parameters):
    return parameters.block_time > 0


@pytest.mark.deep(brief=BRIEF)
def test_sees_that_lots_get_cheap_while_no_block_is_produced(monkeypatch):
    """Where auctions count blocks the first one after an outage sells as ever."""
    assert first_of(pairs._outage, counts_blocks, range(12)) == (None, None)
    monkeypatch.setattr(CollateralAuction, "_clock", lambda self: self.world.timestamp)
    pair, difference = first_of(pairs._outage, counts_blocks)
    assert "outage" in pair.kind and difference.other > difference.one + 100 * WAD


@pytest.mark.deep(brief=BRIEF)
def test_sees_that_a_crumb_has_the_income_of_all_who_leave(monkeypatch):
    assert first_of(pairs._crumb, lambda parameters: True, range(12)) == (None, None)
    monkeypatch.setattr(Pool, "_part_of_unvested", lambda self, shares: 0)
    pair, difference = first_of(pairs._crumb, lambda parameters: True)
    assert "more than twice what it brought" in pair.kind and difference.who == ONE


def test_a_pool_that_is_no_stage_leaves_income_to_a_crumb():
    """A known hole: only a stage gives what leavers have not earned to the reserve."""
    stages = ("savings",)
    found = twins_of(
        lambda p: not any(each.name in stages for each in p.stages) and p.savings.vesting > YEAR // 9_000
    )
    script = course(found, 0)
    give = Deed(0, 0, lambda town: pairs._give(town, "Savings", 2_000 * WAD))
    out = Deed(6, 0, lambda town: pairs._leave_all(town, "Savings"))
    acts = (*deeds.enter(OTHER, "Savings", STAKE), give, *deeds.enter_at(4, ONE, "Savings", 100 * WAD), out)
    with found.system.fork_state():
        played = found.play(Pair("shown", script, (acts,)), acts, ())
        pool = played.town.pools["Savings"]
        assert pool.state[()].supply and pool.unvested("") > 500 * WAD


def test_who_enters_a_wiped_pool_has_its_income():
    """A known hole: what has not vested is not in the price of an entry."""
    found = twins_of(lambda p: p.savings.vesting > 3_600)
    given = Deed(0, 0, coins_of_the_bank("Savings", 2_000 * WAD))
    with found.system.fork_state():
        pool = found.system.world.contracts["Savings"]
        town = found.play(Pair("shown", course(found, 0), ((),)), (), ()).town
        # As a loss leaves it.
        pool._book(WAD // 10**9 - pool._all_vested())
        assert pool.state[()].supply
        for deed in (given, *deeds.enter(OTHER, "Savings", WAD)):
            deed.do(town)
        before = compute_stake(pool, OTHER)
        town.advance(pool.vesting)
        assert before < 2 * WAD and compute_stake(pool, OTHER) > 1_900 * WAD


def coins_of_the_bank(pool, amount):
    return lambda town: town.do(BANK, pool, "add_income", amount)


def test_what_was_paid_before_a_fall_is_no_story():
    """Whoever claims later, with the loss in sight, was out before: the rules say that this is his."""
    found = twins_of(lambda p: all(each.feed.step == 600 for each in p.collateral_types))
    pair = leaver_and_stayer(found, fall=8_000)
    script = course(found, 8_000, 29)
    with found.system.fork_state():
        played = found.play(pair._replace(script=script), pair.deeds[0], ())
    assert next(each.tick for each in played.told if each.action.method == "redeem") >= 28
    assert not played.fact and found.weigh(pair._replace(script=script)) is None


@pytest.mark.parametrize("seed", range(4))
def test_members_alike_end_alike_where_nothing_is_lost(seed):
    found = Twins(seed)
    pair = leaver_and_stayer(found, fall=0)
    with found.system.fork_state():
        told = found.play(pair, pair.deeds[0], ()).told
    assert "redeem" in [doing.action.method for doing in told]
    assert found.weigh(pair) is None


@pytest.mark.deep(cases=4)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", [pairs._again, pairs._final_price, pairs._same_second, pairs._restarts])
def test_who_calls_and_when_is_all_one_while_nothing_happens(seed, kind):
    """Prices stay, no year passes: there is nothing to cover, to choose or to charge."""
    found = Twins(seed)
    for n in range(3):
        pair = kind(found.setting, Random(n))
        flat = (found.setting.prices,) * TICKS
        script = pair.script._replace(prices=(flat, flat), pause=(0, 0), intents=())
        assert found.weigh(pair._replace(script=script)) is None


@pytest.mark.parametrize("seed", range(4))
def test_a_minority_cannot_move_a_price_while_all_others_report(seed):
    found = Twins(seed)
    pair = pairs._lies(found.setting, Random(seed))
    assert found.weigh(pair._replace(script=pair.script._replace(absent=frozenset(), intents=()))) is None


@pytest.mark.deep(
    brief="tests/backstop/studies/hunt/test_search.py::test_a_story_is_what_happens_on_the_contracts"
)
def test_a_story_is_small_and_happens_on_the_contracts():
    """What strangers do besides is left out as far as it can be; equal seeds find alike."""
    stories = Twins(10).hunt(20)
    assert stories and all(story.size >= LEAST for story in stories)
    assert stories == Twins(10).hunt(20)
    assert len({story.kind for story in stories}) == len(stories)
    story = min(stories, key=lambda each: len(each.lines))
    assert sum(replay_steps(*each, "revm", Artifacts()) for each in twins.histories(story)) > 150
