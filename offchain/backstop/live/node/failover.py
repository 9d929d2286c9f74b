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
from backstop.hosts.rpc import Client, NodeGone, NodeRefused, RpcError, never
from backstop.live.node.rpc_node import LOOK_EVERY, Node, chain_id_of, check_url

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


class _Behind(str):
    """Why a node is left that answers, and is of this chain as far as it got."""


class _Member:
    def __init__(self, url: str, timeout: float, stop: Callable[[], bool]) -> None:
        self.client = Client(check_url(url), timeout, stop)
        self.timeout = timeout
        self.away_until = 0.0
        # Until then it wants to be left alone; before `away_until` it is asked if there is nobody else.
        self.not_before = 0.0
        self.failures = 0
        self.behind = False
        """Whether that was why it was left the last time: it answers."""
        self._seconds = self._errors = self._erred_at = 0.0

    def took(self, seconds: float) -> None:
        """Take note of an answer, and how long it took."""
        self.failures = 0
        self._seconds += (seconds - self._seconds) * _WEIGHT

    def erred(self, now: float) -> None:
        """Take note of an answer that was none."""
        self.failures += 1
        self._errors, self._erred_at = 1.0 + self._remembered(now), now

    def score(self, now: float) -> int:
        """Return what an answer costs, in tenths of a second; an error counts as silence."""
        return int(10 * (self._seconds + self.timeout * self._remembered(now)))

    def _remembered(self, now: float) -> float:
        return float(self._errors * 0.5 ** ((now - self._erred_at) / _HALF_LIFE))


