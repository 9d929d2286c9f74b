"""A node that lies about sent transactions: beside an honest node it is left, alone a line contradicts it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from backstop.deployment.role_accounts import get_account
from backstop.errors import BackstopError
from backstop.hosts.rpc_client import NodeUnavailableError
from backstop.live.chaos.byzantine_proxy import FAULTS, ByzantineProxy, Fault, RpcExchange
from backstop.live.chaos.lies_about_sending import OF_SENDING
from backstop.live.chaos.lies_about_state import OF_STATE
from backstop.live.node.disputed_slot_resolution import find_agreed_nonce, find_settled_account
from backstop.live.node.failover import Failover
from backstop.live.node.gas_fees import GWEI, Fees
from backstop.live.node.rpc_node import Node
from backstop.live.node.signers import Signers
from backstop.live.node.storage_proofs import UnprovenError
from backstop.live.node.transaction_and_receipt_roots import check_roots
from backstop.live.operate import outbox
from backstop.live.operate.outbox import CallRequest, Outbox, TransactionRules
from backstop.live.operate.transaction_journal import Journal
from backstop.model.arithmetic import WAD
from tests.support.devnet_process import Devnet

LIES = {each.name: each for each in (*OF_SENDING, *OF_STATE, *FAULTS)}
REFUSALS = ("nonce too low", "already known", "underpriced", "insufficient funds")
COUNTS = {"nonce ahead": 2, "nonce far ahead": 18, "nonce behind": 0}
ME = get_account("accruer")
TAKE = CallRequest("bidder", "take", ("take", 0), ME, "0x", 60_000, "Stablecoin", 5_000 * WAD)
FEES = Fees(10 * GWEI, GWEI, 2 * GWEI)
OpenOutbox = Callable[..., Outbox]


@pytest.fixture
def hostile(fresh: Devnet) -> Iterator[ByzantineProxy]:
    """Yield a proxy of a node that mines on request, and has mined a transaction of the account."""
    fresh.node.request("evm_setAutomine", False)
    fresh.node.request("eth_sendTransaction", {"from": ME, "to": ME})
    fresh.node.request("evm_mine")
    proxy = ByzantineProxy(fresh.port)
    yield proxy
    proxy.close()


@pytest.fixture
def open_outbox(fresh: Devnet, hostile: ByzantineProxy, said: list[str]) -> OpenOutbox:
    """Return a function that opens an account's outbox on the lying node, with or without an honest one."""

    def open_it(beside: bool, journal: Journal | None = None) -> Outbox:
        node = Node(hostile.url, 5.0)
        if beside:
            node = Node("", client=Failover([hostile.url, fresh.url], 5.0, said.append))
        rules = TransactionRules(replace_after=0.0, confirmations=2)
        kept = journal or Journal(None, 31_337, "0x12345678", ME)
        box = Outbox(node, Signers(test_accounts=True), ME, kept, rules, said.append)
        box.collect_mined(fresh.node.get_head().number)
        return box

    return open_it


def mine(devnet: Devnet) -> int:
    devnet.node.request("evm_mine")
    return devnet.node.get_head().number


def list_contradictions(said: list[str]) -> list[str]:
    return [line for line in said if " is not believed: " in line]


@pytest.mark.deep(cases=2)
@pytest.mark.parametrize("lie", REFUSALS)
def test_a_refusal_is_tried_at_the_other_node(
    open_outbox: OpenOutbox, hostile: ByzantineProxy, fresh: Devnet, said: list[str], lie: str
) -> None:
    box = open_outbox(True)
    hostile.set_fault(LIES[lie])
    entry = box.send_call(TAKE, FEES)
    assert box.waiting == [entry] and entry.nonce == 1
    assert fresh.node.request("eth_getTransactionByHash", entry.attempts[0].hash) is not None
    left = [line for line in said if line.startswith(f"left the node at {hostile.url} ")]
    assert len(left) == 1 and f"which the node at {fresh.url} took" in left[0]
    (settled,) = box.collect_mined(mine(fresh))
    assert settled.entry is entry and entry.ok and not list_contradictions(said)


