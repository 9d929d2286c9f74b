"""Branch coverage of the contracts: the outcomes of each decision of the source, in every module."""

from __future__ import annotations

import json

import pytest

from backstop.deployment.role_accounts import get_account
from backstop.errors import BackstopError
from backstop.hosts.abi_codec import decode_revert
from backstop.hosts.artifacts import Artifacts
from backstop.hosts.revm import RevmHost
from backstop.model.arithmetic import WAD
from backstop.proof.fuzz.contract_instrumentation import InstrumentedArtifacts, find_coverage_marks
from backstop.proof.fuzz.decision_coverage import (
    DecisionCoverage,
    list_reachable_items,
    measure_decision_coverage,
    read_decision_coverage,
    write_decision_coverage,
)
from tests.support.revert_setter_and_source_helpers import reverts

BRIEF = "tests/backstop/proof/fuzz/test_coverage.py::test_every_decision_on_the_way_is_told"

DOOR = """
from contracts.modules import lock
initializes: lock

event Opened:
    who: address

event Built:
    who: address

LIMIT: immutable(uint256)

@deploy
def __init__(limit: uint256):
    assert limit > 1, "door: too narrow"
    log Built(who=msg.sender)
    LIMIT = limit

@external
def enter(a: uint256, b: uint256) -> uint256:
    assert lock._is_open(a), "door: closed"
    size: uint256 = a if a > b else b
    if size > LIMIT or (a == 3 and b == 3 and size == 3):
        size = 0
    elif a == 1:
        size = 1
    log Opened(who=msg.sender)
    return size + 1

@external
@view
def total(items: DynArray[uint256, 5], rounds: uint256) -> uint256:
    found: uint256 = 0
    for item: uint256 in items:
        found += item
    for i: uint256 in range(rounds, bound=4):
        found += i
    for i: uint256 in range(2):
        found += 1
    return max(found, 1)
"""

LOCK = """
key: uint256

event Turned:
    key: uint256

@external
def turn(key: uint256):
    raise "lock: stuck"

@internal
@view
def _is_open(key: uint256) -> bool:
    if key == 9:
        return False
    return True

@internal
def _set(key: uint256):
    assert key != 0, "lock: no key"
    log Turned(key=key)
    self.key = key
"""

FAR, NEAR, LONE = (
    "size > LIMIT or (a == 3 and b == 3 and size == 3): ",
    "a == 3 and b == 3 and size == 3: ",
    "size > LIMIT: ",
)


@pytest.fixture
def doors(tmp_path) -> Artifacts:
    root = tmp_path / "contracts"
    (root / "modules").mkdir(parents=True)
    (root / "Door.vy").write_text(DOOR)
    (root / "modules" / "lock.vy").write_text(LOCK)
    return Artifacts(root, tmp_path / "cache")


def outcomes(coverage: DecisionCoverage, kind: str, function: str) -> set[str]:
    """The outcomes that were reached in one function."""
    found = set()
    for decision, yes, no in coverage.list_decisions(kind):
        if decision.function == function:
            found |= {f"{decision.text}: {decision.yes}"} if yes else set()
            found |= {f"{decision.text}: {decision.no}"} if no else set()
    return found


def call(doors: Artifacts, method: str, *args) -> tuple[object, DecisionCoverage]:
    """Call a fresh door: its answer or reason, the same with and without marks, and the branches reached."""
    marked = InstrumentedArtifacts(doors)
    answers = []
    for artifacts in (doors, marked):
        artifact, host = artifacts["Door"], RevmHost()
        address = host.deploy_contract(artifact.bytecode + (5).to_bytes(32), get_account("admin"))
        function = artifact.contract_abi.get_function(method, len(args))
        result = host.run_transaction(get_account("stranger"), address, function.encode_call(args))
        answers.append(function.decode_result(result.data) if result.ok else decode_revert(result.data))
    assert answers[0] == answers[1]
    coverage = DecisionCoverage({"Door": marked.get_survey("Door").decisions})
    coverage.record_reached_outcomes("Door", find_coverage_marks(address, host.list_touched_accounts()))
    return answers[0], coverage


