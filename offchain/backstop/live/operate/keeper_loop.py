"""The loop of live keepers: look, decide, try, send; the next look does not wait for pending transactions.

The loop waits while a node is unreachable. The spending limits bound the spending of each role.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from backstop.errors import BackstopError
from backstop.hosts.host_interface import CALL_GAS
from backstop.hosts.rpc_client import NodeUnavailableError, RpcError
from backstop.keepers.call_costs import convert_gas_to_stablecoin, find_call_gas
from backstop.keepers.keeper_role_register import Intent, Keeper, KeeperMemory
from backstop.keepers.keeper_view import KeeperView
from backstop.keepers.token_approvals import iter_missing_approval_intents
from backstop.keepers.vault_margin_call_and_liquidation_keepers import list_vaults_without_auction_room
from backstop.live.mirror.chain_mirror import ReorgError
from backstop.live.monitor.health_conditions import describe_unsettled_slots
from backstop.live.monitor.status_facts_and_board import KeeperWork
from backstop.live.monitor.status_publisher import StatusPublisher
from backstop.live.node.disputed_slot_resolution import find_settled_account
from backstop.live.node.failover import Takeover
from backstop.live.node.gas_fees import GWEI, Fees, FeesTooHighError
from backstop.live.node.live_host import gas_limit
from backstop.live.node.log_lines import Line
from backstop.live.node.remote_signer import SignerUnavailableError
from backstop.live.node.rpc_node import MissingBlockRetry, Outlook, sleep_in_short_naps
from backstop.live.node.storage_proofs import UnprovenError
from backstop.live.operate.account_balances import AccountBalances
from backstop.live.operate.block_gas import BLOCK_GAS, BlockGas
from backstop.live.operate.call_trials import MOST_TRIED, CallTrials
from backstop.live.operate.liquidation_batches import (
    build_batch_intent,
    compute_batch_gas_limit,
    list_subjects,
    take_next_batch,
)
from backstop.live.operate.live_roles import get_role_name
from backstop.live.operate.live_system import LiveSystem, market_view
from backstop.live.operate.log_deduplication import DeduplicatedLog
from backstop.live.operate.outbox import CallRequest, MinedTransaction, Outbox, TransactionRules
from backstop.live.operate.report_signing import sign_report_into_keeper_file
from backstop.live.operate.run_statistics import RunStatistics
from backstop.live.operate.spending_limits import LimitEnforcer, PendingCall
from backstop.live.operate.transaction_journal import Entry, Journal
from backstop.model.arithmetic import RAD
from backstop.report.amounts import format_fixed
from backstop.system import Action, Outcome

_LONGEST_PAUSE = 10.0
# Gas of a large transaction: an account that cannot pay for it is as good as empty.
_MUCH_GAS = 1_000_000
# A call that pays for itself and takes more times the gas of the table is tried at another node. One that is
# said to take less than half of it may take so many times it: a cover of many stages takes 44 of the table's.
_MOST_TIMES_TABLE, _TIMES_TABLE = 4, 40
# Between two saves of what was followed.
_SAVE_EVERY = 10.0
# Seconds between two questions whether another node has a block that none has yet.
_ASK_EVERY = 0.5
# Seconds for which a keeper sends no batch after one was refused.
_WITHOUT_BATCHES = 60.0
# Who acts first on a new block: those who race others for something.
_BIDS = (
    *("flash_taker", "bidder", "recap_bidder", "surplus_bidder", "liquidator", "margin_liquidator"),
    "pool_buyer",
)


class KeeperLoop:
    """Loop that runs keepers on one deployment: follow the chain, decide, dry-run and send calls.

    `say` receives one log line for each event. With `journal`, a folder, sent transactions are known to the
    next process. With `dry`, no transaction is sent: `dry` receives a line for each transaction that would be
    sent. `brakes` enforces the spending limits. `observer` publishes the state after each round.
    """

    def __init__(
        self,
        system: LiveSystem,
        keepers: list[Keeper],
        say: Callable[[str], None],
        gas_token: str | None = None,
        *,
        rules: TransactionRules | None = None,
        journal: Path | None = None,
        dry: Callable[[str], None] | None = None,
        brakes: LimitEnforcer | None = None,
        gas_per_block: int = BLOCK_GAS,
        observer: StatusPublisher | None = None,
    ) -> None:
        self.system = system
        self.keepers = sorted(keepers, key=lambda keeper: keeper.group.role not in _BIDS)
        self.say = say
        self.gas_token = gas_token
        self.rules = rules or TransactionRules(system.host.fee_cap)
        self.dry = dry
        self.observer = observer
        self.memories = {keeper.name: KeeperMemory() for keeper in keepers}
        self.tally = RunStatistics()
        self._coins_needed = 0
        self._ether_price = 0
        self._confirmed, self._asked_at = "", 0.0
        self._signer_gone = False
        self._failures_in_a_row = 0
        self._looked_at: tuple[str, int] | None = None
        self._lines = DeduplicatedLog(say, dry)
        self._reserved: dict[tuple[str, str], int] = {}
        self._block_gas = BlockGas(gas_per_block)
        self._trials = CallTrials(system)
        self._refused = set[str]()
        """Accounts of which a call was refused in this look: the next would be as well."""
        self._without_batches: dict[str, float] = {}
        """Time until which a keeper sends single calls after a node refused its batch."""
        self._takeover = Takeover()
        self._saved_at = 0.0
        self._require_keeper_signers_and_gas(keepers)
        self.boxes: dict[str, Outbox] = {}
        self.brakes = brakes or LimitEnforcer(keepers)
        if dry is None:
            try:
                self._open_outboxes_with_journals(journal)
            except BackstopError:
                self.close()
                raise
        self._means = AccountBalances(system, self.boxes)

    @property
    def replaced(self) -> int:
        """Number of replacement transactions signed so far: same nonce, higher fee, or withdrawn."""
        return sum(box.replaced.total() for box in self.boxes.values())

    @property
    def pending_transaction_count(self) -> int:
        """Number of transactions that are signed and not yet mined."""
        return sum(len(box.waiting) for box in self.boxes.values())

    def _require_keeper_signers_and_gas(self, keepers: list[Keeper]) -> None:
        system = self.system
        owner = next((c.args[0] for c in system.deployment.creations if c.kind == "FlashTaker"), None)
        for keeper in keepers:
            if keeper.group.role == "flash_taker" and keeper.address != owner:
                raise BackstopError(
                    f"the FlashTaker of this deployment belongs to {owner}, not to {keeper.address}: "
                    f"--account {keeper.name}=ALIAS of its owner"
                )
            if self.dry is not None:
                continue
            if not system.host.signers.can_sign(keeper.address):
                raise BackstopError(
                    f"no key to sign for {keeper.address}; expected --account {keeper.name}=ALIAS"
                )
            if keeper.signing is None and self._has_no_coins(keeper.address):
                raise BackstopError(
                    f"{keeper.name} has nothing to pay gas with: send coins to {keeper.address}"
                )

    def _has_no_coins(self, address: str) -> bool:
        """Return whether an account has no coins to pay for gas.

        A node's claim that the balance is zero is checked by a proof. If the proof shows coins, the loop
        switches to another node. If no proof can be had, the claim counts.
        """
        node, mirror = self.system.node, self.system.mirror
        if node.get_balance(address):
            return False
        where, block = node.url, mirror.get_verified_block(mirror.block)[0]
        try:
            account = find_settled_account(node, block, address)
        except UnprovenError:
            account = None
        if account is None or not account.balance:
            return True
        problem = f"it says that {address} has no coins: {account.balance / 10**18:.4f} are proven"
        if not node.client.switch_node(problem):
            self.say(Line(f"the node at {where} is not believed: {problem}", "contradicted"))
        return False

    def _open_outboxes_with_journals(self, folder: Path | None) -> None:
        system, genesis = self.system, self.system.deployment.genesis
        for address in dict.fromkeys(keeper.address for keeper in self.keepers if keeper.signing is None):
            journal = Journal(folder, system.node.chain_id, genesis, address)
            signers = system.host.signers
            signers.prepare_key(address)
            read = system.mirror.get_verified_block
            self.boxes[address] = Outbox(system.node, signers, address, journal, self.rules, self.say, read)
        self.brakes.journals = [box.journal for box in self.boxes.values()]
        self.brakes.confirmed = self._is_followed_block_confirmed

    def format_summary(self) -> str:
        """Return the summary of the run: transactions, gas cost, and delay after new blocks."""
        return self.tally.format_summary(self.replaced)

    def close(self) -> None:
        """Save the followed state, and close journals, report sources and strategy programs."""
        self._save_followed_state()
        for box in self.boxes.values():
            box.journal.close()
        for keeper in self.keepers:
            if keeper.reports is not None:
                keeper.reports.close()
            end = getattr(keeper.strategy, "close", None)
            if end is not None:
                end()

    # -------------------------------------------------------------------- running

    def run(
        self,
        *,
        interval: float,
        patience: float,
        once: bool = False,
        grace: float = 10.0,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Run rounds until `stop` returns true, or one round if `once`.

        `interval` is the pause between rounds [seconds]. While no node answers, the loop waits up to
        `patience` seconds, then raises BackstopError. With `once` it raises at once. At the end pending
        transactions have `grace` seconds to be mined, or `patience` seconds if `once`.
        """
        gone_since: float | None = None
        reorganised: ReorgError | None = None
        pause, again = interval, MissingBlockRetry()
        while not stop():
            try:
                if reorganised is not None:
                    self._handle_reorg(reorganised)
                    reorganised = None
                self.run_round()
                again.note_success()
                if gone_since is not None:
                    self.say(Line("the node is back", "node back"))
                gone_since, pause = None, interval
            except (NodeUnavailableError, RpcError) as error:  # a node may refuse what it has too much of
                self._looked_at = None  # what was not decided is decided at the next look
                if again.should_look_again(error):
                    continue
                if gone_since is not None and not stop():  # whatever it is, another node may do better
                    self.system.node.client.switch_node(str(error))
                if gone_since is None:
                    gone_since = time.monotonic()
                    self.say(Line(f"{error}; waiting up to {patience:.0f} s", "node gone"))
                if once or time.monotonic() - gone_since > patience:
                    raise BackstopError(f"stopped: {error}") from None
                if self.observer is not None:
                    self.observer.note_node_gone(str(error))
                pause = min(max(2 * pause, 0.2), _LONGEST_PAUSE)
                if isinstance(error, NodeUnavailableError):
                    pause = max(pause, error.retry_after)
            except ReorgError as error:
                reorganised = error  # and perhaps once more before that was followed
                continue
            if once:
                self._wait_for_pending(patience, stop)
                return
            sleep_in_short_naps(pause, stop)
        self._wait_for_pending(grace, lambda: False)

    def run_round(self) -> int:
        """Follow the chain, send the calls that are due, and return how many transactions were sent.

        The round also replaces overdue transactions and publishes the state. It decides nothing if block and
        time are those of the last round.
        """
        system, began = self.system, time.monotonic()
        self._follow_chain_and_note_mined()
        outlook = system.get_outlook_for_new_transaction()
        now = outlook.timestamp
        new_block = self._looked_at is None or self._looked_at[0] != system.mirror.hash
        sent = 0
        if system.mirror.unsettled_slots:
            self._lines.log_once(
                "unsettled", Line(describe_unsettled_slots(len(system.mirror.unsettled_slots)), "unsettled")
            )
        elif self._looked_at != (system.mirror.hash, now):
            self._lines.mark_ended("unsettled")
            self._looked_at = (system.mirror.hash, now)
            fees = self._get_fees(outlook)
            if fees is not None:
                sent = self._run_decisions(now, fees, began if new_block else None)
        self._replace_overdue_transactions()
        if self.observer is not None:
            mirror = system.mirror
            head = max(outlook.head, mirror.block)
            self.observer.publish_block(
                mirror, len(mirror.differences), work=self._build_work_done_and_means_left, head=head
            )
        # Others may be asked how far they are, who answer late: what there was to do is done.
        system.node.record_height_and_check_chain(system.mirror.block)
        if time.monotonic() > self._saved_at + _SAVE_EVERY:
            self._save_followed_state()
        return sent

    def _save_followed_state(self) -> None:
        """Save the model's state and position on the chain to the snapshot file, if possible.

        An error is only logged: without the file the next keeper replays the history.
        """
        try:
            self.system.book.save_state()
        except BackstopError as error:
            self._lines.log_once("snapshot", Line(f"{error}: it goes on without", "not saved"))
        else:
            self._lines.mark_ended("snapshot")
        self._saved_at = time.monotonic()

    def _follow_chain_and_note_mined(self) -> None:
        """Follow the chain up to the newest block, and record the outcomes of mined transactions."""
        system = self.system
        system.follow_chain()
        self._takeover.note_chain_followed()
        reasons = {seen.transaction: seen.outcome.reason for seen in system.drain_mined_calls()}
        self._lines.log_mirror_findings(system.mirror)
        for box in self.boxes.values():
            for settled in box.collect_mined(system.mirror.block):
                self._note_mined(settled, reasons.get(settled.transaction))

    def _wait_for_pending(self, patience: float, stop: Callable[[], bool]) -> None:
        """Wait up to `patience` seconds until no transaction is pending.

        Transactions that are still unmined then stay in the journal.
        """
        deadline = time.monotonic() + patience
        try:
            while self.pending_transaction_count and time.monotonic() < deadline and not stop():
                sleep_in_short_naps(0.02, stop)
                try:
                    self._follow_chain_and_note_mined()
                    self._replace_overdue_transactions()
                except ReorgError as error:
                    self._handle_reorg(error)
        except NodeUnavailableError as error:
            self.say(Line(str(error), "node gone"))
        if self.pending_transaction_count:
            path = next(box.journal.path for box in self.boxes.values() if box.waiting)
            kept = f": the next keeper finds them in {path.parent}" if path else ""
            self.say(
                Line(f"{self.pending_transaction_count} transactions are still under way{kept}", "unfinished")
            )

    def _handle_reorg(self, error: ReorgError) -> None:
        """Roll back to the last common block after a reorg, and follow the new branch of the chain.

        Do nothing if the block is only missing on this node.
        """
        system = self.system
        if self._takeover.should_retry_on_missing_block(
            system.node, system.mirror.block, system.mirror.hash, str(error)
        ):
            return
        self.say(Line(f"{error}: {system.resync_and_describe_reorg()}", "reorganised"))
        for box in self.boxes.values():
            box.recheck_mined(system.mirror.forked_after)

    # ------------------------------------------------------------------- deciding

    def _get_fees(self, outlook: Outlook) -> Fees | None:
        """Return the gas fees to offer now; None while they exceed the caps, which is logged once."""
        try:
            fees = outlook.offer_fees(self.rules.fee_cap, self.rules.tip_cap)
        except FeesTooHighError as error:
            self._lines.log_once("fees", Line(str(error), "fees too high"))
            return None
        self._lines.mark_ended("fees")
        self._coins_needed = _MUCH_GAS * fees.expected
        return fees

    def _run_decisions(self, now: int, fees: Fees, began: float | None) -> int:
        """Let each keeper decide in turn, send its calls, and return how many transactions were sent.

        The calls of a keeper are sent before the next keeper decides. `began` is the monotonic time at which
        a new block was found, for the latency statistics; None for a known block. If the chain's time stepped
        back before the last fee accrual, no call is sent.
        """
        self._report_stops()
        self._reserved = {}
        for box in self.boxes.values():
            for entry in box.waiting:
                self._reserve_spending(box.address, entry)
        mirror, finder = self.system.mirror, self.system.book.index
        waiting = [entry for box in self.boxes.values() for entry in box.waiting]
        self._block_gas.begin_look(mirror.hash, mirror.block_gas, waiting)
        self._refused.clear()
        self._trials.begin_look()
        view = market_view(mirror, now, fees.expected, self.gas_token, self._reserved, finder)
        early = view.get_seconds_before_last_accrual()
        if early:
            text = f"the chain's time stepped back: nothing is sent for {early} s, until it is there again"
            self._lines.log_once("time", Line(text, "time stepped back"))
            return 0
        self._lines.mark_ended("time")
        self._ether_price = view.outside.ether_price
        self._signer_gone = False
        sent = 0
        for keeper in self.keepers:
            memory = self.memories[keeper.name]
            if keeper.address in self.boxes:
                memory.under_way = {
                    subject
                    for entry in self.boxes[keeper.address].waiting
                    if entry.keeper == keeper.name
                    for subject in list_subjects(entry.about)
                }
            # Whoever has to allow something first bids when that is mined.
            wanted = list(iter_missing_approval_intents(keeper, view))
            if wanted:
                wanted = [intent for intent in wanted if intent.about not in memory.under_way]
            else:
                wanted = keeper.decide_calls(view, memory, fees.expected)
                self._report_vaults_without_room(keeper, view, fees.expected)
            for _ in self._iter_sent_calls(keeper, wanted, view, fees):
                sent += 1
                if sent == 1 and began is not None:
                    self.tally.count_answered_block(time.monotonic() - began)
            self._report_full_block(keeper)
        if not self._signer_gone:  # nobody waits for it any more
            self._lines.mark_ended("signer")
        return sent

    def _iter_sent_calls(
        self, keeper: Keeper, wanted: list[Intent], view: KeeperView, fees: Fees
    ) -> Iterator[Intent]:
        """Try the wanted calls in order, send those that succeed and pay, and yield the sent calls.

        Liquidations are sent in batches if the chain has a batch contract. A call that a batch would leave
        out is tried alone, to learn the reason.
        """
        queue, alone = wanted[: self._block_gas.get_calls_left(keeper)], set[tuple[Hashable, ...]]()
        while queue and keeper.address not in self._refused:
            parts = self._take_next_batch(keeper, [each for each in queue if each.about not in alone])
            if not parts:
                intent = queue.pop(0)
                if self._try_intent(keeper, intent, view, fees, queue):
                    yield intent
                continue
            batch, left_out = self._try_batch(keeper, parts, view, fees)
            alone |= {each.about for each in left_out}
            tried = {each.about for each in parts} - alone
            queue = [each for each in queue if each.about not in tried]
            if batch is not None:
                yield batch

    def _take_next_batch(self, keeper: Keeper, queue: list[Intent]) -> list[Intent]:
        """Return the next liquidations that go into one transaction; empty if each call goes alone."""
        held_back = time.monotonic() < self._without_batches.get(keeper.name, 0.0)
        one_at_a_time = (get_role_name(keeper.group), "failures") in self.brakes.stops
        if self.system.mirror.liquidation_batch is None or held_back or one_at_a_time:
            return []
        return take_next_batch(queue, self._block_gas.left)

    def _try_batch(
        self, keeper: Keeper, parts: list[Intent], view: KeeperView, fees: Fees
    ) -> tuple[Intent | None, list[Intent]]:
        """Send a batch of the liquidations that would succeed in the next block.

        Return the batch (None if it was not sent), and the calls that have to be tried alone. Each part
        already pays for a transaction of its own, so the batch pays for itself, too.
        """
        contract = self.system.mirror.liquidation_batch
        assert contract is not None
        intent, limit = build_batch_intent(contract.name, parts), compute_batch_gas_limit(len(parts))
        foreseen = self.system.dry_run_within_gas(intent.action, limit)
        done = foreseen.value if foreseen.ok else 0
        left_out = [each for i, each in enumerate(parts) if not done >> i & 1]
        if left_out:
            parts = [each for i, each in enumerate(parts) if done >> i & 1]
            if len(parts) < len(left_out) or len(parts) == 1:
                return None, left_out + parts
            intent, limit = build_batch_intent(contract.name, parts), compute_batch_gas_limit(len(parts))
        of = f"{len(parts)} of {view.symbols[intent.action.args[0]]}"
        label, gas = f"{contract.kind}.{intent.action.method}({of})", intent.gas or 0
        sent = self._send_within_limits(keeper, intent, view, fees, limit, gas, intent.gain, label)
        return (intent if sent else None), left_out

    def _try_intent(
        self, keeper: Keeper, intent: Intent, view: KeeperView, fees: Fees, following: Sequence[Intent]
    ) -> bool:
        """Send a call if it would succeed in the next block and pay; return whether it was sent.

        The calls in `following` are dry-run in the same request.
        """
        if keeper.signing is not None:
            return self._publish_signed_report(keeper, intent)
        expected = intent.gas or find_call_gas(intent.action.contract, intent.action.method) or 0
        if not self._block_gas.is_call_within_block(keeper, expected):
            return False
        memory, what = self.memories[keeper.name], f"{keeper.name}: {intent.label}"
        under_way = [(box.address, entry) for box in self.boxes.values() for entry in box.waiting]
        foreseen, gas = self._trials.try_call(
            intent, self._list_calls_with_room(following), under_way, view.timestamp
        )
        foreseen, gas = self._ask_for_second_opinion(what, intent, foreseen, gas, view.timestamp)
        reason = foreseen.reason
        if reason is not None:
            memory.record_outcome(intent.about, False, view.timestamp)
            fields = {"keeper": keeper.name, "reason": reason}
            self.say(Line(f"{what} would revert: {reason or 'no reason'}", "would revert", **fields))
            return False
        # The taker says what it would really earn, whatever others sold before it.
        gain = foreseen.value if intent.action.contract == "FlashTaker" else intent.gain
        if gain is not None:
            net = gain - convert_gas_to_stablecoin(gas, fees.expected, view.outside.ether_price)
            if net < keeper.group.minimum_profit:
                self._lines.log_once(
                    (keeper.name, intent.about), Line(f"{what} would not pay", "would not pay")
                )
                self._trials.forget_following()
                return False
        self._lines.mark_ended((keeper.name, intent.about))
        label = intent.label
        sent = self._send_within_limits(keeper, intent, view, fees, gas_limit(gas), gas, gain, label)
        if not sent:
            self._trials.forget_following()
        return sent

    def _list_calls_with_room(self, intents: Sequence[Intent]) -> list[Intent]:
        """Return the first of these calls that fit into the gas left of the block.

        The gas of each call is taken from the committed gas table (measured gas per function).
        """
        found, left = list[Intent](), self._block_gas.left
        for intent in intents:
            left -= intent.gas or find_call_gas(intent.action.contract, intent.action.method) or 0
            if left < 0 or len(found) == MOST_TRIED:
                break
            found.append(intent)
        return found

    def _send_within_limits(
        self,
        keeper: Keeper,
        intent: Intent,
        view: KeeperView,
        fees: Fees,
        most_gas: int,
        gas: int,
        gain: int | None,
        label: str,
    ) -> bool:
        """Send a call that was dry-run, unless the block's gas or a spending limit stops it.

        Return whether it was sent. `most_gas` is the gas limit, `gas` the gas of the dry run, and `gain` the
        expected gain [wad].
        """
        what, calls = f"{keeper.name}: {label}", len(list_subjects(intent.about))
        if not self._block_gas.is_call_within_block(keeper, gas, calls):
            return False
        call = PendingCall(keeper, intent, most_gas * fees.most)
        stop = self.brakes.find_stop(call, view, len(self.system.mirror.differences))
        if stop is not None:
            self._lines.log_once(stop[:2], Line(f"{stop.why}: {what} waits", "stopped", **stop._asdict()))
            return False
        if self.dry is not None:
            most = gas * fees.expected
            text = f"{what} would be sent: {gas} gas, {most / 10**18:.6f} coins"
            self._lines.log_would_send((keeper.name, intent.about), text)
            return False
        to, data = self.system.encode_call(intent.action)
        order = CallRequest(
            keeper.name,
            label,
            intent.about,
            to,
            "0x" + data.hex(),
            most_gas,
            keeper.group.asset if intent.spends else "",
            intent.spends,
            gain,
            gas,
        )
        sent = self._send_order(keeper, order, fees, view.timestamp)
        if sent:
            self._block_gas.record_sent(keeper, gas, calls)
        return sent

    def _report_vaults_without_room(self, keeper: Keeper, view: KeeperView, gas_price: int) -> None:
        """Log once which auction limit holds up liquidations, and for how many unsafe vaults.

        An auction limit bounds the debt that may be under auction at one time.
        """
        if keeper.group.role != "liquidator":
            return
        for c, symbol in enumerate(view.symbols):
            held_up = list_vaults_without_auction_room(keeper, view, c, gas_price)
            if not held_up:
                self._lines.mark_ended((keeper.name, "auction limit", c))
                continue
            name, limit, used = view.get_tightest_auction_limit(c)
            debt = sum(vault.debt for vault in held_up)
            text = (
                f"{keeper.name}: {name} leaves no room for {len(held_up)} unsafe vaults of {symbol} that owe "
                f"{format_fixed(debt, RAD, 0)}: {format_fixed(used, RAD, 0)} of its "
                f"{format_fixed(limit, RAD, 0)} stablecoins are under auction, larger vaults get the rest"
            )
            self._lines.log_once(
                (keeper.name, "auction limit", c), Line(text, "auction limit", keeper=keeper.name)
            )

    def _report_full_block(self, keeper: Keeper) -> None:
        if self._block_gas.waiting[keeper.name]:
            self._lines.log_once((keeper.name, "block full"), self._block_gas.describe_waiting_calls(keeper))
        else:
            self._lines.mark_ended((keeper.name, "block full"))

    def _ask_for_second_opinion(
        self, what: str, intent: Intent, foreseen: Outcome, gas: int, now: int
    ) -> tuple[Outcome, int]:
        """Return the outcome and the gas of a call; repeat a contradicted dry run on the other nodes.

        A dry run is contradicted if the model or the committed gas table (measured gas per function) refutes
        it. If no other node gives a consistent answer, a gas limit that is too low is replaced by a multiple
        of the gas table's. Unused gas is not paid for.
        """
        system = self.system
        problem, where = self._find_contradiction(intent, foreseen, gas, now), system.node.url
        if problem is None:
            return foreseen, gas
        for client in system.node.client.list_other_nodes():
            try:
                other = system.dry_run_with_gas(intent.action, client)
            except BackstopError:
                continue
            if self._find_contradiction(intent, *other, now) is None:
                found = f"it says that {what} {problem}, and the node at {client.where} does not"
                system.node.client.switch_node(found)
                return other
        if foreseen.ok or self._is_refuted_by_model(intent.action):
            text = f"the node at {where} is not believed: it says that {what} {problem}"
            self._lines.log_once(("contradicted", intent.action.method), Line(text, "contradicted"))
        least = find_call_gas(intent.action.contract, intent.action.method) or 0
        return foreseen, min(_TIMES_TABLE * least if 2 * gas < least else gas, CALL_GAS)

    def _find_contradiction(self, intent: Intent, foreseen: Outcome, gas: int, now: int) -> str | None:
        """Return how the model or the gas table contradicts a node's dry run; None if neither does.

        The gas table holds the measured gas of each function.
        """
        action = intent.action
        if not foreseen.ok:
            can = self.system.can_succeed_on_model(action.sender, *self.system.encode_call(action), now)
            return "would revert, and by the model it would not" if can else None
        if gas > CALL_GAS:
            return f"takes {gas} gas, and a transaction may take {CALL_GAS}"
        table = find_call_gas(action.contract, action.method)
        if table is None or (table <= 2 * gas and (intent.gain is None or gas <= _MOST_TIMES_TABLE * table)):
            return None
        return f"takes {gas} gas, and by the gas table it takes {table}"

    def _is_refuted_by_model(self, action: Action) -> bool:
        """Return whether a call fails on the node after the followed block, though it succeeds on the model.

        The check is made at the followed block, where no pending transaction comes first.
        """
        call, mirror = (action.sender, *self.system.encode_call(action)), self.system.mirror
        if self.system.host.static_call(*call, hex(mirror.block)).ok:
            return False
        return bool(self.system.can_succeed_on_model(*call, mirror.model.timestamp))

    def _report_stops(self) -> None:
        for stop in self.brakes.refresh_and_list_ended_stops():
            self._lines.mark_ended(stop[:2])
            self.say(
                Line(f"{stop.role} goes on: no longer stopped ({stop.cause})", "goes on", role=stop.role)
            )
        for stop in self.brakes.stops.values():
            self._lines.log_once(stop[:2], Line(stop.why, "stopped", **stop._asdict()))

    def _publish_signed_report(self, keeper: Keeper, intent: Intent) -> bool:
        """Sign a price report into the keeper's report file, where other keepers read it.

        Return False, since no transaction is sent.
        """
        what = f"{keeper.name}: {intent.label}"
        if self.dry is not None:
            self._lines.log_would_send((keeper.name, intent.about), f"{what} would be signed")
            return False
        try:
            signed = intent.action.contract == "PriceFeed" and sign_report_into_keeper_file(
                self.system, keeper, *intent.action.args
            )
        except BackstopError as error:
            self._lines.log_once(
                (keeper.name, "signing"), Line(f"{what}: {error}", "refused", keeper=keeper.name)
            )
            return False
        self._lines.mark_ended((keeper.name, "signing"))
        if signed:
            self.say(Line(f"{what} signed", "signed", keeper=keeper.name))
        return False

    def _send_order(self, keeper: Keeper, order: CallRequest, fees: Fees, now: int) -> bool:
        try:
            relay = self.rules.relay
            private = relay is not None and get_role_name(keeper.group) in relay.settings.roles
            entry = self.boxes[keeper.address].send_call(order, fees, private)
        except NodeUnavailableError:
            raise
        except (
            SignerUnavailableError
        ) as error:  # not the call's fault: it is tried again when the signer is back
            self._signer_gone = True
            self._refused.add(keeper.address)
            self._lines.log_once("signer", Line(f"{error}: {order.label} waits", "signer gone"))
            return False
        except BackstopError as error:
            if len(list_subjects(order.about)) > 1:
                self._without_batches[keeper.name] = time.monotonic() + _WITHOUT_BATCHES
            else:
                self.memories[keeper.name].record_outcome(order.about, False, now)
            self._refused.add(keeper.address)
            self.say(
                Line(f"{keeper.name}: {order.label} was not taken: {error}", "refused", keeper=keeper.name)
            )
            self._count_failure(False)
            self.brakes.clear_spending_cache()  # what a node refused may be mined all the same
            return False
        self._reserve_spending(keeper.address, entry)
        self.brakes.clear_spending_cache()
        self.tally.counts[keeper.name, "sent"] += 1
        attempt = entry.attempts[-1]
        text = f"{keeper.name}: {order.label} sent, nonce {entry.nonce}, up to {fees.most / GWEI:.1f} gwei"
        fields: dict[str, Any] = {"keeper": keeper.name, "nonce": entry.nonce, "transaction": attempt.hash}
        self.say(Line(text, "sent", **fields, most_wei=fees.most))
        return True

    def _reserve_spending(self, sender: str, entry: Entry) -> None:
        """Reserve the tokens that a pending transaction may spend, since keepers may share an account."""
        key = entry.token, sender
        if entry.spends:
            self._reserved[key] = self._reserved.get(key, 0) + entry.spends

    # -------------------------------------------------------------- seeing through

    def _is_followed_block_confirmed(self) -> bool:
        """Return whether another node has the followed block, too.

        The other nodes are asked at most every half second until one of them has the block.
        """
        mirror, now = self.system.mirror, time.monotonic()
        if self._confirmed != mirror.hash:
            self._looked_at = None  # what waits for it is decided again
            if now < self._asked_at + _ASK_EVERY:
                return False
            if not self.system.node.client.is_confirmed_by_another_node(mirror.block, mirror.hash):
                self._asked_at = now
                return False
            self._confirmed = mirror.hash
        return True

    def _replace_overdue_transactions(self) -> None:
        """Replace or withdraw overdue transactions, unless storage slots are still unsettled.

        A slot is unsettled while the node's word differs from the model's and no proof decides between them.
        No transaction is signed while that is so.
        """
        if self.system.mirror.unsettled_slots:
            return
        due = [box for box in self.boxes.values() if box.is_overdue()]
        fees = self._get_fees(self.system.get_outlook_for_new_transaction()) if due else None
        for box in due if fees is not None else []:
            assert fees is not None
            box.push_waiting(
                fees, partial(self._would_still_succeed, box.address), self._is_still_profitable_at_fees
            )

    def _would_still_succeed(self, sender: str, entry: Entry, block_tag: str) -> bool:
        """Return whether a pending call would succeed on top of a block.

        `block_tag` is "latest" or "pending". For "latest" the model is asked at the time of the next block,
        since auction prices fall with time. The node would use the time of the latest block.
        """
        data = bytes.fromhex(entry.data[2:])
        if block_tag == "latest":
            found = self.system.can_succeed_on_model(
                sender, entry.to, data, self.system.get_outlook_for_new_transaction().timestamp
            )
            if found is not None:
                return found
        return self.system.host.static_call(sender, entry.to, data, block_tag).ok

    def _is_still_profitable_at_fees(self, entry: Entry, fees: Fees) -> bool:
        """Return whether a pending call may still be sent at these fees.

        A call with an expected gain must still earn the minimum profit. Any other call must fit into the gas
        budget of its role.
        """
        keeper = next((each for each in self.keepers if each.name == entry.keeper), None)
        if keeper is None:  # of an earlier process, with other keepers
            return True
        if entry.gain is None:
            return self.brakes.can_afford(keeper.name, entry, fees.most)
        cost = convert_gas_to_stablecoin(entry.needs, fees.expected, self._ether_price)
        return entry.gain - cost >= keeper.group.minimum_profit

    def _note_mined(self, settled: MinedTransaction, reason: str | None) -> None:
        entry = settled.entry
        memory = self.memories.get(entry.keeper)
        if memory is not None:  # else another keeper's, of an earlier process
            # The time of a block, which its hash binds: a node may say anything of the next one.
            for subject in list_subjects(entry.about):
                memory.record_outcome(subject, entry.ok, self.system.mirror.model.timestamp)
        self.tally.gas_paid += settled.gas * settled.gas_price
        result = "done" if entry.ok else "withdrawn" if settled.withdrawn else "FAILED"
        why = f": {reason}" if reason and result == "FAILED" else ""
        self.tally.counts[entry.keeper, result.lower()] += 1
        text = f"{entry.keeper}: {entry.label} {result} in block {entry.block}, {settled.gas} gas{why}"
        fields = {
            "keeper": entry.keeper,
            "nonce": entry.nonce,
            "transaction": settled.transaction,
            "block": entry.block,
            "gas": settled.gas,
            "reason": reason,
        }
        self.say(Line(text, result.lower(), **fields))
        if not settled.withdrawn:
            self._count_failure(entry.ok)

    def _count_failure(self, ok: bool) -> None:
        self._failures_in_a_row = 0 if ok else self._failures_in_a_row + 1

    # --------------------------------------------------------------------- telling

    def _build_work_done_and_means_left(self, is_new_block: bool) -> KeeperWork:
        """Return the counts of transactions, the balances and the used budgets, for the status page.

        Coin balances are read anew only for a new block.
        """
        if is_new_block:
            self._means.refresh_coins()
        counts = self.tally.counts.copy()
        for box in self.boxes.values():
            counts.update({(keeper, "replaced"): count for keeper, count in box.replaced.items()})
        return KeeperWork(
            counts=counts,
            gas_paid=self.tally.gas_paid,
            answered=tuple(self.tally.answered),
            answered_in=self.tally.answered_in,
            failures_in_a_row=self._failures_in_a_row,
            pending={each: len(box.waiting) for each, box in self.boxes.items()},
            oldest={each: box.get_oldest_wait(int(time.time())) for each, box in self.boxes.items()},
            capital=self._means.build_amounts_by_account_token(),
            reserved={(owner, token): wad for (token, owner), wad in self._reserved.items()},
            coins_needed=self._coins_needed,
            fees_too_high=self._lines.is_logged("fees"),
            signer_gone=self._signer_gone,
            stopped={(each.role, each.cause): each.why for each in self.brakes.stops.values()},
            burning=self.brakes.find_exhausting_budgets(),
            budgets=self.brakes.get_used_and_total_budgets(),
        )
