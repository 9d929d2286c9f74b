"""A deployment on a chain that outlives the command, as a System, with the model beside it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from backstop.deployment.model_and_chain_deployment import attach_system
from backstop.deployment.planned_contracts import Deployment
from backstop.errors import BackstopError
from backstop.hosts.artifacts import Artifacts
from backstop.hosts.chain_system import ChainSystem
from backstop.hosts.rpc_client import NodeUnavailableError, RpcClient, never_stop
from backstop.keepers.keeper_view import KeeperView
from backstop.keepers.view_records import MarketData, VaultFinder
from backstop.live.mirror.chain_mirror import MinedCall, Mirror, ReorgError
from backstop.live.mirror.vault_index_store import VaultIndexStore
from backstop.live.node.failover import Takeover
from backstop.live.node.live_host import LiveHost
from backstop.live.node.rpc_node import FEE_CAP, TEST_CHAINS, Node, Outlook, sleep_in_short_naps
from backstop.live.node.signers import Signers
from backstop.model.bounds import EQUITY_MARKET
from backstop.proof import properties
from backstop.proof.replayable_trace import ProtocolTrace
from backstop.system import Action, Outcome, Snapshot, count_slots

# The most empty blocks that are mined as time is set: whoever follows looks at each.
_MOST_EMPTY = 500
_LOOKS = 100
# Times in vain after which a start leaves a node, and seconds between two of them.
_TRIES, _AGAIN = 5, 0.1
# Seconds after the block followed by which the next one may come, as far as a node is believed.
_AHEAD = 3_600


class LiveSystem:
    """Deployment on a running chain: sends signed transactions, and mirrors all calls in a model."""

    def __init__(
        self,
        node: Node,
        deployment: Deployment,
        signers: Signers,
        *,
        artifacts: Artifacts | None = None,
        fee_cap: int = FEE_CAP,
        impersonate: bool = False,
        snapshot: Path | None = None,
        cold: bool = False,
        say: Callable[[str], None] = lambda text: None,
        stop: Callable[[], bool] = never_stop,
        progress: Callable[[Mirror, int], None] = lambda mirror, head: None,
    ) -> None:
        """Open the deployment and follow the chain up to its newest block.

        Start from the state saved in the file `snapshot`, unless `cold` asks for a replay from the first
        block. While history is followed, `stop` ends it with an error once it returns true, and `progress`
        receives the mirror and the newest block number. `impersonate` lets a test node send for any account.
        """
        node.require_deployment(deployment)
        self.node = node
        self.deployment = deployment
        self.host = LiveHost(node, signers, fee_cap=fee_cap, impersonate=impersonate)
        self.chain: ChainSystem = attach_system(deployment, self.host, artifacts or Artifacts())
        # Who drives the chain makes a trace of it.
        self.mirror = Mirror(node, self.host, self.chain, deployment, history=impersonate)
        self.book = VaultIndexStore(self.mirror, snapshot, say)
        resumed = not cold and self.book.resume_mirror_from_file()
        self.sent_transactions = set[str]()
        """Hashes of the transactions that `apply` sent and that were not yet taken from `seen`."""
        self._follow_history(stop, progress)
        if resumed:
            self._check_resumed(snapshot)

    @property
    def timestamp(self) -> int:
        frozen = self.host.driver.frozen_at
        if frozen is None:
            return self._bound_timestamp(self.node.next_time())
        return max(frozen, self.mirror.model.timestamp)

    @property
    def next_block_number(self) -> int:
        """Number of the block after the followed block; a node's claim about its own head does not count."""
        return self.mirror.block + 1

    def get_outlook_for_new_transaction(self) -> Outlook:
        """Return the time and the base fee that a transaction sent now can expect.

        The base fee is that of the followed block, which its hash binds. The time is bounded by
        `_bound_timestamp`.
        """
        found, base, frozen = self.node.get_outlook(), self.mirror.base_fee, self.host.driver.frozen_at
        at = found.timestamp if frozen is None else frozen
        base = found.base if base is None else base
        return found._replace(timestamp=self._bound_timestamp(at), base=base)

    def _bound_timestamp(self, at: int) -> int:
        """Return a node's claimed time of the next block, clamped to plausible bounds [seconds].

        The lower bound is the time of the followed block. The upper bound is an hour after that, since no
        hash binds the claim. A test chain has no upper bound, since its clock jumps.
        """
        followed = self.mirror.model.timestamp
        latest = at if self.node.chain_id in TEST_CHAINS else followed + _AHEAD
        return max(min(at, latest), followed)

    @property
    def addresses(self) -> Mapping[str, str]:
        return self.chain.addresses

    @property
    def fields_compared(self) -> int:
        return self.mirror.fields_compared

    def apply(self, action: Action) -> Outcome:
        """Send a call, wait until it is mined, follow the chain to its block and return its outcome.

        A call that would revert is not sent; its outcome has the revert reason. Raise BackstopError if a
        reorg removes the transaction.
        """
        foreseen = self.dry_run(action)
        if not foreseen.ok:
            return foreseen
        sent = self.send_action_without_waiting(action)
        self.sent_transactions.add(sent)
        self.host.wait_for_receipt(sent)
        for _ in range(_LOOKS):
            self.follow_chain()
            for seen in self.mirror.seen:
                if seen.transaction == sent:
                    return seen.outcome
            # A receipt can be there before its block is the newest.
            time.sleep(0.01)
        raise BackstopError(f"transaction {sent} is no longer part of the chain")

    def send_action_without_waiting(self, action: Action) -> str:
        """Send a call as a signed transaction and return the transaction's hash at once."""
        return self.host.send_transaction_without_waiting(action.sender, *self.encode_call(action))

    def dry_run(self, action: Action) -> Outcome:
        """Return the outcome that a call would have in the next block, by a static call to the node."""
        function = self.chain.get_function(action.contract, action.method, len(action.args))
        return self.chain.decode_outcome_or_revert(
            function, self.host.static_call(action.sender, *self.encode_call(action))
        )

    def dry_run_within_gas(self, action: Action, gas: int) -> Outcome:
        """Return the outcome that a call would have in the next block with exactly this gas limit."""
        function = self.chain.get_function(action.contract, action.method, len(action.args))
        sender, (to, data) = action.sender, self.encode_call(action)
        return self.chain.decode_outcome_or_revert(function, self.host.static_call(sender, to, data, gas=gas))

    def dry_run_with_gas(self, action: Action, client: RpcClient | None = None) -> tuple[Outcome, int]:
        """Return the outcome that a call would have in the next block, and the gas it would use.

        `client` is the node to ask; None asks the node in use.
        """
        function = self.chain.get_function(action.contract, action.method, len(action.args))
        result = self.host.dry_run_with_gas(action.sender, *self.encode_call(action), client)
        return self.chain.decode_outcome_or_revert(function, result), result.gas

    def can_succeed_on_model(self, sender: str, to: str, data: bytes, timestamp: int) -> bool | None:
        """Return whether a call would succeed on the model, in the block after the followed one.

        `timestamp` is the time of that block. The model is left unchanged. None if the target or the function
        is not of this deployment.
        """
        name, model = self.chain.names.get(to.lower(), ""), self.mirror.model
        read = self.chain.decode_call(name, data) if name in model.world.contracts else None
        if read is None:
            return None
        world = model.world
        before = world.timestamp, world.block_number
        world.timestamp, world.block_number = timestamp, self.next_block_number
        try:
            return model.dry_run(Action(name, *read, sender)).ok
        finally:
            world.timestamp, world.block_number = before

    def encode_call(self, action: Action) -> tuple[str, bytes]:
        """Return the target's address and the ABI-encoded data of a call."""
        function = self.chain.get_function(action.contract, action.method, len(action.args))
        return self.addresses[action.contract], function.encode_call(action.args)

    def view(self, contract: str, method: str, *args: Any) -> Any:
        """Call a view function on the chain and return its value.

        Raise RevertError if the contract reverts.
        """
        return self.chain.view(contract, method, *args)

    def snapshot(self) -> Snapshot:
        """Return all contract storage, read from the chain, by contract, storage path and key."""
        self.follow_chain()
        self.chain.track_world_slots(self.mirror.model.world)
        return self.chain.snapshot()

    # ------------------------------------------------------------------- following

    def follow_chain(self) -> None:
        """Follow the chain up to the node's newest block, in the model and in the vault index."""
        self.mirror.sync_to_head()
        self.book.update_index_from_mirror()

    def _follow_history(self, stop: Callable[[], bool], progress: Callable[[Mirror, int], None]) -> None:
        """Follow the chain up to its newest block at the start, across reorgs.

        Leave a node after five attempts in vain. Raise BackstopError if there is no other node, or once
        `stop` returns true.
        """
        mirror, takeover, tries = self.mirror, Takeover(), 0
        while True:
            try:
                head = self.node.get_head().number

                def check_stop(head: int = head) -> bool:
                    progress(self.mirror, head)
                    return stop()

                self.mirror.follow_unchecked(stop=check_stop)
                if stop():
                    raise BackstopError(f"stopped at block {self.mirror.block}, before anything was done")
                return self.follow_chain()
            except NodeUnavailableError as error:
                if not error.lacks_block:
                    raise
                problem: BackstopError = error
            except ReorgError as error:
                if takeover.should_retry_on_missing_block(self.node, mirror.block, mirror.hash, str(error)):
                    continue
                problem = error
                mirror.roll_back_after_reorg()
            tries += 1
            if tries % _TRIES == 0 and not self.node.client.switch_node(str(problem)):
                raise BackstopError(f"stopped: {problem}")
            sleep_in_short_naps(_AGAIN, stop)

    def _check_resumed(self, snapshot: Path | None) -> None:
        """Compare the state restored from a snapshot with the chain; raise BackstopError if they differ."""
        try:
            self.mirror.compare_all_known_slots()
        except ReorgError:
            self.resync_and_describe_reorg()
        if self.mirror.differences:
            raise BackstopError(
                f"{snapshot} does not hold what the chain has ({self.mirror.differences[0]}): start from "
                "nothing with --cold"
            )

    def resync_and_describe_reorg(self) -> str:
        """Roll the model back after a reorg and follow the new branch; return a description of the reorg."""
        self.node.check_chain()
        attach_system(self.deployment, self.host, self.chain.artifacts)
        done = self.mirror.roll_back_after_reorg()
        self.follow_chain()
        return done

    def drain_mined_calls(self) -> list[MinedCall]:
        """Return the mined calls of all accounts since the last drain, in order, and forget them."""
        seen, self.mirror.seen = self.mirror.seen, []
        return seen

    def compare_state(self) -> None:
        """Compare the model's state with the chain's, and check the numbered properties on it.

        Raise BackstopError if model and chain differ.
        """
        self.follow_chain()
        self.mirror.compare_all_known_slots()
        self.raise_differences()
        properties.check_state_properties(self.mirror.model.snapshot(), self.addresses)

    def build_trace(self, reason: str = "") -> ProtocolTrace:
        """Return a trace of all calls since the contracts were configured, for a repetition elsewhere.

        Only a system opened with `impersonate` keeps these calls. `reason` is stored in the trace.
        """
        mirror = self.mirror
        return ProtocolTrace(
            mirror.steps, mirror.configured_at or 0, 0, reason, parameters=self.deployment.parameters
        )

    def raise_differences(self) -> None:
        """Raise BackstopError if model and chain have differed since the start."""
        self.mirror.raise_differences()

    # ------------------------------------------------------------------------ time

    def advance(self, seconds: int, blocks: int | None = None) -> None:
        """Move the chain's time forward by `seconds`, and mine at least one block with the new time.

        Without `blocks`, a chain on which auctions count blocks gets a block for each slot, at most 500.
        Hardhat does not allow two blocks with the same time: if the time has passed, the earliest possible
        time is set. Raise BackstopError if the node does not let its time be set.
        """
        self.host.driver.require_drivable_node("time is set")
        at = self.timestamp + seconds
        if blocks is None:
            whole = count_slots(at - seconds, max(0, seconds), self.deployment.parameters.block_time)
            blocks = min(whole, _MOST_EMPTY)
        self.host.driver.mine_blocks_until_time(at, blocks)
        self.follow_chain()

    def impersonate_and_freeze_time(self) -> AbstractContextManager[None]:
        """Return a context manager in which any account can send and time stands still.

        Time then moves only by `advance`.
        """
        return self.host.driver.play_any_sender()


