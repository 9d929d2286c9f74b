"""A user's own file that keeps state beside tables, misspells names, raises, or waits."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from backstop.contract_base import RevertError, declare_record_slot_bit_widths, external
from backstop.errors import BackstopError
from backstop.lockstep import Call, Deployment, Wait, account, action, invariant, require, run_campaign
from backstop.lockstep.campaign import CampaignAction, Draw
from backstop.lockstep.campaign_lockstep import CampaignLockstep
from backstop.lockstep.campaign_run import load_campaign_artifacts, replay_campaign_trace
from backstop.lockstep.declaration_loader import load_campaign
from backstop.lockstep.lockstep_difference import VIEWER, Difference, DivergenceError
from backstop.system import Action
from tests.backstop.lockstep import solidity_campaign
from tests.backstop.lockstep.conftest import NAME, PAGE, NewcomerProject, list_page_blocks

BOB, DEPLOYER = account("bob"), account("deployer")
PLACE = r"test_user_code\.py:\d+"


def replace_model(module: ModuleType, model: type) -> None:
    """Switch the campaign to another model of the token."""
    module.campaign.deployments = [Deployment("token", model, [module.SUPPLY])]


def make_counting_model(module: ModuleType) -> Any:
    """Return a model that keeps state beside its tables."""

    # mypy takes no attribute of a module that is loaded at run time for a class.
    class Counting(module.Token):  # type: ignore[name-defined]
        KIND = "Token"

        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.received: dict[str, list[int]] = {}
            self.same = self.received
            self.nested = [self.received]
            self.counts = Counter[str]()
            self.moves = 0

        @external
        def transfer(self, sender: str, receiver: str, amount: int) -> bool:
            self.moves += 1
            self.counts[receiver] += 1
            self.received.setdefault(receiver, []).append(amount)
            self.last_receiver = receiver
            return bool(super().transfer(sender, receiver, amount))

    return Counting


def test_what_a_model_keeps_beside_its_tables_is_taken_back(module: ModuleType) -> None:
    replace_model(module, make_counting_model(module))
    lockstep = CampaignLockstep(module.campaign, load_campaign_artifacts(module.campaign))
    token: Any = lockstep.state.token
    kept = token.received
    assert lockstep.apply(Action("token", "transfer", (BOB, 1), BOB)).reason == ""
    assert (token.moves, token.received) == (0, {}) and "last_receiver" not in vars(token)
    lockstep.apply(Action("token", "transfer", (BOB, 7), DEPLOYER))
    for _ in range(2):
        with lockstep.fork_state():
            lockstep.apply(Action("token", "transfer", (BOB, 8), DEPLOYER))
            assert (token.moves, token.received) == (2, {BOB: [7, 8]})
        assert (token.moves, token.received, token.counts) == (1, {BOB: [7]}, {BOB: 1})
    world = lockstep.model.world
    assert world.call_or_return_none(lambda: token.transfer(BOB, BOB, 10**18)) is None
    assert (token.moves, token.received) == (1, {BOB: [7]})
    assert token.received is kept and token.same is kept and token.nested[0] is kept
    mark = world.mark()
    for _ in range(2):
        token.transfer(DEPLOYER, BOB, 9)
        token.received[BOB].append(5)
        world.roll_back(mark)
        assert (token.moves, token.received) == (1, {BOB: [7]})


def test_a_property_of_such_state_is_shrunk_to_calls_that_fail_again(
    module: ModuleType, tmp_path: Path
) -> None:
    replace_model(module, make_counting_model(module))

    @invariant
    def bob_receives_little(state: Any) -> bool:
        return len(state.token.received.get(BOB, ())) < 3

    module.campaign.invariants = [bob_receives_little]
    failure = run_campaign(module.campaign, out=tmp_path, name=NAME).failure
    assert failure is not None and failure.after == 3 and failure.trace is not None
    again = replay_campaign_trace(module.campaign, failure.trace)
    assert again is not None and again.kind == failure.kind and not failure.note


def test_a_small_trace_that_does_not_fail_again_is_not_shown(module: ModuleType, tmp_path: Path) -> None:
    remembered: list[int] = []

    @invariant
    def few_states(state: Any) -> bool:
        if state.timestamp == state.token.created_at:
            remembered.clear()  # a fresh deployment; what shrinking takes back stays remembered
        remembered.append(1)
        return len(remembered) < 40

    class Token(module.Token):  # type: ignore[name-defined]
        def __init__(self, world: Any, *arguments: Any) -> None:
            super().__init__(world, *arguments)
            self.created_at = world.timestamp

    replace_model(module, Token)
    module.campaign.waits = (1,)
    module.campaign.invariants = [few_states]
    failure = run_campaign(module.campaign, out=tmp_path, name=NAME).failure
    assert failure is not None and failure.before == failure.after > 30 and failure.trace is not None
    assert failure.note.startswith("not shrunk: the smaller trace does not fail on a fresh deployment")
    assert replay_campaign_trace(module.campaign, failure.trace) is not None


def test_a_failure_that_does_not_come_again_is_told(module: ModuleType) -> None:
    remembered: list[int] = []

    @invariant
    def fails_once(state: Any) -> bool:
        remembered.append(1)
        return len(remembered) != 40

    module.campaign.invariants = [fails_once]
    with pytest.raises(BackstopError, match="the same calls do not fail on a fresh deployment") as told:
        run_campaign(module.campaign)
    assert "fails_once is violated" in str(told.value)


def test_state_that_cannot_be_taken_back_is_refused(module: ModuleType) -> None:
    class Shared(module.Token):  # type: ignore[name-defined]
        KIND = "Token"
        minted: dict[str, int] = {}  # noqa: RUF012 (the mistake)

    class Generating(module.Token):  # type: ignore[name-defined]
        KIND = "Token"

        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.numbers = iter(each for each in (1, 2))

    for model, told in (
        (Shared, "Shared.minted is a dict of the class, which all deployments share: make it in __init__"),
        (Generating, "Generating.numbers is a generator, which cannot be copied"),
    ):
        replace_model(module, model)
        with pytest.raises(BackstopError, match=told):
            run_campaign(module.campaign, steps=5)

    @invariant
    def note_in_state(state: Any) -> None:
        state.seen = 1

    replace_model(module, module.Token)
    module.campaign.invariants = [note_in_state]
    with pytest.raises(BackstopError, match=f"{PLACE}: .*keep 'seen' on a model: state.DEPLOYMENT.seen"):
        run_campaign(module.campaign, steps=5)


def misspell(state: Any) -> Any:
    return state.token.balancez[BOB]


def revert(state: Any) -> Any:
    raise RevertError("not now")


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        (misspell, "Token has no attribute 'balancez': there are allowances, .*balances, .*transferFrom"),
        (revert, "reverts with 'not now'"),
    ],
)
def test_code_that_declares_may_not_fail(module: ModuleType, mistake: Any, told: str) -> None:
    campaign = module.campaign
    usual = {name: getattr(campaign, name) for name in ("actions", "setup", "views", "invariants")}

    def draw_call(draw: Draw, state: Any) -> Any:
        yield Call("token.approve", BOB, 1)
        mistake(state)

    for fields, place in (
        ({"actions": [action(draw_call)]}, "the action draw_call"),
        ({"actions": [action(when=mistake)(draw_call)]}, "the condition of the action draw_call"),
        ({"setup": lambda state: [mistake(state)]}, "the setup"),
        ({"views": lambda state: [mistake(state)]}, "the list of views"),
        ({"invariants": [invariant(mistake)]}, f"the invariant {mistake.__name__}"),
    ):
        for name, value in {**usual, **fields}.items():
            setattr(campaign, name, value)
        with pytest.raises(BackstopError, match=f"^\\S*{PLACE}: {place}.* {told}") as error:
            run_campaign(campaign, steps=20)
        assert "\n" not in str(error.value)


def test_a_misspelt_name_of_the_model_is_no_revert(module: ModuleType) -> None:
    class Misspelt(module.Token):  # type: ignore[name-defined]
        KIND = "Token"

        @external
        def approve(self, sender: str, spender: str, amount: int) -> bool:
            assert getattr(self, "nothing", None) is None and not hasattr(self, "nothing")
            return bool([self.allowancez for _ in (1,)])

    replace_model(module, Misspelt)
    failure = run_campaign(module.campaign).failure
    assert failure is not None and failure.after == 1
    assert re.match(
        rf"\S*{PLACE}: the model: Misspelt has no attribute 'allowancez': there are", failure.text
    )


def test_an_error_of_the_model_has_its_place(module: ModuleType) -> None:
    class Forgetful(module.Token):  # type: ignore[name-defined]
        KIND = "Token"

        @external
        def approve(self, sender: str, spender: str, amount: int) -> bool:
            return bool(dict[str, int]()["typo"])

    replace_model(module, Forgetful)
    failure = run_campaign(module.campaign).failure
    assert failure is not None and failure.kind == "KeyError"
    assert re.fullmatch(rf"\S*{PLACE}: the model raises KeyError: 'typo'", failure.text)


def test_a_function_that_another_contract_lacks_reverts(module: ModuleType) -> None:
    lockstep = CampaignLockstep(module.campaign, load_campaign_artifacts(module.campaign))
    token: Any = lockstep.state.token
    assert lockstep.model.world.call_or_return_none(lambda: token.onReceived(BOB)) is None
    assert getattr(token, "onReceived", 3) == 3


def test_a_typo_is_told_in_few_lines(newcomer: NewcomerProject) -> None:
    newcomer.write("tests/test_token.py", newcomer.file.replace("state.token.balances.v", "state.token.x.v"))
    told = newcomer.run_pytest()
    assert told.returncode == 1 and len(told.stdout.splitlines()) < 20, told.stdout
    assert "tests/test_token.py:62: the invariant balances_add_up: Token has no attribute 'x'" in told.stdout


def test_a_wait_is_exact(module: ModuleType) -> None:
    times = []

    @invariant
    def note_time(state: Any) -> None:
        times.append(state.timestamp)

    def draw_two(draw: Draw, state: Any) -> Any:
        yield Call("token.approve", BOB, 1)
        yield Wait(7)
        yield Call("token.approve", BOB, 2)

    module.campaign.waits = (100,)
    module.campaign.invariants = [note_time]
    module.campaign.actions = [CampaignAction("two", draw_two)]
    assert run_campaign(module.campaign, steps=6).failure is None
    gaps = [later - first for first, later in pairwise(times) if later != first]
    assert gaps == [100, 7, 100, 7, 100, 7]


def test_waits_are_shrunk_to_the_boundary(module: ModuleType) -> None:
    class Slow(module.Token):  # type: ignore[name-defined]
        KIND = "Token"

        def __init__(self, world: Any, *arguments: Any) -> None:
            super().__init__(world, *arguments)
            self.created_at = world.timestamp

        @external
        def approve(self, sender: str, spender: str, amount: int) -> bool:
            require(self.world.timestamp < self.created_at + 1_700, "late")
            return bool(super().approve(sender, spender, amount))

    replace_model(module, Slow)
    failure = run_campaign(module.campaign).failure
    assert failure is not None and failure.calls[0].endswith("after 1,700 s") and failure.after == 1


@pytest.mark.parametrize(
    ("variable", "default", "told"),
    [
        ("balanceOf: public(HashMap[address, uint256])", "ZERO_ADDRESS", "a uint256: expected the default 0"),
        ("balanceOf: public(HashMap[address, uint256])", "False", "a uint256: expected the default 0"),
        ("owners: HashMap[uint256, address]", "0", "an address: expected the default ZERO_ADDRESS"),
        ("coins: HashMap[uint256, IERC20]", "0", "an address: expected the default ZERO_ADDRESS"),
        ("isPaused: bool", "0", "a bool: expected the default False"),
        ("root: bytes32", "0", "a bytes32: expected the default bytes(32)"),
    ],
)
def test_a_default_of_another_type_is_refused(
    newcomer: NewcomerProject, variable: str, default: str, told: str
) -> None:
    name = variable.partition(":")[0]
    added = "" if name == "balanceOf" else f"{variable}\n"
    contract = newcomer.contract.replace("totalSupply: public", f"{added}totalSupply: public", 1)
    imported = "from ethereum.ercs import IERC20\n\nevent Transfer"
    newcomer.write("contracts/Token.vy", contract.replace("event Transfer", imported, 1))
    line = f'        self.odd = self.table("{name}", {default})\n        self.supply = '
    file = newcomer.file.replace("        self.supply = ", line, 1)
    if name == "balanceOf":
        file = newcomer.file.replace('table("balanceOf")', f'table("balanceOf", {default})')
    newcomer.write("tests/test_token.py", file)
    campaign = load_campaign(NAME, newcomer.folder)
    with pytest.raises(
        BackstopError, match=re.escape(f"Token: the table at '{name}' has the default")
    ) as error:
        run_campaign(campaign, steps=1)
    assert str(error.value).endswith(told)


def test_defaults_of_the_right_types_are_taken(newcomer: NewcomerProject) -> None:
    added = "owner: address\nisPaused: bool\nroot: bytes32\nsigned: int128\n"
    contract = newcomer.contract.replace("totalSupply: public", f"{added}totalSupply: public", 1)
    newcomer.write("contracts/Token.vy", contract)
    tables = '("owner", ZERO_ADDRESS), ("isPaused", False), ("root", bytes(32)), ("signed", 0)'
    line = f"        self.more = [self.table(*each) for each in ({tables})]\n        self.supply = "
    newcomer.write("tests/test_token.py", newcomer.file.replace("        self.supply = ", line, 1))
    assert run_campaign(load_campaign(NAME, newcomer.folder), steps=5).failure is None


def test_a_value_below_zero_is_told_as_such(module: ModuleType) -> None:
    class Unchecked(module.Token):  # type: ignore[name-defined]
        KIND = "Token"

        @external
        def transfer(self, sender: str, receiver: str, amount: int) -> bool:
            self.balances[sender] -= amount
            self.balances[receiver] += amount
            self.emit("Transfer", sender, receiver, amount)
            return True

    replace_model(module, Unchecked)
    module.campaign.invariants = []
    lockstep = CampaignLockstep(module.campaign, load_campaign_artifacts(module.campaign))
    with pytest.raises(DivergenceError) as error:
        lockstep.apply(Action("token", "transfer", (DEPLOYER, 9), BOB))
    assert str(error.value).endswith(
        f"token balanceOf[{BOB}]: model -9 (below 0: the model left the range; use check_uint), "
        "chain a uint256"
    )


def test_a_default_of_a_field_is_of_its_type() -> None:
    @declare_record_slot_bit_widths(160, 16, 8)
    class Numbers(NamedTuple):
        owner: int = 0
        fee: int = 0
        paused: bool = False

    class Coin(solidity_campaign.Coin):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.settings = self.table("owner", Numbers())

    campaign = solidity_campaign.build_campaign()
    campaign.deployments = [Deployment("coin", Coin, ["Coin", 1, 1])]
    with pytest.raises(BackstopError, match="default 0 for 'owner', the variable is an address: expected"):
        run_campaign(campaign, steps=1)


REMEMBERING = """
@invariant
def bob_is_approved_once(state):
    return state.token.approved.get(PEOPLE[2], 0) < 2


