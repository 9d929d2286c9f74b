"""One node's word moves no money, overwrites nothing, and is written to no file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from eth_utils.address import to_checksum_address

from backstop.deployment.planned_contracts import Deployment
from backstop.deployment.role_accounts import get_account
from backstop.errors import BackstopError
from backstop.hosts.account_addresses import compute_contract_address
from backstop.hosts.rpc_client import NodeUnavailableError
from backstop.hosts.world_storage_json import encode_nonzero_storage_words
from backstop.live.chaos.byzantine_proxy import FAULTS, ByzantineProxy
from backstop.live.mirror.chain_mirror import Mirror, open_mirror
from backstop.live.monitor.health_conditions import build_health_report
from backstop.live.monitor.status_facts_and_board import StatusBoard
from backstop.live.monitor.status_publisher import StatusPublisher
from backstop.live.node.disputed_slot_resolution import find_settled_words, prove_words
from backstop.live.node.failover import Failover
from backstop.live.node.live_host import LiveHost
from backstop.live.node.rpc_node import Node, RetryError
from backstop.live.node.signers import Signers
from backstop.live.node.storage_proofs import UnprovenError
from backstop.live.node.transaction_and_receipt_roots import BlockRootChecker, check_roots, check_senders
from backstop.live.operate.keeper_loop import KeeperLoop
from backstop.live.operate.live_roles import build_keepers
from backstop.live.operate.live_system import LiveSystem
from backstop.system import Action
from tests.support.devnet_process import Devnet

FAULT = {each.name: each for each in FAULTS}
Open = Callable[..., KeeperLoop]


@pytest.fixture
def hostile(devnet: Devnet) -> Iterator[ByzantineProxy]:
    proxy = ByzantineProxy(devnet.port)
    yield proxy
    proxy.close()


@pytest.fixture
def board() -> StatusBoard:
    return StatusBoard()


@pytest.fixture
def keeper(
    devnet: Devnet,
    hostile: ByzantineProxy,
    deployment: Deployment,
    said: list[str],
    tmp_path: Path,
    board: StatusBoard,
) -> Iterator[Open]:
    """An accruer of the node that cannot be trusted, or of it and the devnet."""
    opened: list[KeeperLoop] = []

    def begin(beside: bool = False, snapshot: Path | None = None) -> KeeperLoop:
        node = Node(hostile.url)
        if beside:
            node = Node("", client=Failover([hostile.url, devnet.url], 5.0, said.append))
        system = LiveSystem(node, deployment, Signers(test_accounts=True), snapshot=snapshot)
        observer = StatusPublisher(board, said.append, 0)
        loop = KeeperLoop(system, build_keepers(deployment, ["accruer"]), said.append, observer=observer)
        opened.append(loop)
        return loop

    yield begin
    for loop in opened:
        loop.close()


def pass_time(devnet: Devnet) -> None:
    """Advance the time, so that fees become due."""
    devnet.node.request("anvil_setTime", devnet.node.get_head().timestamp + 10_000)
    devnet.node.request("evm_mine")


def call(devnet: Devnet, deployment: Deployment) -> None:
    """Send a call of the borrower that is mined, and that the model follows."""
    allow = Action("Stablecoin", "approve", (get_account("taker"), 1), get_account("borrower"))
    assert LiveSystem(devnet.node, deployment, Signers(test_accounts=True)).apply(allow).ok


def rounds(loop: KeeperLoop, wanted: Callable[[], object]) -> None:
    """Run rounds until a condition holds."""
    for _ in range(20):
        loop.run_round()
        if wanted():
            return
    raise AssertionError("it does not come")


def truth(devnet: Devnet, deployment: Deployment) -> Mirror:
    mirror = open_mirror(devnet.node, deployment)
    mirror.replay_to_block(None)
    return mirror


def test_what_nothing_settles_stops_sending_and_is_not_kept(
    devnet: Devnet,
    hostile: ByzantineProxy,
    keeper: Open,
    deployment: Deployment,
    said: list[str],
    board: StatusBoard,
    tmp_path: Path,
) -> None:
    """A wrong word told again and again, and then the right one: the wrong one was never believed."""
    file = tmp_path / "vaults.db"
    loop = keeper(snapshot=file)
    pass_time(devnet)
    hostile.fault = FAULT["wrong words unproven"]
    rounds(loop, lambda: loop.system.mirror.unsettled_slots)
    sent, kept = loop.tally.mined_transaction_count, file.read_bytes()
    assert sent > 0 and loop.system.mirror.differences == []
    pass_time(devnet)
    for _ in range(3):
        assert loop.run_round() == 0
    loop.system.book.save_state()
    assert file.read_bytes() == kept and sum("nothing is sent" in line for line in said) == 1
    told = build_health_report(board, 0)
    assert not told["ok"] and "nothing is sent" in told["problems"][0]
    assert (told["nodes"], told["blocks_proven"], told["differences"]) == (1, True, 0)
    hostile.fault = None
    rounds(loop, lambda: loop.tally.mined_transaction_count > sent)
    assert not loop.system.mirror.unsettled_slots and build_health_report(board, 0)["ok"]
    loop.system.follow_chain()
    assert encode_nonzero_storage_words(loop.system.mirror.model.world) == encode_nonzero_storage_words(
        truth(devnet, deployment).model.world
    )
    loop.system.book.save_state()
    assert file.read_bytes() != kept


def test_a_proof_refutes_a_word(
    devnet: Devnet, hostile: ByzantineProxy, keeper: Open, deployment: Deployment, said: list[str]
) -> None:
    loop = keeper()
    pass_time(devnet)
    hostile.fault = FAULT["wrong words"]
    rounds(loop, lambda: any("which a proof refutes" in line for line in said))
    assert "eth_getProof" in hostile.asked and loop.system.mirror.differences == []
    assert not loop.system.mirror.unsettled_slots and loop.system.mirror.lies_told > 0
    hostile.fault = None
    loop.system.follow_chain()
    assert encode_nonzero_storage_words(loop.system.mirror.model.world) == encode_nonzero_storage_words(
        truth(devnet, deployment).model.world
    )


def test_another_node_refutes_a_word(
    devnet: Devnet, hostile: ByzantineProxy, keeper: Open, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither node proves anything."""

    def refused(*_: object) -> dict[tuple[str, int], int]:
        raise BackstopError("no proofs here")

    monkeypatch.setattr("backstop.live.node.disputed_slot_resolution.prove_words", refused)
    loop = keeper(beside=True)
    pass_time(devnet)
    hostile.fault = FAULT["wrong words unproven"]
    rounds(loop, lambda: any("which another node refutes" in line for line in said))
    assert loop.system.node.url == devnet.url and loop.system.mirror.differences == []
    assert any(line.startswith(f"left the node at {hostile.url} ") for line in said)