class Failover:
    """A client of several nodes.

    `say` gets a line for each node that is left and each that takes over; `clock` tells seconds. Once `stop`
    says so no answer is waited for.
    """

    def __init__(
        self,
        urls: Sequence[str],
        timeout: float,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        stop: Callable[[], bool] = never,
    ) -> None:
        self._members = [_Member(url, timeout, stop) for url in urls]
        self._say = say
        self._clock = clock
        self._now: _Member | None = None
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
        """Make one call to the first node that answers; raises RpcError if its answer is an error."""
        return self._ask(lambda client: client.request(method, *params, size=size))

    def batch(self, method: str, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Call one method with many parameters."""
        return self._ask(lambda client: client.batch(method, calls))

    def each(self, calls: Sequence[tuple[str, tuple[Any, ...]]]) -> list[Any]:
        """Make a few calls in one exchange with one node."""
        return self._ask(lambda client: client.each(calls))

    def close(self) -> None:
        for member in self._members:
            member.client.close()

    def expect(self, chain_id: int, genesis: str, block: int, contract: str) -> None:
        """Leave nodes of another chain, with another such block, or without the contract, from now on."""
        self._chain_id, self._anchored, self._contract = chain_id, [0, block], contract
        self._anchors = {0: genesis}
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

    @property
    def count(self) -> int:
        """The number of nodes."""
        return len(self._members)

    def others(self) -> Sequence[Client]:
        """Return the other nodes that are well and of this chain."""
        now = self._clock()
        others = [each for each in self._members if each is not self._now and now >= each.away_until]
        return [each.client for each in others if self._try(each)]

    def has(self, number: int, block: str) -> bool:
        """Tell whether another node has this block: then the present one is on a fork."""
        for member in self._members:
            if member is not self._now and self._clock() >= member.away_until:
                try:
                    if _hash(member.client, number) == block:
                        return True
                except BackstopError:
                    pass
        return False

    def confirms(self, number: int, block: str) -> bool:
        """Tell whether another node has this block, or no other one of this chain answers.

        One that was left for being behind is asked too: it may be the only one that is on no fork.
        """
        alone = True
        for member in self._members:
            if member is self._now or (self._clock() < member.away_until and not member.behind):
                continue
            try:
                if _hash(member.client, number) == block:
                    return True
            except BackstopError as error:
                self._leave(member, error)
            else:
                alone = alone and not (member.behind or self._is_of_this_chain(member))
        return alone

    def _is_of_this_chain(self, member: _Member) -> bool:
        return self._try(member) or member.behind

    def reached(self, height: int) -> None:
        """Take note of the height that was seen, and compare it with another node's."""
        now = self._clock()
        self._height, self._height_at = height, now
        if self._now is not None and not self._try(self._now):  # it may be of another chain by now
            return
        others = [each for each in self._members if each is not self._now and now >= each.away_until]
        if not others:
            return
        other = others[int(now / LOOK_EVERY) % len(others)]
        try:
            ahead = int(other.client.request("eth_blockNumber"), 16) - height
        except BackstopError as error:
            self._leave(other, error)
            return
        # Whoever claims to be ahead has to be of this chain, and to have the blocks.
        if ahead > MOST_BEHIND and self._try(other) and _has(other.client, height + ahead):
            self.leave(_Behind(f"it is {ahead} blocks behind {other.client.where}"))

    def _ask(self, question: Callable[[Client], T]) -> T:
        asked: list[_Member] = []
        while True:
            member = self._member(asked)
            asked.append(member)
            began = self._clock()
            try:
                answer = question(member.client)
            except BackstopError as error:  # refusing, gone, silent, or no node at all
                if isinstance(error, RpcError) and not isinstance(error, NodeRefused):
                    raise
                self._leave(member, error)
            else:
                member.took(self._clock() - began)
                return answer

    def _member(self, asked: Sequence[_Member] = ()) -> _Member:
        """Return the present node, or the best that is well and was not asked the same before.

        Of those that cost the same it is the first.
        """
        if self._now is not None:
            return self._now
        # If all were left they are all tried: whoever asks waits in between.
        now = self._clock()
        others = [each for each in self._members if each not in asked and now >= each.not_before]
        others.sort(key=lambda each: each.score(now))
        for member in [each for each in others if now >= each.away_until] or others:
            if self._try(member):
                self._now = member
                self._say(f"asking the node at {member.client.where}")
                return member
        raise self._none()

    def _none(self) -> NodeGone:
        """Say why no node can be asked, and when the first may be asked again."""
        why = f": {self._trouble}" if self._trouble else ""
        error = NodeGone(f"none of the {len(self._members)} nodes can be asked{why}")
        error.retry_after = max(0.0, min(each.not_before for each in self._members) - self._clock())
        return error

    def _try(self, member: _Member) -> bool:
        """Tell whether a node is well and of this chain; leave it if not."""
        problem: str | BackstopError | None
        try:
            problem = self._problem(member.client)
        except BackstopError as error:
            problem = error
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
            known = self._anchors.get(number, there)
            if known != there:
                return f"its block {number} is {there}, not {known}: it is of another chain"
            anchors[number] = there
        contract = self._contract
        if contract is not None and client.request("eth_getCode", contract, "latest") == "0x":
            return f"it has no contract at {contract}"
        behind = self._height - int(client.request("eth_blockNumber"), 16)
        if behind > MOST_BEHIND and self._clock() < self._height_at + REMEMBERED:
            return _Behind(f"it is {behind} blocks behind")
        self._anchors |= anchors
        return None

    def _leave(self, member: _Member, problem: str | BackstopError) -> None:
        now = self._clock()
        member.erred(now)
        member.behind = isinstance(problem, _Behind)
        wanted = problem.retry_after if isinstance(problem, NodeGone) else 0.0
        # 2 to the power of some thousand is too large for a float.
        pause = max(wanted, min(_FIRST_LEAVE * 2 ** min(member.failures - 1, 30), _LONGEST_LEAVE))
        member.away_until, member.not_before = now + pause, now + wanted
        self._trouble = str(problem)
        if self._now is member:
            self._now = None
        self._say(f"left the node at {member.client.where} for {pause:.0f} s: {problem}")


class Takeover:
    """Whether a chain went back, or only the node that is asked now has not got as far, or is on a fork."""

    def __init__(self) -> None:
        self._since: float | None = None

    def over(self) -> None:
        """Take note that the chain was followed."""
        self._since = None

    def explains(self, node: Node, block: int, name: str, why: str) -> bool:
        """Tell whether a missing block is the node's alone: then look again.

        A node whose block another has is left. One that took over may be a few blocks behind for a while.
        """
        client = node.client
        if not isinstance(client, Failover):
            return False
        if client.has(block, name) and client.leave(why):
            return True
        now = time.monotonic()
        self._since = self._since or now
        if now < self._since + _BEHIND and (node.head().number < block or node.hash_of(block) == name):
            time.sleep(_AGAIN)
            return True
        return False


def _hash(client: Client, number: int) -> str | None:
    block = client.request("eth_getBlockByNumber", hex(number), False)
    return None if block is None else str(block["hash"])


def _has(client: Client, number: int) -> bool:
    try:
        return _hash(client, number) is not None
    except BackstopError:
        return False
