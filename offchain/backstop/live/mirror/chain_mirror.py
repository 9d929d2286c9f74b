"""The model beside a chain that others use: every transaction of every block is applied to both.

A chain's mappings cannot be listed. Following all calls from the first contract on finds every key, and
compares each call's effect: whether it succeeded, its events, and each slot that the model wrote.

The writes of the newest blocks are kept, so that after a reorg the model is rolled back to the fork.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from typing import Any, NamedTuple

from backstop.contract_base import Log, World, Written
from backstop.deployment.configuration_calls import build_configuration_calls
from backstop.deployment.model_and_chain_deployment import add_contract_model, attach_system, create_model
from backstop.deployment.planned_contracts import Deployment
from backstop.errors import BackstopError
from backstop.files.installation import __version__
from backstop.hosts import storage_layout
from backstop.hosts.account_addresses import compute_contract_address
from backstop.hosts.chain_system import ChainSystem
from backstop.hosts.contract_creation import Creation
from backstop.hosts.model_system import ModelSystem
from backstop.hosts.rpc_client import NodeUnavailableError, RpcError, never_stop
from backstop.hosts.world_storage_json import encode_nonzero_storage_words, load_words
from backstop.live.mirror.reorg_buffer import ReorgBuffer
from backstop.live.mirror.storage_comparison import ReorgError, StorageComparator
from backstop.live.mirror.successor_policies import (
    BATCH_KIND,
    convert_creations_to_json,
    create_policy_model,
    find_policy_creation,
    parse_successor_policy_creations,
    require_known_risk_policy,
)
from backstop.live.node.live_host import LiveHost, raw_logs
from backstop.live.node.rpc_node import TEST_CHAINS, Node, RetryError
from backstop.live.node.signers import Signers
from backstop.live.node.transaction_and_receipt_roots import BlockRootChecker
from backstop.lockstep.lockstep_difference import convert_to_tuples
from backstop.lockstep.replayable_trace import TraceStep
from backstop.system import Action, Outcome

DEPTH = 64
"""Blocks that can be taken back: two epochs of Ethereum, behind which blocks are final."""

_BLOCKS_AT_ONCE = 100
# Of the newest blocks that were followed, those that are kept whole: what was sent is looked for in them.
_KEPT_WHOLE = 4


class WrongDeploymentError(BackstopError):
    """Error raised if a saved state belongs to another deployment."""


class MinedCall(NamedTuple):
    """Call that was mined, with its outcome, gas used and gas price [wei].

    Gas is 0 for a call that reached the deployment through a foreign contract.
    """

    transaction: str
    block: int
    timestamp: int
    action: Action
    outcome: Outcome
    gas: int
    gas_price: int


class Mirror:
    """Model that follows a deployment on a chain from its first block, and compares each call's effect.

    Each difference is settled by a proof or another node before anything is overwritten. It is then reported
    once in `differences`, and the model takes the chain's value. For `unsettled_slots` the model keeps its
    own value, and the slots are read again at every comparison. With `history`, the calls since the
    configuration are kept for a trace. Without it the mirror's size is bounded by the protocol's state, as
    long as `seen`, `differences` and `strangers` are cleared from time to time.
    """

    def __init__(
        self,
        node: Node,
        host: LiveHost,
        chain: ChainSystem,
        deployment: Deployment,
        *,
        depth: int = DEPTH,
        history: bool = False,
    ) -> None:
        self.node = node
        self.host = host
        self.chain = chain
        self.deployment = deployment
        self.depth = depth
        self.history = history
        self.differences: list[str] = []
        self.strangers: list[str] = []
        self._words = StorageComparator(node, host, chain)
        # Anvil and Hardhat may play somebody who signs nothing.
        self.roots = BlockRootChecker(node, deployment.chain_id in TEST_CHAINS or host.impersonate)
        self.fields_compared = 0
        self.base_fee: int | None = None
        """The base fee of the last block that was followed [wei], None before the first, or without one."""
        self.forked_after = 0
        """The last block that the chain still had when it was last reorganised."""
        self._creations = {creation.address: creation for creation in deployment.creations}
        self._configured = len(build_configuration_calls(deployment))
        self._engine = deployment.addresses["VaultEngine"]
        self._start_empty_model()

    def _start_empty_model(self) -> None:
        """Reset the model to the state before the deployment's first contract.

        Raise BackstopError if the chain has not reached that block.
        """
        found = self.node.get_block_hash(self.deployment.block)
        if found is None:
            raise BackstopError(
                f"the chain has not reached block {self.deployment.block}, where the deployment began: "
                "it was restarted since the deployment file was written; deploy again"
            )
        self.model = ModelSystem(World(0, self.deployment.chain_id), revocable=True)
        self.model.world.read_call = self.chain.decode_call
        self.block, self.hash = self.deployment.block, found
        self._past = ReorgBuffer(self.model.world, self.depth)
        self.seen: list[MinedCall] = []
        # What it would take to do it all again, from the end of the configuration on.
        self.steps: list[TraceStep] = []
        self.repeatable = not (self.deployment.first_nonce or self.deployment.accounts)
        self.configured_at: int | None = None
        self._to_configure = self._configured
        self.later: list[Creation] = []
        """Policies and batches that were created after the deployment, in their order."""
        self.block_gas: int | None = None
        """The gas of the block followed last, as its header has it; None before the first."""
        self._written: set[Written] = set()
        self._doubtful = False
        self._newest: deque[tuple[dict[str, Any], list[dict[str, Any]]]] = deque(maxlen=_KEPT_WHOLE)
        self.unsettled_slots.clear()

    def roll_back_after_reorg(self) -> str:
        """Roll the model back to the last block that is still on the chain; return a description.

        If no undo record reaches that block, start with an empty model.
        """
        self.node.check_chain()
        before = self.block
        if self._go_back():
            self.forked_after = self.block
            return f"{before - self.block} taken back"
        self._start_empty_model()
        self.forked_after = self.block
        return "following again from the start"

    def _go_back(self) -> bool:
        """Roll back to the last block that is still on the chain; return False if no kept block is."""
        blocks = self._past.blocks
        while blocks and self.node.get_block_hash(blocks[-1].number) != blocks[-1].hash:
            blocks.pop()
        if not blocks:
            return False
        kept = self._past.restore_newest_kept_block()
        self.block, self.hash = kept.number, kept.hash
        self.seen = [each for each in self.seen if each.block <= kept.number]
        del self.steps[kept.steps :]
        self._to_configure = kept.to_configure
        return True

    @property
    def refuted_node_claims(self) -> list[str]:
        """Log lines on claims of nodes that a proof or another node refuted."""
        return self._words.lies

    @property
    def lies_told(self) -> int:
        """Number of refuted claims of nodes since the start."""
        return self._words.lies_told

    @property
    def unsettled_slots(self) -> set[Written]:
        """Storage slots for which node and model differ, without a proof of either word."""
        return self._words.unsettled

    # --------------------------------------------------------------- on the disk

    @property
    def configured(self) -> bool:
        """Whether all calls that configure the deployment were followed."""
        return self._to_configure == 0

    @property
    def is_complete_and_settled(self) -> bool:
        """Whether the deployment is complete and no part of the model's state is in doubt."""
        return self.configured and not self._doubtful and not self.unsettled_slots

    def export_state(self) -> dict[str, Any]:
        """Return the mirror's state for a file: storage words, position on the chain and undo records.

        A mirror restored from it resumes at this block, or after a reorg at an earlier one.
        """
        return self.export_block_and_undo_records() | {
            "words": encode_nonzero_storage_words(self.model.world)
        }

    def export_block_and_undo_records(self) -> dict[str, Any]:
        """Return the mirror's position on the chain and its undo records, without the storage words."""
        return {
            "chain_id": self.deployment.chain_id,
            "deployed_after": self.deployment.block,
            "engine": self.deployment.addresses["VaultEngine"],
            "block": self.block,
            "hash": self.hash,
            "timestamp": self.model.timestamp,
            "kept": self._past.to_records(),
            "later": convert_creations_to_json(self.later),
        }

    @property
    def touched_slots(self) -> set[Written]:
        """Storage slots of the model that may have changed since this set was last cleared.

        If `model` is another object, all slots may have changed.
        """
        return self._past.touched

    def list_undo_entries(self, contract: str, path: str) -> list[tuple[int, str, dict[Hashable, Any]]]:
        """Return the undo entries of one storage table; see `ReorgBuffer.list_undo_entries`."""
        return self._past.list_undo_entries(contract, path)

    def restore_state(self, state: dict[str, Any]) -> bool:
        """Resume from an exported state, or from the last earlier block that is still on the chain.

        Return False, with an empty model, if no such block is known. Raise WrongDeploymentError if the state
        belongs to another deployment. Raise KeyError, TypeError, ValueError or AttributeError if it is not
        valid.
        """
        own = self.deployment.chain_id, self.deployment.block, self.deployment.addresses["VaultEngine"]
        if (state["chain_id"], state["deployed_after"], state["engine"]) != own:
            raise WrongDeploymentError("the state is of another deployment")
        world = create_model(self.deployment, state["timestamp"]).world
        later = parse_successor_policy_creations(state.get("later", []))  # without in states of old
        for creation in later:
            self._create_policy(world, creation)
        load_words(world, state["words"])
        past = ReorgBuffer.from_records(world, self.depth, state.get("kept", []))  # without in states of old
        self.model = ModelSystem(world, revocable=True)
        world.read_call = self.chain.decode_call
        self.block, self.hash = state["block"], state["hash"]
        self._to_configure, self.repeatable, self._past, self.later = 0, False, past, later
        if not past.blocks:
            past.append_block_and_forget_oldest(self.block, self.hash, state["timestamp"])
        if self._go_back():
            return True
        self._start_empty_model()
        return False

    # ----------------------------------------------------------------- following

    def sync_to_head(self, until: int | None = None) -> None:
        """Follow all new blocks, or those up to `until`, and add their calls to `seen`.

        The outcomes and events of the calls are compared, and at the last block each slot that the model
        wrote. Raise ReorgError if the chain has lost the block at which the mirror stood.
        """
        self.follow_unchecked(until)
        if self._doubtful:
            self._overwrite_model_with_chain_words()
        else:
            contracts = self.model.world.contracts
            slots = self._written | {each for each in self.unsettled_slots if each.contract in contracts}
            defaults = {each: contracts[each.contract].tables[each.path].default for each in slots}
            self._record_slot_differences(
                self.chain.track_slot(*slot, default) for slot, default in defaults.items()
            )
        self._written = set()
        # The chain's values that replaced the model's belong to the last block.
        self._past.assign_new_writes_to_block(self.block)

    def follow_unchecked(self, until: int | None = None, stop: Callable[[], bool] = never_stop) -> None:
        """Follow new blocks up to `until` without comparing storage.

        A later `sync_to_head` or `compare_all_known_slots` compares it. `stop` is asked between two blocks
        whether to return early. Raise ReorgError if a followed block is no longer on the chain.
        """
        head = self.node.get_head()
        if head.hash == self.hash:
            return
        target = head.number if until is None else min(head.number, until)
        while self.block < target:
            first, last = self.block + 1, min(self.block + _BLOCKS_AT_ONCE, target)
            for block, receipts in self.node.get_blocks_with_receipts(first, last):
                if stop():
                    return
                if block["parentHash"] != self.hash:
                    raise ReorgError(f"block {self.block} is no longer part of the chain")
                self._check_roots(block, receipts)
                self._follow_block(block, receipts)
                self.block, self.hash = int(block["number"], 16), block["hash"]
                self._newest.append((block, receipts))
                base = block.get("baseFeePerGas")
                self.base_fee = None if base is None else int(base, 16)
                progress = {"steps": len(self.steps), "to_configure": self._to_configure}
                self._past.append_block_and_forget_oldest(
                    self.block, self.hash, self.model.timestamp, **progress
                )
        if self.hash != head.hash and self.node.get_block_hash(self.block) != self.hash:
            raise ReorgError(f"block {self.block} is no longer part of the chain")
        missing = [c.name for c in self.deployment.creations if c.name not in self.model.world.contracts]
        if missing and target == head.number:
            raise BackstopError(
                f"{missing[0]} was not deployed after block {self.deployment.block}: the deployment file is "
                "of another chain; deploy again"
            )

    def get_verified_block(self, number: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Return a block with its transactions and receipts, verified against the block's hash.

        The newest blocks are kept in memory. Raise RetryError if the chain now has another block of that
        number than was followed.
        """
        kept = {each.number: each.hash for each in self._past.blocks}
        for block, receipts in self._newest:
            if kept.get(number) == block["hash"]:
                return block, receipts
        ((block, receipts),) = self.node.get_blocks_with_receipts(number, number)
        if kept.get(number, block["hash"]) != block["hash"]:
            raise RetryError(f"the node at {self.node.url} has another block {number} than was followed")
        self._check_roots(block, receipts)
        return block, receipts

    def _check_roots(self, block: dict[str, Any], receipts: list[dict[str, Any]]) -> None:
        # A policy may be called in the block in which it is created.
        to = self.chain.names.keys() | {str(each.get("contractAddress")).lower() for each in receipts}
        self.roots.check_block_roots_and_senders(block, receipts, to)

    def replay_to_block(
        self,
        block: int | None,
        progress: Callable[[int, int], None] = lambda done, total: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Follow the chain up to a block (None: the newest), and compare all storage there.

        Calls are not collected in `seen`. Raise BackstopError if the block does not exist or the deployment
        is not complete there.
        """
        head = self.node.get_head().number
        if block is not None and block > head:
            raise BackstopError(f"the chain has no block {block} yet: it is at {head}")
        last, first = head if block is None else block, self.block
        if last < first:
            raise BackstopError(f"block {last} is before the deployment, which began after block {first}")
        while self.block < last:
            if stop():
                raise BackstopError(f"stopped at block {self.block} of {last}")
            progress(self.block - first, last - first)
            self.follow_unchecked(min(last, self.block + _BLOCKS_AT_ONCE))
            self.seen.clear()
        if not self.configured:
            raise BackstopError(
                f"at block {last} the deployment was not complete: {self._to_configure} of its calls "
                "were still to come"
            )
        self.compare_all_known_slots()

    def compare_all_known_slots(self) -> None:
        """Compare all storage that the model has written with the chain, at the last followed block."""
        if self._doubtful:
            self._overwrite_model_with_chain_words()
        else:
            self.chain.track_world_slots(self.model.world)
            self._record_slot_differences(self._words.list_followed_slot_indices(self.model.world))
        self._written = set()
        # The chain's values that replaced the model's belong to the last block.
        self._past.assign_new_writes_to_block(self.block)

    def raise_differences(self) -> None:
        """Raise BackstopError with the first difference, if model and chain have differed."""
        found = self.differences
        if found:
            more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
            raise BackstopError(f"model and chain differ: {found[0]}{more}")

    def _follow_block(self, block: dict[str, Any], receipts: list[dict[str, Any]]) -> None:
        number, timestamp = int(block["number"], 16), int(block["timestamp"], 16)
        self.model.world.timestamp, self.model.world.block_number = timestamp, number
        self.block_gas = int(block["gasLimit"], 16) if block.get("gasLimit") else None
        for transaction, receipt in zip(block["transactions"], receipts, strict=True):
            ok, name, to = receipt["status"] == "0x1", transaction["hash"], transaction["to"]
            require_known_risk_policy(receipt["logs"], self._engine, self.model.world, number)
            if to is None:
                creation = self._creations.get(str(receipt["contractAddress"]).lower())
                if creation is not None and ok:
                    self._create_contract(creation, transaction["input"])
                elif ok:
                    self._track_new_policy(
                        bytes.fromhex(transaction["input"][2:]),
                        receipt["contractAddress"].lower(),
                        transaction,
                    )
            elif to.lower() not in self.chain.names:
                for call in self._list_inner_calls(name, receipt) if ok else []:
                    self.seen.append(
                        MinedCall(name, number, timestamp, call, self._apply_call(call, None), 0, 0)
                    )
            else:
                data = bytes.fromhex(transaction["input"][2:])
                action = self._decode_action(to.lower(), transaction["from"].lower(), data)
                if action is None:
                    continue
                logs = self._decode_events(receipt)
                gas, price = int(receipt["gasUsed"], 16), int(receipt.get("effectiveGasPrice") or "0x0", 16)
                if ok and self.chain.kinds[action.contract] == BATCH_KIND:
                    self._follow_batch(name, action, logs, gas, price)
                    continue
                outcome = self._apply_call(action, logs) if ok else self._build_failed_call_outcome(action)
                self._record_step(TraceStep(timestamp, action))
                self.seen.append(MinedCall(name, number, timestamp, action, outcome, gas, price))

    def _follow_batch(
        self, transaction: str, batch: Action, logs: tuple[Log, ...], gas: int, gas_price: int
    ) -> None:
        """Apply the liquidations that a batch executed, each as a call of the batch's sender.

        The first call gets all the gas. The batch's event lists the executed liquidations: only the chain
        knows for which of them there was gas.
        """
        collateral_type, owners, receiver, *_ = batch.args
        done, each_logs = logs[-1].values[1], _split_logs_by_last_event(logs[:-1], "Liquidated")
        world = self.model.world
        wanted = [owner for i, owner in enumerate(owners) if done >> i & 1]
        if len(each_logs) != len(wanted):
            self._note_difference(batch, f"{len(wanted)} were done, with events of {len(each_logs)}")
        for owner, own_logs in zip(wanted, each_logs, strict=False):
            call = Action("LiquidationEngine", "liquidate", (collateral_type, owner, receiver), batch.sender)
            outcome = self._apply_call(call, own_logs)
            self._record_step(TraceStep(world.timestamp, call))
            self.seen.append(
                MinedCall(transaction, world.block_number, world.timestamp, call, outcome, gas, gas_price)
            )
            gas = 0

    def _decode_events(self, receipt: dict[str, Any]) -> tuple[Log, ...]:
        """Return the decoded events of a transaction's receipt.

        If an event is malformed, switch to another node and raise NodeUnavailableError.
        """
        try:
            return tuple(map(self.chain.decode_log, raw_logs(receipt)))
        except (ValueError, IndexError, OverflowError):
            raise self.node.leave_node_and_build_error(
                f"an event of {receipt['transactionHash']} has no form that it can have"
            ) from None

    def _create_contract(self, creation: Creation, data: str) -> None:
        artifact = self.chain.artifacts[creation.kind]
        expected = artifact.bytecode + artifact.contract_abi.constructor.encode(creation.args)
        if data != "0x" + expected.hex():
            raise BackstopError(
                f"the {creation.name} at {creation.address} was built from another source or with other "
                f"arguments (deployed by Backstop {self.deployment.version}, this is {__version__}): "
                "use that version, or deploy again"
            )
        add_contract_model(self.model.world, creation)
        # No journal goes back behind a constructor.
        self._past.blocks.clear()

    def _track_new_policy(self, data: bytes, address: str, transaction: dict[str, Any]) -> None:
        """Follow a new contract if it is a risk policy or a liquidation batch of this deployment."""
        found = find_policy_creation(data, address, self.deployment.addresses, self.chain.artifacts)
        if found is None:
            return
        if found.kind == BATCH_KIND:
            # Keepers call it: no receipt's word, which nothing binds, says where it is.
            creator, nonce = transaction["from"].lower(), int(transaction["nonce"], 16)
            if compute_contract_address(creator, nonce) != address:
                return
        self._create_policy(self.model.world, found)
        self.later = [each for each in self.later if each != found] + [found]  # it may come again
        if found.kind != BATCH_KIND:  # of a batch the trace has what it called
            self.repeatable = False

    @property
    def liquidation_batch(self) -> Creation | None:
        """First liquidation batch contract that is on the chain; None if there is none."""
        world = self.model.world.contracts
        return next((each for each in self.later if each.kind == BATCH_KIND and each.name in world), None)

    def _create_policy(self, world: World, creation: Creation) -> None:
        create_policy_model(world, creation)
        if creation.name not in self.chain.kinds:
            self.chain.add_contract(creation.name, creation.kind, creation.address)

    def _decode_action(self, to: str, sender: str, data: bytes) -> Action | None:
        """Return the call that transaction data makes; None if the contract has no function for it."""
        name = self.chain.names[to]
        function = self.chain.artifacts[self.chain.kinds[name]].contract_abi.by_selector.get(data[:4])
        if function is None or name not in self.model.world.contracts:
            return None
        try:
            return Action(name, function.name, function.decode_arguments(data), sender)
        except (ValueError, OverflowError, IndexError):
            return None

    def _record_step(self, step: TraceStep) -> None:
        if not self._to_configure:
            if self.history:
                self.steps.append(step)
            return
        # The configuration comes in one piece, and can be repeated if it took no time.
        assert isinstance(step.step, Action)
        if step.step.sender != self.deployment.deployer or self.configured_at not in (None, step.timestamp):
            self.repeatable = False
        self.configured_at = step.timestamp
        self._to_configure -= 1

    # ------------------------------------------------------------------- applying

    def _apply_call(self, action: Action, logs: tuple[Log, ...] | None) -> Outcome:
        """Apply a call that succeeded on the chain to the model, and compare the events.

        `logs` None means that the events are not known, which puts the model's state in doubt. A call that
        fails on the model is recorded as a difference.
        """
        world = self.model.world
        mark = world.mark()
        try:
            outcome = self.model.apply(action)
        except Exception as error:  # whatever the model cannot do is a difference
            world.roll_back(mark)
            outcome = Outcome(f"the model failed: {error!r}", None, ())
        if logs is None:
            self._doubtful = True
            return outcome
        self._written |= self.model.changes.keys()
        self.fields_compared += 1 + sum(len(log.values) + 1 for log in logs)
        if not outcome.ok:
            self._note_difference(action, f"model reverts with {outcome.reason!r}, chain succeeds")
            return Outcome(None, None, logs)
        if convert_to_tuples(outcome.logs) != convert_to_tuples(logs):
            self._note_difference(action, f"events: model {outcome.logs!r}, chain {logs!r}")
        return outcome._replace(logs=logs)

    def _build_failed_call_outcome(self, failed_action: Action) -> Outcome:
        """Return the outcome of a mined call that failed, with the revert reason that the model gives.

        A call that succeeds on the model counts as out of gas, since the model counts no gas.
        """
        try:
            outcome = self.model.dry_run(failed_action)
        except Exception as error:
            outcome = Outcome(f"the model failed: {error!r}", None, ())
        self.fields_compared += 1
        if outcome.ok:
            # Only the chain counts gas.
            return Outcome("out of gas", None, ())
        return outcome

    def _list_inner_calls(self, transaction: str, receipt: dict[str, Any]) -> list[Action]:
        """Return the calls that a foreign contract made to the deployment in a transaction.

        They are read from a trace of the node. Without one, the transaction is added to `strangers`.
        """
        if not any(log["address"].lower() in self.chain.names for log in receipt["logs"]):
            return []
        self.repeatable = False
        self._doubtful = True
        try:
            frame = self.node.request("debug_traceTransaction", transaction, {"tracer": "callTracer"})
        except (RpcError, NodeUnavailableError):
            self.strangers.append(transaction)
            return []
        found: list[Action] = []
        self._collect_calls(frame, found)
        return found

    def _collect_calls(self, frame: dict[str, Any], found: list[Action]) -> None:
        if frame.get("error") or frame["type"] not in ("CALL", "CREATE", "CREATE2"):
            return
        to = str(frame.get("to", "")).lower()
        if to in self.chain.names:
            action = self._decode_action(to, frame["from"].lower(), bytes.fromhex(frame["input"][2:]))
            if action is not None:
                found.append(action)
            return
        for inner in frame.get("calls", ()):
            self._collect_calls(inner, found)

    # ------------------------------------------------------------------ comparing

    def _record_slot_differences(self, slot_indices: Iterable[int]) -> None:
        """Compare storage slots at the last followed block, and record settled differences.

        The model then takes the chain's value.
        """
        wanted = list(slot_indices)
        self.fields_compared += sum(self.chain.places[i].fields for i in wanted)
        for i, word in self._words.find_differing_slots(
            wanted, self.model.world, self.block, self.hash
        ).items():
            place, table = self._words.get_slot_meaning_and_table(i, self.model.world)
            key = "" if place.key == () else f"[{place.key}]"
            for field, model, chain in storage_layout.list_field_differences(
                place.default, storage_layout.encode_word(table[place.key]), word
            ):
                where = f"{place.contract} {place.path}{key}" + (f".{field}" if field else "")
                self.differences.append(f"block {self.block}: {where}: model {model!r}, chain {chain!r}")
            table[place.key] = storage_layout.decode_word(word, place.default)

    def _overwrite_model_with_chain_words(self) -> None:
        """Overwrite the model's storage with the chain's, after calls that could not be followed."""
        world = self.model.world
        self.chain.track_world_slots(world)
        for i, word in self._words.find_differing_slots(
            self._words.list_followed_slot_indices(world), world, self.block, self.hash
        ).items():
            place, table = self._words.get_slot_meaning_and_table(i, world)
            table[place.key] = storage_layout.decode_word(word, place.default)
        self._doubtful = False

    def _note_difference(self, action: Action, what: str) -> None:
        self.differences.append(
            f"block {self.block + 1}: {action.contract}.{action.method}{action.args}: {what}"
        )


def _split_logs_by_last_event(logs: tuple[Log, ...], event: str) -> list[tuple[Log, ...]]:
    """Split events into parts that each end with an event of this name; drop events after the last."""
    ends = [i + 1 for i, log in enumerate(logs) if log.event == event]
    return [logs[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def open_mirror(node: Node, deployment: Deployment, depth: int = DEPTH) -> Mirror:
    """Return a read-only mirror of a deployment, which signs nothing and keeps no history.

    `depth` is the number of blocks that can be rolled back.
    """
    node.require_deployment(deployment)
    host = LiveHost(node, Signers(test_accounts=False))
    return Mirror(node, host, attach_system(deployment, host), deployment, depth=depth)