def test_a_block_is_what_its_hash_stands_for(
    devnet: Devnet, hostile: ByzantineProxy, keeper: Open, deployment: Deployment
) -> None:
    loop = keeper(beside=True)
    loop.run_round()
    hostile.fault = FAULT["other transactions"]
    call(devnet, deployment)
    pass_time(devnet)
    with pytest.raises(NodeUnavailableError, match=f"the node at {hostile.url} is not believed"):
        rounds(loop, lambda: False)
    assert loop.system.node.url == devnet.url
    rounds(loop, lambda: loop.tally.counts["accruer", "done"])
    assert loop.system.mirror.differences == []


def test_who_sent_a_call_is_who_signed_it(
    devnet: Devnet, hostile: ByzantineProxy, keeper: Open, deployment: Deployment
) -> None:
    """The model would follow another account's calls, and differ from the chain for good."""
    loop = keeper(beside=True)
    loop.run_round()
    hostile.fault = FAULT["other senders"]
    call(devnet, deployment)
    with pytest.raises(
        NodeUnavailableError, match=f"the node at {hostile.url} is not believed: 0x[0-9a-f]+ did not"
    ):
        rounds(loop, lambda: False)
    assert loop.system.node.url == devnet.url
    loop.run_round()
    assert loop.system.mirror.differences == []


