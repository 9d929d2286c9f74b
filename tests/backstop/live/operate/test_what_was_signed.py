"""A signed transaction may be mined, against a node's word: it counts until its nonce is used up."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backstop.contract_base import Written
from backstop.deployment.role_accounts import get_account
from backstop.errors import BackstopError
from backstop.hosts.rpc_client import NodeUnavailableError, RpcClient
from backstop.keepers.call_costs import convert_gas_to_stablecoin
from backstop.live.chaos.byzantine_proxy import ByzantineProxy, Fault
from backstop.live.node.failover import Failover
from backstop.live.node.gas_fees import GWEI, Fees
from backstop.live.node.rpc_node import Node
from backstop.live.node.signable_call_allowlist import CallAllowlist
from backstop.live.node.signers import Signers
from backstop.live.operate.keeper_loop import KeeperLoop
from backstop.live.operate.live_roles import build_keepers
from backstop.live.operate.live_system import LiveSystem
from backstop.live.operate.outbox import Block, CallRequest, Outbox, TransactionRules
from backstop.live.operate.spending_limits import LimitEnforcer, SpendingLimits
from backstop.live.operate.transaction_journal import Attempt, Entry, Journal
from backstop.model.arithmetic import WAD
from tests.support.devnet_process import Devnet
from tests.support.node_faults import (
    build_error_fault,
    build_result_fault,
    build_silent_fault,
    combine_faults,
)
from tests.support.vault_auctions_after_price_drop import (
    apply_successful_call,
    liquidate_borrower_and_advance_time,
)

BRIEF = "tests/backstop/live/operate/test_what_was_signed.py::test_what_a_node_refuses_and_sends_on_counts"

ME, BIDDER = get_account("accruer"), get_account("bidder")
TAKE = CallRequest("bidder", "take", ("take", 0), ME, "0x", 60_000, "Stablecoin", 5_000 * WAD)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def proxy(fresh: Devnet) -> Iterator[ByzantineProxy]:
    """Yield a proxy of a node that mines on request."""
    fresh.node.request("evm_setAutomine", False)
    made = ByzantineProxy(fresh.port)
    yield made
    made.close()


@pytest.fixture
def outbox(proxy: ByzantineProxy, said: list[str]) -> Outbox:
    return box_of(Node(proxy.url, 5.0), said)


def box_of(node: Node, said: list[str]) -> Outbox:
    journal = Journal(None, 31_337, "0x12345678", ME)
    signers, rules = Signers(test_accounts=True), TransactionRules(replace_after=0.0, confirmations=2)
    return Outbox(node, signers, ME, journal, rules, said.append)


def at_risk(box: Outbox) -> int:
    """Return the money that may have been paid, or was."""
    return sum(spent.risk for *_, spent in box.journal.iter_spending())


def build_refusal(words: str) -> Fault:
    """Return a fault of a node that accepts a transaction and answers with a refusal."""
    return build_error_fault({"eth_sendRawTransaction": {"code": -32_000, "message": words}})


def build_nonce_fault(nonce: int) -> Fault:
    """Each account has another nonce."""
    return build_result_fault(
        lambda method, result: hex(nonce) if method == "eth_getTransactionCount" else result
    )


@pytest.mark.parametrize("words", ["nonce too low", "transaction underpriced", "intrinsic gas too low"])
def test_what_a_node_refuses_and_sends_on_counts(
    outbox: Outbox, proxy: ByzantineProxy, fresh: Devnet, words: str
) -> None:
    proxy.set_fault(build_refusal(words))
    with pytest.raises(BackstopError):
        outbox.send_call(TAKE, outbox.node.offer_fees())
    assert outbox.waiting == [] and at_risk(outbox) == TAKE.spends
    fresh.node.request("evm_mine")
    (settled,) = outbox.collect_mined(fresh.node.get_head().number)
    assert settled.entry.ok and at_risk(outbox) == TAKE.spends


@pytest.mark.parametrize("words", ["already known", "Known transaction: 0x1", "AlreadyKnown"])
def test_what_a_node_has_already_is_sent(outbox: Outbox, proxy: ByzantineProxy, words: str) -> None:
    proxy.set_fault(build_refusal(words))
    outbox.send_call(TAKE, outbox.node.offer_fees())
    assert len(outbox.waiting) == 1


def test_what_a_silent_node_took_counts(fresh: Devnet, proxy: ByzantineProxy, said: list[str]) -> None:
    """The second one says that its nonce is too low: it is mined by then."""
    fresh.node.request("evm_setAutomine", True)
    proxy.set_fault(build_silent_fault("eth_sendRawTransaction"))
    box = box_of(Node("", client=Failover([proxy.url, fresh.url], 0.5, said.append)), said)
    with pytest.raises(BackstopError, match="nonce too low"):
        box.send_call(TAKE, box.node.offer_fees())
    (settled,) = box.collect_mined(fresh.node.get_head().number)
    assert settled.entry.ok and at_risk(box) == TAKE.spends


def test_of_several_with_one_nonce_one_counts(outbox: Outbox, proxy: ByzantineProxy, fresh: Devnet) -> None:
    """The mined one, once it is known; until then the one with the most money at risk."""
    refusal = build_refusal("transaction underpriced")
    dear = TAKE._replace(spends=7_000 * WAD, data="0x01")
    proxy.set_fault(combine_faults(refusal, build_nonce_fault(0)))
    for i, each in enumerate((dear, TAKE)):
        with pytest.raises(BackstopError):  # each at a price at which it takes the place of the one before
            outbox.send_call(each, Fees((3 + i) * 10 * GWEI, (1 + i) * GWEI, 0))
    assert [entry.nonce for entry in outbox.journal.entries] == [0, 0] and at_risk(outbox) == dear.spends
    proxy.set_fault(refusal)
    outbox.rules = dataclasses.replace(outbox.rules, confirmations=30)
    for _ in range(31):
        assert len(outbox.journal.entries) == 2
        fresh.node.request("evm_mine")
        outbox.collect_mined(fresh.node.get_head().number)
        assert at_risk(outbox) == TAKE.spends
    assert outbox.journal.entries == []


def test_a_nonce_with_many_is_used_up_for_nothing(outbox: Outbox, fresh: Devnet) -> None:
    for i in range(16):
        entry = Entry(0, *TAKE._replace(spends=i + 1), given_up=True, at=int(time.time()))
        entry.attempts.append(Attempt(f"{i + 1:#066x}", "0x", 1, 1))
        outbox.journal.put_entry(entry)
    assert outbox.send_call(TAKE, outbox.node.offer_fees()).nonce == 1
    outbox.push_waiting(outbox.node.offer_fees(), lambda entry, block: True)
    fresh.node.request("evm_mine")
    outbox.collect_mined(fresh.node.get_head().number)
    assert outbox.waiting == [] and fresh.node.get_nonce(ME, "latest") == 2 and at_risk(outbox) == TAKE.spends


def test_nobody_pays_for_a_nonce_from_nowhere(
    outbox: Outbox, proxy: ByzantineProxy, fresh: Devnet, said: list[str]
) -> None:
    """A node that tells one from far ahead once would have every one before it used up for nothing.

    It proves no account, or the proof would tell.
    """
    no_proof = build_error_fault({"eth_getProof": {"code": -32_601, "message": "the method does not exist"}})
    proxy.set_fault(combine_faults(no_proof, build_nonce_fault(300)))
    assert outbox.send_call(TAKE, outbox.node.offer_fees()).nonce == 300
    proxy.set_fault(no_proof)
    fresh.node.request("evm_mine")
    outbox.collect_mined(fresh.node.get_head().number)
    outbox.push_waiting(outbox.node.offer_fees(), lambda entry, block: True)
    assert outbox.waiting == [] and fresh.node.get_nonce(ME) == 0 and at_risk(outbox) == TAKE.spends
    assert said[-1] == "bidder: take has nonce 300, the account is at 0: given up, decided anew"
    assert outbox.send_call(TAKE, outbox.node.offer_fees()).nonce == 0
    # While anything waits it is what tells the next one.
    proxy.set_fault(combine_faults(no_proof, build_nonce_fault(300)))
    assert outbox.send_call(TAKE, outbox.node.offer_fees()).nonce == 1


def test_what_waits_behind_anothers_nonces_holds_up_one_call(outbox: Outbox, fresh: Devnet) -> None:
    """Two foreign nonces come first; the transaction behind them is late only after twenty blocks."""
    outbox.send_call(TAKE, outbox.node.offer_fees())
    fees = {"maxFeePerGas": hex(100 * GWEI), "maxPriorityFeePerGas": hex(50 * GWEI)}
    for nonce in (0, 1):
        other = {"from": ME, "to": ME, "nonce": hex(nonce), "gas": hex(60_000)}
        fresh.node.request("eth_sendTransaction", other | fees)
    fresh.node.request("evm_mine")
    assert outbox.collect_mined(fresh.node.get_head().number) == [] and len(outbox.waiting) == 1
    with pytest.raises(BackstopError, match="nonce too low"):
        outbox.send_call(TAKE._replace(about=("take", 1)), outbox.node.offer_fees())
    assert outbox.send_call(TAKE._replace(about=("take", 2)), outbox.node.offer_fees()).nonce == 2


def test_what_a_node_has_too_much_for_waits(outbox: Outbox, proxy: ByzantineProxy, fresh: Devnet) -> None:
    """The node refuses, not the call: the decision stands, and the transaction is sent again."""
    proxy.set_fault(
        build_error_fault({"eth_sendRawTransaction": {"code": -32_005, "message": "limit exceeded"}})
    )
    with pytest.raises(NodeUnavailableError):
        outbox.send_call(TAKE, outbox.node.offer_fees())
    (entry,) = outbox.waiting
    proxy.set_fault(None)
    outbox.push_waiting(outbox.node.offer_fees(), lambda entry, block: True)
    fresh.node.request("evm_mine")
    assert [each.entry for each in outbox.collect_mined(fresh.node.get_head().number)] == [entry]


def test_only_what_was_followed_is_settled(outbox: Outbox, fresh: Devnet) -> None:
    entry = outbox.send_call(TAKE, outbox.node.offer_fees())
    fresh.node.request("evm_mine")
    head = fresh.node.get_head().number
    assert outbox.collect_mined(head - 1) == [] and outbox.waiting == [entry]
    assert len(outbox.collect_mined(head)) == 1


@pytest.fixture
def behind_another(outbox: Outbox, fresh: Devnet) -> Entry:
    """Mine the sent transaction behind a foreign transaction that needs more gas."""
    other = {"from": BIDDER, "to": BIDDER, "data": "0x" + "ff" * 100, "gas": hex(60_000)}
    fees = {"maxFeePerGas": hex(100 * GWEI), "maxPriorityFeePerGas": hex(50 * GWEI)}
    entry = outbox.send_call(TAKE, outbox.node.offer_fees())
    fresh.node.request("eth_sendTransaction", other | fees)
    fresh.node.request("evm_mine")
    return entry


def test_gas_is_what_it_took_itself(outbox: Outbox, fresh: Devnet, behind_another: Entry) -> None:
    before = fresh.node.request("eth_getBalance", ME, hex(fresh.node.get_head().number - 1))
    (settled,) = outbox.collect_mined(fresh.node.get_head().number)
    assert settled.gas == 21_000
    assert behind_another.paid == int(before, 16) - fresh.node.get_balance(ME) > 0


@pytest.mark.parametrize("lie", ["names", "another"])
def test_another_transaction_is_not_ours(
    outbox: Outbox, fresh: Devnet, behind_another: Entry, monkeypatch: pytest.MonkeyPatch, lie: str
) -> None:
    """A block binds its transactions, but not the names that a node gives them."""
    read, receipts = outbox._block, outbox._list_mined_receipts_or_none

    def renamed(number: int) -> Block:
        block, found = read(number)
        for each, name in zip(block["transactions"], block["transactions"][::-1], strict=True):
            each["was"] = name["hash"]
        for each in block["transactions"]:
            each["hash"] = each.pop("was")
        return block, found

    def of_another(entries: list[Entry], client: RpcClient) -> list[dict[str, Any] | None]:
        first = read(fresh.node.get_head().number)[1][0]
        return [first for _ in receipts(entries, client)]

    if lie == "names":
        monkeypatch.setattr(outbox, "_block", renamed)
    else:
        monkeypatch.setattr(outbox, "_list_mined_receipts_or_none", of_another)
    with pytest.raises(NodeUnavailableError, match="has no transaction 0x"):
        outbox.collect_mined(fresh.node.get_head().number)
    assert outbox.waiting == [behind_another]


@pytest.mark.deep(
    brief="tests/backstop/live/operate/test_what_was_signed.py::test_a_receipt_is_what_the_block_says"
)
def test_receipts_that_are_late_by_blocks_count(outbox: Outbox, proxy: ByzantineProxy, fresh: Devnet) -> None:
    """The number of looks does not matter; after enough late blocks the whole amount counts as paid."""
    entry = outbox.send_call(TAKE, outbox.node.offer_fees())
    entry.attempts[0] = Attempt("0x" + "11" * 32, *list(vars(entry.attempts[0]).values())[1:])
    fresh.node.request("evm_mine")
    for _ in range(25):
        outbox.collect_mined(fresh.node.get_head().number)
    for _ in range(19):
        assert outbox.waiting == [entry]
        fresh.node.request("evm_mine")
        outbox.collect_mined(fresh.node.get_head().number)
    assert outbox.journal.entries == [] and at_risk(outbox) == TAKE.spends


def test_another_outcome_after_a_reorganisation_counts(outbox: Outbox, fresh: Devnet) -> None:
    """The withdrawal was mined; the other branch has the purchase."""
    snapshot = fresh.node.request("evm_snapshot")
    entry = outbox.send_call(TAKE, Fees(3 * GWEI, GWEI, 2 * GWEI))
    outbox.collect_mined(fresh.node.get_head().number)
    outbox._replace_attempt(entry, Fees(100 * GWEI, 3 * GWEI, 0), withdraws=True)
    fresh.node.request("evm_mine")
    outbox.collect_mined(fresh.node.get_head().number)
    assert entry.block is not None and at_risk(outbox) == 0
    fresh.node.request("evm_revert", snapshot)
    fresh.node.request("eth_sendRawTransaction", entry.attempts[0].raw)
    fresh.node.request("evm_mine")
    outbox.recheck_mined()
    (settled,) = outbox.collect_mined(fresh.node.get_head().number)
    assert settled.entry.ok and not settled.withdrawn and at_risk(outbox) == TAKE.spends


def test_a_relay_may_have_it_mined_when_it_likes(outbox: Outbox, fresh: Devnet) -> None:
    """No node knows the transaction and none depends on it: the next call has its nonce."""
    entry = outbox.send_call(TAKE, outbox.node.offer_fees())
    fresh.node.request("anvil_dropTransaction", entry.attempts[0].hash)
    outbox.push_waiting(outbox.node.offer_fees(), lambda entry, block: False)
    assert outbox.waiting == [] and at_risk(outbox) == TAKE.spends
    fresh.node.request("eth_sendRawTransaction", entry.attempts[0].raw)
    before = fresh.node.request("evm_snapshot")
    fresh.node.request("evm_mine")
    (settled,) = outbox.collect_mined(fresh.node.get_head().number)
    assert settled.entry is entry and entry.ok and at_risk(outbox) == TAKE.spends
    # What was mined once is seen through, should the chain go back.
    fresh.node.request("evm_revert", before)
    outbox.recheck_mined()
    assert outbox.waiting == [entry]


@pytest.mark.deep(cases=1)
@pytest.mark.parametrize(
    ("gains", "affords", "replaced"),
    [
        ((None, WAD), lambda entry, fees: True, ["replaced", "replaced"]),
        ((None, WAD), lambda entry, fees: entry.gain is not None, ["withdrawn", "replaced"]),
        ((None, WAD), lambda entry, fees: entry.gain is None, ["replaced", None]),
        ((WAD, None), lambda entry, fees: entry.gain is None, [None, "replaced"]),
        ((None, WAD), lambda entry, fees: False, [None, None]),
    ],
)
def test_what_may_not_cost_more_makes_room_for_what_pays(
    outbox: Outbox,
    fresh: Devnet,
    gains: tuple[int | None, ...],
    affords: Callable[[Entry, Fees], bool],
    replaced: list[str | None],
) -> None:
    """A call is withdrawn only for one that pays: withdrawing pending calls costs gas as well."""
    entries = [outbox.send_call(TAKE._replace(gain=gain), outbox.node.offer_fees()) for gain in gains]
    fresh.node.request("anvil_setNextBlockBaseFeePerGas", hex(entries[0].attempts[0].most * 3))
    fresh.node.request("evm_mine")
    outbox.collect_mined(fresh.node.get_head().number)
    outbox.push_waiting(outbox.node.offer_fees(), lambda entry, block: True, affords)
    became = [
        None if len(entry.attempts) == 1 else "withdrawn" if entry.attempts[-1].withdraws else "replaced"
        for entry in entries
    ]
    assert became == replaced


def test_what_is_not_allowed_any_more_waits(outbox: Outbox, fresh: Devnet, said: list[str]) -> None:
    """A process before had a longer list; this one goes on, and says so."""
    entry = outbox.send_call(TAKE._replace(to=BIDDER), outbox.node.offer_fees())
    outbox.signers.allowed = CallAllowlist(31_337, {})
    fresh.node.request("anvil_setNextBlockBaseFeePerGas", hex(entry.attempts[0].most * 3))
    fresh.node.request("evm_mine")
    outbox.collect_mined(fresh.node.get_head().number)
    outbox.push_waiting(outbox.node.offer_fees(), lambda entry, block: True)
    assert outbox.waiting == [entry] and len(entry.attempts) == 1
    assert said[-1].startswith("bidder: take could not be signed again: the allow-list of 0x")


def test_it_outlives_the_process(tmp_path: Path) -> None:
    """Two with one nonce are two; a `gone` line of the file version before removes entries by nonce."""
    journal = Journal(tmp_path, 1, "0x12345678", "0xabc")
    journal.lock_and_read_file()
    for name, given_up in (("0x1", True), ("0x2", False)):
        entry = Entry(5, "bidder", "take", (), "0x1", "0x", 100, gain=10**20, given_up=given_up, at=7)
        entry.attempts.append(Attempt(name, "0x", 5, 1))
        journal.put_entry(entry)
    journal.close()
    again = Journal(tmp_path, 1, "0x12345678", "0xabc")
    again.lock_and_read_file()
    assert [(e.first_transaction_hash, e.given_up, e.gain) for e in again.entries] == [
        ("0x1", True, 10**20),
        ("0x2", False, 10**20),
    ]
    again.close()
    assert again.path is not None
    text = again.path.read_text().replace('"schema_version": 3', '"schema_version": 2')
    again.path.write_text(text + '{"gone": 5}\n')
    again.lock_and_read_file()
    assert again.entries == []
    again.close()


# ------------------------------------------------------------------ whole keepers


@pytest.fixture
def ready(fallen: LiveSystem) -> LiveSystem:
    """A chain with an auction and a bidder that has money."""
    liquidate_borrower_and_advance_time(fallen)
    apply_successful_call(fallen, "Stablecoin", "transfer", BIDDER, 9_000 * WAD, sender="market_maker")
    apply_successful_call(
        fallen, "Stablecoin", "approve", fallen.addresses["CollateralAuction"], 1 << 255, sender="bidder"
    )
    return fallen


@pytest.mark.deep(cases=1)
@pytest.mark.parametrize("lie", [{"status": "0x0", "gasUsed": "0x0"}, {"effectiveGasPrice": "0x1"}])
def test_a_receipt_is_what_the_block_says(
    ready: LiveSystem, attach_fallen: Callable[..., LiveSystem], said: list[str], lie: dict[str, str]
) -> None:
    """A node that says that a purchase failed, or cost nothing, would have the budget begin anew."""
    system = attach_fallen()
    client: Any = system.node.client
    true = client._extract_result

    def told(method: str, params: Any, answer: Any) -> Any:
        result = true(method, params, answer)
        return result | lie if method == "eth_getTransactionReceipt" and result else result

    client._result = told
    keepers = build_keepers(system.deployment, ["bidder"])
    limits = {"bidder": SpendingLimits(risk_hour=9_500 * WAD, gas_hour=10**16)}
    loop = KeeperLoop(system, keepers, said.append, brakes=LimitEnforcer(keepers, limits))
    before = ready.node.get_balance(BIDDER), ready.view("Stablecoin", "balanceOf", BIDDER)
    assert loop.run_round() == 1
    loop._follow_chain_and_note_mined()
    ready.follow_chain()
    after = ready.node.get_balance(BIDDER), ready.view("Stablecoin", "balanceOf", BIDDER)
    used = {name: amount for (_, name), (amount, _) in loop.brakes.get_used_and_total_budgets().items()}
    assert before[1] - after[1] <= used["risk_hour"] and after[1] < before[1]
    assert used["gas_hour"] == before[0] - after[0] == loop.tally.gas_paid


@pytest.mark.deep(brief=BRIEF)
def test_what_a_node_refuses_counts_at_once(fallen: LiveSystem, said: list[str]) -> None:
    """The amount signed for a refused call is counted, and nothing more is signed in the same look."""
    fallen.node.request("evm_setAutomine", False)
    proxy = ByzantineProxy(int(fallen.node.url.rpartition(":")[2]))
    proxy.set_fault(build_refusal("nonce too low"))
    system = LiveSystem(Node(proxy.url), fallen.deployment, Signers(test_accounts=True))
    keepers = build_keepers(system.deployment, ["accruer"], options={"accruer": {"heartbeat": 1}})

    def refused(limits: SpendingLimits) -> int:
        """How much gas was signed for in one look [wei]."""
        brakes = LimitEnforcer(keepers, {"accruer": limits})
        loop = KeeperLoop(system, keepers, said.append, brakes=brakes)
        assert loop.run_round() == 0
        (box,) = loop.boxes.values()
        return sum(entry.actual_or_maximum_spending.gas for entry in box.journal.entries)

    one = refused(SpendingLimits(gas_day=10**18))
    assert one > 0 and sum(" was not taken: " in line for line in said) == 1
    assert 0 < refused(SpendingLimits(gas_day=one)) <= one
    proxy.close()


@pytest.mark.deep(
    brief="tests/backstop/live/operate/test_what_was_signed.py::test_a_receipt_is_what_the_block_says"
)
def test_what_a_keeper_did_has_the_time_of_its_block(
    fallen: LiveSystem, attach_fallen: Callable[..., LiveSystem], said: list[str]
) -> None:
    """A node may tell any time of the next one, in years from now: it would be done until then."""
    system = attach_fallen()
    loop = KeeperLoop(system, build_keepers(system.deployment, ["liquidator"]), said.append)
    assert loop.run_round() == 1
    mined = fallen.node.get_head().timestamp
    fallen.node.request("anvil_setTime", mined + 10**6)
    loop._follow_chain_and_note_mined()
    assert list(loop.memories["liquidator"].done.values()) == [mined]


def test_nothing_is_signed_while_a_word_is_in_doubt(
    fallen: LiveSystem, attach_fallen: Callable[..., LiveSystem], said: list[str]
) -> None:
    """The model decides whether a replacement still pays."""
    fallen.node.request("evm_setAutomine", False)
    system = attach_fallen()
    rules = TransactionRules(replace_after=0.0)
    loop = KeeperLoop(system, build_keepers(system.deployment, ["liquidator"]), said.append, rules=rules)
    assert loop.run_round() == 1
    mine_at(loop, 10 * GWEI)
    loop._follow_chain_and_note_mined()
    word = Written("VaultEngine", "ledger.system", ())
    system.mirror.unsettled_slots.add(word)
    loop._replace_overdue_transactions()
    assert loop.replaced == 0
    system.mirror.unsettled_slots.remove(word)
    loop._replace_overdue_transactions()
    assert loop.replaced == 1


@pytest.fixture
def dear(
    fallen: LiveSystem, attach_fallen: Callable[..., LiveSystem], said: list[str]
) -> Callable[..., KeeperLoop]:
    """Return a function that starts keepers on a node that mines on request; gas then costs 400 gwei."""

    def open_it(*roles: str, limits: dict[str, SpendingLimits] | None = None, **options: Any) -> KeeperLoop:
        fallen.node.request("evm_setAutomine", False)
        system = attach_fallen()
        keepers = build_keepers(system.deployment, list(roles), options=options)
        rules, brakes = (
            TransactionRules(replace_after=0.0, tip_cap=20 * GWEI),
            LimitEnforcer(keepers, limits or {}),
        )
        loop = KeeperLoop(system, keepers, said.append, brakes=brakes, rules=rules)
        assert loop.run_round() >= 1
        mine_at(loop, 400 * GWEI)
        for _ in range(2):
            loop._looked_at = None
            loop.run_round()
        mine_at(loop, 400 * GWEI)
        loop._follow_chain_and_note_mined()
        return loop

    return open_it


def mine_at(loop: KeeperLoop, base: int) -> None:
    loop.system.node.request("anvil_setNextBlockBaseFeePerGas", hex(base))
    loop.system.node.request("evm_mine")


@pytest.mark.deep(cases=1)
@pytest.mark.parametrize("limited", [True, False])
def test_a_replacement_stays_within_the_budget(
    dear: Callable[..., KeeperLoop], said: list[str], limited: bool
) -> None:
    """Nothing behind it pays for itself: it waits for a cheaper hour."""
    limits = {"accruer": SpendingLimits(gas_day=2 * 10**15 if limited else 10**20)}
    loop = dear("accruer", limits=limits, accruer={"heartbeat": 1})
    used, limit = loop.brakes.get_used_and_total_budgets()["accruer", "gas_day"]
    assert 0 < used <= limit and (loop.replaced == 0) == limited
    assert any(line.endswith("gwei are more than it may cost") for line in said) == limited


@pytest.mark.deep(
    brief="tests/backstop/live/operate/test_what_was_signed.py::test_a_replacement_stays_within_the_budget"
)
@pytest.mark.parametrize(("least", "sent"), [(20 * WAD, True), (130 * WAD, False)])
def test_a_replacement_still_pays(dear: Callable[..., KeeperLoop], least: int, sent: bool) -> None:
    loop = dear("liquidator", liquidator={"minimum_profit": least})
    assert loop.replaced == loop.tally.counts["liquidator", "done"] == sent
    if sent:
        (box,) = loop.boxes.values()
        (entry,) = [each for each in box.journal.entries if each.gain is not None]
        paid = convert_gas_to_stablecoin(1, loop.tally.gas_paid, loop._ether_price)
        assert entry.gain is not None and entry.gain - paid >= least
