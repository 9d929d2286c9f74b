"""A campaign: seeds, budgets, properties, failures and their files; declarations without content."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from backstop import lockstep
from backstop.contract_base import Contract, external
from backstop.errors import BackstopError
from backstop.hosts.host_interface import GENESIS
from backstop.lockstep import Call, Campaign, Deployment, Wait, account, action, invariant, run_campaign
from backstop.lockstep.campaign import CampaignAction, Draw
from backstop.lockstep.campaign_lockstep import CampaignLockstep
from backstop.lockstep.campaign_result import CallCoverage
from backstop.lockstep.campaign_run import CampaignShrinker, load_campaign_artifacts, replay_campaign_trace
from backstop.lockstep.declaration_loader import load_campaign
from backstop.lockstep.pytest_plugin import derive_case_seed
from backstop.lockstep.replayable_trace import Trace, TraceStep
from tests.backstop.lockstep.conftest import NAME, NewcomerProject

ALICE, BOB = account("alice"), account("bob")


def list_calls(campaign: Campaign, seed: int, steps: int) -> list[str]:
    """Return the calls that a campaign plays."""
    told: list[str] = []

    @invariant
    def note_state(state: Any) -> bool:
        told.append(repr(sorted(state.token.balances.items())) + repr(state.timestamp))
        return True

    campaign.invariants = [note_state]
    assert run_campaign(campaign, seed, steps).failure is None
    return told


def test_equal_seeds_play_equal_calls_and_others_do_not(module: ModuleType) -> None:
    campaign: Campaign = module.campaign
    first = list_calls(campaign, 3, 120)
    assert list_calls(campaign, 3, 120) == first
    assert list_calls(campaign, 4, 120) != first
    assert len({derive_case_seed(3, case) for case in range(9)}) == 9 and derive_case_seed(3, 0) == 3


def test_budgets_end_it(module: ModuleType) -> None:
    campaign: Campaign = module.campaign
    campaign.run_length = 40
    assert run_campaign(campaign, steps=90).steps == 90
    soon = run_campaign(campaign, seconds=0.2)
    assert soon.steps > 0 and soon.seconds < 2
    assert run_campaign(campaign, steps=10, seconds=60).steps == 10


def test_a_violated_property_is_named_and_shrunk(module: ModuleType, tmp_path: Path) -> None:
    @invariant
    def bob_stays_poor(state: Any) -> None:
        assert state.token.balances[BOB] < 10**20, "bob is rich"

    module.campaign.invariants = [bob_stays_poor]
    failure = run_campaign(module.campaign, out=tmp_path, name=NAME).failure
    assert failure is not None and failure.kind == "property bob_stays_poor" and failure.after <= 2
    assert failure.text == f"property bob_stays_poor is violated: bob is rich at step {failure.after}"
    assert failure.trace is not None and failure.test is not None
    assert json.loads(failure.trace.read_text())["campaign"] == NAME
    again = replay_campaign_trace(module.campaign, failure.trace)
    assert again is not None and (again.kind, again.calls) == (failure.kind, failure.calls)
    module.campaign.invariants = []
    assert replay_campaign_trace(module.campaign, failure.trace) is None


def test_a_call_takes_the_number_of_another_where_that_spares_a_third(newcomer: NewcomerProject) -> None:
    campaign = load_campaign(NAME, newcomer.folder)
    artifacts = load_campaign_artifacts(campaign)
    calls = [
        Call("token.approve", ALICE, 10**18 + 7, sender=BOB),
        Call("token.transferFrom", BOB, BOB, 10**17, sender=ALICE),
        Call("token.transferFrom", BOB, BOB, 9 * 10**17 + 7, sender=ALICE),
    ]
    both = CampaignLockstep(campaign, artifacts)
    funds = Call("token.transfer", BOB, 10**20, sender=account("deployer"))
    steps = [TraceStep(GENESIS, both.resolve_call(call)) for call in (funds, *calls)]
    shrinker = CampaignShrinker(Trace(steps, GENESIS), campaign, artifacts, seconds=60)
    small, failure = shrinker.shrink_trace()
    assert failure.kind == "difference" and [each.step.method for each in small.steps] == [
        "approve",
        "transferFrom",
    ]
    assert [each.step.args[-1] for each in small.steps] == [1, 1]


def test_a_fault_of_the_model_is_shrunk_like_a_difference(module: ModuleType) -> None:
    class Forgetful(module.Token):  # type: ignore[name-defined]
        KIND = "Token"

        @external
        def approve(self, sender: str, spender: str, amount: int) -> bool:
            return bool(dict[str, int]()[spender])

    module.campaign.deployments = [Deployment("token", Forgetful, [module.SUPPLY])]
    failure = run_campaign(module.campaign).failure
    assert failure is not None and failure.kind == "KeyError" and failure.after == 1


def test_what_draws_calls_may_not_fail(module: ModuleType) -> None:
    @action
    def divide(draw: Draw, state: Any) -> Call:
        return Call("token.transfer", BOB, 1 // 0)

    module.campaign.actions = [divide]
    told = r"test_campaign.py:\d+: the action divide raises ZeroDivisionError: integer"
    with pytest.raises(BackstopError, match=told):
        run_campaign(module.campaign)


def test_a_setup_that_reverts_is_told(module: ModuleType) -> None:
    module.campaign.setup = [Call("token.transfer", ALICE, 1, sender=BOB)]
    with pytest.raises(
        BackstopError, match=r"the setup of the campaign fails: Call\(token.transfer.* reverts with ''"
    ):
        run_campaign(module.campaign)


def test_a_campaign_without_anything_to_do_ends_with_a_line(module: ModuleType) -> None:
    module.campaign.actions = [CampaignAction("wait", lambda draw, state: Wait(1))]
    with pytest.raises(BackstopError, match="no action of the campaign makes a call any more, after 0 steps"):
        run_campaign(module.campaign)


def test_calls_to_nowhere_are_told(module: ModuleType) -> None:
    for target, told in (
        ("coin.transfer", "deployment 'coin' is unknown"),
        ("token.burn", "no function of that name"),
    ):

        def draw_nowhere(draw: Draw, state: Any, target: str = target) -> Call:
            return Call(target, 1)

        module.campaign.actions = [CampaignAction("nowhere", draw_nowhere)]
        with pytest.raises(BackstopError, match=told):
            run_campaign(module.campaign)
    with pytest.raises(BackstopError, match="has no dot"):
        Call("transfer", 1)
    with pytest.raises(BackstopError, match=r"constructor of Token takes \(uint256 supply\)"):
        module.campaign.deployments = [Deployment("token", module.Token, [])]
        run_campaign(module.campaign)


class Empty(Contract):
    pass


@action
def do_nothing(draw: Draw, state: Any) -> None:
    return None


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"deployments": []}, "needs deployments and actions"),
        ({"deployments": [Deployment("a", Empty), Deployment("a", Empty)]}, "a deployment is called 'a'"),
        ({"deployments": [Deployment("not one", Empty)]}, "a deployment is called 'not one'"),
        ({"actions": [len]}, "len among the actions has no @action above it"),
        ({"invariants": [len]}, "len among the invariants has no @invariant above it"),
        ({"steps": 0}, "steps and run_length are 1 or more"),
        ({"waits": (-1,)}, "waits are 0 or more seconds"),
        ({"invalid_share": 2}, "invalid_share is 2: expected from 0 to 1"),
    ],
)
def test_a_declaration_that_says_nothing_is_refused(fields: dict[str, Any], told: str) -> None:
    usual: dict[str, Any] = {"deployments": [Deployment("a", Empty)], "actions": [do_nothing]}
    with pytest.raises(BackstopError, match=f"^test_campaign.py: .*{told}"):
        Campaign(**{**usual, **fields})
    with pytest.raises(BackstopError, match="the weight of an action is 0"):
        action(weight=0)


def test_the_loader_says_what_is_missing(newcomer: NewcomerProject) -> None:
    with pytest.raises(BackstopError, match=" not found: "):
        load_campaign("tests/other.py::campaign", newcomer.folder)
    with pytest.raises(BackstopError, match="has no Campaign called 'other'"):
        load_campaign("tests/test_token.py::other", newcomer.folder)


def test_a_truncated_trace_is_refused(module: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    path.write_text('{"schema_version": 1, "campaign": "a", "steps": [{"timestamp": 1}]}')
    with pytest.raises(BackstopError, match=r"trace\.json is not a valid trace"):
        replay_campaign_trace(module.campaign, path)
    path.write_text('{"schema_version": 1')
    with pytest.raises(BackstopError, match=r"trace\.json is not a valid trace"):
        replay_campaign_trace(module.campaign, path)


def test_coverage_adds_up_over_processes_and_groups_errors_by_name() -> None:
    coverage = CallCoverage()
    coverage.add_functions(["a.f()", "a.g()", "a.h()"])
    coverage.calls["a.f()"].update(
        {None: 2, "Bad(1, 2)": 1, "Bad(3, 4)": 2, "text (with brackets)": 1, "": 1}
    )
    coverage.calls["a.g()"].update({"no": 4})
    total = CallCoverage()
    for _ in range(2):
        total.add_coverage(CallCoverage.from_json(json.loads(json.dumps(coverage.to_json()))))
    assert total.format_table() == [
        "function succeeded  reverted  reasons",
        "a.f()            4        10  Bad 6, (none) 2, text (with brackets) 2",
        "a.g()            0         8  no 8",
        "a.h()            0         0",
        "never called: a.h()",
        "never succeeded: a.g()",
    ]


def test_amounts_are_at_and_about_their_limit() -> None:
    draw = Draw("amounts")
    drawn = [draw.draw_amount(10**18) for _ in range(2_000)]
    assert {0, 1, 10**18 - 1, 10**18, 10**18 + 1} <= set(drawn) and max(drawn) == 10**18 + 1
    assert sum(1 for each in drawn if 1 < each < 10**9) > 50
    assert draw.draw_amount(0) in (0, 1)
    assert all(0 <= draw.draw_amount(2**256 - 1) < 2**256 for _ in range(99))


def test_every_name_of_the_package_is_there() -> None:
    assert len(set(lockstep.__all__)) == len(lockstep.__all__)
    assert all(getattr(lockstep, name) is not None for name in lockstep.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = lockstep.nothing


def test_contracts_of_the_tests_are_not_the_project(newcomer: NewcomerProject, module: ModuleType) -> None:
    newcomer.write("tests/contracts/Token.vy", "another")
    assert module.campaign.root == newcomer.folder
    assert run_campaign(module.campaign, steps=1).failure is None
    module.campaign.project = "contracts"
    assert module.campaign.root == newcomer.folder / "tests" / "contracts"


def test_blocks_are_counted_where_a_block_has_a_length(module: ModuleType) -> None:
    numbers = []

    @invariant
    def note_block(state: Any) -> bool:
        numbers.append((state.timestamp, state.world.block_number))
        return True

    module.campaign.block_time = 12
    module.campaign.invariants = [note_block]
    assert run_campaign(module.campaign, steps=50).failure is None
    (first, number), *others = numbers
    assert others[-1][1] > number
    assert all(later - number == time // 12 - first // 12 for time, later in others)
