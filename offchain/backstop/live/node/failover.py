"""Several nodes of one chain behind one client.

One is asked; when it fails, stalls, lags, refuses or is of another chain it is left for a while, and the next
that is well takes over. An error that is the call's own answer, as a revert is, is no reason to ask another.

A node is of the same chain if it has the chain id, which its contracts have to see too, a contract that has
to be there, the genesis of the deployment's file, and the block before the deployment: the first node that
fits sets its hash.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from backstop.errors import BackstopError
from backstop.hosts.rpc_client import NodeClient, NodeRefusedError, NodeUnavailableError, RpcError, never_stop
from backstop.live.node.rpc_node import LOOK_EVERY, Node, get_chain_id, require_lasting_node_address

T = TypeVar("T")

MOST_BEHIND = 3
"""Blocks that a node may be behind another."""
REMEMBERED = 30.0
"""A height that no node has any more after so long is of a chain that went back [seconds]."""

# Seconds that a node that took over may be behind blocks that were seen, and until it is asked again: loops
# take no pause of their own then.
_BEHIND, _AGAIN = 5.0, 0.1
_FIRST_LEAVE, _LONGEST_LEAVE = 5.0, 300.0
# What the newest answer counts in a node's latency; the seconds after which an error counts half.
_WEIGHT, _HALF_LIFE = 0.1, 300.0


class _BehindReason(str):
    """Reason to switch away from a node that is on the right chain, but is behind other nodes."""


class _NodeMember:
    def __init__(self, url: str, timeout: float, stop: Callable[[], bool]) -> None:
        self.client = NodeClient(require_lasting_node_address(url), timeout, stop)
        self.timeout = timeout
        self.away_until = 0.0
        # Until then it wants to be left alone; before `away_until` it is asked if there is nobody else.
        self.not_before = 0.0
        self.failures = 0
        self.behind = False
        """Whether that was why it was left the last time: it answers."""
        self._seconds = self._errors = self._erred_at = 0.0

    def note_answer(self, seconds: float) -> None:
        """Record an answer and its duration [seconds], and reset the failure count."""
        self.failures = 0
        self._seconds += (seconds - self._seconds) * _WEIGHT

    def note_error(self, now: float) -> None:
        """Record a failed request at time `now`."""
        self.failures += 1
        self._errors, self._erred_at = 1.0 + self._get_decayed_errors(now), now

    def compute_score(self, now: float) -> int:
        """Return the node's expected cost of a request [tenths of a second]; lower is better.

        It is the average latency, plus a timeout for each recent error, which fades with time.
        """
        return int(10 * (self._seconds + self.timeout * self._get_decayed_errors(now)))

    def _get_decayed_errors(self, now: float) -> float:
        return float(self._errors * 0.5 ** ((now - self._erred_at) / _HALF_LIFE))


class Failover:
    """Client of several nodes of one chain, which switches to another node when the node in use fails.

    `say` receives a line for each switch. `clock` returns seconds. Once `stop` returns true, no answer is
    waited for.
    """

    def __init__(
        self,
        urls: Sequence[str],
        timeout: float,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        stop: Callable[[], bool] = never_stop,
    ) -> None:
        self._members = [_NodeMember(url, timeout, stop) for url in urls]
        self._say = say
        self._clock = clock
        self._now: _NodeMember | None = None
        self._chain_id: int | None = None
        self._contract: str | None = None
        self._anchored = [0]
        self._anchors: dict[int, str] = {}
        self._height, self._height_at = 0, 0.0
        self._trouble = ""

    @property
    def where(self) -> str:
        return (self._now or self._members[0]).client.where

    def request(self, method: str, *params: Any, size: int | None = None) -> Any:
        """Return the result of one call, from the first node that answers.

        Raise RpcError if the answer is an error, and NodeUnavailableError if no node answers.
        """
        return self._ask_node(lambda client: client.request(method, *params, size=size))

    def call_method_in_batches(self, method: str, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Return the results of one method for many parameter lists, in their order, from one node."""
        return self._ask_node(lambda client: client.call_method_in_batches(method, calls))

    def request_batch_keeping_errors(self, calls: Sequence[tuple[str, tuple[Any, ...]]]) -> list[Any]:
        """Return the results of several calls, sent in one exchange to one node.

        An RpcError takes the place of the result of a failed call.
        """
        return self._ask_node(lambda client: client.request_batch_keeping_errors(calls))

    def close(self) -> None:
        for member in self._members:
            member.client.close()

    def drop_nodes_of_other_chain(self, chain_id: int, genesis: str, block: int, contract: str) -> None:
        """Use only nodes of this chain from now on.

        A node must have the chain id, the genesis hash, a common hash of block `block` and code at
        `contract`.
        """
        self._chain_id, self._anchored, self._contract = chain_id, [0, block], contract
        self._anchors = {0: genesis}
        if self._now is not None:
            self._is_usable(self._now)
        self._pick_member()

    def switch_node(self, problem: str) -> bool:
        """Stop asking the node in use for a while because of `problem`, and choose another node.

        Return False if no other node can take over.
        """
        before = self._now
        if before is not None:
            self._leave_member(before, problem)
        try:
            return self._pick_member() is not before
        except NodeUnavailableError:
            return False

    @property
    def count(self) -> int:
        """Number of nodes."""
        return len(self._members)

    def list_other_nodes(self) -> Sequence[NodeClient]:
        """Return the clients of the other nodes that are healthy and on this chain."""
        now = self._clock()
        others = [each for each in self._members if each is not self._now and now >= each.away_until]
        return [each.client for each in others if self._is_usable(each)]

    def is_block_on_another_node(self, number: int, block_hash: str) -> bool:
        """Return whether another node has the block; if so, the node in use is behind or on a fork."""
        for member in self._members:
            if member is not self._now and self._clock() >= member.away_until:
                try:
                    if _get_block_hash(member.client, number) == block_hash:
                        return True
                except BackstopError:
                    pass
        return False

    def is_confirmed_by_another_node(self, number: int, block_hash: str) -> bool:
        """Return whether another node has the block, or no other node of this chain answers.

        A node that was behind is asked too: it may be the only node that is on no fork.
        """
        alone = True
        for member in self._members:
            if member is self._now or (self._clock() < member.away_until and not member.behind):
                continue
            try:
                if _get_block_hash(member.client, number) == block_hash:
                    return True
            except BackstopError as error:
                self._leave_member(member, error)
            else:
                alone = alone and not (member.behind or self._is_of_this_chain(member))
        return alone

    def _is_of_this_chain(self, member: _NodeMember) -> bool:
        return self._is_usable(member) or member.behind

    def record_height(self, height: int) -> None:
        """Record the followed block height, and compare it with the height of another node.

        The client switches to another node if the node in use is more than three blocks behind that node.
        """
        now = self._clock()
        self._height, self._height_at = height, now
        if self._now is not None and not self._is_usable(self._now):  # it may be of another chain by now
            return
        others = [each for each in self._members if each is not self._now and now >= each.away_until]
        if not others:
            return
        other = others[int(now / LOOK_EVERY) % len(others)]
        try:
            ahead = int(other.client.request("eth_blockNumber"), 16) - height
        except BackstopError as error:
            self._leave_member(other, error)
            return
        # Whoever claims to be ahead has to be of this chain, and to have the blocks.
        if ahead > MOST_BEHIND and self._is_usable(other) and _has_block(other.client, height + ahead):
            self.switch_node(_BehindReason(f"it is {ahead} blocks behind {other.client.where}"))

    def _ask_node(self, question: Callable[[NodeClient], T]) -> T:
        asked: list[_NodeMember] = []
        while True:
            member = self._pick_member(asked)
            asked.append(member)
            began = self._clock()
            try:
                answer = question(member.client)
            except BackstopError as error:  # refusing, gone, silent, or no node at all
                if isinstance(error, RpcError) and not isinstance(error, NodeRefusedError):
                    raise
                self._leave_member(member, error)
            else:
                member.note_answer(self._clock() - began)
                return answer

    def _pick_member(self, asked: Sequence[_NodeMember] = ()) -> _NodeMember:
        """Return the node in use, or the healthy node with the lowest cost that is not in `asked`.

        Between nodes of equal cost, the first wins. Raise NodeUnavailableError if none is usable.
        """
        if self._now is not None:
            return self._now
        # If all were left they are all tried: whoever asks waits in between.
        now = self._clock()
        others = [each for each in self._members if each not in asked and now >= each.not_before]
        others.sort(key=lambda each: each.compute_score(now))
        for member in [each for each in others if now >= each.away_until] or others:
            if self._is_usable(member):
                self._now = member
                self._say(f"asking the node at {member.client.where}")
                return member
        raise self._build_no_node_error()

    def _build_no_node_error(self) -> NodeUnavailableError:
        """Return the error that no node can be asked, with the delay until the next attempt."""
        why = f": {self._trouble}" if self._trouble else ""
        error = NodeUnavailableError(f"none of the {len(self._members)} nodes can be asked{why}")
        error.retry_after = max(0.0, min(each.not_before for each in self._members) - self._clock())
        return error

    def _is_usable(self, member: _NodeMember) -> bool:
        """Return whether a node is healthy and on this chain; if not, do not ask it for a while."""
        problem: str | BackstopError | None
        try:
            problem = self._find_problem(member.client)
        except BackstopError as error:
            problem = error
        if problem is not None:
            self._leave_member(member, problem)
        return problem is None

    def _find_problem(self, client: NodeClient) -> str | None:
        found = get_chain_id(client)
        if self._chain_id is not None and found != self._chain_id:
            return f"it is on chain {found}, not on chain {self._chain_id}"
        anchors = {}
        for number in self._anchored:
            there = _get_block_hash(client, number)
            if there is None:
                return f"it has not reached block {number}"
            known = self._anchors.get(number, there)
            if known != there:
                return f"its block {number} is {there}, not {known}: it is of another chain"
            anchors[number] = there
        contract = self._contract
        if contract is not None and client.request("eth_getCode", contract, "latest") == "0x":
            return f"it has no contract at {contract}"
        behind = self._height - int(client.request("eth_blockNumber"), 16)
        if behind > MOST_BEHIND and self._clock() < self._height_at + REMEMBERED:
            return _BehindReason(f"it is {behind} blocks behind")
        self._anchors |= anchors
        return None

    def _leave_member(self, member: _NodeMember, problem: str | BackstopError) -> None:
        now = self._clock()
        member.note_error(now)
        member.behind = isinstance(problem, _BehindReason)
        wanted = problem.retry_after if isinstance(problem, NodeUnavailableError) else 0.0
        # 2 to the power of some thousand is too large for a float.
        pause = max(wanted, min(_FIRST_LEAVE * 2 ** min(member.failures - 1, 30), _LONGEST_LEAVE))
        member.away_until, member.not_before = now + pause, now + wanted
        self._trouble = str(problem)
        if self._now is member:
            self._now = None
        self._say(f"left the node at {member.client.where} for {pause:.0f} s: {problem}")


