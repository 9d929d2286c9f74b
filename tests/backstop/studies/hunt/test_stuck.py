"""The alarm *stuck*: it sees calls that fail and must not, and none where all parts work."""

from random import Random

import pytest

from backstop.deployment.role_accounts import get_account
from backstop.hosts.artifacts import Artifacts
from backstop.model.arithmetic import RAD, WAD
from backstop.model.roles import STAGE
from backstop.studies.hunt import stuck
from backstop.studies.hunt.calls import CHECKS, OTHER, Outside
from backstop.studies.hunt.deeds import Deed, borrow, draw_fall
from backstop.studies.hunt.script import COMES, TICKS
from backstop.studies.hunt.story import replay_steps
from backstop.studies.hunt.stuck import Stuck, Trouble, draw_trouble

BRIEF = "tests/backstop/studies/hunt/test_search.py::test_a_story_is_what_happens_on_the_contracts"


def stuck_of(fits):
    """The first case whose parameters fit."""
    return next(found for found in map(Stuck, range(300)) if fits(found.setting.parameters))


def trouble_of(found, call, *acts, fall=0, absent=()):
    script = draw_fall(found.setting, Random(1), 16, (fall,))
    low = tuple(price * (10_000 - fall) // 10_000 for price in found.setting.prices)
    rows = (found.setting.prices,) * 16 + (low,) * (TICKS - 16)
    script = script._replace(
        prices=(rows, rows),
        awake=frozenset(range(TICKS)),
        intents=(),
        absent=frozenset(map(get_account, absent)),
    )
    return Trouble(call, "shown", script, frozenset(), acts)


def do(tick, by, contract, method, *args):
    return Deed(tick, 0, lambda town: town.do(by, contract, method, *args))


def test_no_stage_is_listed_twice():
    """A list with a stage twice is refused, so the opening of such a case fails."""
    drawn = (stuck.setting_of(seed).parameters for seed in (1_696_017_922_000_000, *range(30)))
    orders = [[each.name for each in parameters.stages] for parameters in drawn]
    assert all(len(order) == len(set(order)) for order in orders)
    assert sum("minted_equity" in order for order in orders) > 5


def test_one_broken_stage_stops_no_cover():
    found = stuck_of(lambda p: p.has_stage("junior") and p.has_stage("senior") and p.guards is None)
    deployment = found.setting.deployment
    args = STAGE, deployment.addresses["Junior"]
    broken = do(2, deployment.get_account("admin"), "VaultEngine", "revoke_role", *args)
    trouble = trouble_of(found, "cover a loss", broken, fall=5_000)
    assert found.meet(trouble) is None
    with found.system.fork_state():
        town, _ = found.play(trouble)
        first, second = (town.pools[name] for name in ("Junior", "Senior"))
        before = first.capacity("", 0), second.capacity("", 0)
        for _ in CHECKS["cover a loss"](
            town, Outside(trouble.script.prices[COMES][-1], frozenset(), frozenset())
        ):
            raise AssertionError("it is told")
        # There was a loss, and who is next has paid for it.
        assert first.capacity("", 0) == before[0] and second.capacity("", 0) < before[1] - 1_000 * RAD


def test_sees_that_a_broken_stage_bears_nothing_any_more():
    """What it should have borne is left where nobody is behind it: stages cannot be replaced."""
    found = stuck_of(
        lambda p: "redistribution" not in names(p) and pools(p) == {"junior"} and p.guards is None
    )
    trouble = trouble_of(found, "cover a loss", fall=5_000)
    assert found.meet(trouble) is None
    args = STAGE, found.setting.deployment.addresses["Junior"]
    broken = do(2, found.setting.deployment.get_account("admin"), "VaultEngine", "revoke_role", *args)
    refusal = found.meet(trouble._replace(deeds=(broken,)))
    assert refusal is not None and refusal.reason == "it pays nothing" and refusal.stake > 1_000 * WAD


def names(parameters):
    return {each.name for each in parameters.stages}


def pools(parameters):
    return names(parameters) & {"junior", "senior", "savings"}


def test_a_type_that_waits_for_another_is_not_stuck():
    """Pools have one cap for all types: what they have pays for one loss, and then for the other."""
    stuck = Stuck(7)
    trouble, refusal = stuck.least(stuck.trouble(2))
    assert trouble.call == "cover a loss" and refusal is None


def test_a_crumb_blocks_no_repayment():
    found = stuck_of(
        lambda p: p.collateral_types[0].debt_floor > 0 and p.collateral_types[0].stability_fee == 0
    )
    floor = found.setting.parameters.collateral_types[0].debt_floor * WAD
    mine = borrow(0, 1, OTHER, 0, 2 * floor, 40_000)
    crumb = 0, OTHER, 10**9, 0, get_account("attacker")
    paid = do(4, get_account("attacker"), "VaultEngine", "repay_and_withdraw", *crumb)
    assert found.meet(trouble_of(found, "repay", mine, paid)) is None


def test_sees_that_one_silent_reporter_of_three_ends_liquidations():
    found = stuck_of(lambda p: p.collateral_types[0].feed.reporters == 3 and p.guards is None)
    assert found.meet(trouble_of(found, "liquidate", fall=5_000)) is None
    refusal = found.meet(trouble_of(found, "liquidate", fall=5_000, absent=["reporter_3"]))
    assert refusal is not None and refusal.reason == "liquidation_engine: no price"


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("call", CHECKS)
def test_all_calls_succeed_where_nothing_is_broken(seed, call):
    found = Stuck(seed)
    assert found.meet(trouble_of(found, call)) is None


def test_every_call_and_every_sort_of_trouble_is_drawn():
    setting = Stuck(1).setting
    drawn = [draw_trouble(setting, Random(n)) for n in range(200)]
    assert {each.call for each in drawn} == set(CHECKS)
    assert len({each.what.split(":")[0] for each in drawn}) == 5


@pytest.mark.deep(brief=BRIEF)
def test_a_story_happens_on_the_contracts():
    stories = Stuck(3).hunt(30)
    assert stories and stories == Stuck(3).hunt(30)
    story = min(stories, key=lambda each: len(each.lines))
    assert sum(replay_steps(*each, "revm", Artifacts()) for each in stuck.histories(story)) > 200