def test_who_calls_a_contract_in_its_first_block_has_signed(
    devnet: Devnet, attach: Callable[..., LiveSystem]
) -> None:
    """A policy may be one: it is followed from its creation on."""
    mirror, sender = attach().mirror, get_account("borrower")
    nonce, signers = devnet.node.get_nonce(sender), Signers(test_accounts=True)
    born = to_checksum_address(compute_contract_address(sender, nonce))
    fees = {"chainId": 31_337, "gas": 100_000, "maxFeePerGas": 10**10, "maxPriorityFeePerGas": 1, "value": 0}
    devnet.node.request("evm_setAutomine", False)
    for more in (
        {"nonce": nonce, "data": "0x00"},
        {"nonce": nonce + 1, "to": born, "data": "0x"},
    ):
        devnet.node.request(
            "eth_sendRawTransaction", signers.sign_transaction(sender, {"type": 2} | fees | more)
        )
    devnet.node.request("evm_mine")
    head = devnet.node.get_head().number
    ((block, receipts),) = devnet.node.get_blocks_with_receipts(head, head)
    mirror._check_roots(block, receipts)
    block["transactions"][1]["from"] = get_account("taker")
    with pytest.raises(NodeUnavailableError, match=f"{get_account('taker')} did not sign"):
        mirror._check_roots(block, receipts)


@pytest.mark.parametrize("back", [1, 2])
def test_a_block_that_was_followed_is_told_or_none(
    devnet: Devnet, attach: Callable[..., LiveSystem], back: int
) -> None:
    """The outcome of a transaction is read from it: another block at its height has other contents.

    The newest are kept as they were followed; an older one is asked for again.
    """
    for _ in range(2):
        devnet.node.request("evm_mine")
    mirror = attach().mirror
    number = mirror.block - back + 1
    followed = devnet.node.get_block_hash(number)
    assert mirror.get_verified_block(number)[0]["hash"] == followed
    devnet.node.request("anvil_rollback", back)
    devnet.node.request("anvil_setTime", devnet.node.get_head().timestamp + 10_000)
    for _ in range(back):
        devnet.node.request("evm_mine")
    assert devnet.node.get_block_hash(number) != followed
    assert mirror.get_verified_block(number)[0]["hash"] == followed
    mirror._newest.clear()
    with pytest.raises(RetryError, match=f"has another block {number} than was followed"):
        mirror.get_verified_block(number)


def test_nobody_needs_to_sign_where_anvil_plays_them(attach: Callable[..., LiveSystem]) -> None:
    """On a test chain alone, unless the follower of the chain impersonates the accounts itself."""
    playing = attach(impersonate=True)
    with playing.impersonate_and_freeze_time():
        allow = Action("Stablecoin", "approve", (get_account("taker"), 1), "0x" + "42" * 20)
        assert playing.apply(allow).ok
    mirror = attach().mirror
    assert mirror.differences == [] and mirror.block == playing.mirror.block
    (block, receipts), *_ = playing.node.get_blocks_with_receipts(mirror.block, mirror.block)
    check_roots(block, receipts)
    check_senders(block, mirror.chain.names, unsigned=True)
    with pytest.raises(UnprovenError, match=r"0x(42)+ did not sign"):
        check_senders(block, mirror.chain.names)


@pytest.mark.deep(cases=1)
@pytest.mark.parametrize(("kind", "chain"), [(0, None), (0, 31_337), (1, 31_337), (2, 31_337)])
def test_every_kind_of_transaction_has_its_signer(devnet: Devnet, kind: int, chain: int | None) -> None:
    """One of the oldest kind names no chain, and counts on every one; signatures have either parity."""
    to, sender = "0x" + "43" * 20, get_account("borrower")
    for value in range(4):
        check_signer(devnet, kind, chain, value, to, sender)


def check_signer(devnet: Devnet, kind: int, chain: int | None, value: int, to: str, sender: str) -> None:
    """Check that a transaction that is mined has the signer that the node says, and no other."""
    sent: dict[str, Any] = {"nonce": devnet.node.get_nonce(sender), "gas": 50_000, "to": to, "value": value}
    sent |= {"data": "0x"} | ({"type": kind} if kind else {}) | ({"chainId": chain} if chain else {})
    price = {"gasPrice": 10**10} if kind < 2 else {"maxFeePerGas": 10**10, "maxPriorityFeePerGas": 1}
    host = LiveHost(devnet.node, Signers(test_accounts=True))
    mined = devnet.node.request("eth_sendRawTransaction", host.signers.sign_transaction(sender, sent | price))
    number = int(host.wait_for_receipt(mined)["blockNumber"], 16)
    (block, receipts), *_ = devnet.node.get_blocks_with_receipts(number, number)
    check_roots(block, receipts)
    (only,) = block["transactions"]
    assert int(only["type"], 16) == kind and only["from"] == sender
    check_senders(block, [to])
    only["from"] = get_account("taker")
    check_senders(block, [])  # whom it does not concern
    with pytest.raises(UnprovenError, match=f"{get_account('taker')} did not sign"):
        check_senders(block, [to], unsigned=True)


