"""The batches in which members leave a pool, and the loss index; see contracts/modules/exits.vy.

The index counts what one share has borne, in 1 / SCALE wei. A batch that was cut holds, at any time,

    held = floor(units * (ceiling - index) / SCALE)

and bears share for share what live shares bear, up to its ceiling; ceilings rise in the order of the queue.
"""

from __future__ import annotations

from typing import NamedTuple

from backstop.model.arithmetic import div_up
from backstop.model.shares import Shares
from backstop.model.state import World, external, slot, view

# What one share has borne is counted in this part of a wei.
SCALE = 10**47
# Batches that are cut and not over.
MOST_OPEN = 16
# Seconds for which a batch takes requests at most.
DAY = 86_400
# Requests of a controller that one call goes through.
MOST_AT_ONCE = 32


@slot(32, 32, 96, 96)
class Queue(NamedTuple):
    """Where the batches are, and what they have [wad]."""

    collecting: int = 0  # the batch that takes requests, the last one
    unsettled: int = 0  # the first batch that waits for its time
    held: int = 0  # by batches that were cut
    owed: int = 0  # paid out to batches and not claimed yet


@slot(152, 32, 72)
class Batch(NamedTuple):
    """Shares that leave together."""

    units: int = 0  # shares
    since: int = 0  # seconds: the first request, then the cut
    generation: int = 0  # of the shares


@slot(96, 160)
class Payment(NamedTuple):
    """What a batch has been paid."""

    paid: int = 0  # wad
    ended: int = 0  # 1 + the checkpoint at which the batch was over; 0 while it is not


@slot(152, 64, 40)
class Request(NamedTuple):
    """What was committed to a batch for a controller."""

    shares: int = 0
    mark: int = 0  # the checkpoint up to which claims are settled
    next: int = 0  # the controller's next batch


@slot(96, 160)
class Claimed(NamedTuple):
    """What was claimed of a request that is not done."""

    assets: int = 0  # wad
    shares: int = 0


@slot(32, 224)
class Line(NamedTuple):
    """The batches in which a controller has requests that are not done; 0 if there is none."""

    first: int = 0
    last: int = 0


class Exits(Shares):
    """The queue belongs to the subclass, which has the assets."""

    def __init__(self, world: World, name: str, address: str, token_name: str, token_symbol: str) -> None:
        super().__init__(world, name, address, token_name, token_symbol)
        self.line = self.table("exits.queue", Queue())
        self.index = self.table("exits.index")
        self.batches = self.table("exits.batches", Batch())
        self.ceilings = self.table("exits.ceilings")
        self.payments = self.table("exits.payments", Payment())
        self.requests = self.table("exits.requests", Request())
        self.claimed = self.table("exits.claimed", Claimed())
        self.lines = self.table("exits.lines", Line())
        self.operators = self.table("exits.isOperator", False)
        # Batch 0 is none.
        self.line[()] = Queue(1, 1)

    @external
    def setOperator(self, sender: str, operator: str, approved: bool) -> bool:
        """Let somebody request for the sender's shares and claim for the sender's requests, or no longer."""
        self.operators[sender, operator] = approved
        self.emit("OperatorSet", sender, operator, approved)
        return True

    @view
    def isOperator(self, sender: str, controller: str, operator: str) -> bool:
        """Tell whether somebody may act for a controller."""
        return bool(self.operators[controller, operator])

    def requests_of(self, controller: str) -> list[int]:
        """Return the batches in which a controller has requests that one call goes through, oldest first."""
        found, id = list[int](), self.lines[controller].first
        while id and len(found) < MOST_AT_ONCE:
            found.append(id)
            id = self.requests[id, controller].next
        return found

    def open_batches(self) -> range:
        """Return the batches that are cut and not over."""
        collecting = self.line[()].collecting
        return range(collecting - self.state[()].open, collecting)

    def settled_batches(self) -> range:
        """Return those of them whose time had come when somebody last settled."""
        first = self.open_batches().start
        return range(first, max(first, self.line[()].unsettled))

    def _level(self, shares: int, assets: int) -> int:
        """Return where the index would stand after a loss that live shares and open batches share."""
        everything = shares + sum(self.batches[id].units for id in self.open_batches())
        level, left = int(self.index[()]), assets * SCALE
        for id in self.open_batches():
            room = (self.ceilings[id] - level) * everything
            if left < room:
                break
            left -= room
            level = self.ceilings[id]
            everything -= self.batches[id].units
        return level + div_up(left, everything)

    def _held(self, id: int, ceiling: int, level: int) -> int:
        """Return what a batch holds under a ceiling, in 1 / SCALE wei."""
        return int(self.batches[id].units) * (ceiling - level)

    def _add_request(self, id: int, controller: str, shares: int, mark: int) -> None:
        """Write a request for the batch that collects, which is the last of its controller's."""
        line: Line = self.lines[controller]
        if line.last != id:
            if line.last:
                last = self.requests[line.last, controller]
                self.requests[line.last, controller] = last._replace(next=id)
            self.lines[controller] = Line(line.first or id, id)
        self.requests[id, controller] = Request(shares, mark)

    def _drop_first(self, id: int, controller: str) -> None:
        """Forget a controller's first request."""
        following = self.requests[id, controller].next
        self.requests[id, controller] = Request()
        self.claimed[id, controller] = Claimed()
        line = self.lines[controller]
        self.lines[controller] = line._replace(first=following) if following else Line()

    def _holds(self, id: int) -> int:
        """Return what a batch that is not over holds, rounded down; 0 before its cut."""
        ceiling = self.ceilings[id]
        return self._held(id, ceiling, self.index[()]) // SCALE if ceiling else 0

    def _pay(self, id: int, assets: int) -> None:
        if assets:
            payment: Payment = self.payments[id]
            self.payments[id] = payment._replace(paid=payment.paid + assets)

    def _end(self, id: int, mark: int) -> None:
        self.payments[id] = self.payments[id]._replace(ended=mark + 1)