def market_view(
    mirror: Mirror,
    timestamp: int,
    gas_price: int = 0,
    gas_token: str | None = None,
    reserved: Mapping[tuple[str, str], int] = MappingProxyType({}),
    finder: VaultFinder | None = None,
) -> KeeperView:
    """Return the state as keepers see it, with prices of the deployment's own markets.

    `timestamp` is the time of the next block, `gas_price` is in wei. `gas_token` is the collateral token that
    gives the price of the gas coin; the default is the first symbol that contains ETH, else the first symbol.
    `reserved` holds the amounts that pending transactions may spend, by token and owner. `finder` finds
    vaults without a scan.
    """
    parameters, addresses = mirror.deployment.parameters, mirror.chain.addresses
    # Not copied: it is looked at before anything changes.
    snapshot = {name: each.tables for name, each in mirror.model.world.contracts.items()}
    types = range(len(parameters.collateral_types))
    nothing, number = MarketData((0,) * len(types), 0, gas_price), mirror.block + 1
    view = KeeperView(snapshot, addresses, timestamp, nothing, parameters, number=number)
    prices = tuple(_get_market_or_feed_price(view, c) for c in types)
    symbols = [each.symbol for each in parameters.collateral_types]
    if gas_token is None:
        gas_token = next((symbol for symbol in symbols if "ETH" in symbol), symbols[0])
    if gas_token not in symbols:
        raise BackstopError(f"gas token {gas_token!r} is not one of: {', '.join(symbols)}")
    # Equity has no market here.
    equity_price = view.get_feed_price_record(EQUITY_MARKET).current if view.has_equity else 0
    outside = MarketData(prices, prices[symbols.index(gas_token)], gas_price, equity_price)
    return KeeperView(
        snapshot, addresses, timestamp, outside, parameters, number=number, reserved=reserved, finder=finder
    )


def _get_market_or_feed_price(view: KeeperView, collateral_type: int) -> int:
    """Return the price in the deployment's market, or the feed's price if there is no market [ray]."""
    pool = view.find_constant_product_pool(collateral_type)
    return view.get_feed_price_record(collateral_type).current if pool is None else pool.price
