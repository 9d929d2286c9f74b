"""A node as the rest asks it, over JSON-RPC, whichever client it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from backstop.deployment.deployment_file import WrongChainError, check_chain
from backstop.deployment.planned_contracts import Deployment
from backstop.errors import BackstopError
from backstop.files.installation import format_command_as_started
from backstop.hosts.endpoint import is_http, is_path, mask_url, parse_endpoint, require_http_or_socket_path
from backstop.hosts.rpc_client import (
    NodeClient,
    NodeRefusedError,
    NodeUnavailableError,
    NotANodeError,
    RpcClient,
    RpcError,
    never_stop,
)
from backstop.live.node.gas_fees import FEE_CAP, GWEI, TIP_CAP, Fees, offer_fees, usual_tip

LOCAL = "http://127.0.0.1:8545"
TIMEOUT = 20.0
LOOK_EVERY = 5.0
"""Seconds between two looks at which chain a node is on, and how far others are."""
_RECEIPTS_AT_ONCE = 500
# Times that a look is repeated for a block that is missing, and seconds between them.
_MOST_TRIES, _NEXT_TRY = 10, 0.1
# Blocks whose tips are looked at.
_TIPS_OF = 10
# Chains on which the accounts that everybody knows are welcome.
TEST_CHAINS = (1_337, 31_337)
# Code that returns the chain id: a node cannot run it and say another.
_CHAIN_ID = "0x465f5260205ff3"


class RetryError(NodeUnavailableError):
    """An error: the chain was reorganised while it was read, or another node is asked now."""

    lacks_block = True


class Head(NamedTuple):
    """The newest block."""

    number: int
    hash: str
    timestamp: int


class Outlook(NamedTuple):
    """The conditions of a transaction that is sent now.

    The next block's time, as far as the node tells; the newest block's base fee, the last blocks' tip, wei;
    the newest block's number.
    """

    timestamp: int
    base: int
    tip: int
    head: int

    def offer_fees(self, cap: int = FEE_CAP, tip_cap: int = TIP_CAP) -> Fees:
        """Offer twice the base fee and the tip, within their caps."""
        return offer_fees(self.base, self.tip, cap, tip_cap)


class Node:
    """A node by its address, or several nodes of one chain by a client of their own.

    Once `stop` says so no answer is waited for.
    """

    def __init__(
        self,
        url: str,
        timeout: float = TIMEOUT,
        client: RpcClient | None = None,
        stop: Callable[[], bool] = never_stop,
    ) -> None:
        self.client: RpcClient = client or NodeClient(require_lasting_node_address(url), timeout, stop)
        self._looked_at = 0.0
        self._expected: Deployment | None = None

    @property
    def url(self) -> str:
        """The address for messages; of several nodes, that of the one that is asked now."""
        return self.client.where

    def request(self, method: str, *params: Any) -> Any:
        """Make one call."""
        return self.client.request(method, *params)

    @cached_property
    def chain_id(self) -> int:
        try:
            return get_chain_id(self.client)
        except (NotANodeError, NodeRefusedError):
            raise
        except NodeUnavailableError as error:
            raise NodeUnavailableError(
                f"no node answers at {self.url} ({_extract_bracketed_text(error)}): "
                f"`{format_command_as_started('devnet')}` starts one"
            ) from None

    @property
    def genesis(self) -> str:
        """The hash of block 0, by which chains of one id are told apart."""
        found = self.get_block_hash(0)
        if found is None:
            raise NodeUnavailableError(
                f"the node at {self.url} has no block 0: name one that has all headers"
            )
        return found

    @cached_property
    def version(self) -> str:
        """The client's name, "" if it does not tell."""
        try:
            return str(self.request("web3_clientVersion"))
        except RpcError:
            return ""

    @property
    def is_anvil(self) -> bool:
        """Whether time and senders can be set as Anvil has it."""
        return self.version.startswith("anvil/")

    @property
    def is_hardhat(self) -> bool:
        """Whether time and senders can be set as Hardhat has it, of version 2 or 3."""
        return self.version.startswith("HardhatNetwork/")

    @property
    def is_test_chain(self) -> bool:
        """Whether money on the chain is worth nothing."""
        return self.chain_id in TEST_CHAINS or self.version.lower().startswith(("anvil", "hardhat"))

    def get_head(self) -> Head:
        """Return the newest block."""
        block = self.request("eth_getBlockByNumber", "latest", False)
        return Head(int(block["number"], 16), block["hash"], int(block["timestamp"], 16))

    def get_block_hash(self, number: int) -> str | None:
        """Return a block's hash; None if the chain does not reach there."""
        block = self.request("eth_getBlockByNumber", hex(number), False)
        return None if block is None else str(block["hash"])

    def next_time(self) -> int:
        """Return the time that the next block will have, as far as the node tells."""
        return self.get_outlook().timestamp

    def get_outlook(self) -> Outlook:
        """Ask for the outlook in one exchange."""
        wanted = (
            ("eth_getBlockByNumber", ("pending", False)),
            ("eth_getBlockByNumber", ("latest", False)),
            ("eth_feeHistory", (hex(_TIPS_OF), "latest", [50])),
        )
        pending, latest, history = self.client.request_batch_keeping_errors(wanted)
        if isinstance(latest, RpcError):
            raise latest
        # Some nodes know no pending block, or not its time, and some no history of fees.
        at = None if isinstance(pending, RpcError | None) else pending.get("timestamp")
        return Outlook(
            int(latest["timestamp"], 16) + 1 if at is None else int(at, 16),
            int(latest.get("baseFeePerGas") or "0x0", 16),
            GWEI if isinstance(history, RpcError) else usual_tip(history),
            int(latest["number"], 16),
        )

    def get_blocks_with_receipts(
        self, first: int, last: int
    ) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
        """Yield blocks with their transactions, and the receipts of these, in order."""
        numbers = [(hex(number),) for number in range(first, last + 1)]
        blocks = self.client.call_method_in_batches(
            "eth_getBlockByNumber", [(number, True) for (number,) in numbers]
        )
        if None in blocks:
            raise RetryError(f"the node at {self.url} went back behind block {last}")
        busy = [block for block in blocks if block["transactions"]]
        receipts = iter(
            [each for part in _iter_block_batches_for_receipts(busy) for each in self._get_receipts(part)]
        )
        found = [(block, next(receipts) if block["transactions"] else []) for block in blocks]
        for block, own in found:
            # It may have been reorganised between the two questions.
            if [each["transactionHash"] for each in own] != [each["hash"] for each in block["transactions"]]:
                raise RetryError(f"the node at {self.url} went back while it was read")
            for sent, receipt in zip(block["transactions"], own, strict=True):
                if sent["to"] is None and receipt["contractAddress"] is None:
                    raise self.leave_node_and_build_error(f"what {sent['hash']} created has no address")
        return found

    def require_deployment(self, deployment: Deployment) -> None:
        """Be of a deployment's chain from now on; of several nodes, leave those of another one."""
        where = deployment.chain_id, deployment.genesis, deployment.block, deployment.creations[0].address
        self.client.drop_nodes_of_other_chain(*where)
        check_chain(deployment, get_chain_id(self.client), self.genesis)
        self._expected = deployment

    def record_height_and_check_chain(self, height: int) -> None:
        """Note a height; now and then, raise NodeUnavailableError if this is another chain."""
        now = time.monotonic()
        if now < self._looked_at + LOOK_EVERY:
            return
        self._looked_at = now
        self.client.record_height(height)
        self.check_chain()

    def check_chain(self) -> None:
        """Leave a node that is of another chain by now; raise NodeUnavailableError if there is no other."""
        if self._expected is not None:
            try:
                check_chain(self._expected, get_chain_id(self.client), self.genesis)
            except WrongChainError as error:
                where = self.url
                if not self.client.switch_node(str(error)):
                    raise NodeUnavailableError(
                        f"the node at {where} is of another chain now: {error}"
                    ) from None

    def leave_node_and_build_error(self, problem: str) -> NodeUnavailableError:
        """Leave a node that told what cannot be; return the error, RetryError if another node took over."""
        text = f"the node at {self.url} is not believed: {problem}"
        return RetryError(text) if self.client.switch_node(problem) else NodeUnavailableError(text)

    def _get_receipts(self, blocks: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
        try:
            found = self.client.call_method_in_batches(
                "eth_getBlockReceipts", [(block["number"],) for block in blocks]
            )
        except RpcError:  # an older node
            names = [(each["hash"],) for block in blocks for each in block["transactions"]]
            single = iter(self.client.call_method_in_batches("eth_getTransactionReceipt", names))
            found = [[next(single) for _ in block["transactions"]] for block in blocks]
        if None in found or any(None in receipts for receipts in found):
            raise RetryError(f"the node at {self.url} went back while it was read")
        return found

    def get_nonce(self, address: str, block: str = "pending") -> int:
        """Return how many transactions an account has sent."""
        return int(self.request("eth_getTransactionCount", address, block), 16)

    def get_balance(self, address: str) -> int:
        """Return an account's coins [wei]."""
        return int(self.request("eth_getBalance", address, "latest"), 16)

    def offer_fees(self, cap: int = FEE_CAP) -> Fees:
        """Offer twice the base fee and the last blocks' tip, within the cap."""
        return self.get_outlook().offer_fees(cap)


def _iter_block_batches_for_receipts(blocks: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Split blocks into batches, each small enough for a node to return its receipts before a timeout."""
    part: list[dict[str, Any]] = []
    count = 0
    for block in blocks:
        count += len(block["transactions"])
        if part and count > _RECEIPTS_AT_ONCE:
            yield part
            part, count = [], len(block["transactions"])
        part.append(block)
    if part:
        yield part


def get_chain_id(client: RpcClient) -> int:
    """Return the chain id of a node; raise an error if its contracts see another."""
    said = int(client.request("eth_chainId"), 16)
    try:
        seen = client.request("eth_call", {"data": _CHAIN_ID}, "latest")
    except RpcError:  # some nodes call contracts only
        return said
    if len(seen) == 66 and int(seen, 16) != said:
        raise NotANodeError(
            f"the node at {client.where} says it is on chain {said}, its contracts see chain "
            f"{int(seen, 16)}: use another node"
        )
    return said


def require_lasting_node_address(url: str, option_name: str = "--network") -> str:
    """Refuse what names no chain that outlives the command: only an address or a socket's path does."""
    if is_path(url):
        return str(Path(url).expanduser())
    require_http_or_socket_path(url)
    if is_http(url):
        parse_endpoint(url)
        return url
    raise BackstopError(
        f"{option_name} {mask_url(url)!r} is not an address of a chain that stays: start one with "
        f"`{format_command_as_started('devnet')}` and name it, {option_name} {LOCAL}"
    )


def _extract_bracketed_text(error: Exception) -> str:
    """Return what is in brackets in the client's message."""
    text = str(error)
    return text[text.index("(") + 1 : text.rindex(")")] if "(" in text and ")" in text else "no answer"


class MissingBlockRetry:
    """Retries for a block that an endpoint lacks: one of its backends may be a block behind another.

    After `_MOST_TRIES` retries the node counts as unavailable.
    """

    def __init__(self) -> None:
        self._tries = 0

    def note_success(self) -> None:
        """Start to count retries anew, after a look without an error."""
        self._tries = 0

    def should_look_again(self, error: Exception) -> bool:
        """Return True if the error is a missing block and a retry is left; pause first."""
        if not getattr(error, "lacks_block", False) or self._tries == _MOST_TRIES:
            return False
        self._tries += 1
        time.sleep(_NEXT_TRY)  # the slower backend needs a moment, and announces nothing
        return True


def sleep_in_short_naps(seconds: float, should_stop: Callable[[], bool]) -> None:
    """Sleep in short naps, so that a signal is heard."""
    deadline = time.monotonic() + seconds
    while not should_stop() and (left := deadline - time.monotonic()) > 0:
        time.sleep(min(left, 0.1))