@pytest.mark.deep(cases=2)
@pytest.mark.parametrize(
    ("lie", "words"),
    [
        ("already known", "already, and does not show it"),
        ("nonce too low", "it says 'nonce too low' of nonce 1: 1 transactions are proven"),
        ("underpriced", "it says 'replacement transaction underpriced', and shows none with nonce 1"),
        ("insufficient funds", "coins are proven, 0.0006 are needed"),
    ],
)
def test_a_refusal_of_the_only_node_is_contradicted(
    open_outbox: OpenOutbox, hostile: ByzantineProxy, fresh: Devnet, said: list[str], lie: str, words: str
) -> None:
    """A refusal is contradicted once, however often it comes; a transaction signed twice counts once."""
    box = open_outbox(False)
    hostile.set_fault(LIES[lie])
    for _ in range(2):
        if lie == "already known":
            box.send_call(TAKE, FEES)
        else:
            with pytest.raises(BackstopError):
                box.send_call(TAKE, FEES)
        box.collect_mined(mine(fresh))
    (line,) = list_contradictions(said)
    assert line.startswith(f"the node at {hostile.url} is not believed: ") and words in line
    assert len(box.journal.entries) == (2 if lie == "already known" else 1)
    # The lie is over: what it never passed on is sent.
    hostile.set_fault(None)
    if lie == "already known":
        box.push_waiting(FEES, lambda entry, block: True)
    else:
        box.send_call(TAKE, FEES)
    found = box.collect_mined(mine(fresh))
    assert len(found) == (2 if lie == "already known" else 1) and all(each.entry.ok for each in found)
    for _ in range(3):
        box.collect_mined(mine(fresh))
    assert box.journal.entries == []
    assert sum(spent.risk for *_, spent in box.journal.iter_spending()) == len(found) * TAKE.spends


@pytest.mark.deep(cases=2)
@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize("lie", COUNTS)
def test_a_count_is_proven(
    open_outbox: OpenOutbox, hostile: ByzantineProxy, fresh: Devnet, said: list[str], lie: str, beside: bool
) -> None:
    box = open_outbox(beside)
    hostile.set_fault(LIES[lie])
    entry = box.send_call(TAKE, FEES)
    assert entry.nonce == 1
    told = f"it counts {COUNTS[lie]} transactions of {ME}: 1 are proven, 1 known"
    (line,) = [each for each in said if told in each]
    assert line.startswith(f"left the node at {hostile.url} ") or " is not believed: " in line
    # The last call settles, too.
    (settled,) = box.collect_mined(mine(fresh))
    assert settled.entry is entry and fresh.node.get_nonce(ME) == 2


@pytest.mark.deep(cases=1)
@pytest.mark.parametrize("lie", sorted(COUNTS, reverse=True))
def test_a_count_without_proofs_is_what_two_nodes_agree_on(
    open_outbox: OpenOutbox, hostile: ByzantineProxy, monkeypatch: pytest.MonkeyPatch, lie: str
) -> None:
    monkeypatch.setattr("backstop.live.operate.outbox.find_settled_account", lambda *_: None)
    box = open_outbox(True)
    assert find_agreed_nonce(Node(hostile.url), "latest", ME) is None  # there is no second one
    hostile.set_fault(LIES[lie])
    # The lower of two: with it no gap is signed behind, which costs.
    assert find_agreed_nonce(box.node, "latest", ME) == min(COUNTS[lie], 1)
    if lie == "nonce behind":  # both nodes say that it is used up
        with pytest.raises(BackstopError, match="nonce too low"):
            box.send_call(TAKE, FEES)
    assert box.send_call(TAKE, FEES).nonce == 1