campaign = Campaign("""


def test_replay_and_generated_test_fail_as_the_campaign_does(newcomer: NewcomerProject) -> None:
    newcomer.repair_contract()
    file = newcomer.file.replace("campaign = Campaign(", REMEMBERING.lstrip())
    file = file.replace("invariants=[", "invariants=[bob_is_approved_once, ")
    file = file.replace(
        "        self.supply = self", "        self.approved = {}\n        self.supply = self", 1
    )
    stored = "        self.allowances[sender, spender] = amount\n"
    counted = "        self.approved[spender] = self.approved.get(spender, 0) + 1\n"
    newcomer.write("tests/test_token.py", file.replace(stored, counted + stored))
    told = newcomer.run_pytest()
    assert "to 2 calls:" in told.stdout and "a violation of bob_is_approved_once" in told.stdout, told.stdout
    (test,) = (newcomer.folder / ".lockstep").glob("test_*.py")
    (trace,) = (newcomer.folder / ".lockstep").glob("*.json")
    kept = newcomer.run_pytest(str(test))
    assert kept.returncode == 1 and "property bob_is_approved_once is violated" in kept.stdout, kept.stdout
    assert "replay of" in newcomer.run_pytest("--lockstep-replay", str(trace)).stdout


def test_a_kept_test_tells_a_typo_in_a_line(newcomer: NewcomerProject) -> None:
    newcomer.write("tests/test_kept.py", newcomer.regression)
    for right, wrong, place in (
        (
            "state.token.balances.v",
            "state.token.x.v",
            "the invariant balances_add_up: Token has no attribute 'x'",
        ),
        ("self.allowances[sender, s", "self.y[sender, s", "the model: Token has no attribute 'y'"),
    ):
        newcomer.write("tests/test_token.py", newcomer.file.replace(right, wrong))
        told = newcomer.run_pytest("tests/test_kept.py")
        assert told.returncode == 1 and place in told.stdout, told.stdout
        assert len(told.stdout.splitlines()) < 35, told.stdout


def test_what_the_page_keeps_beside_the_contract_holds(newcomer: NewcomerProject) -> None:
    (example,) = [block for block in list_page_blocks() if "class CountingToken" in block]
    newcomer.repair_contract()
    newcomer.write("tests/test_token.py", f"{newcomer.file}\n\n{example}")
    result = run_campaign(load_campaign(NAME, newcomer.folder), steps=400)
    assert result.failure is None and not result.coverage.list_never_succeeded()


def test_mistakes_are_told_as_the_page_says(newcomer: NewcomerProject) -> None:
    for right, wrong, start in (
        ("state.token.balances.v", "state.token.balancez.v", "tests/test_token.py:62: "),
        (
            "self.allowances[sender, spender] = a",
            "self.allowancez[sender, spender] = a",
            "lockstep found an Attr",
        ),
    ):
        newcomer.write("tests/test_token.py", newcomer.file.replace(right, wrong))
        printed = newcomer.run_pytest().stdout.splitlines()
        page = PAGE.read_text().splitlines()
        first = next(i for i, line in enumerate(page) if line.startswith(f"    {start}"))
        told = [line[4:] for line in page[first : page.index("", first)]]
        place = printed.index(told[0])
        assert printed[place : place + len(told)] == told


def test_a_setup_is_told_apart_and_a_replay_says_what_it_is(newcomer: NewcomerProject) -> None:
    invariant_text = (
        "@invariant\ndef bob_is_poor(state):\n    return state.token.balances[PEOPLE[2]] < 5\n\n\n"
    )
    file = newcomer.file.replace("campaign = Campaign(", f"{invariant_text}campaign = Campaign(")
    file = file.replace(
        "invariants=[", 'setup=[Call("token.transfer", PEOPLE[2], 4)],\n    invariants=[bob_is_poor, '
    )
    newcomer.repair_contract()
    newcomer.write("tests/test_token.py", file)
    told = newcomer.run_pytest().stdout
    assert "lockstep found a violation of bob_is_poor (seed 1)" in told
    assert re.search(r"shrunk from 8 to 2 calls, after 1 of the setup:\n  1\. .* \(setup\)\n  2\. ", told), (
        told
    )
    assert "as a test:" in told
    (trace,) = (newcomer.folder / ".lockstep").glob("*.json")
    again = newcomer.run_pytest("--lockstep-replay", str(trace)).stdout
    assert f"lockstep found a violation of bob_is_poor (replay of .lockstep/{trace.name})" in again
    assert (
        "shrunk" not in again and "play it again" not in again and "\n2 calls, after 1 of the setup:" in again
    )


def test_calls_and_views_are_written_as_calls() -> None:
    action = Action("token", "burn", (1,), BOB)
    for asked, told in ((action, f"step 3, token.burn(1) from {BOB}:"), (None, "step 3, the deployment:")):
        difference = Difference(3, asked, "token", "value", (), "", 1, 2)
        assert told in str(DivergenceError([difference], None))
    view = Difference(3, action._replace(sender=VIEWER), "token", "value", (), "", 1, 2)
    assert "step 3, the view token.burn(1):" in str(DivergenceError([view], None))
