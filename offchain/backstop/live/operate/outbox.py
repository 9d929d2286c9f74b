"""The transaction manager of one account: no other process assigns its nonces.

Each transaction is signed, written to the journal and only then sent. A transaction that waits too long is
sent again if the node has lost it, else replaced at the same nonce with a higher fee, or withdrawn if it
would fail by now. Since a nonce is mined once, no call is executed twice, whichever of its transactions is
mined.

A signed transaction may be mined even if a node reports otherwise. So a transaction that is no longer sent
is only marked as given up: the next call has its nonce, and the journal keeps both until one of them is
final.

No single node's answer counts. A transaction that one node refuses is sent to the other nodes. The outcome of
a transaction is read from the followed blocks. The number of transactions that an account has sent is proven
under the hash of such a block, or agreed by two nodes. A refuted node is left; if there is no other node, a
log line describes the contradiction.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from eth_utils.crypto import keccak

from backstop.errors import BackstopError
from backstop.hosts.rpc_client import NodeRefusedError, NodeUnavailableError, RpcClient, RpcError
from backstop.live.node.disputed_slot_resolution import find_agreed_nonce, find_settled_account, iter_clients
from backstop.live.node.gas_fees import FEE_CAP, GWEI, TIP_CAP, Fees, raise_fees
from backstop.live.node.log_lines import Line
from backstop.live.node.private_relay import Relay
from backstop.live.node.remote_signer import SignerUnavailableError
from backstop.live.node.rpc_node import TEST_CHAINS, Node, RetryError
from backstop.live.node.signable_call_allowlist import CallNotAllowedError
from backstop.live.node.signers import Signers
from backstop.live.node.storage_proofs import UnprovenError
from backstop.live.node.transaction_and_receipt_roots import recover_signer, transaction_hash
from backstop.live.operate.transaction_journal import Attempt, Entry, Journal

_NOTHING_GAS = 21_000
# Seconds that a test chain's block has to stand until a state that it does not prove counts as set by hand.
_STANDS_FOR = 3.0
# Blocks that a nonce is used up until it counts as used by somebody else: a block can be read late.
_LATE_BLOCKS = 20
# Blocks that are looked through for what an earlier keeper sent, where no node has its receipt.
_LOOKED_THROUGH = 64
# Calls that are given up with one nonce until it is used up for nothing.
_MOST_GIVEN_UP = 16
# Nonces that are used up for nothing so that what follows can be mined. More are no accident: a node that
# once told a nonce from far ahead would have them all paid for.
_MOST_MISSING = 16


@dataclass(frozen=True)
class TransactionRules:
    """Rules for sending transactions: fee caps [wei per gas], waiting times, confirmations, relay."""

    fee_cap: int = FEE_CAP
    tip_cap: int = TIP_CAP
    replace_after: float = 20.0  # seconds
    confirmations: int = 2  # blocks on top, until a transaction counts as final
    relay: Relay | None = None


class CallRequest(NamedTuple):
    """Request to send one call; its fields are those of Entry."""

    keeper: str
    label: str
    about: tuple[Any, ...]
    to: str
    data: str
    gas: int
    token: str = ""
    spends: int = 0
    gain: int | None = None
    needs: int = 0


class MinedTransaction(NamedTuple):
    """Mined transaction of a journal entry: hash, gas used, gas price [wei], and whether it only withdrew."""

    entry: Entry
    transaction: str
    withdrawn: bool
    gas: int
    gas_price: int


class _LastSent:
    """Time and block height at which an entry was last sent, and the warnings logged about it.

    The record is not kept after the process ends.
    """

    def __init__(self, at: float, height: int) -> None:
        self.at = at
        self.height = height
        self.at_cap = self.too_dear = False
        self.doubted = False
        self.missing_at: set[int] = set()


Block = tuple[dict[str, Any], list[dict[str, Any]]]
"""A block with its transactions, and their receipts, as a node tells them."""


class Outbox:
    """Transaction manager of one account, which assigns nonces, sends, replaces and settles transactions.

    `say` receives a log line for each irregular event.
    """

    def __init__(
        self,
        node: Node,
        signers: Signers,
        address: str,
        journal: Journal,
        rules: TransactionRules,
        say: Callable[[str], None],
        block: Callable[[int], Block] | None = None,
    ) -> None:
        """Lock and read the journal, and check again which of its transactions are mined.

        `block` returns a block and its receipts by number, and raises NodeUnavailableError if a hash does not
        match. None reads blocks from the node unchecked.
        """
        self.node = node
        self._block = block or (lambda number: node.get_blocks_with_receipts(number, number)[0])
        self.signers = signers
        self.address = address
        self.journal = journal
        self.rules = rules
        self.say = say
        self.replaced: Counter[str] = Counter()  # by keeper
        self._height = 0
        self._looked_through: int | None = None  # the block up to which what is signed was looked for
        self._counted_at = 0  # the block at which it was last asked how many are mined
        self._contradictions: set[str] = set()
        self._unproven_block = "", 0.0  # the last one that did not prove this account, and since when
        self._used = 0  # nonces that are used up, by blocks that were followed or as two nodes say
        self._last_sent: dict[int, _LastSent] = {}
        journal.lock_and_read_file()
        # Who knows what became of them in the meantime.
        self.recheck_mined()
        if self.waiting:
            count = len(self.waiting)
            text = f"{count} transactions of {address} were under way when the last keeper ended"
            say(Line(text, "resumed", account=address, count=count))

    @property
    def waiting(self) -> list[Entry]:
        """Journal entries that are signed, not mined and not given up, in order of nonce."""
        waiting = [entry for entry in self.journal.entries if entry.block is None and not entry.given_up]
        return sorted(waiting, key=lambda entry: entry.nonce)

    def get_oldest_wait(self, now: int) -> int:
        """Return how long the oldest pending transaction has waited at time `now` [seconds]; 0 if none."""
        return max([0, *(now - entry.at for entry in self.waiting if entry.at)])

    def is_overdue(self) -> bool:
        """Return whether a pending transaction has waited longer than the rule `replace_after` allows."""
        now = time.monotonic()
        return any(
            now >= self._get_last_send_record(entry).at + self.rules.replace_after for entry in self.waiting
        )

    # -------------------------------------------------------------------- sending

    def send_call(self, order: CallRequest, fees: Fees, private: bool = False) -> Entry:
        """Sign a call, write it to the journal, send it, and return its journal entry.

        Raise NodeUnavailableError if no node answers: `push_waiting` then sends it later. Raise BackstopError
        if the transaction is refused. A refused transaction is given up, though a node may still have it.

        A `private` transaction goes to the relay, and to the node only if the relay does not take it.
        """
        entry = Entry(self._next_nonce(), *order, at=int(time.time()))
        attempt = self._sign_attempt(entry, fees)
        entry.attempts.append(attempt)
        relay = self.rules.relay if private else None
        if relay is not None and not relay.well:
            relay = None  # it was told when it was left
        if relay is not None:  # on disk first: whoever goes on after a crash shows it to nobody either
            entry.private_until = self._height + relay.settings.blocks
        self.journal.put_entry(entry)
        self._drop_earlier_copy(entry)
        self._last_sent[entry.nonce] = _LastSent(time.monotonic(), self._height)
        if relay is not None and self._send_privately(entry, relay):
            return entry
        try:
            self._send_signed_attempt(attempt, entry.nonce)
        except NodeRefusedError:  # it may have gone on all the same
            raise
        except RpcError as error:
            self._mark_entry_given_up(entry)
            self._report_refuted_refusal(error.reason, entry, order.gas * fees.most)
            raise self._explain_error(error, order.gas * fees.most) from None
        return entry

    def _report_refuted_refusal(self, reason: str, entry: Entry, cost: int) -> None:
        """Switch to another node if a refusal contradicts the account's proven balance or nonce.

        If there is no other node, log the contradiction. `cost` is the most that the transaction may cost
        [wei].
        """
        words, where = reason.lower(), self.node.url
        try:
            account = find_settled_account(self.node, self._get_followed_block(), self.address)
        except UnprovenError:
            return
        if account is None:
            return
        self._used = max(self._used, account.nonce)  # nothing that waits below it holds up what comes next
        ahead = [each for each in self.waiting if each.nonce < entry.nonce]
        needed = cost + sum(each.actual_or_maximum_spending.gas for each in ahead)
        if "insufficient funds" in words and account.balance >= needed:
            has, most = (f"{wei / 10**18:.4f}" for wei in (account.balance, needed))
            self._leave_refuted_node(
                where, f"it says {reason!r}: {has} coins are proven, {most} are needed", "sending"
            )
        if "nonce" in words and account.nonce <= entry.nonce <= account.nonce + len(ahead):
            told = f"it says {reason!r} of nonce {entry.nonce}: {account.nonce} transactions are proven"
            self._leave_refuted_node(where, told, "sending")
        same = [each for each in self.journal.entries if each.nonce == entry.nonce and each is not entry]
        if "underpriced" in words and account.nonce <= entry.nonce and not same:
            self._leave_refuted_node(
                where, f"it says {reason!r}, and shows none with nonce {entry.nonce}", "sending"
            )

    def _send_privately(self, entry: Entry, relay: Relay) -> bool:
        """Send an entry's transaction to the relay; return False and log a line if the relay refuses it."""
        try:
            relay.send_transaction(entry.attempts[-1].raw, self._height)
        except BackstopError as error:
            entry.private_until = 0
            self.journal.note_outcome(entry)
            self._log_entry(
                entry, "public", f"goes the public way: {relay.explain_transaction_refusal(error)}"
            )
            return False
        return True

    def _next_nonce(self) -> int:
        entries = self.journal.entries
        after = [entry.nonce + 1 for entry in entries if not entry.given_up]
        # Somebody else may have used the account since.
        nonce = max([self._used, *after]) if self.waiting else max([self._count_sent(), *after])
        given_up = Counter(entry.nonce for entry in entries if entry.given_up)
        while given_up[nonce] >= _MOST_GIVEN_UP:
            nonce += 1
        return nonce

    def _drop_earlier_copy(self, entry: Entry) -> None:
        """Drop an entry that was given up and has the same transaction hash as a new entry.

        A call that is signed again to the same bytes is one transaction.
        """
        name = entry.first_transaction_hash
        self.journal.entries[:] = [
            each for each in self.journal.entries if each is entry or each.first_transaction_hash != name
        ]

    def _get_followed_block(self) -> dict[str, Any]:
        """Return the newest followed block; before the first one, the node's newest block."""
        return self._block(self._height or self.node.get_head().number)[0]

    def _count_mined(self) -> int:
        """Return how many transactions the account has sent up to the followed block (its nonce there).

        The count is proven, or else agreed by two nodes. If neither can be had, it is the claim of the node
        in use.
        """
        block = self._get_followed_block()
        unproven = None
        try:
            account = find_settled_account(self.node, block, self.address)
        except UnprovenError as error:
            account, unproven = None, None if self._is_state_set_between_blocks(block["hash"]) else error
        if account is not None:
            return account.nonce
        agreed = find_agreed_nonce(self.node, block["number"], self.address)
        if agreed is None:
            if unproven is not None:
                raise self.node.leave_node_and_build_error(str(unproven))
            agreed = self.node.get_nonce(self.address, block["number"])
        return max(agreed, self._used)

    def _is_state_set_between_blocks(self, block_hash: str) -> bool:
        """Return whether a test chain's state was changed without a block, as by anvil_setBalance.

        No proof leads from the newest block's root to that state. A node that lies cannot prove its claims
        after the next block either, so the block has to stand for some seconds.
        """
        if self.node.chain_id not in TEST_CHAINS:
            return False
        if self._unproven_block[0] != block_hash:
            self._unproven_block = block_hash, time.monotonic()
        return time.monotonic() - self._unproven_block[1] >= _STANDS_FOR

    def _count_sent(self) -> int:
        """Return how many transactions the account has sent, including those in the transaction pool.

        The pool is no part of a block: two nodes have to agree on the count, or the node in use has to show
        the signed transactions. If the node in use reports another count, the client switches to another
        node.
        """
        mined, told, where = self._count_mined(), self.node.get_nonce(self.address), self.node.url
        if told == mined:
            self._contradictions.discard("count")
            return told
        agreed = find_agreed_nonce(self.node, "pending", self.address)
        sent = max(mined, min(told, mined if agreed is None else agreed))
        sent = max(sent, self._count_shown(sent) if sent < told else sent)
        if sent != told:
            if self._height and self.node.get_head().number > self._height:
                raise RetryError(f"a block came while the transactions of {self.address} were counted")
            problem = f"it counts {told} transactions of {self.address}: {mined} are proven, {sent} known"
            self._leave_refuted_node(where, problem, "count")
        return sent

    def _count_shown(self, count: int) -> int:
        """Return `count` plus the account's consecutive pool transactions that the node shows."""
        try:
            pending = self.node.request("eth_getBlockByNumber", "pending", True)
        except RpcError:  # it makes none
            pending = None
        shown = [] if pending is None else pending["transactions"]
        own = {int(each["nonce"], 16) for each in shown if self._is_signed_here(each)}
        while count in own:
            count += 1
        return count

    def _is_signed_here(self, sent: dict[str, Any]) -> bool:
        try:
            return str(sent["from"]).lower() == self.address == recover_signer(sent)
        except (KeyError, TypeError, ValueError):  # of no known form
            return False

    def _mark_entry_given_up(self, entry: Entry) -> None:
        entry.given_up, entry.at = True, int(time.time())
        self._last_sent.pop(entry.nonce, None)
        self.journal.note_outcome(entry)

    def _sign_attempt(self, entry: Entry, fees: Fees, withdraws: bool = False) -> Attempt:
        transaction = {
            "type": 2,
            "chainId": self.node.chain_id,
            "nonce": entry.nonce,
            "to": _checksum_address(self.address if withdraws else entry.to),
            "value": 0,
            "data": "0x" if withdraws else entry.data,
            "gas": _NOTHING_GAS if withdraws else entry.gas,
            "maxFeePerGas": fees.most,
            "maxPriorityFeePerGas": fees.tip,
        }
        raw = self.signers.sign_transaction(self.address, transaction)
        name = "0x" + keccak(hexstr=raw).hex()
        return Attempt(name, raw, fees.most, fees.tip, withdraws)

    def _send_signed_attempt(self, attempt: Attempt, nonce: int) -> None:
        """Send a signed transaction to the node in use, and after a refusal to the other nodes.

        Raise the refusal if no node takes the transaction. A node that claims to have it already has to show
        it. If another node takes the transaction, the client switches away from the node that refused.
        """
        try:
            self.node.request("eth_sendRawTransaction", attempt.raw)
            self._contradictions.discard("sending")
            return
        except NodeRefusedError:
            raise
        except RpcError as error:
            refusal = error
        claimed = _is_known_already(refusal)
        if claimed and self._is_on_node(self.node.client, attempt.hash, nonce):
            return
        where, problem = self.node.url, f"it refused transaction {attempt.hash}: {refusal.reason}"
        if claimed:
            problem = f"it says that it has transaction {attempt.hash} already, and does not show it"
        for client in self.node.client.list_other_nodes():
            try:
                client.request("eth_sendRawTransaction", attempt.raw)
            except RpcError as error:
                if not (_is_known_already(error) and self._is_on_node(client, attempt.hash, nonce)):
                    if all("nonce too low" in each.reason.lower() for each in (refusal, error)):
                        self._used = max(self._used, nonce + 1)
                    continue
            except BackstopError:
                continue
            self._leave_refuted_node(where, f"{problem}, which the node at {client.where} took", "sending")
            return
        if not claimed:
            raise refusal
        self._leave_refuted_node(where, problem, "sending")

    def _leave_refuted_node(self, where: str, problem: str, about: str) -> None:
        """Switch to another node, because a claim of the node at `where` is refuted.

        If there is no other node, log the contradiction once until it is over. `about` names the kind of
        claim.
        """
        if not self.node.client.switch_node(problem) and about not in self._contradictions:
            self._contradictions.add(about)
            self.say(Line(f"the node at {where} is not believed: {problem}", "contradicted"))

    def _explain_error(self, error: RpcError, cost: int) -> BackstopError:
        reason = error.reason.lower()
        if "insufficient funds" in reason:
            return BackstopError(
                f"{self.address} cannot pay for gas: up to {cost / 10**18:.4f} coins are needed"
            )
        if "chain id" in reason or "chainid" in reason:
            return BackstopError(f"the node at {self.node.url} is not on chain {self.node.chain_id} any more")
        if "nonce" in reason:
            return BackstopError(f"somebody else sends from {self.address}: {error.reason}")
        return error

    # ------------------------------------------------------------------- settling

    def collect_mined(self, height: int) -> list[MinedTransaction]:
        """Return the transactions mined up to block `height` since the last call.

        Mined transactions are read from the blocks followed since. A transaction of an earlier process may be
        in any earlier block: a receipt from any node names the block to read. Entries with enough
        confirmations are dropped from the journal.
        """
        self._height = height
        found = list[MinedTransaction]()
        if self._looked_through is None:
            found += self._collect_by_receipts(height)
        elif self._list_unmined():
            found += self._collect_from_blocks(self._looked_through + 1, height)
        self._looked_through = height
        self._note_lost_nonces(height)
        for entry in list(self.journal.entries):
            if entry.block is not None and entry.block + self.rules.confirmations <= height:
                self.journal.drop_final_entry_keep_spending(entry)
                for other in [each for each in self.journal.entries if each.nonce == entry.nonce]:
                    self.journal.drop_unminable_entry(other)
        return found

    def _list_unmined(self) -> list[Entry]:
        return [entry for entry in self.journal.entries if entry.block is None]

    def _collect_from_blocks(self, first: int, last: int) -> list[MinedTransaction]:
        """Return own transactions found in the blocks from `first` to `last`, and record their outcomes.

        Stop at a block that no node has any more, if some transactions were found before it.
        """
        found = list[MinedTransaction]()
        for number in range(first, last + 1):
            try:
                block, receipts = self._block(number)
            except NodeUnavailableError:
                if not found:
                    raise
                return found  # those that are left are looked through by their receipts
            names = {each["hash"]: i for i, each in enumerate(block["transactions"])}
            for entry in self._list_unmined():
                for attempt in entry.attempts:
                    if attempt.hash in names:
                        found.append(
                            self._record_outcome(entry, attempt, block, receipts, names[attempt.hash])
                        )
                        break
        return found

    def _collect_by_receipts(self, height: int) -> list[MinedTransaction]:
        """Return own mined transactions, found by the receipts of all nodes.

        If a nonce is used up without a receipt, the newest blocks are searched.
        """
        found = list[MinedTransaction]()
        for client in iter_clients(self.node):
            unmined = self._list_unmined()
            for entry, receipt in zip(
                unmined, self._list_mined_receipts_or_none(unmined, client), strict=True
            ):
                if receipt is not None and int(receipt["blockNumber"], 16) <= height:
                    settled = self._record_verified_outcome(entry, receipt)
                    found += [] if settled is None else [settled]
            if not self._list_unmined():
                return found
        mined = self._count_mined() if self._list_unmined() else 0
        if any(entry.nonce < mined for entry in self._list_unmined()):
            found += self._collect_from_blocks(max(1, height - _LOOKED_THROUGH), height)
        return found

    def _note_lost_nonces(self, height: int) -> None:
        """Record pending nonces that are provably used up by transactions that this keeper did not sign."""
        waits = [entry for entry in self._list_unmined() if entry.at or entry.attempts]
        if not waits or height == self._counted_at:
            return
        self._counted_at = height
        told = self.node.get_nonce(self.address, hex(height))
        if any(entry.nonce < told for entry in waits):
            mined = self._count_mined()
            if mined < told:
                problem = f"it counts {told} mined transactions of {self.address}: {mined} are proven"
                self._leave_refuted_node(self.node.url, problem, "count")
            for entry in [each for each in waits if each.nonce < mined]:
                self._note_lost_nonce(entry)

    def recheck_mined(self, fork: int = 0) -> None:
        """Check again, after a reorg, that mined transactions are still on the chain.

        A transaction that the reorg removed counts as waiting again. `fork` is the last common block: the
        blocks after it are read again.
        """
        self._used = 0
        for entry in [each for each in self.journal.entries if each.block is not None]:
            before = entry.ok, entry.failed
            if not self._is_still_mined(entry) or (entry.ok, entry.failed) != before:
                entry.block, entry.ok, entry.failed, entry.paid = None, False, False, 0
                self._log_entry(entry, "unmined", "is no longer part of the chain")
            self.journal.note_outcome(entry)
        if self._looked_through is not None:
            too_far = fork < self._looked_through - _LOOKED_THROUGH
            self._looked_through = None if too_far else min(fork, self._looked_through)

    def _is_still_mined(self, entry: Entry) -> bool:
        """Return whether an entry's block still contains its transaction, and record its outcome there."""
        assert entry.block is not None
        try:
            block, receipts = self._block(entry.block)
        except NodeUnavailableError:  # the chain is shorter now, or went back while it was read
            return False
        names = {each["hash"]: i for i, each in enumerate(block["transactions"])}
        for attempt in entry.attempts:
            if attempt.hash in names:
                self._record_outcome(entry, attempt, block, receipts, names[attempt.hash])
                return True
        return False

    def _list_mined_receipts_or_none(
        self, entries: list[Entry], client: RpcClient
    ) -> list[dict[str, Any] | None]:
        """Return, for each entry, the receipt of its mined transaction; None if none is mined.

        The receipts are the unverified answer of one node.
        """
        names = [(attempt.hash,) for entry in entries for attempt in entry.attempts]
        receipts = iter(client.call_method_in_batches("eth_getTransactionReceipt", names))
        found = []
        for entry in entries:
            own = [next(receipts) for _ in entry.attempts]
            found.append(next((each for each in own if each is not None), None))
        return found

    def _record_verified_outcome(
        self, entry: Entry, claimed_receipt: dict[str, Any]
    ) -> MinedTransaction | None:
        """Record the outcome of a transaction that a receipt claims to be mined.

        The claimed receipt only names the block. The outcome is read from the data that the block's own roots
        bind. Return None if a reorg happened during the read. Raise NodeUnavailableError if the block lacks
        the transaction.
        """
        number, name = int(claimed_receipt["blockNumber"], 16), str(claimed_receipt["transactionHash"])
        try:
            block, receipts = self._block(number)
        except RetryError:
            return None
        place = next((i for i, sent in enumerate(block["transactions"]) if sent["hash"] == name), None)
        attempt = next((each for each in entry.attempts if each.hash == name), None)
        if place is None or attempt is None:
            raise self.node.leave_node_and_build_error(f"its block {number} has no transaction {name}")
        return self._record_outcome(entry, attempt, block, receipts, place)

    def _record_outcome(
        self,
        entry: Entry,
        attempt: Attempt,
        block: dict[str, Any],
        receipts: list[dict[str, Any]],
        place: int,
    ) -> MinedTransaction:
        """Record the outcome of an own transaction at index `place` of a followed block, and return it.

        Gas and price are computed from receipts and header.
        """
        number, receipt = int(block["number"], 16), receipts[place]
        if transaction_hash(block["transactions"][place]) != attempt.hash:
            raise self.node.leave_node_and_build_error(
                f"its block {number} has no transaction {attempt.hash}"
            )
        self._last_sent.pop(entry.nonce, None)
        self._used = max(self._used, entry.nonce + 1)
        before = int(receipts[place - 1]["cumulativeGasUsed"], 16) if place else 0
        gas = int(receipt["cumulativeGasUsed"], 16) - before
        price = _compute_gas_price(attempt, block, receipt)
        entry.block, entry.given_up = number, False
        entry.ok = receipt["status"] == "0x1" and not attempt.withdraws
        entry.failed = not entry.ok and not attempt.withdraws
        entry.at, entry.paid = int(time.time()), gas * price
        self.journal.note_outcome(entry)
        return MinedTransaction(entry, attempt.hash, attempt.withdraws, gas, price)

    def _note_lost_nonce(self, entry: Entry) -> None:
        """Record that an entry's nonce was used up by a transaction that this keeper did not sign.

        After 20 such blocks the entry is dropped from the journal. It counts as spent, since no proof says
        that it was not mined.
        """
        if any(each.nonce == entry.nonce and each.block is not None for each in self.journal.entries):
            if not entry.given_up:
                self._mark_entry_given_up(entry)
            return  # one with the same nonce was mined, and takes it along when it is final
        blocks = self._get_last_send_record(entry).missing_at
        blocks.add(self._height)
        if len(blocks) >= _LATE_BLOCKS:
            if not entry.given_up:
                self._mark_entry_given_up(entry)
            # No proof says that it was not mined: it counts as spent.
            self.journal.drop_final_entry_keep_spending(entry)
            self._last_sent.pop(entry.nonce, None)
            text = (
                f"{entry.keeper}: {entry.label} lost its nonce {entry.nonce}: somebody else uses the account"
            )
            self.say(Line(text, "lost", keeper=entry.keeper, nonce=entry.nonce))

    # -------------------------------------------------------------------- pushing

    def push_waiting(
        self,
        market: Fees,
        useful: Callable[[Entry, str], bool],
        affords: Callable[[Entry, Fees], bool] = lambda entry, fees: True,
    ) -> None:
        """Resend, replace or withdraw the transactions that have waited too long.

        `market` holds the fees to offer now. `useful(entry, block)` returns whether a call would still have
        its effect on top of the "pending" or "latest" block. The pending block includes the pool.
        `affords(entry, fees)` returns whether the call may cost these higher fees.
        """
        now, waiting = time.monotonic(), self.waiting
        for entry in waiting:
            before = self._get_last_send_record(entry)
            if now < before.at + self.rules.replace_after:
                continue
            before.at = now
            if self._height < entry.private_until:
                continue  # the relay has it
            known = self._is_known(entry)
            if known and self._height == before.height:
                continue  # no block could have it yet
            first, last = entry is waiting[0], entry is waiting[-1]
            block = "latest" if known else "pending"
            if first and not entry.attempts[-1].withdraws and not useful(entry, block):
                if known or not last:
                    self._replace_attempt(entry, market, withdraws=True)
                else:
                    self._log_entry(entry, "given up", "is not needed any more and on no node: given up")
                    self._mark_entry_given_up(entry)
            elif not known and entry.attempts[-1].most >= market.expected:
                self._resend_unchanged_attempt(entry)
            elif self._send_entry_to_other_nodes(entry):
                pass  # it costs no more, and may do
            else:
                withdraws = entry.attempts[-1].withdraws
                if withdraws or self._is_affordable(entry, market, affords):
                    self._replace_attempt(entry, market, withdraws)
                elif any(
                    self._is_profitable(each, market, affords) for each in waiting if each.nonce > entry.nonce
                ):
                    self._replace_attempt(entry, market, withdraws=True)  # it makes room
            before.height = self._height
        if waiting:
            self._fill_gap(waiting[0], market, now)

    def _resend_unchanged_attempt(self, entry: Entry) -> None:
        try:
            self._send_signed_attempt(entry.attempts[-1], entry.nonce)
        except RpcError as error:
            self._log_entry(entry, "refused", f"could not be sent again: {error.reason}")
        else:
            self._log_entry(entry, "again", "was lost by the node: sent again")

    def _send_entry_to_other_nodes(self, entry: Entry) -> bool:
        """Send a transaction that blocks passed over to the other nodes; return whether any took it as new.

        The node in use may keep the transaction to itself: if another node takes it as new, the client
        switches to that or another node. If there is no other node, the suspicion is logged once.
        """
        clients, news = self.node.client.list_other_nodes(), False
        for client in clients:
            try:
                client.request("eth_sendRawTransaction", entry.attempts[-1].raw)
                news = True
            except BackstopError:  # it has it, or does not take it
                continue
        if news:
            self._log_entry(entry, "elsewhere", "waits: sent to the other nodes, too")
            kept = f"it kept transaction {entry.attempts[-1].hash} to itself while blocks passed it over"
            self.node.client.switch_node(kept)
        elif not clients and not self._get_last_send_record(entry).doubted:
            self._get_last_send_record(entry).doubted = True
            text = f"was passed over by a block: the node at {self.node.url} may keep it to itself"
            self._log_entry(entry, "passed over", text)
        return news

    def _compute_raised_fees(self, entry: Entry, market: Fees) -> Fees | None:
        last = entry.attempts[-1]
        return raise_fees(Fees(last.most, last.tip, 0), market, self.rules.fee_cap, self.rules.tip_cap)

    def _is_affordable(self, entry: Entry, market_fees: Fees, affords: Callable[[Entry, Fees], bool]) -> bool:
        """Return whether an entry may be replaced at the raised fees, by the caller's `affords`.

        An entry that may not waits for lower fees, which is logged once.
        """
        fees = self._compute_raised_fees(entry, market_fees)
        if fees is None or affords(entry, fees):
            return True
        if not self._get_last_send_record(entry).too_dear:
            self._get_last_send_record(entry).too_dear = True
            text = f"waits: {fees.most / GWEI:.1f} gwei are more than it may cost"
            self._log_entry(entry, "too dear", text)
        return False

    def _is_profitable(self, entry: Entry, market: Fees, affords: Callable[[Entry, Fees], bool]) -> bool:
        """Return whether an entry is made for profit and still pays at the raised fees."""
        fees = self._compute_raised_fees(entry, market)
        return entry.gain is not None and fees is not None and affords(entry, fees)

    def _replace_attempt(self, entry: Entry, market: Fees, withdraws: bool) -> None:
        """Sign and send another transaction with the entry's nonce and higher fees.

        With `withdraws`, it is an empty transaction to the own account. At the fee caps nothing is sent,
        which is logged once.
        """
        last, fees = entry.attempts[-1], self._compute_raised_fees(entry, market)
        if fees is None:
            if not self._get_last_send_record(entry).at_cap:
                self._get_last_send_record(entry).at_cap = True
                self._log_entry(
                    entry, "capped", f"waits: {last.most / GWEI:.1f} gwei is all that the caps allow"
                )
            return
        try:
            attempt = self._sign_attempt(entry, fees, withdraws)
        except (SignerUnavailableError, CallNotAllowedError) as error:
            self._log_entry(entry, "refused", f"could not be signed again: {error}")
            return
        entry.attempts.append(attempt)
        self.journal.put_entry(entry)
        self.replaced[entry.keeper] += 1
        what = "withdrawn" if withdraws else "replaced"
        try:
            self._send_signed_attempt(attempt, entry.nonce)
        except RpcError as error:
            # Its price counts all the same: the next one offers more.
            self._log_entry(entry, "refused", f"could not be {what}: {error.reason}")
        else:
            self._log_entry(entry, what, f"{what} at up to {fees.most / GWEI:.1f} gwei, nonce {entry.nonce}")

    def _fill_gap(self, first: Entry, market: Fees, now: float) -> None:
        """Send empty transactions for missing nonces before the first pending transaction.

        Without them no later transaction can be mined. If more than 16 nonces are missing, all pending
        transactions are given up instead.
        """
        if (
            self._get_last_send_record(first).at != now
            or self.node.get_nonce(self.address, "latest") == first.nonce
            or (pending := self._count_sent()) >= first.nonce
        ):
            return
        if first.nonce - pending > _MOST_MISSING:
            for entry in self.waiting:
                text = f"has nonce {entry.nonce}, the account is at {pending}: given up, decided anew"
                self._log_entry(entry, "given up", text)
                self._mark_entry_given_up(entry)
            return
        for nonce in range(pending, first.nonce):
            entry = Entry(nonce, first.keeper, f"nothing (for nonce {nonce})", (), "", "0x", _NOTHING_GAS)
            try:
                entry.attempts.append(self._sign_attempt(entry, market, withdraws=True))
            except SignerUnavailableError as error:
                self._log_entry(first, "refused", f"waits for nonce {nonce}: {error}")
                return
            self.journal.put_entry(entry)
            self._resend_unchanged_attempt(entry)

    def _is_known(self, entry: Entry) -> bool:
        """Return whether any node has the entry's last transaction."""
        name = entry.attempts[-1].hash
        return any(self._is_on_node(client, name, entry.nonce) for client in iter_clients(self.node))

    def _is_on_node(self, client: RpcClient, name: str, nonce: int) -> bool:
        """Return whether a node shows a transaction, or counts its nonce as pending."""
        try:
            if client.request("eth_getTransactionByHash", name) is not None:
                return True
            return int(client.request("eth_getTransactionCount", self.address, "pending"), 16) > nonce
        except BackstopError:
            return False

    def _get_last_send_record(self, entry: Entry) -> _LastSent:
        """Return the record of when an entry was last sent.

        An entry of an earlier process has a record far in the past, so that it is overdue at once.
        """
        return self._last_sent.setdefault(entry.nonce, _LastSent(-1e9, self._height))

    def _log_entry(self, entry: Entry, event: str, text: str) -> None:
        line = f"{entry.keeper}: {entry.label} {text}"
        self.say(
            Line(line, event, keeper=entry.keeper, nonce=entry.nonce, transaction=entry.attempts[-1].hash)
        )


def _is_known_already(error: RpcError) -> bool:
    """Return whether a node refused a transaction because it already has the transaction."""
    reason = error.reason.lower()
    return "already" in reason or reason.startswith("known transaction")


def _compute_gas_price(attempt: Attempt, block: dict[str, Any], receipt: dict[str, Any]) -> int:
    """Return the price that a mined transaction paid for a unit of gas [wei].

    It follows from the header's base fee and the tip. If the header has no base fee, it is the receipt's
    effective price.
    """
    base = block.get("baseFeePerGas")
    if base is None:
        return int(receipt.get("effectiveGasPrice") or "0x0", 16)
    return min(attempt.most, int(base, 16) + attempt.tip)


def _checksum_address(address: str) -> str:
    from eth_utils.address import to_checksum_address

    return str(to_checksum_address(address))