def test_what_waits_of_somebody_else_counts_if_it_is_shown(
    open_outbox: OpenOutbox, hostile: ByzantineProxy, fresh: Devnet, said: list[str]
) -> None:
    """A shown transaction is signed, so the key's holder sent it.

    A node alone cannot make up one, only a count above the shown ones.
    """
    box = open_outbox(False)
    fresh.node.request("eth_sendTransaction", {"from": ME, "to": ME})
    assert box._count_sent() == 2 and not list_contradictions(said)
    hostile.set_fault(LIES["nonce ahead"])
    assert box._count_sent() == 2
    assert "it counts 3 transactions" in list_contradictions(said)[0]

    def forge(talk: RpcExchange) -> None:
        """Forge the shown transaction: the account's, with the next nonce."""
        LIES["nonce ahead"].change(talk)

        def changed(params: Any, block: dict[str, Any]) -> dict[str, Any]:
            if params[0] != "pending":
                return block
            shown = block["transactions"]
            return block | {"transactions": shown + [each | {"nonce": "0x2"} for each in shown]}

        talk.change_results("eth_getBlockByNumber", changed)

    hostile.set_fault(Fault("forged", "", forge))
    assert box._count_sent() == 2


def test_a_transaction_settles_without_a_receipt(
    open_outbox: OpenOutbox, hostile: ByzantineProxy, fresh: Devnet
) -> None:
    box = open_outbox(False)
    hostile.set_fault(LIES["null receipts"])
    box.send_call(TAKE, FEES)
    hostile.asked.clear()
    (settled,) = box.collect_mined(mine(fresh))
    assert settled.entry.ok and "eth_getTransactionReceipt" not in hostile.asked


@pytest.mark.deep(cases=1)
@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("blocks", [10, 80])
def test_what_an_earlier_keeper_sent_settles_without_its_nodes_receipt(
    open_outbox: OpenOutbox, hostile: ByzantineProxy, fresh: Devnet, beside: bool, blocks: int
) -> None:
    """By another node's receipt however old it is, or else in the newest blocks."""
    before = open_outbox(False)
    entry = before.send_call(TAKE, FEES)
    fresh.node.request("anvil_mine", hex(blocks))
    hostile.set_fault(LIES["null receipts"])
    box = open_outbox(beside, before.journal)
    settled = entry.block is not None or entry not in box.journal.entries
    assert settled == (beside or blocks < 64)
    if not settled:  # it is neither forgotten nor sent again, and counts as spent
        assert sum(spent.risk for *_, spent in box.journal.iter_spending()) == TAKE.spends


def test_after_a_reorganisation_the_new_blocks_are_looked_through(
    open_outbox: OpenOutbox, hostile: ByzantineProxy, fresh: Devnet
) -> None:
    """The transaction is in an earlier block of the other branch than of the first."""
    box = open_outbox(False)
    hostile.set_fault(LIES["null receipts"])
    fork, snapshot = fresh.node.get_head().number, fresh.node.request("evm_snapshot")
    box.collect_mined(mine(fresh))
    entry = box.send_call(TAKE, FEES)
    (settled,) = box.collect_mined(mine(fresh))
    assert settled.entry.block == fork + 2
    fresh.node.request("evm_revert", snapshot)
    fresh.node.request("eth_sendRawTransaction", entry.attempts[0].raw)
    for _ in range(2):
        mine(fresh)
    box.recheck_mined(fork)
    assert box.waiting == [entry]
    (settled,) = box.collect_mined(fork + 2)
    assert settled.entry is entry and entry.block == fork + 1


def test_a_nonce_that_somebody_else_used_is_lost_once_that_is_proven(
    open_outbox: OpenOutbox, hostile: ByzantineProxy, fresh: Devnet, said: list[str]
) -> None:
    box = open_outbox(False)
    entry = box.send_call(TAKE, FEES)
    # A node alone that counts one more does not make it so.
    fresh.node.request("anvil_dropTransaction", entry.attempts[0].hash)
    hostile.set_fault(LIES["nonce far ahead"])
    for _ in range(25):
        box.collect_mined(mine(fresh))
    assert box.waiting == [entry] and "1 are proven" in list_contradictions(said)[0]
    hostile.set_fault(None)
    fresh.node.request("eth_sendTransaction", {"from": ME, "to": ME})
    for _ in range(20):
        box.collect_mined(mine(fresh))
    assert box.journal.entries == [] and "lost its nonce 1: somebody else uses the account" in said[-1]


