"""What the hunt sees: known holes are alarms, honest conduct is none, equal seeds find alike."""

from random import Random

import pytest

from backstop.deployment.role_accounts import get_account
from backstop.hosts.artifacts import Artifacts
from backstop.model.arithmetic import BASIS_POINTS, RAY, WAD
from backstop.studies.hunt.alarm import taken
from backstop.studies.hunt.coalition import Act, Doing
from backstop.studies.hunt.history import CONDUCTS, mean_wealth, play
from backstop.studies.hunt.script import COMES, TICKS, Intent, Script
from backstop.studies.hunt.search import LEAST, NOTHING, Case, Found, Hunter, draw_case, hunt
from backstop.studies.hunt.setting import PRICES, draw_setting
from backstop.studies.hunt.story import replay, tell
from backstop.system import Action


def case_of(fits, *, fall=0, event=12, intents=()):
    """The first setting that fits, in a script of one's own: the first type's price falls at the event."""
    setting = next(each for each in (draw_setting(Random(n)) for n in range(1_000)) if fits(each.parameters))
    now = setting.prices
    after = (now[0] * (10_000 - fall) // 10_000, *now[1:])
    prices = (now,) * event + (after,) * (TICKS - event)
    silent = tuple(frozenset[int]() for _ in now)
    awake = frozenset(range(TICKS))
    return Case(0, setting, Script((prices, (now,) * TICKS), event, silent, awake, intents, None))


def in_both(*doings):
    """What is done before the event."""
    return tuple(doings), tuple(doings)


def call(tick, contract, method, *args, by="attacker", phase=0):
    return Doing(tick, phase, Action(contract, method, args, get_account(by)))


def deposit(case, debt):
    """As little of the first type's collateral as allows a debt."""
    ratio = case.setting.parameters.collateral_types[0].initial_ratio
    return debt * ratio * RAY // (PRICES[0] * BASIS_POINTS) + WAD


def test_nothing_that_a_coalition_does_with_its_own_is_an_alarm():
    """However well it is timed: it sees the fall before the feed does."""
    hunter = Hunter(case_of(lambda p: "savings" in [each.name for each in p.stages], fall=3_000))
    did = in_both(
        call(3, "Savings", "deposit", 10_000 * WAD, get_account("attacker")),
        call(4, "Stablecoin", "transfer", get_account("owner_1"), WAD),
    )
    assert hunter.weigh(did) == NOTHING


def test_tending_is_no_alarm():
    """Whoever flags and accrues where there is nothing to flag moves nobody's wealth."""
    hunter = Hunter(case_of(lambda p: True, fall=3_000))
    did = in_both(
        *(call(tick, "VaultEngine", "accrue", 0) for tick in range(0, 12, 3)),
        *(call(tick, "LiquidationEngine", "flag", 0, get_account("owner_1")) for tick in range(1, 12, 3)),
    )
    assert hunter.weigh(did).amount < WAD


def test_sees_that_a_reporter_who_falls_silent_ends_liquidations():
    """With three reporters of three one is enough: an unsafe vault has all the time to repay, unpunished."""
    case = case_of(lambda p: p.collateral_types[0].feed.reporters == 3, fall=500, event=20)
    whale, debt = get_account("owner_1"), 400_000 * WAD
    own = call(0, "VaultEngine", "deposit_and_draw", 0, whale, deposit(case, debt), debt, whale, by="owner_1")
    repay = call(34, "VaultEngine", "repay_and_withdraw", 0, whale, debt * 3 // 4, 0, whale, by="owner_1")
    lie = call(2, "PriceFeed", "report", 0, PRICES[0], by=case.setting.bought[0][0])
    hunter = Hunter(case)
    assert hunter.weigh(((own, repay), (own, repay))) == NOTHING
    found = hunter.weigh(((own, lie, repay), (own, lie, repay)))
    assert found.amount > LEAST and "the house" in found.losses


def test_income_of_who_asks_again_is_no_alarm():
    """Its first batch is cut in time, the second waits in another and earns: anybody may do so."""
    income = Intent(7, "income", get_account("saver"), "Savings", 10_000)
    case = case_of(lambda p: p.savings.cooldown == p.savings.vesting == 3_600, intents=(income,))
    case = case._replace(script=case.script._replace(awake=frozenset()))
    who, shares = get_account("attacker"), 10_000 * 10**24
    own = call(0, "Savings", "deposit", 50_000 * WAD, who)
    once = call(1, "Savings", "requestRedeem", shares, who, who)
    again = call(7, "Savings", "requestRedeem", 3 * shares, who, who)
    hunter = Hunter(case)
    assert hunter.weigh(in_both(own, once, call(7, "Savings", "cut"), again)).amount < WAD
    # Beside a keeper who comes an hour later it would be one.
    done = in_both(own, once, call(7, "Savings", "cut"), again)
    idle = mean_wealth(case.setting, hunter.system, case.script, in_both(own, once, again))
    earned = mean_wealth(case.setting, hunter.system, case.script, done)
    assert earned["coalition"] - idle["coalition"] > LEAST


def test_what_is_taken_is_what_one_has_and_others_lack():
    honest = [{"coalition": 10, "saver": 5, "keeper": 9}, {"coalition": 12, "saver": 7, "keeper": 0}]
    found = {"coalition": 20, "saver": 2, "keeper": 0}
    assert taken(honest, found, frozenset({"keeper"})) == (8, {"saver": 3})
    assert taken(honest, found, frozenset({"keeper"})).amount == 3
    assert taken(honest, {"coalition": 12, "saver": 0, "keeper": 0}, frozenset()).amount == 0


@pytest.fixture(scope="module")
def found():
    """A case searched for a moment only, and its neighbour."""
    return [hunt(seed, 12, 12) for seed in (11, 12)]


@pytest.mark.deep(
    brief="tests/backstop/studies/hunt/test_search.py::test_a_story_is_what_happens_on_the_contracts"
)
def test_equal_seeds_find_alike(found):
    assert hunt(12, 12, 12) == found[1]
    assert draw_case(11) == found[0].case


def test_a_story_is_what_happens_on_the_contracts():
    case = case_of(lambda p: all(each.feed.reporters == 3 for each in p.collateral_types), fall=1_500)
    lie = call(2, "PriceFeed", "report", 0, PRICES[0], by=case.setting.bought[0][0])
    after = call(14, "VaultEngine", "accrue", 0)
    story = Found(case, ((lie, after), (lie,)), NOTHING)
    assert [(line.branch, line.tick) for line in tell(story)] == [("before", 2), ("it comes", 14)]
    assert replay(story, "revm", Artifacts()) > 300


def test_the_event_divides_the_branches():
    """Before it a coalition cannot know; from it on it does as it likes in each."""
    hunter = Hunter(draw_case(5))
    event = hunter.case.script.event
    for _ in hunter.run(6, 0):
        pass
    for _, plan, _ in hunter.best:
        one, other = hunter._follow(plan)
        assert [each for each in one if each.tick < event] == [each for each in other if each.tick < event]
    plan = (Act(event, 0, COMES, "accrue", 1),)
    assert [len(doings) > 0 for doings in hunter._follow(plan)] == [True, False]


def test_a_quick_keeper_does_not_sleep():
    case = case_of(lambda p: p.collateral_types[0].feed.step == 600, fall=3_000, event=6)
    asleep = case.script._replace(awake=frozenset())
    system = case.setting.new()
    calls = {}
    for conduct in CONDUCTS:
        with system.fork_state():
            done = play(case.setting, system, asleep, COMES, (), conduct).done
        calls[conduct] = [i for i, each in enumerate(done) if getattr(each, "method", "") == "liquidate"]
    assert not calls["idle"] and calls["quick"] and calls["slow"]
    assert calls["quick"][0] < calls["slow"][0]