@pytest.mark.parametrize(
    ("a", "b", "answer", "reached"),
    [
        # The chain of `or` and `and` ends where it is decided.
        (7, 0, 1, {"a > b: true", LONE + "true", FAR + "true"}),
        (
            0,
            2,
            3,
            {"a > b: false", LONE + "false", "a == 3: false", NEAR + "false", FAR + "false", "a == 1: false"},
        ),
        (
            *(3, 2, 4),
            {"a > b: true", LONE + "false", "a == 3: true", "b == 3: false", NEAR + "false"}
            | {FAR + "false", "a == 1: false"},
        ),
        (
            *(3, 3, 1),
            {"a > b: false", LONE + "false", "a == 3: true", "b == 3: true", "size == 3: true"}
            | {NEAR + "true", FAR + "true"},
        ),
        (
            1,
            0,
            2,
            {"a > b: true", LONE + "false", "a == 3: false", NEAR + "false", FAR + "false", "a == 1: true"},
        ),
    ],
)
def test_every_decision_on_the_way_is_told(doors, a, b, answer, reached):
    found, coverage = call(doors, "enter", a, b)
    assert found == answer
    assert outcomes(coverage, "Door", "enter") == {"lock._is_open(a): passed", *reached}
    # The module's decision belongs to the contract that uses it, and keeps its own file.
    assert outcomes(coverage, "Door", "_is_open") == {"key == 9: false"}
    assert {(d.function, d.file) for d, *_ in coverage.list_decisions("Door")} == {
        ("enter", "contracts/Door.vy"),
        ("total", "contracts/Door.vy"),
        ("_is_open", "contracts/modules/lock.vy"),
    }


def test_what_a_reverted_call_reached_counts(doors):
    found, coverage = call(doors, "enter", 9, 0)
    assert found == "door: closed"
    assert outcomes(coverage, "Door", "enter") == {"lock._is_open(a): failed"}
    assert outcomes(coverage, "Door", "_is_open") == {"key == 9: true"}


@pytest.mark.parametrize(
    ("items", "rounds", "reached"),
    [
        ((), 0, {"items: never entered", "range(rounds, bound=4): never entered"}),
        ((1, 2), 3, {"items: entered", "range(rounds, bound=4): entered"}),
    ],
)
def test_loops_that_may_have_nothing_to_do(doors, items, rounds, reached):
    _, coverage = call(doors, "total", items, rounds)
    assert outcomes(coverage, "Door", "total") == reached


def test_figures_and_what_is_missing(doors):
    _, coverage = call(doors, "enter", 9, 0)
    # enter: an assert, a conditional, two `if`, one `or` of two, one `and` of three; _is_open; two loops.
    assert coverage.count_decisions_by_contract()["Door"] == (12, 0, 2, 10)
    assert len(list(coverage.iter_missing_outcomes())) == 22
    assert str(next(coverage.iter_missing_outcomes())) == "Door contracts/Door.vy:21 lock._is_open(a): passed"
    _, other = call(doors, "enter", 7, 0)
    coverage.merge_coverage(other)
    assert coverage.count_decisions_by_contract()["Door"] == (12, 2, 3, 7)
    assert coverage.format_table().splitlines()[1].split() == ["Door", "12", "2", "3", "7"]


def test_what_there_is_to_reach(doors):
    found = list_reachable_items(doors)["Door"]
    # What no call can reach is not asked for: an unused part of a module, a constructor.
    assert found.reasons == ["door: closed"]
    assert found.constructor_reasons == ["door: too narrow"]
    assert found.events == ["Opened"]
    assert found.functions == ["enter"]