def test_a_node_that_keeps_a_transaction_to_itself_is_left(
    open_outbox: OpenOutbox, hostile: ByzantineProxy, fresh: Devnet, said: list[str]
) -> None:
    box = open_outbox(True)
    hostile.set_fault(LIES["swallows"])
    box.send_call(TAKE, FEES)
    box.collect_mined(mine(fresh))
    box.push_waiting(FEES, lambda entry, block: True)
    assert any(
        line.startswith(f"left the node at {hostile.url} ") and "to itself while blocks" in line
        for line in said
    )
    assert len(box.collect_mined(mine(fresh))) == 1


def test_a_proven_account_is_that_of_the_block(hostile: ByzantineProxy, fresh: Devnet) -> None:
    """Neither a broken proof nor one of another block counts, and a header has to hash to its hash."""
    node, head = Node(hostile.url), mine(fresh)
    block = fresh.node.request("eth_getBlockByNumber", hex(head), False)
    found = find_settled_account(node, block, ME)
    assert found is not None and (found.nonce, found.balance) == (1, fresh.node.get_balance(ME))

    def tell_older(talk: RpcExchange) -> None:
        older = fresh.node.request("eth_getProof", ME, [], "0x0")
        talk.change_results("eth_getProof", lambda params, proof: older)

    hostile.set_fault(Fault("older", "", tell_older))
    with pytest.raises(UnprovenError, match=f"the node at {hostile.url} proves nothing of {ME}: "):
        find_settled_account(node, block, ME)
    hostile.set_fault(None)
    with pytest.raises(UnprovenError, match="does not hash to the block's hash"):
        find_settled_account(node, block | {"stateRoot": "0x" + "11" * 32}, ME)
    never = find_settled_account(node, block, "0x" + "77" * 20)
    assert never is not None and (never.nonce, never.balance) == (0, 0)
    # Without proofs, or roots to prove anything under, nobody is a liar for it.
    hostile.set_fault(LIES["no account proofs"])
    assert find_settled_account(node, block, ME) is None


def test_a_balance_that_was_set_between_blocks_stops_nobody_for_long(
    open_outbox: OpenOutbox, fresh: Devnet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No block's root has it. A node that lies about each block is waited for, also on a test chain."""
    box = open_outbox(False)
    fresh.node.request("anvil_setBalance", ME, hex(10**18))
    with pytest.raises(NodeUnavailableError, match="proves nothing of"):
        box.send_call(TAKE, FEES)
    monkeypatch.setattr(outbox, "_STANDS_FOR", 0.0)
    assert box.send_call(TAKE, FEES).nonce == 1


def test_a_node_alone_that_proves_nothing_is_waited_for(
    open_outbox: OpenOutbox, hostile: ByzantineProxy, fresh: Devnet
) -> None:
    box = open_outbox(False)
    hostile.set_fault(LIES["false account proofs"])
    with pytest.raises(NodeUnavailableError, match=r"is not believed: .* proves nothing of"):
        box.send_call(TAKE, FEES)
    assert box.journal.entries == []


def test_a_block_names_its_transactions(hostile: ByzantineProxy, fresh: Devnet) -> None:
    """Else a node could call ours by another name, and it would never settle."""
    ((block, receipts),) = fresh.node.get_blocks_with_receipts(1, 1)
    check_roots(block, receipts)
    block["transactions"][0]["hash"] = "0x" + "12" * 32
    with pytest.raises(UnprovenError, match="a transaction of block 1 is not 0x1212"):
        check_roots(block, receipts)


def test_a_block_that_cannot_be_read_loses_nothing(
    open_outbox: OpenOutbox, hostile: ByzantineProxy, fresh: Devnet
) -> None:
    box = open_outbox(False)
    entry = box.send_call(TAKE, FEES)
    head = mine(fresh)
    hostile.set_fault(LIES["busy"])
    with pytest.raises(NodeUnavailableError):
        box.collect_mined(head)
    hostile.set_fault(None)
    (settled,) = box.collect_mined(mine(fresh))
    assert settled.entry is entry