class Takeover:
    """Decision whether a missing block means a reorg, or is missing only on the present node.

    The present node may be behind or on a fork.
    """

    def __init__(self) -> None:
        self._since: float | None = None

    def note_chain_followed(self) -> None:
        """Record that the chain was followed, which ends the grace time for a node that is behind."""
        self._since = None

    def should_retry_on_missing_block(self, node: Node, block: int, block_hash: str, why: str) -> bool:
        """Return whether a missing block is missing only on this node, so that the caller should retry.

        The client switches to another node if that has the block. A node that took over may be a few blocks
        behind for five seconds.
        """
        client = node.client
        if not isinstance(client, Failover):
            return False
        if client.is_block_on_another_node(block, block_hash) and client.switch_node(why):
            return True
        now = time.monotonic()
        self._since = self._since or now
        if now < self._since + _BEHIND and (
            node.get_head().number < block or node.get_block_hash(block) == block_hash
        ):
            time.sleep(_AGAIN)
            return True
        return False


def _get_block_hash(client: NodeClient, number: int) -> str | None:
    block = client.request("eth_getBlockByNumber", hex(number), False)
    return None if block is None else str(block["hash"])


def _has_block(client: NodeClient, number: int) -> bool:
    try:
        return _get_block_hash(client, number) is not None
    except BackstopError:
        return False
