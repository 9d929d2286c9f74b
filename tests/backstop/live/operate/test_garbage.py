"""A node may answer anything: the reader of the answer gets a good value, or one error of ours."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backstop.deployment.deployment_file import read_deployment
from backstop.deployment.model_and_chain_deployment import attach_system
from backstop.deployment.role_accounts import ACCOUNTS
from backstop.errors import BackstopError
from backstop.hosts.batched_slot_reader import SlotReader
from backstop.hosts.rpc_client import NodeClient, NodeUnavailableError
from backstop.live.index.vault_log_reader import LogReader
from backstop.live.mirror.chain_mirror import Mirror
from backstop.live.node.live_host import LiveHost, raw_logs
from backstop.live.node.rpc_node import Node, get_chain_id
from backstop.live.node.signers import Signers
from tests.support.corrupted_answers import CorruptingTransport, RecordingTransport
from tests.support.devnet_process import Devnet

Question = Callable[[], object]


@pytest.fixture(scope="module")
def asked(deployed_folder: Path) -> Iterator[tuple[NodeClient, dict[str, Question], dict[str, Any]]]:
    """Yield a client, its questions by name, and all answers of a real node to it."""
    devnet = Devnet("--load-state", str(deployed_folder / "state.json"))
    deployment = read_deployment(deployed_folder / "deployment.json")
    client = NodeClient(devnet.url)
    remembering = client._transport = RecordingTransport(client._transport)
    node = Node("", client=client)
    host = LiveHost(node, Signers(test_accounts=True))
    chain = attach_system(deployment, host)
    borrower, engine = ACCOUNTS["borrower"], deployment.addresses["VaultEngine"]
    slots = [(engine, number) for number in range(20)]
    one_by_one = [(engine, hex(number), "latest") for _, number in slots]
    abis = {kind: chain.artifacts[kind].contract_abi for kind in ("VaultEngine", "LiquidationEngine")}
    logs = LogReader(node, deployment.addresses, abis)
    accrue = chain.get_function("VaultEngine", "accrue", 1)
    data, head = accrue.encode_call((0,)), node.get_head().number
    (block, receipts), *_ = node.get_blocks_with_receipts(2, 2)
    sent = block["transactions"][0]["hash"]
    keys = [f"{number:#066x}" for number in range(2)]
    questions: dict[str, Question] = {
        "chain id": lambda: get_chain_id(client),
        "head": node.get_head,
        "hash": lambda: node.get_block_hash(2),
        "outlook": lambda: node.get_outlook().offer_fees(),
        "blocks": lambda: [
            (each, list(map(raw_logs, own))) for each, own in node.get_blocks_with_receipts(2, 4)
        ],
        "nonce": lambda: node.get_nonce(borrower),
        "balance": lambda: node.get_balance(borrower),
        "slots": lambda: SlotReader(client).read_slot_words_in_batch(slots),
        "slots one by one": lambda: client.call_method_in_batches("eth_getStorageAt", one_by_one),
        "call": lambda: chain.decode_outcome_or_revert(accrue, host.static_call(borrower, engine, data)),
        "tried": lambda: host.dry_run_with_gas(borrower, engine, data),
        "receipts": lambda: client.call_method_in_batches("eth_getTransactionReceipt", [(sent,), (sent,)]),
        "logs": lambda: list(
            map(logs.decode_vault_change_or_margin_call, logs.request_logs_in_one_call(0, head))
        ),
        "proof": lambda: client.request("eth_getProof", engine, keys, hex(head)),
        "code": lambda: host.get_code_size(engine),
    }
    assert receipts
    for question in questions.values():
        question()
    devnet.process.stop_process()
    yield client, questions, remembering.said


@pytest.fixture(scope="module")
def following(deployed_folder: Path) -> Iterator[tuple[NodeClient, Question, dict[str, Any]]]:
    """Yield a mirror of a deployment's first blocks, as on a chain with roots that cannot be checked."""
    devnet = Devnet("--load-state", str(deployed_folder / "state.json"))
    deployment = read_deployment(deployed_folder / "deployment.json")
    client = NodeClient(devnet.url)
    remembering = client._transport = RecordingTransport(client._transport)
    host = LiveHost(Node("", client=client), Signers(test_accounts=True))
    chain = attach_system(deployment, host)

    def follow() -> None:
        mirror = Mirror(host.node, host, chain, deployment)
        mirror.roots.hold = False
        mirror.follow_unchecked(devnet_head - 2)

    devnet_head = host.node.get_head().number
    follow()
    devnet.process.stop_process()
    yield client, follow, remembering.said


def ask(client: NodeClient, question: Question, said: dict[str, Any], random: Random) -> bool:
    """Ask with spoiled answers; return True if an error was raised."""
    spoiling = client._transport = CorruptingTransport(said, random)
    spoiling.left = random.choice((1, 1, 2, 100))
    try:
        question()
    except BackstopError as error:
        assert str(error) and "\n" not in str(error) and str(error).isprintable()
        return True
    return False


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(random=st.randoms(use_true_random=False), which=st.integers(0))
def test_a_wrong_answer_is_one_error(asked: Any, random: Random, which: int) -> None:
    client, questions, said = asked
    names = list(questions)
    ask(client, questions[names[which % len(names)]], said, random)


def test_most_wrong_answers_are_noticed(asked: Any) -> None:
    """An unnoticed answer has another value of the right form, as a balance of one more coin."""
    client, questions, said = asked
    for name, question in questions.items():
        noticed = sum(ask(client, question, said, Random(f"{name} {i}")) for i in range(60))
        assert noticed > 20, f"{name}: {noticed} of 60"


def test_a_wrong_history_is_one_error(following: Any) -> None:
    client, follow, said = following
    assert sum(ask(client, follow, said, Random(i)) for i in range(20)) > 10


def test_an_event_that_cannot_be_is_one_error(following: Any) -> None:
    """Its form is right, and it is none of its contract's."""
    client, follow, said = following
    cut = copy.deepcopy(said)
    for asked, told in cut.items():
        if asked.startswith('["eth_getBlockReceipts"'):
            for receipt in told["result"]:
                receipt["logs"] = [
                    log | {"topics": log["topics"][:1], "data": "0x"} for log in receipt["logs"]
                ]
    client._transport = spoiling = CorruptingTransport(cut, Random())
    spoiling.left = 0
    with pytest.raises(NodeUnavailableError, match=r"an event of 0x[0-9a-f]+ has no form that it can have"):
        follow()


@pytest.mark.deep(brief="tests/backstop/live/operate/test_garbage.py::test_a_wrong_history_is_one_error")
def test_wrong_histories_are_errors(following: Any) -> None:
    client, follow, said = following
    assert sum(ask(client, follow, said, Random(i)) for i in range(3_000)) > 1_500


@pytest.mark.deep(brief="tests/backstop/live/operate/test_garbage.py::test_a_wrong_answer_is_one_error")
def test_a_million_wrong_answers_are_errors(asked: Any) -> None:
    client, questions, said = asked
    names, random, noticed = list(questions), Random(1), 0
    for i in range(1_000_000):
        noticed += ask(client, questions[names[i % len(names)]], said, random)
    assert noticed > 500_000
