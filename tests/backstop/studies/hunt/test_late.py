"""The alarm *late*: it sees what spam delays, and nothing under the present rules."""

from random import Random

import pytest

from backstop.hosts.artifacts import Artifacts
from backstop.model import redeem_queue
from backstop.model.collateral_auction import CollateralAuction
from backstop.model.exits import Exits
from backstop.model.price_feed import PriceFeed
from backstop.model.state import Revert, external
from backstop.model.vault_engine import VaultEngine
from backstop.studies.hunt import late
from backstop.studies.hunt.late import KINDS, Late, draw_course
from backstop.studies.hunt.story import replay_steps
from backstop.system import Action
from tests.support.deep import mark_long_cases

BRIEF = "tests/backstop/studies/hunt/test_late.py::test_a_history_with_all_spam_happens_on_the_contracts"


def delays(fits, seeds=range(40), trials=12):
    """Return the events that come too late in courses that fit."""
    for seed in seeds:
        found = Late(seed)
        for trial in range(trials):
            course = found.course(trial)
            if fits(found.setting, course) and (delay := found.weigh(course)) is not None:
                yield found, course, delay


def first(fits, what):
    return next(each for each in delays(fits) if each[2].what == what)


@pytest.mark.deep(
    brief="tests/backstop/studies/hunt/test_late.py::test_sees_that_resets_kept_a_worthless_lot_open"
)
def test_sees_that_a_step_is_used_up(monkeypatch):
    def refuse(self, *args):
        raise Revert("price_feed: too early")

    monkeypatch.setattr(PriceFeed, "_renew", refuse)
    what = "the first liquidation"
    found, course, delay = first(lambda setting, course: "poke" in course.spam and course.beat == 600, what)
    assert delay.seconds > delay.bound >= 600
    assert found.least(course, delay).spam == ("poke",)


@pytest.mark.deep(
    brief="tests/backstop/studies/hunt/test_late.py::test_sees_that_resets_kept_a_worthless_lot_open"
)
def test_sees_that_dust_fills_the_list_of_batches(monkeypatch):
    monkeypatch.setattr(Exits, "_joining", no_more_than_one(Exits._joining))
    monkeypatch.setattr(redeem_queue, "MOST_UNSETTLED", 3)
    fits = lambda setting, course: "requests" in course.spam and course.beat > 600  # noqa: E731
    _, _, delay = first(fits, "a withdrawal")
    assert delay.seconds > delay.bound


def no_more_than_one(joining):
    """One batch is paid at a time, and none as long as anything is in doubt."""

    def refuse(self, groups, level, price):
        if level > self.index[()]:
            raise Revert("pool: nothing to settle")
        return joining(self, groups, level, price)

    return refuse


def test_sees_that_a_crumb_blocks_a_repayment(monkeypatch):
    repay = VaultEngine.repay_and_withdraw
    touched = set()

    def once(self, sender, c, owner, amount, *args):
        if amount == 1:
            touched.add((c, owner))
        elif (c, owner) in touched:
            raise Revert("vault_engine: touched")
        return repay(self, sender, c, owner, amount, *args)

    vars(once)["abi"] = vars(repay)["abi"]
    monkeypatch.setattr(VaultEngine, "repay_and_withdraw", once)
    found = Late(0)
    course = found.course(0)._replace(spam=())
    quiet = found.weigh(course)
    assert quiet is None
    delay = found.weigh(course._replace(spam=("crumbs of debts",)))
    assert delay is not None and delay.what == "a repayment"


@pytest.mark.parametrize(
    "seed",
    mark_long_cases(
        range(4),
        range(1, 4),
        "tests/backstop/studies/hunt/test_late.py::test_nothing_comes_late_under_the_present_rules",
    ),
)
def test_nothing_comes_late_under_the_present_rules(seed):
    assert Late(seed).hunt(6) == []


@pytest.mark.deep(brief=BRIEF)
def test_each_spam_does_something():
    """A kind of spam that is always refused would show nothing."""
    done = set()
    for seed in range(6):
        found = Late(seed)
        for trial in range(6):
            with found.system.fork_state():
                town = late.Town(found.setting, found.system)
                _, told = late.play(town, found.course(trial)._replace(spam=tuple(KINDS)))
                done |= {each.action.method for each in told}
                done |= {each.method for each in town.done if isinstance(each, Action)}
    assert done >= {"requestRedeem", "deposit", "cut", "settle", "poke", "reset", "accrue", "flag"}
    assert done >= {"repay_and_withdraw", "take", "apply_stages", "fix"}


def test_every_act_is_drawn():
    setting = Late(1).setting
    drawn = [draw_course(setting, Random(n)) for n in range(60)]
    assert {kind for each in drawn for kind in each.spam} == set(KINDS)
    assert (
        {each.removed != "" for each in drawn} == {each.announced is None for each in drawn} == {True, False}
    )


def test_a_history_with_all_spam_happens_on_the_contracts():
    found = Late(2)
    town = late.Town(found.setting, found.system)
    late.play(town, found.course(1)._replace(spam=tuple(KINDS)))
    assert replay_steps(found.setting, town.done, "revm", Artifacts()) > 500


def test_resets_keep_no_worthless_lot_open():
    assert spammed_lots() == 0


def test_sees_that_resets_kept_a_worthless_lot_open(monkeypatch):
    """As it was: a stranger restarts a lot before it can be given up."""
    reset = CollateralAuction.reset

    @external
    def reset_all(self, sender, auction_id, reward_receiver):
        with monkeypatch.context() as patch:
            patch.setattr(CollateralAuction, "_is_worthless", lambda *args: False)
            return reset(self, sender, auction_id, reward_receiver)

    monkeypatch.setattr(CollateralAuction, "reset", reset_all)
    assert spammed_lots() > 0


def spammed_lots():
    """Return how many lots resets keep open, of courses that end without one."""
    lots, seen = 0, 0
    for seed in range(12):
        found = Late(seed)
        lost = tuple(price // 10**6 for price in found.setting.prices)
        course = found.course(0)._replace(
            prices=(found.setting.prices,) * 2 + (lost,) * (late.BEATS - 2),
            left=frozenset({"take"}),
            announced=None,
            spam=("reset",),
            beat=1_800,
        )
        if lots_after(found, course._replace(spam=())) == 0:
            lots, seen = lots + lots_after(found, course), seen + 1
    assert seen > 0
    return lots


def lots_after(found, course):
    """Open lots at the end of a course."""
    with found.system.fork_state():
        town = late.Town(found.setting, found.system)
        late.play(town, course)
        return sum(each.target > 0 for each in town.auction.lots.values())