@pytest.mark.parametrize(
    ("chain", "good_before", "left"), [(1, False, True), (10, False, False), (10, True, True)]
)
def test_chains_of_another_kind_are_told_apart_by_their_first_block(
    devnet: Devnet, deployment: Deployment, chain: int, good_before: bool, left: bool
) -> None:
    """On one that is known to be of Ethereum's kind, or has shown it, a block that does not hash is a lie."""
    number = deployment.block + 1
    (good,), (bad,) = (devnet.node.get_blocks_with_receipts(number, number) for _ in range(2))
    bad[0]["gasUsed"] = "0x1"
    node = Node(devnet.url)
    node.chain_id = chain
    roots = BlockRootChecker(node, unsigned=True)
    if good_before:
        roots.check_block_roots_and_senders(*good, [])
    if left:
        with pytest.raises(NodeUnavailableError, match="is not believed"):
            roots.check_block_roots_and_senders(*bad, [])
    else:
        roots.check_block_roots_and_senders(*bad, [])
        assert roots.hold is False


def test_nodes_that_contradict_each_other_settle_nothing(
    devnet: Devnet, hostile: ByzantineProxy, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that answer have to agree; one that is silent does not count."""

    def refused(*_: object) -> dict[tuple[str, int], int]:
        raise BackstopError("no proofs here")

    monkeypatch.setattr("backstop.live.node.disputed_slot_resolution.prove_words", refused)
    own = ByzantineProxy(devnet.port)
    node = Node("", client=Failover([own.url, devnet.url, hostile.url], 5.0, lambda text: None))
    slot, head = (deployment.addresses["VaultEngine"], 0), devnet.node.get_head()
    (word,) = LiveHost(devnet.node, Signers(test_accounts=True)).read_slots([slot])
    try:
        assert find_settled_words(node, *head[:2], {slot: 7}) == ({slot: word}, "another node")
        hostile.fault = FAULT["wrong words unproven"]
        assert find_settled_words(node, *head[:2], {slot: 7}) == ({}, "another node")
        hostile.fault = FAULT["busy"]
        assert find_settled_words(node, *head[:2], {slot: 7}) == ({slot: word}, "another node")
    finally:
        own.close()


def test_a_difference_that_is_proven_counts_and_ends_the_file(
    devnet: Devnet, keeper: Open, deployment: Deployment, said: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "vaults.db"
    loop = keeper(snapshot=file)
    loop.system.book.save_state()
    kept = file.read_bytes()
    engine = deployment.addresses["VaultEngine"]
    slot = loop.system.chain.compute_slot("VaultEngine", "terms.of_types", 0)
    word = loop.system.host.read_slots([(engine, slot)])[0]
    devnet.node.request("anvil_setStorageAt", engine, f"{slot:#066x}", f"{word + (1 << 212):#066x}")
    devnet.node.request("evm_mine")
    loop.system.follow_chain()
    loop.system.mirror.compare_all_known_slots()
    (difference,) = loop.system.mirror.differences
    assert "VaultEngine terms.of_types[0].liquidation_ratio" in difference
    head = devnet.node.get_head()
    assert prove_words(devnet.node.client, *head[:2], [(engine, slot)]) == {(engine, slot): word + (1 << 212)}
    loop.system.book.save_state()
    assert file.read_bytes() == kept


def test_a_file_with_another_word_is_refused(keeper: Open, tmp_path: Path) -> None:
    file = tmp_path / "vaults.db"
    keeper(snapshot=file).system.book.save_state()
    with closing(sqlite3.connect(file)) as database, database:
        changed = database.execute(
            "UPDATE words SET word = '0x7' WHERE path = 'terms.of_types' AND key = '0'"
        )
        assert changed.rowcount == 1
    with pytest.raises(BackstopError, match=r"vaults.db does not hold what the chain has .*--cold") as raised:
        keeper(snapshot=file)
    assert "\n" not in str(raised.value)
