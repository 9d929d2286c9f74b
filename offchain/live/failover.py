"""Several nodes of one chain behind one client: one is asked; when it fails, stalls, lags or is of another
chain it is left for a while, and the next that is well takes over.

Whether a node is of the same chain is told by the chain id, which its contracts have to see too, by a
contract that has to be there, and by the hashes of two old blocks: the genesis and the one before the
deployment. The first node that fits sets these.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from offchain.chain.rpc import Client, NodeGone, RpcError
from offchain.errors import BackstopError
from offchain.live.node import chain_id_of, check_url

T = TypeVar("T")

MOST_BEHIND = 3
"""Blocks that a node may be behind another."""

_FIRST_LEAVE, _LONGEST_LEAVE = 5.0, 300.0
# Between two looks at another node's height.
_LOOK_EVERY = 5.0


class _Member:
    def __init__(self, url: str, timeout: float) -> None:
        self.client = Client(check_url(url), timeout)
        self.away_until = 0.0
        self.failures = 0


class Failover:
    """`say` gets a line for each node that is left and each that takes over."""

    def __init__(self, urls: Sequence[str], timeout: float, say: Callable[[str], None]) -> None:
        self._members = [_Member(url, timeout) for url in urls]
        self._say = say
        self._now: _Member | None = None
        self._chain_id: int | None = None
        self._contract: str | None = None
        self._anchored = [0]
        self._anchors: dict[int, str] = {}
        self._height = 0
        self._looked_at = 0.0

    @property
    def where(self) -> str:
        return (self._now or self._members[0]).client.where

    def request(self, method: str, *params: Any) -> Any:
        """The result of one call, of the first node that gives one; raises RpcError if it refuses."""
        return self._ask(lambda client: client.request(method, *params))

    def batch(self, method: str, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
        """One method with many parameters."""
        return self._ask(lambda client: client.batch(method, calls))

    def each(self, calls: Sequence[tuple[str, tuple[Any, ...]]]) -> list[Any]:
        """A few calls in one exchange with one node."""
        return self._ask(lambda client: client.each(calls))

    def close(self) -> None:
        for member in self._members:
            member.client.close()

    def expect(self, chain_id: int, block: int, contract: str) -> None:
        """From now on leave nodes of another chain, with another such block, or without the contract."""
        self._chain_id, self._anchored, self._contract = chain_id, [0, block], contract
        if self._now is not None:
            self._try(self._now)
        self._member()

    def leave(self, problem: str) -> bool:
        """Ask another node from now on; False if there is none that is well."""
        before = self._now
        if before is not None:
            self._leave(before, problem)
        try:
            return self._member() is not before
        except NodeGone:
            return False

    def has(self, number: int, block: str) -> bool:
        """Whether another node than the present one has this block: then the present one is on a fork."""
        for member in self._members:
            if member is not self._now and time.monotonic() >= member.away_until:
                try:
                    if _hash(member.client, number) == block:
                        return True
                except BackstopError:
                    pass
        return False

    def reached(self, height: int) -> None:
        """Told the height that was seen; now and then compares it with another node's."""
        self._height = height
        now = time.monotonic()
        if now < self._looked_at + _LOOK_EVERY:
            return
        self._looked_at = now
        others = [each for each in self._members if each is not self._now and now >= each.away_until]
        if not others:
            return
        other = others[int(now / _LOOK_EVERY) % len(others)]
        try:
            ahead = int(other.client.request("eth_blockNumber"), 16) - height
        except BackstopError as error:
            self._leave(other, str(error))
            return
        # Whoever claims to be ahead has to be of this chain, and to have the blocks.
        if ahead > MOST_BEHIND and self._try(other) and _has(other.client, height + ahead):
            self.leave(f"it is {ahead} blocks behind {other.client.where}")

    def _ask(self, question: Callable[[Client], T]) -> T:
        while True:
            member = self._member()
            try:
                answer = question(member.client)
            except RpcError:
                raise
            except BackstopError as error:  # gone, silent, or no node at all
                self._leave(member, str(error))
            else:
                member.failures = 0
                return answer

    def _member(self) -> _Member:
        """The present node, or the first that is well."""
        if self._now is not None:
            return self._now
        # If all were left they are all tried: whoever asks waits in between.
        now = time.monotonic()
        rested = [each for each in self._members if now >= each.away_until] or self._members
        for member in rested:
            if self._try(member):
                self._now = member
                self._say(f"asking the node at {member.client.where}")
                return member
        raise NodeGone(f"none of the {len(self._members)} nodes can be asked")

    def _try(self, member: _Member) -> bool:
        """Whether a node is well and of this chain; it is left if not."""
        try:
            problem = self._problem(member.client)
        except BackstopError as error:
            problem = str(error)
        if problem is not None:
            self._leave(member, problem)
        return problem is None

    def _problem(self, client: Client) -> str | None:
        found = chain_id_of(client)
        if self._chain_id is not None and found != self._chain_id:
            return f"it is on chain {found}, not on chain {self._chain_id}"
        anchors = {}
        for number in self._anchored:
            there = _hash(client, number)
            if there is None:
                return f"it has not reached block {number}"
            if self._anchors.get(number, there) != there:
                return f"it has another block {number}: it is of another chain"
            anchors[number] = there
        contract = self._contract
        if contract is not None and client.request("eth_getCode", contract, "latest") == "0x":
            return f"it has no contract at {contract}"
        behind = self._height - int(client.request("eth_blockNumber"), 16)
        if behind > MOST_BEHIND:
            return f"it is {behind} blocks behind"
        self._anchors |= anchors
        return None

    def _leave(self, member: _Member, problem: str) -> None:
        member.failures += 1
        pause = min(_FIRST_LEAVE * 2 ** (member.failures - 1), _LONGEST_LEAVE)
        member.away_until = time.monotonic() + pause
        if self._now is member:
            self._now = None
        self._say(f"left the node at {member.client.where} for {pause:.0f} s: {problem}")


def _hash(client: Client, number: int) -> str | None:
    block = client.request("eth_getBlockByNumber", hex(number), False)
    return None if block is None else str(block["hash"])


def _has(client: Client, number: int) -> bool:
    try:
        return _hash(client, number) is not None
    except BackstopError:
        return False
