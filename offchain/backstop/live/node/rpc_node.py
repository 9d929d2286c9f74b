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
    """Error raised if a reorg or a change of node interrupted a read, which can be repeated."""

    lacks_block = True


class Head(NamedTuple):
    """Number, hash and timestamp of a chain's newest block."""

    number: int
    hash: str
    timestamp: int


class Outlook(NamedTuple):
    """Conditions for a transaction that is sent now.

    They are the time that the node expects for the next block [seconds], the base fee of the newest block
    [wei], the usual tip of the last blocks [wei] and the newest block's number.
    """

    timestamp: int
    base: int
    tip: int
    head: int

    def offer_fees(self, cap: int = FEE_CAP, tip_cap: int = TIP_CAP) -> Fees:
        """Return the fees to offer: twice the base fee plus the tip, within the caps [wei per gas]."""
        return offer_fees(self.base, self.tip, cap, tip_cap)


class Node:
    """Client of a node at a URL, or of several nodes of one chain if `client` is a Failover.

    Once `stop` returns true, no answer is waited for.
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
        """URL of the node in use, for messages."""
        return self.client.where

    def request(self, method: str, *params: Any) -> Any:
        """Return the result of a JSON-RPC call; raise RpcError if the node returns an error."""
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
        """Hash of block 0, which distinguishes chains with the same chain id."""
        found = self.get_block_hash(0)
        if found is None:
            raise NodeUnavailableError(
                f"the node at {self.url} has no block 0: name one that has all headers"
            )
        return found

    @cached_property
    def version(self) -> str:
        """Name and version of the node's client software; "" if the node does not tell."""
        try:
            return str(self.request("web3_clientVersion"))
        except RpcError:
            return ""

    @property
    def is_anvil(self) -> bool:
        """Whether the node is an Anvil, which lets time and senders be set."""
        return self.version.startswith("anvil/")

    @property
    def is_hardhat(self) -> bool:
        """Whether the node is a Hardhat (version 2 or 3), which lets time and senders be set."""
        return self.version.startswith("HardhatNetwork/")

    @property
    def is_test_chain(self) -> bool:
        """Whether the chain is a test chain, on which coins are worthless."""
        return self.chain_id in TEST_CHAINS or self.version.lower().startswith(("anvil", "hardhat"))

    def get_head(self) -> Head:
        """Return the newest block."""
        block = self.request("eth_getBlockByNumber", "latest", False)
        return Head(int(block["number"], 16), block["hash"], int(block["timestamp"], 16))

    def get_block_hash(self, number: int) -> str | None:
        """Return the hash of a block; None if the chain has no block of that number."""
        block = self.request("eth_getBlockByNumber", hex(number), False)
        return None if block is None else str(block["hash"])

    def next_time(self) -> int:
        """Return the timestamp that the node expects for the next block [seconds]."""
        return self.get_outlook().timestamp

    def get_outlook(self) -> Outlook:
        """Return the time of the next block, the base fee and the usual tip, read in one exchange."""
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
        """Return the blocks `first` to `last` with their transactions, each with its receipts.

        Raise RetryError if a reorg happened during the read.
        """
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
        """Check that the node is on the deployment's chain, and keep checking from now on.

        Of several nodes, those on another chain are no longer asked. Raise BackstopError if no node is on the
        deployment's chain.
        """
        where = deployment.chain_id, deployment.genesis, deployment.block, deployment.creations[0].address
        self.client.drop_nodes_of_other_chain(*where)
        check_chain(deployment, get_chain_id(self.client), self.genesis)
        self._expected = deployment

    def record_height_and_check_chain(self, height: int) -> None:
        """Record the followed height and check the chain, at most every five seconds.

        Raise NodeUnavailableError if the node is on another chain and no other node can take over.
        """
        now = time.monotonic()
        if now < self._looked_at + LOOK_EVERY:
            return
        self._looked_at = now
        self.client.record_height(height)
        self.check_chain()

    def check_chain(self) -> None:
        """Check that the node is still on the deployment's chain, and switch to another node if not.

        Raise NodeUnavailableError if no other node can take over.
        """
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
        """Switch away from the node because of an impossible answer, and return the error to raise.

        The error is a RetryError if another node took over, else a NodeUnavailableError.
        """
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
        """Return how many transactions an account has sent at a block or tag."""
        return int(self.request("eth_getTransactionCount", address, block), 16)

    def get_balance(self, address: str) -> int:
        """Return an account's coin balance at the newest block [wei]."""
        return int(self.request("eth_getBalance", address, "latest"), 16)

    def offer_fees(self, cap: int = FEE_CAP) -> Fees:
        """Return the fees to offer: twice the base fee plus the tip, within the cap [wei per gas]."""
        return self.get_outlook().offer_fees(cap)


def _iter_block_batches_for_receipts(blocks: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Split blocks into batches, each small enough for a node to return its receipts in time."""
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
    """Return the chain id of a node.

    Raise NotANodeError if a contract that runs on the node sees another chain id.
    """
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
    """Return a node's URL, or its socket's path with `~` expanded.

    Raise BackstopError for anything else, such as a chain that would end with the command.
    """
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
    """Return the text in brackets of an error's message; "no answer" if there are none."""
    text = str(error)
    return text[text.index("(") + 1 : text.rindex(")")] if "(" in text and ")" in text else "no answer"


class MissingBlockRetry:
    """Counter of retries for a block that a node lacks, as one of its backends may be a block behind.

    After ten retries the node counts as unavailable.
    """

    def __init__(self) -> None:
        self._tries = 0

    def note_success(self) -> None:
        """Reset the count of retries after a round without an error."""
        self._tries = 0

    def should_look_again(self, error: Exception) -> bool:
        """Return whether the error is a missing block and a retry is left; if so, pause first."""
        if not getattr(error, "lacks_block", False) or self._tries == _MOST_TRIES:
            return False
        self._tries += 1
        time.sleep(_NEXT_TRY)  # the slower backend needs a moment, and announces nothing
        return True


def sleep_in_short_naps(seconds: float, should_stop: Callable[[], bool]) -> None:
    """Sleep for `seconds`, or until `should_stop` returns true, in naps of a tenth of a second."""
    deadline = time.monotonic() + seconds
    while not should_stop() and (left := deadline - time.monotonic()) > 0:
        time.sleep(min(left, 0.1))