def test_a_changed_source_is_surveyed_anew(doors):
    assert len(InstrumentedArtifacts(doors).get_survey("Door").decisions) == 12
    module = doors.root / "modules" / "lock.vy"
    module.write_text(LOCK.replace("if key == 9:", "if key == 9 or key == 8:"))
    again = Artifacts(doors.root, doors.cache)
    assert len(InstrumentedArtifacts(again).get_survey("Door").decisions) == 14


# ------------------------------------------------------------------ the protocol


# All contracts are compiled with marks for it.
@pytest.mark.deep(brief=BRIEF)
def test_a_trace_is_played_again_and_told(artifacts, protocol, tmp_path):
    weth = protocol.get_collateral_type("WETH")
    protocol.borrow("borrower", "WETH", 100 * WAD, 20_000 * WAD)
    protocol.advance(1)
    repay = ("VaultEngine.repay_and_withdraw", weth, "borrower")
    protocol.do(*repay, 0, WAD, "borrower", sender="borrower")
    with reverts("vault_engine: repays nothing"):
        protocol.do(*repay, 1, 0, "borrower", sender="borrower")
    coverage = measure_decision_coverage([protocol.lockstep.build_trace()], artifacts)
    assert outcomes(coverage, "VaultEngine", "repay_and_withdraw") == {
        # Withdraw only: nothing is repaid, and the vault still owes.
        "repay != 0: false",
        "repay != 0 and vault.normalized_debt != 0: false",
        "withdraw != 0: true",
        "withdrawn > vault.locked_collateral: false",
        "vault.normalized_debt != 0: true",
        "repaid != 0 and type_terms.dynamic: false",
        "repaid != 0: false",
        "vault.called_at != 0: false",
        "burned != 0: false",
        "moved != 0: true",
        # A wei of a debt far above the floor: less than one unit of it.
        "repay != 0: true",
        "repay != 0 and vault.normalized_debt != 0: true",
        "burned != whole: true",
        "debt >= least: true",
        "repaid > most: false",
        "repaid == 0: true",
        # Whoever leaves collateral behind an unpaid debt is asked for its ratio: there is no policy here.
        "terms.RISK_POLICY == empty(address): true",
    }
    # In a module: at once, and a second later.
    accrual = outcomes(coverage, "VaultEngine", "_post_accrual")
    assert {"elapsed == 0: true", "elapsed == 0: false", "earned == 0: false"} <= accrual
    assert outcomes(coverage, "CollateralAuction", "_compute_take_fill") == set()

    write_decision_coverage(coverage, tmp_path / "coverage.json")
    again = read_decision_coverage(tmp_path / "coverage.json")
    assert list(again.iter_missing_outcomes()) == list(coverage.iter_missing_outcomes())
    again.merge_coverage(coverage)
    assert again.count_decisions_by_contract() == coverage.count_decisions_by_contract()


def test_files_that_are_no_coverage_are_refused(tmp_path):
    path = tmp_path / "coverage.json"
    path.write_text(json.dumps({"schema_version": 1, "contracts": {"Door": [[1]]}}))
    with pytest.raises(BackstopError, match="not a valid coverage"):
        read_decision_coverage(path)
    with pytest.raises(BackstopError, match="different contracts"):
        DecisionCoverage({"Door": []}).merge_coverage(DecisionCoverage({"Window": []}))


@pytest.mark.deep(brief="tests/backstop/proof/fuzz/test_coverage.py::test_every_decision_on_the_way_is_told")
def test_reasons_that_only_a_deployment_meets_are_apart(artifacts):
    found = list_reachable_items(artifacts, ["Pool", "CollateralAuction", "VaultEngine"])
    assert "pool: cooldown bounds" in found["Pool"].constructor_reasons
    assert "pool: cooldown bounds" not in found["Pool"].reasons
    assert "dutch_auction: nothing taken" in found["CollateralAuction"].reasons
    assert not [reason for reason in found["VaultEngine"].reasons if reason.startswith("dutch:")]
    assert "take" in found["CollateralAuction"].functions
