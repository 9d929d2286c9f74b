"""set_stages: the order of losses, fixed once, with a hash that anyone can recompute."""

import pytest
from eth_abi import encode
from eth_utils import keccak

from backstop.contract_base import ZERO_ADDRESS
from backstop.deployment.role_accounts import get_account
from backstop.hosts.account_addresses import compute_contract_address
from backstop.model.arithmetic import MAX_UINT256, RAD
from tests.support.revert_setter_and_source_helpers import STAGE, reverts

CALL = "Other.set_stages"
NONE = MAX_UINT256
FIRST = ("First", False, False, False, False, NONE, 10_000)


def test_keeps_order_and_caps(scripted):
    terms = [
        ("Second", True, True, True, False, 5 * RAD, 10_000),
        ("First", False, False, False, False, NONE, 2_500),
    ]
    scripted.do(CALL, terms, sender="admin")
    assert scripted.read("Other.stage_count") == 2
    for k, (name, *rest) in enumerate(terms):
        assert tuple(scripted.read("Other.stage_terms", k)) == (scripted.address(name), *rest)
    assert tuple(scripted.read("Other.stage_terms", 2)) == (ZERO_ADDRESS, False, False, False, False, 0, 0)


def test_the_hash_is_that_of_the_abi_encoded_list(scripted):
    terms = [
        ("First", False, False, False, False, NONE, 10_000),
        ("Second", True, False, False, False, 7, 1),
        ("Third", True, False, False, False, 0, 0),
    ]
    scripted.do(CALL, terms, sender="admin")
    resolved = [(scripted.address(name), *rest) for name, *rest in terms]
    expected = keccak(encode(["(address,bool,bool,bool,bool,uint256,uint256)[]"], [resolved]))
    assert scripted.read("Other.order_hash") == expected
    assert scripted.last.logs[-1].event == "StagesSet"
    assert scripted.last.logs[-1].values == (expected,)


def test_there_is_room_for_16(scripted):
    for i in range(16):
        scripted.lockstep.create_contract("ScriptedStage", f"stage_{i}", scripted.address("Other"))
    terms = [(f"stage_{i}", False, False, False, False, NONE, 10_000) for i in range(16)]
    scripted.do(CALL, terms, sender="admin")
    assert scripted.read("Other.stage_count") == 16


def test_only_the_admin(scripted):
    for sender in ("stranger", "guardian"):
        with reverts("roles: not admin"):
            scripted.do(CALL, [FIRST], sender=sender)


def test_only_once(protocol, scripted):
    scripted.do(CALL, [FIRST], sender="admin")
    for waterfall in ("Other", "LossWaterfall"):
        with reverts("loss_waterfall: stages are set"):
            scripted.do(
                f"{waterfall}.set_stages",
                [("Second", False, False, False, False, NONE, 10_000)],
                sender="admin",
            )


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ([], "loss_waterfall: no stages"),
        (
            [
                ("First", False, False, False, False, NONE, 10_000),
                (ZERO_ADDRESS, False, False, False, False, NONE, 1),
            ],
            "loss_waterfall: zero stage",
        ),
        ([("First", False, False, False, False, NONE, 10_001)], "loss_waterfall: cap bounds"),
        ([("First", False, True, False, True, NONE, 10_000)], "loss_waterfall: owes and waits"),
        (
            [
                ("First", False, False, False, False, NONE, 1),
                ("Second", False, False, False, False, 1, 1),
                ("First", True, False, False, False, 2, 2),
            ],
            "loss_waterfall: other order",
        ),
        (
            [("First", False, False, False, False, NONE, 1), ("First", False, False, False, False, NONE, 1)],
            "loss_waterfall: other order",
        ),
    ],
)
def test_what_makes_no_order_is_refused(scripted, terms, reason):
    with reverts(reason):
        scripted.do(CALL, terms, sender="admin")
    assert scripted.read("Other.stage_count") == 0


@pytest.mark.parametrize(
    "stage",
    ["stranger", "VaultEngine", "Savings", "BufferStage"],
    ids=["no code", "no stage", "of another", "too"],
)
def test_a_stage_has_to_prove_itself(scripted, stage):
    """Stages of another waterfall do not let this one have them pay, not even nothing."""
    with reverts("loss_waterfall: no stage"):
        scripted.do(CALL, [FIRST, (stage, False, False, False, False, NONE, 10_000)], sender="admin")
    assert scripted.read("Other.stage_count") == 0


@pytest.mark.parametrize("claim", [(MAX_UINT256, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_one_that_pays_something_for_nothing_is_none(scripted, claim):
    scripted.do("First.claim", *claim, sender="stranger")
    with reverts("loss_waterfall: no stage"):
        scripted.do(CALL, [FIRST], sender="admin")


def test_one_without_its_role_is_none(protocol):
    """The stages of a deployment have it before they are set."""
    engine, liquidations = map(protocol.address, ("VaultEngine", "LiquidationEngine"))
    other = compute_contract_address(get_account("deployer_of_Other"), 0)
    protocol.lockstep.create_contract("LedgerStage", "Mine", engine, other, 0)
    protocol.lockstep.create_contract(
        "LossWaterfall", "Other", engine, liquidations, protocol.address("admin"), 86_400, 86_400
    )
    terms = [("Mine", False, False, False, False, NONE, 10_000)]
    with reverts("loss_waterfall: no stage"):
        protocol.do(CALL, terms, sender="admin")
    protocol.do("VaultEngine.grant_role", STAGE, "Mine", sender="admin")
    protocol.do(CALL, terms, sender="admin")
    assert protocol.read("Other.stage_count") == 1
